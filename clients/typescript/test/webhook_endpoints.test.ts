// Webhook endpoints, managed on the real server.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Pepay, PepayError, type WebhookDelivery } from '@pepay/client';

import { PepayServer, eventually } from './support/pepay_server.js';
import { Receiver, bad, good } from './support/receiver.js';

describe('webhook endpoints on a real server', () => {
  let server: PepayServer;
  let shop: Pepay;
  let pepay: Pepay;

  before(async () => {
    server = await PepayServer.start();
    const merchant = server.createMerchant();
    const key = server.run('key', 'create', '--merchant', String(merchant.id), '--right', 'webhooks');
    shop = new Pepay({ apiKey: merchant.apiKey, baseUrl: server.url });
    pepay = new Pepay({ apiKey: key['api_key'] as string, baseUrl: server.url });
  });
  after(() => server.stop());

  test('one is created, changed, found and deleted', async () => {
    const created = await pepay.webhooks.create({ url: 'https://shop.example/hook', enabled_events: ['invoice.*'] });
    assert.match(String(created.secret), /^whsec_/);
    const changed = await pepay.webhooks.update(created.id, { enabled_events: ['*'], description: 'till' });
    assert.deepEqual([changed.enabled_events, changed.description, changed.url], [['*'], 'till', created.url]);
    assert.deepEqual(await pepay.webhooks.retrieve(created.id), changed);
    assert.equal(changed.secret, undefined);
    assert.deepEqual((await pepay.webhooks.list()).data, [changed]);
    await pepay.webhooks.delete(created.id);
    await assert.rejects(pepay.webhooks.retrieve(created.id), (error) => (error as PepayError).status === 404);
  });

  test('a key without the right changes nothing', async () => {
    const create = shop.webhooks.create({ url: 'https://shop.example/hook', enabled_events: ['*'] });
    await assert.rejects(create, (error) => (error as PepayError).code === 'RIGHT_REQUIRED');
    assert.deepEqual((await pepay.webhooks.list()).data, []);
  });

  test('what was given up is sent again on request, signed with the new secret', async (context) => {
    // Answering 410 gives a delivery up at once, and disables the endpoint.
    const receiver = await Receiver.start(bad(410, 'GONE'), good({}));
    context.after(() => receiver.stop());
    const endpoint = await pepay.webhooks.create({ url: `${receiver.url}/hook`, enabled_events: ['invoice.created'] });
    const invoice = await shop.invoices.create({ amount_usd: 1 });
    const state = async (wanted: WebhookDelivery['state']) =>
      eventually(`a delivery to be ${wanted}`, async () => (await pepay.webhooks.deliveries(endpoint.id, { state: wanted })).data[0]);
    const exhausted = await state('exhausted');
    assert.deepEqual([exhausted.invoice_id, exhausted.attempts[0]?.status], [invoice.invoice_id, 410]);
    assert.equal((await pepay.webhooks.retrieve(endpoint.id)).disabled_reason, 'gone');

    await pepay.webhooks.update(endpoint.id, { is_active: true });
    const { secret = '' } = await pepay.webhooks.rotateSecret(endpoint.id, { previous_valid_seconds: 0 });
    const lastHour = new Date(Date.now() - 3_600_000);
    assert.deepEqual(await pepay.webhooks.redeliver(endpoint.id, { failed_since: lastHour }), { queued: 1, already_pending: 0 });
    const delivered = await state('delivered');
    assert.equal(delivered.id, exhausted.id);
    const again = receiver.received[1] ?? assert.fail('nothing came');
    assert.equal((await Pepay.webhooks.verify(again.body, again.headers, secret)).id, exhausted.event_id);
    assert.equal((await pepay.webhooks.redeliverOne(endpoint.id, delivered.id)).queued, 1);
    await eventually('it to come once more', () => receiver.received[2]);
  });
});

// Which deliveries are believed.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';

import { Pepay, WebhookVerificationError, type PepayEvent, type WebhookHeaders } from '@pepay/client';

import { PepayServer, eventually } from './support/pepay_server.js';
import { Receiver } from './support/receiver.js';

const SECRET = 'whsec_test';
const NOW = 1_790_000_000_000;
const BODY = '{"id":"evt_1790000000000-7","object":"event","type":"test.ping","data":{"object":{"object":"ping","status":"ü"}}}';

function sign(body: string | Buffer, timestamp: string | number = NOW, secret = SECRET): string {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
}

function headers(signature = sign(BODY), timestamp: string | number = NOW): Record<string, string> {
  return { 'x-pepay-timestamp': String(timestamp), 'x-pepay-signature': signature };
}

async function refused(code: string, ...[body, headers, secrets, options]: Parameters<typeof Pepay.webhooks.verify>) {
  const verified = Pepay.webhooks.verify(body, headers, secrets, { now: NOW, ...options });
  await assert.rejects(verified, (error) => error instanceof WebhookVerificationError && error.code === code);
}

test('a real delivery of the server is believed, and not with one bit flipped or six minutes later', async (context) => {
  const receiver = await Receiver.start();
  context.after(() => receiver.stop());
  const server = await PepayServer.start();
  context.after(() => server.stop());
  const merchant = server.createMerchant();
  const secret = server.setWebhook(merchant, `${receiver.url}/hook`);
  const pepay = new Pepay({ apiKey: merchant.apiKey, baseUrl: server.url });
  const invoice = await pepay.invoices.create({ amount_usd: '49.999', description: 'Bücher' });
  const delivery = await eventually('a delivery', () => receiver.received[0]);

  const event = await Pepay.webhooks.verify(delivery.body, delivery.headers, secret);
  assert(event.type === 'invoice.created');
  // The type is known from here on: `amount` is a number without a cast.
  const amount: number = event.data.object.amount;
  assert.deepEqual([event.data.object.id, amount, event.livemode], [invoice.invoice_id, 49_999, false]);
  const asText = await Pepay.webhooks.verify(delivery.body.toString('utf8'), delivery.headers, secret);
  assert.deepEqual(asText, event);

  const signedAt = Number(delivery.headers['x-pepay-timestamp']);
  for (let bit = 0; bit < delivery.body.length * 8; bit += 97) {
    const altered = Buffer.from(delivery.body);
    altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await refused('invalid_signature', altered, delivery.headers, secret, { now: signedAt });
  }
  await refused('invalid_signature', delivery.body, delivery.headers, `${secret}x`, { now: signedAt });
  for (const minutes of [6, -6]) {
    await refused('timestamp_out_of_range', delivery.body, delivery.headers, secret, { now: signedAt + minutes * 60_000 });
  }
});

test('headers come as frameworks have them', async () => {
  const verify = (headers: WebhookHeaders) => Pepay.webhooks.verify(BODY, headers, SECRET, { now: NOW });
  const plain = { 'X-Pepay-Timestamp': String(NOW), 'x-PEPAY-signature': sign(BODY), other: undefined };
  for (const form of [
    plain,
    { 'x-pepay-timestamp': [String(NOW)], 'x-pepay-signature': [sign(BODY)] },
    new Headers(headers()),
    new Map(Object.entries(headers())),
    Object.entries(headers()),
  ]) {
    assert.equal((await verify(form)).id, 'evt_1790000000000-7');
  }
});

test('bodies come as text or bytes, and a parsed one is refused', async () => {
  const bytes = new TextEncoder().encode(BODY);
  for (const body of [BODY, bytes, bytes.buffer, Buffer.from(BODY)]) {
    assert.equal((await Pepay.webhooks.verify(body, headers(), SECRET, { now: NOW })).type, 'test.ping');
  }
  const parsed = JSON.parse(BODY) as string;
  await assert.rejects(Pepay.webhooks.verify(parsed, headers(), SECRET, { now: NOW }), /raw body/);
});

test('while a secret is replaced, old and new one are good on either side', async () => {
  const both = { ...headers(sign(BODY, NOW, 'new')), 'x-pepay-signature-previous': sign(BODY, NOW, 'old') };
  const verify = (secrets: string | string[]) => Pepay.webhooks.verify(BODY, both, secrets, { now: NOW });
  for (const secrets of ['new', 'old', ['new', 'old'], ['other', 'old']]) assert((await verify(secrets)).id);
  await refused('invalid_signature', BODY, both, ['other', 'another']);
  const onlyPrevious = { 'x-pepay-timestamp': String(NOW), 'x-pepay-signature-previous': sign(BODY) };
  assert((await Pepay.webhooks.verify(BODY, onlyPrevious, SECRET, { now: NOW })).id);
});

test('what is missing or malformed is an invalid signature', async () => {
  const { 'x-pepay-timestamp': timestamp = '', 'x-pepay-signature': signature = '' } = headers();
  for (const given of [
    {},
    { 'x-pepay-timestamp': timestamp },
    { 'x-pepay-signature': signature },
    headers(''),
    headers(signature.toUpperCase()),
    headers(signature.slice(0, 63)),
    headers(`${signature}0`),
    headers(sign(BODY, `${NOW}.0`), `${NOW}.0`),
    headers(sign(BODY, ''), ''),
    headers(sign(BODY, 'soon'), 'soon'),
    headers(signature, NOW + 1),
  ]) {
    await refused('invalid_signature', BODY, given, SECRET);
  }
});

test('a delivery is good for five minutes, or as long as is asked for', async () => {
  const check = async (apart: number, isGood: boolean, toleranceMs?: number) => {
    const verified = Pepay.webhooks.verify(BODY, headers(), SECRET, { now: NOW + apart, toleranceMs });
    if (isGood) assert((await verified).id);
    else await assert.rejects(verified, (error) => (error as WebhookVerificationError).code === 'timestamp_out_of_range');
  };
  for (const sign of [1, -1]) {
    await check(sign * 300_000, true);
    await check(sign * 300_001, false);
    await check(sign * 1_000, true, 1_000);
    await check(sign * 1_001, false, 1_000);
  }
  await check(0, false, NaN);
  await refused('timestamp_out_of_range', BODY, headers(), SECRET, { now: Date.now() });
});

test('an empty secret is an error, for with it anybody could sign', async () => {
  for (const secrets of ['', [], [''], ['a', ''], undefined as unknown as string]) {
    await assert.rejects(Pepay.webhooks.verify(BODY, headers(), secrets), /secret is missing/);
  }
});

test('signed nonsense is not an event', async () => {
  for (const body of ['', '[]', 'null', '{}', '{"id":7,"type":"x"}', '{"id":"evt_1-1"}', '{"id":"1","type":"x"}', '\xff']) {
    const bytes = Buffer.from(body, 'latin1');
    await refused('not_an_event', bytes, headers(sign(bytes)), SECRET);
  }
});

test('the type of an event tells the type of what it is about', () => {
  // What counts here is that it compiles.
  const describe = (event: PepayEvent): string => {
    switch (event.type) {
      case 'invoice.created':
      case 'invoice.updated':
        return event.data.object.status;
      case 'invoice_payment.created':
      case 'invoice_payment.updated':
        return event.data.object.network;
      default:
        return event.type;
    }
  };
  assert.equal(describe(JSON.parse(BODY) as PepayEvent), 'test.ping');
});

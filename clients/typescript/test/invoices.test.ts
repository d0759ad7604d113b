// The client's calls, answered by the real server.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { Pepay, PepayError, type Invoice } from '@pepay/client';

import { PepayServer } from './support/pepay_server.js';

const ABSENT = '00000000-0000-4000-8000-000000000000';

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
}

function failure(code: string, status?: number, field?: string) {
  return (error: unknown) => {
    assert(error instanceof PepayError, String(error));
    assert.deepEqual([error.code, error.status, error.field], [code, status, field], error.message);
    return true;
  };
}

describe('invoices on a real server', () => {
  let server: PepayServer;
  /** A client of a new merchant. */
  const newShop = () => new Pepay({ apiKey: server.createMerchant().apiKey, baseUrl: server.url });

  before(async () => {
    server = await PepayServer.start();
  });
  after(() => server.stop());

  test('an invoice is created with the very digits of its amount, and is found again', async () => {
    const pepay = newShop();
    const created = await pepay.invoices.create({
      amount_usd: '49.999',
      description: 'Order 17',
      customer_id: 'customer-1',
      metadata: { order: 17, lines: ['a', { b: null }] },
      expires_in: 60_000,
    });
    assert.match(created.payment_url, /^http.*\/pay\?session=.+&signature=.+/);
    assert.deepEqual(created.payment_session_headers, {
      'x-session-token': created.session_token,
      'x-signature': created.signature,
    });
    const invoice = await pepay.invoices.retrieve(created.invoice_id, { expand: ['latest_payment', 'payments'] });
    assert.deepEqual([invoice.amount, invoice.amount_decimal, invoice.status], [49_999, '49.999', 'unpaid']);
    assert.deepEqual(invoice.metadata, { order: 17, lines: ['a', { b: null }] });
    assert.deepEqual(invoice.payments, []);
    const report = await pepay.invoices.status(created.invoice_id);
    assert.deepEqual([report.invoice.id, report.latest_payment], [created.invoice_id, null]);
  });

  test('the same idempotency key gives the same invoice, and another body a conflict', async () => {
    const pepay = newShop();
    const idempotencyKey = randomUUID();
    const create = (amount_usd: number) => pepay.invoices.create({ amount_usd }, { idempotencyKey });
    const [first, ...others] = await Promise.all([1, 1, 1, 1].map(create));
    assert(first);
    for (const other of others) assert.deepEqual(other, first);
    await assert.rejects(create(2), failure('IDEMPOTENCY_CONFLICT', 409, 'Idempotency-Key'));
    const without = await Promise.all([1, 1].map((amount_usd) => pepay.invoices.create({ amount_usd })));
    assert.notEqual(without[0]?.invoice_id, without[1]?.invoice_id);
    assert.equal((await pepay.invoices.list()).data.length, 3);
  });

  test('lists are followed through all their pages, in both directions', async () => {
    const pepay = newShop();
    const ids: string[] = [];
    for (let count = 0; count < 7; count += 1) {
      const customer_id = count % 2 === 0 ? 'ä/b' : 'other';
      ids.unshift((await pepay.invoices.create({ amount_usd: 1, customer_id })).invoice_id);
    }
    const id = ({ id }: Invoice) => id;
    const found = async (invoices: AsyncIterable<Invoice>) => (await collect(invoices)).map(id);

    const page = await pepay.invoices.list({ limit: 3 });
    assert.deepEqual([page.data.map(id), page.has_more], [ids.slice(0, 3), true]);
    assert.deepEqual((await page.nextPage())?.data.map(id), ids.slice(3, 6));
    assert.deepEqual(await found(page), ids);
    assert.deepEqual(await found(pepay.invoices.list({ limit: 3 })), ids);
    const last = await pepay.invoices.list({ limit: 3, starting_after: ids[3] });
    assert.deepEqual([last.data.map(id), last.has_more, await last.nextPage()], [ids.slice(4), false, undefined]);
    // Towards the newer, oldest first: the order to catch up in.
    assert.deepEqual(await found(pepay.invoices.list({ limit: 2, ending_before: ids[5] })), ids.slice(0, 5).reverse());

    const mine = ids.filter((_, index) => index % 2 === 0);
    assert.deepEqual(await found(pepay.invoices.listByCustomer('ä/b', { limit: 2 })), mine);
    assert.deepEqual(await found(pepay.invoices.list({ customer_id: 'ä/b', limit: 100 })), mine);
    assert.deepEqual(await found(pepay.invoices.list({ status: ['paid', 'canceled'] })), []);
    const future = new Date(Date.now() + 3_600_000);
    assert.deepEqual(await found(pepay.invoices.list({ created_gte: future })), []);
    assert.equal((await found(pepay.invoices.list({ created_lte: future }))).length, 7);
    await assert.rejects(
      async () => pepay.invoices.list({ starting_after: ABSENT }),
      failure('INVALID_CURSOR', 400, 'starting_after'),
    );
  });

  test('waiting ends when the invoice is called off or expires', async () => {
    const pepay = newShop();
    const canceled = await pepay.invoices.create({ amount_usd: 1 });
    const waiting = pepay.invoices.waitForStatus(canceled.invoice_id, { pollMs: 20 });
    assert.equal((await pepay.invoices.cancel(canceled.invoice_id)).status, 'canceled');
    assert.equal((await waiting).invoice.status, 'canceled');

    const expiring = await pepay.invoices.create({ amount_usd: 1, expires_in: 1_000 });
    const report = await pepay.invoices.waitForStatus(expiring.invoice_id, { status: 'expired', pollMs: 100 });
    assert.deepEqual([report.object, report.invoice.status], ['invoice_status', 'expired']);
    const forPaid = pepay.invoices.waitForStatus(expiring.invoice_id, { status: 'paid' });
    await assert.rejects(forPaid, failure('INVOICE_ENDED'));
  });

  test('waiting runs out of time and can be stopped', async () => {
    const pepay = newShop();
    const { invoice_id: id } = await pepay.invoices.create({ amount_usd: 1 });
    const waiting = pepay.invoices.waitForStatus(id, { pollMs: 20, timeoutMs: 100 });
    await assert.rejects(waiting, failure('WAIT_TIMEOUT'));
    const signal = AbortSignal.timeout(100);
    await assert.rejects(pepay.invoices.waitForStatus(id, { signal }), (error) => error === signal.reason);
    await assert.rejects(pepay.invoices.waitForStatus(ABSENT), failure('INVOICE_NOT_FOUND', 404));
  });

  test('totals sum up by status', async () => {
    const pepay = newShop();
    await pepay.invoices.create({ amount_usd: '0.10', customer_id: 'a' });
    await pepay.invoices.create({ amount_usd: '0.20', customer_id: 'a' });
    const { invoice_id: id } = await pepay.invoices.create({ amount_usd: '5', customer_id: 'b' });
    await pepay.invoices.cancel(id);
    const { totals } = await pepay.invoices.totals();
    assert.deepEqual(totals.all, { amount: 5_300, amount_decimal: '5.300', count: 3 });
    assert.deepEqual(totals.canceled, { amount: 5_000, amount_decimal: '5.000', count: 1 });
    assert.deepEqual((await pepay.invoices.totals({ customer_id: 'a' })).totals.unpaid.amount, 300);
  });

  test('what the server refuses is told with its code, its field and the name of the request', async () => {
    const pepay = newShop();
    const description = 'a'.repeat(256);
    await assert.rejects(pepay.invoices.create({ amount_usd: 1, description }), (error) => {
      assert.match(String((error as PepayError).requestId), /^req_/);
      return failure('VALIDATION_ERROR', 400, 'description')(error);
    });
    const { invoices } = pepay;
    await assert.rejects(invoices.create({ amount_usd: '0.009' }), failure('INVALID_AMOUNT_RANGE', 400, 'amount_usd'));
    await assert.rejects(invoices.create({ amount_usd: 1 }, { idempotencyKey: 'x' }), failure('IDEMPOTENCY_KEY_INVALID', 400, 'Idempotency-Key'));
    await assert.rejects(invoices.retrieve(ABSENT), failure('INVOICE_NOT_FOUND', 404));
    await assert.rejects(invoices.cancel(ABSENT), failure('INVOICE_NOT_FOUND', 404));
    const foreign = await newShop().invoices.create({ amount_usd: 1 });
    await assert.rejects(invoices.retrieve(foreign.invoice_id), failure('INVOICE_NOT_FOUND', 404));
    const stranger = new Pepay({ apiKey: 'pk_test_wrong', baseUrl: server.url });
    await assert.rejects(stranger.invoices.totals(), failure('API_KEY_INVALID', 401, 'x-api-key'));
  });

  test('a payment can be looked for only where it is known where to look', async () => {
    const pepay = newShop();
    const { invoice_id: id, payment_session_headers: session } = await pepay.invoices.create({ amount_usd: 1 });
    const { invoices } = pepay;
    await assert.rejects(invoices.manualVerification(id, { session }), failure('VALIDATION_ERROR', 400, 'network'));
    const nowhere = { session, network: 'nowhere', txHash: `0x${'ab'.repeat(32)}` };
    await assert.rejects(invoices.manualVerification(id, nowhere), failure('UNKNOWN_NETWORK', 400, 'network'));
    await assert.rejects(invoices.manualVerification(id, { session, txHash: '0x12' }), failure('VALIDATION_ERROR', 400, 'tx_hash'));
    await assert.rejects(invoices.retrieveManualVerification(id, { session }), failure('VERIFICATION_NOT_FOUND', 404));
  });
});

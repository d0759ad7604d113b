// What goes wrong between client and server, and what the client makes of it.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { inspect } from 'node:util';

import { Pepay, PepayError, type Fetch, type PepayOptions } from '@pepay/client';

import { freePort } from './support/pepay_server.js';
import { Receiver, bad, good, type Reply } from './support/receiver.js';

const API_KEY = 'pk_test_canary';
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const SESSION = { 'x-session-token': 'pst_1', 'x-signature': 'ab.1' };

async function start(context: TestContext, replies: Reply[], options: Partial<PepayOptions> = {}) {
  const receiver = await Receiver.start(...replies);
  context.after(() => receiver.stop());
  const pepay = new Pepay({ apiKey: API_KEY, baseUrl: receiver.url, ...options });
  return { pepay, receiver };
}

async function failure(call: Promise<unknown>): Promise<PepayError> {
  const error = await call.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  );
  assert(error instanceof PepayError, String(error));
  return error;
}

describe('a call that fails', { concurrency: true }, () => {
  test('is tried again with the same body and idempotency key after a 500', async (context) => {
    const { pepay, receiver } = await start(context, [bad(500, 'INTERNAL_SERVER_ERROR'), good({ invoice_id: '1' })]);
    const invoice = await pepay.invoices.create({ amount_usd: '49.999', description: 'Order 17' });
    assert.equal(invoice.invoice_id, '1');
    const [first, second] = receiver.received;
    assert(first && second && receiver.received.length === 2);
    assert.match(String(first.headers['idempotency-key']), UUID_V4);
    assert.equal(second.headers['idempotency-key'], first.headers['idempotency-key']);
    assert.equal(String(first.body), '{"amount_usd":49.999,"description":"Order 17"}');
    assert.deepEqual(second.body, first.body);
    assert.equal(second.headers['x-api-key'], API_KEY);
  });

  test('is tried again after 502, 503, 504, a reset and half an answer', async (context) => {
    for (const fault of [bad(502, 'X'), bad(503, 'TIMEOUT'), bad(504, 'X'), 'reset', 'half'] as const) {
      const { pepay, receiver } = await start(context, [fault, good({ id: '1' })]);
      assert.equal((await pepay.invoices.retrieve('1')).id, '1');
      assert.equal(receiver.received.length, 2, inspect(fault));
    }
  });

  test('waits as long as Retry-After says', async (context) => {
    const limited = bad(429, 'RATE_LIMITED', { 'retry-after': '1' });
    const { pepay, receiver } = await start(context, [limited, good({ invoice_id: '1' })]);
    await pepay.invoices.create({ amount_usd: 1 });
    const [first, second] = receiver.received;
    assert(first && second);
    assert(1000 <= second.at - first.at, `${second.at - first.at} ms`);
  });

  test('waits until the date of a Retry-After', async (context) => {
    const date = new Date(Date.now() + 2500).toUTCString();
    const { pepay, receiver } = await start(context, [bad(503, 'TIMEOUT', { 'retry-after': date }), good({ id: '1' })]);
    await pepay.invoices.retrieve('1');
    const [, second] = receiver.received;
    assert(second && Date.parse(date) <= performance.timeOrigin + second.at);
  });

  test('is left to the caller where Retry-After is longer than a call should take', async (context) => {
    const { pepay, receiver } = await start(context, [bad(429, 'RATE_LIMITED', { 'retry-after': '61' })]);
    const error = await failure(pepay.invoices.retrieve('1'));
    assert.deepEqual([error.status, error.code, error.retryAfter], [429, 'RATE_LIMITED', 61]);
    assert.equal(receiver.received.length, 1);
  });

  test('is tried again while the first request with its key still runs, and not on a conflict for good', async (context) => {
    const running = bad(409, 'IDEMPOTENCY_CONFLICT', { 'retry-after': '1' });
    const { pepay, receiver } = await start(context, [running, good({ invoice_id: '1' })]);
    await pepay.invoices.create({ amount_usd: 1 });
    assert.equal(receiver.received.length, 2);

    const other = await start(context, [bad(409, 'IDEMPOTENCY_CONFLICT')]);
    const error = await failure(other.pepay.invoices.create({ amount_usd: 1 }));
    assert.equal(error.code, 'IDEMPOTENCY_CONFLICT');
    assert.equal(other.receiver.received.length, 1);
  });

  test('is given up after the set number of retries', async (context) => {
    const { pepay, receiver } = await start(context, [bad(500, 'INTERNAL_SERVER_ERROR')]);
    const error = await failure(pepay.invoices.create({ amount_usd: 1 }));
    assert.equal(error.status, 500);
    assert.equal(receiver.received.length, 3);
    assert.equal(error.idempotencyKey, receiver.received[0]?.headers['idempotency-key']);

    const patient = await start(context, [bad(500, 'INTERNAL_SERVER_ERROR')]);
    await failure(patient.pepay.invoices.retrieve('1', {}, { maxRetries: 1 }));
    assert.equal(patient.receiver.received.length, 2);
  });

  test('is not tried again on any other status', async (context) => {
    for (const status of [302, 400, 401, 403, 404, 408, 410, 422, 501]) {
      const { pepay, receiver } = await start(context, [bad(status, 'SOME_CODE', { location: '/elsewhere' })]);
      const error = await failure(pepay.invoices.retrieve('1'));
      assert.deepEqual([error.status, error.code], [status, 'SOME_CODE']);
      assert.equal(receiver.received.length, 1);
    }
  });

  test('is not tried again if it is a POST without idempotency key', async (context) => {
    for (const fault of [bad(500, 'X'), bad(429, 'RATE_LIMITED', { 'retry-after': '0' }), 'reset'] as const) {
      const { pepay, receiver } = await start(context, [fault, good({})]);
      await failure(pepay.invoices.cancel('1'));
      await pepay.invoices.cancel('1');
      assert.equal(receiver.received.length, 2);
    }
  });

  test('runs out of time, also where the answer has begun', async (context) => {
    for (const fault of ['hang', 'stall'] as const) {
      let tries = 0;
      const counting: Fetch = (url, init) => {
        tries += 1;
        return fetch(url, init);
      };
      const { pepay } = await start(context, [fault], { timeoutMs: 100, maxRetries: 1, fetch: counting });
      const error = await failure(pepay.invoices.retrieve('1'));
      assert.deepEqual([error.code, error.status, tries], ['REQUEST_TIMEOUT', undefined, 2]);
    }
  });

  test('says why no connection came about', async () => {
    const pepay = new Pepay({ apiKey: API_KEY, baseUrl: `http://127.0.0.1:${await freePort()}`, maxRetries: 0 });
    const error = await failure(pepay.invoices.retrieve('1'));
    assert.deepEqual([error.code, error.status, error.isTransient], ['CONNECTION_FAILED', undefined, true]);
    assert.match(error.message, /ECONNREFUSED/);
  });

  test('is stopped by its signal during the request', { timeout: 20_000 }, async (context) => {
    const stopped = new Error('stopped');
    const { pepay, receiver } = await start(context, ['hang'], { timeoutMs: 60_000 });
    const controller = new AbortController();
    const call = pepay.invoices.retrieve('1', {}, { signal: controller.signal });
    while (receiver.received.length === 0) await new Promise(setImmediate);
    controller.abort(stopped);
    await assert.rejects(call, (error) => error === stopped);
    await assert.rejects(pepay.invoices.retrieve('1', {}, { signal: controller.signal }), (error) => error === stopped);
    assert.equal(receiver.received.length, 1);
  });

  test('is stopped by its signal between tries', { timeout: 20_000 }, async () => {
    const stopped = new Error('stopped');
    const controller = new AbortController();
    const limited: Fetch = async () => {
      // By then the answer was read, and the wait for the next try has begun.
      setTimeout(() => controller.abort(stopped), 50);
      return new Response('{}', { status: 429, headers: { 'retry-after': '60' } });
    };
    const pepay = new Pepay({ apiKey: API_KEY, fetch: limited });
    const call = pepay.invoices.retrieve('1', {}, { signal: controller.signal });
    await assert.rejects(call, (error) => error === stopped);
  });

  test('does not take the API key to another host', async (context) => {
    const elsewhere = await start(context, []);
    const { pepay } = await start(context, [{ status: 307, headers: { location: elsewhere.receiver.url } }]);
    assert.equal((await failure(pepay.invoices.create({ amount_usd: 1 }))).status, 307);
    assert.equal(elsewhere.receiver.received.length, 0);
  });

  test('is described by whatever the answer says', async (context) => {
    const check = async (body: string, expected: [string, string, string?]) => {
      const headers = { 'x-request-id': 'req_1' };
      const { pepay } = await start(context, [{ status: 400, headers, body }]);
      const error = await failure(pepay.invoices.retrieve('1'));
      assert.deepEqual([error.code, error.message, error.field], [...expected, undefined].slice(0, 3));
      assert.deepEqual([error.requestId, error.name], ['req_1', 'PepayError']);
    };
    const nested = { success: false, error: { code: 'VALIDATION_ERROR', message: 'too long', field: 'description' } };
    await check(JSON.stringify(nested), ['VALIDATION_ERROR', 'too long', 'description']);
    await check('{"error":"no number","code":"INVALID_AMOUNT_FORMAT"}', ['INVALID_AMOUNT_FORMAT', 'no number']);
    await check('{"error_code":"OLD","message":"older still"}', ['OLD', 'older still']);
    await check('<html>Bad Gateway</html>', ['HTTP_400', 'the server answered 400 without saying why']);
    await check('null', ['HTTP_400', 'the server answered 400 without saying why']);
  });
});

test('an answer that is no JSON is an error, not an invoice', async (context) => {
  const { pepay, receiver } = await start(context, [{ status: 200, body: '<html>It works!</html>' }]);
  const error = await failure(pepay.invoices.retrieve('1'));
  assert.deepEqual([error.code, error.status, receiver.received.length], ['UNREADABLE_ANSWER', 200, 1]);
});

test('waiting for a status survives faults that pass', async (context) => {
  const status = (status: string) => good({ object: 'invoice_status', invoice: { id: '1', status }, latest_payment: null });
  const faults = [status('unpaid'), 'reset', bad(503, 'TIMEOUT'), status('underpaid'), status('paid')] as const;
  const { pepay, receiver } = await start(context, [...faults]);
  const report = await pepay.invoices.waitForStatus('1', { status: 'paid', pollMs: 5 });
  assert.equal(report.invoice.status, 'paid');
  assert.equal(receiver.received.length, 5);

  const underpaid = await start(context, [status('unpaid'), status('underpaid')]);
  const wanted = { status: ['underpaid', 'paid'], pollMs: 5 } as const;
  assert.equal((await underpaid.pepay.invoices.waitForStatus('1', wanted)).invoice.status, 'underpaid');

  const gone = await start(context, [status('unpaid'), bad(404, 'INVOICE_NOT_FOUND')]);
  assert.equal((await failure(gone.pepay.invoices.waitForStatus('1', { pollMs: 5 }))).code, 'INVOICE_NOT_FOUND');

  const down = new Pepay({ apiKey: API_KEY, fetch: async () => new Response('{}', { status: 503 }) });
  const late = await failure(down.invoices.waitForStatus('1', { pollMs: 5, timeoutMs: 50 }));
  assert.equal(late.code, 'WAIT_TIMEOUT');
  assert((late.cause as PepayError).status === 503);
});

test('waiting for a status asks no more often than the server allows', async (context) => {
  const paid = good({ object: 'invoice_status', invoice: { id: '1', status: 'paid' }, latest_payment: null });
  const { pepay, receiver } = await start(context, [bad(429, 'RATE_LIMITED', { 'retry-after': '1' }), paid]);
  await pepay.invoices.waitForStatus('1', { pollMs: 5 });
  const [first, second] = receiver.received;
  assert(first && second && 1000 <= second.at - first.at);
});

test('manual verification is called with the session and without the API key', async (context) => {
  const job = { object: 'invoice_manual_verification', id: '2', invoice_id: '1', job_status: 'pending' };
  const { pepay, receiver } = await start(context, [{ status: 202, body: JSON.stringify({ success: true, data: job }) }]);
  assert.deepEqual(await pepay.invoices.manualVerification('1', { session: SESSION, network: 'base' }), job);
  assert.deepEqual(await pepay.invoices.manualVerification('1', { session: SESSION }), job);
  assert.deepEqual(await pepay.invoices.retrieveManualVerification('1', { session: SESSION }), job);
  assert.deepEqual(
    receiver.received.map(({ method, path, body }) => [method, path, String(body)]),
    [
      ['POST', '/api/v1/invoice/1/verify', '{"network":"base"}'],
      ['POST', '/api/v1/invoice/1/verify', ''],
      ['GET', '/api/v1/invoice/1/verify', ''],
    ],
  );
  for (const { headers } of receiver.received) {
    assert.deepEqual([headers['x-session-token'], headers['x-signature'], headers['x-api-key']], ['pst_1', 'ab.1', undefined]);
  }
});

test('tokens are listed, searched and blocked where the contract says', async (context) => {
  const { pepay, receiver } = await start(context, [good({ tokens: [] })]);
  await pepay.tokens.list({ environment: 'devnet' });
  await pepay.tokens.search({ search: 'usd', is_active: true, blocked: false, limit: 200, offset: 50 });
  await pepay.tokens.block(7);
  await pepay.tokens.block(7, false);
  assert.deepEqual(
    receiver.received.map(({ method, path, headers, body }) => [method, path, headers['x-api-key'], String(body)]),
    [
      ['GET', '/api/v1/merchant/tokens?environment=devnet', API_KEY, ''],
      ['GET', '/api/v1/merchant/tokens/search?search=usd&is_active=true&blocked=false&limit=200&offset=50', API_KEY, ''],
      ['POST', '/api/v1/merchant/tokens/7/block', API_KEY, '{"blocked":true}'],
      ['POST', '/api/v1/merchant/tokens/7/block', API_KEY, '{"blocked":false}'],
    ],
  );
});

test('webhook endpoints are managed with one call each, and many deliveries part by part', async (context) => {
  const part = (queued: number, next: string | null, has_more = next !== null) =>
    good({ queued, already_pending: 1, next, has_more, id: 'we_1', data: [], success: true });
  const parts = [part(100, 'evt_1-5'), part(3, null), part(50, null, true), part(7, null)];
  const { pepay, receiver } = await start(context, [...Array.from({ length: 9 }, () => part(1, null)), ...parts]);
  const { webhooks } = pepay;
  await webhooks.create({ url: 'https://shop.example/hook', enabled_events: ['invoice.*'] });
  await webhooks.list();
  await webhooks.retrieve('we_1');
  await webhooks.update('we_1', { is_active: true, environment: null });
  await webhooks.rotateSecret('we_1', { previous_valid_seconds: 60 });
  await webhooks.test('we_1');
  await webhooks.deliveries('we_1', { state: ['pending', 'exhausted'] });
  assert.deepEqual(await webhooks.redeliverOne('we_1', 'evt_1-1'), { queued: 1, already_pending: 1 });
  await webhooks.delete('we_1');
  const range = { from: new Date(5_900), to: 9 };
  assert.deepEqual(await webhooks.redeliver('we_1', range), { queued: 103, already_pending: 2 });
  assert.deepEqual(await webhooks.redeliver('we_1', { failed_since: 5 }), { queued: 57, already_pending: 2 });
  assert.deepEqual(
    receiver.received.map(({ method, path, body }) => `${method} ${path.replace('/api/v1/webhooks', '')} ${body}`),
    [
      'POST  {"url":"https://shop.example/hook","enabled_events":["invoice.*"]}',
      'GET  ',
      'GET /we_1 ',
      'PATCH /we_1 {"is_active":true,"environment":null}',
      'POST /we_1/rotate-secret {"previous_valid_seconds":60}',
      'POST /we_1/test ',
      'GET /we_1/deliveries?state=pending%2Cexhausted ',
      'POST /we_1/deliveries/evt_1-1/redeliver ',
      'DELETE /we_1 ',
      'POST /we_1/deliveries/redeliver {"from":5,"to":9}',
      'POST /we_1/deliveries/redeliver {"from":5,"to":9,"starting_after":"evt_1-5"}',
      'POST /we_1/deliveries/redeliver {"failed_since":5}',
      'POST /we_1/deliveries/redeliver {"failed_since":5}',
    ],
  );
});

test('an amount keeps its digits, and one with too many is refused before anything is sent', async (context) => {
  const { pepay, receiver } = await start(context, [good({ invoice_id: '1' })]);
  const amounts = ['49.999', '0.01', '1000000', '1000000.000', '24.90', 49.999, 0.01, 20, 1e6, 0.1];
  const sent = ['49.999', '0.01', '1000000', '1000000.000', '24.90', '49.999', '0.01', '20', '1000000', '0.1'];
  for (const amount_usd of amounts) await pepay.invoices.create({ amount_usd });
  assert.deepEqual(receiver.received.map(({ body }) => String(body)), sent.map((text) => `{"amount_usd":${text}}`));

  const bad = ['49.9999', 0.1 + 0.2, '1.0000', '', ' 1', '1e3', '01', '.5', '1.', '-1', '0x10', 'NaN', NaN, Infinity, 1e21, 1e-7];
  for (const amount_usd of [...bad, null, 1n, [1]] as string[]) {
    const error = await failure(pepay.invoices.create({ amount_usd }));
    assert.deepEqual([error.code, error.field], ['INVALID_AMOUNT_FORMAT', 'amount_usd'], String(amount_usd));
  }
  const sum = await failure(pepay.invoices.create({ amount_usd: 0.1 + 0.2 }));
  assert.match(sum.message, /17 decimals.*at most three/);
  assert.equal(receiver.received.length, sent.length);
});

test('an id reaches the server as one part of the path, or not at all', async (context) => {
  const { pepay, receiver } = await start(context, [good({ data: [], has_more: false })]);
  await pepay.invoices.listByCustomer('a/b ü?#%2e');
  assert.equal(receiver.received[0]?.path, '/api/v1/invoices/customer/a%2Fb%20%C3%BC%3F%23%252e');
  for (const id of ['', '.', '..', undefined as unknown as string]) {
    await assert.rejects(pepay.invoices.retrieve(id), TypeError);
    await assert.rejects(pepay.invoices.cancel(id), TypeError);
  }
  assert.equal(receiver.received.length, 1);
});

test('lists and dates are spelled as the query wants them', async (context) => {
  const { pepay, receiver } = await start(context, [good({ data: [], has_more: false, success: true })]);
  const date = new Date('2026-01-31T12:00:00.900Z');
  await pepay.invoices.list({ status: ['paid', 'underpaid'], expand: 'payments', created_gte: date, limit: 5 });
  const query = 'status=paid%2Cunderpaid&expand=payments&created_gte=1769860800&limit=5';
  assert.equal(receiver.received[0]?.path, `/api/v1/invoices?${query}`);
});

test('a base address may have a path, and nothing that would be lost', async (context) => {
  const { receiver } = await start(context, [good({ id: '1' })]);
  const pepay = new Pepay({ apiKey: API_KEY, baseUrl: `${receiver.url}/pay//` });
  await pepay.invoices.retrieve('1');
  assert.equal(receiver.received[0]?.path, '/pay/api/v1/invoices/1');
  for (const baseUrl of ['', 'pay.example', 'ftp://pay.example', 'https://a:b@pay.example', 'https://a/?b', 'https://a/#b']) {
    assert.throws(() => new Pepay({ apiKey: API_KEY, baseUrl }), TypeError, baseUrl);
  }
});

test('options that make no sense are refused', () => {
  for (const apiKey of ['', ' ', 'pk test', 'pk\n', undefined as unknown as string]) {
    assert.throws(() => new Pepay({ apiKey }), /apiKey/);
  }
  assert.throws(() => new Pepay({ apiKey: API_KEY, timeoutMs: NaN }), /timeoutMs/);
  assert.throws(() => new Pepay({ apiKey: API_KEY, maxRetries: -1 }), /maxRetries/);
});

test('a header that cannot be sent is the caller\'s fault, not the network\'s', async (context) => {
  const { pepay, receiver } = await start(context, [good({})]);
  await assert.rejects(pepay.invoices.create({ amount_usd: 1 }, { idempotencyKey: 'a\nb' }), TypeError);
  assert.equal(receiver.received.length, 0);
});

test('the API key does not show when the client or an error is printed', async (context) => {
  const { pepay } = await start(context, [bad(500, 'X')], { maxRetries: 0 });
  const error = await failure(pepay.invoices.retrieve('1'));
  const printed = [inspect(pepay, { depth: 9, showHidden: true }), JSON.stringify(pepay), inspect(error, { depth: 9 })];
  assert(!printed.join().includes('canary'), printed.join());
});

// The log of events, read from the real server.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Pepay, PepayError, type PepayEvent } from '@pepay/client';

import { PepayServer, eventually } from './support/pepay_server.js';

describe('events on a real server', () => {
  let server: PepayServer;
  let pepay: Pepay;
  /** Newest first. */
  let events: PepayEvent[];
  let invoices: string[];

  const collect = async (items: AsyncIterable<PepayEvent>) => {
    const all = [];
    for await (const item of items) all.push(item);
    return all;
  };

  before(async () => {
    server = await PepayServer.start();
    pepay = new Pepay({ apiKey: server.createMerchant().apiKey, baseUrl: server.url });
    invoices = [];
    for (let count = 0; count < 4; count += 1) {
      invoices.push((await pepay.invoices.create({ amount_usd: 1 })).invoice_id);
    }
    await pepay.invoices.cancel(invoices[0] as string);
    // An event has its number, and with it a place in the log, a moment after what it tells of.
    events = await eventually('all events', async () => {
      const { data } = await pepay.events.list({ limit: 100 });
      return data.length === 5 ? [...data] : undefined;
    });
  });
  after(() => server.stop());

  test('all are found page by page, newest first', async () => {
    const page = await pepay.events.list({ limit: 2 });
    assert.deepEqual([page.data, page.has_more], [events.slice(0, 2), true]);
    assert.deepEqual(await collect(pepay.events.list({ limit: 2 })), events);
  });

  test('whoever was away catches up from the last one known, oldest first', async () => {
    const known = events[3] as PepayEvent;
    assert.deepEqual(await collect(pepay.events.list({ limit: 2, ending_before: known.id })), events.slice(0, 3).reverse());
    assert.deepEqual(await collect(pepay.events.list({ ending_before: (events[0] as PepayEvent).id })), []);
  });

  test('types, invoices and times restrict what is found', async () => {
    const ids = async (filter: Parameters<typeof pepay.events.list>[0]) =>
      (await collect(pepay.events.list(filter))).map(({ id }) => id);
    const of = (...types: string[]) => events.filter(({ type }) => types.includes(type)).map(({ id }) => id);
    assert.equal(of('invoice.created').length, 4);
    assert.deepEqual(await ids({ type: 'invoice.updated' }), of('invoice.updated'));
    assert.deepEqual(await ids({ type: ['invoice.created', 'invoice.updated'], limit: 2 }), events.map(({ id }) => id));
    assert.deepEqual(await ids({ type: 'invoice_payment.*' }), []);
    assert.equal((await ids({ invoice_id: invoices[0] as string })).length, 2);
    assert.deepEqual(await ids({ created: { gte: new Date(Date.now() + 3_600_000) } }), []);
    assert.equal((await ids({ created: { lte: new Date(), gte: new Date(Date.now() - 3_600_000) } })).length, 5);
    await assert.rejects(ids({ type: 'Nonsense!' }), (error) => (error as PepayError).field === 'type');
  });

  test('one is found by its id, with what it changed', async () => {
    const [latest] = events;
    assert(latest?.type === 'invoice.updated');
    assert.deepEqual(await pepay.events.retrieve(latest.id), latest);
    assert.deepEqual([latest.data.object.status, latest.data.previous_attributes?.status], ['canceled', 'unpaid']);
    await assert.rejects(pepay.events.retrieve('evt_1-1'), (error) => (error as PepayError).code === 'EVENT_NOT_FOUND');
  });
});

// Where the client refuses to run.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { Pepay } from '@pepay/client';

function define(context: TestContext, globals: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    context.after(() => {
      if (before === undefined) Reflect.deleteProperty(globalThis, name);
      else Object.defineProperty(globalThis, name, before);
    });
  }
}

/** A class whose only instance is the global object, as a worker's scope is. */
class WorkerGlobalScope {
  static [Symbol.hasInstance](value: unknown): boolean {
    return value === globalThis;
  }
}

const create = (options = {}) => new Pepay({ apiKey: 'pk_test_1', ...options });

test('an API key is refused in a page', (context) => {
  define(context, { window: { document: {} } });
  assert.throws(create, /payment_url/);
  assert.throws(() => create({ dangerouslyAllowBrowser: false }), TypeError);
  assert(create({ dangerouslyAllowBrowser: true }).invoices);
});

test('an API key is refused in a worker of a page', (context) => {
  define(context, { WorkerGlobalScope, importScripts: () => undefined });
  assert.throws(create, TypeError);
  assert(create({ dangerouslyAllowBrowser: true }).invoices);
});

test('an API key is refused in an app', (context) => {
  define(context, { window: {}, navigator: { product: 'ReactNative' } });
  assert.throws(create, TypeError);
});

test('servers that look like a browser are let in', (context) => {
  assert(create());
  // Deno once had a window without a document, and servers at the edge a worker's scope without its loader.
  define(context, { window: globalThis, WorkerGlobalScope });
  assert(create());
});

test('webhooks are verified without an API key', () => {
  assert.equal(typeof Pepay.webhooks.verify, 'function');
});

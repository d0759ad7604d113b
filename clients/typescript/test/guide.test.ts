// Every program in docs/merchant-guide.md does what the guide says, against a real server.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Pepay } from '@pepay/client';

import { PepayServer, eventually, freePort } from './support/pepay_server.js';
import { Receiver, type Received } from './support/receiver.js';

const GUIDE = fileURLToPath(new URL('../../../docs/merchant-guide.md', import.meta.url));
// In this package, so that TypeScript finds the client by its name.
const FOLDER = fileURLToPath(new URL('./guide/', import.meta.url));
const TSC = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** How a program in a language is made ready, and the words that run it. */
interface Language {
  /** What must be on this machine. */
  needs: string;
  build?: (name: string) => void;
  run: (name: string) => [string, ...string[]];
  /** The words that run it as a receiver of webhooks, where they are others. */
  serve?: (name: string, port: number) => [string, ...string[]];
}

const LANGUAGES: Record<string, Language> = {
  sh: { needs: 'curl', run: (name) => ['sh', '-e', name] },
  ts: { needs: 'node', run: (name) => [process.execPath, name.replace('.ts', '.js')] },
  python: { needs: 'python3', run: (name) => ['python3', name] },
  php: {
    needs: 'php',
    run: (name) => ['php', name],
    serve: (name, port) => ['php', '-S', `127.0.0.1:${port}`, name],
  },
  go: {
    needs: 'go',
    // Its cache stays beside the programs, and nothing is fetched: they use the standard library alone.
    build: (name) => {
      const env = { ...process.env, GOCACHE: join(FOLDER, 'go-cache'), GO111MODULE: 'off', GOTOOLCHAIN: 'local' };
      execFileSync('go', ['build', '-o', name.replace('.go', '.exe'), name], { cwd: FOLDER, env });
    },
    run: (name) => [join(FOLDER, name.replace('.go', '.exe'))],
  },
};

interface Snippet {
  language: string;
  name: string;
  text: string;
}

/** The programs of the guide; other blocks, such as HTML, have no name and are only shown. */
function snippets(): Snippet[] {
  const blocks = [...readFileSync(GUIDE, 'utf8').matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm)];
  return blocks.flatMap(([, language = '', name, text = '']) => {
    assert(language in LANGUAGES === (name !== undefined), `a block in ${language} must have a name to be run`);
    return name === undefined ? [] : [{ language, name, text }];
  });
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const all = snippets();
const missing = Object.entries(LANGUAGES).filter(([, { needs }]) => !isInstalled(needs));
for (const [language, { needs }] of missing) {
  const names = all.filter((snippet) => snippet.language === language).map(({ name }) => name);
  console.log(`NOT RUN, because ${needs} is not on this machine: ${names.join(', ')}`);
}
const runnable = all.filter(({ language }) => !missing.some(([name]) => name === language));

describe('the guide', () => {
  let server: PepayServer;
  let pepay: Pepay;
  let apiKey: string;
  let secret: string;
  let receiver: Receiver;
  /** One that the server signed. */
  let delivery: Received;

  const environment = () => ({
    ...process.env,
    PEPAY_URL: server.url,
    PEPAY_KEY: apiKey,
    PEPAY_WEBHOOK_SECRET: secret,
  });
  const words = ({ language, name }: Snippet) => (LANGUAGES[language] as Language).run(name);

  /** Runs a program of the guide to its end and returns what it printed. */
  const run = (snippet: Snippet, ...more: string[]): string => {
    const [program, ...first] = words(snippet);
    return execFileSync(program, [...first, ...more], { cwd: FOLDER, env: environment(), encoding: 'utf8' });
  };
  const named = (name: string): Snippet => {
    const found = all.find((snippet) => snippet.name === name);
    return found ?? assert.fail(`the guide has no ${name}`);
  };

  before(async () => {
    rmSync(FOLDER, { recursive: true, force: true });
    mkdirSync(FOLDER, { recursive: true });
    for (const { name, text } of all) writeFileSync(join(FOLDER, name), text);

    // The guide's own first step makes the merchant.
    server = await PepayServer.prepare();
    const setup = server.execute('sh', '-e', join(FOLDER, named('setup.sh').name));
    apiKey = /^API key (pk_\S+)$/m.exec(setup)?.[1] ?? assert.fail(setup);
    assert.match(setup, /^recovery code [0-9a-f]{64}$/m);
    assert.match(setup, /^secret whsec_\S+$/m);
    await server.serve();
    pepay = new Pepay({ apiKey, baseUrl: server.url });

    receiver = await Receiver.start();
    secret = server.setWebhook({ id: 1, apiKey }, `${receiver.url}/webhooks/pepay`);
    await pepay.invoices.create({ amount_usd: '24.90', description: 'Bücher, ¥ & "quotes"' });
    delivery = await eventually('a delivery', () => receiver.received[0]);

    const typescript = all.filter(({ language }) => language === 'ts').map(({ name }) => name);
    const strict = ['--strict', '--module', 'NodeNext', '--target', 'ES2022', '--types', 'node', '--skipLibCheck', 'false'];
    try {
      execFileSync(process.execPath, [TSC, ...strict, ...typescript], { cwd: FOLDER, encoding: 'utf8', stdio: 'pipe' });
    } catch (error) {
      assert.fail((error as { stdout: string }).stdout);
    }
    for (const { language, name } of runnable) LANGUAGES[language]?.build?.(name);
  });
  after(async () => {
    await receiver.stop();
    await server.stop();
  });

  test('has every program in every language it promises', () => {
    const names = (start: string) => all.filter(({ name }) => name.startsWith(`${start}.`)).map(({ language }) => language);
    assert.deepEqual(names('create').sort(), ['go', 'php', 'python', 'sh', 'ts']);
    assert.deepEqual(names('verify').sort(), ['go', 'php', 'python', 'sh', 'ts']);
  });

  for (const snippet of runnable.filter(({ name }) => name.startsWith('create.'))) {
    test(`creates an invoice with ${snippet.name}`, async () => {
      const id = UUID.exec(run(snippet))?.[0] ?? assert.fail('no invoice id was printed');
      const invoice = await pepay.invoices.retrieve(id);
      assert.deepEqual(
        [invoice.amount, invoice.description, invoice.customer_id, invoice.status],
        [24_900, 'Order 17', 'customer-1', 'unpaid'],
      );
    });
  }

  /** Deliveries and whether they are to be believed. */
  const cases = (): [string, Record<string, string>, Buffer, boolean][] => {
    const { body, headers } = delivery;
    const timestamp = String(headers['x-pepay-timestamp']);
    const signature = String(headers['x-pepay-signature']);
    const with_ = (timestamp: string, signature: string) => ({
      'x-pepay-timestamp': timestamp,
      'x-pepay-signature': signature,
    });
    const signed = (minutes: number) => {
      const then = String(Date.now() - minutes * 60_000);
      return with_(then, createHmac('sha256', secret).update(`${then}.`).update(body).digest('hex'));
    };
    const flipped = Buffer.from(body);
    flipped.writeUInt8(flipped.readUInt8(40) ^ 1, 40);
    return [
      ['as the server sent it', with_(timestamp, signature), body, true],
      ['with a bit of the body flipped', with_(timestamp, signature), flipped, false],
      ['with a digit of the signature changed', with_(timestamp, signature.replace(/.$/, (last) => (last === '0' ? '1' : '0'))), body, false],
      ['with another timestamp', with_(String(Number(timestamp) + 1), signature), body, false],
      // Signed by us as the server does; the four minutes show that it is the age that is refused.
      ['signed four minutes ago', signed(4), body, true],
      ['signed six minutes ago', signed(6), body, false],
      ['signed six minutes ahead', signed(-6), body, false],
    ];
  };

  for (const snippet of runnable.filter(({ name }) => name.startsWith('verify.') && name !== 'verify.sh')) {
    test(`believes with ${snippet.name} what the server signed, and nothing else`, async (context) => {
      const port = await freePort();
      const [program, ...first] = LANGUAGES[snippet.language]?.serve?.(snippet.name, port) ?? words(snippet);
      const env = { ...environment(), PORT: String(port) };
      const child = spawn(program, first, { cwd: FOLDER, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let printed = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (printed += part));
      const kill = () => child.kill('SIGKILL');
      process.on('exit', kill);
      context.after(async () => {
        process.off('exit', kill);
        if (child.exitCode === null && kill()) await once(child, 'exit');
      });
      const url = `http://127.0.0.1:${port}/webhooks/pepay`;
      const deliver = async (headers: Record<string, string>, body: Buffer) =>
        (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })).status;
      await eventually('the receiver', () => deliver({}, Buffer.from('{}')).catch(() => child.exitCode === null ? undefined : assert.fail(printed)));

      assert.equal(await deliver({}, delivery.body), 400, 'without headers');
      for (const [what, headers, body, isGood] of cases()) {
        assert.equal(await deliver(headers, body), isGood ? 204 : 400, what);
        // While a secret is replaced the good signature may be the second one.
        const { 'x-pepay-signature': signature = '', ...rest } = headers;
        const rotating = { ...rest, 'x-pepay-signature': '0'.repeat(64), 'x-pepay-signature-previous': signature };
        assert.equal(await deliver(rotating, body), isGood ? 204 : 400, `${what}, with the secret before`);
      }
      const event = `${delivery.headers['x-pepay-event-id']} invoice.created`;
      await eventually(`"${event}" to be printed`, () => printed.includes(event) || undefined);
      assert.equal(printed.split(event).length - 1, 4, printed);
    });
  }

  test('believes with verify.sh what the server signed, and nothing else', () => {
    const file = join(FOLDER, 'body.json');
    for (const [what, headers, body, isGood] of cases()) {
      writeFileSync(file, body);
      const check = () => run(named('verify.sh'), file, headers['x-pepay-timestamp'] ?? '', headers['x-pepay-signature'] ?? '');
      if (isGood) check();
      else assert.throws(check, /status|failed/i, what);
    }
  });

  test('asks for the status with poll.ts and poll.sh', async () => {
    const { invoice_id: id } = await pepay.invoices.create({ amount_usd: 1 });
    const report = JSON.parse(run(named('poll.sh'), id));
    assert.deepEqual([report.invoice.id, report.invoice.status], [id, 'unpaid']);
    await pepay.invoices.cancel(id);
    assert.equal(run(named('poll.ts'), id), 'canceled 0.000\nnot paid, and over\n');
  });

  test('manages an endpoint with webhook_key.sh and webhooks.ts', async (context) => {
    const other = await Receiver.start();
    context.after(() => other.stop());
    const key = server.execute('sh', '-e', join(FOLDER, named('webhook_key.sh').name));
    const shopKey = apiKey;
    apiKey = /^API key (pk_\S+)$/m.exec(key)?.[1] ?? assert.fail(key);
    context.after(() => (apiKey = shopKey));
    const printed = run(named('webhooks.ts'), `${other.url}/hook`);
    const secrets = [...printed.matchAll(/^secret (whsec_\S+)$/gm)].map(([, secret = '']) => secret);
    assert.equal(new Set(secrets).size, 2, printed);
    assert.match(printed, /^queued again 0$/m);
    const ping = await eventually('the ping', () => other.received[0]);
    const event = await Pepay.webhooks.verify(ping.body, ping.headers, secrets);
    assert(event.type === 'test.ping' && event.data.object.status === 'ok');

    // What comes after the rotation is signed with both.
    await pepay.invoices.create({ amount_usd: 1 });
    const created = await eventually('the next one', () => other.received[1]);
    for (const secret of secrets) {
      assert.equal((await Pepay.webhooks.verify(created.body, created.headers, secret)).type, 'invoice.created');
    }
  });

  test('catches up on events with catch_up.ts', async () => {
    const first = delivery.headers['x-pepay-event-id'] as string;
    const { invoice_id: id } = await pepay.invoices.create({ amount_usd: 1 });
    await pepay.invoices.cancel(id);
    await eventually('both events', async () => {
      const { data } = await pepay.events.list({ invoice_id: id });
      return data.length === 2 || undefined;
    });
    const lines = run(named('catch_up.ts'), first).trim().split('\n');
    const { data } = await pepay.events.list({ type: 'invoice.*', limit: 100 });
    const expected = data.filter((event) => event.id !== first).map((event) => `${event.id} ${event.type}`);
    assert.deepEqual(lines, expected.reverse());
  });
});

import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const WALLET = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const PATIENCE_MS = 30_000;

export interface Merchant {
  id: number;
  apiKey: string;
}

/** The `pepay` binary on a folder and a port of its own. */
export class PepayServer {
  readonly url: string;
  readonly folder = mkdtempSync(join(tmpdir(), 'pepay-client-test-'));
  readonly #environment: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;

  private constructor(listen: string) {
    this.url = `http://${listen}`;
    // Whatever the binary is called, scripts find it by its name.
    symlinkSync(binary(), join(this.folder, 'pepay'));
    // A developer's own settings must not leak into tests.
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith('PEPAY_'));
    this.#environment = {
      ...Object.fromEntries(others),
      PATH: [this.folder, process.env['PATH']].join(delimiter),
      PEPAY__SERVER__LISTEN: listen,
      PEPAY__WEBHOOKS__ALLOW_PRIVATE_NETWORKS: '["127.0.0.0/8"]',
    };
  }

  /** A server that does not run yet, on an empty folder. */
  static async prepare(): Promise<PepayServer> {
    return new PepayServer(`127.0.0.1:${await freePort()}`);
  }

  static async start(config = 'environment = "devnet"\n'): Promise<PepayServer> {
    const server = await PepayServer.prepare();
    writeFileSync(join(server.folder, 'pepay.toml'), config);
    server.run('init');
    await server.serve();
    return server;
  }

  /** Runs a command beside the server and returns what it prints as JSON. */
  run(...words: string[]): Record<string, unknown> {
    return JSON.parse(this.execute(binary(), '--json', ...words));
  }

  /** Runs a program in the server's folder, where it finds `pepay`, and returns what it prints. */
  execute(program: string, ...words: string[]): string {
    const options = { cwd: this.folder, env: this.#environment };
    // What it says on the side is part of the error, if there is one.
    return execFileSync(program, words, { ...options, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  createMerchant(): Merchant {
    const shop = ['--name', 'Harbour Books', '--email', 'help@harbour.example', '--wallet', WALLET];
    const id = this.run('merchant', 'create', ...shop)['merchant_id'] as number;
    const apiKey = this.run('key', 'create', '--merchant', String(id))['api_key'] as string;
    return { id, apiKey };
  }

  /** Sends a merchant's webhooks to an address; returns their secret. */
  setWebhook(merchant: Merchant, url: string): string {
    return this.run('merchant', 'set-webhook', String(merchant.id), url)['secret'] as string;
  }

  /** Ends the server as a service manager does, which must succeed. */
  async stop(): Promise<void> {
    const child = this.#child;
    assert(child !== undefined && child.exitCode === null, `the server ended by itself:\n${this.#log()}`);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, this.#log());
    rmSync(this.folder, { recursive: true });
  }

  /** Starts it and waits until it answers. */
  async serve(): Promise<void> {
    const log = openSync(join(this.folder, 'pepay.log'), 'a');
    const options = { cwd: this.folder, env: this.#environment };
    const child = spawn(binary(), ['serve'], { ...options, stdio: ['ignore', log, log] });
    this.#child = child;
    // Nothing that we started outlives us.
    process.on('exit', () => child.kill('SIGKILL'));
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      assert(child.exitCode === null && Date.now() < deadline, `the server did not start:\n${this.#log()}`);
      const answer = await fetch(`${this.url}/health/live`).catch(() => undefined);
      if (answer?.ok) return;
      await sleep(20);
    }
  }

  #log(): string {
    return readFileSync(join(this.folder, 'pepay.log'), 'utf8');
  }
}

/** The binary under test: `PEPAY_BIN`, else the one that cargo has built in this checkout. */
function binary(): string {
  const path = process.env['PEPAY_BIN'] ?? fileURLToPath(new URL('../../../../target/debug/pepay', import.meta.url));
  assert(existsSync(path), `there is no ${path}; build it, or say in PEPAY_BIN where it is`);
  return path;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Asks again and again until there is an answer. */
export async function eventually<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    assert(Date.now() < deadline, `waited in vain for ${what}`);
    await sleep(20);
  }
}

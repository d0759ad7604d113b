// A shim and a payer for tests: their processes, and short ways to ask them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
export const START = 1_800_000_000;

const program = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** A running shim. Its slots end when they are told to, unless `options` say otherwise. */
export class Shim {
  #id = 0;

  /** Ends with the test whose context is given, if it did not before. */
  static async startFor(context, options) {
    const shim = await Shim.start(options);
    context.after(() => shim.stop());
    return shim;
  }

  static async start(options = {}) {
    const all = { "tick-ms": 0, time: START, ...options };
    const words = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn(process.execPath, [program("shim.mjs"), ...words], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = await Promise.race([
      once(createInterface({ input: child.stdout }), "line"),
      once(child, "exit").then(([code]) => assert.fail(`the shim ended with ${code}`)),
    ]);
    return new Shim(child, /^Listening on (127\.0\.0\.1:\d+)$/.exec(line)[1]);
  }

  constructor(child, host) {
    this.child = child;
    this.url = `http://${host}`;
  }

  /** Closes its standard input and waits until it has ended; returns its exit code. */
  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, "exit");
      this.child.stdin.end();
      await ended;
    }
    return this.child.exitCode;
  }

  post(body, headers = { "content-type": "application/json" }) {
    return fetch(this.url, { method: "POST", headers, body });
  }

  async answer(method, ...params) {
    const response = await this.post(JSON.stringify({ jsonrpc: "2.0", id: ++this.#id, method, params }));
    return response.json();
  }

  /** The result of a call that succeeds. */
  async call(method, ...params) {
    const { result, error } = await this.answer(method, ...params);
    assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`);
    return result;
  }

  /** The error of a call that does not. */
  async refusal(method, ...params) {
    const { result, error } = await this.answer(method, ...params);
    assert.equal(result, undefined, `${method} answered ${JSON.stringify(result)}`);
    return error;
  }

  slots(count = 1) {
    return this.call("shim_slots", count);
  }

  signatures(address, options = {}) {
    return this.call("getSignaturesForAddress", address, { commitment: "confirmed", ...options });
  }

  transaction(signature, options = {}) {
    return this.call("getTransaction", signature, {
      commitment: "confirmed",
      maxSupportedTransactionVersion: 0,
      ...options,
    });
  }

  async lamports(address, commitment = "processed") {
    return (await this.call("getBalance", address, { commitment })).value;
  }

  async tokens(account, commitment = "processed") {
    return (await this.call("getTokenAccountBalance", account, { commitment })).value.amount;
  }
}

/** A running payer. */
export class Payer {
  #waiting = new Map();
  #id = 0;

  constructor(shim) {
    this.shim = shim;
    this.child = spawn(process.execPath, [program("pay.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
    this.child.once("exit", () => {
      for (const answer of this.#waiting.values()) answer({ error: { message: "the payer ended" } });
    });
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      const { id, ...answer } = JSON.parse(line);
      this.#waiting.get(id)(answer);
      this.#waiting.delete(id);
    });
  }

  async stop() {
    const ended = once(this.child, "exit");
    this.child.stdin.end();
    await ended;
  }

  answer(request, params) {
    const id = ++this.#id;
    this.child.stdin.write(`${JSON.stringify({ id, request, params })}\n`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  async ask(request, params) {
    const { result, error } = await this.answer(request, params);
    assert.equal(error, undefined, `${request}: ${JSON.stringify(error)}`);
    return result;
  }

  async address(wallet) {
    return (await this.ask("address", { wallet })).address;
  }

  /** Pays into the open slot, which then ends. */
  async pay(wallet, payments, options = {}) {
    const params = { rpc: this.shim.url, wallet, payments: [payments].flat(), await: "processed", ...options };
    const paid = await this.ask("pay", params);
    await this.shim.slots();
    return paid;
  }

  /** What the network, or the payer itself, has against a payment. */
  async refusal(wallet, payments, options = {}) {
    const params = { rpc: this.shim.url, wallet, payments: [payments].flat(), await: "processed", ...options };
    const { result, error } = await this.answer("pay", params);
    assert.equal(result, undefined, "it was paid");
    return error;
  }
}

/** A shop's world: a shim and a payer, a dollar token, a merchant, and a customer with plenty of both. */
export class World {
  static async create(options) {
    const shim = await Shim.start(options);
    const payer = new Payer(shim);
    const world = new World();
    Object.assign(world, { shim, payer });
    world.merchant = await payer.address("merchant");
    world.customer = await payer.address("customer");
    await shim.call("requestAirdrop", world.customer, 10_000_000_000);
    ({ mint: world.usd } = await shim.call("shim_createMint", { decimals: 6 }));
    ({ account: world.purse } = await shim.call("shim_mintTo", {
      mint: world.usd,
      owner: world.customer,
      amount: 1_000_000_000,
    }));
    await shim.slots();
    return world;
  }

  /** The merchant's token account, made. */
  async till(mint = this.usd) {
    const { account } = await this.shim.call("shim_createTokenAccount", { mint, owner: this.merchant });
    await this.shim.slots();
    return account;
  }

  async stop() {
    await this.payer.stop();
    assert.equal(await this.shim.stop(), 0);
  }
}

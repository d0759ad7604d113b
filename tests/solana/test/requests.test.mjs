// What is not as it should be: every request gets an answer, and the node stays up.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";

import { signBytes } from "@solana/kit";

import { testSigner } from "../src/keys.mjs";
import { World } from "./support.mjs";

const NOBODY = "8".repeat(43);
const SIGNATURE = "5".repeat(87);
/** Where the message begins in a transaction with one signature. */
const SIGNED_FROM = 65;

describe("a request", () => {
  let world, shim, payer;
  const text = async (body, headers) => {
    const response = await shim.post(body, headers);
    return [response.status, await response.text()];
  };
  const json = async (body) => JSON.parse((await text(body))[1]);
  const call = (method, params, id = 1) => ({ jsonrpc: "2.0", id, method, params });
  const codeOf = async (method, ...params) => (await shim.refusal(method, ...params)).code;

  before(async () => {
    world = await World.create();
    ({ shim, payer } = world);
  });
  after(() => world.stop());

  test("that is no JSON-RPC gets the code that says so", async () => {
    for (const body of ["", "{", "\u0000", '{"jsonrpc":"2.0"', "undefined"]) {
      assert.deepEqual(await json(body), { jsonrpc: "2.0", error: { code: -32700, message: "Parse error" }, id: null });
    }
    for (const body of [
      "1",
      "null",
      '"getSlot"',
      "{}",
      "[]",
      '{"method":"getSlot","id":1}',
      '{"jsonrpc":"2.0","method":1}',
    ]) {
      assert.equal((await json(body)).error.code, -32600, body);
    }
    assert.equal((await json('{"jsonrpc":"2.0","id":{},"method":"getSlot"}')).error.code, -32600);
    for (const method of ["", "getslot", "toString", "__proto__", "constructor"])
      assert.equal(await codeOf(method), -32601);
  });

  test("in a batch is answered on its own, notifications not at all", async () => {
    const batch = [
      call("getHealth", [], "a"),
      call("nothing", [], 2),
      7,
      { jsonrpc: "2.0", method: "getHealth" },
      call("getHealth", undefined, null),
    ];
    const answers = await json(JSON.stringify(batch));
    assert.deepEqual(
      answers.map(({ id, result, error }) => [id, result ?? error.code]),
      [
        ["a", "ok"],
        [2, -32601],
        [null, -32600],
        [null, "ok"],
      ],
    );
    assert.deepEqual(await text(JSON.stringify([{ jsonrpc: "2.0", method: "getHealth" }])), [200, ""]);
    assert.deepEqual(await text(JSON.stringify({ jsonrpc: "2.0", method: "getHealth" })), [200, ""]);
  });

  test("of a batch sees what those before it in the batch did", async () => {
    const airdrop = call("requestAirdrop", [NOBODY, 1_000_000_000], 1);
    const [, balance] = await json(JSON.stringify([airdrop, call("getBalance", [NOBODY, { commitment: "processed" }], 2)]));
    assert.equal(balance.result.value, 1_000_000_000);
  });

  test("must be posted as JSON, to the limit of 50 KiB", async () => {
    assert.equal((await fetch(shim.url)).status, 405);
    assert.equal((await fetch(shim.url, { method: "PUT", body: "{}" })).status, 405);
    assert.equal((await text("{}", { "content-type": "text/plain" }))[0], 415);
    assert.equal(await (await fetch(`${shim.url}/health`)).text(), "ok");
    const padded = (size) => JSON.stringify(call("getHealth")).padEnd(size);
    assert.equal((await text(padded(50 * 1024)))[0], 200);
    assert.equal((await text(padded(50 * 1024 + 1)))[0], 413);
    assert.equal((await text(padded(5_000_000)))[0], 413);
    assert.equal(await shim.call("getHealth"), "ok");
  });

  test("may come from any page", async () => {
    const asked = await fetch(shim.url, { method: "OPTIONS", headers: { origin: "http://shop.example" } });
    assert.deepEqual([asked.status, asked.headers.get("access-control-allow-origin")], [204, "*"]);
    const posted = await shim.post(JSON.stringify(call("getHealth")));
    assert.equal(posted.headers.get("access-control-allow-origin"), "*");
  });

  test("may have another charset in its content type", async () => {
    assert.equal(
      (await text(JSON.stringify(call("getHealth")), { "content-type": "application/json; charset=utf-8" }))[0],
      200,
    );
  });

  test("that breaks off, or is no HTTP, hurts nobody else", async () => {
    const { port } = new URL(shim.url);
    for (const sent of [
      "POST / HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
      "\u0016\u0003\u0001",
      "GET",
    ]) {
      await new Promise((resolve) => {
        const socket = connect({ host: "127.0.0.1", port: Number(port) }, () => socket.end(sent));
        socket
          .on("close", resolve)
          .on("error", () => undefined)
          .resume();
      });
    }
    assert.equal(await shim.call("getHealth"), "ok");
  });

  test("with wrong parameters is refused with -32602", async () => {
    const wrong = {
      getBalance: [
        [],
        [1],
        [null],
        [""],
        ["0OIl"],
        [NOBODY.slice(1)],
        ["1".repeat(31)],
        ["z".repeat(44)],
        [NOBODY, 1],
        [NOBODY, []],
        [NOBODY, {}, 1],
        [NOBODY, { commitment: "max" }],
        [NOBODY, { minContextSlot: -1 }],
      ],
      getAccountInfo: [
        [NOBODY, { encoding: "hex" }],
        [NOBODY, { dataSlice: { offset: 1 } }],
      ],
      getMultipleAccounts: [[NOBODY], [Array(101).fill(NOBODY)], [[NOBODY, 1]]],
      getTokenAccountsByOwner: [
        [NOBODY],
        [NOBODY, {}],
        [NOBODY, { mint: NOBODY }],
        [NOBODY, { programId: NOBODY }],
        [NOBODY, { mint: world.usd, programId: NOBODY }],
      ],
      getSignaturesForAddress: [
        [],
        [NOBODY, { limit: 0 }],
        [NOBODY, { limit: 1_001 }],
        [NOBODY, { limit: 1.5 }],
        [NOBODY, { before: NOBODY }],
        [NOBODY, { until: 5 }],
      ],
      getSignatureStatuses: [
        [],
        [SIGNATURE],
        [Array(257).fill(SIGNATURE)],
        [[NOBODY]],
        [[SIGNATURE], { searchTransactionHistory: "yes" }],
      ],
      getTransaction: [
        [],
        [NOBODY],
        [SIGNATURE, { maxSupportedTransactionVersion: -1 }],
        [SIGNATURE, { encoding: "jsonParsed" }],
      ],
      getBlock: [[], [-1], ["5"], [1.5], [1e300], [130, { transactionDetails: "all" }]],
      getMinimumBalanceForRentExemption: [[], [-1], [1e9]],
      requestAirdrop: [[NOBODY], [NOBODY, -1], [NOBODY, "x"], [NOBODY, 1.5], [NOBODY, "99999999999999999999"]],
      sendTransaction: [
        [],
        [1],
        ["!"],
        ["", { encoding: "base64" }],
        ["AA", { encoding: "base64" }],
        ["A".repeat(10_000), { encoding: "base64" }],
        ["AAAA", { encoding: "hex" }],
        ["AAAA", { skipPreflight: 1 }],
      ],
      shim_slots: [[], [-1], [1e9], ["1"]],
      shim_freeze: [[], [1]],
      shim_setTime: [[], [1], [1e300], ["2027"]],
      shim_increaseTime: [[-1], [8_640_000_000_000]],
      shim_setAccount: [
        [NOBODY],
        [NOBODY, {}],
        [NOBODY, { lamports: 1, colour: "red" }],
        [NOBODY, { lamports: 1, data: "?" }],
        ["11111111111111111111111111111111", { lamports: 1 }],
      ],
      shim_createMint: [
        [],
        [{}],
        [{ decimals: 19 }],
        [{ decimals: 6, program: NOBODY }],
        [{ decimals: 6, fee: { basis_points: 1 } }],
        [{ decimals: 6, address: world.usd }],
      ],
      shim_mintTo: [
        [{ mint: NOBODY, owner: NOBODY, amount: 1 }],
        [{ mint: world.usd, owner: NOBODY }],
        [{ mint: world.usd, owner: NOBODY, amount: "18446744073709551616" }],
      ],
      shim_setFrozen: [[{ mint: world.usd, owner: NOBODY, frozen: true }]],
      shim_createLookupTable: [[], [[1]], [Array(21).fill(NOBODY)]],
    };
    for (const [method, cases] of Object.entries(wrong)) {
      for (const params of cases)
        assert.equal(await codeOf(method, ...params), -32602, `${method} ${JSON.stringify(params)}`);
    }
    const named = await json(JSON.stringify(call("getBalance", { address: NOBODY })));
    assert.equal(named.error.code, -32602);
  });

  test("with a transaction whose bytes were changed at random, signed or not, never stops the node", async () => {
    const one = { recipient: world.merchant, amount: "0.1", memo: "x" };
    const params = { rpc: shim.url, wallet: "customer", payments: [one], send: false };
    const { table } = await shim.call("shim_createLookupTable", [world.merchant, world.usd]);
    await shim.slots();
    const built = [await payer.ask("pay", params), await payer.ask("pay", { ...params, lookup_table: table })];
    const { keyPair } = await testSigner("customer");
    // The same numbers each time: what is found once stays found.
    let seed = 1;
    const below = (most) => (seed = (seed * 48_271) % 2_147_483_647) % most;
    const changed = async (transaction) => {
      const bytes = Buffer.from(transaction, "base64");
      for (let changes = 1 + below(3); changes > 0; --changes) {
        // Mostly behind the signature, where changes are read furthest.
        bytes[below(10) === 0 ? below(bytes.length) : SIGNED_FROM + below(bytes.length - SIGNED_FROM)] = below(256);
      }
      if (below(10) === 0) return bytes.subarray(0, below(bytes.length));
      if (below(3) !== 0) bytes.set(await signBytes(keyPair.privateKey, bytes.subarray(SIGNED_FROM)), 1);
      return bytes;
    };
    const answered = new Map();
    for (let round = 0; round < 15; ++round) {
      const batch = [];
      for (let id = 0; id < 100; ++id) {
        const encoded = (await changed(built[id % 2].transaction)).toString("base64");
        batch.push(call("sendTransaction", [encoded, { encoding: "base64", skipPreflight: below(2) === 0 }], id));
      }
      for (const { result, error } of await json(JSON.stringify(batch))) {
        const key = error?.data?.err ?? error?.code ?? typeof result;
        answered.set(JSON.stringify(key), (answered.get(JSON.stringify(key)) ?? 0) + 1);
      }
    }
    const often = (...keys) => keys.every((key) => 20 < answered.get(JSON.stringify(key)));
    assert(often(-32602, -32003, "string", "BlockhashNotFound"), JSON.stringify([...answered]));
    assert(!answered.has("-32603"), JSON.stringify([...answered]));
    assert(10 < answered.size, JSON.stringify([...answered]));
    assert.equal(await shim.call("getHealth"), "ok");
  });
});

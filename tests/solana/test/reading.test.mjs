// What a reader may rely on: lists and their pages, commitments, statuses, accounts and blocks.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { TOKEN_2022, World } from "./support.mjs";

const NOBODY = "8".repeat(43);
const WRAPPED_SOL = "So11111111111111111111111111111111111111112";
const UNKNOWN = "5".repeat(87);

describe("a reader", () => {
  let world, shim, payer;
  /** Pays one after the other, each in a slot of its own; returns the signatures, oldest first. */
  const payTimes = async (count, payment, options) => {
    const paid = [];
    for (let times = 0; times < count; ++times) paid.push((await payer.pay("customer", payment, options)).signature);
    return paid;
  };
  const names = (list) => list.map(({ signature }) => signature);

  before(async () => {
    world = await World.create();
    ({ shim, payer } = world);
  });
  after(() => world.stop());

  test("pages a list newest first with before, until and limit, and skips nothing", async () => {
    const recipient = await payer.address("paged");
    const paid = await payTimes(5, { recipient, amount: "0.1" });
    const newest = paid.toReversed();
    assert.deepEqual(names(await shim.signatures(recipient)), newest);
    assert.deepEqual(names(await shim.signatures(recipient, { until: paid[1] })), newest.slice(0, 3));
    assert.deepEqual(names(await shim.signatures(recipient, { limit: 2 })), newest.slice(0, 2));
    assert.deepEqual(names(await shim.signatures(recipient, { limit: 2, before: newest[1] })), newest.slice(2, 4));
    assert.deepEqual(names(await shim.signatures(recipient, { before: newest[1], until: paid[0] })), newest.slice(2, 4));
    assert.deepEqual(await shim.signatures(recipient, { before: newest[3], until: newest[1] }), []);
    // A node that does not know `until` tells all; one that does not know `before` tells nothing.
    assert.deepEqual(names(await shim.signatures(recipient, { until: UNKNOWN })), newest);
    assert.deepEqual(await shim.signatures(recipient, { before: UNKNOWN }), []);
  });

  test("sees transactions of one slot in their order, also where a page ends among them", async () => {
    const recipient = await payer.address("same slot");
    const send = async (amount) =>
      (await payer.ask("pay", { rpc: shim.url, wallet: "customer", payments: [{ recipient, amount }], await: "processed" }))
        .signature;
    const sent = [await send("0.1"), await send("0.2"), await send("0.3")];
    await shim.slots();
    const listed = await shim.signatures(recipient);
    assert.deepEqual(names(listed), sent.toReversed());
    assert.equal(new Set(listed.map(({ slot }) => slot)).size, 1);
    assert.deepEqual(names(await shim.signatures(recipient, { before: sent[2] })), [sent[1], sent[0]]);
    assert.deepEqual(names(await shim.signatures(recipient, { until: sent[0] })), [sent[2], sent[1]]);
  });

  test("gets at most a thousand signatures at once, and the rest with before", async () => {
    const recipient = await payer.address("flooded");
    await payer.pay("customer", { recipient, amount: "1" });
    await payer.ask("flood", {
      rpc: shim.url,
      wallet: "customer",
      payment: { recipient, amount: "0.000001" },
      count: 1_010,
    });
    await shim.slots();
    const first = await shim.signatures(recipient);
    assert.equal(first.length, 1_000);
    const rest = await shim.signatures(recipient, { before: first.at(-1).signature });
    assert.equal(new Set(names([...first, ...rest])).size, 1_011);
    assert.deepEqual((await shim.refusal("getSignaturesForAddress", recipient, { limit: 1_001 })).code, -32602);
  });

  test("is told processed, then confirmed, then finalized, by the slots on top", async () => {
    const recipient = await payer.address("levels");
    const { signature, slot } = await payer.ask("pay", {
      rpc: shim.url,
      wallet: "customer",
      payments: [{ recipient, amount: "1" }],
      await: "processed",
    });
    const status = async () => (await shim.call("getSignatureStatuses", [signature])).value[0];
    const listedAt = async (commitment) => names(await shim.signatures(recipient, { commitment })).length;
    assert.deepEqual(await status(), {
      confirmationStatus: "processed",
      confirmations: 0,
      err: null,
      slot,
      status: { Ok: null },
    });
    assert.deepEqual([await listedAt("confirmed"), await shim.transaction(signature)], [0, null]);
    assert.deepEqual(
      [await shim.lamports(recipient, "processed"), await shim.lamports(recipient, "confirmed")],
      [1_000_000_000, 0],
    );

    await shim.slots();
    assert.deepEqual([(await status()).confirmationStatus, (await status()).confirmations], ["confirmed", 1]);
    assert.deepEqual([await listedAt("confirmed"), await listedAt("finalized")], [1, 0]);
    assert.equal((await shim.transaction(signature)).slot, slot);
    assert.equal(await shim.transaction(signature, { commitment: "finalized" }), null);
    assert.deepEqual(
      [await shim.lamports(recipient, "confirmed"), await shim.lamports(recipient, "finalized")],
      [1_000_000_000, 0],
    );

    await shim.slots(29);
    assert.equal((await status()).confirmationStatus, "confirmed");
    await shim.slots();
    assert.deepEqual([(await status()).confirmationStatus, (await status()).confirmations], ["finalized", null]);
    assert.deepEqual(await listedAt("finalized"), 1);
    assert.equal(await shim.lamports(recipient, "finalized"), 1_000_000_000);
    // Without a commitment nodes mean finalized.
    assert.equal((await shim.call("getBalance", recipient)).value, 1_000_000_000);
    assert.equal((await shim.call("getTransaction", signature)).slot, slot);
  });

  test("has an old status only with a look into the history", async () => {
    const { signature } = await payer.pay("customer", { recipient: await payer.address("old"), amount: "1" });
    await shim.slots(300);
    const ask = async (options) => (await shim.call("getSignatureStatuses", [signature, UNKNOWN], options)).value;
    assert.deepEqual(await ask({}), [null, null]);
    const [status, unknown] = await ask({ searchTransactionHistory: true });
    assert.deepEqual([status.confirmationStatus, unknown], ["finalized", null]);
  });

  test("that knows no versions gets -32015 for a version 0 transaction, and no version for a legacy one", async () => {
    const one = { recipient: await payer.address("versions"), amount: "1" };
    const { signature, slot } = await payer.pay("customer", one, { version: 0 });
    for (const [method, ...params] of [
      ["getTransaction", signature],
      ["getBlock", slot],
    ]) {
      const refused = await shim.refusal(method, ...params, { commitment: "confirmed" });
      assert.equal(refused.code, -32015);
      assert.match(refused.message, /"maxSupportedTransactionVersion": 0/);
    }
    assert.equal((await shim.transaction(signature)).version, 0);
    const legacy = await payer.pay("customer", one);
    const transaction = await shim.transaction(legacy.signature, { maxSupportedTransactionVersion: undefined });
    assert.equal("version" in transaction, false);
    assert.equal((await shim.transaction(legacy.signature)).version, "legacy");
  });

  test("gets no list and no transaction that is only processed", async () => {
    for (const [method, parameter] of [
      ["getSignaturesForAddress", NOBODY],
      ["getTransaction", UNKNOWN],
    ]) {
      const refused = await shim.refusal(method, parameter, { commitment: "processed" });
      assert.deepEqual(refused, { code: -32602, message: "Method does not support commitment below `confirmed`" });
    }
  });

  test("gets the very bytes of a transaction", async () => {
    const paid = await payer.pay("customer", { recipient: await payer.address("bytes"), amount: "1" });
    const { transaction } = await shim.transaction(paid.signature, { encoding: "base64" });
    assert.deepEqual(transaction, [paid.transaction, "base64"]);
  });

  test("reads token accounts as bytes and parsed, with the program that they belong to", async () => {
    const owner = await payer.address("holder");
    const { mint: twin } = await shim.call("shim_createMint", { decimals: 6, program: TOKEN_2022 });
    const { account } = await shim.call("shim_mintTo", { mint: world.usd, owner, amount: 1_500_000 });
    const { account: twinAccount } = await shim.call("shim_mintTo", { mint: twin, owner, amount: "2" });
    await shim.slots();
    const read = async (filter) =>
      (await shim.call("getTokenAccountsByOwner", owner, filter, { commitment: "confirmed", encoding: "jsonParsed" }))
        .value;
    const [found, ...others] = await read({ mint: world.usd });
    assert.deepEqual([found.pubkey, others], [account, []]);
    const { info } = found.account.data.parsed;
    assert.deepEqual([info.mint, info.owner, info.state, info.isNative], [world.usd, owner, "initialized", false]);
    assert.deepEqual(info.tokenAmount, { amount: "1500000", decimals: 6, uiAmount: 1.5, uiAmountString: "1.5" });
    assert.deepEqual(
      (await read({ programId: TOKEN_2022 })).map(({ pubkey }) => pubkey),
      [twinAccount],
    );

    const options = { commitment: "confirmed", encoding: "base64" };
    const { value } = await shim.call("getMultipleAccounts", [account, NOBODY, world.usd], options);
    const [bytes, encoding] = value[0].data;
    assert.deepEqual(
      [encoding, Buffer.from(bytes, "base64").readBigUInt64LE(64), value[0].space],
      ["base64", 1_500_000n, 165],
    );
    assert.deepEqual([value[1], Buffer.from(value[2].data[0], "base64")[44]], [null, 6]);
    assert.deepEqual((await shim.call("getAccountInfo", account, options)).value, value[0]);
    const sliced = await shim.call("getAccountInfo", account, { ...options, dataSlice: { offset: 64, length: 8 } });
    assert.equal(Buffer.from(sliced.value.data[0], "base64").readBigUInt64LE(), 1_500_000n);
    const mint = await shim.call("getAccountInfo", twin, { ...options, encoding: "jsonParsed" });
    assert.deepEqual([mint.value.data.program, mint.value.data.parsed.info.supply], ["spl-token-2022", "2"]);
    const wrappedSol = await shim.call("getAccountInfo", WRAPPED_SOL, { ...options, encoding: "jsonParsed" });
    assert.equal(wrappedSol.value.data.parsed.info.decimals, 9);
  });

  test("is told what is no token account, and what is not there", async () => {
    const message = async (address) =>
      (await shim.refusal("getTokenAccountBalance", address, { commitment: "confirmed" })).message;
    assert.equal(await message(NOBODY), "Invalid param: could not find account");
    assert.equal(await message(world.customer), "Invalid param: not a Token account");
    assert.equal((await shim.call("getAccountInfo", NOBODY)).value, null);
    assert.equal((await shim.call("getBalance", NOBODY)).value, 0);
  });

  test("finds a transaction in its block, and blocks in a chain", async () => {
    const paid = await payer.pay("customer", { recipient: await payer.address("block"), amount: "1" });
    const read = (slot, options) =>
      shim.call("getBlock", slot, { commitment: "confirmed", maxSupportedTransactionVersion: 0, ...options });
    const block = await read(paid.slot);
    assert.deepEqual(
      block.transactions.map(({ transaction }) => transaction.signatures[0]),
      [paid.signature],
    );
    assert.deepEqual((await read(paid.slot, { transactionDetails: "signatures" })).signatures, [paid.signature]);
    const parent = await read(block.parentSlot);
    assert.deepEqual([block.previousBlockhash, block.blockHeight], [parent.blockhash, parent.blockHeight + 1]);
    assert.equal(await shim.call("getBlockTime", paid.slot), block.blockTime);
    assert.equal((await shim.transaction(paid.signature)).blockTime, block.blockTime);
    assert.equal((await shim.refusal("getBlockTime", paid.slot + 1)).code, -32004);
    assert.equal((await shim.refusal("getBlock", 5)).code, -32007);
  });

  test("who asks for a later slot than there is gets -32016 with the slot", async () => {
    const slot = await shim.call("getSlot", { commitment: "confirmed" });
    assert.equal(await shim.call("getSlot", { commitment: "confirmed", minContextSlot: slot }), slot);
    const refused = await shim.refusal("getBalance", NOBODY, { commitment: "confirmed", minContextSlot: slot + 1 });
    assert.deepEqual([refused.code, refused.data], [-32016, { contextSlot: slot }]);
  });

  test("counts more slots than blocks", async () => {
    const commitment = { commitment: "confirmed" };
    const [slot, height] = [await shim.call("getSlot", commitment), await shim.call("getBlockHeight", commitment)];
    assert(height < slot);
    const { value } = await shim.call("getLatestBlockhash", commitment);
    assert.equal(value.lastValidBlockHeight, height + 150);
  });
});

// What payments look like to somebody who reads the chain.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { TOKEN_2022, World } from "./support.mjs";

/** By how much each owner's tokens changed in a transaction, from its balances alone. */
function changes({ meta }) {
  const sum = new Map();
  const count = (balances, sign) => {
    for (const { owner, mint, uiTokenAmount } of balances) {
      const key = `${owner} ${mint}`;
      sum.set(key, (sum.get(key) ?? 0n) + sign * BigInt(uiTokenAmount.amount));
    }
  };
  count(meta.preTokenBalances, -1n);
  count(meta.postTokenBalances, 1n);
  return (owner, mint) => sum.get(`${owner} ${mint}`) ?? 0n;
}

const keysOf = ({ transaction, meta }) => [
  ...transaction.message.accountKeys,
  ...meta.loadedAddresses.writable,
  ...meta.loadedAddresses.readonly,
];

describe("a payment", () => {
  let world, shim, payer;
  const reference = async (name) => payer.address(`reference ${name}`);
  const uri = (amount, rest = "") => `solana:${world.merchant}?amount=${amount}&spl-token=${world.usd}${rest}`;

  before(async () => {
    world = await World.create();
    ({ shim, payer } = world);
  });
  after(() => world.stop());

  test("to a wallet that never had the token creates its account and is found by its reference, with its memo", async () => {
    const key = await reference("first");
    const paid = await payer.pay("customer", { uri: uri("12.34", `&reference=${key}&memo=INV-1`) });
    const [listed, ...others] = await shim.signatures(key);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [listed.signature, listed.memo, listed.err, listed.confirmationStatus, listed.slot],
      [paid.signature, "[5] INV-1", null, "confirmed", paid.slot],
    );
    const transaction = await shim.transaction(paid.signature);
    const change = changes(transaction);
    assert.deepEqual([change(world.merchant, world.usd), change(world.customer, world.usd)], [12_340_000n, -12_340_000n]);
    assert.equal(transaction.blockTime, listed.blockTime);
    assert.equal(await shim.tokens(paid.destinations[0]), "12340000");
    // The customer paid the rent of the merchant's token account beside the fee.
    const { preBalances, postBalances, fee } = transaction.meta;
    assert.deepEqual([fee, preBalances[0] - postBalances[0]], [5_000, 5_000 + 2_039_280]);
  });

  test("without its reference is listed by the merchant's token account, and not by the wallet", async () => {
    const key = await reference("dropped");
    const till = await world.till();
    const paid = await payer.pay("customer", {
      uri: uri("1", `&reference=${key}`),
      omit: ["references"],
      create_token_account: false,
    });
    assert.equal((await shim.signatures(till))[0].signature, paid.signature);
    assert.deepEqual(await shim.signatures(key), []);
    const ofWallet = await shim.signatures(world.merchant);
    assert(!ofWallet.some(({ signature }) => signature === paid.signature));
    assert(!keysOf(await shim.transaction(paid.signature)).includes(world.merchant));
  });

  test("that failed is listed by its reference, with its error, and moved nothing but the fee", async () => {
    const key = await reference("failed");
    const till = await world.till();
    const before = await shim.tokens(till);
    const paid = await payer.pay(
      "customer",
      { uri: uri("5", `&reference=${key}`), create_token_account: false },
      { fail: true },
    );
    const err = { InstructionError: [1, { Custom: 1 }] };
    assert.deepEqual(paid.err, err);
    assert.deepEqual(
      (await shim.signatures(key)).map((listed) => listed.err),
      [err],
    );
    const { meta } = await shim.transaction(paid.signature);
    assert.deepEqual([meta.err, meta.status, meta.fee], [err, { Err: err }, 5_000]);
    assert.deepEqual(meta.preTokenBalances, meta.postTokenBalances);
    assert.equal(meta.preBalances[0] - meta.postBalances[0], 5_000);
    assert.equal(await shim.tokens(till), before);
  });

  test("that would fail is refused by preflight, with the reason, and is nowhere", async () => {
    const key = await reference("refused");
    const refused = await payer.refusal(
      "customer",
      { uri: uri("5", `&reference=${key}`) },
      { fail: true, skip_preflight: false },
    );
    assert.equal(refused.code, -32002);
    assert(refused.logs.includes("Program 11111111111111111111111111111111 failed: custom program error: 0x1"));
    await shim.slots();
    assert.deepEqual(await shim.signatures(key), []);
  });

  test("in SOL is found by its reference, by the wallet, and in its lamports", async () => {
    const key = await reference("sol");
    const paid = await payer.pay("customer", { uri: `solana:${world.merchant}?amount=0.5&reference=${key}` });
    for (const address of [key, world.merchant])
      assert.equal((await shim.signatures(address))[0].signature, paid.signature);
    const transaction = await shim.transaction(paid.signature);
    const index = keysOf(transaction).indexOf(world.merchant);
    assert.equal(transaction.meta.postBalances[index] - transaction.meta.preBalances[index], 500_000_000);
    assert.deepEqual(transaction.meta.postTokenBalances, []);
  });

  test("in SOL that leaves a new wallet too poor for its rent is refused by the runtime", async () => {
    const recipient = await payer.address("somebody new");
    const refused = await payer.refusal("customer", { recipient, amount: "0.000001" });
    assert.equal(refused.code, -32002);
    assert.match(refused.message, /insufficient funds for rent/);
    const paid = await payer.pay("customer", { recipient, amount: "0.000001" }, { skip_preflight: true });
    assert.deepEqual(paid.err, { InsufficientFundsForRent: { account_index: 1 } });
    assert.equal(await shim.lamports(recipient), 0);
    await payer.pay("customer", { recipient, amount: "0.00089088" });
    assert.equal(await shim.lamports(recipient), 890_880);
  });

  test("in a Token-2022 token with a fee counts less than was sent, by its balances", async () => {
    const fee = { basis_points: 100 };
    const { mint } = await shim.call("shim_createMint", { decimals: 6, program: TOKEN_2022, fee });
    await shim.call("shim_mintTo", { mint, owner: world.customer, amount: "20000000" });
    await shim.slots();
    const paid = await payer.pay("customer", { recipient: world.merchant, mint, amount: "10" });
    const transaction = await shim.transaction(paid.signature);
    const change = changes(transaction);
    assert.deepEqual([change(world.merchant, mint), change(world.customer, mint)], [9_900_000n, -10_000_000n]);
    assert.deepEqual([...new Set(transaction.meta.postTokenBalances.map(({ programId }) => programId))], [TOKEN_2022]);
  });

  test("whose keys are in a lookup table is found by its reference and counted", async () => {
    const key = await reference("table");
    const till = await world.till();
    const { table } = await shim.call("shim_createLookupTable", [key, world.usd, till]);
    await shim.slots();
    const one = { uri: uri("3", `&reference=${key}`), create_token_account: false };
    const paid = await payer.pay("customer", one, { lookup_table: table });
    assert.equal((await shim.signatures(key))[0].signature, paid.signature);
    assert.equal((await shim.signatures(till))[0].signature, paid.signature);
    const transaction = await shim.transaction(paid.signature);
    assert.equal(transaction.version, 0);
    const [lookup, ...others] = transaction.transaction.message.addressTableLookups;
    const held = [key, world.usd, till];
    assert.deepEqual([lookup.accountKey, others], [table, []]);
    assert.deepEqual(transaction.meta.loadedAddresses, {
      writable: lookup.writableIndexes.map((index) => held[index]),
      readonly: lookup.readonlyIndexes.map((index) => held[index]),
    });
    assert.deepEqual(transaction.meta.loadedAddresses.writable, [till]);
    assert.deepEqual(transaction.meta.loadedAddresses.readonly.toSorted(), [key, world.usd].toSorted());
    assert.equal(transaction.transaction.message.accountKeys.length, 3);
    assert.equal(transaction.meta.preBalances.length, 6);
    assert.equal(changes(transaction)(world.merchant, world.usd), 3_000_000n);
  });

  test("through a lookup table that a fork took away is refused, and never lands", async () => {
    const { value: stays } = await shim.call("getLatestBlockhash", { commitment: "processed" });
    const slot = await shim.call("getSlot", { commitment: "processed" });
    const { table } = await shim.call("shim_createLookupTable", [world.merchant]);
    await shim.slots();
    const one = { recipient: world.merchant, amount: "0.1" };
    const params = {
      rpc: shim.url,
      wallet: "customer",
      payments: [one],
      lookup_table: table,
      blockhash: stays.blockhash,
      send: false,
    };
    const { transaction, signature } = await payer.ask("pay", params);
    await shim.call("shim_dropAfter", slot);
    const refused = await shim.refusal("sendTransaction", transaction, { encoding: "base64" });
    assert.deepEqual([refused.code, refused.data.err], [-32002, "AddressLookupTableNotFound"]);
    assert.equal(await shim.call("sendTransaction", transaction, { encoding: "base64", skipPreflight: true }), signature);
    await shim.slots();
    assert.equal(await shim.transaction(signature), null);
  });

  test("is signed the same whoever made its message, and by nobody but its signers", async () => {
    const payments = [{ recipient: world.merchant, amount: "0.1" }];
    const { transaction } = await payer.ask("pay", { rpc: shim.url, wallet: "customer", payments, send: false });
    // Behind the number of signatures and the only one.
    const message = Buffer.from(transaction, "base64").subarray(65).toString("base64");
    assert.deepEqual(await payer.ask("sign", { message, wallets: ["customer"] }), { transaction });
    for (const wallets of [[], ["merchant"]]) await assert.rejects(payer.ask("sign", { message, wallets }));
  });

  test("with a memo is listed with it whichever program it is of", async () => {
    const programs = ["Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo", "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"];
    for (const memo_program of programs) {
      const paid = await payer.pay("customer", { recipient: world.merchant, amount: "0.1", memo: "INV-9", memo_program });
      const [listed] = await shim.call("getSignaturesForAddress", world.merchant, { limit: 1, commitment: "confirmed" });
      assert.deepEqual([listed.signature, listed.memo], [paid.signature, "[5] INV-9"]);
    }
  });

  test("by an inner instruction is listed as such and counted by its balances", async () => {
    const till = await world.till();
    const tokens = await payer.pay("customer", { uri: uri("2"), inner: true, create_token_account: false });
    const ofTokens = await shim.transaction(tokens.signature);
    const { address: relay } = await payer.ask("relay");
    const { message } = ofTokens.transaction;
    assert.deepEqual(
      message.instructions.map(({ programIdIndex }) => message.accountKeys[programIdIndex]),
      [relay],
    );
    const [{ index, instructions }] = ofTokens.meta.innerInstructions;
    assert.deepEqual([index, instructions.length, instructions[0].stackHeight], [0, 1, 2]);
    assert.match(message.accountKeys[instructions[0].programIdIndex], /^Token/);
    assert.equal(changes(ofTokens)(world.merchant, world.usd), 2_000_000n);
    assert.equal((await shim.signatures(till))[0].signature, tokens.signature);

    const before = await shim.lamports(world.merchant);
    await payer.pay("customer", { recipient: world.merchant, amount: "0.25", inner: true });
    assert.equal((await shim.lamports(world.merchant)) - before, 250_000_000);
  });

  test("to several invoices in one transaction is found by each reference", async () => {
    const keys = [await reference("one of two"), await reference("two of two")];
    const paid = await payer.pay(
      "customer",
      keys.map((key, index) => ({ uri: uri(`${index + 1}`, `&reference=${key}&memo=INV-${index}`) })),
    );
    for (const key of keys) {
      const [listed] = await shim.signatures(key);
      assert.deepEqual([listed.signature, listed.memo], [paid.signature, "[5] INV-0; [5] INV-1"]);
    }
    assert.equal(changes(await shim.transaction(paid.signature))(world.merchant, world.usd), 3_000_000n);
  });

  test("of tokens to the wallet's own address fails, and of SOL to a token account arrives there", async () => {
    const till = await world.till();
    const wrong = { recipient: world.merchant, mint: world.usd, amount: "1", destination: world.merchant };
    const paid = await payer.pay("customer", wrong, { skip_preflight: true });
    assert.deepEqual(paid.err, { InstructionError: [0, "InvalidAccountData"] });
    const before = await shim.lamports(till);
    await payer.pay("customer", { recipient: world.merchant, amount: "0.1", destination: till });
    assert.equal((await shim.lamports(till)) - before, 100_000_000);
  });

  test("into a frozen token account is refused until it is thawed", async () => {
    const one = { uri: uri("1") };
    await shim.call("shim_setFrozen", { mint: world.usd, owner: world.merchant, frozen: true });
    await shim.slots();
    assert.equal((await payer.refusal("customer", one)).code, -32002);
    await shim.call("shim_setFrozen", { mint: world.usd, owner: world.merchant, frozen: false });
    await shim.slots();
    assert.equal((await payer.pay("customer", one)).err, null);
  });
});

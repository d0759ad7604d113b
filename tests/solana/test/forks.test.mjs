// What a fork takes away, and what it leaves.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { World } from "./support.mjs";

describe("a fork", () => {
  let world, shim, payer, till;
  const head = () => shim.call("getSlot", { commitment: "processed" });
  const pay = (amount, options) =>
    payer.pay("customer", { recipient: world.merchant, mint: world.usd, amount, create_token_account: false }, options);

  before(async () => {
    world = await World.create();
    ({ shim, payer } = world);
    till = await world.till();
  });
  after(() => world.stop());

  test("drops a confirmed payment: it is listed nowhere, and the balances go back", async () => {
    const [kept, slot] = [await pay("1"), await head()];
    const before = await Promise.all([shim.tokens(till), shim.tokens(world.purse), shim.lamports(world.customer)]);
    const dropped = await pay("2");
    assert.equal((await shim.signatures(till))[0].signature, dropped.signature);

    const fork = await shim.call("shim_dropAfter", slot);
    assert.deepEqual(fork.dropped, [{ signature: dropped.signature, transaction: dropped.transaction }]);
    assert.deepEqual((await shim.signatures(till)).map(({ signature }) => signature)[0], kept.signature);
    assert.equal(await shim.transaction(dropped.signature), null);
    const { value } = await shim.call("getSignatureStatuses", [dropped.signature], { searchTransactionHistory: true });
    assert.deepEqual(value, [null]);
    const after = await Promise.all([shim.tokens(till), shim.tokens(world.purse), shim.lamports(world.customer)]);
    assert.deepEqual(after, before);
    assert.equal(await shim.tokens(till, "confirmed"), before[0]);
  });

  test("goes on with later slots after the last block that stays", async () => {
    await shim.slots();
    const slot = await head();
    await shim.slots(3);
    const { slot: next } = await shim.call("shim_dropAfter", slot);
    assert.equal(next, slot + 4);
    await shim.slots();
    const block = await shim.call("getBlock", next, { commitment: "confirmed" });
    const parent = await shim.call("getBlock", slot - 1, { commitment: "confirmed" });
    assert.deepEqual(
      [block.parentSlot, block.previousBlockhash, block.blockHeight],
      [slot - 1, parent.blockhash, parent.blockHeight + 1],
    );
    for (let skipped = slot; skipped < next; ++skipped) {
      assert.equal((await shim.refusal("getBlock", skipped, { commitment: "confirmed" })).code, -32007);
    }
    assert(parent.blockTime <= block.blockTime);
  });

  test("lets a dropped transaction land again in another slot, as the same signature", async () => {
    const { value } = await shim.call("getLatestBlockhash", { commitment: "processed" });
    const slot = await head();
    const paid = await pay("3", { blockhash: value.blockhash });
    const held = await shim.tokens(till);
    const { dropped } = await shim.call("shim_dropAfter", slot);
    await shim.call("sendTransaction", dropped[0].transaction, { encoding: "base64" });
    await shim.slots();
    const again = await shim.transaction(paid.signature);
    assert(paid.slot < again.slot);
    assert.equal(await shim.tokens(till), held);
    assert.deepEqual((await shim.signatures(till)).filter(({ signature }) => signature === paid.signature).length, 1);
  });

  test("makes block hashes of the other fork good for nothing", async () => {
    const slot = await head();
    await shim.slots();
    const paid = await pay("4");
    const { dropped } = await shim.call("shim_dropAfter", slot);
    const refused = await shim.refusal("sendTransaction", dropped[0].transaction, { encoding: "base64" });
    assert.deepEqual([dropped[0].signature, refused.data.err], [paid.signature, "BlockhashNotFound"]);
  });

  test("takes back accounts that were created, and lets them be created again", async () => {
    const owner = await payer.address("short-lived");
    const slot = await head();
    const { account } = await shim.call("shim_mintTo", { mint: world.usd, owner, amount: 7 });
    await shim.call("shim_dropAfter", slot);
    assert.equal((await shim.call("getAccountInfo", account, { commitment: "processed", encoding: "base64" })).value, null);
    await shim.slots();
    assert.equal((await shim.call("shim_mintTo", { mint: world.usd, owner, amount: 7 })).account, account);
    assert.equal(await shim.tokens(account), "7");
  });

  test("after another takes back what each of them left", async () => {
    const held = await shim.tokens(till);
    const slot = await head();
    for (let round = 0; round < 8; ++round) {
      await pay("1");
      await pay("1");
      const to = (await head()) - 1 - (round % 2);
      const { dropped } = await shim.call("shim_dropAfter", to);
      assert.equal(dropped.length, 1 + (round % 2));
    }
    const left = (await shim.signatures(till)).filter((listed) => slot <= listed.slot).length;
    assert.equal(BigInt(await shim.tokens(till)) - BigInt(held), BigInt(left) * 1_000_000n);
    await shim.call("shim_dropAfter", slot);
    assert.equal(await shim.tokens(till), held);
  });

  test("cannot go back before the chain began, nor start in the future", async () => {
    for (const slot of [0, 100, (await head()) + 1])
      assert.equal((await shim.refusal("shim_dropAfter", slot)).code, -32602);
    assert.deepEqual((await shim.call("shim_dropAfter", await head())).dropped, []);
  });
});

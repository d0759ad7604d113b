// How long a transaction may wait, and what happens to one that is sent twice.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import {
  appendTransactionMessageInstructions,
  createTransactionMessage,
  getBase64EncodedWireTransaction,
  getSignatureFromTransaction,
  pipe,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  setTransactionMessageLifetimeUsingDurableNonce,
  signTransactionMessageWithSigners,
} from "@solana/kit";
import {
  getCreateAccountInstruction,
  getInitializeNonceAccountInstruction,
  getNonceDecoder,
  getTransferSolInstruction,
} from "@solana-program/system";

import { testSigner } from "../src/keys.mjs";
import { SYSTEM_PROGRAM } from "../src/vm.mjs";
import { World } from "./support.mjs";

describe("a transaction", () => {
  let world, shim, payer;
  const build = async (name, options) => {
    const payments = [{ recipient: await payer.address(name), amount: "1" }];
    return payer.ask("pay", { rpc: shim.url, wallet: "customer", payments, send: false, ...options });
  };
  const send = ({ transaction }, options) =>
    shim.answer("sendTransaction", transaction, { encoding: "base64", ...options });

  before(async () => {
    world = await World.create();
    ({ shim, payer } = world);
  });
  after(() => world.stop());

  test("lands with a block hash of 150 blocks ago, and not with an older one", async () => {
    const { value } = await shim.call("getLatestBlockhash", { commitment: "processed" });
    const [first, second] = [
      await build("in time", { blockhash: value.blockhash }),
      await build("too late", { blockhash: value.blockhash }),
    ];
    await shim.slots(149);
    assert.equal(await shim.call("getBlockHeight", { commitment: "processed" }), value.lastValidBlockHeight);
    assert.equal((await send(first)).result, first.signature);

    await shim.slots();
    const { error } = await send(second);
    assert.deepEqual([error.code, error.data.err], [-32002, "BlockhashNotFound"]);
    assert.equal(error.message, "Transaction simulation failed: Blockhash not found");
    // Without preflight a node takes it, and nothing ever comes of it.
    assert.equal((await send(second, { skipPreflight: true })).result, second.signature);
    await shim.slots();
    const statuses = await shim.call("getSignatureStatuses", [first.signature, second.signature]);
    assert.deepEqual(
      statuses.value.map((status) => status?.err),
      [null, undefined],
    );
    assert.equal((await shim.call("isBlockhashValid", value.blockhash, { commitment: "processed" })).value, false);
  });

  test("lands once, however often it is sent", async () => {
    const built = await build("twice");
    assert.equal((await send(built)).result, built.signature);
    const { error } = await send(built);
    assert.deepEqual([error.code, error.data.err], [-32002, "AlreadyProcessed"]);
    assert.equal((await send(built, { skipPreflight: true })).result, built.signature);
    assert.equal(await shim.lamports(await payer.address("twice")), 1_000_000_000);
  });

  test("with another's signature is refused, and without preflight never lands", async () => {
    const [built, other] = [await build("forged"), await build("other")];
    const wire = Buffer.from(built.transaction, "base64");
    Buffer.from(other.transaction, "base64").copy(wire, 1, 1, 65);
    const forged = { transaction: wire.toString("base64") };
    assert.equal((await send(forged)).error.code, -32003);
    assert.equal((await send(forged, { skipPreflight: true })).result, other.signature);
    wire.fill(0, 1, 65);
    assert.equal((await send({ transaction: wire.toString("base64") })).error.code, -32003);
    await shim.slots();
    assert.equal(await shim.transaction(other.signature), null);
    assert.equal(await shim.lamports(await payer.address("forged")), 0);
  });

  test("of somebody without a fee is refused, and without preflight never lands", async () => {
    const built = await build("anybody", { wallet: "penniless" });
    const { error } = await send(built);
    assert.deepEqual([error.code, error.data.err], [-32002, "AccountNotFound"]);
    assert.equal((await send(built, { skipPreflight: true })).result, built.signature);
    await shim.slots();
    assert.equal(await shim.transaction(built.signature), null);
  });

  test("may come in base58, which is what nodes expect unless told", async () => {
    const built = await build("in base58");
    const { transaction } = await shim.call(
      "getTransaction",
      (await payer.pay("customer", { recipient: world.merchant, amount: "1" })).signature,
      {
        commitment: "confirmed",
        encoding: "base58",
      },
    );
    assert.equal((await shim.refusal("sendTransaction", transaction[0])).data.err, "AlreadyProcessed");
    assert.equal((await shim.refusal("sendTransaction", built.transaction)).code, -32602);
  });

  test("may live by a durable nonce instead, as those signed offline do, and lands once", async () => {
    const [signer, nonceAccount] = await Promise.all(["customer", "nonce account"].map(testSigner));
    const signed = async (instructions, lifetime) => {
      const message = pipe(
        createTransactionMessage({ version: "legacy" }),
        (message) => setTransactionMessageFeePayerSigner(signer, message),
        (message) => appendTransactionMessageInstructions(instructions, message),
        lifetime,
      );
      const transaction = await signTransactionMessageWithSigners(message);
      return {
        transaction: getBase64EncodedWireTransaction(transaction),
        signature: getSignatureFromTransaction(transaction),
      };
    };
    const { value: latest } = await shim.call("getLatestBlockhash", { commitment: "confirmed" });
    const creation = [
      getCreateAccountInstruction({
        payer: signer,
        newAccount: nonceAccount,
        lamports: 2_000_000,
        space: 80,
        programAddress: SYSTEM_PROGRAM,
      }),
      getInitializeNonceAccountInstruction({ nonceAccount: nonceAccount.address, nonceAuthority: signer.address }),
    ];
    const created = await signed(creation, (message) =>
      setTransactionMessageLifetimeUsingBlockhash({ ...latest, lastValidBlockHeight: 0n }, message),
    );
    assert.equal((await send(created)).error, undefined);
    await shim.slots();

    const nonce = async () => {
      const { value } = await shim.call("getAccountInfo", nonceAccount.address, {
        commitment: "confirmed",
        encoding: "base64",
      });
      return getNonceDecoder().decode(Buffer.from(value.data[0], "base64")).blockhash;
    };
    const first = await nonce();
    const pay = (amount) =>
      signed([getTransferSolInstruction({ source: signer, destination: world.merchant, amount })], (message) =>
        setTransactionMessageLifetimeUsingDurableNonce(
          { nonce: first, nonceAccountAddress: nonceAccount.address, nonceAuthorityAddress: signer.address },
          message,
        ),
      );
    const [one, other] = [await pay(1_000_000_000n), await pay(2_000_000_000n)];
    await shim.slots(200);
    assert.equal((await send(one)).result, one.signature);
    assert.equal((await send(other)).error.data.err, "BlockhashNotFound");
    await shim.slots();
    assert.notEqual(await nonce(), first);
    assert.equal((await shim.transaction(one.signature)).meta.err, null);
  });
});

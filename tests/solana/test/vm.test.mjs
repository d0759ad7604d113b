// The VM and the chain by themselves.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  AccountRole,
  appendTransactionMessageInstructions,
  createTransactionMessage,
  getTransactionEncoder,
  pipe,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
} from "@solana/kit";
import { getTransferSolInstruction } from "@solana-program/system";

import { Chain } from "../src/chain.mjs";
import { CountingClock } from "../src/clock.mjs";
import { testSigner } from "../src/keys.mjs";
import { relayAddress, relayProgram } from "../src/relay.mjs";
import { TOKEN, TOKEN_2022 } from "../src/tokens.mjs";
import { readTransaction } from "../src/transaction.mjs";
import { SYSTEM_PROGRAM, Vm } from "../src/vm.mjs";

const PROGRAMS = [
  SYSTEM_PROGRAM,
  TOKEN,
  TOKEN_2022,
  "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL",
  "AddressLookupTab1e1111111111111111111111111",
  "BPFLoader2111111111111111111111111111111111",
  "BPFLoaderUpgradeab1e11111111111111111111111",
  "ComputeBudget111111111111111111111111111111",
  "Ed25519SigVerify111111111111111111111111111",
  "KeccakSecp256k11111111111111111111111111111",
  "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
  "Stake11111111111111111111111111111111111111",
  "Vote111111111111111111111111111111111111111",
  "SysvarC1ock11111111111111111111111111111111",
];
const BLOCKHASH = "8".repeat(43);
const wire = getTransactionEncoder();

test("random instructions to every program end in an outcome, keep all lamports but the fee, and can be undone", async () => {
  const vm = new Vm();
  const relay = await relayAddress();
  vm.addProgram(relay, relayProgram());
  vm.enter(1, 1_800_000_000, [{ slot: 0, hash: BLOCKHASH }]);
  const [payer, ...others] = await Promise.all(["payer", "one", "two", "three"].map(testSigner));
  const addresses = [payer, ...others].map(({ address }) => address);
  for (const address of addresses) vm.setAccount(1, address, { lamports: 10_000_000_000n });
  const everything = [...addresses, ...PROGRAMS, relay];
  const before = everything.map((address) => vm.account(address));

  let seed = 7;
  const below = (most) => (seed = (seed * 48_271) % 2_147_483_647) % most;
  const pick = (list) => list[below(list.length)];
  const outcomes = { refused: 0, failed: 0, succeeded: 0 };
  for (let round = 0; round < 300; ++round) {
    const invoked = Array.from({ length: 1 + below(3) }, () => pick([...PROGRAMS, relay]));
    const transfer = () =>
      getTransferSolInstruction({ source: pick([payer, ...others]), destination: pick(addresses), amount: below(1_000) });
    const random = (programAddress) => ({
      programAddress,
      accounts: Array.from({ length: below(6) }, () => {
        const signer = pick([payer, ...others]);
        const address = pick(everything);
        // The package refuses to build what writes to a program that it calls.
        const roles = [...invoked, SYSTEM_PROGRAM].includes(address)
          ? [AccountRole.READONLY]
          : [AccountRole.READONLY, AccountRole.WRITABLE];
        return below(3) === 0
          ? { address, role: pick(roles) }
          : { address: signer.address, role: pick([AccountRole.READONLY_SIGNER, AccountRole.WRITABLE_SIGNER]), signer };
      }),
      // Small numbers first: they name instructions.
      data: Uint8Array.from({ length: below(40) }, (_, index) =>
        index % 4 === 0 ? below(20) : below(4) === 0 ? below(256) : 0,
      ),
    });
    const instructions = invoked.map((program) => (below(2) === 0 ? transfer() : random(program)));
    const message = pipe(
      createTransactionMessage({ version: pick(["legacy", 0]) }),
      (message) => setTransactionMessageFeePayerSigner(payer, message),
      (message) => setTransactionMessageLifetimeUsingBlockhash({ blockhash: BLOCKHASH, lastValidBlockHeight: 0n }, message),
      (message) => appendTransactionMessageInstructions(instructions, message),
    );
    const bytes = new Uint8Array(wire.encode(await signTransactionMessageWithSigners(message)));
    if (1232 < bytes.length) continue;
    const transaction = readTransaction(bytes);
    vm.simulate(transaction);
    const { landed, err, fee } = vm.execute(2 + round, transaction);
    if (landed) assert.equal(fee, 5_000n * BigInt(transaction.signatures.length) + precompileFee(transaction));
    outcomes[!landed ? "refused" : err === null ? "succeeded" : "failed"] += 1;
  }
  assert(
    Object.values(outcomes).every((times) => 3 < times),
    JSON.stringify(outcomes),
  );

  vm.restore(2);
  assert.deepEqual(
    everything.map((address) => vm.account(address)),
    before,
  );
});

/** Signatures that precompiled programs check cost as much as the transaction's own. */
function precompileFee({ instructions, staticKeys }) {
  return instructions.reduce((sum, { programIdIndex, data }) => {
    const isPrecompile = /^(Ed25519|KeccakSecp)/.test(staticKeys[programIdIndex]);
    return sum + (isPrecompile && data.length > 0 ? 5_000n * BigInt(data[0]) : 0n);
  }, 0n);
}

test("an account is what it was at each slot, however often it changed", () => {
  const vm = new Vm();
  const address = "8".repeat(43);
  for (const [slot, lamports] of [
    [5, 1n],
    [5, 2n],
    [7, 3n],
    [9, 4n],
  ])
    vm.setAccount(slot, address, { lamports });
  const held = (slot) => vm.account(address, slot)?.lamports;
  assert.deepEqual([4, 5, 6, 7, 8, 9, 10].map(held), [undefined, 2n, 2n, 3n, 3n, 4n, 4n]);
  vm.restore(6);
  assert.deepEqual([4, 5, 6, 9].map(held), [undefined, 2n, 2n, 2n]);
  vm.restore(5);
  assert.equal(held(9), undefined);
});

test("a chain that goes on for days keeps its newest blocks", () => {
  const chain = new Chain(new Vm(), new CountingClock(0), { genesis: BLOCKHASH, finalizedAfter: 31, keptBlocks: 160 });
  chain.advance(1_000);
  const { head, firstSlot } = chain;
  assert(160 <= head - firstSlot && head - firstSlot <= 320);
  assert.deepEqual(
    [chain.block(firstSlot).slot, chain.block(firstSlot - 1), chain.block(head - 1).parent],
    [firstSlot, undefined, head - 2],
  );
  assert(chain.isUsable(chain.block(head - 150).hash) && !chain.isUsable(chain.block(head - 151).hash));
});

// What tests and the demo may do that nobody can on a real network.

import { invalidParams } from "./errors.mjs";
import { MOST_TABLE_ADDRESSES } from "./faucet.mjs";
import { address, base64, boolean, count, exactFields, listOf, method, oneOf, optional, u64 } from "./params.mjs";
import { TOKEN, TOKEN_2022 } from "./tokens.mjs";
import { SYSTEM_PROGRAM } from "./vm.mjs";

/** What takes a few seconds. */
const MOST_SLOTS = 10_000;
const MAX_ACCOUNT_SIZE = 10 * 1024 * 1024;
/** The last second whose thousandths are exact, far beyond any test. */
const LAST_TIME = 8_640_000_000_000;
const MAX_U64 = (1n << 64n) - 1n;

const owned = { mint: address, owner: address };

export const controls = {
  /** Closes so many slots at once; answers the slot that is open then. */
  shim_slots: method([count(MOST_SLOTS)], ({ chain }, slots) => {
    chain.advance(slots);
    return chain.head;
  }),

  /** Stops the ticker, or lets it go on. */
  shim_freeze: method([boolean], ({ chain, ticker }, frozen) => {
    ticker.setFrozen(frozen);
    return chain.head;
  }),

  /** Opens a slot at this time, in epoch seconds; the time goes on from there. */
  shim_setTime: method([count(LAST_TIME)], (node, time) => moveTo(node, time)),

  /** The same, so many seconds later than it is. */
  shim_increaseTime: method([count(LAST_TIME)], (node, seconds) => moveTo(node, node.chain.time + seconds)),

  /** Leaves everything from this slot on for another fork. */
  shim_dropAfter: method([count(Number.MAX_SAFE_INTEGER)], ({ chain }, slot) => {
    if (slot <= chain.firstSlot || chain.head < slot) {
      throw invalidParams(`the slot has to be after ${chain.firstSlot} and at most ${chain.head}`);
    }
    const dropped = chain.dropFrom(slot).map(({ signature, transaction }) => ({
      signature,
      transaction: Buffer.from(transaction.wire).toString("base64"),
    }));
    return { dropped, slot: chain.head };
  }),

  /** Writes an account, or removes it with no lamports. */
  shim_setAccount: method(
    [
      address,
      exactFields({
        lamports: u64,
        owner: optional(address, SYSTEM_PROGRAM),
        data: optional(base64, new Uint8Array()),
      }),
    ],
    ({ vm, chain }, address, { lamports, owner, data }) => {
      if (MAX_ACCOUNT_SIZE < data.length) throw invalidParams("the data is too long for an account");
      if (vm.account(address)?.executable) throw invalidParams("programs stay what they are");
      vm.setAccount(chain.head, address, lamports === 0n ? undefined : { lamports, programAddress: owner, data });
      return null;
    },
  ),

  shim_createMint: method(
    [
      exactFields({
        decimals: count(18),
        program: optional(oneOf(TOKEN, TOKEN_2022), TOKEN),
        fee: optional(exactFields({ basis_points: count(10_000), maximum: optional(u64, MAX_U64) })),
        address: optional(address),
      }),
    ],
    ({ faucet }, mint) => faucet.createMint(mint),
  ),

  shim_createTokenAccount: method([exactFields(owned)], ({ faucet }, { mint, owner }) =>
    faucet.createTokenAccount(mint, owner),
  ),

  shim_mintTo: method([exactFields({ ...owned, amount: u64 })], ({ faucet }, { mint, owner, amount }) =>
    faucet.mintTo(mint, owner, amount),
  ),

  shim_setFrozen: method([exactFields({ ...owned, frozen: boolean })], ({ faucet }, { mint, owner, frozen }) =>
    faucet.setFrozen(mint, owner, frozen),
  ),

  shim_createLookupTable: method([listOf(address, MOST_TABLE_ADDRESSES)], ({ faucet }, addresses) =>
    faucet.createLookupTable(addresses),
  ),
};

function moveTo({ chain, clock }, time) {
  if (time < chain.time) throw invalidParams(`time does not go back; it is ${chain.time}`);
  if (LAST_TIME < time) throw invalidParams("that is too far ahead");
  clock.set(time * 1000);
  chain.advance(1);
  return { slot: chain.head, time: chain.time };
}

// What the payer can be asked to do, by name.

import { address, boolean, count, exactFields, listOf, method, oneOf, optional, text } from "../params.mjs";
import { testSigner } from "../keys.mjs";
import { relayAddress } from "../relay.mjs";
import { flood, pay, signMessage } from "./payment.mjs";
import { parseTransferRequest } from "./uri.mjs";

const MOST_PAYMENTS = 20;
const MOST_REFERENCES = 10;
const MOST_SIGNERS = 20;
const LARGEST_FLOOD = 100_000;

/** One payment: by URI, or put together by the caller; what is said beside a URI goes before what is in it. */
const payment = exactFields({
  uri: optional(text),
  recipient: optional(address),
  amount: optional(text),
  mint: optional(address),
  memo: optional(text),
  memo_program: optional(address),
  references: optional(listOf(address, MOST_REFERENCES)),
  omit: optional(listOf(oneOf("references", "memo"), 2), []),
  destination: optional(address),
  create_token_account: optional(boolean, true),
  inner: optional(boolean, false),
});

export const requests = {
  /** The address of a test key. */
  address: method([exactFields({ wallet: text })], async ({ wallet }) => ({ address: (await testSigner(wallet)).address })),

  /** The address of the program that makes payments by an inner instruction. */
  relay: method([], async () => ({ address: await relayAddress() })),

  /** What a wallet makes of a Solana Pay URI. */
  parse: method([exactFields({ uri: text })], ({ uri }) => parseTransferRequest(uri)),

  pay: method(
    [
      exactFields({
        rpc: text,
        wallet: text,
        payments: listOf(payment, MOST_PAYMENTS),
        version: optional(oneOf("legacy", 0), "legacy"),
        lookup_table: optional(address),
        fail: optional(boolean, false),
        skip_preflight: optional(boolean),
        blockhash: optional(address),
        send: optional(boolean, true),
        await: optional(oneOf("none", "processed", "confirmed", "finalized"), "confirmed"),
      }),
    ],
    pay,
  ),

  /** Signs a message that somebody else made. */
  sign: method([exactFields({ message: text, wallets: listOf(text, MOST_SIGNERS) })], signMessage),

  flood: method([exactFields({ rpc: text, wallet: text, payment, count: count(LARGEST_FLOOD) })], flood),
};

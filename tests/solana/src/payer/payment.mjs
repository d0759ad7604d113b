// Payments as wallets make them: one transaction, built, signed and sent.

import {
  AccountRole,
  appendTransactionMessageInstruction,
  appendTransactionMessageInstructions,
  compressTransactionMessageUsingAddressLookupTables,
  createSolanaRpc,
  createTransactionMessage,
  fetchEncodedAccount,
  getAddressDecoder,
  getBase64EncodedWireTransaction,
  getBase64Encoder,
  getCompiledTransactionMessageDecoder,
  getSignatureFromTransaction,
  pipe,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransaction,
  signTransactionMessageWithSigners,
} from "@solana/kit";
import { LEGACY_MEMO_PROGRAM_ADDRESS_V3, getAddMemoInstruction } from "@solana-program/memo";
import { getTransferSolInstruction } from "@solana-program/system";
import {
  findAssociatedTokenPda,
  getCreateAssociatedTokenIdempotentInstruction,
  getMintDecoder,
  getTransferCheckedInstruction,
} from "@solana-program/token";

import { computeUnitLimit } from "../instructions.mjs";
import { testSigner } from "../keys.mjs";
import { relayAddress } from "../relay.mjs";
import { baseUnits, parseTransferRequest } from "./uri.mjs";

const SOL_DECIMALS = 9;
const LOOKUP_TABLE_HEADER = 56;
/** As many of the largest transactions as a request has room for. */
const BATCH = 25;
const PATIENCE_MS = 30_000;
const ASK_EVERY_MS = 20;
const LEVELS = ["processed", "confirmed", "finalized"];

/** Builds a transaction that makes all the payments, signs it, and sends it unless told not to. */
export async function pay({ rpc: url, wallet, payments, ...options }) {
  const rpc = createSolanaRpc(url);
  const payer = await testSigner(wallet);
  const { destinations, message } = await prepare(rpc, payer, payments, options);
  const { signature, transaction } = await sign(message);
  const answer = { signature, transaction, payer: payer.address, destinations };
  if (!options.send) return answer;

  const skipPreflight = options.skip_preflight ?? options.fail;
  await rpc.sendTransaction(transaction, { encoding: "base64", skipPreflight, preflightCommitment: "confirmed" }).send();
  return options.await === "none" ? answer : { ...answer, ...(await landed(rpc, signature, options.await)) };
}

/** Signs what somebody else made, as a wallet does that is given a message: it has to be one, and all signers are asked. */
export async function signMessage({ message, wallets }) {
  const messageBytes = getBase64Encoder().encode(message);
  const { staticAccounts, header } = getCompiledTransactionMessageDecoder().decode(messageBytes);
  const signatures = Object.fromEntries(staticAccounts.slice(0, header.numSignerAccounts).map((address) => [address, null]));
  const signers = await Promise.all(wallets.map(testSigner));
  const signed = await signTransaction(
    signers.map(({ keyPair }) => keyPair),
    { messageBytes, signatures },
  );
  return { transaction: getBase64EncodedWireTransaction(signed) };
}

/** Makes the same payment many times, as fast as it can, and without asking what became of it. */
export async function flood({ rpc: url, wallet, payment, count }) {
  const rpc = createSolanaRpc(url);
  const payer = await testSigner(wallet);
  const { message } = await prepare(rpc, payer, [payment], { version: "legacy" });
  const signatures = [];
  while (signatures.length < count) {
    const numbers = Array.from(
      { length: Math.min(BATCH, count - signatures.length) },
      (_, index) => signatures.length + index,
    );
    // A different limit makes each another transaction.
    const signed = await Promise.all(
      numbers.map((number) => sign(appendTransactionMessageInstruction(computeUnitLimit(400_000 + number), message))),
    );
    await sendBatch(
      url,
      signed.map(({ transaction }) => transaction),
    );
    signatures.push(...signed.map(({ signature }) => signature));
  }
  return { signatures };
}

async function prepare(rpc, payer, payments, options) {
  const planned = [];
  for (const payment of payments) planned.push(await plan(rpc, payer, payment));
  const instructions = planned.flatMap(({ instructions }) => instructions);
  if (options.fail) instructions.push(await tooLargeTransfer(rpc, payer));
  const blockhash = options.blockhash ?? (await rpc.getLatestBlockhash({ commitment: "confirmed" }).send()).value.blockhash;
  const message = pipe(
    createTransactionMessage({ version: options.lookup_table === undefined ? options.version : 0 }),
    (message) => setTransactionMessageFeePayerSigner(payer, message),
    (message) => setTransactionMessageLifetimeUsingBlockhash({ blockhash, lastValidBlockHeight: 0n }, message),
    (message) => appendTransactionMessageInstructions(instructions, message),
  );
  return {
    destinations: planned.map(({ destination }) => destination),
    message: await compressed(rpc, message, options.lookup_table),
  };
}

async function sign(message) {
  const signed = await signTransactionMessageWithSigners(message);
  return { signature: getSignatureFromTransaction(signed), transaction: getBase64EncodedWireTransaction(signed) };
}

async function sendBatch(url, transactions) {
  const options = { encoding: "base64", skipPreflight: true };
  const batch = transactions.map((transaction, id) => ({
    jsonrpc: "2.0",
    id,
    method: "sendTransaction",
    params: [transaction, options],
  }));
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(batch),
  });
  if (!response.ok) throw new Error(`the batch was answered with ${response.status}`);
  const refused = (await response.json()).find(({ error }) => error !== undefined);
  if (refused !== undefined) throw new Error(refused.error.message);
}

/** What one payment needs: instructions in their order, and the account that they pay into. */
async function plan(rpc, payer, payment) {
  const request = payment.uri === undefined ? payment : { ...parseTransferRequest(payment.uri), ...defined(payment) };
  const { recipient, amount, mint, references = [], memo, memo_program: programAddress = LEGACY_MEMO_PROGRAM_ADDRESS_V3 } = request;
  const isLeftOut = (part) => payment.omit.includes(part);
  if (amount === undefined) throw new Error("there is no amount, and nobody to ask for one");

  const transfer =
    mint === undefined
      ? solTransfer(payer, request.destination ?? recipient, baseUnits(amount, SOL_DECIMALS))
      : await tokenTransfer(rpc, payer, request);
  const paid = transfer.instructions.pop();
  const keys = isLeftOut("references") ? [] : references.map((address) => ({ address, role: AccountRole.READONLY }));
  const referenced = { ...paid, accounts: [...paid.accounts, ...keys] };
  const instructions = [...transfer.instructions];
  // The specification wants the memo right before the transfer.
  if (memo !== undefined && !isLeftOut("memo")) {
    instructions.push(getAddMemoInstruction({ memo }, { programAddress }));
  }
  instructions.push(payment.inner ? await relayed(referenced) : referenced);
  return { destination: transfer.destination, instructions };
}

function solTransfer(source, destination, amount) {
  return { destination, instructions: [getTransferSolInstruction({ source, destination, amount })] };
}

/** To the recipient's associated token account, which is created on the way unless told not to. */
async function tokenTransfer(rpc, payer, { recipient, amount, mint, destination, create_token_account: create }) {
  const { tokenProgram, decimals } = await mintOf(rpc, mint);
  const accountOf = async (owner) => (await findAssociatedTokenPda({ mint, owner, tokenProgram }))[0];
  const source = await accountOf(payer.address);
  const target = destination ?? (await accountOf(recipient));
  const transfer = getTransferCheckedInstruction(
    { source, mint, destination: target, authority: payer, amount: baseUnits(amount, decimals), decimals },
    { programAddress: tokenProgram },
  );
  const creation = getCreateAssociatedTokenIdempotentInstruction({
    payer,
    mint,
    owner: recipient,
    ata: target,
    tokenProgram,
  });
  return { destination: target, instructions: create && destination === undefined ? [creation, transfer] : [transfer] };
}

async function mintOf(rpc, mint) {
  const account = await fetchEncodedAccount(rpc, mint, { commitment: "confirmed" });
  if (!account.exists) throw new Error(`there is no mint ${mint}`);
  return { tokenProgram: account.programAddress, decimals: getMintDecoder().decode(account.data).decimals };
}

/** The same instruction, made by a program. */
async function relayed({ programAddress, accounts, data }) {
  const callee = { address: programAddress, role: AccountRole.READONLY };
  return { programAddress: await relayAddress(), accounts: [callee, ...accounts], data };
}

/** What makes a transaction fail after all it did before. */
async function tooLargeTransfer(rpc, payer) {
  const { value: balance } = await rpc.getBalance(payer.address, { commitment: "processed" }).send();
  return getTransferSolInstruction({ source: payer, destination: payer.address, amount: balance + 1n });
}

/** Everything that the table holds is taken from there. */
async function compressed(rpc, message, table) {
  if (table === undefined) return message;
  const account = await fetchEncodedAccount(rpc, table, { commitment: "confirmed" });
  if (!account.exists) throw new Error(`there is no lookup table ${table}`);
  const decoder = getAddressDecoder();
  const addresses = [];
  for (let at = LOOKUP_TABLE_HEADER; at < account.data.length; at += 32) addresses.push(decoder.decode(account.data, at));
  return compressTransactionMessageUsingAddressLookupTables(message, { [table]: addresses });
}

async function landed(rpc, signature, level) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { value: statuses } = await rpc.getSignatureStatuses([signature]).send();
    const [status] = statuses;
    if (status !== null && LEVELS.indexOf(level) <= LEVELS.indexOf(status.confirmationStatus)) {
      return { slot: status.slot, err: status.err };
    }
    if (deadline < Date.now()) throw new Error(`${signature} is not ${level} after ${PATIENCE_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

const defined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

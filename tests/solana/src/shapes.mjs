// What nodes answer: accounts, transactions and blocks, in the shapes of Solana's JSON-RPC.

import { base58Text } from "./base58.mjs";
import { RpcError, code, invalidParams } from "./errors.mjs";
import { TOKEN, readMint, readTokenAccount, uiTokenAmount } from "./tokens.mjs";

/** Accounts are free of rent; nodes write that as the last epoch there can be. */
const NEVER = (1n << 64n) - 1n;

const MAX_BASE58 = 128;

/** An account in one of the encodings `base58`, `base64` and `jsonParsed`; without one, as very old clients read it. */
export function accountShape(vm, account, encoding, slice) {
  const { lamports, programAddress: owner, executable } = account;
  const parsed = encoding === "jsonParsed" ? parsedData(vm, account) : undefined;
  const data =
    parsed ??
    encodedData(slice ? account.data.subarray(slice.offset, slice.offset + slice.length) : account.data, encoding);
  return { data, executable, lamports, owner, rentEpoch: NEVER, space: account.data.length };
}

function encodedData(bytes, encoding) {
  if (encoding === "base64" || encoding === "jsonParsed") return [Buffer.from(bytes).toString("base64"), "base64"];
  if (MAX_BASE58 < bytes.length) {
    const message = "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.";
    throw new RpcError(code.INVALID_REQUEST, message);
  }
  return encoding === "base58" ? [base58Text(bytes), "base58"] : base58Text(bytes);
}

function parsedData(vm, account) {
  const { programAddress, data } = account;
  const program = programAddress === TOKEN ? "spl-token" : "spl-token-2022";
  const mint = readMint(account);
  if (mint !== undefined) {
    const { decimals, freezeAuthority, mintAuthority, supply } = mint;
    const info = { decimals, freezeAuthority, isInitialized: true, mintAuthority, supply: supply.toString() };
    return { program, parsed: { info, type: "mint" }, space: data.length };
  }
  const tokenAccount = readTokenAccount(account);
  const decimals = tokenAccount && readMint(vm.account(tokenAccount.mint))?.decimals;
  if (decimals === undefined) return undefined;
  const { amount, isFrozen, isNative, mint: mintAddress, owner } = tokenAccount;
  const info = {
    isNative,
    mint: mintAddress,
    owner,
    state: isFrozen ? "frozen" : "initialized",
    tokenAmount: uiTokenAmount(amount, decimals),
  };
  return { program, parsed: { info, type: "account" }, space: data.length };
}

/** A landed transaction with its block's time. */
export function transactionShape(record, options) {
  const { slot, blockTime } = record;
  return { slot, ...withMeta(record, options), blockTime };
}

/** A block and, as far as asked for, what is in it. */
export function blockShape(block, options) {
  const { height, time, hash, parent, previousHash, transactions } = block;
  const shape = {
    blockHeight: height,
    blockTime: time,
    blockhash: hash,
    parentSlot: parent,
    previousBlockhash: previousHash,
  };
  if (options.transactionDetails === "full") shape.transactions = transactions.map((record) => withMeta(record, options));
  if (options.transactionDetails === "signatures") shape.signatures = transactions.map(({ signature }) => signature);
  if (options.rewards) shape.rewards = [];
  return shape;
}

function withMeta(record, { encoding, maxSupportedTransactionVersion }) {
  const { transaction } = record;
  const isKnown = transaction.version === "legacy" || transaction.version <= (maxSupportedTransactionVersion ?? -1);
  if (!isKnown) {
    const message =
      `Transaction version (${transaction.version}) is not supported by the requesting client. Please try the request again ` +
      `with the following configuration parameter: "maxSupportedTransactionVersion": ${transaction.version}`;
    throw new RpcError(code.UNSUPPORTED_VERSION, message);
  }
  return {
    meta: metaShape(record),
    transaction: encodedTransaction(transaction, encoding),
    version: maxSupportedTransactionVersion === undefined ? undefined : transaction.version,
  };
}

function encodedTransaction(transaction, encoding) {
  if (encoding === "base64") return [Buffer.from(transaction.wire).toString("base64"), "base64"];
  if (encoding === "base58") return [base58Text(transaction.wire), "base58"];
  const { signatures, header, staticKeys, blockhash, instructions, lookups, version } = transaction;
  return {
    message: {
      accountKeys: staticKeys,
      addressTableLookups: version === "legacy" ? undefined : lookups,
      header: {
        numReadonlySignedAccounts: header.numReadonlySignedAccounts,
        numReadonlyUnsignedAccounts: header.numReadonlyUnsignedAccounts,
        numRequiredSignatures: header.numRequiredSignatures,
      },
      instructions: instructions.map(({ accounts, data, programIdIndex }) => ({
        accounts,
        data: base58Text(data),
        programIdIndex,
        stackHeight: 1,
      })),
      recentBlockhash: blockhash,
    },
    signatures,
  };
}

function metaShape(record) {
  const { err, fee } = record;
  return {
    computeUnitsConsumed: record.computeUnits,
    err,
    fee,
    innerInstructions: record.innerInstructions,
    loadedAddresses: record.loaded,
    logMessages: record.logs,
    postBalances: record.postBalances,
    postTokenBalances: record.postTokenBalances,
    preBalances: record.preBalances,
    preTokenBalances: record.preTokenBalances,
    returnData: record.returnData,
    rewards: [],
    status: statusShape(err),
  };
}

/** An outcome as it was written before `err` was. */
export const statusShape = (err) => (err === null ? { Ok: null } : { Err: err });

/** A landed transaction in a list of signatures. */
export function signatureShape(record, confirmationStatus) {
  const { signature, slot, err, memo, blockTime } = record;
  return { blockTime, confirmationStatus, err, memo, signature, slot };
}

/** A token account's amount, or the error that nodes give. */
export function tokenAmountShape(vm, account) {
  if (account === undefined) throw invalidParams("Invalid param: could not find account");
  const tokenAccount = readTokenAccount(account);
  const mint = tokenAccount && readMint(vm.account(tokenAccount.mint));
  if (mint === undefined) throw invalidParams("Invalid param: not a Token account");
  return uiTokenAmount(tokenAccount.amount, mint.decimals);
}

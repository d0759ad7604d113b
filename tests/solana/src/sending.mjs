// A transaction's way from the wire into a block.

import { base58Bytes } from "./base58.mjs";
import { RpcError, code, invalidParams, sentence } from "./errors.mjs";
import { MAX_SIZE, TransactionError, readTransaction } from "./transaction.mjs";
import { SYSTEM_PROGRAM } from "./vm.mjs";

/** Reads what `sendTransaction` is given. */
export function decode(text, encoding) {
  // Text that is longer than any encoding of the largest transaction is not decoded.
  const wire = text.length <= 2 * MAX_SIZE ? bytes(text, encoding) : undefined;
  if (wire === undefined) throw invalidParams(`invalid ${encoding} encoding`);
  if (MAX_SIZE < wire.length) {
    throw invalidParams(
      `decoded solana_transaction::versioned::VersionedTransaction too large: ${wire.length} bytes (max: ${MAX_SIZE} bytes)`,
    );
  }
  try {
    return readTransaction(wire);
  } catch (error) {
    if (error instanceof TransactionError) throw invalidParams(`invalid transaction: ${error.message}`);
    throw error;
  }
}

/**
 * Takes a transaction the way a node does: with preflight, what would not succeed is refused; without, it goes into the
 * block if it can pay its fee, and nobody is told if it cannot. Returns its signature.
 */
export function send({ vm, chain }, transaction, skipPreflight) {
  const isRepeated = chain.transaction(transaction.signatures[0]) !== undefined;
  const isCurrent = chain.isUsable(transaction.blockhash) || hasCurrentNonce(vm, transaction);
  if (!skipPreflight) {
    if (isRepeated) throw refused({ err: "AlreadyProcessed", logs: [] });
    if (!isCurrent) throw refused({ err: "BlockhashNotFound", logs: [] });
    const simulated = vm.simulate(transaction);
    if (simulated.err === "SignatureFailure") {
      throw new RpcError(code.SIGNATURE_VERIFICATION, "Transaction signature verification failure");
    }
    if (simulated.err !== null) throw refused(simulated);
  }
  if (!isRepeated && isCurrent) chain.execute(transaction);
  return transaction.signatures[0];
}

function refused({ err, logs, computeUnits = 0n }) {
  return new RpcError(code.PREFLIGHT_FAILED, `Transaction simulation failed: ${sentence(err)}`, {
    accounts: null,
    err,
    innerInstructions: null,
    loadedAccountsDataSize: 0,
    logs,
    replacementBlockhash: null,
    returnData: null,
    unitsConsumed: computeUnits,
  });
}

/** The system program's instruction that uses a durable nonce up, and where the nonce stands in its account. */
const ADVANCE_NONCE = 4;
const [NONCE_STATE, NONCE_AT, NONCE_ACCOUNT_SIZE] = [4, 40, 80];
const INITIALIZED = 1;

/** Whether a transaction lives by a durable nonce instead of a block hash, and that nonce is not used up. */
function hasCurrentNonce(vm, { instructions: [first], staticKeys, blockhash }) {
  if (first === undefined || staticKeys[first.programIdIndex] !== SYSTEM_PROGRAM) return false;
  const isAdvance = first.data.length === 4 && Buffer.from(first.data).readUInt32LE() === ADVANCE_NONCE;
  const nonceAccount = vm.account(staticKeys[first.accounts[0]] ?? SYSTEM_PROGRAM);
  if (!isAdvance || nonceAccount?.programAddress !== SYSTEM_PROGRAM || nonceAccount.data.length !== NONCE_ACCOUNT_SIZE) {
    return false;
  }
  const data = Buffer.from(nonceAccount.data);
  const nonce = data.subarray(NONCE_AT, NONCE_AT + 32);
  return data.readUInt32LE(NONCE_STATE) === INITIALIZED && nonce.equals(base58Bytes(blockhash));
}

function bytes(text, encoding) {
  if (encoding === "base58") return base58Bytes(text);
  const decoded = Buffer.from(text, "base64");
  return decoded.toString("base64") === text ? new Uint8Array(decoded) : undefined;
}

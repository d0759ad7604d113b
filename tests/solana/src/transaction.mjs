// Transactions as they come over the wire, read strictly.
//
// The VM ends the process on bytes that are no transaction, so nothing reaches it that was not read here to the end.

import { base58Text } from "./base58.mjs";

/** What a packet between nodes holds, and so the largest transaction. */
export const MAX_SIZE = 1232;

/** Why bytes are no transaction. */
export class TransactionError extends Error {}

/** Reads a signed transaction, legacy or version 0. */
export function readTransaction(wire) {
  const reader = new Reader(wire);
  const signatures = reader.list(() => base58Text(reader.bytes(64)));
  const versioned = (reader.peek() & 0x80) !== 0;
  const version = versioned ? reader.byte() & 0x7f : "legacy";
  if (versioned && version !== 0) throw new TransactionError(`version ${version} is not supported`);

  const [required, readonlySigned, readonlyUnsigned] = [reader.byte(), reader.byte(), reader.byte()];
  const staticKeys = reader.list(() => base58Text(reader.bytes(32)));
  const blockhash = base58Text(reader.bytes(32));
  const instructions = reader.list(() => ({
    programIdIndex: reader.byte(),
    accounts: [...reader.bytes(reader.length())],
    data: reader.bytes(reader.length()),
  }));
  const lookups = versioned
    ? reader.list(() => ({
        accountKey: base58Text(reader.bytes(32)),
        writableIndexes: [...reader.bytes(reader.length())],
        readonlyIndexes: [...reader.bytes(reader.length())],
      }))
    : [];
  reader.end();

  const header = {
    numRequiredSignatures: required,
    numReadonlySignedAccounts: readonlySigned,
    numReadonlyUnsignedAccounts: readonlyUnsigned,
  };
  const loaded = lookups.reduce((sum, { writableIndexes, readonlyIndexes }) => {
    if (writableIndexes.length + readonlyIndexes.length === 0) throw new TransactionError("a lookup loads nothing");
    return sum + writableIndexes.length + readonlyIndexes.length;
  }, 0);
  const keys = staticKeys.length + loaded;
  const sane =
    signatures.length === required &&
    readonlySigned < required &&
    required + readonlyUnsigned <= staticKeys.length &&
    keys <= 256 &&
    instructions.every(
      ({ programIdIndex, accounts }) =>
        0 < programIdIndex && programIdIndex < staticKeys.length && accounts.every((index) => index < keys),
    );
  if (!sane) throw new TransactionError("failed to sanitize accounts offsets correctly");
  return { wire, signatures, version, header, staticKeys, blockhash, instructions, lookups };
}

const MEMO_PROGRAMS = new Set([
  "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo",
  "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
]);

/** The memos of a transaction as nodes list them, `[length] text; [length] text`, or null. */
export function memoOf({ instructions, staticKeys }) {
  const memos = instructions
    .filter(({ programIdIndex }) => MEMO_PROGRAMS.has(staticKeys[programIdIndex]))
    .map(({ data }) => `[${data.length}] ${utf8(data) ?? "(unparseable)"}`);
  return memos.length === 0 ? null : memos.join("; ");
}

function utf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  bytes(count) {
    if (this.#bytes.length - this.#at < count) throw new TransactionError("it ends too early");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  byte() {
    return this.bytes(1)[0];
  }

  peek() {
    const byte = this.byte();
    this.#at -= 1;
    return byte;
  }

  /** A length of up to 16 bits, seven to a byte, in the shortest form. */
  length() {
    let value = 0;
    for (let position = 0; position < 3; ++position) {
      const byte = this.byte();
      value |= (byte & 0x7f) << (7 * position);
      if (byte === 0 && position > 0) break;
      if ((byte & 0x80) === 0 && value < 0x10000) return value;
    }
    throw new TransactionError("a length is malformed");
  }

  list(read) {
    return Array.from({ length: this.length() }, read);
  }

  end() {
    if (this.#at !== this.#bytes.length) throw new TransactionError("bytes follow it");
  }
}

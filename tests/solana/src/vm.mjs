// The Solana VM with a memory: what every account held at every slot, and what each transaction did.
//
// Nothing about blocks is decided here; a slot is a number that comes in.

// The package's own front would load its kit a second time, which is a third of the start, and turn each transaction into an
// object and back. What it stands on is typed, and the version is exact.
import internal from "litesvm/dist/internal.js";

import { base58Bytes, base58Text } from "./base58.mjs";
import { transactionError } from "./errors.mjs";
import { TOKEN_PROGRAMS, readMint, readTokenAccount, uiTokenAmount } from "./tokens.mjs";

export const SYSTEM_PROGRAM = "11111111111111111111111111111111";

/** Where the addresses begin in a lookup table's account. */
const LOOKUP_TABLE_HEADER = 56;

/** The loaders whose programs never change. */
const FINAL_LOADERS = new Set([
  "BPFLoader1111111111111111111111111111111111",
  "BPFLoader2111111111111111111111111111111111",
  "NativeLoader1111111111111111111111111111111",
]);

const { Account, Clock, FailedTransactionMetadata, LiteSvm } = internal;

export class Vm {
  #svm = new LiteSvm();
  /** Programs that never change: they are large, and nearly every transaction names some. */
  #programs = new Map();
  /** What accounts held before they were changed, oldest first: for each change, `{ slot, address, before }`. */
  #journal = [];
  /** The same by address. */
  #changes = new Map();

  constructor() {
    // The VM knows one block hash, and a node many; so hashes and repeated transactions are the node's business.
    this.#svm.setBlockhashCheck(false);
    this.#svm.setTransactionHistory(0n);
    this.#svm.withNativeMints();
  }

  /** What an account holds, or held at the end of a slot; undefined if it does not exist. */
  account(address, slot = Infinity) {
    const later = this.#changes.get(address)?.find((change) => slot < change.slot);
    return later === undefined ? this.#read(address) : later.before;
  }

  /** Writes an account as no transaction could; undefined removes it. */
  setAccount(slot, address, account) {
    this.#remember(slot, address, this.#read(address));
    this.#write(address, account);
  }

  addProgram(address, file) {
    this.#svm.addProgram(base58Bytes(address), file);
  }

  /** Addresses that may belong to a program at some slot that is remembered. */
  addressesOf(program) {
    const now = this.#svm.getProgramAccounts(base58Bytes(program)).map(({ address }) => base58Text(address));
    const before = this.#journal.filter((change) => change.before?.programAddress === program);
    return new Set([...now, ...before.map(({ address }) => address)]);
  }

  minimumBalance(size) {
    return this.#svm.minimumBalanceForRentExemption(BigInt(size));
  }

  /** Tells programs which slot it is, its time, and the blocks before it, `{ slot, hash }`, newest first. */
  enter(slot, unixTimestamp, blocks) {
    this.#svm.setClock(new Clock(BigInt(slot), 0n, 0n, 0n, BigInt(unixTimestamp)));
    this.#svm.setSlotHashes(blocks.map(({ slot: number, hash }) => ({ slot: BigInt(number), hash })));
    // Durable nonces advance to the VM's own block hash, so it has to change.
    this.#svm.expireBlockhash();
  }

  /** What a transaction would do: `{ err, logs, computeUnits }`. */
  simulate({ wire, version }) {
    const result =
      version === "legacy" ? this.#svm.simulateLegacyTransaction(wire) : this.#svm.simulateVersionedTransaction(wire);
    return result instanceof FailedTransactionMetadata
      ? { err: transactionError(result.err()), ...said(result.meta()) }
      : { err: null, ...said(result.meta()) };
  }

  /**
   * Runs a transaction in a slot and says what it did. One that cannot even pay its fee leaves nothing behind; then the
   * answer is `{ err }` with `landed: false`.
   */
  execute(slot, transaction) {
    const loaded = this.#loadedAddresses(transaction);
    const keys = [...transaction.staticKeys, ...loaded.writable, ...loaded.readonly];
    const before = keys.map((key) => this.#read(key));
    const preTokenBalances = this.#tokenBalances(keys, before);

    const { wire, version } = transaction;
    const result = version === "legacy" ? this.#svm.sendLegacyTransaction(wire) : this.#svm.sendVersionedTransaction(wire);
    const failed = result instanceof FailedTransactionMetadata;
    const err = failed ? transactionError(result.err()) : null;
    const after = keys.map((key) => this.#read(key));
    const preBalances = before.map(lamports);
    const postBalances = after.map(lamports);
    // Lamports only vanish as the fee.
    const fee = sum(preBalances) - sum(postBalances);
    if (failed && fee === 0n) return { landed: false, err };

    for (const [index, key] of keys.entries()) {
      if (!isSame(before[index], after[index])) this.#remember(slot, key, before[index]);
    }
    const metadata = failed ? result.meta() : result;
    return {
      landed: true,
      err,
      fee,
      keys,
      loaded,
      preBalances,
      postBalances,
      preTokenBalances,
      postTokenBalances: this.#tokenBalances(keys, after),
      innerInstructions: innerInstructions(metadata),
      ...said(metadata),
    };
  }

  /** Makes every account what it was before a slot. */
  restore(slot) {
    while (this.#journal.length > 0 && slot <= this.#journal.at(-1).slot) {
      const { address, before } = this.#journal.pop();
      const changes = this.#changes.get(address);
      changes.pop();
      if (changes.length === 0) this.#changes.delete(address);
      this.#write(address, before);
    }
  }

  #read(address) {
    const program = this.#programs.get(address);
    if (program !== undefined) return program;
    const found = this.#svm.getAccount(base58Bytes(address));
    if (found === null) return undefined;
    const account = {
      lamports: found.lamports(),
      data: found.data(),
      programAddress: base58Text(found.owner()),
      executable: found.executable(),
    };
    if (account.executable && FINAL_LOADERS.has(account.programAddress)) this.#programs.set(address, account);
    return account;
  }

  #write(address, account) {
    const {
      lamports: balance = 0n,
      data = new Uint8Array(),
      programAddress = SYSTEM_PROGRAM,
      executable = false,
    } = account ?? {};
    this.#svm.setAccount(base58Bytes(address), new Account(balance, data, base58Bytes(programAddress), executable, 0n));
  }

  #remember(slot, address, before) {
    const change = { slot, address, before };
    this.#journal.push(change);
    const changes = this.#changes.get(address);
    if (changes === undefined) this.#changes.set(address, [change]);
    else changes.push(change);
  }

  /** What a version 0 transaction takes from lookup tables. Where that is wrong the VM refuses it. */
  #loadedAddresses({ lookups }) {
    const loaded = { writable: [], readonly: [] };
    for (const { accountKey, writableIndexes, readonlyIndexes } of lookups) {
      const table = this.#read(accountKey)?.data ?? new Uint8Array();
      const at = (index) => table.subarray(LOOKUP_TABLE_HEADER + 32 * index, LOOKUP_TABLE_HEADER + 32 * (index + 1));
      const addresses = (indexes) => indexes.map(at).filter((bytes) => bytes.length === 32);
      loaded.writable.push(...addresses(writableIndexes).map((bytes) => base58Text(bytes)));
      loaded.readonly.push(...addresses(readonlyIndexes).map((bytes) => base58Text(bytes)));
    }
    return loaded;
  }

  /** As nodes do it: only if the transaction names a token program, and only where the mint is known. */
  #tokenBalances(keys, accounts) {
    if (!keys.some((key) => TOKEN_PROGRAMS.has(key))) return [];
    return accounts.flatMap((account, accountIndex) => {
      const tokenAccount = readTokenAccount(account);
      if (tokenAccount === undefined) return [];
      const mint = readMint(this.#read(tokenAccount.mint));
      if (mint === undefined) return [];
      return {
        accountIndex,
        mint: tokenAccount.mint,
        owner: tokenAccount.owner,
        programId: account.programAddress,
        uiTokenAmount: uiTokenAmount(tokenAccount.amount, mint.decimals),
      };
    });
  }
}

const lamports = (account) => account?.lamports ?? 0n;
const sum = (values) => values.reduce((total, value) => total + value, 0n);

function isSame(left, right) {
  if (left === undefined || right === undefined) return left === right;
  return (
    left.lamports === right.lamports &&
    left.programAddress === right.programAddress &&
    Buffer.compare(left.data, right.data) === 0
  );
}

function said(metadata) {
  const returned = metadata.returnData();
  const data = returned.data();
  return {
    logs: metadata.logs(),
    computeUnits: metadata.computeUnitsConsumed(),
    returnData:
      data.length === 0
        ? undefined
        : { programId: base58Text(returned.programId()), data: [Buffer.from(data).toString("base64"), "base64"] },
  };
}

function innerInstructions(metadata) {
  return metadata
    .innerInstructions()
    .map((instructions, index) => ({
      index,
      instructions: instructions.map((inner) => {
        const instruction = inner.instruction();
        return {
          programIdIndex: instruction.programIdIndex(),
          accounts: [...instruction.accounts()],
          data: base58Text(instruction.data()),
          stackHeight: inner.stackHeight(),
        };
      }),
    }))
    .filter(({ instructions }) => instructions.length > 0);
}

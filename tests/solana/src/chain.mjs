// Slots, blocks, commitments and forks: what a node knows beside its accounts.

import { createHash } from "node:crypto";

import { base58Bytes, base58Text } from "./base58.mjs";
import { memoOf } from "./transaction.mjs";

/** How long a block hash may be used, in blocks. */
const BLOCKHASH_LIFE = 150;

/** How long a signature's status is known without a look into the history, in slots. */
const STATUS_LIFE = 300;

/** How many blocks programs are told of. */
const SLOT_HASHES = 16;

/** How many blocks are kept, so that a demo can run for days: at least 5.5 hours of them. Transactions are kept all. */
const KEPT_BLOCKS = 50_000;

/** The chain looks as if it had been started from a snapshot, some slots of which had no block. */
const FIRST_SLOT = 100;
const FIRST_HEIGHT = 90;

export class Chain {
  #vm;
  #clock;
  #finalizedAfter;
  #keptBlocks;
  /** Closed blocks, oldest first. */
  #closed = [];
  /** The same by slot. */
  #bySlot = new Map();
  /** Heights of closed blocks by their hash. */
  #heights = new Map();
  #bySignature = new Map();
  #byAddress = new Map();
  #forks = 0;
  /** Transactions and controls work in this block; it has no hash until it is closed. */
  #open;

  /** `finalizedAfter` is in slots. */
  constructor(vm, clock, { genesis, finalizedAfter, keptBlocks = KEPT_BLOCKS }) {
    this.#vm = vm;
    this.#clock = clock;
    this.#finalizedAfter = finalizedAfter;
    this.#keptBlocks = keptBlocks;
    this.genesis = genesis;
    this.#openBlock({ slot: FIRST_SLOT, height: FIRST_HEIGHT, parent: FIRST_SLOT - 1, previousHash: genesis });
    // Something is finalized from the start, as on any node that answers.
    this.advance(finalizedAfter);
  }

  /** The oldest slot whose block is kept. */
  get firstSlot() {
    return (this.#closed[0] ?? this.#open).slot;
  }

  /** The slot that transactions go into. */
  get head() {
    return this.#open.slot;
  }

  /** Its time in epoch seconds. */
  get time() {
    return this.#open.time;
  }

  /** The newest slot with a block at a commitment. */
  slotAt(commitment) {
    return commitment === "processed" ? this.head : this.#newestBlock(commitment).slot;
  }

  /** Its height, in blocks. */
  heightAt(commitment) {
    return commitment === "processed" ? this.#open.height : this.#newestBlock(commitment).height;
  }

  /** The newest block with a hash at a commitment. */
  blockAt(commitment) {
    return this.#newestBlock(commitment);
  }

  /** The last height at which a block's hash may be used. */
  lastValidHeight(block) {
    return block.height + BLOCKHASH_LIFE;
  }

  /** A closed block, or undefined. */
  block(slot) {
    return this.#bySlot.get(slot);
  }

  /** What a slot is called: `processed`, `confirmed` or `finalized`. */
  commitmentOf(slot) {
    if (slot <= this.head - this.#finalizedAfter) return "finalized";
    return slot < this.head ? "confirmed" : "processed";
  }

  /** Whether a slot is as safe as a commitment asks. */
  isAt(slot, commitment) {
    return slot <= this.head - this.#depth(commitment);
  }

  /** Closes `count` slots. */
  advance(count) {
    for (let done = 0; done < count; ++done) this.#closeBlock();
  }

  isUsable(blockhash) {
    const height = this.#heights.get(blockhash);
    return height !== undefined && this.#open.height <= height + BLOCKHASH_LIFE;
  }

  /** A landed transaction, or undefined. */
  transaction(signature) {
    return this.#bySignature.get(signature);
  }

  /** Whether its status is still known without a look into the history. */
  isRecent({ slot }) {
    return this.head - STATUS_LIFE < slot;
  }

  /** Landed transactions that name an address, newest first. */
  transactionsOf(address) {
    return (this.#byAddress.get(address) ?? []).toReversed();
  }

  /** Runs a transaction in the open block and returns what the VM says of it; it may not have landed. */
  execute(transaction) {
    const outcome = this.#vm.execute(this.head, transaction);
    if (outcome.landed) {
      const { slot, time, transactions } = this.#open;
      const signature = transaction.signatures[0];
      const record = {
        ...outcome,
        signature,
        transaction,
        memo: memoOf(transaction),
        slot,
        blockTime: time,
        index: transactions.length,
      };
      transactions.push(record);
      this.#bySignature.set(signature, record);
      for (const key of new Set(outcome.keys)) {
        const records = this.#byAddress.get(key);
        if (records === undefined) this.#byAddress.set(key, [record]);
        else records.push(record);
      }
    }
    return outcome;
  }

  /**
   * Leaves the blocks from a slot on for another fork: their transactions are gone, accounts are what they were, their
   * hashes are good for nothing, and the next block follows the last one that stays. Returns what was dropped, oldest first.
   */
  dropFrom(slot) {
    const first = this.#closed.findLastIndex((block) => block.slot < slot) + 1;
    const left = [...this.#closed.splice(first), this.#open];
    this.#forget(left);
    const dropped = left.flatMap(({ transactions }) => transactions);
    for (const { signature, keys } of dropped.toReversed()) {
      this.#bySignature.delete(signature);
      for (const key of new Set(keys)) this.#byAddress.get(key).pop();
    }
    this.#vm.restore(slot);
    this.#forks += 1;
    this.#openAfter(this.#closed.at(-1), this.head + 1);
    return dropped;
  }

  #depth(commitment) {
    return { processed: 0, confirmed: 1, finalized: this.#finalizedAfter }[commitment];
  }

  #newestBlock(commitment) {
    return this.#closed.findLast(({ slot }) => this.isAt(slot, commitment)) ?? this.#closed[0];
  }

  #closeBlock() {
    const block = this.#open;
    block.hash = this.#hash(block);
    this.#closed.push(block);
    this.#bySlot.set(block.slot, block);
    this.#heights.set(block.hash, block.height);
    if (2 * this.#keptBlocks < this.#closed.length) this.#forget(this.#closed.splice(0, this.#keptBlocks));
    this.#openAfter(block, block.slot + 1);
  }

  #forget(blocks) {
    for (const { slot, hash } of blocks) {
      this.#bySlot.delete(slot);
      this.#heights.delete(hash);
    }
  }

  #openAfter(parent, slot) {
    const { slot: parentSlot, hash: previousHash, height } = parent;
    this.#openBlock({ slot, height: height + 1, parent: parentSlot, previousHash });
  }

  #openBlock(block) {
    const time = Math.max(this.#open?.time ?? 0, this.#clock.next());
    this.#open = { ...block, time, transactions: [] };
    const recent = this.#closed.slice(-SLOT_HASHES).toReversed();
    const known = recent.length === 0 ? [{ slot: block.parent, hash: this.genesis }] : recent;
    this.#vm.enter(block.slot, time, known);
  }

  #hash({ previousHash, slot, transactions }) {
    const hash = createHash("sha256").update(base58Bytes(previousHash)).update(`${slot} ${this.#forks}`);
    for (const { signature } of transactions) hash.update(base58Bytes(signature));
    return base58Text(hash.digest());
  }
}

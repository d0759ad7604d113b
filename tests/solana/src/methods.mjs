// The methods of Solana's JSON-RPC that are offered, by name.

import { RpcError, code, invalidParams } from "./errors.mjs";
import {
  address,
  boolean,
  commitment,
  config,
  count,
  fields,
  listOf,
  method,
  oneOf,
  optional,
  signature,
  text,
  u64,
} from "./params.mjs";
import { decode, send } from "./sending.mjs";
import { accountShape, blockShape, signatureShape, statusShape, tokenAmountShape, transactionShape } from "./shapes.mjs";
import { TOKEN_PROGRAMS, readTokenAccount } from "./tokens.mjs";

/** What nodes call the server's version; it has to parse as one. */
export const VERSION = "0.0.0-litesvm.1.4.1";

const slotNumber = count(Number.MAX_SAFE_INTEGER);

const accountOptions = {
  encoding: optional(oneOf("base58", "base64", "jsonParsed")),
  dataSlice: optional(fields({ offset: slotNumber, length: slotNumber })),
};
const versionOptions = {
  encoding: optional(oneOf("json", "base58", "base64"), "json"),
  maxSupportedTransactionVersion: optional(count(127)),
};

/** Nodes keep no list of what is only processed. */
const confirmedOnly = optional((value) => {
  if (commitment(value) === "processed") throw invalidParams("Method does not support commitment below `confirmed`");
  return value;
}, "finalized");

export const methods = {
  getHealth: method([], () => "ok"),

  getVersion: method([], () => ({ "feature-set": 0, "solana-core": VERSION })),

  getGenesisHash: method([], ({ chain }) => chain.genesis),

  getFirstAvailableBlock: method([], ({ chain }) => chain.firstSlot),

  getSlot: method([config()], (node, options) => contextSlot(node, options)),

  getBlockHeight: method([config()], (node, options) => {
    contextSlot(node, options);
    return node.chain.heightAt(options.commitment);
  }),

  getBlockTime: method([slotNumber], ({ chain }, slot) => existingBlock(chain, slot, "confirmed").time),

  getBlock: method(
    [
      slotNumber,
      config({
        ...versionOptions,
        commitment: confirmedOnly,
        transactionDetails: optional(oneOf("full", "signatures", "none"), "full"),
        rewards: optional(boolean, true),
      }),
    ],
    ({ chain }, slot, options) => blockShape(existingBlock(chain, slot, options.commitment), options),
  ),

  getLatestBlockhash: method([config()], (node, options) => {
    const block = node.chain.blockAt(options.commitment);
    return inContext(node, options, { blockhash: block.hash, lastValidBlockHeight: node.chain.lastValidHeight(block) });
  }),

  isBlockhashValid: method([address, config()], (node, blockhash, options) =>
    inContext(node, options, node.chain.isUsable(blockhash)),
  ),

  getMinimumBalanceForRentExemption: method([count(10 * 1024 * 1024), config()], ({ vm }, size) => vm.minimumBalance(size)),

  getBalance: method([address, config()], (node, address, options) =>
    inContext(node, options, accountAt(node, address, options)?.lamports ?? 0n),
  ),

  getAccountInfo: method([address, config(accountOptions)], (node, address, options) => {
    const account = accountAt(node, address, options);
    return inContext(node, options, account ? shapeOf(node, account, options) : null);
  }),

  getMultipleAccounts: method([listOf(address, 100), config(accountOptions)], (node, addresses, options) => {
    const accounts = addresses.map((address) => accountAt(node, address, options));
    return inContext(
      node,
      options,
      accounts.map((account) => (account ? shapeOf(node, account, options) : null)),
    );
  }),

  getTokenAccountBalance: method([address, config()], (node, address, options) =>
    inContext(node, options, tokenAmountShape(node.vm, accountAt(node, address, options))),
  ),

  getTokenAccountsByOwner: method(
    [address, fields({ mint: optional(address), programId: optional(address) }), config(accountOptions)],
    (node, owner, { mint, programId }, options) => {
      const program = tokenProgram(node, mint, programId);
      const accounts = [...node.vm.addressesOf(program)].flatMap((pubkey) => {
        const account = accountAt(node, pubkey, options);
        const tokenAccount = readTokenAccount(account);
        const isMeant = tokenAccount?.owner === owner && (mint === undefined || tokenAccount.mint === mint);
        return isMeant && account.programAddress === program ? [{ pubkey, account: shapeOf(node, account, options) }] : [];
      });
      return inContext(node, options, accounts);
    },
  ),

  requestAirdrop: method([address, u64, config()], ({ faucet }, address, lamports) => faucet.airdrop(address, lamports)),

  sendTransaction: method(
    [
      text,
      config({
        encoding: optional(oneOf("base58", "base64"), "base58"),
        preflightCommitment: commitment,
        skipPreflight: optional(boolean, false),
        maxRetries: optional(slotNumber),
      }),
    ],
    (node, encoded, { encoding, skipPreflight }) => send(node, decode(encoded, encoding), skipPreflight),
  ),

  getSignatureStatuses: method(
    [listOf(signature, 256), config({ searchTransactionHistory: optional(boolean, false) })],
    (node, signatures, { searchTransactionHistory }) => {
      const { chain } = node;
      const statuses = signatures.map((signature) => {
        const record = chain.transaction(signature);
        if (record === undefined || !(searchTransactionHistory || chain.isRecent(record))) return null;
        const { slot, err } = record;
        const confirmationStatus = chain.commitmentOf(slot);
        const confirmations = confirmationStatus === "finalized" ? null : chain.head - slot;
        return { confirmationStatus, confirmations, err, slot, status: statusShape(err) };
      });
      return inContext(node, { commitment: "processed" }, statuses);
    },
  ),

  getSignaturesForAddress: method(
    [
      address,
      config({
        commitment: confirmedOnly,
        limit: optional(limit, 1000),
        before: optional(signature),
        until: optional(signature),
      }),
    ],
    (node, address, options) => {
      const { chain } = node;
      contextSlot(node, options);
      const before = options.before && chain.transaction(options.before);
      // Nodes that do not know where to begin have nothing to say; not knowing where to end, they say all.
      if (options.before && !before) return [];
      const until = options.until && chain.transaction(options.until);
      return chain
        .transactionsOf(address)
        .filter((record) => chain.isAt(record.slot, options.commitment))
        .filter((record) => (!before || isOlder(record, before)) && (!until || isOlder(until, record)))
        .slice(0, options.limit)
        .map((record) => signatureShape(record, chain.commitmentOf(record.slot)));
    },
  ),

  getTransaction: method(
    [signature, config({ ...versionOptions, commitment: confirmedOnly })],
    (node, signature, options) => {
      const record = node.chain.transaction(signature);
      contextSlot(node, options);
      return record && node.chain.isAt(record.slot, options.commitment) ? transactionShape(record, options) : null;
    },
  ),
};

/** The slot that an answer is of. Who wants a later one gets an error. */
function contextSlot({ chain }, { commitment, minContextSlot = 0 }) {
  const slot = chain.slotAt(commitment);
  if (slot < minContextSlot) {
    throw new RpcError(code.MIN_CONTEXT_SLOT, "Minimum context slot has not been reached", { contextSlot: slot });
  }
  return slot;
}

function inContext(node, options, value) {
  return { context: { apiVersion: VERSION, slot: contextSlot(node, options) }, value };
}

function accountAt({ vm, chain }, address, { commitment }) {
  return vm.account(address, chain.slotAt(commitment));
}

function shapeOf({ vm }, account, { encoding, dataSlice }) {
  return accountShape(vm, account, encoding, dataSlice);
}

function existingBlock(chain, slot, commitment) {
  if (!chain.isAt(slot, commitment)) {
    throw new RpcError(code.BLOCK_NOT_AVAILABLE, `Block not available for slot ${slot}`);
  }
  const block = chain.block(slot);
  if (block === undefined) {
    const message = `Slot ${slot} was skipped, or missing due to ledger jump to recent snapshot`;
    throw new RpcError(code.SLOT_SKIPPED, message);
  }
  return block;
}

function tokenProgram({ vm }, mint, programId) {
  if ((mint === undefined) === (programId === undefined)) throw invalidParams("Invalid params: give a mint or a programId");
  if (mint === undefined) {
    if (!TOKEN_PROGRAMS.has(programId)) throw invalidParams("Invalid param: unrecognized Token program id");
    return programId;
  }
  const program = vm.account(mint)?.programAddress;
  if (program === undefined) throw invalidParams("Invalid param: could not find mint");
  if (!TOKEN_PROGRAMS.has(program)) throw invalidParams("Invalid param: not a Token mint");
  return program;
}

function limit(value) {
  if (!Number.isSafeInteger(value) || value < 1 || 1000 < value) throw invalidParams("Invalid limit; max 1000");
  return value;
}

const isOlder = (left, right) => left.slot < right.slot || (left.slot === right.slot && left.index < right.index);

// Records what the shim answers, for the unit tests of the server's reader.
//
//   node fixtures.mjs           writes server/src/chains/solana/fixtures/
//   node fixtures.mjs --check   asks again and compares; exits 1 on a difference
//
// A file is one call, `{ "method", "params", "result" }` or with an `error`. scene.json names what the others are about. The
// shim runs without a ticker, so the answers are the same each time.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";

import { base58Text } from "./src/base58.mjs";
import { testSigner } from "./src/keys.mjs";
import { Node } from "./src/node.mjs";
import { pay } from "./src/payer/payment.mjs";
import { serve } from "./src/server.mjs";
import { TOKEN, TOKEN_2022 } from "./src/tokens.mjs";

const folder = new URL("../../server/src/chains/solana/fixtures/", import.meta.url);

/** Plays a scene on a node and returns the files that it leaves, as a map from name to text. */
async function record(node, url) {
  const files = new Map();
  const ask = (method, ...params) => node.answer({ jsonrpc: "2.0", id: 1, method, params });
  const call = async (method, ...params) => {
    const { result, error } = await ask(method, ...params);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  const keep = async (name, method, ...params) => {
    const { result, error } = await ask(method, ...params);
    files.set(`${name}.json`, `${pretty({ method, params, result, error })}\n`);
  };
  const address = async (name) => (await testSigner(name)).address;

  const [merchant, customer, stranger] = await Promise.all(["merchant", "customer", "stranger"].map(address));
  const { mint: usd } = await call("shim_createMint", { decimals: 6 });
  const { mint: twin } = await call("shim_createMint", { decimals: 6, program: TOKEN_2022, fee: { basis_points: 100 } });
  for (const wallet of [customer, merchant]) await call("requestAirdrop", wallet, 10_000_000_000);
  for (const mint of [usd, twin]) await call("shim_mintTo", { mint, owner: customer, amount: 1_000_000_000 });
  await call("shim_slots", 1);
  const scene = { merchant, customer, token_program: TOKEN, token_2022_program: TOKEN_2022, usd, twin, payments: {} };

  /** Pays in a slot of its own and keeps the transaction under the payment's name. */
  const made = async (name, payments, options = {}) => {
    const { signature, destinations } = await pay({
      rpc: url,
      wallet: "customer",
      payments: [payments].flat().map((payment) => ({ omit: [], create_token_account: false, ...payment })),
      version: "legacy",
      send: true,
      await: "processed",
      ...options,
    });
    await call("shim_slots", 1);
    scene.payments[name] = signature;
    await keep(name, "getTransaction", signature, CONFIRMED);
    return destinations[0];
  };
  const CONFIRMED = { commitment: "confirmed", encoding: "json", maxSupportedTransactionVersion: 0 };
  const reference = await address("reference");
  const uri = (amount, rest = "") => `solana:${merchant}?amount=${amount}&spl-token=${usd}${rest}`;

  const till = await made("reference", {
    uri: uri("12.34", `&reference=${reference}&memo=INV-1`),
    create_token_account: true,
  });
  await made("plain", { uri: uri("1.000001") });
  await made("memo", { uri: uri("2", "&memo=INV-2%20%C3%A4%3B%20%5B5%5D") });
  await made("failed", { uri: uri("3", `&reference=${reference}`) }, { fail: true });
  const { table } = await call("shim_createLookupTable", [till, usd, reference]);
  await call("shim_slots", 1);
  await made("table", { uri: uri("4", `&reference=${reference}`) }, { lookup_table: table });
  const twinTill = await made("fee", { recipient: merchant, mint: twin, amount: "10", create_token_account: true });
  await made("inner", { uri: uri("5"), inner: true });
  await made("two_payments", [
    { uri: uri("6", `&reference=${reference}&memo=INV-6`) },
    { recipient: stranger, mint: usd, amount: "7", memo: "INV-7", create_token_account: true },
  ]);
  await made("sol", { uri: `solana:${merchant}?amount=0.5&reference=${reference}` });
  await made("sol_inner", { recipient: merchant, amount: "0.25", inner: true });
  await made("sol_spent_by_the_merchant", { recipient: customer, amount: "0.1" }, { wallet: "merchant" });
  const minted = await call("shim_mintTo", { mint: usd, owner: merchant, amount: 8_000_000 });
  await call("shim_slots", 1);
  scene.payments.minted = minted.signature;
  await keep("minted", "getTransaction", minted.signature, CONFIRMED);
  Object.assign(scene, { reference, till, twin_till: twinTill, table });

  const unknown = base58Text(new Uint8Array(64).fill(7));
  await keep("missing_transaction", "getTransaction", unknown, CONFIRMED);
  await keep("unsupported_version", "getTransaction", scene.payments.table, { commitment: "confirmed" });
  await keep("signatures", "getSignaturesForAddress", till, { commitment: "confirmed", limit: 1_000 });
  await keep("signatures_until", "getSignaturesForAddress", till, {
    commitment: "confirmed",
    limit: 1_000,
    until: scene.payments.table,
  });
  await keep("signatures_of_the_reference", "getSignaturesForAddress", reference, {
    commitment: "confirmed",
    limit: 1_000,
  });
  await keep("signatures_of_the_wallet", "getSignaturesForAddress", merchant, { commitment: "confirmed", limit: 1_000 });
  await keep("signatures_of_nobody", "getSignaturesForAddress", stranger, { commitment: "finalized", limit: 1_000 });
  // The oldest of them is final by now.
  await call("shim_slots", 22);
  const { reference: first, failed, minted: last } = scene.payments;
  await keep("statuses", "getSignatureStatuses", [first, failed, last, unknown], { searchTransactionHistory: true });
  await keep("accounts", "getMultipleAccounts", [till, usd, twin, unknownAddress(), merchant], {
    commitment: "confirmed",
    encoding: "base64",
  });
  await keep("token_balance", "getTokenAccountBalance", till, { commitment: "confirmed" });
  await keep("no_token_account", "getTokenAccountBalance", unknownAddress(), { commitment: "confirmed" });
  await keep("latest_blockhash", "getLatestBlockhash", { commitment: "confirmed" });
  await keep("slot", "getSlot", { commitment: "finalized" });
  await keep("genesis_hash", "getGenesisHash");
  await keep("behind", "getSlot", { commitment: "confirmed", minContextSlot: 1_000_000 });
  files.set("scene.json", `${pretty(scene)}\n`);
  return files;
}

const unknownAddress = () => base58Text(new Uint8Array(32).fill(7));

/** JSON to look at: lists of plain values on one line, 64-bit integers as they are. */
function pretty(value, indent = "") {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => item === null || typeof item !== "object");
    if (isPlain) return `[${value.map((item) => pretty(item)).join(", ")}]`;
    return `[\n${value.map((item) => inner + pretty(item, inner)).join(",\n")}\n${indent}]`;
  }
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  if (fields.length === 0) return "{}";
  return `{\n${fields.map(([name, item]) => `${inner}${JSON.stringify(name)}: ${pretty(item, inner)}`).join(",\n")}\n${indent}}`;
}

function committed() {
  try {
    return new Map(readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder), "utf8")]));
  } catch (error) {
    if (error.code === "ENOENT") return new Map();
    throw error;
  }
}

const genesis = base58Text(new Uint8Array(32).fill(9));
const node = await Node.start({ genesis, startMs: 1_800_000_000_000, finalizedAfter: 31, tickMs: 0 });
const server = await serve(node, 0);
const recorded = await record(node, `http://127.0.0.1:${server.address().port}`);
server.close();
server.closeAllConnections();

if (process.argv.includes("--check")) {
  const found = committed();
  const names = new Set([...recorded.keys(), ...found.keys()]);
  const different = [...names].filter((name) => recorded.get(name) !== found.get(name)).sort();
  for (const name of different) console.error(`fixtures/${name} is not what the shim answers; run \`npm run fixtures\``);
  if (different.length > 0) process.exit(1);
  console.log(`${names.size} fixtures equal what the shim answers`);
} else {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of recorded) writeFileSync(new URL(name, folder), content);
  console.log(`wrote ${recorded.size} fixtures`);
}

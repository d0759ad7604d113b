// Shows that the tests can fail: breaks the contracts in one place at a time and runs the tests against each result.
//
//   node mutate.mjs            breaks everything below and writes the table in AUDIT.md; about five minutes
//   node mutate.mjs WORD…      only what has one of the words in its description; writes nothing
//
// Exits 1 if the tests pass on one of them. The tests of fixed addresses are left out: any change fails those.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileDespiteWarnings, factoryArtifact } from "./compiler.mjs";

const here = new URL("./", import.meta.url);
const mutants = new URL("node_modules/.cache/mutants/", here);
const audit = new URL("AUDIT.md", here);
const source = "src/DepositFactory.sol";

/** The first of the cases that the tests run otherwise, and nothing is made shorter once it has failed. */
const FEWER = { FOUNDRY_FUZZ_RUNS: "128", FOUNDRY_INVARIANT_RUNS: "16", FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT: "0" };

/** What is broken, the text that says it, and what stands there instead. */
const mutations = [
  // Who may order a deposit address.
  ["anybody may order a deposit address", "if (msg.sender != factory) revert OnlyFactory();", ""],
  [
    "whoever a transaction is from may order it",
    "msg.sender != factory",
    "msg.sender != factory && tx.origin != msg.sender",
  ],

  // Where the money goes.
  ["the merchant is read one byte early", "MERCHANT_OFFSET = 51", "MERCHANT_OFFSET = 50"],
  ["coin goes to whoever calls", 'merchant.call{value: amount}("")', 'tx.origin.call{value: amount}("")'],
  ["tokens go to the factory", 'transfer(address,uint256)", merchant', 'transfer(address,uint256)", msg.sender'],
  [
    "the caller chooses the merchant",
    "bytes memory creation = code(merchant);",
    "bytes memory creation = code(msg.sender);",
  ],
  ["one unit stays", 'merchant, amount));', 'merchant, amount - 1));'],
  [
    "one percent of the coin goes elsewhere",
    "(bool sent, )",
    'tx.origin.call{value: amount / 100}(""); (bool sent, )',
    "{value: amount}",
    "{value: amount - amount / 100}",
  ],

  // Coin.
  ["a wallet that rejects coin is not noticed", "if (!sent) revert SendFailed(address(0));", ""],
  ["coin is sent where there is none", "if (amount == 0) return 0;\n\n        (bool sent", "(bool sent"],
  ["a wallet gets only 2300 gas for coin", "{value: amount}", "{value: amount, gas: 2300}"],
  [
    "coin is sent by destroying the address",
    'merchant.call{value: amount}("")',
    '(true, ""); selfdestruct(payable(merchant))',
  ],
  ["a deposit address does not stop on plain coin", 'hex"36600557005b"', 'hex"5b5b5b5b5b5b"'],

  // Tokens.
  ["an address without code is taken for a token", "if (token.code.length == 0) revert NoBalance(token);", ""],
  ["a balance that reverts is read", "if (!ok || answer.length < 32)", "if (answer.length < 32)"],
  ["a short balance is read", "if (!ok || answer.length < 32)", "if (!ok)"],
  ["a token is moved where there is none", "if (amount == 0) return 0;\n\n        (ok, answer)", "(ok, answer)"],
  ["a transfer that reverts is accepted", "bool accepted = ok && (", "bool accepted = ("],
  [
    "any answer to a transfer is accepted",
    "bool accepted = ok && (answer.length == 0 || (answer.length >= 32 && abi.decode(answer, (uint256)) == 1));",
    "bool accepted = ok;",
  ],
  ["anything but false is accepted", "abi.decode(answer, (uint256)) == 1", "abi.decode(answer, (uint256)) != 0"],
  [
    "a longer balance than a word is refused",
    "answer.length < 32) revert NoBalance",
    "answer.length != 32) revert NoBalance",
  ],
  ["no answer to a transfer is refused", "answer.length == 0 || ", ""],
  ["a longer answer than true is refused", "answer.length >= 32 && abi", "answer.length == 32 && abi"],
  [
    "a short answer to a transfer is read",
    "(answer.length >= 32 && abi.decode(answer, (uint256)) == 1)",
    "abi.decode(answer, (uint256)) == 1",
  ],
  ["a token runs its transfer as the deposit address", "token.call(", "token.delegatecall("],

  // Batches.
  ["one failure stops the batch", "emit SweepFailed(merchant, deposit, assets[j], reason);", "revert(string(reason));"],
  ["a failure is not told", "emit SweepFailed(merchant, deposit, assets[j], reason);", ""],
  ["nothing moved is told as a sweep", "if (amount != 0) emit", "emit"],
  ["the event swaps merchant and address", "emit Swept(merchant, deposit,", "emit Swept(deposit, merchant,"],
  ["the last address is forgotten", "i < salts.length", "i + 1 < salts.length"],
  ["addresses after the hundredth are forgotten", "i < salts.length", "i < salts.length && i < 100"],
  ["the first asset is forgotten", "for (uint256 j; j <", "for (uint256 j = 1; j <"],
  ["every sweep deploys", "if (deposit.code.length == 0) _deploy", "_deploy"],
  [
    "nothing is deployed without assets",
    "if (deposit.code.length == 0) _deploy",
    "if (deposit.code.length == 0 && assets.length != 0) _deploy",
  ],
  [
    "all salts are one",
    "address deposit = _at(salts[i], creationHash);",
    "address deposit = _at(0, creationHash);",
    "_deploy(deposit, salts[i], creation)",
    "_deploy(deposit, 0, creation)",
    "return _at(salt, keccak256(code(merchant)));",
    "return _at(0, keccak256(code(merchant)));",
  ],
  [
    "addresses differ by chain",
    "address deposit = _at(salts[i], creationHash);",
    "address deposit = _at(salts[i] ^ bytes32(block.chainid), creationHash);",
    "_deploy(deposit, salts[i], creation)",
    "_deploy(deposit, salts[i] ^ bytes32(block.chainid), creation)",
  ],
  ["the factory takes coin", "address[] calldata assets) external {", "address[] calldata assets) external payable {"],

  // What may never be there.
  [
    "sweeps end in the year 2100",
    "if (msg.sender != factory) revert",
    "if (msg.sender != factory || 4102444800 < block.timestamp) revert",
  ],
  [
    "a sweep is counted in storage",
    "address private immutable factory = msg.sender;",
    "address private immutable factory = msg.sender; uint256 private count;",
    "if (amount == 0) return 0;\n\n        (ok, answer)",
    "if (amount == 0) return 0; ++count;\n\n        (ok, answer)",
  ],
  [
    "the factory has a lock in transient storage",
    "bytes memory creation = code(merchant);",
    "assembly { tstore(0, 1) } bytes memory creation = code(merchant);",
  ],
  [
    "there is a way out for somebody",
    "function _sweepNative(",
    'function rescue(address to) external { to.call{value: address(this).balance}(""); }\n    function _sweepNative(',
  ],
  [
    "the factory creates a second kind of contract",
    "bytes memory creation = code(merchant);",
    "if (salts.length == 1000) new DepositLogic(); bytes memory creation = code(merchant);",
  ],
];

function mutated([description, ...replacements]) {
  let text = readFileSync(new URL(source, here), "utf8");
  for (let i = 0; i < replacements.length; i += 2) {
    const [before, after] = replacements.slice(i, i + 2);
    if (text.split(before).length !== 2) throw new Error(`${description}: the source says this not exactly once: ${before}`);
    text = text.replace(before, () => after);
  }
  return text;
}

/** The tests that fail with this factory, as `Contract: name`. */
function failures(artifact) {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["node_modules/@foundry-rs/forge/bin.mjs", "test", "--json", "--no-match-contract", "Pinned"],
    {
      cwd: fileURLToPath(here),
      encoding: "utf8",
      maxBuffer: 1 << 30,
      env: { ...process.env, ...FEWER, FACTORY_ARTIFACT: artifact },
    },
  );
  const json = stdout.slice(stdout.indexOf("{"));
  if (status === null || json === "") throw new Error(`forge did not run: ${stderr}`);
  return Object.entries(JSON.parse(json)).flatMap(([suite, { test_results: results }]) =>
    Object.entries(results)
      .filter(([, { status }]) => status !== "Success")
      .map(([name]) => `${suite.split(":")[1]}: ${name.split("(")[0]}`),
  );
}

const words = process.argv.slice(2);
const chosen = mutations.filter(([description]) => words.length === 0 || words.some((word) => description.includes(word)));
mkdirSync(mutants, { recursive: true });

const intact = failures("artifacts/factory.json");
if (intact.length > 0) throw new Error(`the tests fail on the contracts as they are: ${intact.join(", ")}`);

const results = [];
for (const [index, mutation] of chosen.entries()) {
  const [description] = mutation;
  const contracts = compileDespiteWarnings({ [source]: { content: mutated(mutation) } });
  const artifact = new URL(`${index}.json`, mutants);
  writeFileSync(artifact, factoryArtifact(contracts));
  const failed = failures(fileURLToPath(artifact));
  console.log(`${failed.length === 0 ? "SURVIVED" : `${failed.length} fail`}: ${description}`);
  results.push({ description, failed });
}
const survived = results.filter(({ failed }) => failed.length === 0).length;
if (survived > 0) {
  console.error(`${survived} of ${results.length} were not noticed by any test`);
  process.exit(1);
}
console.log(`all ${results.length} were noticed`);

if (words.length === 0) {
  const [start, end] = ["<!-- mutations: written by mutate.mjs -->\n", "<!-- end of mutations -->"];
  const text = readFileSync(audit, "utf8");
  const [before, after] = [text.indexOf(start), text.indexOf(end)];
  if (before < 0 || after < 0) throw new Error("AUDIT.md has no place for the table of mutations");
  writeFileSync(audit, text.slice(0, before + start.length) + table(results) + text.slice(after));
}

/** Names of each at most three tests: those that fail least often, and so say most about what is broken. */
function table(results) {
  const often = new Map();
  for (const name of results.flatMap(({ failed }) => failed)) often.set(name, (often.get(name) ?? 0) + 1);
  const rows = results.map(({ description, failed }) => {
    const sorted = failed.toSorted((left, right) => often.get(left) - often.get(right) || (left < right ? -1 : 1));
    const named = sorted.slice(0, 3).map((name) => `\`${name.split(": ")[1]}\``);
    const more = failed.length - named.length;
    return `| ${description} | ${named.join("<br>")}${more > 0 ? `<br>and ${more} more` : ""} |\n`;
  });
  return `| What is broken | Which tests fail |\n| --- | --- |\n${rows.join("")}`;
}

// Measures what the contracts cost, in real transactions on a local chain.
//
//   node gas.mjs           writes GAS.md
//   node gas.mjs --check   measures again and compares with GAS.md; exits 1 on a difference
//
// Everything that gas depends on is fixed: bytecode, chain rules, addresses, salts, amounts. So the figures are exact.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = new URL("./", import.meta.url);
const table = new URL("GAS.md", here);
const RULES = "osaka";

const MERCHANT = `0x${"a1".repeat(20)}`;
const NATIVE = `0x${"00".repeat(20)}`;
const BATCHES = [1, 10, 50, 100];

// A local chain.

const { version } = JSON.parse(readFileSync(new URL("node_modules/@foundry-rs/anvil/package.json", here)));
const system = { darwin: "darwin", linux: "linux", win32: "win32" }[process.platform];
const machine = { x64: "amd64", arm64: "arm64" }[process.arch];
// The native binary: the end of the package's launcher would not end the chain.
const program = new URL(
  `node_modules/@foundry-rs/anvil-${system}-${machine}/bin/anvil${process.platform === "win32" ? ".exe" : ""}`,
  here,
);
// Mines when it is told to, so that what was sent together is mined together, in the order in which it was sent.
const options = ["--host", "127.0.0.1", "--port", "0", "--hardfork", RULES, "--no-mining", "--gas-limit", "10000000000"];
const anvil = spawn(fileURLToPath(program), options, { stdio: ["ignore", "pipe", "inherit"] });
process.on("exit", () => anvil.kill());

async function address() {
  for await (const line of createInterface({ input: anvil.stdout })) {
    const listening = /^Listening on (.+)$/.exec(line);
    if (listening) {
      anvil.stdout.resume();
      return `http://${listening[1]}`;
    }
  }
  throw new Error("anvil ended before it listened");
}

const endpoint = await address();

async function post(requests) {
  const body = requests.map(([method, ...params], id) => ({ jsonrpc: "2.0", id, method, params }));
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answers = (await response.json()).sort((left, right) => left.id - right.id);
  return answers.map(({ result, error }, id) => {
    if (error) throw new Error(`${requests[id][0]}: ${error.message}`);
    return result;
  });
}

const call = async (...request) => (await post([request]))[0];

// Calls of contracts, put together by hand: there are few.

const hex = (value) => `0x${value.toString(16)}`;
const word = (value) => BigInt(value).toString(16).padStart(64, "0");
const words = (values) => word(values.length) + values.map(word).join("");
const sized = (text) => word(text.length) + Buffer.from(text).toString("hex").padEnd(64, "0");

async function selector(signature) {
  const hash = await call("web3_sha3", `0x${Buffer.from(signature).toString("hex")}`);
  return hash.slice(0, 10);
}

const SWEEP = await selector("sweep(address,bytes32[],address[])");
const ADDRESS_OF = await selector("addressOf(address,bytes32)");
const MINT = await selector("mint(address,uint256)");
const TRANSFER = await selector("transfer(address,uint256)");
const SET_FROZEN = await selector("setFrozen(address,bool)");

const sweepData = (salts, assets) =>
  SWEEP + word(MERCHANT) + word(0x60) + word(0x60 + 32 * (salts.length + 1)) + words(salts) + words(assets);

const artifact = (name) => JSON.parse(readFileSync(new URL(`artifacts/${name}.json`, here)));
const [sender] = await call("eth_accounts");
let sent = 0;

/** Sends transactions, mines them, and gives what their receipts say. */
async function send(transactions) {
  const hashes = await post(
    transactions.map(({ to, data = "0x", value = 0 }) => [
      "eth_sendTransaction",
      { from: sender, nonce: hex(sent++), to, data, value: hex(value), gas: hex(16_000_000) },
    ]),
  );
  await call("evm_mine");
  const receipts = await post(hashes.map((hash) => ["eth_getTransactionReceipt", hash]));
  for (const { status } of receipts) if (status !== "0x1") throw new Error("a transaction failed");
  return receipts.map(({ gasUsed, contractAddress, logs }) => ({ gas: Number(gasUsed), contractAddress, logs: logs.length }));
}

async function deployToken(symbol, silent) {
  const data =
    artifact("TestToken").bytecode + word(0x80) + word(0xc0) + word(6) + word(silent) + sized("Test dollar") + sized(symbol);
  const [{ contractAddress }] = await send([{ data }]);
  return contractAddress;
}

// What is measured.

const { deployer, salt, creation_code: creationCode } = artifact("factory");
const deploymentData = salt + creationCode.slice(2);
const factory = await call("eth_call", { to: deployer, data: deploymentData }); // The deployer answers with the address.
const [deployment] = await send([{ to: deployer, data: deploymentData }]);

const token = await deployToken("USD", false);
const silent = await deployToken("OUSD", true);
const KINDS = [
  { name: "coin", assets: [NATIVE] },
  { name: "token", assets: [token] },
  { name: "token that answers nothing", assets: [silent] },
  { name: "coin and token", assets: [NATIVE, token] },
];

/** Salts as they are on real networks: 32 bytes that look random. */
const saltsOf = (name, count) =>
  Array.from({ length: count }, (_, index) => `0x${createHash("sha256").update(`${name} ${index}`).digest("hex")}`);

async function depositsOf(salts) {
  const calls = salts.map((salt) => ["eth_call", { to: factory, data: ADDRESS_OF + word(MERCHANT) + word(salt) }]);
  return (await post(calls)).map((answer) => `0x${answer.slice(-40)}`);
}

async function pay(deposits, assets) {
  for (const asset of assets) {
    if (asset === NATIVE) await send(deposits.map((to) => ({ to, value: 1_000_000_000_000_000 })));
    else await send(deposits.map((to) => ({ to: asset, data: MINT + word(to) + word(25_000_000) })));
  }
}

/** The gas of one transaction that sweeps these addresses, all of which have just been paid. */
async function sweepPaid(salts, assets) {
  await pay(await depositsOf(salts), assets);
  const [{ gas, logs }] = await send([{ to: factory, data: sweepData(salts, assets) }]);
  // A token writes an event of its own; the coin does not.
  const expected = assets.reduce((sum, asset) => sum + salts.length * (asset === NATIVE ? 1 : 2), 0);
  if (logs !== expected) throw new Error(`${logs} events instead of ${expected}: not everything moved`);
  return gas;
}

// The merchant has some of everything already: the first unit that a wallet ever receives costs more.
const beforeFirst = await sweepPaid(saltsOf("merchant has none", 1), [token]);
await pay([MERCHANT], [NATIVE, token, silent]);

const sweeps = [];
for (const { name, assets } of KINDS) {
  for (const count of BATCHES) {
    const salts = saltsOf(`${name} ${count}`, count);
    const first = await sweepPaid(salts, assets);
    const again = await sweepPaid(salts, assets);
    sweeps.push({ name, count, first, again });
  }
}

const [unpaid] = saltsOf("payer", 1);
const [fresh] = await depositsOf([unpaid]);
await send([{ to: token, data: MINT + word(sender) + word(100_000_000) }]);
const payments = await send([
  { to: fresh, value: 1 },
  { to: token, data: TRANSFER + word(fresh) + word(25_000_000) },
  { to: factory, data: sweepData([unpaid], [NATIVE, token]) },
  { to: fresh, value: 1 },
]);

const nothing = saltsOf("nothing", 10);
const [deployOnly, empty] = await send([
  { to: factory, data: sweepData(nothing, []) },
  { to: factory, data: sweepData(nothing, [NATIVE, token]) },
]);
const some = saltsOf("frozen", 10);
const somewhere = await depositsOf(some);
await pay(somewhere, [token]);
await send([{ to: token, data: SET_FROZEN + word(somewhere[4]) + word(1) }]);
const [withFrozen] = await send([{ to: factory, data: sweepData(some, [token]) }]);

// What is written.

const figure = (gas) => String(gas).replace(/\B(?=(\d{3})+$)/g, " ");
const each = ({ count }, gas) => (count === 1 ? figure(gas) : `${figure(gas)} (${figure(Math.round(gas / count))} each)`);
const row = (...cells) => `| ${cells.join(" | ")} |`;

const text = `# What the contracts cost

In gas. Written by \`cargo xtask gas\`, which sends real transactions to anvil ${version} with the rules of Osaka; the tests
measure again and compare. Multiply by the network's gas price. The token is the \`TestToken\` of \`src/test\`: issuers' real
tokens, most of them behind a proxy, cost some thousands more for each transfer.

## Once for each network, by anyone

${row("What", "Gas")}
${row("---", "---:")}
${row("factory and logic, through the deterministic deployer", figure(deployment.gas))}

## The payer

${row("What", "Gas")}
${row("---", "---:")}
${row("coin to an address that is not deployed yet", figure(payments[0].gas))}
${row("coin to an address that was swept before", figure(payments[3].gas))}
${row("token to an address that has none", figure(payments[1].gas))}

A wallet or exchange that insists on 21 000 gas for coin cannot pay an address a second time once it was swept; the payment
bounces and nothing is lost.

## A sweep, by number of addresses

One transaction for all of them. *First* deploys the addresses as well. The merchant has some of the asset already; otherwise
the first unit costs more (one token, first: ${figure(beforeFirst)}).

${row("What moves", "Addresses", "First", "Again")}
${row("---", "---:", "---:", "---:")}
${sweeps.map((sweep) => row(sweep.name, sweep.count, each(sweep, sweep.first), each(sweep, sweep.again))).join("\n")}

## Ten addresses on which not everything moves

${row("What", "Gas")}
${row("---", "---:")}
${row("deployed, with no asset named", figure(deployOnly.gas))}
${row("deployed before; coin and token named, none there", figure(empty.gas))}
${row("first sweep of a token, one of them frozen by its issuer", figure(withFrozen.gas))}
`;

if (process.argv.includes("--check")) {
  const committed = readFileSync(table, "utf8").split("\n");
  const measured = text.split("\n");
  const lines = Array.from({ length: Math.max(committed.length, measured.length) }, (_, index) => index);
  const different = lines.filter((index) => committed[index] !== measured[index]);
  for (const index of different) {
    console.error(`GAS.md:${index + 1}\n  says     ${committed[index]}\n  measured ${measured[index]}`);
  }
  if (different.length > 0) {
    console.error("the contracts cost something else than GAS.md says; run `cargo xtask gas`");
    process.exit(1);
  }
  console.log("GAS.md says what the contracts cost");
} else {
  writeFileSync(table, text);
  console.log("wrote GAS.md");
}
process.exit(0); // and with it the chain

// Compiles the contracts and writes what the Rust side reads.
//
//   node build.mjs           writes artifacts/
//   node build.mjs --check   compiles again and compares with artifacts/; exits 1 on a difference
//
// The factory's address is a hash of its bytecode, so the compiler's version (exact in
// package.json) and every setting below are part of the product: a change moves every address.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import solc from "solc";

const here = new URL("./", import.meta.url);
const artifacts = new URL("artifacts/", here);

const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  // No hash of the source's spelling and no compiler note at the end of the bytecode.
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};

function sources() {
  const names = ["src", "src/test"].flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, here))
      .filter((name) => name.endsWith(".sol"))
      .map((name) => `${folder}/${name}`),
  );
  return Object.fromEntries(
    names.sort().map((name) => [name, { content: readFileSync(new URL(name, here), "utf8") }]),
  );
}

/** Everything that belongs in artifacts/, as a map from file name to text. */
function build() {
  const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources: sources(), settings })));
  const messages = output.errors ?? [];
  for (const { formattedMessage } of messages) console.error(formattedMessage);
  if (messages.length > 0) throw new Error("the compiler complained; warnings count as errors");

  const files = new Map();
  for (const [source, contracts] of Object.entries(output.contracts)) {
    for (const [name, contract] of Object.entries(contracts)) {
      const bytecode = contract.evm.bytecode.object;
      if (bytecode === "") continue; // an interface
      files.set(`${name}.json`, text({ contract: name, source, abi: contract.abi, bytecode: `0x${bytecode}` }));
    }
  }
  const factory = output.contracts["src/DepositFactory.sol"].DepositFactory.evm.bytecode.object;
  // Small enough to build into a program that only deploys the factory or checks its address.
  files.set(
    "factory.json",
    text({
      compiler: solc.version(),
      deployer: "0x4e59b44847b379578588920cA78FbF26c0B4956C",
      salt: `0x${"00".repeat(32)}`,
      creation_code: `0x${factory}`,
    }),
  );
  return files;
}

function text(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function committed() {
  try {
    return new Map(readdirSync(artifacts).map((name) => [name, readFileSync(new URL(name, artifacts), "utf8")]));
  } catch (error) {
    if (error.code === "ENOENT") return new Map();
    throw error;
  }
}

const built = build();
if (process.argv.includes("--check")) {
  const found = committed();
  const names = new Set([...built.keys(), ...found.keys()]);
  const different = [...names].filter((name) => built.get(name) !== found.get(name)).sort();
  for (const name of different) {
    console.error(`artifacts/${name} is not what the sources compile to; run \`node build.mjs\``);
  }
  if (different.length > 0) process.exit(1);
  console.log(`${names.size} artifacts equal a fresh compile`);
} else {
  mkdirSync(artifacts, { recursive: true });
  for (const [name, content] of built) writeFileSync(new URL(name, artifacts), content);
  console.log(`wrote ${built.size} artifacts`);
}

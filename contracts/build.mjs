// Compiles the contracts and writes what the Rust side reads.
//
//   node build.mjs           writes artifacts/
//   node build.mjs --check   compiles again and compares with artifacts/; exits 1 on a difference

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { compile, factoryArtifact, text } from "./compiler.mjs";

const here = new URL("./", import.meta.url);
const artifacts = new URL("artifacts/", here);

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
  const compiled = compile(sources());
  const files = new Map();
  for (const [source, contracts] of Object.entries(compiled)) {
    for (const [name, contract] of Object.entries(contracts)) {
      const bytecode = contract.evm.bytecode.object;
      if (bytecode === "") continue; // an interface
      files.set(`${name}.json`, text({ contract: name, source, abi: contract.abi, bytecode: `0x${bytecode}` }));
    }
  }
  files.set("factory.json", factoryArtifact(compiled));
  return files;
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

// The one way these contracts are compiled.
//
// The factory's address is a hash of its bytecode, so the compiler's version (exact in package.json) and every setting
// below are part of the product: a change moves every address.

import solc from "solc";

export const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  // No hash of the source's spelling and no compiler note at the end of the bytecode.
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};

/** Compiles sources, a map from path to `{ content }`, into contracts by path and name. Warnings count as errors. */
export function compile(sources) {
  return compileUnless(sources, () => true);
}

/** The same for what is wrong on purpose. */
export function compileDespiteWarnings(sources) {
  return compileUnless(sources, ({ severity }) => severity === "error");
}

function compileUnless(sources, isBad) {
  const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings })));
  const messages = (output.errors ?? []).filter(isBad).map(({ formattedMessage }) => formattedMessage);
  if (messages.length > 0) throw new Error(`the compiler complained\n\n${messages.join("\n")}`);
  return output.contracts;
}

/** The text of `artifacts/factory.json`: small enough to build into a program that only deploys the factory. */
export function factoryArtifact(contracts) {
  return text({
    compiler: solc.version(),
    deployer: "0x4e59b44847b379578588920cA78FbF26c0B4956C",
    salt: `0x${"00".repeat(32)}`,
    creation_code: `0x${contracts["src/DepositFactory.sol"].DepositFactory.evm.bytecode.object}`,
  });
}

export function text(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

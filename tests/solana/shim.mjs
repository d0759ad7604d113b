// A local Solana: the real VM behind Solana's JSON-RPC, on loopback.
//
//   node shim.mjs [--port 0] [--tick-ms 400] [--finalized-after 31] [--genesis BASE58] [--time SECONDS]
//
//   --port             0 takes a free one
//   --tick-ms          how long a slot takes; with 0 slots end only by `shim_slots`, and equal requests give an equal chain
//   --finalized-after  how many slots after its own a transaction is finalized
//   --genesis          the genesis hash, 32 bytes, by which clients tell networks apart
//   --time             the chain's first second; without it, now
//
// Prints one line, `Listening on 127.0.0.1:PORT`, when it answers. Ends with its standard input, or on SIGTERM.

import { parseArgs } from "node:util";

/** The hash of "pepay local Solana". */
const GENESIS = "iN7aFDt7YubRz9naEEjFrxMMUGyP5oJ7a8TAwTCQVpa";

function readOptions() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      "tick-ms": { type: "string", default: "400" },
      "finalized-after": { type: "string", default: "31" },
      genesis: { type: "string", default: GENESIS },
      time: { type: "string" },
    },
  });
  const number = (name, least, most) => {
    const value = /^\d{1,12}$/.test(values[name]) ? Number(values[name]) : NaN;
    if (!(least <= value && value <= most)) throw new Error(`--${name} has to be a number from ${least} to ${most}`);
    return value;
  };
  if (!/^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(values.genesis)) throw new Error("--genesis has to be 32 bytes in base58");
  return {
    port: number("port", 0, 65_535),
    tickMs: number("tick-ms", 0, 3_600_000),
    finalizedAfter: number("finalized-after", 2, 1_000),
    genesis: values.genesis,
    startMs: values.time === undefined ? Date.now() : 1000 * number("time", 0, 99_999_999_999),
  };
}

function giveUp(message, exitCode) {
  console.error(message);
  process.exit(exitCode);
}

let options;
try {
  options = readOptions();
} catch (error) {
  giveUp(error.message, 2);
}
// Loaded only now: it takes most of the start.
const { Node } = await import("./src/node.mjs");
const { serve } = await import("./src/server.mjs");
const { port, ...nodeOptions } = options;
const node = await Node.start(nodeOptions).catch((error) => giveUp(error.message, 2));
const server = await serve(node, port).catch((error) => giveUp(`cannot listen on port ${port}: ${error.message}`, 1));

function end() {
  node.stop();
  server.close();
  server.closeAllConnections();
  process.exit(0);
}
process.once("SIGTERM", end).once("SIGINT", end);
process.stdin.once("end", end).once("error", end).resume();

console.log(`Listening on 127.0.0.1:${server.address().port}`);

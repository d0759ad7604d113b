// Pays on a local Solana as wallets do, with keys that are worth nothing.
//
//   node pay.mjs '{"request":"pay","params":{…}}'    answers one request and ends
//   node pay.mjs                                     answers a request for each line of its standard input
//
// A request is `{"id":1,"request":"pay","params":{…}}`; its answer is one line, `{"id":1,"result":{…}}` or
// `{"id":1,"error":{"message":"…"}}`. Requests are answered in their order. README.md lists them.

import { createInterface } from "node:readline";

import { jsonText } from "./src/json.mjs";
import { readParams } from "./src/params.mjs";
import { requests } from "./src/payer/requests.mjs";

async function answer(line) {
  let id = null;
  try {
    const { id: given = null, request: name, params } = JSON.parse(line) ?? {};
    id = given;
    if (typeof name !== "string" || !Object.hasOwn(requests, name))
      throw new Error(`there is no request ${JSON.stringify(name)}`);
    const { readers, answer } = requests[name];
    return { id, result: await answer(...readParams(readers, params === undefined ? [] : [params])) };
  } catch (error) {
    return { id, error: errorShape(error) };
  }
}

/** What the network said is more use than that it said something. */
function errorShape({ message, context, cause }) {
  const logs = context?.logs;
  const why = cause?.message;
  return { message: why === undefined ? message : `${message}: ${why}`, code: context?.__code, logs };
}

const [argument] = process.argv.slice(2);
if (argument !== undefined) {
  const answered = await answer(argument);
  console.log(jsonText(answered));
  process.exitCode = answered.error === undefined ? 0 : 1;
} else {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== "") console.log(jsonText(await answer(line)));
  }
}

// How the shim starts, ticks and ends.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { START, Shim, World } from "./support.mjs";

const NOBODY = "8".repeat(43);
const PROGRAM = fileURLToPath(new URL("../shim.mjs", import.meta.url));

test("it listens on a free port of 127.0.0.1 and ends with its standard input", async (context) => {
  const shim = await Shim.startFor(context);
  assert.match(shim.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(await shim.call("getHealth"), "ok");
  // Whoever listens on all addresses would be found at this one, too.
  await assert.rejects(fetch(shim.url.replace("127.0.0.1", "127.0.0.2")));
  assert.equal(await shim.stop(), 0);
  await assert.rejects(fetch(shim.url));
});

test("it ends on SIGTERM, also while somebody is connected", async (context) => {
  const shim = await Shim.startFor(context, { "tick-ms": 10 });
  await shim.call("getHealth"); // The connection stays open.
  shim.child.kill("SIGTERM");
  assert.deepEqual(await once(shim.child, "exit"), [0, null]);
});

test("what it does not understand, or a port that is taken, ends it with a reason", async (context) => {
  const shim = await Shim.startFor(context);
  const run = (...words) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...words], { input: "", encoding: "utf8" });
    assert.equal(stdout, "");
    return [status, stderr];
  };
  for (const words of [
    ["--colour=red"],
    ["--port=65536"],
    ["--tick-ms=-1"],
    ["--genesis=0"],
    [`--genesis=${"z".repeat(44)}`],
    ["--time="],
  ]) {
    const [status, reason] = run(...words);
    assert.deepEqual([status, reason.trim().split("\n").length], [2, 1], words.join(" "));
  }
  const [status, reason] = run("--port", new URL(shim.url).port);
  assert.equal(status, 1);
  assert.match(reason, /^cannot listen on port \d+: /);
});

test("slots and time go on by themselves, and stand still while it is frozen", async (context) => {
  const shim = await Shim.startFor(context, { "tick-ms": 20 });
  const head = () => shim.call("getSlot", { commitment: "processed" });
  const start = await head();
  for (let slot = start; slot < start + 3; slot = await head()) await sleep(5);

  const frozen = await shim.call("shim_freeze", true);
  // There is no event for nothing happening; five ticks would have passed.
  await sleep(100);
  assert.equal(await head(), frozen);
  await shim.call("shim_freeze", false);
  for (let slot = frozen; slot <= frozen; slot = await head()) await sleep(5);

  const { slot, time } = await shim.call("shim_setTime", START + 3_600);
  assert(START + 3_600 <= time && time < START + 3_610);
  await shim.slots();
  assert(time <= (await shim.call("getBlockTime", slot)));
});

test("without a ticker a slot takes 400 ms of the chain's time, and time moves only ahead", async (context) => {
  const shim = await Shim.startFor(context);
  const first = await shim.slots();
  const firstTime = await shim.call("getBlockTime", first - 1);
  await shim.slots(25);
  assert.equal((await shim.call("getBlockTime", first + 24)) - firstTime, 10);
  const moved = await shim.call("shim_increaseTime", 3_600);
  assert(firstTime + 3_610 <= moved.time);
  await shim.slots();
  assert.equal(await shim.call("getBlockTime", moved.slot), moved.time);
  assert.equal((await shim.refusal("shim_setTime", moved.time - 1)).code, -32602);
});

test("equal requests give an equal chain, and another genesis hash another one", async (context) => {
  const tell = async () => {
    const world = await World.create();
    const paid = await world.payer.pay("customer", { recipient: world.merchant, mint: world.usd, amount: "1" });
    const block = await world.shim.call("getBlock", paid.slot, { commitment: "confirmed" });
    const first = await world.shim.call("getBlock", 100);
    const genesis = await world.shim.call("getGenesisHash");
    await world.stop();
    return { paid, block, first, genesis };
  };
  const [one, two] = await Promise.all([tell(), tell()]);
  assert.deepEqual(one, two);
  const other = await Shim.startFor(context, { genesis: NOBODY });
  assert.equal(await other.call("getGenesisHash"), NOBODY);
  assert.notEqual(one.genesis, NOBODY);
  assert.notEqual((await other.call("getBlock", 100)).blockhash, one.first.blockhash);
});

test("finality comes after as many slots as it was started with", async (context) => {
  const shim = await Shim.startFor(context, { "finalized-after": 2 });
  const levels = ["processed", "confirmed", "finalized"];
  const slots = await Promise.all(levels.map((commitment) => shim.call("getSlot", { commitment })));
  assert.deepEqual(
    slots.map((slot) => slots[0] - slot),
    [0, 1, 2],
  );
});

test("amounts beyond what a float holds are exact", async (context) => {
  const shim = await Shim.startFor(context);
  const lamports = 9_007_199_254_740_993n;
  await shim.call("shim_setAccount", NOBODY, {
    lamports: lamports.toString(),
    owner: "Stake11111111111111111111111111111111111111",
    data: "AAEC",
  });
  const body = {
    jsonrpc: "2.0",
    id: 1,
    method: "getAccountInfo",
    params: [NOBODY, { commitment: "processed", encoding: "base64" }],
  };
  const text = await (await shim.post(JSON.stringify(body))).text();
  for (const part of ['"data":["AAEC","base64"]', `"lamports":${lamports},`, '"rentEpoch":18446744073709551615,'])
    assert(text.includes(part));
  await shim.call("shim_setAccount", NOBODY, { lamports: 0 });
  assert.equal((await shim.call("getAccountInfo", NOBODY, { commitment: "processed" })).value, null);
});

test("a mint can stand at an address of the test's choice, as on the real network", async (context) => {
  const shim = await Shim.startFor(context);
  const address = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
  assert.equal((await shim.call("shim_createMint", { decimals: 6, address })).mint, address);
  const { account } = await shim.call("shim_mintTo", { mint: address, owner: NOBODY, amount: 5 });
  assert.equal(await shim.tokens(account), "5");
});

test("the program that starts it may die without a word", async () => {
  const parent = spawn(process.execPath, [
    "-e",
    `const child = require("node:child_process").spawn(process.execPath, [${JSON.stringify(PROGRAM)}], { stdio: ["pipe", "pipe", "inherit"] });
     child.stdout.once("data", (line) => console.log(child.pid, String(line).trim()));`,
  ]);
  const [line] = await once(parent.stdout, "data");
  const [, pid, host] = /^(\d+) Listening on (\S+)/.exec(line);
  const dead = once(parent, "exit");
  parent.kill("SIGKILL");
  await dead;
  const isAlive = () => {
    try {
      return process.kill(Number(pid), 0);
    } catch {
      return false;
    }
  };
  while (isAlive()) await sleep(10);
  await assert.rejects(fetch(`http://${host}`));
});

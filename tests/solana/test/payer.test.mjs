// What the payer makes of what it is asked.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { UriError, baseUnits, parseTransferRequest } from "../src/payer/uri.mjs";
import { Payer, World } from "./support.mjs";

const MERCHANT = "H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo";
const USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const REFERENCES = ["82ZJ7nbGpixjeDCmEhUcmwXYfvurzAgGdtSMuHnUgyny", "8".repeat(43)];

test("a transfer request is read as the specification says", () => {
  const everything = parseTransferRequest(
    `solana:${MERCHANT}?amount=0.01&spl-token=${USDC}&reference=${REFERENCES[0]}&reference=${REFERENCES[1]}&label=B%C3%BCcher%20%26%20mehr&message=Order%20%23123&memo=INV%2F123`,
  );
  assert.deepEqual(everything, {
    recipient: MERCHANT,
    amount: "0.01",
    mint: USDC,
    references: REFERENCES,
    label: "Bücher & mehr",
    message: "Order #123",
    memo: "INV/123",
  });
  const bare = parseTransferRequest(`solana:${MERCHANT}`);
  assert.deepEqual([bare.recipient, bare.amount, bare.mint, bare.references], [MERCHANT, undefined, undefined, []]);
});

test("what the specification forbids is refused", () => {
  const forbidden = [
    `ethereum:${MERCHANT}`,
    "solana:",
    "solana:nobody",
    "solana:https://shop.example/pay",
    ...["1e3", ".5", "05", "-1", "1.", "1,5", "0x1", " 1", ""].map(
      (amount) => `solana:${MERCHANT}?amount=${encodeURIComponent(amount)}`,
    ),
    `solana:${MERCHANT}?amount=1&amount=2`,
    `solana:${MERCHANT}?memo=a&memo=b`,
    `solana:${MERCHANT}?spl-token=USDC`,
    `solana:${MERCHANT}?reference=INV-1`,
  ];
  for (const uri of forbidden) assert.throws(() => parseTransferRequest(uri), UriError, uri);
});

test("an amount becomes base units to the last digit, and more decimals than there are is an error", () => {
  assert.equal(baseUnits("12.340123", 6), 12_340_123n);
  assert.equal(baseUnits("0.000001", 6), 1n);
  assert.equal(baseUnits("9007199254.740993", 6), 9_007_199_254_740_993n);
  assert.equal(baseUnits("5", 0), 5n);
  assert.throws(() => baseUnits("0.0000001", 6), UriError);
});

test("a request is answered on one line under its id, whatever it is", async () => {
  const payer = new Payer({ url: "http://127.0.0.1:9" });
  const message = async (request, params) => (await payer.answer(request, params)).error.message;
  assert.match(await message("rob", {}), /no request "rob"/);
  assert.match(await message("toString", {}), /no request/);
  assert.match(await message("address", {}), /expected a string/);
  assert.match(await message("address", { wallet: "a", colour: "red" }), /unknown field `colour`/);
  assert.match(await message("parse", { uri: "bitcoin:1" }), /not solana/);
  const params = { rpc: "http://127.0.0.1:9", wallet: "a", payments: [{ recipient: MERCHANT, amount: "1" }] };
  assert.match(await message("pay", params), /fetch failed/);
  assert.match(await message("pay", { ...params, payments: [{ recipient: MERCHANT }] }), /no amount/);
  const { address } = await payer.ask("address", { wallet: "a" });
  assert.equal((await payer.ask("address", { wallet: "a" })).address, address);
  assert.notEqual((await payer.ask("address", { wallet: "b" })).address, address);
  await payer.stop();
});

test("lines that are no requests are answered too", () => {
  const program = fileURLToPath(new URL("../pay.mjs", import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [program], {
    input: '{\n\n[]\nnull\n{"id":7,"request":"parse"}\n',
    encoding: "utf8",
  });
  const answers = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual([status, answers.map(({ id }) => id)], [0, [null, null, null, 7]]);
  assert(answers.every(({ error }) => typeof error.message === "string"));

  const once = spawnSync(
    process.execPath,
    [program, JSON.stringify({ request: "parse", params: { uri: `solana:${MERCHANT}?amount=2` } })],
    { encoding: "utf8" },
  );
  assert.deepEqual([once.status, JSON.parse(once.stdout).result.amount], [0, "2"]);
  assert.equal(spawnSync(process.execPath, [program, "{}"]).status, 1);
});

test("it waits until a payment is confirmed, or as far as it was told, while slots go on by themselves", async (context) => {
  const world = await World.create({ "tick-ms": 20 });
  context.after(() => world.stop());
  const status = async ({ signature }) =>
    (await world.shim.call("getSignatureStatuses", [signature], { searchTransactionHistory: true })).value[0]
      .confirmationStatus;
  const params = { rpc: world.shim.url, wallet: "customer", payments: [{ recipient: MERCHANT, amount: "1" }] };
  const paid = await world.payer.ask("pay", params);
  assert.deepEqual([paid.err, paid.payer], [null, world.customer]);
  assert.notEqual(await status(paid), "processed");
  const final = await world.payer.ask("pay", { ...params, await: "finalized" });
  assert.equal(await status(final), "finalized");
  assert(paid.slot < final.slot);
});

// The fixtures of the server's unit tests.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("the recorded answers are what the shim answers", () => {
  const program = fileURLToPath(new URL("../fixtures.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [program, "--check"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

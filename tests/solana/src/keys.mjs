// Keys that are worth nothing: each is made from its name, so that the same test uses the same keys.

import { createHash } from "node:crypto";

import { createKeyPairSignerFromPrivateKeyBytes } from "@solana/kit";

/** Those that were made already: making one takes milliseconds. */
const signers = new Map();

/** The signer that has this name. Everybody knows its key. */
export async function testSigner(name) {
  if (!signers.has(name)) {
    const seed = createHash("sha256").update(`pepay test key: ${name}`).digest();
    signers.set(name, await createKeyPairSignerFromPrivateKeyBytes(seed));
  }
  return signers.get(name);
}

// Keys that are worth nothing: each is made from its name, so that the same test uses the same keys.

import { createHash } from "node:crypto";

import { createKeyPairSignerFromPrivateKeyBytes } from "@solana/kit";

/** The signer that has this name. Everybody knows its key. */
export function testSigner(name) {
  return createKeyPairSignerFromPrivateKeyBytes(createHash("sha256").update(`pepay test key: ${name}`).digest());
}

// Bytes as Solana writes them.

import { getBase58Decoder, getBase58Encoder } from "@solana/kit";

const decoder = getBase58Decoder();
const encoder = getBase58Encoder();

/** The base58 text of bytes. */
export const base58Text = (bytes) => decoder.decode(bytes);

/** The bytes of base58 text, or undefined if it is none. */
export function base58Bytes(text) {
  try {
    return encoder.encode(text);
  } catch {
    return undefined;
  }
}

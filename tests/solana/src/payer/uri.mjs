// Solana Pay transfer requests, read as a wallet reads them: by the specification alone, sharing nothing with what wrote them.

import { isAddress } from "@solana/kit";

export class UriError extends Error {}

const ONCE = ["amount", "spl-token", "label", "message", "memo"];

/** Reads `solana:<recipient>?amount=…&spl-token=…&reference=…&label=…&message=…&memo=…`. */
export function parseTransferRequest(text) {
  if (!/^solana:/i.test(text)) throw new UriError("the scheme is not solana");
  const uri = new URL(text);
  const recipient = decodeURIComponent(uri.pathname);
  if (/^https:/i.test(recipient)) throw new UriError("this is a transaction request, not a transfer request");
  if (!isAddress(recipient)) throw new UriError("the recipient is no address");

  const values = Object.fromEntries(
    ONCE.map((name) => {
      const given = uri.searchParams.getAll(name);
      if (given.length > 1) throw new UriError(`${name} is given more than once`);
      return [name, given[0]];
    }),
  );
  const { amount, "spl-token": mint } = values;
  if (amount !== undefined && !/^(0|[1-9]\d*)(\.\d+)?$/.test(amount))
    throw new UriError("the amount is no plain decimal number");
  if (mint !== undefined && !isAddress(mint)) throw new UriError("spl-token is no address");
  const references = uri.searchParams.getAll("reference");
  if (!references.every(isAddress)) throw new UriError("a reference is not 32 bytes in base58");
  return { recipient, amount, mint, references, label: values.label, message: values.message, memo: values.memo };
}

/** An amount in whole coins or tokens as base units. More decimals than there are is an error, as the specification says. */
export function baseUnits(amount, decimals) {
  const [whole, fraction = ""] = amount.split(".");
  if (decimals < fraction.length) throw new UriError(`the amount has more than ${decimals} decimals`);
  return BigInt(whole + fraction.padEnd(decimals, "0"));
}

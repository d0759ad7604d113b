// Token accounts and mints, read from their bytes: SPL Token, and Token-2022 without its extensions.

import { base58Text } from "./base58.mjs";

export const TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
export const TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
export const TOKEN_PROGRAMS = new Set([TOKEN, TOKEN_2022]);

const ACCOUNT_SIZE = 165;
const MINT_SIZE = 82;
/** Token-2022 says behind the size of a plain account what an account with extensions is. */
const [MINT_TYPE, ACCOUNT_TYPE] = [1, 2];
const [INITIALIZED, FROZEN] = [1, 2];

/** The token account in an account, or undefined. */
export function readTokenAccount(account) {
  if (!isLaidOutAs(account, ACCOUNT_SIZE, ACCOUNT_TYPE)) return undefined;
  const data = view(account);
  const state = data.getUint8(108);
  if (state !== INITIALIZED && state !== FROZEN) return undefined;
  return {
    mint: key(account, 0),
    owner: key(account, 32),
    amount: data.getBigUint64(64, true),
    isFrozen: state === FROZEN,
    isNative: data.getUint32(109, true) === 1,
  };
}

/** The mint in an account, or undefined. */
export function readMint(account) {
  if (!isLaidOutAs(account, MINT_SIZE, MINT_TYPE)) return undefined;
  const data = view(account);
  if (data.getUint8(45) !== 1) return undefined;
  return {
    mintAuthority: data.getUint32(0, true) === 1 ? key(account, 4) : null,
    supply: data.getBigUint64(36, true),
    decimals: data.getUint8(44),
    freezeAuthority: data.getUint32(46, true) === 1 ? key(account, 50) : null,
  };
}

/** An amount as nodes write it. Their `uiAmount` is a float; nobody should count with it. */
export function uiTokenAmount(amount, decimals) {
  const digits = amount.toString().padStart(decimals + 1, "0");
  const [whole, fraction] = [digits.slice(0, digits.length - decimals), digits.slice(digits.length - decimals)];
  const trimmed = fraction.replace(/0+$/, "");
  const text = trimmed === "" ? whole : `${whole}.${trimmed}`;
  return { amount: amount.toString(), decimals, uiAmount: Number(text), uiAmountString: text };
}

function isLaidOutAs(account, size, type) {
  if (account === undefined || !TOKEN_PROGRAMS.has(account.programAddress)) return false;
  const { length } = account.data;
  if (length === size) return true;
  return account.programAddress === TOKEN_2022 && ACCOUNT_SIZE < length && account.data[ACCOUNT_SIZE] === type;
}

const view = ({ data }) => new DataView(data.buffer, data.byteOffset, data.byteLength);
const key = ({ data }, offset) => base58Text(data.subarray(offset, offset + 32));

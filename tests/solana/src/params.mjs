// Parameters from outside, each turned into what it must be or refused with the code that nodes use.
//
// A reader takes what came (undefined if nothing did) and returns the value or throws.

import { base58Bytes } from "./base58.mjs";
import { invalidParams } from "./errors.mjs";

const MAX_U64 = (1n << 64n) - 1n;

/** A method: what it takes, and what it answers. */
export const method = (readers, answer) => ({ readers, answer });

/** The arguments of a call, read. */
export function readParams(readers, params = []) {
  if (!Array.isArray(params)) throw invalidParams("Invalid params: invalid type: map, expected a sequence.");
  if (readers.length < params.length) {
    throw invalidParams(`Invalid parameters: expected at most ${readers.length}, got ${params.length}`);
  }
  return readers.map((read, index) => read(params[index] ?? undefined));
}

/** The same, but it may be missing. */
export const optional = (read, otherwise) => (value) => (value === undefined ? otherwise : read(value));

export const address = bytesOf(32);
export const signature = bytesOf(64);

export function boolean(value) {
  if (typeof value !== "boolean") throw invalidParams("Invalid params: expected a boolean");
  return value;
}

export function text(value) {
  if (typeof value !== "string") throw invalidParams("Invalid params: expected a string");
  return value;
}

export const oneOf =
  (...choices) =>
  (value) => {
    if (!choices.includes(value)) {
      const expected = choices.map((choice) => `\`${choice}\``).join(", ");
      throw invalidParams(`Invalid params: unknown variant \`${value}\`, expected one of ${expected}`);
    }
    return value;
  };

/** A whole number that a float holds exactly. */
export const count = (most) => (value) => {
  if (!Number.isSafeInteger(value) || value < 0 || most < value) {
    throw invalidParams(`Invalid params: expected a whole number up to ${most}`);
  }
  return value;
};

/** 64 bits, as a whole number or as decimal text: JSON from JavaScript cannot say all of them as numbers. */
export function u64(value) {
  const isWhole = typeof value === "string" ? /^\d{1,20}$/.test(value) : Number.isSafeInteger(value) && 0 <= value;
  const number = isWhole ? BigInt(value) : -1n;
  if (number < 0n || MAX_U64 < number) throw invalidParams("Invalid params: expected a u64, as a number or as text");
  return number;
}

export const listOf = (read, most) => (value) => {
  if (!Array.isArray(value)) throw invalidParams("Invalid params: expected a list");
  if (most < value.length) throw invalidParams(`Too many inputs provided; max ${most}`);
  return value.map((item) => read(item ?? undefined));
};

/** An object with named fields, each read by its reader; other fields are not looked at, as nodes do it. */
export const fields = (readers) => (value) => {
  if (value === undefined || typeof value !== "object" || Array.isArray(value)) {
    throw invalidParams("Invalid params: expected an object");
  }
  return Object.fromEntries(Object.entries(readers).map(([name, read]) => [name, read(value[name] ?? undefined)]));
};

/** The same for tests' own controls: a field that nobody knows is a mistake. */
export const exactFields = (readers) => (value) => {
  const read = fields(readers)(value);
  const unknown = Object.keys(value).find((name) => !Object.hasOwn(readers, name));
  if (unknown !== undefined) throw invalidParams(`Invalid params: unknown field \`${unknown}\``);
  return read;
};

export const base64 = (value) => {
  const bytes = Buffer.from(text(value), "base64");
  if (bytes.toString("base64") !== value) throw invalidParams("invalid base64 encoding");
  return new Uint8Array(bytes);
};

/** How safe an answer has to be; nodes mean `finalized` unless told otherwise. */
export const commitment = optional(oneOf("processed", "confirmed", "finalized"), "finalized");

/** The options that nearly every method has, with those of the method. */
export const config = (readers = {}) => {
  const read = fields({ commitment, minContextSlot: optional(count(Number.MAX_SAFE_INTEGER)), ...readers });
  return (value = {}) => read(value);
};

function bytesOf(size) {
  return (value) => {
    if (value === undefined) throw invalidParams("`params` should have at least 1 argument(s)");
    const bytes = typeof value === "string" && value.length <= 2 * size ? base58Bytes(value) : undefined;
    if (bytes === undefined) throw invalidParams("Invalid param: Invalid");
    if (bytes.length !== size) throw invalidParams("Invalid param: WrongSize");
    return value;
  };
}

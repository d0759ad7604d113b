import { PepayError } from './errors.js';

/**
 * The JSON number of an amount in dollars, with the very digits it was given with.
 *
 * A text never becomes a float on its way. A number is written as JavaScript prints it, so what arithmetic
 * has damaged (`0.1 + 0.2`) is refused rather than rounded: nobody but the caller knows what was meant.
 *
 * @throws {PepayError} `INVALID_AMOUNT_FORMAT`
 */
export function dollarsAsJson(amount: number | string): string {
  const text = typeof amount === 'number' ? String(amount) : amount;
  if (typeof text === 'string' && /^(0|[1-9]\d*)(\.\d{1,3})?$/.test(text)) return text;

  const decimals = typeof text === 'string' ? /^-?\d+\.(\d+)$/.exec(text)?.[1]?.length ?? 0 : 0;
  const fault =
    3 < decimals
      ? `has ${decimals} decimals, and dollars have at most three here; round it, or pass it as text`
      : 'must be dollars as a number or as decimal text with at most three decimals, as in "49.999"';
  throw new PepayError({ code: 'INVALID_AMOUNT_FORMAT', field: 'amount_usd', message: `amount_usd ${fault}` });
}

/** The JSON of an object with an amount in dollars in it. */
export function jsonWithDollars(body: { amount_usd: number | string }): string {
  const { amount_usd: amount, ...rest } = body;
  const dollars = dollarsAsJson(amount);
  const others = JSON.stringify(rest).slice(1, -1);
  return others === '' ? `{"amount_usd":${dollars}}` : `{"amount_usd":${dollars},${others}}`;
}

import type { PepayEvent } from './events.js';
import { WebhookVerificationError } from './errors.js';

/** The headers of a delivery, as any framework has them. Names are compared without regard to case. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | Iterable<readonly [string, string]>
  | Record<string, string | readonly string[] | undefined>;

export interface VerifyOptions {
  /** How far the signing time may be from ours, in milliseconds. Default: 5 minutes. */
  toleranceMs?: number | undefined;
  /** Our time, in milliseconds since 1970. Default: the clock's. */
  now?: number | undefined;
}

const TOLERANCE_MS = 5 * 60 * 1000;
const SIGNATURES = ['x-pepay-signature', 'x-pepay-signature-previous'];

/**
 * Checks that a delivery comes from your pepay server, is unaltered and recent, and reads its event.
 *
 * The same event may be delivered more than once: remember the `id` of those you have handled. What it says
 * of an invoice still has to be compared with what you asked for: your invoice id, your amount.
 *
 * @param rawBody the very bytes that came, before any JSON parser has seen them
 * @param secrets the endpoint's secret, or several while you replace one by another
 * @throws {WebhookVerificationError} when it must not be believed
 */
export async function verify<E = PepayEvent>(
  rawBody: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secrets: string | readonly string[],
  options: VerifyOptions = {},
): Promise<E> {
  const body = bytesOf(rawBody);
  // With an empty secret anybody could sign. One that is missing comes from a variable that is not set.
  const keys = typeof secrets === 'string' ? [secrets] : (secrets ?? []);
  if (keys.length === 0 || keys.some((key) => typeof key !== 'string' || key === '')) {
    throw new TypeError('the webhook secret is missing or empty');
  }

  const timestamp = headerOf(headers, 'x-pepay-timestamp');
  if (timestamp === undefined || !/^\d{1,15}$/.test(timestamp)) {
    throw new WebhookVerificationError('invalid_signature', 'X-Pepay-Timestamp is missing or not in milliseconds');
  }
  // While the secret is being replaced the sender also signs with the one before.
  const signatures = SIGNATURES.flatMap((name) => headerOf(headers, name) ?? []);
  let isGood = false;
  for (const key of keys) {
    const expected = await sign(key, timestamp, body);
    for (const given of signatures) {
      // No early end: how long this takes says nothing about which pair was close.
      isGood = isEqual(expected, given) || isGood;
    }
  }
  if (!isGood) {
    const fault = signatures.length === 0 ? 'X-Pepay-Signature is missing' : 'the signature does not match';
    throw new WebhookVerificationError('invalid_signature', fault);
  }

  const tolerance = options.toleranceMs ?? TOLERANCE_MS;
  // Written so that a tolerance that is no number lets nothing pass.
  if (!(Math.abs((options.now ?? Date.now()) - Number(timestamp)) <= tolerance)) {
    const fault = `the timestamp is more than ${tolerance / 1000} seconds off`;
    throw new WebhookVerificationError('timestamp_out_of_range', fault);
  }
  return readEvent(body) as E;
}

const encoder = new TextEncoder();

function bytesOf(rawBody: unknown): Uint8Array {
  if (typeof rawBody === 'string') return encoder.encode(rawBody);
  if (rawBody instanceof Uint8Array) return rawBody;
  if (rawBody instanceof ArrayBuffer) return new Uint8Array(rawBody);
  throw new TypeError('pass the raw body, as text or bytes; a parsed one is not what was signed');
}

function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  if ('get' in headers && typeof headers.get === 'function') return headers.get(name) ?? undefined;
  const entries = Symbol.iterator in headers ? (headers as Iterable<readonly [string, string]>) : Object.entries(headers);
  for (const [key, value] of entries) {
    if (key.toLowerCase() !== name) continue;
    return typeof value === 'string' ? value : value?.[0];
  }
  return undefined;
}

/** Lower-case hex of HMAC-SHA256 over timestamp, dot and body. */
async function sign(secret: string, timestamp: string, body: Uint8Array): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign']);
  const prefix = encoder.encode(`${timestamp}.`);
  const signed = new Uint8Array(prefix.length + body.length);
  signed.set(prefix);
  signed.set(body, prefix.length);
  const tag = new Uint8Array(await crypto.subtle.sign('HMAC', key, signed));
  return Array.from(tag, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Takes the same time wherever two texts of the same length differ. */
function isEqual(expected: string, given: string): boolean {
  let difference = expected.length ^ given.length;
  for (let index = 0; index < expected.length; index += 1) {
    // Beyond the end of `given` this is NaN, and NaN | 0 is 0; the lengths have told then.
    difference |= expected.charCodeAt(index) ^ given.charCodeAt(index);
  }
  return difference === 0;
}

function readEvent(body: Uint8Array): unknown {
  let event: unknown;
  try {
    event = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    event = undefined;
  }
  const { id, type } = (typeof event === 'object' && event !== null ? event : {}) as { id?: unknown; type?: unknown };
  if (typeof id !== 'string' || !id.startsWith('evt_') || typeof type !== 'string') {
    throw new WebhookVerificationError('not_an_event', 'the body is not an event');
  }
  return event;
}

const FIRST_MS = 500;
const LONGEST_MS = 8_000;

/** Whoever is asked to wait longer than this decides for themselves. */
export const LONGEST_RETRY_AFTER_SECONDS = 60;

/**
 * Milliseconds to wait before trying again, or nothing where the server asks for more patience than a call
 * should have. Half of each wait is random, so that many clients do not come back together.
 *
 * @param retries how many came before
 */
export function delayBeforeRetry(retries: number, retryAfterSeconds: number | undefined): number | undefined {
  const backoff = Math.min(FIRST_MS * 2 ** retries, LONGEST_MS);
  const jittered = backoff / 2 + (Math.random() * backoff) / 2;
  if (retryAfterSeconds === undefined) return jittered;
  if (LONGEST_RETRY_AFTER_SECONDS < retryAfterSeconds) return undefined;
  // Never sooner than asked; a little later, for the same reason.
  return retryAfterSeconds * 1000 + Math.random() * FIRST_MS;
}

/** Reads `Retry-After` (RFC 9110, section 10.2.3) as seconds from now. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}

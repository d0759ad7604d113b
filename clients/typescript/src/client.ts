import { Events } from './events.js';
import { Invoices } from './invoices.js';
import { isBrowser } from './runtime.js';
import { Tokens } from './tokens.js';
import { Transport, type Fetch } from './transport.js';
import { WebhookEndpoints } from './webhook_endpoints.js';
import { verify } from './webhooks.js';

export interface PepayOptions {
  /** Your API key. It belongs to your server, never into a page. */
  apiKey: string;
  /** Where your pepay server is. Default: `http://127.0.0.1:8080`, where `pepay serve` listens by default. */
  baseUrl?: string | undefined;
  /** Milliseconds that one try may take. Default: 30 seconds. */
  timeoutMs?: number | undefined;
  /** How often a call that failed in passing is tried again. Default: 2. */
  maxRetries?: number | undefined;
  /** Another `fetch`. */
  fetch?: Fetch | undefined;
  /** Lets the client run where everybody can read the key it is given. */
  dangerouslyAllowBrowser?: boolean | undefined;
}

/**
 * The merchant API of a pepay server.
 *
 * ```ts
 * const pepay = new Pepay({ apiKey: process.env.PEPAY_KEY!, baseUrl: 'https://pay.shop.example' });
 * const invoice = await pepay.invoices.create({ amount_usd: '24.90', description: 'Order 17' });
 * ```
 *
 * Calls that fail in passing (no connection, no answer in time, status 429, 500, 502, 503 or 504) are tried
 * again with growing waits, as long as that cannot do anything twice. What fails for good is a `PepayError`.
 */
export class Pepay {
  /** Checks deliveries; needs no API key. */
  static readonly webhooks = { verify } as const;

  readonly invoices: Invoices;
  readonly tokens: Tokens;
  readonly events: Events;
  readonly webhooks: WebhookEndpoints;

  constructor(options: PepayOptions) {
    const { apiKey, timeoutMs = 30_000, maxRetries = 2 } = options;
    if (isBrowser() && options.dangerouslyAllowBrowser !== true) {
      throw new TypeError(
        'an API key must not be sent to browsers, where everybody can read it: call pepay from your server, and ' +
          'give the page only the payment_url. (dangerouslyAllowBrowser: true turns this check off.)',
      );
    }
    if (typeof apiKey !== 'string' || !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new TypeError('apiKey is missing, or no API key');
    }
    if (!(0 < timeoutMs)) throw new TypeError('timeoutMs must be above 0');
    if (!(Number.isInteger(maxRetries) && 0 <= maxRetries)) throw new TypeError('maxRetries must be 0 or more');
    const transport = new Transport(apiKey, {
      baseUrl: checkBaseUrl(options.baseUrl ?? 'http://127.0.0.1:8080'),
      timeoutMs,
      maxRetries,
      // Looked up at each call, and called as a plain function, which the built-in one insists on.
      fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    });
    this.invoices = new Invoices(transport);
    this.tokens = new Tokens(transport);
    this.events = new Events(transport);
    this.webhooks = new WebhookEndpoints(transport);
  }
}

/** The start of every address, without a slash at its end. */
function checkBaseUrl(text: string): string {
  const fault = 'baseUrl must be an http:// or https:// address without query, fragment and credentials';
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new TypeError(fault, { cause });
  }
  const isPlain = url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (!isPlain || !['http:', 'https:'].includes(url.protocol)) throw new TypeError(fault);
  return url.origin + url.pathname.replace(/\/+$/, '');
}

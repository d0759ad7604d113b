import { PepayError } from './errors.js';
import { operations, type Operations } from './generated.js';
import { queryText, type QueryValue } from './query.js';
import { delayBeforeRetry, parseRetryAfter } from './retry.js';
import { sleep } from './runtime.js';

/** What every call can be given. */
export interface RequestOptions {
  /** Stops the call, and all its further tries. */
  signal?: AbortSignal | undefined;
  /** Milliseconds that one try may take. */
  timeoutMs?: number | undefined;
  /** How often a call that failed in passing is tried again. */
  maxRetries?: number | undefined;
}

/** The part of `fetch` that is used, so that another one can be given. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Call {
  method: string;
  path: string;
  query?: Record<string, QueryValue> | undefined;
  /** The body, already as JSON. */
  json?: string | undefined;
  headers?: Record<string, string> | undefined;
  idempotencyKey?: string | undefined;
}

type Name = keyof typeof operations;
type Description<N extends Name> = Operations[N];

/**
 * What an operation takes. Path, body and the names of the query's parameters must be those of the server's
 * description, so that a change of the server does not compile here.
 */
export type Input<N extends Name, Query extends object> = {
  query?: (Query & { [Unknown in Exclude<keyof Query, keyof Description<N>['query']>]: never }) | undefined;
  idempotencyKey?: string | undefined;
} & (keyof Description<N>['path'] extends never ? { path?: undefined } : { path: Description<N>['path'] }) &
  (Description<N>['body'] extends undefined ? { body?: undefined } : { body: Description<N>['body'] } | { json: string });

export interface TransportSettings {
  baseUrl: string;
  timeoutMs: number;
  maxRetries: number;
  fetch: Fetch;
}

/** Sends calls, and sends them again where that is safe and may help. */
export class Transport {
  readonly #settings: TransportSettings;
  readonly #apiKey: string;

  constructor(apiKey: string, settings: TransportSettings) {
    this.#apiKey = apiKey;
    this.#settings = settings;
  }

  get timeoutMs(): number {
    return this.#settings.timeoutMs;
  }

  /** Calls an operation of the merchant API. */
  async call<N extends Name, Query extends object>(
    name: N,
    input: Input<N, Query>,
    options: RequestOptions = {},
  ): Promise<Description<N>['answer']> {
    const { method, path } = operations[name];
    const { body, json } = input as { body?: unknown; json?: string };
    const call = {
      method,
      path: fillPath(path, (input.path ?? {}) as Record<string, string | number>),
      query: input.query as Record<string, QueryValue> | undefined,
      json: json ?? (body === undefined ? undefined : JSON.stringify(body)),
      idempotencyKey: input.idempotencyKey,
    };
    return this.sendWithKey(call, options);
  }

  /** Calls as the merchant what the description does not have. */
  async sendWithKey<T>(call: Call, options?: RequestOptions): Promise<T> {
    return (await this.send({ ...call, headers: { 'x-api-key': this.#apiKey } }, options)) as T;
  }

  /** Sends a call that says itself who is calling. */
  async send(call: Call, options: RequestOptions = {}): Promise<unknown> {
    const { signal, maxRetries = this.#settings.maxRetries } = options;
    const url = this.#settings.baseUrl + call.path + queryText(call.query ?? {});
    // Made once, so that every try is the same request; and here, so that a bad header is no network error.
    const headers = new Headers({ accept: 'application/json', ...call.headers });
    if (call.json !== undefined) headers.set('content-type', 'application/json');
    if (call.idempotencyKey !== undefined) headers.set('idempotency-key', call.idempotencyKey);
    // What was done twice would be done twice: only a key, or the method's meaning, makes a second try safe.
    const isRepeatable = ['GET', 'PUT', 'DELETE'].includes(call.method) || call.idempotencyKey !== undefined;

    for (let retries = 0; ; retries += 1) {
      try {
        return await this.#try(url, call, headers, options);
      } catch (error) {
        if (!(error instanceof PepayError && error.isTransient && isRepeatable && retries < maxRetries)) throw error;
        const delay = delayBeforeRetry(retries, error.retryAfter);
        if (delay === undefined) throw error;
        await sleep(delay, signal);
      }
    }
  }

  async #try(url: string, call: Call, headers: Headers, options: RequestOptions): Promise<unknown> {
    const { signal, timeoutMs = this.#settings.timeoutMs } = options;
    const { idempotencyKey } = call;
    signal?.throwIfAborted();
    const controller = new AbortController();
    const onAbort = () => controller.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      const response = await this.#settings.fetch(url, {
        method: call.method,
        headers,
        ...(call.json === undefined ? {} : { body: call.json }),
        // Following one would hand the API key to whatever host it names.
        redirect: 'manual',
        signal: controller.signal,
      });
      const text = await response.text();
      return readAnswer(response, text, idempotencyKey);
    } catch (cause) {
      if (cause instanceof PepayError) throw cause;
      signal?.throwIfAborted();
      if (controller.signal.aborted) {
        const message = `no answer came within ${timeoutMs} ms`;
        throw new PepayError({ code: 'REQUEST_TIMEOUT', message, idempotencyKey, cause });
      }
      const message = `the server could not be reached, or hung up: ${causes(cause)}`;
      throw new PepayError({ code: 'CONNECTION_FAILED', message, idempotencyKey, cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

/** Puts values into `/api/v1/invoices/{invoice_id}`. */
export function fillPath(template: string, values: Record<string, string | number>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    // An empty one would be another address; a dot or two would lead elsewhere, percent sign or not.
    if (value === undefined || /^\.{0,2}$/.test(String(value))) throw new TypeError(`${name} must not be empty`);
    return encodeURIComponent(value);
  });
}

function readAnswer(response: Response, text: string, idempotencyKey: string | undefined): unknown {
  const { status, headers } = response;
  const requestId = headers.get('x-request-id') ?? headers.get('request-id') ?? undefined;
  const body = parseJson(text);
  if (200 <= status && status <= 299) {
    if (body !== undefined || text === '') return body;
    const message = `the server answered ${status}, but not in JSON; is this the address of a pepay server?`;
    throw new PepayError({ code: 'UNREADABLE_ANSWER', message, status, requestId, idempotencyKey });
  }
  const retryAfter = parseRetryAfter(headers.get('retry-after'), Date.now());
  throw new PepayError({ ...readError(status, body), status, requestId, retryAfter, idempotencyKey });
}

/** Reads the error body, in its nested form or in the older flat ones. */
function readError(status: number, body: unknown): { code: string; message: string; field: string | undefined } {
  const outer = members(body);
  const inner = members(outer['error']);
  const text = (...values: unknown[]) => values.find((value) => typeof value === 'string' && value !== '');
  return {
    code: (text(inner['code'], outer['code'], outer['error_code']) as string | undefined) ?? `HTTP_${status}`,
    message:
      (text(inner['message'], outer['message'], outer['error']) as string | undefined) ??
      `the server answered ${status} without saying why`,
    field: text(inner['field']) as string | undefined,
  };
}

function members(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function causes(error: unknown): string {
  const texts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) texts.push(at.message);
  return texts.length === 0 ? String(error) : texts.join(': ');
}

/** What is known about a call that was not done. */
export interface PepayErrorDetails {
  code: string;
  message: string;
  status?: number | undefined;
  field?: string | undefined;
  requestId?: string | undefined;
  retryAfter?: number | undefined;
  idempotencyKey?: string | undefined;
  cause?: unknown;
}

/**
 * Why a call was not done: what the server answered, or why no answer came.
 *
 * The server's codes are listed in its description (`/openapi.json`). This client has a few of its own:
 * `CONNECTION_FAILED`, `REQUEST_TIMEOUT` (no answer in time), `UNREADABLE_ANSWER` (not JSON),
 * `WAIT_TIMEOUT` and `INVOICE_ENDED` (of `invoices.waitForStatus`); and where an answer does not carry a
 * code, as from a proxy, the code is `HTTP_` and the status.
 */
export class PepayError extends Error {
  override readonly name = 'PepayError';
  /** Stable; made for programs. */
  readonly code: string;
  /** The HTTP status; none if no answer came. */
  readonly status: number | undefined;
  /** The field, header or parameter at fault, where there is one. */
  readonly field: string | undefined;
  /** The name of the request in the server's log. */
  readonly requestId: string | undefined;
  /** Seconds that the server asks to wait before the next try. */
  readonly retryAfter: number | undefined;
  /** The key the request was sent with. The same request is safe to send again with it. */
  readonly idempotencyKey: string | undefined;

  constructor(details: PepayErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.status = details.status;
    this.field = details.field;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
    this.idempotencyKey = details.idempotencyKey;
  }

  /** Whether the same request may well succeed a little later. */
  get isTransient(): boolean {
    switch (this.status) {
      case undefined:
        return this.code === 'CONNECTION_FAILED' || this.code === 'REQUEST_TIMEOUT';
      case 429:
      case 500:
      case 502:
      case 503:
      case 504:
        return true;
      case 409:
        // The first request with this key still runs; a conflict for good does not ask anybody to come back.
        return this.retryAfter !== undefined;
      default:
        return false;
    }
  }
}

/**
 * Why a webhook was not believed.
 *
 * - `invalid_signature`: a header is missing or malformed, or nobody who knows the secret signed these bytes
 * - `timestamp_out_of_range`: signed too long ago, or in the future; perhaps somebody repeats an old delivery
 * - `not_an_event`: signed by the right sender, but not an event
 */
export type WebhookVerificationCode = 'invalid_signature' | 'timestamp_out_of_range' | 'not_an_event';

/** A webhook that must not be believed; answer it with status 400. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';
  readonly code: WebhookVerificationCode;

  constructor(code: WebhookVerificationCode, message: string) {
    super(message);
    this.code = code;
  }
}

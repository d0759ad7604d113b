import type { Environment } from './generated.js';
import { PagePromise, type Cursor } from './page.js';
import type { QueryValue } from './query.js';
import { fillPath, type RequestOptions, type Transport } from './transport.js';

/** Where you hear of events. */
export interface WebhookEndpoint {
  object: 'webhook_endpoint';
  id: string;
  url: string;
  enabled_events: string[];
  /** Null means both. */
  environment: Environment | null;
  description: string | null;
  /** `2025-12-16`, or `legacy` for the types and the flat body of an older version. */
  api_version: string;
  is_active: boolean;
  /** Why the server gave it up: `gone` (it answered 410) or `failing` (nothing but failures for days). */
  disabled_reason: string | null;
  disabled_at: number | null;
  /** Since when every try has failed; null after one that did not. */
  failing_since: number | null;
  /** Until then, what is sent is signed with the secret before this one as well. */
  previous_secret_expires_at: number | null;
  created_at: number;
  updated_at: number;
  /** Only in the answer that made it. */
  secret?: string | undefined;
}

export interface CreateWebhookEndpoint {
  /** An `https` address. */
  url: string;
  /** Types such as `invoice.updated`, all below one as in `invoice.*`, or `*`. */
  enabled_events?: readonly string[] | undefined;
  /** Events of both, unless it is set. */
  environment?: Environment | null | undefined;
  description?: string | null | undefined;
  api_version?: '2025-12-16' | 'legacy' | undefined;
  is_active?: boolean | undefined;
}

export type DeliveryState = 'pending' | 'delivered' | 'exhausted';

/** An event on its way to one endpoint. */
export interface WebhookDelivery {
  object: 'webhook_delivery';
  /** What `X-Pepay-Event-ID` says; the same on every try. */
  id: string;
  endpoint_id: string;
  event_id: string;
  event_type: string;
  invoice_id: string | null;
  state: DeliveryState;
  /** Null if no further try is made. */
  next_attempt_at: number | null;
  created_at: number;
  /** The newest first. */
  attempts: WebhookAttempt[];
}

/** One try. */
export interface WebhookAttempt {
  /** Counted from 1. */
  attempt: number;
  attempted_at: number;
  duration_ms: number;
  /** What the receiver answered, if it did. */
  status: number | null;
  error: string | null;
}

export interface ListDeliveries extends Cursor {
  state?: DeliveryState | readonly DeliveryState[] | undefined;
  /** Types of event, where `invoice.*` stands for all below. */
  type?: string | readonly string[] | undefined;
  /** How many deliveries a page has, 1 to 100; 10 by default. */
  limit?: number | undefined;
}

/** What is to be sent again: all that was given up since a time, or every event of a range of time. */
export type Redeliver =
  | { failed_since: number | Date }
  | { from: number | Date; to?: number | Date | undefined };

/** What was queued again. */
export interface Redelivered {
  queued: number;
  /** What was still on its way, and was left alone. */
  already_pending: number;
}

/** Where you hear of events. Changing that takes a key with the right `webhooks`. */
export class WebhookEndpoints {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Has events sent to an address. The answer holds the secret they are signed with, and is the only one to. */
  async create(endpoint: CreateWebhookEndpoint, options?: RequestOptions): Promise<WebhookEndpoint> {
    return this.#send('POST', '/api/v1/webhooks', {}, endpoint, options);
  }

  /** Your endpoints, newest first. */
  list(options?: RequestOptions): PagePromise<WebhookEndpoint> {
    return new PagePromise({}, () => this.#get('/api/v1/webhooks', {}, {}, options));
  }

  async retrieve(webhookId: string, options?: RequestOptions): Promise<WebhookEndpoint> {
    return this.#get(ONE, { webhook_id: webhookId }, {}, options);
  }

  /** Changes what is named and leaves the rest as it is; `is_active: true` also revives what was disabled. */
  async update(
    webhookId: string,
    change: Partial<CreateWebhookEndpoint>,
    options?: RequestOptions,
  ): Promise<WebhookEndpoint> {
    return this.#send('PATCH', ONE, { webhook_id: webhookId }, change, options);
  }

  /** Sends nothing more there, for good. */
  async delete(webhookId: string, options?: RequestOptions): Promise<void> {
    await this.#send('DELETE', ONE, { webhook_id: webhookId }, undefined, options);
  }

  /**
   * Makes a new secret, which only this answer shows. The one before goes on signing beside it, by default for
   * a day.
   */
  async rotateSecret(
    webhookId: string,
    request: { previous_valid_seconds?: number | undefined } = {},
    options?: RequestOptions,
  ): Promise<WebhookEndpoint> {
    return this.#send('POST', `${ONE}/rotate-secret`, { webhook_id: webhookId }, request, options);
  }

  /** Sends a `test.ping`. */
  async test(webhookId: string, options?: RequestOptions): Promise<void> {
    await this.#send('POST', `${ONE}/test`, { webhook_id: webhookId }, undefined, options);
  }

  /** What was and is to be sent there, newest first, with every try. */
  deliveries(webhookId: string, filter: ListDeliveries = {}, options?: RequestOptions): PagePromise<WebhookDelivery> {
    const { starting_after, ending_before, ...rest } = filter;
    const fetch = (cursor: Cursor) =>
      this.#get<{ data: WebhookDelivery[]; has_more: boolean }>(
        `${ONE}/deliveries`,
        { webhook_id: webhookId },
        { ...rest, ...cursor },
        options,
      );
    return new PagePromise({ starting_after, ending_before }, fetch);
  }

  /** Sends one event again, whose delivery has this `id`. */
  async redeliverOne(webhookId: string, deliveryId: string, options?: RequestOptions): Promise<Redelivered> {
    const values = { webhook_id: webhookId, event_id: deliveryId };
    const path = `${ONE}/deliveries/{event_id}/redeliver`;
    const { queued, already_pending } = await this.#send<Redelivered>('POST', path, values, undefined, options);
    return { queued, already_pending };
  }

  /** Sends many events again. The server queues them part by part; this goes on to the last part. */
  async redeliver(webhookId: string, what: Redeliver, options?: RequestOptions): Promise<Redelivered> {
    const sum: Redelivered = { queued: 0, already_pending: 0 };
    const times = Object.entries(what).map(([name, time]) => [name, time instanceof Date ? epochSeconds(time) : time]);
    let starting_after: string | undefined;
    for (;;) {
      const body = { ...Object.fromEntries(times), starting_after };
      const path = `${ONE}/deliveries/redeliver`;
      const part = await this.#send<RedeliveredPart>('POST', path, { webhook_id: webhookId }, body, options);
      sum.queued += part.queued;
      sum.already_pending += part.already_pending;
      starting_after = part.next ?? undefined;
      // Without a place to go on from, only what was queued makes the next part another one.
      if (!part.has_more || (starting_after === undefined && part.queued === 0)) return sum;
    }
  }

  async #get<T>(
    template: string,
    values: Record<string, string>,
    query: Record<string, QueryValue>,
    options?: RequestOptions,
  ): Promise<T> {
    return this.#transport.sendWithKey({ method: 'GET', path: fillPath(template, values), query }, options);
  }

  async #send<T>(
    method: string,
    template: string,
    values: Record<string, string>,
    body: unknown,
    options?: RequestOptions,
  ): Promise<T> {
    const json = body === undefined ? undefined : JSON.stringify(body);
    return this.#transport.sendWithKey({ method, path: fillPath(template, values), json }, options);
  }
}

const ONE = '/api/v1/webhooks/{webhook_id}';

interface RedeliveredPart extends Redelivered {
  has_more: boolean;
  next: string | null;
}

function epochSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

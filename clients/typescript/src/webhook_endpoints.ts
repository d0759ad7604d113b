import type {
  CreateWebhookRequest,
  DeliveryState,
  Redelivery,
  RotateSecretRequest,
  UpdateWebhookRequest,
  WebhookDelivery,
  WebhookEndpoint,
} from './generated.js';
import { PagePromise, type Cursor } from './page.js';
import type { RequestOptions, Transport } from './transport.js';

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

/** What was queued again, and what was still on its way and was left alone. */
export type Redelivered = Pick<Redelivery, 'queued' | 'already_pending'>;

/** Where you hear of events. Changing that takes a key with the right `webhooks`. */
export class WebhookEndpoints {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Has events sent to an address. The answer holds the secret they are signed with, and is the only one to. */
  async create(endpoint: CreateWebhookRequest, options?: RequestOptions): Promise<WebhookEndpoint> {
    return this.#transport.call('create_webhook', { body: endpoint }, options);
  }

  /** Your endpoints, newest first. */
  list(options?: RequestOptions): PagePromise<WebhookEndpoint> {
    return new PagePromise({}, () => this.#transport.call('list_webhooks', {}, options));
  }

  async retrieve(webhookId: string, options?: RequestOptions): Promise<WebhookEndpoint> {
    return this.#transport.call('retrieve_webhook', { path: { webhook_id: webhookId } }, options);
  }

  /** Changes what is named and leaves the rest as it is; `is_active: true` also revives what was disabled. */
  async update(webhookId: string, change: UpdateWebhookRequest, options?: RequestOptions): Promise<WebhookEndpoint> {
    return this.#transport.call('update_webhook', { path: { webhook_id: webhookId }, body: change }, options);
  }

  /** Sends nothing more there, for good. */
  async delete(webhookId: string, options?: RequestOptions): Promise<void> {
    await this.#transport.call('delete_webhook', { path: { webhook_id: webhookId } }, options);
  }

  /**
   * Makes a new secret, which only this answer shows. The one before goes on signing beside it, by default for
   * a day.
   */
  async rotateSecret(
    webhookId: string,
    request: RotateSecretRequest = {},
    options?: RequestOptions,
  ): Promise<WebhookEndpoint> {
    return this.#transport.call('rotate_webhook_secret', { path: { webhook_id: webhookId }, body: request }, options);
  }

  /** Sends a `test.ping`. */
  async test(webhookId: string, options?: RequestOptions): Promise<void> {
    await this.#transport.call('test_webhook', { path: { webhook_id: webhookId } }, options);
  }

  /** What was and is to be sent there, newest first, with every try. */
  deliveries(webhookId: string, filter: ListDeliveries = {}, options?: RequestOptions): PagePromise<WebhookDelivery> {
    const { starting_after, ending_before, ...rest } = filter;
    const path = { webhook_id: webhookId };
    const fetch = (cursor: Cursor) =>
      this.#transport.call('list_webhook_deliveries', { path, query: { ...rest, ...cursor } }, options);
    return new PagePromise({ starting_after, ending_before }, fetch);
  }

  /** Sends one event again, whose delivery has this `id`. */
  async redeliverOne(webhookId: string, deliveryId: string, options?: RequestOptions): Promise<Redelivered> {
    const path = { webhook_id: webhookId, event_id: deliveryId };
    const { queued, already_pending } = await this.#transport.call('redeliver_webhook', { path }, options);
    return { queued, already_pending };
  }

  /** Sends many events again. The server queues them part by part; this goes on to the last part. */
  async redeliver(webhookId: string, what: Redeliver, options?: RequestOptions): Promise<Redelivered> {
    const sum: Redelivered = { queued: 0, already_pending: 0 };
    const path = { webhook_id: webhookId };
    const range =
      'from' in what
        ? { from: epochSeconds(what.from), to: what.to === undefined ? undefined : epochSeconds(what.to) }
        : { failed_since: epochSeconds(what.failed_since) };
    let starting_after: string | undefined;
    for (;;) {
      const part = await this.#transport.call('redeliver_webhooks', { path, body: { ...range, starting_after } }, options);
      sum.queued += part.queued;
      sum.already_pending += part.already_pending;
      starting_after = part.next ?? undefined;
      // Without a place to go on from, only what was queued makes the next part another one.
      if (!part.has_more || (starting_after === undefined && part.queued === 0)) return sum;
    }
  }
}

function epochSeconds(time: number | Date): number {
  return time instanceof Date ? Math.floor(time.getTime() / 1000) : time;
}

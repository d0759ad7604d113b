import type { Environment, Event, Invoice, InvoicePayment } from './generated.js';
import { PagePromise, type Cursor } from './page.js';
import type { RequestOptions, Transport } from './transport.js';

type EventOf<Type extends string, Subject> = Omit<Event, 'type' | 'data'> & {
  type: Type;
  data: {
    /** What it happened to, as it was then. */
    object: Subject;
    /** The fields an update changed, with the values they had. */
    previous_attributes: Partial<Subject> | null;
  };
};

export type InvoiceEvent = EventOf<'invoice.created' | 'invoice.updated', Invoice>;
export type InvoicePaymentEvent = EventOf<'invoice_payment.created' | 'invoice_payment.updated', InvoicePayment>;
export type PingEvent = EventOf<'test.ping', { object: 'ping'; status: string }>;

/**
 * Something that happened, as webhooks and `events` tell it; its `type` says what `data.object` is.
 *
 * A newer server may send types this client does not know: let a `switch` over `type` ignore them.
 */
export type PepayEvent = InvoiceEvent | InvoicePaymentEvent | PingEvent;

export interface ListEvents extends Cursor {
  /** Types, where `invoice.*` stands for all below. */
  type?: string | readonly string[] | undefined;
  /** When it happened; epoch seconds or dates. */
  created?: { gte?: number | Date | undefined; lte?: number | Date | undefined } | undefined;
  invoice_id?: string | undefined;
  environment?: Environment | undefined;
  /** How many events a page has, 1 to 100; 10 by default. */
  limit?: number | undefined;
}

/** The log of everything that happened, kept for 30 days. */
export class Events {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Your events, newest first: await it for a page, iterate over it for all. To catch up after an outage,
   * iterate with `ending_before` the last event you have: that goes on from there, oldest first.
   */
  list(filter: ListEvents = {}, options?: RequestOptions): PagePromise<PepayEvent> {
    const { created, starting_after, ending_before, ...rest } = filter;
    const query = { ...rest, 'created[gte]': created?.gte, 'created[lte]': created?.lte };
    const fetch = async (cursor: Cursor) => {
      const answer = await this.#transport.call('list_events', { query: { ...query, ...cursor } }, options);
      const { data, has_more } = answer.data;
      // The description leaves open what an event is about; its type tells.
      return { data: data as unknown[] as PepayEvent[], has_more };
    };
    return new PagePromise({ starting_after, ending_before }, fetch);
  }

  async retrieve(eventId: string, options?: RequestOptions): Promise<PepayEvent> {
    const answer = await this.#transport.call('retrieve_event', { path: { event_id: eventId } }, options);
    return answer.data as unknown as PepayEvent;
  }
}

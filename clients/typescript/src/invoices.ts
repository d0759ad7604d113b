import { jsonWithDollars } from './amount.js';
import { PepayError } from './errors.js';
import type {
  CreatedInvoice,
  CreateInvoiceRequest,
  Environment,
  Invoice,
  InvoiceStatus,
  InvoiceStatusReport,
  InvoiceTotals,
  SessionHeaders,
} from './generated.js';
import { PagePromise, type Cursor } from './page.js';
import { sleep } from './runtime.js';
import { fillPath, type RequestOptions, type Transport } from './transport.js';

/** What an invoice is created with. */
export type CreateInvoice = Omit<CreateInvoiceRequest, 'amount_usd'> & {
  /**
   * Dollars with at most three decimals, 0.01 to 1,000,000. As text, as in `"49.999"`, the digits reach the
   * server as they are.
   */
  amount_usd: number | string;
};

export interface CreateInvoiceOptions extends RequestOptions {
  /**
   * Your name for this request, a version 4 UUID: the same key gives the same invoice, however often it is
   * sent. Store it with your order before the call, and a crash in between cannot make a second invoice. One
   * is made for you if you give none; it then covers the retries of this call only.
   */
  idempotencyKey?: string | undefined;
}

/** Which invoices are meant. */
export interface InvoiceFilter {
  status?: InvoiceStatus | readonly InvoiceStatus[] | undefined;
  invoice_type?: string | readonly string[] | undefined;
  customer_id?: string | undefined;
  environment?: Environment | undefined;
  /** Created then or later; epoch seconds or a date. */
  created_gte?: number | Date | undefined;
  /** Created then or earlier; epoch seconds or a date. */
  created_lte?: number | Date | undefined;
}

export type InvoicePart = 'latest_payment' | 'payments';

/** What an invoice is shown with. */
export interface ExpandInvoice {
  expand?: InvoicePart | readonly InvoicePart[] | undefined;
  /** How many payments `payments` has at most, 1 to 100; 10 by default. */
  payments_limit?: number | undefined;
}

export interface ListInvoices extends InvoiceFilter, ExpandInvoice, Cursor {
  /** How many invoices a page has, 1 to 100; 10 by default. */
  limit?: number | undefined;
  /** Who paid. */
  payer_wallet_address?: string | undefined;
  payer_wallet_network?: string | undefined;
}

export interface WaitForStatusOptions {
  /** What to wait for; without it, any status an invoice ends with: paid, expired, canceled. */
  status?: InvoiceStatus | readonly InvoiceStatus[] | undefined;
  /** How long to wait, in milliseconds. Default: 5 minutes. */
  timeoutMs?: number | undefined;
  /** Milliseconds between questions. Default: 2 seconds. */
  pollMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A search for a payment that was not found by itself. */
export interface ManualVerification {
  object: 'invoice_manual_verification';
  id: string;
  invoice_id: string;
  network: string;
  tx_hash: string | null;
  job_status: 'pending' | 'running' | 'succeeded' | 'failed';
  status: string;
  attempt_count: number;
  max_attempts: number;
  next_attempt_at: number | null;
  created_at: number;
  updated_at: number;
  completed_at: number | null;
  result: unknown;
  error: unknown;
}

export interface ManualVerificationRequest {
  /** The payer's session, as in `payment_session_headers` of the created invoice. */
  session: SessionHeaders;
  /** The network to look at; without `txHash` it must be the invoice's active one. */
  network?: string | undefined;
  /** The transaction that paid. */
  txHash?: string | undefined;
}

/** Statuses that only a change of the chain itself, or late money, leads out of. */
const ENDED: readonly InvoiceStatus[] = ['paid', 'expired', 'canceled'];
const WAIT_TIMEOUT_MS = 5 * 60 * 1000;
const POLL_MS = 2_000;
/** A question that is asked just before the time is over still gets a chance of an answer. */
const SHORTEST_POLL_TIMEOUT_MS = 1_000;

/** What your customers are asked to pay. */
export class Invoices {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates an invoice. Send your customer to its `payment_url`, or show that in an iframe. */
  async create(invoice: CreateInvoice, options: CreateInvoiceOptions = {}): Promise<CreatedInvoice> {
    const idempotencyKey = options.idempotencyKey ?? crypto.randomUUID();
    return this.#transport.call('create_invoice', { json: jsonWithDollars(invoice), idempotencyKey }, options);
  }

  /** Your invoices, newest first: await it for a page, iterate over it for all. */
  list(filter: ListInvoices = {}, options?: RequestOptions): PagePromise<Invoice> {
    const { starting_after, ending_before, ...rest } = filter;
    const fetch = (cursor: Cursor) =>
      this.#transport.call('list_invoices', { query: { ...rest, ...cursor } }, options);
    return new PagePromise({ starting_after, ending_before }, fetch);
  }

  /** The invoices of one of your customers, newest first. */
  listByCustomer(
    customerId: string,
    filter: Omit<ListInvoices, 'customer_id'> = {},
    options?: RequestOptions,
  ): PagePromise<Invoice> {
    const { starting_after, ending_before, ...rest } = filter;
    const path = { customer_id: customerId };
    const fetch = (cursor: Cursor) =>
      this.#transport.call('list_invoices_of_customer', { path, query: { ...rest, ...cursor } }, options);
    return new PagePromise({ starting_after, ending_before }, fetch);
  }

  async retrieve(invoiceId: string, expand: ExpandInvoice = {}, options?: RequestOptions): Promise<Invoice> {
    const path = { invoice_id: invoiceId };
    return this.#transport.call('retrieve_invoice', { path, query: { ...expand } }, options);
  }

  /** An invoice with its latest payment. */
  async status(invoiceId: string, options?: RequestOptions): Promise<InvoiceStatusReport> {
    return this.#transport.call('retrieve_invoice_status', { path: { invoice_id: invoiceId } }, options);
  }

  /**
   * Asks for the status again and again until it is as wanted. A webhook tells the same sooner and cheaper.
   *
   * @throws {PepayError} `INVOICE_ENDED` if the invoice has ended otherwise than wanted, `WAIT_TIMEOUT` if
   * nothing of that happened in time
   */
  async waitForStatus(invoiceId: string, options: WaitForStatusOptions = {}): Promise<InvoiceStatusReport> {
    const { timeoutMs = WAIT_TIMEOUT_MS, pollMs = POLL_MS, signal } = options;
    const wanted: readonly InvoiceStatus[] = options.status === undefined ? ENDED : [options.status].flat();
    const deadline = performance.now() + timeoutMs;
    let cause: unknown;
    for (;;) {
      let pause = pollMs;
      try {
        const left = Math.max(deadline - performance.now(), SHORTEST_POLL_TIMEOUT_MS);
        // This loop is the retry.
        const poll = { signal, maxRetries: 0, timeoutMs: Math.min(left, this.#transport.timeoutMs) };
        const report = await this.status(invoiceId, poll);
        const { status } = report.invoice;
        if (wanted.includes(status)) return report;
        if (ENDED.includes(status)) {
          const message = `the invoice is ${status}, and will not become ${wanted.join(' or ')} by waiting`;
          throw new PepayError({ code: 'INVOICE_ENDED', message });
        }
      } catch (error) {
        if (!(error instanceof PepayError && error.isTransient)) throw error;
        cause = error;
        pause = Math.max(pollMs, (error.retryAfter ?? 0) * 1000);
      }
      const left = deadline - performance.now();
      if (left <= 0) {
        const message = `the invoice did not become ${wanted.join(' or ')} within ${timeoutMs} ms`;
        throw new PepayError({ code: 'WAIT_TIMEOUT', message, cause });
      }
      await sleep(Math.min(pause, left), signal);
    }
  }

  /** What your invoices sum up to, by status. */
  async totals(filter: InvoiceFilter = {}, options?: RequestOptions): Promise<InvoiceTotals> {
    return this.#transport.call('retrieve_invoice_totals', { query: { ...filter } }, options);
  }

  /** Calls off an invoice nobody has paid any of. */
  async cancel(invoiceId: string, options?: RequestOptions): Promise<Invoice> {
    return this.#transport.call('cancel_invoice', { path: { invoice_id: invoiceId } }, options);
  }

  /**
   * Has the server look for a payment that was not found by itself; a search that is under way is returned
   * as it is. It is a payer's call: it is sent with their session, without your API key.
   */
  async manualVerification(
    invoiceId: string,
    request: ManualVerificationRequest,
    options?: RequestOptions,
  ): Promise<ManualVerification> {
    const { session, network, txHash } = request;
    const isPlain = network === undefined && txHash === undefined;
    const json = isPlain ? undefined : JSON.stringify({ network, tx_hash: txHash });
    return this.#verification('POST', invoiceId, session, json, options);
  }

  /** How far such a search is. */
  async retrieveManualVerification(
    invoiceId: string,
    request: Pick<ManualVerificationRequest, 'session'>,
    options?: RequestOptions,
  ): Promise<ManualVerification> {
    return this.#verification('GET', invoiceId, request.session, undefined, options);
  }

  async #verification(
    method: string,
    invoiceId: string,
    session: SessionHeaders,
    json: string | undefined,
    options: RequestOptions | undefined,
  ): Promise<ManualVerification> {
    const headers = { 'x-session-token': session['x-session-token'], 'x-signature': session['x-signature'] };
    const path = fillPath('/api/v1/invoice/{invoice_id}/verify', { invoice_id: invoiceId });
    const answer = (await this.#transport.send({ method, path, json, headers }, options)) as { data: ManualVerification };
    return answer.data;
  }
}

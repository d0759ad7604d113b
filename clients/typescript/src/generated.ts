// Made from docs/openapi.json by `npm run generate`. Changes made here are lost.

export interface BlockRequest {
  blocked: boolean;
}

export interface CreateInvoiceRequest {
  amount_usd: number;
  description?: string | null | undefined;
  customer_id?: string | null | undefined;
  metadata?: Record<string, unknown> | null | undefined;
  expires_in?: number | null | undefined;
  questions?: null | Record<string, unknown> | undefined;
  payment_return_url?: string | null | undefined;
  customer_email?: string | null | undefined;
  invoice_title?: string | null | undefined;
  invoice_footer?: string | null | undefined;
  payment_return_url_enabled?: boolean | null | undefined;
}

export interface CreatedInvoice {
  invoice_id: string;
  payment_url: string;
  expires_at: number;
  session_token: string;
  signature: string;
  payment_session_headers: SessionHeaders;
  id: string;
  status: InvoiceStatus;
  amount_usd: number;
  created_at: number;
  customer_id: string | null;
  metadata: Record<string, unknown>;
}

export type Environment = 'devnet' | 'mainnet';

export interface Event {
  id: string;
  object: string;
  api_version: string;
  created: number;
  type: string;
  livemode: boolean;
  pending_webhooks: number;
  request: {
    id: string | null;
    idempotency_key: string | null;
  };
  data: {
    object: Record<string, unknown>;
    previous_attributes: Record<string, unknown> | null;
  };
}

export interface EventList {
  object: string;
  data: Array<Event>;
  has_more: boolean;
}

export interface Invoice {
  object: string;
  id: string;
  invoice_type: string;
  currency: string;
  amount_decimal: string;
  amount_paid_decimal: string;
  amount_remaining_decimal: string;
  amount_unit: string;
  merchant_id: number;
  amount: number;
  amount_paid: number;
  amount_remaining: number;
  amount_overpaid: number;
  created_at: number;
  expires_at: number;
  description: string | null;
  invoice_title: string | null;
  invoice_footer: string | null;
  customer_id: string | null;
  payer_wallet_address: string | null;
  payer_wallet_network: string | null;
  commerce_order_id: string | null;
  paid_at: number | null;
  last_payment_at: number | null;
  overpaid: boolean;
  late: boolean;
  status: InvoiceStatus;
  environment: Environment;
  metadata: Record<string, unknown>;
  latest_payment?: InvoicePayment | undefined;
  payments?: Array<InvoicePayment> | undefined;
}

export type InvoiceList = (null | {
  items: Array<Invoice>;
}) & {
  object: string;
  data: Array<Invoice>;
  has_more: boolean;
};

export interface InvoicePayment {
  object: string;
  id: string;
  status: PaymentStatus;
  settlement_status: SettlementStatus;
  settlement: null | Settlement;
  network: string;
  confirmations: number;
}

export type InvoiceStatus = 'unpaid' | 'underpaid' | 'paid' | 'expired' | 'canceled';

export interface InvoiceStatusReport {
  object: string;
  invoice: Invoice;
  latest_payment: null | InvoicePayment;
}

export interface InvoiceTotals {
  object: string;
  totals: {
    all: {
      amount: number;
      amount_decimal: string;
      count: number;
    };
    paid: {
      amount: number;
      amount_decimal: string;
      count: number;
    };
    unpaid: {
      amount: number;
      amount_decimal: string;
      count: number;
    };
    expired: {
      amount: number;
      amount_decimal: string;
      count: number;
    };
    canceled: {
      amount: number;
      amount_decimal: string;
      count: number;
    };
  };
}

export interface MerchantToken {
  id: number;
  token_type: 'native' | 'erc20';
}

export type PaymentStatus = 'pending';

export interface SessionHeaders {
  'x-session-token': string;
  'x-signature': string;
}

export interface Settlement {
  stage: string;
}

export type SettlementStatus = 'pending';

export interface TokenList {
  environment: Environment;
  tokens: Array<MerchantToken>;
}

export interface TokenSearch {
  total: number;
  tokens: Array<MerchantToken>;
}

export interface Wrapped_Event {
  success: boolean;
  data: Event;
}

export interface Wrapped_EventList {
  success: boolean;
  data: EventList;
}

/** What each operation takes and answers. */
export interface Operations {
  /** `POST /api/v1/merchant/tokens/{token_id}/block` */
  block_token: {
    path: {
      token_id: number;
    };
    query: Record<never, never>;
    body: BlockRequest;
    answer: {
      success: boolean;
      blocked: boolean;
    };
  };
  /** `POST /api/v1/invoices/{invoice_id}/cancel` */
  cancel_invoice: {
    path: {
      invoice_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: Invoice;
  };
  /** `POST /api/v1/invoices` */
  create_invoice: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateInvoiceRequest;
    answer: CreatedInvoice;
  };
  /** `GET /api/v1/events` */
  list_events: {
    path: Record<never, never>;
    query: {
      type?: string | undefined;
      'created[gte]'?: string | undefined;
      'created[lte]'?: string | undefined;
      limit?: string | undefined;
      starting_after?: string | undefined;
      ending_before?: string | undefined;
      invoice_id?: string | undefined;
      environment?: string | undefined;
    };
    body: undefined;
    answer: Wrapped_EventList;
  };
  /** `GET /api/v1/invoices` */
  list_invoices: {
    path: Record<never, never>;
    query: {
      limit?: string | undefined;
      starting_after?: string | undefined;
      ending_before?: string | undefined;
      status?: string | undefined;
      invoice_type?: string | undefined;
      environment?: string | undefined;
      created_gte?: string | undefined;
      created_lte?: string | undefined;
      payer_wallet_address?: string | undefined;
      payer_wallet_network?: string | undefined;
      expand?: string | undefined;
      payments_limit?: string | undefined;
      customer_id?: string | undefined;
    };
    body: undefined;
    answer: InvoiceList;
  };
  /** `GET /api/v1/invoices/customer/{customer_id}` */
  list_invoices_of_customer: {
    path: {
      customer_id: string;
    };
    query: {
      limit?: string | undefined;
      starting_after?: string | undefined;
      ending_before?: string | undefined;
      status?: string | undefined;
      invoice_type?: string | undefined;
      environment?: string | undefined;
      created_gte?: string | undefined;
      created_lte?: string | undefined;
      payer_wallet_address?: string | undefined;
      payer_wallet_network?: string | undefined;
      expand?: string | undefined;
      payments_limit?: string | undefined;
    };
    body: undefined;
    answer: InvoiceList;
  };
  /** `GET /api/v1/merchant/tokens` */
  list_tokens: {
    path: Record<never, never>;
    query: {
      environment?: string | undefined;
    };
    body: undefined;
    answer: TokenList;
  };
  /** `GET /api/v1/events/{event_id}` */
  retrieve_event: {
    path: {
      event_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: Wrapped_Event;
  };
  /** `GET /api/v1/invoices/{invoice_id}` */
  retrieve_invoice: {
    path: {
      invoice_id: string;
    };
    query: {
      expand?: string | undefined;
      payments_limit?: string | undefined;
    };
    body: undefined;
    answer: Invoice;
  };
  /** `GET /api/v1/invoices/{invoice_id}/status` */
  retrieve_invoice_status: {
    path: {
      invoice_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: InvoiceStatusReport;
  };
  /** `GET /api/v1/invoices/totals` */
  retrieve_invoice_totals: {
    path: Record<never, never>;
    query: {
      status?: string | undefined;
      invoice_type?: string | undefined;
      customer_id?: string | undefined;
      environment?: string | undefined;
      created_gte?: string | undefined;
      created_lte?: string | undefined;
    };
    body: undefined;
    answer: InvoiceTotals;
  };
  /** `GET /api/v1/merchant/tokens/search` */
  search_tokens: {
    path: Record<never, never>;
    query: {
      environment?: string | undefined;
      search?: string | undefined;
      network?: string | undefined;
      token_type?: string | undefined;
      is_active?: string | undefined;
      supports_stable_settlement?: string | undefined;
      blocked?: string | undefined;
      limit?: string | undefined;
      offset?: string | undefined;
    };
    body: undefined;
    answer: TokenSearch;
  };
}

/** Where each operation is. */
export const operations = {
  block_token: { method: 'POST', path: '/api/v1/merchant/tokens/{token_id}/block' },
  cancel_invoice: { method: 'POST', path: '/api/v1/invoices/{invoice_id}/cancel' },
  create_invoice: { method: 'POST', path: '/api/v1/invoices' },
  list_events: { method: 'GET', path: '/api/v1/events' },
  list_invoices: { method: 'GET', path: '/api/v1/invoices' },
  list_invoices_of_customer: { method: 'GET', path: '/api/v1/invoices/customer/{customer_id}' },
  list_tokens: { method: 'GET', path: '/api/v1/merchant/tokens' },
  retrieve_event: { method: 'GET', path: '/api/v1/events/{event_id}' },
  retrieve_invoice: { method: 'GET', path: '/api/v1/invoices/{invoice_id}' },
  retrieve_invoice_status: { method: 'GET', path: '/api/v1/invoices/{invoice_id}/status' },
  retrieve_invoice_totals: { method: 'GET', path: '/api/v1/invoices/totals' },
  search_tokens: { method: 'GET', path: '/api/v1/merchant/tokens/search' },
} as const satisfies Record<keyof Operations, { method: string; path: string }>;

export { Pepay, type PepayOptions } from './client.js';
export {
  PepayError,
  WebhookVerificationError,
  type PepayErrorDetails,
  type WebhookVerificationCode,
} from './errors.js';
export type {
  Events,
  InvoiceEvent,
  InvoicePaymentEvent,
  ListEvents,
  PepayEvent,
  PingEvent,
} from './events.js';
export type {
  CreatedInvoice,
  Environment,
  Invoice,
  InvoicePayment,
  InvoiceStatus,
  InvoiceStatusReport,
  InvoiceTotals,
  PaymentStatus,
  SessionHeaders,
  Settlement,
  SettlementStatus,
  TokenType,
} from './generated.js';
export type {
  CreateInvoice,
  CreateInvoiceOptions,
  ExpandInvoice,
  InvoiceFilter,
  InvoicePart,
  Invoices,
  ListInvoices,
  ManualVerification,
  ManualVerificationRequest,
  WaitForStatusOptions,
} from './invoices.js';
export type { Cursor, Page, PagePromise } from './page.js';
export type { AcceptancePolicy, MerchantToken, SearchTokens, TokenList, TokenPage, Tokens } from './tokens.js';
export type { Fetch, RequestOptions } from './transport.js';
export type {
  CreateWebhookEndpoint,
  DeliveryState,
  ListDeliveries,
  Redeliver,
  Redelivered,
  WebhookAttempt,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEndpoints,
} from './webhook_endpoints.js';
export type { VerifyOptions, WebhookHeaders } from './webhooks.js';

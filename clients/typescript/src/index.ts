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
  AcceptancePolicy,
  CreatedInvoice,
  CreateWebhookRequest,
  DeliveryState,
  Environment,
  Invoice,
  InvoicePayment,
  InvoiceStatus,
  InvoiceStatusReport,
  InvoiceTotals,
  MerchantToken,
  PaymentStatus,
  RotateSecretRequest,
  SessionHeaders,
  Settlement,
  SettlementStatus,
  TokenBlocked,
  TokenList,
  TokenPage,
  TokenPrice,
  TokenType,
  UpdateWebhookRequest,
  WebhookAttempt,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookVersion,
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
export type { SearchTokens, Tokens } from './tokens.js';
export type { Fetch, RequestOptions } from './transport.js';
export type { ListDeliveries, Redeliver, Redelivered, WebhookEndpoints } from './webhook_endpoints.js';
export type { VerifyOptions, WebhookHeaders } from './webhooks.js';

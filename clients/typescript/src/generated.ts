// Made from docs/openapi.json by `npm run generate`. Changes made here are lost.

/** The rule by which a merchant takes tokens. */
export type AcceptancePolicy = 'accept_all' | 'accept_none' | 'selective';

/** The body of `POST /api/v1/user/mainnet-access/activate`; it may be left out. */
export interface ActivateMainnetRequest {
  access_key?: string | null | undefined;
}

/** The body of `POST /api/v1/merchant/rpc`. */
export interface AddRpcEndpointRequest {
  /** As in `base`. */
  network: string;
  /** An https URL at a public address. */
  rpc_url: string;
}

/** One entry of `GET /api/v1/api-keys`, which answers with a list of them, newest first. Times are epoch seconds. */
export interface ApiKey {
  created_at: number;
  environment: Environment | null;
  expires_at: number | null;
  /** The key's last four characters, to tell keys apart. */
  hint: string;
  key_id: string;
  last_used_at: number | null;
  name: string;
  revoked_at: number | null;
  revoked_reason: string | null;
  /** What the key can do. */
  rights: Array<'invoices:create' | 'invoices:read' | 'invoices:cancel' | 'settings' | 'webhooks' | 'wallets' | 'receiver_override' | 'rpc'>;
  scope: ApiKeyScope;
  status: ApiKeyStatus;
}

/** Which half of the API a key is for. */
export type ApiKeyScope = 'merchant' | 'commerce';

/** What became of a key. One that has expired stays `active`; `expires_at` says that it is over. */
export type ApiKeyStatus = 'active' | 'revoked' | 'suspended';

/** Which transaction counts towards an invoice. */
export interface AttachPaymentRequest {
  network: string;
  /** Which one, if the transaction brought several: the `payment_id` of the list. */
  payment_id?: string | null | undefined;
  tx_hash: string;
}

export type AvailabilityStatus = 'AVAILABLE' | 'STALE' | 'DEVNET';

/** One entry of `GET /api/v1/payments/available-tokens`. */
export interface AvailableToken {
  availability_status: AvailabilityStatus;
  /** Absent on devnet, as are the fields below. */
  has_settlement_route?: boolean | undefined;
  id: number;
  is_monitored: boolean;
  is_same_token_settlement?: boolean | undefined;
  network: string;
  photo_uri: string | null;
  rate_updated_at: number | null;
  requires_memo: boolean;
  supports_stable_settlement?: boolean | undefined;
  /** `None` for a network's own coin. */
  token_address: string | null;
  token_decimals: number;
  token_name: string;
  token_symbol: string;
  token_type: TokenType;
  unavailable_reason: string | null;
}

/** The body of `POST /api/v1/merchant/tokens/{tokenId}/block`; without a body the token is blocked. */
export interface BlockTokenRequest {
  /** False takes the token again. */
  blocked: boolean;
}

/** The body of `POST /api/v1/merchant/wallets`. */
export interface ChangeWalletRequest {
  /** As in `base`; the wallet is for all networks of its kind. */
  network: string;
  /** 0x and 40 hex digits, with a good checksum or in lower case. */
  wallet_address: string;
}

/** The body of `PUT /api/v1/user/environment`. */
export interface ChooseEnvironmentRequest {
  environment: Environment;
}

/** The body of `PUT /api/v1/merchant/settlement-token`; null is the server's own choice. */
export interface ChooseSettlementRequest {
  settlement_token_id: number | null;
}

/** The body of `POST /api/v1/api-keys`. */
export interface CreateApiKeyRequest {
  expires_at?: Moment | null | undefined;
  /** What it is for, in 1 to 255 characters. */
  name: string;
  /** What the key can do; without it, create, read and cancel invoices and manage settings. Only for keys of scope `merchant`. `rpc` is the operator's to give. */
  rights?: Array<'invoices:create' | 'invoices:read' | 'invoices:cancel' | 'settings' | 'webhooks' | 'wallets' | 'receiver_override' | 'rpc'> | undefined;
  scope?: ApiKeyScope | null | undefined;
}

/** The body of `POST /api/v1/invoices`. */
export interface CreateInvoiceRequest {
  /** Dollars, with at most three decimals. */
  amount_usd: number;
  /** Where the receipt goes. */
  customer_email?: string | null | undefined;
  /** The name you have for the customer. */
  customer_id?: string | null | undefined;
  /** What the payer is told the invoice is for. */
  description?: string | null | undefined;
  /** Milliseconds until the invoice ends: by default 12 hours, at most 30 days. */
  expires_in?: number | null | undefined;
  /** Ends the page; your name by default. */
  invoice_footer?: string | null | undefined;
  /** Heads the page; your name by default. */
  invoice_title?: string | null | undefined;
  /** Anything of yours, kept as it is; at most 512 bytes as compact JSON. */
  metadata?: Record<string, unknown> | null | undefined;
  /** Where the page leads once it is paid. */
  payment_return_url?: string | null | undefined;
  /** Whether the page leads anywhere; true by default. */
  payment_return_url_enabled?: boolean | null | undefined;
  questions?: Questions | null | undefined;
  /** The address that gets the money of this invoice. */
  receiver_override_address?: string | null | undefined;
  /** Sends the money to `receiver_override_address` instead of your wallet; needs a right of its own. */
  receiver_override_enable?: boolean | null | undefined;
}

/** The body of `POST /api/v1/webhooks`. */
export interface CreateWebhookRequest {
  api_version?: WebhookVersion | null | undefined;
  /** For the merchant's own use. */
  description?: string | null | undefined;
  /**
   * Types such as `invoice.updated`, all below one such as `invoice.*`, or `*`. Required, but for the older version,
   * where it is all four types unless said otherwise.
   */
  enabled_events?: Array<string> | null | undefined;
  environment?: Environment | null | undefined;
  is_active?: boolean | null | undefined;
  /** Where events go, by https. */
  url: string;
}

/** The answer to `POST /api/v1/api-keys`. */
export interface CreatedApiKey {
  /** The key. It is shown in this answer only. */
  api_key: string;
  /** Epoch seconds. */
  created_at: number;
  environment: Environment | null;
  /** Epoch seconds. */
  expires_at: number | null;
  key_id: string;
  name: string;
  /** What the key can do. */
  rights: Array<'invoices:create' | 'invoices:read' | 'invoices:cancel' | 'settings' | 'webhooks' | 'wallets' | 'receiver_override' | 'rpc'>;
  scope: ApiKeyScope;
}

/** The answer to `POST /api/v1/invoices`: what a shop needs to send its customer to pay. */
export interface CreatedInvoice {
  amount_usd: Dollars;
  /** Epoch seconds. */
  created_at: number;
  customer_id: string | null;
  /** Epoch seconds. */
  expires_at: number;
  /** The same as `invoice_id`, for readers of the older answer; so are the fields below. */
  id: string;
  invoice_id: string;
  /** Yours, as you sent it. */
  metadata: Record<string, unknown>;
  payment_session_headers: SessionHeaders;
  /** Where to send the payer; made for an iframe as well. */
  payment_url: string;
  /** Opens the payer's calls, together with `signature`. */
  session_token: string;
  signature: string;
  status: InvoiceStatus;
}

/** The answer to `GET /api/v1/payments/customer-email`. */
export interface CustomerEmail {
  /** Where the receipt should go; the payer's, or the merchant's `customer_email` until there is one. */
  email: string | null;
  has_email: boolean;
}

/** The body of `POST /api/v1/payments/customer-email`. */
export interface CustomerEmailRequest {
  email: string;
}

/** Where a delivery stands. */
export type DeliveryState = 'pending' | 'delivered' | 'exhausted';

/** Dollars, with at most three decimals. */
export type Dollars = number;

/** Which networks an invoice can be paid on: test networks or real ones. */
export type Environment = 'devnet' | 'mainnet';

/** The answer to it. */
export interface EnvironmentChosen {
  current_environment: Environment;
  environment: Environment;
  success: boolean;
}

/**
 * `{"success":false,"error":{code,message,field?},"code":…,"message":…}`: the nested form, with the
 * older flat one beside it for clients that read only the top level.
 */
export interface ErrorBody {
  /** The same as `error.code`. */
  code: string;
  error: ErrorDetail;
  /** The same as `error.message`. */
  message: string;
  /** Always `false`. */
  success: false;
}

export interface ErrorDetail {
  /** Stable; made for programs. */
  code: string;
  /** The field, header or parameter at fault, where there is one. */
  field?: string | undefined;
  /** A sentence made for people; may change. */
  message: string;
}

/** Something that happened, as webhooks and sockets tell it. */
export interface Event {
  api_version: string;
  /** Epoch seconds. */
  created: number;
  data: EventData;
  /** `evt_<created ms>-<sequence>`. */
  id: string;
  /** Whether real money is meant. */
  livemode: boolean;
  /** Always `event`. */
  object: 'event';
  /** How many deliveries of it are still owed. */
  pending_webhooks: number;
  /** The API call that caused it. */
  request: EventRequest;
  /** As in `invoice.updated`. */
  type: string;
}

export interface EventData {
  /** The invoice, payment or whatever else it happened to, as it was then. */
  object: Record<string, unknown>;
  /** The fields an update changed, with the values they had. */
  previous_attributes: Record<string, unknown> | null;
}

/** The answer to `GET /api/v1/events`, newest first. */
export interface EventList {
  data: Array<Event>;
  /** Whether there is more in the direction that was asked for. */
  has_more: boolean;
  /** Always `list`. */
  object: 'list';
}

/** The API call that caused an event, if one did. */
export interface EventRequest {
  id: string | null;
  idempotency_key: string | null;
}

/** What a sweep could not move. */
export interface FailedDeposit {
  /** Block time of the last time. */
  failed_at: number;
  invoice_id: string;
  network: string;
  /**
   * `refused` if token or wallet refused the transfer, `no_balance` if the token does not say what is there,
   * `reverted` if all of the transaction was undone, or `other`.
   */
  reason: string;
  token_id: number;
  token_symbol: string;
  tx_hash: string;
}

/** What the payer answered to one question. */
export interface FormResponse {
  question_id: string;
  /** Text, also for a number. */
  response: string;
}

/** The answer to it. */
export interface FormSubmitted {
  /** Always `true`. */
  success: true;
}

/** The canonical invoice. Amounts are thousandths of a dollar, times are epoch seconds. */
export interface Invoice {
  /** What is due, in thousandths of a dollar. */
  amount: number;
  /** The same in dollars. */
  amount_decimal: string;
  amount_overpaid: number;
  /** What counts as paid so far. */
  amount_paid: number;
  amount_paid_decimal: string;
  /** What is still to be paid. */
  amount_remaining: number;
  amount_remaining_decimal: string;
  /** Always `usd_millis`. */
  amount_unit: 'usd_millis';
  /** Always null: this server has no commerce API. */
  commerce_order_id: string | null;
  created_at: number;
  /** Always `usd`. */
  currency: 'usd';
  /** Where the receipt should go, if you or the payer said so. */
  customer_email?: string | undefined;
  customer_id: string | null;
  description: string | null;
  environment: Environment;
  expires_at: number;
  id: string;
  invoice_footer: string | null;
  invoice_title: string | null;
  /** Always `standard`. */
  invoice_type: 'standard';
  last_payment_at: number | null;
  /** Paid only by money that came after the end. */
  late: boolean;
  /** With `expand=latest_payment`, if there is one. */
  latest_payment?: InvoicePayment | undefined;
  merchant_id: number;
  /** Yours, as you sent it. */
  metadata: Record<string, unknown>;
  /** Always `invoice`. */
  object: 'invoice';
  /** More than a cent too much arrived; by how much. */
  overpaid: boolean;
  /** The time of the block that completed it. */
  paid_at: number | null;
  /** Who made the payment that decided network and token. */
  payer_wallet_address: string | null;
  payer_wallet_network: string | null;
  /** With `expand=payments`, newest first. */
  payments?: Array<InvoicePayment> | undefined;
  /** What the payer answered to your questions, once that is done. */
  responses?: Array<FormResponse> | undefined;
  status: InvoiceStatus;
}

export interface InvoiceCounts {
  expired: number;
  paid: number;
  total: number;
  unpaid: number;
}

/** The answer to `GET /api/v1/invoices`, newest first. */
export interface InvoiceList {
  data: Array<Invoice>;
  /** Whether there is more in the direction that was asked for. */
  has_more: boolean;
  /** The same as `data`; only when asked for by `page`, for readers of the older answer, as the fields below. */
  items?: Array<Invoice> | undefined;
  /** Always `list`. */
  object: 'list';
  /** From 1. */
  page?: number | undefined;
  /** How many invoices there are on all pages. */
  total?: number | undefined;
}

/** One transfer that arrived for an invoice. */
export interface InvoicePayment {
  /** What it is credited as, in thousandths of a dollar; zero where nothing is credited. */
  amount: number;
  amount_decimal: string;
  /** Always `usd_millis`. */
  amount_unit: 'usd_millis';
  confirmations: number;
  /** Block time. */
  created_at: number;
  environment: Environment;
  id: string;
  invoice_id: string;
  /** Arrived after the invoice had ended. */
  late: boolean;
  merchant_id: number;
  network: string;
  /** Always `invoice_payment`. */
  object: 'invoice_payment';
  /** Its block was replaced; it may come back. */
  orphaned: boolean;
  payer_wallet_address: string | null;
  payment_address: string;
  required_confirmations: number;
  settlement: Settlement | null;
  settlement_status: SettlementStatus;
  status: PaymentStatus;
  /** Whole tokens, as a plain decimal. */
  token_amount: string;
  token_id: number;
  token_symbol: string;
  tx_hash: string;
  /** A token this merchant does not accept. */
  unexpected: boolean;
}

/** The answer to `GET /api/v1/payments/invoice-questions`. */
export interface InvoiceQuestions {
  has_questions: boolean;
  /** Only if there are any. */
  questions?: QuestionList | undefined;
}

export type InvoiceStatus = 'unpaid' | 'underpaid' | 'paid' | 'expired' | 'canceled';

/** The answer to `GET /api/v1/invoices/{id}/status`. */
export interface InvoiceStatusReport {
  invoice: Invoice;
  latest_payment: InvoicePayment | null;
  /** Always `invoice_status`. */
  object: 'invoice_status';
}

/**
 * The answer to `GET /api/v1/invoices/totals`. The fields in dollars and `invoice_count` are for readers
 * of the older answer.
 */
export interface InvoiceTotals {
  /** Always `usd_millis`. */
  amount_unit: 'usd_millis';
  /** Always `usd`. */
  currency: 'usd';
  invoice_count: InvoiceCounts;
  /** Always `invoice_totals`. */
  object: 'invoice_totals';
  total_amount_usd: Dollars;
  total_expired_usd: Dollars;
  total_paid_usd: Dollars;
  total_unpaid_usd: Dollars;
  totals: StatusTotals;
}

/** Deposits that are left where they are for now. */
export interface LeftDeposits {
  deposits: Array<SweepDeposit>;
  network: string;
  reason: LeftReason;
  /** Of those that have a price, in thousandths of a dollar. */
  value_usd_millis: number;
}

/** Why deposits are left. */
export type LeftReason = 'not_worth_it' | 'value_unknown' | 'cost_unknown' | 'failed';

/** The answer to `GET /api/v1/user/mainnet-access/status`. */
export interface MainnetAccess {
  current_environment: Environment;
  has_mainnet_access: boolean;
}

/** The answer to it. */
export interface MainnetActivated {
  message: string;
  success: boolean;
}

/** A search for a payment. */
export interface ManualVerification {
  attempt_count: number;
  completed_at: number | null;
  created_at: number;
  error: VerificationError | null;
  id: string;
  invoice_id: string;
  job_status: VerificationJobStatus;
  max_attempts: number;
  network: string;
  /** Epoch seconds; null once it is completed. */
  next_attempt_at: number | null;
  /** Always `invoice_manual_verification`. */
  object: 'invoice_manual_verification';
  result: VerificationResult | null;
  /** How the invoice stands: `pending` while it is unpaid, and else its status. */
  status: string;
  tx_hash: string | null;
  updated_at: number;
}

/** The answer to both endpoints. */
export interface ManualVerificationAnswer {
  data: ManualVerification;
  success: boolean;
}

/** What to look for. */
export interface ManualVerificationRequest {
  /** The network that was paid on. Without `tx_hash` it must be the invoice's active one, and need not be said. */
  network?: string | null | undefined;
  /** The transaction that paid. */
  tx_hash?: string | null | undefined;
}

/** A network of this server, as one merchant has set it. */
export interface MerchantNetwork {
  /** Ids of its tokens that are taken. */
  accepted_token_ids: Array<number>;
  /** Null on Solana, which has none. */
  chain_id: number | null;
  /** Whether it is being read. */
  is_monitored: boolean;
  /** Whether at least one of its tokens is taken. */
  is_selected: boolean;
  network: string;
  network_environment: Environment;
  title: string;
}

/** A token of this server, as one merchant has set it. */
export interface MerchantToken {
  id: number;
  /** Whether the server takes it at all. */
  is_active: boolean;
  /** Whether this merchant does not take it. */
  is_blocked: boolean;
  /** Whether its network is being read. */
  is_monitored: boolean;
  network: string;
  network_environment: Environment;
  photo_uri: string | null;
  price: TokenPrice | null;
  requires_memo: boolean;
  /** Whether it is taken at one dollar, so that what arrives is worth what was asked. */
  supports_stable_settlement: boolean;
  supports_subscriptions: boolean;
  /** `None` for a network's own coin. */
  token_address: string | null;
  token_decimals: number;
  token_name: string;
  token_symbol: string;
  token_type: TokenType;
}

/** An answer that says what was done. */
export interface Message {
  message: string;
}

/** Epoch seconds, or a date-time. */
export type Moment = number | string;

/** The answer to `GET` and `PUT /api/v1/merchant/networks`. */
export interface NetworkSelection {
  acceptance_policy: AcceptancePolicy;
  /** All of this server. */
  available_networks: Array<MerchantNetwork>;
  /** The selected ones. */
  networks: Array<string>;
}

/** The wallets of one network. `GET /api/v1/merchant/wallets` answers with a list of these. */
export interface NetworkWallets {
  network: string;
  /** All networks that share these wallets, this one included: one EVM wallet serves all EVM networks. */
  shared_by_networks: Array<string>;
  wallets: Array<Wallet>;
}

/**
 * The answer to `POST /api/v1/payments/payment-addresses`; without a price it says so and has neither
 * address nor amount.
 */
export interface PaymentAddress {
  /** Whole tokens, as a plain decimal. */
  estimated_token_amount: string | null;
  /** Dollars for one whole token, as a decimal. */
  exchange_rate: string | null;
  memo: string | null;
  message: string | null;
  network: string;
  quote_expires_in_seconds: number | null;
  quote_last_updated_at: number | null;
  quote_status: QuoteStatus;
  /** Epoch seconds, as other times here. */
  quote_valid_until: number | null;
  retry_after_seconds: number | null;
  retryable: boolean | null;
  /** `ok` or `quote_unavailable`. */
  status_code: string;
  /** Always `true`; whether there is a quote is told by `quote_status`. */
  success: true;
  supported_token_id: number;
  /** Where to send the tokens. */
  temp_address: string | null;
  usd_amount: Dollars;
  ws_connection: StreamConnection | null;
}

/** The body of `POST /api/v1/payments/payment-addresses`. */
export interface PaymentAddressRequest {
  /** As in `base`, from the list of available tokens. */
  network: string;
  /** The token's `id` in the list of available tokens. */
  tokenId: number;
}

export type PaymentStatus = 'pending' | 'underpaid' | 'confirmed' | 'manual_retry';

/** The answer to `GET /api/v1/payments/payment-status`. */
export interface PaymentStatusReport {
  paid_at: number | null;
  status: InvoiceStatus;
}

/** For display. */
export type PlainNumber = number;

export interface Question {
  /** Used once in an invoice. */
  id: string;
  question: string;
  /** What the answer should be, as in `email`. */
  type: string;
  validation?: QuestionValidation | undefined;
}

export interface QuestionList {
  questions: Array<Question>;
}

export interface QuestionValidation {
  /** Whether it must be answered before a token is chosen. */
  required: boolean;
}

/** What a payer is asked. */
export interface Questions {
  questions: Array<Question>;
}

export type QuoteStatus = 'available' | 'unavailable' | 'expired';

/**
 * The body of `POST /api/v1/webhooks/{id}/deliveries/redeliver`: either what was given up since a time, or every event
 * of a range of time, whether it was sent or not.
 */
export interface RedeliverRequest {
  /** Epoch seconds. */
  failed_since?: number | null | undefined;
  /** Epoch seconds. */
  from?: number | null | undefined;
  /** `next` of the answer before. */
  starting_after?: string | null | undefined;
  /** Epoch seconds; now, unless it is set. */
  to?: number | null | undefined;
}

/** What was queued again. */
export interface Redelivery {
  /** What was still on its way, and was left alone. */
  already_pending: number;
  /** Whether there is more; ask again, with `next` as `starting_after` if there is one. */
  has_more: boolean;
  next: string | null;
  /** Always `webhook_redelivery`. */
  object: 'webhook_redelivery';
  queued: number;
}

/** The answer to a removal. */
export interface Removed {
  success: boolean;
}

/** The answer to `GET` and `PUT /api/v1/merchant/payment-return-url`. */
export interface ReturnUrl {
  payment_return_url: string | null;
  payment_return_url_enabled: boolean;
}

/** The body of `PUT /api/v1/merchant/payment-return-url`; null clears it. */
export interface ReturnUrlRequest {
  payment_return_url: string | null;
}

/** The body of `POST /api/v1/api-keys/{keyId}/revoke`, which may be left out. */
export interface RevokeApiKeyRequest {
  /** Why, in at most 255 characters, for whoever reads the list later. */
  reason?: string | null | undefined;
}

/** The body of `POST /api/v1/webhooks/{id}/rotate-secret`. */
export interface RotateSecretRequest {
  /** How long the secret before the new one signs as well. */
  previous_valid_seconds?: number | null | undefined;
}

/** A node that was added beside the operator's own. */
export interface RpcEndpoint {
  chain_id: number | null;
  /** Epoch seconds. */
  created_at: number;
  id: string;
  network: string;
  /** Always `rpc_endpoint`. */
  object: 'rpc_endpoint';
  /** Scheme and host; the rest may hold credentials and is shown as `…`. */
  rpc_url: string;
}

/** The answer to `GET /api/v1/merchant/rpc`, oldest first. */
export interface RpcEndpointList {
  data: Array<RpcEndpoint>;
  has_more: boolean;
  /** Always `list`. */
  object: 'list';
}

/** The body of `PUT /api/v1/merchant/networks`. */
export interface SelectNetworksRequest {
  /** Names of networks of this server. */
  networks: Array<string>;
}

/** The settlement token in force. */
export interface SelectedSettlementToken {
  id: number;
  /** Whether it is the server's own choice. */
  is_default: boolean;
  network: string;
  photo_uri: string | null;
  token_address: string | null;
  token_decimals: number;
  token_name: string;
  token_symbol: string;
}

/** The answer to `GET /api/v1/payments/session-details`. */
export interface SessionDetails {
  amount_remaining_usd: Dollars;
  amount_usd: Dollars;
  description: string | null;
  /** Epoch seconds. */
  expires_at: number;
  has_questions: boolean;
  invoice_footer: string;
  invoice_id: string;
  invoice_status: InvoiceStatus;
  invoice_title: string;
  /** Set once the first payment decided where the rest is asked. */
  locked_network: string | null;
  locked_payment_address: string | null;
  locked_token_id: number | null;
  merchant_email: string;
  merchant_name: string;
  network_environment: Environment;
  payment_return_url: string | null;
  payment_return_url_enabled: boolean;
  remaining_seconds: number;
  /** Milliseconds until it expires, never negative. */
  remaining_time: number;
}

/** The headers a payer's calls carry. */
export interface SessionHeaders {
  'x-session-token': string;
  'x-signature': string;
}

/** The body of `POST /api/v1/merchant/webhook`. */
export interface SetWebhookRequest {
  webhook_url: string;
}

/** How far a payment is on its way to the merchant's wallet. */
export interface Settlement {
  network: string;
  settlement_tx_hash: string;
  stage: string;
  status: SettlementStatus;
  summary_status: SettlementStatus;
}

/** The answer to `PUT /api/v1/merchant/settlement-token`. */
export interface SettlementChosen {
  message: string;
  settlement_token: SettlementToken | null;
  success: boolean;
  /** Epoch seconds. */
  updated_at: number;
}

/** How a merchant would like to be paid out; this server always pays out in the token that was paid. */
export type SettlementPreference = 'stables_only' | 'stables_preferred' | 'tokens';

/** The answer to `GET /api/v1/merchant/settlement-preference`. */
export interface SettlementSettings {
  available_stable_tokens: Array<StableToken>;
  description: string;
  selected_settlement_token: SelectedSettlementToken | null;
  settlement_preference: SettlementPreference;
  /** Epoch seconds. */
  updated_at: number;
}

export type SettlementStatus = 'pending' | 'processing' | 'manual' | 'failed' | 'settled';

/** A settlement token by name. */
export interface SettlementToken {
  id: number;
  network: string;
  token_name: string;
  token_symbol: string;
}

/** A settlement token that can be chosen. */
export interface StableToken {
  id: number;
  /** Whether it is what null stands for. */
  is_default_settlement: boolean;
  network: string;
  photo_uri: string | null;
  token_address: string | null;
  token_decimals: number;
  token_name: string;
  token_symbol: string;
}

export interface StatusTotals {
  all: Total;
  canceled: Total;
  expired: Total;
  paid: Total;
  underpaid: Total;
  unpaid: Total;
}

/** The answer to it. */
export interface StoredCustomerEmail {
  /** The address as it was kept: without space around it, the host in small letters. */
  email: string;
  message: string;
  /** Always `true`. */
  success: true;
}

/** Where a payer's page follows its invoice. */
export interface StreamConnection {
  /** Always `/ws/payment`. */
  endpoint: '/ws/payment';
  /** Always `event_v1`. */
  format: 'event_v1';
  /** Opens the stream, as the query's `token`. */
  token: string;
  ws_url: string;
}

/** The body of `POST /api/v1/payments/submit-form`. */
export interface SubmitFormRequest {
  responses: Array<FormResponse>;
}

/** One transaction that empties deposit addresses. */
export interface Sweep {
  amounts: Array<SweepAmount>;
  chain_id: number;
  cost: SweepCost | null;
  /** What the factory is called with, in hexadecimal. */
  data: string;
  deposits: Array<SweepDeposit>;
  network: string;
  /** For people. */
  network_title: string;
  /** The wallet that all of it goes to. */
  receiver: string;
  /** The deposit factory. */
  to: string;
  /** Always `0`. */
  value: '0';
  /** In thousandths of a dollar; null if a token has no price at present. */
  value_usd_millis: number | null;
}

/** How much of one token is moved. */
export interface SweepAmount {
  /** Null for the network's own coin. */
  token_address: string | null;
  /** Whole tokens, as a plain decimal. */
  token_amount: string;
  token_decimals: number;
  token_id: number;
  token_symbol: string;
}

/** What a transaction costs at the present price of gas. */
export interface SweepCost {
  gas: number;
  /** In thousandths of a dollar; null if the coin has no price at present. */
  usd_millis: number | null;
  /** In the smallest unit of the network's coin. */
  wei: string;
}

/** An address that is emptied. */
export interface SweepDeposit {
  address: string;
  invoice_id: string;
  /** What the address is derived from, together with the receiver. */
  salt: string;
  /** Block time of the oldest payment in it. */
  since: number;
}

/** The answer to `GET /api/v1/merchant/sweeps`. */
export interface SweepPlan {
  /** or once it has waited for so many days. */
  after_days: number;
  /** What earlier sweeps could not move, the newest first; a hundred at most. */
  failures: Array<FailedDeposit>;
  /** What is due and not offered. */
  left: Array<LeftDeposits>;
  /** Always `sweep_plan`. */
  object: 'sweep_plan';
  /** Calls that any wallet may send; money only ever goes to the receiver. */
  sweeps: Array<Sweep>;
  /** What is due is offered once it is worth more than so many times what its sweep costs, */
  worth_times_cost: number;
}

/** The answer to it. */
export interface TokenBlocked {
  blocked: boolean;
  success: boolean;
}

/** The answer to `GET /api/v1/merchant/tokens`. */
export interface TokenList {
  acceptance_policy: AcceptancePolicy;
  environment: Environment;
  tokens: Array<MerchantToken>;
}

/** The answer to `GET /api/v1/merchant/tokens/search`. */
export interface TokenPage {
  acceptance_policy: AcceptancePolicy;
  environment: Environment;
  limit: number;
  offset: number;
  tokens: Array<MerchantToken>;
  /** How many there are on all pages. */
  total: number;
}

/** What a token costs, for display. */
export interface TokenPrice {
  /** Epoch seconds. */
  last_updated_at: number;
  /** `par` for a token taken at one dollar, `chainlink` for one with a price feed. */
  provider_type: string;
  /** Dollars for one whole token. */
  usd: PlainNumber;
}

export type TokenType = 'native' | 'erc20' | 'spl';

/** How many invoices there are, and what they ask for together, in thousandths of a dollar. */
export interface Total {
  amount: number;
  amount_decimal: string;
  count: number;
}

/** A transfer to the merchant's wallet that no open invoice asked for. */
export interface UnattributedPayment {
  block_number: number;
  block_time: number;
  network: string;
  /** Always `unattributed_payment`. */
  object: 'unattributed_payment';
  payer_wallet_address: string | null;
  /** Tells it from others of its transaction; as a payment of an invoice it has another. */
  payment_id: string;
  /** Null for the network's own coin. */
  token_address: string | null;
  /** Whole tokens, as a plain decimal. */
  token_amount: string;
  token_decimals: number;
  token_id: number;
  token_symbol: string;
  tx_hash: string;
  wallet_address: string;
}

/** The answer to `GET /api/v1/merchant/unattributed-payments`. */
export interface UnattributedPayments {
  /** Newest first. */
  data: Array<UnattributedPayment>;
  has_more: boolean;
  /** Always `list`. */
  object: 'list';
}

/** The body of `PATCH /api/v1/webhooks/{id}`; what is left out stays as it is. */
export interface UpdateWebhookRequest {
  api_version?: WebhookVersion | null | undefined;
  description?: string | null | undefined;
  enabled_events?: Array<string> | null | undefined;
  environment?: Environment | null | undefined;
  is_active?: boolean | null | undefined;
  url?: string | null | undefined;
}

/** Why a search found nothing. */
export interface VerificationError {
  /** `payment_not_found`, `transaction_not_found`, `transaction_failed` or `transaction_pays_another`. */
  code: string;
  message: string;
}

/** How far a search is. */
export type VerificationJobStatus = 'pending' | 'running' | 'succeeded' | 'failed';

/** What a search found. */
export interface VerificationResult {
  payments: Array<VerifiedPayment>;
}

/** A payment that a search led to. */
export interface VerifiedPayment {
  id: string;
  tx_hash: string;
}

/** A merchant's wallet on one network. */
export interface Wallet {
  address: string;
  /** Epoch seconds. */
  created_at: number;
  /** Invoices from then on are paid to it, in epoch seconds; those from before are not. */
  effective_at: number;
  id: string;
  is_active: boolean;
  status: WalletStatus;
  /** Always `non_custodial`: this server holds no key to it. */
  type: 'non_custodial';
}

/** A change of wallets: the answer to scheduling or canceling one, and what its events tell. */
export interface WalletChange {
  canceled_at: number | null;
  /** Epoch seconds, as are the others. */
  created_at: number;
  effective_at: number;
  /** The id of the new wallet. */
  id: string;
  merchant_id: number;
  /** The networks it is for. */
  networks: Array<string>;
  /** Always `wallet_change`. */
  object: 'wallet_change';
  /** The wallet that is in force without this change. */
  previous_wallet_address: string;
  status: WalletChangeStatus;
  wallet_address: string;
}

/** What became of a change of wallets. */
export type WalletChangeStatus = 'scheduled' | 'applied' | 'canceled';

/** Whether money goes to a wallet. */
export type WalletStatus = 'active' | 'scheduled' | 'canceled';

/** One try. */
export interface WebhookAttempt {
  /** Counted from 1. */
  attempt: number;
  /** Epoch seconds. */
  attempted_at: number;
  duration_ms: number;
  /** What went wrong; nothing of what the receiver said. */
  error: string | null;
  /** What the receiver answered, if it did. */
  status: number | null;
}

/** The answer to `DELETE /api/v1/webhooks/{id}`. */
export interface WebhookDeleted {
  /** Always `true`. */
  success: true;
}

/** An event on its way to one endpoint. */
export interface WebhookDelivery {
  /** The newest first. */
  attempts: Array<WebhookAttempt>;
  created_at: number;
  endpoint_id: string;
  event_id: string;
  /** The type it is sent as. */
  event_type: string;
  /** What `X-Pepay-Event-ID` says; the same on every try. */
  id: string;
  invoice_id: string | null;
  /** Epoch seconds; `null` if no further try is made. */
  next_attempt_at: number | null;
  /** Always `webhook_delivery`. */
  object: 'webhook_delivery';
  state: DeliveryState;
}

/** The answer to `GET /api/v1/webhooks/{id}/deliveries`, newest first. */
export interface WebhookDeliveryList {
  data: Array<WebhookDelivery>;
  has_more: boolean;
  /** Always `list`. */
  object: 'list';
}

/** Where a merchant hears of events. */
export interface WebhookEndpoint {
  api_version: WebhookVersion;
  created_at: number;
  description: string | null;
  disabled_at: number | null;
  /** Why the server gave it up: `gone` (it answered 410) or `failing` (nothing but failures for days). */
  disabled_reason: string | null;
  enabled_events: Array<string>;
  environment: Environment | null;
  /** Since when every try has failed; `null` after one that did not. */
  failing_since: number | null;
  id: string;
  is_active: boolean;
  /** Always `webhook_endpoint`. */
  object: 'webhook_endpoint';
  /** Until then, what is sent is signed with the secret before this one as well. */
  previous_secret_expires_at: number | null;
  /** Only in the answer that made it. */
  secret?: string | undefined;
  updated_at: number;
  url: string;
}

/** The answer to `GET /api/v1/webhooks`, newest first. */
export interface WebhookEndpointList {
  data: Array<WebhookEndpoint>;
  /** Always `false`: there are few. */
  has_more: false;
  /** Always `list`. */
  object: 'list';
}

/** The answer to `POST /api/v1/webhooks/{id}/test`. */
export interface WebhookTest {
  /** Always `test.ping`. */
  event_type: 'test.ping';
  /** Always `true`. */
  success: true;
}

/** The form of what an endpoint is sent. */
export type WebhookVersion = '2025-12-16' | 'legacy';

/** The envelope of some answers: `{"success":true,"data":…}`. */
export interface Wrapped_Event {
  /** Something that happened, as webhooks and sockets tell it. */
  data: {
    api_version: string;
    /** Epoch seconds. */
    created: number;
    data: EventData;
    /** `evt_<created ms>-<sequence>`. */
    id: string;
    /** Whether real money is meant. */
    livemode: boolean;
    /** Always `event`. */
    object: string;
    /** How many deliveries of it are still owed. */
    pending_webhooks: number;
    /** The API call that caused it. */
    request: EventRequest;
    /** As in `invoice.updated`. */
    type: string;
  };
  /** Always `true`. */
  success: true;
}

/** The envelope of some answers: `{"success":true,"data":…}`. */
export interface Wrapped_EventList {
  /** The answer to `GET /api/v1/events`, newest first. */
  data: {
    data: Array<Event>;
    /** Whether there is more in the direction that was asked for. */
    has_more: boolean;
    /** Always `list`. */
    object: string;
  };
  /** Always `true`. */
  success: true;
}

/** The envelope of some answers: `{"success":true,"data":…}`. */
export interface Wrapped_WsToken {
  /** A token that opens a merchant's stream from where no header can be sent. */
  data: {
    /** Epoch seconds. A stream that was opened before goes on. */
    expires_at: number;
    merchant_id: number;
    network_environment?: Environment | null | undefined;
    /** Always `merchant`. */
    scope: string;
    token: string;
    /** Where the stream is, without the token. */
    ws_url: string;
  };
  /** Always `true`. */
  success: true;
}

/** A token that opens a merchant's stream from where no header can be sent. */
export interface WsToken {
  /** Epoch seconds. A stream that was opened before goes on. */
  expires_at: number;
  merchant_id: number;
  network_environment: Environment | null;
  /** Always `merchant`. */
  scope: 'merchant';
  token: string;
  /** Where the stream is, without the token. */
  ws_url: string;
}

/** The body of `POST /api/v1/ws/token`. */
export interface WsTokenRequest {
  /** `merchant`; this server has no `commerce` streams. */
  scope: string;
  /** For how long the token opens a stream; 60 if absent. */
  ttl_seconds?: number | null | undefined;
}

/** What each operation takes and answers. */
export interface Operations {
  /** `POST /api/v1/user/mainnet-access/activate` */
  activate_mainnet_access: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ActivateMainnetRequest | null;
    answer: MainnetActivated;
  };
  /** `POST /api/v1/merchant/rpc` */
  add_rpc_endpoint: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: AddRpcEndpointRequest;
    answer: RpcEndpoint;
  };
  /** `POST /api/v1/payments/payment-addresses` */
  allocate_payment_address: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: PaymentAddressRequest;
    answer: PaymentAddress;
  };
  /** `POST /api/v1/invoices/{invoice_id}/attach-payment` */
  attach_payment: {
    path: {
      /** The id of an invoice. */
      invoice_id: string;
    };
    query: Record<never, never>;
    body: AttachPaymentRequest;
    answer: Invoice;
  };
  /** `POST /api/v1/merchant/tokens/{token_id}/block` */
  block_token: {
    path: {
      /** The `id` of a token in the list. */
      token_id: number;
    };
    query: Record<never, never>;
    body: BlockTokenRequest | null;
    answer: TokenBlocked;
  };
  /** `POST /api/v1/invoices/{invoice_id}/cancel` */
  cancel_invoice: {
    path: {
      /** The id of an invoice. */
      invoice_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: Invoice;
  };
  /** `DELETE /api/v1/merchant/wallets/{wallet_id}` */
  cancel_wallet_change: {
    path: {
      /** The `id` of the change. */
      wallet_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: WalletChange;
  };
  /** `POST /api/v1/merchant/wallets` */
  change_wallet: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ChangeWalletRequest;
    answer: WalletChange;
  };
  /** `PUT /api/v1/user/environment` */
  choose_environment: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ChooseEnvironmentRequest;
    answer: EnvironmentChosen;
  };
  /** `PUT /api/v1/merchant/settlement-token` */
  choose_settlement_token: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ChooseSettlementRequest;
    answer: SettlementChosen;
  };
  /** `POST /api/v1/api-keys` */
  create_api_key: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateApiKeyRequest;
    answer: CreatedApiKey;
  };
  /** `POST /api/merchant-api-keys` */
  create_api_key__first: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateApiKeyRequest;
    answer: CreatedApiKey;
  };
  /** `POST /api/v1/invoices` */
  create_invoice: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateInvoiceRequest;
    answer: CreatedInvoice;
  };
  /** `GET /api/v1/payments/stream-token` */
  create_stream_token: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: undefined;
    answer: StreamConnection;
  };
  /** `POST /api/v1/webhooks` */
  create_webhook: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CreateWebhookRequest;
    answer: WebhookEndpoint;
  };
  /** `POST /api/v1/ws/token` */
  create_ws_token: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: WsTokenRequest;
    answer: Wrapped_WsToken;
  };
  /** `DELETE /api/v1/api-keys/{key_id}` */
  delete_api_key: {
    path: {
      /** The id of a key, not the key. */
      key_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: Message;
  };
  /** `DELETE /api/v1/webhooks/{webhook_id}` */
  delete_webhook: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookDeleted;
  };
  /** `GET /ws/merchant/events` */
  follow_merchant_events: {
    path: Record<never, never>;
    query: {
      /** A list with commas of types, as in `invoice.updated`, `invoice.*` or `*`. */
      types?: string | undefined;
      /** The id of the last event you have; what came after it is sent first. */
      since?: string | undefined;
      /** A list with commas of `standard` and `commerce`; this server has no invoices of the latter. */
      invoice_type?: string | undefined;
      /** Only what happened to this invoice. */
      invoice_id?: string | undefined;
      /** Only what happened to this customer's invoices. */
      customer_id?: string | undefined;
      environment?: Environment | undefined;
      /** Always `event_v1`. */
      format?: string | undefined;
    };
    body: undefined;
    answer: undefined;
  };
  /** `GET /ws/payment` */
  follow_payment: {
    path: Record<never, never>;
    query: {
      /** The id of the last event you have; what came after it is sent first. */
      since?: string | undefined;
      /** Always `event_v1`. */
      format?: string | undefined;
    };
    body: undefined;
    answer: undefined;
  };
  /** `GET /api/v1/api-keys` */
  list_api_keys: {
    path: Record<never, never>;
    query: {
      /** Only keys of this scope. */
      scope?: ApiKeyScope | undefined;
    };
    body: undefined;
    answer: Array<ApiKey>;
  };
  /** `GET /api/merchant-api-keys` */
  list_api_keys__first: {
    path: Record<never, never>;
    query: {
      /** Only keys of this scope. */
      scope?: ApiKeyScope | undefined;
    };
    body: undefined;
    answer: Array<ApiKey>;
  };
  /** `GET /api/v1/payments/available-tokens` */
  list_available_tokens: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
      /** `network` makes the parameter of that name required; any other mode lists all. */
      mode?: string | undefined;
      /** Only tokens of this network, as in `base`. */
      network?: string | undefined;
      /** Only tokens that can be paid with now: `true` or `1`. */
      available_only?: string | undefined;
    };
    body: undefined;
    answer: Array<AvailableToken>;
  };
  /** `GET /api/v1/events` */
  list_events: {
    path: Record<never, never>;
    query: {
      /** How many items at most. */
      limit?: number | undefined;
      /** The id of an item; the page begins with the next older one. */
      starting_after?: string | undefined;
      /** The id of an item; the page ends with the next newer one. Not together with `starting_after`. */
      ending_before?: string | undefined;
      /** A list with commas of types, as in `invoice.updated`, `invoice.*` or `*`. */
      type?: string | undefined;
      /** Only what happened to this invoice. */
      invoice_id?: string | undefined;
      environment?: Environment | undefined;
      /** From this time on: epoch seconds, or a date-time as in `2026-01-31T12:00:00Z`. */
      'created[gte]'?: Moment | undefined;
      /** Up to this time and including it. */
      'created[lte]'?: Moment | undefined;
    };
    body: undefined;
    answer: Wrapped_EventList;
  };
  /** `GET /api/v1/invoices` */
  list_invoices: {
    path: Record<never, never>;
    query: {
      /** How many items at most. */
      limit?: number | undefined;
      /** The id of an item; the page begins with the next older one. */
      starting_after?: string | undefined;
      /** The id of an item; the page ends with the next newer one. Not together with `starting_after`. */
      ending_before?: string | undefined;
      /** The number of the page, from 1, instead of a cursor; the answer then has `items`, `total` and `page` too. */
      page?: number | undefined;
      /** Your name for the customer. */
      customer_id?: string | undefined;
      /**
       * A list with commas of `unpaid`, `underpaid`, `paid`, `expired` and `canceled`, or `all`. The older `pending`
       * means the first two, `failed` the last two.
       */
      status?: string | undefined;
      /** A list with commas of `standard` and `commerce`; this server has no others than `standard`. */
      invoice_type?: string | undefined;
      environment?: Environment | undefined;
      /** From this time on: epoch seconds, or a date-time as in `2026-01-31T12:00:00Z`. */
      created_gte?: Moment | undefined;
      /** Up to this time and including it. */
      created_lte?: Moment | undefined;
      /** Invoices that this wallet paid first. */
      payer_wallet_address?: string | undefined;
      /** The network of that payment, as in `base`. */
      payer_wallet_network?: string | undefined;
      /** A list with commas of `latest_payment` and `payments`, which are shown with the invoice. */
      expand?: string | undefined;
      /** How many of the newest payments are shown. */
      payments_limit?: number | undefined;
    };
    body: undefined;
    answer: InvoiceList;
  };
  /** `GET /api/v1/invoices/customer/{customer_id}` */
  list_invoices_of_customer: {
    path: {
      /** Your name for the customer. */
      customer_id: string;
    };
    query: {
      /** How many items at most. */
      limit?: number | undefined;
      /** The id of an item; the page begins with the next older one. */
      starting_after?: string | undefined;
      /** The id of an item; the page ends with the next newer one. Not together with `starting_after`. */
      ending_before?: string | undefined;
      /** The number of the page, from 1, instead of a cursor; the answer then has `items`, `total` and `page` too. */
      page?: number | undefined;
      /**
       * A list with commas of `unpaid`, `underpaid`, `paid`, `expired` and `canceled`, or `all`. The older `pending`
       * means the first two, `failed` the last two.
       */
      status?: string | undefined;
      /** A list with commas of `standard` and `commerce`; this server has no others than `standard`. */
      invoice_type?: string | undefined;
      environment?: Environment | undefined;
      /** From this time on: epoch seconds, or a date-time as in `2026-01-31T12:00:00Z`. */
      created_gte?: Moment | undefined;
      /** Up to this time and including it. */
      created_lte?: Moment | undefined;
      /** Invoices that this wallet paid first. */
      payer_wallet_address?: string | undefined;
      /** The network of that payment, as in `base`. */
      payer_wallet_network?: string | undefined;
      /** A list with commas of `latest_payment` and `payments`, which are shown with the invoice. */
      expand?: string | undefined;
      /** How many of the newest payments are shown. */
      payments_limit?: number | undefined;
    };
    body: undefined;
    answer: InvoiceList;
  };
  /** `GET /api/v1/merchant/rpc` */
  list_rpc_endpoints: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: RpcEndpointList;
  };
  /** `GET /api/v1/merchant/sweeps` */
  list_sweeps: {
    path: Record<never, never>;
    query: {
      /** Also what is not worth its sweep yet, and what an earlier one could not move. */
      all?: boolean | undefined;
      /** On this network only, as in `base`. */
      network?: string | undefined;
    };
    body: undefined;
    answer: SweepPlan;
  };
  /** `GET /api/v1/merchant/tokens` */
  list_tokens: {
    path: Record<never, never>;
    query: {
      /** Tokens of this environment; without it, of the server's own. A server has those of its own only. */
      environment?: Environment | undefined;
    };
    body: undefined;
    answer: TokenList;
  };
  /** `GET /api/v1/merchant/unattributed-payments` */
  list_unattributed_payments: {
    path: Record<never, never>;
    query: {
      /** How many items at most. */
      limit?: number | undefined;
      /** The id of an item; the page begins with the next older one. */
      starting_after?: string | undefined;
      /** The id of an item; the page ends with the next newer one. Not together with `starting_after`. */
      ending_before?: string | undefined;
    };
    body: undefined;
    answer: UnattributedPayments;
  };
  /** `GET /api/v1/merchant/wallets` */
  list_wallets: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Array<NetworkWallets>;
  };
  /** `GET /api/accounts/wallets` */
  list_wallets__first: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Array<NetworkWallets>;
  };
  /** `GET /api/v1/webhooks/{webhook_id}/deliveries` */
  list_webhook_deliveries: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: {
      /** How many items at most. */
      limit?: number | undefined;
      /** The id of an item; the page begins with the next older one. */
      starting_after?: string | undefined;
      /** The id of an item; the page ends with the next newer one. Not together with `starting_after`. */
      ending_before?: string | undefined;
      /** A list with commas of `pending`, `delivered` and `exhausted`. */
      state?: string | undefined;
      /** A list with commas of types, as in `invoice.updated`, `invoice.*` or `*`. */
      type?: string | undefined;
    };
    body: undefined;
    answer: WebhookDeliveryList;
  };
  /** `GET /api/v1/webhooks` */
  list_webhooks: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: WebhookEndpointList;
  };
  /** `POST /api/v1/webhooks/{webhook_id}/deliveries/{event_id}/redeliver` */
  redeliver_webhook: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
      /** The id an event was sent with. */
      event_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: Redelivery;
  };
  /** `POST /api/v1/webhooks/{webhook_id}/deliveries/redeliver` */
  redeliver_webhooks: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: Record<never, never>;
    body: RedeliverRequest;
    answer: Redelivery;
  };
  /** `DELETE /api/v1/merchant/rpc/{endpoint_id}` */
  remove_rpc_endpoint: {
    path: {
      /** The `id` of the node. */
      endpoint_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: Removed;
  };
  /** `PUT /api/v1/webhooks/{webhook_id}` */
  replace_webhook: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: Record<never, never>;
    body: UpdateWebhookRequest;
    answer: WebhookEndpoint;
  };
  /** `GET /api/v1/payments/customer-email` */
  retrieve_customer_email: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: undefined;
    answer: CustomerEmail;
  };
  /** `GET /api/v1/events/{event_id}` */
  retrieve_event: {
    path: {
      /** The id of an event. */
      event_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: Wrapped_Event;
  };
  /** `GET /api/v1/invoices/{invoice_id}` */
  retrieve_invoice: {
    path: {
      /** The id of an invoice. */
      invoice_id: string;
    };
    query: {
      /** A list with commas of `latest_payment` and `payments`, which are shown with the invoice. */
      expand?: string | undefined;
      /** How many of the newest payments are shown. */
      payments_limit?: number | undefined;
    };
    body: undefined;
    answer: Invoice;
  };
  /** `GET /api/v1/payments/invoice-questions` */
  retrieve_invoice_questions: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: undefined;
    answer: InvoiceQuestions;
  };
  /** `GET /api/v1/invoices/{invoice_id}/status` */
  retrieve_invoice_status: {
    path: {
      /** The id of an invoice. */
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
      /** Your name for the customer. */
      customer_id?: string | undefined;
      /**
       * A list with commas of `unpaid`, `underpaid`, `paid`, `expired` and `canceled`, or `all`. The older `pending`
       * means the first two, `failed` the last two.
       */
      status?: string | undefined;
      /** A list with commas of `standard` and `commerce`; this server has no others than `standard`. */
      invoice_type?: string | undefined;
      environment?: Environment | undefined;
      /** From this time on: epoch seconds, or a date-time as in `2026-01-31T12:00:00Z`. */
      created_gte?: Moment | undefined;
      /** Up to this time and including it. */
      created_lte?: Moment | undefined;
      /** Invoices that this wallet paid first. */
      payer_wallet_address?: string | undefined;
      /** The network of that payment, as in `base`. */
      payer_wallet_network?: string | undefined;
    };
    body: undefined;
    answer: InvoiceTotals;
  };
  /** `GET /api/v1/user/mainnet-access/status` */
  retrieve_mainnet_access: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: MainnetAccess;
  };
  /** `GET /api/v1/merchant/networks` */
  retrieve_networks: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: NetworkSelection;
  };
  /** `GET /api/v1/payments/payment-status` */
  retrieve_payment_status: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: undefined;
    answer: PaymentStatusReport;
  };
  /** `GET /api/v1/merchant/payment-return-url` */
  retrieve_return_url: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: ReturnUrl;
  };
  /** `GET /api/v1/payments/session-details` */
  retrieve_session_details: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: undefined;
    answer: SessionDetails;
  };
  /** `GET /api/v1/merchant/settlement-preference` */
  retrieve_settlement_preference: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: SettlementSettings;
  };
  /** `GET /api/v1/invoice/{invoice_id}/verify` */
  retrieve_verification: {
    path: {
      /** The id of an invoice. */
      invoice_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: ManualVerificationAnswer;
  };
  /** `GET /api/v1/webhooks/{webhook_id}` */
  retrieve_webhook: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookEndpoint;
  };
  /** `POST /api/v1/api-keys/{key_id}/revoke` */
  revoke_api_key: {
    path: {
      /** The id of a key, not the key. */
      key_id: string;
    };
    query: Record<never, never>;
    body: RevokeApiKeyRequest | null;
    answer: Message;
  };
  /** `POST /api/v1/merchant-api-keys/{key_id}/revoke` */
  revoke_api_key__before: {
    path: {
      /** The id of a key, not the key. */
      key_id: string;
    };
    query: Record<never, never>;
    body: RevokeApiKeyRequest | null;
    answer: Message;
  };
  /** `POST /api/merchant-api-keys/{key_id}/revoke` */
  revoke_api_key__first: {
    path: {
      /** The id of a key, not the key. */
      key_id: string;
    };
    query: Record<never, never>;
    body: RevokeApiKeyRequest | null;
    answer: Message;
  };
  /** `POST /api/v1/webhooks/{webhook_id}/rotate-secret` */
  rotate_webhook_secret: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: Record<never, never>;
    body: RotateSecretRequest | null;
    answer: WebhookEndpoint;
  };
  /** `GET /api/v1/merchant/tokens/search` */
  search_tokens: {
    path: Record<never, never>;
    query: {
      /** Tokens of this environment; without it, of the server's own. A server has those of its own only. */
      environment?: Environment | undefined;
      /** How many tokens at most. */
      limit?: number | undefined;
      /** How many tokens to leave out at the beginning. */
      offset?: number | undefined;
      /** Part of the symbol, name or address, in either case. */
      search?: string | undefined;
      /** Tokens of this network, as in `base`. */
      network?: string | undefined;
      /** `native`, `erc20`, `spl`, `ton` or `sui`. */
      token_type?: string | undefined;
      /** Tokens that the server takes, or those that it does not. */
      is_active?: boolean | undefined;
      /** Tokens taken at one dollar, or the others. */
      supports_stable_settlement?: boolean | undefined;
      /** Tokens that you block, or those that you take. */
      blocked?: boolean | undefined;
    };
    body: undefined;
    answer: TokenPage;
  };
  /** `PUT /api/v1/merchant/networks` */
  select_networks: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: SelectNetworksRequest;
    answer: NetworkSelection;
  };
  /** `PUT /api/v1/merchant/payment-return-url` */
  set_return_url: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ReturnUrlRequest;
    answer: ReturnUrl;
  };
  /** `POST /api/v1/merchant/webhook` */
  set_webhook: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: SetWebhookRequest;
    answer: WebhookEndpoint;
  };
  /** `POST /api/v1/payments/customer-email` */
  store_customer_email: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: CustomerEmailRequest;
    answer: StoredCustomerEmail;
  };
  /** `POST /api/v1/payments/submit-form` */
  submit_form_responses: {
    path: Record<never, never>;
    query: {
      /** The invoice you think the session is for; the request is refused if it is for another. */
      invoice_id?: string | undefined;
    };
    body: SubmitFormRequest;
    answer: FormSubmitted;
  };
  /** `POST /api/v1/webhooks/{webhook_id}/test` */
  test_webhook: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookTest;
  };
  /** `PATCH /api/v1/webhooks/{webhook_id}` */
  update_webhook: {
    path: {
      /** The id of a webhook endpoint. */
      webhook_id: string;
    };
    query: Record<never, never>;
    body: UpdateWebhookRequest;
    answer: WebhookEndpoint;
  };
  /** `POST /api/v1/invoice/{invoice_id}/verify` */
  verify_invoice: {
    path: {
      /** The id of an invoice. */
      invoice_id: string;
    };
    query: Record<never, never>;
    body: ManualVerificationRequest;
    answer: ManualVerificationAnswer;
  };
}

/** Where each operation is. */
export const operations = {
  activate_mainnet_access: { method: 'POST', path: '/api/v1/user/mainnet-access/activate' },
  add_rpc_endpoint: { method: 'POST', path: '/api/v1/merchant/rpc' },
  allocate_payment_address: { method: 'POST', path: '/api/v1/payments/payment-addresses' },
  attach_payment: { method: 'POST', path: '/api/v1/invoices/{invoice_id}/attach-payment' },
  block_token: { method: 'POST', path: '/api/v1/merchant/tokens/{token_id}/block' },
  cancel_invoice: { method: 'POST', path: '/api/v1/invoices/{invoice_id}/cancel' },
  cancel_wallet_change: { method: 'DELETE', path: '/api/v1/merchant/wallets/{wallet_id}' },
  change_wallet: { method: 'POST', path: '/api/v1/merchant/wallets' },
  choose_environment: { method: 'PUT', path: '/api/v1/user/environment' },
  choose_settlement_token: { method: 'PUT', path: '/api/v1/merchant/settlement-token' },
  create_api_key: { method: 'POST', path: '/api/v1/api-keys' },
  create_api_key__first: { method: 'POST', path: '/api/merchant-api-keys' },
  create_invoice: { method: 'POST', path: '/api/v1/invoices' },
  create_stream_token: { method: 'GET', path: '/api/v1/payments/stream-token' },
  create_webhook: { method: 'POST', path: '/api/v1/webhooks' },
  create_ws_token: { method: 'POST', path: '/api/v1/ws/token' },
  delete_api_key: { method: 'DELETE', path: '/api/v1/api-keys/{key_id}' },
  delete_webhook: { method: 'DELETE', path: '/api/v1/webhooks/{webhook_id}' },
  follow_merchant_events: { method: 'GET', path: '/ws/merchant/events' },
  follow_payment: { method: 'GET', path: '/ws/payment' },
  list_api_keys: { method: 'GET', path: '/api/v1/api-keys' },
  list_api_keys__first: { method: 'GET', path: '/api/merchant-api-keys' },
  list_available_tokens: { method: 'GET', path: '/api/v1/payments/available-tokens' },
  list_events: { method: 'GET', path: '/api/v1/events' },
  list_invoices: { method: 'GET', path: '/api/v1/invoices' },
  list_invoices_of_customer: { method: 'GET', path: '/api/v1/invoices/customer/{customer_id}' },
  list_rpc_endpoints: { method: 'GET', path: '/api/v1/merchant/rpc' },
  list_sweeps: { method: 'GET', path: '/api/v1/merchant/sweeps' },
  list_tokens: { method: 'GET', path: '/api/v1/merchant/tokens' },
  list_unattributed_payments: { method: 'GET', path: '/api/v1/merchant/unattributed-payments' },
  list_wallets: { method: 'GET', path: '/api/v1/merchant/wallets' },
  list_wallets__first: { method: 'GET', path: '/api/accounts/wallets' },
  list_webhook_deliveries: { method: 'GET', path: '/api/v1/webhooks/{webhook_id}/deliveries' },
  list_webhooks: { method: 'GET', path: '/api/v1/webhooks' },
  redeliver_webhook: { method: 'POST', path: '/api/v1/webhooks/{webhook_id}/deliveries/{event_id}/redeliver' },
  redeliver_webhooks: { method: 'POST', path: '/api/v1/webhooks/{webhook_id}/deliveries/redeliver' },
  remove_rpc_endpoint: { method: 'DELETE', path: '/api/v1/merchant/rpc/{endpoint_id}' },
  replace_webhook: { method: 'PUT', path: '/api/v1/webhooks/{webhook_id}' },
  retrieve_customer_email: { method: 'GET', path: '/api/v1/payments/customer-email' },
  retrieve_event: { method: 'GET', path: '/api/v1/events/{event_id}' },
  retrieve_invoice: { method: 'GET', path: '/api/v1/invoices/{invoice_id}' },
  retrieve_invoice_questions: { method: 'GET', path: '/api/v1/payments/invoice-questions' },
  retrieve_invoice_status: { method: 'GET', path: '/api/v1/invoices/{invoice_id}/status' },
  retrieve_invoice_totals: { method: 'GET', path: '/api/v1/invoices/totals' },
  retrieve_mainnet_access: { method: 'GET', path: '/api/v1/user/mainnet-access/status' },
  retrieve_networks: { method: 'GET', path: '/api/v1/merchant/networks' },
  retrieve_payment_status: { method: 'GET', path: '/api/v1/payments/payment-status' },
  retrieve_return_url: { method: 'GET', path: '/api/v1/merchant/payment-return-url' },
  retrieve_session_details: { method: 'GET', path: '/api/v1/payments/session-details' },
  retrieve_settlement_preference: { method: 'GET', path: '/api/v1/merchant/settlement-preference' },
  retrieve_verification: { method: 'GET', path: '/api/v1/invoice/{invoice_id}/verify' },
  retrieve_webhook: { method: 'GET', path: '/api/v1/webhooks/{webhook_id}' },
  revoke_api_key: { method: 'POST', path: '/api/v1/api-keys/{key_id}/revoke' },
  revoke_api_key__before: { method: 'POST', path: '/api/v1/merchant-api-keys/{key_id}/revoke' },
  revoke_api_key__first: { method: 'POST', path: '/api/merchant-api-keys/{key_id}/revoke' },
  rotate_webhook_secret: { method: 'POST', path: '/api/v1/webhooks/{webhook_id}/rotate-secret' },
  search_tokens: { method: 'GET', path: '/api/v1/merchant/tokens/search' },
  select_networks: { method: 'PUT', path: '/api/v1/merchant/networks' },
  set_return_url: { method: 'PUT', path: '/api/v1/merchant/payment-return-url' },
  set_webhook: { method: 'POST', path: '/api/v1/merchant/webhook' },
  store_customer_email: { method: 'POST', path: '/api/v1/payments/customer-email' },
  submit_form_responses: { method: 'POST', path: '/api/v1/payments/submit-form' },
  test_webhook: { method: 'POST', path: '/api/v1/webhooks/{webhook_id}/test' },
  update_webhook: { method: 'PATCH', path: '/api/v1/webhooks/{webhook_id}' },
  verify_invoice: { method: 'POST', path: '/api/v1/invoice/{invoice_id}/verify' },
} as const satisfies Record<keyof Operations, { method: string; path: string }>;

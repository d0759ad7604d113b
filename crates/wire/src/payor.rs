//! What payers' pages read and send, as the public API spells it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Environment, invoice::InvoiceStatus, money::Dollars};

/// The answer to `GET /api/v1/payments/session-details`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SessionDetails {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub invoice_id: String,
    pub amount_usd: Dollars,
    pub amount_remaining_usd: Dollars,
    pub description: Option<String>,
    /// Epoch seconds.
    pub expires_at: i64,
    pub invoice_status: InvoiceStatus,
    /// Milliseconds until it expires, never negative.
    pub remaining_time: i64,
    pub remaining_seconds: i64,
    pub merchant_name: String,
    pub merchant_email: String,
    pub network_environment: Environment,
    /// Set once the first payment decided where the rest is asked.
    pub locked_network: Option<String>,
    pub locked_token_id: Option<i64>,
    pub locked_payment_address: Option<String>,
    pub invoice_title: String,
    pub invoice_footer: String,
    pub payment_return_url: Option<String>,
    pub payment_return_url_enabled: bool,
    pub has_questions: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    Native,
    Erc20,
    /// A token on Solana.
    Spl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AvailabilityStatus {
    Available,
    Stale,
    Devnet,
}

/// One entry of `GET /api/v1/payments/available-tokens`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct AvailableToken {
    pub id: i64,
    pub token_symbol: String,
    pub token_name: String,
    pub token_type: TokenType,
    pub network: String,
    pub token_decimals: u8,
    /// `None` for a network's own coin.
    pub token_address: Option<String>,
    pub requires_memo: bool,
    pub photo_uri: Option<String>,
    pub is_monitored: bool,
    pub availability_status: AvailabilityStatus,
    pub rate_updated_at: Option<i64>,
    pub unavailable_reason: Option<String>,
    /// Absent on devnet, as are the fields below.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub has_settlement_route: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub supports_stable_settlement: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub is_same_token_settlement: Option<bool>,
}

/// The body of `POST /api/v1/payments/payment-addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct PaymentAddressRequest {
    /// As in `base`, from the list of available tokens.
    pub network: String,
    /// The token's `id` in the list of available tokens.
    #[serde(rename = "tokenId")]
    pub token_id: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum QuoteStatus {
    Available,
    Unavailable,
    Expired,
}

/// The answer to `POST /api/v1/payments/payment-addresses`; without a price it says so and has neither
/// address nor amount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct PaymentAddress {
    /// Always `true`; whether there is a quote is told by `quote_status`.
    pub success: bool,
    pub quote_status: QuoteStatus,
    /// `ok` or `quote_unavailable`.
    pub status_code: String,
    pub message: Option<String>,
    /// Where to send the tokens.
    pub temp_address: Option<String>,
    pub network: String,
    pub supported_token_id: i64,
    /// Whole tokens, as a plain decimal.
    pub estimated_token_amount: Option<String>,
    /// Dollars for one whole token, as a decimal.
    pub exchange_rate: Option<String>,
    pub usd_amount: Dollars,
    pub quote_last_updated_at: Option<i64>,
    /// Epoch seconds, as other times here.
    pub quote_valid_until: Option<i64>,
    pub quote_expires_in_seconds: Option<i64>,
    pub retryable: Option<bool>,
    pub retry_after_seconds: Option<i64>,
    pub memo: Option<String>,
    pub ws_connection: Option<StreamConnection>,
}

/// What a payer is to send now, as the stream tells it; amounts are thousandths of a dollar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct PaymentQuote {
    /// Always `payment_quote`.
    pub object: String,
    pub invoice_id: String,
    pub network: String,
    pub currency: String,
    pub amount_remaining: u64,
    pub amount_remaining_decimal: String,
    /// Always `usd_millis`.
    pub amount_unit: String,
    pub quote_status: QuoteStatus,
    pub temp_address: String,
    pub supported_token_id: i64,
    pub estimated_token_amount: String,
    /// Dollars for one whole token, as a decimal.
    pub exchange_rate: String,
    pub quote_last_updated_at: i64,
    pub quote_valid_until: i64,
    pub quote_expires_in_seconds: i64,
}

/// Where a payer's page follows its invoice.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct StreamConnection {
    /// Opens the stream, as the query's `token`.
    pub token: String,
    /// Always `/ws/payment`.
    pub endpoint: String,
    /// Always `event_v1`.
    pub format: String,
    pub ws_url: String,
}

impl fmt::Debug for StreamConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConnection").field("ws_url", &self.ws_url).finish_non_exhaustive()
    }
}

/// The body of `POST /api/v1/payments/customer-email`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CustomerEmailRequest {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "email", max_length = 254))]
    pub email: String,
}

impl fmt::Debug for CustomerEmailRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerEmailRequest(…)")
    }
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct StoredCustomerEmail {
    /// Always `true`.
    pub success: bool,
    /// The address as it was kept: without space around it, the host in small letters.
    pub email: String,
    pub message: String,
}

/// The answer to `GET /api/v1/payments/customer-email`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CustomerEmail {
    /// Where the receipt should go; the payer's, or the merchant's `customer_email` until there is one.
    pub email: Option<String>,
    pub has_email: bool,
}

/// The answer to `GET /api/v1/payments/invoice-questions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct InvoiceQuestions {
    pub has_questions: bool,
    /// Only if there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub questions: Option<QuestionList>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct QuestionList {
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_items = 5))]
    pub questions: Vec<Question>,
}

/// What the merchant asks the payer before there is anything to pay with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Question {
    pub id: String,
    pub question: String,
    /// `email` and `number` are checked to be that; everything else is any text.
    #[serde(rename = "type")]
    pub kind: String,
    pub validation: QuestionValidation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct QuestionValidation {
    /// Whether it must be answered before a token can be chosen.
    pub required: bool,
}

/// The body of `POST /api/v1/payments/submit-form`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SubmitFormRequest {
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_items = 1, max_items = 5))]
    pub responses: Vec<FormResponse>,
}

/// What the payer answered to one question.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct FormResponse {
    pub question_id: String,
    /// Text, also for a number.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255))]
    pub response: String,
}

impl fmt::Debug for FormResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormResponse").field("question_id", &self.question_id).finish_non_exhaustive()
    }
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct FormSubmitted {
    /// Always `true`.
    pub success: bool,
}

/// The answer to `GET /api/v1/payments/payment-status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct PaymentStatusReport {
    pub status: InvoiceStatus,
    pub paid_at: Option<i64>,
}

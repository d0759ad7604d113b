//! What merchants see of an invoice and its payments.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::{Environment, money::Dollars, payor::FormResponse};

/// The body of `POST /api/v1/invoices`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreateInvoiceRequest {
    /// Dollars, with at most three decimals.
    // Text, so that no float touches it: see `crate::money::parse_invoice_amount`.
    #[serde(default)]
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schema(value_type = f64, required, nullable = false, minimum = 0.01, maximum = 1_000_000, multiple_of = 0.001)
    )]
    pub amount_usd: Option<Box<RawValue>>,
    /// What the payer is told the invoice is for.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255))]
    pub description: Option<String>,
    /// The name you have for the customer.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255))]
    pub customer_id: Option<String>,
    /// Anything of yours, kept as it is; at most 512 bytes as compact JSON.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
    /// Milliseconds until the invoice ends: by default 12 hours, at most 30 days.
    #[cfg_attr(not(target_arch = "wasm32"), schema(minimum = 1, maximum = 2_592_000_000_i64))]
    pub expires_in: Option<i64>,
    /// Sends the money to `receiver_override_address` instead of your wallet; needs a right of its own.
    pub receiver_override_enable: Option<bool>,
    /// The address that gets the money of this invoice.
    pub receiver_override_address: Option<String>,
    /// Heads the page; your name by default.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255))]
    pub invoice_title: Option<String>,
    /// Ends the page; your name by default.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255))]
    pub invoice_footer: Option<String>,
    /// Where the receipt goes.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255, format = "email"))]
    pub customer_email: Option<String>,
    /// Where the page leads once it is paid.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 2048, pattern = "^https://"))]
    pub payment_return_url: Option<String>,
    /// Whether the page leads anywhere; true by default.
    pub payment_return_url_enabled: Option<bool>,
    /// What the payer is asked before choosing a token; at most 512 bytes as compact JSON.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Questions>))]
    pub questions: Option<Value>,
}

/// What a payer is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Questions {
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_items = 5))]
    pub questions: Vec<Question>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Question {
    /// Used once in an invoice.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1))]
    pub id: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1))]
    pub question: String,
    /// What the answer should be, as in `email`.
    #[serde(rename = "type")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1))]
    pub question_type: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub validation: Option<QuestionValidation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct QuestionValidation {
    /// Whether it must be answered before a token is chosen.
    pub required: bool,
}

/// The answer to `POST /api/v1/invoices`: what a shop needs to send its customer to pay.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreatedInvoice {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub invoice_id: String,
    /// Where to send the payer; made for an iframe as well.
    pub payment_url: String,
    /// Epoch seconds.
    pub expires_at: i64,
    /// Opens the payer's calls, together with `signature`.
    pub session_token: String,
    pub signature: String,
    pub payment_session_headers: SessionHeaders,
    /// The same as `invoice_id`, for readers of the older answer; so are the fields below.
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    pub status: InvoiceStatus,
    pub amount_usd: Dollars,
    /// Epoch seconds.
    pub created_at: i64,
    pub customer_id: Option<String>,
    /// Yours, as you sent it.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Object))]
    pub metadata: Map<String, Value>,
}

impl fmt::Debug for CreatedInvoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedInvoice").field("invoice_id", &self.invoice_id).finish_non_exhaustive()
    }
}

/// The headers a payer's calls carry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SessionHeaders {
    #[serde(rename = "x-session-token")]
    pub session_token: String,
    #[serde(rename = "x-signature")]
    pub signature: String,
}

impl fmt::Debug for SessionHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHeaders(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum InvoiceStatus {
    Unpaid,
    Underpaid,
    Paid,
    Expired,
    Canceled,
}

impl InvoiceStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Underpaid => "underpaid",
            Self::Paid => "paid",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Pending,
    Underpaid,
    Confirmed,
    ManualRetry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SettlementStatus {
    Pending,
    Processing,
    Manual,
    Failed,
    Settled,
}

/// The canonical invoice. Amounts are thousandths of a dollar, times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Invoice {
    /// Always `invoice`.
    pub object: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    pub merchant_id: i64,
    pub status: InvoiceStatus,
    /// Always `standard`.
    pub invoice_type: String,
    /// Always `usd`.
    pub currency: String,
    /// What is due, in thousandths of a dollar.
    pub amount: u64,
    /// The same in dollars.
    pub amount_decimal: String,
    /// What counts as paid so far.
    pub amount_paid: u64,
    pub amount_paid_decimal: String,
    /// What is still to be paid.
    pub amount_remaining: u64,
    pub amount_remaining_decimal: String,
    /// Always `usd_millis`.
    pub amount_unit: String,
    /// More than a cent too much arrived; by how much.
    pub overpaid: bool,
    pub amount_overpaid: u64,
    /// Paid only by money that came after the end.
    pub late: bool,
    pub description: Option<String>,
    pub invoice_title: Option<String>,
    pub invoice_footer: Option<String>,
    pub customer_id: Option<String>,
    /// Where the receipt should go, if you or the payer said so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub customer_email: Option<String>,
    /// What the payer answered to your questions, once that is done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub responses: Option<Vec<FormResponse>>,
    /// Who made the payment that decided network and token.
    pub payer_wallet_address: Option<String>,
    pub payer_wallet_network: Option<String>,
    /// Always null: this server has no commerce API.
    pub commerce_order_id: Option<String>,
    pub environment: Environment,
    pub created_at: i64,
    pub expires_at: i64,
    /// The time of the block that completed it.
    pub paid_at: Option<i64>,
    pub last_payment_at: Option<i64>,
    /// Yours, as you sent it.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// With `expand=latest_payment`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub latest_payment: Option<InvoicePayment>,
    /// With `expand=payments`, newest first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub payments: Option<Vec<InvoicePayment>>,
}

/// The answer to `GET /api/v1/invoices/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrievedInvoice {
    #[serde(flatten)]
    pub invoice: Invoice,
    /// Only where a customer's id was asked for, as in an older version of this API.
    #[serde(flatten)]
    pub older: Option<OlderInvoice>,
}

/// What an invoice had in an older version of this API, but for what it has under the same name still.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OlderInvoice {
    pub amount_usd: Dollars,
    pub payment_url: String,
    /// Once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_details: Option<PaymentDetails>,
}

/// The payment that decided where the rest was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaymentDetails {
    pub network: String,
    pub transaction_hash: String,
    /// All that was credited.
    pub amount_paid: Dollars,
}

/// One transfer that arrived for an invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct InvoicePayment {
    /// Always `invoice_payment`.
    pub object: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub invoice_id: String,
    pub merchant_id: i64,
    pub status: PaymentStatus,
    pub settlement_status: SettlementStatus,
    pub settlement: Option<Settlement>,
    pub network: String,
    pub token_id: i64,
    pub token_symbol: String,
    /// Whole tokens, as a plain decimal.
    pub token_amount: String,
    pub tx_hash: String,
    pub payer_wallet_address: Option<String>,
    pub payment_address: String,
    /// What it is credited as, in thousandths of a dollar; zero where nothing is credited.
    pub amount: u64,
    pub amount_decimal: String,
    /// Always `usd_millis`.
    pub amount_unit: String,
    pub confirmations: u32,
    pub required_confirmations: u32,
    /// Arrived after the invoice had ended.
    pub late: bool,
    /// A token this merchant does not accept.
    pub unexpected: bool,
    /// Its block was replaced; it may come back.
    pub orphaned: bool,
    pub environment: Environment,
    /// Block time.
    pub created_at: i64,
}

/// How far a payment is on its way to the merchant's wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Settlement {
    pub summary_status: SettlementStatus,
    pub stage: String,
    pub settlement_tx_hash: String,
    pub network: String,
    pub status: SettlementStatus,
}

/// The answer to `GET /api/v1/invoices/{id}/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct InvoiceStatusReport {
    /// Always `invoice_status`.
    pub object: String,
    pub invoice: Invoice,
    pub latest_payment: Option<InvoicePayment>,
}

/// The answer to `GET /api/v1/invoices`, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct InvoiceList {
    /// Always `list`.
    pub object: String,
    pub data: Vec<Invoice>,
    /// Whether there is more in the direction that was asked for.
    pub has_more: bool,
    /// The same as `data`; only when asked for by `page`, for readers of the older answer, as the fields below.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub items: Option<Vec<Invoice>>,
    /// How many invoices there are on all pages.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub total: Option<u64>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub page: Option<u64>,
}

/// The answer to `GET /api/v1/invoices/totals`. The fields in dollars and `invoice_count` are for readers
/// of the older answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct InvoiceTotals {
    /// Always `invoice_totals`.
    pub object: String,
    /// Always `usd`.
    pub currency: String,
    /// Always `usd_millis`.
    pub amount_unit: String,
    pub totals: StatusTotals,
    pub total_amount_usd: Dollars,
    pub total_paid_usd: Dollars,
    pub total_unpaid_usd: Dollars,
    pub total_expired_usd: Dollars,
    pub invoice_count: InvoiceCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct StatusTotals {
    pub all: Total,
    pub paid: Total,
    pub unpaid: Total,
    pub underpaid: Total,
    pub expired: Total,
    pub canceled: Total,
}

/// How many invoices there are, and what they ask for together, in thousandths of a dollar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Total {
    pub amount: u64,
    pub amount_decimal: String,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct InvoiceCounts {
    pub total: u64,
    pub paid: u64,
    pub unpaid: u64,
    pub expired: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show_in_debug_output() {
        let text = || "canary".to_owned();
        let headers = SessionHeaders { session_token: text(), signature: text() };
        let created = CreatedInvoice {
            invoice_id: "1".to_owned(),
            payment_url: text(),
            expires_at: 0,
            session_token: text(),
            signature: text(),
            payment_session_headers: headers.clone(),
            id: "1".to_owned(),
            status: InvoiceStatus::Unpaid,
            amount_usd: Dollars { millis: 1 },
            created_at: 0,
            customer_id: None,
            metadata: Map::new(),
        };
        let stream = crate::payor::StreamConnection {
            token: text(),
            endpoint: "/ws/payment".to_owned(),
            format: "event_v1".to_owned(),
            ws_url: "/ws/payment?format=event_v1".to_owned(),
        };
        let shown = format!("{headers:?} {created:?} {stream:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

//! What merchants see of an invoice and its payments.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::{Environment, money::Dollars};

/// The body of `POST /api/v1/invoices`.
#[derive(Clone, Debug, Deserialize)]
pub struct CreateInvoiceRequest {
    /// Dollars; kept as text so that no float touches it. See [`crate::money::parse_invoice_amount`].
    #[serde(default)]
    pub amount_usd: Option<Box<RawValue>>,
    pub description: Option<String>,
    pub customer_id: Option<String>,
    pub metadata: Option<Map<String, Value>>,
    /// Milliseconds.
    pub expires_in: Option<i64>,
    pub receiver_override_enable: Option<bool>,
    pub receiver_override_address: Option<String>,
    pub invoice_title: Option<String>,
    pub invoice_footer: Option<String>,
    pub customer_email: Option<String>,
    pub payment_return_url: Option<String>,
    pub payment_return_url_enabled: Option<bool>,
    pub questions: Option<Value>,
}

/// The answer to `POST /api/v1/invoices`: what a shop needs to send its customer to pay.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CreatedInvoice {
    pub invoice_id: String,
    pub payment_url: String,
    /// Epoch seconds.
    pub expires_at: i64,
    pub session_token: String,
    pub signature: String,
    pub payment_session_headers: SessionHeaders,
    /// The same as `invoice_id`, for readers of the older answer; so are the fields below.
    pub id: String,
    pub status: InvoiceStatus,
    pub amount_usd: Dollars,
    pub created_at: i64,
    pub customer_id: Option<String>,
    pub metadata: Map<String, Value>,
}

impl fmt::Debug for CreatedInvoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedInvoice").field("invoice_id", &self.invoice_id).finish_non_exhaustive()
    }
}

/// The headers a payer's calls carry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Pending,
    Underpaid,
    Confirmed,
    ManualRetry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Invoice {
    /// Always `invoice`.
    pub object: String,
    pub id: String,
    pub merchant_id: i64,
    pub status: InvoiceStatus,
    pub invoice_type: String,
    pub currency: String,
    pub amount: u64,
    pub amount_decimal: String,
    pub amount_paid: u64,
    pub amount_paid_decimal: String,
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
    pub payer_wallet_address: Option<String>,
    pub payer_wallet_network: Option<String>,
    pub commerce_order_id: Option<String>,
    pub environment: Environment,
    pub created_at: i64,
    pub expires_at: i64,
    pub paid_at: Option<i64>,
    pub last_payment_at: Option<i64>,
    pub metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latest_payment: Option<InvoicePayment>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
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
pub struct InvoicePayment {
    /// Always `invoice_payment`.
    pub object: String,
    pub id: String,
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
pub struct Settlement {
    pub summary_status: SettlementStatus,
    pub stage: String,
    pub settlement_tx_hash: String,
    pub network: String,
    pub status: SettlementStatus,
}

/// The answer to `GET /api/v1/invoices/{id}/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoiceStatusReport {
    /// Always `invoice_status`.
    pub object: String,
    pub invoice: Invoice,
    pub latest_payment: Option<InvoicePayment>,
}

/// The answer to `GET /api/v1/invoices`, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoiceList {
    /// Always `list`.
    pub object: String,
    pub data: Vec<Invoice>,
    /// Whether there is more in the direction that was asked for.
    pub has_more: bool,
    #[serde(flatten)]
    pub page: Option<InvoicePage>,
}

/// What a list has beside the rest when it was asked for by `page`, for readers of the older answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoicePage {
    /// The same as `data`.
    pub items: Vec<Invoice>,
    /// How many invoices there are on all pages.
    pub total: u64,
    /// From 1.
    pub page: u64,
}

/// The answer to `GET /api/v1/invoices/totals`. The fields in dollars and `invoice_count` are for readers
/// of the older answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoiceTotals {
    /// Always `invoice_totals`.
    pub object: String,
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
pub struct Total {
    pub amount: u64,
    pub amount_decimal: String,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

//! Searches for payments that were not found by themselves, as the public API spells them.

use serde::{Deserialize, Serialize};

use crate::invoice::InvoiceStatus;

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ManualVerificationRequest {
    /// The network that was paid on. Without `tx_hash` it must be the invoice's active one, and need not be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The transaction that paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum VerificationJobStatus {
    /// Nobody has looked yet.
    Pending,
    /// Somebody has, found nothing, and will look again.
    Running,
    Succeeded,
    Failed,
}

/// A payment that a search led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct VerifiedPayment {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    pub tx_hash: String,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct VerificationResult {
    pub payments: Vec<VerifiedPayment>,
}

/// Why a search found nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct VerificationError {
    /// `payment_not_found`, `transaction_not_found`, `transaction_failed` or `transaction_pays_another`.
    pub code: String,
    pub message: String,
}

/// A search for a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ManualVerification {
    /// Always `invoice_manual_verification`.
    pub object: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub invoice_id: String,
    pub network: String,
    pub tx_hash: Option<String>,
    pub job_status: VerificationJobStatus,
    /// How the invoice stands: `pending` while it is unpaid, and else its status.
    pub status: String,
    pub attempt_count: u32,
    pub max_attempts: u32,
    /// Epoch seconds; null once it is completed.
    pub next_attempt_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub completed_at: Option<i64>,
    pub result: Option<VerificationResult>,
    pub error: Option<VerificationError>,
}

/// What an invoice's status is called in a search.
pub fn outcome(status: InvoiceStatus) -> &'static str {
    match status {
        InvoiceStatus::Unpaid => "pending",
        status => status.as_str(),
    }
}

/// The answer to both endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ManualVerificationAnswer {
    pub success: bool,
    pub data: ManualVerification,
}

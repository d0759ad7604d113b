//! What came to a merchant's own wallet and belongs to no invoice.

use serde::{Deserialize, Serialize};

/// The answer to `GET /api/v1/merchant/unattributed-payments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct UnattributedPayments {
    /// Always `list`.
    pub object: String,
    /// Newest first.
    pub data: Vec<UnattributedPayment>,
    pub has_more: bool,
}

/// A transfer to the merchant's wallet that no open invoice asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct UnattributedPayment {
    /// Always `unattributed_payment`.
    pub object: String,
    /// Tells it from others of its transaction; as a payment of an invoice it has another.
    pub payment_id: String,
    pub network: String,
    pub tx_hash: String,
    pub wallet_address: String,
    pub token_id: i64,
    pub token_symbol: String,
    /// Null for the network's own coin.
    pub token_address: Option<String>,
    pub token_decimals: u8,
    /// Whole tokens, as a plain decimal.
    pub token_amount: String,
    pub payer_wallet_address: Option<String>,
    pub block_number: u64,
    pub block_time: i64,
}

/// Which transaction counts towards an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct AttachPaymentRequest {
    pub network: String,
    pub tx_hash: String,
    /// Which one, if the transaction brought several: the `payment_id` of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
}

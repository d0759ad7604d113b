//! What a merchant sets for itself: tokens, networks, settlement, wallets, return URL, nodes.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Environment, money::PlainNumber, payor::TokenType};

/// The rule by which a merchant takes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AcceptancePolicy {
    /// Every token of this server, also those it gets later.
    AcceptAll,
    /// None, also of those it gets later.
    AcceptNone,
    /// All but the blocked ones.
    Selective,
}

/// What a token costs, for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct TokenPrice {
    /// Dollars for one whole token.
    pub usd: PlainNumber,
    /// Epoch seconds.
    pub last_updated_at: i64,
    /// `par` for a token taken at one dollar, `chainlink` for one with a price feed.
    pub provider_type: String,
}

/// A token of this server, as one merchant has set it.
#[expect(clippy::struct_excessive_bools, reason = "the contract's flags")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct MerchantToken {
    pub id: i64,
    pub token_symbol: String,
    pub token_name: String,
    /// `None` for a network's own coin.
    pub token_address: Option<String>,
    pub token_decimals: u8,
    pub network: String,
    pub network_environment: Environment,
    pub token_type: TokenType,
    pub requires_memo: bool,
    pub photo_uri: Option<String>,
    pub supports_subscriptions: bool,
    /// Whether it is taken at one dollar, so that what arrives is worth what was asked.
    pub supports_stable_settlement: bool,
    /// Whether the server takes it at all.
    pub is_active: bool,
    /// Whether its network is being read.
    pub is_monitored: bool,
    /// Whether this merchant does not take it.
    pub is_blocked: bool,
    /// `None` while there is no price that can be trusted.
    pub price: Option<TokenPrice>,
}

/// The answer to `GET /api/v1/merchant/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct TokenList {
    pub acceptance_policy: AcceptancePolicy,
    pub environment: Environment,
    pub tokens: Vec<MerchantToken>,
}

/// The answer to `GET /api/v1/merchant/tokens/search`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct TokenPage {
    pub acceptance_policy: AcceptancePolicy,
    pub environment: Environment,
    /// How many there are on all pages.
    pub total: u64,
    pub limit: u64,
    pub offset: u64,
    pub tokens: Vec<MerchantToken>,
}

/// The body of `POST /api/v1/merchant/tokens/{tokenId}/block`; without a body the token is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct BlockTokenRequest {
    /// False takes the token again.
    pub blocked: bool,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct TokenBlocked {
    pub success: bool,
    pub blocked: bool,
}

/// The body of `PUT /api/v1/merchant/networks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SelectNetworksRequest {
    /// Names of networks of this server.
    pub networks: Vec<String>,
}

/// A network of this server, as one merchant has set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct MerchantNetwork {
    pub network: String,
    pub title: String,
    pub network_environment: Environment,
    /// Null on Solana, which has none.
    pub chain_id: Option<u64>,
    /// Whether at least one of its tokens is taken.
    pub is_selected: bool,
    /// Whether it is being read.
    pub is_monitored: bool,
    /// Ids of its tokens that are taken.
    pub accepted_token_ids: Vec<i64>,
}

/// The answer to `GET` and `PUT /api/v1/merchant/networks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct NetworkSelection {
    pub acceptance_policy: AcceptancePolicy,
    /// The selected ones.
    pub networks: Vec<String>,
    /// All of this server.
    pub available_networks: Vec<MerchantNetwork>,
}

/// How a merchant would like to be paid out; this server always pays out in the token that was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SettlementPreference {
    StablesOnly,
    StablesPreferred,
    Tokens,
}

/// The settlement token in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SelectedSettlementToken {
    pub id: i64,
    pub token_symbol: String,
    pub token_name: String,
    pub network: String,
    pub token_address: Option<String>,
    pub token_decimals: u8,
    pub photo_uri: Option<String>,
    /// Whether it is the server's own choice.
    pub is_default: bool,
}

/// A settlement token that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct StableToken {
    pub id: i64,
    pub token_symbol: String,
    pub token_name: String,
    pub network: String,
    pub token_address: Option<String>,
    pub token_decimals: u8,
    pub photo_uri: Option<String>,
    /// Whether it is what null stands for.
    pub is_default_settlement: bool,
}

/// The answer to `GET /api/v1/merchant/settlement-preference`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SettlementSettings {
    pub settlement_preference: SettlementPreference,
    pub description: String,
    /// `None` on a server without a stable token.
    pub selected_settlement_token: Option<SelectedSettlementToken>,
    pub available_stable_tokens: Vec<StableToken>,
    /// Epoch seconds.
    pub updated_at: i64,
}

/// The body of `PUT /api/v1/merchant/settlement-token`; null is the server's own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ChooseSettlementRequest {
    #[serde(deserialize_with = "present")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(required = true))]
    pub settlement_token_id: Option<i64>,
}

/// A settlement token by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SettlementToken {
    pub id: i64,
    pub token_symbol: String,
    pub token_name: String,
    pub network: String,
}

/// The answer to `PUT /api/v1/merchant/settlement-token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SettlementChosen {
    pub success: bool,
    pub message: String,
    /// What is in force now; `None` on a server without a stable token.
    pub settlement_token: Option<SettlementToken>,
    /// Epoch seconds.
    pub updated_at: i64,
}

/// Whether money goes to a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WalletStatus {
    /// Invoices that are created now are paid to it.
    Active,
    /// Invoices that are created from `effective_at` on will be.
    Scheduled,
    /// It was called off before it took effect.
    Canceled,
}

/// A merchant's wallet on one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Wallet {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    pub address: String,
    /// Always `non_custodial`: this server holds no key to it.
    #[serde(rename = "type")]
    pub wallet_type: String,
    pub is_active: bool,
    pub status: WalletStatus,
    /// Epoch seconds.
    pub created_at: i64,
    /// Invoices from then on are paid to it, in epoch seconds; those from before are not.
    pub effective_at: i64,
}

/// The wallets of one network. `GET /api/v1/merchant/wallets` answers with a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct NetworkWallets {
    pub network: String,
    /// All networks that share these wallets, this one included: one EVM wallet serves all EVM networks.
    pub shared_by_networks: Vec<String>,
    pub wallets: Vec<Wallet>,
}

/// The body of `POST /api/v1/merchant/wallets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ChangeWalletRequest {
    /// As in `base`; the wallet is for all networks of its kind.
    pub network: String,
    /// 0x and 40 hex digits, with a good checksum or in lower case.
    pub wallet_address: String,
}

/// What became of a change of wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WalletChangeStatus {
    Scheduled,
    Applied,
    Canceled,
}

/// A change of wallets: the answer to scheduling or canceling one, and what its events tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WalletChange {
    /// Always `wallet_change`.
    pub object: String,
    /// The id of the new wallet.
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    pub merchant_id: i64,
    pub status: WalletChangeStatus,
    /// The networks it is for.
    pub networks: Vec<String>,
    pub wallet_address: String,
    /// The wallet that is in force without this change.
    pub previous_wallet_address: String,
    /// Epoch seconds, as are the others.
    pub created_at: i64,
    pub effective_at: i64,
    pub canceled_at: Option<i64>,
}

/// The body of `PUT /api/v1/merchant/payment-return-url`; null clears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ReturnUrlRequest {
    #[serde(deserialize_with = "present")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(required = true))]
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 2048, pattern = "^https://"))]
    pub payment_return_url: Option<String>,
}

/// The answer to `GET` and `PUT /api/v1/merchant/payment-return-url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ReturnUrl {
    pub payment_return_url: Option<String>,
    pub payment_return_url_enabled: bool,
}

/// The answer to `GET /api/v1/user/mainnet-access/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct MainnetAccess {
    pub has_mainnet_access: bool,
    pub current_environment: Environment,
}

/// The body of `POST /api/v1/user/mainnet-access/activate`; it may be left out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ActivateMainnetRequest {
    #[serde(default)]
    pub access_key: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct MainnetActivated {
    pub success: bool,
    pub message: String,
}

/// The body of `PUT /api/v1/user/environment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ChooseEnvironmentRequest {
    pub environment: Environment,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct EnvironmentChosen {
    pub success: bool,
    pub environment: Environment,
    pub current_environment: Environment,
}

/// The body of `POST /api/v1/merchant/rpc`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct AddRpcEndpointRequest {
    /// As in `base`.
    pub network: String,
    /// An https URL at a public address.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 2048))]
    pub rpc_url: String,
}

/// A node that was added beside the operator's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RpcEndpoint {
    /// Always `rpc_endpoint`.
    pub object: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub id: String,
    pub network: String,
    pub chain_id: Option<u64>,
    /// Scheme and host; the rest may hold credentials and is shown as `…`.
    pub rpc_url: String,
    /// Epoch seconds.
    pub created_at: i64,
}

/// The answer to `GET /api/v1/merchant/rpc`, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RpcEndpointList {
    /// Always `list`.
    pub object: String,
    pub data: Vec<RpcEndpoint>,
    pub has_more: bool,
}

/// The answer to a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Removed {
    pub success: bool,
}

/// A member that may be null but not missing.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

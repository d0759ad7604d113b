//! Every setting, one struct per concern. `default.toml` lists and explains each key.
//!
//! `load` reads them from the file and the environment, `check` refuses what makes no sense, `secrets`
//! reads the server secret, which is not part of [`Config`] so that nothing can print it.

mod check;
mod kinds;
mod known;
mod load;
mod secrets;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use alloy_primitives::{Address, B256};
use domain::{
    finality::{Tag, Thresholds},
    id::TokenId,
    money::{Decimals, UsdMillis},
    settlement::SweepRule,
    time::UnixSeconds,
};
use ipnet::IpNet;
use serde::Deserialize;
use url::Url;
use wire::{Environment, snapshot::Fees};

use crate::{
    solana::{SolanaAddress, programs},
    webhooks::Targets,
};

pub(crate) use check::is_loopback;
pub use load::{ConfigError, Source};
pub(crate) use secrets::create_private;
pub use secrets::{SecretsError, create_file as create_secret_file, load as load_secrets, load_gas_key};

/// The annotated configuration that `pepay init` writes.
pub const DEFAULT_FILE: &str = include_str!("../../default.toml");

/// All settings, checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub environment: Environment,
    #[serde(default)]
    pub server: ServerConfig,
    #[serde(default)]
    pub storage: StorageConfig,
    #[serde(default)]
    pub nodes: NodesConfig,
    #[serde(default)]
    pub secrets: SecretsConfig,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub invoices: InvoicesConfig,
    #[serde(default)]
    pub webhooks: WebhooksConfig,
    #[serde(default)]
    pub merchants: MerchantsConfig,
    #[serde(default)]
    pub events: EventsConfig,
    #[serde(default)]
    pub operator: OperatorConfig,
    #[serde(default)]
    pub sweeps: SweepsConfig,
    #[serde(default)]
    pub limits: LimitsConfig,
    #[serde(default)]
    pub networks: Vec<NetworkConfig>,
}

/// Where the server listens and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Port 0 picks a free one.
    pub listen: std::net::SocketAddr,
    /// What payment URLs start with; `None` means the address it listens on.
    pub public_url: Option<Url>,
    /// How long a shutdown waits for requests and tasks.
    pub shutdown_grace_seconds: u64,
    /// Proxies whose word on where a request came from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// The one header that all of them write, whatever the caller sent.
    pub forwarded_header: ForwardedHeader,
}

/// A header in which proxies say where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    XForwardedFor,
    Forwarded,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            public_url: None,
            shutdown_grace_seconds: 20,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    pub database_url: String,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { database_url: "sqlite:pepay.db".to_owned() }
    }
}

/// Several nodes on one database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodesConfig {
    /// For how long a node that says nothing more keeps what it was doing.
    pub lease_ms: u64,
}

impl Default for NodesConfig {
    fn default() -> Self {
        Self { lease_ms: 10_000 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// Holds the server secret as 64 hex digits; a second line may hold the one before it.
    pub file: PathBuf,
    /// Holds the gas-only key as 64 hex digits, where there is one.
    pub sweep_key_file: Option<PathBuf>,
}

impl Default for SecretsConfig {
    fn default() -> Self {
        Self { file: "pepay.secret".into(), sweep_key_file: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    pub format: LogFormat,
    /// As in `info` or `pepay::chains=debug,info`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InvoicesConfig {
    /// How long a quoted token amount holds.
    pub quote_seconds: i64,
    /// Days after its end for which an amount that tells an invoice from others is not given to another; at most
    /// `watch_ended_days`.
    pub unique_amount_days: i64,
    /// How long the address of an ended invoice is still watched for late money; one that holds some is
    /// watched until that is swept.
    pub watch_ended_days: i64,
    /// Whether an invoice is created only by a request with an idempotency key.
    pub require_idempotency_key: bool,
    /// On mainnet, an invoice above this many dollars is not paid on the word of one host alone (a name and a port),
    /// unless its merchant set something else.
    pub single_source_usd: u64,
    /// Whether `GET /api/v1/invoices/{id}` also takes a customer's id, and answers with the newest invoice.
    pub customer_id_in_path: bool,
}

impl Default for InvoicesConfig {
    fn default() -> Self {
        Self {
            quote_seconds: 300,
            unique_amount_days: 7,
            watch_ended_days: 30,
            single_source_usd: 1_000,
            require_idempotency_key: true,
            customer_id_in_path: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Private networks that webhooks may reach all the same.
    pub allow_private_networks: Vec<IpNet>,
    /// For connecting, sending and reading the answer together.
    pub timeout_ms: u64,
    /// Waits before the second and each further try; after the last the delivery is given up.
    pub retry_seconds: Vec<i64>,
    /// Endpoints that one merchant may have.
    pub endpoints_per_merchant: usize,
    /// An endpoint that has been failing for so long is disabled.
    pub disable_after_days: i64,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            allow_private_networks: Vec::new(),
            timeout_ms: 10_000,
            retry_seconds: vec![5, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 36_000, 43_200, 43_200, 43_200],
            endpoints_per_merchant: 16,
            disable_after_days: 5,
        }
    }
}

/// What merchants may set through the API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MerchantsConfig {
    /// How long after a change of wallets is asked for it takes effect.
    pub wallet_delay_seconds: i64,
    /// Whether an API key may read and set the settlement token, or only the dashboard.
    pub settlement_by_key: bool,
    /// Private networks that added RPC endpoints may be in all the same.
    pub rpc_allow_private_networks: Vec<IpNet>,
}

impl Default for MerchantsConfig {
    fn default() -> Self {
        Self { wallet_delay_seconds: 86_400, settlement_by_key: false, rpc_allow_private_networks: Vec::new() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// How long events can be listed and replayed.
    pub retention_days: i64,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { retention_days: 30 }
    }
}

/// How the operator hears of how things are.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorConfig {
    /// Where `/metrics` is served; `None` means nowhere. Whoever reaches it can read it.
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// Where alarms are posted.
    pub webhook_url: Option<Url>,
}

/// The URL may hold a secret.
impl std::fmt::Debug for OperatorConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorConfig")
            .field("metrics_listen", &self.metrics_listen)
            .field("webhook_url", &self.webhook_url.as_ref().map(|_| "…"))
            .finish()
    }
}

/// When money is handed on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SweepsConfig {
    /// A deposit is swept once it is worth more than so many times what that costs.
    pub worth_times_cost: u32,
    /// Whatever it is worth, it waits no longer than this.
    pub after_days: i64,
    /// How often the gas-only key looks for something to sweep.
    pub look_every_seconds: u64,
    /// A transaction of the gas-only key that has not been mined for so long is sent again with a higher fee.
    pub replace_after_seconds: i64,
}

impl Default for SweepsConfig {
    fn default() -> Self {
        Self { worth_times_cost: 20, after_days: 7, look_every_seconds: 60, replace_after_seconds: 300 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// For an API key or a dashboard's token. Here and below, 0 stands for no limit.
    pub requests_per_minute_per_key: u32,
    /// For the payer of one invoice.
    pub requests_per_minute_per_session: u32,
    /// For whoever has neither, or nothing that is good.
    pub requests_per_minute_per_address: u32,
    /// Keys, sessions and tokens from one address that turn out to be bad.
    pub failed_credentials_per_minute: u32,
    /// Connections of clients open at once, sockets included; who comes then waits. The process must be
    /// allowed some more open files.
    pub connections: usize,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// For a client to send a whole body.
    pub body_timeout_ms: u64,
    /// The longest path and query, in bytes.
    pub url_bytes: usize,
    /// Names and values of all headers of a request, in bytes.
    pub header_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// The largest frame a socket may send us, in bytes.
    pub socket_frame_bytes: usize,
    /// Sockets that follow one invoice at once.
    pub sockets_per_invoice: usize,
    /// Sockets that follow one merchant's events at once.
    pub sockets_per_merchant: usize,
    /// How long a socket may take to accept what we send before it is closed.
    pub socket_send_timeout_ms: u64,
    /// API keys of one scope that a merchant may have in force at once.
    pub active_keys_per_scope: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            requests_per_minute_per_key: 100,
            requests_per_minute_per_session: 60,
            requests_per_minute_per_address: 240,
            failed_credentials_per_minute: 20,
            connections: 16_384,
            body_bytes: 32_768,
            body_timeout_ms: 10_000,
            url_bytes: 8_192,
            header_bytes: 16_384,
            headers: 64,
            socket_frame_bytes: 4_096,
            sockets_per_invoice: 64,
            sockets_per_merchant: 64,
            socket_send_timeout_ms: 10_000,
            active_keys_per_scope: 20,
        }
    }
}

/// What kind of chain a network is. What only one kind has is refused for the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    #[default]
    Evm,
    Solana,
}

/// A network that invoices can be paid on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// As the API spells it, in lower case.
    pub name: String,
    #[serde(default)]
    pub kind: NetworkKind,
    /// For people.
    pub title: String,
    /// 0 for a network that has none, as Solana.
    pub chain_id: u64,
    /// The hash of block 0, which every endpoint must show; `None` means that of the first endpoint.
    #[serde(default, deserialize_with = "kinds::genesis")]
    pub genesis: Option<B256>,
    /// JSON-RPC endpoints, the preferred one first.
    pub rpc: Vec<Url>,
    /// Milliseconds from the beginning of a look at the chain to the next.
    #[serde(default = "defaults::poll_ms")]
    pub poll_ms: u64,
    /// The same while no payment is awaited there: endpoints are paid for by what they are asked.
    #[serde(default = "defaults::idle_poll_ms")]
    pub idle_poll_ms: u64,
    /// Milliseconds between blocks, to tell payers how long confirming takes; `None` means that they are not told.
    #[serde(default)]
    pub block_ms: Option<u64>,
    /// What payers are told that sending costs.
    #[serde(default)]
    pub fees: Option<Fees>,
    /// HTTP requests a second to one endpoint, batches counting as one; 0 is no limit. `None` means
    /// [`REQUESTS_PER_SECOND`] to others, and no limit to this machine.
    #[serde(default)]
    pub requests_per_second: Option<u32>,
    /// Confirmations after which a payment counts.
    pub paid_after: u32,
    /// What the chain must say of its block as well.
    #[serde(default)]
    pub paid_tag: Option<BlockTag>,
    /// What is asked of payments for larger invoices.
    #[serde(default)]
    pub large: Option<LargeConfig>,
    /// Confirmations after which it is handed on, where the node knows nothing of `final_tag`.
    pub final_after: u32,
    /// What the chain must say of its block to be handed on; then `final_after` does not matter.
    #[serde(default)]
    pub final_tag: Option<BlockTag>,
    /// Whether transfers of the native coin are told by logs (EIP-7708).
    #[serde(default)]
    pub native_logs: bool,
    /// The first block to read; `None` means the head at the first start.
    #[serde(default)]
    pub start_block: Option<u64>,
    /// How many blocks back a reorganisation can be followed.
    #[serde(default = "defaults::ring_blocks")]
    pub ring_blocks: u64,
    /// Blocks asked for in one call at most.
    #[serde(default = "defaults::max_range")]
    pub max_range: u64,
    /// Addresses asked for in one call at most.
    #[serde(default = "defaults::max_topics")]
    pub max_topics: usize,
    /// How long one RPC call may take.
    #[serde(default = "defaults::rpc_timeout_ms")]
    pub rpc_timeout_ms: u64,
    /// Chainlink's feed of whether the network's sequencer is up, where it has one.
    #[serde(default)]
    pub sequencer_feed: Option<Address>,
    /// A link for people, with `{hash}` where the transaction goes.
    #[serde(default)]
    pub explorer_tx: Option<String>,
    /// On devnet, the node's unlocked account that sends sweeps.
    #[serde(default)]
    pub sweep_account: Option<Address>,
    /// Has the gas-only key send sweeps by itself, within these limits.
    #[serde(default)]
    pub sweep_by_key: Option<SweepByKeyConfig>,
    #[serde(default)]
    pub tokens: Vec<TokenConfig>,
}

/// What a chain says of its own blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockTag {
    Safe,
    Finalized,
}

/// What the gas-only key may spend on one network, in 10⁻⁹ of its coin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepByKeyConfig {
    /// On one transaction at most, whatever gas costs when it is mined.
    pub gwei_per_transaction: u64,
    /// On one day, by UTC.
    pub gwei_per_day: u64,
}

/// Invoices for which a payment must be deeper.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeConfig {
    /// In whole dollars.
    pub above_usd: u64,
    /// Confirmations after which a payment counts.
    pub paid_after: u32,
}

/// Requests a second that free plans allow.
pub const REQUESTS_PER_SECOND: u32 = 10;

/// A token on one network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Unique over all networks.
    pub id: i64,
    pub symbol: String,
    pub name: String,
    /// The contract on an EVM network; `None` for the network's own coin.
    #[serde(default)]
    pub address: Option<Address>,
    /// The mint on Solana; `None` for SOL.
    #[serde(default)]
    pub mint: Option<SolanaAddress>,
    /// Whose the mint is.
    #[serde(default)]
    pub program: Option<TokenProgram>,
    pub decimals: u8,
    pub price: PriceSource,
    /// For a token taken at par: a feed that says what it is worth elsewhere.
    #[serde(default)]
    pub guard: Option<FeedConfig>,
    /// For a token with a feed: who else is asked what it costs.
    #[serde(default)]
    pub second_opinion: Option<OpinionConfig>,
    /// A known token that is not accepted is shown when it arrives, but not credited.
    #[serde(default = "defaults::accepted")]
    pub accepted: bool,
}

/// A program that keeps tokens on Solana.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenProgram {
    Token,
    #[serde(rename = "token-2022")]
    Token2022,
}

/// What a token is on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asset {
    /// The network's own coin.
    Coin,
    Contract(Address),
    Mint(SolanaAddress, TokenProgram),
}

/// Where a token's price comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"par\" or { feed = \"0x…\", heartbeat_seconds = … }")]
pub enum PriceSource {
    /// One token is one dollar.
    Par(Par),
    /// A Chainlink aggregator on the same network, or on the EVM network that it names.
    Feed(FeedConfig),
}

/// The word `par`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Par {
    Par,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    pub feed: Address,
    /// How often the feed promises an answer.
    pub heartbeat_seconds: i64,
    /// The EVM network that the feed is on; `None` for the token's own.
    #[serde(default)]
    pub network: Option<String>,
}

/// A service that says what a token costs, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpinionConfig {
    pub url: Url,
    /// Where in the answer the dollars are, as in `/ethereum/usd`.
    pub pointer: String,
}

mod defaults {
    pub fn idle_poll_ms() -> u64 {
        15_000
    }
    pub fn poll_ms() -> u64 {
        1_000
    }
    pub fn ring_blocks() -> u64 {
        256
    }
    pub fn max_range() -> u64 {
        500
    }
    pub fn max_topics() -> usize {
        500
    }
    pub fn rpc_timeout_ms() -> u64 {
        8_000
    }
    pub fn accepted() -> bool {
        true
    }
}

impl Config {
    /// The EVM networks, in their order.
    pub fn evm_networks(&self) -> impl Iterator<Item = &NetworkConfig> {
        self.of_kind(NetworkKind::Evm)
    }

    /// The networks that are Solana, in their order.
    pub fn solana_networks(&self) -> impl Iterator<Item = &NetworkConfig> {
        self.of_kind(NetworkKind::Solana)
    }

    fn of_kind(&self, kind: NetworkKind) -> impl Iterator<Item = &NetworkConfig> {
        self.networks.iter().filter(move |network| network.kind == kind)
    }

    pub fn network(&self, name: &str) -> Option<&NetworkConfig> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// What kind of chain a network is; one that is no longer configured counts as an EVM network.
    pub fn kind_of(&self, network: &str) -> NetworkKind {
        self.network(network).map(|network| network.kind).unwrap_or_default()
    }

    /// All tokens with the network each is on, in their order.
    pub fn tokens(&self) -> impl Iterator<Item = (&NetworkConfig, &TokenConfig)> {
        self.networks.iter().flat_map(|network| network.tokens.iter().map(move |token| (network, token)))
    }

    /// A token and the network it is on.
    pub fn token(&self, id: TokenId) -> Option<(&NetworkConfig, &TokenConfig)> {
        self.networks
            .iter()
            .find_map(|network| network.tokens.iter().find(|token| token.id == id.0).map(|token| (network, token)))
    }

    /// Up to what an invoice may be paid on the word of one endpoint.
    pub fn single_source(&self) -> UsdMillis {
        match self.environment {
            Environment::Mainnet => UsdMillis::from_millis(self.invoices.single_source_usd.saturating_mul(1_000)),
            Environment::Devnet => UsdMillis::MAX,
        }
    }

    /// What a network asks of payments. One that is no longer configured asks nothing.
    pub fn thresholds(&self, network: &str) -> Thresholds {
        let forgotten = Thresholds { paid_after: 1, paid_tag: None, large: None, final_after: 1, final_tag: None };
        self.network(network).map_or(forgotten, NetworkConfig::thresholds)
    }
}

impl MerchantsConfig {
    /// Where added RPC endpoints may be.
    pub fn rpc_targets(&self) -> Targets {
        Targets::allowing(&self.rpc_allow_private_networks)
    }
}

impl SweepsConfig {
    pub fn rule(&self) -> SweepRule {
        SweepRule { times_cost: self.worth_times_cost, after_seconds: self.after_days.saturating_mul(86_400) }
    }
}

impl InvoicesConfig {
    /// Until when an address is watched for late money, if its invoice ends at `end`.
    pub fn end_of_watch(&self, end: UnixSeconds) -> UnixSeconds {
        end.plus(self.watch_ended_days.saturating_mul(86_400))
    }
}

impl NetworkConfig {
    /// `None` for a network that has none.
    pub fn shown_chain_id(&self) -> Option<u64> {
        match self.kind {
            NetworkKind::Evm => Some(self.chain_id),
            NetworkKind::Solana => None,
        }
    }

    pub fn thresholds(&self) -> Thresholds {
        let usd = |usd: u64| UsdMillis::from_millis(usd.saturating_mul(1_000));
        Thresholds {
            paid_after: self.paid_after,
            paid_tag: self.paid_tag.map(Into::into),
            large: self.large.as_ref().map(|large| (usd(large.above_usd), large.paid_after)),
            final_after: self.final_after,
            final_tag: self.final_tag.map(Into::into),
        }
    }
}

impl From<BlockTag> for Tag {
    fn from(tag: BlockTag) -> Self {
        match tag {
            BlockTag::Safe => Self::Safe,
            BlockTag::Finalized => Self::Finalized,
        }
    }
}

impl TokenProgram {
    /// Its address, which is the same on all networks.
    pub fn address(self) -> SolanaAddress {
        match self {
            Self::Token => programs::TOKEN,
            Self::Token2022 => programs::TOKEN_2022,
        }
    }
}

impl TokenConfig {
    pub fn token_id(&self) -> TokenId {
        TokenId(self.id)
    }

    /// What it is on its chain.
    pub fn asset(&self) -> Asset {
        match (self.address, self.mint) {
            (Some(contract), _) => Asset::Contract(contract),
            (None, Some(mint)) => Asset::Mint(mint, self.program.unwrap_or(TokenProgram::Token)),
            (None, None) => Asset::Coin,
        }
    }

    /// Its contract or mint as people write it; `None` for a network's own coin.
    pub fn shown_address(&self) -> Option<String> {
        match self.asset() {
            Asset::Coin => None,
            Asset::Contract(contract) => Some(contract.to_checksum(None)),
            Asset::Mint(mint, _) => Some(mint.to_string()),
        }
    }

    /// The token's decimals; the configuration is checked before anything asks.
    pub fn checked_decimals(&self) -> Decimals {
        Decimals::new(self.decimals).unwrap_or_else(|| unreachable!("decimals are checked at start"))
    }
}

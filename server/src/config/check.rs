//! What a well-formed configuration may still get wrong.

use std::{collections::HashSet, net::IpAddr};

use domain::money::Decimals;
use tracing_subscriber::EnvFilter;
use url::{Host, Url};
use wire::Environment;

use super::{
    Asset, Config, FeedConfig, LimitsConfig, MerchantsConfig, NetworkConfig, NetworkKind, PriceSource, SweepsConfig,
    TokenConfig, WebhooksConfig,
};
use crate::limits::MOST_PER_MINUTE;

/// Chain ids of local development chains; coins there are worth nothing.
pub(super) const LOCAL_CHAIN_IDS: [u64; 3] = [1337, 31_337, 31_338];
/// Of SOL, which are no setting.
const SOL_DECIMALS: u8 = 9;
/// A delivery is leased for a minute; a try must end well before somebody else may take it.
const LONGEST_WEBHOOK_TIMEOUT_MS: u64 = 45_000;

pub(super) struct Problem {
    pub key: String,
    pub message: String,
}

type Checked = Result<(), Problem>;

fn ensure(holds: bool, key: impl Into<String>, message: impl Into<String>) -> Checked {
    if holds { Ok(()) } else { Err(Problem { key: key.into(), message: message.into() }) }
}

/// Finds the first setting that makes no sense.
pub(super) fn check(config: &Config) -> Checked {
    if let Some(public_url) = &config.server.public_url {
        ensure(
            is_web_origin(public_url),
            "server.public_url",
            "must be http://host or https://host, with nothing behind but a path",
        )?;
        ensure(
            config.environment == Environment::Devnet || public_url.scheme() == "https" || is_loopback(public_url),
            "server.public_url",
            "must be https on mainnet: whoever can alter the page can alter the address",
        )?;
    }
    ensure(config.server.shutdown_grace_seconds != 0, "server.shutdown_grace_seconds", "must be at least 1")?;
    ensure(
        ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| config.storage.database_url.starts_with(scheme)),
        "storage.database_url",
        "must be sqlite: and a file name, or postgres://user@host/database",
    )?;
    ensure(
        !config.storage.is_sqlite() || config.storage.file().is_some() || config.environment == Environment::Devnet,
        "storage.database_url",
        "must be a file on mainnet: what is in memory only is lost",
    )?;
    ensure((500..=300_000).contains(&config.nodes.lease_ms), "nodes.lease_ms", "must be 500 to 300000")?;
    if let Err(error) = EnvFilter::try_new(&config.log.filter) {
        return ensure(false, "log.filter", format!("is not a log filter: {error}"));
    }
    ensure((30..=86_400).contains(&config.invoices.quote_seconds), "invoices.quote_seconds", "must be 30 to 86400")?;
    let days = config.invoices.unique_amount_days;
    ensure((1..=365).contains(&days), "invoices.unique_amount_days", "must be 1 to 365")?;
    let watched = config.invoices.watch_ended_days;
    ensure((1..=365).contains(&watched), "invoices.watch_ended_days", "must be 1 to 365")?;
    ensure(days <= watched, "invoices.unique_amount_days", "must not be more than invoices.watch_ended_days")?;
    check_webhooks(&config.webhooks)?;
    check_merchants(&config.merchants, config.environment)?;
    ensure((1..=3_650).contains(&config.events.retention_days), "events.retention_days", "must be 1 to 3650")?;
    let is_safe = |url: &Url| url.scheme() == "https" || url.scheme() == "http" && is_loopback(url);
    ensure(
        config.operator.webhook_url.as_ref().is_none_or(is_safe),
        "operator.webhook_url",
        "must be an https URL, or http on this machine: alarms name payments",
    )?;
    check_sweeps(&config.sweeps)?;
    check_limits(&config.limits)?;
    check_networks(config)
}

fn check_webhooks(webhooks: &WebhooksConfig) -> Checked {
    ensure(
        (100..=LONGEST_WEBHOOK_TIMEOUT_MS).contains(&webhooks.timeout_ms),
        "webhooks.timeout_ms",
        format!("must be 100 to {LONGEST_WEBHOOK_TIMEOUT_MS}"),
    )?;
    ensure(
        (1..=1_000).contains(&webhooks.endpoints_per_merchant),
        "webhooks.endpoints_per_merchant",
        "must be 1 to 1000",
    )?;
    ensure((1..=365).contains(&webhooks.disable_after_days), "webhooks.disable_after_days", "must be 1 to 365")?;
    ensure(!webhooks.retry_seconds.is_empty(), "webhooks.retry_seconds", "must name at least one wait")?;
    for (index, seconds) in webhooks.retry_seconds.iter().enumerate() {
        ensure(
            (1..=7 * 86_400).contains(seconds),
            format!("webhooks.retry_seconds[{index}]"),
            "must be 1 second to 7 days",
        )?;
    }
    Ok(())
}

fn check_merchants(merchants: &MerchantsConfig, environment: Environment) -> Checked {
    // Real money needs time for somebody to notice.
    let (least, range) = match environment {
        Environment::Devnet => (0, "must be 0 to 2592000 (30 days)"),
        Environment::Mainnet => (3_600, "must be 3600 (an hour) to 2592000 (30 days) on mainnet"),
    };
    ensure((least..=30 * 86_400).contains(&merchants.wallet_delay_seconds), "merchants.wallet_delay_seconds", range)
}

fn check_sweeps(sweeps: &SweepsConfig) -> Checked {
    ensure((1..=1_000_000).contains(&sweeps.worth_times_cost), "sweeps.worth_times_cost", "must be 1 to 1000000")?;
    ensure((0..=3_650).contains(&sweeps.after_days), "sweeps.after_days", "must be 0 to 3650")?;
    ensure((1..=86_400).contains(&sweeps.look_every_seconds), "sweeps.look_every_seconds", "must be 1 to 86400")?;
    ensure((1..=86_400).contains(&sweeps.replace_after_seconds), "sweeps.replace_after_seconds", "must be 1 to 86400")
}

fn check_limits(limits: &LimitsConfig) -> Checked {
    for (key, requests) in [
        ("limits.requests_per_minute_per_key", limits.requests_per_minute_per_key),
        ("limits.requests_per_minute_per_session", limits.requests_per_minute_per_session),
        ("limits.requests_per_minute_per_address", limits.requests_per_minute_per_address),
        ("limits.failed_credentials_per_minute", limits.failed_credentials_per_minute),
    ] {
        ensure(requests <= MOST_PER_MINUTE, key, format!("must be 0, for no limit, to {MOST_PER_MINUTE}"))?;
    }
    ensure((1..=10_000).contains(&limits.active_keys_per_scope), "limits.active_keys_per_scope", "must be 1 to 10000")?;
    ensure((16..=1_000_000).contains(&limits.connections), "limits.connections", "must be 16 to 1000000")?;
    ensure((1..=100_000).contains(&limits.sockets_per_invoice), "limits.sockets_per_invoice", "must be 1 to 100000")?;
    ensure((1..=100_000).contains(&limits.sockets_per_merchant), "limits.sockets_per_merchant", "must be 1 to 100000")?;
    ensure((4_096..=16 << 20).contains(&limits.body_bytes), "limits.body_bytes", "must be 4096 to 16777216")?;
    ensure((100..=25_000).contains(&limits.body_timeout_ms), "limits.body_timeout_ms", "must be 100 to 25000")?;
    ensure((1_024..=65_536).contains(&limits.url_bytes), "limits.url_bytes", "must be 1024 to 65536")?;
    ensure((1_024..=1 << 20).contains(&limits.header_bytes), "limits.header_bytes", "must be 1024 to 1048576")?;
    ensure((16..=100).contains(&limits.headers), "limits.headers", "must be 16 to 100")?;
    ensure(
        (256..=1 << 20).contains(&limits.socket_frame_bytes),
        "limits.socket_frame_bytes",
        "must be 256 to 1048576",
    )?;
    ensure(
        (100..=600_000).contains(&limits.socket_send_timeout_ms),
        "limits.socket_send_timeout_ms",
        "must be 100 to 600000",
    )
}

fn check_networks(config: &Config) -> Checked {
    let mut names = HashSet::new();
    let mut chain_ids = HashSet::new();
    let mut tokens = HashSet::new();
    for (index, network) in config.networks.iter().enumerate() {
        let key = |field: &str| format!("networks[{index}].{field}");
        ensure(names.insert(&network.name), key("name"), format!("{} is there twice", network.name))?;
        match network.kind {
            NetworkKind::Evm => {
                let message = format!("{} is the chain of another network too", network.chain_id);
                ensure(chain_ids.insert(network.chain_id), key("chain_id"), message)?;
                ensure(network.chain_id != 0, key("chain_id"), "must be at least 1")?;
            }
            NetworkKind::Solana => {
                let message = "must be given: on Solana the first block is all that tells networks apart";
                ensure(network.genesis.is_some(), key("genesis"), message)?;
                let is_twice = |other: &NetworkConfig| {
                    other.kind == NetworkKind::Solana && other.name != network.name && other.genesis == network.genesis
                };
                let message = "is the first block of another network too";
                ensure(!config.networks.iter().any(is_twice), key("genesis"), message)?;
            }
        }
        check_network(network, config.environment, key)?;
        for (index, token) in network.tokens.iter().enumerate() {
            let key = |field: &str| key(&format!("tokens[{index}].{field}"));
            ensure(tokens.insert(token.id), key("id"), format!("{} is there twice", token.id))?;
            check_token(token, network, config, key)?;
        }
    }
    Ok(())
}

fn check_network(network: &NetworkConfig, environment: Environment, key: impl Fn(&str) -> String) -> Checked {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    ensure(
        !network.name.is_empty() && network.name.len() <= 32 && network.name.bytes().all(is_plain),
        key("name"),
        "must be 1 to 32 lower-case letters, digits, - or _",
    )?;
    ensure(!network.title.trim().is_empty(), key("title"), "must not be empty")?;
    let is_mainnet = environment == Environment::Mainnet;
    ensure(
        !(is_mainnet && LOCAL_CHAIN_IDS.contains(&network.chain_id)),
        key("chain_id"),
        format!("{} is a local development chain, which mainnet cannot take money on", network.chain_id),
    )?;
    ensure(
        network.requests_per_second.is_none_or(|requests| requests <= 10_000),
        key("requests_per_second"),
        "must be 0, for no limit, to 10000",
    )?;
    if let Some(large) = &network.large {
        ensure(
            network.paid_after <= large.paid_after,
            key("large.paid_after"),
            "must be at least the network's paid_after",
        )?;
        ensure(
            large.paid_after <= network.final_after,
            key("large.paid_after"),
            "must be at most the network's final_after",
        )?;
    }
    ensure(!network.rpc.is_empty(), key("rpc"), "must name at least one endpoint")?;
    for (index, url) in network.rpc.iter().enumerate() {
        ensure(
            matches!(url.scheme(), "http" | "https") && url.has_host(),
            key(&format!("rpc[{index}]")),
            "must be an http or https URL",
        )?;
    }
    ensure((50..=600_000).contains(&network.poll_ms), key("poll_ms"), "must be 50 to 600000")?;
    ensure((50..=30_000).contains(&network.idle_poll_ms), key("idle_poll_ms"), "must be 50 to 30000")?;
    ensure(1 <= network.paid_after, key("paid_after"), "must be at least 1")?;
    ensure(network.paid_after <= network.final_after, key("final_after"), "must be at least paid_after")?;
    ensure(
        u64::from(network.final_after) <= network.ring_blocks && network.ring_blocks <= 100_000,
        key("ring_blocks"),
        "must be at least final_after and at most 100000",
    )?;
    ensure((1..=100_000).contains(&network.max_range), key("max_range"), "must be 1 to 100000")?;
    ensure((1..=10_000).contains(&network.max_topics), key("max_topics"), "must be 1 to 10000")?;
    ensure((100..=120_000).contains(&network.rpc_timeout_ms), key("rpc_timeout_ms"), "must be 100 to 120000")?;
    if let Some(template) = &network.explorer_tx {
        let is_link =
            Url::parse(&template.replace("{hash}", "0x00")).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        ensure(
            is_link && template.contains("{hash}"),
            key("explorer_tx"),
            "must be an http or https URL with {hash} in it",
        )?;
    }
    ensure(
        network.sweep_account.is_none() || !is_mainnet,
        key("sweep_account"),
        "is for devnet only: on mainnet the merchant's own wallet or the gas-only key sends sweeps",
    )?;
    let Some(caps) = &network.sweep_by_key else { return Ok(()) };
    ensure(
        1 <= caps.gwei_per_transaction,
        key("sweep_by_key.gwei_per_transaction"),
        "must be at least 1: without sweep_by_key nothing is sent",
    )?;
    ensure(
        caps.gwei_per_transaction <= caps.gwei_per_day,
        key("sweep_by_key.gwei_per_day"),
        "must be at least gwei_per_transaction",
    )
}

fn check_token(token: &TokenConfig, network: &NetworkConfig, config: &Config, key: impl Fn(&str) -> String) -> Checked {
    ensure(1 <= token.id, key("id"), "must be at least 1")?;
    ensure(
        !token.symbol.is_empty()
            && token.symbol.len() <= 16
            && token.symbol.bytes().all(|byte| byte.is_ascii_graphic()),
        key("symbol"),
        "must be 1 to 16 visible ASCII characters",
    )?;
    ensure(!token.name.trim().is_empty() && token.name.len() <= 64, key("name"), "must be 1 to 64 bytes")?;
    ensure(
        Decimals::new(token.decimals).is_some(),
        key("decimals"),
        format!("must be at most 36, not {}", token.decimals),
    )?;
    ensure(
        token.address.is_none_or(|address| !address.is_zero()),
        key("address"),
        "must not be zero; leave it out for the network's own coin",
    )?;
    let asset = |token: &TokenConfig| (token.address, token.mint);
    let is_same_asset = |other: &&TokenConfig| asset(other) == asset(token);
    let named_by = match network.kind {
        NetworkKind::Evm => "address",
        NetworkKind::Solana => "mint",
    };
    ensure(network.tokens.iter().filter(is_same_asset).count() == 1, key(named_by), "is there twice on this network")?;
    if network.kind == NetworkKind::Solana {
        ensure(
            token.mint.is_some() || token.program.is_none(),
            key("program"),
            "is for a token with a `mint`; SOL has neither",
        )?;
        ensure(
            token.asset() != Asset::Coin || token.decimals == SOL_DECIMALS,
            key("decimals"),
            format!("must be {SOL_DECIMALS} for SOL; a token has a `mint`"),
        )?;
    }
    match &token.price {
        PriceSource::Par(_) => ensure(
            token.asset() != Asset::Coin || config.environment != Environment::Mainnet,
            key("price"),
            "must not be \"par\" for a network's own coin, which is no dollar: name its feed, as in \
             { feed = \"0x…\", heartbeat_seconds = 3600 }, or leave the token out",
        )?,
        PriceSource::Feed(feed) => check_feed(feed, network, config, |field| key(&format!("price.{field}")))?,
    }
    if let Some(opinion) = &token.second_opinion {
        ensure(
            matches!(token.price, PriceSource::Feed(_)),
            key("second_opinion"),
            "is for a token with a feed; one taken at par has a guard",
        )?;
        ensure(
            opinion.url.scheme() == "https" || opinion.url.scheme() == "http" && is_loopback(&opinion.url),
            key("second_opinion.url"),
            "must be an https URL: whoever can alter the answer can stop payments",
        )?;
        ensure(
            opinion.pointer.is_empty() || opinion.pointer.starts_with('/'),
            key("second_opinion.pointer"),
            "must be names with a / before each, as in /ethereum/usd",
        )?;
    }
    if let Some(guard) = &token.guard {
        ensure(
            matches!(token.price, PriceSource::Par(_)),
            key("guard"),
            "is for a token taken at par; another has its price from a feed anyway",
        )?;
        check_feed(guard, network, config, |field| key(&format!("guard.{field}")))?;
    }
    Ok(())
}

fn check_feed(feed: &FeedConfig, network: &NetworkConfig, config: &Config, key: impl Fn(&str) -> String) -> Checked {
    let known: Vec<&str> = config.evm_networks().map(|network| network.name.as_str()).collect();
    match &feed.network {
        Some(name) => {
            let message = match known.as_slice() {
                [] => "must be an EVM network of this configuration, and there is none; add one to read the feed on"
                    .into(),
                known => format!("must be an EVM network of this configuration: {}", known.join(", ")),
            };
            ensure(known.contains(&name.as_str()), key("network"), message)?;
        }
        None => ensure(
            network.kind == NetworkKind::Evm,
            key("network"),
            "must be given: feeds are read on EVM networks; name one of this configuration, as in \"ethereum\"",
        )?,
    }
    ensure(!feed.feed.is_zero(), key("feed"), "must not be zero")?;
    ensure((1..=7 * 86_400).contains(&feed.heartbeat_seconds), key("heartbeat_seconds"), "must be 1 second to 7 days")
}

fn is_web_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// Whether a URL means this machine and nothing else.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

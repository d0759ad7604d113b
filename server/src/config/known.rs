//! Public networks that are known: `networks.toml`, the pinned table, and what it adds to a configuration.
//!
//! An entry of the configuration that has the name of a known network needs no more than its endpoints. What it
//! says itself stands, but for what makes the network that network: its chain, its first block, and what its
//! tokens are.

use std::sync::LazyLock;

use alloy_primitives::Address;
use serde::Deserialize;
use toml::{Table, Value};
use url::Url;
use wire::Environment;

use super::{
    check::{LOCAL_CHAIN_IDS, Problem, is_loopback},
    kinds,
};

const TABLE: &str = include_str!("../../networks.toml");

/// A network's entry in the pinned table.
struct Known {
    environment: Environment,
    name: String,
    /// `None` on Solana, where the first block alone tells networks apart.
    chain_id: Option<i64>,
    /// What it adds, by key.
    settings: Table,
}

#[derive(Deserialize)]
struct Pinned {
    networks: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    environment: Environment,
    name: String,
    chain_id: Option<i64>,
    /// Between two blocks.
    block_ms: i64,
    #[serde(flatten)]
    settings: Table,
}

/// Looked at twice in the time between two blocks, within reason.
const POLL_MS: std::ops::RangeInclusive<i64> = 500..=4_000;

#[expect(clippy::expect_used, reason = "the table is part of the program, and every test of this module reads it")]
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let pinned: Pinned = toml::from_str(TABLE).expect("networks.toml is as this module reads it");
    pinned.networks.into_iter().map(Known::of).collect()
});

impl Known {
    fn of(entry: Entry) -> Self {
        let Entry { environment, name, chain_id, block_ms, mut settings } = entry;
        if let Some(chain_id) = chain_id {
            settings.insert("chain_id".to_owned(), Value::Integer(chain_id));
        }
        let poll_ms = (block_ms / 2).clamp(*POLL_MS.start(), *POLL_MS.end());
        settings.entry("poll_ms").or_insert(Value::Integer(poll_ms));
        settings.insert("block_ms".to_owned(), Value::Integer(block_ms));
        Self { environment, name, chain_id, settings }
    }

    fn is_solana(&self) -> bool {
        kinds::is_solana(&self.settings)
    }

    fn genesis(&self) -> Option<&str> {
        self.settings.get("genesis").and_then(Value::as_str)
    }

    fn tokens(&self) -> impl Iterator<Item = &Table> {
        self.settings.get("tokens").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
    }
}

fn problem(key: String, message: String) -> Problem {
    Problem { key, message }
}

/// Completes every network of a configuration that is known by its name.
pub(super) fn complete(config: &mut Table) -> Result<(), Problem> {
    let environment = config.get("environment").cloned().and_then(|value| value.try_into::<Environment>().ok());
    let networks = config.get_mut("networks").and_then(Value::as_array_mut);
    // What is not as it should be is named when all of it is read.
    let (Some(environment), Some(networks)) = (environment, networks) else { return Ok(()) };
    let name_of = |network: &Value| network.get("name").and_then(Value::as_str).map(str::to_owned);
    let names: Vec<String> = networks.iter().filter_map(name_of).collect();
    for (index, network) in networks.iter_mut().enumerate() {
        if let Some(network) = network.as_table_mut() {
            complete_network(environment, network, &format!("networks[{index}]"))?;
            drop_foreign_guards(network, &names);
        }
    }
    Ok(())
}

fn complete_network(environment: Environment, network: &mut Table, key: &str) -> Result<(), Problem> {
    let name = network.get("name").and_then(Value::as_str).map(str::to_owned);
    let known = KNOWN.iter().find(|known| known.environment == environment && Some(&known.name) == name.as_ref());
    if let Some(known) = known.filter(|known| known.is_solana()) {
        network.entry("kind").or_insert_with(|| Value::String("solana".to_owned()));
        if !kinds::is_solana(network) {
            let message = format!("{} is of kind \"solana\"; give another network another name", known.name);
            return Err(problem(format!("{key}.kind"), message));
        }
    }
    let chain_id = network.get("chain_id").and_then(Value::as_integer);
    kinds::settle(network, key)?;
    if kinds::is_solana(network) {
        check_first_block(environment, network, key)?;
        return match known.filter(|known| known.is_solana() && !is_local(environment, known, network)) {
            Some(known) => fill_up(known, network, key),
            None => plain_tokens(network, key),
        };
    }
    if let Some(other) = chain_id.and_then(|id| KNOWN.iter().find(|known| known.chain_id == Some(id)))
        && other.environment != environment
    {
        let (is, wants) = kept_apart(other.environment);
        let id = chain_id.unwrap_or_default();
        let message = format!("chain {id} of {} is {is}; it needs environment = \"{wants}\"", other.name);
        return Err(problem(format!("{key}.chain_id"), message));
    }
    let Some(known) = known else {
        return plain_tokens(network, key);
    };
    if let Some((chain_id, wanted)) = chain_id.zip(known.chain_id).filter(|(set, wanted)| set != wanted) {
        let is_local = u64::try_from(chain_id).is_ok_and(|id| LOCAL_CHAIN_IDS.contains(&id));
        if environment == Environment::Devnet && is_local {
            return plain_tokens(network, key);
        }
        let message = format!("{} is chain {wanted}, not {chain_id}; give another network another name", known.name);
        return Err(problem(format!("{key}.chain_id"), message));
    }
    fill_up(known, network, key)
}

fn fill_up(known: &Known, network: &mut Table, key: &str) -> Result<(), Problem> {
    keep_pinned(known, network, key)?;
    choose_tokens(known, network, key)?;
    // Thresholds belong together.
    let has_own = network.contains_key("paid_after") || network.contains_key("final_after");
    for (setting, value) in &known.settings {
        if has_own && setting == "large" {
            continue;
        }
        network.entry(setting.clone()).or_insert_with(|| value.clone());
    }
    Ok(())
}

/// What a network of an environment is, and how that is spelt.
fn kept_apart(environment: Environment) -> (&'static str, &'static str) {
    match environment {
        Environment::Mainnet => ("the network itself, where coins are worth something", "mainnet"),
        Environment::Devnet => ("a test network, where coins are worth nothing", "devnet"),
    }
}

/// Where there are no chain ids, the first block tells which network is meant, whatever it is called.
fn check_first_block(environment: Environment, network: &Table, key: &str) -> Result<(), Problem> {
    let Some(genesis) = network.get("genesis").and_then(Value::as_str) else { return Ok(()) };
    match KNOWN.iter().find(|known| known.is_solana() && known.genesis() == Some(genesis)) {
        Some(other) if other.environment != environment => {
            let (is, wants) = kept_apart(other.environment);
            let message = format!("this {} is {is}; it needs environment = \"{wants}\"", other.name);
            Err(problem(format!("{key}.genesis"), message))
        }
        _ => Ok(()),
    }
}

/// Whether a network is a test chain of this machine under a known one's name.
fn is_local(environment: Environment, known: &Known, network: &Table) -> bool {
    let is_other = network.get("genesis").and_then(Value::as_str).is_some_and(|own| Some(own) != known.genesis());
    let endpoints = network.get("rpc").and_then(Value::as_array);
    let is_here = |url: &Value| url.as_str().and_then(|url| Url::parse(url).ok()).is_some_and(|url| is_loopback(&url));
    environment == Environment::Devnet
        && is_other
        && endpoints.is_some_and(|urls| !urls.is_empty() && urls.iter().all(is_here))
}

/// A guard of the table may be a feed on another network. Where that is not read, there is nobody to ask.
fn drop_foreign_guards(network: &mut Table, names: &[String]) {
    let tokens = network.get_mut("tokens").and_then(Value::as_array_mut);
    for token in tokens.into_iter().flatten().filter_map(Value::as_table_mut) {
        let is_pinned = token.get("guard").and_then(|guard| guard.get("pinned")).is_some();
        let elsewhere = token.get("guard").and_then(|guard| guard.get("network")).and_then(Value::as_str);
        if is_pinned && elsewhere.is_some_and(|elsewhere| !names.iter().any(|name| name == elsewhere)) {
            token.remove("guard");
        }
        if let Some(guard) = token.get_mut("guard").and_then(Value::as_table_mut) {
            guard.remove("pinned");
        }
    }
}

/// What makes the network that network cannot be set otherwise.
fn keep_pinned(known: &Known, network: &Table, key: &str) -> Result<(), Problem> {
    // In base58 capital and small letters are different digits.
    let is_same = |set: &str, pinned: &str| set == pinned || (!known.is_solana() && set.eq_ignore_ascii_case(pinned));
    if let (Some(set), Some(pinned)) = (network.get("genesis").and_then(Value::as_str), known.genesis())
        && !is_same(set, pinned)
    {
        return Err(problem(format!("{key}.genesis"), format!("the first block of {} is {pinned}", known.name)));
    }
    Ok(())
}

/// A token may be written as its symbol alone; one that is known keeps its decimals.
fn choose_tokens(known: &Known, network: &mut Table, key: &str) -> Result<(), Problem> {
    let Some(tokens) = network.get_mut("tokens").and_then(Value::as_array_mut) else { return Ok(()) };
    for (index, token) in tokens.iter_mut().enumerate() {
        let key = format!("{key}.tokens[{index}]");
        match token {
            Value::String(symbol) => {
                let found = known.tokens().find(|token| token.get("symbol").and_then(Value::as_str) == Some(symbol));
                let Some(found) = found else {
                    let symbols = known.tokens().filter_map(|token| token.get("symbol")?.as_str()).collect::<Vec<_>>();
                    let message = format!("{symbol} is not known on {}; known are {}", known.name, symbols.join(", "));
                    return Err(problem(key, message));
                };
                *token = Value::Table(found.clone());
            }
            Value::Table(token) => {
                let address = address_of(token).map_err(|message| problem(format!("{key}.address"), message))?;
                let mint = |token: &Table| token.get("mint").and_then(Value::as_str).map(str::to_owned);
                let is_it = |known: &&Table| address_of(known) == Ok(address) && mint(known) == mint(token);
                let pinned = known.tokens().find(is_it);
                let decimals = |token: &Table| token.get("decimals").and_then(Value::as_integer);
                if let Some(pinned) = pinned
                    && decimals(token).is_some_and(|set| Some(set) != decimals(pinned))
                {
                    let message = format!("{} has {} decimals", pinned["symbol"], decimals(pinned).unwrap_or_default());
                    return Err(problem(format!("{key}.decimals"), message));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Symbols say something only where the network is known.
fn plain_tokens(network: &Table, key: &str) -> Result<(), Problem> {
    let tokens = network.get("tokens").and_then(Value::as_array).into_iter().flatten();
    match tokens.enumerate().find(|(_, token)| token.is_str()) {
        Some((index, _)) => {
            let message = "the network is not known, so its tokens have to be described in full".to_owned();
            Err(problem(format!("{key}.tokens[{index}]"), message))
        }
        None => Ok(()),
    }
}

/// A token's contract; `None` for the network's own coin, which is the one that has no address.
fn address_of(token: &Table) -> Result<Option<Address>, String> {
    let Some(value) = token.get("address") else { return Ok(None) };
    let text = value.as_str().unwrap_or_default();
    text.parse().map(Some).map_err(|_| format!("{value} is not an address, 0x and 40 hexadecimal digits"))
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;

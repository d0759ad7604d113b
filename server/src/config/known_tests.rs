use std::{collections::HashSet, path::Path};

use super::*;
use crate::config::{BlockTag, Config};

const NAMES: [&str; 7] = ["ethereum", "base", "bsc", "polygon", "arbitrum", "optimism", "avalanche"];

fn read(environment: &str, networks: &str) -> Result<Config, String> {
    let text = format!("environment = \"{environment}\"\n{networks}");
    Config::read(&text, Path::new("pepay.toml"), []).map_err(|error| error.to_string())
}

/// A network of which no more is said than its name and this.
fn network(name: &str, more: &str) -> String {
    format!("[[networks]]\nname = \"{name}\"\nrpc = [\"https://rpc.example\"]\n{more}\n")
}

#[track_caller]
fn check_refused(environment: &str, networks: &str, key: &str, words: &str) {
    let error = read(environment, networks).unwrap_err();
    assert!(error.starts_with(&format!("{key}: ")) && error.contains(words), "{error}");
}

#[test]
fn every_network_is_known_in_both_environments_and_needs_no_more_than_an_endpoint() {
    for environment in ["mainnet", "devnet"] {
        let networks: String = NAMES.map(|name| network(name, "")).concat();
        let config = read(environment, &networks).unwrap();
        for network in &config.networks {
            assert!(network.genesis.is_some() && network.explorer_tx.is_some(), "{}", network.name);
            assert!(network.tokens.iter().any(|token| token.address.is_none()), "the coin of {}", network.name);
            assert!((500..=4_000).contains(&network.poll_ms), "{}", network.name);
        }
    }
    assert_eq!(KNOWN.len(), 2 * NAMES.len());
}

#[test]
fn chains_and_tokens_are_told_apart() {
    let mut chains = HashSet::new();
    let mut ids = HashSet::new();
    for known in KNOWN.iter() {
        assert!(chains.insert(known.chain_id), "{}", known.chain_id);
        let mut addresses = HashSet::new();
        for token in known.tokens() {
            assert!(ids.insert(token["id"].as_integer().unwrap()), "{token}");
            assert!(addresses.insert(token.get("address").map(ToString::to_string)), "{token}");
        }
    }
}

/// A digit that is wrong would send money to nobody; each address holds a checksum against that.
#[test]
fn every_address_has_its_checksum() {
    let mut seen = 0;
    let quoted =
        TABLE.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split('"').skip(1).step_by(2));
    for text in quoted.filter(|text| text.starts_with("0x") && text.len() == 42) {
        assert!(Address::parse_checksummed(text, None).is_ok(), "{text}");
        seen += 1;
    }
    assert!(NAMES.len() * 2 < seen, "{seen}");
}

#[test]
fn what_a_network_says_itself_stands() {
    let base = network("base", "title = \"Our Base\"\npaid_after = 12\npoll_ms = 750");
    let config = read("mainnet", &base).unwrap();
    let base = &config.networks[0];
    assert_eq!((base.title.as_str(), base.paid_after, base.poll_ms, base.chain_id), ("Our Base", 12, 750, 8453));
    assert_eq!(base.final_tag, Some(BlockTag::Safe));
}

#[test]
fn what_makes_a_network_that_network_does_not() {
    let genesis = format!("genesis = \"0x{}\"", "11".repeat(32));
    check_refused(
        "mainnet",
        &network("base", &genesis),
        "networks[0].genesis",
        "the first block of base is 0xf712aa92",
    );
    check_refused(
        "mainnet",
        &network("base", "chain_id = 8454"),
        "networks[0].chain_id",
        "base is chain 8453, not 8454",
    );
    let usdc = |decimals| {
        let usdc = "id = 1, symbol = \"USDC\", name = \"USD Coin\", price = \"par\"";
        let address = "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d";
        network("bsc", &format!("tokens = [{{ {usdc}, address = \"{address}\", decimals = {decimals} }}]"))
    };
    assert!(read("mainnet", &usdc(18)).is_ok());
    check_refused("mainnet", &usdc(6), "networks[0].tokens[0].decimals", "\"USDC\" has 18 decimals");
    // Neither is an address the network's own coin, which has 18 decimals.
    for unreadable in ["\"0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd58\"", "7"] {
        let text = usdc(6).replace("\"0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d\"", unreadable);
        check_refused("mainnet", &text, "networks[0].tokens[0].address", "is not an address");
    }
}

#[test]
fn known_tokens_are_chosen_by_their_symbols() {
    let config = read("mainnet", &network("base", "tokens = [\"USDC\"]")).unwrap();
    assert_eq!(config.networks[0].tokens.len(), 1);
    assert_eq!(config.networks[0].tokens[0].decimals, 6);
    let unknown = network("base", "tokens = [\"USDC\", \"DOGE\"]");
    check_refused("mainnet", &unknown, "networks[0].tokens[1]", "DOGE is not known on base; known are ");
    let own = "title = \"Mine\"\nchain_id = 77\npaid_after = 1\nfinal_after = 1\ntokens = [\"USDC\"]";
    check_refused("mainnet", &network("mine", own), "networks[0].tokens[0]", "the network is not known");
}

#[test]
fn test_networks_are_for_devnet_and_the_others_for_mainnet() {
    let wants = |id: u64| format!("title = \"T\"\nchain_id = {id}\npaid_after = 1\nfinal_after = 1");
    check_refused("mainnet", &network("base", &wants(84_532)), "networks[0].chain_id", "a test network");
    check_refused("devnet", &network("mine", &wants(8_453)), "networks[0].chain_id", "needs environment = \"mainnet\"");
}

/// Where one validator after the other may replace the newest blocks, or has, depth alone says little.
#[test]
fn payments_on_bsc_and_polygon_wait_for_what_the_chain_calls_final() {
    for environment in ["mainnet", "devnet"] {
        let config = read(environment, &[network("bsc", ""), network("polygon", "")].concat()).unwrap();
        for network in &config.networks {
            assert_eq!(network.paid_tag, Some(BlockTag::Finalized), "{}", network.name);
        }
    }
}

#[test]
fn a_local_chain_may_have_any_name() {
    let local = network("base", "title = \"Base\"\nchain_id = 31337\npaid_after = 1\nfinal_after = 1");
    let config = read("devnet", &local).unwrap();
    assert_eq!((config.networks[0].chain_id, config.networks[0].tokens.len()), (31_337, 0));
    check_refused("mainnet", &local, "networks[0].chain_id", "base is chain 8453, not 31337");
}

use std::{collections::HashSet, path::Path};

use super::*;
use crate::config::{BlockTag, Config, NetworkConfig, NetworkKind, PriceSource};

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
        let config = read(environment, &(networks + &network("solana", ""))).unwrap();
        assert!(config.solana_networks().all(|network| network.genesis.is_some() && network.explorer_tx.is_some()));
        for network in config.evm_networks() {
            assert!(network.genesis.is_some() && network.explorer_tx.is_some(), "{}", network.name);
            assert!(network.tokens.iter().any(|token| token.address.is_none()), "the coin of {}", network.name);
            assert!((500..=4_000).contains(&network.poll_ms), "{}", network.name);
        }
    }
    assert_eq!(KNOWN.len(), 2 * (NAMES.len() + 1));
}

#[test]
fn chains_and_tokens_are_told_apart() {
    let mut chains = HashSet::new();
    let mut ids = HashSet::new();
    for known in KNOWN.iter() {
        assert!(chains.insert(known.chain_id.ok_or(known.genesis())), "{}", known.name);
        let mut addresses = HashSet::new();
        for token in known.tokens() {
            assert!(ids.insert(token["id"].as_integer().unwrap()), "{token}");
            assert!(addresses.insert(token.get("address").or(token.get("mint")).map(ToString::to_string)), "{token}");
        }
    }
}

/// Without one it would be taken for a dollar, or not at all.
#[test]
fn every_coin_has_a_feed_with_a_heartbeat_of_its_own() {
    for environment in ["mainnet", "devnet"] {
        let networks: String = NAMES.map(|name| network(name, "")).concat();
        let config = read(environment, &networks).unwrap();
        let mut coins = 0;
        for (network, token) in
            config.networks.iter().flat_map(|network| network.tokens.iter().map(move |token| (network, token)))
        {
            let is_coin = token.address.is_none();
            coins += usize::from(is_coin);
            let heartbeat = match &token.price {
                PriceSource::Feed(feed) => Some(feed.heartbeat_seconds),
                PriceSource::Par(_) => None,
            };
            let is_priced = heartbeat.is_some_and(|seconds| (120..=86_400).contains(&seconds));
            assert_eq!(is_priced, is_coin, "{} on {}, {environment}: {heartbeat:?}", token.symbol, network.name);
        }
        assert_eq!(coins, NAMES.len());
    }
}

#[test]
fn a_coin_is_no_dollar_where_it_is_worth_something() {
    let coin = |price: &str| {
        let token = "id = 1, symbol = \"ETH\", name = \"Ether\", decimals = 18";
        network("base", &format!("tokens = [{{ {token}, price = {price} }}]"))
    };
    let feed = "{ feed = \"0x71041dddad3595F9CEd3DcCFBe3D1F4b0a16Bb70\", heartbeat_seconds = 1200 }";
    check_refused("mainnet", &coin("\"par\""), "networks[0].tokens[0].price", "name its feed, as in { feed = ");
    assert!(read("mainnet", &coin(feed)).is_ok() && read("devnet", &coin("\"par\"")).is_ok());
    let sol = solana("tokens = [{ id = 1, symbol = \"SOL\", name = \"Solana\", decimals = 9, price = \"par\" }]");
    check_refused("mainnet", &sol, "networks[0].tokens[0].price", "is no dollar");
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
    let pinned = KNOWN.iter().find(|known| known.chain_id == Some(8453)).unwrap().settings["genesis"].as_str().unwrap();
    let shouted = format!("genesis = \"0x{}\"", pinned.trim_start_matches("0x").to_uppercase());
    assert!(read("mainnet", &network("base", &shouted)).is_ok(), "case means nothing");
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

/// Where one validator after the other may replace the newest blocks, or has, depth alone says little: on bsc and polygon
/// a payment waits for what the chain calls final. Elsewhere a few blocks pay, 30 where a block is a fifth of a second,
/// and an invoice above 100 dollars waits four times as long on ethereum. Rollups are final once Ethereum has the batch.
#[test]
fn each_network_waits_as_long_as_was_decided() {
    use BlockTag::{Finalized, Safe};

    let finality = |network: &NetworkConfig| {
        let large = network.large.as_ref().map(|large| (large.above_usd, large.paid_after));
        (network.paid_after, network.paid_tag, large, network.final_after, network.final_tag)
    };
    let expected = [
        (3, None, Some((100, 12)), 96, Some(Finalized)),
        (30, None, None, 3_000, Some(Safe)),
        (3, Some(Finalized), None, 120, Some(Finalized)),
        (3, Some(Finalized), None, 64, Some(Finalized)),
        (8, None, None, 2_400, Some(Safe)),
        (3, None, None, 300, Some(Safe)),
        (1, None, None, 1, None),
    ];
    for environment in ["mainnet", "devnet"] {
        let networks: String = NAMES.map(|name| network(name, "")).concat();
        let config = read(environment, &networks).unwrap();
        for ((network, expected), name) in config.networks.iter().zip(expected).zip(NAMES) {
            assert_eq!((network.name.as_str(), finality(network)), (name, expected), "{environment}");
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

const SOLANA: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";
const SOLANA_DEVNET: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";

fn solana(more: &str) -> String {
    network("solana", more)
}

#[test]
fn solana_needs_no_more_than_an_endpoint_either() {
    let config = read("mainnet", &solana("")).unwrap();
    let network = &config.networks[0];
    assert_eq!(bs58::encode(network.genesis.unwrap()).into_string(), SOLANA);
    let tokens: Vec<_> = network.tokens.iter().map(|token| (token.symbol.as_str(), token.shown_address())).collect();
    let mint = |text: &str| Some(text.to_owned());
    assert_eq!(
        tokens,
        [
            ("USDC", mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")),
            ("USDT", mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")),
        ]
    );
    assert!(network.tokens.iter().all(|token| token.decimals == 6));
    let thresholds = network.thresholds();
    assert_eq!((thresholds.paid_after, thresholds.final_tag), (1, Some(domain::finality::Tag::Finalized)));
    assert_eq!((network.shown_chain_id(), network.kind), (None, NetworkKind::Solana));
    let config = read("devnet", &solana("tokens = [\"USDC\"]")).unwrap();
    assert_eq!(config.networks[0].tokens[0].shown_address(), mint("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"));
    assert_eq!(bs58::encode(config.networks[0].genesis.unwrap()).into_string(), SOLANA_DEVNET);
}

#[test]
fn a_dollar_on_solana_is_guarded_where_the_guard_s_network_is_read() {
    let guards = |networks: &str| -> Vec<bool> {
        let config = read("mainnet", networks).unwrap();
        config.solana_networks().flat_map(|network| &network.tokens).map(|token| token.guard.is_some()).collect()
    };
    assert_eq!(guards(&solana("")), [false, false]);
    assert_eq!(guards(&(solana("") + &network("ethereum", ""))), [true, true]);
}

#[test]
fn the_first_block_tells_which_solana_it_is() {
    let genesis = |hash: &str| format!("genesis = \"{hash}\"");
    assert!(read("mainnet", &solana(&genesis(SOLANA))).is_ok());
    check_refused("mainnet", &solana(&genesis(SOLANA_DEVNET)), "networks[0].genesis", "a test network");
    check_refused("devnet", &solana(&genesis(SOLANA)), "networks[0].genesis", "the network itself");
    let lower = SOLANA.to_lowercase();
    check_refused("mainnet", &solana(&genesis(&lower)), "networks[0].genesis", "the first block of solana is 5eykt");
    let mine = "kind = \"solana\"\ntitle = \"Mine\"";
    check_refused("mainnet", &network("mine", mine), "networks[0].genesis", "must be given");
    // A chain of this machine may have a known one's name, for tests; any other is a mistake.
    let own = "cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN";
    check_refused("devnet", &solana(&genesis(own)), "networks[0].genesis", "the first block of solana is EtWTR");
    let local = |tokens: &str| {
        format!(
            "[[networks]]\nname = \"solana\"\nkind = \"solana\"\ntitle = \"Local\"\nrpc = [\"http://127.0.0.1:8899\"]\n\
             {}\n{tokens}",
            genesis(own)
        )
    };
    assert_eq!(read("devnet", &local("")).unwrap().networks[0].tokens, []);
    check_refused("devnet", &local("tokens = [\"USDC\"]"), "networks[0].tokens[0]", "the network is not known");
    check_refused("mainnet", &local(""), "networks[0].genesis", "the first block of solana is 5eykt");
    check_refused("mainnet", &solana("kind = \"evm\"\nchain_id = 5"), "networks[0].kind", "is of kind \"solana\"");
}

#[test]
fn what_is_of_one_kind_of_network_is_refused_on_the_other() {
    for (setting, words) in [
        ("chain_id = 1", "leave it out"),
        ("paid_after = 3", "a payment counts when it is confirmed"),
        ("final_tag = \"safe\"", "leave it out"),
        ("native_logs = true", "is for EVM networks"),
        ("start_block = 3", "is for EVM networks"),
        ("sweep_by_key = { gwei_per_transaction = 1, gwei_per_day = 1 }", "the merchant's at once"),
    ] {
        let key = setting.split(' ').next().unwrap();
        check_refused("mainnet", &solana(setting), &format!("networks[0].{key}"), words);
    }
    let token = |network: fn(&str) -> String, more: &str| {
        network(&format!(
            "tokens = [{{ id = 1, symbol = \"X\", name = \"X\", decimals = 6, price = \"par\", {more} }}]"
        ))
    };
    let base = |more: &str| network("base", more);
    let (mint, address) = (format!("mint = \"{SOLANA}\""), "address = \"0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d\"");
    check_refused("mainnet", &token(base, &mint), "networks[0].tokens[0].mint", "has an `address`");
    check_refused("mainnet", &token(base, "program = \"token\""), "networks[0].tokens[0].program", "has an `address`");
    check_refused("mainnet", &token(solana, address), "networks[0].tokens[0].address", "has a `mint`");
    check_refused(
        "mainnet",
        &token(solana, "program = \"token-2022\""),
        "networks[0].tokens[0].program",
        "SOL has neither",
    );
    check_refused("mainnet", &token(solana, "accepted = true"), "networks[0].tokens[0].decimals", "must be 9 for SOL");
    let unreadable = token(solana, "mint = \"0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d\"");
    check_refused("mainnet", &unreadable, "networks[0].tokens[0].mint", "is an address on EVM networks");
    assert!(read("mainnet", &token(solana, &mint)).is_ok());
    let twice = format!(
        "tokens = [{{ id = 1, symbol = \"X\", name = \"X\", decimals = 6, price = \"par\", {mint} }}, \
         {{ id = 2, symbol = \"Y\", name = \"Y\", decimals = 6, price = \"par\", {mint}, program = \"token-2022\" }}]"
    );
    check_refused("mainnet", &solana(&twice), "networks[0].tokens[0].mint", "is there twice");
    let usdc = "mint = \"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v\"";
    let wrong = token(solana, usdc).replace("decimals = 6", "decimals = 9");
    check_refused("mainnet", &wrong, "networks[0].tokens[0].decimals", "\"USDC\" has 6 decimals");
}

#[test]
fn sol_is_priced_by_a_feed_on_an_evm_network_that_is_read() {
    let sol = |network: &str| {
        let feed = format!("feed = \"0x4ffC43a60e009B551865A93d232E33Fce9f01507\", heartbeat_seconds = 86400{network}");
        let token = format!("id = 1, symbol = \"SOL\", name = \"Solana\", decimals = 9, price = {{ {feed} }}");
        solana(&format!("tokens = [{{ {token} }}]"))
    };
    let both = |name: &str| sol(&format!(", network = \"{name}\"")) + &network("ethereum", "");
    assert!(read("mainnet", &both("ethereum")).is_ok());
    let key = "networks[0].tokens[0].price.network";
    check_refused("mainnet", &both("base"), key, "of this configuration: ethereum");
    check_refused("mainnet", &both("solana"), key, "of this configuration: ethereum");
    check_refused("mainnet", &sol(""), key, "must be given");
    check_refused("mainnet", &sol(", network = \"ethereum\""), key, "there is none; add one");
}

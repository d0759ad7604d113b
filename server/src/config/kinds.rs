//! What only networks of one kind have, and what the other has instead.
//!
//! A network on Solana is described by fewer settings than one on an EVM. Those that it lacks are given the values that
//! are right for it before all of them are read; those that mean nothing there are refused, with what to do instead.

use alloy_primitives::B256;
use serde::{Deserialize, Deserializer, de::Error};
use toml::{Table, Value};

use super::check::Problem;
use crate::solana::SolanaAddress;

/// Settings of networks that mean nothing on Solana.
const EVM_ONLY: [&str; 13] = [
    "chain_id",
    "paid_after",
    "paid_tag",
    "large",
    "final_after",
    "final_tag",
    "native_logs",
    "start_block",
    "ring_blocks",
    "max_range",
    "max_topics",
    "sequencer_feed",
    "sweep_account",
];
/// A payment counts when it is confirmed: two thirds of the stake voted for its block.
const PAID_AFTER: i64 = 1;
/// Slots after which a block is final where nothing else is known; endpoints say which ones are.
const FINAL_AFTER: i64 = 32;

/// Whether an entry of the configuration is a network on Solana.
pub(super) fn is_solana(network: &Table) -> bool {
    network.get("kind").and_then(Value::as_str) == Some("solana")
}

/// Refuses what is of the other kind, and completes a network on Solana.
pub(super) fn settle(network: &mut Table, key: &str) -> Result<(), Problem> {
    let refuse = |key: String, message: &str| Err(Problem { key, message: message.to_owned() });
    let of_tokens: Vec<Vec<String>> = {
        let tokens = network.get("tokens").and_then(Value::as_array).into_iter().flatten();
        tokens.map(|token| token.as_table().into_iter().flat_map(Table::keys).cloned().collect()).collect()
    };
    let token_with = |setting: &str| {
        let has = |keys: &Vec<String>| keys.iter().any(|key| key == setting);
        of_tokens.iter().position(has).map(|index| format!("{key}.tokens[{index}].{setting}"))
    };
    if !is_solana(network) {
        return match token_with("mint").or_else(|| token_with("program")) {
            Some(key) => refuse(key, "is for a network of kind \"solana\"; on this one a token has an `address`"),
            None => Ok(()),
        };
    }
    if let Some(setting) = EVM_ONLY.into_iter().find(|setting| network.contains_key(*setting)) {
        let message = "is for EVM networks; leave it out: on Solana a payment counts when it is confirmed, and is final \
                       when its block is";
        return refuse(format!("{key}.{setting}"), message);
    }
    if network.contains_key("sweep_by_key") {
        let message = "is for EVM networks; leave it out: on Solana what is paid is the merchant's at once";
        return refuse(format!("{key}.sweep_by_key"), message);
    }
    if let Some(key) = token_with("address") {
        return refuse(key, "is for EVM networks; on Solana a token has a `mint`, and SOL has none");
    }
    for (setting, value) in [
        ("chain_id", Value::Integer(0)),
        ("paid_after", Value::Integer(PAID_AFTER)),
        ("final_after", Value::Integer(FINAL_AFTER)),
        ("final_tag", Value::String("finalized".to_owned())),
    ] {
        network.insert(setting.to_owned(), value);
    }
    Ok(())
}

/// Reads the hash of block 0: hexadecimal on an EVM network, base58 on Solana.
pub(super) fn genesis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<B256>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.starts_with("0x") {
        return text.parse().map(Some).map_err(|_| D::Error::custom("expected 0x and 64 hexadecimal digits"));
    }
    let hash: SolanaAddress = text
        .parse()
        .map_err(|_| D::Error::custom("expected 0x and 64 hexadecimal digits, or on Solana 32 bytes in base58"))?;
    Ok(Some(B256::from(*hash.as_bytes())))
}

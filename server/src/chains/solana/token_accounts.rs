//! Whether a wallet has the account that a token goes to.
//!
//! A wallet that was never paid in a token has none. Whoever pays it first makes one, and pays for it; he should know why his
//! wallet asks for more.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    chains::rpc::{Rpc, RpcError},
    config::{Asset, Config, TokenConfig},
    solana::{SolanaAddress, associated_token_account},
};

/// A hint is not worth waiting for.
const LOOKING_TAKES_AT_MOST: Duration = Duration::from_secs(2);

/// Asks networks whether accounts are there.
pub struct TokenAccounts {
    rpcs: HashMap<String, Rpc>,
    /// Those that are. They stay: a merchant who closes one gets a payer who pays for a new one.
    known: Mutex<HashSet<SolanaAddress>>,
}

impl TokenAccounts {
    pub fn new(config: &Config) -> Self {
        // Not the watcher's own endpoints: a page must not slow down or rest those.
        let rpcs = config.solana_networks().map(|network| (network.name.clone(), Rpc::new(network)));
        Self { rpcs: rpcs.collect(), known: Mutex::default() }
    }

    /// Whether a wallet has no account for a token. Where nobody says so in time, it has one.
    pub async fn is_missing(&self, network: &str, wallet: Option<SolanaAddress>, asset: Asset) -> bool {
        let (Some(rpc), Some(wallet), Asset::Mint(mint, program)) = (self.rpcs.get(network), wallet, asset) else {
            return false;
        };
        let account = associated_token_account(wallet, mint, program.address());
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&account) {
            return false;
        }
        match timeout(LOOKING_TAKES_AT_MOST, is_there(rpc, account)).await {
            Ok(Ok(false)) => true,
            Ok(Ok(true)) => {
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
                false
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Whether an address was ever part of a transaction, or holds something; `None` where nobody says so. Whoever pays it a
    /// token first makes its account, of which the transaction names the owner.
    pub async fn was_used(&self, network: &str, address: SolanaAddress) -> Option<bool> {
        let rpc = self.rpcs.get(network)?;
        let wanted = json!([address.to_string(), { "limit": 1, "commitment": "confirmed" }]);
        let (listed, exists) = tokio::join!(rpc.call("getSignaturesForAddress", wanted), is_there(rpc, address));
        Some(!listed.ok()?.as_array()?.is_empty() || exists.ok()?)
    }
}

/// The account in which a wallet holds a token; `None` for SOL, which the wallet itself holds.
pub(crate) fn token_account(wallet: SolanaAddress, token: &TokenConfig) -> Option<SolanaAddress> {
    match token.asset() {
        Asset::Mint(mint, program) => Some(associated_token_account(wallet, mint, program.address())),
        Asset::Coin | Asset::Contract(_) => None,
    }
}

/// Whether there is an account.
pub(crate) async fn is_there(rpc: &Rpc, account: SolanaAddress) -> Result<bool, RpcError> {
    Ok(account_info(rpc, account).await?.is_object())
}

/// The program that an account belongs to; `None` if there is no account, as of a wallet that nobody paid yet.
pub(crate) async fn program_of(rpc: &Rpc, account: SolanaAddress) -> Result<Option<SolanaAddress>, RpcError> {
    Ok(account_info(rpc, account).await?["owner"].as_str().and_then(|owner| owner.parse().ok()))
}

async fn account_info(rpc: &Rpc, account: SolanaAddress) -> Result<Value, RpcError> {
    let wanted = json!([account.to_string(), { "encoding": "base64", "commitment": "confirmed" }]);
    let mut answer = rpc.call("getAccountInfo", wanted).await?;
    Ok(answer.get_mut("value").map(Value::take).unwrap_or_default())
}

//! `pepay recover`: finding deposits again without the database.

use std::{fmt::Write, time::Duration};

use alloy_primitives::{Address, B256, U256};
use clap::Args;
use domain::money::TokenAmount;
use futures_util::future::join_all;
use serde_json::{Value, json};
use wire::deposit_address::{FACTORY, deposit_address, salt};

use super::{Answer, CliError, InputError, input};
use crate::{
    chains::evm::{Node, StepError},
    config::{Config, NetworkConfig, TokenConfig},
    invoicing::sweep_calls,
};

/// Deposits asked about at once; progress is told after each.
const AT_ONCE: u64 = 500;
/// Pauses between tries while a network cannot be asked double from one second up to this.
const LONGEST_PAUSE_SECONDS: u64 = 30;

/// No merchant has more invoices.
const MOST_DEPOSITS: u64 = 1 << 40;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What `pepay merchant create` showed once: 64 hexadecimal digits
    #[arg(long, env = "PEPAY_RECOVERY_CODE", hide_env_values = true, value_name = "CODE")]
    recovery_code: String,
    /// The merchant's wallet; several, if it changed or invoices paid others
    #[arg(long = "wallet", value_name = "ADDRESS", required = true)]
    wallets: Vec<String>,
    /// The deposit to begin with, as an earlier run said
    #[arg(long, default_value_t = 1, value_name = "DEPOSIT", value_parser = clap::value_parser!(u64).range(1..=MOST_DEPOSITS))]
    from: u64,
    /// Goes on until so many deposits in a row hold nothing and were never swept
    #[arg(long, default_value_t = 10_000, value_name = "DEPOSITS", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    gap: u64,
    /// For how long a network that cannot be asked is tried again; the others do not wait for it
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    patience: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RecoverError {
    #[error("there is no network in the configuration")]
    NoNetwork,
}

/// What was looked at on a network.
struct Search<'c> {
    network: &'c NetworkConfig,
    found: Vec<Found<'c>>,
    /// The deposit to be asked about next.
    next: u64,
    /// The last one that holds something, or was swept.
    last_used: Option<u64>,
    /// Why the network could not be asked about that next one, if the search ended too early.
    unfinished: Option<StepError>,
}

/// What one deposit address holds of one asset.
struct Found<'c> {
    sequence: u64,
    wallet: Address,
    salt: B256,
    deposit: Address,
    token: &'c TokenConfig,
    amount: U256,
}

/// Asks every network of the configuration what the deposits of these wallets hold. The second value is how many of them
/// could not be asked about all.
pub(super) async fn run(arguments: &Arguments, config: &Config) -> Result<(Answer, usize), CliError> {
    let code = arguments.recovery_code.trim();
    let code: [u8; 32] = hex::decode(code).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        InputError::new("--recovery-code", "must be the 64 hexadecimal digits that `pepay merchant create` showed")
    })?;
    let wallets = arguments.wallets.iter().map(|wallet| input::wallet("--wallet", wallet, config));
    let wallets: Vec<Address> = wallets.collect::<Result<_, _>>()?;
    if config.evm_networks().next().is_none() {
        return Err(RecoverError::NoNetwork.into());
    }
    // On Solana the merchant's own wallet is paid, so there is nothing to recover.
    let searches = config.evm_networks().map(|network| search(network, &code, &wallets, arguments));
    let searches = join_all(searches).await;
    let mut text = String::new();
    let networks: Vec<Value> = searches.iter().map(|search| report(search, arguments.from, &mut text)).collect();
    let unfinished = searches.iter().filter(|search| search.unfinished.is_some()).count();
    Ok((Answer { text, json: json!({ "networks": networks }) }, unfinished))
}

async fn search<'c>(
    network: &'c NetworkConfig,
    code: &[u8; 32],
    wallets: &[Address],
    arguments: &Arguments,
) -> Search<'c> {
    let node = Node::new(network);
    let assets: Vec<Option<Address>> = network.tokens.iter().map(|token| token.address).collect();
    let mut search = Search { network, found: Vec::new(), next: arguments.from, last_used: None, unfinished: None };
    loop {
        let began = search.last_used.map_or(arguments.from, |last_used| last_used.saturating_add(1));
        if began.saturating_add(arguments.gap) <= search.next {
            return search;
        }
        let sequences = search.next..search.next.saturating_add(AT_ONCE);
        let deposits = sequences.flat_map(|sequence| {
            let salt = salt(code, sequence);
            wallets.iter().map(move |wallet| (sequence, *wallet, salt, deposit_address(*wallet, salt)))
        });
        let deposits: Vec<_> = deposits.collect();
        let addresses: Vec<Address> = deposits.iter().map(|(.., deposit)| *deposit).collect();
        let question = async || Ok((node.held(&addresses, &assets).await?, node.have_code(&addresses).await?));
        let (held, swept) = match ask(network, arguments.patience, question).await {
            Ok(answer) => answer,
            Err(error) => {
                search.unfinished = Some(error);
                return search;
            }
        };
        for ((deposit, amounts), was_swept) in deposits.into_iter().zip(held).zip(swept) {
            let (sequence, wallet, salt, deposit) = deposit;
            let holds = network.tokens.iter().zip(amounts).filter(|(_, amount)| *amount != U256::ZERO);
            let before = search.found.len();
            search.found.extend(holds.map(|(token, amount)| Found { sequence, wallet, salt, deposit, token, amount }));
            // An address gets its code with its first sweep.
            if was_swept || before < search.found.len() {
                search.last_used = Some(sequence);
            }
        }
        search.next = search.next.saturating_add(AT_ONCE);
        tracing::info!(
            payment.network = network.name,
            deposits.asked = search.next - 1,
            deposits.found = search.found.len(),
            "deposits were asked about"
        );
    }
}

/// Asks a network, again and again for so many seconds if it cannot be asked: what was found so far must not be lost to a
/// pause of one of its endpoints.
async fn ask<T>(
    network: &NetworkConfig,
    patience_seconds: u64,
    question: impl AsyncFn() -> Result<T, StepError>,
) -> Result<T, StepError> {
    let (mut left, mut pause) = (patience_seconds, 1);
    loop {
        let error = match question().await {
            Ok(answer) => return Ok(answer),
            Err(error) if left == 0 => return Err(error),
            Err(error) => error,
        };
        pause = left.min(pause);
        tracing::warn!(
            payment.network = network.name,
            %error,
            pause_seconds = pause,
            "the network cannot be asked; it is tried again"
        );
        tokio::time::sleep(Duration::from_secs(pause)).await;
        left -= pause;
        pause = LONGEST_PAUSE_SECONDS.min(pause * 2);
    }
}

/// What was found on a network, and the calls that bring it to the wallets.
fn report(search: &Search<'_>, from: u64, text: &mut String) -> Value {
    let Search { network, found, next, last_used, unfinished } = search;
    let name = &network.name;
    let last = (from < *next).then(|| next - 1);
    // Writing to a string cannot fail.
    let _infallible = match (found.as_slice(), unfinished) {
        ([], None) => writeln!(text, "{name}: no deposit holds anything"),
        ([], Some(_)) => writeln!(text, "{name}: not known"),
        (found, _) => writeln!(text, "{name}: {} amounts in deposits", found.len()),
    };
    if let Some(error) = unfinished {
        let _infallible = writeln!(
            text,
            "  PROBLEM  deposits from {next} on could not be asked about: {error}\n           -> see what `pepay check` \
             says of its endpoints, then run this again; `--from {next}` goes on there",
        );
    }
    let _infallible = match (last, last_used) {
        (Some(last), Some(used)) => {
            writeln!(text, "  looked at deposits {from} to {last}; the last one that was used is {used}")
        }
        (Some(last), None) => writeln!(text, "  looked at deposits {from} to {last}; none of them was used"),
        (None, _) => Ok(()),
    };
    let mut deposits = Vec::new();
    for Found { sequence, wallet, deposit, token, amount, .. } in found {
        let shown = TokenAmount::from_base_units(*amount).to_decimal(token.checked_decimals());
        let _infallible = writeln!(text, "  invoice {sequence}: {deposit} holds {shown} {} for {wallet}", token.symbol);
        deposits.push(json!({
            "sequence": sequence,
            "wallet": wallet.to_string(),
            "deposit_address": deposit.to_string(),
            "token": token.symbol,
            "amount": shown,
        }));
    }
    let held = found.iter().map(|found| (found.wallet, found.salt, found.token.address.unwrap_or_default()));
    let mut sweeps = Vec::new();
    for (wallet, calldata) in sweep_calls(held) {
        let _infallible = writeln!(
            text,
            "to {wallet}, to be sent by any wallet as\n  chain {}\n  to {FACTORY}\n  value 0\n  data {calldata}",
            network.chain_id
        );
        sweeps.push(json!({
            "wallet": wallet.to_string(), "to": FACTORY.to_string(), "data": calldata.to_string(),
        }));
    }
    json!({
        "network": name, "chain_id": network.chain_id, "deposits": deposits, "sweeps": sweeps,
        "looked_from": from, "looked_until": last, "last_used": last_used,
        "error": unfinished.as_ref().map(ToString::to_string),
    })
}

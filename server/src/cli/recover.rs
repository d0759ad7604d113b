//! `pepay recover`: finding deposits again without the database.

use std::fmt::Write;

use alloy_primitives::{Address, B256, U256};
use clap::Args;
use domain::money::TokenAmount;
use serde_json::{Value, json};
use wire::deposit_address::{FACTORY, deposit_address, salt};

use super::{Answer, CliError, InputError, input};
use crate::{
    chains::evm::{Node, StepError},
    config::{Config, NetworkConfig, TokenConfig},
    invoicing::sweep_calls,
};

/// Addresses asked about at once; progress is told after each.
const AT_ONCE: u64 = 500;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What `pepay merchant create` showed once: 64 hexadecimal digits
    #[arg(long, env = "PEPAY_RECOVERY_CODE", hide_env_values = true, value_name = "CODE")]
    recovery_code: String,
    /// The merchant's wallet; several, if it changed or invoices paid others
    #[arg(long = "wallet", value_name = "ADDRESS", required = true)]
    wallets: Vec<String>,
    /// Goes on until so many deposits in a row hold nothing
    #[arg(long, default_value_t = 10_000, value_name = "DEPOSITS", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    gap: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RecoverError {
    #[error("there is no network in the configuration")]
    NoNetwork,
    #[error("network {network} cannot be asked")]
    Unreadable {
        network: String,
        #[source]
        source: StepError,
    },
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

/// Asks every network of the configuration what the deposits of these wallets hold.
pub(super) async fn run(arguments: &Arguments, config: &Config) -> Result<Answer, CliError> {
    let code = arguments.recovery_code.trim();
    let code: [u8; 32] = hex::decode(code).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        InputError::new("--recovery-code", "must be the 64 hexadecimal digits that `pepay merchant create` showed")
    })?;
    let wallets = arguments.wallets.iter().map(|wallet| input::wallet("--wallet", wallet, config));
    let wallets: Vec<Address> = wallets.collect::<Result<_, _>>()?;
    if config.networks.is_empty() {
        return Err(RecoverError::NoNetwork.into());
    }
    let mut text = String::new();
    let mut networks = Vec::new();
    for network in &config.networks {
        let found = search(network, &code, &wallets, arguments.gap).await?;
        networks.push(report(network, &found, &mut text));
    }
    Ok(Answer { text, json: json!({ "networks": networks }) })
}

async fn search<'c>(
    network: &'c NetworkConfig,
    code: &[u8; 32],
    wallets: &[Address],
    gap: u64,
) -> Result<Vec<Found<'c>>, CliError> {
    let node = Node::new(network);
    let assets: Vec<Option<Address>> = network.tokens.iter().map(|token| token.address).collect();
    let mut found: Vec<Found<'c>> = Vec::new();
    let mut next = 1;
    loop {
        let last_found = found.last().map_or(0, |found| found.sequence);
        if last_found.saturating_add(gap) < next {
            return Ok(found);
        }
        let sequences = next..next + AT_ONCE;
        let deposits = sequences.flat_map(|sequence| {
            let salt = salt(code, sequence);
            wallets.iter().map(move |wallet| (sequence, *wallet, salt, deposit_address(*wallet, salt)))
        });
        let deposits: Vec<_> = deposits.collect();
        let addresses: Vec<Address> = deposits.iter().map(|(.., deposit)| *deposit).collect();
        let held = node.held(&addresses, &assets).await;
        let held = held.map_err(|source| RecoverError::Unreadable { network: network.name.clone(), source })?;
        for ((sequence, wallet, salt, deposit), amounts) in deposits.into_iter().zip(held) {
            let holds = network.tokens.iter().zip(amounts).filter(|(_, amount)| *amount != U256::ZERO);
            found.extend(holds.map(|(token, amount)| Found { sequence, wallet, salt, deposit, token, amount }));
        }
        next += AT_ONCE;
        tracing::info!(
            payment.network = network.name,
            deposits.asked = next - 1,
            deposits.found = found.len(),
            "deposits were asked about"
        );
    }
}

/// What was found on a network, and the calls that bring it to the wallets.
fn report(network: &NetworkConfig, found: &[Found<'_>], text: &mut String) -> Value {
    let name = &network.name;
    // Writing to a string cannot fail.
    let _infallible = match found {
        [] => writeln!(text, "{name}: no deposit holds anything"),
        found => writeln!(text, "{name}: {} amounts in deposits", found.len()),
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
    json!({ "network": name, "chain_id": network.chain_id, "deposits": deposits, "sweeps": sweeps })
}

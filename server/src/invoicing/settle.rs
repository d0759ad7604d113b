//! Handing the money on: which deposit addresses are due, and the calls that empty them.
//!
//! Anybody may make these calls, since a deposit address can only pay its merchant; the server signs
//! nothing. On devnet a node's unlocked account sends them, elsewhere the merchant's own wallet does.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolCall, sol};
use domain::{
    id::{InvoiceId, MerchantId},
    settlement::{Sweep, is_due},
    time::UnixMillis,
};
use serde_json::{Value, json};
use wire::{Environment, deposit_address::FACTORY};

use crate::{
    app::App,
    chains::evm::{Node, StepError},
    config::NetworkConfig,
    store::{InvoiceRecord, StoreError, SweepRecord, Tx},
};

sol! {
    function sweep(address merchant, bytes32[] calldata salts, address[] calldata assets) external;
}

/// More would come near what a block may cost.
const MOST_DEPOSITS: usize = 50;

/// One call of the factory that empties deposit addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSweep {
    pub network: String,
    pub chain_id: u64,
    pub merchant: MerchantId,
    /// The wallet the money goes to.
    pub receiver: Address,
    /// The contract to call.
    pub to: Address,
    /// One for each deposit address.
    pub salts: Vec<B256>,
    /// What is moved out of each; the zero address is the native coin.
    pub assets: Vec<Address>,
    pub calldata: Bytes,
    pub invoices: Vec<InvoiceId>,
}

/// What one call can have in common: whose deposits, which wallet, which assets.
type Group = (MerchantId, Address, BTreeSet<Address>);

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error("network {0} has no sweep_account; sweeps are sent by a wallet")]
    NoAccount(String),
    #[error("the node did not take the sweep")]
    NotSent(#[source] StepError),
}

/// Plans what is due: deposits with final money that no sweep took yet, of invoices that have ended.
///
/// An open invoice is left alone, since its address gets code with its first sweep, and some senders
/// pay too little gas for an address with code. The native coin is swept in calls of its own, so that a
/// wallet that refuses it cannot hold up tokens.
///
/// # Errors
///
/// If the database refuses.
pub async fn plan_sweeps(
    app: &App,
    merchant: Option<MerchantId>,
    network: Option<&str>,
) -> Result<Vec<PlannedSweep>, StoreError> {
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let mut planned = Vec::new();
    for config in app.config.networks.iter().filter(|config| network.is_none_or(|name| name == config.name)) {
        let mut groups: BTreeMap<Group, Vec<(InvoiceId, B256)>> = BTreeMap::new();
        for (owner, id) in tx.invoices_with_final_transfers(&config.name).await? {
            if merchant.is_some_and(|merchant| merchant != owner) {
                continue;
            }
            let Some(invoice) = tx.invoice(owner, id).await? else { continue };
            if !invoice.standing.status.is_terminal() {
                continue;
            }
            let mut tokens = due_assets(&mut tx, config, &invoice).await?;
            let native: BTreeSet<Address> = tokens.take(&Address::ZERO).into_iter().collect();
            for assets in [native, tokens].into_iter().filter(|assets| !assets.is_empty()) {
                groups.entry((owner, invoice.receiver, assets)).or_default().push((id, invoice.deposit_salt));
            }
        }
        for ((owner, receiver, assets), deposits) in groups {
            let assets: Vec<Address> = assets.into_iter().collect();
            planned.extend(deposits.chunks(MOST_DEPOSITS).map(|deposits| {
                let (invoices, salts): (Vec<_>, Vec<_>) = deposits.iter().copied().unzip();
                let call = sweepCall { merchant: receiver, salts: salts.clone(), assets: assets.clone() };
                PlannedSweep {
                    network: config.name.clone(),
                    chain_id: config.chain_id,
                    merchant: owner,
                    receiver,
                    to: FACTORY,
                    salts,
                    assets: assets.clone(),
                    calldata: call.abi_encode().into(),
                    invoices,
                }
            }));
        }
    }
    Ok(planned)
}

/// The calls of the factory that empty deposits, given the wallet, salt and asset of each amount held.
pub fn sweep_calls(held: impl IntoIterator<Item = (Address, B256, Address)>) -> Vec<(Address, Bytes)> {
    let mut assets: BTreeMap<(Address, B256), BTreeSet<Address>> = BTreeMap::new();
    for (wallet, salt, asset) in held {
        assets.entry((wallet, salt)).or_default().insert(asset);
    }
    let mut groups: BTreeMap<(Address, BTreeSet<Address>), Vec<B256>> = BTreeMap::new();
    for ((wallet, salt), mut tokens) in assets {
        // The native coin by itself, as in [`plan_sweeps`].
        let native: BTreeSet<Address> = tokens.take(&Address::ZERO).into_iter().collect();
        for assets in [native, tokens].into_iter().filter(|assets| !assets.is_empty()) {
            groups.entry((wallet, assets)).or_default().push(salt);
        }
    }
    let calls = groups.iter().flat_map(|((wallet, assets), salts)| {
        salts.chunks(MOST_DEPOSITS).map(move |salts| {
            let assets = assets.iter().copied().collect();
            (*wallet, Bytes::from(sweepCall { merchant: *wallet, salts: salts.to_vec(), assets }.abi_encode()))
        })
    });
    calls.collect()
}

/// The assets of an invoice's address that are due.
async fn due_assets(
    tx: &mut Tx<'_>,
    config: &NetworkConfig,
    invoice: &InvoiceRecord,
) -> Result<BTreeSet<Address>, StoreError> {
    let transfers = tx.transfers(invoice.merchant, invoice.id).await?;
    let sweeps = tx.sweeps(invoice.merchant, invoice.id).await?;
    let sweeps: Vec<Sweep> = sweeps.iter().map(SweepRecord::to_sweep).collect();
    let due = transfers
        .iter()
        .filter(|record| record.network == config.name)
        .filter(|record| is_due(&record.to_transfer(), &sweeps))
        .filter_map(|record| config.tokens.iter().find(|token| token.token_id() == record.token))
        .map(|token| token.address.unwrap_or_default());
    Ok(due.collect())
}

/// Sends a planned sweep from the node's unlocked account; returns the transaction's hash. Sending one
/// twice moves nothing twice.
///
/// # Errors
///
/// [`SweepError::NoAccount`] off devnet, or if the network has no account to send from.
pub async fn send_sweep(app: &App, sweep: &PlannedSweep) -> Result<String, SweepError> {
    let account = match app.config.network(&sweep.network) {
        Some(config) if app.config.environment == Environment::Devnet => {
            config.sweep_account.map(|from| (config, from))
        }
        _ => None,
    };
    let (config, from) = account.ok_or_else(|| SweepError::NoAccount(sweep.network.clone()))?;
    let hash = Node::new(config).send_unlocked(from, sweep.to, &sweep.calldata).await;
    hash.map(|hash| hash.to_string()).map_err(SweepError::NotSent)
}

/// Planned sweeps as files for the Safe Transaction Builder (format version 1.0), one for each network:
/// a file belongs to one chain.
pub fn safe_batches(sweeps: &[PlannedSweep], created: UnixMillis) -> BTreeMap<String, Value> {
    let mut batches: BTreeMap<String, Value> = BTreeMap::new();
    for sweep in sweeps {
        let batch = batches.entry(sweep.network.clone()).or_insert_with(|| {
            json!({
                "version": "1.0",
                "chainId": sweep.chain_id.to_string(),
                "createdAt": created.0,
                "meta": {
                    "name": format!("pepay sweep on {}", sweep.network),
                    "description": "Sends what deposit addresses hold to the merchant's wallet",
                    "txBuilderVersion": "",
                    "createdFromSafeAddress": "",
                    "createdFromOwnerAddress": "",
                },
                "transactions": [],
            })
        });
        if let Some(transactions) = batch["transactions"].as_array_mut() {
            transactions.push(json!({
                "to": sweep.to.to_string(),
                "value": "0",
                "data": sweep.calldata.to_string(),
                "contractMethod": null,
                "contractInputsValues": null,
            }));
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(network: &str, chain_id: u64, data: u8) -> PlannedSweep {
        PlannedSweep {
            network: network.to_owned(),
            chain_id,
            merchant: MerchantId(1),
            receiver: Address::repeat_byte(1),
            to: FACTORY,
            salts: vec![B256::ZERO],
            assets: vec![Address::ZERO],
            calldata: Bytes::copy_from_slice(&[data]),
            invoices: vec![InvoiceId::from_random([1; 16])],
        }
    }

    #[test]
    fn a_safe_batch_holds_the_sweeps_of_one_chain() {
        let sweeps = [planned("ethereum", 1, 0xaa), planned("base", 8453, 0xbb), planned("ethereum", 1, 0xcc)];
        let batches = safe_batches(&sweeps, UnixMillis(7));
        assert_eq!(batches.len(), 2);
        let batch = &batches["ethereum"];
        assert_eq!(
            (&batch["version"], &batch["chainId"], &batch["createdAt"]),
            (&json!("1.0"), &json!("1"), &json!(7))
        );
        let data: Vec<_> = batch["transactions"].as_array().unwrap().iter().map(|call| &call["data"]).collect();
        assert_eq!(data, ["0xaa", "0xcc"]);
        assert_eq!(batch["transactions"][0]["to"], FACTORY.to_string());
        assert_eq!(batches["base"]["chainId"], "8453");
    }
}

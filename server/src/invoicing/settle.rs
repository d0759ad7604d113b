//! Handing the money on: which deposit addresses are due, and the calls that empty them.
//!
//! Anybody may make these calls, since a deposit address can only pay its merchant. On devnet a node's
//! unlocked account sends them, elsewhere the merchant's own wallet or the gas-only key does.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolCall, sol};
use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId, TokenId},
    money::{Decimals, TokenAmount},
    settlement::{Sweep, is_due},
    time::{UnixMillis, UnixSeconds},
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
    /// Of the deposit factory.
    function sweep(address merchant, bytes32[] calldata salts, address[] calldata assets) external;
}

/// More would come near what a block may cost.
pub(super) const MOST_DEPOSITS: usize = 50;

/// One deposit address on one network that holds what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDeposit {
    pub network: String,
    pub chain_id: u64,
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    /// The wallet the money goes to.
    pub receiver: Address,
    pub salt: B256,
    pub address: Address,
    /// What is due of each asset; the zero address is the native coin.
    pub assets: BTreeMap<Address, DueAmount>,
    /// Block time of the oldest payment that is due.
    pub since: UnixSeconds,
    /// Whether the address was swept before, and so has code.
    pub was_swept: bool,
    /// When a sweep of one of these assets last failed.
    pub failed_at: Option<UnixSeconds>,
}

/// How much of one token is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueAmount {
    pub token: TokenId,
    pub decimals: Decimals,
    pub amount: TokenAmount,
}

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
    /// What is moved out of each address; the zero address is the native coin.
    pub assets: Vec<Address>,
    pub calldata: Bytes,
    pub deposits: Vec<DueDeposit>,
}

/// What one call can have in common: which network, whose deposits, which wallet, which assets.
pub(super) type Group = (String, MerchantId, Address, Vec<Address>);

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error("network {0} has no sweep_account; sweeps are sent by a wallet")]
    NoAccount(String),
    #[error("the node did not take the sweep")]
    NotSent(#[source] StepError),
}

/// Plans all that is due, whatever it is worth.
///
/// # Errors
///
/// If the database refuses.
pub async fn plan_sweeps(
    app: &App,
    merchant: Option<MerchantId>,
    network: Option<&str>,
) -> Result<Vec<PlannedSweep>, StoreError> {
    let groups = by_group(due_deposits(app, merchant, network).await?);
    let planned = groups.into_values().flat_map(|deposits| {
        let batches = deposits.chunks(MOST_DEPOSITS).filter_map(|batch| PlannedSweep::of(batch.to_vec()));
        batches.collect::<Vec<_>>()
    });
    Ok(planned.collect())
}

/// Deposits with final money that no sweep took yet, of invoices that have ended.
///
/// An open invoice is left alone, since its address gets code with its first sweep, and some senders
/// pay too little gas for an address with code. The native coin is a deposit by itself, so that a
/// wallet that refuses it cannot hold up tokens.
///
/// # Errors
///
/// If the database refuses.
pub(super) async fn due_deposits(
    app: &App,
    merchant: Option<MerchantId>,
    network: Option<&str>,
) -> Result<Vec<DueDeposit>, StoreError> {
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let mut due = Vec::new();
    for config in app.config.evm_networks().filter(|config| network.is_none_or(|name| name == config.name)) {
        for (owner, id) in tx.invoices_with_final_transfers(&config.name).await? {
            if merchant.is_some_and(|merchant| merchant != owner) {
                continue;
            }
            let Some(invoice) = tx.invoice(owner, id).await? else { continue };
            if invoice.standing.status.is_terminal() && invoice.address_mode == AddressMode::Forwarder {
                due.extend(due_of(&mut tx, config, &invoice).await?);
            }
        }
    }
    Ok(due)
}

/// Deposits that one call can empty, in the order of what they have in common.
pub(super) fn by_group(deposits: Vec<DueDeposit>) -> BTreeMap<Group, Vec<DueDeposit>> {
    let mut groups: BTreeMap<Group, Vec<DueDeposit>> = BTreeMap::new();
    for deposit in deposits {
        let assets = deposit.assets.keys().copied().collect();
        let group = (deposit.network.clone(), deposit.merchant, deposit.receiver, assets);
        groups.entry(group).or_default().push(deposit);
    }
    groups
}

impl PlannedSweep {
    /// The call that empties deposits of one group; `None` for none.
    pub(super) fn of(deposits: Vec<DueDeposit>) -> Option<Self> {
        let first = deposits.first()?;
        let (receiver, assets): (_, Vec<Address>) = (first.receiver, first.assets.keys().copied().collect());
        let salts = deposits.iter().map(|deposit| deposit.salt).collect();
        let call = sweepCall { merchant: receiver, salts, assets: assets.clone() };
        Some(Self {
            network: first.network.clone(),
            chain_id: first.chain_id,
            merchant: first.merchant,
            receiver,
            to: FACTORY,
            assets,
            calldata: call.abi_encode().into(),
            deposits,
        })
    }

    /// How much of each token is due.
    pub fn amounts(&self) -> BTreeMap<TokenId, DueAmount> {
        let mut amounts: BTreeMap<TokenId, DueAmount> = BTreeMap::new();
        for due in self.deposits.iter().flat_map(|deposit| deposit.assets.values()) {
            let sum = amounts.entry(due.token).or_insert(DueAmount { amount: TokenAmount::ZERO, ..*due });
            sum.amount = sum.amount.plus(due.amount);
        }
        amounts
    }
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

/// What is due at an invoice's address: the native coin by itself, and everything else.
async fn due_of(
    tx: &mut Tx<'_>,
    config: &NetworkConfig,
    invoice: &InvoiceRecord,
) -> Result<Vec<DueDeposit>, StoreError> {
    let transfers = tx.transfers(invoice.merchant, invoice.id).await?;
    let mut sweeps = tx.sweeps(invoice.merchant, invoice.id).await?;
    sweeps.retain(|sweep| sweep.network == config.name);
    let failures = tx.sweep_failures_of(invoice.merchant, invoice.id).await?;
    let known: Vec<Sweep> = sweeps.iter().map(SweepRecord::to_sweep).collect();
    let mut deposits: BTreeMap<bool, DueDeposit> = BTreeMap::new();
    let due = transfers
        .iter()
        .filter(|record| record.network == config.name)
        .filter(|record| is_due(&record.to_transfer(), &known));
    for record in due {
        let Some(token) = config.tokens.iter().find(|token| token.token_id() == record.token) else { continue };
        let deposit = deposits.entry(token.address.is_some()).or_insert_with(|| DueDeposit {
            network: config.name.clone(),
            chain_id: config.chain_id,
            merchant: invoice.merchant,
            invoice: invoice.id,
            receiver: invoice.receiver,
            salt: invoice.deposit_salt,
            address: invoice.deposit_address,
            assets: BTreeMap::new(),
            since: record.block_time,
            was_swept: !sweeps.is_empty(),
            failed_at: None,
        });
        deposit.since = deposit.since.min(record.block_time);
        let failures =
            failures.iter().filter(|failure| failure.network == config.name && failure.token == record.token);
        deposit.failed_at = deposit.failed_at.max(failures.map(|failure| failure.failed_at).max());
        let due = DueAmount { token: record.token, decimals: record.decimals, amount: TokenAmount::ZERO };
        let sum = deposit.assets.entry(token.address.unwrap_or_default()).or_insert(due);
        sum.amount = sum.amount.plus(record.amount);
    }
    Ok(deposits.into_values().collect())
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
            assets: vec![Address::ZERO],
            calldata: Bytes::copy_from_slice(&[data]),
            deposits: Vec::new(),
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

//! Searches for payments that somebody asked for.
//!
//! Each look compares what the one address holds with what is recorded, as is done with all of them; and if a transaction
//! was named, hosts are asked for its receipt. Its logs and value are believed as far as those of a block that was read: a
//! host must show it in a block below the cursor, and others must vouch for it before it counts.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, U64, U256};
use domain::time::UnixMillis;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::deposit_address::FACTORY;

use super::{
    PricesAtBlocks, Reading, StepError, Watcher,
    logs::{EVENTS, RawLog, Scope},
    native::Arrival,
    node::{Header, header_call},
    position,
    reconcile::{Subjects, floor},
};
use crate::{
    chains::rpc::{Answer, Call},
    invoicing::{Missing, Scan, SeenTransfer, conclude_look},
    store::{BlockRef, Failure, Lane, UnattributedRecord, VerificationRecord, WatchedDeposit},
    transaction_id::TransactionId,
};

/// Searches that are looked after in one step.
const AT_ONCE: i64 = 10;
/// Steps come more often than searches are due.
const LOOK_EVERY_MS: i64 = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U64,
    block_number: U64,
    block_hash: B256,
    logs: Vec<RawLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    from: Address,
    to: Option<Address>,
    value: U256,
    #[serde(rename = "transactionIndex")]
    index: U64,
}

/// When to look for searches next.
#[derive(Default)]
pub(super) struct Searches {
    due: Option<UnixMillis>,
}

/// What a transaction brought.
struct Brought {
    transfers: Vec<SeenTransfer>,
    /// What came to a merchant's wallet may be anybody's: only its amount, or the merchant, says whose it is.
    at_wallets: Vec<UnattributedRecord>,
}

impl Watcher {
    /// Takes a look for each search that is due.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub(super) async fn look_for_payments(&mut self) -> Result<(), StepError> {
        let now = self.app.clock.now_ms();
        if self.searches.due.is_some_and(|due| now < due) {
            return Ok(());
        }
        self.searches.due = Some(UnixMillis(now.0.saturating_add(LOOK_EVERY_MS)));
        let due = self.app.store.reader().await?.tx().due_verifications(&self.network.name, now, AT_ONCE).await?;
        for (record, deposit) in due {
            let missing = match record.transaction {
                Some(TransactionId::Evm(hash)) => self.look_at_transaction(hash, deposit).await?,
                // No such network has transactions of that name.
                Some(TransactionId::Solana(_)) => Missing::ForGood(Failure::TransactionNotFound),
                None => Missing::Yet(Failure::PaymentNotFound),
            };
            // What a wallet holds that is paid directly says nothing.
            if !deposit.mode.settles_at_once() {
                self.look_at_address(deposit).await?;
            }
            let VerificationRecord { merchant, invoice, id, .. } = record;
            conclude_look(&self.app, &self.lease, (merchant, invoice, id), missing).await?;
        }
        Ok(())
    }

    /// Compares one address, whenever it was compared the last time.
    async fn look_at_address(&mut self, deposit: WatchedDeposit) -> Result<(), StepError> {
        let lane = if deposit.ended_at.is_none() { Lane::Open } else { Lane::Ended };
        let name = &self.network.name;
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let Some(cursor) = tx.cursor(name).await? else { return Ok(()) };
        let recorded = tx.recorded_of(name, deposit.merchant, deposit.invoice).await?;
        let since = tx.comparison(name, lane).await?.map(|comparison| comparison.at);
        let floor = floor(&mut tx, name).await?;
        drop(reader);
        self.compare(Subjects { lane, deposits: vec![deposit], recorded, since, floor, at: cursor }, None).await
    }

    /// Records what a transaction brought to an address, if a host shows that.
    async fn look_at_transaction(&mut self, transaction: B256, deposit: WatchedDeposit) -> Result<Missing, StepError> {
        let Some(cursor) = self.app.store.reader().await?.tx().cursor(&self.network.name).await? else {
            return Ok(Missing::Yet(Failure::TransactionNotFound));
        };
        let hash = transaction.to_string();
        let calls = [
            Call::new("eth_getTransactionReceipt", json!([hash])),
            Call::new("eth_getTransactionByHash", json!([hash])),
        ];
        let mut missing = Missing::Yet(Failure::TransactionNotFound);
        for host in self.known_hosts() {
            let node = self.node.of_host(&host);
            let said = node.ask_hosts(&calls).await.pop();
            let Some([receipt, sent]) = said.as_ref().map(|said| said.answers.as_slice()) else { continue };
            let (Some(receipt), Some(sent)) = (read::<Receipt>(receipt), read::<Transaction>(sent)) else { continue };
            if cursor.number < receipt.block_number.to::<u64>() {
                // The network is not read as far as that yet.
                continue;
            }
            if receipt.status != U64::from(1) {
                missing = Missing::ForGood(Failure::TransactionFailed);
                continue;
            }
            let header = node.ask_hosts(&[header_call(receipt.block_number.to())]).await.pop();
            let header = header.and_then(|said| read::<Header>(said.answers.first()?));
            let Some(block) = header.filter(|header| header.hash == receipt.block_hash) else { continue };
            let came = self.brought(transaction, &receipt, &sent, &block.to_block(), deposit).await?;
            if came.transfers.is_empty() && came.at_wallets.is_empty() {
                missing = Missing::ForGood(Failure::TransactionPaysAnother);
                continue;
            }
            self.record_brought(came, cursor).await?;
            return Ok(Missing::Yet(Failure::PaymentNotFound));
        }
        Ok(missing)
    }

    /// What a transaction brought to an address, as far as its logs and its own value say.
    async fn brought(
        &self,
        transaction: B256,
        receipt: &Receipt,
        sent: &Transaction,
        block: &BlockRef,
        deposit: WatchedDeposit,
    ) -> Result<Brought, StepError> {
        let tokens = self.logging_contracts();
        let is_ours = |log: &&RawLog| {
            let [event, _, to, ..] = log.topics.as_slice() else { return false };
            EVENTS.contains(event)
                && *to == deposit.address.into_word()
                && (tokens.contains(&log.address) || log.address == FACTORY)
        };
        let raw = receipt.logs.iter().filter(is_ours).cloned().collect();
        let blocks = [block.clone()];
        let checked = {
            let is_it = |address| address == deposit.address;
            Scope { blocks: &blocks, factory: FACTORY, tokens: &tokens, is_watched: &is_it, has_key: &|_| false }
                .check(raw)
        };
        let mut logs = checked.map_err(StepError::Untrue)?;
        logs.retain(|log| log.transaction == transaction);
        let mut prices = PricesAtBlocks::new();
        if deposit.mode.settles_at_once() {
            let mut merchants = self.app.store.reader().await?.tx().merchants_of_wallet(deposit.address).await?;
            if !merchants.contains(&deposit.merchant) {
                merchants.push(deposit.merchant);
            }
            let wallets = HashMap::from([(deposit.address, merchants)]);
            let at_wallets = self.seen_at_wallets(&blocks, &wallets, &logs, &mut prices).await;
            return Ok(Brought { transfers: Vec::new(), at_wallets });
        }
        let is_told_by_logs = self.network.native_logs;
        let is_own_value = !is_told_by_logs && sent.to == Some(deposit.address) && sent.value != U256::ZERO;
        let native = is_own_value.then(|| Arrival {
            deposit: deposit.address,
            amount: sent.value,
            block: block.clone(),
            tx_id: transaction.to_string(),
            position: position::of_native(sent.index.to(), 0),
            payer: Some(sent.from),
        });
        let deposits = HashMap::from([(deposit.address, deposit)]);
        let mut came = self.seen_transfers(&blocks, &deposits, &logs, native.into_iter().collect(), &mut prices).await;
        if self.may_be_recorded_otherwise(&came, deposit).await? {
            came.retain(|transfer| Some(transfer.token) != self.native_token().map(super::TokenConfig::token_id));
        }
        Ok(Brought { transfers: came, at_wallets: Vec::new() })
    }

    /// Whether native coin of this transaction may be recorded already, as something that came without one.
    async fn may_be_recorded_otherwise(
        &self,
        came: &[SeenTransfer],
        deposit: WatchedDeposit,
    ) -> Result<bool, StepError> {
        let native = self.native_token().map(super::TokenConfig::token_id);
        let mut reader = self.app.store.reader().await?;
        let known = reader.tx().transfers(deposit.merchant, deposit.invoice).await?;
        let is_without = |known: &&crate::store::TransferRecord| {
            known.canonical
                && known.network == self.network.name
                && Some(known.token) == native
                && known.tx_id.starts_with("internal:")
        };
        Ok(came.iter().any(|transfer| Some(transfer.token) == native) && known.iter().any(|known| is_without(&known)))
    }

    async fn record_brought(&mut self, brought: Brought, cursor: BlockRef) -> Result<(), StepError> {
        let scan = Scan {
            network: self.network.name.clone(),
            from: Some(cursor),
            forked_at: None,
            blocks: Vec::new(),
            transfers: brought.transfers,
            at_wallets: brought.at_wallets,
            sweeps: Vec::new(),
            failures: Vec::new(),
            marks: self.judged_by,
            vouched: Vec::new(),
            is_alone: self.node.hosts().len() < super::WITNESSES,
            compared: None,
        };
        // What is recorded of the coin is loaded anew: some of it may have been known.
        self.holdings = None;
        self.record(Reading { scan, is_at_head: true, checks_ended: false }).await?;
        self.holdings = None;
        Ok(())
    }
}

fn read<T: for<'d> Deserialize<'d>>(answer: &Answer) -> Option<T> {
    match answer {
        Ok(Value::Null) | Err(_) => None,
        Ok(answer) => T::deserialize(answer).ok(),
    }
}

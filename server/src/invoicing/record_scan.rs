//! Recording what a watcher saw: facts, cursor, statuses and events in one transaction.

use domain::{
    acceptance::Acceptance,
    finality::{Finality, Marks},
    id::{InvoiceId, MerchantId, PaymentId, TokenId},
    money::{Decimals, Rate, TokenAmount},
    quote::Quote,
    transfer::Valuation,
};

use super::recording::{Recording, Said, attribute};
use crate::{
    alarm,
    app::App,
    chains::evm::SweepFailure,
    events::Change,
    failpoint,
    store::{
        BlockRef, Comparison, Difference, FactKey, Lane, Lease, StoreError, SweepFailureRecord, SweepRecord,
        TransferRecord, Tx, UnattributedRecord,
    },
};

/// A stretch of one chain, read and verified.
#[derive(Clone, Debug)]
pub struct Scan {
    pub network: String,
    /// Where the cursor stood when the scan began; somebody who moved it meanwhile wins.
    pub from: Option<BlockRef>,
    /// The newest block that chain and memory agree on, if blocks above it were replaced.
    pub forked_at: Option<BlockRef>,
    /// The blocks read, oldest first; the last one becomes the cursor. Empty if there were none.
    pub blocks: Vec<BlockRef>,
    pub transfers: Vec<SeenTransfer>,
    /// What came to merchants' wallets, once for each merchant whose it is; to which invoices is found when it is
    /// recorded.
    pub at_wallets: Vec<UnattributedRecord>,
    pub sweeps: Vec<SeenSweep>,
    /// What sweeps left where it was.
    pub failures: Vec<SeenFailure>,
    /// What the chain calls its blocks.
    pub marks: Marks,
    /// Facts recorded before that more than one endpoint showed, or for which one is enough.
    pub vouched: Vec<FactKey>,
    /// Whether there is no other endpoint to ask, so that the word of one has to do where little is at stake.
    pub is_alone: bool,
    /// What deposit addresses were compared after the last block, with what is recorded of them then.
    pub compared: Option<Compared>,
}

/// Deposit addresses that were asked what they hold.
#[derive(Clone, Debug)]
pub struct Compared {
    pub lane: Lane,
    /// How far all addresses of the lane are compared then, if that is said of more than a few.
    pub comparison: Option<Comparison>,
    /// Those that hold something else than is recorded.
    pub differences: Vec<Difference>,
    /// What was noticed before, and is none any more.
    pub ended: Vec<Difference>,
}

/// Value that arrived at a deposit address.
#[derive(Clone, Debug)]
pub struct SeenTransfer {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub block: BlockRef,
    /// The transaction's hash, or a made-up id for value that no transaction's own transfer explains.
    pub tx_id: String,
    /// Unique within transaction and block, and ordered as the chain orders.
    pub log_index: i64,
    /// Which one it is among this transaction's transfers of this token to this address, from 0.
    pub ordinal: u32,
    pub token: TokenId,
    pub decimals: Decimals,
    pub amount: TokenAmount,
    pub payer: Option<String>,
    /// Whether this server takes the token at all; others are shown but not credited. What the merchant says
    /// about it is asked when it is recorded.
    pub accepted: bool,
    /// The price at that block, for when no quote was in force; `None` if none can be trusted.
    pub price_at_block: Option<Rate>,
}

/// Value that left a deposit address: the factory forwarded it, or whoever has the address's key took it out.
#[derive(Clone, Debug)]
pub struct SeenSweep {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub block: BlockRef,
    pub tx_id: String,
    pub log_index: i64,
    pub token: TokenId,
    pub amount: TokenAmount,
}

impl Compared {
    /// All addresses of open invoices hold what is recorded of them after a block.
    #[cfg(test)]
    pub(crate) fn all_agree(at: &BlockRef) -> Self {
        let comparison = Some(Comparison { at: at.clone(), round: None });
        Self { lane: Lane::Open, comparison, differences: Vec::new(), ended: Vec::new() }
    }
}

/// Value that a sweep left at a deposit address.
#[derive(Clone, Debug)]
pub struct SeenFailure {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub block: BlockRef,
    pub tx_id: String,
    pub log_index: i64,
    pub token: TokenId,
    pub reason: SweepFailure,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the cursor of {0} was moved by somebody else")]
    CursorMoved(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SeenTransfer {
    /// What came to a wallet, as a payment of an invoice.
    pub(super) fn to_invoice(came: &UnattributedRecord, invoice: InvoiceId) -> Self {
        Self {
            merchant: came.merchant,
            invoice,
            block: BlockRef { number: came.block_number, hash: came.block_hash.clone(), time: came.block_time },
            tx_id: came.tx_id.clone(),
            log_index: came.log_index,
            ordinal: came.ordinal,
            token: came.token,
            decimals: came.decimals,
            amount: came.amount,
            payer: came.payer.clone(),
            accepted: came.accepted,
            price_at_block: came.price_at_block,
        }
    }
}

/// Whether it came from a deposit address, whose payment was counted when it arrived there.
async fn is_our_sweep(tx: &mut Tx<'_>, came: &UnattributedRecord) -> Result<bool, StoreError> {
    match came.payer.as_ref().and_then(|payer| payer.parse().ok()) {
        Some(payer) => tx.is_deposit_of(came.merchant, payer).await,
        None => Ok(false),
    }
}

/// Stores a scan and everything that follows from it, or nothing.
///
/// # Errors
///
/// [`RecordError::CursorMoved`] if another watcher was quicker; the scan must be made again.
/// [`StoreError::LeaseLost`] if it is for another node to watch the network.
pub async fn record_scan(app: &App, lease: &Lease, mut scan: Scan) -> Result<(), RecordError> {
    let (task, lease) = (app.clone(), lease.clone());
    let (touched, failed) = app
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                tx.lock_network(&scan.network).await?;
                if tx.cursor(&scan.network).await? != scan.from {
                    return Err(RecordError::CursorMoved(scan.network));
                }
                if let Some(fork) = &scan.forked_at {
                    tx.orphan_unattributed_above(&scan.network, fork.number).await?;
                }
                for came in std::mem::take(&mut scan.at_wallets) {
                    // First of all: a sweep may happen to be of an amount that somebody was asked for.
                    if is_our_sweep(tx, &came).await? {
                        continue;
                    }
                    scan.transfers.extend(attribute(tx, &came, &Said::default()).await?);
                }
                let network = scan.network.as_str();
                let settings = task.config.network(network);

                // All invoices first: a fold writes facts too, and must not wait for one of ours while we wait for it.
                let transfers = scan.transfers.iter().map(|seen| (seen.merchant, seen.invoice));
                let sweeps = scan.sweeps.iter().map(|seen| (seen.merchant, seen.invoice));
                let fork = scan.forked_at.as_ref().map(|fork| fork.number);
                tx.lock_invoices_of_network(network, fork, transfers.chain(sweeps)).await?;

                // Without either, only what is known of older facts is new.
                let head = scan.blocks.last().or(scan.forked_at.as_ref()).or(scan.from.as_ref()).cloned();
                let mut recording = Recording::new(&task, network, head.as_ref().map(|head| head.number), scan.marks);
                let seconds = recording.now();
                if let Some(fork) = &scan.forked_at {
                    recording.touch(tx.orphan_above(network, fork.number).await?);
                    tx.forget_sweep_failures_above(network, fork.number).await?;
                    tx.keep_blocks(network, 0, fork.number).await?;
                    tx.move_cursor(network, fork, seconds).await?;
                    tx.uncompare_above(network, fork).await?;
                }
                failpoint::pass("scan.after_orphaning");

                recording.record_transfers(tx, &scan.transfers).await?;
                failpoint::pass("scan.after_transfers");
                for seen in &scan.sweeps {
                    let record = seen.to_record(network, recording.confirmations(&seen.block));
                    if tx.record_sweep(&record).await? {
                        recording.touch([(seen.merchant, seen.invoice)]);
                    }
                }
                let failed = record_failures(tx, &scan).await?;
                for block in &scan.blocks {
                    tx.remember_block(network, block).await?;
                }
                if let Some(head) = &head {
                    let ring = settings.map_or(256, |settings| settings.ring_blocks);
                    tx.keep_blocks(network, head.number.saturating_sub(ring), head.number).await?;
                    tx.move_cursor(network, head, seconds).await?;
                }
                recording.judge(tx, &scan.vouched, scan.is_alone).await?;
                failpoint::pass("scan.after_cursor");
                if let Some(compared) = &scan.compared {
                    for known in &compared.ended {
                        tx.end_difference(network, known.merchant, known.invoice, known.token).await?;
                    }
                    for difference in &compared.differences {
                        tx.set_difference(network, difference, seconds).await?;
                    }
                    if let Some(comparison) = &compared.comparison {
                        tx.set_comparison(network, compared.lane, comparison).await?;
                    }
                }
                let touched = recording.refold(tx).await?;
                failpoint::pass("scan.after_refold");
                Ok::<_, RecordError>((touched, failed))
            })
        })
        .await?;
    tell_of_failures(&failed);
    for (merchant, invoice) in touched {
        app.hub.announce(merchant, Some(invoice), Change::Snapshot);
    }
    Ok(())
}

/// Records what sweeps left where it was, and forgets what later ones made up for. Returns what is new.
async fn record_failures(tx: &mut Tx<'_>, scan: &Scan) -> Result<Vec<SweepFailureRecord>, StoreError> {
    let network = scan.network.as_str();
    let mut failed = Vec::new();
    for seen in &scan.failures {
        let failure = seen.to_record(network);
        if tx.record_sweep_failure(&failure).await? {
            failed.push(failure);
        }
    }
    for seen in &scan.sweeps {
        let place = (seen.block.number, seen.log_index);
        tx.forget_sweep_failure(seen.merchant, seen.invoice, network, seen.token, place).await?;
    }
    Ok(failed)
}

fn tell_of_failures(failed: &[SweepFailureRecord]) {
    for failure in failed {
        tracing::error!(
            alarm = alarm::SWEEP_FAILED,
            payment.network = failure.network,
            invoice.id = %failure.invoice,
            merchant.id = %failure.merchant,
            token.id = %failure.token,
            transaction = failure.tx_id,
            reason = failure.reason,
            "ALARM: a sweep left money where it is; it is tried again later"
        );
    }
}

impl SeenTransfer {
    pub(super) fn to_record(
        &self,
        network: &str,
        quotes: &[Quote],
        acceptance: &Acceptance,
        confirmations: u32,
    ) -> TransferRecord {
        // Whoever was told to pay in it may do so, whatever the merchant said afterwards.
        let was_quoted = quotes.iter().any(|quote| quote.token == self.token);
        let is_taken = was_quoted || !acceptance.blocked_before(self.token, self.block.time);
        let valuation = if self.accepted && is_taken {
            Valuation::of(self.token, self.block.time, quotes, self.price_at_block)
        } else {
            Valuation::Unexpected
        };
        let address = self.invoice.to_string();
        TransferRecord {
            merchant: self.merchant,
            invoice: self.invoice,
            payment: PaymentId::of_transfer(network, &self.tx_id, &address, &self.token.to_string(), self.ordinal),
            network: network.to_owned(),
            block_hash: self.block.hash.clone(),
            tx_id: self.tx_id.clone(),
            log_index: self.log_index,
            token: self.token,
            decimals: self.decimals,
            amount: self.amount,
            payer: self.payer.clone(),
            block_number: self.block.number,
            block_time: self.block.time,
            valuation,
            canonical: true,
            confirmations,
            finality: Finality::Seen,
            vouched: false,
            announced: None,
        }
    }
}

impl SeenFailure {
    fn to_record(&self, network: &str) -> SweepFailureRecord {
        SweepFailureRecord {
            merchant: self.merchant,
            invoice: self.invoice,
            network: network.to_owned(),
            token: self.token,
            reason: self.reason.as_str().to_owned(),
            tx_id: self.tx_id.clone(),
            block_number: self.block.number,
            log_index: self.log_index,
            failed_at: self.block.time,
        }
    }
}

impl SeenSweep {
    fn to_record(&self, network: &str, confirmations: u32) -> SweepRecord {
        SweepRecord {
            merchant: self.merchant,
            invoice: self.invoice,
            network: network.to_owned(),
            block_hash: self.block.hash.clone(),
            tx_id: self.tx_id.clone(),
            log_index: self.log_index,
            token: self.token,
            amount: self.amount,
            block_number: self.block.number,
            canonical: true,
            confirmations,
            finality: Finality::Seen,
            vouched: false,
        }
    }
}

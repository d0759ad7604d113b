//! Recording what was read on Solana: facts, cursors, statuses and events in one transaction.

use domain::finality::Marks;

use super::{
    record_scan::{RecordError, SeenTransfer},
    recording::{Recording, Said, attribute},
};
use crate::{
    app::App,
    events::Change,
    failpoint,
    store::{AccountBalance, AccountCursor, BlockRef, Comparison, FactKey, Lane, Lease, UnattributedRecord},
};

/// What was read of a network's accounts.
#[derive(Clone, Debug)]
pub struct Reading {
    pub network: String,
    /// The newest confirmed block when reading began.
    pub head: BlockRef,
    /// Up to where the chain calls the blocks of what was recorded final.
    pub marks: Marks,
    /// How far accounts were read.
    pub cursors: Vec<AccountCursor>,
    /// What came, in the order of the chain, once for each merchant whose wallet it came to.
    pub arrivals: Vec<Arrived>,
    /// Transactions that were recorded before, are on the chain no more, and cannot come back.
    pub vanished: Vec<String>,
    /// Facts recorded before that more than one endpoint showed, or for which one is enough.
    pub vouched: Vec<FactKey>,
    /// Whether there is no other endpoint to ask.
    pub is_alone: bool,
    /// Whether everything that is listed of wallets of open invoices up to the head is known now.
    pub is_complete: bool,
    /// What accounts held, where there is news of that.
    pub balances: Vec<AccountBalance>,
    /// Up to which block what accounts of open invoices hold is explained now, or told as a difference.
    pub compared: Option<BlockRef>,
}

/// Value that came to a merchant's wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub came: UnattributedRecord,
    pub said: Said,
}

/// Stores a reading and everything that follows from it, or nothing.
///
/// What was recorded before changes nothing, so that the same may be read again.
///
/// # Errors
///
/// [`crate::store::StoreError::LeaseLost`] if it is for another node to watch the network.
pub async fn record_arrivals(app: &App, lease: &Lease, reading: Reading) -> Result<(), RecordError> {
    let (task, lease) = (app.clone(), lease.clone());
    let touched = app
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                let network = reading.network.as_str();
                tx.lock_network(network).await?;
                let mut transfers: Vec<SeenTransfer> = Vec::new();
                for Arrived { came, said } in &reading.arrivals {
                    transfers.extend(attribute(tx, came, said).await?);
                }
                // As in a scan: all invoices before any of their facts.
                let seen = transfers.iter().map(|seen| (seen.merchant, seen.invoice));
                tx.lock_invoices_of_network(network, None, seen).await?;

                let mut recording = Recording::new(&task, network, Some(reading.head.number), reading.marks);
                for signature in &reading.vanished {
                    recording.touch(tx.orphan_transaction(network, signature, None).await?);
                }
                // One that came back in another block is not in the one that it was seen in before.
                for Arrived { came, .. } in &reading.arrivals {
                    recording.touch(tx.orphan_transaction(network, &came.tx_id, Some(&came.block_hash)).await?);
                }
                failpoint::pass("arrivals.after_orphaning");
                recording.record_transfers(tx, &transfers).await?;
                failpoint::pass("arrivals.after_transfers");
                for cursor in &reading.cursors {
                    tx.move_solana_cursor(network, cursor).await?;
                }
                failpoint::pass("arrivals.after_cursors");
                if reading.is_complete {
                    tx.move_cursor(network, &reading.head, recording.now()).await?;
                }
                for balance in &reading.balances {
                    tx.set_solana_balance(network, balance).await?;
                }
                if let Some(at) = &reading.compared {
                    let comparison = Comparison { at: at.clone(), round: None };
                    tx.set_comparison(network, Lane::Open, &comparison).await?;
                }
                failpoint::pass("arrivals.after_balances");
                recording.judge(tx, &reading.vouched, reading.is_alone).await?;
                let touched = recording.refold(tx).await?;
                failpoint::pass("arrivals.after_refold");
                Ok::<_, RecordError>(touched)
            })
        })
        .await?;
    for (merchant, invoice) in touched {
        app.hub.announce(merchant, Some(invoice), Change::Snapshot);
    }
    Ok(())
}

//! Looking for a payment that somebody says was made.
//!
//! Whoever watches the network looks, when it is the turn of the search: at what the address holds, and at the transaction
//! if one was named. What is found is recorded like anything that is read; a search only says whether it was.

use domain::{
    id::{InvoiceId, MerchantId, VerificationId},
    time::UnixMillis,
};

use super::{Case, Payment};
use crate::{
    app::App,
    clock::random_bytes,
    store::{Failure, InvoiceRecord, Lease, StoreError, VerificationRecord},
    transaction_id::TransactionId,
};

/// How often it is looked; the last time after some six minutes.
pub const MOST_ATTEMPTS: u32 = 10;
/// The pause after the first look; doubles with each further one.
const SHORTEST_PAUSE_MS: i64 = 5_000;
const LONGEST_PAUSE_MS: i64 = 60_000;

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("this server has no network {0}")]
    NoSuchNetwork(String),
    #[error("the payer has not chosen a network yet")]
    NoNetwork,
    #[error("the invoice is to be paid on {active}; a payment on another network is looked for by its transaction")]
    OtherNetwork { active: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Has a payment looked for; a search that is under way is returned as it is.
///
/// # Errors
///
/// If it is not known where to look.
pub async fn verify(
    app: &App,
    invoice: &InvoiceRecord,
    network: Option<String>,
    transaction: Option<TransactionId>,
) -> Result<VerificationRecord, VerifyError> {
    if let Some(unknown) = network.as_ref().filter(|name| app.config.network(name).is_none()) {
        return Err(VerifyError::NoSuchNetwork(unknown.clone()));
    }
    let (merchant, id) = (invoice.merchant, invoice.id);
    let now = app.clock.now_ms();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_invoice(merchant, id).await?;
                if let Some(live) = tx.verification(merchant, id).await?.filter(|last| last.completed_at.is_none()) {
                    return Ok(live);
                }
                let active = tx.quotes(merchant, id).await?.pop().map(|last| last.network);
                let network = match (network, active) {
                    (Some(named), Some(active)) if transaction.is_none() && named != active => {
                        return Err(VerifyError::OtherNetwork { active });
                    }
                    (named, active) => named.or(active).ok_or(VerifyError::NoNetwork)?,
                };
                let record = VerificationRecord {
                    id: VerificationId::from_random(random_bytes()),
                    merchant,
                    invoice: id,
                    network,
                    transaction,
                    attempts: 0,
                    next_at: Some(now),
                    created_at: now,
                    updated_at: now,
                    completed_at: None,
                    failure: None,
                };
                tx.save_verification(&record).await?;
                Ok(record)
            })
        })
        .await
}

/// What a search led to: payments on its network, of its transaction if it names one.
pub fn found_by<'c>(record: &VerificationRecord, case: &'c Case) -> Vec<&'c Payment> {
    let transaction = record.transaction.map(|transaction| transaction.to_string());
    let is_it = |payment: &&Payment| {
        payment.record.canonical
            && payment.record.network == record.network
            && transaction.as_ref().is_none_or(|transaction| payment.record.tx_id == *transaction)
    };
    case.payments.iter().filter(is_it).collect()
}

/// Keeps what a look came to; `missing` is why it may have found nothing, and whether that is final.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] if it is for another node to look.
pub async fn conclude_look(
    app: &App,
    lease: &Lease,
    id: (MerchantId, InvoiceId, VerificationId),
    missing: Missing,
) -> Result<(), StoreError> {
    let (task, lease) = (app.clone(), lease.clone());
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                let (merchant, invoice, verification) = id;
                let record = tx.verification(merchant, invoice).await?;
                let Some(record) = record.filter(|last| last.id == verification && last.completed_at.is_none()) else {
                    return Ok(());
                };
                let Some(case) = Case::load(tx, &task.config, merchant, invoice).await? else { return Ok(()) };
                let is_found = !found_by(&record, &case).is_empty();
                tx.save_verification(&after_look(record, is_found, missing, task.clock.now_ms())).await
            })
        })
        .await
}

/// Why a look may have found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It may be there later.
    Yet(Failure),
    /// It will not.
    ForGood(Failure),
}

fn after_look(record: VerificationRecord, is_found: bool, missing: Missing, now: UnixMillis) -> VerificationRecord {
    let attempts = record.attempts.saturating_add(1);
    let failure = match missing {
        _ if is_found => None,
        Missing::Yet(_) if attempts < MOST_ATTEMPTS => {
            let doubled = SHORTEST_PAUSE_MS.saturating_mul(1 << (attempts - 1).min(8));
            let next_at = Some(UnixMillis(now.0.saturating_add(doubled.min(LONGEST_PAUSE_MS))));
            return VerificationRecord { attempts, next_at, updated_at: now, ..record };
        }
        Missing::Yet(failure) | Missing::ForGood(failure) => Some(failure),
    };
    VerificationRecord { attempts, next_at: None, updated_at: now, completed_at: Some(now), failure, ..record }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn record(attempts: u32) -> VerificationRecord {
        VerificationRecord {
            id: VerificationId::from_random([1; 16]),
            merchant: MerchantId(1),
            invoice: InvoiceId::from_random([2; 16]),
            network: "base".to_owned(),
            transaction: None,
            attempts,
            next_at: Some(NOW),
            created_at: NOW,
            updated_at: NOW,
            completed_at: None,
            failure: None,
        }
    }

    #[test]
    fn it_is_looked_ten_times_with_growing_pauses() {
        let missing = Missing::Yet(Failure::PaymentNotFound);
        let mut record = record(0);
        let mut pauses = Vec::new();
        while record.completed_at.is_none() {
            record = after_look(record, false, missing, NOW);
            pauses.extend(record.next_at.map(|next| (next.0 - NOW.0) / 1000));
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60, 60, 60, 60]);
        assert_eq!((record.attempts, record.failure), (MOST_ATTEMPTS, Some(Failure::PaymentNotFound)));
    }

    #[test]
    fn what_is_found_or_never_will_be_ends_it_at_once() {
        let found = after_look(record(3), true, Missing::Yet(Failure::PaymentNotFound), NOW);
        assert_eq!((found.completed_at, found.failure, found.attempts), (Some(NOW), None, 4));
        let failed = after_look(record(0), false, Missing::ForGood(Failure::TransactionFailed), NOW);
        assert_eq!((failed.next_at, failed.failure), (None, Some(Failure::TransactionFailed)));
    }
}

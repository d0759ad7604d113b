//! What came to a merchant's wallet and belongs to an invoice because the merchant says so.

use domain::id::{InvoiceId, MerchantId, PaymentId};

use super::{case::refold, record_scan::SeenTransfer};
use crate::{
    app::App,
    events::Change,
    store::{StoreError, UnattributedRecord},
};

#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("no such invoice")]
    NoSuchInvoice,
    #[error("payments of this invoice come to an address of its own, so that none has to be assigned")]
    HasOwnAddress,
    #[error("this transaction brought nothing to the invoice's wallet that belongs to no invoice")]
    NoSuchTransaction,
    #[error("the transaction brought several payments that belong to no invoice")]
    Ambiguous(Vec<UnattributedRecord>),
    #[error("this payment belongs to another invoice")]
    AttachedElsewhere,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counts what a transaction brought to a merchant's wallet towards an invoice. Said again, it changes nothing. If it brought
/// several payments, `payment` says which is meant.
///
/// Only the merchant may say so: everybody can see transactions of others.
///
/// # Errors
///
/// [`AttachError::AttachedElsewhere`] if it counts towards another invoice: each payment counts once.
/// [`AttachError::Ambiguous`] if nothing says which one is meant.
pub async fn attach(
    app: &App,
    merchant: MerchantId,
    id: InvoiceId,
    network: String,
    tx_id: String,
    payment: Option<PaymentId>,
) -> Result<(), AttachError> {
    let task = app.clone();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                // As a scan does: it may bring the same transaction in another block.
                tx.lock_network(&network).await?;
                tx.lock_invoice(merchant, id).await?;
                let invoice = tx.invoice(merchant, id).await?.ok_or(AttachError::NoSuchInvoice)?;
                let kind = task.config.kind_of(&network);
                if !invoice.shares_address_on(kind) {
                    return Err(AttachError::HasOwnAddress);
                }
                let wallet = invoice.address_on(kind);
                let mut came = tx.unattributed_of(merchant, &network, &tx_id).await?;
                came.retain(|came| {
                    Some(came.wallet) == wallet && payment.is_none_or(|payment| payment == came.payment())
                });
                let came = match <[_; 1]>::try_from(came) {
                    Ok([came]) => came,
                    Err(none) if none.is_empty() => return Err(AttachError::NoSuchTransaction),
                    Err(several) => return Err(AttachError::Ambiguous(several)),
                };
                let now = task.clock.now_ms();
                match tx.attachment(merchant, came.payment()).await? {
                    Some(known) if known == id => return Ok(()),
                    Some(_) => return Err(AttachError::AttachedElsewhere),
                    None => {}
                }
                tx.attach(merchant, came.payment(), id, now.as_seconds()).await?;
                let records = tx.quotes(merchant, id).await?;
                let quotes: Vec<_> = records.into_iter().map(|record| record.quote).collect();
                let acceptance = tx.acceptance(merchant).await?;
                let head = tx.cursor(&network).await?.map(|cursor| cursor.number);
                let confirmations = confirmations(&came, head);
                let record =
                    SeenTransfer::to_invoice(&came, id).to_record(&network, &quotes, &acceptance, confirmations);
                tx.record_transfer(&record, now.as_seconds()).await?;
                refold(tx, &task, now, merchant, id).await?;
                Ok(())
            })
        })
        .await?;
    app.hub.announce(merchant, Some(id), Change::Snapshot);
    Ok(())
}

/// Until the next scan judges it: only how deep it is.
fn confirmations(came: &UnattributedRecord, head: Option<u64>) -> u32 {
    let depth = head.and_then(|head| head.checked_sub(came.block_number)).map_or(0, |depth| depth.saturating_add(1));
    u32::try_from(depth).unwrap_or(u32::MAX)
}

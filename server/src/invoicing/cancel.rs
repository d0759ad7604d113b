//! Calling an invoice off while nobody has paid any of it.

use domain::{
    id::{InvoiceId, MerchantId},
    invoice::InvoiceStatus,
    money::UsdMillis,
};

use super::case::{Case, is_arriving, refold};
use crate::{app::App, events::Change, store::StoreError};

/// The invoice stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    #[error("there is no such invoice")]
    NoSuchInvoice,
    #[error("the invoice has ended already")]
    Ended(InvoiceStatus),
    #[error("money has arrived or is arriving")]
    MoneyArrives,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends an invoice that nothing was paid for. Money whose block is newer than that is held for the
/// merchant to decide about; money that was on the chain before, and unknown, still counts.
///
/// # Errors
///
/// If it has ended, or if money for it was seen.
pub async fn cancel(app: &App, merchant: MerchantId, id: InvoiceId) -> Result<Case, CancelError> {
    let (writer, now) = (app.clone(), app.clock.now_ms());
    let write = app.store.write(move |tx| {
        Box::pin(async move {
            tx.lock_invoice(merchant, id).await?;
            let case = Case::load(tx, &writer.config, merchant, id).await?.ok_or(CancelError::NoSuchInvoice)?;
            let standing = &case.invoice.standing;
            if standing.status.is_terminal() {
                return Err(CancelError::Ended(standing.status));
            }
            if standing.credit != UsdMillis::ZERO || case.payments.iter().any(is_arriving) {
                return Err(CancelError::MoneyArrives);
            }
            tx.cancel_invoice(merchant, id, now.as_seconds()).await?;
            refold(tx, &writer, now, merchant, id).await?;
            Case::load(tx, &writer.config, merchant, id).await?.ok_or(CancelError::NoSuchInvoice)
        })
    });
    let case = write.await?;
    app.hub.announce(merchant, Some(id), Change::Snapshot);
    Ok(case)
}

//! Addresses of a merchant's list on Solana: each is given to one invoice, also after the database went back to an older
//! state.

use std::time::Duration;

use tokio::time::timeout;

use super::addresses::AddressError;
use crate::{
    alarm,
    app::App,
    config::NetworkKind,
    solana::SolanaAddress,
    store::{InvoiceRecord, StoreError, Tx},
};

/// A chain that hangs must not make the payer's page hang. What was found out until then is kept.
const LOOKING_TAKES_AT_MOST: Duration = Duration::from_secs(8);

/// Sees to it that the address of an invoice on Solana was never used, before it is shown to anybody; one that was is
/// replaced by the next of the list. Returns the address, or `None` if the list has no other.
///
/// # Errors
///
/// [`AddressError::Unknown`] if the network does not answer, and [`AddressError::TooSlow`] if it takes too long.
pub(super) async fn ensure_fresh(
    app: &App,
    invoice: &InvoiceRecord,
    network: &str,
) -> Result<Option<SolanaAddress>, AddressError> {
    if !invoice.solana_is_own || is_shown(app, &mut app.store.reader().await?.tx(), invoice).await? {
        return Ok(invoice.solana_address);
    }
    timeout(LOOKING_TAKES_AT_MOST, find_fresh(app, invoice, network)).await.unwrap_or(Err(AddressError::TooSlow))
}

async fn find_fresh(app: &App, invoice: &InvoiceRecord, network: &str) -> Result<Option<SolanaAddress>, AddressError> {
    let mut looked_at = invoice.solana_address;
    while let Some(address) = looked_at {
        let asked = app.token_accounts.was_used(network, address).await;
        if !asked.ok_or_else(|| AddressError::Unknown(network.to_owned()))? {
            break;
        }
        tracing::error!(
            alarm = alarm::ADDRESS_USED_BEFORE,
            merchant.id = %invoice.merchant,
            address.used = %address,
            "ALARM: an address of a list that was about to be given to a payer was used before; the next one is taken"
        );
        looked_at = replace(app, invoice, address).await?;
    }
    Ok(looked_at)
}

/// Whether a payer was told the address.
async fn is_shown(app: &App, tx: &mut Tx<'_>, invoice: &InvoiceRecord) -> Result<bool, StoreError> {
    let quotes = tx.quotes(invoice.merchant, invoice.id).await?;
    Ok(quotes.iter().any(|quote| app.config.network(&quote.network).is_none_or(|of| of.kind == NetworkKind::Solana)))
}

/// The address that an invoice has after the one that was looked at; it is another one already if somebody else was faster.
async fn replace(
    app: &App,
    invoice: &InvoiceRecord,
    looked_at: SolanaAddress,
) -> Result<Option<SolanaAddress>, AddressError> {
    let (task, merchant, id) = (app.clone(), invoice.merchant, invoice.id);
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                tx.lock_invoice(merchant, id).await?;
                let invoice = tx.invoice(merchant, id).await?.ok_or(StoreError::NotCommitted)?;
                if invoice.solana_address != Some(looked_at) || is_shown(&task, tx, &invoice).await? {
                    return Ok(invoice.solana_address);
                }
                let next = tx.take_solana_address(merchant, id).await?;
                tx.change_solana_address(merchant, id, next).await?;
                Ok(next)
            })
        })
        .await
}

//! Pricing what came while its price could not be had.
//!
//! A feed that did not answer in the moment a payment was read must not leave it for a person to decide. It is asked again
//! what it said at the payment's block; what was priced once is never priced anew. What is taken at par is left: its feed
//! only guards it, and one that cannot be read says that it is a dollar.

use std::{collections::HashSet, time::Duration};

use domain::money::Rate;

use super::case::refold;
use crate::{
    app::App,
    events::Change,
    nodes,
    rates::NoPrice,
    store::{Lease, StoreError, TransferRecord},
};

const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Nodes forget what contracts said at older blocks sooner than that.
const TRIED_FOR_SECONDS: i64 = 86_400;
/// So many feeds are asked in a row, of the newest payments.
const MOST_AT_ONCE: i64 = 100;

/// Runs until shutdown, whenever this node holds the lease.
pub async fn run(app: App) {
    nodes::hold(&app, nodes::PRICING, |lease| price_again_and_again(app.clone(), lease)).await;
}

async fn price_again_and_again(app: App, lease: Lease) {
    nodes::repeat(&lease, LOOK_EVERY, || price_unpriced(&app, &lease)).await;
}

/// Prices what has no price and can have one now.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] if it is for another node to do so.
pub async fn price_unpriced(app: &App, lease: &Lease) -> Result<(), StoreError> {
    let since = app.clock.now().plus(-TRIED_FOR_SECONDS);
    let unpriced = app.store.reader().await?.tx().unpriced_transfers(since, MOST_AT_ONCE).await?;
    let mut silent = HashSet::new();
    for transfer in unpriced {
        if !app.prices.has_feed(transfer.token) || silent.contains(&transfer.token) {
            continue;
        }
        match app.prices.at_block(transfer.token, &transfer.block()).await {
            Ok(rate) => record_price(app, lease, transfer, rate).await?,
            Err(NoPrice::Unreachable(_)) => {
                silent.insert(transfer.token);
            }
            Err(_) => {}
        }
    }
    Ok(())
}

async fn record_price(app: &App, lease: &Lease, transfer: TransferRecord, rate: Rate) -> Result<(), StoreError> {
    let (merchant, invoice) = (transfer.merchant, transfer.invoice);
    let (task, lease, now) = (app.clone(), lease.clone(), app.clock.now_ms());
    let priced = app.store.write(move |tx| {
        Box::pin(async move {
            tx.check_lease(&lease).await?;
            // As in a scan: the invoice before any of its facts.
            tx.lock_invoice(merchant, invoice).await?;
            if !tx.price_transfer(&transfer, rate).await? {
                return Ok(false);
            }
            refold(tx, &task, now, merchant, invoice).await?;
            Ok::<_, StoreError>(true)
        })
    });
    if priced.await? {
        tracing::info!(invoice.id = %invoice, merchant.id = %merchant, "a payment is priced by what its feed said then");
        app.hub.announce(merchant, Some(invoice), Change::Snapshot);
    }
    Ok(())
}

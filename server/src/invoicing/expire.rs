//! Ending invoices whose time is up.

use std::time::Duration;

use super::case::refold_for_time;
use crate::{
    app::App,
    events::Change,
    nodes,
    store::{Lease, StoreError},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// More than can wait at once for a chain that is down; those must not keep others from ending.
const MOST_AT_ONCE: i64 = 10_000;

/// Runs until shutdown, whenever this node holds the lease. When an invoice really ends is the domain's decision;
/// this only asks.
pub async fn run(app: App) {
    nodes::hold(&app, nodes::EXPIRY, |lease| end_invoices(app.clone(), lease)).await;
}

async fn end_invoices(app: App, lease: Lease) {
    nodes::repeat(&lease, LOOK_EVERY, || end_due_invoices(&app, &lease)).await;
}

/// Ends what is due.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] if it is for another node to do so.
pub async fn end_due_invoices(app: &App, lease: &Lease) -> Result<(), StoreError> {
    let now = app.clock.now_ms();
    let due = app.store.reader().await?.tx().invoices_past_their_time(now.as_seconds(), MOST_AT_ONCE).await?;
    for (merchant, invoice) in due {
        let (task, lease) = (app.clone(), lease.clone());
        let ended = app
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.check_lease(&lease).await?;
                    refold_for_time(tx, &task, now, merchant, invoice).await
                })
            })
            .await;
        match ended {
            Ok(true) => app.hub.announce(merchant, Some(invoice), Change::Snapshot),
            Ok(false) => {}
            Err(error @ StoreError::LeaseLost { .. }) => return Err(error),
            // The others end all the same.
            Err(error) => tracing::error!(invoice.id = %invoice, error = %error, "an invoice could not be ended"),
        }
    }
    Ok(())
}

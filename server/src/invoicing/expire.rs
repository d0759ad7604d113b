//! Ending invoices whose time is up.

use std::time::Duration;

use super::case::refold_for_time;
use crate::{app::App, events::Change, store::StoreError};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// More than can wait at once for a chain that is down; those must not keep others from ending.
const MOST_AT_ONCE: i64 = 10_000;

/// Runs until shutdown. When an invoice really ends is the domain's decision; this only asks.
pub async fn run(app: App) {
    loop {
        if let Err(error) = end_due_invoices(&app).await {
            tracing::error!(error = %error, "invoices could not be ended");
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

pub(crate) async fn end_due_invoices(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now_ms();
    let due = app.store.reader().await?.tx().invoices_past_their_time(now.as_seconds(), MOST_AT_ONCE).await?;
    for (merchant, invoice) in due {
        let task = app.clone();
        let ended = app
            .store
            .write(move |tx| Box::pin(async move { refold_for_time(tx, &task, now, merchant, invoice).await }))
            .await;
        match ended {
            Ok(true) => app.hub.announce(merchant, Some(invoice), Change::Snapshot),
            Ok(false) => {}
            // The others end all the same.
            Err(error) => tracing::error!(invoice.id = %invoice, error = %error, "an invoice could not be ended"),
        }
    }
    Ok(())
}

//! Numbers events after their commit and wakes who follows them.
//!
//! Numbers are given in a transaction of their own, by one task, so that they have no gaps and a
//! reader never sees a number before a smaller one. Being told of new events makes it quick; looking
//! again every second makes it certain, also for events that another process wrote.

use std::time::Duration;

use crate::{app::App, events::Change, failpoint, store::StoreError};

const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
const MOST_AT_ONCE: i64 = 500;

/// Runs until shutdown.
pub async fn run(app: App) {
    loop {
        match number_new_events(&app).await {
            Ok(numbered) if i64::try_from(numbered).is_ok_and(|numbered| numbered == MOST_AT_ONCE) => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(error = %error, "events could not be numbered"),
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = app.store.events_added() => {}
            () = tokio::time::sleep(LOOK_AGAIN_AFTER) => {}
        }
    }
}

/// Gives numbers to what waits for them; returns how many.
async fn number_new_events(app: &App) -> Result<usize, StoreError> {
    let waiting = app.store.reader().await?.tx().has_unnumbered_events().await?;
    if !waiting {
        return Ok(0);
    }
    failpoint::pass("sequencer.before_numbering");
    let numbered = app.store.write(move |tx| Box::pin(async move { tx.number_events(MOST_AT_ONCE).await })).await?;
    failpoint::pass("sequencer.after_numbering");
    for &(merchant, invoice, sequence) in &numbered {
        app.hub.announce(merchant, invoice, Change::Event { sequence });
    }
    app.hub.log_grew();
    Ok(numbered.len())
}

//! Numbers events after their commit.
//!
//! Numbers are given in a transaction of their own, by one task on one node, so that they have no gaps and a
//! reader never sees a number before a smaller one. Being told of new events makes it quick; looking
//! again every second makes it certain, also for events that another process wrote.

use std::time::Duration;

use crate::{
    app::App,
    failpoint, nodes,
    store::{Lease, StoreError},
};

const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
const MOST_AT_ONCE: i64 = 500;

/// Runs until shutdown, whenever this node holds the lease.
pub async fn run(app: App) {
    nodes::hold(&app, nodes::SEQUENCER, |lease| number(app.clone(), lease)).await;
}

/// Ends when the lease is lost.
async fn number(app: App, lease: Lease) {
    loop {
        match number_new_events(&app, &lease).await {
            Ok(numbered) if i64::try_from(numbered).is_ok_and(|numbered| numbered == MOST_AT_ONCE) => continue,
            Ok(_) => {}
            Err(error @ StoreError::LeaseLost { .. }) => {
                tracing::warn!(error = %error, "no more events are numbered here");
                return;
            }
            Err(error) => tracing::error!(error = %error, "events could not be numbered"),
        }
        tokio::select! {
            () = app.store.events_added() => {}
            () = tokio::time::sleep(LOOK_AGAIN_AFTER) => {}
        }
    }
}

/// Gives numbers to what waits for them; returns how many.
async fn number_new_events(app: &App, lease: &Lease) -> Result<usize, StoreError> {
    let waiting = app.store.reader().await?.tx().has_unnumbered_events().await?;
    if !waiting {
        return Ok(0);
    }
    failpoint::pass("sequencer.before_numbering");
    let lease = lease.clone();
    let numbering = app.store.write(move |tx| {
        Box::pin(async move {
            tx.check_lease(&lease).await?;
            let numbered = tx.number_events(MOST_AT_ONCE).await;
            failpoint::pass("sequencer.after_update");
            numbered
        })
    });
    let numbered = numbering.await?;
    failpoint::pass("sequencer.after_numbering");
    app.store.log_grew();
    Ok(numbered.len())
}

//! Wakes who follows events and invoices on this node, whichever node it is that changes them.
//!
//! It reads the log on from the last number it has told of. Being told that there is more makes it quick; looking
//! again every second makes it certain. What an invoice's page shows may change without an event, as confirmations do;
//! where other nodes may do that, the invoices followed here are compared with what they were a second ago.

use std::{collections::HashMap, time::Duration};

use domain::id::{InvoiceId, MerchantId};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    app::App,
    events::Change,
    store::{InvoiceVersion, StoreError},
};

const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
const MOST_AT_ONCE: i64 = 500;

/// Runs until shutdown.
pub async fn run(app: App) {
    // Whoever follows anything read the log after this was read, when the database was opened.
    let mut announced = app.log_began_at;
    let mut versions = Versions::new();
    let mut ticks = tokio::time::interval_at(Instant::now() + LOOK_AGAIN_AFTER, LOOK_AGAIN_AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match announce_new_events(&app, &mut announced).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(error = %error, "the log could not be followed"),
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = app.store.log_growth() => {}
            _ = ticks.tick() => {
                // Nobody else changes a database that is this node's alone, and what this one changes is told at once.
                if app.store.is_shared() && let Err(error) = announce_new_versions(&app, &mut versions).await {
                    tracing::error!(error = %error, "the invoices of streams could not be compared");
                }
            }
        }
    }
}

/// Tells of what came after `announced`, and moves that; returns whether there may be more at once.
async fn announce_new_events(app: &App, announced: &mut i64) -> Result<bool, StoreError> {
    let numbered = app.store.reader().await?.tx().numbered_events(*announced, MOST_AT_ONCE).await?;
    for &(merchant, invoice, sequence) in &numbered {
        app.hub.announce(merchant, invoice, Change::Event { sequence });
        *announced = sequence;
    }
    if !numbered.is_empty() {
        app.hub.log_grew();
    }
    Ok(i64::try_from(numbered.len()).is_ok_and(|count| count == MOST_AT_ONCE))
}

type Versions = HashMap<(MerchantId, InvoiceId), InvoiceVersion>;

/// Tells of each followed invoice that is not as it was at the last look, or was not looked at then. Whoever follows
/// it knows what it was like when that began.
async fn announce_new_versions(app: &App, versions: &mut Versions) -> Result<(), StoreError> {
    let followed = app.hub.followed_invoices();
    if followed.is_empty() {
        versions.clear();
        return Ok(());
    }
    let mut found = Versions::with_capacity(followed.len());
    for invoices in followed.chunks(InvoiceVersion::MOST_AT_ONCE) {
        found.extend(app.store.reader().await?.tx().invoice_versions(invoices).await?);
    }
    for (key, now) in &found {
        let before = versions.get(key);
        if before.is_none_or(|before| before.last_quote != now.last_quote) {
            app.hub.announce(key.0, Some(key.1), Change::Quote);
        }
        if before.is_none_or(|before| before.version != now.version) {
            app.hub.announce(key.0, Some(key.1), Change::Snapshot);
        }
    }
    *versions = found;
    Ok(())
}

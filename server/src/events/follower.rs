//! Wakes who follows events on this node, whichever node it is that numbers them.
//!
//! It reads the log on from the last number it has told of. Being told that there is more makes it quick; looking
//! again every second makes it certain.

use std::time::Duration;

use crate::{app::App, events::Change, store::StoreError};

const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
const MOST_AT_ONCE: i64 = 500;

/// Runs until shutdown.
pub async fn run(app: App) {
    // Whoever follows anything read the log after this was read, when the database was opened.
    let mut announced = app.log_began_at;
    loop {
        match announce_new_events(&app, &mut announced).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(error = %error, "the log could not be followed"),
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = app.store.log_growth() => {}
            () = tokio::time::sleep(LOOK_AGAIN_AFTER) => {}
        }
    }
}

/// Tells of what came after `announced`, and moves that; returns whether there may be more at once.
async fn announce_new_events(app: &App, announced: &mut i64) -> Result<bool, StoreError> {
    let numbered = app.store.reader().await?.tx().numbered_events(*announced, MOST_AT_ONCE).await?;
    for &(_, invoice, sequence) in &numbered {
        app.hub.announce(invoice, Change::Event { sequence });
        *announced = sequence;
    }
    if !numbered.is_empty() {
        app.hub.log_grew();
    }
    Ok(i64::try_from(numbered.len()).is_ok_and(|count| count == MOST_AT_ONCE))
}

//! Tidying up: events that are older than they have to be kept, and what else is of no more use.
//!
//! It never keeps writers waiting: each step is a short transaction of a few rows, and then rests for at least as
//! long as it took, so that at most half of a writer's time goes into it.

use std::time::Duration;

use domain::time::UnixMillis;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::{
    app::App,
    nodes,
    store::{StoreError, Tx},
};

const LOOK_EVERY: Duration = Duration::from_hours(1);
/// Rows that one step removes at most.
const REMOVED_AT_ONCE: i64 = 200;
/// For so long the same key gets the same answer.
const IDEMPOTENCY_KEYS_KEPT_SECONDS: i64 = 30 * 86_400;
/// Waiting writes get their turn, however quick a step was.
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// Runs until shutdown, whenever this node holds the lease.
pub async fn run(app: App) {
    nodes::hold(&app, nodes::RETENTION, |_| keep_tidy(&app)).await;
}

async fn keep_tidy(app: &App) {
    loop {
        // Two nodes at it would do no harm, so that no step has to ask for the lease.
        if let Err(error) = tidy(app).await {
            tracing::error!(error = %error, "what is too old could not be removed; it will be tried again");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Removes everything that is too old by now; returns how many events that was.
///
/// # Errors
///
/// If the database refuses; what was removed by then stays so.
pub async fn tidy(app: &App) -> Result<u64, StoreError> {
    let now = app.clock.now();
    let events_before = now.plus(-app.config.events.retention_days.saturating_mul(86_400)).as_millis();
    let events = prune_events(app, events_before).await?;
    remove(app, move |tx| Box::pin(async move { tx.prune_deliveries(events_before, REMOVED_AT_ONCE).await })).await?;
    remove(app, move |tx| Box::pin(async move { tx.forget_stream_tokens(now, REMOVED_AT_ONCE).await })).await?;
    remove(app, move |tx| Box::pin(async move { tx.forget_merchant_stream_tokens(now, REMOVED_AT_ONCE).await }))
        .await?;
    let keys_before = now.plus(-IDEMPOTENCY_KEYS_KEPT_SECONDS);
    remove(app, move |tx| Box::pin(async move { tx.prune_idempotency_keys(keys_before, REMOVED_AT_ONCE).await }))
        .await?;
    if events != 0 {
        tracing::info!(events, "removed old events");
    }
    Ok(events)
}

async fn prune_events(app: &App, before: UnixMillis) -> Result<u64, StoreError> {
    let (mut events, mut after) = (0, Some(0));
    while let Some(from) = after {
        after = step(app, move |tx| Box::pin(async move { tx.prune_events(from, before, REMOVED_AT_ONCE).await }))
            .await
            .map(|pruned| {
                events += pruned.events;
                pruned.next
            })?;
    }
    Ok(events)
}

/// Repeats a removal until it finds less than it may remove at once.
async fn remove<F>(app: &App, removal: F) -> Result<(), StoreError>
where
    F: for<'t> Fn(&'t mut Tx<'_>) -> BoxFuture<'t, Result<u64, StoreError>> + Clone + Send + 'static,
{
    loop {
        let removed = step(app, removal.clone()).await?;
        if removed < REMOVED_AT_ONCE.unsigned_abs() {
            return Ok(());
        }
    }
}

/// One short write, and a rest after it.
async fn step<T, F>(app: &App, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    let started = Instant::now();
    let done = app.store.write(work).await?;
    tokio::time::sleep(started.elapsed().max(SHORTEST_REST)).await;
    Ok(done)
}

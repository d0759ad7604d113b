//! Several processes on one database: which of them live, and which one does what only one may do.
//!
//! Any node serves any request. The duties that must not be done twice at a time each have a lease; whoever holds
//! it does it, and the others wait for it to lapse. On a SQLite file, which has one server, all of this is there
//! too, and every lease is free.

mod lease;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

pub use lease::{hold, repeat, take};

use crate::{
    app::App,
    store::{LeaseState, StoreError},
};

/// Gives events their numbers.
pub const SEQUENCER: &str = "sequencer";
/// Ends invoices whose time is up.
pub const EXPIRY: &str = "expiry";
/// Prices payments whose price could not be had when they came.
pub const PRICING: &str = "pricing";
/// Forgets what is too old to be kept.
pub const RETENTION: &str = "retention";
/// Watches the network whose name follows.
pub const WATCH: &str = "watch:";

/// Sends sweeps on the network whose name follows.
pub const SWEEP: &str = "sweep:";

/// How many nodes live, as far as this one knows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Living(Arc<AtomicUsize>);

impl Default for Living {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }
}

impl Living {
    /// At least this one.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, count: usize) {
        self.0.store(count.max(1), Ordering::Relaxed);
    }
}

/// How long a lease lasts unless it is renewed.
pub fn lease_length(app: &App) -> Duration {
    Duration::from_millis(app.config.nodes.lease_ms)
}

/// How often it is renewed: two renewals may fail before it is lost.
fn renewal_interval(app: &App) -> Duration {
    lease_length(app) * 3 / 10
}

/// Makes this node known. Comes before anything that other nodes might take for a dead one's.
///
/// # Errors
///
/// If the database refuses.
pub async fn join(app: &App) -> Result<(), StoreError> {
    say_alive(app, lease_length(app)).await?;
    look_round(app).await
}

/// Keeps this node known, and looks for the others, until shutdown.
pub async fn run(app: App) {
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => break,
            () = tokio::time::sleep(renewal_interval(&app)), if app.store.is_shared() => {}
        }
        if let Err(error) = join(&app).await {
            tracing::warn!(error = %error, "the other nodes could not be told that this one lives");
        }
    }
    // What still runs may take as long as this.
    let grace = Duration::from_secs(app.config.server.shutdown_grace_seconds);
    if let Err(error) = say_alive(&app, grace + lease_length(&app)).await {
        tracing::warn!(error = %error, "the other nodes may take this one for dead before it has ended");
    }
}

/// Says that this node has ended. Comes after all that it did.
pub async fn leave(app: &App) {
    let node = app.node.clone();
    let left: Result<_, StoreError> =
        app.store.write(move |tx| Box::pin(async move { tx.forget_node(&node).await })).await;
    if let Err(error) = left {
        tracing::warn!(error = %error, "the other nodes were not told that this one has ended");
    }
}

async fn say_alive(app: &App, length: Duration) -> Result<(), StoreError> {
    let node = app.node.clone();
    app.store.write(move |tx| Box::pin(async move { tx.keep_node(&node, length).await })).await
}

/// Learns how many nodes live, and how the networks fare that others watch.
async fn look_round(app: &App) -> Result<(), StoreError> {
    let mut reader = app.store.reader().await?;
    app.living.set(reader.tx().living_nodes().await?.len());
    let leases = reader.tx().leases(WATCH).await?;
    drop(reader);
    let by_network: HashMap<String, LeaseState> =
        leases.into_iter().filter_map(|state| Some((state.name.strip_prefix(WATCH)?.to_owned(), state))).collect();
    app.outages.told(&by_network);
    Ok(())
}

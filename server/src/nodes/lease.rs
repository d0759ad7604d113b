//! Holding a lease for as long as a duty lasts.

use std::time::Duration;

use super::{WATCH, lease_length, renewal_interval};
use crate::{
    app::App,
    failpoint,
    store::{Lease, StoreError},
};

/// Whoever waits for a lease looks so often whether it is free.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Does a duty whenever this node holds its lease, until shutdown. The duty is dropped when the lease is lost, and
/// begun anew, with nothing remembered, when it is held again; it may end when it finds out first.
pub async fn hold<D>(app: &App, name: &str, mut duty: impl FnMut(Lease) -> D)
where
    D: Future<Output = ()>,
{
    while let Some(lease) = wait_for(app, name).await {
        tracing::info!(lease.name = name, lease.term, "this node took a lease");
        failpoint::pass("lease.after_take");
        tokio::select! {
            () = app.shutdown.cancelled() => {
                release(app, lease).await;
                return;
            }
            () = duty(lease.clone()) => {}
            () = keep(app, &lease) => {}
        }
        tracing::warn!(lease.name = name, lease.term, "this node stepped down: it has lost a lease");
    }
}

/// Does a duty again and again, so long after each time, until its lease turns out to be lost. What fails is tried again.
pub async fn repeat<W>(lease: &Lease, every: Duration, mut work: impl FnMut() -> W)
where
    W: Future<Output = Result<(), StoreError>>,
{
    loop {
        match work().await {
            Ok(()) => {}
            Err(error @ StoreError::LeaseLost { .. }) => {
                tracing::warn!(lease.name = %lease.name, error = %error, "a duty ends here");
                return;
            }
            Err(error) => {
                tracing::error!(lease.name = %lease.name, error = %error, "a duty failed, and is tried again");
            }
        }
        tokio::time::sleep(every).await;
    }
}

/// Takes a lease, if it is free.
///
/// # Errors
///
/// If the database refuses, also because the one who had it is in the middle of a write.
pub async fn take(app: &App, name: &str) -> Result<Option<Lease>, StoreError> {
    let length = lease_length(app);
    let is_free = |reader: &[crate::store::LeaseState]| {
        reader.iter().find(|state| state.name == name).is_none_or(|state| state.free_for.is_some())
    };
    // Looking first keeps those who wait from writing.
    if app.store.is_shared() && !is_free(&app.store.reader().await?.tx().leases(name).await?) {
        return Ok(None);
    }
    let (name, node) = (name.to_owned(), app.node.clone());
    app.store.write(move |tx| Box::pin(async move { tx.take_lease(&name, &node, length).await })).await
}

/// `None` at shutdown.
async fn wait_for(app: &App, name: &str) -> Option<Lease> {
    let mut is_told = false;
    loop {
        if app.shutdown.is_cancelled() {
            return None;
        }
        match take(app, name).await {
            Ok(Some(lease)) => return Some(lease),
            // Its last holder fell asleep in the middle of a write; the database ends that soon.
            Ok(None) | Err(StoreError::NotCommitted) => is_told = false,
            Err(error) if is_told => tracing::debug!(lease.name = name, error = %error, "no lease could be taken"),
            Err(error) => {
                tracing::warn!(lease.name = name, error = %error, "no lease could be taken");
                is_told = true;
            }
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return None,
            () = app.store.lease_freeing() => {}
            () = tokio::time::sleep(LOOK_EVERY.min(renewal_interval(app))) => {}
        }
    }
}

/// Renews a lease until it is lost. While the database cannot be reached nobody else can take it either.
async fn keep(app: &App, lease: &Lease) {
    if !app.store.is_shared() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(renewal_interval(app)).await;
        let impairment = lease.name.strip_prefix(WATCH).and_then(|network| app.outages.impairment(network));
        let renewed = lease.clone();
        let renewal: Result<_, StoreError> =
            app.store.write(move |tx| Box::pin(async move { tx.renew_lease(&renewed, impairment).await })).await;
        match renewal {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(lease.name = &*lease.name, error = %error, "a lease could not be renewed in time");
            }
        }
    }
}

async fn release(app: &App, lease: Lease) {
    let name = lease.name.clone();
    let released: Result<_, StoreError> =
        app.store.write(move |tx| Box::pin(async move { tx.release_lease(&lease).await })).await;
    match released {
        Ok(()) => app.store.lease_freed().await,
        // It lapses by itself.
        Err(error) => tracing::warn!(lease.name = &*name, error = %error, "a lease could not be given back"),
    }
}

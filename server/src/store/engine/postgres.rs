//! PostgreSQL: many writers, each job a transaction of its own.
//!
//! The server itself puts commits together that come at the same time. Jobs run in tasks that nobody can
//! cancel; should a transaction be left open all the same, it ends before its connection is used again.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use sqlx::{
    AnyConnection, AnyPool, Connection, Executor, Row,
    any::{AnyConnectOptions, AnyPoolOptions},
    postgres::PgListener,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};

use super::{Job, Outcome, panic_text};
use crate::{failpoint, store::StoreError};

/// How connections to it call themselves.
pub(super) const NAME: &str = "PostgreSQL";

/// The oldest version that its makers still mend.
const OLDEST: u32 = 140_000;
pub(super) const READERS: u32 = 8;
pub(super) const WRITERS: u32 = 16;

/// Twenty a second: telling costs the database something, and the others have to look each time.
const BETWEEN_HINTS: Duration = Duration::from_millis(50);
/// Between two tries to hear the others.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// No statement of ours takes long: a lost one must not hold its locks for ever.
const LIMITS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
                      SET idle_in_transaction_session_timeout = '30s'";

/// Opens a database, brings it up to date, and checks that it runs as it must. Returns connections to read
/// with and connections to write with.
pub(super) async fn open(url: &str) -> Result<(AnyPool, AnyPool), StoreError> {
    let options: AnyConnectOptions = url.parse().map_err(StoreError::Open)?;
    let mut connection = AnyConnection::connect_with(&options).await.map_err(StoreError::Open)?;
    check(&mut connection).await?;
    // Nodes that start together take turns: the migrator locks the database while it works.
    sqlx::migrate!("migrations/postgres").run(&mut connection).await.map_err(StoreError::Migrate)?;
    connection.close().await.map_err(StoreError::Open)?;

    let readers = guarded(READERS, "SET default_transaction_read_only = on");
    let readers = readers.connect_with(options.clone()).await.map_err(StoreError::Open)?;
    let writers = guarded(WRITERS, "SET default_transaction_isolation = 'read committed'");
    let writers = writers.connect_with(options).await.map_err(StoreError::Open)?;
    Ok((readers, writers))
}

/// Connections that carry no transaction from one user to the next.
pub(super) fn guarded(most: u32, setting: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(most)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(LIMITS).await?;
                connection.execute(setting).await?;
                Ok(())
            })
        })
        .after_release(|connection, _| Box::pin(leave_transaction(connection)))
}

/// Ends the transaction that a request may have left open by being dropped inside it, which nobody owns any
/// more; `false` if the connection is of no further use.
///
/// A plain `ROLLBACK` would have the server log a warning each time there is nothing to end.
async fn leave_transaction(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    match connection.execute("BEGIN; ROLLBACK").await {
        Ok(_) => Ok(true),
        // One that has failed takes nothing but its end.
        Err(sqlx::Error::Database(_)) => Ok(connection.execute("ROLLBACK").await.is_ok()),
        Err(_) => Ok(false),
    }
}

/// Tells the other nodes to look. It has no transaction of ours around it: the database lets only one commit at a
/// time tell something, and every write would wait for that.
pub(super) async fn send_hint(connections: &AnyPool) {
    if let Err(error) = connections.execute("NOTIFY pepay, 'look'").await {
        tracing::debug!(error = %error, "the other nodes were not told; they look by themselves");
    }
}

/// Tells the other nodes to look whenever `outgoing` is told, but only so often.
pub(super) async fn send_hints(connections: &AnyPool, outgoing: &Notify) {
    loop {
        outgoing.notified().await;
        send_hint(connections).await;
        tokio::time::sleep(BETWEEN_HINTS).await;
    }
}

/// Calls `heard` whenever a node says that there may be something new, and whenever one may have said so unheard.
pub(super) async fn hear_hints(url: &str, mut heard: impl FnMut()) {
    let mut pause = SHORTEST_PAUSE;
    let mut is_told = false;
    loop {
        match listen(url).await {
            Ok(mut listener) => {
                pause = SHORTEST_PAUSE;
                is_told = false;
                heard();
                while let Ok(Some(_)) = listener.try_recv().await {
                    heard();
                }
            }
            Err(error) if is_told => tracing::debug!(error = %error, "the other nodes still cannot be heard"),
            Err(error) => {
                tracing::warn!(error = %error, "the other nodes cannot be heard; what they do is seen later");
                is_told = true;
            }
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

async fn listen(url: &str) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen("pepay").await?;
    Ok(listener)
}

/// Refuses a server that is too old, keeps other text than ours, or forgets what it has acknowledged.
async fn check(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let version = setting(connection, "SHOW server_version_num").await?;
    if !version.parse().is_ok_and(|version: u32| OLDEST <= version) {
        let found = setting(connection, "SHOW server_version").await?;
        return Err(StoreError::Unsafe { what: "PostgreSQL version", found, wanted: "14 or newer" });
    }
    for (query, what, safe, wanted) in [
        ("SHOW server_encoding", "server_encoding", ["UTF8", "UTF8"], "UTF8"),
        ("SHOW fsync", "fsync", ["on", "on"], "on"),
        ("SHOW full_page_writes", "full_page_writes", ["on", "on"], "on"),
        ("SHOW synchronous_commit", "synchronous_commit", ["on", "remote_apply"], "on or remote_apply"),
    ] {
        let found = setting(connection, query).await?;
        if !safe.contains(&found.as_str()) {
            return Err(StoreError::Unsafe { what, found, wanted });
        }
    }
    Ok(())
}

async fn setting(connection: &mut AnyConnection, query: &'static str) -> Result<String, StoreError> {
    let row = connection.fetch_one(query).await.map_err(StoreError::Open)?;
    row.try_get(0).map_err(StoreError::Open)
}

/// Runs jobs side by side until the last sender is gone and the last job is done.
pub(super) async fn run_writers(pool: AnyPool, mut jobs: mpsc::Receiver<Job>) {
    let mut running = JoinSet::new();
    loop {
        // More than there are connections would wait for one only to be told that it takes too long.
        let has_room = running.len() < WRITERS as usize;
        tokio::select! {
            job = jobs.recv(), if has_room => match job {
                Some(job) => drop(running.spawn(run_job(pool.clone(), job))),
                None => break,
            },
            Some(_) = running.join_next() => {}
        }
    }
    while running.join_next().await.is_some() {}
    pool.close().await;
}

/// Whoever waits for a job that could not be committed sees that by its being dropped.
async fn run_job(pool: AnyPool, job: Job) {
    if let Err(error) = commit(&pool, job).await {
        tracing::error!(error = %error, "a write could not be committed");
    }
}

async fn commit(pool: &AnyPool, job: Job) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    connection.execute("BEGIN").await?;
    let outcome = AssertUnwindSafe(async { job(&mut connection).await }).catch_unwind().await;
    match outcome {
        Ok(Outcome::Keep(then)) => {
            failpoint::pass("store.before_commit");
            // A transaction that failed, of which the job hid the error, would "commit" by undoing all, and say
            // so in words only. The query fails instead, and the commit is not reached.
            connection.execute("SELECT 1; COMMIT").await?;
            failpoint::pass("store.after_commit");
            then();
        }
        Ok(Outcome::Undo(then)) => {
            // If this fails, the connection is broken, and the server undoes it.
            let _undone = connection.execute("ROLLBACK").await;
            then();
        }
        Err(panic) => {
            tracing::error!(message = panic_text(&panic), "a write panicked and was undone");
            connection.execute("ROLLBACK").await?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "postgres_node_tests.rs"]
mod node_tests;

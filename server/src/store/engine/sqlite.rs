//! SQLite: one writer that groups commits.
//!
//! A task owns the only writing connection and takes all jobs that wait as one commit, each behind a
//! savepoint of its own, so that durability costs one flush for many. Jobs run in that task, so a
//! client that hangs up cannot cancel one half-way.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use sqlx::{
    AnyConnection, AnyPool, Connection, Executor, Row,
    any::{AnyConnectOptions, AnyPoolOptions},
};
use tokio::sync::mpsc;

use super::{Job, Outcome, panic_text};
use crate::{failpoint, store::StoreError};

/// The oldest SQLite without a known way to corrupt a write-ahead log.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];
/// Waiting this long for another process's write; administration commands run beside the server.
const BUSY_TIMEOUT_MS: u32 = 10_000;
const READERS: u32 = 8;
/// Jobs that share a commit at most.
const LARGEST_GROUP: usize = 256;

/// Opens a SQLite database, brings it up to date, and checks that it runs as it must.
pub(super) async fn open(url: &str) -> Result<(AnyPool, AnyConnection), StoreError> {
    let url = if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") };
    let options: AnyConnectOptions = url.parse().map_err(StoreError::Open)?;

    let mut writer = AnyConnection::connect_with(&options).await.map_err(StoreError::Open)?;
    prepare(&mut writer).await.map_err(StoreError::Open)?;
    check_version(&mut writer).await?;
    sqlx::migrate!("migrations/sqlite").run(&mut writer).await.map_err(StoreError::Migrate)?;
    check_pragmas(&mut writer).await?;

    let readers = AnyPoolOptions::new()
        .max_connections(READERS)
        .after_connect(|connection, _| {
            Box::pin(async move {
                prepare(connection).await?;
                connection.execute("PRAGMA query_only = ON").await?;
                Ok(())
            })
        })
        .after_release(|connection, _| Box::pin(leave_transaction(connection)))
        .connect_with(options)
        .await
        .map_err(StoreError::Open)?;
    Ok((readers, writer))
}

async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    connection.execute("PRAGMA journal_mode = WAL").await?;
    connection.execute("PRAGMA synchronous = FULL").await?;
    connection.execute("PRAGMA foreign_keys = ON").await?;
    let busy_timeout = format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}");
    connection.execute(sqlx::AssertSqlSafe(busy_timeout)).await?;
    Ok(())
}

/// Ends the transaction that a request may have left open by being dropped inside it, which nobody
/// owns any more; `false` if the connection is of no further use.
async fn leave_transaction(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    match connection.execute("ROLLBACK").await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) => Ok(error.message().contains("no transaction is active")),
        Err(_) => Ok(false),
    }
}

async fn check_version(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let row = connection.fetch_one("SELECT sqlite_version()").await.map_err(StoreError::Open)?;
    let version: String = row.try_get(0).map_err(StoreError::Open)?;
    if is_safe_version(&version) {
        Ok(())
    } else {
        Err(StoreError::Unsafe { what: "SQLite version", found: version, wanted: "3.51.3 or newer" })
    }
}

fn is_safe_version(version: &str) -> bool {
    let numbers: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
    numbers.is_ok_and(|numbers| OLDEST_SQLITE.as_slice() <= numbers.as_slice())
}

async fn check_pragmas(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let row = connection.fetch_one("PRAGMA journal_mode").await.map_err(StoreError::Open)?;
    let journal: String = row.try_get(0).map_err(StoreError::Open)?;
    if journal != "wal" {
        return Err(StoreError::Unsafe { what: "PRAGMA journal_mode", found: journal, wanted: "wal" });
    }
    for (pragma, what, wanted, text) in [
        ("PRAGMA synchronous", "PRAGMA synchronous", 2_i64, "2 (FULL)"),
        ("PRAGMA foreign_keys", "PRAGMA foreign_keys", 1, "1"),
    ] {
        let row = connection.fetch_one(pragma).await.map_err(StoreError::Open)?;
        let found: i64 = row.try_get(0).map_err(StoreError::Open)?;
        if found != wanted {
            return Err(StoreError::Unsafe { what, found: found.to_string(), wanted: text });
        }
    }
    Ok(())
}

/// Runs jobs in groups until the last sender is gone.
pub(super) async fn run_writer(mut connection: AnyConnection, mut jobs: mpsc::Receiver<Job>) {
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, LARGEST_GROUP).await != 0 {
        // Jobs of a group that cannot be committed are dropped, and whoever waits for them sees that.
        if let Err(error) = commit_group(&mut connection, group.drain(..)).await {
            tracing::error!(error = %error, "a group of writes could not be committed");
            let _no_transaction = connection.execute("ROLLBACK").await;
        }
    }
    let _closing = connection.close().await;
}

async fn commit_group(connection: &mut AnyConnection, group: impl Iterator<Item = Job>) -> Result<(), sqlx::Error> {
    let mut afterwards = Vec::new();
    connection.execute("BEGIN IMMEDIATE").await?;
    for job in group {
        connection.execute("SAVEPOINT job").await?;
        let outcome = AssertUnwindSafe(async { job(connection).await }).catch_unwind().await;
        match outcome {
            Ok(Outcome::Keep(then)) => match connection.execute("RELEASE job").await {
                Ok(_) => afterwards.push(then),
                // The job hid an error that its changes cannot survive; the others' can.
                Err(error) => {
                    tracing::error!(error = %error, "a write could not be kept and was undone");
                    undo_job(connection).await?;
                }
            },
            Ok(Outcome::Undo(then)) => {
                undo_job(connection).await?;
                afterwards.push(then);
            }
            Err(panic) => {
                tracing::error!(message = panic_text(&panic), "a write panicked and was undone");
                undo_job(connection).await?;
            }
        }
    }
    failpoint::pass("store.before_commit");
    connection.execute("COMMIT").await?;
    failpoint::pass("store.after_commit");
    for then in afterwards {
        then();
    }
    Ok(())
}

async fn undo_job(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    connection.execute("ROLLBACK TO job").await?;
    connection.execute("RELEASE job").await?;
    Ok(())
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use sqlx::{AnyConnection, Connection, Executor, Row};
use tokio::sync::mpsc;

use super::{is_safe_version, run_writer};
use crate::{
    store::{Store, StoreError},
    testing::TempDir,
};

async fn open(dir: &TempDir) -> Store {
    Store::open_file(&dir.path().join("test.db")).await.unwrap().0
}

/// A connection of somebody else to the same file.
async fn stranger(dir: &TempDir) -> AnyConnection {
    AnyConnection::connect(&format!("sqlite:{}", dir.path().join("test.db").display())).await.unwrap()
}

/// Adds a row; whether it is there is asked with [`names`].
async fn add(store: &Store, name: &'static str) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query("INSERT INTO counters (name, value) VALUES ($1, 1)")
                    .bind(name)
                    .execute(&mut *tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await
}

async fn names(connection: &mut AnyConnection) -> Vec<String> {
    let rows = connection.fetch_all("SELECT name FROM counters WHERE name <> 'events' ORDER BY name").await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn pragma(connection: &mut AnyConnection, name: &'static str) -> i64 {
    connection.fetch_one(name).await.unwrap().get(0)
}

#[test]
fn only_sqlite_without_the_log_corruption_is_safe() {
    for version in ["3.51.3", "3.51.10", "3.52", "3.53.0", "4.0.0"] {
        assert!(is_safe_version(version), "{version}");
    }
    for version in ["3.51.2", "3.51", "3.46.0", "3.9.99", "2.99.99", "", "3.x.4", "new"] {
        assert!(!is_safe_version(version), "{version}");
    }
}

#[tokio::test]
async fn writer_and_readers_run_on_the_pragmas_they_need() {
    let dir = TempDir::new();
    let url = format!("sqlite:{}", dir.path().join("test.db").display());
    let (readers, mut writer) = super::open(&url).await.unwrap();
    let mut reader = readers.acquire().await.unwrap();
    for (connection, query_only) in [(&mut writer, 0), (&mut *reader, 1)] {
        let journal: String = connection.fetch_one("PRAGMA journal_mode").await.unwrap().get(0);
        assert_eq!(journal, "wal");
        assert_eq!(pragma(connection, "PRAGMA synchronous").await, 2);
        assert_eq!(pragma(connection, "PRAGMA foreign_keys").await, 1);
        assert_eq!(pragma(connection, "PRAGMA busy_timeout").await, 10_000);
        assert_eq!(pragma(connection, "PRAGMA query_only").await, query_only);
    }
    assert!(reader.execute("INSERT INTO counters (name, value) VALUES ('x', 1)").await.is_err());
}

#[tokio::test]
async fn other_engines_and_databases_in_memory_are_refused() {
    assert!(
        matches!(Store::open("mysql://host/db").await, Err(StoreError::UnknownEngine(scheme)) if scheme == "mysql")
    );
    assert!(matches!(
        Store::open("sqlite::memory:").await,
        Err(StoreError::Unsafe { what: "PRAGMA journal_mode", .. })
    ));
}

#[tokio::test]
async fn a_file_name_may_hold_what_means_something_in_a_url() {
    let dir = TempDir::new();
    let path = dir.path().join("a b?c#d%20e.db");
    let (store, writer) = Store::open_file(&path).await.unwrap();
    add(&store, "kept").await.unwrap();
    drop(store);
    writer.await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let dir = TempDir::new();
    let (store, writer) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
    add(&store, "kept").await.unwrap();
    drop(store);
    writer.await.unwrap();
    open(&dir).await;
    assert_eq!(names(&mut stranger(&dir).await).await, ["kept"]);
}

#[tokio::test]
async fn a_write_waits_for_another_process() {
    let dir = TempDir::new();
    let store = open(&dir).await;
    let mut other = stranger(&dir).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let release = async {
        // By now the write has been handed over, and waits.
        tokio::task::yield_now().await;
        other.execute("INSERT INTO counters (name, value) VALUES ('theirs', 1)").await.unwrap();
        other.execute("COMMIT").await.unwrap();
    };
    let (written, ()) = tokio::join!(add(&store, "ours"), release);
    written.unwrap();
    assert_eq!(names(&mut other).await, ["ours", "theirs"]);
}

#[tokio::test]
async fn writes_that_cannot_begin_are_answered_and_later_ones_go_through() {
    let dir = TempDir::new();
    let (store, _) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
    let mut impatient = stranger(&dir).await;
    impatient.execute("PRAGMA busy_timeout = 1").await.unwrap();
    let (writer, jobs) = mpsc::channel(16);
    let store = Store { writer, ..store };
    let mut other = stranger(&dir).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();

    let check = async {
        let answers = join_all([add(&store, "first"), add(&store, "second")]).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::NotCommitted))), "{answers:?}");
        other.execute("ROLLBACK").await.unwrap();
        add(&store, "third").await.unwrap();
        assert_eq!(names(&mut other).await, ["third"]);
        drop(store);
    };
    tokio::join!(run_writer(impatient, jobs), check);
}

/// A constraint that is checked at the commit only makes the commit itself fail.
#[tokio::test]
async fn writes_whose_commit_fails_are_answered_and_leave_nothing() {
    let dir = TempDir::new();
    let store = open(&dir).await;
    let mut other = stranger(&dir).await;
    other
        .execute("CREATE TABLE debts (name TEXT REFERENCES counters (name) DEFERRABLE INITIALLY DEFERRED)")
        .await
        .unwrap();
    let owe = store.write(|tx| {
        Box::pin(async move {
            tx.connection.execute("INSERT INTO debts (name) VALUES ('nobody')").await?;
            Ok::<_, StoreError>(())
        })
    });
    let (owing, adding) = tokio::join!(owe, add(&store, "same group"));
    assert!(matches!(owing, Err(StoreError::NotCommitted)), "{owing:?}");
    assert!(matches!(adding, Err(StoreError::NotCommitted)), "{adding:?}");
    assert_eq!(names(&mut other).await, [""; 0]);

    add(&store, "afterwards").await.unwrap();
    assert_eq!(names(&mut other).await, ["afterwards"]);
}

/// Ending the whole transaction is the worst a job can do, and what the engine does when the disk is full.
#[tokio::test]
async fn a_write_that_ends_the_transaction_is_not_reported_as_kept() {
    let dir = TempDir::new();
    let store = open(&dir).await;
    let ending = store.write(|tx| {
        Box::pin(async move {
            tx.connection.execute("INSERT INTO counters (name, value) VALUES ('lost', 1)").await?;
            tx.connection.execute("ROLLBACK").await?;
            Ok::<_, StoreError>(())
        })
    });
    let (ended, _) = tokio::join!(ending, add(&store, "same group"));
    assert!(matches!(ended, Err(StoreError::NotCommitted)), "{ended:?}");
    add(&store, "afterwards").await.unwrap();
    assert!(!names(&mut stranger(&dir).await).await.contains(&"lost".to_owned()));
}

#[tokio::test]
async fn the_sequencer_is_told_of_committed_events_only() {
    let dir = TempDir::new();
    let store = open(&dir).await;
    let write = |keep: bool| {
        store.write(move |tx| {
            Box::pin(async move {
                tx.has_new_events = true;
                if keep { Ok(()) } else { Err(StoreError::NotCommitted) }
            })
        })
    };
    assert!(write(false).await.is_err());
    assert_eq!(store.events_added().now_or_never(), None);
    write(true).await.unwrap();
    assert_eq!(store.events_added().now_or_never(), Some(()));
}

/// Requests that are dropped in the middle of a query must not leave an old snapshot on a pooled connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_dropped_inside_a_query_sees_the_present_the_next_time() {
    let dir = TempDir::new();
    let store = open(&dir).await;
    let many = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 10000)
        SELECT n, name FROM many, counters";
    for round in 0..200_u64 {
        let readers = (0..8_u64).map(|number| {
            let store = store.clone();
            let patience = Duration::from_micros((round * 8 + number) * 7 % 900);
            async move {
                let read = async {
                    let mut reader = store.reader().await.unwrap();
                    reader.tx().connection.fetch_all(many).await.unwrap();
                    std::future::pending::<()>().await;
                };
                tokio::time::timeout(patience, read).await.unwrap_err();
            }
        });
        join_all(readers).await;
    }
    add(&store, "new").await.unwrap();
    // All connections at once, so that each is looked at.
    let mut all = join_all((1..super::READERS).map(|_| store.reader())).await;
    for reader in &mut all {
        let tx = reader.as_mut().unwrap().tx();
        assert_eq!(names(tx.connection).await, ["new"]);
        tx.connection.execute("BEGIN").await.expect("no transaction is open");
    }
}

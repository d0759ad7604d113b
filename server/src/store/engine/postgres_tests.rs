use std::time::{Duration, Instant};

use futures_util::{FutureExt, future::join_all};
use postgres_cluster::{Cluster, new_database};
use sqlx::{AnyConnection, AnyPool, Connection, Executor, Row};

use super::{READERS, WRITERS, guarded, open};
use crate::store::{Store, StoreError, deliveries::OWED_ENDPOINTS};

/// Connections of somebody else to a database.
async fn stranger(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn number(connection: &mut AnyConnection, query: &'static str) -> i64 {
    connection.fetch_one(query).await.unwrap().get(0)
}

const ADDED: &str = "SELECT COUNT(*) FROM counters WHERE name <> 'events'";
/// Connections to this database, but for the one that asks, that are inside a transaction and do nothing.
const IDLE_IN_TRANSACTION: &str = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";

/// Cancels `count` transactions of a pool while they begin: the server has been asked, and nobody hears
/// its answer.
async fn cancel_beginnings(pool: &AnyPool, count: usize) {
    let mut cancelled = 0;
    while cancelled < count {
        let mut connection = pool.acquire().await.unwrap();
        // Now and then the server is quicker than the looking.
        if connection.begin().now_or_never().is_none() {
            cancelled += 1;
        }
    }
}

/// Adds rows one by one; returns how many were acknowledged.
async fn add_rows(pool: &AnyPool, count: usize) -> i64 {
    let adding = (0..count).map(|row| async move {
        sqlx::query("INSERT INTO counters (name, value) VALUES ($1, 1)").bind(format!("row {row}")).execute(pool).await
    });
    i64::try_from(join_all(adding).await.iter().filter(|added| added.is_ok()).count()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_beginning_leaves_no_transaction_open_and_loses_no_row() {
    let url = new_database();
    let (_, writers) = {
        sqlx::any::install_default_drivers();
        open(&url).await.unwrap()
    };
    cancel_beginnings(&writers, 1000).await;
    let acknowledged = add_rows(&writers, 200).await;
    let mut stranger = stranger(&url).await;
    assert_eq!((acknowledged, number(&mut stranger, ADDED).await), (200, 200));
    // All at once, so that each one is back from its last user.
    let held = join_all((0..WRITERS).map(|_| writers.acquire())).await;
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(number(&mut stranger, IDLE_IN_TRANSACTION).await, 0);
}

/// What the guard is for. When this fails, the driver has been mended, and the guard may go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_guard_acknowledged_rows_are_missing() {
    let url = new_database();
    drop(Store::open(&url).await.unwrap());
    let unguarded = guarded(4, "SELECT 1").after_release(|_, _| Box::pin(async { Ok(true) }));
    let unguarded = unguarded.connect(&url).await.unwrap();
    cancel_beginnings(&unguarded, 20).await;
    let acknowledged = add_rows(&unguarded, 20).await;
    let mut stranger = stranger(&url).await;
    assert!(number(&mut stranger, ADDED).await < acknowledged);
    assert_ne!(number(&mut stranger, IDLE_IN_TRANSACTION).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dropped_read_asked_for_is_given_to_nobody_else() {
    let (store, _writer) = Store::open(&new_database()).await.unwrap();
    drop(join_all((1..READERS).map(|_| store.reader())).await);
    for round in 0..200_i64 {
        let reads = (0..8_i64).map(|number| {
            let asked = round * 8 + number;
            let patience = Duration::from_micros(u64::try_from(asked * 7 % 900).unwrap());
            let store = store.clone();
            async move {
                let read = async {
                    loop {
                        let mut reader = store.reader().await.unwrap();
                        let row = sqlx::query("SELECT $1::BIGINT, generate_series(1, 100)")
                            .bind(asked)
                            .fetch_one(&mut *reader.tx().connection)
                            .await
                            .unwrap();
                        assert_eq!(row.get::<i64, _>(0), asked);
                    }
                };
                tokio::time::timeout(patience, read).await.unwrap_err();
            }
        });
        join_all(reads).await;
    }
}

/// The pages that a query touches, with its parameters in their order.
async fn pages_read(connection: &mut AnyConnection, query: &str, parameters: &[i64]) -> u64 {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS) {query}");
    let mut asked = sqlx::query(sqlx::AssertSqlSafe(explain));
    for parameter in parameters {
        asked = asked.bind(*parameter);
    }
    let rows = asked.fetch_all(connection).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let all = plan.iter().find(|line| line.contains("Buffers:")).expect("the plan says what was read");
    let numbers = all.split_whitespace().filter_map(|word| word.split_once('=')?.1.parse::<u64>().ok());
    numbers.sum()
}

#[tokio::test]
async fn looking_who_is_owed_a_webhook_reads_few_pages_however_long_the_queue_is() {
    let url = new_database();
    drop(Store::open(&url).await.unwrap());
    let mut stranger = stranger(&url).await;
    let owe = "INSERT INTO merchants (name, email, evm_wallet, recovery_code, frame_origins, next_invoice_sequence,
            created_at) VALUES ('m', 'm', 'w', 'r', '[]', 1, 1);
        INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, secret, enabled_events, environment, api_version,
            is_active, created_at)
            SELECT 1, 'e' || n, 'u', 's', '[]', 'devnet', 'event_v1', 1, 1 FROM generate_series(1, 3) AS n;
        INSERT INTO events (merchant_id, event_type, environment, object, created_ms, sequence)
            SELECT 1, 'invoice.updated', 'devnet', '{}', 1, n FROM generate_series(1, 20000) AS n;
        INSERT INTO deliveries (merchant_id, endpoint_id, event_key, sent_as, state, attempts, due_ms, created_ms)
            SELECT 1, CASE WHEN sequence = 20000 THEN 'e3' ELSE 'e2' END, event_key, event_type, 'pending', 0, sequence, 1
            FROM events;
        ANALYZE";
    stranger.execute(owe).await.unwrap();
    let pages = pages_read(&mut stranger, OWED_ENDPOINTS, &[30_000, 100]).await;
    assert!(pages < 100, "{pages} pages");
}

#[tokio::test]
async fn readers_whose_connections_were_cut_get_others_within_a_second() {
    let url = new_database();
    let (store, _writer) = Store::open(&url).await.unwrap();
    drop(join_all((1..READERS).map(|_| store.reader())).await);
    let mut stranger = stranger(&url).await;
    let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(i64::from(READERS - 1) <= number(&mut stranger, cut).await);
    let began = Instant::now();
    let mut failed_last = began;
    while began.elapsed() < Duration::from_secs(2) {
        let mut reader = store.reader().await.unwrap();
        if reader.tx().last_event_sequence().await.is_err() {
            failed_last = Instant::now();
        }
    }
    assert!(failed_last.duration_since(began) < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_given_back_leaves_the_servers_log_alone() {
    let cluster = Cluster::start();
    let url = cluster.new_database();
    sqlx::any::install_default_drivers();
    let (readers, writers) = open(&url).await.unwrap();
    for pool in [&readers, &writers] {
        for _ in 0..20 {
            pool.acquire().await.unwrap().execute("SELECT 1").await.unwrap();
        }
    }
    readers.close().await;
    writers.close().await;
    assert!(!cluster.log().contains("WARNING"), "{}", cluster.log());
}

#[tokio::test]
async fn readers_cannot_write_and_no_connection_waits_for_ever() {
    let url = new_database();
    sqlx::any::install_default_drivers();
    let (readers, writers) = open(&url).await.unwrap();
    for pool in [&readers, &writers] {
        let mut connection = pool.acquire().await.unwrap();
        for (query, expected) in [
            ("SHOW statement_timeout", "30s"),
            ("SHOW lock_timeout", "10s"),
            ("SHOW idle_in_transaction_session_timeout", "30s"),
        ] {
            let found: String = connection.fetch_one(query).await.unwrap().get(0);
            assert_eq!(found, expected, "{query}");
        }
    }
    assert_eq!(readers.options().get_max_connections(), READERS);
    assert!(readers.execute("INSERT INTO counters (name, value) VALUES ('x', 1)").await.is_err());
}

#[tokio::test]
async fn a_server_that_forgets_what_it_acknowledged_is_refused() {
    for (forget, what) in [
        ("ALTER ROLE pepay SET synchronous_commit = off", "synchronous_commit"),
        ("ALTER ROLE pepay SET synchronous_commit = local", "synchronous_commit"),
    ] {
        let cluster = Cluster::start();
        let url = cluster.new_database();
        stranger(&url).await.execute(forget).await.unwrap();
        match Store::open(&url).await {
            Err(StoreError::Unsafe { what: refused, .. }) => assert_eq!(refused, what),
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("opened although: {forget}"),
        }
    }
    let cluster = Cluster::start();
    let url = cluster.new_database();
    let mut administrator = stranger(&url).await;
    administrator.execute("ALTER SYSTEM SET fsync = off").await.unwrap();
    administrator.execute("SELECT pg_reload_conf()").await.unwrap();
    // Each session takes it up between two of its commands.
    while administrator.fetch_one("SHOW fsync").await.unwrap().get::<String, _>(0) == "on" {}
    assert!(matches!(Store::open(&url).await, Err(StoreError::Unsafe { what: "fsync", .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_hid_a_failure_is_not_reported_as_kept() {
    let url = new_database();
    let (store, _) = Store::open(&url).await.unwrap();
    let hiding = store.write(|tx| {
        Box::pin(async move {
            tx.connection.execute("INSERT INTO counters (name, value) VALUES ('lost', 1)").await?;
            let _hidden = tx.connection.execute("INSERT INTO counters (name, value) VALUES ('lost', 1)").await;
            Ok::<_, StoreError>(())
        })
    });
    assert!(matches!(hiding.await, Err(StoreError::NotCommitted)));
    assert_eq!(number(&mut stranger(&url).await, ADDED).await, 0);
}

/// Two writes that each take what the other one wants next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writes_in_each_others_way_one_is_kept() {
    let url = new_database();
    let (store, _) = Store::open(&url).await.unwrap();
    stranger(&url).await.execute("INSERT INTO counters (name, value) VALUES ('a', 0), ('b', 0)").await.unwrap();
    let both_hold_one = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let take = |first: &'static str, second: &'static str| {
        let both_hold_one = std::sync::Arc::clone(&both_hold_one);
        store.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE counters SET value = value + 1 WHERE name = $1";
                sqlx::query(sql).bind(first).execute(&mut *tx.connection).await?;
                both_hold_one.wait().await;
                sqlx::query(sql).bind(second).execute(&mut *tx.connection).await?;
                Ok::<_, StoreError>(())
            })
        })
    };
    let answers = tokio::join!(take("a", "b"), take("b", "a"));
    match answers {
        (Ok(()), Err(StoreError::NotCommitted)) | (Err(StoreError::NotCommitted), Ok(())) => {}
        other => panic!("{other:?}"),
    }
    let sum = "SELECT SUM(value)::BIGINT FROM counters WHERE name <> 'events'";
    assert_eq!(number(&mut stranger(&url).await, sum).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_ends_once_all_is_written() {
    let url = new_database();
    let (store, writer) = Store::open(&url).await.unwrap();
    for name in ["a", "b", "c"] {
        let write = store.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO counters (name, value) VALUES ($1, 1)";
                sqlx::query(sql).bind(name).execute(&mut *tx.connection).await?;
                Ok::<_, StoreError>(())
            })
        });
        assert!(write.now_or_never().is_none());
    }
    drop(store);
    writer.await.unwrap();
    assert_eq!(number(&mut stranger(&url).await, ADDED).await, 3);
}

//! What several nodes on one database see of each other.

use std::{sync::Arc, time::Duration};

use domain::{id::MerchantId, time::UnixMillis};
use futures_util::future::join_all;
use postgres_cluster::new_database;
use sqlx::{AnyConnection, Connection, Executor, Row};
use tokio::sync::Notify;

use crate::store::{NewEvent, NodeId, Store, StoreError, lease_contract::is_lost};

const LONG: Duration = Duration::from_hours(1);
/// Far more than anything here takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn stranger(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

/// Waits until somebody waits for somebody else's row.
async fn somebody_waits(url: &str) {
    let mut stranger = stranger(url).await;
    let waiting =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while stranger.fetch_one(waiting).await.unwrap().get::<i64, _>(0) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_one_node_s_until_it_lapses() {
    let (store, _) = Store::open(&new_database()).await.unwrap();
    let (first, second) = (NodeId::random(), NodeId::random());
    let lease = store.takes(&first, LONG).await.unwrap();
    assert_eq!(store.takes(&second, LONG).await, None);
    assert_eq!(store.takes(&first, LONG).await, None);
    let shorter = crate::store::Lease { length: Duration::ZERO, ..lease };
    assert!(store.does(move |tx| Box::pin(async move { tx.renew_lease(&shorter, None).await })).await);
    assert_eq!(store.takes(&second, LONG).await.unwrap().term, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_a_lease_one_gets_it() {
    let (store, _) = Store::open(&new_database()).await.unwrap();
    for term in 1..=20 {
        let nodes: Vec<_> = (0..8).map(|_| NodeId::random()).collect();
        let taken = join_all(nodes.iter().map(|node| store.takes(node, LONG))).await;
        let taken: Vec<_> = taken.into_iter().flatten().collect();
        assert_eq!((taken.len(), taken[0].term), (1, term));
        let lease = taken[0].clone();
        store.does(move |tx| Box::pin(async move { tx.release_lease(&lease).await })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_a_lease_waits_for_what_its_holder_is_writing() {
    let url = new_database();
    let (store, _) = Store::open(&url).await.unwrap();
    let lease = store.takes(&NodeId::random(), Duration::ZERO).await.unwrap();
    // It has lapsed, and an hour is what it may sleep in the middle of a write.
    let lease = crate::store::Lease { length: LONG, ..lease };
    let (has_checked, may_go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let writing = {
        let (lease, has_checked, may_go_on) = (lease.clone(), Arc::clone(&has_checked), Arc::clone(&may_go_on));
        store.write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                has_checked.notify_one();
                may_go_on.notified().await;
                let sql = "INSERT INTO counters (name, value) VALUES ('held', 1)";
                sqlx::query(sql).execute(&mut *tx.connection).await?;
                Ok::<_, StoreError>(())
            })
        })
    };
    let taking = async {
        has_checked.notified().await;
        let node = NodeId::random();
        let (taken, ()) = tokio::join!(store.takes(&node, LONG), async {
            somebody_waits(&url).await;
            may_go_on.notify_one();
        });
        taken
    };
    let (written, taken) = tokio::time::timeout(PATIENCE, async { tokio::join!(writing, taking) }).await.unwrap();
    written.unwrap();
    assert_eq!((store.rows().await, taken.unwrap().term), (1, 2));
    is_lost(&store.writes_as(&lease, "late").await, &lease);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_falls_asleep_in_a_write_loses_it_and_the_lease() {
    for renews in [false, true] {
        falls_asleep(renews).await;
    }
}

/// In a write under the lease, or in one that renews the lease itself.
async fn falls_asleep(renews: bool) {
    let url = new_database();
    let (store, _) = Store::open(&url).await.unwrap();
    let lease = store.takes(&NodeId::random(), Duration::from_millis(200)).await.unwrap();
    let (has_checked, is_awake) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let sleeping = {
        let (lease, has_checked, is_awake) = (lease.clone(), Arc::clone(&has_checked), Arc::clone(&is_awake));
        store.write(move |tx| {
            Box::pin(async move {
                if renews {
                    assert!(tx.renew_lease(&lease, None).await?);
                } else {
                    tx.check_lease(&lease).await?;
                }
                let sql = "INSERT INTO counters (name, value) VALUES ('asleep', 1)";
                sqlx::query(sql).execute(&mut *tx.connection).await?;
                has_checked.notify_one();
                is_awake.notified().await;
                Ok::<_, StoreError>(())
            })
        })
    };
    let taking = async {
        has_checked.notified().await;
        let node = NodeId::random();
        let taken = loop {
            // The lease has not lapsed yet, or its row is locked and will be free when the database ends the sleeper.
            if let Some(lease) = store.takes(&node, LONG).await {
                break lease;
            }
        };
        is_awake.notify_one();
        taken
    };
    let (written, taken) = tokio::time::timeout(PATIENCE, async { tokio::join!(sleeping, taking) }).await.unwrap();
    assert!(written.is_err(), "what it wrote was undone, and it is told so");
    assert_eq!((store.rows().await, taken.term), (0, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_says_nothing_is_taken_for_dead() {
    let (store, _) = Store::open(&new_database()).await.unwrap();
    let (alive, dead) = (NodeId::random(), NodeId::random());
    for (node, length) in [(&alive, LONG), (&dead, Duration::ZERO)] {
        let node = node.clone();
        store.does(move |tx| Box::pin(async move { tx.keep_node(&node, length).await })).await;
    }
    assert_eq!(store.reader().await.unwrap().tx().living_nodes().await.unwrap(), [alive]);
}

/// Unless `PEPAY_LATE_COMMITS` says otherwise.
const LATE_COMMITS: usize = 40;

/// One write takes its key first and commits last, each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_the_numbers_skips_no_event_that_commits_late() {
    let count = std::env::var("PEPAY_LATE_COMMITS").map_or(LATE_COMMITS, |count| count.parse().unwrap());
    let url = new_database();
    let (store, _) = Store::open(&url).await.unwrap();
    let numbering = async || store.does(|tx| Box::pin(async move { tx.number_events(100).await })).await;
    let mut last = 0;
    for round in 0..count {
        let (has_its_key, may_commit) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (early, go) = (Arc::clone(&has_its_key), Arc::clone(&may_commit));
        let late = store.does(move |tx| {
            Box::pin(async move {
                tx.append_event(&event(2 * round)).await?;
                early.notify_one();
                go.notified().await;
                Ok(())
            })
        });
        let others = async {
            has_its_key.notified().await;
            store.does(move |tx| Box::pin(async move { tx.append_event(&event(2 * round + 1)).await })).await;
            numbering().await;
            let read = store.reader().await.unwrap().tx().numbered_events(last, 100).await.unwrap();
            assert_eq!(read.iter().map(|(_, _, sequence)| *sequence).collect::<Vec<_>>(), [last + 1]);
            may_commit.notify_one();
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(late, others) }).await.unwrap();
        numbering().await;
        let read = store.reader().await.unwrap().tx().numbered_events(last + 1, 100).await.unwrap();
        assert_eq!(read.iter().map(|(_, _, sequence)| *sequence).collect::<Vec<_>>(), [last + 2]);
        last += 2;
    }
    let mut stranger = stranger(&url).await;
    let late =
        "SELECT COUNT(*) FROM events a JOIN events b ON b.event_key = a.event_key + 1 AND b.sequence = a.sequence - 1";
    let late: i64 = stranger.fetch_one(late).await.unwrap().get(0);
    assert_eq!(usize::try_from(late).unwrap(), count, "each of them was late");
}

fn event(number: usize) -> NewEvent {
    NewEvent {
        merchant: MerchantId(1),
        invoice: None,
        event_type: "test.ping",
        environment: wire::Environment::Devnet,
        object: format!("{{\"n\":{number}}}"),
        previous_attributes: None,
        request_id: None,
        idempotency_key: None,
        created: UnixMillis(1),
    }
}

/// Runs until a node hears what another one does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_of_new_events_reaches_the_other_nodes_and_again_after_a_lost_connection() {
    let url = new_database();
    let ((teller, _), (hearer, _)) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
    assert!(teller.is_shared());
    let hears = async {
        for round in 0..3 {
            // Being connected counts as word: something may have been said before.
            hearer.log_growth().await;
            hearer.events_added().await;
            tokio::join!(hearer.log_growth(), async {
                teller.log_grew();
                hearer.events_added().await;
            });
            if round < 2 {
                let ended = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
                let ended: i64 = stranger(&url).await.fetch_one(ended).await.unwrap().get(0);
                assert!(0 < ended);
            }
        }
    };
    let all = async {
        tokio::select! {
            () = hearer.carry_hints() => unreachable!("it goes on until it is dropped"),
            () = teller.carry_hints() => unreachable!("it goes on until it is dropped"),
            () = hears => {}
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
}

//! What leases promise, on each engine; what only several nodes can see is with the engine that has them.

use std::time::Duration;

use super::{Impairment, Lease, NodeId, Store, StoreError};

const LONG: Duration = Duration::from_hours(1);
/// Lapses at once.
const NOTHING: Duration = Duration::ZERO;

impl Store {
    pub(super) async fn takes(&self, node: &NodeId, length: Duration) -> Option<Lease> {
        let node = node.clone();
        self.does(move |tx| Box::pin(async move { tx.take_lease("watch:base", &node, length).await })).await
    }

    /// Writes a row as the holder of a lease.
    pub(super) async fn writes_as(&self, lease: &Lease, row: &'static str) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                let sql = "INSERT INTO counters (name, value) VALUES ($1, 1)";
                sqlx::query(sql).bind(row).execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }

    pub(super) async fn rows(&self) -> i64 {
        let mut reader = self.reader().await.unwrap();
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM counters WHERE name <> 'events'");
        count.fetch_one(&mut *reader.tx().connection).await.unwrap()
    }
}

#[track_caller]
pub(super) fn is_lost(written: &Result<(), StoreError>, lost: &Lease) {
    match written {
        Err(StoreError::LeaseLost { name, term }) => assert_eq!((name.as_str(), *term), (&*lost.name, lost.term)),
        other => panic!("{other:?}"),
    }
}

async fn a_lease_that_is_taken_again_has_a_higher_term(store: Store) {
    let (first, second) = (NodeId::random(), NodeId::random());
    let lost = store.takes(&first, NOTHING).await.unwrap();
    assert_eq!((lost.term, &lost.holder), (1, &first));
    let held = store.takes(&second, NOTHING).await.unwrap();
    assert_eq!((held.term, &held.holder), (2, &second));
    // The same node again: what it began under the lease before is not to be written any more.
    let again = store.takes(&second, LONG).await.unwrap();
    assert_eq!(again.term, 3);
    is_lost(&store.writes_as(&held, "x").await, &held);
    store.writes_as(&again, "x").await.unwrap();
}

async fn a_holder_that_lost_its_lease_writes_nothing(store: Store) {
    let (first, second) = (NodeId::random(), NodeId::random());
    let lost = store.takes(&first, NOTHING).await.unwrap();
    // It has lapsed, but nobody was harmed by that yet.
    store.writes_as(&lost, "a").await.unwrap();
    let held = store.takes(&second, LONG).await.unwrap();
    is_lost(&store.writes_as(&lost, "b").await, &lost);
    assert_eq!(store.rows().await, 1);
    let (renewed, released) = (lost.clone(), lost.clone());
    assert!(!store.does(move |tx| Box::pin(async move { tx.renew_lease(&renewed, None).await })).await);
    store.does(move |tx| Box::pin(async move { tx.release_lease(&released).await })).await;
    store.writes_as(&held, "c").await.unwrap();
}

async fn a_lease_that_was_given_back_is_nobody_s(store: Store) {
    let node = NodeId::random();
    let lease = store.takes(&node, LONG).await.unwrap();
    let released = lease.clone();
    store.does(move |tx| Box::pin(async move { tx.release_lease(&released).await })).await;
    is_lost(&store.writes_as(&lease, "x").await, &lease);
    let mut reader = store.reader().await.unwrap();
    let states = reader.tx().leases("watch:").await.unwrap();
    assert_eq!((states.len(), states[0].name.as_str(), &states[0].holder), (1, "watch:base", &None));
    assert!(states[0].free_for.is_some_and(|free_for| free_for < LONG));
    drop(reader);
    assert_eq!(store.takes(&node, LONG).await.unwrap().term, 2);
}

async fn a_lease_says_how_its_holder_fares(store: Store) {
    let lease = store.takes(&NodeId::random(), LONG).await.unwrap();
    for told in [None, Some(Impairment::For(LONG)), Some(Impairment::GivenUp), None] {
        let lease = lease.clone();
        assert!(store.does(move |tx| Box::pin(async move { tx.renew_lease(&lease, told).await })).await);
        let state = store.reader().await.unwrap().tx().leases("watch:base").await.unwrap().remove(0);
        assert_eq!((state.term, state.free_for), (1, None));
        match (told, state.impairment) {
            (Some(Impairment::For(told)), Some(Impairment::For(found))) => assert!(told <= found && found < told * 2),
            (told, found) => assert_eq!(told, found),
        }
    }
    // A new holder knows nothing yet that would keep it from its duty.
    let lease = lease.clone();
    store.does(move |tx| Box::pin(async move { tx.renew_lease(&lease, Some(Impairment::GivenUp)).await })).await;
    store
        .does(|tx| {
            Box::pin(async move {
                sqlx::query("UPDATE leases SET holder = NULL").execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await;
    store.takes(&NodeId::random(), LONG).await.unwrap();
    assert_eq!(store.reader().await.unwrap().tx().leases("watch:").await.unwrap()[0].impairment, None);
}

async fn a_node_is_known_until_it_says_that_it_ends(store: Store) {
    let (node, mut reader) = (NodeId::random(), store.reader().await.unwrap());
    assert_eq!(reader.tx().living_nodes().await.unwrap(), []);
    for _ in 0..2 {
        let kept = node.clone();
        store.does(move |tx| Box::pin(async move { tx.keep_node(&kept, LONG).await })).await;
        assert_eq!(reader.tx().living_nodes().await.unwrap(), std::slice::from_ref(&node));
    }
    store.does(move |tx| Box::pin(async move { tx.forget_node(&node).await })).await;
    assert_eq!(reader.tx().living_nodes().await.unwrap(), []);
}

macro_rules! lease_contract {
    ($open:path) => {
        store_contract!($open:
            a_lease_that_is_taken_again_has_a_higher_term,
            a_holder_that_lost_its_lease_writes_nothing,
            a_lease_that_was_given_back_is_nobody_s,
            a_lease_says_how_its_holder_fares,
            a_node_is_known_until_it_says_that_it_ends,
        );
    };
}

mod sqlite {
    use crate::{store::Store, testing::TempDir};

    async fn open() -> (Store, TempDir) {
        let dir = TempDir::new();
        let (store, _) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
        (store, dir)
    }

    lease_contract!(open);
}

mod postgres {
    use crate::store::Store;

    async fn open() -> (Store, ()) {
        let (store, _) = Store::open(&postgres_cluster::new_database()).await.unwrap();
        (store, ())
    }

    lease_contract!(open);
}

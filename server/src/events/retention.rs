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
    store::{Lease, StoreError, Tx},
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
    nodes::hold(&app, nodes::RETENTION, |lease| keep_tidy(app.clone(), lease)).await;
}

async fn keep_tidy(app: App, lease: Lease) {
    nodes::repeat(&lease, LOOK_EVERY, || async { tidy(&app, &lease).await.map(drop) }).await;
}

/// Removes everything that is too old by now; returns how many events that was.
///
/// # Errors
///
/// [`StoreError::LeaseLost`] from the first step on before which it went to somebody else; or if the database refuses.
/// What was removed by then stays so.
pub async fn tidy(app: &App, lease: &Lease) -> Result<u64, StoreError> {
    let tidying = Tidying { app, lease };
    let now = app.clock.now();
    let events_before = now.plus(-app.config.events.retention_days.saturating_mul(86_400)).as_millis();
    let events = tidying.prune_events(events_before).await?;
    tidying
        .remove(move |tx| Box::pin(async move { tx.prune_deliveries(events_before, REMOVED_AT_ONCE).await }))
        .await?;
    tidying.remove(move |tx| Box::pin(async move { tx.forget_stream_tokens(now, REMOVED_AT_ONCE).await })).await?;
    tidying
        .remove(move |tx| Box::pin(async move { tx.forget_merchant_stream_tokens(now, REMOVED_AT_ONCE).await }))
        .await?;
    let keys_before = now.plus(-IDEMPOTENCY_KEYS_KEPT_SECONDS);
    tidying
        .remove(move |tx| Box::pin(async move { tx.prune_idempotency_keys(keys_before, REMOVED_AT_ONCE).await }))
        .await?;
    tidying.remove(move |tx| Box::pin(async move { tx.prune_unique_amounts(now, REMOVED_AT_ONCE).await })).await?;
    let came_before = events_before.as_seconds();
    tidying
        .remove(move |tx| Box::pin(async move { tx.prune_unattributed(came_before, REMOVED_AT_ONCE).await }))
        .await?;
    if events != 0 {
        tracing::info!(events, "removed old events");
    }
    Ok(events)
}

/// One round, under one lease.
struct Tidying<'a> {
    app: &'a App,
    lease: &'a Lease,
}

impl Tidying<'_> {
    async fn prune_events(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let (mut events, mut after) = (0, Some(0));
        while let Some(from) = after {
            let pruned = self
                .step(move |tx| Box::pin(async move { tx.prune_events(from, before, REMOVED_AT_ONCE).await }))
                .await?;
            events += pruned.events;
            after = pruned.next;
        }
        Ok(events)
    }

    /// Repeats a removal until it finds less than it may remove at once.
    async fn remove<F>(&self, removal: F) -> Result<(), StoreError>
    where
        F: for<'t> Fn(&'t mut Tx<'_>) -> BoxFuture<'t, Result<u64, StoreError>> + Clone + Send + 'static,
    {
        loop {
            let removed = self.step(removal.clone()).await?;
            if removed < REMOVED_AT_ONCE.unsigned_abs() {
                return Ok(());
            }
        }
    }

    /// One short write, if the lease is still held, and a rest after it.
    async fn step<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let started = Instant::now();
        let lease = self.lease.clone();
        let write = self.app.store.write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                work(tx).await
            })
        });
        let done = write.await?;
        tokio::time::sleep(started.elapsed().max(SHORTEST_REST)).await;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;
    use domain::{id::MerchantId, signature::ServerSecret};
    use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

    use super::*;
    use crate::{
        clock::TestClock,
        config::Config,
        store::{NewEvent, NewMerchant},
        testing::TestDatabase,
    };

    const DAY: i64 = 86_400;

    /// A node on an empty database, with its clock.
    async fn node(database: &TestDatabase) -> (App, TestClock) {
        let mut config: Config = toml::from_str("environment = \"devnet\"").unwrap();
        config.storage.database_url.clone_from(&database.url);
        let clock = TestClock::still();
        let secrets = vec![ServerSecret::from_bytes([7; 32])];
        let (app, _writer) = App::open(config, secrets, clock.clock(), "http://pay.example").await.unwrap();
        (app, clock)
    }

    async fn add_merchant(app: &App) -> MerchantId {
        let merchant = NewMerchant {
            name: "Shop".to_owned(),
            email: "shop@shop.example".to_owned(),
            evm_wallet: Address::repeat_byte(0x11),
            recovery_code: [9; 32],
            created_at: app.clock.now(),
        };
        let insert = app.store.write(move |tx| Box::pin(async move { tx.insert_merchant(&merchant).await }));
        let inserted: Result<_, StoreError> = insert.await;
        inserted.unwrap()
    }

    async fn add_events(app: &App, count: usize) {
        let event = NewEvent {
            merchant: add_merchant(app).await,
            invoice: None,
            event_type: "test.ping",
            environment: wire::Environment::Devnet,
            object: "{}".to_owned(),
            previous_attributes: None,
            request_id: None,
            idempotency_key: None,
            created: app.clock.now_ms(),
        };
        let write = app.store.write(move |tx| {
            Box::pin(async move {
                for _ in 0..count {
                    tx.append_event(&event).await?;
                }
                tx.number_events(10_000).await
            })
        });
        let numbered: Result<_, StoreError> = write.await;
        assert_eq!(numbered.unwrap().len(), count);
    }

    async fn events(connection: &mut AnyConnection) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM events").fetch_one(connection).await.unwrap()
    }

    /// Has somebody else take the lease with the first step that removes an event.
    async fn lose_lease_with_first_removal(database: &TestDatabase, connection: &mut AnyConnection) {
        let loss = "UPDATE leases SET holder = 'another', term = term + 1 WHERE term = 1";
        let triggers = if database.url.starts_with("postgres") {
            format!(
                "CREATE FUNCTION lose() RETURNS trigger AS $$ BEGIN {loss}; RETURN OLD; END $$ LANGUAGE plpgsql;
                 CREATE TRIGGER lose AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION lose()"
            )
        } else {
            format!("CREATE TRIGGER lose AFTER DELETE ON events BEGIN {loss}; END")
        };
        connection.execute(AssertSqlSafe(triggers)).await.unwrap();
    }

    #[tokio::test]
    async fn a_node_that_lost_the_lease_between_two_steps_removes_no_more() {
        let database = TestDatabase::new();
        let (app, clock) = node(&database).await;
        let mut connection = AnyConnection::connect(&database.url).await.unwrap();
        let (steps, rest) = (REMOVED_AT_ONCE, 50);
        let count = steps + rest;
        add_events(&app, usize::try_from(count).unwrap()).await;
        let lease = nodes::take(&app, nodes::RETENTION).await.unwrap().unwrap();

        clock.advance_seconds(app.config.events.retention_days * DAY);
        assert_eq!(tidy(&app, &lease).await.unwrap(), 0, "it is not too old yet");
        clock.advance_seconds(1);
        lose_lease_with_first_removal(&database, &mut connection).await;
        let stopped = tidy(&app, &lease).await;
        assert!(matches!(stopped, Err(StoreError::LeaseLost { .. })), "{stopped:?}");
        assert_eq!(events(&mut connection).await, rest, "one step was under the lease");
        assert!(matches!(tidy(&app, &lease).await, Err(StoreError::LeaseLost { .. })));
        assert_eq!(events(&mut connection).await, rest);

        connection.execute("UPDATE leases SET holder = NULL").await.unwrap();
        let anew = nodes::take(&app, nodes::RETENTION).await.unwrap().unwrap();
        assert_eq!(tidy(&app, &anew).await.unwrap(), rest.unsigned_abs());
        assert_eq!(events(&mut connection).await, 0);
    }

    /// The duty itself: it ends, so that it is begun anew once the lease is held again.
    #[tokio::test]
    async fn the_duty_ends_with_its_lease() {
        let database = TestDatabase::new();
        let (app, clock) = node(&database).await;
        let mut connection = AnyConnection::connect(&database.url).await.unwrap();
        add_events(&app, 3).await;
        let lease = nodes::take(&app, nodes::RETENTION).await.unwrap().unwrap();
        connection.execute("UPDATE leases SET holder = 'another', term = term + 1").await.unwrap();
        clock.advance_seconds((app.config.events.retention_days + 1) * DAY);
        keep_tidy(app, lease).await;
        assert_eq!(events(&mut connection).await, 3);
    }
}

//! How long lists of events take in a long log, and what writers notice of old events being removed, on both databases.
//!
//! `PEPAY_BENCH_EVENTS` is how long the log is (a million), `PEPAY_BENCH_OLD_EVENTS` how many are too old (200,000). It
//! prints figures and judges nothing.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{
    id::{EventId, InvoiceId, MerchantId},
    time::UnixMillis,
};
use e2e::{Database, TestApp, append_events, invoice_event};
use pepay::{
    app::App,
    events, nodes,
    store::{CreatedBetween, EventFilter, EventPart, EventTypes, StoreError},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};
use wire::Environment;

const REPEATS: usize = 9;

#[tokio::main]
async fn main() {
    let count =
        |variable: &str, otherwise: i64| env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"));
    let (events, old) = (count("PEPAY_BENCH_EVENTS", 1_000_000), count("PEPAY_BENCH_OLD_EVENTS", 200_000));
    for database in [Database::Sqlite, Database::Postgres] {
        let app = TestApp::start_on(database, &[]).await;
        let merchant = app.create_merchant().await.id;
        println!("{database:?}, {events} events");
        let now = app.app().clock.now_ms();
        // One in a thousand is of a rare type, and one in ten thousand of the other environment.
        fill(app.app(), database, merchant, events, now.0 - events).await;
        lists(app.app(), merchant, events, now).await;

        println!("{database:?}, removing {old} of them");
        quiet_and_pruning(&app, merchant, old).await;
    }
    std::process::exit(0);
}

/// A log of events a millisecond apart.
async fn fill(app: &App, database: Database, merchant: MerchantId, events: i64, from_ms: i64) {
    let series = match database {
        Database::Sqlite => {
            format!("WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {events})")
        }
        Database::Postgres => {
            format!("WITH numbers (n) AS (SELECT CAST(n AS BIGINT) FROM generate_series(1, {events}) AS series (n))")
        }
    };
    let insert = format!(
        "INSERT INTO events (merchant_id, invoice_id, event_type, environment, object, created_ms, sequence)
         {series}
         SELECT {merchant}, '00000000-0000-4000-8000-' || SUBSTR('000000000000' || (n / 5), LENGTH('' || (n / 5)) + 1, 12),
            CASE WHEN n % 1000 = 0 THEN 'invoice_payment.updated' WHEN n % 2 = 0 THEN 'invoice.updated' ELSE 'invoice.created' END,
            CASE WHEN n % 10000 = 1 THEN 'mainnet' ELSE 'devnet' END,
            '{{\"object\":\"invoice\",\"padding\":\"{}\"}}', {from_ms} + n, n FROM numbers",
        "x".repeat(1_000),
        merchant = merchant.0,
    );
    let mut connection = sqlx::AnyConnection::connect(&app.config.storage.database_url).await.expect("a connection");
    connection.execute(AssertSqlSafe(insert)).await.expect("the log is filled");
    let counter = format!("UPDATE counters SET value = {events} WHERE name = 'events'");
    connection.execute(AssertSqlSafe(counter)).await.expect("the counter is set");
    if database == Database::Postgres {
        connection.execute("ANALYZE events").await.expect("the planner has figures");
    }
}

async fn lists(app: &App, merchant: MerchantId, events: i64, now: UnixMillis) {
    let types = |names: &[&str]| names.iter().map(|&name| EventTypes::One(name.to_owned())).collect::<Vec<_>>();
    let old = UnixMillis(now.0 - events + events / 100);
    let created = CreatedBetween { from: None, to: Some(old) };
    let recent = CreatedBetween { from: Some(UnixMillis(now.0 - 50)), to: None };
    let all = EventFilter::default;
    for (what, filter) in [
        ("all", all()),
        ("a rare type", EventFilter { types: types(&["invoice_payment.updated"]), ..all() }),
        ("an absent type", EventFilter { types: types(&["test.ping"]), ..all() }),
        ("invoice.*", EventFilter { types: vec![EventTypes::Below("invoice.".to_owned())], ..all() }),
        ("the rare environment", EventFilter { environment: Some(Environment::Mainnet), ..all() }),
        ("the oldest hundredth", EventFilter { created, ..all() }),
        ("the newest 50", EventFilter { created: recent, ..all() }),
        ("old and of a rare type", EventFilter { created, types: types(&["invoice_payment.updated"]), ..all() }),
        ("an invoice", EventFilter { invoice: "00000000-0000-4000-8000-000000000500".parse().ok(), ..all() }),
        ("a customer", EventFilter { customer: Some("c-1".to_owned()), ..all() }),
    ] {
        let middle = EventPart::Before(EventId { created: now, sequence: events / 2 });
        let newest = time(async || {
            app.store
                .reader()
                .await?
                .tx()
                .event_list(merchant, &filter, EventPart::Newest, 100)
                .await
                .map(|list| list.0.len())
        });
        let (newest, found) = newest.await;
        let (from_middle, _) = time(async || {
            app.store.reader().await?.tx().event_list(merchant, &filter, middle, 100).await.map(|list| list.0.len())
        })
        .await;
        let (part, _) = time(async || {
            app.store
                .reader()
                .await?
                .tx()
                .events_after(merchant, &filter, events / 2, 32)
                .await
                .map(|part| part.events.len())
        })
        .await;
        println!(
            "  {what:<24} newest {newest:>9.1?} ({found:>3} found), from the middle {from_middle:>9.1?}, next part {part:>9.1?}"
        );
    }
}

/// The median of some tries, and what the last one found.
async fn time(mut ask: impl AsyncFnMut() -> Result<usize, StoreError>) -> (Duration, usize) {
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..REPEATS {
        let started = Instant::now();
        found = ask().await.expect("the database answers");
        times.push(started.elapsed());
    }
    times.sort();
    (times[REPEATS / 2], found)
}

async fn quiet_and_pruning(app: &TestApp, merchant: MerchantId, old: i64) {
    let handles = app.app().clone();
    report("writes beside nothing", write_until(&handles, merchant, Arc::new(AtomicBool::new(false)), 300).await);

    // The log is a millisecond for each event, and the youngest is as old as this server.
    let age = handles.config.events.retention_days * 86_400;
    let total = env::var("PEPAY_BENCH_EVENTS").map_or(1_000_000, |text| text.parse().expect("a number"));
    let seconds = age - (total - old) / 1_000;
    app.clock.advance_seconds(seconds);
    let is_over = Arc::new(AtomicBool::new(false));
    let (removing, over) = (handles.clone(), Arc::clone(&is_over));
    let removed = app.app().spawn(async move {
        let started = Instant::now();
        // The server's own duty has the other one.
        let lease = nodes::take(&removing, "bench").await.expect("the database answers").expect("nobody else has it");
        let removed = events::tidy(&removing, &lease).await.expect("the database removes");
        over.store(true, Ordering::Relaxed);
        (removed, started.elapsed())
    });
    let latencies = write_until(&handles, merchant, is_over, usize::MAX).await;
    let (removed, took) = removed.await.expect("it ends");
    report("writes beside the removal", latencies);
    println!("  removed {removed} in {took:.1?}");
}

/// Writes one event after the other until it is told to stop, or has written so many.
async fn write_until(app: &App, merchant: MerchantId, is_over: Arc<AtomicBool>, most: usize) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while latencies.len() < most && !is_over.load(Ordering::Relaxed) {
        let event = invoice_event(merchant, InvoiceId::from_random([1; 16]), &json!({}), app.clock.now_ms());
        let started = Instant::now();
        append_events(&app.store, vec![event]).await;
        latencies.push(started.elapsed());
    }
    latencies
}

fn report(what: &str, mut latencies: Vec<Duration>) {
    latencies.sort();
    let at = |hundredths: usize| latencies[(latencies.len() - 1) * hundredths / 100];
    println!(
        "  {what:<26} {:>6} of them: median {:.1?}, p99 {:.1?}, at worst {:.1?}",
        latencies.len(),
        at(50),
        at(99),
        at(100)
    );
}

//! How long after the commit of an event its webhooks are with their receivers, on both databases: a merchant has ten
//! endpoints, of which one never answers and one always fails.
//!
//! A delay begins before the commit, which is thus part of it, and ends when the receiver has the whole request. Tries
//! after the first are left out. `PEPAY_BENCH_EVENTS` is how many events there are (600), 20 of them a second. It prints
//! figures and judges nothing.

use std::{
    collections::HashSet,
    env,
    time::{Duration, Instant},
};

use domain::{
    access::Rights,
    id::{InvoiceId, MerchantId},
};
use e2e::{ApiClient, Database, Reply, TestApp, WebhookSink, append_events, eventually_within, invoice_event};
use reqwest::Method;
use serde_json::{Value, json};

const LOOPBACK: (&str, &str) = ("PEPAY__WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "[\"127.0.0.0/8\"]");
const ENDPOINTS: usize = 10;
const EVENT_EVERY: Duration = Duration::from_millis(50);
/// What has not arrived by then never will.
const PATIENCE: Duration = Duration::from_mins(2);
/// What a delay is held against.
const SOON: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let events = env::var("PEPAY_BENCH_EVENTS").map_or(600, |text| text.parse().expect("a number"));
    for database in [Database::Sqlite, Database::Postgres] {
        println!("{database:?}, {events} events, 20 a second, each to {ENDPOINTS} endpoints");
        measure(database, events).await;
    }
    // Requests that hang are not waited for.
    std::process::exit(0);
}

async fn measure(database: Database, events: usize) {
    let app = TestApp::start_on(database, &[LOOPBACK]).await;
    let merchant = app.create_merchant().await.id;
    let api = ApiClient::new(&app.url, &app.create_key(merchant, Rights::DASHBOARD).await);
    let mut sinks = Vec::with_capacity(ENDPOINTS);
    for _ in 0..ENDPOINTS {
        let sink = WebhookSink::start().await;
        let endpoint = json!({ "url": sink.url, "enabled_events": ["*"] });
        api.call(Method::POST, "/api/v1/webhooks", &endpoint).await.good::<Value>();
        sinks.push(sink);
    }
    let (hangs, fails, well) = (&sinks[0], &sinks[1], &sinks[2..]);
    hangs.always(Reply::Hang);
    fails.always(Reply::Status(500));

    let mut begun = Vec::with_capacity(events);
    let mut ticks = tokio::time::interval(EVENT_EVERY);
    for number in 0..events {
        ticks.tick().await;
        begun.push(Instant::now());
        append_event(&app, merchant, number).await;
    }
    eventually_within(PATIENCE, "all that can arrive to arrive", async || {
        well.iter().all(|sink| events <= sink.count()).then_some(())
    })
    .await;

    let delays: Vec<Vec<Duration>> = well.iter().map(|sink| first_tries(sink, &begun)).collect();
    let worst = delays.iter().map(|delays| delays.iter().max()).max().flatten().copied();
    report("endpoints that answer (8)", delays.concat());
    report("the one that fails", first_tries(fails, &begun));
    report("the one that hangs", first_tries(hangs, &begun));
    println!("  the longest delay of an endpoint that answers: {:.1?}", worst.unwrap_or_default());
}

/// Each event is of an invoice of its own, so that none waits for another.
async fn append_event(app: &TestApp, merchant: MerchantId, number: usize) {
    let mut invoice = [0; 16];
    invoice[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let object = json!({ "object": "invoice", "number": number, "padding": "x".repeat(1_000) });
    let event = invoice_event(merchant, InvoiceId::from_random(invoice), &object, app.app().clock.now_ms());
    append_events(&app.app().store, vec![event]).await;
}

/// The delays of what was tried at all.
fn first_tries(sink: &WebhookSink, begun: &[Instant]) -> Vec<Duration> {
    let mut seen = HashSet::new();
    let tries = sink.received().into_iter().filter_map(|webhook| {
        let number = usize::try_from(webhook.event.data.object["number"].as_u64()?).ok()?;
        seen.insert(number).then(|| webhook.at.saturating_duration_since(begun[number]))
    });
    tries.collect()
}

fn report(what: &str, mut delays: Vec<Duration>) {
    delays.sort();
    let Some(last) = delays.len().checked_sub(1) else {
        println!("  {what:<26} nothing was tried");
        return;
    };
    let at = |hundredths: usize| delays[(last * hundredths).div_ceil(100)];
    let soon = delays.iter().filter(|delay| **delay <= SOON).count();
    println!(
        "  {what:<26} {:>5} first tries: median {:.1?}, p99 {:.1?}, at worst {:.1?}; within {SOON:?}: {soon}",
        delays.len(),
        at(50),
        at(99),
        at(100)
    );
}

//! Figures for the operator's Prometheus, on an address of their own.
//!
//! What happens is counted where it happens; what is so at the moment is read when it is asked for. Nothing here names a
//! merchant, an invoice, an address or the path of a URL, and nothing grows with them: there is a figure for each network,
//! token and endpoint of the configuration, and no more. No figure decides anything: amounts are rounded, as all figures
//! of Prometheus are.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, atomic::AtomicU64},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use domain::{id::TokenId, money::TokenAmount};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    alarm,
    app::App,
    config::NetworkKind,
    store::{BlockRef, StoreError},
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Looking at the database takes this part of the time at most, however often somebody asks.
const PART_OF_THE_TIME: u32 = 20;
const SHORTEST_REST: Duration = Duration::from_secs(1);

/// Those of this process.
static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::default);

struct Counters {
    requests: Family<Endpoint, Counter>,
    bytes: Family<Transfer, Counter>,
    failures: Family<EndpointFailure, Counter>,
    webhooks: Family<Outcome, Counter>,
    alarms: Family<Alarm, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    network: String,
    /// Its host.
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Transfer {
    network: String,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointFailure {
    network: String,
    endpoint: String,
    problem: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Alarm {
    alarm: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Network {
    network: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Holding {
    network: String,
    token: String,
    /// Symbols may be the same.
    token_id: i64,
}

/// Counts a request to an endpoint; a batch is one.
pub fn count_request(network: &str, endpoint: &str) {
    let endpoint = Endpoint { network: network.to_owned(), endpoint: endpoint.to_owned() };
    COUNTERS.requests.get_or_create(&endpoint).inc();
}

/// Counts what was asked of a network's endpoints, and what they answered, in bytes of JSON: what their plans are paid by.
pub fn count_bytes(network: &str, sent: usize, received: usize) {
    for (direction, bytes) in [("sent", sent), ("received", received)] {
        let transfer = Transfer { network: network.to_owned(), direction };
        COUNTERS.bytes.get_or_create(&transfer).inc_by(u64::try_from(bytes).unwrap_or_default());
    }
}

/// Counts an endpoint that gave no answer that is one.
pub fn count_failure(network: &str, endpoint: &str, problem: &'static str) {
    let failure = EndpointFailure { network: network.to_owned(), endpoint: endpoint.to_owned(), problem };
    COUNTERS.failures.get_or_create(&failure).inc();
}

/// Counts a try to send a webhook.
pub fn count_webhook(outcome: &'static str) {
    COUNTERS.webhooks.get_or_create(&Outcome { outcome }).inc();
}

/// Counts an alarm, whose words are in the log.
pub fn count_alarm(kind: &str) {
    let known = alarm::KINDS.iter().find(|known| **known == kind);
    COUNTERS.alarms.get_or_create(&Alarm { alarm: known.copied().unwrap_or("other") }).inc();
}

/// `GET /metrics` and nothing else.
pub fn router(app: App) -> Router {
    let figures = Figures { app, last_look: Arc::default() };
    Router::new().route("/metrics", get(show)).with_state(figures)
}

#[derive(Clone)]
struct Figures {
    app: App,
    /// Held while somebody looks: who comes meanwhile sees the same.
    last_look: Arc<Mutex<Option<Look>>>,
}

/// What the database said.
struct Look {
    /// Until when that is good enough.
    until: Instant,
    seen: Arc<Seen>,
}

struct Seen {
    cursors: HashMap<String, BlockRef>,
    unswept: HashMap<String, HashMap<TokenId, TokenAmount>>,
    differences: HashMap<String, i64>,
    open_invoices: i64,
    webhooks_due: i64,
    low_lists: i64,
}

async fn show(State(figures): State<Figures>) -> Result<impl IntoResponse, StatusCode> {
    let mut registry = Registry::with_prefix("pepay");
    COUNTERS.register(&mut registry);
    let seen = figures.look().await;
    if let Err(error) = &seen {
        tracing::error!(%error, "figures could not be read from the database");
    }
    // Of a database that is away, the other figures are wanted more than ever.
    let is_up = gauge(i64::from(seen.is_ok()));
    registry.register("database_up", "Whether the database could be read just now: 1 or 0", is_up);
    register_state(&figures.app, seen.ok().as_deref(), &mut registry);
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text)),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

impl Default for Counters {
    /// Every kind of alarm is there from the start: a figure that appears with its first alarm does not rise.
    fn default() -> Self {
        let alarms = Family::default();
        for &alarm in alarm::KINDS {
            let _at_zero: &Counter = &alarms.get_or_create(&Alarm { alarm });
        }
        Self {
            requests: Family::default(),
            bytes: Family::default(),
            failures: Family::default(),
            webhooks: Family::default(),
            alarms,
        }
    }
}

impl Counters {
    /// Their names get `_total` behind them.
    fn register(&self, registry: &mut Registry) {
        registry.register("rpc_requests", "Requests to endpoints; a batch is one", self.requests.clone());
        registry.register("rpc_bytes", "JSON that went to endpoints and came from them", self.bytes.clone());
        registry.register("rpc_failures", "Times that an endpoint failed", self.failures.clone());
        registry.register("webhook_attempts", "Tries to send a webhook", self.webhooks.clone());
        registry.register("alarms", "Alarms, whose words are in the log", self.alarms.clone());
    }
}

impl Figures {
    async fn look(&self) -> Result<Arc<Seen>, StoreError> {
        let mut last_look = self.last_look.lock().await;
        let began = Instant::now();
        if let Some(look) = last_look.as_ref()
            && began < look.until
        {
            return Ok(Arc::clone(&look.seen));
        }
        let seen = Arc::new(Seen::read(&self.app).await?);
        let rest = began.elapsed().saturating_mul(PART_OF_THE_TIME).max(SHORTEST_REST);
        *last_look = Some(Look { until: Instant::now() + rest, seen: Arc::clone(&seen) });
        Ok(seen)
    }
}

impl Seen {
    async fn read(app: &App) -> Result<Self, StoreError> {
        let mut reader = app.store.reader().await?;
        let mut tx = reader.tx();
        let (mut cursors, mut unswept, mut differences) = (HashMap::new(), HashMap::new(), HashMap::new());
        for network in &app.config.networks {
            let name = &network.name;
            if let Some(cursor) = tx.cursor(name).await? {
                cursors.insert(name.clone(), cursor);
            }
            // On Solana nothing waits to be swept.
            if network.kind == NetworkKind::Evm {
                unswept.insert(name.clone(), tx.unswept(name).await?);
            }
            differences.insert(name.clone(), tx.count_differences(name).await?);
        }
        let open_invoices = tx.count_open_invoices().await?;
        let webhooks_due = tx.count_due_deliveries(app.clock.now_ms()).await?;
        let low_lists = tx.count_low_solana_lists().await?;
        Ok(Self { cursors, unswept, differences, open_invoices, webhooks_due, low_lists })
    }
}

/// Adds what is so now; without what the database says, if it says nothing.
fn register_state(app: &App, seen: Option<&Seen>, registry: &mut Registry) {
    let offered = Family::<Network, Gauge>::default();
    for network in &app.config.networks {
        let label = Network { network: network.name.clone() };
        offered.get_or_create(&label).set(app.outages.is_offered(&network.name).into());
    }
    registry.register("network_offered", "Whether a network is offered to payers: 1 or 0", offered);
    let nodes = i64::try_from(app.living.count()).unwrap_or(i64::MAX);
    registry.register("nodes", "Living nodes on the database", gauge(nodes));

    let Some(seen) = seen else { return };
    let blocks = Family::<Network, Gauge>::default();
    let behind = Family::<Network, Gauge>::default();
    let differences = Family::<Network, Gauge>::default();
    let unswept = Family::<Holding, Gauge<f64, AtomicU64>>::default();
    let now = app.clock.now();
    for network in &app.config.networks {
        let label = Network { network: network.name.clone() };
        if let Some(cursor) = seen.cursors.get(&network.name) {
            blocks.get_or_create(&label).set(i64::try_from(cursor.number).unwrap_or(i64::MAX));
            behind.get_or_create(&label).set(now.0.saturating_sub(cursor.time.0).max(0));
        }
        differences.get_or_create(&label).set(seen.differences.get(&network.name).copied().unwrap_or_default());
        if network.kind == NetworkKind::Solana {
            continue;
        }
        for token in &network.tokens {
            let amount = seen.unswept.get(&network.name).and_then(|amounts| amounts.get(&token.token_id()));
            let amount = amount.map_or_else(|| "0".to_owned(), |amount| amount.to_decimal(token.checked_decimals()));
            let label = Holding { network: network.name.clone(), token: token.symbol.clone(), token_id: token.id };
            unswept.get_or_create(&label).set(amount.parse().unwrap_or(f64::INFINITY));
        }
    }
    registry.register("network_block", "The newest block of a network that was read", blocks);
    registry.register("network_behind_seconds", "How old that block is", behind);
    registry.register(
        "deposit_differences",
        "Deposits, and accounts on Solana, that hold something else than is recorded",
        differences,
    );
    registry.register("unswept_amount", "Final money in deposits, in whole tokens, rounded", unswept);
    registry.register("open_invoices", "Invoices that can still be paid", gauge(seen.open_invoices));
    registry.register("webhooks_due", "Webhooks that should have been sent by now", gauge(seen.webhooks_due));
    let low = "Merchants with a fifth or less left of their addresses on Solana";
    registry.register("solana_lists_low", low, gauge(seen.low_lists));
}

fn gauge(value: i64) -> Gauge {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    gauge
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use domain::signature::ServerSecret;
    use tower::ServiceExt;

    use super::*;
    use crate::{clock::Clock, testing::TestDatabase};

    async fn open() -> (App, TestDatabase) {
        let database = TestDatabase::new();
        let config = format!("environment = \"devnet\"\n[storage]\ndatabase_url = \"{}\"\n", database.url);
        let secret = ServerSecret::from_bytes([7; 32]);
        let (app, _writer) =
            App::open(toml::from_str(&config).unwrap(), vec![secret], Clock::system(), "").await.unwrap();
        (app, database)
    }

    #[tokio::test]
    async fn what_needs_no_database_is_told_without_one() {
        let (app, _database) = open().await;
        let router = router(app.clone());
        app.store.close_readers().await;
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let text = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        for words in ["pepay_database_up 0\n", "pepay_nodes ", "pepay_alarms_total{alarm=\"deposit_short\"} "] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("pepay_open_invoices"), "nobody knows: {text}");
    }

    #[tokio::test]
    async fn the_database_is_not_looked_at_each_time() {
        let (app, _database) = open().await;
        let figures = Figures { app, last_look: Arc::default() };
        let first = figures.look().await.unwrap();
        assert!(Arc::ptr_eq(&first, &figures.look().await.unwrap()));
        figures.last_look.lock().await.as_mut().unwrap().until = Instant::now();
        assert!(!Arc::ptr_eq(&first, &figures.look().await.unwrap()));
    }

    #[test]
    fn an_alarm_of_no_known_kind_adds_no_figure_of_its_own() {
        count_alarm("made up");
        let mut registry = Registry::default();
        COUNTERS.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("{alarm=\"other\"} 1") && !text.contains("made up"), "{text}");
    }
}

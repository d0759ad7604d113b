//! Figures for the operator's Prometheus, on an address of their own.
//!
//! What happens is counted where it happens; what is so at the moment is read when it is asked for. Nothing here names a
//! merchant, an invoice, an address or the path of a URL, and no figure decides anything: amounts are rounded, as all
//! figures of Prometheus are.

use std::sync::{LazyLock, atomic::AtomicU64};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{app::App, store::StoreError};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Those of this process.
static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::default);

#[derive(Default)]
struct Counters {
    requests: Family<Endpoint, Counter>,
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
    alarm: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Network {
    network: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Token {
    network: String,
    token: String,
}

/// Counts a request to an endpoint; a batch is one.
pub fn count_request(network: &str, endpoint: &str) {
    let endpoint = Endpoint { network: network.to_owned(), endpoint: endpoint.to_owned() };
    COUNTERS.requests.get_or_create(&endpoint).inc();
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
pub fn count_alarm(alarm: &str) {
    COUNTERS.alarms.get_or_create(&Alarm { alarm: alarm.to_owned() }).inc();
}

/// `GET /metrics` and nothing else.
pub fn router(app: App) -> Router {
    Router::new().route("/metrics", get(show)).with_state(app)
}

async fn show(State(app): State<App>) -> Result<impl IntoResponse, StatusCode> {
    let mut registry = Registry::with_prefix("pepay");
    COUNTERS.register(&mut registry);
    let mut text = String::new();
    let shown = match look(&app, &mut registry).await {
        Ok(()) => encode(&mut text, &registry).is_ok(),
        Err(error) => {
            tracing::error!(error = %error, "figures could not be read");
            false
        }
    };
    if shown { Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text)) } else { Err(StatusCode::SERVICE_UNAVAILABLE) }
}

impl Counters {
    /// Its names get `_total` behind them.
    fn register(&self, registry: &mut Registry) {
        registry.register("rpc_requests", "Requests to endpoints; a batch is one", self.requests.clone());
        registry.register("rpc_failures", "Endpoints that gave no answer that is one", self.failures.clone());
        registry.register("webhook_attempts", "Webhooks that were tried", self.webhooks.clone());
        registry.register("alarms", "Alarms, whose words are in the log", self.alarms.clone());
    }
}

/// Adds what is so now.
async fn look(app: &App, registry: &mut Registry) -> Result<(), StoreError> {
    let blocks = Family::<Network, Gauge>::default();
    let behind = Family::<Network, Gauge>::default();
    let offered = Family::<Network, Gauge>::default();
    let unswept = Family::<Token, Gauge<f64, AtomicU64>>::default();
    let now = app.clock.now();
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    for network in &app.config.networks {
        let label = Network { network: network.name.clone() };
        if let Some(cursor) = tx.cursor(&network.name).await? {
            blocks.get_or_create(&label).set(i64::try_from(cursor.number).unwrap_or(i64::MAX));
            behind.get_or_create(&label).set(now.0.saturating_sub(cursor.time.0).max(0));
        }
        offered.get_or_create(&label).set(app.outages.is_offered(&network.name).into());
        for token in &network.tokens {
            let label = Token { network: network.name.clone(), token: token.symbol.clone() };
            let amount = tx.unswept(&network.name, token.token_id()).await?.to_decimal(token.checked_decimals());
            unswept.get_or_create(&label).set(amount.parse().unwrap_or(f64::INFINITY));
        }
    }
    registry.register("network_block", "The newest block of a network that was read", blocks);
    registry.register("network_behind_seconds", "How old that block is", behind);
    registry.register("network_offered", "Whether a network is offered to payers: 1 or 0", offered);
    registry.register("unswept_amount", "Final money in deposits, in whole tokens, rounded", unswept);

    let gauge = |value: i64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        gauge
    };
    registry.register("open_invoices", "Invoices that can still be paid", gauge(tx.count_open_invoices().await?));
    let due = tx.count_due_deliveries(app.clock.now_ms()).await?;
    registry.register("webhooks_due", "Webhooks that should have been sent by now", gauge(due));
    let nodes = i64::try_from(app.living.count()).unwrap_or(i64::MAX);
    registry.register("nodes", "Living nodes on the database", gauge(nodes));
    Ok(())
}

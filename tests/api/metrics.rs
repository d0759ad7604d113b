//! `/metrics` and alarms: what an operator's programs are told.

use std::sync::{Arc, Mutex};

use alloy_primitives::U256;
use axum::{Json, Router, http::StatusCode, routing::post};
use e2e::{ServerProcess, TestChain, USDC, eventually};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

const HEAD: &str = "environment = \"devnet\"\n[operator]\nmetrics_listen = \"127.0.0.1:0\"\n";

/// Where a server serves its figures, as its log tells.
async fn metrics_url(server: &ServerProcess) -> String {
    let address = eventually("the log to say where the figures are", async || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains(" metrics address="))?;
        Some(line.rsplit_once("address=")?.1.trim().to_owned())
    });
    format!("http://{}/metrics", address.await)
}

async fn figures(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn figures_say_how_far_networks_were_read_and_what_waits_in_deposits() {
    let test = TestChain::start().await;
    let endpoints = format!("rpc = [\"http://127.0.0.1:9\", \"{}\"]", test.chain.rpc_url());
    let network = test.network().replace(&format!("rpc = [\"{}\"]", test.chain.rpc_url()), &endpoints);
    let mut server = ServerProcess::prepare(&[HEAD, &network, &test.token()].concat());
    let (api, _) = server.create_merchant("http://127.0.0.1:9/");
    server.start().await.unwrap();
    let url = metrics_url(&server).await;
    let invoice = api.create_invoice("20").await;
    let other = api.create_invoice("30").await;
    let deposit = api.payment_address(&invoice, "ethereum", USDC).await;
    assert!(figures(&url).await.contains("pepay_open_invoices 2\n"));
    test.pay(&deposit, U256::from(20_000_000_u64)).await;
    test.chain.mine(4).await.unwrap();
    let text = eventually("the payment to be final", async || {
        let text = figures(&url).await;
        text.contains("pepay_unswept_amount{network=\"ethereum\",token=\"USDC\"} 20.0\n").then_some(text)
    });
    let text = text.await;
    let head = test.chain.block_number().await.unwrap();
    for line in [
        "pepay_network_offered{network=\"ethereum\"} 1",
        &format!("pepay_network_block{{network=\"ethereum\"}} {head}"),
        "pepay_open_invoices 1",
        "pepay_nodes 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    for begins in [
        "pepay_rpc_failures_total{network=\"ethereum\",endpoint=\"127.0.0.1:9\",problem=\"unreachable\"} ",
        "pepay_rpc_requests_total{network=\"ethereum\",endpoint=\"127.0.0.1:",
        "pepay_network_behind_seconds{network=\"ethereum\"} ",
        "pepay_webhook_attempts_total{outcome=\"failed\"} ",
    ] {
        assert!(text.lines().any(|found| found.starts_with(begins)), "{begins}: {text}");
    }
    for secret in
        [&invoice.invoice_id, &other.invoice_id, deposit.temp_address.as_ref().unwrap(), &invoice.session_token]
    {
        assert!(!text.contains(secret.as_str()), "{secret}: {text}");
    }
    // They are nowhere else, and nothing else is there.
    assert_eq!(reqwest::get(format!("{}/metrics", server.url)).await.unwrap().status(), 404);
    assert_eq!(reqwest::get(url.replace("/metrics", "/health/live")).await.unwrap().status(), 404);
}

/// Takes what is posted to it, but for the first.
struct Operator {
    url: String,
    posted: Arc<Mutex<Vec<Value>>>,
    _listening: JoinSet<()>,
}

impl Operator {
    async fn start() -> Self {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&posted);
        let take = async move |Json(alarm): Json<Value>| {
            let mut taken = taken.lock().unwrap();
            taken.push(alarm);
            if taken.len() == 1 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/secret", listener.local_addr().unwrap());
        let router = Router::new().route("/hooks/secret", post(take));
        let mut listening = JoinSet::new();
        listening.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, posted, _listening: listening }
    }

    fn posted(&self) -> Vec<Value> {
        self.posted.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_alarm_is_posted_until_the_operator_has_it() {
    let test = TestChain::start().await;
    let operator = Operator::start().await;
    let config = format!("webhook_url = \"{}\"\n", operator.url);
    let token = test.token().replace("decimals = 6", "decimals = 18");
    let mut server = ServerProcess::prepare(&[HEAD, &config, &test.network(), &token].concat());
    server.start().await.unwrap();
    let url = metrics_url(&server).await;
    let posted = eventually("the alarm to be posted again", async || operator.posted().get(1).cloned()).await;
    assert_eq!(posted["fields"], operator.posted()[0]["fields"]);
    assert_eq!((&posted["object"], &posted["alarm"]), (&json!("alarm"), &json!("network_unfit")));
    assert_eq!(posted["text"], "ALARM: the network is not watched");
    assert_eq!(posted["fields"]["payment.network"], "ethereum");
    assert!(figures(&url).await.contains("pepay_alarms_total{alarm=\"network_unfit\"} 1\n"));
    assert!(!server.log().contains(&operator.url), "the URL may hold a secret");
}

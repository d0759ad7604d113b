//! `/metrics` and alarms: what an operator's programs are told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use alloy_primitives::U256;
use axum::{Json, Router, http::StatusCode, routing::post};
use e2e::{Database, ServerProcess, TestChain, USDC, eventually};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

const HEAD: &str = "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n\
                    [operator]\nmetrics_listen = \"127.0.0.1:0\"\n";

pub async fn figures(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    answer.text().await.unwrap()
}

on_each_database!(figures_say_how_far_networks_were_read_and_what_waits_in_deposits);

async fn figures_say_how_far_networks_were_read_and_what_waits_in_deposits(database: Database) {
    let test = TestChain::start().await;
    // One that is there and of no use; of another host, it would be asked to show payments too.
    let rpc = format!("rpc = [\"{}", test.chain.rpc_url());
    let network = test.network().replace(&rpc, &format!("{rpc}/nowhere\", \"{}", test.chain.rpc_url()));
    let mut server =
        ServerProcess::prepare_on(database, &[HEAD, &network, &test.sweep_account(), &test.token()].concat());
    let (api, _) = server.create_merchant("http://127.0.0.1:9/");
    server.start().await.unwrap();
    let url = server.metrics_url().await;
    let invoice = api.create_invoice("20").await;
    let other = api.create_invoice("30").await;
    let deposit = api.payment_address(&invoice, "ethereum", USDC).await;
    assert!(figures(&url).await.contains("pepay_open_invoices 2\n"));
    test.pay(&deposit, U256::from(20_000_000_u64)).await;
    test.chain.mine(4).await.unwrap();
    let unswept = |amount: &str| {
        format!("pepay_unswept_amount{{network=\"ethereum\",token=\"USDC\",token_id=\"{USDC}\"}} {amount}\n")
    };
    let shown = async |what: &str, line: &str| {
        eventually(what, async || Some(figures(&url).await).filter(|text| text.contains(line))).await
    };
    let told = shown("the payment to be final", &unswept("20.0")).await;
    let head = test.chain.block_number().await.unwrap();
    for line in [
        "pepay_network_offered{network=\"ethereum\"} 1",
        &format!("pepay_network_block{{network=\"ethereum\"}} {head}"),
        "pepay_open_invoices 1",
        "pepay_nodes 1",
        "pepay_database_up 1",
        "pepay_alarms_total{alarm=\"payment_disputed\"} 0",
        "pepay_deposit_differences{network=\"ethereum\"} 0",
        "# EOF",
    ] {
        assert!(told.lines().any(|found| found == line), "{line}: {told}");
    }
    for begins in [
        "pepay_rpc_failures_total{network=\"ethereum\",endpoint=\"127.0.0.1:",
        "pepay_rpc_requests_total{network=\"ethereum\",endpoint=\"127.0.0.1:",
        "pepay_rpc_bytes_total{network=\"ethereum\",direction=\"sent\"} ",
        "pepay_rpc_bytes_total{network=\"ethereum\",direction=\"received\"} ",
        "pepay_network_behind_seconds{network=\"ethereum\"} ",
        "pepay_webhook_attempts_total{outcome=\"failed\"} ",
    ] {
        assert!(told.lines().any(|found| found.starts_with(begins)), "{begins}: {told}");
    }
    assert!(told.contains(",problem=\"status\"} "), "{told}");
    for secret in
        [&invoice.invoice_id, &other.invoice_id, deposit.temp_address.as_ref().unwrap(), &invoice.session_token]
    {
        assert!(!told.contains(secret.as_str()), "{secret}: {told}");
    }
    // They are nowhere else, and nothing else is there.
    assert_eq!(reqwest::get(format!("{}/metrics", server.url)).await.unwrap().status(), 404);
    assert_eq!(reqwest::get(url.replace("/metrics", "/health/live")).await.unwrap().status(), 404);

    // The guide lists all of them. OpenMetrics leaves `_total` out where it tells the type.
    let types = told.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let there = types.map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
    let guide = include_str!("../../docs/operating.md");
    let listed = guide.lines().filter_map(|line| line.strip_prefix("| `pepay_")?.split('`').next());
    let listed = listed.map(|name| format!("pepay_{name}")).collect::<BTreeSet<_>>();
    assert_eq!(there.collect::<BTreeSet<_>>(), listed);

    server.run_good(&["sweep", "--all"]);
    test.chain.mine(4).await.unwrap();
    shown("the sweep to be read", &unswept("0.0")).await;
}

/// Takes what is posted to it, but for the first.
struct Operator {
    url: String,
    posted: Arc<Mutex<Vec<Value>>>,
    _listening: JoinSet<()>,
}

impl Operator {
    /// `answers`: whether it ever does.
    async fn start(answers: bool) -> Self {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&posted);
        let take = async move |Json(alarm): Json<Value>| {
            let count = {
                let mut taken = taken.lock().unwrap();
                taken.push(alarm);
                taken.len()
            };
            match (answers, count) {
                (false, _) => std::future::pending().await,
                (true, 1) => StatusCode::INTERNAL_SERVER_ERROR,
                (true, _) => StatusCode::OK,
            }
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

    /// A server with a network that it cannot watch, because of a token's decimals.
    fn server(&self, test: &TestChain) -> ServerProcess {
        let config = format!("webhook_url = \"{}\"\n", self.url);
        let token = test.token().replace("decimals = 6", "decimals = 18");
        ServerProcess::prepare(&[HEAD, &config, &test.network(), &token].concat())
    }
}

#[tokio::test]
async fn an_alarm_is_posted_until_the_operator_has_it() {
    let test = TestChain::start().await;
    let operator = Operator::start(true).await;
    let mut server = operator.server(&test);
    server.start().await.unwrap();
    let posted = eventually("the alarm to be posted again", async || operator.posted().get(1).cloned()).await;
    assert_eq!(posted, operator.posted()[0]);
    assert_eq!((&posted["object"], &posted["alarm"]), (&json!("alarm"), &json!("network_unfit")));
    let words = posted["text"].as_str().unwrap();
    assert!(
        words.starts_with("ALARM: the network is not watched (payment.network: ethereum, reason: token 1"),
        "{words}"
    );
    assert_eq!(posted["fields"]["payment.network"], "ethereum");
    assert_eq!(posted["node"], server.node());
    let counted = "pepay_alarms_total{alarm=\"network_unfit\"} 1\n";
    assert!(figures(&server.metrics_url().await).await.contains(counted));
    assert!(!server.log().contains("hooks/secret"), "the URL may hold a secret");
}

#[tokio::test]
async fn an_operator_who_never_answers_holds_nothing_up() {
    let test = TestChain::start().await;
    let operator = Operator::start(false).await;
    let mut server = operator.server(&test);
    let (api, _) = server.create_merchant("http://127.0.0.1:9/");
    server.start().await.unwrap();
    eventually("the alarm to be posted", async || operator.posted().pop()).await;
    api.create_invoice("20").await;
    let stopping = std::time::Instant::now();
    assert!(server.stop().await.success());
    let limit = std::time::Duration::from_secs(5);
    assert!(stopping.elapsed() < limit, "it does not wait for the answer, which may take ten seconds");
    assert_eq!(operator.posted().len(), 1);
}

#[tokio::test]
async fn there_are_no_figures_unless_they_are_asked_for() {
    let mut server = ServerProcess::prepare("environment = \"devnet\"\n");
    server.start().await.unwrap();
    assert_eq!(reqwest::get(format!("{}/metrics", server.url)).await.unwrap().status(), 404);
    assert!(!server.log().contains(" metrics address="));

    // Two cannot have one address, so that figures are never on the public one.
    let same = server.url.replace("http://", "");
    let mut other =
        ServerProcess::prepare(&format!("environment = \"devnet\"\n[operator]\nmetrics_listen = \"{same}\"\n"));
    assert!(!other.start().await.unwrap_err().success());
    assert!(other.log().contains("operator.metrics_listen: cannot listen on"), "{}", other.log());
}

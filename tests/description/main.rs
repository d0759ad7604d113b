//! The running server against its own description: Schemathesis makes requests from it, good and bad ones and sequences
//! of them, and holds every answer against it. On both databases, one after the other.
//!
//! `SCHEMATHESIS` is the program, which `cargo xtask test` installs. How many requests it makes up is said in its settings, so
//! that it looks at the same on a slow machine. What it found is printed with the requests to repeat it.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use alloy_primitives::U256;
use e2e::{Database, ServerProcess, TestChain, TestFolder, USDC, eventually};
use serde_json::Value;
use tokio::{process::Command, sync::Mutex};
use wire::invoice::InvoiceStatus;

const SEED: &str = "3";

/// What cannot be done here: Schemathesis speaks no WebSocket, no further node of the chain is there to be added and so none
/// to be removed, this server is for test money, and nothing came to a wallet that could be attached.
const NEVER_DONE: [&str; 6] = [
    "activate_mainnet_access",
    "add_rpc_endpoint",
    "attach_payment",
    "follow_merchant_events",
    "follow_payment",
    "remove_rpc_endpoint",
];

/// Not two at a time: what is too slow because of that would be a finding.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn the_server_does_as_described_on_sqlite() {
    check(Database::Sqlite).await;
}

#[tokio::test]
async fn the_server_does_as_described_on_postgresql() {
    check(Database::Postgres).await;
}

async fn check(database: Database) {
    let _turn = ONE_AT_A_TIME.lock().await;
    let chain = TestChain::start().await;
    let mut server = ServerProcess::prepare(&config(&chain));
    if database == Database::Postgres {
        server.set_variable("PEPAY__STORAGE__DATABASE_URL", &postgres_cluster::new_database());
    }
    let (api, _) = server.create_merchant("http://127.0.0.1:9/");
    let rights = ["invoices:create", "invoices:read", "invoices:cancel", "settings", "webhooks", "wallets", "rpc"];
    let rights = rights.iter().flat_map(|right| ["--right", right]);
    let create: Vec<_> = ["key", "create", "--merchant", "1"].into_iter().chain(rights).collect();
    let key: Value = server.ask(&create);
    let dashboard: Value = server.ask(&["merchant", "token", "1"]);
    server.start().await.unwrap();

    // Something to be found: an invoice that is paid, and one that can be.
    let paid = api.create_invoice("20").await;
    let address = api.payment_address(&paid, "ethereum", USDC).await;
    chain.pay(&address, U256::from(20_000_000)).await;
    chain.chain.mine(5).await.unwrap();
    eventually("the payment", async || {
        (api.invoice(&paid.invoice_id).await.status == InvoiceStatus::Paid).then_some(())
    })
    .await;
    let open = api.create_invoice("1000000").await;
    let address = api.payment_address(&open, "ethereum", USDC).await;
    let stream = address.ws_connection.unwrap();
    // And a search that can be read from the first request on.
    let verify = format!("{}/api/v1/invoice/{}/verify", server.url, open.invoice_id);
    let request = demo::http_client().unwrap().post(verify).header("x-session-token", &open.session_token);
    let answer = request.header("x-signature", &open.signature).send().await.unwrap();
    assert_eq!(answer.status(), 202);

    let id = |answer: Value, place: &str| answer.pointer(place).and_then(Value::as_str).unwrap().to_owned();
    let webhook = id(api.get("/api/v1/webhooks").await.good(), "/data/0/id");
    let event = id(api.get("/api/v1/events?limit=1").await.good(), "/data/data/0/id");

    let report = TestFolder::new();
    let credentials = [
        ("PEPAY_MERCHANT_KEY", text(&key, "api_key")),
        // Not to be revoked: everything else would be refused from then on.
        ("PEPAY_MERCHANT_KEY_ID", text(&key, "key_id")),
        ("PEPAY_DASHBOARD", text(&dashboard, "token")),
        ("PEPAY_SESSION_TOKEN", &open.session_token),
        ("PEPAY_SESSION_SIGNATURE", &open.signature),
        ("PEPAY_STREAM_TOKEN", &stream.token),
        ("PEPAY_WEBHOOK_ID", &webhook),
        ("PEPAY_EVENT_ID", &event),
    ];
    run(&server, &credentials, report.path()).await;
    check_that_all_was_tested(&server, report.path()).await;
}

/// Limits are lifted: what is tested here is not that they are kept.
fn config(chain: &TestChain) -> String {
    format!(
        "environment = \"devnet\"\n[limits]\nrequests_per_minute_per_key = 0\nrequests_per_minute_per_session = 0\n\
         requests_per_minute_per_address = 0\nfailed_credentials_per_minute = 0\nactive_keys_per_scope = 10000\n\
         [webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n{}{}",
        chain.network(),
        chain.token()
    )
}

fn text<'v>(answer: &'v Value, name: &str) -> &'v str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

async fn run(server: &ServerProcess, credentials: &[(&str, &str)], folder: &Path) {
    let program =
        std::env::var_os("SCHEMATHESIS").expect("SCHEMATHESIS is the program; `cargo xtask test` installs it");
    let settings = settings();
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(settings.join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.url), "--checks", "all", "--phases"])
        .args(["examples,coverage,fuzzing,stateful", "--seed", SEED])
        .current_dir(folder)
        .env("PYTHONPATH", &settings)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PEPAY_TALLY", folder.join("tally.json"))
        .envs(credentials.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "Schemathesis has findings, see above: {}", output.status);
}

/// Where the settings and hooks are.
fn settings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis")
}

/// That nothing was found says something only if something was looked at: every operation, also with requests that it
/// does.
async fn check_that_all_was_tested(server: &ServerProcess, folder: &Path) {
    let description: Value = demo::http_client()
        .unwrap()
        .get(format!("{}/openapi.json", server.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let tally = fs::read_to_string(folder.join("tally.json")).unwrap();
    let tally: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(&tally).unwrap();
    let operations = description["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap());
    let ids: Vec<_> = operations.filter_map(|(_, operation)| operation["operationId"].as_str()).collect();
    assert!(!ids.is_empty());
    let mut calls = 0;
    for id in ids {
        let answers = tally.get(id).unwrap_or_else(|| panic!("{id} was never called"));
        println!("{id}: {answers:?}");
        calls += answers.values().sum::<u64>();
        let is_done = answers.keys().any(|status| status.starts_with('2'));
        assert!(
            is_done || NEVER_DONE.contains(&id),
            "{id} was never called so that it did what it is for: {answers:?}"
        );
    }
    println!("{calls} calls");
}

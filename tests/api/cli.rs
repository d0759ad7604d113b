//! The command line, on the real binary.

use std::{fs, os::unix::fs::PermissionsExt};

use e2e::{ApiClient, ServerProcess, WALLET, WebhookSink};
use serde_json::{Value, json};
use uuid::Uuid;

const CONFIG: &str = "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n";

fn check_refused(server: &ServerProcess, arguments: &[&str], message: &str) {
    let output = server.run(arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    assert!(output.stderr.contains(message), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
}

#[test]
fn init_writes_what_is_missing_and_replaces_nothing() {
    let server = ServerProcess::prepare("environment = \"devnet\"\n");
    assert_eq!(fs::read_to_string(server.path("pepay.toml")).unwrap(), "environment = \"devnet\"\n");
    let secret = fs::read_to_string(server.path("pepay.secret")).unwrap();
    assert_eq!(secret.trim().len(), 64);
    for name in ["pepay.secret", "pepay.db"] {
        let mode = fs::metadata(server.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    let again: Value = server.ask(&["init"]);
    assert_eq!((&again["wrote_config"], &again["wrote_secret"]), (&json!(false), &json!(false)));
    assert_eq!(fs::read_to_string(server.path("pepay.secret")).unwrap(), secret);

    fs::remove_file(server.path("pepay.toml")).unwrap();
    let fresh: Value = server.ask(&["init"]);
    assert_eq!(fresh["wrote_config"], json!(true));
    let written = fs::read_to_string(server.path("pepay.toml")).unwrap();
    assert_eq!(written, pepay::config::DEFAULT_FILE);
}

#[tokio::test]
async fn a_merchant_and_a_key_are_created_beside_the_running_server() {
    let mut server = ServerProcess::prepare(CONFIG);
    server.start().await.unwrap();
    let created: Value =
        server.ask(&["merchant", "create", "--name", "Shop", "--email", "a@b.example", "--wallet", WALLET]);
    assert_eq!(created["merchant_id"], json!(1));
    assert_eq!(created["recovery_code"].as_str().unwrap().len(), 64);

    let key: Value = server.ask(&["key", "create", "--merchant", "1", "--name", "till"]);
    let (key_id, api_key) = (key["key_id"].as_str().unwrap(), key["api_key"].as_str().unwrap());
    assert!(api_key.starts_with("pk_test_") && api_key.len() == 51, "{api_key}");
    let api = ApiClient::new(&server.url, api_key);
    let invoice = api.create_invoice("12.5").await;
    assert_eq!(api.invoice(&invoice.invoice_id).await.amount, 12_500);

    let keys: Value = server.ask(&["key", "list", "--merchant", "1"]);
    assert_eq!(keys[0]["key_id"], json!(key_id));
    assert_eq!(keys[0]["hint"], json!(&api_key[47..]));
    assert_eq!(keys[0]["revoked_at"], Value::Null);
    assert!(!keys.to_string().contains(api_key));
    let database = fs::read(server.path("pepay.db-wal")).unwrap();
    assert!(!database.windows(api_key.len()).any(|bytes| bytes == api_key.as_bytes()), "keys are stored hashed");

    server.run_good(&["key", "revoke", key_id]);
    check_refused(&server, &["key", "revoke", key_id], "no API key");
    let refused = api.try_create_invoice(Uuid::new_v4(), &json!({ "amount_usd": 1 })).await.unwrap();
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_webhook_is_signed_with_the_secret_that_was_shown_last() {
    let sink = WebhookSink::start().await;
    let mut server = ServerProcess::prepare(CONFIG);
    server.start().await.unwrap();
    let (api, first) = server.create_merchant(&sink.url);
    let second: Value = server.ask(&["merchant", "set-webhook", "1", &sink.url]);
    let second = second["secret"].as_str().unwrap();
    api.create_invoice("1").await;
    let received = sink.wait_for(1).await;
    assert!(received[0].is_signed_with(second));
    assert!(!received[0].is_signed_with(&first));
}

#[test]
fn bad_input_is_refused_by_name_and_leaves_no_trace() {
    let server = ServerProcess::prepare("environment = \"devnet\"\n");
    let create = |name: &'static str, email: &'static str, wallet: &'static str| {
        ["merchant", "create", "--name", name, "--email", email, "--wallet", wallet]
    };
    check_refused(&server, &create("", "a@b.example", WALLET), "--name");
    check_refused(&server, &create("Shop", "nobody", WALLET), "--email");
    check_refused(&server, &create("Shop", "a@b.example", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed"), "checksum");
    check_refused(&server, &create("Shop", "a@b.example", "0x0000000000000000000000000000000000000000"), "zero");
    check_refused(&server, &["merchant", "set-webhook", "1", "https://shop.example/"], "no merchant 1");
    check_refused(&server, &["key", "create", "--merchant", "1"], "no merchant 1");
    check_refused(&server, &["key", "list", "--merchant", "1"], "no merchant 1");
    check_refused(&server, &["key", "revoke", "x"], "API key id");

    server.run_good(&create("Shop", "a@b.example", WALLET));
    check_refused(&server, &["merchant", "set-webhook", "1", "http://shop.example/"], "https");
    check_refused(&server, &["merchant", "set-webhook", "1", "https://127.0.0.1/"], "not a public address");
    check_refused(&server, &["merchant", "set-origins", "1", "https://shop.example/pay"], "ORIGIN");
    server.run_good(&["merchant", "set-origins", "1", "https://shop.example"]);
    let keys: Value = server.ask(&["key", "list", "--merchant", "1"]);
    assert_eq!(keys, json!([]));
}

#[tokio::test]
async fn the_server_does_not_start_on_a_bad_setting_and_names_it() {
    let mut server = ServerProcess::prepare("environment = \"devnet\"\n");
    let check = async |server: &mut ServerProcess, message: &str| {
        let status = server.start().await.unwrap_err();
        assert!(!status.success());
        assert!(server.log().contains(message), "{}", server.log());
    };
    server.set_variable("PEPAY__WEBHOOKS__TIMEOUT_MS", "soon");
    check(&mut server, "webhooks.timeout_ms: ").await;
    server.unset_variable("PEPAY__WEBHOOKS__TIMEOUT_MS");

    fs::write(server.path("pepay.toml"), "environment = \"devnet\"\n[servr]\nlisten = 1\n").unwrap();
    check(&mut server, "servr: unknown field").await;
    fs::write(server.path("pepay.toml"), "environment = \"devnet\"\n").unwrap();

    fs::set_permissions(server.path("pepay.secret"), fs::Permissions::from_mode(0o644)).unwrap();
    check(&mut server, "secrets.file: ").await;
    fs::set_permissions(server.path("pepay.secret"), fs::Permissions::from_mode(0o600)).unwrap();
    server.start().await.unwrap();
}

#[tokio::test]
async fn a_second_server_is_kept_off_the_database() {
    let mut server = ServerProcess::prepare("environment = \"devnet\"\n");
    server.start().await.unwrap();
    let second = server.run(&["serve"]);
    assert!(!second.status.success());
    assert!(second.stderr.contains("another server runs on this database"), "{second:?}");
    server.kill_9();
    server.start().await.unwrap();
}

#[tokio::test]
async fn a_signal_ends_the_server_in_order() {
    let mut server = ServerProcess::prepare("environment = \"devnet\"\n");
    server.start().await.unwrap();
    assert!(server.stop().await.success());
    assert!(server.log().contains("stopped"), "{}", server.log());
    assert!(!server.path("pepay.db-wal").exists(), "a database that was closed has no write-ahead log");
}

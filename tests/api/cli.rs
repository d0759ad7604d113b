//! The command line, on the real binary.

use std::{fs, os::unix::fs::PermissionsExt};

use e2e::{ApiClient, ServerProcess, WALLET, WebhookSink, eventually};
use pepay::xpub::AddressKey;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::Environment;

const CONFIG: &str = "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n";

/// A picture of eight pixels a side, as far as it says so itself.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x08\0\0\0\x08\x08\x06\0\0\0\0\0\0\0\0\0\0\0IEND\xaeB\x60\x82";

#[test]
fn a_merchant_s_look_is_checked_before_it_is_set() {
    let server = ServerProcess::prepare(CONFIG);
    server.run_good(&["merchant", "create", "--name", "Shop", "--email", "a@b.example", "--wallet", WALLET]);
    let file = |name: &str, content: &[u8]| {
        fs::write(server.path(name), content).unwrap();
        server.path(name).to_string_lossy().into_owned()
    };
    let (logo, svg, large) = (file("a.png", PNG), file("b.svg", b"<svg onload='x'/>"), file("c.png", &vec![0; 70_000]));
    let set: Value =
        server.ask(&["merchant", "set-brand", "1", "--color", "#ffee00", "--radius", "4", "--logo", &logo]);
    assert_eq!(set, json!({ "merchant_id": 1, "color": "#ffee00", "radius": 4, "logo": true }));
    let set_brand = |arguments: &[&'static str]| [&["merchant", "set-brand", "1"], arguments].concat();
    check_refused(&server, &set_brand(&["--color", "red"]), "--color");
    check_refused(&server, &set_brand(&["--color", "#000000;}body{display:none"]), "--color");
    check_refused(&server, &set_brand(&["--radius", "25"]), "25");
    check_refused(&server, &["merchant", "set-brand", "1", "--logo", &svg], "PNG or JPEG");
    check_refused(&server, &["merchant", "set-brand", "1", "--logo", &large], "64 KiB");
    check_refused(&server, &set_brand(&["--logo", "/nowhere/logo.png"]), "--logo");
    check_refused(&server, &["merchant", "set-brand", "9"], "there is no merchant 9");
    let cleared: Value = server.ask(&["merchant", "set-brand", "1"]);
    assert_eq!(cleared, json!({ "merchant_id": 1, "color": null, "radius": null, "logo": false }));
}

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
    assert!(api_key.starts_with("pk_pepay_test_") && api_key.len() == 66, "{api_key}");
    let api = ApiClient::new(&server.url, api_key);
    let invoice = api.create_invoice("12.5").await;
    assert_eq!(api.invoice(&invoice.invoice_id).await.amount, 12_500);

    let keys: Value = server.ask(&["key", "list", "--merchant", "1"]);
    assert_eq!(keys[0]["key_id"], json!(key_id));
    assert_eq!(keys[0]["hint"], json!(&api_key[62..]));
    assert_eq!(keys[0]["name"], json!("till"));
    assert_eq!((&keys[0]["scope"], &keys[0]["status"]), (&json!("merchant"), &json!("active")));
    assert_eq!(keys[0]["environment"], json!("devnet"));
    assert_eq!(keys[0]["rights"], json!(["invoices:create", "invoices:read", "invoices:cancel", "settings"]));
    for never in ["expires_at", "revoked_at", "revoked_reason"] {
        assert_eq!(keys[0][never], Value::Null, "{never}");
    }
    assert!(!keys.to_string().contains(api_key));
    let database = fs::read(server.path("pepay.db-wal")).unwrap();
    assert!(!database.windows(api_key.len()).any(|bytes| bytes == api_key.as_bytes()), "keys are stored hashed");

    server.run_good(&["key", "revoke", key_id]);
    check_refused(&server, &["key", "revoke", key_id], "no API key");
    let refused = api.try_create_invoice(Uuid::new_v4(), &json!({ "amount_usd": 1 })).await.unwrap();
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn the_operator_decides_what_a_key_opens_and_until_when() {
    let mut server = ServerProcess::prepare(CONFIG);
    server.start().await.unwrap();
    let create = ["merchant", "create", "--name", "Shop", "--email", "a@b.example", "--wallet", WALLET];
    server.run_good(&create);
    let options = ["--right", "invoices:read", "--right", "rpc", "--expires-in-days", "30"];
    let key: Value = server.ask(&[&["key", "create", "--merchant", "1"], &options[..]].concat());
    assert_eq!(key["rights"], json!(["invoices:read", "rpc"]));
    assert_eq!(key["expires_at"].as_i64().unwrap() - key["created_at"].as_i64().unwrap(), 30 * 86_400);
    let commerce: Value = server.ask(&["key", "create", "--merchant", "1", "--scope", "commerce"]);
    assert!(commerce["api_key"].as_str().unwrap().starts_with("ck_pepay_test_"));
    assert_eq!((&commerce["scope"], &commerce["rights"]), (&json!("commerce"), &json!([])));

    let (key_id, api_key) = (key["key_id"].as_str().unwrap(), key["api_key"].as_str().unwrap());
    let api = ApiClient::new(&server.url, api_key);
    assert_eq!(api.get("/api/v1/invoices").await.status, 200);
    let refused = api.try_create_invoice(Uuid::new_v4(), &json!({ "amount_usd": 1 })).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (403, &json!("RIGHT_REQUIRED")));

    server.run_good(&["key", "suspend", key_id]);
    check_refused(&server, &["key", "suspend", key_id], "could be suspended");
    let refused = api.get("/api/v1/invoices").await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (403, &json!("API_KEY_SUSPENDED")));
    server.run_good(&["key", "resume", key_id]);
    check_refused(&server, &["key", "resume", key_id], "could be resumed");
    assert_eq!(api.get("/api/v1/invoices").await.status, 200);
    server.run_good(&["key", "revoke", key_id, "--reason", "left a laptop on a train"]);

    let listed = server.run_good(&["key", "list", "--merchant", "1"]);
    for part in [key_id, "revoked", "merchant", "devnet", "[invoices:read rpc]", "expires", "left a laptop", "commerce"]
    {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    assert!(!listed.contains(api_key));
}

#[tokio::test]
async fn a_dashboard_token_is_minted_listed_and_revoked_beside_the_running_server() {
    let mut server = ServerProcess::prepare(CONFIG);
    server.start().await.unwrap();
    let create = ["merchant", "create", "--name", "Shop", "--email", "a@b.example", "--wallet", WALLET];
    server.run_good(&create);
    let minted: Value = server.ask(&["merchant", "token", "1", "--hours", "2"]);
    let (token_id, token) = (minted["token_id"].as_str().unwrap(), minted["token"].as_str().unwrap());
    assert!(token.starts_with("pd_pepay_test_") && token.len() == 66, "{token}");
    let client = demo::http_client().unwrap();
    let status = async || {
        let call = client.get(format!("{}/api/v1/api-keys", server.url)).bearer_auth(token);
        call.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);

    let tokens: Value = server.ask(&["merchant", "tokens", "1"]);
    assert_eq!((&tokens[0]["token_id"], &tokens[0]["revoked_at"]), (&json!(token_id), &Value::Null));
    let life = tokens[0]["expires_at"].as_i64().unwrap() - tokens[0]["created_at"].as_i64().unwrap();
    assert_eq!(life, 2 * 3_600);
    assert!(!tokens.to_string().contains(token));
    let database = fs::read(server.path("pepay.db-wal")).unwrap();
    assert!(!database.windows(token.len()).any(|bytes| bytes == token.as_bytes()), "tokens are stored hashed");

    server.run_good(&["merchant", "revoke-token", token_id]);
    check_refused(&server, &["merchant", "revoke-token", token_id], "no dashboard token");
    assert_eq!(status().await, 401);
    assert!(server.run_good(&["merchant", "tokens", "1"]).contains("revoked"));
}

#[tokio::test]
async fn a_wallet_that_the_operator_sets_is_in_force_at_once_and_calls_off_what_was_scheduled() {
    const NETWORK: &str = "[[networks]]\nname = \"base\"\ntitle = \"Base\"\nchain_id = 31338\n\
        rpc = [\"http://127.0.0.1:9\"]\npaid_after = 2\nfinal_after = 4\n";
    const NEW: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
    const SCHEDULED: &str = "0x8617E340B3D01FA5F11F306F4090FD50E238070D";
    let mut server = ServerProcess::prepare(&format!("{CONFIG}{NETWORK}"));
    server.start().await.unwrap();
    let mut keys = Vec::new();
    for merchant in ["1", "2"] {
        let create = ["merchant", "create", "--name", "Shop", "--email", "a@b.example", "--wallet", WALLET];
        server.run_good(&create);
        let rights = ["--right", "invoices:read", "--right", "wallets"];
        let key: Value = server.ask(&[&["key", "create", "--merchant", merchant], &rights[..]].concat());
        keys.push(ApiClient::new(&server.url, key["api_key"].as_str().unwrap()));
    }
    let wallets = async |api: &ApiClient| {
        let networks = api.get("/api/v1/merchant/wallets").await.body;
        let shown = networks[0]["wallets"].as_array().unwrap().iter();
        shown.map(|wallet| (wallet["address"].clone(), wallet["status"].clone())).collect::<Vec<_>>()
    };
    let active = |address: &str| vec![(json!(address), json!("active"))];
    let change = json!({ "network": "base", "wallet_address": SCHEDULED });
    let scheduled = keys[0].call(reqwest::Method::POST, "/api/v1/merchant/wallets", &change).await;
    assert_eq!(scheduled.status, 200);
    assert_eq!(wallets(&keys[0]).await.len(), 2);

    let said = server.run_good(&["merchant", "set-wallet", "1", NEW]);
    assert!(said.contains(&format!("merchant 1 are paid to {NEW}, no longer to {WALLET}")), "{said}");
    assert_eq!(wallets(&keys[0]).await, active(NEW));
    assert_eq!(wallets(&keys[1]).await, active(WALLET), "another merchant's stays");
    let back: Value = server.ask(&["merchant", "set-wallet", "1", &WALLET.to_lowercase()]);
    assert_eq!((&back["status"], &back["previous_wallet_address"]), (&json!("applied"), &json!(NEW)));
    assert_eq!(wallets(&keys[0]).await, active(WALLET));
    let told = eventually("all changes to be told of", async || {
        let list = keys[0].get("/api/v1/events?type=wallet_change.*").await.body;
        let events = list["data"]["data"].as_array()?.iter();
        let types: Vec<_> = events.map(|event| event["type"].as_str().unwrap().to_owned()).collect();
        (types.len() == 4).then_some(types)
    });
    let [applied, canceled] = ["wallet_change.applied", "wallet_change.canceled"];
    assert_eq!(told.await, [applied, applied, canceled, "wallet_change.scheduled"]);

    let set = |merchant: &'static str, wallet: &'static str| ["merchant", "set-wallet", merchant, wallet];
    check_refused(&server, &set("1", WALLET), "it is the wallet already");
    check_refused(&server, &set("9", NEW), "no merchant 9");
    check_refused(&server, &set("1", "0x52908400098527886E0F7030069857D2E4169Ee7"), "checksum");
    check_refused(&server, &set("1", "0x0000000000000000000000000000000000000000"), "zero");
    check_refused(&server, &set("1", "shop.eth"), "name");
    assert_eq!(wallets(&keys[0]).await, active(WALLET));
}

#[test]
fn the_operator_says_what_kind_of_address_payers_are_given() {
    const XPUB: &str = "xpub6Bh6Cg7bvjFdW6VEAaZmsyhZh86WdJ9Kr5aqqY5LN7UFLpxTrxsiys213UCu8MAYjcq5JhF7jzZXvruGfWfPbxqsByNNhwWaNQRuhP3JcC3";
    const PRIVATE: &str = "xprv9xhjoAai6MhLHcQm4Z2mWqkq96G2DqRUUrfF39fiomwGU2dKKRZUS4hXCCDSpqZyQwWCsG4e9NJknKd9TQHHF7jjiznDpUqUQZ9CNSWZeZg";
    let server = ServerProcess::prepare(CONFIG);
    for name in ["Shop", "Other"] {
        server.run_good(&["merchant", "create", "--name", name, "--email", "a@b.example", "--wallet", WALLET]);
    }
    let set = |arguments: &[&str]| -> Value { server.ask(&[&["merchant", "set-addresses"], arguments].concat()) };
    let refused = |arguments: &[&str], message: &str| {
        check_refused(&server, &[&["merchant", "set-addresses"], arguments].concat(), message);
    };
    refused(&["1", "xpub"], "no extended public key was given yet");
    refused(&["1", "xpub", "--xpub", &XPUB[..40]], "must be an extended public key");
    refused(&["1", "elsewhere"], "must be forwarder, xpub or direct");
    refused(&["9", "direct"], "no merchant 9");
    let output = server.run(&["merchant", "set-addresses", "1", "xpub", "--xpub", PRIVATE]);
    assert!(!output.status.success() && output.stderr.contains("PRIVATE key"), "{output:?}");
    assert!(!output.stderr.contains(PRIVATE), "a private key is not repeated");

    let chosen = set(&["1", "xpub", "--xpub", XPUB]);
    assert_eq!((&chosen["address_mode"], &chosen["next_index"]), (&json!("xpub"), &json!(0)));
    let first = chosen["first_addresses"].as_array().unwrap();
    let key = AddressKey::parse(XPUB, Environment::Devnet).unwrap();
    assert_eq!(first[2], json!(key.address(2).unwrap().to_checksum(None)));
    let said = server.run_good(&["merchant", "set-addresses", "1", "xpub"]);
    assert!(said.contains("Compare its first addresses") && said.contains(first[0].as_str().unwrap()), "{said}");
    refused(&["2", "xpub", "--xpub", XPUB], "another merchant's");
    assert_eq!(server.ask::<Value>(&["merchant", "addresses", "1"]), chosen);
    let other: Value = server.ask(&["merchant", "addresses", "2"]);
    assert_eq!(other["address_mode"], json!("forwarder"));
    check_refused(&server, &["merchant", "addresses", "9"], "no merchant 9");

    assert_eq!(set(&["1", "xpub", "--next-index", "70"])["next_index"], json!(70));
    assert_eq!(set(&["1", "xpub", "--next-index", "60"])["next_index"], json!(70), "numbers never go back");
    assert_eq!(set(&["1", "direct"])["next_index"], Value::Null);
    assert_eq!(set(&["1", "forwarder"])["address_mode"], json!("forwarder"));
    assert_eq!(set(&["1", "xpub"])["next_index"], json!(70));
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
    check_refused(&server, &["merchant", "token", "1"], "no merchant 1");
    check_refused(&server, &["merchant", "revoke-token", "x"], "dashboard token id");

    server.run_good(&create("Shop", "a@b.example", WALLET));
    let key = |options: &[&'static str]| [&["key", "create", "--merchant", "1"], options].concat();
    check_refused(&server, &key(&["--right", "everything"]), "--right");
    check_refused(&server, &key(&["--scope", "root"]), "--scope");
    check_refused(&server, &key(&["--scope", "commerce", "--right", "settings"]), "--right");
    check_refused(&server, &key(&["--expires-in-days", "0"]), "--expires-in-days");
    check_refused(&server, &["merchant", "token", "1", "--hours", "0"], "--hours");
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

//! What a merchant sets for itself beside tokens and wallets, and who may.

use axum::http::Method;
use domain::access::Right;
use serde_json::{Value, json};
use sqlx::{Connection, Row};
use wire::Environment;

use super::{Answer, Server, add_merchant};
use crate::testing::Log;

const PREFERENCE: &str = "/api/v1/merchant/settlement-preference";
const SETTLEMENT: &str = "/api/v1/merchant/settlement-token";
const RETURN_URL: &str = "/api/v1/merchant/payment-return-url";
const ACCESS: &str = "/api/v1/user/mainnet-access/status";
const ACTIVATE: &str = "/api/v1/user/mainnet-access/activate";
const ENVIRONMENT: &str = "/api/v1/user/environment";

/// Every operation on settings that a key can do, with a body that is good, and the right it takes.
const OPERATIONS: [(Method, &str, &str, Right); 16] = [
    (Method::GET, "/api/v1/merchant/tokens", "", Right::ReadInvoices),
    (Method::GET, "/api/v1/merchant/tokens/search", "", Right::ReadInvoices),
    (Method::POST, "/api/v1/merchant/tokens/1/block", "", Right::ManageSettings),
    (Method::GET, "/api/v1/merchant/networks", "", Right::ReadInvoices),
    (Method::PUT, "/api/v1/merchant/networks", r#"{"networks":["base"]}"#, Right::ManageSettings),
    (Method::GET, "/api/v1/merchant/wallets", "", Right::ReadInvoices),
    (Method::GET, "/api/accounts/wallets", "", Right::ReadInvoices),
    (
        Method::POST,
        "/api/v1/merchant/wallets",
        r#"{"network":"base","wallet_address":"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}"#,
        Right::ManageWallets,
    ),
    (Method::DELETE, "/api/v1/merchant/wallets/7c0f6d0e-2a41-4c7b-9a53-0d6f1b2e8a10", "", Right::ManageWallets),
    (Method::GET, RETURN_URL, "", Right::ReadInvoices),
    (Method::PUT, RETURN_URL, r#"{"payment_return_url":"https://shop.example/"}"#, Right::ManageSettings),
    (Method::GET, ACCESS, "", Right::ReadInvoices),
    (Method::PUT, ENVIRONMENT, r#"{"environment":"devnet"}"#, Right::ManageSettings),
    (Method::GET, "/api/v1/merchant/rpc", "", Right::OperateNetworks),
    (
        Method::POST,
        "/api/v1/merchant/rpc",
        r#"{"network":"base","rpc_url":"http://127.0.0.1:9/"}"#,
        Right::OperateNetworks,
    ),
    (Method::DELETE, "/api/v1/merchant/rpc/7c0f6d0e-2a41-4c7b-9a53-0d6f1b2e8a10", "", Right::OperateNetworks),
];

impl Server {
    /// Everything that is stored of all merchants' settings, and how many events there are.
    pub(super) async fn settings(&self) -> Vec<String> {
        let url = &self.app.config.storage.database_url;
        let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
        let mut rows = Vec::new();
        for columns in [
            "merchant_id || acceptance_policy || COALESCE(return_url, '-') || COALESCE(settlement_token_id, -1)
                || COALESCE(settlement_chosen_at, -1) AS line FROM merchants",
            "merchant_id || ' ' || token_id || ' ' || blocked_at AS line FROM blocked_tokens",
            "merchant_id || wallet_id || address || effective_at || COALESCE(canceled_at, -1) AS line
                FROM wallet_changes",
            "merchant_id || endpoint_id || url AS line FROM rpc_endpoints",
            "'' || COUNT(*) AS line FROM events",
        ] {
            let query = format!("SELECT {columns} ORDER BY line");
            let found = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
            rows.extend(found.iter().map(|row| row.get::<String, _>(0)));
        }
        rows
    }

    async fn put(&self, path: &str, body: &str) -> Answer {
        self.call(&Method::PUT, path, ("x-api-key", &self.key), body).await
    }

    async fn dashboard_get(&self, path: &str) -> Answer {
        self.call(&Method::GET, path, ("authorization", &self.dashboard().await), "").await
    }

    async fn dashboard_put(&self, path: &str, body: &str) -> Answer {
        self.call(&Method::PUT, path, ("authorization", &self.dashboard().await), body).await
    }
}

#[tokio::test]
async fn every_operation_on_settings_takes_its_right_and_no_other() {
    let server = Server::start_with(|config| config.limits.active_keys_per_scope = 1_000).await;
    let all = Right::ALL;
    let before = server.settings().await;
    for (method, path, body, right) in OPERATIONS {
        let call = async |credential: (&str, &str)| server.call(&method, path, credential, body).await;
        call(("x-other", "x")).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
        call(("x-api-key", "pk_x")).await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
        let others: Vec<_> = all.into_iter().filter(|other| *other != right).collect();
        let key = server.key_with(&others).await;
        call(("x-api-key", &key)).await.is_error(403, "RIGHT_REQUIRED", None);
    }
    assert_eq!(server.settings().await, before);
    for (method, path, body, right) in OPERATIONS {
        let key = server.key_with(&[right]).await;
        let answer = server.call(&method, path, ("x-api-key", &key), body).await;
        assert!(![401, 403, 405].contains(&answer.status.as_u16()), "{method} {path}: {}", answer.text);
        let bearer = server.dashboard().await;
        let answer = server.call(&method, path, ("authorization", &bearer), body).await;
        // What is the operator's is not a merchant's, also not at the dashboard.
        assert_eq!(answer.status == 403, right == Right::OperateNetworks, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn settlement_is_the_dashboard_s_unless_the_configuration_lets_keys() {
    let server = Server::start().await;
    let all = server.key_with(&Right::ALL).await;
    let body = r#"{"settlement_token_id":4}"#;
    for (method, path, body) in [(Method::GET, PREFERENCE, ""), (Method::PUT, SETTLEMENT, body)] {
        let call = async |credential: (&str, &str)| server.call(&method, path, credential, body).await;
        call(("x-other", "x")).await.is_error(401, "DASHBOARD_TOKEN_MISSING", Some("Authorization"));
        call(("authorization", "Bearer x")).await.is_error(401, "DASHBOARD_TOKEN_INVALID", Some("Authorization"));
        call(("x-api-key", &all)).await.is_error(403, "SCOPE_FORBIDDEN", Some("Authorization"));
        assert_eq!(call(("authorization", &server.dashboard().await)).await.status, 200);
    }

    let server = Server::start_with(|config| config.merchants.settlement_by_key = true).await;
    let key = server.key_with(&[Right::ManageSettings]).await;
    let (reader, bearer) = (server.key_with(&[Right::ReadInvoices]).await, server.dashboard().await);
    for (method, path, body) in [(Method::GET, PREFERENCE, ""), (Method::PUT, SETTLEMENT, body)] {
        let call = async |credential: (&str, &str)| server.call(&method, path, credential, body).await;
        call(("x-api-key", &reader)).await.is_error(403, "RIGHT_REQUIRED", None);
        assert_eq!(call(("x-api-key", &key)).await.status, 200);
        assert_eq!(call(("authorization", &bearer)).await.status, 200);
    }
}

#[tokio::test]
async fn the_settlement_token_is_kept_and_shown_and_changes_nothing_else() {
    let server = Server::start().await;
    let began = server.app.clock.now().0;
    let shown = server.dashboard_get(PREFERENCE).await.json();
    let token = |id: i64, symbol: &str, name: &str, network: &str, address: &str, decimals: u8, key: &str, is: bool| {
        json!({
            "id": id, "token_symbol": symbol, "token_name": name, "network": network, "token_address": address,
            "token_decimals": decimals, "photo_uri": null, key: is,
        })
    };
    let usdc =
        |key, is| token(1, "USDC", "USD Coin", "ethereum", "0x00000000000000000000000000000000000000C1", 6, key, is);
    let tether =
        |key, is| token(4, "USDT", "Tether", "base", "0x00000000000000000000000000000000000000C4", 18, key, is);
    assert_eq!(shown["settlement_preference"], "tokens");
    assert!(shown["description"].as_str().unwrap().contains("settled in the token that was paid"));
    assert_eq!(shown["selected_settlement_token"], usdc("is_default", true));
    let key = "is_default_settlement";
    assert_eq!(shown["available_stable_tokens"], json!([usdc(key, true), tether(key, false)]));
    assert_eq!(shown["updated_at"], began);

    server.clock.advance_seconds(100);
    let chosen = server.dashboard_put(SETTLEMENT, r#"{"settlement_token_id":4}"#).await.json();
    let short = |id: i64, symbol: &str, name: &str, network: &str| json!({ "id": id, "token_symbol": symbol, "token_name": name, "network": network });
    assert_eq!(chosen["success"], true);
    assert_eq!(chosen["settlement_token"], short(4, "USDT", "Tether", "base"));
    assert_eq!(chosen["updated_at"], began + 100);
    let shown = server.dashboard_get(PREFERENCE).await.json();
    assert_eq!(shown["selected_settlement_token"], tether("is_default", false));
    assert_eq!((&shown["updated_at"], &shown["settlement_preference"]), (&json!(began + 100), &json!("tokens")));

    server.clock.advance_seconds(100);
    let back = server.dashboard_put(SETTLEMENT, r#"{"settlement_token_id":null}"#).await.json();
    assert_eq!(back["settlement_token"], short(1, "USDC", "USD Coin", "ethereum"));
    assert_eq!(server.dashboard_get(PREFERENCE).await.json()["selected_settlement_token"], usdc("is_default", true));
}

#[tokio::test]
async fn only_a_stable_token_on_offer_can_be_the_settlement_token() {
    let server = Server::start().await;
    assert_eq!(server.dashboard_put(SETTLEMENT, r#"{"settlement_token_id":4}"#).await.status, 200);
    let before = server.settings().await;
    // A coin, a token that is not taken, and what is no token at all.
    for id in ["2", "3", "99", "0", "-1", "1.5", "\"1\"", "true", "9223372036854775808"] {
        let body = format!(r#"{{"settlement_token_id":{id}}}"#);
        let answer = server.dashboard_put(SETTLEMENT, &body).await;
        answer.is_error(400, "VALIDATION_ERROR", Some("settlement_token_id"));
    }
    let missing = server.dashboard_put(SETTLEMENT, "{}").await;
    missing.is_error(400, "VALIDATION_ERROR", Some("settlement_token_id"));
    assert_eq!(server.settings().await, before);

    let without = Server::start_with(|config| config.networks.clear()).await;
    let shown = without.dashboard_get(PREFERENCE).await.json();
    assert_eq!((&shown["selected_settlement_token"], &shown["available_stable_tokens"]), (&Value::Null, &json!([])));
    let none = without.dashboard_put(SETTLEMENT, r#"{"settlement_token_id":null}"#).await.json();
    assert_eq!(none["settlement_token"], Value::Null);
}

#[tokio::test]
async fn the_return_url_is_the_default_of_invoices_without_one() {
    let server = Server::start().await;
    let (_, other) = add_merchant(&server.app).await;
    let unset = json!({ "payment_return_url": null, "payment_return_url_enabled": false });
    assert_eq!(server.merchant_get(RETURN_URL).await.json(), unset);
    let before = server.invoice(json!({})).await;
    let set = json!({ "payment_return_url": "https://shop.example/thanks?x=1", "payment_return_url_enabled": true });
    let body = json!({ "payment_return_url": "https://shop.example/thanks?x=1" }).to_string();
    assert_eq!(server.put(RETURN_URL, &body).await.json(), set);
    assert_eq!(server.merchant_get(RETURN_URL).await.json(), set);
    assert_eq!(server.get(RETURN_URL, &[("x-api-key", &other)]).await.json(), unset);

    let own = json!({ "payment_return_url": "https://shop.example/own" });
    let off = json!({ "payment_return_url_enabled": false });
    let mut shown = Vec::new();
    for invoice in [&before, &server.invoice(json!({})).await, &server.invoice(own).await, &server.invoice(off).await] {
        let details = server.payor_get("/api/v1/payments/session-details", invoice).await.json();
        shown.push((details["payment_return_url"].clone(), details["payment_return_url_enabled"].clone()));
    }
    let default = json!("https://shop.example/thanks?x=1");
    let expected = [
        (Value::Null, json!(false)),
        (default.clone(), json!(true)),
        (json!("https://shop.example/own"), json!(true)),
        (default, json!(false)),
    ];
    assert_eq!(shown, expected);

    assert_eq!(server.put(RETURN_URL, r#"{"payment_return_url":null}"#).await.json(), unset);
    assert_eq!(server.merchant_get(RETURN_URL).await.json(), unset);
}

#[tokio::test]
async fn a_return_url_must_be_https_and_not_too_long() {
    let server = Server::start().await;
    assert_eq!(server.put(RETURN_URL, r#"{"payment_return_url":"https://shop.example/"}"#).await.status, 200);
    let before = server.settings().await;
    let long = |length: usize| format!("https://shop.example/{}", "a".repeat(length - 21));
    for url in
        ["http://shop.example/", "shop.example", "", "javascript:alert(1)", "https://a:b@shop.example/", &long(2049)]
    {
        let body = json!({ "payment_return_url": url }).to_string();
        server.put(RETURN_URL, &body).await.is_error(400, "VALIDATION_ERROR", Some("payment_return_url"));
    }
    for body in ["{}", r#"{"payment_return_url":7}"#, r#"{"payment_return_url":["https://shop.example/"]}"#] {
        server.put(RETURN_URL, body).await.is_error(400, "VALIDATION_ERROR", Some("payment_return_url"));
    }
    assert_eq!(server.settings().await, before);
    let body = json!({ "payment_return_url": long(2048) }).to_string();
    assert_eq!(server.put(RETURN_URL, &body).await.status, 200);
}

#[tokio::test]
async fn a_devnet_server_says_so_and_does_not_become_another() {
    let server = Server::start().await;
    let status = json!({ "has_mainnet_access": false, "current_environment": "devnet" });
    assert_eq!(server.merchant_get(ACCESS).await.json(), status);
    let post = async |body: &str| server.call(&Method::POST, ACTIVATE, ("x-api-key", &server.key), body).await;
    for body in ["", "{}", r#"{"access_key":"x"}"#, r#"{"access_key":null}"#] {
        post(body).await.is_error(403, "MAINNET_NOT_ENABLED", Some("environment"));
    }
    post(r#"{"access_key":7}"#).await.is_error(400, "VALIDATION_ERROR", Some("access_key"));
    post("{").await.is_error(400, "VALIDATION_ERROR", None);
    server.call(&Method::POST, ACTIVATE, ("x-other", "x"), "").await.is_error(
        401,
        "API_KEY_MISSING",
        Some("x-api-key"),
    );

    let same = server.put(ENVIRONMENT, r#"{"environment":"devnet"}"#).await.json();
    assert_eq!(same, json!({ "success": true, "environment": "devnet", "current_environment": "devnet" }));
    let other = server.put(ENVIRONMENT, r#"{"environment":"mainnet"}"#).await;
    other.is_error(403, "MAINNET_NOT_ENABLED", Some("environment"));
    for body in [r#"{"environment":"testnet"}"#, r#"{"environment":null}"#, r#"{"environment":1}"#, "{}"] {
        server.put(ENVIRONMENT, body).await.is_error(400, "VALIDATION_ERROR", Some("environment"));
    }
    assert_eq!(server.merchant_get(ACCESS).await.json(), status);
}

#[tokio::test]
async fn a_mainnet_server_says_so_and_does_not_become_another() {
    let server = Server::start_with(|config| config.environment = Environment::Mainnet).await;
    let status = json!({ "has_mainnet_access": true, "current_environment": "mainnet" });
    assert_eq!(server.merchant_get(ACCESS).await.json(), status);
    let post = server.call(&Method::POST, ACTIVATE, ("x-api-key", &server.key), r#"{"access_key":"x"}"#).await;
    assert_eq!(post.json()["success"], true);
    let other = server.put(ENVIRONMENT, r#"{"environment":"devnet"}"#).await;
    other.is_error(409, "ENVIRONMENT_FIXED", Some("environment"));
    let same = server.put(ENVIRONMENT, r#"{"environment":"mainnet"}"#).await.json();
    assert_eq!(same["current_environment"], "mainnet");
}

#[tokio::test]
async fn nothing_that_was_set_is_logged() {
    let log = Log::default();
    let _listening = log.listen_to(tracing::Level::TRACE);
    let server = Server::start().await;
    let key = server.key_with(&Right::ALL).await;
    let call =
        async |method: Method, path: &str, body: &str| server.call(&method, path, ("x-api-key", &key), body).await;
    let wallet = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
    call(Method::PUT, RETURN_URL, r#"{"payment_return_url":"https://canary1.example/"}"#).await;
    call(Method::POST, ACTIVATE, r#"{"access_key":"canary2"}"#).await;
    let body = json!({ "network": "base", "wallet_address": wallet }).to_string();
    assert_eq!(call(Method::POST, "/api/v1/merchant/wallets", &body).await.status, 200);
    let body = json!({ "network": "base", "rpc_url": "https://rpc.invalid/canary3?key=canary4" }).to_string();
    assert_eq!(call(Method::POST, "/api/v1/merchant/rpc", &body).await.status, 400);
    server.clock.advance_seconds(90_000);
    crate::merchants::tell_of_wallets_in_force(&server.app).await.unwrap();
    let text = log.text().to_lowercase();
    assert!(text.contains("a change of wallets was scheduled"), "the log was heard");
    // What the database is told is its own matter, at a level for those who look for faults in it.
    for secret in ["canary1", "canary2", "canary3", "canary4", &wallet[2..], &key] {
        let found: Vec<_> = text.lines().filter(|line| line.contains(secret) && !line.contains("sqlx")).collect();
        assert!(found.is_empty(), "{secret}: {found:?}");
    }
}

//! Every code that the description knows is met: a request that provokes each, and the answer that has it.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Method, Request},
};
use domain::{
    access::{Right, Rights, Scope},
    address_mode::AddressMode,
};
use futures_util::stream;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Executor};
use wire::Environment;

use super::{
    Answer, Server, add_key,
    authorisation::{ABSENT_UUID, token},
    description::document,
    new_key, request,
    rpc_endpoints::{Manner, Node, OURS, server_with},
    usd,
};
use crate::{
    config::Config,
    http::{
        error_codes::{ErrorCode, code},
        openapi::{operations, responses},
        page::Pages,
        router_with,
    },
    keys::{self, IssueKey},
    store::StoreError,
};

const INVOICES: &str = "/api/v1/invoices";
const EVENTS: &str = "/api/v1/events";
const KEYS: &str = "/api/v1/api-keys";
const WEBHOOKS: &str = "/api/v1/webhooks";
const WALLETS: &str = "/api/v1/merchant/wallets";
const ENDPOINTS: &str = "/api/v1/merchant/rpc";
const ENVIRONMENT: &str = "/api/v1/user/environment";
const STREAM: &str = "/ws/merchant/events";
const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const NEW_INVOICE: &str = r#"{"amount_usd":20}"#;

/// Codes that the description documents, each with its status.
fn documented() -> BTreeSet<(&'static str, u16)> {
    let mut found = BTreeSet::new();
    for (_, _, operation) in operations(document()) {
        for (status, response) in responses(document(), operation) {
            let names = response["content"]["application/json"]["examples"].as_object();
            found.extend(names.into_iter().flatten().map(|(name, _)| (name.as_str(), status.parse().unwrap())));
        }
    }
    found
}

#[tokio::test]
async fn every_documented_code_is_the_answer_to_some_request() {
    // Those of no operation are in the list of the reference.
    let mut codes = documented();
    codes.extend(code::ALL.iter().map(|code| (code.name, code.status.as_u16())));
    assert!(60 < codes.len());
    let server = Server::start().await;
    for (name, status) in codes {
        let answer = provoke(&server, ErrorCode::named(name).expect("a documented code is one of the list")).await;
        println!("{name}: {} {}", answer.status, answer.text);
        let field = answer.json()["error"]["field"].as_str().map(str::to_owned);
        answer.is_error(status, name, field.as_deref());
    }
}

impl Server {
    /// As the merchant at the dashboard.
    async fn asks(&self, method: Method, path: &str, body: &str) -> Answer {
        self.call(&method, path, ("authorization", &self.dashboard().await), body).await
    }

    async fn asks_twice(&self, method: Method, path: &str, body: &str) -> Answer {
        assert_eq!(self.asks(method.clone(), path, body).await.status, 200);
        self.asks(method, path, body).await
    }

    /// As somebody with a key.
    async fn lists_with(&self, key: &str) -> Answer {
        self.get(INVOICES, &[("x-api-key", key)]).await
    }

    async fn lists_keys_with(&self, bearer: &str) -> Answer {
        self.get(KEYS, &[("authorization", &format!("Bearer {bearer}"))]).await
    }

    async fn webhook_id(&self) -> String {
        let body = json!({ "url": "https://shop.example/hook", "enabled_events": ["*"] });
        let created = self.asks(Method::POST, WEBHOOKS, &body.to_string()).await;
        created.json()["id"].as_str().unwrap().to_owned()
    }

    /// Does to the database what only its operator can.
    async fn meddles(&self, sqlite: &'static str, postgres: &'static str) {
        let url = &self.app.config.storage.database_url;
        let statements = if url.starts_with("sqlite") { sqlite } else { postgres };
        AnyConnection::connect(url).await.unwrap().execute(statements).await.unwrap();
    }
}

/// A body that never comes.
fn endless(server: &Server) -> Request<Body> {
    let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::builder().method(Method::POST).uri(INVOICES).header("x-api-key", &server.key);
    request.header("idempotency-key", new_key()).header("content-type", "application/json").body(body).unwrap()
}

async fn with(change: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(change).await
}

async fn node(manner: Manner) -> Node {
    Node::start(manner).await
}

/// Sends a request that is answered with this code, to another server where this one could not be used afterwards.
#[expect(clippy::too_many_lines, reason = "a request for each code")]
async fn provoke(server: &Server, code: ErrorCode) -> Answer {
    let (app, merchant) = (&server.app, server.merchant);
    match code.name {
        "VALIDATION_ERROR" => server.merchant_get("/api/v1/invoices?limit=0").await,
        "INVALID_AMOUNT_FORMAT" => server.post_invoice(&new_key(), r#"{"amount_usd":1.2345}"#).await,
        "INVALID_AMOUNT_RANGE" => server.post_invoice(&new_key(), r#"{"amount_usd":0.001}"#).await,
        "INVALID_CURSOR" => server.merchant_get("/api/v1/invoices?starting_after=x").await,
        "INVALID_EXPAND" => server.merchant_get("/api/v1/invoices?expand=x").await,
        "IDEMPOTENCY_KEY_MISSING" => {
            let headers = [("x-api-key", server.key.as_str()), ("content-type", "application/json")];
            server.send(request(Method::POST, INVOICES, &headers, NEW_INVOICE)).await
        }
        "IDEMPOTENCY_KEY_INVALID" => server.post_invoice("order-1", NEW_INVOICE).await,
        "IDEMPOTENCY_CONFLICT" => {
            let name = new_key();
            server.post_invoice(&name, NEW_INVOICE).await;
            server.post_invoice(&name, r#"{"amount_usd":21}"#).await
        }
        "TOKEN_NOT_AVAILABLE" => {
            server.choose_by_api(&server.invoice(json!({})).await, r#"{"network":"none","tokenId":1}"#).await
        }
        "NETWORK_LOCKED" | "INVOICE_ALREADY_PAID" | "INVOICE_HAS_PAYMENTS" => {
            let invoice = server.invoice(json!({})).await;
            server.quote(&invoice).await;
            let dollars = if code == code::NETWORK_LOCKED { 10_000 } else { 20_000 };
            server.pay(&invoice, usd(dollars), if code == code::INVOICE_HAS_PAYMENTS { 1 } else { 3 }).await;
            if code == code::INVOICE_HAS_PAYMENTS {
                return server.asks(Method::POST, &format!("{INVOICES}/{}/cancel", invoice.id), "").await;
            }
            server.choose_by_api(&invoice, r#"{"network":"base","tokenId":4}"#).await
        }
        "QUESTIONS_UNANSWERED" | "QUESTIONS_ANSWERED" => {
            let question =
                json!({ "id": "1", "question": "Size?", "type": "text", "validation": { "required": true } });
            let invoice = server.invoice(json!({ "questions": { "questions": [question] } })).await;
            if code == code::QUESTIONS_UNANSWERED {
                return server.choose_by_api(&invoice, r#"{"network":"base","tokenId":4}"#).await;
            }
            let headers = [
                ("x-session-token", invoice.token.as_str()),
                ("x-signature", &invoice.signature),
                ("content-type", "application/json"),
            ];
            let answers = |size: &str| {
                let body = json!({ "responses": [{ "question_id": "1", "response": size }] }).to_string();
                request(Method::POST, "/api/v1/payments/submit-form", &headers, &body)
            };
            server.send(answers("S")).await;
            server.send(answers("M")).await
        }
        "INVOICE_CANCELED" => {
            let invoice = server.invoice(json!({})).await;
            server.asks(Method::POST, &format!("{INVOICES}/{}/cancel", invoice.id), "").await;
            server.choose_by_api(&invoice, r#"{"network":"base","tokenId":4}"#).await
        }
        "INVOICE_EXPIRED" => {
            let invoice = server.invoice(json!({ "expires_in": 1_000 })).await;
            server.clock.advance_seconds(10);
            server.choose_by_api(&invoice, r#"{"network":"base","tokenId":4}"#).await
        }
        "UNKNOWN_NETWORK" => server.merchant_get("/api/v1/merchant/tokens/search?network=x").await,
        "RPC_ENDPOINT_UNFIT" => {
            let (own, other) = (node(OURS).await, node(Manner::Node("0x1", "0xaa")).await);
            server_with(&own).await.add_endpoint("ethereum", &other.url).await
        }
        "RPC_ENDPOINT_EXISTS" => {
            let own = node(OURS).await;
            server_with(&own).await.add_endpoint("ethereum", &own.url).await
        }
        "RPC_ENDPOINT_LIMIT" => {
            let (own, other) = (node(OURS).await, node(OURS).await);
            let server = server_with(&own).await;
            for number in 0..5 {
                assert_eq!(server.add_endpoint("ethereum", &format!("{}{number}", other.url)).await.status, 200);
            }
            server.add_endpoint("ethereum", &other.url).await
        }
        "NETWORK_UNREACHABLE" => {
            let (own, other) = (node(Manner::Text("broken")).await, node(OURS).await);
            server_with(&own).await.add_endpoint("ethereum", &other.url).await
        }
        "RPC_ENDPOINT_NOT_FOUND" => {
            let key = server.key_with(&[Right::OperateNetworks]).await;
            server.call(&Method::DELETE, &format!("{ENDPOINTS}/{ABSENT_UUID}"), ("x-api-key", &key), "").await
        }
        "API_KEY_MISSING" => server.get(INVOICES, &[]).await,
        "API_KEY_INVALID" => server.lists_with("pk_x").await,
        "API_KEY_REVOKED" | "API_KEY_SUSPENDED" => {
            let (key, now) = (add_key(app, merchant, |_| {}).await, app.clock.now());
            let id = key.record.id;
            let is_revoked = code == code::API_KEY_REVOKED;
            let write = app.store.write(move |tx| {
                Box::pin(async move {
                    if is_revoked {
                        tx.revoke_api_key(merchant, id, None, now).await?;
                    } else {
                        tx.suspend_api_key(merchant, id, now).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            });
            write.await.unwrap();
            server.lists_with(&key.api_key).await
        }
        "API_KEY_EXPIRED" => {
            let end = app.clock.now().plus(1);
            let key = add_key(app, merchant, |key| key.expires_at = Some(end)).await;
            server.clock.advance_seconds(2);
            server.lists_with(&key.api_key).await
        }
        "API_KEY_LIMIT" => {
            let server = with(|config| config.limits.active_keys_per_scope = 1).await;
            server.asks(Method::POST, KEYS, r#"{"name":"till"}"#).await
        }
        "API_KEY_NOT_FOUND" => server.asks(Method::DELETE, &format!("{KEYS}/{ABSENT_UUID}"), "").await,
        "API_KEY_ALREADY_CREATED" => {
            let (bearer, name) = (server.dashboard().await, new_key());
            let headers =
                [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", &name)];
            let post = || request(Method::POST, KEYS, &headers, r#"{"name":"till"}"#);
            server.send(post()).await;
            server.send(post()).await
        }
        "ENVIRONMENT_FORBIDDEN" => {
            let mut mainnet = (*app.config).clone();
            mainnet.environment = Environment::Mainnet;
            let wanted = IssueKey {
                merchant,
                name: "live".to_owned(),
                scope: Scope::Merchant,
                rights: Rights::DEFAULT,
                expires_at: None,
                request: None,
            };
            let key = keys::issue(&app.store, &mainnet, app.clock.now(), wanted).await.unwrap();
            server.lists_with(&key.api_key).await
        }
        "RIGHT_REQUIRED" => server.lists_with(&server.key_with(&[Right::CreateInvoices]).await).await,
        "SCOPE_FORBIDDEN" => server.get(KEYS, &[("x-api-key", &server.key)]).await,
        "SESSION_INVALID" => server.get("/api/v1/payments/payment-status", &[]).await,
        "SESSION_EXPIRED" => {
            let invoice = server.invoice(json!({ "expires_in": 1_000 })).await;
            server.clock.advance_seconds(31 * 86_400);
            server.payor_get("/api/v1/payments/payment-status", &invoice).await
        }
        "WS_TOKEN_INVALID" => server.get(&format!("{STREAM}?token=x"), &[]).await,
        "WS_TOKEN_EXPIRED" => {
            let minted = server.asks(Method::POST, "/api/v1/ws/token", r#"{"scope":"merchant"}"#).await.json();
            server.clock.advance_seconds(61);
            server.get(&format!("{STREAM}?token={}", minted["data"]["token"].as_str().unwrap()), &[]).await
        }
        "ORIGIN_FORBIDDEN" => {
            server.set_origins(&["https://shop.example"]).await;
            server.get(STREAM, &[("x-api-key", &server.key), ("origin", "https://other.example")]).await
        }
        "UPGRADE_REQUIRED" => server.merchant_get(STREAM).await,
        "DASHBOARD_TOKEN_MISSING" => server.get(KEYS, &[]).await,
        "DASHBOARD_TOKEN_INVALID" => server.lists_keys_with("pd_x").await,
        "DASHBOARD_TOKEN_REVOKED" => {
            let ((bearer, id), now) = (token(server, merchant).await, app.clock.now());
            let write = app.store.write(move |tx| Box::pin(async move { tx.revoke_dashboard_token(id, now).await }));
            assert!(write.await.unwrap());
            server.lists_keys_with(&bearer).await
        }
        "DASHBOARD_TOKEN_EXPIRED" => {
            let (bearer, _) = token(server, merchant).await;
            server.clock.advance_seconds(13 * 3_600);
            server.lists_keys_with(&bearer).await
        }
        "WEBHOOK_LIMIT_REACHED" => {
            let server = with(|config| config.webhooks.endpoints_per_merchant = 1).await;
            server.webhook_id().await;
            let body = json!({ "url": "https://shop.example/other", "enabled_events": ["*"] });
            server.asks(Method::POST, WEBHOOKS, &body.to_string()).await
        }
        "WEBHOOK_NOT_FOUND" => server.asks(Method::GET, &format!("{WEBHOOKS}/{ABSENT_UUID}"), "").await,
        "WEBHOOK_DISABLED" => {
            let path = format!("{WEBHOOKS}/{}", server.webhook_id().await);
            server.asks(Method::PATCH, &path, r#"{"is_active":false}"#).await;
            server.asks(Method::POST, &format!("{path}/test"), "").await
        }
        "DELIVERY_NOT_FOUND" => {
            let path = format!("{WEBHOOKS}/{}/deliveries/evt_1-99/redeliver", server.webhook_id().await);
            server.asks(Method::POST, &path, "").await
        }
        "MAINNET_NOT_ENABLED" => server.asks(Method::PUT, ENVIRONMENT, r#"{"environment":"mainnet"}"#).await,
        "ENVIRONMENT_FIXED" => {
            let server = with(|config| config.environment = Environment::Mainnet).await;
            server.asks(Method::PUT, ENVIRONMENT, r#"{"environment":"devnet"}"#).await
        }
        "NOT_FOUND" => server.get("/api/v1/nothing", &[]).await,
        "METHOD_NOT_ALLOWED" => server.send(request(Method::DELETE, INVOICES, &[], "")).await,
        "NOT_IMPLEMENTED" => server.get("/api/commerce/search", &[]).await,
        "INVOICE_NOT_FOUND" => server.merchant_get(&format!("{INVOICES}/{ABSENT_UUID}")).await,
        "VERIFICATION_NOT_FOUND" => {
            let invoice = server.invoice(json!({})).await;
            server.payor_get(&format!("/api/v1/invoice/{}/verify", invoice.id), &invoice).await
        }
        "TRANSACTION_NOT_FOUND" => {
            server.set_addresses(AddressMode::Direct).await;
            let invoice = server.invoice(json!({})).await;
            server.attach(&invoice, "ethereum", &format!("0x{}", "ab".repeat(32))).await
        }
        "TRANSACTION_ATTACHED" => {
            server.set_addresses(AddressMode::Direct).await;
            let (first, second) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
            let transaction = server.comes_to_the_wallet(1, 20).await;
            assert_eq!(server.attach(&first, "ethereum", &transaction).await.status, 200);
            server.attach(&second, "ethereum", &transaction).await
        }
        "TRANSACTION_AMBIGUOUS" => {
            server.set_addresses(AddressMode::Direct).await;
            let invoice = server.invoice(json!({})).await;
            let transaction = server.comes_to_the_wallet(2, 20).await;
            server.comes_to_the_wallet_too(2, 30).await;
            server.attach(&invoice, "ethereum", &transaction).await
        }
        "INVOICE_HAS_OWN_ADDRESS" => {
            let invoice = server.invoice(json!({})).await;
            server.attach(&invoice, "ethereum", &format!("0x{}", "ab".repeat(32))).await
        }
        "EVENT_NOT_FOUND" => server.merchant_get(&format!("{EVENTS}/evt_1-99")).await,
        "TOKEN_NOT_FOUND" => server.asks(Method::POST, "/api/v1/merchant/tokens/99/block", "").await,
        "MERCHANT_NOT_FOUND" => {
            let server = with(|_| {}).await;
            let bearer = server.dashboard().await;
            server
                .meddles(
                    "PRAGMA foreign_keys = OFF; DELETE FROM merchants",
                    "SET session_replication_role = replica; DELETE FROM merchants",
                )
                .await;
            server.get("/api/v1/merchant/payment-return-url", &[("authorization", &bearer)]).await
        }
        "WALLET_NOT_FOUND" => server.asks(Method::DELETE, &format!("{WALLETS}/{ABSENT_UUID}"), "").await,
        "WALLET_CHANGE_PENDING" => {
            let body = json!({ "network": "base", "wallet_address": WALLET }).to_string();
            server.asks_twice(Method::POST, WALLETS, &body).await
        }
        "WALLET_CHANGE_TOO_LATE" => {
            let listed: Value = server.merchant_get(WALLETS).await.json();
            let id = listed[0]["wallets"][0]["id"].as_str().unwrap();
            server.asks(Method::DELETE, &format!("{WALLETS}/{id}"), "").await
        }
        "REQUEST_TIMEOUT" => {
            let server = with(|config| config.limits.body_timeout_ms = 1).await;
            server.send(endless(&server)).await
        }
        "TIMEOUT" => {
            let mut server = with(|config| config.limits.body_timeout_ms = 25_000).await;
            let pages = Pages::of(&server.app, None);
            server.router = router_with(server.app.clone(), pages, Duration::from_millis(1));
            server.send(endless(&server)).await
        }
        "URL_TOO_LONG" => server.merchant_get(&format!("{INVOICES}?{}", "x".repeat(8_192))).await,
        "HEADERS_TOO_LARGE" => {
            let long = "x".repeat(8_192);
            server.get(INVOICES, &[("x-a", &long), ("x-b", &long)]).await
        }
        "BODY_TOO_LARGE" => {
            let body = json!({ "amount_usd": 20, "description": "x".repeat(40_000) });
            server.post_invoice(&new_key(), &body.to_string()).await
        }
        "UNSUPPORTED_MEDIA_TYPE" => {
            let name = new_key();
            let headers = [("x-api-key", server.key.as_str()), ("idempotency-key", &name)];
            server.send(request(Method::POST, INVOICES, &headers, NEW_INVOICE)).await
        }
        "RATE_LIMITED" => {
            let server = with(|config| config.limits.requests_per_minute_per_key = 1).await;
            assert_eq!(server.merchant_get(INVOICES).await.status, 200);
            server.merchant_get(INVOICES).await
        }
        "INTERNAL_SERVER_ERROR" => {
            let server = with(|_| {}).await;
            let rename = "ALTER TABLE events RENAME TO gone";
            server.meddles(rename, rename).await;
            server.merchant_get(EVENTS).await
        }
        other => panic!("say here which request is answered with {other}"),
    }
}

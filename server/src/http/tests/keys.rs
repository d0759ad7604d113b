//! API keys, what they open, and the dashboard that manages them.

use axum::http::{Method, StatusCode};
use domain::{
    access::{Right, Rights, Scope},
    id::ApiKeyId,
    signature::CredentialHash,
    time::UnixSeconds,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection;
use tracing::Level;
use wire::Environment;

use super::{Answer, Server, add_key, add_merchant, description::document, new_key, request};
use crate::{
    clock::random_bytes,
    http::openapi::{operations, schemes},
    keys,
    store::StoreError,
    testing::Log,
};

const KEYS: &str = "/api/v1/api-keys";
const INVOICES: &str = "/api/v1/invoices";

/// Every operation that takes a merchant's key, and the right it takes. `{invoice}` and `{event}` exist.
const OPERATIONS: [(Method, &str, Right); 10] = [
    (Method::POST, "/api/v1/invoices", Right::CreateInvoices),
    (Method::GET, "/api/v1/invoices", Right::ReadInvoices),
    (Method::GET, "/api/v1/invoices/customer/c-1", Right::ReadInvoices),
    (Method::GET, "/api/v1/invoices/totals", Right::ReadInvoices),
    (Method::GET, "/api/v1/invoices/{invoice}", Right::ReadInvoices),
    (Method::GET, "/api/v1/invoices/{invoice}/status", Right::ReadInvoices),
    (Method::POST, "/api/v1/invoices/{invoice}/cancel", Right::CancelInvoices),
    (Method::GET, "/api/v1/events", Right::ReadInvoices),
    (Method::GET, "/api/v1/events/{event}", Right::ReadInvoices),
    (Method::POST, "/api/v1/ws/token", Right::ReadInvoices),
];

/// Every operation of key management.
const MANAGEMENT: [(Method, &str); 7] = [
    (Method::GET, "/api/v1/api-keys"),
    (Method::POST, "/api/v1/api-keys"),
    (Method::POST, "/api/v1/api-keys/{key}/revoke"),
    (Method::DELETE, "/api/v1/api-keys/{key}"),
    (Method::POST, "/api/v1/merchant-api-keys/{key}/revoke"),
    (Method::GET, "/api/merchant-api-keys"),
    (Method::POST, "/api/merchant-api-keys"),
];

impl Server {
    /// A dashboard token of the server's merchant, as a header's value.
    pub(super) async fn dashboard(&self) -> String {
        let (store, config, now) = (&self.app.store, &self.app.config, self.app.clock.now());
        let (token, _) = keys::mint_dashboard_token(store, config, now, self.merchant, 12).await.unwrap();
        format!("Bearer {token}")
    }

    pub(super) async fn call(&self, method: &Method, path: &str, credential: (&str, &str), body: &str) -> Answer {
        let name = new_key();
        let mut headers = vec![credential];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        if path == INVOICES && method == Method::POST {
            headers.push(("idempotency-key", &name));
        }
        self.send(request(method.clone(), path, &headers, body)).await
    }

    async fn create_key(&self, bearer: &str, body: &Value) -> Answer {
        self.call(&Method::POST, KEYS, ("authorization", bearer), &body.to_string()).await
    }

    async fn listed_keys(&self, bearer: &str) -> Value {
        self.get(KEYS, &[("authorization", bearer)]).await.json()
    }

    async fn list_invoices(&self, key: &str) -> Answer {
        self.get(INVOICES, &[("x-api-key", key)]).await
    }

    pub(super) async fn key_with(&self, rights: &[Right]) -> String {
        let rights = rights.iter().copied().collect();
        add_key(&self.app, self.merchant, |wanted| wanted.rights = rights).await.api_key
    }

    /// Does every operation with a fresh invoice and calls `check` with the answer and the right it takes.
    async fn do_all(&self, credential: (&str, &str), check: impl Fn(&Answer, &str, Right)) {
        for (method, path, right) in OPERATIONS {
            let invoice = self.invoice(json!({ "customer_id": "c-1" })).await;
            self.app.store.write(|tx| Box::pin(async move { tx.number_events(100).await })).await.unwrap();
            let mut reader = self.app.store.reader().await.unwrap();
            let event = reader.tx().events_of_invoice(self.merchant, invoice.id, 0, 1).await.unwrap().remove(0).id;
            drop(reader);
            let path = path.replace("{invoice}", &invoice.id.to_string()).replace("{event}", &event.to_string());
            let body = match path.as_str() {
                "/api/v1/invoices" if right == Right::CreateInvoices => r#"{"amount_usd":20}"#,
                "/api/v1/ws/token" => r#"{"scope":"merchant"}"#,
                _ => "",
            };
            check(&self.call(&method, &path, credential, body).await, &path, right);
        }
    }
}

#[tokio::test]
async fn a_key_is_created_shown_once_listed_and_revoked() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let now = server.app.clock.now().0;
    let answer = server.create_key(&bearer, &json!({ "name": " till 3 " })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let created = answer.json();
    let (id, key) = (created["key_id"].as_str().unwrap(), created["api_key"].as_str().unwrap());
    assert!(id.parse::<ApiKeyId>().is_ok());
    assert!(key.starts_with("pk_pepay_test_"), "{key}");
    let rights = json!(["invoices:create", "invoices:read", "invoices:cancel", "settings"]);
    let expected = json!({
        "key_id": id, "name": "till 3", "scope": "merchant", "api_key": key, "expires_at": null,
        "environment": "devnet", "rights": rights, "created_at": now,
    });
    assert_eq!(created, expected);
    assert_eq!(server.list_invoices(key).await.status, 200);

    let listed = server.listed_keys(&bearer).await;
    let entry = listed.as_array().unwrap().iter().find(|entry| entry["key_id"] == id).unwrap();
    let expected = json!({
        "key_id": id, "name": "till 3", "scope": "merchant", "status": "active", "expires_at": null,
        "last_used_at": entry["last_used_at"], "created_at": now, "revoked_at": null, "revoked_reason": null,
        "environment": "devnet", "rights": rights, "hint": &key[key.len() - 4..],
    });
    assert_eq!(entry, &expected);

    let revoke = async |body: &str| {
        server.call(&Method::POST, &format!("{KEYS}/{id}/revoke"), ("authorization", &bearer), body).await
    };
    let revoked = revoke(r#"{"reason":"lost"}"#).await;
    assert_eq!((revoked.status.as_u16(), revoked.json()), (200, json!({ "message": "API key revoked" })));
    server.list_invoices(key).await.is_error(401, "API_KEY_REVOKED", Some("x-api-key"));
    let state = async || {
        let listed = server.listed_keys(&bearer).await;
        let entry = listed.as_array().unwrap().iter().find(|entry| entry["key_id"] == id).unwrap();
        json!([entry["status"], entry["revoked_at"], entry["revoked_reason"]])
    };
    assert_eq!(state().await, json!(["revoked", now, "lost"]));
    server.clock.advance_seconds(60);
    assert_eq!(revoke("").await.status, 200);
    assert_eq!(state().await, json!(["revoked", now, "lost"]), "a key is revoked once and for good");
}

#[tokio::test]
async fn the_older_addresses_do_the_same() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let authorization = ("authorization", bearer.as_str());
    let body = r#"{"name":"till"}"#;
    for path in [
        "/api/v1/api-keys/{key}/revoke",
        "/api/v1/merchant-api-keys/{key}/revoke",
        "/api/merchant-api-keys/{key}/revoke",
        "DELETE",
    ] {
        let created = server.call(&Method::POST, "/api/merchant-api-keys", authorization, body).await.json();
        let (id, key) = (created["key_id"].as_str().unwrap(), created["api_key"].as_str().unwrap());
        assert_eq!(server.list_invoices(key).await.status, 200);
        let answer = match path {
            "DELETE" => server.call(&Method::DELETE, &format!("{KEYS}/{id}"), authorization, "").await,
            path => server.call(&Method::POST, &path.replace("{key}", id), authorization, "").await,
        };
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "message": "API key revoked" })));
        server.list_invoices(key).await.is_error(401, "API_KEY_REVOKED", Some("x-api-key"));
    }
    // That keys were used is noted beside the answers.
    server.app.tasks.close();
    server.app.tasks.wait().await;
    let older = server.get("/api/merchant-api-keys", &[authorization]).await.json();
    assert_eq!(older, server.listed_keys(&bearer).await);
    assert_eq!(older.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn keys_are_listed_by_scope_and_every_merchant_sees_its_own() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    server.create_key(&bearer, &json!({ "name": "cart", "scope": "commerce" })).await;
    add_merchant(&server.app).await;
    let scopes = async |query: &str| {
        let keys = server.get(&format!("{KEYS}{query}"), &[("authorization", &bearer)]).await.json();
        let scopes = keys.as_array().unwrap().iter().map(|key| key["scope"].as_str().unwrap().to_owned());
        scopes.collect::<Vec<_>>()
    };
    let mut all = scopes("").await;
    all.sort();
    assert_eq!(all, ["commerce", "merchant"]);
    assert_eq!(scopes("?scope=merchant").await, ["merchant"]);
    assert_eq!(scopes("?scope=commerce").await, ["commerce"]);
    for query in ["?scope=", "?scope=Merchant", "?scope=merchant,commerce"] {
        let refused = server.get(&format!("{KEYS}{query}"), &[("authorization", &bearer)]).await;
        refused.is_error(400, "VALIDATION_ERROR", Some("scope"));
    }
}

#[tokio::test]
async fn each_thing_wrong_with_a_key_has_its_own_answer() {
    let server = Server::start().await;
    let (app, merchant) = (&server.app, server.merchant);
    server.get(INVOICES, &[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    server.list_invoices("pk_pepay_test_x").await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
    let bearer = [("authorization", "Bearer pd_pepay_test_x")];
    server.get(INVOICES, &bearer).await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));

    let suspended = add_key(app, merchant, |_| {}).await;
    let id = suspended.record.id;
    let now = app.clock.now();
    let write = app.store.write(move |tx| Box::pin(async move { tx.suspend_api_key(merchant, id, now).await }));
    assert!(write.await.unwrap());
    server.list_invoices(&suspended.api_key).await.is_error(403, "API_KEY_SUSPENDED", Some("x-api-key"));
    let write =
        app.store.write(move |tx| Box::pin(async move { tx.revoke_api_key(merchant, id, Some("x"), now).await }));
    assert!(write.await.unwrap());
    server.list_invoices(&suspended.api_key).await.is_error(401, "API_KEY_REVOKED", Some("x-api-key"));

    let end = now.plus(60);
    let short = add_key(app, merchant, |wanted| wanted.expires_at = Some(end)).await;
    server.clock.advance_seconds(58);
    assert_eq!(server.list_invoices(&short.api_key).await.status, 200);
    server.clock.advance_seconds(2);
    server.list_invoices(&short.api_key).await.is_error(403, "API_KEY_EXPIRED", Some("x-api-key"));

    let commerce = add_key(app, merchant, |wanted| {
        wanted.scope = Scope::Commerce;
        wanted.rights = Rights::DEFAULT;
    })
    .await;
    server
        .do_all(("x-api-key", &commerce.api_key), |answer, _, _| {
            answer.is_error(403, "SCOPE_FORBIDDEN", Some("x-api-key"));
        })
        .await;
    let header = [("x-commerce-api-key", commerce.api_key.as_str())];
    server.get(INVOICES, &header).await.is_error(403, "SCOPE_FORBIDDEN", Some("x-api-key"));
    server.get(INVOICES, &[("x-commerce-api-key", &server.key)]).await.json();

    let create_only = server.key_with(&[Right::CreateInvoices]).await;
    let refused = server.list_invoices(&create_only).await;
    refused.is_error(403, "RIGHT_REQUIRED", None);
    assert!(refused.json()["message"].as_str().unwrap().contains("invoices:read"), "{}", refused.text);
}

#[tokio::test]
async fn a_key_of_the_other_environment_is_refused_and_one_from_before_is_not() {
    let server = Server::start().await;
    let mut mainnet = (*server.app.config).clone();
    mainnet.environment = Environment::Mainnet;
    let wanted = keys::IssueKey {
        merchant: server.merchant,
        name: "live".to_owned(),
        scope: Scope::Merchant,
        rights: Rights::DEFAULT,
        expires_at: None,
        request: None,
    };
    let live = keys::issue(&server.app.store, &mainnet, server.app.clock.now(), wanted).await.unwrap();
    assert!(live.api_key.starts_with("pk_pepay_live_"));
    server.list_invoices(&live.api_key).await.is_error(403, "ENVIRONMENT_FORBIDDEN", Some("x-api-key"));

    // As keys were written before they had rights.
    let url = &server.app.config.storage.database_url;
    let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
    sqlx::query(
        "INSERT INTO api_keys (merchant_id, key_id, name, hash, hint, created_at) VALUES ($1, $2, '', $3, '', 0)",
    )
    .bind(server.merchant.0)
    .bind(ApiKeyId::from_random(random_bytes()).to_string())
    .bind(CredentialHash::of("pk_test_old").to_string())
    .execute(&mut connection)
    .await
    .unwrap();
    server
        .do_all(("x-api-key", "pk_test_old"), |answer, path, _| {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        })
        .await;
    let keys = server.listed_keys(&server.dashboard().await).await;
    let old = keys.as_array().unwrap().iter().find(|key| key["created_at"] == 0).unwrap();
    assert_eq!((&old["environment"], &old["scope"]), (&Value::Null, &json!("merchant")));
}

#[tokio::test]
async fn every_operation_takes_its_right_and_no_other() {
    let server = Server::start().await;
    for held in Right::ALL {
        let key = server.key_with(&[held]).await;
        server
            .do_all(("x-api-key", &key), |answer, path, needed| {
                if held == needed {
                    assert_eq!(answer.status, 200, "{held} {path}: {}", answer.text);
                } else {
                    answer.is_error(403, "RIGHT_REQUIRED", None);
                    let message = answer.json()["message"].to_string();
                    assert!(message.contains(needed.as_str()), "{held} {path}: {message}");
                }
            })
            .await;
    }
    let others: Vec<_> = Right::ALL.into_iter().filter(|right| *right != Right::ReadInvoices).collect();
    let key = server.key_with(&others).await;
    server
        .do_all(("x-api-key", &key), |answer, path, needed| {
            let expected = if needed == Right::ReadInvoices { 403 } else { 200 };
            assert_eq!(answer.status.as_u16(), expected, "{path}: {}", answer.text);
        })
        .await;
}

/// Also of operations that the table above does not know.
#[tokio::test]
async fn whatever_is_described_for_keys_takes_one_of_the_rights_it_names_and_no_other() {
    let server = Server::start().await;
    let mut keys = Vec::new();
    for right in Right::ALL {
        keys.push((right, server.key_with(&[right]).await));
    }
    let powerless = server.key_with(&[]).await;
    let mut keys_without: Vec<(Vec<Right>, String)> = Vec::new();
    let mut asked = 0;
    for (path, method, _) in operations(document()).filter(|(.., it)| schemes(it).contains("merchant_key")) {
        let method: Method = method.to_ascii_uppercase().parse().unwrap();
        let known = OPERATIONS.iter().find(|(own, known, _)| *own == method && is_same_path(known, path));
        let path: String = path.split_inclusive('}').map(filled).collect();
        let call = async |key: &str| server.call(&method, &path, ("x-api-key", key), "").await;
        let refused = call(&powerless).await;
        refused.is_error(403, "RIGHT_REQUIRED", None);
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        let named = message.strip_prefix("this needs the right ").unwrap().split_once(',').unwrap().0;
        let needed: Vec<Right> = named.split(" or ").map(|right| right.parse().unwrap()).collect();
        assert!(known.is_none_or(|(.., right)| needed == [*right]), "{method} {path}: {needed:?}");
        for (_, with) in keys.iter().filter(|(right, _)| needed.contains(right)) {
            let answer = call(with).await;
            // A devnet server has no mainnet to give, whoever asks.
            let is_let_in =
                answer.status != 401 && (answer.status != 403 || answer.json()["code"] == "MAINNET_NOT_ENABLED");
            assert!(is_let_in, "{method} {path} {needed:?}: {}", answer.text);
        }
        if !keys_without.iter().any(|(rights, _)| *rights == needed) {
            let held: Vec<_> = Right::ALL.into_iter().filter(|right| !needed.contains(right)).collect();
            keys_without.push((needed.clone(), server.key_with(&held).await));
        }
        let (_, without) = keys_without.iter().find(|(rights, _)| *rights == needed).expect("made above");
        let answer = call(without).await;
        answer.is_error(403, "RIGHT_REQUIRED", None);
        assert_eq!(answer.text, refused.text);
        asked += 1;
    }
    assert!(OPERATIONS.len() <= asked, "{asked}");
}

fn is_same_path(known: &str, described: &str) -> bool {
    let (known, described): (Vec<_>, Vec<_>) = (known.split('/').collect(), described.split('/').collect());
    let is_same = |(known, described): (&&str, &&str)| known == described || described.starts_with('{');
    known.len() == described.len() && known.iter().zip(&described).all(is_same)
}

/// A part of a path with something of the right form in place of its parameter.
fn filled(part: &str) -> String {
    part.split('{').enumerate().map(|(index, text)| if index == 0 { text.to_owned() } else { new_key() }).collect()
}

#[tokio::test]
async fn what_a_key_may_not_do_leaves_no_trace() {
    let server = Server::start().await;
    let reader = server.key_with(&[Right::ReadInvoices]).await;
    let invoice = server.invoice(json!({})).await;
    let before = server.rows().await;
    let refused = server.call(&Method::POST, INVOICES, ("x-api-key", &reader), r#"{"amount_usd":20}"#).await;
    refused.is_error(403, "RIGHT_REQUIRED", None);
    let cancel = format!("{INVOICES}/{}/cancel", invoice.id);
    server.call(&Method::POST, &cancel, ("x-api-key", &reader), "").await.is_error(403, "RIGHT_REQUIRED", None);
    assert_eq!(server.rows().await, before);
    let shown = server.merchant_get(&format!("{INVOICES}/{}", invoice.id)).await.json();
    assert_eq!(shown["status"], "unpaid");
}

#[tokio::test]
async fn a_dashboard_token_opens_what_a_key_opens_and_key_management() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    server
        .do_all(("authorization", &bearer), |answer, path, _| {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        })
        .await;
    let body = json!({ "amount_usd": 20, "receiver_override_enable": true, "receiver_override_address": WALLET });
    let created = server.call(&Method::POST, INVOICES, ("authorization", &bearer), &body.to_string()).await;
    assert_eq!(created.status, 200, "{}", created.text);

    let key = add_key(&server.app, server.merchant, |wanted| wanted.rights = Right::ALL.into_iter().collect()).await;
    let id = key.record.id.to_string();
    for (method, path) in MANAGEMENT {
        let path = path.replace("{key}", &id);
        let body = if path.ends_with("keys") && method == Method::POST { r#"{"name":"till"}"# } else { "" };
        let call = async |credential| server.call(&method, &path, credential, body).await;
        call(("accept", "*/*")).await.is_error(401, "DASHBOARD_TOKEN_MISSING", Some("Authorization"));
        call(("authorization", "Bearer pd_x")).await.is_error(401, "DASHBOARD_TOKEN_INVALID", Some("Authorization"));
        call(("x-api-key", "pk_x")).await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
        call(("x-api-key", &server.key)).await.is_error(403, "SCOPE_FORBIDDEN", Some("Authorization"));
        let as_bearer = format!("Bearer {}", server.key);
        call(("authorization", &as_bearer)).await.is_error(403, "SCOPE_FORBIDDEN", Some("Authorization"));
        assert_eq!(call(("authorization", &bearer)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_dashboard_token_ends_with_its_time_or_when_it_is_revoked() {
    let server = Server::start().await;
    let (app, merchant) = (&server.app, server.merchant);
    let now = app.clock.now();
    let mint = async || keys::mint_dashboard_token(&app.store, &app.config, now, merchant, 1).await.unwrap();
    let (token, record) = mint().await;
    let call = async |path: &str, token: &str| server.get(path, &[("authorization", &format!("Bearer {token}"))]).await;
    assert_eq!(call(KEYS, &token).await.status, 200);
    let write = app.store.write(move |tx| Box::pin(async move { tx.revoke_dashboard_token(record.id, now).await }));
    assert!(write.await.unwrap());
    for path in [KEYS, INVOICES] {
        call(path, &token).await.is_error(401, "DASHBOARD_TOKEN_REVOKED", Some("Authorization"));
    }

    let (token, record) = mint().await;
    assert_eq!(record.expires_at, now.plus(3_600));
    server.clock.advance_seconds(3_598);
    assert_eq!(call(KEYS, &token).await.status, 200);
    server.clock.advance_seconds(2);
    for path in [KEYS, INVOICES] {
        call(path, &token).await.is_error(401, "DASHBOARD_TOKEN_EXPIRED", Some("Authorization"));
    }
    server.clock.advance_seconds(31 * 86_400);
    keys::mint_dashboard_token(&app.store, &app.config, app.clock.now(), merchant, 1).await.unwrap();
    let kept = app.store.reader().await.unwrap().tx().dashboard_tokens(merchant).await.unwrap();
    assert_eq!(kept.len(), 1, "tokens whose time is long over are forgotten");
}

#[tokio::test]
async fn a_key_decides_before_a_bearer() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let both = |key: &str| [("x-api-key".to_owned(), key.to_owned()), ("authorization".to_owned(), bearer.clone())];
    let get = async |path: &str, key: &str| {
        let headers = both(key);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        server.get(path, &headers).await
    };
    get(INVOICES, "pk_x").await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
    let create_only = server.key_with(&[Right::CreateInvoices]).await;
    get(INVOICES, &create_only).await.is_error(403, "RIGHT_REQUIRED", None);
    assert_eq!(get(INVOICES, &server.key).await.status, 200);
    get(KEYS, &server.key).await.is_error(403, "SCOPE_FORBIDDEN", Some("Authorization"));
}

#[tokio::test]
async fn absent_foreign_and_impossible_keys_look_the_same() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let (other, other_key) = add_merchant(&server.app).await;
    let foreign = server.app.store.reader().await.unwrap().tx().api_keys(other).await.unwrap().remove(0).id;
    for (method, path) in MANAGEMENT.into_iter().filter(|(_, path)| path.contains("{key}")) {
        let mut answers = Vec::new();
        for id in [foreign.to_string(), new_key(), "x".to_owned(), server.key.clone(), "%ff".to_owned()] {
            let path = path.replace("{key}", &id);
            let answer = server.call(&method, &path, ("authorization", &bearer), "").await;
            answer.is_error(404, "API_KEY_NOT_FOUND", None);
            answers.push(answer.text);
        }
        assert!(answers.iter().all(|text| *text == answers[0]), "{answers:?}");
    }
    assert_eq!(server.list_invoices(&other_key).await.status, 200);
}

#[tokio::test]
async fn a_bad_body_names_its_fault_and_creates_no_key() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let count = async || server.listed_keys(&bearer).await.as_array().unwrap().len();
    let before = count().await;
    let past = server.app.clock.now().0 - 1;
    for (body, field) in [
        (json!({}), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": null }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": "x".repeat(256) }), "name"),
        (json!({ "name": "till", "scope": "admin" }), "scope"),
        (json!({ "name": "till", "expires_at": past }), "expires_at"),
        (json!({ "name": "till", "expires_at": "2020-01-01T00:00:00Z" }), "expires_at"),
        (json!({ "name": "till", "expires_at": "soon" }), "expires_at"),
        (json!({ "name": "till", "expires_at": 1.5 }), "expires_at"),
        (json!({ "name": "till", "expires_at": i64::MAX }), "expires_at"),
        (json!({ "name": "till", "expires_at": u64::MAX }), "expires_at"),
        (json!({ "name": "till", "rights": [] }), "rights"),
        (json!({ "name": "till", "rights": "settings" }), "rights"),
        (json!({ "name": "till", "rights": ["settings", "root"] }), "rights[1]"),
        (json!({ "name": "till", "scope": "commerce", "rights": ["settings"] }), "rights"),
        (json!("till"), "body"),
    ] {
        server.create_key(&bearer, &body).await.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    let refused = server.create_key(&bearer, &json!({ "name": "till", "rights": ["rpc"] })).await;
    refused.is_error(403, "RIGHT_REQUIRED", Some("rights[0]"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    let plain = server.send(request(Method::POST, KEYS, &headers, r#"{"name":"till"}"#)).await;
    plain.is_error(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
    assert_eq!(count().await, before);

    let keys = server.listed_keys(&bearer).await;
    let path = format!("{KEYS}/{}/revoke", keys[0]["key_id"].as_str().unwrap());
    for body in [r#"{"reason":7}"#.to_owned(), json!({ "reason": "x".repeat(256) }).to_string()] {
        let refused = server.call(&Method::POST, &path, ("authorization", &bearer), &body).await;
        refused.is_error(400, "VALIDATION_ERROR", Some("reason"));
    }
    assert_eq!(server.list_invoices(&server.key).await.status, 200);
}

#[tokio::test]
async fn a_key_s_end_may_be_spelt_in_two_ways() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    for (given, expected) in [
        (json!("2999-01-01T00:00:00Z"), json!(32_472_144_000_i64)),
        (json!(32_472_144_000_i64), json!(32_472_144_000_i64)),
        (Value::Null, Value::Null),
    ] {
        let body = json!({ "name": "till", "expires_at": given, "rights": ["webhooks", "invoices:read"] });
        let created = server.create_key(&bearer, &body).await.json();
        assert_eq!(created["expires_at"], expected);
        assert_eq!(created["rights"], json!(["invoices:read", "webhooks"]));
    }
}

#[tokio::test]
async fn a_named_request_creates_one_key_and_shows_its_secret_once() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let create = async |name: &str, body: &str| {
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", name)];
        server.send(request(Method::POST, KEYS, &headers, body)).await
    };
    let name = new_key();
    let first = create(&name, r#"{"name":"till","scope":"merchant"}"#).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let (id, key) = (first.json()["key_id"].as_str().unwrap().to_owned(), first.json()["api_key"].clone());
    let count = server.listed_keys(&bearer).await.as_array().unwrap().len();
    let again = create(&name.to_uppercase(), r#"{ "scope":"merchant", "name":"till" }"#).await;
    again.is_error(409, "API_KEY_ALREADY_CREATED", Some("Idempotency-Key"));
    assert!(again.text.contains(&id) && !again.text.contains(key.as_str().unwrap()), "{}", again.text);
    let other = create(&name, r#"{"name":"other"}"#).await;
    other.is_error(409, "IDEMPOTENCY_CONFLICT", Some("Idempotency-Key"));
    create("order-1", r#"{"name":"till"}"#).await.is_error(400, "IDEMPOTENCY_KEY_INVALID", Some("Idempotency-Key"));
    assert_eq!(server.listed_keys(&bearer).await.as_array().unwrap().len(), count);
    assert_eq!(create(&new_key(), r#"{"name":"till","scope":"merchant"}"#).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_sent_at_once_twenty_times_creates_one_key() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let name = new_key();
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", name.as_str())];
    let calls = (0..20).map(|_| server.send(request(Method::POST, KEYS, &headers, r#"{"name":"till"}"#)));
    let answers = join_all(calls).await;
    let statuses = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((statuses(StatusCode::OK), statuses(StatusCode::CONFLICT)), (1, 19));
    assert_eq!(server.listed_keys(&bearer).await.as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_never_more_active_keys_of_a_scope_than_may_be() {
    let server = Server::start_with(|config| config.limits.active_keys_per_scope = 7).await;
    let bearer = server.dashboard().await;
    let body = json!({ "name": "till" });
    let answers = join_all((0..20).map(|_| server.create_key(&bearer, &body))).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(created.len(), 6, "the server's merchant has a key already");
    for answer in refused {
        answer.is_error(403, "API_KEY_LIMIT", None);
    }
    let commerce = json!({ "name": "cart", "scope": "commerce" });
    assert_eq!(server.create_key(&bearer, &commerce).await.status, 200, "each scope has its own count");
    let (other, _) = add_merchant(&server.app).await;
    assert_ne!(other, server.merchant, "each merchant has its own count");

    let id = created[0].json()["key_id"].as_str().unwrap().to_owned();
    server.call(&Method::DELETE, &format!("{KEYS}/{id}"), ("authorization", &bearer), "").await;
    let end = server.app.clock.now().plus(60).0;
    let short = json!({ "name": "till", "expires_at": end });
    assert_eq!(server.create_key(&bearer, &short).await.status, 200, "a revoked key makes room");
    server.create_key(&bearer, &body).await.is_error(403, "API_KEY_LIMIT", None);
    server.clock.advance_seconds(61);
    assert_eq!(server.create_key(&bearer, &body).await.status, 200, "and so does one that expired");
}

#[tokio::test]
async fn no_credential_is_listed_or_logged() {
    let log = Log::default();
    let _listening = log.listen_to(Level::TRACE);
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let created = server.create_key(&bearer, &json!({ "name": "till" })).await.json();
    let (id, key) = (created["key_id"].as_str().unwrap(), created["api_key"].as_str().unwrap());
    let mut answers = vec![server.list_invoices(key).await.text];
    for credential in [("x-api-key", "pk_canary"), ("authorization", "Bearer pd_canary"), ("authorization", "canary")] {
        answers.push(server.get(INVOICES, &[credential]).await.text);
        answers.push(server.get(KEYS, &[credential]).await.text);
    }
    answers.push(server.call(&Method::DELETE, &format!("{KEYS}/{id}"), ("authorization", &bearer), "").await.text);
    answers.push(server.list_invoices(key).await.text);
    answers.push(server.listed_keys(&bearer).await.to_string());
    server.app.tasks.close();
    server.app.tasks.wait().await;
    let log = log.text();
    assert!(log.contains(&format!("api_key.id={id}")), "the log says which key it was: {log}");
    assert!(log.contains("dashboard_token.id="), "{log}");
    let token = bearer.trim_start_matches("Bearer ");
    for secret in [key, token, "canary"] {
        for text in answers.iter().chain([&log]) {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[tokio::test]
async fn the_use_of_a_key_is_shown_in_the_list() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    let used = async || server.listed_keys(&bearer).await[0]["last_used_at"].clone();
    assert_eq!(used().await, Value::Null);
    let now = server.app.clock.now();
    server.list_invoices(&server.key).await;
    server.app.tasks.close();
    server.app.tasks.wait().await;
    assert_eq!(used().await, json!(now.0));
}

#[tokio::test]
async fn no_key_and_no_dashboard_token_opens_a_payers_stream() {
    let server = Server::start().await;
    let bearer = server.dashboard().await;
    for token in [server.key.as_str(), bearer.trim_start_matches("Bearer ")] {
        let refused = server.get(&format!("/ws/payment?token={token}"), &[("x-api-key", &server.key)]).await;
        refused.is_error(401, "SESSION_INVALID", Some("token"));
    }
}

const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const TOKEN: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";

#[tokio::test]
async fn an_invoice_can_pay_another_wallet_if_the_key_may_say_so() {
    let server = Server::start_with(|config| config.networks[0].tokens[0].address = Some(TOKEN.parse().unwrap())).await;
    let key = server.key_with(&[Right::CreateInvoices, Right::OverrideReceiver]).await;
    let create = async |key: &str, members: Value| {
        let mut body = json!({ "amount_usd": 20 });
        body.as_object_mut().unwrap().append(&mut members.as_object().cloned().unwrap());
        server.call(&Method::POST, INVOICES, ("x-api-key", key), &body.to_string()).await
    };
    let elsewhere = json!({ "receiver_override_enable": true, "receiver_override_address": WALLET });
    let created = create(&key, elsewhere.clone()).await;
    assert_eq!(created.status, 200, "{}", created.text);
    let id = created.json()["id"].as_str().unwrap().parse().unwrap();
    let mut reader = server.app.store.reader().await.unwrap();
    let invoice = reader.tx().invoice(server.merchant, id).await.unwrap().unwrap();
    let wallet = WALLET.parse().unwrap();
    assert_eq!(invoice.receiver, wallet);
    assert_eq!(invoice.deposit_address, wire::deposit_address::deposit_address(wallet, invoice.deposit_salt));
    let usual = server.invoice(json!({})).await;
    let deposit = invoice.deposit_address.to_checksum(None);
    let usual = reader.tx().invoice(server.merchant, usual.id).await.unwrap().unwrap();
    let wallets = reader.tx().wallets(server.merchant).await.unwrap();
    assert_eq!(usual.receiver, wallets[0].address);
    drop(reader);

    let before = server.rows().await;
    create(&server.key, elsewhere).await.is_error(403, "RIGHT_REQUIRED", Some("receiver_override_address"));
    for (members, field) in [
        (json!({ "receiver_override_enable": true }), "receiver_override_address"),
        (json!({ "receiver_override_enable": true, "receiver_override_address": "0x1" }), "receiver_override_address"),
        (json!({ "receiver_override_address": WALLET }), "receiver_override_enable"),
        (
            json!({ "receiver_override_enable": true, "receiver_override_address": WALLET.replace("BeAed", "Beaed") }),
            "receiver_override_address",
        ),
    ] {
        create(&key, members).await.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    for (lost, words) in [
        ("0x0000000000000000000000000000000000000000", "zero address"),
        ("0x0000000000000000000000000000000000000001", "reserved"),
        (&wire::deposit_address::FACTORY.to_checksum(None), "contract of this server"),
        (TOKEN, "contract of a token"),
        (&deposit, "payers pay to"),
    ] {
        let members = json!({ "receiver_override_enable": true, "receiver_override_address": lost });
        let refused = create(&key, members).await;
        refused.is_error(400, "VALIDATION_ERROR", Some("receiver_override_address"));
        assert!(refused.json()["message"].as_str().unwrap().contains(words), "{lost}: {}", refused.text);
    }
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn a_dashboard_token_belongs_to_a_merchant_that_exists() {
    let server = Server::start().await;
    let nobody = domain::id::MerchantId(999);
    let minted = keys::mint_dashboard_token(&server.app.store, &server.app.config, UnixSeconds(0), nobody, 1).await;
    assert!(matches!(minted, Err(StoreError::Database(_))));
}

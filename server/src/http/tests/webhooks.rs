//! What merchants do with their webhook endpoints. Nothing is sent here: that is the queue's.

use axum::http::Method;
use domain::{
    access::Rights,
    id::{EndpointId, MerchantId},
    time::UnixMillis,
};
use serde_json::{Value, json};
use sqlx::Connection;

use super::{Answer, Server, add_key, add_merchant, new_key, request, usd};
use crate::{
    config::Config,
    store::{Attempt, Claim, DueDelivery, Settlement},
    webhooks::{self, Sealer},
};

const PATH: &str = "/api/v1/webhooks";
const URL: &str = "https://shop.example/hook?x=1";

/// A server whose merchant's key may do all that the merchant may.
async fn start(change: impl FnOnce(&mut Config)) -> Server {
    let mut server = Server::start_with(change).await;
    server.key = key_of(&server, server.merchant, Rights::DASHBOARD).await;
    server
}

async fn key_of(server: &Server, merchant: MerchantId, rights: Rights) -> String {
    add_key(&server.app, merchant, |wanted| wanted.rights = rights).await.api_key
}

impl Server {
    async fn webhook_send(&self, key: &str, method: Method, path: &str, body: &str) -> Answer {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        self.send(request(method, path, &headers, body)).await
    }

    async fn webhook_call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.webhook_send(&self.key, method, path, &body).await
    }

    /// An endpoint that asks for everything, or what the members say.
    async fn webhook(&self, members: Value) -> Value {
        let mut body = json!({ "url": URL, "enabled_events": ["*"] });
        body.as_object_mut().unwrap().append(&mut members.as_object().cloned().unwrap());
        let answer = self.webhook_call(Method::POST, PATH, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn change(&self, webhook: &Value, body: Value) -> Answer {
        self.webhook_call(Method::PATCH, &path(webhook, ""), &body).await
    }

    async fn deliveries(&self, webhook: &Value, query: &str) -> Value {
        let answer = self.merchant_get(&path(webhook, &format!("/deliveries{query}"))).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        answer.json()
    }

    /// Claims all that is due and settles it so.
    async fn settle_all(&self, settlement: Settlement) {
        let now = self.app.clock.now_ms();
        self.app.store.write(|tx| Box::pin(async move { tx.number_events(1000).await })).await.unwrap();
        let claim = Claim { now, leased_until: UnixMillis(now.0 + 1000), node: String::new() };
        let settle = self.app.store.write(move |tx| {
            Box::pin(async move {
                for owed in tx.owed_endpoints(now, 100).await? {
                    loop {
                        let due = tx.claim_deliveries(owed.merchant, owed.id, &claim, 1000).await?;
                        if due.is_empty() {
                            break;
                        }
                        for delivery in due {
                            settle(tx, &delivery, settlement).await?;
                        }
                    }
                }
                Ok::<_, crate::store::StoreError>(())
            })
        });
        settle.await.unwrap();
    }

    /// Everything that the database holds, as text.
    async fn stored_text(&self) -> String {
        let url = &self.app.config.storage.database_url;
        // Both list table and column, and an expression of the whole column's text, in which bytes are readable, as bytes.
        let columns = if url.starts_with("postgres") {
            "SELECT CAST(table_name AS TEXT), 'CONVERT_TO(COALESCE(STRING_AGG(' || CASE data_type
                    WHEN 'bytea' THEN 'ENCODE(\"' || column_name || '\", ''escape'')'
                    ELSE 'CAST(\"' || column_name || '\" AS TEXT)' END || ', '',''), ''''), ''UTF8'')'
             FROM information_schema.columns WHERE table_schema = CURRENT_SCHEMA()"
        } else {
            "SELECT tables.name, 'CAST(COALESCE(GROUP_CONCAT(CAST(\"' || columns.name || '\" AS TEXT)), '''') AS BLOB)'
             FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
        };
        let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
        let columns: Vec<(String, String)> = sqlx::query_as(columns).fetch_all(&mut connection).await.unwrap();
        assert!(columns.iter().any(|(table, _)| table == "webhook_endpoints"), "{columns:?}");
        let mut text = String::new();
        for (table, values) in columns {
            let sql = sqlx::AssertSqlSafe(format!("SELECT {values} FROM \"{table}\""));
            let bytes: Vec<u8> = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
            text += &String::from_utf8_lossy(&bytes);
        }
        text
    }
}

async fn settle(
    tx: &mut crate::store::Tx<'_>,
    delivery: &DueDelivery,
    settlement: Settlement,
) -> Result<(), crate::store::StoreError> {
    let error = (settlement != Settlement::Delivered).then(|| "the answer was 500".to_owned());
    let attempt = Attempt { began: UnixMillis(1_790_000_000_500), duration_ms: 12, status: Some(500), error };
    tx.settle_delivery(delivery, &attempt, settlement).await.map(|_| ())
}

fn path(webhook: &Value, rest: &str) -> String {
    format!("{PATH}/{}{rest}", webhook["id"].as_str().unwrap())
}

#[tokio::test]
async fn an_endpoint_shows_its_secret_once() {
    let server = start(|_| {}).await;
    let created = server.webhook(json!({ "description": "Orders", "environment": "devnet" })).await;
    let secret = created["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 49, "{secret}");
    let now = server.app.clock.now().0;
    let expected = json!({
        "object": "webhook_endpoint", "id": created["id"], "url": URL, "enabled_events": ["*"], "environment": "devnet",
        "description": "Orders", "api_version": "2025-12-16", "is_active": true, "disabled_reason": null,
        "disabled_at": null, "failing_since": null, "previous_secret_expires_at": null, "created_at": now,
        "updated_at": now,
    });
    let mut shown = created.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(shown, expected);
    assert_eq!(server.merchant_get(&path(&created, "")).await.json(), expected);
    let list = server.merchant_get(PATH).await.json();
    assert_eq!(list, json!({ "object": "list", "data": [expected], "has_more": false }));
    assert!(!server.stored_text().await.contains(secret), "the secret is in the database");
}

#[tokio::test]
async fn an_endpoint_can_be_changed_field_by_field() {
    let server = start(|_| {}).await;
    let created = server.webhook(json!({ "description": "Orders", "environment": "mainnet" })).await;
    for (change, field) in [
        (json!({ "url": "https://other.example/" }), "url"),
        (json!({ "enabled_events": ["invoice.*", "test.ping"] }), "enabled_events"),
        (json!({ "environment": null }), "environment"),
        (json!({ "environment": "devnet" }), "environment"),
        (json!({ "description": null }), "description"),
        (json!({ "description": "New" }), "description"),
        (json!({ "is_active": false }), "is_active"),
        (json!({ "is_active": true }), "is_active"),
    ] {
        let before = server.merchant_get(&path(&created, "")).await.json();
        let after = server.change(&created, change.clone()).await;
        assert_eq!(after.status, 200, "{}", after.text);
        let mut expected = before;
        expected[field] = change[field].clone();
        let after = after.json();
        expected["updated_at"] = after["updated_at"].clone();
        assert_eq!(after, expected);
    }
    let put = server.webhook_call(Method::PUT, &path(&created, ""), &json!({ "description": "Put" })).await.json();
    assert_eq!((&put["description"], &put["url"]), (&json!("Put"), &json!("https://other.example/")));
    let twice = server.change(&created, json!({ "enabled_events": ["invoice.*", "invoice.*"] })).await.json();
    assert_eq!(twice["enabled_events"], json!(["invoice.*"]));
}

#[tokio::test]
async fn an_endpoint_of_the_older_version_has_its_types() {
    let server = start(|_| {}).await;
    let body = json!({ "url": URL, "api_version": "legacy" });
    let created = server.webhook_call(Method::POST, PATH, &body).await.json();
    let types = json!(["invoice.paid", "invoice.expired", "invoice.partial_payment", "invoice.overpaid", "test.ping"]);
    assert_eq!((&created["api_version"], &created["enabled_events"]), (&json!("legacy"), &types));
    let unknown = server.change(&created, json!({ "enabled_events": ["invoice.created"] })).await;
    unknown.is_error(400, "VALIDATION_ERROR", Some("enabled_events[0]"));
    let now = server.change(&created, json!({ "api_version": "2025-12-16" })).await;
    now.is_error(400, "VALIDATION_ERROR", Some("enabled_events"));
    let now = server.change(&created, json!({ "api_version": "2025-12-16", "enabled_events": ["*"] })).await.json();
    assert_eq!((&now["api_version"], &now["enabled_events"]), (&json!("2025-12-16"), &json!(["*"])));
}

#[tokio::test]
async fn what_an_endpoint_must_not_be_is_named_and_changes_nothing() {
    let server = start(|_| {}).await;
    let kept = server.webhook(json!({})).await;
    let before = server.merchant_get(PATH).await.text;
    for (member, value, field) in [
        ("url", json!("http://shop.example/"), "url"),
        ("url", json!("ftp://shop.example/"), "url"),
        ("url", json!("https://user:password@shop.example/"), "url"),
        ("url", json!("https://shop.example/#part"), "url"),
        ("url", json!("https://127.0.0.1/"), "url"),
        ("url", json!("https://[fe80::1%25eth0]/"), "url"),
        ("url", json!("shop.example"), "url"),
        ("url", json!(""), "url"),
        ("url", json!(format!("https://shop.example/{}", "x".repeat(2_048))), "url"),
        ("url", json!(7), "url"),
        ("enabled_events", json!([]), "enabled_events"),
        ("enabled_events", json!(vec!["*"; 65]), "enabled_events"),
        ("enabled_events", json!("*"), "enabled_events"),
        ("enabled_events", json!(["invoice.created", "payment_quote.updated"]), "enabled_events[1]"),
        ("enabled_events", json!(["invoice"]), "enabled_events[0]"),
        ("enabled_events", json!(["inv*"]), "enabled_events[0]"),
        ("enabled_events", json!(["refund.*"]), "enabled_events[0]"),
        ("enabled_events", json!([""]), "enabled_events[0]"),
        ("enabled_events", json!(["*.*"]), "enabled_events[0]"),
        ("enabled_events", json!([1]), "enabled_events[0]"),
        ("environment", json!("testnet"), "environment"),
        ("description", json!("x".repeat(256)), "description"),
        ("description", json!("a\0b"), "description"),
        ("api_version", json!("2024-01-01"), "api_version"),
        ("is_active", json!("yes"), "is_active"),
    ] {
        let mut body = json!({ "url": URL, "enabled_events": ["*"] });
        body[member] = value.clone();
        let answer = server.webhook_call(Method::POST, PATH, &body).await;
        answer.is_error(400, "VALIDATION_ERROR", Some(field));
        server.change(&kept, json!({ member: value })).await.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    for (body, field) in [(json!({ "url": URL }), "enabled_events"), (json!({ "enabled_events": ["*"] }), "url")] {
        let answer = server.webhook_call(Method::POST, PATH, &body).await;
        answer.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    let plain = server.send(request(Method::POST, PATH, &[("x-api-key", &server.key)], "{}")).await;
    plain.is_error(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
    server.webhook_send(&server.key, Method::POST, PATH, "{").await.is_error(400, "VALIDATION_ERROR", None);
    let large = format!("{{\"url\":\"{}\"}}", "x".repeat(40_000));
    server.webhook_send(&server.key, Method::POST, PATH, &large).await.is_error(413, "BODY_TOO_LARGE", None);
    assert_eq!(server.merchant_get(PATH).await.text, before);
}

#[tokio::test]
async fn a_merchant_has_room_for_so_many_endpoints() {
    let server = start(|config| config.webhooks.endpoints_per_merchant = 2).await;
    let first = server.webhook(json!({})).await;
    server.webhook(json!({})).await;
    let body = json!({ "url": URL, "enabled_events": ["*"] });
    server.webhook_call(Method::POST, PATH, &body).await.is_error(403, "WEBHOOK_LIMIT_REACHED", None);
    let old = json!({ "webhook_url": URL });
    let legacy = server.webhook_call(Method::POST, "/api/v1/merchant/webhook", &old).await;
    legacy.is_error(403, "WEBHOOK_LIMIT_REACHED", None);
    server.webhook_call(Method::DELETE, &path(&first, ""), &Value::Null).await;
    server.webhook(json!({})).await;
}

/// Every operation on one endpoint, with a body that is good for it.
fn operations(webhook: &Value) -> Vec<(Method, String, Value)> {
    vec![
        (Method::GET, path(webhook, ""), Value::Null),
        (Method::PATCH, path(webhook, ""), json!({ "description": "x" })),
        (Method::PUT, path(webhook, ""), json!({ "description": "x" })),
        (Method::POST, path(webhook, "/rotate-secret"), Value::Null),
        (Method::POST, path(webhook, "/test"), Value::Null),
        (Method::GET, path(webhook, "/deliveries"), Value::Null),
        (Method::POST, path(webhook, "/deliveries/redeliver"), json!({ "failed_since": 0 })),
        (Method::POST, path(webhook, "/deliveries/evt_1-1/redeliver"), Value::Null),
        (Method::DELETE, path(webhook, ""), Value::Null),
    ]
}

#[tokio::test]
async fn what_is_foreign_is_as_absent_as_what_never_was() {
    let server = start(|_| {}).await;
    let webhook = server.webhook(json!({})).await;
    let (stranger, _) = add_merchant(&server.app).await;
    let other = key_of(&server, stranger, Rights::DASHBOARD).await;
    let reader = key_of(&server, server.merchant, Rights::DEFAULT).await;
    let absent = [json!({ "id": new_key() }), json!({ "id": "x" }), json!({ "id": "%FF" })];
    let foreign = operations(&webhook);
    for (index, (method, path, body)) in foreign.iter().enumerate() {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = server.webhook_send(&other, method.clone(), path, &body).await;
        answer.is_error(404, "WEBHOOK_NOT_FOUND", None);
        for absent in &absent {
            let (method, path, _) = &operations(absent)[index];
            assert_eq!(server.webhook_send(&server.key, method.clone(), path, &body).await.text, answer.text, "{path}");
        }
        let no_key = server.send(request(method.clone(), path, &[("content-type", "application/json")], &body)).await;
        no_key.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
        let bad_key = server.webhook_send("pk_wrong", method.clone(), path, &body).await;
        bad_key.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
        if method != Method::GET {
            let no_right = server.webhook_send(&reader, method.clone(), path, &body).await;
            no_right.is_error(403, "RIGHT_REQUIRED", None);
        }
    }
    assert_eq!(server.get(PATH, &[("x-api-key", &other)]).await.json()["data"], json!([]));
    for path in [PATH.to_owned(), path(&webhook, ""), path(&webhook, "/deliveries")] {
        assert_eq!(server.get(&path, &[("x-api-key", &reader)]).await.status, 200);
    }
    for path in [PATH, "/api/v1/merchant/webhook"] {
        server.webhook_send(&reader, Method::POST, path, "{}").await.is_error(403, "RIGHT_REQUIRED", None);
    }
    server.get(PATH, &[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    assert_eq!(server.merchant_get(&path(&webhook, "")).await.json()["updated_at"], webhook["updated_at"]);
    server.webhook_send(&server.key, Method::POST, &path(&webhook, ""), "{}").await.is_error(
        405,
        "METHOD_NOT_ALLOWED",
        None,
    );
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_with_all_that_was_owed_to_it() {
    let server = start(|_| {}).await;
    let webhook = server.webhook(json!({})).await;
    server.invoice(json!({})).await;
    let deleted = server.webhook_call(Method::DELETE, &path(&webhook, ""), &Value::Null).await;
    assert_eq!(deleted.json(), json!({ "success": true }));
    for (method, path, body) in operations(&webhook) {
        server.webhook_call(method, &path, &body).await.is_error(404, "WEBHOOK_NOT_FOUND", None);
    }
    server.settle_all(Settlement::Delivered).await;
    let owed =
        server.app.store.reader().await.unwrap().tx().owed_endpoints(server.app.clock.now_ms(), 9).await.unwrap();
    assert!(owed.iter().all(|owed| !owed.is_active));
    let events = server.merchant_get("/api/v1/events").await.json();
    assert_eq!(events["data"]["data"][0]["pending_webhooks"], 0);
}

#[tokio::test]
async fn a_new_secret_leaves_the_old_one_for_a_while() {
    let server = start(|_| {}).await;
    let webhook = server.webhook(json!({})).await;
    let rotate = path(&webhook, "/rotate-secret");
    let now = server.app.clock.now().0;
    for (body, valid) in [
        (Value::Null, Some(86_400)),
        (json!({}), Some(86_400)),
        (json!({ "previous_valid_seconds": 60 }), Some(60)),
        (json!({ "previous_valid_seconds": 604_800 }), Some(604_800)),
        (json!({ "previous_valid_seconds": 0 }), None),
    ] {
        let answer = server.webhook_call(Method::POST, &rotate, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let answer = answer.json();
        let secret = answer["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_") && Some(secret) != webhook["secret"].as_str());
        assert_eq!(answer["previous_secret_expires_at"], json!(valid.map(|seconds| now + seconds)), "{body}");
        let stored = server.stored_text().await;
        assert!(!stored.contains(secret) && !stored.contains(webhook["secret"].as_str().unwrap()));
    }
    for value in [json!(-1), json!(604_801), json!(1.5), json!("60")] {
        let answer = server.webhook_call(Method::POST, &rotate, &json!({ "previous_valid_seconds": value })).await;
        answer.is_error(400, "VALIDATION_ERROR", Some("previous_valid_seconds"));
    }
    let text = request(Method::POST, &rotate, &[("x-api-key", &server.key)], "{}");
    server.send(text).await.is_error(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
}

#[tokio::test]
async fn a_ping_is_queued_for_one_endpoint_and_stands_in_the_log() {
    let server = start(|_| {}).await;
    let webhook = server.webhook(json!({ "enabled_events": ["invoice.created"] })).await;
    let other = server.webhook(json!({})).await;
    let answer = server.webhook_call(Method::POST, &path(&webhook, "/test"), &Value::Null).await;
    assert_eq!(answer.json(), json!({ "success": true, "event_type": "test.ping" }));
    server.settle_all(Settlement::Delivered).await;
    let delivered = server.deliveries(&webhook, "").await["data"].clone();
    assert_eq!((&delivered[0]["event_type"], &delivered[0]["invoice_id"]), (&json!("test.ping"), &Value::Null));
    assert_eq!(server.deliveries(&other, "").await["data"], json!([]));
    let event = server.merchant_get("/api/v1/events").await.json()["data"]["data"][0].clone();
    assert_eq!(event["data"]["object"], json!({ "object": "ping", "status": "ok" }));
    assert_eq!(event["request"]["id"], answer.header("x-request-id"));

    server.change(&webhook, json!({ "is_active": false })).await;
    let idle = server.webhook_call(Method::POST, &path(&webhook, "/test"), &Value::Null).await;
    idle.is_error(409, "WEBHOOK_DISABLED", None);
}

#[tokio::test]
async fn deliveries_are_followed_with_their_tries() {
    let server = start(|_| {}).await;
    let webhook = server.webhook(json!({})).await;
    for _ in 0..3 {
        server.invoice(json!({})).await;
    }
    server.settle_all(Settlement::Exhausted).await;
    server.invoice(json!({})).await;
    let paid = server.invoice(json!({})).await;
    server.quote(&paid).await;
    server.pay(&paid, usd(20_000), 3).await;
    server.settle_all(Settlement::Delivered).await;
    server.webhook_call(Method::POST, &path(&webhook, "/test"), &Value::Null).await;
    server.app.store.write(|tx| Box::pin(async move { tx.number_events(1000).await })).await.unwrap();

    let list = server.deliveries(&webhook, "").await;
    assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(false)));
    let all: Vec<_> = list["data"].as_array().unwrap().clone();
    let ids: Vec<_> = all.iter().map(|delivery| delivery["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(all.len(), 8);
    let oldest = &all[7];
    let event = server.merchant_get(&format!("/api/v1/events/{}", oldest["event_id"].as_str().unwrap())).await.json();
    assert_eq!(
        *oldest,
        json!({
            "object": "webhook_delivery", "id": event["data"]["id"], "endpoint_id": webhook["id"],
            "event_id": event["data"]["id"], "event_type": "invoice.created",
            "invoice_id": event["data"]["data"]["object"]["id"], "state": "exhausted", "next_attempt_at": null,
            "created_at": event["data"]["created"],
            "attempts": [{
                "attempt": 1, "attempted_at": 1_790_000_000, "duration_ms": 12, "status": 500,
                "error": "the answer was 500",
            }],
        })
    );
    assert_eq!((&all[0]["state"], &all[0]["attempts"]), (&json!("pending"), &json!([])));
    assert!(all[0]["next_attempt_at"].is_i64());
    for (query, expected, has_more) in [
        ("?limit=3".to_owned(), &ids[..3], true),
        (format!("?limit=3&starting_after={}", ids[2]), &ids[3..6], true),
        (format!("?starting_after={}", ids[4]), &ids[5..], false),
        (format!("?limit=2&ending_before={}", ids[4]), &ids[2..4], true),
        (format!("?ending_before={}", ids[2]), &ids[..2], false),
        ("?state=exhausted".to_owned(), &ids[5..], false),
        ("?state=pending".to_owned(), &ids[..1], false),
        ("?state=pending,delivered&type=*".to_owned(), &ids[..5], false),
        ("?state=exhausted&type=test.ping".to_owned(), &ids[..0], false),
        ("?type=test.*".to_owned(), &ids[..1], false),
    ] {
        let list = server.deliveries(&webhook, &query).await;
        let found: Vec<_> = list["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(
            (found, &list["has_more"]),
            (expected.iter().map(String::as_str).collect(), &json!(has_more)),
            "{query}"
        );
    }
    for (query, code, field) in [
        ("limit=0", "VALIDATION_ERROR", "limit"),
        ("limit=101", "VALIDATION_ERROR", "limit"),
        ("limit=-1", "VALIDATION_ERROR", "limit"),
        ("limit=x", "VALIDATION_ERROR", "limit"),
        ("state=failed", "VALIDATION_ERROR", "state"),
        ("type=inv*", "VALIDATION_ERROR", "type"),
        ("starting_after=evt_1-1&ending_before=evt_1-1", "VALIDATION_ERROR", "ending_before"),
        ("starting_after=evt_1-1", "INVALID_CURSOR", "starting_after"),
        ("ending_before=x", "INVALID_CURSOR", "ending_before"),
        ("ending_before=-overpaid", "INVALID_CURSOR", "ending_before"),
    ] {
        let answer = server.merchant_get(&path(&webhook, &format!("/deliveries?{query}"))).await;
        answer.is_error(400, code, Some(field));
    }
}

#[tokio::test]
async fn one_event_can_be_sent_again() {
    let server = start(|_| {}).await;
    let (webhook, other) = (server.webhook(json!({})).await, server.webhook(json!({})).await);
    server.invoice(json!({})).await;
    server.webhook_call(Method::POST, &path(&webhook, "/test"), &Value::Null).await;
    server.settle_all(Settlement::Delivered).await;
    let ping = server.deliveries(&webhook, "?type=test.ping").await["data"][0]["id"].as_str().unwrap().to_owned();
    let redeliver = |webhook: &Value, id: &str| path(webhook, &format!("/deliveries/{id}/redeliver"));
    let answer = |queued, already_pending| {
        json!({
            "object": "webhook_redelivery", "queued": queued, "already_pending": already_pending, "has_more": false,
            "next": null,
        })
    };
    for expected in [answer(1, 0), answer(0, 1)] {
        let again = server.webhook_call(Method::POST, &redeliver(&webhook, &ping), &Value::Null).await;
        assert_eq!(again.json(), expected);
    }
    assert_eq!(server.deliveries(&webhook, "").await["data"][0]["state"], "pending");
    // It was never sent to the other endpoint, nor as more than was due.
    for path in [
        redeliver(&other, &ping),
        redeliver(&webhook, &format!("{ping}-overpaid")),
        redeliver(&webhook, "evt_1-99"),
        redeliver(&webhook, "x"),
    ] {
        let absent = server.webhook_call(Method::POST, &path, &Value::Null).await;
        absent.is_error(404, "DELIVERY_NOT_FOUND", None);
    }
    server.change(&webhook, json!({ "is_active": false })).await;
    let idle = server.webhook_call(Method::POST, &redeliver(&webhook, &ping), &Value::Null).await;
    idle.is_error(409, "WEBHOOK_DISABLED", None);
}

#[tokio::test]
async fn what_failed_or_a_whole_range_can_be_sent_again() {
    let server = start(|_| {}).await;
    let first = server.app.clock.now().0;
    server.invoice(json!({})).await;
    let webhook = server.webhook(json!({ "enabled_events": ["invoice.*"] })).await;
    server.clock.advance_seconds(10);
    for _ in 0..2 {
        server.invoice(json!({})).await;
    }
    server.settle_all(Settlement::Exhausted).await;
    let redeliver =
        async |body: Value| server.webhook_call(Method::POST, &path(&webhook, "/deliveries/redeliver"), &body).await;
    let sums = |answer: &Answer| {
        let answer = answer.json();
        (answer["queued"].as_u64().unwrap(), answer["already_pending"].as_u64().unwrap(), answer["has_more"].clone())
    };
    assert_eq!(sums(&redeliver(json!({ "failed_since": first + 100 })).await), (0, 0, json!(false)));
    assert_eq!(sums(&redeliver(json!({ "failed_since": first + 10 })).await), (2, 0, json!(false)));
    assert_eq!(sums(&redeliver(json!({ "failed_since": first + 10 })).await), (0, 0, json!(false)));
    server.settle_all(Settlement::Delivered).await;
    assert_eq!(sums(&redeliver(json!({ "failed_since": first + 10 })).await), (0, 0, json!(false)));
    // The first event happened before there was anybody to hear it.
    assert_eq!(sums(&redeliver(json!({ "from": first, "to": first + 1 })).await), (1, 0, json!(false)));
    assert_eq!(sums(&redeliver(json!({ "from": first })).await), (2, 1, json!(false)));
    let first_event = server.deliveries(&webhook, "").await["data"][2]["id"].clone();
    let rest = redeliver(json!({ "from": first, "starting_after": first_event })).await;
    assert_eq!(sums(&rest), (0, 2, json!(false)));

    for (body, code, field) in [
        (json!({}), "VALIDATION_ERROR", "failed_since"),
        (json!({ "to": 5 }), "VALIDATION_ERROR", "failed_since"),
        (json!({ "failed_since": 1, "from": 1 }), "VALIDATION_ERROR", "failed_since"),
        (json!({ "failed_since": 1, "to": 1 }), "VALIDATION_ERROR", "failed_since"),
        (json!({ "failed_since": -1 }), "VALIDATION_ERROR", "failed_since"),
        (json!({ "failed_since": i64::MAX }), "VALIDATION_ERROR", "failed_since"),
        (json!({ "failed_since": "yesterday" }), "VALIDATION_ERROR", "failed_since"),
        (json!({ "from": 5, "to": 4 }), "VALIDATION_ERROR", "to"),
        (json!({ "from": i64::MAX }), "VALIDATION_ERROR", "from"),
        (json!({ "from": 1, "to": i64::MAX }), "VALIDATION_ERROR", "to"),
        (json!({ "from": 1, "starting_after": "x" }), "INVALID_CURSOR", "starting_after"),
    ] {
        redeliver(body).await.is_error(400, code, Some(field));
    }
}

#[tokio::test]
async fn a_long_range_is_sent_again_in_parts() {
    let server = start(|_| {}).await;
    let webhook = server.webhook(json!({})).await;
    let from = server.app.clock.now().0;
    let most = usize::try_from(webhooks::REDELIVERED_AT_ONCE).unwrap();
    let event = |created| {
        crate::view::endpoint_disabled(
            &crate::store::Endpoint::new(
                server.merchant,
                EndpointId::from_random([1; 16]),
                "",
                "",
                server.app.clock.now(),
            ),
            server.app.config.environment,
            created,
        )
    };
    let events: Vec<_> = (0..=most).map(|_| event(server.app.clock.now_ms())).collect();
    let append = server.app.store.write(move |tx| {
        Box::pin(async move {
            for event in &events {
                tx.append_event(event).await?;
            }
            Ok::<_, crate::store::StoreError>(())
        })
    });
    append.await.unwrap();
    server.settle_all(Settlement::Delivered).await;
    let redeliver = path(&webhook, "/deliveries/redeliver");
    let part = server.webhook_call(Method::POST, &redeliver, &json!({ "from": from })).await.json();
    assert_eq!((&part["queued"], &part["has_more"]), (&json!(most), &json!(true)));
    let rest = json!({ "from": from, "starting_after": part["next"] });
    let rest = server.webhook_call(Method::POST, &redeliver, &rest).await.json();
    assert_eq!((&rest["queued"], &rest["has_more"], &rest["next"]), (&json!(1), &json!(false), &Value::Null));
}

#[tokio::test]
async fn what_happens_while_an_endpoint_is_idle_is_not_kept_for_it() {
    let server = start(|_| {}).await;
    let webhook = server.webhook(json!({})).await;
    server.invoice(json!({})).await;
    server.change(&webhook, json!({ "is_active": false })).await;
    server.invoice(json!({})).await;
    server.app.store.write(|tx| Box::pin(async move { tx.number_events(1000).await })).await.unwrap();
    server.change(&webhook, json!({ "is_active": true })).await;
    let states: Vec<_> = server.deliveries(&webhook, "").await["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["state"].clone())
        .collect();
    assert_eq!(states, ["exhausted"], "what was owed can be asked for again");
    let log = server.merchant_get("/api/v1/events").await.json();
    assert_eq!(log["data"]["data"][0]["pending_webhooks"], 0);
}

#[tokio::test]
async fn the_oldest_route_has_one_endpoint_of_the_older_types() {
    let server = start(|_| {}).await;
    let set = async |body: &str| server.webhook_send(&server.key, Method::POST, "/api/v1/merchant/webhook", body).await;
    let first = set(r#"{"webhook_url":"https://shop.example/1"}"#).await.json();
    assert!(first["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(first["api_version"], "legacy");
    let second = set(r#"{"webhook_url":"https://shop.example/2"}"#).await.json();
    assert_eq!((&second["id"], &second["url"]), (&first["id"], &json!("https://shop.example/2")));
    assert!(second.get("secret").is_none(), "it keeps its secret");
    server.webhook_call(Method::DELETE, &path(&first, ""), &Value::Null).await;
    assert_ne!(set(r#"{"webhook_url":"https://shop.example/3"}"#).await.json()["id"], first["id"]);

    for body in ["{}", r#"{"webhook_url":"http://127.0.0.1/"}"#, r#"{"webhook_url":null}"#, r#"{"webhook_url":"x"}"#] {
        set(body).await.is_error(400, "VALIDATION_ERROR", Some("webhook_url"));
    }
    let no_key = server.send(request(Method::POST, "/api/v1/merchant/webhook", &[], "{}")).await;
    no_key.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
}

#[tokio::test]
async fn the_operators_endpoint_is_one_of_the_merchants() {
    let server = start(|_| {}).await;
    let (sealer, now) = (Sealer::new(&server.app.secrets), server.app.clock.now());
    let set = async |url| webhooks::set_main(&server.app.store, &sealer, now, server.merchant, url).await.unwrap();
    let (first, second) = (set("https://shop.example/1").await, set("https://shop.example/2").await);
    assert_eq!(first.endpoint.id, second.endpoint.id);
    assert_ne!(first.secret, second.secret);
    let list = server.merchant_get(PATH).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["data"][0]["url"], &list["data"][0]["enabled_events"]),
        (&json!("https://shop.example/2"), &json!(["*"]))
    );
    assert!(!server.stored_text().await.contains(&second.secret));
}

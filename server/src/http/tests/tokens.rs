//! Which tokens a merchant takes, and what that does to its payers.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Answer, Created, Server, UNPRICED, add_merchant, usd};

const TOKENS: &str = "/api/v1/merchant/tokens";

impl Server {
    async fn block(&self, token: i64, body: &str) -> Answer {
        let path = format!("{TOKENS}/{token}/block");
        self.call(&Method::POST, &path, ("x-api-key", &self.key), body).await
    }

    async fn blocks(&self, token: i64) {
        let answer = self.block(token, "").await;
        assert_eq!(answer.json(), json!({ "success": true, "blocked": true }), "{token}");
    }

    /// The policy and the ids of the blocked tokens.
    pub(super) async fn policy(&self) -> (String, Vec<i64>) {
        let list = self.merchant_get(TOKENS).await.json();
        let blocked = list["tokens"].as_array().unwrap().iter().filter(|token| token["is_blocked"] == true);
        let ids = blocked.map(|token| token["id"].as_i64().unwrap()).collect();
        (list["acceptance_policy"].as_str().unwrap().to_owned(), ids)
    }

    async fn search(&self, query: &str) -> Value {
        let answer = self.merchant_get(&format!("{TOKENS}/search?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        answer.json()
    }

    async fn available(&self, invoice: &Created) -> Vec<i64> {
        ids(&self.payor_get("/api/v1/payments/available-tokens", invoice).await.json())
    }

    async fn choose_usdc(&self, invoice: &Created) -> Answer {
        self.choose_by_api(invoice, r#"{"network":"ethereum","tokenId":1}"#).await
    }
}

fn ids(tokens: &Value) -> Vec<i64> {
    tokens.as_array().unwrap().iter().map(|token| token["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn all_tokens_of_the_server_are_listed_with_what_the_merchant_set() {
    let server = Server::start().await;
    let now = server.app.clock.now().0;
    let list = server.merchant_get(TOKENS).await.json();
    assert_eq!((&list["acceptance_policy"], &list["environment"]), (&json!("accept_all"), &json!("devnet")));
    assert_eq!(ids(&list["tokens"]), [1, 2, 3, 4]);
    let expected = json!({
        "id": 1, "token_symbol": "USDC", "token_name": "USD Coin",
        "token_address": "0x00000000000000000000000000000000000000C1", "token_decimals": 6, "network": "ethereum",
        "network_environment": "devnet", "token_type": "erc20", "requires_memo": false, "photo_uri": null,
        "supports_subscriptions": false, "supports_stable_settlement": true, "is_active": true, "is_monitored": true,
        "is_blocked": false, "price": { "usd": 1, "last_updated_at": now, "provider_type": "par" },
    });
    assert_eq!(list["tokens"][0], expected);
    let coin = &list["tokens"][1];
    assert_eq!((&coin["token_type"], &coin["token_address"]), (&json!("native"), &Value::Null));
    assert_eq!((&coin["price"], &coin["supports_stable_settlement"]), (&Value::Null, &json!(false)));
    let old = &list["tokens"][2];
    assert_eq!((&old["is_active"], &old["supports_stable_settlement"]), (&json!(false), &json!(false)));

    assert_eq!(server.merchant_get(&format!("{TOKENS}?environment=devnet")).await.json(), list);
    let elsewhere = server.merchant_get(&format!("{TOKENS}?environment=mainnet")).await.json();
    assert_eq!(elsewhere, json!({ "acceptance_policy": "accept_all", "environment": "mainnet", "tokens": [] }));
    let bad = server.merchant_get(&format!("{TOKENS}?environment=testnet")).await;
    bad.is_error(400, "VALIDATION_ERROR", Some("environment"));

    server.app.outages.stopped("base");
    let list = server.merchant_get(TOKENS).await.json();
    assert_eq!((&list["tokens"][0]["is_monitored"], &list["tokens"][3]["is_monitored"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_search_is_restricted_by_each_filter_and_cut_into_pages() {
    let server = Server::start().await;
    for (query, expected) in [
        ("", &[1, 2, 3, 4][..]),
        ("search=usd", &[1, 4]),
        ("search=TETHER", &[4]),
        ("search=00C1", &[1]),
        ("search=%25", &[]),
        ("search=", &[1, 2, 3, 4]),
        ("network=ethereum", &[1, 2, 3]),
        ("network=solana", &[]),
        ("token_type=native", &[2]),
        ("token_type=erc20", &[1, 3, 4]),
        ("token_type=spl", &[]),
        ("is_active=true", &[1, 2, 4]),
        ("is_active=false", &[3]),
        ("supports_stable_settlement=true", &[1, 4]),
        ("supports_stable_settlement=false&network=ethereum", &[2, 3]),
        ("environment=mainnet", &[]),
        // Under `accept_all` nothing is blocked.
        ("blocked=true", &[]),
        ("blocked=false", &[1, 2, 3, 4]),
    ] {
        let found = server.search(query).await;
        assert_eq!(ids(&found["tokens"]), expected, "{query}");
        assert_eq!(found["total"], expected.len(), "{query}");
    }
    let page = server.search("limit=2&offset=1").await;
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(4), &json!(2), &json!(1)));
    assert_eq!(ids(&page["tokens"]), [2, 3]);
    let first = server.search("").await;
    assert_eq!((&first["limit"], &first["offset"]), (&json!(50), &json!(0)));
    assert_eq!(ids(&server.search("offset=9223372036854775807&limit=200").await["tokens"]), [0; 0]);

    server.blocks(4).await;
    assert_eq!(ids(&server.search("blocked=true").await["tokens"]), [4]);
    assert_eq!(ids(&server.search("blocked=false").await["tokens"]), [1, 2, 3]);
    assert_eq!(server.search("blocked=true").await["acceptance_policy"], "selective");
}

#[tokio::test]
async fn a_bad_filter_is_named() {
    let server = Server::start().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("offset=1.5", "offset"),
        ("offset=9223372036854775808", "offset"),
        ("token_type=erc721", "token_type"),
        ("is_active=1", "is_active"),
        ("supports_stable_settlement=yes", "supports_stable_settlement"),
        ("blocked=TRUE", "blocked"),
        ("environment=", "environment"),
    ] {
        let answer = server.merchant_get(&format!("{TOKENS}/search?{query}")).await;
        answer.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    for network in ["ton", "cardano", "sui", "Ethereum", ""] {
        let answer = server.merchant_get(&format!("{TOKENS}/search?network={network}")).await;
        answer.is_error(400, "UNKNOWN_NETWORK", Some("network"));
    }
}

#[tokio::test]
async fn blocking_makes_a_merchant_selective_and_is_nobody_else_s_matter() {
    let server = Server::start().await;
    let (_, other) = add_merchant(&server.app).await;
    assert_eq!(server.policy().await, ("accept_all".to_owned(), vec![]));
    server.blocks(1).await;
    server.blocks(1).await;
    assert_eq!(server.policy().await, ("selective".to_owned(), vec![1]));
    assert_eq!(server.block(3, r#"{"blocked":true}"#).await.json()["blocked"], true);
    assert_eq!(server.policy().await, ("selective".to_owned(), vec![1, 3]));
    assert_eq!(server.block(1, r#"{"blocked":false}"#).await.json(), json!({ "success": true, "blocked": false }));
    assert_eq!(server.policy().await, ("selective".to_owned(), vec![3]));
    let theirs = server.get(TOKENS, &[("x-api-key", &other)]).await.json();
    assert_eq!(theirs["acceptance_policy"], "accept_all");
    assert!(theirs["tokens"].as_array().unwrap().iter().all(|token| token["is_blocked"] == false));
    assert_eq!(server.block(3, r#"{"blocked":false}"#).await.status, 200);
    assert_eq!(server.policy().await, ("accept_all".to_owned(), vec![]));
}

#[tokio::test]
async fn a_bad_block_is_named_and_changes_nothing() {
    let server = Server::start().await;
    server.blocks(4).await;
    let before = server.settings().await;
    for id in ["0", "-1", "x", "1.5", "9223372036854775808", "%00"] {
        let path = format!("{TOKENS}/{id}/block");
        let answer = server.call(&Method::POST, &path, ("x-api-key", &server.key), "").await;
        answer.is_error(400, "VALIDATION_ERROR", Some("tokenId"));
    }
    server.block(99, "").await.is_error(404, "TOKEN_NOT_FOUND", None);
    server.block(i64::MAX, r#"{"blocked":false}"#).await.is_error(404, "TOKEN_NOT_FOUND", None);
    for (body, field) in [
        ("{", None),
        ("{}", Some("blocked")),
        (r#"{"blocked":"true"}"#, Some("blocked")),
        (r#"{"blocked":null}"#, Some("blocked")),
        ("[]", Some("body")),
    ] {
        server.block(1, body).await.is_error(400, "VALIDATION_ERROR", field);
    }
    let text = super::request(Method::POST, &format!("{TOKENS}/1/block"), &[("x-api-key", &server.key)], "yes");
    server.send(text).await.is_error(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
    assert_eq!(server.settings().await, before);
}

#[tokio::test]
async fn a_blocked_token_is_not_offered_to_payers() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    assert_eq!(server.available(&invoice).await, [1, 2, 4]);
    server.blocks(1).await;
    assert_eq!(server.available(&invoice).await, [2, 4]);
    server.choose_usdc(&invoice).await.is_error(400, "TOKEN_NOT_AVAILABLE", Some("tokenId"));
    let shown = server.payor_get("/pay/snapshot", &invoice).await.json();
    assert_eq!(ids(&shown["tokens"]), [2, 4]);
    let form = format!("session={}&signature={}&token=ethereum:1", invoice.token, invoice.signature);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    let chosen = server.send(super::request(Method::POST, "/pay/choose", &headers, &form)).await.json();
    assert_eq!((&chosen["notice"], &chosen["quote"]), (&json!("not_offered"), &Value::Null));

    assert_eq!(server.block(1, r#"{"blocked":false}"#).await.status, 200);
    assert_eq!(server.choose_usdc(&invoice).await.status, 200);
}

#[tokio::test]
async fn an_invoice_quoted_in_a_token_keeps_taking_it_when_it_is_blocked() {
    let server = Server::start().await;
    let (quoted, other) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    server.quote(&quoted).await;
    server.blocks(1).await;
    server.clock.advance_seconds(10);
    // The quote that was given stands, and is shown, but there is no other one.
    let shown = server.payor_get("/pay/snapshot", &quoted).await.json();
    assert_eq!(shown["quote"]["token_id"], 1);
    server.choose_usdc(&quoted).await.is_error(400, "TOKEN_NOT_AVAILABLE", Some("tokenId"));

    server.clock.advance_seconds(600);
    server.pay(&quoted, usd(12_500), 3).await;
    server.pay(&other, usd(12_500), 3).await;
    let paid = async |invoice: &Created| {
        server.merchant_get(&format!("/api/v1/invoices/{}?expand=payments", invoice.id)).await.json()
    };
    let credited = paid(&quoted).await;
    assert_eq!((&credited["status"], &credited["amount_paid"]), (&json!("underpaid"), &json!(12_500)));
    let shown = paid(&other).await;
    assert_eq!((&shown["status"], &shown["amount_paid"]), (&json!("unpaid"), &json!(0)));
    assert_eq!(shown["payments"][0]["unexpected"], true);

    // The first payment decided the token, so the rest can be paid in it, and in nothing else.
    assert_eq!(server.available(&quoted).await, [1]);
    assert_eq!(server.choose_usdc(&quoted).await.status, 200);
    server.pay(&quoted, usd(7_500), 3).await;
    assert_eq!(paid(&quoted).await["status"], "paid");
}

#[tokio::test]
async fn what_was_sent_before_a_token_was_blocked_is_credited() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    // The chain is read only after the block, but its time says when it was sent.
    server.blocks(1).await;
    server.clock.advance_seconds(-10);
    server.pay(&invoice, usd(20_000), 3).await;
    let status = server.payor_get("/api/v1/payments/payment-status", &invoice).await.json();
    assert_eq!(status["status"], "paid");
}

#[tokio::test]
async fn a_token_without_a_price_can_be_blocked_all_the_same() {
    let server = Server::start().await;
    server.blocks(UNPRICED).await;
    let invoice = server.invoice(json!({})).await;
    assert_eq!(server.available(&invoice).await, [1, 4]);
}

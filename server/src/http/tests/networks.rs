//! Which networks a merchant takes money on.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Answer, Server, add_merchant};

const NETWORKS: &str = "/api/v1/merchant/networks";

impl Server {
    async fn select(&self, networks: &Value) -> Answer {
        let body = json!({ "networks": networks }).to_string();
        self.call(&Method::PUT, NETWORKS, ("x-api-key", &self.key), &body).await
    }

    async fn selects(&self, networks: Value) {
        let answer = self.select(&networks).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["networks"], networks);
        assert_eq!(self.merchant_get(NETWORKS).await.json(), answer.json());
    }
}

fn blocked(policy: &str, ids: &[i64]) -> (String, Vec<i64>) {
    (policy.to_owned(), ids.to_vec())
}

#[tokio::test]
async fn the_networks_of_the_server_are_listed_with_the_tokens_that_are_taken() {
    let server = Server::start().await;
    let listed = server.merchant_get(NETWORKS).await.json();
    let network = |name: &str, title: &str, chain_id: u64, tokens: Value| {
        json!({
            "network": name, "title": title, "network_environment": "devnet", "chain_id": chain_id,
            "is_selected": true, "is_monitored": true, "accepted_token_ids": tokens,
        })
    };
    let expected = json!({
        "acceptance_policy": "accept_all",
        "networks": ["ethereum", "base"],
        "available_networks": [
            network("ethereum", "Ethereum", 31337, json!([1, 2])), network("base", "Base", 31338, json!([4])),
        ],
    });
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn tokens_of_networks_that_are_not_selected_are_blocked() {
    let server = Server::start().await;
    let (_, other) = add_merchant(&server.app).await;
    server.selects(json!(["ethereum"])).await;
    assert_eq!(server.policy().await, blocked("selective", &[4]));
    server.selects(json!(["base"])).await;
    assert_eq!(server.policy().await, blocked("selective", &[1, 2, 3]));
    server.selects(json!([])).await;
    assert_eq!(server.policy().await, blocked("accept_none", &[1, 2, 3, 4]));
    server.selects(json!(["base"])).await;
    assert_eq!(server.policy().await, blocked("selective", &[1, 2, 3]));
    let all = server.select(&json!(["base", "ethereum", "base"])).await.json();
    assert_eq!(all["networks"], json!(["ethereum", "base"]));
    assert_eq!(server.policy().await, blocked("accept_all", &[]));
    let theirs = server.get(NETWORKS, &[("x-api-key", &other)]).await.json();
    assert_eq!(theirs["acceptance_policy"], "accept_all");
}

#[tokio::test]
async fn selecting_what_is_selected_keeps_the_tokens_that_are_blocked_there() {
    let server = Server::start().await;
    let path = "/api/v1/merchant/tokens/2/block";
    assert_eq!(server.call(&Method::POST, path, ("x-api-key", &server.key), "").await.status, 200);
    server.selects(json!(["ethereum", "base"])).await;
    assert_eq!(server.policy().await, blocked("selective", &[2]));
    server.selects(json!(["ethereum"])).await;
    assert_eq!(server.policy().await, blocked("selective", &[2, 4]));
}

#[tokio::test]
async fn who_takes_nothing_offers_nothing() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.selects(json!([])).await;
    let offered = server.payor_get("/api/v1/payments/available-tokens", &invoice).await.json();
    assert_eq!(offered, json!([]));
    let search = server.merchant_get("/api/v1/merchant/tokens/search?blocked=false").await.json();
    assert_eq!((&search["acceptance_policy"], &search["total"]), (&json!("accept_none"), &json!(0)));
}

#[tokio::test]
async fn tokens_of_a_network_that_cannot_be_read_for_minutes_are_unavailable_and_no_others() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let _watch = server.app.outages.watch("base");
    let available = async || -> Vec<i64> {
        let offered = server.payor_get("/api/v1/payments/available-tokens", &invoice).await.json();
        let offered = offered.as_array().unwrap().iter().filter(|token| token["unavailable_reason"].is_null());
        offered.map(|token| token["id"].as_i64().unwrap()).collect()
    };
    let both = available().await;
    assert!(both.contains(&1) && both.contains(&4), "{both:?}");
    let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
    server.app.outages.began_at("base", ago(100));
    assert_eq!(available().await, both);
    server.app.outages.ended("base");
    server.app.outages.began_at("base", ago(121));
    let others: Vec<_> = both.iter().copied().filter(|id| *id != 4).collect();
    assert_eq!(available().await, others);
    let chosen = server.choose_by_api(&invoice, r#"{"network":"base","tokenId":4}"#).await;
    assert_ne!(chosen.status, 200, "{}", chosen.text);
    server.app.outages.ended("base");
    assert_eq!(available().await, both);
}

#[tokio::test]
async fn a_network_the_server_does_not_have_is_named_and_changes_nothing() {
    let server = Server::start().await;
    server.selects(json!(["ethereum"])).await;
    let before = server.settings().await;
    for name in ["ton", "cardano", "sui", "solana", "Base", ""] {
        server.select(&json!(["base", name])).await.is_error(400, "UNKNOWN_NETWORK", Some("networks[1]"));
    }
    for (networks, field) in [
        (json!("base"), "networks"),
        (json!(null), "networks"),
        (json!([1]), "networks[0]"),
        (json!(["base", null]), "networks[1]"),
    ] {
        server.select(&networks).await.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    let put = async |body: &str| server.call(&Method::PUT, NETWORKS, ("x-api-key", &server.key), body).await;
    put("{}").await.is_error(400, "VALIDATION_ERROR", Some("networks"));
    put("{").await.is_error(400, "VALIDATION_ERROR", None);
    put("").await.is_error(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
    assert_eq!(server.settings().await, before);
}

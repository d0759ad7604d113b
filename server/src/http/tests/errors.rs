//! What is not a request we serve.

use axum::http::Method;

use super::{Server, request};

#[tokio::test]
async fn unknown_addresses_and_methods_answer_with_the_error_body() {
    let server = Server::start().await;
    for path in ["/", "/api/v1/nothing", "/api/v1/invoices/x/y", "/assets/missing.js", "/assets/index.html"] {
        server.get(path, &[]).await.is_error(404, "NOT_FOUND", None);
    }
    for (method, path) in [
        (Method::DELETE, "/api/v1/invoices"),
        (Method::POST, "/api/v1/payments/payment-status"),
        (Method::PUT, "/pay"),
        (Method::POST, "/health/live"),
    ] {
        let answer = server.send(request(method, path, &[], "")).await;
        answer.is_error(405, "METHOD_NOT_ALLOWED", None);
        assert!(!answer.header("allow").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_commerce_api_is_said_to_be_missing() {
    let server = Server::start().await;
    for path in ["/api/commerce", "/api/commerce/search?q=x", "/api/commerce/merchant/carts", "/ws/commerce/events"] {
        server.get(path, &[]).await.is_error(501, "NOT_IMPLEMENTED", None);
    }
    let post = request(Method::POST, "/api/commerce/merchant/carts", &[], "{}");
    server.send(post).await.is_error(501, "NOT_IMPLEMENTED", None);
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_a_sane_one_is_kept() {
    let server = Server::start().await;
    let first = server.get("/health/live", &[]).await.header("x-request-id").to_owned();
    let second = server.get("/health/live", &[]).await.header("x-request-id").to_owned();
    assert!(first.starts_with("req_") && first != second, "{first} {second}");
    let kept = server.get("/health/live", &[("x-request-id", "order-7.a_B")]).await;
    assert_eq!(kept.header("x-request-id"), "order-7.a_B");
    for odd in ["", "a b", "<x>", &"a".repeat(65)] {
        let replaced = server.get("/health/live", &[("x-request-id", odd)]).await;
        assert!(replaced.header("x-request-id").starts_with("req_"), "{odd}");
    }
}

#[tokio::test]
async fn answers_are_neither_sniffed_nor_stored() {
    let server = Server::start().await;
    for path in ["/health/live", "/api/v1/invoices/x", "/pay", "/nothing"] {
        let answer = server.get(path, &[]).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("cache-control").starts_with("no-store"), "{path}");
    }
}

#[tokio::test]
async fn a_server_is_ready_once_every_network_is_followed() {
    let server = Server::start().await;
    assert_eq!(server.get("/health/live", &[]).await.status, 200);
    let answer = server.get("/health/ready", &[]).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["not_ready"], serde_json::json!(["network ethereum", "network base"]));

    let server = Server::start_with(|config| config.networks.retain(|network| network.name == "ethereum")).await;
    let invoice = server.invoice(serde_json::json!({})).await;
    server.pay(&invoice, super::usd(0), 1).await;
    assert_eq!(server.get("/health/ready", &[]).await.status, 200);
    server.clock.advance_seconds(121);
    assert_eq!(server.get("/health/ready", &[]).await.status, 503);
}

#[tokio::test]
async fn a_path_that_is_no_text_is_nothing_we_have() {
    let server = Server::start().await;
    for path in ["/assets/%ff.js", "/%ff", "/assets/..%2f..%2fCargo.toml", "/assets/%2e%2e/src/main.rs.js"] {
        server.get(path, &[]).await.is_error(404, "NOT_FOUND", None);
    }
}

#[test]
fn the_log_names_known_methods_only() {
    let made_up: axum::http::Method = "X".repeat(9_000).parse().unwrap();
    assert_eq!(super::super::method_name(&made_up), "(other)");
    assert_eq!(super::super::method_name(&axum::http::Method::POST), "POST");
}

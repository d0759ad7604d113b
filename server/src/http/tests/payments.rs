//! What payers' pages ask of `/api/v1/payments`.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Created, Server, UNPRICED, altered, request, usd};

const READS: [&str; 4] = [
    "/api/v1/payments/session-details",
    "/api/v1/payments/available-tokens",
    "/api/v1/payments/payment-status",
    "/pay/snapshot",
];

#[tokio::test]
async fn a_session_that_is_missing_altered_or_another_s_opens_nothing() {
    let server = Server::start().await;
    let (invoice, other) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    let before = server.rows().await;
    let (token, signature) = (invoice.token.as_str(), invoice.signature.as_str());
    let last = signature.len() - 1;
    let refused = |answer: super::Answer| answer.is_error(401, "SESSION_INVALID", Some("x-session-token"));
    for path in READS.into_iter().chain(["/api/v1/payments/stream-token"]) {
        refused(server.get(path, &[]).await);
        refused(server.get(path, &[("x-session-token", token)]).await);
        refused(server.get(path, &[("x-signature", signature)]).await);
        for (token, signature) in [
            (altered(token, 0), signature.to_owned()),
            (altered(token, token.len() - 1), signature.to_owned()),
            (token.to_owned(), altered(signature, 0)),
            (token.to_owned(), altered(signature, 63)),
            (token.to_owned(), altered(signature, 64)),
            (token.to_owned(), altered(signature, last)),
            (token.to_owned(), String::new()),
            (token.to_owned(), other.signature.clone()),
            (other.token.clone(), signature.to_owned()),
        ] {
            refused(server.get(path, &[("x-session-token", &token), ("x-signature", &signature)]).await);
        }
    }
    let headers = [("content-type", "application/json")];
    let path = "/api/v1/payments/payment-addresses";
    refused(server.send(request(Method::POST, path, &headers, r#"{"network":"ethereum","tokenId":1}"#)).await);
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn a_session_tells_its_invoice_and_no_other() {
    let server = Server::start().await;
    let members = json!({
        "amount_usd": 12.5, "description": "Tea", "invoice_footer": "Thanks", "expires_in": 60_000,
        "payment_return_url": "https://shop.example/done",
        "questions": { "questions": [{ "id": "1", "question": "Mail?", "type": "email" }] },
    });
    let (invoice, other) = (server.invoice(members).await, server.invoice(json!({})).await);
    let details = server.payor_get(READS[0], &invoice).await.json();
    let expected = json!({
        "invoice_id": invoice.id.to_string(), "amount_usd": 12.5, "amount_remaining_usd": 12.5, "description": "Tea",
        "expires_at": details["expires_at"], "invoice_status": "unpaid", "remaining_time": details["remaining_time"],
        "remaining_seconds": details["remaining_seconds"], "merchant_name": "Shop <&> \"Co\"",
        "merchant_email": "shop@shop.example", "network_environment": "devnet", "locked_network": null,
        "locked_token_id": null, "locked_payment_address": null, "invoice_title": "Shop <&> \"Co\"",
        "invoice_footer": "Thanks", "payment_return_url": "https://shop.example/done",
        "payment_return_url_enabled": true, "has_questions": true,
    });
    assert_eq!(details, expected);
    assert!((1..=60_000).contains(&details["remaining_time"].as_i64().unwrap()), "{details}");

    let own = format!("{}?invoice_id={}", READS[0], invoice.id);
    assert_eq!(server.payor_get(&own, &invoice).await.status, 200);
    let foreign = format!("{}?invoice_id={}", READS[0], other.id);
    server.payor_get(&foreign, &invoice).await.is_error(403, "SCOPE_FORBIDDEN", Some("invoice_id"));

    server.clock.advance_seconds(61);
    assert_eq!(server.payor_get(READS[0], &invoice).await.json()["remaining_time"], 0);
}

#[tokio::test]
async fn a_session_can_be_read_until_thirty_days_after_the_end() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({ "expires_in": 1_000 })).await;
    server.clock.advance_seconds(30 * 86_400 - 60);
    for path in READS {
        assert_eq!(server.payor_get(path, &invoice).await.status, 200, "{path}");
    }
    server.clock.advance_seconds(120);
    for path in READS {
        server.payor_get(path, &invoice).await.is_error(401, "SESSION_EXPIRED", None);
    }
}

fn ids(answer: &Value) -> Vec<i64> {
    answer.as_array().unwrap().iter().map(|token| token["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn tokens_are_listed_by_network_and_unknown_modes_do_no_harm() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let list = async |query: &str| {
        let answer = server.payor_get(&format!("{}{query}", READS[1]), &invoice).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        answer.json()
    };
    let all = list("").await;
    assert_eq!(ids(&all), [1, 2, 4]);
    assert_eq!(all[0]["token_address"], "0x00000000000000000000000000000000000000C1");
    assert_eq!((&all[0]["token_type"], &all[0]["token_decimals"]), (&json!("erc20"), &json!(6)));
    assert_eq!((&all[1]["token_type"], &all[1]["token_address"]), (&json!("native"), &Value::Null));
    assert_eq!((&all[1]["availability_status"], &all[1]["is_monitored"]), (&json!("DEVNET"), &json!(true)));
    assert_eq!(all[0].get("has_settlement_route"), None);
    for (query, expected) in [
        ("?mode=all", &[1, 2, 4][..]),
        ("?mode=checkout", &[1, 2, 4]),
        ("?mode=network&network=base", &[4]),
        ("?network=base", &[4]),
        ("?mode=monitored&network=ethereum&available_only=true", &[1, 2]),
        ("?network=ton", &[]),
    ] {
        assert_eq!(ids(&list(query).await), expected, "{query}");
    }
    let missing = server.payor_get(&format!("{}?mode=network", READS[1]), &invoice).await;
    missing.is_error(400, "VALIDATION_ERROR", Some("network"));
}

#[tokio::test]
async fn a_part_payment_locks_network_and_token() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(12_500), 3).await;

    let details = server.payor_get(READS[0], &invoice).await.json();
    assert_eq!((&details["invoice_status"], &details["amount_remaining_usd"]), (&json!("underpaid"), &json!(7.5)));
    assert_eq!((&details["locked_network"], &details["locked_token_id"]), (&json!("ethereum"), &json!(1)));
    assert!(details["locked_payment_address"].as_str().unwrap().starts_with("0x"));
    assert_eq!(ids(&server.payor_get(READS[1], &invoice).await.json()), [1]);
    let elsewhere = server.choose_by_api(&invoice, r#"{"network":"base","tokenId":4}"#).await;
    elsewhere.is_error(400, "NETWORK_LOCKED", Some("network"));
    let unpriced = server.choose_by_api(&invoice, &choice("ethereum", UNPRICED)).await;
    unpriced.is_error(400, "NETWORK_LOCKED", Some("network"));
}

fn choice(network: &str, token: i64) -> String {
    json!({ "network": network, "tokenId": token }).to_string()
}

#[tokio::test]
async fn tokens_that_are_not_on_offer_are_refused_and_leave_no_trace() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let before = server.rows().await;
    for (network, token, field) in [
        ("ethereum", 99, "tokenId"),
        ("ethereum", -1, "tokenId"),
        ("ethereum", 4, "tokenId"),
        ("base", 1, "tokenId"),
        ("ethereum", 3, "tokenId"),
        ("ton", 1, "network"),
        ("Ethereum", 1, "network"),
        ("", 1, "network"),
    ] {
        let answer = server.choose_by_api(&invoice, &choice(network, token)).await;
        answer.is_error(400, "TOKEN_NOT_AVAILABLE", Some(field));
    }
    for (body, field) in [
        (r#"{"network":"ethereum"}"#, Some("tokenId")),
        (r#"{"network":"ethereum","tokenId":"1"}"#, Some("tokenId")),
        (r#"{"network":1,"tokenId":1}"#, Some("network")),
        ("{", None),
    ] {
        server.choose_by_api(&invoice, body).await.is_error(400, "VALIDATION_ERROR", field);
    }
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn a_dollar_token_is_quoted_at_par() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({ "amount_usd": 49.999 })).await;
    let answer = server.choose_by_api(&invoice, &choice("base", 4)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!((&answer["success"], &answer["quote_status"]), (&json!(true), &json!("available")));
    assert_eq!((&answer["status_code"], &answer["network"]), (&json!("ok"), &json!("base")));
    assert_eq!((&answer["supported_token_id"], &answer["estimated_token_amount"]), (&json!(4), &json!("49.999")));
    assert_eq!((&answer["exchange_rate"], &answer["usd_amount"]), (&json!("1"), &json!(49.999)));
    assert_eq!(answer["quote_expires_in_seconds"], 300);
    assert_eq!(answer["ws_connection"]["ws_url"], "/ws/payment?format=event_v1");
    assert_eq!(answer["temp_address"].as_str().unwrap().len(), 42);

    let elsewhere = server.choose_by_api(&invoice, &choice("ethereum", 1)).await.json();
    assert_eq!(elsewhere["temp_address"], answer["temp_address"], "one address on every network");
}

#[tokio::test]
async fn without_a_price_there_is_no_quote_and_no_address() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let answer = server.choose_by_api(&invoice, &choice("ethereum", UNPRICED)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!((&answer["success"], &answer["quote_status"]), (&json!(true), &json!("unavailable")));
    assert_eq!((&answer["status_code"], &answer["retryable"]), (&json!("quote_unavailable"), &json!(true)));
    assert!(0 < answer["retry_after_seconds"].as_i64().unwrap());
    assert_eq!((&answer["temp_address"], &answer["estimated_token_amount"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn an_invoice_that_ended_takes_no_choice() {
    let server = Server::start().await;
    let paid = server.invoice(json!({})).await;
    server.quote(&paid).await;
    server.pay(&paid, usd(20_000), 3).await;
    assert_eq!(server.payor_get(READS[2], &paid).await.json()["status"], "paid");
    let answer = server.choose_by_api(&paid, &choice("ethereum", UNPRICED)).await;
    answer.is_error(400, "INVOICE_ALREADY_PAID", None);

    let expired = server.invoice(json!({ "expires_in": 1_000 })).await;
    server.clock.advance_seconds(10);
    let answer = server.choose_by_api(&expired, &choice("ethereum", UNPRICED)).await;
    answer.is_error(410, "INVOICE_EXPIRED", None);
}

#[tokio::test]
async fn the_poll_follows_the_payment() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let status = async |invoice: &Created| server.payor_get(READS[2], invoice).await.json();
    assert_eq!(status(&invoice).await, json!({ "status": "unpaid", "paid_at": null }));
    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 1).await;
    assert_eq!(status(&invoice).await["status"], "unpaid");
    server.pay(&invoice, usd(0), 2).await;
    let paid = status(&invoice).await;
    assert_eq!(paid["status"], "paid");
    assert!(paid["paid_at"].is_i64(), "{paid}");
}

#[tokio::test]
async fn any_page_may_ask_with_a_session_s_headers() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let preflight = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-session-token,x-signature,content-type"),
    ];
    // The page's own, too: in a sandboxed frame it is of no origin.
    for path in ["/api/v1/payments/payment-addresses", "/pay/snapshot", "/pay/choose"] {
        let answer = server.send(request(Method::OPTIONS, path, &preflight, "")).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, "*"), "{path}");
        for header in ["x-session-token", "x-signature", "content-type"] {
            assert!(answer.header("access-control-allow-headers").contains(header), "{header}");
        }
    }
    let snapshot = server.payor_get("/pay/snapshot", &invoice).await;
    for answer in [snapshot, server.payor_get(READS[2], &invoice).await, server.get(READS[2], &[]).await] {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    let merchants = server.send(request(Method::OPTIONS, "/api/v1/invoices", &preflight, "")).await;
    assert_eq!(merchants.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn one_invoice_has_so_many_quotes_in_force() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let choose = async |turn: usize| {
        let (network, token) = [("ethereum", 1), ("base", 4)][turn % 2];
        server.choose_by_api(&invoice, &choice(network, token)).await
    };
    for turn in 0..20 {
        assert_eq!(choose(turn).await.status, 200, "{turn}");
    }
    let refused = choose(20).await;
    refused.is_error(429, "RATE_LIMITED", None);
    assert_eq!(refused.header("retry-after"), "301");
    assert_eq!(server.rows().await[3], 20);
    // What is in force can be paid, and is shown.
    let shown = server.payor_get(READS[3], &invoice).await.json();
    assert_eq!(shown["quote"]["network"], "base");
    server.pay(&invoice, usd(12_500), 3).await;
    let rest = server.choose_by_api(&invoice, &choice("ethereum", 1)).await;
    assert_eq!(rest.status, 200, "what is still due is another thing: {}", rest.text);

    let other = server.invoice(json!({})).await;
    assert_eq!(server.choose_by_api(&other, &choice("base", 4)).await.status, 200);
    server.clock.advance_seconds(301);
    assert_eq!(server.choose_by_api(&invoice, &choice("ethereum", 1)).await.status, 200);
}

#[tokio::test]
async fn a_chain_that_hangs_is_a_missing_price_and_not_a_missing_answer() {
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let server = Server::start_with(|config| {
        config.networks[0].rpc = vec![format!("http://{address}").parse().unwrap()];
        config.networks[0].rpc_timeout_ms = 60_000;
    })
    .await;
    let invoice = server.invoice(json!({})).await;
    let answer = server.choose_by_api(&invoice, &choice("ethereum", UNPRICED)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status_code"]), (200, &json!("quote_unavailable")));
}

fn search(invoice: &Created, method: Method, body: &str) -> axum::http::Request<axum::body::Body> {
    let path = format!("/api/v1/invoice/{}/verify", invoice.id);
    let headers = [
        ("x-session-token", invoice.token.as_str()),
        ("x-signature", &invoice.signature),
        ("content-type", "application/json"),
    ];
    request(method, &path, &headers, body)
}

#[tokio::test]
async fn a_payment_is_looked_for_on_the_network_that_was_chosen() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let asks = async |body: &str| server.send(search(&invoice, Method::POST, body)).await;
    asks("").await.is_error(400, "VALIDATION_ERROR", Some("network"));
    server.quote(&invoice).await;
    asks(r#"{"network":"tron"}"#).await.is_error(400, "UNKNOWN_NETWORK", Some("network"));
    asks(r#"{"network":"base"}"#).await.is_error(400, "VALIDATION_ERROR", Some("network"));
    asks(r#"{"tx_hash":"0x12"}"#).await.is_error(400, "VALIDATION_ERROR", Some("tx_hash"));
    let path = format!("/api/v1/invoice/{}/verify", invoice.id);
    server.payor_get(&path, &invoice).await.is_error(404, "VERIFICATION_NOT_FOUND", None);

    let asked = asks("").await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let asked = asked.json();
    assert_eq!(asked["success"], true);
    let now = server.app.clock.now().0;
    let expected = json!({
        "object": "invoice_manual_verification", "id": asked["data"]["id"], "invoice_id": invoice.id.to_string(),
        "network": "ethereum", "tx_hash": null, "job_status": "pending", "status": "pending", "attempt_count": 0,
        "max_attempts": 10, "next_attempt_at": now, "created_at": now, "updated_at": now, "completed_at": null,
        "result": null, "error": null,
    });
    assert_eq!(asked["data"], expected);
    assert_eq!(asks(r#"{"network":"ethereum"}"#).await.json(), asked, "a search that is under way");
    assert_eq!(server.payor_get(&path, &invoice).await.json(), asked);
}

#[tokio::test]
async fn a_payment_named_by_its_transaction_may_be_on_another_network() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    let hash = format!("0x{}", "AB".repeat(32));
    let body = json!({ "network": "base", "tx_hash": hash }).to_string();
    let asked = server.send(search(&invoice, Method::POST, &body)).await.json();
    assert_eq!((&asked["data"]["network"], &asked["data"]["tx_hash"]), (&json!("base"), &json!(hash.to_lowercase())));
}

#[tokio::test]
async fn a_search_belongs_to_the_session_s_invoice() {
    let server = Server::start().await;
    let (invoice, other) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    server.quote(&invoice).await;
    for method in [Method::GET, Method::POST] {
        let mine_for_other =
            Created { id: other.id, token: invoice.token.clone(), signature: invoice.signature.clone() };
        let refused = server.send(search(&mine_for_other, method.clone(), "")).await;
        refused.is_error(404, "INVOICE_NOT_FOUND", None);
        let path = format!("/api/v1/invoice/{}/verify", invoice.id);
        let refused = server.send(request(method, &path, &[], "")).await;
        refused.is_error(401, "SESSION_INVALID", Some("x-session-token"));
    }
}

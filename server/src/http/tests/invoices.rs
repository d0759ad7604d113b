//! What merchants ask of `/api/v1/invoices`.

use axum::http::Method;
use domain::id::MerchantId;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection;

use super::{Server, add_merchant, new_key, request, usd};

const PATH: &str = "/api/v1/invoices";

#[tokio::test]
async fn an_invoice_can_be_created_and_read_back() {
    let server = Server::start().await;
    let body =
        json!({ "amount_usd": 49.999, "description": "Tea", "customer_id": "c-1", "metadata": { "order": [1] } });
    let answer = server.post_invoice(&new_key(), &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let created = answer.json();
    let id = created["invoice_id"].as_str().unwrap();
    let (token, signature) = (created["session_token"].as_str().unwrap(), created["signature"].as_str().unwrap());
    assert_eq!(created["id"], id);
    assert_eq!(created["status"], "unpaid");
    assert_eq!(created["amount_usd"].to_string(), "49.999");
    assert_eq!(created["payment_session_headers"], json!({ "x-session-token": token, "x-signature": signature }));
    assert_eq!(created["payment_url"], format!("http://pay.example/pay?session={token}&signature={signature}"));
    assert_eq!(created["expires_at"].as_i64().unwrap() - created["created_at"].as_i64().unwrap(), 43_200);

    let invoice = server.merchant_get(&format!("{PATH}/{id}")).await.json();
    assert_eq!(invoice["object"], "invoice");
    assert_eq!((&invoice["amount"], &invoice["amount_decimal"]), (&json!(49_999), &json!("49.999")));
    assert_eq!((&invoice["description"], &invoice["metadata"]), (&json!("Tea"), &json!({ "order": [1] })));
    assert_eq!(invoice.get("latest_payment"), None);

    let status = server.merchant_get(&format!("{PATH}/{id}/status")).await.json();
    assert_eq!((&status["object"], &status["latest_payment"]), (&json!("invoice_status"), &Value::Null));
    assert_eq!(status["invoice"], invoice);
}

#[tokio::test]
async fn the_smallest_and_the_largest_amount_are_taken() {
    let server = Server::start().await;
    for amount in ["0.01", "49.999", "1000000"] {
        let answer = server.post_invoice(&new_key(), &format!("{{\"amount_usd\":{amount}}}")).await;
        assert_eq!(answer.status, 200, "{amount}: {}", answer.text);
        assert_eq!(answer.json()["amount_usd"].to_string(), amount);
    }
}

#[tokio::test]
async fn a_bad_body_names_its_fault_and_leaves_no_trace() {
    let server = Server::start().await;
    let before = server.rows().await;
    let long = "x".repeat(256);
    let metadata = json!({ "a": "b".repeat(505) });
    let format = ("INVALID_AMOUNT_FORMAT", Some("amount_usd"));
    let range = ("INVALID_AMOUNT_RANGE", Some("amount_usd"));
    let fault = |field| ("VALIDATION_ERROR", Some(field));
    for (body, (code, field)) in [
        (r"{}".to_owned(), format),
        (r#"{"amount_usd":null}"#.to_owned(), format),
        (r#"{"amount_usd":"20"}"#.to_owned(), format),
        (r#"{"amount_usd":[20]}"#.to_owned(), format),
        (r#"{"amount_usd":49.9999}"#.to_owned(), format),
        (r#"{"amount_usd":-1}"#.to_owned(), range),
        (r#"{"amount_usd":0}"#.to_owned(), range),
        (r#"{"amount_usd":0.009}"#.to_owned(), range),
        (r#"{"amount_usd":1000000.01}"#.to_owned(), range),
        (r#"{"amount_usd":1e400}"#.to_owned(), range),
        (r#"{"amount_usd":NaN}"#.to_owned(), fault("amount_usd")),
        (format!(r#"{{"amount_usd":20,"description":"{long}"}}"#), fault("description")),
        (format!(r#"{{"amount_usd":20,"customer_id":"{long}"}}"#), fault("customer_id")),
        (format!(r#"{{"amount_usd":20,"invoice_title":"{long}"}}"#), fault("invoice_title")),
        (format!(r#"{{"amount_usd":20,"invoice_footer":"{long}"}}"#), fault("invoice_footer")),
        (format!(r#"{{"amount_usd":20,"metadata":{metadata}}}"#), fault("metadata")),
        (r#"{"amount_usd":20,"metadata":"x"}"#.to_owned(), fault("metadata")),
        (r#"{"amount_usd":20,"expires_in":0}"#.to_owned(), fault("expires_in")),
        (r#"{"amount_usd":20,"expires_in":2592000001}"#.to_owned(), fault("expires_in")),
        (r#"{"amount_usd":20,"expires_in":"1h"}"#.to_owned(), fault("expires_in")),
        (r#"{"amount_usd":20,"payment_return_url":"http://shop.example"}"#.to_owned(), fault("payment_return_url")),
        (r#"{"amount_usd":20,"customer_email":"nobody"}"#.to_owned(), fault("customer_email")),
        (r#"{"amount_usd":20,"questions":[]}"#.to_owned(), fault("questions")),
        (r#"{"amount_usd":20,"deep":"#.to_owned() + &"[".repeat(9_000) + &"]".repeat(9_000) + "}", fault("body")),
        ("7".to_owned(), fault("body")),
        (r#"{"amount_usd":20"#.to_owned(), ("VALIDATION_ERROR", None)),
        (r#"{"amount_usd":20}{}"#.to_owned(), ("VALIDATION_ERROR", None)),
        (String::new(), ("VALIDATION_ERROR", None)),
    ] {
        server.post_invoice(&new_key(), &body).await.is_error(400, code, field);
    }
    let refused = server.post_invoice(&new_key(), r#"{"amount_usd":20,"receiver_override_enable":true}"#).await;
    refused.is_error(403, "RIGHT_REQUIRED", Some("receiver_override_enable"));
    let too_large = format!(r#"{{"amount_usd":20,"unknown":"{}"}}"#, "x".repeat(32_768));
    server.post_invoice(&new_key(), &too_large).await.is_error(413, "BODY_TOO_LARGE", None);
    for content_type in [Some("text/plain"), Some("application/x-www-form-urlencoded"), None] {
        let key = new_key();
        let mut headers = vec![("x-api-key", server.key.as_str()), ("idempotency-key", &key)];
        headers.extend(content_type.map(|content_type| ("content-type", content_type)));
        let answer = server.send(request(Method::POST, PATH, &headers, r#"{"amount_usd":20}"#)).await;
        answer.is_error(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
    }
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn a_missing_malformed_or_revoked_key_is_told_apart_and_leaves_no_trace() {
    let server = Server::start().await;
    let before = server.rows().await;
    let create = async |headers: &[(&str, &str)]| {
        let key = new_key();
        let mut all = vec![("idempotency-key", key.as_str()), ("content-type", "application/json")];
        all.extend_from_slice(headers);
        server.send(request(Method::POST, PATH, &all, r#"{"amount_usd":20}"#)).await
    };
    create(&[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    create(&[("authorization", "Basic cGs6")]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    for key in ["", "pk_", "x y", &super::altered(&server.key, 9), &server.key[..20]] {
        create(&[("x-api-key", key)]).await.is_error(401, "API_KEY_INVALID", Some("x-api-key"));
    }

    let (merchant, now) = (server.merchant, server.app.clock.now());
    let revoke = server.app.store.write(move |tx| {
        Box::pin(async move {
            let key = tx.api_keys(merchant).await?.remove(0);
            tx.revoke_api_key(merchant, key.id, None, now).await
        })
    });
    assert!(revoke.await.unwrap());
    create(&[("x-api-key", &server.key)]).await.is_error(401, "API_KEY_REVOKED", Some("x-api-key"));
    let bearer = format!("Bearer {}", server.key);
    create(&[("authorization", &bearer)]).await.is_error(401, "API_KEY_REVOKED", Some("x-api-key"));
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn a_bearer_token_is_a_key_as_well() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let bearer = format!("Bearer {}", server.key);
    let answer = server.get(&format!("{PATH}/{}", invoice.id), &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn a_missing_or_malformed_idempotency_key_leaves_no_trace() {
    let server = Server::start().await;
    let before = server.rows().await;
    let headers = [("x-api-key", server.key.as_str()), ("content-type", "application/json")];
    let missing = server.send(request(Method::POST, PATH, &headers, r#"{"amount_usd":20}"#)).await;
    missing.is_error(400, "IDEMPOTENCY_KEY_MISSING", Some("Idempotency-Key"));
    for key in ["", "order-1", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e04f8941d39a0c0305e82c3301"] {
        let answer = server.post_invoice(key, r#"{"amount_usd":20}"#).await;
        answer.is_error(400, "IDEMPOTENCY_KEY_INVALID", Some("Idempotency-Key"));
    }
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_another_body_a_conflict() {
    let server = Server::start().await;
    let key = new_key();
    let first = server.post_invoice(&key, r#"{"amount_usd":20,"metadata":{"a":1,"b":2}}"#).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let rows = server.rows().await;

    server.clock.advance_seconds(3600);
    let reordered = " { \"metadata\" : {\"b\":2,\"a\":1}, \"amount_usd\" : 20 } ";
    let again = server.post_invoice(&key.to_uppercase(), reordered).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("idempotent-replayed"), "true");

    for other in [r#"{"amount_usd":20}"#, r#"{"amount_usd":20.01,"metadata":{"a":1,"b":2}}"#] {
        server.post_invoice(&key, other).await.is_error(409, "IDEMPOTENCY_CONFLICT", Some("Idempotency-Key"));
    }
    assert_eq!(server.rows().await, rows);
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_even_once_paid() {
    let server = Server::start().await;
    let key = new_key();
    let first = server.post_invoice(&key, r#"{"amount_usd":20}"#).await;
    let created = first.json();
    let invoice = super::Created {
        id: created["id"].as_str().unwrap().parse().unwrap(),
        token: String::new(),
        signature: String::new(),
    };
    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 3).await;
    let status = server.merchant_get(&format!("{PATH}/{}/status", invoice.id)).await.json();
    assert_eq!(status["invoice"]["status"], "paid");
    assert_eq!(server.post_invoice(&key, r#"{"amount_usd":20}"#).await.text, first.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_equal_requests_at_once_make_one_invoice() {
    let server = Server::start().await;
    let key = new_key();
    let body = r#"{"amount_usd":20,"description":"Tea"}"#;
    let answers = join_all((0..100).map(|_| server.post_invoice(&key, body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.text == answers[0].text));
    let replays = answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
    assert_eq!(replays, 99);
    assert_eq!(server.rows().await[..3], [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_equal_requests_at_once_to_two_nodes_make_one_invoice() {
    let nodes = Server::start_nodes(2).await;
    let (idempotency_key, body) = (new_key(), json!({ "amount_usd": 20, "metadata": { "order": 1 } }).to_string());
    let headers = [
        ("x-api-key", nodes[0].key.as_str()),
        ("idempotency-key", &idempotency_key),
        ("content-type", "application/json"),
    ];
    let send = |number: usize| nodes[number % 2].send(request(Method::POST, PATH, &headers, &body));
    let answers = join_all((0..100).map(send)).await;
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.text), (200, &answers[0].text));
    }
    let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).count();
    assert_eq!((first, nodes[1].rows().await[..2].to_vec()), (1, vec![1, 1]));

    let other = request(Method::POST, PATH, &headers, r#"{"amount_usd":21}"#);
    nodes[1].send(other).await.is_error(409, "IDEMPOTENCY_CONFLICT", Some("Idempotency-Key"));
}

/// There is no answer "still running": who sends a request again while it runs elsewhere waits for its end, which
/// takes milliseconds, and gets its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_runs_on_another_node_is_waited_for() {
    let nodes = Server::start_nodes(2).await;
    let url = &nodes[0].app.config.storage.database_url;
    let mut rival = sqlx::AnyConnection::connect(url).await.unwrap();
    // Inside a transaction, who waits is asked once and remembered.
    let mut onlooker = sqlx::AnyConnection::connect(url).await.unwrap();
    // What a request holds from its beginning to its end.
    let mut held = rival.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM merchants WHERE merchant_id = $1 FOR NO KEY UPDATE")
        .bind(nodes[0].merchant.0)
        .execute(&mut *held)
        .await
        .unwrap();
    let (idempotency_key, body) = (new_key(), r#"{"amount_usd":20}"#);
    let headers = [
        ("x-api-key", nodes[0].key.as_str()),
        ("idempotency-key", &idempotency_key),
        ("content-type", "application/json"),
    ];
    let answers = join_all(nodes.iter().map(|node| node.send(request(Method::POST, PATH, &headers, body))));
    let release = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&mut onlooker)
            .await
            .unwrap();
            if waiting == 2 {
                break;
            }
        }
        held.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(answers, release);
    let mut replayed: Vec<_> = answers.iter().map(|answer| answer.header("idempotent-replayed")).collect();
    replayed.sort_unstable();
    assert_eq!(replayed, ["", "true"]);
    assert_eq!(answers[0].text, answers[1].text);
    assert_eq!(answers[0].status, 200);
}

#[tokio::test]
async fn payments_are_shown_when_asked_for_and_the_newest_first() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(5_000), 3).await;
    server.pay(&invoice, usd(7_500), 3).await;

    let path = format!("{PATH}/{}", invoice.id);
    let shown = server.merchant_get(&format!("{path}?expand=latest_payment,payments")).await.json();
    assert_eq!((&shown["status"], &shown["amount_remaining"]), (&json!("underpaid"), &json!(7_500)));
    assert_eq!(shown["payments"].as_array().unwrap().len(), 2);
    assert_eq!(shown["payments"][0], shown["latest_payment"]);
    assert_eq!(shown["latest_payment"]["amount_decimal"], "7.500");
    assert_eq!(shown["latest_payment"]["payer_wallet_address"], "0x00000000000000000000000000000000000000aa");
    assert_eq!(shown["payer_wallet_address"], "0x00000000000000000000000000000000000000aa");
    assert_eq!(shown["payer_wallet_network"], "ethereum");

    let limited = server.merchant_get(&format!("{path}?expand=payments&payments_limit=1")).await.json();
    assert_eq!(limited["payments"].as_array().unwrap().len(), 1);
    assert_eq!(limited.get("latest_payment"), None);

    let status = server.merchant_get(&format!("{path}/status")).await.json();
    assert_eq!(status["latest_payment"], shown["latest_payment"]);

    server.merchant_get(&format!("{path}?expand=customer")).await.is_error(400, "INVALID_EXPAND", Some("expand"));
    let limit = server.merchant_get(&format!("{path}?payments_limit=0")).await;
    limit.is_error(400, "VALIDATION_ERROR", Some("payments_limit"));
}

#[tokio::test]
async fn absent_and_foreign_invoices_look_the_same() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let (other, other_key): (MerchantId, String) = add_merchant(&server.app).await;
    assert_ne!(other, server.merchant);
    for suffix in ["", "/status"] {
        let path = format!("{PATH}/{}{suffix}", invoice.id);
        let foreign = server.get(&path, &[("x-api-key", &other_key)]).await;
        foreign.is_error(404, "INVOICE_NOT_FOUND", None);
        let absent = server.merchant_get(&format!("{PATH}/{}{suffix}", new_key())).await;
        assert_eq!(absent.text, foreign.text);
        let odd = server.merchant_get(&format!("{PATH}/inv_1{suffix}")).await;
        if suffix.is_empty() {
            // A customer's id, to an older version of this API.
            assert_eq!(odd.text, absent.text);
        } else {
            odd.is_error(400, "VALIDATION_ERROR", Some("invoice_id"));
        }
        server.get(&path, &[]).await.is_error(401, "API_KEY_MISSING", Some("x-api-key"));
    }
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_beside_the_request() {
    let server = Server::start().await;
    let used = async || {
        server.app.tasks.close();
        server.app.tasks.wait().await;
        server.app.tasks.reopen();
        server.app.store.reader().await.unwrap().tx().api_keys(server.merchant).await.unwrap()[0].last_used_at
    };
    assert_eq!(used().await, None);
    let first = server.app.clock.now();
    for seconds in [0, 59] {
        server.clock.advance_seconds(seconds);
        server.invoice(json!({})).await;
        assert_eq!(used().await, Some(first));
    }
    server.clock.advance_seconds(1);
    server.invoice(json!({})).await;
    assert_eq!(used().await, Some(first.plus(60)));
}

#[tokio::test]
async fn a_name_that_no_invoice_and_no_customer_has_is_refused() {
    let server = Server::start().await;
    for name in ["%00", "%ff", &"x".repeat(256)] {
        let answer = server.merchant_get(&format!("{PATH}/{name}")).await;
        answer.is_error(400, "VALIDATION_ERROR", Some("invoice_id"));
    }
}

#[tokio::test]
async fn a_customers_newest_invoice_is_found_by_path_where_that_is_switched_on() {
    let server = Server::start_with(|config| config.invoices.customer_id_in_path = true).await;
    let customer = new_key();
    let old = server.invoice(json!({ "customer_id": customer })).await;
    server.clock.advance_seconds(1);
    let new = server.invoice(json!({ "customer_id": customer, "amount_usd": 49.999 })).await;
    let of_customer = server.merchant_get(&format!("{PATH}/{customer}")).await.json();
    let by_id = server.merchant_get(&format!("{PATH}/{}", new.id)).await.json();

    let mut expected = by_id.clone();
    expected["amount_usd"] = json!(49.999);
    expected["payment_url"] = json!(format!("http://pay.example{}", new.page()));
    assert_eq!(of_customer, expected);
    // An invoice's own id comes first.
    assert_eq!(server.merchant_get(&format!("{PATH}/{}", old.id)).await.json()["id"], json!(old.id.to_string()));

    server.quote(&new).await;
    server.pay(&new, usd(49_999), 3).await;
    let paid = server.merchant_get(&format!("{PATH}/{customer}?expand=latest_payment")).await.json();
    let details = json!({
        "network": "ethereum", "transaction_hash": paid["latest_payment"]["tx_hash"], "amount_paid": 49.999
    });
    assert_eq!(paid["payment_details"], details);
    assert_eq!((&paid["status"], &paid["paid_at"].is_i64()), (&json!("paid"), &true));

    let (_, other) = add_merchant(&server.app).await;
    let foreign = server.get(&format!("{PATH}/{customer}"), &[("x-api-key", &other)]).await;
    foreign.is_error(404, "INVOICE_NOT_FOUND", None);
    assert_eq!(server.merchant_get(&format!("{PATH}/nobody")).await.text, foreign.text);
}

#[tokio::test]
async fn without_a_key_each_request_is_a_new_one_where_that_is_allowed() {
    let server = Server::start_with(|config| config.invoices.require_idempotency_key = false).await;
    let headers = [("x-api-key", server.key.as_str()), ("content-type", "application/json")];
    for expected in 1..=2 {
        let answer = server.send(request(Method::POST, PATH, &headers, r#"{"amount_usd":20}"#)).await;
        assert_eq!((answer.status.as_u16(), answer.header("idempotent-replayed")), (200, ""));
        assert_eq!(server.rows().await[..2], [expected, 0]);
    }
    let again = [("idempotency-key", "not a uuid")];
    let bad = server.send(request(Method::POST, PATH, &[&headers[..], &again].concat(), r#"{"amount_usd":20}"#)).await;
    bad.is_error(400, "IDEMPOTENCY_KEY_INVALID", Some("Idempotency-Key"));
}

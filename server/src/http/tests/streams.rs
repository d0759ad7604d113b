//! A payer's page following its invoice over a real connection.

use std::{net::SocketAddr, time::Duration};

use domain::{signature::CredentialHash, time::UnixMillis};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    Created, Server,
    sockets::{PATIENCE, Socket, close_code, listen, next, next_of_type, open, open_narrow, refusal},
    usd,
};
use crate::store::{NewEvent, StoreError, StreamSession};

async fn stream_token(server: &Server, invoice: &Created) -> String {
    let connection = server.payor_get("/api/v1/payments/stream-token", invoice).await.json();
    assert_eq!(connection["endpoint"], "/ws/payment");
    assert_eq!(connection["ws_url"], "/ws/payment?format=event_v1");
    connection["token"].as_str().unwrap().to_owned()
}

async fn connect(address: SocketAddr, query: &str) -> Socket {
    open(address, &format!("/ws/payment?{query}"), &[]).await
}

/// The next frame of each of two types, whichever comes first.
async fn next_of_both(socket: &mut Socket, wanted: [&str; 2]) -> [Value; 2] {
    let mut found = [Value::Null, Value::Null];
    while found.iter().any(Value::is_null) {
        let frame = next(socket).await;
        for (wanted, found) in wanted.iter().zip(&mut found) {
            if found.is_null() && frame["type"] == *wanted {
                found.clone_from(&frame);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_hears_of_its_payment_and_nothing_that_is_the_merchant_s() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({ "metadata": { "order": "canary" }, "customer_id": "canary" })).await;
    let other = server.invoice(json!({})).await;
    server.quote(&invoice).await;
    let token = stream_token(&server, &invoice).await;
    let mut socket = connect(address, &format!("format=event_v1&token={token}")).await;
    let connected = next(&mut socket).await;
    assert_eq!((&connected["object"], &connected["type"]), (&json!("ws_control"), &json!("connected")));
    // Which snapshot it is: whoever shows it already need not ask.
    let shown = server.payor_get("/pay/snapshot", &invoice).await.json();
    let quote = json!({
        "supported_token_id": shown["quote"]["token_id"],
        "estimated_token_amount": shown["quote"]["amount"],
        "quote_valid_until": shown["quote"]["valid_until"],
    });
    assert!(quote["quote_valid_until"].is_i64() && shown["version"].is_i64(), "{shown}");
    let told = json!({ "invoice_id": invoice.id.to_string(), "version": shown["version"], "quote": quote });
    assert_eq!(connected["data"], told);

    server.pay(&other, usd(20_000), 1).await;
    server.pay(&invoice, usd(20_000), 1).await;
    let found = next_of_type(&mut socket, "invoice_payment.created").await;
    assert_eq!((&found["object"], &found["data"]["object"]["status"]), (&json!("event"), &json!("pending")));
    server.pay(&invoice, usd(0), 2).await;
    let [changed, updated] = next_of_both(&mut socket, ["snapshot.changed", "invoice.updated"]).await;
    assert!(changed["data"]["version"].is_i64(), "{changed}");
    assert_eq!(updated["data"]["object"]["status"], "paid");

    // From the log, everything that happened to this invoice and only that.
    let mut replay = connect(address, &format!("token={token}&since=evt_0-0")).await;
    next_of_type(&mut replay, "replay.started").await;
    let mut types = Vec::new();
    loop {
        let frame = next(&mut replay).await;
        assert!(!frame.to_string().contains("canary"), "{frame}");
        if frame["type"] == "replay.completed" {
            break;
        }
        let about = frame["data"]["object"]["invoice_id"].as_str().or(frame["data"]["object"]["id"].as_str());
        assert_eq!(about, Some(invoice.id.to_string().as_str()), "{frame}");
        types.push(frame["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(types.first().map(String::as_str), Some("invoice.created"));
    assert!(types.contains(&"invoice.updated".to_owned()), "{types:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_quote_is_told_and_the_same_click_is_not() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let first = server.choose_by_api(&invoice, r#"{"network":"ethereum","tokenId":1}"#).await.json();
    let token = first["ws_connection"]["token"].as_str().unwrap();
    let mut socket = connect(address, &format!("token={token}")).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    server.choose_by_api(&invoice, r#"{"network":"ethereum","tokenId":1}"#).await;
    let second = server.choose_by_api(&invoice, r#"{"network":"base","tokenId":4}"#).await.json();

    let frame = loop {
        let frame = next(&mut socket).await;
        if frame["data"]["object"]["object"] != "invoice" {
            break frame;
        }
    };
    assert_eq!((&frame["object"], &frame["type"]), (&json!("event"), &json!("payment_quote.updated")));
    let expected = json!({
        "object": "payment_quote", "invoice_id": invoice.id.to_string(), "network": "base", "currency": "usd",
        "amount_remaining": 20_000, "amount_remaining_decimal": "20.000", "amount_unit": "usd_millis",
        "quote_status": "available", "temp_address": second["temp_address"], "supported_token_id": 4,
        "estimated_token_amount": "20", "exchange_rate": "1",
        "quote_last_updated_at": second["quote_last_updated_at"], "quote_valid_until": second["quote_valid_until"],
        "quote_expires_in_seconds": 300,
    });
    assert_eq!(frame["data"]["object"], expected);
    // Its id says where to go on.
    let mut resumed = connect(address, &format!("token={token}&since={}", frame["id"].as_str().unwrap())).await;
    next_of_type(&mut resumed, "replay.completed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn since_an_event_that_is_still_to_come_asks_to_start_anew() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let token = stream_token(&server, &invoice).await;
    let mut socket = connect(address, &format!("token={token}&since=evt_5-9223372036854775807")).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    assert_eq!(next(&mut socket).await["type"], "resync.required");
    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 1).await;
    next_of_type(&mut socket, "invoice_payment.created").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_invoice_has_so_many_streams_and_so_many_tokens() {
    let server = Server::start_with(|config| config.limits.sockets_per_invoice = 2).await;
    let address = listen(&server).await;
    let (invoice, other) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    let token = stream_token(&server, &invoice).await;
    let mut first = connect(address, &format!("token={token}")).await;
    let _second = connect(address, &format!("token={token}")).await;
    match connect_async(format!("ws://{address}/ws/payment?token={token}")).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 429);
            assert!(response.headers().contains_key("retry-after"));
        }
        other => panic!("{other:?}"),
    }
    let other_token = stream_token(&server, &other).await;
    connect(address, &format!("token={other_token}")).await;
    first.close(None).await.unwrap();
    while first.next().await.is_some() {}
    drop(first);

    for _ in 0..200 {
        stream_token(&server, &invoice).await;
    }
    assert_eq!(server.rows().await[4], 129, "those of the other invoice are not touched");
    server.get(&format!("/ws/payment?token={token}"), &[]).await.is_error(401, "SESSION_INVALID", Some("token"));
    server.get(&format!("/ws/payment?token={other_token}"), &[]).await.is_error(426, "UPGRADE_REQUIRED", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn since_goes_on_after_the_event_it_names() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let token = stream_token(&server, &invoice).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(12_500), 3).await;

    let mut first = connect(address, &format!("token={token}&since=evt_0-0")).await;
    let created = next_of_type(&mut first, "invoice.created").await;
    let second = next_of_type(&mut first, "invoice_payment.created").await;
    let mut resumed = connect(address, &format!("token={token}&since={}", created["id"].as_str().unwrap())).await;
    assert_eq!(next(&mut resumed).await["type"], "connected");
    assert_eq!(next(&mut resumed).await["type"], "replay.started");
    assert_eq!(next(&mut resumed).await, second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_token_since_or_format_opens_no_stream() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let token = stream_token(&server, &invoice).await;
    for (query, status) in [
        (String::new(), 401),
        ("token=".to_owned(), 401),
        (format!("token={}", super::altered(&token, 10)), 401),
        (format!("token={}", invoice.token), 401),
        (format!("token={token}&since=4"), 400),
        (format!("token={token}&format=v2"), 400),
    ] {
        match connect_async(format!("ws://{address}/ws/payment?{query}")).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let plain = server.get(&format!("/ws/payment?token={token}"), &[]).await;
    plain.is_error(426, "UPGRADE_REQUIRED", None);
    server.get("/ws/payment?token=x", &[]).await.is_error(401, "SESSION_INVALID", Some("token"));

    let expired = "pws_expired";
    let session =
        StreamSession { merchant: server.merchant, invoice: invoice.id, expires_at: server.app.clock.now().plus(-1) };
    let hash = CredentialHash::of(expired);
    let write = server
        .app
        .store
        .write(move |tx| Box::pin(async move { tx.insert_stream_token(hash, &session, UnixMillis(0)).await }));
    write.await.unwrap();
    server.get(&format!("/ws/payment?token={expired}"), &[]).await.is_error(401, "SESSION_EXPIRED", Some("token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_in_json_are_answered_and_other_talk_is_not() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let token = stream_token(&server, &invoice).await;
    let mut socket = connect(address, &format!("token={token}")).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    for text in ["hello", "{}", "{\"type\":\"ping\"}"] {
        socket.send(Message::text(text)).await.unwrap();
    }
    let answer = loop {
        let frame = next(&mut socket).await;
        if frame["object"] != "event" {
            break frame;
        }
    };
    assert_eq!(answer, json!({ "type": "pong" }));
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await.unwrap();
    assert_eq!(close_code(&mut socket).await, u16::from(CloseCode::Normal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_in_one_frame_ends_the_stream() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let token = stream_token(&server, &invoice).await;
    let mut socket = connect(address, &format!("token={token}")).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    // What does not fit into the network's buffers is not taken any more.
    let _refused = socket.send(Message::text("x".repeat(1 << 20))).await;
    assert_eq!(close_code(&mut socket).await, u16::from(CloseCode::Policy));
    assert_eq!(server.get("/health/live", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_let_go_with_a_code() {
    let server = Server::start_with(|config| config.limits.socket_send_timeout_ms = 200).await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let token = stream_token(&server, &invoice).await;
    // Far more than the network's buffers hold on the way to somebody who reads nothing.
    let (merchant, id) = (server.merchant, invoice.id);
    let flood = server.app.store.write(move |tx| {
        Box::pin(async move {
            for number in 0..600 {
                let object =
                    json!({ "object": "invoice", "id": id.to_string(), "description": "x".repeat(20_000) }).to_string();
                let event = NewEvent {
                    merchant,
                    invoice: Some(id),
                    event_type: "invoice.updated",
                    environment: wire::Environment::Devnet,
                    object,
                    previous_attributes: None,
                    request_id: None,
                    idempotency_key: None,
                    created: UnixMillis(number),
                };
                tx.append_event(&event).await?;
            }
            Ok::<_, StoreError>(())
        })
    });
    let mut socket = open_narrow(address, &format!("/ws/payment?token={token}"), &[]).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    flood.await.unwrap();
    let let_go = async {
        while server.app.hub.followed() != 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), let_go).await.unwrap();
    assert_eq!(close_code(&mut socket).await, u16::from(CloseCode::Policy));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_strangers_open_no_stream() {
    let server = Server::start().await;
    let address = listen(&server).await;
    server.set_origins(&["https://shop.example"]).await;
    let invoice = server.invoice(json!({})).await;
    let path = format!("/ws/payment?token={}", stream_token(&server, &invoice).await);
    let own = format!("http://{address}");
    for origin in ["https://shop.example", "http://pay.example", own.as_str()] {
        open(address, &path, &[("origin", origin)]).await;
    }
    for origin in ["https://evil.example", "null", "https://shop.example.evil", "http://shop.example"] {
        let (status, body) = refusal(address, &path, &[("origin", origin)]).await;
        assert_eq!((status, &body["code"]), (403, &json!("ORIGIN_FORBIDDEN")), "{origin}");
        assert_eq!(body["error"]["field"], "Origin");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_says_goodbye_and_waits_for_it() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({})).await;
    let token = stream_token(&server, &invoice).await;
    let mut socket = connect(address, &format!("token={token}")).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    server.app.shutdown.cancel();
    assert_eq!(close_code(&mut socket).await, u16::from(CloseCode::Away));
    drop(socket);
    server.app.tasks.close();
    tokio::time::timeout(PATIENCE, server.app.tasks.wait()).await.unwrap();
}

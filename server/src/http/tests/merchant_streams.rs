//! A merchant's server, and its dashboard, following everything that happens to it.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::Method;
use domain::{
    access::Rights,
    id::{ApiKeyId, InvoiceId},
    time::UnixMillis,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{
    Answer, Server, add_key, add_merchant, new_key, request,
    sockets::{PATIENCE, Socket, close_code, listen, next, next_of_type, open, open_narrow, refusal},
    usd,
};
use crate::{clock::random_bytes, events::run_access_checks, store::NewEvent};

const PATH: &str = "/ws/merchant/events";
const TOKENS: &str = "/api/v1/ws/token";

impl Server {
    async fn mint(&self, key: &str, body: &Value) -> Answer {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        self.send(request(Method::POST, TOKENS, &headers, &body.to_string())).await
    }

    async fn stream_path(&self, key: &str, body: &Value) -> String {
        let answer = self.mint(key, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        format!("{PATH}?token={}", answer.json()["data"]["token"].as_str().unwrap())
    }

    async fn follow(&self, address: SocketAddr, query: &str) -> Socket {
        let mut socket = open(address, &format!("{PATH}{query}"), &[("x-api-key", &self.key)]).await;
        assert_eq!(next(&mut socket).await["type"], "connected");
        socket
    }

    /// Writes an event as a change would.
    async fn happens(&self, event_type: &'static str, object: String) {
        let event = self.event(event_type, object);
        self.app.store.write(move |tx| Box::pin(async move { tx.append_event(&event).await })).await.unwrap();
    }

    fn event(&self, event_type: &'static str, object: String) -> NewEvent {
        NewEvent {
            merchant: self.merchant,
            invoice: Some(InvoiceId::from_random(random_bytes())),
            event_type,
            environment: wire::Environment::Devnet,
            object,
            previous_attributes: None,
            request_id: None,
            idempotency_key: None,
            created: self.app.clock.now_ms(),
        }
    }
}

/// The events up to a control frame.
async fn events_until(socket: &mut Socket, control: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let frame = next(socket).await;
        match frame["object"].as_str() {
            Some("event") => events.push(frame),
            _ if frame["type"] == control => return events,
            _ => {}
        }
    }
}

/// The numbers of the next so many events.
async fn numbers(socket: &mut Socket, count: usize) -> Vec<i64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let frame = next(socket).await;
        if frame["object"] == "event" {
            numbers.push(number(&frame));
        }
    }
    numbers
}

fn number(event: &Value) -> i64 {
    event["id"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_hears_of_everything_of_its_own_as_the_log_has_it() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let mut socket = server.follow(address, "").await;
    let (_, other) = add_merchant(&server.app).await;
    let mut strange = open(address, PATH, &[("authorization", &format!("Bearer {other}"))]).await;
    let invoice = server.invoice(json!({ "metadata": { "order": "7" }, "customer_id": "c-1" })).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 3).await;

    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(next(&mut socket).await);
    }
    assert_eq!(types(&heard), ["invoice.created", "invoice_payment.created", "invoice.updated"]);
    assert_eq!(heard[0]["data"]["object"]["metadata"], json!({ "order": "7" }));
    assert_eq!(heard[2]["data"]["previous_attributes"]["status"], "unpaid");
    for event in &heard {
        let read = server.merchant_get(&format!("/api/v1/events/{}", event["id"].as_str().unwrap())).await;
        assert_eq!(read.json()["data"], *event, "a frame is what the log says, and the log has it by then");
    }
    let connected = next(&mut strange).await;
    assert_eq!((&connected["object"], &connected["type"]), (&json!("ws_control"), &json!("connected")));
    server.app.shutdown.cancel();
    assert_eq!(close_code(&mut strange).await, u16::from(CloseCode::Away), "nothing of it was anybody else's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_shows_what_was_asked_for() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let invoice = server.invoice(json!({ "customer_id": "c-1" })).await;
    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 3).await;
    server.invoice(json!({})).await;
    let ping = NewEvent { invoice: None, ..server.event("test.ping", json!({ "object": "ping" }).to_string()) };
    server.app.store.write(move |tx| Box::pin(async move { tx.append_event(&ping).await })).await.unwrap();
    let (_, other) = add_merchant(&server.app).await;
    let all = ["invoice.created", "invoice_payment.created", "invoice.updated", "invoice.created", "test.ping"];
    let mut log = server.follow(address, "?since=evt_0-0").await;
    numbers(&mut log, all.len()).await;

    for (query, expected) in [
        (String::new(), &all[..]),
        ("&format=event_v1&types=*".to_owned(), &all),
        ("&types=invoice.*".to_owned(), &[all[0], all[2], all[3]]),
        ("&types=invoice.updated,invoice_payment.*".to_owned(), &all[1..3]),
        ("&types=commerce.order.*".to_owned(), &[]),
        (format!("&invoice_id={}", invoice.id), &all[..3]),
        (format!("&invoice_id={}", new_key()), &[]),
        ("&customer_id=c-1".to_owned(), &all[..3]),
        ("&customer_id=c-1&types=invoice.created".to_owned(), &all[..1]),
        ("&customer_id=c-2".to_owned(), &[]),
        ("&environment=devnet".to_owned(), &all),
        ("&environment=mainnet".to_owned(), &[]),
        ("&invoice_type=standard,commerce".to_owned(), &all[..4]),
        ("&invoice_type=commerce".to_owned(), &[]),
    ] {
        let mut socket = server.follow(address, &format!("?since=evt_0-0{query}")).await;
        assert_eq!(types(&events_until(&mut socket, "replay.completed").await), expected, "{query}");
    }
    let foreign = format!("{PATH}?since=evt_0-0&invoice_id={}", invoice.id);
    let mut socket = open(address, &foreign, &[("x-api-key", &other)]).await;
    assert_eq!(events_until(&mut socket, "replay.completed").await, [json!(null); 0]);
    // Live, too: what is left out does not come, and what follows it does.
    let mut socket = server.follow(address, "?types=invoice.updated").await;
    server.happens("invoice.created", "{}".to_owned()).await;
    server.happens("invoice.updated", "{}".to_owned()).await;
    assert_eq!(numbers(&mut socket, 1).await, [7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_query_opens_no_stream_and_names_its_fault() {
    let server = Server::start().await;
    let address = listen(&server).await;
    for (query, field) in [
        ("types=inv*", "types"),
        ("types=Invoice.created", "types"),
        ("types=invoice..created", "types"),
        ("since=4", "since"),
        ("since=", "since"),
        ("invoice_type=other", "invoice_type"),
        ("invoice_id=inv_1", "invoice_id"),
        ("customer_id=", "customer_id"),
        ("environment=testnet", "environment"),
        ("format=v2", "format"),
    ] {
        let (status, body) = refusal(address, &format!("{PATH}?{query}"), &[("x-api-key", &server.key)]).await;
        assert_eq!((status, &body["code"]), (400, &json!("VALIDATION_ERROR")), "{query}");
        assert_eq!(body["error"]["field"], field, "{query}");
    }
    let many = vec!["invoice.*"; 33].join(",");
    let (status, _) = refusal(address, &format!("{PATH}?types={many}"), &[("x-api-key", &server.key)]).await;
    assert_eq!(status, 400);
    server.merchant_get(PATH).await.is_error(426, "UPGRADE_REQUIRED", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_credential_that_may_read_there_is_no_stream() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let blind = add_key(&server.app, server.merchant, |key| key.rights = Rights::NONE).await;
    for (path, headers, status, code) in [
        (PATH.to_owned(), vec![], 401, "API_KEY_MISSING"),
        (PATH.to_owned(), vec![("x-api-key", "pk_1")], 401, "API_KEY_INVALID"),
        (PATH.to_owned(), vec![("x-api-key", blind.api_key.as_str())], 403, "RIGHT_REQUIRED"),
        (format!("{PATH}?token="), vec![], 401, "WS_TOKEN_INVALID"),
        (format!("{PATH}?token={}", server.key), vec![], 401, "WS_TOKEN_INVALID"),
    ] {
        let (answered, body) = refusal(address, &path, &headers).await;
        assert_eq!((answered, &body["code"]), (status, &json!(code)), "{path} {headers:?}");
    }
    server.mint(&blind.api_key, &json!({ "scope": "merchant" })).await.is_error(403, "RIGHT_REQUIRED", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_streams_for_as_long_as_it_says_and_they_outlive_it() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let answer = server.mint(&server.key, &json!({ "scope": "merchant", "ttl_seconds": 15 })).await.json();
    let token = answer["data"]["token"].as_str().unwrap();
    let expires_at = answer["data"]["expires_at"].as_i64().unwrap();
    assert_eq!(
        answer,
        json!({ "success": true, "data": {
            "token": token, "scope": "merchant", "merchant_id": server.merchant.0, "network_environment": "devnet",
            "expires_at": expires_at, "ws_url": "ws://pay.example/ws/merchant/events",
        }})
    );
    assert_eq!(expires_at, server.app.clock.now().0 + 15);
    let path = format!("{PATH}?token={token}");
    let mut socket = open(address, &path, &[]).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    server.clock.advance_seconds(16);
    let (status, body) = refusal(address, &path, &[]).await;
    assert_eq!((status, &body["code"], &body["error"]["field"]), (401, &json!("WS_TOKEN_EXPIRED"), &json!("token")));
    server.happens("invoice.updated", "{}".to_owned()).await;
    assert_eq!(numbers(&mut socket, 1).await, [1]);
}

#[tokio::test]
async fn a_bad_request_for_a_token_names_its_fault() {
    let server = Server::start().await;
    for (body, field) in [
        (json!({}), "scope"),
        (json!({ "scope": "commerce" }), "scope"),
        (json!({ "scope": "Merchant" }), "scope"),
        (json!({ "scope": 7 }), "scope"),
        (json!({ "scope": "merchant", "ttl_seconds": 14 }), "ttl_seconds"),
        (json!({ "scope": "merchant", "ttl_seconds": 301 }), "ttl_seconds"),
        (json!({ "scope": "merchant", "ttl_seconds": -1 }), "ttl_seconds"),
        (json!({ "scope": "merchant", "ttl_seconds": 15.5 }), "ttl_seconds"),
        (json!({ "scope": "merchant", "ttl_seconds": "60" }), "ttl_seconds"),
    ] {
        server.mint(&server.key, &body).await.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    let defaulted = server.mint(&server.key, &json!({ "scope": "merchant" })).await.json();
    assert_eq!(defaulted["data"]["expires_at"], server.app.clock.now().0 + 60);
    server.get(TOKENS, &[("x-api-key", &server.key)]).await.is_error(405, "METHOD_NOT_ALLOWED", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_stranger_opens_no_stream_whatever_it_proves() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let path = server.stream_path(&server.key, &json!({ "scope": "merchant" })).await;
    open(address, &path, &[("origin", "https://any.example")]).await;
    server.set_origins(&["https://shop.example"]).await;
    for (path, key) in [(path.as_str(), None), (PATH, Some(("x-api-key", server.key.as_str())))] {
        for (origin, is_let_in) in [
            ("https://shop.example", true),
            ("http://pay.example", true),
            ("https://any.example", false),
            ("null", false),
        ] {
            let headers: Vec<_> = key.into_iter().chain([("origin", origin)]).collect();
            if is_let_in {
                open(address, path, &headers).await;
            } else {
                let (status, body) = refusal(address, path, &headers).await;
                assert_eq!((status, &body["code"]), (403, &json!("ORIGIN_FORBIDDEN")), "{origin}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_has_so_many_streams() {
    let server = Server::start_with(|config| config.limits.sockets_per_merchant = 2).await;
    let address = listen(&server).await;
    let (_first, _second) = (server.follow(address, "").await, server.follow(address, "").await);
    let (status, body) = refusal(address, PATH, &[("x-api-key", &server.key)]).await;
    assert_eq!((status, &body["code"]), (429, &json!("RATE_LIMITED")));
    let (_, other) = add_merchant(&server.app).await;
    open(address, PATH, &[("x-api-key", &other)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_a_key_ends_its_streams_within_five_seconds_and_no_others() {
    let server = Server::start().await;
    let address = listen(&server).await;
    server.app.spawn(run_access_checks(server.app.clone()));
    let kept = add_key(&server.app, server.merchant, |_| {}).await;
    let path = server.stream_path(&server.key, &json!({ "scope": "merchant", "ttl_seconds": 300 })).await;
    let mut by_key = server.follow(address, "").await;
    let mut by_token = open(address, &path, &[]).await;
    let mut of_other_key = open(address, PATH, &[("x-api-key", &kept.api_key)]).await;
    // One that is in the middle of sending, to a client that takes nothing.
    for _ in 0..40 {
        server.happens("invoice.updated", json!({ "padding": "x".repeat(30_000) }).to_string()).await;
    }
    let _stuck = open_narrow(address, &format!("{PATH}?since=evt_0-0"), &[("x-api-key", &server.key)]).await;
    numbers(&mut by_key, 40).await;

    let (merchant, now) = (server.merchant, server.app.clock.now());
    let id = server.key_id(&kept.api_key).await;
    let revoked = Instant::now();
    let write =
        server.app.store.write(move |tx| Box::pin(async move { tx.revoke_api_key(merchant, id, None, now).await }));
    assert!(write.await.unwrap());
    for socket in [&mut by_key, &mut by_token] {
        let error = loop {
            let frame = next(socket).await;
            if frame["object"] == "ws_error" {
                break frame;
            }
        };
        assert_eq!(error["code"], "credential_revoked");
        assert_eq!(close_code(socket).await, u16::from(CloseCode::Policy));
    }
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    let (status, body) = refusal(address, &path, &[]).await;
    assert_eq!((status, &body["code"]), (401, &json!("WS_TOKEN_INVALID")), "nor does its token open another");
    server.happens("invoice.updated", "{}".to_owned()).await;
    assert_eq!(numbers(&mut of_other_key, 41).await.last(), Some(&41));
    let one_is_left = async {
        while server.app.hub.followers_of_merchant(server.merchant) != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), one_is_left).await.expect("also the stuck one has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_time_of_its_key() {
    let server = Server::start().await;
    let address = listen(&server).await;
    server.app.spawn(run_access_checks(server.app.clone()));
    let end = server.app.clock.now().plus(3_600);
    let key = add_key(&server.app, server.merchant, |key| key.expires_at = Some(end)).await;
    let mut socket = open(address, PATH, &[("x-api-key", &key.api_key)]).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    server.clock.advance_seconds(3_600);
    assert_eq!(next(&mut socket).await["code"], "token_expired");
    assert_eq!(close_code(&mut socket).await, 4401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_joins_what_happens_meanwhile_without_gap_or_repeat() {
    const BEFORE: usize = 150;
    const MEANWHILE: usize = 150;
    let server = Arc::new(Server::start().await);
    let address = listen(&server).await;
    for _ in 0..BEFORE {
        server.happens("invoice.updated", "{}".to_owned()).await;
    }
    let writer = Arc::clone(&server);
    let writing = server.app.spawn(async move {
        for _ in 0..MEANWHILE {
            writer.happens("invoice.updated", "{}".to_owned()).await;
        }
    });
    let all: Vec<i64> = (1..=i64::try_from(BEFORE + MEANWHILE).unwrap()).collect();
    let mut sockets = Vec::new();
    for since in [0, 40, 149] {
        sockets.push((since, server.follow(address, &format!("?since=evt_5-{since}")).await));
    }
    for (since, mut socket) in sockets {
        assert_eq!(numbers(&mut socket, all.len() - since).await, all[since..], "{since}");
    }
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn since_an_event_that_is_no_longer_kept_starts_from_the_newest() {
    let server = Server::start().await;
    let address = listen(&server).await;
    for _ in 0..130 {
        server.happens("invoice.updated", "{}".to_owned()).await;
    }
    server.happens("invoice.created", "{}".to_owned()).await;
    numbers(&mut server.follow(address, "?since=evt_0-0").await, 131).await;
    let before = UnixMillis(i64::MAX);
    server.app.store.write(move |tx| Box::pin(async move { tx.prune_events(0, before, 20).await })).await.unwrap();

    let mut socket = server.follow(address, "?since=evt_5-19").await;
    let required = next(&mut socket).await;
    assert_eq!((&required["object"], &required["type"]), (&json!("ws_control"), &json!("resync.required")));
    assert_eq!(required["data"]["since"], "evt_5-19");
    let snapshot = events_until(&mut socket, "replay.completed").await;
    assert_eq!(snapshot.iter().map(number).collect::<Vec<_>>(), (32..=131).collect::<Vec<_>>());
    server.happens("invoice.updated", "{}".to_owned()).await;
    assert_eq!(numbers(&mut socket, 1).await, [132]);
    // Nothing after the twentieth was removed.
    let mut socket = server.follow(address, "?since=evt_5-20").await;
    assert_eq!(next(&mut socket).await["type"], "replay.started");
    assert_eq!(numbers(&mut socket, 1).await, [21]);
    let mut socket = server.follow(address, "?since=evt_5-3&types=invoice.created").await;
    assert_eq!(next(&mut socket).await["type"], "resync.required");
    assert_eq!(numbers(&mut socket, 1).await, [131]);
    // One that is still to come is not waited for.
    let mut socket = server.follow(address, "?since=evt_5-999").await;
    assert_eq!(next(&mut socket).await["type"], "resync.required");
    server.happens("invoice.updated", "{}".to_owned()).await;
    assert_eq!(numbers(&mut socket, 1).await, [133]);

    let pruned = server.merchant_get("/api/v1/events?starting_after=evt_5-19").await;
    pruned.is_error(400, "INVALID_CURSOR", Some("starting_after"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rare_type_is_found_in_a_long_log() {
    let server = Server::start().await;
    let address = listen(&server).await;
    let (merchant, now) = (server.merchant, server.app.clock.now_ms());
    let plain = server.event("invoice.updated", "{}".to_owned());
    let rare = server.event("invoice.created", "{}".to_owned());
    let write = server.app.store.write(move |tx| {
        Box::pin(async move {
            for number in 0..3_500 {
                tx.append_event(&NewEvent {
                    merchant,
                    created: now,
                    ..if number == 2_500 { rare.clone() } else { plain.clone() }
                })
                .await?;
            }
            Ok::<_, crate::store::StoreError>(())
        })
    });
    write.await.unwrap();
    let mut all = server.follow(address, "?since=evt_0-0").await;
    assert_eq!(numbers(&mut all, 3_500).await.last(), Some(&3_500));
    let mut socket = server.follow(address, "?since=evt_0-0&types=invoice.created").await;
    let found = events_until(&mut socket, "replay.completed").await;
    assert_eq!(found.iter().map(number).collect::<Vec<_>>(), [2_501]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_closed_with_a_code_and_has_everything_up_to_there() {
    let server = Server::start_with(|config| config.limits.socket_send_timeout_ms = 200).await;
    let address = listen(&server).await;
    let mut socket = open_narrow(address, PATH, &[("x-api-key", &server.key)]).await;
    assert_eq!(next(&mut socket).await["type"], "connected");
    let padding = json!({ "padding": "x".repeat(50_000) }).to_string();
    let flood = async {
        while server.app.hub.followed() != 0 {
            server.happens("invoice.updated", padding.clone()).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), flood).await.unwrap();
    let mut read = Vec::new();
    let error = loop {
        let frame = next(&mut socket).await;
        match frame["object"].as_str() {
            Some("event") => read.push(number(&frame)),
            _ => break frame,
        }
    };
    assert_eq!((&error["object"], &error["code"]), (&json!("ws_error"), &json!("too_slow")));
    assert_eq!(close_code(&mut socket).await, u16::from(CloseCode::Policy));
    assert_eq!(read, (1..=read.last().copied().unwrap_or(0)).collect::<Vec<_>>(), "none in between is missing");
}

/// Two transactions take their places in the log in one order and commit in the other, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_commits_late_is_streamed_all_the_same() {
    let rounds: usize = std::env::var("PEPAY_LATE_COMMITS").ok().map_or(200, |count| count.parse().unwrap());
    let server = Server::start_with(|config| config.storage.database_url = postgres_cluster::new_database()).await;
    let address = listen(&server).await;
    let mut socket = server.follow(address, "").await;
    let mut expected = Vec::new();
    for round in 0..rounds {
        let (late, early) =
            (server.event("invoice.updated", "{}".to_owned()), server.event("invoice.created", "{}".to_owned()));
        let (written, is_written) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let held = server.app.store.write(move |tx| {
            Box::pin(async move {
                tx.append_event(&late).await?;
                let _round_is_over = written.send(());
                let _round_is_over = may_go_on.await;
                Ok::<_, crate::store::StoreError>(())
            })
        });
        let overtaking = async {
            is_written.await.unwrap();
            let write = server.app.store.write(move |tx| Box::pin(async move { tx.append_event(&early).await }));
            write.await.unwrap();
            // Every other time the one that overtook is even read before the other commits.
            let mut first = None;
            if round % 2 == 0 {
                first = Some(next_of_type(&mut socket, "invoice.created").await);
            }
            go_on.send(()).unwrap();
            first
        };
        let (held, first) = tokio::join!(held, overtaking);
        held.unwrap();
        expected.push(i64::try_from(2 * round + 1).unwrap());
        expected.push(i64::try_from(2 * round + 2).unwrap());
        let mut read = first.iter().map(number).collect::<Vec<_>>();
        read.extend(numbers(&mut socket, 2 - read.len()).await);
        assert_eq!(read, expected[2 * round..], "round {round}");
    }
    let mut replay = server.follow(address, "?since=evt_0-0").await;
    assert_eq!(numbers(&mut replay, expected.len()).await, expected);
}

/// What is polled never lags behind what was announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_never_hides_a_change_that_was_told() {
    let server = Arc::new(Server::start().await);
    let address = listen(&server).await;
    for _ in 0..25 {
        let invoice = Arc::new(server.invoice(json!({})).await);
        server.quote(&invoice).await;
        let mut socket = server.follow(address, &format!("?types=invoice.updated&invoice_id={}", invoice.id)).await;
        let pollers: Vec<_> = (0..4)
            .map(|_| {
                let (server, invoice) = (Arc::clone(&server), Arc::clone(&invoice));
                let app = server.app.clone();
                app.spawn(async move {
                    let mut seen = Vec::new();
                    while seen.last().is_none_or(|status| status != "paid") {
                        let answer = server.payor_get("/api/v1/payments/payment-status", &invoice).await.json();
                        let status = answer["status"].as_str().unwrap().to_owned();
                        if seen.last() != Some(&status) {
                            seen.push(status);
                        }
                        // An answer from memory waits for nothing, and others want their turn.
                        tokio::task::yield_now().await;
                    }
                    seen
                })
            })
            .collect();
        server.pay(&invoice, usd(20_000), 3).await;
        assert_eq!(next_of_type(&mut socket, "invoice.updated").await["data"]["object"]["status"], "paid");
        let polled = server.payor_get("/api/v1/payments/payment-status", &invoice).await.json();
        assert_eq!(polled["status"], "paid", "who was told sees it");
        for poller in pollers {
            let seen = tokio::time::timeout(PATIENCE, poller).await.unwrap().unwrap();
            assert!(["paid"].as_slice() == seen || ["unpaid", "paid"].as_slice() == seen, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn polling_takes_the_session_s_signature_every_time() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let path = "/api/v1/payments/payment-status";
    assert_eq!(server.payor_get(path, &invoice).await.json(), json!({ "status": "unpaid", "paid_at": null }));
    let forged = super::altered(&invoice.signature, 3);
    for (token, signature) in [(&invoice.token, &forged), (&super::altered(&invoice.token, 9), &invoice.signature)] {
        let answer = server.get(path, &[("x-session-token", token), ("x-signature", signature)]).await;
        answer.is_error(401, "SESSION_INVALID", Some("x-session-token"));
    }
    let named = server.payor_get(&format!("{path}?invoice_id={}", new_key()), &invoice).await;
    named.is_error(403, "SCOPE_FORBIDDEN", Some("invoice_id"));
    server.clock.advance_seconds(40 * 86_400);
    server.payor_get(path, &invoice).await.is_error(401, "SESSION_EXPIRED", None);
}

impl Server {
    /// The key that is not `other`.
    async fn key_id(&self, other: &str) -> ApiKeyId {
        let keys = self.app.store.reader().await.unwrap().tx().api_keys(self.merchant).await.unwrap();
        let other = domain::signature::CredentialHash::of(other);
        keys.into_iter().find(|key| key.hash != other).unwrap().id
    }
}

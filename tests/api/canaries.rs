//! Nothing that is secret or somebody's own reaches the log, at whatever level, nor anybody it is not meant for.
//!
//! A real server logs everything it can. Each input gets a canary, a word that appears nowhere else, in requests good
//! and bad of every operation, on sockets and in webhooks that fail; then every place the server writes to is searched.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use e2e::{ServerProcess, WALLET, eventually};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::{connect_async, tungstenite::Message};

const CONFIG: &str = r#"
environment = "devnet"

[webhooks]
allow_private_networks = ["127.0.0.0/8"]
retry_seconds = [1, 1, 1, 1, 1, 1]

[[networks]]
name = "ethereum"
title = "Ethereum"
chain_id = 31337
rpc = ["http://127.0.0.1:9/{rpc}"]
paid_after = 1
final_after = 2
[[networks.tokens]]
id = 1
symbol = "USDC"
name = "USD Coin"
address = "0x00000000000000000000000000000000000000c1"
decimals = 6
price = "par"
"#;

/// Who may read a canary again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// Nobody: it opens something, or nobody asked for it.
    Nobody,
    /// The merchant who sent it, in the invoice and in events about it.
    Merchant,
    /// The merchant, and the payer on the page and its socket.
    Both,
}

/// What every planted word begins with.
const CANARY: &str = "canary";

/// Words to look for, each with what it stands for.
#[derive(Default)]
struct Canaries {
    planted: HashMap<String, (&'static str, Reader)>,
    /// What the server made up.
    made: Vec<(&'static str, String, Reader)>,
}

impl Canaries {
    /// A new word of letters and digits, so that no escape alters it.
    fn plant(&mut self, what: &'static str, reader: Reader) -> String {
        let word = format!("{CANARY}{}x{}", self.planted.len(), uuid::Uuid::new_v4().simple());
        self.planted.insert(word.clone(), (what, reader));
        word
    }

    /// A word the server made up.
    fn keep(&mut self, what: &'static str, word: &str, reader: Reader) {
        assert!(32 <= word.len(), "{what} could be found by chance");
        self.made.push((what, word.to_owned(), reader));
    }

    /// Which of them are in a text, as they are or as hex, but for those that are meant for its readers.
    fn found_in(&self, text: &str, is_meant: impl Fn(Reader) -> bool) -> BTreeSet<&str> {
        let made = self.made.iter().filter(|(_, word, reader)| !is_meant(*reader) && has(text, word));
        let planted = text.match_indices(CANARY).filter_map(|(at, _)| {
            let word = text[at..].split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            match self.planted.get(word) {
                Some((_, reader)) if is_meant(*reader) => None,
                Some((what, _)) => Some(*what),
                None => Some("a part of something"),
            }
        });
        let as_hex = text.contains(&hex::encode(CANARY)).then_some("something as hex");
        made.map(|(what, ..)| *what).chain(planted).chain(as_hex).collect()
    }
}

fn has(text: &str, word: &str) -> bool {
    text.contains(word) || text.contains(&hex::encode(word))
}

/// A receiver that fails in turn in every way, and remembers what it was sent.
#[derive(Clone, Default)]
struct Receiver {
    bodies: Arc<Mutex<Vec<String>>>,
    location: String,
    answer: String,
}

impl Receiver {
    /// A receiver, its URL, and what keeps it going.
    async fn start(location: String, answer: String) -> (Self, String, JoinSet<()>) {
        let receiver = Self { location, answer, ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = receiver.clone();
        let router = Router::new().fallback(move |body: Bytes| {
            let receiver = serving.clone();
            async move { receiver.receive(&body) }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, format!("http://{address}"), tasks)
    }

    fn receive(&self, body: &Bytes) -> impl IntoResponse + use<> {
        let mut bodies = self.bodies.lock().unwrap();
        bodies.push(String::from_utf8(body.to_vec()).unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("x-answer", self.answer.parse().unwrap());
        let status = match bodies.len() % 3 {
            0 => StatusCode::INTERNAL_SERVER_ERROR,
            1 => {
                headers.insert(header::LOCATION, self.location.parse().unwrap());
                StatusCode::TEMPORARY_REDIRECT
            }
            _ => StatusCode::GATEWAY_TIMEOUT,
        };
        (status, headers, self.answer.clone())
    }

    fn received(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

/// Every operation as method and path, from the server's own description where it has one.
async fn operations(client: &Client, url: &str) -> Vec<(Method, String)> {
    let known = [
        (Method::POST, "/api/v1/invoices"),
        (Method::GET, "/api/v1/invoices"),
        (Method::GET, "/api/v1/invoices/customer/{customer_id}"),
        (Method::GET, "/api/v1/invoices/totals"),
        (Method::GET, "/api/v1/invoices/{invoice_id}"),
        (Method::GET, "/api/v1/invoices/{invoice_id}/status"),
        (Method::POST, "/api/v1/invoices/{invoice_id}/cancel"),
        (Method::GET, "/api/v1/events"),
        (Method::GET, "/api/v1/events/{event_id}"),
        (Method::GET, "/api/v1/api-keys"),
        (Method::POST, "/api/v1/api-keys"),
        (Method::POST, "/api/v1/api-keys/{key_id}/revoke"),
        (Method::DELETE, "/api/v1/api-keys/{key_id}"),
        (Method::POST, "/api/v1/merchant-api-keys/{key_id}/revoke"),
        (Method::GET, "/api/merchant-api-keys"),
        (Method::POST, "/api/merchant-api-keys"),
        (Method::POST, "/api/merchant-api-keys/{key_id}/revoke"),
        (Method::GET, "/api/v1/payments/session-details"),
        (Method::GET, "/api/v1/payments/available-tokens"),
        (Method::POST, "/api/v1/payments/payment-addresses"),
        (Method::GET, "/api/v1/payments/payment-status"),
        (Method::GET, "/api/v1/payments/stream-token"),
        (Method::GET, "/pay"),
        (Method::POST, "/pay"),
        (Method::GET, "/ws/payment"),
        (Method::GET, "/ws/merchant/events"),
        (Method::GET, "/api/commerce/search"),
        (Method::GET, "/nothing"),
    ];
    let mut operations: Vec<_> = known.map(|(method, path)| (method, path.to_owned())).into();
    let description = client.get(format!("{url}/openapi.json")).send().await.unwrap();
    if description.status().is_success() {
        let description: Value = description.json().await.unwrap();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else { continue };
                let operation = (method, path.clone());
                if !operations.contains(&operation) {
                    operations.push(operation);
                }
            }
        }
    }
    operations
}

/// Sends text on a socket, reads what comes until nothing does, and returns it.
async fn talk(url: &str, frames: &[String]) -> String {
    let Ok((mut socket, _)) = connect_async(url).await else { return String::new() };
    for frame in frames {
        // The server may have hung up on an earlier one.
        let _hung_up = socket.send(Message::text(frame.clone())).await;
    }
    let mut heard = String::new();
    let quiet = std::time::Duration::from_millis(500);
    while let Ok(Some(Ok(message))) = tokio::time::timeout(quiet, socket.next()).await {
        if let Message::Text(text) = message {
            heard.push_str(&text);
        }
    }
    heard
}

fn with_path(path: &str, value: &str) -> String {
    let mut out = String::new();
    for (index, part) in path.split(['{', '}']).enumerate() {
        out.push_str(if index % 2 == 0 { part } else { value });
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_reaches_the_log_or_those_it_is_not_meant_for() {
    let mut canaries = Canaries::default();
    let config = CONFIG.replace("{rpc}", &canaries.plant("RPC path", Reader::Nobody));
    let mut server = ServerProcess::prepare(&config);
    server.set_variable("PEPAY__LOG__FILTER", "trace");
    let secret = std::fs::read_to_string(server.path("pepay.secret")).unwrap();
    canaries.keep("server secret", secret.trim(), Reader::Nobody);
    server.start().await.unwrap();

    let text = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
    let email = format!("{}@shop.example", canaries.plant("merchant e-mail", Reader::Nobody));
    let merchant: Value = server.ask(&["merchant", "create", "--name", "Shop", "--email", &email, "--wallet", WALLET]);
    canaries.keep("recovery code", &text(&merchant, "recovery_code"), Reader::Nobody);
    let location = format!("http://127.0.0.1:9/{}", canaries.plant("redirect", Reader::Nobody));
    let answer = canaries.plant("webhook answer", Reader::Nobody);
    let (receiver, receiver_url, _receiving) = Receiver::start(location, answer).await;
    let hook = format!(
        "{receiver_url}/{}?token={}",
        canaries.plant("webhook path", Reader::Nobody),
        canaries.plant("webhook query", Reader::Nobody)
    );
    let webhook: Value = server.ask(&["merchant", "set-webhook", "1", &hook]);
    canaries.keep("webhook secret", &text(&webhook, "secret"), Reader::Nobody);
    let key: Value = server.ask(&["key", "create", "--merchant", "1"]);
    let key = text(&key, "api_key");
    canaries.keep("API key", &key, Reader::Nobody);
    let revoked: Value = server.ask(&["key", "create", "--merchant", "1"]);
    server.run_good(&["key", "revoke", &text(&revoked, "key_id")]);
    let revoked = text(&revoked, "api_key");
    canaries.keep("revoked API key", &revoked, Reader::Nobody);
    let dashboard: Value = server.ask(&["merchant", "token", "1"]);
    let dashboard = text(&dashboard, "token");
    canaries.keep("dashboard token", &dashboard, Reader::Nobody);

    let client = demo::http_client().unwrap();
    let operations = operations(&client, &server.url).await;
    let mut errors = String::new();

    // An invoice with something of its own in every field.
    let question = canaries.plant("question", Reader::Nobody);
    let customer = canaries.plant("customer id", Reader::Merchant);
    let body = json!({
        "amount_usd": 20,
        "description": canaries.plant("description", Reader::Both),
        "customer_id": customer,
        "customer_email": format!("{}@shop.example", canaries.plant("customer e-mail", Reader::Nobody)),
        "metadata": { "order": canaries.plant("metadata", Reader::Merchant) },
        "invoice_title": canaries.plant("title", Reader::Both),
        "invoice_footer": canaries.plant("footer", Reader::Both),
        "payment_return_url": format!("https://shop.example/{}", canaries.plant("return URL", Reader::Nobody)),
        "questions": { "questions": [{ "id": "q1", "question": question, "type": "email" }] },
    });
    let name = uuid::Uuid::new_v4().to_string();
    canaries.keep("idempotency key", &name, Reader::Merchant);
    let agent = canaries.plant("user agent", Reader::Nobody);
    let create = async |credential: (&str, &str)| {
        let call = client.post(format!("{}/api/v1/invoices", server.url)).header(credential.0, credential.1);
        let call = call.header("idempotency-key", &name).header("user-agent", &agent);
        call.json(&body).send().await.unwrap()
    };
    let created = create(("x-api-key", &key)).await;
    assert_eq!(created.status(), 200);
    let created: Value = created.json().await.unwrap();
    for credential in ["session_token", "signature"] {
        canaries.keep(credential, created[credential].as_str().unwrap(), Reader::Nobody);
    }
    let (session, signature) = (text(&created, "session_token"), text(&created, "signature"));
    let session_headers = [("x-session-token", session.as_str()), ("x-signature", signature.as_str())];
    let payor = async |method: Method, path: &str, body: Option<Value>| {
        let mut call = client.request(method, format!("{}{path}", server.url));
        for (name, value) in session_headers {
            call = call.header(name, value);
        }
        if let Some(body) = body {
            call = call.json(&body);
        }
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let choice = json!({ "network": "ethereum", "tokenId": 1 });
    let (status, chosen) = payor(Method::POST, "/api/v1/payments/payment-addresses", Some(choice)).await;
    assert_eq!(status, 200, "{chosen}");
    let (status, stream) = payor(Method::GET, "/api/v1/payments/stream-token", None).await;
    assert_eq!(status, 200, "{stream}");
    let stream_token = text(&stream, "token");
    canaries.keep("stream token", &stream_token, Reader::Nobody);
    let page = client.get(text(&created, "payment_url")).send().await.unwrap();
    assert!([200, 503].contains(&page.status().as_u16()), "drawn, or not built into this binary: {}", page.status());

    // Good and bad requests of everything there is, as everybody who could call.
    let callers = [
        ("x-api-key".to_owned(), key.clone()),
        ("x-api-key".to_owned(), revoked),
        ("x-api-key".to_owned(), canaries.plant("unknown key", Reader::Nobody)),
        ("x-commerce-api-key".to_owned(), canaries.plant("unknown commerce key", Reader::Nobody)),
        ("authorization".to_owned(), format!("Bearer {dashboard}")),
        ("authorization".to_owned(), format!("Bearer {}", canaries.plant("unknown bearer", Reader::Nobody))),
        ("authorization".to_owned(), format!("Basic {}", canaries.plant("basic credentials", Reader::Nobody))),
        ("cookie".to_owned(), format!("session={}", canaries.plant("cookie", Reader::Nobody))),
        ("x-session-token".to_owned(), session.clone()),
        ("x-session-token".to_owned(), canaries.plant("unknown session", Reader::Nobody)),
    ];
    let request_id = "plain-request-id-that-is-logged";
    let mut asked = 0;
    for (method, path) in &operations {
        let values = [text(&created, "id"), canaries.plant("path", Reader::Nobody)];
        for (caller, credential) in &callers {
            for value in &values {
                let query = canaries.plant("query", Reader::Nobody);
                let address = format!(
                    "{}{}?limit={query}&{query}=1&token={query}&session={session}&signature={query}&expand={query}",
                    server.url,
                    with_path(path, value)
                );
                let word = canaries.plant("body", Reader::Nobody);
                let bodies = [
                    String::new(),
                    json!({ "name": "till", "amount_usd": word, "network": word, "tokenId": word }).to_string(),
                    format!("{{\"{word}\":"),
                ];
                for body in bodies {
                    let call = client.request(method.clone(), &address).header(caller, credential);
                    let call = call
                        .header("x-signature", &signature)
                        .header("idempotency-key", canaries.plant("broken idempotency key", Reader::Nobody))
                        .header("x-extra", canaries.plant("header", Reader::Nobody))
                        .header("referer", format!("https://shop.example/{query}"))
                        .header("x-forwarded-for", format!("{query}.example"))
                        .header("x-request-id", request_id)
                        .header("content-type", if body.len() % 2 == 0 { "application/json" } else { "text/plain" });
                    let answer = call.body(body).send().await.unwrap();
                    asked += 1;
                    let is_error = answer.status().is_client_error() || answer.status().is_server_error();
                    assert_ne!(answer.status(), 500, "{method} {path}");
                    let answer = answer.text().await.unwrap_or_default();
                    if is_error {
                        errors.push_str(&answer);
                        errors.push('\n');
                    }
                }
            }
        }
    }
    println!(
        "{} operations, {asked} requests, {} canaries",
        operations.len(),
        canaries.planted.len() + canaries.made.len()
    );

    // Sockets, and what is said on them.
    let socket_url = server.url.replace("http://", "ws://");
    let word = canaries.plant("frame", Reader::Nobody);
    let frames = [format!("{{\"type\":\"ping\",\"x\":\"{word}\"}}"), word.clone(), word.repeat(400)];
    let heard = talk(&format!("{socket_url}/ws/payment?token={stream_token}&since=evt_1-0"), &frames).await;
    assert!(heard.contains("connected"), "{heard}");
    let unknown = canaries.plant("unknown stream token", Reader::Nobody);
    for path in ["/ws/payment", "/ws/merchant/events"] {
        talk(&format!("{socket_url}{path}?token={unknown}"), &frames).await;
    }

    // Every way a webhook can fail, and then giving up.
    eventually("webhooks to fail in every way", async || (3 <= receiver.received().len()).then_some(())).await;

    let list = client.get(format!("{}/api/v1/events?limit=100", server.url)).header("x-api-key", &key);
    let events = list.send().await.unwrap().text().await.unwrap();
    let list =
        client.get(format!("{}/api/v1/api-keys", server.url)).header("authorization", format!("Bearer {dashboard}"));
    let keys = list.send().await.unwrap().text().await.unwrap();
    assert!(server.stop().await.success());
    let log = server.log();

    assert!(log.contains(" TRACE ") && log.contains(" DEBUG "), "everything is logged that can be");
    assert!(log.contains(request_id), "what may be in the log is found there");
    let is_for_merchant = |reader| reader != Reader::Nobody;
    let is_for_payor = |reader| reader == Reader::Both;
    assert!(events.contains(&customer), "what the merchant may read is found where it may");
    let nobody = |_| false;
    let nothing = BTreeSet::new();
    assert_eq!(canaries.found_in(&log, nobody), nothing, "in the log");
    assert_eq!(canaries.found_in(&heard, is_for_payor), nothing, "on the payer's socket");
    assert_eq!(canaries.found_in(&keys, nobody), nothing, "in the list of keys");
    assert_eq!(canaries.found_in(&events, is_for_merchant), nothing, "in events");
    assert_eq!(canaries.found_in(&receiver.received().join("\n"), is_for_merchant), nothing, "in webhooks");
    // An error may quote to its sender what is wrong with a query or a body, never what opens something.
    let quoted = canaries.found_in(&errors, nobody);
    assert!(quoted.is_subset(&BTreeSet::from(["query", "body"])), "in errors: {quoted:?}");
}

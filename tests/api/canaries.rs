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
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::{connect_async, tungstenite::Message};

const CONFIG: &str = r#"
environment = "devnet"

[webhooks]
allow_private_networks = ["127.0.0.0/8"]
retry_seconds = [1, 1, 1, 1, 1, 1]

# Requests that are one too many are not looked at any further.
[limits]
requests_per_minute_per_key = 0
requests_per_minute_per_session = 0
requests_per_minute_per_address = 0
failed_credentials_per_minute = 0

[operator]
metrics_listen = "127.0.0.1:0"
webhook_url = "http://127.0.0.1:9/{operator}"

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

    fn count(&self) -> usize {
        self.planted.len() + self.made.len()
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

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}

/// A server that logs all it can, and one merchant's credentials.
struct Shop {
    server: ServerProcess,
    client: Client,
    canaries: Canaries,
    key: String,
    revoked_key: String,
    dashboard_token: String,
    receiver: Receiver,
    _receiving: JoinSet<()>,
}

/// An invoice and its payer's credentials.
struct Sale {
    id: String,
    session: String,
    signature: String,
    stream_token: String,
}

/// What the log may name a request by.
const REQUEST_ID: &str = "plain-request-id-that-is-logged";

impl Shop {
    async fn open() -> Self {
        let mut canaries = Canaries::default();
        let config = CONFIG.replace("{rpc}", &canaries.plant("RPC path", Reader::Nobody));
        let config = config.replace("{operator}", &canaries.plant("operator's path", Reader::Nobody));
        let mut server = ServerProcess::prepare(&config);
        server.set_variable("PEPAY__LOG__FILTER", "trace");
        let secret = std::fs::read_to_string(server.path("pepay.secret")).unwrap();
        canaries.keep("server secret", secret.trim(), Reader::Nobody);
        server.start().await.unwrap();

        let email = format!("{}@shop.example", canaries.plant("merchant e-mail", Reader::Nobody));
        let merchant = ["merchant", "create", "--name", "Shop", "--email", &email, "--wallet", WALLET];
        let mut ask = |arguments: &[&str], secret: &str, what: &'static str| {
            let answer: Value = server.ask(arguments);
            canaries.keep(what, &text(&answer, secret), Reader::Nobody);
            (text(&answer, secret), answer)
        };
        ask(&merchant, "recovery_code", "recovery code");
        let (key, _) = ask(&["key", "create", "--merchant", "1"], "api_key", "API key");
        let (revoked_key, revoked) = ask(&["key", "create", "--merchant", "1"], "api_key", "revoked API key");
        let (dashboard_token, _) = ask(&["merchant", "token", "1"], "token", "dashboard token");
        server.run_good(&["key", "revoke", &text(&revoked, "key_id")]);

        let location = format!("http://127.0.0.1:9/{}", canaries.plant("redirect", Reader::Nobody));
        let answer = canaries.plant("webhook answer", Reader::Nobody);
        let (receiver, url, receiving) = Receiver::start(location, answer).await;
        let path = canaries.plant("webhook path", Reader::Nobody);
        let query = canaries.plant("webhook query", Reader::Nobody);
        let webhook: Value = server.ask(&["merchant", "set-webhook", "1", &format!("{url}/{path}?token={query}")]);
        canaries.keep("webhook secret", &text(&webhook, "secret"), Reader::Nobody);
        let client = demo::http_client().unwrap();
        Self { server, client, canaries, key, revoked_key, dashboard_token, receiver, _receiving: receiving }
    }

    /// Sells something with a canary in every field, up to where the payer can pay.
    async fn sell(&mut self) -> Sale {
        let canaries = &mut self.canaries;
        let name = uuid::Uuid::new_v4().to_string();
        canaries.keep("idempotency key", &name, Reader::Merchant);
        let question = canaries.plant("question", Reader::Nobody);
        let body = json!({
            "amount_usd": 20,
            "description": canaries.plant("description", Reader::Both),
            "customer_id": canaries.plant("customer id", Reader::Merchant),
            "customer_email": format!("{}@shop.example", canaries.plant("customer e-mail", Reader::Merchant)),
            "metadata": { "order": canaries.plant("metadata", Reader::Merchant) },
            "invoice_title": canaries.plant("title", Reader::Both),
            "invoice_footer": canaries.plant("footer", Reader::Both),
            "payment_return_url": format!("https://shop.example/{}", canaries.plant("return URL", Reader::Nobody)),
            "questions": { "questions": [{ "id": "q1", "question": question, "type": "email" }] },
        });
        let call = self.client.post(format!("{}/api/v1/invoices", self.server.url)).header("x-api-key", &self.key);
        let call = call.header("idempotency-key", name);
        let call = call.header("user-agent", canaries.plant("user agent", Reader::Nobody)).json(&body);
        let created: Value = call.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        let (session, signature) = (text(&created, "session_token"), text(&created, "signature"));
        canaries.keep("session token", &session, Reader::Nobody);
        canaries.keep("signature", &signature, Reader::Nobody);

        let payor = |method: Method, path: &str| {
            let call = self.client.request(method, format!("{}/api/v1/payments/{path}", self.server.url));
            call.header("x-session-token", &session).header("x-signature", &signature)
        };
        let choice = payor(Method::POST, "payment-addresses").json(&json!({ "network": "ethereum", "tokenId": 1 }));
        assert_eq!(choice.send().await.unwrap().status(), 200);
        let stream = payor(Method::GET, "stream-token").send().await.unwrap();
        let stream_token = text(&stream.json().await.unwrap(), "token");
        canaries.keep("stream token", &stream_token, Reader::Nobody);
        let page = self.client.get(text(&created, "payment_url")).send().await.unwrap().status().as_u16();
        assert!([200, 503].contains(&page), "drawn, or not built into this binary: {page}");
        Sale { id: text(&created, "id"), session, signature, stream_token }
    }

    /// Everybody who could call, by a header.
    fn callers(&mut self, sale: &Sale) -> Vec<(&'static str, String)> {
        let mut unknown = |what| self.canaries.plant(what, Reader::Nobody);
        vec![
            ("x-api-key", self.key.clone()),
            ("x-api-key", self.revoked_key.clone()),
            ("x-api-key", unknown("unknown key")),
            ("x-commerce-api-key", unknown("unknown commerce key")),
            ("authorization", format!("Bearer {}", self.dashboard_token)),
            ("authorization", format!("Bearer {}", unknown("unknown bearer"))),
            ("authorization", format!("Basic {}", unknown("basic credentials"))),
            ("cookie", format!("session={}", unknown("cookie"))),
            ("x-session-token", sale.session.clone()),
            ("x-session-token", unknown("unknown session")),
        ]
    }

    /// Asks everything there is, well and badly, as everybody; returns all errors.
    async fn ask_everything(&mut self, sale: &Sale) -> String {
        let (mut errors, mut asked) = (String::new(), 0);
        let callers = self.callers(sale);
        let operations = operations(&self.client, &self.server.url).await;
        for (method, path) in &operations {
            for (caller, credential) in &callers {
                for value in [sale.id.clone(), self.canaries.plant("path", Reader::Nobody)] {
                    let path = with_path(path, &value);
                    let word = self.canaries.plant("body", Reader::Nobody);
                    for body in [
                        String::new(),
                        json!({ "name": "till", "amount_usd": word, "network": word, "tokenId": word }).to_string(),
                        format!("{{\"{word}\":"),
                    ] {
                        let call = self.request(method, &path, sale).header(*caller, credential).body(body);
                        let answer = call.send().await.unwrap();
                        let status = answer.status();
                        assert!(status != 500 && status != 429, "{method} {path}: {status}");
                        asked += 1;
                        if status.is_client_error() || status.is_server_error() {
                            errors.push_str(&answer.text().await.unwrap());
                            errors.push('\n');
                        }
                    }
                }
            }
        }
        println!("{} operations, {asked} requests, {} canaries", operations.len(), self.canaries.count());
        errors
    }

    fn request(&mut self, method: &Method, path: &str, sale: &Sale) -> RequestBuilder {
        let mut plant = |what| self.canaries.plant(what, Reader::Nobody);
        let (query, session) = (plant("query"), &sale.session);
        let query_string =
            format!("limit={query}&{query}=1&token={query}&session={session}&signature={query}&expand={query}");
        // Half of the bodies come as what they are not.
        let content_type =
            if query.ends_with(|c: char| c.is_ascii_digit()) { "text/plain" } else { "application/json" };
        self.client
            .request(method.clone(), format!("{}{path}?{query_string}", self.server.url))
            .header("x-signature", &sale.signature)
            .header("x-request-id", REQUEST_ID)
            .header("idempotency-key", plant("broken idempotency key"))
            .header("x-extra", plant("header"))
            .header("referer", format!("https://shop.example/{}", plant("referer")))
            .header("x-forwarded-for", plant("forwarded address"))
            .header("content-type", content_type)
    }

    /// Talks on sockets; returns what the payer heard.
    async fn talk_on_sockets(&mut self, sale: &Sale) -> String {
        let url = self.server.url.replace("http://", "ws://");
        let word = self.canaries.plant("frame", Reader::Nobody);
        let frames = [format!("{{\"type\":\"ping\",\"x\":\"{word}\"}}"), word.clone(), word.repeat(400)];
        let heard = talk(&format!("{url}/ws/payment?token={}&since=evt_1-0", sale.stream_token), &frames).await;
        let unknown = self.canaries.plant("unknown stream token", Reader::Nobody);
        for path in ["/ws/payment", "/ws/merchant/events"] {
            talk(&format!("{url}{path}?token={unknown}"), &frames).await;
        }
        heard
    }

    async fn get(&self, path: &str) -> String {
        let call = self.client.get(format!("{}{path}", self.server.url));
        let call = call.header("authorization", format!("Bearer {}", self.dashboard_token));
        call.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_reaches_the_log_or_those_it_is_not_meant_for() {
    let mut shop = Shop::open().await;
    let sale = shop.sell().await;
    let errors = shop.ask_everything(&sale).await;
    let heard = shop.talk_on_sockets(&sale).await;
    let receiver = shop.receiver.clone();
    eventually("webhooks to fail in every way", async || (3 <= receiver.received().len()).then_some(())).await;
    let (events, keys) = (shop.get("/api/v1/events?limit=100").await, shop.get("/api/v1/api-keys").await);
    let figures = shop.client.get(shop.server.metrics_url().await).send().await.unwrap().text().await.unwrap();
    assert!(shop.server.stop().await.success());
    let (log, canaries) = (shop.server.log(), &shop.canaries);

    // What is meant for somebody is found there, so that finding nothing means something.
    assert!(log.contains(" TRACE ") && log.contains(" DEBUG ") && log.contains(REQUEST_ID));
    let found = canaries.found_in(&events, |_| false);
    let for_merchants =
        ["customer e-mail", "customer id", "description", "footer", "idempotency key", "metadata", "title"];
    assert_eq!(found, BTreeSet::from(for_merchants), "in events");
    assert_eq!(canaries.found_in(&receiver.received()[0], |_| false), found, "in webhooks");
    assert!(heard.contains("connected"), "{heard}");

    let nothing = BTreeSet::new();
    assert_eq!(canaries.found_in(&log, |_| false), nothing, "in the log");
    assert_eq!(canaries.found_in(&keys, |_| false), nothing, "in the list of keys");
    assert!(figures.contains("pepay_database_up 1"), "{figures}");
    assert_eq!(canaries.found_in(&figures, |_| false), nothing, "in figures");
    assert_eq!(canaries.found_in(&heard, |reader| reader == Reader::Both), nothing, "on the payer's socket");
    assert_eq!(canaries.found_in(&events, |reader| reader != Reader::Nobody), nothing, "in events");
    let webhooks = receiver.received().join("\n");
    assert_eq!(canaries.found_in(&webhooks, |reader| reader != Reader::Nobody), nothing, "in webhooks");
    // An error may quote to its sender what is wrong with a query or a body, never what opens something.
    let quoted = canaries.found_in(&errors, |_| false);
    assert!(quoted.is_subset(&BTreeSet::from(["query", "body"])), "in errors: {quoted:?}");
}

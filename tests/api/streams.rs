//! Streams over real sockets: nothing is missed and nothing repeated, however often a client is cut off.
//!
//! `PEPAY_SOCKETS` and `PEPAY_SOCKET_EVENTS` ask for more than the everyday counts, `PEPAY_SEED` for other drops.

use std::env;

use e2e::{ApiClient, Database, PATIENCE, ServerProcess, TestApp, WALLET, eventually};
use futures_util::{StreamExt, future::join_all, stream};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use wire::event::{EventList, Wrapped};

const ROOM: [(&str, &str); 2] =
    [("PEPAY__LIMITS__SOCKETS_PER_MERCHANT", "100000"), ("PEPAY__LIMITS__CONNECTIONS", "100000")];
const SOCKETS_OF_A_MERCHANT: usize = 50;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn count(variable: &str, otherwise: usize) -> usize {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

async fn follow(url: &str, key: &str, since: Option<&str>) -> Socket {
    let query = since.map(|since| format!("?since={since}")).unwrap_or_default();
    let url = format!("{}/ws/merchant/events{query}", url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", key.parse().unwrap());
    timeout(PATIENCE, connect_async(request)).await.unwrap().unwrap().0
}

async fn next(socket: &mut Socket) -> Value {
    loop {
        match timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A small generator of numbers that repeat with the seed (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Follows until it has `wanted` events, cut off again and again; returns their numbers and how often it was.
async fn follow_and_drop(url: &str, key: &str, wanted: usize, mut random: SplitMix) -> (Vec<i64>, usize) {
    let (mut heard, mut last, mut drops) = (Vec::new(), "evt_0-0".to_owned(), 0);
    loop {
        let mut socket = follow(url, key, Some(&last)).await;
        let frames_until_drop = random.below(12);
        for _ in 0..frames_until_drop {
            let frame = next(&mut socket).await;
            if frame["object"] == "event" {
                frame["id"].as_str().unwrap().clone_into(&mut last);
                heard.push(last.rsplit('-').next().unwrap().parse().unwrap());
            }
            if wanted <= heard.len() {
                return (heard, drops);
            }
        }
        // The connection is gone without a word, with whatever was under way to it.
        drop(socket);
        drops += 1;
    }
}

/// One that is told nothing but by its streams.
fn create_merchant(server: &ServerProcess) -> ApiClient {
    let create = ["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", WALLET];
    let created: Value = server.ask(&create);
    let key: Value = server.ask(&["key", "create", "--merchant", &created["merchant_id"].to_string()]);
    ApiClient::new(&server.url, key["api_key"].as_str().unwrap())
}

async fn clients_that_are_cut_off_miss_nothing_and_hear_nothing_twice(database: Database) {
    let sockets = count("PEPAY_SOCKETS", 1_000);
    let events = count("PEPAY_SOCKET_EVENTS", 20);
    let seed = env::var("PEPAY_SEED").map_or(7, |text| text.parse().unwrap());
    // In a process of its own, so that neither end runs out of files.
    let mut server = ServerProcess::prepare_on(database, "environment = \"devnet\"\n[log]\nfilter = \"warn\"\n");
    for (name, value) in ROOM {
        server.set_variable(name, value);
    }
    server.start().await.unwrap();
    let merchants: Vec<ApiClient> =
        (0..sockets.div_ceil(SOCKETS_OF_A_MERCHANT)).map(|_| create_merchant(&server)).collect();

    let writing = async {
        for _ in 0..events {
            let creating = merchants.iter().map(|merchant| merchant.create_invoice("20"));
            stream::iter(creating).buffer_unordered(16).count().await;
        }
    };
    let following = join_all((0..sockets).map(|socket| {
        let random = SplitMix(seed + socket as u64 * 1_000_003);
        follow_and_drop(&server.url, &merchants[socket / SOCKETS_OF_A_MERCHANT].api_key, events, random)
    }));
    let ((), followed) = tokio::join!(writing, following);

    let mut drops = 0;
    for (merchant, followed) in merchants.iter().zip(followed.chunks(SOCKETS_OF_A_MERCHANT)) {
        let log: Wrapped<EventList> = merchant.get("/api/v1/events?limit=100").await.good();
        let ids = log.data.data.iter().rev().map(|event| event.id.rsplit('-').next().unwrap());
        let log: Vec<i64> = ids.map(|id| id.parse().unwrap()).collect();
        assert_eq!(log.len(), events);
        for (heard, dropped) in followed {
            assert_eq!(*heard, log, "seed {seed}");
            drops += dropped;
        }
    }
    let resident = server.resident_bytes() / 1024;
    println!(
        "figure: {sockets} sockets were cut off {drops} times and each heard its {events} events once, in order; the \
         server takes {resident} kB"
    );
    assert!(sockets <= drops, "each was cut off about once or more");
}

mod sqlite {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn clients_that_are_cut_off_miss_nothing_and_hear_nothing_twice() {
        super::clients_that_are_cut_off_miss_nothing_and_hear_nothing_twice(e2e::Database::Sqlite).await;
    }
}

mod postgres {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn clients_that_are_cut_off_miss_nothing_and_hear_nothing_twice() {
        super::clients_that_are_cut_off_miss_nothing_and_hear_nothing_twice(e2e::Database::Postgres).await;
    }
}

/// Ten thousand of them may take 100 MB, the server included (`PEPAY_IDLE_SOCKETS`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_sockets_take_little_memory() {
    let sockets = count("PEPAY_IDLE_SOCKETS", 500);
    let mut server = ServerProcess::prepare("environment = \"devnet\"\n");
    for (name, value) in ROOM {
        server.set_variable(name, value);
    }
    server.start().await.unwrap();
    let (api, _) = server.create_merchant("https://shop.example/hook");
    let before = server.resident_bytes();
    let mut open: Vec<Socket> =
        stream::iter(0..sockets).map(|_| follow(&server.url, &api.api_key, None)).buffer_unordered(64).collect().await;
    for socket in &mut open {
        assert_eq!(next(socket).await["type"], "connected");
    }
    let after = server.resident_bytes();
    let each = after.saturating_sub(before) / sockets as u64;
    println!(
        "figure: {sockets} idle sockets: {} kB before, {} kB with them, {each} bytes each",
        before / 1024,
        after / 1024
    );
    // A debug build's tasks are larger; the limit is of 10,000 in 100 MB together with the server.
    assert!(each < 32 * 1024, "{each} bytes for each socket");

    // All of them are alive.
    api.create_invoice("20").await;
    for socket in &mut open {
        assert_eq!(next(socket).await["type"], "invoice.created");
    }
}

/// The duty itself, on a running server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_go_when_their_time_is_over() {
    let mut app = TestApp::start().await;
    let merchant = app.create_merchant().await;
    for _ in 0..3 {
        merchant.api.create_invoice("20").await;
    }
    // That the invoices end is told by later ones.
    let first_events = async |app: &TestApp| {
        let mut reader = app.app().store.reader().await.unwrap();
        let part = reader.tx().events_after(merchant.id, &pepay::store::EventFilter::default(), 0, 10).await.unwrap();
        part.events.iter().filter(|event| event.id.sequence <= 3).count()
    };
    eventually("the events to be numbered", async || (first_events(&app).await == 3).then_some(())).await;
    app.clock.advance_seconds(31 * 86_400);
    // It tidies when it starts.
    app.restart().await;
    eventually("the events to be gone", async || (first_events(&app).await == 0).then_some(())).await;
}

//! Two real servers on one PostgreSQL and one chain: either serves anybody, and either may die or fall asleep.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use alloy_primitives::U256;
use e2e::{
    ApiClient, CLAIM_PATIENCE, Database, ServerProcess, TestChain, USDC, WebhookSink, eventually, eventually_within,
};
use futures_util::{StreamExt, future::join_all, stream};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Executor, Row};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use uuid::Uuid;
use wire::invoice::{CreatedInvoice, InvoiceStatus};

const LEASE: Duration = Duration::from_millis(1500);
/// How much later than the lease's end the other node may be at work, on a machine that does much else.
const TAKEOVER_TAKES: Duration = Duration::from_secs(5);
/// A revoked key's streams have ended by then, on every node.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
/// Unless `PEPAY_PAUSES` says otherwise.
const PAUSES: usize = 4;

struct Pair {
    test: TestChain,
    sink: WebhookSink,
    first: ServerProcess,
    second: ServerProcess,
    /// The same merchant's client of each.
    apis: [ApiClient; 2],
    webhook_secret: String,
}

impl Pair {
    /// Two nodes that run; the first one came first and does all that only one may do.
    async fn start() -> Self {
        let test = TestChain::start().await;
        let network = test.network();
        Self::start_on(test, &network).await
    }

    /// The same, on a chain that is described so.
    async fn start_on(test: TestChain, network: &str) -> Self {
        let sink = WebhookSink::start().await;
        let head = format!(
            "environment = \"devnet\"\n[nodes]\nlease_ms = {}\n[merchants]\n\
             rpc_allow_private_networks = [\"127.0.0.0/8\"]\n[webhooks]\n\
             allow_private_networks = [\"127.0.0.0/8\"]\nretry_seconds = [1, 1, 1, 1, 1, 1, 1, 1]\n",
            LEASE.as_millis()
        );
        let config = [head.as_str(), network, &test.token()].concat();
        let mut first = ServerProcess::prepare_on(Database::Postgres, &config);
        let (api, webhook_secret) = first.create_merchant(&sink.url);
        let mut second = first.beside();
        // Nodes that can be told apart from inside the database.
        let url = first.database_url();
        for (server, name) in [(&mut first, "first"), (&mut second, "second")] {
            server.set_variable("PEPAY__STORAGE__DATABASE_URL", &format!("{url}&application_name={name}"));
            server.start().await.unwrap();
        }
        let apis = [api.clone(), ApiClient::new(&second.url, &api.api_key)];
        Self { test, sink, first, second, apis, webhook_secret }
    }

    async fn database(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.first.database_url()).await.unwrap()
    }

    /// An invoice over so many dollars that is paid through one node and seen paid through the other.
    async fn is_paid(&self, creates: usize, dollars: u64) -> CreatedInvoice {
        let (here, there) = (&self.apis[creates], &self.apis[1 - creates]);
        let invoice = here.create_invoice(&dollars.to_string()).await;
        let address = there.payment_address(&invoice, "ethereum", USDC).await;
        self.test.pay(&address, U256::from(dollars * 1_000_000)).await;
        self.test.chain.mine(1).await.unwrap();
        invoice
    }

    async fn wait_until_paid(&self, api: usize, invoice: &CreatedInvoice) {
        eventually("the invoice to be paid", async || {
            (self.apis[api].invoice(&invoice.invoice_id).await.status == InvoiceStatus::Paid).then_some(())
        })
        .await;
    }

    /// The log is whole, every event of it arrived, and either node shows the same.
    async fn check_log(&self, apis: &[usize]) {
        let mut database = self.database().await;
        eventually_within(CLAIM_PATIENCE, "all events to be numbered and told", async || {
            let open = "SELECT (SELECT COUNT(*) FROM events WHERE sequence IS NULL)
                + (SELECT COUNT(*) FROM deliveries WHERE due_ms IS NOT NULL)";
            (number(&mut database, open).await == 0).then_some(())
        })
        .await;
        let count = number(&mut database, "SELECT COUNT(*) FROM events").await;
        let last = number(&mut database, "SELECT MAX(sequence) FROM events").await;
        assert_eq!((count, last), (count, count), "the log has no gap");
        let mut heard = BTreeMap::new();
        for webhook in self.sink.received() {
            assert!(webhook.is_signed_with(&self.webhook_secret));
            if let Some(known) = heard.insert(sequence(&webhook.event.id), webhook.event.clone()) {
                assert_eq!(known, webhook.event, "a repeated event says the same");
            }
        }
        assert_eq!(heard.into_keys().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        for api in apis {
            assert_eq!(self.events(*api).await, (1..=count).rev().collect::<Vec<_>>());
        }
    }

    /// The number of the last event, once all have one.
    async fn last_number(&self) -> i64 {
        let mut database = self.database().await;
        eventually("all events to be numbered", async || {
            let waiting = number(&mut database, "SELECT COUNT(*) FROM events WHERE sequence IS NULL").await;
            (waiting == 0).then_some(())
        })
        .await;
        number(&mut database, "SELECT MAX(sequence) FROM events").await
    }

    /// Another key of the merchant: its client of each node, and its id.
    fn add_key(&self, rights: &[&str]) -> ([ApiClient; 2], String) {
        let rights = rights.iter().flat_map(|right| ["--right", *right]);
        let arguments: Vec<_> = ["key", "create", "--merchant", "1"].into_iter().chain(rights).collect();
        let key: Value = self.first.ask(&arguments);
        let [api_key, id] = ["api_key", "key_id"].map(|name| key[name].as_str().unwrap().to_owned());
        ([&self.first, &self.second].map(|server| ApiClient::new(&server.url, &api_key)), id)
    }

    /// The numbers of all events as a node lists them.
    async fn events(&self, api: usize) -> Vec<i64> {
        let mut numbers = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.apis[api].get(&format!("/api/v1/events?limit=100{after}")).await.body["data"].take();
            let ids: Vec<_> =
                page["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
            numbers.extend(ids.iter().map(|id| sequence(id)));
            if page["has_more"] != json!(true) {
                return numbers;
            }
            after = format!("&starting_after={}", ids.last().unwrap());
        }
    }
}

fn sequence(event_id: &str) -> i64 {
    event_id.rsplit('-').next().unwrap().parse().unwrap()
}

async fn number(database: &mut AnyConnection, query: &'static str) -> i64 {
    database.fetch_one(query).await.unwrap().get(0)
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Follows an invoice on a node from its first event.
async fn follow(api: &ApiClient, invoice: &CreatedInvoice) -> Socket {
    let connection: Value = api.payor_get(invoice, "stream-token").await.good();
    let address = api.url.trim_start_matches("http://");
    let token = connection["token"].as_str().unwrap();
    let mut socket = connect_async(format!("ws://{address}/ws/payment?token={token}&since=evt_0-0")).await.unwrap().0;
    next(&mut socket, |frame| frame["type"] == "replay.completed").await;
    socket
}

/// Follows everything that happens to a merchant on a node, from now on.
async fn follow_merchant(api: &ApiClient) -> Socket {
    let url = format!("{}/ws/merchant/events", api.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", api.api_key.parse().unwrap());
    let mut socket = connect_async(request).await.unwrap().0;
    next(&mut socket, |frame| frame["type"] == "connected").await;
    socket
}

/// A way to a node of a chain that can be cut.
struct Line {
    address: std::net::SocketAddr,
    tasks: JoinSet<()>,
}

impl Line {
    async fn lay(to: &str) -> Self {
        let to = to.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                let to = to.clone();
                connections.spawn(async move {
                    let Ok(mut there) = TcpStream::connect(to).await else { return };
                    // A connection that breaks is for those at its ends to notice.
                    let _broke = copy_bidirectional(&mut here, &mut there).await;
                });
            }
        });
        Self { address, tasks }
    }

    async fn cut(mut self) {
        self.tasks.shutdown().await;
        assert!(TcpStream::connect(self.address).await.is_err());
    }
}

/// The next frame that is looked for; returns it and all before it.
async fn next(socket: &mut Socket, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut frames = Vec::new();
    let waiting = async {
        loop {
            let message = socket.next().await.expect("the stream goes on").unwrap();
            if !message.is_text() {
                continue;
            }
            frames.push(serde_json::from_str(message.to_text().unwrap()).unwrap());
            if frames.last().is_some_and(&is_wanted) {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(e2e::PATIENCE, waiting).await;
    assert!(in_time.is_ok(), "waited in vain after {frames:?}");
    frames
}

fn is_paid(frame: &Value) -> bool {
    frame["type"] == "invoice.updated" && frame["data"]["object"]["status"] == "paid"
}

/// The ids of events of the log among frames.
fn log_ids(frames: &[Value]) -> Vec<String> {
    let is_logged = |frame: &&Value| frame["object"] == "event" && frame["type"] != "payment_quote.updated";
    frames.iter().filter(is_logged).map(|frame| frame["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_node_serves_the_same_streams_and_the_same_log_in_order() {
    let pair = Pair::start().await;
    let invoice = pair.apis[1].create_invoice("20").await;
    let mut sockets = [follow(&pair.apis[0], &invoice).await, follow(&pair.apis[1], &invoice).await];
    let began = Instant::now();
    // Chosen on the one, told on both.
    let address = pair.apis[0].payment_address(&invoice, "ethereum", USDC).await;
    for socket in &mut sockets {
        next(socket, |frame| frame["type"] == "payment_quote.updated").await;
    }
    println!("a quote is told on both nodes within {:?}", began.elapsed());
    pair.test.pay(&address, U256::from(8_000_000)).await;
    pair.test.pay(&address, U256::from(12_000_000)).await;
    pair.test.chain.mine(1).await.unwrap();
    let mut ids = Vec::new();
    for socket in &mut sockets {
        ids.push(log_ids(&next(socket, is_paid).await));
    }
    assert_eq!(ids[0], ids[1]);
    let numbers: Vec<_> = ids[0].iter().map(|id| sequence(id)).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");

    // Depth alone is no event; a page hears of it all the same, wherever it is connected.
    for _ in 0..2 {
        pair.test.chain.mine(1).await.unwrap();
        let began = Instant::now();
        for socket in &mut sockets {
            next(socket, |frame| frame["type"] == "snapshot.changed").await;
        }
        println!("a confirmation is told on both nodes within {:?}", began.elapsed());
    }
    pair.check_log(&[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_equal_requests_over_two_nodes_make_one_invoice() {
    let pair = Pair::start().await;
    for round in 1..=3 {
        let key = Uuid::new_v4();
        let request = json!({ "amount_usd": 24.9, "metadata": { "order": round } });
        let requests = (0..100).map(|number| pair.apis[number % 2].try_create_invoice(key, &request));
        let answers = join_all(requests).await.into_iter().map(|answer| answer.unwrap().good::<Value>());
        // The two nodes have an address of their own each, which their links begin with.
        let bodies: BTreeSet<String> = answers
            .map(|mut body| {
                let link = body["payment_url"].as_str().unwrap();
                let link = link.split_once("/pay").unwrap().1.to_owned();
                body["payment_url"] = json!(link);
                body.to_string()
            })
            .collect();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        let mut database = pair.database().await;
        assert_eq!(number(&mut database, "SELECT COUNT(*) FROM invoices").await, round);
        let other = json!({ "amount_usd": 25 });
        for api in &pair.apis {
            assert_eq!(api.try_create_invoice(key, &other).await.unwrap().status, 409);
        }
    }
    pair.check_log(&[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_node_that_does_the_work_is_killed_the_other_one_takes_over() {
    let mut pair = Pair::start().await;
    let before = pair.is_paid(0, 20).await;
    pair.wait_until_paid(1, &before).await;
    let open = pair.apis[0].create_invoice("20").await;
    let address = pair.apis[1].payment_address(&open, "ethereum", USDC).await;
    let mut socket = follow(&pair.apis[1], &open).await;

    pair.first.kill_9();
    let killed = Instant::now();
    pair.test.pay(&address, U256::from(20_000_000)).await;
    pair.test.chain.mine(1).await.unwrap();
    let meanwhile = pair.apis[1].create_invoice("3").await;
    let told = next(&mut socket, is_paid).await;
    let took = killed.elapsed();
    println!("figure: the other node was at work {took:?} after the kill, with a lease of {LEASE:?}");
    assert!(took < LEASE + TAKEOVER_TAKES, "{took:?}");
    assert_eq!(log_ids(&told).len(), BTreeSet::from_iter(log_ids(&told)).len(), "{told:?}");
    pair.check_log(&[1]).await;

    // The dead one comes back and finds what it missed, and the living one keeps what it took.
    pair.first.start().await.unwrap();
    assert_eq!(pair.apis[0].invoice(&open.invoice_id).await.status, InvoiceStatus::Paid);
    assert_eq!(pair.apis[0].invoice(&meanwhile.invoice_id).await.status, InvoiceStatus::Unpaid);
    let after = pair.is_paid(0, 7).await;
    pair.wait_until_paid(0, &after).await;
    pair.check_log(&[0, 1]).await;
    let mut database = pair.database().await;
    let holders = database.fetch_all("SELECT DISTINCT holder FROM leases").await.unwrap();
    let holders: Vec<String> = holders.iter().map(|row| row.get(0)).collect();
    assert_eq!(holders, [pair.second.node()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_shut_down_hands_over_at_once() {
    let mut pair = Pair::start().await;
    let open = pair.apis[0].create_invoice("20").await;
    let address = pair.apis[1].payment_address(&open, "ethereum", USDC).await;
    let mut socket = follow(&pair.apis[1], &open).await;
    pair.test.pay(&address, U256::from(20_000_000)).await;
    let began = Instant::now();
    assert!(pair.first.stop().await.success());
    pair.test.chain.mine(1).await.unwrap();
    next(&mut socket, is_paid).await;
    println!("the other node was at work {:?} after the shutdown began", began.elapsed());
    pair.check_log(&[1]).await;
    let mut database = pair.database().await;
    let nodes = database.fetch_all("SELECT node_id FROM nodes").await.unwrap();
    let nodes: Vec<String> = nodes.iter().map(|row| row.get(0)).collect();
    assert_eq!(nodes, [pair.second.node()]);
}

/// Notes of every write that only a holder may make who made it, and who held the lease: its row is locked until the
/// write is committed, so that this is who held it then.
const AUDIT: &str = "
    CREATE TABLE audit (what TEXT, writer TEXT, holder TEXT, term BIGINT);
    CREATE FUNCTION audit() RETURNS trigger AS $$ BEGIN
        INSERT INTO audit SELECT TG_ARGV[0], current_setting('application_name'), holder, term FROM leases
            WHERE name = TG_ARGV[0];
        RETURN NEW;
    END $$ LANGUAGE plpgsql;
    CREATE TRIGGER audit_watch BEFORE INSERT OR UPDATE ON cursors
        FOR EACH ROW EXECUTE FUNCTION audit('watch:ethereum');
    CREATE TRIGGER audit_sequencer BEFORE UPDATE OF sequence ON events
        FOR EACH ROW EXECUTE FUNCTION audit('sequencer');
    CREATE TRIGGER audit_expiry BEFORE UPDATE OF status ON invoices
        FOR EACH ROW WHEN (NEW.status = 'expired') EXECUTE FUNCTION audit('expiry');
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_asleep_writes_nothing_under_the_lease_it_lost() {
    let pauses = std::env::var("PEPAY_PAUSES").map_or(PAUSES, |pauses| pauses.parse().unwrap());
    let pair = Pair::start().await;
    let mut database = pair.database().await;
    database.execute(AUDIT).await.unwrap();
    for pause in 0..pauses {
        // The same node has all leases, or they are on their way to it.
        let holder = eventually("one node to hold everything", async || {
            let rows = database.fetch_all("SELECT DISTINCT holder FROM leases").await.unwrap();
            let holders: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
            if let [Some(holder)] = holders.as_slice() { Some(holder.clone()) } else { None }
        })
        .await;
        let (holder, awake) = if holder == pair.first.node() { (&pair.first, 1) } else { (&pair.second, 0) };
        // Enough to do for it to be in the middle of something.
        let mut ended = Vec::new();
        for _ in 0..5 {
            let request = json!({ "amount_usd": 1, "expires_in": 1 });
            ended.push(
                pair.apis[1 - awake]
                    .try_create_invoice(Uuid::new_v4(), &request)
                    .await
                    .unwrap()
                    .good::<CreatedInvoice>(),
            );
        }
        pair.test.chain.mine(1 + pause as u64 % 3).await.unwrap();
        holder.pause();
        let slept = Instant::now();
        // Nobody knows yet that it sleeps: what it is asked waits, so only the other one is asked.
        let invoice = pair.apis[awake].create_invoice("5").await;
        let address = pair.apis[awake].payment_address(&invoice, "ethereum", USDC).await;
        pair.test.pay(&address, U256::from(5_000_000)).await;
        pair.test.chain.mine(1).await.unwrap();
        pair.wait_until_paid(awake, &invoice).await;
        tokio::time::sleep((2 * LEASE).saturating_sub(slept.elapsed())).await;
        holder.resume();
        pair.test.chain.mine(1).await.unwrap();
        // It has understood once it has said so as often as it had leases.
        eventually("the sleeper to step down", async || {
            (3 * (1 + pause / 2) <= holder.log().matches("this node stepped down").count()).then_some(())
        })
        .await;
        for invoice in &ended {
            eventually("the invoice to end", async || {
                let status = pair.apis[1 - awake].invoice(&invoice.invoice_id).await.status;
                (status == InvoiceStatus::Expired).then_some(())
            })
            .await;
        }
    }
    pair.check_log(&[0, 1]).await;

    let rows = database.fetch_all("SELECT what, writer, holder, COUNT(*) FROM audit GROUP BY what, writer, holder");
    let mut written: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows.await.unwrap() {
        let (what, writer, holder, count): (String, String, String, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let server = if writer == "first" { &pair.first } else { &pair.second };
        assert_eq!(holder, server.node(), "{count} writes of {what} by {writer}, which did not hold it");
        *written.entry(what).or_default() += count;
    }
    println!("figure: {pauses} pauses, 0 stale writes among {written:?}");
    assert_eq!(written.len(), 3, "{written:?}");
    let terms = number(&mut database, "SELECT COUNT(DISTINCT term) FROM audit WHERE what = 'sequencer'").await;
    assert!(i64::try_from(pauses).unwrap() <= terms, "the lease moved with each pause: {terms}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_one_node_revokes_opens_nothing_on_the_other_and_its_streams_there_end() {
    let pair = Pair::start().await;
    let (revoked, id) = pair.add_key(&["invoices:read", "invoices:create"]);
    let mut sockets = Vec::new();
    for api in [&revoked[0], &revoked[1]] {
        api.create_invoice("5").await;
        sockets.push(follow_merchant(api).await);
    }
    let mut other = follow_merchant(&pair.apis[1]).await;

    let dashboard: Value = pair.first.ask(&["merchant", "token", "1"]);
    let revoke = demo::http_client()
        .unwrap()
        .post(format!("{}/api/v1/api-keys/{id}/revoke", pair.first.url))
        .bearer_auth(dashboard["token"].as_str().unwrap());
    assert!(revoke.send().await.unwrap().status().is_success());
    let at = Instant::now();
    for api in &revoked {
        let refused = api.get("/api/v1/invoices").await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (401, &json!("API_KEY_REVOKED")));
    }
    for socket in &mut sockets {
        next(socket, |frame| frame["object"] == "ws_error" && frame["code"] == "credential_revoked").await;
        let close = tokio::time::timeout(e2e::PATIENCE, socket.next()).await.unwrap();
        let Some(Ok(Message::Close(Some(close)))) = close else { panic!("{close:?}") };
        assert_eq!(u16::from(close.code), 1008);
    }
    let took = at.elapsed();
    println!("figure: the streams of a revoked key ended on both nodes within {took:?}");
    assert!(took < REVOKED_WITHIN, "{took:?}");

    // Nobody else's.
    let invoice = pair.apis[0].create_invoice("5").await;
    next(&mut other, |frame| frame["data"]["object"]["id"] == json!(invoice.invoice_id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_was_added_on_one_node_is_asked_by_the_other() {
    let test = TestChain::start().await;
    let line = Line::lay(test.chain.rpc_url()).await;
    let network = test.network().replace(test.chain.rpc_url(), &format!("http://{}/", line.address));
    let pair = Pair::start_on(test, &network).await;
    let before = pair.is_paid(0, 20).await;
    pair.wait_until_paid(1, &before).await;

    // The first node watches the chain; the second one is told of the endpoint.
    let (operators, _) = pair.add_key(&["rpc"]);
    let endpoint = json!({ "network": "ethereum", "rpc_url": pair.test.chain.rpc_url() });
    let added: Value = operators[1].call(Method::POST, "/api/v1/merchant/rpc", &endpoint).await.good();
    line.cut().await;
    let after = pair.is_paid(0, 7).await;
    // It counts after a minute in which nobody else could be asked about it.
    eventually("the payment to be seen", async || {
        pair.apis[0].invoice_status(&after.invoice_id).await.latest_payment.map(|_| ())
    })
    .await;
    let mut database = pair.database().await;
    let watcher = database.fetch_one("SELECT holder FROM leases WHERE name = 'watch:ethereum'").await.unwrap();
    assert_eq!(watcher.get::<String, _>(0), pair.first.node());

    // Removed on the first one, it is gone for both.
    let path = format!("/api/v1/merchant/rpc/{}", added["id"].as_str().unwrap());
    operators[0].call(Method::DELETE, &path, &Value::Null).await.good::<Value>();
    for api in &operators {
        assert_eq!(api.get("/api/v1/merchant/rpc").await.body["data"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchants_stream_on_one_node_tells_what_happens_on_the_other_which_is_killed_again_and_again() {
    const AT_ONCE: usize = 4;
    let mut pair = Pair::start().await;
    let mut socket = follow_merchant(&pair.apis[1]).await;
    let (api, request) = (pair.apis[0].clone(), json!({ "amount_usd": 5 }));
    // The first time it is the one that numbers events, too.
    for _ in 0..3 {
        let mut answers =
            stream::iter(0..20).map(|_| api.try_create_invoice(Uuid::new_v4(), &request)).buffer_unordered(AT_ONCE);
        for _ in 0..5 {
            answers.next().await.unwrap().unwrap().good::<CreatedInvoice>();
        }
        pair.first.kill_9();
        // What was under way may have been kept or not.
        let unanswered = answers.filter(|answer| std::future::ready(answer.is_err())).count().await;
        assert!(20 - 5 - AT_ONCE <= unanswered, "{unanswered}");
        pair.first.start().await.unwrap();
        for _ in 0..5 {
            api.create_invoice("5").await;
        }
    }
    let last = pair.last_number().await;
    let frames = next(&mut socket, |frame| frame["id"].as_str().is_some_and(|id| sequence(id) == last)).await;
    let numbers: Vec<_> = log_ids(&frames).iter().map(|id| sequence(id)).collect();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    assert!(3 * (5 + 5) <= last);
    println!("figure: {last} events came over a node that lived while the other one was killed 3 times");
    pair.check_log(&[0, 1]).await;
}

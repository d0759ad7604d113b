//! Nodes beside the operator's own.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Bytes, extract::State, http::Method, response::Response, routing::post};
use domain::{access::Right, signature::ServerSecret};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Answer, Server, add_key, add_merchant};
use crate::{app::App, chains::rpc::Rpc, clock::TestClock, merchants, testing::Log};

const ENDPOINTS: &str = "/api/v1/merchant/rpc";

/// What a node does with a question.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    /// Answers as a node of that chain id and genesis block.
    Node(&'static str, &'static str),
    Text(&'static str),
    /// Sends more than anybody asked for.
    Flood,
    Hang,
    Redirect,
}

/// A node on this machine.
pub(super) struct Node {
    pub(super) url: String,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The chain of `ethereum` in these tests.
pub(super) const OURS: Manner = Manner::Node("0x7a69", "0xaa");

impl Node {
    pub(super) async fn start(manner: Manner) -> Self {
        let (manner, asked) = (Arc::new(Mutex::new(manner)), Arc::<AtomicUsize>::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v3/canary-key", listener.local_addr().unwrap());
        let router = Router::new().fallback(post(answer)).with_state((Arc::clone(&manner), Arc::clone(&asked)));
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, manner, asked, server }
    }

    pub(super) fn does(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// How many questions there were since this was last asked.
    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

async fn answer(State((manner, asked)): State<(Arc<Mutex<Manner>>, Arc<AtomicUsize>)>, body: Bytes) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    let manner = *manner.lock().unwrap();
    let text = |body: String| Response::builder().status(200).body(body.into()).unwrap();
    match manner {
        Manner::Node(chain_id, genesis) => {
            let call: Value = serde_json::from_slice(&body).unwrap();
            let result = match call["method"].as_str().unwrap() {
                "eth_chainId" => json!(chain_id),
                "eth_getBlockByNumber" => json!({ "hash": genesis }),
                _ => call["params"].clone(),
            };
            text(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string())
        }
        Manner::Text(body) => text(body.to_owned()),
        Manner::Flood => text(format!("\"{}\"", "x".repeat(10 << 20))),
        Manner::Hang => std::future::pending().await,
        Manner::Redirect => {
            Response::builder().status(307).header("location", "http://127.0.0.1:9/").body("".into()).unwrap()
        }
    }
}

/// A server whose `ethereum` has this node, and may be given others on this machine.
pub(super) async fn server_with(own: &Node) -> Server {
    let url = own.url.parse().unwrap();
    Server::start_with(|config| {
        config.networks[0].rpc = vec![url];
        config.networks[0].rpc_timeout_ms = 500;
        config.limits.active_keys_per_scope = 1_000;
        config.merchants.rpc_allow_private_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await
}

impl Server {
    async fn operator(&self) -> String {
        self.key_with(&[Right::OperateNetworks]).await
    }

    pub(super) async fn add_endpoint(&self, network: &str, url: &str) -> Answer {
        let body = json!({ "network": network, "rpc_url": url }).to_string();
        self.call(&Method::POST, ENDPOINTS, ("x-api-key", &self.operator().await), &body).await
    }

    async fn adds(&self, node: &Node) -> String {
        let answer = self.add_endpoint("ethereum", &node.url).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn endpoints(&self) -> Value {
        self.get(ENDPOINTS, &[("x-api-key", &self.operator().await)]).await.json()
    }

    async fn remove_endpoint(&self, id: &str) -> Answer {
        let path = format!("{ENDPOINTS}/{id}");
        self.call(&Method::DELETE, &path, ("x-api-key", &self.operator().await), "").await
    }
}

/// `ethereum` as its watcher asks it.
fn watched(app: &App) -> Rpc {
    Rpc::with_added(&app.config.networks[0], &app.added_endpoints, app.config.merchants.rpc_targets())
}

async fn can_be_asked(rpc: &Rpc) -> bool {
    rpc.call("echo", json!([1])).await.is_ok_and(|answer| answer == json!([1]))
}

#[tokio::test]
async fn a_node_of_the_same_chain_is_added_listed_masked_and_removed() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let answer = server.add_endpoint("ethereum", &node.url).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let added = answer.json();
    let host = node.url.split("/v3").next().unwrap();
    let expected = json!({
        "object": "rpc_endpoint", "id": added["id"], "network": "ethereum", "chain_id": 31337,
        "rpc_url": format!("{host}/…"), "created_at": server.app.clock.now().0,
    });
    assert_eq!(added, expected);
    let listed = server.endpoints().await;
    assert_eq!(listed, json!({ "object": "list", "data": [added], "has_more": false }));
    assert!(!listed.to_string().contains("canary"));
    let id = added["id"].as_str().unwrap();
    assert_eq!(server.remove_endpoint(id).await.json(), json!({ "success": true }));
    assert_eq!(server.endpoints().await["data"], json!([]));
    server.remove_endpoint(id).await.is_error(404, "RPC_ENDPOINT_NOT_FOUND", None);
}

#[tokio::test]
async fn a_genesis_block_is_the_same_however_it_is_spelled() {
    for (ours, theirs) in [("0xaa", "0xAA"), ("0xAA", "0xaa")] {
        let own = Node::start(Manner::Node("0x7a69", ours)).await;
        let node = Node::start(Manner::Node("0x7a69", theirs)).await;
        let server = server_with(&own).await;
        server.adds(&node).await;
        own.does(Manner::Text("broken"));
        assert!(can_be_asked(&watched(&server.app)).await);
    }
}

#[tokio::test]
async fn an_added_node_is_asked_last_and_from_the_next_question_on() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let rpc = watched(&server.app);
    assert!(can_be_asked(&rpc).await);
    let id = server.adds(&node).await;
    node.asked();
    assert!(can_be_asked(&rpc).await);
    assert_eq!(node.asked(), 0, "the operator's own can be asked");

    own.does(Manner::Text("broken"));
    assert!(can_be_asked(&rpc).await);
    assert_eq!(node.asked(), 3, "it shows its chain and its genesis block again");
    assert_eq!(server.remove_endpoint(&id).await.status, 200);
    assert!(!can_be_asked(&rpc).await);
    assert_eq!(node.asked(), 0, "what was removed is asked no more");
}

#[tokio::test]
async fn added_nodes_survive_a_restart_and_reach_other_processes() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let open = async || {
        let (config, secrets) = ((*server.app.config).clone(), server.app.secrets.to_vec());
        App::open(config, secrets, TestClock::still().clock(), "http://pay.example").await.unwrap()
    };
    let (elsewhere, _writer) = open().await;
    let rpc = watched(&elsewhere);
    let id = server.adds(&node).await;
    own.does(Manner::Text("broken"));
    assert!(!can_be_asked(&rpc).await, "another process has yet to look");
    merchants::read_rpc_endpoints(&elsewhere).await.unwrap();
    assert!(can_be_asked(&rpc).await);

    let (again, _writer) = open().await;
    assert!(can_be_asked(&watched(&again)).await);
    assert_eq!(server.remove_endpoint(&id).await.status, 200);
    merchants::read_rpc_endpoints(&elsewhere).await.unwrap();
    assert!(!can_be_asked(&rpc).await);
}

/// The addresses of added nodes as the database has them.
async fn stored(server: &Server) -> Vec<String> {
    let records = server.app.store.reader().await.unwrap().tx().all_rpc_endpoints().await.unwrap();
    records.into_iter().map(|record| record.url).collect()
}

#[tokio::test]
async fn the_address_of_a_node_is_sealed_in_the_database() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    server.adds(&node).await;
    let sealed = stored(&server).await;
    assert!(sealed[0].starts_with("sealed1.") && !sealed[0].contains("canary"), "{sealed:?}");
    merchants::seal_rpc_endpoints(&server.app).await;
    assert_eq!(stored(&server).await, sealed, "what is sealed stays as it is");
}

#[tokio::test]
async fn a_node_that_an_earlier_version_added_is_used_and_sealed() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let id = server.adds(&node).await;
    let mut record = server.app.store.reader().await.unwrap().tx().all_rpc_endpoints().await.unwrap().remove(0);
    let sealed = record.clone();
    record.url.clone_from(&node.url);
    let plain = record.clone();
    let write =
        server.app.store.write(move |tx| Box::pin(async move { tx.reseal_rpc_endpoint(&sealed, &plain.url).await }));
    assert!(write.await.unwrap());
    assert_eq!(stored(&server).await, [node.url.as_str()]);

    own.does(Manner::Text("broken"));
    for is_sealed in [false, true] {
        merchants::read_rpc_endpoints(&server.app).await.unwrap();
        assert!(can_be_asked(&watched(&server.app)).await, "sealed: {is_sealed}");
        let listed = server.endpoints().await;
        assert!(listed["data"][0]["rpc_url"].as_str().unwrap().ends_with("/…"), "{listed}");
        let again = server.add_endpoint("ethereum", &node.url).await;
        again.is_error(409, "RPC_ENDPOINT_EXISTS", Some("rpc_url"));
        assert_eq!(stored(&server).await[0].starts_with("sealed1."), is_sealed);
        merchants::seal_rpc_endpoints(&server.app).await;
    }
    assert_eq!(server.remove_endpoint(&id).await.status, 200);
}

#[tokio::test]
async fn a_new_server_secret_opens_and_seals_again_what_the_one_before_sealed() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let id = server.adds(&node).await;
    own.does(Manner::Text("broken"));
    let secret = |byte| ServerSecret::from_bytes([byte; 32]);
    let open = async |secrets: Vec<ServerSecret>| {
        let config = (*server.app.config).clone();
        App::open(config, secrets, TestClock::still().clock(), "http://pay.example").await.unwrap().0
    };
    assert!(!can_be_asked(&watched(&open(vec![secret(8)]).await)).await, "it is not the one that sealed");
    let before = stored(&server).await;
    let rotating = open(vec![secret(8), secret(7)]).await;
    assert!(can_be_asked(&watched(&rotating)).await);
    merchants::seal_rpc_endpoints(&rotating).await;
    assert_ne!(stored(&server).await, before);
    assert!(can_be_asked(&watched(&open(vec![secret(8)]).await)).await);

    // This server still has the one before alone: it says nothing about the address, and lets it be removed.
    assert_eq!(server.endpoints().await["data"][0]["rpc_url"], "…");
    assert_eq!(server.remove_endpoint(&id).await.status, 200);
}

#[tokio::test]
async fn a_node_that_is_not_on_the_chain_is_refused_and_leaves_nothing() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let before = server.settings().await;
    for (manner, words) in [
        (Manner::Node("0x1", "0xaa"), "is chain 1 instead of 31337"),
        (Manner::Node("0x7a69", "0xbb"), "another genesis block"),
        (Manner::Node("31337", "0xaa"), "did not answer with JSON-RPC"),
        (Manner::Text("<html>Welcome</html>"), "did not answer with JSON-RPC"),
        (Manner::Text("{}"), "did not answer with JSON-RPC"),
        (Manner::Text(r#"{"jsonrpc":"2.0","id":1,"result":"0x7a69"}"#), "did not answer with JSON-RPC"),
        (Manner::Flood, "did not answer with JSON-RPC"),
        (Manner::Redirect, "HTTP status 307"),
        (Manner::Hang, "in time"),
    ] {
        node.does(manner);
        let answer = server.add_endpoint("ethereum", &node.url).await;
        answer.is_error(400, "RPC_ENDPOINT_UNFIT", Some("rpc_url"));
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{words}: {}", answer.text);
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
    node.does(OURS);
    own.does(Manner::Text("broken"));
    let answer = server.add_endpoint("ethereum", &node.url).await;
    answer.is_error(503, "NETWORK_UNREACHABLE", Some("network"));
    assert_eq!(server.settings().await, before);
}

#[tokio::test]
async fn a_node_whose_genesis_block_changes_is_used_no_more() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    server.adds(&node).await;
    own.does(Manner::Text("broken"));
    node.does(Manner::Node("0x7a69", "0xbb"));
    assert!(!can_be_asked(&watched(&server.app)).await, "although nobody else says what it should be");
    node.does(OURS);
    assert!(can_be_asked(&watched(&server.app)).await);

    // The operator moved to another chain: what was added for the old one tells nobody what is right.
    let rpc = watched(&server.app);
    assert!(can_be_asked(&rpc).await);
    own.does(Manner::Node("0x7a69", "0xcc"));
    let fresh = watched(&server.app);
    assert!(can_be_asked(&fresh).await);
    own.does(Manner::Text("broken"));
    assert!(!can_be_asked(&fresh).await);
}

#[tokio::test]
async fn an_address_that_is_not_public_is_never_asked() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let url = own.url.parse().unwrap();
    let server = Server::start_with(|config| {
        config.networks[0].rpc = vec![url];
        config.limits.active_keys_per_scope = 1_000;
    })
    .await;
    let before = server.settings().await;
    let port = node.url.split(':').nth(2).unwrap().split('/').next().unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "[fe80::1]",
        "[fd00::1]",
    ] {
        for scheme in ["http", "https"] {
            let answer = server.add_endpoint("ethereum", &format!("{scheme}://{host}:{port}/")).await;
            answer.is_error(400, "VALIDATION_ERROR", Some("rpc_url"));
        }
    }
    for url in [
        "",
        "x",
        "ftp://1.1.1.1/",
        "file:///etc/passwd",
        "http://1.1.1.1/",
        "https://user:canary@1.1.1.1/",
        "https://1.1.1.1/#part",
        "https://1.1.1.1/a b",
        &format!("https://1.1.1.1/{}", "a".repeat(2048)),
    ] {
        server.add_endpoint("ethereum", url).await.is_error(400, "VALIDATION_ERROR", Some("rpc_url"));
    }
    assert_eq!((node.asked(), server.settings().await), (0, before));
}

#[tokio::test]
async fn what_else_is_wrong_with_a_request_is_named() {
    let own = Node::start(OURS).await;
    let server = server_with(&own).await;
    let before = server.settings().await;
    for network in ["ton", "cardano", "sui", "solana", "Ethereum", ""] {
        server.add_endpoint(network, "https://1.1.1.1/").await.is_error(400, "UNKNOWN_NETWORK", Some("network"));
    }
    let key = server.operator().await;
    for (body, field) in [
        ("{", None),
        (r#"{"network":"ethereum"}"#, Some("rpc_url")),
        (r#"{"rpc_url":"https://1.1.1.1/"}"#, Some("network")),
        (r#"{"network":"ethereum","rpc_url":1}"#, Some("rpc_url")),
    ] {
        let answer = server.call(&Method::POST, ENDPOINTS, ("x-api-key", &key), body).await;
        answer.is_error(400, "VALIDATION_ERROR", field);
    }
    server.add_endpoint("ethereum", &own.url).await.is_error(409, "RPC_ENDPOINT_EXISTS", Some("rpc_url"));
    server.remove_endpoint("x").await.is_error(400, "VALIDATION_ERROR", Some("endpoint_id"));
    assert_eq!(server.settings().await, before);
}

#[tokio::test]
async fn a_network_takes_so_many_nodes_and_each_once() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let url = |number: usize| format!("{}{number}", node.url);
    for number in 0..5 {
        assert_eq!(server.add_endpoint("ethereum", &url(number)).await.status, 200);
        let again = server.add_endpoint("ethereum", &url(0)).await;
        again.is_error(409, "RPC_ENDPOINT_EXISTS", Some("rpc_url"));
    }
    node.asked();
    server.add_endpoint("ethereum", &url(5)).await.is_error(409, "RPC_ENDPOINT_LIMIT", None);
    assert_eq!(node.asked(), 0, "a node that could not be added is not asked");
}

#[tokio::test]
async fn each_operator_sees_and_removes_what_it_added() {
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let id = server.adds(&node).await;
    let (other, _) = add_merchant(&server.app).await;
    let rights = [Right::OperateNetworks].into_iter().collect();
    let theirs = add_key(&server.app, other, |wanted| wanted.rights = rights).await.api_key;
    assert_eq!(server.get(ENDPOINTS, &[("x-api-key", &theirs)]).await.json()["data"], json!([]));
    let path = format!("{ENDPOINTS}/{id}");
    let foreign = server.call(&Method::DELETE, &path, ("x-api-key", &theirs), "").await;
    foreign.is_error(404, "RPC_ENDPOINT_NOT_FOUND", None);
    assert_eq!(server.endpoints().await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_address_of_a_node_is_not_logged() {
    let log = Log::default();
    let _listening = log.listen_to(tracing::Level::DEBUG);
    let (own, node) = (Node::start(OURS).await, Node::start(OURS).await);
    let server = server_with(&own).await;
    let id = server.adds(&node).await;
    own.does(Manner::Text("broken"));
    let rpc = watched(&server.app);
    assert!(can_be_asked(&rpc).await);
    node.does(Manner::Hang);
    assert!(!can_be_asked(&rpc).await);
    server.remove_endpoint(&id).await;
    assert_eq!(log.lines_with("an endpoint was added"), 1);
    let text = log.text();
    let found: Vec<_> = text.lines().filter(|line| line.contains("canary") && !line.contains("sqlx")).collect();
    assert!(found.is_empty(), "{found:?}");
}

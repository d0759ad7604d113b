//! The client against endpoints that misbehave.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
};

use axum::{Router, body::Bytes, extract::State, response::Response, routing::post};
use tokio::task::JoinHandle;

use super::*;

/// What an endpoint does with one HTTP request.
#[derive(Clone, Copy)]
enum Deed {
    Status(u16),
    StatusWithRest(u16, &'static str),
    Body(&'static str),
    Hang,
}

/// A chain of 100 blocks that does as it is told, and otherwise well.
struct Fake {
    address: SocketAddr,
    state: Arc<Scripted>,
    server: JoinHandle<()>,
}

struct Scripted {
    chain_id: Mutex<&'static str>,
    genesis: Mutex<&'static str>,
    /// Done first, one for each request.
    deeds: Mutex<VecDeque<Deed>>,
    refuses_batches: AtomicBool,
    /// Methods asked, a batch in one string.
    asked: Mutex<Vec<String>>,
    /// Waited at before each answer.
    barrier: Mutex<Option<Arc<tokio::sync::Barrier>>>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    async fn start() -> Self {
        let state = Arc::new(Scripted {
            chain_id: Mutex::new("0x7a69"),
            genesis: Mutex::new("0xaa"),
            deeds: Mutex::default(),
            refuses_batches: AtomicBool::new(false),
            asked: Mutex::default(),
            barrier: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(post(answer)).with_state(Arc::clone(&state));
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, server }
    }

    fn will(&self, deeds: impl IntoIterator<Item = Deed>) {
        self.state.deeds.lock().unwrap().extend(deeds);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.asked.lock().unwrap())
    }
}

async fn answer(State(state): State<Arc<Scripted>>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let methods = |request: &Value| request["method"].as_str().unwrap().to_owned();
    let asked = match &request {
        Value::Array(calls) => calls.iter().map(methods).collect::<Vec<_>>().join("+"),
        call => methods(call),
    };
    state.asked.lock().unwrap().push(asked);
    let barrier = state.barrier.lock().unwrap().clone();
    if let Some(barrier) = barrier {
        barrier.wait().await;
    }
    let deed = state.deeds.lock().unwrap().pop_front();
    let text = |status: u16, body: String| Response::builder().status(status).body(body.into()).unwrap();
    match deed {
        Some(Deed::Status(status)) => return text(status, "no".to_owned()),
        Some(Deed::StatusWithRest(status, rest)) => {
            return Response::builder().status(status).header("retry-after", rest).body("no".into()).unwrap();
        }
        Some(Deed::Body(body)) => return text(200, body.to_owned()),
        Some(Deed::Hang) => std::future::pending().await,
        None => {}
    }
    let one = |call: &Value| {
        let result = match call["method"].as_str().unwrap() {
            "eth_chainId" => json!(*state.chain_id.lock().unwrap()),
            "eth_getBlockByNumber" => json!({ "hash": *state.genesis.lock().unwrap() }),
            "refused" => {
                let error = json!({ "code": -32000, "message": "key hunter2secret is bad, see https://x.example/k" });
                return json!({ "jsonrpc": "2.0", "id": call["id"], "error": error });
            }
            "huge" => {
                let error = json!({ "code": -32005, "message": "query returned more than 10000 results" });
                return json!({ "jsonrpc": "2.0", "id": call["id"], "error": error });
            }
            _ => call["params"].clone(),
        };
        json!({ "jsonrpc": "2.0", "id": call["id"], "result": result })
    };
    let body = match &request {
        Value::Array(_) if state.refuses_batches.load(Ordering::SeqCst) => {
            json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32600, "message": "no batches" } })
        }
        // In an order of its own, as the standard allows.
        Value::Array(calls) => Value::Array(calls.iter().rev().map(one).collect()),
        call => one(call),
    };
    text(200, body.to_string())
}

fn network(endpoints: &[&Fake]) -> NetworkConfig {
    let rpc: Vec<_> = endpoints
        .iter()
        .map(|endpoint| format!("http://user:hunter2secret@{}/v3/hunter2secret", endpoint.address))
        .collect();
    serde_json::from_value(json!({
        "name": "ethereum", "title": "Ethereum", "chain_id": 31337, "rpc": rpc,
        "paid_after": 3, "final_after": 6, "rpc_timeout_ms": 500,
    }))
    .unwrap()
}

async fn echo(rpc: &Rpc) -> Result<Value, RpcError> {
    rpc.call("echo", json!([1])).await
}

fn problem(result: Result<Value, RpcError>) -> Problem {
    match result {
        Err(RpcError::Unavailable { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

fn rest_of(rpc: &Rpc, endpoint: usize) -> Duration {
    rpc.endpoints()[endpoint].health().rests_until.map_or(Duration::ZERO, |until| until - Instant::now())
}

fn end_rests(rpc: &Rpc) {
    for endpoint in rpc.endpoints().iter() {
        endpoint.health().rests_until = None;
    }
}

/// Alone it is an error and a rest; with a good second endpoint it is no more than a delay.
async fn check_failover(deed: Deed, expected: Problem) {
    let (bad, good) = (Fake::start().await, Fake::start().await);
    let alone = Rpc::new(&network(&[&bad]));
    assert_eq!(echo(&alone).await.unwrap(), json!([1]));
    bad.will([deed]);
    assert_eq!(problem(echo(&alone).await), expected);
    assert_eq!(problem(echo(&alone).await), Problem::Resting, "it is left alone for a while");
    assert!(Duration::from_millis(300) < rest_of(&alone, 0));
    end_rests(&alone);
    assert_eq!(echo(&alone).await.unwrap(), json!([1]), "afterwards it is used again");

    let both = Rpc::new(&network(&[&bad, &good]));
    assert_eq!(echo(&both).await.unwrap(), json!([1]));
    bad.will([deed]);
    assert_eq!(echo(&both).await.unwrap(), json!([1]));
    assert_eq!(good.asked(), ["eth_chainId", "eth_getBlockByNumber", "echo"]);
}

#[tokio::test]
async fn status_429_is_a_pause_and_the_next_endpoint() {
    check_failover(Deed::Status(429), Problem::Throttled { rest: None }).await;
}

#[tokio::test]
async fn status_503_is_a_pause_and_the_next_endpoint() {
    check_failover(Deed::Status(503), Problem::Status(503)).await;
}

#[tokio::test]
async fn html_is_not_an_answer() {
    check_failover(Deed::Body("<html><body>Welcome</body></html>"), Problem::NotJsonRpc).await;
}

#[tokio::test]
async fn truncated_json_is_not_an_answer() {
    check_failover(Deed::Body(r#"{"jsonrpc":"2.0","id":3,"resu"#), Problem::NotJsonRpc).await;
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_an_answer() {
    check_failover(Deed::Body(r#"{"jsonrpc":"2.0","id":999,"result":[1]}"#), Problem::NotJsonRpc).await;
    check_failover(Deed::Body(r#"{"id":3,"result":[1]}"#), Problem::NotJsonRpc).await;
    check_failover(Deed::Body("[1]"), Problem::NotJsonRpc).await;
    check_failover(Deed::Body(r#"{"jsonrpc":"2.0","id":3}"#), Problem::NotJsonRpc).await;
}

#[tokio::test]
async fn a_hanging_endpoint_is_given_up_after_the_timeout() {
    check_failover(Deed::Hang, Problem::TooSlow).await;
}

#[tokio::test]
async fn an_error_about_pace_is_a_pause_and_the_next_endpoint() {
    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"Daily request count exceeded"}}"#;
    check_failover(Deed::Body(body), Problem::Throttled { rest: None }).await;
}

#[tokio::test]
async fn a_refused_connection_is_a_pause() {
    let endpoint = Fake::start().await;
    let rpc = Rpc::new(&network(&[&endpoint]));
    endpoint.server.abort();
    // The port is closed once the server's task is gone.
    while tokio::net::TcpStream::connect(endpoint.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(problem(echo(&rpc).await), Problem::Unreachable);
}

#[tokio::test]
async fn a_wanted_rest_is_given() {
    let endpoint = Fake::start().await;
    let rpc = Rpc::new(&network(&[&endpoint]));
    endpoint.will([Deed::StatusWithRest(429, "120")]);
    let rest = Some(Duration::from_mins(2));
    assert_eq!(problem(echo(&rpc).await), Problem::Throttled { rest });
    assert!((Duration::from_secs(110)..=Duration::from_mins(2)).contains(&rest_of(&rpc, 0)));
    end_rests(&rpc);
    endpoint.will([Deed::StatusWithRest(503, "9999999")]);
    problem(echo(&rpc).await);
    assert!(rest_of(&rpc, 0) <= LONGEST_WANTED_REST);
}

#[test]
fn rests_double_up_to_a_minute_with_a_quarter_of_chance() {
    let rest = |failures, chance| rest_after(failures, [chance]).as_millis();
    assert_eq!([1, 2, 3, 4, 5].map(|failures| rest(failures, 0)), [375, 750, 1500, 3000, 6000]);
    assert_eq!(rest(1, 255), 625);
    assert_eq!(rest(8, 0), 45_000);
    assert_eq!(rest(u32::MAX, 255), 75_000);
}

#[tokio::test]
async fn another_chain_is_never_used() {
    let (other, good) = (Fake::start().await, Fake::start().await);
    *other.state.chain_id.lock().unwrap() = "0x1";
    let rpc = Rpc::new(&network(&[&other]));
    assert_eq!(problem(echo(&rpc).await), Problem::WrongChain { found: 1, wanted: 31337 });
    assert_eq!(other.asked(), ["eth_chainId"]);

    let rpc = Rpc::new(&network(&[&other, &good]));
    for _ in 0..3 {
        assert_eq!(echo(&rpc).await.unwrap(), json!([1]));
        end_rests(&rpc);
    }
    assert!(other.asked().iter().all(|method| method == "eth_chainId"));
}

#[tokio::test]
async fn an_endpoint_with_another_genesis_is_never_used() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    *second.state.genesis.lock().unwrap() = "0xbb";
    let rpc = Rpc::new(&network(&[&first, &second]));
    assert_eq!(echo(&rpc).await.unwrap(), json!([1]));
    first.will([Deed::Status(500)]);
    assert_eq!(problem(echo(&rpc).await), Problem::WrongGenesis);
    assert_eq!(second.asked(), ["eth_chainId", "eth_getBlockByNumber"]);
}

#[tokio::test]
async fn a_chain_that_changes_behind_a_failure_is_noticed() {
    let endpoint = Fake::start().await;
    let rpc = Rpc::new(&network(&[&endpoint]));
    assert_eq!(echo(&rpc).await.unwrap(), json!([1]));
    endpoint.will([Deed::Status(502)]);
    assert_eq!(problem(echo(&rpc).await), Problem::Status(502));
    *endpoint.state.genesis.lock().unwrap() = "0xbb";
    end_rests(&rpc);
    assert_eq!(problem(echo(&rpc).await), Problem::WrongGenesis);
}

#[tokio::test]
async fn batches_come_back_in_order_and_are_single_calls_where_refused() {
    let endpoint = Fake::start().await;
    let rpc = Rpc::new(&network(&[&endpoint]));
    let calls: Vec<_> = (0..250).map(|number| Call::new("echo", json!([number]))).collect();
    let expected: Vec<_> = (0..250).map(|number| Ok(json!([number]))).collect();
    assert_eq!(rpc.together(&calls).await.unwrap(), expected);
    assert_eq!(endpoint.asked().len(), 2 + 3, "verification and three batches");

    endpoint.state.refuses_batches.store(true, Ordering::SeqCst);
    assert_eq!(rpc.together(&calls[..3]).await.unwrap(), expected[..3]);
    assert_eq!(endpoint.asked(), ["echo+echo+echo", "echo", "echo", "echo"]);
    assert_eq!(rpc.together(&calls[..2]).await.unwrap(), expected[..2]);
    assert_eq!(endpoint.asked(), ["echo", "echo"], "it is not asked for batches again");

    let rpc = Rpc::new(&network(&[&endpoint]));
    assert_eq!(echo(&rpc).await.unwrap(), json!([1]));
    endpoint.will([Deed::Status(413)]);
    assert_eq!(rpc.together(&calls[..2]).await.unwrap(), expected[..2]);
}

#[test]
fn a_batch_is_bounded_in_calls_and_in_bytes() {
    let calls = |count: usize, bytes: usize| vec![Call::new("echo", json!(["x".repeat(bytes)])); count];
    let sizes = |calls: &[Call]| batches(calls).iter().map(|batch| batch.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&[]), [0; 0]);
    assert_eq!(sizes(&calls(250, 1)), [100, 100, 50]);
    assert_eq!(sizes(&calls(100, 1)), [100]);
    assert_eq!(sizes(&calls(5, 400_000)), [2, 2, 1]);
    assert_eq!(sizes(&calls(3, 2_000_000)), [1, 1, 1], "one that is too large by itself is asked all the same");
}

#[tokio::test]
async fn a_batch_with_a_missing_answer_is_not_an_answer() {
    let endpoint = Fake::start().await;
    let rpc = Rpc::new(&network(&[&endpoint]));
    echo(&rpc).await.unwrap();
    endpoint.will([Deed::Body(r#"[{"jsonrpc":"2.0","id":4,"result":[1]}]"#)]);
    let calls = [Call::new("echo", json!([1])), Call::new("echo", json!([2]))];
    let result = rpc.together(&calls).await;
    assert!(matches!(result, Err(RpcError::Unavailable { problem: Problem::NotJsonRpc, .. })), "{result:?}");
}

#[tokio::test]
async fn a_declined_call_is_tried_elsewhere_and_a_question_too_large_is_not() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let rpc = Rpc::new(&network(&[&first, &second]));
    let Err(RpcError::Fault(fault)) = rpc.call("refused", json!([])).await else { panic!("it was declined") };
    assert_eq!(fault.kind, FaultKind::Other);
    assert!(second.asked().contains(&"refused".to_owned()));
    let Err(RpcError::Fault(fault)) = rpc.call("huge", json!([])).await else { panic!("it was declined") };
    assert_eq!(fault.kind, FaultKind::TooMuch);
    assert_eq!(second.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn errors_hold_no_credentials() {
    let endpoint = Fake::start().await;
    let rpc = Rpc::new(&network(&[&endpoint]));
    let declined = rpc.call("refused", json!([])).await.unwrap_err();
    assert_eq!(declined.to_string(), "refused was declined with code -32000: key … is bad, see");
    for deed in [Deed::Status(401), Deed::Status(429), Deed::Hang, Deed::Body("nonsense")] {
        endpoint.will([deed]);
        end_rests(&rpc);
        let error = echo(&rpc).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && !text.contains("://"), "{text}");
    }
}

#[tokio::test]
async fn a_distrusted_endpoint_rests() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let rpc = Rpc::new(&network(&[&first, &second]));
    echo(&rpc).await.unwrap();
    rpc.distrust_last();
    first.asked();
    echo(&rpc).await.unwrap();
    assert_eq!(first.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn each_endpoint_can_be_asked() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let rpc = Rpc::new(&network(&[&first, &second]));
    assert_eq!(rpc.ask_each(&Call::new("echo", json!([1]))).await.len(), 2);
    second.will([Deed::Status(500)]);
    assert_eq!(rpc.ask_each(&Call::new("echo", json!([1]))).await.len(), 1);
}

#[test]
fn a_few_requests_go_at_once_and_then_evenly() {
    let (pace, began) = (Pace::of(10).unwrap(), Instant::now());
    let millis: Vec<_> = (0..5).map(|_| pace.next(began).duration_since(began).as_millis()).collect();
    assert_eq!(millis, [0, 0, 100, 200, 300]);
    let rested = began + Duration::from_mins(1);
    let millis: Vec<_> = (0..3).map(|_| pace.next(rested).duration_since(rested).as_millis()).collect();
    assert_eq!(millis, [0, 0, 100], "a long rest earns no more");
    let slow = Pace::of(1).unwrap();
    let millis: Vec<_> = (0..2).map(|_| slow.next(rested).duration_since(rested).as_millis()).collect();
    assert_eq!(millis, [0, 1000]);
    assert!(Pace::of(0).is_none());
}

#[tokio::test]
async fn requests_wait_for_their_turn() {
    let endpoint = Fake::start().await;
    let mut config = network(&[&endpoint]);
    config.requests_per_second = Some(50);
    let rpc = Rpc::new(&config);
    let began = Instant::now();
    // The first asks what chain it is, too.
    for _ in 0..48 {
        echo(&rpc).await.unwrap();
    }
    assert_eq!(endpoint.asked().len(), 50);
    // Ten go at once, and each of the others a fiftieth of a second later than the one before it.
    assert!(Duration::from_millis(800) <= began.elapsed(), "{:?}", began.elapsed());
}

#[tokio::test]
async fn all_who_ask_one_url_share_its_pace() {
    let endpoint = Fake::start().await;
    let mut config = network(&[&endpoint]);
    config.rpc.push("https://rpc.example/".parse().unwrap());
    config.requests_per_second = Some(7);
    let (watcher, prices) = (Rpc::new(&config), Rpc::new(&config));
    let pace = |rpc: &Rpc, index: usize| Arc::clone(rpc.endpoints()[index].pace.as_ref().unwrap());
    for index in [0, 1] {
        assert!(Arc::ptr_eq(&pace(&watcher, index), &pace(&prices, index)));
    }
    assert!(!Arc::ptr_eq(&pace(&watcher, 0), &pace(&watcher, 1)), "another URL has its own");
    let before = Arc::downgrade(&pace(&watcher, 0));
    drop((watcher, prices));
    assert!(before.upgrade().is_none(), "nobody asks any more");
}

#[tokio::test]
async fn hosts_are_asked_at_the_same_time_and_each_once() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let mut config = network(&[&first, &second]);
    // Another path of the first host: the same word.
    config.rpc.push(format!("http://{}/other", first.address).parse().unwrap());
    let rpc = Rpc::new(&config);
    let names: BTreeSet<_> = [&first, &second].map(|endpoint| endpoint.address.to_string()).into();
    assert_eq!(rpc.hosts(), names);
    echo(&rpc).await.unwrap();
    assert_eq!(rpc.ask_hosts(&[Call::new("echo", json!([1]))]).await.len(), 2);

    // Each waits until the other was asked.
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    for endpoint in [&first, &second] {
        *endpoint.state.barrier.lock().unwrap() = Some(Arc::clone(&barrier));
    }
    let answers = rpc.ask_hosts(&[Call::new("echo", json!([2])), Call::new("echo", json!([3]))]).await;
    assert_eq!(answers.iter().map(|host| host.host.clone()).collect::<BTreeSet<_>>(), names);
    assert!(answers.iter().all(|host| host.answers == [Ok(json!([2])), Ok(json!([3]))]));
    for endpoint in [&first, &second] {
        *endpoint.state.barrier.lock().unwrap() = None;
    }
    // The other endpoint of a host that fails is asked in its place.
    first.asked();
    first.will([Deed::Status(500)]);
    assert_eq!(rpc.ask_hosts(&[Call::new("echo", json!([1]))]).await.len(), 2);
    assert_eq!(first.asked(), ["echo", "eth_chainId", "eth_getBlockByNumber", "echo"]);
}

#[tokio::test]
async fn others_are_asked_ten_times_a_second_and_this_machine_as_often_as_we_like() {
    let endpoint = Fake::start().await;
    let mut config = network(&[&endpoint]);
    config.rpc.push("https://rpc.example/".parse().unwrap());
    let interval = |config: &NetworkConfig, index: usize| {
        Rpc::new(config).endpoints()[index].pace.as_ref().map(|pace| pace.interval)
    };
    assert_eq!((interval(&config, 0), interval(&config, 1)), (None, Some(Duration::from_millis(100))));
    config.requests_per_second = Some(2);
    assert_eq!([0, 1].map(|index| interval(&config, index)), [Some(Duration::from_millis(500)); 2]);
}

#[test]
fn figures_name_the_operators_own_endpoints_only() {
    let added = Endpoint::guarded(
        &"https://1.1.1.1/key".parse().unwrap(),
        Duration::from_secs(1),
        &Targets::new(&crate::config::WebhooksConfig::default()),
    );
    assert_eq!(added.unwrap().counted_as, "added");
    let own = Endpoint::over(reqwest::Client::new(), &"https://rpc.example:8545/key".parse().unwrap());
    assert_eq!(own.counted_as, "rpc.example:8545");
}

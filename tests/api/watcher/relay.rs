//! Stands between the watcher and a chain, and misbehaves as told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Changes an answer, given the call it belongs to; may put an error in place of the result. The answer's
/// `is_alone` says whether the call came outside a batch.
pub type Twist = Box<dyn Fn(&Value, &mut Value) + Send>;

pub struct Relay {
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    target: String,
    client: reqwest::Client,
    twist: Mutex<Twist>,
    takes_batches: bool,
    /// The calls of each request since the last look.
    requests: Mutex<Vec<Vec<Value>>>,
    /// What went both ways since the last look.
    bytes: AtomicU64,
    /// After how many seconds who asks may come back, while it turns everybody away.
    turns_away: Mutex<Option<u64>>,
    turned_away: AtomicU64,
}

impl Relay {
    pub async fn start(target: &str, takes_batches: bool) -> Self {
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            client: demo::http_client().unwrap(),
            twist: Mutex::new(Box::new(|_, _| {})),
            takes_batches,
            requests: Mutex::default(),
            bytes: AtomicU64::default(),
            turns_away: Mutex::default(),
            turned_away: AtomicU64::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let router = Router::new().fallback(post(relay)).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url: format!("http://{address}"), shared, server }
    }

    pub fn twist(&self, twist: impl Fn(&Value, &mut Value) + Send + 'static) {
        *self.shared.twist.lock().unwrap() = Box::new(twist);
    }

    /// Turns everybody away from now on, as providers do whose limit is reached, or lets them in again.
    pub fn turn_away(&self, retry_after_seconds: Option<u64>) {
        *self.shared.turns_away.lock().unwrap() = retry_after_seconds;
    }

    /// The requests that it turned away since the last look.
    pub fn turned_away(&self) -> u64 {
        self.shared.turned_away.swap(0, Ordering::Relaxed)
    }

    /// The calls of each HTTP request since the last look.
    pub fn requests(&self) -> Vec<Vec<Value>> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }

    /// Bytes of questions and answers since the last look.
    #[allow(dead_code, reason = "a bench counts them")]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.swap(0, Ordering::Relaxed)
    }

    /// Methods asked since the last look.
    pub fn asked(&self) -> Vec<String> {
        let method = |call: &Value| call["method"].as_str().unwrap_or_default().to_owned();
        self.requests().iter().flatten().map(method).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A JSON-RPC error in place of an answer's result.
pub fn decline(answer: &mut Value, code: i64, message: &str) {
    *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": { "code": code, "message": message } });
}

async fn relay(State(shared): State<Arc<Shared>>, request: axum::Json<Value>) -> Response {
    let turns_away = *shared.turns_away.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(seconds) = turns_away {
        shared.turned_away.fetch_add(1, Ordering::Relaxed);
        let retry_after = [(header::RETRY_AFTER, seconds.to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, retry_after, "too many").into_response();
    }
    answer(&shared, request).await.into_response()
}

async fn answer(shared: &Shared, axum::Json(request): axum::Json<Value>) -> axum::Json<Value> {
    let calls: Vec<Value> = match &request {
        Value::Array(_) if !shared.takes_batches => {
            return axum::Json(json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32600, "message": "no" } }));
        }
        Value::Array(calls) => calls.clone(),
        call => vec![call.clone()],
    };
    let answer = shared.client.post(&shared.target).json(&request).send().await.unwrap();
    let answer = answer.bytes().await.unwrap();
    let bytes = request.to_string().len() + answer.len();
    shared.bytes.fetch_add(u64::try_from(bytes).unwrap(), Ordering::Relaxed);
    let mut answer: Value = serde_json::from_slice(&answer).unwrap();
    let twist = shared.twist.lock().unwrap_or_else(PoisonError::into_inner);
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(calls.clone());
    for call in &calls {
        let answers = match &mut answer {
            Value::Array(answers) => answers.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        if let Some(answer) = answers.iter_mut().find(|answer| answer["id"] == call["id"]) {
            answer["is_alone"] = json!(calls.len() == 1);
            twist(call, answer);
        }
    }
    drop(twist);
    axum::Json(answer)
}

//! Two hosts that speak JSON-RPC for chains that are made up.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

/// The result of a call, or the code and words with which it is declined.
pub type Answer = Result<Value, (i64, &'static str)>;

/// Where chains are served.
pub struct Hosts {
    /// Below each of which every chain has its number.
    pub urls: [String; 2],
    /// How many requests came; several calls may come in one.
    #[allow(dead_code, reason = "a bench counts them")]
    pub requests: Arc<AtomicU64>,
}

/// What one host serves.
struct Served<C> {
    chains: HashMap<u64, Arc<C>>,
    answer: fn(&C, usize, &Value) -> Answer,
    host: usize,
    requests: Arc<AtomicU64>,
}

/// Serves chains by their numbers under two hosts; `answer` says what a host answers to a call.
pub async fn serve<C: Send + Sync + 'static>(
    chains: &HashMap<u64, Arc<C>>,
    answer: fn(&C, usize, &Value) -> Answer,
) -> Hosts {
    let requests = Arc::new(AtomicU64::new(0));
    let mut urls = [String::new(), String::new()];
    for (host, url) in urls.iter_mut().enumerate() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        *url = format!("http://{}", listener.local_addr().unwrap());
        let served = Served { chains: chains.clone(), answer, host, requests: Arc::clone(&requests) };
        let router = Router::new().route("/{chain}", post(respond)).with_state(Arc::new(served));
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    }
    Hosts { urls, requests }
}

async fn respond<C: Send + Sync + 'static>(
    State(served): State<Arc<Served<C>>>,
    Path(number): Path<u64>,
    axum::Json(request): axum::Json<Value>,
) -> Response {
    served.requests.fetch_add(1, Ordering::Relaxed);
    let Some(chain) = served.chains.get(&number) else { return StatusCode::NOT_FOUND.into_response() };
    let one = |call: &Value| match (served.answer)(chain, served.host, call) {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
        Err((code, message)) => {
            json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": code, "message": message } })
        }
    };
    let answer = match &request {
        Value::Array(calls) => calls.iter().map(one).collect(),
        call => one(call),
    };
    axum::Json(answer).into_response()
}

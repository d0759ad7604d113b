//! An endpoint that fails below what JSON-RPC tells of.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::Response,
    routing::post,
};
use tokio::task::JoinHandle;

/// What becomes of an HTTP request in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Status(u16),
    /// 429, with the seconds after which to come again.
    Throttled(u64),
    Html,
    /// JSON-RPC that ends in the middle.
    HalfJson,
    /// No answer at all.
    Hangs,
    /// The connection is cut in the middle of the answer.
    Closed,
}

pub const FAULTS: [Fault; 7] = [
    Fault::Status(429),
    Fault::Throttled(1),
    Fault::Status(503),
    Fault::Html,
    Fault::HalfJson,
    Fault::Hangs,
    Fault::Closed,
];

/// Says what becomes of a request, given how many came before it.
type Faults = Box<dyn FnMut(u64) -> Option<Fault> + Send>;

pub struct Unreliable {
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    target: String,
    client: reqwest::Client,
    /// With the number of requests so far.
    faults: Mutex<(u64, Faults)>,
    failed: AtomicU64,
}

impl Unreliable {
    pub async fn start(target: &str) -> Self {
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            client: demo::http_client().unwrap(),
            faults: Mutex::new((0, Box::new(|_| None))),
            failed: AtomicU64::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(post(answer)).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, server }
    }

    /// From now on; requests are counted anew.
    pub fn fail(&self, faults: impl FnMut(u64) -> Option<Fault> + Send + 'static) {
        *self.shared.faults.lock().unwrap() = (0, Box::new(faults));
    }

    /// How many requests failed since the last look.
    pub fn failed(&self) -> u64 {
        self.shared.failed.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Unreliable {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Bytes) -> Response {
    let fault = {
        let mut faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.0 += 1;
        let before = faults.0 - 1;
        faults.1(before)
    };
    shared.failed.fetch_add(u64::from(fault.is_some()), Ordering::SeqCst);
    let with = |status: u16, body: &'static str| Response::builder().status(status).body(body.into()).unwrap();
    match fault {
        None => Response::new(forward(&shared, request).await.into()),
        Some(Fault::Status(status)) => with(status, "no"),
        Some(Fault::Throttled(seconds)) => {
            let mut response = with(429, "slow down");
            response.headers_mut().insert("retry-after", seconds.into());
            response
        }
        Some(Fault::Html) => with(200, "<!doctype html><title>Just a moment…</title>"),
        Some(Fault::HalfJson) => {
            let whole = forward(&shared, request).await;
            Response::new(whole.slice(..whole.len() / 2).into())
        }
        Some(Fault::Hangs) => std::future::pending().await,
        Some(Fault::Closed) => {
            let cut = [Ok("{\"jsonrpc\":"), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
            Response::new(Body::from_stream(futures_util::stream::iter(cut)))
        }
    }
}

async fn forward(shared: &Shared, request: Bytes) -> Bytes {
    let call = shared.client.post(&shared.target).header("content-type", "application/json").body(request);
    call.send().await.unwrap().bytes().await.unwrap()
}

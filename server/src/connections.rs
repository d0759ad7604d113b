//! Clients' connections: how many there may be, and how long one may keep us waiting.
//!
//! Whoever sends a request one byte at a time, or does not take its answer, holds a connection; without
//! an end to that, a few of them would keep everybody else out. What a request may take is not decided
//! here.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep, timeout},
};
use tower::ServiceExt;

use crate::app::App;

/// How long a connection may keep us waiting.
#[derive(Clone, Copy)]
struct Patience {
    /// For the head of a request, counted from the answer before it or from the connection's start.
    head: Duration,
    /// For the client to take more of an answer.
    write: Duration,
}

/// Pages ask more often than this, so that a connection in use stays.
const PATIENCE: Patience = Patience { head: Duration::from_secs(30), write: Duration::from_secs(30) };
/// After running out of something, most likely files.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Serves connections until shutdown; those that are open then go on to the end of their request.
pub async fn accept(app: App, listener: TcpListener, router: Router) {
    accept_with(PATIENCE, app, listener, router).await;
}

async fn accept_with(patience: Patience, app: App, listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(app.config.limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.head);
    // What is read before it is a request that can be answered. Such an answer is bare.
    let limits = &app.config.limits;
    http.max_header_size((limits.url_bytes + limits.header_bytes).saturating_mul(2));
    let shutdown = app.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = accept_one(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                tracing::error!(error = %error, "a connection could not be accepted");
                let _stopped = timeout(REST_AFTER_FAILURE, shutdown.cancelled()).await;
                continue;
            }
        };
        let connection = Connection { stream, patience: patience.write, stalled: None, _place: place };
        let (http, router, shutdown) = (http.clone(), router.clone(), shutdown.clone());
        app.spawn(async move {
            let service = service_fn(move |mut request: hyper::Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                router.clone().oneshot(request)
            });
            let served = http.serve_connection(TokioIo::new(connection), service);
            let mut served = std::pin::pin!(served.with_upgrades());
            // However it ends, it is the client's doing and no news.
            let _ended = tokio::select! {
                ended = served.as_mut() => ended,
                () = shutdown.cancelled() => {
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            };
        });
    }
}

async fn accept_one(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // A place first: who has none waits with the operating system, which costs us nothing.
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small answers should not wait to be filled up; a connection that is gone will say so itself.
    let _is_gone = stream.set_nodelay(true);
    Ok((stream, peer, place))
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// A connection that fails when its client takes nothing any more. It keeps its place for as long as it
/// lives, also as a WebSocket.
struct Connection {
    stream: TcpStream,
    patience: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Lets a write wait only so long.
    fn limit<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        stalled.as_mut().reset(Instant::now() + patience);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limit(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.limit(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use domain::signature::ServerSecret;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::mpsc,
    };

    use super::*;
    use crate::{clock::TestClock, testing::TestDatabase};

    /// Far more than anything here takes; a test that needs it has failed.
    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(200);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: pay.example\r\n\r\n";

    struct Server {
        app: App,
        address: SocketAddr,
        _database: TestDatabase,
    }

    async fn serve(connections: usize, patience: Patience, router: Router) -> Server {
        let (app, database) = app(connections, |_| {}).await;
        listen(patience, app, database, router).await
    }

    async fn app(connections: usize, change: impl FnOnce(&mut crate::config::LimitsConfig)) -> (App, TestDatabase) {
        let database = TestDatabase::new();
        let mut config: crate::config::Config = toml::from_str("environment = \"devnet\"").unwrap();
        config.storage.database_url = database.url.clone();
        config.limits.connections = connections;
        change(&mut config.limits);
        let secrets = vec![ServerSecret::from_bytes([7; 32])];
        let (app, _writer) = App::open(config, secrets, TestClock::default().clock(), "").await.unwrap();
        (app, database)
    }

    async fn listen(patience: Patience, app: App, database: TestDatabase, router: Router) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        app.spawn(accept_with(patience, app.clone(), listener, router));
        Server { app, address, _database: database }
    }

    fn hello() -> Router {
        Router::new().route("/", get(async || "hello"))
    }

    /// What comes until the other side closes, which it must.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        // A reset ends a connection too.
        let _reset = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection ends");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let length = timeout(LONG, stream.read(&mut bytes)).await.expect("an answer comes").unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[tokio::test]
    async fn half_a_request_and_none_at_all_are_not_waited_for() {
        let server = serve(16, Patience { head: SHORT, write: LONG }, hello()).await;
        for sent in [&b"GET / HTTP/1.1\r\nhost: pay"[..], b"", REQUEST] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            let text = rest(&mut stream).await;
            assert_eq!(text.contains("hello"), sent == REQUEST, "{text}");
        }
    }

    #[tokio::test]
    async fn an_answer_nobody_takes_is_given_up() {
        let (dropped, mut is_dropped) = mpsc::channel::<()>(1);
        let body = move || {
            let dropped = dropped.clone();
            // More than any network's buffers hold.
            let chunks = futures_util::stream::iter((0..1_000_000).map(move |_| {
                let _held = &dropped;
                Ok::<_, io::Error>(vec![0_u8; 64 * 1024])
            }));
            async move { axum::body::Body::from_stream(chunks) }
        };
        let server = serve(16, Patience { head: LONG, write: SHORT }, Router::new().route("/", get(body))).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        server.app.shutdown.cancel();
        assert_eq!(timeout(LONG, is_dropped.recv()).await, Ok(None), "the body was let go");
        drop(stream);
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_is_served_after_somebody_left() {
        let server = serve(1, Patience { head: LONG, write: LONG }, hello()).await;
        let mut first = TcpStream::connect(server.address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut first).await.contains("hello"));
        let mut second = TcpStream::connect(server.address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let mut byte = [0; 1];
        assert!(timeout(SHORT, second.peek(&mut byte)).await.is_err(), "no place for two");
        drop(first);
        assert!(answer(&mut second).await.contains("hello"));
    }

    #[tokio::test]
    async fn a_shutdown_ends_connections_that_wait_for_a_request() {
        let server = serve(16, Patience { head: LONG, write: LONG }, hello()).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut stream).await.contains("hello"));
        server.app.shutdown.cancel();
        server.app.tasks.close();
        timeout(LONG, server.app.tasks.wait()).await.expect("nothing keeps running");
    }

    /// The whole server's routes, with settings as they are by default but for what `change` changes.
    async fn serve_api(patience: Patience, change: impl FnOnce(&mut crate::config::LimitsConfig)) -> Server {
        let (app, database) = app(16, change).await;
        let router = crate::http::router(app.clone());
        listen(patience, app, database, router).await
    }

    const PATIENT: Patience = Patience { head: LONG, write: LONG };

    /// Sends all of `text` and returns all that comes until the other side closes.
    async fn exchange(server: &Server, text: &str) -> String {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // Who is refused may be cut off.
        let _cut_off = stream.write_all(text.as_bytes()).await;
        rest(&mut stream).await
    }

    /// Asserts that this is one error in the form all errors have, and nothing else.
    #[track_caller]
    fn is_error(answer: &str, status: u16, code: &str) {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("x-request-id: req_"), "{answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }

    /// The head of a request whose body is read before anything is asked.
    fn post(headers: &str) -> String {
        format!("POST /pay/choose HTTP/1.1\r\nhost: pay.example\r\naccept: application/json\r\n{headers}\r\n\r\n")
    }

    #[tokio::test]
    async fn a_body_that_drips_is_given_up() {
        let server = serve_api(PATIENT, |limits| limits.body_timeout_ms = 300).await;
        for framing in ["content-length: 30000", "transfer-encoding: chunked"] {
            let (mut reading, mut writing) = TcpStream::connect(server.address).await.unwrap().into_split();
            writing.write_all(post(framing).as_bytes()).await.unwrap();
            let drip = async {
                let drop = if framing.starts_with('c') { &b"a"[..] } else { b"1\r\na\r\n" };
                while writing.write_all(drop).await.is_ok() {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let listen = async {
                let mut bytes = Vec::new();
                let _reset = timeout(LONG, reading.read_to_end(&mut bytes)).await.expect("the connection ends");
                String::from_utf8_lossy(&bytes).into_owned()
            };
            let answer = tokio::select! {
                answer = listen => answer,
                () = drip => panic!("the connection took what it should not"),
            };
            is_error(&answer, 408, "REQUEST_TIMEOUT");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_however_it_is_sent() {
        let server = serve_api(PATIENT, |_| {}).await;
        let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
        let chunked = post("transfer-encoding: chunked\r\nconnection: close") + &chunk.repeat(9) + "0\r\n\r\n";
        is_error(&exchange(&server, &chunked).await, 413, "BODY_TOO_LARGE");
        let sized = post("content-length: 32769\r\nconnection: close") + &"a".repeat(32_769);
        is_error(&exchange(&server, &sized).await, 413, "BODY_TOO_LARGE");
        // Nothing has to be sent to be told.
        let expecting = post("content-length: 32769\r\nexpect: 100-continue\r\nconnection: close");
        is_error(&exchange(&server, &expecting).await, 413, "BODY_TOO_LARGE");
    }

    #[tokio::test]
    async fn who_asks_first_is_told_to_go_on() {
        let server = serve_api(PATIENT, |_| {}).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = post("content-length: 9\r\nexpect: 100-continue\r\nconnection: close");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"session=x").await.unwrap();
        is_error(&rest(&mut stream).await, 401, "SESSION_INVALID");
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_is_not_waited_for() {
        let server = serve_api(PATIENT, |_| {}).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = "POST /nothing HTTP/1.1\r\nhost: pay.example\r\ncontent-length: 30000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        is_error(&rest(&mut stream).await, 404, "NOT_FOUND");
    }

    #[tokio::test]
    async fn requests_sent_all_at_once_are_answered_in_turn_and_each_is_counted() {
        let server = serve_api(PATIENT, |limits| limits.requests_per_minute_per_address = 3).await;
        let request = |path: &str, last: &str| format!("GET {path} HTTP/1.1\r\nhost: pay.example\r\n{last}\r\n");
        let all = request("/a", "").repeat(5) + &request("/health/live", "connection: close\r\n");
        let answers = exchange(&server, &all).await;
        let statuses: Vec<_> =
            answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.split(' ').next().unwrap()).collect();
        assert_eq!(statuses, ["404", "404", "404", "429", "429", "200"], "{answers}");
        assert_eq!(answers.matches("x-request-id: req_").count(), 6, "{answers}");
        assert_eq!(answers.matches("retry-after: 20").count(), 2, "{answers}");
        // The same address on another connection is the same caller.
        is_error(&exchange(&server, &request("/a", "connection: close\r\n")).await, 429, "RATE_LIMITED");
    }

    #[tokio::test]
    async fn heads_beyond_the_limits_are_refused_in_words_and_those_far_beyond_without() {
        let server = serve_api(PATIENT, |_| {}).await;
        let request = |path: &str, headers: &str| {
            format!("GET {path} HTTP/1.1\r\nhost: pay.example\r\nconnection: close\r\n{headers}\r\n")
        };
        let header = |bytes: usize| format!("x-a: {}\r\n", "a".repeat(bytes));
        let path = |bytes: usize| format!("/nothing?{}", "a".repeat(bytes));
        is_error(&exchange(&server, &request(&path(8_000), &header(16_000))).await, 404, "NOT_FOUND");
        is_error(&exchange(&server, &request(&path(8_192), "")).await, 414, "URL_TOO_LONG");
        is_error(&exchange(&server, &request("/", &header(16_384))).await, 431, "HEADERS_TOO_LARGE");
        is_error(&exchange(&server, &request("/", &header(1).repeat(70))).await, 431, "HEADERS_TOO_LARGE");
        for (head, status) in [
            (request("/", &header(1).repeat(200)), "431"),
            (request("/", &header(200_000)), "431"),
            (request(&path(200_000), ""), "4"),
        ] {
            let answer = exchange(&server, &head).await;
            // A client that is still sending when it is cut off may miss the answer.
            assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
        // Nobody else is harmed.
        is_error(&exchange(&server, &request("/nothing", "")).await, 404, "NOT_FOUND");
    }
}

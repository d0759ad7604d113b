//! Clients' connections: how many there may be, and how long one may keep us waiting.
//!
//! Whoever sends a request one byte at a time, or does not take its answer, holds a connection; without
//! an end to that, a few of them would keep everybody else out. What a request may take is not decided
//! here.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep, timeout},
};

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
    let shutdown = app.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = accept_one(&listener, &places) => accepted,
        };
        let (stream, place) = match accepted {
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
            let served = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
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

async fn accept_one(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    // A place first: who has none waits with the operating system, which costs us nothing.
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Small answers should not wait to be filled up; a connection that is gone will say so itself.
    let _is_gone = stream.set_nodelay(true);
    Ok((stream, place))
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
    use std::net::SocketAddr;

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
        let database = TestDatabase::new();
        let mut config: crate::config::Config = toml::from_str("environment = \"devnet\"").unwrap();
        config.storage.database_url = database.url.clone();
        config.limits.connections = connections;
        let secrets = vec![ServerSecret::from_bytes([7; 32])];
        let (app, _writer) = App::open(config, secrets, TestClock::default().clock(), "").await.unwrap();
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
}

//! What tests of streams have in common.

use std::{net::SocketAddr, time::Duration};

use axum::http::{HeaderName, Request};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::Server;
use crate::events::{run_follower, run_sequencer};

/// Far more than anything here takes; a test that needs it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Serves the routes on a free port and numbers events, until the server's shutdown.
pub async fn listen(server: &Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = server.app.shutdown.clone();
    let serving = axum::serve(listener, server.router.clone()).with_graceful_shutdown(shutdown.cancelled_owned());
    server.app.spawn(serving.into_future());
    server.app.spawn(run_sequencer(server.app.clone()));
    server.app.spawn(run_follower(server.app.clone()));
    address
}

/// Opens a stream that must open.
pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Socket {
    connect_async(upgrade(address, path, headers)).await.unwrap().0
}

/// The status and the body with which a stream does not open.
pub async fn refusal(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    match connect_async(upgrade(address, path, headers)).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), serde_json::from_slice(body).unwrap_or_default())
        }
        other => panic!("{path} {headers:?}: {other:?}"),
    }
}

/// Opens a stream whose client takes hardly anything unless it reads.
pub async fn open_narrow(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Socket {
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(2048).unwrap();
    let tcp = MaybeTlsStream::Plain(tcp.connect(address).await.unwrap());
    client_async(upgrade(address, path, headers), tcp).await.unwrap().0
}

fn upgrade(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// The next frame with content.
pub async fn next(socket: &mut Socket) -> Value {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The next frame of one type.
pub async fn next_of_type(socket: &mut Socket, wanted: &str) -> Value {
    loop {
        let frame = next(socket).await;
        if frame["type"] == wanted {
            return frame;
        }
    }
}

pub async fn close_code(socket: &mut Socket) -> u16 {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Close(Some(frame)) => return frame.code.into(),
            Message::Close(None) => panic!("no code"),
            _ => {}
        }
    }
}

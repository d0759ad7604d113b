//! A proxy such as offices have: it passes everything on, except that it knows no WebSocket.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use e2e::outcome::Outcome;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// It ends when this is dropped.
pub struct SocketlessProxy {
    pub address: SocketAddr,
    refused: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl SocketlessProxy {
    /// Stands in front of the server at `to`.
    pub async fn start(to: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                connections.spawn(async move {
                    // A connection that breaks is the browser's to notice.
                    let _broke = pass_on(connection, to, &count).await;
                });
            }
        });
        Ok(Self { address, refused, _tasks: tasks })
    }

    /// How many times a WebSocket was refused.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Browsers open a connection of its own for each WebSocket, so its first bytes tell.
async fn pass_on(mut client: TcpStream, to: SocketAddr, refused: &AtomicUsize) -> std::io::Result<()> {
    let mut head = vec![0; 8192];
    let length = client.read(&mut head).await?;
    let head = &head[..length];
    if head.starts_with(b"GET /ws/") {
        refused.fetch_add(1, Ordering::Relaxed);
        return client.write_all(REFUSAL).await;
    }
    let mut server = TcpStream::connect(to).await?;
    server.write_all(head).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

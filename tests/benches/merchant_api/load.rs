//! A load generator that costs little beside the server it asks: plain HTTP/1.1 over connections that stay open.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use e2e::outcome::{Failure, Outcome};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// How a round of load went.
pub struct Round {
    /// Good answers.
    pub answers: u64,
    pub took: Duration,
    /// From a request to its answer, in order of size.
    delays: Vec<Duration>,
}

impl Round {
    /// Good answers each second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }

    /// The delay that so many percent of all answers stay within.
    pub fn delay(&self, percent: usize) -> Duration {
        let last = self.delays.len().saturating_sub(1);
        self.delays.get((last * percent).div_ceil(100)).copied().unwrap_or_default()
    }
}

/// Sends requests over so many connections for so long; `request` makes the bytes of each.
///
/// # Errors
///
/// If any answer is not good: a rate of refusals would measure something else.
pub async fn round(
    address: &str,
    connections: usize,
    duration: Duration,
    request: impl Fn() -> Vec<u8> + Clone + Send + 'static,
) -> Outcome<Round> {
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    let started = Instant::now();
    for _ in 0..connections {
        let (address, over, request) = (address.to_owned(), Arc::clone(&over), request.clone());
        clients.spawn(async move {
            let mut connection = Connection::open(&address).await?;
            let mut delays = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let sent = Instant::now();
                let status = connection.ask(&request()).await?;
                if !(200..300).contains(&status) {
                    return Err(Failure::new(format!("the server answered {status} under load")));
                }
                delays.push(sent.elapsed());
            }
            Ok(delays)
        });
    }
    tokio::time::sleep(duration).await;
    over.store(true, Ordering::Relaxed);
    let mut delays = Vec::new();
    while let Some(client) = clients.join_next().await {
        delays.extend(client.map_err(|error| Failure::new(error.to_string()))??);
    }
    let took = started.elapsed();
    delays.sort_unstable();
    Ok(Round { answers: delays.len() as u64, took, delays })
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut lines = vec![format!("{method} {path} HTTP/1.1"), "host: bench".to_owned()];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if !body.is_empty() {
        lines.push("content-type: application/json".to_owned());
        lines.push(format!("content-length: {}", body.len()));
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(8192) })
    }

    /// Sends a request and reads its whole answer; returns the status.
    async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            if let Some(at) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.receive().await?;
        };
        let text = std::str::from_utf8(&self.received[..head]).map_err(io::Error::other)?;
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("the answer has no status"))?;
        let header = |wanted: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
            })
        };
        if header("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
            while !is_whole(&self.received[head..])? {
                self.receive().await?;
            }
            return Ok(status);
        }
        let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
        let end = head + length.ok_or_else(|| io::Error::other("the answer does not say its length"))?;
        while self.received.len() < end {
            self.receive().await?;
        }
        Ok(status)
    }

    async fn receive(&mut self) -> io::Result<()> {
        let count = self.stream.read_buf(&mut self.received).await?;
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Whether a body that comes in chunks is there to its end.
fn is_whole(mut body: &[u8]) -> io::Result<bool> {
    while let Some(at) = body.windows(2).position(|bytes| bytes == b"\r\n") {
        let size = std::str::from_utf8(&body[..at]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or_else(|| io::Error::other("a chunk of the answer does not say its length"))?;
        match body.get(at + 2 + size + 2..) {
            None => return Ok(false),
            Some(_) if size == 0 => return Ok(true),
            Some(rest) => body = rest,
        }
    }
    Ok(false)
}

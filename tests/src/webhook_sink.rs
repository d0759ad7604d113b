//! What a merchant listens with: a real HTTP receiver that can misbehave in every way real ones do.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use wire::{
    event::{Event, EventData, EventRequest},
    webhook::LegacyEvent,
};

use crate::eventually;

/// How the sink answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Status(u16),
    /// Not now, but in so many seconds.
    RetryAfter(u32),
    Redirect(String),
    /// Accepts the request and never answers.
    Hang,
    /// Closes the connection instead of answering.
    Reset,
    /// This status, and then a body that never ends.
    Endless(u16),
    /// One byte of the answer every now and then.
    Drip,
}

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub event: Event,
    /// When the last of it came.
    pub at: Instant,
}

impl Received {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Whether the signature is what `secret` makes of the timestamp and the very bytes that came.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let signature = demo::webhook::sign(secret, self.header("x-pepay-timestamp"), &self.body);
        self.header("x-pepay-signature") == signature
    }
}

/// A receiver on a free port.
pub struct WebhookSink {
    pub url: String,
    shared: Arc<Shared>,
    /// Ends with the sink.
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Lets hanging replies go.
    released: Notify,
}

#[derive(Default)]
struct State {
    connections: usize,
    received: Vec<Received>,
    replies: VecDeque<Reply>,
    /// What follows when `replies` is empty; 200 if there is nothing.
    always: Option<Reply>,
    /// Bytes of endless bodies that were taken from us, by connection.
    endless_bytes: Vec<usize>,
}

impl WebhookSink {
    /// A sink that answers 200.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        let listening = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                listening.lock().connections += 1;
                let shared = Arc::clone(&listening);
                connections.spawn(async move {
                    // What a sender does to its own connection is no failure of the sink.
                    let _hung_up = serve(stream, &shared).await;
                });
            }
        });
        Self { url: format!("http://{address}/hook"), shared, _tasks: tasks }
    }

    /// Answers the next requests so, one each.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().replies.extend(replies);
    }

    /// Answers all requests so that [`WebhookSink::reply`] says nothing about.
    pub fn always(&self, reply: Reply) {
        self.shared.lock().always = Some(reply);
    }

    /// Everything that arrived so far, also what was answered badly.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// How much arrived so far.
    pub fn count(&self) -> usize {
        self.shared.lock().received.len()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// How much of each endless body the sender took before it hung up.
    pub fn endless_bytes(&self) -> Vec<usize> {
        self.shared.lock().endless_bytes.clone()
    }

    /// Waits until so many requests arrived, and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait_until(&format!("{count} webhooks"), |received| count <= received.len()).await
    }

    /// Waits until what arrived is as wanted, and returns all.
    pub async fn wait_until(&self, what: &str, mut is_enough: impl FnMut(&[Received]) -> bool) -> Vec<Received> {
        eventually(what, async || {
            let received = self.received();
            is_enough(&received).then_some(received)
        })
        .await
    }
}

impl Drop for WebhookSink {
    fn drop(&mut self) {
        self.shared.released.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut bytes).await? {
        let reply = {
            let mut state = shared.lock();
            state.received.push(request);
            state.replies.pop_front().or_else(|| state.always.clone()).unwrap_or(Reply::Status(200))
        };
        match reply {
            Reply::Status(status) => answer(&mut stream, status, "").await?,
            Reply::RetryAfter(seconds) => answer(&mut stream, 503, &format!("retry-after: {seconds}\r\n")).await?,
            Reply::Redirect(url) => answer(&mut stream, 307, &format!("location: {url}\r\n")).await?,
            Reply::Hang => {
                shared.released.notified().await;
                return Ok(());
            }
            Reply::Reset => {
                stream.set_zero_linger()?;
                return Ok(());
            }
            Reply::Endless(status) => {
                stream.write_all(format!("HTTP/1.1 {status} x\r\n\r\n").as_bytes()).await?;
                let connection = {
                    let mut state = shared.lock();
                    state.endless_bytes.push(0);
                    state.endless_bytes.len() - 1
                };
                loop {
                    stream.write_all(&[b'x'; 4096]).await?;
                    shared.lock().endless_bytes[connection] += 4096;
                }
            }
            Reply::Drip => {
                for byte in "HTTP/1.1 200 OK\r\nx-drip: ".bytes().chain(std::iter::repeat(b'x')) {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
    Ok(())
}

async fn answer(stream: &mut TcpStream, status: u16, headers: &str) -> std::io::Result<()> {
    let text = format!("HTTP/1.1 {status} x\r\n{headers}content-length: 2\r\n\r\n{{}}");
    stream.write_all(text.as_bytes()).await
}

/// Reads one request; `None` if the sender has no more. A request that makes no sense fails the test.
async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Option<Received>> {
    loop {
        if let Some((request, length)) = parse(bytes) {
            bytes.drain(..length);
            return Ok(Some(request));
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let head_length = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_length]).expect("heads are text");
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    assert_eq!(first, "POST /hook HTTP/1.1", "webhooks are posted to their path");
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").expect("webhooks have a length");
    let length: usize = length.1.parse().expect("a length is a number");
    let body = bytes.get(head_length..head_length + length)?.to_vec();
    let event = serde_json::from_slice(&body).or_else(|_| serde_json::from_slice(&body).map(in_todays_form));
    let event = event.expect("a webhook's body is an event");
    Some((Received { headers, body, event, at: Instant::now() }, head_length + length))
}

/// An event of the older form, so that tests can ask all that arrives the same questions.
fn in_todays_form(event: LegacyEvent) -> Event {
    Event {
        id: event.id,
        object: "legacy".to_owned(),
        api_version: "legacy".to_owned(),
        created: event.created,
        event_type: event.event_type,
        livemode: false,
        pending_webhooks: 0,
        request: EventRequest::default(),
        data: EventData {
            object: serde_json::to_value(event.data).expect("it was read from JSON"),
            previous_attributes: None,
        },
    }
}

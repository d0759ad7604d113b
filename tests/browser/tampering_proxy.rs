//! Somebody between the page and its server, who puts another address in the place of the merchant's.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use e2e::outcome::Outcome;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// It ends when this is dropped.
pub struct TamperingProxy {
    pub address: SocketAddr,
    forgery: Arc<Mutex<Option<Forgery>>>,
    _tasks: JoinSet<()>,
}

/// What is replaced in answers, and by what; both have the same length, so that nothing else has to change.
#[derive(Clone, Debug)]
pub struct Forgery {
    pub before: String,
    pub after: String,
    pub reach: Reach,
}

/// How much of an answer is forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of it: what is drawn, and the data beside it.
    Everything,
    /// Only what comes before the page's data: the markup.
    Markup,
}

/// Where a page begins, and where its data does.
const PAGE: &[u8] = b"<!doctype html";
const DATA: &[u8] = b"id=\"snapshot\"";

impl TamperingProxy {
    /// Stands in front of the server at `to`, and changes nothing for now.
    pub async fn start(to: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let forgery = Arc::new(Mutex::new(None));
        let held = Arc::clone(&forgery);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let held = Arc::clone(&held);
                connections.spawn(async move {
                    // A connection that breaks is the browser's to notice.
                    let _broke = pass_on(client, to, &held).await;
                });
            }
        });
        Ok(Self { address, forgery, _tasks: tasks })
    }

    /// Forges whatever is answered from now on.
    pub fn forge(&self, forgery: Forgery) {
        assert_eq!(forgery.before.len(), forgery.after.len());
        *self.forgery.lock().unwrap_or_else(PoisonError::into_inner) = Some(forgery);
    }
}

async fn pass_on(client: TcpStream, to: SocketAddr, forgery: &Mutex<Option<Forgery>>) -> std::io::Result<()> {
    let server = TcpStream::connect(to).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // What is compressed cannot be forged in passing, so nothing is asked for that way.
    let plain =
        Forgery { before: "accept-encoding".to_owned(), after: "xccept-encoding".to_owned(), reach: Reach::Everything };
    let requests = copy(&mut from_client, &mut to_server, || Some(plain.clone()));
    let answers =
        copy(&mut from_server, &mut to_client, || forgery.lock().unwrap_or_else(PoisonError::into_inner).clone());
    tokio::try_join!(requests, answers).map(drop)
}

/// Passes bytes on until there are no more. What may be the beginning of something to replace waits for the rest of it.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    forgery: impl Fn() -> Option<Forgery>,
) -> std::io::Result<()> {
    let mut held = Vec::new();
    let mut is_in_markup = false;
    loop {
        let count = from.read_buf(&mut held).await?;
        let mut keep = 0;
        if let Some(Forgery { before, after, reach }) = forgery() {
            let forged = match reach {
                Reach::Everything => 0..held.len(),
                Reach::Markup => {
                    let start = if is_in_markup { 0 } else { find(&held, PAGE).unwrap_or(held.len()) };
                    let length = find(&held[start..], DATA);
                    is_in_markup = length.is_none() && start < held.len();
                    start..length.map_or(held.len(), |length| start + length)
                }
            };
            let (before, after) = (before.as_bytes(), after.as_bytes());
            replace(&mut held[forged], before, after);
            let begun = |text: &[u8]| {
                let may_begin = |length: &usize| held[held.len() - length..].eq_ignore_ascii_case(&text[..*length]);
                (1..text.len().min(held.len() + 1)).rev().find(may_begin).unwrap_or(0)
            };
            // A mark that is cut in two would not be found either.
            keep = begun(before).max(begun(PAGE)).max(begun(DATA));
        }
        if count == 0 {
            to.write_all(&held).await?;
            return to.shutdown().await;
        }
        let rest = held.split_off(held.len() - keep);
        to.write_all(&held).await?;
        held = rest;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted))
}

fn replace(bytes: &mut [u8], before: &[u8], after: &[u8]) {
    let mut from = 0;
    while let Some(at) = find(&bytes[from..], before) {
        let start = from + at;
        from = start + before.len();
        bytes[start..from].copy_from_slice(after);
    }
}

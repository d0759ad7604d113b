//! One connection of a stream, whatever it follows.
//!
//! It subscribes before it reads the log, so that nothing falls in between; what it sends always comes from the
//! log, never from the notification. Between any two parts of the log it listens: to its client, to the end of
//! what opened it, to the shutdown. A client that does not read, does not answer or sends too much is let go.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    extract::{
        WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use domain::{id::EventId, time::UnixSeconds};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};
use wire::event::{Control, Event, StreamError};

use crate::{
    app::App,
    events::{Held, Seen, Subscription},
    http::{
        error::{ApiError, invalid},
        extract::Parameters,
    },
    store::{AccessEnd, LogPart, StoreError, StoredEvent, Tx},
};

const PING_EVERY: Duration = Duration::from_secs(30);
/// Two missed pings and some patience.
const SILENT_FOR_AT_MOST: Duration = Duration::from_secs(75);
/// How long a client may take to answer a close.
const CLOSING_TAKES_AT_MOST: Duration = Duration::from_secs(5);
const READ_BUFFER_BYTES: usize = 1024;
/// More than the largest event; what does not fit is a client that does not read.
const MOST_UNSENT_BYTES: usize = 64 * 1024;
/// When who has too many streams may have room again.
const RETRY_AFTER_SECONDS: i64 = 30;
/// Few, because every connection may hold so many at once.
const EVENTS_AT_ONCE: usize = 32;
/// How much of the log stands for all of it where that no longer reaches back far enough.
const SNAPSHOT_EVENTS: usize = 100;
/// As `close_code`, but of our own.
const TOKEN_EXPIRED: u16 = 4401;

/// What a stream follows, and how its client sees that.
pub(super) trait Followed: Send + Sync + Sized + 'static {
    /// The first second in which the client may not follow it any more, if that comes by itself.
    fn ends_at(&self) -> Option<UnixSeconds>;

    /// The next part of the log after a number.
    fn read_after(
        &self,
        tx: &mut Tx<'_>,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<LogPart, StoreError>> + Send;

    /// Its newest events, the newest first.
    fn read_newest(
        &self,
        tx: &mut Tx<'_>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send;

    /// Up to which number of the log events may be gone for their age.
    fn pruned_to(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// An event as the client may see it.
    fn show(&self, tx: &mut Tx<'_>, event: &StoredEvent) -> impl Future<Output = Result<Event, StoreError>> + Send;

    /// Takes note of how everything is that changes without an event, before the client hears of any of it; what the first
    /// frame says.
    fn begin(&mut self, app: &App) -> impl Future<Output = Result<Value, StoreError>> + Send;

    /// Frames about what changed without an event.
    fn besides(
        &mut self,
        app: &App,
        sent: i64,
        before: Seen,
        now: Seen,
    ) -> impl Future<Output = Result<Vec<Frame>, StoreError>> + Send;
}

/// A frame that is not in the log.
pub(super) enum Frame {
    Event(Box<Event>),
    Control(&'static str, Value),
}

/// The part of the query that all streams share.
pub(super) fn since(parameters: &Parameters) -> Result<Option<EventId>, ApiError> {
    if !matches!(parameters.get("format"), None | Some("event_v1")) {
        return Err(invalid("format", "format must be event_v1"));
    }
    parameters.get("since").map(parse_since).transpose()
}

fn parse_since(text: &str) -> Result<EventId, ApiError> {
    text.parse().map_err(|_| invalid("since", "since must be the id of an event, as in evt_1790000000000-4"))
}

/// A stream that is about to be opened.
pub(super) struct Opening<F> {
    pub app: App,
    pub upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    pub followed: F,
    /// What it was opened with, if that can be taken back.
    pub held: Option<Held>,
    pub since: Option<EventId>,
}

impl<F: Followed> Opening<F> {
    /// Answers the upgrade and runs the stream, if `subscribe` finds room for it.
    pub(super) fn open(self, subscribe: impl FnOnce(&App) -> Option<Subscription>) -> Result<Response, ApiError> {
        let Self { app, upgrade, followed, held, since } = self;
        let upgrade = upgrade.map_err(|_| ApiError::UpgradeRequired)?;
        let subscription =
            subscribe(&app).ok_or(ApiError::TooManyStreams { retry_after_seconds: RETRY_AFTER_SECONDS })?;
        let most_bytes = app.config.limits.socket_frame_bytes;
        let task = app.tasks.clone();
        Ok(upgrade
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(MOST_UNSENT_BYTES)
            .max_message_size(most_bytes)
            .max_frame_size(most_bytes)
            // The tracker makes shutdown wait for the close to be sent.
            .on_upgrade(move |socket| {
                let connection = Connection {
                    seen: subscription.begun_at,
                    app,
                    socket,
                    followed,
                    held,
                    sent: 0,
                    behind: None,
                    heard_at: Instant::now(),
                };
                task.track_future(connection.run(subscription, since))
            }))
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client closed it or is gone.
    Gone,
    /// The client does not take what we send.
    NotReading,
    /// The client has said nothing for long.
    Silent,
    /// The client broke the protocol or the limits.
    BadFrame,
    /// What opened it has come to its end.
    Expired,
    /// What opened it was taken back.
    Revoked,
    Shutdown,
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<AccessEnd> for End {
    fn from(end: AccessEnd) -> Self {
        match end {
            AccessEnd::Expired => Self::Expired,
            AccessEnd::Revoked => Self::Revoked,
        }
    }
}

/// What is being sent from the log.
#[derive(Clone, Copy, Debug)]
enum Behind {
    /// What was asked for, with the number of events of it so far.
    Replay(u64),
    Live,
}

struct Connection<F> {
    app: App,
    socket: WebSocket,
    followed: F,
    held: Option<Held>,
    /// Everything up to this number that is the client's it has, or had before it came.
    sent: i64,
    /// Whether there may be more in the log.
    behind: Option<Behind>,
    /// What the client was told of, or was before it came.
    seen: Seen,
    heard_at: Instant,
}

impl<F: Followed> Connection<F> {
    async fn run(mut self, mut subscription: Subscription, since: Option<EventId>) {
        let end = match self.follow(&mut subscription, since).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        drop(subscription);
        Box::pin(self.close(end)).await;
    }

    /// What is seldom under way is boxed: it takes no room while the socket only waits, as most of thousands do.
    async fn follow(&mut self, subscription: &mut Subscription, since: Option<EventId>) -> Result<Infallible, End> {
        Box::pin(self.begin(since)).await?;
        let mut pings = tokio::time::interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.tick().await;
        loop {
            let is_behind = self.behind.is_some();
            tokio::select! {
                end = over(&self.app, &mut self.held) => return Err(end),
                message = self.socket.recv() => Box::pin(self.hear(message)).await?,
                _ = pings.tick() => Box::pin(self.ping()).await?,
                seen = subscription.changed(), if !is_behind => Box::pin(self.notice(seen)).await?,
                () = std::future::ready(()), if is_behind => Box::pin(self.send_part()).await?,
            }
        }
    }

    /// Greets the client and finds where in the log to begin.
    async fn begin(&mut self, since: Option<EventId>) -> Result<(), End> {
        let mut reader = self.app.store.reader().await?;
        let last = reader.tx().last_event_sequence().await?;
        drop(reader);
        // After the end of the log: what the first frame does not tell yet comes as an event.
        let subject = self.followed.begin(&self.app).await?;
        self.send_control("connected", subject).await?;
        let Some(since) = since else {
            self.sent = last;
            return Ok(());
        };
        let asked = json!({ "since": since.to_string() });
        if last < since.sequence {
            // Of another log, or made up. To wait until ours has got there would be to say nothing, and what its
            // holder missed nobody knows.
            self.sent = last;
            return self.send_control("resync.required", asked).await;
        }
        self.sent = since.sequence;
        let mut reader = self.app.store.reader().await?;
        let is_gone = self.followed.pruned_to(&mut reader.tx()).await? > self.sent;
        drop(reader);
        if is_gone {
            return self.send_snapshot(asked).await;
        }
        self.behind = Some(Behind::Replay(0));
        self.send_control("replay.started", asked).await
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let message = match message {
            None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
            Some(Err(_)) => return Err(End::BadFrame),
            Some(Ok(message)) => message,
        };
        self.heard_at = Instant::now();
        // Pings of the protocol are answered by the socket itself.
        let Message::Text(text) = message else { return Ok(()) };
        let is_ping = serde_json::from_str::<Value>(&text).is_ok_and(|value| value["type"] == "ping");
        if is_ping { self.send(&json!({ "type": "pong" })).await } else { Ok(()) }
    }

    async fn notice(&mut self, seen: Seen) -> Result<(), End> {
        if self.sent < seen.last_sequence {
            self.behind = Some(Behind::Live);
        }
        let before = std::mem::replace(&mut self.seen, seen);
        for frame in self.followed.besides(&self.app, self.sent, before, seen).await? {
            match frame {
                Frame::Event(event) => self.send(&event).await?,
                Frame::Control(control_type, data) => self.send_control(control_type, data).await?,
            }
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.followed.ends_at().is_some_and(|end| end <= self.app.clock.now()) {
            return Err(End::Expired);
        }
        if SILENT_FOR_AT_MOST <= self.heard_at.elapsed() {
            return Err(End::Silent);
        }
        self.send_message(Message::Ping(axum::body::Bytes::new())).await
    }

    /// Sends the next few events that the client does not have yet.
    async fn send_part(&mut self) -> Result<(), End> {
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let part = self.followed.read_after(&mut tx, self.sent, EVENTS_AT_ONCE).await?;
        // Asked after reading: what was removed meanwhile is missing in the part.
        let is_gone = self.followed.pruned_to(&mut tx).await? > self.sent;
        let events = if is_gone { Vec::new() } else { show(&self.followed, &mut tx, &part.events).await? };
        // A slow client must not keep a connection to the database.
        drop(reader);
        if is_gone {
            return self.send_snapshot(json!({})).await;
        }
        for (id, event) in &events {
            self.send(event).await?;
            self.sent = id.sequence;
            if let Some(Behind::Replay(count)) = &mut self.behind {
                *count += 1;
            }
        }
        self.sent = self.sent.max(part.reached);
        match self.behind {
            Some(Behind::Replay(count)) if part.is_end => {
                self.behind = None;
                self.send_control("replay.completed", json!({ "count": count })).await
            }
            Some(Behind::Live) if part.is_end => {
                self.behind = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sends the newest events in place of all that the log does not hold any more.
    async fn send_snapshot(&mut self, asked: Value) -> Result<(), End> {
        self.send_control("resync.required", asked).await?;
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let last = tx.last_event_sequence().await?;
        let mut newest = self.followed.read_newest(&mut tx, SNAPSHOT_EVENTS).await?;
        newest.reverse();
        let events = show(&self.followed, &mut tx, &newest).await?;
        drop(reader);
        for (_, event) in &events {
            self.send(event).await?;
        }
        // Everything of the client's up to there is in the snapshot, or older than it.
        self.sent = events.last().map_or(last, |(id, _)| id.sequence.max(last));
        self.behind = Some(Behind::Live);
        self.send_control("replay.completed", json!({ "count": events.len() })).await
    }

    async fn send_control(&mut self, control_type: &str, data: Value) -> Result<(), End> {
        let created = self.app.clock.now().0;
        let control_type = control_type.to_owned();
        self.send(&Control { object: "ws_control".to_owned(), control_type, created, data }).await
    }

    async fn send(&mut self, frame: &impl Serialize) -> Result<(), End> {
        let text = serde_json::to_string(frame).unwrap_or_default();
        self.send_message(Message::Text(text.into())).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), End> {
        let patience = Duration::from_millis(self.app.config.limits.socket_send_timeout_ms);
        let (app, held, socket) = (&self.app, &mut self.held, &mut self.socket);
        tokio::select! {
            biased;
            sent = tokio::time::timeout(patience, socket.send(message)) => match sent {
                Ok(sent) => sent.map_err(|_| End::Gone),
                Err(_elapsed) => Err(End::NotReading),
            },
            end = over(app, held) => Err(end),
        }
    }

    /// Says why, as far as there is anybody to hear it, and waits for the client's own close.
    async fn close(self, end: End) {
        let (code, error, reason) = match &end {
            End::Gone => (close_code::NORMAL, None, ""),
            End::NotReading => (close_code::POLICY, Some("too_slow"), "what was sent was not taken in time"),
            End::Silent => (close_code::POLICY, Some("silent"), "no answer to pings"),
            End::BadFrame => (close_code::POLICY, None, "the frame is too large or broken"),
            End::Expired => (TOKEN_EXPIRED, Some("token_expired"), "stream token expired"),
            End::Revoked => (close_code::POLICY, Some("credential_revoked"), "what opened this stream was revoked"),
            End::Shutdown => (close_code::AWAY, None, "the server is shutting down"),
            End::Store(error) => {
                tracing::error!(error = %error, "a stream could not read the log");
                (close_code::ERROR, Some("internal_error"), "something went wrong on our side")
            }
        };
        let said = error.map(|code| StreamError {
            object: "ws_error".to_owned(),
            code: code.to_owned(),
            message: reason.to_owned(),
            created: self.app.clock.now().0,
        });
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let mut socket = self.socket;
        let closing = async move {
            if let Some(error) = said {
                let text = serde_json::to_string(&error).unwrap_or_default();
                let _gone = socket.send(Message::Text(text.into())).await;
            }
            let _gone = socket.send(Message::Close(Some(frame))).await;
            // So that ours is not lost with the connection.
            while let Some(Ok(_)) = socket.recv().await {}
        };
        let _elapsed = tokio::time::timeout(CLOSING_TAKES_AT_MOST, closing).await;
    }
}

/// Waits until the stream is over without its client's doing.
async fn over(app: &App, held: &mut Option<Held>) -> End {
    let taken_back = async {
        match held {
            Some(held) => held.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = app.shutdown.cancelled() => End::Shutdown,
        end = taken_back => end.into(),
    }
}

async fn show<F: Followed>(
    followed: &F,
    tx: &mut Tx<'_>,
    events: &[StoredEvent],
) -> Result<Vec<(EventId, Event)>, StoreError> {
    let mut shown = Vec::with_capacity(events.len());
    for event in events {
        shown.push((event.id, followed.show(tx, event).await?));
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_an_event_s_id() {
        assert_eq!(parse_since("evt_5-4").unwrap().sequence, 4);
        for text in ["", "4", "evt_5", "evt_x-4"] {
            assert!(matches!(parse_since(text), Err(ApiError::Invalid { field, .. }) if field == "since"), "{text}");
        }
    }
}

//! `GET /ws/payment`: one payer's page follows one invoice.
//!
//! A connection subscribes before it reads the log, so that nothing falls in between; what it sends
//! always comes from the log, never from the notification. A client that does not read, does not answer
//! or sends too much is let go.

use std::time::Duration;

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use domain::{
    id::{EventId, QuoteId},
    signature::CredentialHash,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};
use wire::event::{Control, StreamError};

use super::payor_events::{payor_event, quote_event};
use crate::{
    app::App,
    events::{Seen, Subscription},
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::Parameters,
    },
    store::{InvoiceRecord, QuoteRecord, StoreError, StreamSession},
};

const PING_EVERY: Duration = Duration::from_secs(30);
/// Two missed pings and some patience.
const SILENT_FOR_AT_MOST: Duration = Duration::from_secs(75);
/// How long a client may take to answer a close.
const CLOSING_TAKES_AT_MOST: Duration = Duration::from_secs(2);
const READ_BUFFER_BYTES: usize = 1024;
/// More than the largest event; what does not fit is a client that does not read.
const MOST_UNSENT_BYTES: usize = 64 * 1024;
/// When an invoice with too many streams may have room again.
const RETRY_AFTER_SECONDS: i64 = 30;
const EVENTS_AT_ONCE: i64 = 100;
/// As `close_code`, but of our own.
const TOKEN_EXPIRED: u16 = 4401;

/// Follows the invoice that the query's token opens, from the event `since` names, or from now.
#[utoipa::path(
    get,
    path = "/ws/payment",
    tag = "Streams",
    params(
        ("since" = Option<String>, Query, pattern = "^evt_[0-9]+-[0-9]+$",
            description = "The id of the last event you have; what came after it is sent first."),
        ("format" = Option<String>, Query, pattern = "^event_v1$", description = "Always `event_v1`.")
    ),
    responses((status = 101, description = "The connection is a WebSocket from here on.")),
    security(("stream_token" = [])),
    extensions(("x-error-codes" = json!(codes![UPGRADE_REQUIRED])))
)]
pub async fn follow_payment(
    State(app): State<App>,
    parameters: Parameters,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let session = open_stream(&app, parameters.get("token")).await?;
    let since = parameters.get("since").map(parse_since).transpose()?;
    if !matches!(parameters.get("format"), None | Some("event_v1")) {
        return Err(invalid("format", "format must be event_v1"));
    }
    let upgrade = upgrade.map_err(|_| ApiError::UpgradeRequired)?;
    let most_sockets = app.config.limits.sockets_per_invoice;
    let subscription = app.hub.follow_invoice_within(session.merchant, session.invoice, most_sockets);
    let subscription = subscription.ok_or(ApiError::RateLimited { retry_after_seconds: RETRY_AFTER_SECONDS })?;
    let most_bytes = app.config.limits.socket_frame_bytes;
    let task = app.tasks.clone();
    Ok(upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MOST_UNSENT_BYTES)
        .max_message_size(most_bytes)
        .max_frame_size(most_bytes)
        // The tracker makes shutdown wait for the close to be sent.
        .on_upgrade(move |socket| task.track_future(Connection::run(app, socket, subscription, session, since))))
}

async fn open_stream(app: &App, token: Option<&str>) -> Result<StreamSession, ApiError> {
    let token = token.ok_or(ApiError::StreamTokenInvalid)?;
    let session = app.store.reader().await?.tx().stream_session(CredentialHash::of(token)).await?;
    let session = session.ok_or(ApiError::StreamTokenInvalid)?;
    if session.expires_at < app.clock.now() { Err(ApiError::StreamTokenExpired) } else { Ok(session) }
}

fn parse_since(text: &str) -> Result<EventId, ApiError> {
    text.parse().map_err(|_| invalid("since", "since must be the id of an event, as in evt_1790000000000-4"))
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
    TokenExpired,
    Shutdown,
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct Connection {
    app: App,
    socket: WebSocket,
    session: StreamSession,
    /// The number of the last event the client has, or was before it.
    sent: i64,
    /// What the client was told of, or was before it.
    seen: Seen,
    /// The invoice as the client has it: what changed on another node is noticed later, and must not be told twice.
    told: Told,
    heard_at: Instant,
}

/// What a client knows of its invoice beside the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    version: Option<i64>,
    quote: Option<QuoteId>,
}

impl Connection {
    async fn run(
        app: App,
        socket: WebSocket,
        mut subscription: Subscription,
        session: StreamSession,
        since: Option<EventId>,
    ) {
        let seen = subscription.begun_at;
        let mut connection =
            Self { app, socket, session, sent: 0, seen, told: Told::default(), heard_at: Instant::now() };
        let end = match connection.follow(&mut subscription, since).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        drop(subscription);
        connection.close(end).await;
    }

    async fn follow(
        &mut self,
        subscription: &mut Subscription,
        since: Option<EventId>,
    ) -> Result<std::convert::Infallible, End> {
        let invoice = self.session.invoice.to_string();
        self.told = self.look().await?.0;
        self.send_control("connected", json!({ "invoice_id": invoice })).await?;
        match since {
            Some(since) => self.replay(since).await?,
            None => self.sent = self.app.store.reader().await?.tx().last_event_sequence().await?,
        }

        let shutdown = self.app.shutdown.clone();
        let mut pings = tokio::time::interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.tick().await;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Err(End::Shutdown),
                message = self.socket.recv() => self.hear(message).await?,
                seen = subscription.changed() => self.tell(seen).await?,
                _ = pings.tick() => self.ping().await?,
            }
        }
    }

    async fn replay(&mut self, since: EventId) -> Result<(), End> {
        let last_sequence = self.app.store.reader().await?.tx().last_event_sequence().await?;
        if last_sequence < since.sequence {
            // Of another log, or made up. To wait until ours has got there would be to say nothing.
            self.sent = last_sequence;
            return self.send_control("resync.required", json!({ "since": since.to_string() })).await;
        }
        self.sent = since.sequence;
        self.send_control("replay.started", json!({ "since": since.to_string() })).await?;
        let count = self.send_events().await?;
        self.send_control("replay.completed", json!({ "count": count })).await
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

    async fn tell(&mut self, seen: Seen) -> Result<(), End> {
        if self.sent < seen.last_sequence {
            self.send_events().await?;
        }
        let before = std::mem::replace(&mut self.seen, seen);
        if (before.quotes, before.snapshots) == (seen.quotes, seen.snapshots) {
            return Ok(());
        }
        let (now, invoice, quote) = self.look().await?;
        if let (Some(invoice), Some(quote)) = (invoice, quote)
            && self.told.quote != now.quote
        {
            self.send(&quote_event(&invoice, &quote, self.sent, self.app.clock.now_ms())).await?;
            self.told.quote = now.quote;
        }
        if before.snapshots != seen.snapshots && self.told.version != now.version {
            self.send_control("snapshot.changed", json!({ "version": now.version })).await?;
            self.told.version = now.version;
        }
        Ok(())
    }

    /// How the invoice stands, and what is to be paid for it.
    async fn look(&mut self) -> Result<(Told, Option<InvoiceRecord>, Option<QuoteRecord>), End> {
        let (merchant, invoice) = (self.session.merchant, self.session.invoice);
        let mut reader = self.app.store.reader().await?;
        let record = reader.tx().invoice(merchant, invoice).await?;
        let quote = reader.tx().quotes(merchant, invoice).await?.pop();
        let told = Told {
            version: record.as_ref().map(|invoice| invoice.version),
            quote: quote.as_ref().map(|record| record.quote.id),
        };
        Ok((told, record, quote))
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.session.expires_at < self.app.clock.now() {
            return Err(End::TokenExpired);
        }
        if SILENT_FOR_AT_MOST <= self.heard_at.elapsed() {
            return Err(End::Silent);
        }
        self.send_message(Message::Ping(axum::body::Bytes::new())).await
    }

    /// Sends every event the client does not have yet; returns how many.
    async fn send_events(&mut self) -> Result<u64, End> {
        let mut count = 0;
        loop {
            let StreamSession { merchant, invoice, .. } = self.session;
            let mut reader = self.app.store.reader().await?;
            let events = reader.tx().events_of_invoice(merchant, invoice, self.sent, EVENTS_AT_ONCE).await?;
            // A slow client must not keep a connection to the database.
            drop(reader);
            for event in &events {
                self.send(&payor_event(event)).await?;
                self.sent = event.id.sequence;
                count += 1;
            }
            if i64::try_from(events.len()).is_ok_and(|length| length < EVENTS_AT_ONCE) {
                return Ok(count);
            }
        }
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
        match tokio::time::timeout(patience, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(|_| End::Gone),
            Err(_elapsed) => Err(End::NotReading),
        }
    }

    async fn close(mut self, end: End) {
        let (code, reason) = match &end {
            // There is nobody to tell.
            End::NotReading => return,
            End::Gone => (close_code::NORMAL, ""),
            End::Silent => (close_code::POLICY, "no answer to pings"),
            End::BadFrame => (close_code::POLICY, "the frame is too large or broken"),
            End::TokenExpired => (TOKEN_EXPIRED, "stream token expired"),
            End::Shutdown => (close_code::AWAY, "the server is shutting down"),
            End::Store(error) => {
                tracing::error!(error = %error, "a stream could not read the log");
                (close_code::ERROR, "something went wrong on our side")
            }
        };
        let said = match &end {
            End::TokenExpired => Some("token_expired"),
            End::Silent => Some("silent"),
            End::Store(_) => Some("internal_error"),
            _ => None,
        };
        if let Some(code) = said {
            let created = self.app.clock.now().0;
            let frame = StreamError {
                object: "ws_error".to_owned(),
                code: code.to_owned(),
                message: reason.to_owned(),
                created,
            };
            let _gone = self.send(&frame).await;
        }
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let mut socket = self.socket;
        let closing = async move {
            let _gone = socket.send(Message::Close(Some(frame))).await;
            // The client's own close, so that ours is not lost with the connection.
            while let Some(Ok(_)) = socket.recv().await {}
        };
        let _elapsed = tokio::time::timeout(CLOSING_TAKES_AT_MOST, closing).await;
    }
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

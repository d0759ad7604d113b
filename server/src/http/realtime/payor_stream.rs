//! `GET /ws/payment`: one payer's page follows one invoice.

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::HeaderMap,
    response::Response,
};
use domain::{id::QuoteId, signature::CredentialHash, time::UnixSeconds};
use serde_json::{Value, json};
use wire::event::Event;

use super::{
    origin::check_origin,
    payor_events::{payor_event, quote_event},
    socket::{self, Followed, Frame, Opening},
};
use crate::{
    app::App,
    events::Seen,
    http::{error::ApiError, error_codes::codes, extract::Parameters},
    store::{EventFilter, EventPart, InvoiceRecord, LogPart, QuoteRecord, StoreError, StoredEvent, StreamSession, Tx},
};

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
    extensions(("x-error-codes" = json!(codes![ORIGIN_FORBIDDEN, UPGRADE_REQUIRED])))
)]
pub async fn follow_payment(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let session = open_session(&app, parameters.get("token")).await?;
    check_origin(&app, &headers, session.merchant).await?;
    let since = socket::since(&parameters)?;
    let (merchant, invoice) = (session.merchant, session.invoice);
    Opening { app, upgrade, followed: InvoiceStream { session, told: Told::default() }, held: None, since }
        .open(|app| app.hub.follow_invoice_within(merchant, invoice, app.config.limits.sockets_per_invoice))
}

async fn open_session(app: &App, token: Option<&str>) -> Result<StreamSession, ApiError> {
    let token = token.ok_or(ApiError::StreamTokenInvalid)?;
    let session = app.store.reader().await?.tx().stream_session(CredentialHash::of(token)).await?;
    let session = session.ok_or(ApiError::StreamTokenInvalid)?;
    if session.expires_at < app.clock.now() { Err(ApiError::StreamTokenExpired) } else { Ok(session) }
}

/// What a payer may see of one invoice.
struct InvoiceStream {
    session: StreamSession,
    /// The invoice as the client has it: what changed on another node is noticed later, and must not be told twice.
    told: Told,
}

/// What a client knows of its invoice beside the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    version: Option<i64>,
    quote: Option<QuoteId>,
}

impl InvoiceStream {
    fn filter(&self) -> EventFilter {
        EventFilter { invoice: Some(self.session.invoice), ..EventFilter::default() }
    }

    /// How the invoice stands, and what is to be paid for it.
    async fn look(&self, app: &App) -> Result<(Told, Option<InvoiceRecord>, Option<QuoteRecord>), StoreError> {
        let (merchant, invoice) = (self.session.merchant, self.session.invoice);
        let mut reader = app.store.reader().await?;
        let record = reader.tx().invoice(merchant, invoice).await?;
        let quote = reader.tx().quotes(merchant, invoice).await?.pop();
        let told = Told {
            version: record.as_ref().map(|invoice| invoice.version),
            quote: quote.as_ref().map(|record| record.quote.id),
        };
        Ok((told, record, quote))
    }
}

impl Followed for InvoiceStream {
    fn ends_at(&self) -> Option<UnixSeconds> {
        Some(self.session.expires_at.plus(1))
    }

    async fn read_after(&self, tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<LogPart, StoreError> {
        tx.events_after(self.session.merchant, &self.filter(), after, limit).await
    }

    async fn read_newest(&self, tx: &mut Tx<'_>, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let list = tx.event_list(self.session.merchant, &self.filter(), EventPart::Newest, limit).await?;
        Ok(list.0)
    }

    async fn pruned_to(&self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        tx.events_pruned_to(self.session.merchant).await
    }

    async fn show(&self, _: &mut Tx<'_>, event: &StoredEvent) -> Result<Event, StoreError> {
        Ok(payor_event(event))
    }

    /// Says which snapshot there is now, so that a page that shows it need not ask.
    async fn begin(&mut self, app: &App) -> Result<Value, StoreError> {
        let (told, _, quote) = self.look(app).await?;
        self.told = told;
        let quote = quote.map(|record| {
            let quote = &record.quote;
            json!({
                "supported_token_id": quote.token.0,
                "estimated_token_amount": quote.amount.to_decimal(quote.decimals),
                "quote_valid_until": quote.valid_until.0,
            })
        });
        Ok(json!({ "invoice_id": self.session.invoice.to_string(), "version": told.version, "quote": quote }))
    }

    async fn besides(&mut self, app: &App, sent: i64, before: Seen, now: Seen) -> Result<Vec<Frame>, StoreError> {
        let mut frames = Vec::new();
        if (before.quotes, before.snapshots) == (now.quotes, now.snapshots) {
            return Ok(frames);
        }
        let (is_now, invoice, quote) = self.look(app).await?;
        if let (Some(invoice), Some(quote)) = (invoice, quote)
            && self.told.quote != is_now.quote
        {
            let event = quote_event(&invoice, &quote, app.config.kind_of(&quote.network), sent, app.clock.now_ms());
            frames.push(Frame::Event(Box::new(event)));
            self.told.quote = is_now.quote;
        }
        if before.snapshots != now.snapshots && self.told.version != is_now.version {
            frames.push(Frame::Control("snapshot.changed", json!({ "version": is_now.version })));
            self.told.version = is_now.version;
        }
        Ok(frames)
    }
}

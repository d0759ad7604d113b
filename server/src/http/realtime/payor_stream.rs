//! `GET /ws/payment`: one payer's page follows one invoice.

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::HeaderMap,
    response::Response,
};
use domain::{signature::CredentialHash, time::UnixSeconds};
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
    http::{error::ApiError, extract::Parameters},
    store::{EventFilter, EventPart, LogPart, StoreError, StoredEvent, StreamSession, Tx},
};

/// Follows the invoice that the query's token opens, from the event `since` names, or from now.
pub async fn follow_payment(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let session = open_session(&app, parameters.get("token")).await?;
    check_origin(&app, &headers, session.merchant).await?;
    let since = socket::since(&parameters)?;
    let invoice = session.invoice;
    Opening { app, upgrade, followed: InvoiceStream { session }, held: None, since }
        .open(|app| app.hub.follow_invoice_within(invoice, app.config.limits.sockets_per_invoice))
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
}

impl InvoiceStream {
    fn filter(&self) -> EventFilter {
        EventFilter { invoice: Some(self.session.invoice), ..EventFilter::default() }
    }
}

impl Followed for InvoiceStream {
    fn subject(&self) -> Value {
        json!({ "invoice_id": self.session.invoice.to_string() })
    }

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

    async fn besides(&self, app: &App, sent: i64, before: Seen, now: Seen) -> Result<Vec<Frame>, StoreError> {
        let StreamSession { merchant, invoice, .. } = self.session;
        let mut frames = Vec::new();
        if before.quotes == now.quotes && before.snapshots == now.snapshots {
            return Ok(frames);
        }
        let mut reader = app.store.reader().await?;
        let mut tx = reader.tx();
        let Some(invoice) = tx.invoice(merchant, invoice).await? else { return Ok(frames) };
        if before.quotes != now.quotes
            && let Some(quote) = tx.quotes(merchant, invoice.id).await?.pop()
        {
            let event = quote_event(&invoice, &quote, sent, app.clock.now_ms());
            frames.push(Frame::Event(Box::new(event)));
        }
        if before.snapshots != now.snapshots {
            frames.push(Frame::Control("snapshot.changed", json!({ "version": invoice.version })));
        }
        Ok(frames)
    }
}

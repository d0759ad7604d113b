//! `GET /api/v1/payments/stream-token`

use axum::{Json, extract::State};
use domain::signature::CredentialHash;
use wire::payor::StreamConnection;

use crate::{
    app::App,
    credentials::random_credential,
    http::{
        error::ApiError,
        extract::{Payor, SessionInvoice},
    },
    session,
    store::{InvoiceRecord, StoreError, StreamSession},
};

/// More than the pages that may follow one invoice at once; who asks on and on only loses older ones,
/// each of which opened, or could have opened, a stream that stays open.
const TOKENS_PER_INVOICE: i64 = 128;
/// Expired ones that a new one takes along; the rest is left to whoever tidies up.
const FORGOTTEN_AT_ONCE: i64 = 10;

/// A fresh credential for the invoice's stream, without a new quote.
#[utoipa::path(
    get,
    path = "/api/v1/payments/stream-token",
    tag = "Payors",
    params(SessionInvoice),
    responses((status = 200, body = StreamConnection)),
    security(("session_token" = [], "session_signature" = [])),
)]
pub async fn create_stream_token(State(app): State<App>, payor: Payor) -> Result<Json<StreamConnection>, ApiError> {
    Ok(Json(stream_connection(&app, payor.invoice()).await?))
}

/// Where an invoice is followed, with a new token that holds as long as the payer's session.
///
/// # Errors
///
/// If the database refuses.
pub async fn stream_connection(app: &App, invoice: &InvoiceRecord) -> Result<StreamConnection, StoreError> {
    let token = random_credential("pws_");
    let hash = CredentialHash::of(&token);
    let session =
        StreamSession { merchant: invoice.merchant, invoice: invoice.id, expires_at: session::readable_until(invoice) };
    let now = app.clock.now_ms();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.forget_stream_tokens(now.as_seconds(), FORGOTTEN_AT_ONCE).await?;
                tx.forget_older_stream_tokens(session.merchant, session.invoice, TOKENS_PER_INVOICE - 1).await?;
                tx.insert_stream_token(hash, &session, now).await
            })
        })
        .await?;
    Ok(StreamConnection {
        token,
        endpoint: "/ws/payment".to_owned(),
        format: "event_v1".to_owned(),
        ws_url: "/ws/payment?format=event_v1".to_owned(),
    })
}

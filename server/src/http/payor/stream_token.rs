//! `GET /api/v1/payments/stream-token`

use axum::{Json, extract::State};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::signature::CredentialHash;
use wire::payor::StreamConnection;

use crate::{
    app::App,
    clock::random_bytes,
    http::{error::ApiError, extract::Payor},
    session,
    store::{InvoiceRecord, StoreError, StreamSession},
};

/// A fresh credential for the invoice's stream, without a new quote.
pub async fn create_stream_token(State(app): State<App>, payor: Payor) -> Result<Json<StreamConnection>, ApiError> {
    Ok(Json(stream_connection(&app, payor.invoice()).await?))
}

/// Where an invoice is followed, with a new token that holds as long as the payer's session.
///
/// # Errors
///
/// If the database refuses.
pub async fn stream_connection(app: &App, invoice: &InvoiceRecord) -> Result<StreamConnection, StoreError> {
    let token = format!("pws_{}", BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>()));
    let hash = CredentialHash::of(&token);
    let session =
        StreamSession { merchant: invoice.merchant, invoice: invoice.id, expires_at: session::readable_until(invoice) };
    let now = app.clock.now();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.forget_stream_tokens(now).await?;
                tx.insert_stream_token(hash, &session).await
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

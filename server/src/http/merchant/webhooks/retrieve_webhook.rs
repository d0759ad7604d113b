//! `GET /api/v1/webhooks/{webhook_id}`

use axum::{Json, extract::State};
use wire::webhook::WebhookEndpoint;

use super::NamedWebhook;
use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{Merchant, rights::ReadInvoices},
    },
    view,
};

/// One endpoint, without its secret.
pub async fn retrieve_webhook(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    NamedWebhook(id): NamedWebhook,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let endpoint = app.store.reader().await?.tx().endpoint(merchant.id, id).await?;
    let endpoint = endpoint.ok_or(ApiError::WebhookNotFound)?;
    Ok(Json(view::webhook_endpoint(&endpoint, None)))
}

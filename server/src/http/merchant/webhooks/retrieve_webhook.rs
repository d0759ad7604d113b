//! `GET /api/v1/webhooks/{webhook_id}`

use axum::{Json, extract::State};
use wire::webhook::WebhookEndpoint;

use super::NamedWebhook;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::ApiError,
        extract::{Merchant, rights::ReadWebhooks},
    },
    view,
};

/// One endpoint, without its secret.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{webhook_id}",
    tag = "Webhooks",
    params(NamedWebhook),
    responses((status = 200, body = WebhookEndpoint)),
    security(("merchant_key" = ["webhooks"]), ("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND])))
)]
pub async fn retrieve_webhook(
    State(app): State<App>,
    merchant: Merchant<ReadWebhooks>,
    NamedWebhook(id): NamedWebhook,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let endpoint = app.store.reader().await?.tx().endpoint(merchant.id, id).await?;
    let endpoint = endpoint.ok_or(ApiError::WebhookNotFound)?;
    Ok(Json(view::webhook_endpoint(&endpoint, None)))
}

//! `GET /api/v1/webhooks`

use axum::{Json, extract::State};
use wire::webhook::WebhookEndpointList;

use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{Merchant, rights::ReadWebhooks},
    },
    view,
};

/// All of a merchant's endpoints, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    tag = "Webhooks",
    responses((status = 200, body = WebhookEndpointList)),
    security(("merchant_key" = ["webhooks"]), ("merchant_key" = ["invoices:read"]), ("dashboard" = []))
)]
pub async fn list_webhooks(
    State(app): State<App>,
    merchant: Merchant<ReadWebhooks>,
) -> Result<Json<WebhookEndpointList>, ApiError> {
    let endpoints = app.store.reader().await?.tx().endpoints(merchant.id).await?;
    let data = endpoints.iter().map(|endpoint| view::webhook_endpoint(endpoint, None)).collect();
    Ok(Json(WebhookEndpointList { object: "list".to_owned(), data, has_more: false }))
}

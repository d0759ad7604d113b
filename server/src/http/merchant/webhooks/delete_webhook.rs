//! `DELETE /api/v1/webhooks/{webhook_id}`

use axum::{Json, extract::State};
use wire::webhook::WebhookDeleted;

use super::NamedWebhook;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::ApiError,
        extract::{Merchant, rights::ManageWebhooks},
    },
    webhooks,
};

/// Takes an endpoint away; what was still owed to it is not sent.
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/{webhook_id}",
    tag = "Webhooks",
    params(NamedWebhook),
    responses((status = 200, body = WebhookDeleted)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND])))
)]
pub async fn delete_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    NamedWebhook(id): NamedWebhook,
) -> Result<Json<WebhookDeleted>, ApiError> {
    webhooks::delete(&app, merchant.id, id).await?;
    Ok(Json(WebhookDeleted { success: true }))
}

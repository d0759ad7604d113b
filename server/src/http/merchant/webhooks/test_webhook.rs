//! `POST /api/v1/webhooks/{webhook_id}/test`

use axum::{Extension, Json, extract::State};
use wire::webhook::{PING, WebhookTest};

use super::NamedWebhook;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        RequestId,
        error::ApiError,
        extract::{Merchant, rights::ManageWebhooks},
    },
    webhooks,
};

/// Queues a `test.ping` for this endpoint alone. What a body says is not read.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{webhook_id}/test",
    tag = "Webhooks",
    params(NamedWebhook),
    responses((status = 200, body = WebhookTest)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND, WEBHOOK_DISABLED])))
)]
pub async fn test_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    NamedWebhook(id): NamedWebhook,
    Extension(request): Extension<RequestId>,
) -> Result<Json<WebhookTest>, ApiError> {
    webhooks::ping(&app, merchant.id, id, Some(request.0)).await?;
    Ok(Json(WebhookTest { success: true, event_type: PING.to_owned() }))
}

//! `POST /api/v1/webhooks/{webhook_id}/rotate-secret`

use axum::{
    Json,
    extract::{Request, State},
};
use wire::webhook::{RotateSecretRequest, WebhookEndpoint};

use super::NamedWebhook;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::{ApiError, invalid},
        extract::{Merchant, optional_json, rights::ManageWebhooks},
    },
    view, webhooks,
};

const DEFAULT_SECONDS: i64 = 86_400;
const MOST_SECONDS: i64 = 7 * 86_400;

/// Gives an endpoint a new secret, shown in this answer only. What is sent is signed with the one before as well for a
/// while, so that nothing is refused until the receiver knows the new one.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{webhook_id}/rotate-secret",
    tag = "Webhooks",
    params(NamedWebhook),
    request_body = Option<RotateSecretRequest>,
    responses((status = 200, body = WebhookEndpoint)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND])))
)]
pub async fn rotate_webhook_secret(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    NamedWebhook(id): NamedWebhook,
    request: Request,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let request: RotateSecretRequest = optional_json(request, &app).await?.unwrap_or_default();
    let seconds = request.previous_valid_seconds.unwrap_or(DEFAULT_SECONDS);
    if !(0..=MOST_SECONDS).contains(&seconds) {
        let message = format!("previous_valid_seconds must lie between 0 and {MOST_SECONDS}");
        return Err(invalid("previous_valid_seconds", message));
    }
    let rotated = webhooks::rotate_secret(&app, merchant.id, id, seconds).await?;
    Ok(Json(view::webhook_endpoint(&rotated.endpoint, Some(rotated.secret))))
}

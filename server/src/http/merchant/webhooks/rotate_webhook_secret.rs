//! `POST /api/v1/webhooks/{webhook_id}/rotate-secret`

use axum::{Json, extract::State};
use wire::webhook::{RotateSecretRequest, WebhookEndpoint};

use super::NamedWebhook;
use crate::{
    app::App,
    http::{
        error::{ApiError, invalid},
        extract::{Merchant, OptionalJsonBody},
    },
    view, webhooks,
};

const DEFAULT_SECONDS: i64 = 86_400;
const MOST_SECONDS: i64 = 7 * 86_400;

/// Gives an endpoint a new secret, shown in this answer only. What is sent is signed with the one before as well for a
/// while, so that nothing is refused until the receiver knows the new one.
pub async fn rotate_webhook_secret(
    State(app): State<App>,
    merchant: Merchant,
    NamedWebhook(id): NamedWebhook,
    OptionalJsonBody(request): OptionalJsonBody<RotateSecretRequest>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let seconds = request.previous_valid_seconds.unwrap_or(DEFAULT_SECONDS);
    if !(0..=MOST_SECONDS).contains(&seconds) {
        let message = format!("previous_valid_seconds must lie between 0 and {MOST_SECONDS}");
        return Err(invalid("previous_valid_seconds", message));
    }
    let rotated = webhooks::rotate_secret(&app, merchant.id, id, seconds).await?;
    Ok(Json(view::webhook_endpoint(&rotated.endpoint, Some(rotated.secret))))
}

//! `DELETE /api/v1/webhooks/{webhook_id}`

use axum::{Json, extract::State};
use wire::webhook::WebhookDeleted;

use super::NamedWebhook;
use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{Merchant, rights::ManageWebhooks},
    },
    webhooks,
};

/// Takes an endpoint away; what was still owed to it is not sent.
pub async fn delete_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    NamedWebhook(id): NamedWebhook,
) -> Result<Json<WebhookDeleted>, ApiError> {
    webhooks::delete(&app, merchant.id, id).await?;
    Ok(Json(WebhookDeleted { success: true }))
}

//! `POST /api/v1/merchant/webhook`, as the oldest version of this API had it

use axum::{Json, extract::State};
use wire::webhook::{SetWebhookRequest, WebhookEndpoint};

use super::fields;
use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{JsonBody, Merchant, rights::ManageWebhooks},
    },
    view, webhooks,
};

/// Makes or moves one endpoint that is sent the older types in the older form. Its secret is shown when it is made.
pub async fn set_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    JsonBody { value: request, .. }: JsonBody<SetWebhookRequest>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let url = fields::url(&app, "webhook_url", &request.webhook_url)?;
    let (endpoint, secret) = webhooks::set_legacy(&app, merchant.id, &url).await?;
    Ok(Json(view::webhook_endpoint(&endpoint, secret)))
}

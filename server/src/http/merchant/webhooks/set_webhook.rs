//! `POST /api/v1/merchant/webhook`, as the oldest version of this API had it

use axum::{Json, extract::State};
use wire::webhook::{SetWebhookRequest, WebhookEndpoint};

use super::fields;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::ApiError,
        extract::{JsonBody, Merchant, rights::ManageWebhooks},
    },
    view, webhooks,
};

/// Makes or moves one endpoint that is sent the older types in the older form. Its secret is shown when it is made.
#[utoipa::path(
    post,
    path = "/api/v1/merchant/webhook",
    tag = "Webhooks",
    request_body = SetWebhookRequest,
    responses((status = 200, body = WebhookEndpoint)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_LIMIT_REACHED])))
)]
pub async fn set_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    JsonBody { value: request, .. }: JsonBody<SetWebhookRequest>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let url = fields::url(&app, "webhook_url", &request.webhook_url)?;
    let (endpoint, secret) = webhooks::set_legacy(&app, merchant.id, &url).await?;
    Ok(Json(view::webhook_endpoint(&endpoint, secret)))
}

//! `POST /api/v1/webhooks`

use axum::{Json, extract::State};
use wire::webhook::{CreateWebhookRequest, WebhookEndpoint};

use super::fields;
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::ApiError,
        extract::{JsonBody, Merchant, rights::ManageWebhooks},
    },
    store::Subscription,
    view,
    webhooks::{self, NewEndpoint},
};

/// Makes an endpoint; its secret is shown in this answer only.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks",
    tag = "Webhooks",
    request_body = CreateWebhookRequest,
    responses((status = 200, body = WebhookEndpoint)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_LIMIT_REACHED])))
)]
pub async fn create_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    JsonBody { value: request, .. }: JsonBody<CreateWebhookRequest>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let version = request.api_version.unwrap_or_default();
    let enabled_events = match request.enabled_events {
        Some(events) => fields::enabled_events(version, events)?,
        None => fields::default_events(version)?,
    };
    let new = NewEndpoint {
        url: fields::url(&app, "url", &request.url)?,
        subscription: Subscription { enabled_events, environment: request.environment, version },
        description: request.description.map(fields::description).transpose()?,
        is_active: request.is_active.unwrap_or(true),
    };
    let created = webhooks::create(&app, merchant.id, new).await?;
    Ok(Json(view::webhook_endpoint(&created.endpoint, Some(created.secret))))
}

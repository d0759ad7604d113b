//! `PATCH /api/v1/webhooks/{webhook_id}`, and `PUT` for clients that have no other way

use axum::{Json, extract::State};
use wire::webhook::{UpdateWebhookRequest, WebhookEndpoint};

use super::{NamedWebhook, fields};
use crate::{
    app::App,
    http::error_codes::codes,
    http::{
        error::ApiError,
        extract::{JsonBody, Merchant, rights::ManageWebhooks},
    },
    store::Endpoint,
    view, webhooks,
};

/// Changes what the request names. Events that happen while an endpoint is not active are not queued for it.
#[utoipa::path(
    patch,
    path = "/api/v1/webhooks/{webhook_id}",
    tag = "Webhooks",
    params(NamedWebhook),
    request_body = UpdateWebhookRequest,
    responses((status = 200, body = WebhookEndpoint)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND])))
)]
pub async fn update_webhook(
    State(app): State<App>,
    merchant: Merchant<ManageWebhooks>,
    NamedWebhook(id): NamedWebhook,
    JsonBody { value: request, .. }: JsonBody<UpdateWebhookRequest>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let url = request.url.as_deref().map(|url| fields::url(&app, "url", url)).transpose()?;
    let description = match request.description.clone() {
        Some(Some(text)) => Some(Some(fields::description(text)?)),
        other => other,
    };
    let request = UpdateWebhookRequest { url, description, ..request };
    let endpoint = webhooks::update(&app, merchant.id, id, |endpoint| change(endpoint, request)).await?;
    Ok(Json(view::webhook_endpoint(&endpoint, None)))
}

/// The same as [`update_webhook`]: what is left out stays as it is.
#[utoipa::path(
    put,
    path = "/api/v1/webhooks/{webhook_id}",
    tag = "Webhooks",
    params(NamedWebhook),
    request_body = UpdateWebhookRequest,
    responses((status = 200, body = WebhookEndpoint)),
    security(("merchant_key" = ["webhooks"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WEBHOOK_NOT_FOUND])))
)]
pub async fn replace_webhook(
    app: State<App>,
    merchant: Merchant<ManageWebhooks>,
    webhook: NamedWebhook,
    body: JsonBody<UpdateWebhookRequest>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    update_webhook(app, merchant, webhook, body).await
}

fn change(endpoint: &mut Endpoint, request: UpdateWebhookRequest) -> Result<(), ApiError> {
    let subscription = &mut endpoint.subscription;
    let version = request.api_version.unwrap_or(subscription.version);
    subscription.enabled_events = match request.enabled_events {
        Some(events) => fields::enabled_events(version, events)?,
        None if version == subscription.version => std::mem::take(&mut subscription.enabled_events),
        // The versions have different types.
        None => fields::default_events(version)?,
    };
    subscription.version = version;
    if let Some(environment) = request.environment {
        subscription.environment = environment;
    }
    if let Some(url) = request.url {
        endpoint.url = url;
    }
    if let Some(description) = request.description {
        endpoint.description = description;
    }
    if let Some(is_active) = request.is_active {
        endpoint.is_active = is_active;
    }
    Ok(())
}

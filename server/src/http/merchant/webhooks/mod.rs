//! Webhook endpoints and what was sent to them, a file per endpoint of the API.

mod create_webhook;
mod delete_webhook;
mod fields;
mod list_deliveries;
mod list_webhooks;
mod redeliver_webhooks;
mod retrieve_webhook;
mod rotate_webhook_secret;
mod set_webhook;
mod test_webhook;
mod update_webhook;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use domain::id::EndpointId;
use serde::Deserialize;
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    http::{error::ApiError, extract::path_uuid},
};

/// Method and path of each stand at its handler, with the rest of its description.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks::list_webhooks, create_webhook::create_webhook))
        .routes(routes!(
            retrieve_webhook::retrieve_webhook,
            update_webhook::update_webhook,
            update_webhook::replace_webhook,
            delete_webhook::delete_webhook
        ))
        .routes(routes!(rotate_webhook_secret::rotate_webhook_secret))
        .routes(routes!(test_webhook::test_webhook))
        .routes(routes!(list_deliveries::list_webhook_deliveries))
        .routes(routes!(redeliver_webhooks::redeliver_webhooks))
        .routes(routes!(redeliver_webhooks::redeliver_webhook))
        .routes(routes!(set_webhook::set_webhook))
}

/// The endpoint a path names. What is no id at all is as absent as the rest.
#[derive(Clone, Copy, Debug)]
pub struct NamedWebhook(pub EndpointId);

impl IntoParams for NamedWebhook {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        path_uuid("webhook_id", "The id of a webhook endpoint.")
    }
}

#[derive(Deserialize)]
struct WebhookPath {
    webhook_id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for NamedWebhook {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<WebhookPath>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(path)| path.webhook_id.parse().ok());
        id.map(Self).ok_or(ApiError::WebhookNotFound)
    }
}

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
    Router,
    extract::{FromRequestParts, Path},
    http::request::Parts,
    routing::{get, post},
};
use domain::id::EndpointId;
use serde::Deserialize;

use crate::{app::App, http::error::ApiError};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/webhooks", get(list_webhooks::list_webhooks).post(create_webhook::create_webhook))
        .route(
            "/api/v1/webhooks/{webhook_id}",
            get(retrieve_webhook::retrieve_webhook)
                .patch(update_webhook::update_webhook)
                .put(update_webhook::replace_webhook)
                .delete(delete_webhook::delete_webhook),
        )
        .route("/api/v1/webhooks/{webhook_id}/rotate-secret", post(rotate_webhook_secret::rotate_webhook_secret))
        .route("/api/v1/webhooks/{webhook_id}/test", post(test_webhook::test_webhook))
        .route("/api/v1/webhooks/{webhook_id}/deliveries", get(list_deliveries::list_webhook_deliveries))
        .route("/api/v1/webhooks/{webhook_id}/deliveries/redeliver", post(redeliver_webhooks::redeliver_webhooks))
        .route(
            "/api/v1/webhooks/{webhook_id}/deliveries/{event_id}/redeliver",
            post(redeliver_webhooks::redeliver_webhook),
        )
        .route("/api/v1/merchant/webhook", post(set_webhook::set_webhook))
}

/// The endpoint a path names. What is no id at all is as absent as the rest.
#[derive(Clone, Copy, Debug)]
pub struct NamedWebhook(pub EndpointId);

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

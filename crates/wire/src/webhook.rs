//! Webhook endpoints as merchants manage them, and the older payload that an endpoint may ask for.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Environment, money::Dollars};

/// Every type of event that an endpoint of the present version can ask for.
pub const EVENT_TYPES: [&str; 9] = [
    "invoice.created",
    "invoice.updated",
    "invoice_payment.created",
    "invoice_payment.updated",
    "commerce.order.created",
    "commerce.order.updated",
    "wallet_change.scheduled",
    "webhook_endpoint.disabled",
    PING,
];

/// Every type of event that an endpoint of the older version can ask for.
pub const LEGACY_EVENT_TYPES: [&str; 5] =
    ["invoice.paid", "invoice.expired", "invoice.partial_payment", "invoice.overpaid", PING];

/// What a merchant sends itself to see whether it arrives.
pub const PING: &str = "test.ping";

/// The form of what an endpoint is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub enum WebhookVersion {
    /// Whole events.
    #[default]
    #[serde(rename = "2025-12-16")]
    Current,
    /// The four types and the flat body of an older version of this API.
    #[serde(rename = "legacy")]
    Legacy,
}

impl WebhookVersion {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => crate::event::API_VERSION,
            Self::Legacy => "legacy",
        }
    }
}

impl std::str::FromStr for WebhookVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Current, Self::Legacy].into_iter().find(|version| version.as_str() == text).ok_or(())
    }
}

/// The body of `POST /api/v1/webhooks`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreateWebhookRequest {
    /// Where events go, by https.
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uri", max_length = 2048))]
    pub url: String,
    /// Types such as `invoice.updated`, all below one such as `invoice.*`, or `*`. Required, but for the older version,
    /// where it is all four types unless said otherwise.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_items = 1, max_items = 64))]
    pub enabled_events: Option<Vec<String>>,
    /// Events of both, unless it is set.
    pub environment: Option<Environment>,
    /// For the merchant's own use.
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255))]
    pub description: Option<String>,
    pub api_version: Option<WebhookVersion>,
    pub is_active: Option<bool>,
}

/// The body of `PATCH /api/v1/webhooks/{id}`; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct UpdateWebhookRequest {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uri", max_length = 2048))]
    pub url: Option<String>,
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_items = 1, max_items = 64))]
    pub enabled_events: Option<Vec<String>>,
    /// `null` means both.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Environment>))]
    pub environment: Option<Option<Environment>>,
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<String>, max_length = 255))]
    pub description: Option<Option<String>>,
    pub api_version: Option<WebhookVersion>,
    pub is_active: Option<bool>,
}

/// Tells a member that is `null` from one that is not there.
#[expect(clippy::option_option, reason = "the two have different meanings")]
fn present<'d, D: Deserializer<'d>, T: Deserialize<'d>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// The body of `POST /api/v1/webhooks/{id}/rotate-secret`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RotateSecretRequest {
    /// How long the secret before the new one signs as well.
    #[cfg_attr(not(target_arch = "wasm32"), schema(minimum = 0, maximum = 604_800, default = 86_400))]
    pub previous_valid_seconds: Option<i64>,
}

/// The body of `POST /api/v1/merchant/webhook`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SetWebhookRequest {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uri", max_length = 2048))]
    pub webhook_url: String,
}

/// Where a merchant hears of events.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WebhookEndpoint {
    /// Always `webhook_endpoint`.
    pub object: String,
    pub id: String,
    pub url: String,
    pub enabled_events: Vec<String>,
    /// `null` means both.
    pub environment: Option<Environment>,
    pub description: Option<String>,
    pub api_version: WebhookVersion,
    pub is_active: bool,
    /// Why the server gave it up: `gone` (it answered 410) or `failing` (nothing but failures for days).
    pub disabled_reason: Option<String>,
    pub disabled_at: Option<i64>,
    /// Since when every try has failed; `null` after one that did not.
    pub failing_since: Option<i64>,
    /// Until then, what is sent is signed with the secret before this one as well.
    pub previous_secret_expires_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    /// Only in the answer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub secret: Option<String>,
}

impl fmt::Debug for WebhookEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEndpoint").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The answer to `GET /api/v1/webhooks`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WebhookEndpointList {
    /// Always `list`.
    pub object: String,
    pub data: Vec<WebhookEndpoint>,
    /// Always `false`: there are few.
    pub has_more: bool,
}

/// The answer to `DELETE /api/v1/webhooks/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WebhookDeleted {
    /// Always `true`.
    pub success: bool,
}

/// The answer to `POST /api/v1/webhooks/{id}/test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WebhookTest {
    /// Always `true`.
    pub success: bool,
    /// Always `test.ping`.
    pub event_type: String,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Tries are still made.
    Pending,
    Delivered,
    /// Given up; it can be sent again on request.
    Exhausted,
}

/// An event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WebhookDelivery {
    /// Always `webhook_delivery`.
    pub object: String,
    /// What `X-Pepay-Event-ID` says; the same on every try.
    pub id: String,
    pub endpoint_id: String,
    pub event_id: String,
    /// The type it is sent as.
    pub event_type: String,
    pub invoice_id: Option<String>,
    pub state: DeliveryState,
    /// Epoch seconds; `null` if no further try is made.
    pub next_attempt_at: Option<i64>,
    pub created_at: i64,
    /// The newest first.
    pub attempts: Vec<WebhookAttempt>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WebhookAttempt {
    /// Counted from 1.
    pub attempt: i64,
    /// Epoch seconds.
    pub attempted_at: i64,
    pub duration_ms: i64,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
    /// What went wrong; nothing of what the receiver said.
    pub error: Option<String>,
}

/// The answer to `GET /api/v1/webhooks/{id}/deliveries`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WebhookDeliveryList {
    /// Always `list`.
    pub object: String,
    pub data: Vec<WebhookDelivery>,
    pub has_more: bool,
}

/// The body of `POST /api/v1/webhooks/{id}/deliveries/redeliver`: either what was given up since a time, or every event
/// of a range of time, whether it was sent or not.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RedeliverRequest {
    /// Epoch seconds.
    #[cfg_attr(not(target_arch = "wasm32"), schema(minimum = 0, maximum = 253_402_300_799_i64))]
    pub failed_since: Option<i64>,
    /// Epoch seconds.
    #[cfg_attr(not(target_arch = "wasm32"), schema(minimum = 0, maximum = 253_402_300_799_i64))]
    pub from: Option<i64>,
    /// Epoch seconds; now, unless it is set.
    #[cfg_attr(not(target_arch = "wasm32"), schema(minimum = 0, maximum = 253_402_300_799_i64))]
    pub to: Option<i64>,
    /// `next` of the answer before.
    pub starting_after: Option<String>,
}

/// What was queued again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Redelivery {
    /// Always `webhook_redelivery`.
    pub object: String,
    pub queued: u64,
    /// What was still on its way, and was left alone.
    pub already_pending: u64,
    /// Whether there is more; ask again, with `next` as `starting_after` if there is one.
    pub has_more: bool,
    pub next: Option<String>,
}

/// What an endpoint of the older version is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyEvent {
    pub id: String,
    #[serde(rename = "type")]
    pub event_type: String,
    /// Epoch seconds.
    pub created: i64,
    pub data: LegacyEventData,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyEventData {
    pub invoice_id: Option<String>,
    pub status: Option<String>,
    pub amount_paid: Option<Dollars>,
    pub payment_network: Option<String>,
    pub transaction_hash: Option<String>,
}

//! Events, and the frames that carry them over a socket.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Environment;

/// The version every event says it has.
pub const API_VERSION: &str = "2025-12-16";

/// Something that happened, as webhooks and sockets tell it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Event {
    /// `evt_<created ms>-<sequence>`.
    #[cfg_attr(not(target_arch = "wasm32"), schema(pattern = "^evt_[0-9]+-[0-9]+$"))]
    pub id: String,
    /// Always `event`.
    pub object: String,
    pub api_version: String,
    /// Epoch seconds.
    pub created: i64,
    /// As in `invoice.updated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Whether real money is meant.
    pub livemode: bool,
    /// How many deliveries of it are still owed.
    pub pending_webhooks: u32,
    /// The API call that caused it.
    pub request: EventRequest,
    pub data: EventData,
}

/// The API call that caused an event, if one did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct EventRequest {
    pub id: Option<String>,
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct EventData {
    /// The invoice, payment or whatever else it happened to, as it was then.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Object))]
    pub object: Value,
    /// The fields an update changed, with the values they had.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Object>))]
    pub previous_attributes: Option<Value>,
}

/// The answer to `GET /api/v1/events`, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct EventList {
    /// Always `list`.
    pub object: String,
    pub data: Vec<Event>,
    /// Whether there is more in the direction that was asked for.
    pub has_more: bool,
}

/// The envelope of some answers: `{"success":true,"data":…}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Wrapped<T> {
    /// Always `true`.
    pub success: bool,
    pub data: T,
}

impl<T> Wrapped<T> {
    pub fn new(data: T) -> Self {
        Self { success: true, data }
    }
}

/// A frame that steers a stream instead of reporting an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Control {
    /// Always `ws_control`.
    pub object: String,
    #[serde(rename = "type")]
    pub control_type: String,
    pub created: i64,
    pub data: Value,
}

/// The last frame before a stream is closed for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct StreamError {
    /// Always `ws_error`.
    pub object: String,
    pub code: String,
    pub message: String,
    pub created: i64,
}

/// The body of `POST /api/v1/ws/token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WsTokenRequest {
    /// `merchant`; this server has no `commerce` streams.
    #[cfg_attr(not(target_arch = "wasm32"), schema(pattern = "^merchant$"))]
    pub scope: String,
    /// For how long the token opens a stream; 60 if absent.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(minimum = 15, maximum = 300))]
    pub ttl_seconds: Option<i64>,
}

/// A token that opens a merchant's stream from where no header can be sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct WsToken {
    pub token: String,
    /// Always `merchant`.
    pub scope: String,
    pub merchant_id: i64,
    pub network_environment: Option<Environment>,
    /// Epoch seconds. A stream that was opened before goes on.
    pub expires_at: i64,
    /// Where the stream is, without the token.
    pub ws_url: String,
}

impl fmt::Debug for WsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

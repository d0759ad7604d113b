//! API keys as the dashboard sees them. The key itself is in the answer that creates it, and nowhere else.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Environment, time::Moment};

/// Which half of the API a key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ApiKeyScope {
    #[default]
    Merchant,
    Commerce,
}

/// What became of a key. One that has expired stays `active`; `expires_at` says that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ApiKeyStatus {
    Active,
    Revoked,
    Suspended,
}

/// The body of `POST /api/v1/api-keys`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreateApiKeyRequest {
    /// What it is for, in 1 to 255 characters.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schema(
            min_length = 1,
            max_length = 255,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
        )
    )]
    pub name: String,
    #[serde(default)]
    pub scope: Option<ApiKeyScope>,
    /// As a date-time or in epoch seconds; without it, the key never expires.
    #[serde(default)]
    pub expires_at: Option<Moment>,
    /// What the key can do; without it, create, read and cancel invoices and manage settings.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(schema_with = some_rights))]
    pub rights: Option<Vec<String>>,
}

/// The answer to `POST /api/v1/api-keys`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreatedApiKey {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub key_id: String,
    pub name: String,
    pub scope: ApiKeyScope,
    /// The key. It is shown in this answer only.
    pub api_key: String,
    /// Epoch seconds.
    pub expires_at: Option<i64>,
    pub environment: Option<Environment>,
    #[cfg_attr(not(target_arch = "wasm32"), schema(schema_with = rights))]
    pub rights: Vec<String>,
    /// Epoch seconds.
    pub created_at: i64,
}

impl fmt::Debug for CreatedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedApiKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// One entry of `GET /api/v1/api-keys`, which answers with a list of them, newest first. Times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ApiKey {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub key_id: String,
    pub name: String,
    pub scope: ApiKeyScope,
    pub status: ApiKeyStatus,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    pub revoked_reason: Option<String>,
    /// `None` for a key from before keys had one: it serves whichever the server has.
    pub environment: Option<Environment>,
    #[cfg_attr(not(target_arch = "wasm32"), schema(schema_with = rights))]
    pub rights: Vec<String>,
    /// The key's last four characters, to tell keys apart.
    pub hint: String,
}

/// The body of `POST /api/v1/api-keys/{keyId}/revoke`, which may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct RevokeApiKeyRequest {
    /// Why, in at most 255 characters, for whoever reads the list later.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    pub reason: Option<String>,
}

/// An answer that says what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Message {
    pub message: String,
}

/// The names of rights, for the description; `domain` decides what they mean.
#[cfg(not(target_arch = "wasm32"))]
fn rights() -> utoipa::openapi::schema::ArrayBuilder {
    use utoipa::openapi::{
        ObjectBuilder,
        schema::{ArrayBuilder, Type},
    };
    const NAMES: [&str; 8] = [
        "invoices:create",
        "invoices:read",
        "invoices:cancel",
        "settings",
        "webhooks",
        "wallets",
        "receiver_override",
        "rpc",
    ];
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(NAMES));
    ArrayBuilder::new().items(name).description(Some("What the key can do."))
}

/// What a key is asked to be able to do: at least one thing, and nothing that is the operator's.
#[cfg(not(target_arch = "wasm32"))]
fn some_rights() -> utoipa::openapi::schema::ArrayBuilder {
    let text = "What the key can do; without it, create, read and cancel invoices and manage settings. Only for keys of \
                scope `merchant`. `rpc` is the operator's to give.";
    rights().min_items(Some(1)).description(Some(text))
}

//! `POST /api/v1/api-keys/{key_id}/revoke` and `DELETE /api/v1/api-keys/{key_id}`

use axum::{
    Json,
    extract::{Request, State},
};
use domain::id::{ApiKeyId, MerchantId};
use wire::api_key::{Message, RevokeApiKeyRequest};

use crate::{
    app::App,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{Dashboard, NamedApiKey, optional_json},
    },
    store::StoreError,
};

const MOST_REASON_CHARACTERS: usize = 255;

/// Revokes a key for good, from the next request on. A key that was revoked before stays as it was then.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys/{key_id}/revoke",
    tag = "Keys",
    params(NamedApiKey),
    request_body = Option<RevokeApiKeyRequest>,
    responses((status = 200, body = Message)),
    security(("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![API_KEY_NOT_FOUND])))
)]
pub async fn revoke_api_key(
    State(app): State<App>,
    dashboard: Dashboard,
    NamedApiKey(id): NamedApiKey,
    request: Request,
) -> Result<Json<Message>, ApiError> {
    let request: Option<RevokeApiKeyRequest> = optional_json(request, &app).await?;
    revoke(&app, dashboard.merchant, id, reason(request.unwrap_or_default())?).await
}

/// Revokes a key for good, without a reason.
#[utoipa::path(
    delete,
    path = "/api/v1/api-keys/{key_id}",
    tag = "Keys",
    params(NamedApiKey),
    responses((status = 200, body = Message)),
    security(("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![API_KEY_NOT_FOUND])))
)]
pub async fn delete_api_key(
    State(app): State<App>,
    dashboard: Dashboard,
    NamedApiKey(id): NamedApiKey,
) -> Result<Json<Message>, ApiError> {
    revoke(&app, dashboard.merchant, id, None).await
}

fn reason(request: RevokeApiKeyRequest) -> Result<Option<String>, ApiError> {
    let Some(reason) = request.reason else { return Ok(None) };
    let is_good = reason.chars().count() <= MOST_REASON_CHARACTERS && !reason.contains(char::is_control);
    let message = format!("reason must have at most {MOST_REASON_CHARACTERS} characters on one line");
    if is_good { Ok(Some(reason)) } else { Err(invalid("reason", message)) }
}

async fn revoke(
    app: &App,
    merchant: MerchantId,
    id: ApiKeyId,
    reason: Option<String>,
) -> Result<Json<Message>, ApiError> {
    let now = app.clock.now();
    let write = app.store.write(move |tx| {
        Box::pin(async move {
            tx.revoke_api_key(merchant, id, reason.as_deref(), now).await?;
            Ok::<_, StoreError>(tx.api_key_of(merchant, id).await?.is_some())
        })
    });
    if !write.await? {
        return Err(ApiError::ApiKeyNotFound);
    }
    tracing::info!(merchant.id = merchant.0, api_key.id = %id, "an API key is revoked");
    Ok(Json(Message { message: "API key revoked".to_owned() }))
}

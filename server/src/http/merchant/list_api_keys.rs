//! `GET /api/v1/api-keys`

use axum::{Json, extract::State};
use wire::api_key::{ApiKey, ApiKeyScope};

use crate::{
    app::App,
    http::{
        error::{ApiError, invalid},
        extract::{Dashboard, Parameters},
    },
    view,
};

/// A merchant's keys, newest first: revoked ones too, never the keys themselves.
#[utoipa::path(
    get,
    path = "/api/v1/api-keys",
    tag = "Keys",
    params(("scope" = Option<ApiKeyScope>, Query, description = "Only keys of this scope.")),
    responses((status = 200, body = Vec<ApiKey>)),
    security(("dashboard" = []))
)]
pub async fn list_api_keys(
    State(app): State<App>,
    dashboard: Dashboard,
    parameters: Parameters,
) -> Result<Json<Vec<ApiKey>>, ApiError> {
    let scope = parameters.get("scope").map(str::parse).transpose();
    let scope: Option<domain::access::Scope> =
        scope.map_err(|_| invalid("scope", "scope must be merchant or commerce"))?;
    let keys = app.store.reader().await?.tx().api_keys(dashboard.merchant).await?;
    let wanted = keys.iter().filter(|key| scope.is_none_or(|scope| key.scope == scope));
    Ok(Json(wanted.map(view::api_key).collect()))
}

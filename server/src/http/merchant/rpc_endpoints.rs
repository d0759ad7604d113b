//! `GET`, `POST` and `DELETE /api/v1/merchant/rpc`

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use url::Url;
use wire::settings::{AddRpcEndpointRequest, Removed, RpcEndpoint, RpcEndpointList};

use crate::{
    app::App,
    config::NetworkConfig,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{JsonBody, Merchant, rights::OperateNetworks},
    },
    merchants,
    store::RpcEndpointRecord,
};

/// The nodes this merchant added beside the operator's own.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/rpc",
    tag = "Nodes",
    responses((status = 200, body = RpcEndpointList)),
    security(("merchant_key" = ["rpc"]))
)]
pub async fn list_rpc_endpoints(
    State(app): State<App>,
    merchant: Merchant<OperateNetworks>,
) -> Result<Json<RpcEndpointList>, ApiError> {
    let records = app.store.reader().await?.tx().rpc_endpoints(merchant.id).await?;
    let data = records.iter().map(|record| show(&app, record)).collect();
    Ok(Json(RpcEndpointList { object: "list".to_owned(), data, has_more: false }))
}

/// Adds a node to a network, once it showed that it is on the same chain.
#[utoipa::path(
    post,
    path = "/api/v1/merchant/rpc",
    tag = "Nodes",
    request_body = AddRpcEndpointRequest,
    responses((status = 200, body = RpcEndpoint)),
    security(("merchant_key" = ["rpc"])),
    extensions(("x-error-codes" = json!(codes![UNKNOWN_NETWORK, RPC_ENDPOINT_UNFIT, RPC_ENDPOINT_EXISTS, RPC_ENDPOINT_LIMIT, NETWORK_UNREACHABLE])))
)]
pub async fn add_rpc_endpoint(
    State(app): State<App>,
    merchant: Merchant<OperateNetworks>,
    JsonBody { value: request, .. }: JsonBody<AddRpcEndpointRequest>,
) -> Result<Json<RpcEndpoint>, ApiError> {
    let record = merchants::add_rpc_endpoint(&app, merchant.id, &request.network, &request.rpc_url).await?;
    Ok(Json(show(&app, &record)))
}

/// Removes a node again.
#[utoipa::path(
    delete,
    path = "/api/v1/merchant/rpc/{endpoint_id}",
    tag = "Nodes",
    params(("endpoint_id" = String, Path, format = "uuid", description = "The `id` of the node.")),
    responses((status = 200, body = Removed)),
    security(("merchant_key" = ["rpc"])),
    extensions(("x-error-codes" = json!(codes![RPC_ENDPOINT_NOT_FOUND])))
)]
pub async fn remove_rpc_endpoint(
    State(app): State<App>,
    merchant: Merchant<OperateNetworks>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Removed>, ApiError> {
    let id = id.ok().and_then(|Path(text)| text.parse().ok());
    let id = id.ok_or_else(|| invalid("endpoint_id", "endpoint_id must be a UUID"))?;
    merchants::remove_rpc_endpoint(&app, merchant.id, id).await?;
    Ok(Json(Removed { success: true }))
}

fn show(app: &App, record: &RpcEndpointRecord) -> RpcEndpoint {
    RpcEndpoint {
        object: "rpc_endpoint".to_owned(),
        id: record.id.to_string(),
        network: record.network.clone(),
        chain_id: app.config.network(&record.network).and_then(NetworkConfig::shown_chain_id),
        rpc_url: merchants::rpc_endpoint_url(app, record).map_or_else(|_| "…".to_owned(), |url| masked(&url)),
        created_at: record.created_at.0,
    }
}

/// What of a URL cannot be a credential: providers put those into paths and queries.
fn masked(url: &Url) -> String {
    let rest = if url.path() == "/" && url.query().is_none() { "/" } else { "/…" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{rest}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_that_may_be_a_credential() {
        for (url, shown) in [
            ("https://rpc.example/v3/secret", "https://rpc.example/…"),
            ("https://rpc.example/?key=secret", "https://rpc.example/…"),
            ("http://user:secret@rpc.example:8545", "http://rpc.example:8545/"),
            ("http://[::1]:8545/", "http://[::1]:8545/"),
            ("https://rpc.example", "https://rpc.example/"),
        ] {
            assert_eq!(masked(&url.parse().unwrap()), shown);
        }
    }
}

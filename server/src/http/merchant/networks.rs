//! `GET` and `PUT /api/v1/merchant/networks`

use axum::{Json, extract::State};
use domain::acceptance::Acceptance;
use wire::settings::{MerchantNetwork, NetworkSelection, SelectNetworksRequest};

use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{
            JsonBody, Merchant,
            rights::{ManageSettings, ReadInvoices},
        },
    },
    merchants, view,
};

/// Networks that the API has words for, whether this server has them or not.
const KNOWN_NETWORKS: [&str; 8] = ["ethereum", "base", "solana", "avalanche", "bsc", "arbitrum", "optimism", "polygon"];

/// Whether there is such a network at all.
pub fn is_known_network(app: &App, name: &str) -> bool {
    KNOWN_NETWORKS.contains(&name) || app.config.network(name).is_some()
}

/// The networks whose tokens the merchant takes.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/networks",
    tag = "Settings",
    responses((status = 200, body = NetworkSelection)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = []))
)]
pub async fn retrieve_networks(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
) -> Result<Json<NetworkSelection>, ApiError> {
    let acceptance = app.store.reader().await?.tx().acceptance(merchant.id).await?;
    Ok(Json(show(&app, &acceptance)))
}

/// Takes tokens of these networks only.
#[utoipa::path(
    put,
    path = "/api/v1/merchant/networks",
    tag = "Settings",
    request_body = SelectNetworksRequest,
    responses((status = 200, body = NetworkSelection)),
    security(("merchant_key" = ["settings"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![UNKNOWN_NETWORK])))
)]
pub async fn select_networks(
    State(app): State<App>,
    merchant: Merchant<ManageSettings>,
    JsonBody { value: request, .. }: JsonBody<SelectNetworksRequest>,
) -> Result<Json<NetworkSelection>, ApiError> {
    for (index, name) in request.networks.iter().enumerate() {
        if app.config.network(name).is_none() {
            return Err(ApiError::UnknownNetwork { field: format!("networks[{index}]") });
        }
    }
    let acceptance = merchants::select_networks(&app, merchant.id, request.networks).await?;
    Ok(Json(show(&app, &acceptance)))
}

fn show(app: &App, acceptance: &Acceptance) -> NetworkSelection {
    let available: Vec<_> = app
        .config
        .networks
        .iter()
        .map(|network| {
            let is_taken = |token: &&crate::config::TokenConfig| token.accepted && !acceptance.blocks(token.token_id());
            let accepted_token_ids: Vec<_> = network.tokens.iter().filter(is_taken).map(|token| token.id).collect();
            MerchantNetwork {
                network: network.name.clone(),
                title: network.title.clone(),
                network_environment: app.config.environment,
                chain_id: network.shown_chain_id(),
                is_selected: !accepted_token_ids.is_empty(),
                is_monitored: app.outages.is_offered(&network.name),
                accepted_token_ids,
            }
        })
        .collect();
    NetworkSelection {
        acceptance_policy: view::acceptance_policy(acceptance.policy()),
        networks: available
            .iter()
            .filter(|network| network.is_selected)
            .map(|network| network.network.clone())
            .collect(),
        available_networks: available,
    }
}

//! What merchants' servers call, a file per endpoint.

mod cancel_invoice;
mod create_api_key;
mod create_invoice;
mod create_ws_token;
mod environment;
mod events;
pub(super) mod filters;
mod invoice_status;
mod invoice_totals;
mod list_api_keys;
mod list_invoices;
mod list_sweeps;
mod networks;
mod retrieve_invoice;
mod return_url;
mod revoke_api_key;
mod rpc_endpoints;
mod settlement;
mod tokens;
mod unattributed_payments;
mod wallets;
mod webhooks;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::openapi::also_at;
use crate::app::App;

/// Method and path of each stand at its handler, with the rest of its description.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(webhooks::routes())
        .routes(routes!(list_api_keys::list_api_keys, create_api_key::create_api_key))
        .routes(routes!(revoke_api_key::delete_api_key))
        .routes(routes!(revoke_api_key::revoke_api_key))
        // Where they were before.
        .routes(also_at("/api/v1/merchant-api-keys/{key_id}/revoke", "before", routes!(revoke_api_key::revoke_api_key)))
        .routes(also_at(
            "/api/merchant-api-keys",
            "first",
            routes!(list_api_keys::list_api_keys, create_api_key::create_api_key),
        ))
        .routes(also_at("/api/merchant-api-keys/{key_id}/revoke", "first", routes!(revoke_api_key::revoke_api_key)))
        .routes(routes!(events::list_events))
        .routes(routes!(events::retrieve_event))
        .routes(routes!(list_invoices::list_invoices, create_invoice::create_invoice))
        .routes(routes!(list_invoices::list_invoices_of_customer))
        .routes(routes!(invoice_totals::retrieve_invoice_totals))
        .routes(routes!(cancel_invoice::cancel_invoice))
        .routes(routes!(retrieve_invoice::retrieve_invoice))
        .routes(routes!(invoice_status::retrieve_invoice_status))
        .routes(routes!(create_ws_token::create_ws_token))
        .routes(routes!(tokens::list_tokens))
        .routes(routes!(tokens::search_tokens))
        .routes(routes!(tokens::block_token))
        .routes(routes!(networks::retrieve_networks, networks::select_networks))
        .routes(routes!(settlement::retrieve_settlement_preference))
        .routes(routes!(settlement::choose_settlement_token))
        .routes(routes!(wallets::list_wallets, wallets::change_wallet))
        .routes(routes!(wallets::cancel_wallet_change))
        .routes(also_at("/api/accounts/wallets", "first", routes!(wallets::list_wallets)))
        .routes(routes!(list_sweeps::list_sweeps))
        .routes(routes!(unattributed_payments::list_unattributed_payments))
        .routes(routes!(unattributed_payments::attach_payment))
        .routes(routes!(return_url::retrieve_return_url, return_url::set_return_url))
        .routes(routes!(environment::retrieve_mainnet_access))
        .routes(routes!(environment::activate_mainnet_access))
        .routes(routes!(environment::choose_environment))
        .routes(routes!(rpc_endpoints::list_rpc_endpoints, rpc_endpoints::add_rpc_endpoint))
        .routes(routes!(rpc_endpoints::remove_rpc_endpoint))
}

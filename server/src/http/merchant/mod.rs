//! What merchants' servers call, a file per endpoint.

mod cancel_invoice;
mod create_api_key;
mod create_invoice;
mod environment;
mod events;
mod filters;
mod invoice_status;
mod invoice_totals;
mod list_api_keys;
mod list_invoices;
mod networks;
mod retrieve_invoice;
mod return_url;
mod revoke_api_key;
mod rpc_endpoints;
mod settlement;
mod tokens;
mod wallets;

use axum::{
    Router,
    routing::{delete, get, post, put},
};

use crate::app::App;

pub fn routes() -> Router<App> {
    let keys = || get(list_api_keys::list_api_keys).post(create_api_key::create_api_key);
    let revoke = || post(revoke_api_key::revoke_api_key);
    Router::new()
        .route("/api/v1/api-keys", keys())
        .route("/api/v1/api-keys/{key_id}", delete(revoke_api_key::delete_api_key))
        .route("/api/v1/api-keys/{key_id}/revoke", revoke())
        // Where they were before.
        .route("/api/v1/merchant-api-keys/{key_id}/revoke", revoke())
        .route("/api/merchant-api-keys", keys())
        .route("/api/merchant-api-keys/{key_id}/revoke", revoke())
        .route("/api/v1/events", get(events::list_events))
        .route("/api/v1/events/{event_id}", get(events::retrieve_event))
        .route("/api/v1/invoices", get(list_invoices::list_invoices).post(create_invoice::create_invoice))
        .route("/api/v1/invoices/customer/{customer_id}", get(list_invoices::list_invoices_of_customer))
        .route("/api/v1/invoices/totals", get(invoice_totals::retrieve_invoice_totals))
        .route("/api/v1/invoices/{invoice_id}/cancel", post(cancel_invoice::cancel_invoice))
        .route("/api/v1/invoices/{invoice_id}", get(retrieve_invoice::retrieve_invoice))
        .route("/api/v1/invoices/{invoice_id}/status", get(invoice_status::retrieve_invoice_status))
        .route("/api/v1/merchant/tokens", get(tokens::list_tokens))
        .route("/api/v1/merchant/tokens/search", get(tokens::search_tokens))
        .route("/api/v1/merchant/tokens/{token_id}/block", post(tokens::block_token))
        .route("/api/v1/merchant/networks", get(networks::retrieve_networks).put(networks::select_networks))
        .route("/api/v1/merchant/settlement-preference", get(settlement::retrieve_settlement_preference))
        .route("/api/v1/merchant/settlement-token", put(settlement::choose_settlement_token))
        .route("/api/v1/merchant/wallets", get(wallets::list_wallets).post(wallets::change_wallet))
        .route("/api/v1/merchant/wallets/{wallet_id}", delete(wallets::cancel_wallet_change))
        // Where they were before.
        .route("/api/accounts/wallets", get(wallets::list_wallets))
        .route(
            "/api/v1/merchant/payment-return-url",
            get(return_url::retrieve_return_url).put(return_url::set_return_url),
        )
        .route("/api/v1/merchant/rpc", get(rpc_endpoints::list_rpc_endpoints).post(rpc_endpoints::add_rpc_endpoint))
        .route("/api/v1/merchant/rpc/{endpoint_id}", delete(rpc_endpoints::remove_rpc_endpoint))
        .route("/api/v1/user/mainnet-access/status", get(environment::retrieve_mainnet_access))
        .route("/api/v1/user/mainnet-access/activate", post(environment::activate_mainnet_access))
        .route("/api/v1/user/environment", put(environment::choose_environment))
}

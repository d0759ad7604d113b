//! What merchants' servers call, a file per endpoint.

mod cancel_invoice;
mod create_api_key;
mod create_invoice;
mod create_ws_token;
mod events;
pub(super) mod filters;
mod invoice_status;
mod invoice_totals;
mod list_api_keys;
mod list_invoices;
mod retrieve_invoice;
mod revoke_api_key;
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
}

//! What merchants' servers call, a file per endpoint.

mod cancel_invoice;
mod create_api_key;
mod create_invoice;
mod events;
mod filters;
mod invoice_status;
mod invoice_totals;
mod list_api_keys;
mod list_invoices;
mod retrieve_invoice;
mod revoke_api_key;
mod webhooks;

use axum::{
    Router,
    routing::{delete, get, post},
};

use crate::app::App;

pub fn routes() -> Router<App> {
    let keys = || get(list_api_keys::list_api_keys).post(create_api_key::create_api_key);
    let revoke = || post(revoke_api_key::revoke_api_key);
    Router::new()
        .merge(webhooks::routes())
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
}

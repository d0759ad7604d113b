//! What merchants' servers call, a file per endpoint.

mod cancel_invoice;
mod create_invoice;
mod events;
mod filters;
mod invoice_status;
mod invoice_totals;
mod list_invoices;
mod retrieve_invoice;
mod webhooks;

use axum::{
    Router,
    routing::{get, post},
};

use crate::app::App;

pub fn routes() -> Router<App> {
    Router::new()
        .merge(webhooks::routes())
        .route("/api/v1/events", get(events::list_events))
        .route("/api/v1/events/{event_id}", get(events::retrieve_event))
        .route("/api/v1/invoices", get(list_invoices::list_invoices).post(create_invoice::create_invoice))
        .route("/api/v1/invoices/customer/{customer_id}", get(list_invoices::list_invoices_of_customer))
        .route("/api/v1/invoices/totals", get(invoice_totals::retrieve_invoice_totals))
        .route("/api/v1/invoices/{invoice_id}/cancel", post(cancel_invoice::cancel_invoice))
        .route("/api/v1/invoices/{invoice_id}", get(retrieve_invoice::retrieve_invoice))
        .route("/api/v1/invoices/{invoice_id}/status", get(invoice_status::retrieve_invoice_status))
}

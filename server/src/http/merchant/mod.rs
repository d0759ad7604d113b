//! What merchants' servers call, a file per endpoint.

mod cancel_invoice;
mod create_invoice;
mod events;
mod filters;
mod invoice_status;
mod invoice_totals;
mod list_invoices;
mod retrieve_invoice;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// Method and path of each stand at its handler, with the rest of its description.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(events::list_events))
        .routes(routes!(events::retrieve_event))
        .routes(routes!(list_invoices::list_invoices, create_invoice::create_invoice))
        .routes(routes!(list_invoices::list_invoices_of_customer))
        .routes(routes!(invoice_totals::retrieve_invoice_totals))
        .routes(routes!(cancel_invoice::cancel_invoice))
        .routes(routes!(retrieve_invoice::retrieve_invoice))
        .routes(routes!(invoice_status::retrieve_invoice_status))
}

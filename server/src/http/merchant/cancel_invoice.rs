//! `POST /api/v1/invoices/{invoice_id}/cancel`

use axum::{Json, extract::State};
use wire::invoice::Invoice;

use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{Merchant, NamedInvoice, rights::CancelInvoices},
    },
    invoicing, view,
};

/// Calls off an invoice that nobody has paid any of. What a body says is not read.
pub async fn cancel_invoice(
    State(app): State<App>,
    merchant: Merchant<CancelInvoices>,
    NamedInvoice(id): NamedInvoice,
) -> Result<Json<Invoice>, ApiError> {
    let case = invoicing::cancel(&app, merchant.id, id).await?;
    Ok(Json(view::invoice(&case.invoice, &case.payments)))
}

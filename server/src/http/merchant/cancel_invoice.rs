//! `POST /api/v1/invoices/{invoice_id}/cancel`

use axum::{Json, extract::State};
use wire::invoice::Invoice;

use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{Merchant, NamedInvoice, rights::CancelInvoices},
    },
    invoicing, view,
};

/// Calls off an invoice that nobody has paid any of. What a body says is not read.
#[utoipa::path(
    post,
    path = "/api/v1/invoices/{invoice_id}/cancel",
    tag = "Invoices",
    params(NamedInvoice),
    responses((status = 200, body = Invoice)),
    security(("merchant_key" = ["invoices:cancel"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVOICE_NOT_FOUND, INVOICE_ALREADY_PAID, INVOICE_CANCELED, INVOICE_EXPIRED, INVOICE_HAS_PAYMENTS])))
)]
pub async fn cancel_invoice(
    State(app): State<App>,
    merchant: Merchant<CancelInvoices>,
    NamedInvoice(id): NamedInvoice,
) -> Result<Json<Invoice>, ApiError> {
    let case = invoicing::cancel(&app, merchant.id, id).await?;
    Ok(Json(view::invoice(&case.invoice, &case.payments)))
}

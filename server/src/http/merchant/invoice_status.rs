//! `GET /api/v1/invoices/{invoice_id}/status`

use axum::{Json, extract::State};
use wire::invoice::InvoiceStatusReport;

use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{Merchant, NamedInvoice, rights::ReadInvoices},
    },
    invoicing::Case,
    view,
};

/// Where an invoice stands, with its newest payment.
#[utoipa::path(
    get,
    path = "/api/v1/invoices/{invoice_id}/status",
    tag = "Invoices",
    params(NamedInvoice),
    responses((status = 200, body = InvoiceStatusReport)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVOICE_NOT_FOUND])))
)]
pub async fn retrieve_invoice_status(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    NamedInvoice(id): NamedInvoice,
) -> Result<Json<InvoiceStatusReport>, ApiError> {
    let case = Case::load(&mut app.store.reader().await?.tx(), &app.config, merchant.id, id).await?;
    let case = case.ok_or(ApiError::InvoiceNotFound)?;
    Ok(Json(InvoiceStatusReport {
        object: "invoice_status".to_owned(),
        invoice: view::invoice(&case.invoice, &case.payments),
        latest_payment: case.latest_payment().map(|payment| view::payment(&case.invoice, payment, &app.config)),
    }))
}

//! `GET /api/v1/payments/payment-status`

use axum::Json;
use wire::payor::PaymentStatusReport;

use crate::{
    http::extract::{Payor, SessionInvoice},
    view,
};

/// Where the invoice stands, for polling.
#[utoipa::path(
    get,
    path = "/api/v1/payments/payment-status",
    tag = "Payors",
    params(SessionInvoice),
    responses((status = 200, body = PaymentStatusReport)),
    security(("session_token" = [], "session_signature" = [])),
)]
pub async fn retrieve_payment_status(payor: Payor) -> Json<PaymentStatusReport> {
    let standing = &payor.invoice().standing;
    Json(PaymentStatusReport {
        status: view::invoice_status(standing.status),
        paid_at: standing.paid_at.map(|time| time.0),
    })
}

//! `GET /api/v1/payments/payment-status`

use axum::Json;
use wire::payor::PaymentStatusReport;

use crate::{
    http::extract::{PollingPayor, SessionInvoice},
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
pub async fn retrieve_payment_status(PollingPayor(polled): PollingPayor) -> Json<PaymentStatusReport> {
    Json(PaymentStatusReport {
        status: view::invoice_status(polled.status),
        paid_at: polled.paid_at.map(|time| time.0),
    })
}

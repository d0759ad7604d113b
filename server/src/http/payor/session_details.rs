//! `GET /api/v1/payments/session-details`

use axum::{Json, extract::State};
use wire::{money::Dollars, payor::SessionDetails};

use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{Payor, SessionInvoice},
    },
    invoicing, view,
};

/// What the payer is to pay, to whom and until when.
#[utoipa::path(
    get,
    path = "/api/v1/payments/session-details",
    tag = "Payors",
    params(SessionInvoice),
    responses((status = 200, body = SessionDetails)),
    security(("session_token" = [], "session_signature" = [])),
)]
pub async fn retrieve_session_details(State(app): State<App>, payor: Payor) -> Result<Json<SessionDetails>, ApiError> {
    let case = payor.case(&app).await?;
    let invoice = &case.invoice;
    let merchant = app.store.reader().await?.tx().merchant(invoice.merchant).await?;
    let merchant = merchant.ok_or(ApiError::InvoiceNotFound)?;

    let lock = case.locking_payment().map(|payment| &payment.record);
    let remaining_ms = invoice.terms.expires_at.as_millis().0.saturating_sub(app.clock.now_ms().0).max(0);
    Ok(Json(SessionDetails {
        invoice_id: invoice.id.to_string(),
        amount_usd: Dollars { millis: invoice.terms.due.as_millis() },
        amount_remaining_usd: Dollars { millis: invoice.standing.remaining.as_millis() },
        description: invoice.description.clone(),
        expires_at: invoice.terms.expires_at.0,
        invoice_status: view::invoice_status(invoice.standing.status),
        remaining_time: remaining_ms,
        remaining_seconds: remaining_ms / 1000,
        merchant_name: merchant.name,
        merchant_email: merchant.email,
        network_environment: invoice.environment,
        locked_network: lock.map(|record| record.network.clone()),
        locked_token_id: lock.map(|record| record.token.0),
        locked_payment_address: lock.map(|record| view::address_on(invoice, app.config.kind_of(&record.network))),
        invoice_title: invoice.title.clone(),
        invoice_footer: invoice.footer.clone(),
        payment_return_url: invoice.return_url.clone(),
        payment_return_url_enabled: invoice.return_url_enabled && invoice.return_url.is_some(),
        has_questions: !invoicing::questions(invoice).is_empty(),
    }))
}

//! `POST` and `GET /api/v1/payments/customer-email`

use axum::{Json, extract::State};
use wire::payor::{CustomerEmail, CustomerEmailRequest, StoredCustomerEmail};

use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{JsonBody, Payor, SessionInvoice},
    },
    invoicing,
};

/// Says where the receipt should go. Nothing waits for it.
#[utoipa::path(
    post,
    path = "/api/v1/payments/customer-email",
    tag = "Payors",
    params(SessionInvoice),
    request_body = CustomerEmailRequest,
    responses((status = 200, body = StoredCustomerEmail)),
    security(("session_token" = [], "session_signature" = [])),
    extensions(("x-error-codes" = json!(codes![INVOICE_ALREADY_PAID, INVOICE_CANCELED, INVOICE_EXPIRED])))
)]
pub async fn store_customer_email(
    State(app): State<App>,
    payor: Payor,
    JsonBody { value: request, .. }: JsonBody<CustomerEmailRequest>,
) -> Result<Json<StoredCustomerEmail>, ApiError> {
    let invoice = payor.invoice();
    let email = invoicing::set_email(&app, invoice.merchant, invoice.id, &request.email).await?;
    Ok(Json(StoredCustomerEmail { success: true, email, message: "the e-mail address was kept".to_owned() }))
}

/// Where the receipt should go.
#[utoipa::path(
    get,
    path = "/api/v1/payments/customer-email",
    tag = "Payors",
    params(SessionInvoice),
    responses((status = 200, body = CustomerEmail)),
    security(("session_token" = [], "session_signature" = [])),
)]
pub async fn retrieve_customer_email(payor: Payor) -> Json<CustomerEmail> {
    let email = payor.0.invoice.customer_email;
    Json(CustomerEmail { has_email: email.is_some(), email })
}

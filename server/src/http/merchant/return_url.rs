//! `GET` and `PUT /api/v1/merchant/payment-return-url`

use axum::{Json, extract::State};
use wire::settings::{ReturnUrl, ReturnUrlRequest};

use super::create_invoice::return_url;
use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{
            JsonBody, Merchant,
            rights::{ManageSettings, ReadInvoices},
        },
    },
};

/// Where payers go afterwards, unless their invoice says something else.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/payment-return-url",
    tag = "Settings",
    responses((status = 200, body = ReturnUrl)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![MERCHANT_NOT_FOUND])))
)]
pub async fn retrieve_return_url(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
) -> Result<Json<ReturnUrl>, ApiError> {
    let record = app.store.reader().await?.tx().merchant(merchant.id).await?;
    Ok(Json(show(record.ok_or(ApiError::MerchantNotFound)?.return_url)))
}

/// Sets or clears it, for invoices that are created from now on.
#[utoipa::path(
    put,
    path = "/api/v1/merchant/payment-return-url",
    tag = "Settings",
    request_body = ReturnUrlRequest,
    responses((status = 200, body = ReturnUrl)),
    security(("merchant_key" = ["settings"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![MERCHANT_NOT_FOUND])))
)]
pub async fn set_return_url(
    State(app): State<App>,
    merchant: Merchant<ManageSettings>,
    JsonBody { value: request, .. }: JsonBody<ReturnUrlRequest>,
) -> Result<Json<ReturnUrl>, ApiError> {
    let url = request.payment_return_url.map(return_url).transpose()?;
    let (id, set) = (merchant.id, url.clone());
    let is_there: bool = app
        .store
        .write(move |tx| Box::pin(async move { tx.set_return_url(id, set.as_deref()).await.map_err(ApiError::from) }))
        .await?;
    if is_there { Ok(Json(show(url))) } else { Err(ApiError::MerchantNotFound) }
}

fn show(url: Option<String>) -> ReturnUrl {
    ReturnUrl { payment_return_url_enabled: url.is_some(), payment_return_url: url }
}

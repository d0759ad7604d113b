//! `POST /api/v1/payments/payment-addresses`

use axum::{Json, extract::State};
use domain::id::TokenId;
use wire::{
    money::Dollars,
    payor::{PaymentAddress, PaymentAddressRequest, QuoteStatus, StreamConnection},
};

use super::stream_token::stream_connection;
use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{JsonBody, Payor, SessionInvoice},
    },
    invoicing::{self, Chosen, QuoteError},
    store::InvoiceRecord,
    view,
};

/// Prices come back within seconds of their source.
const RETRY_AFTER_SECONDS: i64 = 15;

/// Says what to send where; asking again gives a new quote for the same address.
#[utoipa::path(
    post,
    path = "/api/v1/payments/payment-addresses",
    tag = "Payors",
    params(SessionInvoice),
    request_body = PaymentAddressRequest,
    responses((status = 200, body = PaymentAddress)),
    security(("session_token" = [], "session_signature" = [])),
    extensions(("x-error-codes" = json!(codes![TOKEN_NOT_AVAILABLE, NETWORK_LOCKED, QUESTIONS_UNANSWERED, INVOICE_ALREADY_PAID, INVOICE_CANCELED, INVOICE_EXPIRED])))
)]
pub async fn allocate_payment_address(
    State(app): State<App>,
    payor: Payor,
    JsonBody { value: request, .. }: JsonBody<PaymentAddressRequest>,
) -> Result<Json<PaymentAddress>, ApiError> {
    if app.config.network(&request.network).is_none() {
        return Err(ApiError::TokenNotAvailable { field: "network" });
    }
    let invoice = payor.invoice();
    let chosen =
        invoicing::choose(&app, invoice.merchant, invoice.id, &request.network, TokenId(request.token_id)).await;
    let chosen = match chosen {
        Ok(chosen) => Ok(chosen),
        Err(QuoteError::NoPrice(_)) => Err("there is no current price for this token"),
        Err(QuoteError::Address(error)) if error.is_passing() => {
            Err("it cannot be known just now whether an address is free to be given")
        }
        Err(error) => return Err(error.into()),
    };
    let connection = stream_connection(&app, invoice).await?;
    Ok(Json(match chosen {
        Ok(chosen) => available(&app, &chosen, connection),
        Err(reason) => unavailable(invoice, request, reason, connection),
    }))
}

fn available(app: &App, chosen: &Chosen, connection: StreamConnection) -> PaymentAddress {
    let Chosen { record, address } = chosen;
    let quote = &record.quote;
    PaymentAddress {
        success: true,
        quote_status: QuoteStatus::Available,
        status_code: "ok".to_owned(),
        message: None,
        temp_address: Some(address.to_string()),
        network: record.network.clone(),
        supported_token_id: quote.token.0,
        estimated_token_amount: Some(quote.amount.to_decimal(quote.decimals)),
        exchange_rate: Some(view::rate(quote.rate)),
        usd_amount: Dollars { millis: quote.covers.as_millis() },
        quote_last_updated_at: Some(quote.created_at.0),
        quote_valid_until: Some(quote.valid_until.0),
        quote_expires_in_seconds: Some(quote.valid_until.0.saturating_sub(app.clock.now().0).max(0)),
        retryable: None,
        retry_after_seconds: None,
        memo: None,
        ws_connection: Some(connection),
    }
}

fn unavailable(
    invoice: &InvoiceRecord,
    request: PaymentAddressRequest,
    reason: &str,
    connection: StreamConnection,
) -> PaymentAddress {
    PaymentAddress {
        success: true,
        quote_status: QuoteStatus::Unavailable,
        status_code: "quote_unavailable".to_owned(),
        message: Some(reason.to_owned()),
        temp_address: None,
        network: request.network,
        supported_token_id: request.token_id,
        estimated_token_amount: None,
        exchange_rate: None,
        usd_amount: Dollars { millis: invoice.standing.remaining.as_millis() },
        quote_last_updated_at: None,
        quote_valid_until: None,
        quote_expires_in_seconds: None,
        retryable: Some(true),
        retry_after_seconds: Some(RETRY_AFTER_SECONDS),
        memo: None,
        ws_connection: Some(connection),
    }
}

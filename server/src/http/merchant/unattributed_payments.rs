//! `GET /api/v1/merchant/unattributed-payments` and `POST /api/v1/invoices/{invoice_id}/attach-payment`

use axum::{Json, extract::State};
use domain::id::MerchantId;
use wire::{
    invoice::Invoice,
    unattributed::{AttachPaymentRequest, UnattributedPayment, UnattributedPayments},
};

use super::filters::{self, AFTER, BEFORE, PageParameters, PageStart};
use crate::{
    app::App,
    config::TokenConfig,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{
            JsonBody, Merchant, NamedInvoice, Parameters,
            rights::{ManageWallets, ReadInvoices},
        },
        payor::read_transaction,
    },
    invoicing::{self, Case},
    store::{Tx, UnattributedPart, UnattributedPlace, UnattributedRecord},
    view,
};

/// What came to the merchant's wallet and belongs to no invoice.
///
/// Empty unless payers pay the wallet itself: with address mode `direct`, or on Solana without a list of addresses.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/unattributed-payments",
    tag = "Wallets",
    params(PageParameters),
    responses((status = 200, body = UnattributedPayments)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVALID_CURSOR])))
)]
pub async fn list_unattributed_payments(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<UnattributedPayments>, ApiError> {
    let limit = filters::limit(&parameters)?;
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let part = match filters::page_start(&parameters)? {
        PageStart::Newest => UnattributedPart::Newest,
        PageStart::After(id) => UnattributedPart::OlderThan(place(&mut tx, merchant.id, AFTER, id).await?),
        PageStart::Before(id) => UnattributedPart::NewerThan(place(&mut tx, merchant.id, BEFORE, id).await?),
    };
    let (found, has_more) = tx.unattributed(merchant.id, part, limit).await?;
    let data = found.iter().map(|payment| show(&app, payment)).collect();
    Ok(Json(UnattributedPayments { object: "list".to_owned(), data, has_more }))
}

/// Counts what a transaction brought to the merchant's wallet towards an invoice. Each payment counts once.
///
/// If a transaction brought several payments that belong to no invoice, `payment_id` says which is meant.
#[utoipa::path(
    post,
    path = "/api/v1/invoices/{invoice_id}/attach-payment",
    tag = "Invoices",
    params(NamedInvoice),
    request_body = AttachPaymentRequest,
    responses((status = 200, body = Invoice)),
    security(("merchant_key" = ["wallets"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVOICE_NOT_FOUND, UNKNOWN_NETWORK, TRANSACTION_NOT_FOUND,
        TRANSACTION_ATTACHED, TRANSACTION_AMBIGUOUS, INVOICE_HAS_OWN_ADDRESS])))
)]
pub async fn attach_payment(
    State(app): State<App>,
    merchant: Merchant<ManageWallets>,
    NamedInvoice(id): NamedInvoice,
    JsonBody { value: request, .. }: JsonBody<AttachPaymentRequest>,
) -> Result<Json<Invoice>, ApiError> {
    let hash = read_transaction(&request.tx_hash)?.to_string();
    if app.config.network(&request.network).is_none() {
        return Err(ApiError::UnknownNetwork { field: "network".to_owned() });
    }
    let payment = request.payment_id.as_deref().map(str::parse).transpose();
    let payment = payment.map_err(|_| invalid("payment_id", "payment_id must be a UUID"))?;
    invoicing::attach(&app, merchant.id, id, request.network, hash, payment).await?;
    let mut reader = app.store.reader().await?;
    let case = Case::load(&mut reader.tx(), &app.config, merchant.id, id).await?.ok_or(ApiError::InvoiceNotFound)?;
    Ok(Json(view::invoice(&case.invoice, &case.payments)))
}

fn show(app: &App, payment: &UnattributedRecord) -> UnattributedPayment {
    let token = app.config.token(payment.token).map(|(_, token)| token);
    UnattributedPayment {
        object: "unattributed_payment".to_owned(),
        payment_id: payment.payment().to_string(),
        network: payment.network.clone(),
        tx_hash: payment.tx_id.clone(),
        wallet_address: payment.wallet.to_string(),
        token_id: payment.token.0,
        token_symbol: token.map(|token| token.symbol.clone()).unwrap_or_default(),
        token_address: token.and_then(TokenConfig::shown_address),
        token_decimals: payment.decimals.get(),
        token_amount: payment.amount.to_decimal(payment.decimals),
        payer_wallet_address: payment.payer.clone(),
        block_number: payment.block_number,
        block_time: payment.block_time.0,
    }
}

/// The place of a payment; one that is not the merchant's is like one that is not there.
async fn place(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    field: &'static str,
    id: &str,
) -> Result<UnattributedPlace, ApiError> {
    let id = id.parse().map_err(|_| ApiError::InvalidCursor { field })?;
    tx.unattributed_place(merchant, id).await?.ok_or(ApiError::InvalidCursor { field })
}

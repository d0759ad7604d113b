//! `GET /api/v1/merchant/unattributed-payments` and `POST /api/v1/invoices/{invoice_id}/attach-payment`

use axum::{Json, extract::State};
use utoipa::IntoParams;
use wire::{
    invoice::Invoice,
    unattributed::{AttachPaymentRequest, UnattributedPayment, UnattributedPayments},
};

use super::tokens::number;
use crate::{
    app::App,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{
            JsonBody, Merchant, NamedInvoice, Parameters,
            rights::{ManageWallets, ReadInvoices},
        },
        payor::read_hash,
    },
    invoicing::{self, Case},
    store::UnattributedRecord,
    view,
};

const DEFAULT_LIMIT: u64 = 50;
const MOST_ITEMS: u64 = 200;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct PageParameters {
    /// How many payments at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// How many payments to leave out at the beginning.
    #[param(minimum = 0, default = 0)]
    offset: Option<u64>,
}

/// What came to the merchant's wallet and belongs to no invoice.
///
/// Empty unless payers pay the wallet itself (address mode `direct`).
#[utoipa::path(
    get,
    path = "/api/v1/merchant/unattributed-payments",
    tag = "Wallets",
    params(PageParameters),
    responses((status = 200, body = UnattributedPayments)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = []))
)]
pub async fn list_unattributed_payments(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<UnattributedPayments>, ApiError> {
    let limit = number(&parameters, "limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MOST_ITEMS).contains(&limit) {
        return Err(invalid("limit", format!("limit must lie between 1 and {MOST_ITEMS}")));
    }
    let offset = number(&parameters, "offset")?.unwrap_or(0);
    let (limit, offset) = (signed(limit), signed(offset));
    let (found, has_more) = app.store.reader().await?.tx().unattributed(merchant.id, limit, offset).await?;
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
    let hash = read_hash(&request.tx_hash)?.to_string();
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
        wallet_address: payment.wallet.to_checksum(None),
        token_id: payment.token.0,
        token_symbol: token.map(|token| token.symbol.clone()).unwrap_or_default(),
        token_address: token.and_then(|token| token.address).map(|address| address.to_checksum(None)),
        token_decimals: payment.decimals.get(),
        token_amount: payment.amount.to_decimal(payment.decimals),
        payer_wallet_address: payment.payer.clone(),
        block_number: payment.block_number,
        block_time: payment.block_time.0,
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX - 1)
}

//! `GET /api/v1/invoices` and `GET /api/v1/invoices/customer/{customer_id}`

use axum::{
    Json,
    extract::{Path, State},
};
use domain::id::MerchantId;
use wire::invoice::InvoiceList;

use super::{
    filters::{
        self, AFTER, BEFORE, CustomerParameter, InvoiceParameters, PageNumberParameter, PageParameters, PageStart,
    },
    retrieve_invoice::{Expand, ExpandParameters},
};
use crate::{
    app::App,
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{Merchant, Parameters, rights::ReadInvoices},
    },
    invoicing::Case,
    store::{self, InvoiceCursor, InvoiceFilter, InvoiceRecord, Part, Tx},
    view,
};

/// Skipping costs as much as reading; whoever wants to see more follows cursors.
const MOST_SKIPPED: i64 = 100_000;

/// A merchant's invoices, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/invoices",
    tag = "Invoices",
    params(PageParameters, PageNumberParameter, CustomerParameter, InvoiceParameters, ExpandParameters),
    responses((status = 200, body = InvoiceList)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVALID_CURSOR, INVALID_EXPAND])))
)]
pub async fn list_invoices(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<InvoiceList>, ApiError> {
    let filter = filters::invoices(&parameters)?;
    list(&app, merchant.id, &parameters, filter).await.map(Json)
}

/// The invoices of one of the merchant's customers, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/invoices/customer/{customer_id}",
    tag = "Invoices",
    params(
        ("customer_id" = String, Path, min_length = 1, max_length = 255, description = "Your name for the customer."),
        PageParameters,
        PageNumberParameter,
        InvoiceParameters,
        ExpandParameters
    ),
    responses((status = 200, body = InvoiceList)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![INVALID_CURSOR, INVALID_EXPAND])))
)]
pub async fn list_invoices_of_customer(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    customer: Result<Path<String>, axum::extract::rejection::PathRejection>,
    parameters: Parameters,
) -> Result<Json<InvoiceList>, ApiError> {
    let Ok(Path(customer)) = customer else { return Err(invalid("customer_id", "customer_id must be UTF-8 text")) };
    let customer = filters::customer_id(&customer)?;
    let filter = filters::invoices(&parameters)?;
    let filter = filter.map(|filter| InvoiceFilter { customer_id: Some(customer), ..filter });
    list(&app, merchant.id, &parameters, filter).await.map(Json)
}

async fn list(
    app: &App,
    merchant: MerchantId,
    parameters: &Parameters,
    filter: Option<InvoiceFilter>,
) -> Result<InvoiceList, ApiError> {
    let expand = Expand::parse(parameters)?;
    let limit = filters::limit(parameters)?;
    let page = page(parameters, limit)?;
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let part = match (filters::page_start(parameters)?, page) {
        (PageStart::Newest, None) => Part::Newest,
        (PageStart::Newest, Some(page)) => Part::Skip(page.skipped),
        (PageStart::After(id), None) => Part::OlderThan(cursor(&mut tx, merchant, AFTER, id).await?),
        (PageStart::Before(id), None) => Part::NewerThan(cursor(&mut tx, merchant, BEFORE, id).await?),
        (_, Some(_)) => return Err(invalid("page", format!("page cannot be used with {AFTER} or {BEFORE}"))),
    };
    let found = match &filter {
        Some(filter) => tx.invoice_list(merchant, filter, part, limit).await?,
        None => store::InvoiceList { invoices: Vec::new(), has_more: false },
    };
    let data = show(&mut tx, app, merchant, expand, found.invoices).await?;
    let total = match (page, &filter) {
        (None, _) => None,
        (Some(_), None) => Some(0),
        (Some(_), Some(filter)) => Some(tx.count_invoices(merchant, filter).await?),
    };
    Ok(InvoiceList {
        object: "list".to_owned(),
        items: page.map(|_| data.clone()),
        data,
        has_more: found.has_more,
        total,
        page: page.map(|page| page.number),
    })
}

/// Only what is asked for beside the invoices is read for each of them.
async fn show(
    tx: &mut Tx<'_>,
    app: &App,
    merchant: MerchantId,
    expand: Expand,
    invoices: Vec<InvoiceRecord>,
) -> Result<Vec<wire::invoice::Invoice>, ApiError> {
    if expand == Expand::default() {
        let mut payers = tx.first_payers(merchant, &invoices).await?;
        return Ok(invoices.iter().map(|invoice| view::invoice_paid_by(invoice, payers.remove(&invoice.id))).collect());
    }
    let mut shown = Vec::with_capacity(invoices.len());
    for invoice in invoices {
        shown.push(expand.show(&Case::of(tx, &app.config, invoice).await?, &app.config));
    }
    Ok(shown)
}

/// The place of an invoice; one that is not the merchant's is like one that is not there.
async fn cursor(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    field: &'static str,
    id: &str,
) -> Result<InvoiceCursor, ApiError> {
    let id = id.parse().map_err(|_| ApiError::InvalidCursor { field })?;
    let invoice = tx.invoice(merchant, id).await?.ok_or(ApiError::InvalidCursor { field })?;
    Ok(InvoiceCursor::of(&invoice))
}

/// A page in the older way of counting them.
#[derive(Clone, Copy, Debug)]
struct Page {
    /// From 1.
    number: u64,
    skipped: i64,
}

fn page(parameters: &Parameters, limit: usize) -> Result<Option<Page>, ApiError> {
    let Some(text) = parameters.get("page") else { return Ok(None) };
    let page = text.parse().ok().filter(|number| 1 <= *number).and_then(|number: u64| {
        let skipped = i64::try_from(number - 1).ok()?.checked_mul(i64::try_from(limit).ok()?)?;
        (skipped <= MOST_SKIPPED).then_some(Page { number, skipped })
    });
    let message = || format!("page counts from 1, up to invoice {MOST_SKIPPED}; use {AFTER} to go on from there");
    page.map(Some).ok_or_else(|| invalid("page", message()))
}

//! `GET /api/v1/invoices/totals`

use axum::{Json, extract::State};
use domain::{invoice::InvoiceStatus, money::UsdMillis};
use wire::{
    invoice::{InvoiceCounts, InvoiceTotals, StatusTotals, Total},
    money::{Dollars, three_decimals},
};

use super::filters::{self, CustomerParameter, InvoiceParameters};
use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{Merchant, Parameters, rights::ReadInvoices},
    },
    store::StatusSum,
};

/// How many invoices there are in each status, and what they ask for.
#[utoipa::path(
    get,
    path = "/api/v1/invoices/totals",
    tag = "Invoices",
    params(CustomerParameter, InvoiceParameters),
    responses((status = 200, body = InvoiceTotals)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
)]
pub async fn retrieve_invoice_totals(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<InvoiceTotals>, ApiError> {
    let sums = match filters::invoices(&parameters)? {
        Some(filter) => app.store.reader().await?.tx().invoice_sums(merchant.id, &filter).await?,
        None => Vec::new(),
    };
    Ok(Json(totals(&sums)))
}

fn totals(sums: &[StatusSum]) -> InvoiceTotals {
    let total = |wanted: Option<InvoiceStatus>| {
        let meant = || sums.iter().filter(|sum| wanted.is_none_or(|status| status == sum.status));
        let amount = meant().fold(UsdMillis::ZERO, |total, sum| total.plus(sum.due)).as_millis();
        let count = meant().fold(0_u64, |count, sum| count.saturating_add(sum.count));
        Total { amount, amount_decimal: three_decimals(amount), count }
    };
    let totals = StatusTotals {
        all: total(None),
        paid: total(Some(InvoiceStatus::Paid)),
        unpaid: total(Some(InvoiceStatus::Unpaid)),
        underpaid: total(Some(InvoiceStatus::Underpaid)),
        expired: total(Some(InvoiceStatus::Expired)),
        canceled: total(Some(InvoiceStatus::Canceled)),
    };
    let dollars = |total: &Total| Dollars { millis: total.amount };
    InvoiceTotals {
        object: "invoice_totals".to_owned(),
        currency: "usd".to_owned(),
        amount_unit: "usd_millis".to_owned(),
        total_amount_usd: dollars(&totals.all),
        total_paid_usd: dollars(&totals.paid),
        total_unpaid_usd: dollars(&totals.unpaid),
        total_expired_usd: dollars(&totals.expired),
        invoice_count: InvoiceCounts {
            total: totals.all.count,
            paid: totals.paid.count,
            unpaid: totals.unpaid.count,
            expired: totals.expired.count,
        },
        totals,
    }
}

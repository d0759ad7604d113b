//! The receipt as a page for paper.

use axum::{extract::State, response::Response};
use domain::{invoice::InvoiceStatus, settlement::SettlementStatus, transfer::Valuation};
use frontend::still::{self, ReceiptPayment, ReceiptQuote, Settlement};

use super::Reader;
use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::Parameters,
        snapshot::{self, Shown, explorer_link},
    },
    invoicing::{Case, Payment},
    view,
};

pub async fn draw_receipt(State(app): State<App>, reader: Reader, parameters: Parameters) -> Response {
    let answer = async {
        let session = super::open(&app, &parameters).await?;
        let shown = snapshot::present(&app, &session).await?;
        Ok::<_, ApiError>(draw(&app, &reader, &shown))
    };
    reader.answer(answer.await)
}

fn draw(app: &App, reader: &Reader, shown: &Shown) -> Response {
    let invoice = &shown.case.invoice;
    let is_paid = invoice.standing.status == InvoiceStatus::Paid;
    let counted =
        shown.case.payments.iter().filter(|payment| payment.record.canonical && 0 < payment.worth.as_millis());
    let receipt = still::Receipt {
        invoice: invoice.id.to_string(),
        created_at: invoice.created.as_seconds().0,
        paid_at: invoice.standing.paid_at.map(|time| time.0).filter(|_| is_paid),
        paid: invoice.standing.credit.as_millis(),
        payments: counted.map(|payment| shown_payment(app, &shown.case, payment)).collect(),
    };
    let page = still::draw_receipt(&shown.snapshot, reader.language, receipt);
    super::still(reader, shown, &page, None)
}

fn shown_payment(app: &App, case: &Case, payment: &Payment) -> ReceiptPayment {
    let record = &payment.record;
    let network = app.config.network(&record.network);
    let quote = match record.valuation {
        Valuation::Quoted { quote, .. } => case.quotes.iter().find(|record| record.quote.id == quote),
        _ => None,
    };
    ReceiptPayment {
        amount: record.amount.to_decimal(record.decimals),
        symbol: app.config.token(record.token).map(|(_, token)| token.symbol.clone()).unwrap_or_default(),
        network: network.map_or_else(|| record.network.clone(), |network| network.title.clone()),
        at: record.block_time.0,
        transaction: record.tx_id.clone(),
        link: explorer_link(app, &record.network, &record.tx_id),
        payer: record.payer.clone(),
        worth: payment.worth.as_millis(),
        rate: record.valuation.rate().map(view::rate),
        quote: quote.map(|record| ReceiptQuote {
            amount: record.quote.amount.to_decimal(record.quote.decimals),
            from: record.quote.created_at.0,
            until: record.quote.valid_until.0,
        }),
        settlement: match (payment.settlement, &payment.settlement_tx) {
            (SettlementStatus::Settled, Some(transaction)) => Settlement::Settled {
                link: explorer_link(app, &record.network, transaction),
                transaction: transaction.clone(),
            },
            (SettlementStatus::Manual, _) => Settlement::Held,
            _ => Settlement::Pending,
        },
    }
}

//! What was paid, to be kept: on paper or as a file, by the browser's own means.

use leptos::{either::Either, prelude::*};

use super::{code, date::utc};
use crate::{
    i18n::{self, Price, whole_cents},
    page::page_url,
    session::PaymentSession,
};

/// What a receipt says beside what the page says anyway. Times are epoch seconds, dollars thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub invoice: String,
    pub created_at: i64,
    /// `None` while it is not paid, when there is nothing to certify.
    pub paid_at: Option<i64>,
    pub paid: u64,
    /// Those that count, the oldest first.
    pub payments: Vec<ReceiptPayment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptPayment {
    /// Whole tokens, a plain decimal.
    pub amount: String,
    pub symbol: String,
    /// The network's name for people.
    pub network: String,
    /// The time of its block.
    pub at: i64,
    pub transaction: String,
    pub link: Option<String>,
    pub payer: Option<String>,
    /// What was credited for it.
    pub worth: u64,
    /// Dollars for one whole token, a plain decimal.
    pub rate: Option<String>,
    pub quote: Option<ReceiptQuote>,
    pub settlement: Settlement,
}

/// The quote that the payment was made under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptQuote {
    pub amount: String,
    pub from: i64,
    pub until: i64,
}

/// Whether the money has reached the merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    Pending,
    Held,
    Settled { transaction: String, link: Option<String> },
}

pub(super) fn view(session: PaymentSession, receipt: Receipt) -> impl IntoView {
    let t = i18n::text();
    let Some(paid_at) = receipt.paid_at else {
        return Either::Left(view! {
            <h2 id="stage">{t.receipt()}</h2>
            <p>{t.not_paid_yet()}</p>
            <p><a class="button" href=page_url(session)>{t.back_to_payment()}</a></p>
        });
    };
    let payments: Vec<_> = receipt.payments.into_iter().map(payment).collect();
    Either::Right(view! {
        <h2 id="stage">{t.receipt()}</h2>
        <dl class="facts receipt">
            {fact(t.invoice_number(), code(receipt.invoice))}
            {fact(t.ordered_at(), time(receipt.created_at))}
            {fact(t.paid_at(), time(paid_at))}
            {fact(t.total_paid(), t.dollars(whole_cents(receipt.paid)))}
        </dl>
        {payments}
        <p class="hint receipt__hint">{t.print_hint()}</p>
        <p class="receipt__hint"><a class="change" href=page_url(session)>{t.back_to_payment()}</a></p>
    })
}

fn payment(payment: ReceiptPayment) -> impl IntoView {
    let t = i18n::text();
    let quoted = payment.quote.map(|quote| {
        // A line that ends within a time is hard to read.
        let [from, until] =
            [quote.from, quote.until].map(|seconds| utc(seconds).replace('-', "\u{2011}").replace(' ', "\u{a0}"));
        fact(t.quoted(), t.quoted_for(&quote.amount, &payment.symbol, &from, &until))
    });
    let (settled, settlement) = match payment.settlement {
        Settlement::Pending => (t.not_settled(), None),
        Settlement::Held => (t.settlement_held(), None),
        // Paid straight to the merchant's wallet: the lines above say where.
        Settlement::Settled { transaction, .. } if transaction == payment.transaction => (t.settled(), None),
        Settlement::Settled { transaction, link } => (t.settled(), Some(linked(transaction, link))),
    };
    view! {
        <h3>{t.on(&payment.amount, &payment.symbol, &payment.network)}</h3>
        <dl class="facts receipt">
            {fact(t.paid_at(), time(payment.at))}
            {fact(t.worth(), t.dollars(whole_cents(payment.worth)))}
            {payment.rate.map(|rate| fact(t.rate_used(), t.rate(&payment.symbol, Price(&rate))))}
            {quoted}
            {fact(t.transaction(), linked(payment.transaction, payment.link))}
            {payment.payer.map(|payer| fact(t.paid_by(), code(payer)))}
            {fact(t.settlement(), view! { {settled} " " {settlement} })}
        </dl>
    }
}

fn fact(name: &'static str, value: impl IntoView) -> impl IntoView {
    view! {
        <div class="fact">
            <dt>{name}</dt>
            <dd>{value}</dd>
        </div>
    }
}

/// A transaction in full, for paper, and where to look at it.
fn linked(transaction: String, link: Option<String>) -> impl IntoView {
    match link {
        Some(link) => Either::Left(view! {
            <a href=link target="_blank" rel="noopener noreferrer">{code(transaction)}</a>
        }),
        None => Either::Right(code(transaction)),
    }
}

/// In its own direction: from right to left the hour would come before the day.
fn time(seconds: i64) -> impl IntoView {
    view! { <bdi>{utc(seconds)}</bdi> }
}

//! Every transfer that arrived, also the ones that do not count.

use leptos::prelude::*;
use wire::snapshot::{Payment, PaymentState, Snapshot};

use super::confirming::progress_made;
use crate::{
    i18n,
    part::{Part, part},
    session::PaymentSession,
};

#[component]
pub fn Payments() -> impl IntoView {
    PaymentSession::current().show(|session| session.held(payments))
}

fn payments(snapshot: &Snapshot) -> Part {
    let merchant = &snapshot.merchant.name;
    let list = part("ul", "").children(snapshot.payments.iter().map(|it| payment(it, merchant)).collect());
    let heading = part("h3", "").text(i18n::text().payments());
    part("div", "payments").flag("hidden", snapshot.payments.is_empty()).child(heading).child(list)
}

fn payment(payment: &Payment, merchant: &str) -> Part {
    let t = i18n::text();
    let (class, state) = match payment.state {
        PaymentState::Confirming => ("payment__state", progress_made(payment)),
        PaymentState::Credited => ("payment__state payment__state--done", t.credited().to_owned()),
        PaymentState::Late => ("payment__state payment__state--odd", t.late(merchant)),
        PaymentState::Unexpected => ("payment__state payment__state--odd", t.unexpected(merchant)),
        PaymentState::Unpriced => ("payment__state", t.unpriced().to_owned()),
        PaymentState::Orphaned => ("payment__state payment__state--odd", t.orphaned().to_owned()),
    };
    let amount = t.on(&payment.amount, &payment.symbol, &payment.network_title);
    let hash = part("code", "").with("translate", "no").with("dir", "ltr").text(payment.tx_hash.clone());
    let label = part("span", "").text(t.transaction());
    let transaction = part("span", "payment__transaction").child(label).text(" ").child(hash);
    let link = payment.explorer_url.clone().map(|url| {
        let link = part("a", "").with("href", url).with("target", "_blank").with("rel", "noopener noreferrer");
        link.text(t.view_transaction())
    });
    part("li", "payment")
        .child(part("span", "payment__amount").text(amount))
        .child(part("span", class).text(state))
        .child(transaction)
        .children(link.into_iter().collect())
}

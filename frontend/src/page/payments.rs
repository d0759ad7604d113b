//! Every transfer that arrived, also the ones that do not count.

use leptos::{either::Either, prelude::*};
use wire::snapshot::{Payment, PaymentState, Snapshot};

use super::confirming::confirmations;
use crate::{i18n, session::PaymentSession};

#[component]
pub fn Payments() -> impl IntoView {
    PaymentSession::current().show(|session| session.held(payments))
}

fn payments(snapshot: &Snapshot) -> Option<impl IntoView + use<>> {
    let t = i18n::text();
    (!snapshot.payments.is_empty()).then(|| {
        view! {
            <div class="payments">
                <h3>{t.payments()}</h3>
                <ul>{snapshot.payments.iter().map(payment).collect_view()}</ul>
            </div>
        }
    })
}

fn payment(payment: &Payment) -> impl IntoView + use<> {
    let t = i18n::text();
    let (variant, state) = match payment.state {
        PaymentState::Confirming => ("open", confirmations(payment)),
        PaymentState::Credited => ("done", t.credited().to_owned()),
        PaymentState::Late => ("odd", t.late().to_owned()),
        PaymentState::Unexpected => ("odd", t.unexpected().to_owned()),
        PaymentState::Unpriced => ("open", t.unpriced().to_owned()),
        PaymentState::Orphaned => ("odd", t.orphaned().to_owned()),
    };
    let link = match payment.explorer_url.clone() {
        Some(url) => Either::Left(view! {
            <a href=url target="_blank" rel="noopener noreferrer">{t.view_transaction()}</a>
        }),
        None => Either::Right(()),
    };
    view! {
        <li class="payment">
            <span class="payment__amount">{t.on(&payment.amount, &payment.symbol, &payment.network_title)}</span>
            <span class=format!("payment__state payment__state--{variant}")>{state}</span>
            <span class="payment__transaction">
                <span>{t.transaction()}</span>
                " "
                <code translate="no" dir="ltr">{payment.tx_hash.clone()}</code>
            </span>
            {link}
        </li>
    }
}

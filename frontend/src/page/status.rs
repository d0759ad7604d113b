//! The one line that says how things stand, and the only one that is read out when it changes.

use leptos::prelude::*;
use wire::{
    invoice::InvoiceStatus,
    snapshot::{Notice, Snapshot},
};

use crate::{
    i18n,
    session::PaymentSession,
    stage::{self, Stage},
};

#[component]
pub fn Status() -> impl IntoView {
    let session = PaymentSession::current();
    view! {
        <p class=session.show(|session| format!("status status--{}", read(session).0)) role="status" aria-live="polite">
            {session.show(|session| read(session).1)}
        </p>
    }
}

/// The variant of the line's look, and its text.
fn read(session: PaymentSession) -> (&'static str, String) {
    let t = i18n::text();
    let stage = session.stage();
    match (stage, session.notice.get()) {
        (Stage::Choose, Some(Notice::NoPrice)) => ("warning", t.no_price().to_owned()),
        (Stage::Choose, Some(Notice::NotOffered)) => ("warning", t.not_offered().to_owned()),
        (Stage::Choose, None) => session.held(|held| match held.invoice.status {
            InvoiceStatus::Underpaid => ("partial", part_arrived(held)),
            _ => ("quiet", String::new()),
        }),
        (Stage::Pay, _) if session.is_amiss.get() => ("warning", t.amiss().to_owned()),
        (Stage::Pay, _) if session.was_renewed.get() => ("waiting", format!("{} {}", waiting(session), t.renewed())),
        (Stage::Pay, _) => (session.held(variant_of_pay), waiting(session)),
        (Stage::Confirming, _) => ("found", session.held(confirming)),
        (Stage::Checking, _) => ("waiting", t.checking().to_owned()),
        // What follows says it in large letters; this says it to those who hear the page.
        (Stage::Paid, _) => ("quiet", t.paid().to_owned()),
        (Stage::Expired, _) => ("quiet", t.expired_status().to_owned()),
        (Stage::Canceled, _) => ("quiet", t.canceled_status().to_owned()),
    }
}

fn variant_of_pay(snapshot: &Snapshot) -> &'static str {
    if snapshot.invoice.status == InvoiceStatus::Underpaid { "partial" } else { "waiting" }
}

fn waiting(session: PaymentSession) -> String {
    session.timed(|held, now_ms| {
        let t = i18n::text();
        let is_lapsed = held.quote.as_ref().is_some_and(|quote| stage::is_past(quote.valid_until, now_ms));
        match held.invoice.status {
            _ if is_lapsed => t.renewing().to_owned(),
            InvoiceStatus::Underpaid => part_arrived(held),
            _ => t.waiting().to_owned(),
        }
    })
}

fn part_arrived(snapshot: &Snapshot) -> String {
    i18n::text().part_arrived(snapshot.invoice.paid, snapshot.invoice.amount)
}

fn confirming(snapshot: &Snapshot) -> String {
    let payment = stage::least_confirmed(&snapshot.payments);
    let confirming = |payment: &wire::snapshot::Payment| {
        let required = payment.required_confirmations;
        i18n::text().confirming(payment.confirmations.min(required), required)
    };
    payment.map(confirming).unwrap_or_default()
}

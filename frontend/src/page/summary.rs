//! Who is paid how much for what, until when, and whom to ask.

use leptos::prelude::*;
use wire::snapshot::Snapshot;

use super::page_url;
use crate::{
    components::{CLOCK, Mark},
    countdown, i18n,
    session::PaymentSession,
};

#[component]
pub fn Summary() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let Snapshot { merchant, invoice, environment, .. } = session.once(Snapshot::clone);
    let is_test = environment == wire::Environment::Devnet;
    let has_own_title = !invoice.title.is_empty() && invoice.title != merchant.name;
    view! {
        <header class="summary">
            <p class="summary__merchant">{merchant.name.clone()}</p>
            {is_test.then(|| view! { <p class="badge">{t.test_network()}</p> })}
            <h1 class="summary__title">
                {if has_own_title { invoice.title } else { t.payment_to(&merchant.name) }}
            </h1>
            {invoice.description.map(|description| view! { <p class="summary__description">{description}</p> })}
            <p class="summary__amount">
                <span class="visually-hidden">{t.amount_due()}</span>
                {t.dollars(invoice.amount)}
            </p>
            {session.part(totals)}
            {move || {
                session.stage().has_time()
                    .then(|| {
                        view! {
                            <p class="timer">
                                <Mark path=CLOCK />
                                <span id="time-left">{t.time_left()}</span>
                                <span class="timer__clock" role="timer" aria-labelledby="time-left">
                                    {move || session.read(|held, now_ms| countdown::clock(held.invoice.expires_at, now_ms))}
                                </span>
                            </p>
                        }
                    })
            }}
        </header>
    }
}

/// What arrived and what is still due, once those differ from the amount.
fn totals(snapshot: &Snapshot) -> Option<impl IntoView + use<>> {
    let invoice = &snapshot.invoice;
    let t = i18n::text();
    let row = |label: &'static str, amount: u64| {
        view! {
            <div class="totals__row">
                <dt>{label}</dt>
                <dd>{t.dollars(amount)}</dd>
            </div>
        }
    };
    let is_partial = 0 < invoice.paid && 0 < invoice.remaining;
    is_partial.then(|| {
        let (paid, remaining) = (row(t.paid_so_far(), invoice.paid), row(t.still_to_pay(), invoice.remaining));
        view! { <dl class="totals">{paid} {remaining}</dl> }
    })
}

/// Whom to ask: always there, as nobody else can help.
#[component]
pub fn Contact() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let Snapshot { merchant, invoice, .. } = session.once(Snapshot::clone);
    let has_footer = !invoice.footer.is_empty() && invoice.footer != merchant.name;
    view! {
        <footer class="contact">
            <a class="check-again" href=page_url(session)>{t.check_again()}</a>
            <p>
                {t.questions()} " "
                <a href=format!("mailto:{}", merchant.email) target="_top">{merchant.email.clone()}</a>
            </p>
            {has_footer.then(|| view! { <p>{invoice.footer}</p> })}
        </footer>
    }
}

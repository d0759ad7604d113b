//! Who is paid how much for what, until when, and whom to ask.

use leptos::prelude::*;
use wire::snapshot::Snapshot;

use super::{page_url, url_of};
use crate::{
    components::{CLOCK, Mark},
    countdown, i18n,
    session::PaymentSession,
    stage::State,
};

#[component]
pub fn Summary() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let (merchant, invoice) = session.once(|held| (held.merchant.clone(), held.invoice.clone()));
    let is_test = session.once(|held| held.environment == wire::Environment::Devnet);
    let has_own_title = !invoice.title.is_empty() && invoice.title != merchant.name;
    view! {
        <header class="summary">
            <p class="summary__merchant">
                // The name beside it says the same.
                {merchant.logo.map(|logo| view! { <img class="logo" src=logo alt="" /> })}
                {merchant.name.clone()}
            </p>
            {is_test.then(|| view! { <p class="badge">{t.test_network()}</p> })}
            // The merchant's words may run the other way than the page's.
            <h1 class="summary__title">
                <bdi>{if has_own_title { invoice.title } else { t.payment_to(&merchant.name) }}</bdi>
            </h1>
            {invoice
                .description
                .map(|description| view! { <p class="summary__description"><bdi>{description}</bdi></p> })}
            <p class="summary__amount">
                <span class="visually-hidden">{t.amount_due()}</span>
                {t.dollars(invoice.amount)}
            </p>
            <dl class="totals" hidden=session.show(|session| !session.held(is_partial))>
                <div class="totals__row">
                    <dt>{t.paid_so_far()}</dt>
                    <dd>{session.show(|session| i18n::text().dollars(session.held(|held| held.invoice.paid)))}</dd>
                </div>
                <div class="totals__row">
                    <dt>{t.still_to_pay()}</dt>
                    <dd>{session.show(|session| i18n::text().dollars(session.held(|held| held.invoice.remaining)))}</dd>
                </div>
            </dl>
            <p class="timer" hidden=session.show(|session| !session.state().has_time())>
                <Mark path=CLOCK />
                <span id="time-left">{t.time_left()}</span>
                <span class="timer__clock" role="timer" aria-labelledby="time-left">
                    {session.show(|session| session.timed(|held, now_ms| countdown::clock(held.invoice.expires_at, now_ms)))}
                </span>
            </p>
        </header>
    }
}

/// Whether a part has arrived and a part is still due.
fn is_partial(snapshot: &Snapshot) -> bool {
    0 < snapshot.invoice.paid && 0 < snapshot.invoice.remaining
}

/// Whom to ask: always there, as nobody else can help.
#[component]
pub fn Contact() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let (merchant, footer) = session.once(|held| (held.merchant.clone(), held.invoice.footer.clone()));
    let has_footer = !footer.is_empty() && footer != merchant.name;
    view! {
        <footer class="contact">
            <a class="check-again" href=page_url(session)>{t.check_again()}</a>
            // Help is of the session, too.
            <p class="contact__help" hidden=session.show(|session| session.state() == State::SessionInvalid)>
                <a href=url_of(session, "/pay/help")>{t.i_have_paid()}</a>
            </p>
            <p>
                {t.questions()} " "
                <a href=format!("mailto:{}", merchant.email) target="_top">{merchant.email.clone()}</a>
            </p>
            {has_footer.then(|| view! { <p><bdi>{footer}</bdi></p> })}
        </footer>
    }
}

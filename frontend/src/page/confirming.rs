//! A payment is in a block, and blocks are piling up on it.

use leptos::prelude::*;
use wire::snapshot::Payment;

use super::{STAGE_HEADING, words};
use crate::{i18n, session::PaymentSession, stage};

#[component]
pub fn Confirming() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    view! {
        <div class="confirming">
            <h2 id=STAGE_HEADING tabindex="-1">
                {session.show(heading)}
            </h2>
            <p class="confirming__amount">
                {session.show(|session| slowest(session, |payment| i18n::text().on(&payment.amount, &payment.symbol, &payment.network_title)))}
            </p>
            <progress
                class="progress"
                aria-labelledby=STAGE_HEADING
                max=session.show(|session| slowest(session, |payment| payment.required_confirmations.max(1).to_string()))
                value=session.show(|session| slowest(session, |payment| payment.confirmations.to_string()))
            ></progress>
            <p class="confirming__count">
                {session.show(|session| slowest(session, confirmations))}
            </p>
            <p class="hint" hidden=session.show(|session| time_left(session).is_empty())>
                {session.show(time_left)}
            </p>
            <p class="hint">{t.confirming_hint()}</p>
        </div>
    }
}

fn heading(session: PaymentSession) -> String {
    let t = i18n::text();
    let deepening = session.held(|held| stage::least_confirmed(&held.payments).is_some_and(|it| 1 < it.confirmations));
    if deepening { t.confirming().to_owned() } else { t.found().to_owned() }
}

/// How long it usually takes from here; nothing if nobody can say.
fn time_left(session: PaymentSession) -> String {
    slowest(session, |payment| payment.expected_seconds.map(words::about).unwrap_or_default())
}

/// How deep it is and has to be; never deeper than that.
pub fn confirmations(payment: &Payment) -> String {
    let required = payment.required_confirmations;
    i18n::text().confirmations(payment.confirmations.min(required), required)
}

/// Reads the payment that has the longest way to go.
fn slowest(session: PaymentSession, part: fn(&Payment) -> String) -> String {
    session.held(|held| stage::least_confirmed(&held.payments).map(part).unwrap_or_default())
}

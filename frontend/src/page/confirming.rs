//! A payment is in a block, and blocks are piling up on it.

use leptos::prelude::*;
use wire::snapshot::{Payment, Snapshot};

use super::STAGE_HEADING;
use crate::{i18n, session::PaymentSession, stage};

#[component]
pub fn Confirming() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let payment = |part: fn(&Payment) -> String| move || session.part(slowest)().as_ref().map(part).unwrap_or_default();
    view! {
        <div class="confirming">
            <h2 id=STAGE_HEADING tabindex="-1">
                {t.found()}
            </h2>
            <p class="confirming__amount">
                {payment(|payment| i18n::text().on(&payment.amount, &payment.symbol, &payment.network_title))}
            </p>
            <progress
                class="progress"
                aria-labelledby=STAGE_HEADING
                max=payment(|payment| payment.required_confirmations.max(1).to_string())
                value=payment(|payment| payment.confirmations.to_string())
            ></progress>
            <p class="confirming__count">
                {payment(|payment| i18n::text().confirmations(payment.confirmations, payment.required_confirmations))}
            </p>
            <p class="hint">{t.confirming_hint()}</p>
        </div>
    }
}

fn slowest(snapshot: &Snapshot) -> Option<Payment> {
    stage::least_confirmed(&snapshot.payments).cloned()
}

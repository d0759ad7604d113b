//! What speaks for the address, and what is shown instead of it when that does not hold.

use leptos::prelude::*;
use wire::snapshot::Quote;

use super::STAGE_HEADING;
use crate::{
    components::{CHECK, Mark, WARNING},
    i18n,
    proof::is_as_computed,
    session::PaymentSession,
};

/// Where the address comes from, and that this browser has seen to it.
#[component]
pub fn ProofOfAddress() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    view! {
        <p class="hint proof">
            {session.quote_once(words)} " "
            <span class=session.show(class_of_check)>
                <Mark path=CHECK />
                {t.proof_checked()}
            </span>
        </p>
    }
}

fn class_of_check(session: PaymentSession) -> String {
    let is_proven =
        session.is_checked.get() && session.held(|held| held.quote.as_ref().is_some_and(|quote| quote.proof.is_some()));
    if is_proven { "proof__check proof__check--done".to_owned() } else { "proof__check".to_owned() }
}

fn words(quote: &Quote) -> String {
    let t = i18n::text();
    match &quote.proof {
        // Never said of an address that it is not true of, whether or not a script ever runs.
        Some(proof) if is_as_computed(quote) => t.proof(&proof.wallet),
        _ => t.no_proof().to_owned(),
    }
}

/// The page stops: something on the way or in the browser has changed what it says.
#[component]
pub fn Amiss() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    view! {
        <div class="outcome outcome--amiss" role="alert">
            <div class="outcome__mark">
                <Mark path=WARNING />
            </div>
            <h2 id=STAGE_HEADING tabindex="-1">
                {t.amiss()}
            </h2>
            <p>{t.amiss_reason()}</p>
            <p>{session.once(|held| t.amiss_hint(&held.merchant.name))}</p>
        </div>
    }
}

//! What speaks for the address, and what is shown instead of it when that does not hold.

use leptos::prelude::*;
use wire::snapshot::{Quote, Snapshot};

use super::STAGE_HEADING;
use crate::{
    components::{CHECK, WARNING, mark},
    i18n,
    part::{Part, part},
    proof::is_as_computed,
    session::PaymentSession,
};

/// Where the address comes from, and that this browser has seen to it.
pub fn proof_of_address(session: PaymentSession) -> Part {
    let said = part("p", "hint proof").text(format!("{} ", session.quote_once(words)));
    if !session.once(has_proof) {
        return said;
    }
    let check = part("span", "")
        .following("class", move || class_of_check(session))
        .child(mark(CHECK))
        .text(i18n::text().proof_checked());
    said.child(check)
}

fn has_proof(snapshot: &Snapshot) -> bool {
    snapshot.quote.as_ref().is_some_and(|quote| quote.proof.is_some())
}

fn class_of_check(session: PaymentSession) -> String {
    if session.is_checked.get() && session.held(has_proof) {
        "proof__check proof__check--done".to_owned()
    } else {
        "proof__check".to_owned()
    }
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
pub fn amiss(session: PaymentSession) -> Part {
    let t = i18n::text();
    let hint = session.once(|held| t.amiss_hint(&held.merchant.name));
    part("div", "outcome outcome--amiss")
        .with("role", "alert")
        .child(part("div", "outcome__mark").child(mark(WARNING)))
        .child(part("h2", "").with("id", STAGE_HEADING).with("tabindex", "-1").text(t.amiss()))
        .child(part("p", "").text(t.amiss_reason()))
        .child(part("p", "").text(hint))
}

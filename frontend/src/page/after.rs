//! What comes after it is paid: the receipt, and the way back to the shop.

use leptos::prelude::*;
use wire::{invoice::InvoiceStatus, snapshot::Snapshot};

use super::url_of;
use crate::{
    dom, i18n,
    part::{Part, part},
    session::PaymentSession,
};

/// Long enough to read that it is paid, and to say that one would rather stay.
const LEAVES_AFTER_MS: i64 = 10_000;

/// The receipt and the way back. A page that saw the payment arrive goes back by itself, unless it is inside the shop's page,
/// which knows better what to show then.
pub fn after(session: PaymentSession) -> Part {
    let t = i18n::text();
    let url = session.once(way_back);
    let is_nowhere = url.is_none();
    let shop = part("a", "button")
        .with("href", url.unwrap_or_default())
        .with("target", "_top")
        .with("rel", "noreferrer")
        .flag("hidden", is_nowhere)
        .text(session.once(|held| t.back_to(&held.merchant.name)));
    let stay = part("button", "copy").with("type", "button").on("click", move |_| session.leaves_at.set(None));
    let leaving = part("p", "hint")
        .flag_following("hidden", move || session.leaves_at.get().is_none())
        .child(part("span", "").text_following(move || left(session)))
        .text(" ")
        .child(stay.text(t.stay()));
    part("div", "after")
        .flag_following("hidden", move || !session.held(is_paid))
        .child(shop)
        .child(leaving)
        .child(part("a", "change").with("href", url_of(session, "/pay/receipt")).text(t.receipt()))
}

fn is_paid(snapshot: &Snapshot) -> bool {
    snapshot.invoice.status == InvoiceStatus::Paid
}

fn left(session: PaymentSession) -> String {
    let left_ms = session.timed(|_, now_ms| session.leaves_at.get().map_or(0, |at| (at - now_ms).max(0)));
    i18n::text().leaving(u32::try_from((left_ms + 999) / 1000).unwrap_or(0))
}

/// Leaves for the shop's page when it is time: some seconds after this page has seen that it is paid. One that was opened
/// when it was paid already stays, and so does one inside the shop's page.
pub fn leave_in_time(session: PaymentSession) {
    let is_seen = |held: &Snapshot| is_paid(held) && !session.was_paid;
    let Some(url) = session.once(|held| way_back(held).filter(|_| is_seen(held))) else { return };
    let now_ms = untrack(|| session.timed(|_, now_ms| now_ms));
    if !session.is_leaving_decided.get_value() {
        session.is_leaving_decided.set_value(true);
        session.leaves_at.set(dom::is_top().then_some(now_ms + LEAVES_AFTER_MS));
    } else if session.leaves_at.get_untracked().is_some_and(|at| at <= now_ms) {
        session.leaves_at.set(None);
        dom::go_to(&url);
    }
}

/// Where the shop wants its payers; nowhere but where nobody on the way can read along.
fn way_back(snapshot: &Snapshot) -> Option<String> {
    snapshot.return_url.clone().filter(|url| url.starts_with("https://"))
}

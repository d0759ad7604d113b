//! A payment is in a block, and blocks are piling up on it.

use wire::snapshot::Payment;

use super::{STAGE_HEADING, words};
use crate::{
    i18n,
    part::{Part, part},
    session::PaymentSession,
    stage,
};

pub fn confirming(session: PaymentSession) -> Part {
    let follows =
        |tag, class, read: fn(PaymentSession) -> String| part(tag, class).text_following(move || read(session));
    let progress = part("progress", "progress")
        .with("aria-labelledby", STAGE_HEADING)
        .following("max", move || slowest(session, |payment| payment.required_confirmations.max(1).to_string()))
        .following("value", move || slowest(session, |payment| payment.confirmations.to_string()));
    let time_left = follows("p", "hint", time_left).flag_following("hidden", move || time_left(session).is_empty());
    part("div", "confirming")
        .child(follows("h2", "", heading).with("id", STAGE_HEADING).with("tabindex", "-1"))
        .child(follows("p", "confirming__amount", amount))
        .child(progress)
        .child(follows("p", "confirming__count", |session| slowest(session, progress_made)))
        .child(time_left)
        .child(part("p", "hint").text(i18n::text().confirming_hint()))
}

fn amount(session: PaymentSession) -> String {
    slowest(session, |payment| i18n::text().on(&payment.amount, &payment.symbol, &payment.network_title))
}

fn heading(session: PaymentSession) -> String {
    let t = i18n::text();
    let deepening = session.held(|held| stage::least_confirmed(&held.payments).is_some_and(|it| 1 < it.confirmations));
    if deepening { t.confirming().to_owned() } else { t.found().to_owned() }
}

/// How long it usually takes from here; nothing if nobody can say, as while its network is not read.
fn time_left(session: PaymentSession) -> String {
    if session.held(|held| held.unread_network.is_some()) {
        return String::new();
    }
    slowest(session, |payment| {
        let left = |seconds| i18n::text().usually_left(&words::about(seconds));
        payment.expected_seconds.map(left).unwrap_or_default()
    })
}

/// How deep it is and has to be. No numbers once they are the same, or a payer who reads "1 of 1" waits for nothing.
pub fn progress_made(payment: &Payment) -> String {
    let t = i18n::text();
    if stage::is_deep_enough(payment) {
        t.last_check().to_owned()
    } else {
        t.confirmations(payment.confirmations, payment.required_confirmations)
    }
}

/// Reads the payment that has the longest way to go.
fn slowest(session: PaymentSession, read: fn(&Payment) -> String) -> String {
    session.held(|held| stage::least_confirmed(&held.payments).map(read).unwrap_or_default())
}

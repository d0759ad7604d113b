//! What each state says, and the one thing it asks of the payer.

use leptos::prelude::Get;
use wire::snapshot::{Notice, Payment, Snapshot};

use crate::{
    i18n,
    session::PaymentSession,
    stage::{self, Screen, State},
};

/// The line that is read out when it changes.
pub struct Line {
    /// The variant of its look.
    pub look: &'static str,
    pub status: String,
    /// What to do about it, where the rest of the page does not say so.
    pub step: String,
}

impl Line {
    fn of(look: &'static str, status: impl Into<String>) -> Self {
        Self { look, status: status.into(), step: String::new() }
    }

    fn with(self, step: impl Into<String>) -> Self {
        Self { step: step.into(), ..self }
    }
}

pub fn line(session: PaymentSession) -> Line {
    let t = i18n::text();
    let state = session.state();
    if session.is_amiss.get() && matches!(session.screen(), Screen::Pay(_)) {
        return Line::of("warning", t.amiss());
    }
    match state {
        State::Choose => match session.notice.get() {
            Some(Notice::NoPrice) => Line::of("warning", t.no_price()),
            Some(Notice::NotOffered) => Line::of("warning", t.not_offered()),
            None => Line::of("quiet", ""),
        },
        State::Quoting => Line::of("waiting", t.quoting()),
        State::Pay if session.was_renewed.get() => Line::of("waiting", t.waiting()).with(t.renewed()),
        State::Pay => Line::of("waiting", t.waiting()),
        State::Lapsed if session.is_sending.get() => Line::of("waiting", t.renewing()),
        State::Lapsed => Line::of("warning", t.rate_lapsed()).with(t.renew_first()),
        State::Underpaid => Line::of("partial", session.held(part_arrived)),
        State::Unexpected => session.held(unexpected),
        // What follows shows it; this says it to those who hear the page.
        State::Found | State::Confirming => Line::of("quiet", session.held(confirming)),
        State::NetworkBehind => session.held(behind),
        State::Offline => Line::of("warning", t.offline()).with(t.offline_step()),
        State::Checking => Line::of("quiet", t.checking()),
        State::Reorganised
        | State::Paid
        | State::Overpaid
        | State::PaidLate
        | State::Expired
        | State::Canceled
        | State::SessionInvalid
        | State::Suspended => Line::of("quiet", heading(state)),
    }
}

/// What the payer sees in large letters when nothing is to be chosen or sent.
pub fn heading(state: State) -> &'static str {
    let t = i18n::text();
    match state {
        State::Paid | State::Overpaid | State::PaidLate => t.paid(),
        State::Expired => t.expired(),
        State::Canceled => t.canceled(),
        State::Reorganised => t.reorganised(),
        State::SessionInvalid => t.session_invalid(),
        State::Suspended => t.suspended(),
        _ => t.time_is_up(),
    }
}

/// What happened.
pub fn said(state: State, snapshot: &Snapshot) -> String {
    let t = i18n::text();
    let merchant = &snapshot.merchant.name;
    match state {
        State::Paid | State::Overpaid | State::PaidLate => t.paid_to(snapshot.invoice.amount, merchant),
        State::Expired => t.expired_said().to_owned(),
        State::Canceled => t.canceled_said(merchant),
        State::Reorganised => t.reorganised_said().to_owned(),
        State::SessionInvalid => t.session_invalid_said().to_owned(),
        State::Suspended => t.suspended_said(merchant),
        _ => t.checking_said().to_owned(),
    }
}

/// What the payer is to do now, or that it is nothing.
pub fn step(state: State, snapshot: &Snapshot) -> String {
    let t = i18n::text();
    let merchant = &snapshot.merchant.name;
    match state {
        State::Paid => t.paid_step().to_owned(),
        State::PaidLate => t.paid_late().to_owned(),
        State::Overpaid => t.overpaid(i18n::whole_cents(snapshot.invoice.overpaid), merchant),
        State::Expired | State::Canceled => t.over_step(merchant),
        State::Reorganised => t.reorganised_step().to_owned(),
        State::SessionInvalid => t.session_invalid_step().to_owned(),
        State::Suspended => t.suspended_step(merchant),
        _ => t.checking_step().to_owned(),
    }
}

/// Whether the step is to write to the merchant.
pub fn asks_to_write(state: State) -> bool {
    matches!(state, State::Overpaid | State::Expired | State::Canceled | State::Suspended)
}

/// A time to wait, in words.
pub fn about(seconds: u32) -> String {
    let t = i18n::text();
    // Nobody counts single seconds of a guess.
    if seconds < 60 { t.takes_seconds(seconds.div_ceil(5).max(1) * 5) } else { t.takes_minutes(seconds.div_ceil(60)) }
}

fn part_arrived(snapshot: &Snapshot) -> String {
    i18n::text().part_arrived(snapshot.invoice.paid, snapshot.invoice.amount)
}

fn unexpected(snapshot: &Snapshot) -> Line {
    let t = i18n::text();
    let said = stage::unexpected(snapshot).map(|it| t.unexpected_said(&it.amount, &it.symbol, &it.network_title));
    Line::of("warning", said.unwrap_or_default()).with(t.unexpected_step(&snapshot.merchant.name))
}

fn behind(snapshot: &Snapshot) -> Line {
    let t = i18n::text();
    let network = snapshot.unread_network.as_deref().unwrap_or_default();
    let is_found = stage::least_confirmed(&snapshot.payments).is_some();
    let step = if is_found { t.payment_behind_step() } else { t.network_behind_step() };
    Line::of("warning", t.network_behind(network)).with(step)
}

fn confirming(snapshot: &Snapshot) -> String {
    let t = i18n::text();
    let said = |payment: &Payment| {
        if stage::is_deep_enough(payment) {
            t.last_check_status().to_owned()
        } else {
            t.confirming_status(payment.confirmations, payment.required_confirmations)
        }
    };
    stage::least_confirmed(&snapshot.payments).map(said).unwrap_or_default()
}

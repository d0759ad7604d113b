//! How it ended, or that it is about to.

use leptos::prelude::*;
use wire::snapshot::Snapshot;

use super::{STAGE_HEADING, after::After};
use crate::{
    components::{CHECK, CLOCK, CROSS},
    i18n,
    session::PaymentSession,
    stage::Stage,
};

/// Paid, expired, canceled, or time is up.
#[component]
pub fn Outcome() -> impl IntoView {
    let session = PaymentSession::current();
    view! {
        <div class=session.show(|session| format!("outcome outcome--{}", look(session.stage()).0))>
            <div class="outcome__mark">
                <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
                    <path d=session.show(|session| look(session.stage()).1.to_owned()) />
                </svg>
            </div>
            <h2 id=STAGE_HEADING tabindex="-1">
                {session.show(|session| look(session.stage()).2.to_owned())}
            </h2>
            <p>{session.show(said)}</p>
            <p hidden=session.show(|session| remark(session).is_empty())>{session.show(remark)}</p>
            <After />
        </div>
    }
}

/// What happened.
fn said(session: PaymentSession) -> String {
    let t = i18n::text();
    match session.stage() {
        Stage::Paid => session.held(|held| t.paid_to(held.invoice.amount, &held.merchant.name)),
        Stage::Expired => t.expired_status().to_owned(),
        Stage::Canceled => t.canceled_status().to_owned(),
        _ => t.checking_hint().to_owned(),
    }
}

/// What the payer should know or do about it; often nothing.
fn remark(session: PaymentSession) -> String {
    match session.stage() {
        Stage::Paid => session.held(remark_on_paid),
        Stage::Expired | Stage::Canceled => session.held(|held| i18n::text().over_hint(&held.merchant.name)),
        _ => String::new(),
    }
}

fn remark_on_paid(snapshot: &Snapshot) -> String {
    let t = i18n::text();
    match (snapshot.invoice.overpaid, snapshot.invoice.late) {
        (0, false) => String::new(),
        (0, true) => t.paid_late().to_owned(),
        (by, _) => t.overpaid(by, &snapshot.merchant.name),
    }
}

/// The variant of the look, the mark and the heading.
fn look(stage: Stage) -> (&'static str, &'static str, &'static str) {
    let t = i18n::text();
    match stage {
        Stage::Paid => ("done", CHECK, t.paid()),
        Stage::Expired => ("over", CLOCK, t.expired()),
        Stage::Canceled => ("over", CROSS, t.canceled()),
        _ => ("waiting", CLOCK, t.time_is_up()),
    }
}

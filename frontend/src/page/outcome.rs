//! How it ended, or that it is about to; or why nothing can be done here.

use leptos::prelude::*;

use super::{STAGE_HEADING, after::after, words};
use crate::{
    components::{CHECK, CLOCK, CROSS},
    i18n,
    session::PaymentSession,
    stage::State,
};

/// A mark, what happened, and what to do now.
#[component]
pub fn Outcome() -> impl IntoView {
    let session = PaymentSession::current();
    let t = i18n::text();
    let merchant = session.once(|held| held.merchant.clone());
    view! {
        <div class=session.show(|session| format!("outcome outcome--{}", look(session.state()).0))>
            <div class="outcome__mark">
                <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
                    <path d=session.show(|session| look(session.state()).1.to_owned()) />
                </svg>
            </div>
            <h2 id=STAGE_HEADING tabindex="-1">
                {session.show(|session| words::heading(session.state()).to_owned())}
            </h2>
            <p class="outcome__said">{session.show(|session| session.held(|held| words::said(session.state(), held)))}</p>
            <p>{session.show(|session| session.held(|held| words::step(session.state(), held)))}</p>
            <a
                class="button button--quiet"
                href=format!("mailto:{}", merchant.email)
                target="_top"
                hidden=session.show(|session| !words::asks_to_write(session.state()))
            >
                {t.write_to(&merchant.name)}
            </a>
            {after(session)}
        </div>
    }
}

/// The variant of the look, and the mark.
fn look(state: State) -> (&'static str, &'static str) {
    match state {
        State::Paid | State::Overpaid | State::PaidLate => ("done", CHECK),
        State::Expired => ("over", CLOCK),
        State::Canceled | State::SessionInvalid | State::Suspended => ("over", CROSS),
        _ => ("waiting", CLOCK),
    }
}

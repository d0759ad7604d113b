//! What a payer sees, a file per part. The stage decides which of them.

mod after;
mod choose;
mod confirming;
mod outcome;
mod pay;
mod payments;
mod proof;
mod status;
mod summary;
mod words;

pub use after::leave_in_time;
use choose::choose;
use confirming::confirming;
use leptos::{either::EitherOf4, prelude::*};
use outcome::Outcome;
use pay::pay;
use payments::Payments;
use proof::amiss;
use status::status;
pub use summary::{Contact, Summary};
use wire::snapshot::Snapshot;

use crate::{
    components::Whole,
    i18n, net,
    session::PaymentSession,
    stage::{Screen, Situation},
};

/// The heading of the present stage, which takes the focus when the payer's own act changed the stage.
const STAGE_HEADING: &str = "stage";

/// The whole page.
#[component]
pub fn Checkout(snapshot: Snapshot, situation: Situation) -> impl IntoView {
    let session = PaymentSession::provide(snapshot, situation);
    net::follow(session);
    view! {
        <div class="checkout">
            <Summary />
            <section class="stage" aria-labelledby=STAGE_HEADING>
                {status(session)}
                {move || Whole(match session.screen() {
                    Screen::Choose => EitherOf4::A(choose(session)),
                    Screen::Pay(_) if session.is_amiss.get() => EitherOf4::B(amiss(session)),
                    Screen::Pay(_) => EitherOf4::B(pay(session)),
                    Screen::Confirming => EitherOf4::C(confirming(session)),
                    Screen::Outcome => EitherOf4::D(view! { <Outcome /> }),
                })}
                <Payments />
            </section>
            <Contact />
        </div>
    }
}

/// The address of this very page, in its language.
pub fn page_url(session: PaymentSession) -> String {
    url_of(session, "/pay")
}

/// The address of another page of this session.
fn url_of(session: PaymentSession, path: &str) -> String {
    let credentials = session.credentials();
    let language = i18n::text().language().code();
    format!("{path}?session={}&signature={}&lang={language}", credentials.session_token, credentials.signature)
}

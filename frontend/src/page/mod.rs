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
use choose::Choose;
use confirming::Confirming;
use leptos::{either::EitherOf5, prelude::*};
use outcome::Outcome;
use pay::Pay;
use payments::Payments;
use proof::Amiss;
use status::Status;
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
                <Status />
                {move || Whole(match session.screen() {
                    Screen::Choose => EitherOf5::A(view! { <Choose /> }),
                    Screen::Pay(_) if session.is_amiss.get() => EitherOf5::B(view! { <Amiss /> }),
                    Screen::Pay(_) => EitherOf5::C(view! { <Pay /> }),
                    Screen::Confirming => EitherOf5::D(view! { <Confirming /> }),
                    Screen::Outcome => EitherOf5::E(view! { <Outcome /> }),
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

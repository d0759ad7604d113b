//! What a payer sees, a file per part. The stage decides which of them.

mod choose;
mod confirming;
mod outcome;
mod pay;
mod payments;
mod status;
mod summary;
mod words;

use choose::Choose;
use confirming::Confirming;
use leptos::{either::EitherOf4, prelude::*};
use outcome::Outcome;
use pay::Pay;
use payments::Payments;
use status::Status;
use summary::{Contact, Summary};
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
                    Screen::Choose => EitherOf4::A(view! { <Choose /> }),
                    Screen::Pay(_) => EitherOf4::B(view! { <Pay /> }),
                    Screen::Confirming => EitherOf4::C(view! { <Confirming /> }),
                    Screen::Outcome => EitherOf4::D(view! { <Outcome /> }),
                })}
                <Payments />
            </section>
            <Contact />
        </div>
    }
}

/// The address of this very page, in its language.
fn page_url(session: PaymentSession) -> String {
    let credentials = session.credentials();
    let language = i18n::text().language().code();
    format!("/pay?session={}&signature={}&lang={language}", credentials.session_token, credentials.signature)
}

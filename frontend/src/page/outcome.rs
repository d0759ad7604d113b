//! How it ended, or that it is about to.

use leptos::prelude::*;
use wire::snapshot::Snapshot;

use super::STAGE_HEADING;
use crate::{
    components::{CHECK, CLOCK, CROSS, Mark},
    i18n,
    session::PaymentSession,
};

#[component]
pub fn Paid() -> impl IntoView {
    view! { <Outcome variant="done" mark=CHECK title=i18n::text().paid() notes=paid_notes /> }
}

#[component]
pub fn Checking() -> impl IntoView {
    let notes = |_: &Snapshot| vec![i18n::text().checking_hint().to_owned()];
    view! { <Outcome variant="waiting" mark=CLOCK title=i18n::text().time_is_up() notes=notes /> }
}

#[component]
pub fn Expired() -> impl IntoView {
    view! { <Outcome variant="over" mark=CLOCK title=i18n::text().expired() notes=expired_notes /> }
}

#[component]
pub fn Canceled() -> impl IntoView {
    view! { <Outcome variant="over" mark=CROSS title=i18n::text().canceled() notes=canceled_notes /> }
}

#[component]
fn Outcome(
    variant: &'static str,
    mark: &'static str,
    title: &'static str,
    notes: fn(&Snapshot) -> Vec<String>,
) -> impl IntoView {
    let session = PaymentSession::current();
    let notes = session.part(notes);
    view! {
        <div class=format!("outcome outcome--{variant}")>
            <div class="outcome__mark">
                <Mark path=mark />
            </div>
            <h2 id=STAGE_HEADING tabindex="-1">
                {title}
            </h2>
            {move || notes().into_iter().map(|note| view! { <p>{note}</p> }).collect_view()}
        </div>
    }
}

fn paid_notes(snapshot: &Snapshot) -> Vec<String> {
    let t = i18n::text();
    let (invoice, merchant) = (&snapshot.invoice, &snapshot.merchant.name);
    let mut notes = vec![t.paid_to(invoice.amount, merchant)];
    if invoice.late {
        notes.push(t.paid_late().to_owned());
    }
    if 0 < invoice.overpaid {
        notes.push(t.overpaid(invoice.overpaid, merchant));
    }
    notes
}

fn expired_notes(snapshot: &Snapshot) -> Vec<String> {
    let t = i18n::text();
    vec![t.expired_status().to_owned(), t.expired_hint(&snapshot.merchant.name)]
}

fn canceled_notes(snapshot: &Snapshot) -> Vec<String> {
    let t = i18n::text();
    vec![t.canceled_status().to_owned(), t.expired_hint(&snapshot.merchant.name)]
}

//! How it ended, or that it is about to.

use leptos::prelude::*;
use wire::snapshot::Snapshot;

use super::STAGE_HEADING;
use crate::{
    components::{CHECK, CLOCK, CROSS, Mark},
    i18n,
    session::PaymentSession,
    stage::Stage,
};

/// Paid, expired, canceled, or time is up.
#[component]
pub fn Outcome() -> impl IntoView {
    let session = PaymentSession::current();
    let notes = move || {
        let notes = match session.stage() {
            Stage::Paid => session.part(paid_notes)(),
            Stage::Expired => session.part(expired_notes)(),
            Stage::Canceled => session.part(canceled_notes)(),
            _ => vec![i18n::text().checking_hint().to_owned()],
        };
        notes.into_iter().map(|note| view! { <p>{note}</p> }).collect_view()
    };
    view! {
        <div class=move || format!("outcome outcome--{}", look(session.stage()).0)>
            <div class="outcome__mark">{move || view! { <Mark path=look(session.stage()).1 /> }}</div>
            <h2 id=STAGE_HEADING tabindex="-1">
                {move || look(session.stage()).2}
            </h2>
            {notes}
        </div>
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

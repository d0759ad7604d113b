//! Pages that no script takes over: the merchant's questions, help, the receipt, and what is shown when something went
//! wrong. They look like the rest and are drawn on the server alone, so that a phone downloads no code for them.

mod date;
mod field;
mod help;
mod questions;
mod receipt;
mod trouble;

pub use field::{Fault, Field, FieldKind, Given};
pub use help::{Help, Network, NetworkFault, Search, SearchState};
use leptos::prelude::*;
pub use questions::Questions;
pub use receipt::{Receipt, ReceiptPayment, ReceiptQuote, Settlement};
pub use trouble::Trouble;
use wire::{invoice::SessionHeaders, snapshot::Snapshot};

use crate::{
    Language, Situation, i18n,
    page::{Contact, Summary},
    session::PaymentSession,
};

/// What these pages look like beside what all pages do.
pub const STYLE: &str = include_str!("../../../assets/styles/still.css");

/// A page without scripts, to be put into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// The document's title as plain text, not escaped.
    pub title: String,
    pub html: String,
}

/// The merchant's questions, which come before there is anything to pay with.
pub fn draw_questions(snapshot: &Snapshot, language: Language, questions: Questions) -> Still {
    i18n::speak(language);
    let title = i18n::text().asks(&snapshot.merchant.name);
    beside_summary(snapshot, title, move |session| questions::view(session, questions))
}

/// What a payer can do whose payment is not found, and where the receipt is to go.
pub fn draw_help(snapshot: &Snapshot, language: Language, help: Help) -> Still {
    i18n::speak(language);
    let title = i18n::text().help().to_owned();
    beside_summary(snapshot, title, move |session| help::view(session, help))
}

/// What was paid, to be kept.
pub fn draw_receipt(snapshot: &Snapshot, language: Language, receipt: Receipt) -> Still {
    i18n::speak(language);
    let title = i18n::text().receipt_of(&snapshot.merchant.name);
    beside_summary(snapshot, title, move |session| receipt::view(session, receipt))
}

/// Why there is another page than the one that was asked for. `next` is where to go from there, if that is known.
pub fn draw_trouble(trouble: Trouble, language: Language, next: Option<String>) -> Still {
    i18n::speak(language);
    let html = draw(move || trouble::view(trouble, next).into_any());
    Still { title: trouble.heading(i18n::text()).to_owned(), html }
}

/// A page about one invoice, with what is said of it everywhere.
fn beside_summary<V: IntoView + 'static>(
    snapshot: &Snapshot,
    title: String,
    content: impl FnOnce(PaymentSession) -> V,
) -> Still {
    let snapshot = snapshot.clone();
    let html = draw(move || {
        let session = PaymentSession::provide(snapshot, Situation::default());
        let content = content(session);
        view! {
            <div class="checkout checkout--still">
                <Summary />
                <section class="stage" aria-labelledby="stage">{content}</section>
                <Contact />
            </div>
        }
        .into_any()
    });
    Still { title, html }
}

fn draw(view: impl FnOnce() -> AnyView) -> String {
    let owner = Owner::new_root(None);
    let html = owner.with(|| view().to_html());
    owner.cleanup();
    html
}

/// What is sent or looked up as it stands, such as the name of a transaction.
fn code(text: String) -> impl IntoView {
    view! { <code translate="no" dir="ltr">{text}</code> }
}

/// A form that leads to another page, with what opens the invoice.
fn form(credentials: SessionHeaders, action: &'static str, fields: impl IntoView) -> impl IntoView {
    view! {
        <form class="form" method="post" action=action>
            <input type="hidden" name="session" value=credentials.session_token />
            <input type="hidden" name="signature" value=credentials.signature />
            <input type="hidden" name="lang" value=i18n::text().language().code() />
            {fields}
        </form>
    }
}

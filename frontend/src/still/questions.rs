//! What the merchant asks before there is anything to pay with.

use leptos::prelude::*;

use super::field::{self, Field, Given};
use crate::{i18n, session::PaymentSession};

/// The questions as they stand, and where the receipt is to go, which may be left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questions {
    pub fields: Vec<Field>,
    pub email: Given,
}

pub(super) fn view(session: PaymentSession, questions: Questions) -> impl IntoView {
    let t = i18n::text();
    let Questions { fields, email } = questions;
    let email = field::email(email, Some(session.once(|held| t.receipt_email_hint(&held.merchant.name))));
    let is_faulty = fields.iter().chain([&email]).any(|field| field.fault.is_some());
    let fields = view! {
        {fields.into_iter().map(field::view).collect_view()}
        {field::view(email)}
        <button class="button">{t.go_on()}</button>
    };
    view! {
        <h2 id="stage">{session.once(|held| t.asks(&held.merchant.name))}</h2>
        {is_faulty.then(look_again)}
        {super::form(session.credentials(), "/pay/questions", fields)}
    }
}

/// Said first, where a reader of the page begins.
pub(super) fn look_again() -> impl IntoView {
    view! { <p class="status status--warning" role="alert">{i18n::text().look_again()}</p> }
}

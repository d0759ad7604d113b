//! The one line that says how things stand, and the only one that is read out when it changes.

use leptos::prelude::*;

use super::words;
use crate::session::PaymentSession;

#[component]
pub fn Status() -> impl IntoView {
    let session = PaymentSession::current();
    view! {
        <div class=session.show(|session| format!("status status--{}", words::line(session).look))>
            <p role="status" aria-live="polite">{session.show(|session| words::line(session).status)}</p>
            <p class="status__step" hidden=session.show(|session| words::line(session).step.is_empty())>
                {session.show(|session| words::line(session).step)}
            </p>
        </div>
    }
}

//! Copies a text that is on the page, and says so only if that was seen to have worked.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::Event;
use wire::snapshot::Quote;

use crate::{
    dom::{self, Copied},
    i18n,
    part::{Part, part},
    session::PaymentSession,
};

/// How long the outcome stays on the button.
const OUTCOME: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    None,
    Copied,
    /// Nobody could look: the payer compares, and has it selected to copy once more.
    ToCompare,
    /// The payer has to copy, but need not select.
    Selected {
        is_touch: bool,
    },
}

/// Copies a part of the quote; `target` is the id of the element that shows the same text.
pub fn copy_button(label: &'static str, content: fn(&Quote) -> String, target: &'static str) -> Part {
    let session = PaymentSession::current();
    let t = i18n::text();
    let outcome = RwSignal::new(Outcome::None);
    let copy = move |_: Event| {
        let content = session.quote_once(content);
        spawn_local(async move {
            let result = match dom::copy(&content).await {
                Copied::Verified => Outcome::Copied,
                Copied::Unverified => Outcome::ToCompare,
                Copied::Failed => Outcome::Selected { is_touch: dom::is_touch() },
            };
            if result != Outcome::Copied {
                dom::select(target);
            }
            outcome.try_set(result);
            set_timeout(move || _ = outcome.try_set(Outcome::None), OUTCOME);
        });
    };
    let class = move || match outcome.get() {
        Outcome::Copied => "copy copy--done".to_owned(),
        _ => "copy".to_owned(),
    };
    let text = move || match outcome.get() {
        Outcome::None => label.to_owned(),
        Outcome::Copied => t.copied().to_owned(),
        Outcome::ToCompare => t.compare_copy().to_owned(),
        Outcome::Selected { is_touch: false } => t.press_copy().to_owned(),
        Outcome::Selected { is_touch: true } => t.hold_to_copy().to_owned(),
    };
    part("button", "").with("type", "button").following("class", class).on("click", copy).text_following(text)
}

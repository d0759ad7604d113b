//! A QR code, dark on light in every theme.

use leptos::prelude::*;
use wire::snapshot::Quote;

use crate::{proof, qr, session::PaymentSession};

/// Draws a part of the quote; `label` says to those who cannot see it what it holds.
#[component]
pub fn QrCode(content: fn(&Quote) -> String, label: fn(&Quote) -> String) -> impl IntoView {
    let session = PaymentSession::current();
    // Two steps, so that a new snapshot with the same quote draws nothing anew.
    let text = Memo::new(move |_| session.quote(content));
    let drawing = Memo::new(move |_| text.with(|text| qr::draw(text)));
    let drawn = NodeRef::<leptos::svg::Path>::new();
    session.add_check(move |quote| {
        let path = drawn.try_get_untracked().flatten().and_then(|path| path.get_attribute("d"));
        let is_drawn = |path| drawing.try_with_untracked(|drawing| drawing.path == path).unwrap_or(true);
        path.is_none_or(is_drawn) && proof::leads_to(&content(quote), quote)
    });
    view! {
        <svg
            class="qr"
            role="img"
            aria-label=move || session.quote(label)
            viewBox=move || drawing.with(|drawing| drawing.view_box.clone())
            shape-rendering="crispEdges"
        >
            <path node_ref=drawn d=move || drawing.with(|drawing| drawing.path.clone()) />
        </svg>
    }
}

//! A QR code, dark on light in every theme.

use leptos::prelude::*;
use wire::snapshot::Quote;

use crate::{qr, session::PaymentSession};

/// Draws a part of the quote; `label` says to those who cannot see it what it holds.
#[component]
pub fn QrCode(content: fn(&Quote) -> String, label: fn(&Quote) -> String) -> impl IntoView {
    let session = PaymentSession::current();
    // Two steps, so that a new snapshot with the same quote draws nothing anew.
    let content = Memo::new(move |_| session.quote(content));
    let drawing = Memo::new(move |_| content.with(|content| qr::draw(content)));
    view! {
        <svg
            class="qr"
            role="img"
            aria-label=move || session.quote(label)
            viewBox=move || drawing.with(|drawing| drawing.view_box.clone())
            shape-rendering="crispEdges"
        >
            <path d=move || drawing.with(|drawing| drawing.path.clone()) />
        </svg>
    }
}

//! A QR code, dark on light in every theme.

use leptos::prelude::*;
use wire::snapshot::Quote;

use crate::{
    dom,
    part::{Part, part},
    proof, qr,
    session::PaymentSession,
};

/// Draws a part of the quote; `label` says to those who cannot see it what it holds, and `drawn` selects what was drawn, so
/// that it can be looked at again.
pub fn qr_code(
    class: &'static str,
    drawn: &'static str,
    content: fn(&Quote) -> String,
    label: fn(&Quote) -> String,
) -> Part {
    let session = PaymentSession::current();
    // Two steps, so that a new snapshot with the same quote draws nothing anew.
    let text = Memo::new(move |_| session.quote(content));
    let drawing = Memo::new(move |_| text.with(|text| qr::draw(text)));
    session.add_check(move |quote| {
        let is_drawn = |path: &String| drawing.try_with_untracked(|drawing| drawing.path == *path).unwrap_or(true);
        dom::attributes(drawn, "d").iter().all(is_drawn) && proof::leads_to(&content(quote), quote)
    });
    let path = part("path", "").following("d", move || drawing.with(|drawing| drawing.path.clone()));
    part("svg", class)
        .with("role", "img")
        .following("aria-label", move || session.quote(label))
        .following("viewBox", move || drawing.with(|drawing| drawing.view_box.clone()))
        .with("shape-rendering", "crispEdges")
        .child(path)
}

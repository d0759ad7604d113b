//! A QR code, dark on light in every theme.

use leptos::prelude::*;
use wire::snapshot::Quote;

use crate::{
    part::{Part, part},
    qr,
    session::PaymentSession,
};

/// Draws a part of the quote; `label` says to those who cannot see it what it holds.
pub fn qr_code(class: &'static str, content: fn(&Quote) -> String, label: fn(&Quote) -> String) -> Part {
    let session = PaymentSession::current();
    // Two steps, so that a new snapshot with the same quote draws nothing anew.
    let content = Memo::new(move |_| session.quote(content));
    let drawing = Memo::new(move |_| content.with(|content| qr::draw(content)));
    let path = part("path", "").following("d", move || drawing.with(|drawing| drawing.path.clone()));
    part("svg", class)
        .with("role", "img")
        .following("aria-label", move || session.quote(label))
        .following("viewBox", move || drawing.with(|drawing| drawing.view_box.clone()))
        .with("shape-rendering", "crispEdges")
        .child(path)
}

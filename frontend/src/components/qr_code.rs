//! A QR code, dark on light in every theme.

use leptos::prelude::*;
use wire::snapshot::Quote;

use crate::{
    part::{Part, part},
    proof, qr,
    session::PaymentSession,
};

/// Draws a part of the quote, unless that is empty; `label` says to those who cannot see it what it holds, and `drawn`
/// selects what was drawn, so that it can be looked at again.
pub fn qr_code(
    class: &'static str,
    drawn: &'static str,
    content: fn(&Quote) -> String,
    label: fn(&Quote) -> String,
) -> Part {
    code(class, drawn, content, label, false)
}

/// The same, drawn by scripts alone once they have seen to the page: a code weighs a quarter to half a kilobyte of the
/// first frame.
pub fn late_qr_code(
    class: &'static str,
    drawn: &'static str,
    content: fn(&Quote) -> String,
    label: fn(&Quote) -> String,
) -> Part {
    code(class, drawn, content, label, true)
}

fn code(
    class: &'static str,
    drawn: &'static str,
    content: fn(&Quote) -> String,
    label: fn(&Quote) -> String,
    is_late: bool,
) -> Part {
    let session = PaymentSession::current();
    // Two steps, so that a new snapshot with the same quote draws nothing anew.
    let text =
        Memo::new(move |_| if is_late && !session.is_checked.get() { String::new() } else { session.quote(content) });
    let drawing = Memo::new(move |_| text.with(|text| if text.is_empty() { nothing() } else { qr::draw(text) }));
    session.add_check(move |quote| {
        drawing.try_with_untracked(|drawing| drawing.is_drawn(drawn)).unwrap_or(true)
            && proof::leads_to(&content(quote), quote)
    });
    let line = part("path", "")
        .following(qr::DASHES, move || drawing.with(|drawing| drawing.dashes.clone()))
        .following(qr::LINE, move || drawing.with(|drawing| drawing.line.clone()));
    part("svg", class)
        .with("role", "img")
        .following("aria-label", move || session.quote(label))
        .following("viewBox", move || drawing.with(|drawing| drawing.view_box.clone()))
        .with("shape-rendering", "crispEdges")
        .child(line)
}

/// Browsers complain about a drawing without a size.
fn nothing() -> qr::Drawing {
    qr::Drawing { view_box: "0 0 1 1".to_owned(), ..qr::Drawing::default() }
}

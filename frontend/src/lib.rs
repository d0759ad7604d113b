//! The payer's page: drawn by the server, taken over by the browser.
//!
//! Both draw the same components from the same [`Snapshot`], so the first frame can be paid before, and
//! without, any script. The target decides the role: natively there is [`render`], on `wasm32` there is
//! `start`. What may only happen in a browser (sockets, timers, the clipboard) sits in effects and event
//! handlers, which never run on the server. Nothing here decides about money: amounts and statuses arrive
//! finished.

// Views are one nested type each, and the compiler counts the levels.
#![recursion_limit = "256"]

mod components;
mod countdown;
mod dom;
mod i18n;
mod json;
mod net;
mod page;
mod part;
mod proof;
mod qr;
mod read;
mod session;
mod stage;
#[cfg(test)]
#[path = "../tests/states/mod.rs"]
mod states;
#[cfg(not(target_arch = "wasm32"))]
pub mod still;
mod wallets;

pub use i18n::Language;
use leptos::prelude::*;
pub use stage::{Link, Situation, State};
use wire::snapshot::Snapshot;

/// The page as HTML, to be put into `#app` unchanged: hydration counts on every node.
#[cfg(not(target_arch = "wasm32"))]
pub fn render(snapshot: &Snapshot, language: Language) -> String {
    render_in(snapshot, language, Situation::default())
}

/// The same in a situation that the snapshot does not tell.
#[cfg(not(target_arch = "wasm32"))]
pub fn render_in(snapshot: &Snapshot, language: Language, situation: Situation) -> String {
    i18n::speak(language);
    let owner = Owner::new_root(None);
    let html = owner.with(|| view! { <page::Checkout snapshot=snapshot.clone() situation /> }.to_html());
    owner.cleanup();
    html
}

/// The document's title as plain text, not escaped.
pub fn title(snapshot: &Snapshot, language: Language) -> String {
    i18n::speak(language);
    i18n::text().document_title(snapshot.invoice.amount, &snapshot.merchant.name)
}

/// Takes over the page the server drew. With `data-mode="mount"` on `#app`, which a failed first try sets,
/// it draws the page anew from the same snapshot instead.
///
/// # Panics
///
/// If the document is not ours; the boot script then falls back to drawing anew, and after that to the server.
#[cfg(target_arch = "wasm32")]
pub fn start() {
    use leptos::mount;
    use wasm_bindgen::JsCast;

    let root: web_sys::HtmlElement = document().get_element_by_id("app").expect("#app").unchecked_into();
    // What the server drew in; the document's own language is for translators to change.
    let language = root.get_attribute("data-language").and_then(|code| Language::of_tag(&code));
    i18n::speak(language.unwrap_or_default());
    let json = document().get_element_by_id("snapshot").and_then(|block| block.text_content()).expect("#snapshot");
    let snapshot = json::Json::parse(&json).and_then(|json| read::snapshot(&json)).expect("a snapshot");
    // Although there is a quote: the payer asked for the choice.
    let is_choosing = root.has_attribute("data-choosing");
    let is_amiss = !is_choosing && snapshot.quote.as_ref().is_some_and(|quote| !proof::is_as_drawn(quote));
    let is_rewritten = snapshot.quote.as_ref().is_some_and(|quote| !proof::has_amount_as_drawn(quote));
    let situation = Situation { is_choosing, is_amiss, ..Situation::default() };
    let app = move || view! { <page::Checkout snapshot situation /> };
    if is_amiss || is_rewritten || root.get_attribute("data-mode").as_deref() == Some("mount") {
        // Emptied node by node: the content policy allows no markup from text.
        root.replace_children_with_node_0();
        mount::mount_to(root.clone(), app).forget();
    } else {
        mount::hydrate_from(root.clone(), app).forget();
    }
    // Not reached when hydration trapped, so styles may rely on it.
    _ = root.set_attribute("data-live", "");
}

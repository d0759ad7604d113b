//! The few things the page asks of the browser itself. Nothing here runs on the server.

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Milliseconds since the page's clock started.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds of one visit")]
pub fn page_ms() -> i64 {
    window().performance().map_or(0, |performance| performance.now() as i64)
}

/// When, on the page's clock, the server began to answer: its `now_ms` was read just before.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds of one visit")]
pub fn answered_ms() -> i64 {
    let navigation = window().performance().map(|performance| performance.get_entries_by_type("navigation").get(0));
    let timing = navigation.and_then(|entry| entry.dyn_into::<web_sys::PerformanceResourceTiming>().ok());
    timing.map_or_else(page_ms, |timing| timing.response_start() as i64)
}

pub fn is_hidden() -> bool {
    document().hidden()
}

/// A fraction between 0 and 1, in thousandths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
pub fn random_permille() -> u32 {
    (js_sys::Math::random() * 1000.0) as u32
}

/// Moves the focus once the page has been redrawn.
pub fn focus_later(id: &'static str) {
    request_animation_frame(move || {
        let element = document().get_element_by_id(id).and_then(|element| element.dyn_into().ok());
        if let Some(element) = element {
            let element: web_sys::HtmlElement = element;
            _ = element.focus();
        }
    });
}

/// Whether the event says that a page is shown which was loaded just now.
pub fn is_arrival(event: &web_sys::Event) -> bool {
    js_sys::Reflect::get(event, &"persisted".into()).is_ok_and(|persisted| persisted == JsValue::FALSE)
}

/// Writes another address into the address bar, without going there.
pub fn replace_url(url: &str) {
    if let Ok(history) = window().history() {
        _ = history.replace_state_with_url(&JsValue::NULL, "", Some(url));
    }
}

/// Whether the page stands by itself, not inside another.
pub fn is_top() -> bool {
    window().top().ok().flatten().is_some_and(|top| js_sys::Object::is(&top, &window()))
}

/// Leaves for another page.
pub fn go_to(url: &str) {
    _ = window().location().assign(url);
}

/// Whether fingers, rather than keys, do the copying.
pub fn is_touch() -> bool {
    window().match_media("(pointer: coarse)").ok().flatten().is_some_and(|query| query.matches())
}

/// The text of the element of that id, as the page has it now.
pub fn text_of(id: &str) -> Option<String> {
    document().get_element_by_id(id).and_then(|element| element.text_content())
}

/// That attribute of every element the selector matches, as the page has them now.
pub fn attributes(selector: &str, name: &str) -> Vec<String> {
    let Ok(found) = document().query_selector_all(selector) else { return Vec::new() };
    let element = |index| found.item(index).map(JsCast::unchecked_into::<web_sys::Element>);
    (0..found.length()).filter_map(|index| element(index)?.get_attribute(name)).collect()
}

/// Selects the text of the element.
pub fn select(id: &str) {
    let selection = window().get_selection().ok().flatten();
    if let (Some(selection), Some(element)) = (selection, document().get_element_by_id(id)) {
        _ = selection.select_all_children(&element);
    }
}

/// The attribute that says what a search finds an element by.
pub const SEARCHED: &str = "data-search";

/// Hides what does not have every word of `query` below an element, and unfolds what does.
pub fn filter(selector: &str, query: &str) {
    if let Some(list) = document().query_selector(selector).ok().flatten() {
        filter_below(&list, query);
    }
}

fn filter_below(parent: &web_sys::Element, query: &str) {
    let mut next = parent.first_element_child();
    while let Some(element) = next {
        if let Some(searched) = element.get_attribute(SEARCHED) {
            _ = element
                .toggle_attribute_with_force("hidden", !query.split_whitespace().all(|word| searched.contains(word)));
            if !query.is_empty() {
                _ = element.set_attribute("open", "");
            }
        }
        filter_below(&element, query);
        next = element.next_element_sibling();
    }
}

/// What came of putting text on the clipboard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It was read back.
    Verified,
    /// The browser took it and lets nobody look; inside frames some browsers take text and write nothing.
    Unverified,
    Failed,
}

/// Puts text on the clipboard, and looks whether it is there if that needs no question to the payer.
pub async fn copy(text: &str) -> Copied {
    let navigator = window().navigator();
    let has_clipboard = js_sys::Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|found| found.is_object());
    if !has_clipboard {
        return Copied::Failed;
    }
    let clipboard = navigator.clipboard();
    if JsFuture::from(clipboard.write_text(text)).await.is_err() {
        return Copied::Failed;
    }
    if !may_read_clipboard(&navigator).await {
        return Copied::Unverified;
    }
    match JsFuture::from(clipboard.read_text()).await {
        Ok(held) if held.as_string().as_deref() == Some(text) => Copied::Verified,
        Ok(_) => Copied::Failed,
        Err(_) => Copied::Unverified,
    }
}

/// Whether reading is allowed already; to ask would be a question the payer cannot make sense of.
async fn may_read_clipboard(navigator: &web_sys::Navigator) -> bool {
    let permission = js_sys::Object::new();
    _ = js_sys::Reflect::set(&permission, &"name".into(), &"clipboard-read".into());
    let Ok(query) = navigator.permissions().and_then(|permissions| permissions.query(&permission)) else {
        return false;
    };
    let status = JsFuture::from(query).await.ok();
    let state = status.and_then(|status| js_sys::Reflect::get(&status, &"state".into()).ok());
    state.is_some_and(|state| state.as_string().as_deref() == Some("granted"))
}

//! Pieces of the page as data. A view that the compiler knows as a type costs code for each of its elements, and every
//! byte of that travels to a phone; these share the code of one type, so most of the page can be made of them.
//!
//! What the server draws the browser takes over: the same elements with the same texts, or it traps, upon which the
//! page is drawn anew. Text is only ever a text node.

use std::borrow::Cow;

use leptos::{
    attr::{Attribute, any_attribute::AnyAttribute},
    prelude::*,
    tachys::{
        hydration::Cursor,
        view::{Mountable, Position, PositionState},
    },
};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, Event, Node};

/// Text that follows something.
type Following = Box<dyn Fn() -> String + Send>;
type Listener = Box<dyn Fn(Event) + Send>;

/// An element with all that is in it.
pub struct Part {
    tag: &'static str,
    attributes: Vec<(&'static str, Value)>,
    listeners: Vec<(&'static str, Listener)>,
    content: Vec<Content>,
}

enum Value {
    Fixed(Cow<'static, str>),
    Follows(Following),
    /// There, without a value, or not.
    FlagFollows(Box<dyn Fn() -> bool + Send>),
}

enum Content {
    Text(Cow<'static, str>),
    /// The only content of its element.
    Follows(Following),
    Part(Part),
    /// Replaced as a whole when it would look different.
    PartFollows(Box<dyn Fn() -> Part + Send>),
}

/// An element of a class; an empty one is none.
pub fn part(tag: &'static str, class: &'static str) -> Part {
    let part = Part { tag, attributes: Vec::new(), listeners: Vec::new(), content: Vec::new() };
    if class.is_empty() { part } else { part.with("class", class) }
}

impl Part {
    pub fn with(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.attribute(name, Value::Fixed(value.into()))
    }

    /// An attribute without a value, if `is_there`.
    pub fn flag(self, name: &'static str, is_there: bool) -> Self {
        if is_there { self.with(name, "") } else { self }
    }

    pub fn following(self, name: &'static str, value: impl Fn() -> String + Send + 'static) -> Self {
        self.attribute(name, Value::Follows(Box::new(value)))
    }

    pub fn flag_following(self, name: &'static str, is_there: impl Fn() -> bool + Send + 'static) -> Self {
        self.attribute(name, Value::FlagFollows(Box::new(is_there)))
    }

    fn attribute(mut self, name: &'static str, value: Value) -> Self {
        self.attributes.push((name, value));
        self
    }

    pub fn on(mut self, event: &'static str, act: impl Fn(Event) + Send + 'static) -> Self {
        self.listeners.push((event, Box::new(act)));
        self
    }

    /// Text beside which there is no other text.
    pub fn text(self, text: impl Into<Cow<'static, str>>) -> Self {
        self.fixed_text(text.into())
    }

    fn fixed_text(mut self, text: Cow<'static, str>) -> Self {
        if !text.is_empty() {
            self.content.push(Content::Text(text));
        }
        self
    }

    /// Text that changes; there is nothing else in the element.
    pub fn text_following(mut self, text: impl Fn() -> String + Send + 'static) -> Self {
        self.content.push(Content::Follows(Box::new(text)));
        self
    }

    pub fn child(mut self, part: Self) -> Self {
        self.content.push(Content::Part(part));
        self
    }

    /// An element that is replaced as a whole when it would look different.
    pub fn child_following(mut self, child: impl Fn() -> Self + Send + 'static) -> Self {
        self.content.push(Content::PartFollows(Box::new(child)));
        self
    }

    pub fn children(mut self, parts: Vec<Self>) -> Self {
        self.content.extend(parts.into_iter().map(Content::Part));
        self
    }

    fn html(&self) -> String {
        let mut html = String::new();
        untrack(|| self.write(&mut html));
        html
    }

    fn write(&self, html: &mut String) {
        html.push('<');
        html.push_str(self.tag);
        for (name, value) in &self.attributes {
            let followed;
            let value = match value {
                Value::Fixed(value) => value.as_ref(),
                Value::Follows(value) => {
                    followed = value();
                    &followed
                }
                Value::FlagFollows(is_there) if is_there() => "",
                Value::FlagFollows(_) => continue,
            };
            html.push(' ');
            html.push_str(name);
            if !value.is_empty() {
                html.push_str("=\"");
                escape(value, html);
                html.push('"');
            }
        }
        html.push('>');
        if matches!(self.tag, "input") {
            return;
        }
        for content in &self.content {
            match content {
                Content::Text(text) => escape(text, html),
                Content::Follows(text) => escape(&text(), html),
                Content::Part(part) => part.write(html),
                Content::PartFollows(part) => part().write(html),
            }
        }
        html.push_str("</");
        html.push_str(self.tag);
        html.push('>');
    }

    fn create(self, kept: &mut Kept) -> Element {
        let is_drawing = matches!(self.tag, "svg" | "path");
        let namespace = if is_drawing { "http://www.w3.org/2000/svg" } else { "http://www.w3.org/1999/xhtml" };
        let element = found(document().create_element_ns(Some(namespace), self.tag).ok());
        for (name, value) in &self.attributes {
            if let Value::Fixed(value) = value {
                _ = element.set_attribute(name, value);
            }
        }
        let mut following = Vec::new();
        for content in self.content {
            match content {
                Content::Text(text) => _ = element.append_child(&document().create_text_node(&text)),
                Content::Follows(text) => following.push(text),
                Content::Part(part) => _ = element.append_child(&part.create(kept)),
                Content::PartFollows(part) => {
                    let shown = untrack(&part).build();
                    _ = element.append_child(&shown.element);
                    kept.replace(shown, part);
                }
            }
        }
        follow(&element, self.attributes, self.listeners, following, kept);
        element
    }

    fn taking_over(self, element: Element) -> Shown {
        let (html, mut kept) = (self.html(), Kept::default());
        self.take_over(&element, &mut kept);
        Shown { element, html, _kept: kept }
    }

    fn take_over(self, element: &Element, kept: &mut Kept) {
        assert!(element.tag_name().eq_ignore_ascii_case(self.tag), "another hand was here");
        let mut place = element.first_child();
        let mut following = Vec::new();
        for content in self.content {
            match content {
                Content::Follows(text) => following.push(text),
                Content::Text(_) => {
                    let node = found(place);
                    assert!(node.node_type() == Node::TEXT_NODE, "another hand was here");
                    place = node.next_sibling();
                }
                Content::Part(part) => {
                    let node = found(place);
                    place = node.next_sibling();
                    part.take_over(&found(node.dyn_into::<Element>().ok()), kept);
                }
                Content::PartFollows(part) => {
                    let node = found(place);
                    place = node.next_sibling();
                    let shown = untrack(&part).taking_over(found(node.dyn_into().ok()));
                    kept.replace(shown, part);
                }
            }
        }
        // Text that follows something is all there is, as one node, or it is empty and not there.
        let is_amiss = place.is_some_and(|node| following.is_empty() || node.node_type() != Node::TEXT_NODE);
        assert!(!is_amiss, "another hand was here");
        follow(element, self.attributes, self.listeners, following, kept);
    }
}

/// What keeps the elements up to date, for as long as it is kept.
#[derive(Default)]
struct Kept {
    effects: Vec<RenderEffect<()>>,
    listeners: Vec<Closure<dyn Fn(Event)>>,
}

impl Kept {
    fn effect(&mut self, mut act: Box<dyn FnMut()>) {
        self.effects.push(RenderEffect::new(move |_| act()));
    }

    fn replace(&mut self, mut shown: Shown, part: Box<dyn Fn() -> Part + Send>) {
        self.effect(Box::new(move || part().rebuild(&mut shown)));
    }
}

fn follow(
    element: &Element,
    attributes: Vec<(&'static str, Value)>,
    listeners: Vec<(&'static str, Listener)>,
    texts: Vec<Following>,
    kept: &mut Kept,
) {
    for (name, value) in attributes {
        let element = element.clone();
        match value {
            Value::Fixed(_) => {}
            Value::Follows(value) => kept.effect(Box::new(move || set(&element, name, Some(value())))),
            Value::FlagFollows(is_there) => {
                kept.effect(Box::new(move || set(&element, name, is_there().then(String::new))));
            }
        }
    }
    for text in texts {
        let element = element.clone();
        kept.effect(Box::new(move || {
            let text = text();
            // Only what changed, so that selections stay.
            if element.text_content().as_deref() != Some(text.as_str()) {
                match element.first_child() {
                    Some(node) => node.set_node_value(Some(&text)),
                    None => element.set_text_content(Some(&text)),
                }
            }
        }));
    }
    for (event, act) in listeners {
        let listener = Closure::<dyn Fn(Event)>::new(act);
        _ = element.add_event_listener_with_callback(event, listener.as_ref().unchecked_ref());
        kept.listeners.push(listener);
    }
}

fn set(element: &Element, name: &str, value: Option<String>) {
    if element.get_attribute(name) == value {
        return;
    }
    match value {
        Some(value) => _ = element.set_attribute(name, &value),
        None => _ = element.remove_attribute(name),
    }
}

fn escape(mut text: &str, html: &mut String) {
    // Most texts have nothing to escape, and a code's dashes are long.
    while let Some(at) = text.bytes().position(|byte| matches!(byte, b'<' | b'>' | b'&' | b'"')) {
        let (before, rest) = text.split_at(at);
        html.push_str(before);
        html.push_str(match rest.as_bytes().first() {
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            Some(b'&') => "&amp;",
            _ => "&quot;",
        });
        text = &rest[1..];
    }
    html.push_str(text);
}

/// A part on the page.
pub struct Shown {
    element: Element,
    /// As it was drawn.
    html: String,
    _kept: Kept,
}

impl Mountable for Shown {
    fn unmount(&mut self) {
        self.element.remove();
    }

    fn mount(&mut self, parent: &Element, marker: Option<&Node>) {
        _ = parent.insert_before(&self.element, marker);
    }

    fn insert_before_this(&self, child: &mut dyn Mountable) -> bool {
        let Some(parent) = self.element.parent_element() else { return false };
        child.mount(&parent, Some(&self.element));
        true
    }

    fn elements(&self) -> Vec<Element> {
        vec![self.element.clone()]
    }
}

impl Render for Part {
    type State = Shown;

    fn build(self) -> Shown {
        let (html, mut kept) = (self.html(), Kept::default());
        Shown { element: self.create(&mut kept), html, _kept: kept }
    }

    /// What looks the same stays, with all that was picked and selected in it.
    fn rebuild(self, state: &mut Shown) {
        if self.html() == state.html {
            return;
        }
        let mut next = self.build();
        state.insert_before_this(&mut next);
        state.unmount();
        *state = next;
    }
}

impl AddAnyAttr for Part {
    type Output<A: Attribute> = Self;

    fn add_any_attr<A: Attribute>(self, _: A) -> Self {
        self
    }
}

impl RenderHtml for Part {
    type AsyncOutput = Self;
    type Owned = Self;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Self {
        self
    }

    fn to_html_with_buf(
        self,
        html: &mut String,
        position: &mut Position,
        _escape: bool,
        _mark_branches: bool,
        _extra: Vec<AnyAttribute>,
    ) {
        self.write(html);
        *position = Position::NextChild;
    }

    fn hydrate<const FROM_SERVER: bool>(self, cursor: &Cursor, position: &PositionState) -> Shown {
        match position.get() {
            Position::FirstChild => cursor.child(),
            Position::Current => {}
            _ => cursor.sibling(),
        }
        let shown = self.taking_over(found(cursor.current().dyn_into().ok()));
        position.set(Position::NextChild);
        shown
    }

    fn into_owned(self) -> Self {
        self
    }
}

/// Traps where there is nothing: the page is not as the server drew it.
fn found<T>(value: Option<T>) -> T {
    let Some(value) = value else { panic!("another hand was here") };
    value
}

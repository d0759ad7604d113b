//! One WebSocket connection. When to open the next one is decided elsewhere.

use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, MessageEvent, WebSocket};

/// What a connection reports.
pub enum Heard {
    Opened,
    Frame(String),
    Closed,
}

/// An open or opening connection; dropped, it is closed and says no more.
pub struct Socket {
    socket: WebSocket,
    _listener: Closure<dyn Fn(Event)>,
}

impl Socket {
    /// Connects to an absolute address, or to a path on the page's own host. `None` if the browser refuses at once.
    pub fn open(url: &str, hear: impl Fn(Heard) + 'static) -> Option<Self> {
        let socket = WebSocket::new(&absolute(url)?).ok()?;
        let listener = Closure::<dyn Fn(Event)>::new(move |event: Event| match event.type_().as_str() {
            "open" => hear(Heard::Opened),
            "message" => {
                let text = event.unchecked_into::<MessageEvent>().data().as_string();
                hear(Heard::Frame(text.unwrap_or_default()));
            }
            _ => hear(Heard::Closed),
        });
        let function = listener.as_ref().unchecked_ref();
        socket.set_onopen(Some(function));
        socket.set_onmessage(Some(function));
        socket.set_onclose(Some(function));
        Some(Self { socket, _listener: listener })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        _ = self.socket.close();
    }
}

fn absolute(url: &str) -> Option<String> {
    if !url.starts_with('/') {
        return Some(url.to_owned());
    }
    let location = window().location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    Some(format!("{scheme}://{}{url}", location.host().ok()?))
}

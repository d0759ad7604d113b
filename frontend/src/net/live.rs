//! Keeps the page up to date for as long as it is open: a socket, a poll beside it, and one timer that drives the
//! countdown, the poll, reconnecting and new quotes.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::Duration,
};

use js_sys::encode_uri_component;
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::AbortController;

use super::{
    backoff, frame,
    http::{self, Failure},
    pace::{News, Pace},
    socket::{Heard, Socket},
};
use crate::{dom, page::leave_in_time, session::PaymentSession, stage::Link};

/// Short enough for a countdown that never skips a second.
const TICK: Duration = Duration::from_millis(500);
/// Between polls beside a socket that is up, and while there is none.
const SLOW_POLL_MS: i64 = 15_000;
const FAST_POLL_MS: i64 = 3_000;
/// Longer than any good answer takes; a phone that slept may wait for a lost one forever.
const PATIENCE_MS: i64 = 10_000;
/// Between two tries to renew a lapsed quote.
const RENEWAL_MS: i64 = 10_000;
/// One failed fetch is nothing to worry a payer with.
const FAILURES_UNTIL_DOWN: u32 = 2;

/// Follows the payment from now until the page's owner is cleaned up. Does nothing on the server.
pub fn follow(session: PaymentSession) {
    let held = StoredValue::new_local(None::<Rc<Live>>);
    Effect::new(move |_| {
        session.set_clock(session.once(|snapshot| snapshot.now_ms), dom::answered_ms());
        let live = Rc::new(Live::new(session));
        held.set_value(Some(live.clone()));

        let timer = set_interval_with_handle(with(&live, Live::tick), TICK).ok();
        // `offline` too, so that what fails is known at once.
        let returns = ["visibilitychange", "pageshow", "online", "offline"].map(|event| {
            let wake = with(&live, Live::wake);
            window_event_listener_untyped(event, move |event| {
                if !dom::is_arrival(&event) {
                    wake();
                }
            })
        });
        // Not before the page is the payer's: looking at all of it and connecting takes a slow phone a while.
        set_timeout(with(&live, Live::tick), Duration::ZERO);
        on_cleanup(move || {
            held.update_value(|live| drop(live.take()));
            for listener in returns {
                listener.remove();
            }
            if let Some(timer) = timer {
                timer.clear();
            }
        });
    });
}

/// Calls `act` for as long as someone holds `live`.
fn with(live: &Rc<Live>, act: fn(&Rc<Live>)) -> impl Fn() + 'static {
    let live = Rc::downgrade(live);
    move || {
        if let Some(live) = Weak::upgrade(&live) {
            act(&live);
        }
    }
}

struct Live {
    session: PaymentSession,
    socket: RefCell<Option<Socket>>,
    is_connected: Cell<bool>,
    /// Connections that failed in a row.
    failures: Cell<u32>,
    connect_at_ms: Cell<i64>,
    /// The request for where to connect, while it runs.
    connecting: RefCell<Option<Running>>,
    fetching: RefCell<Option<Running>>,
    fetched_at_ms: Cell<i64>,
    pace: Cell<Pace>,
    /// What the last fetch may not have seen.
    unfetched: Cell<Option<News>>,
    failed_fetches: Cell<u32>,
    renew_at_ms: Cell<i64>,
}

/// A request under way; dropped, it is aborted.
struct Running {
    controller: AbortController,
    since_ms: i64,
}

impl Running {
    fn start() -> Option<Self> {
        Some(Self { controller: AbortController::new().ok()?, since_ms: dom::page_ms() })
    }

    fn is_lost(&self, page_ms: i64) -> bool {
        PATIENCE_MS < page_ms - self.since_ms
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.controller.abort();
    }
}

impl Live {
    fn new(session: PaymentSession) -> Self {
        Self {
            session,
            socket: RefCell::default(),
            is_connected: Cell::default(),
            failures: Cell::default(),
            connect_at_ms: Cell::default(),
            connecting: RefCell::default(),
            fetching: RefCell::default(),
            fetched_at_ms: Cell::new(dom::page_ms()),
            pace: Cell::default(),
            unfetched: Cell::default(),
            failed_fetches: Cell::default(),
            renew_at_ms: Cell::default(),
        }
    }

    fn tick(self: &Rc<Self>) {
        let page_ms = dom::page_ms();
        self.session.check();
        self.session.tick(page_ms);
        if dom::is_hidden() {
            return;
        }
        leave_in_time(self.session);
        for running in [&self.fetching, &self.connecting] {
            let is_lost = running.borrow().as_ref().is_some_and(|running| running.is_lost(page_ms));
            if is_lost {
                drop(running.take());
            }
        }
        let is_urgent = !self.is_connected.get() && !untrack(|| self.session.state()).is_final();
        let poll_ms = if is_urgent { FAST_POLL_MS } else { SLOW_POLL_MS };
        let is_due = poll_ms <= page_ms - self.fetched_at_ms.get();
        if let Some(news) = self.unfetched.get().or(is_due.then_some(News::Changed)) {
            self.refresh(news);
        }
        let has_socket = self.socket.borrow().is_some() || self.connecting.borrow().is_some();
        if !has_socket && self.connect_at_ms.get() <= page_ms {
            self.connect();
        }
        self.renew(page_ms);
    }

    /// The payer is back, or the network is: what is shown may be hours old.
    fn wake(self: &Rc<Self>) {
        if dom::is_hidden() {
            return;
        }
        self.failures.set(0);
        self.connect_at_ms.set(0);
        self.refresh(News::Event);
        self.tick();
    }

    fn refresh(self: &Rc<Self>, news: News) {
        let mut pace = self.pace.get();
        if self.fetching.borrow().is_some() || !pace.admits(news, dom::page_ms()) {
            // The timer comes back to it.
            self.unfetched.set(self.unfetched.get().max(Some(news)));
            return;
        }
        let Some(running) = Running::start() else { return };
        self.pace.set(pace);
        self.unfetched.set(None);
        let signal = running.controller.signal();
        self.fetched_at_ms.set(running.since_ms);
        *self.fetching.borrow_mut() = Some(running);
        let live = self.clone();
        spawn_local(async move {
            let arrived = http::snapshot(&live.session.credentials(), &signal).await;
            if !signal.aborted() {
                drop(live.fetching.take());
            }
            let failures = if arrived.is_ok() { 0 } else { live.failed_fetches.get() + 1 };
            live.failed_fetches.set(failures);
            live.set_link(match arrived {
                Err(Failure::Refused) => Link::Refused,
                Err(Failure::Lost) if FAILURES_UNTIL_DOWN <= failures => Link::Down,
                Err(Failure::Lost) => live.session.link.get_untracked(),
                Ok(_) => Link::Up,
            });
            match arrived {
                Ok(arrived) => live.session.receive(arrived, dom::page_ms()),
                // While the socket is up, the next poll is long away.
                Err(Failure::Lost) if live.is_connected.get() => {
                    live.unfetched.set(live.unfetched.get().max(Some(News::Changed)));
                }
                Err(_) => {}
            }
            if let Some(news) = live.unfetched.get() {
                live.refresh(news);
            }
        });
    }

    fn connect(self: &Rc<Self>) {
        let Some(running) = Running::start() else { return };
        let signal = running.controller.signal();
        *self.connecting.borrow_mut() = Some(running);
        let live = self.clone();
        spawn_local(async move {
            let stream = http::stream(&live.session.credentials(), &signal).await;
            if !signal.aborted() {
                drop(live.connecting.take());
            }
            let socket = stream.and_then(|stream| {
                let weak = Rc::downgrade(&live);
                let url = format!("{}&token={}", stream.ws_url, String::from(encode_uri_component(&stream.token)));
                Socket::open(&url, move |heard| {
                    if let Some(live) = Weak::upgrade(&weak) {
                        live.hear(heard);
                    }
                })
            });
            match socket {
                Some(socket) => drop(live.socket.replace(Some(socket))),
                None => live.connect_later(),
            }
        });
    }

    fn hear(self: &Rc<Self>, heard: Heard) {
        match heard {
            Heard::Opened => {
                self.is_connected.set(true);
                // What happened while there was no connection; the first one says by itself whether that was anything.
                if 0 < self.failures.replace(0) {
                    self.refresh(News::Event);
                }
            }
            Heard::Frame(text) => {
                if let Some(news) = self.session.once(|held| frame::news(&text, held)) {
                    self.refresh(news);
                }
            }
            Heard::Closed => {
                self.is_connected.set(false);
                self.connect_later();
                // Dropped later: a closure must not free itself while it runs.
                let live = self.clone();
                queue_microtask(move || drop(live.socket.take()));
            }
        }
    }

    fn connect_later(&self) {
        let failures = self.failures.get() + 1;
        self.failures.set(failures);
        let wait_ms = backoff::delay_ms(failures, dom::random_permille());
        self.connect_at_ms.set(dom::page_ms() + i64::from(wait_ms));
    }

    fn set_link(&self, link: Link) {
        if self.session.link.get_untracked() != link {
            self.session.link.set(link);
        }
    }

    /// Asks for a new quote when the old one lapsed or a rest is due.
    fn renew(self: &Rc<Self>, page_ms: i64) {
        let is_busy = self.session.is_sending.get_untracked() || page_ms < self.renew_at_ms.get();
        let choice = if is_busy { None } else { self.session.renewal() };
        let Some(choice) = choice else { return };
        self.renew_at_ms.set(page_ms + RENEWAL_MS);
        let session = self.session;
        let had_quote = session.once(|held| held.quote.is_some());
        session.is_sending.set(true);
        spawn_local(async move {
            let arrived = http::choose(&session.credentials(), &choice).await;
            session.is_sending.set(false);
            if let Some(arrived) = arrived {
                session.was_renewed.set(had_quote && arrived.quote.is_some());
                session.notice.set(arrived.notice);
                session.receive(arrived, dom::page_ms());
            }
        });
    }
}

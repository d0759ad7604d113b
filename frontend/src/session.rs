//! What this page knows: the newest snapshot, the server's clock, and the little that only this page decides.

use std::rc::Rc;

use leptos::prelude::*;
use wire::{
    invoice::{InvoiceStatus, SessionHeaders},
    snapshot::{Notice, Quote, Snapshot},
};

use crate::stage::{self, Link, Screen, Situation, State};

/// The state of one page, shared through the context.
#[derive(Clone, Copy)]
pub struct PaymentSession {
    snapshot: RwSignal<Snapshot>,
    screen: Memo<Screen>,
    /// The server's clock, epoch milliseconds.
    now_ms: RwSignal<i64>,
    /// When, on this page's own clock, the server's clock last read what.
    anchor: StoredValue<Option<Anchor>>,
    /// Why the last choice got no quote.
    pub notice: RwSignal<Option<Notice>>,
    /// The payer asked to choose again.
    pub is_choosing: RwSignal<bool>,
    /// A choice is on its way.
    pub is_sending: RwSignal<bool>,
    /// The page asked for a new rate by itself.
    pub was_renewed: RwSignal<bool>,
    /// How the page fares with its server.
    pub link: RwSignal<Link>,
    /// It was paid when the page was opened.
    pub was_paid: bool,
    /// An address was not what it should be; stays so.
    pub is_amiss: RwSignal<bool>,
    /// All that is to hold did when it was asked last.
    pub is_checked: RwSignal<bool>,
    checks: StoredValue<Vec<Check>, LocalStorage>,
    /// When the page leaves for the shop's, on the server's clock; decided once.
    pub leaves_at: RwSignal<Option<i64>>,
    pub is_leaving_decided: StoredValue<bool>,
}

/// Whether something on the page is right for a quote.
type Check = Rc<dyn Fn(&Quote) -> bool>;

/// One reading of the server's clock against the page's, which starts anywhere but runs evenly.
#[derive(Clone, Copy)]
struct Anchor {
    server_ms: i64,
    page_ms: i64,
}

impl PaymentSession {
    /// Starts from the snapshot the page was drawn from, and makes itself known to the components below.
    pub fn provide(snapshot: Snapshot, situation: Situation) -> Self {
        let notice = RwSignal::new(snapshot.notice);
        let was_paid = snapshot.invoice.status == InvoiceStatus::Paid;
        let now_ms = RwSignal::new(snapshot.now_ms);
        let is_choosing = RwSignal::new(situation.is_choosing);
        let is_sending = RwSignal::new(situation.is_sending);
        let link = RwSignal::new(situation.link);
        let snapshot = RwSignal::new(snapshot);
        let screen = Memo::new(move |_| {
            let situation = Situation {
                is_choosing: is_choosing.get(),
                is_sending: is_sending.get(),
                link: link.get(),
                ..situation
            };
            snapshot.with(|snapshot| Screen::of(snapshot, now_ms.get(), situation))
        });
        let session = Self {
            snapshot,
            screen,
            now_ms,
            anchor: StoredValue::new(None),
            notice,
            is_choosing,
            is_sending,
            was_renewed: RwSignal::new(false),
            link,
            was_paid,
            is_amiss: RwSignal::new(situation.is_amiss),
            is_checked: RwSignal::new(false),
            checks: StoredValue::new_local(Vec::new()),
            leaves_at: RwSignal::new(None),
            is_leaving_decided: StoredValue::new(false),
        };
        provide_context(session);
        session
    }

    /// The session of the page this component belongs to.
    pub fn current() -> Self {
        expect_context()
    }

    /// Takes a snapshot that came at `page_ms` on the page's clock; one older than the held one changes nothing.
    pub fn receive(self, mut arrived: Snapshot, page_ms: i64) {
        let is_newer = self.snapshot.with_untracked(|held| stage::is_newer(held, &arrived));
        if !is_newer {
            return;
        }
        let Snapshot { now_ms, notice, .. } = arrived;
        self.set_clock(now_ms, page_ms);
        // A mere reading of the clock redraws nothing, so that selections stay.
        let is_different = self.snapshot.with_untracked(|held| {
            (arrived.now_ms, arrived.notice) = (held.now_ms, held.notice);
            arrived != *held
        });
        if is_different {
            (arrived.now_ms, arrived.notice) = (now_ms, notice);
            self.snapshot.set(arrived);
        } else {
            self.snapshot.update_untracked(|held| held.now_ms = now_ms);
        }
    }

    /// Notes that the server's clock read `server_ms` when the page's read `page_ms`.
    pub fn set_clock(self, server_ms: i64, page_ms: i64) {
        self.anchor.set_value(Some(Anchor { server_ms, page_ms }));
    }

    /// Moves the server's clock on to the page's `page_ms`.
    pub fn tick(self, page_ms: i64) {
        if let Some(anchor) = self.anchor.get_value() {
            self.now_ms.set(anchor.server_ms.saturating_add(page_ms.saturating_sub(anchor.page_ms)));
        }
    }

    /// Begins anew with what is to hold as long as a quote is shown.
    pub fn begin_checks(self, is_right: fn(&Quote) -> bool) {
        self.checks.set_value(vec![Rc::new(is_right)]);
    }

    /// Something else that is to hold, until checks begin anew. What is not drawn any more is right.
    pub fn add_check(self, is_right: impl Fn(&Quote) -> bool + 'static) {
        self.checks.update_value(|checks| checks.push(Rc::new(is_right)));
    }

    /// Asks for all that is to hold while a quote is shown. What was right may be changed by whatever else runs in the
    /// browser, so this is asked again and again; the first time that something is not right stops the page for good.
    ///
    /// Between events of the browser only: while one of them is dealt with, the page may lag behind what is known.
    pub fn check(self) {
        let checks = self.checks.get_value();
        let is_right = self.once(|held| {
            let quote = held.quote.as_ref().filter(|_| !checks.is_empty())?;
            Some(checks.iter().all(|is_right| is_right(quote)))
        });
        if is_right.is_some() && self.is_checked.get_untracked() != (is_right == Some(true)) {
            self.is_checked.set(is_right == Some(true));
        }
        if is_right == Some(false) {
            self.is_amiss.set(true);
        }
    }

    pub fn screen(self) -> Screen {
        self.screen.get()
    }

    pub fn state(self) -> State {
        let (now_ms, situation) = (self.now_ms.get(), self.situation());
        self.snapshot.with(|snapshot| State::of(snapshot, now_ms, situation))
    }

    fn situation(self) -> Situation {
        Situation {
            is_choosing: self.is_choosing.get(),
            is_sending: self.is_sending.get(),
            is_amiss: self.is_amiss.get(),
            link: self.link.get(),
        }
    }

    /// The choice to be made anew without the payer, if there is one.
    pub fn renewal(self) -> Option<String> {
        let (now_ms, situation) = (self.now_ms.get_untracked(), untrack(|| self.situation()));
        self.snapshot.with_untracked(|snapshot| stage::renewal(snapshot, now_ms, situation))
    }

    pub fn credentials(self) -> SessionHeaders {
        self.snapshot.with_untracked(|snapshot| snapshot.credentials.clone())
    }

    /// Reads what never changes while the page is open.
    pub fn once<T>(self, part: impl FnOnce(&Snapshot) -> T) -> T {
        self.snapshot.with_untracked(part)
    }

    /// Reads the newest snapshot.
    pub fn held<T>(self, part: impl FnOnce(&Snapshot) -> T) -> T {
        self.snapshot.with(part)
    }

    /// Reads the newest snapshot at the server's present time, again at every tick of the clock.
    pub fn timed<T>(self, part: impl FnOnce(&Snapshot, i64) -> T) -> T {
        let now_ms = self.now_ms.get();
        self.snapshot.with(|snapshot| part(snapshot, now_ms))
    }

    /// Reads the newest quote; empty while there is none.
    pub fn quote(self, part: fn(&Quote) -> String) -> String {
        self.snapshot.with(|snapshot| snapshot.quote.as_ref().map(part).unwrap_or_default())
    }

    /// Text of the quote that stays the same while [`Screen::Pay`] does.
    pub fn quote_once(self, part: fn(&Quote) -> String) -> String {
        untrack(|| self.quote(part))
    }

    /// Something on the page that follows the session. One type for all that show the same kind of thing, as the code
    /// that keeps a view up to date is made once per type.
    pub fn show<T: 'static>(self, what: fn(Self) -> T) -> impl Fn() -> T + Copy + Send + Sync + 'static {
        move || what(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states;

    fn with_session(start: Snapshot, act: impl FnOnce(PaymentSession)) {
        let owner = Owner::new_root(None);
        owner.with(|| act(PaymentSession::provide(start, Situation::default())));
        owner.cleanup();
    }

    #[test]
    fn a_late_snapshot_changes_nothing() {
        with_session(states::choose(), |session| {
            session.receive(Snapshot { version: 3, ..states::paid() }, 0);
            session.receive(Snapshot { version: 2, ..states::pay() }, 0);
            assert_eq!(untrack(|| session.state()), State::Paid);
        });
    }

    #[test]
    fn the_clock_follows_the_newest_snapshot_and_the_pages_own_pace() {
        with_session(states::choose(), |session| {
            let seconds_left = || session.timed(|held, now_ms| held.invoice.expires_at - now_ms / 1000);
            session.set_clock(session.once(|held| held.now_ms), 5_000);
            session.tick(65_000);
            assert_eq!(untrack(seconds_left), 1_680);
            let server_ms = session.once(|held| held.now_ms) + 90_000;
            session.receive(Snapshot { now_ms: server_ms, ..states::choose() }, 70_000);
            session.tick(70_000);
            assert_eq!(untrack(seconds_left), 1_650);
        });
    }
}

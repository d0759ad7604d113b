//! Where invoices stand, in memory, for pages that poll.
//!
//! What is here is what the database said: an entry is read only after its reader is sure to be told of changes,
//! and goes with the first announcement about its invoice. Should nobody announce anything any more, it is not
//! believed for long either.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    id::{InvoiceId, MerchantId},
    invoice::InvoiceStatus,
    signature::CredentialHash,
    time::UnixSeconds,
};
use tokio::time::Instant;

/// A change that nobody announces is hidden for no longer than that.
const BELIEVED_FOR: Duration = Duration::from_secs(2);
/// Invoices kept at once, at about 300 bytes each; when there is no room, all of them are read anew.
const MOST_KEPT: usize = 16_384;

/// What polling shows of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub status: InvoiceStatus,
    pub paid_at: Option<UnixSeconds>,
    /// The last second in which its payer's session can be read.
    pub readable_until: UnixSeconds,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    Known(Polled),
    /// Which invoice it is for, which never changes; how that stands has to be read.
    Unread(MerchantId, InvoiceId),
    Unknown,
}

/// A read that is kept unless something is announced before.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    invoice: InvoiceId,
    ticket: u64,
}

#[derive(Default)]
pub struct Standings(Mutex<State>);

#[derive(Default)]
struct State {
    sessions: HashMap<[u8; 32], (MerchantId, InvoiceId)>,
    entries: HashMap<InvoiceId, Entry>,
    last_ticket: u64,
}

enum Entry {
    Reading { ticket: u64 },
    Read { polled: Polled, at: Instant },
}

impl Standings {
    /// What is known of a session that was found to be ours.
    pub fn of_session(&self, session: CredentialHash) -> Lookup {
        self.of_session_at(session, Instant::now())
    }

    fn of_session_at(&self, session: CredentialHash, now: Instant) -> Lookup {
        let state = self.lock();
        let Some(&(merchant, invoice)) = state.sessions.get(&session.to_bytes()) else { return Lookup::Unknown };
        match state.entries.get(&invoice) {
            Some(Entry::Read { polled, at }) if now.duration_since(*at) < BELIEVED_FOR => Lookup::Known(*polled),
            _ => Lookup::Unread(merchant, invoice),
        }
    }

    /// Comes before reading an invoice that is to be kept.
    pub fn begin(&self, invoice: InvoiceId) -> Reading {
        let mut state = self.lock();
        // Nothing was announced since the other read began, or it would not be here.
        if let Some(Entry::Reading { ticket }) = state.entries.get(&invoice) {
            return Reading { invoice, ticket: *ticket };
        }
        // Sessions stay when what is known of their invoice is forgotten.
        if MOST_KEPT <= state.entries.len().max(state.sessions.len()) {
            state.entries.clear();
            state.sessions.clear();
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.entries.insert(invoice, Entry::Reading { ticket });
        Reading { invoice, ticket }
    }

    /// Keeps what was read, unless it may have changed since the read began.
    pub fn keep(&self, reading: Reading, session: CredentialHash, polled: Polled) {
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(&reading.invoice) else { return };
        if matches!(entry, Entry::Reading { ticket } if *ticket == reading.ticket) {
            *entry = Entry::Read { polled, at: Instant::now() };
            state.sessions.insert(session.to_bytes(), (polled.merchant, polled.invoice));
        }
    }

    /// The invoice changed.
    pub(super) fn forget(&self, invoice: InvoiceId) {
        self.lock().entries.remove(&invoice);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polled(byte: u8, status: InvoiceStatus) -> Polled {
        Polled {
            merchant: MerchantId(1),
            invoice: InvoiceId::from_random([byte; 16]),
            status,
            paid_at: None,
            readable_until: UnixSeconds(9),
        }
    }

    fn session(number: usize) -> CredentialHash {
        CredentialHash::of(&number.to_string())
    }

    #[test]
    fn what_was_read_is_known_until_something_is_announced() {
        let standings = Standings::default();
        let unpaid = polled(1, InvoiceStatus::Unpaid);
        assert_eq!(standings.of_session(session(1)), Lookup::Unknown);
        standings.keep(standings.begin(unpaid.invoice), session(1), unpaid);
        assert_eq!(standings.of_session(session(1)), Lookup::Known(unpaid));
        assert_eq!(standings.of_session(session(2)), Lookup::Unknown);
        standings.forget(InvoiceId::from_random([2; 16]));
        assert_eq!(standings.of_session(session(1)), Lookup::Known(unpaid));
        standings.forget(unpaid.invoice);
        assert_eq!(standings.of_session(session(1)), Lookup::Unread(MerchantId(1), unpaid.invoice));
    }

    #[test]
    fn what_was_read_before_an_announcement_is_not_kept_after_it() {
        let standings = Standings::default();
        let unpaid = polled(1, InvoiceStatus::Unpaid);
        let (first, second) = (standings.begin(unpaid.invoice), standings.begin(unpaid.invoice));
        standings.forget(unpaid.invoice);
        standings.keep(first, session(1), unpaid);
        assert_eq!(standings.of_session(session(1)), Lookup::Unknown);
        // Neither if somebody began anew meanwhile.
        let third = standings.begin(unpaid.invoice);
        standings.keep(second, session(1), unpaid);
        assert_eq!(standings.of_session(session(1)), Lookup::Unknown);
        let paid = polled(1, InvoiceStatus::Paid);
        standings.keep(third, session(1), paid);
        assert_eq!(standings.of_session(session(1)), Lookup::Known(paid));
    }

    #[test]
    fn nothing_is_believed_for_long() {
        let standings = Standings::default();
        let unpaid = polled(1, InvoiceStatus::Unpaid);
        standings.keep(standings.begin(unpaid.invoice), session(1), unpaid);
        let Some(Entry::Read { at, .. }) = standings.lock().entries.remove(&unpaid.invoice) else { panic!() };
        standings.lock().entries.insert(unpaid.invoice, Entry::Read { polled: unpaid, at });
        let end = at + BELIEVED_FOR;
        assert_eq!(standings.of_session_at(session(1), end - Duration::from_millis(1)), Lookup::Known(unpaid));
        assert_eq!(standings.of_session_at(session(1), end), Lookup::Unread(MerchantId(1), unpaid.invoice));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let standings = Standings::default();
        for number in 0..=MOST_KEPT {
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&(number as u64).to_be_bytes());
            let invoice = InvoiceId::from_random(bytes);
            standings.keep(
                standings.begin(invoice),
                session(number),
                Polled { invoice, ..polled(1, InvoiceStatus::Paid) },
            );
        }
        let kept = standings.lock();
        assert_eq!((kept.entries.len(), kept.sessions.len()), (1, 1));
        drop(kept);
        assert!(matches!(standings.of_session(session(MOST_KEPT)), Lookup::Known(_)));
    }

    #[test]
    fn sessions_of_what_is_forgotten_do_not_pile_up() {
        let standings = Standings::default();
        let polled = polled(1, InvoiceStatus::Unpaid);
        for number in 0..=MOST_KEPT {
            standings.keep(standings.begin(polled.invoice), session(number), polled);
            standings.forget(polled.invoice);
        }
        assert_eq!(standings.lock().sessions.len(), 1);
    }
}

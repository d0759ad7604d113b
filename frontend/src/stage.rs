//! Which state of paying a snapshot is in, and which part of the page is drawn: plain decisions, without a view.

use wire::{
    invoice::InvoiceStatus,
    snapshot::{Payment, PaymentState, Quote, Snapshot, Token},
};

/// Lists the states once, as the enum and as [`State::ALL`].
macro_rules! states {
    ($(#[$of:meta])* pub enum State { $($(#[$doc:meta])* $state:ident,)* }) => {
        $(#[$of])*
        pub enum State { $($(#[$doc])* $state),* }

        impl State {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$state),*];
        }
    };
}

states! {
    /// Everything a payer can meet, one at a time. What each says and asks for is in `page::words`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum State {
        /// Which token, on which network?
        Choose,
        /// The choice is on its way.
        Quoting,
        /// An amount is asked for.
        Pay,
        /// The asked amount's rate is over, and a new one is being asked for.
        Lapsed,
        /// A part arrived, and the rest is asked for.
        Underpaid,
        /// Something arrived that nobody asked for, and the payment is still open.
        Unexpected,
        /// A payment is in the newest block.
        Found,
        /// Blocks are piling up on it.
        Confirming,
        /// The network took the block of the payment back.
        Reorganised,
        /// The network in question cannot be read.
        NetworkBehind,
        /// Time is up, and payments that came in time are looked for.
        Checking,
        Paid,
        Overpaid,
        /// Paid by what arrived after the end, and was accepted.
        PaidLate,
        Expired,
        Canceled,
        /// The server does not answer.
        Offline,
        /// The server does not take this page's credentials any more.
        SessionInvalid,
        /// The merchant takes no payments.
        Suspended,
    }
}

/// What only the page itself knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// The payer asked to choose again.
    pub is_choosing: bool,
    /// A choice is on its way.
    pub is_sending: bool,
    /// What was drawn leads to another address than it should.
    pub is_amiss: bool,
    pub link: Link,
}

/// How the page fares with its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    Up,
    /// Nothing comes back.
    Down,
    /// The session is refused.
    Refused,
}

impl State {
    /// The state at server time `now_ms`.
    pub fn of(snapshot: &Snapshot, now_ms: i64, situation: Situation) -> Self {
        let invoice = &snapshot.invoice;
        match (situation.link, invoice.status) {
            (Link::Refused, _) => return Self::SessionInvalid,
            (_, InvoiceStatus::Paid) if 0 < invoice.overpaid => return Self::Overpaid,
            (_, InvoiceStatus::Paid) if invoice.late => return Self::PaidLate,
            (_, InvoiceStatus::Paid) => return Self::Paid,
            (_, InvoiceStatus::Expired) => return Self::Expired,
            (_, InvoiceStatus::Canceled) => return Self::Canceled,
            (Link::Down, _) => return Self::Offline,
            (Link::Up, InvoiceStatus::Unpaid | InvoiceStatus::Underpaid) => {}
        }
        if snapshot.unread_network.is_some() {
            return Self::NetworkBehind;
        }
        if let Some(payment) = least_confirmed(&snapshot.payments) {
            return if payment.confirmations < 2 { Self::Found } else { Self::Confirming };
        }
        if is_taken_back(snapshot, now_ms) {
            return Self::Reorganised;
        }
        if is_over(snapshot, now_ms) {
            return Self::Checking;
        }
        if snapshot.merchant.is_paused {
            return Self::Suspended;
        }
        let asked = snapshot.quote.as_ref().filter(|_| !situation.is_choosing);
        match asked {
            Some(quote) if is_past(quote.valid_until, now_ms) => Self::Lapsed,
            None if situation.is_sending => Self::Quoting,
            _ if unexpected(snapshot).is_some() => Self::Unexpected,
            _ if invoice.status == InvoiceStatus::Underpaid => Self::Underpaid,
            Some(_) => Self::Pay,
            None => Self::Choose,
        }
    }

    /// Whether there is time left that the payer should see.
    pub fn has_time(self) -> bool {
        match self {
            Self::Choose
            | Self::Quoting
            | Self::Pay
            | Self::Lapsed
            | Self::Underpaid
            | Self::Unexpected
            | Self::Found
            | Self::Confirming
            | Self::NetworkBehind
            | Self::Offline => true,
            Self::Reorganised
            | Self::Checking
            | Self::Paid
            | Self::Overpaid
            | Self::PaidLate
            | Self::Expired
            | Self::Canceled
            | Self::SessionInvalid
            | Self::Suspended => false,
        }
    }

    /// Whether only a chain can still change it, or nothing.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Paid | Self::Overpaid | Self::PaidLate | Self::Expired | Self::Canceled | Self::SessionInvalid
        )
    }
}

/// Which part of the page is drawn. While it stays the same nothing is drawn anew, only amounts and times change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screen {
    Choose,
    /// What to send where; another token, network or address is another screen.
    Pay(String),
    Confirming,
    Outcome,
}

impl Screen {
    /// See [`State::of`]. A server that does not answer takes nothing away that is on the screen.
    pub fn of(snapshot: &Snapshot, now_ms: i64, situation: Situation) -> Self {
        let link = if situation.link == Link::Down { Link::Up } else { situation.link };
        match State::of(snapshot, now_ms, Situation { link, ..situation }) {
            State::Found | State::Confirming => Self::Confirming,
            State::Reorganised
            | State::Checking
            | State::Paid
            | State::Overpaid
            | State::PaidLate
            | State::Expired
            | State::Canceled
            | State::SessionInvalid
            | State::Suspended => Self::Outcome,
            State::NetworkBehind if least_confirmed(&snapshot.payments).is_some() => Self::Confirming,
            State::NetworkBehind if is_over(snapshot, now_ms) => Self::Outcome,
            State::Choose
            | State::Quoting
            | State::Pay
            | State::Lapsed
            | State::Underpaid
            | State::Unexpected
            | State::NetworkBehind
            | State::Offline => match &snapshot.quote {
                Some(quote) if !situation.is_choosing => {
                    Self::Pay(format!("{} {}", quote_choice(quote), quote.address))
                }
                _ => Self::Choose,
            },
        }
    }
}

/// How long a payment that was taken back is waited for before another one is asked for.
const RETURNS_WITHIN: i64 = 3_600;

/// Whether `seconds` (epoch) have come at server time `now_ms`.
pub fn is_past(seconds: i64, now_ms: i64) -> bool {
    seconds.saturating_mul(1000) <= now_ms
}

fn is_over(snapshot: &Snapshot, now_ms: i64) -> bool {
    snapshot.invoice.is_checking || is_past(snapshot.invoice.expires_at, now_ms)
}

/// Whether a payment's block is gone and the payment may come back any moment.
fn is_taken_back(snapshot: &Snapshot, now_ms: i64) -> bool {
    let waits = |payment: &Payment| {
        payment.state == PaymentState::Orphaned && !is_past(payment.block_time.saturating_add(RETURNS_WITHIN), now_ms)
    };
    snapshot.payments.iter().any(waits)
}

/// The newest payment that nobody asked for.
pub fn unexpected(snapshot: &Snapshot) -> Option<&Payment> {
    snapshot.payments.iter().find(|payment| payment.state == PaymentState::Unexpected)
}

/// The confirming payment that has the longest way to go.
pub fn least_confirmed(payments: &[Payment]) -> Option<&Payment> {
    let confirming = payments.iter().filter(|payment| payment.state == PaymentState::Confirming);
    confirming.max_by_key(|payment| payment.required_confirmations.saturating_sub(payment.confirmations))
}

/// Whether no more confirmations are waited for, but the word of somebody else.
pub fn is_deep_enough(payment: &Payment) -> bool {
    payment.required_confirmations <= payment.confirmations
}

/// The choice that a new amount is asked for without the payer: the lapsed quote's, or the only one that is left
/// after a part arrived. `None` while there is nothing to renew.
pub fn renewal(snapshot: &Snapshot, now_ms: i64, situation: Situation) -> Option<String> {
    match Screen::of(snapshot, now_ms, situation) {
        Screen::Pay(_) => {
            let lapsed = snapshot.quote.as_ref().filter(|quote| is_past(quote.valid_until, now_ms))?;
            Some(quote_choice(lapsed))
        }
        Screen::Choose if snapshot.quote.is_none() => locked(snapshot).map(token_choice),
        Screen::Choose | Screen::Confirming | Screen::Outcome => None,
    }
}

/// The token that the first payment locked.
pub fn locked(snapshot: &Snapshot) -> Option<&Token> {
    match snapshot.tokens.as_slice() {
        [token] if snapshot.invoice.status == InvoiceStatus::Underpaid => Some(token),
        _ => None,
    }
}

/// A token on a network as the form's one field spells it.
pub fn token_choice(token: &Token) -> String {
    format!("{}:{}", token.network, token.id)
}

/// The same for the token of a quote.
pub fn quote_choice(quote: &Quote) -> String {
    format!("{}:{}", quote.network, quote.token_id)
}

/// Tokens by symbol, in the order in which each first appears: the payer picks the token, then the network.
pub fn by_symbol(tokens: &[Token]) -> Vec<Vec<Token>> {
    let mut groups: Vec<Vec<Token>> = Vec::new();
    for token in tokens {
        match groups.iter_mut().find(|group| group[0].symbol == token.symbol) {
            Some(group) => group.push(token.clone()),
            None => groups.push(vec![token.clone()]),
        }
    }
    groups
}

/// Whether `arrived` was made after `held`.
pub fn is_newer(held: &Snapshot, arrived: &Snapshot) -> bool {
    (held.version, held.now_ms) < (arrived.version, arrived.now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states::{self, NOW};

    const QUIET: Situation = Situation { is_choosing: false, is_sending: false, is_amiss: false, link: Link::Up };
    const CHOOSING: Situation = Situation { is_choosing: true, ..QUIET };
    const SENDING: Situation = Situation { is_sending: true, ..QUIET };
    const CUT_OFF: Situation = Situation { link: Link::Down, ..QUIET };
    const REFUSED: Situation = Situation { link: Link::Refused, ..QUIET };

    fn state(snapshot: &Snapshot, situation: Situation) -> State {
        State::of(snapshot, NOW * 1000, situation)
    }

    #[test]
    fn every_state_is_met() {
        let mut met = Vec::new();
        for (snapshot, situation, expected) in [
            (states::choose(), QUIET, State::Choose),
            (states::choose(), SENDING, State::Quoting),
            (states::pay(), QUIET, State::Pay),
            (states::lapsed(), QUIET, State::Lapsed),
            (states::underpaid(), QUIET, State::Underpaid),
            (states::unexpected(), QUIET, State::Unexpected),
            (states::found(), QUIET, State::Found),
            (states::confirming(), QUIET, State::Confirming),
            (states::reorganised(), QUIET, State::Reorganised),
            (states::network_behind(), QUIET, State::NetworkBehind),
            (states::checking(), QUIET, State::Checking),
            (states::paid(), QUIET, State::Paid),
            (states::overpaid(), QUIET, State::Overpaid),
            (states::paid_late(), QUIET, State::PaidLate),
            (states::expired(), QUIET, State::Expired),
            (states::canceled(), QUIET, State::Canceled),
            (states::pay(), CUT_OFF, State::Offline),
            (states::pay(), REFUSED, State::SessionInvalid),
            (states::suspended(), QUIET, State::Suspended),
        ] {
            assert_eq!(state(&snapshot, situation), expected);
            met.push(expected);
        }
        assert_eq!(met, State::ALL);
    }

    #[test]
    fn what_the_server_said_last_stays_on_the_screen_while_it_is_silent() {
        for (_, fixture) in states::ALL {
            let snapshot = fixture();
            let now_ms = snapshot.now_ms;
            assert_eq!(Screen::of(&snapshot, now_ms, CUT_OFF), Screen::of(&snapshot, now_ms, QUIET));
        }
    }

    #[test]
    fn no_outage_hides_how_it_ended() {
        assert_eq!(state(&states::paid(), CUT_OFF), State::Paid);
        assert_eq!(state(&states::expired(), CUT_OFF), State::Expired);
        let paid = Snapshot { unread_network: Some("Base".to_owned()), ..states::paid() };
        assert_eq!(state(&paid, QUIET), State::Paid);
    }

    #[test]
    fn nothing_is_asked_once_the_servers_clock_passes_the_end() {
        let (snapshot, end_ms) = (states::pay(), (NOW + 1_740) * 1000);
        assert_eq!(State::of(&snapshot, end_ms - 1, QUIET), State::Lapsed);
        assert_eq!(State::of(&snapshot, end_ms, QUIET), State::Checking);
        assert_eq!(State::of(&states::confirming(), end_ms, QUIET), State::Confirming);
        assert_eq!(State::of(&states::paid(), end_ms, QUIET), State::Paid);
        let unread = states::network_behind();
        assert_eq!(Screen::of(&unread, end_ms, QUIET), Screen::Outcome, "an address nobody looks at is not shown");
    }

    #[test]
    fn a_payer_who_chooses_again_sees_the_choice_until_money_arrives() {
        assert_eq!(state(&states::pay(), CHOOSING), State::Choose);
        assert_eq!(state(&states::found(), CHOOSING), State::Found);
    }

    #[test]
    fn a_payment_that_was_taken_back_is_waited_for_an_hour() {
        let taken_back = states::reorganised();
        let an_hour_later = taken_back.payments[0].block_time + RETURNS_WITHIN;
        let mut snapshot = taken_back;
        snapshot.invoice.expires_at = an_hour_later + 600;
        assert_eq!(State::of(&snapshot, an_hour_later * 1000 - 1, QUIET), State::Reorganised);
        assert_ne!(State::of(&snapshot, an_hour_later * 1000, QUIET), State::Reorganised);
    }

    #[test]
    fn only_a_lapsed_quote_or_a_locked_rest_is_renewed() {
        let renewal = |snapshot: &Snapshot, situation| renewal(snapshot, NOW * 1000, situation);
        assert_eq!(renewal(&states::lapsed(), QUIET).as_deref(), Some("base:2"));
        assert_eq!(renewal(&states::underpaid_without_quote(), QUIET).as_deref(), Some("base:2"));
        for fixture in
            [states::choose, states::pay, states::underpaid, states::confirming, states::paid, states::expired]
        {
            assert_eq!(renewal(&fixture(), QUIET), None);
        }
        assert_eq!(renewal(&states::lapsed(), CHOOSING), None, "the payer is choosing");
        assert_eq!(renewal(&states::lapsed(), REFUSED), None, "nobody would answer");
    }

    #[test]
    fn another_address_token_or_network_is_another_screen_and_another_amount_is_not() {
        let screen = |change: fn(&mut Quote)| {
            let mut snapshot = states::pay();
            snapshot.quote.iter_mut().for_each(change);
            Screen::of(&snapshot, NOW * 1000, QUIET)
        };
        let same = screen(|_| {});
        assert_eq!(screen(|quote| "21".clone_into(&mut quote.amount)), same);
        assert_eq!(screen(|quote| quote.valid_until = NOW), same, "a lapsed quote's page keeps its place");
        assert_ne!(screen(|quote| quote.address.push('0')), same);
        assert_ne!(screen(|quote| quote.token_id = 1), same);
        assert_ne!(screen(|quote| quote.network.push('0')), same);
    }

    #[test]
    fn the_newer_snapshot_wins_by_version_then_by_clock() {
        let made = |version, now_ms| Snapshot { version, now_ms, ..states::choose() };
        let held = made(5, 1_000);
        for (arrived, expected) in [
            (made(6, 0), true),
            (made(5, 1_001), true),
            (made(5, 1_000), false),
            (made(5, 999), false),
            (made(4, 9_999), false),
        ] {
            assert_eq!(is_newer(&held, &arrived), expected, "{} {}", arrived.version, arrived.now_ms);
        }
    }

    #[test]
    fn tokens_are_grouped_by_symbol_in_their_order() {
        let groups = by_symbol(&states::choose().tokens);
        let ids: Vec<Vec<i64>> = groups.iter().map(|group| group.iter().map(|token| token.id).collect()).collect();
        assert_eq!(ids, [vec![1, 2], vec![3], vec![4, 5]]);
    }
}

//! Which part of paying a snapshot is in: plain decisions, without a view.

use wire::{
    invoice::InvoiceStatus,
    snapshot::{Payment, PaymentState, Quote, Snapshot, Token},
};

/// What the payer is to do or to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Choose,
    Pay,
    Confirming,
    Checking,
    Paid,
    Expired,
    Canceled,
}

impl Stage {
    /// The stage at server time `now_ms`; `is_choosing` is the payer's wish to choose again.
    pub fn of(snapshot: &Snapshot, now_ms: i64, is_choosing: bool) -> Self {
        match snapshot.invoice.status {
            InvoiceStatus::Paid => return Self::Paid,
            InvoiceStatus::Expired => return Self::Expired,
            InvoiceStatus::Canceled => return Self::Canceled,
            InvoiceStatus::Unpaid | InvoiceStatus::Underpaid => {}
        }
        if least_confirmed(&snapshot.payments).is_some() {
            return Self::Confirming;
        }
        if snapshot.invoice.is_checking || is_past(snapshot.invoice.expires_at, now_ms) {
            return Self::Checking;
        }
        if snapshot.quote.is_some() && !is_choosing { Self::Pay } else { Self::Choose }
    }

    /// Whether there is time left that the payer should see.
    pub fn has_time(self) -> bool {
        matches!(self, Self::Choose | Self::Pay | Self::Confirming)
    }

    /// Whether only a chain can still change it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Expired | Self::Canceled)
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
    /// See [`Stage::of`].
    pub fn of(snapshot: &Snapshot, now_ms: i64, is_choosing: bool) -> Self {
        match (Stage::of(snapshot, now_ms, is_choosing), &snapshot.quote) {
            (Stage::Pay, Some(quote)) => Self::Pay(format!("{} {}", quote_choice(quote), quote.address)),
            (Stage::Pay | Stage::Choose, _) => Self::Choose,
            (Stage::Confirming, _) => Self::Confirming,
            (Stage::Checking | Stage::Paid | Stage::Expired | Stage::Canceled, _) => Self::Outcome,
        }
    }
}

/// Whether `seconds` (epoch) have come at server time `now_ms`.
pub fn is_past(seconds: i64, now_ms: i64) -> bool {
    seconds.saturating_mul(1000) <= now_ms
}

/// The confirming payment that has the longest way to go.
pub fn least_confirmed(payments: &[Payment]) -> Option<&Payment> {
    let confirming = payments.iter().filter(|payment| payment.state == PaymentState::Confirming);
    confirming.max_by_key(|payment| payment.required_confirmations.saturating_sub(payment.confirmations))
}

/// The choice that a new amount is asked for without the payer: the lapsed quote's, or the only one that is left
/// after a part arrived. `None` while there is nothing to renew.
pub fn renewal(snapshot: &Snapshot, now_ms: i64, is_choosing: bool) -> Option<String> {
    match Stage::of(snapshot, now_ms, is_choosing) {
        Stage::Pay => {
            let lapsed = snapshot.quote.as_ref().filter(|quote| is_past(quote.valid_until, now_ms))?;
            Some(quote_choice(lapsed))
        }
        Stage::Choose if snapshot.quote.is_none() => locked(snapshot).map(token_choice),
        _ => None,
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

    #[track_caller]
    fn check(snapshot: &Snapshot, expected: Stage) {
        assert_eq!(Stage::of(snapshot, NOW * 1000, false), expected);
    }

    #[test]
    fn each_state_has_its_stage() {
        check(&states::choose(), Stage::Choose);
        check(&states::pay(), Stage::Pay);
        check(&states::lapsed(), Stage::Pay);
        check(&states::confirming(), Stage::Confirming);
        check(&states::underpaid(), Stage::Pay);
        check(&states::underpaid_without_quote(), Stage::Choose);
        check(&states::checking(), Stage::Checking);
        check(&states::paid(), Stage::Paid);
        check(&states::expired(), Stage::Expired);
        check(&states::canceled(), Stage::Canceled);
    }

    #[test]
    fn nothing_is_asked_once_the_servers_clock_passes_the_end() {
        let (snapshot, end_ms) = (states::pay(), (NOW + 1_740) * 1000);
        assert_eq!(Stage::of(&snapshot, end_ms - 1, false), Stage::Pay);
        assert_eq!(Stage::of(&snapshot, end_ms, false), Stage::Checking);
        assert_eq!(Stage::of(&states::confirming(), end_ms, false), Stage::Confirming);
        assert_eq!(Stage::of(&states::paid(), end_ms, false), Stage::Paid);
    }

    #[test]
    fn a_payer_who_chooses_again_sees_the_choice_until_money_arrives() {
        assert_eq!(Stage::of(&states::pay(), NOW * 1000, true), Stage::Choose);
        assert_eq!(Stage::of(&states::confirming(), NOW * 1000, true), Stage::Confirming);
    }

    #[test]
    fn only_a_lapsed_quote_or_a_locked_rest_is_renewed() {
        let renewal = |snapshot: &Snapshot, is_choosing| renewal(snapshot, NOW * 1000, is_choosing);
        assert_eq!(renewal(&states::lapsed(), false).as_deref(), Some("base:2"));
        assert_eq!(renewal(&states::underpaid_without_quote(), false).as_deref(), Some("base:2"));
        for state in [states::choose, states::pay, states::underpaid, states::confirming, states::paid, states::expired]
        {
            assert_eq!(renewal(&state(), false), None);
        }
        assert_eq!(renewal(&states::lapsed(), true), None, "the payer is choosing");
    }

    #[test]
    fn another_address_token_or_network_is_another_screen_and_another_amount_is_not() {
        let screen = |change: fn(&mut Quote)| {
            let mut snapshot = states::pay();
            snapshot.quote.iter_mut().for_each(change);
            Screen::of(&snapshot, NOW * 1000, false)
        };
        let same = screen(|_| {});
        assert_eq!(screen(|quote| "21".clone_into(&mut quote.amount)), same);
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

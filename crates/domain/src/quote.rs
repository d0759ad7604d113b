//! The token amount that pays an invoice, locked for a few minutes.

use crate::{
    id::{QuoteId, TokenId},
    money::{Decimals, Rate, TokenAmount, UsdMillis},
    time::UnixSeconds,
};

/// What a payer was told to send, and until when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub id: QuoteId,
    pub token: TokenId,
    pub decimals: Decimals,
    pub rate: Rate,
    /// What to send, rounded up.
    pub amount: TokenAmount,
    /// What was still due when the quote was made; sending `amount` pays all of it.
    pub covers: UsdMillis,
    pub created_at: UnixSeconds,
    /// The last second at which a block may carry the payment.
    pub valid_until: UnixSeconds,
}

/// How far a block's clock may lie behind ours: a block's time is when its making began, so a payment
/// can be in a block that seems to be a little older than the quote it answers.
const CLOCK_SKEW_SECONDS: i64 = 60;

impl Quote {
    /// Quotes what is still due.
    pub fn new(
        id: QuoteId,
        token: TokenId,
        decimals: Decimals,
        rate: Rate,
        due: UsdMillis,
        created_at: UnixSeconds,
        valid_seconds: i64,
    ) -> Self {
        Self {
            id,
            token,
            decimals,
            rate,
            amount: rate.quote(due, decimals),
            covers: due,
            created_at,
            valid_until: created_at.plus(valid_seconds),
        }
    }

    /// Whether a block of that time could carry the payment this quote asked for.
    pub fn is_in_force(&self, block_time: UnixSeconds) -> bool {
        self.created_at.plus(-CLOCK_SKEW_SECONDS) <= block_time && block_time <= self.valid_until
    }
}

/// The quote for `token` that was in force when a block was made: the newest that was already made by
/// then, else the oldest within the clocks' skew.
pub fn in_force(quotes: &[Quote], token: TokenId, block_time: UnixSeconds) -> Option<&Quote> {
    let candidates = || quotes.iter().filter(|quote| quote.token == token && quote.is_in_force(block_time));
    candidates()
        .filter(|quote| quote.created_at <= block_time)
        .max_by_key(|quote| quote.created_at)
        .or_else(|| candidates().min_by_key(|quote| quote.created_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(number: u8, token: i64, created_at: i64) -> Quote {
        Quote::new(
            QuoteId::from_random([number; 16]),
            TokenId(token),
            Decimals::new(6).unwrap(),
            Rate::PAR,
            UsdMillis::from_millis(20_000),
            UnixSeconds(created_at),
            300,
        )
    }

    #[track_caller]
    fn check(quotes: &[Quote], block_time: i64, expected: Option<&Quote>) {
        assert_eq!(in_force(quotes, TokenId(1), UnixSeconds(block_time)), expected);
    }

    #[test]
    fn a_quote_is_in_force_to_its_last_second() {
        let quotes = [quote(1, 1, 1000)];
        check(&quotes, 1000, Some(&quotes[0]));
        check(&quotes, 1300, Some(&quotes[0]));
        check(&quotes, 1301, None);
    }

    #[test]
    fn a_block_a_minute_older_than_the_quote_still_carries_it() {
        let quotes = [quote(1, 1, 1000)];
        check(&quotes, 940, Some(&quotes[0]));
        check(&quotes, 939, None);
    }

    #[test]
    fn the_newest_quote_made_by_then_wins() {
        let quotes = [quote(1, 1, 1000), quote(2, 1, 1100), quote(3, 1, 1120)];
        check(&quotes, 1110, Some(&quotes[1]));
        check(&quotes, 1290, Some(&quotes[2]));
        check(&quotes, 990, Some(&quotes[0]));
    }

    #[test]
    fn another_tokens_quote_is_not_meant() {
        check(&[quote(1, 2, 1000)], 1000, None);
    }
}

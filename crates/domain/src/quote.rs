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
pub const CLOCK_SKEW_SECONDS: i64 = 60;

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

/// The quote for `token` that a block of that time is held to.
///
/// A quote stands until it lapses, also once a newer one was made for what a part payment left open.
/// While several stand, the one best for the payer decides, the newest of equals: whichever of them was
/// paid to the last unit, its payer is not short.
pub fn in_force(quotes: &[Quote], token: TokenId, block_time: UnixSeconds) -> Option<&Quote> {
    quotes
        .iter()
        .filter(|quote| quote.token == token && quote.is_in_force(block_time))
        .max_by_key(|quote| (quote.rate, quote.created_at, quote.id))
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

    fn priced(number: u8, created_at: i64, usd_e8: u128) -> Quote {
        Quote { rate: Rate::from_usd_e8(usd_e8).unwrap(), ..quote(number, 1, created_at) }
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
    fn of_equal_quotes_the_newest_is_meant() {
        let quotes = [quote(3, 1, 1000), quote(2, 1, 1100), quote(1, 1, 1200)];
        check(&quotes, 1039, Some(&quotes[0]));
        check(&quotes, 1110, Some(&quotes[1]));
        check(&quotes, 1290, Some(&quotes[2]));
    }

    #[test]
    fn of_quotes_that_stand_together_the_best_for_the_payer_is_meant() {
        let fallen = [priced(1, 1000, 3000), priced(2, 1100, 2900)];
        check(&fallen, 1300, Some(&fallen[0]));
        check(&fallen, 1301, Some(&fallen[1]));
        let risen = [priced(1, 1000, 2900), priced(2, 1100, 3000)];
        check(&risen, 1039, Some(&risen[0]));
        check(&risen, 1040, Some(&risen[1]));
    }

    #[test]
    fn the_order_of_quotes_does_not_matter() {
        let quotes = [quote(1, 1, 1000), quote(2, 1, 1000)];
        let turned = [quotes[1].clone(), quotes[0].clone()];
        check(&quotes, 1000, Some(&quotes[1]));
        check(&turned, 1000, Some(&quotes[1]));
    }

    #[test]
    fn a_quote_asks_for_the_amount_that_covers_what_is_due() {
        let quote = quote(1, 1, 1000);
        assert_eq!(quote.amount.to_decimal(quote.decimals), "20");
        assert_eq!(quote.covers, UsdMillis::from_millis(20_000));
        assert_eq!(quote.valid_until, UnixSeconds(1300));
    }

    #[test]
    fn another_tokens_quote_is_not_meant() {
        check(&[quote(1, 2, 1000)], 1000, None);
    }
}

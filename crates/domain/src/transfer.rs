//! What a chain said: value that moved to an invoice's address.

use crate::{
    finality::Finality,
    id::{PaymentId, QuoteId, TokenId},
    money::{Decimals, Rate, TokenAmount},
    quote::{Quote, in_force},
    time::UnixSeconds,
};

/// A transfer to an invoice's address, with what the chain says of it by now.
///
/// The facts never change; only [`Transfer::standing`] does, as blocks come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub id: PaymentId,
    pub network: String,
    pub token: TokenId,
    pub decimals: Decimals,
    pub amount: TokenAmount,
    pub block_time: UnixSeconds,
    pub block_number: u64,
    /// Place within the block; orders transfers of one block.
    pub index: i64,
    /// How it is valued: fixed when it was recorded, so that a later quote never revalues it.
    pub valuation: Valuation,
    pub standing: ChainStanding,
}

/// Whether a transfer is on the chain we follow, and how deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainStanding {
    /// In a block of the chain, with this many confirmations (1: in the newest block).
    Canonical { confirmations: u32, finality: Finality },
    /// Its block was replaced. It stops counting, and may come back in another block.
    Orphaned,
}

/// How a transfer's value in dollars is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valuation {
    /// A quote for this token was in force at block time.
    Quoted { quote: QuoteId, rate: Rate },
    /// No quote was; the price at block time (one dollar for a stablecoin) holds.
    Spot { rate: Rate },
    /// No quote and no price we trust: counts only once somebody has priced it.
    Unpriced,
    /// A token we know but this merchant does not accept: shown, never credited.
    Unexpected,
}

impl Valuation {
    /// Values a transfer of an accepted token: the quote in force at block time, else the price then.
    pub fn of(token: TokenId, block_time: UnixSeconds, quotes: &[Quote], price_at_block: Option<Rate>) -> Self {
        match (in_force(quotes, token, block_time), price_at_block) {
            (Some(quote), _) => Self::Quoted { quote: quote.id, rate: quote.rate },
            (None, Some(rate)) => Self::Spot { rate },
            (None, None) => Self::Unpriced,
        }
    }

    /// The rate it is credited at, if it is credited at all.
    pub fn rate(self) -> Option<Rate> {
        match self {
            Self::Quoted { rate, .. } | Self::Spot { rate } => Some(rate),
            Self::Unpriced | Self::Unexpected => None,
        }
    }
}

impl Transfer {
    pub fn is_canonical(&self) -> bool {
        matches!(self.standing, ChainStanding::Canonical { .. })
    }

    /// Whether it is on the chain and at least that deep.
    pub fn has_reached(&self, wanted: Finality) -> bool {
        match self.standing {
            ChainStanding::Canonical { finality, .. } => wanted <= finality,
            ChainStanding::Orphaned => false,
        }
    }

    /// The order in which transfers are credited.
    pub fn position(&self) -> (UnixSeconds, &str, u64, i64, PaymentId) {
        (self.block_time, &self.network, self.block_number, self.index, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::UsdMillis;

    #[test]
    fn the_quote_in_force_beats_the_price_and_no_price_means_unpriced() {
        let rate = Rate::from_usd_e8(250_000_000_000).unwrap();
        let quote = Quote::new(
            QuoteId::from_random([1; 16]),
            TokenId(2),
            Decimals::new(18).unwrap(),
            rate,
            UsdMillis::from_millis(20_000),
            UnixSeconds(1000),
            300,
        );
        let valuation = |time, price| Valuation::of(TokenId(2), UnixSeconds(time), std::slice::from_ref(&quote), price);
        assert_eq!(valuation(1100, Some(Rate::PAR)), Valuation::Quoted { quote: quote.id, rate });
        assert_eq!(valuation(2000, Some(Rate::PAR)), Valuation::Spot { rate: Rate::PAR });
        assert_eq!(valuation(2000, None), Valuation::Unpriced);
        assert_eq!(valuation(2000, None).rate(), None);
    }
}

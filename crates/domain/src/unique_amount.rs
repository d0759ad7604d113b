//! Amounts that tell invoices apart where all are paid to one address: the least that pays what is due, plus a mark.
//!
//! Rounding and mark together are worth less than a cent. No amount ends in a zero of its last step: what people send who
//! were not asked for a mark is round.

use ruint::aliases::U256;

use crate::money::{Decimals, ExactUsd, Rate, TokenAmount, UsdMillis};

/// So much more than what is due may be asked for, or whoever pays it would count as having overpaid.
const LESS_THAN: UsdMillis = UsdMillis::from_cents(1);
/// More than are open at a time, and few enough that a mark is four digits.
const MOST: u32 = 9_999;
/// With fewer than this, a finer step is taken if the token has one.
const ENOUGH: u32 = 1_000;
/// With fewer than this, there is no point in marking.
const FEWEST: u32 = 10;
/// Decimals that people and wallets keep.
const KEPT_DECIMALS: u8 = 6;

/// The amounts that pay what is due in a token at a rate, each with a mark of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    step: U256,
    /// The least that pays what is due, in steps.
    least: U256,
    /// So many steps above it there may be.
    most: u32,
}

impl Marks {
    /// `None` if the smallest unit of the token is worth too much to tell at least ten invoices apart.
    pub fn of(due: UsdMillis, decimals: Decimals, rate: Rate) -> Option<Self> {
        let units = rate.least(due, decimals).base_units();
        let limit = ExactUsd::from(due).plus(ExactUsd::from(LESS_THAN));
        let by_step = |exponent: u8| {
            let step = U256::from(10).pow(U256::from(exponent));
            let least = units.div_ceil(step);
            let fits = |steps: u32| {
                let amount = least.saturating_add(U256::from(steps)).saturating_mul(step);
                rate.exact_worth(TokenAmount::from_base_units(amount), decimals) < limit
            };
            Self { step, least, most: most(fits) }
        };
        let coarsest = decimals.get().saturating_sub(KEPT_DECIMALS);
        let coarse_to_fine = || (0..=coarsest).rev().map(by_step);
        let best = coarse_to_fine().find(|marks| ENOUGH <= marks.count()).or_else(|| coarse_to_fine().next_back());
        best.filter(|marks| FEWEST <= marks.count())
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        let count = not_round(self.last()).saturating_sub(not_round(self.least));
        count.try_into().unwrap_or(MOST)
    }

    /// Whether an amount is one of these.
    pub fn contains(self, amount: TokenAmount) -> bool {
        let (steps, rest) = amount.base_units().div_rem(self.step);
        let is_round = steps.wrapping_rem(U256::from(10)).is_zero();
        rest.is_zero() && self.least < steps && steps <= self.last() && !is_round
    }

    /// The `nth` amount, counted from zero and around.
    pub fn amount(self, nth: u32) -> TokenAmount {
        let nth = nth.checked_rem(self.count()).unwrap_or(0);
        let before = not_round(self.least).saturating_add(U256::from(nth));
        let steps = before.saturating_add(before / U256::from(9)).saturating_add(U256::ONE);
        TokenAmount::from_base_units(steps.saturating_mul(self.step))
    }

    /// The least and the greatest there may be.
    pub fn range(self) -> (TokenAmount, TokenAmount) {
        let amount = |steps: U256| TokenAmount::from_base_units(steps.saturating_mul(self.step));
        (amount(self.least), amount(self.last()))
    }

    fn last(self) -> U256 {
        self.least.saturating_add(U256::from(self.most))
    }
}

/// So many of the numbers from one to `last` do not end in zero.
fn not_round(last: U256) -> U256 {
    last.saturating_sub(last / U256::from(10))
}

/// The greatest number up to [`MOST`] that fits, where all below it do; zero if none does.
fn most(fits: impl Fn(u32) -> bool) -> u32 {
    let (mut fitting, mut too_many) = (0, MOST + 1);
    while fitting + 1 < too_many {
        let middle = fitting.midpoint(too_many);
        if fits(middle) { fitting = middle } else { too_many = middle }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: UsdMillis = UsdMillis::from_cents(2_000);

    fn marks(decimals: u8, usd_e8: u128) -> Option<Marks> {
        Marks::of(DUE, Decimals::new(decimals).unwrap(), Rate::from_usd_e8(usd_e8).unwrap())
    }

    fn units(units: u128) -> TokenAmount {
        TokenAmount::from_base_units(U256::from(units))
    }

    #[test]
    fn a_dollar_token_is_marked_in_its_sixth_decimal() {
        let six = marks(6, 100_000_000).unwrap();
        assert_eq!(six.count(), 9_000);
        assert_eq!(six.amount(0), units(20_000_001));
        assert_eq!(six.amount(8_999), units(20_009_999));
        assert_eq!(six.amount(9_000), units(20_000_001), "around again");
        assert_eq!(six.range(), (units(20_000_000), units(20_009_999)));
        let eighteen = marks(18, 100_000_000).unwrap();
        assert_eq!(eighteen.amount(6), units(20_000_007_000_000_000_000));
    }

    #[test]
    fn an_amount_that_ends_in_zero_is_nobody_s_mark() {
        let marks = marks(6, 100_000_000).unwrap();
        assert_eq!((marks.amount(8), marks.amount(9)), (units(20_000_009), units(20_000_011)));
        let amounts: Vec<_> = (0..marks.count()).map(|nth| marks.amount(nth)).collect();
        assert!(amounts.is_sorted_by(|a, b| a < b), "each of them once");
        assert!(amounts.iter().all(|amount| marks.contains(*amount)));
    }

    #[test]
    fn a_marked_amount_is_known_by_its_mark() {
        let marks = marks(6, 100_000_000).unwrap();
        for (marked, expected) in [
            (20_000_000, false),
            (20_000_001, true),
            (20_000_010, false),
            (20_009_000, false),
            (20_009_999, true),
            (20_010_001, false),
            (19_999_999, false),
        ] {
            assert_eq!(marks.contains(units(marked)), expected, "{marked}");
        }
        let eighteen = self::marks(18, 100_000_000).unwrap();
        assert!(!eighteen.contains(units(20_000_007_000_000_000_001)), "finer than any mark");
    }

    #[test]
    fn rounding_and_mark_together_are_worth_less_than_a_cent() {
        let limit = ExactUsd::from(DUE).plus(ExactUsd::from(LESS_THAN));
        for (decimals, usd_e8) in [
            (6, 100_000_000),
            (6, 101_000_000),
            (6, 70_000_000_000),
            (18, 3_000 * 100_000_000),
            (18, 299_999_999_999),
            (9, 150 * 100_000_000),
            (8, 10_000),
        ] {
            let marks = marks(decimals, usd_e8).unwrap();
            let (rate, decimals) = (Rate::from_usd_e8(usd_e8).unwrap(), Decimals::new(decimals).unwrap());
            let worth = |amount| rate.exact_worth(amount, decimals);
            assert!(ExactUsd::from(DUE) <= worth(marks.amount(0)), "{usd_e8}");
            assert!(worth(marks.amount(marks.count() - 1)) < limit, "{usd_e8}");
            let above = marks.range().1.plus(TokenAmount::from_base_units(marks.step));
            assert!(limit <= worth(above) || marks.most == MOST, "{usd_e8}");
        }
    }

    #[test]
    fn a_dear_coin_is_marked_further_behind() {
        // A cent is 3.33… millionths of an ether: in steps of a millionth there would be three marks.
        let ether = marks(18, 3_000 * 100_000_000).unwrap();
        assert_eq!((ether.step, ether.most), (U256::from(1_000_000_000), 3_332));
        let sol = marks(9, 150 * 100_000_000).unwrap();
        assert_eq!((sol.step, sol.most), (U256::from(10), 6_665));
    }

    #[test]
    fn a_token_whose_smallest_unit_is_worth_too_much_has_no_marks() {
        assert_eq!(marks(2, 100_000_000), None);
        assert_eq!(marks(0, 100_000_000), None);
        // Of twelve steps one is round.
        assert_eq!(marks(6, 80_000_000_000).map(Marks::count), Some(11));
        assert_eq!(marks(6, 100_000_000_000), None);
        // Hundreds are better than none, where there is no finer step.
        assert_eq!(marks(6, 20 * 100_000_000).map(Marks::count), Some(450));
    }
}

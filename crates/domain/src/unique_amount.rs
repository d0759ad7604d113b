//! Amounts that tell invoices apart where all are paid to one address: what a quote asks for, plus a mark of less than
//! a cent.

use ruint::aliases::U256;

use crate::money::{Decimals, ExactUsd, Rate, TokenAmount, UsdMillis};

/// A mark is worth less than this, or whoever pays it would count as having overpaid.
const WORTH_LESS_THAN: UsdMillis = UsdMillis::from_cents(1);
/// More marks than are open at a time, and few enough that a mark is four digits.
const MOST: u32 = 9_999;
/// With fewer than this, a finer step is taken if the token has one.
const ENOUGH: u32 = 1_000;
/// Decimals that people and wallets keep.
const KEPT_DECIMALS: u8 = 6;

/// The marks there are for a token at a rate: whole numbers of a step, from one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    step: TokenAmount,
    most: u32,
}

impl Marks {
    /// `None` if the smallest unit of the token is worth too much to tell at least ten invoices apart.
    pub fn of(decimals: Decimals, rate: Rate) -> Option<Self> {
        let coarsest = decimals.get().saturating_sub(KEPT_DECIMALS);
        let by_step = |exponent: u8| {
            let step = TokenAmount::from_base_units(U256::from(10).pow(U256::from(exponent)));
            Self { step, most: most(step, decimals, rate) }
        };
        let coarse_to_fine = || (0..=coarsest).rev().map(by_step);
        let best = coarse_to_fine().find(|marks| ENOUGH <= marks.most).or_else(|| coarse_to_fine().next_back());
        best.filter(|marks| 10 <= marks.most)
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.most
    }

    /// Whether `marked` is `amount` with one of these marks.
    pub fn has_marked(self, amount: TokenAmount, marked: TokenAmount) -> bool {
        let mark = marked.base_units().checked_sub(amount.base_units()).unwrap_or_default();
        let (number, rest) = mark.div_rem(self.step.base_units());
        rest.is_zero() && !number.is_zero() && number <= U256::from(self.most)
    }

    /// An amount with the `nth` mark, counted from zero and around.
    #[must_use]
    pub fn mark(self, amount: TokenAmount, nth: u32) -> TokenAmount {
        let number = nth.checked_rem(self.most).unwrap_or(0).saturating_add(1);
        amount.plus(TokenAmount::from_base_units(self.step.base_units().saturating_mul(U256::from(number))))
    }
}

/// So many steps are worth less than a mark may be.
fn most(step: TokenAmount, decimals: Decimals, rate: Rate) -> u32 {
    let (mut fits, mut too_many) = (0, MOST + 1);
    while fits + 1 < too_many {
        let middle = fits.midpoint(too_many);
        let worth = rate.exact_worth(step, decimals).times(middle);
        if worth < ExactUsd::from(WORTH_LESS_THAN) { fits = middle } else { too_many = middle }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(decimals: u8, usd_e8: u128) -> Option<Marks> {
        Marks::of(Decimals::new(decimals).unwrap(), Rate::from_usd_e8(usd_e8).unwrap())
    }

    fn units(units: u128) -> TokenAmount {
        TokenAmount::from_base_units(U256::from(units))
    }

    #[test]
    fn a_dollar_token_is_marked_in_its_sixth_decimal() {
        let six = marks(6, 100_000_000).unwrap();
        assert_eq!(six.count(), 9_999);
        assert_eq!(six.mark(units(20_000_000), 0), units(20_000_001));
        assert_eq!(six.mark(units(20_000_000), 9_998), units(20_009_999));
        assert_eq!(six.mark(units(20_000_000), 9_999), units(20_000_001), "around again");
        let eighteen = marks(18, 100_000_000).unwrap();
        assert_eq!(eighteen.mark(units(0), 6), units(7_000_000_000_000));
    }

    #[test]
    fn a_marked_amount_is_known_by_its_mark() {
        let marks = marks(6, 100_000_000).unwrap();
        for (marked, expected) in
            [(20_000_000, false), (20_000_001, true), (20_009_999, true), (20_010_000, false), (19_999_999, false)]
        {
            assert_eq!(marks.has_marked(units(20_000_000), units(marked)), expected, "{marked}");
        }
    }

    #[test]
    fn a_mark_is_worth_less_than_a_cent() {
        for (decimals, usd_e8) in
            [(6, 100_000_000), (6, 101_000_000), (18, 3_000 * 100_000_000), (9, 150 * 100_000_000), (8, 10_000)]
        {
            let marks = marks(decimals, usd_e8).unwrap();
            let last = marks.mark(TokenAmount::ZERO, marks.count() - 1);
            let rate = Rate::from_usd_e8(usd_e8).unwrap();
            let worth = |amount| rate.exact_worth(amount, Decimals::new(decimals).unwrap());
            assert!(worth(last) < ExactUsd::from(WORTH_LESS_THAN), "{decimals} {usd_e8}");
            assert!(worth(last.plus(marks.step)) >= ExactUsd::from(WORTH_LESS_THAN) || marks.count() == MOST);
        }
    }

    #[test]
    fn a_dear_coin_is_marked_further_behind() {
        // A cent is 3.33… millionths of an ether: in steps of a millionth there would be three marks.
        let ether = marks(18, 3_000 * 100_000_000).unwrap();
        assert_eq!((ether.step, ether.count()), (units(1_000_000_000), 3_333));
        // A lamport is the smallest there is.
        let sol = marks(9, 150 * 100_000_000).unwrap();
        assert_eq!((sol.step, sol.count()), (units(10), 6_666));
    }

    #[test]
    fn a_token_whose_smallest_unit_is_worth_too_much_has_no_marks() {
        assert_eq!(marks(2, 100_000_000), None);
        assert_eq!(marks(0, 100_000_000), None);
        // Ten times its smallest unit is just below a cent, or just not.
        assert_eq!(marks(6, 99_999_999_999).map(Marks::count), Some(10));
        assert_eq!(marks(6, 100_000_000_000), None);
        // Hundreds are better than none, where there is no finer step.
        assert_eq!(marks(6, 20 * 100_000_000).map(Marks::count), Some(499));
    }
}

//! Dollars, token amounts and the rate between them. All of it is whole numbers.

use std::{fmt, iter::Sum};

use ruint::aliases::{U256, U512};

/// US dollars in thousandths, the unit the contract calls `usd_millis`.
///
/// Arithmetic stops at [`UsdMillis::MAX`] instead of wrapping or failing: whoever mints a worthless
/// token may send any amount of it, and that must never stop the watcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsdMillis(u64);

impl UsdMillis {
    pub const ZERO: Self = Self(0);
    /// The largest amount: what a database's signed 64-bit column can hold.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// A small constant sum in cents.
    pub const fn from_cents(cents: u32) -> Self {
        Self(cents as u64 * 10)
    }

    /// An amount of thousandths of a dollar, at most [`UsdMillis::MAX`].
    pub fn from_millis(millis: u64) -> Self {
        Self(millis).min(Self::MAX)
    }

    pub fn as_millis(self) -> u64 {
        self.0
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::from_millis(self.0.saturating_add(other.0))
    }

    /// The difference, or zero where `other` is larger.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for UsdMillis {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for UsdMillis {
    /// Dollars with three decimals, as in `20.000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// An amount of some token in its smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenAmount(U256);

impl TokenAmount {
    pub const ZERO: Self = Self(U256::ZERO);

    pub fn from_base_units(units: U256) -> Self {
        Self(units)
    }

    pub fn base_units(self) -> U256 {
        self.0
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Whole tokens as a plain decimal, without an exponent and without trailing zeros.
    pub fn to_decimal(self, decimals: Decimals) -> String {
        let digits = format!("{:0>width$}", self.0, width = usize::from(decimals.0) + 1);
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals.0));
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }
}

/// How many decimals a token's whole unit has on its network: 6 for most dollars, 18 for ether.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimals(u8);

impl Decimals {
    /// More than any token in use, and few enough that no intermediate product overflows 512 bits.
    pub const MOST: u8 = 36;

    /// `None` above [`Decimals::MOST`].
    pub fn new(decimals: u8) -> Option<Self> {
        (decimals <= Self::MOST).then_some(Self(decimals))
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

/// The price of one whole token in hundred-millionths of a dollar, the unit of Chainlink's USD feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u128);

/// Fraction digits that usually do for a quote: more frighten people, and some wallets cut them off.
const QUOTED_FRACTION_DIGITS: u8 = 6;
/// Rounding a quote up may cost the payer this much; a coin whose sixth decimal is worth more is quoted
/// with more of them, or whoever pays exactly what was asked would count as having overpaid.
const DEAREST_ROUNDING: UsdMillis = UsdMillis::from_cents(1);

impl Rate {
    /// One token is one dollar.
    pub const PAR: Self = Self(100_000_000);

    /// `None` for zero: there is no price at which money is worth nothing.
    pub fn from_usd_e8(usd_e8: u128) -> Option<Self> {
        (usd_e8 != 0).then_some(Self(usd_e8))
    }

    pub fn usd_e8(self) -> u128 {
        self.0
    }

    /// The least amount that is worth at least `usd`: rounded **up**, to six decimals or to as many more
    /// as keep the rounding within a cent.
    pub fn quote(self, usd: UsdMillis, decimals: Decimals) -> TokenAmount {
        let step = self.quote_step(decimals);
        let rounded = self.units(usd, decimals).div_ceil(step) * step;
        TokenAmount(U256::saturating_from(rounded))
    }

    /// The least amount that is worth at least `usd`, to the token's smallest unit.
    pub fn least(self, usd: UsdMillis, decimals: Decimals) -> TokenAmount {
        TokenAmount(U256::saturating_from(self.units(usd, decimals)))
    }

    fn units(self, usd: UsdMillis, decimals: Decimals) -> U512 {
        // usd/1000 dollars ÷ (rate/10^8 dollars a token) × 10^decimals units a token.
        (U512::from(usd.0) * power_of_ten(decimals.0) * U512::from(100_000_u64)).div_ceil(U512::from(self.0))
    }

    /// What `amount` is worth, rounded **down** to a thousandth of a dollar.
    pub fn worth(self, amount: TokenAmount, decimals: Decimals) -> UsdMillis {
        self.exact_worth(amount, decimals).rounded_down()
    }

    /// What `amount` is worth, for adding up.
    pub fn exact_worth(self, amount: TokenAmount, decimals: Decimals) -> ExactUsd {
        // 256 bits of amount, 128 of rate and 120 of power never reach 512.
        ExactUsd(U512::from(amount.0) * U512::from(self.0) * power_of_ten(Decimals::MOST - decimals.0))
    }

    /// The smallest unit of the last decimal that a quote shows.
    fn quote_step(self, decimals: Decimals) -> U512 {
        let is_cheap = |exponent: &u8| {
            let step = TokenAmount(U256::saturating_from(power_of_ten(*exponent)));
            self.exact_worth(step, decimals) <= ExactUsd::from(DEAREST_ROUNDING)
        };
        let coarsest = decimals.0.saturating_sub(QUOTED_FRACTION_DIGITS);
        power_of_ten((0..=coarsest).rev().find(is_cheap).unwrap_or(0))
    }
}

/// A sum of dollars that is not rounded yet, in 10⁻⁴⁴ dollars: what one unit of a token with the most
/// decimals is worth at the lowest rate. Stops at the end of its range, like [`UsdMillis`].
///
/// Sums are rounded once, at the end. Rounded one by one, the parts of an exact payment could come out a
/// thousandth short of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExactUsd(U512);

impl ExactUsd {
    /// A thousandth of a dollar is 10 to this power.
    const MILLI_EXPONENT: u8 = 41;

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(U512::from(factor)))
    }

    /// Whole thousandths of a dollar.
    pub fn rounded_down(self) -> UsdMillis {
        let millis = self.0 / power_of_ten(Self::MILLI_EXPONENT);
        u64::try_from(millis).map_or(UsdMillis::MAX, UsdMillis::from_millis)
    }
}

impl From<UsdMillis> for ExactUsd {
    fn from(usd: UsdMillis) -> Self {
        Self(U512::from(usd.0) * power_of_ten(Self::MILLI_EXPONENT))
    }
}

fn power_of_ten(exponent: u8) -> U512 {
    U512::from(10).pow(U512::from(exponent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimals(decimals: u8) -> Decimals {
        Decimals::new(decimals).unwrap()
    }

    fn units(units: u128) -> TokenAmount {
        TokenAmount::from_base_units(U256::from(units))
    }

    fn usd(millis: u64) -> UsdMillis {
        UsdMillis::from_millis(millis)
    }

    #[test]
    fn dollars_are_written_with_three_decimals() {
        assert_eq!(usd(20_000).to_string(), "20.000");
        assert_eq!(usd(7).to_string(), "0.007");
    }

    #[test]
    fn dollars_stop_at_the_largest_amount() {
        assert_eq!(usd(u64::MAX), UsdMillis::MAX);
        assert_eq!(UsdMillis::MAX.plus(usd(1)), UsdMillis::MAX);
        assert_eq!(usd(1).minus(usd(2)), UsdMillis::ZERO);
    }

    #[test]
    fn a_sum_of_dollars_is_all_of_them_up_to_the_largest_amount() {
        assert_eq!([usd(1), usd(20), usd(300)].into_iter().sum::<UsdMillis>(), usd(321));
        assert_eq!([usd(1), UsdMillis::MAX, usd(1)].into_iter().sum::<UsdMillis>(), UsdMillis::MAX);
        assert_eq!([].into_iter().sum::<UsdMillis>(), UsdMillis::ZERO);
    }

    #[test]
    fn token_amounts_are_written_plainly() {
        assert_eq!(units(12_340_000).to_decimal(decimals(6)), "12.34");
        assert_eq!(units(1).to_decimal(decimals(18)), "0.000000000000000001");
        assert_eq!(units(5).to_decimal(decimals(0)), "5");
        assert_eq!(units(100).to_decimal(decimals(2)), "1");
        assert_eq!(TokenAmount::ZERO.to_decimal(decimals(6)), "0");
    }

    #[test]
    fn a_stablecoin_at_par_is_quoted_exactly() {
        assert_eq!(Rate::PAR.quote(usd(49_999), decimals(6)), units(49_999_000));
        assert_eq!(Rate::PAR.quote(usd(49_999), decimals(18)), units(49_999_000_000_000_000_000));
    }

    #[test]
    fn a_coin_is_quoted_up_to_the_sixth_decimal() {
        // 20 dollars at 3000 are 0.00666… ether.
        let rate = Rate::from_usd_e8(3000 * 100_000_000).unwrap();
        assert_eq!(rate.quote(usd(20_000), decimals(18)).to_decimal(decimals(18)), "0.006667");
    }

    #[test]
    fn a_dear_coin_is_quoted_to_where_rounding_costs_at_most_a_cent() {
        // 20 dollars at 90,000 are 0.000222… bitcoin, the sixth decimal of which is worth nine cents.
        let rate = Rate::from_usd_e8(90_000 * 100_000_000).unwrap();
        assert_eq!(rate.quote(usd(20_000), decimals(8)).to_decimal(decimals(8)), "0.0002223");
        // At 100,000 the seventh is worth exactly a cent; a little above that, more.
        let rate = Rate::from_usd_e8(100_000 * 100_000_000).unwrap();
        assert_eq!(rate.quote(usd(20_001), decimals(8)).to_decimal(decimals(8)), "0.0002001");
        let rate = Rate::from_usd_e8(100_000 * 100_000_000 + 1).unwrap();
        assert_eq!(rate.quote(usd(20_001), decimals(8)).to_decimal(decimals(8)), "0.00020001");
    }

    #[test]
    fn a_coin_without_small_units_is_quoted_in_whole_units() {
        let rate = Rate::from_usd_e8(500_000_000).unwrap();
        assert_eq!(rate.quote(usd(20_001), decimals(0)), units(5));
    }

    #[test]
    fn a_cheap_token_with_few_decimals_is_quoted_to_its_last_one() {
        let rate = Rate::from_usd_e8(10_000).unwrap();
        assert_eq!(rate.quote(usd(20_001), decimals(2)).to_decimal(decimals(2)), "200010");
    }

    #[test]
    fn token_amounts_add_up_to_the_end_of_their_range() {
        assert_eq!(units(2).plus(units(3)), units(5));
        let everything = TokenAmount::from_base_units(U256::MAX);
        assert_eq!(everything.plus(units(1)), everything);
    }

    #[test]
    fn parts_are_added_before_they_are_rounded() {
        let half = Rate::PAR.exact_worth(units(500), decimals(6));
        assert_eq!(half.rounded_down(), UsdMillis::ZERO);
        assert_eq!(half.plus(half).rounded_down(), usd(1));
        assert_eq!(half.plus(half), ExactUsd::from(usd(1)));
    }

    #[test]
    fn an_exact_sum_beyond_all_money_is_capped() {
        let everything = TokenAmount::from_base_units(U256::MAX);
        let most = Rate::from_usd_e8(u128::MAX).unwrap().exact_worth(everything, decimals(0));
        let mut sum = most;
        for _ in 0..400 {
            assert!(sum <= sum.plus(most));
            sum = sum.plus(most);
        }
        assert_eq!(sum, sum.plus(most));
        assert_eq!(sum.rounded_down(), UsdMillis::MAX);
    }

    #[test]
    fn an_exact_sum_is_multiplied_before_it_is_rounded() {
        let half = Rate::PAR.exact_worth(units(500), decimals(6));
        assert_eq!(half.times(3).rounded_down(), usd(1));
        assert_eq!(half.times(0), ExactUsd::default());
        assert_eq!(ExactUsd::from(UsdMillis::MAX).times(u32::MAX).rounded_down(), UsdMillis::MAX);
    }

    #[test]
    fn worth_is_rounded_down() {
        assert_eq!(Rate::PAR.worth(units(1_999), decimals(6)), usd(1));
        assert_eq!(Rate::PAR.worth(units(999), decimals(6)), UsdMillis::ZERO);
    }

    #[test]
    fn a_worth_beyond_all_money_is_capped() {
        let everything = TokenAmount::from_base_units(U256::MAX);
        assert_eq!(Rate::from_usd_e8(u128::MAX).unwrap().worth(everything, decimals(0)), UsdMillis::MAX);
    }

    #[test]
    fn there_is_no_price_of_zero_and_no_token_of_37_decimals() {
        assert_eq!(Rate::from_usd_e8(0), None);
        assert_eq!(Decimals::new(37), None);
        assert_eq!(Decimals::new(36).map(Decimals::get), Some(36));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, rng_seed: proptest::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

        /// The amount shown always suffices, and one less in its last decimal would not.
        #[test]
        fn a_quote_suffices_and_is_the_least_that_does(
            millis in 1_u64..2_000_000_000,
            usd_e8 in 1_u128..20_000_000_000_000,
            places in 0_u8..=24,
        ) {
            let (rate, decimals) = (Rate::from_usd_e8(usd_e8).unwrap(), decimals(places));
            let quoted = rate.quote(usd(millis), decimals);
            prop_assert!(usd(millis) <= rate.worth(quoted, decimals));

            // At its sixth decimal, or where that costs too much, at the first that is worth at most a
            // cent: usd_e8 / 10^exponent of 10^8 dollars.
            let sixth = places.min(6);
            let shown = (sixth..=places).find(|digits| usd_e8 <= 1_000_000 * 10_u128.pow((*digits).into()));
            let step = U256::from(10).pow(U256::from(places - shown.unwrap_or(places)));
            prop_assert_eq!(quoted.base_units() % step, U256::ZERO);
            let less = TokenAmount::from_base_units(quoted.base_units() - step);
            prop_assert!(rate.worth(less, decimals) < usd(millis));
        }

        /// Rounding up never makes an exact payer someone who overpaid by more than a cent.
        #[test]
        fn rounding_a_quote_costs_at_most_a_cent(millis in 1_u64..2_000_000_000, usd_e8 in 1_u128..20_000_000_000_000) {
            let rate = Rate::from_usd_e8(usd_e8).unwrap();
            let worth = rate.worth(rate.quote(usd(millis), decimals(18)), decimals(18));
            prop_assert!(worth <= usd(millis + 10));
        }

        #[test]
        fn worth_never_rises_above_the_exact_value(units in any::<u128>(), usd_e8 in 1_u128..1_000_000_000_000, places in 0_u8..=18) {
            let rate = Rate::from_usd_e8(usd_e8).unwrap();
            let amount = TokenAmount::from_base_units(U256::from(units));
            let worth = rate.worth(amount, decimals(places));
            if worth < UsdMillis::MAX {
                // worth/1000 × 10^8 × 10^places ≤ units × rate < (worth + 1)/1000 × 10^8 × 10^places
                let unit = U512::from(100_000_u64) * U512::from(10).pow(U512::from(places));
                let exact = U512::from(units) * U512::from(usd_e8);
                prop_assert!(U512::from(worth.as_millis()) * unit <= exact);
                prop_assert!(exact < U512::from(worth.as_millis() + 1) * unit);
            }
        }

        #[test]
        fn a_decimal_reads_back_as_the_same_units(units in any::<u128>(), places in 0_u8..=30) {
            let text = TokenAmount::from_base_units(U256::from(units)).to_decimal(decimals(places));
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            prop_assert!(!fraction.ends_with('0'));
            let digits = format!("{whole}{fraction:0<width$}", width = usize::from(places));
            prop_assert_eq!(U256::from_str_radix(&digits, 10).unwrap(), U256::from(units));
        }
    }
}

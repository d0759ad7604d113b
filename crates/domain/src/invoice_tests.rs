//! The decision table of invoices, one sentence a row; then the same rules once more, slowly and by
//! other means, against random histories.

use proptest::{prelude::*, sample::Index, test_runner::RngSeed};

use super::*;
use crate::{
    id::{QuoteId, TokenId},
    money::{Decimals, TokenAmount},
    transfer::{ChainStanding, Valuation},
};
use InvoiceStatus::{Canceled, Expired, Paid, Underpaid, Unpaid};

/// When the invoices of these tests expire.
const END: i64 = 10_000;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// A dollar with six decimals.
const USDC: TokenId = TokenId(1);
/// A coin with eighteen decimals whose price moves.
const ETH: TokenId = TokenId(2);
/// A dollar with eighteen decimals, on another network.
const DAI: TokenId = TokenId(3);

fn usd(millis: u64) -> UsdMillis {
    UsdMillis::from_millis(millis)
}

fn dollars(dollars: u128) -> Rate {
    Rate::from_usd_e8(dollars * 100_000_000).unwrap()
}

fn decimals_of(token: TokenId) -> Decimals {
    Decimals::new(if token == USDC { 6 } else { 18 }).unwrap()
}

fn quote(number: u8, token: TokenId, rate: Rate, covers_millis: u64, created_at: i64) -> Quote {
    let id = QuoteId::from_random([number; 16]);
    Quote::new(id, token, decimals_of(token), rate, usd(covers_millis), UnixSeconds(created_at), 300)
}

/// A transfer of that many base units at a dollar each, in a block well before [`END`] and deep enough.
fn units(number: u8, token: TokenId, units: u128) -> Transfer {
    Transfer {
        id: PaymentId::from_random([number; 16]),
        network: if token == DAI { "base" } else { "ethereum" }.to_owned(),
        token,
        decimals: decimals_of(token),
        amount: TokenAmount::from_base_units(U256::from(units)),
        block_time: UnixSeconds(1000),
        block_number: 7,
        index: 0,
        valuation: Valuation::Spot { rate: Rate::PAR },
        standing: ChainStanding::Canonical { confirmations: 3, finality: Finality::Paid },
    }
}

/// A transfer of that many thousandths of a dollar.
fn usdc(number: u8, millis: u64) -> Transfer {
    units(number, USDC, u128::from(millis) * 1000)
}

/// What may be different about a transfer.
impl Transfer {
    fn at(mut self, block_time: i64) -> Self {
        self.block_time = UnixSeconds(block_time);
        self
    }

    fn valued(mut self, valuation: Valuation) -> Self {
        self.valuation = valuation;
        self
    }

    fn quoted(self, quote: &Quote) -> Self {
        self.valued(Valuation::Quoted { quote: quote.id, rate: quote.rate })
    }

    fn spot(self, rate: Rate) -> Self {
        self.valued(Valuation::Spot { rate })
    }

    fn seen(mut self) -> Self {
        self.standing = ChainStanding::Canonical { confirmations: 1, finality: Finality::Seen };
        self
    }

    fn orphaned(mut self) -> Self {
        self.standing = ChainStanding::Orphaned;
        self
    }
}

/// An invoice, what came in for it, and what the clocks say.
#[derive(Clone, Debug)]
struct Case {
    terms: InvoiceTerms,
    quotes: Vec<Quote>,
    transfers: Vec<Transfer>,
    now: i64,
    reading_since: i64,
    verified: Vec<Option<UnixSeconds>>,
}

/// An invoice over that sum, with time left and nothing paid.
fn due(millis: u64) -> Case {
    let terms = InvoiceTerms {
        due: usd(millis),
        expires_at: UnixSeconds(END),
        canceled_at: None,
        tolerance: Tolerance::default(),
        late_policy: LatePolicy::Hold,
    };
    Case {
        terms,
        quotes: vec![],
        transfers: vec![],
        now: 2000,
        reading_since: 0,
        verified: vec![Some(UnixSeconds(2000))],
    }
}

impl Case {
    fn quoted<const N: usize>(mut self, quotes: [&Quote; N]) -> Self {
        self.quotes = quotes.map(Clone::clone).into();
        self
    }

    fn with<const N: usize>(mut self, transfers: [Transfer; N]) -> Self {
        self.transfers.extend(transfers);
        self
    }

    fn canceled_at(mut self, time: i64) -> Self {
        self.terms.canceled_at = Some(UnixSeconds(time));
        self
    }

    fn tolerating(mut self, basis_points: u16, at_most_millis: u64) -> Self {
        self.terms.tolerance = Tolerance { basis_points, at_most: usd(at_most_millis) };
        self
    }

    fn accepting_late(mut self, days: u16, band_basis_points: u16) -> Self {
        self.terms.late_policy = LatePolicy::Accept { days, band_basis_points };
        self
    }

    /// Our clock and every chain are at `time`.
    fn by(self, time: i64) -> Self {
        self.read([Some(time)], time)
    }

    /// Our clock is at `now` and the chains have been read up to those times.
    fn read<const N: usize>(mut self, verified: [Option<i64>; N], now: i64) -> Self {
        self.verified = verified.iter().map(|time| time.map(UnixSeconds)).collect();
        self.now = now;
        self
    }

    /// We started at `time`.
    fn started_at(mut self, time: i64) -> Self {
        self.reading_since = time;
        self
    }

    fn standing(&self) -> Standing {
        let times = ChainTimes {
            now: UnixSeconds(self.now),
            reading_since: UnixSeconds(self.reading_since),
            verified: &self.verified,
        };
        self.terms.standing(&self.quotes, &self.transfers, times)
    }

    /// Expects that status and credit, and nothing contradictory beside them.
    #[track_caller]
    fn check(self, status: InvoiceStatus, credit_millis: u64) -> Standing {
        let standing = self.standing();
        assert_eq!((standing.status, standing.credit), (status, usd(credit_millis)), "{self:#?}");
        let remaining = if status == Paid { 0 } else { self.terms.due.as_millis().saturating_sub(credit_millis) };
        assert_eq!(standing.remaining, usd(remaining));
        assert_eq!(standing.paid_at.is_some(), status == Paid);
        assert_eq!(standing.last_payment_at.is_some(), credit_millis != 0);
        standing
    }

    #[track_caller]
    fn check_payment(self, expected: PaymentStatus) {
        let status = self.standing().status;
        let [transfer] = self.transfers.as_slice() else { panic!("{self:#?} is not about one payment") };
        assert_eq!(self.terms.payment_status(transfer, &self.quotes, status), expected);
    }
}

// Paid, underpaid, unpaid

#[test]
fn nothing_paid_is_unpaid() {
    let standing = due(20_000).check(Unpaid, 0);
    assert_eq!(standing.locked_by, None);
    assert!(!standing.is_checking);
}

#[test]
fn the_exact_sum_is_paid() {
    let standing = due(20_000).with([usdc(1, 20_000)]).check(Paid, 20_000);
    assert_eq!(standing.overpaid, UsdMillis::ZERO);
    assert!(!standing.late);
}

#[test]
fn one_milli_short_is_underpaid() {
    due(20_000).with([usdc(1, 19_999)]).check(Underpaid, 19_999);
}

#[test]
fn one_base_unit_short_is_underpaid() {
    due(20_000).with([units(1, USDC, 19_999_999)]).check(Underpaid, 19_999);
}

#[test]
fn parts_add_up() {
    due(20_000).with([usdc(1, 12_000), usdc(2, 7_999)]).check(Underpaid, 19_999);
    due(20_000).with([usdc(1, 12_000), usdc(2, 8_000)]).check(Paid, 20_000);
}

#[test]
fn parts_in_other_tokens_and_networks_count() {
    let dai = units(2, DAI, 10_000_000_000_000_000_000);
    let eth = units(3, ETH, 2_000_000_000_000_000).spot(dollars(2500));
    due(20_000).with([usdc(1, 5_000), dai, eth]).check(Paid, 20_000);
}

#[test]
fn money_that_is_not_deep_enough_counts_nothing() {
    let standing = due(20_000).with([usdc(1, 20_000).seen()]).check(Unpaid, 0);
    assert_eq!(standing.locked_by, None);
}

#[test]
fn final_money_counts_like_deep_enough_money() {
    let mut transfer = usdc(1, 20_000);
    transfer.standing = ChainStanding::Canonical { confirmations: 64, finality: Finality::Final };
    due(20_000).with([transfer]).check(Paid, 20_000);
}

#[test]
fn a_zero_sum_never_pays() {
    let forgiving = due(20_000).tolerating(10_000, 20_000);
    forgiving.clone().check(Unpaid, 0);
    assert_eq!(forgiving.clone().with([usdc(1, 0)]).standing().status, Unpaid);
    forgiving.with([usdc(1, 1)]).check(Paid, 1);
}

#[test]
fn any_amount_of_a_worthless_token_stops_nothing() {
    let mut everything = usdc(1, 0);
    everything.amount = TokenAmount::from_base_units(U256::MAX);
    let mut again = everything.clone();
    again.id = PaymentId::from_random([2; 16]);
    due(20_000).with([everything, again]).check(Paid, UsdMillis::MAX.as_millis());
}

// Quotes

#[test]
fn the_quoted_amount_pays_in_any_parts() {
    // A third of a coin at 59.999 dollars: no part is worth whole thousandths.
    let quote = quote(1, ETH, Rate::from_usd_e8(5_999_900_000).unwrap(), 20_000, 1000);
    let all = u128::try_from(quote.amount.base_units()).unwrap();
    let part = |number, units_sent| units(number, ETH, units_sent).quoted(&quote);
    let case = due(20_000).quoted([&quote]);
    case.clone().with([part(1, all)]).check(Paid, 20_000);
    case.clone().with([part(1, 1), part(2, all - 1)]).check(Paid, 20_000);
    case.clone().with([part(1, all / 3), part(2, all / 3), part(3, all - 2 * (all / 3))]).check(Paid, 20_000);
    // Each of these is rounded down to 6.666 dollars when it stands alone.
    assert_eq!(quote.rate.worth(TokenAmount::from_base_units(U256::from(all / 3)), quote.decimals), usd(6_666));
    case.with([part(1, all / 3), part(2, all / 3)]).check(Underpaid, 13_333);
}

#[test]
fn a_requote_covers_what_the_first_part_left() {
    let first = quote(1, ETH, dollars(3000), 20_000, 1000);
    let half = units(1, ETH, 3_333_500_000_000_000).quoted(&first).at(1100);
    let standing = due(20_000).quoted([&first]).with([half.clone()]).check(Underpaid, 10_000);
    let second = quote(2, ETH, dollars(2500), standing.remaining.as_millis(), 1400);
    let rest = u128::try_from(second.amount.base_units()).unwrap();
    let case = due(20_000).quoted([&first, &second]).with([half]);
    case.clone().with([units(2, ETH, rest - 1).quoted(&second).at(1500)]).check(Paid, 20_000);
    let short = units(2, ETH, rest - 1_000_000_000_000).quoted(&second).at(1500);
    case.with([short]).check(Underpaid, 19_998);
}

#[test]
fn a_requote_does_not_revalue_what_arrived() {
    let first = quote(1, ETH, dollars(3000), 20_000, 1000);
    let worthless = quote(2, ETH, dollars(1), 20_000, 1010);
    let all = u128::try_from(first.amount.base_units()).unwrap();
    due(20_000).quoted([&first, &worthless]).with([units(1, ETH, all).quoted(&first).at(1005)]).check(Paid, 20_001);
}

#[test]
fn a_transfer_keeps_its_value_when_its_quote_is_gone() {
    let quote = quote(1, ETH, dollars(3000), 20_000, 1000);
    due(3_000).with([units(1, ETH, 1_000_000_000_000_000).quoted(&quote)]).check(Paid, 3_000);
}

#[test]
fn money_without_a_quote_counts_at_the_price_of_its_block() {
    due(20_000).with([units(1, ETH, 10_000_000_000_000_000).spot(dollars(1999))]).check(Underpaid, 19_990);
    due(20_000).with([units(1, ETH, 10_000_000_000_000_000).spot(dollars(2000))]).check(Paid, 20_000);
}

#[test]
fn money_without_a_price_is_held_until_it_has_one() {
    let unpriced = units(1, ETH, 10_000_000_000_000_000).valued(Valuation::Unpriced);
    let case = due(20_000).with([unpriced.clone()]);
    case.clone().check(Unpaid, 0);
    case.clone().check_payment(PaymentStatus::ManualRetry);
    // It does not hold back the end either, and pays once somebody has priced it.
    case.by(END + 1).check(Expired, 0);
    due(20_000).with([unpriced.spot(dollars(2000))]).by(END + 1).check(Paid, 20_000);
}

#[test]
fn a_token_the_merchant_does_not_accept_is_never_credited() {
    let case = due(20_000).with([usdc(1, 20_000).valued(Valuation::Unexpected)]);
    case.clone().check(Unpaid, 0);
    case.clone().by(END + 1).check(Expired, 0);
    case.check_payment(PaymentStatus::ManualRetry);
}

// Tolerance

#[test]
fn nothing_is_forgiven_by_default() {
    due(1_000_000).with([usdc(1, 999_999)]).check(Underpaid, 999_999);
}

#[test]
fn a_tolerance_is_the_smaller_of_share_and_sum() {
    // One percent of twenty dollars is twenty cents.
    due(20_000).tolerating(100, 500).with([usdc(1, 19_799)]).check(Underpaid, 19_799);
    due(20_000).tolerating(100, 500).with([usdc(1, 19_800)]).check(Paid, 19_800);
    due(20_000).tolerating(100, 50).with([usdc(1, 19_949)]).check(Underpaid, 19_949);
    let standing = due(20_000).tolerating(100, 50).with([usdc(1, 19_950)]).check(Paid, 19_950);
    assert_eq!(standing.remaining, UsdMillis::ZERO);
}

#[test]
fn a_tolerance_is_counted_in_hundredths_of_a_percent() {
    // One of a hundred thousand dollars is ten.
    due(100_000_000).tolerating(1, 20_000).with([usdc(1, 99_989_999)]).check(Underpaid, 99_989_999);
    due(100_000_000).tolerating(1, 20_000).with([usdc(1, 99_990_000)]).check(Paid, 99_990_000);
}

#[test]
fn a_share_needs_a_sum_and_a_sum_needs_a_share() {
    due(20_000).tolerating(100, 0).with([usdc(1, 19_999)]).check(Underpaid, 19_999);
    due(20_000).tolerating(0, 500).with([usdc(1, 19_999)]).check(Underpaid, 19_999);
}

// Dust

#[test]
fn dust_alone_neither_locks_nor_changes_the_status() {
    let standing = due(20_000).with([usdc(1, 49)]).check(Unpaid, 49);
    assert_eq!(standing.locked_by, None);
}

#[test]
fn dust_is_below_five_cents_and_below_one_percent() {
    due(20_000).with([usdc(1, 50)]).check(Underpaid, 50);
    due(4_900).with([usdc(1, 49)]).check(Underpaid, 49);
    due(4_901).with([usdc(1, 49)]).check(Unpaid, 49);
}

#[test]
fn dust_that_adds_up_to_more_locks() {
    let standing = due(20_000).with([usdc(1, 30), usdc(2, 20).at(1001)]).check(Underpaid, 50);
    assert_eq!(standing.locked_by, Some(usdc(2, 0).id));
}

#[test]
fn dust_counts_towards_the_sum() {
    due(20_000).with([usdc(1, 10), usdc(2, 19_990)]).check(Paid, 20_000);
}

#[test]
fn dust_does_not_keep_an_invoice_from_expiring() {
    due(20_000).with([usdc(1, 10)]).by(END + 1).check(Expired, 10);
}

// The lock

#[test]
fn the_first_transfer_that_is_no_dust_locks() {
    let locked_by = |transfers: [Transfer; 3]| due(20_000).with(transfers).standing().locked_by;
    let (dust, first, second) = (usdc(1, 10).at(900), usdc(2, 5_000).at(950), usdc(3, 6_000).at(1000));
    assert_eq!(locked_by([second.clone(), dust.clone(), first.clone()]), Some(first.id));
    assert_eq!(locked_by([second.clone(), dust.clone(), first.clone().seen()]), Some(second.id));
    assert_eq!(locked_by([second.clone(), dust, first.orphaned()]), Some(second.id));
}

#[test]
fn in_one_second_the_place_on_the_chain_decides_who_locks() {
    let (mut early, mut late) = (usdc(9, 5_000), usdc(1, 5_000));
    (early.block_number, early.index) = (7, 9);
    (late.block_number, late.index) = (8, 1);
    assert_eq!(due(20_000).with([late.clone(), early.clone()]).standing().locked_by, Some(early.id));
    (early.block_number, late.block_number) = (8, 8);
    assert_eq!(due(20_000).with([early, late.clone()]).standing().locked_by, Some(late.id));
}

// Over

#[test]
fn a_cent_too_much_is_not_worth_a_word() {
    let standing = due(20_000).with([usdc(1, 20_010)]).check(Paid, 20_010);
    assert_eq!(standing.overpaid, UsdMillis::ZERO);
}

#[test]
fn more_than_a_cent_too_much_is_overpaid() {
    let standing = due(20_000).with([usdc(1, 20_011)]).check(Paid, 20_011);
    assert_eq!(standing.overpaid, usd(11));
}

#[test]
fn money_after_an_invoice_is_paid_is_overpaid_and_leaves_it_paid() {
    let standing = due(20_000).with([usdc(1, 20_000), usdc(2, 20_000).at(2000)]).check(Paid, 40_000);
    assert_eq!(standing.overpaid, usd(20_000));
    assert_eq!(standing.paid_at, Some(UnixSeconds(1000)));
    assert_eq!(standing.last_payment_at, Some(UnixSeconds(2000)));
}

// When it was paid

#[test]
fn paid_at_is_the_time_of_the_block_that_completed_it() {
    let standing =
        due(20_000).with([usdc(1, 8_000).at(1500), usdc(2, 12_000).at(1100)]).by(END + DAY).check(Paid, 20_000);
    assert_eq!(standing.paid_at, Some(UnixSeconds(1500)));
    assert_eq!(standing.last_payment_at, Some(UnixSeconds(1500)));
}

#[test]
fn last_payment_at_leaves_out_what_is_not_credited() {
    let case = due(20_000).with([usdc(1, 8_000), usdc(2, 1_000).at(1800).seen(), usdc(3, 1_000).at(1900).orphaned()]);
    assert_eq!(case.check(Underpaid, 8_000).last_payment_at, Some(UnixSeconds(1000)));
}

// Time

#[test]
fn the_last_second_is_in_time() {
    let case = due(20_000).by(END).check(Unpaid, 0);
    assert!(!case.is_checking);
    due(20_000).by(END + 1).check(Expired, 0);
}

#[test]
fn an_underpaid_invoice_expires_too() {
    due(20_000).with([usdc(1, 5_000)]).by(END + 1).check(Expired, 5_000);
}

#[test]
fn our_clock_alone_ends_nothing() {
    // The chain may still show a block of the last second.
    let standing = due(20_000).read([Some(END)], END + 1).check(Unpaid, 0);
    assert!(standing.is_checking);
    let standing = due(20_000).read([Some(END)], END + 1).with([usdc(1, 5_000)]).check(Underpaid, 5_000);
    assert!(standing.is_checking);
}

#[test]
fn a_chains_clock_alone_ends_nothing() {
    due(20_000).read([Some(END + HOUR)], END).check(Unpaid, 0);
}

#[test]
fn every_network_quoted_on_has_to_be_read_past_the_end() {
    assert!(due(20_000).read([Some(END + 1), Some(END)], END + 1).check(Unpaid, 0).is_checking);
    assert!(due(20_000).read([None, Some(END + 1)], END + 1).check(Unpaid, 0).is_checking);
    let standing = due(20_000).read([Some(END + 1), Some(END + 1)], END + 1).check(Expired, 0);
    assert!(!standing.is_checking);
    assert!(!standing.ended_unverified);
}

#[test]
fn an_invoice_that_was_never_quoted_ends_by_our_clock() {
    let standing = due(20_000).read([], END + 1).check(Expired, 0);
    assert!(!standing.ended_unverified);
}

#[test]
fn a_network_that_is_down_holds_the_end_for_an_hour() {
    for down in [Some(END - 500), None] {
        let held = due(20_000).read([down, Some(END + HOUR)], END + HOUR).check(Unpaid, 0);
        assert!(held.is_checking);
        assert!(!held.ended_unverified);
        let ended = due(20_000).read([down, Some(END + HOUR)], END + HOUR + 1).check(Expired, 0);
        assert!(ended.ended_unverified);
        assert!(!ended.is_checking);
    }
}

#[test]
fn time_during_which_nobody_could_look_does_not_count_as_waiting() {
    let started = END + 5 * HOUR;
    let case = |now| due(20_000).started_at(started).read([Some(END - 500)], now);
    assert!(case(started + HOUR).check(Unpaid, 0).is_checking);
    assert!(case(started + HOUR + 1).check(Expired, 0).ended_unverified);
    due(20_000).started_at(started).read([Some(END + 1)], started).check(Expired, 0);
}

#[test]
fn money_found_in_time_on_a_network_that_came_back_pays_an_expired_invoice() {
    let case = due(20_000).read([Some(END - 500)], END + 2 * HOUR);
    case.clone().check(Expired, 0);
    let standing = case.with([usdc(1, 20_000).at(END)]).check(Paid, 20_000);
    assert!(!standing.late);
    assert!(!standing.ended_unverified);
}

#[test]
fn a_confirming_transfer_in_time_holds_the_end_back() {
    let standing = due(20_000).with([usdc(1, 20_000).at(END).seen()]).by(END + 2 * HOUR).check(Unpaid, 0);
    assert!(standing.is_checking);
    let case = due(20_000).with([usdc(1, 5_000), usdc(2, 15_000).at(END).seen()]).by(END + 1);
    assert!(case.check(Underpaid, 5_000).is_checking);
}

#[test]
fn a_transfer_in_time_that_is_confirmed_after_the_end_pays() {
    let standing = due(20_000).with([usdc(1, 20_000).at(END)]).by(END + DAY).check(Paid, 20_000);
    assert_eq!(standing.paid_at, Some(UnixSeconds(END)));
    assert!(!standing.late);
}

#[test]
fn only_transfers_that_may_still_be_credited_hold_the_end_back() {
    let on_time = usdc(1, 20_000).at(END).seen();
    let case = |transfer| due(20_000).with([transfer]).by(END + 1);
    case(on_time.clone().at(END + 1)).check(Expired, 0);
    case(on_time.clone().orphaned()).check(Expired, 0);
    case(on_time.clone().valued(Valuation::Unpriced)).check(Expired, 0);
    case(on_time.valued(Valuation::Unexpected)).check(Expired, 0);
}

#[test]
fn a_transfer_that_is_deep_enough_holds_nothing_back() {
    due(20_000).with([usdc(1, 5_000).at(END)]).by(END + 1).check(Expired, 5_000);
}

// Late

#[test]
fn one_second_late_is_late_and_held() {
    let case = due(20_000).with([usdc(1, 20_000).at(END + 1)]).by(END + 1);
    assert!(case.terms.is_late(&case.transfers[0]));
    case.clone().check(Expired, 0);
    case.check_payment(PaymentStatus::ManualRetry);
    let in_time = due(20_000).with([usdc(1, 20_000).at(END)]);
    assert!(!in_time.terms.is_late(&in_time.transfers[0]));
}

#[test]
fn late_money_does_not_complete_what_came_in_time() {
    due(20_000).with([usdc(1, 19_000), usdc(2, 1_000).at(END + 1)]).by(END + 2).check(Expired, 19_000);
}

#[test]
fn late_money_on_a_paid_invoice_is_held_too() {
    let case = due(20_000).with([usdc(1, 20_000), usdc(2, 20_000).at(END + 1)]).by(END + 2);
    assert_eq!(case.terms.payment_status(&case.transfers[1], &[], Paid), PaymentStatus::ManualRetry);
    assert_eq!(case.check(Paid, 20_000).overpaid, UsdMillis::ZERO);
}

#[test]
fn accepted_late_money_pays_an_expired_invoice_and_says_so() {
    let case = due(20_000).accepting_late(2, 100).by(END + 3 * DAY);
    let standing = case.clone().with([usdc(1, 20_000).at(END + 2 * DAY)]).check(Paid, 20_000);
    assert!(standing.late);
    assert_eq!(standing.paid_at, Some(UnixSeconds(END + 2 * DAY)));
    case.clone().with([usdc(1, 20_000).at(END + 2 * DAY)]).check_payment(PaymentStatus::Confirmed);
    case.with([usdc(1, 20_000).at(END + 2 * DAY + 1)]).check(Expired, 0);
}

#[test]
fn accepted_late_money_that_is_not_enough_leaves_it_expired() {
    let case = due(20_000).accepting_late(2, 100).by(END + 2).with([usdc(1, 15_000).at(END + 1)]);
    case.clone().check(Expired, 15_000);
    case.check_payment(PaymentStatus::Underpaid);
}

#[test]
fn an_invoice_paid_in_time_is_not_late_for_what_comes_after() {
    let case = due(20_000).accepting_late(2, 100).by(END + 2).with([usdc(1, 20_000), usdc(2, 5_000).at(END + 1)]);
    let standing = case.check(Paid, 25_000);
    assert!(!standing.late);
    assert_eq!(standing.overpaid, usd(5_000));
}

#[test]
fn a_confirming_late_transfer_does_not_hold_the_end_back_even_where_it_will_be_accepted() {
    due(20_000).accepting_late(2, 100).by(END + 2).with([usdc(1, 20_000).at(END + 1).seen()]).check(Expired, 0);
}

#[test]
fn late_money_is_accepted_within_a_band_about_the_last_quote() {
    // One percent about 2000 dollars; the quotes before and of other tokens say nothing.
    let quotes = [
        quote(9, ETH, dollars(1000), 20_000, 1000),
        quote(1, ETH, dollars(2000), 20_000, 3000),
        quote(2, DAI, Rate::PAR, 20_000, 5000),
    ];
    let case = due(18_000).quoted(quotes.each_ref()).accepting_late(1, 100).by(END + 2);
    let at_rate = |usd_e8| {
        let rate = Rate::from_usd_e8(usd_e8).unwrap();
        case.clone().with([units(1, ETH, 10_000_000_000_000_000).spot(rate).at(END + 1)]).standing().status
    };
    assert_eq!(at_rate(198_000_000_000), Paid);
    assert_eq!(at_rate(197_999_999_999), Expired);
    assert_eq!(at_rate(202_000_000_000), Paid);
    assert_eq!(at_rate(202_000_000_001), Expired);
}

#[test]
fn of_quotes_made_in_one_second_one_is_the_last_whatever_their_order() {
    let (low, high) = (quote(1, ETH, dollars(1000), 20_000, 1000), quote(2, ETH, dollars(2000), 20_000, 1000));
    let paid = units(1, ETH, 10_000_000_000_000_000).spot(dollars(2000)).at(END + 1);
    let case = due(20_000).accepting_late(1, 0).by(END + 2).with([paid]);
    case.clone().quoted([&low, &high]).check(Paid, 20_000);
    case.quoted([&high, &low]).check(Paid, 20_000);
}

#[test]
fn a_band_holds_for_rates_of_any_size() {
    let highest = Rate::from_usd_e8(u128::MAX).unwrap();
    let quote = quote(1, ETH, highest, 20_000, 1000);
    let half = units(1, ETH, 1_000_000).spot(Rate::from_usd_e8(u128::MAX / 2).unwrap()).at(END + 1);
    due(20_000).quoted([&quote]).accepting_late(1, 100).by(END + 2).with([half]).check(Expired, 0);
}

#[test]
fn late_money_in_a_token_that_was_never_quoted_is_accepted_at_its_price() {
    let case = due(20_000).quoted([&quote(1, ETH, dollars(2000), 20_000, 1000)]).accepting_late(1, 0).by(END + 2);
    case.with([usdc(1, 20_000).at(END + 1)]).check(Paid, 20_000);
}

#[test]
fn late_money_without_a_price_is_not_accepted() {
    let unpriced = usdc(1, 20_000).at(END + 1).valued(Valuation::Unpriced);
    due(20_000).accepting_late(1, 10_000).by(END + 2).with([unpriced]).check(Expired, 0);
}

// Canceled

#[test]
fn canceled_is_canceled_at_once_and_stays_so() {
    for now in [2000, END + 1, END + DAY] {
        let standing = due(20_000).canceled_at(1500).by(now).check(Canceled, 0);
        assert!(!standing.is_checking);
    }
    due(20_000).canceled_at(1500).read([None], END + DAY).check(Canceled, 0);
}

#[test]
fn money_of_the_second_of_cancelling_still_counts() {
    due(20_000).canceled_at(1000).with([usdc(1, 20_000).at(1000)]).check(Paid, 20_000);
    due(20_000).canceled_at(1000).with([usdc(1, 5_000).at(1000)]).check(Canceled, 5_000);
}

#[test]
fn money_after_cancelling_is_held() {
    let case = due(20_000).canceled_at(1000).with([usdc(1, 20_000).at(1001)]);
    assert!(case.terms.is_late(&case.transfers[0]));
    case.clone().check(Canceled, 0);
    case.check_payment(PaymentStatus::ManualRetry);
}

#[test]
fn no_late_policy_revives_a_canceled_invoice() {
    let case = due(20_000).accepting_late(30, 10_000).canceled_at(1000).by(END + 2);
    case.clone().with([usdc(1, 20_000).at(1001)]).check(Canceled, 0);
    case.clone().with([usdc(1, 20_000).at(END + 1)]).check(Canceled, 0);
    let standing = case.with([usdc(1, 20_000).at(1000)]).check(Paid, 20_000);
    assert!(!standing.late);
}

#[test]
fn late_money_from_before_it_was_called_off_is_accepted() {
    let case = due(20_000).accepting_late(2, 100).canceled_at(END + 50).by(END + 60);
    assert!(case.clone().with([usdc(1, 20_000).at(END + 50)]).check(Paid, 20_000).late);
    case.with([usdc(1, 20_000).at(END + 51)]).check(Canceled, 0);
}

#[test]
fn cancelling_after_the_end_does_not_lengthen_it() {
    due(20_000).canceled_at(END + 50).with([usdc(1, 20_000).at(END + 1)]).by(END + 60).check(Canceled, 0);
}

// Reorganisations

#[test]
fn a_paid_invoice_goes_back_when_its_transfer_is_orphaned() {
    due(20_000).with([usdc(1, 15_000), usdc(2, 5_000)]).check(Paid, 20_000);
    let [kept, lost] = [usdc(1, 15_000), usdc(2, 5_000).orphaned()];
    due(20_000).with([kept.clone(), lost.clone()]).check(Underpaid, 15_000);
    due(20_000).with([kept, lost.clone()]).by(END + 1).check(Expired, 15_000);
    due(20_000).with([usdc(1, 15_000).orphaned(), lost]).check(Unpaid, 0);
}

#[test]
fn a_transfer_that_came_back_in_another_block_counts_once() {
    let mut back = usdc(1, 20_000).at(1012);
    (back.block_number, back.index) = (8, 4);
    let standing = due(20_000).with([back.clone(), usdc(1, 20_000).orphaned()]).check(Paid, 20_000);
    assert_eq!(standing.paid_at, Some(UnixSeconds(1012)));
    // Even before anybody noticed that the first block is gone.
    let standing = due(20_000).with([back, usdc(1, 20_000)]).check(Paid, 20_000);
    assert_eq!(standing.overpaid, UsdMillis::ZERO);
}

#[test]
fn a_transfer_that_came_back_too_late_is_late() {
    let back = usdc(1, 20_000).at(END + 1);
    due(20_000).with([usdc(1, 20_000).at(END).orphaned(), back]).by(END + 2).check(Expired, 0);
}

#[test]
fn only_facts_of_a_chain_change_an_end() {
    assert_eq!(
        [Unpaid, Underpaid, Paid, Expired, Canceled].map(InvoiceStatus::is_terminal),
        [false, false, true, true, true]
    );
}

// What becomes of one payment

#[test]
fn a_payment_is_pending_until_it_is_deep_enough() {
    due(20_000).with([usdc(1, 20_000).seen()]).check_payment(PaymentStatus::Pending);
    due(20_000).with([usdc(1, 20_000)]).check_payment(PaymentStatus::Confirmed);
}

#[test]
fn a_payment_that_does_not_cover_the_invoice_is_underpaid() {
    due(20_000).with([usdc(1, 5_000)]).check_payment(PaymentStatus::Underpaid);
    due(20_000).with([usdc(1, 5_000)]).by(END + 1).check_payment(PaymentStatus::Underpaid);
    due(20_000).with([usdc(1, 10)]).check_payment(PaymentStatus::Underpaid);
}

#[test]
fn every_part_of_a_paid_invoice_is_confirmed() {
    let case = due(20_000).with([usdc(1, 5_000), usdc(2, 15_000), usdc(3, 1_000)]);
    for transfer in &case.transfers {
        assert_eq!(case.terms.payment_status(transfer, &[], Paid), PaymentStatus::Confirmed);
    }
}

#[test]
fn a_payment_whose_block_was_replaced_is_pending_whatever_else_it_is() {
    due(20_000).with([usdc(1, 20_000).orphaned()]).check_payment(PaymentStatus::Pending);
    due(20_000).with([usdc(1, 20_000).at(END + 1).orphaned()]).check_payment(PaymentStatus::Pending);
}

#[test]
fn a_payment_that_needs_somebody_says_so_before_it_is_deep_enough() {
    due(20_000).with([usdc(1, 20_000).at(END + 1).seen()]).check_payment(PaymentStatus::ManualRetry);
}

/// The rules once more, each stated on its own instead of in one pass: slow, in plain integers, and
/// without a line of the code under test.
mod model {
    use super::*;

    /// Dollars in 10⁻²⁶; the histories keep amounts and rates small enough for it.
    type Exact = u128;
    const MILLI: Exact = 10_u128.pow(23);

    pub struct Verdict {
        pub status: InvoiceStatus,
        pub credit_millis: u64,
        pub overpaid_millis: u64,
        pub paid_at: Option<i64>,
        pub late: bool,
        pub locked_by: Option<PaymentId>,
        pub is_checking: bool,
        pub ended_unverified: bool,
    }

    fn worth(transfer: &Transfer, rate: Rate) -> Exact {
        let units = u128::try_from(transfer.amount.base_units()).unwrap();
        units * rate.usd_e8() * 10_u128.pow(u32::from(18 - transfer.decimals.get()))
    }

    fn is_deep(transfer: &Transfer) -> bool {
        match transfer.standing {
            ChainStanding::Canonical { finality: Finality::Seen, .. } | ChainStanding::Orphaned => false,
            ChainStanding::Canonical { finality: Finality::Paid | Finality::Final, .. } => true,
        }
    }

    fn rate(transfer: &Transfer) -> Option<Rate> {
        match transfer.valuation {
            Valuation::Quoted { rate, .. } | Valuation::Spot { rate } => Some(rate),
            Valuation::Unpriced | Valuation::Unexpected => None,
        }
    }

    fn is_on_time(terms: &InvoiceTerms, transfer: &Transfer) -> bool {
        let is_before_cancelling = match terms.canceled_at {
            Some(canceled_at) => transfer.block_time.0 <= canceled_at.0,
            None => true,
        };
        is_before_cancelling && transfer.block_time.0 <= terms.expires_at.0
    }

    fn is_let_in_late(case: &Case, transfer: &Transfer, rate: Rate) -> bool {
        let LatePolicy::Accept { days, band_basis_points } = case.terms.late_policy else { return false };
        if case.terms.canceled_at.is_some_and(|canceled_at| canceled_at < transfer.block_time) {
            return false;
        }
        if i64::from(days) * 86_400 < transfer.block_time.0 - case.terms.expires_at.0 {
            return false;
        }
        // The quote than which none of the token is newer.
        let of_token: Vec<&Quote> = case.quotes.iter().filter(|quote| quote.token == transfer.token).collect();
        let last = of_token
            .iter()
            .find(|one| of_token.iter().all(|other| (other.created_at, other.id) <= (one.created_at, one.id)));
        match last {
            None => true,
            Some(last) => {
                let (last, band) = (last.rate.usd_e8(), u128::from(band_basis_points));
                let rate = rate.usd_e8() * 10_000;
                last * 10_000 <= rate + last * band && rate <= last * (10_000 + band)
            }
        }
    }

    /// Deep transfers that count, each once, with their exact worth.
    fn credited(case: &Case) -> Vec<(&Transfer, Exact)> {
        let mut credited: Vec<(&Transfer, Exact)> = Vec::new();
        for transfer in &case.transfers {
            let Some(rate) = rate(transfer) else { continue };
            if is_deep(transfer) && (is_on_time(&case.terms, transfer) || is_let_in_late(case, transfer, rate)) {
                credited.push((transfer, worth(transfer, rate)));
            }
        }
        credited
    }

    fn place(transfer: &Transfer) -> (i64, String, u64, i64, PaymentId) {
        let Transfer { block_time, network, block_number, index, id, .. } = transfer;
        (block_time.0, network.clone(), *block_number, *index, *id)
    }

    fn covers(terms: &InvoiceTerms, exact: Exact) -> bool {
        // What is missing, times ten thousand, must be within the share; and within the sum.
        let credit = exact / MILLI;
        let missing = u128::from(terms.due.as_millis()).saturating_sub(credit);
        let share = u128::from(terms.tolerance.basis_points) * u128::from(terms.due.as_millis());
        credit != 0 && missing * 10_000 <= share && missing <= u128::from(terms.tolerance.at_most.as_millis())
    }

    pub fn judge(case: &Case) -> Verdict {
        let credited = credited(case);
        let sum_up_to = |last: &Transfer| -> Exact {
            credited.iter().filter(|(one, _)| place(one) <= place(last)).map(|(_, exact)| exact).sum()
        };
        let first = |is_wanted: &dyn Fn(Exact) -> bool| {
            credited
                .iter()
                .map(|(transfer, _)| *transfer)
                .filter(|transfer| is_wanted(sum_up_to(transfer)))
                .min_by_key(|transfer| place(transfer))
        };

        let due = u128::from(case.terms.due.as_millis());
        let sum: Exact = credited.iter().map(|(_, exact)| exact).sum();
        let completing = first(&|sum| covers(&case.terms, sum));
        let locking = first(&|sum| 50 <= sum / MILLI || due <= sum / MILLI * 100);

        let is_awaited = case.transfers.iter().any(|transfer| {
            let is_on_chain = transfer.standing != ChainStanding::Orphaned;
            is_on_chain && !is_deep(transfer) && rate(transfer).is_some() && is_on_time(&case.terms, transfer)
        });
        let end = case.terms.expires_at.0;
        let is_time_up = end < case.now;
        let is_read = !case.verified.iter().any(|time| time.is_none_or(|time| time.0 <= end));
        let is_over = is_time_up && !is_awaited && (is_read || end.max(case.reading_since) + 3600 < case.now);
        let is_open = completing.is_none() && case.terms.canceled_at.is_none();
        let status = match (completing, case.terms.canceled_at, is_over, locking) {
            (Some(_), ..) => Paid,
            (None, Some(_), ..) => Canceled,
            (None, None, true, _) => Expired,
            (None, None, false, Some(_)) => Underpaid,
            (None, None, false, None) => Unpaid,
        };
        let excess = (sum / MILLI).saturating_sub(due);
        Verdict {
            status,
            credit_millis: u64::try_from(sum / MILLI).unwrap(),
            overpaid_millis: if completing.is_some() && 10 < excess { u64::try_from(excess).unwrap() } else { 0 },
            paid_at: completing.map(|transfer| transfer.block_time.0),
            late: completing.is_some_and(|transfer| !is_on_time(&case.terms, transfer)),
            locked_by: locking.map(|transfer| transfer.id),
            is_checking: is_open && is_time_up && !is_over,
            ended_unverified: is_open && is_over && !is_read,
        }
    }
}

fn properties(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..ProptestConfig::default() }
}

fn any_rate() -> impl Strategy<Value = Rate> {
    prop_oneof![
        2 => Just(Rate::PAR),
        2 => (1_900_u128..2_100).prop_map(dollars),
        1 => (1_u128..1_000_000_000_000).prop_map(|usd_e8| Rate::from_usd_e8(usd_e8).unwrap()),
    ]
}

fn any_token() -> impl Strategy<Value = TokenId> {
    prop_oneof![Just(USDC), Just(ETH), Just(DAI)]
}

/// Times that crowd around those that decide something.
fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => 900_i64..1600,
        2 => END - 2..END + 3,
        1 => END + HOUR - 2..END + HOUR + 3,
        1 => END + DAY - 2..END + DAY + 3,
        1 => END..END + 3 * DAY,
    ]
}

/// Up to thirty dollars' worth at the rate a transfer is valued at, and often a round sum.
fn any_transfer(quotes: Vec<Quote>) -> impl Strategy<Value = Transfer> {
    let millis = prop_oneof![1 => 0_u64..60, 3 => (0_u64..21).prop_map(|dollars| dollars * 1000), 1 => 0_u64..30_000];
    let standing = prop_oneof![
        1 => Just(ChainStanding::Orphaned),
        2 => Just(ChainStanding::Canonical { confirmations: 1, finality: Finality::Seen }),
        5 => Just(ChainStanding::Canonical { confirmations: 3, finality: Finality::Paid }),
        2 => Just(ChainStanding::Canonical { confirmations: 9, finality: Finality::Final }),
    ];
    let kind = prop_oneof![8 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    (any::<u8>(), any_token(), any_rate(), any_time(), millis, -3_i64..4, standing, kind, 0_u64..3).prop_map(
        move |(number, token, spot, time, millis, off_by, standing, kind, block_number)| {
            let valuation = match kind {
                0 => Valuation::of(token, UnixSeconds(time), &quotes, Some(spot)),
                1 => Valuation::Unpriced,
                _ => Valuation::Unexpected,
            };
            let rate = valuation.rate().unwrap_or(spot);
            let amount = i128::try_from(rate.quote(usd(millis), decimals_of(token)).base_units()).unwrap();
            let amount = u128::try_from(amount + i128::from(off_by)).unwrap_or(0);
            let mut transfer = units(number, token, amount).at(time).valued(valuation);
            transfer.standing = standing;
            transfer.block_number = block_number;
            transfer
        },
    )
}

fn any_quotes() -> impl Strategy<Value = Vec<Quote>> {
    let asked = (any_token(), any_rate(), 1_u64..30_000, 900_i64..1600);
    proptest::collection::vec(asked, 0..4).prop_map(|all| {
        let numbered = (1..).zip(all);
        numbered.map(|(number, (token, rate, covers, at))| quote(number, token, rate, covers, at)).collect()
    })
}

fn any_terms() -> impl Strategy<Value = InvoiceTerms> {
    let due = prop_oneof![1 => 1_u64..100, 2 => (1_u64..41).prop_map(|dollars| dollars * 1000), 1 => 1_u64..40_000];
    let tolerance = prop_oneof![
        2 => Just(Tolerance::default()),
        1 => (0_u16..=10_000, 0_u64..2_000).prop_map(|(basis_points, at_most)| Tolerance { basis_points, at_most: usd(at_most) }),
    ];
    let late_policy = prop_oneof![
        1 => Just(LatePolicy::Hold),
        1 => (0_u16..3, prop_oneof![Just(0_u16), Just(500), Just(10_000)])
            .prop_map(|(days, band_basis_points)| LatePolicy::Accept { days, band_basis_points }),
    ];
    let canceled_at = prop_oneof![3 => Just(None), 1 => any_time().prop_map(|time| Some(UnixSeconds(time)))];
    (due, tolerance, late_policy, canceled_at).prop_map(|(due, tolerance, late_policy, canceled_at)| InvoiceTerms {
        due: usd(due),
        expires_at: UnixSeconds(END),
        canceled_at,
        tolerance,
        late_policy,
    })
}

/// What may have happened to an invoice; every transfer has its own id.
fn any_case() -> impl Strategy<Value = Case> {
    (any_terms(), any_quotes()).prop_flat_map(|(terms, quotes)| {
        let transfers = proptest::collection::vec(any_transfer(quotes.clone()), 0..6);
        let verified =
            proptest::collection::vec(proptest::option::weighted(0.9, any_time().prop_map(UnixSeconds)), 0..3);
        (transfers, any_time(), any_time(), verified).prop_map(move |(mut transfers, now, reading_since, verified)| {
            for (number, transfer) in (1..).zip(&mut transfers) {
                transfer.id = PaymentId::from_random([number; 16]);
            }
            Case { terms: terms.clone(), quotes: quotes.clone(), transfers, now, reading_since, verified }
        })
    })
}

proptest! {
    #![proptest_config(properties(1024))]

    #[test]
    fn any_history_stands_as_the_slow_model_says(case in any_case()) {
        let (standing, verdict) = (case.standing(), model::judge(&case));
        prop_assert_eq!(standing.status, verdict.status);
        prop_assert_eq!(standing.credit, usd(verdict.credit_millis));
        prop_assert_eq!(standing.overpaid, usd(verdict.overpaid_millis));
        prop_assert_eq!(standing.paid_at, verdict.paid_at.map(UnixSeconds));
        prop_assert_eq!(standing.late, verdict.late);
        prop_assert_eq!(standing.locked_by, verdict.locked_by);
        prop_assert_eq!(standing.is_checking, verdict.is_checking);
        prop_assert_eq!(standing.ended_unverified, verdict.ended_unverified);
    }

    #[test]
    fn what_is_paid_and_what_remains_make_up_what_is_due(case in any_case()) {
        let standing = case.standing();
        let forgiven = if standing.status == Paid { case.terms.tolerance.at_most } else { UsdMillis::ZERO };
        prop_assert!(case.terms.due <= standing.remaining.plus(standing.credit).plus(forgiven));
        prop_assert!(standing.remaining <= case.terms.due);
        prop_assert!(standing.status != Paid || UsdMillis::ZERO < standing.credit);
    }

    #[test]
    fn the_payments_said_to_count_make_up_the_credit(case in any_case()) {
        let standing = case.standing();
        let mut sum = ExactUsd::default();
        for transfer in &case.transfers {
            let counted = match standing.status {
                Paid => PaymentStatus::Confirmed,
                Unpaid | Underpaid | Expired | Canceled => PaymentStatus::Underpaid,
            };
            match case.terms.payment_status(transfer, &case.quotes, standing.status) {
                PaymentStatus::Pending => prop_assert!(!transfer.has_reached(Finality::Paid)),
                PaymentStatus::ManualRetry => prop_assert!(transfer.valuation.rate().is_none() || case.terms.is_late(transfer)),
                status => {
                    prop_assert_eq!(status, counted);
                    sum = sum.plus(transfer.valuation.rate().unwrap().exact_worth(transfer.amount, transfer.decimals));
                }
            }
        }
        prop_assert_eq!(sum.rounded_down(), standing.credit);
    }

    #[test]
    fn the_order_of_transfers_and_quotes_does_not_matter(case in any_case(), turns in any::<Index>()) {
        let mut turned = case.clone();
        turned.quotes.reverse();
        turned.transfers.reverse();
        if !turned.transfers.is_empty() {
            let places = turns.index(turned.transfers.len());
            turned.transfers.rotate_left(places);
        }
        prop_assert_eq!(case.standing(), turned.standing());
    }

    #[test]
    fn more_money_never_lowers_the_credit_and_less_never_raises_it(case in any_case(), more in any_transfer(vec![]), one in any::<Index>()) {
        let credit = case.standing().credit;
        let mut richer = case.clone();
        richer.transfers.push(Transfer { id: PaymentId::from_random([99; 16]), ..more });
        prop_assert!(credit <= richer.standing().credit);
        let mut poorer = case;
        if !poorer.transfers.is_empty() {
            let lost = one.index(poorer.transfers.len());
            poorer.transfers[lost].standing = ChainStanding::Orphaned;
        }
        prop_assert!(poorer.standing().credit <= credit);
    }

    #[test]
    fn a_transfer_that_is_listed_for_two_blocks_counts_once(case in any_case(), one in any::<Index>()) {
        let mut listed_twice = case.clone();
        if !listed_twice.transfers.is_empty() {
            let twin = listed_twice.transfers[one.index(case.transfers.len())].clone();
            listed_twice.transfers.push(twin);
        }
        prop_assert_eq!(listed_twice.standing(), case.standing());
    }

    #[test]
    fn whoever_pays_a_quote_to_the_unit_has_paid_exactly(
        due_millis in 1_u64..1_000_000_000,
        token in any_token(),
        rate in any_rate(),
        cuts in proptest::collection::vec(0_u128..=1_000_000, 0..5),
    ) {
        let quote = quote(1, token, rate, due_millis, 1000);
        let all = u128::try_from(quote.amount.base_units()).unwrap();
        let mut ends: Vec<u128> = cuts.iter().map(|share| all / 1_000_000 * share).chain([0, all]).collect();
        ends.sort_unstable();
        let parts = (1..).zip(ends.windows(2)).map(|(number, ends)| units(number, token, ends[1] - ends[0]).quoted(&quote));
        let case = Case { transfers: parts.collect(), ..due(due_millis).quoted([&quote]) };
        let standing = case.standing();
        prop_assert_eq!(standing.status, Paid);
        prop_assert_eq!(standing.overpaid, UsdMillis::ZERO);
    }

    /// Half is paid, what remains is quoted again, and the price moves between: whether the payer goes on
    /// with the old quote while it stands or takes the new one, nothing is missing in the end.
    #[test]
    fn whoever_pays_either_of_two_quotes_that_stand_together_is_not_short(
        due_millis in 1_000_u64..1_000_000,
        (before, after) in (any_rate(), any_rate()),
        share in 1_u128..1_000_000,
        takes_new in any::<bool>(),
    ) {
        let first = quote(1, ETH, before, due_millis, 1000);
        let all = u128::try_from(first.amount.base_units()).unwrap();
        let part = all / 1_000_000 * share;
        let half = units(1, ETH, part).quoted(&first).at(1010);
        let left = due(due_millis).quoted([&first]).with([half.clone()]).standing().remaining;
        prop_assume!(left != UsdMillis::ZERO);
        let second = quote(2, ETH, after, left.as_millis(), 1100);
        let rest = if takes_new { u128::try_from(second.amount.base_units()).unwrap() } else { all - part };

        let quotes = [first.clone(), second.clone()];
        let valuation = Valuation::of(ETH, UnixSeconds(1200), &quotes, None);
        let rest = units(2, ETH, rest).valued(valuation).at(1200);
        prop_assert_eq!(due(due_millis).quoted([&first, &second]).with([half, rest]).standing().status, Paid);
    }
}

/// Two chains that grow, fork and fall silent, and an invoice that is judged after every step.
mod world {
    use super::*;

    pub const NETWORKS: [(&str, &[TokenId]); 2] = [("ethereum", &[USDC, ETH]), ("base", &[DAI])];
    pub const DUE_MILLIS: u64 = 20_000;
    const PAID_AFTER: u32 = 3;
    const FINAL_AFTER: u32 = 6;

    fn finality(confirmations: u32) -> Finality {
        match confirmations {
            FINAL_AFTER.. => Finality::Final,
            PAID_AFTER.. => Finality::Paid,
            _ => Finality::Seen,
        }
    }

    #[derive(Clone, Debug)]
    pub enum Step {
        Wait {
            seconds: i64,
        },
        Quote {
            token: TokenId,
        },
        Reprice {
            rate: Rate,
        },
        /// Sends a share, in hundredths, of the last amount quoted in that token.
        Pay {
            token: TokenId,
            percent: u32,
        },
        Mine {
            network: usize,
            blocks: usize,
        },
        /// Drops the newest blocks; what they held may come again or be gone for good.
        Reorganise {
            network: usize,
            depth: usize,
            comes_again: bool,
        },
        TurnOff {
            network: usize,
        },
        TurnOn {
            network: usize,
        },
        Cancel,
    }

    #[derive(Clone, Debug)]
    struct Block {
        id: usize,
        time: i64,
        payments: Vec<(PaymentId, TokenId, TokenAmount)>,
    }

    #[derive(Clone, Debug, Default)]
    struct Chain {
        blocks: Vec<Block>,
        waiting: Vec<(PaymentId, TokenId, TokenAmount)>,
        is_off: bool,
        /// The blocks as they were when the chain could last be read.
        read: Vec<Block>,
    }

    pub struct World {
        now: i64,
        price: Rate,
        chains: [Chain; 2],
        blocks_made: usize,
        payments_made: u8,
        quotes: Vec<Quote>,
        canceled_at: Option<UnixSeconds>,
        /// Every transfer that was ever read, with the block it was read in.
        recorded: Vec<(usize, Transfer)>,
    }

    fn network_of(token: TokenId) -> usize {
        usize::from(token == DAI)
    }

    fn rate_at(price: Rate, token: TokenId) -> Rate {
        if token == ETH { price } else { Rate::PAR }
    }

    impl World {
        pub fn new() -> Self {
            Self {
                now: 1000,
                price: dollars(2000),
                chains: Default::default(),
                blocks_made: 0,
                payments_made: 0,
                quotes: vec![],
                canceled_at: None,
                recorded: vec![],
            }
        }

        /// Takes the step; whether any chain reads differently afterwards.
        pub fn take(&mut self, step: &Step) -> bool {
            let before: Vec<Vec<usize>> = self.read_ids();
            match *step {
                Step::Wait { seconds } => self.now += seconds,
                Step::Reprice { rate } => self.price = rate,
                Step::Quote { token } => {
                    // Whoever ended an invoice does not ask for more.
                    let standing = self.case().standing();
                    if !standing.status.is_terminal() {
                        let number = u8::try_from(self.quotes.len()).unwrap();
                        let covers = standing.remaining.as_millis();
                        self.quotes.push(quote(number, token, rate_at(self.price, token), covers, self.now));
                    }
                }
                Step::Pay { token, percent } => {
                    let asked = self.quotes.iter().rfind(|quote| quote.token == token);
                    if let Some(asked) = asked {
                        let amount = asked.amount.base_units() * U256::from(percent) / U256::from(100);
                        self.payments_made += 1;
                        let id = PaymentId::from_random([self.payments_made; 16]);
                        let payment = (id, token, TokenAmount::from_base_units(amount));
                        self.chains[network_of(token)].waiting.push(payment);
                    }
                }
                Step::Mine { network, blocks } => {
                    for _ in 0..blocks {
                        let payments = std::mem::take(&mut self.chains[network].waiting);
                        self.blocks_made += 1;
                        self.chains[network].blocks.push(Block { id: self.blocks_made, time: self.now, payments });
                    }
                }
                Step::Reorganise { network, depth, comes_again } => {
                    let chain = &mut self.chains[network];
                    let lost = chain.blocks.split_off(chain.blocks.len().saturating_sub(depth));
                    if comes_again {
                        chain.waiting.extend(lost.into_iter().flat_map(|block| block.payments));
                    }
                }
                Step::TurnOff { network } => self.chains[network].is_off = true,
                Step::TurnOn { network } => self.chains[network].is_off = false,
                Step::Cancel => {
                    if self.canceled_at.is_none() && self.case().standing().status == Unpaid {
                        self.canceled_at = Some(UnixSeconds(self.now));
                    }
                }
            }
            self.read();
            before != self.read_ids()
        }

        fn read_ids(&self) -> Vec<Vec<usize>> {
            self.chains.iter().map(|chain| chain.read.iter().map(|block| block.id).collect()).collect()
        }

        /// Records what every chain that is on has to say.
        fn read(&mut self) {
            for ((network, _), chain) in NETWORKS.iter().zip(&mut self.chains) {
                if chain.is_off {
                    continue;
                }
                chain.read.clone_from(&chain.blocks);
                for (height, block) in chain.read.iter().enumerate() {
                    if self.recorded.iter().any(|(id, _)| *id == block.id) {
                        continue;
                    }
                    for (id, token, amount) in &block.payments {
                        let time = UnixSeconds(block.time);
                        let transfer = Transfer {
                            id: *id,
                            network: (*network).to_owned(),
                            amount: *amount,
                            block_number: height as u64,
                            valuation: Valuation::of(*token, time, &self.quotes, Some(rate_at(self.price, *token))),
                            ..units(0, *token, 0).at(block.time)
                        };
                        self.recorded.push((block.id, transfer));
                    }
                }
            }
        }

        /// What the store would ask about: every record, with its standing by now.
        pub fn case(&self) -> Case {
            let mut case = due(DUE_MILLIS);
            case.terms.canceled_at = self.canceled_at;
            case.quotes.clone_from(&self.quotes);
            case.transfers = self.recorded.iter().map(|(id, transfer)| self.by_now(*id, transfer)).collect();
            case.now = self.now;
            case.verified = (0..NETWORKS.len())
                .filter(|network| self.quotes.iter().any(|quote| network_of(quote.token) == *network))
                .map(|network| self.chains[network].read.last().map(|block| UnixSeconds(block.time)))
                .collect();
            case
        }

        fn by_now(&self, block: usize, transfer: &Transfer) -> Transfer {
            let read = &self.chains[network_of(transfer.token)].read;
            let standing = match read.iter().rev().position(|one| one.id == block) {
                Some(above) => {
                    let confirmations = u32::try_from(above).unwrap() + 1;
                    let finality = finality(confirmations);
                    ChainStanding::Canonical { confirmations, finality }
                }
                None => ChainStanding::Orphaned,
            };
            Transfer { standing, ..transfer.clone() }
        }

        /// What is on time and deep enough, from the blocks of the chains alone.
        pub fn on_chain_millis(&self) -> u64 {
            let end = self.canceled_at.map_or(END, |canceled_at| canceled_at.0.min(END));
            let mut exact: u128 = 0;
            for chain in &self.chains {
                let deep = chain.read.len().saturating_sub(PAID_AFTER as usize - 1);
                for block in chain.read[..deep].iter().filter(|block| block.time <= end) {
                    for (id, token, amount) in &block.payments {
                        let is_it = |(at, transfer): &&(usize, Transfer)| *at == block.id && transfer.id == *id;
                        let (_, recorded) = self.recorded.iter().find(is_it).unwrap();
                        let rate = recorded.valuation.rate().unwrap().usd_e8();
                        let scale = 10_u128.pow(18 - u32::from(decimals_of(*token).get()));
                        exact += u128::try_from(amount.base_units()).unwrap() * rate * scale;
                    }
                }
            }
            u64::try_from(exact / 10_u128.pow(23)).unwrap()
        }
    }

    pub fn any_step() -> impl Strategy<Value = Step> {
        let network = 0..NETWORKS.len();
        let percent = prop_oneof![Just(100_u32), Just(50), Just(1), Just(200), 1_u32..120];
        let seconds = prop_oneof![9 => 1_i64..30, 5 => 30_i64..400, 1 => Just(HOUR), 1 => Just(END - 1000)];
        prop_oneof![
            9 => seconds.prop_map(|seconds| Step::Wait { seconds }),
            15 => any_token().prop_map(|token| Step::Quote { token }),
            5 => (1_800_u128..2_200).prop_map(|price| Step::Reprice { rate: dollars(price) }),
            25 => (any_token(), percent).prop_map(|(token, percent)| Step::Pay { token, percent }),
            30 => (network.clone(), 1_usize..4).prop_map(|(network, blocks)| Step::Mine { network, blocks }),
            8 => (network.clone(), 1_usize..5, any::<bool>())
                .prop_map(|(network, depth, comes_again)| Step::Reorganise { network, depth, comes_again }),
            3 => network.clone().prop_map(|network| Step::TurnOff { network }),
            6 => network.prop_map(|network| Step::TurnOn { network }),
            1 => Just(Step::Cancel),
        ]
    }
}

proptest! {
    #![proptest_config(properties(512))]

    #[test]
    fn an_invoice_is_paid_by_what_is_on_the_chains_and_by_nothing_else(
        steps in proptest::collection::vec(world::any_step(), 1..50),
    ) {
        let mut world = world::World::new();
        let mut before = world.case().standing();
        for step in &steps {
            let chains_changed = world.take(step);
            let standing = world.case().standing();

            prop_assert_eq!(standing.credit, usd(world.on_chain_millis()));
            prop_assert_eq!(standing.status == Paid, world::DUE_MILLIS <= world.on_chain_millis());
            if !chains_changed {
                prop_assert_eq!(standing.credit, before.credit);
                let may_follow = match (before.status, standing.status) {
                    (old, new) if old == new => true,
                    (Unpaid | Underpaid, Expired) => matches!(step, world::Step::Wait { .. }),
                    (Unpaid, Canceled) => matches!(step, world::Step::Cancel),
                    _ => false,
                };
                prop_assert!(may_follow, "{:?} made {:?} {:?}", step, before.status, standing.status);
            }
            before = standing;
        }
    }
}

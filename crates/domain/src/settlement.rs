//! Handing the money on: which sweep brought a transfer to the merchant's wallet, and which deposits are worth one.

use crate::{
    finality::Finality,
    id::TokenId,
    money::{ExactUsd, TokenAmount},
    time::UnixSeconds,
    transfer::Transfer,
};

/// Value that left a deposit address: to the merchant's wallet, or, where somebody has the key, wherever he sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    pub network: String,
    pub token: TokenId,
    pub amount: TokenAmount,
    pub transaction: String,
    pub block_number: u64,
    /// Place within the block, on the same scale as a transfer's.
    pub index: i64,
    pub is_final: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementStatus {
    /// In the deposit address, waiting for finality or for the sweep.
    Pending,
    /// Swept, but the sweep could still be undone.
    Processing,
    /// Somebody has to decide what happens to it.
    Manual,
    Settled,
}

/// Where one transfer's settlement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement<'a> {
    pub status: SettlementStatus,
    /// The sweep that took it, if any did.
    pub sweep: Option<&'a Sweep>,
}

impl<'a> Settlement<'a> {
    /// A sweep of the factory takes everything an address holds of one token, so the first one after a transfer is the one
    /// that took it. Whoever has the key may leave some; the first time that he takes any he has shown that he can.
    pub fn of(transfer: &Transfer, sweeps: &'a [Sweep]) -> Self {
        if !transfer.is_canonical() {
            return Self { status: SettlementStatus::Pending, sweep: None };
        }
        let sweep = sweeps
            .iter()
            .filter(|sweep| {
                sweep.network == transfer.network
                    && sweep.token == transfer.token
                    && sweep.amount != TokenAmount::ZERO
                    && (transfer.block_number, transfer.index) < (sweep.block_number, sweep.index)
            })
            .min_by_key(|sweep| (sweep.block_number, sweep.index));
        let status = match sweep {
            Some(sweep) if sweep.is_final => SettlementStatus::Settled,
            Some(_) => SettlementStatus::Processing,
            None => SettlementStatus::Pending,
        };
        Self { status, sweep }
    }

    /// Where the wallet itself was paid, the payment is the settlement once nothing undoes it.
    pub fn at_once(transfer: &Transfer) -> SettlementStatus {
        match () {
            () if transfer.has_reached(Finality::Final) => SettlementStatus::Settled,
            () if transfer.is_canonical() => SettlementStatus::Processing,
            () => SettlementStatus::Pending,
        }
    }
}

/// Whether a transfer is waiting to be swept: final, and taken by no sweep yet.
pub fn is_due(transfer: &Transfer, sweeps: &[Sweep]) -> bool {
    transfer.has_reached(Finality::Final) && Settlement::of(transfer, sweeps).sweep.is_none()
}

/// When money is swept: once it is worth its sweep, or has waited for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepRule {
    /// It must be worth more than so many times what its sweep costs.
    pub times_cost: u32,
    /// Whatever it is worth, it waits no longer than this. A sweep that failed is tried again as late.
    pub after_seconds: i64,
}

/// A deposit that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// `None` if something in it has no price.
    pub value: Option<ExactUsd>,
    /// What it adds to the cost of a sweep; `None` if that is not known.
    pub cost: Option<ExactUsd>,
    /// Block time of the oldest payment in it.
    pub since: UnixSeconds,
    /// When a sweep last left it where it is.
    pub failed_at: Option<UnixSeconds>,
}

/// Why a deposit is left where it is for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftBecause {
    /// It, or all that could be swept with it, is not worth what that costs.
    NotWorthIt,
    /// It has no price.
    ValueUnknown,
    /// Nobody can say what its sweep costs.
    CostUnknown,
    /// A sweep of it failed not long ago.
    Failed,
}

/// What is swept together, and what is left; both by their places in the list that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    pub batches: Vec<Vec<usize>>,
    pub left: Vec<(usize, LeftBecause)>,
}

impl SweepRule {
    /// Chooses what to sweep in transactions of at most `most` deposits, each of which costs `base` beside what its
    /// deposits add.
    ///
    /// A deposit goes along if it is worth what it adds. A batch goes if all in it is worth what all of it costs, or if
    /// something in it has waited for long enough.
    pub fn choose(self, deposits: &[Waiting], base: Option<ExactUsd>, most: usize, now: UnixSeconds) -> Choice {
        let mut choice = Choice::default();
        let mut taken: Vec<(bool, usize)> = Vec::new();
        for (index, deposit) in deposits.iter().enumerate() {
            match self.judge(deposit, now) {
                Ok(has_waited) => taken.push((has_waited, index)),
                Err(because) => choice.left.push((index, because)),
            }
        }
        // What has waited first, so that it shares as few transactions as it can; then the most valuable.
        taken.sort_by_key(|&(has_waited, index)| {
            (std::cmp::Reverse(has_waited), std::cmp::Reverse(deposits[index].value), index)
        });
        for batch in taken.chunks(most.max(1)) {
            let indexes = batch.iter().map(|&(_, index)| index);
            let has_waited = batch.iter().any(|&(has_waited, _)| has_waited);
            if has_waited || self.is_worth_it(indexes.clone().map(|index| &deposits[index]), base) {
                choice.batches.push(indexes.collect());
            } else {
                choice.left.extend(indexes.map(|index| (index, LeftBecause::NotWorthIt)));
            }
        }
        choice.left.sort_unstable();
        choice
    }

    /// Whether a deposit is taken because it has waited for so long, or else because it is worth what it adds.
    fn judge(self, deposit: &Waiting, now: UnixSeconds) -> Result<bool, LeftBecause> {
        if deposit.failed_at.is_some_and(|failed_at| now < failed_at.plus(self.after_seconds)) {
            return Err(LeftBecause::Failed);
        }
        if deposit.since.plus(self.after_seconds) <= now {
            return Ok(true);
        }
        let value = deposit.value.ok_or(LeftBecause::ValueUnknown)?;
        let cost = deposit.cost.ok_or(LeftBecause::CostUnknown)?;
        if cost.times(self.times_cost) < value { Ok(false) } else { Err(LeftBecause::NotWorthIt) }
    }

    /// Whether deposits together are worth what their sweep costs. What is not known is not.
    fn is_worth_it<'a>(self, deposits: impl Iterator<Item = &'a Waiting>, base: Option<ExactUsd>) -> bool {
        let mut value = ExactUsd::default();
        let Some(mut cost) = base else { return false };
        for deposit in deposits {
            let (Some(more), Some(cost_more)) = (deposit.value, deposit.cost) else { return false };
            (value, cost) = (value.plus(more), cost.plus(cost_more));
        }
        cost.times(self.times_cost) < value
    }
}

#[cfg(test)]
mod tests {
    use ruint::aliases::U256;

    use super::*;
    use crate::{
        id::PaymentId,
        money::{Decimals, Rate, UsdMillis},
        transfer::{ChainStanding, Valuation},
    };

    fn transfer(block_number: u64, finality: Finality) -> Transfer {
        Transfer {
            id: PaymentId::from_random([1; 16]),
            network: "ethereum".into(),
            token: TokenId(1),
            decimals: Decimals::new(6).unwrap(),
            amount: TokenAmount::from_base_units(U256::from(5)),
            block_time: UnixSeconds(1000),
            block_number,
            index: 0,
            valuation: Valuation::Spot { rate: Rate::PAR },
            standing: ChainStanding::Canonical { confirmations: 9, finality },
        }
    }

    fn sweep(block_number: u64, is_final: bool) -> Sweep {
        Sweep {
            network: "ethereum".into(),
            token: TokenId(1),
            amount: TokenAmount::from_base_units(U256::from(5)),
            transaction: format!("0x{block_number}"),
            block_number,
            index: 0,
            is_final,
        }
    }

    #[test]
    fn the_first_sweep_after_a_transfer_settles_it() {
        let sweeps = [sweep(30, true), sweep(20, true), sweep(5, true)];
        let paid = transfer(10, Finality::Final);
        let settlement = Settlement::of(&paid, &sweeps);
        assert_eq!(settlement.status, SettlementStatus::Settled);
        assert_eq!(settlement.sweep, Some(&sweeps[1]));
        assert!(!is_due(&paid, &sweeps));
    }

    #[test]
    fn a_sweep_that_is_not_final_is_processing() {
        assert_eq!(
            Settlement::of(&transfer(10, Finality::Final), &[sweep(20, false)]).status,
            SettlementStatus::Processing
        );
    }

    #[test]
    fn sweeps_of_other_networks_tokens_or_nothing_settle_nothing() {
        let mut others = [sweep(20, true), sweep(20, true), sweep(20, true)];
        others[0].network = "base".into();
        others[1].token = TokenId(2);
        others[2].amount = TokenAmount::ZERO;
        let paid = transfer(10, Finality::Final);
        assert_eq!(Settlement::of(&paid, &others), Settlement { status: SettlementStatus::Pending, sweep: None });
        assert!(is_due(&paid, &others));
    }

    #[test]
    fn a_sweep_in_the_same_block_counts_only_when_it_came_later() {
        let mut paid = transfer(20, Finality::Final);
        paid.index = 3;
        let mut swept = sweep(20, true);
        swept.index = 3;
        assert!(is_due(&paid, std::slice::from_ref(&swept)));
        swept.index = 4;
        assert!(!is_due(&paid, std::slice::from_ref(&swept)));
    }

    #[test]
    fn only_final_transfers_are_due() {
        assert!(!is_due(&transfer(10, Finality::Paid), &[]));
        let mut orphaned = transfer(10, Finality::Final);
        orphaned.standing = ChainStanding::Orphaned;
        assert!(!is_due(&orphaned, &[]));
        assert_eq!(Settlement::of(&orphaned, &[sweep(20, true)]).status, SettlementStatus::Pending);
    }

    const RULE: SweepRule = SweepRule { times_cost: 20, after_seconds: 1000 };
    const NOW: UnixSeconds = UnixSeconds(10_000);

    #[expect(clippy::unnecessary_wraps, reason = "as it is known in a deposit")]
    fn millis(millis: u64) -> Option<ExactUsd> {
        Some(UsdMillis::from_millis(millis).into())
    }

    /// Came just now.
    fn waiting(value: Option<ExactUsd>, cost: Option<ExactUsd>) -> Waiting {
        Waiting { value, cost, since: NOW, failed_at: None }
    }

    #[track_caller]
    fn check(
        deposits: &[Waiting],
        base: Option<ExactUsd>,
        most: usize,
        batches: &[&[usize]],
        left: &[(usize, LeftBecause)],
    ) {
        let choice = RULE.choose(deposits, base, most, NOW);
        assert_eq!(choice.batches, batches);
        assert_eq!(choice.left, left);
    }

    #[test]
    fn a_deposit_is_swept_when_it_is_worth_more_than_so_many_times_its_cost() {
        check(&[waiting(millis(2001), millis(70))], millis(30), 50, &[&[0]], &[]);
        check(&[waiting(millis(2000), millis(70))], millis(30), 50, &[], &[(0, LeftBecause::NotWorthIt)]);
        check(&[], millis(30), 50, &[], &[]);
    }

    #[test]
    fn a_deposit_that_is_not_worth_what_it_adds_holds_up_no_other() {
        let deposits = [
            waiting(millis(1400), millis(70)),
            waiting(millis(5000), millis(70)),
            waiting(millis(1401), millis(70)),
            waiting(millis(3000), millis(70)),
        ];
        check(&deposits, millis(30), 50, &[&[1, 3, 2]], &[(0, LeftBecause::NotWorthIt)]);
    }

    #[test]
    fn deposits_that_are_not_worth_a_transaction_alone_share_one() {
        let deposits = [waiting(millis(1701), millis(70)), waiting(millis(1701), millis(70))];
        check(&deposits[..1], millis(30), 50, &[], &[(0, LeftBecause::NotWorthIt)]);
        check(&deposits, millis(30), 50, &[&[0, 1]], &[]);
    }

    #[test]
    fn batches_hold_so_many_and_the_last_one_must_be_worth_it_too() {
        let deposits = [waiting(millis(1701), millis(70)); 5];
        check(&deposits, millis(30), 2, &[&[0, 1], &[2, 3]], &[(4, LeftBecause::NotWorthIt)]);
    }

    #[test]
    fn what_has_waited_for_so_long_is_swept_whatever_it_is_worth() {
        let mut old = waiting(None, None);
        old.since = UnixSeconds(NOW.0 - 1000);
        let mut younger = old;
        younger.since = UnixSeconds(NOW.0 - 999);
        check(&[younger, old], None, 50, &[&[1]], &[(0, LeftBecause::ValueUnknown)]);
        // Whoever is worth what it adds goes along.
        let rider = waiting(millis(1401), millis(70));
        check(&[rider, old], millis(1000), 50, &[&[1, 0]], &[]);
        check(&[rider, old], millis(1000), 1, &[&[1]], &[(0, LeftBecause::NotWorthIt)]);
    }

    #[test]
    fn what_has_no_price_or_no_known_cost_waits() {
        check(&[waiting(None, millis(70))], millis(30), 50, &[], &[(0, LeftBecause::ValueUnknown)]);
        check(&[waiting(millis(9000), None)], millis(30), 50, &[], &[(0, LeftBecause::CostUnknown)]);
        check(&[waiting(millis(9000), millis(70))], None, 50, &[], &[(0, LeftBecause::NotWorthIt)]);
    }

    #[test]
    fn a_payment_of_the_wallet_itself_is_settled_once_nothing_undoes_it() {
        let orphaned = Transfer { standing: ChainStanding::Orphaned, ..transfer(10, Finality::Final) };
        for (transfer, expected) in [
            (transfer(10, Finality::Seen), SettlementStatus::Processing),
            (transfer(10, Finality::Paid), SettlementStatus::Processing),
            (transfer(10, Finality::Final), SettlementStatus::Settled),
            (orphaned, SettlementStatus::Pending),
        ] {
            assert_eq!(Settlement::at_once(&transfer), expected);
        }
    }

    #[test]
    fn what_failed_is_tried_again_as_late_as_what_waits() {
        let mut failed = waiting(millis(9000), millis(70));
        failed.since = UnixSeconds(0);
        failed.failed_at = Some(UnixSeconds(NOW.0 - 999));
        check(&[failed], millis(30), 50, &[], &[(0, LeftBecause::Failed)]);
        failed.failed_at = Some(UnixSeconds(NOW.0 - 1000));
        check(&[failed], millis(30), 50, &[&[0]], &[]);
    }
}

//! Handing the money on: which sweep brought a transfer to the merchant's wallet.

use crate::{finality::Finality, id::TokenId, money::TokenAmount, transfer::Transfer};

/// Value that left a deposit address for the merchant's wallet, as the factory reported it.
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
    /// A sweep takes everything an address holds of one token, so the first one after a transfer is the
    /// one that took it.
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
}

/// Whether a transfer is waiting to be swept: final, and taken by no sweep yet.
pub fn is_due(transfer: &Transfer, sweeps: &[Sweep]) -> bool {
    transfer.has_reached(Finality::Final) && Settlement::of(transfer, sweeps).sweep.is_none()
}

#[cfg(test)]
mod tests {
    use ruint::aliases::U256;

    use super::*;
    use crate::{
        id::PaymentId,
        money::{Decimals, Rate},
        time::UnixSeconds,
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
}

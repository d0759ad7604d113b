//! How a sweep is cut into transactions: as much into each as fits.

use crate::solana::{
    Hash, SolanaAddress, Step,
    message::{Instruction, LARGEST_TRANSACTION, Message},
};

/// Steps that belong together, such as emptying an account and closing it.
pub(super) type Unit = Vec<Step>;

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub message: Message,
    pub steps: Vec<Step>,
}

/// What a transaction counts on to be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    pub hash: Hash,
    /// The durable nonce that holds the hash, and who has to sign its use.
    pub nonce: Option<(SolanaAddress, SolanaAddress)>,
}

/// Cuts units into transactions, in their order. With fewer `fresh` than it takes, units are left over; the last one is
/// used again if it is of a block and not of a nonce.
pub(super) fn plan(fee_payer: SolanaAddress, units: &[Unit], fresh: &[Freshness]) -> (Vec<Planned>, usize) {
    let mut planned = Vec::new();
    let mut rest = units;
    while !rest.is_empty() {
        let fresh = match (fresh.get(planned.len()), fresh.last()) {
            (Some(fresh), _) => fresh,
            (None, Some(last)) if last.nonce.is_none() => last,
            _ => break,
        };
        let mut fitting = None;
        let mut taken = 0;
        // Sizes grow with each unit, so the first one that does not fit ends it.
        while let Some(message) = rest.get(..=taken).and_then(|units| transaction(fee_payer, units, fresh)) {
            taken += 1;
            fitting = Some(message);
        }
        let Some(fitting) = fitting else { break };
        planned.push(fitting);
        rest = rest.get(taken..).unwrap_or_default();
    }
    (planned, rest.len())
}

/// A transaction of these units, if it is small enough. What several of them want made is made once.
fn transaction(fee_payer: SolanaAddress, units: &[Unit], fresh: &Freshness) -> Option<Planned> {
    let advance = fresh.nonce.map(|(nonce, authority)| Step::AdvanceNonce { nonce, authority });
    let mut steps: Vec<Step> = advance.into_iter().collect();
    for step in units.iter().flatten() {
        if !(matches!(step, Step::MakeTokenAccount { .. }) && steps.contains(step)) {
            steps.push(*step);
        }
    }
    let instructions: Vec<Instruction> = steps.iter().map(Step::instruction).collect();
    let message = Message::new(fee_payer, &instructions, fresh.hash)?;
    (message.transaction_size() <= LARGEST_TRANSACTION).then_some(Planned { message, steps })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solana::{associated_token_account, programs};

    fn at(number: u8, kind: u8) -> SolanaAddress {
        let mut bytes = [kind; 32];
        bytes[0] = number;
        SolanaAddress::new(bytes)
    }

    /// What an address with a token, its rent and some SOL takes.
    fn units_of(number: u8) -> Vec<Unit> {
        let (home, mint, program, owner) = (at(0, 1), at(0, 2), programs::TOKEN, at(number, 3));
        let account = associated_token_account(owner, mint, program);
        let to = associated_token_account(home, mint, program);
        let token = vec![
            Step::MakeTokenAccount { payer: home, wallet: home, mint, program },
            Step::SendToken { program, mint, decimals: 6, from: account, to, owner, amount: 1 },
            Step::Close { program, account, to: home, owner },
        ];
        vec![token, vec![Step::SendSol { from: owner, to: home, lamports: 1 }]]
    }

    const BLOCK: Freshness = Freshness { hash: Hash::new([8; 32]), nonce: None };

    #[test]
    fn each_transaction_is_as_full_as_fits() {
        let units: Vec<_> = (0..20).flat_map(units_of).collect();
        let (planned, left) = plan(at(0, 1), &units, &[BLOCK]);
        assert_eq!(left, 0);
        let sizes: Vec<_> = planned.iter().map(|planned| planned.message.transaction_size()).collect();
        assert!(sizes.iter().all(|size| *size <= LARGEST_TRANSACTION), "{sizes:?}");
        // Five addresses each.
        assert_eq!(planned.len(), 4, "{sizes:?}");
        let all: Vec<_> = planned.iter().flat_map(|planned| planned.steps.clone()).collect();
        let count = |is_counted: fn(&Step) -> bool| all.iter().filter(|step| is_counted(step)).count();
        assert_eq!(count(|step| matches!(step, Step::SendToken { .. })), 20);
        assert_eq!(count(|step| matches!(step, Step::Close { .. })), 20);
        assert_eq!(count(|step| matches!(step, Step::SendSol { .. })), 20);
        assert_eq!(count(|step| matches!(step, Step::MakeTokenAccount { .. })), 4, "once in each transaction");
    }

    #[test]
    fn there_are_as_many_transactions_as_nonces() {
        let nonce = |number| Freshness { nonce: Some((at(number, 4), at(0, 1))), hash: Hash::new([number; 32]) };
        let units: Vec<_> = (0..20).flat_map(units_of).collect();
        let (planned, left) = plan(at(0, 1), &units, &[nonce(1), nonce(2)]);
        assert_eq!(planned.len(), 2);
        assert!(0 < left && left < units.len());
        for (planned, number) in planned.iter().zip(1..) {
            assert_eq!(planned.steps[0], Step::AdvanceNonce { nonce: at(number, 4), authority: at(0, 1) });
        }
    }

    #[test]
    fn nothing_to_do_is_no_transaction() {
        assert_eq!(plan(at(0, 1), &[], &[BLOCK]), (vec![], 0));
    }
}

//! What a sweep does, in words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Decimal, plan::Planned};
use crate::solana::{
    SolanaAddress, Step,
    programs::{self, NoWallet},
};

/// What each signature costs.
pub(super) const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
pub(super) const SOL_DECIMALS: u8 = 9;

/// All that transactions move, taken together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// By mint: decimals and base units.
    pub tokens: BTreeMap<SolanaAddress, (u8, u128)>,
    pub lamports: u128,
    pub closed: usize,
    pub made: BTreeSet<SolanaAddress>,
    /// Whose tokens or SOL it is.
    pub owners: BTreeSet<SolanaAddress>,
    pub transactions: usize,
    pub signatures: usize,
}

impl Summary {
    pub(super) fn of(transactions: &[Planned]) -> Self {
        let mut summary = Self { transactions: transactions.len(), ..Self::default() };
        for transaction in transactions {
            summary.signatures += transaction.message.signers().len();
            for step in &transaction.steps {
                summary.add(step);
            }
        }
        summary
    }

    fn add(&mut self, step: &Step) {
        match *step {
            Step::AdvanceNonce { .. } | Step::PassFeesOn { .. } => {}
            Step::MakeTokenAccount { mint, .. } => {
                self.made.insert(mint);
            }
            Step::SendToken { mint, decimals, owner, amount, .. } => {
                self.tokens.entry(mint).or_insert((decimals, 0)).1 += u128::from(amount);
                self.owners.insert(owner);
            }
            Step::Close { owner, .. } => {
                self.closed += 1;
                self.owners.insert(owner);
            }
            Step::SendSol { from, lamports, .. } => {
                self.lamports += u128::from(lamports);
                self.owners.insert(from);
            }
        }
    }

    /// What all signatures cost.
    pub(super) fn fees(&self) -> u64 {
        u64::try_from(self.signatures).unwrap_or(u64::MAX).saturating_mul(LAMPORTS_PER_SIGNATURE)
    }
}

/// A mint as people call it, if they do.
pub(super) fn symbol(mint: SolanaAddress) -> Option<&'static str> {
    match programs::known(mint) {
        Some(NoWallet::Mint(symbol)) => Some(symbol),
        _ => None,
    }
}

pub(super) fn sol(lamports: u128) -> Decimal {
    Decimal { amount: lamports, decimals: SOL_DECIMALS }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transactions == 0 {
            return writeln!(f, "# there is nothing to bring home");
        }
        for (mint, (decimals, amount)) in &self.tokens {
            let amount = Decimal { amount: *amount, decimals: *decimals };
            match symbol(*mint) {
                Some(symbol) => writeln!(f, "# {amount} {symbol} ({mint})")?,
                None => writeln!(f, "# {amount} of the token {mint}")?,
            }
        }
        if 0 < self.lamports {
            writeln!(f, "# {} SOL", sol(self.lamports))?;
        }
        if 0 < self.closed {
            writeln!(f, "# token accounts that are closed, for their rent: {}", self.closed)?;
        }
        for mint in &self.made {
            writeln!(f, "# into a token account for {mint} that is made for it")?;
        }
        let (owners, fees) = (self.owners.len(), sol(self.fees().into()));
        writeln!(f, "# addresses: {owners}, transactions: {}, fees: {fees} SOL", self.transactions)
    }
}

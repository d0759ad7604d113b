//! Which accounts are worth a list.
//!
//! A list is a call for each account, and most have nothing new. What a hundred accounts hold is one call, so where there
//! are many, only those are listed that do not hold for a minute already what they do, with nothing in their list. What came and left again in
//! the same amount between two steps would never be listed, so in each step those go with them that were not for longest.

use std::collections::HashMap;

use serde_json::json;

use super::{
    rpc::{Account as AccountAnswer, Commitment, read_each},
    watcher::{Account, Head, Watcher},
};
use crate::{
    chains::{rpc::Call, step::StepError},
    solana::SolanaAddress,
};

/// Up to so many accounts are all listed in every step.
pub(super) const FEW_ACCOUNTS: usize = 100;
/// Each account is listed at least once in so many steps.
const LISTED_ONCE_IN_STEPS: usize = 256;
/// What an account holds is known by hosts before their lists have it, and some list nothing that is not final.
const LISTED_AFTER_SLOTS: u64 = 150;
/// Accounts asked for in one call, which is what nodes allow.
pub(super) const ACCOUNTS_AT_ONCE: usize = 100;
/// Where in a token account its amount is, of so many bytes.
pub(super) const AMOUNT_AT: usize = 64;
pub(super) const AMOUNT_BYTES: usize = 8;

/// What accounts hold of which nothing is listed beyond their cursors.
#[derive(Debug, Default)]
pub(super) struct Quiet(HashMap<SolanaAddress, Holding>);

/// What an account held in every step since a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    held: Option<AccountAnswer>,
    since: u64,
    /// The slot up to which it was last listed.
    listed: u64,
}

/// What is to be listed, and what those accounts hold, where that was asked.
pub(super) struct Listing {
    pub accounts: Vec<Account>,
    pub holdings: HashMap<SolanaAddress, Holding>,
}

impl Holding {
    fn is_listed(&self) -> bool {
        self.since.saturating_add(LISTED_AFTER_SLOTS) <= self.listed
    }
}

impl Quiet {
    /// Takes out what is to be listed, given what each account holds at a slot. Until `remember` is told that its list was
    /// empty, it is listed.
    fn listing(&mut self, accounts: &[Account], held: Vec<Option<AccountAnswer>>, slot: u64) -> Listing {
        let mut listing = Listing { accounts: Vec::new(), holdings: HashMap::new() };
        let mut quiet = Vec::new();
        for (account, held) in accounts.iter().zip(held) {
            match self.0.remove(&account.address) {
                Some(known) if known.held == held && known.is_listed() => quiet.push((*account, known)),
                known => {
                    let since = known.filter(|known| known.held == held).map_or(slot, |known| known.since);
                    listing.accounts.push(*account);
                    listing.holdings.insert(account.address, Holding { held, since, listed: 0 });
                }
            }
        }
        quiet.sort_by_key(|(_, holding)| holding.listed);
        let also = accounts.len().div_ceil(LISTED_ONCE_IN_STEPS);
        for (place, (account, holding)) in quiet.into_iter().enumerate() {
            if place < also {
                listing.accounts.push(account);
                listing.holdings.insert(account.address, holding);
            } else {
                self.0.insert(account.address, holding);
            }
        }
        listing
    }

    /// Notes that an account was listed up to a slot, now that what was listed is recorded.
    pub fn remember(&mut self, account: SolanaAddress, is_empty: bool, holding: Option<Holding>, slot: u64) {
        match holding.filter(|_| is_empty) {
            Some(holding) => _ = self.0.insert(account, Holding { listed: slot, ..holding }),
            None => _ = self.0.remove(&account),
        }
    }
}

impl Watcher {
    /// Which of these accounts may have something new.
    pub(super) async fn listing(&mut self, accounts: &[Account], head: &Head) -> Result<Listing, StepError> {
        if accounts.len() <= self.few_accounts {
            return Ok(Listing { accounts: accounts.to_vec(), holdings: HashMap::new() });
        }
        let calls = account_calls(accounts, Commitment::Confirmed, head.block.number);
        let mut answers = Vec::with_capacity(accounts.len());
        let mut newest = head.block.number;
        for (part, answer) in accounts.chunks(ACCOUNTS_AT_ONCE).zip(self.rpc.together(&calls).await?) {
            let answer = self.checked(read_each::<AccountAnswer>(&answer?, part.len()))?;
            if answer.context.slot < head.block.number {
                return Err(self.distrust(StepError::Untrue("what accounts hold is older than was asked for")));
            }
            newest = newest.max(answer.context.slot);
            answers.extend(answer.value);
        }
        Ok(self.quiet.listing(accounts, answers, newest))
    }
}

/// Calls for what accounts hold at a slot or later, a hundred to a call: their lamports, and of data the part with the amount.
pub(super) fn account_calls(accounts: &[Account], commitment: Commitment, slot: u64) -> Vec<Call> {
    let options = json!({
        "commitment": commitment, "minContextSlot": slot, "encoding": "base64",
        "dataSlice": { "offset": AMOUNT_AT, "length": AMOUNT_BYTES },
    });
    let parts = accounts.chunks(ACCOUNTS_AT_ONCE).map(|part| {
        let addresses: Vec<String> = part.iter().map(|account| account.address.to_string()).collect();
        Call::new("getMultipleAccounts", json!([addresses, options]))
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use domain::{id::TokenId, time::UnixSeconds};

    use super::*;

    fn account(number: u8) -> Account {
        let address = SolanaAddress::new([number; 32]);
        Account { address, wallet: address, token: TokenId(1), since: UnixSeconds(0), is_fast: true }
    }

    fn holds(lamports: u64) -> AccountAnswer {
        let owner = SolanaAddress::new([0; 32]);
        AccountAnswer { lamports, owner, executable: false, data: Vec::new() }
    }

    /// Which accounts are listed of those that hold so much at a slot, of which lists at `head` have something or are empty.
    fn step(quiet: &mut Quiet, held: &[u64], slot: u64, list_slot: u64, with_something: &[u8]) -> Vec<u8> {
        let accounts: Vec<Account> = (1..).zip(held).map(|(number, _)| account(number)).collect();
        let Listing { accounts, mut holdings } =
            quiet.listing(&accounts, held.iter().map(|held| Some(holds(*held))).collect(), slot);
        let mut listed: Vec<u8> = accounts.iter().map(|account| account.address.as_bytes()[0]).collect();
        for account in accounts {
            let is_empty = !with_something.contains(&account.address.as_bytes()[0]);
            quiet.remember(account.address, is_empty, holdings.remove(&account.address), list_slot);
        }
        listed.sort_unstable();
        listed
    }

    /// Three accounts that were listed for long enough.
    fn quiet() -> Quiet {
        let mut quiet = Quiet::default();
        assert_eq!(step(&mut quiet, &[5, 6, 7], 100, 100, &[]), [1, 2, 3]);
        assert_eq!(step(&mut quiet, &[5, 6, 7], 249, 249, &[]), [1, 2, 3]);
        assert_eq!(step(&mut quiet, &[5, 6, 7], 250, 250, &[]), [1, 2, 3]);
        quiet
    }

    #[test]
    fn what_holds_the_same_for_a_minute_with_an_empty_list_is_listed_in_turn() {
        let mut quiet = quiet();
        let rounds: Vec<Vec<u8>> = (251..254).map(|slot| step(&mut quiet, &[5, 6, 7], slot, slot, &[])).collect();
        assert!(rounds.iter().all(|listed| listed.len() == 1));
        let mut all = rounds.concat();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    }

    #[test]
    fn what_holds_something_else_is_listed_until_its_list_was_empty_for_a_minute() {
        let mut quiet = quiet();
        assert!(step(&mut quiet, &[5, 6, 8], 300, 300, &[]).contains(&3));
        assert!(step(&mut quiet, &[5, 6, 8], 400, 400, &[3]).contains(&3));
        assert!(step(&mut quiet, &[5, 6, 8], 500, 500, &[]).contains(&3));
        assert!(step(&mut quiet, &[5, 6, 8], 649, 649, &[]).contains(&3));
        assert!(step(&mut quiet, &[5, 6, 8], 650, 650, &[]).contains(&3));
        assert!(!step(&mut quiet, &[5, 6, 8], 651, 651, &[]).contains(&3));
    }

    #[test]
    fn a_list_of_an_older_slot_than_what_an_account_holds_says_nothing_of_it() {
        let mut quiet = quiet();
        // Who says what it holds is ahead of who lists.
        assert!(step(&mut quiet, &[5, 6, 8], 500, 300, &[]).contains(&3));
        assert!(step(&mut quiet, &[5, 6, 8], 700, 500, &[]).contains(&3));
        assert!(step(&mut quiet, &[5, 6, 8], 900, 650, &[]).contains(&3));
        assert!(!step(&mut quiet, &[5, 6, 8], 1_000, 700, &[]).contains(&3));
    }

    #[test]
    fn what_was_to_be_listed_in_a_step_that_failed_is_listed_in_the_next() {
        let mut quiet = quiet();
        let accounts: Vec<Account> = (1..=3).map(account).collect();
        let failed = quiet.listing(&accounts, [5, 6, 8].map(|held| Some(holds(held))).to_vec(), 251);
        let next = quiet.listing(&accounts, [5, 6, 8].map(|held| Some(holds(held))).to_vec(), 252);
        assert!(failed.accounts.len() < 3);
        for account in failed.accounts {
            assert!(next.accounts.iter().any(|listed| listed.address == account.address));
        }
    }
}

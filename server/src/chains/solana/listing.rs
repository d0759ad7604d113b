//! What was signed for an account, page by page, without a gap.

use domain::time::UnixSeconds;
use serde_json::json;

use super::rpc::{Commitment, ListedTransaction, read};
use crate::{
    chains::{
        rpc::{Call, Rpc},
        step::StepError,
    },
    solana::{Signature, SolanaAddress},
};

/// Transactions in one page, which is what nodes allow.
const PAGE: usize = 1_000;

/// A transaction that names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub signature: Signature,
    pub slot: u64,
    pub failed: bool,
    pub block_time: Option<UnixSeconds>,
    pub is_final: bool,
}

/// Lists as they are asked for: from the newest transaction back to one that is known.
pub(super) struct NewestFirst {
    /// Whoever answers must have come so far, or he could leave something out and not know it.
    slot: u64,
}

/// An account, and back to where its list is wanted.
pub(super) struct Wanted {
    pub account: SolanaAddress,
    /// This transaction is known, and what is before it.
    pub until: Option<String>,
    /// What is in this slot is known, and what is before it.
    pub after: u64,
    /// What is older is for nobody.
    pub since: UnixSeconds,
}

impl NewestFirst {
    pub fn new(slot: u64) -> Self {
        Self { slot }
    }

    /// The whole list of each account.
    ///
    /// A node may answer less than was asked for, so that only an empty page is the last one.
    pub async fn lists(&self, rpc: &Rpc, wanted: &[Wanted]) -> Result<Vec<Vec<Listed>>, StepError> {
        let mut lists: Vec<Vec<Listed>> = wanted.iter().map(|_| Vec::new()).collect();
        let mut going_on: Vec<usize> = (0..wanted.len()).collect();
        while !going_on.is_empty() {
            let call = |index: &usize| self.call(&wanted[*index], lists[*index].last());
            let answers = rpc.together(&going_on.iter().map(call).collect::<Vec<_>>()).await?;
            let mut longer = Vec::new();
            for (index, answer) in going_on.into_iter().zip(answers) {
                let list = &mut lists[index];
                let page = read_page(&answer?, list.last())?;
                let end = page.iter().position(|entry| wanted[index].is_passed_by(entry));
                if end.is_none() && !page.is_empty() {
                    longer.push(index);
                }
                list.extend(page.into_iter().take(end.unwrap_or(usize::MAX)));
            }
            going_on = longer;
        }
        Ok(lists)
    }

    fn call(&self, wanted: &Wanted, before: Option<&Listed>) -> Call {
        let mut options = json!({ "commitment": "confirmed", "limit": PAGE, "minContextSlot": self.slot });
        if let Some(until) = &wanted.until {
            options["until"] = until.as_str().into();
        }
        if let Some(before) = before {
            options["before"] = before.signature.to_string().into();
        }
        Call::new("getSignaturesForAddress", json!([wanted.account.to_string(), options]))
    }
}

impl Wanted {
    /// Whether a list has come to what is not wanted. A node that has forgotten `until` lists more than was asked for.
    fn is_passed_by(&self, entry: &Listed) -> bool {
        let is_older = entry.slot <= self.after || entry.block_time.is_some_and(|time| time < self.since);
        is_older || self.until.as_ref().is_some_and(|until| *until == entry.signature.to_string())
    }
}

/// Reads a page, which must be in order and go on where the one before it ended.
fn read_page(answer: &serde_json::Value, after: Option<&Listed>) -> Result<Vec<Listed>, StepError> {
    let list: Vec<ListedTransaction> =
        read(answer).map_err(|_| StepError::Untrue("its list of transactions cannot be read"))?;
    let list: Vec<Listed> = list.iter().map(Listed::of).collect();
    let slots: Vec<u64> = after.into_iter().chain(&list).map(|entry| entry.slot).collect();
    if !slots.is_sorted_by(|newer, older| older <= newer) {
        return Err(StepError::Untrue("its list of transactions is not in order"));
    }
    if after.is_some_and(|after| list.last().is_some_and(|last| last.signature == after.signature)) {
        return Err(StepError::Untrue("its list of transactions does not go on"));
    }
    Ok(list)
}

impl Listed {
    fn of(listed: &ListedTransaction) -> Self {
        Self {
            signature: listed.signature,
            slot: listed.slot,
            failed: listed.failed,
            block_time: listed.block_time,
            is_final: listed.confirmation_status.is_none_or(|status| status == Commitment::Finalized),
        }
    }
}

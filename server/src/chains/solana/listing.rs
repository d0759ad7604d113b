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

impl NewestFirst {
    pub fn new(slot: u64) -> Self {
        Self { slot }
    }

    /// The newest page of each account, back to the transaction named beside it.
    pub async fn first_pages(
        &self,
        rpc: &Rpc,
        accounts: &[(SolanaAddress, Option<String>)],
    ) -> Result<Vec<Vec<Listed>>, StepError> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let calls: Vec<_> =
            accounts.iter().map(|(account, until)| self.call(*account, until.as_deref(), None)).collect();
        let answers = rpc.together(&calls).await?;
        answers.into_iter().map(|answer| read_page(&answer?, None)).collect()
    }

    /// All of an account's list that begins with `list`: back to `until`, or to what is older than `since`.
    pub async fn rest(
        &self,
        rpc: &Rpc,
        account: SolanaAddress,
        until: Option<String>,
        since: UnixSeconds,
        mut list: Vec<Listed>,
    ) -> Result<Vec<Listed>, StepError> {
        let mut page = list.len();
        while let Some(oldest) = list.last().filter(|oldest| page == PAGE && !is_older(oldest, since)) {
            let call = self.call(account, until.as_deref(), Some(oldest.signature));
            let more = read_page(&rpc.call(call.method, call.params).await?, Some(oldest))?;
            page = more.len();
            list.extend(more);
        }
        // One whose node has forgotten `until` lists more than was asked for.
        let is_until = |entry: &Listed| until.as_ref().is_some_and(|until| *until == entry.signature.to_string());
        let end = list.iter().position(|entry| is_until(entry) || is_older(entry, since));
        list.truncate(end.unwrap_or(list.len()));
        Ok(list)
    }

    fn call(&self, account: SolanaAddress, until: Option<&str>, before: Option<Signature>) -> Call {
        let mut options = json!({ "commitment": "confirmed", "limit": PAGE, "minContextSlot": self.slot });
        if let Some(until) = until {
            options["until"] = until.into();
        }
        if let Some(before) = before {
            options["before"] = before.to_string().into();
        }
        Call::new("getSignaturesForAddress", json!([account.to_string(), options]))
    }
}

fn is_older(entry: &Listed, since: UnixSeconds) -> bool {
    entry.block_time.is_some_and(|time| time < since)
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

//! Whether more than one endpoint shows a transfer.
//!
//! One endpoint may lie, or be fooled. Before a transfer counts, endpoints of other hosts are asked for the same: the
//! receipt with the very log, or, of the native coin, that the address holds what it should.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_sol_types::SolEvent;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::deposit_address::FACTORY;

use super::{
    logs::{Swept, Transfer},
    position,
};
use crate::{
    chains::rpc::{Answer, Call},
    store::UnvouchedTransfer,
};

/// So many hosts must show it.
pub(super) const WITNESSES: usize = 2;

/// A transfer and what has to be true if it is.
pub(super) struct Claim<'a> {
    pub transfer: &'a UnvouchedTransfer,
    pub of: Asset,
}

pub(super) enum Asset {
    /// A token's contract.
    Token(Address),
    /// What the address held of the native coin after the transfer's block, and was swept out of it in that block.
    Native { held: U256 },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U64,
    block_hash: String,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    transaction_index: U64,
    #[serde(rename = "logIndex")]
    index: U64,
}

impl Log {
    /// The amount, if it is this event of this contract about this address.
    fn amount(&self, contract: Address, event: B256, deposit: Address) -> Option<U256> {
        let is_it = self.address == contract
            && self.topics.first() == Some(&event)
            && self.topics.get(2) == Some(&deposit.into_word());
        let amount: [u8; 32] = self.data.as_ref().try_into().ok()?;
        is_it.then(|| U256::from_be_bytes(amount))
    }
}

impl Claim<'_> {
    /// What each host is asked.
    pub fn questions(&self) -> Vec<Call> {
        let key = &self.transfer.key;
        let receipt = Call::new("eth_getTransactionReceipt", json!([key.tx_id]));
        if let Asset::Token(_) = self.of {
            return vec![receipt];
        }
        let deposit = self.transfer.deposit;
        let pin = json!({ "blockHash": key.block_hash });
        let swept = json!({
            "blockHash": key.block_hash,
            "address": FACTORY.to_string(),
            "topics": [Swept::SIGNATURE_HASH.to_string(), null, deposit.into_word().to_string(), B256::ZERO.to_string()],
        });
        let mut calls = vec![
            Call::new("eth_getBalance", json!([deposit.to_string(), pin])),
            Call::new("eth_getLogs", json!([swept])),
        ];
        if self.has_transaction() {
            calls.push(receipt);
        }
        calls
    }

    /// Whether a host's answers to [`Claim::questions`] bear it out.
    pub fn is_shown_by(&self, answers: &[Answer]) -> bool {
        let answers: Option<Vec<&Value>> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
        match (&self.of, answers.as_deref()) {
            (Asset::Token(token), Some([receipt])) => self.shows_log(receipt, *token),
            (Asset::Native { held }, Some([balance, swept])) => self.shows_balance(balance, swept, *held),
            (Asset::Native { held }, Some([balance, swept, receipt])) => {
                self.shows_balance(balance, swept, *held) && self.receipt(receipt).is_some()
            }
            _ => false,
        }
    }

    /// Value that came without a transaction of its own has a made-up id.
    fn has_transaction(&self) -> bool {
        self.transfer.key.tx_id.starts_with("0x")
    }

    /// The receipt of a transaction that did what it says, in that block.
    fn receipt(&self, receipt: &Value) -> Option<Receipt> {
        let receipt = Receipt::deserialize(receipt).ok()?;
        let is_there = receipt.block_hash.eq_ignore_ascii_case(&self.transfer.key.block_hash);
        (receipt.status == U64::from(1) && is_there).then_some(receipt)
    }

    fn shows_log(&self, receipt: &Value, token: Address) -> bool {
        let amount = Some(self.transfer.amount.base_units());
        // The same place too: one log must not stand for two.
        let is_it = |log: &Log| {
            position::of_log(log.transaction_index.to(), log.index.to()) == self.transfer.key.log_index
                && log.amount(token, Transfer::SIGNATURE_HASH, self.transfer.deposit) == amount
        };
        self.receipt(receipt).is_some_and(|receipt| receipt.logs.iter().any(is_it))
    }

    fn shows_balance(&self, balance: &Value, swept: &Value, held: U256) -> bool {
        let (Ok(balance), Ok(swept)) = (U256::deserialize(balance), Vec::<Log>::deserialize(swept)) else {
            return false;
        };
        let swept = swept.iter().filter_map(|log| log.amount(FACTORY, Swept::SIGNATURE_HASH, self.transfer.deposit));
        held <= swept.fold(balance, U256::saturating_add)
    }
}

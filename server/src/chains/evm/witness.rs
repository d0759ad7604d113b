//! Whether more than one host shows a fact.
//!
//! One endpoint may lie, or be fooled. Before a transfer or a sweep counts, endpoints of other hosts are asked for the
//! same: the receipt with the very log; of the native coin the transaction that brought it, or, where no transaction
//! names the address, that it holds what it should. A host that does not have the block yet, or cannot say, abstains. One
//! that has the block and not the fact denies it, and that stands until it says otherwise.

use std::collections::{BTreeSet, HashMap, HashSet};

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_sol_types::SolEvent;
use domain::{money::UsdMillis, time::UnixMillis};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use wire::deposit_address::FACTORY;

use super::{
    logs::{Swept, Transfer},
    node::{balance_call, header_call, hex},
    position,
};
use crate::{
    alarm,
    chains::rpc::{Answer, Call, HostAnswers},
    store::{FactKey, UnvouchedFact},
};

/// So many hosts must show it.
pub(crate) const WITNESSES: usize = 2;
/// Facts that are asked about at once; the others wait for the next step.
const AT_ONCE: usize = 25;
/// The pause after a first question; doubles with each further one about the same fact.
const SHORTEST_PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 60_000;
/// So long other hosts may be out of reach, or disagree, before something is done about it.
const PATIENCE_MS: i64 = 60_000;

/// A fact and what has to be true if it is.
pub(super) struct Claim<'a> {
    pub fact: &'a UnvouchedFact,
    pub of: Evidence,
}

pub(super) enum Evidence {
    /// The log of a token's transfer to the address.
    Arrived { token: Address },
    /// The log of a sweep out of it; the zero address is the native coin.
    Left { asset: Address },
    /// The log of a token's transfer that the address itself sent.
    Spent { token: Address },
    /// A transaction of the address itself, that with its cost took out this much.
    SpentCoin,
    /// A transaction whose own value it is.
    Sent,
    /// That the address holds all of the native coin that had come by the end of the block, less what had left.
    Held {
        came: U256,
        /// What had left before the block in sweeps that are vouched for; also in the block, if somebody has the key.
        left: U256,
        /// Other sweeps, and what each took: a host has to show them too, or they lower nothing.
        doubtful: Vec<(FactKey, U256)>,
        /// Whether somebody has the key of the address, so that transactions of its own took out coin, and not the factory.
        has_key: bool,
    },
}

/// What a host's answers say of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chains) enum Verdict {
    Shows,
    Denies,
    /// It cannot tell.
    Abstains,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    hash: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U64,
    block_hash: String,
    logs: Vec<Log>,
    #[serde(default)]
    gas_used: Option<U256>,
    #[serde(default)]
    effective_gas_price: Option<U256>,
    /// What a network on top of another asks for writing there.
    #[serde(default)]
    l1_fee: Option<U256>,
}

impl Receipt {
    /// What its sender paid for it; `None` if that is not told.
    fn cost(&self) -> Option<U256> {
        let gas = self.gas_used?.saturating_mul(self.effective_gas_price?);
        Some(gas.saturating_add(self.l1_fee.unwrap_or_default()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    block_hash: String,
    from: Address,
    to: Option<Address>,
    value: U256,
    #[serde(rename = "transactionIndex")]
    index: U64,
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
    fn position(&self) -> i64 {
        position::of_log(self.transaction_index.to(), self.index.to())
    }

    fn amount(&self) -> Option<U256> {
        let amount: [u8; 32] = self.data.as_ref().try_into().ok()?;
        Some(U256::from_be_bytes(amount))
    }

    fn is_arrival(&self, token: Address, deposit: Address) -> bool {
        matches!(self.topics.as_slice(), [event, _, to] if *event == Transfer::SIGNATURE_HASH
            && *to == deposit.into_word())
            && self.address == token
    }

    fn is_spending(&self, token: Address, deposit: Address) -> bool {
        matches!(self.topics.as_slice(), [event, from, _] if *event == Transfer::SIGNATURE_HASH
            && *from == deposit.into_word())
            && self.address == token
    }

    fn is_sweep(&self, asset: Address, deposit: Address) -> bool {
        matches!(self.topics.as_slice(), [event, _, from, what] if *event == Swept::SIGNATURE_HASH
            && *from == deposit.into_word() && *what == asset.into_word())
            && self.address == FACTORY
    }
}

/// Questions about several claims, each asked once.
#[derive(Default)]
pub(super) struct Questions {
    pub calls: Vec<Call>,
    places: HashMap<String, usize>,
}

impl Questions {
    fn ask(&mut self, call: Call) -> usize {
        let place = *self.places.entry(format!("{}{}", call.method, call.params)).or_insert(self.calls.len());
        if place == self.calls.len() {
            self.calls.push(call);
        }
        place
    }
}

/// A host cannot tell.
struct Unknown;

impl Claim<'_> {
    /// What each host is asked; returns which of all answers are about this claim.
    pub fn ask(&self, questions: &mut Questions) -> Vec<usize> {
        let UnvouchedFact { key, deposit, block, .. } = self.fact;
        let mut calls = vec![header_call(*block)];
        match &self.of {
            Evidence::Arrived { .. } | Evidence::Left { .. } | Evidence::Spent { .. } => {
                calls.push(receipt_call(&key.tx_id));
            }
            Evidence::SpentCoin | Evidence::Sent => {
                calls.push(receipt_call(&key.tx_id));
                calls.push(transaction_call(&key.tx_id));
            }
            Evidence::Held { doubtful, has_key, .. } => {
                let topics = json!([
                    Swept::SIGNATURE_HASH.to_string(),
                    null,
                    deposit.into_word().to_string(),
                    B256::ZERO.to_string()
                ]);
                let swept = json!({ "blockHash": key.block_hash, "address": FACTORY.to_string(), "topics": topics });
                // Some know blocks by number only; the header of that number is asked for as well.
                calls.push(balance_call(None, *deposit, &json!({ "blockHash": key.block_hash })));
                calls.push(balance_call(None, *deposit, &json!(hex(*block))));
                calls.push(Call::new("eth_getLogs", json!([swept])));
                for (sweep, _) in doubtful {
                    calls.push(receipt_call(&sweep.tx_id));
                    calls.extend(has_key.then(|| transaction_call(&sweep.tx_id)));
                }
                calls.extend(self.has_transaction().then(|| receipt_call(&key.tx_id)));
            }
        }
        calls.into_iter().map(|call| questions.ask(call)).collect()
    }

    /// What a host's answers to the questions at `places` say.
    pub fn verdict(&self, places: &[usize], answers: &[Answer]) -> Verdict {
        let answers: Option<Vec<&Answer>> = places.iter().map(|place| answers.get(*place)).collect();
        match answers.ok_or(Unknown).and_then(|answers| self.is_shown(&answers)) {
            Ok(true) => Verdict::Shows,
            Ok(false) => Verdict::Denies,
            Err(Unknown) => Verdict::Abstains,
        }
    }

    fn is_shown(&self, answers: &[&Answer]) -> Result<bool, Unknown> {
        let [header, answers @ ..] = answers else { return Err(Unknown) };
        // Who does not have a block of that number knows nothing of it yet.
        let Header { hash } = read(header)?.ok_or(Unknown)?;
        if !hash.eq_ignore_ascii_case(&self.fact.key.block_hash) {
            return Ok(false);
        }
        let key = &self.fact.key;
        let amount = self.fact.amount.base_units();
        match (&self.of, answers) {
            (Evidence::Arrived { token }, [receipt]) => {
                let is_it = |log: &Log| log.is_arrival(*token, self.fact.deposit);
                Ok(has_log(receipt_of(receipt, key)?.as_ref(), key, amount, is_it))
            }
            (Evidence::Left { asset }, [receipt]) => {
                let is_it = |log: &Log| log.is_sweep(*asset, self.fact.deposit);
                Ok(has_log(receipt_of(receipt, key)?.as_ref(), key, amount, is_it))
            }
            (Evidence::Spent { token }, [receipt]) => {
                let is_it = |log: &Log| log.is_spending(*token, self.fact.deposit);
                Ok(has_log(receipt_of(receipt, key)?.as_ref(), key, amount, is_it))
            }
            (Evidence::SpentCoin, [receipt, transaction]) => {
                is_spent(receipt, transaction, key, self.fact.deposit, amount)
            }
            (Evidence::Sent, [receipt, transaction]) => {
                let is_done = receipt_of(receipt, key)?.is_some();
                let is_it = |transaction: Transaction| {
                    transaction.block_hash.eq_ignore_ascii_case(&key.block_hash)
                        && transaction.to == Some(self.fact.deposit)
                        && transaction.value == amount
                        // One transaction must not stand for two.
                        && position::of_native(transaction.index.to(), 0) == key.log_index
                };
                Ok(read(transaction)?.is_some_and(is_it) && is_done)
            }
            (Evidence::Held { came, left, doubtful, has_key }, [by_hash, by_number, swept, receipts @ ..]) => {
                let balance: U256 = match read(by_hash) {
                    Ok(Some(balance)) => balance,
                    Ok(None) | Err(Unknown) => read(by_number)?.ok_or(Unknown)?,
                };
                let swept: Vec<Log> = read(swept)?.ok_or(Unknown)?;
                let mut held = came.saturating_sub(*left);
                let answers_each = if *has_key { 2 } else { 1 };
                for ((sweep, amount), answers) in doubtful.iter().zip(receipts.chunks(answers_each)) {
                    let is_it = |log: &Log| log.is_sweep(Address::ZERO, self.fact.deposit);
                    let is_shown = match answers {
                        [receipt, transaction] => is_spent(receipt, transaction, sweep, self.fact.deposit, *amount)?,
                        [receipt] => has_log(receipt_of(receipt, sweep)?.as_ref(), sweep, *amount, is_it),
                        _ => return Err(Unknown),
                    };
                    if is_shown {
                        held = held.saturating_sub(*amount);
                    }
                }
                let is_done = match receipts.get(doubtful.len().saturating_mul(answers_each)) {
                    Some(receipt) => receipt_of(receipt, key)?.is_some(),
                    None => !self.has_transaction(),
                };
                // A log told twice counts once.
                let mut seen = HashSet::new();
                let swept = swept
                    .iter()
                    .filter(|log| log.is_sweep(Address::ZERO, self.fact.deposit) && seen.insert(log.position()))
                    .filter_map(Log::amount);
                Ok(is_done && held <= swept.fold(balance, U256::saturating_add))
            }
            _ => Err(Unknown),
        }
    }

    /// Value that came without a transaction of its own has a made-up id.
    fn has_transaction(&self) -> bool {
        self.fact.key.tx_id.starts_with("0x")
    }
}

fn receipt_call(tx_id: &str) -> Call {
    Call::new("eth_getTransactionReceipt", json!([tx_id]))
}

fn transaction_call(tx_id: &str) -> Call {
    Call::new("eth_getTransactionByHash", json!([tx_id]))
}

/// An answer as what it should be; `None` if there is no such thing.
fn read<T: DeserializeOwned>(answer: &Answer) -> Result<Option<T>, Unknown> {
    match answer {
        Ok(Value::Null) => Ok(None),
        Ok(answer) => T::deserialize(answer).map(Some).map_err(|_| Unknown),
        Err(_) => Err(Unknown),
    }
}

/// The receipt of a fact's transaction, if it did what it says, in the fact's block.
fn receipt_of(answer: &Answer, key: &FactKey) -> Result<Option<Receipt>, Unknown> {
    let receipt: Option<Receipt> = read(answer)?;
    Ok(receipt
        .filter(|receipt| receipt.status == U64::from(1) && receipt.block_hash.eq_ignore_ascii_case(&key.block_hash)))
}

/// Whether a transaction of an address took this much coin out of it, with what it cost, in a fact's very place.
fn is_spent(
    receipt: &Answer,
    transaction: &Answer,
    key: &FactKey,
    deposit: Address,
    amount: U256,
) -> Result<bool, Unknown> {
    let (receipt, transaction): (Option<Receipt>, Option<Transaction>) = (read(receipt)?, read(transaction)?);
    let Some((receipt, transaction)) = receipt.zip(transaction) else { return Ok(false) };
    let is_moved = receipt.status == U64::from(1) && transaction.to != Some(transaction.from);
    let value = if is_moved { transaction.value } else { U256::ZERO };
    let left = value.saturating_add(receipt.cost().ok_or(Unknown)?);
    let hashes = [&receipt.block_hash, &transaction.block_hash];
    Ok(hashes.iter().all(|hash| hash.eq_ignore_ascii_case(&key.block_hash))
        && transaction.from == deposit
        && position::of_native(transaction.index.to(), 0) == key.log_index
        && left == amount)
}

/// Whether a receipt has a log in its very place: one log must not stand for two.
fn has_log(receipt: Option<&Receipt>, key: &FactKey, amount: U256, is_it: impl Fn(&Log) -> bool) -> bool {
    let logs = receipt.map(|receipt| &receipt.logs);
    logs.into_iter().flatten().any(|log| log.position() == key.log_index && log.amount() == Some(amount) && is_it(log))
}

/// Facts that wait for another host's word.
#[derive(Default)]
pub(in crate::chains) struct Waiting(HashMap<FactKey, Wait>);

struct Wait {
    /// When it was first found to wait.
    since: UnixMillis,
    asked_at: Option<UnixMillis>,
    /// For how long it is not asked about after that.
    pause_ms: i64,
    /// Hosts whose last word was that it is not so.
    denied_by: BTreeSet<String>,
    /// Whether somebody was told.
    is_told: bool,
}

/// What is done about a fact after hosts were asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chains) enum Outcome {
    /// Enough hosts show it.
    Vouched,
    /// One host shows it, nobody else could be asked for a while, and little is at stake.
    OneIsEnough,
    Waits,
    /// It has been waiting for long, and somebody is told: hosts disagree.
    Disputed,
    /// The same: one host shows it, and that is not enough for so much.
    TooMuchForOne,
    /// The same: no host could say anything.
    NobodyKnows,
}

impl Waiting {
    /// Forgets facts that do not wait any more.
    pub fn keep(&mut self, facts: &[UnvouchedFact]) {
        let facts: HashSet<&FactKey> = facts.iter().map(|fact| &fact.key).collect();
        self.0.retain(|key, _| facts.contains(key));
    }

    /// Those that are to be asked about now, those first that were never asked about or not for the longest time.
    pub fn due(&self, facts: Vec<UnvouchedFact>, now: UnixMillis) -> Vec<UnvouchedFact> {
        let asked_at = |fact: &UnvouchedFact| self.0.get(&fact.key).and_then(|wait| wait.asked_at);
        let mut due = facts;
        due.retain(|fact| self.0.get(&fact.key).is_none_or(|wait| wait.is_due(now)));
        // Stable: of equals, the oldest block comes first.
        due.sort_by_key(asked_at);
        due.truncate(AT_ONCE);
        due
    }

    /// Whether this is the first time that somebody is told of a fact.
    pub fn is_news(&mut self, fact: &UnvouchedFact, now: UnixMillis) -> bool {
        let wait = self.0.entry(fact.key.clone()).or_insert_with(|| Wait::new(now));
        !std::mem::replace(&mut wait.is_told, true)
    }

    /// Takes what hosts said of a fact. One is enough for an invoice of up to `limit`.
    pub fn hear(
        &mut self,
        fact: &UnvouchedFact,
        verdicts: &[(&str, Verdict)],
        limit: UsdMillis,
        now: UnixMillis,
    ) -> Outcome {
        let wait = self.0.entry(fact.key.clone()).or_insert_with(|| Wait::new(now));
        let mut shown = 0;
        for (host, verdict) in verdicts {
            match verdict {
                Verdict::Shows => {
                    shown += 1;
                    wait.denied_by.remove(*host);
                }
                Verdict::Denies => {
                    wait.denied_by.insert((*host).to_owned());
                }
                Verdict::Abstains => {}
            }
        }
        wait.asked_at = Some(now);
        wait.pause_ms = wait.pause_ms.saturating_mul(2).clamp(SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS);
        let has_waited = wait.since.0.saturating_add(PATIENCE_MS) <= now.0;
        match () {
            () if WITNESSES <= shown => return Outcome::Vouched,
            () if !has_waited => return Outcome::Waits,
            () if shown == 1 && wait.denied_by.is_empty() && fact.due <= limit => return Outcome::OneIsEnough,
            () if std::mem::replace(&mut wait.is_told, true) => return Outcome::Waits,
            () => {}
        }
        match (wait.denied_by.is_empty(), shown) {
            (false, _) => Outcome::Disputed,
            (true, 0) => Outcome::NobodyKnows,
            (true, _) => Outcome::TooMuchForOne,
        }
    }

    /// Forgets what hosts said that are not asked any more.
    pub fn keep_hosts(&mut self, hosts: &BTreeSet<String>) {
        for wait in self.0.values_mut() {
            wait.denied_by.retain(|host| hosts.contains(host));
        }
    }
}

impl Wait {
    fn new(now: UnixMillis) -> Self {
        Self { since: now, asked_at: None, pause_ms: 0, denied_by: BTreeSet::new(), is_told: false }
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        // A clock that was set back must not keep us from asking.
        self.asked_at.is_none_or(|asked_at| !(0..self.pause_ms).contains(&now.0.saturating_sub(asked_at.0)))
    }
}

/// Whether a fact counts after hosts were asked; tells whoever should know why it does not, or why it does.
pub(in crate::chains) fn is_vouched(network: &str, fact: &UnvouchedFact, outcome: Outcome) -> bool {
    let (alarm, text) = match outcome {
        Outcome::Vouched => return true,
        Outcome::OneIsEnough => {
            tracing::warn!(
                payment.network = network,
                invoice.id = %fact.invoice,
                transaction = fact.key.tx_id,
                "a payment counts on the word of one endpoint, since no other could be asked for a minute"
            );
            return true;
        }
        Outcome::Waits => return false,
        Outcome::Disputed => (alarm::PAYMENT_DISPUTED, "ALARM: endpoints disagree about a payment; it does not count"),
        Outcome::TooMuchForOne => (
            alarm::PAYMENT_TOO_LARGE_FOR_ONE_ENDPOINT,
            "ALARM: a payment does not count: it is for too much, and only one endpoint can be asked",
        ),
        Outcome::NobodyKnows => (alarm::PAYMENT_WITHOUT_WITNESS, "ALARM: no endpoint can be asked about a payment"),
    };
    tell(network, fact, alarm, text);
    false
}

/// Tells that only one endpoint is configured, which is not enough for a fact.
pub(in crate::chains) fn tell_of_lack(network: &str, fact: &UnvouchedFact) {
    let text = "ALARM: a payment does not count: it is for too much, and only one endpoint is configured";
    tell(network, fact, alarm::PAYMENT_TOO_LARGE_FOR_ONE_ENDPOINT, text);
}

fn tell(network: &str, fact: &UnvouchedFact, alarm: &str, text: &str) {
    tracing::error!(
        alarm,
        payment.network = network,
        invoice.id = %fact.invoice,
        transaction = fact.key.tx_id,
        "{text}"
    );
}

/// What each host says of each claim, given the places of the answers about it.
pub(super) fn verdicts<'h>(
    claims: &[(Claim<'_>, Vec<usize>)],
    said: &'h [HostAnswers],
) -> Vec<Vec<(&'h str, Verdict)>> {
    let of_claim = |(claim, places): &(Claim<'_>, Vec<usize>)| {
        said.iter().map(|host| (host.host.as_str(), claim.verdict(places, &host.answers))).collect()
    };
    claims.iter().map(of_claim).collect()
}

#[cfg(test)]
#[path = "witness_tests.rs"]
mod tests;

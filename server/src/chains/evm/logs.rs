//! From a node's logs to what they prove. A log is believed only if it is what was asked for, from a
//! block whose header was read.

use std::collections::{HashMap, hash_map::Entry};

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_sol_types::{SolError, SolEvent, sol};
use serde::Deserialize;

use crate::store::BlockRef;

sol! {
    /// ERC-20 (EIP-20).
    event Transfer(address indexed from, address indexed to, uint256 value);
    /// The deposit factory moved what an address held.
    event Swept(address indexed merchant, address indexed deposit, address indexed asset, uint256 amount);
    /// The deposit factory left an asset where it is.
    event SweepFailed(address indexed merchant, address indexed deposit, address indexed asset, bytes reason);

    /// Why it did.
    error NoBalance(address asset);
    error SendFailed(address asset);
}

/// The events that are looked for; all name the deposit address in their third topic.
pub const EVENTS: [B256; 3] = [Transfer::SIGNATURE_HASH, Swept::SIGNATURE_HASH, SweepFailed::SIGNATURE_HASH];

/// The event that names who sent something.
pub const SENT: B256 = Transfer::SIGNATURE_HASH;

/// A log as a node tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawLog {
    pub address: Address,
    pub topics: Vec<B256>,
    pub data: Bytes,
    pub block_hash: Option<B256>,
    pub block_number: Option<U64>,
    pub transaction_hash: Option<B256>,
    pub transaction_index: Option<U64>,
    pub log_index: Option<U64>,
    #[serde(default)]
    pub removed: bool,
}

/// A log that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its block, as an index into the blocks read.
    pub block: usize,
    pub transaction: B256,
    /// The transaction's place in the block.
    pub transaction_index: u64,
    /// The log's own place in the block.
    pub index: u64,
    pub deposit: Address,
    pub amount: U256,
    pub event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A token came from somebody.
    Arrived { token: Address, payer: Address },
    /// An asset left: the factory sent it on, or whoever has the address's key did. The zero address is the native coin.
    Left { asset: Address },
    /// The factory could not send an asset on.
    Stayed { asset: Address, reason: SweepFailure },
}

/// Why an asset stayed where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepFailure {
    /// The token, or the merchant's wallet, refused the transfer.
    Refused,
    /// The token does not say what the address holds.
    NoBalance,
    /// There was not enough gas, or something else went wrong.
    Other,
}

impl SweepFailure {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NoBalance => "no_balance",
            Self::Other => "other",
        }
    }

    /// From the data of the factory's event.
    fn read(data: &[u8]) -> Option<Self> {
        let (reason,) = SweepFailed::abi_decode_data_validate(data).ok()?;
        Some(match reason.get(..4) {
            Some(selector) if selector == SendFailed::SELECTOR => Self::Refused,
            Some(selector) if selector == NoBalance::SELECTOR => Self::NoBalance,
            _ => Self::Other,
        })
    }
}

/// What logs may speak of.
pub struct Scope<'a> {
    pub blocks: &'a [BlockRef],
    pub factory: Address,
    pub tokens: &'a [Address],
    pub is_watched: &'a dyn Fn(Address) -> bool,
    /// Whether somebody has the key of a watched address, so that its own transfers were asked for.
    pub has_key: &'a dyn Fn(Address) -> bool,
}

impl Scope<'_> {
    /// Checks every log; returns them in the chain's order, each once, without those that moved nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with a log that should not have been there.
    pub fn check(&self, raw: Vec<RawLog>) -> Result<Vec<Log>, &'static str> {
        let by_number: HashMap<u64, usize> =
            self.blocks.iter().enumerate().map(|(index, block)| (block.number, index)).collect();
        let mut seen = HashMap::new();
        let mut logs = Vec::new();
        for raw in raw {
            let of_raw = self.check_one(&raw, &by_number)?;
            match seen.entry((raw.block_hash, raw.log_index)) {
                Entry::Occupied(known) if *known.get() != raw => return Err("two logs in one place"),
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => {
                    place.insert(raw);
                    let says_something =
                        |log: &Log| log.amount != U256::ZERO || matches!(log.event, Event::Stayed { .. });
                    logs.extend(of_raw.into_iter().filter(says_something));
                }
            }
        }
        // What one address of a key sends to another leaves before it arrives.
        logs.sort_by_key(|log| (log.block, log.index, matches!(log.event, Event::Arrived { .. })));
        Ok(logs)
    }

    /// Nothing for a log that is what was asked for and means nothing to us; two for a transfer between two addresses that
    /// are watched.
    fn check_one(&self, raw: &RawLog, by_number: &HashMap<u64, usize>) -> Result<Vec<Log>, &'static str> {
        let (Some(hash), Some(number), Some(transaction), Some(transaction_index), Some(log_index)) =
            (raw.block_hash, raw.block_number, raw.transaction_hash, raw.transaction_index, raw.log_index)
        else {
            return Err("a log without a place");
        };
        if raw.removed {
            return Err("a log that was removed");
        }
        let block = *by_number.get(&number.to::<u64>()).ok_or("a log of a block that was not asked for")?;
        if self.blocks[block].hash != hash.to_string() {
            return Err("a log of another block");
        }
        let named = |place: usize| raw.topics.get(place).map(|topic| Address::from_word(*topic));
        let (first, deposit) = named(1).zip(named(2)).ok_or("a log with too few topics")?;
        let is_token = self.tokens.contains(&raw.address);
        let sender = (raw.topics.first() == Some(&SENT) && is_token && (self.has_key)(first)).then_some(first);
        if !(self.is_watched)(deposit) && sender.is_none() {
            return Err("a log about an address that was not asked for");
        }
        let failed = |event: &B256| *event == SweepFailed::SIGNATURE_HASH && raw.address == self.factory;
        let amount: [u8; 32] = match raw.topics.first() {
            Some(event) if failed(event) => [0; 32],
            _ => raw.data.as_ref().try_into().map_err(|_| "a log without exactly one amount")?,
        };
        let log = |deposit, event| Log {
            block,
            transaction,
            transaction_index: transaction_index.to(),
            index: log_index.to(),
            deposit,
            amount: U256::from_be_bytes(amount),
            event,
        };
        match raw.topics.as_slice() {
            // What an address sends to itself moves nothing.
            [event, _, _] if *event == SENT && is_token && first == deposit => Ok(Vec::new()),
            [event, _, _] if *event == SENT && is_token => {
                let left = sender.map(|sender| log(sender, Event::Left { asset: raw.address }));
                let arrived = (self.is_watched)(deposit)
                    .then(|| log(deposit, Event::Arrived { token: raw.address, payer: first }));
                Ok(left.into_iter().chain(arrived).collect())
            }
            [event, _, _, asset] if *event == Swept::SIGNATURE_HASH && raw.address == self.factory => {
                Ok(vec![log(deposit, Event::Left { asset: Address::from_word(*asset) })])
            }
            [event, _, _, asset] if failed(event) => {
                let reason = SweepFailure::read(&raw.data).ok_or("a failure without a reason")?;
                Ok(vec![log(deposit, Event::Stayed { asset: Address::from_word(*asset), reason })])
            }
            // A token's `Swept` or the factory's `Transfer` fits the question, and is neither.
            [event, ..]
                if EVENTS.contains(event) && (raw.address == self.factory || self.tokens.contains(&raw.address)) =>
            {
                Ok(Vec::new())
            }
            _ => Err("a log of another contract or event"),
        }
    }
}

//! A chain that is made up: it forks, loses and brings back transactions as told, and its two hosts misbehave each in its
//! own way. What it really is, is known: the truth that a history is judged by.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde_json::{Value, json};

use super::Answer;

/// The token's contract; the other asset is the chain's own coin.
pub const TOKEN: Address = Address::repeat_byte(0x70);
/// What says what the coin costs.
pub const FEED: Address = Address::repeat_byte(0xfe);
pub const PAYER: Address = Address::repeat_byte(0xaa);
static TRANSFER: LazyLock<B256> = LazyLock::new(|| keccak256("Transfer(address,address,uint256)"));
/// What a node says that has never heard of a block.
const UNKNOWN_BLOCK: (i64, &str) = (-32000, "header not found");

/// A payment: of the token in several parts, or of the coin in one.
#[derive(Clone, Debug)]
pub struct Payment {
    pub id: B256,
    pub to: Address,
    pub asset: Option<Address>,
    pub parts: Vec<U256>,
    /// It moves nothing, and costs its gas.
    pub fails: bool,
}

#[derive(Clone, Debug)]
pub struct Block {
    pub number: u64,
    pub hash: B256,
    parent: B256,
    pub time: i64,
    pub payments: Vec<Payment>,
    /// What the feed says in it.
    pub price: Price,
}

/// A round of the feed.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    round: u64,
    pub usd_e8: u64,
    since: i64,
}

/// How a host misbehaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// It knows of no logs.
    pub hides_logs: bool,
    /// It is so many blocks behind.
    pub lags: u64,
    /// Of ten calls so many are declined.
    pub declines: u64,
    /// It tells every log twice.
    pub repeats: bool,
    /// It cannot say what the feed says.
    pub has_no_prices: bool,
}

pub struct Chain {
    chain_id: u64,
    state: Mutex<Blocks>,
}

struct Blocks {
    canonical: Vec<Block>,
    /// Makes every block another one.
    salt: u64,
    /// What blocks from now on say.
    price: Price,
    faults: [Faults; 2],
    calls: u64,
}

impl Chain {
    pub fn new(chain_id: u64, time: i64, usd_e8: u64) -> Self {
        let price = Price { round: 1, usd_e8, since: time };
        let first = Block {
            number: 0,
            hash: keccak256(chain_id.to_be_bytes()),
            parent: B256::ZERO,
            time,
            payments: Vec::new(),
            price,
        };
        let state = Blocks { canonical: vec![first], salt: 0, price, faults: <[Faults; 2]>::default(), calls: 0 };
        Self { chain_id, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, Blocks> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a block. No chain takes a transaction twice, be it in one block.
    pub fn mine(&self, time: i64, mut payments: Vec<Payment>) {
        let mut state = self.state();
        let mut known: HashSet<B256> =
            state.canonical.iter().flat_map(|block| &block.payments).map(|payment| payment.id).collect();
        payments.retain(|payment| known.insert(payment.id));
        state.salt += 1;
        let price = state.price;
        let parent = state.canonical.last().expect("there is a first block");
        let hash = keccak256([parent.hash.as_slice(), &state.salt.to_be_bytes()].concat());
        let (number, time) = (parent.number + 1, time.max(parent.time));
        let block = Block { number, hash, parent: parent.hash, time, payments, price };
        state.canonical.push(block);
    }

    /// Has the feed say something else in blocks from now on.
    pub fn set_price(&self, time: i64, usd_e8: u64) {
        let mut state = self.state();
        state.price = Price { round: state.price.round + 1, usd_e8, since: time };
    }

    /// Takes so many blocks off the chain; returns what was in them.
    pub fn drop_blocks(&self, count: usize) -> Vec<Block> {
        let mut state = self.state();
        let left = state.canonical.len().saturating_sub(count).max(1);
        state.canonical.split_off(left)
    }

    /// Puts blocks back that were taken off, if they still fit.
    pub fn restore(&self, blocks: Vec<Block>) {
        let mut state = self.state();
        let Some(first) = blocks.first() else { return };
        let Some(fork) = state.canonical.iter().position(|block| block.hash == first.parent) else { return };
        state.canonical.truncate(fork + 1);
        state.canonical.extend(blocks);
    }

    pub fn set_faults(&self, host: usize, faults: Faults) {
        self.state().faults[host] = faults;
    }

    pub fn blocks(&self) -> Vec<Block> {
        self.state().canonical.clone()
    }

    pub fn height(&self) -> u64 {
        self.state().canonical.last().map_or(0, |block| block.number)
    }

    /// What a host says.
    pub fn answer(&self, host: usize, call: &Value) -> Answer {
        let mut state = self.state();
        state.calls += 1;
        let faults = state.faults[host];
        let method = call["method"].as_str().unwrap_or_default();
        // Nobody is on another chain, and whoever is asked for that must not be given up for long.
        let is_asked_who = method == "eth_chainId" || call["params"][0] == "0x0";
        let is_about_price = call["params"][0]["to"].as_str().and_then(|to| to.parse().ok()) == Some(FEED);
        if faults.has_no_prices && is_about_price {
            return Err((-32000, "try again"));
        }
        let may_decline = 0 < faults.declines && !is_asked_who;
        if may_decline && keccak256(state.calls.to_be_bytes())[0] % 10 < u8::try_from(faults.declines).unwrap_or(10) {
            return Err((-32000, "try again"));
        }
        let lag = usize::try_from(faults.lags).unwrap_or(usize::MAX);
        let seen = state.canonical.len().saturating_sub(lag).max(1);
        View { chain_id: self.chain_id, blocks: &state.canonical[..seen], faults }.answer(method, &call["params"])
    }
}

/// The chain as a host sees it.
struct View<'b> {
    chain_id: u64,
    blocks: &'b [Block],
    faults: Faults,
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

impl Block {
    fn header(&self) -> Value {
        json!({ "number": hex(self.number), "hash": self.hash, "parentHash": self.parent,
            "timestamp": hex(u64::try_from(self.time).unwrap_or_default()) })
    }

    fn with_transactions(&self) -> Value {
        let mut header = self.header();
        header["transactions"] =
            self.payments.iter().enumerate().map(|(index, payment)| payment.transaction(self, index)).collect();
        header
    }

    /// The logs of all payments, with their number in the block.
    fn logs(&self) -> Vec<Value> {
        let mut logs = Vec::new();
        for (index, payment) in self.payments.iter().enumerate() {
            if payment.fails || payment.asset.is_none() {
                continue;
            }
            for part in &payment.parts {
                logs.push(json!({
                    "address": TOKEN, "topics": [*TRANSFER, PAYER.into_word(), payment.to.into_word()],
                    "data": B256::from(*part), "blockHash": self.hash, "blockNumber": hex(self.number),
                    "transactionHash": payment.id, "transactionIndex": hex(index as u64),
                    "logIndex": hex(logs.len() as u64), "removed": false,
                }));
            }
        }
        logs
    }
}

impl Payment {
    fn sum(&self) -> U256 {
        self.parts.iter().fold(U256::ZERO, |sum, part| sum + part)
    }

    fn transaction(&self, block: &Block, index: usize) -> Value {
        let (to, value) = match self.asset {
            Some(token) => (token, U256::ZERO),
            None => (self.to, self.sum()),
        };
        json!({ "hash": self.id, "from": PAYER, "to": to, "value": format!("{value:#x}"), "blockHash": block.hash,
            "blockNumber": hex(block.number), "transactionIndex": hex(index as u64) })
    }
}

impl View<'_> {
    fn answer(&self, method: &str, params: &Value) -> Answer {
        let no_block = || Ok(Value::Null);
        match method {
            "eth_chainId" => Ok(hex(self.chain_id)),
            "eth_getCode" => Ok(json!("0x01")),
            "eth_getBlockByNumber" => match (self.by_number(&params[0]), params[1] == true) {
                (Some(block), true) => Ok(block.with_transactions()),
                (Some(block), false) => Ok(block.header()),
                (None, _) => no_block(),
            },
            "eth_getBlockByHash" => match (self.by_hash(&params[0]), params[1] == true) {
                (Some(block), true) => Ok(block.with_transactions()),
                (Some(block), false) => Ok(block.header()),
                (None, _) => no_block(),
            },
            "eth_getLogs" => self.logs(&params[0]),
            "eth_getBalance" => {
                let block = self.pinned(&params[1])?;
                let owner: Address = serde_json::from_value(params[0].clone()).unwrap_or_default();
                Ok(json!(format!("{:#x}", self.balance(None, owner, block))))
            }
            "eth_call" => {
                let block = self.pinned(&params[1])?;
                let data: Bytes = serde_json::from_value(params[0]["data"].clone()).unwrap_or_default();
                Ok(json!(Bytes::from(self.call(&params[0]["to"], &data, block))))
            }
            "eth_getTransactionReceipt" => Ok(self.of_transaction(&params[0], |block, index, payment| {
                let mut logs = block.logs();
                logs.retain(|log| log["transactionHash"] == json!(payment.id));
                json!({ "status": hex(u64::from(!payment.fails)), "blockHash": block.hash,
                    "blockNumber": hex(block.number), "transactionHash": payment.id,
                    "transactionIndex": hex(index as u64), "logs": logs })
            })),
            "eth_getTransactionByHash" => {
                Ok(self.of_transaction(&params[0], |block, index, payment| payment.transaction(block, index)))
            }
            _ => Err((-32601, "the method does not exist")),
        }
    }

    fn by_number(&self, number: &Value) -> Option<&Block> {
        match number.as_str()? {
            "latest" => self.blocks.last(),
            "safe" | "finalized" => self.blocks.first(),
            text => {
                let number = usize::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
                self.blocks.get(number)
            }
        }
    }

    fn by_hash(&self, hash: &Value) -> Option<&Block> {
        let hash: B256 = hash.as_str()?.parse().ok()?;
        self.blocks.iter().rev().find(|block| block.hash == hash)
    }

    /// The number of the block that a question is about.
    fn pinned(&self, pin: &Value) -> Result<u64, (i64, &'static str)> {
        let block = if pin.is_object() { self.by_hash(&pin["blockHash"]) } else { self.by_number(pin) };
        block.map(|block| block.number).ok_or(UNKNOWN_BLOCK)
    }

    fn logs(&self, filter: &Value) -> Answer {
        let blocks: Vec<&Block> = if let Some(hash) = filter.get("blockHash") {
            vec![self.by_hash(hash).ok_or(UNKNOWN_BLOCK)?]
        } else {
            let first = self.by_number(&filter["fromBlock"]).map(|block| block.number);
            let last = self.by_number(&filter["toBlock"]).map(|block| block.number);
            let range = first.zip(last);
            let is_asked = |block: &&Block| range.is_some_and(|(first, last)| (first..=last).contains(&block.number));
            self.blocks.iter().filter(is_asked).collect()
        };
        if self.faults.hides_logs {
            return Ok(json!([]));
        }
        let is_among = |list: &Value, item: &Value| match list {
            Value::Array(list) => list.contains(item),
            one => one == item,
        };
        let topics = &filter["topics"];
        let mut logs: Vec<Value> = blocks.into_iter().flat_map(Block::logs).collect();
        logs.retain(|log| {
            let address = json!(log["address"].as_str().map(|text| text.parse::<Address>().unwrap_or_default()));
            let asked = filter["address"].as_array().into_iter().flatten();
            let mut asked = asked.map(|text| json!(text.as_str().and_then(|text| text.parse::<Address>().ok())));
            asked.any(|asked| asked == address)
                && is_among(&topics[0], &log["topics"][0])
                && is_among(&topics[2], &log["topics"][2])
        });
        if self.faults.repeats {
            logs.extend(logs.clone());
        }
        Ok(Value::Array(logs))
    }

    fn balance(&self, asset: Option<Address>, owner: Address, until: u64) -> U256 {
        let blocks = self.blocks.iter().take_while(|block| block.number <= until);
        let came = blocks.flat_map(|block| &block.payments);
        let came = came.filter(|payment| !payment.fails && payment.to == owner && payment.asset == asset);
        came.fold(U256::ZERO, |sum, payment| sum + payment.sum())
    }

    fn call(&self, to: &Value, data: &[u8], block: u64) -> Vec<u8> {
        let word = |number: U256| number.to_be_bytes::<32>().to_vec();
        let is_feed = to.as_str().and_then(|to| to.parse().ok()) == Some(FEED);
        match (to.is_null(), data.first(), data.get(..4)) {
            // A contract that reads balances: it holds the token's address, if it is about one, and the owners'.
            (true, Some(0x63), _) => {
                let owners = data.get(101..).unwrap_or_default().chunks_exact(20);
                owners.flat_map(|owner| word(self.balance(Some(TOKEN), Address::from_slice(owner), block))).collect()
            }
            (true, ..) => {
                let owners = data.get(45..).unwrap_or_default().chunks_exact(20);
                owners
                    .flat_map(|owner| word(self.balance(None, Address::from_slice(owner), block))[16..].to_vec())
                    .collect()
            }
            (false, _, Some([0x31, 0x3c, 0xe5, 0x67])) => word(U256::from(if is_feed { 8 } else { 6 })),
            (false, _, Some([0xfe, 0xaf, 0x96, 0x8c])) if is_feed => {
                let Some(price) = self.blocks.iter().find(|seen| seen.number == block).map(|seen| seen.price) else {
                    return Vec::new();
                };
                let since = U256::from(price.since);
                let (round, answer) = (U256::from(price.round), U256::from(price.usd_e8));
                [round, answer, since, since, round].map(word).concat()
            }
            (false, _, Some([0x70, 0xa0, 0x82, 0x31])) => {
                let owner = data.get(16..36).map(Address::from_slice).unwrap_or_default();
                word(self.balance(Some(TOKEN), owner, block))
            }
            _ => Vec::new(),
        }
    }

    fn of_transaction(&self, id: &Value, tell: impl Fn(&Block, usize, &Payment) -> Value) -> Value {
        let Some(id) = id.as_str().and_then(|id| id.parse::<B256>().ok()) else { return Value::Null };
        for block in self.blocks.iter().rev() {
            if let Some((index, payment)) = block.payments.iter().enumerate().find(|(_, payment)| payment.id == id) {
                return tell(block, index, payment);
            }
        }
        Value::Null
    }
}

//! A Solana that is made up: it skips slots, forks before blocks are final, loses and brings back transactions as told, and its two
//! hosts misbehave each in its own way. What it really is, is known: the truth that a history is judged by.
//!
//! Answers have the form of those in `server/src/chains/solana/fixtures`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::keccak256;
use base64::{Engine, engine::general_purpose::STANDARD};
use pepay::solana::{Signature, SolanaAddress, associated_token_account, programs};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Answer;

/// Blocks after which one is final.
pub const FINAL_AFTER: usize = 8;
/// A transaction is put into none of more blocks than these after it was signed.
const BLOCKHASH_LIFE: usize = 150;
/// What a node says when it is asked for a slot that it has not come to.
const TOO_EARLY: (i64, &str) = (-32016, "Minimum context slot has not been reached");
const NO_BLOCK: (i64, &str) = (-32004, "Block not available for slot");
const BLOCKHASHES: [u8; 4] = *b"hash";
/// What everybody has of everything in the beginning, in base units.
const HELD: i128 = 1_000_000_000_000_000;
/// What a transaction costs who signs it, in lamports.
const FEE: i128 = 5_000;

/// What is paid in: dollars all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// A token of the older program.
    Dollar,
    /// A token of Token-2022 that keeps one part in a hundred of each transfer.
    WithFee,
    Sol,
}

impl Asset {
    pub const ALL: [Self; 3] = [Self::Dollar, Self::WithFee, Self::Sol];

    pub const fn mint(self) -> Option<SolanaAddress> {
        match self {
            Self::Dollar => Some(SolanaAddress::new([0x61; 32])),
            Self::WithFee => Some(SolanaAddress::new([0x62; 32])),
            Self::Sol => None,
        }
    }

    fn program(self) -> SolanaAddress {
        match self {
            Self::Dollar => programs::TOKEN,
            Self::WithFee => programs::TOKEN_2022,
            Self::Sol => programs::SYSTEM,
        }
    }

    pub const fn decimals(self) -> u8 {
        match self {
            Self::Dollar | Self::WithFee => 6,
            Self::Sol => 9,
        }
    }

    /// Base units worth a thousandth of a dollar.
    pub const fn units_of_a_milli(self) -> u64 {
        10_u64.pow(self.decimals() as u32 - 3)
    }

    /// What arrives of a transfer.
    pub fn net(self, units: u64) -> u64 {
        match self {
            Self::Dollar | Self::Sol => units,
            Self::WithFee => units - units.div_ceil(100),
        }
    }

    /// Where a wallet takes it.
    pub fn account_of(self, wallet: SolanaAddress) -> SolanaAddress {
        /// An account is the result of a search, and each is asked for again and again.
        static KNOWN: LazyLock<Mutex<HashMap<(SolanaAddress, Asset), SolanaAddress>>> = LazyLock::new(Mutex::default);

        let Some(mint) = self.mint() else { return wallet };
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry((wallet, self)).or_insert_with(|| associated_token_account(wallet, mint, self.program()))
    }
}

/// How a transaction does what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Plain,
    /// By a program that calls others.
    Inner,
    /// With the receiver's accounts and references in a lookup table.
    Table,
}

/// A transaction that was signed.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its signature.
    pub name: String,
    pub signer: SolanaAddress,
    /// Whom it pays, or who takes from himself if it is the signer.
    pub wallet: SolanaAddress,
    /// What is sent of each asset, in base units.
    pub sends: BTreeMap<Asset, u64>,
    pub references: Vec<SolanaAddress>,
    pub memos: Vec<String>,
    pub shape: Shape,
    /// It moves nothing, and costs its fee.
    pub fails: bool,
    accounts: Accounts,
}

/// What a transaction names, and where.
#[derive(Clone, Debug)]
struct Accounts {
    own: Vec<SolanaAddress>,
    /// From a lookup table.
    writable: Vec<SolanaAddress>,
    readonly: Vec<SolanaAddress>,
    all: Vec<SolanaAddress>,
}

/// What a transaction is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    pub signer: SolanaAddress,
    pub wallet: SolanaAddress,
    pub sends: BTreeMap<Asset, u64>,
    pub references: Vec<SolanaAddress>,
    pub memos: Vec<String>,
    pub shape: Shape,
    pub fails: bool,
}

impl Transaction {
    /// Signs a transaction; `nonce` makes it another one.
    pub fn sign(plan: Plan, nonce: &[u8]) -> Self {
        let half = |part: u8| keccak256([nonce, &[part]].concat()).0;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half(0));
        signature[32..].copy_from_slice(&half(1));
        let accounts = Accounts::of(&plan);
        let Plan { signer, wallet, sends, references, memos, shape, fails } = plan;
        let name = Signature::new(signature).to_string();
        Self { name, signer, wallet, sends, references, memos, shape, fails, accounts }
    }

    /// What it brings to its wallet, if it is not that which spends.
    pub fn arrivals(&self) -> impl Iterator<Item = (Asset, u64)> {
        let is_payment = !self.fails && self.signer != self.wallet;
        self.sends.iter().filter(move |_| is_payment).map(|(asset, units)| (*asset, asset.net(*units)))
    }

    /// What it does to whose account, whatever comes of it.
    fn changes(&self) -> Vec<(SolanaAddress, i128)> {
        let mut changes = vec![(self.signer, -FEE)];
        let (from, to) =
            if self.signer == self.wallet { (self.wallet, self.other()) } else { (self.signer, self.wallet) };
        for (asset, units) in self.sends.iter().filter(|_| !self.fails) {
            changes.push((asset.account_of(from), -i128::from(*units)));
            changes.push((asset.account_of(to), i128::from(asset.net(*units))));
        }
        changes
    }

    /// Where the other one is: who is paid from the wallet that signs, else who signs.
    fn other(&self) -> SolanaAddress {
        if self.signer == self.wallet { SolanaAddress::new([0x6f; 32]) } else { self.signer }
    }
}

impl Accounts {
    fn of(plan: &Plan) -> Self {
        let stranger = SolanaAddress::new([0x6f; 32]);
        let other = if plan.signer == plan.wallet { stranger } else { plan.signer };
        let (mut own, mut writable, mut readonly) = (vec![plan.signer], Vec::new(), Vec::new());
        for asset in plan.sends.keys() {
            own.push(asset.account_of(other));
            writable.push(asset.account_of(plan.wallet));
            own.extend(asset.mint());
            own.push(asset.program());
        }
        readonly.extend(&plan.references);
        if !plan.memos.is_empty() {
            own.push(programs::MEMO[1]);
        }
        if plan.shape == Shape::Inner {
            own.push(SolanaAddress::new([0x70; 32]));
        }
        if plan.shape != Shape::Table {
            own.append(&mut writable);
            own.append(&mut readonly);
        }
        let mut known = HashSet::new();
        for list in [&mut own, &mut writable, &mut readonly] {
            list.retain(|account| known.insert(*account));
        }
        let all = own.iter().chain(&writable).chain(&readonly).copied().collect();
        Self { own, writable, readonly, all }
    }

    fn place(&self, account: SolanaAddress) -> usize {
        self.all.iter().position(|named| *named == account).expect("it names what it uses")
    }
}

#[derive(Clone, Debug)]
pub struct Block {
    pub slot: u64,
    /// The slot of the block before it, which it was built on.
    parent: u64,
    pub time: i64,
    pub transactions: Vec<Transaction>,
}

/// How a host misbehaves.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own, and any may come with any other")]
pub struct Faults {
    /// It does not list some of what is not final.
    pub hides: bool,
    /// It never lists some transactions, final or not, and serves them.
    pub omits: bool,
    /// It lists some transactions and does not serve them.
    pub withholds: bool,
    /// It knows no times of blocks that are not final, but of the newest.
    pub is_timeless: bool,
    /// It is so many blocks behind.
    pub lags: usize,
    /// Of ten calls so many are declined.
    pub declines: u64,
    /// It declines this method.
    pub lacks: Option<&'static str>,
    /// It lists everything twice.
    pub repeats: bool,
    /// It lists so many at most, however many were asked for.
    pub most_listed: Option<usize>,
}

/// What the chain does while it is read.
#[derive(Clone, Copy, Debug)]
pub enum Surprise {
    Block,
    /// What was in the newest blocks lands in another one, in another order.
    Fork,
}

pub struct Chain {
    number: u64,
    state: Mutex<State>,
    /// How many calls there were.
    calls: watch::Sender<u64>,
}

struct State {
    /// Accounts that can be asked for, and what they hold.
    accounts: HashMap<SolanaAddress, Asset>,
    canonical: Vec<Block>,
    /// So many of them are final, and stay it.
    final_blocks: usize,
    /// No slot comes twice, but with the branch that it was on.
    next_slot: u64,
    faults: [Faults; 2],
    /// What happens, after how many calls.
    surprise: Option<(u64, Surprise)>,
    /// Calls by method.
    asked: BTreeMap<String, u64>,
}

impl Chain {
    pub fn new(number: u64, time: i64) -> Self {
        let first = Block { slot: 1_000, parent: 999, time, transactions: Vec::new() };
        let state = State {
            accounts: HashMap::new(),
            canonical: vec![first],
            final_blocks: 1,
            next_slot: 1_001,
            faults: <[Faults; 2]>::default(),
            surprise: None,
            asked: BTreeMap::new(),
        };
        Self { number, state: Mutex::new(state), calls: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a wallet's accounts be asked for.
    pub fn know(&self, wallet: SolanaAddress) {
        self.state().accounts.extend(Asset::ALL.map(|asset| (asset.account_of(wallet), asset)));
    }

    /// Adds a block after so many slots without one.
    pub fn mine(&self, time: i64, skipped: u64, transactions: Vec<Transaction>) {
        self.state().mine(time, skipped, transactions);
    }

    /// Takes so many blocks off the chain, but none that is final; returns them.
    pub fn drop_blocks(&self, count: usize) -> Vec<Block> {
        self.state().drop_blocks(count)
    }

    /// The same, as no chain may do it.
    pub fn drop_final_blocks(&self, count: usize) {
        let mut state = self.state();
        state.final_blocks = 1;
        drop(state.drop_blocks(count));
    }

    /// Puts blocks back that were taken off, if they still fit.
    pub fn restore(&self, blocks: Vec<Block>) {
        let mut state = self.state();
        let Some(first) = blocks.first() else { return };
        let Some(parent) = state.canonical.iter().position(|block| block.slot == first.parent) else { return };
        if state.final_blocks <= parent + 1 {
            state.canonical.truncate(parent + 1);
            state.canonical.extend(blocks);
            state.finalize();
        }
    }

    pub fn set_faults(&self, host: usize, faults: Faults) {
        self.state().faults[host] = faults;
    }

    pub fn surprise_after(&self, calls: u64, surprise: Surprise) {
        self.state().surprise = Some((calls, surprise));
    }

    pub fn forget_surprise(&self) {
        self.state().surprise = None;
    }

    pub fn blocks(&self) -> Vec<Block> {
        self.state().canonical.clone()
    }

    pub fn newest_slot(&self) -> u64 {
        self.state().newest().slot
    }

    /// Returns once that many more calls were answered.
    pub async fn is_asked(&self, more: u64) {
        let mut calls = self.calls.subscribe();
        let until = *calls.borrow() + more;
        calls.wait_for(|calls| until <= *calls).await.expect("the chain is there");
    }

    /// How often each method was called since this was last asked.
    pub fn asked(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.state().asked)
    }

    /// What a host says.
    pub fn answer(&self, host: usize, call: &Value) -> Answer {
        let number = self.calls.borrow().wrapping_add(1);
        self.calls.send_replace(number);
        let mut state = self.state();
        let method = call["method"].as_str().unwrap_or_default();
        *state.asked.entry(method.to_owned()).or_default() += 1;
        state.be_surprising();
        let faults = state.faults[host];
        // Whoever is asked for that must not be given up for long.
        let is_asked_who = method == "getGenesisHash";
        let is_lacking = faults.lacks == Some(method);
        if is_lacking || !is_asked_who && chance(&number.to_be_bytes(), 10) < faults.declines {
            return Err((-32005, "try again"));
        }
        let seen = state.canonical.len().saturating_sub(faults.lags).max(1);
        let final_blocks = state.final_blocks.min(seen.saturating_sub(FINAL_AFTER)).max(1);
        let State { canonical, accounts, .. } = &*state;
        let view = View { number: self.number, host, accounts, blocks: &canonical[..seen], final_blocks, faults };
        view.answer(method, &call["params"])
    }
}

/// A number below `end` that follows from what is given.
fn chance(of: &[u8], end: u64) -> u64 {
    u64::from(keccak256(of)[0]) % end
}

/// Whether a transaction is of those that a host hides, leaves out and withholds, if it does any of it.
pub fn is_unlucky(host: usize, signature: &str) -> bool {
    chance(&[signature.as_bytes(), &[u8::from(host == 1)]].concat(), 3) == 0
}

impl State {
    fn newest(&self) -> &Block {
        self.canonical.last().expect("there is a first block")
    }

    fn finalize(&mut self) {
        self.final_blocks = self.final_blocks.max(self.canonical.len().saturating_sub(FINAL_AFTER));
    }

    /// No chain takes a transaction twice, be it in one block, nor one that is too old.
    fn mine(&mut self, time: i64, skipped: u64, mut transactions: Vec<Transaction>) {
        let mut known: HashSet<String> = self
            .canonical
            .iter()
            .rev()
            .take(BLOCKHASH_LIFE)
            .flat_map(|block| &block.transactions)
            .map(|transaction| transaction.name.clone())
            .collect();
        transactions.retain(|transaction| known.insert(transaction.name.clone()));
        let (parent, time) = (self.newest().slot, time.max(self.newest().time));
        let slot = self.next_slot + skipped;
        self.next_slot = slot + 1;
        self.canonical.push(Block { slot, parent, time, transactions });
        self.finalize();
    }

    fn drop_blocks(&mut self, count: usize) -> Vec<Block> {
        let left = self.canonical.len().saturating_sub(count).max(self.final_blocks);
        self.canonical.split_off(left)
    }

    fn be_surprising(&mut self) {
        let Some((calls, surprise)) = self.surprise.take() else { return };
        if 0 < calls {
            self.surprise = Some((calls - 1, surprise));
            return;
        }
        let time = self.newest().time;
        let transactions = match surprise {
            Surprise::Block => Vec::new(),
            Surprise::Fork => {
                let dropped = self.drop_blocks(2);
                dropped.into_iter().flat_map(|block| block.transactions).rev().collect()
            }
        };
        self.mine(time, 0, transactions);
    }
}

/// The chain as a host sees it.
struct View<'b> {
    number: u64,
    host: usize,
    accounts: &'b HashMap<SolanaAddress, Asset>,
    blocks: &'b [Block],
    /// So many of them.
    final_blocks: usize,
    faults: Faults,
}

fn blockhash(slot: u64) -> SolanaAddress {
    SolanaAddress::new(keccak256([&BLOCKHASHES[..], &slot.to_be_bytes()].concat()).0)
}

/// What a node says of how a transaction ended.
fn error_of(transaction: &Transaction) -> Value {
    if transaction.fails { json!({ "InstructionError": [0, { "Custom": 1 }] }) } else { Value::Null }
}

impl View<'_> {
    fn answer(&self, method: &str, params: &Value) -> Answer {
        let newest = self.blocks.last().ok_or(NO_BLOCK)?;
        let as_of = |value: Value| Ok(json!({ "context": { "slot": newest.slot }, "value": value }));
        match method {
            "getGenesisHash" => Ok(json!(blockhash(self.number))),
            "getLatestBlockhash" => {
                let height = self.blocks.len() + BLOCKHASH_LIFE;
                as_of(json!({ "blockhash": blockhash(newest.slot), "lastValidBlockHeight": height }))
            }
            "getSlot" if params[0]["commitment"] == "finalized" => Ok(json!(self.blocks[self.final_blocks - 1].slot)),
            "getSlot" => Ok(json!(newest.slot)),
            "getBlockTime" => {
                let block = self.blocks.iter().rev().find(|block| json!(block.slot) == params[0]);
                block.map(|block| json!(block.time)).ok_or(NO_BLOCK)
            }
            "getSignaturesForAddress" => self.list(&params[0], &params[1]),
            "getTransaction" => {
                let signature = params[0].as_str().unwrap_or_default();
                let is_withheld = self.faults.withholds && self.is_unlucky(signature);
                let found = self.find(signature).filter(|_| !is_withheld);
                Ok(found.map_or(Value::Null, |(place, transaction)| self.tell(place, transaction)))
            }
            "getSignatureStatuses" => {
                let asked = params[0].as_array().into_iter().flatten().filter_map(Value::as_str);
                as_of(asked.map(|signature| self.status(signature)).collect())
            }
            "getMultipleAccounts" => self.accounts(&params[0], &params[1]),
            // Every account is there.
            "getAccountInfo" => as_of(json!({ "lamports": 2_039_280, "data": ["", "base64"] })),
            _ => Err((-32601, "Method not found")),
        }
    }

    fn is_unlucky(&self, signature: &str) -> bool {
        is_unlucky(self.host, signature)
    }

    fn is_final(&self, place: usize) -> bool {
        place < self.final_blocks
    }

    fn commitment(&self, place: usize) -> &'static str {
        if self.is_final(place) { "finalized" } else { "confirmed" }
    }

    fn time(&self, place: usize) -> Option<i64> {
        (!self.faults.is_timeless || self.is_final(place)).then_some(self.blocks[place].time)
    }

    fn find(&self, signature: &str) -> Option<(usize, &Transaction)> {
        self.blocks.iter().enumerate().rev().find_map(|(place, block)| {
            let is_it = |transaction: &&Transaction| transaction.name == signature;
            block.transactions.iter().find(is_it).map(|transaction| (place, transaction))
        })
    }

    fn status(&self, signature: &str) -> Value {
        let Some((place, transaction)) = self.find(signature) else { return Value::Null };
        let confirmations = (!self.is_final(place)).then_some(self.blocks.len() - place - 1);
        json!({ "slot": self.blocks[place].slot, "confirmations": confirmations, "err": error_of(transaction),
            "confirmationStatus": self.commitment(place) })
    }

    /// What accounts hold that are asked for, after the newest block, or the newest that is final.
    fn accounts(&self, asked: &Value, options: &Value) -> Answer {
        let blocks = match options["commitment"].as_str() {
            Some("finalized") => self.final_blocks,
            Some("confirmed") => self.blocks.len(),
            other => panic!("{other:?} is no commitment that is asked for"),
        };
        let newest = &self.blocks[blocks - 1];
        if options["minContextSlot"].as_u64().is_some_and(|least| newest.slot < least) {
            return Err(TOO_EARLY);
        }
        let held = self.held_before(blocks, 0);
        let answers = asked.as_array().into_iter().flatten().map(|address| {
            let address: SolanaAddress = address.as_str().and_then(|text| text.parse().ok()).expect("it is one");
            let asset = self.accounts[&address];
            let held = held.get(&address).copied().unwrap_or(HELD);
            let (lamports, data) = match asset {
                Asset::Sol => (held, Vec::new()),
                Asset::Dollar | Asset::WithFee => (2_039_280, u64::try_from(held).unwrap().to_le_bytes().to_vec()),
            };
            json!({ "lamports": u64::try_from(lamports).unwrap(), "owner": asset.program(), "executable": false,
                "data": [STANDARD.encode(data), "base64"], "space": 165 })
        });
        Ok(json!({ "context": { "slot": newest.slot }, "value": answers.collect::<Vec<_>>() }))
    }

    /// What each account that something happened to held before a transaction of a block.
    fn held_before(&self, place: usize, position: usize) -> HashMap<SolanaAddress, i128> {
        let mut held = HashMap::new();
        let in_block = self.blocks.get(place).map(|block| &block.transactions[..position]).unwrap_or_default();
        let before = self.blocks[..place].iter().flat_map(|block| &block.transactions).chain(in_block);
        for (account, change) in before.flat_map(Transaction::changes) {
            *held.entry(account).or_insert(HELD) += change;
        }
        held
    }

    /// The newest first.
    fn list(&self, account: &Value, options: &Value) -> Answer {
        let account: SolanaAddress = account.as_str().and_then(|text| text.parse().ok()).ok_or((-32602, "Invalid"))?;
        if options["minContextSlot"]
            .as_u64()
            .is_some_and(|least| self.blocks.last().is_none_or(|block| block.slot < least))
        {
            return Err(TOO_EARLY);
        }
        let signature = |option: &str| options[option].as_str();
        let (mut before, until) = (signature("before"), signature("until"));
        let asked = usize::try_from(options["limit"].as_u64().unwrap_or(1_000)).unwrap_or(1_000);
        let most = self.faults.most_listed.unwrap_or(asked).min(asked);
        let mut list = Vec::new();
        let newest_first = self.blocks.iter().enumerate().rev();
        let newest_first = newest_first.flat_map(|(place, block)| {
            block.transactions.iter().rev().map(move |transaction| (place, block, transaction))
        });
        for (place, block, transaction) in newest_first {
            if !transaction.accounts.all.contains(&account) {
                continue;
            }
            let name = transaction.name.as_str();
            if until == Some(name) || list.len() == most {
                break;
            }
            if let Some(last) = before {
                before = (last != name).then_some(last);
                continue;
            }
            let hides = self.faults.hides && !self.is_final(place);
            if (hides || self.faults.omits) && self.is_unlucky(name) {
                continue;
            }
            let memos: Vec<String> = transaction.memos.iter().map(|memo| format!("[{}] {memo}", memo.len())).collect();
            let memo = (!memos.is_empty()).then(|| memos.join("; "));
            let entry = json!({ "signature": name, "slot": block.slot, "err": error_of(transaction), "memo": memo,
                "blockTime": self.time(place), "confirmationStatus": self.commitment(place) });
            if self.faults.repeats && list.len() + 1 < most {
                list.push(entry.clone());
            }
            list.push(entry);
        }
        Ok(Value::Array(list))
    }

    /// A whole transaction.
    fn tell(&self, place: usize, transaction: &Transaction) -> Value {
        let Transaction { accounts, shape, memos, .. } = transaction;
        let block = &self.blocks[place];
        let mut instructions: Vec<Value> = memos
            .iter()
            .map(|memo| {
                json!({ "programIdIndex": accounts.place(programs::MEMO[1]), "accounts": [],
                "data": bs58::encode(memo).into_string() })
            })
            .collect();
        for asset in transaction.sends.keys() {
            instructions.push(json!({ "programIdIndex": accounts.place(asset.program()),
                "accounts": [accounts.place(asset.account_of(transaction.other())),
                    accounts.place(asset.account_of(transaction.wallet))],
                "data": "3" }));
        }
        let mut inner = Vec::new();
        if *shape == Shape::Inner {
            let outer = json!({ "programIdIndex": accounts.place(SolanaAddress::new([0x70; 32])), "accounts": [], "data": "4" });
            inner.push(json!({ "index": 0, "instructions": std::mem::replace(&mut instructions, vec![outer]) }));
        }
        let position = block.transactions.iter().position(|known| known.name == transaction.name);
        let balances = Balances::of(transaction, &self.held_before(place, position.unwrap_or_default()));
        json!({
            "slot": block.slot,
            "blockTime": self.time(place),
            "version": if *shape == Shape::Table { json!(0) } else { json!("legacy") },
            "meta": {
                "err": error_of(transaction), "fee": 5_000, "innerInstructions": inner,
                "loadedAddresses": { "writable": accounts.writable, "readonly": accounts.readonly },
                "preBalances": balances.lamports[0], "postBalances": balances.lamports[1],
                "preTokenBalances": balances.tokens[0], "postTokenBalances": balances.tokens[1],
            },
            "transaction": {
                "signatures": [transaction.name],
                "message": {
                    "accountKeys": accounts.own,
                    "header": { "numRequiredSignatures": 1, "numReadonlySignedAccounts": 0, "numReadonlyUnsignedAccounts": 1 },
                    "instructions": instructions,
                    "recentBlockhash": blockhash(block.parent),
                },
            },
        })
    }
}

/// Balances before and after a transaction.
struct Balances {
    lamports: [Vec<u64>; 2],
    tokens: [Vec<Value>; 2],
}

impl Balances {
    fn of(transaction: &Transaction, held: &HashMap<SolanaAddress, i128>) -> Self {
        let Transaction { accounts, sends, wallet, signer, .. } = transaction;
        let changes = transaction.changes();
        let around = |account: SolanaAddress| {
            let before = held.get(&account).copied().unwrap_or(HELD);
            let more: i128 = changes.iter().filter(|(of, _)| *of == account).map(|(_, change)| change).sum();
            [before, before + more].map(|amount| u64::try_from(amount).expect("nobody spends what he has not"))
        };
        let is_token = |account: &SolanaAddress| {
            let tokens = sends.keys().filter(|asset| asset.mint().is_some());
            let mut of_tokens = tokens.flat_map(|asset| [*wallet, transaction.other()].map(|of| asset.account_of(of)));
            of_tokens.any(|of| of == *account)
        };
        let lamports =
            accounts.all.iter().map(|account| if is_token(account) { [2_039_280; 2] } else { around(*account) });
        let (before, after) = lamports.map(|[before, after]| (before, after)).unzip();
        let mut tokens = [Vec::new(), Vec::new()];
        let is_spending = signer == wallet;
        for asset in sends.keys() {
            let (from, to) = if is_spending { (*wallet, transaction.other()) } else { (*signer, *wallet) };
            let Some(mint) = asset.mint() else { continue };
            for owner in [from, to] {
                let account = asset.account_of(owner);
                for (balances, amount) in tokens.iter_mut().zip(around(account)) {
                    balances.push(json!({
                        "accountIndex": accounts.place(account), "mint": mint, "owner": owner,
                        "programId": asset.program(),
                        "uiTokenAmount": { "amount": amount.to_string(), "decimals": asset.decimals(),
                            "uiAmount": null, "uiAmountString": "" },
                    }));
                }
            }
        }
        Self { lamports: [before, after], tokens }
    }
}

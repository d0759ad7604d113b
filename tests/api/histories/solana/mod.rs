//! Histories on Solana.
//!
//! From a seed follow slots without a block, forks before blocks are final, which lose transactions or bring them back, hosts that
//! hide, withhold, lag, repeat, decline and answer less than was asked for, and a chain that moves while it is read. Watchers
//! die anywhere in a step. Payers pay in parts, too late, too much, in SOL and in tokens, through programs and lookup tables,
//! and say whose it is by reference, memo or amount, or not at all; sometimes the merchant says it. What nobody says is
//! unattributed, once. A host may hide what is not final for a while, and of some histories one host never lists some of what is
//! final, while it lists what is newer: what the accounts hold gives it away.

pub mod chain;
mod found;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use alloy_primitives::keccak256;
use domain::{
    finality::Finality,
    id::{InvoiceId, MerchantId, PaymentId, TokenId},
    invoice::InvoiceStatus,
};
use futures_util::future::{Either, join_all, select};
use pepay::{
    chains::{Step, solana::Watcher},
    clock::TestClock,
    invoicing::{self, Case},
    solana::SolanaAddress,
    store::{UnattributedPart, UnattributedRecord},
};
use serde_json::{Value, json};

use self::chain::{Asset, Block, Chain, FINAL_AFTER, Faults, Plan, Shape, Surprise, Transaction};
use super::{
    DUE, Server, Wrong,
    hosts::{self, Answer},
    judge_histories,
};
use crate::{plain_invoice, random::Random};

const ROUNDS: usize = 25;
/// Of one merchant with one wallet: which of them a payment is for has to be found out.
const INVOICES: usize = 2;
/// Slots in which a transaction that vanished might come back, and more.
const UNTIL_GONE: u64 = 200;
/// A thousandth of these is the smallest unit that anything is paid in.
const NANOS_OF_A_MILLI: u128 = 1_000_000;
const PAYER: SolanaAddress = SolanaAddress::new([0xaa; 32]);
/// Worth less than this many thousandths, it is nobody's payment.
const DUST_BELOW: u128 = 50;

fn token_of(seed: u64, asset: Asset) -> TokenId {
    TokenId(i64::try_from(3 * seed).unwrap() + asset as i64)
}

struct History {
    seed: u64,
    random: Random,
    network: String,
    chain: Arc<Chain>,
    watcher: Watcher,
    merchant: MerchantId,
    wallet: SolanaAddress,
    invoices: Vec<Order>,
    /// Sent, and in no block yet.
    waiting: Vec<Transaction>,
    /// A branch that was left.
    left: Vec<Block>,
    /// How many were sent before each, by name.
    sent: HashMap<String, u64>,
    /// What the merchant said of payments that nothing else tells of.
    attached: BTreeMap<(String, Asset), usize>,
    /// The host that never lists some transactions, whatever else it does.
    omitter: Option<usize>,
}

/// An invoice, and what its payer was told.
struct Order {
    id: InvoiceId,
    reference: Option<SolanaAddress>,
    /// With how many transactions had been sent by then.
    quotes: Vec<Quoted>,
}

struct Quoted {
    asset: Asset,
    units: u64,
    sent_before: u64,
}

/// What the canonical chain says of an arrival.
struct Arrival {
    slot: u64,
    time: i64,
    units: u64,
    /// Whose it may be. What says it may have become known between two looks at the same transaction.
    may_be_of: BTreeSet<Option<usize>>,
}

/// Opens a server with a network for each history.
async fn start(seeds: &[u64]) -> (Server, Vec<History>) {
    let clock = TestClock::still();
    let now = pepay::clock::Clock::now(&clock.clock()).0;
    let chains: HashMap<u64, Arc<Chain>> = seeds.iter().map(|seed| (*seed, Arc::new(Chain::new(*seed, now)))).collect();
    let urls = hosts::serve(&chains, Chain::answer).await.urls;
    let networks = seeds.iter().map(|seed| {
        let token = |asset: Asset, symbol: &str| {
            json!({ "id": token_of(*seed, asset).0, "symbol": symbol, "name": symbol, "decimals": asset.decimals(),
                "price": "par" })
        };
        let mut tokens = [token(Asset::Dollar, "USDX"), token(Asset::WithFee, "FUSD"), token(Asset::Sol, "SOL")];
        tokens[0]["mint"] = json!(Asset::Dollar.mint());
        tokens[1]["mint"] = json!(Asset::WithFee.mint());
        tokens[1]["program"] = json!("token-2022");
        json!({
            "name": format!("solana-{seed}"), "kind": "solana", "title": "Solana", "chain_id": 0,
            "rpc": urls.each_ref().map(|url| format!("{url}/{seed}")),
            "paid_after": 1, "final_after": 32, "final_tag": "finalized", "tokens": tokens,
        })
    });
    let server = Server::open(clock, networks.collect::<Vec<Value>>()).await;
    let mut histories = Vec::with_capacity(seeds.len());
    for seed in seeds {
        histories.push(History::begin(&server, *seed, Arc::clone(&chains[seed])).await);
    }
    (server, histories)
}

impl History {
    async fn begin(server: &Server, seed: u64, chain: Arc<Chain>) -> Self {
        let mut random = Random(seed);
        let mut wallet = keccak256(seed.to_be_bytes());
        while !SolanaAddress::new(wallet.0).is_on_curve() {
            wallet = keccak256(wallet);
        }
        let wallet = SolanaAddress::new(wallet.0);
        chain.know(wallet);
        let merchant = server.add_merchant(Some(wallet)).await;
        let mut invoices = Vec::with_capacity(INVOICES);
        for _ in 0..INVOICES {
            let expires_in_ms = i64::try_from(60_000 * (2 + random.below(15))).unwrap();
            let invoice = plain_invoice::create(&server.app, merchant, DUE, expires_in_ms).await;
            invoices.push(Order { id: invoice.id, reference: None, quotes: Vec::new() });
        }
        let network = format!("solana-{seed}");
        let watcher = new_watcher(server, &network, seed).await;
        let mut history = Self {
            seed,
            random,
            network,
            chain,
            watcher,
            merchant,
            wallet,
            invoices,
            waiting: Vec::new(),
            left: Vec::new(),
            sent: HashMap::new(),
            attached: BTreeMap::new(),
            omitter: None,
        };
        history.quote(server, 0, Asset::Dollar).await;
        history
    }

    /// A quote, if there can be one now: what is paid or over has none.
    async fn quote(&mut self, server: &Server, invoice: usize, asset: Asset) {
        let (order, token) = (&mut self.invoices[invoice], token_of(self.seed, asset));
        let chosen = invoicing::choose(&server.app, self.merchant, order.id, &self.network, token).await;
        let Ok(chosen) = chosen else { return };
        order.reference = chosen.record.reference;
        let (units, sent_before) = (chosen.record.quote.amount.base_units().to(), self.sent.len() as u64);
        order.quotes.push(Quoted { asset, units, sent_before });
    }

    async fn act(&mut self, server: &Server) {
        match self.random.below(24) {
            0..=4 => self.pay(),
            5..=8 => self.mine(server),
            9 => self.fork(server),
            10 | 11 => {
                let invoice = self.any_invoice();
                let asset = self.any_asset();
                self.quote(server, invoice, asset).await;
            }
            12 | 13 => self.misbehave(),
            14 => self.die(server).await,
            15 => self.attach(server).await,
            // Leaders are away for long, and nobody looks.
            16 => {
                let skipped = 50 + self.random.below(400);
                self.chain.mine(server.now(), skipped, Vec::new());
                self.mine(server);
            }
            17 => {
                let surprise = if self.random.one_in(2) { Surprise::Block } else { Surprise::Fork };
                self.chain.surprise_after(self.random.below(12), surprise);
            }
            _ => {
                for _ in 0..=self.random.below(3) {
                    // It may fail, but never for good.
                    let _failed = self.watcher.step().await;
                }
            }
        }
    }

    fn any_invoice(&mut self) -> usize {
        usize::try_from(self.random.below(INVOICES as u64)).unwrap_or_default()
    }

    fn any_asset(&mut self) -> Asset {
        match self.random.below(5) {
            0 => Asset::WithFee,
            1 => Asset::Sol,
            _ => Asset::Dollar,
        }
    }

    /// A transaction of somebody who pays, or of the merchant who spends.
    fn pay(&mut self) {
        let mut sends = BTreeMap::new();
        for _ in 0..=u64::from(self.random.one_in(8)) {
            let asset = self.any_asset();
            sends.insert(asset, self.any_units(asset));
        }
        let (mut references, mut memos) = (Vec::new(), Vec::new());
        for invoice in 0..INVOICES {
            references.extend(self.invoices[invoice].reference.filter(|_| self.random.one_in(3)));
            if self.random.one_in(4) {
                memos.push(self.invoices[invoice].id.to_string());
            }
        }
        if self.random.one_in(8) {
            memos.push("Thank you".to_owned());
        }
        let plan = Plan {
            signer: if self.random.one_in(12) { self.wallet } else { PAYER },
            wallet: self.wallet,
            sends,
            references,
            memos,
            shape: match self.random.below(4) {
                0 => Shape::Inner,
                1 => Shape::Table,
                _ => Shape::Plain,
            },
            fails: self.random.one_in(10),
        };
        self.send(plan);
    }

    /// Signs a transaction, which waits for a block.
    fn send(&mut self, plan: Plan) -> String {
        let before = self.sent.len() as u64;
        let transaction = Transaction::sign(plan, &[self.seed.to_be_bytes(), before.to_be_bytes()].concat());
        let name = transaction.name.clone();
        self.sent.insert(name.clone(), before);
        self.waiting.push(transaction);
        name
    }

    /// Half a dollar, of which nothing but these memos says whose it is.
    fn half_a_dollar(&self, memos: &[String]) -> Plan {
        Plan {
            signer: PAYER,
            wallet: self.wallet,
            sends: BTreeMap::from([(Asset::Dollar, 500 * Asset::Dollar.units_of_a_milli())]),
            references: Vec::new(),
            memos: memos.to_vec(),
            shape: Shape::Plain,
            fails: false,
        }
    }

    /// What somebody was asked for, half a dollar to 26 dollars, or dust.
    fn any_units(&mut self, asset: Asset) -> u64 {
        let asked = self.invoices.iter().flat_map(|order| &order.quotes).filter(|quoted| quoted.asset == asset);
        let asked: Vec<u64> = asked.map(|quoted| quoted.units).collect();
        let milli = asset.units_of_a_milli();
        match self.random.below(16) {
            0 => (1 + self.random.below(60)) * milli,
            1..=6 if !asked.is_empty() => {
                asked[usize::try_from(self.random.below(asked.len() as u64)).unwrap_or_default()]
            }
            _ => (1 + self.random.below(52)) * 500 * milli,
        }
    }

    fn mine(&mut self, server: &Server) {
        for _ in 0..=self.random.below(3) {
            let now = if self.random.one_in(3) { self.waiting.len() } else { self.waiting.len().min(1) };
            let transactions = self.waiting.drain(..now).collect();
            self.chain.mine(server.now(), self.random.below(3), transactions);
        }
    }

    /// Replaces some blocks, none of them final. What was in them is lost, waits again, or comes back at once in another
    /// order.
    fn fork(&mut self, server: &Server) {
        if !self.left.is_empty() && self.random.one_in(3) {
            self.chain.restore(std::mem::take(&mut self.left));
            return;
        }
        let depth = 1 + self.random.below(FINAL_AFTER as u64 - 2);
        let dropped = self.chain.drop_blocks(usize::try_from(depth).unwrap_or_default());
        let mut transactions: Vec<Transaction> = dropped.iter().flat_map(|block| block.transactions.clone()).collect();
        self.left = dropped;
        match self.random.below(3) {
            0 => {}
            1 => self.waiting.extend(transactions),
            _ => {
                transactions.reverse();
                self.chain.mine(server.now(), 0, transactions);
            }
        }
        for _ in 0..self.random.below(depth + 2) {
            self.chain.mine(server.now(), 0, Vec::new());
        }
    }

    /// One host hides and withholds; both lag, repeat and decline.
    fn misbehave(&mut self) {
        let liar = usize::from(self.random.one_in(2));
        for host in 0..2 {
            let is_liar = host == liar;
            let faults = Faults {
                hides: is_liar && self.random.one_in(3),
                omits: self.omitter == Some(host),
                withholds: is_liar && self.random.one_in(3),
                is_timeless: self.random.one_in(4),
                lags: if self.random.one_in(3) { usize::try_from(self.random.below(4)).unwrap_or_default() } else { 0 },
                declines: if self.random.one_in(3) { self.random.below(5) } else { 0 },
                lacks: None,
                repeats: self.random.one_in(4),
                most_listed: self.random.one_in(4).then_some(3),
            };
            self.chain.set_faults(host, faults);
        }
    }

    /// All hosts are good again, but for what one of them never lists.
    fn behave(&self) {
        for host in 0..2 {
            self.chain.set_faults(host, Faults { omits: self.omitter == Some(host), ..Faults::default() });
        }
    }

    /// The watcher dies in a step, wherever it is by then.
    async fn die(&mut self, server: &Server) {
        let calls = 1 + self.random.below(16);
        let dies = Box::pin(self.chain.is_asked(calls));
        match select(Box::pin(self.watcher.step()), dies).await {
            Either::Left(_) | Either::Right(_) => {}
        }
        self.watcher = new_watcher(server, &self.network, self.seed).await;
    }

    /// The merchant says whose a payment is that nothing tells of.
    async fn attach(&mut self, server: &Server) {
        let unattributed = self.unattributed(server).await;
        let Some(came) = unattributed.first() else { return };
        let (invoice, payment) = (self.any_invoice(), came.payment());
        let id = self.invoices[invoice].id;
        self.say_whose(server, id, came, payment).await;
        self.attached.insert(self.key(came), invoice);
    }

    async fn say_whose(&self, server: &Server, id: InvoiceId, came: &UnattributedRecord, payment: PaymentId) {
        let (network, tx_id) = (self.network.clone(), came.tx_id.clone());
        let said = invoicing::attach(&server.app, self.merchant, id, network, tx_id, Some(payment)).await;
        if let Err(error) = said {
            panic!("history {}: {error}", self.seed);
        }
    }

    async fn unattributed(&self, server: &Server) -> Vec<UnattributedRecord> {
        let mut reader = server.app.store.reader().await.unwrap();
        reader.tx().unattributed(self.merchant, UnattributedPart::Newest, 1_000).await.unwrap().0
    }

    fn key(&self, came: &UnattributedRecord) -> (String, Asset) {
        (came.tx_id.clone(), self.asset_of(came.token))
    }

    fn asset_of(&self, token: TokenId) -> Asset {
        Asset::ALL.into_iter().find(|asset| token_of(self.seed, *asset) == token).expect("it is of this network")
    }

    /// All hosts are good again, and everything gets the time it takes.
    async fn rest(&mut self, server: &Server) {
        self.behave();
        self.chain.forget_surprise();
        self.finalize(server);
        self.come_to_rest(server).await;
    }

    /// Puts what waits into a block, and makes that final.
    fn finalize(&mut self, server: &Server) {
        let transactions = std::mem::take(&mut self.waiting);
        self.chain.mine(server.now(), UNTIL_GONE, transactions);
        for _ in 0..=FINAL_AFTER {
            self.chain.mine(server.now(), UNTIL_GONE / FINAL_AFTER as u64, Vec::new());
        }
    }

    /// Steps until all is read.
    async fn come_to_rest(&mut self, server: &Server) {
        // What a step records, other hosts are asked about in the next one.
        let mut steps_at_head = 0;
        for _ in 0..200 {
            match self.watcher.step().await {
                Ok(Step::Recorded { is_at_head: true }) if self.is_read(server).await => steps_at_head += 1,
                Ok(_) => {}
                // An endpoint that failed rests by the clock on the wall, which no test can move.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
            if steps_at_head == 2 {
                return;
            }
        }
        panic!("history {}: the watcher does not come to rest", self.seed);
    }

    async fn is_read(&self, server: &Server) -> bool {
        let mut reader = server.app.store.reader().await.unwrap();
        let cursor = reader.tx().cursor(&self.network).await.unwrap();
        cursor.is_some_and(|cursor| cursor.number == self.chain.newest_slot())
    }

    /// What follows from the canonical chain alone.
    fn arrivals(&self) -> BTreeMap<(String, Asset), Arrival> {
        let mut arrivals = BTreeMap::new();
        for block in self.chain.blocks() {
            for transaction in &block.transactions {
                for (asset, units) in transaction.arrivals() {
                    let may_be_of = self.owners(transaction, asset, units);
                    let arrival = Arrival { slot: block.slot, time: block.time, units, may_be_of };
                    arrivals.insert((transaction.name.clone(), asset), arrival);
                }
            }
        }
        arrivals
    }

    /// Whose a payment may be: by what the merchant said, else by its reference, else by its memo, else by its amount.
    fn owners(&self, transaction: &Transaction, asset: Asset, units: u64) -> BTreeSet<Option<usize>> {
        if let Some(invoice) = self.attached.get(&(transaction.name.clone(), asset)) {
            return BTreeSet::from([Some(*invoice)]);
        }
        let orders = || self.invoices.iter().enumerate();
        let is_named = |order: &Order| order.reference.is_some_and(|own| transaction.references.contains(&own));
        let by_reference: Vec<usize> =
            orders().filter(|(_, order)| is_named(order)).map(|(invoice, _)| invoice).collect();
        if let [invoice] = by_reference[..] {
            return BTreeSet::from([Some(invoice)]);
        }
        // An invoice is known here from its first quote on, and an amount from the quote that has it on.
        let sent = self.sent[&transaction.name];
        let mut owners = BTreeSet::new();
        for known_at in [sent, u64::MAX] {
            let quoted = |order: &Order| order.quotes.iter().any(|quoted| quoted.sent_before <= known_at);
            let named =
                orders().filter(|(_, order)| quoted(order) && transaction.memos.contains(&order.id.to_string()));
            let named: Vec<usize> = named.map(|(invoice, _)| invoice).collect();
            let asked = |order: &Order| {
                let is_it =
                    |quoted: &Quoted| quoted.asset == asset && quoted.units == units && quoted.sent_before <= known_at;
                order.quotes.iter().any(is_it)
            };
            owners.insert(match named[..] {
                [invoice] => Some(invoice),
                _ => orders().find(|(_, order)| asked(order)).map(|(invoice, _)| invoice),
            });
        }
        owners
    }

    async fn judge(&self, server: &Server) -> Vec<String> {
        let mut wrong = Wrong::new(self.seed);
        let mut arrivals = self.arrivals();
        let mut cases: Vec<Case> = Vec::new();
        let mut recorded = Vec::new();
        for (invoice, order) in self.invoices.iter().enumerate() {
            let case = server.case(self.merchant, order.id).await;
            for record in case.payments.iter().map(|payment| &payment.record).filter(|record| record.canonical) {
                let key = (record.tx_id.clone(), self.asset_of(record.token));
                recorded.push((key, record.block_number, record.amount, Some(invoice)));
                if record.finality != Finality::Final {
                    wrong.say(&format!("transaction {} is {:?} and not final", record.tx_id, record.finality));
                }
            }
            cases.push(case);
        }
        for came in self.unattributed(server).await {
            recorded.push((self.key(&came), came.block_number, came.amount, None));
        }
        // In thousandths of a millionth of a dollar.
        let mut credits = [0_u128; INVOICES];
        for (key, slot, amount, owner) in recorded {
            let (name, asset) = &key;
            let what = format!("what transaction {name} brought of {asset:?}");
            let Some(arrival) = arrivals.remove(&key) else {
                wrong.say(&format!("{what} is on the chain no more, or was recorded before"));
                continue;
            };
            wrong.check(&format!("the slot of {what}"), slot, arrival.slot);
            wrong.check(&format!("the amount of {what}"), amount.base_units(), arrival.units);
            if !arrival.may_be_of.contains(&owner) {
                wrong.say(&format!("{what} is of {owner:?}, not of one of {:?}", arrival.may_be_of));
            }
            match owner {
                Some(invoice) if arrival.time <= cases[invoice].invoice.terms.expires_at.0 => {
                    credits[invoice] += nanos(*asset, arrival.units);
                }
                None if is_dust(*asset, arrival.units) => {
                    wrong.say(&format!("{what} is dust, and recorded as nobody's"));
                }
                _ => {}
            }
        }
        for ((name, asset), arrival) in arrivals {
            if !(is_dust(asset, arrival.units) && arrival.may_be_of.contains(&None)) {
                wrong.say(&format!("what transaction {name} brought of {asset:?} in slot {} is lost", arrival.slot));
            }
        }
        for (case, nanos) in cases.iter().zip(credits) {
            let credit = u64::try_from(nanos / NANOS_OF_A_MILLI).unwrap();
            let status = match credit {
                credit if DUE <= credit => InvoiceStatus::Paid,
                _ if case.invoice.terms.expires_at.0 < server.now() => InvoiceStatus::Expired,
                credit if u128::from(credit) < DUST_BELOW => InvoiceStatus::Unpaid,
                _ => InvoiceStatus::Underpaid,
            };
            wrong.check_invoice(server, case, credit, status).await;
        }
        wrong.found
    }
}

fn nanos(asset: Asset, units: u64) -> u128 {
    u128::from(units) * NANOS_OF_A_MILLI / u128::from(asset.units_of_a_milli())
}

fn is_dust(asset: Asset, units: u64) -> bool {
    nanos(asset, units) < DUST_BELOW * NANOS_OF_A_MILLI
}

/// Every other one lists what holds something else than before, as one does that has many accounts.
async fn new_watcher(server: &Server, network: &str, seed: u64) -> Watcher {
    let lease = server.take_watch(network).await;
    let network = server.app.config.network(network).unwrap().clone();
    let watcher = Watcher::new(server.app.clone(), network, lease);
    if seed.is_multiple_of(2) { watcher.listing_all_of(0) } else { watcher }
}

async fn run(seeds: &[u64]) -> Vec<String> {
    let (server, mut histories) = start(seeds).await;
    for history in &mut histories {
        history.omitter = [None, Some(0), Some(1)][usize::try_from(history.seed % 3).unwrap()];
        history.behave();
    }
    let mut pace = Random(seeds[0]);
    for _ in 0..ROUNDS {
        join_all(histories.iter_mut().map(|history| history.act(&server))).await;
        server.clock.advance_seconds(i64::try_from(1 + pace.below(40)).unwrap_or(1));
        server.end_due_invoices().await;
    }
    // Hosts that disagreed are asked again after a minute at most, and wallets whose invoices ended long ago are looked at
    // once in one.
    for seconds in [61, 86_400] {
        join_all(histories.iter_mut().map(|history| history.rest(&server))).await;
        server.clock.advance_seconds(seconds);
        server.end_due_invoices().await;
        // By then no endpoint rests after its failures any more; but they do so by the clock on the wall, which did not move.
        for history in &mut histories {
            history.watcher = new_watcher(&server, &history.network, history.seed).await;
        }
    }
    join_all(histories.iter_mut().map(|history| history.rest(&server))).await;
    server.number_events().await;
    let judged = join_all(histories.iter().map(|history| history.judge(&server))).await;
    judged.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_invoices_and_wallet_say_what_the_chain_came_to() {
    judge_histories("Solana", run).await;
}

/// A judge that accepts everything proves nothing.
#[tokio::test]
async fn a_history_that_was_told_wrongly_is_found_out() {
    let (server, mut histories) = start(&[7]).await;
    let history = &mut histories[0];
    for memos in [vec![history.invoices[0].id.to_string()], Vec::new()] {
        history.send(history.half_a_dollar(&memos));
    }
    let sent = history.waiting.clone();
    history.rest(&server).await;
    assert_eq!(history.judge(&server).await, [""; 0]);

    // What belongs to nobody is said to be an invoice's.
    history.attached.insert((sent[1].name.clone(), Asset::Dollar), 1);
    assert_eq!(history.judge(&server).await.len(), 1);
    history.attached.clear();
    // The chain says otherwise now, and nobody has looked.
    history.chain.drop_final_blocks(usize::MAX);
    let wrong = history.judge(&server).await;
    assert_eq!(wrong.iter().filter(|wrong| wrong.contains("is on the chain no more")).count(), 2, "{wrong:?}");
    assert!(wrong.iter().any(|wrong| wrong.contains("the credit is 500, not 0")), "{wrong:?}");
    // And again, with a transaction more.
    history.chain.mine(server.now(), 0, sent);
    let wrong = history.judge(&server).await;
    assert_eq!(wrong.iter().filter(|wrong| wrong.contains("the slot of")).count(), 2, "{wrong:?}");
}

#[tokio::test]
async fn a_look_at_which_nothing_is_new_asks_for_the_newest_block_and_each_account() {
    let (server, mut histories) = start(&[3]).await;
    let history = &mut histories[0];
    history.send(history.half_a_dollar(&[]));
    history.rest(&server).await;
    history.chain.mine(server.now(), 0, Vec::new());
    drop(history.chain.asked());
    history.watcher.step().await.unwrap();
    let asked: Vec<_> = history.chain.asked().into_iter().collect();
    let should = [("getBlockTime", 1), ("getLatestBlockhash", 1), ("getSignaturesForAddress", 3), ("getSlot", 1)];
    assert_eq!(asked, should.map(|(method, count)| (method.to_owned(), count)));
}

#[tokio::test]
async fn of_accounts_that_were_quiet_for_a_minute_those_are_listed_that_hold_something_else_and_one_in_turn() {
    /// A minute of them.
    const QUIET_AFTER: usize = 150;

    // Its watcher takes three accounts for many.
    let (server, mut histories) = start(&[4]).await;
    let history = &mut histories[0];
    history.rest(&server).await;
    (0..QUIET_AFTER).for_each(|_| history.chain.mine(server.now(), 0, Vec::new()));
    history.watcher.step().await.unwrap();
    history.chain.mine(server.now(), 0, Vec::new());
    drop(history.chain.asked());
    history.watcher.step().await.unwrap();
    let asked = history.chain.asked();
    assert_eq!((asked["getMultipleAccounts"], asked["getSignaturesForAddress"]), (1, 1));
    for asset in [Asset::Sol, Asset::Dollar] {
        let before = history.unattributed(&server).await.len();
        history.send(Plan {
            sends: BTreeMap::from([(asset, 1_000 * asset.units_of_a_milli())]),
            ..history.half_a_dollar(&[])
        });
        history.chain.mine(server.now(), 0, std::mem::take(&mut history.waiting));
        history.watcher.step().await.unwrap();
        assert_eq!(history.unattributed(&server).await.len(), before + 1);
    }
}

//! Histories on an EVM network.
//!
//! From a seed follow forks that lose transactions or bring them back, hosts that hide, lag, repeat and decline, watchers
//! that die between reading and recording, payments in parts, too late and too much, quotes that lapse, and a coin whose
//! price moves and cannot always be had.

mod chain;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use alloy_primitives::{Address, U256, keccak256};
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    invoice::InvoiceStatus,
};
use futures_util::future::join_all;
use pepay::{
    chains::evm::{Step, StepError, Watcher},
    clock::TestClock,
    invoicing::{self, Case},
    store::TransferRecord,
};
use serde_json::{Value, json};

use self::chain::{Block, Chain, FEED, Faults, Payment, TOKEN};
use super::{
    DUE, Server, Wrong,
    hosts::{self, Answer},
    judge_histories,
};
use crate::{plain_invoice, random::Random};

const ROUNDS: usize = 25;
const PAID_AFTER: u64 = 3;
const FINAL_AFTER: u64 = 6;
/// Half a dollar, and in the coin about that.
const HALF_A_DOLLAR: u64 = 500_000;
const SOME_COIN: u64 = 250_000_000_000_000;
const PAR_E8: u64 = 100_000_000;
/// What the coin costs stays within a fifth, so that no feed's word is doubted.
const LOWEST_E8: u64 = 185_000_000_000;
const HIGHEST_E8: u64 = 215_000_000_000;
/// How much older than a quote a block may be that is held to it.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// A dollar token, on the network of a history.
fn dollar_token(seed: u64) -> TokenId {
    TokenId(i64::try_from(2 * seed).unwrap())
}

/// That network's own coin.
fn coin(seed: u64) -> TokenId {
    TokenId(i64::try_from(2 * seed + 1).unwrap())
}

struct History {
    seed: u64,
    merchant: MerchantId,
    random: Random,
    network: String,
    chain: Arc<Chain>,
    watcher: Watcher,
    invoice: InvoiceId,
    deposit: Address,
    /// Sent, and in no block yet.
    waiting: Vec<Payment>,
    /// A branch that was left.
    left: Vec<Block>,
    sent: u64,
    /// All that the coin ever cost.
    prices: HashSet<u64>,
}

/// Opens a server with a network for each history.
async fn start(seeds: &[u64]) -> (Server, Vec<History>) {
    let clock = TestClock::still();
    let now = pepay::clock::Clock::now(&clock.clock()).0;
    let chain_id = |seed: u64| 1_000_000 + seed;
    let chains: HashMap<u64, Arc<Chain>> =
        seeds.iter().map(|seed| (chain_id(*seed), Arc::new(Chain::new(chain_id(*seed), now, LOWEST_E8)))).collect();
    let urls = hosts::serve(&chains, Chain::answer).await.urls;
    let networks = seeds.iter().map(|seed| {
        json!({
            "name": format!("net-{seed}"), "title": "Net", "chain_id": chain_id(*seed),
            "rpc": urls.each_ref().map(|url| format!("{url}/{}", chain_id(*seed))),
            "paid_after": PAID_AFTER, "final_after": FINAL_AFTER,
            "tokens": [
                { "id": dollar_token(*seed).0, "symbol": "USDX", "name": "Dollar", "address": TOKEN, "decimals": 6, "price": "par" },
                { "id": coin(*seed).0, "symbol": "COIN", "name": "Coin", "decimals": 18,
                  "price": { "feed": FEED, "heartbeat_seconds": 3_600 } },
            ],
        })
    });
    let server = Server::open(clock, networks.collect::<Vec<Value>>()).await;
    let merchant = server.add_merchant(None).await;
    let mut histories = Vec::with_capacity(seeds.len());
    for seed in seeds {
        histories.push(History::begin(&server, merchant, *seed, Arc::clone(&chains[&chain_id(*seed)])).await);
    }
    (server, histories)
}

impl History {
    async fn begin(server: &Server, merchant: MerchantId, seed: u64, chain: Arc<Chain>) -> Self {
        let mut random = Random(seed);
        let expires_in_ms = i64::try_from(60_000 * (2 + random.below(15))).unwrap();
        let invoice = plain_invoice::create(&server.app, merchant, DUE, expires_in_ms).await;
        let network = format!("net-{seed}");
        let watcher = new_watcher(server, &network).await;
        let (invoice, deposit) = (invoice.id, invoice.deposit_address);
        let (waiting, left) = (Vec::new(), Vec::new());
        let prices = HashSet::from([LOWEST_E8]);
        let history =
            Self { seed, merchant, random, network, chain, watcher, invoice, deposit, waiting, left, sent: 0, prices };
        history.quote(server, dollar_token(seed)).await;
        history
    }

    /// A quote, if there can be one now: what is paid or over has none.
    async fn quote(&self, server: &Server, token: TokenId) {
        let _refused = invoicing::choose(&server.app, self.merchant, self.invoice, &self.network, token).await;
    }

    async fn act(&mut self, server: &Server) {
        match self.random.below(22) {
            0..=4 => self.pay(),
            5..=9 => self.mine(server),
            10 => self.fork(server),
            11 => {
                let token = if self.random.one_in(2) { dollar_token(self.seed) } else { coin(self.seed) };
                self.quote(server, token).await;
            }
            12 | 13 => self.misbehave(),
            15 | 16 => {
                let price = LOWEST_E8 + self.random.below(HIGHEST_E8 - LOWEST_E8);
                self.prices.insert(price);
                self.chain.set_price(server.now(), price);
            }
            14 => {
                // It reads, and dies before it records.
                let _lost = self.watcher.look().await;
                self.watcher = new_watcher(server, &self.network).await;
            }
            _ => {
                for _ in 0..=self.random.below(3) {
                    self.step().await;
                }
            }
        }
    }

    /// Half a dollar to 26 dollars, of which one in eight comes as a transaction with several transfers.
    fn pay(&mut self) {
        self.sent += 1;
        let is_token = !self.random.one_in(4);
        let unit = if is_token { HALF_A_DOLLAR } else { SOME_COIN };
        let parts = if is_token && self.random.one_in(8) { 1 + self.random.below(3) } else { 1 };
        let parts = (0..parts).map(|_| U256::from((1 + self.random.below(52)) * unit));
        self.waiting.push(Payment {
            id: keccak256([self.seed.to_be_bytes(), self.sent.to_be_bytes()].concat()),
            to: self.deposit,
            asset: is_token.then_some(TOKEN),
            parts: parts.collect(),
            fails: self.random.one_in(10),
        });
    }

    fn mine(&mut self, server: &Server) {
        for _ in 0..=self.random.below(3) {
            let now = if self.random.one_in(3) { self.waiting.len() } else { self.waiting.len().min(1) };
            let payments = self.waiting.drain(..now).collect();
            self.chain.mine(server.now(), payments);
        }
    }

    /// Replaces some blocks, less than what is final. What was in them is lost, waits again, or comes back at once in
    /// another order.
    fn fork(&mut self, server: &Server) {
        if !self.left.is_empty() && self.random.one_in(3) {
            let fits = self.left[0].number + FINAL_AFTER > self.chain.height();
            let back = std::mem::take(&mut self.left);
            if fits {
                self.chain.restore(back);
            }
            return;
        }
        let depth = 1 + self.random.below(FINAL_AFTER - 2);
        let dropped = self.chain.drop_blocks(usize::try_from(depth).unwrap_or_default());
        let mut payments: Vec<Payment> = dropped.iter().flat_map(|block| block.payments.clone()).collect();
        self.left = dropped;
        match self.random.below(3) {
            0 => {}
            1 => self.waiting.extend(payments),
            _ => {
                payments.reverse();
                self.chain.mine(server.now(), payments);
            }
        }
        for _ in 0..self.random.below(depth + 2) {
            self.chain.mine(server.now(), Vec::new());
        }
    }

    /// One host hides something; both lag, repeat and decline, and neither may say what the coin costs.
    fn misbehave(&mut self) {
        let liar = usize::from(self.random.one_in(2));
        let has_no_prices = self.random.one_in(3);
        for host in 0..2 {
            let is_liar = host == liar;
            let faults = Faults {
                hides_logs: is_liar && self.random.one_in(3),
                lags: if self.random.one_in(3) { self.random.below(4) } else { 0 },
                declines: if self.random.one_in(3) { self.random.below(5) } else { 0 },
                repeats: self.random.one_in(4),
                has_no_prices,
            };
            self.chain.set_faults(host, faults);
        }
    }

    /// A step may fail, but never for good.
    async fn step(&mut self) {
        if let Err(error @ StepError::TooDeep { .. }) = self.watcher.step().await {
            panic!("history {}: {error}", self.seed);
        }
    }

    /// All hosts are good again, and everything gets the time it takes.
    async fn rest(&mut self, server: &Server) {
        for host in 0..2 {
            self.chain.set_faults(host, Faults::default());
        }
        let payments = std::mem::take(&mut self.waiting);
        self.chain.mine(server.now(), payments);
        for _ in 0..FINAL_AFTER {
            self.chain.mine(server.now(), Vec::new());
        }
        for _ in 0..200 {
            match self.watcher.step().await {
                Ok(Step::Idle) => return,
                Ok(_) => {}
                Err(StepError::TooDeep { .. }) => panic!("history {}: too deep", self.seed),
                // An endpoint that failed rests by the clock on the wall, which no test can move.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
        panic!("history {}: the watcher does not come to rest", self.seed);
    }

    /// What follows from the canonical chain and from what the payer was told, given what each payment in coin counts at.
    fn truth(&self, case: &Case, now: i64, wrong: &mut Wrong) -> Truth {
        let expires_at = case.invoice.terms.expires_at.0;
        let mut truth = Truth { payments: 0, units: HashMap::new(), credit: 0, status: InvoiceStatus::Unpaid };
        let mut exact = U256::ZERO;
        for block in self.chain.blocks() {
            for payment in block.payments.iter().filter(|payment| !payment.fails) {
                let (token, scale, rate) = match payment.asset {
                    Some(_) => (dollar_token(self.seed), 1_000_000_000_000_u64, PAR_E8),
                    None => (coin(self.seed), 1, self.rate(case, &block, payment, wrong)),
                };
                for part in &payment.parts {
                    truth.payments += 1;
                    *truth.units.entry(token).or_default() += *part;
                    if block.time <= expires_at {
                        exact += *part * U256::from(scale) * U256::from(rate);
                    }
                }
            }
        }
        truth.credit = (exact / U256::from(10).pow(U256::from(23))).to::<u64>();
        truth.status = match truth.credit {
            credit if DUE <= credit => InvoiceStatus::Paid,
            _ if expires_at < now => InvoiceStatus::Expired,
            0 => InvoiceStatus::Unpaid,
            _ => InvoiceStatus::Underpaid,
        };
        truth
    }

    /// What a payment in coin counts at, which is what its payer was told last, if that held at its block, and else what
    /// the feed said there.
    ///
    /// Of a quote that is a little younger than the block it depends on when that was read whether it was known then; it
    /// may be what counts if it is the better one.
    fn rate(&self, case: &Case, block: &Block, payment: &Payment, wrong: &mut Wrong) -> u64 {
        let quotes = case.quotes.iter().map(|record| &record.quote).filter(|quote| quote.token == coin(self.seed));
        let (mut told, mut perhaps) = (None, Vec::new());
        for quote in quotes {
            let rate = u64::try_from(quote.rate.usd_e8()).unwrap_or_default();
            if !self.prices.contains(&rate) {
                wrong.say(&format!("a quote is at {rate}, which the feed never said"));
            }
            if quote.valid_until.0 < block.time || block.time < quote.created_at.0 - CLOCK_SKEW_SECONDS {
                continue;
            }
            if quote.created_at.0 <= block.time {
                told = told.max(Some(rate));
            } else {
                perhaps.push(rate);
            }
        }
        let sure = told.unwrap_or(block.price.usd_e8);
        perhaps.retain(|rate| told.is_none_or(|told| told < *rate));

        let hash = payment.id.to_string();
        let is_it = |record: &&TransferRecord| record.canonical && record.tx_id == hash;
        let Some(record) = case.payments.iter().map(|payment| &payment.record).find(is_it) else { return sure };
        let rate = record.valuation.rate().and_then(|rate| u64::try_from(rate.usd_e8()).ok());
        match rate {
            Some(rate) if rate == sure || perhaps.contains(&rate) => rate,
            _ => {
                wrong.say(&format!("{hash} counts at {rate:?}, not {sure} or one of {perhaps:?}"));
                sure
            }
        }
    }

    async fn judge(&self, server: &Server) -> Vec<String> {
        let case = server.case(self.merchant, self.invoice).await;
        let mut wrong = Wrong::new(self.seed);
        let truth = self.truth(&case, server.now(), &mut wrong);
        let counted: Vec<_> = case.payments.iter().filter(|payment| payment.record.canonical).collect();
        let mut units: HashMap<TokenId, U256> = HashMap::new();
        for payment in &counted {
            *units.entry(payment.record.token).or_default() += payment.record.amount.base_units();
        }
        wrong.check("the number of payments", counted.len(), truth.payments);
        for token in [dollar_token(self.seed), coin(self.seed)] {
            let of = |units: &HashMap<TokenId, U256>| units.get(&token).copied().unwrap_or_default();
            wrong.check(&format!("what came of token {token}"), of(&units), of(&truth.units));
        }
        wrong.check_invoice(server, &case, truth.credit, truth.status).await;
        wrong.found
    }
}

struct Truth {
    payments: usize,
    units: HashMap<TokenId, U256>,
    credit: u64,
    status: InvoiceStatus,
}

async fn new_watcher(server: &Server, network: &str) -> Watcher {
    let lease = server.take_watch(network).await;
    let network = server.app.config.network(network).unwrap().clone();
    Watcher::new(server.app.clone(), network, lease)
}

async fn run(seeds: &[u64]) -> Vec<String> {
    let (server, mut histories) = start(seeds).await;
    let mut pace = Random(seeds[0]);
    for _ in 0..ROUNDS {
        join_all(histories.iter_mut().map(|history| history.act(&server))).await;
        server.clock.advance_seconds(i64::try_from(1 + pace.below(40)).unwrap_or(1));
        server.end_due_invoices().await;
        if pace.one_in(4) {
            server.price_late().await;
        }
    }
    // Hosts that disagreed are asked again after a minute at most, addresses are compared twice in one, and those of
    // invoices that have ended once a day.
    for seconds in [61, 86_400] {
        join_all(histories.iter_mut().map(|history| history.rest(&server))).await;
        server.price_late().await;
        server.clock.advance_seconds(seconds);
        server.end_due_invoices().await;
    }
    join_all(histories.iter_mut().map(|history| history.rest(&server))).await;
    server.number_events().await;
    let judged = join_all(histories.iter().map(|history| history.judge(&server))).await;
    judged.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_an_invoice_says_what_the_chain_came_to() {
    judge_histories("EVM networks", run).await;
}

/// A judge that accepts everything proves nothing.
#[tokio::test]
async fn a_history_that_was_told_wrongly_is_found_out() {
    let (server, mut histories) = start(&[7]).await;
    let history = &mut histories[0];
    history.pay();
    history.waiting[0].fails = false;
    history.rest(&server).await;
    assert_eq!(history.judge(&server).await, [""; 0]);
    // The chain says otherwise now, and nobody has looked.
    history.chain.drop_blocks(usize::try_from(FINAL_AFTER + 1).unwrap_or_default());
    assert!(!history.judge(&server).await.is_empty());
}

//! Histories on an EVM network.
//!
//! From a seed follow forks that lose transactions or bring them back, hosts that hide, lag, repeat and decline, watchers
//! that die between reading and recording, payments in parts, too late and too much, and quotes that lapse.

mod chain;

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{Address, U256, keccak256};
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    invoice::InvoiceStatus,
};
use futures_util::future::join_all;
use pepay::{
    chains::evm::{Step, StepError, Watcher},
    clock::TestClock,
    invoicing,
};
use serde_json::{Value, json};

use self::chain::{Block, Chain, Faults, Payment, TOKEN};
use super::{
    DUE, Server, Wrong,
    hosts::{self, Answer},
    judge_histories,
};
use crate::{plain_invoice, random::Random};

const ROUNDS: usize = 25;
const PAID_AFTER: u64 = 3;
const FINAL_AFTER: u64 = 6;
const TOKEN_UNITS_OF_A_MILLI: u64 = 1_000;
const COIN_UNITS_OF_A_MILLI: u64 = 1_000_000_000_000_000;

/// A dollar token, on the network of a history.
fn dollar_token(seed: u64) -> TokenId {
    TokenId(i64::try_from(2 * seed).unwrap())
}

/// That network's own coin, which is worth a dollar too.
fn dollar_coin(seed: u64) -> TokenId {
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
}

/// Opens a server with a network for each history.
async fn start(seeds: &[u64]) -> (Server, Vec<History>) {
    let clock = TestClock::still();
    let now = pepay::clock::Clock::now(&clock.clock()).0;
    let chain_id = |seed: u64| 1_000_000 + seed;
    let chains: HashMap<u64, Arc<Chain>> =
        seeds.iter().map(|seed| (chain_id(*seed), Arc::new(Chain::new(chain_id(*seed), now)))).collect();
    let urls = hosts::serve(&chains, Chain::answer).await.urls;
    let networks = seeds.iter().map(|seed| {
        json!({
            "name": format!("net-{seed}"), "title": "Net", "chain_id": chain_id(*seed),
            "rpc": urls.each_ref().map(|url| format!("{url}/{}", chain_id(*seed))),
            "paid_after": PAID_AFTER, "final_after": FINAL_AFTER,
            "tokens": [
                { "id": dollar_token(*seed).0, "symbol": "USDX", "name": "Dollar", "address": TOKEN, "decimals": 6, "price": "par" },
                { "id": dollar_coin(*seed).0, "symbol": "COIN", "name": "Coin", "decimals": 18, "price": "par" },
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
        let history =
            Self { seed, merchant, random, network, chain, watcher, invoice, deposit, waiting, left, sent: 0 };
        history.quote(server, dollar_token(seed)).await;
        history
    }

    /// A quote, if there can be one now: what is paid or over has none.
    async fn quote(&self, server: &Server, token: TokenId) {
        let _refused = invoicing::choose(&server.app, self.merchant, self.invoice, &self.network, token).await;
    }

    async fn act(&mut self, server: &Server) {
        match self.random.below(20) {
            0..=4 => self.pay(),
            5..=9 => self.mine(server),
            10 => self.fork(server),
            11 => {
                let token = if self.random.one_in(2) { dollar_token(self.seed) } else { dollar_coin(self.seed) };
                self.quote(server, token).await;
            }
            12 | 13 => self.misbehave(),
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
        let unit = if is_token { TOKEN_UNITS_OF_A_MILLI } else { COIN_UNITS_OF_A_MILLI };
        let parts = if is_token && self.random.one_in(8) { 1 + self.random.below(3) } else { 1 };
        let parts = (0..parts).map(|_| U256::from((1 + self.random.below(52)) * 500) * U256::from(unit));
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

    /// One host hides something; both lag, repeat and decline.
    fn misbehave(&mut self) {
        let liar = usize::from(self.random.one_in(2));
        for host in 0..2 {
            let is_liar = host == liar;
            let faults = Faults {
                hides_logs: is_liar && self.random.one_in(3),
                lags: if self.random.one_in(3) { self.random.below(4) } else { 0 },
                declines: if self.random.one_in(3) { self.random.below(5) } else { 0 },
                repeats: self.random.one_in(4),
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

    /// What follows from the canonical chain alone.
    fn truth(&self, expires_at: i64, now: i64) -> Truth {
        let mut truth = Truth { payments: 0, units: HashMap::new(), credit: 0, status: InvoiceStatus::Unpaid };
        for block in self.chain.blocks() {
            for payment in block.payments.iter().filter(|payment| !payment.fails) {
                let (token, unit) = match payment.asset {
                    Some(_) => (dollar_token(self.seed), TOKEN_UNITS_OF_A_MILLI),
                    None => (dollar_coin(self.seed), COIN_UNITS_OF_A_MILLI),
                };
                for part in &payment.parts {
                    truth.payments += 1;
                    *truth.units.entry(token).or_default() += *part;
                    if block.time <= expires_at {
                        truth.credit += (*part / U256::from(unit)).to::<u64>();
                    }
                }
            }
        }
        truth.status = match truth.credit {
            credit if DUE <= credit => InvoiceStatus::Paid,
            _ if expires_at < now => InvoiceStatus::Expired,
            0 => InvoiceStatus::Unpaid,
            _ => InvoiceStatus::Underpaid,
        };
        truth
    }

    async fn judge(&self, server: &Server) -> Vec<String> {
        let case = server.case(self.merchant, self.invoice).await;
        let truth = self.truth(case.invoice.terms.expires_at.0, server.now());
        let counted: Vec<_> = case.payments.iter().filter(|payment| payment.record.canonical).collect();
        let mut units: HashMap<TokenId, U256> = HashMap::new();
        for payment in &counted {
            *units.entry(payment.record.token).or_default() += payment.record.amount.base_units();
        }
        let mut wrong = Wrong::new(self.seed);
        wrong.check("the number of payments", counted.len(), truth.payments);
        for token in [dollar_token(self.seed), dollar_coin(self.seed)] {
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
    }
    // Hosts that disagreed are asked again after a minute at most, addresses are compared twice in one, and those of
    // invoices that have ended once a day.
    for seconds in [61, 86_400] {
        join_all(histories.iter_mut().map(|history| history.rest(&server))).await;
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

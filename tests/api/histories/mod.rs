//! Random histories of a chain, of the server that reads it and of its payer, each judged by what the chain really came to.
//!
//! A history is a seed. From it follow forks that lose transactions or bring them back, hosts that hide, lag, repeat and
//! decline, watchers that die between reading and recording, payments in parts, too late and too much, and quotes that
//! lapse. When all has come to rest, the invoice must say what follows from the canonical chain alone: no payment lost,
//! none counted twice.

mod chain;

use std::{collections::HashMap, env, sync::Arc};

use alloy_primitives::{Address, U256, keccak256};
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    invoice::InvoiceStatus,
    signature::ServerSecret,
};
use e2e::Database;
use futures_util::future::join_all;
use pepay::{
    app::App,
    chains::evm::{Step, StepError, Watcher},
    clock::TestClock,
    config::Config,
    invoicing::{self, Case},
    nodes,
    store::{Lease, NewMerchant, StoreError},
};
use serde_json::{Value, json};

use self::chain::{Block, Chain, Faults, Payment, TOKEN};
use crate::plain_invoice;

/// So many in a test; a soak says more.
const FEW: u64 = 1_000;
/// Histories that share a server, each on a network of its own.
const AT_ONCE: u64 = 10;
const ROUNDS: usize = 25;
const PAID_AFTER: u64 = 3;
const FINAL_AFTER: u64 = 6;
const DUE: u64 = 20_000;
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

/// Numbers that follow from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

struct Server {
    app: App,
    clock: TestClock,
    merchant: MerchantId,
    /// For what only one node may do, but watching.
    lease: Lease,
    _folder: Option<Folder>,
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean up.
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

struct History {
    seed: u64,
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

impl Server {
    async fn start(seeds: &[u64]) -> (Self, Vec<History>) {
        let clock = TestClock::still();
        let now = pepay::clock::Clock::now(&clock.clock()).0;
        let chain_id = |seed: u64| 1_000_000 + seed;
        let chains: HashMap<u64, Arc<Chain>> =
            seeds.iter().map(|seed| (chain_id(*seed), Arc::new(Chain::new(chain_id(*seed), now)))).collect();
        let urls = chain::serve(chains.clone()).await;
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
        let networks: Vec<Value> = networks.collect();
        let (url, folder) = if let Some(url) = Database::of_tests().new_url() {
            (url, None)
        } else {
            let folder = Folder(env::temp_dir().join(format!("pepay-histories-{}", uuid::Uuid::new_v4())));
            std::fs::create_dir(&folder.0).unwrap();
            (format!("sqlite:{}", folder.0.join("pepay.db").display()), Some(folder))
        };
        let config: Config = serde_json::from_value(json!({
            "environment": "devnet", "storage": { "database_url": url }, "networks": networks,
        }))
        .unwrap();
        let secrets = vec![ServerSecret::from_bytes([5; 32])];
        let (app, _writer) = App::open(config, secrets, clock.clock(), "http://127.0.0.1/").await.unwrap();
        let new = NewMerchant {
            name: "Shop".to_owned(),
            email: "shop@example.com".to_owned(),
            evm_wallet: Address::repeat_byte(0x77),
            recovery_code: [9; 32],
            created_at: app.clock.now(),
        };
        let insert =
            app.store.write::<_, StoreError, _>(move |tx| Box::pin(async move { tx.insert_merchant(&new).await }));
        let merchant = insert.await.unwrap();
        let lease = nodes::take(&app, "tests").await.unwrap().unwrap();
        let server = Self { app, clock, merchant, lease, _folder: folder };
        let mut histories = Vec::with_capacity(seeds.len());
        for seed in seeds {
            histories.push(History::begin(&server, *seed, Arc::clone(&chains[&chain_id(*seed)])).await);
        }
        (server, histories)
    }

    async fn end_due_invoices(&self) {
        invoicing::end_due_invoices(&self.app, &self.lease).await.unwrap();
    }

    async fn number_events(&self) {
        const AT_ONCE: i64 = 1000;
        loop {
            let number = self.app.store.write::<_, StoreError, _>(|tx| Box::pin(tx.number_events(AT_ONCE)));
            if number.await.unwrap().is_empty() {
                return;
            }
        }
    }

    fn now(&self) -> i64 {
        self.app.clock.now().0
    }
}

impl History {
    async fn begin(server: &Server, seed: u64, chain: Arc<Chain>) -> Self {
        let mut random = Random(seed);
        let expires_in_ms = i64::try_from(60_000 * (2 + random.below(15))).unwrap();
        let invoice = plain_invoice::create(&server.app, server.merchant, DUE, expires_in_ms).await;
        let network = format!("net-{seed}");
        let watcher = new_watcher(server, &network).await;
        let (invoice, deposit) = (invoice.id, invoice.deposit_address);
        let (waiting, left) = (Vec::new(), Vec::new());
        let history = Self { seed, random, network, chain, watcher, invoice, deposit, waiting, left, sent: 0 };
        history.quote(server, dollar_token(seed)).await;
        history
    }

    /// A quote, if there can be one now: what is paid or over has none.
    async fn quote(&self, server: &Server, token: TokenId) {
        let _refused = invoicing::choose(&server.app, server.merchant, self.invoice, &self.network, token).await;
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
        let mut reader = server.app.store.reader().await.unwrap();
        let case = Case::load(&mut reader.tx(), &server.app.config, server.merchant, self.invoice).await.unwrap();
        let case = case.unwrap();
        let events = reader.tx().events_of_invoice(server.merchant, self.invoice, 0, 10_000).await.unwrap();
        drop(reader);
        let truth = self.truth(case.invoice.terms.expires_at.0, server.now());
        let counted: Vec<_> = case.payments.iter().filter(|payment| payment.record.canonical).collect();
        let mut units: HashMap<TokenId, U256> = HashMap::new();
        for payment in &counted {
            *units.entry(payment.record.token).or_default() += payment.record.amount.base_units();
        }
        let standing = &case.invoice.standing;
        let mut wrong = Vec::new();
        let mut check = |what: &str, is: String, should: String| {
            if is != should {
                wrong.push(format!("history {}: {what} is {is}, not {should}", self.seed));
            }
        };
        check("the number of payments", counted.len().to_string(), truth.payments.to_string());
        for token in [dollar_token(self.seed), dollar_coin(self.seed)] {
            let of = |units: &HashMap<TokenId, U256>| units.get(&token).copied().unwrap_or_default().to_string();
            check(&format!("what came of token {token}"), of(&units), of(&truth.units));
        }
        check("the credit", standing.credit.as_millis().to_string(), truth.credit.to_string());
        check("the status", format!("{:?}", standing.status), format!("{:?}", truth.status));
        // The last word of the events is the same, and each payment was announced once.
        let is_of = |event_type: &'static str| events.iter().filter(move |event| event.event_type == event_type);
        let objects: Vec<Value> = is_of("invoice_payment.created")
            .filter_map(|event| serde_json::from_str::<Value>(&event.object).ok())
            .map(|object| object["id"].clone())
            .collect();
        let told: std::collections::HashSet<String> = objects.iter().map(ToString::to_string).collect();
        check("the number of announcements", objects.len().to_string(), told.len().to_string());
        let last =
            is_of("invoice.updated").next_back().and_then(|event| serde_json::from_str::<Value>(&event.object).ok());
        if let Some(last) = last {
            let status = last["status"].as_str().unwrap_or_default().to_owned();
            check("the status last told", status, format!("{:?}", truth.status).to_lowercase());
        }
        wrong
    }
}

struct Truth {
    payments: usize,
    units: HashMap<TokenId, U256>,
    credit: u64,
    status: InvoiceStatus,
}

async fn new_watcher(server: &Server, network: &str) -> Watcher {
    let name = format!("{}{network}", nodes::WATCH);
    let lease = nodes::take(&server.app, &name).await.unwrap().expect("this node alone watches it");
    let network = server.app.config.network(network).unwrap().clone();
    Watcher::new(server.app.clone(), network, lease)
}

async fn run(seeds: &[u64]) -> Vec<String> {
    let (server, mut histories) = Server::start(seeds).await;
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
    let count = env::var("PEPAY_HISTORIES").map_or(FEW, |count| count.parse().unwrap());
    let first = env::var("PEPAY_FIRST_HISTORY").map_or(1, |first| first.parse().unwrap());
    let seeds: Vec<u64> = (first..first + count).collect();
    let mut wrong = Vec::new();
    for seeds in seeds.chunks(usize::try_from(AT_ONCE).unwrap_or(1)) {
        wrong.extend(run(seeds).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("figure: {count} histories, none lost or counted a payment twice");
}

/// A judge that accepts everything proves nothing.
#[tokio::test]
async fn a_history_that_was_told_wrongly_is_found_out() {
    let (server, mut histories) = Server::start(&[7]).await;
    let history = &mut histories[0];
    history.pay();
    history.waiting[0].fails = false;
    history.rest(&server).await;
    assert_eq!(history.judge(&server).await, [""; 0]);
    // The chain says otherwise now, and nobody has looked.
    history.chain.drop_blocks(usize::try_from(FINAL_AFTER + 1).unwrap_or_default());
    assert!(!history.judge(&server).await.is_empty());
}

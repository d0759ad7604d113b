//! What watching Solana costs, and how soon a payment is seen: calls by method in a minute with open invoices, the time from a
//! payment's block to its being recorded, and a step with many open invoices at ten requests a second.
//!
//! The chain is made up, as the tests' histories have it, behind two hosts that answer at once; blocks come each 0.4 s. The
//! watcher looks each second, as a server does. It prints figures and judges nothing.

#![allow(clippy::unwrap_used, reason = "a bench that meets an error has nothing to say")]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../api/histories/solana/chain.rs"]
mod chain;
#[path = "../api/histories/hosts.rs"]
mod hosts;
#[path = "../api/plain_invoice.rs"]
mod plain_invoice;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../api/histories/server.rs"]
mod server;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::keccak256;
use domain::id::{InvoiceId, MerchantId, TokenId};
use pepay::{
    chains::{Step, solana::Watcher},
    clock::TestClock,
    invoicing,
    solana::SolanaAddress,
};
use serde_json::json;
use sqlx::{AnyConnection, Connection};

use self::{
    chain::{Asset, Chain, Plan, Shape, Transaction},
    hosts::{Answer, Hosts},
    server::Server,
};

/// As free plans of providers allow.
const REQUESTS_PER_SECOND: u32 = 10;
/// An account is listed in every step until it was quiet for so long.
const QUIET_AFTER_SLOTS: usize = 150;
/// From a look at a network to the next; what a step is held against.
const POLL: Duration = Duration::from_secs(1);
const BLOCK: Duration = Duration::from_millis(400);
/// Between payments while it is measured how soon they are seen: no part of a poll, so that they come at any time in one.
const PAYMENT_EACH: Duration = Duration::from_millis(2_300);
const MINUTE: Duration = Duration::from_mins(1);
const NETWORK: &str = "solana";
const NUMBER: u64 = 1;
/// An invoice for more than all that is paid here.
const DUE: u64 = 1_000_000;

#[derive(Clone, Copy)]
enum Paid {
    /// All to the merchant's wallet.
    ToOneWallet,
    /// Each to an address of its own.
    ToOwnAddresses,
}

struct Watched {
    server: Server,
    hosts: Hosts,
    chain: Arc<Chain>,
    watcher: Watcher,
    merchant: MerchantId,
    wallet: SolanaAddress,
    invoice: InvoiceId,
    reference: Option<SolanaAddress>,
}

#[tokio::main]
async fn main() {
    println!(
        "One network with two tokens and SOL, two hosts, {REQUESTS_PER_SECOND} requests a second to each; a poll is each {} s",
        POLL.as_secs()
    );
    a_minute().await;
    println!(
        "\n{:>14} {:>16} {:>12} {:>12} {:>14} {:>11}",
        "open invoices", "paid to", "step median", "step worst", "requests/step", "calls/step"
    );
    for (open, paid, blocks) in [
        (1_000, Paid::ToOneWallet, 10),
        (10_000, Paid::ToOneWallet, 10),
        (1_000, Paid::ToOwnAddresses, 10),
        (10_000, Paid::ToOwnAddresses, 10),
    ] {
        steps(open, paid, blocks).await;
    }
}

/// The calls of a minute in which nothing comes, and of one with payments, which are timed.
async fn a_minute() {
    let mut watched = Watched::open(1_000, Paid::ToOneWallet).await;
    let idle = watched.run_for(MINUTE, None).await;
    println!("\nA minute, 1,000 open invoices to one wallet, {} requests of nothing new:", idle.requests);
    idle.print_calls();
    let busy = watched.run_for(MINUTE, Some(PAYMENT_EACH)).await;
    println!("A minute with {} payments, {} requests:", busy.delays.len(), busy.requests);
    busy.print_calls();
    let mut delays = busy.delays;
    delays.sort_unstable();
    println!(
        "From a payment's block to its being recorded: median {} ms, at worst {} ms",
        delays[delays.len() / 2].as_millis(),
        delays[delays.len() - 1].as_millis()
    );
}

async fn steps(open: u32, paid: Paid, blocks: usize) {
    let mut watched = Watched::open(open, paid).await;
    (0..QUIET_AFTER_SLOTS).for_each(|_| watched.mine(Vec::new()));
    watched.watcher.step().await.unwrap();
    let mut took = Vec::new();
    let requests = watched.hosts.requests.swap(0, Ordering::Relaxed);
    drop((requests, watched.chain.asked()));
    for _ in 0..blocks {
        watched.mine(Vec::new());
        let began = Instant::now();
        watched.watcher.step().await.unwrap();
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let calls: u64 = watched.chain.asked().values().sum();
    let each = |all: u64| all.div_ceil(blocks as u64);
    println!(
        "{open:>14} {:>16} {:>9} ms {:>9} ms {:>14} {:>11}",
        match paid {
            Paid::ToOneWallet => "one wallet",
            Paid::ToOwnAddresses => "own addresses",
        },
        took[took.len() / 2].as_millis(),
        took[took.len() - 1].as_millis(),
        each(watched.hosts.requests.load(Ordering::Relaxed)),
        each(calls)
    );
}

/// What was seen in some time.
struct Seen {
    calls: BTreeMap<String, u64>,
    requests: u64,
    delays: Vec<Duration>,
}

impl Seen {
    fn print_calls(&self) {
        for (method, count) in &self.calls {
            println!("  {count:>6} {method}");
        }
    }
}

impl Watched {
    async fn open(open: u32, paid: Paid) -> Self {
        let clock = TestClock::default();
        let now = pepay::clock::Clock::now(&clock.clock()).0;
        let chain = Arc::new(Chain::new(NUMBER, now));
        let hosts = hosts::serve(&HashMap::from([(NUMBER, Arc::clone(&chain))]), Chain::answer).await;
        let token = |asset: Asset, symbol: &str| json!({ "id": token_of(asset).0, "symbol": symbol, "name": symbol, "decimals": asset.decimals(), "price": "par" });
        let mut tokens = [token(Asset::Dollar, "USDX"), token(Asset::WithFee, "FUSD"), token(Asset::Sol, "SOL")];
        tokens[0]["mint"] = json!(Asset::Dollar.mint());
        tokens[1]["mint"] = json!(Asset::WithFee.mint());
        tokens[1]["program"] = json!("token-2022");
        let network = json!({
            "name": NETWORK, "kind": "solana", "title": "Solana", "chain_id": 0,
            "rpc": hosts.urls.each_ref().map(|url| format!("{url}/{NUMBER}")),
            "requests_per_second": REQUESTS_PER_SECOND, "rpc_timeout_ms": 60_000,
            "paid_after": 1, "final_after": 32, "final_tag": "finalized", "tokens": tokens,
        });
        let server = Server::open(clock, vec![network]).await;
        let wallet = SolanaAddress::new(keccak256("wallet").0);
        let merchant = server.add_merchant(Some(wallet)).await;
        let invoice = plain_invoice::create(&server.app, merchant, DUE, 3_600_000).await.id;
        let chosen = invoicing::choose(&server.app, merchant, invoice, NETWORK, token_of(Asset::Dollar)).await.unwrap();
        chain.know(wallet);
        for address in open_more_like(&server, invoice, open - 1, paid).await {
            chain.know(address);
        }
        let lease = server.take_watch(NETWORK).await;
        let network = server.app.config.network(NETWORK).unwrap().clone();
        let watcher = Watcher::new(server.app.clone(), network, lease);
        let reference = chosen.record.reference;
        let mut opened = Self { server, hosts, chain, watcher, merchant, wallet, invoice, reference };
        opened.mine(Vec::new());
        while opened.watcher.step().await.unwrap() != (Step::Recorded { is_at_head: true }) {}
        opened
    }

    fn mine(&self, transactions: Vec<Transaction>) {
        self.chain.mine(self.server.now(), 0, transactions);
    }

    /// A payment of a dollar.
    fn payment(&self, number: u64) -> Transaction {
        let plan = Plan {
            signer: SolanaAddress::new([0xaa; 32]),
            wallet: self.wallet,
            sends: BTreeMap::from([(Asset::Dollar, Asset::Dollar.units_of_a_milli() * 1_000)]),
            references: self.reference.into_iter().collect(),
            memos: Vec::new(),
            shape: Shape::Plain,
            fails: false,
        };
        Transaction::sign(plan, &number.to_be_bytes())
    }

    /// Watches as a server does for some time, while blocks come, and payments in some of them.
    async fn run_for(&mut self, time: Duration, payment_each: Option<Duration>) -> Seen {
        self.hosts.requests.store(0, Ordering::Relaxed);
        drop(self.chain.asked());
        let count = payment_each.map_or(0, |each| time.as_millis() / each.as_millis());
        let payments: Vec<_> = (0..count).map(|number| self.payment(u64::try_from(number).unwrap())).collect();
        // When the block of each payment came.
        let mined: Mutex<HashMap<String, Instant>> = Mutex::default();
        let mut delays: HashMap<String, Duration> = HashMap::new();
        let (chain, app, is_over) = (Arc::clone(&self.chain), self.server.app.clone(), AtomicBool::new(false));
        let began = Instant::now();
        let blocks = async {
            let mut payments = payments.into_iter();
            let (mut next_block, mut next_payment) = (began, began);
            while !is_over.load(Ordering::Relaxed) {
                next_block += BLOCK;
                tokio::time::sleep_until(next_block.into()).await;
                let is_due = payment_each.is_some() && next_payment <= next_block;
                let paid = if is_due { payments.next() } else { None };
                next_payment += payment_each.filter(|_| is_due).unwrap_or_default();
                let known = paid.as_ref().map(|paid| (paid.name.clone(), Instant::now()));
                mined.lock().unwrap().extend(known);
                chain.mine(app.clock.now().0, 0, paid.into_iter().collect());
            }
        };
        let looks = async {
            let is_over = &is_over;
            while began.elapsed() < time || delays.len() < mined.lock().unwrap().len() {
                let next_look = tokio::time::Instant::now() + POLL;
                self.watcher.step().await.unwrap();
                let recorded = Instant::now();
                let case = self.server.case(self.merchant, self.invoice).await;
                let mined = mined.lock().unwrap().clone();
                for payment in case.payments {
                    if let Some(mined) = mined.get(&payment.record.tx_id) {
                        delays.entry(payment.record.tx_id).or_insert(recorded - *mined);
                    }
                }
                tokio::time::sleep_until(next_look).await;
            }
            is_over.store(true, Ordering::Relaxed);
        };
        tokio::join!(blocks, looks);
        let requests = self.hosts.requests.load(Ordering::Relaxed);
        Seen { calls: self.chain.asked(), requests, delays: delays.into_values().collect() }
    }
}

fn token_of(asset: Asset) -> TokenId {
    TokenId(1 + asset as i64)
}

/// Opens so many more invoices like one, each quoted; returns the addresses that are their own.
async fn open_more_like(server: &Server, invoice: InvoiceId, count: u32, paid: Paid) -> Vec<SolanaAddress> {
    const SAME: &str =
        "merchant_id, environment, due, title, footer, metadata, return_url_enabled, tolerance_basis_points,
        tolerance_at_most, receiver, deposit_salt, created_ms, expires_at, status, credit, remaining, overpaid, late,
        is_checking, ended_unverified, version, watched_until";
    const OF_QUOTE: &str = "merchant_id, network, token_id, decimals, rate, amount, covers, created_at, valid_until, ordinal, opens_account";

    let mut connection = AnyConnection::connect(&server.app.config.storage.database_url).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let mut addresses = Vec::new();
    for number in 0..count {
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let address = SolanaAddress::new(keccak256(number.to_be_bytes()).0);
        let own = match paid {
            Paid::ToOneWallet => None,
            Paid::ToOwnAddresses => Some(address.to_string()),
        };
        addresses.extend(own.is_some().then_some(address));
        let insert = format!(
            "INSERT INTO invoices (invoice_id, sequence, session_hash, deposit_address, solana_address, solana_is_own, {SAME})
             SELECT $2, 1000000 + $3, $4, $5, COALESCE($6, solana_address), $7, {SAME} FROM invoices WHERE invoice_id = $1"
        );
        let insert = sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(invoice.to_string())
            .bind(&id)
            .bind(i64::from(number))
            .bind(format!("session {number}"))
            .bind(format!("0xdddddddddddddddddddddddddddd{number:012x}"))
            .bind(&own)
            .bind(i64::from(own.is_some()));
        insert.execute(&mut *transaction).await.unwrap();
        let quote = format!(
            "INSERT INTO quotes (invoice_id, quote_id, {OF_QUOTE}) SELECT $2, $3, {OF_QUOTE} FROM quotes WHERE invoice_id = $1"
        );
        let quote =
            sqlx::query(sqlx::AssertSqlSafe(quote)).bind(invoice.to_string()).bind(&id).bind(format!("quote {number}"));
        quote.execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    connection.close().await.unwrap();
    addresses
}

//! What watching one network costs: a step with many open invoices at ten requests a second, bytes in an hour, and how
//! fast a network is caught up with after a pause.
//!
//! The chain is real, and a relay counts what goes to it and comes from it. A step is timed from the block being there to
//! its being recorded; comparing balances, which happens twice a minute, is timed by itself. It prints figures and judges
//! nothing.

#![allow(clippy::unwrap_used, reason = "a bench that meets an error has nothing to say")]

#[path = "../api/plain_invoice.rs"]
mod plain_invoice;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../api/watcher/relay.rs"]
mod relay;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../api/watcher/shop.rs"]
mod shop;

use std::time::{Duration, Instant};

use self::{
    relay::Relay,
    shop::{Shop, USDC},
};

/// As free plans of providers allow.
const REQUESTS_PER_SECOND: u32 = 10;
const OPEN: [u32; 3] = [1_000, 10_000, 100_000];
/// Blocks that are timed, each by itself.
const BLOCKS: u32 = 5;
/// Between looks at a network; what a step is held against.
const POLL: Duration = Duration::from_secs(1);
const BLOCKS_BEHIND: u64 = 2_000;
const PAYMENTS_BEHIND: u64 = 100;

#[tokio::main]
async fn main() {
    println!(
        "One network with two tokens and its own coin, {REQUESTS_PER_SECOND} requests a second; a poll is each {} s",
        POLL.as_secs()
    );
    println!(
        "{:>14} {:>12} {:>12} {:>14} {:>12} {:>16}",
        "open invoices", "step median", "step worst", "requests/step", "comparing", "MB in an hour"
    );
    for open in OPEN {
        steps(open).await;
    }
    catching_up().await;
}

/// A shop behind a relay that counts, with so many open invoices.
async fn watched(open: u32) -> (Shop, Relay) {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let url = relay.url.clone();
    let mut shop = shop
        .restart_with(|network| {
            network.rpc = vec![url.parse().unwrap()];
            network.requests_per_second = Some(REQUESTS_PER_SECOND);
            network.rpc_timeout_ms = 60_000;
        })
        .await;
    let order = shop.order(20_000, USDC).await;
    shop.open_more_like(order, open - 1).await;
    shop.catch_up().await;
    (shop, relay)
}

async fn steps(open: u32) {
    let (mut shop, relay) = watched(open).await;
    let mut took = Vec::new();
    drop((relay.requests(), relay.bytes()));
    for _ in 0..BLOCKS {
        shop.chain.mine(1).await.unwrap();
        let began = Instant::now();
        shop.watcher.step().await.unwrap();
        took.push(began.elapsed());
    }
    let requests = relay.requests().len();
    let step_bytes = relay.bytes() / u64::from(BLOCKS);
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);

    // The comparison is due with the next block.
    shop.clock.advance_seconds(31);
    shop.chain.mine(1).await.unwrap();
    let began = Instant::now();
    shop.watcher.step().await.unwrap();
    let comparing = began.elapsed().saturating_sub(median);
    let comparing_bytes = relay.bytes().saturating_sub(step_bytes);
    // A block each two seconds, as on most networks of the table.
    let hour = step_bytes * 1_800 + comparing_bytes * 120;
    println!(
        "{open:>14} {:>9} ms {:>9} ms {:>14} {:>9} ms {:>16}",
        median.as_millis(),
        worst.as_millis(),
        requests.div_ceil(BLOCKS as usize),
        comparing.as_millis(),
        hour.div_ceil(1_000_000)
    );
}

/// The server was away while the chain grew and was paid on.
async fn catching_up() {
    let (mut shop, relay) = watched(1_000).await;
    let order = shop.order(1_000_000, USDC).await;
    for _ in 0..PAYMENTS_BEHIND {
        shop.pay(order, 1_000).await;
        shop.chain.mine(BLOCKS_BEHIND / PAYMENTS_BEHIND - 1).await.unwrap();
    }
    drop(relay.requests());
    let began = Instant::now();
    shop.catch_up().await;
    let took = began.elapsed();
    let requests = relay.requests().len();
    assert_eq!(shop.case(order).await.payments.len(), usize::try_from(PAYMENTS_BEHIND).unwrap());
    println!(
        "\nCatching up: {BLOCKS_BEHIND} blocks with {PAYMENTS_BEHIND} payments and 1,000 open invoices in {} ms, {requests} requests, \
         {} blocks a second",
        took.as_millis(),
        u128::from(BLOCKS_BEHIND) * 1_000 / took.as_millis().max(1)
    );
}

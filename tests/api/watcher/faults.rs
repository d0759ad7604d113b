//! Endpoints that fail in ways that no chain knows of.

use domain::invoice::InvoiceStatus;
use e2e::eventually;
use pepay::chains::evm::Step;

use super::{
    shop::{ETH, Order, PAID_AFTER, Shop, USDC, check, milliether},
    unreliable::{FAULTS, Unreliable},
};

const TIMEOUT_MS: u64 = 400;

/// A shop behind an endpoint that may fail, and others if there are some.
async fn behind_unreliable(has_other: bool) -> (Shop, Unreliable) {
    let shop = Shop::open().await;
    let endpoint = Unreliable::start(shop.chain.rpc_url()).await;
    let url = shop.chain.rpc_url().to_owned();
    let shop = shop
        .restart_with(|network| {
            let urls = [Some(endpoint.url.as_str()), has_other.then_some(url.as_str())];
            network.rpc = urls.into_iter().flatten().map(|url| url.parse().unwrap()).collect();
            network.rpc_timeout_ms = TIMEOUT_MS;
        })
        .await;
    (shop, endpoint)
}

/// Everything that a step may write, but for what time alone changes.
async fn written(shop: &Shop, orders: [Order; 2]) -> (Option<u64>, Vec<(usize, InvoiceStatus, u64)>) {
    let cursor = shop.app.store.reader().await.unwrap().tx().cursor("ethereum").await.unwrap();
    let mut cases = Vec::new();
    for order in orders {
        let case = shop.case(order).await;
        let standing = &case.invoice.standing;
        cases.push((case.payments.len(), standing.status, standing.credit.as_millis()));
    }
    (cursor.map(|cursor| cursor.number), cases)
}

/// A fifth of what is due to each: five of them pay.
async fn pay_a_fifth(shop: &Shop, [tokens, coins]: [Order; 2]) {
    shop.pay(tokens, 4_000).await;
    shop.pay_native(coins, milliether(2)).await;
}

async fn check_five_payments(shop: &Shop, orders: [Order; 2]) {
    for order in orders {
        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Paid, 20_000);
        assert_eq!(case.payments.len(), 5);
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn while_the_only_endpoint_fails_nothing_is_half_written_and_then_all_is_found() {
    let (mut shop, endpoint) = behind_unreliable(false).await;
    let orders = [shop.order(20_000, USDC).await, shop.order(20_000, ETH).await];
    shop.catch_up().await;
    let mut failures = 0;
    for (round, fault) in FAULTS.into_iter().enumerate() {
        // Seven faults for five payments: the last two come when all was paid.
        if round < 5 {
            pay_a_fifth(&shop, orders).await;
        } else {
            shop.chain.mine(1).await.unwrap();
        }
        // It fails in the first request of a step, then in the second, and so on until a step is through all the same:
        // what witnesses say can wait.
        for good in 0.. {
            let before = written(&shop, orders).await;
            endpoint.fail(move |requests| (good <= requests).then_some(fault));
            let step = shop.watcher.step().await;
            let is_through = matches!(step, Ok(Step::Recorded { .. }));
            if !is_through {
                assert!(step.is_err(), "{fault:?} after {good} requests: {step:?}");
                assert_eq!(written(&shop, orders).await, before, "{fault:?} after {good} requests");
                failures += 1;
            }
            endpoint.fail(|_| None);
            // It rests a while, and shows its chain again before it is asked anything.
            eventually("the endpoint to have rested", async || shop.watcher.check_fitness().await.ok()).await;
            if is_through {
                break;
            }
        }
    }
    assert!(3 * FAULTS.len() < failures, "{failures}");
    endpoint.fail(|_| None);
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    check_five_payments(&shop, orders).await;
}

#[tokio::test]
async fn with_a_good_second_endpoint_the_faults_of_the_first_are_not_noticed() {
    for fault in FAULTS {
        let (mut shop, endpoint) = behind_unreliable(true).await;
        let orders = [shop.order(20_000, USDC).await, shop.order(20_000, ETH).await];
        shop.catch_up().await;
        endpoint.fail(move |requests| (requests % 3 == 2).then_some(fault));
        for _ in 0..5 {
            pay_a_fifth(&shop, orders).await;
            // No step of it fails.
            shop.catch_up().await;
        }
        assert!(0 < endpoint.failed(), "{fault:?}");
        shop.chain.mine(PAID_AFTER).await.unwrap();
        shop.catch_up().await;
        // Whoever cannot be asked for a minute is no witness that is waited for.
        shop.clock.advance_seconds(61);
        shop.chain.mine(1).await.unwrap();
        shop.catch_up().await;
        check_five_payments(&shop, orders).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_at_is_passed_over_and_found_again() {
    let (mut shop, endpoint) = behind_unreliable(false).await;
    let orders = [shop.order(20_000, USDC).await, shop.order(20_000, ETH).await];
    shop.catch_up().await;
    drop(endpoint);
    for _ in 0..5 {
        pay_a_fifth(&shop, orders).await;
        let before = written(&shop, orders).await;
        shop.failing_step().await;
        assert_eq!(written(&shop, orders).await, before);
    }
    let url = shop.chain.rpc_url().to_owned();
    let mut shop = shop.restart_behind(&[&url]).await;
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    check_five_payments(&shop, orders).await;
}

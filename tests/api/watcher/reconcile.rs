//! What deposit addresses hold, against what is recorded of them.

use alloy_primitives::{Address, B256, U256, keccak256};
use domain::{
    invoice::{InvoiceStatus, PaymentStatus},
    money::TokenAmount,
    settlement::SettlementStatus,
};
use e2e::eventually;
use pepay::{
    alarm,
    invoicing::{plan_sweeps, send_sweep},
    store::Difference,
};
use serde_json::{Value, json};

use super::{
    ear::Ear,
    relay::{Relay, decline},
    shop::{ETH, FINAL_AFTER, Order, PAID_AFTER, Shop, USDC, check, milliether, units},
};

/// A shop that sees its chain through so many endpoints.
async fn behind<const N: usize>() -> (Shop, [Relay; N]) {
    let shop = Shop::open().await;
    let mut relays = Vec::new();
    for _ in 0..N {
        relays.push(Relay::start(shop.chain.rpc_url(), true).await);
    }
    let urls: Vec<&str> = relays.iter().map(|relay| relay.url.as_str()).collect();
    let shop = shop.restart_behind(&urls).await;
    let relays = relays.try_into().unwrap_or_else(|_| panic!("as many as were started"));
    (shop, relays)
}

fn no_logs(call: &Value, answer: &mut Value) {
    if call["method"] == "eth_getLogs" {
        answer["result"] = json!([]);
    }
}

/// Lets time pass on our clock and on the chain, and reads on.
async fn later(shop: &mut Shop, seconds: u32) {
    shop.clock.advance_seconds(i64::from(seconds));
    shop.chain.increase_time(u64::from(seconds)).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
}

async fn differences(shop: &Shop) -> Vec<Difference> {
    shop.app.store.reader().await.unwrap().tx().differences("ethereum").await.unwrap()
}

/// Makes a token's balance what it is not, as a token does that pays interest or takes something back: without a word.
async fn set_balance(shop: &Shop, token: Address, owner: Address, amount: u64) {
    for slot in 0..8_u64 {
        let place = keccak256([owner.into_word().as_slice(), &U256::from(slot).to_be_bytes::<32>()].concat());
        let before = shop.chain.rpc("eth_getStorageAt", json!([token, place, "latest"])).await.unwrap();
        let value = B256::from(U256::from(amount));
        shop.chain.rpc("anvil_setStorageAt", json!([token, place, value])).await.unwrap();
        if shop.chain.balance_of(token, owner).await.unwrap() == units(amount) {
            return;
        }
        shop.chain.rpc("anvil_setStorageAt", json!([token, place, before])).await.unwrap();
    }
    panic!("the token keeps its balances elsewhere");
}

#[tokio::test]
async fn a_payment_that_an_endpoint_leaves_out_is_found_before_its_invoice_ends() {
    let (mut shop, [liar, _honest]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    liar.twist(no_logs);
    shop.pay(order, 8_000).await;
    let paid_with = shop.pay(order, 12_000).await;
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 0, "who is asked first leaves it out");

    // The block after the last second that an invoice may be paid in: it does not end without a look at its address.
    later(&mut shop, 15 * 60 + 1).await;
    let case = shop.case(order).await;
    assert_eq!(case.payments.len(), 2);
    assert_eq!(case.payments[1].record.tx_id, paid_with.to_string());
    assert!(case.payments.iter().all(|payment| !payment.late), "they came in time");
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(differences(&shop).await, []);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn open_invoices_are_compared_twice_a_minute() {
    let (mut shop, [liar, _honest]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    liar.twist(no_logs);
    shop.pay(order, 20_000).await;
    later(&mut shop, 29).await;
    assert_eq!(shop.case(order).await.payments.len(), 0);
    later(&mut shop, 1).await;
    assert_eq!(shop.case(order).await.payments.len(), 1);
}

#[tokio::test]
async fn what_nobody_explains_is_told_of_and_holds_its_invoice_open_for_an_hour() {
    let (mut shop, [alone]) = behind().await;
    let (order, other) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.catch_up().await;
    alone.twist(no_logs);
    shop.pay(order, 20_000).await;
    let ear = Ear::listen();
    later(&mut shop, 30).await;
    let told = differences(&shop).await;
    let [difference] = told.as_slice() else { panic!("one address holds something else: {told:?}") };
    assert_eq!((difference.invoice, difference.token, difference.recorded), (order.id, USDC, TokenAmount::ZERO));
    assert_eq!(difference.found.base_units(), units(20_000_000));

    later(&mut shop, 15 * 60).await;
    let expiry = shop.app.spawn(pepay::invoicing::run_expiry(shop.app.clone()));
    eventually("the invoice that nobody paid to end", async || {
        (shop.case(other).await.invoice.standing.status == InvoiceStatus::Expired).then_some(())
    })
    .await;
    let standing = shop.case(order).await.invoice.standing;
    assert_eq!((standing.status, standing.is_checking), (InvoiceStatus::Unpaid, true));
    later(&mut shop, 3_601).await;
    eventually("the other one to end", async || {
        (shop.case(order).await.invoice.standing.status == InvoiceStatus::Expired).then_some(())
    })
    .await;
    assert_eq!(differences(&shop).await, told, "still so");
    assert_eq!(ear.alarms(), [alarm::DEPOSIT_DIFFERS], "told of once");
    expiry.abort();

    // Somebody mends it, and it is found all the same: it came in time.
    alone.twist(|_, _| {});
    later(&mut shop, 86_400).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(differences(&shop).await, []);
}

#[tokio::test]
async fn native_coin_that_an_endpoint_does_not_see_is_found_with_its_transaction() {
    let (mut shop, [liar, _honest]) = behind().await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    liar.twist(|call, answer| {
        if call["method"] == "eth_getBalance" {
            answer["result"] = json!("0x0");
        }
    });
    let paid_with = shop.pay_native(order, milliether(10)).await;
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 0);
    later(&mut shop, 30).await;
    let case = shop.case(order).await;
    assert_eq!(case.payments[0].record.tx_id, paid_with.to_string());
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 1, "and once");
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    shop.check_conservation(order).await;
}

/// It is compared with the open ones no more, and what is missing is older than the last look at the ended ones.
#[tokio::test]
async fn a_payment_that_is_missing_when_another_one_ends_its_invoice_is_found_within_a_day() {
    let (mut shop, [first, second]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    for relay in [&first, &second] {
        relay.twist(|call, answer| match call["method"].as_str() {
            Some("eth_call") => decline(answer, -32000, "try again"),
            _ => no_logs(call, answer),
        });
    }
    let left_out = shop.pay(order, 8_000).await;
    shop.catch_up().await;
    for relay in [&first, &second] {
        relay.twist(|call, answer| {
            if call["method"] == "eth_call" {
                decline(answer, -32000, "try again");
            }
        });
    }
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);

    first.twist(|_, _| {});
    second.twist(|_, _| {});
    later(&mut shop, 86_400).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    assert_eq!(case.payments.len(), 2);
    assert_eq!(case.payments[0].record.tx_id, left_out.to_string());
    assert!(!case.payments[0].late, "it came in time");
    check(&case, InvoiceStatus::Paid, 28_000);
    assert_eq!(differences(&shop).await, []);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_sweep_that_an_endpoint_leaves_out_is_found() {
    let (mut shop, [liar, _honest]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay(order, 20_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let plans = plan_sweeps(&shop.app, None, None).await.unwrap();
    liar.twist(no_logs);
    let sweep = send_sweep(&shop.app, &plans[0]).await.unwrap();
    shop.chain.mined(sweep.parse().unwrap()).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments[0].settlement, SettlementStatus::Pending);
    // Its invoice is paid, so its address is one of those that are compared once a day.
    later(&mut shop, 86_400).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments[0].settlement, SettlementStatus::Settled);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_host_that_knows_of_less_than_another_makes_no_difference() {
    let (mut shop, [_honest, behind]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 5_000).await;
    shop.catch_up().await;
    behind.twist(|call, answer| match call["method"].as_str() {
        Some("eth_call") => answer["result"] = json!(format!("0x{}", "0".repeat(64))),
        Some("eth_getLogs") => answer["result"] = json!([]),
        _ => {}
    });
    later(&mut shop, 30).await;
    assert_eq!(differences(&shop).await, []);
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);
    behind.twist(|_, _| {});
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Underpaid, 5_000);
}

#[tokio::test]
async fn a_token_whose_balances_move_by_themselves_is_told_of() {
    let (mut shop, [_first, _second]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay(order, 5_000).await;
    shop.catch_up().await;
    let ear = Ear::listen();
    for (balance, recorded_too) in [(5_000_123, false), (4_999_000, false), (5_000_000, true)] {
        set_balance(&shop, shop.usdc, order.deposit, balance).await;
        later(&mut shop, 30).await;
        let told: Vec<_> = differences(&shop).await.into_iter().map(|told| told.found.base_units()).collect();
        let expected = if recorded_too { Vec::new() } else { vec![units(balance)] };
        assert_eq!(told, expected, "{balance}");
        later(&mut shop, 30).await;
        assert_eq!(ear.alarms(), vec![alarm::DEPOSIT_DIFFERS; expected.len()], "{balance} is told of once");
    }
}

/// After 30 days nobody looks for an address any more, but once a day.
#[tokio::test]
async fn money_that_comes_after_all_watching_is_found_within_a_day() {
    for token in [USDC, ETH] {
        let mut shop = Shop::open().await;
        let order = shop.order(20_000, token).await;
        shop.catch_up().await;
        let expiry = shop.app.spawn(pepay::invoicing::run_expiry(shop.app.clone()));
        later(&mut shop, 16 * 60).await;
        eventually("the invoice to end", async || {
            (shop.case(order).await.invoice.standing.status == InvoiceStatus::Expired).then_some(())
        })
        .await;
        expiry.abort();
        later(&mut shop, 31 * 86_400).await;
        let paid_with = match token {
            USDC => shop.pay(order, 20_000).await,
            _ => shop.pay_native(order, milliether(10)).await,
        };
        shop.catch_up().await;
        assert_eq!(shop.case(order).await.payments.len(), 0);
        later(&mut shop, 86_400).await;
        check_late(&shop, order, paid_with, token == USDC).await;
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn money_that_comes_soon_after_its_invoice_ended_is_seen_at_once_and_late() {
    let mut shop = Shop::open().await;
    let (expired, paid) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.catch_up().await;
    shop.pay(paid, 20_000).await;
    shop.confirm().await;
    let expiry = shop.app.spawn(pepay::invoicing::run_expiry(shop.app.clone()));
    later(&mut shop, 16 * 60).await;
    eventually("the invoice to end", async || {
        (shop.case(expired).await.invoice.standing.status == InvoiceStatus::Expired).then_some(())
    })
    .await;
    expiry.abort();
    let paid_with = shop.pay(expired, 20_000).await;
    shop.pay(paid, 5_000).await;
    shop.confirm().await;
    check_late(&shop, expired, paid_with, true).await;
    assert_eq!(shop.events(expired).await.last().map(String::as_str), Some("invoice_payment.created"));
    let case = shop.case(paid).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    let late: Vec<_> = case.payments.iter().map(|payment| (payment.late, payment.status)).collect();
    assert_eq!(late, [(false, PaymentStatus::Confirmed), (true, PaymentStatus::ManualRetry)]);
    for order in [expired, paid] {
        shop.check_conservation(order).await;
    }
}

async fn check_late(shop: &Shop, order: Order, paid_with: B256, is_known_with: bool) {
    let case = shop.case(order).await;
    assert_eq!(case.payments.len(), 1);
    assert!(case.payments[0].late);
    assert_eq!(case.payments[0].status, PaymentStatus::ManualRetry);
    assert_eq!(case.invoice.standing.status, InvoiceStatus::Expired);
    if is_known_with {
        assert_eq!(case.payments[0].record.tx_id, paid_with.to_string());
    }
}

#[tokio::test]
async fn balances_of_many_invoices_are_compared_in_few_requests() {
    let (mut shop, [first, second]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    shop.open_more_like(order, 1_999).await;
    shop.catch_up().await;
    first.twist(no_logs);
    shop.pay(order, 20_000).await;
    shop.catch_up().await;
    drop((first.requests(), second.requests()));
    later(&mut shop, 30).await;
    assert_eq!(shop.case(order).await.payments.len(), 1);
    let requests = second.requests();
    let calls: usize = requests.iter().flatten().filter(|call| call["method"] == "eth_call").count();
    // Two tokens and the coin, 500 addresses at a time.
    assert_eq!(calls, 3 * 4, "{}", requests.len());
}

#[tokio::test]
async fn a_token_that_cannot_be_read_together_is_read_one_by_one() {
    let (mut shop, [first, second]) = behind().await;
    let order = shop.order(20_000, USDC).await;
    shop.open_more_like(order, 150).await;
    shop.catch_up().await;
    let no_code = |call: &Value, answer: &mut Value| {
        if call["method"] == "eth_call" && call["params"][0]["to"].is_null() {
            decline(answer, -32000, "contract creation without any data provided");
        }
    };
    first.twist(move |call, answer| {
        no_code(call, answer);
        no_logs(call, answer);
    });
    second.twist(no_code);
    shop.pay(order, 20_000).await;
    later(&mut shop, 30).await;
    assert_eq!(shop.case(order).await.payments.len(), 1);
}

//! How far a payment is relied on: depth, what the chain says of its blocks, and how many endpoints show it.

use alloy_primitives::{Address, B256, U256, keccak256};
use domain::{
    invoice::{InvoiceStatus, PaymentStatus},
    settlement::SettlementStatus,
};
use pepay::{alarm, invoicing::plan_sweeps};
use serde_json::{Value, json};
use wire::deposit_address::FACTORY;

use super::{
    ear::Ear,
    relay::{Relay, decline},
    shop::{ETH, FINAL_AFTER, Order, PAID_AFTER, Shop, USDC, WALLET, check, milliether, units},
};

/// A shop that sees its chain through two endpoints.
async fn with_two_endpoints() -> (Shop, Relay, Relay) {
    behind_two(Shop::open().await).await
}

async fn behind_two(shop: Shop) -> (Shop, Relay, Relay) {
    let first = Relay::start(shop.chain.rpc_url(), true).await;
    let second = Relay::start(shop.chain.rpc_url(), true).await;
    let shop = shop.restart_behind(&[&first.url, &second.url]).await;
    (shop, first, second)
}

/// Reads a block more.
async fn next_block(shop: &mut Shop) {
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
}

/// Looks again after a while, with no new block.
async fn later(shop: &mut Shop, seconds: i64) {
    shop.clock.advance_seconds(seconds);
    shop.catch_up().await;
}

async fn check_pending(shop: &Shop, order: Order) {
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments[0].status, PaymentStatus::Pending);
}

fn asks(call: &Value, method: &str) -> bool {
    call["method"] == method
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

fn no_receipts(call: &Value, answer: &mut Value) {
    if asks(call, "eth_getTransactionReceipt") {
        answer["result"] = Value::Null;
    }
}

fn nothing(_: &Value, answer: &mut Value) {
    decline(answer, -32000, "no");
}

// Witnesses

#[tokio::test]
async fn a_payment_counts_once_a_second_endpoint_shows_it() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    second.twist(no_receipts);
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    let ear = Ear::listen();
    shop.confirm().await;
    check_pending(&shop, order).await;
    // That it takes long makes no difference while the other one denies it.
    for _ in 0..3 {
        later(&mut shop, 61).await;
        check_pending(&shop, order).await;
    }
    assert_eq!(ear.alarms(), [alarm::PAYMENT_DISPUTED], "told of once");
    second.twist(|_, _| {});
    later(&mut shop, 61).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    // It was shown once; that is enough.
    second.twist(nothing);
    next_block(&mut shop).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn an_endpoint_that_is_behind_denies_nothing_and_is_asked_again_without_a_new_block() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let behind = shop.chain.block_number().await.unwrap();
    second.twist(move |call, answer| {
        no_receipts(call, answer);
        let number =
            call["params"][0].as_str().and_then(|number| u64::from_str_radix(number.strip_prefix("0x")?, 16).ok());
        if asks(call, "eth_getBlockByNumber") && number.is_some_and(|number| behind < number) {
            answer["result"] = Value::Null;
        }
    });
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check_pending(&shop, order).await;
    second.twist(|_, _| {});
    shop.catch_up().await;
    check_pending(&shop, order).await;
    later(&mut shop, 1).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn the_word_of_one_is_taken_after_a_minute_in_which_nobody_else_can_say() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    second.twist(nothing);
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check_pending(&shop, order).await;
    later(&mut shop, 59).await;
    check_pending(&shop, order).await;
    later(&mut shop, 60).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn who_denied_a_payment_and_fell_silent_has_not_taken_that_back() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    second.twist(no_receipts);
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    second.twist(nothing);
    for _ in 0..5 {
        later(&mut shop, 61).await;
        check_pending(&shop, order).await;
    }
    second.twist(|_, _| {});
    later(&mut shop, 61).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

/// The host that told of it is asked like every other.
#[tokio::test]
async fn a_payment_that_nobody_can_be_asked_about_is_told_of_and_does_not_count() {
    let (mut shop, first, second) = with_two_endpoints().await;
    for relay in [&first, &second] {
        relay.twist(|call, answer| {
            if asks(call, "eth_getTransactionReceipt") {
                decline(answer, -32000, "no");
            }
        });
    }
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    let ear = Ear::listen();
    shop.confirm().await;
    assert_eq!(ear.alarms(), Vec::<String>::new(), "it may be so for a moment");
    for _ in 0..3 {
        later(&mut shop, 61).await;
        check_pending(&shop, order).await;
    }
    assert_eq!(ear.alarms(), [alarm::PAYMENT_WITHOUT_WITNESS], "told of once");
    for relay in [&first, &second] {
        relay.twist(|_, _| {});
    }
    later(&mut shop, 61).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn a_payment_on_one_side_of_a_fork_does_not_count() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let last_in_common = shop.chain.block_number().await.unwrap();
    second.twist(move |call, answer| {
        no_receipts(call, answer);
        let number = answer["result"]["number"].as_str().and_then(|text| text.strip_prefix("0x"));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if asks(call, "eth_getBlockByNumber") && number.is_some_and(|number| last_in_common < number) {
            answer["result"]["hash"] = json!(B256::repeat_byte(0xf0));
        }
    });
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    for _ in 0..3 {
        later(&mut shop, 61).await;
        check_pending(&shop, order).await;
    }
    // The other one comes round.
    second.twist(|_, _| {});
    later(&mut shop, 61).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

/// Whoever can forge a log can forge its receipt.
#[tokio::test]
async fn a_payment_that_one_endpoint_made_up_never_counts() {
    let (mut shop, first, _second) = with_two_endpoints().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let number = shop.chain.block_number().await.unwrap() + 1;
    let mut log = json!({
        "address": shop.usdc,
        "topics": [keccak256("Transfer(address,address,uint256)"), B256::repeat_byte(0x11), order.deposit.into_word()],
        "data": format!("{:#066x}", 20_000_000),
        "blockNumber": hex(number),
        "transactionHash": B256::repeat_byte(0x22), "transactionIndex": "0x0", "logIndex": "0x0", "removed": false,
    });
    shop.chain.mine(1).await.unwrap();
    let block = shop.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap()["hash"].clone();
    log["blockHash"] = block.clone();
    first.twist(move |call, answer| {
        if asks(call, "eth_getTransactionReceipt") {
            answer["result"] = json!({ "status": "0x1", "blockHash": block, "logs": [log] });
        }
        if asks(call, "eth_getLogs") && call["params"][0]["blockHash"] == block {
            answer["result"] = json!([log]);
        }
    });
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 1, "it was believed so far");
    for _ in 0..FINAL_AFTER {
        shop.clock.advance_seconds(61);
        next_block(&mut shop).await;
    }
    check_pending(&shop, order).await;
    assert_eq!(shop.chain.balance_of(shop.usdc, order.deposit).await.unwrap(), U256::ZERO);
}

#[tokio::test]
async fn one_log_does_not_stand_for_two_equal_ones() {
    let (mut shop, first, _second) = with_two_endpoints().await;
    let order = shop.order(60_000, USDC).await;
    shop.catch_up().await;
    let contract = shop.chain.deploy_payer().await.unwrap();
    shop.chain.mint(shop.usdc, contract, units(40_000_000)).await.unwrap();
    let payments = [(order.deposit, units(20_000_000)); 2];
    // The first endpoint tells of a third one in the same transaction.
    first.twist(|call, answer| {
        let logs = match call["method"].as_str() {
            Some("eth_getLogs") => answer["result"].as_array_mut(),
            Some("eth_getTransactionReceipt") => answer["result"]["logs"].as_array_mut(),
            _ => None,
        };
        if let Some(logs) = logs
            && let Some(mut third) = logs.last().cloned()
        {
            third["logIndex"] = json!("0x9");
            logs.push(third);
        }
    });
    let transaction = shop.chain.pay_tokens(shop.payer(), contract, shop.usdc, &payments).await.unwrap();
    shop.chain.mined(transaction).await.unwrap();
    shop.confirm().await;
    for _ in 0..3 {
        later(&mut shop, 61).await;
    }
    let case = shop.case(order).await;
    assert_eq!(case.payments.len(), 3);
    check(&case, InvoiceStatus::Underpaid, 40_000);
}

#[tokio::test]
async fn fifty_payments_that_are_stuck_hold_up_no_other() {
    let (mut shop, first, _second) = with_two_endpoints().await;
    let (stuck, order) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.catch_up().await;
    // Fifty logs of a transaction that nobody else knows.
    let topics = [keccak256("Transfer(address,address,uint256)"), B256::ZERO, stuck.deposit.into_word()];
    shop.chain.mine(1).await.unwrap();
    let block = shop.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    let log = |index: u64| {
        json!({
            "address": shop.usdc, "topics": topics, "data": format!("{:#066x}", 1_000_000),
            "blockNumber": block["number"], "blockHash": block["hash"], "removed": false,
            "transactionHash": B256::repeat_byte(0x22), "transactionIndex": "0x0", "logIndex": hex(index),
        })
    };
    let logs: Vec<_> = (0..51).map(log).collect();
    let made_up = block["hash"].clone();
    first.twist(move |call, answer| {
        if asks(call, "eth_getLogs") && call["params"][0]["blockHash"] == made_up {
            answer["result"] = json!(logs);
        }
    });
    shop.catch_up().await;
    assert_eq!(shop.case(stuck).await.payments.len(), 51);
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    later(&mut shop, 61).await;

    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    check(&shop.case(stuck).await, InvoiceStatus::Unpaid, 0);
}

#[tokio::test]
async fn facts_of_a_token_that_is_not_configured_any_more_hold_up_no_other() {
    let (mut shop, _first, _second) = with_two_endpoints().await;
    let (other, order) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.catch_up().await;
    let contract = shop.chain.deploy_payer().await.unwrap();
    shop.chain.mint(shop.eurx, contract, units(30)).await.unwrap();
    let payments = [(other.deposit, units(1)); 30];
    let transaction = shop.chain.pay_tokens(shop.payer(), contract, shop.eurx, &payments).await.unwrap();
    shop.chain.mined(transaction).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(other).await.payments.len(), 30);
    let mut shop = shop
        .restart_with(|network| {
            network.tokens.remove(1);
        })
        .await;
    shop.pay(order, 20_000).await;
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn all_that_waits_is_asked_of_a_host_in_one_request() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    let orders = [shop.order(20_000, USDC).await, shop.order(20_000, USDC).await, shop.order(20_000, ETH).await];
    shop.catch_up().await;
    shop.pay(orders[0], 20_000).await;
    shop.pay(orders[1], 20_000).await;
    shop.pay_native(orders[2], milliether(10)).await;
    shop.chain.mine(PAID_AFTER).await.unwrap();
    second.requests();
    shop.catch_up().await;
    for order in orders {
        check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    }
    let requests = second.requests();
    let asked: Vec<_> =
        requests.iter().filter(|calls| calls.iter().any(|call| asks(call, "eth_getTransactionReceipt"))).collect();
    let [calls] = asked.as_slice() else { panic!("one request: {requests:?}") };
    assert_eq!(calls.len(), 3 + 3 + 1, "three blocks, three receipts, and the transaction that brought the coin");
}

#[tokio::test]
async fn native_coin_counts_once_a_second_endpoint_shows_the_transaction_that_brought_it() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    second.twist(|call, answer| {
        if asks(call, "eth_getTransactionByHash") {
            answer["result"]["value"] = json!("0x1");
        }
    });
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.pay_native(order, milliether(10)).await;
    shop.confirm().await;
    later(&mut shop, 61).await;
    check_pending(&shop, order).await;
    // It needs nothing of the state of old blocks.
    second.twist(|call, answer| {
        if asks(call, "eth_getBalance") {
            decline(answer, -32000, "missing trie node");
        }
    });
    later(&mut shop, 61).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

/// Pays with a contract's call, which names the address nowhere but inside.
async fn pay_inside(shop: &Shop, order: Order, amount: U256) -> u64 {
    let contract = shop.chain.deploy_payer().await.unwrap();
    let payment = shop.chain.pay_native_inside_call(shop.payer(), contract, &[(order.deposit, amount)]).await.unwrap();
    shop.chain.mined(payment).await.unwrap().block_number
}

#[tokio::test]
async fn native_coin_that_came_inside_a_call_counts_once_a_second_endpoint_sees_it_held() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    second.twist(|call, answer| {
        if asks(call, "eth_getBalance") {
            answer["result"] = json!("0x0");
        }
    });
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    pay_inside(&shop, order, milliether(10)).await;
    shop.confirm().await;
    later(&mut shop, 61).await;
    check_pending(&shop, order).await;
    second.twist(|call, answer| {
        if asks(call, "eth_getBalance") && call["params"][1].is_object() {
            decline(answer, -32602, "invalid argument 1: json: cannot unmarshal object into string");
        }
    });
    later(&mut shop, 61).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

/// A sweep lowers what the address has to hold, so it must not be the first endpoint's word alone.
#[tokio::test]
async fn a_sweep_that_one_endpoint_made_up_hides_no_missing_coin() {
    let (mut shop, first, _second) = with_two_endpoints().await;
    let order = shop.order(40_000, ETH).await;
    shop.catch_up().await;
    pay_inside(&shop, order, milliether(10)).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Underpaid, 20_000);

    // Two blocks on: it says that all was swept in the first, and that as much came again in the second.
    shop.chain.mine(1).await.unwrap();
    let block = shop.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    let swept = keccak256("Swept(address,address,address,uint256)");
    let log = json!({
        "address": FACTORY, "topics": [swept, WALLET.into_word(), order.deposit.into_word(), B256::ZERO],
        "data": format!("{:#066x}", milliether(10)), "blockNumber": block["number"], "blockHash": block["hash"],
        "transactionHash": B256::repeat_byte(0x22), "transactionIndex": "0x0", "logIndex": "0x0", "removed": false,
    });
    first.twist(move |call, answer| {
        if asks(call, "eth_getLogs") && call["params"][0]["blockHash"] == block["hash"] {
            answer["result"] = json!([log]);
        }
        if asks(call, "eth_getBalance") && call["params"][1]["blockHash"] == block["hash"] {
            answer["result"] = json!("0x0");
        }
        if asks(call, "eth_getTransactionReceipt") && call["params"][0] == log["transactionHash"] {
            answer["result"] = json!({ "status": "0x1", "blockHash": block["hash"], "logs": [log] });
        }
    });
    shop.catch_up().await;
    next_block(&mut shop).await;
    assert_eq!(shop.case(order).await.payments.len(), 2, "it was believed so far");
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    for _ in 0..4 {
        later(&mut shop, 61).await;
    }
    check(&shop.case(order).await, InvoiceStatus::Underpaid, 20_000);
    let settlements: Vec<_> = shop.case(order).await.payments.iter().map(|payment| payment.settlement).collect();
    assert!(!settlements.contains(&SettlementStatus::Settled), "{settlements:?}");
}

#[tokio::test]
async fn a_payment_is_settled_once_a_second_endpoint_shows_the_sweep() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    pay_inside(&shop, order, milliether(10)).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    second.twist(no_receipts);
    let sweep = shop.chain.sweep(shop.payer(), WALLET, &[order.salt], &[Address::ZERO]).await.unwrap();
    shop.chain.mined(sweep).await.unwrap();
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    later(&mut shop, 61).await;
    assert_eq!(shop.case(order).await.payments[0].settlement, SettlementStatus::Processing);
    second.twist(|_, _| {});
    later(&mut shop, 61).await;
    assert_eq!(shop.case(order).await.payments[0].settlement, SettlementStatus::Settled);

    // What was swept is not missing when more comes.
    pay_inside(&shop, order, milliether(5)).await;
    shop.confirm().await;
    later(&mut shop, 1).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 30_000);
}

#[tokio::test]
async fn the_word_of_one_endpoint_is_taken_up_to_a_limit() {
    let mut shop = Shop::open().await;
    shop.trust_one_up_to(19).await;
    let (large, small) = (shop.order(20_000, USDC).await, shop.order(19_000, USDC).await);
    shop.catch_up().await;
    shop.pay(large, 20_000).await;
    shop.pay(small, 19_000).await;
    shop.confirm().await;
    check(&shop.case(small).await, InvoiceStatus::Paid, 19_000);
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    check_pending(&shop, large).await;
    shop.trust_one_up_to(20).await;
    next_block(&mut shop).await;
    check(&shop.case(large).await, InvoiceStatus::Paid, 20_000);
}

// Depth

#[tokio::test]
async fn larger_invoices_wait_for_more_confirmations() {
    let large = json!({ "above_usd": 100, "paid_after": PAID_AFTER + 2 });
    let mut shop = Shop::open_with(|network, _| network["large"] = large).await;
    let (usual, larger) = (shop.order(100_000, USDC).await, shop.order(101_000, USDC).await);
    shop.catch_up().await;
    shop.pay(larger, 101_000).await;
    shop.pay(usual, 100_000).await;
    shop.confirm().await;
    check(&shop.case(usual).await, InvoiceStatus::Paid, 100_000);
    check_pending(&shop, larger).await;
    assert_eq!(shop.case(larger).await.payments[0].required_confirmations, 5);
    next_block(&mut shop).await;
    check(&shop.case(larger).await, InvoiceStatus::Paid, 101_000);
}

// Tags

/// A shop on a network that hands money on when the chain calls it final.
async fn with_final_tag() -> Shop {
    Shop::open_with(|network, _| network["final_tag"] = json!("finalized")).await
}

async fn behind_one(shop: Shop) -> (Shop, Relay) {
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let shop = shop.restart_behind(&[&relay.url]).await;
    (shop, relay)
}

async fn due(shop: &Shop) -> usize {
    plan_sweeps(&shop.app, None, None).await.unwrap().len()
}

/// A paid invoice of which nothing more is due than that its block becomes final; returns the number of that block.
async fn pay_deeply(shop: &mut Shop) -> u64 {
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    let paid_in = shop.chain.block_number().await.unwrap();
    shop.chain.mine(FINAL_AFTER + 3).await.unwrap();
    paid_in
}

/// An endpoint that calls this block so, and no newer one.
async fn calls(shop: &Shop, tag: &'static str, block: u64) -> impl Fn(&Value, &mut Value) + Send + Clone + 'static {
    let header = shop.chain.rpc("eth_getBlockByNumber", json!([hex(block), false])).await.unwrap();
    move |call, answer| {
        if call["params"][0] == tag {
            answer["result"] = header.clone();
        }
    }
}

fn knows_no_tags(call: &Value, answer: &mut Value) {
    if ["safe", "finalized"].iter().any(|tag| call["params"][0] == *tag) {
        decline(answer, -32602, "unknown block tag");
    }
}

#[tokio::test]
async fn what_is_handed_on_is_what_the_chain_calls_final() {
    let (mut shop, relay) = behind_one(with_final_tag().await).await;
    let paid_in = pay_deeply(&mut shop).await;
    relay.twist(calls(&shop, "finalized", paid_in - 1).await);
    later(&mut shop, 3).await;
    assert_eq!(due(&shop).await, 0, "deep, and not called final");
    later(&mut shop, 999).await;
    assert_eq!(due(&shop).await, 0, "the chain is not silent");
    relay.twist(calls(&shop, "finalized", paid_in).await);
    later(&mut shop, 3).await;
    assert_eq!(due(&shop).await, 1);
}

#[tokio::test]
async fn an_endpoint_that_lags_takes_nothing_back() {
    let shop = Shop::open_with(|network, _| {
        network["paid_tag"] = json!("safe");
        network["final_tag"] = json!("finalized");
    });
    let (mut shop, relay) = behind_one(shop.await).await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    let paid_in = shop.chain.block_number().await.unwrap();
    shop.chain.mine(PAID_AFTER).await.unwrap();
    let (safe, finalized) = (calls(&shop, "safe", paid_in).await, calls(&shop, "finalized", 1).await);
    let lagging = calls(&shop, "safe", paid_in - 1).await;
    let behind = finalized.clone();
    relay.twist(move |call, answer| {
        lagging(call, answer);
        behind(call, answer);
    });
    shop.catch_up().await;
    check_pending(&shop, order).await;
    relay.twist(move |call, answer| {
        safe(call, answer);
        finalized(call, answer);
    });
    later(&mut shop, 3).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    let (safe, finalized) = (calls(&shop, "safe", 1).await, calls(&shop, "finalized", 1).await);
    relay.twist(move |call, answer| {
        safe(call, answer);
        finalized(call, answer);
    });
    later(&mut shop, 3).await;
    next_block(&mut shop).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    // A watcher that remembers nothing of what was said takes nothing back either.
    let mut shop = shop.restart().await;
    next_block(&mut shop).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(due(&shop).await, 0, "it is not final");
}

#[tokio::test]
async fn what_is_called_final_must_be_on_the_chain_that_was_read() {
    let (mut shop, relay) = behind_one(with_final_tag().await).await;
    let paid_in = pay_deeply(&mut shop).await;
    let honest = calls(&shop, "finalized", paid_in).await;
    let says = honest.clone();
    let ear = Ear::listen();
    relay.twist(move |call, answer| {
        says(call, answer);
        if call["params"][0] == "finalized" {
            answer["result"]["hash"] = json!(B256::repeat_byte(0xf0));
        }
    });
    for _ in 0..10 {
        later(&mut shop, 61).await;
        assert_eq!(due(&shop).await, 0, "however deep it is");
    }
    assert_eq!(ear.alarms(), [alarm::FINALITY_DISPUTED], "told of once");
    relay.twist(honest);
    later(&mut shop, 3).await;
    assert_eq!(due(&shop).await, 1);
}

#[tokio::test]
async fn of_two_hosts_the_one_that_calls_less_final_is_followed() {
    let (mut shop, first, second) = behind_two(with_final_tag().await).await;
    let paid_in = pay_deeply(&mut shop).await;
    first.twist(calls(&shop, "finalized", paid_in + 2).await);
    second.twist(calls(&shop, "finalized", paid_in - 1).await);
    shop.catch_up().await;
    later(&mut shop, 3).await;
    assert_eq!(due(&shop).await, 0);
    second.twist(calls(&shop, "finalized", paid_in).await);
    later(&mut shop, 3).await;
    assert_eq!(due(&shop).await, 1);
}

#[tokio::test]
async fn where_nobody_says_what_is_final_depth_decides_after_five_minutes() {
    for hosts in [1, 2] {
        let shop = with_final_tag().await;
        let (mut shop, relays) = if hosts == 1 {
            let (shop, relay) = behind_one(shop).await;
            (shop, vec![relay])
        } else {
            // The other one goes on calling blocks final, and its word alone is not enough.
            let (shop, first, second) = behind_two(shop).await;
            (shop, vec![second, first])
        };
        relays[0].twist(knows_no_tags);
        let order = shop.order(20_000, USDC).await;
        shop.catch_up().await;
        shop.pay(order, 20_000).await;
        shop.confirm().await;
        check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
        later(&mut shop, 299).await;
        assert_eq!(due(&shop).await, 0);
        later(&mut shop, 3).await;
        assert_eq!(due(&shop).await, 0, "nor is it deep yet");
        shop.chain.mine(FINAL_AFTER - PAID_AFTER).await.unwrap();
        shop.catch_up().await;
        assert_eq!(due(&shop).await, 1, "{hosts}");
    }
}

#[tokio::test]
async fn a_tag_that_is_lost_for_a_while_is_asked_for_again() {
    let (mut shop, relay) = behind_one(with_final_tag().await).await;
    let first = pay_deeply(&mut shop).await;
    relay.twist(calls(&shop, "finalized", first).await);
    later(&mut shop, 3).await;
    assert_eq!(due(&shop).await, 1);

    relay.twist(knows_no_tags);
    let second = pay_deeply(&mut shop).await;
    later(&mut shop, 3).await;
    let deposits = async |shop: &Shop| plan_sweeps(&shop.app, None, None).await.unwrap()[0].deposits.len();
    assert_eq!(deposits(&shop).await, 1);
    relay.twist(calls(&shop, "finalized", second).await);
    later(&mut shop, 3).await;
    assert_eq!(deposits(&shop).await, 2, "as soon as it is there again");

    relay.twist(knows_no_tags);
    pay_deeply(&mut shop).await;
    later(&mut shop, 3).await;
    assert_eq!(deposits(&shop).await, 2);
    later(&mut shop, 300).await;
    assert_eq!(deposits(&shop).await, 3, "the last word on it does not stand in the way for ever");
}

#[tokio::test]
async fn tags_are_asked_for_together_every_few_seconds_and_only_while_facts_wait_for_them() {
    let shop = Shop::open_with(|network, _| {
        network["paid_tag"] = json!("safe");
        network["final_tag"] = json!("finalized");
    });
    let (mut shop, relay) = behind_one(shop.await).await;
    let is_tag = |call: &Value| ["safe", "finalized"].iter().any(|tag| call["params"][0] == *tag);
    let asked = |relay: &Relay| -> Vec<usize> {
        let tags = relay.requests().into_iter().map(|calls| calls.iter().filter(|call| is_tag(call)).count());
        tags.filter(|tags| *tags != 0).collect()
    };
    let order = shop.order(20_000, USDC).await;
    for _ in 0..3 {
        shop.clock.advance_seconds(3);
        next_block(&mut shop).await;
    }
    assert_eq!(asked(&relay), [0; 0], "there is nothing that waits");
    shop.pay(order, 20_000).await;
    next_block(&mut shop).await;
    assert_eq!(asked(&relay), [2], "both at once");
    later(&mut shop, 2).await;
    assert_eq!(asked(&relay), [0; 0]);
    later(&mut shop, 1).await;
    assert_eq!(asked(&relay), [2]);
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    later(&mut shop, 3).await;
    assert_eq!((due(&shop).await, asked(&relay)), (1, vec![2]));
    shop.clock.advance_seconds(3);
    next_block(&mut shop).await;
    assert_eq!(asked(&relay), [0; 0], "all is final");
}

#[tokio::test]
async fn what_was_called_final_says_nothing_of_blocks_in_its_place() {
    let (mut shop, relay) = behind_one(with_final_tag().await).await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let snapshot = shop.chain.snapshot().await.unwrap();
    let pay = async |shop: &Shop| {
        shop.pay(order, 20_000).await;
        shop.chain.block_number().await.unwrap()
    };
    let paid_in = pay(&shop).await;
    shop.chain.mine(PAID_AFTER).await.unwrap();
    relay.twist(calls(&shop, "finalized", paid_in + 1).await);
    shop.catch_up().await;
    assert_eq!(due(&shop).await, 1);

    shop.chain.revert(snapshot).await.unwrap();
    relay.twist(calls(&shop, "finalized", 1).await);
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);
    shop.clock.advance_seconds(3);
    assert_eq!(pay(&shop).await, paid_in, "at the same height");
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(due(&shop).await, 0, "this block is not called final");
}

#[tokio::test]
async fn an_endpoint_with_another_first_block_is_refused() {
    let shop = Shop::open().await;
    let block = shop.chain.rpc("eth_getBlockByNumber", json!(["0x0", false])).await.unwrap();
    let genesis: B256 = serde_json::from_value(block["hash"].clone()).unwrap();
    let mut shop = shop.restart_with(|network| network.genesis = Some(genesis)).await;
    shop.catch_up().await;
    let mut shop = shop.restart_with(|network| network.genesis = Some(B256::repeat_byte(0x11))).await;
    let error = shop.failing_step().await.to_string();
    assert!(error.contains("has another genesis block"), "{error}");
}

//! How far a payment is relied on: depth, what the chain says of its blocks, and how many endpoints show it.

use alloy_primitives::{B256, U256, keccak256};
use domain::invoice::{InvoiceStatus, PaymentStatus};
use pepay::invoicing::plan_sweeps;
use serde_json::{Value, json};

use super::{
    relay::{Relay, decline},
    shop::{ETH, FINAL_AFTER, Order, PAID_AFTER, Shop, USDC, check, milliether},
};

/// A shop that sees its chain through two endpoints.
async fn with_two_endpoints() -> (Shop, Relay, Relay) {
    let shop = Shop::open().await;
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

async fn check_pending(shop: &Shop, order: Order) {
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments[0].status, PaymentStatus::Pending);
}

#[tokio::test]
async fn a_payment_counts_once_a_second_endpoint_shows_it() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    second.twist(|call, answer| {
        if call["method"] == "eth_getTransactionReceipt" {
            answer["result"] = Value::Null;
        }
    });
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check_pending(&shop, order).await;
    // That it takes long makes no difference while the other one answers.
    shop.clock.advance_seconds(61);
    next_block(&mut shop).await;
    check_pending(&shop, order).await;
    second.twist(|_, _| {});
    next_block(&mut shop).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    // It was shown once; that is enough.
    second.twist(|_, answer| decline(answer, -32000, "no"));
    next_block(&mut shop).await;
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
        "blockNumber": format!("{number:#x}"),
        "transactionHash": B256::repeat_byte(0x22), "transactionIndex": "0x0", "logIndex": "0x0", "removed": false,
    });
    shop.chain.mine(1).await.unwrap();
    let block = shop.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap()["hash"].clone();
    log["blockHash"] = block.clone();
    first.twist(move |call, answer| {
        if call["method"] == "eth_getTransactionReceipt" {
            answer["result"] = json!({ "status": "0x1", "blockHash": block, "logs": [log] });
        }
        if call["method"] == "eth_getLogs" && call["params"][0]["blockHash"] == block {
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
async fn native_coin_counts_once_a_second_endpoint_sees_it_held() {
    let (mut shop, _first, second) = with_two_endpoints().await;
    second.twist(|call, answer| {
        if call["method"] == "eth_getBalance" {
            answer["result"] = json!("0x0");
        }
    });
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.pay_native(order, milliether(10)).await;
    shop.confirm().await;
    check_pending(&shop, order).await;
    second.twist(|_, _| {});
    next_block(&mut shop).await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
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

/// A shop on a network that hands money on when the chain calls it final, and what is due there, by its watcher's relay.
async fn with_final_tag() -> (Shop, Relay) {
    let shop = Shop::open_with(|network, _| network["final_tag"] = json!("finalized")).await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let shop = shop.restart_behind(&[&relay.url]).await;
    (shop, relay)
}

async fn due(shop: &Shop) -> usize {
    plan_sweeps(&shop.app, None, None).await.unwrap().len()
}

#[tokio::test]
async fn what_is_handed_on_is_what_the_chain_calls_final() {
    let (mut shop, relay) = with_final_tag().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    let paid_in = shop.chain.block_number().await.unwrap();
    let finalized = move |block: u64| {
        move |call: &Value, answer: &mut Value| {
            if call["params"][0] == "finalized" {
                answer["result"]["number"] = json!(format!("{block:#x}"));
            }
        }
    };
    relay.twist(finalized(paid_in - 1));
    shop.chain.mine(FINAL_AFTER + 3).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(due(&shop).await, 0, "deep, and not called final");
    relay.twist(finalized(paid_in));
    next_block(&mut shop).await;
    assert_eq!(due(&shop).await, 1);
    // An endpoint that lags knows less; that takes nothing back.
    relay.twist(finalized(1));
    next_block(&mut shop).await;
    assert_eq!(due(&shop).await, 1);
}

#[tokio::test]
async fn where_the_node_does_not_know_what_is_final_depth_decides() {
    let (mut shop, relay) = with_final_tag().await;
    relay.twist(|call, answer| {
        if call["params"][0] == "finalized" {
            decline(answer, -32602, "unknown block tag");
        }
    });
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    shop.chain.mine(FINAL_AFTER - 2).await.unwrap();
    shop.catch_up().await;
    assert_eq!(due(&shop).await, 0);
    next_block(&mut shop).await;
    assert_eq!(due(&shop).await, 1);
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

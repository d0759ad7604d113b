//! Endpoints, tokens and payments that are out of the ordinary.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{Address, U256};
use domain::{invoice::InvoiceStatus, settlement::SettlementStatus};
use pepay::{
    chains::evm::Step,
    invoicing::{plan_sweeps, send_sweep},
};
use serde_json::json;

use super::{
    relay::{Relay, decline},
    shop::{ETH, EURX, FINAL_AFTER, PAID_AFTER, Shop, USDC, WALLET, check, milliether, units},
};

#[tokio::test]
async fn an_endpoint_that_is_behind_another_undoes_nothing() {
    let shop = Shop::open().await;
    let first = Relay::start(shop.chain.rpc_url(), true).await;
    let second = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&first.url, &second.url]).await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let old = shop.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    shop.pay(order, 20_000).await;
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 1);

    // Who answered so far has the newest blocks no more; the other one has them.
    first.twist(move |call, answer| match call["method"].as_str() {
        Some("eth_getBlockByNumber") if call["params"][0] == "latest" => answer["result"] = old.clone(),
        Some("eth_getBlockByHash") => answer["result"] = json!(null),
        _ => {}
    });
    for _ in 0..10 {
        assert_eq!(shop.watcher.step().await.unwrap(), Step::Behind);
    }
    let case = shop.case(order).await;
    assert!(case.payments[0].record.canonical);
    assert!(!shop.events(order).await.contains(&"invoice_payment.updated".to_owned()));
    first.twist(|_, _| {});
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn an_endpoint_that_never_has_the_last_block_of_a_range_is_left_for_another() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let url = shop.chain.rpc_url().to_owned();
    let mut shop = shop.restart_behind(&[&relay.url, &url]).await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    // What follows the question for a range is the one for its last block.
    let asked_for_range = AtomicBool::new(false);
    relay.twist(move |call, answer| {
        if call["params"][0].get("fromBlock").is_some() {
            asked_for_range.store(true, Ordering::Relaxed);
        } else if asked_for_range.swap(false, Ordering::Relaxed) {
            answer["result"] = json!(null);
        }
    });
    shop.pay(order, 20_000).await;
    shop.chain.mine(60).await.unwrap();
    let mut failed = 0;
    while shop.case(order).await.payments.is_empty() {
        failed += usize::from(shop.watcher.step().await.is_err());
        assert!(failed <= 5, "nobody else is asked");
    }
    assert_eq!(failed, 5, "a chain may move a few times");
}

#[tokio::test]
async fn limits_of_blocks_and_of_addresses_are_adapted_to() {
    for (most_blocks, most_addresses, mined) in [(5, 1_000, 60), (2_000, 100, 2_100), (7, 33, 60)] {
        let shop = Shop::open().await;
        let relay = Relay::start(shop.chain.rpc_url(), true).await;
        let mut shop = shop
            .restart_with(|network| {
                network.rpc = vec![relay.url.parse().unwrap()];
                network.max_range = 5_000;
            })
            .await;
        let refused = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&refused);
        let order = shop.order(20_000, USDC).await;
        shop.open_more_like(order, 300).await;
        relay.twist(move |call, answer| {
            let filter = &call["params"][0];
            let number = |name: &str| u64::from_str_radix(filter[name].as_str()?.strip_prefix("0x")?, 16).ok();
            let blocks = number("fromBlock").zip(number("toBlock")).map_or(1, |(from, to)| to - from + 1);
            let addresses = filter["topics"][2].as_array().map_or(0, Vec::len);
            if most_blocks < blocks || most_addresses < addresses {
                shared.fetch_or(most_blocks < blocks, Ordering::Relaxed);
                decline(answer, -32602, "query exceeds max block range or max topics");
            }
        });
        shop.pay(order, 20_000).await;
        shop.chain.mine(mined).await.unwrap();
        shop.catch_up().await;
        assert!(refused.load(Ordering::Relaxed), "it was asked for more than {most_blocks}");
        check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
        assert_eq!(shop.case(order).await.payments.len(), 1, "{most_blocks} {most_addresses}");
    }
}

/// Its transfer says what arrived, and another one what the token kept.
/// In place of the token that is not accepted there is another one, which is.
async fn accepting(shop: Shop, token: Address) -> Shop {
    let shop = shop.restart_with(|network| {
        let other = network.tokens.iter_mut().find(|token| token.token_id() == EURX).unwrap();
        (other.address, other.accepted) = (Some(token), true);
    });
    let mut shop = shop.await;
    shop.eurx = token;
    shop
}

#[tokio::test]
async fn a_token_that_keeps_a_fee_is_counted_net() {
    let shop = Shop::open().await;
    let fee_token = shop.chain.deploy_fee_token().await.unwrap();
    shop.chain.mint(fee_token, shop.payer(), units(3_000_000)).await.unwrap();
    let mut shop = accepting(shop, fee_token).await;
    let order = shop.order(2_000, EURX).await;
    shop.catch_up().await;
    shop.pay_token(order, fee_token, 1_000_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Underpaid, 990);
    assert_eq!(shop.chain.balance_of(fee_token, order.deposit).await.unwrap(), units(990_000));
    shop.check_conservation(order).await;
    shop.pay_token(order, fee_token, 1_500_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 2_475);
    shop.check_conservation(order).await;

    // All that is there is swept; of that the token keeps its part on the way to the merchant too.
    let plans = plan_sweeps(&shop.app, None, None).await.unwrap();
    let sweep = send_sweep(&shop.app, &plans[0]).await.unwrap();
    shop.chain.mined(sweep.parse().unwrap()).await.unwrap();
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    assert!(case.payments.iter().all(|payment| payment.settlement == SettlementStatus::Settled));
    assert_eq!(shop.chain.balance_of(fee_token, WALLET).await.unwrap(), units(2_475_000 - 24_750));
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_token_whose_transfer_returns_nothing_pays() {
    let shop = Shop::open().await;
    let silent = shop.chain.deploy_silent_token("Silent Dollar", "SILENT", 6).await.unwrap();
    shop.chain.mint(silent, shop.payer(), units(20_000_000)).await.unwrap();
    let mut shop = accepting(shop, silent).await;
    let order = shop.order(20_000, EURX).await;
    shop.catch_up().await;
    shop.pay_token(order, silent, 20_000_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn coin_that_a_dying_contract_leaves_is_found() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    // PUSH20 the address, SELFDESTRUCT: it dies while it is made.
    let code = [&[0x73], order.deposit.as_slice(), &[0xff]].concat();
    let paid = shop.chain.send_transaction(shop.payer(), None, milliether(10), &code).await.unwrap();
    shop.chain.mined(paid).await.unwrap();
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments[0].record.tx_id, paid.to_string());
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn what_a_block_pays_its_maker_is_found() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.chain.rpc("anvil_setCoinbase", json!([order.deposit])).await.unwrap();
    let tip = format!("{:#x}", milliether(10) / U256::from(21_000));
    let sent = json!([{ "from": shop.payer(), "to": Address::repeat_byte(0xfe), "value": "0x1", "gas": "0x5208",
        "maxFeePerGas": format!("{:#x}", milliether(20) / U256::from(21_000)), "maxPriorityFeePerGas": tip }]);
    shop.chain.rpc("eth_sendTransaction", sent).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    let earned = shop.chain.native_balance(order.deposit).await.unwrap();
    shop.chain.rpc("anvil_setCoinbase", json!([Address::ZERO])).await.unwrap();
    assert!(milliether(9) < earned, "{earned}");
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    let found = case.payments.iter().fold(U256::ZERO, |sum, payment| sum + payment.record.amount.base_units());
    assert_eq!(found, earned);
    shop.check_conservation(order).await;
}

/// On a network with EIP-7708 the coin's transfers are logs of an address that nobody has. No local chain has that yet, so
/// the logs are made by hand, and the coin with them.
#[tokio::test]
async fn coin_that_logs_tell_of_is_read_like_a_token() {
    let shop = Shop::open().await;
    let first = Relay::start(shop.chain.rpc_url(), true).await;
    let second = Relay::start(shop.chain.rpc_url(), true).await;
    let urls = [&first.url, &second.url].map(|url| url.parse().unwrap());
    let mut shop = shop
        .restart_with(|network| {
            network.rpc = urls.to_vec();
            network.native_logs = true;
        })
        .await;
    let spoof = shop.chain.deploy_spoof().await.unwrap();
    let logger: Address = "0xfffffffffffffffffffffffffffffffffffffffe".parse().unwrap();
    let code = shop.chain.code(spoof).await.unwrap();
    shop.chain.rpc("anvil_setCode", json!([logger, code])).await.unwrap();
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    drop((first.asked(), second.asked()));

    shop.chain.rpc("anvil_setBalance", json!([order.deposit, format!("{:#x}", milliether(10))])).await.unwrap();
    let told = shop.chain.announce(logger, shop.payer(), order.deposit, milliether(10)).await.unwrap();
    shop.chain.mined(told).await.unwrap();
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 1);
    let record = &case.payments[0].record;
    assert_eq!((&record.tx_id, &record.payer), (&told.to_string(), &Some(shop.payer().to_string())));
    assert!(!first.asked().iter().any(|method| method == "eth_getBalance"), "nobody has to look");
    shop.check_conservation(order).await;
}

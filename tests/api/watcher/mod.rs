//! The watcher on a real chain: what is seen, what it makes of invoices, and that nothing is lost or
//! counted twice.

mod addresses;
mod ear;
mod faults;
mod finality;
mod odd;
mod prices;
mod reconcile;
pub mod relay;
mod shop;
mod unreliable;
mod verify;

use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, B256, U256};
use demo::chain::{ChainOptions, LocalChain};
use domain::{
    invoice::{InvoiceStatus, PaymentStatus},
    money::{Decimals, Rate, TokenAmount, UsdMillis},
    settlement::{LeftBecause, SettlementStatus},
    transfer::Valuation,
};
use e2e::eventually;
use pepay::{
    alarm,
    chains::{
        evm::{Fitness, Look, Step, StepError},
        rpc::{Problem, RpcError},
    },
    invoicing::{Wanted, offer_sweeps, plan_sweeps, safe_batches, send_sweep},
    rates::NoPrice,
};
use serde_json::{Value, json};

use self::{
    ear::Ear,
    relay::{Relay, decline},
    shop::{ETH, FINAL_AFTER, PAID_AFTER, Shop, USDC, WALLET, check, milliether, units},
};

// Reorganisations

#[tokio::test]
async fn a_payment_lost_in_a_shallow_reorganisation_stops_counting() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    shop.catch_up().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments[0].status, PaymentStatus::Pending);
    assert_eq!(case.payments[0].record.confirmations, 1);

    shop.chain.reorg(1).await.unwrap();
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert!(!case.payments[0].record.canonical);
    assert_eq!(shop.events(order).await, ["invoice.created", "invoice_payment.created", "invoice_payment.updated"]);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_transaction_that_returns_in_another_block_is_one_payment() {
    for looks_between in [true, false] {
        let mut shop = Shop::open().await;
        let order = shop.order(20_000, USDC).await;
        let transaction = shop.pay(order, 20_000).await;
        shop.catch_up().await;
        let first = shop.case(order).await.payments[0].record.clone();

        let raw = shop.chain.raw_transaction(transaction).await.unwrap();
        shop.chain.reorg(1).await.unwrap();
        if looks_between {
            shop.catch_up().await;
            assert!(!shop.case(order).await.payments[0].record.canonical);
        }
        // Somebody pays for being first in the block, so that the log's number changes as well.
        shop.chain.set_automine(false).await.unwrap();
        shop.chain.send_raw(&raw).await.unwrap();
        let hurried = json!([{
            "from": shop.chain.accounts()[0], "to": shop.usdc, "gas": "0x30000",
            "maxPriorityFeePerGas": "0x174876e800", "maxFeePerGas": "0x2e90edd000",
            "data": transfer_data(WALLET, 0),
        }]);
        shop.chain.rpc("eth_sendTransaction", hurried).await.unwrap();
        shop.chain.mine(1).await.unwrap();
        shop.chain.mined(transaction).await.unwrap();
        shop.confirm().await;

        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Paid, 20_000);
        assert_eq!(case.payments.len(), 1);
        let second = &case.payments[0].record;
        assert_eq!(second.payment, first.payment);
        assert_ne!(second.block_hash, first.block_hash);
        assert_ne!(second.log_index, first.log_index);
        assert!(second.canonical);
        let created = shop.events(order).await.into_iter().filter(|event| event == "invoice_payment.created");
        assert_eq!(created.count(), 1);
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn a_payment_that_a_reorganisation_took_after_it_had_paid_is_told_of_and_returns_as_the_same_one() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let transaction = shop.pay(order, 20_000).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    let before = shop.events(order).await.len();

    let raw = shop.chain.raw_transaction(transaction).await.unwrap();
    let ear = Ear::listen();
    shop.chain.reorg(PAID_AFTER).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);
    assert_eq!(ear.alarms(), [alarm::PAID_INVOICE_UNDONE]);
    let news = ["invoice_payment.updated", "invoice.updated"];
    assert_eq!(shop.events(order).await[before..], news);

    let sent = shop.chain.send_raw(&raw).await.unwrap();
    shop.chain.mined(sent).await.unwrap();
    shop.confirm().await;
    let returned = shop.case(order).await;
    check(&returned, InvoiceStatus::Paid, 20_000);
    assert_eq!(returned.payments.len(), 1);
    assert_eq!(returned.payments[0].record.payment, case.payments[0].record.payment);
    assert_eq!(shop.events(order).await[before..], [news, news].concat(), "nothing is told twice");
    assert_eq!(ear.alarms(), Vec::<String>::new());
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_chain_shorter_than_the_cursor_is_a_reorganisation() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let snapshot = shop.chain.snapshot().await.unwrap();
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);

    shop.chain.revert(snapshot).await.unwrap();
    assert_eq!(shop.watcher.step().await.unwrap(), Step::Behind, "one look may have hit a node that lags");
    assert_eq!(shop.watcher.step().await.unwrap(), Step::Behind);
    assert_eq!(shop.watcher.step().await.unwrap(), Step::Recorded { is_at_head: true });
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);
    shop.check_conservation(order).await;

    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_reorganisation_deeper_than_the_memory_stops_the_network() {
    let mut shop = Shop::open_with(|network, _| network["ring_blocks"] = json!(4)).await;
    shop.chain.mine(10).await.unwrap();
    shop.catch_up().await;
    shop.chain.reorg(8).await.unwrap();
    assert!(matches!(shop.failing_step().await, StepError::TooDeep { .. }));
}

// Restarts and outages

#[tokio::test]
async fn a_crash_between_reading_and_recording_loses_and_repeats_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 8_000).await;
    let Look::Read(reading) = shop.watcher.look().await.unwrap() else { panic!("there is a new block") };
    assert_eq!(reading.scan.transfers.len(), 1);
    drop(reading);

    let mut shop = shop.restart().await;
    assert_eq!(shop.case(order).await.payments.len(), 0);
    shop.pay(order, 12_000).await;
    shop.confirm().await;
    let mut shop = shop.restart().await;
    shop.catch_up().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 2);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_range_loses_and_repeats_nothing() {
    let mut shop = Shop::open_with(|network, _| network["max_range"] = json!(3)).await;
    let (tokens, coins) = (shop.order(20_000, USDC).await, shop.order(20_000, ETH).await);
    shop.catch_up().await;
    for _ in 0..10 {
        shop.pay(tokens, 2_000).await;
        shop.pay_native(coins, milliether(1)).await;
    }
    shop.chain.mine(PAID_AFTER).await.unwrap();
    let mut crashes = 0;
    loop {
        match shop.watcher.step().await.unwrap() {
            Step::Recorded { .. } => {
                // One stretch is stored, the next one read, and then everything is gone.
                let _lost = shop.watcher.look().await.unwrap();
                shop = shop.restart().await;
                crashes += 1;
            }
            step => {
                assert_eq!(step, Step::Idle);
                break;
            }
        }
    }
    assert!(5 < crashes, "{crashes}");
    for order in [tokens, coins] {
        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Paid, 20_000);
        assert_eq!(case.payments.len(), 10);
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn a_payment_during_two_hours_of_outage_is_on_time() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    let asked = shop.quote(order, ETH).await;
    shop.pay_native(order, asked).await;

    shop.clock.advance_seconds(2 * 3600);
    shop.chain.increase_time(2 * 3600).await.unwrap();
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert!(!case.invoice.standing.late);
    assert!(matches!(case.payments[0].record.valuation, Valuation::Quoted { .. }));
    assert!(case.invoice.standing.paid_at.unwrap() < case.invoice.terms.expires_at);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_payment_is_found_however_long_the_server_was_down_after_it() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;

    shop.clock.advance_seconds(60 * 86_400);
    shop.chain.increase_time(60 * 86_400).await.unwrap();
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn a_sweep_is_seen_however_late_it_comes() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay(order, 20_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;

    shop.clock.advance_seconds(60 * 86_400);
    shop.chain.increase_time(60 * 86_400).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    let plans = plan_sweeps(&shop.app, None, None).await.unwrap();
    let sweep = send_sweep(&shop.app, &plans[0]).await.unwrap();
    shop.chain.mined(sweep.parse().unwrap()).await.unwrap();
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    assert_eq!(case.payments[0].settlement, SettlementStatus::Settled);
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap(), []);
    let grace = shop.app.config.invoices.watch_ended_days * 86_400;
    assert!(case.invoice.watched_until.unwrap() <= shop.app.clock.now().plus(grace), "and then it is let go");
}

#[tokio::test]
async fn a_watcher_that_was_outrun_starts_anew() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    let Look::Read(reading) = shop.watcher.look().await.unwrap() else { panic!("there is a new block") };
    shop.confirm().await;
    assert_eq!(shop.watcher.record(*reading).await.unwrap(), Step::Outrun);
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(shop.case(order).await.payments.len(), 1);
}

#[tokio::test]
async fn a_network_that_is_no_longer_watched_is_not_quoted() {
    let mut shop = Shop::open_with(|network, _| {
        network["ring_blocks"] = json!(6);
        network["poll_ms"] = json!(50);
    })
    .await;
    let order = shop.order(20_000, USDC).await;
    shop.chain.mine(20).await.unwrap();
    shop.catch_up().await;
    shop.chain.reorg(10).await.unwrap();
    let ear = Ear::listen();
    let task = shop.run().await;
    eventually("the watcher to give up", async || (!shop.app.outages.is_offered("ethereum")).then_some(())).await;
    let refused = pepay::invoicing::choose(&shop.app, shop.merchant, order.id, "ethereum", USDC).await;
    assert!(matches!(refused, Err(pepay::invoicing::QuoteError::NotOffered(USDC))), "{refused:?}");
    shop.app.shutdown.cancel();
    task.await.unwrap();
    assert_eq!(ear.alarms(), [alarm::NETWORK_STOPPED]);
}

#[tokio::test]
async fn the_task_watches_by_itself_until_the_server_ends() {
    let shop = Shop::open_with(|network, _| network["poll_ms"] = json!(20)).await;
    let order = shop.order(20_000, USDC).await;
    let mut changes = shop.app.hub.follow_invoice(shop.merchant, order.id);
    let task = shop.run().await;
    shop.pay(order, 20_000).await;
    while shop.case(order).await.payments.is_empty() {
        changes.changed().await;
    }
    shop.chain.mine(PAID_AFTER).await.unwrap();
    while shop.case(order).await.invoice.standing.status != InvoiceStatus::Paid {
        changes.changed().await;
    }
    shop.app.shutdown.cancel();
    task.await.unwrap();
    shop.check_conservation(order).await;
}

// Endpoints

#[tokio::test]
async fn an_endpoint_of_another_chain_is_refused() {
    let mut shop = Shop::open_with(|network, _| network["chain_id"] = json!(31338)).await;
    let error = shop.failing_step().await;
    let wrong_chain = Problem::WrongChain { found: 31337, wanted: 31338 };
    assert!(
        matches!(&error, StepError::Rpc(RpcError::Unavailable { problem, .. }) if *problem == wrong_chain),
        "{error:?}"
    );
}

#[tokio::test]
async fn with_an_endpoint_of_another_chain_the_other_one_is_used() {
    let other = demo::chain::LocalChain::start(demo::chain::ChainOptions::new(31338)).await.unwrap();
    let mut shop = Shop::open_with(|network, chain| network["rpc"] = json!([other.rpc_url(), chain.rpc_url()])).await;
    let order = shop.order(20_000, USDC).await;
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    // It was to be the other one's witness, and cannot be.
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    shop.clock.advance_seconds(60);
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn a_node_that_was_added_while_watching_takes_over_when_the_operator_s_own_is_gone() {
    let (mut shop, relay) = behind_a_relay(true, |_, _| {}).await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let other = LocalChain::start(ChainOptions::new(31338)).await.unwrap();
    let add = async |url: &str| pepay::merchants::add_rpc_endpoint(&shop.app, shop.merchant, "ethereum", url).await;
    let refused = add(other.rpc_url()).await.unwrap_err().to_string();
    assert_eq!(refused, "is chain 31338 instead of 31337");
    add(shop.chain.rpc_url()).await.unwrap();

    drop(relay);
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);
    // Nobody else has been there to ask for a while.
    shop.clock.advance_seconds(60);
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

/// A shop that sees its chain only through a relay.
async fn behind_a_relay(takes_batches: bool, twist: impl Fn(&Value, &mut Value) + Send + 'static) -> (Shop, Relay) {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), takes_batches).await;
    let shop = shop.restart_behind(&[&relay.url]).await;
    relay.twist(twist);
    (shop, relay)
}

async fn check_all_is_found(mut shop: Shop) {
    let (tokens, coins) = (shop.order(30_000, USDC).await, shop.order(30_000, ETH).await);
    for _ in 0..3 {
        shop.pay(tokens, 10_000).await;
        shop.pay_native(coins, milliether(5)).await;
    }
    shop.chain.mine(40).await.unwrap();
    shop.catch_up().await;
    for order in [tokens, coins] {
        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Paid, 30_000);
        assert_eq!(case.payments.len(), 3);
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn a_limit_of_ten_blocks_is_adapted_to() {
    let (shop, relay) = behind_a_relay(true, |call, answer| {
        let filter = &call["params"][0];
        let number = |name: &str| u64::from_str_radix(filter[name].as_str()?.strip_prefix("0x")?, 16).ok();
        if let (Some(from), Some(to)) = (number("fromBlock"), number("toBlock"))
            && 10 < to - from + 1
        {
            decline(answer, -32600, "eth_getLogs is limited to a 10 block range");
        }
    })
    .await;
    check_all_is_found(shop).await;
    assert!(relay.asked().iter().any(|method| method == "eth_getLogs"));
}

/// The blocks of the widest range that logs were asked for.
fn widest(relay: &Relay) -> u64 {
    let requests = relay.requests();
    let ranges = requests.iter().flatten().filter(|call| call["method"] == "eth_getLogs");
    let number = |filter: &Value, name: &str| u64::from_str_radix(filter[name].as_str()?.strip_prefix("0x")?, 16).ok();
    let blocks = ranges.filter_map(|call| {
        let filter = &call["params"][0];
        Some(number(filter, "toBlock")? - number(filter, "fromBlock")? + 1)
    });
    blocks.max().unwrap_or_default()
}

#[tokio::test]
async fn a_limit_that_is_lifted_is_grown_out_of_again() {
    let narrow = |call: &Value, answer: &mut Value| {
        let filter = &call["params"][0];
        let number = |name: &str| u64::from_str_radix(filter[name].as_str()?.strip_prefix("0x")?, 16).ok();
        if number("fromBlock").zip(number("toBlock")).is_some_and(|(from, to)| 10 < to - from + 1) {
            decline(answer, -32600, "eth_getLogs is limited to a 10 block range");
        }
    };
    let (mut shop, relay) = behind_a_relay(true, narrow).await;
    shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.chain.mine(80).await.unwrap();
    shop.catch_up().await;
    relay.twist(|_, _| {});
    relay.requests();
    shop.chain.mine(400).await.unwrap();
    shop.catch_up().await;
    let grown = widest(&relay);
    assert!(50 < grown, "{grown}");
}

/// Many endpoints know of no logs in blocks that they have not seen, and say nothing of that.
#[tokio::test]
async fn an_older_range_is_read_only_from_who_has_its_last_block() {
    for says_other in [false, true] {
        let (mut shop, relay) = behind_a_relay(true, |_, _| {}).await;
        let order = shop.order(20_000, USDC).await;
        shop.catch_up().await;
        shop.pay(order, 20_000).await;
        shop.chain.mine(40).await.unwrap();
        // Who answers for the logs is another node behind the same address than who told of the blocks.
        let is_asked_for_logs = AtomicBool::new(false);
        relay.twist(move |call, answer| match call["method"].as_str() {
            Some("eth_getLogs") if !call["params"][0]["toBlock"].is_null() => {
                answer["result"] = json!([]);
                is_asked_for_logs.store(true, Ordering::SeqCst);
            }
            Some("eth_getBlockByNumber") if is_asked_for_logs.swap(false, Ordering::SeqCst) => {
                if says_other {
                    answer["result"]["hash"] = json!(B256::repeat_byte(0xf0));
                } else {
                    answer["result"] = Value::Null;
                }
            }
            _ => {}
        });
        let error = shop.failing_step().await;
        assert!(matches!(error, StepError::Moved), "{error:?}");
        relay.twist(|_, _| {});
        shop.catch_up().await;
        check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn refused_batches_are_adapted_to() {
    let (shop, _relay) = behind_a_relay(false, |_, _| {}).await;
    check_all_is_found(shop).await;
}

#[tokio::test]
async fn a_log_told_twice_counts_once() {
    let (shop, _relay) = behind_a_relay(true, |_, answer| {
        if let Some(results) = answer["result"].as_array_mut() {
            results.extend(results.clone());
        }
    })
    .await;
    check_all_is_found(shop).await;
}

#[tokio::test]
async fn balances_by_number_do_where_the_hash_is_not_understood() {
    let (shop, _relay) = behind_a_relay(true, |call, answer| {
        if call["method"] == "eth_getBalance" && call["params"][1].is_object() {
            decline(answer, -32602, "invalid argument 1: json: cannot unmarshal object into string");
        }
    })
    .await;
    check_all_is_found(shop).await;
}

#[tokio::test]
async fn old_balances_that_are_gone_are_made_up_for_by_transactions() {
    let (shop, _relay) = behind_a_relay(true, |call, answer| {
        // Of the last block of a stretch all addresses are asked for together, of others one.
        if call["method"] == "eth_getBalance" && answer["is_alone"] == true {
            decline(answer, -32000, "missing trie node");
        }
    })
    .await;
    check_all_is_found(shop).await;
}

#[tokio::test]
async fn a_lie_about_one_block_adds_nothing_to_what_arrived() {
    let (mut shop, _relay) = behind_a_relay(true, |call, answer| {
        // Of the last block of a stretch all addresses are asked for together, of others one.
        if call["method"] == "eth_getBalance" && answer["is_alone"] == true {
            answer["result"] = json!("0xffffffffffffffffffff");
        }
    })
    .await;
    let orders = [shop.order(20_000, ETH).await, shop.order(20_000, ETH).await];
    shop.catch_up().await;
    shop.pay_native(orders[0], milliether(4)).await;
    shop.chain.mine(40).await.unwrap();
    shop.catch_up().await;
    check(&shop.case(orders[0]).await, InvoiceStatus::Underpaid, 8_000);
    shop.check_conservation(orders[0]).await;
}

/// Every log, changed in one way, must stop the step and leave nothing behind.
async fn check_refused(spoil: fn(&mut Value)) {
    let (mut shop, relay) = behind_a_relay(true, |_, _| {}).await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    relay.twist(move |call, answer| {
        if let ("eth_getLogs", Some(logs)) =
            (call["method"].as_str().unwrap_or_default(), answer["result"].as_array_mut())
        {
            logs.iter_mut().for_each(spoil);
        }
    });
    let error = shop.failing_step().await;
    assert!(matches!(error, StepError::Untrue(_)), "{error:?}");
    assert_eq!(shop.case(order).await.payments.len(), 0);

    relay.twist(|_, _| {});
    let mut shop = shop.restart().await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn a_log_of_another_contract_is_refused() {
    check_refused(|log| log["address"] = json!(WALLET)).await;
}

#[tokio::test]
async fn a_log_about_another_address_is_refused() {
    check_refused(|log| log["topics"][2] = log["topics"][1].clone()).await;
}

#[tokio::test]
async fn a_removed_log_is_refused() {
    check_refused(|log| log["removed"] = json!(true)).await;
}

#[tokio::test]
async fn a_log_with_short_data_is_refused() {
    check_refused(|log| log["data"] = json!("0x01")).await;
}

#[tokio::test]
async fn a_log_of_another_block_is_refused() {
    check_refused(|log| log["blockHash"] = log["transactionHash"].clone()).await;
}

#[tokio::test]
async fn a_token_with_other_decimals_or_a_missing_factory_makes_a_network_unfit() {
    let shop = Shop::open().await;
    assert_eq!(shop.watcher.check_fitness().await.unwrap(), Fitness::Fit);
    let shop = Shop::open_with(|network, _| network["tokens"][0]["decimals"] = json!(18)).await;
    let Fitness::Unfit(reason) = shop.watcher.check_fitness().await.unwrap() else { panic!("decimals differ") };
    assert!(reason.contains("USDC") && reason.contains("6 decimals, not 18"), "{reason}");
    let shop = Shop::open_with(|network, _| network["tokens"][0]["address"] = json!(WALLET)).await;
    assert!(matches!(shop.watcher.check_fitness().await.unwrap(), Fitness::Unfit(_)));
    let bare = demo::chain::LocalChain::start(demo::chain::ChainOptions::new(31337)).await.unwrap();
    let shop = Shop::open_with(|network, _| network["rpc"] = json!([bare.rpc_url()])).await;
    let Fitness::Unfit(reason) = shop.watcher.check_fitness().await.unwrap() else { panic!("there is no factory") };
    assert!(reason.contains("factory"), "{reason}");
}

// Sums

#[tokio::test]
async fn a_part_and_the_rest_pay() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay(order, 8_000).await;
    shop.catch_up().await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Underpaid, 8_000);
    shop.pay(order, 12_000).await;
    shop.catch_up().await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    shop.check_conservation(order).await;
    assert_eq!(
        shop.events(order).await,
        [
            "invoice.created",
            "invoice_payment.created",
            "invoice_payment.updated",
            "invoice.updated",
            "invoice_payment.created",
            "invoice_payment.updated",
            "invoice_payment.updated",
            "invoice.updated",
        ]
    );
}

#[tokio::test]
async fn three_parts_in_one_block_pay() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.chain.set_automine(false).await.unwrap();
    for amount in [5_000_000, 5_000_000, 10_000_000] {
        shop.chain.send_token(shop.payer(), shop.usdc, order.deposit, units(amount)).await.unwrap();
    }
    shop.chain.mine(1).await.unwrap();
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 3);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn one_transaction_may_pay_one_invoice_twice_and_another_once() {
    let mut shop = Shop::open().await;
    let (first, second) = (shop.order(20_000, USDC).await, shop.order(7_000, USDC).await);
    let contract = shop.chain.deploy_payer().await.unwrap();
    shop.chain.mint(shop.usdc, contract, units(27_000_000)).await.unwrap();
    let payments =
        [(first.deposit, units(10_000_000)), (second.deposit, units(7_000_000)), (first.deposit, units(10_000_000))];
    let transaction = shop.chain.pay_tokens(shop.payer(), contract, shop.usdc, &payments).await.unwrap();
    shop.chain.mined(transaction).await.unwrap();
    shop.confirm().await;
    let case = shop.case(first).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 2);
    assert_ne!(case.payments[0].record.payment, case.payments[1].record.payment);
    check(&shop.case(second).await, InvoiceStatus::Paid, 7_000);
    shop.check_conservation(first).await;
    shop.check_conservation(second).await;
}

#[tokio::test]
async fn paying_too_much_or_twice_is_paid_and_overpaid() {
    let mut shop = Shop::open().await;
    let (over, twice) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.pay(over, 25_000).await;
    shop.pay(twice, 20_000).await;
    shop.confirm().await;
    let case = shop.case(over).await;
    check(&case, InvoiceStatus::Paid, 25_000);
    assert_eq!(case.invoice.standing.overpaid, UsdMillis::from_millis(5_000));
    let case = shop.case(twice).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.invoice.standing.overpaid, UsdMillis::ZERO);
    let events_when_paid = shop.events(twice).await.len();

    shop.pay(twice, 20_000).await;
    shop.confirm().await;
    let case = shop.case(twice).await;
    check(&case, InvoiceStatus::Paid, 40_000);
    assert_eq!(case.invoice.standing.overpaid, UsdMillis::from_millis(20_000));
    let events = shop.events(twice).await;
    assert_eq!(events[events_when_paid..].last().map(String::as_str), Some("invoice.updated"));
    shop.check_conservation(over).await;
    shop.check_conservation(twice).await;
}

#[tokio::test]
async fn dust_is_recorded_and_changes_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay_token(order, shop.usdc, 0).await;
    shop.pay_token(order, shop.usdc, 1).await;
    shop.pay(order, 40).await;
    shop.pay_native(order, units(1)).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 40);
    assert_eq!(case.payments.len(), 3, "the transfer of nothing is not one of them");
    assert_eq!(case.invoice.standing.locked_by, None);
    shop.check_conservation(order).await;

    shop.quote(order, ETH).await;
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_040);
}

// Tokens

#[tokio::test]
async fn a_known_token_that_is_not_accepted_is_shown_and_not_credited() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay_token(order, shop.eurx, 20_000_000).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments[0].record.valuation, Valuation::Unexpected);
    assert_eq!(case.payments[0].status, PaymentStatus::ManualRetry);
    assert_eq!(shop.events(order).await, ["invoice.created", "invoice_payment.created"]);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn unlisted_tokens_and_namesakes_are_ignored() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    for (name, symbol) in [("Some Coin", "SOME"), ("USD Coin", "USDC")] {
        let token = shop.chain.deploy_token(name, symbol, 6).await.unwrap();
        shop.chain.mint(token, shop.payer(), units(20_000_000)).await.unwrap();
        shop.pay_token(order, token, 20_000_000).await;
    }
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments.len(), 0);
    assert_eq!(shop.events(order).await, ["invoice.created"]);
}

#[tokio::test]
async fn a_transfer_that_only_a_fake_contract_announced_is_ignored() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let spoof = shop.chain.deploy_spoof().await.unwrap();
    let transaction = shop.chain.announce(spoof, shop.payer(), order.deposit, units(20_000_000)).await.unwrap();
    shop.chain.mined(transaction).await.unwrap();
    shop.confirm().await;
    assert_eq!(shop.case(order).await.payments.len(), 0);
    shop.check_conservation(order).await;
}

// The network's own coin

#[tokio::test]
async fn native_coin_pays() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    let transaction = shop.pay_native(order, milliether(10)).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments[0].record.tx_id, transaction.to_string());
    assert_eq!(case.payments[0].record.payer, Some(shop.payer().to_string()));
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn native_coin_moved_inside_a_call_is_found_in_the_trace() {
    let (shop, relay) = behind_a_relay(true, |_, _| {}).await;
    check_inner_calls_are_found(shop).await;
    assert!(relay.asked().iter().all(|method| method != "trace_block"));
}

#[tokio::test]
async fn native_coin_moved_inside_a_call_is_found_where_calls_are_told_in_a_list() {
    let (shop, relay) = behind_a_relay(true, |call, answer| {
        if call["method"] == "debug_traceBlockByNumber" {
            decline(answer, -32601, "the method does not exist");
        }
    })
    .await;
    check_inner_calls_are_found(shop).await;
    let asked = relay.asked();
    let times = |wanted: &str| asked.iter().filter(|method| *method == wanted).count();
    assert_eq!((times("debug_traceBlockByNumber"), times("trace_block")), (1, 2), "it is known what is declined");
}

async fn check_inner_calls_are_found(mut shop: Shop) {
    let (first, second) = (shop.order(20_000, ETH).await, shop.order(4_000, ETH).await);
    let contract = shop.chain.deploy_payer().await.unwrap();
    let payments = [(first.deposit, milliether(4)), (second.deposit, milliether(2)), (first.deposit, milliether(6))];
    let transaction = shop.chain.pay_native_inside_call(shop.payer(), contract, &payments).await.unwrap();
    shop.chain.mined(transaction).await.unwrap();
    shop.confirm().await;
    let case = shop.case(first).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 2);
    assert!(case.payments.iter().all(|payment| payment.record.tx_id == transaction.to_string()));
    assert_eq!(case.payments[0].record.payer, Some(contract.to_string()));
    check(&shop.case(second).await, InvoiceStatus::Paid, 4_000);
    let again = shop.chain.pay_native_inside_call(shop.payer(), contract, &[(second.deposit, milliether(1))]).await;
    let again = again.unwrap();
    shop.chain.mined(again).await.unwrap();
    shop.confirm().await;
    assert_eq!(shop.case(second).await.payments[1].record.tx_id, again.to_string());
    shop.check_conservation(first).await;
    shop.check_conservation(second).await;
}

#[tokio::test]
async fn native_coin_that_nothing_explains_is_booked_on_its_block() {
    let (mut shop, _relay) = behind_a_relay(true, no_traces).await;
    let (first, second) = (shop.order(20_000, ETH).await, shop.order(4_000, ETH).await);
    shop.catch_up().await;
    let contract = shop.chain.deploy_payer().await.unwrap();
    shop.chain.mine(20).await.unwrap();
    let payments = [(first.deposit, milliether(10)), (second.deposit, milliether(2))];
    let transaction = shop.chain.pay_native_inside_call(shop.payer(), contract, &payments).await.unwrap();
    let receipt = shop.chain.mined(transaction).await.unwrap();
    shop.chain.mine(20).await.unwrap();
    shop.catch_up().await;
    for (order, millis) in [(first, 20_000), (second, 4_000)] {
        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Paid, millis);
        let record = &case.payments[0].record;
        assert_eq!(record.tx_id, format!("internal:{}", receipt.block_hash));
        assert_eq!((record.block_number, record.payer.as_ref()), (receipt.block_number, None));
        shop.check_conservation(order).await;
    }
    shop.pay_native(first, milliether(1)).await;
    shop.confirm().await;
    assert_eq!(shop.case(first).await.payments.len(), 2);
    shop.check_conservation(first).await;
}

/// With more open invoices than are asked about one by one, a payment is found however the endpoint answers.
async fn check_found_among_many(twist: impl Fn(&Value, &mut Value) + Send + 'static, expected: &str) {
    let (mut shop, relay) = behind_a_relay(true, twist).await;
    let order = shop.order(20_000, ETH).await;
    shop.open_more_like(order, 200).await;
    shop.catch_up().await;
    relay.asked();
    shop.pay_native(order, milliether(10)).await;
    shop.catch_up().await;
    let asked = relay.asked();
    let balances = |method: &str| asked.iter().filter(|asked| *asked == method).count();
    assert_eq!(format!("{} together, {} alone", balances("eth_call"), balances("eth_getBalance")), expected);
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    shop.check_conservation(order).await;
}

/// Whether a call reads balances, and of how many addresses.
fn reads_balances(call: &Value) -> Option<usize> {
    let is_one = call["method"] == "eth_call" && call["params"][0]["to"].is_null();
    let data = call["params"][0]["data"].as_str().filter(|_| is_one)?;
    Some((data.len() - 2 - 90) / 40)
}

#[tokio::test]
async fn balances_of_many_addresses_are_read_together() {
    // One of the calls asks for the price.
    check_found_among_many(|_, _| {}, "3 together, 0 alone").await;
}

#[tokio::test]
async fn balances_are_read_one_by_one_where_they_cannot_be_together() {
    let refused = |call: &Value, answer: &mut Value| {
        if reads_balances(call).is_some() {
            decline(answer, -32602, "missing value for required argument 'to'");
        }
    };
    check_found_among_many(refused, "2 together, 201 alone").await;
    let nonsense = |call: &Value, answer: &mut Value| {
        if reads_balances(call).is_some() {
            answer["result"] = json!("0x");
        }
    };
    check_found_among_many(nonsense, "2 together, 201 alone").await;
}

#[tokio::test]
async fn fewer_balances_are_read_together_where_so_many_are_too_much() {
    let limited = |call: &Value, answer: &mut Value| {
        if reads_balances(call).is_some_and(|addresses| 130 < addresses) {
            decline(answer, -32000, "gas limit exceeded");
        }
    };
    check_found_among_many(limited, "4 together, 0 alone").await;
}

#[tokio::test]
async fn balances_are_read_together_by_number_where_the_hash_is_not_understood() {
    let by_number = |call: &Value, answer: &mut Value| {
        if call["params"][1].is_object() && (call["method"] == "eth_getBalance" || reads_balances(call).is_some()) {
            decline(answer, -32602, "invalid argument 1: json: cannot unmarshal object into string");
        }
    };
    check_found_among_many(by_number, "3 together, 0 alone").await;
}

#[tokio::test]
async fn ten_thousand_open_invoices_cost_less_than_a_poll_at_ten_requests_a_second() {
    /// The shortest time between two looks at any known network.
    const POLL_MS: usize = 500;

    let (mut shop, relay) = behind_a_relay(true, |_, _| {}).await;
    let order = shop.order(20_000, ETH).await;
    shop.open_more_like(order, 10_000).await;
    shop.catch_up().await;
    let paid = shop.pay_native(order, milliether(10)).await;
    relay.requests();
    assert_eq!(shop.watcher.step().await.unwrap(), Step::Recorded { is_at_head: true });
    let requests = relay.requests();
    assert_eq!(shop.case(order).await.payments[0].record.tx_id, paid.to_string());
    // What a payment costs beyond that: its block, receipt and price.
    let is_of_payment = |calls: &Vec<Value>| {
        let methods = ["eth_getBlockByHash", "eth_getTransactionReceipt"];
        calls.iter().any(|call| methods.iter().any(|method| call["method"] == *method))
            || calls.iter().all(|call| call["method"] == "eth_call" && reads_balances(call).is_none())
    };
    let for_all = requests.iter().filter(|calls| !is_of_payment(calls)).count();
    let methods = |calls: &Vec<Value>| (calls.len(), calls[0]["method"].clone());
    let methods: Vec<_> = requests.iter().map(methods).collect();
    assert!(for_all * 1_000 / 10 < POLL_MS, "{for_all} requests: {methods:?}");
    let bytes: usize = requests
        .iter()
        .flatten()
        .filter(|call| reads_balances(call).is_some())
        .map(|call| call.to_string().len())
        .sum();
    assert!(bytes < 500_000, "{bytes} bytes of questions about balances");
}

async fn check_ended_once_a_minute(restarts: bool) {
    let (mut shop, relay) = behind_a_relay(true, |_, _| {}).await;
    let order = shop.order(20_000, ETH).await;
    shop.pay_native(order, milliether(10)).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    shop.chain.increase_time(3600).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;

    relay.asked();
    let late = shop.pay_native(order, milliether(3)).await;
    let block = shop.chain.mined(late).await.unwrap().block_number;
    shop.catch_up().await;
    shop.chain.mine(5).await.unwrap();
    shop.catch_up().await;
    assert!(!relay.asked().iter().any(|method| method == "eth_getBalance"));

    if restarts {
        shop = shop.restart().await;
    } else {
        shop.chain.increase_time(60).await.unwrap();
    }
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    let record = &shop.case(order).await.payments[1].record;
    assert_eq!((record.tx_id.clone(), record.block_number), (late.to_string(), block));
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn balances_of_ended_invoices_are_asked_for_once_a_minute() {
    check_ended_once_a_minute(false).await;
}

#[tokio::test]
async fn balances_of_ended_invoices_are_asked_for_after_a_restart() {
    check_ended_once_a_minute(true).await;
}

#[tokio::test]
async fn a_reverted_transaction_with_value_is_ignored() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    // Once swept the address has code, and a call that is no plain payment reverts.
    shop.pay_native(order, milliether(1)).await;
    let sweep = shop.chain.sweep(shop.payer(), WALLET, &[order.salt], &[Address::ZERO]).await.unwrap();
    shop.chain.mined(sweep).await.unwrap();
    shop.catch_up().await;

    shop.chain.set_automine(false).await.unwrap();
    let reverted =
        shop.chain.send_transaction(shop.payer(), Some(order.deposit), milliether(9), &[1, 2, 3, 4]).await.unwrap();
    let good = shop.chain.send_native(shop.chain.accounts()[2], order.deposit, milliether(9)).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.chain.mined(good).await.unwrap();
    assert!(!shop.chain.receipt(reverted).await.unwrap().unwrap().succeeded);
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 2);
    assert!(case.payments.iter().all(|payment| payment.record.tx_id != reverted.to_string()));
    shop.check_conservation(order).await;
}

// Sweeps

/// Sweeps all that is due, reads what became of it, and returns the sweeps.
async fn sweep_all(shop: &mut Shop) -> Vec<B256> {
    let mut sweeps = Vec::new();
    for plan in plan_sweeps(&shop.app, None, None).await.unwrap() {
        let sweep: B256 = send_sweep(&shop.app, &plan).await.unwrap().parse().unwrap();
        shop.chain.mined(sweep).await.unwrap();
        sweeps.push(sweep);
    }
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    sweeps
}

/// Row 26 of the failure modes.
#[tokio::test]
async fn a_frozen_deposit_in_a_batch_stays_and_the_others_are_swept() {
    let mut shop = Shop::open().await;
    let orders = [shop.order(20_000, USDC).await, shop.order(30_000, USDC).await, shop.order(40_000, USDC).await];
    for (order, millis) in orders.into_iter().zip([20_000, 30_000, 40_000]) {
        shop.pay(order, millis).await;
    }
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let frozen = orders[1];
    shop.chain.set_frozen(shop.usdc, frozen.deposit, true).await.unwrap();
    let ear = Ear::listen();
    let sweeps = sweep_all(&mut shop).await;
    assert_eq!(ear.alarms(), [alarm::SWEEP_FAILED]);
    assert_eq!(sweeps.len(), 1, "all in one transaction");
    assert_eq!(shop.chain.balance_of(shop.usdc, WALLET).await.unwrap(), units(60_000_000));
    for order in [orders[0], orders[2]] {
        assert_eq!(shop.case(order).await.payments[0].settlement, SettlementStatus::Settled);
    }
    assert_eq!(shop.case(frozen).await.payments[0].settlement, SettlementStatus::Pending);

    // The merchant sees which, and nobody tries again at once.
    let failures = async |shop: &Shop| {
        let mut reader = shop.app.store.reader().await.unwrap();
        reader.tx().sweep_failures(shop.merchant, 10).await.unwrap()
    };
    let failed = failures(&shop).await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(
        (failed[0].invoice, failed[0].token, failed[0].reason.as_str(), failed[0].tx_id.clone()),
        (frozen.id, USDC, "refused", sweeps[0].to_string())
    );
    let offer = async |shop: &Shop, wanted| offer_sweeps(&shop.app, None, None, wanted).await.unwrap();
    let plan = offer(&shop, Wanted::WorthIt).await;
    assert_eq!((plan.offers.len(), plan.left.len()), (0, 1), "{plan:?}");
    assert_eq!((plan.left[0].because, plan.left[0].value), (LeftBecause::Failed, UsdMillis::from_millis(30_000)));
    assert_eq!(offer(&shop, Wanted::Everything).await.offers.len(), 1);

    shop.chain.set_frozen(shop.usdc, frozen.deposit, false).await.unwrap();
    assert_eq!(sweep_all(&mut shop).await.len(), 1);
    assert_eq!(shop.case(frozen).await.payments[0].settlement, SettlementStatus::Settled);
    assert_eq!(failures(&shop).await, [], "a sweep made up for it");
    for order in orders {
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn a_failed_sweep_that_is_reorganised_away_has_not_failed() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay(order, 20_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    shop.chain.set_frozen(shop.usdc, order.deposit, true).await.unwrap();
    let plans = plan_sweeps(&shop.app, None, None).await.unwrap();
    let sweep = send_sweep(&shop.app, &plans[0]).await.unwrap();
    shop.chain.mined(sweep.parse().unwrap()).await.unwrap();
    shop.catch_up().await;
    assert!(plan_sweeps(&shop.app, None, None).await.unwrap()[0].deposits[0].failed_at.is_some());
    shop.chain.reorg(2).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap(), plans);
}

/// What a sweep costs is asked of the chain, and an address that was swept before costs half as much.
#[tokio::test]
async fn an_address_that_was_swept_before_is_worth_a_sweep_for_less() {
    let mut shop = Shop::open().await;
    let (old, new) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    shop.pay(old, 20_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let cost = async |shop: &Shop| {
        let plan = offer_sweeps(&shop.app, None, None, Wanted::Everything).await.unwrap();
        let costs: Vec<_> = plan.offers.iter().map(|offer| offer.cost.unwrap()).collect();
        let [cost] = costs[..] else { panic!("{plan:?}") };
        cost
    };
    let first = cost(&shop).await;
    sweep_all(&mut shop).await;
    shop.pay(old, 10_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let again = cost(&shop).await;
    // As in contracts/GAS.md.
    assert!((90_000..120_000).contains(&first.gas) && (45_000..55_000).contains(&again.gas), "{first:?} {again:?}");
    let rate = Rate::from_usd_e8(2000 * 100_000_000).unwrap();
    let usd = rate.worth(TokenAmount::from_base_units(again.wei), Decimals::new(18).unwrap());
    assert_eq!((again.usd, again.below), (Some(usd), U256::ZERO));

    // Together with another, of which the first sweep is to come.
    shop.pay(new, 30_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let plan = offer_sweeps(&shop.app, None, None, Wanted::WorthIt).await.unwrap();
    let [offer] = &plan.offers[..] else { panic!("{plan:?}") };
    assert_eq!((offer.sweep.deposits.len(), offer.value), (2, Some(UsdMillis::from_millis(40_000))));
    let gas = offer.cost.unwrap().gas;
    assert!(first.gas < gas && gas < 2 * first.gas, "{gas}");
}

/// Row 27 of the failure modes.
#[tokio::test]
async fn a_plain_send_with_21000_gas_to_a_swept_address_bounces_and_loses_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.pay_native(order, milliether(10)).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    sweep_all(&mut shop).await;
    let send = async |shop: &Shop, gas: u64| {
        let sent = json!([{ "from": shop.payer(), "to": order.deposit, "value": "0x1", "gas": format!("{gas:#x}") }]);
        let hash: B256 = shop.chain.rpc("eth_sendTransaction", sent).await.unwrap().as_str().unwrap().parse().unwrap();
        eventually("the receipt", async || shop.chain.receipt(hash).await.unwrap()).await.succeeded
    };
    assert!(!send(&shop, 21_000).await, "the address has code by now");
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 1, "what bounced did not arrive");
    assert_eq!(shop.chain.native_balance(order.deposit).await.unwrap(), U256::ZERO);
    assert!(send(&shop, 21_100).await);
    // The balances of ended invoices are asked for once a minute.
    shop.chain.increase_time(120).await.unwrap();
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 2);
    shop.check_conservation(order).await;
}

/// Row 25 of the failure modes.
#[tokio::test]
async fn a_strangers_sweep_before_we_looked_hides_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    let payment = shop.pay_native(order, milliether(10)).await;
    let stranger = shop.chain.accounts()[4];
    let sweep = shop.chain.sweep(stranger, WALLET, &[order.salt], &[Address::ZERO]).await.unwrap();
    shop.chain.mined(sweep).await.unwrap();
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 1);
    assert_eq!(case.payments[0].record.tx_id, payment.to_string());
    assert_eq!(case.payments[0].settlement, SettlementStatus::Settled);
    assert_eq!(case.payments[0].settlement_tx, Some(sweep.to_string()));
    shop.check_conservation(order).await;
}

async fn check_paid_and_swept_at_once(mut shop: Shop, is_traced: bool) {
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    let contract = shop.chain.deploy_payer().await.unwrap();
    let transaction =
        shop.chain.pay_and_sweep(shop.payer(), contract, WALLET, order.salt, milliether(10)).await.unwrap();
    shop.chain.mined(transaction).await.unwrap();
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.chain.native_balance(order.deposit).await.unwrap(), U256::ZERO);
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 1);
    assert_eq!(case.payments[0].record.tx_id == transaction.to_string(), is_traced);
    assert_eq!(case.payments[0].settlement_tx, Some(transaction.to_string()));
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_payment_swept_in_its_own_transaction_is_found() {
    check_paid_and_swept_at_once(Shop::open().await, true).await;
}

#[tokio::test]
async fn a_payment_swept_in_its_own_transaction_is_found_without_traces() {
    let (shop, _relay) = behind_a_relay(true, no_traces).await;
    check_paid_and_swept_at_once(shop, false).await;
}

#[tokio::test]
async fn coin_that_came_after_the_sweep_in_its_transaction_is_not_settled_by_it() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.pay_native(order, milliether(10)).await;
    shop.catch_up().await;
    // The wallet sends half of what it is swept right back.
    let bounce = format!("0x5f5f5f5f3460011c73{}5af100", hex::encode(order.deposit));
    shop.chain.rpc("anvil_setCode", json!([WALLET, bounce])).await.unwrap();
    let sweep = shop.chain.sweep(shop.payer(), WALLET, &[order.salt], &[Address::ZERO]).await.unwrap();
    shop.chain.mined(sweep).await.unwrap();
    assert_eq!(shop.chain.native_balance(order.deposit).await.unwrap(), milliether(5));
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    let settlements: Vec<_> = case.payments.iter().map(|payment| payment.settlement).collect();
    assert_eq!(settlements, [SettlementStatus::Settled, SettlementStatus::Pending]);
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap().len(), 1);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn a_sweep_that_is_reorganised_away_is_due_again() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, ETH).await;
    shop.pay_native(order, milliether(10)).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let plans = plan_sweeps(&shop.app, None, None).await.unwrap();
    let sweep = send_sweep(&shop.app, &plans[0]).await.unwrap();
    shop.chain.mined(sweep.parse().unwrap()).await.unwrap();
    shop.catch_up().await;
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap(), []);
    assert_eq!(shop.case(order).await.payments[0].settlement, SettlementStatus::Processing);

    shop.chain.reorg(1).await.unwrap();
    shop.catch_up().await;
    shop.check_conservation(order).await;
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap(), plans);
}

#[tokio::test]
async fn planned_sweeps_bring_all_of_it_to_the_wallet() {
    let mut shop = Shop::open().await;
    let orders = [shop.order(20_000, USDC).await, shop.order(10_000, USDC).await, shop.order(20_000, ETH).await];
    shop.pay(orders[0], 20_000).await;
    shop.confirm().await;
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap(), [], "it is paid, but not final yet");
    shop.pay(orders[1], 10_000).await;
    shop.pay_token(orders[1], shop.eurx, 5).await;
    shop.pay_native(orders[2], milliether(10)).await;
    let open = shop.order(20_000, USDC).await;
    shop.pay(open, 5_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let other = domain::id::MerchantId(shop.merchant.0 + 1);
    assert_eq!(plan_sweeps(&shop.app, Some(other), None).await.unwrap(), []);
    assert_eq!(plan_sweeps(&shop.app, None, Some("base")).await.unwrap(), []);
    let plans = plan_sweeps(&shop.app, Some(shop.merchant), Some("ethereum")).await.unwrap();
    assert_eq!(plans.len(), 3, "one token, two tokens, and the coin by itself: {plans:?}");
    let mut invoices: Vec<_> =
        plans.iter().flat_map(|plan| plan.deposits.iter().map(|deposit| deposit.invoice)).collect();
    invoices.sort_unstable();
    let mut expected: Vec<_> = orders.iter().map(|order| order.id).collect();
    expected.sort_unstable();
    assert_eq!(invoices, expected, "an open invoice's address is not swept");
    let files = safe_batches(&plans, shop.app.clock.now_ms());
    assert_eq!(files["ethereum"]["transactions"].as_array().unwrap().len(), 3);

    let coins_before = shop.chain.native_balance(WALLET).await.unwrap();
    for plan in &plans {
        let hash = send_sweep(&shop.app, plan).await.unwrap();
        shop.chain.mined(hash.parse().unwrap()).await.unwrap();
    }
    assert_eq!(shop.chain.balance_of(shop.usdc, WALLET).await.unwrap(), units(30_000_000));
    assert_eq!(shop.chain.balance_of(shop.eurx, WALLET).await.unwrap(), units(5));
    assert_eq!(shop.chain.native_balance(WALLET).await.unwrap() - coins_before, milliether(10));

    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap(), []);
    for order in orders {
        let case = shop.case(order).await;
        assert!(case.payments.iter().all(|payment| payment.settlement == SettlementStatus::Settled), "{case:?}");
        shop.check_conservation(order).await;
    }
}

// Prices

#[tokio::test]
async fn only_a_sensible_feed_gives_a_price() {
    let shop = Shop::open().await;
    let set = async |price: i64, age: i64| {
        let now = i64::try_from(shop.chain.block_time().await.unwrap()).unwrap();
        let updated_at = if age == i64::MAX { 0 } else { now - age };
        shop.chain.set_price(shop.feed, price * 100_000_000, u64::try_from(updated_at).unwrap()).await.unwrap();
        shop.clock.advance_seconds(11);
        shop.app.prices.current(ETH).await
    };
    assert_eq!(set(2000, 0).await.map(Rate::usd_e8), Ok(200_000_000_000));
    assert_eq!(set(0, 0).await, Err(NoPrice::NotPositive));
    assert_eq!(set(-5, 0).await, Err(NoPrice::NotPositive));
    assert_eq!(set(2000, i64::MAX).await, Err(NoPrice::Unfinished));
    assert!(matches!(set(2000, 4700).await, Err(NoPrice::Stale { .. })));
    assert!(matches!(set(2000, -120).await, Err(NoPrice::FromTheFuture { .. })));
    assert!(matches!(set(2500, 0).await, Err(NoPrice::Jumped { .. })));
    assert_eq!(set(2510, 0).await.map(Rate::usd_e8), Ok(251_000_000_000));
    assert_eq!(shop.app.prices.current(USDC).await.map(Rate::usd_e8), Ok(100_000_000));
}

#[tokio::test]
async fn an_endpoint_that_stands_still_gives_no_price() {
    let shop = Shop::open().await;
    assert_eq!(shop.app.prices.current(ETH).await.map(Rate::usd_e8), Ok(200_000_000_000));
    shop.clock.advance_seconds(2 * 3600);
    assert!(matches!(shop.app.prices.current(ETH).await, Err(NoPrice::Stale { .. })));
}

#[tokio::test]
async fn prices_are_read_before_anybody_asks() {
    let (shop, relay) = behind_a_relay(true, |_, _| {}).await;
    let task = shop.app.spawn(pepay::rates::run(shop.app.clone()));
    let mut reads = 0;
    while reads < 2 {
        tokio::task::yield_now().await;
        reads += relay.asked().iter().filter(|method| *method == "eth_call").count();
    }
    assert_eq!(shop.app.prices.current(ETH).await.map(Rate::usd_e8), Ok(200_000_000_000));
    assert_eq!(relay.asked(), [""; 0]);
    shop.app.shutdown.cancel();
    task.await.unwrap();
}

fn no_traces(call: &Value, answer: &mut Value) {
    if call["method"].as_str().is_some_and(|method| method.starts_with("debug_") || method.starts_with("trace_")) {
        decline(answer, -32601, "the method does not exist");
    }
}

/// The calldata of a token transfer.
fn transfer_data(to: Address, amount: u64) -> String {
    let amount = B256::from(units(amount));
    format!("0xa9059cbb{}{}", hex::encode(to.into_word()), hex::encode(amount))
}

//! Reading a chain, and endpoints, that misbehave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::invoice::InvoiceStatus;
use e2e::eventually;
use serde_json::{Value, json};

use super::shop::{BLOCKHASH_LIFE, Shop, USDC, check};
use crate::watcher::relay::{Relay, decline};

#[tokio::test]
async fn a_failed_transaction_with_the_reference_is_ignored() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let payment = json!({
        "recipient": shop.wallet, "mint": shop.usdc, "amount": order.amount(), "references": [order.reference()],
    });
    let failed =
        json!({ "wallet": "payer", "payments": [payment], "fail": true, "skip_preflight": true, "await": "processed" });
    assert!(shop.chain.pay_as(failed).await.err.is_some());
    shop.finalize().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments.len(), 0);
    assert_ne!(shop.cursor().await, None, "it is read, and passed over");
}

#[tokio::test]
async fn what_comes_through_a_lookup_table_or_an_inner_instruction_is_counted_by_balances() {
    let mut shop = Shop::open().await;
    let (hidden, inner) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    let table = shop.chain.create_lookup_table(&[shop.till(), shop.usdc, hidden.reference()]).await;
    shop.chain.slots(2).await;
    let payment = |order: &super::shop::Order| {
        json!({
            "recipient": shop.wallet, "mint": shop.usdc, "amount": order.amount(), "references": [order.reference()],
        })
    };
    let through_table =
        json!({ "wallet": "payer", "payments": [payment(&hidden)], "lookup_table": table, "await": "processed" });
    shop.chain.pay_as(through_table).await;
    let mut by_program = payment(&inner);
    by_program["inner"] = json!(true);
    shop.chain.pay("payer", by_program).await;
    shop.confirm().await;
    check(&shop.case(&hidden).await, InvoiceStatus::Paid, 20_000);
    check(&shop.case(&inner).await, InvoiceStatus::Paid, 30_000);
}

#[tokio::test]
async fn a_payment_that_a_fork_took_away_is_orphaned_once_it_cannot_come_back() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let paid = shop.pay_order(&order).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    let dropped = shop.chain.drop_after(paid.slot.unwrap()).await;
    assert!(dropped.iter().any(|dropped| dropped.signature == paid.signature));
    shop.after_slots(60).await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    shop.after_slots(BLOCKHASH_LIFE).await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert!(!case.payments[0].record.canonical);
    shop.after_slots(5).await;
    check(&shop.case(&order).await, InvoiceStatus::Unpaid, 0);
}

#[tokio::test]
async fn a_payment_that_a_fork_moved_is_one_payment() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let paid = shop.pay_order(&order).await;
    shop.confirm().await;
    let before = shop.case(&order).await.payments[0].record.clone();
    let dropped = shop.chain.drop_after(paid.slot.unwrap()).await;
    shop.chain.slots(3).await;
    let again = dropped.iter().find(|dropped| dropped.signature == paid.signature).unwrap();
    let options = json!({ "encoding": "base64", "skipPreflight": true });
    shop.chain.call::<Value>("sendTransaction", json!([again.transaction, options])).await;
    shop.finalize().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments.len(), 1);
    let after = &case.payments[0].record;
    assert_eq!((after.payment, after.canonical), (before.payment, true));
    assert_ne!(after.block_number, before.block_number);
}

/// More transactions than a page of a list holds, and orders that are paid before and after those.
async fn read_flood(mut shop: Shop) {
    let (first, last) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    shop.pay_order(&first).await;
    shop.chain.slots(1).await;
    let payment = json!({ "recipient": shop.wallet, "mint": shop.usdc, "amount": "1.5" });
    // In parts, for each has to be answered in time.
    for _ in 0..11 {
        let flood = json!({ "rpc": shop.chain.rpc_url(), "wallet": "payer", "payment": payment, "count": 100 });
        shop.chain.payer().ask("flood", flood).await.unwrap();
        shop.chain.slots(1).await;
    }
    shop.pay_order(&last).await;
    shop.finalize().await;
    check(&shop.case(&first).await, InvoiceStatus::Paid, 20_000);
    check(&shop.case(&last).await, InvoiceStatus::Paid, 30_000);
    let mut reader = shop.app.store.reader().await.unwrap();
    let mut seen = 0;
    let mut part = pepay::store::UnattributedPart::Newest;
    loop {
        let (page, has_more) = reader.tx().unattributed(shop.merchant, part, 500).await.unwrap();
        seen += page.len();
        let Some(oldest) = page.last().filter(|_| has_more) else { break };
        let place = reader.tx().unattributed_place(shop.merchant, oldest.payment()).await.unwrap().unwrap();
        part = pepay::store::UnattributedPart::OlderThan(place);
    }
    assert_eq!(seen, 1_100);
}

#[tokio::test]
async fn more_transactions_than_a_page_holds_are_read_without_a_gap() {
    read_flood(Shop::open().await).await;
}

#[tokio::test]
async fn more_transactions_than_a_page_holds_are_read_without_a_gap_since_the_last_one_that_was_read() {
    let mut shop = Shop::open().await;
    let before = shop.order(10_000, USDC).await;
    let paid = shop.pay_order(&before).await;
    shop.finalize().await;
    check(&shop.case(&before).await, InvoiceStatus::Paid, 10_000);
    assert_eq!(shop.cursor().await, Some(paid.signature.to_string()));
    read_flood(shop).await;
}

#[tokio::test]
async fn a_transaction_that_is_listed_and_not_served_is_waited_for() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    let before = shop.cursor().await;
    relay.twist(|call, answer| {
        if call["method"] == "getTransaction" {
            answer["result"] = Value::Null;
        }
    });
    shop.pay_order(&order).await;
    shop.chain.slots(40).await;
    let read_until = shop.app.store.reader().await.unwrap().tx().cursor("solana").await.unwrap().unwrap();
    shop.watcher.step().await.unwrap();
    assert_eq!(shop.case(&order).await.payments.len(), 0);
    assert_eq!(shop.cursor().await, before, "the cursor waits for it");
    let still = shop.app.store.reader().await.unwrap().tx().cursor("solana").await.unwrap().unwrap();
    assert_eq!(still, read_until, "nobody is told that the chain was read so far");
    relay.twist(|_, _| {});
    shop.catch_up().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    assert_ne!(shop.cursor().await, before);
}

#[tokio::test]
async fn a_payment_counts_when_two_endpoints_show_it() {
    let shop = Shop::open().await;
    let (one, two) = (Relay::start(shop.chain.rpc_url(), true).await, Relay::start(shop.chain.rpc_url(), true).await);
    let mut shop = shop.restart_behind(&[&one.url, &two.url]).await;
    let order = shop.order(20_000, USDC).await;
    let hides = Arc::new(AtomicBool::new(true));
    let hidden = Arc::clone(&hides);
    two.twist(move |call, answer| {
        if call["method"] == "getTransaction" && hidden.load(Ordering::SeqCst) {
            answer["result"] = Value::Null;
        }
    });
    shop.pay_order(&order).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    assert_eq!(case.payments.len(), 1, "it is shown");
    check(&case, InvoiceStatus::Unpaid, 0);
    hides.store(false, Ordering::SeqCst);
    shop.clock.advance_seconds(5);
    shop.confirm().await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn an_endpoint_that_makes_up_a_payment_is_not_believed() {
    let shop = Shop::open().await;
    let (honest, liar) =
        (Relay::start(shop.chain.rpc_url(), true).await, Relay::start(shop.chain.rpc_url(), true).await);
    let mut shop = shop.restart_behind(&[&liar.url, &honest.url]).await;
    let order = shop.order(20_000, USDC).await;
    liar.twist(|call, answer| {
        let balances = answer.pointer_mut("/result/meta/postTokenBalances").and_then(Value::as_array_mut);
        if call["method"] == "getTransaction" {
            for balance in balances.into_iter().flatten() {
                // Ten times as much for everybody.
                let amount = &mut balance["uiTokenAmount"]["amount"];
                *amount = json!(format!("{}0", amount.as_str().unwrap()));
            }
        }
    });
    shop.pay("1", json!({ "references": [order.reference()] })).await;
    shop.confirm().await;
    shop.clock.advance_seconds(5);
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments.len(), 1, "it is shown, and counts for nothing");
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_refused() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    relay.twist(|call, answer| {
        if call["method"] == "getGenesisHash" {
            answer["result"] = json!("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d");
        }
    });
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let error = shop.failing_step().await.to_string();
    assert!(error.contains("another genesis block"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_lags_behind_is_passed_over() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let direct = shop.chain.rpc_url().to_owned();
    let mut shop = shop.restart_behind(&[&relay.url, &direct]).await;
    let order = shop.order(20_000, USDC).await;
    relay.twist(|call, answer| {
        if call["method"] == "getSignaturesForAddress" {
            decline(answer, -32016, "Minimum context slot has not been reached");
        }
    });
    shop.pay_order(&order).await;
    shop.confirm().await;
    assert_eq!(shop.case(&order).await.payments.len(), 1);
}

#[tokio::test]
async fn an_endpoint_with_limits_is_asked_one_by_one_and_left_alone_as_long_as_it_says() {
    const RETRY_AFTER: u64 = 2;

    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), false).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let (first, second) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    shop.pay_order(&first).await;
    shop.confirm().await;
    check(&shop.case(&first).await, InvoiceStatus::Paid, 20_000);
    assert!(relay.requests().iter().all(|calls| calls.len() == 1), "it takes no batches");

    shop.pay_order(&second).await;
    shop.chain.slots(2).await;
    relay.turn_away(Some(RETRY_AFTER));
    shop.failing_step().await;
    let since = Instant::now();
    assert_eq!(relay.turned_away(), 1);
    relay.turn_away(None);
    eventually("the endpoint to be asked again", async || {
        let step = shop.watcher.step().await;
        assert!(step.is_ok() || relay.requests().is_empty(), "it is left alone: {step:?}");
        step.ok()
    })
    .await;
    assert!(Duration::from_secs(RETRY_AFTER) <= since.elapsed(), "{:?}", since.elapsed());
    shop.catch_up().await;
    check(&shop.case(&second).await, InvoiceStatus::Paid, 30_000);
}

#[tokio::test]
async fn an_answer_that_contradicts_itself_stops_nothing_and_records_nothing() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let order = shop.order(20_000, USDC).await;
    relay.twist(|call, answer| {
        if call["method"] == "getTransaction" {
            answer["result"]["meta"]["postBalances"] = json!([]);
        }
    });
    shop.pay_order(&order).await;
    shop.chain.slots(2).await;
    shop.failing_step().await;
    assert_eq!(shop.case(&order).await.payments.len(), 0);
    // The endpoint rests now; after that it is asked again.
    relay.twist(|_, _| {});
    let mut shop = shop.restart().await;
    shop.catch_up().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn who_starts_again_reads_on_where_it_stood_and_records_nothing_twice() {
    let mut shop = Shop::open().await;
    let (one, two) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    shop.pay_order(&one).await;
    shop.finalize().await;
    let cursor = shop.cursor().await;
    let mut shop = shop.restart().await;
    shop.pay_order(&two).await;
    shop.confirm().await;
    let mut shop = shop.restart().await;
    shop.confirm().await;
    shop.finalize().await;
    assert_ne!(shop.cursor().await, cursor);
    for (order, millis) in [(&one, 20_000), (&two, 30_000)] {
        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Paid, millis);
        assert_eq!(case.payments.len(), 1);
    }
}

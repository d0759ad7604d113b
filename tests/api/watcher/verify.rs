//! Searches for payments that somebody asked for.

use alloy_primitives::B256;
use domain::invoice::InvoiceStatus;
use pepay::{
    invoicing::{self, MOST_ATTEMPTS, VerifyError},
    store::{Failure, VerificationRecord},
    transaction_id::TransactionId,
};
use serde_json::{Value, json};

use super::{
    relay::Relay,
    shop::{ETH, Order, PAID_AFTER, Shop, USDC, check, milliether, units},
};

fn sees_nothing(call: &Value, answer: &mut Value) {
    match call["method"].as_str() {
        Some("eth_getLogs") => answer["result"] = json!([]),
        Some("eth_getBalance") => answer["result"] = json!("0x0"),
        Some("eth_call") => answer["result"] = json!(format!("0x{}", "0".repeat(64))),
        _ => {}
    }
}

/// A shop with a payment of its order that its only endpoint does not tell of, but by its receipt.
async fn unseen(dollar: bool) -> (Shop, Relay, Order, B256) {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let order = shop.order(20_000, if dollar { USDC } else { ETH }).await;
    shop.catch_up().await;
    relay.twist(sees_nothing);
    let paid_with = if dollar { shop.pay(order, 20_000).await } else { shop.pay_native(order, milliether(10)).await };
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 0);
    (shop, relay, order, paid_with)
}

async fn verify(shop: &Shop, order: Order, transaction: Option<B256>) -> VerificationRecord {
    let invoice = shop.case(order).await.invoice;
    invoicing::verify(&shop.app, &invoice, None, transaction.map(TransactionId::Evm)).await.unwrap()
}

async fn last(shop: &Shop, order: Order) -> VerificationRecord {
    let mut reader = shop.app.store.reader().await.unwrap();
    reader.tx().verification(shop.merchant, order.id).await.unwrap().unwrap()
}

/// Lets it be looked once more, with no new block.
async fn look(shop: &mut Shop) {
    shop.clock.advance_seconds(61);
    shop.catch_up().await;
}

#[tokio::test]
async fn a_payment_is_found_by_its_transaction_and_counts_once() {
    for dollar in [true, false] {
        let (mut shop, relay, order, paid_with) = unseen(dollar).await;
        for _ in 0..2 {
            let asked = verify(&shop, order, Some(paid_with)).await;
            assert_eq!((asked.attempts, asked.completed_at), (0, None));
            look(&mut shop).await;
            let found = last(&shop, order).await;
            assert_eq!((found.id, found.attempts, found.failure), (asked.id, 1, None));
            assert!(found.completed_at.is_some() && found.next_at.is_none());
        }
        relay.twist(|_, _| {});
        shop.chain.mine(PAID_AFTER - 1).await.unwrap();
        look(&mut shop).await;
        let case = shop.case(order).await;
        assert_eq!(case.payments.len(), 1);
        assert_eq!(invoicing::found_by(&last(&shop, order).await, &case)[0].record.tx_id, paid_with.to_string());
        check(&case, InvoiceStatus::Paid, 20_000);
        shop.check_conservation(order).await;
    }
}

#[tokio::test]
async fn a_payment_is_found_by_what_the_address_holds() {
    let (mut shop, relay, order, paid_with) = unseen(true).await;
    verify(&shop, order, None).await;
    look(&mut shop).await;
    let looked = last(&shop, order).await;
    assert_eq!((looked.attempts, looked.completed_at), (1, None), "nothing to see yet");
    relay.twist(|_, _| {});
    look(&mut shop).await;
    let found = last(&shop, order).await;
    assert!(found.completed_at.is_some() && found.failure.is_none());
    assert_eq!(shop.case(order).await.payments[0].record.tx_id, paid_with.to_string());
}

#[tokio::test]
async fn one_search_at_a_time_is_made_and_it_ends() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.catch_up().await;
    let first = verify(&shop, order, None).await;
    assert_eq!(verify(&shop, order, Some(B256::ZERO)).await, first, "a search is under way");
    for _ in 0..MOST_ATTEMPTS {
        assert_eq!(last(&shop, order).await.completed_at, None);
        look(&mut shop).await;
    }
    let ended = last(&shop, order).await;
    assert_eq!((ended.attempts, ended.failure), (MOST_ATTEMPTS, Some(Failure::PaymentNotFound)));
    assert_ne!(verify(&shop, order, None).await.id, first.id, "and may be asked for again");
}

#[tokio::test]
async fn a_transaction_that_did_not_pay_is_told_why() {
    let mut shop = Shop::open().await;
    let (order, other) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.catch_up().await;
    let paid_other = shop.pay(other, 20_000).await;
    let chain = shop.chain.clone();
    let too_much = chain.balance_of(shop.usdc, shop.payer()).await.unwrap() + units(1);
    let transfer = format!("0xa9059cbb{:0>64}{too_much:064x}", hex::encode(order.deposit));
    let request = json!([{ "from": shop.payer(), "to": shop.usdc, "data": transfer, "gas": "0x30d40" }]);
    let failed: B256 = serde_json::from_value(chain.rpc("eth_sendTransaction", request).await.unwrap()).unwrap();
    chain.mined(failed).await.unwrap_err();
    shop.catch_up().await;
    for (transaction, why, attempts) in [
        (paid_other, Failure::TransactionPaysAnother, 1),
        (failed, Failure::TransactionFailed, 1),
        (B256::repeat_byte(0xab), Failure::TransactionNotFound, MOST_ATTEMPTS),
    ] {
        verify(&shop, order, Some(transaction)).await;
        for _ in 0..attempts {
            look(&mut shop).await;
        }
        let ended = last(&shop, order).await;
        assert_eq!((ended.failure, ended.attempts), (Some(why), attempts));
    }
    assert_eq!(shop.case(order).await.payments.len(), 0);
}

#[tokio::test]
async fn it_must_be_known_where_to_look() {
    let shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let invoice = shop.case(order).await.invoice;
    let refused = invoicing::verify(&shop.app, &invoice, Some("base".to_owned()), None).await.unwrap_err();
    assert!(matches!(refused, VerifyError::NoSuchNetwork(network) if network == "base"));
}

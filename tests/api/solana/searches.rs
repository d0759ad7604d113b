//! Searches for payments on Solana that somebody asked for.

use domain::invoice::InvoiceStatus;
use pepay::{
    invoicing::{self, MOST_ATTEMPTS},
    solana::Signature,
    store::{Failure, VerificationRecord},
    transaction_id::TransactionId,
};
use serde_json::{Value, json};

use super::shop::{Order, Shop, USDC, check};
use crate::watcher::relay::Relay;

/// Lists nothing for any account, and serves what is asked for by its signature.
fn lists_nothing(call: &Value, answer: &mut Value) {
    if call["method"] == "getSignaturesForAddress" {
        answer["result"] = json!([]);
    }
}

impl Shop {
    async fn search(&self, order: &Order, signature: Option<Signature>) -> VerificationRecord {
        let invoice = self.case(order).await.invoice;
        invoicing::verify(&self.app, &invoice, None, signature.map(TransactionId::Solana)).await.unwrap()
    }

    async fn last_search(&self, order: &Order) -> VerificationRecord {
        let mut reader = self.app.store.reader().await.unwrap();
        reader.tx().verification(order.merchant, order.id).await.unwrap().unwrap()
    }

    /// Has it be looked once more.
    async fn look(&mut self) {
        self.wait(61).await;
        self.catch_up().await;
    }
}

#[tokio::test]
async fn a_payment_is_found_by_its_signature_or_without_one() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.search(&order, None).await;
    shop.look().await;
    assert_eq!((shop.last_search(&order).await.attempts, shop.last_search(&order).await.completed_at), (1, None));
    let order = shop.quoted_again(&order).await;
    let paid = shop.pay_order(&order).await;
    shop.look().await;
    let found = shop.last_search(&order).await;
    assert!(found.completed_at.is_some() && found.failure.is_none(), "{found:?}");

    shop.search(&order, Some(paid.signature)).await;
    shop.look().await;
    let found = shop.last_search(&order).await;
    assert_eq!((found.attempts, found.failure), (1, None));
    let case = shop.case(&order).await;
    let payments = invoicing::found_by(&found, &case);
    assert_eq!(
        payments.iter().map(|payment| payment.record.tx_id.clone()).collect::<Vec<_>>(),
        [paid.signature.to_string()]
    );
    assert_eq!(case.payments.len(), 1, "looking for it counts it once");
}

#[tokio::test]
async fn a_payment_that_an_endpoint_left_out_of_its_list_is_found_by_its_signature() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let (asked, other) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.confirm().await;
    relay.twist(lists_nothing);
    let paid = shop.pay_order(&asked).await;
    let unmarked = shop.pay("19", json!({})).await;
    shop.finalize().await;
    check(&shop.case(&asked).await, InvoiceStatus::Unpaid, 0);
    for (order, paid) in [(&asked, &paid), (&other, &unmarked)] {
        shop.search(order, Some(paid.signature)).await;
    }
    shop.look().await;
    shop.look().await;
    check(&shop.case(&asked).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(shop.last_search(&asked).await.failure, None);
    // To name a transaction makes nobody its payer, but its merchant knows of it now.
    check(&shop.case(&other).await, InvoiceStatus::Unpaid, 0);
    let unattributed = shop.unattributed(shop.merchant).await;
    assert_eq!(
        unattributed.iter().map(|came| came.tx_id.clone()).collect::<Vec<_>>(),
        [unmarked.signature.to_string()]
    );

    // The endpoint has a change of heart, and each still counts once.
    relay.twist(|_, _| {});
    shop.finalize().await;
    let case = shop.case(&asked).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!((case.payments.len(), shop.unattributed(shop.merchant).await.len()), (1, 1));
}

#[tokio::test]
async fn a_transaction_from_before_the_invoice_pays_nothing_although_it_is_named() {
    let mut shop = Shop::open().await;
    let old = shop.pay("19", json!({})).await;
    shop.chain.slots(2).await;
    // Longer than the network's clock may lag behind ours.
    shop.wait(2 * 3_600).await;
    let order = shop.order(20_000, USDC).await;
    shop.search(&order, Some(old.signature)).await;
    for _ in 0..MOST_ATTEMPTS {
        shop.look().await;
    }
    assert_eq!(shop.last_search(&order).await.failure, Some(Failure::PaymentNotFound));
    check(&shop.case(&order).await, InvoiceStatus::Unpaid, 0);
    assert_eq!(shop.unattributed(shop.merchant).await, []);
}

#[tokio::test]
async fn a_transaction_that_did_not_pay_is_told_why() {
    let mut shop = Shop::open().await;
    let elsewhere = shop.chain.wallet("another shop").await;
    let (order, other) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    let paid_other = shop.pay_order(&other).await;
    let payment = json!({ "recipient": elsewhere, "mint": shop.usdc, "amount": "20" });
    let paid_elsewhere = shop.chain.pay("payer", payment).await;
    let payment = json!({ "recipient": shop.wallet, "mint": shop.usdc, "amount": "21" });
    let failed = json!({ "wallet": "payer", "payments": [payment], "fail": true, "await": "processed" });
    let failed = shop.chain.pay_as(failed).await;
    shop.confirm().await;
    let nobody_s: Signature = "1".repeat(64).parse().unwrap();
    for (signature, why, attempts) in [
        (paid_elsewhere.signature, Failure::TransactionPaysAnother, 1),
        (failed.signature, Failure::TransactionFailed, 1),
        (paid_other.signature, Failure::PaymentNotFound, MOST_ATTEMPTS),
        (nobody_s, Failure::TransactionNotFound, MOST_ATTEMPTS),
    ] {
        shop.search(&order, Some(signature)).await;
        for _ in 0..attempts {
            assert_eq!(shop.last_search(&order).await.completed_at, None);
            shop.look().await;
        }
        let ended = shop.last_search(&order).await;
        assert_eq!((ended.failure, ended.attempts), (Some(why), attempts));
    }
    check(&shop.case(&order).await, InvoiceStatus::Unpaid, 0);
    assert_eq!(shop.case(&order).await.payments.len(), 0);
    assert_eq!(shop.case(&other).await.payments.len(), 1);
}

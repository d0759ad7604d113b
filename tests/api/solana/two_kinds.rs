//! One invoice that is offered on an EVM network and on Solana: what comes on either is one sum, and it ends when both say so.

use domain::invoice::InvoiceStatus;
use pepay::{
    chains::{Step, evm},
    invoicing::{Chosen, QuoteError},
};
use serde_json::json;

use super::shop::{EVM_NETWORK, NETWORK, ON_EVM, Order, Shop, USDC, check};

/// An order that was asked for on both, and what is to be paid on the EVM network.
async fn order_on_both(shop: &Shop) -> (Order, Chosen) {
    let order = shop.order(20_000, USDC).await;
    let on_evm = shop.choose(shop.merchant, order.id, ON_EVM).await.unwrap();
    (order, on_evm)
}

async fn read_evm(watcher: &mut evm::Watcher) {
    for _ in 0..100 {
        if watcher.step().await.unwrap() == Step::Idle {
            return;
        }
    }
    panic!("the watcher does not come to rest");
}

async fn networks_of(shop: &Shop, order: &Order) -> Vec<String> {
    shop.case(order).await.payments.into_iter().map(|payment| payment.record.network).collect()
}

#[tokio::test]
async fn half_on_an_evm_network_and_half_on_solana_pay_one_invoice() {
    let mut shop = Shop::open_with_sol().await;
    let mut on_evm = shop.evm_watcher().await;
    let (order, chosen) = order_on_both(&shop).await;
    read_evm(&mut on_evm).await;
    shop.pay_on_evm(&chosen, 10_000).await;
    read_evm(&mut on_evm).await;
    check(&shop.case(&order).await, InvoiceStatus::Underpaid, 10_000);
    assert!(matches!(shop.choose(shop.merchant, order.id, USDC).await, Err(QuoteError::Locked)));
    let rest = shop.choose(shop.merchant, order.id, ON_EVM).await.unwrap();
    assert_eq!(rest.record.quote.covers.as_millis(), 10_000);

    shop.wait(30).await;
    shop.pay("10", json!({ "references": [order.reference()] })).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(networks_of(&shop, &order).await, [EVM_NETWORK, NETWORK]);
    assert_eq!(case.invoice.standing.paid_at, Some(case.payments[1].record.block_time));
}

#[tokio::test]
async fn half_on_solana_and_half_on_an_evm_network_pay_one_invoice() {
    let mut shop = Shop::open_with_sol().await;
    let mut on_evm = shop.evm_watcher().await;
    let (order, chosen) = order_on_both(&shop).await;
    read_evm(&mut on_evm).await;
    shop.pay("10", json!({ "references": [order.reference()] })).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Underpaid, 10_000);
    assert!(matches!(shop.choose(shop.merchant, order.id, ON_EVM).await, Err(QuoteError::Locked)));
    let rest = shop.quoted_again(&order).await;
    assert_eq!(rest.chosen.record.quote.covers.as_millis(), 10_000);

    shop.wait(30).await;
    shop.pay_on_evm(&chosen, 9_999).await;
    read_evm(&mut on_evm).await;
    check(&shop.case(&order).await, InvoiceStatus::Underpaid, 19_999);
    shop.pay_on_evm(&chosen, 1).await;
    read_evm(&mut on_evm).await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(networks_of(&shop, &order).await, [NETWORK, EVM_NETWORK, EVM_NETWORK]);
}

/// What a network that was read past the end says is not enough while the other one may still hold a payment.
async fn check_end(shop: &Shop, order: &Order, expected: (InvoiceStatus, bool)) {
    shop.end_due().await;
    let standing = shop.case(order).await.invoice.standing;
    assert_eq!((standing.status, standing.is_checking), expected);
    assert!(!standing.ended_unverified);
}

const CHECKING: (InvoiceStatus, bool) = (InvoiceStatus::Unpaid, true);
const EXPIRED: (InvoiceStatus, bool) = (InvoiceStatus::Expired, false);

#[tokio::test]
async fn an_invoice_asked_for_on_both_kinds_expires_only_once_both_were_read_past_its_end() {
    let mut shop = Shop::open_with_sol().await;
    let mut on_evm = shop.evm_watcher().await;
    let (order, _) = order_on_both(&shop).await;
    shop.confirm().await;
    read_evm(&mut on_evm).await;
    shop.wait(16 * 60).await;
    check_end(&shop, &order, CHECKING).await;
    shop.finalize().await;
    check_end(&shop, &order, CHECKING).await;
    read_evm(&mut on_evm).await;
    check_end(&shop, &order, EXPIRED).await;

    let (order, _) = order_on_both(&shop).await;
    shop.confirm().await;
    read_evm(&mut on_evm).await;
    shop.wait(16 * 60).await;
    read_evm(&mut on_evm).await;
    check_end(&shop, &order, CHECKING).await;
    shop.finalize().await;
    check_end(&shop, &order, EXPIRED).await;
}

#[tokio::test]
async fn a_payment_in_time_on_the_network_that_is_read_last_still_pays() {
    let mut shop = Shop::open_with_sol().await;
    let mut on_evm = shop.evm_watcher().await;
    let (order, chosen) = order_on_both(&shop).await;
    shop.confirm().await;
    read_evm(&mut on_evm).await;
    shop.pay_on_evm(&chosen, 20_000).await;
    shop.wait(16 * 60).await;
    shop.finalize().await;
    check_end(&shop, &order, CHECKING).await;
    read_evm(&mut on_evm).await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert!(!case.payments[0].late);
}

//! What becomes of an invoice that is paid in another way than it asked for.

use domain::{
    invoice::{InvoiceStatus, PaymentStatus},
    settlement::SettlementStatus,
};
use e2e::Database;
use pepay::invoicing::{end_due_invoices, plan_sweeps};
use serde_json::{Value, json};

use super::shop::{FEE, Shop, USDC, check};

#[tokio::test]
async fn half_and_then_the_rest_pay_an_invoice() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("10", json!({ "references": [order.reference()] })).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Underpaid, 10_000);
    assert!(case.invoice.standing.locked_by.is_some());
    shop.clock.advance_seconds(60);
    let rest = shop.quoted_again(&order).await;
    assert!((10_000_001..10_010_000).contains(&rest.units()), "{}", rest.units());
    shop.pay(&rest.amount(), json!({})).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn an_amount_a_thousand_times_too_large_is_overpaid() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("20000", json!({ "references": [order.reference()] })).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000_000);
    assert_eq!(case.invoice.standing.overpaid.as_millis(), 19_980_000);
}

#[tokio::test]
async fn a_payment_counts_at_the_depth_that_is_configured_and_for_much_at_a_greater_one() {
    let deep = |network: &mut Value| {
        network["paid_after"] = json!(10);
        network["large"] = json!({ "above_usd": 100, "paid_after": 20 });
    };
    let mut shop = Shop::open_with(Database::of_tests(), false, deep).await;
    let (small, large) = (shop.order(100_000, USDC).await, shop.order(100_001, USDC).await);
    let slot = shop.pay_order(&small).await.slot.unwrap();
    let also = json!({ "references": [large.reference()] });
    assert_eq!(shop.pay(&large.amount(), also).await.slot, Some(slot));
    // The block of a payment is its first confirmation, once it is over.
    for (confirmations, [is_small_paid, is_large_paid]) in
        [(9, [false, false]), (10, [true, false]), (19, [true, false]), (20, [true, true])]
    {
        let head = shop.chain.slot("confirmed").await;
        shop.after_slots(slot + confirmations - 1 - head).await;
        for (order, required, is_paid) in [(&small, 10, is_small_paid), (&large, 20, is_large_paid)] {
            let case = shop.case(order).await;
            assert_eq!(case.payments[0].required_confirmations, required);
            let status = if is_paid { InvoiceStatus::Paid } else { InvoiceStatus::Unpaid };
            assert_eq!(case.invoice.standing.status, status, "{required} after {confirmations}");
        }
    }
}

#[tokio::test]
async fn what_a_token_keeps_of_a_transfer_is_not_credited() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, FEE).await;
    let payment = json!({
        "recipient": shop.wallet, "mint": shop.fee, "amount": "20", "references": [order.reference()],
    });
    shop.chain.pay("payer", payment).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Underpaid, 19_800);
}

#[tokio::test]
async fn a_payment_is_the_merchant_s_at_once_and_settled_when_it_is_final() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let paid = shop.pay_order(&order).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    assert_eq!(case.payments[0].settlement, SettlementStatus::Processing);
    assert_eq!((case.payments[0].record.confirmations, case.payments[0].required_confirmations), (1, 1));
    shop.finalize().await;
    let case = shop.case(&order).await;
    assert_eq!(case.payments[0].settlement, SettlementStatus::Settled);
    assert_eq!(case.payments[0].settlement_tx, Some(paid.signature.to_string()));
    assert_eq!(plan_sweeps(&shop.app, None, None).await.unwrap().len(), 0, "nothing waits to be swept");
    // It is looked for no longer than any invoice, for nothing of it is left anywhere.
    let until = case.invoice.watched_until.unwrap();
    assert_eq!(until, shop.app.config.invoices.end_of_watch(case.invoice.terms.expires_at));
}

#[tokio::test]
async fn an_invoice_that_nobody_pays_expires_once_the_chain_was_read_past_its_end() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    shop.wait(16 * 60).await;
    let lease = pepay::nodes::take(&shop.app, pepay::nodes::EXPIRY).await.unwrap().unwrap();
    end_due_invoices(&shop.app, &lease).await.unwrap();
    let standing = shop.case(&order).await.invoice.standing;
    assert_eq!((standing.status, standing.is_checking), (InvoiceStatus::Unpaid, true), "it is not read so far yet");
    shop.finalize().await;
    end_due_invoices(&shop.app, &lease).await.unwrap();
    let standing = shop.case(&order).await.invoice.standing;
    assert_eq!((standing.status, standing.ended_unverified), (InvoiceStatus::Expired, false));
}

#[tokio::test]
async fn a_payment_of_an_ended_invoice_is_late_whatever_tells_whose_it_is() {
    let mut shop = Shop::open().await;
    let (order, other) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.wait(16 * 60).await;
    shop.pay_order(&order).await;
    shop.pay(&other.amount(), json!({})).await;
    shop.confirm().await;
    for order in [&order, &other] {
        let case = shop.case(order).await;
        assert_eq!(case.payments.len(), 1);
        assert_eq!((case.payments[0].late, case.payments[0].status), (true, PaymentStatus::ManualRetry));
        check(&case, case.invoice.standing.status, 0);
    }
}

#[tokio::test]
async fn a_payment_in_time_counts_although_it_is_read_after_the_end() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay_order(&order).await;
    shop.chain.slots(2).await;
    shop.wait(3 * 3_600).await;
    shop.catch_up().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert!(!case.payments[0].late);
}

//! The money rules that hold on every network, on Solana. What is told apart by marks is in `attribution`, what becomes of an
//! invoice that is paid as it should be in `standing`; `docs/failure-modes.md` says which rule is shown where.

use domain::{
    id::TokenId,
    invoice::{InvoiceStatus, PaymentStatus},
    money::Rate,
    settlement::SettlementStatus,
    transfer::Valuation,
};
use pepay::{
    invoicing::{self, CancelError, Case, QuoteError},
    merchants::set_token_blocked,
};
use serde_json::{Value, json};

use super::shop::{FEE, NETWORK, Order, SOL, Shop, USDC, check};
use crate::watcher::relay::Relay;

fn marked(order: &Order) -> Value {
    json!({ "references": [order.reference()] })
}

/// The same in another token.
fn marked_in(order: &Order, mint: pepay::solana::SolanaAddress) -> Value {
    json!({ "references": [order.reference()], "mint": mint })
}

fn millis(case: &Case) -> (u64, u64, u64) {
    let standing = &case.invoice.standing;
    (standing.credit.as_millis(), standing.remaining.as_millis(), standing.overpaid.as_millis())
}

impl Shop {
    /// An invoice that is paid at an address of its own, so that nothing has to tell it apart.
    async fn own_order(&self, due_millis: u64, token: TokenId) -> (Order, pepay::solana::SolanaAddress) {
        let address = self.chain.wallet(&format!("own {due_millis}")).await;
        // What a brand-new wallet is given must pay its rent, and what was sent to it would be a payment.
        self.chain.set_account(address, json!({ "lamports": 1_000_000_000 })).await;
        self.give_list(&[address]).await;
        (self.order(due_millis, token).await, address)
    }

    /// Pays in SOL at such a price what is enough for twenty dollars, and tells what came of it.
    async fn pay_late(&mut self, order: &Order, usd_e8: i64) -> (InvoiceStatus, PaymentStatus) {
        self.set_sol_price(usd_e8).await;
        self.pay_sol("0.14", marked(order)).await;
        self.confirm().await;
        let case = self.case(order).await;
        let [payment] = case.payments.as_slice() else { panic!("{:?}", case.payments) };
        let rate = Rate::from_usd_e8(usd_e8.unsigned_abs().into()).unwrap();
        assert_eq!((payment.record.valuation, payment.late), (Valuation::Spot { rate }, true));
        (case.invoice.standing.status, payment.status)
    }
}

// Which transfers count

#[tokio::test]
async fn nothing_that_carries_the_reference_is_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("0", marked(&order)).await;
    shop.finalize().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments.len(), 0);
    assert_ne!(shop.cursor().await, None, "it is read, and passed over");
    assert_eq!(shop.unattributed(shop.merchant).await, []);
}

#[tokio::test]
async fn a_token_that_the_merchant_blocked_is_shown_and_not_credited() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    set_token_blocked(&shop.app, shop.merchant, FEE, true).await.unwrap();
    // What is blocked is blocked from the next second on.
    shop.wait(5).await;
    shop.pay("20", marked_in(&order, shop.fee)).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    let [payment] = case.payments.as_slice() else { panic!("{:?}", case.payments) };
    assert_eq!((payment.record.valuation, payment.status), (Valuation::Unexpected, PaymentStatus::ManualRetry));
    assert!(matches!(shop.choose(shop.merchant, order.id, FEE).await, Err(QuoteError::NotOffered(FEE))));
}

#[tokio::test]
async fn tokens_to_the_wallet_itself_fail_and_coin_to_its_token_account_is_no_payment() {
    let mut shop = Shop::open_with_sol().await;
    let (order, in_sol) = (shop.order(20_000, USDC).await, shop.order(30_000, SOL).await);
    let till = shop.till();
    shop.chain.create_token_account(shop.usdc, shop.wallet).await;
    shop.chain.slots(2).await;
    // A program of tokens refuses what is no account of its own.
    let misled = json!({
        "recipient": shop.wallet, "mint": shop.usdc, "amount": order.amount(), "destination": shop.wallet,
        "references": [order.reference()],
    });
    let misled = json!({ "wallet": "payer", "payments": [misled], "skip_preflight": true, "await": "processed" });
    assert!(shop.chain.pay_as(misled).await.err.is_some());
    let held = shop.chain.lamports(till).await;
    let paid = shop.pay_sol(&in_sol.amount(), json!({ "destination": till, "references": [in_sol.reference()] })).await;
    assert_eq!((paid.err, paid.destinations.as_slice()), (None, [till].as_slice()));
    assert!(held < shop.chain.lamports(till).await, "it did come, to an account that tokens are kept in");
    shop.finalize().await;
    for order in [&order, &in_sol] {
        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Unpaid, 0);
        assert_eq!(case.payments.len(), 0);
    }
    let unattributed = shop.unattributed(shop.merchant).await;
    assert!(unattributed.iter().all(|came| came.tx_id != paid.signature.to_string()), "{unattributed:?}");
    // Neither stands in the way of what is paid as it should be.
    shop.pay_order(&order).await;
    shop.pay_sol(&in_sol.amount(), marked(&in_sol)).await;
    shop.confirm().await;
    for order in [&order, &in_sol] {
        assert_eq!(shop.case(order).await.invoice.standing.status, InvoiceStatus::Paid);
    }
}

#[tokio::test]
async fn coin_where_only_tokens_are_taken_is_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay_sol("1", marked(&order)).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!((case.payments.len(), shop.unattributed(shop.merchant).await), (0, vec![]));
}

// What a transfer is worth

#[tokio::test]
async fn the_quoted_amount_in_any_parts_is_never_short_by_rounding() {
    let mut shop = Shop::open_with_sol().await;
    shop.set_sol_price(14_999_999_999).await;
    let (order, address) = shop.own_order(20_000, SOL).await;
    // Up to the next millionth, which is as far as wallets let somebody type.
    assert_eq!(order.units(), 133_334_000);
    for units in [44_444_667_u64, 44_444_667, 44_444_666] {
        let amount = format!("0.{units:09}");
        let payment = json!({ "recipient": address, "amount": amount });
        shop.chain.pay("payer", payment).await;
        shop.chain.slots(1).await;
    }
    shop.confirm().await;
    let case = shop.case(&order).await;
    assert_eq!((case.invoice.standing.status, millis(&case)), (InvoiceStatus::Paid, (20_000, 0, 0)));
    let (short, address) = shop.own_order(25_000, SOL).await;
    let amount = format!("0.{:09}", short.units() - 1_000);
    shop.chain.pay("payer", json!({ "recipient": address, "amount": amount })).await;
    shop.confirm().await;
    let case = shop.case(&short).await;
    assert_eq!((case.invoice.standing.status, millis(&case)), (InvoiceStatus::Underpaid, (24_999, 1, 0)));
}

#[tokio::test]
async fn a_quote_is_kept_to_while_it_is_in_force_and_the_price_of_the_block_counts_after_that() {
    let mut shop = Shop::open_with_sol().await;
    let (kept, lapsed) = (shop.order(30_000, SOL).await, shop.order(30_000, SOL).await);
    shop.set_sol_price(13_500_000_000).await;
    shop.wait(250).await;
    shop.pay_sol(&kept.amount(), marked(&kept)).await;
    shop.confirm().await;
    let case = shop.case(&kept).await;
    check(&case, InvoiceStatus::Paid, 30_000);
    assert!(matches!(case.payments[0].record.valuation, Valuation::Quoted { .. }));

    shop.wait(60).await;
    shop.set_sol_price(13_500_000_000).await;
    shop.pay_sol(&lapsed.amount(), marked(&lapsed)).await;
    shop.confirm().await;
    let case = shop.case(&lapsed).await;
    check(&case, InvoiceStatus::Underpaid, 27_000);
    let rate = Rate::from_usd_e8(13_500_000_000).unwrap();
    assert_eq!(case.payments[0].record.valuation, Valuation::Spot { rate });

    // What is asked for now is the rest at the price of now, and nothing that came is worth something else by that.
    let rest = shop.quoted_again(&lapsed).await;
    assert!(rest.chosen.record.quote.covers < domain::money::UsdMillis::from_millis(3_001));
    shop.set_sol_price(15_000_000_000).await;
    shop.confirm().await;
    check(&shop.case(&lapsed).await, InvoiceStatus::Underpaid, 27_000);
    shop.pay_sol(&rest.amount(), marked(&rest)).await;
    shop.confirm().await;
    check(&shop.case(&lapsed).await, InvoiceStatus::Paid, 30_000);
}

#[tokio::test]
async fn coin_without_a_quote_or_a_price_waits_and_is_priced_if_there_is_one_within_five_minutes() {
    let mut shop = Shop::open_with_sol().await;
    for (seconds, status, credit) in [(200, InvoiceStatus::Paid, 30_000), (400, InvoiceStatus::Unpaid, 0)] {
        let order = shop.order(30_000, SOL).await;
        shop.wait(310).await;
        shop.set_sol_price(0).await;
        shop.pay_sol(&order.amount(), marked(&order)).await;
        shop.confirm().await;
        let case = shop.case(&order).await;
        check(&case, InvoiceStatus::Unpaid, 0);
        let [payment] = case.payments.as_slice() else { panic!("{:?}", case.payments) };
        assert_eq!((payment.record.valuation, payment.status), (Valuation::Unpriced, PaymentStatus::ManualRetry));
        shop.clock.advance_seconds(11);
        assert!(matches!(shop.choose(shop.merchant, order.id, SOL).await, Err(QuoteError::NoPrice(_))));
        shop.price_late().await;
        check(&shop.case(&order).await, InvoiceStatus::Unpaid, 0);

        shop.wait(seconds).await;
        shop.set_sol_price(15_000_000_000).await;
        shop.price_late().await;
        check(&shop.case(&order).await, status, credit);
    }
}

#[tokio::test]
async fn coin_is_priced_only_by_what_was_said_within_five_minutes_of_its_block() {
    let mut shop = Shop::open_with_sol().await;
    let (long_ago, lately) = (shop.order(30_000, SOL).await, shop.order(30_000, SOL).await);
    shop.wait(310).await;
    shop.pay_sol(&long_ago.amount(), marked(&long_ago)).await;
    shop.chain.slots(2).await;
    // The feed is on another network, which knows nothing of that block: what it says now says nothing of then.
    shop.wait(310).await;
    shop.pay_sol(&lately.amount(), marked(&lately)).await;
    shop.chain.slots(2).await;
    shop.wait(280).await;
    shop.catch_up().await;

    let case = shop.case(&long_ago).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    let [payment] = case.payments.as_slice() else { panic!("{:?}", case.payments) };
    assert_eq!((payment.record.valuation, payment.status), (Valuation::Unpriced, PaymentStatus::ManualRetry));
    let case = shop.case(&lately).await;
    check(&case, InvoiceStatus::Paid, 30_000);
    let rate = Rate::from_usd_e8(15_000_000_000).unwrap();
    assert_eq!(case.payments[0].record.valuation, Valuation::Spot { rate });
}

#[tokio::test]
async fn coin_is_not_asked_for_while_its_feed_is_out_of_reach_and_pays_what_was_asked_before() {
    let mut shop = Shop::open_with_sol().await;
    let (order, lapsed) = (shop.order(30_000, SOL).await, shop.order(30_000, SOL).await);
    shop.evm = None;
    shop.wait(60).await;
    let other = shop.create(shop.merchant, 30_000).await;
    assert!(matches!(shop.choose(shop.merchant, other, SOL).await, Err(QuoteError::NoPrice(_))));
    assert!(shop.choose(shop.merchant, other, USDC).await.is_ok(), "what needs no feed is asked for");
    shop.pay_sol(&order.amount(), marked(&order)).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 30_000);
    assert!(matches!(case.payments[0].record.valuation, Valuation::Quoted { .. }));

    shop.wait(250).await;
    shop.pay_sol(&lapsed.amount(), marked(&lapsed)).await;
    shop.confirm().await;
    let case = shop.case(&lapsed).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(
        (case.payments[0].record.valuation, case.payments[0].status),
        (Valuation::Unpriced, PaymentStatus::ManualRetry)
    );
}

#[tokio::test]
async fn a_dollar_token_is_a_dollar_without_a_quote() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.wait(310).await;
    shop.pay("20", marked(&order)).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments[0].record.valuation, Valuation::Spot { rate: Rate::PAR });
}

// Paid, underpaid, overpaid

#[tokio::test]
async fn nothing_is_forgiven_unless_the_merchant_does() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("19.999999", marked(&order)).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    assert_eq!((case.invoice.standing.status, millis(&case)), (InvoiceStatus::Underpaid, (19_999, 1, 0)));

    let tolerant = shop.order(30_000, USDC).await;
    // One percent, but no more than 20 cents.
    shop.meddle("UPDATE invoices SET tolerance_basis_points = 100, tolerance_at_most = 200 WHERE due = 30000").await;
    shop.pay("29.799", marked(&tolerant)).await;
    shop.confirm().await;
    check(&shop.case(&tolerant).await, InvoiceStatus::Underpaid, 29_799);
    shop.pay("0.001", marked(&tolerant)).await;
    shop.confirm().await;
    check(&shop.case(&tolerant).await, InvoiceStatus::Paid, 29_800);
}

#[tokio::test]
async fn the_first_payment_locks_its_token_and_money_in_another_one_counts_all_the_same() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("10", marked(&order)).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Underpaid, 10_000);
    assert!(matches!(shop.choose(shop.merchant, order.id, FEE).await, Err(QuoteError::Locked)));
    // It keeps a part in a hundred.
    shop.pay("10", marked_in(&order, shop.fee)).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Underpaid, 19_900);
    let tokens: Vec<_> = case.payments.iter().map(|payment| payment.record.token).collect();
    assert_eq!(tokens, [USDC, FEE]);
    let rest = shop.quoted_again(&order).await;
    shop.pay(&rest.amount(), json!({})).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn dust_counts_towards_the_sum_and_is_listed_for_nobody() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("0.03", marked(&order)).await;
    shop.pay("0.04", json!({})).await;
    shop.confirm().await;
    assert_eq!(shop.case(&order).await.invoice.standing.status, InvoiceStatus::Unpaid);
    assert_eq!(shop.unattributed(shop.merchant).await, [], "everybody can send such to everybody");
    shop.pay("19.97", marked(&order)).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn the_mark_that_tells_an_invoice_apart_is_not_called_too_much_and_a_second_payment_is() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay_order(&order).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(millis(&case).2, 0, "less than a cent is not worth a word");
    let (paid_at, block_time) = (case.invoice.standing.paid_at, case.payments[0].record.block_time);
    assert_eq!(paid_at, Some(block_time));

    shop.chain.increase_time(30).await;
    shop.pay_order(&order).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    let (credit, _, overpaid) = millis(&case);
    assert_eq!((case.invoice.standing.status, case.payments.len()), (InvoiceStatus::Paid, 2));
    assert!((40_000..40_020).contains(&credit) && overpaid == credit - 20_000, "{credit}, {overpaid}");
    assert_eq!(case.invoice.standing.paid_at, paid_at, "it was complete before");
    assert!(matches!(invoicing::cancel(&shop.app, shop.merchant, order.id).await, Err(CancelError::Ended(_))));
}

#[tokio::test]
async fn paid_at_is_the_time_of_the_block_that_completed_it() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    for amount in ["12", "8"] {
        shop.pay(amount, marked(&order)).await;
        shop.chain.increase_time(60).await;
    }
    shop.wait(600).await;
    shop.catch_up().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    let [first, last] = case.payments.as_slice() else { panic!("{:?}", case.payments) };
    assert!(first.record.block_time < last.record.block_time);
    assert_eq!(case.invoice.standing.paid_at, Some(last.record.block_time), "not when we noticed");
}

// Ends

#[tokio::test]
async fn a_network_that_cannot_be_read_holds_the_end_for_an_hour_and_what_came_in_time_still_pays() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    shop.pay_order(&order).await;
    shop.chain.slots(2).await;
    // Nobody reads it from here on.
    shop.wait(16 * 60).await;
    shop.end_due().await;
    let standing = shop.case(&order).await.invoice.standing;
    assert_eq!((standing.status, standing.is_checking), (InvoiceStatus::Unpaid, true));
    shop.wait(3_600).await;
    shop.end_due().await;
    let standing = shop.case(&order).await.invoice.standing;
    assert_eq!((standing.status, standing.ended_unverified), (InvoiceStatus::Expired, true));
    shop.catch_up().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert!(!case.payments[0].late);
    assert!(case.invoice.standing.paid_at.is_some_and(|paid_at| paid_at <= case.invoice.terms.expires_at));
}

#[tokio::test]
async fn a_payment_in_time_that_is_not_deep_enough_yet_holds_the_end_back() {
    let shop = Shop::open().await;
    let (one, two) = (Relay::start(shop.chain.rpc_url(), true).await, Relay::start(shop.chain.rpc_url(), true).await);
    let mut shop = shop.restart_behind(&[&one.url, &two.url]).await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    // It counts once the other one shows it too, which says that there is no such transaction.
    two.twist(|call, answer| {
        if call["method"] == "getTransaction" {
            answer["result"] = Value::Null;
        }
    });
    shop.wait(14 * 60).await;
    shop.pay_order(&order).await;
    shop.finalize().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments[0].status, PaymentStatus::Pending);
    shop.wait(2 * 60).await;
    shop.catch_up().await;
    shop.end_due().await;
    let standing = shop.case(&order).await.invoice.standing;
    assert_eq!((standing.status, standing.is_checking), (InvoiceStatus::Unpaid, true));
    two.twist(|_, _| {});
    for _ in 0..2 {
        shop.clock.advance_seconds(61);
        shop.confirm().await;
    }
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert!(!case.payments[0].late);
}

#[tokio::test]
async fn late_money_is_the_merchant_s_to_decide_about_unless_that_was_decided_before() {
    let mut shop = Shop::open().await;
    let (held, accepted) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    shop.meddle("UPDATE invoices SET late_days = 1, late_band_basis_points = 100 WHERE due = 30000").await;
    shop.confirm().await;
    shop.wait(16 * 60).await;
    shop.finalize().await;
    shop.end_due().await;
    for order in [&held, &accepted] {
        assert_eq!(shop.case(order).await.invoice.standing.status, InvoiceStatus::Expired);
        assert!(matches!(shop.choose(shop.merchant, order.id, USDC).await, Err(QuoteError::Ended(_))));
        shop.pay_order(order).await;
    }
    shop.confirm().await;
    let case = shop.case(&held).await;
    check(&case, InvoiceStatus::Expired, 0);
    assert_eq!((case.payments[0].late, case.payments[0].status), (true, PaymentStatus::ManualRetry));
    let case = shop.case(&accepted).await;
    check(&case, InvoiceStatus::Paid, 30_000);
    assert!(case.invoice.standing.late && case.payments[0].late);

    // It is at the merchant's wallet, whatever is made of it.
    shop.finalize().await;
    assert_eq!(shop.case(&held).await.payments[0].settlement, SettlementStatus::Settled);
}

#[tokio::test]
async fn late_coin_is_accepted_near_its_quoted_price_and_in_time_and_held_otherwise() {
    let mut shop = Shop::open_with_sol().await;
    let orders = [shop.order(20_000, SOL).await, shop.order(20_000, SOL).await, shop.order(20_000, SOL).await];
    let [near, far, days_later] = &orders;
    shop.meddle("UPDATE invoices SET late_days = 1, late_band_basis_points = 500").await;
    shop.confirm().await;
    shop.wait(16 * 60).await;
    shop.finalize().await;
    shop.end_due().await;
    for order in &orders {
        assert_eq!(shop.case(order).await.invoice.standing.status, InvoiceStatus::Expired);
    }
    // A twentieth up is the band's end.
    let accepted = shop.pay_late(near, 15_750_000_000).await;
    assert_eq!(accepted, (InvoiceStatus::Paid, PaymentStatus::Confirmed));
    let held = (InvoiceStatus::Expired, PaymentStatus::ManualRetry);
    assert_eq!(shop.pay_late(far, 15_751_000_000).await, held);
    shop.wait(24 * 3_600).await;
    assert_eq!(shop.pay_late(days_later, 15_000_000_000).await, held);
}

#[tokio::test]
async fn an_invoice_that_was_called_off_is_paid_no_more_and_one_that_money_arrives_for_is_not_called_off() {
    let mut shop = Shop::open().await;
    let (canceled, paying) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    shop.confirm().await;
    shop.keep_time().await;
    invoicing::cancel(&shop.app, shop.merchant, canceled.id).await.unwrap();
    shop.wait(30).await;
    shop.pay_order(&canceled).await;
    shop.pay("5", marked(&paying)).await;
    shop.confirm().await;
    let case = shop.case(&canceled).await;
    check(&case, InvoiceStatus::Canceled, 0);
    assert_eq!((case.payments[0].late, case.payments[0].status), (true, PaymentStatus::ManualRetry));
    let refused = invoicing::cancel(&shop.app, shop.merchant, paying.id).await;
    assert!(matches!(refused, Err(CancelError::MoneyArrives)));
    assert!(matches!(
        invoicing::choose(&shop.app, shop.merchant, canceled.id, NETWORK, USDC).await,
        Err(QuoteError::Ended(InvoiceStatus::Canceled))
    ));
}

// What the chain takes back

#[tokio::test]
async fn a_fork_that_takes_one_of_two_payments_leaves_the_other_and_is_told() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("15", marked(&order)).await;
    shop.finalize().await;
    let second = shop.pay("5", marked(&order)).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    let told = shop.events(&order).await.len();
    shop.chain.drop_after(second.slot.unwrap()).await;
    shop.after_slots(super::shop::BLOCKHASH_LIFE + 60).await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Underpaid, 15_000);
    assert_eq!(
        shop.events(&order).await[told..],
        ["invoice_payment.updated", "invoice_payment.updated", "invoice.updated"]
    );
    assert_eq!(case.payments.iter().filter(|payment| payment.record.canonical).count(), 1);
}

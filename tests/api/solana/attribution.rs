//! Whose a payment is.

use domain::{
    invoice::{InvoiceStatus, PaymentStatus},
    money::Rate,
};
use pepay::{
    invoicing::{self, AddressError, AttachError, QuoteError},
    solana::{SolanaAddress, programs},
    wallet::WalletAddress,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::shop::{EURX, FEE, NETWORK, SOL, Shop, USDC, check};
use crate::watcher::relay::{Relay, decline};

/// What is round is nobody's mark.
const UNMARKED: &str = "20";

#[tokio::test]
async fn a_payment_with_the_reference_is_the_invoice_s_whatever_its_amount() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    assert_eq!(order.chosen.address, WalletAddress::Solana(shop.wallet));
    shop.pay("20", json!({ "references": [order.reference()] })).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    let payer = shop.chain.wallet("payer").await;
    assert_eq!(case.payments[0].record.payer, Some(payer.to_string()));
    assert_eq!(shop.unattributed(shop.merchant).await, []);
}

#[tokio::test]
async fn a_payment_without_the_reference_is_known_by_its_amount() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let other = shop.order(20_000, USDC).await;
    assert_ne!(order.units(), other.units(), "equal invoices are marked apart");
    assert!((20_000_001..20_010_000).contains(&order.units()), "{}", order.units());
    shop.pay(&order.amount(), json!({})).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    check(&shop.case(&other).await, InvoiceStatus::Unpaid, 0);
    // The other of equal invoices is paid for itself.
    shop.pay(&other.amount(), json!({ "references": [other.reference()] })).await;
    shop.confirm().await;
    check(&shop.case(&other).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(shop.case(&order).await.payments.len(), 1);
}

#[tokio::test]
async fn a_payment_that_names_the_invoice_in_a_memo_is_the_invoice_s() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay(UNMARKED, json!({ "memo": order.id.to_string() })).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn a_memo_counts_whichever_of_the_memo_programs_it_is_of() {
    let shop = Shop::open().await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let [oldest, usual, newest] = programs::MEMO.map(|program| program.to_string());
    for (program, told_as) in [(&oldest, &oldest), (&usual, &usual), (&usual, &newest)] {
        // The VM does not have the newest one: what another did is told as if that had.
        let (from, to) = (program.clone(), told_as.clone());
        relay.twist(move |_, answer| {
            let accounts = answer.pointer_mut("/result/transaction/message/accountKeys").and_then(Value::as_array_mut);
            for account in accounts.into_iter().flatten().filter(|account| **account == from.as_str()) {
                *account = json!(to);
            }
        });
        let order = shop.order(20_000, USDC).await;
        shop.pay(UNMARKED, json!({ "memo": order.id.to_string(), "memo_program": program })).await;
        shop.confirm().await;
        let case = shop.case(&order).await;
        assert_eq!(case.payments.len(), 1, "{told_as}");
        check(&case, InvoiceStatus::Paid, 20_000);
    }
}

#[tokio::test]
async fn the_reference_counts_for_more_than_the_memo_and_that_for_more_than_the_amount() {
    let mut shop = Shop::open().await;
    let (one, two, three) =
        (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    let marks = json!({ "references": [one.reference()], "memo": two.id.to_string() });
    shop.pay(&three.amount(), marks).await;
    shop.confirm().await;
    for (order, status) in [(&one, InvoiceStatus::Paid), (&two, InvoiceStatus::Unpaid), (&three, InvoiceStatus::Unpaid)]
    {
        assert_eq!(shop.case(order).await.invoice.standing.status, status);
    }
    shop.pay(&three.amount(), json!({ "memo": two.id.to_string() })).await;
    shop.confirm().await;
    for (order, status) in [(&two, InvoiceStatus::Paid), (&three, InvoiceStatus::Unpaid)] {
        assert_eq!(shop.case(order).await.invoice.standing.status, status);
    }
}

#[tokio::test]
async fn a_payment_that_nothing_tells_of_is_nobody_s_until_the_merchant_says_whose() {
    let mut shop = Shop::open().await;
    let (order, other) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    // Of two references neither says anything.
    let both = json!({ "references": [order.reference(), other.reference()] });
    let paid = shop.pay(UNMARKED, both).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Unpaid, 0);
    let unattributed = shop.unattributed(shop.merchant).await;
    assert_eq!(unattributed.len(), 1);
    assert_eq!(unattributed[0].tx_id, paid.signature.to_string());
    assert_eq!(unattributed[0].wallet, WalletAddress::Solana(shop.wallet));

    let attach = async |order: &super::shop::Order, tx_id: String| {
        invoicing::attach(&shop.app, shop.merchant, order.id, NETWORK.to_owned(), tx_id, None).await
    };
    let unknown = "1".repeat(64);
    assert!(matches!(attach(&order, unknown).await, Err(AttachError::NoSuchTransaction)));
    attach(&order, paid.signature.to_string()).await.unwrap();
    check(&shop.case(&order).await, InvoiceStatus::Unpaid, 0);
    let again = attach(&other, paid.signature.to_string()).await;
    assert!(matches!(again, Err(AttachError::AttachedElsewhere)), "each transaction counts once");
    assert_eq!(shop.unattributed(shop.merchant).await, []);
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    check(&shop.case(&other).await, InvoiceStatus::Unpaid, 0);
}

#[tokio::test]
async fn two_merchants_with_one_wallet_are_each_paid_what_is_theirs_once() {
    let mut shop = Shop::open().await;
    let second = shop.add_merchant(Some(shop.wallet)).await;
    let (one, two) = (shop.order(20_000, USDC).await, shop.order_of(second, 20_000, USDC).await);
    assert_ne!(one.units(), two.units());
    shop.pay("20", json!({ "references": [one.reference()] })).await;
    shop.pay(&two.amount(), json!({})).await;
    shop.pay(UNMARKED, json!({})).await;
    shop.confirm().await;
    for order in [&one, &two] {
        let case = shop.case(order).await;
        check(&case, InvoiceStatus::Paid, 20_000);
        assert_eq!(case.payments.len(), 1);
    }
    // What is nobody's may be either's.
    for merchant in [shop.merchant, second] {
        let amounts: Vec<_> = shop.unattributed(merchant).await.into_iter().map(|came| came.amount).collect();
        assert_eq!(amounts.len(), 1);
        assert_eq!(amounts[0].base_units(), alloy_primitives::U256::from(20_000_000));
    }
}

#[tokio::test]
async fn dust_with_somebody_s_reference_neither_locks_nor_changes_anything() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.pay("0.000001", json!({ "references": [order.reference()] })).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    assert_eq!(case.invoice.standing.status, InvoiceStatus::Unpaid);
    assert_eq!(case.invoice.standing.locked_by, None);
    assert_eq!(case.payments.len(), 1, "it is shown all the same");
    shop.pay_order(&order).await;
    shop.confirm().await;
    assert_eq!(shop.case(&order).await.invoice.standing.status, InvoiceStatus::Paid);
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_shown_and_not_credited_and_another_mint_is_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    // One that looks the same is another token.
    let twin = shop.chain.create_mint(6).await;
    shop.chain.mint_to(twin, shop.chain.wallet("payer").await, 1_000_000_000).await;
    shop.chain.slots(2).await;
    let marks = json!({ "references": [order.reference()] });
    shop.pay(&order.amount(), json!({ "mint": twin, "references": [order.reference()] })).await;
    shop.confirm().await;
    assert_eq!(shop.case(&order).await.payments.len(), 0);
    let mut listed = marks;
    listed["mint"] = json!(shop.eurx);
    shop.pay(&order.amount(), listed).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!(case.payments.len(), 1);
    assert_eq!(case.payments[0].record.token, EURX);
    assert!(matches!(shop.choose(shop.merchant, order.id, EURX).await, Err(QuoteError::NotOffered(_))));
}

#[tokio::test]
async fn an_invoice_of_a_merchant_without_a_wallet_there_cannot_be_paid_there() {
    let shop = Shop::open().await;
    let merchant = shop.add_merchant(None).await;
    let invoice = shop.create(merchant, 20_000).await;
    assert!(matches!(shop.choose(merchant, invoice, USDC).await, Err(QuoteError::NotOffered(USDC))));
}

#[tokio::test]
async fn an_invoice_is_paid_to_the_wallet_that_it_was_created_with() {
    let mut shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    let new_wallet = shop.chain.wallet("new").await;
    let (merchant, wallet) = (shop.merchant, Some(new_wallet));
    let set = shop.app.store.write::<_, pepay::store::StoreError, _>(move |tx| {
        Box::pin(async move { tx.set_solana_wallet(merchant, wallet).await })
    });
    assert!(set.await.unwrap());
    assert_eq!(shop.quoted_again(&order).await.chosen.address, WalletAddress::Solana(shop.wallet));
    let later = shop.order(20_000, USDC).await;
    assert_eq!(later.chosen.address, WalletAddress::Solana(new_wallet));
    shop.pay_order(&order).await;
    // The reference of one invoice at the wallet of another says nothing.
    shop.pay(UNMARKED, json!({ "references": [later.reference()] })).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    check(&shop.case(&later).await, InvoiceStatus::Unpaid, 0);
    assert_eq!(shop.unattributed(shop.merchant).await.len(), 1);
}

#[tokio::test]
async fn sol_is_paid_at_the_price_of_a_feed_on_another_network() {
    let mut shop = Shop::open_with_sol().await;
    let order = shop.order(30_000, SOL).await;
    // 30 dollars at 150 each are a fifth of one, and a mark of less than a cent.
    assert!((200_000_001..200_066_667).contains(&order.units()), "{}", order.units());
    let payment = json!({
        "recipient": shop.wallet, "amount": order.amount(), "references": [order.reference()],
    });
    shop.chain.pay("payer", payment).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    assert_eq!(case.invoice.standing.status, InvoiceStatus::Paid);
    assert_eq!(case.payments[0].record.token, SOL);
    // Without any mark it is priced at its block, and whose it is, is for the merchant to say.
    shop.chain.pay("payer", json!({ "recipient": shop.wallet, "amount": "0.5" })).await;
    shop.confirm().await;
    let unattributed = shop.unattributed(shop.merchant).await;
    assert_eq!(unattributed[0].price_at_block.map(Rate::usd_e8), Some(150 * 100_000_000));
    assert_eq!(case.payments[0].status, PaymentStatus::Confirmed);
}

#[tokio::test]
async fn a_reference_says_nothing_about_its_invoice_and_is_the_same_each_time() {
    let shop = Shop::open().await;
    let order = shop.order(20_000, USDC).await;
    shop.clock.advance_seconds(60);
    let again = shop.quoted_again(&order).await;
    assert_ne!(order.chosen.record.quote.id, again.chosen.record.quote.id);
    assert_eq!(order.reference(), again.reference());
    assert_eq!(order.units(), again.units(), "asking again uses up no amount");
    let other = shop.order(20_000, USDC).await;
    assert_ne!(order.reference(), other.reference());
    assert_ne!(order.reference(), SolanaAddress::new([0; 32]));
}

#[tokio::test]
async fn no_address_of_a_list_is_given_while_nobody_says_whether_it_was_used() {
    let shop = Shop::open().await;
    let address = shop.chain.wallet("one").await;
    shop.give_list(&[address]).await;
    let url = shop.chain.rpc_url().to_owned();
    let shop = shop.restart_behind(&["http://127.0.0.1:9"]).await;
    let invoice = shop.create(shop.merchant, 20_000).await;
    let refused = shop.choose(shop.merchant, invoice, USDC).await.unwrap_err();
    assert!(matches!(refused, QuoteError::Address(AddressError::Unknown(_))), "{refused:?}");
    let shop = shop.restart_behind(&[&url]).await;
    let chosen = shop.choose(shop.merchant, invoice, USDC).await.unwrap();
    assert_eq!(chosen.address, WalletAddress::Solana(address));
}

#[tokio::test]
async fn what_comes_to_an_address_of_an_invoice_s_own_is_the_invoice_s_and_none_is_given_twice() {
    let mut shop = Shop::open().await;
    let names = ["one", "two", "three", "four", "five"];
    let mut list = Vec::new();
    for name in names {
        list.push(shop.chain.wallet(name).await);
    }
    shop.give_list(&list).await;
    let orders = [shop.order(20_000, USDC).await, shop.order(20_000, USDC).await];
    for (order, address) in orders.iter().zip(&list) {
        assert_eq!(order.chosen.address, WalletAddress::Solana(*address));
        assert_eq!(
            (order.units(), order.chosen.record.reference),
            (20_000_000, None),
            "nothing has to tell them apart"
        );
    }
    // As exchanges pay: another amount, and no mark.
    let payment = json!({ "recipient": list[0], "mint": shop.usdc, "amount": "19.5" });
    shop.chain.pay("payer", payment).await;
    shop.confirm().await;
    check(&shop.case(&orders[0]).await, InvoiceStatus::Underpaid, 19_500);
    check(&shop.case(&orders[1]).await, InvoiceStatus::Unpaid, 0);
    assert_eq!(shop.unattributed(shop.merchant).await, []);
    for address in &list[2..] {
        assert_eq!(shop.order(20_000, USDC).await.chosen.address, WalletAddress::Solana(*address));
    }
    let without = shop.create(shop.merchant, 20_000).await;
    assert!(matches!(shop.choose(shop.merchant, without, USDC).await, Err(QuoteError::NotOffered(_))));
}

#[tokio::test]
async fn a_payer_is_told_of_the_account_that_he_pays_for_and_of_nothing_else() {
    let mut shop = Shop::open_with_sol().await;
    let opens_account = async |shop: &Shop, token| shop.order(20_000, token).await.chosen.record.opens_account;
    assert!(opens_account(&shop, USDC).await, "the wallet was never paid in it");
    assert!(!opens_account(&shop, SOL).await, "SOL is held by the wallet itself");
    shop.chain.create_token_account(shop.usdc, shop.wallet).await;
    shop.chain.slots(2).await;
    assert!(!opens_account(&shop, USDC).await);
    assert!(opens_account(&shop, FEE).await, "each token has an account of its own");

    // Who says nothing at all, and who says that it does not know.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    shop = shop.restart_behind(&[&url]).await;
    assert!(!opens_account(&shop, FEE).await);
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    relay.twist(|call, answer| {
        if call["method"] == "getAccountInfo" {
            decline(answer, -32603, "internal error");
        }
    });
    shop = shop.restart_behind(&[&relay.url]).await;
    assert!(!opens_account(&shop, FEE).await);
    relay.twist(|_, _| {});
    assert!(opens_account(&shop.restart().await, FEE).await, "it was missing all the time");
}

//! What accounts hold, against what was read of them.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::invoice::InvoiceStatus;
use e2e::SolanaPaid;
use pepay::{
    invoicing::end_due_invoices,
    nodes,
    solana::SolanaAddress,
    store::{AccountBalance, Lane},
};
use serde_json::{Value, json};

use super::shop::{NETWORK, SOL, Shop, USDC, check};
use crate::watcher::relay::{Relay, decline};

/// A shop that sees its chain through so many endpoints.
async fn behind<const N: usize>(shop: Shop) -> (Shop, [Relay; N]) {
    let mut relays = Vec::new();
    for _ in 0..N {
        relays.push(Relay::start(shop.chain.rpc_url(), true).await);
    }
    let urls: Vec<&str> = relays.iter().map(|relay| relay.url.as_str()).collect();
    let shop = shop.restart_behind(&urls).await;
    let relays = relays.try_into().unwrap_or_else(|_| panic!("as many as were started"));
    (shop, relays)
}

/// Never lists a transaction, and serves it.
fn leaves_out(paid: &SolanaPaid) -> impl Fn(&Value, &mut Value) + Send + use<> {
    let left_out = paid.signature.to_string();
    move |call, answer| {
        if call["method"] == "getSignaturesForAddress"
            && let Some(list) = answer["result"].as_array_mut()
        {
            list.retain(|entry| entry["signature"] != left_out.as_str());
        }
    }
}

fn says_nothing_of_balances(call: &Value, answer: &mut Value) {
    if call["method"] == "getMultipleAccounts" {
        decline(answer, -32000, "try again");
    }
}

impl Shop {
    /// Lets time pass on all clocks, and reads on.
    async fn later(&mut self, seconds: u64) {
        self.wait(seconds).await;
        self.catch_up().await;
    }

    /// An account, as it was compared the last time.
    async fn balance(&self, account: SolanaAddress) -> AccountBalance {
        let balances = self.app.store.reader().await.unwrap().tx().solana_balances(NETWORK).await.unwrap();
        balances.into_iter().find(|balance| balance.account == account).expect("it was looked at")
    }

    async fn differences(&self) -> i64 {
        self.app.store.reader().await.unwrap().tx().count_differences(NETWORK).await.unwrap()
    }

    /// Makes the wallet's account hold so much more, without a transaction.
    async fn conjure(&self, amount: u64) {
        let asked = json!([self.till(), { "encoding": "base64", "commitment": "processed" }]);
        let mut answer: Value = self.chain.call("getAccountInfo", asked).await;
        let account = answer["value"].take();
        let mut data = STANDARD.decode(account["data"][0].as_str().unwrap()).unwrap();
        let held = u64::from_le_bytes(*data[64..].first_chunk().unwrap());
        data[64..72].copy_from_slice(&(held + amount).to_le_bytes());
        let data = STANDARD.encode(data);
        let account = json!({ "lamports": account["lamports"], "owner": account["owner"], "data": data });
        self.chain.set_account(self.till(), account).await;
    }
}

#[tokio::test]
async fn a_payment_that_an_endpoint_leaves_out_while_it_lists_a_newer_one_is_found_within_half_a_minute() {
    let (mut shop, [liar, _honest]) = behind(Shop::open().await).await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    let paid = shop.pay_order(&order).await;
    liar.twist(leaves_out(&paid));
    shop.chain.slots(1).await;
    let newer = shop.pay("1", json!({})).await;
    shop.finalize().await;
    assert_eq!(shop.case(&order).await.payments.len(), 0);
    assert_eq!(shop.cursor().await, Some(newer.signature.to_string()), "nobody will list it again");

    shop.later(30).await;
    assert_eq!(shop.case(&order).await.payments.len(), 1);
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!(case.payments[0].record.tx_id, paid.signature.to_string());
    assert_eq!((shop.unattributed(shop.merchant).await.len(), shop.differences().await), (1, 0));

    // The endpoint has a change of heart, and each counts once.
    liar.twist(|_, _| {});
    shop.later(60).await;
    assert_eq!((shop.case(&order).await.payments.len(), shop.unattributed(shop.merchant).await.len()), (1, 1));
}

#[tokio::test]
async fn a_payment_that_was_left_out_before_a_restart_is_found_after_it() {
    let (mut shop, [liar, honest]) = behind(Shop::open().await).await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    let paid = shop.pay_order(&order).await;
    liar.twist(leaves_out(&paid));
    shop.chain.slots(1).await;
    shop.pay("1", json!({})).await;
    shop.finalize().await;
    let mut shop = shop.restart_behind(&[&liar.url, &honest.url]).await;
    assert_eq!(shop.case(&order).await.payments.len(), 0);
    shop.later(30).await;
    shop.confirm().await;
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!((case.payments.len(), shop.unattributed(shop.merchant).await.len()), (1, 1));
    assert_eq!(shop.differences().await, 0);
}

#[tokio::test]
async fn a_payment_that_is_left_out_as_the_newest_one_is_found() {
    let (mut shop, [liar, _honest]) = behind(Shop::open_with_sol().await).await;
    let (order, in_sol) = (shop.order(20_000, USDC).await, shop.order(30_000, SOL).await);
    shop.confirm().await;
    let paid = shop.pay_order(&order).await;
    liar.twist(leaves_out(&paid));
    shop.finalize().await;
    shop.later(30).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);

    let paid = shop.pay_sol(&in_sol.amount(), json!({ "references": [in_sol.reference()] })).await;
    liar.twist(leaves_out(&paid));
    shop.finalize().await;
    assert_eq!(shop.case(&in_sol).await.payments.len(), 0);
    shop.later(30).await;
    shop.confirm().await;
    check(&shop.case(&in_sol).await, InvoiceStatus::Paid, 30_000);
    assert_eq!(shop.differences().await, 0);
}

/// The watcher was away when the wallet was first shown, so that nobody knows what it held before.
#[tokio::test]
async fn a_payment_that_is_left_out_before_its_wallet_was_ever_looked_at_is_found() {
    let (mut shop, [liar, _honest]) = behind(Shop::open().await).await;
    let order = shop.order(20_000, USDC).await;
    let paid = shop.pay_order(&order).await;
    liar.twist(leaves_out(&paid));
    shop.chain.slots(40).await;
    shop.catch_up().await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn what_nobody_explains_credits_nothing_and_holds_the_invoices_of_its_wallet_for_an_hour() {
    let (mut shop, [_alone]) = behind(Shop::open().await).await;
    let (order, elsewhere) = {
        let wallet = shop.chain.wallet("another merchant").await;
        let another = shop.add_merchant(Some(wallet)).await;
        (shop.order(20_000, USDC).await, shop.order_of(another, 20_000, USDC).await)
    };
    shop.chain.create_token_account(shop.usdc, shop.wallet).await;
    shop.finalize().await;
    shop.later(30).await;
    let before = shop.balance(shop.till()).await;
    shop.conjure(5_000_000).await;
    for _ in 0..3 {
        shop.finalize().await;
        shop.later(30).await;
        let unexplained = shop.balance(shop.till()).await.unexplained.expect("nobody explains it");
        assert_eq!((unexplained.amount, shop.differences().await), (5_000_000, 1));
    }
    assert_eq!(shop.balance(shop.till()).await.slot, before.slot, "what explains it is looked for since then");
    let case = shop.case(&order).await;
    check(&case, InvoiceStatus::Unpaid, 0);
    assert_eq!((case.payments.len(), shop.unattributed(shop.merchant).await.len()), (0, 0));

    shop.wait(16 * 60).await;
    shop.finalize().await;
    let lease = nodes::take(&shop.app, nodes::EXPIRY).await.unwrap().unwrap();
    end_due_invoices(&shop.app, &lease).await.unwrap();
    let status = async |shop: &Shop, order| shop.case(order).await.invoice.standing.status;
    assert_eq!(status(&shop, &elsewhere).await, InvoiceStatus::Expired, "it is no trouble of this one's");
    assert_eq!(status(&shop, &order).await, InvoiceStatus::Unpaid);
    shop.later(3_600).await;
    end_due_invoices(&shop.app, &lease).await.unwrap();
    assert_eq!(status(&shop, &order).await, InvoiceStatus::Expired);

    // A week after it was noticed it is what the account holds.
    shop.later(7 * 86_400).await;
    shop.finalize().await;
    shop.later(86_400).await;
    shop.finalize().await;
    assert_eq!(shop.differences().await, 0);
}

#[tokio::test]
async fn what_nobody_explains_is_found_once_somebody_lists_it() {
    let (mut shop, [alone]) = behind(Shop::open().await).await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    let paid = shop.pay_order(&order).await;
    alone.twist(leaves_out(&paid));
    shop.finalize().await;
    shop.later(30).await;
    assert_eq!((shop.differences().await, shop.case(&order).await.payments.len()), (1, 0));
    alone.twist(|_, _| {});
    shop.later(60).await;
    shop.confirm().await;
    check(&shop.case(&order).await, InvoiceStatus::Paid, 20_000);
    assert_eq!(shop.differences().await, 0);
}

#[tokio::test]
async fn a_wallet_s_own_transfers_fees_and_failures_are_explained() {
    let (mut shop, [_one, _two]) = behind(Shop::open_with_sol().await).await;
    let (order, _in_sol) = (shop.order(20_000, USDC).await, shop.order(30_000, SOL).await);
    shop.confirm().await;
    shop.pay_order(&order).await;
    shop.finalize().await;
    let elsewhere = shop.chain.wallet("a bank").await;
    let token = json!({ "recipient": elsewhere, "mint": shop.usdc, "amount": "7" });
    shop.chain.pay("merchant", token.clone()).await;
    shop.chain.pay("merchant", json!({ "recipient": elsewhere, "amount": "1.5" })).await;
    for payer in ["merchant", "payer"] {
        let payment = json!({ "recipient": shop.wallet, "amount": "0.25" });
        let payment = if payer == "payer" { payment } else { token.clone() };
        let failed = json!({ "wallet": payer, "payments": [payment], "fail": true, "await": "processed" });
        assert!(shop.chain.pay_as(failed).await.err.is_some());
    }
    let before = (shop.balance(shop.till()).await, shop.balance(shop.wallet).await);
    for _ in 0..3 {
        shop.finalize().await;
        shop.later(30).await;
        assert_eq!(shop.differences().await, 0);
    }
    let after = (shop.balance(shop.till()).await, shop.balance(shop.wallet).await);
    assert!(before.0.slot < after.0.slot && before.1.slot < after.1.slot, "they are compared");
    assert_eq!(after.0.held, shop.chain.token_balance(shop.till()).await.unwrap());
    assert_eq!(after.1.held, shop.chain.lamports(shop.wallet).await);
}

#[tokio::test]
async fn an_invoice_does_not_end_before_its_accounts_were_compared_past_its_end() {
    let (mut shop, [liar, honest]) = behind(Shop::open().await).await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    let lease = nodes::take(&shop.app, nodes::EXPIRY).await.unwrap().unwrap();
    let end_due = async |shop: &Shop| {
        end_due_invoices(&shop.app, &lease).await.unwrap();
        shop.case(&order).await.invoice.standing
    };
    shop.wait(14 * 60).await;
    shop.catch_up().await;
    let paid = shop.pay_order(&shop.quoted_again(&order).await).await;
    liar.twist(leaves_out(&paid));
    shop.confirm().await;
    shop.wait(2 * 60).await;
    for relay in [&liar, &honest] {
        relay.twist({
            let leaves_out = leaves_out(&paid);
            move |call, answer| {
                leaves_out(call, answer);
                says_nothing_of_balances(call, answer);
            }
        });
    }
    shop.finalize().await;
    let standing = end_due(&shop).await;
    assert_eq!((standing.status, standing.is_checking), (InvoiceStatus::Unpaid, true), "nobody says what it holds");
    let compared = shop.app.store.reader().await.unwrap().tx().comparison(NETWORK, Lane::Open).await.unwrap().unwrap();
    assert!(compared.at.time <= shop.case(&order).await.invoice.terms.expires_at);

    liar.twist(leaves_out(&paid));
    honest.twist(|_, _| {});
    shop.catch_up().await;
    shop.confirm().await;
    let standing = end_due(&shop).await;
    assert_eq!((standing.status, standing.ended_unverified), (InvoiceStatus::Paid, false));
    assert!(!shop.case(&order).await.payments[0].late);
}

#[tokio::test]
async fn accounts_are_asked_for_together_and_not_in_every_step() {
    let (mut shop, [one, two]) = behind(Shop::open().await).await;
    shop.order(20_000, USDC).await;
    shop.confirm().await;
    let asked = |relay: &Relay| relay.asked().iter().filter(|method| *method == "getMultipleAccounts").count();
    drop((one.requests(), two.requests()));
    for _ in 0..5 {
        shop.confirm().await;
    }
    assert_eq!([asked(&one), asked(&two)], [0, 0]);
    shop.later(30).await;
    assert_eq!([asked(&one), asked(&two)], [1, 1], "one call for all of them");
}

/// It is asked for with the open ones no more, and what came was left out of every list.
#[tokio::test]
async fn what_is_left_out_after_an_invoice_ended_is_found_within_a_day() {
    let (mut shop, [liar, _honest]) = behind(Shop::open().await).await;
    let order = shop.order(20_000, USDC).await;
    shop.confirm().await;
    shop.later(16 * 60).await;
    shop.finalize().await;
    let lease = nodes::take(&shop.app, nodes::EXPIRY).await.unwrap().unwrap();
    end_due_invoices(&shop.app, &lease).await.unwrap();
    assert_eq!(shop.case(&order).await.invoice.standing.status, InvoiceStatus::Expired);
    shop.later(2 * 3_600).await;
    shop.finalize().await;
    let paid = shop.pay_order(&order).await;
    liar.twist(leaves_out(&paid));
    shop.finalize().await;
    shop.later(3_600).await;
    assert_eq!(shop.case(&order).await.payments.len(), 0);
    shop.later(86_400).await;
    shop.finalize().await;
    shop.later(120).await;
    assert_eq!(shop.case(&order).await.payments.len(), 1);
}

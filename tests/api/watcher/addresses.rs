//! Merchants whose payers are given addresses of another kind: those of the merchant's own keys, or the wallet itself.

use alloy_primitives::{Address, B256, Bytes, U256};
use domain::{
    address_mode::AddressMode,
    invoice::{InvoiceStatus, PaymentStatus},
    settlement::SettlementStatus,
};
use pepay::{
    invoicing::{self, AddressError, AttachError, QuoteError, plan_sweeps},
    store::{UnattributedPart, UnattributedRecord},
    transaction_id::TransactionId,
    wallet::WalletAddress,
    xpub::AddressKey,
};
use serde_json::{Value, json};

use super::{
    relay::Relay,
    shop::{ETH, EURX, FINAL_AFTER, Order, PAID_AFTER, Shop, USDC, WALLET, check, milliether, units},
};

/// Account 0 of a phrase that is in every description of such phrases, and used on no chain here.
const XPUB: &str =
    "xpub6Bh6Cg7bvjFdW6VEAaZmsyhZh86WdJ9Kr5aqqY5LN7UFLpxTrxsiys213UCu8MAYjcq5JhF7jzZXvruGfWfPbxqsByNNhwWaNQRuhP3JcC3";
const NETWORK: &str = "ethereum";

impl Shop {
    async fn open_with_addresses(mode: AddressMode) -> Self {
        let shop = Self::open().await;
        shop.set_addresses(mode, (mode == AddressMode::Xpub).then_some(XPUB)).await;
        shop
    }

    /// Coin that whoever has the key of an address takes out of it.
    async fn spend(&self, order: Order, value: U256) -> B256 {
        self.sign(order, json!({ "from": order.deposit, "to": WALLET, "value": value, "gas": "0x5208" })).await
    }

    async fn sign(&self, order: Order, transaction: Value) -> B256 {
        self.chain.rpc("anvil_impersonateAccount", json!([order.deposit])).await.unwrap();
        let sent = self.chain.rpc("eth_sendTransaction", json!([transaction])).await.unwrap();
        let sent: B256 = serde_json::from_value(sent).unwrap();
        self.chain.mined(sent).await.unwrap();
        sent
    }

    /// All that an address holds of a token, sent on; what that costs somebody else pays.
    async fn spend_token(&self, order: Order, to: Address) -> B256 {
        let held = self.chain.balance_of(self.usdc, order.deposit).await.unwrap();
        self.chain.rpc("anvil_setNextBlockBaseFeePerGas", json!(["0x0"])).await.unwrap();
        let data = [&[0xa9, 0x05, 0x9c, 0xbb][..], to.into_word().as_slice(), &held.to_be_bytes::<32>()].concat();
        let data = Bytes::from(data);
        let transaction = json!({ "from": order.deposit, "to": self.usdc, "data": data, "gasPrice": "0x0" });
        self.sign(order, transaction).await
    }

    /// As a database does that was restored from a backup: of the addresses that were given it knows nothing.
    async fn forget_addresses(&self) {
        self.meddle("UPDATE xpubs SET next_index = 0").await;
        self.meddle("UPDATE invoices SET deposit_address = '0xdeaDDeADDEaDdeaDdEAddEADDEAdDeadDEADDEaD'").await;
    }

    async fn unattributed(&self) -> Vec<UnattributedRecord> {
        self.app
            .store
            .reader()
            .await
            .unwrap()
            .tx()
            .unattributed(self.merchant, UnattributedPart::Newest, 100)
            .await
            .unwrap()
            .0
    }

    async fn attach(&self, order: Order, transaction: B256) -> Result<(), AttachError> {
        let (network, hash) = (NETWORK.to_owned(), transaction.to_string());
        invoicing::attach(&self.app, self.merchant, order.id, network, hash, None).await
    }

    async fn pay_amount(&self, order: Order, amount: U256) -> B256 {
        let hash = self.chain.send_token(self.payer(), self.usdc, order.deposit, amount).await.unwrap();
        self.chain.mined(hash).await.unwrap();
        hash
    }

    /// Every unit that reached the wallet is one recorded unit, of an invoice or of nobody.
    async fn check_conservation_at_wallet(&self, orders: &[Order]) {
        let nobody_s = self.unattributed().await;
        for (token, contract) in [(USDC, self.usdc), (EURX, self.eurx)] {
            let mut recorded = U256::ZERO;
            for order in orders {
                for payment in self.case(*order).await.payments {
                    let counts = payment.record.canonical && payment.record.token == token;
                    recorded += if counts { payment.record.amount.base_units() } else { U256::ZERO };
                }
            }
            let unattributed = nobody_s.iter().filter(|record| record.token == token);
            recorded += unattributed.map(|record| record.amount.base_units()).sum::<U256>();
            assert_eq!(recorded, self.chain.balance_of(contract, WALLET).await.unwrap(), "token {token}");
        }
    }

    async fn differences(&self) -> usize {
        self.app.store.reader().await.unwrap().tx().differences(NETWORK).await.unwrap().len()
    }
}

fn address_of(index: u32) -> Address {
    AddressKey::parse(XPUB, wire::Environment::Devnet).unwrap().address(index).unwrap()
}

// Addresses of the merchant's keys

#[tokio::test]
async fn a_payment_to_an_address_of_the_key_is_settled_once_its_holder_takes_it_out() {
    let mut shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let order = shop.order(20_000, USDC).await;
    assert_eq!(order.deposit, address_of(0));
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    assert_eq!((case.payments[0].settlement, &case.payments[0].settlement_tx), (SettlementStatus::Pending, &None));
    assert!(
        plan_sweeps(&shop.app, None, None).await.unwrap().is_empty(),
        "no sweep moves what somebody has the key of"
    );

    let spent = shop.spend_token(order, WALLET).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.clock.advance_seconds(31);
    shop.catch_up().await;
    let case = shop.case(order).await;
    let payment = &case.payments[0];
    assert_eq!(payment.settlement, SettlementStatus::Settled);
    assert_eq!(payment.settlement_tx.as_deref(), Some(spent.to_string().as_str()));
    assert_eq!(shop.differences().await, 0);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn what_is_sent_from_one_address_of_the_key_to_another_pays_that_one() {
    let mut shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let (first, second) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    assert_eq!(second.deposit, address_of(1));
    shop.catch_up().await;
    shop.pay(first, 20_000).await;
    shop.confirm().await;
    shop.spend_token(first, second.deposit).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    for order in [first, second] {
        check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
        shop.check_conservation(order).await;
    }
    assert_eq!(shop.case(first).await.payments[0].settlement, SettlementStatus::Settled);
    assert_eq!(shop.case(second).await.payments[0].settlement, SettlementStatus::Pending);
}

/// A balance that falls and rises again in one stretch says nothing by itself.
#[tokio::test]
async fn coin_that_is_taken_out_hides_no_coin_that_comes() {
    let mut shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    // A hundredth of an ether.
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.pay_native(order, milliether(5)).await;
    shop.catch_up().await;
    let spent = shop.spend(order, milliether(4)).await;
    shop.pay_native(order, milliether(3)).await;
    shop.chain.mine(5).await.unwrap();
    shop.pay_native(order, milliether(2)).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    let amounts: Vec<_> = case.payments.iter().map(|payment| payment.record.amount.base_units()).collect();
    assert_eq!(amounts, [milliether(5), milliether(3), milliether(2)]);
    assert_eq!(case.payments[0].settlement_tx.as_deref(), Some(spent.to_string().as_str()));
    shop.check_conservation(order).await;

    // A watcher that knows nothing yet, and one that reads a day at once, find the same.
    let mut shop = shop.restart().await;
    shop.spend(order, milliether(1)).await;
    shop.clock.advance_seconds(31);
    shop.catch_up().await;
    shop.check_conservation(order).await;
    assert_eq!(shop.differences().await, 0);
}

#[tokio::test]
async fn what_the_key_s_holder_takes_out_is_vouched_for_by_a_second_endpoint() {
    let shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let first = Relay::start(shop.chain.rpc_url(), true).await;
    let second = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&first.url, &second.url]).await;
    let (token, coin) = (shop.order(20_000, USDC).await, shop.order(20_000, ETH).await);
    shop.catch_up().await;
    shop.pay(token, 20_000).await;
    shop.pay_native(coin, milliether(10)).await;
    shop.confirm().await;
    shop.spend_token(token, WALLET).await;
    shop.spend(coin, milliether(9)).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    for _ in 0..3 {
        shop.clock.advance_seconds(2);
        shop.catch_up().await;
    }
    for order in [token, coin] {
        assert_eq!(shop.case(order).await.payments[0].settlement, SettlementStatus::Settled);
    }
}

/// What a backup does not know of, chains do.
#[tokio::test]
async fn an_address_is_not_given_again_after_the_database_was_restored() {
    let mut shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let mut given = Vec::new();
    for _ in 0..4 {
        given.push(shop.order(20_000, USDC).await);
    }
    assert_eq!(given.iter().map(|order| order.deposit).collect::<Vec<_>>(), [0, 1, 2, 3].map(address_of));
    shop.catch_up().await;
    // One holds money, another one did.
    shop.pay(given[1], 20_000).await;
    shop.pay(given[0], 20_000).await;
    shop.spend_token(given[0], WALLET).await;
    shop.forget_addresses().await;

    let order = shop.order(20_000, USDC).await;
    // The last one that was used, and as many as might have been handed out without being paid.
    assert_eq!(order.deposit, address_of(1 + 1 + 50));
    let next = shop.order(20_000, USDC).await;
    assert_eq!(next.deposit, address_of(53));
    shop.catch_up().await;
    shop.pay(order, 20_000).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
}

#[tokio::test]
async fn an_unpaid_address_before_one_that_was_paid_is_not_given_again_either() {
    let shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let mut given = Vec::new();
    for _ in 0..3 {
        given.push(shop.order(20_000, USDC).await);
    }
    shop.pay(given[2], 20_000).await;
    shop.forget_addresses().await;
    assert_eq!(shop.order(20_000, USDC).await.deposit, address_of(2 + 1 + 50));
}

#[tokio::test]
async fn the_address_that_replaces_a_used_one_is_looked_at_too() {
    let shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let order = shop.create(20_000).await;
    for used in [0, 10, 52, 110] {
        shop.pay(Order { deposit: address_of(used), ..order }, 1_000).await;
    }
    shop.quote(order, USDC).await;
    assert_eq!(shop.case(order).await.invoice.deposit_address, address_of(110 + 1 + 50));
}

#[tokio::test]
async fn an_address_of_an_earlier_key_is_replaced_by_the_next_one_of_the_present() {
    let shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let order = shop.create(20_000).await;
    assert_eq!(order.deposit, address_of(0));
    let other = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
    let key = AddressKey::parse(other, wire::Environment::Devnet).unwrap();
    shop.set_addresses(AddressMode::Xpub, Some(other)).await;
    shop.pay(order, 1_000).await;
    shop.quote(order, USDC).await;
    let address = shop.case(order).await.invoice.deposit_address;
    let index = (0..200).find(|index| key.address(*index) == Some(address));
    // The first ten are the chain's own accounts, which hold coin.
    assert!(index.is_some_and(|index| 10 <= index), "{index:?}");
}

/// What is watched is what the payer is told.
#[tokio::test]
async fn a_payer_is_told_the_address_that_replaced_a_used_one() {
    let shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let order = shop.create(20_000).await;
    shop.pay(order, 1_000).await;
    let invoice = shop.case(order).await.invoice;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/payments/payment-addresses", listener.local_addr().unwrap());
    let router = pepay::http::router(shop.app.clone());
    let server = shop.app.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let session = pepay::session::credentials(&shop.app, &invoice);
    let request = demo::http_client().unwrap().post(url).json(&json!({ "tokenId": USDC.0, "network": NETWORK }));
    let request = request.header("x-session-token", session.session_token).header("x-signature", session.signature);
    let answer: Value = serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
    server.abort();
    let address = shop.case(order).await.invoice.deposit_address;
    assert_ne!(address, order.deposit);
    assert_eq!(answer["temp_address"], address.to_checksum(None), "{answer}");
}

/// Everybody can keep the link of an old invoice.
#[tokio::test]
async fn no_chain_is_asked_about_the_address_of_an_invoice_that_ended() {
    let shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let shop = shop.restart_behind(&[&relay.url]).await;
    let order = shop.create(20_000).await;
    shop.clock.advance_seconds(3_600);
    relay.requests();
    let chosen = invoicing::choose(&shop.app, shop.merchant, order.id, NETWORK, USDC).await;
    assert!(matches!(chosen, Err(QuoteError::Ended(InvoiceStatus::Expired))), "{chosen:?}");
    assert!(relay.asked().is_empty());
}

#[tokio::test]
async fn coin_that_comes_and_leaves_within_one_stretch_is_counted() {
    let mut shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.pay_native(order, milliether(5)).await;
    shop.spend(order, milliether(4)).await;
    shop.catch_up().await;
    shop.pay_native(order, milliether(5)).await;
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Paid, 20_000);
    let amounts: Vec<_> = case.payments.iter().map(|payment| payment.record.amount.base_units()).collect();
    assert_eq!(amounts, [milliether(5), milliether(5)]);
    shop.check_conservation(order).await;
}

/// Later payments would seem to be what is missing.
#[tokio::test]
async fn coin_that_no_transaction_took_out_of_an_open_invoice_s_address_is_a_difference() {
    let mut shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.pay_native(order, milliether(5)).await;
    shop.catch_up().await;
    shop.chain.rpc("anvil_setBalance", json!([order.deposit, "0x1"])).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.clock.advance_seconds(31);
    shop.catch_up().await;
    assert_eq!(shop.differences().await, 1);
}

#[tokio::test]
async fn an_ended_address_of_a_key_is_asked_once_a_minute_until_its_grace_time_is_over() {
    let mut shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let order = shop.order(20_000, ETH).await;
    shop.catch_up().await;
    shop.pay_native(order, milliether(10)).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Paid, 20_000);
    assert!(
        shop.case(order).await.invoice.watched_until.unwrap().0 < i64::MAX,
        "money of its own may stay there for good"
    );

    let pass = async |shop: &mut Shop, seconds: u64| {
        shop.chain.increase_time(seconds).await.unwrap();
        shop.clock.advance_seconds(i64::try_from(seconds).unwrap());
        shop.chain.mine(1).await.unwrap();
        shop.catch_up().await;
    };
    pass(&mut shop, 3_600).await;
    let spent = shop.spend(order, milliether(6)).await;
    shop.pay_native(order, milliether(2)).await;
    shop.catch_up().await;
    assert_eq!(shop.case(order).await.payments.len(), 1, "it is not time yet");
    pass(&mut shop, 61).await;
    let case = shop.case(order).await;
    assert_eq!(case.payments[0].settlement_tx.as_deref(), Some(spent.to_string().as_str()));
    assert_eq!(case.payments[1].record.amount.base_units(), milliether(2));
    shop.check_conservation(order).await;
    // A watcher that does not know when they were asked for reads the last minute once more.
    let mut shop = shop.restart().await;
    pass(&mut shop, 1).await;
    pass(&mut shop, 61).await;
    assert_eq!(shop.case(order).await.payments.len(), 2);
    shop.check_conservation(order).await;
}

#[tokio::test]
async fn no_address_is_given_while_nobody_can_say_whether_it_was_used() {
    let shop = Shop::open_with_addresses(AddressMode::Xpub).await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let shop = shop.restart_behind(&[&relay.url]).await;
    let order = shop.order(20_000, USDC).await;
    shop.meddle("UPDATE invoices SET watched_until = NULL").await;
    relay.twist(|call, answer| {
        if call["method"] == "eth_getTransactionCount" {
            super::relay::decline(answer, -32000, "not today");
        }
    });
    let chosen = invoicing::choose(&shop.app, shop.merchant, order.id, NETWORK, USDC).await;
    assert!(matches!(&chosen, Err(QuoteError::Address(AddressError::Unknown(network))) if network == NETWORK));
    relay.twist(|_, _| {});
    invoicing::choose(&shop.app, shop.merchant, order.id, NETWORK, USDC).await.unwrap();
}

// The wallet itself

#[tokio::test]
async fn invoices_over_one_amount_are_told_apart_at_one_wallet() {
    let mut shop = Shop::open_with_addresses(AddressMode::Direct).await;
    let (first, second) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    assert_eq!((first.deposit, second.deposit), (WALLET, WALLET));
    let amounts = [shop.quote(first, USDC).await, shop.quote(second, USDC).await];
    assert_ne!(amounts[0], amounts[1]);
    for amount in amounts {
        assert!(units(20_000_000) < amount && amount < units(20_010_000), "{amount}");
    }
    shop.catch_up().await;
    let paid = shop.pay_amount(second, amounts[1]).await;
    shop.confirm().await;
    check(&shop.case(first).await, InvoiceStatus::Unpaid, 0);
    let case = shop.case(second).await;
    assert_eq!((case.invoice.standing.status, case.payments.len()), (InvoiceStatus::Paid, 1));
    assert_eq!(case.invoice.standing.overpaid.as_millis(), 0, "a mark is no overpayment");
    shop.pay_amount(first, amounts[0]).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(first).await.invoice.standing.status, InvoiceStatus::Paid);
    // It is in the wallet: there is nothing to sweep.
    let case = shop.case(second).await;
    assert_eq!(case.payments[0].settlement, SettlementStatus::Settled);
    assert_eq!(case.payments[0].settlement_tx.as_deref(), Some(paid.to_string().as_str()));
    assert!(plan_sweeps(&shop.app, None, None).await.unwrap().is_empty());
    assert!(shop.unattributed().await.is_empty());
    assert_eq!(shop.differences().await, 0);
}

#[tokio::test]
async fn a_page_that_asks_again_is_given_the_same_amount() {
    let shop = Shop::open_with_addresses(AddressMode::Direct).await;
    let order = shop.order(20_000, USDC).await;
    let amount = shop.quote(order, USDC).await;
    for _ in 0..3 {
        shop.clock.advance_seconds(400);
        shop.chain.increase_time(400).await.unwrap();
        if invoicing::choose(&shop.app, shop.merchant, order.id, NETWORK, USDC).await.is_ok() {
            assert_eq!(shop.quote(order, USDC).await, amount);
        }
    }
}

#[tokio::test]
async fn an_amount_that_nobody_was_asked_for_is_nobody_s_until_the_merchant_says_whose() {
    let mut shop = Shop::open_with_addresses(AddressMode::Direct).await;
    let (order, other) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    shop.catch_up().await;
    // As an exchange does that keeps a fee.
    let paid = shop.pay_amount(order, units(19_000_000)).await;
    shop.confirm().await;
    check(&shop.case(order).await, InvoiceStatus::Unpaid, 0);
    let unattributed = shop.unattributed().await;
    assert_eq!(unattributed.len(), 1);
    assert_eq!(
        (unattributed[0].tx_id.as_str(), unattributed[0].wallet),
        (paid.to_string().as_str(), WalletAddress::Evm(WALLET))
    );

    assert!(matches!(shop.attach(order, B256::ZERO).await, Err(AttachError::NoSuchTransaction)));
    shop.attach(order, paid).await.unwrap();
    shop.attach(order, paid).await.unwrap();
    assert!(matches!(shop.attach(other, paid).await, Err(AttachError::AttachedElsewhere)));
    shop.confirm().await;
    let case = shop.case(order).await;
    check(&case, InvoiceStatus::Underpaid, 19_000);
    assert_eq!(case.payments.len(), 1, "each transaction counts once");
    check(&shop.case(other).await, InvoiceStatus::Unpaid, 0);
    assert!(shop.unattributed().await.is_empty());

    // The rest has an amount of its own.
    let rest = shop.quote(order, USDC).await;
    assert!(units(1_000_000) < rest && rest < units(1_010_000), "{rest}");
    shop.pay_amount(order, rest).await;
    shop.confirm().await;
    assert_eq!(shop.case(order).await.invoice.standing.status, InvoiceStatus::Paid);
}

#[tokio::test]
async fn what_comes_to_the_wallet_itself_is_all_some_invoice_s_or_nobody_s() {
    let mut shop = Shop::open_with_addresses(AddressMode::Direct).await;
    let orders = [shop.order(20_000, USDC).await, shop.order(20_000, USDC).await, shop.order(30_000, USDC).await];
    shop.catch_up().await;
    let amount = shop.quote(orders[0], USDC).await;
    shop.pay_amount(orders[0], amount).await;
    // Of amounts that nobody was asked for, of a token that is not taken, and by several transfers of one transaction; what
    // is worth next to nothing is not kept.
    let attached = shop.pay_amount(orders[1], units(19_000_000)).await;
    shop.pay_amount(orders[1], units(1_230_000)).await;
    shop.pay_token(orders[1], shop.eurx, 7_000_000).await;
    let contract = shop.chain.deploy_payer().await.unwrap();
    shop.chain.mint(shop.usdc, contract, units(90_000_000)).await.unwrap();
    let amount = shop.quote(orders[2], USDC).await;
    let parts = [(WALLET, units(500_000)), (WALLET, amount), (WALLET, units(500_000))];
    let paid = shop.chain.pay_tokens(shop.payer(), contract, shop.usdc, &parts).await.unwrap();
    shop.chain.mined(paid).await.unwrap();
    shop.confirm().await;
    assert_eq!(shop.unattributed().await.len(), 5);
    shop.check_conservation_at_wallet(&orders).await;

    shop.attach(orders[1], attached).await.unwrap();
    shop.confirm().await;
    assert_eq!(shop.unattributed().await.len(), 4);
    check(&shop.case(orders[1]).await, InvoiceStatus::Underpaid, 19_000);
    shop.check_conservation_at_wallet(&orders).await;

    // The last block is gone, and with it what it brought.
    shop.chain.mine(1).await.unwrap();
    shop.pay_amount(orders[1], units(770_000)).await;
    shop.catch_up().await;
    shop.check_conservation_at_wallet(&orders).await;
    shop.chain.reorg(1).await.unwrap();
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.unattributed().await.len(), 4);
    shop.check_conservation_at_wallet(&orders).await;
    assert_eq!(shop.differences().await, 0);
}

#[tokio::test]
async fn a_transaction_that_moves_to_another_block_stays_with_its_invoice() {
    let mut shop = Shop::open_with_addresses(AddressMode::Direct).await;
    let (marked, attached) = (shop.order(20_000, USDC).await, shop.order(30_000, USDC).await);
    shop.catch_up().await;
    let amount = shop.quote(marked, USDC).await;
    let first = shop.pay_amount(marked, amount).await;
    let second = shop.pay_amount(attached, units(30_000_000)).await;
    shop.catch_up().await;
    shop.attach(attached, second).await.unwrap();
    let raw = [shop.chain.raw_transaction(first).await.unwrap(), shop.chain.raw_transaction(second).await.unwrap()];
    shop.chain.reorg(2).await.unwrap();
    shop.chain.mine(1).await.unwrap();
    shop.catch_up().await;
    for order in [marked, attached] {
        assert!(shop.case(order).await.payments.iter().all(|payment| !payment.record.canonical));
    }
    for raw in &raw {
        let sent = shop.chain.send_raw(raw).await.unwrap();
        shop.chain.mined(sent).await.unwrap();
    }
    shop.confirm().await;
    for order in [marked, attached] {
        let case = shop.case(order).await;
        assert_eq!(case.invoice.standing.status, InvoiceStatus::Paid);
        let counted: Vec<_> = case.payments.iter().filter(|payment| payment.record.canonical).collect();
        assert_eq!(counted.len(), 1);
        assert_eq!(counted[0].status, PaymentStatus::Confirmed);
    }
    assert!(shop.unattributed().await.is_empty());
}

#[tokio::test]
async fn what_a_sweep_brings_to_a_wallet_that_is_paid_directly_too_is_no_payment() {
    let mut shop = Shop::open().await;
    let swept = shop.order(20_000, USDC).await;
    shop.set_addresses(AddressMode::Direct, None).await;
    let direct = shop.order(50_000, USDC).await;
    shop.catch_up().await;
    shop.pay(swept, 20_000).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let [planned] = plan_sweeps(&shop.app, None, None).await.unwrap().try_into().unwrap();
    invoicing::send_sweep(&shop.app, &planned).await.unwrap();
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    assert!(shop.unattributed().await.is_empty());
    check(&shop.case(direct).await, InvoiceStatus::Unpaid, 0);
}

/// Its amount says nothing: it was counted when it came to its own address.
#[tokio::test]
async fn a_sweep_of_the_very_amount_that_somebody_was_asked_for_is_no_payment() {
    let mut shop = Shop::open().await;
    let swept = shop.order(20_000, USDC).await;
    shop.set_addresses(AddressMode::Direct, None).await;
    let direct = shop.order(20_000, USDC).await;
    let amount = shop.quote(direct, USDC).await;
    shop.catch_up().await;
    shop.pay_amount(swept, amount).await;
    shop.chain.mine(FINAL_AFTER).await.unwrap();
    shop.catch_up().await;
    let [planned] = plan_sweeps(&shop.app, None, None).await.unwrap().try_into().unwrap();
    invoicing::send_sweep(&shop.app, &planned).await.unwrap();
    shop.chain.mine(PAID_AFTER).await.unwrap();
    shop.catch_up().await;
    assert_eq!(shop.case(swept).await.invoice.standing.status, InvoiceStatus::Paid);
    check(&shop.case(direct).await, InvoiceStatus::Unpaid, 0);
}

#[tokio::test]
async fn a_payment_of_the_wallet_that_an_endpoint_left_out_is_found_by_its_transaction() {
    let shop = Shop::open_with_addresses(AddressMode::Direct).await;
    let relay = Relay::start(shop.chain.rpc_url(), true).await;
    let mut shop = shop.restart_behind(&[&relay.url]).await;
    let (asked, other) = (shop.order(20_000, USDC).await, shop.order(20_000, USDC).await);
    let amount = shop.quote(asked, USDC).await;
    shop.catch_up().await;
    relay.twist(|call, answer| {
        if call["method"] == "eth_getLogs" {
            answer["result"] = json!([]);
        }
    });
    let paid = shop.pay_amount(asked, amount).await;
    let unasked = shop.pay_amount(other, units(19_000_000)).await;
    shop.confirm().await;
    check(&shop.case(asked).await, InvoiceStatus::Unpaid, 0);
    for (order, transaction) in [(asked, paid), (other, unasked)] {
        let invoice = shop.case(order).await.invoice;
        invoicing::verify(&shop.app, &invoice, None, Some(TransactionId::Evm(transaction))).await.unwrap();
    }
    shop.clock.advance_seconds(61);
    shop.catch_up().await;
    shop.confirm().await;
    assert_eq!(shop.case(asked).await.invoice.standing.status, InvoiceStatus::Paid);
    check(&shop.case(other).await, InvoiceStatus::Unpaid, 0);
    let unattributed = shop.unattributed().await;
    assert_eq!(unattributed.iter().map(|came| came.tx_id.clone()).collect::<Vec<_>>(), [unasked.to_string()]);
}

#[tokio::test]
async fn coin_is_not_asked_for_where_nothing_would_tell_that_it_came() {
    let shop = Shop::open_with_addresses(AddressMode::Direct).await;
    let order = shop.order(20_000, USDC).await;
    let chosen = invoicing::choose(&shop.app, shop.merchant, order.id, NETWORK, ETH).await;
    assert!(matches!(chosen, Err(QuoteError::NotOffered(_))), "{chosen:?}");
}

#[tokio::test]
async fn a_token_is_not_offered_when_all_amounts_are_taken() {
    // A whole token is worth 800 dollars, so that a cent holds twelve of its smallest units, one of which is round.
    let shop = Shop::open().await;
    let feed = shop.chain.deploy_feed(800 * 100_000_000).await.unwrap();
    let shop = shop
        .restart_with(|network| {
            let token = network.tokens.iter_mut().find(|token| token.token_id() == USDC).unwrap();
            token.price = serde_json::from_value(json!({ "feed": feed, "heartbeat_seconds": 3600 })).unwrap();
        })
        .await;
    shop.set_addresses(AddressMode::Direct, None).await;
    let mut orders = Vec::new();
    for _ in 0..11 {
        orders.push(shop.order(20_000, USDC).await);
    }
    let order = shop.create(20_000).await;
    let full = invoicing::choose(&shop.app, shop.merchant, order.id, NETWORK, USDC).await;
    assert!(matches!(full, Err(QuoteError::NoAmountLeft)), "{full:?}");
}

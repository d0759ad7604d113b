//! Merchants whose payers are given addresses of another kind.

use alloy_primitives::{Address, U256};
use axum::http::Method;
use domain::{
    access::Right,
    address_mode::AddressMode,
    finality::Marks,
    id::{MerchantId, TokenId},
    money::{Decimals, Rate, TokenAmount},
};
use serde_json::{Value, json};

use super::{Answer, Created, Server, add_merchant, new_key};
use crate::{
    invoicing::{Scan, record_scan},
    merchants,
    store::{BlockRef, NewMerchant, UnattributedPart, UnattributedRecord},
    wallet::WalletAddress,
    xpub::AddressKey,
};

const LIST: &str = "/api/v1/merchant/unattributed-payments";
const XPUB: &str =
    "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
/// The receiver of all invoices of the tests' merchant.
const WALLET: Address = Address::repeat_byte(0x11);

impl Server {
    pub(super) async fn set_addresses(&self, mode: AddressMode) {
        let key = (mode == AddressMode::Xpub).then(|| AddressKey::parse(XPUB, self.app.config.environment).unwrap());
        merchants::set_addresses(&self.app.store, self.merchant, mode, key, None).await.unwrap();
    }

    /// Has so many dollars come to the wallet that nobody was asked for, and returns the transaction.
    pub(super) async fn comes_to_the_wallet(&self, block: u64, dollars: u64) -> String {
        self.records(self.came(block, 0, dollars * 1_000_000)).await
    }

    /// A second payment of the same transaction.
    pub(super) async fn comes_to_the_wallet_too(&self, block: u64, dollars: u64) -> String {
        self.records(self.came(block, 1, dollars * 1_000_000)).await
    }

    /// A payment of a merchant's wallet, by its id.
    pub(super) async fn payment_of(&self, merchant: MerchantId) -> String {
        let block = 1_000 + merchant.0.unsigned_abs();
        let came = UnattributedRecord { merchant, ..self.came(block, 0, 1_000_000) };
        let payment = came.payment().to_string();
        self.records(came).await;
        payment
    }

    fn came(&self, block: u64, ordinal: u32, units: u64) -> UnattributedRecord {
        UnattributedRecord {
            merchant: self.merchant,
            network: "ethereum".to_owned(),
            block_hash: format!("0x{block:064x}"),
            tx_id: format!("0x{:064x}", block + 0xabc),
            log_index: i64::from(ordinal),
            ordinal,
            wallet: WalletAddress::Evm(WALLET),
            token: TokenId(1),
            decimals: Decimals::new(6).unwrap(),
            amount: TokenAmount::from_base_units(U256::from(units)),
            payer: Some("0x00000000000000000000000000000000000000aa".to_owned()),
            block_number: block,
            block_time: self.app.clock.now(),
            price_at_block: Some(Rate::PAR),
            accepted: true,
        }
    }

    async fn records(&self, seen: UnattributedRecord) -> String {
        let transaction = seen.tx_id.clone();
        let write = self.app.store.write(move |tx| Box::pin(async move { tx.record_unattributed(&seen).await }));
        write.await.unwrap();
        transaction
    }

    /// Reads a block with payments of wallets, in place of those above `fork` if one is given.
    async fn reads(&self, number: u64, salt: u64, fork: Option<u64>, mut at_wallets: Vec<UnattributedRecord>) {
        let time = self.app.clock.now();
        let block = |number: u64, salt: u64| BlockRef { number, hash: format!("0x{:064x}", number + salt), time };
        for came in &mut at_wallets {
            (came.block_number, came.block_hash) = (number, block(number, salt).hash);
        }
        let scan = Scan {
            network: "ethereum".to_owned(),
            from: self.app.store.reader().await.unwrap().tx().cursor("ethereum").await.unwrap(),
            forked_at: fork.map(|fork| block(fork, 0)),
            compared: None,
            blocks: vec![block(number, salt)],
            transfers: Vec::new(),
            at_wallets,
            sweeps: Vec::new(),
            failures: Vec::new(),
            marks: Marks::default(),
            vouched: Vec::new(),
            is_alone: true,
        };
        record_scan(&self.app, &self.lease, scan).await.unwrap();
    }

    /// Chooses USDC, and returns what is asked for in its smallest units.
    async fn asked_for(&self, invoice: &Created) -> u64 {
        let quoted = self.choose_by_api(invoice, &json!({ "tokenId": 1, "network": "ethereum" }).to_string()).await;
        let amount = quoted.json()["estimated_token_amount"].as_str().unwrap().replace('.', "");
        amount.parse().unwrap()
    }

    /// What counts towards an invoice, in a token's smallest units.
    async fn counted(&self, invoice: &Created) -> Vec<u64> {
        let mut reader = self.app.store.reader().await.unwrap();
        let transfers = reader.tx().transfers(self.merchant, invoice.id).await.unwrap();
        let counted = transfers.iter().filter(|transfer| transfer.canonical);
        counted.map(|transfer| transfer.amount.base_units().to()).collect()
    }

    pub(super) async fn attach(&self, invoice: &Created, network: &str, transaction: &str) -> Answer {
        self.attach_one(invoice, json!({ "network": network, "tx_hash": transaction })).await
    }

    async fn attach_one(&self, invoice: &Created, body: Value) -> Answer {
        let key = self.key_with(&[Right::ManageWallets]).await;
        let body = body.to_string();
        let path = format!("/api/v1/invoices/{}/attach-payment", invoice.id);
        self.call(&Method::POST, &path, ("x-api-key", &key), &body).await
    }
}

#[tokio::test]
async fn what_came_to_the_wallet_counts_once_the_merchant_says_for_what() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Direct).await;
    let (invoice, other) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    for paid in [&invoice, &other] {
        server.quote(paid).await;
    }
    let transaction = server.comes_to_the_wallet(1, 19).await;
    let listed = server.merchant_get(LIST).await.json();
    assert_eq!(
        listed,
        json!({
            "object": "list",
            "has_more": false,
            "data": [{
                "object": "unattributed_payment", "payment_id": server.came(1, 0, 0).payment().to_string(), "network": "ethereum", "tx_hash": transaction,
                "wallet_address": WALLET.to_checksum(None), "token_id": 1, "token_symbol": "USDC",
                "token_address": "0x00000000000000000000000000000000000000C1", "token_decimals": 6,
                "token_amount": "19", "payer_wallet_address": "0x00000000000000000000000000000000000000aa",
                "block_number": 1, "block_time": server.app.clock.now().0,
            }],
        })
    );

    server.attach(&invoice, "nowhere", &transaction).await.is_error(400, "UNKNOWN_NETWORK", Some("network"));
    server.attach(&invoice, "ethereum", "0x12").await.is_error(400, "VALIDATION_ERROR", Some("tx_hash"));
    server.attach(&invoice, "base", &transaction).await.is_error(404, "TRANSACTION_NOT_FOUND", Some("tx_hash"));
    let attached = server.attach(&invoice, "ethereum", &transaction).await;
    assert_eq!(attached.status, 200, "{}", attached.text);
    assert_eq!(server.attach(&invoice, "ethereum", &transaction.to_uppercase().replace("0X", "0x")).await.status, 200);
    server.attach(&other, "ethereum", &transaction).await.is_error(409, "TRANSACTION_ATTACHED", Some("tx_hash"));
    assert_eq!(server.merchant_get(LIST).await.json()["data"], json!([]));
    let payments = server.merchant_get(&format!("/api/v1/invoices/{}?expand=payments", invoice.id)).await.json();
    assert_eq!(payments["payments"].as_array().map(Vec::len), Some(1), "{payments}");
    server.pay(&other, domain::money::UsdMillis::ZERO, 5).await;
    let status = async |invoice: &Created| {
        let answer: Value = server.merchant_get(&format!("/api/v1/invoices/{}", invoice.id)).await.json();
        answer["status"].clone()
    };
    assert_eq!((status(&invoice).await, status(&other).await), (json!("underpaid"), json!("unpaid")));
}

#[tokio::test]
async fn what_came_to_the_wallet_is_its_merchant_s_and_comes_page_by_page() {
    let server = Server::start().await;
    let mut came = Vec::new();
    for block in 1..=3 {
        came.push(server.comes_to_the_wallet(block, block).await);
    }
    let page = async |query: &str| {
        let listed = server.merchant_get(&format!("{LIST}{query}")).await.json();
        let hashes: Vec<_> = listed["data"].as_array().unwrap().iter().map(|came| came["tx_hash"].clone()).collect();
        (hashes, listed["has_more"].clone())
    };
    let all = page("").await;
    assert_eq!((all.0.len(), &all.1), (3, &json!(false)));
    let second = server.merchant_get(&format!("{LIST}?limit=2")).await.json();
    let second = second["data"][1]["payment_id"].as_str().unwrap().to_owned();
    assert_eq!(page("?limit=2").await, (all.0[..2].to_vec(), json!(true)));
    assert_eq!(page(&format!("?limit=2&starting_after={second}")).await, (all.0[2..].to_vec(), json!(false)));
    assert_eq!(page(&format!("?limit=2&ending_before={second}")).await, (all.0[..1].to_vec(), json!(false)));
    let (_, stranger) = add_merchant(&server.app).await;
    let listed = server.get(LIST, &[("x-api-key", &stranger)]).await.json();
    assert_eq!(listed["data"], json!([]));
}

#[tokio::test]
async fn only_invoices_that_share_a_wallet_have_payments_assigned() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let transaction = server.comes_to_the_wallet(1, 20).await;
    server.attach(&invoice, "ethereum", &transaction).await.is_error(409, "INVOICE_HAS_OWN_ADDRESS", None);
    let body = json!({ "network": "ethereum", "tx_hash": transaction }).to_string();
    let path = format!("/api/v1/invoices/{}/attach-payment", invoice.id);
    let refused = server.call(&Method::POST, &path, ("x-api-key", &server.key), &body).await;
    refused.is_error(403, "RIGHT_REQUIRED", None);
}

#[tokio::test]
async fn addresses_of_the_merchant_s_keys_are_counted_and_pay_nobody_else() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Xpub).await;
    let key = AddressKey::parse(XPUB, server.app.config.environment).unwrap();
    for index in 0..3 {
        let invoice = server.invoice(json!({})).await;
        let mut reader = server.app.store.reader().await.unwrap();
        let invoice = reader.tx().invoice(server.merchant, invoice.id).await.unwrap().unwrap();
        assert_eq!((invoice.address_index, Some(invoice.deposit_address)), (Some(index), key.address(index)));
    }
    let rights = server.key_with(&[Right::CreateInvoices, Right::OverrideReceiver]).await;
    let elsewhere = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let body = json!({
        "amount_usd": 20, "receiver_override_enable": true, "receiver_override_address": elsewhere,
    });
    let before = server.rows().await;
    let refused = server
        .send(super::request(
            Method::POST,
            "/api/v1/invoices",
            &[("x-api-key", &rights), ("idempotency-key", &new_key()), ("content-type", "application/json")],
            &body.to_string(),
        ))
        .await;
    refused.is_error(400, "VALIDATION_ERROR", Some("receiver_override_enable"));
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn coin_is_shown_with_the_reason_why_a_wallet_is_not_paid_in_it() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Direct).await;
    let invoice = server.invoice(json!({})).await;
    let tokens = server.payor_get("/api/v1/payments/available-tokens", &invoice).await.json();
    let coin = tokens.as_array().unwrap().iter().find(|token| token["token_symbol"] == "ETH").unwrap();
    let reason = coin["unavailable_reason"].as_str().unwrap();
    assert!(reason.contains("could not be seen arriving"), "{reason}");
    let body = json!({ "tokenId": 2, "network": "ethereum" }).to_string();
    server.choose_by_api(&invoice, &body).await.is_error(400, "TOKEN_NOT_AVAILABLE", Some("tokenId"));
}

#[tokio::test]
async fn payments_of_one_transaction_are_attached_one_by_one() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Direct).await;
    let (first, second) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    for invoice in [&first, &second] {
        server.asked_for(invoice).await;
    }
    let transaction = server.comes_to_the_wallet(1, 19).await;
    server.comes_to_the_wallet_too(1, 18).await;
    let refused = server.attach(&first, "ethereum", &transaction).await;
    refused.is_error(409, "TRANSACTION_AMBIGUOUS", Some("payment_id"));
    let ids = [0, 1].map(|ordinal| server.came(1, ordinal, 0).payment().to_string());
    assert!(ids.iter().all(|id| refused.text.contains(id)), "{}", refused.text);
    let named = |id: &str| json!({ "network": "ethereum", "tx_hash": transaction, "payment_id": id });
    server.attach_one(&first, named("x")).await.is_error(400, "VALIDATION_ERROR", Some("payment_id"));
    for (invoice, id) in [(&first, &ids[1]), (&second, &ids[0]), (&first, &ids[1])] {
        assert_eq!(server.attach_one(invoice, named(id)).await.status, 200);
    }
    server.attach_one(&first, named(&ids[0])).await.is_error(409, "TRANSACTION_ATTACHED", Some("tx_hash"));
    assert_eq!(server.counted(&first).await, [18_000_000]);
    assert_eq!(server.counted(&second).await, [19_000_000]);
}

#[tokio::test]
async fn a_payment_that_its_amount_told_stays_where_it_is_when_another_of_its_transaction_is_attached() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Direct).await;
    let (told, attached) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    let amount = server.asked_for(&told).await;
    server.asked_for(&attached).await;
    server.reads(1, 0, None, Vec::new()).await;
    let came = || vec![server.came(1, 0, amount), server.came(1, 1, 19_000_000)];
    server.reads(2, 0, None, came()).await;
    assert_eq!(server.counted(&told).await, [amount]);
    let transaction = server.came(1, 0, 0).tx_id;
    assert_eq!(server.attach(&attached, "ethereum", &transaction).await.status, 200);
    server.reads(2, 0x100, Some(1), Vec::new()).await;
    assert_eq!((server.counted(&told).await, server.counted(&attached).await), (vec![], vec![]));
    server.reads(3, 0x100, None, came()).await;
    assert_eq!((server.counted(&told).await, server.counted(&attached).await), (vec![amount], vec![19_000_000]));
}

#[tokio::test]
async fn what_a_merchant_attaches_is_not_hidden_from_another_with_the_same_wallet() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Direct).await;
    let invoice = server.invoice(json!({})).await;
    server.asked_for(&invoice).await;
    let (stranger, _) = add_merchant(&server.app).await;
    let came = server.came(1, 0, 19_000_000);
    let theirs = UnattributedRecord { merchant: stranger, ..came.clone() };
    server.reads(1, 0, None, vec![came.clone(), theirs]).await;
    assert_eq!(server.attach(&invoice, "ethereum", &came.tx_id).await.status, 200);
    assert_eq!(server.counted(&invoice).await, [19_000_000]);
    let mut reader = server.app.store.reader().await.unwrap();
    let listed = reader.tx().unattributed(stranger, UnattributedPart::Newest, 9).await.unwrap().0;
    assert_eq!(listed.len(), 1, "it is for them to say, too");
}

#[tokio::test]
async fn what_is_worth_less_than_five_cents_is_nobody_s_payment() {
    let server = Server::start().await;
    server.reads(1, 0, None, vec![server.came(1, 0, 49_999), server.came(2, 0, 50_000)]).await;
    let listed = server.merchant_get(LIST).await.json();
    let amounts: Vec<_> = listed["data"].as_array().unwrap().iter().map(|came| came["token_amount"].clone()).collect();
    assert_eq!(amounts, [json!("0.05")]);
}

/// With whose wallet that one can be watched, what comes there can be claimed.
#[tokio::test]
async fn nobody_is_paid_directly_at_another_merchant_s_wallet() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Direct).await;
    let others = Address::repeat_byte(0x22);
    merchant_with_wallet(&server, others).await;
    let rights = server.key_with(&[Right::CreateInvoices, Right::OverrideReceiver]).await;
    let create = async |receiver: Address| {
        let body = json!({
            "amount_usd": 20, "receiver_override_enable": true, "receiver_override_address": receiver.to_checksum(None),
        });
        let headers =
            [("x-api-key", rights.as_str()), ("idempotency-key", &new_key()), ("content-type", "application/json")];
        server.send(super::request(Method::POST, "/api/v1/invoices", &headers, &body.to_string())).await
    };
    create(others).await.is_error(400, "VALIDATION_ERROR", Some("receiver_override_address"));
    assert_eq!(create(Address::repeat_byte(0x33)).await.status, 200);
}

async fn merchant_with_wallet(server: &Server, evm_wallet: Address) -> MerchantId {
    let new = NewMerchant {
        name: "Other".to_owned(),
        email: "other@shop.example".to_owned(),
        evm_wallet,
        recovery_code: [8; 32],
        created_at: server.app.clock.now(),
    };
    let write = server.app.store.write(move |tx| Box::pin(async move { tx.insert_merchant(&new).await }));
    write.await.unwrap()
}

#[tokio::test]
async fn an_address_of_the_key_that_is_a_wallet_is_given_to_no_payer() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Xpub).await;
    let key = AddressKey::parse(XPUB, server.app.config.environment).unwrap();
    // As wallets do: their own address is the first child.
    merchant_with_wallet(&server, key.address(0).unwrap()).await;
    let mut given = Vec::new();
    for _ in 0..2 {
        let invoice = server.invoice(json!({})).await;
        let mut reader = server.app.store.reader().await.unwrap();
        given.push(reader.tx().invoice(server.merchant, invoice.id).await.unwrap().unwrap().address_index);
    }
    assert_eq!(given, [Some(1), Some(2)]);
    let mut connection = server.connect().await;
    sqlx::query("UPDATE xpubs SET next_index = 0").execute(&mut connection).await.unwrap();
    drop(connection);
    let invoice = server.invoice(json!({})).await;
    let mut reader = server.app.store.reader().await.unwrap();
    let invoice = reader.tx().invoice(server.merchant, invoice.id).await.unwrap().unwrap();
    assert_eq!(invoice.address_index, Some(3), "nor one that another invoice has");
}

#[tokio::test]
async fn an_address_that_no_chain_can_be_asked_about_is_like_a_missing_price() {
    let server = Server::start().await;
    server.set_addresses(AddressMode::Xpub).await;
    let invoice = server.invoice(json!({})).await;
    let body = json!({ "tokenId": 1, "network": "ethereum" }).to_string();
    let answer = server.choose_by_api(&invoice, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!((&answer["quote_status"], &answer["retryable"]), (&json!("unavailable"), &json!(true)));
    assert_eq!(answer["temp_address"], Value::Null);
    assert!(answer["message"].as_str().unwrap().contains("an address is free"), "{answer}");
}

#[tokio::test]
async fn a_token_whose_amounts_tell_nobody_apart_is_shown_as_unavailable() {
    let server = Server::start_with(|config| config.networks[0].tokens[0].decimals = 2).await;
    server.set_addresses(AddressMode::Direct).await;
    let invoice = server.invoice(json!({})).await;
    let tokens = server.payor_get("/api/v1/payments/available-tokens", &invoice).await.json();
    let token = tokens.as_array().unwrap().iter().find(|token| token["id"] == 1).unwrap();
    assert!(token["unavailable_reason"].as_str().unwrap().contains("smallest unit"), "{token}");
}

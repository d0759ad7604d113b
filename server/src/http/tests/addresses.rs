//! Merchants whose payers are given addresses of another kind.

use alloy_primitives::{Address, U256};
use axum::http::Method;
use domain::{
    access::Right,
    address_mode::AddressMode,
    id::TokenId,
    money::{Decimals, Rate, TokenAmount},
};
use serde_json::{Value, json};

use super::{Answer, Created, Server, add_merchant, new_key};
use crate::{merchants, store::UnattributedRecord, xpub::AddressKey};

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
        let seen = UnattributedRecord {
            merchant: self.merchant,
            network: "ethereum".to_owned(),
            block_hash: format!("0x{block:064x}"),
            tx_id: format!("0x{:064x}", block + 0xabc),
            log_index: 0,
            ordinal: 0,
            wallet: WALLET,
            token: TokenId(1),
            decimals: Decimals::new(6).unwrap(),
            amount: TokenAmount::from_base_units(U256::from(dollars * 1_000_000)),
            payer: Some("0x00000000000000000000000000000000000000aa".to_owned()),
            block_number: block,
            block_time: self.app.clock.now(),
            price_at_block: Some(Rate::PAR),
            accepted: true,
        };
        let transaction = seen.tx_id.clone();
        let write = self.app.store.write(move |tx| Box::pin(async move { tx.record_unattributed(&seen).await }));
        write.await.unwrap();
        transaction
    }

    pub(super) async fn attach(&self, invoice: &Created, network: &str, transaction: &str) -> Answer {
        let key = self.key_with(&[Right::ManageWallets]).await;
        let body = json!({ "network": network, "tx_hash": transaction }).to_string();
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
                "object": "unattributed_payment", "network": "ethereum", "tx_hash": transaction,
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
        let hashes = listed["data"].as_array().unwrap().iter().map(|came| came["tx_hash"].clone()).collect::<Vec<_>>();
        (hashes.len(), listed["has_more"].clone())
    };
    assert_eq!(page("").await, (3, json!(false)));
    assert_eq!(page("?limit=2").await, (2, json!(true)));
    assert_eq!(page("?limit=2&offset=2").await, (1, json!(false)));
    for (query, field) in [("?limit=0", "limit"), ("?limit=201", "limit"), ("?offset=-1", "offset")] {
        server.merchant_get(&format!("{LIST}{query}")).await.is_error(400, "VALIDATION_ERROR", Some(field));
    }
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

//! Where a merchant's money goes.

use axum::http::Method;
use domain::{access::Right, id::MerchantId};
use serde_json::{Value, json};

use super::{Answer, Created, Server, add_key, add_merchant};
use crate::{merchants, store::StoredEvent};

const WALLETS: &str = "/api/v1/merchant/wallets";
const FIRST: &str = "0x1111111111111111111111111111111111111111";
const NEW: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const NEWER: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
const DAY: i64 = 86_400;

impl Server {
    async fn wallet_key(&self) -> String {
        self.key_with(&[Right::ManageWallets]).await
    }

    async fn change_wallet(&self, address: &str) -> Answer {
        let body = json!({ "network": "base", "wallet_address": address }).to_string();
        self.call(&Method::POST, WALLETS, ("x-api-key", &self.wallet_key().await), &body).await
    }

    async fn cancel_wallet(&self, id: &str) -> Answer {
        let path = format!("{WALLETS}/{id}");
        self.call(&Method::DELETE, &path, ("x-api-key", &self.wallet_key().await), "").await
    }

    /// Addresses on `base` and what they are.
    async fn wallets(&self) -> Vec<(String, String)> {
        let listed = self.merchant_get(WALLETS).await.json();
        assert_eq!(listed[0]["wallets"], listed[1]["wallets"], "one wallet for all EVM networks");
        let text = |wallet: &Value, name: &str| wallet[name].as_str().unwrap().to_owned();
        let wallets = listed[1]["wallets"].as_array().unwrap().iter();
        wallets.map(|wallet| (text(wallet, "address"), text(wallet, "status"))).collect()
    }

    async fn receiver(&self, invoice: &Created) -> String {
        let mut reader = self.app.store.reader().await.unwrap();
        reader.tx().invoice(self.merchant, invoice.id).await.unwrap().unwrap().receiver.to_checksum(None)
    }

    /// What was told of wallets, in order.
    async fn told(&self) -> Vec<StoredEvent> {
        self.app.store.write(|tx| Box::pin(async move { tx.number_events(100).await })).await.unwrap();
        let listed = self.merchant_get("/api/v1/events?type=wallet_change.*").await.json();
        let mut reader = self.app.store.reader().await.unwrap();
        let mut told = Vec::new();
        for event in listed["data"]["data"].as_array().unwrap().iter().rev() {
            let id = event["id"].as_str().unwrap().parse().unwrap();
            told.push(reader.tx().event(self.merchant, id).await.unwrap().unwrap());
        }
        told
    }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(address, status)| ((*address).to_owned(), (*status).to_owned())).collect()
}

fn types(events: &[StoredEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

#[tokio::test]
async fn wallets_are_listed_for_each_network_that_shares_them() {
    let server = Server::start().await;
    let listed = server.merchant_get(WALLETS).await.json();
    let wallet = &listed[0]["wallets"][0];
    let (id, now) = (wallet["id"].as_str().unwrap(), server.app.clock.now().0);
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
    let wallet = json!({
        "id": id, "address": FIRST, "type": "non_custodial", "is_active": true, "status": "active",
        "created_at": now, "effective_at": now,
    });
    let network =
        |name: &str| json!({ "network": name, "shared_by_networks": ["ethereum", "base"], "wallets": [wallet] });
    assert_eq!(listed, json!([network("ethereum"), network("base")]));
    assert_eq!(server.merchant_get("/api/accounts/wallets").await.json(), listed);
}

#[tokio::test]
async fn a_change_takes_effect_after_a_day_and_is_told_at_once() {
    let server = Server::start().await;
    let before = server.invoice(json!({})).await;
    let now = server.app.clock.now().0;
    let answer = server.change_wallet(NEW).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let change = answer.json();
    let expected = json!({
        "object": "wallet_change", "id": change["id"], "merchant_id": server.merchant.0, "status": "scheduled",
        "networks": ["ethereum", "base"], "wallet_address": NEW, "previous_wallet_address": FIRST,
        "created_at": now, "effective_at": now + DAY, "canceled_at": null,
    });
    assert_eq!(change, expected);
    assert_eq!(server.wallets().await, owned(&[(FIRST, "active"), (NEW, "scheduled")]));
    let told = server.told().await;
    assert_eq!(types(&told), ["wallet_change.scheduled"]);
    assert_eq!(serde_json::from_str::<Value>(&told[0].object).unwrap(), change);
    assert_eq!((told[0].invoice, told[0].request_id.is_some()), (None, true));

    server.clock.advance_seconds(DAY - 1);
    let last = server.invoice(json!({})).await;
    server.clock.advance_seconds(1);
    // In force with nobody having done anything, and told of once by whoever looks first.
    let first = server.invoice(json!({})).await;
    assert_eq!(server.wallets().await, owned(&[(NEW, "active")]));
    for invoice in [&before, &last] {
        assert_eq!(server.receiver(invoice).await, FIRST);
    }
    assert_eq!(server.receiver(&first).await, NEW);
    for _ in 0..2 {
        merchants::tell_of_wallets_in_force(&server.app).await.unwrap();
    }
    let told = server.told().await;
    assert_eq!(types(&told), ["wallet_change.scheduled", "wallet_change.applied"]);
    let applied: Value = serde_json::from_str(&told[1].object).unwrap();
    assert_eq!((&applied["status"], &applied["id"]), (&json!("applied"), &change["id"]));
    assert_eq!((&applied["wallet_address"], &applied["previous_wallet_address"]), (&json!(NEW), &json!(FIRST)));
}

#[tokio::test]
async fn a_scheduled_change_can_be_called_off() {
    let server = Server::start().await;
    let id = server.change_wallet(NEW).await.json()["id"].as_str().unwrap().to_owned();
    server.change_wallet(NEWER).await.is_error(409, "WALLET_CHANGE_PENDING", None);
    server.clock.advance_seconds(100);
    let canceled = server.cancel_wallet(&id).await;
    assert_eq!(canceled.status, 200, "{}", canceled.text);
    let canceled = canceled.json();
    assert_eq!((&canceled["status"], &canceled["id"]), (&json!("canceled"), &json!(id)));
    assert_eq!(canceled["canceled_at"], server.app.clock.now().0);
    server.cancel_wallet(&id).await.is_error(404, "WALLET_NOT_FOUND", None);
    assert_eq!(server.wallets().await, owned(&[(FIRST, "active")]));
    server.clock.advance_seconds(DAY);
    merchants::tell_of_wallets_in_force(&server.app).await.unwrap();
    assert_eq!(server.receiver(&server.invoice(json!({})).await).await, FIRST);
    assert_eq!(types(&server.told().await), ["wallet_change.scheduled", "wallet_change.canceled"]);

    let next = server.change_wallet(NEWER).await.json()["id"].as_str().unwrap().to_owned();
    server.clock.advance_seconds(DAY);
    server.cancel_wallet(&next).await.is_error(409, "WALLET_CHANGE_TOO_LATE", None);
}

#[tokio::test]
async fn absent_foreign_and_impossible_wallets_cannot_be_called_off() {
    let server = Server::start().await;
    let id = server.change_wallet(NEW).await.json()["id"].as_str().unwrap().to_owned();
    let (other, _) = add_merchant(&server.app).await;
    let rights = [Right::ManageWallets].into_iter().collect();
    let theirs = add_key(&server.app, other, |wanted| wanted.rights = rights).await.api_key;
    let before = server.settings().await;
    let path = format!("{WALLETS}/{id}");
    let foreign = server.call(&Method::DELETE, &path, ("x-api-key", &theirs), "").await;
    foreign.is_error(404, "WALLET_NOT_FOUND", None);
    server.cancel_wallet("7c0f6d0e-2a41-4c7b-9a53-0d6f1b2e8a10").await.is_error(404, "WALLET_NOT_FOUND", None);
    for id in ["x", "7c0f6d0e2a414c7b9a530d6f1b2e8a10", "%FF"] {
        server.cancel_wallet(id).await.is_error(400, "VALIDATION_ERROR", Some("wallet_id"));
    }
    let first = server.merchant_get(WALLETS).await.json()[0]["wallets"][0]["id"].as_str().unwrap().to_owned();
    server.cancel_wallet(&first).await.is_error(409, "WALLET_CHANGE_TOO_LATE", None);
    assert_eq!(server.settings().await, before);
    let listed = server.get(WALLETS, &[("x-api-key", &add_key(&server.app, other, |_| {}).await.api_key)]).await;
    assert!(!listed.text.contains(NEW), "a merchant sees its own wallets only");
}

#[tokio::test]
async fn an_address_that_money_must_not_go_to_is_refused_with_words() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let deposit = {
        let mut reader = server.app.store.reader().await.unwrap();
        reader.tx().invoice(server.merchant, invoice.id).await.unwrap().unwrap().deposit_address.to_checksum(None)
    };
    let factory = wire::deposit_address::FACTORY.to_checksum(None);
    let before = server.settings().await;
    for (address, words) in [
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed", "checksum"),
        ("4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T", "Solana"),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "Bitcoin"),
        ("shop.eth", "name"),
        ("0x0000000000000000000000000000000000000000", "zero"),
        (&factory, "contract of this server"),
        ("0x00000000000000000000000000000000000000c1", "nobody"),
        (FIRST, "already"),
        (&deposit, "payers pay to"),
        ("", "40 hex digits"),
    ] {
        let answer = server.change_wallet(address).await;
        answer.is_error(400, "VALIDATION_ERROR", Some("wallet_address"));
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{address}: {}", answer.text);
    }
    let key = server.wallet_key().await;
    let post = async |body: &str| server.call(&Method::POST, WALLETS, ("x-api-key", &key), body).await;
    for network in ["ton", "cardano", "sui", "solana", "Base", ""] {
        let body = json!({ "network": network, "wallet_address": NEW }).to_string();
        post(&body).await.is_error(400, "UNKNOWN_NETWORK", Some("network"));
    }
    for (body, field) in [
        (r#"{"network":"base"}"#, Some("wallet_address")),
        (r#"{"wallet_address":"0x1"}"#, Some("network")),
        (r#"{"network":"base","wallet_address":7}"#, Some("wallet_address")),
        ("[", Some("body")),
    ] {
        post(body).await.is_error(400, "VALIDATION_ERROR", field);
    }
    assert_eq!(server.settings().await, before);
}

#[tokio::test]
async fn a_test_account_is_no_wallet_on_mainnet() {
    let known = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let devnet = Server::start().await;
    assert_eq!(devnet.change_wallet(known).await.status, 200);
    let mainnet = Server::start_with(|config| config.environment = wire::Environment::Mainnet).await;
    let refused = mainnet.change_wallet(known).await;
    refused.is_error(400, "VALIDATION_ERROR", Some("wallet_address"));
    assert!(refused.text.contains("everybody knows"), "{}", refused.text);
}

#[tokio::test]
async fn the_operator_s_change_acts_at_once_and_calls_off_what_was_scheduled() {
    let server = Server::start().await;
    server.change_wallet(NEW).await;
    let set = async |merchant: MerchantId, address: &str| {
        let (store, clock, config) = (&server.app.store, &server.app.clock, &server.app.config);
        merchants::set_wallet(store, clock, config, merchant, address.parse().unwrap()).await
    };
    let change = set(server.merchant, NEWER).await.unwrap();
    assert_eq!((change.wallet_address.as_str(), change.previous_wallet_address.as_str()), (NEWER, FIRST));
    assert_eq!(server.wallets().await, owned(&[(NEWER, "active")]));
    assert_eq!(server.receiver(&server.invoice(json!({})).await).await, NEWER);
    server.clock.advance_seconds(2 * DAY);
    merchants::tell_of_wallets_in_force(&server.app).await.unwrap();
    assert_eq!(server.receiver(&server.invoice(json!({})).await).await, NEWER);
    let types_told = ["wallet_change.scheduled", "wallet_change.canceled", "wallet_change.applied"];
    assert_eq!(types(&server.told().await), types_told);
    assert!(matches!(set(server.merchant, NEWER).await, Err(merchants::WalletError::InForce)));
    assert!(matches!(set(MerchantId(999), NEWER).await, Err(merchants::WalletError::NoSuchMerchant(_))));
}

#[tokio::test]
async fn of_changes_asked_for_at_once_one_is_scheduled() {
    let server = Server::start().await;
    let address = |number: u8| format!("0x{}", hex::encode([number; 20]));
    let asked = (0x21..0x2b).map(|number| {
        let server = &server;
        async move { server.change_wallet(&address(number)).await.status.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(asked).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 9]].concat());
    assert_eq!(server.wallets().await.len(), 2);
}

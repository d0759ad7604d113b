//! Payments on Solana by the public API, of the real server on the real VM.

use std::collections::BTreeSet;

use e2e::{ApiClient, Database, ServerProcess, SolanaChain, SolanaOptions, SolanaPaid, TestChain, WALLET, eventually};
use pepay::solana::{SolanaAddress, associated_token_account, programs};
use reqwest::Method;
use serde_json::{Value, json};
use wire::invoice::{CreatedInvoice, InvoiceStatus};

use super::shop::BLOCKHASH_LIFE;
use crate::watcher::relay::{Relay, decline};

const TOKEN: i64 = 1;
/// Of four decimals: less than a cent holds ninety amounts that are not round.
const COARSE: i64 = 2;
const COARSE_AMOUNTS: usize = 90;
const HEAD: &str = "environment = \"devnet\"\n";
const UNATTRIBUTED: &str = "/api/v1/merchant/unattributed-payments";

/// A server with merchants on a chain that goes on by itself.
struct Till {
    chain: SolanaChain,
    mint: SolanaAddress,
    server: ServerProcess,
}

/// A merchant of it, with a key that may do everything with invoices and wallets.
struct Merchant {
    id: String,
    wallet: SolanaAddress,
    api: ApiClient,
}

impl Till {
    async fn open(database: Database) -> Self {
        Self::open_with(database, async |_, network| network).await
    }

    /// The same, configured otherwise.
    async fn open_with(database: Database, change: impl AsyncFnOnce(&SolanaChain, String) -> String) -> Self {
        let chain = SolanaChain::start_as(&SolanaOptions { tick_ms: 100, ..SolanaOptions::default() }).await;
        let mint = chain.create_mint(6).await;
        let payer = chain.wallet("payer").await;
        chain.airdrop(payer, 100_000_000_000).await;
        chain.mint_to(mint, payer, 1_000_000_000_000).await;
        let network = chain.network(TOKEN, mint).await;
        let config = [HEAD, &change(&chain, network).await].concat();
        let mut server = ServerProcess::prepare_on(database, &config);
        server.start().await.unwrap();
        Self { chain, mint, server }
    }

    async fn add_merchant(&self, name: &str) -> Merchant {
        let wallet = self.chain.wallet(name).await;
        let create = ["merchant", "create", "--name", name, "--email", "o@shop.example", "--wallet", WALLET];
        let on_solana = wallet.to_string();
        let created: Value = self.server.ask(&[&create[..], &["--solana-wallet", &on_solana]].concat());
        let id = created["merchant_id"].to_string();
        let api = self.key(&id, &["invoices:create", "invoices:read", "wallets"]);
        Merchant { id, wallet, api }
    }

    fn key(&self, merchant: &str, rights: &[&str]) -> ApiClient {
        let rights = rights.iter().flat_map(|right| ["--right", *right]);
        let create = ["key", "create", "--merchant", merchant].into_iter().chain(rights).collect::<Vec<_>>();
        let key: Value = self.server.ask(&create);
        ApiClient::new(&self.server.url, key["api_key"].as_str().unwrap())
    }

    async fn alarm(&self, kind: &str) -> String {
        let field = format!("alarm=\"{kind}\"");
        let told = || self.server.log().lines().find(|line| line.contains(&field)).map(str::to_owned);
        eventually(kind, async || told()).await
    }

    async fn pay(&self, recipient: SolanaAddress, amount: &str) -> SolanaPaid {
        let payment = json!({ "recipient": recipient, "mint": self.mint, "amount": amount });
        self.chain.pay("payer", payment).await
    }
}

impl Merchant {
    /// An invoice over twenty dollars that is being watched.
    async fn order(&self) -> CreatedInvoice {
        let invoice = self.api.create_invoice("20").await;
        let asked = self.api.payment_address(&invoice, "solana", TOKEN).await;
        assert_eq!(asked.temp_address, Some(self.wallet.to_string()));
        invoice
    }

    async fn is(&self, invoice: &CreatedInvoice, status: InvoiceStatus) {
        let report = async || self.api.invoice_status(&invoice.invoice_id).await;
        let what = format!("the invoice to be {status:?}");
        eventually(&what, async || (report().await.invoice.status == status).then_some(())).await;
    }

    async fn attach(&self, invoice: &CreatedInvoice, request: Value) -> e2e::Answer {
        attach(&self.api, invoice, request).await
    }

    async fn unattributed(&self) -> Vec<Value> {
        let listed: Value = self.api.get(UNATTRIBUTED).await.good();
        listed["data"].as_array().unwrap().clone()
    }
}

async fn attach(api: &ApiClient, invoice: &CreatedInvoice, request: Value) -> e2e::Answer {
    api.call(Method::POST, &format!("/api/v1/invoices/{}/attach-payment", invoice.invoice_id), &request).await
}

fn named(transaction: &str) -> Value {
    json!({ "network": "solana", "tx_hash": transaction })
}

#[track_caller]
fn is_error(answer: &e2e::Answer, status: u16, code: &str, field: Option<&str>) {
    let error = &answer.body["error"];
    assert_eq!((answer.status.as_u16(), error["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(error["field"].as_str(), field, "{answer:?}");
}

on_each_database!(
    a_payment_that_nothing_tells_of_is_attached_by_its_signature_once,
    a_payment_is_looked_for_by_its_signature_and_what_is_none_is_named,
    a_wallet_on_solana_is_shown_to_its_merchant_and_changed_by_the_operator,
    a_token_whose_amounts_are_all_asked_for_is_listed_with_that_reason_until_one_is_free,
    addresses_of_a_list_that_were_given_before_a_restore_are_given_to_nobody_again,
    a_fork_that_takes_back_what_paid_an_invoice_is_told_to_the_operator,
);

async fn a_payment_that_nothing_tells_of_is_attached_by_its_signature_once(database: Database) {
    let till = Till::open(database).await;
    let (merchant, stranger) = (till.add_merchant("merchant").await, till.add_merchant("stranger").await);
    let (invoice, other) = (merchant.order().await, merchant.order().await);
    let foreign = stranger.order().await;
    let paid = till.pay(merchant.wallet, "20").await;
    let signature = paid.signature.to_string();
    let came = eventually("the payment to be listed", async || merchant.unattributed().await.pop()).await;
    for (name, value) in [
        ("tx_hash", json!(signature)),
        ("network", json!("solana")),
        ("wallet_address", json!(merchant.wallet)),
        ("token_address", json!(till.mint)),
        ("token_amount", json!("20")),
        ("payer_wallet_address", json!(paid.payer)),
    ] {
        assert_eq!(came[name], value, "{came}");
    }
    assert_eq!(stranger.unattributed().await, [Value::Null; 0]);

    let hash = format!("0x{}", "ab".repeat(32));
    for (request, status, code, field) in [
        (named(&signature[..40]), 400, "VALIDATION_ERROR", "tx_hash"),
        (named(&format!("{}0", &signature[..80])), 400, "VALIDATION_ERROR", "tx_hash"),
        (named(""), 400, "VALIDATION_ERROR", "tx_hash"),
        (named(&hash), 404, "TRANSACTION_NOT_FOUND", "tx_hash"),
        (named(&"1".repeat(64)), 404, "TRANSACTION_NOT_FOUND", "tx_hash"),
        (json!({ "network": "tron", "tx_hash": signature }), 400, "UNKNOWN_NETWORK", "network"),
    ] {
        is_error(&merchant.attach(&invoice, request).await, status, code, Some(field));
    }
    // Another merchant can have neither the payment nor the invoice.
    let refused = stranger.attach(&foreign, named(&signature)).await;
    is_error(&refused, 404, "TRANSACTION_NOT_FOUND", Some("tx_hash"));
    is_error(&stranger.attach(&invoice, named(&signature)).await, 404, "INVOICE_NOT_FOUND", None);
    let reader = till.key(&merchant.id, &["invoices:create", "invoices:read"]);
    is_error(&attach(&reader, &invoice, named(&signature)).await, 403, "RIGHT_REQUIRED", None);
    assert_eq!(merchant.unattributed().await.len(), 1, "nothing of that changed anything");

    for _ in 0..2 {
        let attached: Value = merchant.attach(&invoice, named(&signature)).await.good();
        assert_eq!(attached["id"], json!(invoice.invoice_id));
    }
    is_error(&merchant.attach(&other, named(&signature)).await, 409, "TRANSACTION_ATTACHED", Some("tx_hash"));
    eventually("the invoice to be paid", async || {
        let report = merchant.api.invoice_status(&invoice.invoice_id).await;
        (report.invoice.status == InvoiceStatus::Paid).then_some(())
    })
    .await;
    let shown = format!("/api/v1/invoices/{}?expand=payments", invoice.invoice_id);
    let shown: Value = merchant.api.get(&shown).await.good();
    let payments = shown["payments"].as_array().unwrap();
    assert_eq!((payments.len(), &payments[0]["tx_hash"]), (1, &json!(signature)), "it counts once: {shown}");
    assert_eq!((&shown["amount_paid"], &shown["payer_wallet_address"]), (&json!(20_000), &json!(paid.payer)));
    assert_eq!(merchant.api.invoice(&other.invoice_id).await.status, InvoiceStatus::Unpaid);
    assert_eq!(merchant.unattributed().await, [Value::Null; 0]);

    // Where each invoice has an address of its own there is nothing to say.
    let own = till.chain.wallet("own").await.to_string();
    std::fs::write(till.server.path("list.txt"), own).unwrap();
    let list = till.server.path("list.txt").to_string_lossy().into_owned();
    till.server.run_good(&["merchant", "set-solana-addresses", &merchant.id, &list]);
    let own = merchant.api.create_invoice("20").await;
    is_error(&merchant.attach(&own, named(&signature)).await, 409, "INVOICE_HAS_OWN_ADDRESS", None);
}

async fn a_payment_is_looked_for_by_its_signature_and_what_is_none_is_named(database: Database) {
    let till = Till::open(database).await;
    let (merchant, stranger) = (till.add_merchant("merchant").await, till.add_merchant("stranger").await);
    let invoice = merchant.api.create_invoice("20").await;
    is_error(&merchant.api.verify(&invoice, &json!({})).await, 400, "VALIDATION_ERROR", Some("network"));
    let asked = merchant.api.payment_address(&invoice, "solana", TOKEN).await;
    let paid = till.pay(merchant.wallet, &asked.estimated_token_amount.unwrap()).await.signature.to_string();
    let elsewhere = till.pay(stranger.wallet, "20").await.signature.to_string();
    eventually("the invoice to be paid", async || {
        let report = merchant.api.invoice_status(&invoice.invoice_id).await;
        (report.invoice.status == InvoiceStatus::Paid).then_some(())
    })
    .await;
    for request in [json!({ "tx_hash": &paid[..40] }), json!({ "tx_hash": "0x12" }), json!({ "tx_hash": "" })] {
        is_error(&merchant.api.verify(&invoice, &request).await, 400, "VALIDATION_ERROR", Some("tx_hash"));
    }
    let unknown = merchant.api.verify(&invoice, &json!({ "network": "tron", "tx_hash": paid })).await;
    is_error(&unknown, 400, "UNKNOWN_NETWORK", Some("network"));
    is_error(&merchant.api.verification(&invoice).await, 404, "VERIFICATION_NOT_FOUND", None);

    let hash = format!("0x{}", "ab".repeat(32));
    for (transaction, failure) in [
        (&paid, None),
        (&elsewhere, Some("transaction_pays_another")),
        // No network of this kind has transactions of that name.
        (&hash, Some("transaction_not_found")),
    ] {
        let answer = merchant.api.verify(&invoice, &json!({ "tx_hash": transaction })).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.body["data"]["tx_hash"], json!(transaction));
        let search = eventually("the search to end", async || {
            let search: Value = merchant.api.verification(&invoice).await.good();
            search["data"]["completed_at"].is_i64().then(|| search["data"].clone())
        })
        .await;
        assert_eq!((&search["network"], &search["attempt_count"]), (&json!("solana"), &json!(1)));
        assert_eq!(search["error"]["code"].as_str(), failure, "{search}");
        let found = search["result"]["payments"].as_array().map(|payments| payments[0]["tx_hash"].clone());
        assert_eq!(found, failure.is_none().then(|| json!(paid)), "{search}");
    }
    let shown: Value =
        merchant.api.get(&format!("/api/v1/invoices/{}?expand=payments", invoice.invoice_id)).await.good();
    assert_eq!(shown["payments"].as_array().map(Vec::len), Some(1), "looking for it counts it once");
}

async fn a_wallet_on_solana_is_shown_to_its_merchant_and_changed_by_the_operator(database: Database) {
    let till = Till::open(database).await;
    let merchant = till.add_merchant("merchant").await;
    let wallets = async || -> Value {
        let listed: Value = merchant.api.get("/api/v1/merchant/wallets").await.good();
        assert_eq!((&listed[0]["network"], &listed[0]["shared_by_networks"]), (&json!("solana"), &json!(["solana"])));
        listed[0]["wallets"].clone()
    };
    let first = wallets().await;
    assert_eq!((first.as_array().map(Vec::len), &first[0]["address"]), (Some(1), &json!(merchant.wallet)));
    assert_eq!((&first[0]["status"], &first[0]["is_active"]), (&json!("active"), &json!(true)));

    let account = associated_token_account(merchant.wallet, till.mint, programs::TOKEN).to_string();
    let mint = till.mint.to_string();
    let new = till.chain.wallet("new").await.to_string();
    let bad = [
        (account.as_str(), "no wallet"),
        (&mint, "mint"),
        (WALLET, "EVM"),
        ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "program"),
        ("11111111111111111111111111111111", "program"),
        (&new[..30], ""),
        ("shop.sol", ""),
        ("", ""),
    ];
    for (address, words) in bad {
        let refused = till.server.run(&["merchant", "set-solana-wallet", &merchant.id, address]);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{address}: {refused:?}");
        assert!(refused.stderr.contains("ADDRESS") && refused.stderr.contains(words), "{address}: {refused:?}");
        let create = ["merchant", "create", "--name", "x", "--email", "x@shop.example", "--wallet", WALLET];
        let refused = till.server.run(&[&create[..], &["--solana-wallet", address]].concat());
        assert!(!refused.status.success() && refused.stderr.contains("--solana-wallet"), "{address}: {refused:?}");
    }
    // Whoever got hold of a key redirects nothing, be the address good or bad.
    for address in [new.as_str(), &account] {
        let request = json!({ "network": "solana", "wallet_address": address });
        let refused = merchant.api.call(Method::POST, "/api/v1/merchant/wallets", &request).await;
        is_error(&refused, 400, "VALIDATION_ERROR", Some("network"));
    }
    assert_eq!(wallets().await, first, "nothing of that changed anything");

    let before = merchant.order().await;
    till.server.run_good(&["merchant", "set-solana-wallet", &merchant.id, &new]);
    let changed = wallets().await;
    assert_eq!((changed.as_array().map(Vec::len), &changed[0]["address"]), (Some(1), &json!(new)));
    assert_ne!(changed[0]["id"], first[0]["id"]);
    // Who was told the old one pays there.
    let asked = merchant.api.payment_address(&before, "solana", TOKEN).await;
    assert_eq!(asked.temp_address, Some(merchant.wallet.to_string()));
    let after = merchant.api.create_invoice("20").await;
    let asked = merchant.api.payment_address(&after, "solana", TOKEN).await;
    assert_eq!(asked.temp_address.as_deref(), Some(new.as_str()));

    till.server.run_good(&["merchant", "set-solana-wallet", &merchant.id]);
    assert_eq!(wallets().await, json!([]));
    let without = merchant.api.create_invoice("20").await;
    let refused = merchant.api.try_payment_address(&without, "solana", TOKEN).await.unwrap();
    is_error(&refused, 400, "TOKEN_NOT_AVAILABLE", Some("tokenId"));
}

async fn a_token_whose_amounts_are_all_asked_for_is_listed_with_that_reason_until_one_is_free(database: Database) {
    let till = Till::open_with(database, async |chain, network| {
        let mint = chain.create_mint(4).await;
        let coarse = format!(
            "[[networks.tokens]]\nid = {COARSE}\nsymbol = \"CRSE\"\nname = \"Coarse\"\nmint = \"{mint}\"\n\
             decimals = 4\nprice = \"par\"\n"
        );
        network + &coarse
    })
    .await;
    let merchant = till.add_merchant("merchant").await;
    let mut amounts = BTreeSet::new();
    let mut last = None;
    for _ in 0..COARSE_AMOUNTS {
        let invoice = merchant.api.create_invoice("20").await;
        let asked = merchant.api.payment_address(&invoice, "solana", COARSE).await;
        amounts.insert(asked.estimated_token_amount.unwrap());
        last = Some(invoice);
    }
    assert_eq!(amounts.len(), COARSE_AMOUNTS, "{amounts:?}");

    let reason_of = async |invoice: &CreatedInvoice, id| {
        let offered = merchant.api.available_tokens(invoice).await;
        offered.into_iter().find(|token| token.id == id).unwrap().unavailable_reason
    };
    let without = merchant.api.create_invoice("20").await;
    let reason = reason_of(&without, COARSE).await;
    assert_eq!(reason.as_deref(), Some("all amounts that tell payments of this merchant's wallet apart are in use"));
    assert_eq!(reason_of(&without, TOKEN).await, None);
    assert_eq!(reason_of(&last.unwrap(), COARSE).await, None, "whoever was asked for one can still pay it");
    let more = merchant.api.create_invoice("21").await;
    assert_eq!(reason_of(&more, COARSE).await, None, "another price has amounts of its own");
    let page = reqwest::get(&without.payment_url).await.unwrap().text().await.unwrap();
    assert!(page.contains("Too many payments are open in it just now"), "{page}");

    let refused = merchant.api.try_payment_address(&without, "solana", COARSE).await.unwrap();
    is_error(&refused, 400, "TOKEN_NOT_AVAILABLE", Some("tokenId"));
}

/// A database that never heard of what was given is what a restore from an old backup leaves.
async fn addresses_of_a_list_that_were_given_before_a_restore_are_given_to_nobody_again(database: Database) {
    let till = Till::open(database).await;
    let merchant = till.add_merchant("merchant").await;
    let mut list = Vec::new();
    for name in ["paid", "moved on", "fresh", "unpaid", "last", "next"] {
        list.push(till.chain.wallet(name).await);
    }
    let set = |addresses: &[SolanaAddress], more: &[&str]| {
        let lines: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        std::fs::write(till.server.path("list.txt"), lines.join("\n")).unwrap();
        let file = till.server.path("list.txt").to_string_lossy().into_owned();
        till.server.run(&[&["--json", "merchant", "set-solana-addresses", &merchant.id, &file], more].concat())
    };
    assert!(set(&list, &[]).status.success());
    till.pay(list[0], "20").await;
    // One that holds nothing any more is known by what it did.
    till.chain.airdrop(list[1], 1_000_000_000).await;
    till.chain.pay("moved on", json!({ "recipient": merchant.wallet, "amount": "0.999995" })).await;
    for used in &list[..2] {
        eventually("what was done to be confirmed", async || {
            let asked = json!([used, { "commitment": "confirmed" }]);
            let listed: Vec<Value> = till.chain.call("getSignaturesForAddress", asked).await;
            (!listed.is_empty()).then_some(())
        })
        .await;
    }

    let given = async |invoice: &CreatedInvoice| {
        merchant.api.payment_address(invoice, "solana", TOKEN).await.temp_address.unwrap()
    };
    let invoice = merchant.api.create_invoice("20").await;
    assert_eq!(given(&invoice).await, list[2].to_string());
    let alarms = till.server.log().lines().filter(|line| line.contains("alarm=\"address_used_before\"")).count();
    assert_eq!(alarms, 2, "{}", till.server.log());
    // What a payer was told stays, whoever pays to it.
    till.pay(list[2], "1").await;
    assert_eq!(given(&invoice).await, list[2].to_string());

    let stranger = till.chain.wallet("stranger").await.to_string();
    for address in [stranger.as_str(), "nonsense"] {
        let refused = set(&list, &["--last-given", address]);
        let told = [refused.stdout, refused.stderr].concat();
        assert!(!refused.status.success() && told.contains("is not on the merchant's list"), "{told}");
    }
    let set = set(&list, &["--last-given", &list[4].to_string()]);
    let told: Value = serde_json::from_str(&set.stdout).unwrap();
    assert_eq!((&told["passed_over"], &told["left"], &told["total"]), (&json!(2), &json!(1), &json!(6)), "{told}");
    assert_eq!(given(&merchant.api.create_invoice("20").await).await, list[5].to_string());

    // Where all that is left was used, there is nothing to be paid at.
    let used = till.chain.wallet("payer").await;
    std::fs::write(till.server.path("list.txt"), used.to_string()).unwrap();
    let file = till.server.path("list.txt").to_string_lossy().into_owned();
    till.server.run_good(&["merchant", "set-solana-addresses", &merchant.id, &file]);
    let invoice = merchant.api.create_invoice("20").await;
    let refused = merchant.api.try_payment_address(&invoice, "solana", TOKEN).await.unwrap();
    is_error(&refused, 400, "TOKEN_NOT_AVAILABLE", Some("tokenId"));
}

async fn a_fork_that_takes_back_what_paid_an_invoice_is_told_to_the_operator(database: Database) {
    let till = Till::open(database).await;
    let merchant = till.add_merchant("merchant").await;
    let invoice = merchant.api.create_invoice("20").await;
    let asked = merchant.api.payment_address(&invoice, "solana", TOKEN).await;
    // Nothing is final before the fork comes.
    till.chain.freeze(true).await;
    let paid = till.pay(merchant.wallet, &asked.estimated_token_amount.unwrap()).await;
    till.chain.slots(2).await;
    merchant.is(&invoice, InvoiceStatus::Paid).await;
    assert!(!till.server.log().contains("ALARM"), "{}", till.server.log());

    till.chain.drop_after(paid.slot.unwrap()).await;
    till.chain.slots(BLOCKHASH_LIFE + 60).await;
    let alarm = till.alarm("paid_invoice_undone").await;
    for words in ["ERROR", "ALARM: a paid invoice lost its payment to a reorganisation", &invoice.invoice_id] {
        assert!(alarm.contains(words), "{words}: {alarm}");
    }
    merchant.is(&invoice, InvoiceStatus::Unpaid).await;
}

#[tokio::test]
async fn a_transaction_of_a_newer_kind_is_passed_over_with_an_alarm_and_the_next_payment_counts() {
    let relay = tokio::sync::OnceCell::new();
    let behind = async |chain: &SolanaChain, network: String| {
        let between = relay.get_or_init(|| Relay::start(chain.rpc_url(), true)).await;
        network.replace(chain.rpc_url(), &between.url)
    };
    let till = Till::open_with(Database::of_tests(), behind).await;
    let relay = relay.get().unwrap();
    let merchant = till.add_merchant("merchant").await;
    let (unread, invoice) = (merchant.order().await, merchant.api.create_invoice("20").await);
    let asked = merchant.api.payment_address(&invoice, "solana", TOKEN).await;
    relay.twist(|call, answer| {
        if call["method"] == "getTransaction" {
            decline(answer, -32015, "Transaction version (1) is not supported by the requesting client");
        }
    });
    let newer = till.pay(merchant.wallet, "20").await.signature.to_string();
    let alarm = till.alarm("transaction_unreadable").await;
    assert!(alarm.contains("ERROR") && alarm.contains(&newer), "{alarm}");
    relay.twist(|_, _| {});
    till.pay(merchant.wallet, &asked.estimated_token_amount.unwrap()).await;
    merchant.is(&invoice, InvoiceStatus::Paid).await;
    assert_eq!(merchant.api.invoice(&unread.invoice_id).await.amount_paid, 0);
    assert_eq!(merchant.unattributed().await, [Value::Null; 0], "nobody knows what it brought");
    let told = till.server.log().lines().filter(|line| line.contains("transaction_unreadable")).count();
    assert_eq!(told, 1, "it is told of once");
}

#[tokio::test]
async fn an_amount_a_thousand_times_too_large_is_told_to_merchant_and_payer() {
    let till = Till::open(Database::of_tests()).await;
    let merchant = till.add_merchant("merchant").await;
    let invoice = merchant.api.create_invoice("20").await;
    let asked = merchant.api.payment_address(&invoice, "solana", TOKEN).await;
    assert_eq!(asked.temp_address, Some(merchant.wallet.to_string()));
    let payment = json!({
        "recipient": merchant.wallet, "mint": till.mint, "amount": "20000", "memo": invoice.invoice_id,
    });
    till.chain.pay("payer", payment).await;
    merchant.is(&invoice, InvoiceStatus::Paid).await;
    let events: Value = merchant.api.get("/api/v1/events?type=invoice.updated&limit=1").await.good();
    let told = &events["data"]["data"][0]["data"];
    assert_eq!((&told["object"]["status"], &told["object"]["amount_overpaid"]), (&json!("paid"), &json!(19_980_000)));
    assert_eq!(told["previous_attributes"]["amount_overpaid"], json!(0), "{told}");
    let page = reqwest::get(&invoice.payment_url).await.unwrap().text().await.unwrap();
    assert!(page.contains("You sent $19,980.00 more than was due. Ask merchant about a refund."), "{page}");
}

/// The server's own words for it, and a wallet that understands nothing else.
#[tokio::test]
async fn sol_is_asked_for_without_a_mint_and_paid_as_asked() {
    const SOL: i64 = 9;

    let evm = TestChain::start().await;
    let feed = evm.chain.deploy_feed(150 * 100_000_000).await.unwrap();
    let priced = async |_: &SolanaChain, network| {
        [network, SolanaChain::sol(SOL, feed, "ethereum"), evm.network(), evm.token().replace("id = 1\n", "id = 2\n")]
            .concat()
    };
    let till = Till::open_with(Database::of_tests(), priced).await;
    let merchant = till.add_merchant("merchant").await;
    let invoice = merchant.api.create_invoice("30").await;
    let asked = merchant.api.payment_address(&invoice, "solana", SOL).await;
    let snapshot = demo::http_client().unwrap().get(format!("{}/pay/snapshot", till.server.url));
    let snapshot = snapshot.header("x-session-token", &invoice.session_token).header("x-signature", &invoice.signature);
    let snapshot: Value = snapshot.send().await.unwrap().json().await.unwrap();
    let quote = &snapshot["quote"];
    let uri = quote["uri"].as_str().unwrap_or_else(|| panic!("{snapshot}"));
    let read = till.chain.payer().parse(uri).await.unwrap();
    assert_eq!((&read["recipient"], &read["amount"]), (&json!(merchant.wallet), &json!(asked.estimated_token_amount)));
    assert_eq!((&read["mint"], read["references"].as_array().map(Vec::len)), (&Value::Null, Some(1)));
    assert!(!uri.contains("spl-token"), "{uri}");
    assert_eq!((&quote["symbol"], &quote["opens_account"]), (&json!("SOL"), &json!(false)), "{quote}");

    let paid = till.chain.pay("payer", json!({ "uri": uri })).await;
    merchant.is(&invoice, InvoiceStatus::Paid).await;
    let report = merchant.api.invoice_status(&invoice.invoice_id).await;
    let payment = report.latest_payment.unwrap();
    assert_eq!((payment.tx_hash, report.invoice.amount_overpaid), (paid.signature.to_string(), 0));
}

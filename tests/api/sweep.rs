//! `pepay sweep`: from deposit addresses to the merchant's wallet.

use alloy_primitives::{Bytes, U256};
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET, WebhookSink, eventually};
use serde_json::{Value, json};
use wire::{
    deposit_address::FACTORY,
    invoice::{InvoiceStatus, SettlementStatus},
};

const HEAD: &str = "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n";

async fn pay(test: &TestChain, api: &ApiClient, dollars: u64) -> String {
    let invoice = api.create_invoice(&dollars.to_string()).await;
    let address = api.payment_address(&invoice, "ethereum", USDC).await;
    test.pay(&address, U256::from(dollars * 1_000_000)).await;
    test.chain.mine(5).await.unwrap();
    eventually("the invoice to be paid for good", async || {
        let report = api.invoice_status(&invoice.invoice_id).await;
        let is_final = report.latest_payment.is_some_and(|payment| 4 <= payment.confirmations);
        (report.invoice.status == InvoiceStatus::Paid && is_final).then_some(())
    })
    .await;
    invoice.invoice_id
}

async fn wait_until_settled(api: &ApiClient, invoice: &str) {
    eventually("the payment to be settled", async || {
        let payment = api.invoice_status(invoice).await.latest_payment?;
        (payment.settlement_status == SettlementStatus::Settled).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unlocked_account_sends_what_is_due_to_the_merchant() {
    let (test, sink) = (TestChain::start().await, WebhookSink::start().await);
    let config = [HEAD, &test.network(), &test.sweep_account(), &test.token()].concat();
    let mut server = ServerProcess::prepare(&config);
    let (api, _) = server.create_merchant(&sink.url);
    server.start().await.unwrap();
    let (first, second) = (pay(&test, &api, 12).await, pay(&test, &api, 30).await);

    let none: Value = server.ask(&["sweep", "--all", "--merchant", "1", "--network", "ethereum"]);
    assert_eq!(none["sweeps"][0]["deposits"], json!(2), "{none}");
    assert!(none["sweeps"][0]["tx_hash"].is_string(), "{none}");
    assert_eq!(test.balance(WALLET).await, U256::from(42_000_000));

    test.chain.mine(5).await.unwrap();
    wait_until_settled(&api, &first).await;
    wait_until_settled(&api, &second).await;
    let nothing: Value = server.ask(&["sweep"]);
    assert_eq!(nothing["sweeps"], json!([]));
}

#[tokio::test]
async fn without_an_account_any_wallet_can_send_the_printed_call() {
    let (test, sink) = (TestChain::start().await, WebhookSink::start().await);
    let config = [HEAD, &test.network(), &test.token()].concat();
    let mut server = ServerProcess::prepare(&config);
    let (api, _) = server.create_merchant(&sink.url);
    server.start().await.unwrap();
    let invoice = pay(&test, &api, 7).await;

    let out = server.path("batch.json");
    let printed: Value = server.ask(&["sweep", "--all", "--out", out.to_str().unwrap()]);
    let sweep = &printed["sweeps"][0];
    assert_eq!((&sweep["tx_hash"], &sweep["to"]), (&Value::Null, &json!(FACTORY.to_string())));
    assert_eq!(test.balance(WALLET).await, U256::ZERO);

    let batch: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!((&batch["version"], &batch["chainId"]), (&json!("1.0"), &json!("31337")));
    let call = &batch["transactions"][0];
    assert_eq!(call["data"], sweep["data"]);
    let data: Bytes = call["data"].as_str().unwrap().parse().unwrap();
    let stranger = test.chain.accounts()[7];
    let transaction = test.chain.send_transaction(stranger, Some(FACTORY), U256::ZERO, &data).await.unwrap();
    test.chain.mined(transaction).await.unwrap();
    assert_eq!(test.balance(WALLET).await, U256::from(7_000_000));
    test.chain.mine(5).await.unwrap();
    wait_until_settled(&api, &invoice).await;

    let output = server.run(&["sweep", "--network", "solana"]);
    assert!(!output.status.success() && output.stderr.contains("no network solana"), "{output:?}");
    let output = server.run(&["sweep", "--merchant", "9"]);
    assert!(!output.status.success() && output.stderr.contains("no merchant 9"), "{output:?}");
}

/// Row 28 of the failure modes.
#[tokio::test]
async fn invoices_from_before_a_change_of_wallets_still_pay_the_old_one() {
    const NEW: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
    let (test, sink) = (TestChain::start().await, WebhookSink::start().await);
    let config = [HEAD, &test.network(), &test.sweep_account(), &test.token()].concat();
    let mut server = ServerProcess::prepare(&config);
    let (api, _) = server.create_merchant(&sink.url);
    server.start().await.unwrap();
    let before = api.create_invoice("12").await;
    let address = api.payment_address(&before, "ethereum", USDC).await;
    server.run_good(&["merchant", "set-wallet", "1", NEW]);
    test.pay(&address, U256::from(12_000_000)).await;
    let after = pay(&test, &api, 30).await;
    let swept: Value = server.ask(&["sweep", "--all"]);
    assert_eq!(swept["sweeps"].as_array().unwrap().len(), 2, "each wallet has a transaction of its own: {swept}");
    assert_eq!(test.balance(WALLET).await, U256::from(12_000_000));
    assert_eq!(test.balance(NEW).await, U256::from(30_000_000));
    test.chain.mine(5).await.unwrap();
    wait_until_settled(&api, &before.invoice_id).await;
    wait_until_settled(&api, &after).await;
}

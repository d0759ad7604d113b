//! Searches for a payment that its payer asks for, over HTTP.

use alloy_primitives::U256;
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET, eventually};
use serde_json::{Value, json};
use wire::invoice::InvoiceStatus;

#[tokio::test]
async fn a_search_by_transaction_ends_with_the_payment_or_with_what_is_wrong() {
    let test = TestChain::start().await;
    let config = ["environment = \"devnet\"\n", &test.network(), &test.token()].concat();
    let mut server = ServerProcess::prepare(&config);
    let created = ["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", WALLET];
    server.run_good(&created);
    let key: Value = server.ask(&["key", "create", "--merchant", "1"]);
    let api = ApiClient::new(&server.url, key["api_key"].as_str().unwrap());
    server.start().await.unwrap();
    let (paid, other) = (api.create_invoice("20").await, api.create_invoice("20").await);
    let address = api.payment_address(&paid, "ethereum", USDC).await;
    api.payment_address(&other, "ethereum", USDC).await;
    let transaction = test.pay(&address, U256::from(20_000_000)).await.transaction.to_string();
    test.chain.mine(2).await.unwrap();
    eventually("the invoice to be paid", async || {
        (api.invoice_status(&paid.invoice_id).await.invoice.status == InvoiceStatus::Paid).then_some(())
    })
    .await;

    for (invoice, job_status, outcome, failure) in
        [(&paid, "succeeded", "paid", None), (&other, "failed", "pending", Some("transaction_pays_another"))]
    {
        let asked = api.verify(invoice, &json!({ "tx_hash": transaction })).await;
        assert_eq!(asked.status, 202, "{asked:?}");
        assert_eq!(asked.body["data"]["job_status"], "pending");
        let ended = eventually("the search to end", async || {
            let search: Value = api.verification(invoice).await.good();
            search["data"]["completed_at"].is_i64().then(|| search["data"].clone())
        })
        .await;
        assert_eq!(
            json!([ended["network"], ended["tx_hash"], ended["attempt_count"], ended["job_status"], ended["status"]]),
            json!(["ethereum", transaction, 1, job_status, outcome]),
            "{ended}"
        );
        assert_eq!(ended["error"]["code"].as_str(), failure, "{ended}");
        let found = ended["result"]["payments"].as_array().map(|payments| payments[0]["tx_hash"].clone());
        assert_eq!(found, failure.is_none().then(|| json!(transaction)), "{ended}");
    }
    // Who looks again need not type it again.
    let help = other.payment_url.replacen("/pay?", "/pay/help?", 1);
    let page = reqwest::get(help).await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("value=\"{transaction}\"")), "{page}");
}

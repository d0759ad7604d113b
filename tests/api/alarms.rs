//! What an operator is told of in the log.

use alloy_primitives::U256;
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET, eventually};
use serde_json::Value;
use wire::invoice::InvoiceStatus;

fn merchant(server: &ServerProcess) -> ApiClient {
    let email = "o@shop.example";
    server.run_good(&["merchant", "create", "--name", "Shop", "--email", email, "--wallet", WALLET]);
    let key: Value = server.ask(&["key", "create", "--merchant", "1"]);
    ApiClient::new(&server.url, key["api_key"].as_str().unwrap())
}

async fn wait_for_line(server: &ServerProcess, text: &str) -> String {
    let found = || server.log().lines().find(|line| line.contains(text)).map(str::to_owned);
    eventually(text, async || found()).await
}

#[tokio::test]
async fn one_endpoint_for_real_money_is_warned_of_and_what_is_too_much_for_it_is_told() {
    let test = TestChain::start_as(777_777).await;
    let head = "environment = \"mainnet\"\n[invoices]\nsingle_source_usd = 10\n";
    let network = test.network().replace("name = \"ethereum\"", "name = \"mine\"");
    let mut server = ServerProcess::prepare(&[head, &network, &test.token()].concat());
    let api = merchant(&server);
    server.start().await.unwrap();
    let warning = wait_for_line(&server, "payments count on the word of one endpoint").await;
    assert!(warning.contains("WARN") && warning.contains("payment.network=\"mine\""), "{warning}");

    let (small, large) = (api.create_invoice("10").await, api.create_invoice("11").await);
    for (invoice, units) in [(&small, 10_000_000_u64), (&large, 11_000_000)] {
        let address = api.payment_address(invoice, "mine", USDC).await;
        test.pay(&address, U256::from(units)).await;
    }
    test.chain.mine(3).await.unwrap();
    let alarm = wait_for_line(
        &server,
        "ALARM: a payment does not count: it is for too much, and only one endpoint is configured",
    )
    .await;
    assert!(alarm.contains("ERROR") && alarm.contains(&large.invoice_id), "{alarm}");
    let status = async |id: &str| api.invoice_status(id).await.invoice.status;
    eventually("the smaller one to be paid", async || {
        (status(&small.invoice_id).await == InvoiceStatus::Paid).then_some(())
    })
    .await;
    assert_eq!(status(&large.invoice_id).await, InvoiceStatus::Unpaid);
    test.chain.mine(3).await.unwrap();

    server.run_good(&["merchant", "set-single-source", "1", "11"]);
    test.chain.mine(1).await.unwrap();
    eventually("the larger one to be paid", async || {
        (status(&large.invoice_id).await == InvoiceStatus::Paid).then_some(())
    })
    .await;
    let told = server.log().lines().filter(|line| line.contains("ALARM: a payment does not count")).count();
    assert_eq!(told, 1, "each is told of once");
}

#[tokio::test]
async fn facts_of_a_network_that_is_not_configured_any_more_are_told_of_at_the_start() {
    let test = TestChain::start().await;
    let head = "environment = \"devnet\"\n";
    let network = [test.network(), test.token()].concat();
    let mut server = ServerProcess::prepare(&[head, &network].concat());
    let api = merchant(&server);
    server.start().await.unwrap();
    let invoice = api.create_invoice("10").await;
    let address = api.payment_address(&invoice, "ethereum", USDC).await;
    test.pay(&address, U256::from(10_000_000)).await;
    eventually("the payment to be seen", async || {
        api.invoice_status(&invoice.invoice_id).await.latest_payment.map(|_| ())
    })
    .await;
    assert!(!server.log().contains("not configured any more"), "it is configured");
    assert!(server.stop().await.success());

    let others = [head, &network.replace("id = 1\n", "id = 7\n")].concat();
    for (config, missing) in [(head, "missing=\"network\""), (others.as_str(), "missing=\"token\"")] {
        std::fs::write(server.path("pepay.toml"), config).unwrap();
        server.start().await.unwrap();
        let log = server.log();
        let alarm = log.lines().rfind(|line| line.contains("not configured any more")).unwrap();
        assert!(alarm.contains("ERROR") && alarm.contains("ALARM") && alarm.contains("facts.count=1"), "{alarm}");
        assert!(alarm.contains(missing) && alarm.contains("payment.network=\"ethereum\""), "{alarm}");
        assert!(server.stop().await.success());
    }
}

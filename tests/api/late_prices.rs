//! Coin whose price a running server could not have when it came.

use alloy_primitives::U256;
use e2e::{ApiClient, Database, ServerProcess, TestChain, USDC, WALLET, eventually};
use serde_json::{Value, json};
use wire::invoice::{InvoiceStatus, PaymentStatus};

use crate::watcher::relay::Relay;

on_each_database!(coin_that_came_while_its_feed_was_silent_pays_by_itself_later);

async fn coin_that_came_while_its_feed_was_silent_pays_by_itself_later(database: Database) {
    let test = TestChain::start().await;
    let feed = test.chain.deploy_feed(200_000_000_000).await.unwrap();
    let relay = Relay::start(test.chain.rpc_url(), true).await;
    let network = test.network().replace(test.chain.rpc_url(), &relay.url);
    let coin = format!(
        "[[networks.tokens]]\nid = 2\nsymbol = \"ETH\"\nname = \"Ether\"\ndecimals = 18\n\
         price = {{ feed = \"{feed}\", heartbeat_seconds = 3600 }}\n"
    );
    let mut server = ServerProcess::prepare_on(database, "environment = \"devnet\"\n");
    server.run_good(&["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", WALLET]);
    let key: Value = server.ask(&["key", "create", "--merchant", "1"]);
    let api = ApiClient::new(&server.url, key["api_key"].as_str().unwrap());
    let without_networks = std::fs::read_to_string(server.path("pepay.toml")).unwrap();
    let config = [without_networks.as_str(), "\n", &network, &test.token(), &coin].concat();
    std::fs::write(server.path("pepay.toml"), config).unwrap();
    server.start().await.unwrap();
    let invoice = api.create_invoice("20").await;
    let address = api.payment_address(&invoice, "ethereum", USDC).await.temp_address.unwrap();
    relay.twist(move |call, answer| {
        if call["method"] == "eth_call" && call["params"][0]["to"] == json!(feed.to_string()) {
            answer["result"] = json!("0x");
        }
    });
    // Whoever knows the address may send what was never asked for.
    let ten_finneys = U256::from(10_000_000_000_000_000_u64);
    let payer = test.chain.accounts()[1];
    let sent = test.chain.send_native(payer, address.parse().unwrap(), ten_finneys).await.unwrap();
    test.chain.mined(sent).await.unwrap();
    test.chain.mine(4).await.unwrap();
    let is = async |status: InvoiceStatus, payment: PaymentStatus| {
        let report = api.invoice_status(&invoice.invoice_id).await;
        (report.invoice.status == status && report.latest_payment?.status == payment).then_some(())
    };
    eventually("it to wait", async || is(InvoiceStatus::Unpaid, PaymentStatus::ManualRetry).await).await;
    relay.twist(|_, _| {});
    eventually("it to be priced", async || is(InvoiceStatus::Paid, PaymentStatus::Confirmed).await).await;
}

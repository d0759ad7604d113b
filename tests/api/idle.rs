//! What endpoints are asked while nobody pays.

use std::time::Duration;

use alloy_primitives::U256;
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET, eventually, eventually_within};
use serde_json::Value;
use wire::invoice::InvoiceStatus;

use crate::watcher::relay::Relay;

/// Ten looks, were it not left alone.
const A_WHILE: Duration = Duration::from_millis(500);
/// Much less than until the next look at an idle network.
const AT_ONCE: Duration = Duration::from_secs(8);

async fn is_left_alone(relay: &Relay) {
    eventually("the network to be left alone", async || {
        relay.requests();
        tokio::time::sleep(A_WHILE).await;
        relay.requests().is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_left_alone_until_somebody_may_pay_and_read_at_once_then() {
    let test = TestChain::start().await;
    let relay = Relay::start(test.chain.rpc_url(), true).await;
    let network = test.network().replace(test.chain.rpc_url(), &relay.url);
    let network = network.replace("idle_poll_ms = 50", "idle_poll_ms = 30000");
    let mut server = ServerProcess::prepare(&["environment = \"devnet\"\n", &network, &test.token()].concat());
    server.run_good(&["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", WALLET]);
    let key: Value = server.ask(&["key", "create", "--merchant", "1"]);
    let api = ApiClient::new(&server.url, key["api_key"].as_str().unwrap());
    server.start().await.unwrap();
    let invoice = api.create_invoice("20").await;
    is_left_alone(&relay).await;

    let address = api.payment_address(&invoice, "ethereum", USDC).await;
    test.pay(&address, U256::from(20_000_000)).await;
    test.chain.mine(1).await.unwrap();
    eventually_within(AT_ONCE, "the invoice to be paid", async || {
        (api.invoice_status(&invoice.invoice_id).await.invoice.status == InvoiceStatus::Paid).then_some(())
    })
    .await;
}

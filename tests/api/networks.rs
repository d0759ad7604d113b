//! Two networks: what is paid on the other one, and what the trouble of one does to the other.

use alloy_primitives::U256;
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET, eventually};
use serde_json::Value;
use wire::invoice::InvoiceStatus;

const OTHER_USDC: i64 = 7;

struct TwoNetworks {
    ethereum: TestChain,
    base: TestChain,
    server: ServerProcess,
    api: ApiClient,
}

impl TwoNetworks {
    /// `base_decimals` is what the configuration says of Base's token, which has 6.
    async fn start(base_decimals: u8) -> Self {
        let (ethereum, base) = (TestChain::start().await, TestChain::start_as(31_338).await);
        let rename = |text: String| text.replace("name = \"ethereum\"", "name = \"base\"").replace("Ethereum", "Base");
        let other_token = base
            .token()
            .replace(&format!("id = {USDC}\n"), &format!("id = {OTHER_USDC}\n"))
            .replace("decimals = 6", &format!("decimals = {base_decimals}"));
        let config = [
            "environment = \"devnet\"\n",
            &ethereum.network(),
            &ethereum.token(),
            &rename(base.network()),
            &other_token,
        ]
        .concat();
        let mut server = ServerProcess::prepare(&config);
        let email = "o@shop.example";
        server.run_good(&["merchant", "create", "--name", "Shop", "--email", email, "--wallet", WALLET]);
        let key: Value = server.ask(&["key", "create", "--merchant", "1"]);
        let api = ApiClient::new(&server.url, key["api_key"].as_str().unwrap());
        server.start().await.unwrap();
        Self { ethereum, base, server, api }
    }

    async fn offered(&self, invoice: &wire::invoice::CreatedInvoice) -> Vec<String> {
        let offered = self.api.available_tokens(invoice).await;
        offered.into_iter().filter(|token| token.unavailable_reason.is_none()).map(|token| token.network).collect()
    }
}

#[tokio::test]
async fn what_is_paid_to_the_address_on_another_network_counts_and_is_swept_there() {
    let shop = TwoNetworks::start(6).await;
    let invoice = shop.api.create_invoice("20").await;
    let address = shop.api.payment_address(&invoice, "ethereum", USDC).await;
    shop.base.pay(&address, U256::from(20_000_000)).await;
    shop.base.chain.mine(4).await.unwrap();
    assert_eq!(shop.offered(&invoice).await.len(), 2);
    let paid = eventually("the invoice to be paid", async || {
        let status = shop.api.invoice_status(&invoice.invoice_id).await;
        (status.invoice.status == InvoiceStatus::Paid).then_some(status)
    })
    .await;
    assert_eq!(paid.latest_payment.unwrap().network, "base");
    let planned: Value = shop.server.ask(&["sweep", "--all"]);
    let sweeps = planned["sweeps"].as_array().unwrap();
    assert_eq!((sweeps.len(), sweeps[0]["network"].as_str()), (1, Some("base")), "{planned}");
}

#[tokio::test]
async fn a_network_that_is_not_fit_is_hidden_and_no_other() {
    let shop = TwoNetworks::start(18).await;
    let invoice = shop.api.create_invoice("20").await;
    eventually("the network that is not watched to be hidden", async || {
        (shop.offered(&invoice).await == ["ethereum"]).then_some(())
    })
    .await;
    let address = shop.api.payment_address(&invoice, "ethereum", USDC).await;
    shop.ethereum.pay(&address, U256::from(20_000_000)).await;
    shop.ethereum.chain.mine(2).await.unwrap();
    eventually("the invoice to be paid all the same", async || {
        (shop.api.invoice_status(&invoice.invoice_id).await.invoice.status == InvoiceStatus::Paid).then_some(())
    })
    .await;
}

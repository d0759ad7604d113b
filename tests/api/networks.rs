//! Two networks: what is paid on the other one, and what the trouble of one does to the other.

use alloy_primitives::{Bytes, U256};
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET, eventually};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use wire::{
    deposit_address::FACTORY,
    invoice::{CreatedInvoice, InvoiceStatus, SettlementStatus},
};

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
        Self::start_with(base_decimals, "").await
    }

    /// The same with more keys of Base.
    async fn start_with(base_decimals: u8, keys: &str) -> Self {
        let (ethereum, base) = (TestChain::start().await, TestChain::start_as(31_338).await);
        let url = base.chain.rpc_url().to_owned();
        Self::start_on(ethereum, base, base_decimals, keys, &url).await
    }

    /// Base is reached through a line that can be cut.
    async fn start_behind_a_line() -> (Self, Line) {
        let (ethereum, base) = (TestChain::start().await, TestChain::start_as(31_338).await);
        let line = Line::to(base.chain.rpc_url()).await;
        let url = format!("http://127.0.0.1:{}", line.port);
        (Self::start_on(ethereum, base, 6, "", &url).await, line)
    }

    async fn start_on(ethereum: TestChain, base: TestChain, base_decimals: u8, keys: &str, base_url: &str) -> Self {
        let rename = |text: String| text.replace("name = \"ethereum\"", "name = \"base\"").replace("Ethereum", "Base");
        let other_token = base
            .token()
            .replace(&format!("id = {USDC}\n"), &format!("id = {OTHER_USDC}\n"))
            .replace("decimals = 6", &format!("decimals = {base_decimals}"));
        let config = [
            "environment = \"devnet\"\n",
            &ethereum.network(),
            &ethereum.token(),
            &rename(base.network()).replace(base.chain.rpc_url(), base_url),
            keys,
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

    async fn offered(&self, invoice: &CreatedInvoice) -> Vec<String> {
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

    let data: Bytes = sweeps[0]["data"].as_str().unwrap().parse().unwrap();
    let stranger = shop.base.chain.accounts()[7];
    let sent = shop.base.chain.send_transaction(stranger, Some(FACTORY), U256::ZERO, &data).await.unwrap();
    shop.base.chain.mined(sent).await.unwrap();
    assert_eq!(shop.base.balance(WALLET).await, U256::from(20_000_000));
    assert_eq!(shop.ethereum.balance(WALLET).await, U256::ZERO);
    shop.base.chain.mine(5).await.unwrap();
    eventually("the payment to be settled", async || {
        let payment = shop.api.invoice_status(&invoice.invoice_id).await.latest_payment?;
        (payment.settlement_status == SettlementStatus::Settled).then_some(())
    })
    .await;
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

#[tokio::test]
async fn a_network_that_was_reorganised_too_deeply_is_stopped_and_no_other() {
    let shop = TwoNetworks::start_with(6, "ring_blocks = 4\n").await;
    let (lost, paid) = (shop.api.create_invoice("20").await, shop.api.create_invoice("20").await);
    let [lost_address, paid_address] = [
        shop.api.payment_address(&lost, "base", OTHER_USDC).await,
        shop.api.payment_address(&paid, "ethereum", USDC).await,
    ];
    shop.base.pay(&lost_address, U256::from(20_000_000)).await;
    shop.base.chain.mine(8).await.unwrap();
    let status = async |invoice: &CreatedInvoice| shop.api.invoice_status(&invoice.invoice_id).await.invoice.status;
    eventually("what came before to be read", async || (status(&lost).await == InvoiceStatus::Paid).then_some(()))
        .await;
    shop.base.chain.reorg(7).await.unwrap();
    let alarms = || {
        let log = shop.server.log();
        let is_alarm = |line: &&str| line.contains("alarm=\"network_stopped\"") && line.contains("\"base\"");
        log.lines().filter(is_alarm).count()
    };
    eventually("the alarm", async || (alarms() == 1).then_some(())).await;
    eventually("the network to be hidden", async || (shop.offered(&paid).await == ["ethereum"]).then_some(())).await;

    shop.ethereum.pay(&paid_address, U256::from(20_000_000)).await;
    shop.ethereum.chain.mine(2).await.unwrap();
    eventually("the invoice on the other one to be paid", async || {
        (status(&paid).await == InvoiceStatus::Paid).then_some(())
    })
    .await;
    assert_eq!(status(&lost).await, InvoiceStatus::Paid, "nothing is guessed");
    assert_eq!(alarms(), 1, "told of once");
}

/// Passes connections on to a port of this machine, until it is stopped; may be started again at its own port.
struct Line {
    port: u16,
    target: String,
    passing: Option<JoinHandle<()>>,
}

impl Line {
    async fn to(url: &str) -> Self {
        let mut line = Self { port: 0, target: url.trim_start_matches("http://").to_owned(), passing: None };
        line.start().await;
        line
    }

    async fn start(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let target = self.target.clone();
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        let passing = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                let target = target.clone();
                connections.spawn(async move {
                    let mut there = TcpStream::connect(target).await?;
                    tokio::io::copy_bidirectional(&mut here, &mut there).await
                });
            }
        });
        self.passing = Some(passing);
    }

    async fn stop(&mut self) {
        let passing = self.passing.take().unwrap();
        passing.abort();
        // It is over only now, and with it every connection.
        let _aborted = passing.await;
    }
}

#[tokio::test]
async fn a_network_that_dies_keeps_no_other_from_being_paid_and_is_caught_up_with() {
    let (shop, mut line) = TwoNetworks::start_behind_a_line().await;
    let (dead, alive) = (shop.api.create_invoice("20").await, shop.api.create_invoice("20").await);
    let [dead_address, alive_address] = [
        shop.api.payment_address(&dead, "base", OTHER_USDC).await,
        shop.api.payment_address(&alive, "ethereum", USDC).await,
    ];
    let status = async |invoice: &CreatedInvoice| shop.api.invoice_status(&invoice.invoice_id).await.invoice.status;
    shop.base.pay(&dead_address, U256::from(5_000_000)).await;
    shop.base.chain.mine(4).await.unwrap();
    eventually("both to be read", async || (status(&dead).await == InvoiceStatus::Underpaid).then_some(())).await;

    line.stop().await;
    shop.base.pay(&dead_address, U256::from(15_000_000)).await;
    shop.base.chain.mine(4).await.unwrap();
    eventually("one to be out of reach", async || shop.server.log().contains("cannot be reached").then_some(())).await;
    for _ in 0..5 {
        shop.ethereum.pay(&alive_address, U256::from(4_000_000)).await;
    }
    shop.ethereum.chain.mine(2).await.unwrap();
    eventually("the other one to be paid", async || (status(&alive).await == InvoiceStatus::Paid).then_some(())).await;
    assert_eq!(status(&dead).await, InvoiceStatus::Underpaid);

    line.start().await;
    eventually("what came meanwhile to be found", async || (status(&dead).await == InvoiceStatus::Paid).then_some(()))
        .await;
}

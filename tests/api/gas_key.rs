//! Sweeps by the gas-only key: on a real chain, by real servers that are killed, paused and kept short.

use std::{collections::BTreeSet, os::unix::process::ExitStatusExt};

use alloy_primitives::{Address, B256, U256};
use e2e::{
    ApiClient, CLAIM_PATIENCE, Database, ServerProcess, TestChain, USDC, WALLET, WebhookSink, eventually,
    eventually_within,
};
use pepay::sweeping::GasKey;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Row};
use wire::invoice::{InvoiceStatus, SettlementStatus};

const VARIABLE: &str = "PEPAY__SECRETS__SWEEP_KEY";
const KEY: &str = "7d1f3c5a9be2460817d4c6a2f0938b5e1c7a4d2f6e8b0a3957c1d4e2f6a8b0c3";
/// A hundredth of a coin, which pays for some sweeps at two billionths for each unit of gas.
/// Passed by every sweep.
pub const PLACES: [&str; 4] = ["sweep.after_reserve", "sweep.after_send", "sweep.before_record", "sweep.after_record"];
/// Passed by one that waits.
pub const WHEN_RAISED: &str = "sweep.after_raise";
const GWEI_PER_TRANSACTION: u64 = 2_000_000;
const GWEI: u64 = 1_000_000_000;

fn account() -> Address {
    GasKey::parse(KEY).unwrap().address()
}

fn wei(gwei: u64) -> U256 {
    U256::from(gwei) * U256::from(GWEI)
}

/// A chain with the gas-only key's account, and servers on it.
struct World {
    test: TestChain,
    _sink: WebhookSink,
    server: ServerProcess,
    api: ApiClient,
    funded: U256,
}

/// A transaction of the key as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    nonce: i64,
    state: String,
    hashes: Vec<B256>,
    reserved: U256,
    spent: Option<U256>,
}

impl World {
    /// Money waits until it is worth 20 times what its sweep costs; the account has a coin.
    async fn begin(database: Database, limits: &str) -> Self {
        let (mut world, amount) = (Self::without_gas(database, limits).await, wei(GWEI));
        world.fund(amount).await;
        world
    }

    async fn without_gas(database: Database, limits: &str) -> Self {
        let (test, sink) = (TestChain::start().await, WebhookSink::start().await);
        let feed = test.chain.deploy_feed(2000 * 100_000_000).await.unwrap();
        let coin = format!(
            "[[networks.tokens]]\nid = 2\nsymbol = \"ETH\"\nname = \"Ether\"\ndecimals = 18\n\
             price = {{ feed = \"{feed}\", heartbeat_seconds = 86400 }}\n"
        );
        let head = "environment = \"devnet\"\n[nodes]\nlease_ms = 1000\n[sweeps]\nlook_every_seconds = 1\n\
                    replace_after_seconds = 2\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n";
        let limits = format!("sweep_by_key = {limits}\n");
        let config = [head, &test.network(), &limits, &test.token(), &coin].concat();
        let mut server = ServerProcess::prepare_on(database, &config);
        server.set_variable(VARIABLE, KEY);
        let (api, _) = server.create_merchant(&sink.url);
        // A block each second, so that all goes on by itself.
        test.chain.set_interval(1).await.unwrap();
        Self { test, _sink: sink, server, api, funded: U256::ZERO }
    }

    async fn fund(&mut self, amount: U256) {
        let sent = self.test.chain.send_native(self.test.chain.accounts()[0], account(), amount).await.unwrap();
        self.test.chain.mined(sent).await.unwrap();
        self.funded += amount;
    }

    /// An invoice over so many dollars that was paid.
    async fn pay(&self, dollars: u64) -> String {
        let invoice = self.api.create_invoice(&dollars.to_string()).await;
        let address = self.api.payment_address(&invoice, "ethereum", USDC).await;
        self.test.pay(&address, U256::from(dollars * 1_000_000)).await;
        invoice.invoice_id
    }

    async fn is_paid(&self, invoice: &str) {
        eventually("the invoice to be paid", async || {
            (self.api.invoice(invoice).await.status == InvoiceStatus::Paid).then_some(())
        })
        .await;
    }

    async fn is_settled(&self, invoice: &str) -> String {
        eventually_within(CLAIM_PATIENCE, "the payment to be settled", async || {
            let payment = self.api.invoice_status(invoice).await.latest_payment?;
            let is_settled = payment.settlement_status == SettlementStatus::Settled;
            payment.settlement.filter(|_| is_settled).map(|settlement| settlement.settlement_tx_hash)
        })
        .await
    }

    async fn sent(&self) -> Vec<Sent> {
        sqlx::any::install_default_drivers();
        let mut database = AnyConnection::connect(&self.server.database_url()).await.unwrap();
        let rows = sqlx::query("SELECT nonce, state, hashes, reserved, spent FROM sweep_transactions ORDER BY nonce");
        let rows = rows.fetch_all(&mut database).await.unwrap();
        let sent = rows.iter().map(|row| Sent {
            nonce: row.get("nonce"),
            state: row.get("state"),
            hashes: row.get::<String, _>("hashes").split(',').map(|hash| hash.parse().unwrap()).collect(),
            reserved: row.get::<String, _>("reserved").parse().unwrap(),
            spent: row.get::<Option<String>, _>("spent").map(|spent| spent.parse().unwrap()),
        });
        sent.collect()
    }

    /// What is gone from the key's account.
    async fn gone(&self) -> U256 {
        self.funded - self.test.chain.native_balance(account()).await.unwrap()
    }

    async fn transactions(&self) -> usize {
        let count = self.test.chain.rpc("eth_getTransactionCount", json!([account(), "latest"])).await.unwrap();
        usize::from_str_radix(count.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    /// Every transaction of the account is one that was written down, and cost what is written.
    async fn check_books(&self) {
        let sent = eventually_within(CLAIM_PATIENCE, "what was sent to be known", async || {
            let sent = self.sent().await;
            sent.iter().all(|sent| sent.state != "open").then_some(sent)
        })
        .await;
        assert!(sent.iter().all(|sent| sent.state == "mined"), "{sent:?}");
        assert_eq!(sent.iter().map(|sent| sent.nonce).collect::<Vec<_>>(), (0..).take(sent.len()).collect::<Vec<_>>());
        assert_eq!(self.transactions().await, sent.len());
        let cost = sent.iter().fold(U256::ZERO, |sum, sent| sum + sent.spent.unwrap());
        assert_eq!(cost, self.gone().await);
        assert!(sent.iter().all(|sent| sent.spent.unwrap() <= sent.reserved));
    }

    async fn wait_for_line(&self, text: &str) -> String {
        let found = || self.server.log().lines().find(|line| line.contains(text)).map(str::to_owned);
        eventually(text, async || found()).await
    }

    fn lines(&self, text: &str) -> usize {
        self.server.log().lines().filter(|line| line.contains(text)).count()
    }
}

fn limits(per_transaction: u64, per_day: u64) -> String {
    format!("{{ gwei_per_transaction = {per_transaction}, gwei_per_day = {per_day} }}")
}

on_each_database!(
    what_is_worth_it_is_swept_by_itself_and_what_is_not_waits,
    a_kill_at_any_place_sends_nothing_twice_and_stalls_nothing,
    a_transaction_that_waits_is_sent_again_with_a_higher_fee_within_the_limits,
    an_empty_account_is_told_of_once_and_goes_on_when_it_is_filled,
    a_transaction_that_would_cost_too_much_is_not_sent,
);

async fn what_is_worth_it_is_swept_by_itself_and_what_is_not_waits(database: Database) {
    let mut world = World::begin(database, &limits(GWEI_PER_TRANSACTION, 50_000_000)).await;
    world.server.set_variable("PEPAY__LOG__FILTER", "trace");
    world.server.start().await.unwrap();
    let (small, large) = (world.pay(2).await, world.pay(60).await);
    world.is_paid(&small).await;
    let sweep = world.is_settled(&large).await;
    assert_eq!(world.test.balance(WALLET).await, U256::from(60_000_000));
    let sent = world.sent().await;
    assert_eq!(sent[0].hashes, [sweep.parse::<B256>().unwrap()]);
    world.check_books().await;

    // It says what it left, and why.
    let said: Value = world.server.ask(&["sweep"]);
    assert_eq!(said["sweeps"], json!([]));
    let left = &said["left"][0];
    assert_eq!(
        (&left["deposits"], &left["value_usd_millis"], &left["reason"]),
        (&json!(1), &json!(2000), &json!("not_worth_it"))
    );
    let text = world.server.run_good(&["sweep"]);
    assert!(
        text.contains("1 deposits of merchant 1 are left for later, worth $2.000, which is not more than 20 times")
    );
    let all: Value = world.server.ask(&["sweep", "--all"]);
    let offer = &all["sweeps"][0];
    assert_eq!((&offer["deposits"], &offer["value_usd_millis"]), (&json!(1), &json!(2000)));
    let cost = offer["cost_usd_millis"].as_u64().unwrap();
    assert!((100..500).contains(&cost) && 90_000 < offer["gas"].as_u64().unwrap(), "{offer}");

    // Whoever asks for less gets it.
    world.server.kill_9();
    world.server.set_variable("PEPAY__SWEEPS__WORTH_TIMES_COST", "2");
    world.server.start().await.unwrap();
    let sweep = world.is_settled(&small).await;
    assert_eq!(world.sent().await.last().unwrap().hashes, [sweep.parse::<B256>().unwrap()]);
    assert_eq!(world.test.balance(WALLET).await, U256::from(62_000_000));
    world.check_books().await;
    let log = world.server.log();
    assert!(!log.contains(KEY) && !log.contains(&KEY[..16]), "the key is in the log");
    assert!(log.contains(&format!("account={}", account())));
}

async fn a_kill_at_any_place_sends_nothing_twice_and_stalls_nothing(database: Database) {
    let mut world = World::begin(database, &limits(GWEI_PER_TRANSACTION, 50_000_000)).await;
    for (count, place) in PLACES.into_iter().enumerate() {
        world.server.set_variable("PEPAY_FAILPOINT", &format!("{place}:1"));
        world.server.start().await.unwrap();
        let invoice = world.pay(60).await;
        assert_eq!(world.server.wait_for_end().await.signal(), Some(9), "{place}");
        world.server.unset_variable("PEPAY_FAILPOINT");
        let written = world.sent().await;
        assert_eq!(written.len(), count + 1, "{place}: it is written down before it is sent");
        world.server.start().await.unwrap();
        let sweep: B256 = world.is_settled(&invoice).await.parse().unwrap();
        let now = world.sent().await;
        assert_eq!(now.len(), count + 1, "{place}: nothing was sent beside it");
        // With a higher fee, if it took long.
        assert_eq!(now[count].hashes[0], written[count].hashes[0], "{place}: it is the same that was sent");
        assert!(now[count].hashes.contains(&sweep), "{place}");
        world.check_books().await;
        world.server.kill_9();
    }
    assert_eq!(world.test.balance(WALLET).await, U256::from(240_000_000));
}

async fn a_transaction_that_waits_is_sent_again_with_a_higher_fee_within_the_limits(database: Database) {
    const LIMIT: u64 = 300_000;
    let mut world = World::begin(database, &limits(LIMIT, 50_000_000)).await;
    world.server.set_variable("PEPAY_FAILPOINT", "sweep.after_reserve:1");
    world.server.start().await.unwrap();
    let invoice = world.pay(60).await;
    assert_eq!(world.server.wait_for_end().await.signal(), Some(9));
    world.server.unset_variable("PEPAY_FAILPOINT");
    // Blocks go on, but have no room for it.
    let most_gas = world.test.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    let most_gas = most_gas["gasLimit"].clone();
    world.test.chain.rpc("evm_setBlockGasLimit", json!(["0x5208"])).await.unwrap();
    world.server.set_variable("PEPAY_FAILPOINT", &format!("{WHEN_RAISED}:1"));
    world.server.start().await.unwrap();
    assert_eq!(world.server.wait_for_end().await.signal(), Some(9));
    world.server.unset_variable("PEPAY_FAILPOINT");
    let raised = world.sent().await.pop().unwrap();
    assert_eq!(raised.hashes.len(), 2, "the one with the higher fee is written down before it is sent");
    world.server.start().await.unwrap();
    let waiting = eventually_within(CLAIM_PATIENCE, "its fee to be raised as far as it may be", async || {
        world.lines("its fee cannot be raised any more within the limits").eq(&1).then_some(())?;
        world.sent().await.pop()
    })
    .await;
    assert_eq!(waiting.state, "open");
    assert_eq!(waiting.hashes[..2], raised.hashes, "nothing took its place");
    assert_eq!(waiting.hashes.iter().collect::<BTreeSet<_>>().len(), waiting.hashes.len());
    assert!(waiting.reserved <= wei(LIMIT), "{waiting:?}");

    world.test.chain.rpc("evm_setBlockGasLimit", json!([most_gas])).await.unwrap();
    let sweep: B256 = world.is_settled(&invoice).await.parse().unwrap();
    assert!(waiting.hashes.contains(&sweep));
    world.check_books().await;
    assert_eq!(world.sent().await.len(), 1);
}

async fn an_empty_account_is_told_of_once_and_goes_on_when_it_is_filled(database: Database) {
    let mut world = World::without_gas(database, &limits(GWEI_PER_TRANSACTION, 50_000_000)).await;
    world.server.set_variable("PEPAY__LOG__FILTER", "pepay=debug,info");
    world.server.start().await.unwrap();
    let invoice = world.pay(60).await;
    let text = format!("ALARM: the gas-only key {} sends no sweeps on ethereum: the account holds 0 wei", account());
    let alarm = world.wait_for_line(&text).await;
    assert!(alarm.contains("ERROR") && alarm.contains("alarm=\"gas_key_empty\""), "{alarm}");
    // It looks again and again, and keeps that to itself.
    eventually("further looks", async || (2 <= world.lines("DEBUG pepay::sweeping: no sweep is sent")).then_some(()))
        .await;
    assert_eq!(world.sent().await, [], "nothing is written down that cannot be sent");
    world.fund(wei(GWEI)).await;
    world.is_settled(&invoice).await;
    assert_eq!(world.lines("ALARM"), 1);
    world.check_books().await;
}

async fn a_transaction_that_would_cost_too_much_is_not_sent(database: Database) {
    // Two deposits together need about 160,000 units of gas, at a billionth and a little for each; one alone 95,000.
    let mut world = World::begin(database, &limits(1_000, 50_000_000)).await;
    world.server.start().await.unwrap();
    let invoice = world.pay(60).await;
    let warning = world.wait_for_line("a sweep would cost more than sweep_by_key.gwei_per_transaction").await;
    assert!(warning.contains("WARN") && !warning.contains("ALARM"), "{warning}");
    assert_eq!((world.transactions().await, world.sent().await), (0, Vec::new()));
    world.server.kill_9();

    let config = std::fs::read_to_string(world.server.path("pepay.toml")).unwrap();
    let config = config.replace("gwei_per_transaction = 1000,", "gwei_per_transaction = 180000,");
    std::fs::write(world.server.path("pepay.toml"), config).unwrap();
    let second = {
        world.server.start().await.unwrap();
        world.pay(60).await
    };
    // Each in a transaction of its own, as that is all that it may cost.
    world.is_settled(&invoice).await;
    world.is_settled(&second).await;
    world.check_books().await;
    assert!(world.sent().await.iter().all(|sent| sent.reserved <= wei(180_000)), "{:?}", world.sent().await);
}

/// Optimism and Base charge for writing to the chain below, beside what gas costs.
#[tokio::test]
async fn what_a_rollup_charges_beside_gas_is_within_the_limits() {
    const BELOW: u64 = 300_000;
    let test = TestChain::start_as(84_532).await;
    let limits = format!("sweep_by_key = {}\n", limits(500_000, 50_000_000));
    let network = test.network().replace("name = \"ethereum\"", "name = \"rollup\"");
    let head = "environment = \"devnet\"\n[sweeps]\nlook_every_seconds = 1\nafter_days = 0\n[webhooks]\n\
                allow_private_networks = [\"127.0.0.0/8\"]\n";
    let mut server = ServerProcess::prepare(&[head, &network, &limits, &test.token()].concat());
    server.set_variable(VARIABLE, KEY);
    let (api, _) = server.create_merchant("http://127.0.0.1:9/");
    // A contract that always answers with the same number.
    let code = format!("0x7f{:064x}60005260206000f3", wei(BELOW));
    let oracle = "0x420000000000000000000000000000000000000F";
    test.chain.rpc("anvil_setCode", json!([oracle, code])).await.unwrap();
    test.chain.rpc("anvil_setBalance", json!([account(), format!("{:#x}", wei(GWEI))])).await.unwrap();
    test.chain.set_interval(1).await.unwrap();
    server.start().await.unwrap();
    let invoice = api.create_invoice("60").await;
    let address = api.payment_address(&invoice, "rollup", USDC).await;
    test.pay(&address, U256::from(60_000_000)).await;
    let found = || server.log().contains("a sweep would cost more than sweep_by_key.gwei_per_transaction");
    eventually("the limit to hold it back", async || found().then_some(())).await;
    let all: Value = server.ask(&["sweep", "--all"]);
    assert!(all["sweeps"][0]["gas"].as_u64().unwrap() < 150_000, "{all}");

    test.chain
        .rpc(
            "anvil_setCode",
            json!([oracle, code.replace(&format!("{:064x}", wei(BELOW)), &format!("{:064x}", wei(1000)))]),
        )
        .await
        .unwrap();
    eventually_within(CLAIM_PATIENCE, "the payment to be settled", async || {
        let payment = api.invoice_status(&invoice.invoice_id).await.latest_payment?;
        (payment.settlement_status == SettlementStatus::Settled).then_some(())
    })
    .await;
}

const DAY_IS_SPENT: &str = "with another sweep, sweep_by_key.gwei_per_day would be exceeded";

#[tokio::test]
async fn two_nodes_together_stay_within_the_limit_of_a_day() {
    const PER_DAY: u64 = 500_000;
    let mut world = World::begin(Database::Postgres, &limits(250_000, PER_DAY)).await;
    let mut second = world.server.beside();
    second.set_variable(VARIABLE, KEY);
    world.server.start().await.unwrap();
    second.start().await.unwrap();
    let mut addresses = Vec::new();
    for _ in 0..12 {
        let invoice = world.api.create_invoice("60").await;
        addresses.push(world.api.payment_address(&invoice, "ethereum", USDC).await);
    }
    let mut deaths = 0;
    for address in &addresses {
        world.test.pay(address, U256::from(60_000_000)).await;
        let before = world.sent().await.len();
        // Whoever dies, wherever it was, comes back to die somewhere else.
        let is_spent = eventually_within(CLAIM_PATIENCE * 2, "another sweep, or the end of the day", async || {
            for node in [&mut world.server, &mut second] {
                if node.ended().is_some() {
                    node.set_variable("PEPAY_FAILPOINT", &format!("{}:1", PLACES[deaths % PLACES.len()]));
                    deaths += 1;
                    // It may die while it starts.
                    let _at_once = node.start().await;
                }
            }
            let sent = world.sent().await;
            let counted = sent.iter().fold(U256::ZERO, |sum, sent| sum + sent.spent.unwrap_or(sent.reserved));
            assert!(counted <= wei(PER_DAY) && world.gone().await <= wei(PER_DAY), "{sent:?}");
            let is_spent = [&world.server, &second].iter().any(|node| node.log().contains(DAY_IS_SPENT));
            (is_spent || before < sent.len()).then_some(is_spent)
        })
        .await;
        if is_spent {
            break;
        }
        // The one that has the lease dies first.
        for node in [&mut world.server, &mut second] {
            if node.ended().is_none() {
                node.kill_9();
            }
            node.set_variable("PEPAY_FAILPOINT", &format!("{}:1", PLACES[deaths % PLACES.len()]));
            deaths += 1;
            node.start().await.unwrap();
        }
    }
    for node in [&mut world.server, &mut second] {
        if node.ended().is_none() {
            node.kill_9();
        }
        node.unset_variable("PEPAY_FAILPOINT");
        node.start().await.unwrap();
    }
    world.check_books().await;
    let gone = world.gone().await;
    assert!(wei(100_000) < gone && gone <= wei(PER_DAY), "{gone}");
    assert!(2 <= world.sent().await.len());
    eventually("the limit to hold what is left", async || {
        [&world.server, &second].iter().any(|node| node.log().contains(DAY_IS_SPENT)).then_some(())
    })
    .await;
    let waiting = world.server.ask::<Value>(&["sweep", "--all"]);
    assert_ne!(waiting["sweeps"], json!([]), "what the day has no room for waits");
}

#[tokio::test]
async fn a_sweep_that_is_reorganised_away_is_sent_again_and_not_beside_another() {
    let mut world = World::begin(Database::Sqlite, &limits(GWEI_PER_TRANSACTION, 50_000_000)).await;
    world.server.start().await.unwrap();
    let invoice = world.pay(60).await;
    let mined = async |world: &World| world.sent().await.pop().filter(|sent| sent.state == "mined");
    let before = eventually("the sweep to be mined", async || mined(&world).await).await;
    world.test.chain.set_interval(0).await.unwrap();
    world.test.chain.reorg(4).await.unwrap();
    assert_eq!(world.transactions().await, 0, "the block with the sweep is gone");
    eventually("it to be open again", async || (world.sent().await[0].state == "open").then_some(())).await;
    world.test.chain.set_interval(1).await.unwrap();
    let sweep: B256 = world.is_settled(&invoice).await.parse().unwrap();
    world.check_books().await;
    let after = world.sent().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].hashes[0], before.hashes[0]);
    assert!(after[0].hashes.contains(&sweep));
}

#[tokio::test]
async fn a_number_that_something_else_used_is_told_of_and_stalls_nothing() {
    let mut world = World::begin(Database::Sqlite, &limits(GWEI_PER_TRANSACTION, 50_000_000)).await;
    world.server.set_variable("PEPAY_FAILPOINT", "sweep.after_reserve:1");
    world.server.start().await.unwrap();
    let invoice = world.pay(60).await;
    assert_eq!(world.server.wait_for_end().await.signal(), Some(9));
    world.server.unset_variable("PEPAY_FAILPOINT");
    // Whoever else has the key.
    world.test.chain.rpc("anvil_impersonateAccount", json!([account()])).await.unwrap();
    let elsewhere =
        world.test.chain.send_native(account(), world.test.chain.accounts()[3], U256::from(1)).await.unwrap();
    world.test.chain.mined(elsewhere).await.unwrap();
    world.server.start().await.unwrap();
    let alarm = world.wait_for_line("a number of the account was used by a transaction that is not ours").await;
    assert!(alarm.contains("alarm=\"gas_key_used_elsewhere\""), "{alarm}");
    world.is_settled(&invoice).await;
    let sent = world.sent().await;
    assert_eq!(sent.iter().map(|sent| sent.state.as_str()).collect::<Vec<_>>(), ["lost", "mined"]);
    assert_eq!(sent[0].spent, Some(sent[0].reserved), "it may have cost as much");
}

#[tokio::test]
async fn a_key_of_a_merchant_s_wallet_sends_nothing() {
    let mut world = World::begin(Database::Sqlite, &limits(GWEI_PER_TRANSACTION, 50_000_000)).await;
    world.server.run_good(&["merchant", "set-wallet", "1", &account().to_checksum(None)]);
    world.server.start().await.unwrap();
    world.pay(60).await;
    let alarm = world.wait_for_line("the gas-only key is that of a merchant's wallet").await;
    assert!(alarm.contains("alarm=\"gas_key_is_a_wallet\""), "{alarm}");
    assert_eq!((world.transactions().await, world.sent().await), (0, Vec::new()));
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_by_name_and_never_repeated() {
    use std::os::unix::fs::PermissionsExt;

    let test = TestChain::start().await;
    let limits = format!("sweep_by_key = {}\n", limits(1, 1));
    let config = ["environment = \"devnet\"\n", &test.network(), &limits, &test.token()].concat();
    let mut server = ServerProcess::prepare(&config);
    let refused = |server: &ServerProcess, message: &str| {
        let output = server.run(&["serve"]);
        assert!(!output.status.success() && output.stderr.contains(message), "{output:?}");
        assert!(!output.stderr.contains("12ab"), "{output:?}");
    };
    refused(&server, "networks: ethereum has sweep_by_key, but there is no gas-only key");
    server.set_variable(VARIABLE, "12ab");
    refused(&server, "PEPAY__SECRETS__SWEEP_KEY: must be 64 hex digits");
    server.unset_variable(VARIABLE);

    std::fs::write(
        server.path("pepay.toml"),
        format!("[secrets]\nsweep_key_file = \"gas.key\"\n{config}").replacen("environment = \"devnet\"\n", "", 1),
    )
    .unwrap();
    server.set_variable("PEPAY__ENVIRONMENT", "devnet");
    refused(&server, "secrets.sweep_key_file:");
    std::fs::write(server.path("gas.key"), format!("{KEY}\n")).unwrap();
    std::fs::set_permissions(server.path("gas.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&server, "may be read by other users (mode 644)");
    std::fs::set_permissions(server.path("gas.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    server.start().await.unwrap();
    eventually("the key to be in use", async || {
        server
            .log()
            .contains(&format!("the gas-only key sends sweeps payment.network=\"ethereum\" account={}", account()))
            .then_some(())
    })
    .await;
}

//! `pepay check` and `pepay deploy-factory`: what an operator is told, and what is done about it.

use alloy_primitives::{Address, Bytes, U256};
use demo::chain::{ChainOptions, LocalChain};
use e2e::{ApiClient, Database, ServerProcess, TestChain, WALLET, eventually};
use serde_json::{Value, json};
use wire::{
    deposit_address::{FACTORY, LOGIC},
    invoice::CreatedInvoice,
};

use crate::watcher::relay::Relay;

const HEAD: &str = "environment = \"devnet\"\n";
pub const NOT_AUDITED: &str = "the deposit contracts are not audited: nobody independent has reviewed them";

fn create_merchant(server: &ServerProcess, wallet: &str) {
    server.run_good(&["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", wallet]);
}

/// What `pepay check` found that is not good: the title, the level and the words of each.
pub fn faults(server: &ServerProcess) -> (bool, Vec<(String, String, String)>) {
    let output = server.run(&["--json", "check"]);
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let mut faults = Vec::new();
    for section in report["sections"].as_array().unwrap() {
        for finding in section["findings"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            if finding["level"] != "good" {
                assert_ne!(text(&finding["advice"]), "", "it says what to do: {finding}");
                faults.push((text(&section["title"]), text(&finding["level"]), text(&finding["what"])));
            }
        }
    }
    let problems = faults.iter().filter(|(_, level, _)| level == "problem").count();
    assert_eq!(report["problems"], json!(problems));
    (output.status.success(), faults)
}

#[track_caller]
pub fn assert_problem(server: &ServerProcess, words: &str) {
    let (is_well, _) = faults(server);
    assert!(!is_well);
    assert_fault(server, "problem", words);
}

#[track_caller]
pub fn assert_fault(server: &ServerProcess, level: &str, words: &str) {
    let (_, faults) = faults(server);
    assert!(faults.iter().any(|(_, is, what)| is == level && what.contains(words)), "{words}: {faults:?}");
}

on_each_database!(what_is_well_is_called_well);

async fn what_is_well_is_called_well(database: Database) {
    let test = TestChain::start().await;
    let genesis = test.chain.rpc("eth_getBlockByNumber", json!(["0x0", false])).await.unwrap()["hash"].clone();
    let genesis = format!("genesis = {genesis}\n");
    let config = [HEAD, &test.network(), &genesis, &test.token()].concat();
    let mut server = ServerProcess::prepare_on(database, &config);
    create_merchant(&server, WALLET);
    assert_fault(&server, "warning", "no block was read so far");
    server.start().await.unwrap();
    let not_audited = ("everywhere".to_owned(), "warning".to_owned(), NOT_AUDITED.to_owned());
    let found = eventually("the server to read the network", async || {
        let (is_well, found) = faults(&server);
        (is_well && found.len() == 1).then_some(found)
    });
    assert_eq!(found.await, [not_audited]);
    let printed = server.run_good(&["check"]);
    for words in [
        "ethereum (chain 31337)",
        "ok       token USDC: 6 decimals",
        "ok       price of USDC: one dollar",
        "ok       deposit factory: at",
        "ok       wallets: 1 looked at",
        "ok       read up to block",
        "WARNING  the deposit contracts are not audited",
        "-> read contracts/AUDIT.md",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_of_no_use_is_named_with_what_is_wrong() {
    let test = TestChain::start().await;
    let other = LocalChain::start(ChainOptions::new(31338)).await.unwrap();
    let rpc = format!("rpc = [\"{}\"", test.chain.rpc_url());
    let network = test.network().replace(&rpc, &format!("{rpc}, \"{}\", \"http://127.0.0.1:9\"", other.rpc_url()));
    let server = ServerProcess::prepare(&[HEAD, &network, &test.token()].concat());
    let (_, faults) = faults(&server);
    for words in ["is chain 31338 instead of 31337", "endpoint 127.0.0.1:9 cannot be reached"] {
        assert!(
            faults.iter().any(|(title, level, what)| {
                title == "ethereum (chain 31337)" && level == "warning" && what.contains(words)
            }),
            "{words}: {faults:?}"
        );
    }
    drop(test);
    assert_problem(&server, "no endpoint can be used");
}

#[track_caller]
fn assert_not_deployed(server: &ServerProcess, network: &str, words: &str) {
    let refused = server.run(&["deploy-factory"]);
    assert!(!refused.status.success(), "{refused:?}");
    let line = refused.stdout.lines().find(|line| line.starts_with(&format!("{network}: ")));
    assert!(line.is_some_and(|line| line.contains(words)), "{words}: {refused:?}");
}

#[tokio::test]
async fn a_missing_factory_is_deployed_and_another_one_refused() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    let usdc = chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
    let test = TestChain { chain, usdc };
    let by_wallet = ServerProcess::prepare(&[HEAD, &test.network(), &test.token()].concat());
    assert_problem(&by_wallet, &format!("nothing is at {FACTORY}"));

    // Whoever has no account on the node sends what is printed.
    let printed: Value = by_wallet.ask(&["deploy-factory"]);
    let [network] = printed["networks"].as_array().unwrap().as_slice() else { panic!("{printed}") };
    assert_eq!(network["state"], "missing");
    let to: Address = network["to"].as_str().unwrap().parse().unwrap();
    let data: Bytes = network["data"].as_str().unwrap().parse().unwrap();
    let snapshot = test.chain.snapshot().await.unwrap();
    let sent = test.chain.send_transaction(test.chain.accounts()[0], Some(to), U256::ZERO, &data).await;
    test.chain.mined(sent.unwrap()).await.unwrap();
    let printed: Value = by_wallet.ask(&["deploy-factory"]);
    assert_eq!(printed["networks"][0]["state"], "deployed");
    test.chain.revert(snapshot).await.unwrap();

    // Whoever has one need not.
    let by_node = ServerProcess::prepare(&[HEAD, &test.network(), &test.sweep_account(), &test.token()].concat());
    let printed: Value = by_node.ask(&["deploy-factory", "--network", "ethereum"]);
    assert_eq!(printed["networks"][0]["state"], "deployed");
    let (is_well, found) = faults(&by_node);
    assert!(is_well, "{found:?}");

    test.chain.rpc("anvil_setCode", json!([FACTORY.to_string(), "0x60006000fd"])).await.unwrap();
    assert_problem(&by_node, &format!("what is at {FACTORY} is not its code"));
    assert_not_deployed(&by_node, "ethereum", "is not the deposit factory's code");
    // The same of the contract that deposits share, and where nobody could deploy either.
    test.chain.rpc("anvil_setCode", json!([FACTORY.to_string(), "0x"])).await.unwrap();
    assert_problem(&by_node, &format!("what is at {LOGIC} is not its code"));
    assert_not_deployed(&by_node, "ethereum", &format!("what is at {LOGIC} is not the deposit factory's code"));
    test.chain.rpc("anvil_setCode", json!([LOGIC.to_string(), "0x"])).await.unwrap();
    test.chain.rpc("anvil_setCode", json!([to.to_string(), "0x"])).await.unwrap();
    assert_problem(&by_node, "nor is the deployer that could put it there");
    assert_not_deployed(&by_node, "ethereum", &format!("there is no deployer at {to}"));
    let unknown = by_node.run(&["deploy-factory", "--network", "base"]);
    assert!(!unknown.status.success() && unknown.stderr.contains("--network: there is no network base"), "{unknown:?}");
}

#[tokio::test]
async fn a_token_that_is_not_what_was_configured_is_a_problem() {
    let test = TestChain::start().await;
    let token = test.token().replace("decimals = 6", "decimals = 18");
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &token].concat());
    assert_problem(&server, "has 6 decimals, not 18");
    let token = test.token().replace(&test.usdc.to_string(), WALLET);
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &token].concat());
    assert_problem(&server, "token USDC: no token is at");
}

#[tokio::test]
async fn a_wallet_that_is_a_contract_on_one_network_only_is_a_problem() {
    let (test, second) = (TestChain::start().await, LocalChain::start(ChainOptions::new(31338)).await.unwrap());
    second.deploy_factory().await.unwrap();
    let other = test.network().replace("ethereum", "base").replace("31337", "31338");
    let other = other.replace(test.chain.rpc_url(), second.rpc_url()).replace("Ethereum", "Base");
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token(), &other].concat());
    create_merchant(&server, WALLET);
    let (is_well, found) = faults(&server);
    assert!(is_well, "{found:?}");

    let become_a_contract = json!([WALLET, "0x6000"]);
    test.chain.rpc("anvil_setCode", become_a_contract.clone()).await.unwrap();
    assert_problem(&server, &format!("wallet {WALLET}: a contract on ethereum, but not on base"));
    second.rpc("anvil_setCode", become_a_contract).await.unwrap();
    assert!(faults(&server).0);

    // An account that borrows a contract's code is still an account.
    let delegates = format!("0xef0100{}", &FACTORY.to_string()[2..]);
    test.chain.rpc("anvil_setCode", json!([WALLET, delegates])).await.unwrap();
    second.rpc("anvil_setCode", json!([WALLET, "0x"])).await.unwrap();
    assert!(faults(&server).0);
}

/// Of a network called base that nobody answers for.
fn silent_base(test: &TestChain) -> String {
    let silent = test.network().replace("ethereum", "base").replace("31337", "31338");
    silent.replace(test.chain.rpc_url(), "http://127.0.0.1:9").replace("Ethereum", "Base")
}

#[tokio::test]
async fn a_network_that_does_not_say_whether_wallets_are_contracts_is_named() {
    let test = TestChain::start().await;
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token(), &silent_base(&test)].concat());
    assert!(faults(&server).1.iter().all(|(_, _, what)| !what.contains("contracts could not")), "nobody has a wallet");
    let create = ["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", WALLET];
    let unknown = format!("Whether {WALLET} is a contract could not be asked on base; `pepay check` tells later.");
    let created: Value = server.ask(&create);
    assert_eq!(created["warnings"], json!([unknown]));
    assert_fault(&server, "warning", "wallets: whether they are contracts could not be asked on base");

    test.chain.rpc("anvil_setCode", json!([WALLET, "0x6000"])).await.unwrap();
    assert_fault(
        &server,
        "warning",
        &format!("wallet {WALLET}: a contract on ethereum; it is not known what it is on base"),
    );
}

#[tokio::test]
async fn whoever_sets_a_wallet_that_is_a_contract_on_some_networks_is_told() {
    const OTHER: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

    let (test, second) = (TestChain::start().await, LocalChain::start(ChainOptions::new(31338)).await.unwrap());
    let other = silent_base(&test).replace("http://127.0.0.1:9", second.rpc_url());
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token(), &other].concat());
    for wallet in [WALLET, OTHER] {
        test.chain.rpc("anvil_setCode", json!([wallet, "0x6000"])).await.unwrap();
    }
    let told = |wallet: &str| {
        format!(
            "{wallet} is a contract on ethereum, but not on base, where what is sent to it may be out of reach. Deploy \
             the same wallet there, or set another one."
        )
    };
    let create = ["merchant", "create", "--name", "Shop", "--email", "o@shop.example", "--wallet", WALLET];
    let created = server.run_good(&create);
    assert!(created.contains(&format!("WARNING  {}\n", told(WALLET))), "{created}");
    let set: Value = server.ask(&["merchant", "set-wallet", "1", OTHER]);
    assert_eq!((&set["wallet_address"], &set["warnings"]), (&json!(OTHER), &json!([told(OTHER)])));
    second.rpc("anvil_setCode", json!([WALLET, "0x6000"])).await.unwrap();
    let set: Value = server.ask(&["merchant", "set-wallet", "1", WALLET]);
    assert_eq!(set["warnings"], json!([]));
}

#[tokio::test]
async fn the_receiver_of_a_single_invoice_is_looked_at_like_a_wallet() {
    const RECEIVER: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

    let (test, second) = (TestChain::start().await, LocalChain::start(ChainOptions::new(31338)).await.unwrap());
    second.deploy_factory().await.unwrap();
    let other = silent_base(&test).replace("http://127.0.0.1:9", second.rpc_url());
    let mut server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token(), &other].concat());
    create_merchant(&server, WALLET);
    let rights = ["key", "create", "--merchant", "1", "--right", "invoices:create", "--right", "receiver_override"];
    let key: Value = server.ask(&rights);
    let api = ApiClient::new(&server.url, key["api_key"].as_str().unwrap());
    server.start().await.unwrap();
    let request = json!({ "amount_usd": 20, "receiver_override_enable": true, "receiver_override_address": RECEIVER });
    api.try_create_invoice(uuid::Uuid::new_v4(), &request).await.unwrap().good::<CreatedInvoice>();
    assert!(server.run(&["check"]).stdout.contains("wallets: 1 looked at, and 1 receivers of single invoices"));
    test.chain.rpc("anvil_setCode", json!([RECEIVER, "0x6000"])).await.unwrap();
    assert_problem(&server, &format!("receiver {RECEIVER}: a contract on ethereum, but not on base"));
}

#[tokio::test]
async fn one_network_without_an_answer_keeps_no_other_from_its_factory() {
    let chain = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
    let usdc = chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
    let test = TestChain { chain, usdc };
    let parts = [HEAD, &silent_base(&test), &test.network(), &test.sweep_account(), &test.token()];
    let server = ServerProcess::prepare(&parts.concat());
    assert_not_deployed(&server, "base", "the network cannot be asked");
    let again = server.run(&["deploy-factory"]).stdout;
    assert!(again.contains(&format!("ethereum: the factory is at {FACTORY}\n")), "{again}");

    let none = ServerProcess::prepare(HEAD).run(&["deploy-factory"]);
    assert!(!none.status.success() && none.stderr.contains("no network in the configuration"), "{none:?}");
}

#[tokio::test]
async fn a_price_that_is_not_there_is_a_problem_and_a_silent_guard_a_warning() {
    let test = TestChain::start().await;
    let feed = test.chain.deploy_feed(300_000_000_000).await.unwrap();
    let guard = test.chain.deploy_feed(100_000_000).await.unwrap();
    let guarded = format!("guard = {{ feed = \"{guard}\", heartbeat_seconds = 3600 }}\n");
    let eth = |feed: Address| {
        format!(
            "[[networks.tokens]]\nid = 2\nsymbol = \"ETH\"\nname = \"Ether\"\ndecimals = 18\n\
             price = {{ feed = \"{feed}\", heartbeat_seconds = 3600 }}\n"
        )
    };
    let config = [HEAD, &test.network(), &test.token(), &guarded, &eth(feed)].concat();
    let server = ServerProcess::prepare(&config);
    let printed = server.run_good(&["check"]);
    let good = format!("ok       price of USDC: one dollar (guard {guard})");
    assert!(printed.contains(&good) && printed.contains("ok       price of ETH: $3000"), "{printed}");

    let old = test.chain.block_time().await.unwrap() - 10_000;
    test.chain.set_price(guard, 100_000_000, old).await.unwrap();
    assert_fault(&server, "warning", &format!("its guard {guard} says nothing: the feed's price is 10"));
    assert!(faults(&server).0, "a dollar is a dollar without it");
    test.chain.set_price(feed, 300_000_000_000, old).await.unwrap();
    assert_problem(&server, "price of ETH: the feed's price is 10");
    test.chain.set_price(guard, 50_000_000, test.chain.block_time().await.unwrap()).await.unwrap();
    assert_problem(&server, "price of USDC: the token is worth 50000000");

    let server = ServerProcess::prepare(&config.replace(&eth(feed), &eth(test.usdc)));
    assert_problem(&server, "price of ETH: the feed is no aggregator, so it is not quoted");
}

#[tokio::test]
async fn a_feed_that_makes_no_sense_is_named_with_what_is_wrong() {
    let test = TestChain::start().await;
    let feed = test.chain.deploy_feed(300_000_000_000).await.unwrap();
    let coin = format!(
        "[[networks.tokens]]\nid = 2\nsymbol = \"ETH\"\nname = \"Ether\"\ndecimals = 18\n\
         price = {{ feed = \"{feed}\", heartbeat_seconds = 3600 }}\n"
    );
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token(), &coin].concat());
    let now = test.chain.block_time().await.unwrap();
    for (price_e8, at, words) in [
        (0, now, "the feed says that it costs nothing, or less"),
        (-300_000_000_000, now, "the feed says that it costs nothing, or less"),
        (300_000_000_000, 0, "the feed's round is not finished"),
        (300_000_000_000, now + 10_000, "s in the future"),
    ] {
        test.chain.set_price(feed, price_e8, at).await.unwrap();
        let (_, faults) = faults(&server);
        let is_it = |what: &str| what.starts_with("price of ETH: ") && what.ends_with("so it is not quoted");
        let found = faults.iter().find(|(_, level, what)| level == "problem" && is_it(what));
        assert!(found.is_some_and(|(.., what)| what.contains(words)), "{words}: {faults:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_behind_another_is_named() {
    let test = TestChain::start().await;
    test.chain.mine(40).await.unwrap();
    let relay = Relay::start(test.chain.rpc_url(), true).await;
    let head = test.chain.block_number().await.unwrap();
    let lags = |blocks: u64| {
        relay.twist(move |call, answer| {
            if call["method"] == "eth_blockNumber" {
                answer["result"] = json!(format!("{:#x}", head - blocks));
            }
        });
    };
    lags(17);
    let rpc = format!("rpc = [\"{}\"", test.chain.rpc_url());
    let network = test.network().replace(&rpc, &format!("{rpc}, \"{}\"", relay.url.replace("127.0.0.1", "localhost")));
    let server = ServerProcess::prepare(&[HEAD, &network, &test.token()].concat());
    assert_fault(&server, "warning", ", 17 blocks behind another");
    assert!(faults(&server).0, "the other one will do");
    lags(16);
    assert!(faults(&server).1.iter().all(|(.., what)| !what.contains("behind another")), "that is usual");
}

/// Whoever reads about the project is told what its own command tells.
#[test]
fn the_readme_says_that_the_contracts_are_not_audited() {
    let readme = include_str!("../../README.md").to_lowercase();
    assert!(readme.contains("not audited") || readme.contains("not been audited"));
}

#[tokio::test]
async fn what_is_good_enough_for_test_money_is_not_for_real_money() {
    const TEST_ACCOUNT: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    let test = TestChain::start_as(777_777).await;
    let network = test.network().replace("ethereum", "mine");
    let config = [HEAD, &network, &test.token()].concat();
    let server = ServerProcess::prepare(&config);
    create_merchant(&server, TEST_ACCOUNT);
    let (is_well, found) = faults(&server);
    assert!(is_well, "{found:?}");
    assert!(found.iter().all(|(_, _, what)| !what.contains("alarms") && !what.contains("one endpoint")), "{found:?}");

    std::fs::write(server.path("pepay.toml"), config.replace("devnet", "mainnet")).unwrap();
    assert_problem(&server, &format!("wallet {TEST_ACCOUNT}: this is a test account whose key everybody knows"));
    for words in [
        "only one endpoint answers: payments count on its word alone, and none for invoices above $1000",
        "the network's first block is not pinned",
        "alarms are in the log and nowhere else",
        NOT_AUDITED,
    ] {
        assert_fault(&server, "warning", words);
    }
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused_by_name() {
    let test = TestChain::start().await;
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token()].concat());
    let network = test.network().replace("ethereum", "mine");
    let mainnet = [&HEAD.replace("devnet", "mainnet"), network.as_str(), &test.token()].concat();
    std::fs::write(server.path("pepay.toml"), mainnet).unwrap();
    let refused = server.run(&["check"]);
    let words = "networks[0].chain_id: 31337 is a local development chain, which mainnet cannot take money on";
    assert!(!refused.status.success() && refused.stderr.contains(words), "{refused:?}");

    std::fs::write(server.path("pepay.toml"), HEAD).unwrap();
    assert_problem(&server, "no network is configured, so nothing can be paid");
}

//! `pepay check` and `pepay deploy-factory`: what an operator is told, and what is done about it.

use alloy_primitives::Address;
use demo::chain::{ChainOptions, LocalChain};
use e2e::{ServerProcess, TestChain, WALLET, eventually};
use serde_json::{Value, json};
use wire::deposit_address::FACTORY;

const HEAD: &str = "environment = \"devnet\"\n";

/// What `pepay check` found that is not good: the title, the level and the words of each.
fn faults(server: &ServerProcess) -> (bool, Vec<(String, String, String)>) {
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
fn assert_problem(server: &ServerProcess, words: &str) {
    let (is_well, faults) = faults(server);
    assert!(!is_well, "{faults:?}");
    assert!(faults.iter().any(|(_, level, what)| level == "problem" && what.contains(words)), "{words}: {faults:?}");
}

#[tokio::test]
async fn what_is_well_is_called_well() {
    let test = TestChain::start().await;
    let genesis = test.chain.rpc("eth_getBlockByNumber", json!(["0x0", false])).await.unwrap()["hash"].clone();
    let genesis = format!("genesis = {genesis}\n");
    let mut server = ServerProcess::prepare(&[HEAD, &test.network(), &genesis, &test.token()].concat());
    server.create_merchant("http://127.0.0.1:9/");
    server.start().await.unwrap();
    let not_audited = [(
        "everywhere".to_owned(),
        "warning".to_owned(),
        "the deposit contracts have not been audited by anybody else".to_owned(),
    )];
    let found = eventually("the server to read the network", async || {
        let (is_well, found) = faults(&server);
        (is_well && found.len() == 1).then_some(found)
    });
    assert_eq!(found.await, not_audited);
    let output = server.run(&["check"]);
    assert!(
        output.stdout.contains("token USDC: 6 decimals") && output.stdout.contains("deposit factory: at"),
        "{output:?}"
    );
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
    let data: alloy_primitives::Bytes = network["data"].as_str().unwrap().parse().unwrap();
    let snapshot = test.chain.snapshot().await.unwrap();
    let sent =
        test.chain.send_transaction(test.chain.accounts()[0], Some(to), alloy_primitives::U256::ZERO, &data).await;
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
    let refused = by_node.run(&["deploy-factory"]);
    assert!(!refused.status.success() && refused.stderr.contains("is not the deposit factory's code"), "{refused:?}");
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
    server.create_merchant("http://127.0.0.1:9/");
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

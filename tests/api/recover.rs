//! `pepay recover`: deposits found again with nothing but the recovery code and the wallet.

use std::sync::atomic::{AtomicU32, Ordering};

use alloy_primitives::{Address, B256, Bytes, U256};
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET};
use serde_json::{Value, json};
use wire::deposit_address::{FACTORY, deposit_address, salt};

use crate::watcher::relay::{Relay, decline};

const HEAD: &str = "environment = \"devnet\"\n";

#[tokio::test]
async fn what_deposits_hold_is_found_and_swept_without_the_database() {
    let test = TestChain::start().await;
    let config = [HEAD, &test.network(), &test.token()].concat();
    let mut server = ServerProcess::prepare(&config);
    let wallet = WALLET.to_string();
    let create = || -> String {
        let email = "o@shop.example";
        let created: Value =
            server.ask(&["merchant", "create", "--name", "Shop", "--email", email, "--wallet", &wallet]);
        created["recovery_code"].as_str().unwrap().to_owned()
    };
    let (code, strangers) = (create(), create());
    let key: Value = server.ask(&["key", "create", "--merchant", "1"]);
    let api = ApiClient::new(&server.url, key["api_key"].as_str().unwrap());
    server.start().await.unwrap();
    let mut deposits = Vec::new();
    for dollars in 1..=3_u64 {
        let invoice = api.create_invoice(&dollars.to_string()).await;
        deposits.push(api.payment_address(&invoice, "ethereum", USDC).await);
    }
    // The second one is not paid.
    for (index, units) in [(0, 1_500_000_u64), (2, 3_000_000)] {
        test.pay(&deposits[index], U256::from(units)).await;
    }

    // A machine that has nothing but the configuration.
    let mut bare = ServerProcess::prepare(&config);
    std::fs::remove_file(bare.path("pepay.db")).unwrap();
    bare.set_variable("PEPAY_RECOVERY_CODE", &code);
    let recovered: Value = bare.ask(&["recover", "--wallet", &wallet, "--gap", "20"]);
    bare.unset_variable("PEPAY_RECOVERY_CODE");
    let network = &recovered["networks"][0];
    let found: Vec<_> = network["deposits"].as_array().unwrap().iter().collect();
    let shown: Vec<_> = found.iter().map(|found| (&found["sequence"], &found["amount"], &found["token"])).collect();
    assert_eq!(shown, [(&json!(1), &json!("1.5"), &json!("USDC")), (&json!(3), &json!("3"), &json!("USDC"))]);
    assert_eq!(found[1]["deposit_address"].as_str(), deposits[2].temp_address.as_deref());

    let sweeps = network["sweeps"].as_array().unwrap();
    let [sweep] = sweeps.as_slice() else { panic!("one call empties both: {sweeps:?}") };
    let data: Bytes = sweep["data"].as_str().unwrap().parse().unwrap();
    let stranger = test.chain.accounts()[7];
    let transaction = test.chain.send_transaction(stranger, Some(FACTORY), U256::ZERO, &data).await.unwrap();
    test.chain.mined(transaction).await.unwrap();
    assert_eq!(test.balance(WALLET).await, U256::from(4_500_000));
    let nothing: Value = bare.ask(&["recover", "--recovery-code", &code, "--wallet", &wallet, "--gap", "20"]);
    assert_eq!(nothing["networks"][0]["deposits"], json!([]));
    let nothing: Value = bare.ask(&["recover", "--recovery-code", &strangers, "--wallet", &wallet, "--gap", "20"]);
    assert_eq!(nothing["networks"][0]["sweeps"], json!([]));
    assert!(!bare.path("pepay.db").exists(), "it was never made");
}

const CODE: [u8; 32] = [0xab; 32];

fn recover(server: &ServerProcess, more: &[&str]) -> Value {
    let code = hex::encode(CODE);
    let answer: Value = server.ask(&[&["recover", "--recovery-code", &code, "--wallet", WALLET], more].concat());
    answer["networks"][0].clone()
}

fn sequences(network: &Value) -> Vec<u64> {
    network["deposits"].as_array().unwrap().iter().map(|deposit| deposit["sequence"].as_u64().unwrap()).collect()
}

/// Pays to the deposit with that number; returns its salt.
async fn pay_deposit(test: &TestChain, sequence: u64) -> B256 {
    let (wallet, salt): (Address, _) = (WALLET.parse().unwrap(), salt(&CODE, sequence));
    let deposit = deposit_address(wallet, salt);
    let payer = test.chain.accounts()[1];
    let sent = test.chain.send_token(payer, test.usdc, deposit, U256::from(1_000_000)).await.unwrap();
    test.chain.mined(sent).await.unwrap();
    salt
}

#[tokio::test]
async fn deposits_that_were_swept_are_no_part_of_a_gap() {
    let test = TestChain::start().await;
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token()].concat());
    let swept = pay_deposit(&test, 400).await;
    let sweep = test.chain.sweep(test.chain.accounts()[7], WALLET.parse().unwrap(), &[swept], &[test.usdc]).await;
    test.chain.mined(sweep.unwrap()).await.unwrap();
    pay_deposit(&test, 1_100).await;

    // 500 deposits are looked at together: 700 after the 400th is beyond the 1000th, 700 after the first is not.
    let network = recover(&server, &["--gap", "700"]);
    assert_eq!(sequences(&network), [1_100]);
    let looked = |network: &Value| ["looked_from", "looked_until", "last_used"].map(|name| network[name].as_u64());
    assert_eq!(looked(&network), [Some(1), Some(2_000), Some(1_100)]);
    let network = recover(&server, &["--gap", "500"]);
    assert_eq!((sequences(&network), looked(&network)), (vec![], [Some(1), Some(1_000), Some(400)]));
    let network = recover(&server, &["--gap", "100", "--from", "1001"]);
    assert_eq!((sequences(&network), looked(&network)), (vec![1_100], [Some(1_001), Some(1_500), Some(1_100)]));
    let network = recover(&server, &["--gap", "100", "--from", "1101"]);
    assert_eq!((sequences(&network), looked(&network)), (vec![], [Some(1_101), Some(1_600), None]));

    let code = hex::encode(CODE);
    let said = server.run_good(&["recover", "--recovery-code", &code, "--wallet", WALLET, "--gap", "500"]);
    assert!(said.contains("looked at deposits 1 to 1000; the last one that was used is 400"), "{said}");
    let said = server.run_good(&["recover", "--recovery-code", &"cd".repeat(32), "--wallet", WALLET, "--gap", "5"]);
    assert!(said.contains("looked at deposits 1 to 500; none of them was used"), "{said}");
}

// The command is waited for while the relay answers it.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_declines_for_a_moment_is_asked_again() {
    let test = TestChain::start().await;
    pay_deposit(&test, 3).await;
    let relay = Relay::start(test.chain.rpc_url(), true).await;
    let network = test.network().replace(test.chain.rpc_url(), &relay.url);
    let server = ServerProcess::prepare(&[HEAD, &network, &test.token()].concat());
    let declined = AtomicU32::new(0);
    relay.twist(move |call, answer| {
        if call["method"] == "eth_getCode" && declined.fetch_add(1, Ordering::SeqCst) == 0 {
            decline(answer, -32000, "header not found");
        }
    });
    let code = hex::encode(CODE);
    let output = server.run(&["--json", "recover", "--recovery-code", &code, "--wallet", WALLET, "--gap", "5"]);
    assert!(output.status.success() && output.stderr.contains("it is tried again"), "{output:?}");
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(sequences(&answer["networks"][0]), [3]);
}

/// The other wallet of the merchant.
const SECOND_WALLET: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
const COIN: &str = "[[networks.tokens]]\nid = 9\nsymbol = \"ETH\"\nname = \"Ether\"\ndecimals = 18\nprice = \"par\"\n";

/// Two networks that answer and one that does not, in the middle.
fn three_networks(ethereum: &TestChain, optimism: &TestChain) -> String {
    let named = |test: &TestChain, name: &str| test.network().replace("ethereum", name);
    let token = |test: &TestChain, id: i64| test.token().replace("id = 1\n", &format!("id = {id}\n"));
    let silent = named(ethereum, "mine").replace(ethereum.chain.rpc_url(), "http://127.0.0.1:9");
    [
        HEAD,
        &named(ethereum, "ethereum"),
        &token(ethereum, 1),
        COIN,
        &silent.replace("31337", "31339"),
        &token(ethereum, 2),
        &named(optimism, "optimism"),
        &token(optimism, 3),
        &COIN.replace("id = 9", "id = 10"),
    ]
    .concat()
}

#[tokio::test]
async fn a_network_that_cannot_be_asked_hides_nothing_of_the_others() {
    let (ethereum, optimism) = (TestChain::start().await, TestChain::start_as(31_338).await);
    let server = ServerProcess::prepare(&three_networks(&ethereum, &optimism));
    let [first, second]: [Address; 2] = [WALLET, SECOND_WALLET].map(|wallet| wallet.parse().unwrap());
    let deposit = |wallet, sequence| deposit_address(wallet, salt(&CODE, sequence));
    pay_deposit(&ethereum, 2).await;
    pay_deposit(&optimism, 7).await;
    for (test, wallet, sequence, wei) in [(&ethereum, second, 2, 5_u64), (&optimism, second, 4, 6)] {
        let to = deposit(wallet, sequence);
        let sent = test.chain.send_native(test.chain.accounts()[1], to, U256::from(wei)).await.unwrap();
        test.chain.mined(sent).await.unwrap();
    }

    let code = hex::encode(CODE);
    let arguments =
        ["recover", "--recovery-code", &code, "--wallet", WALLET, "--wallet", SECOND_WALLET, "--patience", "0"];
    let output = server.run(&[&["--json"], arguments.as_slice(), &["--gap", "20"]].concat());
    assert!(!output.status.success() && output.stderr.contains("problems that were found: 1"), "{output:?}");
    let answer: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let networks = answer["networks"].as_array().unwrap();
    let shown: Vec<_> = networks
        .iter()
        .flat_map(|network| {
            let deposits = network["deposits"].as_array().unwrap().iter();
            deposits.map(|found| {
                let text = |name: &str| found[name].as_str().unwrap().to_owned();
                let network = network["network"].as_str().unwrap();
                (network, found["sequence"].as_u64().unwrap(), text("wallet"), text("token"), text("amount"))
            })
        })
        .collect();
    let found = |network, sequence, wallet: Address, token: &str, amount: &str| {
        (network, sequence, wallet.to_string(), token.to_owned(), amount.to_owned())
    };
    assert_eq!(
        shown,
        [
            found("ethereum", 2, first, "USDC", "1"),
            found("ethereum", 2, second, "ETH", "0.000000000000000005"),
            found("optimism", 4, second, "ETH", "0.000000000000000006"),
            found("optimism", 7, first, "USDC", "1"),
        ]
    );
    let unknown = &networks[1];
    assert_eq!((&unknown["network"], &unknown["looked_until"]), (&json!("mine"), &Value::Null));
    assert!(unknown["error"].as_str().unwrap().contains("no endpoint of mine can be used"), "{unknown}");
    assert_eq!((&networks[0]["error"], &networks[2]["error"]), (&Value::Null, &Value::Null));

    // A wallet has a call of its own on each network, and gets what that brings.
    let stranger = 7;
    for (test, network) in [(&ethereum, &networks[0]), (&optimism, &networks[2])] {
        let sweeps = network["sweeps"].as_array().unwrap();
        assert_eq!(sweeps.len(), 2, "{sweeps:?}");
        for sweep in sweeps {
            let data: Bytes = sweep["data"].as_str().unwrap().parse().unwrap();
            let from = test.chain.accounts()[stranger];
            let sent = test.chain.send_transaction(from, Some(FACTORY), U256::ZERO, &data).await.unwrap();
            test.chain.mined(sent).await.unwrap();
        }
        assert_eq!(test.balance(WALLET).await, U256::from(1_000_000));
    }
    let coins = [ethereum.chain.native_balance(second).await, optimism.chain.native_balance(second).await];
    assert_eq!(coins.map(Result::unwrap), [U256::from(5), U256::from(6)]);

    let said = server.run(&[arguments.as_slice(), &["--gap", "20"]].concat()).stdout;
    for words in [
        "ethereum: no deposit holds anything\n  looked at deposits 1 to 500; the last one that was used is 2",
        "mine: not known\n  PROBLEM  deposits from 1 on could not be asked about",
        "then run this again; `--from 1` goes on there",
        "optimism: no deposit holds anything",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

// The command is waited for while the relay answers it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_before_a_network_fell_silent_is_told() {
    let test = TestChain::start().await;
    pay_deposit(&test, 3).await;
    let relay = Relay::start(test.chain.rpc_url(), true).await;
    let network = test.network().replace(test.chain.rpc_url(), &relay.url);
    let server = ServerProcess::prepare(&[HEAD, &network, &test.token()].concat());
    let later = hex::encode(deposit_address(WALLET.parse().unwrap(), salt(&CODE, 501)));
    relay.twist(move |call, answer| {
        if call.to_string().contains(&later) {
            decline(answer, -32000, "header not found");
        }
    });
    let code = hex::encode(CODE);
    let arguments = ["--json", "recover", "--recovery-code", &code, "--wallet", WALLET, "--gap", "600"];
    let output = server.run(&[arguments.as_slice(), &["--patience", "1"]].concat());
    assert!(!output.status.success() && output.stderr.contains("it is tried again"), "{output:?}");
    let answer: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let network = &answer["networks"][0];
    assert_eq!((sequences(network), network["looked_until"].as_u64()), (vec![3], Some(500)));
    assert!(network["error"].as_str().unwrap().contains("header not found"), "{network}");
    assert_eq!(network["sweeps"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_recovered_from_is_named() {
    let test = TestChain::start().await;
    let server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token()].concat());
    let wallet = WALLET.to_string();
    for (code, wallet, words) in [
        ("abc", wallet.as_str(), "--recovery-code: must be the 64 hexadecimal digits"),
        (&"ab".repeat(32), "0x12", "--wallet: "),
    ] {
        let output = server.run(&["recover", "--recovery-code", code, "--wallet", wallet]);
        assert!(!output.status.success() && output.stderr.contains(words), "{output:?}");
        assert!(!output.stderr.contains(&"ab".repeat(32)), "the code is not repeated");
    }
    let alone = ServerProcess::prepare("environment = \"devnet\"\n");
    let output = alone.run(&["recover", "--recovery-code", &"ab".repeat(32), "--wallet", &wallet]);
    assert!(!output.status.success() && output.stderr.contains("no network"), "{output:?}");
}

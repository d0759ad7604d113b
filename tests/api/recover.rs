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

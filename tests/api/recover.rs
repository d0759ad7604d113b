//! `pepay recover`: deposits found again with nothing but the recovery code and the wallet.

use alloy_primitives::{Bytes, U256};
use e2e::{ApiClient, ServerProcess, TestChain, USDC, WALLET};
use serde_json::{Value, json};
use wire::deposit_address::FACTORY;

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
    let bare = ServerProcess::prepare(&config);
    std::fs::remove_file(bare.path("pepay.db")).unwrap();
    let recovered: Value = bare.ask(&["recover", "--recovery-code", &code, "--wallet", &wallet, "--gap", "20"]);
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

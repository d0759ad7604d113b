//! The TypeScript client through a payment; all else about it is tested in its own folder.

use std::{path::Path, process::Stdio};

use alloy_primitives::U256;
use e2e::{PATIENCE, ServerProcess, TestChain, USDC, WebhookSink};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};
use wire::invoice::CreatedInvoice;

const HEAD: &str = "environment = \"devnet\"\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n";

#[tokio::test]
async fn the_typescript_client_sees_an_invoice_become_paid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let client = root.join("clients/typescript/dist/index.js");
    assert!(client.is_file(), "the client is not built; run `npm ci && npm run build` in clients/typescript");

    let (test, sink) = (TestChain::start().await, WebhookSink::start().await);
    let mut server = ServerProcess::prepare(&[HEAD, &test.network(), &test.token()].concat());
    let (api, _) = server.create_merchant(&sink.url);
    server.start().await.unwrap();
    let mut program = Command::new("node")
        .arg(root.join("tests/api/client/wait_for_paid.mjs"))
        .env("CLIENT", url::Url::from_file_path(client).unwrap().as_str())
        .env("PEPAY_KEY", &api.api_key)
        .env("PEPAY_URL", &server.url)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut next_line = async || timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("a line");

    let created: CreatedInvoice = serde_json::from_str(&next_line().await).unwrap();
    let address = api.payment_address(&created, "ethereum", USDC).await;
    let payment = test.pay(&address, U256::from(49_999_000)).await;
    test.chain.mine(5).await.unwrap();

    let paid: Value = serde_json::from_str(&next_line().await).unwrap();
    let invoice = &paid["invoice"];
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(49_999)), "{paid}");
    assert_eq!(paid["latest_payment"]["tx_hash"], json!(payment.transaction), "{paid}");
    assert_eq!(paid["payments"][0]["id"], paid["latest_payment"]["id"], "{paid}");
    assert_eq!(paid["found"], json!([created.invoice_id]), "{paid}");
    assert!(timeout(PATIENCE, program.wait()).await.unwrap().unwrap().success());
}

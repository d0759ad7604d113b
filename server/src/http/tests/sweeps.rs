//! What is due, and the page on which a wallet signs it.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wire::deposit_address::{FACTORY, deposit_address};

use super::{Created, Server, add_merchant, authorisation::token, usd};
use crate::{
    invoicing::sweepCall,
    store::{StoreError, SweepFailureRecord},
};

const SWEEPS: &str = "/api/v1/merchant/sweeps";
const RECEIVER: &str = "0x1111111111111111111111111111111111111111";

impl Server {
    /// An invoice that was paid for good.
    async fn paid(&self) -> Created {
        let invoice = self.invoice(json!({})).await;
        self.quote(&invoice).await;
        self.pay(&invoice, usd(20_000), 10).await;
        invoice
    }
}

#[tokio::test]
async fn what_is_due_is_offered_as_a_call_that_any_wallet_may_send() {
    let server = Server::start().await;
    assert_eq!(server.merchant_get(SWEEPS).await.json()["sweeps"], json!([]));
    let (first, second) = (server.paid().await, server.paid().await);
    let answer = server.merchant_get(&format!("{SWEEPS}?all=true")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let plan = answer.json();
    let [sweep] = plan["sweeps"].as_array().unwrap().as_slice() else { panic!("{plan}") };
    let facts = |names: &[&str]| names.iter().map(|name| sweep[*name].clone()).collect::<Vec<_>>();
    assert_eq!(
        facts(&["network", "network_title", "chain_id", "receiver", "to", "value", "value_usd_millis", "cost"]),
        [
            json!("ethereum"),
            json!("Ethereum"),
            json!(31_337),
            json!(RECEIVER),
            json!(FACTORY.to_checksum(None)),
            json!("0"),
            json!(40_000),
            // The chain does not answer here.
            Value::Null
        ]
    );
    assert_eq!(
        sweep["amounts"],
        json!([{ "token_id": 1, "token_symbol": "USDC", "token_decimals": 6, "token_amount": "40",
                 "token_address": "0x00000000000000000000000000000000000000C1" }])
    );
    let deposits = sweep["deposits"].as_array().unwrap();
    let mut invoices: Vec<_> = deposits.iter().map(|deposit| deposit["invoice_id"].clone()).collect();
    invoices.sort_by_key(ToString::to_string);
    let mut expected = [first.id, second.id].map(|id| json!(id.to_string()));
    expected.sort_by_key(ToString::to_string);
    assert_eq!(invoices, expected);

    // The call is what it is said to be.
    let data: alloy_primitives::Bytes = sweep["data"].as_str().unwrap().parse().unwrap();
    let call = sweepCall::abi_decode(&data).unwrap();
    let receiver: Address = RECEIVER.parse().unwrap();
    assert_eq!((call.merchant, call.assets), (receiver, vec![Address::with_last_byte(0xc1)]));
    for (deposit, salt) in deposits.iter().zip(call.salts) {
        assert_eq!(deposit["salt"].as_str().unwrap().parse::<B256>().unwrap(), salt);
        assert_eq!(deposit["address"], deposit_address(receiver, salt).to_checksum(None));
    }
}

#[tokio::test]
async fn what_nobody_can_judge_the_cost_of_is_left_until_it_has_waited_for_long() {
    let server = Server::start().await;
    server.paid().await;
    let plan = server.merchant_get(SWEEPS).await.json();
    assert_eq!((&plan["worth_times_cost"], &plan["after_days"], &plan["sweeps"]), (&json!(20), &json!(7), &json!([])));
    let [left] = plan["left"].as_array().unwrap().as_slice() else { panic!("{plan}") };
    assert_eq!(
        (&left["network"], &left["reason"], &left["value_usd_millis"]),
        (&json!("ethereum"), &json!("cost_unknown"), &json!(20_000))
    );
    assert_eq!(left["deposits"].as_array().unwrap().len(), 1);
    server.clock.advance_seconds(7 * 86_400);
    let plan = server.merchant_get(SWEEPS).await.json();
    assert_eq!((plan["sweeps"].as_array().unwrap().len(), &plan["left"]), (1, &json!([])));
    let plan = server.merchant_get(&format!("{SWEEPS}?network=base")).await.json();
    assert_eq!(plan["sweeps"], json!([]));
}

#[tokio::test]
async fn a_merchant_sees_its_own_deposits_and_failures_only() {
    let server = Server::start().await;
    let invoice = server.paid().await;
    let failure = SweepFailureRecord {
        merchant: server.merchant,
        invoice: invoice.id,
        network: "ethereum".to_owned(),
        token: domain::id::TokenId(1),
        reason: "refused".to_owned(),
        tx_id: "0xaa".to_owned(),
        block_number: 5,
        log_index: 1,
        failed_at: server.app.clock.now(),
    };
    let (record, at) = (failure.clone(), failure.failed_at.0);
    let write = server
        .app
        .store
        .write::<_, StoreError, _>(move |tx| Box::pin(async move { tx.record_sweep_failure(&record).await }));
    write.await.unwrap();
    let plan = server.merchant_get(SWEEPS).await.json();
    assert_eq!(
        plan["failures"],
        json!([{ "network": "ethereum", "invoice_id": invoice.id.to_string(), "token_id": 1, "token_symbol": "USDC",
                 "reason": "refused", "tx_hash": "0xaa", "failed_at": at }])
    );
    assert_eq!(plan["left"][0]["reason"], "failed");
    assert_eq!(server.merchant_get(&format!("{SWEEPS}?network=base")).await.json()["failures"], json!([]));

    let (_, key) = add_merchant(&server.app).await;
    let plan = server.get(&format!("{SWEEPS}?all=true"), &[("x-api-key", &key)]).await.json();
    assert_eq!((&plan["sweeps"], &plan["left"], &plan["failures"]), (&json!([]), &json!([]), &json!([])));
    let bearer = format!("Bearer {}", token(&server, server.merchant).await.0);
    let plan = server.get(&format!("{SWEEPS}?all=true"), &[("authorization", &bearer)]).await.json();
    assert_eq!(plan["sweeps"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_page_runs_its_own_script_and_nothing_else() {
    let server = Server::start().await;
    let page = server.get("/sweep", &[]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), "no-store, no-transform");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let between = |from: &str, to: &str| {
        let (_, rest) = page.text.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    let (script, style) = (between("<script>", "</script>"), between("<style>", "</style>"));
    assert_eq!(
        page.header("content-security-policy"),
        format!(
            "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; object-src 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types 'none'",
            hash(&script),
            hash(&style)
        )
    );
    assert!(page.text.contains(&format!("data-factory=\"{}\"", FACTORY.to_checksum(None))));
    assert!(page.text.contains(&format!("data-selector=\"0x{}\"", hex::encode(sweepCall::SELECTOR))));
    assert_eq!(page.text.matches("<script").count(), 1);
    assert!(!page.text.contains("{{"), "every gap is filled");
    let markup = page.text.replace(&script, "").replace(&style, "");
    for forbidden in [" onclick", " onload", " onsubmit", " style=", "http", " src="] {
        assert!(!markup.contains(forbidden), "{forbidden}");
    }
    for forbidden in ["innerHTML", "outerHTML", "eval(", "localStorage", "sessionStorage", "document.cookie", "http"] {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
}

//! The real server, killed at each place where recording a payment on Solana could hurt: nothing is lost or counted twice.

use std::os::unix::process::ExitStatusExt;

use e2e::{Database, ServerProcess, SolanaChain, SolanaOptions, WebhookSink, eventually};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    invoice::{CreatedInvoice, InvoiceStatus},
    payor::PaymentAddress,
};

/// Passed by each reading that is recorded; the wallet is read again and again.
pub const PLACES: [&str; 7] = [
    "solana.before_record",
    "arrivals.after_orphaning",
    "arrivals.after_transfers",
    "arrivals.after_cursors",
    "arrivals.after_balances",
    "arrivals.after_refold",
    "solana.after_record",
];
const TOKEN: i64 = 1;

on_each_database!(kills_while_payments_on_solana_are_recorded_lose_nothing_and_double_nothing);

async fn kills_while_payments_on_solana_are_recorded_lose_nothing_and_double_nothing(database: Database) {
    let chain = SolanaChain::start_as(&SolanaOptions { tick_ms: 200, ..SolanaOptions::default() }).await;
    let mint = chain.create_mint(6).await;
    let (payer, wallet) = (chain.wallet("payer").await, chain.wallet("merchant").await);
    chain.airdrop(payer, 100_000_000_000).await;
    chain.mint_to(mint, payer, 1_000_000_000_000).await;
    let head =
        "environment = \"devnet\"\n[nodes]\nlease_ms = 1000\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n";
    let config = format!("{head}{}", chain.network(TOKEN, mint).await);
    let sink = WebhookSink::start().await;
    let mut server = ServerProcess::prepare_on(database, &config);
    let (api, _) = server.create_merchant(&sink.url);
    server.run_good(&["merchant", "set-solana-wallet", "1", &wallet.to_string()]);

    let mut paid = Vec::new();
    for place in PLACES {
        server.start().await.unwrap();
        let created: CreatedInvoice =
            api.try_create_invoice(Uuid::new_v4(), &json!({ "amount_usd": 20 })).await.unwrap().good();
        let address: PaymentAddress = api.try_payment_address(&created, "solana", TOKEN).await.unwrap().good();
        assert_eq!(address.temp_address.as_deref(), Some(wallet.to_string().as_str()));
        server.stop().await;
        let amount = address.estimated_token_amount.unwrap();
        let payment = json!({ "recipient": wallet, "mint": mint, "amount": amount });
        let sent: Value = json!({ "wallet": "payer", "payments": [payment] });
        chain.pay_as(sent).await;
        server.set_variable("PEPAY_FAILPOINT", &format!("{place}:1"));
        let status = match server.start().await {
            Err(status) => status,
            Ok(()) => server.wait_for_end().await,
        };
        assert_eq!(status.signal(), Some(9), "{place}");
        server.unset_variable("PEPAY_FAILPOINT");
        paid.push(created);
    }
    server.start().await.unwrap();
    for created in &paid {
        eventually("the invoice to be paid", async || {
            let report = api.invoice_status(&created.invoice_id).await;
            (report.invoice.status == InvoiceStatus::Paid).then_some(())
        })
        .await;
        let report = api.invoice_status(&created.invoice_id).await;
        assert_eq!((report.invoice.amount_remaining, report.invoice.amount_overpaid), (0, 0), "counted once");
    }
}

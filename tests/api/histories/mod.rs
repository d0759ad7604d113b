//! Random histories of a chain, of the server that reads it and of its payer, each judged by what the chain really came to.
//!
//! A history is a seed. When all has come to rest, the invoice must say what follows from the canonical chain alone: no
//! payment lost, none counted twice. What can happen on a chain is said by [`evm`] and [`solana`].

mod evm;
mod hosts;
mod server;
mod solana;

use std::{collections::HashSet, env, fmt::Display};

use domain::invoice::InvoiceStatus;
use pepay::invoicing::Case;
use serde_json::Value;

use self::server::Server;

/// So many in a test; a soak says more.
const FEW: u64 = 1_000;
/// Histories that share a server, each on a network of its own.
const AT_ONCE: usize = 25;
/// After so many a soak says how far it is: each minute or two.
const TOLD_AFTER: usize = 500;
const DUE: u64 = 20_000;

/// What a history was found to be told wrongly.
struct Wrong {
    seed: u64,
    found: Vec<String>,
}

impl Wrong {
    fn new(seed: u64) -> Self {
        Self { seed, found: Vec::new() }
    }

    fn say(&mut self, what: &str) {
        self.found.push(format!("history {}: {what}", self.seed));
    }

    fn check(&mut self, what: &str, is: impl Display, should: impl Display) {
        let (is, should) = (is.to_string(), should.to_string());
        if is != should {
            self.say(&format!("{what} is {is}, not {should}"));
        }
    }

    /// Where an invoice stands, and that the last word of its events is the same and each payment was announced once.
    async fn check_invoice(&mut self, server: &Server, case: &Case, credit: u64, status: InvoiceStatus) {
        let standing = &case.invoice.standing;
        self.check("the credit", standing.credit.as_millis(), credit);
        self.check("the status", format!("{:?}", standing.status), format!("{status:?}"));
        let mut reader = server.app.store.reader().await.unwrap();
        let events = reader.tx().events_of_invoice(case.invoice.merchant, case.invoice.id, 0, 10_000).await.unwrap();
        let is_of = |event_type: &'static str| events.iter().filter(move |event| event.event_type == event_type);
        let objects: Vec<Value> = is_of("invoice_payment.created")
            .filter_map(|event| serde_json::from_str::<Value>(&event.object).ok())
            .map(|object| object["id"].clone())
            .collect();
        let told: HashSet<String> = objects.iter().map(ToString::to_string).collect();
        self.check("the number of announcements", objects.len(), told.len());
        let last =
            is_of("invoice.updated").next_back().and_then(|event| serde_json::from_str::<Value>(&event.object).ok());
        if let Some(last) = last {
            let told = last["status"].as_str().unwrap_or_default();
            self.check("the status last told", told, format!("{status:?}").to_lowercase());
        }
    }
}

/// Runs histories, so many at once, and fails with whatever was found wrong. Those of what `on` names.
async fn judge_histories(on: &str, run: impl AsyncFn(&[u64]) -> Vec<String>) {
    let count = env::var("PEPAY_HISTORIES").map_or(FEW, |count| count.parse().unwrap());
    let first = env::var("PEPAY_FIRST_HISTORY").map_or(1, |first| first.parse().unwrap());
    let seeds: Vec<u64> = (first..first + count).collect();
    let mut wrong = Vec::new();
    for some in seeds.chunks(TOLD_AFTER) {
        for together in some.chunks(AT_ONCE) {
            wrong.extend(run(together).await);
        }
        let last = some.last().unwrap_or(&first);
        println!("histories {first} to {last} of {count} on {on}: {} found wrong", wrong.len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("figure: {count} histories on {on}, none lost or counted a payment twice");
}

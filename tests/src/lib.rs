//! End-to-end tests against the real server, real chains and a real browser.
//!
//! [`TestApp`] runs the server in this process, with a clock that tests move; [`ServerProcess`] runs the
//! `pepay` binary, which can be killed. [`ApiClient`] talks to either as merchants and payers do, and
//! [`WebhookSink`] is what a merchant listens with. [`TestChain`] and [`SolanaChain`] are where payers pay.
//! [`scene::Scene`] is the whole product on one machine, with a [`chromium::Chromium`] in which [`checkout_page::CheckoutPage`] is the payer's page.

mod api_client;
pub mod checkout_page;
pub mod chromium;
mod folder;
pub mod gallery;
mod invoice_event;
pub mod outcome;
pub mod payment_request;
pub mod scene;
mod server_process;
mod solana_chain;
mod terminal;
mod test_app;
mod test_chain;
mod webhook_sink;

use std::time::{Duration, Instant};

pub use api_client::{Answer, ApiClient};
pub use folder::TestFolder;
pub use invoice_event::{append_events, invoice_event};
pub use server_process::{CommandOutput, ServerProcess, pepay_binary};
pub use solana_chain::{DroppedTransaction, SolanaChain, SolanaFault, SolanaOptions, SolanaPaid, SolanaPayer};
pub use terminal::{Typed, type_at_terminal, type_behind};
pub use test_app::{Database, Merchant, TestApp};
pub use test_chain::{SentPayment, TestChain, USDC};
pub use webhook_sink::{Received, Reply, WebhookSink};

/// The longest that anything these tests wait for may take; only a failure takes that long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take until all webhooks are sent after a server died while it sent some. Shorter than the minute
/// after which they would be due again if nobody noticed.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(45);

/// A wallet that no test chain has an account for.
pub const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// Settings that are 0 wherever a test asks more often than a good client does.
const WITHOUT_RATE_LIMITS: [&str; 4] = [
    "requests_per_minute_per_key",
    "requests_per_minute_per_session",
    "requests_per_minute_per_address",
    "failed_credentials_per_minute",
];

/// Asks again and again until there is an answer; `what` names it if there never is one.
///
/// # Panics
///
/// After [`PATIENCE`].
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask).await
}

/// The same, for what may take longer.
///
/// # Panics
///
/// When the patience is at its end.
pub async fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! Local chains and a demo shop, used by `cargo xtask demo` and by the end-to-end tests.
//!
//! The shop knows the checkout only as a merchant's program would, through its public API, and the
//! chains are real EVMs. Nothing here is part of the product.

use std::time::Duration;

pub mod chain;
mod process;
pub mod shop;
pub mod solana;
pub mod stage;
pub mod webhook;

/// A client for calls to this machine: no proxy, and no call hangs for ever.
///
/// # Errors
///
/// When the system refuses to set up a client.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    // The first caller of the process wins; a provider that is already there is as good.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()
}

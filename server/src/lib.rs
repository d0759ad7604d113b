//! Self-hosted, non-custodial crypto checkout.

pub mod app;
pub mod chains;
pub mod clock;
pub mod config;
pub mod events;
pub mod failpoint;
pub mod http;
pub mod invoicing;
pub mod rates;
pub mod session;
pub mod store;
#[cfg(test)]
mod testing;
pub mod view;

//! Self-hosted, non-custodial crypto checkout.

pub mod alarm;
pub mod app;
mod brand;
pub mod chains;
pub mod cli;
pub mod clock;
pub mod config;
mod connections;
pub mod credentials;
mod email;
pub mod events;
pub mod failpoint;
pub mod http;
pub mod invoicing;
pub mod keys;
pub mod limits;
pub mod log;
pub mod merchants;
mod metrics;
pub mod nodes;
pub mod rates;
pub mod sealing;
pub mod serve;
pub mod session;
pub mod solana;
pub mod store;
pub mod sweeping;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod transaction_id;
pub mod view;
pub mod wallet;
pub mod webhooks;
pub mod xpub;

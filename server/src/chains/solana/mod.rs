//! Watching Solana: what a node's answers say, what a transaction brought to whom, and a watcher that reads all of it.

pub mod accounts;
mod holdings;
mod listing;
mod reconcile;
pub mod rpc;
mod token_accounts;
pub mod transaction;
#[cfg(test)]
mod transaction_tests;
mod watcher;

pub use self::{token_accounts::TokenAccounts, watcher::Watcher};
pub(crate) use self::{
    token_accounts::{is_there, program_of, token_account},
    watcher::{check_mint, head},
};

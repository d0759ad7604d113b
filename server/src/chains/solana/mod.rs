//! Reading Solana: what a node's answers say, and what a transaction brought to whom.
//!
//! Nothing here asks a node, and nothing believes more than it has to: an answer that contradicts itself is an error.

pub mod accounts;
pub mod rpc;
pub mod transaction;
#[cfg(test)]
mod transaction_tests;

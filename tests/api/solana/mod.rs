//! Payments on Solana, on the real VM: whose each is, what it is worth, and what becomes of it when the chain, an endpoint
//! or the server misbehaves.

mod attribution;
pub mod crash;
mod over_http;
mod reading;
mod reconcile;
mod rules;
mod searches;
mod shop;
mod standing;

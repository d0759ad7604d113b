//! The server's promises: its parts together on real chains and a real database, and the whole through its
//! public API.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod cli;
mod crash;
mod sweep;
mod watcher;
mod webhooks;

//! The server's parts together, on real chains and a real database.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod watcher;

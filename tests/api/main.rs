//! The server's promises: its parts together on real chains and a real database, and the whole through its
//! public API.

mod cli;
mod watcher;
mod webhooks;

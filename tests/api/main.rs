//! The server's promises, through its public API.

mod cli;
mod webhooks;

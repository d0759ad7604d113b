//! The server's parts together, on real chains and a real database.

mod watcher;

//! The server's promises: its parts together on real chains and a real database, and the whole through its
//! public API.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

/// Makes a test on each database of functions that are given one.
macro_rules! on_each_database {
    ($($promise:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $promise() {
                    super::$promise(e2e::Database::Sqlite).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test]
                async fn $promise() {
                    super::$promise(e2e::Database::Postgres).await;
                }
            )+
        }
    };
}

mod alarms;
mod canaries;
mod check;
mod cli;
mod client;
mod crash;
mod gas_key;
mod hang_ups;
mod histories;
mod idle;
mod late_prices;
mod metrics;
mod networks;
mod plain_invoice;
mod random;
mod recover;
mod solana;
mod solana_cli;
mod solana_operator;
mod streams;
mod sweep;
mod two_nodes;
mod verification;
mod watcher;
mod webhooks;

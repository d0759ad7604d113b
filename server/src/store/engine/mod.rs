//! What differs between the two engines: opening, checking, locking, and how writes are committed.

mod postgres;
mod sqlite;

use std::any::Any;

use domain::id::{EndpointId, InvoiceId, MerchantId};
use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, AnyPool};
use tokio::sync::{Notify, mpsc};

use super::{StoreError, Tx, WriterTask};

/// A write, with its type erased. It runs inside a transaction.
pub(super) type Job = Box<dyn for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Outcome> + Send>;

/// What a job left behind, and what to do once that is durable.
pub(super) enum Outcome {
    /// Keep the changes; call this after the commit.
    Keep(Box<dyn FnOnce() + Send>),
    /// Undo this job's changes; call this after that.
    Undo(Box<dyn FnOnce() + Send>),
}

/// Opens the database of a URL: connections to read with, and the task that does the jobs.
#[expect(clippy::disallowed_methods, reason = "shutdown waits for the writer by its handle")]
pub(super) async fn open(url: &str, jobs: mpsc::Receiver<Job>) -> Result<(AnyPool, WriterTask), StoreError> {
    sqlx::any::install_default_drivers();
    match scheme(url) {
        "sqlite" => {
            let (readers, connection) = sqlite::open(url).await?;
            Ok((readers, tokio::spawn(sqlite::run_writer(connection, jobs))))
        }
        _ if is_shared(url) => {
            let (readers, writers) = postgres::open(url).await?;
            Ok((readers, tokio::spawn(postgres::run_writers(writers, jobs))))
        }
        scheme => Err(StoreError::UnknownEngine(scheme.to_owned())),
    }
}

/// Tells and hears of what is new on a database that nodes share. What they tell each other is only that it may be
/// worth looking: losing it costs a second.
pub(super) struct Hints {
    url: Option<String>,
}

impl Hints {
    /// For the database of a URL.
    pub(super) fn of(url: &str) -> Self {
        Self { url: is_shared(url).then(|| url.to_owned()) }
    }

    /// Whether there may be others to tell.
    pub(super) fn are_shared(&self) -> bool {
        self.url.is_some()
    }

    /// Tells the others now.
    pub(super) async fn send(&self, connections: &AnyPool) {
        if self.are_shared() {
            postgres::send_hint(connections).await;
        }
    }

    /// Tells the others each time `outgoing` is told, but not too often, and calls `heard` when they tell us. Goes on
    /// until it is dropped.
    pub(super) async fn carry(&self, connections: &AnyPool, outgoing: &Notify, heard: impl FnMut()) {
        match &self.url {
            Some(url) => {
                tokio::join!(postgres::send_hints(connections, outgoing), postgres::hear_hints(url, heard));
            }
            None => std::future::pending().await,
        }
    }
}

/// Whether several nodes may work on the database of a URL.
fn is_shared(url: &str) -> bool {
    matches!(scheme(url), "postgres" | "postgresql")
}

fn scheme(url: &str) -> &str {
    url.split(':').next().unwrap_or_default()
}

/// Whether the database gave up a transaction because of another one, so that it can simply be tried again.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    const SERIALIZATION_FAILURE: &str = "40001";
    const DEADLOCK: &str = "40P01";
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| [SERIALIZATION_FAILURE, DEADLOCK, LOCK_NOT_AVAILABLE].contains(&code.as_ref()))
}

impl Tx<'_> {
    /// Whether other transactions write at the same time, so that what is read to be written has to be
    /// locked first. SQLite has one writer.
    pub(super) fn has_rivals(&self) -> bool {
        self.connection.backend_name() == postgres::NAME
    }

    /// The database's own clock in milliseconds, as SQL: the clocks of nodes may differ.
    pub(super) fn now_ms(&self) -> &'static str {
        if self.has_rivals() {
            "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT"
        } else {
            "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
        }
    }

    /// Ends a query for rows that this transaction is about to take: on to the next ones, if somebody else
    /// is taking these.
    pub(super) fn skip_taken(&self, table: &'static str) -> String {
        if self.has_rivals() { format!("FOR NO KEY UPDATE OF {table} SKIP LOCKED") } else { String::new() }
    }

    /// Keeps other writes of this invoice and of its quotes and facts out until this one ends. Comes before
    /// reading what is then written; whoever locks several takes them in the order of their ids.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn lock_invoice(&mut self, merchant: MerchantId, invoice: InvoiceId) -> Result<(), StoreError> {
        if self.has_rivals() {
            // Not the stronger lock, which rows that refer to this one would wait for.
            sqlx::query("SELECT 1 FROM invoices WHERE merchant_id = $1 AND invoice_id = $2 FOR NO KEY UPDATE")
                .bind(merchant.0)
                .bind(invoice.to_string())
                .fetch_optional(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// Keeps other writes of this kind for the merchant out until this one ends.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn lock_merchant(&mut self, merchant: MerchantId) -> Result<(), StoreError> {
        if self.has_rivals() {
            sqlx::query("SELECT 1 FROM merchants WHERE merchant_id = $1 FOR NO KEY UPDATE")
                .bind(merchant.0)
                .fetch_optional(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// Keeps other writes of this webhook endpoint out until this one ends.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn lock_endpoint(&mut self, merchant: MerchantId, endpoint: EndpointId) -> Result<(), StoreError> {
        if self.has_rivals() {
            sqlx::query(
                "SELECT 1 FROM webhook_endpoints WHERE merchant_id = $1 AND endpoint_id = $2 FOR NO KEY UPDATE",
            )
            .bind(merchant.0)
            .bind(endpoint.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    /// Keeps others from moving a network's cursor, also one that does not exist yet, until this write ends.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn lock_network(&mut self, network: &str) -> Result<(), StoreError> {
        if self.has_rivals() {
            // A number of our own beside the name's, so that other users of such locks do not meet it.
            sqlx::query("SELECT pg_advisory_xact_lock(1885693030, hashtext($1))")
                .bind(network)
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// Locks, in the order of their ids, the invoices `seen` and all whose facts on `network` may change with
    /// its head: those not final, and those above `fork`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn lock_invoices_of_network(
        &mut self,
        network: &str,
        fork: Option<u64>,
        seen: impl IntoIterator<Item = (MerchantId, InvoiceId)>,
    ) -> Result<(), StoreError> {
        if !self.has_rivals() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT merchant_id, invoice_id FROM transfers
             WHERE network = $1 AND canonical = 1 AND (finality <> 'final' OR block_number > $2)
             UNION SELECT merchant_id, invoice_id FROM sweeps
             WHERE network = $1 AND canonical = 1 AND (finality <> 'final' OR block_number > $2)",
        )
        .bind(network)
        .bind(fork.map_or(i64::MAX, super::transfers::block_number))
        .fetch_all(&mut *self.connection)
        .await?;
        let mut keys: std::collections::BTreeSet<_> = seen.into_iter().collect();
        for row in &rows {
            keys.insert(super::invoices::read_key(row, "transfers")?);
        }
        for (merchant, invoice) in keys {
            self.lock_invoice(merchant, invoice).await?;
        }
        Ok(())
    }
}

fn panic_text(panic: &Box<dyn Any + Send>) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

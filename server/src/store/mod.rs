//! What is kept: one file per aggregate, one SQL text for both engines.
//!
//! A write is a closure over [`Tx`]; everything it does is one transaction, durable when
//! [`Store::write`] returns. The same methods read, inside a write or through a [`Reader`]. Nothing here
//! decides about money: rows come in and go out as the domain's values.

mod acceptance;
mod address_modes;
mod api_keys;
mod brands;
mod chain;
mod comparisons;
mod dashboard_tokens;
mod deliveries;
mod endpoints;
mod engine;
mod events;
mod finality;
mod invoice_lists;
mod invoices;
mod leases;
mod merchants;
mod quotes;
mod readers;
mod row;
mod rpc_endpoints;
mod shops;
mod solana;
mod statement;
mod stream_tokens;
mod subscriptions;
mod sweep_transactions;
mod transfers;
mod unattributed;
mod verifications;
mod wallets;

#[cfg(test)]
#[macro_use]
mod contract;
#[cfg(test)]
mod address_contract;
#[cfg(test)]
mod lease_contract;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod settings_contract;
#[cfg(test)]
mod solana_contract;
#[cfg(test)]
mod sweep_contract;
#[cfg(test)]
mod webhook_contract;

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::AnyConnection;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};

pub use address_modes::UniqueAmount;
pub use api_keys::{ApiKeyRecord, NewApiKey};
pub use brands::BrandRecord;
pub use chain::{BlockRef, WatchedDeposit};
pub use comparisons::{Comparison, Difference, Lane, Recorded, Round};
pub use dashboard_tokens::DashboardTokenRecord;
pub use deliveries::{
    Attempt, Claim, DeliveryCursor, DeliveryFilter, DeliveryPart, DeliveryRecord, DeliveryState, DueDelivery,
    OwedEndpoint, Requeued, Settlement,
};
pub use endpoints::{Disabled, DisabledReason, Endpoint, EndpointRole, PreviousSecret};
pub use events::{EventFilter, EventPart, EventTypes, LogPart, NewEvent, Pruned, StoredEvent};
pub use finality::{FactKey, FactKind, OpenFacts, UnvouchedFact};
pub use invoice_lists::{CreatedBetween, FirstPayer, InvoiceCursor, InvoiceFilter, InvoiceList, Part, StatusSum};
pub use invoices::{IdempotencyRecord, InvoiceRecord, InvoiceVersion, NewInvoice};
pub use leases::{Impairment, Lease, LeaseState, NodeId};
pub use merchants::{MerchantRecord, NewMerchant, SettlementChoice};
pub use quotes::{PriceOrigin, QuoteRecord};
pub use readers::Reader;
use readers::Readers;
pub use rpc_endpoints::RpcEndpointRecord;
pub use shops::Shop;
pub use solana::{AccountBalance, AccountCursor, AddressStock, OpenSignature, Unexplained, WatchedWallet};
pub use stream_tokens::{AccessEnd, Credential, MerchantStreamToken, StreamSession};
pub use subscriptions::{Subscription, matches as subscription_matches};
pub use sweep_transactions::{SweepFailureRecord, SweepState, SweepTransaction};
pub use transfers::{SweepRecord, TransferRecord};
pub use unattributed::{UnattributedPart, UnattributedPlace, UnattributedRecord};
pub use verifications::{Failure, VerificationRecord};
pub use wallets::WalletRecord;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database cannot be opened")]
    Open(#[source] sqlx::Error),
    #[error("the database cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    #[error("{what} is {found}, but only {wanted} is safe")]
    Unsafe { what: &'static str, found: String, wanted: &'static str },
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
    #[error("column {column} of {table} makes no sense: {value}")]
    Corrupt { table: &'static str, column: &'static str, value: String },
    #[error("the write could not be committed")]
    NotCommitted,
    #[error("the lease {name} of term {term} is not held any more")]
    LeaseLost { name: String, term: i64 },
    #[error("a database URL starts with sqlite: or postgres:, not {0}:")]
    UnknownEngine(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if engine::is_conflict(&error) { Self::NotCommitted } else { Self::Database(error) }
    }
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: Arc<Readers>,
    writer: mpsc::Sender<engine::Job>,
    wakes: Arc<Wakes>,
    hints: Arc<engine::Hints>,
}

/// What may be worth another look.
#[derive(Default)]
struct Wakes {
    /// A commit added events, which want their numbers.
    events_added: Notify,
    /// Events got their numbers.
    log_grew: Notify,
    /// Somebody may have given a lease back.
    leases: Notify,
    /// Other nodes are to be told.
    outgoing: Notify,
}

/// The task that writes; ends once every write is done and every [`Store`] is gone.
pub type WriterTask = JoinHandle<()>;

impl Store {
    /// Opens the database and starts its writer.
    ///
    /// # Errors
    ///
    /// If it cannot be opened or migrated, or if the engine, or how it is set up, is known to lose data.
    pub async fn open(database_url: &str) -> Result<(Self, WriterTask), StoreError> {
        let (writer, jobs) = mpsc::channel(1024);
        let (pool, task) = engine::open(database_url, jobs).await?;
        let readers = Readers::of(pool);
        Ok((Self { readers, writer, wakes: Arc::default(), hints: Arc::new(engine::Hints::of(database_url)) }, task))
    }

    /// Opens a database file; see [`Store::open`].
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_file(path: &Path) -> Result<(Self, WriterTask), StoreError> {
        // In a URL these would end the path or start an escape.
        let path = path.display().to_string().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        Self::open(&format!("sqlite:{path}")).await
    }

    /// Runs `work` as one transaction and returns once it is durable; an error undoes all of it.
    ///
    /// The work goes on to its end even if the caller stops waiting.
    ///
    /// # Errors
    ///
    /// What `work` returns, or [`StoreError::NotCommitted`] if its changes could not be kept; should the
    /// connection break in the very moment of the commit, they may have been.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let wakes = Arc::clone(&self.wakes);
        let job: engine::Job = Box::new(move |connection| {
            Box::pin(async move {
                let mut tx = Tx { connection, has_new_events: false };
                let result = work(&mut tx).await;
                let has_new_events = tx.has_new_events;
                let keep = result.is_ok();
                let then: Box<dyn FnOnce() + Send> = Box::new(move || {
                    if keep && has_new_events {
                        wakes.events_added.notify_one();
                        // Another node may be the one that numbers them.
                        wakes.outgoing.notify_one();
                    }
                    // Nobody may be waiting any more; the work is done all the same.
                    let _hung_up = answer.send(result);
                });
                if keep { engine::Outcome::Keep(then) } else { engine::Outcome::Undo(then) }
            })
        });
        self.writer.send(job).await.map_err(|_| StoreError::NotCommitted)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::NotCommitted.into()))
    }

    /// A connection to read with.
    ///
    /// # Errors
    ///
    /// If no connection can be had.
    pub async fn reader(&self) -> Result<Reader, StoreError> {
        self.readers.lend().await
    }

    /// Closes the connections to read with, so that the writer, when it ends, is the last to leave and
    /// tidies up. Nothing can be read afterwards.
    pub async fn close_readers(&self) {
        self.readers.close().await;
    }

    /// Whether other nodes may work on the same database.
    pub fn is_shared(&self) -> bool {
        self.hints.are_shared()
    }

    /// Waits until a commit adds events, here or on another node; may wake without one.
    pub async fn events_added(&self) {
        self.wakes.events_added.notified().await;
    }

    /// Says that events got their numbers.
    pub fn log_grew(&self) {
        self.wakes.log_grew.notify_one();
        self.wakes.outgoing.notify_one();
    }

    /// Waits for [`Store::log_grew`], here or on another node; may wake without it.
    pub async fn log_growth(&self) {
        self.wakes.log_grew.notified().await;
    }

    /// Tells other nodes at once that a lease is free.
    pub async fn lease_freed(&self) {
        self.wakes.leases.notify_waiters();
        self.hints.send(self.readers.pool()).await;
    }

    /// Waits until somebody may have given a lease back; may wake without that, and may miss it.
    pub async fn lease_freeing(&self) {
        self.wakes.leases.notified().await;
    }

    /// Carries word between the nodes on this database until it is dropped. They look by themselves each second, so
    /// nothing depends on it but how soon.
    pub async fn carry_hints(&self) {
        let heard = || {
            self.wakes.events_added.notify_one();
            self.wakes.log_grew.notify_one();
            self.wakes.leases.notify_waiters();
        };
        self.hints.carry(self.readers.pool(), &self.wakes.outgoing, heard).await;
    }
}

/// The database as one transaction sees it. Its methods stand in the files of their aggregates.
pub struct Tx<'c> {
    connection: &'c mut AnyConnection,
    has_new_events: bool,
}

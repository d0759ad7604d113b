//! Connections to read with, lent from one reader to the next.
//!
//! The pool asks each connection that comes back whether it still works, and again before it goes out. Beside queries
//! that take as long as that question, it costs more than they do; so a connection is lent on for a moment before it
//! goes back there.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Any, AnyPool, pool::PoolConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{StoreError, Tx};

/// How long a connection is lent on. One that broke fails its readers for as long at most.
const LENT_ON_FOR: Duration = Duration::from_secs(1);

/// The connections of one [`super::Store`] that are used to read.
pub(super) struct Readers {
    pool: AnyPool,
    /// One for each reader. There is one connection more, for who asks the pool itself.
    places: Arc<Semaphore>,
    resting: Mutex<Vec<Lent>>,
}

struct Lent {
    connection: PoolConnection<Any>,
    /// When the pool gave it out.
    since: Instant,
}

impl Readers {
    pub(super) fn of(pool: AnyPool) -> Arc<Self> {
        let places =
            usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX).saturating_sub(1).max(1);
        Arc::new(Self { pool, places: Arc::new(Semaphore::new(places)), resting: Mutex::default() })
    }

    pub(super) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    pub(super) async fn lend(self: &Arc<Self>) -> Result<Reader, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let lent = match self.rested() {
            Some(lent) => lent,
            None => Lent { connection: self.pool.acquire().await?, since: Instant::now() },
        };
        Ok(Reader { lent: Some(lent), readers: Arc::clone(self), _place: place })
    }

    /// Closes all connections; waits for those that are lent.
    pub(super) async fn close(&self) {
        self.places.close();
        self.resting().clear();
        self.pool.close().await;
    }

    /// A connection that can be lent on; those that cannot go back to the pool.
    fn rested(&self) -> Option<Lent> {
        let mut resting = self.resting();
        resting.retain(|lent| lent.since.elapsed() < LENT_ON_FOR);
        resting.pop()
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Lent>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to read with; each call sees what was committed by then.
///
/// It never begins a transaction, so that one that is dropped in the middle of a query leaves none open.
pub struct Reader {
    lent: Option<Lent>,
    readers: Arc<Readers>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    pub fn tx(&mut self) -> Tx<'_> {
        let lent = self.lent.as_mut().expect("it is there until the reader is dropped");
        Tx { connection: &mut lent.connection, has_new_events: false }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let can_be_lent_on = |lent: &Lent| lent.since.elapsed() < LENT_ON_FOR && !self.readers.pool.is_closed();
        if let Some(lent) = self.lent.take().filter(can_be_lent_on) {
            self.readers.resting().push(lent);
        }
    }
}

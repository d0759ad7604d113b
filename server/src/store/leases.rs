//! Which nodes there are, and which of them may do what only one may do at a time.
//!
//! A lease belongs to its holder until it lapses, by the database's clock. Each time it is taken its term rises.
//! Whatever a holder writes, [`Tx::check_lease`] comes first in the same transaction: it fails if the lease went
//! to somebody else meanwhile, and keeps it from doing so until the transaction ends. So a node that was asleep
//! when it lost a lease writes nothing when it wakes.

use std::{fmt, sync::Arc, time::Duration};

use super::{StoreError, Tx, row::Columns};
use crate::clock::random_bytes;

/// A process that is only slow must not be taken for one that fell asleep.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// One run of one process on the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// An id that no other run has.
    pub fn random() -> Self {
        Self(format!("node_{}", hex::encode(random_bytes::<8>())).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for NodeId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

/// The right to do what only one node may do, for as long as nobody else has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub name: Arc<str>,
    pub holder: NodeId,
    pub term: i64,
    /// How long it lasts unless it is renewed.
    pub length: Duration,
}

/// What keeps a holder from doing what it holds a lease for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impairment {
    /// For so long.
    For(Duration),
    /// It will not try again.
    GivenUp,
}

/// How a lease stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseState {
    pub name: String,
    /// `None` when it was given back.
    pub holder: Option<NodeId>,
    pub term: i64,
    /// For how long nobody has had it; `None` while somebody has.
    pub free_for: Option<Duration>,
    pub impairment: Option<Impairment>,
}

impl Tx<'_> {
    /// Takes a lease that is free; `None` if somebody has it.
    ///
    /// A database with one server at a time has no use for lapsing: whoever asks there comes after those that are
    /// gone.
    ///
    /// # Errors
    ///
    /// If the database refuses, also because the one who had it is in the middle of a write.
    pub async fn take_lease(
        &mut self,
        name: &str,
        node: &NodeId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.sleep_at_most(length).await?;
        let now = self.now_ms();
        let is_free = if self.has_rivals() {
            format!("leases.holder IS NULL OR leases.expires_ms <= {now}")
        } else {
            "1 = 1".to_owned()
        };
        let sql = format!(
            "INSERT INTO leases (name, holder, term, expires_ms) VALUES ($1, $2, 1, {now} + $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = leases.term + 1,
                expires_ms = excluded.expires_ms, impaired_ms = NULL
             WHERE {is_free} RETURNING term"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(name)
            .bind(node.as_str())
            .bind(millis(length))
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let term = Columns::of(&row, "leases").integer("term")?;
        Ok(Some(Lease { name: name.into(), holder: node.clone(), term, length }))
    }

    /// Keeps a lease for its length from now on; `false` if it is lost.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn renew_lease(&mut self, lease: &Lease, impairment: Option<Impairment>) -> Result<bool, StoreError> {
        self.sleep_at_most(lease.length).await?;
        let now = self.now_ms();
        // Since the beginning of all time: for good.
        let impaired = match impairment {
            Some(Impairment::For(duration)) => format!("{now} - {}", millis(duration)),
            Some(Impairment::GivenUp) => "0".to_owned(),
            None => "NULL".to_owned(),
        };
        let sql = format!(
            "UPDATE leases SET expires_ms = {now} + $4, impaired_ms = {impaired}
             WHERE name = $1 AND holder = $2 AND term = $3"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&*lease.name)
            .bind(lease.holder.as_str())
            .bind(lease.term)
            .bind(millis(lease.length))
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a lease back, so that somebody else may take it at once. One that is lost stays as it is.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn release_lease(&mut self, lease: &Lease) -> Result<(), StoreError> {
        self.sleep_at_most(lease.length).await?;
        let now = self.now_ms();
        let sql = format!(
            "UPDATE leases SET holder = NULL, expires_ms = {now} WHERE name = $1 AND holder = $2 AND term = $3"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&*lease.name)
            .bind(lease.holder.as_str())
            .bind(lease.term)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Makes sure that a lease is held, and that it stays so until this transaction ends. Comes first in all
    /// that its holder writes.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`] if it belongs to somebody else, or to nobody.
    pub async fn check_lease(&mut self, lease: &Lease) -> Result<(), StoreError> {
        // Taking the lease waits for this transaction.
        self.sleep_at_most(lease.length).await?;
        let lock = if self.has_rivals() { "FOR SHARE" } else { "" };
        let sql = format!("SELECT holder, term FROM leases WHERE name = $1 {lock}");
        let row =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&*lease.name).fetch_optional(&mut *self.connection).await?;
        if let Some(row) = row {
            let columns = Columns::of(&row, "leases");
            let is_holder = columns.optional_text("holder")?.is_some_and(|holder| holder == lease.holder.as_str());
            if is_holder && columns.integer("term")? == lease.term {
                return Ok(());
            }
        }
        Err(StoreError::LeaseLost { name: lease.name.to_string(), term: lease.term })
    }

    /// Has the database end this transaction should the process fall asleep inside it: the others need not wait
    /// for its locks longer than for the lease itself, or for a second if that is longer.
    async fn sleep_at_most(&mut self, length: Duration) -> Result<(), StoreError> {
        if self.has_rivals() {
            sqlx::query("SELECT set_config('idle_in_transaction_session_timeout', $1, true)")
                .bind(format!("{}ms", millis(length.max(SHORTEST_SLEEP))))
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// How the leases stand whose names begin like that.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn leases(&mut self, begins: &str) -> Result<Vec<LeaseState>, StoreError> {
        let now = self.now_ms();
        // LIKE would take an underscore for any character.
        let sql = format!(
            "SELECT name, holder, term, {now} - expires_ms AS lapsed_for_ms, impaired_ms, {now} - impaired_ms AS impaired_for_ms
             FROM leases WHERE SUBSTR(name, 1, {}) = $1 ORDER BY name",
            begins.len()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(begins).fetch_all(&mut *self.connection).await?;
        let lapses = self.has_rivals();
        rows.iter()
            .map(|row| {
                let columns = Columns::of(row, "leases");
                let holder = columns.optional_text("holder")?.map(NodeId::from);
                let lapsed_for = columns.integer("lapsed_for_ms")?;
                let is_free = holder.is_none() || lapses && 0 <= lapsed_for;
                let impairment = match columns.optional_integer("impaired_ms")? {
                    None => None,
                    Some(0) => Some(Impairment::GivenUp),
                    Some(_) => Some(Impairment::For(duration(columns.integer("impaired_for_ms")?))),
                };
                Ok(LeaseState {
                    name: columns.text("name")?,
                    holder,
                    term: columns.integer("term")?,
                    free_for: is_free.then(|| duration(lapsed_for)),
                    impairment,
                })
            })
            .collect()
    }

    /// Says that a node lives, and will for some time.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn keep_node(&mut self, node: &NodeId, length: Duration) -> Result<(), StoreError> {
        let now = self.now_ms();
        // Where there is one node at a time, the others are dead; here they are forgotten some time later.
        let dead = if self.has_rivals() { format!("alive_until_ms < {now} - 3600000") } else { "1 = 1".to_owned() };
        let sql = format!("DELETE FROM nodes WHERE node_id <> $1 AND {dead}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(node.as_str()).execute(&mut *self.connection).await?;
        let sql = format!(
            "INSERT INTO nodes (node_id, alive_until_ms) VALUES ($1, {now} + $2)
             ON CONFLICT (node_id) DO UPDATE SET alive_until_ms = excluded.alive_until_ms"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(node.as_str())
            .bind(millis(length))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Says that a node has come to its end.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_node(&mut self, node: &NodeId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM nodes WHERE node_id = $1").bind(node.as_str()).execute(&mut *self.connection).await?;
        Ok(())
    }

    /// The nodes that live, as far as is known. Who has died is in here for one more lease.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn living_nodes(&mut self) -> Result<Vec<NodeId>, StoreError> {
        let now = self.now_ms();
        // Where there is one node at a time, nobody else could say that it is dead.
        let alive = if self.has_rivals() { format!("{now} < alive_until_ms") } else { "1 = 1".to_owned() };
        let sql = format!("SELECT node_id FROM nodes WHERE {alive} ORDER BY node_id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *self.connection).await?;
        rows.iter().map(|row| Ok(Columns::of(row, "nodes").text("node_id")?.into())).collect()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

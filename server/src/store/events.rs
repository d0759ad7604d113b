//! The log of what happened. An event is written with the change it tells of and numbered afterwards,
//! in the order of its commit, so that a reader that follows the numbers skips nothing.

use domain::{
    id::{EventId, InvoiceId, MerchantId},
    time::UnixMillis,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};

/// An event to be written; `object` and `previous_attributes` are JSON.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub event_type: &'static str,
    pub environment: wire::Environment,
    pub object: String,
    pub previous_attributes: Option<String>,
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
    pub created: UnixMillis,
}

/// An event that has its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    pub id: EventId,
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub event_type: String,
    /// `devnet` or `mainnet`.
    pub environment: String,
    pub object: String,
    pub previous_attributes: Option<String>,
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
}

impl Tx<'_> {
    /// Writes an event into the outbox and queues its webhook deliveries.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn append_event(&mut self, event: &NewEvent) -> Result<(), StoreError> {
        let row = sqlx::query(
            "INSERT INTO events (merchant_id, invoice_id, event_type, environment, object, previous_attributes,
                request_id, idempotency_key, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING event_key",
        )
        .bind(event.merchant.0)
        .bind(event.invoice.to_string())
        .bind(event.event_type)
        .bind(event.environment.as_str())
        .bind(&event.object)
        .bind(&event.previous_attributes)
        .bind(&event.request_id)
        .bind(&event.idempotency_key)
        .bind(event.created.0)
        .fetch_one(&mut *self.connection)
        .await?;
        let key = Columns::of(&row, "events").integer("event_key")?;
        self.has_new_events = true;
        self.queue_deliveries(event.merchant, event.invoice, key, event.created).await
    }

    /// Whether any event waits for its number.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn has_unnumbered_events(&mut self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT event_key FROM events WHERE sequence IS NULL LIMIT 1")
            .fetch_optional(&mut *self.connection)
            .await?;
        Ok(row.is_some())
    }

    /// Numbers at most `limit` events that have no number yet, in the order they were written; returns
    /// each one's invoice and number.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn number_events(&mut self, limit: i64) -> Result<Vec<(MerchantId, InvoiceId, i64)>, StoreError> {
        // Taking the counter first keeps any other sequencer out until this transaction ends.
        let counter = sqlx::query("UPDATE counters SET value = value WHERE name = 'events' RETURNING value")
            .fetch_one(&mut *self.connection)
            .await?;
        let mut sequence = Columns::of(&counter, "counters").integer("value")?;
        let rows = sqlx::query(
            "SELECT event_key, merchant_id, invoice_id FROM events WHERE sequence IS NULL ORDER BY event_key LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        let mut numbered = Vec::with_capacity(rows.len());
        for row in &rows {
            sequence += 1;
            sqlx::query("UPDATE events SET sequence = $2 WHERE event_key = $1")
                .bind(Columns::of(row, "events").integer("event_key")?)
                .bind(sequence)
                .execute(&mut *self.connection)
                .await?;
            let (merchant, invoice) = super::invoices::read_key(row, "events")?;
            numbered.push((merchant, invoice, sequence));
        }
        sqlx::query("UPDATE counters SET value = $1 WHERE name = 'events'")
            .bind(sequence)
            .execute(&mut *self.connection)
            .await?;
        Ok(numbered)
    }

    /// Events of one invoice with a number above `after`, in order, at most `limit`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn events_of_invoice(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE merchant_id = $1 AND invoice_id = $2 AND sequence > $3
             ORDER BY sequence LIMIT $4",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_event).collect()
    }

    /// The newest number in the log; 0 while it is empty.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn last_event_sequence(&mut self) -> Result<i64, StoreError> {
        let row =
            sqlx::query("SELECT value FROM counters WHERE name = 'events'").fetch_one(&mut *self.connection).await?;
        Columns::of(&row, "counters").integer("value")
    }
}

pub(super) fn read_event(row: &AnyRow) -> Result<StoredEvent, StoreError> {
    let columns = Columns::of(row, "events");
    Ok(StoredEvent {
        id: EventId { created: UnixMillis(columns.integer("created_ms")?), sequence: columns.integer("sequence")? },
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.parsed("invoice_id")?,
        event_type: columns.text("event_type")?,
        environment: columns.text("environment")?,
        object: columns.text("object")?,
        previous_attributes: columns.optional_text("previous_attributes")?,
        request_id: columns.optional_text("request_id")?,
        idempotency_key: columns.optional_text("idempotency_key")?,
    })
}

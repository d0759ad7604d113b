//! The log of what happened. An event is written with the change it tells of and numbered afterwards,
//! in the order of its commit, so that a reader that follows the numbers skips nothing.

use domain::{
    id::{EndpointId, EventId, InvoiceId, MerchantId},
    time::UnixMillis,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, invoice_lists::CreatedBetween, row::Columns, statement::Statement};

/// An event to be written; `object` and `previous_attributes` are JSON.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub merchant: MerchantId,
    /// `None` for what concerns no invoice.
    pub invoice: Option<InvoiceId>,
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
    /// `None` for what concerns no invoice.
    pub invoice: Option<InvoiceId>,
    pub event_type: String,
    /// `devnet` or `mainnet`.
    pub environment: String,
    pub object: String,
    pub previous_attributes: Option<String>,
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
}

/// Which events are meant by their type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTypes {
    All,
    One(String),
    /// Those whose type begins like that.
    Below(String),
}

/// Which of a merchant's events are meant; what is empty or `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Any of these.
    pub types: Vec<EventTypes>,
    pub invoice: Option<InvoiceId>,
    pub environment: Option<wire::Environment>,
    pub created: CreatedBetween,
}

/// Which part of the log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPart {
    Newest,
    Before(EventId),
    After(EventId),
}

impl Tx<'_> {
    /// Writes an event into the outbox and queues its webhook deliveries.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn append_event(&mut self, event: &NewEvent) -> Result<(), StoreError> {
        let key = self.insert_event(event).await?;
        self.queue_deliveries(event, key).await
    }

    /// As [`Tx::append_event`], for one endpoint alone, whatever that asked for.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn append_event_to(&mut self, event: &NewEvent, endpoint: EndpointId) -> Result<(), StoreError> {
        let key = self.insert_event(event).await?;
        self.queue_delivery_to(endpoint, event, key).await
    }

    async fn insert_event(&mut self, event: &NewEvent) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "INSERT INTO events (merchant_id, invoice_id, event_type, environment, object, previous_attributes,
                request_id, idempotency_key, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING event_key",
        )
        .bind(event.merchant.0)
        .bind(event.invoice.map(|invoice| invoice.to_string()))
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
        Ok(key)
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
    /// each one's merchant, invoice, if it has one, and number.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn number_events(&mut self, limit: i64) -> Result<Vec<(MerchantId, Option<InvoiceId>, i64)>, StoreError> {
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
            let columns = Columns::of(row, "events");
            sqlx::query("UPDATE events SET sequence = $2 WHERE event_key = $1")
                .bind(columns.integer("event_key")?)
                .bind(sequence)
                .execute(&mut *self.connection)
                .await?;
            let merchant = MerchantId(columns.integer("merchant_id")?);
            numbered.push((merchant, columns.optional_parsed("invoice_id")?, sequence));
        }
        sqlx::query("UPDATE counters SET value = $1 WHERE name = 'events'")
            .bind(sequence)
            .execute(&mut *self.connection)
            .await?;
        Ok(numbered)
    }

    /// The merchants, invoices and numbers of events above `after`, in order, at most `limit`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn numbered_events(
        &mut self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<(MerchantId, Option<InvoiceId>, i64)>, StoreError> {
        let sql = "SELECT merchant_id, invoice_id, sequence FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        let rows = sqlx::query(sql).bind(after).bind(limit).fetch_all(&mut *self.connection).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns::of(row, "events");
                let merchant = MerchantId(columns.integer("merchant_id")?);
                Ok((merchant, columns.optional_parsed("invoice_id")?, columns.integer("sequence")?))
            })
            .collect()
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

    /// At most `limit` of a merchant's events, newest first, and whether there are more in the direction
    /// that was asked for.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn event_list(
        &mut self,
        merchant: MerchantId,
        filter: &EventFilter,
        part: EventPart,
        limit: usize,
    ) -> Result<(Vec<StoredEvent>, bool), StoreError> {
        let statement = list_statement(merchant, filter, part, limit);
        let rows = statement.query().fetch_all(&mut *self.connection).await?;
        let mut events = rows.iter().map(read_event).collect::<Result<Vec<_>, _>>()?;
        let has_more = limit < events.len();
        events.truncate(limit);
        if matches!(part, EventPart::After(_)) {
            events.reverse();
        }
        Ok((events, has_more))
    }

    /// A merchant's event by its whole id.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn event(&mut self, merchant: MerchantId, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        let row = sqlx::query("SELECT * FROM events WHERE merchant_id = $1 AND sequence = $2 AND created_ms = $3")
            .bind(merchant.0)
            .bind(id.sequence)
            .bind(id.created.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_event).transpose()
    }

    /// How many webhooks about an event have neither arrived nor been given up.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn pending_webhooks(&mut self, merchant: MerchantId, id: EventId) -> Result<u32, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS pending FROM events e JOIN webhook_endpoints w ON w.merchant_id = e.merchant_id
             JOIN deliveries d ON d.merchant_id = w.merchant_id AND d.endpoint_id = w.endpoint_id
                AND d.event_key = e.event_key
             WHERE e.merchant_id = $1 AND e.sequence = $2 AND w.is_active = 1 AND d.due_ms IS NOT NULL",
        )
        .bind(merchant.0)
        .bind(id.sequence)
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "deliveries").number("pending")
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

/// The query that finds a part of the log and one event more.
fn list_statement(merchant: MerchantId, filter: &EventFilter, part: EventPart, limit: usize) -> Statement {
    let mut statement = Statement::of("SELECT * FROM events WHERE merchant_id = ");
    statement.bind(merchant.0);
    // What has no number yet is not in the log yet.
    let (cursor, comparison, order) = match part {
        EventPart::Newest => (0, ">", "DESC"),
        EventPart::Before(id) => (id.sequence, "<", "DESC"),
        EventPart::After(id) => (id.sequence, ">", "ASC"),
    };
    statement.push(&format!(" AND sequence {comparison} "));
    statement.bind(cursor);
    if let Some(invoice) = filter.invoice {
        statement.push(" AND invoice_id = ");
        statement.bind(invoice.to_string());
    }
    if let Some(environment) = filter.environment {
        statement.push(" AND environment = ");
        statement.bind(environment.as_str().to_owned());
    }
    if let Some(from) = filter.created.from {
        statement.push(" AND created_ms >= ");
        statement.bind(from.0);
    }
    if let Some(to) = filter.created.to {
        statement.push(" AND created_ms <= ");
        statement.bind(to.0);
    }
    push_types(&mut statement, "event_type", &filter.types);
    statement.push(&format!(" ORDER BY sequence {order} LIMIT "));
    statement.bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1));
    statement
}

/// Adds a condition: the column's type is one of those meant, if any are named.
pub(super) fn push_types(statement: &mut Statement, column: &str, types: &[EventTypes]) {
    for (index, meant) in types.iter().enumerate() {
        statement.push(if index == 0 { " AND (" } else { " OR " });
        match meant {
            EventTypes::All => statement.push("1 = 1"),
            EventTypes::One(name) => {
                statement.push(&format!("{column} = "));
                statement.bind(name.clone());
            }
            EventTypes::Below(start) => {
                // LIKE would take an underscore for any character.
                statement.push(&format!("SUBSTR({column}, 1, {}) = ", start.len()));
                statement.bind(start.clone());
            }
        }
    }
    if !types.is_empty() {
        statement.push(")");
    }
}

pub(super) fn read_event(row: &AnyRow) -> Result<StoredEvent, StoreError> {
    let columns = Columns::of(row, "events");
    Ok(StoredEvent {
        id: EventId { created: UnixMillis(columns.integer("created_ms")?), sequence: columns.integer("sequence")? },
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.optional_parsed("invoice_id")?,
        event_type: columns.text("event_type")?,
        environment: columns.text("environment")?,
        object: columns.text("object")?,
        previous_attributes: columns.optional_text("previous_attributes")?,
        request_id: columns.optional_text("request_id")?,
        idempotency_key: columns.optional_text("idempotency_key")?,
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::{store::Store, testing::TempDir};

    async fn plan(filter: EventFilter, part: EventPart) -> String {
        let dir = TempDir::new();
        let (store, _writer) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
        let mut reader = store.reader().await.unwrap();
        let mut statement = list_statement(MerchantId(1), &filter, part, 10);
        statement.explain();
        let rows = statement.query().fetch_all(&mut *reader.tx().connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn the_log_is_read_from_an_index_in_its_order() {
        let id = EventId { created: UnixMillis(1), sequence: 7 };
        let invoice = Some(InvoiceId::from_random([1; 16]));
        for part in [EventPart::Newest, EventPart::Before(id), EventPart::After(id)] {
            let types = vec![EventTypes::Below("invoice.".to_owned()), EventTypes::One("test.ping".to_owned())];
            let all = plan(EventFilter { types, ..EventFilter::default() }, part).await;
            assert!(all.contains("USING INDEX events_by_merchant ("), "{all}");
            let one = plan(EventFilter { invoice, ..EventFilter::default() }, part).await;
            assert!(one.contains("USING INDEX events_by_invoice ("), "{one}");
            assert!(!format!("{all}{one}").contains("TEMP B-TREE"), "{all} {one}");
        }
    }
}

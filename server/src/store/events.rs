//! The log of what happened. An event is written with the change it tells of and numbered afterwards,
//! in the order of its commit, so that a reader that follows the numbers skips nothing.

use std::collections::BTreeMap;

use domain::{
    id::{EndpointId, EventId, InvoiceId, MerchantId},
    time::UnixMillis,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, invoice_lists::CreatedBetween, row::Columns, statement::Statement};

/// How many rows a filter may look through at once.
const LOOKED_THROUGH: usize = 1_000;

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

impl EventTypes {
    fn includes(&self, event_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(name) => name == event_type,
            Self::Below(start) => event_type.starts_with(start.as_str()),
        }
    }
}

/// Which of a merchant's events are meant; what is empty or `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Any of these.
    pub types: Vec<EventTypes>,
    pub invoice: Option<InvoiceId>,
    /// Of whichever invoice, but of one.
    pub of_invoices: bool,
    /// The merchant's name for the customer of the invoice.
    pub customer: Option<String>,
    pub environment: Option<wire::Environment>,
    pub created: CreatedBetween,
}

impl EventFilter {
    /// Whether it leaves the merchant's whole log, or that of one invoice.
    fn is_plain(&self) -> bool {
        *self == Self { invoice: self.invoice, ..Self::default() }
    }
}

/// Events in their order, as far as the log was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    pub events: Vec<StoredEvent>,
    /// The number up to which there is nothing else that was meant.
    pub reached: i64,
    /// Whether that was all there is so far.
    pub is_end: bool,
}

/// What a step of tidying the log did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub events: u64,
    /// Where the next step begins; `None` if nothing behind is old enough.
    pub next: Option<i64>,
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
            "SELECT event_key, merchant_id, invoice_id FROM events WHERE sequence IS NULL
             ORDER BY event_key LIMIT $1 + 0",
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
        let sql = "SELECT merchant_id, invoice_id, sequence FROM events WHERE sequence > $1
            ORDER BY sequence LIMIT $2 + 0";
        let rows = sqlx::query(sql).bind(after).bind(limit).fetch_all(&mut *self.connection).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns::of(row, "events");
                let merchant = MerchantId(columns.integer("merchant_id")?);
                Ok((merchant, columns.optional_parsed("invoice_id")?, columns.integer("sequence")?))
            })
            .collect()
    }

    /// At most `limit` of a merchant's events that are meant and have a number above `after`, in order.
    ///
    /// However rare they are, no more than `LOOKED_THROUGH` rows are looked through; whoever follows the log
    /// goes on from where this got to.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn events_after(
        &mut self,
        merchant: MerchantId,
        filter: &EventFilter,
        after: i64,
        limit: usize,
    ) -> Result<LogPart, StoreError> {
        let rows = if filter.is_plain() { limit } else { LOOKED_THROUGH };
        let window = window_statement(merchant, filter, after, rows);
        let window = window.query().fetch_one(&mut *self.connection).await?;
        let columns = Columns::of(&window, "events");
        let Some(end) = columns.optional_integer("window_end")? else {
            return Ok(LogPart { events: Vec::new(), reached: after, is_end: true });
        };
        let is_end = columns.number::<usize>("window_rows")? < rows;

        let part = window_part_statement(merchant, filter, after, end, limit);
        let rows = part.query().fetch_all(&mut *self.connection).await?;
        let events = rows.iter().map(read_event).collect::<Result<Vec<_>, _>>()?;
        match events.last() {
            Some(last) if events.len() == limit && last.id.sequence < end => {
                Ok(LogPart { reached: last.id.sequence, is_end: false, events })
            }
            _ => Ok(LogPart { events, reached: end, is_end }),
        }
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
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let filter = EventFilter { invoice: Some(invoice), ..EventFilter::default() };
        Ok(self.events_after(merchant, &filter, after, limit).await?.events)
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
        let Some(numbers) = self.numbers_of_time(merchant, filter.created).await? else {
            return Ok((Vec::new(), false));
        };
        let mut sequences = Vec::new();
        for kind in self.kinds(merchant, filter).await? {
            let statement = list_statement(merchant, filter, kind.as_ref(), numbers, part, limit);
            let rows = statement.query().fetch_all(&mut *self.connection).await?;
            for row in &rows {
                sequences.push(Columns::of(row, "events").integer("sequence")?);
            }
        }
        let is_after = matches!(part, EventPart::After(_));
        sequences.sort_unstable_by_key(|&sequence| if is_after { sequence } else { -sequence });
        let has_more = limit < sequences.len();
        sequences.truncate(limit);
        if sequences.is_empty() {
            return Ok((Vec::new(), false));
        }
        let statement = numbered_statement(merchant, &sequences);
        let rows = statement.query().fetch_all(&mut *self.connection).await?;
        let events = rows.iter().map(read_event).collect::<Result<Vec<_>, _>>()?;
        Ok((events, has_more))
    }

    /// What has to be looked for, one after the other, to find what is meant: `None` is everything at once.
    async fn kinds(&mut self, merchant: MerchantId, filter: &EventFilter) -> Result<Vec<Option<Kind>>, StoreError> {
        // One invoice and one customer have few events, and a filter for all types is none.
        let is_any_type = filter.types.is_empty() || filter.types.contains(&EventTypes::All);
        let is_of_few = filter.invoice.is_some() || filter.customer.is_some();
        if is_of_few || (is_any_type && filter.environment.is_none()) {
            return Ok(vec![None]);
        }
        let kinds = self.event_kinds(merchant).await?;
        let is_meant = |kind: &Kind| {
            let is_type = is_any_type || filter.types.iter().any(|types| types.includes(&kind.event_type));
            is_type && filter.environment.is_none_or(|environment| environment.as_str() == kind.environment)
        };
        if kinds.iter().all(is_meant) {
            return Ok(vec![None]);
        }
        Ok(kinds.into_iter().filter(is_meant).map(Some).collect())
    }

    /// The kinds of events a merchant has, found by leaping through the index from one to the next.
    async fn event_kinds(&mut self, merchant: MerchantId) -> Result<Vec<Kind>, StoreError> {
        let mut kinds: Vec<Kind> = Vec::new();
        loop {
            let last = kinds.last().cloned().unwrap_or_default();
            let row = sqlx::query(NEXT_KIND)
                .bind(merchant.0)
                .bind(last.environment)
                .bind(last.event_type)
                .fetch_optional(&mut *self.connection)
                .await?;
            let Some(row) = row else { return Ok(kinds) };
            let columns = Columns::of(&row, "events");
            kinds.push(Kind { environment: columns.text("environment")?, event_type: columns.text("event_type")? });
        }
    }

    /// The numbers between which all events of a time lie; `None` if there are none.
    ///
    /// Numbers follow commits and times follow clocks, so that the one order is not quite the other.
    async fn numbers_of_time(
        &mut self,
        merchant: MerchantId,
        created: CreatedBetween,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        if created == CreatedBetween::default() {
            return Ok(Some((1, i64::MAX)));
        }
        let row = sqlx::query(NUMBERS_OF_TIME)
            .bind(merchant.0)
            .bind(created.from.map_or(i64::MIN, |from| from.0))
            .bind(created.to.map_or(i64::MAX, |to| to.0))
            .fetch_one(&mut *self.connection)
            .await?;
        let columns = Columns::of(&row, "events");
        Ok(columns.optional_integer("first")?.zip(columns.optional_integer("last")?))
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
        let row =
            sqlx::query(PENDING_WEBHOOKS).bind(merchant.0).bind(id.sequence).fetch_one(&mut *self.connection).await?;
        Columns::of(&row, "deliveries").number("pending")
    }

    /// Looks at the `limit` events after the number `after` and removes those created before `before`, but for
    /// those of which a webhook is still owed.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn prune_events(&mut self, after: i64, before: UnixMillis, limit: i64) -> Result<Pruned, StoreError> {
        let window = sqlx::query(
            "SELECT COUNT(*) AS window_rows, MAX(sequence) AS window_end, MIN(created_ms) AS oldest_ms
             FROM (SELECT sequence, created_ms FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2 + 0) AS next_rows",
        )
        .bind(after)
        .bind(limit)
        .fetch_one(&mut *self.connection)
        .await?;
        let columns = Columns::of(&window, "events");
        let end = columns.optional_integer("window_end")?.zip(columns.optional_integer("oldest_ms")?);
        let Some((end, _)) = end.filter(|&(_, oldest)| oldest < before.0) else {
            return Ok(Pruned { events: 0, next: None });
        };
        let is_full = columns.integer("window_rows")? == limit;

        let gone = sqlx::query(
            "DELETE FROM events WHERE sequence > $1 AND sequence <= $2 AND created_ms < $3 AND NOT EXISTS (
                SELECT 1 FROM webhook_endpoints w JOIN deliveries d
                    ON d.merchant_id = w.merchant_id AND d.endpoint_id = w.endpoint_id
                WHERE w.merchant_id = events.merchant_id AND d.event_key = events.event_key AND d.due_ms IS NOT NULL)
             RETURNING merchant_id, sequence",
        )
        .bind(after)
        .bind(end)
        .bind(before.0)
        .fetch_all(&mut *self.connection)
        .await?;
        let mut newest_gone: BTreeMap<MerchantId, i64> = BTreeMap::new();
        for row in &gone {
            let columns = Columns::of(row, "events");
            let newest = newest_gone.entry(MerchantId(columns.integer("merchant_id")?)).or_default();
            *newest = columns.integer("sequence")?.max(*newest);
        }
        for (merchant, sequence) in newest_gone {
            // In the same transaction, so that whoever misses an event also sees that it was removed.
            sqlx::query(
                "INSERT INTO pruned_events (merchant_id, sequence) VALUES ($1, $2)
                 ON CONFLICT (merchant_id) DO UPDATE SET sequence = excluded.sequence
                    WHERE pruned_events.sequence < excluded.sequence",
            )
            .bind(merchant.0)
            .bind(sequence)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(Pruned { events: gone.len() as u64, next: is_full.then_some(end) })
    }

    /// The newest of a merchant's events that were removed for their age; 0 if none was.
    ///
    /// Ask after reading the log: what is missing there is known here.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn events_pruned_to(&mut self, merchant: MerchantId) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT sequence FROM pruned_events WHERE merchant_id = $1")
            .bind(merchant.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        row.map_or(Ok(0), |row| Columns::of(&row, "pruned_events").integer("sequence"))
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

/// An environment and a type that events have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kind {
    environment: String,
    event_type: String,
}

const NEXT_KIND: &str = "SELECT environment, event_type FROM events
    WHERE merchant_id = $1 AND (environment, event_type) > ($2, $3)
    ORDER BY environment, event_type LIMIT 1";

/// The sum keeps PostgreSQL from looking for the smallest number by number, however far from here its time is.
const NUMBERS_OF_TIME: &str = "SELECT MIN(sequence + 0) AS first, MAX(sequence + 0) AS last FROM events
    WHERE merchant_id = $1 AND created_ms BETWEEN $2 AND $3";

/// Finds the numbers of a part of the log and of one event more.
fn list_statement(
    merchant: MerchantId,
    filter: &EventFilter,
    kind: Option<&Kind>,
    (first, last): (i64, i64),
    part: EventPart,
    limit: usize,
) -> Statement {
    // What has no number yet is not in the log yet.
    let (first, last, order) = match part {
        EventPart::Newest => (first, last, "DESC"),
        EventPart::Before(id) => (first, last.min(id.sequence.saturating_sub(1)), "DESC"),
        EventPart::After(id) => (first.max(id.sequence.saturating_add(1)), last, "ASC"),
    };
    // A customer's events are looked up by its invoices and then sorted, which the sign says.
    let sequence = if filter.customer.is_some() { "+sequence" } else { "sequence" };
    let mut statement = Statement::of("SELECT sequence FROM events WHERE merchant_id = ");
    statement.bind(merchant.0);
    statement.push(&format!(" AND {sequence} >= "));
    statement.bind(first);
    statement.push(&format!(" AND {sequence} <= "));
    statement.bind(last);
    match kind {
        Some(kind) => {
            statement.push(" AND environment = ");
            statement.bind(kind.environment.clone());
            statement.push(" AND event_type = ");
            statement.bind(kind.event_type.clone());
        }
        // All there were a moment ago; another kind may have come since.
        None => statement.restrict_kind(filter),
    }
    statement.restrict_invoice(filter);
    if let Some(customer) = &filter.customer {
        statement.push(" AND invoice_id IN (SELECT invoice_id FROM invoices WHERE merchant_id = ");
        statement.bind(merchant.0);
        statement.push(" AND environment IN ");
        statement.bind_list(["devnet", "mainnet"].into_iter());
        statement.push(" AND customer_id = ");
        statement.bind(customer.clone());
        statement.push(")");
    }
    statement.restrict_time(filter.created);
    statement.push(&format!(" ORDER BY {sequence} {order}"));
    statement.limit(number_of(limit).saturating_add(1));
    statement
}

/// The events with these numbers, newest first.
fn numbered_statement(merchant: MerchantId, sequences: &[i64]) -> Statement {
    let mut statement = Statement::of("SELECT * FROM events WHERE merchant_id = ");
    statement.bind(merchant.0);
    statement.push(" AND sequence IN (");
    for (index, &sequence) in sequences.iter().enumerate() {
        if index != 0 {
            statement.push(", ");
        }
        statement.bind(sequence);
    }
    statement.push(") ORDER BY sequence DESC");
    statement
}

/// How far the next `rows` rows reach, and how many of them there are.
fn window_statement(merchant: MerchantId, filter: &EventFilter, after: i64, rows: usize) -> Statement {
    let mut statement = Statement::of(
        "SELECT MAX(sequence) AS window_end, COUNT(*) AS window_rows FROM (SELECT sequence FROM events WHERE merchant_id = ",
    );
    statement.bind(merchant.0);
    if let Some(invoice) = filter.invoice {
        statement.push(" AND invoice_id = ");
        statement.bind(invoice.to_string());
    }
    statement.push(" AND sequence > ");
    statement.bind(after);
    statement.push(" ORDER BY sequence");
    statement.limit(number_of(rows));
    statement.push(") AS next_rows");
    statement
}

fn window_part_statement(merchant: MerchantId, filter: &EventFilter, after: i64, end: i64, limit: usize) -> Statement {
    let mut statement = Statement::of("SELECT * FROM events WHERE merchant_id = ");
    statement.bind(merchant.0);
    statement.push(" AND sequence > ");
    statement.bind(after);
    statement.push(" AND sequence <= ");
    statement.bind(end);
    statement.restrict_kind(filter);
    statement.restrict_invoice(filter);
    if let Some(customer) = &filter.customer {
        statement.push(
            " AND EXISTS (SELECT 1 FROM invoices WHERE invoices.merchant_id = events.merchant_id
                AND invoices.invoice_id = events.invoice_id AND invoices.customer_id = ",
        );
        statement.bind(customer.clone());
        statement.push(")");
    }
    statement.restrict_time(filter.created);
    statement.push(" ORDER BY sequence");
    statement.limit(number_of(limit));
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

fn number_of(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

impl Statement {
    fn restrict_invoice(&mut self, filter: &EventFilter) {
        if let Some(invoice) = filter.invoice {
            self.push(" AND invoice_id = ");
            self.bind(invoice.to_string());
        }
        if filter.of_invoices {
            self.push(" AND invoice_id IS NOT NULL");
        }
    }

    fn restrict_kind(&mut self, filter: &EventFilter) {
        if let Some(environment) = filter.environment {
            self.push(" AND environment = ");
            self.bind(environment.as_str().to_owned());
        }
        push_types(self, "event_type", &filter.types);
    }

    fn restrict_time(&mut self, created: CreatedBetween) {
        // The sign keeps the database from reading in the order of times and sorting all of it by number.
        if let Some(from) = created.from {
            self.push(" AND +created_ms >= ");
            self.bind(from.0);
        }
        if let Some(to) = created.to {
            self.push(" AND +created_ms <= ");
            self.bind(to.0);
        }
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

/// From the event to its endpoints to what they are owed of it. SQLite reads tables that are joined like this in this
/// order; left to itself, it goes through everything that the merchant's endpoints are owed.
const PENDING_WEBHOOKS: &str =
    "SELECT COUNT(*) AS pending FROM events CROSS JOIN webhook_endpoints CROSS JOIN deliveries
    WHERE events.merchant_id = $1 AND events.sequence = $2
        AND webhook_endpoints.merchant_id = events.merchant_id AND webhook_endpoints.is_active = 1
        AND deliveries.merchant_id = webhook_endpoints.merchant_id
        AND deliveries.endpoint_id = webhook_endpoints.endpoint_id AND deliveries.event_key = events.event_key
        AND deliveries.due_ms IS NOT NULL";

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::{store::Store, testing::TempDir};

    const SHOP: MerchantId = MerchantId(1);

    /// How SQLite goes about it.
    async fn plan(mut statement: Statement) -> String {
        let dir = TempDir::new();
        let (store, _writer) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
        let mut reader = store.reader().await.unwrap();
        statement.explain();
        let rows = statement.query().fetch_all(&mut *reader.tx().connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }

    #[track_caller]
    fn check(plan: &str, index: &str) {
        assert!(plan.contains(&format!("INDEX {index} (")), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        assert!(!plan.replace("SCAN next_rows", "").contains("SCAN"), "{plan}");
    }

    fn filters() -> [EventFilter; 3] {
        let types = vec![EventTypes::Below("invoice.".to_owned()), EventTypes::One("test.ping".to_owned())];
        let created = CreatedBetween { from: Some(UnixMillis(1)), to: Some(UnixMillis(2)) };
        let all =
            EventFilter { types, environment: Some(wire::Environment::Devnet), created, ..EventFilter::default() };
        [EventFilter::default(), EventFilter { created, ..EventFilter::default() }, all]
    }

    #[tokio::test]
    async fn webhooks_about_an_event_are_counted_from_that_event_on() {
        let plan = plan(Statement::of(PENDING_WEBHOOKS)).await;
        let [event, endpoint, delivery] = plan.split("; ").collect::<Vec<_>>()[..] else { panic!("{plan}") };
        assert!(event.starts_with("SEARCH events") && endpoint.starts_with("SEARCH webhook_endpoints"), "{plan}");
        assert!(delivery.contains("(merchant_id=? AND endpoint_id=? AND event_key=?"), "{plan}");
    }

    #[tokio::test]
    async fn every_page_of_the_log_is_read_from_an_index_in_its_order() {
        let id = EventId { created: UnixMillis(1), sequence: 7 };
        let invoice = Some(InvoiceId::from_random([1; 16]));
        let kind = Kind { environment: "devnet".to_owned(), event_type: "invoice.updated".to_owned() };
        let numbers = (1, 1_000_000);
        for part in [EventPart::Newest, EventPart::Before(id), EventPart::After(id)] {
            for filter in filters() {
                check(&plan(list_statement(SHOP, &filter, Some(&kind), numbers, part, 10)).await, "events_by_kind");
                check(&plan(list_statement(SHOP, &filter, None, numbers, part, 10)).await, "events_by_merchant");
                let of_invoice = EventFilter { invoice, ..filter };
                check(&plan(list_statement(SHOP, &of_invoice, None, numbers, part, 10)).await, "events_by_invoice");
            }
        }
        let numbered = plan(numbered_statement(SHOP, &[1, 2])).await;
        assert!(numbered.contains("(merchant_id=? AND sequence=?)"), "{numbered}");
    }

    #[tokio::test]
    async fn the_log_is_followed_along_an_index() {
        let invoice = Some(InvoiceId::from_random([1; 16]));
        for filter in filters() {
            let filter = EventFilter { customer: Some("c-1".to_owned()), of_invoices: true, ..filter };
            check(&plan(window_statement(SHOP, &filter, 7, 10)).await, "events_by_merchant");
            check(&plan(window_part_statement(SHOP, &filter, 7, 99, 10)).await, "events_by_merchant");
            let filter = EventFilter { invoice, ..filter };
            check(&plan(window_statement(SHOP, &filter, 7, 10)).await, "events_by_invoice");
            check(&plan(window_part_statement(SHOP, &filter, 7, 99, 10)).await, "events_by_invoice");
        }
    }

    #[tokio::test]
    async fn kinds_and_times_are_looked_up_in_an_index_alone() {
        let mut kinds = Statement::of(NEXT_KIND);
        kinds.values.extend([1.into(), String::new().into(), String::new().into()]);
        let plan_of_kinds = plan(kinds).await;
        check(&plan_of_kinds, "events_by_kind");
        let mut times = Statement::of(NUMBERS_OF_TIME);
        times.values.extend([1.into(), 1.into(), 2.into()]);
        let plan_of_times = plan(times).await;
        check(&plan_of_times, "events_by_created");
        assert!(
            plan_of_kinds.contains("COVERING") && plan_of_times.contains("COVERING"),
            "{plan_of_kinds} {plan_of_times}"
        );
    }
}

//! What is owed to webhook endpoints, and what was tried.

use domain::{
    id::{EndpointId, EventId, InvoiceId, MerchantId},
    time::UnixMillis,
};
use sqlx::any::AnyRow;

use super::{
    Endpoint, NewEvent, NodeId, StoreError, StoredEvent, Tx, endpoints::read_subscription, events::read_event,
    row::Columns, statement::Statement,
};

/// An earlier event goes first until a try of it has failed, and then for so long from its first try.
const FIRST_FOR_MS: i64 = 60_000;

/// An event that should be sent now.
pub struct DueDelivery {
    pub endpoint: Endpoint,
    pub event_key: i64,
    pub event: StoredEvent,
    /// The type it is sent as.
    pub sent_as: String,
    /// Tries since it was queued.
    pub attempts: i64,
    /// Webhooks about the event that have not arrived yet, with this one.
    pub pending_webhooks: u32,
    /// By whom it was claimed, and until when.
    pub claim: Claim,
}

/// An endpoint that is owed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedEndpoint {
    pub merchant: MerchantId,
    pub id: EndpointId,
    pub is_active: bool,
    /// Since when every try has failed.
    pub failing_since: Option<UnixMillis>,
    /// When the first of it is due.
    pub due: UnixMillis,
}

/// Who claims deliveries, and until when nobody else gets them.
#[derive(Clone, Debug)]
pub struct Claim {
    pub now: UnixMillis,
    pub leased_until: UnixMillis,
    pub node: String,
}

/// How a try went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub began: UnixMillis,
    pub duration_ms: i64,
    pub status: Option<u16>,
    pub error: Option<String>,
}

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    Delivered,
    /// It is due again then.
    Again(UnixMillis),
    Exhausted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Also while it is being sent.
    Pending,
    Delivered,
    Exhausted,
}

/// A delivery as its merchant sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    pub event: EventId,
    pub sent_as: String,
    pub invoice: Option<InvoiceId>,
    pub state: DeliveryState,
    pub due: Option<UnixMillis>,
    pub created: UnixMillis,
    /// The newest first, with their numbers.
    pub attempts: Vec<(i64, Attempt)>,
    cursor: DeliveryCursor,
}

/// A place in an endpoint's list of deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryCursor {
    event_key: i64,
    sent_as: String,
}

/// Which part of an endpoint's deliveries is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryPart {
    Newest,
    Before(DeliveryCursor),
    After(DeliveryCursor),
}

/// Which of an endpoint's deliveries are meant; what is empty does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub states: Vec<DeliveryState>,
    pub types: Vec<super::EventTypes>,
}

/// What was queued again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requeued {
    pub queued: u64,
    pub already_pending: u64,
}

/// Which delivery.
struct Place<'k> {
    merchant: MerchantId,
    endpoint: EndpointId,
    event_key: i64,
    sent_as: &'k str,
}

impl DueDelivery {
    fn key(&self) -> Place<'_> {
        Place {
            merchant: self.endpoint.merchant,
            endpoint: self.endpoint.id,
            event_key: self.event_key,
            sent_as: &self.sent_as,
        }
    }
}

impl DeliveryRecord {
    pub fn cursor(&self) -> DeliveryCursor {
        self.cursor.clone()
    }
}

impl Tx<'_> {
    /// Queues an event for each endpoint of its merchant that asked for it.
    pub(super) async fn queue_deliveries(&mut self, event: &NewEvent, event_key: i64) -> Result<(), StoreError> {
        let rows = sqlx::query(
            "SELECT endpoint_id, enabled_events, environment, api_version FROM webhook_endpoints
             WHERE merchant_id = $1 AND is_active = 1 AND deleted_at IS NULL",
        )
        .bind(event.merchant.0)
        .fetch_all(&mut *self.connection)
        .await?;
        for row in &rows {
            let endpoint = Columns::of(row, "webhook_endpoints").parsed("endpoint_id")?;
            for sent_as in read_subscription(row)?.sent_as(event.into()) {
                let key = Place { merchant: event.merchant, endpoint, event_key, sent_as };
                self.queue_delivery(&key, event.invoice, event.created, event.created).await?;
            }
        }
        Ok(())
    }

    /// Queues an event for one endpoint, whatever that asked for.
    pub(super) async fn queue_delivery_to(
        &mut self,
        endpoint: EndpointId,
        event: &NewEvent,
        event_key: i64,
    ) -> Result<(), StoreError> {
        let key = Place { merchant: event.merchant, endpoint, event_key, sent_as: event.event_type };
        self.queue_delivery(&key, event.invoice, event.created, event.created).await?;
        Ok(())
    }

    /// `false` if it is there already.
    async fn queue_delivery(
        &mut self,
        key: &Place<'_>,
        invoice: Option<InvoiceId>,
        created: UnixMillis,
        due: UnixMillis,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO deliveries (merchant_id, endpoint_id, event_key, sent_as, invoice_id, state, attempts, due_ms,
                created_ms)
             VALUES ($1, $2, $3, $4, $5, 'pending', 0, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(key.merchant.0)
        .bind(key.endpoint.to_string())
        .bind(key.event_key)
        .bind(key.sent_as)
        .bind(invoice.map(|invoice| invoice.to_string()))
        .bind(due.0)
        .bind(created.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The endpoints that are owed something that is due, at most `limit`. However much one of them is owed, it costs
    /// a look into the index.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn owed_endpoints(&mut self, now: UnixMillis, limit: i64) -> Result<Vec<OwedEndpoint>, StoreError> {
        let rows = sqlx::query(OWED_ENDPOINTS).bind(now.0).bind(limit).fetch_all(&mut *self.connection).await?;
        let owed = rows.iter().map(|row| {
            let columns = Columns::of(row, "webhook_endpoints");
            Ok(OwedEndpoint {
                merchant: MerchantId(columns.integer("merchant_id")?),
                id: columns.parsed("endpoint_id")?,
                is_active: columns.flag("is_active")?,
                failing_since: columns.optional_integer("failing_since_ms")?.map(UnixMillis),
                due: UnixMillis(columns.integer("head_ms")?),
            })
        });
        owed.collect()
    }

    /// Claims what is due to one endpoint, at most `limit`: nobody else gets it before the lease ends, and if it is not
    /// settled by then (the process died), it is due again. Events of one invoice go out one after the other, but one
    /// that keeps failing is passed after a minute. An endpoint that is not active gets nothing.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn claim_deliveries(
        &mut self,
        merchant: MerchantId,
        endpoint: EndpointId,
        claim: &Claim,
        limit: i64,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let Some(endpoint) = self.endpoint(merchant, endpoint).await?.filter(|endpoint| endpoint.is_active) else {
            return Ok(Vec::new());
        };
        let sql = format!("{DUE_DELIVERIES} {}", self.skip_taken("deliveries"));
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(merchant.0)
            .bind(endpoint.id.to_string())
            .bind(claim.now.0)
            .bind(limit)
            .bind(FIRST_FOR_MS)
            .fetch_all(&mut *self.connection)
            .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns::of(row, "deliveries");
            let event = read_event(row)?;
            let mut delivery = DueDelivery {
                endpoint: endpoint.clone(),
                event_key: columns.integer("event_key")?,
                sent_as: columns.text("sent_as")?,
                attempts: columns.integer("attempts")?,
                pending_webhooks: 1,
                claim: claim.clone(),
                event,
            };
            if self.lease_delivery(&delivery.key(), columns.integer("due_ms")?, claim).await? {
                delivery.pending_webhooks = self.pending_webhooks(merchant, delivery.event.id).await?;
                due.push(delivery);
            }
        }
        Ok(due)
    }

    /// Takes a delivery that was due at `was_due`; `false` if somebody else was quicker.
    async fn lease_delivery(&mut self, key: &Place<'_>, was_due: i64, claim: &Claim) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE deliveries SET state = 'sending', due_ms = $6, claimed_by = $8,
                first_tried_ms = COALESCE(first_tried_ms, $7)
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3 AND sent_as = $4 AND due_ms = $5",
        )
        .bind(key.merchant.0)
        .bind(key.endpoint.to_string())
        .bind(key.event_key)
        .bind(key.sent_as)
        .bind(was_due)
        .bind(claim.leased_until.0)
        .bind(claim.now.0)
        .bind(&claim.node)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Makes deliveries due at `now` that were claimed by nodes that live no more, as far as their claims last until
    /// `leased_until` at most. Returns how many.
    ///
    /// A node is taken for dead when its time in the list of nodes is up. It may still be running: cut off from the
    /// database, or asleep. `leased_until` is for the first: it leaves out claims so young that a try which began with
    /// them may be under way. The second has no remedy: a node that falls asleep in the middle of a try finishes it when
    /// it wakes, however much later, so that the receiver may get the event once more. It knows it by its id.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn release_deliveries(
        &mut self,
        node: &NodeId,
        now: UnixMillis,
        leased_until: UnixMillis,
    ) -> Result<u64, StoreError> {
        let mut statement = Statement::of("UPDATE deliveries SET state = 'pending', claimed_by = NULL, due_ms = ");
        statement.bind(now.0);
        statement.push(
            " WHERE (merchant_id, endpoint_id, event_key, sent_as) IN (
                SELECT merchant_id, endpoint_id, event_key, sent_as FROM deliveries
                WHERE state = 'sending' AND due_ms > ",
        );
        statement.bind(now.0);
        // Where there is one node at a time, whoever else claimed something is dead for certain.
        if self.has_rivals() {
            statement.push(" AND due_ms <= ");
            statement.bind(leased_until.0);
            for living in self.living_nodes().await? {
                statement.push(" AND claimed_by <> ");
                statement.bind(living.as_str().to_owned());
            }
        }
        // A node that comes late with saying that it lives knows better.
        statement.push(" AND claimed_by <> ");
        statement.bind(node.as_str().to_owned());
        statement.push(&format!(" {})", self.skip_taken("deliveries")));
        let done = statement.query().execute(&mut *self.connection).await?;
        Ok(done.rows_affected())
    }

    /// Makes a delivery due at `now` that was claimed and then not tried; one that somebody else has by now stays theirs.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn return_delivery(&mut self, delivery: &DueDelivery, now: UnixMillis) -> Result<(), StoreError> {
        let key = delivery.key();
        sqlx::query(
            "UPDATE deliveries SET state = 'pending', claimed_by = NULL, due_ms = $7
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3 AND sent_as = $4
                AND claimed_by = $5 AND due_ms = $6",
        )
        .bind(key.merchant.0)
        .bind(key.endpoint.to_string())
        .bind(key.event_key)
        .bind(key.sent_as)
        .bind(&delivery.claim.node)
        .bind(delivery.claim.leased_until.0)
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Records a try and what follows from it; `false` if it changes nothing: the delivery is no longer owed, or the
    /// try failed and its claim is over, so that another try is under way or has been. What arrived has arrived, whoever
    /// sent it.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn settle_delivery(
        &mut self,
        delivery: &DueDelivery,
        attempt: &Attempt,
        settlement: Settlement,
    ) -> Result<bool, StoreError> {
        let (state, due) = match settlement {
            Settlement::Delivered => ("delivered", None),
            Settlement::Again(due) => ("pending", Some(due.0)),
            Settlement::Exhausted => ("exhausted", None),
        };
        let (key, endpoint) = (delivery.key(), delivery.endpoint.id.to_string());
        let row = sqlx::query(
            "UPDATE deliveries SET state = $5, attempts = $6, due_ms = $7, last_status = $8, last_error = $9,
                claimed_by = NULL
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3 AND sent_as = $4 AND due_ms IS NOT NULL
                AND ($5 = 'delivered' OR claimed_by = $10 AND due_ms = $11)
             RETURNING earlier_attempts",
        )
        .bind(key.merchant.0)
        .bind(&endpoint)
        .bind(key.event_key)
        .bind(key.sent_as)
        .bind(state)
        .bind(delivery.attempts + 1)
        .bind(due)
        .bind(attempt.status.map(i64::from))
        .bind(&attempt.error)
        .bind(&delivery.claim.node)
        .bind(delivery.claim.leased_until.0)
        .fetch_optional(&mut *self.connection)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let earlier = Columns::of(&row, "deliveries").integer("earlier_attempts")?;
        // Two tries that overlapped have one number; the first to end is kept.
        sqlx::query(
            "INSERT INTO delivery_attempts (merchant_id, endpoint_id, event_key, sent_as, ordinal, attempted_ms, duration_ms,
                status, error)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(key.merchant.0)
        .bind(&endpoint)
        .bind(key.event_key)
        .bind(key.sent_as)
        .bind(earlier + delivery.attempts + 1)
        .bind(attempt.began.0)
        .bind(attempt.duration_ms)
        .bind(attempt.status.map(i64::from))
        .bind(&attempt.error)
        .execute(&mut *self.connection)
        .await?;
        Ok(true)
    }

    /// Gives up at most `limit` deliveries that are owed to an endpoint and are not being sent; they can be queued
    /// again. Returns how many.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn give_up_deliveries(
        &mut self,
        merchant: MerchantId,
        endpoint: EndpointId,
        now: UnixMillis,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let sql = format!(
            "UPDATE deliveries SET state = 'exhausted', due_ms = NULL, claimed_by = NULL,
                last_error = 'the endpoint was disabled'
             WHERE (merchant_id, endpoint_id, event_key, sent_as) IN (
                SELECT merchant_id, endpoint_id, event_key, sent_as FROM deliveries
                WHERE merchant_id = $1 AND endpoint_id = $2 AND due_ms IS NOT NULL AND (state = 'pending' OR due_ms <= $3)
                LIMIT $4 + 0 {})",
            self.skip_taken("deliveries")
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(merchant.0)
            .bind(endpoint.to_string())
            .bind(now.0)
            .bind(limit)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected())
    }

    /// How many deliveries are due by now.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn count_due_deliveries(&mut self, now: UnixMillis) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS due FROM deliveries WHERE due_ms IS NOT NULL AND due_ms <= $1")
            .bind(now.0)
            .fetch_one(&mut *self.connection)
            .await?;
        Columns::of(&row, "deliveries").integer("due")
    }

    /// When the next delivery after `now` falls due, whether or not it can be sent then.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn next_due_after(&mut self, now: UnixMillis) -> Result<Option<UnixMillis>, StoreError> {
        let row = sqlx::query("SELECT MIN(due_ms) AS due_ms FROM deliveries WHERE due_ms > $1 AND due_ms IS NOT NULL")
            .bind(now.0)
            .fetch_one(&mut *self.connection)
            .await?;
        Ok(Columns::of(&row, "deliveries").optional_integer("due_ms")?.map(UnixMillis))
    }

    /// When the next delivery can be sent; `None` when nothing is owed. Looks at all that is owed: for tests and
    /// people, not for the queue.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn next_delivery_due(&mut self) -> Result<Option<UnixMillis>, StoreError> {
        let row = sqlx::query(
            "SELECT MIN(CASE WHEN owed.held_until_ms > owed.due_ms THEN owed.held_until_ms ELSE owed.due_ms END) AS due_ms
             FROM (SELECT deliveries.event_key, deliveries.due_ms,
                (SELECT MAX(CASE WHEN earlier.attempts = 0 THEN 9223372036854775807 ELSE earlier.first_tried_ms + $1 END)
                    FROM deliveries AS earlier
                    WHERE earlier.merchant_id = deliveries.merchant_id AND earlier.endpoint_id = deliveries.endpoint_id
                        AND earlier.invoice_id = deliveries.invoice_id AND earlier.event_key < deliveries.event_key
                        AND earlier.due_ms IS NOT NULL) AS held_until_ms
                FROM deliveries WHERE deliveries.due_ms IS NOT NULL) AS owed
             JOIN events ON events.event_key = owed.event_key AND events.sequence IS NOT NULL",
        )
        .bind(FIRST_FOR_MS)
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(Columns::of(&row, "deliveries").optional_integer("due_ms")?.map(UnixMillis))
    }

    /// Deliveries that are still owed for events of one invoice.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn pending_deliveries(&mut self, merchant: MerchantId, invoice: InvoiceId) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS pending FROM deliveries
             WHERE merchant_id = $1 AND invoice_id = $2 AND due_ms IS NOT NULL",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "deliveries").integer("pending")
    }

    /// At most `limit` of an endpoint's deliveries, newest first, and whether there are more in the direction that was
    /// asked for.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn delivery_list(
        &mut self,
        merchant: MerchantId,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        part: &DeliveryPart,
        limit: usize,
    ) -> Result<(Vec<DeliveryRecord>, bool), StoreError> {
        let statement = list_statement(merchant, endpoint, filter, part, limit);
        let rows = statement.query().fetch_all(&mut *self.connection).await?;
        let mut deliveries = rows.iter().map(read_delivery).collect::<Result<Vec<_>, _>>()?;
        let has_more = limit < deliveries.len();
        deliveries.truncate(limit);
        if matches!(part, DeliveryPart::After(_)) {
            deliveries.reverse();
        }
        for delivery in &mut deliveries {
            delivery.attempts = self.attempts(merchant, endpoint, &delivery.cursor).await?;
        }
        Ok((deliveries, has_more))
    }

    /// The place of an event in an endpoint's list: of what `sent_as` says, or of the first it was sent as.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn delivery_cursor(
        &mut self,
        merchant: MerchantId,
        endpoint: EndpointId,
        event: EventId,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Option<DeliveryCursor>, StoreError> {
        let rows = sqlx::query(
            "SELECT deliveries.event_key, deliveries.sent_as FROM events
             JOIN deliveries ON deliveries.merchant_id = events.merchant_id AND deliveries.endpoint_id = $2
                AND deliveries.event_key = events.event_key
             WHERE events.merchant_id = $1 AND events.sequence = $3 AND events.created_ms = $4",
        )
        .bind(merchant.0)
        .bind(endpoint.to_string())
        .bind(event.sequence)
        .bind(event.created.0)
        .fetch_all(&mut *self.connection)
        .await?;
        for row in &rows {
            let cursor = read_cursor(row)?;
            if is_wanted(&cursor.sent_as) {
                return Ok(Some(cursor));
            }
        }
        Ok(None)
    }

    async fn attempts(
        &mut self,
        merchant: MerchantId,
        endpoint: EndpointId,
        of: &DeliveryCursor,
    ) -> Result<Vec<(i64, Attempt)>, StoreError> {
        let rows = sqlx::query(
            "SELECT ordinal, attempted_ms, duration_ms, status, error FROM delivery_attempts
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3 AND sent_as = $4
             ORDER BY ordinal DESC",
        )
        .bind(merchant.0)
        .bind(endpoint.to_string())
        .bind(of.event_key)
        .bind(&of.sent_as)
        .fetch_all(&mut *self.connection)
        .await?;
        let attempts = rows.iter().map(|row| {
            let columns = Columns::of(row, "delivery_attempts");
            let status = columns.optional_integer("status")?;
            let attempt = Attempt {
                began: UnixMillis(columns.integer("attempted_ms")?),
                duration_ms: columns.integer("duration_ms")?,
                status: status.map(|_| columns.number("status")).transpose()?,
                error: columns.optional_text("error")?,
            };
            Ok((columns.integer("ordinal")?, attempt))
        });
        attempts.collect()
    }

    /// Queues a delivery again that is settled; one that is still owed stays as it is.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn requeue_delivery(
        &mut self,
        merchant: MerchantId,
        endpoint: EndpointId,
        of: &DeliveryCursor,
        now: UnixMillis,
    ) -> Result<Requeued, StoreError> {
        let key = Place { merchant, endpoint, event_key: of.event_key, sent_as: &of.sent_as };
        self.requeue(&key, now).await
    }

    async fn requeue(&mut self, key: &Place<'_>, now: UnixMillis) -> Result<Requeued, StoreError> {
        let done = sqlx::query(
            "UPDATE deliveries SET state = 'pending', due_ms = $5, first_tried_ms = NULL, attempts = 0,
                earlier_attempts = earlier_attempts + attempts
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3 AND sent_as = $4 AND due_ms IS NULL",
        )
        .bind(key.merchant.0)
        .bind(key.endpoint.to_string())
        .bind(key.event_key)
        .bind(key.sent_as)
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        let queued = done.rows_affected();
        Ok(Requeued { queued, already_pending: 1 - queued.min(1) })
    }

    /// Queues again what an endpoint never got and was created at `since` or later, the oldest first, at most `limit`;
    /// also returns whether there is more.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn requeue_exhausted(
        &mut self,
        merchant: MerchantId,
        endpoint: EndpointId,
        since: UnixMillis,
        limit: i64,
        now: UnixMillis,
    ) -> Result<(Requeued, bool), StoreError> {
        let rows = sqlx::query(
            "SELECT event_key, sent_as FROM deliveries
             WHERE merchant_id = $1 AND endpoint_id = $2 AND state = 'exhausted' AND created_ms >= $3
             ORDER BY event_key LIMIT $4 + 0",
        )
        .bind(merchant.0)
        .bind(endpoint.to_string())
        .bind(since.0)
        .bind(limit.saturating_add(1))
        .fetch_all(&mut *self.connection)
        .await?;
        let most = usize::try_from(limit).unwrap_or(0);
        let mut all = Requeued::default();
        for row in rows.iter().take(most) {
            let cursor = read_cursor(row)?;
            all.add(self.requeue_delivery(merchant, endpoint, &cursor, now).await?);
        }
        Ok((all, most < rows.len()))
    }

    /// Queues every event of the log that an endpoint asks for, from `from` to `to` and after number `after`, whether it
    /// was sent before or not. Looks at `limit` events at most and returns the last one, if there may be more.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn requeue_range(
        &mut self,
        endpoint: &Endpoint,
        [from, to]: [UnixMillis; 2],
        after: i64,
        limit: i64,
        now: UnixMillis,
    ) -> Result<(Requeued, Option<EventId>), StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE merchant_id = $1 AND sequence > $2 AND created_ms >= $3 AND created_ms <= $4
             ORDER BY sequence LIMIT $5 + 0",
        )
        .bind(endpoint.merchant.0)
        .bind(after)
        .bind(from.0)
        .bind(to.0)
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        let mut all = Requeued::default();
        let mut last = None;
        for row in &rows {
            let event = read_event(row)?;
            let event_key = Columns::of(row, "events").integer("event_key")?;
            for sent_as in endpoint.subscription.sent_as((&event).into()) {
                let key = Place { merchant: endpoint.merchant, endpoint: endpoint.id, event_key, sent_as };
                if self.queue_delivery(&key, event.invoice, event.id.created, now).await? {
                    all.queued += 1;
                } else {
                    all.add(self.requeue(&key, now).await?);
                }
            }
            last = Some(event.id);
        }
        let is_cut = i64::try_from(rows.len()).is_ok_and(|found| found == limit);
        Ok((all, last.filter(|_| is_cut)))
    }

    /// Removes at most `limit` deliveries that were created before `before` and are settled, with what was tried;
    /// returns how many.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn prune_deliveries(&mut self, before: UnixMillis, limit: i64) -> Result<u64, StoreError> {
        const OLD: &str = "(merchant_id, endpoint_id, event_key, sent_as) IN (
            SELECT merchant_id, endpoint_id, event_key, sent_as FROM deliveries
            WHERE due_ms IS NULL AND created_ms < $1
            ORDER BY created_ms, merchant_id, endpoint_id, event_key, sent_as LIMIT $2 + 0)";
        let attempts = format!("DELETE FROM delivery_attempts WHERE {OLD}");
        sqlx::query(sqlx::AssertSqlSafe(attempts)).bind(before.0).bind(limit).execute(&mut *self.connection).await?;
        // One that was settled in between keeps its tries, and goes with them next time.
        let deliveries = format!(
            "DELETE FROM deliveries WHERE {OLD} AND NOT EXISTS (SELECT 1 FROM delivery_attempts AS tried
                WHERE tried.merchant_id = deliveries.merchant_id AND tried.endpoint_id = deliveries.endpoint_id
                    AND tried.event_key = deliveries.event_key AND tried.sent_as = deliveries.sent_as)"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(deliveries))
            .bind(before.0)
            .bind(limit)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected())
    }
}

impl Requeued {
    fn add(&mut self, other: Self) {
        self.queued += other.queued;
        self.already_pending += other.already_pending;
    }
}

/// Steps from one endpoint that is owed something to the next, each a look into the index. That one is ordered by
/// endpoint and time: asked for more than one endpoint in its order, a planner cannot take another index, in which it
/// would have to go through what everybody else is owed.
pub(super) const OWED_ENDPOINTS: &str = "WITH RECURSIVE owed (endpoint_id) AS (
        SELECT MIN(endpoint_id) FROM deliveries WHERE due_ms IS NOT NULL
        UNION ALL
        SELECT (SELECT MIN(later.endpoint_id) FROM deliveries AS later
                WHERE later.due_ms IS NOT NULL AND later.endpoint_id > owed.endpoint_id)
            FROM owed WHERE owed.endpoint_id IS NOT NULL
    )
    SELECT * FROM (
        SELECT endpoints.merchant_id, endpoints.endpoint_id, endpoints.is_active, endpoints.failing_since_ms,
            (SELECT head.due_ms FROM deliveries AS head
                WHERE head.due_ms IS NOT NULL AND head.endpoint_id >= owed.endpoint_id
                ORDER BY head.endpoint_id, head.due_ms LIMIT 1) AS head_ms
        FROM owed JOIN webhook_endpoints AS endpoints ON endpoints.endpoint_id = owed.endpoint_id
        WHERE owed.endpoint_id IS NOT NULL
    ) AS heads WHERE head_ms <= $1 LIMIT $2 + 0";

/// What can be sent to one endpoint now, by its own index and no further than the limit.
const DUE_DELIVERIES: &str = "SELECT events.*, deliveries.sent_as, deliveries.attempts, deliveries.due_ms
    FROM deliveries JOIN events ON events.event_key = deliveries.event_key AND events.sequence IS NOT NULL
    WHERE deliveries.merchant_id = $1 AND deliveries.endpoint_id = $2
        AND deliveries.due_ms IS NOT NULL AND deliveries.due_ms <= $3
        AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier
            WHERE earlier.merchant_id = deliveries.merchant_id AND earlier.endpoint_id = deliveries.endpoint_id
                AND earlier.invoice_id = deliveries.invoice_id AND earlier.event_key < deliveries.event_key
                AND earlier.due_ms IS NOT NULL AND (earlier.attempts = 0 OR earlier.first_tried_ms + $5 > $3))
    ORDER BY deliveries.due_ms, deliveries.event_key LIMIT $4 + 0";

fn list_statement(
    merchant: MerchantId,
    endpoint: EndpointId,
    filter: &DeliveryFilter,
    part: &DeliveryPart,
    limit: usize,
) -> Statement {
    let mut statement = Statement::of(
        "SELECT deliveries.*, events.sequence, events.created_ms AS event_created_ms
         FROM deliveries JOIN events ON events.event_key = deliveries.event_key AND events.sequence IS NOT NULL
         WHERE deliveries.merchant_id = ",
    );
    statement.bind(merchant.0);
    statement.push(" AND deliveries.endpoint_id = ");
    statement.bind(endpoint.to_string());
    let (cursor, comparison, order) = match part {
        DeliveryPart::Newest => (None, "<", "DESC"),
        DeliveryPart::Before(cursor) => (Some(cursor), "<", "DESC"),
        DeliveryPart::After(cursor) => (Some(cursor), ">", "ASC"),
    };
    if let Some(cursor) = cursor {
        statement.push(&format!(" AND (deliveries.event_key, deliveries.sent_as) {comparison} ("));
        statement.bind(cursor.event_key);
        statement.push(", ");
        statement.bind(cursor.sent_as.clone());
        statement.push(")");
    }
    if !filter.states.is_empty() {
        statement.push(" AND deliveries.state IN ");
        statement.bind_list(filter.states.iter().flat_map(|state| state.stored().iter().copied()));
    }
    super::events::push_types(&mut statement, "deliveries.sent_as", &filter.types);
    statement.push(&format!(" ORDER BY deliveries.event_key {order}, deliveries.sent_as {order}"));
    statement.limit(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1));
    statement
}

impl DeliveryState {
    fn stored(self) -> &'static [&'static str] {
        match self {
            Self::Pending => &["pending", "sending"],
            Self::Delivered => &["delivered"],
            Self::Exhausted => &["exhausted"],
        }
    }
}

fn read_cursor(row: &AnyRow) -> Result<DeliveryCursor, StoreError> {
    let columns = Columns::of(row, "deliveries");
    Ok(DeliveryCursor { event_key: columns.integer("event_key")?, sent_as: columns.text("sent_as")? })
}

fn read_delivery(row: &AnyRow) -> Result<DeliveryRecord, StoreError> {
    let columns = Columns::of(row, "deliveries");
    let cursor = read_cursor(row)?;
    let state = columns.text("state")?;
    let all = [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Exhausted];
    let known = all.into_iter().find(|known| known.stored().contains(&state.as_str()));
    Ok(DeliveryRecord {
        event: EventId {
            created: UnixMillis(columns.integer("event_created_ms")?),
            sequence: columns.integer("sequence")?,
        },
        sent_as: cursor.sent_as.clone(),
        invoice: columns.optional_parsed("invoice_id")?,
        state: known.ok_or_else(|| columns.corrupt("state", state))?,
        due: columns.optional_integer("due_ms")?.map(UnixMillis),
        created: UnixMillis(columns.integer("created_ms")?),
        attempts: Vec::new(),
        cursor,
    })
}

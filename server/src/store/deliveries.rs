//! What is owed to webhook endpoints.

use domain::{
    id::{InvoiceId, MerchantId},
    time::{UnixMillis, UnixSeconds},
};

use super::{NewEvent, StoreError, StoredEvent, Tx, events::read_event, row::Columns};

/// Where a merchant hears of events.
#[derive(Clone)]
pub struct Endpoint {
    pub merchant: MerchantId,
    pub id: String,
    pub url: String,
    /// The signing key, as the merchant was shown it.
    pub secret: String,
}

/// An event that should be sent now.
pub struct DueDelivery {
    pub endpoint: Endpoint,
    pub event_key: i64,
    pub event: StoredEvent,
    /// The type it is sent as.
    pub sent_as: String,
    /// Tries so far.
    pub attempts: i64,
}

/// Deliveries still owed for numbered events, each with the time until which earlier events of its
/// invoice go first; NULL if there is none.
///
/// An earlier event goes first until a try of it has failed, and then for a minute from its first try:
/// it must not be overtaken by bad luck, nor hold back the rest for as long as it keeps failing.
macro_rules! from_owed {
    () => {
        "FROM (SELECT deliveries.*,
                (SELECT MAX(CASE WHEN earlier.attempts = 0 THEN 9223372036854775807 ELSE earlier.first_tried_ms + 60000 END)
                    FROM deliveries AS earlier
                    WHERE earlier.merchant_id = deliveries.merchant_id AND earlier.endpoint_id = deliveries.endpoint_id
                        AND earlier.invoice_id = deliveries.invoice_id AND earlier.event_key < deliveries.event_key
                        AND earlier.due_ms IS NOT NULL) AS held_until_ms
                FROM deliveries WHERE deliveries.due_ms IS NOT NULL) AS owed
            JOIN events ON events.event_key = owed.event_key AND events.sequence IS NOT NULL "
    };
}

impl Tx<'_> {
    /// Sets the merchant's one endpoint.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_endpoint(&mut self, endpoint: &Endpoint, now: UnixSeconds) -> Result<(), StoreError> {
        self.lock_merchant(endpoint.merchant).await?;
        let updated = sqlx::query("UPDATE webhook_endpoints SET url = $2, secret = $3 WHERE merchant_id = $1")
            .bind(endpoint.merchant.0)
            .bind(&endpoint.url)
            .bind(&endpoint.secret)
            .execute(&mut *self.connection)
            .await?;
        if updated.rows_affected() == 0 {
            sqlx::query(
                "INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, secret, created_at, updated_at, role)
                 VALUES ($1, $2, $3, $4, $5, $5, 'main')",
            )
            .bind(endpoint.merchant.0)
            .bind(&endpoint.id)
            .bind(&endpoint.url)
            .bind(&endpoint.secret)
            .bind(now.0)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    /// Queues an event for each endpoint of its merchant.
    pub(super) async fn queue_deliveries(&mut self, event: &NewEvent, event_key: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO deliveries (merchant_id, endpoint_id, event_key, sent_as, invoice_id, state, attempts, due_ms,
                created_ms)
             SELECT merchant_id, endpoint_id, $2, $3, $4, 'pending', 0, $5, $5 FROM webhook_endpoints
             WHERE merchant_id = $1 AND is_active = 1 AND deleted_at IS NULL",
        )
        .bind(event.merchant.0)
        .bind(event_key)
        .bind(event.event_type)
        .bind(event.invoice.map(|invoice| invoice.to_string()))
        .bind(event.created.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Claims deliveries that are due: nobody else gets them before `leased_until`, and if they are not
    /// settled by then (the process died), they are due again. Events of one invoice go to an endpoint
    /// one after the other, but one that keeps failing is passed after a minute. Endpoints in `except`
    /// are left out.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn claim_deliveries(
        &mut self,
        now: UnixMillis,
        leased_until: UnixMillis,
        limit: i64,
        except: &[String],
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let left_out: Vec<_> = (3..3 + except.len()).map(|parameter| format!("${parameter}")).collect();
        let sql = format!(
            "SELECT events.*, owed.endpoint_id, owed.sent_as, owed.attempts, owed.due_ms, webhook_endpoints.url,
                webhook_endpoints.secret
             {}
             JOIN webhook_endpoints ON webhook_endpoints.merchant_id = owed.merchant_id
                AND webhook_endpoints.endpoint_id = owed.endpoint_id
             WHERE owed.due_ms <= $1 AND (owed.held_until_ms IS NULL OR owed.held_until_ms <= $1)
                AND owed.endpoint_id NOT IN ({})
             ORDER BY owed.due_ms, owed.event_key LIMIT $2 {}",
            from_owed!(),
            if left_out.is_empty() { "''".to_owned() } else { left_out.join(", ") },
            self.skip_taken("owed"),
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.0).bind(limit);
        let query = except.iter().fold(query, sqlx::query::Query::bind);
        let rows = query.fetch_all(&mut *self.connection).await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns::of(row, "deliveries");
            let event = read_event(row)?;
            let delivery = DueDelivery {
                endpoint: Endpoint {
                    merchant: event.merchant,
                    id: columns.text("endpoint_id")?,
                    url: columns.text("url")?,
                    secret: columns.text("secret")?,
                },
                event_key: columns.integer("event_key")?,
                event,
                sent_as: columns.text("sent_as")?,
                attempts: columns.integer("attempts")?,
            };
            if self.lease_delivery(&delivery, columns.integer("due_ms")?, now, leased_until).await? {
                due.push(delivery);
            }
        }
        Ok(due)
    }

    /// Makes all claimed deliveries due now. Only for a process that has the database to itself and has
    /// just started: whoever claimed them is dead.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn release_deliveries(&mut self, now: UnixMillis) -> Result<u64, StoreError> {
        let done = sqlx::query("UPDATE deliveries SET state = 'pending', due_ms = $1 WHERE state = 'sending'")
            .bind(now.0)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected())
    }

    /// Takes a delivery that was due at `was_due`; `false` if somebody else was quicker.
    async fn lease_delivery(
        &mut self,
        delivery: &DueDelivery,
        was_due: i64,
        now: UnixMillis,
        leased_until: UnixMillis,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE deliveries SET state = 'sending', due_ms = $6, first_tried_ms = COALESCE(first_tried_ms, $7)
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3 AND sent_as = $4 AND due_ms = $5",
        )
        .bind(delivery.endpoint.merchant.0)
        .bind(&delivery.endpoint.id)
        .bind(delivery.event_key)
        .bind(&delivery.sent_as)
        .bind(was_due)
        .bind(leased_until.0)
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records how a delivery went: `state` is `pending` (again at `due`), `delivered` or `exhausted`. One
    /// that is no longer owed stays as it is: a second try that overlapped the first changes nothing.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn settle_delivery(
        &mut self,
        delivery: &DueDelivery,
        state: &'static str,
        attempts: i64,
        due: Option<UnixMillis>,
        status: Option<u16>,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE deliveries SET state = $5, attempts = $6, due_ms = $7, last_status = $8, last_error = $9
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3 AND sent_as = $4 AND due_ms IS NOT NULL",
        )
        .bind(delivery.endpoint.merchant.0)
        .bind(&delivery.endpoint.id)
        .bind(delivery.event_key)
        .bind(&delivery.sent_as)
        .bind(state)
        .bind(attempts)
        .bind(due.map(|due| due.0))
        .bind(status.map(i64::from))
        .bind(error)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// When the next delivery can be claimed; `None` when nothing is owed.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn next_delivery_due(&mut self) -> Result<Option<UnixMillis>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT MIN(CASE WHEN owed.held_until_ms > owed.due_ms THEN owed.held_until_ms ELSE owed.due_ms END) AS due_ms ",
            from_owed!(),
        ))
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
}

//! What is owed to webhook endpoints.

use domain::{
    id::{InvoiceId, MerchantId},
    time::{UnixMillis, UnixSeconds},
};

use super::{StoreError, StoredEvent, Tx, events::read_event, row::Columns};

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
    /// Tries so far.
    pub attempts: i64,
}

/// An earlier event that keeps failing holds back a later one of the same invoice for this long.
const HELD_BACK_AT_MOST_MS: i64 = 60_000;

impl Tx<'_> {
    /// Sets the merchant's one endpoint.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_endpoint(&mut self, endpoint: &Endpoint, now: UnixSeconds) -> Result<(), StoreError> {
        let updated = sqlx::query("UPDATE webhook_endpoints SET url = $2, secret = $3 WHERE merchant_id = $1")
            .bind(endpoint.merchant.0)
            .bind(&endpoint.url)
            .bind(&endpoint.secret)
            .execute(&mut *self.connection)
            .await?;
        if updated.rows_affected() == 0 {
            sqlx::query(
                "INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, secret, created_at)
                 VALUES ($1, $2, $3, $4, $5)",
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
    pub(super) async fn queue_deliveries(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        event_key: i64,
        created: UnixMillis,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO deliveries (merchant_id, endpoint_id, event_key, invoice_id, state, attempts, due_ms, created_ms)
             SELECT merchant_id, endpoint_id, $2, $3, 'pending', 0, $4, $4 FROM webhook_endpoints WHERE merchant_id = $1",
        )
        .bind(merchant.0)
        .bind(event_key)
        .bind(invoice.to_string())
        .bind(created.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Claims deliveries that are due: nobody else gets them before `leased_until`, and if they are not
    /// settled by then (the process died), they are due again. Events of one invoice go to an endpoint
    /// one after the other. Endpoints in `except` are left out.
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
        let left_out: Vec<_> = (4..4 + except.len()).map(|parameter| format!("${parameter}")).collect();
        let sql = format!(
            "SELECT events.*, deliveries.endpoint_id, deliveries.attempts, webhook_endpoints.url, webhook_endpoints.secret
             FROM deliveries
             JOIN events ON events.event_key = deliveries.event_key
             JOIN webhook_endpoints ON webhook_endpoints.merchant_id = deliveries.merchant_id
                AND webhook_endpoints.endpoint_id = deliveries.endpoint_id
             WHERE deliveries.due_ms <= $1 AND events.sequence IS NOT NULL
                AND deliveries.endpoint_id NOT IN ({})
                AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier
                    WHERE earlier.merchant_id = deliveries.merchant_id AND earlier.endpoint_id = deliveries.endpoint_id
                        AND earlier.invoice_id = deliveries.invoice_id AND earlier.event_key < deliveries.event_key
                        AND earlier.due_ms IS NOT NULL AND earlier.created_ms > $2)
             ORDER BY deliveries.due_ms, deliveries.event_key LIMIT $3",
            if left_out.is_empty() { "''".to_owned() } else { left_out.join(", ") }
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.0).bind(now.0 - HELD_BACK_AT_MOST_MS).bind(limit);
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
                attempts: columns.integer("attempts")?,
            };
            self.settle_delivery(&delivery, "sending", delivery.attempts, Some(leased_until), None, None).await?;
            due.push(delivery);
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

    /// Records how a delivery went: `state` is `pending` (again at `due`), `delivered` or `exhausted`.
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
            "UPDATE deliveries SET state = $4, attempts = $5, due_ms = $6, last_status = $7, last_error = $8
             WHERE merchant_id = $1 AND endpoint_id = $2 AND event_key = $3",
        )
        .bind(delivery.endpoint.merchant.0)
        .bind(&delivery.endpoint.id)
        .bind(delivery.event_key)
        .bind(state)
        .bind(attempts)
        .bind(due.map(|due| due.0))
        .bind(status.map(i64::from))
        .bind(error)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// When the next delivery is due; `None` when nothing is owed.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn next_delivery_due(&mut self) -> Result<Option<UnixMillis>, StoreError> {
        let row = sqlx::query("SELECT MIN(due_ms) AS due_ms FROM deliveries WHERE due_ms IS NOT NULL")
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

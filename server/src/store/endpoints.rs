//! Webhook endpoints. Their secrets come in and go out sealed.

use domain::{
    id::{EndpointId, MerchantId},
    time::{UnixMillis, UnixSeconds},
};
use sqlx::any::AnyRow;
use wire::Environment;

use super::{StoreError, Subscription, Tx, row::Columns};

/// Where a merchant hears of events.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub merchant: MerchantId,
    pub id: EndpointId,
    pub url: String,
    /// The signing key, sealed. One that an earlier version wrote is plain.
    pub secret: String,
    /// The signing key before this one, while it still signs as well.
    pub previous: Option<PreviousSecret>,
    pub subscription: Subscription,
    pub description: Option<String>,
    pub role: Option<EndpointRole>,
    pub is_active: bool,
    pub disabled: Option<Disabled>,
    /// Since when every try has failed.
    pub failing_since: Option<UnixMillis>,
    pub created_at: UnixSeconds,
    pub updated_at: UnixSeconds,
}

#[derive(Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    pub secret: String,
    pub until: UnixSeconds,
}

impl std::fmt::Debug for PreviousSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreviousSecret(until {})", self.until.0)
    }
}

/// An endpoint that is found by what it is for instead of by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointRole {
    /// Set by the operator.
    Main,
    /// Set through the oldest route.
    Legacy,
}

impl EndpointRole {
    fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Legacy => "legacy",
        }
    }
}

/// Why the server itself gave an endpoint up, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    pub reason: DisabledReason,
    pub at: UnixSeconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledReason {
    /// It answered that it is gone.
    Gone,
    /// Nothing but failures for too long.
    Failing,
}

impl DisabledReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.id)
    }
}

impl Endpoint {
    /// An active endpoint that hears of everything.
    pub fn new(merchant: MerchantId, id: EndpointId, url: &str, secret: &str, now: UnixSeconds) -> Self {
        Self {
            merchant,
            id,
            url: url.to_owned(),
            secret: secret.to_owned(),
            previous: None,
            subscription: Subscription::default(),
            description: None,
            role: None,
            is_active: true,
            disabled: None,
            failing_since: None,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses, as it does for an unknown merchant.
    pub async fn insert_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO webhook_endpoints (merchant_id, endpoint_id, url, secret, enabled_events, environment, description,
                api_version, role, is_active, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        )
        .bind(endpoint.merchant.0)
        .bind(endpoint.id.to_string())
        .bind(&endpoint.url)
        .bind(&endpoint.secret)
        .bind(enabled_events(endpoint))
        .bind(endpoint.subscription.environment.map(Environment::as_str))
        .bind(&endpoint.description)
        .bind(endpoint.subscription.version.as_str())
        .bind(endpoint.role.map(EndpointRole::as_str))
        .bind(i64::from(endpoint.is_active))
        .bind(endpoint.created_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Writes all of an endpoint but since when it fails, which is forgotten if it is active and was not. Lock it
    /// before reading what is written here.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn save_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE webhook_endpoints SET url = $3, secret = $4, previous_secret = $5, previous_until = $6,
                enabled_events = $7, environment = $8, description = $9, api_version = $10,
                failing_since_ms = CASE WHEN is_active < $11 THEN NULL ELSE failing_since_ms END,
                is_active = $11, disabled_reason = $12, disabled_at = $13, updated_at = $14
             WHERE merchant_id = $1 AND endpoint_id = $2 AND deleted_at IS NULL",
        )
        .bind(endpoint.merchant.0)
        .bind(endpoint.id.to_string())
        .bind(&endpoint.url)
        .bind(&endpoint.secret)
        .bind(endpoint.previous.as_ref().map(|previous| previous.secret.as_str()))
        .bind(endpoint.previous.as_ref().map(|previous| previous.until.0))
        .bind(enabled_events(endpoint))
        .bind(endpoint.subscription.environment.map(Environment::as_str))
        .bind(&endpoint.description)
        .bind(endpoint.subscription.version.as_str())
        .bind(i64::from(endpoint.is_active))
        .bind(endpoint.disabled.map(|disabled| disabled.reason.as_str()))
        .bind(endpoint.disabled.map(|disabled| disabled.at.0))
        .bind(endpoint.updated_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Takes an endpoint away from its merchant, with its secrets; what is left of it is cleared away by
    /// [`Tx::clear_deleted_endpoints`].
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn delete_endpoint(
        &mut self,
        merchant: MerchantId,
        id: EndpointId,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE webhook_endpoints SET deleted_at = $3, is_active = 0, secret = '', previous_secret = NULL
             WHERE merchant_id = $1 AND endpoint_id = $2 AND deleted_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes at most `limit` deliveries of deleted endpoints and, once an endpoint that was deleted before `before`
    /// has none, the endpoint itself; returns how much there was.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn clear_deleted_endpoints(&mut self, before: UnixSeconds, limit: i64) -> Result<u64, StoreError> {
        const SOME: &str = "(merchant_id, endpoint_id, event_key, sent_as) IN (
            SELECT deliveries.merchant_id, deliveries.endpoint_id, deliveries.event_key, deliveries.sent_as
            FROM webhook_endpoints JOIN deliveries ON deliveries.merchant_id = webhook_endpoints.merchant_id
                AND deliveries.endpoint_id = webhook_endpoints.endpoint_id
            WHERE webhook_endpoints.deleted_at IS NOT NULL
            ORDER BY deliveries.merchant_id, deliveries.endpoint_id, deliveries.event_key, deliveries.sent_as LIMIT $1 + 0)";
        let attempts = format!("DELETE FROM delivery_attempts WHERE {SOME}");
        sqlx::query(sqlx::AssertSqlSafe(attempts)).bind(limit).execute(&mut *self.connection).await?;
        let deliveries = format!("DELETE FROM deliveries WHERE {SOME}");
        let done = sqlx::query(sqlx::AssertSqlSafe(deliveries)).bind(limit).execute(&mut *self.connection).await?;
        // One that was just deleted may still get a delivery from a write that saw it before.
        let endpoints = sqlx::query(
            "DELETE FROM webhook_endpoints WHERE deleted_at < $1 AND NOT EXISTS (SELECT 1 FROM deliveries
                WHERE deliveries.merchant_id = webhook_endpoints.merchant_id
                    AND deliveries.endpoint_id = webhook_endpoints.endpoint_id)",
        )
        .bind(before.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() + endpoints.rows_affected())
    }

    /// # Errors
    ///
    /// If the database refuses.
    pub async fn endpoint(&mut self, merchant: MerchantId, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM webhook_endpoints WHERE merchant_id = $1 AND endpoint_id = $2 AND deleted_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        row.as_ref().map(read_endpoint).transpose()
    }

    /// # Errors
    ///
    /// If the database refuses.
    pub async fn endpoint_in_role(
        &mut self,
        merchant: MerchantId,
        role: EndpointRole,
    ) -> Result<Option<Endpoint>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM webhook_endpoints WHERE merchant_id = $1 AND role = $2 AND deleted_at IS NULL")
                .bind(merchant.0)
                .bind(role.as_str())
                .fetch_optional(&mut *self.connection)
                .await?;
        row.as_ref().map(read_endpoint).transpose()
    }

    /// All of a merchant's endpoints, the newest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn endpoints(&mut self, merchant: MerchantId) -> Result<Vec<Endpoint>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM webhook_endpoints WHERE merchant_id = $1 AND deleted_at IS NULL
             ORDER BY created_at DESC, endpoint_id",
        )
        .bind(merchant.0)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_endpoint).collect()
    }

    /// Every endpoint with a secret that does not begin with `seal`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn endpoints_sealed_otherwise(&mut self, seal: &str) -> Result<Vec<Endpoint>, StoreError> {
        let sql = format!(
            "SELECT * FROM webhook_endpoints WHERE deleted_at IS NULL
                AND (SUBSTR(secret, 1, {0}) <> $1 OR SUBSTR(previous_secret, 1, {0}) <> $1)",
            seal.len()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(seal).fetch_all(&mut *self.connection).await?;
        rows.iter().map(read_endpoint).collect()
    }

    /// Replaces an endpoint's sealed secrets, if they are still those of `was`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn reseal_endpoint(
        &mut self,
        was: &Endpoint,
        secret: &str,
        previous: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE webhook_endpoints SET secret = $4, previous_secret = $5
             WHERE merchant_id = $1 AND endpoint_id = $2 AND secret = $3",
        )
        .bind(was.merchant.0)
        .bind(was.id.to_string())
        .bind(&was.secret)
        .bind(secret)
        .bind(previous)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Notes that a try succeeded.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn note_endpoint_success(&mut self, merchant: MerchantId, id: EndpointId) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE webhook_endpoints SET failing_since_ms = NULL
             WHERE merchant_id = $1 AND endpoint_id = $2 AND failing_since_ms IS NOT NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Notes that a try failed; returns since when all have.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn note_endpoint_failure(
        &mut self,
        merchant: MerchantId,
        id: EndpointId,
        now: UnixMillis,
    ) -> Result<UnixMillis, StoreError> {
        sqlx::query(
            "UPDATE webhook_endpoints SET failing_since_ms = $3
             WHERE merchant_id = $1 AND endpoint_id = $2 AND failing_since_ms IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        let row =
            sqlx::query("SELECT failing_since_ms FROM webhook_endpoints WHERE merchant_id = $1 AND endpoint_id = $2")
                .bind(merchant.0)
                .bind(id.to_string())
                .fetch_optional(&mut *self.connection)
                .await?;
        let since = row.map(|row| Columns::of(&row, "webhook_endpoints").optional_integer("failing_since_ms"));
        Ok(since.transpose()?.flatten().map_or(now, UnixMillis))
    }

    /// Gives an endpoint up; `false` if it is not active anyhow.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn disable_endpoint(
        &mut self,
        merchant: MerchantId,
        id: EndpointId,
        disabled: Disabled,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE webhook_endpoints SET is_active = 0, disabled_reason = $3, disabled_at = $4, updated_at = $4
             WHERE merchant_id = $1 AND endpoint_id = $2 AND is_active = 1",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(disabled.reason.as_str())
        .bind(disabled.at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

fn enabled_events(endpoint: &Endpoint) -> String {
    serde_json::json!(endpoint.subscription.enabled_events).to_string()
}

pub(super) fn read_subscription(row: &AnyRow) -> Result<Subscription, StoreError> {
    let columns = Columns::of(row, "webhook_endpoints");
    let enabled = columns.text("enabled_events")?;
    let environment = columns.optional_text("environment")?;
    Ok(Subscription {
        enabled_events: serde_json::from_str(&enabled).map_err(|_| columns.corrupt("enabled_events", enabled))?,
        environment: match environment.as_deref() {
            None => None,
            Some("devnet") => Some(Environment::Devnet),
            Some("mainnet") => Some(Environment::Mainnet),
            Some(other) => return Err(columns.corrupt("environment", other)),
        },
        version: columns.parsed("api_version")?,
    })
}

pub(super) fn read_endpoint(row: &AnyRow) -> Result<Endpoint, StoreError> {
    let columns = Columns::of(row, "webhook_endpoints");
    let previous = match (columns.optional_text("previous_secret")?, columns.optional_integer("previous_until")?) {
        (Some(secret), Some(until)) => Some(PreviousSecret { secret, until: UnixSeconds(until) }),
        _ => None,
    };
    let role = match columns.optional_text("role")?.as_deref() {
        None => None,
        Some("main") => Some(EndpointRole::Main),
        Some("legacy") => Some(EndpointRole::Legacy),
        Some(other) => return Err(columns.corrupt("role", other)),
    };
    let disabled_at = columns.optional_integer("disabled_at")?.map(UnixSeconds);
    let disabled = match (columns.optional_text("disabled_reason")?.as_deref(), disabled_at) {
        (Some("gone"), Some(at)) => Some(Disabled { reason: DisabledReason::Gone, at }),
        (Some("failing"), Some(at)) => Some(Disabled { reason: DisabledReason::Failing, at }),
        (None, _) => None,
        (Some(other), _) => return Err(columns.corrupt("disabled_reason", other)),
    };
    Ok(Endpoint {
        merchant: MerchantId(columns.integer("merchant_id")?),
        id: columns.parsed("endpoint_id")?,
        url: columns.text("url")?,
        secret: columns.text("secret")?,
        previous,
        subscription: read_subscription(row)?,
        description: columns.optional_text("description")?,
        role,
        is_active: columns.flag("is_active")?,
        disabled,
        failing_since: columns.optional_integer("failing_since_ms")?.map(UnixMillis),
        created_at: UnixSeconds(columns.integer("created_at")?),
        updated_at: UnixSeconds(columns.integer("updated_at")?),
    })
}

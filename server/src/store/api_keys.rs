//! API keys: a hash and what people need to tell keys apart, never the key.

use domain::{
    access::{KeyLife, KeyStatus, Rights, Scope},
    id::{ApiKeyId, MerchantId},
    idempotency::{Fingerprint, IdempotencyKey},
    signature::CredentialHash,
    time::UnixSeconds,
};
use sqlx::any::AnyRow;
use wire::Environment;

use super::{StoreError, Tx, row::Columns};

/// An API key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    pub merchant: MerchantId,
    pub id: ApiKeyId,
    pub name: String,
    pub hash: CredentialHash,
    /// The key's last four characters.
    pub hint: String,
    pub scope: Scope,
    /// `None` for a key from before keys had one: it serves whichever the server has.
    pub environment: Option<Environment>,
    pub rights: Rights,
    pub life: KeyLife,
    pub revoked_reason: Option<String>,
    pub created_at: UnixSeconds,
    pub last_used_at: Option<UnixSeconds>,
}

impl ApiKeyRecord {
    pub fn status(&self) -> KeyStatus {
        self.life.status()
    }
}

pub struct NewApiKey {
    pub merchant: MerchantId,
    pub id: ApiKeyId,
    pub name: String,
    pub hash: CredentialHash,
    pub hint: String,
    pub scope: Scope,
    pub environment: Environment,
    pub rights: Rights,
    pub expires_at: Option<UnixSeconds>,
    /// The request that asks for it, if that has a name.
    pub request: Option<(IdempotencyKey, Fingerprint)>,
    pub created_at: UnixSeconds,
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses, as it does for an unknown merchant and for a request that made a key before.
    pub async fn insert_api_key(&mut self, key: &NewApiKey) -> Result<(), StoreError> {
        let (request, fingerprint) = key.request.unzip();
        sqlx::query(
            "INSERT INTO api_keys (merchant_id, key_id, name, hash, hint, scope, environment, rights, expires_at,
                idempotency_key, fingerprint, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(key.merchant.0)
        .bind(key.id.to_string())
        .bind(&key.name)
        .bind(key.hash.to_string())
        .bind(&key.hint)
        .bind(key.scope.as_str())
        .bind(key.environment.as_str())
        .bind(key.rights.to_string())
        .bind(key.expires_at.map(|time| time.0))
        .bind(request.map(|request| request.to_string()))
        .bind(fingerprint.map(|fingerprint| fingerprint.to_string()))
        .bind(key.created_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// The key with that hash, revoked or not.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn api_key(&mut self, hash: CredentialHash) -> Result<Option<ApiKeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE hash = $1")
            .bind(hash.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_api_key).transpose()
    }

    /// The key a request made before, and what that request was.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn api_key_of_request(
        &mut self,
        merchant: MerchantId,
        request: IdempotencyKey,
    ) -> Result<Option<(ApiKeyId, Fingerprint)>, StoreError> {
        let row =
            sqlx::query("SELECT key_id, fingerprint FROM api_keys WHERE merchant_id = $1 AND idempotency_key = $2")
                .bind(merchant.0)
                .bind(request.to_string())
                .fetch_optional(&mut *self.connection)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "api_keys");
        let fingerprint = columns.text("fingerprint")?;
        let fingerprint =
            Fingerprint::from_hex(&fingerprint).ok_or_else(|| columns.corrupt("fingerprint", fingerprint))?;
        Ok(Some((columns.parsed("key_id")?, fingerprint)))
    }

    /// A merchant's keys, newest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn api_keys(&mut self, merchant: MerchantId) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM api_keys WHERE merchant_id = $1 ORDER BY created_at DESC, key_id")
            .bind(merchant.0)
            .fetch_all(&mut *self.connection)
            .await?;
        rows.iter().map(read_api_key).collect()
    }

    /// A merchant's key, revoked or not.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn api_key_of(&mut self, merchant: MerchantId, id: ApiKeyId) -> Result<Option<ApiKeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE merchant_id = $1 AND key_id = $2")
            .bind(merchant.0)
            .bind(id.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_api_key).transpose()
    }

    /// Whose key that is.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn merchant_of_api_key(&mut self, id: ApiKeyId) -> Result<Option<MerchantId>, StoreError> {
        let row = sqlx::query("SELECT merchant_id FROM api_keys WHERE key_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.map(|row| Columns::of(&row, "api_keys").integer("merchant_id").map(MerchantId)).transpose()
    }

    /// How many keys of that scope open something now, or will again once they are resumed.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn count_api_keys_in_force(
        &mut self,
        merchant: MerchantId,
        scope: Scope,
        now: UnixSeconds,
    ) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS in_force FROM api_keys
             WHERE merchant_id = $1 AND scope = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR $3 < expires_at)",
        )
        .bind(merchant.0)
        .bind(scope.as_str())
        .bind(now.0)
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "api_keys").integer("in_force")
    }

    /// Notes that a key was used, unless that was noted less than `every_seconds` ago.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn note_api_key_use(
        &mut self,
        merchant: MerchantId,
        id: ApiKeyId,
        now: UnixSeconds,
        every_seconds: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE api_keys SET last_used_at = $3
             WHERE merchant_id = $1 AND key_id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .bind(now.plus(-every_seconds).0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Revokes a merchant's key for good; `false` if it has no such key or that was revoked before.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn revoke_api_key(
        &mut self,
        merchant: MerchantId,
        id: ApiKeyId,
        reason: Option<&str>,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE api_keys SET revoked_at = $3, revoked_reason = $4
             WHERE merchant_id = $1 AND key_id = $2 AND revoked_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .bind(reason)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Has a merchant's key open nothing for the time being; `false` if there is none that could be suspended.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn suspend_api_key(
        &mut self,
        merchant: MerchantId,
        id: ApiKeyId,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE api_keys SET suspended_at = $3
             WHERE merchant_id = $1 AND key_id = $2 AND suspended_at IS NULL AND revoked_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a key's suspension; `false` if there is none that could be resumed.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn resume_api_key(&mut self, merchant: MerchantId, id: ApiKeyId) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE api_keys SET suspended_at = NULL
             WHERE merchant_id = $1 AND key_id = $2 AND suspended_at IS NOT NULL AND revoked_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

pub(super) fn read_api_key(row: &AnyRow) -> Result<ApiKeyRecord, StoreError> {
    let columns = Columns::of(row, "api_keys");
    let hash = CredentialHash::from_hex(&columns.text("hash")?).ok_or_else(|| columns.corrupt("hash", "(hidden)"))?;
    let environment = columns.optional_text("environment")?;
    Ok(ApiKeyRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        id: columns.parsed("key_id")?,
        name: columns.text("name")?,
        hash,
        hint: columns.text("hint")?,
        scope: columns.parsed("scope")?,
        environment: match environment.as_deref() {
            None => None,
            Some("devnet") => Some(Environment::Devnet),
            Some("mainnet") => Some(Environment::Mainnet),
            Some(other) => return Err(columns.corrupt("environment", other)),
        },
        rights: columns.parsed("rights")?,
        life: KeyLife {
            expires_at: columns.optional_integer("expires_at")?.map(UnixSeconds),
            revoked_at: columns.optional_integer("revoked_at")?.map(UnixSeconds),
            suspended_at: columns.optional_integer("suspended_at")?.map(UnixSeconds),
        },
        revoked_reason: columns.optional_text("revoked_reason")?,
        created_at: UnixSeconds(columns.integer("created_at")?),
        last_used_at: columns.optional_integer("last_used_at")?.map(UnixSeconds),
    })
}

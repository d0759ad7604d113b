//! API keys: a hash and what people need to tell keys apart, never the key.

use domain::{
    id::{ApiKeyId, MerchantId},
    signature::CredentialHash,
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};

/// An API key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    pub merchant: MerchantId,
    pub id: ApiKeyId,
    pub name: String,
    /// The key's last four characters.
    pub hint: String,
    pub created_at: UnixSeconds,
    pub last_used_at: Option<UnixSeconds>,
    pub revoked_at: Option<UnixSeconds>,
}

pub struct NewApiKey {
    pub merchant: MerchantId,
    pub id: ApiKeyId,
    pub name: String,
    pub hash: CredentialHash,
    pub hint: String,
    pub created_at: UnixSeconds,
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses, as it does for an unknown merchant.
    pub async fn insert_api_key(&mut self, key: &NewApiKey) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO api_keys (merchant_id, key_id, name, hash, hint, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(key.merchant.0)
        .bind(key.id.to_string())
        .bind(&key.name)
        .bind(key.hash.to_string())
        .bind(&key.hint)
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

    /// Revokes a key for good; `false` if there is none or it was revoked before.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn revoke_api_key(&mut self, id: ApiKeyId, now: UnixSeconds) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE api_keys SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL")
            .bind(id.to_string())
            .bind(now.0)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

fn read_api_key(row: &AnyRow) -> Result<ApiKeyRecord, StoreError> {
    let columns = Columns::of(row, "api_keys");
    Ok(ApiKeyRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        id: columns.parsed("key_id")?,
        name: columns.text("name")?,
        hint: columns.text("hint")?,
        created_at: UnixSeconds(columns.integer("created_at")?),
        last_used_at: columns.optional_integer("last_used_at")?.map(UnixSeconds),
        revoked_at: columns.optional_integer("revoked_at")?.map(UnixSeconds),
    })
}

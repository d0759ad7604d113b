//! Bearer tokens of the dashboard: random, stored hashed, of a merchant for a while.

use domain::{
    id::{DashboardTokenId, MerchantId},
    signature::CredentialHash,
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};

/// A dashboard token as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardTokenRecord {
    pub merchant: MerchantId,
    pub id: DashboardTokenId,
    pub hash: CredentialHash,
    pub created_at: UnixSeconds,
    /// The first second in which it opens nothing any more.
    pub expires_at: UnixSeconds,
    pub revoked_at: Option<UnixSeconds>,
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses, as it does for an unknown merchant.
    pub async fn insert_dashboard_token(&mut self, token: &DashboardTokenRecord) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO dashboard_tokens (merchant_id, token_id, hash, created_at, expires_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(token.merchant.0)
        .bind(token.id.to_string())
        .bind(token.hash.to_string())
        .bind(token.created_at.0)
        .bind(token.expires_at.0)
        .bind(token.revoked_at.map(|time| time.0))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// The token with that hash, in force or not.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn dashboard_token(&mut self, hash: CredentialHash) -> Result<Option<DashboardTokenRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM dashboard_tokens WHERE hash = $1")
            .bind(hash.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_dashboard_token).transpose()
    }

    /// A merchant's tokens, newest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn dashboard_tokens(&mut self, merchant: MerchantId) -> Result<Vec<DashboardTokenRecord>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM dashboard_tokens WHERE merchant_id = $1 ORDER BY created_at DESC, token_id")
                .bind(merchant.0)
                .fetch_all(&mut *self.connection)
                .await?;
        rows.iter().map(read_dashboard_token).collect()
    }

    /// Revokes a token for good; `false` if there is none or it was revoked before.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn revoke_dashboard_token(&mut self, id: DashboardTokenId, now: UnixSeconds) -> Result<bool, StoreError> {
        let done =
            sqlx::query("UPDATE dashboard_tokens SET revoked_at = $2 WHERE token_id = $1 AND revoked_at IS NULL")
                .bind(id.to_string())
                .bind(now.0)
                .execute(&mut *self.connection)
                .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets a merchant's tokens whose time was over before `before`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_dashboard_tokens(
        &mut self,
        merchant: MerchantId,
        before: UnixSeconds,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM dashboard_tokens WHERE merchant_id = $1 AND expires_at < $2")
            .bind(merchant.0)
            .bind(before.0)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected())
    }
}

pub(super) fn read_dashboard_token(row: &AnyRow) -> Result<DashboardTokenRecord, StoreError> {
    let columns = Columns::of(row, "dashboard_tokens");
    let hash = CredentialHash::from_hex(&columns.text("hash")?).ok_or_else(|| columns.corrupt("hash", "(hidden)"))?;
    Ok(DashboardTokenRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        id: columns.parsed("token_id")?,
        hash,
        created_at: UnixSeconds(columns.integer("created_at")?),
        expires_at: UnixSeconds(columns.integer("expires_at")?),
        revoked_at: columns.optional_integer("revoked_at")?.map(UnixSeconds),
    })
}

//! Tokens that open a payer's stream: random, stored hashed.

use domain::{
    id::{InvoiceId, MerchantId},
    signature::CredentialHash,
    time::{UnixMillis, UnixSeconds},
};

use super::{StoreError, Tx, row::Columns};

/// Whose stream a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSession {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub expires_at: UnixSeconds,
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn insert_stream_token(
        &mut self,
        hash: CredentialHash,
        session: &StreamSession,
        created: UnixMillis,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO stream_tokens (merchant_id, token_hash, invoice_id, created_ms, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(session.merchant.0)
        .bind(hash.to_string())
        .bind(session.invoice.to_string())
        .bind(created.0)
        .bind(session.expires_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// The stream a token opens, expired or not.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn stream_session(&mut self, hash: CredentialHash) -> Result<Option<StreamSession>, StoreError> {
        let row = sqlx::query("SELECT merchant_id, invoice_id, expires_at FROM stream_tokens WHERE token_hash = $1")
            .bind(hash.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "stream_tokens");
        Ok(Some(StreamSession {
            merchant: MerchantId(columns.integer("merchant_id")?),
            invoice: columns.parsed("invoice_id")?,
            expires_at: UnixSeconds(columns.integer("expires_at")?),
        }))
    }

    /// Forgets an invoice's tokens but for the newest `kept`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_older_stream_tokens(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        kept: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM stream_tokens WHERE merchant_id = $1 AND invoice_id = $2 AND token_hash NOT IN (
                SELECT token_hash FROM stream_tokens WHERE merchant_id = $1 AND invoice_id = $2
                ORDER BY created_ms DESC, token_hash LIMIT $3)",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(kept)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected())
    }

    /// Forgets tokens that expired before `now`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_stream_tokens(&mut self, now: UnixSeconds) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM stream_tokens WHERE expires_at < $1")
            .bind(now.0)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected())
    }
}

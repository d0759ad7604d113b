//! Tokens that open streams: random, stored hashed.

use std::collections::HashMap;

use domain::{
    access::{KeyStatus, Right},
    id::{ApiKeyId, DashboardTokenId, InvoiceId, MerchantId},
    signature::CredentialHash,
    time::{UnixMillis, UnixSeconds},
};

use super::{
    StoreError, Tx, api_keys::read_api_key, dashboard_tokens::read_dashboard_token, row::Columns, statement::Statement,
};

/// Whose stream a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSession {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub expires_at: UnixSeconds,
}

/// What a merchant proved who they are with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    ApiKey(ApiKeyId),
    DashboardToken(DashboardTokenId),
}

impl Credential {
    fn to_columns(self) -> (&'static str, String) {
        match self {
            Self::ApiKey(id) => ("api_key", id.to_string()),
            Self::DashboardToken(id) => ("dashboard_token", id.to_string()),
        }
    }
}

/// Why a credential opens no stream any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessEnd {
    /// Its time is over.
    Expired,
    /// It was revoked or suspended, or may not read invoices.
    Revoked,
}

/// A token that opens a merchant's stream, for whoever cannot send a header with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantStreamToken {
    pub merchant: MerchantId,
    /// What it was asked for with. What the stream shows, and for how long, is decided by that.
    pub credential: Credential,
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
                ORDER BY created_ms DESC, token_hash LIMIT $3 + 0)",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(kept)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected())
    }

    /// Forgets at most `limit` payers' tokens that expired before `now`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_stream_tokens(&mut self, now: UnixSeconds, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM stream_tokens WHERE token_hash IN (
                SELECT token_hash FROM stream_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 + 0)",
        )
        .bind(now.0)
        .bind(limit)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected())
    }

    /// # Errors
    ///
    /// If the database refuses.
    pub async fn insert_merchant_stream_token(
        &mut self,
        hash: CredentialHash,
        token: &MerchantStreamToken,
    ) -> Result<(), StoreError> {
        let (credential, id) = token.credential.to_columns();
        sqlx::query(
            "INSERT INTO merchant_stream_tokens (merchant_id, token_hash, credential, credential_id, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(token.merchant.0)
        .bind(hash.to_string())
        .bind(credential)
        .bind(id)
        .bind(token.expires_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// What a merchant's token opens, expired or not.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn merchant_stream_token(
        &mut self,
        hash: CredentialHash,
    ) -> Result<Option<MerchantStreamToken>, StoreError> {
        let row = sqlx::query(
            "SELECT merchant_id, credential, credential_id, expires_at FROM merchant_stream_tokens WHERE token_hash = $1",
        )
        .bind(hash.to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "merchant_stream_tokens");
        let kind = columns.text("credential")?;
        let credential = match kind.as_str() {
            "api_key" => Credential::ApiKey(columns.parsed("credential_id")?),
            "dashboard_token" => Credential::DashboardToken(columns.parsed("credential_id")?),
            _ => return Err(columns.corrupt("credential", kind)),
        };
        Ok(Some(MerchantStreamToken {
            merchant: MerchantId(columns.integer("merchant_id")?),
            credential,
            expires_at: UnixSeconds(columns.integer("expires_at")?),
        }))
    }

    /// Forgets at most `limit` merchants' tokens that expired before `now`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_merchant_stream_tokens(&mut self, now: UnixSeconds, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM merchant_stream_tokens WHERE token_hash IN (
                SELECT token_hash FROM merchant_stream_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 + 0)",
        )
        .bind(now.0)
        .bind(limit)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected())
    }

    /// Those of some credentials that may not read a merchant's invoices now, and why.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn ended_access(
        &mut self,
        asked: &[(MerchantId, Credential)],
        now: UnixSeconds,
    ) -> Result<Vec<((MerchantId, Credential), AccessEnd)>, StoreError> {
        let is_key = |holder: &&(MerchantId, Credential)| matches!(holder.1, Credential::ApiKey(_));
        let mut ends = HashMap::new();
        let keys = holders_statement("SELECT * FROM api_keys WHERE (merchant_id, key_id)", asked.iter().filter(is_key));
        if let Some(statement) = keys {
            for row in statement.query().fetch_all(&mut *self.connection).await? {
                let key = read_api_key(&row)?;
                let is_good = key.status() == KeyStatus::Active && key.rights.has(Right::ReadInvoices);
                let end = if is_good {
                    key.life.is_expired(now).then_some(AccessEnd::Expired)
                } else {
                    Some(AccessEnd::Revoked)
                };
                ends.insert((key.merchant, Credential::ApiKey(key.id)), end);
            }
        }
        let tokens = holders_statement(
            "SELECT * FROM dashboard_tokens WHERE (merchant_id, token_id)",
            asked.iter().filter(|holder| !is_key(holder)),
        );
        if let Some(statement) = tokens {
            for row in statement.query().fetch_all(&mut *self.connection).await? {
                let token = read_dashboard_token(&row)?;
                let end = match token.revoked_at {
                    Some(_) => Some(AccessEnd::Revoked),
                    None => (token.expires_at <= now).then_some(AccessEnd::Expired),
                };
                ends.insert((token.merchant, Credential::DashboardToken(token.id)), end);
            }
        }
        // What is not there any more was forgotten some time after its end.
        let end_of = |holder| ends.get(holder).copied().unwrap_or(Some(AccessEnd::Expired));
        Ok(asked.iter().filter_map(|holder| end_of(holder).map(|end| (*holder, end))).collect())
    }
}

/// Looks up holders by their keys, all at once; `None` for no holders.
fn holders_statement<'h>(
    select: &str,
    holders: impl Iterator<Item = &'h (MerchantId, Credential)>,
) -> Option<Statement> {
    let mut statement = Statement::of(select);
    let mut is_first = true;
    for (merchant, credential) in holders {
        statement.push(if is_first { " IN (VALUES (" } else { ", (" });
        is_first = false;
        statement.bind(merchant.0);
        statement.push(", ");
        statement.bind(credential.to_columns().1);
        statement.push(")");
    }
    statement.push(")");
    (!is_first).then_some(statement)
}

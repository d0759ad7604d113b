//! Which tokens a merchant takes.

use std::collections::BTreeMap;

use domain::{
    acceptance::{Acceptance, AcceptancePolicy},
    id::{MerchantId, TokenId},
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};

impl Tx<'_> {
    /// Which tokens a merchant takes; one that does not exist has no exceptions.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn acceptance(&mut self, merchant: MerchantId) -> Result<Acceptance, StoreError> {
        // One query, so that rule and exceptions are of one moment.
        let rows = sqlx::query(
            "SELECT m.acceptance_policy, b.token_id, b.blocked_at FROM merchants m
             LEFT JOIN blocked_tokens b ON b.merchant_id = m.merchant_id WHERE m.merchant_id = $1",
        )
        .bind(merchant.0)
        .fetch_all(&mut *self.connection)
        .await?;
        read_acceptance(&rows)
    }

    /// Replaces which tokens a merchant takes. Lock the merchant before reading what this follows from.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn save_acceptance(&mut self, merchant: MerchantId, acceptance: &Acceptance) -> Result<(), StoreError> {
        sqlx::query("UPDATE merchants SET acceptance_policy = $2 WHERE merchant_id = $1")
            .bind(merchant.0)
            .bind(acceptance.policy().as_str())
            .execute(&mut *self.connection)
            .await?;
        sqlx::query("DELETE FROM blocked_tokens WHERE merchant_id = $1")
            .bind(merchant.0)
            .execute(&mut *self.connection)
            .await?;
        for (token, since) in acceptance.blocked() {
            sqlx::query("INSERT INTO blocked_tokens (merchant_id, token_id, blocked_at) VALUES ($1, $2, $3)")
                .bind(merchant.0)
                .bind(token.0)
                .bind(since.0)
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }
}

/// From the rows of one merchant, one for each exception or one without any.
pub(super) fn read_acceptance(rows: &[AnyRow]) -> Result<Acceptance, StoreError> {
    let mut policy = AcceptancePolicy::default();
    let mut blocked = BTreeMap::new();
    for row in rows {
        let columns = Columns::of(row, "merchants");
        let name = columns.text("acceptance_policy")?;
        policy = AcceptancePolicy::parse(&name).ok_or_else(|| columns.corrupt("acceptance_policy", name))?;
        if let Some(token) = columns.optional_integer("token_id")? {
            blocked.insert(TokenId(token), UnixSeconds(columns.integer("blocked_at")?));
        }
    }
    Ok(Acceptance::new(policy, blocked))
}

//! A merchant as its payers see it.

use domain::{acceptance::Acceptance, id::MerchantId};

use super::{
    BrandRecord, MerchantRecord, StoreError, Tx, acceptance::read_acceptance, brands::read_brand,
    merchants::read_merchant, row::Columns,
};

/// A merchant, which tokens it takes, and how its pages look.
pub struct Shop {
    pub merchant: MerchantRecord,
    pub acceptance: Acceptance,
    /// `None` for the page's own look.
    pub brand: Option<BrandRecord>,
}

impl Tx<'_> {
    /// What [`Tx::merchant`], [`Tx::acceptance`] and [`Tx::brand`] say, of one moment and in one query: each payer's
    /// page needs all three, and asking costs more than answering.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn shop(&mut self, merchant: MerchantId) -> Result<Option<Shop>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.merchant_id, m.name, m.email, m.recovery_code, m.frame_origins, m.return_url,
                    m.acceptance_policy, t.token_id, t.blocked_at, b.color, b.radius, b.logo_type, b.version
             FROM merchants m
             LEFT JOIN blocked_tokens t ON t.merchant_id = m.merchant_id
             LEFT JOIN brands b ON b.merchant_id = m.merchant_id
             WHERE m.merchant_id = $1",
        )
        .bind(merchant.0)
        .fetch_all(&mut *self.connection)
        .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let has_brand = Columns::of(row, "brands").optional_text("version")?.is_some();
        Ok(Some(Shop {
            merchant: read_merchant(row)?,
            acceptance: read_acceptance(&rows)?,
            brand: has_brand.then(|| read_brand(row)).transpose()?,
        }))
    }
}

//! Merchants, and where their webhooks go.

use alloy_primitives::Address;
use domain::{
    id::{MerchantId, TokenId},
    money::UsdMillis,
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};
use crate::solana::SolanaAddress;

/// A merchant as stored.
#[derive(Clone)]
pub struct MerchantRecord {
    pub id: MerchantId,
    pub name: String,
    pub email: String,
    /// Salts of deposit addresses derive from it. It spends nothing, but is shown to nobody else.
    pub recovery_code: [u8; 32],
    /// Origins that may embed the payer's page.
    pub frame_origins: Vec<String>,
    /// Where payers go afterwards, unless their invoice says something else.
    pub return_url: Option<String>,
}

pub struct NewMerchant {
    pub name: String,
    pub email: String,
    /// Where its first invoices send their money, on every EVM network.
    pub evm_wallet: Address,
    pub recovery_code: [u8; 32],
    pub created_at: UnixSeconds,
}

/// The token a merchant would like best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlementChoice {
    /// `None` for the server's own choice.
    pub token: Option<TokenId>,
    /// When it was made; for a merchant that never made one, when it began.
    pub chosen_at: UnixSeconds,
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn insert_merchant(&mut self, merchant: &NewMerchant) -> Result<MerchantId, StoreError> {
        let row = sqlx::query(
            "INSERT INTO merchants (name, email, evm_wallet, recovery_code, frame_origins, next_invoice_sequence, created_at)
             VALUES ($1, $2, $3, $4, '[]', 1, $5) RETURNING merchant_id",
        )
        .bind(&merchant.name)
        .bind(&merchant.email)
        .bind(merchant.evm_wallet.to_checksum(None))
        .bind(hex::encode(merchant.recovery_code))
        .bind(merchant.created_at.0)
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(MerchantId(Columns::of(&row, "merchants").integer("merchant_id")?))
    }

    /// # Errors
    ///
    /// If the database refuses.
    pub async fn merchant(&mut self, id: MerchantId) -> Result<Option<MerchantRecord>, StoreError> {
        let row = sqlx::query(
            "SELECT merchant_id, name, email, recovery_code, frame_origins, return_url FROM merchants
             WHERE merchant_id = $1",
        )
        .bind(id.0)
        .fetch_optional(&mut *self.connection)
        .await?;
        row.as_ref().map(read_merchant).transpose()
    }

    /// Where new invoices of a merchant are paid on Solana; `None` if they are not, or there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn solana_wallet(&mut self, id: MerchantId) -> Result<Option<SolanaAddress>, StoreError> {
        let row = sqlx::query("SELECT solana_wallet FROM merchants WHERE merchant_id = $1")
            .bind(id.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        match row {
            Some(row) => Columns::of(&row, "merchants").optional_parsed("solana_wallet"),
            None => Ok(None),
        }
    }

    /// Sets where new invoices of a merchant are paid on Solana, or that they are not; `false` if there is no such
    /// merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_solana_wallet(
        &mut self,
        id: MerchantId,
        wallet: Option<SolanaAddress>,
    ) -> Result<bool, StoreError> {
        let done =
            sqlx::query("UPDATE merchants SET solana_wallet = $2, solana_mode = 'wallet' WHERE merchant_id = $1")
                .bind(id.0)
                .bind(wallet.map(|wallet| wallet.to_string()))
                .execute(&mut *self.connection)
                .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Every merchant's wallet on Solana, each once.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn all_solana_wallets(&mut self) -> Result<Vec<SolanaAddress>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT solana_wallet FROM merchants WHERE solana_wallet IS NOT NULL ORDER BY solana_wallet",
        )
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(|row| Columns::of(row, "merchants").parsed("solana_wallet")).collect()
    }

    /// Replaces the origins that may embed the page; `false` if there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_frame_origins(&mut self, id: MerchantId, origins: &[String]) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE merchants SET frame_origins = $2 WHERE merchant_id = $1")
            .bind(id.0)
            .bind(serde_json::Value::from(origins).to_string())
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Sets up to what an invoice may be paid on the word of one endpoint, or leaves it to the configuration; `false` if
    /// there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_single_source(&mut self, id: MerchantId, limit: Option<UsdMillis>) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE merchants SET single_source_usd_millis = $2 WHERE merchant_id = $1")
            .bind(id.0)
            .bind(limit.map(|limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)))
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Sets or clears where payers go afterwards; `false` if there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_return_url(&mut self, id: MerchantId, url: Option<&str>) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE merchants SET return_url = $2 WHERE merchant_id = $1")
            .bind(id.0)
            .bind(url)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The token a merchant would like best.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn settlement_choice(&mut self, id: MerchantId) -> Result<Option<SettlementChoice>, StoreError> {
        let row = sqlx::query(
            "SELECT settlement_token_id, COALESCE(settlement_chosen_at, created_at) AS chosen_at FROM merchants
             WHERE merchant_id = $1",
        )
        .bind(id.0)
        .fetch_optional(&mut *self.connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "merchants");
        Ok(Some(SettlementChoice {
            token: columns.optional_integer("settlement_token_id")?.map(TokenId),
            chosen_at: UnixSeconds(columns.integer("chosen_at")?),
        }))
    }

    /// Notes the token a merchant would like best; `false` if there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn choose_settlement(&mut self, id: MerchantId, choice: SettlementChoice) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE merchants SET settlement_token_id = $2, settlement_chosen_at = $3 WHERE merchant_id = $1",
        )
        .bind(id.0)
        .bind(choice.token.map(|token| token.0))
        .bind(choice.chosen_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes the merchant's next invoice number; numbers are never given twice.
    ///
    /// # Errors
    ///
    /// If the database refuses, or there is no such merchant.
    pub async fn take_invoice_sequence(&mut self, id: MerchantId) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "UPDATE merchants SET next_invoice_sequence = next_invoice_sequence + 1
             WHERE merchant_id = $1 RETURNING next_invoice_sequence - 1 AS taken",
        )
        .bind(id.0)
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "merchants").integer("taken")
    }
}

pub(super) fn read_merchant(row: &AnyRow) -> Result<MerchantRecord, StoreError> {
    let columns = Columns::of(row, "merchants");
    let mut recovery_code = [0; 32];
    hex::decode_to_slice(columns.text("recovery_code")?, &mut recovery_code)
        .map_err(|_| columns.corrupt("recovery_code", "(hidden)"))?;
    let origins = columns.text("frame_origins")?;
    Ok(MerchantRecord {
        id: MerchantId(columns.integer("merchant_id")?),
        name: columns.text("name")?,
        email: columns.text("email")?,
        recovery_code,
        frame_origins: serde_json::from_str(&origins).map_err(|_| columns.corrupt("frame_origins", origins))?,
        return_url: columns.optional_text("return_url")?,
    })
}

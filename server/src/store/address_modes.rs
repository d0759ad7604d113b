//! What kind of address a merchant's payers are given: extended public keys, and amounts that tell invoices apart.

use alloy_primitives::Address;
use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId, TokenId},
    money::TokenAmount,
    quote::CLOCK_SKEW_SECONDS,
    time::UnixSeconds,
};

use super::{StoreError, Tx, invoices::read_key, row::Columns};
use crate::wallet::WalletAddress;

/// An amount that one invoice alone is paid with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqueAmount {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub wallet: WalletAddress,
    pub token: TokenId,
    pub amount: TokenAmount,
    pub reserved_until: UnixSeconds,
}

impl Tx<'_> {
    /// How new invoices of a merchant are paid; `None` if there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn address_mode(&mut self, merchant: MerchantId) -> Result<Option<AddressMode>, StoreError> {
        let row = sqlx::query("SELECT address_mode FROM merchants WHERE merchant_id = $1")
            .bind(merchant.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        row.map(|row| Columns::of(&row, "merchants").parsed("address_mode")).transpose()
    }

    /// Sets how new invoices of a merchant are paid; `false` if there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_address_mode(&mut self, merchant: MerchantId, mode: AddressMode) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE merchants SET address_mode = $2 WHERE merchant_id = $1")
            .bind(merchant.0)
            .bind(mode.as_str())
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whose an extended public key is, if it was ever given.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn owner_of_xpub(&mut self, xpub: &str) -> Result<Option<MerchantId>, StoreError> {
        let row = sqlx::query("SELECT merchant_id FROM xpubs WHERE xpub = $1")
            .bind(xpub)
            .fetch_optional(&mut *self.connection)
            .await?;
        row.map(|row| Columns::of(&row, "xpubs").integer("merchant_id").map(MerchantId)).transpose()
    }

    /// Makes an extended public key the one a merchant's addresses derive from; one that was used before goes on where
    /// it stood.
    ///
    /// # Errors
    ///
    /// If the database refuses, as it does for another merchant's.
    pub async fn choose_xpub(&mut self, merchant: MerchantId, xpub: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO xpubs (merchant_id, xpub, next_index, ordinal)
             VALUES ($1, $2, 0, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM xpubs WHERE merchant_id = $1))
             ON CONFLICT (merchant_id, xpub) DO UPDATE SET ordinal = excluded.ordinal",
        )
        .bind(merchant.0)
        .bind(xpub)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// The extended public key that a merchant's addresses derive from, and the number of its next one.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn chosen_xpub(&mut self, merchant: MerchantId) -> Result<Option<(String, u32)>, StoreError> {
        let row =
            sqlx::query("SELECT xpub, next_index FROM xpubs WHERE merchant_id = $1 ORDER BY ordinal DESC LIMIT 1")
                .bind(merchant.0)
                .fetch_optional(&mut *self.connection)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "xpubs");
        Ok(Some((columns.text("xpub")?, columns.number("next_index")?)))
    }

    /// Has the next address of an extended public key be of this number at least; numbers never go back.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn raise_address_index(&mut self, merchant: MerchantId, xpub: &str, next: u32) -> Result<(), StoreError> {
        sqlx::query("UPDATE xpubs SET next_index = $3 WHERE merchant_id = $1 AND xpub = $2 AND next_index < $3")
            .bind(merchant.0)
            .bind(xpub)
            .bind(i64::from(next))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Gives an invoice another address of the merchant's own, as long as nobody was told the one it has; `false` if
    /// somebody was.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn change_address(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        index: u32,
        address: Address,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE invoices SET address_index = $3, deposit_address = $4, receiver = $4, version = version + 1
             WHERE merchant_id = $1 AND invoice_id = $2 AND watched_until IS NULL",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(i64::from(index))
        .bind(address.to_checksum(None))
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Reserves an amount for an invoice; `false` if it is another one's still.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn reserve_amount(&mut self, amount: &UniqueAmount, now: UnixSeconds) -> Result<bool, StoreError> {
        let (wallet, units) = (amount.wallet.to_string(), amount.amount.base_units().to_string());
        sqlx::query(
            "DELETE FROM unique_amounts WHERE wallet = $1 AND token_id = $2 AND amount = $3 AND reserved_until < $4",
        )
        .bind(&wallet)
        .bind(amount.token.0)
        .bind(&units)
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        let done = sqlx::query(
            "INSERT INTO unique_amounts (merchant_id, wallet, token_id, amount, invoice_id, reserved_until)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(amount.merchant.0)
        .bind(&wallet)
        .bind(amount.token.0)
        .bind(&units)
        .bind(amount.invoice.to_string())
        .bind(amount.reserved_until.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The least amount of a token that is reserved for an invoice, of those between two.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn amount_of_invoice(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        token: TokenId,
        (least, most): (TokenAmount, TokenAmount),
    ) -> Result<Option<TokenAmount>, StoreError> {
        // Of numbers as text, the longer one is the greater.
        let row = sqlx::query(
            "SELECT amount FROM unique_amounts
             WHERE merchant_id = $1 AND invoice_id = $2 AND token_id = $3
                AND (LENGTH(amount), amount) >= (LENGTH($4), $4) AND (LENGTH(amount), amount) <= (LENGTH($5), $5)
             ORDER BY LENGTH(amount), amount LIMIT 1",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(token.0)
        .bind(least.base_units().to_string())
        .bind(most.base_units().to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        row.map(|row| Columns::of(&row, "unique_amounts").parsed("amount").map(TokenAmount::from_base_units))
            .transpose()
    }

    /// How many amounts of a token, of those between two, other invoices ask to be paid to a wallet.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn amounts_of_others(
        &mut self,
        invoice: InvoiceId,
        wallet: WalletAddress,
        token: TokenId,
        (least, most): (TokenAmount, TokenAmount),
        now: UnixSeconds,
    ) -> Result<u64, StoreError> {
        // Of numbers as text, the longer one is the greater.
        let row = sqlx::query(
            "SELECT COUNT(*) AS others FROM unique_amounts
             WHERE wallet = $1 AND token_id = $2 AND invoice_id <> $3 AND reserved_until >= $4
                AND (LENGTH(amount), amount) >= (LENGTH($5), $5) AND (LENGTH(amount), amount) <= (LENGTH($6), $6)",
        )
        .bind(wallet.to_string())
        .bind(token.0)
        .bind(invoice.to_string())
        .bind(now.0)
        .bind(least.base_units().to_string())
        .bind(most.base_units().to_string())
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "unique_amounts").number("others")
    }

    /// The invoice that an amount in a block of that time pays.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice_of_amount(
        &mut self,
        wallet: WalletAddress,
        token: TokenId,
        amount: TokenAmount,
        block_time: UnixSeconds,
    ) -> Result<Option<(MerchantId, InvoiceId)>, StoreError> {
        let row = sqlx::query(
            "SELECT invoices.merchant_id, invoices.invoice_id FROM unique_amounts
             JOIN invoices ON invoices.merchant_id = unique_amounts.merchant_id
                AND invoices.invoice_id = unique_amounts.invoice_id
             WHERE wallet = $1 AND token_id = $2 AND amount = $3 AND reserved_until >= $4
                AND created_ms <= $5",
        )
        .bind(wallet.to_string())
        .bind(token.0)
        .bind(amount.base_units().to_string())
        .bind(block_time.0)
        .bind(block_time.plus(CLOCK_SKEW_SECONDS).as_millis().0)
        .fetch_optional(&mut *self.connection)
        .await?;
        row.map(|row| read_key(&row, "unique_amounts")).transpose()
    }

    /// Removes at most `limit` reservations that ended before `before`; says how many.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn prune_unique_amounts(&mut self, before: UnixSeconds, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM unique_amounts WHERE (merchant_id, wallet, token_id, amount) IN (
                SELECT merchant_id, wallet, token_id, amount FROM unique_amounts
                WHERE reserved_until < $1 ORDER BY reserved_until LIMIT $2 + 0)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected())
    }
}

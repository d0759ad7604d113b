//! The wallets a merchant is paid to: the one it began with, and those that followed or will.

use alloy_primitives::Address;
use domain::{
    id::{MerchantId, WalletId},
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};

/// A wallet as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletRecord {
    pub merchant: MerchantId,
    pub id: WalletId,
    pub address: Address,
    pub created_at: UnixSeconds,
    /// Invoices from then on are paid to it.
    pub effective_at: UnixSeconds,
    /// It was called off before it took effect.
    pub canceled_at: Option<UnixSeconds>,
    /// When its taking effect was told.
    pub announced_at: Option<UnixSeconds>,
}

impl Tx<'_> {
    /// A merchant's wallets that were not called off, in the order in which they take effect; the first is the
    /// one it began with. Empty if there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn wallets(&mut self, merchant: MerchantId) -> Result<Vec<WalletRecord>, StoreError> {
        let first = sqlx::query("SELECT evm_wallet, created_at FROM merchants WHERE merchant_id = $1")
            .bind(merchant.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(first) = first else { return Ok(Vec::new()) };
        let columns = Columns::of(&first, "merchants");
        let created_at = UnixSeconds(columns.integer("created_at")?);
        let mut wallets = vec![WalletRecord {
            merchant,
            id: WalletId::first_of(merchant),
            address: columns.parsed("evm_wallet")?,
            created_at,
            effective_at: created_at,
            canceled_at: None,
            announced_at: Some(created_at),
        }];
        let rows = sqlx::query(
            "SELECT * FROM wallet_changes WHERE merchant_id = $1 AND canceled_at IS NULL
             ORDER BY effective_at, ordinal",
        )
        .bind(merchant.0)
        .fetch_all(&mut *self.connection)
        .await?;
        for row in &rows {
            wallets.push(read_wallet(row)?);
        }
        Ok(wallets)
    }

    /// Every wallet that some merchant has, had or will have, each once.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn all_wallets(&mut self) -> Result<Vec<Address>, StoreError> {
        let rows = sqlx::query(
            "SELECT evm_wallet AS address FROM merchants
             UNION SELECT address FROM wallet_changes WHERE canceled_at IS NULL ORDER BY address",
        )
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(|row| Columns::of(row, "wallet_changes").parsed("address")).collect()
    }

    /// The receivers of invoices that may still be paid, in the order of their addresses; not those below a key, which no
    /// contract is.
    ///
    /// # Errors
    ///
    /// If the database refuses, or holds a row that makes no sense.
    pub async fn receivers_of_open_invoices(&mut self, now: UnixSeconds) -> Result<Vec<Address>, StoreError> {
        let rows = sqlx::query(
            "SELECT receiver FROM invoices WHERE watched_until IS NOT NULL AND watched_until > $1 AND address_mode <> 'xpub'
             UNION SELECT receiver FROM invoices
             WHERE status IN ('unpaid', 'underpaid') AND expires_at > $1 AND address_mode <> 'xpub' ORDER BY receiver",
        )
        .bind(now.0)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(|row| Columns::of(row, "invoices").parsed("receiver")).collect()
    }

    /// A wallet of a merchant other than its first, called off or not.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn wallet(&mut self, merchant: MerchantId, id: WalletId) -> Result<Option<WalletRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM wallet_changes WHERE merchant_id = $1 AND wallet_id = $2")
            .bind(merchant.0)
            .bind(id.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_wallet).transpose()
    }

    /// Adds a wallet. Lock the merchant first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn insert_wallet(&mut self, wallet: &WalletRecord) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO wallet_changes
                (merchant_id, wallet_id, address, created_at, effective_at, canceled_at, announced_at, ordinal)
             SELECT $1, $2, $3, $4, $5, $6, $7, COALESCE(MAX(ordinal), 0) + 1 FROM wallet_changes
             WHERE merchant_id = $1",
        )
        .bind(wallet.merchant.0)
        .bind(wallet.id.to_string())
        .bind(wallet.address.to_checksum(None))
        .bind(wallet.created_at.0)
        .bind(wallet.effective_at.0)
        .bind(wallet.canceled_at.map(|time| time.0))
        .bind(wallet.announced_at.map(|time| time.0))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Calls a wallet off. Lock the merchant, and make sure that it has not taken effect.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn cancel_wallet(
        &mut self,
        merchant: MerchantId,
        id: WalletId,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE wallet_changes SET canceled_at = $3
             WHERE merchant_id = $1 AND wallet_id = $2 AND canceled_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Notes that a wallet's taking effect is told; `false` if somebody else told it, or it was called off.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn note_wallet_told(
        &mut self,
        merchant: MerchantId,
        id: WalletId,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE wallet_changes SET announced_at = $3
             WHERE merchant_id = $1 AND wallet_id = $2 AND canceled_at IS NULL AND announced_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Wallets that took effect by `now` without anybody being told, at most `limit`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn untold_wallets(&mut self, now: UnixSeconds, limit: i64) -> Result<Vec<WalletRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM wallet_changes WHERE effective_at <= $1 AND canceled_at IS NULL AND announced_at IS NULL
             ORDER BY effective_at LIMIT $2 + 0",
        )
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_wallet).collect()
    }

    /// Whether somebody has use of an address: as a merchant's wallet, now, earlier or soon, or as one that we gave to a
    /// payer.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn is_in_use(&mut self, address: Address) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM invoices WHERE deposit_address = $1
             UNION ALL SELECT 1 FROM merchants WHERE evm_wallet = $1
             UNION ALL SELECT 1 FROM wallet_changes WHERE address = $1 LIMIT 1",
        )
        .bind(address.to_checksum(None))
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.is_some())
    }

    /// Whether an address is another merchant's: a wallet, now, earlier or soon, or where its payers pay directly.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn is_another_s(&mut self, merchant: MerchantId, address: Address) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM invoices WHERE deposit_address = $1 AND merchant_id <> $2
             UNION ALL SELECT 1 FROM merchants WHERE evm_wallet = $1 AND merchant_id <> $2
             UNION ALL SELECT 1 FROM wallet_changes WHERE address = $1 AND merchant_id <> $2 LIMIT 1",
        )
        .bind(address.to_checksum(None))
        .bind(merchant.0)
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.is_some())
    }

    /// Whether what an address sends to a merchant's wallet was counted when it arrived there: it is a forwarder, which
    /// can only pay its wallet, or an address of the merchant's own key.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn is_deposit_of(&mut self, merchant: MerchantId, address: Address) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM invoices WHERE deposit_address = $1
                AND (address_mode = 'forwarder' OR (address_mode = 'xpub' AND merchant_id = $2)) LIMIT 1",
        )
        .bind(address.to_checksum(None))
        .bind(merchant.0)
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.is_some())
    }

    /// Whether an address is one that we gave to a payer, and no merchant's wallet.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn is_deposit_address(&mut self, address: Address) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM invoices WHERE deposit_address = $1 AND address_mode <> 'direct' LIMIT 1")
            .bind(address.to_checksum(None))
            .fetch_optional(&mut *self.connection)
            .await?;
        Ok(row.is_some())
    }
}

fn read_wallet(row: &AnyRow) -> Result<WalletRecord, StoreError> {
    let columns = Columns::of(row, "wallet_changes");
    let time = |column| columns.optional_integer(column).map(|time| time.map(UnixSeconds));
    Ok(WalletRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        id: columns.parsed("wallet_id")?,
        address: columns.parsed("address")?,
        created_at: UnixSeconds(columns.integer("created_at")?),
        effective_at: UnixSeconds(columns.integer("effective_at")?),
        canceled_at: time("canceled_at")?,
        announced_at: time("announced_at")?,
    })
}

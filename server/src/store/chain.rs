//! How far each network has been read, and which addresses are looked for.

use std::collections::HashMap;

use alloy_primitives::Address;
use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId},
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns, transfers::block_number};

/// A block that was read and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRef {
    pub number: u64,
    pub hash: String,
    pub time: UnixSeconds,
}

/// An address the chains are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedDeposit {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub address: Address,
    pub mode: AddressMode,
    /// When its invoice's time was up, if that has come to an end.
    pub ended_at: Option<UnixSeconds>,
}

impl WatchedDeposit {
    /// Whether somebody has its key, and may take out what he likes.
    pub fn has_key(&self) -> bool {
        self.mode.has_key()
    }
}

impl Tx<'_> {
    /// The last block of a network that was read; `None` before the first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn cursor(&mut self, network: &str) -> Result<Option<BlockRef>, StoreError> {
        let row = sqlx::query("SELECT block_number, block_hash, block_time FROM cursors WHERE network = $1")
            .bind(network)
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "cursors");
        Ok(Some(BlockRef {
            number: columns.number("block_number")?,
            hash: columns.text("block_hash")?,
            time: UnixSeconds(columns.integer("block_time")?),
        }))
    }

    /// Moves a network's cursor, forwards or back.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn move_cursor(&mut self, network: &str, to: &BlockRef, now: UnixSeconds) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO cursors (network, block_number, block_hash, block_time, updated_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (network) DO UPDATE SET block_number = excluded.block_number, block_hash = excluded.block_hash,
                block_time = excluded.block_time, updated_at = excluded.updated_at",
        )
        .bind(network)
        .bind(block_number(to.number))
        .bind(&to.hash)
        .bind(to.time.0)
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Remembers a block, so that a reorganisation can be traced back to it.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn remember_block(&mut self, network: &str, block: &BlockRef) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO blocks (network, block_number, block_hash, block_time) VALUES ($1, $2, $3, $4)
             ON CONFLICT (network, block_number)
             DO UPDATE SET block_hash = excluded.block_hash, block_time = excluded.block_time",
        )
        .bind(network)
        .bind(block_number(block.number))
        .bind(&block.hash)
        .bind(block.time.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Forgets blocks above `newest` (they were replaced) and below `oldest` (the ring is full).
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn keep_blocks(&mut self, network: &str, oldest: u64, newest: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM blocks WHERE network = $1 AND (block_number < $2 OR block_number > $3)")
            .bind(network)
            .bind(block_number(oldest))
            .bind(block_number(newest))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// The remembered blocks of a network, newest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn remembered_blocks(&mut self, network: &str) -> Result<Vec<BlockRef>, StoreError> {
        let rows = sqlx::query(
            "SELECT block_number, block_hash, block_time FROM blocks WHERE network = $1 ORDER BY block_number DESC",
        )
        .bind(network)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter()
            .map(|row| {
                let columns = Columns::of(row, "blocks");
                Ok(BlockRef {
                    number: columns.number("block_number")?,
                    hash: columns.text("block_hash")?,
                    time: UnixSeconds(columns.integer("block_time")?),
                })
            })
            .collect()
    }

    /// The block of that number that is remembered.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn remembered_hash(&mut self, network: &str, number: u64) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT block_hash FROM blocks WHERE network = $1 AND block_number = $2")
            .bind(network)
            .bind(block_number(number))
            .fetch_optional(&mut *self.connection)
            .await?;
        row.map(|row| Columns::of(&row, "blocks").text("block_hash")).transpose()
    }

    /// Every deposit address that is looked for at `now`: of open invoices that were quoted, and of
    /// ended ones for a while.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn watched_deposits(&mut self, now: UnixSeconds) -> Result<Vec<WatchedDeposit>, StoreError> {
        let rows = sqlx::query(
            "SELECT merchant_id, invoice_id, deposit_address, address_mode,
                CASE WHEN status IN ('unpaid', 'underpaid') THEN NULL ELSE expires_at END AS ended_at
             FROM invoices
             WHERE watched_until IS NOT NULL AND watched_until > $1 AND address_mode <> 'direct'",
        )
        .bind(now.0)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_deposit).collect()
    }

    /// Whether a network has to be read without delay: an invoice can be paid that was quoted, or could be within the last
    /// hour; something there is not final yet; or somebody has a payment looked for there.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn is_anything_awaited(&mut self, network: &str, now: UnixSeconds) -> Result<bool, StoreError> {
        const LATE_PAYERS_SECONDS: i64 = 3_600;

        let row = sqlx::query(
            "SELECT CASE WHEN
                EXISTS (SELECT 1 FROM invoices
                    WHERE watched_until IS NOT NULL AND (status IN ('unpaid', 'underpaid') OR expires_at > $2))
                OR EXISTS (SELECT 1 FROM transfers WHERE network = $1 AND canonical = 1 AND finality <> 'final')
                OR EXISTS (SELECT 1 FROM sweeps WHERE network = $1 AND canonical = 1 AND finality <> 'final')
                OR EXISTS (SELECT 1 FROM verifications WHERE network = $1 AND next_ms IS NOT NULL)
             THEN 1 ELSE 0 END AS awaited",
        )
        .bind(network)
        .bind(now.plus(-LATE_PAYERS_SECONDS).0)
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "invoices").number::<u8>("awaited").map(|awaited| awaited == 1)
    }

    /// Every wallet that is paid directly and looked for at `now`, with the merchants whose it is.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn watched_wallets(&mut self, now: UnixSeconds) -> Result<HashMap<Address, Vec<MerchantId>>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT merchant_id, deposit_address FROM invoices
             WHERE watched_until IS NOT NULL AND watched_until > $1 AND address_mode = 'direct'
             ORDER BY merchant_id",
        )
        .bind(now.0)
        .fetch_all(&mut *self.connection)
        .await?;
        let mut wallets: HashMap<Address, Vec<MerchantId>> = HashMap::new();
        for row in &rows {
            let columns = Columns::of(row, "invoices");
            let merchants = wallets.entry(columns.parsed("deposit_address")?).or_default();
            merchants.push(MerchantId(columns.integer("merchant_id")?));
        }
        Ok(wallets)
    }

    /// The merchants that a wallet was paid directly for.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn merchants_of_wallet(&mut self, wallet: Address) -> Result<Vec<MerchantId>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT merchant_id FROM invoices WHERE deposit_address = $1 AND address_mode = 'direct'
             ORDER BY merchant_id",
        )
        .bind(wallet.to_checksum(None))
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(|row| Columns::of(row, "invoices").integer("merchant_id").map(MerchantId)).collect()
    }
}

pub(super) fn read_deposit(row: &AnyRow) -> Result<WatchedDeposit, StoreError> {
    let columns = Columns::of(row, "invoices");
    Ok(WatchedDeposit {
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.parsed("invoice_id")?,
        address: columns.parsed("deposit_address")?,
        mode: columns.parsed("address_mode")?,
        ended_at: columns.optional_integer("ended_at")?.map(UnixSeconds),
    })
}

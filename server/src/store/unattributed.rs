//! What came to merchants' own wallets and belongs to no invoice, or did not until a merchant said so.

use domain::{
    id::{InvoiceId, MerchantId, PaymentId, TokenId},
    money::{Decimals, Rate, TokenAmount},
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{
    StoreError, Tx,
    row::Columns,
    transfers::{block_number, read_decimals},
};
use crate::wallet::WalletAddress;

/// A transfer to a merchant's wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnattributedRecord {
    pub merchant: MerchantId,
    pub network: String,
    pub block_hash: String,
    pub tx_id: String,
    pub log_index: i64,
    /// Which one it is among this transaction's transfers of this token to this wallet, from 0.
    pub ordinal: u32,
    pub wallet: WalletAddress,
    pub token: TokenId,
    pub decimals: Decimals,
    pub amount: TokenAmount,
    pub payer: Option<String>,
    pub block_number: u64,
    pub block_time: UnixSeconds,
    /// The price at that block; `None` if none could be trusted.
    pub price_at_block: Option<Rate>,
    /// Whether this server takes the token at all.
    pub accepted: bool,
}

/// Where a payment stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnattributedPlace {
    block_time: UnixSeconds,
    payment: PaymentId,
}

/// Which part of the list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnattributedPart {
    Newest,
    OlderThan(UnattributedPlace),
    NewerThan(UnattributedPlace),
}

macro_rules! unattributed_sql {
    ($part:literal, $order:literal) => {
        concat!(
            "SELECT * FROM unattributed WHERE merchant_id = $1 AND canonical = 1 ",
            $part,
            " AND NOT EXISTS (
                SELECT 1 FROM attachments WHERE attachments.merchant_id = unattributed.merchant_id
                    AND attachments.payment_id = unattributed.payment_id)
             ORDER BY block_time ",
            $order,
            ", payment_id ",
            $order,
            " LIMIT $2 + 1"
        )
    };
}

impl UnattributedRecord {
    /// The same in whatever block its transaction comes to be. As a payment of an invoice it has another id.
    pub fn payment(&self) -> PaymentId {
        let wallet = self.wallet.to_string();
        PaymentId::of_transfer(&self.network, &self.tx_id, &wallet, &self.token.to_string(), self.ordinal)
    }
}

impl Tx<'_> {
    /// Records a transfer that belongs to no invoice; one that was orphaned and is seen again is on the chain again.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn record_unattributed(&mut self, seen: &UnattributedRecord) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO unattributed (merchant_id, network, block_hash, tx_id, log_index, ordinal, wallet, token_id,
                decimals, amount, payer, block_number, block_time, rate, accepted, payment_id, canonical)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1)
             ON CONFLICT (merchant_id, network, block_hash, tx_id, log_index) DO UPDATE SET canonical = 1",
        )
        .bind(seen.merchant.0)
        .bind(&seen.network)
        .bind(&seen.block_hash)
        .bind(&seen.tx_id)
        .bind(seen.log_index)
        .bind(i64::from(seen.ordinal))
        .bind(seen.wallet.to_string())
        .bind(seen.token.0)
        .bind(i64::from(seen.decimals.get()))
        .bind(seen.amount.base_units().to_string())
        .bind(&seen.payer)
        .bind(block_number(seen.block_number))
        .bind(seen.block_time.0)
        .bind(seen.price_at_block.map(|rate| rate.usd_e8().to_string()))
        .bind(i64::from(seen.accepted))
        .bind(seen.payment().to_string())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Whether what came to a wallet is a payment of an invoice already, as it stands in this block.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn is_payment(&mut self, seen: &UnattributedRecord) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM transfers WHERE merchant_id = $1 AND network = $2 AND block_hash = $3 AND tx_id = $4
                AND log_index = $5 AND canonical = 1",
        )
        .bind(seen.merchant.0)
        .bind(&seen.network)
        .bind(&seen.block_hash)
        .bind(&seen.tx_id)
        .bind(seen.log_index)
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.is_some())
    }

    /// Takes back that something belongs to nobody: it has become known whose it is.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn withdraw_unattributed(&mut self, seen: &UnattributedRecord) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE unattributed SET canonical = 0 WHERE merchant_id = $1 AND network = $2 AND block_hash = $3
                AND tx_id = $4 AND log_index = $5 AND canonical = 1",
        )
        .bind(seen.merchant.0)
        .bind(&seen.network)
        .bind(&seen.block_hash)
        .bind(&seen.tx_id)
        .bind(seen.log_index)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Takes what came above `block` off the chain.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn orphan_unattributed_above(&mut self, network: &str, block: u64) -> Result<(), StoreError> {
        sqlx::query("UPDATE unattributed SET canonical = 0 WHERE network = $1 AND block_number > $2 AND canonical = 1")
            .bind(network)
            .bind(block_number(block))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// What a merchant has not said anything about, newest first, and whether there is more in the direction that was asked
    /// for.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unattributed(
        &mut self,
        merchant: MerchantId,
        part: UnattributedPart,
        limit: usize,
    ) -> Result<(Vec<UnattributedRecord>, bool), StoreError> {
        let (place, sql) = match part {
            UnattributedPart::Newest => (None, unattributed_sql!("", "DESC")),
            UnattributedPart::OlderThan(place) => {
                (Some(place), unattributed_sql!("AND (block_time, payment_id) < ($3, $4)", "DESC"))
            }
            UnattributedPart::NewerThan(place) => {
                (Some(place), unattributed_sql!("AND (block_time, payment_id) > ($3, $4)", "ASC"))
            }
        };
        let mut query = sqlx::query(sql).bind(merchant.0).bind(i64::try_from(limit).unwrap_or(i64::MAX - 1));
        if let Some(place) = place {
            query = query.bind(place.block_time.0).bind(place.payment.to_string());
        }
        let rows = query.fetch_all(&mut *self.connection).await?;
        let mut found: Vec<_> = rows.iter().map(read_unattributed).collect::<Result<_, _>>()?;
        let has_more = limit < found.len();
        found.truncate(limit);
        if matches!(part, UnattributedPart::NewerThan(_)) {
            found.reverse();
        }
        Ok((found, has_more))
    }

    /// The place of a payment in a merchant's list, also once it was attached; `None` if it is not the merchant's.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unattributed_place(
        &mut self,
        merchant: MerchantId,
        payment: PaymentId,
    ) -> Result<Option<UnattributedPlace>, StoreError> {
        let row = sqlx::query(
            "SELECT block_time FROM unattributed WHERE merchant_id = $1 AND payment_id = $2
             ORDER BY canonical DESC LIMIT 1",
        )
        .bind(merchant.0)
        .bind(payment.to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let block_time = UnixSeconds(Columns::of(&row, "unattributed").integer("block_time")?);
        Ok(Some(UnattributedPlace { block_time, payment }))
    }

    /// What a transaction brought to a merchant's wallet.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unattributed_of(
        &mut self,
        merchant: MerchantId,
        network: &str,
        tx_id: &str,
    ) -> Result<Vec<UnattributedRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM unattributed WHERE merchant_id = $1 AND network = $2 AND tx_id = $3 AND canonical = 1
             ORDER BY log_index",
        )
        .bind(merchant.0)
        .bind(network)
        .bind(tx_id)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_unattributed).collect()
    }

    /// The invoice that a merchant said a payment of its wallet belongs to.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn attachment(
        &mut self,
        merchant: MerchantId,
        payment: PaymentId,
    ) -> Result<Option<InvoiceId>, StoreError> {
        let row = sqlx::query("SELECT invoice_id FROM attachments WHERE merchant_id = $1 AND payment_id = $2")
            .bind(merchant.0)
            .bind(payment.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.map(|row| Columns::of(&row, "attachments").parsed("invoice_id")).transpose()
    }

    /// Says that a payment of a merchant's wallet belongs to an invoice; `false` if it belongs to one already.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn attach(
        &mut self,
        merchant: MerchantId,
        payment: PaymentId,
        invoice: InvoiceId,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO attachments (merchant_id, payment_id, invoice_id, attached_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(merchant.0)
        .bind(payment.to_string())
        .bind(invoice.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes at most `limit` transfers of blocks before `before`; says how many.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn prune_unattributed(&mut self, before: UnixSeconds, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM unattributed WHERE (merchant_id, network, block_hash, tx_id, log_index) IN (
                SELECT merchant_id, network, block_hash, tx_id, log_index FROM unattributed
                WHERE block_time < $1 ORDER BY block_time LIMIT $2 + 0)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected())
    }
}

fn read_unattributed(row: &AnyRow) -> Result<UnattributedRecord, StoreError> {
    let columns = Columns::of(row, "unattributed");
    let price_at_block = match columns.optional_parsed::<u128>("rate")? {
        Some(rate) => Some(Rate::from_usd_e8(rate).ok_or_else(|| columns.corrupt("rate", "0"))?),
        None => None,
    };
    Ok(UnattributedRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        network: columns.text("network")?,
        block_hash: columns.text("block_hash")?,
        tx_id: columns.text("tx_id")?,
        log_index: columns.integer("log_index")?,
        ordinal: columns.number("ordinal")?,
        wallet: columns.parsed("wallet")?,
        token: TokenId(columns.integer("token_id")?),
        decimals: read_decimals(&columns)?,
        amount: TokenAmount::from_base_units(columns.parsed("amount")?),
        payer: columns.optional_text("payer")?,
        block_number: columns.number("block_number")?,
        block_time: UnixSeconds(columns.integer("block_time")?),
        price_at_block,
        accepted: columns.flag("accepted")?,
    })
}

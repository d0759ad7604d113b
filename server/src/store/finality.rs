//! How much the facts of a network may be relied on, and who stands for them.

use alloy_primitives::Address;
use domain::{
    finality::{Depth, Finality, Marks, Thresholds},
    id::{InvoiceId, MerchantId, TokenId},
    money::{TokenAmount, UsdMillis},
};

use super::{
    StoreError, Tx,
    row::Columns,
    transfers::{block_number, distinct},
};

/// Which fact of a network it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FactKey {
    pub merchant: MerchantId,
    pub block_hash: String,
    pub tx_id: String,
    pub log_index: i64,
}

/// A transfer that one endpoint alone has shown so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnvouchedTransfer {
    pub key: FactKey,
    pub invoice: InvoiceId,
    pub deposit: Address,
    pub block: u64,
    pub token: TokenId,
    pub amount: TokenAmount,
    pub due: UsdMillis,
    /// Up to what its merchant takes the word of one endpoint, if it said so.
    pub single_source: Option<UsdMillis>,
}

impl Tx<'_> {
    /// The newest blocks of a network that its chain has called safe and finalized.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn marks(&mut self, network: &str) -> Result<Marks, StoreError> {
        let row = sqlx::query("SELECT safe_number, finalized_number FROM cursors WHERE network = $1")
            .bind(network)
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(Marks::default()) };
        let columns = Columns::of(&row, "cursors");
        let mark = |name| columns.optional_integer(name).map(|mark| mark.map(i64::unsigned_abs));
        Ok(Marks { safe: mark("safe_number")?, finalized: mark("finalized_number")? })
    }

    /// Sets them. The network must have a cursor.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_marks(&mut self, network: &str, marks: Marks) -> Result<(), StoreError> {
        sqlx::query("UPDATE cursors SET safe_number = $2, finalized_number = $3 WHERE network = $1")
            .bind(network)
            .bind(marks.safe.map(block_number))
            .bind(marks.finalized.map(block_number))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Transfers up to a block that nobody vouches for yet, oldest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unvouched(
        &mut self,
        network: &str,
        until: u64,
        limit: i64,
    ) -> Result<Vec<UnvouchedTransfer>, StoreError> {
        let rows = sqlx::query(
            "SELECT transfers.merchant_id, transfers.invoice_id, transfers.block_hash, transfers.tx_id,
                transfers.log_index, transfers.block_number, transfers.token_id, transfers.amount,
                invoices.deposit_address, invoices.due, merchants.single_source_usd_millis
             FROM transfers
             JOIN invoices ON invoices.merchant_id = transfers.merchant_id
                AND invoices.invoice_id = transfers.invoice_id
             JOIN merchants ON merchants.merchant_id = transfers.merchant_id
             WHERE transfers.network = $1 AND transfers.canonical = 1 AND transfers.finality <> 'final'
                AND transfers.vouched = 0 AND transfers.block_number <= $2
             ORDER BY transfers.block_number, transfers.log_index LIMIT $3",
        )
        .bind(network)
        .bind(block_number(until))
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        let unvouched = rows.iter().map(|row| {
            let columns = Columns::of(row, "transfers");
            Ok(UnvouchedTransfer {
                key: FactKey {
                    merchant: MerchantId(columns.integer("merchant_id")?),
                    block_hash: columns.text("block_hash")?,
                    tx_id: columns.text("tx_id")?,
                    log_index: columns.integer("log_index")?,
                },
                invoice: columns.parsed("invoice_id")?,
                deposit: columns.parsed("deposit_address")?,
                block: columns.number("block_number")?,
                token: TokenId(columns.integer("token_id")?),
                amount: TokenAmount::from_base_units(columns.parsed("amount")?),
                due: UsdMillis::from_millis(columns.number("due")?),
                single_source: single_source(&columns)?,
            })
        });
        unvouched.collect()
    }

    /// Says of a transfer that more than one endpoint showed it, or that one was enough.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn vouch(&mut self, network: &str, fact: &FactKey) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE transfers SET vouched = 1 WHERE merchant_id = $1 AND network = $2 AND block_hash = $3 AND tx_id = $4
                AND log_index = $5 AND canonical = 1",
        )
        .bind(fact.merchant.0)
        .bind(network)
        .bind(&fact.block_hash)
        .bind(&fact.tx_id)
        .bind(fact.log_index)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Judges every fact of a network that is not final yet, now that `head` is the newest block; returns the
    /// invoices of those of which something is new. For invoices up to `one_is_enough`, or up to what their merchant
    /// set, the word of one endpoint is taken; for none if it is `None`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn deepen(
        &mut self,
        network: &str,
        head: u64,
        marks: Marks,
        thresholds: &Thresholds,
        one_is_enough: Option<UsdMillis>,
    ) -> Result<Vec<(MerchantId, InvoiceId)>, StoreError> {
        let mut touched = Vec::new();
        for (table, facts, update) in [
            (
                "transfers",
                "SELECT facts.*, invoices.due, merchants.single_source_usd_millis FROM transfers AS facts
                 JOIN invoices ON invoices.merchant_id = facts.merchant_id AND invoices.invoice_id = facts.invoice_id
                 JOIN merchants ON merchants.merchant_id = facts.merchant_id
                 WHERE facts.network = $1 AND facts.canonical = 1 AND facts.finality <> 'final'",
                "UPDATE transfers SET confirmations = $6, finality = $7,
                    vouched = CASE WHEN $7 = 'seen' THEN vouched ELSE 1 END
                 WHERE merchant_id = $1 AND network = $2 AND block_hash = $3 AND tx_id = $4 AND log_index = $5",
            ),
            (
                "sweeps",
                "SELECT facts.*, 1 AS vouched, 0 AS due, NULL AS single_source_usd_millis FROM sweeps AS facts
                 WHERE facts.network = $1 AND facts.canonical = 1 AND facts.finality <> 'final'",
                "UPDATE sweeps SET confirmations = $6, finality = $7
                 WHERE merchant_id = $1 AND network = $2 AND block_hash = $3 AND tx_id = $4 AND log_index = $5",
            ),
        ] {
            let rows = sqlx::query(facts).bind(network).fetch_all(&mut *self.connection).await?;
            for row in &rows {
                let columns = Columns::of(row, table);
                let due = UsdMillis::from_millis(columns.number("due")?);
                let set = single_source(&columns)?;
                let is_enough = one_is_enough.is_some_and(|usual| due <= set.unwrap_or(usual));
                let is_vouched = columns.flag("vouched")? || is_enough;
                let depth = Depth { block: columns.number("block_number")?, head, marks, is_vouched };
                let now = (thresholds.counted(depth, due), thresholds.finality(depth, due));
                if (columns.number("confirmations")?, read_finality(&columns)?) == now {
                    continue;
                }
                sqlx::query(update)
                    .bind(columns.integer("merchant_id")?)
                    .bind(network)
                    .bind(columns.text("block_hash")?)
                    .bind(columns.text("tx_id")?)
                    .bind(columns.integer("log_index")?)
                    .bind(i64::from(now.0))
                    .bind(spell(now.1))
                    .execute(&mut *self.connection)
                    .await?;
                touched.push(super::invoices::read_key(row, table)?);
            }
        }
        Ok(distinct(touched))
    }
}

fn single_source(columns: &Columns<'_>) -> Result<Option<UsdMillis>, StoreError> {
    let millis = columns.optional_integer("single_source_usd_millis")?;
    Ok(millis.map(|millis| UsdMillis::from_millis(millis.unsigned_abs())))
}

pub(super) fn spell(finality: Finality) -> &'static str {
    match finality {
        Finality::Seen => "seen",
        Finality::Paid => "paid",
        Finality::Final => "final",
    }
}

pub(super) fn read_finality(columns: &Columns<'_>) -> Result<Finality, StoreError> {
    match columns.text("finality")?.as_str() {
        "seen" => Ok(Finality::Seen),
        "paid" => Ok(Finality::Paid),
        "final" => Ok(Finality::Final),
        other => Err(columns.corrupt("finality", other.to_owned())),
    }
}

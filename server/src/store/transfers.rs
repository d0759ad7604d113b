//! Facts: transfers and sweeps as a chain told them.

use std::collections::HashMap;

use alloy_primitives::U256;
use domain::{
    finality::Finality,
    id::{InvoiceId, MerchantId, PaymentId, QuoteId, TokenId},
    money::{Decimals, Rate, TokenAmount},
    settlement::Sweep,
    time::UnixSeconds,
    transfer::{ChainStanding, Transfer, Valuation},
};
use sqlx::any::AnyRow;

use super::{
    BlockRef, StoreError, Tx,
    finality::{read_finality, spell},
    row::Columns,
};

/// A transfer to an invoice's address in one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRecord {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub payment: PaymentId,
    pub network: String,
    pub block_hash: String,
    /// The transaction's hash, or a made-up id for value that no transaction's own transfer explains.
    pub tx_id: String,
    pub log_index: i64,
    pub token: TokenId,
    pub decimals: Decimals,
    pub amount: TokenAmount,
    pub payer: Option<String>,
    pub block_number: u64,
    pub block_time: UnixSeconds,
    pub valuation: Valuation,
    pub canonical: bool,
    /// As far as they matter.
    pub confirmations: u32,
    pub finality: Finality,
    /// Whether more than one endpoint showed it, or one was enough.
    pub vouched: bool,
    /// What the last event about this payment said of it.
    pub announced: Option<String>,
}

impl TransferRecord {
    /// The block it is in.
    pub fn block(&self) -> BlockRef {
        BlockRef { number: self.block_number, hash: self.block_hash.clone(), time: self.block_time }
    }

    /// The transfer as the rules see it.
    pub fn to_transfer(&self) -> Transfer {
        Transfer {
            id: self.payment,
            network: self.network.clone(),
            token: self.token,
            decimals: self.decimals,
            amount: self.amount,
            block_time: self.block_time,
            block_number: self.block_number,
            index: self.log_index,
            valuation: self.valuation,
            standing: if self.canonical {
                ChainStanding::Canonical { confirmations: self.confirmations, finality: self.finality }
            } else {
                ChainStanding::Orphaned
            },
        }
    }
}

/// Value that left an invoice's address: to the merchant's wallet, or, where somebody has the key, wherever he sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepRecord {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub network: String,
    pub block_hash: String,
    pub tx_id: String,
    pub log_index: i64,
    pub token: TokenId,
    pub amount: TokenAmount,
    pub block_number: u64,
    pub canonical: bool,
    pub confirmations: u32,
    pub finality: Finality,
    /// Whether more than one endpoint showed it, or one was enough.
    pub vouched: bool,
}

impl SweepRecord {
    /// The sweep as the rules see it.
    pub fn to_sweep(&self) -> Sweep {
        Sweep {
            network: self.network.clone(),
            token: self.token,
            amount: self.amount,
            transaction: self.tx_id.clone(),
            block_number: self.block_number,
            index: self.log_index,
            is_final: self.finality == Finality::Final,
        }
    }
}

impl Tx<'_> {
    /// Records a transfer; `false` if this very fact was known and is canonical already. A fact that
    /// was orphaned and is seen again becomes canonical.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn record_transfer(&mut self, transfer: &TransferRecord, now: UnixSeconds) -> Result<bool, StoreError> {
        let (valuation, quote, rate) = match transfer.valuation {
            Valuation::Quoted { quote, rate } => ("quoted", Some(quote.to_string()), Some(rate)),
            Valuation::Spot { rate } => ("spot", None, Some(rate)),
            Valuation::Unpriced => ("unpriced", None, None),
            Valuation::Unexpected => ("unexpected", None, None),
        };
        let done = sqlx::query(
            "INSERT INTO transfers (merchant_id, invoice_id, network, block_hash, tx_id, log_index, payment_id, token_id,
                decimals, amount, payer, block_number, block_time, valuation, quote_id, rate, canonical, confirmations,
                finality, vouched, seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, $17, $18, $19, $20)
             ON CONFLICT (merchant_id, network, block_hash, tx_id, log_index)
             DO UPDATE SET canonical = 1, confirmations = excluded.confirmations, finality = excluded.finality,
                vouched = excluded.vouched WHERE transfers.canonical = 0",
        )
        .bind(transfer.merchant.0)
        .bind(transfer.invoice.to_string())
        .bind(&transfer.network)
        .bind(&transfer.block_hash)
        .bind(&transfer.tx_id)
        .bind(transfer.log_index)
        .bind(transfer.payment.to_string())
        .bind(transfer.token.0)
        .bind(i64::from(transfer.decimals.get()))
        .bind(transfer.amount.base_units().to_string())
        .bind(&transfer.payer)
        .bind(block_number(transfer.block_number))
        .bind(transfer.block_time.0)
        .bind(valuation)
        .bind(quote)
        .bind(rate.map(|rate| rate.usd_e8().to_string()))
        .bind(i64::from(transfer.confirmations))
        .bind(spell(transfer.finality))
        .bind(i64::from(transfer.vouched))
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        let is_new = done.rows_affected() == 1;
        if is_new {
            self.list_invoice_as_paid(transfer).await?;
        }
        Ok(is_new)
    }

    /// Puts the invoice where lists by payer and by network look for it.
    async fn list_invoice_as_paid(&mut self, transfer: &TransferRecord) -> Result<(), StoreError> {
        let payer = transfer.payer.as_ref().map(|payer| payer.to_lowercase());
        for (insert, value) in [
            (
                "INSERT INTO invoice_networks (network, merchant_id, created_ms, invoice_id)
                 SELECT $3, merchant_id, created_ms, invoice_id FROM invoices WHERE merchant_id = $1 AND invoice_id = $2
                 ON CONFLICT DO NOTHING",
                Some(&transfer.network),
            ),
            (
                "INSERT INTO invoice_payers (payer, merchant_id, created_ms, invoice_id)
                 SELECT $3, merchant_id, created_ms, invoice_id FROM invoices WHERE merchant_id = $1 AND invoice_id = $2
                 ON CONFLICT DO NOTHING",
                payer.as_ref(),
            ),
        ] {
            let Some(value) = value else { continue };
            sqlx::query(insert)
                .bind(transfer.merchant.0)
                .bind(transfer.invoice.to_string())
                .bind(value)
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// Remembers what an event said of a payment, on every fact that is the same payment.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn remember_announcement(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        payment: PaymentId,
        announced: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE transfers SET announced = $4 WHERE merchant_id = $1 AND invoice_id = $2 AND payment_id = $3
                AND (announced IS NULL OR announced <> $4)",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(payment.to_string())
        .bind(announced)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Records a sweep; `false` if this very fact was known and is canonical already.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn record_sweep(&mut self, sweep: &SweepRecord) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO sweeps (merchant_id, invoice_id, network, block_hash, tx_id, log_index, token_id, amount,
                block_number, canonical, confirmations, finality, vouched)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12)
             ON CONFLICT (merchant_id, network, block_hash, tx_id, log_index)
             DO UPDATE SET canonical = 1, confirmations = excluded.confirmations, finality = excluded.finality,
                vouched = excluded.vouched WHERE sweeps.canonical = 0",
        )
        .bind(sweep.merchant.0)
        .bind(sweep.invoice.to_string())
        .bind(&sweep.network)
        .bind(&sweep.block_hash)
        .bind(&sweep.tx_id)
        .bind(sweep.log_index)
        .bind(sweep.token.0)
        .bind(sweep.amount.base_units().to_string())
        .bind(block_number(sweep.block_number))
        .bind(i64::from(sweep.confirmations))
        .bind(spell(sweep.finality))
        .bind(i64::from(sweep.vouched))
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// An invoice's transfers, orphaned ones too, oldest block first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn transfers(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
    ) -> Result<Vec<TransferRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM transfers WHERE merchant_id = $1 AND invoice_id = $2
             ORDER BY block_time, network, block_number, log_index, payment_id",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_transfer).collect()
    }

    /// Transfers on their chains that have no price, of blocks since then, newest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unpriced_transfers(
        &mut self,
        since: UnixSeconds,
        most: i64,
    ) -> Result<Vec<TransferRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM transfers WHERE valuation = 'unpriced' AND canonical = 1 AND block_time >= $1
             ORDER BY block_time DESC LIMIT $2 + 0",
        )
        .bind(since.0)
        .bind(most)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_transfer).collect()
    }

    /// Gives a transfer that has no price one; `false` if it has one, or is not on its chain any more.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn price_transfer(&mut self, transfer: &TransferRecord, rate: Rate) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE transfers SET valuation = 'spot', rate = $1
             WHERE merchant_id = $2 AND network = $3 AND block_hash = $4 AND tx_id = $5 AND log_index = $6
                AND valuation = 'unpriced' AND canonical = 1",
        )
        .bind(rate.usd_e8().to_string())
        .bind(transfer.merchant.0)
        .bind(&transfer.network)
        .bind(&transfer.block_hash)
        .bind(&transfer.tx_id)
        .bind(transfer.log_index)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// An invoice's sweeps that are on the chain, oldest block first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn sweeps(&mut self, merchant: MerchantId, invoice: InvoiceId) -> Result<Vec<SweepRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM sweeps WHERE merchant_id = $1 AND invoice_id = $2 AND canonical = 1
             ORDER BY network, block_number, log_index",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_sweep).collect()
    }

    /// Takes every fact of a network above `block` off the chain; returns the invoices concerned.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn orphan_above(
        &mut self,
        network: &str,
        block: u64,
    ) -> Result<Vec<(MerchantId, InvoiceId)>, StoreError> {
        let mut touched = Vec::new();
        for (table, sql) in [
            (
                "transfers",
                "UPDATE transfers SET canonical = 0, confirmations = 0, finality = 'seen', vouched = 0
             WHERE network = $1 AND block_number > $2 AND canonical = 1 RETURNING merchant_id, invoice_id",
            ),
            (
                "sweeps",
                "UPDATE sweeps SET canonical = 0, confirmations = 0, finality = 'seen', vouched = 0
             WHERE network = $1 AND block_number > $2 AND canonical = 1 RETURNING merchant_id, invoice_id",
            ),
        ] {
            let rows =
                sqlx::query(sql).bind(network).bind(block_number(block)).fetch_all(&mut *self.connection).await?;
            for row in &rows {
                touched.push(super::invoices::read_key(row, table)?);
            }
        }
        Ok(distinct(touched))
    }

    /// What each invoice's address holds of a token, as far as the facts up to a block say.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn holdings(
        &mut self,
        network: &str,
        token: TokenId,
        until: u64,
    ) -> Result<HashMap<InvoiceId, TokenAmount>, StoreError> {
        let mut held: HashMap<InvoiceId, U256> = HashMap::new();
        for (sql, table, change) in [
            (
                "SELECT invoice_id, amount FROM transfers
                 WHERE network = $1 AND token_id = $2 AND canonical = 1 AND block_number <= $3",
                "transfers",
                U256::saturating_add as fn(U256, U256) -> U256,
            ),
            (
                "SELECT invoice_id, amount FROM sweeps
                 WHERE network = $1 AND token_id = $2 AND canonical = 1 AND block_number <= $3",
                "sweeps",
                U256::saturating_sub,
            ),
        ] {
            let rows = sqlx::query(sql)
                .bind(network)
                .bind(token.0)
                .bind(block_number(until))
                .fetch_all(&mut *self.connection)
                .await?;
            for row in &rows {
                let columns = Columns::of(row, table);
                let held = held.entry(columns.parsed("invoice_id")?).or_default();
                *held = change(*held, columns.parsed("amount")?);
            }
        }
        Ok(held.into_iter().map(|(invoice, units)| (invoice, TokenAmount::from_base_units(units))).collect())
    }

    /// Invoices with a canonical transfer on `network` that is final and not taken by any sweep.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoices_with_final_transfers(
        &mut self,
        network: &str,
    ) -> Result<Vec<(MerchantId, InvoiceId)>, StoreError> {
        let sql = format!("SELECT DISTINCT merchant_id, invoice_id {FINAL_AND_THERE}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(network).fetch_all(&mut *self.connection).await?;
        rows.iter().map(|row| super::invoices::read_key(row, "transfers")).collect()
    }

    /// How much of each token is in deposits on `network`, final and not taken by any sweep.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unswept(&mut self, network: &str) -> Result<HashMap<TokenId, TokenAmount>, StoreError> {
        let sql = format!("SELECT token_id, amount {FINAL_AND_THERE}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(network).fetch_all(&mut *self.connection).await?;
        let mut sums: HashMap<TokenId, U256> = HashMap::new();
        for row in &rows {
            let columns = Columns::of(row, "transfers");
            let sum = sums.entry(TokenId(columns.integer("token_id")?)).or_default();
            *sum = sum.saturating_add(columns.parsed("amount")?);
        }
        Ok(sums.into_iter().map(|(token, units)| (token, TokenAmount::from_base_units(units))).collect())
    }
}

/// The transfers at forwarders that nobody took yet, of those that nothing undoes.
const FINAL_AND_THERE: &str = "FROM transfers WHERE network = $1 AND canonical = 1 AND finality = 'final'
    AND EXISTS (SELECT 1 FROM invoices WHERE invoices.merchant_id = transfers.merchant_id
        AND invoices.invoice_id = transfers.invoice_id AND invoices.address_mode = 'forwarder')
    AND NOT EXISTS (SELECT 1 FROM sweeps WHERE sweeps.merchant_id = transfers.merchant_id
        AND sweeps.invoice_id = transfers.invoice_id AND sweeps.network = transfers.network
        AND sweeps.token_id = transfers.token_id AND sweeps.canonical = 1 AND sweeps.amount <> '0'
        AND (sweeps.block_number > transfers.block_number
            OR (sweeps.block_number = transfers.block_number AND sweeps.log_index > transfers.log_index)))";

/// A block number as the signed integer the column holds.
pub(super) fn block_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn read_decimals(columns: &Columns<'_>) -> Result<Decimals, StoreError> {
    let decimals: u8 = columns.number("decimals")?;
    Decimals::new(decimals).ok_or_else(|| columns.corrupt("decimals", decimals.to_string()))
}

pub(super) fn distinct(mut keys: Vec<(MerchantId, InvoiceId)>) -> Vec<(MerchantId, InvoiceId)> {
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn read_transfer(row: &AnyRow) -> Result<TransferRecord, StoreError> {
    let columns = Columns::of(row, "transfers");
    let rate = match columns.optional_parsed::<u128>("rate")? {
        Some(rate) => Some(Rate::from_usd_e8(rate).ok_or_else(|| columns.corrupt("rate", "0"))?),
        None => None,
    };
    let kind = columns.text("valuation")?;
    let valuation = match (kind.as_str(), rate, columns.optional_parsed::<QuoteId>("quote_id")?) {
        ("quoted", Some(rate), Some(quote)) => Valuation::Quoted { quote, rate },
        ("spot", Some(rate), None) => Valuation::Spot { rate },
        ("unpriced", None, None) => Valuation::Unpriced,
        ("unexpected", None, None) => Valuation::Unexpected,
        _ => return Err(columns.corrupt("valuation", kind)),
    };
    Ok(TransferRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.parsed("invoice_id")?,
        payment: columns.parsed("payment_id")?,
        network: columns.text("network")?,
        block_hash: columns.text("block_hash")?,
        tx_id: columns.text("tx_id")?,
        log_index: columns.integer("log_index")?,
        token: TokenId(columns.integer("token_id")?),
        decimals: read_decimals(&columns)?,
        amount: TokenAmount::from_base_units(columns.parsed("amount")?),
        payer: columns.optional_text("payer")?,
        block_number: columns.number("block_number")?,
        block_time: UnixSeconds(columns.integer("block_time")?),
        valuation,
        canonical: columns.flag("canonical")?,
        confirmations: columns.number("confirmations")?,
        finality: read_finality(&columns)?,
        vouched: columns.flag("vouched")?,
        announced: columns.optional_text("announced")?,
    })
}

fn read_sweep(row: &AnyRow) -> Result<SweepRecord, StoreError> {
    let columns = Columns::of(row, "sweeps");
    Ok(SweepRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.parsed("invoice_id")?,
        network: columns.text("network")?,
        block_hash: columns.text("block_hash")?,
        tx_id: columns.text("tx_id")?,
        log_index: columns.integer("log_index")?,
        token: TokenId(columns.integer("token_id")?),
        amount: TokenAmount::from_base_units(columns.parsed("amount")?),
        block_number: columns.number("block_number")?,
        canonical: columns.flag("canonical")?,
        confirmations: columns.number("confirmations")?,
        finality: read_finality(&columns)?,
        vouched: columns.flag("vouched")?,
    })
}

//! Sweeps that left money where it was, and what the gas-only key sent and spent.

use alloy_primitives::{Address, B256, Bytes, U256};
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    time::{UnixMillis, UnixSeconds},
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns, transfers::block_number};

/// What a sweep last left of one token at an invoice's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFailureRecord {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub network: String,
    pub token: TokenId,
    /// `refused`, `no_balance`, `reverted` or `other`.
    pub reason: String,
    pub tx_id: String,
    pub block_number: u64,
    pub log_index: i64,
    /// Block time.
    pub failed_at: UnixSeconds,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepState {
    /// It is not known yet.
    Open,
    Mined,
    /// It was mined, and did nothing.
    Failed,
    /// Another transaction took its place.
    Lost,
}

impl SweepState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Mined => "mined",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// A transaction of the gas-only key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepTransaction {
    pub network: String,
    pub account: Address,
    pub nonce: u64,
    pub state: SweepState,
    pub merchant: MerchantId,
    pub invoices: Vec<InvoiceId>,
    pub calldata: Bytes,
    pub gas_limit: u64,
    /// For each unit of gas at most, and of that for whoever makes the block.
    pub max_fee: U256,
    pub priority_fee: U256,
    /// Of each time it was sent with another fee, the last one last.
    pub hashes: Vec<B256>,
    /// What it may cost at most.
    pub reserved: U256,
    /// What it did cost, once that is known, and the day, by UTC, on which that was spent.
    pub spent: Option<(U256, i64)>,
    pub block_number: Option<u64>,
    /// When it was last given a fee.
    pub priced: UnixMillis,
}

impl Tx<'_> {
    /// Records what a sweep left where it was; `false` if one of that token at that address had failed before.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn record_sweep_failure(&mut self, failure: &SweepFailureRecord) -> Result<bool, StoreError> {
        let known = sqlx::query(
            "SELECT 1 AS known FROM sweep_failures
             WHERE merchant_id = $1 AND invoice_id = $2 AND network = $3 AND token_id = $4",
        )
        .bind(failure.merchant.0)
        .bind(failure.invoice.to_string())
        .bind(&failure.network)
        .bind(failure.token.0)
        .fetch_optional(&mut *self.connection)
        .await?;
        sqlx::query(
            "INSERT INTO sweep_failures (merchant_id, invoice_id, network, token_id, reason, tx_id, block_number,
                log_index, failed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (merchant_id, invoice_id, network, token_id) DO UPDATE SET reason = excluded.reason,
                tx_id = excluded.tx_id, block_number = excluded.block_number, log_index = excluded.log_index,
                failed_at = excluded.failed_at",
        )
        .bind(failure.merchant.0)
        .bind(failure.invoice.to_string())
        .bind(&failure.network)
        .bind(failure.token.0)
        .bind(&failure.reason)
        .bind(&failure.tx_id)
        .bind(block_number(failure.block_number))
        .bind(failure.log_index)
        .bind(failure.failed_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(known.is_none())
    }

    /// Forgets a failure that a later sweep has made up for, at that block and place in it.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_sweep_failure(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        network: &str,
        token: TokenId,
        (block, log_index): (u64, i64),
    ) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM sweep_failures WHERE merchant_id = $1 AND invoice_id = $2 AND network = $3 AND token_id = $4
                AND (block_number < $5 OR (block_number = $5 AND log_index < $6))",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(network)
        .bind(token.0)
        .bind(block_number(block))
        .bind(log_index)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Forgets failures in blocks that were replaced.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn forget_sweep_failures_above(&mut self, network: &str, block: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sweep_failures WHERE network = $1 AND block_number > $2")
            .bind(network)
            .bind(block_number(block))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// What sweeps left at an invoice's address.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn sweep_failures_of(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
    ) -> Result<Vec<SweepFailureRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM sweep_failures WHERE merchant_id = $1 AND invoice_id = $2 ORDER BY network, token_id",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_failure).collect()
    }

    /// What sweeps left of a merchant's money, the newest first, so many at most.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn sweep_failures(
        &mut self,
        merchant: MerchantId,
        most: i64,
    ) -> Result<Vec<SweepFailureRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM sweep_failures WHERE merchant_id = $1
             ORDER BY failed_at DESC, invoice_id, network, token_id LIMIT $2 + 0",
        )
        .bind(merchant.0)
        .bind(most)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_failure).collect()
    }

    /// What the gas-only key has spent on a network on one day, by UTC, together with what it may still spend on what
    /// is open.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn gas_spent(&mut self, network: &str, day: i64) -> Result<U256, StoreError> {
        let rows = sqlx::query(
            "SELECT COALESCE(spent, reserved) AS wei FROM sweep_transactions
             WHERE network = $1 AND (spent_on = $2 OR state = 'open')",
        )
        .bind(network)
        .bind(day)
        .fetch_all(&mut *self.connection)
        .await?;
        let mut sum = U256::ZERO;
        for row in &rows {
            sum = sum.saturating_add(Columns::of(row, "sweep_transactions").parsed("wei")?);
        }
        Ok(sum)
    }

    /// Writes a transaction that is about to be sent, with what it may cost.
    ///
    /// # Errors
    ///
    /// If the database refuses, as it does for a second one that is open or has the same number.
    pub async fn insert_sweep_transaction(&mut self, sweep: &SweepTransaction) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO sweep_transactions (network, account, nonce, state, merchant_id, invoices, calldata, gas_limit,
                max_fee, priority_fee, hashes, reserved, spent, spent_on, block_number, priced_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(&sweep.network)
        .bind(sweep.account.to_string())
        .bind(block_number(sweep.nonce))
        .bind(sweep.state.as_str())
        .bind(sweep.merchant.0)
        .bind(join(&sweep.invoices))
        .bind(sweep.calldata.to_string())
        .bind(block_number(sweep.gas_limit))
        .bind(sweep.max_fee.to_string())
        .bind(sweep.priority_fee.to_string())
        .bind(join(&sweep.hashes))
        .bind(sweep.reserved.to_string())
        .bind(sweep.spent.map(|(wei, _)| wei.to_string()))
        .bind(sweep.spent.map(|(_, day)| day))
        .bind(sweep.block_number.map(block_number))
        .bind(sweep.priced.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Writes what changes of a transaction: its fee with the hash that goes with it, and what became of it.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn update_sweep_transaction(&mut self, sweep: &SweepTransaction) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE sweep_transactions SET state = $4, max_fee = $5, priority_fee = $6, hashes = $7, reserved = $8,
                spent = $9, spent_on = $10, block_number = $11, priced_ms = $12
             WHERE network = $1 AND account = $2 AND nonce = $3",
        )
        .bind(&sweep.network)
        .bind(sweep.account.to_string())
        .bind(block_number(sweep.nonce))
        .bind(sweep.state.as_str())
        .bind(sweep.max_fee.to_string())
        .bind(sweep.priority_fee.to_string())
        .bind(join(&sweep.hashes))
        .bind(sweep.reserved.to_string())
        .bind(sweep.spent.map(|(wei, _)| wei.to_string()))
        .bind(sweep.spent.map(|(_, day)| day))
        .bind(sweep.block_number.map(block_number))
        .bind(sweep.priced.0)
        .execute(&mut *self.connection)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::NotCommitted) }
    }

    /// The transaction of an account with the highest number.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn last_sweep_transaction(
        &mut self,
        network: &str,
        account: Address,
    ) -> Result<Option<SweepTransaction>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM sweep_transactions WHERE network = $1 AND account = $2 ORDER BY nonce DESC LIMIT 1",
        )
        .bind(network)
        .bind(account.to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        row.as_ref().map(read_transaction).transpose()
    }

    /// Transactions that are open of accounts that are not used any more.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn abandoned_sweep_transactions(
        &mut self,
        network: &str,
        account: Address,
    ) -> Result<Vec<SweepTransaction>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM sweep_transactions WHERE network = $1 AND account <> $2 AND state = 'open' ORDER BY account",
        )
        .bind(network)
        .bind(account.to_string())
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_transaction).collect()
    }
}

fn join(parts: &[impl ToString]) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn split<T: std::str::FromStr>(columns: &Columns<'_>, column: &'static str) -> Result<Vec<T>, StoreError> {
    let text = columns.text(column)?;
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| part.parse().map_err(|_| columns.corrupt(column, part))).collect()
}

fn read_failure(row: &AnyRow) -> Result<SweepFailureRecord, StoreError> {
    let columns = Columns::of(row, "sweep_failures");
    Ok(SweepFailureRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.parsed("invoice_id")?,
        network: columns.text("network")?,
        token: TokenId(columns.integer("token_id")?),
        reason: columns.text("reason")?,
        tx_id: columns.text("tx_id")?,
        block_number: columns.number("block_number")?,
        log_index: columns.integer("log_index")?,
        failed_at: UnixSeconds(columns.integer("failed_at")?),
    })
}

fn read_transaction(row: &AnyRow) -> Result<SweepTransaction, StoreError> {
    let columns = Columns::of(row, "sweep_transactions");
    let state = columns.text("state")?;
    let all = [SweepState::Open, SweepState::Mined, SweepState::Failed, SweepState::Lost];
    let spent = columns.optional_parsed("spent")?.zip(columns.optional_integer("spent_on")?);
    let number = |number: i64| u64::try_from(number).map_err(|_| columns.corrupt("block_number", number.to_string()));
    Ok(SweepTransaction {
        network: columns.text("network")?,
        account: columns.parsed("account")?,
        nonce: columns.number("nonce")?,
        state: all.into_iter().find(|known| known.as_str() == state).ok_or_else(|| columns.corrupt("state", state))?,
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoices: split(&columns, "invoices")?,
        calldata: columns.parsed("calldata")?,
        gas_limit: columns.number("gas_limit")?,
        max_fee: columns.parsed("max_fee")?,
        priority_fee: columns.parsed("priority_fee")?,
        hashes: split(&columns, "hashes")?,
        reserved: columns.parsed("reserved")?,
        spent,
        block_number: columns.optional_integer("block_number")?.map(number).transpose()?,
        priced: UnixMillis(columns.integer("priced_ms")?),
    })
}

//! Up to where deposit addresses hold what is recorded of them, and where they do not.

use std::collections::HashMap;

use alloy_primitives::U256;
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    money::TokenAmount,
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{BlockRef, StoreError, Tx, WatchedDeposit, row::Columns, transfers::block_number};

/// Which deposit addresses are compared together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Those of open invoices, all at once.
    Open,
    /// Those of ended ones, some at a time.
    Ended,
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
        }
    }
}

/// How far the addresses of a lane were compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The newest block at which all of them were.
    pub at: BlockRef,
    /// A round through them that is under way.
    pub round: Option<Round>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The block at which it began.
    pub began: BlockRef,
    /// The last one that was compared.
    pub after: (MerchantId, InvoiceId),
}

/// An address that holds something else than is recorded, although the blocks in question were read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub token: TokenId,
    pub recorded: TokenAmount,
    pub found: TokenAmount,
    /// The time of the last block at which they agreed.
    pub agreed: UnixSeconds,
    /// The number of a block after which what explains it must be.
    pub read_from: u64,
}

/// What is recorded as held, by invoice and token; nothing where there is no entry.
pub type Recorded = HashMap<(InvoiceId, TokenId), U256>;

impl Tx<'_> {
    /// How far a network's addresses were compared; `None` if they never were.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn comparison(&mut self, network: &str, lane: Lane) -> Result<Option<Comparison>, StoreError> {
        let row = sqlx::query("SELECT * FROM comparisons WHERE network = $1 AND lane = $2")
            .bind(network)
            .bind(lane.name())
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "comparisons");
        let at = BlockRef {
            number: columns.number("block_number")?,
            hash: columns.text("block_hash")?,
            time: UnixSeconds(columns.integer("block_time")?),
        };
        let round = match columns.optional_text("round_hash")? {
            None => None,
            Some(hash) => Some(Round {
                began: BlockRef {
                    number: columns.number("round_number")?,
                    hash,
                    time: UnixSeconds(columns.integer("round_time")?),
                },
                after: (MerchantId(columns.integer("after_merchant_id")?), columns.parsed("after_invoice_id")?),
            }),
        };
        Ok(Some(Comparison { at, round }))
    }

    /// Says how far a network's addresses were compared.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_comparison(
        &mut self,
        network: &str,
        lane: Lane,
        comparison: &Comparison,
    ) -> Result<(), StoreError> {
        let Comparison { at, round } = comparison;
        let round = round.as_ref();
        sqlx::query(
            "INSERT INTO comparisons (network, lane, block_number, block_hash, block_time, round_number, round_hash,
                round_time, after_merchant_id, after_invoice_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (network, lane) DO UPDATE SET block_number = excluded.block_number,
                block_hash = excluded.block_hash, block_time = excluded.block_time,
                round_number = excluded.round_number, round_hash = excluded.round_hash,
                round_time = excluded.round_time, after_merchant_id = excluded.after_merchant_id,
                after_invoice_id = excluded.after_invoice_id",
        )
        .bind(network)
        .bind(lane.name())
        .bind(block_number(at.number))
        .bind(&at.hash)
        .bind(at.time.0)
        .bind(round.map(|round| block_number(round.began.number)))
        .bind(round.map(|round| round.began.hash.clone()))
        .bind(round.map(|round| round.began.time.0))
        .bind(round.map(|round| round.after.0.0))
        .bind(round.map(|round| round.after.1.to_string()))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Takes back what was compared at blocks above `fork`, which were replaced.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn uncompare_above(&mut self, network: &str, fork: &BlockRef) -> Result<(), StoreError> {
        for sql in [
            "UPDATE comparisons SET block_number = $2, block_hash = $3, block_time = $4
             WHERE network = $1 AND block_number > $2",
            "UPDATE comparisons SET round_number = $2, round_hash = $3, round_time = $4
             WHERE network = $1 AND round_number > $2",
        ] {
            sqlx::query(sql)
                .bind(network)
                .bind(block_number(fork.number))
                .bind(&fork.hash)
                .bind(fork.time.0)
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// Whether the time of an open invoice was up between two block times, the first one included: until its address
    /// is compared after that, it does not end.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn has_time_up_between(&mut self, from: UnixSeconds, until: UnixSeconds) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM invoices WHERE status IN ('unpaid', 'underpaid') AND watched_until IS NOT NULL
                AND expires_at >= $1 AND expires_at < $2 LIMIT 1",
        )
        .bind(from.0)
        .bind(until.0)
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.is_some())
    }

    /// What is recorded as held at the addresses of open invoices that are watched at `now`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn recorded_of_open(&mut self, network: &str, now: UnixSeconds) -> Result<Recorded, StoreError> {
        let mut recorded = Recorded::new();
        // The order of the join is given, and which index finds the invoices: those that are open are few, those that
        // are watched are not, nor are all facts of a network.
        for (is_out, sql) in [
            (
                false,
                "SELECT facts.invoice_id, facts.token_id, facts.amount FROM invoices CROSS JOIN transfers AS facts
                 WHERE invoices.status IN ('unpaid', 'underpaid') AND invoices.expires_at > 0
                    AND invoices.watched_until + 0 > $2
                    AND facts.merchant_id = invoices.merchant_id AND facts.invoice_id = invoices.invoice_id
                    AND facts.network = $1 AND facts.canonical = 1",
            ),
            (
                true,
                "SELECT facts.invoice_id, facts.token_id, facts.amount FROM invoices CROSS JOIN sweeps AS facts
                 WHERE invoices.status IN ('unpaid', 'underpaid') AND invoices.expires_at > 0
                    AND invoices.watched_until + 0 > $2
                    AND facts.merchant_id = invoices.merchant_id AND facts.invoice_id = invoices.invoice_id
                    AND facts.network = $1 AND facts.canonical = 1",
            ),
        ] {
            let rows = sqlx::query(sql).bind(network).bind(now.0).fetch_all(&mut *self.connection).await?;
            sum_up(&mut recorded, &rows, is_out)?;
        }
        Ok(recorded)
    }

    /// What is recorded as held at the address of one invoice.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn recorded_of(
        &mut self,
        network: &str,
        merchant: MerchantId,
        invoice: InvoiceId,
    ) -> Result<Recorded, StoreError> {
        let mut recorded = Recorded::new();
        for (is_out, sql) in [
            (
                false,
                "SELECT invoice_id, token_id, amount FROM transfers
                 WHERE merchant_id = $1 AND invoice_id = $2 AND network = $3 AND canonical = 1",
            ),
            (
                true,
                "SELECT invoice_id, token_id, amount FROM sweeps
                 WHERE merchant_id = $1 AND invoice_id = $2 AND network = $3 AND canonical = 1",
            ),
        ] {
            let rows = sqlx::query(sql)
                .bind(merchant.0)
                .bind(invoice.to_string())
                .bind(network)
                .fetch_all(&mut *self.connection)
                .await?;
            sum_up(&mut recorded, &rows, is_out)?;
        }
        Ok(recorded)
    }

    /// The next deposit addresses of ended invoices, those too that are not watched any more.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn ended_deposits(
        &mut self,
        after: Option<(MerchantId, InvoiceId)>,
        limit: i64,
    ) -> Result<Vec<WatchedDeposit>, StoreError> {
        let (merchant, invoice) = match after {
            Some((merchant, invoice)) => (merchant.0, invoice.to_string()),
            None => (0, String::new()),
        };
        let rows = sqlx::query(
            "SELECT merchant_id, invoice_id, deposit_address, address_mode, expires_at AS ended_at FROM invoices
             WHERE (merchant_id, invoice_id) > ($1, $2) AND watched_until IS NOT NULL AND address_mode <> 'direct'
                AND status NOT IN ('unpaid', 'underpaid')
             ORDER BY merchant_id, invoice_id LIMIT $3 + 0",
        )
        .bind(merchant)
        .bind(invoice)
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(super::chain::read_deposit).collect()
    }

    /// The differences on a network.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn differences(&mut self, network: &str) -> Result<Vec<Difference>, StoreError> {
        let rows = sqlx::query("SELECT * FROM differences WHERE network = $1")
            .bind(network)
            .fetch_all(&mut *self.connection)
            .await?;
        rows.iter().map(read_difference).collect()
    }

    /// How many differences there are on a network, and accounts on Solana that hold what nobody explains.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn count_differences(&mut self, network: &str) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM differences WHERE network = $1)
                + (SELECT COUNT(*) FROM solana_balances WHERE network = $1 AND unexplained IS NOT NULL) AS differences",
        )
        .bind(network)
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "differences").integer("differences")
    }

    /// On which networks an invoice's address holds something else than is recorded, and up to when it did not.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn differences_of(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
    ) -> Result<HashMap<String, UnixSeconds>, StoreError> {
        let rows = sqlx::query(
            "SELECT network, MIN(agreed_time) AS agreed_time FROM differences
             WHERE merchant_id = $1 AND invoice_id = $2 GROUP BY network",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .fetch_all(&mut *self.connection)
        .await?;
        let of_network = |row: &AnyRow| {
            let columns = Columns::of(row, "differences");
            Ok((columns.text("network")?, UnixSeconds(columns.integer("agreed_time")?)))
        };
        rows.iter().map(of_network).collect()
    }

    /// Records a difference, or what it has become.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_difference(
        &mut self,
        network: &str,
        difference: &Difference,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO differences (merchant_id, invoice_id, network, token_id, recorded, found, read_from,
                agreed_time, noticed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (merchant_id, invoice_id, network, token_id)
             DO UPDATE SET recorded = excluded.recorded, found = excluded.found",
        )
        .bind(difference.merchant.0)
        .bind(difference.invoice.to_string())
        .bind(network)
        .bind(difference.token.0)
        .bind(difference.recorded.base_units().to_string())
        .bind(difference.found.base_units().to_string())
        .bind(block_number(difference.read_from))
        .bind(difference.agreed.0)
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Forgets a difference that is none any more.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn end_difference(
        &mut self,
        network: &str,
        merchant: MerchantId,
        invoice: InvoiceId,
        token: TokenId,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM differences WHERE merchant_id = $1 AND invoice_id = $2 AND network = $3 AND token_id = $4",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(network)
        .bind(token.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

fn sum_up(recorded: &mut Recorded, rows: &[AnyRow], is_out: bool) -> Result<(), StoreError> {
    for row in rows {
        let columns = Columns::of(row, if is_out { "sweeps" } else { "transfers" });
        let amount: U256 = columns.parsed("amount")?;
        let held = recorded.entry((columns.parsed("invoice_id")?, TokenId(columns.integer("token_id")?))).or_default();
        *held = if is_out { held.saturating_sub(amount) } else { held.saturating_add(amount) };
    }
    Ok(())
}

fn read_difference(row: &AnyRow) -> Result<Difference, StoreError> {
    let columns = Columns::of(row, "differences");
    Ok(Difference {
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.parsed("invoice_id")?,
        token: TokenId(columns.integer("token_id")?),
        recorded: TokenAmount::from_base_units(columns.parsed("recorded")?),
        found: TokenAmount::from_base_units(columns.parsed("found")?),
        agreed: UnixSeconds(columns.integer("agreed_time")?),
        read_from: columns.number("read_from")?,
    })
}

//! How much the facts of a network may be relied on, and who stands for them.

use alloy_primitives::Address;
use domain::{
    address_mode::AddressMode,
    finality::{Depth, Finality, Marks, Thresholds},
    id::{InvoiceId, MerchantId, TokenId},
    money::{TokenAmount, UsdMillis},
};

use super::{
    StoreError, Tx,
    row::Columns,
    transfers::{block_number, distinct},
};
use crate::solana::SolanaAddress;

/// What kind of fact it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FactKind {
    Transfer,
    Sweep,
}

/// Which fact of a network it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FactKey {
    pub kind: FactKind,
    pub merchant: MerchantId,
    pub block_hash: String,
    pub tx_id: String,
    pub log_index: i64,
}

/// A fact that one endpoint alone has shown so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnvouchedFact {
    pub key: FactKey,
    pub invoice: InvoiceId,
    pub deposit: Address,
    /// Where its invoice is paid on Solana.
    pub solana_address: Option<SolanaAddress>,
    pub mode: AddressMode,
    pub block: u64,
    pub token: TokenId,
    pub amount: TokenAmount,
    pub due: UsdMillis,
    /// Up to what its merchant takes the word of one endpoint, if it said so.
    pub single_source: Option<UsdMillis>,
}

/// Facts of one token on one network that are not final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFacts {
    pub network: String,
    pub token: TokenId,
    pub count: i64,
}

/// The statements about one kind of fact.
struct Statements {
    table: &'static str,
    /// Those of a network that are not final. No more of a row than is looked at: what was announced of a transfer is
    /// long.
    open: &'static str,
    /// Of these, those up to a block that nobody vouches for.
    unvouched: &'static str,
    vouch: &'static str,
    judge: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            table: $table,
            open: statements!(open $table),
            unvouched: concat!(statements!(open $table), " AND facts.vouched = 0 AND facts.block_number <= $2"),
            vouch: concat!("UPDATE ", $table, " SET vouched = 1", statements!(this), " AND canonical = 1"),
            judge: concat!(
                "UPDATE ", $table, " SET confirmations = $6, finality = $7,
                    vouched = CASE WHEN $7 = 'seen' THEN vouched ELSE 1 END", statements!(this)
            ),
        }
    };
    (open $table:literal) => {
        concat!(
            "SELECT facts.merchant_id, facts.invoice_id, facts.block_hash, facts.tx_id, facts.log_index,
                facts.block_number, facts.token_id, facts.amount, facts.confirmations, facts.finality, facts.vouched,
                invoices.deposit_address, invoices.solana_address, invoices.address_mode, invoices.due, merchants.single_source_usd_millis
             FROM ", $table, " AS facts
             JOIN invoices ON invoices.merchant_id = facts.merchant_id AND invoices.invoice_id = facts.invoice_id
             JOIN merchants ON merchants.merchant_id = facts.merchant_id
             WHERE facts.network = $1 AND facts.canonical = 1 AND facts.finality <> 'final'"
        )
    };
    (this) => {
        " WHERE merchant_id = $1 AND network = $2 AND block_hash = $3 AND tx_id = $4 AND log_index = $5"
    };
}

impl FactKind {
    const ALL: [Self; 2] = [Self::Transfer, Self::Sweep];

    fn statements(self) -> Statements {
        match self {
            Self::Transfer => statements!("transfers"),
            Self::Sweep => statements!("sweeps"),
        }
    }
}

impl Tx<'_> {
    /// Whether a network has facts that are not final.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn has_open_facts(&mut self, network: &str) -> Result<bool, StoreError> {
        let rows = sqlx::query(
            "SELECT 1 FROM transfers WHERE network = $1 AND canonical = 1 AND finality <> 'final'
             UNION SELECT 1 FROM sweeps WHERE network = $1 AND canonical = 1 AND finality <> 'final' LIMIT 1",
        )
        .bind(network)
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(!rows.is_empty())
    }

    /// How many facts of each network and token are not final.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn open_facts(&mut self) -> Result<Vec<OpenFacts>, StoreError> {
        let rows = sqlx::query(
            "SELECT network, token_id, COUNT(*) AS facts FROM (
                SELECT network, token_id FROM transfers WHERE canonical = 1 AND finality <> 'final'
                UNION ALL SELECT network, token_id FROM sweeps WHERE canonical = 1 AND finality <> 'final'
             ) AS open_facts GROUP BY network, token_id ORDER BY network, token_id",
        )
        .fetch_all(&mut *self.connection)
        .await?;
        let open = rows.iter().map(|row| {
            let columns = Columns::of(row, "transfers");
            Ok(OpenFacts {
                network: columns.text("network")?,
                token: TokenId(columns.integer("token_id")?),
                count: columns.integer("facts")?,
            })
        });
        open.collect()
    }

    /// Facts up to a block that nobody vouches for yet, oldest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unvouched(&mut self, network: &str, until: u64) -> Result<Vec<UnvouchedFact>, StoreError> {
        let mut unvouched = Vec::new();
        for kind in FactKind::ALL {
            let Statements { table, unvouched: sql, .. } = kind.statements();
            let rows =
                sqlx::query(sql).bind(network).bind(block_number(until)).fetch_all(&mut *self.connection).await?;
            for row in &rows {
                let columns = Columns::of(row, table);
                unvouched.push(UnvouchedFact {
                    key: FactKey {
                        kind,
                        merchant: MerchantId(columns.integer("merchant_id")?),
                        block_hash: columns.text("block_hash")?,
                        tx_id: columns.text("tx_id")?,
                        log_index: columns.integer("log_index")?,
                    },
                    invoice: columns.parsed("invoice_id")?,
                    deposit: columns.parsed("deposit_address")?,
                    solana_address: columns.optional_parsed("solana_address")?,
                    mode: columns.parsed("address_mode")?,
                    block: columns.number("block_number")?,
                    token: TokenId(columns.integer("token_id")?),
                    amount: TokenAmount::from_base_units(columns.parsed("amount")?),
                    due: UsdMillis::from_millis(columns.number("due")?),
                    single_source: single_source(&columns)?,
                });
            }
        }
        unvouched.sort_by_key(|fact| (fact.block, fact.key.log_index));
        Ok(unvouched)
    }

    /// Says of a fact that more than one endpoint showed it, or that one was enough.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn vouch(&mut self, network: &str, fact: &FactKey) -> Result<(), StoreError> {
        sqlx::query(fact.kind.statements().vouch)
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
    /// No fact is ever judged lower than before: what takes it back is that its block is replaced.
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
        for kind in FactKind::ALL {
            let Statements { table, open, judge, .. } = kind.statements();
            let rows = sqlx::query(open).bind(network).fetch_all(&mut *self.connection).await?;
            for row in &rows {
                let columns = Columns::of(row, table);
                let due = UsdMillis::from_millis(columns.number("due")?);
                let set = single_source(&columns)?;
                let is_enough = one_is_enough.is_some_and(|usual| due <= set.unwrap_or(usual));
                let is_vouched = columns.flag("vouched")? || is_enough;
                let depth = Depth { block: columns.number("block_number")?, head, marks, is_vouched };
                let before = (columns.number("confirmations")?, read_finality(&columns)?);
                let now = (thresholds.counted(depth, due), before.1.max(thresholds.finality(depth, due)));
                if before == now {
                    continue;
                }
                sqlx::query(judge)
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

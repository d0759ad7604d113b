//! Searches for payments that somebody asked for.

use domain::{
    id::{InvoiceId, MerchantId, VerificationId},
    time::UnixMillis,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, WatchedDeposit, row::Columns};
use crate::transaction_id::TransactionId;

/// A search for a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationRecord {
    pub id: VerificationId,
    pub merchant: MerchantId,
    pub invoice: InvoiceId,
    pub network: String,
    /// The transaction that is said to have paid.
    pub transaction: Option<TransactionId>,
    pub attempts: u32,
    /// When it is looked for again; `None` once it is completed.
    pub next_at: Option<UnixMillis>,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
    pub completed_at: Option<UnixMillis>,
    pub failure: Option<Failure>,
}

/// Why a search found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    PaymentNotFound,
    TransactionNotFound,
    TransactionFailed,
    TransactionPaysAnother,
}

impl Failure {
    const ALL: [Self; 4] =
        [Self::PaymentNotFound, Self::TransactionNotFound, Self::TransactionFailed, Self::TransactionPaysAnother];

    /// Its code, on the wire and in the database.
    pub fn code(self) -> &'static str {
        match self {
            Self::PaymentNotFound => "payment_not_found",
            Self::TransactionNotFound => "transaction_not_found",
            Self::TransactionFailed => "transaction_failed",
            Self::TransactionPaysAnother => "transaction_pays_another",
        }
    }
}

impl Tx<'_> {
    /// An invoice's last search.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn verification(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
    ) -> Result<Option<VerificationRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM verifications WHERE merchant_id = $1 AND invoice_id = $2")
            .bind(merchant.0)
            .bind(invoice.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_verification).transpose()
    }

    /// Keeps a search, in place of the invoice's last one.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn save_verification(&mut self, record: &VerificationRecord) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO verifications (merchant_id, invoice_id, verification_id, network, tx_id, attempts, next_ms,
                created_ms, updated_ms, completed_ms, failure)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (merchant_id, invoice_id) DO UPDATE SET verification_id = excluded.verification_id,
                network = excluded.network, tx_id = excluded.tx_id, attempts = excluded.attempts,
                next_ms = excluded.next_ms, created_ms = excluded.created_ms, updated_ms = excluded.updated_ms,
                completed_ms = excluded.completed_ms, failure = excluded.failure",
        )
        .bind(record.merchant.0)
        .bind(record.invoice.to_string())
        .bind(record.id.to_string())
        .bind(&record.network)
        .bind(record.transaction.map(|transaction| transaction.to_string()))
        .bind(i64::from(record.attempts))
        .bind(record.next_at.map(|at| at.0))
        .bind(record.created_at.0)
        .bind(record.updated_at.0)
        .bind(record.completed_at.map(|at| at.0))
        .bind(record.failure.map(Failure::code))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Searches on a network that are due, each with the address that was to be paid to, those first that have waited
    /// longest.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn due_verifications(
        &mut self,
        network: &str,
        now: UnixMillis,
        limit: i64,
    ) -> Result<Vec<(VerificationRecord, WatchedDeposit)>, StoreError> {
        let rows = sqlx::query(
            "SELECT verifications.*, invoices.deposit_address, invoices.address_mode, invoices.expires_at AS ended_at
             FROM verifications JOIN invoices ON invoices.merchant_id = verifications.merchant_id
                AND invoices.invoice_id = verifications.invoice_id
             WHERE verifications.network = $1 AND verifications.next_ms IS NOT NULL AND verifications.next_ms <= $2
             ORDER BY verifications.next_ms, verifications.merchant_id, verifications.invoice_id LIMIT $3 + 0",
        )
        .bind(network)
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(|row| Ok((read_verification(row)?, super::chain::read_deposit(row)?))).collect()
    }
}

fn read_verification(row: &AnyRow) -> Result<VerificationRecord, StoreError> {
    let columns = Columns::of(row, "verifications");
    let failure = match columns.optional_text("failure")? {
        None => None,
        Some(code) => Some(
            Failure::ALL
                .into_iter()
                .find(|failure| failure.code() == code)
                .ok_or_else(|| columns.corrupt("failure", code))?,
        ),
    };
    Ok(VerificationRecord {
        id: columns.parsed("verification_id")?,
        merchant: MerchantId(columns.integer("merchant_id")?),
        invoice: columns.parsed("invoice_id")?,
        network: columns.text("network")?,
        transaction: columns.optional_parsed("tx_id")?,
        attempts: columns.number("attempts")?,
        next_at: columns.optional_integer("next_ms")?.map(UnixMillis),
        created_at: UnixMillis(columns.integer("created_ms")?),
        updated_at: UnixMillis(columns.integer("updated_ms")?),
        completed_at: columns.optional_integer("completed_ms")?.map(UnixMillis),
        failure,
    })
}

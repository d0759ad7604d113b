//! Invoices: what was agreed, where they stand, and the requests that made them.

use alloy_primitives::{Address, B256};
use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId, PaymentId},
    idempotency::{Fingerprint, IdempotencyKey},
    invoice::{InvoiceStatus, InvoiceTerms, LatePolicy, Standing, Tolerance},
    money::UsdMillis,
    signature::CredentialHash,
    time::{UnixMillis, UnixSeconds},
};
use sqlx::any::AnyRow;
use wire::Environment;

use super::{StoreError, Tx, row::Columns, statement::Statement};
use crate::{config::NetworkKind, solana::SolanaAddress, wallet::WalletAddress};

/// An invoice as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceRecord {
    pub merchant: MerchantId,
    pub id: InvoiceId,
    /// The merchant's count of invoices; salts of deposit addresses derive from it.
    pub sequence: i64,
    pub session_hash: CredentialHash,
    pub environment: Environment,
    pub terms: InvoiceTerms,
    pub description: Option<String>,
    pub title: String,
    pub footer: String,
    pub customer_id: Option<String>,
    pub customer_email: Option<String>,
    /// A JSON object.
    pub metadata: String,
    /// The JSON the merchant sent.
    pub questions: Option<String>,
    /// A JSON list of what the payer answered; `None` until then.
    pub answers: Option<String>,
    pub return_url: Option<String>,
    pub return_url_enabled: bool,
    /// Fixed at creation.
    pub address_mode: AddressMode,
    /// The wallet the deposit address forwards to, fixed at creation; else the deposit address.
    pub receiver: Address,
    /// What a forwarder's address is made of.
    pub deposit_salt: B256,
    /// Fixed once somebody was told of it; an address of a key may be replaced before.
    pub deposit_address: Address,
    /// The number of the address below the merchant's extended public key.
    pub address_index: Option<u32>,
    /// Where it is paid on Solana, fixed at creation; `None` if it cannot be.
    pub solana_address: Option<SolanaAddress>,
    /// Whether that is its own alone.
    pub solana_is_own: bool,
    pub created: UnixMillis,
    pub standing: Standing,
    pub version: i64,
    pub watched_until: Option<UnixSeconds>,
}

/// The part of an invoice its creator decides; the rest starts at its beginning.
pub struct NewInvoice {
    pub merchant: MerchantId,
    pub id: InvoiceId,
    pub sequence: i64,
    pub session_hash: CredentialHash,
    pub environment: Environment,
    pub terms: InvoiceTerms,
    pub description: Option<String>,
    pub title: String,
    pub footer: String,
    pub customer_id: Option<String>,
    pub customer_email: Option<String>,
    pub metadata: String,
    pub questions: Option<String>,
    pub return_url: Option<String>,
    pub return_url_enabled: bool,
    pub address_mode: AddressMode,
    pub receiver: Address,
    pub deposit_salt: B256,
    pub deposit_address: Address,
    pub address_index: Option<u32>,
    pub solana_address: Option<SolanaAddress>,
    pub solana_is_own: bool,
    pub created: UnixMillis,
}

impl InvoiceRecord {
    /// Where it is paid on networks of a kind; `None` if it cannot be.
    pub fn address_on(&self, kind: NetworkKind) -> Option<WalletAddress> {
        match kind {
            NetworkKind::Evm => Some(WalletAddress::Evm(self.deposit_address)),
            NetworkKind::Solana => self.solana_address.map(WalletAddress::Solana),
        }
    }

    /// Whether what is paid on networks of a kind is the merchant's at once, so that its payment is its settlement.
    pub fn settles_at_once_on(&self, kind: NetworkKind) -> bool {
        match kind {
            NetworkKind::Evm => self.address_mode.settles_at_once(),
            NetworkKind::Solana => true,
        }
    }

    /// Whether other invoices are paid to the same address on networks of a kind, so that something else has to tell
    /// them apart.
    pub fn shares_address_on(&self, kind: NetworkKind) -> bool {
        match kind {
            NetworkKind::Evm => self.address_mode == AddressMode::Direct,
            NetworkKind::Solana => !self.solana_is_own,
        }
    }
}

/// What rises when what is shown of an invoice changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceVersion {
    pub version: i64,
    /// The ordinal of its newest quote; `None` before the first.
    pub last_quote: Option<i64>,
}

impl InvoiceVersion {
    /// How many are asked for at once.
    pub const MOST_AT_ONCE: usize = 200;
}

/// What an idempotency key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    pub fingerprint: Fingerprint,
    pub invoice: InvoiceId,
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn idempotency_record(
        &mut self,
        merchant: MerchantId,
        route: &str,
        key: IdempotencyKey,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let row = sqlx::query(
            "SELECT fingerprint, invoice_id FROM idempotency_keys
             WHERE merchant_id = $1 AND route = $2 AND idempotency_key = $3",
        )
        .bind(merchant.0)
        .bind(route)
        .bind(key.to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "idempotency_keys");
        let fingerprint = columns.text("fingerprint")?;
        Ok(Some(IdempotencyRecord {
            fingerprint: Fingerprint::from_hex(&fingerprint)
                .ok_or_else(|| columns.corrupt("fingerprint", fingerprint))?,
            invoice: columns.parsed("invoice_id")?,
        }))
    }

    /// # Errors
    ///
    /// If the database refuses, as it does for a key that is taken.
    pub async fn insert_idempotency_record(
        &mut self,
        merchant: MerchantId,
        route: &str,
        key: IdempotencyKey,
        record: &IdempotencyRecord,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO idempotency_keys (merchant_id, route, idempotency_key, fingerprint, invoice_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(merchant.0)
        .bind(route)
        .bind(key.to_string())
        .bind(record.fingerprint.to_string())
        .bind(record.invoice.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Removes at most `limit` records made before `before`; says how many.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn prune_idempotency_keys(&mut self, before: UnixSeconds, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM idempotency_keys WHERE (merchant_id, route, idempotency_key) IN (
                SELECT merchant_id, route, idempotency_key FROM idempotency_keys
                WHERE created_at < $1 ORDER BY created_at LIMIT $2 + 0)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected())
    }

    /// # Errors
    ///
    /// If the database refuses.
    pub async fn insert_invoice(&mut self, invoice: &NewInvoice) -> Result<(), StoreError> {
        let (late_days, late_band) = match invoice.terms.late_policy {
            LatePolicy::Hold => (None, None),
            LatePolicy::Accept { days, band_basis_points } => {
                (Some(i64::from(days)), Some(i64::from(band_basis_points)))
            }
        };
        sqlx::query(
            "INSERT INTO invoices (merchant_id, invoice_id, sequence, session_hash, environment, due, description,
                title, footer, customer_id, customer_email, metadata, questions, return_url, return_url_enabled,
                tolerance_basis_points, tolerance_at_most, late_days, late_band_basis_points, receiver, deposit_salt,
                deposit_address, created_ms, expires_at, status, credit, remaining, overpaid, late, is_checking,
                ended_unverified, version, address_mode, address_index, solana_address, solana_is_own)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                $22, $23, $24, 'unpaid', 0, $6, 0, 0, 0, 0, 1, $25, $26, $27, $28)",
        )
        .bind(invoice.merchant.0)
        .bind(invoice.id.to_string())
        .bind(invoice.sequence)
        .bind(invoice.session_hash.to_string())
        .bind(invoice.environment.as_str())
        .bind(dollars(invoice.terms.due))
        .bind(&invoice.description)
        .bind(&invoice.title)
        .bind(&invoice.footer)
        .bind(&invoice.customer_id)
        .bind(&invoice.customer_email)
        .bind(&invoice.metadata)
        .bind(&invoice.questions)
        .bind(&invoice.return_url)
        .bind(i64::from(invoice.return_url_enabled))
        .bind(i64::from(invoice.terms.tolerance.basis_points))
        .bind(dollars(invoice.terms.tolerance.at_most))
        .bind(late_days)
        .bind(late_band)
        .bind(invoice.receiver.to_checksum(None))
        .bind(invoice.deposit_salt.to_string())
        .bind(invoice.deposit_address.to_checksum(None))
        .bind(invoice.created.0)
        .bind(invoice.terms.expires_at.0)
        .bind(invoice.address_mode.as_str())
        .bind(invoice.address_index.map(i64::from))
        .bind(invoice.solana_address.map(|address| address.to_string()))
        .bind(i64::from(invoice.solana_is_own))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice(&mut self, merchant: MerchantId, id: InvoiceId) -> Result<Option<InvoiceRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM invoices WHERE merchant_id = $1 AND invoice_id = $2")
            .bind(merchant.0)
            .bind(id.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_invoice).transpose()
    }

    /// The invoice a payer's session is for.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice_of_session(&mut self, hash: CredentialHash) -> Result<Option<InvoiceRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM invoices WHERE session_hash = $1")
            .bind(hash.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_invoice).transpose()
    }

    /// Stores the result of a fold and raises the version; `false` if somebody else did so since
    /// `version` was read.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn save_standing(&mut self, invoice: &InvoiceRecord, standing: &Standing) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE invoices SET status = $4, credit = $5, remaining = $6, overpaid = $7, late = $8, paid_at = $9,
                last_payment_at = $10, locked_by = $11, is_checking = $12, ended_unverified = $13, version = version + 1
             WHERE merchant_id = $1 AND invoice_id = $2 AND version = $3",
        )
        .bind(invoice.merchant.0)
        .bind(invoice.id.to_string())
        .bind(invoice.version)
        .bind(status_text(standing.status))
        .bind(dollars(standing.credit))
        .bind(dollars(standing.remaining))
        .bind(dollars(standing.overpaid))
        .bind(i64::from(standing.late))
        .bind(standing.paid_at.map(|time| time.0))
        .bind(standing.last_payment_at.map(|time| time.0))
        .bind(standing.locked_by.map(|id| id.to_string()))
        .bind(i64::from(standing.is_checking))
        .bind(i64::from(standing.ended_unverified))
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Raises the version after a change outside the invoice's own row, and keeps its address watched
    /// at least until then.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn watch_invoice(
        &mut self,
        merchant: MerchantId,
        id: InvoiceId,
        until: UnixSeconds,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE invoices SET version = version + 1,
                watched_until = CASE WHEN watched_until > $3 THEN watched_until ELSE $3 END
             WHERE merchant_id = $1 AND invoice_id = $2",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(until.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Sets until when an invoice's address is watched; part of a change that raises the version itself.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_watched_until(
        &mut self,
        merchant: MerchantId,
        id: InvoiceId,
        until: UnixSeconds,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE invoices SET watched_until = $3 WHERE merchant_id = $1 AND invoice_id = $2")
            .bind(merchant.0)
            .bind(id.to_string())
            .bind(until.0)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Keeps what the payer answered, if nothing was answered before; says whether it is kept.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn keep_answers(
        &mut self,
        merchant: MerchantId,
        id: InvoiceId,
        answers: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE invoices SET answers = $3, version = version + 1
             WHERE merchant_id = $1 AND invoice_id = $2 AND answers IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(answers)
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes where the payer would like the receipt.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_customer_email(
        &mut self,
        merchant: MerchantId,
        id: InvoiceId,
        email: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE invoices SET customer_email = $3 WHERE merchant_id = $1 AND invoice_id = $2")
            .bind(merchant.0)
            .bind(id.to_string())
            .bind(email)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Notes when an invoice was canceled; what follows from that is for a fold to say.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn cancel_invoice(
        &mut self,
        merchant: MerchantId,
        id: InvoiceId,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE invoices SET canceled_at = $3
             WHERE merchant_id = $1 AND invoice_id = $2 AND canceled_at IS NULL",
        )
        .bind(merchant.0)
        .bind(id.to_string())
        .bind(now.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Open invoices whose time was up before `now`, the oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoices_past_their_time(
        &mut self,
        now: UnixSeconds,
        limit: i64,
    ) -> Result<Vec<(MerchantId, InvoiceId)>, StoreError> {
        let rows = sqlx::query(
            "SELECT merchant_id, invoice_id FROM invoices
             WHERE status IN ('unpaid', 'underpaid') AND expires_at < $1 ORDER BY expires_at LIMIT $2 + 0",
        )
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(|row| read_key(row, "invoices")).collect()
    }

    /// How many invoices can still be paid.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn count_open_invoices(&mut self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS invoices FROM invoices WHERE status IN ('unpaid', 'underpaid')")
            .fetch_one(&mut *self.connection)
            .await?;
        Columns::of(&row, "invoices").integer("invoices")
    }

    /// The versions of those invoices that exist; at most [`InvoiceVersion::MOST_AT_ONCE`].
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice_versions(
        &mut self,
        invoices: &[(MerchantId, InvoiceId)],
    ) -> Result<Vec<((MerchantId, InvoiceId), InvoiceVersion)>, StoreError> {
        let mut statement = Statement::of(
            "SELECT merchant_id, invoice_id, version, (SELECT MAX(ordinal) FROM quotes
                WHERE quotes.merchant_id = invoices.merchant_id AND quotes.invoice_id = invoices.invoice_id) AS last_quote
             FROM invoices WHERE (merchant_id, invoice_id) IN (VALUES ",
        );
        for (index, (merchant, invoice)) in invoices.iter().enumerate() {
            statement.push(if index == 0 { "(" } else { ", (" });
            statement.bind(merchant.0);
            statement.push(", ");
            statement.bind(invoice.to_string());
            statement.push(")");
        }
        statement.push(")");
        let rows = statement.query().fetch_all(&mut *self.connection).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns::of(row, "invoices");
                let version = InvoiceVersion {
                    version: columns.integer("version")?,
                    last_quote: columns.optional_integer("last_quote")?,
                };
                Ok((read_key(row, "invoices")?, version))
            })
            .collect()
    }
}

/// The `(merchant_id, invoice_id)` pair in a row of some table.
pub(super) fn read_key(row: &AnyRow, table: &'static str) -> Result<(MerchantId, InvoiceId), StoreError> {
    let columns = Columns::of(row, table);
    Ok((MerchantId(columns.integer("merchant_id")?), columns.parsed("invoice_id")?))
}

pub(super) fn read_invoice(row: &AnyRow) -> Result<InvoiceRecord, StoreError> {
    let columns = Columns::of(row, "invoices");
    let usd = |column| columns.number::<u64>(column).map(UsdMillis::from_millis);
    let time = |column| columns.optional_integer(column).map(|time| time.map(UnixSeconds));
    let status = columns.text("status")?;
    let environment = columns.text("environment")?;
    let session_hash = columns.text("session_hash")?;
    let late_days = columns.optional_integer("late_days")?;
    let late_policy = match (late_days, columns.optional_integer("late_band_basis_points")?) {
        (None, None) => LatePolicy::Hold,
        (Some(_), Some(_)) => LatePolicy::Accept {
            days: columns.number("late_days")?,
            band_basis_points: columns.number("late_band_basis_points")?,
        },
        _ => return Err(columns.corrupt("late_days", format!("{late_days:?}"))),
    };
    Ok(InvoiceRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        id: columns.parsed("invoice_id")?,
        sequence: columns.integer("sequence")?,
        session_hash: CredentialHash::from_hex(&session_hash)
            .ok_or_else(|| columns.corrupt("session_hash", session_hash))?,
        environment: match environment.as_str() {
            "devnet" => Environment::Devnet,
            "mainnet" => Environment::Mainnet,
            _ => return Err(columns.corrupt("environment", environment)),
        },
        terms: InvoiceTerms {
            due: usd("due")?,
            expires_at: UnixSeconds(columns.integer("expires_at")?),
            canceled_at: time("canceled_at")?,
            tolerance: Tolerance {
                basis_points: columns.number("tolerance_basis_points")?,
                at_most: usd("tolerance_at_most")?,
            },
            late_policy,
        },
        description: columns.optional_text("description")?,
        title: columns.text("title")?,
        footer: columns.text("footer")?,
        customer_id: columns.optional_text("customer_id")?,
        customer_email: columns.optional_text("customer_email")?,
        metadata: columns.text("metadata")?,
        questions: columns.optional_text("questions")?,
        answers: columns.optional_text("answers")?,
        return_url: columns.optional_text("return_url")?,
        return_url_enabled: columns.flag("return_url_enabled")?,
        address_mode: columns.parsed("address_mode")?,
        receiver: columns.parsed("receiver")?,
        deposit_salt: columns.parsed("deposit_salt")?,
        deposit_address: columns.parsed("deposit_address")?,
        address_index: columns.optional_number("address_index")?,
        solana_address: columns.optional_parsed("solana_address")?,
        solana_is_own: columns.flag("solana_is_own")?,
        created: UnixMillis(columns.integer("created_ms")?),
        standing: Standing {
            status: parse_status(&status).ok_or_else(|| columns.corrupt("status", status))?,
            credit: usd("credit")?,
            remaining: usd("remaining")?,
            overpaid: usd("overpaid")?,
            late: columns.flag("late")?,
            paid_at: time("paid_at")?,
            last_payment_at: time("last_payment_at")?,
            locked_by: columns.optional_parsed::<PaymentId>("locked_by")?,
            is_checking: columns.flag("is_checking")?,
            ended_unverified: columns.flag("ended_unverified")?,
        },
        version: columns.integer("version")?,
        watched_until: time("watched_until")?,
    })
}

pub(super) fn status_text(status: InvoiceStatus) -> &'static str {
    match status {
        InvoiceStatus::Unpaid => "unpaid",
        InvoiceStatus::Underpaid => "underpaid",
        InvoiceStatus::Paid => "paid",
        InvoiceStatus::Expired => "expired",
        InvoiceStatus::Canceled => "canceled",
    }
}

pub(super) fn parse_status(text: &str) -> Option<InvoiceStatus> {
    use InvoiceStatus::{Canceled, Expired, Paid, Underpaid, Unpaid};
    [Unpaid, Underpaid, Paid, Expired, Canceled].into_iter().find(|status| status_text(*status) == text)
}

/// Dollars as the signed integer the column holds; [`UsdMillis::MAX`] is its largest.
pub(super) fn dollars(amount: UsdMillis) -> i64 {
    i64::try_from(amount.as_millis()).unwrap_or(i64::MAX)
}

//! Solana: which wallets are looked at, how far each account was read, and whose a payment is.

use domain::{
    id::{InvoiceId, MerchantId},
    time::{UnixMillis, UnixSeconds},
};
use sqlx::any::AnyRow;

use super::{
    StoreError, Tx,
    invoices::read_key,
    row::Columns,
    statement::Statement,
    transfers::{block_number, distinct},
};
use crate::solana::SolanaAddress;

/// Whose an address of a list is that is given to nobody.
const PASSED_OVER: &str = "passed over";

/// A wallet that invoices are paid to, as one merchant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedWallet {
    pub merchant: MerchantId,
    pub address: SolanaAddress,
    /// When the first of the invoices was created that are looked for.
    pub since: UnixSeconds,
    /// Whether one of them can still be paid.
    pub is_open: bool,
    /// When the time of the last of them is up.
    pub ends: UnixSeconds,
}

/// How far an account was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCursor {
    pub account: SolanaAddress,
    /// The newest final signature; it and everything before it was read.
    pub signature: String,
    pub slot: u64,
}

/// A transaction that was recorded, and might still vanish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSignature {
    pub signature: String,
    pub slot: u64,
}

/// What an account held when that was last explained, or when it was first looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBalance {
    pub account: SolanaAddress,
    /// Whose it is.
    pub wallet: SolanaAddress,
    /// After this slot,
    pub slot: u64,
    /// which is of this time or a later one.
    pub time: UnixSeconds,
    /// in base units.
    pub held: u64,
    /// It was first looked at when money might have come to it already, and not enough hosts have said yet what did.
    pub is_late: bool,
    /// What nobody explains of what it holds by now.
    pub unexplained: Option<Unexplained>,
}

/// A part of what an account holds that no transaction explains which anybody shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// In base units; below zero, so much is missing.
    pub amount: i128,
    /// The time of the block in which it was noticed.
    pub noticed: UnixSeconds,
}

/// A merchant's list of addresses on Solana.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressStock {
    pub total: i64,
    /// Those that no invoice has.
    pub left: i64,
}

impl Tx<'_> {
    /// Whether new invoices of a merchant are given addresses of its list on Solana.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn has_solana_list(&mut self, merchant: MerchantId) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM merchants WHERE merchant_id = $1 AND solana_mode = 'list'")
            .bind(merchant.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        Ok(row.is_some())
    }

    /// Has new invoices of a merchant be given addresses of its list on Solana; `false` if there is no such merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn use_solana_list(&mut self, merchant: MerchantId) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE merchants SET solana_mode = 'list' WHERE merchant_id = $1")
            .bind(merchant.0)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Adds an address to the end of a merchant's list; `false` if it is on one already. Lock the merchant first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn add_solana_address(
        &mut self,
        merchant: MerchantId,
        address: SolanaAddress,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO solana_addresses (merchant_id, address, ordinal)
             SELECT $1, $2, COALESCE(MAX(ordinal), 0) + 1 FROM solana_addresses WHERE merchant_id = $1
             ON CONFLICT DO NOTHING",
        )
        .bind(merchant.0)
        .bind(address.to_string())
        .execute(&mut *self.connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives an invoice the next address of its merchant's list, for good; `None` if there is none left. Lock the merchant
    /// first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn take_solana_address(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
    ) -> Result<Option<SolanaAddress>, StoreError> {
        let row = sqlx::query(
            "UPDATE solana_addresses SET invoice_id = $2 WHERE merchant_id = $1 AND address = (
                SELECT address FROM solana_addresses WHERE merchant_id = $1 AND invoice_id IS NULL
                ORDER BY ordinal LIMIT 1)
             RETURNING address",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        row.map(|row| Columns::of(&row, "solana_addresses").parsed("address")).transpose()
    }

    /// Gives an invoice another address on Solana, or none. Lock it first, and ask only while nobody was told the one it has.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn change_solana_address(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        address: Option<SolanaAddress>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE invoices SET solana_address = $3, version = version + 1 WHERE merchant_id = $1 AND invoice_id = $2",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(address.map(|address| address.to_string()))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Has addresses of a merchant's list up to one be given to nobody; how many that no invoice has, or `None` if the
    /// address is not on it. Lock the merchant first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn pass_over_solana_addresses(
        &mut self,
        merchant: MerchantId,
        last: SolanaAddress,
    ) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT ordinal FROM solana_addresses WHERE merchant_id = $1 AND address = $2")
            .bind(merchant.0)
            .bind(last.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let done = sqlx::query(
            "UPDATE solana_addresses SET invoice_id = $3 WHERE merchant_id = $1 AND ordinal <= $2 AND invoice_id IS NULL",
        )
        .bind(merchant.0)
        .bind(Columns::of(&row, "solana_addresses").integer("ordinal")?)
        .bind(PASSED_OVER)
        .execute(&mut *self.connection)
        .await?;
        Ok(Some(done.rows_affected()))
    }

    /// How many addresses a merchant's list has.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn solana_stock(&mut self, merchant: MerchantId) -> Result<AddressStock, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS total, COUNT(*) - COUNT(invoice_id) AS unused FROM solana_addresses
             WHERE merchant_id = $1",
        )
        .bind(merchant.0)
        .fetch_one(&mut *self.connection)
        .await?;
        let columns = Columns::of(&row, "solana_addresses");
        Ok(AddressStock { total: columns.integer("total")?, left: columns.integer("unused")? })
    }

    /// Whether an address on Solana is some merchant's wallet, or one that invoices are paid to in common.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn is_solana_wallet(&mut self, address: SolanaAddress) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM merchants WHERE solana_wallet = $1
             UNION ALL SELECT 1 FROM invoices WHERE solana_address = $1 AND solana_is_own = 0 LIMIT 1",
        )
        .bind(address.to_string())
        .fetch_optional(&mut *self.connection)
        .await?;
        Ok(row.is_some())
    }

    /// The merchant on whose list an address on Solana is.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn lister_of_solana_address(&mut self, address: SolanaAddress) -> Result<Option<MerchantId>, StoreError> {
        let row = sqlx::query("SELECT merchant_id FROM solana_addresses WHERE address = $1")
            .bind(address.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        row.map(|row| Columns::of(&row, "solana_addresses").integer("merchant_id").map(MerchantId)).transpose()
    }

    /// How many merchants have a fifth of their list on Solana left, or less.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn count_low_solana_lists(&mut self) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS low FROM (
                SELECT merchants.merchant_id FROM merchants
                LEFT JOIN solana_addresses ON solana_addresses.merchant_id = merchants.merchant_id
                WHERE solana_mode = 'list' GROUP BY merchants.merchant_id
                HAVING 5 * (COUNT(address) - COUNT(invoice_id)) <= COUNT(address)) AS lists",
        )
        .fetch_one(&mut *self.connection)
        .await?;
        Columns::of(&row, "solana_addresses").integer("low")
    }

    /// The invoice whose own an address on Solana is.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice_of_solana_address(
        &mut self,
        address: SolanaAddress,
    ) -> Result<Option<(MerchantId, InvoiceId)>, StoreError> {
        let row =
            sqlx::query("SELECT merchant_id, invoice_id FROM invoices WHERE solana_address = $1 AND solana_is_own = 1")
                .bind(address.to_string())
                .fetch_optional(&mut *self.connection)
                .await?;
        row.map(|row| read_key(&row, "invoices")).transpose()
    }

    /// The wallets of invoices that were quoted on a network and are looked for at `now`, for each merchant.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn watched_solana_wallets(
        &mut self,
        network: &str,
        now: UnixSeconds,
    ) -> Result<Vec<WatchedWallet>, StoreError> {
        let rows = sqlx::query(
            "SELECT merchant_id, solana_address, MIN(created_ms) AS began_ms, MAX(expires_at) AS ends,
                MAX(CASE WHEN status IN ('unpaid', 'underpaid') THEN 1 ELSE 0 END) AS is_open
             FROM invoices
             WHERE watched_until IS NOT NULL AND watched_until > $1 AND solana_address IS NOT NULL
                AND EXISTS (SELECT 1 FROM quotes WHERE quotes.merchant_id = invoices.merchant_id
                    AND quotes.invoice_id = invoices.invoice_id AND quotes.network = $2)
             GROUP BY merchant_id, solana_address ORDER BY solana_address, merchant_id",
        )
        .bind(now.0)
        .bind(network)
        .fetch_all(&mut *self.connection)
        .await?;
        let wallets = rows.iter().map(|row| {
            let columns = Columns::of(row, "invoices");
            Ok(WatchedWallet {
                merchant: MerchantId(columns.integer("merchant_id")?),
                address: columns.parsed("solana_address")?,
                since: UnixMillis(columns.integer("began_ms")?).as_seconds(),
                is_open: columns.flag("is_open")?,
                ends: UnixSeconds(columns.integer("ends")?),
            })
        });
        wallets.collect()
    }

    /// How far each account of a network was read.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn solana_cursors(&mut self, network: &str) -> Result<Vec<AccountCursor>, StoreError> {
        let rows = sqlx::query("SELECT account, signature, slot FROM solana_cursors WHERE network = $1")
            .bind(network)
            .fetch_all(&mut *self.connection)
            .await?;
        let cursors = rows.iter().map(|row| {
            let columns = Columns::of(row, "solana_cursors");
            Ok(AccountCursor {
                account: columns.parsed("account")?,
                signature: columns.text("signature")?,
                slot: columns.number("slot")?,
            })
        });
        cursors.collect()
    }

    /// Moves an account's cursor forwards.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn move_solana_cursor(&mut self, network: &str, to: &AccountCursor) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO solana_cursors (network, account, signature, slot) VALUES ($1, $2, $3, $4)
             ON CONFLICT (network, account) DO UPDATE SET signature = excluded.signature, slot = excluded.slot
             WHERE solana_cursors.slot <= excluded.slot",
        )
        .bind(network)
        .bind(to.account.to_string())
        .bind(&to.signature)
        .bind(block_number(to.slot))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// What each account of a network held when that was last explained.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn solana_balances(&mut self, network: &str) -> Result<Vec<AccountBalance>, StoreError> {
        let rows = sqlx::query("SELECT * FROM solana_balances WHERE network = $1")
            .bind(network)
            .fetch_all(&mut *self.connection)
            .await?;
        let balances = rows.iter().map(|row| {
            let columns = Columns::of(row, "solana_balances");
            let unexplained = match columns.optional_parsed("unexplained")? {
                Some(amount) => Some(Unexplained { amount, noticed: UnixSeconds(columns.integer("noticed_time")?) }),
                None => None,
            };
            Ok(AccountBalance {
                account: columns.parsed("account")?,
                wallet: columns.parsed("wallet")?,
                slot: columns.number("slot")?,
                time: UnixSeconds(columns.integer("block_time")?),
                held: columns.parsed("held")?,
                is_late: columns.flag("is_late")?,
                unexplained,
            })
        });
        balances.collect()
    }

    /// Says what an account held.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_solana_balance(&mut self, network: &str, balance: &AccountBalance) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO solana_balances (network, account, wallet, slot, block_time, held, is_late, unexplained,
                noticed_time)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (network, account) DO UPDATE SET wallet = excluded.wallet, slot = excluded.slot,
                block_time = excluded.block_time, held = excluded.held, is_late = excluded.is_late,
                unexplained = excluded.unexplained, noticed_time = excluded.noticed_time",
        )
        .bind(network)
        .bind(balance.account.to_string())
        .bind(balance.wallet.to_string())
        .bind(block_number(balance.slot))
        .bind(balance.time.0)
        .bind(balance.held.to_string())
        .bind(i64::from(balance.is_late))
        .bind(balance.unexplained.map(|unexplained| unexplained.amount.to_string()))
        .bind(balance.unexplained.map(|unexplained| unexplained.noticed.0))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// On which networks a wallet holds what nobody explains and what was noticed after a time, and up to when it was
    /// explained.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn unexplained_at_solana_wallet(
        &mut self,
        wallet: SolanaAddress,
        noticed_after: UnixSeconds,
    ) -> Result<Vec<(String, UnixSeconds)>, StoreError> {
        let rows = sqlx::query(
            "SELECT network, MIN(block_time) AS block_time FROM solana_balances
             WHERE wallet = $1 AND unexplained IS NOT NULL AND noticed_time > $2 GROUP BY network",
        )
        .bind(wallet.to_string())
        .bind(noticed_after.0)
        .fetch_all(&mut *self.connection)
        .await?;
        let networks = rows.iter().map(|row| {
            let columns = Columns::of(row, "solana_balances");
            Ok((columns.text("network")?, UnixSeconds(columns.integer("block_time")?)))
        });
        networks.collect()
    }

    /// The transactions on a network after a slot that are recorded as having come to a wallet.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn recorded_signatures(
        &mut self,
        network: &str,
        wallet: SolanaAddress,
        after: u64,
    ) -> Result<Vec<OpenSignature>, StoreError> {
        let rows = sqlx::query(
            "SELECT facts.tx_id, facts.block_number FROM transfers AS facts
             JOIN invoices ON invoices.merchant_id = facts.merchant_id AND invoices.invoice_id = facts.invoice_id
             WHERE invoices.solana_address = $2 AND facts.network = $1 AND facts.canonical = 1
                AND facts.block_number > $3
             UNION SELECT tx_id, block_number FROM unattributed
             WHERE wallet = $2 AND network = $1 AND canonical = 1 AND block_number > $3
             ORDER BY block_number, tx_id",
        )
        .bind(network)
        .bind(wallet.to_string())
        .bind(block_number(after))
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_open_signature).collect()
    }

    /// Invoices that are paid to a wallet and were quoted on a network with one of these references.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoices_of_references(
        &mut self,
        network: &str,
        wallet: SolanaAddress,
        references: &[SolanaAddress],
    ) -> Result<Vec<(MerchantId, InvoiceId)>, StoreError> {
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = Statement::of(
            "SELECT DISTINCT invoices.merchant_id, invoices.invoice_id FROM quotes
             JOIN invoices ON invoices.merchant_id = quotes.merchant_id AND invoices.invoice_id = quotes.invoice_id
             WHERE quotes.network = ",
        );
        statement.bind(network.to_owned());
        statement.push(" AND invoices.solana_address = ");
        statement.bind(wallet.to_string());
        statement.push(" AND quotes.reference IN ");
        statement.bind_list(references.iter().map(ToString::to_string));
        let rows = statement.query().fetch_all(&mut *self.connection).await?;
        rows.iter().map(|row| read_key(row, "quotes")).collect()
    }

    /// The merchant of an invoice that is paid to a wallet and was quoted on a network.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice_at_solana_wallet(
        &mut self,
        network: &str,
        wallet: SolanaAddress,
        invoice: InvoiceId,
    ) -> Result<Option<(MerchantId, InvoiceId)>, StoreError> {
        let row = sqlx::query(
            "SELECT merchant_id, invoice_id FROM invoices WHERE solana_address = $1 AND invoice_id = $2
                AND EXISTS (SELECT 1 FROM quotes WHERE quotes.merchant_id = invoices.merchant_id
                    AND quotes.invoice_id = invoices.invoice_id AND quotes.network = $3)",
        )
        .bind(wallet.to_string())
        .bind(invoice.to_string())
        .bind(network)
        .fetch_optional(&mut *self.connection)
        .await?;
        row.map(|row| read_key(&row, "invoices")).transpose()
    }

    /// Transactions on a network that are not final yet, and those that came to wallets since a slot.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn open_signatures(&mut self, network: &str, since: u64) -> Result<Vec<OpenSignature>, StoreError> {
        let rows = sqlx::query(
            "SELECT tx_id, block_number FROM transfers
             WHERE network = $1 AND canonical = 1 AND finality <> 'final'
             UNION SELECT tx_id, block_number FROM unattributed
             WHERE network = $1 AND canonical = 1 AND block_number > $2
             ORDER BY block_number, tx_id",
        )
        .bind(network)
        .bind(block_number(since))
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(read_open_signature).collect()
    }

    /// Takes a transaction off the chain, but for what is of the block `but`; returns the invoices concerned.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn orphan_transaction(
        &mut self,
        network: &str,
        tx_id: &str,
        but: Option<&str>,
    ) -> Result<Vec<(MerchantId, InvoiceId)>, StoreError> {
        let but = but.unwrap_or_default();
        sqlx::query(
            "UPDATE unattributed SET canonical = 0
             WHERE network = $1 AND tx_id = $2 AND block_hash <> $3 AND canonical = 1",
        )
        .bind(network)
        .bind(tx_id)
        .bind(but)
        .execute(&mut *self.connection)
        .await?;
        let rows = sqlx::query(
            "UPDATE transfers SET canonical = 0, confirmations = 0, finality = 'seen', vouched = 0
             WHERE network = $1 AND tx_id = $2 AND block_hash <> $3 AND canonical = 1
             RETURNING merchant_id, invoice_id",
        )
        .bind(network)
        .bind(tx_id)
        .bind(but)
        .fetch_all(&mut *self.connection)
        .await?;
        let touched = rows.iter().map(|row| read_key(row, "transfers")).collect::<Result<Vec<_>, _>>()?;
        Ok(distinct(touched))
    }
}

fn read_open_signature(row: &AnyRow) -> Result<OpenSignature, StoreError> {
    let columns = Columns::of(row, "transfers");
    Ok(OpenSignature { signature: columns.text("tx_id")?, slot: columns.number("block_number")? })
}

//! Quotes: what payers were told to send.

use alloy_primitives::{Address, U256};
use domain::{
    id::{InvoiceId, MerchantId, QuoteId, TokenId},
    money::{Rate, TokenAmount, UsdMillis},
    quote::Quote,
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, invoices::dollars, row::Columns, transfers};
use crate::solana::SolanaAddress;

/// A quote with the network it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteRecord {
    pub network: String,
    pub quote: Quote,
    /// On Solana, the account by which a payment is known to be the invoice's, if something has to tell.
    pub reference: Option<SolanaAddress>,
    /// Whether the account that the token goes to was missing when it was made, so that the payer pays for making it.
    pub opens_account: bool,
    /// Where its price was read; `None` if nowhere, as at par.
    pub priced_by: Option<PriceOrigin>,
}

/// Where a price was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceOrigin {
    pub network: String,
    pub feed: Address,
    pub round: U256,
    /// The block of that network that it was read at.
    pub block: u64,
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn insert_quote(
        &mut self,
        merchant: MerchantId,
        invoice: InvoiceId,
        record: &QuoteRecord,
    ) -> Result<(), StoreError> {
        let quote = &record.quote;
        let origin = record.priced_by.as_ref();
        sqlx::query(
            "INSERT INTO quotes (merchant_id, invoice_id, quote_id, network, token_id, decimals, rate, amount, covers,
                created_at, valid_until, reference, opens_account, price_network, price_feed, price_round, price_block, ordinal)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                (SELECT COUNT(*) FROM quotes WHERE merchant_id = $1 AND invoice_id = $2))",
        )
        .bind(merchant.0)
        .bind(invoice.to_string())
        .bind(quote.id.to_string())
        .bind(&record.network)
        .bind(quote.token.0)
        .bind(i64::from(quote.decimals.get()))
        .bind(quote.rate.usd_e8().to_string())
        .bind(quote.amount.base_units().to_string())
        .bind(dollars(quote.covers))
        .bind(quote.created_at.0)
        .bind(quote.valid_until.0)
        .bind(record.reference.map(|reference| reference.to_string()))
        .bind(i64::from(record.opens_account))
        .bind(origin.map(|origin| origin.network.as_str()))
        .bind(origin.map(|origin| origin.feed.to_string()))
        .bind(origin.map(|origin| origin.round.to_string()))
        .bind(origin.map(|origin| i64::try_from(origin.block).unwrap_or(i64::MAX)))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// An invoice's quotes in the order they were made, also within one second.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn quotes(&mut self, merchant: MerchantId, invoice: InvoiceId) -> Result<Vec<QuoteRecord>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM quotes WHERE merchant_id = $1 AND invoice_id = $2 ORDER BY ordinal, quote_id")
                .bind(merchant.0)
                .bind(invoice.to_string())
                .fetch_all(&mut *self.connection)
                .await?;
        rows.iter().map(read_quote).collect()
    }
}

fn read_quote(row: &AnyRow) -> Result<QuoteRecord, StoreError> {
    let columns = Columns::of(row, "quotes");
    let rate: u128 = columns.parsed("rate")?;
    let priced_by = match columns.optional_text("price_network")? {
        Some(network) => Some(PriceOrigin {
            network,
            feed: columns.parsed("price_feed")?,
            round: columns.parsed("price_round")?,
            block: columns.number("price_block")?,
        }),
        None => None,
    };
    Ok(QuoteRecord {
        network: columns.text("network")?,
        reference: columns.optional_parsed("reference")?,
        opens_account: columns.flag("opens_account")?,
        priced_by,
        quote: Quote {
            id: columns.parsed::<QuoteId>("quote_id")?,
            token: TokenId(columns.integer("token_id")?),
            decimals: transfers::read_decimals(&columns)?,
            rate: Rate::from_usd_e8(rate).ok_or_else(|| columns.corrupt("rate", "0"))?,
            amount: TokenAmount::from_base_units(columns.parsed("amount")?),
            covers: UsdMillis::from_millis(columns.number("covers")?),
            created_at: UnixSeconds(columns.integer("created_at")?),
            valid_until: UnixSeconds(columns.integer("valid_until")?),
        },
    })
}

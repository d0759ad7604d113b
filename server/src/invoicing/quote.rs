//! Telling a payer what to send.

use std::time::Duration;

use domain::{
    id::{InvoiceId, MerchantId, QuoteId, TokenId},
    invoice::InvoiceStatus,
    money::Rate,
    quote::Quote,
    signature::payment_reference,
    time::UnixSeconds,
    unique_amount::Marks,
};
use tokio::time::timeout;

use super::{
    Case,
    addresses::{AddressError, ensure_fresh},
    answers::must_answer,
    case::{check_open, is_arriving},
    solana_addresses,
};
use crate::{
    alarm,
    app::App,
    clock::random_bytes,
    config::{Asset, NetworkConfig, NetworkKind, PriceSource, TokenConfig},
    events::Change,
    rates::NoPrice,
    solana::SolanaAddress,
    store::{InvoiceRecord, PriceOrigin, QuoteRecord, StoreError, Tx, UniqueAmount},
    wallet::WalletAddress,
};

/// A quote this young is given again: the same click twice is one quote.
const SAME_CLICK_SECONDS: i64 = 10;
/// A payer may still pay each of them, so none is taken back; this many are enough to change one's mind.
const MOST_IN_FORCE: usize = 20;
/// Longer than a good answer takes. A chain that hangs must not make the payer's page hang.
const PRICE_TAKES_AT_MOST: Duration = Duration::from_secs(4);
/// Amounts that are tried before there is said to be none left, each by itself at random: with nine of ten taken, all of
/// these are one time in a thousand million.
const MOST_TRIED: u32 = 200;
/// With so few amounts, each is tried in turn.
const FEW: u32 = 200;
/// An address may be replaced while it is looked at. It is looked at again then, so often.
const MOST_LOOKS: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    #[error("no such invoice")]
    NoSuchInvoice,
    #[error("token {0} is not offered on this network, or not just now")]
    NotOffered(TokenId),
    #[error("the first payment locked another token")]
    Locked,
    #[error("the invoice takes no more payments")]
    Ended(InvoiceStatus),
    #[error("the merchant's questions come first")]
    Unanswered,
    #[error("{MOST_IN_FORCE} quotes of what is due are in force")]
    TooMany { retry_after_seconds: i64 },
    #[error("all amounts that could tell this invoice from others are in use")]
    NoAmountLeft,
    #[error("the invoice's address was replaced while it was looked at")]
    AddressMoved,
    #[error(transparent)]
    Address(AddressError),
    #[error(transparent)]
    NoPrice(#[from] NoPrice),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AddressError> for QuoteError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Store(error) => Self::Store(error),
            error => Self::Address(error),
        }
    }
}

/// What a payer is told to send, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub record: QuoteRecord,
    pub address: WalletAddress,
}

/// Whether a token can be asked for. Where a wallet is paid directly on an EVM network only logs tell what came, and coin
/// that moves leaves none on most of them.
pub fn is_payable(invoice: &InvoiceRecord, network: &NetworkConfig, token: &TokenConfig) -> bool {
    match (network.kind, token.asset()) {
        (NetworkKind::Evm, Asset::Coin) => network.native_logs || !invoice.shares_address_on(NetworkKind::Evm),
        (NetworkKind::Evm | NetworkKind::Solana, _) => true,
    }
}

/// Whether a payment for an invoice can be told from others to the same address, by its amount of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markable {
    /// Also where the address is the invoice's own.
    Yes,
    /// The token's smallest unit is worth too much.
    Coarse,
    /// All amounts are asked for by other invoices.
    UsedUp,
}

/// Whether what is due on an invoice can be asked for in a token at a rate.
///
/// # Errors
///
/// If the database refuses.
pub async fn markable(
    app: &App,
    invoice: &InvoiceRecord,
    network: &NetworkConfig,
    token: &TokenConfig,
    rate: Rate,
) -> Result<Markable, StoreError> {
    let shared = invoice.address_on(network.kind).filter(|_| invoice.shares_address_on(network.kind));
    let Some(wallet) = shared else { return Ok(Markable::Yes) };
    let due = invoice.standing.remaining;
    let Some(marks) = Marks::of(due, token.checked_decimals(), rate) else { return Ok(Markable::Coarse) };
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let others = tx.amounts_of_others(invoice.id, wallet, token.token_id(), marks.range(), app.clock.now()).await?;
    Ok(if others < u64::from(marks.count()) { Markable::Yes } else { Markable::UsedUp })
}

/// Quotes what is still due in a token of a network, and has the address to pay it to watched on every network.
///
/// # Errors
///
/// If the choice is not on offer for this invoice, or there is no price that can be trusted.
pub async fn choose(
    app: &App,
    merchant: MerchantId,
    invoice: InvoiceId,
    network: &str,
    token: TokenId,
) -> Result<Chosen, QuoteError> {
    for _ in 1..MOST_LOOKS {
        match choose_once(app, merchant, invoice, network, token).await {
            Err(QuoteError::AddressMoved) => {}
            chosen => return chosen,
        }
    }
    choose_once(app, merchant, invoice, network, token).await
}

async fn choose_once(
    app: &App,
    merchant: MerchantId,
    invoice: InvoiceId,
    network: &str,
    token: TokenId,
) -> Result<Chosen, QuoteError> {
    let Some((network_config, token_config)) = app.config.token(token).filter(|(config, _)| config.name == network)
    else {
        return Err(QuoteError::NotOffered(token));
    };
    if !token_config.accepted || !app.outages.is_offered(network) {
        return Err(QuoteError::NotOffered(token));
    }
    let known = app.store.reader().await?.tx().invoice(merchant, invoice).await?.ok_or(QuoteError::NoSuchInvoice)?;
    let kind = network_config.kind;
    if known.address_on(kind).is_none() || !is_payable(&known, network_config, token_config) {
        return Err(QuoteError::NotOffered(token));
    }
    // Before any chain is asked: whoever has the link of an old invoice must not make us ask.
    check_open(&known, app.clock.now()).map_err(QuoteError::Ended)?;
    // Asked before the transaction, which must not wait for a chain; whether a price is missed is told there.
    let (asked, address, opens_account) = tokio::join!(
        timeout(PRICE_TAKES_AT_MOST, app.prices.price(token)),
        fresh_address(app, &known, network_config),
        app.token_accounts.is_missing(network, known.solana_address, token_config.asset()),
    );
    let fresh = address?.ok_or(QuoteError::NotOffered(token))?;
    let price = asked.unwrap_or_else(|_| Err(NoPrice::Unreachable("no answer in time".to_owned())));
    let read_on = match &token_config.price {
        PriceSource::Feed(feed) => feed.network.clone().unwrap_or_else(|| network.to_owned()),
        PriceSource::Par(_) => network.to_owned(),
    };
    let (network, decimals) = (network_config.name.clone(), token_config.checked_decimals());

    let task = app.clone();
    let (chosen, is_new) = app
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_invoice(merchant, invoice).await?;
                let case = Case::load(tx, &task.config, merchant, invoice).await?.ok_or(QuoteError::NoSuchInvoice)?;
                let now = task.clock.now();
                check_open(&case.invoice, now).map_err(QuoteError::Ended)?;
                if case.quotes.is_empty() && must_answer(&case.invoice) {
                    return Err(QuoteError::Unanswered);
                }
                let address = case.invoice.address_on(kind).ok_or(QuoteError::NotOffered(token))?;
                if address != fresh {
                    return Err(QuoteError::AddressMoved);
                }
                if let Some(lock) = case.locking_payment()
                    && (lock.record.token, &lock.record.network) != (token, &network)
                {
                    return Err(QuoteError::Locked);
                }
                // Where the first payment decided it, there is nothing else to pay the rest in.
                if case.locking_payment().is_none() && tx.acceptance(merchant).await?.blocks(token) {
                    return Err(QuoteError::NotOffered(token));
                }
                let due = case.invoice.standing.remaining;
                if let Some(last) = case.quotes.last() {
                    let is_same_click = now <= last.quote.created_at.plus(SAME_CLICK_SECONDS);
                    if is_same_click && last.quote.token == token && last.quote.covers == due {
                        return Ok((Chosen { record: last.clone(), address }, false));
                    }
                }
                check_room(&case, now)?;
                let id = QuoteId::from_random(random_bytes());
                let price = price?;
                let lasts = task.config.invoices.quote_seconds;
                let mut quote = Quote::new(id, token, decimals, price.rate, due, now, lasts);
                if case.invoice.shares_address_on(kind) {
                    let kept = task.config.invoices.unique_amount_days.saturating_mul(86_400);
                    make_unique(tx, &case, address, &mut quote, now, kept).await?;
                }
                let reference = match kind {
                    NetworkKind::Solana if case.invoice.shares_address_on(kind) => {
                        Some(SolanaAddress::new(payment_reference(task.secret(), invoice, &network)))
                    }
                    NetworkKind::Solana | NetworkKind::Evm => None,
                };
                let priced_by = price.read.map(|read| PriceOrigin {
                    network: read_on,
                    feed: read.feed,
                    round: read.round,
                    block: read.block,
                });
                let record = QuoteRecord { network, quote, reference, opens_account, priced_by };
                tx.insert_quote(merchant, invoice, &record).await?;
                let until = task.config.invoices.end_of_watch(case.invoice.terms.expires_at);
                tx.watch_invoice(merchant, invoice, until).await?;
                Ok((Chosen { record, address }, true))
            })
        })
        .await?;
    if is_new {
        app.hub.announce(merchant, Some(invoice), Change::Quote);
    }
    Ok(chosen)
}

/// The address to be shown, which nobody used before if it is the invoice's alone; `None` if there is no such address.
async fn fresh_address(
    app: &App,
    invoice: &InvoiceRecord,
    network: &NetworkConfig,
) -> Result<Option<WalletAddress>, AddressError> {
    // Also for Solana: from the first quote on, wherever it is, the address on EVM networks counts as shown.
    let on_evm = ensure_fresh(app, invoice).await.map(WalletAddress::Evm)?;
    match network.kind {
        NetworkKind::Evm => Ok(Some(on_evm)),
        NetworkKind::Solana => {
            let on_solana = solana_addresses::ensure_fresh(app, invoice, &network.name).await?;
            Ok(on_solana.map(WalletAddress::Solana))
        }
    }
}

/// Quotes again what the payer chose before, if that quote lapsed or no longer covers what is due;
/// returns the new quote, if one was needed.
///
/// Leaves alone an invoice that nothing was chosen for, that ended, or that a payment is just arriving
/// for: its remainder is about to change.
///
/// # Errors
///
/// As [`choose`].
pub async fn keep_quoted(app: &App, case: &Case) -> Result<Option<Chosen>, QuoteError> {
    let Some(last) = case.quotes.last() else { return Ok(None) };
    let now = app.clock.now();
    let is_good = now <= last.quote.valid_until && last.quote.covers == case.invoice.standing.remaining;
    if is_good || case.payments.iter().any(is_arriving) || check_open(&case.invoice, now).is_err() {
        return Ok(None);
    }
    let (network, token) = match case.locking_payment() {
        Some(lock) => (lock.record.network.as_str(), lock.record.token),
        None => (last.network.as_str(), last.quote.token),
    };
    choose(app, case.invoice.merchant, case.invoice.id, network, token).await.map(Some)
}

/// Marks a quote's amount so that nobody else is told to pay the same to this wallet.
async fn make_unique(
    tx: &mut Tx<'_>,
    case: &Case,
    wallet: WalletAddress,
    quote: &mut Quote,
    now: UnixSeconds,
    kept_seconds: i64,
) -> Result<(), QuoteError> {
    let invoice = &case.invoice;
    let marks = Marks::of(quote.covers, quote.decimals, quote.rate).ok_or(QuoteError::NotOffered(quote.token))?;
    let unique = |amount| UniqueAmount {
        merchant: invoice.merchant,
        invoice: invoice.id,
        wallet,
        token: quote.token,
        amount,
        reserved_until: invoice.terms.expires_at.plus(kept_seconds),
    };
    // A page that asks again and again uses up one amount, as long as the price stays.
    let own = tx.amount_of_invoice(invoice.merchant, invoice.id, quote.token, marks.range()).await?;
    if let Some(own) = own.filter(|own| marks.contains(*own)) {
        quote.amount = own;
        return Ok(());
    }
    let first = u32::from_be_bytes(random_bytes()) % marks.count();
    for tried in 0..marks.count().min(MOST_TRIED) {
        let nth = if marks.count() <= FEW { first.saturating_add(tried) } else { u32::from_be_bytes(random_bytes()) };
        let amount = marks.amount(nth);
        if tx.reserve_amount(&unique(amount), now).await? {
            quote.amount = amount;
            return Ok(());
        }
    }
    tracing::error!(
        alarm = alarm::UNIQUE_AMOUNTS_USED_UP,
        merchant.id = %invoice.merchant,
        token.id = %quote.token,
        "ALARM: a token cannot be offered, since all amounts that tell invoices apart are in use"
    );
    Err(QuoteError::NoAmountLeft)
}

/// Quotes of what is due now; what was due before a part was paid does not count any more.
fn check_room(case: &Case, now: UnixSeconds) -> Result<(), QuoteError> {
    let due = case.invoice.standing.remaining;
    let is_in_force = |quote: &&Quote| now <= quote.valid_until && quote.covers == due;
    let in_force: Vec<_> = case.quotes.iter().map(|record| &record.quote).filter(is_in_force).collect();
    match in_force.iter().map(|quote| quote.valid_until).min() {
        Some(first) if MOST_IN_FORCE <= in_force.len() => {
            Err(QuoteError::TooMany { retry_after_seconds: first.0.saturating_sub(now.0).saturating_add(1) })
        }
        _ => Ok(()),
    }
}

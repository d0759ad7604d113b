//! Telling a payer what to send.

use std::time::Duration;

use domain::{
    id::{InvoiceId, MerchantId, QuoteId, TokenId},
    invoice::InvoiceStatus,
    quote::Quote,
    time::UnixSeconds,
};
use tokio::time::timeout;

use super::{
    Case,
    answers::must_answer,
    case::{check_open, is_arriving},
};
use crate::{
    app::App,
    clock::random_bytes,
    events::Change,
    rates::NoPrice,
    store::{QuoteRecord, StoreError},
};

/// A quote this young is given again: the same click twice is one quote.
const SAME_CLICK_SECONDS: i64 = 10;
/// A payer may still pay each of them, so none is taken back; this many are enough to change one's mind.
const MOST_IN_FORCE: usize = 20;
/// Longer than a good answer takes. A chain that hangs must not make the payer's page hang.
const PRICE_TAKES_AT_MOST: Duration = Duration::from_secs(4);

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
    #[error(transparent)]
    NoPrice(#[from] NoPrice),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Quotes what is still due in a token of a network, and has its address watched on every network.
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
) -> Result<QuoteRecord, QuoteError> {
    let Some((network_config, token_config)) = app.config.token(token).filter(|(config, _)| config.name == network)
    else {
        return Err(QuoteError::NotOffered(token));
    };
    if !token_config.accepted || !app.outages.is_offered(network) {
        return Err(QuoteError::NotOffered(token));
    }
    // Asked before the transaction, which must not wait for a chain; whether it is missed is told there.
    let asked = timeout(PRICE_TAKES_AT_MOST, app.prices.current(token)).await;
    let rate = asked.unwrap_or_else(|_| Err(NoPrice::Unreachable("no answer in time".to_owned())));
    let (network, decimals) = (network_config.name.clone(), token_config.checked_decimals());

    let task = app.clone();
    let (quoted, is_new) = app
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
                        return Ok((last.clone(), false));
                    }
                }
                check_room(&case, now)?;
                let id = QuoteId::from_random(random_bytes());
                let quote = Quote::new(id, token, decimals, rate?, due, now, task.config.invoices.quote_seconds);
                let record = QuoteRecord { network, quote };
                tx.insert_quote(merchant, invoice, &record).await?;
                let until = task.config.invoices.end_of_watch(case.invoice.terms.expires_at);
                tx.watch_invoice(merchant, invoice, until).await?;
                Ok((record, true))
            })
        })
        .await?;
    if is_new {
        app.hub.announce(merchant, Some(invoice), Change::Quote);
    }
    Ok(quoted)
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
pub async fn keep_quoted(app: &App, case: &Case) -> Result<Option<QuoteRecord>, QuoteError> {
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

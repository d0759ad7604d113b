//! Everything the payer's page shows, from what is stored and configured.

use std::time::Duration;

use domain::{
    acceptance::AcceptancePolicy,
    address_mode::AddressMode,
    id::TokenId,
    invoice::{InvoiceStatus, PaymentStatus},
    transfer::Valuation,
};
use tokio::time::timeout;
use wire::{
    invoice::SessionHeaders,
    payment_uri::{self, SolanaTransfer},
    snapshot as wire_snapshot,
};

use super::{
    error::ApiError,
    page::logo_path,
    payor::{offers, priced, token_type},
};
use crate::{
    app::App,
    config::NetworkKind,
    invoicing::{self, Case, Payment, QuoteError},
    session::Session,
    solana::Signature,
    store::{BrandRecord, InvoiceRecord, MerchantRecord, QuoteRecord, Shop},
    view,
};

/// What was paid is worth showing although a chain does not tell its price.
const RENEWAL_TAKES_AT_MOST: Duration = Duration::from_secs(2);

/// What is shown to a payer, and who may embed it.
pub struct Shown {
    pub snapshot: wire_snapshot::Snapshot,
    pub merchant: MerchantRecord,
    /// How the merchant's pages look; `None` for the page's own look.
    pub brand: Option<BrandRecord>,
    /// What it was made from.
    pub case: Case,
}

/// What is stored of an invoice and of whoever it is from.
struct Stored {
    case: Case,
    shop: Shop,
}

impl Stored {
    /// What belongs to an invoice that was just read.
    async fn of(app: &App, invoice: InvoiceRecord) -> Result<Self, ApiError> {
        let mut reader = app.store.reader().await?;
        let mut tx = reader.tx();
        Ok(Self {
            shop: tx.shop(invoice.merchant).await?.ok_or(ApiError::InvoiceNotFound)?,
            case: Case::of(&mut tx, &app.config, invoice).await?,
        })
    }

    /// After something was said or chosen.
    async fn changed(app: &App, session: &Session) -> Result<Self, ApiError> {
        let (merchant, id) = (session.invoice.merchant, session.invoice.id);
        let invoice = app.store.reader().await?.tx().invoice(merchant, id).await?;
        Self::of(app, invoice.ok_or(ApiError::InvoiceNotFound)?).await
    }
}

/// The present snapshot of the invoice of a session that was just opened. A quote that lapsed, or no longer fits, is
/// renewed, and where there is one choice only, it is made; where that fails the snapshot says why, or leaves it to the
/// payer.
///
/// # Errors
///
/// If the database refuses.
pub async fn present(app: &App, session: &Session) -> Result<Shown, ApiError> {
    present_stored(app, session, Stored::of(app, session.invoice.clone()).await?).await
}

/// The same after a choice that the session has not seen.
///
/// # Errors
///
/// If the database refuses.
pub async fn after_choice(app: &App, session: &Session) -> Result<Shown, ApiError> {
    present_stored(app, session, Stored::changed(app, session).await?).await
}

async fn present_stored(app: &App, session: &Session, stored: Stored) -> Result<Shown, ApiError> {
    let (stored, notice) = match timeout(RENEWAL_TAKES_AT_MOST, invoicing::keep_quoted(app, &stored.case)).await {
        Ok(Ok(None)) => (stored, None),
        Ok(Ok(Some(_))) => (Stored::changed(app, session).await?, None),
        Ok(Err(error)) => (stored, notice_of(error)?),
        Err(_elapsed) => (stored, Some(wire_snapshot::Notice::NoPrice)),
    };
    let shown = build(app, session, stored, notice).await?;
    // What the merchant asks comes first.
    if invoicing::asks(&shown.case.invoice, app.clock.now()) {
        return Ok(shown);
    }
    let Some((network, token)) = only_choice(&shown.snapshot) else { return Ok(shown) };
    let (merchant, invoice) = (session.invoice.merchant, session.invoice.id);
    match invoicing::choose(app, merchant, invoice, network, token).await {
        Ok(_) => build(app, session, Stored::changed(app, session).await?, None).await,
        Err(_) => Ok(shown),
    }
}

/// The choice of a payer who has no other.
fn only_choice(snapshot: &wire_snapshot::Snapshot) -> Option<(&str, TokenId)> {
    let [token] = snapshot.tokens.as_slice() else { return None };
    let is_open = snapshot.quote.is_none() && snapshot.notice.is_none() && snapshot.payments.is_empty();
    (is_open && token.unavailable.is_none()).then_some((token.network.as_str(), TokenId(token.id)))
}

/// The snapshot after a choice that got no quote.
///
/// # Errors
///
/// If the database refuses.
pub async fn after_failed_choice(app: &App, session: &Session, error: QuoteError) -> Result<Shown, ApiError> {
    let notice = notice_of(error)?;
    let mut shown = build(app, session, Stored::changed(app, session).await?, notice).await?;
    // What was chosen is not what is quoted, so the payer chooses again.
    shown.snapshot.quote.take_if(|_| notice.is_some());
    Ok(shown)
}

/// What to tell the payer; an invoice that ended tells it by itself.
fn notice_of(error: QuoteError) -> Result<Option<wire_snapshot::Notice>, ApiError> {
    match error {
        QuoteError::NoPrice(_) | QuoteError::AddressMoved => Ok(Some(wire_snapshot::Notice::NoPrice)),
        // Another token, or the same in a moment, is what a payer can try then, too.
        QuoteError::Address(error) if error.is_passing() => Ok(Some(wire_snapshot::Notice::NoPrice)),
        QuoteError::NotOffered(_) | QuoteError::Locked | QuoteError::NoAmountLeft => {
            Ok(Some(wire_snapshot::Notice::NotOffered))
        }
        // The page that asks the questions says it.
        QuoteError::Ended(_) | QuoteError::Unanswered => Ok(None),
        QuoteError::TooMany { .. } | QuoteError::NoSuchInvoice | QuoteError::Address(_) | QuoteError::Store(_) => {
            Err(error.into())
        }
    }
}

async fn build(
    app: &App,
    session: &Session,
    stored: Stored,
    notice: Option<wire_snapshot::Notice>,
) -> Result<Shown, ApiError> {
    let Stored { case, shop: Shop { merchant, acceptance, brand } } = stored;
    let invoice = &case.invoice;
    let now_ms = app.clock.now_ms();
    let is_open = !invoice.standing.status.is_terminal() && now_ms.as_seconds() <= invoice.terms.expires_at;
    let tokens = if is_open { priced(app, invoice, offers(app, &case, &acceptance)).await? } else { Vec::new() };

    let snapshot = wire_snapshot::Snapshot {
        version: invoice.version,
        now_ms: now_ms.0,
        credentials: SessionHeaders {
            session_token: session.credentials.session_token.clone(),
            signature: session.credentials.signature.clone(),
        },
        environment: invoice.environment,
        merchant: wire_snapshot::Merchant {
            name: merchant.name.clone(),
            email: merchant.email.clone(),
            logo: brand.as_ref().and_then(|record| logo_path(merchant.id, record)),
            is_paused: is_open && tokens.is_empty() && acceptance.policy() == AcceptancePolicy::AcceptNone,
        },
        invoice: shown_invoice(&case),
        tokens: tokens
            .into_iter()
            .map(|offer| wire_snapshot::Token {
                id: offer.token.id,
                symbol: offer.token.symbol.clone(),
                name: offer.token.name.clone(),
                token_type: token_type(offer.token),
                network: offer.network.name.clone(),
                network_title: offer.network.title.clone(),
                unavailable: offer.unavailable,
                typical_seconds: seconds_until(app, &offer.network.name, paid_after(app, &case, &offer.network.name)),
                fees: offer.network.fees,
                is_unsteady: !app.outages.is_read(&offer.network.name),
            })
            .collect(),
        quote: case
            .quotes
            .last()
            .filter(|record| is_open && now_ms.as_seconds() <= record.quote.valid_until)
            .filter(|record| record.quote.covers == invoice.standing.remaining)
            .and_then(|record| shown_quote(app, &case, record)),
        notice,
        payments: case.payments.iter().rev().map(|payment| shown_payment(app, payment)).collect(),
        return_url: invoice.return_url.clone().filter(|url| invoice.return_url_enabled && url.starts_with("https://")),
        unread_network: unread_network(app, &case),
    };
    Ok(Shown { snapshot, merchant, brand, case })
}

/// How many confirmations a payment for this invoice needs there.
fn paid_after(app: &App, case: &Case, network: &str) -> u32 {
    app.config.thresholds(network).paid_after(case.invoice.terms.due)
}

/// How long so many blocks take, and to be seen; `None` if that is not configured.
fn seconds_until(app: &App, network: &str, blocks: u32) -> Option<u32> {
    let network = app.config.network(network)?;
    let blocks_ms = network.block_ms?.saturating_mul(blocks.into());
    u32::try_from(blocks_ms.saturating_add(network.poll_ms).div_ceil(1000)).ok()
}

/// The title of a network that something is asked or expected on, and that has not been read for minutes.
fn unread_network(app: &App, case: &Case) -> Option<String> {
    if case.invoice.standing.status.is_terminal() {
        return None;
    }
    let expected = case.payments.iter().filter(|payment| payment.status == PaymentStatus::Pending);
    let expected = expected.map(|payment| payment.record.network.as_str());
    let asked = case.quotes.last().map(|record| record.network.as_str());
    let unread = expected.chain(asked).find(|network| !app.outages.is_offered(network))?;
    app.config.network(unread).map(|network| network.title.clone())
}

fn shown_invoice(case: &Case) -> wire_snapshot::Invoice {
    let invoice = &case.invoice;
    let standing = &invoice.standing;
    wire_snapshot::Invoice {
        id: invoice.id.to_string(),
        title: invoice.title.clone(),
        footer: invoice.footer.clone(),
        description: invoice.description.clone(),
        status: view::invoice_status(standing.status),
        amount: invoice.terms.due.as_millis(),
        paid: standing.credit.as_millis(),
        remaining: standing.remaining.as_millis(),
        overpaid: standing.overpaid.as_millis(),
        late: standing.late,
        created_at: invoice.created.as_seconds().0,
        expires_at: invoice.terms.expires_at.0,
        paid_at: standing.paid_at.map(|time| time.0),
        is_checking: standing.is_checking && standing.status != InvoiceStatus::Paid,
    }
}

/// `None` for a token that is no longer configured: nothing more should be sent in it.
fn shown_quote(app: &App, case: &Case, record: &QuoteRecord) -> Option<wire_snapshot::Quote> {
    let quote = &record.quote;
    let (network, token) = app.config.token(quote.token).filter(|(network, _)| network.name == record.network)?;
    let address = case.invoice.address_on(network.kind)?.to_string();
    let amount = quote.amount.to_decimal(quote.decimals);
    let amount_base = quote.amount.base_units().to_string();
    let token_contract = token.shown_address();
    let uri = match network.kind {
        NetworkKind::Evm => payment_uri::eip681(network.chain_id, token_contract.as_deref(), &address, &amount_base),
        NetworkKind::Solana => {
            let reference = record.reference.map(|reference| reference.to_string());
            payment_uri::solana_pay(&SolanaTransfer {
                recipient: &address,
                amount: &amount,
                mint: token_contract.as_deref(),
                reference: reference.as_deref(),
                // Each letter makes the code larger, and the page around it names the shop.
                label: None,
                message: None,
                memo: None,
            })
        }
    };
    let is_computed = network.kind == NetworkKind::Evm && case.invoice.address_mode == AddressMode::Forwarder;
    Some(wire_snapshot::Quote {
        token_id: token.id,
        symbol: token.symbol.clone(),
        token_type: token_type(token),
        network: network.name.clone(),
        network_title: network.title.clone(),
        chain_id: network.shown_chain_id(),
        uri,
        is_marked: case.invoice.shares_address_on(network.kind),
        opens_account: record.opens_account,
        token_contract,
        decimals: quote.decimals.get(),
        address,
        amount,
        amount_base,
        rate: view::rate(quote.rate),
        covers: quote.covers.as_millis(),
        created_at: quote.created_at.0,
        valid_until: quote.valid_until.0,
        // Only a forwarder's address follows from the wallet that it pays.
        proof: is_computed.then(|| wire_snapshot::Proof {
            wallet: case.invoice.receiver.to_checksum(None),
            salt: case.invoice.deposit_salt.to_string(),
        }),
    })
}

fn shown_payment(app: &App, payment: &Payment) -> wire_snapshot::Payment {
    let record = &payment.record;
    let network = app.config.network(&record.network);
    wire_snapshot::Payment {
        id: record.payment.to_string(),
        state: payment_state(payment),
        network: record.network.clone(),
        network_title: network.map_or_else(|| record.network.clone(), |network| network.title.clone()),
        symbol: app.config.token(record.token).map(|(_, token)| token.symbol.clone()).unwrap_or_default(),
        amount: record.amount.to_decimal(record.decimals),
        tx_hash: record.tx_id.clone(),
        explorer_url: explorer_link(app, &record.network, &record.tx_id),
        confirmations: record.confirmations,
        required_confirmations: payment.required_confirmations,
        block_time: record.block_time.0,
        expected_seconds: match payment.required_confirmations.saturating_sub(record.confirmations) {
            // It is deep enough; what it waits for has no timetable.
            0 => None,
            missing => seconds_until(app, &record.network, missing).filter(|_| record.canonical),
        },
    }
}

/// Where a transaction can be looked at, if the network has such a place.
pub fn explorer_link(app: &App, network: &str, transaction: &str) -> Option<String> {
    let link = app.config.network(network).and_then(|network| network.explorer_tx.as_deref());
    link.filter(|_| is_transaction(transaction)).map(|link| link.replace("{hash}", transaction))
}

/// Value that no transaction explains has a made-up id, which no explorer knows.
fn is_transaction(id: &str) -> bool {
    match id.strip_prefix("0x") {
        Some(digits) => digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => id.parse::<Signature>().is_ok(),
    }
}

fn payment_state(payment: &Payment) -> wire_snapshot::PaymentState {
    use wire_snapshot::PaymentState;
    if !payment.record.canonical {
        return PaymentState::Orphaned;
    }
    match (payment.record.valuation, payment.status) {
        (Valuation::Unexpected, _) => PaymentState::Unexpected,
        (Valuation::Unpriced, _) => PaymentState::Unpriced,
        (_, PaymentStatus::Pending) => PaymentState::Confirming,
        (_, PaymentStatus::ManualRetry) => PaymentState::Late,
        (_, PaymentStatus::Confirmed | PaymentStatus::Underpaid) => PaymentState::Credited,
    }
}

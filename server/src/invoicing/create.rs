//! Creating an invoice, once for each idempotency key.

use alloy_primitives::{Address, B256};
use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId},
    idempotency::{Fingerprint, IdempotencyKey},
    invoice::{InvoiceTerms, LatePolicy, Tolerance},
    money::UsdMillis,
    signature::SessionToken,
};
use wire::deposit_address;

use super::addresses::{AddressError, take_address};
use crate::{
    alarm,
    app::App,
    clock::random_bytes,
    failpoint, merchants,
    solana::SolanaAddress,
    store::{AddressStock, IdempotencyRecord, InvoiceRecord, NewEvent, NewInvoice, StoreError, Tx},
    view,
};

/// What a merchant asked for, checked.
#[derive(Clone, Debug)]
pub struct CreateInvoice {
    pub due: UsdMillis,
    pub expires_in_ms: i64,
    pub description: Option<String>,
    pub customer_id: Option<String>,
    pub customer_email: Option<String>,
    /// A JSON object.
    pub metadata: String,
    pub title: Option<String>,
    pub footer: Option<String>,
    /// The JSON the merchant sent.
    pub questions: Option<String>,
    pub return_url: Option<String>,
    pub return_url_enabled: bool,
    /// Where the money goes, if not to the merchant's wallet.
    pub receiver: Option<Address>,
}

/// Which request this is.
#[derive(Clone, Debug)]
pub struct Origin {
    pub route: &'static str,
    /// Without one, every request is a new one.
    pub key: Option<IdempotencyKey>,
    pub fingerprint: Fingerprint,
    pub request_id: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("merchant {0} does not exist")]
    NoSuchMerchant(MerchantId),
    /// The money would be taken for a payment of another invoice.
    #[error("the receiver is an address that payers pay to")]
    ReceiverIsDepositAddress,
    /// Whoever asks could claim what that merchant's payers pay.
    #[error("the receiver is another merchant's")]
    ReceiverIsAnothers,
    /// Addresses below an extended public key belong to whoever has the private one.
    #[error("the merchant's addresses derive from an extended public key, so the money cannot go elsewhere")]
    ReceiverIsFixed,
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The invoice a request asked for.
#[derive(Clone, Debug)]
pub struct Created {
    pub invoice: InvoiceRecord,
    /// An earlier request with the same key created it.
    pub is_replay: bool,
}

/// Creates an invoice, or returns the one this key created before.
///
/// # Errors
///
/// [`CreateError::KeyReused`] if the key came with another request, [`CreateError::ReceiverIsDepositAddress`] if the
/// money would go where payers pay to, [`CreateError::ReceiverIsAnothers`] if payers would pay another merchant, and
/// [`CreateError::ReceiverIsFixed`] if the money cannot go anywhere else.
pub async fn create(
    app: &App,
    merchant: MerchantId,
    request: CreateInvoice,
    origin: Origin,
) -> Result<Created, CreateError> {
    let app = app.clone();
    let store = app.store.clone();
    let created = store
        .write(move |tx| {
            Box::pin(async move {
                // The same request twice at once: the second waits here and then finds the first one's record.
                tx.lock_merchant(merchant).await?;
                let record = match origin.key {
                    Some(key) => tx.idempotency_record(merchant, origin.route, key).await?,
                    None => None,
                };
                if let Some(record) = record {
                    if record.fingerprint != origin.fingerprint {
                        return Err(CreateError::KeyReused);
                    }
                    let invoice = tx.invoice(merchant, record.invoice).await?.ok_or(StoreError::NotCommitted)?;
                    return Ok(Created { invoice, is_replay: true });
                }
                if let Some(receiver) = request.receiver
                    && tx.is_deposit_address(receiver).await?
                {
                    return Err(CreateError::ReceiverIsDepositAddress);
                }
                let merchant = tx.merchant(merchant).await?.ok_or(CreateError::NoSuchMerchant(merchant))?;
                let now = app.clock.now_ms();
                let id = InvoiceId::from_random(random_bytes());
                let sequence = tx.take_invoice_sequence(merchant.id).await?;
                let salt = deposit_address::salt(&merchant.recovery_code, sequence.unsigned_abs());
                let wallets = tx.wallets(merchant.id).await?;
                let wallet = merchants::in_force(&wallets, now.as_seconds());
                let wallet = wallet.ok_or(CreateError::NoSuchMerchant(merchant.id))?.address;
                let address_mode = tx.address_mode(merchant.id).await?.unwrap_or_default();
                let paid_to = match address_mode {
                    AddressMode::Forwarder => PaidTo::forwarder(request.receiver.unwrap_or(wallet), salt),
                    AddressMode::Direct => direct(tx, merchant.id, request.receiver, wallet).await?,
                    AddressMode::Xpub if request.receiver.is_some() => return Err(CreateError::ReceiverIsFixed),
                    AddressMode::Xpub => {
                        let (index, address) = take_address(tx, merchant.id, app.config.environment).await?;
                        PaidTo { index: Some(index), ..PaidTo::itself(address) }
                    }
                };
                let on_solana = address_on_solana(tx, &app, (merchant.id, id), request.receiver.is_some()).await?;
                let new = NewInvoice {
                    merchant: merchant.id,
                    id,
                    sequence,
                    session_hash: SessionToken::of(app.secret(), id).hash(),
                    environment: app.config.environment,
                    terms: InvoiceTerms {
                        due: request.due,
                        expires_at: domain::time::UnixMillis(now.0.saturating_add(request.expires_in_ms)).as_seconds(),
                        canceled_at: None,
                        tolerance: Tolerance::default(),
                        late_policy: LatePolicy::default(),
                    },
                    description: request.description,
                    title: request.title.unwrap_or_else(|| merchant.name.clone()),
                    footer: request.footer.unwrap_or_else(|| merchant.name.clone()),
                    customer_id: request.customer_id,
                    customer_email: request.customer_email,
                    metadata: request.metadata,
                    questions: request.questions,
                    return_url: request.return_url.or(merchant.return_url),
                    return_url_enabled: request.return_url_enabled,
                    address_mode,
                    receiver: paid_to.receiver,
                    deposit_salt: salt,
                    deposit_address: paid_to.address,
                    address_index: paid_to.index,
                    solana_address: on_solana.map(|(address, _)| address),
                    solana_is_own: on_solana.is_some_and(|(_, is_own)| is_own),
                    created: now,
                };
                tx.insert_invoice(&new).await?;
                failpoint::pass("create.after_invoice");
                if let Some(key) = origin.key {
                    let record = IdempotencyRecord { fingerprint: origin.fingerprint, invoice: id };
                    tx.insert_idempotency_record(merchant.id, origin.route, key, &record, now.as_seconds()).await?;
                }

                let invoice = tx.invoice(merchant.id, id).await?.ok_or(StoreError::NotCommitted)?;
                tx.append_event(&NewEvent {
                    merchant: merchant.id,
                    invoice: Some(id),
                    event_type: "invoice.created",
                    environment: invoice.environment,
                    object: serde_json::to_string(&view::invoice(&invoice, &[])).unwrap_or_default(),
                    previous_attributes: None,
                    request_id: Some(origin.request_id),
                    idempotency_key: origin.key.map(|key| key.to_string()),
                    created: now,
                })
                .await?;
                failpoint::pass("create.after_event");
                Ok(Created { invoice, is_replay: false })
            })
        })
        .await;
    failpoint::pass("create.before_answer");
    created
}

/// Where an invoice is paid on Solana, if it can be, and whether that is its own alone. The merchant is locked. What is to
/// go elsewhere, to an address on EVM networks, cannot be paid here.
async fn address_on_solana(
    tx: &mut Tx<'_>,
    app: &App,
    (merchant, invoice): (MerchantId, InvoiceId),
    is_redirected: bool,
) -> Result<Option<(SolanaAddress, bool)>, StoreError> {
    if is_redirected {
        return Ok(None);
    }
    if !tx.has_solana_list(merchant).await? {
        return Ok(tx.solana_wallet(merchant).await?.map(|wallet| (wallet, false)));
    }
    // Each is given once, so none is wasted where nobody could pay to it.
    if app.config.solana_networks().next().is_none() {
        return Ok(None);
    }
    let address = tx.take_solana_address(merchant, invoice).await?;
    let AddressStock { total, left } = tx.solana_stock(merchant).await?;
    // Once at a fifth, and again with each invoice that gets none.
    let is_low = left.saturating_mul(5) <= total && total < left.saturating_add(1).saturating_mul(5);
    if address.is_none() || is_low {
        tracing::error!(
            alarm = alarm::SOLANA_ADDRESSES_RUN_OUT,
            merchant.id = %merchant,
            addresses.left = left,
            addresses.total = total,
            "ALARM: few addresses on Solana are left, or none, of those that the merchant gave; without one an invoice cannot \
             be paid there"
        );
    }
    Ok(address.map(|address| (address, true)))
}

/// Where payers of an invoice pay to, and where that goes.
struct PaidTo {
    address: Address,
    receiver: Address,
    /// The address's number below an extended public key.
    index: Option<u32>,
}

impl PaidTo {
    fn forwarder(receiver: Address, salt: B256) -> Self {
        Self { address: deposit_address::deposit_address(receiver, salt), receiver, index: None }
    }

    /// An address that the money stays at.
    fn itself(address: Address) -> Self {
        Self { address, receiver: address, index: None }
    }
}

/// The wallet that is paid directly: the one asked for, unless it is another merchant's.
async fn direct(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    asked: Option<Address>,
    wallet: Address,
) -> Result<PaidTo, CreateError> {
    match asked {
        Some(receiver) if tx.is_another_s(merchant, receiver).await? => Err(CreateError::ReceiverIsAnothers),
        asked => Ok(PaidTo::itself(asked.unwrap_or(wallet))),
    }
}

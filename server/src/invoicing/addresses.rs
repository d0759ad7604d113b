//! Addresses below a merchant's extended public key, each given once.
//!
//! Numbers are counted in the database. A database that was restored from a backup counts on from an older number, so
//! before an address is shown to anybody the chains are asked whether it, or one of the next fifty that were never given,
//! was used; if so, everything up to the last one that was is passed over.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::Address;
use domain::id::MerchantId;
use futures_util::future::join_all;
use tokio::time::timeout;
use wire::Environment;

use crate::{
    alarm,
    app::App,
    chains::evm::Node,
    config::Config,
    store::{InvoiceRecord, StoreError, Tx},
    xpub::{AddressKey, XpubError},
};

/// Longer than good answers take. A chain that hangs must not make the payer's page hang.
const LOOKING_TAKES_AT_MOST: Duration = Duration::from_secs(8);
/// Addresses ahead that are looked at together.
const LOOKED_AT_TOGETHER: u32 = 50;
/// After a restore, those that were handed out and not paid cannot be seen on any chain: so many are passed over beside
/// those that were used.
const PASSED_OVER: u32 = 50;
/// Numbers ahead that are left of those that were looked at, when the next fifty are.
const LOOKED_AHEAD: u32 = 25;

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("merchant {0} has no extended public key")]
    NoKey(MerchantId),
    #[error("the extended public key of merchant {0} in the database {1}")]
    Unreadable(MerchantId, #[source] XpubError),
    #[error("the extended public key has no addresses left")]
    NoneLeft,
    #[error("it cannot be known whether an address was used before: {0} does not answer")]
    Unknown(String),
    #[error("it is not known in time whether an address was used before")]
    TooSlow,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AddressError {
    /// Whether it may pass by itself within seconds.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::TooSlow)
    }
}

/// Asks chains whether addresses were used.
pub struct Lookout {
    nodes: HashMap<String, Node>,
    clear: Mutex<HashMap<String, Clear>>,
}

/// Numbers of a key of which none was used when they were looked at.
struct Clear {
    /// The highest number that was the next one to be given. A lower one means that the database went back.
    next: u32,
    end: u32,
}

impl Lookout {
    pub fn new(config: &Config) -> Self {
        let nodes = config.evm_networks().map(|network| (network.name.clone(), Node::new(network)));
        Self { nodes: nodes.collect(), clear: Mutex::default() }
    }

    /// Whether the numbers from `next` on were looked at, a while ahead. After the database went back they were not.
    fn is_clear(&self, key: &AddressKey, next: u32) -> bool {
        let mut clear = self.clear.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = clear.get_mut(key.as_str()) else { return false };
        let is_clear = known.next <= next && next.saturating_add(LOOKED_AHEAD) <= known.end;
        known.next = known.next.max(next);
        is_clear
    }

    fn set_clear(&self, key: &AddressKey, next: u32) {
        let clear = Clear { next, end: next.saturating_add(LOOKED_AT_TOGETHER) };
        self.clear.lock().unwrap_or_else(PoisonError::into_inner).insert(key.as_str().to_owned(), clear);
    }

    /// Which of these addresses sent a transaction or hold something, on any network.
    async fn are_used(&self, app: &App, addresses: &[Address]) -> Result<Vec<bool>, AddressError> {
        let networks = app.config.evm_networks().filter(|network| app.outages.is_offered(&network.name));
        let answers = join_all(networks.map(async |network| {
            let assets: Vec<Option<Address>> = network.tokens.iter().map(|token| token.address).collect();
            let asked = match self.nodes.get(&network.name) {
                Some(node) => are_used_on(node, addresses, &assets).await,
                None => None,
            };
            asked.ok_or_else(|| AddressError::Unknown(network.name.clone()))
        }));
        let mut used = vec![false; addresses.len()];
        for answer in answers.await {
            used.iter_mut().zip(answer?).for_each(|(used, here)| *used |= here);
        }
        Ok(used)
    }
}

/// The next address of a merchant's key that nobody has use of; nobody else gets it.
pub(super) async fn take_address(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    environment: Environment,
) -> Result<(u32, Address), AddressError> {
    let (key, next) = chosen_key(tx, merchant, environment).await?;
    for index in next..=AddressKey::LAST {
        let Some(address) = key.address(index) else { continue };
        // A wallet's own address is often a child of the key, and one key may have been known under two names.
        if tx.is_in_use(address).await? {
            continue;
        }
        tx.raise_address_index(merchant, key.as_str(), index.saturating_add(1)).await?;
        return Ok((index, address));
    }
    Err(AddressError::NoneLeft)
}

/// Sees to it that the address of an invoice was never used, before it is shown to anybody; one that was is replaced.
/// Returns the address.
///
/// # Errors
///
/// [`AddressError::Unknown`] if a network that is offered does not answer, and [`AddressError::TooSlow`] if they take too
/// long. What was found out until then is kept.
pub(super) async fn ensure_fresh(app: &App, invoice: &InvoiceRecord) -> Result<Address, AddressError> {
    if invoice.address_index.is_none() || invoice.watched_until.is_some() {
        return Ok(invoice.deposit_address);
    }
    timeout(LOOKING_TAKES_AT_MOST, find_fresh(app, invoice)).await.unwrap_or(Err(AddressError::TooSlow))
}

async fn find_fresh(app: &App, invoice: &InvoiceRecord) -> Result<Address, AddressError> {
    let (merchant, mut invoice) = (invoice.merchant, invoice.clone());
    loop {
        let Some(index) = invoice.address_index.filter(|_| invoice.watched_until.is_none()) else {
            return Ok(invoice.deposit_address);
        };
        let (key, next) = chosen_key(&mut app.store.reader().await?.tx(), merchant, app.config.environment).await?;
        // The merchant may have given another key meanwhile, of which this number says nothing.
        let is_of_key = key.address(index) == Some(invoice.deposit_address);
        let Some(free_from) = first_free(app, &invoice, &key, next, is_of_key.then_some(index)).await? else {
            return Ok(invoice.deposit_address);
        };
        tracing::error!(
            alarm = alarm::ADDRESS_USED_BEFORE,
            merchant.id = %merchant,
            address.index = index,
            address.next = free_from,
            "ALARM: an address that was about to be given to a payer, or one after it, was used before; the numbers up to \
             the next one are passed over"
        );
        invoice = replace(app, &invoice, &key, free_from).await?;
    }
}

/// The number from which on addresses may be given again; `None` if the invoice's own, of that number if it is one of
/// `key`'s, and those ahead are free.
async fn first_free(
    app: &App,
    invoice: &InvoiceRecord,
    key: &AddressKey,
    mut next: u32,
    own: Option<u32>,
) -> Result<Option<u32>, AddressError> {
    let Some(index) = own else {
        let used = app.lookout.are_used(app, &[invoice.deposit_address]).await?;
        return Ok(used.contains(&true).then_some(next));
    };
    let looks_ahead = !app.lookout.is_clear(key, next);
    let mut looked_at = vec![(index, invoice.deposit_address)];
    if looks_ahead {
        looked_at.extend(ahead(app, key, next).await?);
    }
    let mut last_used = None;
    loop {
        let addresses: Vec<Address> = looked_at.iter().map(|(_, address)| *address).collect();
        let used = app.lookout.are_used(app, &addresses).await?;
        let newest = looked_at.iter().zip(used).filter_map(|((index, _), is_used)| is_used.then_some(*index)).max();
        match (newest, last_used) {
            (Some(newest), _) => {
                last_used = last_used.max(Some(newest));
                next = next.max(newest.saturating_add(1));
                looked_at = ahead(app, key, next).await?;
            }
            (None, Some(last)) => return Ok(Some(next.max(last.saturating_add(1).saturating_add(PASSED_OVER)))),
            (None, None) => {
                if looks_ahead {
                    app.lookout.set_clear(key, next);
                }
                return Ok(None);
            }
        }
    }
}

/// The next fifty numbers and their addresses, without those that somebody is known to have use of.
async fn ahead(app: &App, key: &AddressKey, next: u32) -> Result<Vec<(u32, Address)>, StoreError> {
    let mut reader = app.store.reader().await?;
    let mut tx = reader.tx();
    let mut ahead = Vec::new();
    for index in next..next.saturating_add(LOOKED_AT_TOGETHER) {
        let Some(address) = key.address(index) else { continue };
        if !tx.is_in_use(address).await? {
            ahead.push((index, address));
        }
    }
    Ok(ahead)
}

/// Gives an invoice an address from `next` on, unless somebody was told the one it has meanwhile. Returns the invoice as it
/// is then.
async fn replace(
    app: &App,
    invoice: &InvoiceRecord,
    key: &AddressKey,
    next: u32,
) -> Result<InvoiceRecord, AddressError> {
    let environment = app.config.environment;
    let (merchant, id, looked_at, key) =
        (invoice.merchant, invoice.id, invoice.deposit_address, key.as_str().to_owned());
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                tx.lock_invoice(merchant, id).await?;
                tx.raise_address_index(merchant, &key, next).await?;
                let invoice = tx.invoice(merchant, id).await?.ok_or(StoreError::NotCommitted)?;
                if invoice.deposit_address != looked_at || invoice.watched_until.is_some() {
                    return Ok(invoice);
                }
                let (index, address) = take_address(tx, merchant, environment).await?;
                tx.change_address(merchant, id, index, address).await?;
                Ok(tx.invoice(merchant, id).await?.ok_or(StoreError::NotCommitted)?)
            })
        })
        .await
}

async fn chosen_key(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    environment: Environment,
) -> Result<(AddressKey, u32), AddressError> {
    let (xpub, next) = tx.chosen_xpub(merchant).await?.ok_or(AddressError::NoKey(merchant))?;
    let key = AddressKey::parse(&xpub, environment).map_err(|error| AddressError::Unreadable(merchant, error))?;
    Ok((key, next))
}

async fn are_used_on(node: &Node, addresses: &[Address], assets: &[Option<Address>]) -> Option<Vec<bool>> {
    let (sent, held) = tokio::join!(node.nonces(addresses), node.held(addresses, assets));
    let used = sent.ok()?.into_iter().zip(held.ok()?);
    Some(used.map(|(sent, held)| sent != 0 || held.iter().any(|amount| !amount.is_zero())).collect())
}

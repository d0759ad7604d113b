//! Addresses below a merchant's extended public key, each given once.
//!
//! Numbers are counted in the database. A database that was restored from a backup counts on from an older number, so
//! before an address is shown to anybody the chains are asked whether it was ever used; where it was, everything up to
//! the last one that was is passed over.

use std::time::Duration;

use alloy_primitives::Address;
use domain::id::{InvoiceId, MerchantId};
use futures_util::future::join_all;
use tokio::time::timeout;
use wire::Environment;

use crate::{
    alarm,
    app::App,
    chains::evm::Node,
    config::NetworkConfig,
    store::{InvoiceRecord, StoreError, Tx},
    xpub::AddressKey,
};

/// Longer than a good answer takes. A chain that hangs must not make the payer's page hang.
const ASKING_TAKES_AT_MOST: Duration = Duration::from_secs(4);
/// Addresses that are looked at together once one was used.
const LOOKED_AT_TOGETHER: u32 = 50;
/// After a restore, those that were handed out and not paid cannot be seen on any chain: so many are passed over beside
/// those that were used.
const PASSED_OVER: u32 = 50;
/// Fifty at a time; whoever used more since the backup has to say so.
const MOST_LOOKS: u32 = 20;

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("merchant {0} has no extended public key")]
    NoKey(MerchantId),
    #[error("the extended public key has no addresses left")]
    NoneLeft,
    #[error("it cannot be known whether an address was used before: {0} does not answer")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The next address of a merchant's key; nobody else gets it.
pub(super) async fn take_address(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    environment: Environment,
) -> Result<(u32, Address), AddressError> {
    let (key, next) = chosen_key(tx, merchant, environment).await?;
    let (index, address) = first_from(&key, next).ok_or(AddressError::NoneLeft)?;
    tx.raise_address_index(merchant, key.as_str(), index.saturating_add(1)).await?;
    Ok((index, address))
}

/// Sees to it that the address of an invoice was never used, before it is shown to anybody. Returns the address.
///
/// # Errors
///
/// [`AddressError::Unknown`] if the network that the payer chose does not answer. One of the others that is out of reach
/// is left out: what is used on several is seen on any.
pub(super) async fn ensure_fresh(app: &App, invoice: &InvoiceRecord, chosen: &str) -> Result<Address, AddressError> {
    let (merchant, id) = (invoice.merchant, invoice.id);
    let Some(index) = invoice.address_index.filter(|_| invoice.watched_until.is_none()) else {
        return Ok(invoice.deposit_address);
    };
    if !are_used(app, &[invoice.deposit_address], chosen).await?.contains(&true) {
        return Ok(invoice.deposit_address);
    }
    let mut reader = app.store.reader().await?;
    let (key, _) = chosen_key(&mut reader.tx(), merchant, app.config.environment).await?;
    drop(reader);
    let mut next = index.saturating_add(1);
    for _ in 0..MOST_LOOKS {
        let until = next.saturating_add(LOOKED_AT_TOGETHER).min(AddressKey::LAST);
        let ahead: Vec<(u32, Address)> = (next..until).filter_map(|index| Some((index, key.address(index)?))).collect();
        let addresses: Vec<Address> = ahead.iter().map(|(_, address)| *address).collect();
        let used = are_used(app, &addresses, chosen).await?;
        match ahead.iter().zip(used).filter_map(|((index, _), is_used)| is_used.then_some(*index)).last() {
            Some(last) => next = last.saturating_add(1),
            None => break,
        }
    }
    let next = next.saturating_add(PASSED_OVER);
    tracing::error!(
        alarm = alarm::ADDRESS_USED_BEFORE,
        merchant.id = %merchant,
        address.index = index,
        address.next = next,
        "ALARM: an address that was about to be given to a payer was used before; the numbers up to the next one are \
         passed over"
    );
    replace(app, merchant, id, next).await
}

/// Gives an invoice an address from `next` on.
async fn replace(app: &App, merchant: MerchantId, invoice: InvoiceId, next: u32) -> Result<Address, AddressError> {
    let environment = app.config.environment;
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                tx.lock_invoice(merchant, invoice).await?;
                let (key, _) = chosen_key(tx, merchant, environment).await?;
                tx.raise_address_index(merchant, key.as_str(), next).await?;
                let (index, address) = take_address(tx, merchant, environment).await?;
                if tx.change_address(merchant, invoice, index, address).await? {
                    return Ok(address);
                }
                // Somebody was told the old one meanwhile, or it is another one by now: that one is looked at again.
                Err(AddressError::Store(StoreError::NotCommitted))
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
    // It was checked when it was given.
    let key = AddressKey::parse(&xpub, environment).map_err(|_| AddressError::NoKey(merchant))?;
    Ok((key, next))
}

fn first_from(key: &AddressKey, next: u32) -> Option<(u32, Address)> {
    (next..=AddressKey::LAST).take(4).find_map(|index| Some((index, key.address(index)?)))
}

/// Which of these addresses sent a transaction or hold something, on any network that answers.
async fn are_used(app: &App, addresses: &[Address], chosen: &str) -> Result<Vec<bool>, AddressError> {
    let networks = app.config.networks.iter();
    let answers = join_all(networks.map(async |network| {
        let asked = timeout(ASKING_TAKES_AT_MOST, are_used_on(network, addresses)).await;
        (network, asked.ok().flatten())
    }));
    let mut used = vec![false; addresses.len()];
    for (network, answer) in answers.await {
        match answer {
            Some(answer) => used.iter_mut().zip(answer).for_each(|(used, here)| *used |= here),
            None if network.name == chosen => return Err(AddressError::Unknown(network.name.clone())),
            None => tracing::warn!(
                payment.network = network.name,
                "it is not known whether an address was used before there, since no endpoint answers"
            ),
        }
    }
    Ok(used)
}

async fn are_used_on(network: &NetworkConfig, addresses: &[Address]) -> Option<Vec<bool>> {
    let node = Node::new(network);
    let assets: Vec<Option<Address>> = network.tokens.iter().map(|token| token.address).collect();
    let (sent, held) = tokio::join!(node.nonces(addresses), node.held(addresses, &assets));
    let used = sent.ok()?.into_iter().zip(held.ok()?);
    Some(used.map(|(sent, held)| sent != 0 || held.iter().any(|amount| !amount.is_zero())).collect())
}

//! What kind of address a merchant's payers are given.

use domain::{address_mode::AddressMode, id::MerchantId};

use crate::{
    store::{Store, StoreError},
    xpub::AddressKey,
};

#[derive(Debug, thiserror::Error)]
pub enum AddressModeError {
    #[error("merchant {0} does not exist")]
    NoSuchMerchant(MerchantId),
    #[error("no extended public key was given yet")]
    NoKey,
    #[error("it is another merchant's; two would count its addresses past each other")]
    OthersKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Has payers of a merchant's new invoices be given another kind of address, and returns the number of the next one below
/// its extended public key, if it has one. Invoices that exist keep what they have.
///
/// `key` replaces the extended public key; `next` is what its next number is at least.
///
/// # Errors
///
/// [`AddressModeError::NoKey`] for mode `xpub` without a key, [`AddressModeError::OthersKey`] for another merchant's.
pub async fn set_addresses(
    store: &Store,
    merchant: MerchantId,
    mode: AddressMode,
    key: Option<AddressKey>,
    next: Option<u32>,
) -> Result<Option<(String, u32)>, AddressModeError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                if !tx.set_address_mode(merchant, mode).await? {
                    return Err(AddressModeError::NoSuchMerchant(merchant));
                }
                if let Some(key) = &key {
                    match tx.owner_of_xpub(key.as_str()).await? {
                        Some(owner) if owner != merchant => return Err(AddressModeError::OthersKey),
                        _ => tx.choose_xpub(merchant, key.as_str()).await?,
                    }
                }
                let Some((xpub, _)) = tx.chosen_xpub(merchant).await? else {
                    return if mode == AddressMode::Xpub { Err(AddressModeError::NoKey) } else { Ok(None) };
                };
                if let Some(next) = next {
                    tx.raise_address_index(merchant, &xpub, next).await?;
                }
                Ok(tx.chosen_xpub(merchant).await?)
            })
        })
        .await
}

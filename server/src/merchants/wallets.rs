//! Where a merchant's money goes. A change made through the API takes effect only after a while, and the
//! merchant is told at once: whoever got hold of a key must not be able to redirect money unnoticed.

use alloy_primitives::Address;
use domain::{
    id::{MerchantId, WalletId},
    time::{UnixMillis, UnixSeconds},
};
use wire::settings::{WalletChange, WalletChangeStatus};

use crate::{
    app::App,
    clock::{Clock, random_bytes},
    config::Config,
    store::{NewEvent, Store, StoreError, Tx, WalletRecord},
};

/// Told of in one transaction.
const TOLD_AT_ONCE: i64 = 100;

#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    #[error("merchant {0} does not exist")]
    NoSuchMerchant(MerchantId),
    #[error("no such wallet")]
    NoSuchWallet,
    #[error("another change is scheduled")]
    Pending,
    #[error("it is the wallet already")]
    InForce,
    #[error("it is an address that payers pay to")]
    DepositAddress,
    #[error("it took effect")]
    TookEffect,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The wallet that an invoice created now is paid to; `wallets` is in the order of their taking effect.
pub fn in_force(wallets: &[WalletRecord], now: UnixSeconds) -> Option<&WalletRecord> {
    // A clock that was set back must not leave a merchant without its first one.
    wallets.iter().rev().find(|wallet| wallet.effective_at <= now).or(wallets.first())
}

/// Whether a wallet has yet to take effect.
pub fn is_scheduled(wallet: &WalletRecord, now: UnixSeconds) -> bool {
    wallet.canceled_at.is_none() && now < wallet.effective_at && wallet.id != WalletId::first_of(wallet.merchant)
}

/// Has a merchant's money go to another wallet, after the delay of the configuration.
///
/// # Errors
///
/// [`WalletError::Pending`] while another change is scheduled, [`WalletError::InForce`] if nothing would change.
pub async fn schedule_wallet(
    app: &App,
    merchant: MerchantId,
    address: Address,
    request_id: String,
) -> Result<WalletChange, WalletError> {
    let task = app.clone();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                let now = task.clock.now_ms();
                let wallets = tx.wallets(merchant).await?;
                let current = in_force(&wallets, now.as_seconds()).ok_or(WalletError::NoSuchMerchant(merchant))?;
                if wallets.iter().any(|wallet| is_scheduled(wallet, now.as_seconds())) {
                    return Err(WalletError::Pending);
                }
                check_new(tx, current, address).await?;
                let wallet = WalletRecord {
                    merchant,
                    id: WalletId::from_random(random_bytes()),
                    address,
                    created_at: now.as_seconds(),
                    effective_at: now.as_seconds().plus(task.config.merchants.wallet_delay_seconds),
                    canceled_at: None,
                    announced_at: None,
                };
                tx.insert_wallet(&wallet).await?;
                let change = change_of(&wallet, current.address, WalletChangeStatus::Scheduled, &task.config);
                tell(tx, &change, &task.config, now, Some(request_id)).await?;
                tracing::warn!(merchant.id = %merchant, wallet.id = %wallet.id, "a change of wallets was scheduled");
                Ok(change)
            })
        })
        .await
}

/// Calls a scheduled change off.
///
/// # Errors
///
/// [`WalletError::TookEffect`] if it is too late, [`WalletError::NoSuchWallet`] if there is none such to call off.
pub async fn cancel_wallet(
    app: &App,
    merchant: MerchantId,
    id: WalletId,
    request_id: String,
) -> Result<WalletChange, WalletError> {
    let task = app.clone();
    app.store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                let now = task.clock.now_ms();
                let wallets = tx.wallets(merchant).await?;
                let wallet = wallets.iter().find(|wallet| wallet.id == id).ok_or(WalletError::NoSuchWallet)?;
                if !is_scheduled(wallet, now.as_seconds()) {
                    return Err(WalletError::TookEffect);
                }
                let current = in_force(&wallets, now.as_seconds()).ok_or(WalletError::NoSuchMerchant(merchant))?;
                cancel(tx, wallet, current.address, &task.config, now, Some(request_id)).await
            })
        })
        .await
}

/// Has a merchant's money go to another wallet from now on, and calls off what was scheduled. For the operator.
///
/// # Errors
///
/// [`WalletError::InForce`] if nothing would change.
pub async fn set_wallet(
    store: &Store,
    clock: &Clock,
    config: &Config,
    merchant: MerchantId,
    address: Address,
) -> Result<WalletChange, WalletError> {
    let (clock, config) = (clock.clone(), config.clone());
    store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock_merchant(merchant).await?;
                let now = clock.now_ms();
                let seconds = now.as_seconds();
                let wallets = tx.wallets(merchant).await?;
                let current = in_force(&wallets, seconds).ok_or(WalletError::NoSuchMerchant(merchant))?;
                check_new(tx, current, address).await?;
                for wallet in wallets.iter().filter(|wallet| is_scheduled(wallet, seconds)) {
                    cancel(tx, wallet, current.address, &config, now, None).await?;
                }
                let wallet = WalletRecord {
                    merchant,
                    id: WalletId::from_random(random_bytes()),
                    address,
                    created_at: seconds,
                    effective_at: seconds,
                    canceled_at: None,
                    announced_at: Some(seconds),
                };
                tx.insert_wallet(&wallet).await?;
                let change = change_of(&wallet, current.address, WalletChangeStatus::Applied, &config);
                tell(tx, &change, &config, now, None).await?;
                Ok(change)
            })
        })
        .await
}

/// Tells of changes that took effect since the last look. They are in force whether this was done or not.
pub(crate) async fn tell_of_wallets_in_force(app: &App) -> Result<(), StoreError> {
    let untold = app.store.reader().await?.tx().untold_wallets(app.clock.now(), TOLD_AT_ONCE).await?;
    for wallet in untold {
        let task = app.clone();
        app.store
            .write(move |tx| {
                Box::pin(async move {
                    let (merchant, now) = (wallet.merchant, task.clock.now_ms());
                    tx.lock_merchant(merchant).await?;
                    // Another node may have been quicker.
                    if !tx.note_wallet_told(merchant, wallet.id, now.as_seconds()).await? {
                        return Ok::<_, StoreError>(());
                    }
                    let wallets = tx.wallets(merchant).await?;
                    let before = wallets.iter().take_while(|other| other.id != wallet.id).last();
                    let previous = before.map_or(wallet.address, |before| before.address);
                    let change = change_of(&wallet, previous, WalletChangeStatus::Applied, &task.config);
                    tell(tx, &change, &task.config, now, None).await
                })
            })
            .await?;
    }
    Ok(())
}

async fn check_new(tx: &mut Tx<'_>, current: &WalletRecord, address: Address) -> Result<(), WalletError> {
    if current.address == address {
        return Err(WalletError::InForce);
    }
    if tx.is_deposit_address(address).await? {
        return Err(WalletError::DepositAddress);
    }
    Ok(())
}

async fn cancel(
    tx: &mut Tx<'_>,
    wallet: &WalletRecord,
    current: Address,
    config: &Config,
    now: UnixMillis,
    request_id: Option<String>,
) -> Result<WalletChange, WalletError> {
    tx.cancel_wallet(wallet.merchant, wallet.id, now.as_seconds()).await?;
    let canceled = WalletRecord { canceled_at: Some(now.as_seconds()), ..wallet.clone() };
    let change = change_of(&canceled, current, WalletChangeStatus::Canceled, config);
    tell(tx, &change, config, now, request_id).await?;
    Ok(change)
}

/// A change as the API and its events show it.
pub fn change_of(
    wallet: &WalletRecord,
    previous: Address,
    status: WalletChangeStatus,
    config: &Config,
) -> WalletChange {
    WalletChange {
        object: "wallet_change".to_owned(),
        id: wallet.id.to_string(),
        merchant_id: wallet.merchant.0,
        status,
        networks: config.evm_networks().map(|network| network.name.clone()).collect(),
        wallet_address: wallet.address.to_checksum(None),
        previous_wallet_address: previous.to_checksum(None),
        created_at: wallet.created_at.0,
        effective_at: wallet.effective_at.0,
        canceled_at: wallet.canceled_at.map(|time| time.0),
    }
}

async fn tell(
    tx: &mut Tx<'_>,
    change: &WalletChange,
    config: &Config,
    now: UnixMillis,
    request_id: Option<String>,
) -> Result<(), StoreError> {
    tx.append_event(&NewEvent {
        merchant: MerchantId(change.merchant_id),
        invoice: None,
        event_type: match change.status {
            WalletChangeStatus::Scheduled => "wallet_change.scheduled",
            WalletChangeStatus::Applied => "wallet_change.applied",
            WalletChangeStatus::Canceled => "wallet_change.canceled",
        },
        environment: config.environment,
        object: serde_json::to_string(change).unwrap_or_default(),
        previous_attributes: None,
        request_id,
        idempotency_key: None,
        created: now,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(number: u8, effective_at: i64) -> WalletRecord {
        WalletRecord {
            merchant: MerchantId(1),
            id: if number == 0 { WalletId::first_of(MerchantId(1)) } else { WalletId::from_random([number; 16]) },
            address: Address::repeat_byte(number),
            created_at: UnixSeconds(0),
            effective_at: UnixSeconds(effective_at),
            canceled_at: None,
            announced_at: None,
        }
    }

    #[test]
    fn a_wallet_is_in_force_from_its_second_until_the_next_one_is() {
        let wallets = [wallet(0, 100), wallet(1, 200), wallet(2, 200), wallet(3, 300)];
        let at = |now| in_force(&wallets, UnixSeconds(now)).map(|wallet| wallet.address);
        for (now, number) in [(100, 0), (199, 0), (200, 2), (299, 2), (300, 3), (i64::MAX, 3), (0, 0)] {
            assert_eq!(at(now), Some(Address::repeat_byte(number)), "{now}");
        }
        assert_eq!(in_force(&[], UnixSeconds(0)), None);
    }

    #[test]
    fn what_is_in_force_or_was_called_off_is_not_scheduled() {
        assert!(is_scheduled(&wallet(1, 200), UnixSeconds(199)));
        assert!(!is_scheduled(&wallet(1, 200), UnixSeconds(200)));
        assert!(!is_scheduled(&wallet(0, 200), UnixSeconds(199)), "the first one has no row to call off");
        let canceled = WalletRecord { canceled_at: Some(UnixSeconds(1)), ..wallet(1, 200) };
        assert!(!is_scheduled(&canceled, UnixSeconds(199)));
    }
}

//! What merchants decide about themselves: which tokens they take, where their money goes, and which nodes
//! are asked beside the operator's own.
//!
//! Each verb is one transaction that holds the change and the events that tell of it.

mod acceptance;
mod addresses;
mod rpc;
mod wallets;

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::app::App;

pub use self::{
    acceptance::{TokenError, select_networks, set_token_blocked},
    addresses::{AddressModeError, set_addresses},
    rpc::{RpcEndpointError, add_rpc_endpoint, read_rpc_endpoints, remove_rpc_endpoint, rpc_endpoint_url},
    wallets::{WalletError, cancel_wallet, change_of, in_force, is_scheduled, schedule_wallet, set_wallet},
};

/// How soon a node acts on what was set through another one.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Takes over what was set elsewhere, and tells of what took effect, until shutdown.
pub async fn run(app: App) {
    seal_rpc_endpoints(&app).await;
    let mut ticks = tokio::time::interval(LOOK_AGAIN_AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = rpc::read_rpc_endpoints(&app).await {
            tracing::warn!(error = %error, "added RPC endpoints could not be read; those known before stay");
        }
        if let Err(error) = wallets::tell_of_wallets_in_force(&app).await {
            tracing::warn!(error = %error, "wallets that took effect could not be told of yet");
        }
    }
}

/// What an earlier run left: URLs in the clear or under an older key.
pub(crate) async fn seal_rpc_endpoints(app: &App) {
    match rpc::seal_all(app).await {
        Ok(0) => {}
        Ok(sealed) => tracing::info!(sealed, "addresses of added endpoints were sealed with the current server secret"),
        Err(error) => tracing::error!(error = %error, "addresses of added endpoints could not be sealed"),
    }
}

#[cfg(test)]
pub(crate) use wallets::tell_of_wallets_in_force;

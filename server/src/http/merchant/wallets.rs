//! `GET`, `POST` and `DELETE /api/v1/merchant/wallets`, and `GET /api/accounts/wallets`

use axum::{
    Json,
    extract::{Extension, Path, State, rejection::PathRejection},
};
use domain::time::UnixSeconds;
use wire::settings::{ChangeWalletRequest, NetworkWallets, Wallet, WalletChange, WalletStatus};

use crate::{
    app::App,
    http::{
        RequestId,
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{
            JsonBody, Merchant,
            rights::{ManageWallets, ReadInvoices},
        },
    },
    merchants::{self, in_force, is_scheduled},
    store::WalletRecord,
    wallet::merchant_wallet,
};

/// Where the merchant's money goes, and will go, on each network.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/wallets",
    tag = "Wallets",
    responses((status = 200, body = Vec<NetworkWallets>)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = []))
)]
pub async fn list_wallets(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
) -> Result<Json<Vec<NetworkWallets>>, ApiError> {
    let wallets = app.store.reader().await?.tx().wallets(merchant.id).await?;
    let now = app.clock.now();
    let current = in_force(&wallets, now).map(|wallet| wallet.id);
    let shown: Vec<_> = wallets
        .iter()
        .filter(|wallet| Some(wallet.id) == current || is_scheduled(wallet, now))
        .map(|wallet| show(wallet, now))
        .collect();
    let networks: Vec<_> = app.config.networks.iter().map(|network| network.name.clone()).collect();
    let entry = |network: &String| NetworkWallets {
        network: network.clone(),
        shared_by_networks: networks.clone(),
        wallets: shown.clone(),
    };
    Ok(Json(networks.iter().map(entry).collect()))
}

/// Has the merchant's money go to another wallet, after a delay.
#[utoipa::path(
    post,
    path = "/api/v1/merchant/wallets",
    tag = "Wallets",
    request_body = ChangeWalletRequest,
    responses((status = 200, body = WalletChange)),
    security(("merchant_key" = ["wallets"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![UNKNOWN_NETWORK, WALLET_CHANGE_PENDING, MERCHANT_NOT_FOUND])))
)]
pub async fn change_wallet(
    State(app): State<App>,
    merchant: Merchant<ManageWallets>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    JsonBody { value: request, .. }: JsonBody<ChangeWalletRequest>,
) -> Result<Json<WalletChange>, ApiError> {
    if app.config.network(&request.network).is_none() {
        return Err(ApiError::UnknownNetwork { field: "network".to_owned() });
    }
    let address = merchant_wallet(&request.wallet_address, &app.config)
        .map_err(|problem| invalid("wallet_address", format!("wallet_address: {problem}")))?;
    Ok(Json(merchants::schedule_wallet(&app, merchant.id, address, request_id).await?))
}

/// Calls a scheduled change off.
#[utoipa::path(
    delete,
    path = "/api/v1/merchant/wallets/{wallet_id}",
    tag = "Wallets",
    params(("wallet_id" = String, Path, format = "uuid", description = "The `id` of the change.")),
    responses((status = 200, body = WalletChange)),
    security(("merchant_key" = ["wallets"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![WALLET_NOT_FOUND, WALLET_CHANGE_TOO_LATE])))
)]
pub async fn cancel_wallet_change(
    State(app): State<App>,
    merchant: Merchant<ManageWallets>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<WalletChange>, ApiError> {
    let id = id.ok().and_then(|Path(text)| text.parse().ok());
    let id = id.ok_or_else(|| invalid("wallet_id", "wallet_id must be a UUID"))?;
    Ok(Json(merchants::cancel_wallet(&app, merchant.id, id, request_id).await?))
}

fn show(wallet: &WalletRecord, now: UnixSeconds) -> Wallet {
    let is_scheduled = is_scheduled(wallet, now);
    Wallet {
        id: wallet.id.to_string(),
        address: wallet.address.to_checksum(None),
        wallet_type: "non_custodial".to_owned(),
        is_active: !is_scheduled,
        status: if is_scheduled { WalletStatus::Scheduled } else { WalletStatus::Active },
        created_at: wallet.created_at.0,
        effective_at: wallet.effective_at.0,
    }
}

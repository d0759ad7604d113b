//! `GET`, `POST` and `DELETE /api/v1/merchant/wallets`, and `GET /api/accounts/wallets`

use axum::{
    Json,
    extract::{Extension, Path, State, rejection::PathRejection},
};
use domain::{
    id::{MerchantId, WalletId},
    time::UnixSeconds,
};
use wire::settings::{ChangeWalletRequest, NetworkWallets, Wallet, WalletChange, WalletStatus};

use crate::{
    app::App,
    config::{NetworkConfig, NetworkKind},
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
    solana::SolanaAddress,
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
    let mut reader = app.store.reader().await?;
    let wallets = reader.tx().wallets(merchant.id).await?;
    let has_list = reader.tx().has_solana_list(merchant.id).await?;
    let on_solana = reader.tx().solana_wallet(merchant.id).await?.filter(|_| !has_list);
    drop(reader);
    let now = app.clock.now();
    let current = in_force(&wallets, now).map(|wallet| wallet.id);
    let shown: Vec<_> = wallets
        .iter()
        .filter(|wallet| Some(wallet.id) == current || is_scheduled(wallet, now))
        .map(|wallet| show(wallet, now))
        .collect();
    let names = |networks: Vec<&NetworkConfig>| -> Vec<String> {
        networks.into_iter().map(|network| network.name.clone()).collect()
    };
    let evm = names(app.config.evm_networks().collect());
    let solana = names(app.config.solana_networks().collect());
    let began = wallets.first().map_or(now, |first| first.created_at);
    let on_solana: Vec<_> = on_solana.map(|address| show_solana(merchant.id, address, began)).into_iter().collect();
    let entry = |network: &NetworkConfig| {
        let (shared_by_networks, wallets) = match network.kind {
            NetworkKind::Evm => (&evm, &shown),
            NetworkKind::Solana => (&solana, &on_solana),
        };
        NetworkWallets {
            network: network.name.clone(),
            shared_by_networks: shared_by_networks.clone(),
            wallets: wallets.clone(),
        }
    };
    Ok(Json(app.config.networks.iter().map(entry).collect()))
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
    match app.config.network(&request.network).map(|network| network.kind) {
        None => return Err(ApiError::UnknownNetwork { field: "network".to_owned() }),
        Some(NetworkKind::Solana) => {
            let problem =
                "network: the wallet on Solana is set by the operator, with `pepay merchant set-solana-wallet`";
            return Err(invalid("network", problem));
        }
        Some(NetworkKind::Evm) => {}
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

/// It has no history: invoices keep the one that they were created with. Its id is the same for as long as it is set.
fn show_solana(merchant: MerchantId, address: SolanaAddress, began: UnixSeconds) -> Wallet {
    Wallet {
        id: WalletId::of_address(merchant, &address.to_string()).to_string(),
        address: address.to_string(),
        wallet_type: "non_custodial".to_owned(),
        is_active: true,
        status: WalletStatus::Active,
        created_at: began.0,
        effective_at: began.0,
    }
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

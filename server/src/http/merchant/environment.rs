//! `GET /api/v1/user/mainnet-access/status`, `POST /api/v1/user/mainnet-access/activate` and
//! `PUT /api/v1/user/environment`
//!
//! A server has one environment, by its configuration: its networks, wallets and secrets are of that one. So
//! these say what is so, and refuse what cannot be.

use axum::{
    Json,
    extract::{Request, State},
};
use wire::{
    Environment,
    settings::{ActivateMainnetRequest, ChooseEnvironmentRequest, EnvironmentChosen, MainnetAccess, MainnetActivated},
};

use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{
            JsonBody, Merchant, optional_json,
            rights::{ManageSettings, ReadInvoices},
        },
    },
};

/// Whether this server takes real money.
#[utoipa::path(
    get,
    path = "/api/v1/user/mainnet-access/status",
    tag = "Settings",
    responses((status = 200, body = MainnetAccess)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = []))
)]
pub async fn retrieve_mainnet_access(State(app): State<App>, _merchant: Merchant<ReadInvoices>) -> Json<MainnetAccess> {
    let current_environment = app.config.environment;
    let has_mainnet_access = current_environment == Environment::Mainnet;
    Json(MainnetAccess { has_mainnet_access, current_environment })
}

/// Asks for real money; only the operator can say yes.
#[utoipa::path(
    post,
    path = "/api/v1/user/mainnet-access/activate",
    tag = "Settings",
    request_body = Option<ActivateMainnetRequest>,
    responses((status = 200, body = MainnetActivated)),
    security(("merchant_key" = ["settings"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![MAINNET_NOT_ENABLED])))
)]
pub async fn activate_mainnet_access(
    State(app): State<App>,
    _merchant: Merchant<ManageSettings>,
    request: Request,
) -> Result<Json<MainnetActivated>, ApiError> {
    // Some clients send an access key; here there is none to give.
    let _access_key: Option<ActivateMainnetRequest> = optional_json(request, &app).await?;
    match app.config.environment {
        Environment::Mainnet => {
            Ok(Json(MainnetActivated { success: true, message: "this server is on mainnet".to_owned() }))
        }
        Environment::Devnet => Err(ApiError::MainnetNotEnabled),
    }
}

/// Asks for an environment; there is only the one.
#[utoipa::path(
    put,
    path = "/api/v1/user/environment",
    tag = "Settings",
    request_body = ChooseEnvironmentRequest,
    responses((status = 200, body = EnvironmentChosen)),
    security(("merchant_key" = ["settings"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![MAINNET_NOT_ENABLED, ENVIRONMENT_FIXED])))
)]
pub async fn choose_environment(
    State(app): State<App>,
    _merchant: Merchant<ManageSettings>,
    JsonBody { value: request, .. }: JsonBody<ChooseEnvironmentRequest>,
) -> Result<Json<EnvironmentChosen>, ApiError> {
    match (request.environment, app.config.environment) {
        (Environment::Mainnet, Environment::Devnet) => Err(ApiError::MainnetNotEnabled),
        (Environment::Devnet, Environment::Mainnet) => Err(ApiError::EnvironmentFixed),
        (environment, current_environment) => {
            Ok(Json(EnvironmentChosen { success: true, environment, current_environment }))
        }
    }
}

//! `GET /api/v1/merchant/settlement-preference` and `PUT /api/v1/merchant/settlement-token`

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use domain::id::{MerchantId, TokenId};
use wire::settings::{
    ChooseSettlementRequest, SelectedSettlementToken, SettlementChosen, SettlementPreference, SettlementSettings,
    SettlementToken, StableToken,
};

use super::tokens::is_stable;
use crate::{
    app::App,
    config::{NetworkConfig, TokenConfig},
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{Dashboard, JsonBody, Merchant, rights::ManageSettings},
    },
    store::SettlementChoice,
};

const DESCRIPTION: &str = "Money is always settled in the token that was paid, to your own wallet: this server \
    holds no key and exchanges nothing. The settlement token is the one you would like best; it is kept and shown, \
    and changes nothing about that.";

/// A merchant at the dashboard, or with a key where the configuration lets keys do this.
pub struct Settler(MerchantId);

impl FromRequestParts<App> for Settler {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if app.config.merchants.settlement_by_key {
            let merchant = Merchant::<ManageSettings>::from_request_parts(parts, app).await?;
            return Ok(Self(merchant.id));
        }
        Ok(Self(Dashboard::from_request_parts(parts, app).await?.merchant))
    }
}

/// How the merchant would like to be paid out.
///
/// Keys with the right `settings` can do this too where the operator has set `merchants.settlement_by_key`.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/settlement-preference",
    tag = "Settings",
    responses((status = 200, body = SettlementSettings)),
    security(("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![MERCHANT_NOT_FOUND, API_KEY_MISSING, RIGHT_REQUIRED])))
)]
pub async fn retrieve_settlement_preference(
    State(app): State<App>,
    Settler(merchant): Settler,
) -> Result<Json<SettlementSettings>, ApiError> {
    let choice = app.store.reader().await?.tx().settlement_choice(merchant).await?;
    let choice = choice.ok_or(ApiError::MerchantNotFound)?;
    let default = default_token(&app).map(|(_, token)| token.id);
    Ok(Json(SettlementSettings {
        settlement_preference: SettlementPreference::Tokens,
        description: DESCRIPTION.to_owned(),
        selected_settlement_token: selected(&app, choice.token).map(|(network, token)| SelectedSettlementToken {
            id: token.id,
            token_symbol: token.symbol.clone(),
            token_name: token.name.clone(),
            network: network.name.clone(),
            token_address: token.shown_address(),
            token_decimals: token.decimals,
            photo_uri: None,
            is_default: Some(token.id) == default,
        }),
        available_stable_tokens: stable_tokens(&app)
            .map(|(network, token)| StableToken {
                id: token.id,
                token_symbol: token.symbol.clone(),
                token_name: token.name.clone(),
                network: network.name.clone(),
                token_address: token.shown_address(),
                token_decimals: token.decimals,
                photo_uri: None,
                is_default_settlement: Some(token.id) == default,
            })
            .collect(),
        updated_at: choice.chosen_at.0,
    }))
}

/// Notes the token that the merchant would like best. What is paid stays in the token it was paid in.
///
/// Keys with the right `settings` can do this too where the operator has set `merchants.settlement_by_key`.
#[utoipa::path(
    put,
    path = "/api/v1/merchant/settlement-token",
    tag = "Settings",
    request_body = ChooseSettlementRequest,
    responses((status = 200, body = SettlementChosen)),
    security(("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![MERCHANT_NOT_FOUND, API_KEY_MISSING, RIGHT_REQUIRED])))
)]
pub async fn choose_settlement_token(
    State(app): State<App>,
    Settler(merchant): Settler,
    JsonBody { value: request, .. }: JsonBody<ChooseSettlementRequest>,
) -> Result<Json<SettlementChosen>, ApiError> {
    let token = request.settlement_token_id.map(TokenId);
    if let Some(token) = token
        && !stable_tokens(&app).any(|(_, stable)| stable.token_id() == token)
    {
        let message = "settlement_token_id must be the id of one of available_stable_tokens, or null";
        return Err(invalid("settlement_token_id", message));
    }
    let choice = SettlementChoice { token, chosen_at: app.clock.now() };
    note(&app, merchant, choice).await?;
    Ok(Json(SettlementChosen {
        success: true,
        message: DESCRIPTION.to_owned(),
        settlement_token: selected(&app, token).map(|(network, token)| SettlementToken {
            id: token.id,
            token_symbol: token.symbol.clone(),
            token_name: token.name.clone(),
            network: network.name.clone(),
        }),
        updated_at: choice.chosen_at.0,
    }))
}

async fn note(app: &App, merchant: MerchantId, choice: SettlementChoice) -> Result<(), ApiError> {
    let is_there: bool = app
        .store
        .write(move |tx| Box::pin(async move { tx.choose_settlement(merchant, choice).await.map_err(ApiError::from) }))
        .await?;
    if is_there { Ok(()) } else { Err(ApiError::MerchantNotFound) }
}

/// Tokens taken at one dollar, in the order of the configuration.
fn stable_tokens(app: &App) -> impl Iterator<Item = (&NetworkConfig, &TokenConfig)> {
    app.config.tokens().filter(|(_, token)| is_stable(token))
}

fn default_token(app: &App) -> Option<(&NetworkConfig, &TokenConfig)> {
    stable_tokens(app).next()
}

/// What was chosen, or the default if that is not on offer any more.
fn selected(app: &App, chosen: Option<TokenId>) -> Option<(&NetworkConfig, &TokenConfig)> {
    stable_tokens(app).find(|(_, token)| Some(token.token_id()) == chosen).or_else(|| default_token(app))
}

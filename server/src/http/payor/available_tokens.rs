//! `GET /api/v1/payments/available-tokens`

use std::time::Duration;

use axum::{Json, extract::State};
use domain::{acceptance::Acceptance, time::UnixSeconds};
use futures_util::future::try_join_all;
use utoipa::IntoParams;
use wire::{
    Environment,
    payor::{AvailabilityStatus, AvailableToken, TokenType},
    snapshot::Unavailable,
};

use crate::{
    app::App,
    config::{Asset, NetworkConfig, TokenConfig},
    http::{
        error::{ApiError, invalid},
        extract::{Parameters, Payor, SessionInvoice},
    },
    invoicing::{Case, Markable, is_payable, markable},
    store::{InvoiceRecord, StoreError},
};

/// A chain that does not answer must not hold up the page for the other tokens.
const PRICES_TAKE_AT_MOST: Duration = Duration::from_secs(1);

/// Which tokens are wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
struct TokenParameters {
    /// `network` makes the parameter of that name required; any other mode lists all.
    mode: Option<String>,
    /// Only tokens of this network, as in `base`.
    network: Option<String>,
    /// Only tokens that can be paid with now: `true` or `1`.
    available_only: Option<String>,
}

/// What the invoice can be paid with; after the first payment only what is locked.
#[utoipa::path(
    get,
    path = "/api/v1/payments/available-tokens",
    tag = "Payors",
    params(SessionInvoice, TokenParameters),
    responses((status = 200, body = Vec<AvailableToken>)),
    security(("session_token" = [], "session_signature" = [])),
)]
pub async fn list_available_tokens(
    State(app): State<App>,
    payor: Payor,
    parameters: Parameters,
) -> Result<Json<Vec<AvailableToken>>, ApiError> {
    let network = parameters.get("network");
    // Every other mode, known or not, lists what is monitored: we offer nothing else.
    if parameters.get("mode") == Some("network") && network.is_none() {
        return Err(invalid("network", "network is required with mode=network"));
    }
    let is_available_only = matches!(parameters.get("available_only"), Some("true" | "1"));
    let case = payor.case(&app).await?;
    let environment = case.invoice.environment;
    let acceptance = app.store.reader().await?.tx().acceptance(case.invoice.merchant).await?;
    let offers =
        offers(&app, &case, &acceptance).into_iter().filter(|offer| network.is_none_or(|name| name == offer.0.name));
    let tokens =
        priced(&app, &case.invoice, offers.collect()).await?.into_iter().map(|offer| entry(environment, offer));
    Ok(Json(tokens.filter(|token| !is_available_only || is_available(token)).collect()))
}

/// A token that can be paid with, and why not just now.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    pub network: &'a NetworkConfig,
    pub token: &'a TokenConfig,
    /// `None` without a price, and for a price that never changes.
    pub rate_updated_at: Option<UnixSeconds>,
    pub unavailable: Option<Unavailable>,
}

/// What an invoice can be paid in, in the order of the configuration: what the merchant takes, or what the
/// first payment decided, which stays also if the merchant has blocked it since.
pub fn offers<'a>(app: &'a App, case: &Case, acceptance: &Acceptance) -> Vec<(&'a NetworkConfig, &'a TokenConfig)> {
    let lock = case.locking_payment().map(|payment| (payment.record.network.as_str(), payment.record.token));
    let is_offered = |network: &NetworkConfig, token: &TokenConfig| match lock {
        Some(lock) => lock == (network.name.as_str(), token.token_id()),
        None => !acceptance.blocks(token.token_id()),
    };
    let is_paid_there = |network: &NetworkConfig| case.invoice.address_on(network.kind).is_some();
    let is_offer = |network: &NetworkConfig, token: &TokenConfig| {
        token.accepted && is_paid_there(network) && is_offered(network, token)
    };
    app.config.tokens().filter(|(network, token)| is_offer(network, token)).collect()
}

/// Asks for the price of each, for an invoice; a token without one cannot be chosen now, nor one whose payments
/// could not be told to be this payer's, nor any of a network that is not read.
///
/// # Errors
///
/// If the database refuses.
pub async fn priced<'a>(
    app: &App,
    invoice: &InvoiceRecord,
    offers: Vec<(&'a NetworkConfig, &'a TokenConfig)>,
) -> Result<Vec<Offer<'a>>, StoreError> {
    try_join_all(offers.into_iter().map(async |(network, token)| {
        if !is_payable(invoice, network, token) {
            return Ok(Offer { network, token, rate_updated_at: None, unavailable: Some(Unavailable::Unseen) });
        }
        if !app.outages.is_offered(&network.name) {
            return Ok(Offer { network, token, rate_updated_at: None, unavailable: Some(Unavailable::Unread) });
        }
        let asked = tokio::time::timeout(PRICES_TAKE_AT_MOST, app.prices.price(token.token_id())).await;
        let Some(price) = asked.ok().and_then(Result::ok) else {
            return Ok(Offer { network, token, rate_updated_at: None, unavailable: Some(Unavailable::NoPrice) });
        };
        let unavailable = match markable(app, invoice, network, token, price.rate).await? {
            Markable::Yes => None,
            Markable::Coarse => Some(Unavailable::Coarse),
            Markable::UsedUp => Some(Unavailable::UsedUp),
        };
        Ok(Offer { network, token, rate_updated_at: price.updated_at, unavailable })
    }))
    .await
}

/// How the wire calls a token's kind.
pub fn token_type(token: &TokenConfig) -> TokenType {
    match token.asset() {
        Asset::Coin => TokenType::Native,
        Asset::Contract(_) => TokenType::Erc20,
        Asset::Mint(..) => TokenType::Spl,
    }
}

fn entry(environment: Environment, offer: Offer<'_>) -> AvailableToken {
    let Offer { network, token, rate_updated_at, unavailable } = offer;
    let is_mainnet = environment == Environment::Mainnet;
    let on_mainnet = |value: bool| is_mainnet.then_some(value);
    AvailableToken {
        id: token.id,
        token_symbol: token.symbol.clone(),
        token_name: token.name.clone(),
        token_type: token_type(token),
        network: network.name.clone(),
        token_decimals: token.decimals,
        token_address: token.shown_address(),
        requires_memo: false,
        photo_uri: None,
        is_monitored: true,
        availability_status: match (environment, unavailable) {
            (Environment::Devnet, _) => AvailabilityStatus::Devnet,
            (Environment::Mainnet, None) => AvailabilityStatus::Available,
            (Environment::Mainnet, Some(_)) => AvailabilityStatus::Stale,
        },
        rate_updated_at: rate_updated_at.map(|time| time.0),
        unavailable_reason: unavailable.map(|reason| text_of_reason(reason).to_owned()),
        // What arrives is what the merchant gets, always.
        has_settlement_route: on_mainnet(true),
        supports_stable_settlement: on_mainnet(matches!(token.price, crate::config::PriceSource::Par(_))),
        is_same_token_settlement: on_mainnet(true),
    }
}

fn text_of_reason(reason: Unavailable) -> &'static str {
    match reason {
        Unavailable::NoPrice => "there is no current price",
        Unavailable::Unread => "the network cannot be read",
        Unavailable::Unseen => "it could not be seen arriving at this merchant's wallet",
        Unavailable::Coarse => "its smallest unit is worth too much to tell payments of this merchant's wallet apart",
        Unavailable::UsedUp => "all amounts that tell payments of this merchant's wallet apart are in use",
    }
}

fn is_available(token: &AvailableToken) -> bool {
    token.availability_status != AvailabilityStatus::Stale
}

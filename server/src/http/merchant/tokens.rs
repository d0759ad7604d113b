//! `GET /api/v1/merchant/tokens`, `GET /api/v1/merchant/tokens/search` and
//! `POST /api/v1/merchant/tokens/{token_id}/block`

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Request, State, rejection::PathRejection},
};
use domain::{acceptance::Acceptance, id::TokenId};
use futures_util::future::join_all;
use tokio::time::timeout;
use utoipa::IntoParams;
use wire::{
    Environment,
    money::PlainNumber,
    payor::TokenType,
    settings::{BlockTokenRequest, MerchantToken, TokenBlocked, TokenList, TokenPage, TokenPrice},
};

use super::{filters, networks::is_known_network};
use crate::{
    app::App,
    config::{NetworkConfig, PriceSource, TokenConfig},
    http::{
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{
            Merchant, Parameters, optional_json,
            rights::{ManageSettings, ReadInvoices},
        },
        payor::token_type,
    },
    merchants, view,
};

const DEFAULT_LIMIT: u64 = 50;
const MOST_ITEMS: u64 = 200;
/// A chain that does not answer must not hold up the list.
const PRICES_TAKE_AT_MOST: Duration = Duration::from_secs(1);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct EnvironmentParameter {
    /// Tokens of this environment; without it, of the server's own. A server has those of its own only.
    environment: Option<Environment>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct SearchParameters {
    /// How many tokens at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// How many tokens to leave out at the beginning.
    #[param(minimum = 0, default = 0)]
    offset: Option<u64>,
    /// Part of the symbol, name or address, in either case.
    search: Option<String>,
    /// Tokens of this network, as in `base`.
    network: Option<String>,
    /// `native`, `erc20`, `spl`, `ton` or `sui`.
    #[param(pattern = "^(native|erc20|spl|ton|sui)$")]
    token_type: Option<String>,
    /// Tokens that the server takes, or those that it does not.
    is_active: Option<bool>,
    /// Tokens taken at one dollar, or the others.
    supports_stable_settlement: Option<bool>,
    /// Tokens that you block, or those that you take.
    blocked: Option<bool>,
}

/// The tokens of this server, with what the merchant has set for each.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/tokens",
    tag = "Settings",
    params(EnvironmentParameter),
    responses((status = 200, body = TokenList)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = []))
)]
pub async fn list_tokens(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<TokenList>, ApiError> {
    let environment = filters::environment(&parameters)?.unwrap_or(app.config.environment);
    let acceptance = app.store.reader().await?.tx().acceptance(merchant.id).await?;
    Ok(Json(TokenList {
        acceptance_policy: view::acceptance_policy(acceptance.policy()),
        environment,
        tokens: show(&app, &acceptance, tokens_of(&app, environment).collect()).await,
    }))
}

/// Those of them that fit, page by page.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/tokens/search",
    tag = "Settings",
    params(EnvironmentParameter, SearchParameters),
    responses((status = 200, body = TokenPage)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![UNKNOWN_NETWORK])))
)]
pub async fn search_tokens(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<TokenPage>, ApiError> {
    let environment = filters::environment(&parameters)?.unwrap_or(app.config.environment);
    let filter = Filter::parse(&app, &parameters)?;
    let limit = number(&parameters, "limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MOST_ITEMS).contains(&limit) {
        return Err(invalid("limit", format!("limit must lie between 1 and {MOST_ITEMS}")));
    }
    let offset = number(&parameters, "offset")?.unwrap_or(0);

    let acceptance = app.store.reader().await?.tx().acceptance(merchant.id).await?;
    let found: Vec<_> = tokens_of(&app, environment)
        .filter(|(network, token)| filter.fits(network, token, acceptance.blocks(token.token_id())))
        .collect();
    let places = [offset, limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let page = found.iter().copied().skip(places[0]).take(places[1]).collect();
    Ok(Json(TokenPage {
        acceptance_policy: view::acceptance_policy(acceptance.policy()),
        environment,
        total: found.len() as u64,
        limit,
        offset,
        tokens: show(&app, &acceptance, page).await,
    }))
}

/// Stops taking a token, or takes it again.
#[utoipa::path(
    post,
    path = "/api/v1/merchant/tokens/{token_id}/block",
    tag = "Settings",
    params(("token_id" = i64, Path, minimum = 1, description = "The `id` of a token in the list.")),
    request_body = Option<BlockTokenRequest>,
    responses((status = 200, body = TokenBlocked)),
    security(("merchant_key" = ["settings"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![TOKEN_NOT_FOUND])))
)]
pub async fn block_token(
    State(app): State<App>,
    merchant: Merchant<ManageSettings>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<TokenBlocked>, ApiError> {
    let id = id.ok().and_then(|Path(text)| text.parse().ok()).filter(|id| 1 <= *id);
    let id = id.ok_or_else(|| invalid("tokenId", "tokenId must be a positive whole number"))?;
    let request: Option<BlockTokenRequest> = optional_json(request, &app).await?;
    let blocked = request.is_none_or(|request| request.blocked);
    let acceptance = merchants::set_token_blocked(&app, merchant.id, TokenId(id), blocked).await?;
    Ok(Json(TokenBlocked { success: true, blocked: acceptance.blocks(TokenId(id)) }))
}

/// The tokens of an environment; this server has those of its own only.
fn tokens_of(app: &App, environment: Environment) -> impl Iterator<Item = (&NetworkConfig, &TokenConfig)> {
    app.config.tokens().filter(move |_| environment == app.config.environment)
}

/// What a search is restricted by; what is `None` does not restrict.
struct Filter {
    /// In lower case.
    search: Option<String>,
    network: Option<String>,
    token_type: Option<KnownType>,
    is_active: Option<bool>,
    supports_stable_settlement: Option<bool>,
    blocked: Option<bool>,
}

/// A kind of token, also of those that this server has none of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KnownType {
    Ours(TokenType),
    Other,
}

impl Filter {
    fn parse(app: &App, parameters: &Parameters) -> Result<Self, ApiError> {
        let network = parameters.get("network");
        if let Some(name) = network
            && !is_known_network(app, name)
        {
            return Err(ApiError::UnknownNetwork { field: "network".to_owned() });
        }
        let token_type = match parameters.get("token_type") {
            None => None,
            Some("native") => Some(KnownType::Ours(TokenType::Native)),
            Some("erc20") => Some(KnownType::Ours(TokenType::Erc20)),
            Some("spl") => Some(KnownType::Ours(TokenType::Spl)),
            Some("ton" | "sui") => Some(KnownType::Other),
            Some(_) => return Err(invalid("token_type", "token_type must be native, erc20, spl, ton or sui")),
        };
        Ok(Self {
            search: parameters.get("search").filter(|text| !text.is_empty()).map(str::to_lowercase),
            network: network.map(str::to_owned),
            token_type,
            is_active: flag(parameters, "is_active")?,
            supports_stable_settlement: flag(parameters, "supports_stable_settlement")?,
            blocked: flag(parameters, "blocked")?,
        })
    }

    fn fits(&self, network: &NetworkConfig, token: &TokenConfig, is_blocked: bool) -> bool {
        let is_found = |search: &String| {
            let address = token.shown_address().unwrap_or_default();
            [&token.symbol, &token.name, &address].iter().any(|text| text.to_lowercase().contains(search))
        };
        self.search.as_ref().is_none_or(is_found)
            && self.network.as_ref().is_none_or(|name| *name == network.name)
            && self.token_type.is_none_or(|wanted| wanted == KnownType::Ours(token_type(token)))
            && self.is_active.is_none_or(|wanted| wanted == token.accepted)
            && self.supports_stable_settlement.is_none_or(|wanted| wanted == is_stable(token))
            && self.blocked.is_none_or(|wanted| wanted == is_blocked)
    }
}

/// A parameter that is true or false.
pub(super) fn flag(parameters: &Parameters, name: &'static str) -> Result<Option<bool>, ApiError> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| invalid(name, format!("{name} must be true or false")))
}

fn number(parameters: &Parameters, name: &'static str) -> Result<Option<u64>, ApiError> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    // As wide as the description says its integers are.
    let number = text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok());
    number.map(Some).ok_or_else(|| invalid(name, format!("{name} must be a whole number, not negative")))
}

/// Whether what arrives in it is worth the dollars that were asked.
pub fn is_stable(token: &TokenConfig) -> bool {
    matches!(token.price, PriceSource::Par(_)) && token.accepted
}

async fn show(app: &App, acceptance: &Acceptance, tokens: Vec<(&NetworkConfig, &TokenConfig)>) -> Vec<MerchantToken> {
    join_all(tokens.into_iter().map(async |(network, token)| MerchantToken {
        id: token.id,
        token_symbol: token.symbol.clone(),
        token_name: token.name.clone(),
        token_address: token.shown_address(),
        token_decimals: token.decimals,
        network: network.name.clone(),
        network_environment: app.config.environment,
        token_type: token_type(token),
        requires_memo: false,
        photo_uri: None,
        supports_subscriptions: false,
        supports_stable_settlement: is_stable(token),
        is_active: token.accepted,
        is_monitored: app.outages.is_offered(&network.name),
        is_blocked: acceptance.blocks(token.token_id()),
        price: price(app, token).await,
    }))
    .await
}

async fn price(app: &App, token: &TokenConfig) -> Option<TokenPrice> {
    let price = timeout(PRICES_TAKE_AT_MOST, app.prices.price(token.token_id())).await.ok()?.ok()?;
    Some(TokenPrice {
        usd: PlainNumber { text: view::rate(price.rate) },
        // Par holds at every moment.
        last_updated_at: price.updated_at.unwrap_or_else(|| app.clock.now()).0,
        provider_type: match token.price {
            PriceSource::Par(_) => "par",
            PriceSource::Feed(_) => "chainlink",
        }
        .to_owned(),
    })
}

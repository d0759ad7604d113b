//! `GET /api/v1/merchant/sweeps`

use axum::{Json, extract::State};
use domain::{id::TokenId, money::UsdMillis, settlement::LeftBecause};
use utoipa::IntoParams;
use wire::sweep::{FailedDeposit, LeftDeposits, LeftReason, Sweep, SweepAmount, SweepCost, SweepDeposit, SweepPlan};

use super::{networks::is_known_network, tokens::flag};
use crate::{
    app::App,
    http::{
        error::ApiError,
        error_codes::codes,
        extract::{Merchant, Parameters, rights::ReadInvoices},
    },
    invoicing::{self, DueDeposit, SweepOffer, Wanted, offer_sweeps},
    store::SweepFailureRecord,
};

const MOST_FAILURES: i64 = 100;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what is read by name")]
pub struct SweepParameters {
    /// Also what is not worth its sweep yet, and what an earlier one could not move.
    #[param(default = false)]
    all: Option<bool>,
    /// On this network only, as in `base`.
    network: Option<String>,
}

/// What is due to the merchant, as transactions that hand it on.
///
/// Any wallet may send them: a deposit address can only pay the wallet it was made for. `/sweep` is a page on which a
/// browser's wallet signs them.
#[utoipa::path(
    get,
    path = "/api/v1/merchant/sweeps",
    tag = "Wallets",
    params(SweepParameters),
    responses((status = 200, body = SweepPlan)),
    security(("merchant_key" = ["invoices:read"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![UNKNOWN_NETWORK])))
)]
pub async fn list_sweeps(
    State(app): State<App>,
    merchant: Merchant<ReadInvoices>,
    parameters: Parameters,
) -> Result<Json<SweepPlan>, ApiError> {
    let wanted = match flag(&parameters, "all")? {
        Some(true) => Wanted::Everything,
        Some(false) | None => Wanted::WorthIt,
    };
    let network = parameters.get("network");
    if network.is_some_and(|network| !is_known_network(&app, network)) {
        return Err(ApiError::UnknownNetwork { field: "network".to_owned() });
    }
    let plan = offer_sweeps(&app, Some(merchant.id), network, wanted).await?;
    let failures = app.store.reader().await?.tx().sweep_failures(merchant.id, MOST_FAILURES).await?;
    let is_wanted = |failure: &&SweepFailureRecord| network.is_none_or(|network| failure.network == network);
    Ok(Json(SweepPlan {
        object: "sweep_plan".to_owned(),
        worth_times_cost: app.config.sweeps.worth_times_cost,
        after_days: app.config.sweeps.after_days,
        sweeps: plan.offers.iter().map(|offer| show_sweep(&app, offer)).collect(),
        left: plan.left.iter().map(show_left).collect(),
        failures: failures.iter().filter(is_wanted).map(|failure| show_failure(&app, failure)).collect(),
    }))
}

fn show_sweep(app: &App, offer: &SweepOffer) -> Sweep {
    let sweep = &offer.sweep;
    let title = app.config.network(&sweep.network).map_or(&sweep.network, |network| &network.title);
    let amounts = sweep.amounts().into_values().map(|due| SweepAmount {
        token_id: due.token.0,
        token_symbol: symbol(app, due.token),
        token_address: app.config.token(due.token).and_then(|(_, token)| token.shown_address()),
        token_decimals: due.decimals.get(),
        token_amount: due.amount.to_decimal(due.decimals),
    });
    Sweep {
        network: sweep.network.clone(),
        network_title: title.clone(),
        chain_id: sweep.chain_id,
        receiver: sweep.receiver.to_checksum(None),
        to: sweep.to.to_checksum(None),
        value: "0".to_owned(),
        data: sweep.calldata.to_string(),
        amounts: amounts.collect(),
        deposits: sweep.deposits.iter().map(show_deposit).collect(),
        value_usd_millis: offer.value.map(UsdMillis::as_millis),
        cost: offer.cost.map(|cost| SweepCost {
            gas: cost.gas,
            wei: cost.wei.to_string(),
            usd_millis: cost.usd.map(UsdMillis::as_millis),
        }),
    }
}

fn show_deposit(deposit: &DueDeposit) -> SweepDeposit {
    SweepDeposit {
        invoice_id: deposit.invoice.to_string(),
        address: deposit.address.to_checksum(None),
        salt: deposit.salt.to_string(),
        since: deposit.since.0,
    }
}

fn show_left(left: &invoicing::LeftDeposits) -> LeftDeposits {
    LeftDeposits {
        network: left.network.clone(),
        reason: match left.because {
            LeftBecause::NotWorthIt => LeftReason::NotWorthIt,
            LeftBecause::ValueUnknown => LeftReason::ValueUnknown,
            LeftBecause::CostUnknown => LeftReason::CostUnknown,
            LeftBecause::Failed => LeftReason::Failed,
        },
        deposits: left.deposits.iter().map(show_deposit).collect(),
        value_usd_millis: left.value.as_millis(),
    }
}

fn show_failure(app: &App, failure: &SweepFailureRecord) -> FailedDeposit {
    FailedDeposit {
        network: failure.network.clone(),
        invoice_id: failure.invoice.to_string(),
        token_id: failure.token.0,
        token_symbol: symbol(app, failure.token),
        reason: failure.reason.clone(),
        tx_hash: failure.tx_id.clone(),
        failed_at: failure.failed_at.0,
    }
}

/// Empty for a token that is no longer configured.
fn symbol(app: &App, token: TokenId) -> String {
    app.config.token(token).map(|(_, token)| token.symbol.clone()).unwrap_or_default()
}

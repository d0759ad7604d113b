//! `pepay sweep`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use domain::{id::MerchantId, money::UsdMillis, settlement::LeftBecause};
use serde_json::{Value, json};

use super::{
    Answer, CliError,
    transaction::{TransactionError, wait_for_receipt},
};
use crate::{
    app::App,
    invoicing::{self, LeftDeposits, PlannedSweep, SweepOffer, Wanted, offer_sweeps, safe_batches, send_sweep},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this merchant's deposits
    #[arg(long, value_name = "MERCHANT_ID")]
    merchant: Option<i64>,
    /// Only deposits on this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Also what is not worth its sweep yet
    #[arg(long)]
    all: bool,
    /// Where to write what a Safe wallet can import; with several networks, one file for each
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    #[error("--network: there is no network {0}")]
    NoSuchNetwork(String),
    #[error(transparent)]
    NotSent(#[from] invoicing::SweepError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

/// Sends what is due and worth it where an account is set for that; elsewhere prints what the merchant's own wallet has
/// to send.
pub(super) async fn run(arguments: &Arguments, app: &App) -> Result<Answer, CliError> {
    let merchant = arguments.merchant.map(MerchantId);
    if let Some(id) = merchant
        && app.store.reader().await?.tx().merchant(id).await?.is_none()
    {
        return Err(CliError::NoSuchMerchant(id));
    }
    if let Some(name) = &arguments.network
        && app.config.network(name).is_none()
    {
        return Err(SweepError::NoSuchNetwork(name.clone()).into());
    }

    let wanted = if arguments.all { Wanted::Everything } else { Wanted::WorthIt };
    let plan = offer_sweeps(app, merchant, arguments.network.as_deref(), wanted).await?;
    let mut answer = Report::default();
    let mut for_wallets = Vec::new();
    for offer in plan.offers {
        let network = app.config.network(&offer.sweep.network).filter(|network| network.sweep_account.is_some());
        let Some(network) = network else {
            answer.add(&offer, None);
            for_wallets.push(offer.sweep);
            continue;
        };
        let transaction = send_sweep(app, &offer.sweep).await.map_err(SweepError::NotSent)?;
        wait_for_receipt(network, &transaction).await.map_err(SweepError::Transaction)?;
        answer.add(&offer, Some(&transaction));
    }
    for left in &plan.left {
        answer.leave(left, app.config.sweeps.worth_times_cost);
    }
    if let Some(out) = &arguments.out {
        answer.files = write_batches(app, &for_wallets, out)?;
    }
    Ok(answer.into())
}

/// Writes a file for each network and returns their paths.
fn write_batches(app: &App, sweeps: &[PlannedSweep], out: &Path) -> Result<Vec<PathBuf>, CliError> {
    let batches = safe_batches(sweeps, app.clock.now_ms());
    let is_alone = batches.len() == 1;
    let mut files = Vec::new();
    for (network, batch) in batches {
        let path = if is_alone { out.to_owned() } else { beside(out, &network) };
        fs::write(&path, format!("{batch:#}\n")).map_err(|source| CliError::Write { path: path.clone(), source })?;
        files.push(path);
    }
    Ok(files)
}

/// `sweep.json` for network `base` is `sweep-base.json`.
fn beside(path: &Path, network: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{network}{extension}"))
}

/// What was done and what is left to do.
#[derive(Default)]
struct Report {
    text: String,
    sweeps: Vec<Value>,
    left: Vec<Value>,
    files: Vec<PathBuf>,
}

impl Report {
    fn add(&mut self, offer: &SweepOffer, transaction: Option<&str>) {
        let sweep = &offer.sweep;
        let deposits = sweep.deposits.len();
        let value = offer.value.map_or_else(|| "of unknown value".to_owned(), |value| format!("worth ${value}"));
        let cost = offer.cost.and_then(|cost| cost.usd);
        let cost = cost.map_or_else(|| "at unknown cost".to_owned(), |cost| format!("for gas of about ${cost}"));
        let what = format!(
            "{}: {deposits} deposits of merchant {} to {}, {value}, {cost}",
            sweep.network, sweep.merchant, sweep.receiver
        );
        // Writing to a string cannot fail.
        let _infallible = match transaction {
            Some(transaction) => writeln!(self.text, "{what}, sent in {transaction}"),
            None => writeln!(
                self.text,
                "{what}, to be sent by any wallet as\n  chain {}\n  to {}\n  value 0\n  data {}",
                sweep.chain_id, sweep.to, sweep.calldata
            ),
        };
        self.sweeps.push(json!({
            "network": sweep.network,
            "tx_hash": transaction,
            "to": sweep.to.to_string(),
            "data": sweep.calldata.to_string(),
            "deposits": deposits,
            "value_usd_millis": offer.value.map(UsdMillis::as_millis),
            "gas": offer.cost.map(|cost| cost.gas),
            "cost_usd_millis": offer.cost.and_then(|cost| cost.usd).map(UsdMillis::as_millis),
        }));
    }

    fn leave(&mut self, left: &LeftDeposits, times_cost: u32) {
        let (deposits, value) = (left.deposits.len(), left.value);
        let (code, why) = match left.because {
            LeftBecause::NotWorthIt => {
                ("not_worth_it", format!("worth ${value}, which is not more than {times_cost} times what that costs"))
            }
            LeftBecause::ValueUnknown => ("value_unknown", "which have no price at present".to_owned()),
            LeftBecause::CostUnknown => ("cost_unknown", "since nobody says what that costs".to_owned()),
            LeftBecause::Failed => ("failed", "which a sweep could not move not long ago".to_owned()),
        };
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            self.text,
            "{}: {deposits} deposits of merchant {} are left for later, {why}; --all takes them too",
            left.network, left.merchant
        );
        self.left.push(json!({
            "network": left.network,
            "merchant_id": left.merchant.0,
            "deposits": deposits,
            "value_usd_millis": value.as_millis(),
            "reason": code,
        }));
    }
}

impl From<Report> for Answer {
    fn from(report: Report) -> Self {
        let mut text = report.text;
        if report.sweeps.is_empty() && report.left.is_empty() {
            text.push_str("nothing is due\n");
        }
        let files: Vec<_> = report.files.iter().map(|path| path.display().to_string()).collect();
        for file in &files {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "wrote {file}");
        }
        Self { text, json: json!({ "sweeps": report.sweeps, "left": report.left, "files": files }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_several_networks_are_told_apart() {
        assert_eq!(beside(Path::new("/tmp/sweep.json"), "base"), Path::new("/tmp/sweep-base.json"));
        assert_eq!(beside(Path::new("sweep"), "base"), Path::new("sweep-base"));
    }
}

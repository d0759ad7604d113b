//! `pepay check`: how everything is that the server leans on, and what to do where it is not well.
//!
//! It asks what the server asks, of the same endpoints, and sets nothing. It may run beside the server.

use std::fmt::Write;

use alloy_primitives::Address;
use domain::time::UnixSeconds;
use serde_json::{Value, json};
use wire::{Environment, deposit_address::FACTORY};

use super::{
    Answer, CliError,
    contract_wallets::{Places, Said},
};
use crate::{
    app::App,
    chains::{
        evm::{Deployment, Node, StepError, WITNESSES, decimals_of},
        rpc::{EndpointReport, Problem, Rpc},
        solana,
    },
    config::{Config, NetworkConfig, NetworkKind, PriceSource, TokenConfig},
    rates::NoPrice,
    solana::programs,
    store::BlockRef,
    view,
    wallet::{merchant_solana_wallet, merchant_wallet},
};

/// An endpoint that far behind the others, and further than payments take to count, is not much use as a witness.
const BLOCKS_BEHIND: u64 = 16;
/// The same in slots of 400 ms.
const SLOTS_BEHIND: u64 = 64;
/// The server reads blocks within seconds.
const READ_SECONDS_BEHIND: i64 = 60;
/// No public network makes its payers wait for so long.
const OLDEST_HEAD_SECONDS: i64 = 600;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Good,
    /// Money is safe, but something should be done.
    Warning,
    /// Payments are not taken, or not seen, or could be lost.
    Problem,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
struct Finding {
    level: Level,
    what: String,
    /// What to do about it; empty where nothing has to be done.
    advice: &'static str,
}

/// Everything that was found about one subject: a network, or what concerns all of them.
struct Section {
    title: String,
    findings: Vec<Finding>,
}

impl Section {
    fn new(title: String) -> Self {
        Self { title, findings: Vec::new() }
    }

    fn good(&mut self, what: impl Into<String>) {
        self.findings.push(Finding { level: Level::Good, what: what.into(), advice: "" });
    }

    fn warning(&mut self, what: impl Into<String>, advice: &'static str) {
        self.findings.push(Finding { level: Level::Warning, what: what.into(), advice });
    }

    fn problem(&mut self, what: impl Into<String>, advice: &'static str) {
        self.findings.push(Finding { level: Level::Problem, what: what.into(), advice });
    }
}

/// Looks at everything. The second value is how many problems there are.
pub(super) async fn run(app: &App) -> Result<(Answer, usize), CliError> {
    let mut sections = Vec::new();
    let mut reader = app.store.reader().await?;
    let wallets = reader.tx().all_wallets().await?;
    let receivers = reader.tx().receivers_of_open_invoices(app.clock.now()).await?;
    drop(reader);
    let is_own = |receiver: &Address| !wallets.contains(receiver);
    let receivers: Vec<Address> = receivers.into_iter().filter(is_own).collect();
    let all: Vec<Address> = wallets.iter().chain(&receivers).copied().collect();
    let mut said = Vec::new();
    app.prices.look_at_guards().await;
    for network in app.config.solana_networks() {
        tracing::info!(payment.network = network.name, "asking");
        sections.push(check_solana(app, network).await?);
    }
    for network in app.config.evm_networks() {
        tracing::info!(payment.network = network.name, "asking");
        let node = Node::with_added(network, &app.added_endpoints, app.config.merchants.rpc_targets());
        sections.push(check_network(app, network, &node).await?);
        said.push(Said::by(network, &node, &all).await);
    }
    sections.push(check_everything(&app.config, &wallets, &receivers, &said));
    let problems = sections.iter().flat_map(|section| &section.findings);
    let problems = problems.filter(|finding| finding.level == Level::Problem).count();
    Ok((report(&sections, problems), problems))
}

async fn check_network(app: &App, network: &NetworkConfig, node: &Node) -> Result<Section, CliError> {
    let mut section = Section::new(format!("{} (chain {})", network.name, network.chain_id));
    if !check_endpoints(app, network, &node.inspect().await, &mut section) {
        return Ok(section);
    }
    let checks = async {
        check_contracts(network, node, &mut section).await?;
        check_finality(network, node, &mut section).await?;
        node.head().await
    };
    let head = match checks.await {
        Ok(head) => head.to_block(),
        Err(error) => {
            section.problem(format!("the network cannot be asked: {error}"), "look at the endpoints above");
            return Ok(section);
        }
    };
    check_prices(app, network, &mut section).await;
    let cursor = app.store.reader().await?.tx().cursor(&network.name).await?;
    let is_real = app.config.environment == Environment::Mainnet;
    check_reading(cursor.as_ref(), &head, is_real.then(|| app.clock.now()), &mut section);
    Ok(section)
}

async fn check_solana(app: &App, network: &NetworkConfig) -> Result<Section, CliError> {
    let mut section = Section::new(format!("{} (Solana)", network.name));
    let rpc = Rpc::with_added(network, &app.added_endpoints, app.config.merchants.rpc_targets());
    if !check_endpoints(app, network, &rpc.inspect().await, &mut section) {
        return Ok(section);
    }
    let head = async {
        for token in &network.tokens {
            let symbol = &token.symbol;
            match solana::check_mint(&rpc, token).await? {
                Ok(()) => section.good(format!("token {symbol}: {} decimals", token.decimals)),
                Err(problem) => section.problem(
                    format!("token {symbol} {problem}, so the network is not watched"),
                    "correct `mint`, `program` or `decimals` of the token",
                ),
            }
        }
        let head = solana::head(&rpc).await?;
        let behind = head.block.number.saturating_sub(head.finalized);
        section.good(format!("finality: slot {} is final, {behind} behind", head.finalized));
        check_token_accounts(app, network, &rpc, &mut section).await?;
        Ok::<_, StepError>(head.block)
    };
    let head = match head.await {
        Ok(head) => head,
        Err(error) => {
            section.problem(format!("the network cannot be asked: {error}"), "look at the endpoints above");
            return Ok(section);
        }
    };
    check_prices(app, network, &mut section).await;
    let cursor = app.store.reader().await?.tx().cursor(&network.name).await?;
    let is_real = app.config.environment == Environment::Mainnet;
    check_reading(cursor.as_ref(), &head, is_real.then(|| app.clock.now()), &mut section);
    Ok(section)
}

/// Whether merchants' wallets are some, and can take each token yet.
async fn check_token_accounts(
    app: &App,
    network: &NetworkConfig,
    rpc: &Rpc,
    section: &mut Section,
) -> Result<(), StepError> {
    let wallets = app.store.reader().await?.tx().all_solana_wallets().await?;
    for wallet in &wallets {
        // It was good when it was set, but the configuration may be another one now.
        if let Err(problem) = merchant_solana_wallet(&wallet.to_string(), &app.config) {
            section.problem(format!("wallet {wallet}: {problem}"), CHANGE_SOLANA_WALLET);
        }
        // Only the network knows this of an address that a key was made for.
        if let Some(program) = solana::program_of(rpc, *wallet).await?.filter(|program| *program != programs::SYSTEM) {
            section.problem(
                format!(
                    "wallet {wallet} is none: it is an account of the program {program}, from which nobody could take \
                     what comes to it"
                ),
                CHANGE_SOLANA_WALLET,
            );
            continue;
        }
        for token in &network.tokens {
            let Some(account) = solana::token_account(*wallet, token) else { continue };
            if !solana::is_there(rpc, account).await? {
                section.warning(
                    format!(
                        "wallet {wallet} has no account for {} yet: whoever pays it first pays about 0.002 SOL",
                        token.symbol
                    ),
                    "receive any amount of the token in that wallet once, or have it add the token; wallets and \
                     `spl-token create-account` make the account",
                );
            }
        }
    }
    section.good(format!("wallets: {} looked at", wallets.len()));
    Ok(())
}

/// `false` if there is nobody to ask about the rest.
fn check_endpoints(app: &App, network: &NetworkConfig, reports: &[EndpointReport], section: &mut Section) -> bool {
    let unit = match network.kind {
        NetworkKind::Evm => "block",
        NetworkKind::Solana => "slot",
    };
    let highest = reports.iter().filter_map(|report| report.head.as_ref().ok()).max().copied();
    for report in reports {
        let host = &report.host;
        match &report.head {
            Ok(head) => {
                let behind = highest.unwrap_or_default().saturating_sub(*head);
                let what = format!("endpoint {host}: {unit} {head}, {} ms", report.took.as_millis());
                let tolerated = match network.kind {
                    NetworkKind::Evm => BLOCKS_BEHIND.max(network.paid_after.into()),
                    NetworkKind::Solana => SLOTS_BEHIND,
                };
                if tolerated < behind {
                    section.warning(
                        format!("{what}, {behind} {unit}s behind another"),
                        "wait until it has caught up, or replace it",
                    );
                } else {
                    section.good(what);
                }
            }
            Err(problem) => {
                section.warning(format!("endpoint {host} {problem}"), fix_endpoint(problem, report.is_added));
            }
        }
    }
    if highest.is_none() {
        section.problem(
            "no endpoint can be used: payments on this network are not seen until one can",
            "do what is said above, or add an endpoint of another provider to `rpc`",
        );
        return false;
    }
    let hosts = reports.iter().filter(|report| report.head.is_ok()).map(|report| &report.host);
    let hosts = hosts.collect::<std::collections::BTreeSet<_>>().len();
    if app.config.environment == Environment::Mainnet && hosts < WITNESSES {
        let limit = app.config.invoices.single_source_usd;
        section.warning(
            format!(
                "only one endpoint answers: payments count on its word alone, and none for invoices above ${limit}"
            ),
            "add an endpoint of another provider to `rpc`",
        );
    }
    if network.genesis.is_none() {
        section.warning(
            "the network's first block is not pinned: the first endpoint is believed about it",
            "set `genesis`, or use the name of a network that pepay knows",
        );
    }
    true
}

fn fix_endpoint(problem: &Problem, is_added: bool) -> &'static str {
    match problem {
        _ if is_added => "it was added through the API; the merchant who added it should correct or remove it",
        Problem::WrongChain { .. } => "correct the URL in `rpc`, or the network's `chain_id`",
        Problem::WrongGenesis => "correct the URL in `rpc`, or the network's `genesis`",
        Problem::Throttled { .. } => "lower `requests_per_second`, or take a larger plan of its provider",
        Problem::Status(401..=403) => "check the credentials in its URL in `rpc`",
        Problem::NotJsonRpc | Problem::Status(_) => "check its URL in `rpc`, and the provider's status page",
        Problem::Resting | Problem::Unreachable | Problem::TooSlow | Problem::Untrue => {
            "check its URL in `rpc`, the way there, and the provider's status page"
        }
    }
}

async fn check_contracts(network: &NetworkConfig, node: &Node, section: &mut Section) -> Result<(), StepError> {
    match node.deployment().await? {
        Deployment::Ours => section.good(format!("deposit factory: at {FACTORY}")),
        Deployment::Missing => section.problem(
            format!("deposit factory: nothing is at {FACTORY}, so the network is not watched"),
            "run `pepay deploy-factory`",
        ),
        Deployment::NoDeployer => section.problem(
            format!("deposit factory: nothing is at {FACTORY}, nor is the deployer that could put it there"),
            "deploy the deterministic deployer first, or take the network out of the configuration",
        ),
        Deployment::Foreign(address) => section.problem(
            format!("deposit factory: what is at {address} is not its code, so the network is not watched"),
            "take the network out of the configuration: money sent to deposits there may be lost",
        ),
    }
    for token in &network.tokens {
        let Some(address) = token.address else { continue };
        let (symbol, wanted) = (&token.symbol, token.decimals);
        match decimals_of(node, address).await? {
            Some(decimals) if decimals == wanted => section.good(format!("token {symbol}: {decimals} decimals")),
            Some(decimals) => section.problem(
                format!(
                    "token {symbol} at {address} has {decimals} decimals, not {wanted}, so the network is not watched"
                ),
                "correct `decimals`, or the token's `address`",
            ),
            None => section.problem(
                format!("token {symbol}: no token is at {address}, so the network is not watched"),
                "correct the token's `address`",
            ),
        }
    }
    Ok(())
}

async fn check_finality(network: &NetworkConfig, node: &Node, section: &mut Section) -> Result<(), StepError> {
    let thresholds = network.thresholds();
    if thresholds.final_tag.is_none() && thresholds.paid_tag.is_none() {
        return Ok(());
    }
    let head = node.head().await?.to_block();
    match node.tagged("finalized").await? {
        Some(header) => {
            let finalized = header.to_block();
            let behind = head.number.saturating_sub(finalized.number);
            section.good(format!("finality: block {} is final, {behind} behind", finalized.number));
        }
        None => section.warning(
            format!(
                "finality: the endpoints do not say which block is final; {} blocks are waited for",
                network.final_after
            ),
            "use an endpoint that knows the block `finalized`",
        ),
    }
    Ok(())
}

async fn check_prices(app: &App, network: &NetworkConfig, section: &mut Section) {
    for token in network.tokens.iter().filter(|token| token.accepted) {
        let symbol = &token.symbol;
        match (app.prices.price(token.token_id()).await, &token.price) {
            (Ok(price), PriceSource::Feed(feed)) => {
                let age = price.updated_at.map_or(0, |at| app.clock.now().0.saturating_sub(at.0));
                section.good(format!(
                    "price of {symbol}: ${}, {age} s old (feed {})",
                    view::rate(price.rate),
                    feed.feed
                ));
            }
            (Ok(_), PriceSource::Par(_)) => check_guard(app, token, section),
            (Err(reason), _) => {
                section.problem(format!("price of {symbol}: {reason}, so it is not quoted"), fix_price(&reason));
            }
        }
    }
}

/// Of a token that is taken for a dollar.
fn check_guard(app: &App, token: &TokenConfig, section: &mut Section) {
    let symbol = &token.symbol;
    match (&token.guard, app.prices.silence_of_guard(token.token_id())) {
        (None, _) => section.good(format!("price of {symbol}: one dollar, whatever it is worth")),
        (Some(guard), None) => section.good(format!("price of {symbol}: one dollar (guard {})", guard.feed)),
        (Some(guard), Some(reason)) => section.warning(
            format!("price of {symbol}: one dollar, but its guard {} says nothing: {reason}", guard.feed),
            "correct the feed's address or `heartbeat_seconds` in `guard`",
        ),
    }
}

fn fix_price(reason: &NoPrice) -> &'static str {
    match reason {
        NoPrice::Unreachable(_) => "look at the endpoints above",
        NoPrice::UnknownToken(_) | NoPrice::NoFeed | NoPrice::OutOfRange => "correct the feed's address in `price`",
        NoPrice::Stale { .. } | NoPrice::NotPositive | NoPrice::Unfinished => {
            "check at the feed's makers that it is kept up, and its address and `heartbeat_seconds` in `price`"
        }
        NoPrice::FromTheFuture { .. } | NoPrice::LongAgo { .. } => "check this machine's clock",
        NoPrice::Jumped { .. } => "wait for the feed's next round",
        NoPrice::SequencerDown | NoPrice::SequencerJustUp { .. } => "wait until the sequencer has been up for an hour",
        NoPrice::OffPar { .. } => "wait until it is a dollar again, or set `accepted = false` for it",
        NoPrice::Disputed { .. } => "find out which of them is wrong, and replace it",
    }
}

/// `now` is given if the network is one whose blocks always come.
fn check_reading(cursor: Option<&BlockRef>, head: &BlockRef, now: Option<UnixSeconds>, section: &mut Section) {
    let age = now.map_or(0, |now| now.0.saturating_sub(head.time.0));
    if OLDEST_HEAD_SECONDS < age {
        section.problem(
            format!("the newest block, {}, is {age} s old", head.number),
            "the network or the endpoint stands still, or this machine's clock is wrong; ask another endpoint",
        );
    }
    let Some(cursor) = cursor else {
        section.warning("no block was read so far", "start the server: `pepay serve`");
        return;
    };
    let behind = head.time.0.saturating_sub(cursor.time.0);
    let what = format!("read up to block {}, {behind} s behind the newest", cursor.number);
    if READ_SECONDS_BEHIND < behind {
        section.problem(what, "see that the server runs; its log says what keeps it from reading the network");
    } else {
        section.good(what);
    }
}

/// What concerns all networks together.
fn check_everything(config: &Config, wallets: &[Address], receivers: &[Address], said: &[Said<'_>]) -> Section {
    let mut section = Section::new("everywhere".to_owned());
    if config.networks.is_empty() {
        section.problem("no network is configured, so nothing can be paid", "add one to the configuration");
    }
    let wallets = wallets.iter().map(|wallet| (wallet, "wallet", CHANGE_WALLET, DEPLOY_WALLET));
    let receivers = receivers.iter().map(|receiver| (receiver, "receiver", CHANGE_RECEIVER, DEPLOY_RECEIVER));
    let counts = (wallets.len(), receivers.len());
    for (index, (wallet, called, change, deploy)) in wallets.chain(receivers).enumerate() {
        // It was good when it was set, but the configuration may be another one now.
        if let Err(problem) = merchant_wallet(&wallet.to_checksum(None), config) {
            section.problem(format!("{called} {wallet}: {problem}"), change);
        }
        let places = Places::among(said, index);
        let Some(words) = places.words() else { continue };
        let what = format!("{called} {wallet}: {words}");
        match (places.missing.as_slice(), places.unknown.as_slice()) {
            ([], []) => section.good(what),
            ([], _) => section.warning(what, ASK_AGAIN),
            _ => section.problem(what, deploy),
        }
    }
    let silent: Vec<_> = said.iter().filter(|said| said.are_contracts.is_none()).map(|said| said.network).collect();
    if !silent.is_empty() && counts != (0, 0) {
        let silent = silent.join(", ");
        section.warning(format!("wallets: whether they are contracts could not be asked on {silent}"), ASK_AGAIN);
    }
    section.good(match counts {
        (wallets, 0) => format!("wallets: {wallets} looked at"),
        (wallets, receivers) => format!("wallets: {wallets} looked at, and {receivers} receivers of single invoices"),
    });
    if config.environment == Environment::Mainnet && config.operator.webhook_url.is_none() {
        section.warning(
            "alarms are in the log and nowhere else",
            "set `operator.webhook_url`, or have somebody woken by what the log marks ALARM",
        );
    }
    section.warning(
        "the deposit contracts are not audited: nobody independent has reviewed them",
        "read contracts/AUDIT.md, and let them hold no more than you can lose",
    );
    section
}

const DEPLOY_WALLET: &str = "deploy the same wallet there, or set another one: `pepay merchant set-wallet`";
const DEPLOY_RECEIVER: &str =
    "deploy the same wallet there before its invoices are swept, and give new ones another `receiver_override_address`";
const CHANGE_RECEIVER: &str = "cancel its invoices, and give new ones another `receiver_override_address`";
const ASK_AGAIN: &str = "look at the endpoints above, then run this again";
const CHANGE_WALLET: &str = "set another one: `pepay merchant set-wallet`";
const CHANGE_SOLANA_WALLET: &str = "set another one: `pepay merchant set-solana-wallet`";

fn report(sections: &[Section], problems: usize) -> Answer {
    let mut text = String::new();
    for Section { title, findings } in sections {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{title}");
        for Finding { level, what, advice } in findings {
            let mark = match level {
                Level::Good => "ok     ",
                Level::Warning => "WARNING",
                Level::Problem => "PROBLEM",
            };
            let _infallible = writeln!(text, "  {mark}  {what}");
            if !advice.is_empty() {
                let _infallible = writeln!(text, "           -> {advice}");
            }
        }
    }
    let json = sections.iter().map(|section| {
        let findings = section
            .findings
            .iter()
            .map(|finding| json!({ "level": finding.level.as_str(), "what": finding.what, "advice": finding.advice }));
        json!({ "title": section.title, "findings": findings.collect::<Vec<Value>>() })
    });
    Answer { text, json: json!({ "problems": problems, "sections": json.collect::<Vec<Value>>() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64, time: i64) -> BlockRef {
        BlockRef { number, hash: String::new(), time: UnixSeconds(time) }
    }

    #[track_caller]
    fn check(cursor: Option<i64>, head: i64, now: Option<i64>, expected: &[(Level, &str)]) {
        let mut section = Section::new(String::new());
        check_reading(cursor.map(|time| block(7, time)).as_ref(), &block(9, head), now.map(UnixSeconds), &mut section);
        let found = section.findings.iter().map(|finding| (finding.level, finding.what.as_str()));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn reading_that_lags_and_a_chain_that_stands_still_are_problems() {
        use Level::{Good, Problem, Warning};

        check(Some(1_000), 1_060, Some(1_660), &[(Good, "read up to block 7, 60 s behind the newest")]);
        check(Some(1_000), 1_061, Some(1_070), &[(Problem, "read up to block 7, 61 s behind the newest")]);
        check(
            None,
            1_000,
            Some(1_601),
            &[(Problem, "the newest block, 9, is 601 s old"), (Warning, "no block was read so far")],
        );
        check(Some(1_000), 1_000, None, &[(Good, "read up to block 7, 0 s behind the newest")]);
    }
}

//! Watching chains: a task for each network that reads it block by block and reports what it saw.
//!
//! What a transfer means is decided elsewhere; nothing here knows what an invoice is owed.

pub mod evm;
mod outages;
pub mod rpc;
pub mod solana;
mod step;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use wire::Environment;

use self::{evm::WITNESSES, outages::OFFERED_FOR, rpc::Rpc};
pub use self::{
    outages::Outages,
    rpc::AddedEndpoints,
    solana::TokenAccounts,
    step::{Fitness, Step, StepError},
};
use crate::{
    alarm,
    app::App,
    config::{NetworkConfig, NetworkKind},
    nodes,
    store::{Lease, StoreError},
};

/// The longest pause between two tries while a network cannot be read.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Tells, at the start, what the configuration leaves to be desired: networks with real money that only one host is
/// asked about, and facts of networks and tokens that are not configured any more.
///
/// # Errors
///
/// If the database refuses.
pub async fn tell_of_gaps(app: &App) -> Result<(), StoreError> {
    if app.config.environment == Environment::Mainnet {
        for network in &app.config.networks {
            let rpc = Rpc::with_added(network, &app.added_endpoints, app.config.merchants.rpc_targets());
            if rpc.hosts().len() < WITNESSES {
                tracing::warn!(
                    payment.network = network.name,
                    single_source_usd = app.config.invoices.single_source_usd,
                    "payments count on the word of one endpoint, and none does for larger invoices; configure another one, \
                     of another provider"
                );
            }
        }
    }
    for open in app.store.reader().await?.tx().open_facts().await? {
        let missing = match app.config.network(&open.network) {
            None => "network",
            Some(network) if network.tokens.iter().all(|token| token.token_id() != open.token) => "token",
            Some(_) => continue,
        };
        tracing::error!(
            alarm = alarm::FACTS_NOT_FOLLOWED,
            payment.network = open.network,
            token.id = open.token.0,
            facts.count = open.count,
            missing,
            "ALARM: payments or sweeps that are not final are of a network or token that is not configured any more; \
             they are not followed until it is again"
        );
    }
    Ok(())
}

/// Watches a network whenever this node holds the lease for it, until shutdown.
pub async fn run(app: App, network: NetworkConfig) {
    let lease = format!("{}{}", nodes::WATCH, network.name);
    nodes::hold(&app, &lease, |lease| watch(app.clone(), network.clone(), lease)).await;
}

/// Ends when the lease is lost. If going on could lose money, it goes on no more, but keeps the lease: any other
/// node would come to the same end.
async fn watch(app: App, network: NetworkConfig, lease: Lease) {
    let name = network.name.clone();
    let [poll, idle_poll] = [network.poll_ms, network.idle_poll_ms].map(Duration::from_millis);
    let outages = Arc::clone(&app.outages);
    let mut pause = Pause::new(poll, Arc::clone(&outages));
    let _watch = outages.watch(&name);
    let mut watcher = Watcher::new(app.clone(), network, lease);
    let mut told = None;
    loop {
        match watcher.check_fitness().await {
            Ok(Fitness::Fit) => break,
            // A node that still catches up lacks contracts too, so it is worth looking again.
            Ok(Fitness::Unfit(reason)) => {
                pause.all_is_well(&name);
                outages.stopped(&name);
                if told.as_ref() != Some(&reason) {
                    tracing::error!(
                        alarm = alarm::NETWORK_UNFIT,
                        payment.network = name,
                        reason,
                        "ALARM: the network is not watched"
                    );
                    told = Some(reason);
                }
                tokio::time::sleep(LONGEST_PAUSE).await;
            }
            Err(error) => pause.after_error(&name, &error).await,
        }
    }
    outages.ended(&name);
    tracing::info!(payment.network = name, "the network is watched");
    loop {
        // Looks begin that far apart, however long each takes, so that what comes between two waits for half of it.
        let began = Instant::now();
        match watcher.step().await {
            Ok(Step::Recorded { is_at_head: false } | Step::Outrun) => pause.all_is_well(&name),
            Ok(_) => {
                pause.all_is_well(&name);
                tokio::time::sleep_until(began + poll).await;
                wait_for_payers(&app, &name, poll, began + idle_poll).await;
            }
            Err(error @ StepError::TooDeep { .. }) => {
                outages.stopped(&name);
                tracing::error!(
                    alarm = alarm::NETWORK_STOPPED,
                    payment.network = name,
                    error = %error,
                    "ALARM: the network is no longer watched"
                );
                return std::future::pending().await;
            }
            Err(error) if error.is_lease_lost() => {
                tracing::warn!(payment.network = name, error = %error, "what was read is not recorded");
                return;
            }
            Err(error) => pause.after_error(&name, &error).await,
        }
    }
}

/// Waits while nobody pays on a network, so that a shop without customers costs its endpoints little. Looks often whether
/// somebody does by now: whichever node an address is asked of, the database knows.
async fn wait_for_payers(app: &App, network: &str, look_every: Duration, until: Instant) {
    while Instant::now() < until {
        let awaited = match app.store.reader().await {
            Ok(mut reader) => reader.tx().is_anything_awaited(network, app.clock.now()).await,
            Err(error) => Err(error),
        };
        // What cannot be known may be.
        if awaited.unwrap_or(true) {
            return;
        }
        tokio::time::sleep(look_every).await;
    }
}

/// Reads one network, of either kind.
enum Watcher {
    Evm(Box<evm::Watcher>),
    Solana(Box<solana::Watcher>),
}

impl Watcher {
    fn new(app: App, network: NetworkConfig, lease: Lease) -> Self {
        match network.kind {
            NetworkKind::Evm => Self::Evm(Box::new(evm::Watcher::new(app, network, lease))),
            NetworkKind::Solana => Self::Solana(Box::new(solana::Watcher::new(app, network, lease))),
        }
    }

    async fn check_fitness(&self) -> Result<Fitness, StepError> {
        match self {
            Self::Evm(watcher) => watcher.check_fitness().await,
            Self::Solana(watcher) => watcher.check_fitness().await,
        }
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        match self {
            Self::Evm(watcher) => watcher.step().await,
            Self::Solana(watcher) => watcher.step().await,
        }
    }
}

/// Waits longer with each error in a row, and logs each kind of error once.
struct Pause {
    shortest: Duration,
    next: Duration,
    logged: Option<String>,
    /// Since when it cannot be read.
    since: Option<Instant>,
    /// Somebody was told that it cannot for minutes.
    is_told: bool,
    outages: Arc<Outages>,
}

impl Pause {
    fn new(shortest: Duration, outages: Arc<Outages>) -> Self {
        Self { shortest, next: shortest, logged: None, since: None, is_told: false, outages }
    }

    async fn after_error(&mut self, network: &str, error: &StepError) {
        self.outages.began(network);
        let text = with_causes(error);
        if self.logged.as_ref() != Some(&text) {
            tracing::warn!(payment.network = network, error = text, "the network could not be read");
            self.logged = Some(text.clone());
        }
        if self.is_long(Instant::now()) {
            tracing::error!(
                alarm = alarm::NETWORK_UNREADABLE,
                payment.network = network,
                error = text,
                "ALARM: the network could not be read for minutes, and is not offered to payers any more"
            );
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE.max(self.shortest));
    }

    /// Whether the outage has become one that nobody should be sent into, for the first time.
    fn is_long(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let is_news = !self.is_told && OFFERED_FOR < now.saturating_duration_since(since);
        self.is_told |= is_news;
        is_news
    }

    fn all_is_well(&mut self, network: &str) {
        if self.logged.take().is_some() {
            (self.since, self.is_told) = (None, false);
            self.outages.ended(network);
            tracing::info!(payment.network = network, "the network can be read again");
        }
        self.next = self.shortest;
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Log;

    #[tokio::test]
    async fn a_network_that_cannot_be_read_for_minutes_is_an_alarm() {
        let log = Log::default();
        let _listening = log.listen();
        let mut pause = Pause::new(Duration::ZERO, Arc::default());
        let alarms = || log.lines_with("alarm=\"network_unreadable\" payment.network=\"base\"");
        for _ in 0..2 {
            pause.after_error("base", &StepError::Moved).await;
        }
        assert_eq!(alarms(), 0);
        pause.since = Instant::now().checked_sub(OFFERED_FOR + Duration::from_millis(1));
        for _ in 0..3 {
            pause.after_error("base", &StepError::Moved).await;
        }
        assert_eq!(alarms(), 1, "{}", log.text());
    }

    #[test]
    fn a_long_outage_is_told_of_once_and_the_next_one_again() {
        let mut pause = Pause::new(Duration::ZERO, Arc::default());
        let long = OFFERED_FOR + Duration::from_millis(1);
        let began = Instant::now();
        let mut told = |after| pause.is_long(began + after);
        assert_eq!([Duration::ZERO, OFFERED_FOR, long, 2 * long].map(&mut told), [false, false, true, false]);

        pause.logged = Some("what it was".to_owned());
        pause.all_is_well("base");
        let mut told = |after| pause.is_long(began + after);
        let again = [3 * long, 3 * long + OFFERED_FOR, 4 * long, 5 * long];
        assert_eq!(again.map(&mut told), [false, false, true, false]);
    }
}

//! What tokens cost. No price, no quote: never one, never the last value.
//!
//! A dollar token is taken at par, unless its guard, a feed too, says that it is worth something else. Other tokens are
//! priced by a Chainlink aggregator on their own network, or on an EVM network that is read as well, over the endpoints
//! that are there anyway, and where somebody else is asked as well, both must agree.

mod chainlink;
mod guard;
mod opinion;

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::{Address, U256};
use domain::{
    id::TokenId,
    money::Rate,
    time::{UnixMillis, UnixSeconds},
};
use futures_util::future::join_all;

use self::{chainlink::Round, guard::Guard, opinion::Opinion};
use crate::{
    app::App,
    chains::evm::{Node, StepError},
    clock::Clock,
    config::{Config, FeedConfig, NetworkConfig, PriceSource, TokenConfig},
    store::BlockRef,
};

/// A price this young is given again without asking.
const FRESH_FOR_MS: i64 = 10_000;
/// A block of another network than the feed's is priced by what the feed says now, if it is no older.
const OTHER_NETWORK_SECONDS: i64 = 300;
/// A dollar does not fall within seconds, and its feed speaks once a day.
const LOOK_AT_GUARDS_EVERY: Duration = Duration::from_mins(1);
/// Often enough that a price is still fresh when the next one comes, so that no page waits for a chain.
const READ_EVERY: Duration = Duration::from_secs(8);

/// There is no price that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPrice {
    #[error("token {0} is not configured")]
    UnknownToken(TokenId),
    #[error("the feed cannot be read: {0}")]
    Unreachable(String),
    #[error("the feed is no aggregator")]
    NoFeed,
    #[error("the feed says that it costs nothing, or less")]
    NotPositive,
    #[error("the feed's round is not finished")]
    Unfinished,
    #[error("the feed's price is {ahead_seconds} s in the future")]
    FromTheFuture { ahead_seconds: i64 },
    #[error("the feed's price is {age_seconds} s old")]
    Stale { age_seconds: i64 },
    #[error("the feed's price jumped from {before} to {now} (in 1/10^8 dollars) and no second round confirms it yet")]
    Jumped { before: u128, now: u128 },
    #[error("the feed's price fits no amount")]
    OutOfRange,
    #[error("the network's sequencer is down")]
    SequencerDown,
    #[error("the network's sequencer was down until {up_for_seconds} s ago")]
    SequencerJustUp { up_for_seconds: i64 },
    #[error("the feed is on another network, and cannot say what the price was {ago_seconds} s ago")]
    LongAgo { ago_seconds: i64 },
    #[error("the token is worth {usd_e8} (in 1/10^8 dollars), not a dollar")]
    OffPar { usd_e8: u128 },
    #[error("the feed says {feed} and the second opinion {other} (in 1/10^8 dollars)")]
    Disputed { feed: u128, other: u128 },
}

/// A price, and since when its source says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    pub rate: Rate,
    /// `None` for a token taken at par, whose price is never updated.
    pub updated_at: Option<UnixSeconds>,
    /// `None` for a token taken at par.
    pub read: Option<Reading>,
}

/// What a price was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub feed: Address,
    pub round: U256,
    /// The block of the feed's network.
    pub block: u64,
}

/// Where prices come from. Cheap to clone.
#[derive(Clone)]
pub struct Prices(Arc<Shared>);

struct Shared {
    clock: Clock,
    sources: HashMap<TokenId, Source>,
}

enum Source {
    Par(Option<Box<Guard>>),
    Feed(Box<Feed>),
}

struct Feed {
    node: Arc<Node>,
    config: FeedConfig,
    /// Whether it is on another network than the token, whose blocks it knows nothing of.
    is_elsewhere: bool,
    /// The feed of the network's sequencer, if it has one.
    sequencer: Option<Address>,
    opinion: Option<Opinion>,
    memory: std::sync::Mutex<Memory>,
    /// Held while the feed is asked: who comes meanwhile gets the same answer.
    asking: tokio::sync::Mutex<()>,
}

/// What was last read of a feed.
#[derive(Default)]
struct Memory {
    read_at: Option<UnixMillis>,
    /// The last price that passed every check.
    good: Option<Round>,
    /// A price that jumped and waits for a second round.
    doubted: Option<Round>,
}

impl Prices {
    /// Prices of the configured tokens.
    pub fn new(config: &Arc<Config>, clock: Clock) -> Self {
        // Not the watcher's own endpoints: a page that asks for prices must not slow down or rest those.
        let nodes = config.evm_networks().map(|network| (network.name.as_str(), Arc::new(Node::new(network))));
        let nodes: HashMap<&str, Arc<Node>> = nodes.collect();
        let sources = config.networks.iter().flat_map(|network| sources_of(config, network, &nodes)).collect();
        Self(Arc::new(Shared { clock, sources }))
    }

    /// The price a quote may be made at now.
    ///
    /// # Errors
    ///
    /// [`NoPrice`] says why there is none.
    pub async fn current(&self, token: TokenId) -> Result<Rate, NoPrice> {
        self.price(token).await.map(|price| price.rate)
    }

    /// As [`Prices::current`], with the price's age.
    ///
    /// # Errors
    ///
    /// As [`Prices::current`].
    pub async fn price(&self, token: TokenId) -> Result<Price, NoPrice> {
        let feed = match self.source(token)? {
            Source::Feed(feed) => feed,
            Source::Par(guard) => {
                return match guard.as_ref().and_then(|guard| guard.off_par()) {
                    Some(usd_e8) => Err(NoPrice::OffPar { usd_e8 }),
                    None => Ok(Price { rate: Rate::PAR, updated_at: None, read: None }),
                };
            }
        };
        if let Some(price) = feed.fresh(self.0.clock.now_ms()) {
            return Ok(price);
        }
        let _asking = feed.asking.lock().await;
        match feed.fresh(self.0.clock.now_ms()) {
            Some(price) => Ok(price),
            None => feed.ask(&self.0.clock).await,
        }
    }

    /// The price as the chain told it at a block.
    ///
    /// # Errors
    ///
    /// [`NoPrice`] says why there is none.
    pub async fn at_block(&self, token: TokenId, block: &BlockRef) -> Result<Rate, NoPrice> {
        let feed = match self.source(token)? {
            Source::Feed(feed) => feed,
            Source::Par(None) => return Ok(Rate::PAR),
            Source::Par(Some(guard)) => {
                return match guard.off_par_at(block).await {
                    Some(usd_e8) => Err(NoPrice::OffPar { usd_e8 }),
                    None => Ok(Rate::PAR),
                };
            }
        };
        let round = feed.round_for(block).await?;
        match feed.memory().good {
            Some(good) if is_jump(good, round) => Err(jumped(good, round)),
            _ => Ok(round.rate),
        }
    }

    /// Whether a token's price is what a feed says, and not par.
    pub fn has_feed(&self, token: TokenId) -> bool {
        matches!(self.source(token), Ok(Source::Feed(_)))
    }

    /// Looks what all guards say.
    pub async fn look_at_guards(&self) {
        let guards = self.0.sources.values().filter_map(|source| match source {
            Source::Par(guard) => guard.as_ref(),
            Source::Feed(_) => None,
        });
        let _all_looked: Vec<()> = join_all(guards.map(|guard| guard.look(&self.0.clock))).await;
    }

    /// Why the guard of a dollar token said nothing when it was last looked at; `None` if it did, or there is none.
    pub fn silence_of_guard(&self, token: TokenId) -> Option<String> {
        match self.source(token) {
            Ok(Source::Par(Some(guard))) => guard.silence(),
            _ => None,
        }
    }

    fn source(&self, token: TokenId) -> Result<&Source, NoPrice> {
        self.0.sources.get(&token).ok_or(NoPrice::UnknownToken(token))
    }
}

impl Price {
    fn of(round: Round) -> Self {
        let read = Reading { feed: round.feed, round: round.number, block: round.block };
        Self { rate: round.rate, updated_at: Some(round.updated_at), read: Some(read) }
    }
}

/// Keeps every feed's price fresh until shutdown. Whether one can be had is told to those who ask for it.
pub async fn run(app: App) {
    let feeds = app.prices.0.sources.values().filter_map(|source| match source {
        Source::Feed(feed) => Some(feed),
        Source::Par(_) => None,
    });
    let reading = join_all(feeds.map(async |feed| {
        loop {
            let asking = feed.asking.lock().await;
            let _told_to_those_who_ask = feed.ask(&app.clock).await;
            drop(asking);
            tokio::time::sleep(READ_EVERY).await;
        }
    }));
    let guarding = async {
        loop {
            app.prices.look_at_guards().await;
            tokio::time::sleep(LOOK_AT_GUARDS_EVERY).await;
        }
    };
    let reading = async {
        let _there_are_no_feeds: Vec<()> = reading.await;
    };
    tokio::select! {
        () = app.shutdown.cancelled() => {}
        () = async { tokio::join!(reading, guarding); } => {}
    }
}

impl Feed {
    /// The last price, if it is young enough to be given again.
    fn fresh(&self, now: UnixMillis) -> Option<Price> {
        let memory = self.memory();
        let is_fresh = (0..=FRESH_FOR_MS).contains(&now.0.saturating_sub(memory.read_at?.0));
        memory.good.filter(|_| is_fresh).map(Price::of)
    }

    /// Reads the feed at the head.
    async fn ask(&self, clock: &Clock) -> Result<Price, NoPrice> {
        let now = clock.now_ms();
        let round = self.round_at_head(now.as_seconds()).await;
        let round = {
            let mut memory = self.memory();
            memory.read_at = None;
            let round = round?;
            memory.take(round)?;
            round
        };
        if let Some(opinion) = &self.opinion {
            opinion.check(round.rate, now).await?;
        }
        self.memory().read_at = Some(now);
        Ok(Price::of(round))
    }

    async fn round_at_head(&self, now: UnixSeconds) -> Result<Round, NoPrice> {
        let head = self.node.head().await.map_err(|error| unreachable(&error))?.to_block();
        let round = self.round_at(&head).await?;
        // An endpoint that stands still shows an old price as fresh as it was then.
        check_age(round.updated_at, now.max(head.time), self.config.heartbeat_seconds)?;
        Ok(round)
    }

    /// What it said at a block of the token's network.
    async fn round_for(&self, block: &BlockRef) -> Result<Round, NoPrice> {
        if !self.is_elsewhere {
            return self.round_at(block).await;
        }
        let head = self.node.head().await.map_err(|error| unreachable(&error))?.to_block();
        let ago_seconds = head.time.0.saturating_sub(block.time.0);
        if OTHER_NETWORK_SECONDS < ago_seconds.saturating_abs() {
            return Err(NoPrice::LongAgo { ago_seconds });
        }
        self.round_at(&head).await
    }

    /// What it said at a block of its own network.
    async fn round_at(&self, block: &BlockRef) -> Result<Round, NoPrice> {
        if let Some(sequencer) = self.sequencer {
            chainlink::check_sequencer(&self.node, sequencer, block).await?;
        }
        chainlink::read(&self.node, &self.config, block).await
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Takes a round that passed the other checks, unless it is too far from the last good one and no
    /// other round said so before.
    fn take(&mut self, round: Round) -> Result<Rate, NoPrice> {
        if let Some(good) = self.good
            && is_jump(good, round)
        {
            let is_confirmed =
                self.doubted.is_some_and(|doubted| doubted.number < round.number && !is_jump(doubted, round));
            if !is_confirmed {
                if self.doubted.is_none_or(|doubted| is_jump(doubted, round)) {
                    self.doubted = Some(round);
                }
                return Err(jumped(good, round));
            }
        }
        self.good = Some(round);
        self.doubted = None;
        Ok(round.rate)
    }
}

/// More than a fifth up or down.
fn is_jump(before: Round, now: Round) -> bool {
    let (before, now) = (before.rate.usd_e8(), now.rate.usd_e8());
    before / 5 < before.abs_diff(now)
}

fn jumped(before: Round, now: Round) -> NoPrice {
    NoPrice::Jumped { before: before.rate.usd_e8(), now: now.rate.usd_e8() }
}

fn sources_of(config: &Config, network: &NetworkConfig, nodes: &HashMap<&str, Arc<Node>>) -> Vec<(TokenId, Source)> {
    let feed = |feed: &FeedConfig, token: &TokenConfig| {
        let read_on = feed.network.as_deref().unwrap_or(&network.name);
        // The configuration is checked: the network is there, and an EVM one.
        let node = nodes.get(read_on)?;
        Some(Feed {
            node: Arc::clone(node),
            config: feed.clone(),
            is_elsewhere: read_on != network.name,
            sequencer: config.network(read_on).and_then(|network| network.sequencer_feed),
            opinion: token.second_opinion.as_ref().map(|opinion| Opinion::new(network, token, opinion)),
            memory: std::sync::Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    };
    let source = |token: &TokenConfig| match &token.price {
        PriceSource::Par(_) => {
            let guard = token.guard.as_ref().and_then(|guard| Some(Guard::new(network, token, feed(guard, token)?)));
            Some(Source::Par(guard.map(Box::new)))
        }
        PriceSource::Feed(price) => Some(Source::Feed(Box::new(feed(price, token)?))),
    };
    network.tokens.iter().filter_map(|token| Some((token.token_id(), source(token)?))).collect()
}

fn unreachable(error: &StepError) -> NoPrice {
    NoPrice::Unreachable(error.to_string())
}

/// How much older than its heartbeat a feed's answer may be at a block of that time.
fn check_age(updated_at: UnixSeconds, block_time: UnixSeconds, heartbeat_seconds: i64) -> Result<(), NoPrice> {
    const FEED_MAY_BE_AHEAD_SECONDS: i64 = 60;
    const GRACE_SECONDS: i64 = 60;

    let age_seconds = block_time.0.saturating_sub(updated_at.0);
    if age_seconds < -FEED_MAY_BE_AHEAD_SECONDS {
        return Err(NoPrice::FromTheFuture { ahead_seconds: age_seconds.saturating_neg() });
    }
    let heartbeat_and_a_quarter = heartbeat_seconds.saturating_mul(5) / 4;
    if heartbeat_and_a_quarter.saturating_add(GRACE_SECONDS) < age_seconds {
        return Err(NoPrice::Stale { age_seconds });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(number: u64, dollars: u128) -> Round {
        Round {
            number: alloy_primitives::U256::from(number),
            rate: Rate::from_usd_e8(dollars * 100_000_000).unwrap(),
            updated_at: UnixSeconds(0),
            feed: Address::ZERO,
            block: number,
        }
    }

    fn dollars(rate: Result<Rate, NoPrice>) -> Option<u128> {
        rate.ok().map(|rate| rate.usd_e8() / 100_000_000)
    }

    #[test]
    fn a_jump_needs_a_second_round() {
        let mut memory = Memory::default();
        assert_eq!(dollars(memory.take(round(1, 3000))), Some(3000));
        assert_eq!(dollars(memory.take(round(2, 3600))), Some(3600));
        assert_eq!(dollars(memory.take(round(3, 2000))), None);
        assert_eq!(dollars(memory.take(round(3, 2000))), None, "the same round again confirms nothing");
        assert_eq!(dollars(memory.take(round(4, 2100))), Some(2100));
        assert_eq!(dollars(memory.take(round(5, 2100))), Some(2100));
    }

    #[test]
    fn a_jump_that_goes_elsewhere_confirms_nothing() {
        let mut memory = Memory::default();
        assert_eq!(dollars(memory.take(round(1, 3000))), Some(3000));
        assert_eq!(dollars(memory.take(round(2, 1000))), None);
        assert_eq!(dollars(memory.take(round(3, 9000))), None);
        assert_eq!(dollars(memory.take(round(4, 1000))), None);
        assert_eq!(dollars(memory.take(round(5, 3100))), Some(3100), "back to normal needs no second round");
        assert_eq!(dollars(memory.take(round(6, 1000))), None, "and forgets the doubt");
    }

    #[test]
    fn age_is_measured_against_the_block() {
        let check = |updated_at, block_time| check_age(UnixSeconds(updated_at), UnixSeconds(block_time), 3600);
        assert_eq!(check(10_000, 10_000), Ok(()));
        assert_eq!(check(10_000, 14_560), Ok(()));
        assert_eq!(check(10_000, 14_561), Err(NoPrice::Stale { age_seconds: 4561 }));
        assert_eq!(check(10_060, 10_000), Ok(()));
        assert_eq!(check(10_061, 10_000), Err(NoPrice::FromTheFuture { ahead_seconds: 61 }));
        assert_eq!(check(i64::MAX, 0), Err(NoPrice::FromTheFuture { ahead_seconds: i64::MAX }));
    }
}

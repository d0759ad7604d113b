//! Whether a dollar token is still worth a dollar.
//!
//! Par must not depend on a feed: one that cannot be read, or is old, changes nothing. One that says the token is worth
//! something else takes the token out of new quotes until it says otherwise, and leaves what comes without a quote
//! meanwhile for somebody to decide about: whoever knows an address must not be able to pay with what is no dollar.

use std::{
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
};

use super::{Feed, NoPrice};
use crate::{
    alarm,
    clock::Clock,
    config::{NetworkConfig, TokenConfig},
    store::BlockRef,
};

/// What a token may be worth and still be taken for a dollar, in hundred-millionths of one.
const PAR_USD_E8: RangeInclusive<u128> = 98_000_000..=102_000_000;

pub(super) struct Guard {
    feed: Feed,
    network: String,
    token: i64,
    symbol: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the token was worth when it was last seen off par; `None` while it is a dollar.
    off_par: Option<u128>,
    /// Why the feed was last of no use, as it was told.
    told: Option<String>,
}

impl Guard {
    pub fn new(network: &NetworkConfig, token: &TokenConfig, feed: Feed) -> Self {
        let (network, symbol) = (network.name.clone(), token.symbol.clone());
        Self { feed, network, token: token.id, symbol, state: Mutex::default() }
    }

    /// What it is worth, if that is not a dollar.
    pub fn off_par(&self) -> Option<u128> {
        self.state().off_par
    }

    /// What it was worth at a block, if that was not a dollar. Where the feed cannot be read, what is known now has to do.
    pub async fn off_par_at(&self, block: &BlockRef) -> Option<u128> {
        match self.feed.round_for(block).await {
            Ok(round) => off_par(round.rate.usd_e8()),
            Err(_) => self.off_par(),
        }
    }

    /// Why the feed was of no use when it was last looked at.
    pub fn silence(&self) -> Option<String> {
        self.state().told.clone()
    }

    /// Looks what the feed says. What changes is told once.
    pub async fn look(&self, clock: &Clock) {
        let said = match self.feed.ask(clock).await {
            Ok(price) => Ok(price.rate.usd_e8()),
            // That it moved a lot is just what is asked here.
            Err(NoPrice::Jumped { now, .. }) => Ok(now),
            Err(reason) => Err(reason.to_string()),
        };
        let mut state = self.state();
        match said {
            Ok(usd_e8) => {
                let off_par = off_par(usd_e8);
                if off_par.is_some() != state.off_par.is_some() {
                    let (network, id, symbol) = (&self.network, self.token, &self.symbol);
                    if off_par.is_some() {
                        tracing::error!(
                            alarm = alarm::DOLLAR_TOKEN_OFF_PAR,
                            payment.network = network,
                            token.id = id,
                            token.symbol = symbol,
                            token.usd_e8 = %usd_e8,
                            "ALARM: a dollar token is not worth a dollar; it is not quoted any more"
                        );
                    } else {
                        tracing::info!(
                            payment.network = network,
                            token.id = id,
                            token.symbol = symbol,
                            "a dollar token is worth a dollar again"
                        );
                    }
                }
                *state = State { off_par, told: None };
            }
            Err(reason) => {
                if state.told.as_ref() != Some(&reason) {
                    tracing::warn!(
                        payment.network = self.network,
                        token.id = self.token,
                        token.symbol = self.symbol,
                        reason,
                        "nobody says what a dollar token is worth; it is quoted as before"
                    );
                    state.told = Some(reason);
                }
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn off_par(usd_e8: u128) -> Option<u128> {
    (!PAR_USD_E8.contains(&usd_e8)).then_some(usd_e8)
}

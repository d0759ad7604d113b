//! Which networks are not read at present. Nobody should be sent to pay where nobody looks.
//!
//! A network that this node watches is judged by what its watcher reports here. Any other is judged by what its
//! holder says in the lease, and by whether anybody holds it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::store::{Impairment, LeaseState};

/// A network that cannot be read is offered for so long: most outages are shorter than a payment takes.
pub(super) const OFFERED_FOR: Duration = Duration::from_mins(2);

/// What is known of the networks.
#[derive(Debug, Default)]
pub struct Outages(Mutex<Networks>);

#[derive(Debug, Default)]
struct Networks {
    /// What the watchers of this node report.
    here: HashMap<String, Outage>,
    /// What other nodes say.
    elsewhere: HashMap<String, Outage>,
    /// Those that this node watches.
    watched: HashSet<String>,
}

#[derive(Clone, Copy, Debug)]
enum Outage {
    Since(Instant),
    /// It is not watched until somebody does something about it.
    Stopped,
}

/// This node's watch over a network; ends when dropped.
pub struct Watch<'o> {
    outages: &'o Outages,
    network: &'o str,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut networks = self.outages.lock();
        networks.watched.remove(self.network);
        networks.here.remove(self.network);
    }
}

impl Outages {
    /// From now on it is this node's own watcher that knows how a network fares.
    pub fn watch<'o>(&'o self, network: &'o str) -> Watch<'o> {
        self.lock().watched.insert(network.to_owned());
        Watch { outages: self, network }
    }

    /// A network could not be read.
    pub fn began(&self, network: &str) {
        self.began_at(network, Instant::now());
    }

    pub(crate) fn began_at(&self, network: &str, now: Instant) {
        self.lock().here.entry(network.to_owned()).or_insert(Outage::Since(now));
    }

    /// A network is not watched any more, or not yet.
    pub fn stopped(&self, network: &str) {
        self.lock().here.insert(network.to_owned(), Outage::Stopped);
    }

    /// A network can be read.
    pub fn ended(&self, network: &str) {
        self.lock().here.remove(network);
    }

    /// What other nodes have just said, by network.
    pub fn told(&self, leases: &HashMap<String, LeaseState>) {
        self.told_at(leases, Instant::now());
    }

    fn told_at(&self, leases: &HashMap<String, LeaseState>, now: Instant) {
        // A clock that is younger than the outage cannot say when that began; it was long ago.
        let ago = |duration| now.checked_sub(duration).map_or(Outage::Stopped, Outage::Since);
        let outage = |state: &LeaseState| match (state.free_for, state.impairment) {
            (_, Some(Impairment::GivenUp)) => Some(Outage::Stopped),
            (None, Some(Impairment::For(duration))) | (Some(duration), None) => Some(ago(duration)),
            (Some(free_for), Some(Impairment::For(duration))) => Some(ago(free_for.max(duration))),
            (None, None) => None,
        };
        let elsewhere = leases.iter().filter_map(|(network, state)| Some((network.clone(), outage(state)?)));
        self.lock().elsewhere = elsewhere.collect();
    }

    /// What other nodes are to be told of a network that this one watches.
    pub fn impairment(&self, network: &str) -> Option<Impairment> {
        self.lock().here.get(network).map(|outage| match outage {
            Outage::Since(began) => Impairment::For(began.elapsed()),
            Outage::Stopped => Impairment::GivenUp,
        })
    }

    /// Whether a payment on a network would be seen, as far as is known.
    pub fn is_offered(&self, network: &str) -> bool {
        self.is_offered_at(network, Instant::now())
    }

    /// Whether a network could be read when that was last tried, as far as is known.
    pub fn is_read(&self, network: &str) -> bool {
        let networks = self.lock();
        let is_watched = networks.watched.contains(network);
        !networks.here.contains_key(network) && (is_watched || !networks.elsewhere.contains_key(network))
    }

    fn is_offered_at(&self, network: &str, now: Instant) -> bool {
        let networks = self.lock();
        let elsewhere = networks.elsewhere.get(network).filter(|_| !networks.watched.contains(network));
        [networks.here.get(network), elsewhere].into_iter().flatten().all(|outage| match outage {
            Outage::Since(began) => now.saturating_duration_since(*began) <= OFFERED_FOR,
            Outage::Stopped => false,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Networks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_offered_for_the_first_minutes_of_an_outage() {
        let outages = Outages::default();
        let began = Instant::now();
        let end = began + OFFERED_FOR;
        outages.began_at("base", began);
        outages.began_at("base", end);
        assert!(outages.is_offered_at("base", end));
        let later = end + Duration::from_millis(1);
        assert!(!outages.is_offered_at("base", later));
        assert!(outages.is_offered_at("ethereum", later));
        outages.ended("base");
        assert!(outages.is_offered_at("base", later));
    }

    #[test]
    fn a_network_that_is_not_watched_is_not_offered() {
        let outages = Outages::default();
        outages.stopped("base");
        outages.began("base");
        assert!(!outages.is_offered("base"));
        outages.ended("base");
        assert!(outages.is_offered("base"));
    }

    fn state(free_for: Option<Duration>, impairment: Option<Impairment>) -> HashMap<String, LeaseState> {
        let state = LeaseState { name: "watch:base".to_owned(), holder: None, term: 1, free_for, impairment };
        [("base".to_owned(), state)].into()
    }

    #[test]
    fn what_another_node_watches_is_judged_by_what_it_says() {
        let (outages, now) = (Outages::default(), Instant::now() + OFFERED_FOR * 10);
        let longer = OFFERED_FOR + Duration::from_millis(1);
        for (told, is_offered) in [
            (state(None, None), true),
            (state(None, Some(Impairment::For(OFFERED_FOR))), true),
            (state(None, Some(Impairment::For(longer))), false),
            (state(None, Some(Impairment::GivenUp)), false),
            (state(Some(OFFERED_FOR), None), true),
            (state(Some(longer), None), false),
            (HashMap::new(), true),
        ] {
            outages.told_at(&told, now);
            assert_eq!(outages.is_offered_at("base", now), is_offered, "{told:?}");
        }
    }

    #[test]
    fn what_this_node_watches_is_judged_by_its_own_watcher() {
        let outages = Outages::default();
        outages.told(&state(None, Some(Impairment::GivenUp)));
        let watch = outages.watch("base");
        assert!(outages.is_offered("base"));
        outages.stopped("base");
        assert_eq!(outages.impairment("base"), Some(Impairment::GivenUp));
        assert!(!outages.is_offered("base"));
        outages.told(&state(None, None));
        assert!(!outages.is_offered("base"));
        drop(watch);
        assert!(outages.is_offered("base"), "whoever watches it now knows better");
    }
}

//! Which networks are not read at present. Nobody should be sent to pay where nobody looks.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A network that cannot be read is offered for so long: most outages are shorter than a payment takes.
const OFFERED_FOR: Duration = Duration::from_mins(2);

/// What the watchers report of their networks.
#[derive(Debug, Default)]
pub struct Outages(Mutex<HashMap<String, Outage>>);

#[derive(Clone, Copy, Debug)]
enum Outage {
    Since(Instant),
    /// It is not watched until somebody does something about it.
    Stopped,
}

impl Outages {
    /// A network could not be read.
    pub fn began(&self, network: &str) {
        self.began_at(network, Instant::now());
    }

    fn began_at(&self, network: &str, now: Instant) {
        self.lock().entry(network.to_owned()).or_insert(Outage::Since(now));
    }

    /// A network is not watched any more, or not yet.
    pub fn stopped(&self, network: &str) {
        self.lock().insert(network.to_owned(), Outage::Stopped);
    }

    /// A network can be read.
    pub fn ended(&self, network: &str) {
        self.lock().remove(network);
    }

    /// Whether a payment on a network would be seen, as far as is known.
    pub fn is_offered(&self, network: &str) -> bool {
        self.is_offered_at(network, Instant::now())
    }

    fn is_offered_at(&self, network: &str, now: Instant) -> bool {
        match self.lock().get(network) {
            None => true,
            Some(Outage::Since(began)) => now.saturating_duration_since(*began) <= OFFERED_FOR,
            Some(Outage::Stopped) => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Outage>> {
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
}

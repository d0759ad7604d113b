//! How often the page asks anew, however fast news comes.

/// Between fetches in the long run: a session may make 60 requests a minute, and may have two pages open.
const GAP_MS: i64 = 2_000;
/// How many fetches events may have ahead of that pace. A payment has few events, and each is what a payer waits for.
const EVENTS_AHEAD: i64 = 4;

/// What a page is told that it has to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// A number may have gone up: with every block, on a fast chain.
    Changed,
    /// Something happened that a payer waits for.
    Event,
}

/// When the page may fetch again, in milliseconds of its own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// When all fetches so far would be through at the pace of the long run.
    paid_up_ms: i64,
}

impl Pace {
    /// Whether news may be fetched now; if so, the fetch is counted.
    pub fn admits(&mut self, news: News, page_ms: i64) -> bool {
        let ahead_ms = match news {
            News::Changed => 0,
            News::Event => EVENTS_AHEAD * GAP_MS,
        };
        let is_admitted = self.paid_up_ms <= page_ms.saturating_add(ahead_ms);
        if is_admitted {
            self.paid_up_ms = self.paid_up_ms.max(page_ms).saturating_add(GAP_MS);
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_fetched_at_once_though_the_page_has_just_fetched() {
        let mut pace = Pace::default();
        assert!(pace.admits(News::Changed, 10_000));
        assert!(pace.admits(News::Event, 10_001));
    }

    #[test]
    fn blocks_are_fetched_as_they_come_but_not_more_often_than_each_gap() {
        let mut pace = Pace::default();
        let fetched: Vec<i64> = (0..8).map(|half| half * 500).filter(|at| pace.admits(News::Changed, *at)).collect();
        assert_eq!(fetched, [0, 2_000]);
    }

    #[test]
    fn a_flood_of_events_is_fetched_at_the_pace_of_the_long_run() {
        let mut pace = Pace::default();
        let in_a_minute = (0..60_000).step_by(10).filter(|at| pace.admits(News::Event, *at)).count();
        assert_eq!(in_a_minute, 30 + 4);
    }
}

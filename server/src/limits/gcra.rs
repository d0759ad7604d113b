//! How much is too much: the generic cell rate algorithm.
//!
//! It is the leaky bucket as ATM networks keep it, with one number for each caller: when the last request would
//! have been due, had all come evenly. A quota can be used at once and comes back evenly.
//!
//! Our own, as `governor` fixes the quota when it is made, which here changes with the number of living nodes,
//! and has no bound on how many callers it remembers.

use domain::time::UnixMillis;

const MINUTE_MICROS: i64 = 60_000_000;

/// The most a quota can be; beyond it, one request would come back in less than the clock can tell.
pub const MOST_PER_MINUTE: u32 = 1_000_000;

/// Requests that may be made at once; as many come back in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota(u32);

/// The moment at which everything has come back, in microseconds. All that is known of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WholeAt(i64);

/// What a request has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub quota: u32,
    pub remaining: u32,
    /// Until all of it has come back, rounded up.
    pub whole_in_seconds: i64,
    /// Until there is one again, at least 1; `None` if the request was allowed.
    pub retry_after_seconds: Option<i64>,
}

impl Quota {
    /// For counting where there is no limit.
    pub const LARGEST: Self = Self(MOST_PER_MINUTE);

    /// This many in a minute; `None` for 0, which stands for no limit.
    pub fn per_minute(requests: u32) -> Option<Self> {
        (requests != 0).then_some(Self(requests.min(MOST_PER_MINUTE)))
    }

    /// One node's part of it, at least one request.
    #[must_use]
    pub fn shared_by(self, nodes: u32) -> Self {
        Self((self.0 / nodes.max(1)).max(1))
    }

    fn interval(self) -> i64 {
        MINUTE_MICROS / i64::from(self.0)
    }

    fn window(self) -> i64 {
        self.interval() * i64::from(self.0)
    }

    /// Where a caller is, if it asked nothing before or is known from `known`.
    fn whole_at(self, known: Option<WholeAt>, now: i64) -> i64 {
        // A clock that was set back, or a quota that became smaller, must not keep anybody out for long.
        known.map_or(now, |WholeAt(at)| at.clamp(now, now.saturating_add(self.window())))
    }

    /// Counts one request at `now`, unless that is too many; the first part is what to remember of it.
    pub fn take(self, known: Option<WholeAt>, now: UnixMillis) -> (WholeAt, Standing) {
        let now = micros(now);
        let before = self.whole_at(known, now);
        let after = before.saturating_add(self.interval());
        let is_allowed = after - now <= self.window();
        let at = if is_allowed { after } else { before };
        let retry_after = (!is_allowed).then(|| seconds(after - now - self.window()).max(1));
        (WholeAt(at), self.standing(at, now, retry_after))
    }

    /// What [`Quota::take`] would say, counting nothing.
    pub fn peek(self, known: Option<WholeAt>, now: UnixMillis) -> Standing {
        self.take(known, now).1
    }

    fn standing(self, at: i64, now: i64, retry_after_seconds: Option<i64>) -> Standing {
        let left = (self.window() - (at - now)) / self.interval();
        Standing {
            quota: self.0,
            remaining: u32::try_from(left).unwrap_or_default(),
            whole_in_seconds: seconds(at - now),
            retry_after_seconds,
        }
    }
}

impl WholeAt {
    /// Whether there is nothing left to remember.
    pub fn is_past(self, now: UnixMillis) -> bool {
        self.0 <= micros(now)
    }
}

fn micros(time: UnixMillis) -> i64 {
    time.0.saturating_mul(1000)
}

/// Rounded up, so that whoever waits that long has waited long enough.
fn seconds(micros: i64) -> i64 {
    (micros.max(0) + 999_999) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000;

    /// One caller under a quota.
    struct Caller {
        quota: Quota,
        known: Option<WholeAt>,
    }

    impl Caller {
        fn of(per_minute: u32) -> Self {
            Self { quota: Quota::per_minute(per_minute).unwrap(), known: None }
        }

        fn asks(&mut self, ms: i64) -> Standing {
            let (known, standing) = self.quota.take(self.known, UnixMillis(START + ms));
            self.known = Some(known);
            standing
        }

        fn is_allowed(&mut self, ms: i64) -> bool {
            self.asks(ms).retry_after_seconds.is_none()
        }
    }

    #[test]
    fn the_whole_quota_can_be_used_at_once_and_no_more() {
        let mut caller = Caller::of(100);
        for remaining in (0..100).rev() {
            let standing = caller.asks(0);
            assert_eq!((standing.remaining, standing.retry_after_seconds), (remaining, None));
        }
        let expected = Standing { quota: 100, remaining: 0, whole_in_seconds: 60, retry_after_seconds: Some(1) };
        assert_eq!(caller.asks(0), expected);
        assert_eq!(caller.asks(599), Standing { retry_after_seconds: Some(1), ..expected });
    }

    #[test]
    fn it_comes_back_evenly_and_a_refusal_costs_nothing() {
        let mut caller = Caller::of(6);
        assert!((0..6).all(|_| caller.is_allowed(0)));
        assert_eq!(caller.asks(0).retry_after_seconds, Some(10));
        assert_eq!(caller.asks(3_500).retry_after_seconds, Some(7));
        assert!(!caller.is_allowed(9_999));
        assert!(caller.is_allowed(10_000));
        assert!(!caller.is_allowed(10_000));
        assert!((0..2).all(|_| caller.is_allowed(30_000)));
        assert!(!caller.is_allowed(30_000));
        assert_eq!(
            caller.asks(1_000_000),
            Standing { quota: 6, remaining: 5, whole_in_seconds: 10, retry_after_seconds: None }
        );
    }

    #[test]
    fn over_any_time_at_most_the_quota_and_what_came_back_is_allowed() {
        for per_minute in [1, 7, 60, 100, 999, MOST_PER_MINUTE] {
            let mut caller = Caller::of(per_minute);
            let mut allowed = 0_i64;
            for step in 0..5_000_i64 {
                let ms = step * 37;
                allowed += i64::from(caller.is_allowed(ms)) + i64::from(caller.is_allowed(ms));
                let most = i64::from(per_minute) + i64::from(per_minute) * ms / 60_000 + 1;
                assert!(allowed <= most, "{per_minute} a minute: {allowed} after {ms} ms");
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_a_minute() {
        let mut caller = Caller::of(10);
        assert!((0..10).all(|_| caller.is_allowed(0)));
        assert_eq!(caller.asks(-3_600_000).retry_after_seconds, Some(6));
        assert!(caller.is_allowed(-3_600_000 + 6_000));
    }

    #[test]
    fn a_quota_that_shrinks_lets_its_caller_in_again_within_the_minute() {
        let mut caller = Caller::of(100);
        assert!((0..100).all(|_| caller.is_allowed(0)));
        caller.quota = Quota::per_minute(100).unwrap().shared_by(3);
        assert_eq!(caller.asks(0).quota, 33);
        assert_eq!(caller.asks(0).retry_after_seconds, Some(2));
        assert!(caller.is_allowed(2_000));
    }

    #[test]
    fn nodes_share_a_quota_and_each_has_some_of_it() {
        let shared = |per_minute, nodes| Quota::per_minute(per_minute).unwrap().shared_by(nodes).0;
        assert_eq!([shared(100, 0), shared(100, 1), shared(100, 2), shared(100, 3)], [100, 100, 50, 33]);
        assert_eq!(shared(2, 5), 1);
        assert_eq!(Quota::per_minute(0), None);
    }
}

//! Points in time, in the unit their type names.

use std::fmt;

/// Whole seconds since 1970-01-01 UTC: the resolution of block times and of every deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// This time and `seconds` more; stays at the end of the range instead of wrapping.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The first millisecond of this second.
    pub fn as_millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(1000))
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970-01-01 UTC: used where the wire signs or numbers things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The second this millisecond lies in.
    pub fn as_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0.div_euclid(1000))
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stays_within_its_range() {
        assert_eq!(UnixSeconds(5).plus(-7), UnixSeconds(-2));
        assert_eq!(UnixSeconds(i64::MAX).plus(1), UnixSeconds(i64::MAX));
        assert_eq!(UnixSeconds(i64::MAX).as_millis(), UnixMillis(i64::MAX));
    }

    #[test]
    fn a_second_begins_with_its_first_millisecond_before_1970_too() {
        let check = |millis, second| assert_eq!(UnixMillis(millis).as_seconds(), UnixSeconds(second), "{millis}");
        check(-1001, -2);
        check(-1000, -1);
        check(-1, -1);
        check(0, 0);
        check(999, 0);
        check(1000, 1);
        for second in [-2, 0, 7] {
            assert_eq!(UnixSeconds(second).as_millis().as_seconds(), UnixSeconds(second));
        }
        assert_eq!(UnixSeconds(7).as_millis(), UnixMillis(7000));
    }

    #[test]
    fn times_are_written_as_plain_numbers() {
        assert_eq!((UnixSeconds(7).to_string(), UnixMillis(-7).to_string()), ("7".to_owned(), "-7".to_owned()));
    }
}

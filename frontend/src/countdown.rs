//! How remaining time is written.

use crate::i18n;

/// The time until `until` (epoch seconds) at server time `now_ms`, as a clock: `4:05`, `1:00:00`, `2 days 03:00:00`.
///
/// Rounded up, so that it reads 0:00 only when the time has come.
pub fn clock(until: i64, now_ms: i64) -> String {
    let left_ms = until.saturating_mul(1000).saturating_sub(now_ms).max(0);
    let seconds = left_ms.saturating_add(999) / 1000;
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let t = i18n::text();
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => {
            let clock = format!("{hours:02}:{minutes:02}:{seconds:02}");
            t.days_and_clock(&clock, days.try_into().unwrap_or(u32::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left_ms: i64, expected: &str) {
        assert_eq!(clock(1_000, 1_000_000 - left_ms), expected);
    }

    #[test]
    fn time_left_reads_like_a_clock() {
        check(300_000, "5:00");
        check(299_001, "5:00");
        check(299_000, "4:59");
        check(59_000, "0:59");
        check(3_600_000, "1:00:00");
        check(90_000_000, "1 day 01:00:00");
    }

    #[test]
    fn it_reads_zero_only_when_the_time_has_come_and_never_less() {
        check(1, "0:01");
        check(0, "0:00");
        check(-5_000, "0:00");
        assert_eq!(clock(i64::MIN, i64::MAX), "0:00");
    }
}

//! When a delivery that failed is tried again.

use domain::time::UnixMillis;

/// A receiver may ask for patience, but not for more than this.
const LONGEST_RETRY_AFTER_SECONDS: i64 = 3_600;

/// When to try again after try number `attempts` (the first is 1) failed; `None` gives up.
///
/// `retry_seconds` are the waits in order, each stretched or shortened by up to a fifth as `random`
/// says, so that what failed together does not come back together. `retry_after` is the receiver's own
/// wish, in seconds.
pub(super) fn next_try(
    retry_seconds: &[i64],
    attempts: i64,
    retry_after: Option<i64>,
    now: UnixMillis,
    random: u32,
) -> Option<UnixMillis> {
    let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
    let wait_ms = retry_seconds.get(index)?.saturating_mul(800 + i64::from(random % 401));
    let wished_ms = retry_after.unwrap_or(0).clamp(0, LONGEST_RETRY_AFTER_SECONDS) * 1000;
    Some(UnixMillis(now.0.saturating_add(wait_ms.max(wished_ms))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn wait_ms(attempts: i64, retry_after: Option<i64>, random: u32) -> Option<i64> {
        next_try(&[5, 300], attempts, retry_after, NOW, random).map(|due| due.0 - NOW.0)
    }

    #[test]
    fn each_wait_is_used_once_and_then_it_is_given_up() {
        assert_eq!(wait_ms(1, None, 200), Some(5_000));
        assert_eq!(wait_ms(2, None, 200), Some(300_000));
        assert_eq!(wait_ms(3, None, 200), None);
        assert_eq!(wait_ms(0, None, 200), None);
    }

    #[test]
    fn waits_vary_by_a_fifth_and_no_more() {
        let waits: Vec<_> = (0..10_000).filter_map(|random| wait_ms(1, None, random)).collect();
        assert_eq!(waits.iter().min(), Some(&4_000));
        assert_eq!(waits.iter().max(), Some(&6_000));
        assert_eq!(wait_ms(1, None, u32::MAX).map(|wait| (4_000..=6_000).contains(&wait)), Some(true));
    }

    #[test]
    fn a_receiver_may_ask_for_an_hour_and_not_for_less_than_the_schedule() {
        assert_eq!(wait_ms(1, Some(60), 200), Some(60_000));
        assert_eq!(wait_ms(1, Some(1), 200), Some(5_000));
        assert_eq!(wait_ms(1, Some(i64::MAX), 200), Some(3_600_000));
        assert_eq!(wait_ms(1, Some(-60), 200), Some(5_000));
        assert_eq!(wait_ms(3, Some(60), 200), None);
    }
}

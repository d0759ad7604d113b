//! How long to wait before the next try.

const FIRST_MS: u32 = 1_000;
const LONGEST_MS: u32 = 30_000;

/// Milliseconds to wait after `failures` failed tries in a row: doubling from 1 s to 30 s, of which the random half
/// spreads pages that lost the same server.
pub fn delay_ms(failures: u32, random_permille: u32) -> u32 {
    let doubled = FIRST_MS.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = doubled.min(LONGEST_MS);
    whole / 2 + whole / 2 * random_permille.min(1_000) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_to_thirty() {
        let longest: Vec<u32> = (1..=8).map(|failures| delay_ms(failures, 1_000)).collect();
        assert_eq!(longest, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(delay_ms(u32::MAX, 1_000), 30_000);
    }

    #[test]
    fn half_of_each_wait_is_random() {
        assert_eq!(delay_ms(1, 0), 500);
        assert_eq!(delay_ms(1, 500), 750);
        assert_eq!(delay_ms(6, 0), 15_000);
        assert_eq!(delay_ms(6, 9_999), 30_000);
    }
}

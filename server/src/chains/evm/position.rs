//! Where in its block something happened, as one number that orders as the chain orders.
//!
//! Bits 20 and up hold the transaction's place in the block. Below them, native coin that a transaction
//! moves comes first (0 for its own value, then its inner calls), and logs follow with their number in
//! the block; native coin that came only after the transaction's sweep of it comes last. So a transfer and
//! a sweep of it compare rightly even within one transaction. Value that no transaction explains lies
//! before all of the block, or after it.

use alloy_primitives::Address;

const TRANSACTION_BITS: u32 = 20;
const FIRST_LOG: i64 = 1 << 19;
const FIRST_AFTER_LOGS: i64 = LAST_PLACE - (1 << 16);
const LAST_PLACE: i64 = (1 << TRANSACTION_BITS) - 1;
/// Above any place in any transaction.
const AFTER_ALL: i64 = 1 << 60;

/// The place of a log.
pub fn of_log(transaction_index: u64, log_index: u64) -> i64 {
    place(transaction_index, FIRST_LOG.saturating_add(signed(log_index)).min(FIRST_AFTER_LOGS - 1))
}

/// The place of native coin: 0 is the transaction's own value, then its inner calls in their order.
pub fn of_native(transaction_index: u64, nth: u64) -> i64 {
    place(transaction_index, signed(nth).min(FIRST_LOG - 1))
}

/// Whether it is the place of a transaction's own value.
pub fn is_own_value(position: i64) -> bool {
    (0..AFTER_ALL).contains(&position) && position & LAST_PLACE == 0
}

/// Whether it is the place of a log.
pub fn is_log(position: i64) -> bool {
    (0..AFTER_ALL).contains(&position) && (FIRST_LOG..FIRST_AFTER_LOGS).contains(&(position & LAST_PLACE))
}

/// The place of native coin that came after the transaction's last sweep of its address.
pub fn of_native_after_sweep(transaction_index: u64, nth: u64) -> i64 {
    place(transaction_index, FIRST_AFTER_LOGS.saturating_add(signed(nth)))
}

/// A place of its own for each address, before everything in the block.
pub fn before_all(address: Address) -> i64 {
    -1 - number_of(address)
}

/// A place of its own for each address, after everything in the block.
pub fn after_all(address: Address) -> i64 {
    AFTER_ALL + number_of(address)
}

fn place(transaction_index: u64, place: i64) -> i64 {
    // Far more than any block holds; the cap keeps a liar from wrapping around.
    let transaction_index = signed(transaction_index).min((1 << 39) - 1);
    (transaction_index << TRANSACTION_BITS) | place.min(LAST_PLACE)
}

fn number_of(address: Address) -> i64 {
    address.into_iter().take(7).fold(0, |number, byte| (number << 8) | i64::from(byte))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_order_as_the_chain_does() {
        let address = Address::repeat_byte(0xff);
        let in_order = [
            before_all(address),
            before_all(Address::ZERO),
            of_native(0, 0),
            of_native(0, 1),
            of_log(0, 0),
            of_log(0, 1),
            of_native_after_sweep(0, 0),
            of_native_after_sweep(0, 1),
            of_native(1, 0),
            of_log(1, 2),
            of_log(5000, 100_000),
            after_all(Address::ZERO),
            after_all(address),
        ];
        assert!(in_order.is_sorted_by(|a, b| a < b), "{in_order:?}");
    }

    #[test]
    fn a_transaction_s_own_value_has_a_place_of_its_own() {
        assert!(is_own_value(of_native(0, 0)) && is_own_value(of_native(7, 0)));
        let address = Address::ZERO;
        for other in
            [of_native(7, 1), of_log(7, 0), of_native_after_sweep(7, 0), before_all(address), after_all(address)]
        {
            assert!(!is_own_value(other), "{other}");
        }
    }

    #[test]
    fn a_log_is_told_by_its_place() {
        assert!(is_log(of_log(0, 0)) && is_log(of_log(7, 100_000)) && is_log(of_log(u64::MAX, u64::MAX)));
        let address = Address::repeat_byte(0xff);
        for other in [
            of_native(7, 0),
            of_native(7, u64::MAX),
            of_native_after_sweep(7, 0),
            before_all(address),
            after_all(address),
        ] {
            assert!(!is_log(other), "{other}");
        }
    }

    #[test]
    fn absurd_numbers_stay_below_the_end_of_the_block() {
        assert!(of_log(u64::MAX, u64::MAX) < after_all(Address::ZERO));
        assert!(of_native(7, u64::MAX) < of_log(7, 0));
        assert!(of_log(7, u64::MAX) < of_native_after_sweep(7, 0));
        assert!(of_native_after_sweep(7, u64::MAX) < of_native(8, 0));
    }
}

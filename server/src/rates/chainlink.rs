//! Reading a Chainlink aggregator, and what makes its answer a price.

use alloy_primitives::{Address, I256, U256};
use domain::{money::Rate, time::UnixSeconds};

use super::{NoPrice, check_age, unreachable};
use crate::{chains::evm::Node, config::FeedConfig, store::BlockRef};

alloy_sol_types::sol! {
    function decimals() external view returns (uint8 decimals);
    function latestRoundData() external view returns (
        uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound
    );
}

/// A price and the round it was agreed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub number: U256,
    pub rate: Rate,
    pub updated_at: UnixSeconds,
    pub feed: Address,
    /// The block at which it was read.
    pub block: u64,
}

/// After its sequencer was down, a network's feeds are given so long to catch up.
const SEQUENCER_GRACE_SECONDS: i64 = 3_600;

/// Makes sure that a network's sequencer is up at a block, and has been for a while: prices cannot move while it is
/// down.
pub(super) async fn check_sequencer(node: &Node, feed: Address, block: &BlockRef) -> Result<(), NoPrice> {
    let round = node.call_at_block(feed, &latestRoundDataCall {}, block).await;
    let round = round.map_err(|error| unreachable(&error))?.ok_or(NoPrice::NoFeed)?;
    let since = i64::try_from(round.startedAt).unwrap_or(i64::MAX);
    // The answer is 0 while it is up; a start of 0 is a round that has not begun.
    if round.answer != I256::ZERO || since == 0 {
        return Err(NoPrice::SequencerDown);
    }
    let up_for_seconds = block.time.0.saturating_sub(since);
    if up_for_seconds <= SEQUENCER_GRACE_SECONDS {
        return Err(NoPrice::SequencerJustUp { up_for_seconds });
    }
    Ok(())
}

/// Reads the price a feed had at a block.
pub(super) async fn read(node: &Node, feed: &FeedConfig, block: &BlockRef) -> Result<Round, NoPrice> {
    let round = node.call_at_block(feed.feed, &latestRoundDataCall {}, block).await;
    let round = round.map_err(|error| unreachable(&error))?.ok_or(NoPrice::NoFeed)?;
    let decimals = node.call_at_block(feed.feed, &decimalsCall {}, block).await;
    let decimals = decimals.map_err(|error| unreachable(&error))?.ok_or(NoPrice::NoFeed)?;

    let rate = to_rate(round.answer, decimals)?;
    if round.updatedAt == U256::ZERO {
        return Err(NoPrice::Unfinished);
    }
    let updated_at = UnixSeconds(i64::try_from(round.updatedAt).unwrap_or(i64::MAX));
    check_age(updated_at, block.time, feed.heartbeat_seconds)?;
    Ok(Round { number: U256::from(round.roundId), rate, updated_at, feed: feed.feed, block: block.number })
}

/// An answer in hundred-millionths of a dollar; what does not fit is rounded down.
fn to_rate(answer: I256, decimals: u8) -> Result<Rate, NoPrice> {
    if answer <= I256::ZERO {
        return Err(NoPrice::NotPositive);
    }
    let answer = answer.into_raw();
    let scaled = match decimals.checked_sub(8) {
        Some(surplus) => U256::from(10).checked_pow(U256::from(surplus)).map(|scale| answer / scale),
        None => answer.checked_mul(U256::from(10).pow(U256::from(8 - decimals))),
    };
    let usd_e8 = scaled.and_then(|scaled| u128::try_from(scaled).ok()).ok_or(NoPrice::OutOfRange)?;
    Rate::from_usd_e8(usd_e8).ok_or(NoPrice::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: i128, decimals: u8, expected: Option<u128>) {
        let answer = I256::try_from(answer).unwrap();
        assert_eq!(to_rate(answer, decimals).ok().map(Rate::usd_e8), expected);
    }

    #[test]
    fn an_answer_is_scaled_to_eight_decimals() {
        check(300_000_000_000, 8, Some(300_000_000_000));
        check(3000, 0, Some(300_000_000_000));
        check(3_000_000_000_000_000_000_000, 18, Some(300_000_000_000));
        check(19_999_999_999, 18, Some(1));
    }

    #[test]
    fn nothing_and_less_are_no_price() {
        check(0, 8, None);
        check(-1, 8, None);
    }

    #[test]
    fn what_fits_nothing_is_no_price() {
        check(1, 18, None);
        check(1, 255, None);
        check(i128::MAX, 0, None);
    }
}

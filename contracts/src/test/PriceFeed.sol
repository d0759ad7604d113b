// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A price feed with the reading side of a Chainlink aggregator, set by anybody.
/// @notice Fresh at every block until `set` pins the time, so that a demo left running does not go
/// stale and a test can make it stale.
contract PriceFeed {
    uint8 public constant decimals = 8;
    uint256 public constant version = 1;

    int256 private answer;
    uint80 private round = 1;
    bool private pinned;
    uint256 private pinnedAt;

    constructor(int256 answer_) {
        answer = answer_;
    }

    /// @notice Starts a new round whose price and time are exactly these, sensible or not.
    function set(int256 answer_, uint256 updatedAt_) external {
        answer = answer_;
        pinned = true;
        pinnedAt = updatedAt_;
        ++round;
    }

    function description() external pure returns (string memory) {
        return "ETH / USD";
    }

    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 price, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        updatedAt = pinned ? pinnedAt : block.timestamp;
        return (round, answer, updatedAt, updatedAt, round);
    }
}

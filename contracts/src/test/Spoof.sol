// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Says that money moved where none did.
/// @notice Its event is byte for byte a token's `Transfer`; only the contract that emits it differs.
contract Spoof {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function announce(address from, address to, uint256 value) external {
        emit Transfer(from, to, value);
    }
}

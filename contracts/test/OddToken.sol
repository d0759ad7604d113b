// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice What is odd about a token. Up to `ChargesOnTop` it is about `transfer`, after that about `balanceOf`.
enum Oddity {
    None,
    ReturnsNothing,
    ReturnsMore,
    ReturnsFalse,
    ReturnsFalseButMoves,
    ReturnsTwo,
    ReturnsOneByte,
    Reverts,
    RevertsWithTrue,
    RevertsHugely,
    ReturnsHugely,
    BurnsGas,
    MovesNothing,
    TakesFee,
    ChargesOnTop,
    Overstates,
    Understates,
    BalanceIsLonger,
    BalanceReverts,
    BalanceRevertsWithNumber,
    BalanceIsShort,
    BalanceIsEmpty,
    BalanceIsHuge,
    BalanceBurnsGas
}

/// @title A token as bad as it is asked to be, with an issuer who can block holders.
contract OddToken {
    error Blocked(address holder);
    error InsufficientBalance();
    error Refused();

    /// @dev 2.5 MB: 16 million gas pay for returning it, but not for copying it as well.
    uint256 private constant HUGE = 5 << 19;

    mapping(address => uint256) private held;
    mapping(address => bool) public blocked;
    Oddity public oddity;

    /// @dev Called in the middle of the next `transfer`, once: before anything moved, or after.
    address private target;
    bytes private call;
    bool private callsFirst;
    bool public wasReentered;

    constructor(Oddity oddity_) {
        oddity = oddity_;
    }

    function mint(address to, uint256 value) external {
        held[to] += value;
    }

    /// @notice Multiplies a balance, as rebasing tokens do.
    function rebase(address holder, uint256 numerator, uint256 denominator) external {
        held[holder] = (held[holder] * numerator) / denominator;
    }

    function setOddity(Oddity oddity_) external {
        oddity = oddity_;
    }

    function setBlocked(address holder, bool blocked_) external {
        blocked[holder] = blocked_;
    }

    function reenter(address target_, bytes calldata call_, bool callsFirst_) external {
        (target, call, callsFirst, wasReentered) = (target_, call_, callsFirst_, false);
    }

    /// @notice What is really there.
    function trueBalanceOf(address holder) external view returns (uint256) {
        return held[holder];
    }

    function balanceOf(address holder) external view returns (uint256) {
        if (oddity == Oddity.Overstates) return held[holder] + 1;
        if (oddity == Oddity.Understates) return held[holder] / 2;
        if (oddity == Oddity.BalanceReverts) revert Refused();
        if (oddity == Oddity.BalanceRevertsWithNumber) _refuse(held[holder], 32);
        if (oddity == Oddity.BalanceIsLonger) _answer(held[holder], 64);
        if (oddity == Oddity.BalanceIsShort) _answer(1, 31);
        if (oddity == Oddity.BalanceIsEmpty) _answer(0, 0);
        if (oddity == Oddity.BalanceIsHuge) _answer(held[holder], HUGE);
        if (oddity == Oddity.BalanceBurnsGas) _burn();
        return held[holder];
    }

    function transfer(address to, uint256 value) external returns (bool) {
        if (callsFirst) _reenter();

        if (oddity == Oddity.Reverts) revert Refused();
        if (oddity == Oddity.RevertsWithTrue) _refuse(1, 32);
        if (oddity == Oddity.RevertsHugely) _refuse(0, HUGE);
        if (oddity == Oddity.BurnsGas) _burn();
        if (oddity == Oddity.ReturnsFalse) return false;
        if (oddity == Oddity.MovesNothing) return true;

        uint256 fee = oddity == Oddity.TakesFee ? value / 100 : 0;
        if (blocked[msg.sender]) revert Blocked(msg.sender);
        if (blocked[to]) revert Blocked(to);
        uint256 onTop = oddity == Oddity.ChargesOnTop ? 1 : 0;
        if (held[msg.sender] < value + onTop) revert InsufficientBalance();
        held[msg.sender] -= value + onTop;
        held[to] += value - fee;
        held[address(this)] += fee;

        if (!callsFirst) _reenter();
        if (oddity == Oddity.ReturnsFalseButMoves) return false;
        if (oddity == Oddity.ReturnsNothing) _answer(0, 0);
        if (oddity == Oddity.ReturnsOneByte) _answer(uint256(1) << 248, 1);
        if (oddity == Oddity.ReturnsTwo) _answer(2, 32);
        if (oddity == Oddity.ReturnsMore) _answer(1, 96);
        if (oddity == Oddity.ReturnsHugely) _answer(1, HUGE);
        return true;
    }

    function _reenter() private {
        if (target == address(0)) return;
        (address once, bytes memory data) = (target, call);
        target = address(0);
        wasReentered = true;
        (bool ok, ) = once.call(data);
        ok; // Whether it worked is what the tests look at.
    }

    /// @dev Ends the whole call with `size` bytes that begin with `first`.
    function _answer(uint256 first, uint256 size) private pure {
        assembly {
            mstore(0, first)
            mstore(32, 0)
            return(0, size)
        }
    }

    function _refuse(uint256 first, uint256 size) private pure {
        assembly {
            mstore(0, first)
            revert(0, size)
        }
    }

    function _burn() private pure {
        assembly {
            invalid()
        }
    }
}

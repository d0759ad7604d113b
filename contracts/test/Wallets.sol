// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A merchant's wallet that takes no coin.
contract RejectingWallet {
    error NoCoin();

    receive() external payable {
        revert NoCoin();
    }
}

/// @title A merchant's wallet that burns all gas when coin comes.
contract BurningWallet {
    receive() external payable {
        assembly {
            invalid()
        }
    }
}

/// @title A merchant's wallet that answers coin with 2.5 MB, for whose copying no gas is left.
contract TalkativeWallet {
    receive() external payable {
        assembly {
            return(0, 2621440)
        }
    }
}

/// @title A merchant's wallet that makes a call of its own whenever coin comes.
contract ReentrantWallet {
    address private target;
    bytes private data;
    uint256 private value;
    uint256 private calls;
    uint256 public succeeded;

    /// @notice Makes this call the next `calls_` times that coin comes.
    function plan(address target_, bytes calldata data_, uint256 value_, uint256 calls_) external {
        (target, data, value, calls) = (target_, data_, value_, calls_);
    }

    receive() external payable {
        if (calls == 0) return;
        --calls;
        (bool ok, ) = target.call{value: value}(data);
        if (ok) ++succeeded;
    }
}

/// @title Runs other code as itself.
contract Delegator {
    function run(address code, bytes calldata data) external payable returns (bool ok, bytes memory answer) {
        return code.delegatecall(data);
    }
}

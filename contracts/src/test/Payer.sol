// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

interface IToken {
    function transfer(address to, uint256 value) external returns (bool);
}

interface IDepositFactory {
    function addressOf(address merchant, bytes32 salt) external view returns (address);
    function sweep(address merchant, bytes32[] calldata salts, address[] calldata assets) external;
}

/// @title Pays as exchanges and smart wallets do: from inside a contract, often several at once.
contract Payer {
    error PaymentFailed();

    receive() external payable {}

    /// @notice One transaction, several token payments, out of this contract's own balance.
    function payTokens(address token, address[] calldata to, uint256[] calldata values) external {
        for (uint256 i; i < to.length; ++i) {
            if (!IToken(token).transfer(to[i], values[i])) revert PaymentFailed();
        }
    }

    /// @notice Native coin moved inside a call: the transaction itself names only this contract.
    function payNative(address[] calldata to, uint256[] calldata values) external payable {
        for (uint256 i; i < to.length; ++i) {
            _pay(to[i], values[i]);
        }
    }

    /// @notice Pays a deposit address and sweeps it in the same transaction, so that its balance is
    /// the same before and after.
    function payAndSweep(IDepositFactory factory, address merchant, bytes32 salt) external payable {
        _pay(factory.addressOf(merchant, salt), msg.value);

        bytes32[] memory salts = new bytes32[](1);
        salts[0] = salt;
        factory.sweep(merchant, salts, new address[](1)); // one zero address: the native coin
    }

    function _pay(address to, uint256 value) private {
        (bool sent, ) = to.call{value: value}("");
        if (!sent) revert PaymentFailed();
    }
}

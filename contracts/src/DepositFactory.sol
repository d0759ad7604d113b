// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What every deposit address runs: hand everything to its merchant, and nothing else.
/// @notice A deposit address is a tiny clone that delegates here. The merchant's address is the last
/// 20 bytes of the clone's own code, fixed before the address was ever shown to a payer, so there is
/// nothing to set, to own or to upgrade. This contract has no storage at all.
/// @dev Code here runs by `delegatecall`: `address(this)` is the deposit address, `msg.sender` is
/// whoever called the deposit address, and immutables come from this contract's own code.
contract DepositLogic {
    /// @notice Somebody other than the factory called a deposit address (or this contract) directly.
    error OnlyFactory();
    /// @notice `asset` has no code, or did not answer `balanceOf` with a number.
    error NoBalance(address asset);
    /// @notice The transfer of `asset` to the merchant was refused.
    error SendFailed(address asset);

    /// @dev Where the merchant starts in a clone's code; see `DepositFactory.code`.
    uint256 private constant MERCHANT_OFFSET = 51;

    /// @dev The factory deploys this contract in its constructor, so the creator is the factory.
    address private immutable factory = msg.sender;

    /// @notice Sends the whole balance of one asset to the merchant.
    /// @dev Only the factory may call, because the factory writes the `Swept` event: a sweep that
    /// leaves no event would hide a payment that arrived in the same transaction.
    /// @param asset A token contract, or the zero address for the network's native coin.
    /// @return amount What was sent; 0 when there was nothing to send, which is not an error.
    function sweep(address asset) external returns (uint256 amount) {
        if (msg.sender != factory) revert OnlyFactory();
        return asset == address(0) ? _sweepNative(_merchant()) : _sweepToken(asset, _merchant());
    }

    function _sweepNative(address merchant) private returns (uint256 amount) {
        amount = address(this).balance;
        if (amount == 0) return 0;

        (bool sent, ) = merchant.call{value: amount}("");
        if (!sent) revert SendFailed(address(0));
    }

    /// @dev Low-level calls, because some old tokens return nothing from `transfer` where the
    /// standard promises a boolean. Accepted is: no revert, and either no answer or exactly `true`.
    /// An address without code would accept any call, so it is ruled out first.
    function _sweepToken(address token, address merchant) private returns (uint256 amount) {
        if (token.code.length == 0) revert NoBalance(token);

        (bool ok, bytes memory answer) = token.staticcall(
            abi.encodeWithSignature("balanceOf(address)", address(this))
        );
        if (!ok || answer.length < 32) revert NoBalance(token);
        amount = abi.decode(answer, (uint256));
        if (amount == 0) return 0;

        (ok, answer) = token.call(abi.encodeWithSignature("transfer(address,uint256)", merchant, amount));
        bool accepted = ok && (answer.length == 0 || (answer.length >= 32 && abi.decode(answer, (uint256)) == 1));
        if (!accepted) revert SendFailed(token);
    }

    /// @dev Reads the merchant from the clone's code, where it cannot change.
    function _merchant() private view returns (address merchant) {
        assembly ("memory-safe") {
            extcodecopy(address(), 0, MERCHANT_OFFSET, 20)
            merchant := shr(96, mload(0))
        }
    }
}

/// @title Computes deposit addresses, deploys them when there is something to move, and sweeps them.
/// @notice Anyone may call `sweep`; money only ever goes to the merchant an address was made for.
/// There is no owner, no fee, no pause and no upgrade, and none may ever be added: a changed byte is
/// another factory at another address.
/// @dev Deploy through the deterministic deployer 0x4e59b44847b379578588920cA78FbF26c0B4956C with
/// salt 0: the factory, and with it every deposit address, is then the same on every EVM network.
contract DepositFactory {
    /// @notice The deposit address could not be deployed where it was computed to be.
    error DeployFailed();

    /// @notice `amount` of `asset` (never 0) went from `deposit` to `merchant`.
    event Swept(address indexed merchant, address indexed deposit, address indexed asset, uint256 amount);
    /// @notice One asset of one deposit address stayed where it is; `reason` is the error's bytes.
    event SweepFailed(address indexed merchant, address indexed deposit, address indexed asset, bytes reason);

    /// @notice The code all deposit addresses share.
    address public immutable logic;

    constructor() {
        logic = address(new DepositLogic());
    }

    /// @notice The creation code of a deposit address for `merchant`, 81 bytes.
    /// @dev Byte by byte:
    ///
    /// - `3d604780600a3d3981f3` (10, creation only): return the 71 bytes that follow as the code.
    /// - `36600557005b` (6): with empty calldata stop at once. Receiving plain coin thus costs a
    ///   payer 15 gas more than paying a wallet, even after the address is deployed.
    /// - `363d3d373d3d3d363d73` logic `5af43d82803e903d91603157fd5bf3` (45): otherwise pass the
    ///   call to the logic and return or revert with its answer.
    /// - merchant (20): data, never run; it starts at byte 51 of the deployed code.
    function code(address merchant) public view returns (bytes memory) {
        return
            abi.encodePacked(
                hex"3d604780600a3d3981f3",
                hex"36600557005b",
                hex"363d3d373d3d3d363d73",
                logic,
                hex"5af43d82803e903d91603157fd5bf3",
                merchant
            );
    }

    /// @notice Where money for `merchant` and `salt` goes, whether or not code is there yet.
    function addressOf(address merchant, bytes32 salt) external view returns (address) {
        return _at(salt, keccak256(code(merchant)));
    }

    /// @notice Sends every named asset of every named deposit address to `merchant`.
    /// @dev Deploys an address on its first sweep. One failing asset (a frozen address, a broken
    /// token) is reported as `SweepFailed` and does not stop the others. Naming a merchant that an
    /// address does not belong to leads to another, empty address: nothing moves.
    /// @param salts One per deposit address of that merchant.
    /// @param assets Tokens to move; the zero address means the native coin.
    function sweep(address merchant, bytes32[] calldata salts, address[] calldata assets) external {
        bytes memory creation = code(merchant);
        bytes32 creationHash = keccak256(creation);

        for (uint256 i; i < salts.length; ++i) {
            address deposit = _at(salts[i], creationHash);
            if (deposit.code.length == 0) _deploy(deposit, salts[i], creation);

            for (uint256 j; j < assets.length; ++j) {
                try DepositLogic(deposit).sweep(assets[j]) returns (uint256 amount) {
                    if (amount != 0) emit Swept(merchant, deposit, assets[j], amount);
                } catch (bytes memory reason) {
                    emit SweepFailed(merchant, deposit, assets[j], reason);
                }
            }
        }
    }

    function _deploy(address expected, bytes32 salt, bytes memory creation) private {
        address deployed;
        assembly ("memory-safe") {
            deployed := create2(0, add(creation, 32), mload(creation), salt)
        }
        if (deployed != expected) revert DeployFailed();
    }

    /// @dev The CREATE2 rule of EIP-1014.
    function _at(bytes32 salt, bytes32 creationHash) private view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), salt, creationHash)))));
    }
}

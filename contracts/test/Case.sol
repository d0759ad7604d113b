// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DepositFactory} from "../src/DepositFactory.sol";
import {Vm} from "./Vm.sol";

/// @title What tests start from: the committed bytecode, deployed as it is on a real network.
/// @notice Nothing here compiles the factory. Its source is imported for the shape of its calls and events only; what runs is
/// `artifacts/factory.json`, or the file that `FACTORY_ARTIFACT` names.
abstract contract Kit {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// @dev The deterministic deployer, which forge puts where it is on every network.
    address internal constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    address internal constant NATIVE = address(0);

    DepositFactory internal factory;
    address internal immutable alice = wallet("alice");
    address internal immutable bob = wallet("bob");
    address internal immutable stranger = wallet("stranger");

    /// @notice A wallet that is not a contract and has nothing.
    function wallet(string memory name) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked("wallet of ", name)))));
    }

    function deployFactory() internal returns (DepositFactory deployed) {
        (bool ok, bytes memory answer) = DEPLOYER.call(abi.encodePacked(bytes32(0), creationCode()));
        vm.assertTrue(ok, "the deterministic deployer deploys the factory");
        deployed = DepositFactory(address(bytes20(answer)));
        vm.assertTrue(address(deployed).code.length != 0, "the factory has code");
    }

    function creationCode() internal view returns (bytes memory) {
        string memory path = vm.envOr("FACTORY_ARTIFACT", string("artifacts/factory.json"));
        return vm.parseJsonBytes(vm.readFile(path), ".creation_code");
    }

    /// @notice The code of a deposit address, put together here from the bytes that `AUDIT.md` explains.
    function cloneCode(address merchant) internal view returns (bytes memory) {
        return
            abi.encodePacked(
                hex"36600557005b363d3d373d3d3d363d73",
                factory.logic(),
                hex"5af43d82803e903d91603157fd5bf3",
                merchant
            );
    }

    /// @notice The CREATE2 address of EIP-1014, without asking the factory.
    function predicted(address merchant, bytes32 salt) internal view returns (address) {
        bytes32 creationHash = keccak256(abi.encodePacked(hex"3d604780600a3d3981f3", cloneCode(merchant)));
        return create2(address(factory), salt, creationHash);
    }

    function create2(address creator, bytes32 salt, bytes32 creationHash) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", creator, salt, creationHash)))));
    }

    function list(address one) internal pure returns (address[] memory assets) {
        assets = new address[](1);
        assets[0] = one;
    }

    function list(address one, address two) internal pure returns (address[] memory assets) {
        assets = new address[](2);
        (assets[0], assets[1]) = (one, two);
    }

    function list(address one, address two, address three) internal pure returns (address[] memory assets) {
        assets = new address[](3);
        (assets[0], assets[1], assets[2]) = (one, two, three);
    }

    function list(bytes32 one) internal pure returns (bytes32[] memory salts) {
        salts = new bytes32[](1);
        salts[0] = one;
    }

    function list(bytes32 one, bytes32 two) internal pure returns (bytes32[] memory salts) {
        salts = new bytes32[](2);
        (salts[0], salts[1]) = (one, two);
    }

    function list(bytes32 one, bytes32 two, bytes32 three) internal pure returns (bytes32[] memory salts) {
        salts = new bytes32[](3);
        (salts[0], salts[1], salts[2]) = (one, two, three);
    }

    function noSalts() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    function noAssets() internal pure returns (address[] memory) {
        return new address[](0);
    }

    /// @notice One address and one asset, swept by a stranger.
    function sweep(address merchant, bytes32 salt, address asset) internal {
        vm.prank(stranger);
        factory.sweep(merchant, list(salt), list(asset));
    }

    function payCoin(address deposit, uint256 value) internal {
        vm.deal(address(this), value);
        (bool paid, ) = deposit.call{value: value}("");
        vm.assertTrue(paid, "a deposit address takes plain coin");
    }

    /// @notice Gives coin to `account` without running its code, as a contract that destroys itself does.
    function forceCoin(address account, uint256 value) internal {
        vm.deal(address(this), value);
        bytes memory code = abi.encodePacked(hex"73", account, hex"ff");
        address doomed;
        assembly ("memory-safe") {
            doomed := create(value, add(code, 32), mload(code))
        }
        vm.assertTrue(doomed != address(0), "the contract was made and destroyed itself");
    }

    /// @dev What the factory said, since `vm.recordLogs`, of one asset of one address.
    struct Said {
        uint256 sweeps;
        uint256 amount;
        uint256 failures;
        bytes reason;
    }

    function said(Vm.Log[] memory logs, address merchant, address deposit, address asset)
        internal
        view
        returns (Said memory answer)
    {
        for (uint256 i; i < logs.length; ++i) {
            Vm.Log memory log = logs[i];
            if (log.emitter != address(factory)) continue;
            bool isAboutIt = log.topics[1] == word(merchant) && log.topics[2] == word(deposit) && log.topics[3] == word(asset);
            if (!isAboutIt) continue;
            if (log.topics[0] == DepositFactory.Swept.selector) {
                ++answer.sweeps;
                answer.amount += abi.decode(log.data, (uint256));
            } else if (log.topics[0] == DepositFactory.SweepFailed.selector) {
                ++answer.failures;
                answer.reason = abi.decode(log.data, (bytes));
            }
        }
    }

    /// @notice How many events the factory wrote.
    function eventsOf(Vm.Log[] memory logs) internal view returns (uint256 count) {
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter == address(factory)) ++count;
        }
    }

    function word(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}

/// @title A test with a factory of its own.
abstract contract Case is Kit {
    function setUp() public virtual {
        factory = deployFactory();
    }
}

/// @title The errors of `DepositLogic`, in the shape of calls, which can be encoded.
interface LogicErrors {
    function SendFailed(address asset) external;
    function NoBalance(address asset) external;
}

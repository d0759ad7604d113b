// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What these tests ask of the machine that runs them (forge's cheatcodes).
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    // What a test starts from.
    function readFile(string calldata path) external view returns (string memory text);
    function envOr(string calldata name, string calldata otherwise) external view returns (string memory value);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory value);
    function toString(bytes32 value) external pure returns (string memory text);
    function contains(string calldata text, string calldata part) external pure returns (bool found);

    // Who calls, on which chain, with what.
    function prank(address caller) external;
    function prank(address caller, address origin) external;
    function deal(address account, uint256 balance) external;
    function etch(address account, bytes calldata code) external;
    function chainId(uint256 id) external;

    // What happened.
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory logs);
    function record() external;
    function accesses(address account) external returns (bytes32[] memory reads, bytes32[] memory writes);
    function getNonce(address account) external view returns (uint64 nonce);

    // What has to be.
    function assume(bool condition) external pure;
    function assertTrue(bool condition, string calldata why) external pure;
    function assertEq(uint256 left, uint256 right, string calldata why) external pure;
    function assertEq(address left, address right, string calldata why) external pure;
    function assertEq(bytes32 left, bytes32 right, string calldata why) external pure;
    function assertEq(bytes calldata left, bytes calldata right, string calldata why) external pure;
    function assertNotEq(address left, address right, string calldata why) external pure;
    function assertLt(uint256 left, uint256 right, string calldata why) external pure;
}

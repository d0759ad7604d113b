// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DepositFactory, DepositLogic} from "../src/DepositFactory.sol";
import {TestToken} from "../src/test/TestToken.sol";
import {Case} from "./Case.sol";
import {Delegator} from "./Wallets.sol";

/// @title What the bytecode cannot do, whatever it is asked.
contract Code is Case {
    uint8 private constant SLOAD = 0x54;
    uint8 private constant SSTORE = 0x55;
    uint8 private constant TLOAD = 0x5c;
    uint8 private constant TSTORE = 0x5d;
    uint8 private constant CREATE = 0xf0;
    uint8 private constant CALLCODE = 0xf2;
    uint8 private constant DELEGATECALL = 0xf4;
    uint8 private constant CREATE2 = 0xf5;
    uint8 private constant SELFDESTRUCT = 0xff;
    uint8 private constant ORIGIN = 0x32;
    uint8 private constant GASPRICE = 0x3a;
    uint8 private constant CHAINID = 0x46;

    function test_no_code_can_store_read_a_store_or_destroy_itself() external view {
        checkLacks(abi.encodePacked(SLOAD, SSTORE, TLOAD, TSTORE, CALLCODE, SELFDESTRUCT));
    }

    function test_no_code_can_tell_one_chain_one_block_or_one_sender_of_transactions_from_another() external view {
        checkLacks(abi.encodePacked(ORIGIN, GASPRICE, CHAINID));
        // From the block's hash to its gas limit; and the fees.
        checkLacks(hex"404142434445");
        checkLacks(hex"48494a");
    }

    function test_only_a_deposit_address_runs_other_code_and_only_the_logic() external view {
        vm.assertEq(count(address(factory).code, DELEGATECALL), 0, "the factory");
        vm.assertEq(count(factory.logic().code, DELEGATECALL), 0, "the logic");
        bytes memory clone = beforeMerchant(cloneCode(alice));
        vm.assertEq(count(clone, DELEGATECALL), 1, "a deposit address");
        vm.assertEq(targetOf(clone), factory.logic(), "whose target is part of its code");
    }

    function test_the_factory_creates_deposit_addresses_and_nothing_else_creates() external view {
        vm.assertEq(count(address(factory).code, CREATE2), 1, "the factory, at an address of its choice");
        vm.assertEq(count(address(factory).code, CREATE), 0, "the factory, once it is deployed");
        vm.assertEq(count(factory.logic().code, CREATE2) + count(factory.logic().code, CREATE), 0, "the logic");
    }

    /// @dev A function's selector is a PUSH4 in the code of its contract. Every PUSH4 there is is tried as one.
    function test_there_is_no_function_but_those_that_are_documented() external {
        factory.sweep(alice, list("1"), noAssets());
        bytes4[5] memory known = [
            factory.sweep.selector,
            factory.addressOf.selector,
            factory.code.selector,
            factory.logic.selector,
            DepositLogic.sweep.selector
        ];
        bytes[2] memory codes = [address(factory).code, factory.logic().code];
        address[3] memory targets = [address(factory), factory.logic(), predicted(alice, "1")];
        uint256 functions;
        for (uint256 i; i < codes.length; ++i) {
            bytes4[] memory selectors = selectorsIn(codes[i]);
            for (uint256 j; j < selectors.length; ++j) {
                bool isKnown;
                for (uint256 k; k < known.length; ++k) {
                    isKnown = isKnown || selectors[j] == known[k];
                }
                if (isKnown) ++functions;
                for (uint256 k; k < targets.length && !isKnown; ++k) {
                    (bool ok, ) = targets[k].call(abi.encodePacked(selectors[j], word(stranger), word(stranger), uint256(0)));
                    vm.assertTrue(!ok, vm.toString(bytes32(selectors[j])));
                }
            }
        }
        // Four of the factory, one of the logic; the factory also calls that one.
        vm.assertEq(functions, 6, "the documented ones were found this way");
    }

    function test_nothing_is_stored_by_a_sweep() external {
        address deposit = predicted(alice, "1");
        TestToken token = new TestToken("Test dollar", "USD", 6, false);
        token.mint(deposit, 100);
        payCoin(deposit, 7);

        vm.record();
        factory.sweep(alice, list("1"), list(address(token), NATIVE, stranger));
        checkStoredNothing(address(factory));
        checkStoredNothing(factory.logic());
        checkStoredNothing(deposit);
        (, bytes32[] memory writes) = vm.accesses(address(token));
        vm.assertTrue(writes.length != 0, "while the token did store something, so we would have seen it");
    }

    function test_there_is_nothing_to_initialise_and_nobody_to_obey() external {
        // A deposit address is complete when it is deployed; these are the usual names of what it lacks.
        string[10] memory names = [
            "init(address)",
            "initialize(address)",
            "owner()",
            "transferOwnership(address)",
            "upgradeTo(address)",
            "upgradeToAndCall(address,bytes)",
            "pause()",
            "withdraw()",
            "execute(address,uint256,bytes)",
            "multicall(bytes[])"
        ];
        factory.sweep(alice, list("1"), noAssets());
        address[3] memory targets = [address(factory), factory.logic(), predicted(alice, "1")];
        for (uint256 i; i < names.length; ++i) {
            for (uint256 j; j < targets.length; ++j) {
                (bool ok, ) = targets[j].call(abi.encodeWithSignature(names[i], stranger, 0, "", stranger, 0));
                vm.assertTrue(!ok, names[i]);
            }
        }
    }

    function testFuzz_code_that_is_borrowed_moves_only_the_borrowers_own(address asset, bytes32 salt) external {
        address deposit = predicted(alice, salt);
        TestToken token = new TestToken("Test dollar", "USD", 6, false);
        Delegator delegator = new Delegator();
        token.mint(deposit, 100);
        payCoin(deposit, 7);
        factory.sweep(alice, list(salt), noAssets());

        // The logic: its only caller is the factory, whoever runs it.
        (bool ok, ) = delegator.run(factory.logic(), abi.encodeCall(DepositLogic.sweep, (asset)));
        vm.assertTrue(!ok, "the logic run by a stranger's contract");
        // The factory: it then computes the addresses of the borrower, who is not the caller a deposit address obeys.
        delegator.run(address(factory), abi.encodeCall(DepositFactory.sweep, (alice, list(salt), list(address(token), NATIVE))));
        delegator.run(deposit, abi.encodeCall(DepositLogic.sweep, (address(token))));

        vm.assertEq(token.balanceOf(deposit), 100, "tokens of the deposit address");
        vm.assertEq(deposit.balance, 7, "coin of the deposit address");
    }

    function checkStoredNothing(address account) private {
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(account);
        vm.assertEq(reads.length + writes.length, 0, "accesses of storage");
    }

    function checkLacks(bytes memory instructions) private view {
        bytes[3] memory codes = [address(factory).code, factory.logic().code, beforeMerchant(cloneCode(alice))];
        for (uint256 i; i < codes.length; ++i) {
            vm.assertTrue(codes[i].length != 0, "there is code");
            for (uint256 j; j < instructions.length; ++j) {
                vm.assertEq(count(codes[i], uint8(instructions[j])), 0, "instructions that must not be there");
            }
        }
    }

    /// @dev How often an instruction occurs; what PUSH instructions carry is data and skipped.
    function count(bytes memory code, uint8 instruction) private pure returns (uint256 found) {
        for (uint256 i; i < code.length; ++i) {
            uint8 current = uint8(code[i]);
            if (current == instruction) ++found;
            if (0x60 <= current && current <= 0x7f) i += current - 0x5f;
        }
    }

    function selectorsIn(bytes memory code) private pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](count(code, 0x63));
        uint256 next;
        for (uint256 i; i < code.length; ++i) {
            uint8 current = uint8(code[i]);
            if (current == 0x63) {
                bytes32 pushed;
                assembly ("memory-safe") {
                    pushed := mload(add(add(code, 33), i))
                }
                selectors[next++] = bytes4(pushed);
            }
            if (0x60 <= current && current <= 0x7f) i += current - 0x5f;
        }
    }

    /// @dev What the PUSH20 of a deposit address carries.
    function targetOf(bytes memory code) private pure returns (address target) {
        for (uint256 i; i < code.length; ++i) {
            uint8 current = uint8(code[i]);
            if (current == 0x73) {
                vm.assertEq(address(target), address(0), "one address in the code");
                assembly ("memory-safe") {
                    target := shr(96, mload(add(add(code, 33), i)))
                }
            }
            if (0x60 <= current && current <= 0x7f) i += current - 0x5f;
        }
    }

    /// @dev The last 20 bytes are data: the 51 before them end in a return or a revert.
    function beforeMerchant(bytes memory code) private pure returns (bytes memory instructions) {
        instructions = new bytes(51);
        for (uint256 i; i < 51; ++i) {
            instructions[i] = code[i];
        }
    }
}

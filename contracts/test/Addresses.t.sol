// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {TestToken} from "../src/test/TestToken.sol";
import {Case} from "./Case.sol";

/// @title The numbers that merchants' recovery depends on for ever.
contract Pinned is Case {
    function test_the_factory_and_its_logic_are_where_the_server_computes_addresses_from() external view {
        vm.assertEq(address(factory), 0xB6057A1C8b59A47845aDdDc67aBc606A297B58da, "wire::deposit_address::FACTORY");
        vm.assertEq(factory.logic(), 0x3E8B354D14268D12a1E947740EA25Fe9292A57c9, "wire::deposit_address::LOGIC");
    }

    function test_an_address_that_was_once_computed_is_computed_again() external view {
        vm.assertEq(
            factory.addressOf(0x1111111111111111111111111111111111111111, bytes32(0)),
            0x0E6f2B37daD5Fb679FB4Cf0B3c14104e21335e49,
            "the address of merchant 0x1111... and salt 0"
        );
    }

    function test_the_hashes_that_auditors_are_told_are_those_of_the_bytecode() external view {
        string memory audit = vm.readFile("AUDIT.md");
        vm.assertTrue(vm.contains(audit, vm.toString(keccak256(creationCode()))), "hash of the factory's creation code");
        vm.assertTrue(vm.contains(audit, vm.toString(address(factory).codehash)), "hash of the factory's code");
        vm.assertTrue(vm.contains(audit, vm.toString(factory.logic().codehash)), "hash of the logic's code");
    }
}

/// @title Where deposit addresses are, and that nobody can get in between.
contract Addresses is Case {
    function testFuzz_an_address_follows_from_merchant_and_salt_alone(
        address merchant,
        bytes32 salt,
        address caller,
        uint64 chain
    ) external {
        vm.assume(chain != 0);
        vm.chainId(chain);
        address deposit = predicted(merchant, salt);
        vm.assertEq(factory.addressOf(merchant, salt), deposit, "computed by the factory as by EIP-1014");

        vm.prank(caller);
        factory.sweep(merchant, list(salt), noAssets());

        vm.assertEq(deposit.code, cloneCode(merchant), "the code that is deployed there");
        vm.assertEq(factory.addressOf(merchant, salt), deposit, "and it stays so once it is deployed");
    }

    function testFuzz_two_merchants_or_two_salts_never_share_an_address(
        address merchant,
        bytes32 salt,
        address otherMerchant,
        bytes32 otherSalt
    ) external view {
        vm.assume(merchant != otherMerchant && salt != otherSalt);
        address deposit = factory.addressOf(merchant, salt);
        vm.assertNotEq(deposit, factory.addressOf(otherMerchant, salt), "of another merchant");
        vm.assertNotEq(deposit, factory.addressOf(merchant, otherSalt), "of another salt");
        vm.assertNotEq(deposit, factory.addressOf(otherMerchant, otherSalt), "of another merchant and salt");
    }

    function testFuzz_the_merchant_is_written_into_the_code(address merchant, bytes32 salt) external {
        factory.sweep(merchant, list(salt), noAssets());
        bytes memory code = predicted(merchant, salt).code;
        vm.assertEq(code.length, 71, "length of the code");
        address written;
        assembly ("memory-safe") {
            written := shr(96, mload(add(code, 83))) // 32 bytes of length, then byte 51
        }
        vm.assertEq(written, merchant, "bytes 51 to 70");
    }

    function test_a_stranger_who_deploys_an_address_first_changes_nothing() external {
        address deposit = predicted(alice, "1");
        TestToken token = new TestToken("Test dollar", "USD", 6, false);
        token.mint(deposit, 100);

        vm.prank(stranger);
        factory.sweep(alice, list("1"), noAssets());
        vm.assertEq(deposit.code, cloneCode(alice), "what the stranger has deployed");
        vm.assertEq(vm.getNonce(deposit), 1, "a contract that has created nothing");

        token.mint(deposit, 11);
        sweep(alice, "1", address(token));
        vm.assertEq(token.balanceOf(alice), 111, "what came before and after");
    }

    function test_code_of_a_stranger_lands_somewhere_else() external {
        address deposit = predicted(alice, "1");
        bytes memory creation = factory.code(alice);

        (bool ok, bytes memory answer) = DEPLOYER.call(abi.encodePacked(bytes32("1"), creation));
        vm.assertTrue(ok, "the same code, by another creator");
        vm.assertNotEq(address(bytes20(answer)), deposit, "through the deterministic deployer");

        vm.prank(stranger);
        (bool delegated, ) = address(new Elsewhere()).call(
            abi.encodeCall(Elsewhere.run, (address(factory), abi.encodeCall(factory.sweep, (alice, list("1"), noAssets()))))
        );
        vm.assertTrue(delegated, "the factory's own code, run by another contract as itself");
        vm.assertEq(deposit.code.length, 0, "nothing is at the deposit address");
    }

    function test_the_factory_deploys_once_and_stays() external {
        bytes32 before = address(factory).codehash;
        (bool ok, ) = DEPLOYER.call(abi.encodePacked(bytes32(0), creationCode()));
        vm.assertTrue(!ok, "a second deployment is refused");
        vm.assertEq(address(factory).codehash, before, "and the first is untouched");
    }

    function test_whoever_deploys_the_factory_deploys_the_same() external view {
        // The deployer mixes in neither who calls it nor from which chain; only salt and code.
        address expected = create2(DEPLOYER, bytes32(0), keccak256(creationCode()));
        vm.assertEq(address(factory), expected, "the factory's address");
        vm.assertEq(factory.logic(), firstCreationOf(expected), "the logic is the first contract the factory creates");
        vm.assertEq(vm.getNonce(address(factory)), 2, "and until an address is swept the only one");
    }

    /// @dev The RLP of the list [creator, nonce 1].
    function firstCreationOf(address creator) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", creator, hex"01")))));
    }
}

/// @title Runs other code as itself, and insists that it works.
contract Elsewhere {
    function run(address code, bytes calldata data) external {
        (bool ok, ) = code.delegatecall(data);
        require(ok);
    }
}

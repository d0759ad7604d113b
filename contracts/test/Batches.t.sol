// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {TestToken} from "../src/test/TestToken.sol";
import {Case, LogicErrors} from "./Case.sol";
import {OddToken, Oddity} from "./OddToken.sol";
import {Vm} from "./Vm.sol";

/// @title Lists: empty, double, long, and with a part that fails.
contract Batches is Case {
    OddToken private token;
    TestToken private other;

    function setUp() public override {
        super.setUp();
        token = new OddToken(Oddity.None);
        other = new TestToken("Old dollar", "OUSD", 6, true);
    }

    function test_empty_lists_move_nothing_and_say_nothing() external {
        address deposit = predicted(alice, "1");
        token.mint(deposit, 100);
        vm.recordLogs();

        factory.sweep(alice, noSalts(), noAssets());
        factory.sweep(alice, noSalts(), list(address(token), NATIVE));
        vm.assertEq(deposit.code.length, 0, "no address was named, so none is deployed");
        factory.sweep(alice, list("1"), noAssets());
        vm.assertEq(deposit.code, cloneCode(alice), "an address without assets is deployed");

        vm.assertEq(token.balanceOf(deposit), 100, "and keeps its money");
        vm.assertEq(eventsOf(vm.getRecordedLogs()), 0, "events");
    }

    function test_an_address_with_nothing_on_it_says_nothing() external {
        vm.recordLogs();
        factory.sweep(alice, list("1", "2"), list(address(token), NATIVE));
        factory.sweep(alice, list("1", "2"), list(address(token), NATIVE));
        vm.assertEq(eventsOf(vm.getRecordedLogs()), 0, "events");
    }

    function test_what_is_listed_twice_is_swept_once() external {
        address deposit = predicted(alice, "1");
        token.mint(deposit, 100);
        payCoin(deposit, 7);

        vm.recordLogs();
        vm.prank(stranger);
        factory.sweep(alice, list("1", "1", "1"), list(address(token), NATIVE, address(token)));

        Vm.Log[] memory logs = vm.getRecordedLogs();
        Said memory tokens = said(logs, alice, deposit, address(token));
        Said memory coin = said(logs, alice, deposit, NATIVE);
        vm.assertEq(tokens.sweeps, 1, "token events");
        vm.assertEq(tokens.amount, 100, "amount in the token event");
        vm.assertEq(coin.sweeps, 1, "coin events");
        vm.assertEq(coin.amount, 7, "amount in the coin event");
        vm.assertEq(eventsOf(logs), 2, "events");
        vm.assertEq(token.balanceOf(alice), 100, "tokens of the merchant");
        vm.assertEq(alice.balance, 7, "coin of the merchant");
    }

    function test_one_address_may_be_new_and_another_swept_before() external {
        token.mint(predicted(alice, "1"), 1);
        sweep(alice, "1", address(token));
        token.mint(predicted(alice, "1"), 10);
        token.mint(predicted(alice, "2"), 100);

        factory.sweep(alice, list("1", "2"), list(address(token)));
        vm.assertEq(token.balanceOf(alice), 111, "tokens of the merchant");
    }

    function test_a_frozen_address_does_not_stop_the_others() external {
        address frozen = predicted(alice, "2");
        bytes32[3] memory salts = [bytes32("1"), "2", "3"];
        for (uint256 i; i < 3; ++i) {
            address deposit = predicted(alice, salts[i]);
            token.mint(deposit, 100);
            other.mint(deposit, 10);
            payCoin(deposit, 1);
        }
        token.setBlocked(frozen, true);

        vm.recordLogs();
        factory.sweep(alice, list("1", "2", "3"), list(address(token), address(other), NATIVE));

        Vm.Log[] memory logs = vm.getRecordedLogs();
        Said memory failure = said(logs, alice, frozen, address(token));
        vm.assertEq(failure.failures, 1, "what the factory says of the frozen address");
        vm.assertEq(failure.sweeps, 0, "and no more");
        vm.assertEq(failure.reason, abi.encodeCall(LogicErrors.SendFailed, (address(token))), "why");
        vm.assertEq(eventsOf(logs), 9, "one event for each asset of each address");
        vm.assertEq(token.balanceOf(alice), 200, "the token of the others");
        vm.assertEq(other.balanceOf(alice), 30, "the other token of all");
        vm.assertEq(alice.balance, 3, "coin of all");
        vm.assertEq(token.balanceOf(frozen), 100, "what is frozen stays where it is");

        token.setBlocked(frozen, false);
        sweep(alice, "2", address(token));
        vm.assertEq(token.balanceOf(alice), 300, "and can be swept once it is free");
    }

    function test_a_frozen_merchant_keeps_what_is_not_frozen() external {
        address deposit = predicted(alice, "1");
        token.mint(deposit, 100);
        other.mint(deposit, 10);
        payCoin(deposit, 1);
        token.setBlocked(alice, true);

        factory.sweep(alice, list("1"), list(address(token), address(other), NATIVE));
        vm.assertEq(token.balanceOf(deposit), 100, "the token whose issuer froze the merchant stays");
        vm.assertEq(other.balanceOf(alice), 10, "the other token");
        vm.assertEq(alice.balance, 1, "coin");

        token.setBlocked(alice, false);
        sweep(alice, "1", address(token));
        vm.assertEq(token.balanceOf(alice), 100, "and can be swept once the merchant is free");
    }

    function test_two_hundred_addresses_fit_into_one_transaction() external {
        bytes32[] memory salts = new bytes32[](200);
        for (uint256 i; i < salts.length; ++i) {
            salts[i] = bytes32(i);
            token.mint(predicted(alice, salts[i]), i + 1);
        }
        factory.sweep{gas: 16_000_000}(alice, salts, list(address(token)));
        vm.assertEq(token.balanceOf(alice), 20_100, "tokens of the merchant");
    }

    /// @dev A transaction with too little gas is the caller's to lose: it is undone as a whole, or what it could not move stays.
    function testFuzz_a_sweep_that_runs_out_of_gas_loses_nothing(uint256 gas) external {
        gas = 30_000 + (gas % 400_000);
        address first = predicted(alice, "1");
        address second = predicted(alice, "2");
        token.mint(first, 100);
        token.mint(second, 10);
        payCoin(second, 1);

        vm.prank(stranger);
        (bool ok, ) = address(factory).call{gas: gas}(
            abi.encodeCall(factory.sweep, (alice, list("1", "2"), list(address(token), NATIVE)))
        );

        vm.assertEq(token.balanceOf(alice) + token.balanceOf(first) + token.balanceOf(second), 110, "tokens");
        vm.assertEq(alice.balance + second.balance, 1, "coin");
        if (!ok) vm.assertEq(token.balanceOf(alice) + alice.balance, 0, "what failed is undone as a whole");

        factory.sweep(alice, list("1", "2"), list(address(token), NATIVE));
        vm.assertEq(token.balanceOf(alice), 110, "all tokens, with enough gas");
        vm.assertEq(alice.balance, 1, "all coin, with enough gas");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {TestToken} from "../src/test/TestToken.sol";
import {Case, LogicErrors} from "./Case.sol";
import {OddToken, Oddity} from "./OddToken.sol";
import {Vm} from "./Vm.sol";

/// @title Tokens that fail, lie, waste, charge or call back. None of them costs another asset anything.
contract Tokens is Case {
    TestToken private honest;
    bytes private constant NOTHING = "";

    function setUp() public override {
        super.setUp();
        honest = new TestToken("Test dollar", "USD", 6, false);
    }

    // What counts as a transfer.

    function test_true_is_a_transfer() external {
        checkMoves(Oddity.None, 1000, 1000);
    }

    function test_no_answer_is_a_transfer_as_old_tokens_give_none() external {
        checkMoves(Oddity.ReturnsNothing, 1000, 1000);
    }

    function test_true_with_more_behind_it_is_a_transfer() external {
        checkMoves(Oddity.ReturnsMore, 1000, 1000);
    }

    function test_a_balance_with_more_behind_it_is_a_balance() external {
        checkMoves(Oddity.BalanceIsLonger, 1000, 1000);
    }

    function test_of_a_token_that_takes_a_fee_the_merchant_gets_the_rest() external {
        // What the event says is what was sent; what arrived is for the token to say.
        checkMoves(Oddity.TakesFee, 1000, 990);
    }

    function test_of_a_token_that_hides_a_part_the_rest_can_be_swept_later() external {
        OddToken odd = new OddToken(Oddity.Understates);
        address deposit = predicted(alice, "1");
        odd.mint(deposit, 1000);
        sweep(alice, "1", address(odd));
        vm.assertEq(odd.trueBalanceOf(alice), 500, "what it admitted to");
        odd.setOddity(Oddity.None);
        sweep(alice, "1", address(odd));
        vm.assertEq(odd.trueBalanceOf(alice), 1000, "the rest");
    }

    function test_a_token_that_moves_nothing_and_says_true_is_believed_and_stays() external {
        OddToken odd = new OddToken(Oddity.MovesNothing);
        address deposit = predicted(alice, "1");
        odd.mint(deposit, 1000);
        for (uint256 i; i < 2; ++i) {
            vm.recordLogs();
            sweep(alice, "1", address(odd));
            Said memory answer = said(vm.getRecordedLogs(), alice, deposit, address(odd));
            vm.assertEq(answer.amount, 1000, "a lying token's event is as true as the token");
        }
        vm.assertEq(odd.trueBalanceOf(deposit), 1000, "nothing moved");
    }

    // What does not.

    function test_false_is_a_failure() external {
        checkStays(Oddity.ReturnsFalse);
    }

    function test_false_is_a_failure_even_if_it_moved_and_the_move_is_undone() external {
        checkStays(Oddity.ReturnsFalseButMoves);
    }

    function test_an_answer_that_is_neither_true_nor_false_is_a_failure() external {
        checkStays(Oddity.ReturnsTwo);
    }

    function test_an_answer_shorter_than_a_word_is_a_failure() external {
        checkStays(Oddity.ReturnsOneByte);
    }

    function test_a_token_that_charges_its_fee_on_top_cannot_be_swept() external {
        checkStays(Oddity.ChargesOnTop);
    }

    function test_a_revert_is_a_failure() external {
        checkStays(Oddity.Reverts);
    }

    function test_a_revert_is_a_failure_even_if_it_says_true() external {
        checkStays(Oddity.RevertsWithTrue);
    }

    function test_a_token_that_overstates_a_balance_fails() external {
        checkStays(Oddity.Overstates);
    }

    function test_a_balance_that_reverts_is_a_failure() external {
        checkFails(Oddity.BalanceReverts, abi.encodeCall(LogicErrors.NoBalance, (address(0))));
    }

    function test_a_balance_that_reverts_is_a_failure_even_if_it_says_a_number() external {
        checkFails(Oddity.BalanceRevertsWithNumber, abi.encodeCall(LogicErrors.NoBalance, (address(0))));
    }

    function test_a_balance_shorter_than_a_word_is_a_failure() external {
        checkFails(Oddity.BalanceIsShort, abi.encodeCall(LogicErrors.NoBalance, (address(0))));
    }

    function test_no_balance_at_all_is_a_failure() external {
        checkFails(Oddity.BalanceIsEmpty, abi.encodeCall(LogicErrors.NoBalance, (address(0))));
    }

    function test_a_token_that_would_fail_says_nothing_where_there_is_none_of_it() external {
        OddToken odd = new OddToken(Oddity.Reverts);
        vm.recordLogs();
        sweep(alice, "1", address(odd));
        vm.assertEq(eventsOf(vm.getRecordedLogs()), 0, "events");
    }

    // What wastes gas. Each of these leaves enough of a block for the others.

    function test_a_token_that_burns_all_gas_fails_alone() external {
        checkStays(Oddity.BurnsGas);
    }

    function test_a_balance_that_burns_all_gas_fails_alone() external {
        checkFails(Oddity.BalanceBurnsGas, abi.encodeCall(LogicErrors.NoBalance, (address(0))));
    }

    function test_a_huge_answer_fails_alone() external {
        checkFails(Oddity.ReturnsHugely, NOTHING);
    }

    function test_a_huge_revert_fails_alone() external {
        checkFails(Oddity.RevertsHugely, NOTHING);
    }

    function test_a_huge_balance_fails_alone() external {
        checkFails(Oddity.BalanceIsHuge, NOTHING);
    }

    function test_gas_that_is_burnt_at_several_addresses_undoes_the_whole_batch() external {
        OddToken odd = new OddToken(Oddity.BurnsGas);
        bytes32[] memory salts = list("1", "2", "3");
        for (uint256 i; i < salts.length; ++i) {
            odd.mint(predicted(alice, salts[i]), 1);
            honest.mint(predicted(alice, salts[i]), 10);
        }
        (bool ok, ) = address(factory).call{gas: 16_000_000}(
            abi.encodeCall(factory.sweep, (alice, salts, list(address(odd), address(honest))))
        );
        vm.assertTrue(!ok, "each time a twentieth of the gas remains, too little for the third");
        vm.assertEq(honest.balanceOf(alice), 0, "nothing moved");
        factory.sweep(alice, salts, list(address(honest)));
        vm.assertEq(honest.balanceOf(alice), 30, "without that token everything does");
    }

    // What is no token.

    function testFuzz_an_account_without_code_is_no_token(uint256 seed) external {
        checkNoToken(address(uint160(uint256(keccak256(abi.encode(seed))))));
    }

    function test_precompiled_contracts_are_no_tokens() external {
        // The fourth answers any call with the call's own bytes, more than a word of them.
        for (uint160 i = 1; i <= 20; ++i) {
            checkNoToken(address(i));
        }
    }

    function test_our_own_contracts_are_no_tokens() external {
        checkNoToken(address(factory));
        checkNoToken(factory.logic());
        checkNoToken(predicted(alice, "1")); // the very address that is swept
        checkNoToken(predicted(bob, "1")); // before it is deployed
        factory.sweep(bob, list("1"), noAssets());
        checkNoToken(predicted(bob, "1")); // and after
    }

    // What calls back.

    function test_a_token_that_sweeps_everything_before_it_moves_gains_nothing() external {
        checkReentrancy(true, address(factory), abi.encodeCall(factory.sweep, (alice, list("1", "2"), reentered())), 2200);
    }

    function test_a_token_that_sweeps_everything_after_it_moved_gains_nothing() external {
        checkReentrancy(false, address(factory), abi.encodeCall(factory.sweep, (alice, list("1", "2"), reentered())), 2200);
    }

    function test_a_token_that_sweeps_for_a_stranger_gains_nothing() external {
        checkReentrancy(true, address(factory), abi.encodeCall(factory.sweep, (stranger, list("1", "2"), reentered())), 2200);
        checkReentrancy(false, address(factory), abi.encodeCall(factory.sweep, (stranger, list("1", "2"), reentered())), 2200);
    }

    function test_a_token_that_orders_the_deposit_address_gains_nothing() external {
        bytes memory order = abi.encodeWithSignature("sweep(address)", address(honest));
        checkReentrancy(true, predicted(alice, "1"), order, 2200);
        checkReentrancy(false, predicted(alice, "2"), order, 2200);
    }

    function test_a_token_that_sweeps_itself_in_the_middle_is_moved_once() external {
        OddToken odd = new OddToken(Oddity.None);
        address deposit = predicted(alice, "1");
        bytes memory again = abi.encodeCall(factory.sweep, (alice, list("1"), list(address(odd))));

        odd.mint(deposit, 1000);
        odd.reenter(address(factory), again, false);
        vm.recordLogs();
        sweep(alice, "1", address(odd));
        vm.assertTrue(odd.wasReentered(), "it called back after it had moved");
        vm.assertEq(odd.trueBalanceOf(alice), 1000, "tokens of the merchant");
        vm.assertEq(said(vm.getRecordedLogs(), alice, deposit, address(odd)).amount, 1000, "what the events add up to");

        odd.mint(deposit, 500);
        odd.reenter(address(factory), again, true);
        vm.recordLogs();
        sweep(alice, "1", address(odd));
        // It moved its whole balance inside, so the outer transfer finds nothing and undoes both.
        // (The machine records events that were undone, too, so that here only the failure can be looked for.)
        vm.assertEq(said(vm.getRecordedLogs(), alice, deposit, address(odd)).failures, 1, "an event says that it failed");
        vm.assertEq(odd.trueBalanceOf(deposit), 500, "and it did not move");
    }

    // When money comes.

    function testFuzz_whatever_comes_before_and_after_the_deployment_is_swept(uint64[6] calldata amounts) external {
        address deposit = predicted(alice, "1");
        uint256 total;
        for (uint256 i; i < amounts.length; ++i) {
            honest.mint(deposit, amounts[i]);
            total += amounts[i];
            vm.recordLogs();
            sweep(alice, "1", address(honest));
            Said memory answer = said(vm.getRecordedLogs(), alice, deposit, address(honest));
            vm.assertEq(answer.amount, amounts[i], "what the event says");
            vm.assertEq(answer.sweeps, amounts[i] == 0 ? 0 : 1, "events");
            vm.assertEq(honest.balanceOf(alice), total, "tokens of the merchant");
        }
    }

    function test_a_token_that_rebases_is_swept_at_what_it_is_then() external {
        OddToken odd = new OddToken(Oddity.None);
        address deposit = predicted(alice, "1");
        odd.mint(deposit, 1000);
        odd.rebase(deposit, 9, 10);
        sweep(alice, "1", address(odd));
        vm.assertEq(odd.trueBalanceOf(alice), 900, "after it shrank");
        odd.mint(deposit, 1000);
        odd.rebase(deposit, 11, 10);
        sweep(alice, "1", address(odd));
        vm.assertEq(odd.trueBalanceOf(alice), 2000, "after it grew");
    }

    function test_the_largest_balance_there_is_can_be_swept() external {
        honest.mint(predicted(alice, "1"), type(uint256).max);
        sweep(alice, "1", address(honest));
        vm.assertEq(honest.balanceOf(alice), type(uint256).max, "tokens of the merchant");
    }

    /// @dev `arrived` of `sent` reach the merchant, the event says `sent`.
    function checkMoves(Oddity oddity, uint256 sent, uint256 arrived) private {
        OddToken odd = new OddToken(oddity);
        address deposit = predicted(alice, "1");
        odd.mint(deposit, sent);

        Vm.Log[] memory logs = sweepWithOthers(odd);

        Said memory answer = said(logs, alice, deposit, address(odd));
        vm.assertEq(answer.sweeps, 1, "one event");
        vm.assertEq(answer.amount, sent, "its amount");
        vm.assertEq(answer.failures, 0, "no failure");
        vm.assertEq(odd.trueBalanceOf(alice), arrived, "tokens of the merchant");
        vm.assertEq(odd.trueBalanceOf(deposit), 0, "nothing is left");
    }

    function checkStays(Oddity oddity) private {
        checkFails(oddity, abi.encodeCall(LogicErrors.SendFailed, (address(0))));
    }

    /// @dev The token stays, the factory says so, and the other assets of the batch move. `reason` names no token yet.
    function checkFails(Oddity oddity, bytes memory reason) private {
        OddToken odd = new OddToken(oddity);
        address deposit = predicted(alice, "1");
        odd.mint(deposit, 1000);

        Vm.Log[] memory logs = sweepWithOthers(odd);

        Said memory answer = said(logs, alice, deposit, address(odd));
        vm.assertEq(answer.failures, 1, "the failure is told");
        vm.assertEq(answer.sweeps, 0, "and nothing else");
        if (reason.length != 0) reason = abi.encodePacked(bytes4(reason), word(address(odd)));
        vm.assertEq(answer.reason, reason, "why");
        vm.assertEq(odd.trueBalanceOf(alice), 0, "tokens of the merchant");
        vm.assertEq(odd.trueBalanceOf(deposit), 1000, "tokens of the deposit address");
    }

    /// @dev Sweeps the odd token between two others, in a transaction that fits into a block.
    function sweepWithOthers(OddToken odd) private returns (Vm.Log[] memory logs) {
        address deposit = predicted(alice, "1");
        honest.mint(deposit, 70);
        payCoin(deposit, 7);

        vm.recordLogs();
        vm.prank(stranger);
        factory.sweep{gas: 16_000_000}(alice, list("1"), list(NATIVE, address(odd), address(honest)));
        logs = vm.getRecordedLogs();

        vm.assertEq(honest.balanceOf(alice), 70, "the honest token moved");
        vm.assertEq(alice.balance, 7, "coin moved");
        vm.assertEq(said(logs, alice, deposit, address(honest)).amount, 70, "event of the honest token");
        vm.assertEq(said(logs, alice, deposit, NATIVE).amount, 7, "event of the coin");
        vm.assertEq(eventsOf(logs), 3, "one event for each asset");
    }

    function checkNoToken(address asset) private {
        vm.recordLogs();
        sweep(alice, "1", asset);
        Said memory answer = said(vm.getRecordedLogs(), alice, predicted(alice, "1"), asset);
        vm.assertEq(answer.reason, abi.encodeCall(LogicErrors.NoBalance, (asset)), "why");
        vm.assertEq(answer.sweeps, 0, "no event says that it moved");
    }

    function reentered() private view returns (address[] memory) {
        return list(address(honest), NATIVE);
    }

    /// @dev Two addresses hold an honest token, coin and a token that makes `order` in the middle of its first transfer.
    function checkReentrancy(bool callsFirst, address target, bytes memory order, uint256 expected) private {
        OddToken odd = new OddToken(Oddity.None);
        uint256 tokens = honest.balanceOf(alice);
        uint256 coin = alice.balance;
        for (uint256 i; i < 2; ++i) {
            address deposit = predicted(alice, i == 0 ? bytes32("1") : bytes32("2"));
            odd.mint(deposit, 500);
            honest.mint(deposit, 1100);
            payCoin(deposit, 1100);
        }
        odd.reenter(target, order, callsFirst);

        vm.recordLogs();
        vm.prank(stranger);
        factory.sweep(alice, list("1", "2"), list(address(odd), address(honest), NATIVE));

        vm.assertTrue(odd.wasReentered(), "it called back");
        vm.assertEq(honest.balanceOf(alice) - tokens, expected, "the honest token, all of it");
        vm.assertEq(alice.balance - coin, expected, "coin, all of it");
        vm.assertEq(odd.trueBalanceOf(alice), 1000, "and the token itself");
        vm.assertEq(honest.balanceOf(stranger) + honest.balanceOf(address(odd)), 0, "nobody else has any");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 told =
            said(logs, alice, predicted(alice, "1"), address(honest)).amount +
            said(logs, alice, predicted(alice, "2"), address(honest)).amount;
        vm.assertEq(told, expected, "the events add up to what moved");
        told =
            said(logs, alice, predicted(alice, "1"), NATIVE).amount +
            said(logs, alice, predicted(alice, "2"), NATIVE).amount;
        vm.assertEq(told, expected, "those of the coin too");
    }
}

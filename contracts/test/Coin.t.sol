// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {TestToken} from "../src/test/TestToken.sol";
import {Case, LogicErrors} from "./Case.sol";
import {Vm} from "./Vm.sol";
import {BurningWallet, ReentrantWallet, RejectingWallet, TalkativeWallet} from "./Wallets.sol";

/// @title The network's own coin, and wallets that are contracts.
contract Coin is Case {
    function testFuzz_coin_that_comes_before_and_after_the_deployment_is_swept(uint64[6] calldata amounts) external {
        address deposit = predicted(alice, "1");
        uint256 total;
        for (uint256 i; i < amounts.length; ++i) {
            payCoin(deposit, amounts[i]);
            total += amounts[i];
            vm.recordLogs();
            sweep(alice, "1", NATIVE);
            Said memory answer = said(vm.getRecordedLogs(), alice, deposit, NATIVE);
            vm.assertEq(answer.amount, amounts[i], "what the event says");
            vm.assertEq(answer.sweeps, amounts[i] == 0 ? 0 : 1, "events");
            vm.assertEq(alice.balance, total, "coin of the merchant");
        }
    }

    function test_a_deployed_address_takes_coin_for_15_gas() external {
        address deposit = predicted(alice, "1");
        factory.sweep(alice, list("1"), noAssets());
        vm.deal(address(this), 2);

        bool paid;
        assembly ("memory-safe") {
            paid := call(2300, deposit, 0, 0, 0, 0, 0)
        }
        vm.assertTrue(paid, "with the 2300 gas of a plain transfer and without value");
        assembly ("memory-safe") {
            paid := call(15, deposit, 0, 0, 0, 0, 0)
        }
        vm.assertTrue(paid, "15 are enough");
        assembly ("memory-safe") {
            paid := call(14, deposit, 0, 0, 0, 0, 0)
        }
        vm.assertTrue(!paid, "14 are not");
    }

    function test_coin_with_a_message_bounces_once_an_address_is_deployed() external {
        address deposit = predicted(alice, "1");
        vm.deal(address(this), 100);
        (bool paid, ) = deposit.call{value: 1}("order 17");
        vm.assertTrue(paid, "before");
        sweep(alice, "1", NATIVE);
        (paid, ) = deposit.call{value: 1}("order 17");
        vm.assertTrue(!paid, "after");
        vm.assertEq(address(this).balance, 99, "and the payer keeps it");
        vm.assertEq(alice.balance, 1, "coin of the merchant");
    }

    function test_coin_that_is_forced_in_is_swept_like_any() external {
        address deposit = predicted(alice, "1");
        forceCoin(deposit, 5);
        sweep(alice, "1", NATIVE);
        vm.assertEq(alice.balance, 5, "before the deployment");
        forceCoin(deposit, 7);
        sweep(alice, "1", NATIVE);
        vm.assertEq(alice.balance, 12, "after it");
    }

    function test_coin_forced_into_the_factory_moves_nowhere() external {
        forceCoin(address(factory), 5);
        payCoin(predicted(alice, "1"), 7);
        sweep(alice, "1", NATIVE);
        vm.assertEq(alice.balance, 7, "what was paid, and no more");
        vm.assertEq(address(factory).balance, 5, "a mistake of whoever forced it");
    }

    function test_a_wallet_that_rejects_coin_loses_no_tokens() external {
        checkRefusal(address(new RejectingWallet()), abi.encodeCall(LogicErrors.SendFailed, (NATIVE)));
    }

    function test_a_wallet_that_burns_all_gas_loses_no_tokens() external {
        checkRefusal(address(new BurningWallet()), abi.encodeCall(LogicErrors.SendFailed, (NATIVE)));
    }

    function test_a_wallet_that_answers_hugely_loses_no_tokens() external {
        checkRefusal(address(new TalkativeWallet()), "");
    }

    function test_coin_of_a_wallet_that_rejects_it_waits_until_it_does_not() external {
        RejectingWallet merchant = new RejectingWallet();
        payCoin(predicted(address(merchant), "1"), 7);
        sweep(address(merchant), "1", NATIVE);
        vm.assertEq(predicted(address(merchant), "1").balance, 7, "it stays");

        vm.etch(address(merchant), ""); // as a wallet that is a proxy gets other code
        sweep(address(merchant), "1", NATIVE);
        vm.assertEq(address(merchant).balance, 7, "and can be swept then");
    }

    function test_a_wallet_that_sweeps_again_when_coin_comes_gets_it_once() external {
        ReentrantWallet merchant = new ReentrantWallet();
        address first = predicted(address(merchant), "1");
        address second = predicted(address(merchant), "2");
        payCoin(first, 7);
        payCoin(second, 70);
        bytes memory again = abi.encodeCall(factory.sweep, (address(merchant), list("1", "2"), list(NATIVE)));
        merchant.plan(address(factory), again, 0, 8);

        vm.recordLogs();
        vm.prank(stranger);
        factory.sweep(address(merchant), list("1", "2"), list(NATIVE));

        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(merchant.succeeded(), 2, "it swept again, once for each payment");
        vm.assertEq(address(merchant).balance, 77, "coin of the merchant");
        vm.assertEq(said(logs, address(merchant), first, NATIVE).amount, 7, "events of the first address");
        vm.assertEq(said(logs, address(merchant), second, NATIVE).amount, 70, "events of the second address");
        vm.assertEq(eventsOf(logs), 2, "events");
    }

    function test_a_wallet_that_sweeps_anothers_addresses_when_coin_comes_pays_that_other() external {
        ReentrantWallet merchant = new ReentrantWallet();
        payCoin(predicted(address(merchant), "1"), 7);
        payCoin(predicted(bob, "1"), 70);
        merchant.plan(address(factory), abi.encodeCall(factory.sweep, (bob, list("1"), list(NATIVE))), 0, 1);

        sweep(address(merchant), "1", NATIVE);
        vm.assertEq(merchant.succeeded(), 1, "it did");
        vm.assertEq(address(merchant).balance, 7, "coin of the merchant");
        vm.assertEq(bob.balance, 70, "coin of the other");
    }

    function test_a_wallet_that_pays_its_address_again_gets_what_it_paid() external {
        ReentrantWallet merchant = new ReentrantWallet();
        address deposit = predicted(address(merchant), "1");
        payCoin(deposit, 7);
        merchant.plan(deposit, "", 3, 1);

        vm.recordLogs();
        sweep(address(merchant), "1", NATIVE);
        vm.assertEq(said(vm.getRecordedLogs(), address(merchant), deposit, NATIVE).amount, 7, "what was sent");
        vm.assertEq(address(merchant).balance, 4, "less what it gave back");
        sweep(address(merchant), "1", NATIVE);
        vm.assertEq(address(merchant).balance, 7, "which is swept like any payment");
    }

    function checkRefusal(address merchant, bytes memory reason) private {
        address deposit = predicted(merchant, "1");
        TestToken token = new TestToken("Test dollar", "USD", 6, false);
        token.mint(deposit, 100);
        payCoin(deposit, 7);

        vm.recordLogs();
        vm.prank(stranger);
        factory.sweep{gas: 16_000_000}(merchant, list("1"), list(NATIVE, address(token)));

        Said memory answer = said(vm.getRecordedLogs(), merchant, deposit, NATIVE);
        vm.assertEq(answer.failures, 1, "the failure is told");
        vm.assertEq(answer.reason, reason, "why");
        vm.assertEq(token.balanceOf(merchant), 100, "tokens of the merchant");
        vm.assertEq(deposit.balance, 7, "coin stays where it is");
    }
}

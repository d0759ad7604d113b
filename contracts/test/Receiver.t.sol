// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DepositLogic} from "../src/DepositFactory.sol";
import {TestToken} from "../src/test/TestToken.sol";
import {Case} from "./Case.sol";

/// @title Whoever calls, and with whatever: money goes to the merchant of its address, or stays.
contract Receiver is Case {
    TestToken private token;

    function setUp() public override {
        super.setUp();
        token = new TestToken("Test dollar", "USD", 6, false);
    }

    function testFuzz_whoever_sweeps_the_merchant_receives_everything(
        address caller,
        uint256 merchantSeed,
        bytes32 salt,
        uint256 tokens,
        uint128 coin
    ) external {
        address merchant = accountOf(merchantSeed);
        address deposit = predicted(merchant, salt);
        vm.assume(caller != merchant && caller != deposit);
        token.mint(deposit, tokens);
        payCoin(deposit, coin);
        uint256 callerHad = caller.balance;

        vm.prank(caller);
        factory.sweep(merchant, list(salt), list(address(token), NATIVE));

        vm.assertEq(token.balanceOf(merchant), tokens, "tokens of the merchant");
        vm.assertEq(merchant.balance, coin, "coin of the merchant");
        vm.assertEq(token.balanceOf(deposit) + deposit.balance, 0, "nothing is left");
        vm.assertEq(token.balanceOf(caller), 0, "tokens of the caller");
        vm.assertEq(caller.balance, callerHad, "coin of the caller");
    }

    function testFuzz_naming_another_merchant_moves_nothing(
        address caller,
        address named,
        bytes32 salt,
        bool isDeployed
    ) external {
        vm.assume(named != alice);
        address deposit = predicted(alice, salt);
        if (isDeployed) factory.sweep(alice, list(salt), noAssets());
        token.mint(deposit, 100);
        payCoin(deposit, 100);

        vm.recordLogs();
        vm.prank(caller);
        factory.sweep(named, list(salt), list(address(token), NATIVE));

        vm.assertEq(token.balanceOf(deposit), 100, "tokens of the deposit address");
        vm.assertEq(deposit.balance, 100, "coin of the deposit address");
        vm.assertEq(eventsOf(vm.getRecordedLogs()), 0, "events");
    }

    /// @dev Some of the salts have money, some of the assets are what it is in; the rest is whatever comes.
    function testFuzz_whatever_the_lists_say_money_reaches_the_merchant_or_stays(
        address caller,
        bytes32[] calldata someSalts,
        address[] calldata someAssets,
        uint256 paid,
        uint256 asked
    ) external {
        bytes32[] memory salts = someSalts.length < 8 ? someSalts : someSalts[:8];
        address[] memory assets = someAssets.length < 8 ? someAssets : someAssets[:8];
        uint256 total;
        for (uint256 i; i < salts.length; ++i) {
            if ((paid >> i) & 1 == 0) continue;
            token.mint(predicted(alice, salts[i]), 10 + i);
            payCoin(predicted(alice, salts[i]), 10 + i);
            total += 10 + i;
        }
        for (uint256 i; i < assets.length; ++i) {
            if (assets[i] == DEPLOYER) assets[i] = stranger; // It burns all gas when it is asked for a balance.
            if ((asked >> i) & 1 == 1) assets[i] = (asked >> (i + 8)) & 1 == 1 ? address(token) : NATIVE;
        }

        vm.prank(caller);
        factory.sweep(alice, salts, assets);

        uint256 tokens = token.balanceOf(alice);
        uint256 coin = alice.balance;
        for (uint256 i; i < salts.length; ++i) {
            if (isFirst(salts, i)) {
                tokens += token.balanceOf(predicted(alice, salts[i]));
                coin += predicted(alice, salts[i]).balance;
            }
        }
        vm.assertEq(tokens, total, "tokens with the merchant or where they were paid");
        vm.assertEq(coin, total, "coin with the merchant or where it was paid");
        if (contains(assets, address(token))) vm.assertEq(token.balanceOf(alice), total, "tokens were asked for");
        if (contains(assets, NATIVE)) vm.assertEq(alice.balance, total, "coin was asked for");
    }

    function testFuzz_a_deposit_address_takes_orders_from_nobody_but_the_factory(
        address caller,
        bytes calldata data,
        address asset,
        bool isSweep
    ) external {
        vm.assume(caller != address(factory));
        address deposit = predicted(alice, "1");
        factory.sweep(alice, list("1"), noAssets());
        token.mint(deposit, 100);
        payCoin(deposit, 100);
        bytes memory order = isSweep ? abi.encodeCall(DepositLogic.sweep, (asset)) : data;

        vm.prank(caller, caller);
        (bool ok, bytes memory answer) = deposit.call(order);

        vm.assertTrue(ok == (order.length == 0), "only empty calldata, a payment, is accepted");
        if (isSweep) vm.assertEq(answer, abi.encodePacked(DepositLogic.OnlyFactory.selector), "why it is not");
        vm.assertEq(token.balanceOf(deposit), 100, "tokens of the deposit address");
        vm.assertEq(deposit.balance, 100, "coin of the deposit address");
    }

    function testFuzz_the_logic_itself_takes_orders_from_nobody(address caller, bytes calldata data, address asset) external {
        address logic = factory.logic();
        vm.assume(caller != address(factory));
        token.mint(logic, 100);
        forceCoin(logic, 100);

        vm.prank(caller, caller);
        (bool ok, ) = logic.call(data);
        vm.assertTrue(!ok, "any calldata");
        vm.prank(caller, caller);
        (ok, ) = logic.call(abi.encodeCall(DepositLogic.sweep, (asset)));
        vm.assertTrue(!ok, "an order to sweep");
        vm.assertEq(token.balanceOf(logic) + logic.balance, 200, "what the logic was given by mistake stays there");
    }

    /// @dev The factory sends nothing but `sweep(address)`. If it did: this is all there is.
    function testFuzz_even_the_factory_can_only_sweep(bytes calldata data) external {
        vm.assume(data.length != 0 && (data.length < 4 || bytes4(data) != DepositLogic.sweep.selector));
        address deposit = predicted(alice, "1");
        factory.sweep(alice, list("1"), noAssets());

        vm.prank(address(factory));
        (bool ok, ) = deposit.call(data);
        vm.assertTrue(!ok, "another order than to sweep");
    }

    function testFuzz_the_factory_has_four_functions_and_takes_no_coin(bytes calldata data, uint64 coin) external {
        bytes4 selector = data.length < 4 ? bytes4(0) : bytes4(data);
        bool isKnown =
            selector == factory.sweep.selector ||
            selector == factory.addressOf.selector ||
            selector == factory.code.selector ||
            selector == factory.logic.selector;
        if (!isKnown) {
            (bool ok, ) = address(factory).call(data);
            vm.assertTrue(!ok, "an unknown function");
        }
        if (coin != 0) {
            vm.deal(address(this), coin);
            (bool paid, ) = address(factory).call{value: coin}("");
            vm.assertTrue(!paid, "coin without a call");
            (paid, ) = address(factory).call{value: coin}(abi.encodeCall(factory.sweep, (alice, noSalts(), noAssets())));
            vm.assertTrue(!paid, "coin with a call");
        }
    }

    function isFirst(bytes32[] memory salts, uint256 index) private pure returns (bool) {
        for (uint256 i; i < index; ++i) {
            if (salts[i] == salts[index]) return false;
        }
        return true;
    }

    function contains(address[] memory assets, address asset) private pure returns (bool) {
        for (uint256 i; i < assets.length; ++i) {
            if (assets[i] == asset) return true;
        }
        return false;
    }

    /// @dev An account that has no code and no coin.
    function accountOf(uint256 seed) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("merchant", seed)))));
    }
}

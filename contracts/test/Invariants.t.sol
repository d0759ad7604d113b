// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DepositFactory, DepositLogic} from "../src/DepositFactory.sol";
import {Kit} from "./Case.sol";
import {OddToken, Oddity} from "./OddToken.sol";
import {Vm} from "./Vm.sol";
import {ReentrantWallet, RejectingWallet} from "./Wallets.sol";

/// @title The world around the factory: merchants, payers, issuers and strangers, each free to do what they can.
/// @notice forge calls the functions that change something in any order, with any arguments. None of them may fail.
contract World is Kit {
    uint256 public constant MERCHANTS = 4;
    uint256 public constant SALTS = 3;
    uint256 public constant ASSETS = 4;

    address[MERCHANTS] public merchants;
    address[SALTS][MERCHANTS] private deposits;
    address private logic;
    address[3] private strangers;
    /// @dev The coin, a token, a token that answers nothing, and one that calls back whenever it moves.
    address[ASSETS] private assets;

    /// @notice What was ever paid to a merchant's addresses.
    mapping(address merchant => mapping(address asset => uint256)) private paid;
    /// @notice What the events say went to a merchant.
    mapping(address merchant => mapping(address asset => uint256)) private told;
    /// @notice Whether one of our contracts ever touched storage.
    bool private stored;
    /// @notice Whether an order that nobody may give was ever carried out.
    bool private obeyed;
    /// @notice Sums of what was done, to see that something was.
    uint256 public sweeps;
    uint256 public failures;
    uint256 public reentries;

    constructor() {
        factory = deployFactory();
        merchants = [alice, bob, address(new RejectingWallet()), address(new ReentrantWallet())];
        strangers = [stranger, wallet("another stranger"), address(new ReentrantWallet())];
        assets = [
            NATIVE,
            address(new OddToken(Oddity.None)),
            address(new OddToken(Oddity.ReturnsNothing)),
            address(new OddToken(Oddity.None))
        ];
        logic = factory.logic();
        for (uint256 i; i < MERCHANTS; ++i) {
            for (uint256 j; j < SALTS; ++j) {
                deposits[i][j] = predicted(merchants[i], bytes32(j));
            }
        }
    }

    // What is true after whatever happened.

    /// @dev Nothing is lost, nothing is taken.
    function what_was_paid_is_with_its_merchant_or_where_it_was_paid() external view {
        for (uint256 i; i < MERCHANTS; ++i) {
            for (uint256 k; k < ASSETS; ++k) {
                uint256 found = balance(k, merchants[i]);
                for (uint256 j; j < SALTS; ++j) {
                    found += balance(k, deposits[i][j]);
                }
                vm.assertEq(found, paid[merchants[i]][assets[k]], "what was paid");
            }
        }
    }

    function events_add_up_to_what_merchants_have() external view {
        for (uint256 i; i < MERCHANTS; ++i) {
            for (uint256 k; k < ASSETS; ++k) {
                vm.assertEq(told[merchants[i]][assets[k]], balance(k, merchants[i]), "what the events say");
            }
        }
    }

    function strangers_and_our_contracts_have_nothing() external view {
        for (uint256 k; k < ASSETS; ++k) {
            for (uint256 i; i < strangers.length; ++i) {
                vm.assertEq(balance(k, strangers[i]), 0, "a stranger");
                vm.assertEq(told[strangers[i]][assets[k]], 0, "what the events say of a stranger");
            }
            vm.assertEq(balance(k, address(factory)), 0, "the factory");
            vm.assertEq(balance(k, logic), 0, "the logic");
        }
    }

    function a_deposit_address_has_no_code_or_its_own() external view {
        for (uint256 i; i < MERCHANTS; ++i) {
            for (uint256 j; j < SALTS; ++j) {
                bytes memory code = deposits[i][j].code;
                if (code.length != 0) vm.assertEq(code, cloneCode(merchants[i]), "the code of a deposit address");
            }
        }
    }

    function nothing_was_stored_and_nobody_obeyed() external view {
        vm.assertTrue(!stored, "storage of the factory, the logic or a deposit address was touched");
        vm.assertTrue(!obeyed, "a deposit address or the logic obeyed somebody");
    }

    // What payers do.

    function payInTokens(uint256 merchant, uint256 salt, uint256 asset, uint64 amount) external {
        (merchant, salt, asset) = (merchant % MERCHANTS, salt % SALTS, 1 + (asset % (ASSETS - 1)));
        OddToken(assets[asset]).mint(deposits[merchant][salt], amount);
        paid[merchants[merchant]][assets[asset]] += amount;
    }

    function payInCoin(uint256 merchant, uint256 salt, uint64 amount, bool isForced) external {
        (merchant, salt) = (merchant % MERCHANTS, salt % SALTS);
        if (isForced) forceCoin(deposits[merchant][salt], amount);
        else payCoin(deposits[merchant][salt], amount);
        paid[merchants[merchant]][NATIVE] += amount;
    }

    // What anybody does.

    function sweepSome(uint256 caller, uint256 merchant, uint256 which, uint256 what) external {
        startWatching();
        vm.prank(anybody(caller));
        factory.sweep(merchants[merchant % MERCHANTS], someSalts(which), someAssets(what));
        stopWatching();
    }

    function sweepForAStranger(uint256 caller, uint256 named, uint256 which, uint256 what) external {
        startWatching();
        vm.prank(anybody(caller));
        factory.sweep(strangers[named % strangers.length], someSalts(which), someAssets(what));
        stopWatching();
    }

    function orderADeposit(uint256 caller, uint256 merchant, uint256 salt, bytes calldata data, uint256 asset) external {
        address deposit = deposits[merchant % MERCHANTS][salt % SALTS];
        if (deposit.code.length == 0) return;
        bytes memory order = data.length != 0 ? data : abi.encodeCall(DepositLogic.sweep, (assets[asset % ASSETS]));

        startWatching();
        vm.prank(anybody(caller), anybody(caller));
        (bool ok, ) = deposit.call(order);
        if (ok) obeyed = true;
        vm.prank(anybody(caller), anybody(caller));
        (ok, ) = logic.call(order);
        if (ok) obeyed = true;
        stopWatching();
    }

    // What tokens and wallets do that are not what they seem.

    function planACallBack(uint256 merchant, uint256 which, uint256 what, bool byWallet) external {
        merchant %= MERCHANTS + 3;
        address named = merchant < MERCHANTS ? merchants[merchant] : strangers[merchant - MERCHANTS];
        bytes memory data = abi.encodeCall(factory.sweep, (named, someSalts(which), someAssets(what)));
        if (byWallet) ReentrantWallet(payable(merchants[3])).plan(address(factory), data, 0, 2);
        else OddToken(assets[3]).reenter(address(factory), data, false);
    }

    function freeze(uint256 merchant, uint256 salt, uint256 asset, bool isFrozen) external {
        (merchant, salt, asset) = (merchant % MERCHANTS, salt % (SALTS + 1), 1 + (asset % 2));
        address holder = salt == SALTS ? merchants[merchant] : deposits[merchant][salt];
        OddToken(assets[asset]).setBlocked(holder, isFrozen);
    }

    /// @dev A number stands for a list, also an empty one and one that names something twice.
    function someSalts(uint256 which) private pure returns (bytes32[] memory salts) {
        salts = new bytes32[]((which & 0xff) % 5);
        for (uint256 i; i < salts.length; ++i) {
            salts[i] = bytes32(((which >> (8 * (i + 1))) & 0xff) % SALTS);
        }
    }

    function someAssets(uint256 what) private view returns (address[] memory some) {
        some = new address[]((what & 0xff) % 6);
        for (uint256 i; i < some.length; ++i) {
            some[i] = assets[((what >> (8 * (i + 1))) & 0xff) % ASSETS];
        }
    }

    function anybody(uint256 index) private view returns (address) {
        index %= MERCHANTS + 3;
        return index < MERCHANTS ? merchants[index] : strangers[index - MERCHANTS];
    }

    function startWatching() private {
        vm.recordLogs();
        vm.record();
    }

    function stopWatching() private {
        stored = stored || hasStored(address(factory)) || hasStored(logic);
        for (uint256 i; i < MERCHANTS; ++i) {
            for (uint256 j; j < SALTS; ++j) {
                stored = stored || hasStored(deposits[i][j]);
            }
        }
        if (OddToken(assets[3]).wasReentered()) ++reentries;

        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter != address(factory)) continue;
            address merchant = address(uint160(uint256(logs[i].topics[1])));
            address asset = address(uint160(uint256(logs[i].topics[3])));
            if (logs[i].topics[0] == DepositFactory.Swept.selector) {
                told[merchant][asset] += abi.decode(logs[i].data, (uint256));
                ++sweeps;
            } else {
                ++failures;
            }
        }
    }

    function balance(uint256 asset, address account) private view returns (uint256) {
        return asset == 0 ? account.balance : OddToken(assets[asset]).trueBalanceOf(account);
    }

    function hasStored(address account) private returns (bool) {
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(account);
        return reads.length + writes.length != 0;
    }
}

/// @title Whatever the world does, in whatever order.
contract Invariants {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    World private world;

    function setUp() external {
        world = new World();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    /// @dev One function, as forge makes a run of its own for each.
    function invariant_only_merchants_receive_and_nothing_is_lost_stored_or_obeyed() external view {
        world.what_was_paid_is_with_its_merchant_or_where_it_was_paid();
        world.events_add_up_to_what_merchants_have();
        world.strangers_and_our_contracts_have_nothing();
        world.a_deposit_address_has_no_code_or_its_own();
        world.nothing_was_stored_and_nobody_obeyed();
    }

    /// @dev All that would also be true of a world in which nothing happens.
    function test_in_this_world_money_moves_tokens_and_wallets_call_back_and_sweeps_fail() external {
        uint256 all = 0x0302010004; // four of them: 0, 1, 2 and 3
        for (uint256 i; i < world.MERCHANTS(); ++i) {
            for (uint256 k; k < 3; ++k) {
                world.payInTokens(i, 1, k, 100);
            }
            world.payInCoin(i, 1, 100, i == 0);
        }
        world.planACallBack(1, all, all, false);
        world.planACallBack(1, all, all, true);
        world.freeze(1, 1, 0, true);
        for (uint256 i; i < world.MERCHANTS(); ++i) {
            world.sweepSome(5, i, all, all);
            world.sweepForAStranger(5, i, all, all);
            world.orderADeposit(5, i, 1, "", 1);
        }

        // Four merchants with coin and three tokens each; a token of one is frozen, and the wallet of one takes no coin.
        vm.assertEq(world.sweeps(), 14, "assets that moved");
        vm.assertLt(1, world.failures(), "assets that did not");
        vm.assertTrue(world.reentries() != 0, "a token called back");
        vm.assertEq(ReentrantWallet(payable(world.merchants(3))).succeeded(), 1, "a wallet called back");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A worthless ERC-20 for local chains: anybody may mint any amount.
contract TestToken {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error InsufficientBalance();
    error InsufficientAllowance();
    /// @notice The issuer froze this sender, as issuers of real stablecoins can.
    error Frozen();

    string public name;
    string public symbol;
    uint8 public immutable decimals;
    /// @notice A silent token returns nothing from `transfer`, `transferFrom` and `approve`, as
    /// tokens older than the final standard do.
    bool public immutable silent;

    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public frozen;

    constructor(string memory name_, string memory symbol_, uint8 decimals_, bool silent_) {
        name = name_;
        symbol = symbol_;
        decimals = decimals_;
        silent = silent_;
    }

    function mint(address to, uint256 value) external {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function setFrozen(address holder, bool frozen_) external {
        frozen[holder] = frozen_;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        _move(msg.sender, to, value);
        return _answer();
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < value) revert InsufficientAllowance();
        allowance[from][msg.sender] = allowed - value;
        _move(from, to, value);
        return _answer();
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return _answer();
    }

    function _move(address from, address to, uint256 value) private {
        if (frozen[from]) revert Frozen();
        uint256 balance = balanceOf[from];
        if (balance < value) revert InsufficientBalance();
        balanceOf[from] = balance - value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }

    /// @dev Ends the whole call with empty return data when the token is silent.
    function _answer() private view returns (bool) {
        if (silent) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return true;
    }
}

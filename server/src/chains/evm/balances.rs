//! Many balances in one call.
//!
//! A call without an address runs its data as the code of a new contract, and answers with what that returns. So nothing
//! has to be deployed on any network, and an address costs the 20 bytes that it has: a tenth of what a call of
//! Multicall3 takes.

use alloy_primitives::{Address, Bytes, U256};
use serde_json::{Value, json};

use crate::chains::rpc::Call;

/// So many addresses are asked about one by one, in one batch.
pub const FEW: usize = 100;
/// So many go into one call: what it returns must stay below the size of the largest contract (EIP-170), and costs gas
/// like the code of one.
pub const TOGETHER: usize = 500;

/// Returns the native balances of the addresses behind this code, 16 bytes each.
///
/// ```text
/// 00 PUSH1 2d  PUSH1 20                      where the next address is, and where its balance goes
/// 04 JUMPDEST  DUP2 CODESIZE GT PUSH1 12 JUMPI
/// 0b PUSH1 20  SWAP1 SUB PUSH1 20 RETURN     no address is left
/// 12 JUMPDEST  PUSH1 14 DUP3 PUSH1 0c CODECOPY
/// 19 PUSH1 00  MLOAD BALANCE PUSH1 80 SHL DUP2 MSTORE
/// 22 PUSH1 10  ADD SWAP1 PUSH1 14 ADD SWAP1 PUSH1 04 JUMP
/// ```
const NATIVE_READER: [u8; 45] = [
    0x60, 0x2d, 0x60, 0x20, 0x5b, 0x81, 0x38, 0x11, 0x60, 0x12, 0x57, 0x60, 0x20, 0x90, 0x03, 0x60, 0x20, 0xf3, 0x5b,
    0x60, 0x14, 0x82, 0x60, 0x0c, 0x39, 0x60, 0x00, 0x51, 0x31, 0x60, 0x80, 0x1b, 0x81, 0x52, 0x60, 0x10, 0x01, 0x90,
    0x60, 0x14, 0x01, 0x90, 0x60, 0x04, 0x56,
];

/// Behind this code come a token and addresses; returns what the token says that each holds, 32 bytes each. Fails if
/// the token does for any of them.
///
/// ```text
/// 00 PUSH4 70a08231  PUSH1 e0 SHL PUSH1 00 MSTORE       balanceOf, whose argument ends at byte 24
/// 0b PUSH1 14 PUSH1 51 PUSH1 2c CODECOPY PUSH1 20 MLOAD  the token
/// 15 PUSH1 65  PUSH1 40                                  where the next address is, and where its balance goes
/// 19 JUMPDEST  DUP2 CODESIZE GT PUSH1 27 JUMPI
/// 20 PUSH1 40  SWAP1 SUB PUSH1 40 RETURN                 no address is left
/// 27 JUMPDEST  PUSH1 14 DUP3 PUSH1 10 CODECOPY
/// 2e PUSH1 20  DUP2 PUSH1 24 PUSH1 00 DUP7 GAS STATICCALL
/// 38 PUSH1 1f  RETURNDATASIZE GT AND PUSH1 45 JUMPI
/// 40 PUSH1 00  PUSH1 00 REVERT                           it failed, or returned less than a number
/// 45 JUMPDEST  PUSH1 20 ADD SWAP1 PUSH1 14 ADD SWAP1 PUSH1 19 JUMP
/// ```
const TOKEN_READER: [u8; 81] = [
    0x63, 0x70, 0xa0, 0x82, 0x31, 0x60, 0xe0, 0x1b, 0x60, 0x00, 0x52, 0x60, 0x14, 0x60, 0x51, 0x60, 0x2c, 0x39, 0x60,
    0x20, 0x51, 0x60, 0x65, 0x60, 0x40, 0x5b, 0x81, 0x38, 0x11, 0x60, 0x27, 0x57, 0x60, 0x40, 0x90, 0x03, 0x60, 0x40,
    0xf3, 0x5b, 0x60, 0x14, 0x82, 0x60, 0x10, 0x39, 0x60, 0x20, 0x81, 0x60, 0x24, 0x60, 0x00, 0x86, 0x5a, 0xfa, 0x60,
    0x1f, 0x3d, 0x11, 0x16, 0x60, 0x45, 0x57, 0x60, 0x00, 0x60, 0x00, 0xfd, 0x5b, 0x60, 0x20, 0x01, 0x90, 0x60, 0x14,
    0x01, 0x90, 0x60, 0x19, 0x56,
];

/// Asks what addresses hold of an asset after a block; `None` is the native coin.
pub fn call(asset: Option<Address>, addresses: &[Address], block: &Value) -> Call {
    let reader = match asset {
        None => NATIVE_READER.as_slice(),
        Some(_) => TOKEN_READER.as_slice(),
    };
    let subjects = asset.iter().chain(addresses).flat_map(|address| address.as_slice());
    let data: Bytes = reader.iter().chain(subjects).copied().collect();
    Call::new("eth_call", json!([{ "data": data.to_string() }, block]))
}

/// The balances in an answer to [`call`] about so many addresses.
pub fn read(asset: Option<Address>, answer: &Value, addresses: usize) -> Option<Vec<U256>> {
    // No coin has so many units that more were needed; of tokens that cannot be said.
    let balance_bytes = if asset.is_none() { 16 } else { 32 };
    let returned: Bytes = answer.as_str()?.parse().ok()?;
    let is_whole = returned.len() == addresses * balance_bytes;
    is_whole.then(|| returned.chunks(balance_bytes).map(U256::from_be_slice).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Address = Address::repeat_byte(0x70);

    #[track_caller]
    fn check_call(asset: Option<Address>, reader: &[u8], subjects: &[u8]) {
        let call = call(asset, &[Address::repeat_byte(1), Address::repeat_byte(2)], &json!("0x7"));
        let data: Bytes = call.params[0]["data"].as_str().unwrap().parse().unwrap();
        assert_eq!(data.as_ref(), [reader, subjects].concat());
        assert_eq!((call.method, &call.params[1]), ("eth_call", &json!("0x7")));
    }

    #[test]
    fn the_code_is_followed_by_the_addresses() {
        let addresses = [[1; 20], [2; 20]].concat();
        check_call(None, &NATIVE_READER, &addresses);
        check_call(Some(TOKEN), &TOKEN_READER, &[TOKEN.as_slice(), &addresses].concat());
    }

    #[test]
    fn codes_know_their_own_lengths() {
        assert_eq!(usize::from(NATIVE_READER[1]), NATIVE_READER.len());
        let (token, first) = (usize::from(TOKEN_READER[0x0e]), usize::from(TOKEN_READER[0x16]));
        assert_eq!((token, first), (TOKEN_READER.len(), TOKEN_READER.len() + 20));
    }

    #[test]
    fn an_answer_of_another_length_is_none() {
        let two = json!(format!("0x{:032x}{:032x}", 5, u128::MAX));
        assert_eq!(read(None, &two, 2), Some(vec![U256::from(5), U256::from(u128::MAX)]));
        assert_eq!((read(None, &two, 1), read(None, &two, 3), read(None, &json!("0x"), 1)), (None, None, None));
        assert_eq!((read(None, &json!("0x0"), 0), read(None, &json!(7), 1)), (None, None));
        let one = json!(format!("0x{:064x}", 7));
        assert_eq!((read(Some(TOKEN), &one, 1), read(Some(TOKEN), &one, 2)), (Some(vec![U256::from(7)]), None));
    }
}

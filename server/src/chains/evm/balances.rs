//! Many native balances in one call.
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

/// Returns the balances of the addresses behind this code, 16 bytes each.
///
/// ```text
/// 00 PUSH1 2d  PUSH1 20                      where the next address is, and where its balance goes
/// 04 JUMPDEST  DUP2 CODESIZE GT PUSH1 12 JUMPI
/// 0b PUSH1 20  SWAP1 SUB PUSH1 20 RETURN     no address is left
/// 12 JUMPDEST  PUSH1 14 DUP3 PUSH1 0c CODECOPY
/// 19 PUSH1 00  MLOAD BALANCE PUSH1 80 SHL DUP2 MSTORE
/// 22 PUSH1 10  ADD SWAP1 PUSH1 14 ADD SWAP1 PUSH1 04 JUMP
/// ```
const READER: [u8; 45] = [
    0x60, 0x2d, 0x60, 0x20, 0x5b, 0x81, 0x38, 0x11, 0x60, 0x12, 0x57, 0x60, 0x20, 0x90, 0x03, 0x60, 0x20, 0xf3, 0x5b,
    0x60, 0x14, 0x82, 0x60, 0x0c, 0x39, 0x60, 0x00, 0x51, 0x31, 0x60, 0x80, 0x1b, 0x81, 0x52, 0x60, 0x10, 0x01, 0x90,
    0x60, 0x14, 0x01, 0x90, 0x60, 0x04, 0x56,
];

/// No coin has so many units that more were needed.
const BALANCE_BYTES: usize = 16;

/// Asks what addresses hold after a block.
pub fn call(addresses: &[Address], block: &Value) -> Call {
    let addresses = addresses.iter().flat_map(|address| address.as_slice());
    let data: Bytes = READER.iter().chain(addresses).copied().collect();
    Call::new("eth_call", json!([{ "data": data.to_string() }, block]))
}

/// The balances in an answer to [`call`] about so many addresses.
pub fn read(answer: &Value, addresses: usize) -> Option<Vec<U256>> {
    let returned: Bytes = answer.as_str()?.parse().ok()?;
    let is_whole = returned.len() == addresses * BALANCE_BYTES;
    is_whole.then(|| returned.chunks(BALANCE_BYTES).map(U256::from_be_slice).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_followed_by_the_addresses() {
        let call = call(&[Address::repeat_byte(1), Address::repeat_byte(2)], &json!("0x7"));
        let data: Bytes = call.params[0]["data"].as_str().unwrap().parse().unwrap();
        let (code, addresses) = data.split_at(usize::from(READER[1]));
        assert_eq!((code, addresses), (&READER[..], [[1; 20], [2; 20]].concat().as_slice()));
        assert_eq!((call.method, &call.params[1]), ("eth_call", &json!("0x7")));
    }

    #[test]
    fn an_answer_of_another_length_is_none() {
        let two = json!(format!("0x{:032x}{:032x}", 5, u128::MAX));
        assert_eq!(read(&two, 2), Some(vec![U256::from(5), U256::from(u128::MAX)]));
        assert_eq!((read(&two, 1), read(&two, 3), read(&json!("0x"), 1)), (None, None, None));
        assert_eq!((read(&json!("0x0"), 0), read(&json!(7), 1)), (None, None));
    }
}

//! The gas-only key, and the one kind of transaction it signs.
//!
//! It pays for calls of the deposit factory. Nothing here can sign anything else: the receiver, the value and the call
//! are not arguments.

use std::fmt;

use alloy_primitives::{Address, B256, U256, keccak256};
use k256::ecdsa::SigningKey;
use wire::deposit_address::FACTORY;

/// What a transaction with fees as in EIP-1559 begins with (EIP-2718).
const EIP_1559: u8 = 2;

/// A key to an account that holds a little coin for gas. It is shown by its address only.
pub struct GasKey {
    key: SigningKey,
    address: Address,
}

/// The key cannot be read. What was found is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GasKeyError {
    #[error("must be 64 hex digits")]
    Malformed,
    #[error("no account has such a key")]
    OutOfRange,
}

/// A call of the factory, to be signed.
#[derive(Clone, Copy, Debug)]
pub struct FactoryCall<'a> {
    pub chain_id: u64,
    pub nonce: u64,
    /// For each unit of gas at most, and of that for whoever makes the block.
    pub max_fee: U256,
    pub priority_fee: U256,
    pub gas_limit: u64,
    pub calldata: &'a [u8],
}

/// A transaction as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub hash: B256,
    pub raw: Vec<u8>,
}

impl GasKey {
    /// Reads a key of 64 hex digits, with or without `0x` before them.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, GasKeyError> {
        let text = text.trim();
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| GasKeyError::Malformed)?;
        let key = SigningKey::from_slice(&bytes).map_err(|_| GasKeyError::OutOfRange)?;
        let point = key.verifying_key().to_encoded_point(false);
        // The point without the byte that says how it is written.
        let address = Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..]);
        Ok(Self { key, address })
    }

    /// The account it is the key of.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a call of the factory. The same call always comes to the same transaction (RFC 6979).
    ///
    /// # Errors
    ///
    /// If nothing can be signed, which does not happen with a key that was read.
    pub fn sign(&self, call: &FactoryCall<'_>) -> Result<Signed, k256::ecdsa::Error> {
        let mut fields = call.fields();
        let hash = keccak256(envelope(&fields));
        let (signature, recovery) = self.key.sign_prehash_recoverable(hash.as_slice())?;
        let (r, s) = signature.split_bytes();
        fields.push(integer(&[recovery.to_byte()]));
        fields.push(integer(&r));
        fields.push(integer(&s));
        let raw = envelope(&fields);
        Ok(Signed { hash: keccak256(&raw), raw })
    }
}

impl fmt::Debug for GasKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GasKey").field("address", &self.address).finish_non_exhaustive()
    }
}

impl FactoryCall<'_> {
    /// Chain, nonce, fees, gas, receiver, value, data and access list, each as RLP.
    fn fields(&self) -> Vec<Vec<u8>> {
        vec![
            integer(&self.chain_id.to_be_bytes()),
            integer(&self.nonce.to_be_bytes()),
            integer(&self.priority_fee.to_be_bytes::<32>()),
            integer(&self.max_fee.to_be_bytes::<32>()),
            integer(&self.gas_limit.to_be_bytes()),
            text(FACTORY.as_slice()),
            integer(&[]),
            text(self.calldata),
            list(&[]),
        ]
    }
}

fn envelope(fields: &[Vec<u8>]) -> Vec<u8> {
    [vec![EIP_1559], list(fields)].concat()
}

/// A number in RLP: without zeros before it.
fn integer(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    text(&big_endian[zeros..])
}

/// Bytes in RLP.
fn text(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte @ ..0x80] => vec![*byte],
        _ => [head(0x80, bytes.len()), bytes.to_vec()].concat(),
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let items = items.concat();
    [head(0xc0, items.len()), items].concat()
}

/// What comes before so many bytes: their number, if it is small, or else how long that is and it itself.
fn head(kind: u8, length: usize) -> Vec<u8> {
    if let Ok(length @ ..56) = u8::try_from(length) {
        return vec![kind + length];
    }
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    // At most eight.
    [vec![kind + 55 + u8::try_from(digits.len()).unwrap_or(8)], digits.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    /// Of a local development chain; everybody knows it.
    const KNOWN: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn a_key_is_its_account_s() {
        let expected = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        for text in [KNOWN.to_owned(), format!("0x{KNOWN}"), format!(" {}\n", KNOWN.to_uppercase())] {
            assert_eq!(GasKey::parse(&text).unwrap().address(), expected);
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = GasKey::parse(KNOWN).unwrap();
        let shown = format!("{key:?}");
        assert_eq!(shown, "GasKey { address: 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266, .. }");
        for bad in ["", "0x", "ac09", &KNOWN.replace('a', "x"), &format!("{KNOWN}00")] {
            assert_eq!(GasKey::parse(bad).unwrap_err(), GasKeyError::Malformed);
        }
        for bad in ["0".repeat(64), "f".repeat(64)] {
            assert_eq!(GasKey::parse(&bad).unwrap_err(), GasKeyError::OutOfRange);
        }
    }

    /// The examples of the Ethereum wiki's page on RLP.
    #[test]
    fn rlp_is_written_as_in_its_examples() {
        assert_eq!(text(b"dog"), b"\x83dog");
        assert_eq!(list(&[text(b"cat"), text(b"dog")]), b"\xc8\x83cat\x83dog");
        assert_eq!((text(b""), list(&[]), integer(&[0, 0])), (vec![0x80], vec![0xc0], vec![0x80]));
        assert_eq!((integer(&[15]), integer(&[0, 4, 0])), (vec![0x0f], vec![0x82, 4, 0]));
        let long = b"Lorem ipsum dolor sit amet, consectetur adipisicing elit";
        assert_eq!(text(long), [b"\xb8\x38".as_slice(), long].concat());
        assert_eq!(head(0xc0, 1024), [0xf9, 4, 0]);
        assert_eq!(text(&[0x7f]), [0x7f]);
        assert_eq!(text(&[0x80]), [0x81, 0x80]);
    }

    #[test]
    fn the_same_call_is_the_same_transaction() {
        let key = GasKey::parse(KNOWN).unwrap();
        let call = FactoryCall {
            chain_id: 31_337,
            nonce: 7,
            max_fee: U256::from(3_000_000_000_u64),
            priority_fee: U256::from(1_000_000_000_u64),
            gas_limit: 100_000,
            calldata: &[1, 2, 3],
        };
        let signed = key.sign(&call).unwrap();
        assert_eq!(key.sign(&call).unwrap(), signed);
        assert_ne!(key.sign(&FactoryCall { nonce: 8, ..call }).unwrap().hash, signed.hash);
        assert_eq!(signed.raw[0], EIP_1559);
        // Receiver, no value, the call, and no access list.
        let inside = [text(FACTORY.as_slice()), vec![0x80], text(&[1, 2, 3]), vec![0xc0]].concat();
        assert!(signed.raw.windows(inside.len()).any(|part| part == inside));
    }
}

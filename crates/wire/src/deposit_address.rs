//! The deposit address of an invoice, computed without a chain.
//!
//! An address is the CREATE2 address (EIP-1014) of a small contract that can only pay one merchant;
//! no key to it exists. It depends on the factory, the factory's logic contract, the merchant's
//! wallet and a salt, and on nothing else, so it is the same on every EVM network and whoever knows
//! the wallet and the salt can prove where its money goes. `contracts/src/DepositFactory.sol` is the
//! other half. Kept out: choosing salts' sequence numbers, and anything that asks a chain.

use alloy_primitives::{Address, B256, Keccak256, address, hex, keccak256};

use crate::keccak;

/// The factory, on every network: its creation code deployed through the deterministic deployer
/// `0x4e59b44847b379578588920cA78FbF26c0B4956C` with salt 0.
pub const FACTORY: Address = address!("0xB6057A1C8b59A47845aDdDc67aBc606A297B58da");

/// The code that all deposit addresses share: the first contract that [`FACTORY`] creates.
pub const LOGIC: Address = address!("0x3E8B354D14268D12a1E947740EA25Fe9292A57c9");

/// The address whose money can only go to `merchant`, for this `salt`.
///
/// Equal to `addressOf(merchant, salt)` of the factory, deployed or not.
pub fn deposit_address(merchant: Address, salt: B256) -> Address {
    FACTORY.create2(salt, keccak256(creation_code(merchant)))
}

/// Whether `address` is the one whose money can only go to `merchant`, for this `salt`. All three are text, as pages get
/// them: `0x` and hexadecimal digits of either case.
pub fn is_deposit_address(address: &str, merchant: &str, salt: &str) -> bool {
    let (mut given, mut wallet, mut salt_bytes) = ([0; 20], [0; 20], [0; 32]);
    let are_read = read_hex(address, &mut given) && read_hex(merchant, &mut wallet) && read_hex(salt, &mut salt_bytes);
    // EIP-1014, with the small hash function.
    let mut text = [0xff; 85];
    text[1..21].copy_from_slice(FACTORY.as_slice());
    text[21..53].copy_from_slice(&salt_bytes);
    text[53..].copy_from_slice(&keccak::keccak256(&creation_code(wallet.into())));
    are_read && keccak::keccak256(&text)[12..] == given
}

/// Reads `0x` and exactly as many digits as `into` has room for. Written out, as this is part of what a phone downloads.
fn read_hex(text: &str, into: &mut [u8]) -> bool {
    let Some(digits) = text.strip_prefix("0x").map(str::as_bytes).filter(|digits| digits.len() == 2 * into.len())
    else {
        return false;
    };
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    into.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| match (value(pair[0]), value(pair[1])) {
        (Some(high), Some(low)) => {
            *byte = high << 4 | low;
            true
        }
        _ => false,
    })
}

/// The salt of the store's `sequence`-th invoice: keccak256 of `"pay/1"`, the recovery code and the
/// sequence number as 8 bytes, big-endian.
///
/// With the wallet, the recovery code and a counter a merchant finds every deposit address again,
/// even without the database.
pub fn salt(recovery_code: &[u8; 32], sequence: u64) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"pay/1");
    hasher.update(recovery_code);
    hasher.update(sequence.to_be_bytes());
    hasher.finalize()
}

/// What CREATE2 hashes: 10 bytes that return the rest as code, then code that stops on empty
/// calldata and otherwise delegates to [`LOGIC`], then the merchant.
fn creation_code(merchant: Address) -> [u8; 81] {
    const BEFORE_LOGIC: [u8; 26] = hex!("3d604780600a3d3981f336600557005b363d3d373d3d3d363d73");
    const AFTER_LOGIC: [u8; 15] = hex!("5af43d82803e903d91603157fd5bf3");

    let mut code = [0; 81];
    code[..26].copy_from_slice(&BEFORE_LOGIC);
    code[26..46].copy_from_slice(LOGIC.as_slice());
    code[46..61].copy_from_slice(&AFTER_LOGIC);
    code[61..].copy_from_slice(merchant.as_slice());
    code
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    const FACTORY_ARTIFACT: &str = include_str!("../../../contracts/artifacts/factory.json");

    fn artifact(field: &str) -> String {
        let artifact: serde_json::Value = serde_json::from_str(FACTORY_ARTIFACT).unwrap();
        artifact[field].as_str().unwrap().to_owned()
    }

    #[test]
    fn factory_is_where_the_committed_bytecode_deploys() {
        let deployer: Address = artifact("deployer").parse().unwrap();
        let salt: B256 = artifact("salt").parse().unwrap();
        let creation_code = hex::decode(artifact("creation_code")).unwrap();

        assert_eq!(deployer, address!("0x4e59b44847b379578588920cA78FbF26c0B4956C"));
        assert_eq!(salt, B256::ZERO);
        assert_eq!(FACTORY, deployer.create2(salt, keccak256(creation_code)));
    }

    #[test]
    fn logic_is_the_first_contract_the_factory_creates() {
        // RLP of the list [factory, nonce 1]: a contract's first creation has nonce 1 (EIP-161).
        let mut list = vec![0xd6, 0x94];
        list.extend(FACTORY);
        list.push(1);

        assert_eq!(LOGIC, Address::from_word(keccak256(list)));
    }

    #[test]
    fn merchant_is_the_end_of_the_creation_code() {
        let merchant = Address::repeat_byte(0x11);
        let code = creation_code(merchant);

        assert_eq!(code.len() - 10, 0x47, "the copied length is written into the first ten bytes");
        assert_eq!(code[10 + 51..], merchant[..], "the logic contract reads the merchant at byte 51");
    }

    #[test]
    fn addresses_differ_by_merchant_and_by_salt() {
        let merchant = Address::repeat_byte(0x11);
        let address = deposit_address(merchant, B256::ZERO);

        assert_ne!(address, deposit_address(Address::repeat_byte(0x12), B256::ZERO));
        assert_ne!(address, deposit_address(merchant, B256::with_last_byte(1)));
    }

    #[test]
    fn only_the_address_of_that_wallet_and_salt_is_proven() {
        const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        const SALT: &str = "0xdeb508264f1be2cad8594f9e4d5e8b51235f08d26433a3d5229f756384b97c15";
        // Computed by another implementation of Keccak and CREATE2.
        const ADDRESS: &str = "0x5eE9B98c9f2930cd908610d1fF8073EB7F2Db03A";

        assert!(is_deposit_address(ADDRESS, WALLET, SALT));
        let computed = deposit_address(WALLET.parse().unwrap(), SALT.parse().unwrap());
        assert_eq!(computed.to_checksum(None), ADDRESS);
        assert!(is_deposit_address(&ADDRESS.to_lowercase(), &WALLET.to_lowercase(), SALT));
        for (address, wallet, salt) in [
            (WALLET, WALLET, SALT),
            (ADDRESS, ADDRESS, SALT),
            (ADDRESS, WALLET, SALT.replace('d', "e").as_str()),
            (ADDRESS.replace('5', "6").as_str(), WALLET, SALT),
            (&ADDRESS[2..], WALLET, SALT),
            (&ADDRESS[..41], WALLET, SALT),
            (format!("{ADDRESS}0").as_str(), WALLET, SALT),
            (ADDRESS, WALLET.replace('a', "g").as_str(), SALT),
            (ADDRESS, WALLET, "0x"),
            ("", "", ""),
            ("0xé", "0xé", "0xé"),
        ] {
            assert!(!is_deposit_address(address, wallet, salt), "{address} {wallet} {salt}");
        }
    }

    /// Pinned, because a merchant's recovery depends on them for ever.
    #[test]
    fn salts_never_change() {
        assert_eq!(salt(&[0; 32], 0), b256!("0x1147b64c8ef80ad320619fd478e412168978d23bb17fc3d71e4f90223c63c7d4"));
        assert_eq!(salt(&[7; 32], 1), b256!("0xad86e143ab00cacafa8a990672d4d72960e38f13fd02f185af8526e37fd170d0"));
        assert_eq!(
            salt(&[0xff; 32], u64::MAX),
            b256!("0xe1dc579e3b4763d5ef1c73d7ae2a5c97b45d36cda9b5b20eea7bc09d934af429")
        );
    }
}

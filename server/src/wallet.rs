//! Addresses that money may be sent to.

use alloy_primitives::{Address, address};
use wire::Environment;

/// Why money is not sent to such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    #[error("must be 0x and 40 hex digits")]
    NoAddress,
    #[error("the checksum is wrong, so a character is; copy the address again")]
    Checksum,
    #[error("nobody holds the zero address")]
    Zero,
    #[error("this is a test account whose key everybody knows")]
    TestAccount,
}

/// Accounts whose keys everybody knows: those of local development chains.
const PUBLIC_ACCOUNTS: [Address; 10] = [
    address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
    address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
    address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
    address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
    address!("0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
    address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
];

/// Reads a wallet on EVM networks: an address with a good EIP-55 checksum, or one that is all in lower case
/// and so has none.
///
/// # Errors
///
/// If it is none, or one that money must not go to.
pub fn evm_wallet(text: &str, environment: Environment) -> Result<Address, WalletError> {
    let is_address = text.strip_prefix("0x").is_some_and(|digits| digits.len() == 40);
    let address = is_address.then(|| text.parse::<Address>().ok()).flatten().ok_or(WalletError::NoAddress)?;
    let has_no_checksum = text == text.to_ascii_lowercase();
    if !has_no_checksum && address.to_checksum(None) != text {
        return Err(WalletError::Checksum);
    }
    if address.is_zero() {
        return Err(WalletError::Zero);
    }
    if environment == Environment::Mainnet && PUBLIC_ACCOUNTS.contains(&address) {
        return Err(WalletError::TestAccount);
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_needs_a_good_checksum_or_none() {
        let check = |text: &str, expected: Result<(), WalletError>| {
            assert_eq!(evm_wallet(text, Environment::Mainnet).map(|_| ()), expected, "{text}");
        };
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Ok(()));
        check("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", Ok(()));
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed", Err(WalletError::Checksum));
        check("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", Err(WalletError::Checksum));
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", Err(WalletError::NoAddress));
        check("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Err(WalletError::NoAddress));
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", Err(WalletError::NoAddress));
        check("", Err(WalletError::NoAddress));
        check("0x0000000000000000000000000000000000000000", Err(WalletError::Zero));
    }

    #[test]
    fn accounts_whose_keys_everybody_knows_are_for_devnet_only() {
        for account in PUBLIC_ACCOUNTS {
            let text = account.to_checksum(None);
            assert_eq!(evm_wallet(&text, Environment::Mainnet), Err(WalletError::TestAccount));
            assert_eq!(evm_wallet(&text, Environment::Devnet), Ok(account));
        }
    }
}

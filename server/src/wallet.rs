//! Addresses that money may be sent to. Whoever types one wrong has nobody to ask for it back.

use std::{fmt, str::FromStr};

use alloy_primitives::{Address, address};
use wire::{Environment, deposit_address};

use crate::{
    config::Config,
    solana::{self, SolanaAddress},
};

/// Where money is sent, on networks of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WalletAddress {
    Evm(Address),
    Solana(SolanaAddress),
}

impl fmt::Display for WalletAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(address) => f.pad(&address.to_checksum(None)),
            Self::Solana(address) => address.fmt(f),
        }
    }
}

/// A text that is an address of neither family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no address")]
pub struct NoWalletAddress;

impl FromStr for WalletAddress {
    type Err = NoWalletAddress;

    fn from_str(text: &str) -> Result<Self, NoWalletAddress> {
        if text.starts_with("0x") {
            return text.parse().map(Self::Evm).map_err(|_| NoWalletAddress);
        }
        text.parse().map(Self::Solana).map_err(|_| NoWalletAddress)
    }
}

/// Why money is not sent to such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    #[error("must be 0x and 40 hex digits")]
    NoAddress,
    #[error("looks like a name; give the address it stands for, 0x and 40 hex digits")]
    Name,
    #[error("looks like an address on {0}; a wallet on an EVM network is 0x and 40 hex digits")]
    OtherFamily(&'static str),
    #[error("the checksum is wrong, so a character is; copy the address again")]
    Checksum,
    #[error("nobody holds the zero address")]
    Zero,
    #[error("nobody holds this address: it is reserved, or where tokens are burnt")]
    Nobody,
    #[error("is a contract of this server, which could never give the money back")]
    OurContract,
    #[error("is the contract of a token, which could never give the money back")]
    TokenContract,
    #[error("this is a test account whose key everybody knows")]
    TestAccount,
}

/// Accounts whose keys everybody knows: those of local development chains.
pub(crate) const PUBLIC_ACCOUNTS: [Address; 10] = [
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

/// Whether everybody knows the key of an account.
pub fn is_public_account(address: Address) -> bool {
    PUBLIC_ACCOUNTS.contains(&address)
}

/// Where people send what they want to destroy.
const BURNT: Address = address!("0x000000000000000000000000000000000000dEaD");
/// Below this there are only contracts that every chain has.
const FIRST_ORDINARY: Address = address!("0x0000000000000000000000000000000000010000");

/// Reads a wallet on EVM networks: an address with a good EIP-55 checksum, or one that is all in lower case
/// and so has none.
///
/// # Errors
///
/// If it is none, or one that money must not go to.
pub fn evm_wallet(text: &str, environment: Environment) -> Result<Address, WalletError> {
    let is_address = text.strip_prefix("0x").is_some_and(|digits| digits.len() == 40);
    let address = is_address.then(|| text.parse::<Address>().ok()).flatten().ok_or_else(|| what_else(text))?;
    let has_no_checksum = text == text.to_ascii_lowercase();
    if !has_no_checksum && address.to_checksum(None) != text {
        return Err(WalletError::Checksum);
    }
    if address.is_zero() {
        return Err(WalletError::Zero);
    }
    if address == BURNT || address < FIRST_ORDINARY {
        return Err(WalletError::Nobody);
    }
    if [deposit_address::FACTORY, deposit_address::LOGIC].contains(&address) {
        return Err(WalletError::OurContract);
    }
    if environment == Environment::Mainnet && is_public_account(address) {
        return Err(WalletError::TestAccount);
    }
    Ok(address)
}

/// As [`evm_wallet`], for a wallet of this server's merchants: the tokens it knows are no wallets either.
///
/// # Errors
///
/// As [`evm_wallet`].
pub fn merchant_wallet(text: &str, config: &Config) -> Result<Address, WalletError> {
    let address = evm_wallet(text, config.environment)?;
    let is_token = config.tokens().any(|(_, token)| token.address == Some(address));
    if is_token { Err(WalletError::TokenContract) } else { Ok(address) }
}

/// Reads a wallet on Solana of this server's merchants.
///
/// # Errors
///
/// If it is none, or one that money must not go to.
pub fn merchant_solana_wallet(text: &str, config: &Config) -> Result<SolanaAddress, solana::WalletError> {
    solana::solana_wallet(text, |address| is_mint(config, address))
}

/// Whether an address on Solana is the mint of a token that this server knows.
pub fn is_mint(config: &Config, address: SolanaAddress) -> bool {
    config.tokens().any(|(_, token)| token.mint == Some(address))
}

/// What people paste where an EVM address belongs.
fn what_else(text: &str) -> WalletError {
    let is_base58 = text.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte));
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (text, text.len()) {
        (text, 42..) if text.starts_with("bc1") => WalletError::OtherFamily("Bitcoin"),
        (text, 50..) if text.starts_with("addr1") => WalletError::OtherFamily("Cardano"),
        (text, 66) if text.strip_prefix("0x").is_some_and(is_hex) => WalletError::OtherFamily("Sui"),
        (text, 48) if text.starts_with("EQ") || text.starts_with("UQ") => WalletError::OtherFamily("TON"),
        (text, 34) if is_base58 && text.starts_with('T') => WalletError::OtherFamily("Tron"),
        (text, 26..=35) if is_base58 && text.starts_with(['1', '3']) => WalletError::OtherFamily("Bitcoin"),
        (_, 32..=44) if is_base58 => WalletError::OtherFamily("Solana"),
        (text, _) if text.contains('.') => WalletError::Name,
        _ => WalletError::NoAddress,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        toml::from_str(
            "environment = \"mainnet\"\n[[networks]]\nname = \"base\"\ntitle = \"Base\"\nchain_id = 8453\n\
             rpc = [\"https://rpc.example\"]\npaid_after = 1\nfinal_after = 1\n[[networks.tokens]]\nid = 1\n\
             symbol = \"USDC\"\nname = \"USD Coin\"\naddress = \"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913\"\n\
             decimals = 6\nprice = \"par\"\n",
        )
        .unwrap()
    }

    #[track_caller]
    fn refused(text: &str, problem: WalletError) {
        assert_eq!(evm_wallet(text, Environment::Mainnet), Err(problem), "{text}");
    }

    #[test]
    fn a_wallet_needs_a_good_checksum_or_none() {
        for text in ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"] {
            assert!(evm_wallet(text, Environment::Mainnet).is_ok(), "{text}");
        }
        refused("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed", WalletError::Checksum);
        refused("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", WalletError::Checksum);
        for text in [
            "",
            "0x",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
            " 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xäääääääääääääääääääääää",
        ] {
            refused(text, WalletError::NoAddress);
        }
    }

    #[test]
    fn an_address_of_another_family_is_called_that() {
        for (text, family) in [
            ("7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV", "Solana"),
            ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "Solana"),
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "Bitcoin"),
            ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "Bitcoin"),
            ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "Tron"),
            ("EQCxE6mUtQJKFnGfaROTKOt1lZbDiiX1kCixRv7Nw2Id_sDs", "TON"),
            ("0x02a212de6a9dfa3a69e22387acfbafbb1a9e591bd9d636e7895dcfc8de05f331", "Sui"),
        ] {
            refused(text, WalletError::OtherFamily(family));
        }
        refused("shop.eth", WalletError::Name);
    }

    #[test]
    fn money_does_not_go_where_nobody_could_take_it() {
        refused("0x0000000000000000000000000000000000000000", WalletError::Zero);
        refused("0x0000000000000000000000000000000000000001", WalletError::Nobody);
        refused("0x000000000000000000000000000000000000ffff", WalletError::Nobody);
        refused("0x000000000000000000000000000000000000dead", WalletError::Nobody);
        refused(&deposit_address::FACTORY.to_checksum(None), WalletError::OurContract);
        refused(&deposit_address::LOGIC.to_checksum(None), WalletError::OurContract);
        assert!(evm_wallet("0x0000000000000000000000000000000000010000", Environment::Mainnet).is_ok());
        let token = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913";
        assert_eq!(merchant_wallet(token, &config()), Err(WalletError::TokenContract));
        assert!(merchant_wallet("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", &config()).is_ok());
    }

    #[test]
    fn accounts_whose_keys_everybody_knows_are_for_devnet_only() {
        for account in PUBLIC_ACCOUNTS {
            refused(&account.to_checksum(None), WalletError::TestAccount);
            assert_eq!(evm_wallet(&account.to_checksum(None), Environment::Devnet), Ok(account));
        }
    }
}

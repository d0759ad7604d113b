//! An account of Solana by its 32 bytes.

use std::str::FromStr;

use curve25519_dalek::edwards::CompressedEdwardsY;

use super::base58::spelt_in_base58;

/// The address of an account: a wallet, a token account, a mint, a program, or just a mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SolanaAddress([u8; 32]);

spelt_in_base58!(SolanaAddress);

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("must be a Solana address, 32 to 44 letters and digits")]
    Missing,
    #[error("has a `{0}`, which no Solana address has; copy the address again")]
    NotBase58(char),
    #[error("stands for {0} bytes instead of 32, so characters are missing or too many; copy the address again")]
    Length(usize),
    #[error("is too long for a Solana address, which has at most 44 characters; copy the address alone")]
    TooLong,
    #[error(
        "is no address but 64 bytes: the signature of a transaction or a PRIVATE key. If it is a key, whoever has seen \
         it can spend your money: move it. An address has at most 44 characters"
    )]
    SignatureOrKey,
    #[error("is an address on EVM networks; on Solana a wallet has another one, without 0x")]
    Evm,
    #[error("looks like a name; give the address it stands for, 32 to 44 letters and digits")]
    Name,
}

impl SolanaAddress {
    /// No address is longer than this as text.
    pub const LONGEST_TEXT: usize = 44;

    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is a point of ed25519, as a wallet's address is. What is none has no key: it belongs to a program.
    pub fn is_on_curve(&self) -> bool {
        CompressedEdwardsY(self.0).decompress().is_some()
    }

    /// An address that is written down in the code; a wrong one does not compile.
    pub(crate) const fn known(text: &str) -> Self {
        const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        let text = text.as_bytes();
        let mut bytes = [0_u8; 32];
        let mut read = 0;
        while read < text.len() {
            let mut digit = 0;
            while ALPHABET[digit] != text[read] {
                digit += 1;
            }
            let mut carry = digit;
            let mut place = bytes.len();
            while 0 < place {
                place -= 1;
                carry += bytes[place] as usize * 58;
                bytes[place] = carry.to_le_bytes()[0];
                carry >>= 8;
            }
            assert!(carry == 0, "too long for an address");
            read += 1;
        }
        Self(bytes)
    }
}

impl FromStr for SolanaAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 40 && is_hex(digits) => return Err(AddressError::Evm),
            _ => {}
        }
        // Wallets show a key as a base58 text of 64 bytes, tools keep it as a list of 64 numbers.
        if text.starts_with('[') && text.bytes().filter(|byte| *byte == b',').count() == 63 {
            return Err(AddressError::SignatureOrKey);
        }
        match text.len() {
            0 => return Err(AddressError::Missing),
            // 64 bytes have up to 88 characters; more is not decoded, since that takes long for long texts.
            89.. => return Err(AddressError::TooLong),
            _ => {}
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| not_base58(text))?;
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) if bytes.len() == 64 => Err(AddressError::SignatureOrKey),
            Err(_) => Err(AddressError::Length(bytes.len())),
        }
    }
}

fn not_base58(text: &str) -> AddressError {
    let is_base58 = |character: char| character.is_ascii_alphanumeric() && !"0OIl".contains(character);
    match text.chars().find(|character| !is_base58(*character)) {
        Some('.') => AddressError::Name,
        Some(character) => AddressError::NotBase58(character),
        None => AddressError::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

    #[track_caller]
    fn refused(text: &str, error: AddressError) {
        assert_eq!(text.parse::<SolanaAddress>(), Err(error), "{text}");
    }

    #[test]
    fn an_address_reads_back_as_written() {
        for text in [USDC, "11111111111111111111111111111111", "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV"] {
            let address: SolanaAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(format!("{address:?}"), text);
            assert_eq!(SolanaAddress::new(*address.as_bytes()), address);
            assert_eq!(SolanaAddress::known(text), address);
            let json = serde_json::to_string(&address).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<SolanaAddress>(&json).unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        refused("", AddressError::Missing);
        refused(&USDC.replace('P', "0"), AddressError::NotBase58('0'));
        refused(&USDC.replace('P', "l"), AddressError::NotBase58('l'));
        refused(&format!(" {USDC}"), AddressError::NotBase58(' '));
        refused("Größe", AddressError::NotBase58('ö'));
        refused(&USDC[2..], AddressError::Length(31));
        refused("1111111111111111111111111111111", AddressError::Length(31));
        refused(&format!("{USDC}1"), AddressError::Length(33));
        refused(&USDC.repeat(3), AddressError::TooLong);
        refused(&"é".repeat(100), AddressError::TooLong);
        refused("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", AddressError::Evm);
        refused("shop.sol", AddressError::Name);
    }

    #[test]
    fn a_private_key_is_called_one_and_never_repeated() {
        let key = bs58::encode([7; 64]).into_string();
        let numbers = format!("[{}]", vec!["212"; 64].join(","));
        for text in [key, numbers] {
            refused(&text, AddressError::SignatureOrKey);
            let words = AddressError::SignatureOrKey.to_string();
            assert!(words.contains("PRIVATE") && !words.contains(&text), "{words}");
        }
    }

    #[test]
    fn what_is_on_the_curve_is_what_the_network_holds_for_that() {
        let is_on_curve = |text: &str| text.parse::<SolanaAddress>().unwrap().is_on_curve();
        // A wallet, a mint made from a key, and the system program, whose zeros happen to be a point.
        assert!(is_on_curve("H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo"));
        assert!(is_on_curve(USDC));
        assert!(is_on_curve("11111111111111111111111111111111"));
        // The wallet's token account.
        assert!(!is_on_curve("APrMQ2gJj99PfjSRhaR7SZmPuym1oJmXNbHUttY66q3L"));
        let points = (0..=u8::MAX).filter(|byte| SolanaAddress::new([*byte; 32]).is_on_curve()).count();
        assert!((100..156).contains(&points), "{points} of 256");
    }
}

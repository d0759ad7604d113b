//! Extended public keys (BIP-32), from which addresses are derived that only their merchant can spend from.
//!
//! A server that knows such a key can make addresses and nothing else.

use std::{fmt, str::FromStr};

use alloy_primitives::{Address, keccak256};
use bip32::{ChildNumber, ExtendedKeyAttrs, Prefix, XPub};
use wire::Environment;

use crate::wallet::is_public_account;

/// A key whose children are addresses, as wallets number them.
#[derive(Clone)]
pub struct AddressKey {
    /// One text for all keys with the same addresses.
    text: String,
    /// The chain of addresses for receiving.
    receiving: XPub,
}

/// Why no addresses are derived from such a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XpubError {
    #[error("must be an extended public key, xpub…")]
    NoKey,
    #[error(
        "is a PRIVATE key: whoever has it can spend your money. Give the public one, xpub…; if somebody may have \
             seen this one, move your money"
    )]
    Private,
    #[error("is a key for Bitcoin addresses; export the one for Ethereum, m/44'/60'/0'")]
    Bitcoin,
    #[error(
        "is a key of depth {0}; give the one of an account (m/44'/60'/0', depth 3) or of its receiving addresses \
             (m/44'/60'/0'/0, depth 4)"
    )]
    Depth(u8),
    #[error("belongs to a phrase that everybody knows")]
    PublicPhrase,
}

impl AddressKey {
    /// Numbers go up to here; above are those that need the private key.
    pub const LAST: u32 = (1 << 31) - 1;
    const ACCOUNT_DEPTH: u8 = 3;

    /// Reads a key for a server of an environment.
    ///
    /// # Errors
    ///
    /// If it is none, is a private one, or one whose children no wallet would look for.
    pub fn parse(text: &str, environment: Environment) -> Result<Self, XpubError> {
        let text = text.trim();
        // Of every script there is a prefix, and the parser below takes all of them for the same.
        match (text.get(..1), text.get(1..4)) {
            (_, Some("prv")) => return Err(XpubError::Private),
            (Some("x"), Some("pub")) => {}
            (Some("t"), Some("pub")) if environment == Environment::Devnet => {}
            (_, Some("pub")) => return Err(XpubError::Bitcoin),
            _ => return Err(XpubError::NoKey),
        }
        let key = XPub::from_str(text).map_err(|_| XpubError::NoKey)?;
        let receiving = match key.attrs().depth {
            Self::ACCOUNT_DEPTH => child(&key, 0).ok_or(XpubError::NoKey)?,
            depth if depth == Self::ACCOUNT_DEPTH + 1 => key.clone(),
            depth => return Err(XpubError::Depth(depth)),
        };
        // Which key is its parent, and which child it is, does not matter for its addresses; exports differ in that.
        let attributes = ExtendedKeyAttrs {
            depth: Self::ACCOUNT_DEPTH + 1,
            parent_fingerprint: [0; 4],
            child_number: ChildNumber::default(),
            chain_code: receiving.attrs().chain_code,
        };
        let receiving = XPub::new(*receiving.public_key(), attributes);
        let key = Self { text: receiving.to_string(Prefix::XPUB), receiving };
        let is_public = (0..10).filter_map(|index| key.address(index)).any(is_public_account);
        if environment == Environment::Mainnet && is_public { Err(XpubError::PublicPhrase) } else { Ok(key) }
    }

    /// The address of that number; `None` for the one in 2¹²⁷ that does not exist, and above [`AddressKey::LAST`].
    pub fn address(&self, index: u32) -> Option<Address> {
        let key = child(&self.receiving, index)?;
        let point = key.public_key().to_encoded_point(false);
        let hash = keccak256(point.as_bytes().get(1..)?);
        Some(Address::from_slice(hash.get(12..)?))
    }

    /// The first addresses, to be compared with what a wallet shows.
    pub fn first_addresses(&self) -> Vec<Address> {
        (0..3).filter_map(|index| self.address(index)).collect()
    }

    /// The chain of its receiving addresses: the same for each key that has these addresses.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for AddressKey {
    /// Whoever has it knows all payers' addresses: it is in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressKey(…)")
    }
}

fn child(key: &XPub, index: u32) -> Option<XPub> {
    let number = ChildNumber::new(index, false).ok()?;
    key.derive_child(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// m/44'/60'/0' of "test test … junk", whose first accounts every development chain has.
    const ACCOUNT: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
    /// Its chain of receiving addresses, m/44'/60'/0'/0.
    const RECEIVING: &str = "xpub6DyUKdwoLWmUJ4Tn9Bbsdtx7B5Ws18mEN19e5HT52ikE53FiUheSQXrZUNPovqfyKmw4579A1Mm3GXXKM39N64uooBfJ4tNAzFsEbodRTx4";
    /// m/44'/60'.
    const TOO_HIGH: &str = "xpub6Ay6WWVYghenQVhPqVCSEgcQKFK6emKTmDiXr86hZZKqXw8Uuqq87s8ExNmmrjiWP8wrYYcAzVEGoeUiwhGcbnH51Pd1m8ZWJmPfh6krM7r";
    const PRIVATE: &str = "xprv9yeny6n2dNUokQFykGoZU6BDLeKbEBUoBeCFe2VF6MXdrHrprMYRc4tddncDRxrJCy7GtPDk68zRcgWtGFveqdCV5NyhZwVgMoZVbTm78vx";

    fn parse(text: &str) -> Result<AddressKey, XpubError> {
        AddressKey::parse(text, Environment::Devnet)
    }

    #[test]
    fn addresses_are_those_that_wallets_show() {
        for key in [ACCOUNT, RECEIVING] {
            let key = parse(key).unwrap();
            let addresses: Vec<_> = (0..10).map(|index| key.address(index).unwrap()).collect();
            assert_eq!(addresses, crate::wallet::PUBLIC_ACCOUNTS);
        }
        let account = parse(&format!(" {ACCOUNT}\n")).unwrap();
        assert!(account.address(AddressKey::LAST).is_some());
        assert_eq!(account.address(AddressKey::LAST + 1), None, "its private key would be needed");
    }

    #[test]
    fn keys_with_the_same_addresses_are_one_key() {
        let account = parse(ACCOUNT).unwrap();
        let receiving = XPub::from_str(RECEIVING).unwrap();
        let elsewhere = ExtendedKeyAttrs { parent_fingerprint: [7; 4], ..receiving.attrs().clone() };
        let elsewhere = XPub::new(*receiving.public_key(), elsewhere).to_string(Prefix::XPUB);
        assert_ne!(elsewhere, RECEIVING);
        for same in [RECEIVING, &elsewhere, account.as_str(), &receiving.to_string(Prefix::TPUB)] {
            assert_eq!(parse(same).unwrap().as_str(), account.as_str());
        }
        let second = child(&XPub::from_str(ACCOUNT).unwrap(), 1).unwrap().to_string(Prefix::XPUB);
        assert_ne!(parse(&second).unwrap().as_str(), account.as_str());
    }

    #[test]
    fn no_prefix_hides_what_kind_of_key_it_is() {
        for prefix in ["Yprv", "Zprv", "Uprv", "Vprv", "tprv", "yprv", "zprv", "uprv", "vprv", "aprv"] {
            assert_eq!(parse(&format!("{prefix}{}", &PRIVATE[4..])).err(), Some(XpubError::Private), "{prefix}");
        }
        let of_bitcoin = XPub::from_str(ACCOUNT).unwrap();
        for prefix in [Prefix::YPUB, Prefix::ZPUB] {
            assert_eq!(parse(&of_bitcoin.to_string(prefix)).err(), Some(XpubError::Bitcoin));
        }
        for prefix in ["Upub", "Vpub", "Ypub", "Zpub", "upub", "vpub"] {
            assert_eq!(parse(&format!("{prefix}{}", &ACCOUNT[4..])).err(), Some(XpubError::Bitcoin), "{prefix}");
        }
        let of_devnet = of_bitcoin.to_string(Prefix::TPUB);
        assert!(parse(&of_devnet).is_ok());
        assert_eq!(AddressKey::parse(&of_devnet, Environment::Mainnet).err(), Some(XpubError::Bitcoin));
    }

    #[test]
    fn what_is_no_key_for_addresses_is_refused_with_the_reason() {
        let corrupted = ACCOUNT.replace("XVsXF", "XVsXG");
        for (text, error) in [
            ("", XpubError::NoKey),
            ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", XpubError::NoKey),
            (corrupted.as_str(), XpubError::NoKey),
            (&ACCOUNT[..50], XpubError::NoKey),
            (TOO_HIGH, XpubError::Depth(2)),
            (PRIVATE, XpubError::Private),
            (
                "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs",
                XpubError::Bitcoin,
            ),
        ] {
            let refused = parse(text).map(|key| key.as_str().to_owned());
            assert_eq!(refused, Err(error));
            // A private key must not come back in a message.
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }

    #[test]
    fn a_phrase_that_everybody_knows_is_for_devnet_only() {
        assert_eq!(AddressKey::parse(ACCOUNT, Environment::Mainnet).err(), Some(XpubError::PublicPhrase));
        assert_eq!(format!("{:?}", parse(ACCOUNT).unwrap()), "AddressKey(…)");
    }
}

//! What kind of address payers are given, and who can move what arrives there.

use std::{fmt, str::FromStr};

/// How a merchant is paid. An invoice keeps the mode it was created in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressMode {
    /// One contract address for each invoice, which can only pay the merchant's wallet. Nobody has a key to it.
    #[default]
    Forwarder,
    /// One address for each invoice, derived from the merchant's extended public key. The merchant has the keys.
    Xpub,
    /// The merchant's wallet itself, for all invoices; amounts tell them apart.
    Direct,
}

impl AddressMode {
    pub const ALL: [Self; 3] = [Self::Forwarder, Self::Xpub, Self::Direct];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forwarder => "forwarder",
            Self::Xpub => "xpub",
            Self::Direct => "direct",
        }
    }

    /// Whether somebody has the key of each invoice's address, and may take out what he likes.
    pub fn has_key(self) -> bool {
        self == Self::Xpub
    }

    /// Whether what arrives is the merchant's at once, so that its payment is its settlement.
    pub fn settles_at_once(self) -> bool {
        self == Self::Direct
    }
}

impl fmt::Display for AddressMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAddressMode;

impl fmt::Display for UnknownAddressMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be forwarder, xpub or direct")
    }
}

impl std::error::Error for UnknownAddressMode {}

impl FromStr for AddressMode {
    type Err = UnknownAddressMode;

    fn from_str(text: &str) -> Result<Self, UnknownAddressMode> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownAddressMode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for (mode, text) in
            [(AddressMode::Forwarder, "forwarder"), (AddressMode::Xpub, "xpub"), (AddressMode::Direct, "direct")]
        {
            assert_eq!(mode.to_string(), text);
            assert_eq!(text.parse(), Ok(mode));
        }
        for other in ["", "Direct", "direct ", "wallet"] {
            assert_eq!(other.parse::<AddressMode>(), Err(UnknownAddressMode), "{other}");
        }
        assert_eq!(UnknownAddressMode.to_string(), "must be forwarder, xpub or direct");
    }

    #[test]
    fn only_what_arrives_at_the_wallet_is_settled_at_once() {
        assert_eq!(AddressMode::ALL.map(AddressMode::settles_at_once), [false, false, true]);
    }

    #[test]
    fn only_addresses_below_an_extended_public_key_have_keys_of_their_own() {
        assert_eq!(AddressMode::ALL.map(AddressMode::has_key), [false, true, false]);
    }

    #[test]
    fn merchants_have_forwarders_unless_they_say_otherwise() {
        assert_eq!(AddressMode::default(), AddressMode::Forwarder);
    }
}

//! A transaction by its first signature, which is its name.

use std::str::FromStr;

use super::base58::spelt_in_base58;

/// The first signature of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

spelt_in_base58!(Signature);

/// A text that names no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the signature of a transaction, 64 to 88 letters and digits")]
pub struct SignatureError;

impl Signature {
    pub const fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if 88 < text.len() {
            return Err(SignatureError);
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| SignatureError)?;
        bytes.try_into().map(Self).map_err(|_| SignatureError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_reads_back_as_written_and_nothing_else_is_one() {
        let text = "DwifLqab8Hd4YhRwSFP8nv9MF4dBTgE4DWyAxC3FKtwKap73vcg7ji3ozZ2xeauw3kopeBUFFXJvcH9oj4gpa6M";
        let signature: Signature = text.parse().unwrap();
        assert_eq!(signature.to_string(), text);
        assert_eq!(Signature::new(*signature.as_bytes()), signature);
        let json = serde_json::to_string(&signature).unwrap();
        assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
        for other in
            ["", &text[1..], "H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo", &"1".repeat(65), &text.repeat(100)]
        {
            assert_eq!(other.parse::<Signature>(), Err(SignatureError), "{other}");
        }
    }
}

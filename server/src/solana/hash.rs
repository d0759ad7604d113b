//! The hash of a block: a network's first block tells it apart, a late one makes a transaction new.

use std::str::FromStr;

use super::base58::spelt_in_base58;

/// The hash of a block, or what a durable nonce holds in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

spelt_in_base58!(Hash);

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the hash of a block, 32 to 44 letters and digits")]
pub struct HashError;

impl Hash {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if 44 < text.len() {
            return Err(HashError);
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| HashError)?;
        bytes.try_into().map(Self).map_err(|_| HashError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_as_written_and_nothing_else_is_one() {
        let text = "cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN";
        let hash: Hash = text.parse().unwrap();
        assert_eq!(hash.to_string(), text);
        assert_eq!(Hash::new(*hash.as_bytes()), hash);
        for other in ["", "0", &text[2..], &"1".repeat(33), &text.repeat(2)] {
            assert_eq!(other.parse::<Hash>(), Err(HashError), "{other}");
        }
    }
}

//! Names of transactions, as people and programs give them.

use std::{fmt, str::FromStr};

use alloy_primitives::B256;

use crate::solana::Signature;

/// A transaction by its name, on networks of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionId {
    /// A hash.
    Evm(B256),
    /// Its first signature.
    Solana(Signature),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 0x and 64 hexadecimal digits, or on Solana a signature of up to 88 letters and digits")]
pub struct NoTransactionId;

impl FromStr for TransactionId {
    type Err = NoTransactionId;

    fn from_str(text: &str) -> Result<Self, NoTransactionId> {
        if text.starts_with("0x") {
            let hash = text.parse().ok().filter(|_| text.len() == 66);
            return hash.map(Self::Evm).ok_or(NoTransactionId);
        }
        text.parse().map(Self::Solana).map_err(|_| NoTransactionId)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(hash) => hash.fmt(f),
            Self::Solana(signature) => signature.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_named_in_full() {
        let hash = format!("0x{}", "ab".repeat(32));
        let signature = "DwifLqab8Hd4YhRwSFP8nv9MF4dBTgE4DWyAxC3FKtwKap73vcg7ji3ozZ2xeauw3kopeBUFFXJvcH9oj4gpa6M";
        for text in [hash.as_str(), signature] {
            assert_eq!(text.parse::<TransactionId>().unwrap().to_string(), text);
        }
        for text in ["", "0x", &hash[2..], &hash[..65], &format!("{hash}0"), &hash.replace('a', "g"), &signature[1..]] {
            assert_eq!(text.parse::<TransactionId>(), Err(NoTransactionId), "{text}");
        }
    }
}

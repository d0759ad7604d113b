//! Identifiers, one type each, so that an invoice's cannot stand for a payment's.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::time::UnixMillis;

/// The text is not an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct ParseIdError(&'static str);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id of 16 random bytes, six bits of which say that it is a version 4 UUID.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Accepts the hyphenated form only, in either case.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                match Uuid::try_parse(text) {
                    Ok(uuid) if text.len() == 36 => Ok(Self(uuid)),
                    _ => Err(ParseIdError($what)),
                }
            }
        }
    };
}

uuid_id!(
    /// What a merchant asks a payer for.
    InvoiceId,
    "invoice id"
);
uuid_id!(
    /// One transfer seen on a chain.
    PaymentId,
    "payment id"
);
uuid_id!(
    /// The token amount that pays an invoice, for a while.
    QuoteId,
    "quote id"
);
uuid_id!(
    /// An API key, without its secret.
    ApiKeyId,
    "API key id"
);
uuid_id!(
    /// A wallet a merchant is paid to, or will be.
    WalletId,
    "wallet id"
);
uuid_id!(
    /// A search for a payment that somebody asked for.
    VerificationId,
    "verification id"
);
uuid_id!(
    /// A node that was added beside the operator's own.
    RpcEndpointId,
    "RPC endpoint id"
);

impl WalletId {
    /// The id of the wallet a merchant began with, which has no row of its own.
    pub fn first_of(merchant: MerchantId) -> Self {
        Self::made_of(&[b"wallet/1", &merchant.0.to_be_bytes()])
    }

    /// The id of a wallet that is known by its address alone, which has no row of its own either.
    pub fn of_address(merchant: MerchantId, address: &str) -> Self {
        Self::made_of(&[b"wallet/2", &merchant.0.to_be_bytes(), address.as_bytes()])
    }

    fn made_of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

uuid_id!(
    /// Where a merchant hears of events.
    EndpointId,
    "webhook endpoint id"
);
uuid_id!(
    /// A dashboard's bearer token, without its secret.
    DashboardTokenId,
    "dashboard token id"
);

impl PaymentId {
    /// The id of the `ordinal`-th transfer of one asset to one address within one transaction.
    ///
    /// It depends on nothing that a reorganisation changes (block hash, log index), so a transaction
    /// that returns in another block is the same payment again.
    pub fn of_transfer(network: &str, transaction: &str, address: &str, asset: &str, ordinal: u32) -> Self {
        let mut hash = Sha256::new();
        for part in ["payment/1", network, transaction, address, asset] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(ordinal.to_be_bytes());
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// A merchant's number on this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerchantId(pub i64);

impl fmt::Display for MerchantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A token on one network, as numbered in the configuration; never looked up by symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub i64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's public id, `evt_<created ms>-<sequence>`; the sequence orders the log without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// When the event was numbered; for people only.
    pub created: UnixMillis,
    /// Position in the log, from 1.
    pub sequence: i64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}-{}", self.created, self.sequence)
    }
}

impl FromStr for EventId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<i64>().ok()).flatten()
        };
        text.strip_prefix("evt_")
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(created, sequence)| {
                Some(Self { created: UnixMillis(number(created)?), sequence: number(sequence)? })
            })
            .ok_or(ParseIdError("event id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_reads_back_as_written() {
        let id = EventId { created: UnixMillis(1_790_000_000_123), sequence: 42 };
        assert_eq!(id.to_string(), "evt_1790000000123-42");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn text_that_is_no_event_id_is_refused() {
        for text in
            ["", "evt_", "evt_1", "evt_1-", "evt_-1", "evt_1--1", "evt_+1-1", "1-1", "evt_1-99999999999999999999"]
        {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_hyphenated_uuids_are_ids() {
        assert!("7c0f6d0e-2a41-4c7b-9a53-0d6f1b2e8a10".parse::<InvoiceId>().is_ok());
        for text in ["", "7c0f6d0e2a414c7b9a530d6f1b2e8a10", "{7c0f6d0e-2a41-4c7b-9a53-0d6f1b2e8a10}", "inv_1"] {
            assert!(text.parse::<InvoiceId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_merchant_s_first_wallet_always_has_the_same_id() {
        let first = WalletId::first_of(MerchantId(7));
        assert_eq!(first, WalletId::first_of(MerchantId(7)));
        assert_ne!(first, WalletId::first_of(MerchantId(8)));
        assert_eq!(first.to_string().parse(), Ok(first));
        let other = WalletId::of_address(MerchantId(7), "H39zXK9M");
        assert_eq!(other, WalletId::of_address(MerchantId(7), "H39zXK9M"));
        for another in [first, WalletId::of_address(MerchantId(8), "H39zXK9M"), WalletId::of_address(MerchantId(7), "")]
        {
            assert_ne!(other, another);
        }
    }

    #[test]
    fn merchants_and_tokens_are_shown_by_number() {
        assert_eq!(MerchantId(7).to_string(), "7");
        assert_eq!(TokenId(12).to_string(), "12");
    }

    #[test]
    fn a_payment_id_tells_every_part_apart() {
        let base = PaymentId::of_transfer("ethereum", "0x1", "0xa", "usdc", 0);
        assert_eq!(base, PaymentId::of_transfer("ethereum", "0x1", "0xa", "usdc", 0));
        for other in [
            PaymentId::of_transfer("base", "0x1", "0xa", "usdc", 0),
            PaymentId::of_transfer("ethereum", "0x2", "0xa", "usdc", 0),
            PaymentId::of_transfer("ethereum", "0x1", "0xb", "usdc", 0),
            PaymentId::of_transfer("ethereum", "0x1", "0xa", "usdt", 0),
            PaymentId::of_transfer("ethereum", "0x1", "0xa", "usdc", 1),
            PaymentId::of_transfer("ethereum", "0x10", "xa", "usdc", 0),
        ] {
            assert_ne!(base, other);
        }
    }
}

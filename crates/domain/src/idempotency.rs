//! The merchant's name for one request: the same key gives the same answer.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::{Uuid, Variant, Version};

/// A version 4 UUID chosen by the client, one for each request it means to make once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Uuid);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must be a version 4 UUID, as in 3f2504e0-4f89-41d3-9a0c-0305e82c3301")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Accepts the hyphenated form in either case.
    ///
    /// # Errors
    ///
    /// [`InvalidIdempotencyKey`] for anything but a version 4 UUID.
    pub fn parse(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let uuid = Uuid::try_parse(text).map_err(|_| InvalidIdempotencyKey)?;
        let is_version_4 = uuid.get_version() == Some(Version::Random) && uuid.get_variant() == Variant::RFC4122;
        if is_version_4 && text.len() == 36 { Ok(Self(uuid)) } else { Err(InvalidIdempotencyKey) }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Tells whether a repeated key comes with the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The SHA-256 of the parts of a request, each with its length, so that no two lists of parts meet.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_4_uuid_is_a_key_in_either_case() {
        let lower = IdempotencyKey::parse("3f2504e0-4f89-41d3-9a0c-0305e82c3301").unwrap();
        assert_eq!(IdempotencyKey::parse("3F2504E0-4F89-41D3-9A0C-0305E82C3301"), Ok(lower));
        assert_eq!(lower.to_string(), "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    }

    #[test]
    fn anything_else_is_no_key() {
        for text in [
            "",
            "order-1",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "3f2504e0-4f89-41d3-ca0c-0305e82c3301",
            "3f2504e04f8941d39a0c0305e82c3301",
            "{3f2504e0-4f89-41d3-9a0c-0305e82c3301}",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(IdempotencyKey::parse(text), Err(InvalidIdempotencyKey), "{text}");
        }
    }

    #[test]
    fn fingerprints_tell_where_parts_end() {
        assert_eq!(Fingerprint::of(&[b"a", b"b"]), Fingerprint::of(&[b"a", b"b"]));
        assert_ne!(Fingerprint::of(&[b"a", b"b"]), Fingerprint::of(&[b"ab", b""]));
        assert_ne!(Fingerprint::of(&[b"ab"]), Fingerprint::of(&[b"ab", b""]));
    }

    #[test]
    fn a_fingerprint_reads_back_from_hex() {
        let fingerprint = Fingerprint::of(&[b"body"]);
        assert_eq!(Fingerprint::from_hex(&fingerprint.to_string()), Some(fingerprint));
        assert_eq!(Fingerprint::from_hex("00"), None);
    }
}

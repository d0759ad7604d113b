//! Credentials we make up.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::clock::random_bytes;

/// A new credential of 256 random bits: `prefix` and 43 characters that need no escaping anywhere.
pub fn random_credential(prefix: &str) -> String {
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
}

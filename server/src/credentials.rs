//! Credentials we make up.
//!
//! API keys and dashboard tokens look like nothing else, so that scanners of source code can find one that
//! leaked and tell it from text that only looks like one, without asking us. `docs/keys.md` has the form.
//! It is for finding them only: what a credential opens is never read from its text.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::access::Scope;
use sha2::{Digest, Sha256};
use wire::Environment;

use crate::clock::random_bytes;

/// Bytes of the SHA-256 that ends a credential.
const CHECKSUM_BYTES: usize = 4;

/// A new credential of 256 random bits: `prefix` and 43 characters that need no escaping anywhere.
pub fn random_credential(prefix: &str) -> String {
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
}

/// A new API key.
pub fn new_api_key(scope: Scope, environment: Environment) -> String {
    let kind = match scope {
        Scope::Merchant => "pk",
        Scope::Commerce => "ck",
    };
    recognisable(kind, environment, &random_bytes())
}

/// A new bearer token of the dashboard.
pub fn new_dashboard_token(environment: Environment) -> String {
    recognisable("pd", environment, &random_bytes())
}

/// `<kind>_pepay_<live|test>_<43 characters of base64url>_<8 hex digits>`.
fn recognisable(kind: &str, environment: Environment, secret: &[u8; 32]) -> String {
    let network = match environment {
        Environment::Mainnet => "live",
        Environment::Devnet => "test",
    };
    let text = format!("{kind}_pepay_{network}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
    let checksum = checksum(&text);
    format!("{text}_{checksum}")
}

/// The first bytes of the SHA-256 of all that stands before, as hex.
fn checksum(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..CHECKSUM_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `docs/keys.md` tells scanners to look.
    fn is_recognised(text: &str) -> bool {
        let Some((before, after)) = text.rsplit_once('_') else { return false };
        let form =
            ["pk", "ck", "pd"].iter().flat_map(|kind| ["live", "test"].map(|net| format!("{kind}_pepay_{net}_")));
        let is_base64url = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        let is_formed = form.into_iter().any(|prefix| {
            before.strip_prefix(&prefix).is_some_and(|secret| secret.len() == 43 && is_base64url(secret))
        });
        is_formed && after == checksum(before)
    }

    #[test]
    fn every_credential_has_the_documented_form() {
        for environment in [Environment::Devnet, Environment::Mainnet] {
            for text in [
                new_api_key(Scope::Merchant, environment),
                new_api_key(Scope::Commerce, environment),
                new_dashboard_token(environment),
            ] {
                assert!(is_recognised(&text), "{text}");
                assert_eq!(text.len(), 66);
            }
        }
        assert!(new_api_key(Scope::Merchant, Environment::Mainnet).starts_with("pk_pepay_live_"));
        assert!(new_api_key(Scope::Commerce, Environment::Devnet).starts_with("ck_pepay_test_"));
        assert!(new_dashboard_token(Environment::Devnet).starts_with("pd_pepay_test_"));
        assert_ne!(new_dashboard_token(Environment::Devnet), new_dashboard_token(Environment::Devnet));
    }

    /// The example of `docs/keys.md`; `printf %s pk_pepay_test_AAA… | sha256sum | cut -c1-8` gives the end.
    #[test]
    fn the_checksum_is_the_documented_one() {
        let key = recognisable("pk", Environment::Devnet, &[0; 32]);
        assert_eq!(key, "pk_pepay_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_7805482e");
        assert!(include_str!("../../docs/keys.md").contains(&key));
    }

    #[test]
    fn one_altered_character_breaks_the_checksum() {
        let key = recognisable("pk", Environment::Mainnet, &[0x5a; 32]);
        for at in 0..key.len() {
            let mut altered = key.clone().into_bytes();
            altered[at] = if altered[at] == b'x' { b'y' } else { b'x' };
            assert!(!is_recognised(&String::from_utf8(altered).unwrap()), "{at}");
        }
        assert!(is_recognised(&key));
    }
}

//! Session tokens, session signatures and webhook signatures: HMAC-SHA256 throughout.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{id::InvoiceId, time::UnixMillis};

/// The secret all payer sessions derive from; the same on every node.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerSecret([u8; 32]);

impl ServerSecret {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for one purpose; whoever learns it learns nothing of the secret, nor of another purpose's key.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        self.mac(&[b"key", b"|", purpose.as_bytes()]).finalize().into_bytes().into()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        mac(&self.0, parts)
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(…)")
    }
}

/// The credential of a payer for one invoice, `pst_` and 43 characters. It is never stored: it is
/// derived from the invoice's id, so that a repeated request gets the same one.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    pub fn of(secret: &ServerSecret, invoice: InvoiceId) -> Self {
        let tag = secret.mac(&[b"session", b"|", invoice.to_string().as_bytes()]).finalize().into_bytes();
        Self(format!("pst_{}", BASE64_URL_SAFE_NO_PAD.encode(tag)))
    }

    /// Text a client sent; says nothing yet about whether we made it.
    pub fn from_client(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored to find the invoice again.
    pub fn hash(&self) -> CredentialHash {
        CredentialHash::of(&self.0)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// The account by which a payment on a network without addresses of its own is known to be an invoice's. It is no secret
/// once it was paid with, and says nothing about the invoice to whoever has not the server's.
pub fn payment_reference(secret: &ServerSecret, invoice: InvoiceId, network: &str) -> [u8; 32] {
    let invoice = invoice.to_string();
    secret.mac(&[b"reference", b"|", invoice.as_bytes(), b"|", network.as_bytes()]).finalize().into_bytes().into()
}

/// The SHA-256 of a credential with at least 128 random bits; safe to store and to search by.
#[derive(Clone, Copy, Debug)]
pub struct CredentialHash([u8; 32]);

/// Takes the same time wherever they differ.
impl PartialEq for CredentialHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CredentialHash {}

impl Hash for CredentialHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl CredentialHash {
    pub fn of(credential: &str) -> Self {
        Self(Sha256::digest(credential).into())
    }

    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Proof that we issued a session token, `<64 hex digits>.<issue time in ms>`.
///
/// It can be checked before the database is asked anything.
pub fn sign_session(secret: &ServerSecret, token: &SessionToken, issued: UnixMillis) -> String {
    let tag = secret.mac(&[token.0.as_bytes(), b".", issued.to_string().as_bytes()]).finalize().into_bytes();
    format!("{}.{issued}", hex::encode(tag))
}

/// Whether one of our secrets (the current one, or the one before it) made this signature for this
/// token. Takes the same time wherever they differ.
pub fn is_session_signed(secrets: &[ServerSecret], token: &SessionToken, signature: &str) -> bool {
    let Some((tag, issued)) = signature.split_once('.') else { return false };
    let is_canonical = issued.parse::<i64>().is_ok_and(|millis| millis.to_string() == issued)
        && tag.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; 32];
    if !is_canonical || hex::decode_to_slice(tag, &mut bytes).is_err() {
        return false;
    }
    secrets.iter().any(|secret| secret.mac(&[token.0.as_bytes(), b".", issued.as_bytes()]).verify_slice(&bytes).is_ok())
}

/// Signs the very bytes of a webhook: lower-case hex of HMAC-SHA256 over `<timestamp ms>.<body>`.
/// The key is the endpoint's secret exactly as the merchant was shown it.
pub fn sign_webhook(endpoint_secret: &str, timestamp: UnixMillis, body: &[u8]) -> String {
    hex::encode(webhook_mac(endpoint_secret, timestamp, body).finalize().into_bytes())
}

/// Whether a receiver holding `endpoint_secret` should believe a webhook; constant in time.
pub fn is_webhook_signed(endpoint_secret: &str, timestamp: UnixMillis, body: &[u8], signature: &str) -> bool {
    let mut tag = [0; 32];
    hex::decode_to_slice(signature, &mut tag).is_ok()
        && webhook_mac(endpoint_secret, timestamp, body).verify_slice(&tag).is_ok()
}

fn webhook_mac(endpoint_secret: &str, timestamp: UnixMillis, body: &[u8]) -> Hmac<Sha256> {
    mac(endpoint_secret.as_bytes(), &[timestamp.to_string().as_bytes(), b".", body])
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use proptest::prelude::*;

    use super::*;

    fn secret(byte: u8) -> ServerSecret {
        ServerSecret::from_bytes([byte; 32])
    }

    fn invoice(byte: u8) -> InvoiceId {
        InvoiceId::from_random([byte; 16])
    }

    #[test]
    fn each_invoice_has_a_reference_of_its_own_on_each_network_and_server() {
        let reference = payment_reference(&secret(1), invoice(1), "solana");
        assert_eq!(payment_reference(&secret(1), invoice(1), "solana"), reference, "the same every time");
        for other in [
            payment_reference(&secret(2), invoice(1), "solana"),
            payment_reference(&secret(1), invoice(2), "solana"),
            payment_reference(&secret(1), invoice(1), "solana-devnet"),
        ] {
            assert_ne!(other, reference);
        }
    }

    #[test]
    fn the_same_invoice_gets_the_same_token_and_another_gets_another() {
        let token = SessionToken::of(&secret(1), invoice(1));
        assert_eq!(token, SessionToken::of(&secret(1), invoice(1)));
        assert_ne!(token, SessionToken::of(&secret(1), invoice(2)));
        assert_ne!(token, SessionToken::of(&secret(2), invoice(1)));
        assert!(token.as_str().starts_with("pst_"));
        assert_eq!(token.as_str().len(), 47);
    }

    #[test]
    fn each_purpose_and_secret_has_a_key_of_its_own() {
        let key = secret(1).derive_key("a");
        assert_eq!(key, secret(1).derive_key("a"));
        assert!(![secret(1).derive_key("b"), secret(2).derive_key("a"), [1; 32]].contains(&key));
    }

    #[test]
    fn a_signature_holds_for_its_token_alone() {
        let token = SessionToken::of(&secret(1), invoice(1));
        let signature = sign_session(&secret(1), &token, UnixMillis(1_790_000_000_000));
        assert!(signature.ends_with(".1790000000000"));
        assert!(is_session_signed(&[secret(1)], &token, &signature));
        assert!(!is_session_signed(&[secret(1)], &SessionToken::of(&secret(1), invoice(2)), &signature));
        assert!(!is_session_signed(&[secret(2)], &token, &signature));
        assert!(!is_session_signed(&[], &token, &signature));
    }

    #[test]
    fn a_session_s_signature_is_spelled_in_one_way_only() {
        let token = SessionToken::of(&secret(1), invoice(1));
        let signature = sign_session(&secret(1), &token, UnixMillis(5));
        let (tag, _) = signature.split_once('.').unwrap();
        assert_ne!(tag.to_uppercase(), tag);
        for other in [format!("{}.5", tag.to_uppercase()), format!("{tag}.05"), format!("{tag}.+5"), format!("{tag}5")]
        {
            assert!(!is_session_signed(&[secret(1)], &token, &other), "{other}");
        }
    }

    #[test]
    fn a_signature_of_the_previous_secret_still_holds() {
        let token = SessionToken::of(&secret(1), invoice(1));
        let signature = sign_session(&secret(1), &token, UnixMillis(5));
        assert!(is_session_signed(&[secret(2), secret(1)], &token, &signature));
    }

    /// The vector of RFC 4231, test case 2, checks the primitive; the rest of the recipe is string building.
    #[test]
    fn webhooks_are_signed_with_hmac_sha_256() {
        let tag = mac(b"Jefe", &[b"what do ya want ", b"for nothing?"]).finalize().into_bytes();
        assert_eq!(hex::encode(tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let signature = sign_webhook("whsec_1", UnixMillis(7), b"{}");
        assert_eq!(signature, hex::encode(mac(b"whsec_1", &[b"7.{}"]).finalize().into_bytes()));
        assert!(is_webhook_signed("whsec_1", UnixMillis(7), b"{}", &signature));
    }

    /// The vector of FIPS 180-2, appendix B.1.
    #[test]
    fn a_credential_is_stored_as_its_sha_256() {
        let hash = SessionToken::from_client("abc").hash();
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), hex);
        assert_eq!(hex::encode(hash.to_bytes()), hex);
        assert_eq!(hash, CredentialHash::of("abc"));
        assert_ne!(hash, CredentialHash::of("abd"));
    }

    #[test]
    fn a_hash_reads_back_from_hex() {
        let hash = CredentialHash::of("abc");
        assert_eq!(CredentialHash::from_hex(&hash.to_string()), Some(hash));
        for text in ["", "00", &hash.to_string()[2..], &format!("{hash}00"), &"xy".repeat(32)] {
            assert_eq!(CredentialHash::from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn credentials_are_spread_over_a_map() {
        let place =
            |credential| BuildHasherDefault::<DefaultHasher>::default().hash_one(CredentialHash::of(credential));
        assert_eq!(place("abc"), place("abc"));
        assert_ne!(place("abc"), place("abd"));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let token = SessionToken::of(&secret(1), invoice(1));
        assert_eq!(format!("{:?} {token:?}", secret(1)), "ServerSecret(…) SessionToken(…)");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, rng_seed: proptest::test_runner::RngSeed::Fixed(2), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_altered_character_breaks_a_session(at in 0_usize..78, with in "[ -~]") {
            let token = SessionToken::of(&secret(1), invoice(1));
            let signature = sign_session(&secret(1), &token, UnixMillis(1_790_000_000_000));
            let mut altered = signature.clone();
            altered.replace_range(at..=at, &with);
            prop_assume!(altered != signature);
            prop_assert!(!is_session_signed(&[secret(1)], &token, &altered));
        }

        #[test]
        fn one_altered_bit_breaks_a_webhook(body in proptest::collection::vec(any::<u8>(), 1..64), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let signature = sign_webhook("whsec_1", UnixMillis(7), &body);
            let mut altered = body.clone();
            altered[at.index(body.len())] ^= 1 << bit;
            prop_assert!(is_webhook_signed("whsec_1", UnixMillis(7), &body, &signature));
            prop_assert!(!is_webhook_signed("whsec_1", UnixMillis(7), &altered, &signature));
            prop_assert!(!is_webhook_signed("whsec_2", UnixMillis(7), &body, &signature));
            prop_assert!(!is_webhook_signed("whsec_1", UnixMillis(8), &body, &signature));
        }
    }
}

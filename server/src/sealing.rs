//! Secrets at rest: sealed with a key that is derived from the server secret and in no database.
//!
//! What is sealed says which key seals it, and opens only for the row it was sealed for. Each kind of secret has a key
//! of its own.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::signature::ServerSecret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

use crate::clock::random_bytes;

const NONCE_BYTES: usize = 12;

/// None of our keys opens it: it was sealed with a server secret that is gone, or for another row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was sealed cannot be opened with this server secret")]
pub struct Unopenable;

/// Seals and opens one kind of secret.
#[derive(Clone)]
pub struct Seal {
    /// The current one first.
    keys: Vec<SealingKey>,
}

#[derive(Clone)]
struct SealingKey {
    /// What begins everything it seals.
    name: String,
    key: LessSafeKey,
}

impl Seal {
    /// For a kind of secret, with the current server secret first and the one before it while that is being replaced.
    pub fn new(kind: &str, secrets: &[ServerSecret]) -> Self {
        let keys = secrets.iter().map(|secret| {
            let key = secret.derive_key(kind);
            let name = format!("sealed1.{}.", hex::encode(&Sha256::digest(key)[..4]));
            let key = UnboundKey::new(&CHACHA20_POLY1305, &key);
            SealingKey { name, key: LessSafeKey::new(key.expect("the derived key has the length of the cipher's")) }
        });
        Self { keys: keys.collect() }
    }

    /// Seals a secret; `row` names what it belongs to.
    pub fn seal(&self, row: &str, secret: &str) -> String {
        let SealingKey { name, key } = &self.keys[0];
        let nonce: [u8; NONCE_BYTES] = random_bytes();
        let mut sealed = secret.as_bytes().to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(row), &mut sealed)
            .expect("a secret is short enough to seal");
        format!("{name}{}", BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// # Errors
    ///
    /// If none of our keys opens it.
    pub fn open(&self, row: &str, sealed: &str) -> Result<String, Unopenable> {
        let named = self.keys.iter().find_map(|key| Some((&key.key, sealed.strip_prefix(&key.name)?)));
        let (key, text) = named.ok_or(Unopenable)?;
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Unopenable)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_BYTES).ok_or(Unopenable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopenable)?;
        let opened = key.open_in_place(nonce, Aad::from(row), sealed).map_err(|_| Unopenable)?;
        String::from_utf8(opened.to_vec()).map_err(|_| Unopenable)
    }

    /// What begins everything that is sealed with the current key.
    pub fn current(&self) -> &str {
        &self.keys[0].name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "canary";

    fn seal(kind: &str, bytes: &[u8]) -> Seal {
        Seal::new(kind, &bytes.iter().map(|byte| ServerSecret::from_bytes([*byte; 32])).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_sealed_opens_for_its_row_and_kind_alone() {
        let ours = seal("kind", &[1]);
        let sealed = ours.seal("1|a", SECRET);
        assert!(!sealed.contains("canary") && sealed != ours.seal("1|a", SECRET));
        assert_eq!(ours.open("1|a", &sealed).as_deref(), Ok(SECRET));
        assert_eq!(ours.open("1|b", &sealed), Err(Unopenable));
        assert_eq!(seal("other", &[1]).open("1|a", &sealed), Err(Unopenable));
        assert_eq!(ours.open("1|a", SECRET), Err(Unopenable));
    }

    #[test]
    fn what_is_sealed_and_was_altered_does_not_open() {
        let ours = seal("kind", &[1]);
        let sealed = ours.seal("1|a", SECRET);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(ours.open("1|a", &altered), Err(Unopenable), "{altered}");
        }
        for cut in ["", "sealed1.", &sealed[..20], &sealed[..sealed.len() - 1]] {
            assert_eq!(ours.open("1|a", cut), Err(Unopenable), "{cut}");
        }
    }

    #[test]
    fn the_server_secret_before_opens_what_it_sealed() {
        let sealed = seal("kind", &[1]).seal("1|a", SECRET);
        assert_eq!(seal("kind", &[2, 1]).open("1|a", &sealed).as_deref(), Ok(SECRET));
        assert_eq!(seal("kind", &[2]).open("1|a", &sealed), Err(Unopenable));
    }
}

//! Webhook secrets at rest: sealed with a key that is derived from the server secret and in no database.
//!
//! A sealed secret says which key seals it, and opens only for the endpoint it was sealed for. What an earlier version
//! kept in the clear is read as it is, and sealed when the server starts.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::{
    id::{EndpointId, MerchantId},
    signature::ServerSecret,
};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    clock::random_bytes,
    store::{Endpoint, Store, StoreError},
};

const NONCE_BYTES: usize = 12;
/// What the secrets begin with that merchants are shown.
const PLAIN: &str = "whsec_";

/// A sealed secret that none of our keys opens: it was sealed with a server secret that is gone, or for another
/// endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret cannot be opened; give the endpoint a new one")]
pub struct Unopenable;

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Sealer {
    /// The current one first.
    keys: Vec<SealingKey>,
}

#[derive(Clone)]
struct SealingKey {
    /// What begins everything it seals.
    name: String,
    key: LessSafeKey,
}

impl Sealer {
    /// With the current server secret first, and the one before it while that is being replaced.
    pub fn new(secrets: &[ServerSecret]) -> Self {
        let keys = secrets.iter().map(|secret| {
            let key = secret.derive_key("webhook secrets");
            let name = format!("sealed1.{}.", hex::encode(&Sha256::digest(key)[..4]));
            let key = UnboundKey::new(&CHACHA20_POLY1305, &key);
            SealingKey { name, key: LessSafeKey::new(key.expect("the derived key has the length of the cipher's")) }
        });
        Self { keys: keys.collect() }
    }

    pub fn seal(&self, merchant: MerchantId, endpoint: EndpointId, secret: &str) -> String {
        let SealingKey { name, key } = &self.keys[0];
        let nonce: [u8; NONCE_BYTES] = random_bytes();
        let mut sealed = secret.as_bytes().to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(bound_to(merchant, endpoint)),
            &mut sealed,
        )
        .expect("a secret is short enough to seal");
        format!("{name}{}", BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// # Errors
    ///
    /// If none of our keys opens it.
    pub fn open(&self, merchant: MerchantId, endpoint: EndpointId, sealed: &str) -> Result<String, Unopenable> {
        if sealed.starts_with(PLAIN) {
            return Ok(sealed.to_owned());
        }
        let named = self.keys.iter().find_map(|key| Some((&key.key, sealed.strip_prefix(&key.name)?)));
        let (key, text) = named.ok_or(Unopenable)?;
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Unopenable)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_BYTES).ok_or(Unopenable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopenable)?;
        let opened =
            key.open_in_place(nonce, Aad::from(bound_to(merchant, endpoint)), sealed).map_err(|_| Unopenable)?;
        String::from_utf8(opened.to_vec()).map_err(|_| Unopenable)
    }

    /// What begins everything that is sealed with the current key.
    fn current(&self) -> &str {
        &self.keys[0].name
    }
}

fn bound_to(merchant: MerchantId, endpoint: EndpointId) -> String {
    format!("{merchant}|{endpoint}")
}

/// Seals with the current key what is not: what an earlier version kept in the clear, and what was sealed before the
/// server secret was replaced.
///
/// # Errors
///
/// If the database refuses.
pub async fn seal_all(app: &App) -> Result<usize, StoreError> {
    let sealer = Sealer::new(&app.secrets);
    seal_all_in(&app.store, &sealer).await
}

async fn seal_all_in(store: &Store, sealer: &Sealer) -> Result<usize, StoreError> {
    let found = store.reader().await?.tx().endpoints_sealed_otherwise(sealer.current()).await?;
    let mut count = 0;
    for endpoint in found {
        let again = |sealed: &str| {
            let opened = sealer.open(endpoint.merchant, endpoint.id, sealed)?;
            Ok::<_, Unopenable>(sealer.seal(endpoint.merchant, endpoint.id, &opened))
        };
        let previous = endpoint.previous.as_ref().map(|previous| again(&previous.secret)).transpose();
        let (Ok(secret), Ok(previous)) = (again(&endpoint.secret), previous) else {
            tracing::error!(
                merchant.id = %endpoint.merchant, endpoint.id = %endpoint.id,
                "the secret of a webhook endpoint cannot be opened with this server secret; it needs a new one"
            );
            continue;
        };
        store
            .write(move |tx| Box::pin(async move { tx.reseal_endpoint(&endpoint, &secret, previous.as_deref()).await }))
            .await?;
        count += 1;
    }
    Ok(count)
}

/// What signs an endpoint's webhooks now, and what signs them as well.
pub(super) struct SigningSecrets {
    pub current: String,
    pub previous: Option<String>,
}

impl SigningSecrets {
    pub(super) fn of(sealer: &Sealer, endpoint: &Endpoint, now: domain::time::UnixSeconds) -> Result<Self, Unopenable> {
        let previous = endpoint.previous.as_ref().filter(|previous| now < previous.until);
        let open = |sealed: &str| sealer.open(endpoint.merchant, endpoint.id, sealed);
        Ok(Self {
            current: open(&endpoint.secret)?,
            previous: previous.map(|previous| open(&previous.secret)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_canary";

    fn sealer(bytes: &[u8]) -> Sealer {
        Sealer::new(&bytes.iter().map(|byte| ServerSecret::from_bytes([*byte; 32])).collect::<Vec<_>>())
    }

    fn endpoint(byte: u8) -> EndpointId {
        EndpointId::from_random([byte; 16])
    }

    #[test]
    fn a_sealed_secret_opens_for_its_endpoint_alone() {
        let (ours, merchant) = (sealer(&[1]), MerchantId(1));
        let sealed = ours.seal(merchant, endpoint(1), SECRET);
        assert!(!sealed.contains("canary") && sealed != ours.seal(merchant, endpoint(1), SECRET));
        assert_eq!(ours.open(merchant, endpoint(1), &sealed).as_deref(), Ok(SECRET));
        assert_eq!(ours.open(merchant, endpoint(2), &sealed), Err(Unopenable));
        assert_eq!(ours.open(MerchantId(2), endpoint(1), &sealed), Err(Unopenable));
    }

    #[test]
    fn a_sealed_secret_that_was_altered_does_not_open() {
        let (ours, merchant) = (sealer(&[1]), MerchantId(1));
        let sealed = ours.seal(merchant, endpoint(1), SECRET);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(ours.open(merchant, endpoint(1), &altered), Err(Unopenable), "{altered}");
        }
        for cut in ["", "sealed1.", &sealed[..20], &sealed[..sealed.len() - 1]] {
            assert_eq!(ours.open(merchant, endpoint(1), cut), Err(Unopenable), "{cut}");
        }
    }

    #[test]
    fn the_server_secret_before_opens_what_it_sealed() {
        let (merchant, before) = (MerchantId(1), sealer(&[1]));
        let sealed = before.seal(merchant, endpoint(1), SECRET);
        assert_eq!(sealer(&[2, 1]).open(merchant, endpoint(1), &sealed).as_deref(), Ok(SECRET));
        assert_eq!(sealer(&[2]).open(merchant, endpoint(1), &sealed), Err(Unopenable));
        assert_eq!(before.open(merchant, endpoint(1), SECRET).as_deref(), Ok(SECRET), "of an earlier version");
    }
}

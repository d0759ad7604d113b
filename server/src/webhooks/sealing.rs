//! Webhook secrets at rest, sealed by [`crate::sealing`] each for its endpoint. What an earlier version kept in the clear is
//! read as it is, and sealed when the server starts.

use domain::{
    id::{EndpointId, MerchantId},
    signature::ServerSecret,
};

use crate::{
    app::App,
    sealing::{Seal, Unopenable},
    store::{Endpoint, Store, StoreError},
};

/// What the secrets begin with that merchants are shown.
const PLAIN: &str = "whsec_";

/// Seals and opens the secrets of endpoints.
#[derive(Clone)]
pub struct Sealer(Seal);

impl Sealer {
    /// With the current server secret first, and the one before it while that is being replaced.
    pub fn new(secrets: &[ServerSecret]) -> Self {
        Self(Seal::new("webhook secrets", secrets))
    }

    pub fn seal(&self, merchant: MerchantId, endpoint: EndpointId, secret: &str) -> String {
        self.0.seal(&bound_to(merchant, endpoint), secret)
    }

    /// # Errors
    ///
    /// If none of our keys opens it; the endpoint needs a new secret then.
    pub fn open(&self, merchant: MerchantId, endpoint: EndpointId, sealed: &str) -> Result<String, Unopenable> {
        if sealed.starts_with(PLAIN) {
            return Ok(sealed.to_owned());
        }
        self.0.open(&bound_to(merchant, endpoint), sealed)
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
    let found = store.reader().await?.tx().endpoints_sealed_otherwise(sealer.0.current()).await?;
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

    #[test]
    fn a_sealed_secret_opens_for_its_endpoint_alone() {
        let ours = Sealer::new(&[ServerSecret::from_bytes([1; 32])]);
        let (merchant, endpoint) = (MerchantId(1), |byte: u8| EndpointId::from_random([byte; 16]));
        let sealed = ours.seal(merchant, endpoint(1), SECRET);
        assert!(!sealed.contains("canary"));
        assert_eq!(ours.open(merchant, endpoint(1), &sealed).as_deref(), Ok(SECRET));
        assert_eq!(ours.open(merchant, endpoint(2), &sealed), Err(Unopenable));
        assert_eq!(ours.open(MerchantId(2), endpoint(1), &sealed), Err(Unopenable));
        assert_eq!(ours.open(merchant, endpoint(1), SECRET).as_deref(), Ok(SECRET), "of an earlier version");
    }
}

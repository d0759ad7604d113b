//! Issuing API keys and dashboard tokens, for the API and the command line alike.

use domain::{
    access::{Rights, Scope},
    id::{ApiKeyId, DashboardTokenId, MerchantId},
    idempotency::{Fingerprint, IdempotencyKey},
    signature::CredentialHash,
    time::UnixSeconds,
};

use crate::{
    clock::random_bytes,
    config::Config,
    credentials::{new_api_key, new_dashboard_token},
    store::{ApiKeyRecord, DashboardTokenRecord, NewApiKey, Store, StoreError},
};

/// How long tokens are still listed whose time is over.
const KEEP_EXPIRED_TOKENS_SECONDS: i64 = 30 * 86_400;

/// What somebody asked for, checked.
#[derive(Clone, Debug)]
pub struct IssueKey {
    pub merchant: MerchantId,
    pub name: String,
    pub scope: Scope,
    pub rights: Rights,
    pub expires_at: Option<UnixSeconds>,
    /// Which request this is, if it has a name.
    pub request: Option<(IdempotencyKey, Fingerprint)>,
}

/// A new key. This is the only time the key itself is known.
pub struct Issued {
    pub api_key: String,
    pub record: ApiKeyRecord,
}

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("there is no merchant {0}")]
    NoSuchMerchant(MerchantId),
    #[error("there are {most} active keys of this scope, which is as many as limits.active_keys_per_scope allows")]
    TooMany { most: u32 },
    /// The request was done before; its key cannot be shown again.
    #[error("this request has made key {0} before")]
    Repeated(ApiKeyId),
    #[error("the idempotency key was used for another request")]
    NameReused,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an API key for the server's environment.
///
/// # Errors
///
/// If the merchant has too many keys, or the request was done before.
pub async fn issue(store: &Store, config: &Config, now: UnixSeconds, wanted: IssueKey) -> Result<Issued, IssueError> {
    let most = config.limits.active_keys_per_scope;
    let api_key = new_api_key(wanted.scope, config.environment);
    let key = NewApiKey {
        merchant: wanted.merchant,
        id: ApiKeyId::from_random(random_bytes()),
        name: wanted.name,
        hash: CredentialHash::of(&api_key),
        hint: api_key[api_key.len() - 4..].to_owned(),
        scope: wanted.scope,
        environment: config.environment,
        rights: wanted.rights,
        expires_at: wanted.expires_at,
        request: wanted.request,
        created_at: now,
    };
    let write = store.write(move |tx| {
        Box::pin(async move {
            // Counting and adding are one step: the next request counts this key too.
            tx.lock_merchant(key.merchant).await?;
            if tx.merchant(key.merchant).await?.is_none() {
                return Err(IssueError::NoSuchMerchant(key.merchant));
            }
            if let Some((name, fingerprint)) = key.request
                && let Some((id, first)) = tx.api_key_of_request(key.merchant, name).await?
            {
                return Err(if first == fingerprint { IssueError::Repeated(id) } else { IssueError::NameReused });
            }
            if i64::from(most) <= tx.count_api_keys_in_force(key.merchant, key.scope, now).await? {
                return Err(IssueError::TooMany { most });
            }
            tx.insert_api_key(&key).await?;
            let record = tx.api_key(key.hash).await?.ok_or(StoreError::NotCommitted)?;
            Ok(record)
        })
    });
    let record = write.await?;
    tracing::info!(merchant.id = record.merchant.0, api_key.id = %record.id, "issued an API key");
    Ok(Issued { api_key, record })
}

/// Makes a dashboard token; returns it with what is kept of it.
///
/// # Errors
///
/// If the database refuses, as it does for an unknown merchant.
pub async fn mint_dashboard_token(
    store: &Store,
    config: &Config,
    now: UnixSeconds,
    merchant: MerchantId,
    hours: u32,
) -> Result<(String, DashboardTokenRecord), StoreError> {
    let token = new_dashboard_token(config.environment);
    let record = DashboardTokenRecord {
        merchant,
        id: DashboardTokenId::from_random(random_bytes()),
        hash: CredentialHash::of(&token),
        created_at: now,
        expires_at: now.plus(i64::from(hours) * 3_600),
        revoked_at: None,
    };
    let kept = record.clone();
    let write = store.write(move |tx| {
        Box::pin(async move {
            tx.forget_dashboard_tokens(merchant, now.plus(-KEEP_EXPIRED_TOKENS_SECONDS)).await?;
            tx.insert_dashboard_token(&kept).await
        })
    });
    write.await?;
    tracing::info!(merchant.id = merchant.0, dashboard_token.id = %record.id, "minted a dashboard token");
    Ok((token, record))
}

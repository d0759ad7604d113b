//! Whose credential a request carries, and what that lets it do.
//!
//! A key comes in `x-api-key` (or `x-commerce-api-key`), a dashboard token as `Authorization: Bearer`; a key
//! may come as a bearer too. If there are both, the key decides and the bearer is not looked at. What a
//! credential opens is what is stored with its hash; its text is never parsed. Nothing is cached, so what was
//! revoked is refused from the next request on, on every node.

use std::marker::PhantomData;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use domain::{
    access::{self, KeyStatus, Rights, Scope},
    id::MerchantId,
    signature::CredentialHash,
};

use super::rights::Right;
use crate::{
    app::App,
    http::{error::ApiError, limit},
    store::{ApiKeyRecord, Credential, DashboardTokenRecord},
};

/// How often the use of a key is noted.
const NOTE_USE_EVERY_SECONDS: i64 = 60;

/// A merchant, by a key in force that has what `R` asks for, or by a dashboard token if that has it.
#[derive(Clone, Copy, Debug)]
pub struct Merchant<R> {
    pub id: MerchantId,
    pub credential: Credential,
    rights: Rights,
    right: PhantomData<R>,
}

impl<R> Merchant<R> {
    /// Whether the credential has a further right, which what is in the request takes.
    pub fn has(&self, right: access::Right) -> bool {
        self.rights.has(right)
    }
}

impl<R: Right> FromRequestParts<App> for Merchant<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = match Presented::of(&parts.headers)?.ok_or(ApiError::ApiKeyMissing)? {
            Presented::Key(key) => Caller::Key(api_key(app, key).await?.ok_or(ApiError::ApiKeyInvalid)?),
            Presented::Bearer(text) => bearer(app, text).await?.ok_or(ApiError::ApiKeyInvalid)?,
        };
        let (id, credential, rights) = match caller {
            Caller::Key(key) => {
                admit(parts, app, &key)?;
                if key.scope != Scope::Merchant {
                    return Err(ApiError::CommerceKey);
                }
                (key.merchant, Credential::ApiKey(key.id), key.rights)
            }
            Caller::Dashboard(token) => {
                check_token(parts, app, &token)?;
                (token.merchant, Credential::DashboardToken(token.id), Dashboard::RIGHTS)
            }
        };
        if !R::ANY_OF.iter().any(|right| rights.has(*right)) {
            return Err(ApiError::RightRequired { any_of: R::ANY_OF });
        }
        Ok(Self { id, credential, rights, right: PhantomData })
    }
}

/// A merchant at the dashboard, by a bearer token that the operator minted.
#[derive(Clone, Copy, Debug)]
pub struct Dashboard {
    pub merchant: MerchantId,
}

impl FromRequestParts<App> for Dashboard {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = match Presented::of(&parts.headers)?.ok_or(ApiError::DashboardTokenMissing)? {
            Presented::Key(key) => Caller::Key(api_key(app, key).await?.ok_or(ApiError::ApiKeyInvalid)?),
            Presented::Bearer(text) => bearer(app, text).await?.ok_or(ApiError::DashboardTokenInvalid)?,
        };
        match caller {
            Caller::Dashboard(token) => {
                check_token(parts, app, &token)?;
                Ok(Self { merchant: token.merchant })
            }
            Caller::Key(key) => {
                admit(parts, app, &key)?;
                Err(ApiError::DashboardOnly)
            }
        }
    }
}

impl Dashboard {
    /// What a dashboard token can do, and a key be given with it.
    pub const RIGHTS: Rights = Rights::DASHBOARD;
}

/// The credential of a request, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presented<'h> {
    Key(&'h str),
    Bearer(&'h str),
}

impl<'h> Presented<'h> {
    fn of(headers: &'h HeaderMap) -> Result<Option<Self>, ApiError> {
        if let Some(key) = headers.get("x-api-key").or_else(|| headers.get("x-commerce-api-key")) {
            return key.to_str().map(|key| Some(Self::Key(key))).map_err(|_| ApiError::ApiKeyInvalid);
        }
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, text)) = authorization.and_then(|text| text.split_once(' ')) else { return Ok(None) };
        Ok(scheme.eq_ignore_ascii_case("bearer").then_some(Self::Bearer(text.trim())))
    }
}

enum Caller {
    Key(ApiKeyRecord),
    Dashboard(DashboardTokenRecord),
}

/// The key with that text, in force or not.
///
/// It is found by its hash, which tells a caller who measures nothing about other keys; the comparison at the end
/// holds whatever the database thinks is equal.
async fn api_key(app: &App, text: &str) -> Result<Option<ApiKeyRecord>, ApiError> {
    let hash = CredentialHash::of(text);
    let found = app.store.reader().await?.tx().api_key(hash).await?;
    Ok(found.filter(|key| key.hash == hash))
}

/// Whatever a bearer's text opens, in force or not.
async fn bearer(app: &App, text: &str) -> Result<Option<Caller>, ApiError> {
    if let Some(key) = api_key(app, text).await? {
        return Ok(Some(Caller::Key(key)));
    }
    let hash = CredentialHash::of(text);
    let found = app.store.reader().await?.tx().dashboard_token(hash).await?;
    Ok(found.filter(|token| token.hash == hash).map(Caller::Dashboard))
}

/// Lets a key in that is in force here, and notes that it was used.
fn admit(parts: &Parts, app: &App, key: &ApiKeyRecord) -> Result<(), ApiError> {
    match key.status() {
        KeyStatus::Revoked => return Err(ApiError::ApiKeyRevoked),
        KeyStatus::Suspended => return Err(ApiError::ApiKeySuspended),
        KeyStatus::Active => {}
    }
    if key.life.is_expired(app.clock.now()) {
        return Err(ApiError::ApiKeyExpired);
    }
    if key.environment.is_some_and(|environment| environment != app.config.environment) {
        return Err(ApiError::ForeignEnvironment { server: app.config.environment });
    }
    limit::recognise(parts, app, key.hash)?;
    tracing::Span::current().record("api_key.id", tracing::field::display(key.id));
    note_use(app, key);
    Ok(())
}

fn check_token(parts: &Parts, app: &App, token: &DashboardTokenRecord) -> Result<(), ApiError> {
    if token.revoked_at.is_some() {
        return Err(ApiError::DashboardTokenRevoked);
    }
    if token.expires_at <= app.clock.now() {
        return Err(ApiError::DashboardTokenExpired);
    }
    limit::recognise(parts, app, token.hash)?;
    tracing::Span::current().record("dashboard_token.id", tracing::field::display(token.id));
    Ok(())
}

/// Notes that a key was used. The request does not wait for that, nor fail with it.
fn note_use(app: &App, key: &ApiKeyRecord) {
    let now = app.clock.now();
    if key.last_used_at.is_some_and(|used| now < used.plus(NOTE_USE_EVERY_SECONDS)) {
        return;
    }
    let (merchant, id, store) = (key.merchant, key.id, app.store.clone());
    app.spawn(async move {
        let noted = store.write(move |tx| {
            Box::pin(async move { tx.note_api_key_use(merchant, id, now, NOTE_USE_EVERY_SECONDS).await })
        });
        if let Err(error) = noted.await {
            tracing::warn!(error = %error, "the use of an API key could not be noted");
        }
    });
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_key_decides_before_a_bearer() {
        let check = |given: &[(&'static str, &'static str)], expected: Option<Presented>| {
            let headers: HeaderMap = given
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(Presented::of(&headers).unwrap(), expected, "{given:?}");
        };
        check(&[("x-api-key", "pk_1")], Some(Presented::Key("pk_1")));
        check(&[("x-commerce-api-key", "ck_1")], Some(Presented::Key("ck_1")));
        check(&[("authorization", "Bearer pk_1")], Some(Presented::Bearer("pk_1")));
        check(&[("authorization", "bearer  pk_1 ")], Some(Presented::Bearer("pk_1")));
        check(&[("authorization", "Bearer pd_1"), ("x-api-key", "pk_1")], Some(Presented::Key("pk_1")));
        check(&[("x-commerce-api-key", "ck_1"), ("x-api-key", "pk_1")], Some(Presented::Key("pk_1")));
        check(&[("authorization", "Bearer pd_1"), ("x-api-key", "")], Some(Presented::Key("")));
        check(&[("authorization", "Basic cGs=")], None);
        check(&[("authorization", "pk_1")], None);
        check(&[], None);
    }
}

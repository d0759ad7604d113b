//! What is refused before anything is asked of the database: requests that are too many, or too large.
//!
//! Whoever presents a key that was good before, or a session that we signed, is counted by that. Everybody else
//! is counted by address, and may try only so many credentials. A key becomes known when its check, in
//! `extract`, finds it good, never by what a handler answers: not every handler asks for one.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::signature::CredentialHash;

use super::{
    any_origin,
    error::ApiError,
    extract::Parameters,
    page::{self, Reader},
};
use crate::{
    app::App,
    config::LimitsConfig,
    limits::{self, CallerAddress, Counted},
    session::Signed,
};

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const WINDOW_SECONDS: u32 = 60;

/// How long a client may take to send a body, for whoever reads one.
#[derive(Clone, Copy)]
pub struct BodyPatience(pub Duration);

/// How the caller of a request stands with its limit; empty for what is not limited.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<Option<Counted>>>);

impl Count {
    fn set(&self, counted: Option<Counted>) {
        if counted.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counted;
        }
    }

    fn get(&self) -> Option<Counted> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a request with a key that was just found to be good by the key instead of by its address.
///
/// # Errors
///
/// If that many requests were made with the key at once that this one is too many.
pub fn recognise(parts: &Parts, app: &App, key: CredentialHash) -> Result<(), ApiError> {
    // A key that was known has been counted.
    let Some(Recognise(count)) = parts.extensions.get::<Recognise>() else { return Ok(()) };
    let counted = app.limits.count_good_key(key, app.clock.now_ms());
    count.set(counted);
    counted.map_or(Ok(()), allowed)
}

/// Rides on requests with a key that is not known.
#[derive(Clone)]
struct Recognise(Count);

/// Refuses what is too much, and tells everybody how they stand.
pub async fn limit_requests(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let for_whom = Audience::of(&request);
    if let Err(error) = check_size(&request, &app.config.limits) {
        return for_whom.refuse(error);
    }
    request.extensions_mut().insert(BodyPatience(Duration::from_millis(app.config.limits.body_timeout_ms)));
    if is_unlimited(&request) {
        return next.run(request).await;
    }
    let (address, presented) = (address(&app, &request), Presented::of(&app, &request));
    let count = Count::default();
    match presented {
        Presented::Key(_) => {
            request.extensions_mut().insert(Recognise(count.clone()));
        }
        Presented::Session(signed) => {
            request.extensions_mut().insert(signed);
        }
        Presented::Claim | Presented::Nothing => {}
    }
    let mut response = match admit(&app, address, presented, &count, &mut request) {
        Ok(()) => {
            let response = next.run(request).await;
            if response.status() == StatusCode::UNAUTHORIZED && presented.is_a_guess() {
                app.limits.count_failure(address, app.clock.now_ms());
            }
            response
        }
        Err(error) => for_whom.refuse(error),
    };
    if let Some(counted) = count.get() {
        tell(response.headers_mut(), counted);
    }
    response
}

/// Counts a request, or says why it is one too many.
fn admit(
    app: &App,
    address: CallerAddress,
    presented: Presented,
    count: &Count,
    request: &mut Request,
) -> Result<(), ApiError> {
    let (limits, now) = (&app.limits, app.clock.now_ms());
    let known = match presented {
        Presented::Key(key) => limits.count_known_key(key, now),
        Presented::Session(signed) => Some(limits.count_session(signed.token_hash(), now)),
        Presented::Claim | Presented::Nothing => None,
    };
    if let Some(counted) = known {
        request.extensions_mut().remove::<Recognise>();
        count.set(counted);
        return counted.map_or(Ok(()), allowed);
    }
    if presented.is_a_guess()
        && let Some(refused) = limits.refuse_credentials(address, now)
    {
        count.set(Some(refused));
        return allowed(refused);
    }
    let counted = limits.count_address(address, now);
    count.set(counted);
    counted.map_or(Ok(()), allowed)
}

fn allowed(counted: Counted) -> Result<(), ApiError> {
    let limit = counted.policy;
    let refusal = |retry_after_seconds| Err(ApiError::TooManyRequests { limit, retry_after_seconds });
    counted.standing.retry_after_seconds.map_or(Ok(()), refusal)
}

/// The fields of draft-ietf-httpapi-ratelimit-headers; `t` is when all of the quota is there again.
fn tell(headers: &mut HeaderMap, Counted { policy, standing }: Counted) {
    let policy = policy.as_str();
    for (name, text) in [
        (RATE_LIMIT_POLICY, format!("\"{policy}\";q={};w={WINDOW_SECONDS}", standing.quota)),
        (RATE_LIMIT, format!("\"{policy}\";r={};t={}", standing.remaining, standing.whole_in_seconds)),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// What a request offers as proof of who sent it.
#[derive(Clone, Copy)]
enum Presented {
    Nothing,
    /// An API key or a dashboard's token, good or bad.
    Key(CredentialHash),
    Session(Signed),
    /// Something that is not ours, or that only the database can tell.
    Claim,
}

impl Presented {
    /// Whether nothing about it shows that it ever was good.
    fn is_a_guess(self) -> bool {
        matches!(self, Self::Key(_) | Self::Claim)
    }

    fn of(app: &App, request: &Request) -> Self {
        let headers = request.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(key) = presented_key(headers) {
            return Self::Key(CredentialHash::of(key));
        }
        if let (Some(token), Some(signature)) = (text("x-session-token"), text("x-signature")) {
            return Self::session(app, token, signature);
        }
        let path = request.uri().path();
        let query = Parameters::parse(request.uri().query().unwrap_or_default().as_bytes());
        if path == page::PATH || path.starts_with("/pay/") {
            return match (query.get("session"), query.get("signature")) {
                (Some(token), Some(signature)) => Self::session(app, token, signature),
                _ => Self::Nothing,
            };
        }
        if path.starts_with("/ws/") && query.get("token").is_some() { Self::Claim } else { Self::Nothing }
    }

    fn session(app: &App, token: &str, signature: &str) -> Self {
        Signed::check(app, token, signature).map_or(Self::Claim, Self::Session)
    }
}

/// The key of a request, whichever way it is sent; where there are several, the one that is looked at.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    for name in ["x-api-key", "x-commerce-api-key"] {
        if let Some(value) = headers.get(name) {
            return value.to_str().ok();
        }
    }
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn address(app: &App, request: &Request) -> CallerAddress {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    let caller = limits::caller(peer, request.headers(), &app.config.server);
    let is_unlisted = caller == peer.to_canonical() && limits::is_forwarded(request.headers());
    if is_unlisted && app.config.server.trusted_proxies.is_empty() && app.limits.is_first_unlisted_proxy() {
        tracing::warn!(
            "a request says that a proxy passed it on, but server.trusted_proxies lists none; if there is one, all \
             who come through it share one limit"
        );
    }
    CallerAddress::of(caller)
}

/// What costs no more to answer than to refuse. Browsers ask leave by `OPTIONS`, which no handler takes.
fn is_unlimited(request: &Request) -> bool {
    let path = request.uri().path();
    path.starts_with("/health/") || path.starts_with("/assets/") || request.method() == Method::OPTIONS
}

/// Refuses what no good request has. Far beyond that, the connection refuses it before it is a request.
fn check_size(request: &Request, limits: &LimitsConfig) -> Result<(), ApiError> {
    let url_bytes = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if limits.url_bytes < url_bytes {
        return Err(ApiError::UrlTooLong);
    }
    let headers = request.headers();
    let header_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if limits.headers < headers.len() || limits.header_bytes < header_bytes {
        return Err(ApiError::HeadersTooLarge);
    }
    // Who says so beforehand need not send it first; others are stopped while they do.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let most = u64::try_from(limits.body_bytes).unwrap_or(u64::MAX);
    if length.is_some_and(|length| most < length) { Err(ApiError::BodyTooLarge) } else { Ok(()) }
}

/// Who will read a refusal.
enum Audience {
    /// A person.
    Page(Box<Reader>),
    /// A page of any origin.
    Payor,
    Program,
}

impl Audience {
    fn of(request: &Request) -> Self {
        match Reader::of(request) {
            Some(reader) => Self::Page(Box::new(reader)),
            None if any_origin::is_path(request.uri().path()) => Self::Payor,
            None => Self::Program,
        }
    }

    fn refuse(self, error: ApiError) -> Response {
        match self {
            Self::Page(reader) => reader.refuse(&error),
            Self::Payor => {
                let mut response = error.into_response();
                any_origin::let_it_be_read(response.headers_mut());
                response
            }
            Self::Program => error.into_response(),
        }
    }
}

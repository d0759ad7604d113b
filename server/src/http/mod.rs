//! HTTP: the whole route table, and what happens around every request.
//!
//! Handlers extract, call one verb and convert. Nothing here decides about money; credentials, bodies,
//! query strings and addresses of callers never reach the log.

mod any_origin;
mod assets;
mod brotli;
mod canonical;
mod encoding;
mod error;
mod error_codes;
mod extract;
mod health;
mod language;
mod limit;
mod merchant;
mod openapi;
mod opening;
mod page;
mod payor;
mod realtime;
mod snapshot;
mod sweep_page;
mod template;

#[cfg(test)]
mod tests;

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Extension, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use futures_util::FutureExt;
use tracing::Instrument;
use utoipa_axum::router::OpenApiRouter;

use self::{
    error::ApiError,
    page::{Pages, Reader},
};
use crate::{app::App, clock::random_bytes};

/// Longer than any good answer takes; what a verb began goes on to its end all the same.
const TIMEOUT: Duration = Duration::from_secs(30);
const MOST_REQUEST_ID_CHARACTERS: usize = 64;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every route of the server.
pub fn router(app: App) -> Router {
    let pages = Pages::of(&app, assets::page_html().as_deref());
    router_with(app, pages, TIMEOUT)
}

/// The routes of the API. Each is registered together with its description.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(merchant::routes()).merge(payor::routes()).merge(realtime::routes())
}

fn router_with(app: App, pages: Pages, timeout: Duration) -> Router {
    let (api, description) = api().split_for_parts();
    Router::new()
        .merge(api)
        .merge(openapi::routes(&description, &app.public_url))
        .merge(page::routes())
        .merge(sweep_page::routes())
        .route("/assets/{*path}", get(assets::serve_asset))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/api/commerce", any(not_implemented))
        .route("/api/commerce/{*path}", any(not_implemented))
        .route("/ws/commerce/events", any(not_implemented))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(app.config.limits.body_bytes))
        .layer(middleware::from_fn_with_state(app.clone(), limit::limit_requests))
        .layer(middleware::from_fn_with_state(timeout, around_every_request))
        // Outermost, so that whatever refuses a request can do so on a page.
        .layer(Extension(pages))
        .with_state(app)
}

/// The name this request has in logs and answers.
#[derive(Clone, Debug)]
struct RequestId(String);

impl RequestId {
    /// The caller's name for the request, if it is fit for a log, else one of ours.
    fn of(headers: &HeaderMap) -> Self {
        let is_plain = |text: &&str| {
            (1..=MOST_REQUEST_ID_CHARACTERS).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_plain);
        Self(given.map_or_else(|| format!("req_{}", hex::encode(random_bytes::<12>())), str::to_owned))
    }
}

async fn around_every_request(State(timeout): State<Duration>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request",
        method = method_name(request.method()),
        route,
        request_id = id.0,
        api_key.id = tracing::field::Empty,
        dashboard_token.id = tracing::field::Empty,
    );

    let reader = Reader::of(&request);
    let refuse = move |error: ApiError| match &reader {
        Some(reader) => reader.refuse(&error),
        None => error.into_response(),
    };

    let answer = async move {
        let caught = tokio::time::timeout(timeout, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
        let response = match caught {
            Ok(Ok(response)) => response,
            Ok(Err(_panic)) => refuse(ApiError::internal(Panicked)),
            Err(_elapsed) => refuse(ApiError::Timeout),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status = response.status().as_u16(), duration_ms, "answered");
        response
    };
    let mut response = answer.instrument(span).await;

    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A method as the log names it: anybody can make up a new one, of any length.
fn method_name(method: &Method) -> &str {
    const KNOWN: [Method; 7] =
        [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT, Method::PATCH, Method::DELETE];
    if KNOWN.contains(method) { method.as_str() } else { "(other)" }
}

/// What it was stands in the panic's own message.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

/// Somebody who followed a link gets a page, as one that was cut off may lead anywhere.
async fn not_found(request: Request) -> Response {
    match Reader::of_anything(&request) {
        Some(reader) => reader.refuse(&ApiError::NotFound),
        None => ApiError::NotFound.into_response(),
    }
}

/// The same for a form's address that was opened as a page.
async fn method_not_allowed(request: Request) -> Response {
    match Reader::of_anything(&request) {
        Some(reader) => reader.refuse(&ApiError::MethodNotAllowed),
        None => ApiError::MethodNotAllowed.into_response(),
    }
}

async fn not_implemented() -> ApiError {
    ApiError::NotImplemented
}

//! What pages of any origin may ask for: everything that a payer's session opens.
//!
//! The session's headers, or a form's fields, open it and no cookie does, so whoever can ask has been given the session. A page
//! in a sandboxed frame is of no origin, and its own server is another one to it.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{Any, CorsLayer};

use super::{
    limit::{RATE_LIMIT, RATE_LIMIT_POLICY},
    page,
};

const PREFLIGHT_HOLDS: Duration = Duration::from_hours(1);
/// Of an answer's headers, those that a page of another origin may read.
const EXPOSED: [HeaderName; 4] =
    [HeaderName::from_static("x-request-id"), header::RETRY_AFTER, RATE_LIMIT, RATE_LIMIT_POLICY];

/// Lets pages ask, and answers their preflights.
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            HeaderName::from_static("x-session-token"),
            HeaderName::from_static("x-signature"),
        ])
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_HOLDS)
}

/// Whether pages of any origin ask for this.
pub fn is_path(path: &str) -> bool {
    path.starts_with("/api/v1/payments/")
        || path.starts_with("/api/v1/invoice/")
        || [page::CHOICE_PATH, page::SNAPSHOT_PATH].contains(&path)
}

/// For an answer that is given before a request gets to [`cors`].
pub fn let_it_be_read(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = EXPOSED.map(|name| name.to_string()).join(",");
    if let Ok(exposed) = HeaderValue::from_str(&exposed) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

//! What payers' pages call, a file per endpoint. The session alone says which invoice is meant.

mod available_tokens;
mod customer_email;
mod payment_address;
mod payment_status;
mod questions;
mod session_details;
mod stream_token;
mod verification;

pub use available_tokens::{offers, priced, token_type};
pub use verification::read_transaction;

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{Any, CorsLayer};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    limit::{RATE_LIMIT, RATE_LIMIT_POLICY},
    method_not_allowed, openapi,
};
use crate::app::App;

const PREFLIGHT_HOLDS: Duration = Duration::from_hours(1);
/// Of an answer's headers, those that a page of another origin may read.
const EXPOSED: [HeaderName; 4] =
    [HeaderName::from_static("x-request-id"), header::RETRY_AFTER, RATE_LIMIT, RATE_LIMIT_POLICY];

pub fn routes() -> OpenApiRouter<App> {
    // Any page may ask, because the session's headers, not cookies, are what opens it.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            HeaderName::from_static("x-session-token"),
            HeaderName::from_static("x-signature"),
        ])
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_HOLDS);
    let routes = OpenApiRouter::new()
        .routes(routes!(session_details::retrieve_session_details))
        .routes(routes!(available_tokens::list_available_tokens))
        .routes(routes!(payment_address::allocate_payment_address))
        .routes(routes!(payment_status::retrieve_payment_status))
        .routes(routes!(stream_token::create_stream_token))
        .routes(routes!(customer_email::store_customer_email, customer_email::retrieve_customer_email))
        .routes(routes!(questions::retrieve_invoice_questions))
        .routes(routes!(questions::submit_form_responses))
        .routes(routes!(verification::verify_invoice, verification::retrieve_verification));
    // Before the layer, which must see what no handler takes: preflights are such.
    openapi::wrapped(routes, |router| router.method_not_allowed_fallback(method_not_allowed).layer(cors))
}

/// Whether pages of any origin ask for this.
pub fn is_path(path: &str) -> bool {
    path.starts_with("/api/v1/payments/") || path.starts_with("/api/v1/invoice/")
}

/// For an answer that is given before a request gets here.
pub fn let_any_origin_read(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = EXPOSED.map(|name| name.to_string()).join(",");
    if let Ok(exposed) = HeaderValue::from_str(&exposed) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

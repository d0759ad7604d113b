//! `GET /sweep`: a page on which the merchant's own wallet signs what is due. It is the same for everybody and holds no
//! secret; what it shows it asks for with a token that the merchant types in.

use std::sync::LazyLock;

use alloy_sol_types::{SolCall, SolEvent, sol};
use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use wire::deposit_address::FACTORY;

use super::template::hashes;
use crate::{app::App, invoicing::sweepCall};

sol! {
    /// Of the deposit factory.
    event SweepFailed(address indexed merchant, address indexed deposit, address indexed asset, bytes reason);
}

pub const PATH: &str = "/sweep";
const PAGE: &str = include_str!("sweep_page/page.html");
const STYLE: &str = include_str!("sweep_page/page.css");
const SCRIPT: &str = include_str!("sweep_page/page.js");
/// The payer's page has the same.
const TOKENS: &str = include_str!("../../../assets/styles/tokens.css");
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()";

/// The page with its policy, made once.
struct SweepPage {
    html: String,
    policy: HeaderValue,
}

static SWEEP_PAGE: LazyLock<SweepPage> = LazyLock::new(|| {
    let style = STYLE.replace("{{tokens}}", TOKENS);
    // Its own script and style by their hashes, its own server, and nothing else. Wallets' extensions are not bound by it.
    let policy = format!(
        "default-src 'none'; script-src{}; style-src{}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; object-src 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        hashes(&[SCRIPT]),
        hashes(&[&style])
    );
    let html = PAGE
        .replace("{{factory}}", &FACTORY.to_checksum(None))
        .replace("{{selector}}", &format!("0x{}", hex::encode(sweepCall::SELECTOR)))
        .replace("{{failed}}", &SweepFailed::SIGNATURE_HASH.to_string())
        .replace("{{style}}", &style)
        .replace("{{script}}", SCRIPT);
    SweepPage { html, policy: HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'")) }
});

pub fn routes() -> Router<App> {
    Router::new().route(PATH, get(draw_sweep_page))
}

async fn draw_sweep_page() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, SWEEP_PAGE.policy.clone()),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS)),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    (headers, Html(SWEEP_PAGE.html.as_str())).into_response()
}

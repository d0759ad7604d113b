//! The built page's files, embedded in the binary.
//!
//! Scripts and WASM carry their content's hash in their name and come compressed beforehand; any origin
//! may load them, because the page also runs in sandboxed frames, whose origin is nobody's.

use std::borrow::Cow;

use axum::{
    body::{Body, Bytes},
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{encoding, error::ApiError};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../frontend/dist"]
struct Dist;

/// The page's template, if the page was built.
pub fn page_html() -> Option<String> {
    let file = Dist::get("index.html")?;
    Some(String::from_utf8_lossy(&file.data).into_owned())
}

/// Sends a file in the smallest form the client takes.
pub async fn serve_asset(path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response, ApiError> {
    let Path(path) = path.map_err(|_| ApiError::NotFound)?;
    let content_type = content_type(&path).ok_or(ApiError::NotFound)?;
    let compressed = ENCODINGS
        .iter()
        .filter(|(name, _)| encoding::is_taken(&headers, name))
        .find_map(|(name, suffix)| Dist::get(&format!("{path}{suffix}")).map(|file| (Some(*name), file)));
    let (encoding, file) =
        compressed.or_else(|| Dist::get(&path).map(|file| (None, file))).ok_or(ApiError::NotFound)?;

    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let is_known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|known| {
        known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag || tag.trim() == "*")
    });
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { body(file).into_response() };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).map_err(ApiError::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    if !is_known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
    }
    Ok(response)
}

/// The smallest first.
const ENCODINGS: [(&str, &str); 2] = [(encoding::BROTLI, ".br"), (encoding::GZIP, ".gz")];

/// Only what the page loads by itself is served; its template is not a file for anybody.
fn content_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    match extension {
        "js" => Some("text/javascript; charset=utf-8"),
        "wasm" => Some("application/wasm"),
        _ => None,
    }
}

fn body(file: EmbeddedFile) -> Body {
    Body::from(match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_but_scripts_and_wasm_is_served() {
        for path in ["index.html", ".gitkeep", "x.js.br", "../Cargo.toml", "../src/main.rs", "missing.js", ""] {
            let answer = serve_asset(Ok(Path(path.to_owned())), HeaderMap::new()).await;
            assert!(matches!(answer, Err(ApiError::NotFound)), "{path}");
        }
    }
}

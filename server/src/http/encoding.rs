//! Which encodings of an answer a client takes (RFC 9110, section 12.5.3).

use axum::http::{HeaderMap, header};

pub const BROTLI: &str = "br";
pub const GZIP: &str = "gzip";

/// Whether the client names this encoding, and does not refuse it by a weight of nothing.
pub fn is_taken(headers: &HeaderMap, encoding: &str) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|entry| {
        let (name, parameters) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = parameters.trim().strip_prefix("q=").unwrap_or("1");
        let is_refused = weight.bytes().all(|byte| byte == b'0' || byte == b'.');
        !is_refused && name.trim().eq_ignore_ascii_case(encoding)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(accept_encoding: &'static str, expected: &[&str]) {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept_encoding))]);
        let taken: Vec<_> = [BROTLI, GZIP].into_iter().filter(|encoding| is_taken(&headers, encoding)).collect();
        assert_eq!(taken, expected, "{accept_encoding}");
    }

    #[test]
    fn encodings_that_are_named_are_taken_and_refusals_are_heard() {
        check("gzip, deflate, br, zstd", &["br", "gzip"]);
        check("gzip", &["gzip"]);
        check("br;q=0, gzip;q=0.5", &["gzip"]);
        check("br;q=0.0,GZIP", &["gzip"]);
        check("identity", &[]);
        assert!(!is_taken(&HeaderMap::new(), BROTLI));
    }
}

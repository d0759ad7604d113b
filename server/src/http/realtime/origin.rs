//! Which pages may open a stream.
//!
//! A browser lets any page connect to any server and only says in `Origin` which page it is. Only our own pages and
//! those that may embed the payer's page get a stream, whichever way they prove who they are: a token that leaked
//! out of one page is then of no use to another. What is no browser sends no `Origin`, and could say anything in it.

use axum::http::{HeaderMap, header};
use domain::id::MerchantId;
use url::Url;
use wire::Environment;

use crate::{app::App, http::error::ApiError, store::MerchantRecord};

/// Refuses a page that may not follow what is this merchant's.
pub(super) async fn check_origin(app: &App, headers: &HeaderMap, merchant: MerchantId) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().map_err(|_| ApiError::OriginForbidden)?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if is_own(&app.public_url, host, origin) {
        return Ok(());
    }
    let merchant = app.store.reader().await?.tx().merchant(merchant).await?;
    let may_follow = merchant.is_some_and(|merchant| may_embed(&merchant, app.config.environment, origin));
    if may_follow { Ok(()) } else { Err(ApiError::OriginForbidden) }
}

/// Whether a page is ours: under the address payers are given, or under the one that was just asked.
fn is_own(public_url: &str, host: Option<&str>, origin: &str) -> bool {
    let is_public = Url::parse(public_url).is_ok_and(|url| url.origin().ascii_serialization() == origin);
    let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    is_public || (name.is_some() && name == host)
}

/// As for embedding: with no list, any page where only test money is, and none elsewhere.
fn may_embed(merchant: &MerchantRecord, environment: Environment, origin: &str) -> bool {
    if merchant.frame_origins.is_empty() {
        environment == Environment::Devnet && Url::parse(origin).is_ok_and(|url| url.has_host())
    } else {
        merchant.frame_origins.iter().any(|allowed| allowed == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_pages_are_those_of_the_public_and_of_the_asked_address() {
        for (origin, is_ours) in [
            ("https://pay.example", true),
            ("http://127.0.0.1:8080", true),
            ("https://127.0.0.1:8080", true),
            ("http://pay.example", false),
            ("https://pay.example:444", false),
            ("https://pay.example.evil", false),
            ("https://evil", false),
            ("null", false),
            ("127.0.0.1:8080", false),
            ("", false),
        ] {
            assert_eq!(is_own("https://pay.example/shop", Some("127.0.0.1:8080"), origin), is_ours, "{origin}");
        }
        assert!(!is_own("https://pay.example", None, "http://127.0.0.1:8080"));
    }

    #[test]
    fn a_list_allows_what_is_on_it_and_no_list_depends_on_the_money() {
        let merchant = |origins: &[&str]| MerchantRecord {
            id: MerchantId(1),
            name: String::new(),
            email: String::new(),
            recovery_code: [0; 32],
            frame_origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            return_url: None,
        };
        let shop = "https://shop.example";
        for environment in [Environment::Devnet, Environment::Mainnet] {
            assert!(may_embed(&merchant(&[shop]), environment, shop));
            assert!(!may_embed(&merchant(&[shop]), environment, "https://shop.example.evil"));
            assert!(!may_embed(&merchant(&[shop]), environment, "null"));
        }
        assert!(may_embed(&merchant(&[]), Environment::Devnet, shop));
        assert!(!may_embed(&merchant(&[]), Environment::Devnet, "null"));
        assert!(!may_embed(&merchant(&[]), Environment::Mainnet, shop));
    }
}

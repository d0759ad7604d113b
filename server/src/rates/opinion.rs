//! A second opinion on a price, from an HTTP service of the operator's choice.
//!
//! One that cannot be had changes nothing. One that differs too much from the feed's means that one of them is wrong,
//! and then there is no price.

use std::{collections::HashMap, time::Duration};

use domain::money::Rate;
use reqwest::redirect;
use serde_json::value::RawValue;
use url::Url;

use super::NoPrice;
use crate::{config::OpinionConfig, tls};

const TIMEOUT: Duration = Duration::from_secs(3);
/// An answer beyond this is not read.
const LARGEST_ANSWER_BYTES: usize = 256 << 10;
/// How far both may be apart, in hundredths.
const MOST_APART_PERCENT: u128 = 2;

pub(super) struct Opinion {
    client: reqwest::Client,
    url: Url,
    /// Names to follow from the outermost object to the price.
    path: Vec<String>,
}

impl Opinion {
    /// # Panics
    ///
    /// If the system has no TLS or sockets to offer.
    pub fn new(config: &OpinionConfig) -> Self {
        tls::install();
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        #[expect(clippy::expect_used, reason = "start-up: nothing works without sockets and TLS")]
        let client = client.build().expect("an HTTP client can be set up");
        let path = config.pointer.split('/').skip(1).map(str::to_owned).collect();
        Self { client, url: config.url.clone(), path }
    }

    /// # Errors
    ///
    /// [`NoPrice::Disputed`] if it is too far from `rate`.
    pub async fn check(&self, rate: Rate) -> Result<(), NoPrice> {
        let Some(other) = self.ask().await else { return Ok(()) };
        let feed = rate.usd_e8();
        if feed.max(other).saturating_mul(MOST_APART_PERCENT) < feed.abs_diff(other).saturating_mul(100) {
            return Err(NoPrice::Disputed { feed, other });
        }
        Ok(())
    }

    /// In hundred-millionths of a dollar.
    async fn ask(&self) -> Option<u128> {
        let mut response = self.client.get(self.url.clone()).send().await.ok()?.error_for_status().ok()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if LARGEST_ANSWER_BYTES < body.len() + chunk.len() {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        find(std::str::from_utf8(&body).ok()?, &self.path)
    }
}

/// The price at a path inside JSON, from its text: as a number or as text, never through a float.
fn find(json: &str, path: &[String]) -> Option<u128> {
    let Some((name, rest)) = path.split_first() else {
        let json = json.trim();
        let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
        return to_usd_e8(text);
    };
    let object: HashMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    find(object.get(name)?.get(), rest)
}

/// Plain decimal text in hundred-millionths; digits beyond those are dropped. Nothing for zero and less.
fn to_usd_e8(text: &str) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(part) {
        return None;
    }
    let part: String = part.chars().chain("00000000".chars()).take(8).collect();
    let whole: u128 = whole.parse().ok()?;
    let usd_e8 = whole.checked_mul(100_000_000)?.checked_add(part.parse().ok()?)?;
    (usd_e8 != 0).then_some(usd_e8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, pointer: &str, expected: Option<u128>) {
        let path: Vec<_> = pointer.split('/').skip(1).map(str::to_owned).collect();
        assert_eq!(find(json, &path), expected, "{json}");
    }

    #[test]
    fn a_price_is_read_from_its_text() {
        check(r#"{"ethereum":{"usd":3012.4}}"#, "/ethereum/usd", Some(301_240_000_000));
        check(r#"{"data":{"amount":"3012.123456789"}}"#, "/data/amount", Some(301_212_345_678));
        check(r#"{"p":1}"#, "/p", Some(100_000_000));
        check("0.1", "", Some(10_000_000));
    }

    #[test]
    fn what_is_no_plain_price_is_none() {
        for text in
            ["0", "0.0", "-1", "1e3", "1.", ".5", "", "NaN", "null", "true", "[1]", "1,000", "9".repeat(40).as_str()]
        {
            check(text, "", None);
        }
        check(r#"{"p":1}"#, "/q", None);
        check(r#"{"p":1}"#, "/p/q", None);
        check("<html>", "/p", None);
    }
}

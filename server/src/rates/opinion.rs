//! A second opinion on a price, from an HTTP service of the operator's choice.
//!
//! One that cannot be had changes nothing. One that differs too much from the feed's means that one of them is wrong,
//! and then there is no price.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{money::Rate, time::UnixMillis};
use reqwest::redirect;
use serde_json::value::RawValue;
use url::Url;

use super::NoPrice;
use crate::{
    alarm,
    config::{NetworkConfig, OpinionConfig, TokenConfig},
    tls,
};

const TIMEOUT: Duration = Duration::from_secs(3);
/// What was said is taken for so long, and so is that nothing was: such services count how often they are asked.
const ASK_EVERY_MS: i64 = 60_000;
/// An answer beyond this is not read.
const LARGEST_ANSWER_BYTES: usize = 256 << 10;
/// How far both may be apart, in hundredths.
const MOST_APART_PERCENT: u128 = 2;

pub(super) struct Opinion {
    client: reqwest::Client,
    url: Url,
    /// Names to follow from the outermost object to the price.
    path: Vec<String>,
    network: String,
    token: i64,
    symbol: String,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    asked_at: Option<UnixMillis>,
    /// In hundred-millionths of a dollar; `None` if nothing could be had.
    said: Option<u128>,
    /// What somebody was last told.
    told: Option<Trouble>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Silent,
    Disputed,
}

impl Opinion {
    /// # Panics
    ///
    /// If the system has no TLS or sockets to offer.
    pub fn new(network: &NetworkConfig, token: &TokenConfig, config: &OpinionConfig) -> Self {
        tls::install();
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        #[expect(clippy::expect_used, reason = "start-up: nothing works without sockets and TLS")]
        let client = client.build().expect("an HTTP client can be set up");
        Self {
            client,
            url: config.url.clone(),
            path: config.pointer.split('/').skip(1).map(str::to_owned).collect(),
            network: network.name.clone(),
            token: token.id,
            symbol: token.symbol.clone(),
            memory: Mutex::default(),
        }
    }

    /// # Errors
    ///
    /// [`NoPrice::Disputed`] if it is too far from `rate`.
    pub async fn check(&self, rate: Rate, now: UnixMillis) -> Result<(), NoPrice> {
        if self.memory().is_due(now) {
            let said = self.ask().await;
            let mut memory = self.memory();
            (memory.asked_at, memory.said) = (Some(now), said);
        }
        let mut memory = self.memory();
        let feed = rate.usd_e8();
        let Some(other) = memory.said else {
            if memory.is_news(Some(Trouble::Silent)) {
                tracing::warn!(
                    payment.network = self.network,
                    token.id = self.token,
                    token.symbol = self.symbol,
                    "a token's second opinion cannot be had; its feed's word stands alone"
                );
            }
            return Ok(());
        };
        if feed.max(other).saturating_mul(MOST_APART_PERCENT) < feed.abs_diff(other).saturating_mul(100) {
            if memory.is_news(Some(Trouble::Disputed)) {
                tracing::error!(
                    alarm = alarm::PRICE_DISPUTED,
                    payment.network = self.network,
                    token.id = self.token,
                    token.symbol = self.symbol,
                    feed.usd_e8 = %feed,
                    other.usd_e8 = %other,
                    "ALARM: a token's feed and the second opinion differ; it is not quoted any more"
                );
            }
            return Err(NoPrice::Disputed { feed, other });
        }
        if memory.is_news(None) {
            tracing::info!(
                payment.network = self.network,
                token.id = self.token,
                token.symbol = self.symbol,
                "a token's feed and the second opinion agree again"
            );
        }
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Memory {
    fn is_due(&self, now: UnixMillis) -> bool {
        // A clock that was set back must not keep us from asking.
        self.asked_at.is_none_or(|asked_at| !(0..ASK_EVERY_MS).contains(&now.0.saturating_sub(asked_at.0)))
    }

    /// Whether somebody has to be told of this; remembers that it was.
    fn is_news(&mut self, trouble: Option<Trouble>) -> bool {
        std::mem::replace(&mut self.told, trouble) != trouble
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
    fn each_trouble_is_told_of_once() {
        use Trouble::{Disputed, Silent};

        let mut memory = Memory::default();
        let troubles = [None, Some(Silent), Some(Silent), Some(Disputed), Some(Disputed), None, None, Some(Silent)];
        let told = troubles.map(|trouble| memory.is_news(trouble));
        assert_eq!(told, [false, true, false, true, false, true, false, true]);
    }

    #[test]
    fn an_opinion_is_asked_for_once_a_minute() {
        let memory = Memory { asked_at: Some(UnixMillis(100_000)), ..Memory::default() };
        let due = [100_000, 159_999, 160_000, 99_999].map(|now| memory.is_due(UnixMillis(now)));
        assert_eq!(due, [false, false, true, true]);
        assert!(Memory::default().is_due(UnixMillis(0)));
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

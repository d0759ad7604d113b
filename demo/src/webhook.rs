//! What a receiver of webhooks must check before it believes one.
//!
//! Signature over the very bytes that came, in constant time; age; and then the content, which the
//! caller compares with what it asked for. Kept out: whether an event was seen before, which only
//! the one who stores events can know.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

/// How far the signing time may be from ours, in milliseconds.
const TOLERANCE_MS: u64 = 5 * 60 * 1000;

/// An event whose signature and age were good.
#[derive(Clone, Debug)]
pub struct VerifiedEvent {
    /// `evt_<milliseconds>-<sequence>`; the same on every delivery of this event.
    pub id: String,
    /// Its place in the sender's log; what came later there is newer.
    pub sequence: u64,
    /// Such as `invoice.updated`.
    pub event_type: String,
    /// The whole event.
    pub body: Value,
}

impl VerifiedEvent {
    /// What the event is about: an invoice, a payment.
    pub fn object(&self) -> &Value {
        &self.body["data"]["object"]
    }

    /// The invoice it is about.
    pub fn invoice_id(&self) -> Option<&str> {
        let object = self.object();
        let key = if object["object"] == "invoice" { "id" } else { "invoice_id" };
        object[key].as_str()
    }
}

/// Why a delivery was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A header is missing or malformed, or nobody who knows the secret signed these bytes.
    #[error("the signature does not match")]
    InvalidSignature,
    /// Signed too long ago (or in the future): perhaps somebody repeats an old delivery.
    #[error("the timestamp is more than five minutes off")]
    TimestampOutOfRange,
    /// Signed by the right sender, but not an event.
    #[error("the body is not an event")]
    NotAnEvent,
}

impl WebhookError {
    /// The code a receiver answers with.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidSignature => "invalid_signature",
            Self::TimestampOutOfRange => "timestamp_out_of_range",
            Self::NotAnEvent => "not_an_event",
        }
    }
}

/// Checks a delivery against the endpoint's secret.
///
/// # Errors
///
/// When it must not be believed.
pub fn verify(secret: &str, headers: &HeaderMap, body: &[u8], now_ms: u64) -> Result<VerifiedEvent, WebhookError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());

    let timestamp = header("x-pepay-timestamp").ok_or(WebhookError::InvalidSignature)?;
    let expected = sign(secret, timestamp, body);
    // While the secret is being replaced the sender also signs with the one before.
    let good = ["x-pepay-signature", "x-pepay-signature-previous"]
        .into_iter()
        .filter_map(header)
        .fold(Choice::from(0), |good, given| good | expected.as_bytes().ct_eq(given.as_bytes()));
    if !bool::from(good) {
        return Err(WebhookError::InvalidSignature);
    }

    let signed_ms: u64 = timestamp.parse().map_err(|_| WebhookError::InvalidSignature)?;
    if TOLERANCE_MS < now_ms.abs_diff(signed_ms) {
        return Err(WebhookError::TimestampOutOfRange);
    }

    read_event(body).ok_or(WebhookError::NotAnEvent)
}

/// The signature of a delivery: lower-case hex of HMAC-SHA256 over timestamp, dot and body.
pub fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length is good");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn read_event(body: &[u8]) -> Option<VerifiedEvent> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let id = body["id"].as_str()?.to_owned();
    let (_, sequence) = id.strip_prefix("evt_")?.split_once('-')?;
    Some(VerifiedEvent { sequence: sequence.parse().ok()?, event_type: body["type"].as_str()?.to_owned(), id, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test";
    const NOW_MS: u64 = 1_790_000_000_000;
    const BODY: &str = r#"{"id":"evt_1790000000000-7","object":"event","type":"invoice.updated",
        "data":{"object":{"object":"invoice","id":"abc"}}}"#;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn check(pairs: &[(&'static str, &str)], body: &str, now_ms: u64, expected: Result<&str, WebhookError>) {
        let result = verify(SECRET, &headers(pairs), body.as_bytes(), now_ms);
        assert_eq!(result.as_ref().map(|event| event.id.as_str()).map_err(|error| *error), expected);
    }

    #[test]
    fn signature_equals_one_computed_elsewhere() {
        // printf '1790000000000.{}' | openssl dgst -sha256 -hmac whsec_test
        let expected = "cf31194678c5c58f69a8e4daf093b68d6376001580c5aa75e6923f8c3441dc1c";
        assert_eq!(sign(SECRET, "1790000000000", b"{}"), expected);
    }

    #[test]
    fn signed_event_is_believed() {
        let stamp = NOW_MS.to_string();
        let signature = sign(SECRET, &stamp, BODY.as_bytes());
        let other = sign("another", &stamp, BODY.as_bytes());
        let id = Ok("evt_1790000000000-7");

        check(&[("x-pepay-timestamp", &stamp), ("x-pepay-signature", &signature)], BODY, NOW_MS, id);
        let while_rotating = [
            ("x-pepay-timestamp", stamp.as_str()),
            ("x-pepay-signature", &other),
            ("x-pepay-signature-previous", &signature),
        ];
        check(&while_rotating, BODY, NOW_MS, id);
    }

    #[test]
    fn anything_altered_is_not_believed() {
        let stamp = NOW_MS.to_string();
        let later = (NOW_MS + 1).to_string();
        let signature = sign(SECRET, &stamp, BODY.as_bytes());
        let other = sign("another", &stamp, BODY.as_bytes());
        let body = BODY.replace("abc", "abd");
        let refused = Err(WebhookError::InvalidSignature);

        check(&[("x-pepay-timestamp", &stamp), ("x-pepay-signature", &signature)], &body, NOW_MS, refused);
        check(&[("x-pepay-timestamp", &later), ("x-pepay-signature", &signature)], BODY, NOW_MS, refused);
        check(&[("x-pepay-timestamp", &stamp), ("x-pepay-signature", &other)], BODY, NOW_MS, refused);
        check(&[("x-pepay-timestamp", &stamp), ("x-pepay-signature", "")], BODY, NOW_MS, refused);
        check(&[("x-pepay-timestamp", &stamp)], BODY, NOW_MS, refused);
        check(&[("x-pepay-signature", &signature)], BODY, NOW_MS, refused);
    }

    #[test]
    fn delivery_is_good_for_five_minutes() {
        let stamp = NOW_MS.to_string();
        let signature = sign(SECRET, &stamp, BODY.as_bytes());
        let pairs = [("x-pepay-timestamp", stamp.as_str()), ("x-pepay-signature", &signature)];
        let id = Ok("evt_1790000000000-7");
        let refused = Err(WebhookError::TimestampOutOfRange);

        check(&pairs, BODY, NOW_MS + TOLERANCE_MS, id);
        check(&pairs, BODY, NOW_MS + TOLERANCE_MS + 1, refused);
        check(&pairs, BODY, NOW_MS - TOLERANCE_MS, id);
        check(&pairs, BODY, NOW_MS - TOLERANCE_MS - 1, refused);
    }

    #[test]
    fn signed_nonsense_is_not_an_event() {
        let stamp = NOW_MS.to_string();
        for body in ["", "[]", "{}", r#"{"id":"evt_1","type":"invoice.updated"}"#] {
            let signature = sign(SECRET, &stamp, body.as_bytes());
            let pairs = [("x-pepay-timestamp", stamp.as_str()), ("x-pepay-signature", &signature)];
            check(&pairs, body, NOW_MS, Err(WebhookError::NotAnEvent));
        }
    }
}

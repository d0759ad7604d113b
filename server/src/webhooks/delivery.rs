//! One try to deliver one event.

use std::{error::Error, time::Duration};

use domain::{signature::sign_webhook, time::UnixMillis};
use reqwest::{Client, Response, StatusCode, header, redirect};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::resolver::{RefusedTarget, Targets};
use crate::{config::WebhooksConfig, events, store::DueDelivery};

/// More of an answer is not read; the connection is closed instead.
const ANSWER_BYTES_AT_MOST: usize = 64 * 1024;
/// An event goes to the merchant's one endpoint.
const PENDING_WEBHOOKS: u32 = 1;

/// How a try went.
#[derive(Debug)]
pub(super) enum Outcome {
    Delivered(StatusCode),
    /// The receiver wants nothing more.
    Gone,
    Failed(Failure),
}

/// A try that failed; holds nothing of what the receiver said or of its address.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the answer was {status}")]
    Status {
        status: StatusCode,
        /// In seconds, as the receiver asked.
        retry_after: Option<i64>,
    },
    #[error("no answer in time")]
    Timeout,
    #[error("not sent: the target {0}")]
    Refused(#[from] RefusedTarget),
    #[error("not sent: the target is not a URL")]
    Url,
    #[error("{0}")]
    Connection(String),
}

/// Sends events to receivers we do not trust.
pub(super) struct Sender {
    targets: Targets,
    timeout: Duration,
    /// For https, to anywhere but private networks that are not allowed.
    secure: Client,
    /// For http, to allowed private networks only.
    plain: Client,
}

impl Sender {
    /// # Errors
    ///
    /// If the system's root certificates cannot be had.
    pub(super) fn new(config: &WebhooksConfig) -> Result<Self, reqwest::Error> {
        let targets = Targets::new(config);
        let client = |is_plain| {
            Client::builder()
                .dns_resolver(targets.resolver(is_plain))
                .https_only(!is_plain)
                .redirect(redirect::Policy::none())
                // A proxy would resolve names itself, past our filter.
                .no_proxy()
                .user_agent(concat!("pepay/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            timeout: Duration::from_millis(config.timeout_ms),
            secure: client(false).build()?,
            plain: client(true).build()?,
            targets,
        })
    }

    /// Sends an event, signed now. One deadline covers connecting, sending and the answer.
    pub(super) async fn send(&self, delivery: &DueDelivery, now: UnixMillis) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let response = match timeout_at(deadline, self.post(delivery, now)).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => return Outcome::Failed(failure),
            Err(_) => return Outcome::Failed(Failure::Timeout),
        };
        let status = response.status();
        let outcome = match status {
            status if status.is_success() => Outcome::Delivered(status),
            StatusCode::GONE => Outcome::Gone,
            status => Outcome::Failed(Failure::Status { status, retry_after: retry_after(&response) }),
        };
        // Only a connection that was read to its end can be used again. The status has been given, so
        // what goes wrong from here on changes nothing.
        let _rest_is_slow = timeout_at(deadline, read_rest(response)).await;
        outcome
    }

    async fn post(&self, delivery: &DueDelivery, now: UnixMillis) -> Result<Response, Failure> {
        let url: Url = delivery.endpoint.url.parse().map_err(|_| Failure::Url)?;
        // Addresses in place of names never meet the resolver, and the rules may have changed since
        // the URL was set.
        self.targets.check(&url)?;
        let client = if url.scheme() == "http" { &self.plain } else { &self.secure };

        let event = events::to_wire(&delivery.event, PENDING_WEBHOOKS);
        let body = serde_json::to_vec(&event).map_err(|error| Failure::Connection(error.to_string()))?;
        let signature = sign_webhook(&delivery.endpoint.secret, now, &body);
        let request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Pepay-Event", &event.event_type)
            .header("X-Pepay-Event-ID", &event.id)
            .header("X-Pepay-Timestamp", now.to_string())
            .header("X-Pepay-Signature", signature)
            .header("X-Pepay-Network-Environment", &delivery.event.environment)
            .body(body);
        request.send().await.map_err(|error| Failure::Connection(causes(&error.without_url())))
    }
}

async fn read_rest(mut response: Response) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes += chunk.len();
        if ANSWER_BYTES_AT_MOST < bytes {
            return;
        }
    }
}

/// `Retry-After` in seconds; its form as a date is not worth a parser here.
fn retry_after(response: &Response) -> Option<i64> {
    response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

//! How many requests a caller may make: by API key, by payment session, by address.
//!
//! Everything is in memory, so that refusing costs nothing; nodes divide each limit by how many of them live.
//! A key is counted as itself once it was found to be good. Until then, it is one more claim of its address.

mod address;
mod gcra;
mod table;

use std::sync::atomic::{AtomicBool, Ordering};

use domain::{signature::CredentialHash, time::UnixMillis};

pub use address::{CallerAddress, caller, is_forwarded};
pub use gcra::{MOST_PER_MINUTE, Standing};

use self::{gcra::Quota, table::Table};
use crate::{config::LimitsConfig, nodes::Living};

/// Which limit a request was held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Key,
    Session,
    Address,
    /// Credentials that turned out to be bad, by address.
    FailedCredentials,
}

impl Policy {
    /// As the headers name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Session => "session",
            Self::Address => "address",
            Self::FailedCredentials => "failed-credentials",
        }
    }
}

/// How a caller stands with the limit that its request was held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub policy: Policy,
    pub standing: Standing,
}

/// `None` where there is no limit.
pub type Answer = Option<Counted>;

/// The limits, and what is remembered of callers.
pub struct RateLimits {
    per_key: Option<Quota>,
    per_session: Option<Quota>,
    per_address: Option<Quota>,
    failed_credentials: Option<Quota>,
    keys: Table<CredentialHash>,
    sessions: Table<CredentialHash>,
    addresses: Table<CallerAddress>,
    failures: Table<CallerAddress>,
    living: Living,
    has_warned_of_proxies: AtomicBool,
}

impl RateLimits {
    /// `living` says how many nodes serve callers, each with its part of the limits.
    pub fn new(limits: &LimitsConfig, living: Living) -> Self {
        Self {
            per_key: Quota::per_minute(limits.requests_per_minute_per_key),
            per_session: Quota::per_minute(limits.requests_per_minute_per_session),
            per_address: Quota::per_minute(limits.requests_per_minute_per_address),
            failed_credentials: Quota::per_minute(limits.failed_credentials_per_minute),
            keys: Table::default(),
            sessions: Table::default(),
            addresses: Table::default(),
            failures: Table::default(),
            living,
            has_warned_of_proxies: AtomicBool::new(false),
        }
    }

    /// Counts a request with a key that was good before; `None` for any other.
    pub fn count_known_key(&self, key: CredentialHash, now: UnixMillis) -> Option<Answer> {
        let quota = self.share(self.per_key);
        let standing = self.keys.take_known(key, quota.unwrap_or(Quota::LARGEST), now)?;
        Some(quota.map(|_| Counted { policy: Policy::Key, standing }))
    }

    /// Counts a request with a key that was just found to be good; it is known from now on.
    pub fn count_good_key(&self, key: CredentialHash, now: UnixMillis) -> Answer {
        let quota = self.share(self.per_key);
        let standing = self.keys.take(key, quota.unwrap_or(Quota::LARGEST), now);
        quota.map(|_| Counted { policy: Policy::Key, standing })
    }

    /// Counts a request with a session token that we signed.
    pub fn count_session(&self, token: CredentialHash, now: UnixMillis) -> Answer {
        let standing = self.sessions.take(token, self.share(self.per_session)?, now);
        Some(Counted { policy: Policy::Session, standing })
    }

    /// Counts a request that an address answers for.
    pub fn count_address(&self, address: CallerAddress, now: UnixMillis) -> Answer {
        let standing = self.addresses.take(address, self.share(self.per_address)?, now);
        Some(Counted { policy: Policy::Address, standing })
    }

    /// Counts a credential that was no good.
    pub fn count_failure(&self, address: CallerAddress, now: UnixMillis) {
        if let Some(quota) = self.share(self.failed_credentials) {
            self.failures.take(address, quota, now);
        }
    }

    /// The refusal of an address that presented too many bad credentials to present another.
    pub fn refuse_credentials(&self, address: CallerAddress, now: UnixMillis) -> Option<Counted> {
        let standing = self.failures.peek(address, self.share(self.failed_credentials)?, now);
        standing.retry_after_seconds?;
        Some(Counted { policy: Policy::FailedCredentials, standing })
    }

    /// Whether this is the first time that a proxy was met which is not listed.
    pub fn is_first_unlisted_proxy(&self) -> bool {
        !self.has_warned_of_proxies.swap(true, Ordering::Relaxed)
    }

    fn share(&self, quota: Option<Quota>) -> Option<Quota> {
        let nodes = u32::try_from(self.living.count()).unwrap_or(u32::MAX);
        quota.map(|quota| quota.shared_by(nodes))
    }
}

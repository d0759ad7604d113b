//! What holds streams open. A key or token that is revoked, on whichever node, ends the streams it opened.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::id::MerchantId;
use tokio::sync::watch;

use crate::{
    app::App,
    store::{AccessEnd, Credential, StoreError},
};

/// With the time a look takes, well within the five seconds in which a revoked credential must be out of use.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Credentials asked for in one query.
const ASKED_AT_ONCE: usize = 100;

type Holder = (MerchantId, Credential);
type Holders = HashMap<Holder, watch::Sender<Option<AccessEnd>>>;

/// Which credentials hold streams of this node open.
#[derive(Default)]
pub struct OpenAccess {
    holders: Mutex<Holders>,
}

/// One stream's hold on the credential that opened it.
pub struct Held {
    access: Arc<OpenAccess>,
    holder: Holder,
    end: watch::Receiver<Option<AccessEnd>>,
}

impl OpenAccess {
    /// Has a stream hear of its credential's end. Check the credential before: this only looks at later ends.
    pub fn hold(self: &Arc<Self>, merchant: MerchantId, credential: Credential) -> Held {
        let holder = (merchant, credential);
        let end = self.lock().entry(holder).or_insert_with(|| watch::Sender::new(None)).subscribe();
        Held { access: Arc::clone(self), holder, end }
    }

    fn all(&self) -> Vec<Holder> {
        self.lock().keys().copied().collect()
    }

    fn end(&self, holder: &Holder, end: AccessEnd) {
        if let Some(sender) = self.lock().get(holder) {
            sender.send_replace(Some(end));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Waits until the credential opens nothing any more.
    pub async fn ended(&mut self) -> AccessEnd {
        match self.end.wait_for(Option::is_some).await.map(|end| *end) {
            Ok(Some(end)) => end,
            // The sender stays for as long as this does.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut holders = self.access.lock();
        if holders.get(&self.holder).is_some_and(|sender| sender.receiver_count() <= 1) {
            holders.remove(&self.holder);
        }
    }
}

/// Looks after the credentials of open streams until shutdown.
pub async fn run_access_checks(app: App) {
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Err(error) = end_lost_access(&app).await {
            tracing::error!(error = %error, "the credentials of open streams could not be checked");
        }
    }
}

/// Ends the streams whose credential opens nothing any more.
async fn end_lost_access(app: &App) -> Result<(), StoreError> {
    let holders = app.access.all();
    for asked in holders.chunks(ASKED_AT_ONCE) {
        let ended = app.store.reader().await?.tx().ended_access(asked, app.clock.now()).await?;
        for (holder, end) in ended {
            app.access.end(&holder, end);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::id::ApiKeyId;

    use super::*;

    #[tokio::test]
    async fn every_stream_of_a_credential_ends_with_it_and_no_other() {
        let access = Arc::new(OpenAccess::default());
        let key = |byte| Credential::ApiKey(ApiKeyId::from_random([byte; 16]));
        let mut first = access.hold(MerchantId(1), key(1));
        let mut second = access.hold(MerchantId(1), key(1));
        let mut other = access.hold(MerchantId(1), key(2));
        access.end(&(MerchantId(1), key(1)), AccessEnd::Revoked);
        assert_eq!(first.ended().await, AccessEnd::Revoked);
        assert_eq!(second.ended().await, AccessEnd::Revoked);
        assert!(tokio::time::timeout(Duration::ZERO, other.ended()).await.is_err());
    }

    #[test]
    fn a_credential_that_holds_nothing_open_is_not_asked_for() {
        let access = Arc::new(OpenAccess::default());
        let key = Credential::ApiKey(ApiKeyId::from_random([1; 16]));
        let (first, second) = (access.hold(MerchantId(1), key), access.hold(MerchantId(1), key));
        drop(first);
        assert_eq!(access.all(), [(MerchantId(1), key)]);
        drop(second);
        assert_eq!(access.all(), []);
    }
}

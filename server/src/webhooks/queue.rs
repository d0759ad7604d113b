//! Taking what is owed from the database, so that one receiver's trouble is nobody else's.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::time::UnixMillis;
use tokio::sync::mpsc;

use super::{
    delivery::{Failure, Outcome, Sender},
    schedule,
};
use crate::{
    app::App,
    clock::random_bytes,
    failpoint,
    store::{DueDelivery, StoreError},
};

/// Sent at once, to all receivers together.
const SENT_AT_ONCE: usize = 16;
/// Sent at once to one receiver, so that one that hangs leaves room for the others.
const SENT_AT_ONCE_TO_ONE: usize = 4;
/// A claim lasts longer than any try; when it ends, the process that made it is taken for dead.
const LEASE_MS: i64 = 60_000;
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs until shutdown, and then until what is being sent has been sent.
pub async fn run(app: App) {
    let sender = match Sender::new(&app.config.webhooks) {
        Ok(sender) => Arc::new(sender),
        Err(error) => {
            tracing::error!(error = %error, "webhooks cannot be sent at all");
            return;
        }
    };
    if let Err(error) = release_claims(&app).await {
        // They run out by themselves.
        tracing::warn!(error = %error, "webhooks of an earlier run stay claimed for a minute");
    }
    let (free, mut freed) = mpsc::unbounded_channel();
    let mut lanes = Lanes::default();
    loop {
        let wait = match start_due(&app, &sender, &mut lanes, &free).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(error = %error, "due webhooks could not be looked up");
                LOOK_AGAIN_AFTER
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            Some(endpoint) = freed.recv() => lanes.free(&endpoint),
            () = app.hub.log_growth() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// What an earlier run of this server was sending when it died is due at once. The database is locked
/// for this server alone.
async fn release_claims(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now_ms();
    if app.store.reader().await?.tx().next_delivery_due().await?.is_none() {
        return Ok(());
    }
    let released = app.store.write(move |tx| Box::pin(async move { tx.release_deliveries(now).await })).await?;
    if released != 0 {
        tracing::info!(released, "webhooks of an earlier run are sent again");
    }
    Ok(())
}

/// Starts sending all that is due and has room; returns how long to wait before looking again.
async fn start_due(
    app: &App,
    sender: &Arc<Sender>,
    lanes: &mut Lanes,
    free: &mpsc::UnboundedSender<String>,
) -> Result<Duration, StoreError> {
    let now = app.clock.now_ms();
    while lanes.taken() < SENT_AT_ONCE {
        let due = claim(app, now, lanes).await?;
        if due.is_empty() {
            let next = app.store.reader().await?.tx().next_delivery_due().await?;
            return Ok(match next {
                Some(due) if now < due => LOOK_AGAIN_AFTER.min(Duration::from_millis((due.0 - now.0).unsigned_abs())),
                _ => LOOK_AGAIN_AFTER,
            });
        }
        for delivery in due {
            let lane = lanes.take(&delivery.endpoint.id, free.clone());
            let (task, sender) = (app.clone(), Arc::clone(sender));
            app.spawn(async move {
                deliver(&task, &sender, delivery).await;
                drop(lane);
            });
        }
    }
    Ok(LOOK_AGAIN_AFTER)
}

/// Claims some of what is due at receivers that have room. Looking first keeps the writer free while
/// there is nothing to do.
async fn claim(app: &App, now: UnixMillis, lanes: &Lanes) -> Result<Vec<DueDelivery>, StoreError> {
    let nothing_due = app.store.reader().await?.tx().next_delivery_due().await?.is_none_or(|due| now < due);
    if nothing_due {
        return Ok(Vec::new());
    }
    let full = lanes.full();
    let room = lanes.room();
    let limit = i64::try_from(room).unwrap_or(1);
    let leased_until = UnixMillis(now.0 + LEASE_MS);
    app.store.write(move |tx| Box::pin(async move { tx.claim_deliveries(now, leased_until, limit, &full).await })).await
}

/// Makes one try and records how it went. If the process dies in between, the claim runs out and the
/// event is sent again.
async fn deliver(app: &App, sender: &Sender, delivery: DueDelivery) {
    failpoint::pass("webhooks.before_send");
    let outcome = sender.send(&delivery, app.clock.now_ms()).await;
    failpoint::pass("webhooks.after_send");
    if let Err(error) = settle(app, delivery, outcome).await {
        tracing::error!(error = %error, "a webhook's outcome could not be recorded; it will be sent again");
    }
    failpoint::pass("webhooks.after_settle");
}

async fn settle(app: &App, delivery: DueDelivery, outcome: Outcome) -> Result<(), StoreError> {
    let now = app.clock.now_ms();
    let attempts = delivery.attempts + 1;
    let (state, due, status, error) = match outcome {
        Outcome::Delivered(status) => ("delivered", None, Some(status), None),
        Outcome::Gone => ("exhausted", None, Some(reqwest::StatusCode::GONE), Some("the receiver is gone".to_owned())),
        Outcome::Failed(failure) => {
            let (status, retry_after) = match failure {
                Failure::Status { status, retry_after } => (Some(status), retry_after),
                _ => (None, None),
            };
            let random = u32::from_be_bytes(random_bytes());
            let waits = &app.config.webhooks.retry_seconds;
            let due = schedule::next_try(waits, attempts, retry_after, now, random);
            (if due.is_some() { "pending" } else { "exhausted" }, due, status, Some(failure.to_string()))
        }
    };
    let status = status.map(|status| status.as_u16());
    let fields = (delivery.event.id, delivery.endpoint.merchant, delivery.event.invoice);
    let text = error.clone();
    app.store
        .write(move |tx| {
            Box::pin(async move { tx.settle_delivery(&delivery, state, attempts, due, status, text.as_deref()).await })
        })
        .await?;

    let (event, merchant, invoice) = fields;
    let invoice = invoice.as_ref().map(tracing::field::display);
    let error = error.unwrap_or_default();
    match state {
        "delivered" => tracing::debug!(event.id = %event, merchant.id = %merchant, attempts, "delivered a webhook"),
        "pending" => tracing::warn!(
            event.id = %event, merchant.id = %merchant, invoice.id = invoice, attempts, error,
            "a webhook failed and will be tried again"
        ),
        _ => tracing::error!(
            event.id = %event, merchant.id = %merchant, invoice.id = invoice, attempts, error,
            "a webhook is given up"
        ),
    }
    Ok(())
}

/// How much is being sent to which endpoint.
#[derive(Default)]
struct Lanes {
    by_endpoint: HashMap<String, usize>,
}

impl Lanes {
    fn taken(&self) -> usize {
        self.by_endpoint.values().sum()
    }

    fn full(&self) -> Vec<String> {
        let is_full = |taken: usize| SENT_AT_ONCE_TO_ONE <= taken;
        self.by_endpoint.iter().filter(|(_, taken)| is_full(**taken)).map(|(endpoint, _)| endpoint.clone()).collect()
    }

    /// How much may be claimed at once, whichever endpoints that have room it is for.
    fn room(&self) -> usize {
        let busiest =
            self.by_endpoint.values().copied().filter(|taken| *taken < SENT_AT_ONCE_TO_ONE).max().unwrap_or(0);
        (SENT_AT_ONCE_TO_ONE - busiest).min(SENT_AT_ONCE - self.taken())
    }

    fn take(&mut self, endpoint: &str, free: mpsc::UnboundedSender<String>) -> Lane {
        *self.by_endpoint.entry(endpoint.to_owned()).or_default() += 1;
        Lane { endpoint: endpoint.to_owned(), free }
    }

    fn free(&mut self, endpoint: &str) {
        if let Some(taken) = self.by_endpoint.get_mut(endpoint) {
            *taken -= 1;
            if *taken == 0 {
                self.by_endpoint.remove(endpoint);
            }
        }
    }
}

/// Room to send one event; given back when dropped, also by a panic.
struct Lane {
    endpoint: String,
    free: mpsc::UnboundedSender<String>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        // After shutdown nobody counts any more.
        let _shut_down = self.free.send(std::mem::take(&mut self.endpoint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_claim_gives_one_endpoint_more_than_its_part() {
        let (free, _freed) = mpsc::unbounded_channel();
        let mut lanes = Lanes::default();
        assert_eq!(lanes.room(), SENT_AT_ONCE_TO_ONE);
        let mut held = Vec::new();
        for (endpoint, room) in [("a", 3), ("b", 3), ("a", 2), ("a", 1), ("a", 3)] {
            held.push(lanes.take(endpoint, free.clone()));
            assert_eq!(lanes.room(), room, "{endpoint}");
        }
        assert_eq!(lanes.full(), ["a"]);
        lanes.free("a");
        assert_eq!((lanes.full().len(), lanes.room()), (0, 1));
        for endpoint in ["c", "c", "c", "c", "d", "d", "d", "d", "e", "e", "e"] {
            held.push(lanes.take(endpoint, free.clone()));
        }
        assert_eq!((lanes.taken(), lanes.room()), (15, 1));
    }
}

//! Taking what is owed from the database, so that one receiver's trouble is nobody else's.
//!
//! Each endpoint has a queue of its own, and room for a few at once. One that has been failing for a while has room
//! for one, in a part of the room that all such share: however many endpoints hang, the others find room.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{id::EndpointId, time::UnixMillis};
use tokio::sync::mpsc;

use super::{
    delivery::{Failure, Outcome, Sender},
    message, schedule,
    sealing::{Sealer, seal_all},
};
use crate::{
    app::App,
    clock::random_bytes,
    failpoint, metrics,
    store::{Attempt, Claim, Disabled, DisabledReason, DueDelivery, OwedEndpoint, Settlement, StoreError},
    view,
};

/// Sent at once, to all receivers together.
const SENT_AT_ONCE: usize = 256;
/// Of those, to receivers in trouble.
const SENT_AT_ONCE_IN_TROUBLE: usize = 64;
/// Sent at once to one receiver, so that one that hangs leaves room for the others.
const SENT_AT_ONCE_TO_ONE: usize = 4;
/// That many, one more with each that arrives, once a receiver has shown that it can take it.
const SENT_AT_ONCE_TO_ONE_AT_MOST: usize = 16;
/// Nothing but failures for so long is trouble.
const TROUBLE_AFTER_MS: i64 = 10_000;
/// Endpoints looked at in one round.
const MOST_ENDPOINTS: i64 = 4_096;
/// Endpoints that one transaction claims for, so that other writes get their turn.
const ENDPOINTS_AT_ONCE: usize = 32;
/// A claim lasts longer than any try; when it ends, what it is for is due again, whoever made it.
const LEASE_MS: i64 = 60_000;
/// A try begins so soon after its claim, or not at all. A claim is long in a transaction with many others when the
/// database is slow, and what is given back is claimed no faster.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// How far apart the clocks of two nodes may be.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(2);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often it is asked whether another node has died with something claimed.
const RELEASE_EVERY: Duration = Duration::from_secs(5);
/// How often what deleted endpoints left is cleared away, and how much at once.
const CLEAR_EVERY: Duration = Duration::from_mins(1);
const CLEARED_AT_ONCE: i64 = 500;
/// A write may be under way that saw an endpoint before it was deleted.
const CLEAR_AFTER_SECONDS: i64 = 3_600;

/// What every step of the queue works with.
#[derive(Clone)]
struct Queue {
    app: App,
    sender: Arc<Sender>,
    sealer: Arc<Sealer>,
}

/// Runs until shutdown, and then until what is being sent has been sent.
pub async fn run(app: App) {
    let sender = match Sender::new(&app.config.webhooks) {
        Ok(sender) => Arc::new(sender),
        Err(error) => {
            tracing::error!(error = %error, "webhooks cannot be sent at all");
            return;
        }
    };
    let sealer = Arc::new(Sealer::new(&app.secrets));
    let queue = Queue { app, sender, sealer };
    queue.prepare().await;
    let (free, mut freed) = mpsc::unbounded_channel();
    let mut lanes = Lanes::default();
    let mut cleared = None;
    let mut released = Instant::now();
    loop {
        let wait = match queue.start_due(&mut lanes, &free).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(error = %error, "due webhooks could not be looked up");
                LOOK_AGAIN_AFTER
            }
        };
        if cleared.is_none_or(|at: Instant| CLEAR_EVERY < at.elapsed()) {
            cleared = queue.clear_deleted().await.then(Instant::now);
        }
        if queue.app.store.is_shared() && RELEASE_EVERY < released.elapsed() {
            queue.release_claims().await;
            released = Instant::now();
        }
        tokio::select! {
            () = queue.app.shutdown.cancelled() => return,
            Some(endpoint) = freed.recv() => {
                lanes.free(endpoint);
                while let Ok(endpoint) = freed.try_recv() {
                    lanes.free(endpoint);
                }
            }
            () = queue.app.hub.log_growth() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Queue {
    /// What an earlier run left: secrets in the clear or under an older key, and claims of a process that is dead.
    async fn prepare(&self) {
        match seal_all(&self.app).await {
            Ok(0) => {}
            Ok(sealed) => tracing::info!(sealed, "webhook secrets were sealed with the current server secret"),
            Err(error) => tracing::error!(error = %error, "webhook secrets could not be sealed"),
        }
        self.release_claims().await;
    }

    /// Frees what nodes claimed that are dead by now, but for claims that a node without a database could still be
    /// sending by.
    async fn release_claims(&self) {
        let (node, now) = (self.app.node.clone(), self.app.clock.now_ms());
        let longest = BEGINS_WITHIN + Duration::from_millis(self.app.config.webhooks.timeout_ms) + CLOCKS_DIFFER_BY;
        let longest_ms = i64::try_from(longest.as_millis()).unwrap_or(LEASE_MS);
        let leased_until = UnixMillis(now.0 + LEASE_MS - longest_ms);
        let release: Result<_, StoreError> = self
            .app
            .store
            .write(move |tx| Box::pin(async move { tx.release_deliveries(&node, now, leased_until).await }))
            .await;
        match release {
            Ok(0) => {}
            Ok(released) => tracing::info!(released, "webhooks that a dead server was sending are sent again"),
            // They run out by themselves.
            Err(error) => tracing::warn!(error = %error, "webhooks of a dead server stay claimed for a minute"),
        }
    }

    /// Starts sending all that is due and has room; returns how long to wait before looking again.
    async fn start_due(&self, lanes: &mut Lanes, free: &mpsc::UnboundedSender<Lane>) -> Result<Duration, StoreError> {
        loop {
            let now = self.app.clock.now_ms();
            // Looking first keeps the writer free while there is nothing to do.
            let owed = self.app.store.reader().await?.tx().owed_endpoints(now, MOST_ENDPOINTS).await?;
            let (active, inactive): (Vec<_>, Vec<_>) = owed.into_iter().partition(|owed| owed.is_active);
            for endpoint in inactive {
                self.give_up(&endpoint, now).await?;
            }
            let mut has_started = false;
            for part in lanes.plan(active, now).chunks(ENDPOINTS_AT_ONCE) {
                let claiming = Instant::now();
                for (trouble, delivery) in self.claim(part.to_vec()).await? {
                    has_started = true;
                    let lane = lanes.take(delivery.endpoint.id, trouble, free.clone());
                    let queue = self.clone();
                    self.app.spawn(async move {
                        lane.end(queue.deliver(delivery, claiming).await);
                    });
                }
            }
            if !has_started {
                let next = self.app.store.reader().await?.tx().next_due_after(now).await?;
                let until = next.map(|due| Duration::from_millis((due.0 - now.0).unsigned_abs()));
                return Ok(until.map_or(LOOK_AGAIN_AFTER, |until| until.min(LOOK_AGAIN_AFTER)));
            }
        }
    }

    async fn claim(&self, part: Vec<Planned>) -> Result<Vec<(bool, DueDelivery)>, StoreError> {
        let now = self.app.clock.now_ms();
        let claim = Claim { now, leased_until: UnixMillis(now.0 + LEASE_MS), node: self.app.node.as_str().to_owned() };
        self.app
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let mut claimed = Vec::new();
                    for planned in part {
                        let owed = &planned.endpoint;
                        let room = i64::try_from(planned.room).unwrap_or(1);
                        let due = tx.claim_deliveries(owed.merchant, owed.id, &claim, room).await?;
                        claimed.extend(due.into_iter().map(|due| (planned.is_in_trouble, due)));
                    }
                    Ok(claimed)
                })
            })
            .await
    }

    /// An endpoint that is not active any more is owed nothing.
    async fn give_up(&self, owed: &OwedEndpoint, now: UnixMillis) -> Result<(), StoreError> {
        let (merchant, endpoint) = (owed.merchant, owed.id);
        loop {
            let give_up = self.app.store.write(move |tx| {
                Box::pin(async move { tx.give_up_deliveries(merchant, endpoint, now, CLEARED_AT_ONCE).await })
            });
            if give_up.await? < CLEARED_AT_ONCE.unsigned_abs() {
                return Ok(());
            }
        }
    }

    /// `false` if there is more to clear away.
    async fn clear_deleted(&self) -> bool {
        let before = self.app.clock.now().plus(-CLEAR_AFTER_SECONDS);
        let clear = self
            .app
            .store
            .write(move |tx| Box::pin(async move { tx.clear_deleted_endpoints(before, CLEARED_AT_ONCE).await }));
        match clear.await {
            Ok(cleared) => cleared == 0,
            Err(error) => {
                tracing::warn!(error = %error, "what deleted webhook endpoints left could not be cleared away");
                true
            }
        }
    }

    /// Makes one try and records how it went. If the process dies in between, the event is sent again, by whoever finds
    /// that it is dead, or when the claim is over. Returns whether it arrived.
    async fn deliver(&self, delivery: DueDelivery, claiming: Instant) -> bool {
        let (began, timer) = (self.app.clock.now_ms(), Instant::now());
        let outcome = match message::of(&self.app, &self.sealer, &delivery, began).await {
            Ok(message) => {
                failpoint::pass("webhooks.before_send");
                // Somebody else may have it, if this process was asleep or the database slow.
                if BEGINS_WITHIN < claiming.elapsed() {
                    self.give_back(delivery).await;
                    return false;
                }
                let outcome = self.sender.send(message, began).await;
                failpoint::pass("webhooks.after_send");
                outcome
            }
            Err(message::MessageError::Secret(error)) => Outcome::Failed(error.into()),
            Err(message::MessageError::Store(error)) => {
                tracing::error!(error = %error, "a webhook could not be put together; it is tried again when its claim ends");
                return false;
            }
        };
        let has_arrived = matches!(outcome, Outcome::Delivered(_));
        let duration_ms = i64::try_from(timer.elapsed().as_millis()).unwrap_or(i64::MAX);
        if let Err(error) = self.settle(delivery, outcome, began, duration_ms).await {
            tracing::error!(error = %error, "a webhook's outcome could not be recorded; it will be sent again");
        }
        failpoint::pass("webhooks.after_settle");
        has_arrived
    }

    async fn give_back(&self, delivery: DueDelivery) {
        tracing::debug!(event.id = %delivery.event.id, "a webhook came to its turn too late, and is claimed anew");
        let now = self.app.clock.now_ms();
        let back: Result<_, StoreError> =
            self.app.store.write(move |tx| Box::pin(async move { tx.return_delivery(&delivery, now).await })).await;
        if let Err(error) = back {
            tracing::warn!(error = %error, "a webhook that was not sent stays claimed for a minute");
        }
    }

    async fn settle(
        &self,
        delivery: DueDelivery,
        outcome: Outcome,
        began: UnixMillis,
        duration_ms: i64,
    ) -> Result<(), StoreError> {
        let now = self.app.clock.now_ms();
        let attempts = delivery.attempts + 1;
        let is_gone = matches!(outcome, Outcome::Gone);
        let (settlement, status, error) = match outcome {
            Outcome::Delivered(status) => (Settlement::Delivered, Some(status), None),
            Outcome::Gone => {
                let error = "the receiver is gone".to_owned();
                (Settlement::Exhausted, Some(reqwest::StatusCode::GONE), Some(error))
            }
            Outcome::Failed(failure) => {
                let (status, retry_after) = match failure {
                    Failure::Status { status, retry_after } => (Some(status), retry_after),
                    _ => (None, None),
                };
                let random = u32::from_be_bytes(random_bytes());
                let waits = &self.app.config.webhooks.retry_seconds;
                let due = schedule::next_try(waits, attempts, retry_after, now, random);
                (due.map_or(Settlement::Exhausted, Settlement::Again), status, Some(failure.to_string()))
            }
        };
        log(&delivery, settlement, attempts, error.as_deref());
        let status = status.map(|status| status.as_u16());
        let attempt = Attempt { began, duration_ms, status, error };
        let app = self.app.clone();
        self.app
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !tx.settle_delivery(&delivery, &attempt, settlement).await? {
                        return Ok(());
                    }
                    let (merchant, endpoint) = (delivery.endpoint.merchant, delivery.endpoint.id);
                    if settlement == Settlement::Delivered {
                        return tx.note_endpoint_success(merchant, endpoint).await;
                    }
                    let since = tx.note_endpoint_failure(merchant, endpoint, now).await?;
                    let patience_ms = app.config.webhooks.disable_after_days.saturating_mul(86_400_000);
                    let reason = match () {
                        () if is_gone => DisabledReason::Gone,
                        () if patience_ms <= now.0.saturating_sub(since.0) => DisabledReason::Failing,
                        () => return Ok(()),
                    };
                    let disabled = Disabled { reason, at: now.as_seconds() };
                    if !tx.disable_endpoint(merchant, endpoint, disabled).await? {
                        return Ok(());
                    }
                    tracing::error!(
                        merchant.id = %merchant, endpoint.id = %endpoint, reason = reason.as_str(),
                        "a webhook endpoint was disabled"
                    );
                    let Some(endpoint) = tx.endpoint(merchant, endpoint).await? else { return Ok(()) };
                    let environment = app.config.environment;
                    tx.append_event(&view::endpoint_disabled(&endpoint, environment, now)).await
                })
            })
            .await
    }
}

fn log(delivery: &DueDelivery, settlement: Settlement, attempts: i64, error: Option<&str>) {
    metrics::count_webhook(match settlement {
        Settlement::Delivered => "delivered",
        Settlement::Again(_) => "failed",
        Settlement::Exhausted => "given_up",
    });
    let (event, merchant) = (delivery.event.id, delivery.endpoint.merchant);
    let invoice = delivery.event.invoice.as_ref().map(tracing::field::display);
    let error = error.unwrap_or_default();
    match settlement {
        Settlement::Delivered => {
            tracing::debug!(event.id = %event, merchant.id = %merchant, attempts, "delivered a webhook");
        }
        Settlement::Again(_) => tracing::warn!(
            event.id = %event, merchant.id = %merchant, invoice.id = invoice, attempts, error,
            "a webhook failed and will be tried again"
        ),
        Settlement::Exhausted => tracing::error!(
            event.id = %event, merchant.id = %merchant, invoice.id = invoice, attempts, error,
            "a webhook is given up"
        ),
    }
}

/// An endpoint that gets something, and how much at most.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Planned {
    endpoint: OwedEndpoint,
    room: usize,
    is_in_trouble: bool,
}

/// How much is being sent to which endpoint.
#[derive(Default)]
struct Lanes {
    by_endpoint: HashMap<EndpointId, usize>,
    taken: usize,
    taken_in_trouble: usize,
    /// Counts turns; an endpoint's last one is in `served`.
    turn: u64,
    served: HashMap<EndpointId, u64>,
    /// What each endpoint may be sent at once, where that is not the usual.
    allowed: HashMap<EndpointId, usize>,
}

impl Lanes {
    /// Who gets how much: those that are well first, and of equals the one whose turn is longest ago.
    fn plan(&mut self, owed: Vec<OwedEndpoint>, now: UnixMillis) -> Vec<Planned> {
        let is_owed: std::collections::HashSet<_> = owed.iter().map(|owed| owed.id).collect();
        self.served.retain(|id, _| is_owed.contains(id));
        self.allowed.retain(|id, _| is_owed.contains(id) || self.by_endpoint.contains_key(id));
        let is_in_trouble = |owed: &OwedEndpoint| {
            owed.failing_since.is_some_and(|since| TROUBLE_AFTER_MS <= now.0.saturating_sub(since.0))
        };
        let mut order: Vec<_> = owed.into_iter().map(|owed| (is_in_trouble(&owed), owed)).collect();
        order.sort_by_key(|(trouble, owed)| (*trouble, self.served.get(&owed.id).copied(), owed.due));

        let mut room = SENT_AT_ONCE - self.taken.min(SENT_AT_ONCE);
        let mut room_in_trouble = SENT_AT_ONCE_IN_TROUBLE - self.taken_in_trouble.min(SENT_AT_ONCE_IN_TROUBLE);
        let mut planned = Vec::new();
        for (is_in_trouble, endpoint) in order {
            let taken = self.by_endpoint.get(&endpoint.id).copied().unwrap_or(0);
            let allowed = self.allowed.get(&endpoint.id).copied().unwrap_or(SENT_AT_ONCE_TO_ONE);
            let most = if is_in_trouble { room_in_trouble.min(1) } else { allowed };
            let part = most.saturating_sub(taken).min(room);
            if part == 0 {
                continue;
            }
            room -= part;
            if is_in_trouble {
                room_in_trouble -= part;
            }
            self.turn += 1;
            self.served.insert(endpoint.id, self.turn);
            planned.push(Planned { endpoint, room: part, is_in_trouble });
        }
        planned
    }

    fn take(&mut self, endpoint: EndpointId, is_in_trouble: bool, free: mpsc::UnboundedSender<Lane>) -> LaneGuard {
        *self.by_endpoint.entry(endpoint).or_default() += 1;
        self.taken += 1;
        self.taken_in_trouble += usize::from(is_in_trouble);
        LaneGuard { lane: Lane { endpoint, is_in_trouble, has_arrived: false }, free }
    }

    fn free(&mut self, Lane { endpoint, is_in_trouble, has_arrived }: Lane) {
        let allowed = self.allowed.entry(endpoint).or_insert(SENT_AT_ONCE_TO_ONE);
        *allowed = if has_arrived {
            (*allowed + 1).min(SENT_AT_ONCE_TO_ONE_AT_MOST)
        } else {
            (*allowed / 2).max(SENT_AT_ONCE_TO_ONE)
        };
        self.taken -= 1;
        self.taken_in_trouble -= usize::from(is_in_trouble);
        if let Some(taken) = self.by_endpoint.get_mut(&endpoint) {
            *taken -= 1;
            if *taken == 0 {
                self.by_endpoint.remove(&endpoint);
            }
        }
    }
}

/// Room to send one event.
#[derive(Clone, Copy, Debug)]
struct Lane {
    endpoint: EndpointId,
    is_in_trouble: bool,
    has_arrived: bool,
}

/// Gives the room back when dropped, also by a panic.
struct LaneGuard {
    lane: Lane,
    free: mpsc::UnboundedSender<Lane>,
}

impl LaneGuard {
    fn end(mut self, has_arrived: bool) {
        self.lane.has_arrived = has_arrived;
    }
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        // After shutdown nobody counts any more.
        let _shut_down = self.free.send(self.lane);
    }
}

#[cfg(test)]
mod tests {
    use domain::id::MerchantId;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn owed(number: u8, failing_for_ms: Option<i64>) -> OwedEndpoint {
        OwedEndpoint {
            merchant: MerchantId(1),
            id: EndpointId::from_random([number; 16]),
            is_active: true,
            failing_since: failing_for_ms.map(|ms| UnixMillis(NOW.0 - ms)),
            due: UnixMillis(i64::from(number)),
        }
    }

    fn rooms(planned: &[Planned]) -> Vec<(u8, usize)> {
        planned.iter().map(|planned| (u8::try_from(planned.endpoint.due.0).unwrap(), planned.room)).collect()
    }

    #[test]
    fn nobody_gets_more_than_its_part() {
        let (free, _freed) = mpsc::unbounded_channel();
        let mut lanes = Lanes::default();
        let first = owed(1, None);
        let held: Vec<_> = (0..3).map(|_| lanes.take(first.id, false, free.clone())).collect();
        assert_eq!(rooms(&lanes.plan(vec![first.clone(), owed(2, None)], NOW)), [(1, 1), (2, 4)]);
        lanes.take(first.id, false, free);
        assert_eq!(rooms(&lanes.plan(vec![first.clone()], NOW)), []);
        lanes.free(held[0].lane);
        assert_eq!(rooms(&lanes.plan(vec![first], NOW)), [(1, 1)]);
    }

    #[test]
    fn a_receiver_that_takes_much_gets_more() {
        let mut lanes = Lanes::default();
        let (free, mut freed) = mpsc::unbounded_channel();
        let endpoint = owed(1, None);
        let room = |lanes: &mut Lanes| lanes.plan(vec![endpoint.clone()], NOW)[0].room;
        for (has_arrived, expected) in [(true, 5), (true, 6), (false, 4), (false, 4)] {
            lanes.take(endpoint.id, false, free.clone()).end(has_arrived);
            lanes.free(freed.try_recv().unwrap());
            assert_eq!(room(&mut lanes), expected);
        }
        for _ in 0..40 {
            lanes.take(endpoint.id, false, free.clone()).end(true);
            lanes.free(freed.try_recv().unwrap());
        }
        assert_eq!(room(&mut lanes), SENT_AT_ONCE_TO_ONE_AT_MOST);
    }

    #[test]
    fn endpoints_take_turns() {
        let mut lanes = Lanes::default();
        let all = || vec![owed(1, None), owed(2, None), owed(3, None)];
        assert_eq!(rooms(&lanes.plan(vec![owed(2, None)], NOW)), [(2, 4)]);
        assert_eq!(rooms(&lanes.plan(all(), NOW)), [(1, 4), (3, 4), (2, 4)]);
    }

    #[test]
    fn however_many_endpoints_are_in_trouble_the_others_find_room() {
        let (free, _freed) = mpsc::unbounded_channel();
        let mut lanes = Lanes::default();
        let in_trouble: Vec<_> = (1..=200).map(|number| owed(number, Some(TROUBLE_AFTER_MS))).collect();
        let planned = lanes.plan(in_trouble.clone(), NOW);
        assert_eq!(planned.len(), SENT_AT_ONCE_IN_TROUBLE);
        assert!(planned.iter().all(|planned| planned.room == 1 && planned.is_in_trouble));
        let _held: Vec<_> = planned.iter().map(|planned| lanes.take(planned.endpoint.id, true, free.clone())).collect();
        let (well, new_trouble) = (owed(201, None), owed(202, Some(TROUBLE_AFTER_MS - 1)));
        let planned = lanes.plan([in_trouble, vec![well, new_trouble]].concat(), NOW);
        assert_eq!(rooms(&planned), [(201, 4), (202, 4)]);
    }

    #[test]
    fn all_together_have_so_much_room() {
        let mut lanes = Lanes::default();
        let planned = lanes.plan((1..=200).map(|number| owed(number, None)).collect(), NOW);
        assert_eq!(planned.iter().map(|planned| planned.room).sum::<usize>(), SENT_AT_ONCE);
    }
}

//! Who follows what. The hub only says "look again"; what is sent always comes from the log.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use domain::id::InvoiceId;
use tokio::sync::{Notify, watch};
use wire::event::{API_VERSION, Event, EventData, EventRequest};

use crate::store::StoredEvent;

/// Something about an invoice changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An event got its number.
    Event { sequence: i64 },
    /// Something else is to be sent.
    Quote,
    /// What its page shows changed without an event, as confirmations do.
    Snapshot,
}

/// How often each kind of change happened; a follower compares it with what it saw before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub last_sequence: i64,
    pub quotes: u64,
    pub snapshots: u64,
}

type Followers = HashMap<InvoiceId, watch::Sender<Seen>>;

/// Who on this node follows which invoice.
#[derive(Default)]
pub struct Hub {
    followers: Mutex<Followers>,
    log_grew: Notify,
}

/// One follower of one invoice.
pub struct Subscription {
    hub: Arc<Hub>,
    invoice: InvoiceId,
    seen: watch::Receiver<Seen>,
    /// The counts when it began.
    pub begun_at: Seen,
}

impl Hub {
    /// Follows an invoice. Subscribe before reading the log, so that nothing falls in between.
    pub fn subscribe(self: &Arc<Self>, invoice: InvoiceId) -> Subscription {
        self.subscribe_to(&mut self.lock(), invoice)
    }

    /// Follows an invoice that fewer than `most` follow yet.
    pub fn subscribe_within(self: &Arc<Self>, invoice: InvoiceId, most: usize) -> Option<Subscription> {
        let mut followers = self.lock();
        let count = followers.get(&invoice).map_or(0, watch::Sender::receiver_count);
        (count < most).then(|| self.subscribe_to(&mut followers, invoice))
    }

    fn subscribe_to(self: &Arc<Self>, followers: &mut Followers, invoice: InvoiceId) -> Subscription {
        let sender = followers.entry(invoice).or_insert_with(|| watch::Sender::new(Seen::default()));
        let seen = sender.subscribe();
        let begun_at = *seen.borrow();
        Subscription { hub: Arc::clone(self), invoice, seen, begun_at }
    }

    /// Tells an invoice's followers that it changed.
    pub fn announce(&self, invoice: InvoiceId, change: Change) {
        if let Some(sender) = self.lock().get(&invoice) {
            sender.send_modify(|seen| match change {
                Change::Event { sequence } => seen.last_sequence = seen.last_sequence.max(sequence),
                Change::Quote => seen.quotes += 1,
                Change::Snapshot => seen.snapshots += 1,
            });
        }
    }

    /// Tells the webhook queue that there may be something to send.
    pub fn log_grew(&self) {
        self.log_grew.notify_one();
    }

    /// Waits for [`Hub::log_grew`]; may wake without it.
    pub async fn log_growth(&self) {
        self.log_grew.notified().await;
    }

    /// How many invoices are followed.
    pub fn followed(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Followers> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits for the next change and returns the counts so far.
    pub async fn changed(&mut self) -> Seen {
        // The sender stays in the hub for as long as this subscription lives.
        let _ = self.seen.changed().await;
        *self.seen.borrow_and_update()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut followers = self.hub.lock();
        if followers.get(&self.invoice).is_some_and(|sender| sender.receiver_count() <= 1) {
            followers.remove(&self.invoice);
        }
    }
}

/// The event as merchants see it.
pub fn to_wire(event: &StoredEvent, pending_webhooks: u32) -> Event {
    let json = |text: &str| serde_json::from_str(text).unwrap_or(serde_json::Value::Null);
    Event {
        id: event.id.to_string(),
        object: "event".to_owned(),
        api_version: API_VERSION.to_owned(),
        created: event.id.created.as_seconds().0,
        event_type: event.event_type.clone(),
        livemode: event.environment == "mainnet",
        pending_webhooks,
        request: EventRequest { id: event.request_id.clone(), idempotency_key: event.idempotency_key.clone() },
        data: EventData {
            object: json(&event.object),
            previous_attributes: event.previous_attributes.as_deref().map(json),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_between_subscribing_and_waiting_is_not_missed() {
        let hub = Arc::new(Hub::default());
        let invoice = InvoiceId::from_random([1; 16]);
        let mut subscription = hub.subscribe(invoice);
        hub.announce(invoice, Change::Event { sequence: 7 });
        hub.announce(invoice, Change::Snapshot);
        assert_eq!(subscription.changed().await, Seen { last_sequence: 7, quotes: 0, snapshots: 1 });
    }

    #[test]
    fn one_invoice_has_room_for_so_many_followers() {
        let hub = Arc::new(Hub::default());
        let (invoice, other) = (InvoiceId::from_random([1; 16]), InvoiceId::from_random([2; 16]));
        let first = hub.subscribe_within(invoice, 2);
        let second = hub.subscribe_within(invoice, 2);
        assert!(first.is_some() && second.is_some() && hub.subscribe_within(invoice, 2).is_none());
        assert!(hub.subscribe_within(other, 2).is_some());
        drop(first);
        assert!(hub.subscribe_within(invoice, 2).is_some());
    }

    #[test]
    fn an_invoice_nobody_follows_any_more_is_forgotten() {
        let hub = Arc::new(Hub::default());
        let invoice = InvoiceId::from_random([1; 16]);
        let (first, second) = (hub.subscribe(invoice), hub.subscribe(invoice));
        drop(first);
        assert_eq!(hub.followed(), 1);
        drop(second);
        assert_eq!(hub.followed(), 0);
    }
}

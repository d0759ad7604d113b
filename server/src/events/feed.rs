//! Who follows what. The hub only says "look again"; what is sent always comes from the log.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use domain::id::{InvoiceId, MerchantId};
use tokio::sync::{Notify, watch};
use wire::event::{API_VERSION, Event, EventData, EventRequest};

use super::standings::Standings;
use crate::store::StoredEvent;

/// What changed.
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

/// What can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Invoice(MerchantId, InvoiceId),
    /// Every event of a merchant.
    Merchant(MerchantId),
}

type Followers = HashMap<Topic, watch::Sender<Seen>>;

/// Who on this node follows what.
#[derive(Default)]
pub struct Hub {
    /// Where invoices stand that somebody polls.
    pub standings: Standings,
    followers: Mutex<Followers>,
    log_grew: Notify,
}

/// One follower of one topic.
pub struct Subscription {
    hub: Arc<Hub>,
    topic: Topic,
    seen: watch::Receiver<Seen>,
    /// The counts when it began.
    pub begun_at: Seen,
}

impl Hub {
    /// Follows an invoice. Subscribe before reading the log, so that nothing falls in between.
    pub fn follow_invoice(self: &Arc<Self>, merchant: MerchantId, invoice: InvoiceId) -> Subscription {
        self.follow(&mut self.lock(), Topic::Invoice(merchant, invoice))
    }

    /// Follows an invoice that fewer than `most` follow yet.
    pub fn follow_invoice_within(
        self: &Arc<Self>,
        merchant: MerchantId,
        invoice: InvoiceId,
        most: usize,
    ) -> Option<Subscription> {
        self.follow_within(Topic::Invoice(merchant, invoice), most)
    }

    /// Follows every event of a merchant. Subscribe before reading the log, so that nothing falls in between.
    pub fn follow_merchant(self: &Arc<Self>, merchant: MerchantId) -> Subscription {
        self.follow(&mut self.lock(), Topic::Merchant(merchant))
    }

    /// Follows a merchant whom fewer than `most` follow yet.
    pub fn follow_merchant_within(self: &Arc<Self>, merchant: MerchantId, most: usize) -> Option<Subscription> {
        self.follow_within(Topic::Merchant(merchant), most)
    }

    fn follow_within(self: &Arc<Self>, topic: Topic, most: usize) -> Option<Subscription> {
        let mut followers = self.lock();
        let count = followers.get(&topic).map_or(0, watch::Sender::receiver_count);
        (count < most).then(|| self.follow(&mut followers, topic))
    }

    fn follow(self: &Arc<Self>, followers: &mut Followers, topic: Topic) -> Subscription {
        let sender = followers.entry(topic).or_insert_with(|| watch::Sender::new(Seen::default()));
        let seen = sender.subscribe();
        let begun_at = *seen.borrow();
        Subscription { hub: Arc::clone(self), topic, seen, begun_at }
    }

    /// Tells those who follow an invoice that it changed, and of an event also those who follow its merchant.
    /// Some events concern no invoice.
    pub fn announce(&self, merchant: MerchantId, invoice: Option<InvoiceId>, change: Change) {
        // Before anybody is woken, who then asks how it stands.
        if let (Some(invoice), Change::Event { .. } | Change::Snapshot) = (invoice, change) {
            self.standings.forget(invoice);
        }
        let is_event = matches!(change, Change::Event { .. });
        let followers = self.lock();
        let invoice = invoice.map(|invoice| Topic::Invoice(merchant, invoice));
        for topic in [invoice, is_event.then_some(Topic::Merchant(merchant))].into_iter().flatten() {
            let Some(sender) = followers.get(&topic) else { continue };
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

    /// How many streams follow a merchant.
    pub fn followers_of_merchant(&self, merchant: MerchantId) -> usize {
        self.lock().get(&Topic::Merchant(merchant)).map_or(0, watch::Sender::receiver_count)
    }

    /// The invoices that are followed.
    pub fn followed_invoices(&self) -> Vec<(MerchantId, InvoiceId)> {
        let invoice = |topic: &Topic| match *topic {
            Topic::Invoice(merchant, invoice) => Some((merchant, invoice)),
            Topic::Merchant(_) => None,
        };
        self.lock().keys().filter_map(invoice).collect()
    }

    /// How many invoices and merchants are followed.
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
        if followers.get(&self.topic).is_some_and(|sender| sender.receiver_count() <= 1) {
            followers.remove(&self.topic);
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

    const SHOP: MerchantId = MerchantId(1);

    #[tokio::test]
    async fn a_change_between_subscribing_and_waiting_is_not_missed() {
        let hub = Arc::new(Hub::default());
        let invoice = InvoiceId::from_random([1; 16]);
        let mut subscription = hub.follow_invoice(SHOP, invoice);
        hub.announce(SHOP, Some(invoice), Change::Event { sequence: 7 });
        hub.announce(SHOP, Some(invoice), Change::Snapshot);
        assert_eq!(subscription.changed().await, Seen { last_sequence: 7, quotes: 0, snapshots: 1 });
    }

    #[tokio::test]
    async fn who_follows_a_merchant_hears_of_its_events_and_of_nothing_else() {
        let hub = Arc::new(Hub::default());
        let invoice = InvoiceId::from_random([1; 16]);
        let mut subscription = hub.follow_merchant(SHOP);
        hub.announce(SHOP, Some(invoice), Change::Snapshot);
        hub.announce(SHOP, Some(invoice), Change::Quote);
        hub.announce(MerchantId(2), Some(invoice), Change::Event { sequence: 9 });
        hub.announce(SHOP, Some(invoice), Change::Event { sequence: 7 });
        assert_eq!(subscription.changed().await, Seen { last_sequence: 7, quotes: 0, snapshots: 0 });
        hub.announce(SHOP, None, Change::Event { sequence: 8 });
        assert_eq!(subscription.changed().await.last_sequence, 8);
    }

    #[test]
    fn an_invoice_and_a_merchant_have_room_for_so_many_followers() {
        let hub = Arc::new(Hub::default());
        let (invoice, other) = (InvoiceId::from_random([1; 16]), InvoiceId::from_random([2; 16]));
        let first = hub.follow_invoice_within(SHOP, invoice, 2);
        let second = hub.follow_invoice_within(SHOP, invoice, 2);
        assert!(first.is_some() && second.is_some() && hub.follow_invoice_within(SHOP, invoice, 2).is_none());
        assert!(hub.follow_invoice_within(SHOP, other, 2).is_some());
        drop(first);
        assert!(hub.follow_invoice_within(SHOP, invoice, 2).is_some());

        let only = hub.follow_merchant_within(SHOP, 1);
        assert!(only.is_some() && hub.follow_merchant_within(SHOP, 1).is_none());
        assert!(hub.follow_merchant_within(MerchantId(2), 1).is_some());
    }

    #[test]
    fn what_nobody_follows_any_more_is_forgotten() {
        let hub = Arc::new(Hub::default());
        let invoice = InvoiceId::from_random([1; 16]);
        let (first, second) = (hub.follow_invoice(SHOP, invoice), hub.follow_invoice(SHOP, invoice));
        let third = hub.follow_merchant(SHOP);
        drop(first);
        assert_eq!((hub.followed(), hub.followed_invoices()), (2, vec![(SHOP, invoice)]));
        drop(second);
        drop(third);
        assert_eq!(hub.followed(), 0);
    }
}

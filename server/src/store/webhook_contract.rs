//! The store's promises about webhooks, on each engine.

use std::collections::HashSet;

use domain::{
    id::{EndpointId, EventId, InvoiceId, MerchantId},
    time::UnixSeconds,
};
use sqlx::{Executor, Row};
use wire::{Environment, webhook::WebhookVersion};

use super::{
    DeliveryCursor, DeliveryFilter, DeliveryPart, DeliveryState, Disabled, DisabledReason, DueDelivery, Endpoint,
    EndpointRole, EventTypes, NewEvent, NodeId, PreviousSecret, Requeued, Store, StoreError, Subscription,
    contract::{NOW, NOW_MS, at, event, id, insert, listen, new_invoice, new_merchant, owe, plain, sequences},
};

impl Store {
    async fn endpoint_now(&self, endpoint: &Endpoint) -> Option<Endpoint> {
        self.reader().await.unwrap().tx().endpoint(endpoint.merchant, endpoint.id).await.unwrap()
    }

    async fn saves(&self, endpoint: &Endpoint) {
        let endpoint = endpoint.clone();
        self.does(move |tx| Box::pin(async move { tx.save_endpoint(&endpoint).await })).await;
    }

    async fn counts(&self, table: &'static str) -> i64 {
        let mut reader = self.reader().await.unwrap();
        reader.tx().connection.fetch_one(table).await.unwrap().get(0)
    }

    /// Numbers, states and types of an endpoint's deliveries.
    async fn deliveries(
        &self,
        endpoint: &Endpoint,
        filter: &DeliveryFilter,
        part: &DeliveryPart,
        limit: usize,
    ) -> (Vec<(i64, DeliveryState)>, bool) {
        let mut reader = self.reader().await.unwrap();
        let list = reader.tx().delivery_list(endpoint.merchant, endpoint.id, filter, part, limit).await.unwrap();
        (list.0.into_iter().map(|delivery| (delivery.event.sequence, delivery.state)).collect(), list.1)
    }

    async fn cursor(&self, endpoint: &Endpoint, sequence: i64) -> Option<DeliveryCursor> {
        let event = EventId { created: NOW_MS, sequence };
        let mut reader = self.reader().await.unwrap();
        reader.tx().delivery_cursor(endpoint.merchant, endpoint.id, event, |_| true).await.unwrap()
    }
}

/// Another endpoint of a merchant.
async fn listen_as(store: &Store, merchant: MerchantId, number: u8, subscription: Subscription) -> Endpoint {
    let id = EndpointId::from_random([number; 16]);
    let endpoint = Endpoint { subscription, ..Endpoint::new(merchant, id, "https://other.example/", "whsec_y", NOW) };
    let kept = endpoint.clone();
    store.does(move |tx| Box::pin(async move { tx.insert_endpoint(&kept).await })).await;
    endpoint
}

fn to_events(enabled: &[&str]) -> Subscription {
    Subscription { enabled_events: enabled.iter().map(|&name| name.to_owned()).collect(), ..Subscription::default() }
}

fn node_called(name: &str) -> NodeId {
    NodeId::from(name.to_owned())
}

fn endpoints(deliveries: &[DueDelivery]) -> HashSet<EndpointId> {
    deliveries.iter().map(|delivery| delivery.endpoint.id).collect()
}

async fn an_endpoint_reads_back_as_written(store: Store) {
    let merchant = new_merchant(&store).await;
    let plain = listen(&store, merchant).await;
    assert_eq!(store.endpoint_now(&plain).await, Some(plain.clone()));
    let full = Endpoint {
        url: "https://shop.example/new".to_owned(),
        secret: "sealed".to_owned(),
        previous: Some(PreviousSecret { secret: "before".to_owned(), until: NOW.plus(5) }),
        subscription: Subscription {
            enabled_events: vec!["invoice.paid".to_owned()],
            environment: Some(Environment::Mainnet),
            version: WebhookVersion::Legacy,
        },
        description: Some("Käse".to_owned()),
        is_active: false,
        disabled: Some(Disabled { reason: DisabledReason::Failing, at: NOW.plus(3) }),
        updated_at: NOW.plus(4),
        ..plain.clone()
    };
    store.saves(&full).await;
    assert_eq!(store.endpoint_now(&full).await, Some(full.clone()));
    let role = Endpoint {
        role: Some(EndpointRole::Legacy),
        ..Endpoint::new(merchant, EndpointId::from_random([9; 16]), "u", "s", NOW.plus(1))
    };
    let kept = role.clone();
    store.does(move |tx| Box::pin(async move { tx.insert_endpoint(&kept).await })).await;
    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    assert_eq!(tx.endpoint_in_role(merchant, EndpointRole::Legacy).await.unwrap(), Some(role.clone()));
    assert_eq!(tx.endpoint_in_role(merchant, EndpointRole::Main).await.unwrap(), None);
    assert_eq!(tx.endpoints(merchant).await.unwrap(), [role.clone(), full], "the newest first");
    let stranger = MerchantId(merchant.0 + 1);
    assert_eq!(tx.endpoint(stranger, role.id).await.unwrap(), None);
    assert_eq!(tx.endpoints(stranger).await.unwrap(), []);
}

async fn an_event_is_owed_to_the_endpoints_that_asked_for_it(store: Store) {
    let invoice = new_invoice(&store).await;
    let merchant = invoice.merchant;
    let all = listen(&store, merchant).await;
    let paid = listen_as(&store, merchant, 101, to_events(&["invoice_payment.*"])).await;
    let mainnet = Subscription { environment: Some(Environment::Mainnet), ..Subscription::default() };
    let mainnet = listen_as(&store, merchant, 102, mainnet).await;
    let idle = listen_as(&store, merchant, 103, Subscription::default()).await;
    store.saves(&Endpoint { is_active: false, ..idle.clone() }).await;
    let gone = listen_as(&store, merchant, 104, Subscription::default()).await;
    store.does(move |tx| Box::pin(async move { tx.delete_endpoint(gone.merchant, gone.id, NOW).await })).await;
    store.appends(&event(&invoice, "invoice.created")).await;
    store.appends(&event(&invoice, "invoice_payment.created")).await;
    store.appends(&NewEvent { environment: Environment::Mainnet, ..event(&invoice, "invoice.updated") }).await;
    store.appends(&event(&invoice, "payment_quote.updated")).await;
    store.numbers().await;
    let owed = async |endpoint: &Endpoint| {
        let filter = DeliveryFilter::default();
        let (deliveries, _) = store.deliveries(endpoint, &filter, &DeliveryPart::Newest, 10).await;
        deliveries.into_iter().map(|(sequence, _)| sequence).collect::<Vec<_>>()
    };
    assert_eq!(owed(&all).await, [3, 2, 1]);
    assert_eq!(owed(&paid).await, [2]);
    assert_eq!(owed(&mainnet).await, [3]);
    assert_eq!(owed(&idle).await, [0; 0]);
    let first = store.claims(0).await.into_iter().find(|delivery| delivery.endpoint.id == paid.id).unwrap();
    assert_eq!((first.event.id.sequence, first.pending_webhooks), (2, 2));
}

async fn an_older_endpoint_is_owed_one_change_as_two_types(store: Store) {
    let invoice = new_invoice(&store).await;
    let enabled_events = vec!["*".to_owned()];
    let legacy = Subscription { enabled_events, environment: None, version: WebhookVersion::Legacy };
    let endpoint = listen_as(&store, invoice.merchant, 101, legacy).await;
    let both = NewEvent {
        object: r#"{"status":"paid","overpaid":true}"#.to_owned(),
        previous_attributes: Some(r#"{"status":"unpaid","overpaid":false}"#.to_owned()),
        ..event(&invoice, "invoice.updated")
    };
    store.appends(&both).await;
    store.appends(&event(&invoice, "invoice_payment.created")).await;
    store.numbers().await;
    let mut claimed = store.claims(0).await;
    claimed.sort_by(|one, other| one.sent_as.cmp(&other.sent_as));
    let types: Vec<_> = claimed.iter().map(|delivery| delivery.sent_as.as_str()).collect();
    assert_eq!(types, ["invoice.overpaid", "invoice.paid"]);
    assert_eq!(claimed[0].pending_webhooks, 2);
    // Each goes its own way.
    store.settles(claimed.remove(0), "delivered", None).await;
    let (state, filter) = (DeliveryState::Delivered, DeliveryFilter::default());
    let listed = store.deliveries(&endpoint, &filter, &DeliveryPart::Newest, 10).await.0;
    assert_eq!(listed.iter().filter(|(_, found)| *found == state).count(), 1);
    assert_eq!(listed.len(), 2);
}

async fn what_concerns_no_invoice_waits_for_nothing(store: Store) {
    let invoice = new_invoice(&store).await;
    listen(&store, invoice.merchant).await;
    let no_invoice = NewEvent { invoice: None, ..event(&invoice, "webhook_endpoint.disabled") };
    for _ in 0..3 {
        store.appends(&no_invoice).await;
    }
    store.numbers().await;
    let claimed = store.claims(0).await;
    assert_eq!(sequences(&claimed), [1, 2, 3]);
    assert!(claimed.iter().all(|delivery| delivery.event.invoice.is_none()));
}

async fn a_ping_goes_to_one_endpoint(store: Store) {
    let invoice = new_invoice(&store).await;
    listen(&store, invoice.merchant).await;
    let pinged = listen_as(&store, invoice.merchant, 101, to_events(&["invoice.created"])).await;
    let ping = NewEvent { invoice: None, ..event(&invoice, "test.ping") };
    store.does(move |tx| Box::pin(async move { tx.append_event_to(&ping, pinged.id).await })).await;
    store.numbers().await;
    assert_eq!(endpoints(&store.claims(0).await), HashSet::from([pinged.id]));
}

async fn an_endpoint_is_known_to_fail_until_a_try_succeeds(store: Store) {
    let merchant = new_merchant(&store).await;
    let endpoint = listen(&store, merchant).await;
    let fails = async |seconds: i64| {
        let endpoint = endpoint.id;
        store
            .does(move |tx| Box::pin(async move { tx.note_endpoint_failure(merchant, endpoint, at(seconds)).await }))
            .await
    };
    assert_eq!((fails(5).await, fails(7).await), (at(5), at(5)));
    let succeeded = endpoint.id;
    store.does(move |tx| Box::pin(async move { tx.note_endpoint_success(merchant, succeeded).await })).await;
    assert_eq!(store.endpoint_now(&endpoint).await.unwrap().failing_since, None);
    assert_eq!(fails(9).await, at(9));

    let disabled = Disabled { reason: DisabledReason::Gone, at: NOW.plus(9) };
    let disable = async || {
        let endpoint = endpoint.id;
        store.does(move |tx| Box::pin(async move { tx.disable_endpoint(merchant, endpoint, disabled).await })).await
    };
    assert_eq!((disable().await, disable().await), (true, false), "it is told once");
    let found = store.endpoint_now(&endpoint).await.unwrap();
    assert_eq!((found.is_active, found.disabled, found.failing_since), (false, Some(disabled), Some(at(9))));
    store.saves(&Endpoint { is_active: true, disabled: None, ..found }).await;
    let found = store.endpoint_now(&endpoint).await.unwrap();
    assert_eq!((found.is_active, found.disabled, found.failing_since), (true, None, None), "it begins anew");
}

async fn what_is_owed_to_an_idle_endpoint_is_given_up(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 4).await;
    let endpoint = listen(&store, invoice.merchant).await;
    let sending = store.claims(0).await.remove(0);
    store.saves(&Endpoint { is_active: false, ..endpoint.clone() }).await;
    assert_eq!(store.claims(1).await.len(), 0);
    let owed = store.reader().await.unwrap().tx().owed_endpoints(at(1), 10).await.unwrap();
    assert_eq!((owed.len(), owed[0].id, owed[0].is_active), (1, endpoint.id, false));
    let give_up = async |seconds: i64| {
        let (merchant, id) = (endpoint.merchant, endpoint.id);
        store.does(move |tx| Box::pin(async move { tx.give_up_deliveries(merchant, id, at(seconds), 2).await })).await
    };
    assert_eq!((give_up(1).await, give_up(1).await, give_up(1).await), (2, 1, 0), "one is on its way");
    store.settles(sending, "pending", Some(60)).await;
    assert_eq!((give_up(1).await, store.next_due_at().await), (1, None));
}

async fn a_dead_nodes_claims_are_freed_once_and_a_living_ones_never(store: Store) {
    let merchant = new_merchant(&store).await;
    for number in 1..=4 {
        let invoice = insert(&store, plain(merchant, number)).await;
        owe(&store, &invoice, 1).await;
    }
    for node in ["lives", "died", "ended", "asks"] {
        assert_eq!(store.claims_as(node, 0, 1).await.len(), 1);
    }
    // The one that asks is late with saying that it lives; of one that ended nothing is known.
    for (node, length) in [("lives", 600), ("died", 0), ("asks", 0)] {
        let length = std::time::Duration::from_secs(length);
        store.does(move |tx| Box::pin(async move { tx.keep_node(&node_called(node), length).await })).await;
    }
    let release = async |leased_until: i64| {
        let asks = node_called("asks");
        store
            .does(move |tx| Box::pin(async move { tx.release_deliveries(&asks, at(10), at(leased_until)).await }))
            .await
    };
    if store.reader().await.unwrap().tx().has_rivals() {
        assert_eq!(release(29).await, 0, "they may still be on their way");
        assert_eq!((release(30).await, release(30).await), (2, 0));
        assert_eq!(sequences(&store.claims(10).await), [2, 3]);
    } else {
        assert_eq!((release(29).await, release(29).await), (3, 0));
        assert_eq!(sequences(&store.claims(10).await), [1, 2, 3]);
    }
}

async fn a_try_whose_claim_is_over_counts_only_if_it_arrived(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 1).await;
    let endpoint = listen(&store, invoice.merchant).await;
    let tries = async || {
        let filter = DeliveryFilter::default();
        let mut reader = store.reader().await.unwrap();
        let list = reader.tx().delivery_list(endpoint.merchant, endpoint.id, &filter, &DeliveryPart::Newest, 10).await;
        list.unwrap().0[0].attempts.len()
    };
    let asleep = store.claims_as("asleep", 0, 1).await.remove(0);
    let again = store.claims_as("asleep", 30, 1).await.remove(0);
    let awake = store.claims_as("awake", 60, 1).await.remove(0);
    // Neither makes it due while the third try is under way.
    assert!(!store.settles(asleep, "pending", Some(61)).await);
    assert!(!store.settles(again, "exhausted", None).await);
    assert_eq!((store.next_due_at().await, tries().await), (Some(90), 0));
    assert!(store.settles(awake, "pending", Some(100)).await);
    let late = store.claims_as("awake", 100, 1).await.remove(0);
    let last = store.claims_as("awake", 130, 1).await.remove(0);
    assert!(store.settles(late, "delivered", None).await);
    assert!(!store.settles(last, "pending", Some(200)).await);
    assert_eq!((store.next_due_at().await, tries().await), (None, 2));
}

async fn what_was_claimed_and_not_tried_is_given_back(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 1).await;
    let give_back = async |delivery: DueDelivery| {
        store.does(move |tx| Box::pin(async move { tx.return_delivery(&delivery, at(31)).await })).await;
    };
    let over = store.claims_as("asleep", 0, 1).await.remove(0);
    let awake = store.claims_as("awake", 30, 1).await.remove(0);
    give_back(over).await;
    assert_eq!(store.claims(31).await.len(), 0, "somebody else has it");
    give_back(awake).await;
    let claimed = store.claims(31).await;
    assert_eq!((claimed.len(), claimed[0].attempts), (1, 0));
}

async fn a_settled_delivery_can_be_queued_again(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 1).await;
    let endpoint = listen(&store, invoice.merchant).await;
    let cursor = store.cursor(&endpoint, 1).await.unwrap();
    let requeue = async |seconds: i64| {
        let (merchant, id, cursor) = (endpoint.merchant, endpoint.id, cursor.clone());
        store
            .does(move |tx| Box::pin(async move { tx.requeue_delivery(merchant, id, &cursor, at(seconds)).await }))
            .await
    };
    let (queued, left_alone) = (Requeued { queued: 1, already_pending: 0 }, Requeued { queued: 0, already_pending: 1 });
    assert_eq!(requeue(0).await, left_alone);
    for state in ["exhausted", "delivered"] {
        let first = store.claims(0).await.remove(0);
        assert!(store.settles(first, "pending", Some(0)).await);
        let second = store.claims(0).await.remove(0);
        assert!(store.settles(second, state, None).await);
        assert_eq!((requeue(0).await, requeue(0).await), (queued, left_alone));
        assert_eq!(store.next_due_at().await, Some(0));
    }
    let claimed = store.claims(0).await;
    assert_eq!(claimed[0].attempts, 0, "the waits begin anew");
    let mut reader = store.reader().await.unwrap();
    let filter = DeliveryFilter::default();
    let list =
        reader.tx().delivery_list(endpoint.merchant, endpoint.id, &filter, &DeliveryPart::Newest, 10).await.unwrap();
    let tries: Vec<_> = list.0[0].attempts.iter().map(|(number, _)| *number).collect();
    assert_eq!(tries, [4, 3, 2, 1]);
    let attempt = &list.0[0].attempts[0].1;
    assert_eq!((attempt.status, attempt.error.as_deref(), attempt.duration_ms), (Some(500), Some("refused"), 7));
    assert_eq!(store.cursor(&endpoint, 2).await, None);
}

async fn all_that_was_given_up_since_a_time_is_queued_again_in_parts(store: Store) {
    let merchant = new_merchant(&store).await;
    let endpoint = listen(&store, merchant).await;
    for number in 1..=6 {
        let invoice = insert(&store, plain(merchant, number)).await;
        let created = at(i64::try_from(number).unwrap());
        store.appends(&NewEvent { created, ..event(&invoice, "invoice.updated") }).await;
    }
    store.numbers().await;
    let mut claimed = store.claims(100).await;
    let kept = claimed.split_off(5);
    for delivery in claimed {
        store.settles(delivery, "exhausted", None).await;
    }
    drop(kept);
    let requeue = async || {
        let id = endpoint.id;
        store.does(move |tx| Box::pin(async move { tx.requeue_exhausted(merchant, id, at(2), 3, at(100)).await })).await
    };
    let queued = |queued| Requeued { queued, already_pending: 0 };
    assert_eq!(requeue().await, (queued(3), true));
    assert_eq!(requeue().await, (queued(1), false));
    assert_eq!(requeue().await, (queued(0), false));
    assert_eq!(sequences(&store.claims(100).await), [2, 3, 4, 5]);
}

async fn a_range_is_queued_whether_it_was_sent_or_not(store: Store) {
    let invoice = new_invoice(&store).await;
    let merchant = invoice.merchant;
    let at_second = |seconds| NewEvent { created: at(seconds), ..event(&invoice, "invoice.updated") };
    store.appends(&at_second(1)).await;
    let endpoint = listen_as(&store, merchant, 101, to_events(&["invoice.*"])).await;
    for seconds in 2..=4 {
        store.appends(&at_second(seconds)).await;
    }
    store.appends(&NewEvent { created: at(4), ..event(&invoice, "invoice_payment.created") }).await;
    store.appends(&at_second(9)).await;
    store.numbers().await;
    let first = store.claims(10).await.remove(0);
    store.settles(first, "delivered", None).await;
    let requeue = async |after, limit| {
        let endpoint = endpoint.clone();
        store
            .does(move |tx| {
                Box::pin(async move { tx.requeue_range(&endpoint, [at(1), at(4)], after, limit, at(10)).await })
            })
            .await
    };
    let (first, last) = requeue(0, 3).await;
    // The first was never owed, the second has arrived, the third is still on its way.
    assert_eq!(first, Requeued { queued: 2, already_pending: 1 });
    assert_eq!(last, Some(EventId { created: at(3), sequence: 3 }));
    assert_eq!(requeue(3, 3).await, (Requeued { queued: 0, already_pending: 1 }, None));
}

async fn deliveries_are_listed_from_either_side(store: Store) {
    let merchant = new_merchant(&store).await;
    let endpoint = listen(&store, merchant).await;
    for number in 1..=5 {
        let invoice = insert(&store, plain(merchant, number)).await;
        let event_type = if number == 3 { "invoice_payment.created" } else { "invoice.updated" };
        store.appends(&event(&invoice, event_type)).await;
    }
    let unnumbered = DeliveryFilter::default();
    assert_eq!(store.deliveries(&endpoint, &unnumbered, &DeliveryPart::Newest, 10).await, (vec![], false));
    store.numbers().await;
    for (delivery, state) in store.claims(0).await.into_iter().zip(["delivered", "exhausted"]) {
        store.settles(delivery, state, None).await;
    }
    let list = async |filter: &DeliveryFilter, part: &DeliveryPart, limit| {
        let (deliveries, has_more) = store.deliveries(&endpoint, filter, part, limit).await;
        (deliveries.into_iter().map(|(sequence, _)| sequence).collect::<Vec<_>>(), has_more)
    };
    let all = DeliveryFilter::default();
    let third = store.cursor(&endpoint, 3).await.unwrap();
    assert_eq!(list(&all, &DeliveryPart::Newest, 3).await, (vec![5, 4, 3], true));
    assert_eq!(list(&all, &DeliveryPart::Before(third.clone()), 3).await, (vec![2, 1], false));
    assert_eq!(list(&all, &DeliveryPart::After(third), 1).await, (vec![4], true));
    let of = |states: &[DeliveryState]| DeliveryFilter { states: states.to_vec(), ..DeliveryFilter::default() };
    for (states, expected) in [
        (&[DeliveryState::Delivered][..], &[1][..]),
        (&[DeliveryState::Exhausted], &[2]),
        (&[DeliveryState::Pending], &[5, 4, 3]),
        (&[DeliveryState::Exhausted, DeliveryState::Delivered], &[2, 1]),
    ] {
        assert_eq!(list(&of(states), &DeliveryPart::Newest, 9).await, (expected.to_vec(), false), "{states:?}");
    }
    let types = DeliveryFilter { types: vec![EventTypes::Below("invoice_payment.".into())], ..all.clone() };
    assert_eq!(list(&types, &DeliveryPart::Newest, 9).await, (vec![3], false));
    let stranger = Endpoint { merchant: MerchantId(merchant.0 + 1), ..endpoint.clone() };
    assert_eq!(store.deliveries(&stranger, &all, &DeliveryPart::Newest, 9).await, (vec![], false));
}

async fn what_is_old_and_settled_is_pruned_in_parts(store: Store) {
    let merchant = new_merchant(&store).await;
    listen(&store, merchant).await;
    for number in 1..=6 {
        let invoice = insert(&store, plain(merchant, number)).await;
        let created = if number == 6 { at(50) } else { at(1) };
        store.appends(&NewEvent { created, ..event(&invoice, "invoice.updated") }).await;
    }
    store.numbers().await;
    let mut claimed = store.claims(60).await;
    let owed = claimed.remove(0);
    for delivery in claimed {
        store.settles(delivery, "delivered", None).await;
    }
    let prune = async || store.does(|tx| Box::pin(async move { tx.prune_deliveries(at(50), 3).await })).await;
    assert_eq!((prune().await, prune().await, prune().await), (3, 1, 0));
    assert_eq!(store.counts("SELECT COUNT(*) FROM deliveries").await, 2, "what is owed and what is new");
    assert_eq!(store.counts("SELECT COUNT(*) FROM delivery_attempts").await, 1);
    store.settles(owed, "delivered", None).await;
    assert_eq!(prune().await, 1);
}

async fn a_deleted_endpoint_is_gone_at_once_and_cleared_in_parts(store: Store) {
    let merchant = new_merchant(&store).await;
    for number in 1..=5 {
        let invoice = insert(&store, plain(merchant, number)).await;
        owe(&store, &invoice, 1).await;
    }
    let endpoint = listen(&store, merchant).await;
    let mut claimed = store.claims(0).await;
    store.settles(claimed.remove(0), "delivered", None).await;
    let (late, id) = (claimed.remove(0), endpoint.id);
    let delete = async |who: MerchantId| {
        store.does(move |tx| Box::pin(async move { tx.delete_endpoint(who, id, NOW).await })).await
    };
    assert!(!delete(MerchantId(merchant.0 + 1)).await);
    assert_eq!((delete(merchant).await, delete(merchant).await), (true, false));
    assert_eq!(store.endpoint_now(&endpoint).await, None);
    assert_eq!(store.claims(100).await.len(), 0);
    assert_eq!(store.counts("SELECT COUNT(*) FROM webhook_endpoints WHERE secret <> ''").await, 0);
    store.settles(late, "delivered", None).await;

    let clear = async |before: UnixSeconds| {
        store.does(move |tx| Box::pin(async move { tx.clear_deleted_endpoints(before, 3).await })).await
    };
    assert_eq!((clear(NOW).await, clear(NOW).await, clear(NOW).await), (3, 2, 0), "a write may still see it");
    assert_eq!(store.counts("SELECT COUNT(*) FROM delivery_attempts").await, 0);
    assert_eq!((clear(NOW.plus(1)).await, clear(NOW.plus(1)).await), (1, 0));
    assert_eq!(store.counts("SELECT COUNT(*) FROM webhook_endpoints").await, 0);
}

async fn a_secret_is_sealed_again_unless_it_was_replaced(store: Store) {
    let merchant = new_merchant(&store).await;
    let old = listen(&store, merchant).await;
    let found = async || store.reader().await.unwrap().tx().endpoints_sealed_otherwise("sealed1.").await.unwrap();
    assert_eq!(found().await, std::slice::from_ref(&old));
    let reseal = async |was: &Endpoint| {
        let was = was.clone();
        store.does(move |tx| Box::pin(async move { tx.reseal_endpoint(&was, "sealed1.x", None).await })).await;
    };
    reseal(&Endpoint { secret: "another".to_owned(), ..old.clone() }).await;
    assert_eq!(found().await.len(), 1);
    reseal(&old).await;
    assert_eq!(found().await, []);
    let previous = Some(PreviousSecret { secret: "whsec_before".to_owned(), until: NOW });
    store.saves(&Endpoint { secret: "sealed1.x".to_owned(), previous, ..old }).await;
    assert_eq!(found().await.len(), 1);
}

/// One endpoint is owed very much, another a little.
async fn a_long_queue_is_in_nobody_elses_way(store: Store) {
    let rows: i64 = std::env::var("PEPAY_TEST_PENDING").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let invoice = new_invoice(&store).await;
    let merchant = invoice.merchant;
    let dead = listen(&store, merchant).await;
    let healthy = listen_as(&store, merchant, 101, to_events(&["invoice_payment.created"])).await;
    let owe_much = store.does(move |tx| {
        Box::pin(async move {
            for (first, from) in (0..rows).step_by(10_000).zip(0..) {
                let _: i32 = from;
                let count = (rows - first).min(10_000);
                let sql = format!(
                    "WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {})
                     INSERT INTO events (merchant_id, invoice_id, event_type, environment, object, created_ms, sequence)
                     SELECT $1, NULL, 'invoice.updated', 'devnet', '{{}}', $2, n + 1 FROM numbers",
                    first + count
                );
                sqlx::query(sqlx::AssertSqlSafe(sql)).bind(merchant.0).bind(NOW_MS.0).execute(&mut *tx.connection).await?;
            }
            sqlx::query(
                "INSERT INTO deliveries (merchant_id, endpoint_id, event_key, sent_as, invoice_id, state, attempts, due_ms,
                    created_ms)
                 SELECT merchant_id, $1, event_key, event_type, 'i' || (event_key / 2), 'pending', 0, $2, $2 FROM events",
            )
            .bind(dead.id.to_string())
            .bind(NOW_MS.0)
            .execute(&mut *tx.connection)
            .await?;
            sqlx::query("UPDATE counters SET value = $1 WHERE name = 'events'").bind(rows).execute(&mut *tx.connection).await?;
            Ok::<_, StoreError>(())
        })
    });
    owe_much.await;
    for number in 1..=10 {
        let invoice = InvoiceId::from_random(id(number + 1_000_000));
        store
            .appends(&NewEvent {
                invoice: Some(invoice),
                created: at(1),
                ..event(&plain_record(&store, merchant).await, "invoice_payment.created")
            })
            .await;
    }
    store.numbers().await;
    let claim = super::Claim { now: at(5), leased_until: at(35), node: "n1".to_owned() };
    let timer = std::time::Instant::now();
    let owed = store.reader().await.unwrap().tx().owed_endpoints(at(5), 100).await.unwrap();
    let looked = timer.elapsed();
    assert_eq!(owed.len(), 2);
    let claims = async |endpoint: EndpointId| {
        let claim = claim.clone();
        let timer = std::time::Instant::now();
        let claimed = store
            .does(move |tx| Box::pin(async move { tx.claim_deliveries(merchant, endpoint, &claim, 4).await }))
            .await;
        (claimed, timer.elapsed())
    };
    let (of_dead, dead_time) = claims(dead.id).await;
    let (of_healthy, healthy_time) = claims(healthy.id).await;
    assert_eq!((of_dead.len(), of_healthy.len()), (4, 4));
    assert!(of_healthy.iter().all(|delivery| delivery.sent_as == "invoice_payment.created"));
    println!(
        "{rows} pending: looked in {looked:?}, claimed 4 of the dead in {dead_time:?}, of the healthy in {healthy_time:?}"
    );
}

async fn plain_record(store: &Store, merchant: MerchantId) -> super::InvoiceRecord {
    let found = store.reader().await.unwrap().tx().invoice(merchant, InvoiceId::from_random(id(1))).await.unwrap();
    found.unwrap()
}

macro_rules! webhook_contract {
    ($($promise:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let dir = crate::testing::TempDir::new();
                    let (store, _) = crate::store::Store::open_file(&dir.path().join("test.db")).await.unwrap();
                    super::$promise(store).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let (store, _) = crate::store::Store::open(&postgres_cluster::new_database()).await.unwrap();
                    super::$promise(store).await;
                }
            )+
        }
    };
}

webhook_contract!(
    an_endpoint_reads_back_as_written,
    an_event_is_owed_to_the_endpoints_that_asked_for_it,
    an_older_endpoint_is_owed_one_change_as_two_types,
    what_concerns_no_invoice_waits_for_nothing,
    a_ping_goes_to_one_endpoint,
    an_endpoint_is_known_to_fail_until_a_try_succeeds,
    what_is_owed_to_an_idle_endpoint_is_given_up,
    a_dead_nodes_claims_are_freed_once_and_a_living_ones_never,
    a_try_whose_claim_is_over_counts_only_if_it_arrived,
    what_was_claimed_and_not_tried_is_given_back,
    a_settled_delivery_can_be_queued_again,
    all_that_was_given_up_since_a_time_is_queued_again_in_parts,
    a_range_is_queued_whether_it_was_sent_or_not,
    deliveries_are_listed_from_either_side,
    what_is_old_and_settled_is_pruned_in_parts,
    a_deleted_endpoint_is_gone_at_once_and_cleared_in_parts,
    a_secret_is_sealed_again_unless_it_was_replaced,
    a_long_queue_is_in_nobody_elses_way,
);

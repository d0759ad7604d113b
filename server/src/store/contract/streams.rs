//! What streams and lists of events rely on.

use domain::{
    id::{ApiKeyId, DashboardTokenId, EventId, MerchantId},
    signature::CredentialHash,
    time::UnixSeconds,
};
use wire::Environment;

use super::{NOW, NOW_MS, api_key, at, event, id, insert, new_invoice, new_merchant, owe, plain};
use crate::store::{
    AccessEnd, CreatedBetween, Credential, DashboardTokenRecord, EventFilter, EventPart, EventTypes, InvoiceRecord,
    LogPart, MerchantStreamToken, NewEvent, NewInvoice, Pruned, Store,
};

fn numbers_of(events: &[crate::store::StoredEvent]) -> Vec<i64> {
    events.iter().map(|event| event.id.sequence).collect()
}

/// Writes and numbers as many events of one type, a second apart from `from` on.
async fn log(store: &Store, invoice: &InvoiceRecord, event_type: &'static str, from: i64, count: i64) {
    for second in from..from + count {
        store.appends(&NewEvent { created: at(second), ..event(invoice, event_type) }).await;
    }
    store.numbers().await;
}

fn of_type(name: &str) -> EventFilter {
    EventFilter { types: vec![EventTypes::One(name.into())], ..EventFilter::default() }
}

pub(super) async fn the_log_is_followed_in_parts_that_leave_out_nothing(store: Store) {
    let merchant = new_merchant(&store).await;
    let ours = insert(&store, NewInvoice { customer_id: Some("c-1".into()), ..plain(merchant, 1) }).await;
    let other = insert(&store, plain(merchant, 2)).await;
    let strange = insert(&store, plain(new_merchant(&store).await, 3)).await;
    for _ in 0..3 {
        log(&store, &ours, "invoice.created", 0, 1).await;
        log(&store, &strange, "invoice.created", 0, 1).await;
        log(&store, &other, "invoice.updated", 0, 1).await;
    }
    let ping = NewEvent { invoice: None, ..event(&other, "test.ping") };
    store.appends(&ping).await;
    store.numbers().await;
    store.appends(&event(&ours, "invoice.updated")).await;

    let follow = async |filter: EventFilter, limit| {
        let (mut found, mut reached) = (Vec::new(), 0);
        loop {
            let part =
                store.reader().await.unwrap().tx().events_after(merchant, &filter, reached, limit).await.unwrap();
            let LogPart { events, reached: now, is_end } = part;
            assert!(events.len() <= limit && (reached < now || is_end), "{reached} {now}");
            found.extend(numbers_of(&events));
            reached = now;
            if is_end {
                return (found, reached);
            }
        }
    };
    for limit in [1, 2, 3, 100] {
        assert_eq!(follow(EventFilter::default(), limit).await, (vec![1, 3, 4, 6, 7, 9, 10], 10));
        assert_eq!(follow(of_type("invoice.created"), limit).await, (vec![1, 4, 7], 10));
        assert_eq!(follow(of_type("invoice.lost"), limit).await, (vec![], 10));
        let of_customer = EventFilter { customer: Some("c-1".into()), ..EventFilter::default() };
        assert_eq!(follow(of_customer, limit).await, (vec![1, 4, 7], 10));
        let of_invoices = EventFilter { of_invoices: true, ..EventFilter::default() };
        assert_eq!(follow(of_invoices, limit).await, (vec![1, 3, 4, 6, 7, 9], 10));
        let of_invoice = EventFilter { invoice: Some(other.id), ..EventFilter::default() };
        assert_eq!(follow(of_invoice, limit).await, (vec![3, 6, 9], 9));
        let foreign = EventFilter { invoice: Some(strange.id), ..EventFilter::default() };
        assert_eq!(follow(foreign, limit).await, (vec![], 0));
        let mainnet = EventFilter { environment: Some(Environment::Mainnet), ..EventFilter::default() };
        assert_eq!(follow(mainnet, limit).await, (vec![], 10));
    }
}

pub(super) async fn a_list_of_some_kinds_is_one_list(store: Store) {
    let merchant = new_merchant(&store).await;
    let invoice = insert(&store, NewInvoice { customer_id: Some("c-1".into()), ..plain(merchant, 1) }).await;
    let other = insert(&store, plain(merchant, 2)).await;
    for second in 0..4 {
        log(&store, &invoice, "invoice.created", second, 1).await;
        log(&store, &other, "invoice_payment.updated", second, 1).await;
        let mainnet =
            NewEvent { environment: Environment::Mainnet, created: at(second), ..event(&invoice, "invoice.updated") };
        store.appends(&mainnet).await;
        store.numbers().await;
    }
    // 1, 4, 7, 10 created on devnet; 2, 5, 8, 11 payments on devnet; 3, 6, 9, 12 updated on mainnet.
    let list = async |filter: EventFilter, part, limit| {
        let mut reader = store.reader().await.unwrap();
        let (events, has_more) = reader.tx().event_list(merchant, &filter, part, limit).await.unwrap();
        (numbers_of(&events), has_more)
    };
    let below = |start: &str| EventFilter { types: vec![EventTypes::Below(start.into())], ..EventFilter::default() };
    let on = |environment| EventFilter { environment: Some(environment), ..EventFilter::default() };
    let id = |sequence| EventId { created: NOW_MS, sequence };
    let newest = EventPart::Newest;
    assert_eq!(list(below("invoice."), newest, 3).await, (vec![12, 10, 9], true));
    assert_eq!(list(below("invoice."), EventPart::Before(id(9)), 9).await, (vec![7, 6, 4, 3, 1], false));
    assert_eq!(list(below("invoice."), EventPart::After(id(4)), 3).await, (vec![9, 7, 6], true));
    assert_eq!(list(on(Environment::Mainnet), newest, 9).await, (vec![12, 9, 6, 3], false));
    assert_eq!(list(on(Environment::Devnet), EventPart::After(id(8)), 9).await, (vec![11, 10], false));
    assert_eq!(
        list(EventFilter { environment: Some(Environment::Mainnet), ..below("invoice_payment.") }, newest, 9).await,
        (vec![], false)
    );
    assert_eq!(list(of_type("test.ping"), newest, 9).await, (vec![], false));
    let of_customer = EventFilter { customer: Some("c-1".into()), ..EventFilter::default() };
    assert_eq!(list(of_customer.clone(), newest, 3).await, (vec![12, 10, 9], true));
    assert_eq!(
        list(EventFilter { types: below("invoice_payment.").types, ..of_customer }, newest, 3).await,
        (vec![], false)
    );

    let second = |from: i64, to: i64| CreatedBetween { from: Some(at(from)), to: Some(at(to)) };
    let timed = |created, filter| EventFilter { created, ..filter };
    assert_eq!(list(timed(second(1, 2), EventFilter::default()), newest, 4).await, (vec![9, 8, 7, 6], true));
    assert_eq!(list(timed(second(1, 2), of_type("invoice.created")), newest, 9).await, (vec![7, 4], false));
    assert_eq!(
        list(timed(second(1, 2), EventFilter::default()), EventPart::Before(id(6)), 9).await,
        (vec![5, 4], false)
    );
    assert_eq!(list(timed(second(8, 9), EventFilter::default()), newest, 9).await, (vec![], false));
    let until = CreatedBetween { from: None, to: Some(at(0)) };
    assert_eq!(list(timed(until, on(Environment::Devnet)), newest, 9).await, (vec![2, 1], false));
}

pub(super) async fn events_of_a_time_are_found_whatever_order_they_were_numbered_in(store: Store) {
    let invoice = new_invoice(&store).await;
    // The clock went back, and a commit was late.
    for second in [5, 1, 9, 2, 5, 0] {
        log(&store, &invoice, "invoice.updated", second, 1).await;
    }
    for (from, to, expected) in [(5, 5, vec![5, 1]), (0, 2, vec![6, 4, 2]), (2, 9, vec![5, 4, 3, 1]), (6, 8, vec![])] {
        let created = CreatedBetween { from: Some(at(from)), to: Some(at(to)) };
        let filter = EventFilter { created, ..EventFilter::default() };
        let mut reader = store.reader().await.unwrap();
        let (events, _) = reader.tx().event_list(invoice.merchant, &filter, EventPart::Newest, 10).await.unwrap();
        assert_eq!(numbers_of(&events), expected, "{from} {to}");
    }
}

impl Store {
    async fn prunes(&self, after: i64, before_seconds: i64, limit: i64) -> Pruned {
        self.does(move |tx| Box::pin(async move { tx.prune_events(after, at(before_seconds), limit).await })).await
    }

    async fn pruned_to(&self, merchant: MerchantId) -> i64 {
        self.reader().await.unwrap().tx().events_pruned_to(merchant).await.unwrap()
    }
}

pub(super) async fn old_events_are_removed_in_steps_and_it_is_known_up_to_where(store: Store) {
    let (invoice, other) = (new_invoice(&store).await, insert(&store, plain(new_merchant(&store).await, 2)).await);
    log(&store, &invoice, "invoice.updated", 0, 5).await;
    log(&store, &other, "invoice.updated", 5, 1).await;
    log(&store, &invoice, "invoice.updated", 6, 4).await;
    store.appends(&NewEvent { created: at(0), ..event(&invoice, "invoice.updated") }).await;
    assert_eq!((store.pruned_to(invoice.merchant).await, store.pruned_to(other.merchant).await), (0, 0));
    assert_eq!(store.prunes(0, 7, 3).await, Pruned { events: 3, next: Some(3) });
    assert_eq!(store.pruned_to(invoice.merchant).await, 3);
    assert_eq!(store.prunes(3, 7, 3).await, Pruned { events: 3, next: Some(6) });
    assert_eq!((store.pruned_to(invoice.merchant).await, store.pruned_to(other.merchant).await), (5, 6));
    assert_eq!(store.prunes(6, 7, 3).await, Pruned { events: 1, next: Some(9) });
    assert_eq!(store.prunes(9, 7, 3).await, Pruned { events: 0, next: None }, "the rest is younger");
    assert_eq!(store.prunes(0, 7, 3).await, Pruned { events: 0, next: None });
    assert_eq!(store.pruned_to(invoice.merchant).await, 7);
    let all = store.reader().await.unwrap().tx().events_after(invoice.merchant, &EventFilter::default(), 0, 100).await;
    assert_eq!(numbers_of(&all.unwrap().events), [8, 9, 10]);
    assert_eq!(store.numbers().await, [11], "an event that has no number yet is never too old");
}

pub(super) async fn an_event_is_kept_for_as_long_as_a_webhook_of_it_is_owed(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 3).await;
    let mut due = store.claims(0).await;
    store.settles(due.remove(0), "delivered", None).await;
    assert_eq!(store.prunes(0, 100, 2).await, Pruned { events: 1, next: Some(2) });
    assert_eq!(store.prunes(2, 100, 2).await, Pruned { events: 0, next: None });
    assert_eq!(store.pruned_to(invoice.merchant).await, 1);
    for number in [2, 3] {
        let id = EventId { created: NOW_MS, sequence: number };
        assert!(store.reader().await.unwrap().tx().event(invoice.merchant, id).await.unwrap().is_some(), "{number}");
    }
}

pub(super) async fn a_merchant_s_stream_token_reads_back_until_it_is_forgotten(store: Store) {
    let merchant = new_merchant(&store).await;
    let credentials = [
        Credential::ApiKey(ApiKeyId::from_random(id(1))),
        Credential::DashboardToken(DashboardTokenId::from_random(id(1))),
    ];
    for (number, credential) in credentials.into_iter().enumerate() {
        let hash = CredentialHash::of(&format!("mws_{number}"));
        let expires_at = UnixSeconds(99 + i64::try_from(number).unwrap());
        let token = MerchantStreamToken { merchant, credential, expires_at };
        let kept = token.clone();
        store.does(move |tx| Box::pin(async move { tx.insert_merchant_stream_token(hash, &kept).await })).await;
        let read = store.reader().await.unwrap().tx().merchant_stream_token(hash).await.unwrap();
        assert_eq!(read, Some(token));
    }
    let forgets = async |now, limit| {
        store
            .does(move |tx| Box::pin(async move { tx.forget_merchant_stream_tokens(UnixSeconds(now), limit).await }))
            .await
    };
    assert_eq!(forgets(100, 9).await, 1);
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().merchant_stream_token(CredentialHash::of("mws_0")).await.unwrap(), None);
    assert!(reader.tx().merchant_stream_token(CredentialHash::of("mws_1")).await.unwrap().is_some());
    assert_eq!((forgets(200, 0).await, forgets(200, 9).await), (0, 1));
}

pub(super) async fn a_credential_opens_streams_until_it_is_revoked_suspended_or_over(store: Store) {
    use AccessEnd::{Expired, Revoked};

    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let key = |number: u64| ApiKeyId::from_random(id(number));
    let token = |number: u64| DashboardTokenId::from_random(id(number));
    let dashboard = |number: u64, expires_at| DashboardTokenRecord {
        merchant,
        id: token(number),
        hash: CredentialHash::of(&format!("pd_{number}")),
        created_at: NOW,
        expires_at,
        revoked_at: None,
    };
    let mut keys = Vec::new();
    for number in 1..=5 {
        keys.push(api_key(merchant, key(number), CredentialHash::of(&format!("pk_{number}"))));
    }
    keys[3].expires_at = Some(NOW.plus(10));
    keys[4].rights = "invoices:create".parse().unwrap();
    let tokens = [dashboard(6, NOW.plus(10)), dashboard(7, NOW.plus(99))];
    store
        .does(move |tx| {
            Box::pin(async move {
                for key in &keys {
                    tx.insert_api_key(key).await?;
                }
                for token in &tokens {
                    tx.insert_dashboard_token(token).await?;
                }
                tx.revoke_api_key(merchant, key(2), None, NOW).await?;
                tx.suspend_api_key(merchant, key(3), NOW).await
            })
        })
        .await;
    let holders = [
        (merchant, Credential::ApiKey(key(1))),
        (merchant, Credential::ApiKey(key(2))),
        (merchant, Credential::ApiKey(key(3))),
        (merchant, Credential::ApiKey(key(4))),
        (merchant, Credential::ApiKey(key(5))),
        (merchant, Credential::DashboardToken(token(6))),
        (merchant, Credential::DashboardToken(token(7))),
        (other, Credential::ApiKey(key(1))),
        (merchant, Credential::DashboardToken(token(8))),
    ];
    let ended = async |now| {
        let ended = store.reader().await.unwrap().tx().ended_access(&holders, now).await.unwrap();
        let position = |holder| holders.iter().position(|asked| *asked == holder).unwrap() + 1;
        ended.into_iter().map(|(holder, end)| (position(holder), end)).collect::<Vec<_>>()
    };
    let always = [(2, Revoked), (3, Revoked), (5, Revoked), (8, Expired), (9, Expired)];
    assert_eq!(ended(NOW.plus(9)).await, always);
    let later = [(2, Revoked), (3, Revoked), (4, Expired), (5, Revoked), (6, Expired), (8, Expired), (9, Expired)];
    assert_eq!(ended(NOW.plus(10)).await, later);
    store.does(move |tx| Box::pin(async move { tx.revoke_dashboard_token(token(7), NOW).await })).await;
    assert!(ended(NOW).await.contains(&(7, Revoked)));
    assert_eq!(store.reader().await.unwrap().tx().ended_access(&[], NOW).await.unwrap(), []);
}

//! Every promise of the store, as a test that runs on each engine.
//!
//! A promise is an async function that is given an empty store. An engine says how it is opened and
//! gets a test of every promise; see the end of the file.

mod comparisons;
mod streams;

use alloy_primitives::{Address, B256, U256};
use domain::{
    access::{KeyLife, KeyStatus, Right, Rights, Scope},
    address_mode::AddressMode,
    finality::{Finality, Mark, Marks, Tag, Thresholds},
    id::{ApiKeyId, DashboardTokenId, EndpointId, EventId, InvoiceId, MerchantId, PaymentId, QuoteId, TokenId},
    idempotency::{Fingerprint, IdempotencyKey},
    invoice::{InvoiceStatus, InvoiceTerms, LatePolicy, Standing, Tolerance},
    money::{Decimals, Rate, TokenAmount, UsdMillis},
    quote::Quote,
    signature::CredentialHash,
    time::{UnixMillis, UnixSeconds},
    transfer::Valuation,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use wire::Environment;

use self::comparisons::{
    a_comparison_reads_back_and_goes_back_with_the_chain, a_difference_is_known_until_it_is_none,
    a_network_is_awaited_while_a_payment_may_come_or_is_not_final,
    addresses_of_ended_invoices_are_gone_through_in_parts, an_invoice_has_one_search_and_it_is_due_when_it_says,
    invoices_whose_time_was_up_between_two_blocks_are_known, what_addresses_hold_is_summed_up_from_facts_on_the_chain,
};
use self::streams::{
    a_credential_opens_streams_until_it_is_revoked_suspended_or_over, a_list_of_some_kinds_is_one_list,
    a_merchant_s_stream_token_reads_back_until_it_is_forgotten,
    an_event_is_kept_for_as_long_as_a_webhook_of_it_is_owed,
    events_of_a_time_are_found_whatever_order_they_were_numbered_in,
    old_events_are_removed_in_steps_and_it_is_known_up_to_where, the_log_is_followed_in_parts_that_leave_out_nothing,
};
use super::{
    Attempt, BlockRef, Claim, CreatedBetween, DashboardTokenRecord, DueDelivery, Endpoint, EventFilter, EventPart,
    EventTypes, FactKey, FactKind, FirstPayer, IdempotencyRecord, InvoiceCursor, InvoiceFilter, InvoiceRecord,
    NewApiKey, NewEvent, NewInvoice, NewMerchant, Part, PriceOrigin, QuoteRecord, Settlement, StatusSum, Store,
    StoreError, StreamSession, SweepRecord, TransferRecord, Tx,
};
use crate::solana::SolanaAddress;

pub(super) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub(super) const NOW_MS: UnixMillis = UnixMillis(1_800_000_000_000);

// What the promises are written with.

impl Store {
    /// A write that must succeed.
    pub(super) async fn does<T, F>(&self, work: F) -> T
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        self.write(work).await.unwrap()
    }

    async fn invoice_now(&self, invoice: &InvoiceRecord) -> InvoiceRecord {
        self.reader().await.unwrap().tx().invoice(invoice.merchant, invoice.id).await.unwrap().unwrap()
    }

    async fn transfers_now(&self, invoice: &InvoiceRecord) -> Vec<TransferRecord> {
        self.reader().await.unwrap().tx().transfers(invoice.merchant, invoice.id).await.unwrap()
    }

    async fn record(&self, transfer: &TransferRecord) -> bool {
        let transfer = transfer.clone();
        self.does(move |tx| Box::pin(async move { tx.record_transfer(&transfer, NOW).await })).await
    }

    async fn record_a_sweep(&self, sweep: &SweepRecord) -> bool {
        let sweep = sweep.clone();
        self.does(move |tx| Box::pin(async move { tx.record_sweep(&sweep).await })).await
    }

    async fn deepens(&self, network: &'static str, head: u64) -> Vec<InvoiceId> {
        self.deepens_by(network, head, Marks::default(), Some(UsdMillis::MAX)).await
    }

    /// Three confirmations are paid, six are final.
    async fn deepens_by(
        &self,
        network: &'static str,
        head: u64,
        marks: Marks,
        one_is_enough: Option<UsdMillis>,
    ) -> Vec<InvoiceId> {
        let thresholds = Thresholds { paid_after: 3, paid_tag: None, large: None, final_after: 6, final_tag: None };
        let deepened = self
            .does(move |tx| Box::pin(async move { tx.deepen(network, head, marks, &thresholds, one_is_enough).await }));
        let touched = deepened.await;
        touched.into_iter().map(|(_, invoice)| invoice).collect()
    }

    async fn orphans(&self, network: &'static str, above: u64) -> Vec<InvoiceId> {
        let touched = self.does(move |tx| Box::pin(async move { tx.orphan_above(network, above).await })).await;
        touched.into_iter().map(|(_, invoice)| invoice).collect()
    }

    pub(super) async fn appends(&self, event: &NewEvent) {
        let event = event.clone();
        self.does(move |tx| Box::pin(async move { tx.append_event(&event).await })).await;
    }

    pub(super) async fn numbers(&self) -> Vec<i64> {
        let numbered = self.does(|tx| Box::pin(async move { tx.number_events(1000).await })).await;
        numbered.into_iter().map(|(_, _, sequence)| sequence).collect()
    }

    /// Claims all that is due, for half a minute.
    pub(super) async fn claims(&self, at_seconds: i64) -> Vec<DueDelivery> {
        self.claims_as("n1", at_seconds, 100).await
    }

    pub(super) async fn claims_as(&self, node: &str, at_seconds: i64, limit: i64) -> Vec<DueDelivery> {
        let claim = Claim { now: at(at_seconds), leased_until: at(at_seconds + 30), node: node.to_owned() };
        self.does(move |tx| {
            Box::pin(async move {
                let mut claimed = Vec::new();
                for owed in tx.owed_endpoints(claim.now, 1000).await? {
                    claimed.extend(tx.claim_deliveries(owed.merchant, owed.id, &claim, limit).await?);
                }
                Ok(claimed)
            })
        })
        .await
    }

    pub(super) async fn settles(
        &self,
        delivery: DueDelivery,
        state: &'static str,
        due_at_seconds: Option<i64>,
    ) -> bool {
        let settlement = match (state, due_at_seconds) {
            ("pending", Some(due)) => Settlement::Again(at(due)),
            ("delivered", None) => Settlement::Delivered,
            ("exhausted", None) => Settlement::Exhausted,
            other => panic!("{other:?}"),
        };
        let attempt = Attempt { began: at(0), duration_ms: 7, status: Some(500), error: Some("refused".to_owned()) };
        self.does(move |tx| Box::pin(async move { tx.settle_delivery(&delivery, &attempt, settlement).await })).await
    }

    pub(super) async fn next_due_at(&self) -> Option<i64> {
        let due = self.reader().await.unwrap().tx().next_delivery_due().await.unwrap();
        due.map(|due| (due.0 - NOW_MS.0) / 1000)
    }
}

/// A time in seconds after [`NOW`].
pub(super) fn at(seconds: i64) -> UnixMillis {
    UnixMillis(NOW_MS.0 + seconds * 1000)
}

pub(super) fn id(number: u64) -> [u8; 16] {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(super) async fn new_merchant(store: &Store) -> MerchantId {
    store
        .does(|tx| {
            Box::pin(async move {
                tx.insert_merchant(&NewMerchant {
                    name: "Käse & “Co”".into(),
                    email: "shop@example.com".into(),
                    evm_wallet: Address::repeat_byte(0xab),
                    recovery_code: [9; 32],
                    created_at: NOW,
                })
                .await
            })
        })
        .await
}

/// The plainest invoice there is.
pub(super) fn plain(merchant: MerchantId, number: u64) -> NewInvoice {
    let invoice = InvoiceId::from_random(id(number));
    NewInvoice {
        merchant,
        id: invoice,
        sequence: i64::try_from(number).unwrap(),
        session_hash: CredentialHash::of(&invoice.to_string()),
        environment: Environment::Devnet,
        terms: InvoiceTerms {
            due: UsdMillis::from_millis(20_000),
            expires_at: NOW.plus(1800),
            canceled_at: None,
            tolerance: Tolerance::default(),
            late_policy: LatePolicy::Hold,
        },
        description: None,
        title: "Shop".into(),
        footer: String::new(),
        customer_id: None,
        customer_email: None,
        metadata: "{}".into(),
        questions: None,
        return_url: None,
        return_url_enabled: false,
        address_mode: AddressMode::Forwarder,
        receiver: Address::repeat_byte(0xab),
        deposit_salt: B256::repeat_byte(1),
        deposit_address: Address::repeat_byte(0xcd),
        address_index: None,
        solana_address: None,
        solana_is_own: false,
        created: NOW_MS,
    }
}

/// What an invoice reads as that was just inserted.
fn expected(new: &NewInvoice) -> InvoiceRecord {
    InvoiceRecord {
        merchant: new.merchant,
        id: new.id,
        sequence: new.sequence,
        session_hash: new.session_hash,
        environment: new.environment,
        terms: new.terms.clone(),
        description: new.description.clone(),
        title: new.title.clone(),
        footer: new.footer.clone(),
        customer_id: new.customer_id.clone(),
        customer_email: new.customer_email.clone(),
        metadata: new.metadata.clone(),
        questions: new.questions.clone(),
        answers: None,
        return_url: new.return_url.clone(),
        return_url_enabled: new.return_url_enabled,
        address_mode: new.address_mode,
        receiver: new.receiver,
        deposit_salt: new.deposit_salt,
        deposit_address: new.deposit_address,
        address_index: new.address_index,
        solana_address: new.solana_address,
        solana_is_own: new.solana_is_own,
        created: new.created,
        standing: unpaid(new.terms.due),
        version: 1,
        watched_until: None,
    }
}

fn unpaid(due: UsdMillis) -> Standing {
    Standing {
        status: InvoiceStatus::Unpaid,
        credit: UsdMillis::ZERO,
        remaining: due,
        overpaid: UsdMillis::ZERO,
        late: false,
        paid_at: None,
        last_payment_at: None,
        locked_by: None,
        is_checking: false,
        ended_unverified: false,
    }
}

pub(super) async fn insert(store: &Store, new: NewInvoice) -> InvoiceRecord {
    let invoice = expected(&new);
    store.does(move |tx| Box::pin(async move { tx.insert_invoice(&new).await })).await;
    invoice
}

pub(super) async fn new_invoice(store: &Store) -> InvoiceRecord {
    let merchant = new_merchant(store).await;
    insert(store, plain(merchant, 1)).await
}

pub(super) fn transfer(invoice: &InvoiceRecord, block: u64, log_index: i64) -> TransferRecord {
    TransferRecord {
        merchant: invoice.merchant,
        invoice: invoice.id,
        payment: PaymentId::of_transfer("ethereum", &format!("0x{block}"), "0xcd", "1", 0),
        network: "ethereum".into(),
        block_hash: format!("0xb{block}"),
        tx_id: format!("0x{block}"),
        log_index,
        token: TokenId(1),
        decimals: Decimals::new(6).unwrap(),
        amount: TokenAmount::from_base_units("20000000".parse().unwrap()),
        payer: Some("0xpayer".into()),
        block_number: block,
        block_time: NOW.plus(i64::try_from(block).unwrap()),
        valuation: Valuation::Spot { rate: Rate::PAR },
        canonical: true,
        confirmations: 1,
        finality: Finality::Seen,
        vouched: true,
        announced: None,
    }
}

fn sweep(invoice: &InvoiceRecord, block: u64) -> SweepRecord {
    SweepRecord {
        merchant: invoice.merchant,
        invoice: invoice.id,
        network: "ethereum".into(),
        block_hash: format!("0xb{block}"),
        tx_id: format!("0xs{block}"),
        log_index: 3,
        token: TokenId(1),
        amount: TokenAmount::from_base_units("20000000".parse().unwrap()),
        block_number: block,
        canonical: true,
        confirmations: 1,
        finality: Finality::Seen,
        vouched: true,
    }
}

pub(super) fn event(invoice: &InvoiceRecord, event_type: &'static str) -> NewEvent {
    NewEvent {
        merchant: invoice.merchant,
        invoice: Some(invoice.id),
        event_type,
        environment: Environment::Devnet,
        object: r#"{"object":"invoice"}"#.into(),
        previous_attributes: Some(r#"{"status":"unpaid"}"#.into()),
        request_id: Some("req_1".into()),
        idempotency_key: None,
        created: NOW_MS,
    }
}

pub(super) async fn listen(store: &Store, merchant: MerchantId) -> Endpoint {
    let id = EndpointId::from_random([u8::try_from(merchant.0).unwrap(); 16]);
    let endpoint = Endpoint::new(merchant, id, "https://shop.example/hook", "whsec_x", NOW);
    let kept = endpoint.clone();
    store
        .does(move |tx| {
            Box::pin(async move {
                match tx.endpoint(merchant, id).await? {
                    Some(_) => Ok(()),
                    None => tx.insert_endpoint(&kept).await,
                }
            })
        })
        .await;
    endpoint
}

/// Writes and numbers `count` events of an invoice whose merchant listens.
pub(super) async fn owe(store: &Store, invoice: &InvoiceRecord, count: usize) {
    listen(store, invoice.merchant).await;
    for _ in 0..count {
        store.appends(&event(invoice, "invoice.updated")).await;
    }
    store.numbers().await;
}

pub(super) fn sequences(deliveries: &[DueDelivery]) -> Vec<i64> {
    deliveries.iter().map(|delivery| delivery.event.id.sequence).collect()
}

fn api_key(merchant: MerchantId, id: ApiKeyId, hash: CredentialHash) -> NewApiKey {
    NewApiKey {
        merchant,
        id,
        name: "shop".into(),
        hash,
        hint: "abcd".into(),
        scope: Scope::Merchant,
        environment: Environment::Devnet,
        rights: Rights::DEFAULT,
        expires_at: None,
        request: None,
        created_at: NOW,
    }
}

fn block(number: u64) -> BlockRef {
    BlockRef { number, hash: format!("0xb{number}"), time: NOW.plus(i64::try_from(number).unwrap()) }
}

// Invoices

async fn an_invoice_reads_back_as_written(store: Store) {
    let merchant = new_merchant(&store).await;
    let text = "line\n'quote' \"double\" \\ % _ 漢字 🧾 $1 ?1 ; --".to_owned();
    let full = NewInvoice {
        sequence: i64::MAX,
        environment: Environment::Mainnet,
        terms: InvoiceTerms {
            due: UsdMillis::MAX,
            expires_at: UnixSeconds(i64::MAX),
            canceled_at: None,
            tolerance: Tolerance { basis_points: u16::MAX, at_most: UsdMillis::MAX },
            late_policy: LatePolicy::Accept { days: u16::MAX, band_basis_points: 0 },
        },
        description: Some(text.clone()),
        title: text.clone(),
        footer: "x".repeat(10_000),
        customer_id: Some(String::new()),
        customer_email: Some(text.clone()),
        metadata: r#"{"order":"é"}"#.into(),
        questions: Some("[]".into()),
        return_url: Some("https://shop.example/?a=1&b=2#c".into()),
        return_url_enabled: true,
        receiver: Address::ZERO,
        address_mode: AddressMode::Xpub,
        deposit_salt: B256::ZERO,
        deposit_address: Address::repeat_byte(0xff),
        address_index: Some(u32::MAX),
        created: UnixMillis(i64::MAX),
        ..plain(merchant, 1)
    };
    for new in [full, plain(merchant, 2)] {
        let written = insert(&store, new).await;
        assert_eq!(store.invoice_now(&written).await, written);
        let mut reader = store.reader().await.unwrap();
        assert_eq!(reader.tx().invoice_of_session(written.session_hash).await.unwrap(), Some(written));
    }
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().invoice(merchant, InvoiceId::from_random(id(3))).await.unwrap(), None);
    assert_eq!(reader.tx().invoice_of_session(CredentialHash::of("other")).await.unwrap(), None);
}

async fn a_standing_reads_back_as_saved_and_raises_the_version(store: Store) {
    let invoice = new_invoice(&store).await;
    let mut read = invoice.clone();
    for status in [
        InvoiceStatus::Underpaid,
        InvoiceStatus::Paid,
        InvoiceStatus::Expired,
        InvoiceStatus::Canceled,
        InvoiceStatus::Unpaid,
    ] {
        let standing = Standing {
            status,
            credit: UsdMillis::MAX,
            remaining: UsdMillis::MAX,
            overpaid: UsdMillis::MAX,
            late: true,
            paid_at: Some(UnixSeconds(i64::MAX)),
            last_payment_at: Some(UnixSeconds(0)),
            locked_by: Some(PaymentId::from_random(id(5))),
            is_checking: true,
            ended_unverified: true,
        };
        let saved = standing.clone();
        assert!(store.does(move |tx| Box::pin(async move { tx.save_standing(&read, &saved).await })).await);
        let now = store.invoice_now(&invoice).await;
        read = now.clone();
        assert_eq!(now.standing, standing);
    }
    assert_eq!(read.version, 6);
    let saved = unpaid(UsdMillis::ZERO);
    assert!(store.does(move |tx| Box::pin(async move { tx.save_standing(&read, &saved).await })).await);
    assert_eq!(store.invoice_now(&invoice).await.standing, unpaid(UsdMillis::ZERO));
}

async fn a_standing_made_from_an_older_version_is_refused(store: Store) {
    let invoice = new_invoice(&store).await;
    let attempts = (0..64).map(|_| {
        let old = invoice.clone();
        store.does(move |tx| Box::pin(async move { tx.save_standing(&old, &old.standing).await }))
    });
    let saved = join_all(attempts).await;
    assert_eq!(saved.iter().filter(|saved| **saved).count(), 1);
    assert_eq!(store.invoice_now(&invoice).await.version, 2);
}

async fn of_many_that_add_to_an_invoice_none_is_lost(store: Store) {
    const WRITERS: u64 = 64;
    let invoice = new_invoice(&store).await;
    let additions = (0..WRITERS).map(|_| {
        let (merchant, id) = (invoice.merchant, invoice.id);
        store.does(move |tx| {
            Box::pin(async move {
                tx.lock_invoice(merchant, id).await?;
                let old = tx.invoice(merchant, id).await?.unwrap();
                let credit = UsdMillis::from_millis(old.standing.credit.as_millis() + 1);
                let standing = Standing { credit, ..old.standing.clone() };
                tx.save_standing(&old, &standing).await
            })
        })
    });
    assert!(join_all(additions).await.into_iter().all(|saved| saved));
    let now = store.invoice_now(&invoice).await;
    assert_eq!((now.standing.credit.as_millis(), now.version), (WRITERS, 1 + i64::try_from(WRITERS).unwrap()));
}

async fn a_watched_invoice_is_never_watched_for_less(store: Store) {
    let invoice = new_invoice(&store).await;
    for (until, expected) in [(100, 100), (50, 100), (200, 200)] {
        let (merchant, id) = (invoice.merchant, invoice.id);
        store.does(move |tx| Box::pin(async move { tx.watch_invoice(merchant, id, UnixSeconds(until)).await })).await;
        assert_eq!(store.invoice_now(&invoice).await.watched_until, Some(UnixSeconds(expected)));
    }
    assert_eq!(store.invoice_now(&invoice).await.version, 4);

    insert(&store, NewInvoice { deposit_address: Address::ZERO, ..plain(invoice.merchant, 2) }).await;
    let mut reader = store.reader().await.unwrap();
    let watched = reader.tx().watched_deposits(UnixSeconds(199)).await.unwrap();
    assert_eq!(watched.len(), 1);
    assert_eq!((watched[0].invoice, watched[0].address), (invoice.id, invoice.deposit_address));
    assert_eq!(reader.tx().watched_deposits(UnixSeconds(200)).await.unwrap(), []);
}

async fn an_invoice_s_version_rises_with_its_quotes_and_its_standing(store: Store) {
    let invoice = new_invoice(&store).await;
    let other = insert(&store, plain(new_merchant(&store).await, 2)).await;
    let keys = [(invoice.merchant, invoice.id), (other.merchant, other.id), (other.merchant, invoice.id)];
    let versions = async || {
        let mut versions = store.reader().await.unwrap().tx().invoice_versions(&keys).await.unwrap();
        versions.sort_by_key(|(key, _)| keys.iter().position(|other| other == key));
        versions
    };
    let first = versions().await;
    assert_eq!(first.iter().map(|(key, _)| *key).collect::<Vec<_>>(), keys[..2]);
    assert!(first.iter().all(|(_, version)| version.last_quote.is_none()));
    let (merchant, id, end) = (invoice.merchant, invoice.id, NOW.plus(600));
    let due = UsdMillis::from_millis(5);
    let quote =
        Quote::new(QuoteId::from_random([1; 16]), TokenId(1), Decimals::new(6).unwrap(), Rate::PAR, due, NOW, 300);
    let record =
        QuoteRecord { network: "ethereum".into(), quote, reference: None, opens_account: false, priced_by: None };
    store
        .does(move |tx| {
            Box::pin(async move {
                tx.insert_quote(merchant, id, &record).await?;
                tx.watch_invoice(merchant, id, end).await
            })
        })
        .await;
    let second = versions().await;
    assert!(first[0].1.version < second[0].1.version && second[0].1.last_quote.is_some());
    assert_eq!(first[1], second[1]);
}

async fn only_open_invoices_are_past_their_time(store: Store) {
    let merchant = new_merchant(&store).await;
    let mut ids = Vec::new();
    for (number, status) in [
        (1, InvoiceStatus::Unpaid),
        (2, InvoiceStatus::Underpaid),
        (3, InvoiceStatus::Paid),
        (4, InvoiceStatus::Expired),
        (5, InvoiceStatus::Canceled),
    ] {
        let mut new = plain(merchant, number);
        new.terms.expires_at = UnixSeconds(1000 - i64::try_from(number).unwrap());
        let invoice = insert(&store, new).await;
        ids.push(invoice.id);
        let standing = Standing { status, ..invoice.standing.clone() };
        store.does(move |tx| Box::pin(async move { tx.save_standing(&invoice, &standing).await })).await;
    }
    let past = async |now, limit| {
        let mut reader = store.reader().await.unwrap();
        let keys = reader.tx().invoices_past_their_time(UnixSeconds(now), limit).await.unwrap();
        keys.into_iter().map(|(_, invoice)| invoice).collect::<Vec<_>>()
    };
    assert_eq!(past(1000, 10).await, [ids[1], ids[0]]);
    assert_eq!(past(1000, 1).await, [ids[1]]);
    assert_eq!(past(999, 10).await, [ids[1]]);
    assert_eq!(past(998, 10).await, []);
}

async fn an_idempotency_key_can_be_used_once(store: Store) {
    let invoice = new_invoice(&store).await;
    let key = IdempotencyKey::parse("3f2504e0-4f89-41d3-9a0c-0305e82c3301").unwrap();
    let record = IdempotencyRecord { fingerprint: Fingerprint::of(&[b"body"]), invoice: invoice.id };
    let take = |merchant: MerchantId, route: &'static str| {
        let record = record.clone();
        store.write(move |tx| {
            Box::pin(async move { tx.insert_idempotency_record(merchant, route, key, &record, NOW).await })
        })
    };
    take(invoice.merchant, "create").await.unwrap();
    assert!(matches!(take(invoice.merchant, "create").await, Err(StoreError::Database(_))));
    take(invoice.merchant, "other").await.unwrap();
    let other = new_merchant(&store).await;
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().idempotency_record(invoice.merchant, "create", key).await.unwrap(), Some(record.clone()));
    assert_eq!(reader.tx().idempotency_record(other, "create", key).await.unwrap(), None);
    take(other, "create").await.unwrap();
}

async fn the_oldest_idempotency_keys_are_pruned_and_no_others(store: Store) {
    let invoice = new_invoice(&store).await;
    let (merchant, other) = (invoice.merchant, new_merchant(&store).await);
    let record = IdempotencyRecord { fingerprint: Fingerprint::of(&[b"body"]), invoice: invoice.id };
    let key = |number: i64| IdempotencyKey::parse(&format!("3f2504e0-4f89-41d3-9a0c-0305e82c330{number}")).unwrap();
    for (merchant, number, seconds) in
        [(merchant, 1, 10), (merchant, 2, 30), (other, 2, 20), (merchant, 3, 40), (other, 3, 50)]
    {
        let (record, now) = (record.clone(), NOW.plus(seconds));
        store
            .does(move |tx| {
                Box::pin(
                    async move { tx.insert_idempotency_record(merchant, "create", key(number), &record, now).await },
                )
            })
            .await;
    }
    let left = async || {
        let mut left = Vec::new();
        let mut reader = store.reader().await.unwrap();
        for (merchant, number) in [(merchant, 1), (other, 2), (merchant, 2), (merchant, 3), (other, 3)] {
            left.push(reader.tx().idempotency_record(merchant, "create", key(number)).await.unwrap().is_some());
        }
        left
    };
    let prune = async |before: i64, limit| {
        store.does(move |tx| Box::pin(async move { tx.prune_idempotency_keys(NOW.plus(before), limit).await })).await
    };
    assert_eq!(prune(10, 100).await, 0);
    assert_eq!((prune(40, 2).await, left().await), (2, vec![false, false, true, true, true]));
    assert_eq!((prune(40, 2).await, left().await), (1, vec![false, false, false, true, true]));
    assert_eq!(prune(40, 2).await, 0);
}

async fn what_was_paid_is_listed_by_payer_and_network_for_as_long_as_it_counts(store: Store) {
    let merchant = new_merchant(&store).await;
    let mut invoices = Vec::new();
    for number in 1..=4 {
        let created = at(i64::try_from(number).unwrap());
        invoices.push(insert(&store, NewInvoice { created, ..plain(merchant, number) }).await);
    }
    let from = |payer: &str, network: &str, index: usize, block| TransferRecord {
        payer: Some(payer.into()),
        network: network.into(),
        ..transfer(&invoices[index], block, 0)
    };
    store.record(&from("0xAb", "ethereum", 0, 1)).await;
    store.record(&from("0xAb", "ethereum", 1, 2)).await;
    store.record(&from("0xAb", "ethereum", 1, 3)).await;
    store.record(&from("0xAb", "base", 2, 4)).await;
    store.record(&from("0xCd", "base", 1, 5)).await;
    store.record(&TransferRecord { payer: None, ..from("", "base", 3, 6) }).await;

    let places = |found: &[InvoiceRecord]| {
        let place = |it: &InvoiceRecord| invoices.iter().position(|invoice| invoice.id == it.id).unwrap();
        found.iter().map(place).collect::<Vec<_>>()
    };
    let list = async |payer: Option<&str>, payer_network: Option<&str>, part| {
        let filter = InvoiceFilter {
            payer: payer.map(str::to_owned),
            payer_network: payer_network.map(str::to_owned),
            ..InvoiceFilter::default()
        };
        let mut reader = store.reader().await.unwrap();
        let list = reader.tx().invoice_list(merchant, &filter, part, 10).await.unwrap();
        let count = reader.tx().count_invoices(merchant, &filter).await.unwrap();
        let sums = reader.tx().invoice_sums(merchant, &filter).await.unwrap();
        assert_eq!(sums.iter().map(|sum| sum.count).sum::<u64>(), count);
        if part == Part::Newest {
            assert_eq!(count, u64::try_from(list.invoices.len()).unwrap());
        }
        places(&list.invoices)
    };
    let after = Part::OlderThan(InvoiceCursor::of(&invoices[2]));
    assert_eq!(list(Some("0xaB"), None, Part::Newest).await, [2, 1, 0]);
    assert_eq!(list(Some("0xab"), None, after).await, [1, 0]);
    assert_eq!(list(Some("0xcd"), None, Part::Newest).await, [1]);
    assert_eq!(list(None, Some("base"), Part::Newest).await, [3, 2, 1]);
    assert_eq!(list(None, Some("base"), after).await, [1]);
    assert_eq!(list(None, Some("ethereum"), Part::Newest).await, [1, 0]);
    assert_eq!(list(Some("0xAB"), Some("base"), Part::Newest).await, [2]);
    assert_eq!(list(Some("0xCD"), Some("ethereum"), Part::Newest).await, [0; 0]);
    assert_eq!(list(None, Some("solana"), Part::Newest).await, [0; 0]);

    let mut paid = vec![store.invoice_now(&invoices[0]).await];
    for (index, block) in [(1, 5), (3, 6)] {
        let payment = from("", "base", index, block).payment;
        let standing = Standing { locked_by: Some(payment), ..unpaid(UsdMillis::from_millis(20_000)) };
        let invoice = invoices[index].clone();
        store.does(move |tx| Box::pin(async move { tx.save_standing(&invoice, &standing).await })).await;
        paid.push(store.invoice_now(&invoices[index]).await);
    }
    let payers = store.reader().await.unwrap().tx().first_payers(merchant, &paid).await.unwrap();
    let expected = FirstPayer { address: "0xCd".into(), network: "base".into() };
    assert_eq!(payers.into_iter().collect::<Vec<_>>(), [(invoices[1].id, expected)]);

    store.orphans("base", 4).await;
    assert_eq!(list(Some("0xcd"), None, Part::Newest).await, [0; 0]);
    assert_eq!(list(None, Some("base"), Part::Newest).await, [2]);
    // The block comes back.
    store.record(&from("0xCd", "base", 1, 5)).await;
    assert_eq!(list(Some("0xcd"), Some("base"), Part::Newest).await, [1]);
}

async fn invoice_numbers_are_never_given_twice(store: Store) {
    let merchant = new_merchant(&store).await;
    let take = || store.does(move |tx| Box::pin(async move { tx.take_invoice_sequence(merchant).await }));
    let mut taken = join_all((0..64).map(|_| take())).await;
    taken.sort_unstable();
    assert_eq!(taken, (1..=64).collect::<Vec<_>>());
    let nobody = MerchantId(999);
    assert!(store.write(move |tx| Box::pin(async move { tx.take_invoice_sequence(nobody).await })).await.is_err());
}

// Writes

async fn a_failed_write_leaves_nothing(store: Store) {
    let merchant = new_merchant(&store).await;
    let new = plain(merchant, 1);
    let invoice = expected(&new);
    let failed = store.write(move |tx| {
        Box::pin(async move {
            tx.insert_invoice(&new).await?;
            tx.append_event(&event(&expected(&new), "invoice.created")).await?;
            Err::<(), _>(StoreError::UnknownEngine("on purpose".into()))
        })
    });
    assert!(matches!(failed.await, Err(StoreError::UnknownEngine(_))));
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().invoice(merchant, invoice.id).await.unwrap(), None);
    assert!(!reader.tx().has_unnumbered_events().await.unwrap());
}

async fn writes_of_one_group_are_independent(store: Store) {
    let merchant = new_merchant(&store).await;
    let writes = (0..60).map(|number: u64| {
        let new = plain(merchant, number);
        store.write(move |tx| {
            Box::pin(async move {
                tx.insert_invoice(&new).await?;
                match number % 4 {
                    0 => Ok(()),
                    1 => Err(StoreError::UnknownEngine("on purpose".into())),
                    // Refused by the database, and reported.
                    2 => tx.insert_invoice(&new).await,
                    _ => panic!("on purpose"),
                }
            })
        })
    });
    let answers = join_all(writes).await;
    let mut reader = store.reader().await.unwrap();
    for (number, answer) in (0_u64..).zip(answers) {
        let is_there = reader.tx().invoice(merchant, InvoiceId::from_random(id(number))).await.unwrap().is_some();
        assert_eq!(is_there, number % 4 == 0, "{number}");
        match number % 4 {
            0 => answer.unwrap(),
            1 => assert!(matches!(answer, Err(StoreError::UnknownEngine(_)))),
            2 => assert!(matches!(answer, Err(StoreError::Database(_)))),
            _ => assert!(matches!(answer, Err(StoreError::NotCommitted))),
        }
    }
}

async fn hanging_up_does_not_cancel_a_write(store: Store) {
    let merchant = new_merchant(&store).await;
    for number in 0..50 {
        let new = plain(merchant, number);
        // Hands the write over and hangs up at once.
        let hung_up = store.write(move |tx| Box::pin(async move { tx.insert_invoice(&new).await })).now_or_never();
        assert!(hung_up.is_none());
    }
    // Nobody is told when those are done, so this looks until they are.
    let look = async {
        let mut reader = store.reader().await.unwrap();
        for number in 0..50 {
            while reader.tx().invoice(merchant, InvoiceId::from_random(id(number))).await.unwrap().is_none() {}
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), look).await.expect("all are written");
}

async fn a_read_after_a_write_sees_it(store: Store) {
    let merchant = new_merchant(&store).await;
    let mut reader = store.reader().await.unwrap();
    for number in 0..20 {
        let invoice = insert(&store, plain(merchant, number)).await;
        assert!(reader.tx().invoice(merchant, invoice.id).await.unwrap().is_some());
    }
}

async fn merchants_do_not_see_each_other(store: Store) {
    let invoice = new_invoice(&store).await;
    store.record(&transfer(&invoice, 1, 0)).await;
    store.record_a_sweep(&sweep(&invoice, 2)).await;
    store.appends(&event(&invoice, "invoice.created")).await;
    store.numbers().await;
    let other = new_merchant(&store).await;
    assert_ne!(invoice.merchant, other);
    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    assert_eq!(tx.invoice(other, invoice.id).await.unwrap(), None);
    assert_eq!(tx.transfers(other, invoice.id).await.unwrap(), []);
    assert_eq!(tx.sweeps(other, invoice.id).await.unwrap(), []);
    assert_eq!(tx.events_of_invoice(other, invoice.id, 0, 10).await.unwrap(), []);
    assert_eq!(tx.api_keys(other).await.unwrap(), []);

    let stranger = InvoiceRecord { merchant: other, ..invoice.clone() };
    let version = invoice.version;
    let saved = store.does(move |tx| Box::pin(async move { tx.save_standing(&stranger, &stranger.standing).await }));
    assert!(!saved.await);
    assert_eq!(store.invoice_now(&invoice).await.version, version);
}

async fn a_merchant_reads_back_as_written(store: Store) {
    let id = new_merchant(&store).await;
    let read = async || store.reader().await.unwrap().tx().merchant(id).await.unwrap().unwrap();
    let merchant = read().await;
    assert_eq!((merchant.name.as_str(), merchant.email.as_str()), ("Käse & “Co”", "shop@example.com"));
    assert_eq!((merchant.recovery_code, merchant.return_url), ([9; 32], None));
    assert_eq!(merchant.frame_origins, [""; 0]);

    let set = |id, origins: Vec<String>| {
        store.does(move |tx| Box::pin(async move { tx.set_frame_origins(id, &origins).await }))
    };
    let origins = vec!["https://a.example".to_owned(), "https://\"b\".example".to_owned()];
    assert!(set(id, origins.clone()).await);
    assert_eq!(read().await.frame_origins, origins);
    assert!(!set(MerchantId(999), origins).await);
}

// Quotes and facts

async fn quotes_read_back_in_the_order_they_were_made(store: Store) {
    let invoice = new_invoice(&store).await;
    let extremes = [
        ("0", 0, 1, UsdMillis::ZERO),
        (
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
            36,
            u128::MAX,
            UsdMillis::MAX,
        ),
        ("1", 18, 250_000_000_000, UsdMillis::from_millis(1)),
    ];
    let mut written = Vec::new();
    // All in one second, with ids that fall: neither may decide the order.
    for (number, (amount, decimals, rate, covers)) in (0_u64..).zip(extremes) {
        let record = QuoteRecord {
            network: "ethereum".into(),
            reference: (number % 2 == 0).then(|| SolanaAddress::new([u8::try_from(number).unwrap(); 32])),
            opens_account: number % 2 == 1,
            priced_by: (number % 2 == 0).then(|| PriceOrigin {
                network: "base".into(),
                feed: Address::repeat_byte(7),
                round: U256::MAX - U256::from(number),
                block: u64::MAX >> 1,
            }),
            quote: Quote {
                id: QuoteId::from_random(id(100 - number)),
                token: TokenId(i64::MAX),
                decimals: Decimals::new(decimals).unwrap(),
                rate: Rate::from_usd_e8(rate).unwrap(),
                amount: TokenAmount::from_base_units(amount.parse().unwrap()),
                covers,
                created_at: NOW,
                valid_until: UnixSeconds(i64::MAX),
            },
        };
        written.push(record.clone());
        let (merchant, invoice) = (invoice.merchant, invoice.id);
        store.does(move |tx| Box::pin(async move { tx.insert_quote(merchant, invoice, &record).await })).await;
    }
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().quotes(invoice.merchant, invoice.id).await.unwrap(), written);
    assert_eq!(reader.tx().quotes(MerchantId(999), invoice.id).await.unwrap(), []);
}

async fn facts_read_back_as_written(store: Store) {
    let invoice = new_invoice(&store).await;
    let quote = QuoteId::from_random(id(1));
    let mut written = Vec::new();
    for (number, valuation) in (1_u64..).zip([
        Valuation::Quoted { quote, rate: Rate::from_usd_e8(u128::MAX).unwrap() },
        Valuation::Spot { rate: Rate::PAR },
        Valuation::Unpriced,
        Valuation::Unexpected,
    ]) {
        let payer = (number % 2 == 0).then(|| "0xpayer".to_owned());
        let amount = TokenAmount::from_base_units(alloy_primitives::U256::MAX);
        let fact = TransferRecord { valuation, payer, amount, log_index: -1, ..transfer(&invoice, number, 0) };
        assert!(store.record(&fact).await);
        written.push(fact);
    }
    assert_eq!(store.transfers_now(&invoice).await, written);

    let left = sweep(&invoice, 9);
    assert!(store.record_a_sweep(&left).await);
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().sweeps(invoice.merchant, invoice.id).await.unwrap(), [left]);
}

async fn what_has_no_price_is_given_one_once(store: Store) {
    let invoice = new_invoice(&store).await;
    let unpriced = TransferRecord { valuation: Valuation::Unpriced, ..transfer(&invoice, 1, 0) };
    let others =
        [transfer(&invoice, 2, 0), TransferRecord { valuation: Valuation::Unexpected, ..transfer(&invoice, 3, 0) }];
    for fact in others.iter().chain([&unpriced]) {
        assert!(store.record(fact).await);
    }
    let listed =
        async |since: UnixSeconds| store.reader().await.unwrap().tx().unpriced_transfers(since, 10).await.unwrap();
    assert_eq!(listed(unpriced.block_time).await, std::slice::from_ref(&unpriced));
    assert_eq!(listed(unpriced.block_time.plus(1)).await, []);

    let price = async |fact: &TransferRecord| {
        let fact = fact.clone();
        store.does(move |tx| Box::pin(async move { tx.price_transfer(&fact, Rate::PAR).await })).await
    };
    for fact in &others {
        assert!(!price(fact).await, "{:?}", fact.valuation);
    }
    assert!(price(&unpriced).await);
    assert!(!price(&unpriced).await, "it has one");
    assert_eq!(listed(UnixSeconds(0)).await, []);
    let mut facts = store.transfers_now(&invoice).await;
    facts.sort_by_key(|fact| fact.block_number);
    let priced = TransferRecord { valuation: Valuation::Spot { rate: Rate::PAR }, ..unpriced };
    let [second, third] = others;
    assert_eq!(facts, [priced, second, third]);
}

async fn a_fact_recorded_twice_counts_once(store: Store) {
    let invoice = new_invoice(&store).await;
    let fact = transfer(&invoice, 1, 0);
    let recorded = join_all((0..64).map(|_| store.record(&fact))).await;
    assert_eq!(recorded.iter().filter(|new| **new).count(), 1);
    assert_eq!(store.transfers_now(&invoice).await, std::slice::from_ref(&fact));
    // A fact never changes: not its amount, nor what it was valued at.
    let other = TransferRecord { amount: TokenAmount::ZERO, valuation: Valuation::Unpriced, ..fact.clone() };
    assert!(!store.record(&other).await);
    assert_eq!(store.transfers_now(&invoice).await, [fact]);

    assert!(store.record_a_sweep(&sweep(&invoice, 2)).await);
    assert!(!store.record_a_sweep(&sweep(&invoice, 2)).await);
}

async fn an_orphaned_fact_returns_as_it_was(store: Store) {
    let invoice = new_invoice(&store).await;
    let facts = [transfer(&invoice, 1, 0), transfer(&invoice, 2, 0)];
    for fact in &facts {
        store.record(fact).await;
    }
    store.record_a_sweep(&sweep(&invoice, 2)).await;
    let elsewhere = TransferRecord { network: "base".into(), ..transfer(&invoice, 3, 0) };
    store.record(&elsewhere).await;

    assert_eq!(store.orphans("ethereum", 1).await, [invoice.id]);
    assert_eq!(store.orphans("ethereum", 1).await, [], "orphaned once");
    let orphaned = TransferRecord { canonical: false, confirmations: 0, vouched: false, ..facts[1].clone() };
    assert_eq!(store.transfers_now(&invoice).await, [facts[0].clone(), orphaned, elsewhere.clone()]);
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().sweeps(invoice.merchant, invoice.id).await.unwrap(), []);

    let again = TransferRecord { confirmations: 4, ..facts[1].clone() };
    assert!(store.record(&again).await);
    assert_eq!(store.transfers_now(&invoice).await, [facts[0].clone(), again, elsewhere]);
    assert!(store.record_a_sweep(&sweep(&invoice, 2)).await);
    assert_eq!(reader.tx().sweeps(invoice.merchant, invoice.id).await.unwrap(), [sweep(&invoice, 2)]);
}

async fn facts_deepen_until_they_are_final(store: Store) {
    let merchant = new_merchant(&store).await;
    let paid = insert(&store, plain(merchant, 1)).await;
    let swept = insert(&store, plain(merchant, 2)).await;
    let elsewhere = insert(&store, plain(merchant, 3)).await;
    store.record(&transfer(&paid, 10, 0)).await;
    store.record_a_sweep(&sweep(&swept, 11)).await;
    store.record(&TransferRecord { network: "base".into(), ..transfer(&elsewhere, 10, 0) }).await;
    let depth = async || store.transfers_now(&paid).await[0].confirmations;

    assert_eq!(store.deepens("ethereum", 12).await, [paid.id, swept.id]);
    assert_eq!(depth().await, 3);
    assert_eq!(store.deepens("ethereum", 12).await, [], "nothing changed");
    assert_eq!(store.deepens("ethereum", 15).await, [paid.id, swept.id]);
    assert_eq!(depth().await, 6);
    assert_eq!(store.deepens("ethereum", 16).await, [swept.id], "final is deep enough");
    assert_eq!((depth().await, store.deepens("ethereum", 99).await), (6, vec![]));
    assert_eq!(store.transfers_now(&elsewhere).await[0].confirmations, 1);
    store.orphans("ethereum", 9).await;
    assert_eq!(store.deepens("ethereum", 100).await, [], "an orphan does not deepen");
}

async fn a_fact_counts_once_somebody_vouches_for_it(store: Store) {
    let invoice = new_invoice(&store).await;
    let due = invoice.terms.due;
    let fact = TransferRecord { vouched: false, ..transfer(&invoice, 10, 0) };
    store.record(&fact).await;
    let finality = async || store.transfers_now(&invoice).await[0].finality;
    let less = UsdMillis::from_millis(due.as_millis() - 1);
    for enough in [None, Some(less)] {
        store.deepens_by("ethereum", 20, Marks::default(), enough).await;
        assert_eq!(finality().await, Finality::Seen, "however deep");
    }
    let unvouched = async |until| {
        let mut reader = store.reader().await.unwrap();
        let found = reader.tx().unvouched("ethereum", until).await.unwrap();
        found.into_iter().map(|fact| (fact.key, fact.due, fact.single_source)).collect::<Vec<_>>()
    };
    let key = FactKey {
        kind: FactKind::Transfer,
        merchant: fact.merchant,
        block_hash: fact.block_hash.clone(),
        tx_id: fact.tx_id.clone(),
        log_index: fact.log_index,
    };
    assert_eq!((unvouched(9).await, unvouched(10).await), (vec![], vec![(key.clone(), due, None)]));

    let (merchant, told) = (invoice.merchant, key.clone());
    store.does(move |tx| Box::pin(async move { tx.set_single_source(merchant, Some(due)).await })).await;
    assert_eq!(unvouched(10).await, [(key, due, Some(due))]);
    store.does(move |tx| Box::pin(async move { tx.vouch("ethereum", &told).await })).await;
    assert_eq!(unvouched(10).await, []);
    store.deepens_by("ethereum", 12, Marks::default(), None).await;
    assert_eq!(finality().await, Finality::Paid);
    store.orphans("ethereum", 9).await;
    assert!(!store.transfers_now(&invoice).await[0].vouched, "in another block it has to be shown again");
}

async fn what_counted_on_one_word_goes_on_counting(store: Store) {
    let invoice = new_invoice(&store).await;
    store.record(&TransferRecord { vouched: false, ..transfer(&invoice, 10, 0) }).await;
    let finality = async || store.transfers_now(&invoice).await[0].finality;
    store.deepens_by("ethereum", 12, Marks::default(), Some(invoice.terms.due)).await;
    assert_eq!(finality().await, Finality::Paid);
    store.deepens_by("ethereum", 13, Marks::default(), None).await;
    assert_eq!(finality().await, Finality::Paid);
}

async fn a_sweep_is_final_once_somebody_vouches_for_it(store: Store) {
    let invoice = new_invoice(&store).await;
    let fact = SweepRecord { vouched: false, ..sweep(&invoice, 10) };
    store.record_a_sweep(&fact).await;
    let now = async || {
        let mut reader = store.reader().await.unwrap();
        let sweeps = reader.tx().sweeps(invoice.merchant, invoice.id).await.unwrap();
        (sweeps[0].finality, sweeps[0].vouched)
    };
    store.deepens_by("ethereum", 99, Marks::default(), None).await;
    assert_eq!(now().await, (Finality::Seen, false), "however deep");
    let mut reader = store.reader().await.unwrap();
    let unvouched = reader.tx().unvouched("ethereum", 99).await.unwrap();
    assert_eq!((unvouched.len(), unvouched[0].key.kind), (1, FactKind::Sweep));
    let key = unvouched[0].key.clone();
    store.does(move |tx| Box::pin(async move { tx.vouch("ethereum", &key).await })).await;
    store.deepens_by("ethereum", 99, Marks::default(), None).await;
    assert_eq!(now().await, (Finality::Final, true));
    store.orphans("ethereum", 9).await;
    store.record_a_sweep(&fact).await;
    assert_eq!(now().await, (Finality::Seen, false), "in another block it has to be shown again");
}

async fn what_counts_is_never_judged_lower(store: Store) {
    let invoice = new_invoice(&store).await;
    store.record(&transfer(&invoice, 10, 0)).await;
    store.deepens("ethereum", 12).await;
    let finality = async || store.transfers_now(&invoice).await[0].finality;
    assert_eq!(finality().await, Finality::Paid);
    let tag = Some(Tag::Finalized);
    let stricter = Thresholds { paid_after: 9, paid_tag: tag, large: None, final_after: 99, final_tag: tag };
    let judged = async |head, marks, thresholds: &Thresholds| {
        let thresholds = thresholds.clone();
        let deepened =
            store.does(move |tx| Box::pin(async move { tx.deepen("ethereum", head, marks, &thresholds, None).await }));
        deepened.await.len()
    };
    judged(13, Marks::default(), &stricter).await;
    assert_eq!(finality().await, Finality::Paid);
    assert_eq!(judged(13, Marks::default(), &stricter).await, 0, "and nothing is written where nothing changes");
    let marks = Marks { finalized: Mark { newest: Some(10), is_silent: false }, ..Marks::default() };
    judged(18, marks, &stricter).await;
    assert_eq!(finality().await, Finality::Final);
}

async fn facts_that_are_not_final_are_counted_by_network_and_token(store: Store) {
    let invoice = new_invoice(&store).await;
    for (block, token) in [(10, 1), (11, 1), (30, 2)] {
        store.record(&TransferRecord { token: TokenId(token), ..transfer(&invoice, block, 0) }).await;
    }
    store.record(&TransferRecord { network: "base".into(), ..transfer(&invoice, 30, 0) }).await;
    store.record_a_sweep(&sweep(&invoice, 31)).await;
    let counts = async || {
        let mut reader = store.reader().await.unwrap();
        let open = reader.tx().open_facts().await.unwrap();
        open.into_iter().map(|open| (open.network, open.token.0, open.count)).collect::<Vec<_>>()
    };
    let (ethereum, base) = ("ethereum".to_owned(), "base".to_owned());
    let expected = [(base.clone(), 1, 1), (ethereum.clone(), 1, 3), (ethereum.clone(), 2, 1)];
    assert_eq!(counts().await, expected);
    store.deepens("ethereum", 16).await;
    assert_eq!(counts().await, [(base, 1, 1), (ethereum.clone(), 1, 1), (ethereum, 2, 1)]);
    let has_open = async |network| store.reader().await.unwrap().tx().has_open_facts(network).await.unwrap();
    assert_eq!((has_open("ethereum").await, has_open("polygon").await), (true, false));
    store.deepens("ethereum", 99).await;
    assert_eq!((has_open("ethereum").await, has_open("base").await), (false, true));
}

async fn blocks_are_remembered_by_number(store: Store) {
    let (remembered, asked) = (block(9), block(9));
    store.does(move |tx| Box::pin(async move { tx.remember_block("ethereum", &remembered).await })).await;
    let hash =
        async |network, number| store.reader().await.unwrap().tx().remembered_hash(network, number).await.unwrap();
    assert_eq!(hash("ethereum", 9).await, Some(asked.hash));
    assert_eq!((hash("ethereum", 8).await, hash("base", 9).await), (None, None));
}

async fn only_final_transfers_that_no_sweep_took_are_due(store: Store) {
    let invoice = new_invoice(&store).await;
    let due = async || {
        let mut reader = store.reader().await.unwrap();
        !reader.tx().invoices_with_final_transfers("ethereum").await.unwrap().is_empty()
    };
    store.record(&TransferRecord { finality: Finality::Paid, ..transfer(&invoice, 10, 0) }).await;
    assert!(!due().await);
    store.record(&TransferRecord { finality: Finality::Final, ..transfer(&invoice, 9, 0) }).await;
    assert!(due().await);
    for (other, why) in [
        (SweepRecord { amount: TokenAmount::ZERO, ..sweep(&invoice, 20) }, "a sweep of nothing takes nothing"),
        (SweepRecord { token: TokenId(2), ..sweep(&invoice, 21) }, "nor does one of another token"),
        (SweepRecord { network: "base".into(), ..sweep(&invoice, 22) }, "nor one on another network"),
        (sweep(&invoice, 8), "nor one from before"),
    ] {
        store.record_a_sweep(&other).await;
        assert!(due().await, "{why}");
    }
    store.record_a_sweep(&sweep(&invoice, 11)).await;
    assert!(!due().await);
    store.orphans("ethereum", 10).await;
    assert!(due().await, "the sweep was undone");
}

async fn an_announcement_is_known_of_every_fact_of_the_payment(store: Store) {
    let invoice = new_invoice(&store).await;
    let fact = transfer(&invoice, 1, 0);
    let moved = TransferRecord { block_hash: "0xother".into(), log_index: 4, ..fact.clone() };
    let another = transfer(&invoice, 2, 0);
    for fact in [&fact, &moved, &another] {
        store.record(fact).await;
    }
    let (merchant, id, payment) = (invoice.merchant, invoice.id, fact.payment);
    store.does(move |tx| Box::pin(async move { tx.remember_announcement(merchant, id, payment, "told").await })).await;
    let told: Vec<_> = store.transfers_now(&invoice).await.into_iter().map(|fact| fact.announced).collect();
    assert_eq!(told, [Some("told".to_owned()), Some("told".to_owned()), None]);
}

async fn a_cursor_reads_back_where_it_was_moved(store: Store) {
    let cursor = async |network| store.reader().await.unwrap().tx().cursor(network).await.unwrap();
    assert_eq!(cursor("ethereum").await, None);
    let furthest = BlockRef { number: i64::MAX.unsigned_abs(), hash: "0xend".into(), time: UnixSeconds(i64::MAX) };
    for to in [block(7), furthest, block(5)] {
        let moved = to.clone();
        store.does(move |tx| Box::pin(async move { tx.move_cursor("ethereum", &moved, NOW).await })).await;
        assert_eq!(cursor("ethereum").await, Some(to));
    }
    assert_eq!(cursor("base").await, None);
}

async fn the_ring_of_blocks_is_trimmed_at_both_ends(store: Store) {
    store
        .does(|tx| {
            Box::pin(async move {
                for number in 1..=9 {
                    tx.remember_block("ethereum", &block(number)).await?;
                }
                tx.remember_block("base", &block(1)).await?;
                tx.remember_block("ethereum", &BlockRef { hash: "0xreplaced".into(), ..block(5) }).await?;
                tx.keep_blocks("ethereum", 3, 6).await
            })
        })
        .await;
    let blocks = async |network| store.reader().await.unwrap().tx().remembered_blocks(network).await.unwrap();
    let replaced = BlockRef { hash: "0xreplaced".into(), ..block(5) };
    assert_eq!(blocks("ethereum").await, [block(6), replaced, block(4), block(3)]);
    assert_eq!(blocks("base").await, [block(1)]);
}

// Events and deliveries

async fn an_event_reads_back_as_written(store: Store) {
    let invoice = new_invoice(&store).await;
    let full = event(&invoice, "invoice.updated");
    let bare = NewEvent { previous_attributes: None, request_id: None, ..event(&invoice, "invoice.created") };
    store.appends(&full).await;
    store.appends(&bare).await;
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().events_of_invoice(invoice.merchant, invoice.id, 0, 10).await.unwrap(), [], "no number yet");
    assert!(reader.tx().has_unnumbered_events().await.unwrap());
    assert_eq!(store.numbers().await, [1, 2]);
    assert!(!reader.tx().has_unnumbered_events().await.unwrap());
    let read = reader.tx().events_of_invoice(invoice.merchant, invoice.id, 0, 10).await.unwrap();
    assert_eq!(read.len(), 2);
    for (read, written) in read.iter().zip([full, bare]) {
        assert_eq!((read.event_type.as_str(), &read.object), (written.event_type, &written.object));
        assert_eq!(read.previous_attributes, written.previous_attributes);
        assert_eq!((&read.request_id, &read.idempotency_key), (&written.request_id, &written.idempotency_key));
        assert_eq!((read.id.created, read.environment.as_str()), (NOW_MS, "devnet"));
    }
}

async fn events_are_numbered_without_gaps_in_the_order_of_their_commits(store: Store) {
    let merchant = new_merchant(&store).await;
    let mut invoices = Vec::new();
    for number in 0..8 {
        invoices.push(insert(&store, plain(merchant, number)).await);
    }
    // Each write knows its place among those that were committed before it, and a third of them fail
    // after they wrote their event; numbering goes on meanwhile.
    let writes = (0..64_usize).map(|number| {
        let invoice = invoices[number % 8].clone();
        store.write(move |tx| {
            Box::pin(async move {
                let row = sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'place' RETURNING value")
                    .fetch_one(&mut *tx.connection)
                    .await?;
                let place = sqlx::Row::get::<i64, _>(&row, 0).to_string();
                tx.append_event(&NewEvent { object: place, ..event(&invoice, "invoice.updated") }).await?;
                if number % 3 == 0 { Err(StoreError::NotCommitted) } else { Ok(()) }
            })
        })
    });
    store
        .does(|tx| {
            Box::pin(async move {
                sqlx::query("INSERT INTO counters (name, value) VALUES ('place', 0)")
                    .execute(&mut *tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await;
    let numbering = async {
        let mut numbers = Vec::new();
        for _ in 0..20 {
            numbers.extend(store.numbers().await);
        }
        numbers
    };
    let (answers, mut numbers) = tokio::join!(join_all(writes), numbering);
    numbers.extend(store.numbers().await);
    let committed = i64::try_from(answers.iter().filter(|answer| answer.is_ok()).count()).unwrap();
    assert_eq!(committed, 42);
    assert_eq!(numbers, (1..=committed).collect::<Vec<_>>());

    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().last_event_sequence().await.unwrap(), committed);
    let mut log = Vec::new();
    for invoice in &invoices {
        let events = reader.tx().events_of_invoice(merchant, invoice.id, 0, 100).await.unwrap();
        assert!(events.is_sorted_by_key(|event| event.id.sequence));
        log.extend(events.into_iter().map(|event| (event.id.sequence, event.object.parse::<i64>().unwrap())));
    }
    log.sort_unstable();
    assert!(log.is_sorted_by_key(|(_, place)| *place), "numbers follow the commits: {log:?}");
}

async fn an_invoices_events_are_read_from_any_number_on(store: Store) {
    let merchant = new_merchant(&store).await;
    let (ours, theirs) = (insert(&store, plain(merchant, 1)).await, insert(&store, plain(merchant, 2)).await);
    for invoice in [&ours, &theirs, &ours, &ours] {
        store.appends(&event(invoice, "invoice.updated")).await;
    }
    store.numbers().await;
    let read = async |after, limit| {
        let mut reader = store.reader().await.unwrap();
        let events = reader.tx().events_of_invoice(merchant, ours.id, after, limit).await.unwrap();
        events.into_iter().map(|event| event.id.sequence).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 10).await, [1, 3, 4]);
    assert_eq!(read(1, 10).await, [3, 4]);
    assert_eq!(read(0, 2).await, [1, 3]);
    assert_eq!(read(4, 10).await, [0; 0]);
}

async fn the_log_is_listed_from_either_side_of_an_event(store: Store) {
    let invoice = new_invoice(&store).await;
    let merchant = invoice.merchant;
    for event_type in ["invoice.created", "invoice_payment.created", "invoice.updated"] {
        store.appends(&event(&invoice, event_type)).await;
    }
    store.numbers().await;
    listen(&store, merchant).await;
    store.appends(&event(&invoice, "invoice.updated")).await;
    store.numbers().await;
    let id = |sequence| EventId { created: NOW_MS, sequence };
    let list = async |types: &[EventTypes], part, limit| {
        let created = CreatedBetween { from: Some(NOW_MS), to: Some(NOW_MS) };
        let environment = Some(Environment::Devnet);
        let filter = EventFilter {
            types: types.to_vec(),
            invoice: Some(invoice.id),
            environment,
            created,
            ..EventFilter::default()
        };
        let mut reader = store.reader().await.unwrap();
        let (events, has_more) = reader.tx().event_list(merchant, &filter, part, limit).await.unwrap();
        (events.into_iter().map(|event| event.id.sequence).collect::<Vec<_>>(), has_more)
    };
    let below = [EventTypes::Below("invoice.".into())];
    assert_eq!(list(&[], EventPart::Newest, 3).await, (vec![4, 3, 2], true));
    assert_eq!(list(&[EventTypes::All], EventPart::Before(id(3)), 3).await, (vec![2, 1], false));
    assert_eq!(list(&below, EventPart::After(id(1)), 1).await, (vec![3], true));
    assert_eq!(list(&below, EventPart::Newest, 4).await, (vec![4, 3, 1], false));
    let one = [EventTypes::One("invoice_payment.created".into()), EventTypes::One("other".into())];
    assert_eq!(list(&one, EventPart::Newest, 4).await, (vec![2], false));

    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    assert_eq!(tx.event(merchant, id(2)).await.unwrap().unwrap().event_type, "invoice_payment.created");
    let other_time = EventId { created: UnixMillis(NOW_MS.0 + 1), sequence: 2 };
    assert_eq!(tx.event(merchant, other_time).await.unwrap(), None);
    assert_eq!(tx.event(MerchantId(merchant.0 + 1), id(2)).await.unwrap(), None);
    let pending =
        [tx.pending_webhooks(merchant, id(3)).await.unwrap(), tx.pending_webhooks(merchant, id(4)).await.unwrap()];
    assert_eq!(pending, [0, 1]);
}

async fn lists_of_several_statuses_and_environments_are_one_list(store: Store) {
    let merchant = new_merchant(&store).await;
    let mut invoices = Vec::new();
    for number in 1..=6 {
        let environment = if number % 2 == 0 { Environment::Mainnet } else { Environment::Devnet };
        // Two of each second, so that the id decides between them.
        let created = at(i64::try_from(number).unwrap() / 2);
        let invoice = insert(&store, NewInvoice { environment, created, ..plain(merchant, number) }).await;
        invoices.insert(0, invoice);
    }
    let paid = Standing { status: InvoiceStatus::Paid, ..unpaid(UsdMillis::from_millis(20_000)) };
    let changed = invoices[2].clone();
    store.does(move |tx| Box::pin(async move { tx.save_standing(&changed, &paid).await })).await;
    store.record(&transfer(&invoices[2], 1, 0)).await;

    let ids = |range: std::ops::Range<usize>| invoices[range].iter().map(|invoice| invoice.id).collect::<Vec<_>>();
    let list = async |filter: &InvoiceFilter, part, limit| {
        let mut reader = store.reader().await.unwrap();
        let list = reader.tx().invoice_list(merchant, filter, part, limit).await.unwrap();
        (list.invoices.iter().map(|invoice| invoice.id).collect::<Vec<_>>(), list.has_more)
    };
    let statuses = vec![InvoiceStatus::Paid, InvoiceStatus::Unpaid];
    let place = |index: usize| InvoiceCursor::of(&invoices[index]);
    for filter in [InvoiceFilter::default(), InvoiceFilter { statuses, ..InvoiceFilter::default() }] {
        assert_eq!(list(&filter, Part::Newest, 6).await, (ids(0..6), false));
        assert_eq!(list(&filter, Part::OlderThan(place(1)), 2).await, (ids(2..4), true));
        assert_eq!(list(&filter, Part::NewerThan(place(4)), 3).await, (ids(1..4), true));
        assert_eq!(list(&filter, Part::NewerThan(place(2)), 3).await, (ids(0..2), false));
        assert_eq!(list(&filter, Part::Skip(4), 3).await, (ids(4..6), false));
        let mut reader = store.reader().await.unwrap();
        assert_eq!(reader.tx().count_invoices(merchant, &filter).await.unwrap(), 6);
        let mut sums = reader.tx().invoice_sums(merchant, &filter).await.unwrap();
        sums.sort_unstable_by_key(|sum| sum.count);
        let sum = |status, count| StatusSum { status, count, due: UsdMillis::from_millis(count * 20_000) };
        assert_eq!(sums, [sum(InvoiceStatus::Paid, 1), sum(InvoiceStatus::Unpaid, 5)]);
    }
    let payer = InvoiceFilter {
        payer: Some("0xPAYER".into()),
        payer_network: Some("ethereum".into()),
        created: CreatedBetween { from: Some(at(0)), to: Some(at(9)) },
        ..InvoiceFilter::default()
    };
    for part in [Part::Newest, Part::OlderThan(place(0)), Part::NewerThan(place(5)), Part::Skip(0)] {
        assert_eq!(list(&payer, part, 6).await, (ids(2..3), false), "{part:?}");
    }
}

async fn numbers_are_given_in_batches(store: Store) {
    let invoice = new_invoice(&store).await;
    for _ in 0..3 {
        store.appends(&event(&invoice, "invoice.updated")).await;
    }
    let two = store.does(|tx| Box::pin(async move { tx.number_events(2).await })).await;
    assert_eq!(two, [(invoice.merchant, Some(invoice.id), 1), (invoice.merchant, Some(invoice.id), 2)]);
    assert_eq!((store.numbers().await, store.numbers().await), (vec![3], vec![]));
}

async fn deliveries_are_queued_with_their_event_or_not_at_all(store: Store) {
    let invoice = new_invoice(&store).await;
    let pending =
        async || store.reader().await.unwrap().tx().pending_deliveries(invoice.merchant, invoice.id).await.unwrap();
    store.appends(&event(&invoice, "invoice.created")).await;
    assert_eq!(pending().await, 0, "nobody listens yet");
    let endpoint = listen(&store, invoice.merchant).await;
    let failing = event(&invoice, "invoice.updated");
    let failed = store.write(move |tx| {
        Box::pin(async move {
            tx.append_event(&failing).await?;
            Err::<(), _>(StoreError::NotCommitted)
        })
    });
    assert!(failed.await.is_err());
    assert_eq!(pending().await, 0);
    store.appends(&event(&invoice, "invoice.updated")).await;
    assert_eq!(pending().await, 1);
    assert_eq!((store.claims(0).await.len(), store.next_due_at().await), (0, None), "it has no number yet");

    store.numbers().await;
    let claimed = store.claims(0).await;
    assert_eq!(sequences(&claimed), [2]);
    let due = &claimed[0];
    assert_eq!(due.endpoint, endpoint);
    assert_eq!((due.attempts, due.event.event_type.as_str()), (0, "invoice.updated"));
}

async fn a_delivery_is_claimed_once(store: Store) {
    let merchant = new_merchant(&store).await;
    for number in 0..40 {
        let invoice = insert(&store, plain(merchant, number)).await;
        owe(&store, &invoice, 1).await;
    }
    let claims = (0..16).map(|_| store.claims_as("n1", 0, 7));
    let mut claimed = sequences(&join_all(claims).await.into_iter().flatten().collect::<Vec<_>>());
    claimed.sort_unstable();
    assert_eq!(claimed, (1..=40).collect::<Vec<_>>());
}

async fn a_lapsed_lease_makes_a_delivery_due_again(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 2).await;
    assert_eq!(sequences(&store.claims(0).await), [1]);
    assert_eq!(sequences(&store.claims(29).await), [0; 0]);
    assert_eq!(store.next_due_at().await, Some(30));
    // Much later, after the process died: still in order, for the first was never finished.
    let claimed = store.claims(500).await;
    assert_eq!((sequences(&claimed), claimed[0].attempts), (vec![1], 0));
}

async fn settled_deliveries_are_owed_no_more(store: Store) {
    let merchant = new_merchant(&store).await;
    for (number, state) in [(1, "delivered"), (2, "exhausted")] {
        let invoice = insert(&store, plain(merchant, number)).await;
        owe(&store, &invoice, 1).await;
        let first = store.claims(0).await.pop().unwrap();
        let overlapping = store.claims(30).await.pop().unwrap();
        store.settles(overlapping, state, None).await;
        store.settles(first, "pending", Some(60)).await;
        assert_eq!((store.claims(1000).await.len(), store.next_due_at().await), (0, None));
    }
}

async fn an_invoices_events_are_delivered_one_after_the_other(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 3).await;
    // However long ago they were written: the server may have been down.
    for (now, expected) in [(100, 1), (101, 2), (102, 3)] {
        let mut claimed = store.claims(now).await;
        assert_eq!(sequences(&claimed), [expected]);
        assert_eq!(sequences(&store.claims(now).await), [0; 0]);
        store.settles(claimed.remove(0), "delivered", None).await;
    }
}

async fn an_event_that_keeps_failing_is_passed_after_a_minute(store: Store) {
    let invoice = new_invoice(&store).await;
    owe(&store, &invoice, 2).await;
    let first = store.claims(100).await.remove(0);
    store.settles(first, "pending", Some(105)).await;
    assert_eq!(store.next_due_at().await, Some(105));
    let again = store.claims(105).await;
    assert_eq!(sequences(&again), [1], "the second waits for the retry");
    assert_eq!(again[0].attempts, 1);
    store.settles(again.into_iter().next().unwrap(), "pending", Some(405)).await;
    assert_eq!(sequences(&store.claims(159).await), [0; 0]);
    assert_eq!(store.next_due_at().await, Some(160), "the second is what is waited for");
    assert_eq!(sequences(&store.claims(160).await), [2]);
}

async fn a_failing_event_holds_back_no_other_invoice(store: Store) {
    let merchant = new_merchant(&store).await;
    let (stuck, free) = (insert(&store, plain(merchant, 1)).await, insert(&store, plain(merchant, 2)).await);
    owe(&store, &stuck, 2).await;
    owe(&store, &free, 2).await;
    let claimed = store.claims(0).await;
    assert_eq!(sequences(&claimed), [1, 3]);
    for delivery in claimed {
        let (state, due) =
            if delivery.event.invoice == Some(stuck.id) { ("pending", Some(300)) } else { ("delivered", None) };
        store.settles(delivery, state, due).await;
    }
    assert_eq!(sequences(&store.claims(1).await), [4]);
}

// Credentials

async fn a_stream_token_opens_its_stream_until_it_is_forgotten(store: Store) {
    let invoice = new_invoice(&store).await;
    let (old, new) = (CredentialHash::of("old"), CredentialHash::of("new"));
    let session = |expires_at| StreamSession { merchant: invoice.merchant, invoice: invoice.id, expires_at };
    for (hash, session) in [(old, session(UnixSeconds(99))), (new, session(UnixSeconds(100)))] {
        store
            .does(move |tx| Box::pin(async move { tx.insert_stream_token(hash, &session, UnixMillis(0)).await }))
            .await;
    }
    let read = async |hash| store.reader().await.unwrap().tx().stream_session(hash).await.unwrap();
    assert_eq!(read(old).await, Some(session(UnixSeconds(99))));
    assert_eq!(read(CredentialHash::of("other")).await, None);
    let forgotten = store.does(|tx| Box::pin(async move { tx.forget_stream_tokens(UnixSeconds(100), 9).await })).await;
    assert_eq!(forgotten, 1);
    assert_eq!((read(old).await, read(new).await), (None, Some(session(UnixSeconds(100)))));
}

async fn of_an_invoice_s_stream_tokens_the_newest_are_kept(store: Store) {
    let invoice = new_invoice(&store).await;
    let other = insert(&store, plain(invoice.merchant, 2)).await;
    let remember = async |of: &InvoiceRecord, name: &str, created| {
        let hash = CredentialHash::of(name);
        let session = StreamSession { merchant: of.merchant, invoice: of.id, expires_at: UnixSeconds(99) };
        let created = UnixMillis(created);
        store.does(move |tx| Box::pin(async move { tx.insert_stream_token(hash, &session, created).await })).await;
    };
    remember(&other, "other", 0).await;
    for (name, created) in [("second", 2), ("third", 3), ("first", 1)] {
        remember(&invoice, name, created).await;
    }
    let (merchant, id) = (invoice.merchant, invoice.id);
    let forgotten =
        store.does(move |tx| Box::pin(async move { tx.forget_older_stream_tokens(merchant, id, 2).await })).await;
    assert_eq!(forgotten, 1);
    for (name, is_kept) in [("first", false), ("second", true), ("third", true), ("other", true)] {
        let found = store.reader().await.unwrap().tx().stream_session(CredentialHash::of(name)).await.unwrap();
        assert_eq!(found.is_some(), is_kept, "{name}");
    }
}

async fn the_use_of_a_key_is_noted_once_in_a_while(store: Store) {
    let merchant = new_merchant(&store).await;
    let (hash, id) = (CredentialHash::of("pk_2"), ApiKeyId::from_random(id(2)));
    let key = api_key(merchant, id, hash);
    store.does(move |tx| Box::pin(async move { tx.insert_api_key(&key).await })).await;
    for (after, expected) in [(0, 0), (59, 0), (60, 60), (61, 60)] {
        let now = NOW.plus(after);
        store.does(move |tx| Box::pin(async move { tx.note_api_key_use(merchant, id, now, 60).await })).await;
        let key = store.reader().await.unwrap().tx().api_key(hash).await.unwrap().unwrap();
        assert_eq!(key.last_used_at, Some(NOW.plus(expected)), "{after}");
    }
}

async fn a_key_is_revoked_once_and_for_good(store: Store) {
    let merchant = new_merchant(&store).await;
    let (hash, id) = (CredentialHash::of("pk_1"), ApiKeyId::from_random(id(1)));
    let key = api_key(merchant, id, hash);
    store.does(move |tx| Box::pin(async move { tx.insert_api_key(&key).await })).await;
    let read = async || store.reader().await.unwrap().tx().api_key(hash).await.unwrap().unwrap();
    let fresh = read().await;
    assert_eq!((fresh.merchant, fresh.id, fresh.name.as_str(), fresh.hint.as_str()), (merchant, id, "shop", "abcd"));
    assert_eq!((fresh.created_at, fresh.last_used_at, fresh.life), (NOW, None, KeyLife::default()));

    let other = new_merchant(&store).await;
    for (owner, now, reason, expected) in
        [(other, NOW, "not theirs", false), (merchant, NOW, "leaked", true), (merchant, NOW.plus(5), "again", false)]
    {
        let revoke =
            store.does(move |tx| Box::pin(async move { tx.revoke_api_key(owner, id, Some(reason), now).await }));
        assert_eq!(revoke.await, expected, "{reason}");
    }
    let revoked = read().await;
    assert_eq!((revoked.life.revoked_at, revoked.revoked_reason.as_deref()), (Some(NOW), Some("leaked")));
    assert_eq!(revoked.status(), KeyStatus::Revoked);
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().api_keys(merchant).await.unwrap(), [read().await]);
    assert_eq!(reader.tx().api_key(CredentialHash::of("pk_2")).await.unwrap(), None);
}

async fn a_key_reads_back_with_what_it_opens(store: Store) {
    let merchant = new_merchant(&store).await;
    let name = IdempotencyKey::parse("3f2504e0-4f89-41d3-9a0c-0305e82c3301").unwrap();
    let request = (name, Fingerprint::of(&[b"body"]));
    let (hash, id) = (CredentialHash::of("ck_1"), ApiKeyId::from_random(id(1)));
    let key = NewApiKey {
        scope: Scope::Commerce,
        environment: Environment::Mainnet,
        rights: Right::ALL.into_iter().collect(),
        expires_at: Some(UnixSeconds(i64::MAX)),
        request: Some(request),
        ..api_key(merchant, id, hash)
    };
    store.does(move |tx| Box::pin(async move { tx.insert_api_key(&key).await })).await;
    let mut reader = store.reader().await.unwrap();
    let read = reader.tx().api_key(hash).await.unwrap().unwrap();
    assert_eq!((read.hash, read.scope, read.environment), (hash, Scope::Commerce, Some(Environment::Mainnet)));
    assert_eq!(read.rights, Right::ALL.into_iter().collect());
    assert_eq!(read.life, KeyLife { expires_at: Some(UnixSeconds(i64::MAX)), ..KeyLife::default() });
    assert_eq!(reader.tx().api_key_of(merchant, id).await.unwrap(), Some(read));
    assert_eq!(reader.tx().merchant_of_api_key(id).await.unwrap(), Some(merchant));
    assert_eq!(reader.tx().api_key_of_request(merchant, name).await.unwrap(), Some((id, request.1)));

    let other = new_merchant(&store).await;
    assert_eq!(reader.tx().api_key_of(other, id).await.unwrap(), None);
    assert_eq!(reader.tx().api_key_of_request(other, name).await.unwrap(), None);
    assert_eq!(reader.tx().merchant_of_api_key(ApiKeyId::from_random(self::id(2))).await.unwrap(), None);
}

async fn a_request_makes_one_key(store: Store) {
    let merchant = new_merchant(&store).await;
    let name = IdempotencyKey::parse("3f2504e0-4f89-41d3-9a0c-0305e82c3301").unwrap();
    let insert = async |merchant, number| {
        let key = NewApiKey {
            request: Some((name, Fingerprint::of(&[]))),
            ..api_key(merchant, ApiKeyId::from_random(id(number)), CredentialHash::of(&number.to_string()))
        };
        store.write(move |tx| Box::pin(async move { tx.insert_api_key(&key).await })).await
    };
    insert(merchant, 1).await.unwrap();
    assert!(insert(merchant, 2).await.is_err());
    insert(new_merchant(&store).await, 3).await.unwrap();
}

async fn a_suspended_key_can_be_resumed_and_a_revoked_one_cannot(store: Store) {
    let merchant = new_merchant(&store).await;
    let other = new_merchant(&store).await;
    let (hash, id) = (CredentialHash::of("pk_1"), ApiKeyId::from_random(id(1)));
    let key = api_key(merchant, id, hash);
    store.does(move |tx| Box::pin(async move { tx.insert_api_key(&key).await })).await;
    let suspend =
        async |owner| store.does(move |tx| Box::pin(async move { tx.suspend_api_key(owner, id, NOW).await })).await;
    let resume = async |owner| store.does(move |tx| Box::pin(async move { tx.resume_api_key(owner, id).await })).await;
    let status = async || store.reader().await.unwrap().tx().api_key(hash).await.unwrap().unwrap().status();
    assert!(!suspend(other).await && !resume(merchant).await);
    assert!(suspend(merchant).await && !suspend(merchant).await);
    assert_eq!(status().await, KeyStatus::Suspended);
    assert!(!resume(other).await && resume(merchant).await);
    assert_eq!(status().await, KeyStatus::Active);
    assert!(suspend(merchant).await);
    assert!(store.does(move |tx| Box::pin(async move { tx.revoke_api_key(merchant, id, None, NOW).await })).await);
    assert!(!resume(merchant).await && !suspend(merchant).await);
    assert_eq!(status().await, KeyStatus::Revoked);
}

async fn only_keys_that_open_something_or_will_again_count(store: Store) {
    let merchant = new_merchant(&store).await;
    let insert = async |number, merchant, scope, expires_at: Option<UnixSeconds>| {
        let key = NewApiKey {
            scope,
            expires_at,
            ..api_key(merchant, ApiKeyId::from_random(id(number)), CredentialHash::of(&number.to_string()))
        };
        store.does(move |tx| Box::pin(async move { tx.insert_api_key(&key).await })).await;
        ApiKeyId::from_random(id(number))
    };
    insert(1, merchant, Scope::Merchant, None).await;
    insert(2, merchant, Scope::Merchant, Some(NOW.plus(1))).await;
    insert(3, merchant, Scope::Merchant, Some(NOW)).await;
    insert(4, merchant, Scope::Commerce, None).await;
    insert(5, new_merchant(&store).await, Scope::Merchant, None).await;
    let revoked = insert(6, merchant, Scope::Merchant, None).await;
    let suspended = insert(7, merchant, Scope::Merchant, None).await;
    store
        .does(move |tx| {
            Box::pin(async move {
                tx.revoke_api_key(merchant, revoked, None, NOW).await?;
                tx.suspend_api_key(merchant, suspended, NOW).await
            })
        })
        .await;
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().count_api_keys_in_force(merchant, Scope::Merchant, NOW).await.unwrap(), 3);
    assert_eq!(reader.tx().count_api_keys_in_force(merchant, Scope::Commerce, NOW).await.unwrap(), 1);
}

async fn a_dashboard_token_reads_back_until_it_is_forgotten(store: Store) {
    let merchant = new_merchant(&store).await;
    let other = new_merchant(&store).await;
    let token = |number, merchant, expires_at| DashboardTokenRecord {
        merchant,
        id: DashboardTokenId::from_random(id(number)),
        hash: CredentialHash::of(&number.to_string()),
        created_at: NOW.plus(i64::try_from(number).unwrap()),
        expires_at,
        revoked_at: None,
    };
    let tokens = [token(1, merchant, NOW), token(2, merchant, NOW.plus(1)), token(3, other, NOW)];
    for token in tokens.clone() {
        store.does(move |tx| Box::pin(async move { tx.insert_dashboard_token(&token).await })).await;
    }
    let read = async |token: &DashboardTokenRecord| {
        store.reader().await.unwrap().tx().dashboard_token(token.hash).await.unwrap()
    };
    for token in &tokens {
        assert_eq!(read(token).await.as_ref(), Some(token));
    }
    let listed = store.reader().await.unwrap().tx().dashboard_tokens(merchant).await.unwrap();
    assert_eq!(listed, [tokens[1].clone(), tokens[0].clone()]);

    let id = tokens[1].id;
    let revoke =
        async |now| store.does(move |tx| Box::pin(async move { tx.revoke_dashboard_token(id, now).await })).await;
    assert!(revoke(NOW).await && !revoke(NOW.plus(5)).await);
    assert_eq!(read(&tokens[1]).await.unwrap().revoked_at, Some(NOW));
    assert_eq!(read(&tokens[2]).await.unwrap().revoked_at, None);

    let before = NOW.plus(1);
    let forgotten =
        store.does(move |tx| Box::pin(async move { tx.forget_dashboard_tokens(merchant, before).await })).await;
    assert_eq!(forgotten, 1);
    assert_eq!(read(&tokens[0]).await, None);
    assert!(read(&tokens[1]).await.is_some() && read(&tokens[2]).await.is_some());
    let nobodys = token(4, MerchantId(999), NOW);
    assert!(store.write(move |tx| Box::pin(async move { tx.insert_dashboard_token(&nobodys).await })).await.is_err());
}

async fn a_credential_belongs_to_a_merchant_that_exists(store: Store) {
    let nobody = MerchantId(999);
    let key = api_key(nobody, ApiKeyId::from_random(id(1)), CredentialHash::of("x"));
    assert!(store.write(move |tx| Box::pin(async move { tx.insert_api_key(&key).await })).await.is_err());
    let new = plain(nobody, 1);
    assert!(store.write(move |tx| Box::pin(async move { tx.insert_invoice(&new).await })).await.is_err());
}

async fn a_row_that_makes_no_sense_names_its_table_and_column(store: Store) {
    let invoice = new_invoice(&store).await;
    store.record(&transfer(&invoice, 1, 0)).await;
    for (spoil, table, column, value) in [
        ("UPDATE invoices SET status = 'lost'", "invoices", "status", "lost"),
        ("UPDATE invoices SET status = 'paid', credit = -1", "invoices", "credit", "-1"),
        ("UPDATE invoices SET credit = 0, late = 2", "invoices", "late", "2"),
        ("UPDATE invoices SET late = 0, receiver = '0x12'", "invoices", "receiver", "0x12"),
        ("UPDATE transfers SET amount = '1.5'", "transfers", "amount", "1.5"),
        ("UPDATE transfers SET amount = '1', rate = '0'", "transfers", "rate", "0"),
        ("UPDATE transfers SET rate = NULL", "transfers", "valuation", "spot"),
    ] {
        store
            .does(move |tx| {
                Box::pin(async move {
                    sqlx::query(spoil).execute(&mut *tx.connection).await?;
                    Ok(())
                })
            })
            .await;
        let mut reader = store.reader().await.unwrap();
        let error = match table {
            "invoices" => reader.tx().invoice(invoice.merchant, invoice.id).await.unwrap_err(),
            _ => reader.tx().transfers(invoice.merchant, invoice.id).await.unwrap_err(),
        };
        assert_eq!(error.to_string(), format!("column {column} of {table} makes no sense: {value}"));
    }
}

/// Makes a test of every promise for an engine; `$open` gives an empty store, and whatever must live as
/// long as it does.
macro_rules! store_contract {
    ($open:path) => {
        store_contract!($open:
            an_invoice_reads_back_as_written,
            a_standing_reads_back_as_saved_and_raises_the_version,
            a_standing_made_from_an_older_version_is_refused,
            of_many_that_add_to_an_invoice_none_is_lost,
            a_watched_invoice_is_never_watched_for_less,
            an_invoice_s_version_rises_with_its_quotes_and_its_standing,
            only_open_invoices_are_past_their_time,
            a_network_is_awaited_while_a_payment_may_come_or_is_not_final,
            an_idempotency_key_can_be_used_once,
            the_oldest_idempotency_keys_are_pruned_and_no_others,
            what_was_paid_is_listed_by_payer_and_network_for_as_long_as_it_counts,
            invoice_numbers_are_never_given_twice,
            a_failed_write_leaves_nothing,
            writes_of_one_group_are_independent,
            hanging_up_does_not_cancel_a_write,
            a_read_after_a_write_sees_it,
            merchants_do_not_see_each_other,
            a_merchant_reads_back_as_written,
            quotes_read_back_in_the_order_they_were_made,
            facts_read_back_as_written,
            what_has_no_price_is_given_one_once,
            a_fact_recorded_twice_counts_once,
            an_orphaned_fact_returns_as_it_was,
            facts_deepen_until_they_are_final,
            a_fact_counts_once_somebody_vouches_for_it,
            what_counted_on_one_word_goes_on_counting,
            a_sweep_is_final_once_somebody_vouches_for_it,
            what_counts_is_never_judged_lower,
            facts_that_are_not_final_are_counted_by_network_and_token,
            blocks_are_remembered_by_number,
            only_final_transfers_that_no_sweep_took_are_due,
            an_announcement_is_known_of_every_fact_of_the_payment,
            a_cursor_reads_back_where_it_was_moved,
            the_ring_of_blocks_is_trimmed_at_both_ends,
            an_event_reads_back_as_written,
            events_are_numbered_without_gaps_in_the_order_of_their_commits,
            an_invoices_events_are_read_from_any_number_on,
            the_log_is_listed_from_either_side_of_an_event,
            lists_of_several_statuses_and_environments_are_one_list,
            numbers_are_given_in_batches,
            deliveries_are_queued_with_their_event_or_not_at_all,
            a_delivery_is_claimed_once,
            a_lapsed_lease_makes_a_delivery_due_again,
            settled_deliveries_are_owed_no_more,
            an_invoices_events_are_delivered_one_after_the_other,
            an_event_that_keeps_failing_is_passed_after_a_minute,
            a_failing_event_holds_back_no_other_invoice,
            a_stream_token_opens_its_stream_until_it_is_forgotten,
            the_log_is_followed_in_parts_that_leave_out_nothing,
            a_list_of_some_kinds_is_one_list,
            events_of_a_time_are_found_whatever_order_they_were_numbered_in,
            old_events_are_removed_in_steps_and_it_is_known_up_to_where,
            an_event_is_kept_for_as_long_as_a_webhook_of_it_is_owed,
            a_merchant_s_stream_token_reads_back_until_it_is_forgotten,
            a_credential_opens_streams_until_it_is_revoked_suspended_or_over,
            of_an_invoice_s_stream_tokens_the_newest_are_kept,
            the_use_of_a_key_is_noted_once_in_a_while,
            a_key_is_revoked_once_and_for_good,
            a_key_reads_back_with_what_it_opens,
            a_request_makes_one_key,
            a_suspended_key_can_be_resumed_and_a_revoked_one_cannot,
            only_keys_that_open_something_or_will_again_count,
            a_dashboard_token_reads_back_until_it_is_forgotten,
            a_credential_belongs_to_a_merchant_that_exists,
            a_row_that_makes_no_sense_names_its_table_and_column,
            a_comparison_reads_back_and_goes_back_with_the_chain,
            what_addresses_hold_is_summed_up_from_facts_on_the_chain,
            addresses_of_ended_invoices_are_gone_through_in_parts,
            invoices_whose_time_was_up_between_two_blocks_are_known,
            a_difference_is_known_until_it_is_none,
            an_invoice_has_one_search_and_it_is_due_when_it_says,
        );
    };
    ($open:path: $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (store, _held) = $open().await;
                super::$promise(store).await;
            }
        )+
    };
}

mod sqlite {
    use crate::{store::Store, testing::TempDir};

    async fn open() -> (Store, TempDir) {
        let dir = TempDir::new();
        let (store, _) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
        (store, dir)
    }

    store_contract!(open);
}

mod postgres {
    use crate::store::Store;

    async fn open() -> (Store, ()) {
        let (store, _) = Store::open(&postgres_cluster::new_database()).await.unwrap();
        (store, ())
    }

    store_contract!(open);
}

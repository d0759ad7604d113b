//! The verbs on a real database, with hand-made scans in place of a chain.

use alloy_primitives::Address;
use domain::{
    finality::Marks,
    id::{MerchantId, PaymentId, QuoteId, TokenId},
    idempotency::{Fingerprint, IdempotencyKey},
    invoice::{InvoiceStatus, PaymentStatus},
    money::{Decimals, Rate, TokenAmount, UsdMillis},
    quote::Quote,
    settlement::SettlementStatus,
    signature::ServerSecret,
    time::UnixSeconds,
    transfer::Valuation,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection;

use super::{
    Case, Compared, CreateError, CreateInvoice, Origin, RecordError, Scan, SeenSweep, SeenTransfer, create,
    expire::end_due_invoices, record_scan,
};
use crate::{
    app::App,
    clock::TestClock,
    config::Config,
    nodes,
    store::{BlockRef, InvoiceRecord, Lease, NewMerchant, QuoteRecord, StoreError},
    testing::{Log, TestDatabase},
};

const USDC: TokenId = TokenId(1);
const ETHER: TokenId = TokenId(2);

/// A server with one merchant and an invoice of 20 dollars, and the chain it is paid on.
struct World {
    app: App,
    clock: TestClock,
    invoice: InvoiceRecord,
    /// Time of block 0.
    start: UnixSeconds,
    /// Events seen by [`World::news`].
    seen: i64,
    /// For all that only one node may do.
    lease: Lease,
    _database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::new();
        let config: Config = toml::from_str(&format!(
            r#"
            environment = "devnet"
            [storage]
            database_url = "{}"
            [[networks]]
            name = "ethereum"
            title = "Ethereum"
            chain_id = 31337
            rpc = ["http://127.0.0.1:1"]
            paid_after = 3
            final_after = 6
            tokens = [
                {{ id = 1, symbol = "USDC", name = "USD Coin", decimals = 6, price = "par",
                   address = "0x00000000000000000000000000000000000000aa" }},
                {{ id = 2, symbol = "ETH", name = "Ether", decimals = 18,
                   price = {{ feed = "0x00000000000000000000000000000000000000fe", heartbeat_seconds = 3600 }} }},
            ]
            "#,
            database.url
        ))
        .unwrap();
        let clock = TestClock::still();
        let secrets = vec![ServerSecret::from_bytes([1; 32])];
        let (app, _) = App::open(config, secrets, clock.clock(), "http://127.0.0.1/").await.unwrap();
        let created_at = app.clock.now();
        let merchant = app
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let merchant = NewMerchant {
                        name: "Shop".into(),
                        email: "shop@example.com".into(),
                        evm_wallet: Address::repeat_byte(0xab),
                        recovery_code: [9; 32],
                        created_at,
                    };
                    tx.insert_merchant(&merchant).await
                })
            })
            .await
            .unwrap_or_else(|error: StoreError| panic!("{error}"));
        let invoice = create(&app, merchant, order(), origin(1, b"body")).await.unwrap().invoice;
        let lease = nodes::take(&app, "tests").await.unwrap().unwrap();
        Self { start: app.clock.now(), app, clock, invoice, seen: 0, lease, _database: database }
    }

    fn block(&self, number: u64) -> BlockRef {
        self.block_at(number, i64::try_from(number).unwrap())
    }

    fn block_at(&self, number: u64, seconds: i64) -> BlockRef {
        BlockRef { number, hash: format!("0xb{number}"), time: self.start.plus(seconds) }
    }

    /// Tells the payer to send all that is due, valid from block 0 for 300 seconds.
    async fn quote(&self, number: u8, token: TokenId, rate: Rate, after_seconds: i64) -> QuoteId {
        let id = QuoteId::from_random([number; 16]);
        let decimals = Decimals::new(if token == ETHER { 18 } else { 6 }).unwrap();
        let due = self.case().await.invoice.standing.remaining;
        let quote = Quote::new(id, token, decimals, rate, due, self.start.plus(after_seconds), 300);
        let record =
            QuoteRecord { network: "ethereum".into(), quote, reference: None, opens_account: false, priced_by: None };
        let (merchant, invoice) = (self.invoice.merchant, self.invoice.id);
        self.app
            .store
            .write(move |tx| Box::pin(async move { tx.insert_quote(merchant, invoice, &record).await }))
            .await
            .unwrap();
        id
    }

    /// `units` of USDC in transaction `tx` of a block.
    fn usdc(&self, tx: &str, block: &BlockRef, units: u64) -> SeenTransfer {
        SeenTransfer {
            merchant: self.invoice.merchant,
            invoice: self.invoice.id,
            block: block.clone(),
            tx_id: tx.into(),
            log_index: 0,
            ordinal: 0,
            token: USDC,
            decimals: Decimals::new(6).unwrap(),
            amount: TokenAmount::from_base_units(alloy_primitives::U256::from(units)),
            payer: Some("0xpayer".into()),
            accepted: true,
            price_at_block: Some(Rate::PAR),
        }
    }

    fn swept(&self, tx: &str, block: &BlockRef) -> SeenSweep {
        SeenSweep {
            merchant: self.invoice.merchant,
            invoice: self.invoice.id,
            block: block.clone(),
            tx_id: tx.into(),
            log_index: 0,
            token: USDC,
            amount: TokenAmount::from_base_units(alloy_primitives::U256::from(20_000_000)),
        }
    }

    async fn cursor(&self) -> Option<BlockRef> {
        self.app.store.reader().await.unwrap().tx().cursor("ethereum").await.unwrap()
    }

    /// A scan from where the cursor stands to `head`.
    async fn scan(&self, head: BlockRef, transfers: Vec<SeenTransfer>) -> Scan {
        Scan {
            network: "ethereum".into(),
            from: self.cursor().await,
            forked_at: None,
            compared: Some(Compared::all_agree(&head)),
            blocks: vec![head],
            transfers,
            at_wallets: Vec::new(),
            sweeps: Vec::new(),
            failures: Vec::new(),
            marks: Marks::default(),
            vouched: Vec::new(),
            is_alone: true,
        }
    }

    async fn reads(&self, head: BlockRef, transfers: Vec<SeenTransfer>) {
        record_scan(&self.app, &self.lease, self.scan(head, transfers).await).await.unwrap();
    }

    /// Blocks above `fork` are replaced by a chain that ends in `head`.
    async fn forks(&self, fork: BlockRef, head: BlockRef, transfers: Vec<SeenTransfer>) {
        let scan = Scan { forked_at: Some(fork), ..self.scan(head, transfers).await };
        record_scan(&self.app, &self.lease, scan).await.unwrap();
    }

    async fn case(&self) -> Case {
        let mut reader = self.app.store.reader().await.unwrap();
        let (merchant, invoice) = (self.invoice.merchant, self.invoice.id);
        Case::load(&mut reader.tx(), &self.app.config, merchant, invoice).await.unwrap().unwrap()
    }

    async fn status(&self) -> InvoiceStatus {
        self.case().await.invoice.standing.status
    }

    /// The events since it was last asked, as `(type, object, previous attributes)`.
    async fn news(&mut self) -> Vec<(String, Value, Value)> {
        self.app.store.write(|tx| Box::pin(async move { tx.number_events(500).await })).await.unwrap();
        let mut reader = self.app.store.reader().await.unwrap();
        let (merchant, invoice) = (self.invoice.merchant, self.invoice.id);
        let events = reader.tx().events_of_invoice(merchant, invoice, self.seen, 500).await.unwrap();
        let json = |text: &str| serde_json::from_str(text).unwrap();
        self.seen = events.last().map_or(self.seen, |event| event.id.sequence);
        events
            .into_iter()
            .map(|event| {
                let previous = event.previous_attributes.as_deref().map_or(Value::Null, json);
                (event.event_type, json(&event.object), previous)
            })
            .collect()
    }

    async fn news_types(&mut self) -> Vec<String> {
        self.news().await.into_iter().map(|(event_type, ..)| event_type).collect()
    }
}

fn order() -> CreateInvoice {
    CreateInvoice {
        due: UsdMillis::from_millis(20_000),
        expires_in_ms: 1_800_000,
        description: None,
        customer_id: None,
        customer_email: None,
        metadata: "{}".into(),
        title: None,
        footer: None,
        questions: None,
        return_url: None,
        return_url_enabled: false,
        receiver: None,
    }
}

fn origin(number: u8, body: &[u8]) -> Origin {
    Origin {
        route: "create_invoice",
        key: IdempotencyKey::parse(&format!("3f2504e0-4f89-41d3-9a0c-0305e82c33{number:02x}")).ok(),
        fingerprint: Fingerprint::of(&[body]),
        request_id: "req_1".into(),
    }
}

fn usd(millis: u64) -> UsdMillis {
    UsdMillis::from_millis(millis)
}

// Creating

#[tokio::test]
async fn a_hundred_equal_requests_at_once_make_one_invoice() {
    let mut world = World::new().await;
    let merchant = world.invoice.merchant;
    let answers = join_all((0..100).map(|_| create(&world.app, merchant, order(), origin(2, b"body")))).await;
    let first = answers[0].as_ref().unwrap().invoice.clone();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().invoice == first));
    assert_eq!(answers.iter().filter(|answer| answer.as_ref().unwrap().is_replay).count(), 99);
    assert_eq!(first.sequence, world.invoice.sequence + 1);
    assert_ne!(first.deposit_address, world.invoice.deposit_address);
    world.invoice = first;
    assert_eq!(world.news_types().await, ["invoice.created"]);
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_and_makes_nothing() {
    let world = World::new().await;
    let merchant = world.invoice.merchant;
    let answer = create(&world.app, merchant, order(), origin(1, b"other body")).await;
    assert!(matches!(answer, Err(CreateError::KeyReused)));
    let answer = create(&world.app, MerchantId(999), order(), origin(1, b"body")).await;
    assert!(matches!(answer, Err(CreateError::NoSuchMerchant(_))));
    let next = create(&world.app, merchant, order(), origin(3, b"body")).await.unwrap().invoice;
    assert_eq!(next.sequence, world.invoice.sequence + 1);
}

// Paying

#[tokio::test]
async fn half_of_it_makes_an_invoice_underpaid_and_locks_its_token() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let block = world.block(10);
    world.reads(block.clone(), vec![world.usdc("0x1", &block, 10_000_000)]).await;
    assert_eq!(world.status().await, InvoiceStatus::Unpaid, "one confirmation is not enough");
    let news = world.news().await;
    let types: Vec<_> = news.iter().map(|(event_type, ..)| event_type.as_str()).collect();
    assert_eq!(types, ["invoice.created", "invoice_payment.created"]);
    let (_, payment, previous) = &news[1];
    assert_eq!((&payment["status"], &payment["confirmations"], previous), (&json!("pending"), &json!(1), &Value::Null));
    assert_eq!(payment["required_confirmations"], 3);

    world.reads(world.block(11), vec![]).await;
    assert_eq!(world.news_types().await, [""; 0], "a confirmation alone is no event");
    assert_eq!(world.case().await.payments[0].record.confirmations, 2);

    world.reads(world.block(12), vec![]).await;
    let case = world.case().await;
    let standing = &case.invoice.standing;
    assert_eq!((standing.status, standing.credit), (InvoiceStatus::Underpaid, usd(10_000)));
    assert_eq!((standing.remaining, standing.last_payment_at), (usd(10_000), Some(block.time)));
    assert_eq!(case.locking_payment().unwrap().record.tx_id, "0x1");
    let news = world.news().await;
    let types: Vec<_> = news.iter().map(|(event_type, ..)| event_type.as_str()).collect();
    assert_eq!(types, ["invoice_payment.updated", "invoice.updated"]);
    let before = json!({ "status": "pending", "confirmations": 1 });
    assert_eq!((&news[0].1["status"], &news[0].2), (&json!("underpaid"), &before));
    assert_eq!((&news[1].1["status"], &news[1].1["amount_paid"]), (&json!("underpaid"), &json!(10_000)));
    assert_eq!(
        news[1].2,
        json!({
            "status": "unpaid", "amount_paid": 0, "amount_paid_decimal": "0.000",
            "amount_remaining": 20_000, "amount_remaining_decimal": "20.000", "last_payment_at": null,
            "payer_wallet_address": null, "payer_wallet_network": null,
        })
    );
}

#[tokio::test]
async fn half_and_the_rest_pay_an_invoice() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let (first, second) = (world.block(10), world.block(20));
    world.reads(first.clone(), vec![world.usdc("0x1", &first, 10_000_000)]).await;
    world.reads(second.clone(), vec![world.usdc("0x2", &second, 10_000_000)]).await;
    world.news().await;
    world.reads(world.block(22), vec![]).await;
    let case = world.case().await;
    assert_eq!(case.invoice.standing.status, InvoiceStatus::Paid);
    assert_eq!(case.invoice.standing.paid_at, Some(second.time));
    assert_eq!((case.invoice.standing.remaining, case.invoice.standing.overpaid), (usd(0), usd(0)));
    assert!(case.payments.iter().all(|payment| payment.status == PaymentStatus::Confirmed));
    // Both payments are confirmed now, before the invoice says so.
    let news = world.news().await;
    let types: Vec<_> = news.iter().map(|(event_type, ..)| event_type.as_str()).collect();
    assert_eq!(types, ["invoice_payment.updated", "invoice_payment.updated", "invoice.updated"]);
    assert_eq!((&news[0].2["status"], &news[1].2["status"]), (&json!("underpaid"), &json!("pending")));
    assert_eq!((&news[2].1["status"], &news[2].2["status"]), (&json!("paid"), &json!("underpaid")));
}

#[tokio::test]
async fn double_the_amount_pays_an_invoice_and_is_flagged() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let block = world.block(10);
    world.reads(world.block(12), vec![world.usdc("0x1", &block, 40_000_000)]).await;
    let standing = world.case().await.invoice.standing;
    assert_eq!((standing.status, standing.overpaid), (InvoiceStatus::Paid, usd(20_000)));
    let news = world.news().await;
    let types: Vec<_> = news.iter().map(|(event_type, ..)| event_type.as_str()).collect();
    assert_eq!(types, ["invoice.created", "invoice_payment.created", "invoice.updated"]);
    assert_eq!((&news[2].1["overpaid"], &news[2].1["amount_overpaid"]), (&json!(true), &json!(20_000)));
}

#[tokio::test]
async fn a_late_payment_is_shown_but_not_credited() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let late = world.block_at(10, 1801);
    world.reads(world.block_at(20, 1900), vec![world.usdc("0x1", &late, 20_000_000)]).await;
    let case = world.case().await;
    assert_eq!(case.invoice.standing.credit, usd(0));
    let payment = &case.payments[0];
    assert_eq!((payment.status, payment.settlement), (PaymentStatus::ManualRetry, SettlementStatus::Manual));
    assert!(payment.late);
    let (event_type, object, _) = world.news().await.pop().unwrap();
    assert_eq!((event_type.as_str(), &object["late"]), ("invoice_payment.created", &json!(true)));
}

#[tokio::test]
async fn a_payment_is_worth_its_quote_while_that_lasts_and_the_price_of_its_block_after() {
    let world = World::new().await;
    let quoted = Rate::from_usd_e8(200_000_000_000).unwrap();
    let spot = Rate::from_usd_e8(100_000_000_000).unwrap();
    let quote = world.quote(1, ETHER, quoted, 0).await;
    let ether = |tx: &str, block: &BlockRef, price| SeenTransfer {
        token: ETHER,
        decimals: Decimals::new(18).unwrap(),
        // A two-hundredth: 10 dollars as quoted, 5 at the price later.
        amount: TokenAmount::from_base_units(alloy_primitives::U256::from(5_000_000_000_000_000_u64)),
        price_at_block: price,
        ..world.usdc(tx, block, 0)
    };
    let (in_force, lapsed) = (world.block_at(10, 300), world.block_at(20, 301));
    let transfers = vec![
        ether("0x1", &in_force, Some(spot)),
        ether("0x2", &lapsed, Some(spot)),
        ether("0x3", &lapsed, None),
        SeenTransfer { accepted: false, ..ether("0x4", &lapsed, Some(spot)) },
    ];
    world.reads(world.block_at(30, 310), transfers).await;
    let case = world.case().await;
    let mut found: Vec<_> = case
        .payments
        .iter()
        .map(|payment| (payment.record.tx_id.as_str(), payment.record.valuation, payment.worth, payment.status))
        .collect();
    found.sort_by_key(|(tx, ..)| *tx);
    assert_eq!(
        found,
        [
            ("0x1", Valuation::Quoted { quote, rate: quoted }, usd(10_000), PaymentStatus::Underpaid),
            ("0x2", Valuation::Spot { rate: spot }, usd(5_000), PaymentStatus::Underpaid),
            ("0x3", Valuation::Unpriced, usd(0), PaymentStatus::ManualRetry),
            ("0x4", Valuation::Unexpected, usd(0), PaymentStatus::ManualRetry),
        ]
    );
    assert_eq!(case.invoice.standing.credit, usd(15_000));

    // A later quote does not revalue what arrived.
    world.quote(2, ETHER, Rate::PAR, 311).await;
    world.reads(world.block_at(40, 320), vec![]).await;
    assert_eq!(world.case().await.invoice.standing.credit, usd(15_000));
}

// Chains that change their mind, and watchers that repeat themselves

#[tokio::test]
async fn a_payment_that_a_reorganisation_took_returns_as_the_same_payment() {
    let log = Log::default();
    let _listening = log.listen();
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let block = world.block(10);
    world.reads(world.block(12), vec![world.usdc("0x1", &block, 20_000_000)]).await;
    assert_eq!(world.status().await, InvoiceStatus::Paid);
    world.news().await;
    assert_eq!(log.lines_with("lost its payment"), 0);

    world.forks(world.block(9), BlockRef { hash: "0xfork10".into(), ..world.block(10) }, vec![]).await;
    assert_eq!(world.status().await, InvoiceStatus::Unpaid);
    assert_eq!(log.lines_with("ERROR pepay::invoicing::case: ALARM: a paid invoice lost its payment"), 1);
    let news = world.news().await;
    let types: Vec<_> = news.iter().map(|(event_type, ..)| event_type.as_str()).collect();
    assert_eq!(types, ["invoice_payment.updated", "invoice.updated"]);
    assert_eq!((&news[0].1["orphaned"], &news[0].1["status"]), (&json!(true), &json!("pending")));
    assert_eq!((&news[1].1["status"], &news[1].2["status"]), (&json!("unpaid"), &json!("paid")));

    // The same transaction in another block, elsewhere in it.
    let other = BlockRef { hash: "0xfork11".into(), ..world.block(11) };
    let moved = SeenTransfer { log_index: 7, ..world.usdc("0x1", &other, 20_000_000) };
    world.reads(other.clone(), vec![moved]).await;
    assert_eq!(world.news_types().await, ["invoice_payment.updated"]);
    world.reads(BlockRef { hash: "0xfork13".into(), ..world.block(13) }, vec![]).await;
    let case = world.case().await;
    assert_eq!(case.payments.len(), 1);
    assert_eq!(case.payments[0].record.block_hash, "0xfork11");
    assert_eq!((case.invoice.standing.status, case.invoice.standing.credit), (InvoiceStatus::Paid, usd(20_000)));
    assert_eq!(case.invoice.standing.paid_at, Some(other.time));
    assert_eq!(world.news_types().await, ["invoice_payment.updated", "invoice.updated"]);

    // And back to the chain it was on first.
    world.forks(world.block(9), world.block(14), vec![world.usdc("0x1", &block, 20_000_000)]).await;
    let case = world.case().await;
    assert_eq!(case.payments.len(), 1);
    assert_eq!((case.payments[0].record.block_hash.as_str(), case.payments[0].record.canonical), ("0xb10", true));
    assert_eq!((case.invoice.standing.status, case.invoice.standing.credit), (InvoiceStatus::Paid, usd(20_000)));
    assert_eq!(log.lines_with("lost its payment"), 1, "it was paid before and after");
}

#[tokio::test]
async fn a_scan_of_the_same_blocks_again_adds_nothing() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let block = world.block(10);
    let transfers = vec![world.usdc("0x1", &block, 20_000_000), world.usdc("0x1", &block, 20_000_000)];
    world.reads(world.block(12), transfers.clone()).await;
    let before = world.case().await;
    world.news().await;
    world.reads(world.block(12), transfers).await;
    let after = world.case().await;
    assert_eq!((after.invoice, after.payments.len()), (before.invoice, 1));
    assert_eq!(world.news_types().await, [""; 0]);
}

#[tokio::test]
async fn two_transfers_in_one_transaction_are_two_payments() {
    let world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let block = world.block(10);
    let second = SeenTransfer { log_index: 1, ordinal: 1, ..world.usdc("0x1", &block, 10_000_000) };
    world.reads(world.block(12), vec![world.usdc("0x1", &block, 10_000_000), second]).await;
    let case = world.case().await;
    let ids: Vec<PaymentId> = case.payments.iter().map(|payment| payment.record.payment).collect();
    assert_eq!((ids.len(), case.invoice.standing.credit), (2, usd(20_000)));
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_scan_from_where_the_cursor_no_longer_stands_is_refused_whole() {
    let mut world = World::new().await;
    let stale = world.scan(world.block(12), vec![world.usdc("0x1", &world.block(10), 20_000_000)]).await;
    world.reads(world.block(11), vec![]).await;
    world.news().await;
    let refused = record_scan(&world.app, &world.lease, stale).await;
    assert!(matches!(refused, Err(RecordError::CursorMoved(network)) if network == "ethereum"));
    assert_eq!(world.cursor().await, Some(world.block(11)));
    assert!(world.case().await.payments.is_empty());
    assert_eq!(world.news_types().await, [""; 0]);
}

#[tokio::test]
async fn a_sweep_settles_a_payment_once_it_is_final() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    world.reads(world.block(12), vec![world.usdc("0x1", &world.block(10), 20_000_000)]).await;
    world.news().await;
    let swept = world.swept("0xs", &world.block(13));
    let scan = Scan { sweeps: vec![swept], ..world.scan(world.block(13), vec![]).await };
    record_scan(&world.app, &world.lease, scan).await.unwrap();
    assert_eq!(world.case().await.payments[0].settlement, SettlementStatus::Processing);
    world.reads(world.block(18), vec![]).await;
    let payment = &world.case().await.payments[0];
    assert_eq!((payment.settlement, payment.settlement_tx.as_deref()), (SettlementStatus::Settled, Some("0xs")));
    let news = world.news().await;
    let types: Vec<_> = news.iter().map(|(event_type, ..)| event_type.as_str()).collect();
    assert_eq!(types, ["invoice_payment.updated", "invoice_payment.updated"]);
    assert_eq!(news[0].2, json!({ "settlement_status": "pending", "settlement": null, "confirmations": 3 }));
    assert_eq!(news[1].1["settlement"]["settlement_tx_hash"], "0xs");
    let processing = news[0].1["settlement"].clone();
    assert_eq!(news[1].2, json!({ "settlement_status": "processing", "settlement": processing, "confirmations": 4 }));
}

#[tokio::test]
async fn a_payment_that_an_earlier_version_told_of_is_news_only_once_it_changes() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    world.reads(world.block(12), vec![world.usdc("0x1", &world.block(10), 20_000_000)]).await;
    world.news().await;
    let (merchant, invoice) = (world.invoice.merchant, world.invoice.id);
    let payment = world.case().await.payments[0].record.payment;
    let told = async |text: &'static str| {
        let write = world
            .app
            .store
            .write(move |tx| Box::pin(async move { tx.remember_announcement(merchant, invoice, payment, text).await }));
        write.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
    };
    told(
        r#"{"late":false,"orphaned":false,"settlement_status":"pending","settlement_tx_hash":null,"status":"confirmed"}"#,
    )
    .await;
    world.reads(world.block(13), vec![]).await;
    let swept = world.swept("0xs", &world.block(14));
    let scan = Scan { sweeps: vec![swept], ..world.scan(world.block(14), vec![]).await };
    record_scan(&world.app, &world.lease, scan).await.unwrap();
    told(
        r#"{"late":false,"orphaned":false,"settlement_status":"processing","settlement_tx_hash":"0xs","status":"confirmed"}"#,
    )
    .await;
    world.reads(world.block(20), vec![]).await;
    let news = world.news().await;
    assert_eq!(news.len(), 2, "{news:?}");
    assert_eq!(news[0].2, json!({ "settlement_status": "pending", "settlement": null }));
    let processing = &news[0].1["settlement"];
    assert_eq!(news[1].2, json!({ "settlement_status": "processing", "settlement": processing }));
}

/// Whoever keeps the last object told of and puts the previous attributes into the next one has the same again.
#[tokio::test]
async fn the_previous_attributes_are_all_that_changed_since_the_event_before() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    let (first, second) = (world.block(10), world.block(20));
    // Half of it, then more than the rest, which is swept; then another chain without the second, which returns later.
    world.reads(first.clone(), vec![world.usdc("0x1", &first, 10_000_000)]).await;
    world.reads(world.block(12), vec![]).await;
    world.reads(second.clone(), vec![world.usdc("0x2", &second, 15_000_000)]).await;
    world.reads(world.block(22), vec![]).await;
    let swept = world.swept("0xs", &world.block(23));
    let scan = Scan { sweeps: vec![swept], ..world.scan(world.block(23), vec![]).await };
    record_scan(&world.app, &world.lease, scan).await.unwrap();
    world.reads(world.block(40), vec![]).await;
    world.forks(world.block(19), BlockRef { hash: "0xfork30".into(), ..world.block(30) }, vec![]).await;
    // What comes back comes after the end, and so is late and waits for somebody to decide.
    let late = BlockRef { hash: "0xfork50".into(), ..world.block_at(50, 1801) };
    world.reads(late.clone(), vec![world.usdc("0x2", &late, 15_000_000)]).await;
    world.clock.advance_seconds(1_900);
    world.reads(BlockRef { hash: "0xfork60".into(), ..world.block_at(60, 1_900) }, vec![]).await;
    end_due_invoices(&world.app, &world.lease).await.unwrap();

    let mut last: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
    let mut told = std::collections::BTreeSet::new();
    for (event_type, object, previous) in world.news().await {
        let what = format!("{event_type}: {object} was {previous}");
        let before = last.insert(object["id"].as_str().unwrap().to_owned(), object.clone());
        let Some(before) = before else {
            assert!(event_type.ends_with(".created") && previous.is_null(), "{what}");
            continue;
        };
        assert!(event_type.ends_with(".updated"), "{what}");
        let differs = |(name, value): &(&String, &Value)| object[name.as_str()] != **value;
        let expected: serde_json::Map<_, _> = before
            .as_object()
            .unwrap()
            .iter()
            .filter(differs)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        assert_eq!(previous, Value::Object(expected), "{what}");
        let kind = object["object"].as_str().unwrap();
        told.extend(previous.as_object().unwrap().keys().map(|name| format!("{kind}.{name}")));
    }
    let invoice = [
        "status",
        "amount_paid",
        "amount_paid_decimal",
        "amount_remaining",
        "amount_remaining_decimal",
        "overpaid",
        "amount_overpaid",
        "payer_wallet_address",
        "payer_wallet_network",
        "paid_at",
        "last_payment_at",
    ];
    let payment = [
        "status",
        "settlement_status",
        "settlement",
        "amount",
        "amount_decimal",
        "confirmations",
        "late",
        "orphaned",
        "created_at",
    ];
    for (kind, names) in [("invoice", &invoice[..]), ("invoice_payment", &payment[..])] {
        for name in names {
            assert!(told.contains(&format!("{kind}.{name}")), "nothing here changes {kind}.{name}: {told:?}");
        }
    }
}

// Ending

#[tokio::test]
async fn an_invoice_nobody_was_quoted_ends_on_time() {
    let mut world = World::new().await;
    world.clock.advance_seconds(1790);
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    assert_eq!(world.status().await, InvoiceStatus::Unpaid);
    world.clock.advance_seconds(20);
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    assert_eq!(world.status().await, InvoiceStatus::Expired);
    assert_eq!(world.news_types().await, ["invoice.created", "invoice.updated"]);
}

#[tokio::test]
async fn an_invoice_waits_with_its_end_for_the_chain_it_was_quoted_on() {
    let mut world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    world.reads(world.block_at(10, 1700), vec![]).await;
    world.clock.advance_seconds(1900);
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    let waiting = world.case().await.invoice;
    assert_eq!((waiting.standing.status, waiting.standing.is_checking), (InvoiceStatus::Unpaid, true));
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    assert_eq!(world.case().await.invoice.version, waiting.version, "waiting writes nothing");

    world.reads(world.block_at(11, 1850), vec![]).await;
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    let ended = world.case().await.invoice.standing;
    assert_eq!((ended.status, ended.is_checking, ended.ended_unverified), (InvoiceStatus::Expired, false, false));
    assert_eq!(world.news_types().await, ["invoice.created", "invoice.updated"]);
}

#[tokio::test]
async fn an_invoice_waits_an_hour_at_most_for_a_chain_that_is_down() {
    let log = Log::default();
    let _listening = log.listen();
    let world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 0).await;
    world.clock.advance_seconds(1800 + 3590);
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    assert_eq!(world.status().await, InvoiceStatus::Unpaid);
    world.clock.advance_seconds(20);
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    let ended = world.case().await.invoice.standing;
    assert_eq!((ended.status, ended.ended_unverified), (InvoiceStatus::Expired, true));
    assert_eq!(log.lines_with("could not be read for an hour"), 1);
}

#[tokio::test]
async fn an_invoice_that_cannot_be_read_keeps_no_other_from_ending() {
    let world = World::new().await;
    let broken = create(&world.app, world.invoice.merchant, order(), origin(2, b"body")).await.unwrap().invoice;
    let mut connection = sqlx::AnyConnection::connect(&world.app.config.storage.database_url).await.unwrap();
    sqlx::query("UPDATE invoices SET environment = '', expires_at = expires_at - 1 WHERE invoice_id = $1")
        .bind(broken.id.to_string())
        .execute(&mut connection)
        .await
        .unwrap();
    world.clock.advance_seconds(1810);
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    assert_eq!(world.status().await, InvoiceStatus::Expired);
}

#[tokio::test]
async fn money_that_came_in_time_holds_the_end_until_it_is_deep_enough() {
    let world = World::new().await;
    world.quote(1, USDC, Rate::PAR, 1600).await;
    let in_time = world.block_at(10, 1799);
    world.reads(world.block_at(11, 1810), vec![world.usdc("0x1", &in_time, 20_000_000)]).await;
    world.clock.advance_seconds(1900);
    end_due_invoices(&world.app, &world.lease).await.unwrap();
    let waiting = world.case().await.invoice.standing;
    assert_eq!((waiting.status, waiting.is_checking), (InvoiceStatus::Unpaid, true));
    world.reads(world.block_at(12, 1820), vec![]).await;
    let paid = world.case().await.invoice.standing;
    assert_eq!((paid.status, paid.late, paid.paid_at), (InvoiceStatus::Paid, false, Some(in_time.time)));
}

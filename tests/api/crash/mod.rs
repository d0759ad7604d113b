//! The real server, killed again and again wherever a crash could hurt, must end up knowing exactly
//! what happened: no payment lost or counted twice, no invoice forgotten or doubled, every event told.

mod evm;
mod solana;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    os::unix::process::ExitStatusExt,
    path::Path,
};

use alloy_primitives::U256;
use domain::id::MerchantId;
use e2e::{ApiClient, CLAIM_PATIENCE, Database, Reply, ServerProcess, WebhookSink, eventually, eventually_within};
use pepay::store::Store;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    event::{Event, EventList, Wrapped},
    invoice::{CreatedInvoice, InvoiceStatus},
    payor::PaymentAddress,
};

use self::{evm::Evm, solana::Solana};
use crate::{gas_key, random::Random};

/// Unless `PEPAY_CRASH_KILLS` says otherwise.
const KILLS: usize = 20;
const SEED: u64 = 2;
/// A place that is not passed in so many steps is not passed at all.
const MOST_STEPS: usize = 600;

/// Every named place that is passed whatever is paid on, and how often at most it is passed before the kill.
const PLACES: [(&str, u64); 12] = [
    ("create.after_invoice", 3),
    ("create.after_event", 3),
    ("create.before_answer", 3),
    ("lease.after_take", 2),
    ("store.before_commit", 30),
    ("store.after_commit", 30),
    ("sequencer.before_numbering", 5),
    ("sequencer.after_update", 5),
    ("sequencer.after_numbering", 5),
    ("webhooks.before_send", 5),
    ("webhooks.after_send", 5),
    ("webhooks.after_settle", 5),
];

/// What orders are paid on.
trait Network: Sized {
    /// As the API calls it.
    const NAME: &'static str;
    const TOKEN: i64;
    /// As [`PLACES`], of the reading of this one.
    const PLACES: &'static [(&'static str, u64)];

    async fn start() -> Self;

    async fn config(&self) -> String;

    /// What a merchant needs to be paid here.
    fn prepare(&self, server: &ServerProcess);

    /// Pays the half or the rest of an order.
    async fn pay(&mut self, order: &Order, units: U256) -> Sent;

    /// Lets so many blocks pass.
    async fn pass(&mut self, blocks: u64);

    /// Replaces the newest blocks; what was in them comes back in later ones. Tells how many payments that moved.
    async fn reorganise(&mut self, depth: u64) -> usize;

    /// Lets all that was paid be final.
    async fn finalize(&mut self);

    /// What was paid is at the merchant's wallet, or gets there.
    async fn check_wallet(&self, server: &ServerProcess, orders: &[Order]);
}

/// What the shop and the payers know to be true.
struct Order {
    key: Uuid,
    /// Even, so that half of it is a whole number of cents.
    cents: u64,
    /// The answer to the create, once one came.
    created: Option<CreatedInvoice>,
    address: Option<PaymentAddress>,
    payments: Vec<Sent>,
}

/// A payment that was made.
struct Sent {
    transaction: String,
    units: U256,
}

impl Order {
    fn units(&self) -> U256 {
        U256::from(self.cents * 10_000)
    }

    fn paid(&self) -> U256 {
        self.payments.iter().fold(U256::ZERO, |sum, payment| sum + payment.units)
    }

    fn expected_status(&self) -> InvoiceStatus {
        match self.paid() {
            U256::ZERO => InvoiceStatus::Unpaid,
            paid if self.units() <= paid => InvoiceStatus::Paid,
            _ => InvoiceStatus::Underpaid,
        }
    }

    fn expected_millis(&self) -> u64 {
        u64::try_from(self.paid() / U256::from(1_000)).unwrap()
    }
}

struct World<N> {
    network: N,
    /// Payments that forks moved to other blocks.
    moved: usize,
    sink: WebhookSink,
    server: ServerProcess,
    api: ApiClient,
    webhook_secret: String,
    orders: Vec<Order>,
    random: Random,
}

on_each_database!(
    kills_at_every_named_place_lose_nothing_and_double_nothing,
    kills_while_payments_on_solana_are_recorded_lose_nothing_and_double_nothing,
);

async fn kills_at_every_named_place_lose_nothing_and_double_nothing(database: Database) {
    kill_everywhere::<Evm>(database).await;
}

async fn kills_while_payments_on_solana_are_recorded_lose_nothing_and_double_nothing(database: Database) {
    kill_everywhere::<Solana>(database).await;
}

async fn kill_everywhere<N: Network>(database: Database) {
    let places = [&PLACES, N::PLACES].concat();
    let kills = std::env::var("PEPAY_CRASH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut world = World::<N>::begin(database).await;
    for kill in 0..kills {
        let (place, most) = match places.get(kill) {
            Some(place) => *place,
            None => places[world.random.index(places.len())],
        };
        let passes = 1 + world.random.next() % most;
        world.server.set_variable("PEPAY_FAILPOINT", &format!("{place}:{passes}"));
        world.work_until_killed(place).await;
        world.server.unset_variable("PEPAY_FAILPOINT");
        // Payers pay and shops try again while the server is away.
        for _ in 0..world.random.index(4) {
            world.step().await;
        }
    }
    world.finish().await;
    let payments: usize = world.orders.iter().map(|order| order.payments.len()).sum();
    let (orders, moved, heard) = (world.orders.len(), world.moved, world.sink.received().len());
    println!("figure: {orders} orders, {payments} payments, {moved} moved by forks, {heard} webhooks");
    // A node that dies while it starts was asked for nothing.
    assert!(kills / 2 < payments && kills / 2 < world.orders.len(), "there was work between the kills");
    assert!(kills < places.len() || 0 < moved, "forks moved payments");
    world.check_invoices().await;
    world.check_events().await;
    world.network.check_wallet(&world.server, &world.orders).await;
}

/// A place that no test kills at would be one of which nobody knows what a crash does there.
#[test]
fn every_named_place_of_the_source_is_one_where_a_test_kills() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src");
    let mut named = BTreeSet::new();
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let places = text.split("failpoint::pass(\"").skip(1).filter_map(|rest| rest.split('"').next());
            named.extend(places.map(str::to_owned));
        }
    }
    let while_read = PLACES.iter().chain(Evm::PLACES).chain(Solana::PLACES).map(|(place, _)| *place);
    let killed_at = while_read.chain(gas_key::PLACES).chain([gas_key::WHEN_RAISED]);
    assert_eq!(named, killed_at.map(str::to_owned).collect());
}

impl<N: Network> World<N> {
    async fn begin(database: Database) -> Self {
        let (network, sink) = (N::start().await, WebhookSink::start().await);
        // On PostgreSQL nobody knows of a death before the lease is over, nor whether a try is before its time is.
        let head = "environment = \"devnet\"\n[nodes]\nlease_ms = 1000\n[webhooks]\nallow_private_networks = [\"127.0.0.0/8\"]\n\
                    timeout_ms = 2000\nretry_seconds = [1, 1, 1, 1, 1, 1, 1, 1]\n";
        let server = ServerProcess::prepare_on(database, &[head, &network.config().await].concat());
        let (api, webhook_secret) = server.create_merchant(&sink.url);
        network.prepare(&server);
        Self { network, moved: 0, sink, server, api, webhook_secret, orders: Vec::new(), random: Random(SEED) }
    }

    async fn work_until_killed(&mut self, place: &str) {
        // Facts are taken back by forks alone, while it is away and while it reads.
        let has_forks = N::PLACES.iter().any(|(own, _)| *own == place);
        if has_forks {
            self.pay_and_fork().await;
        }
        if let Err(status) = self.server.start().await {
            assert_eq!(status.signal(), Some(9), "{place}");
            return;
        }
        for step in 0..MOST_STEPS {
            if let Some(status) = self.server.ended() {
                assert_eq!(status.signal(), Some(9), "{place}");
                return;
            }
            if has_forks && step % 10 == 9 {
                self.pay_and_fork().await;
            }
            self.step().await;
        }
        panic!("{place} was never passed");
    }

    async fn pay_and_fork(&mut self) {
        self.pay().await;
        self.moved += self.network.reorganise(1 + self.random.next() % 2).await;
    }

    /// One thing that a shop, a payer or the chain does, whether the server runs or not.
    async fn step(&mut self) {
        match self.random.index(6) {
            0 => self.create().await,
            1 | 2 => self.choose().await,
            3 | 4 => self.pay().await,
            _ => self.network.pass(1 + self.random.next() % 2).await,
        }
        if self.random.index(10) == 0 {
            self.sink.reply([Reply::Status(500)]);
        }
    }

    /// Tries an open create again, or makes a new one.
    async fn create(&mut self) {
        let open = self.orders.iter().position(|order| order.created.is_none());
        let index = open.unwrap_or_else(|| {
            let key = uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid();
            let cents = 2 * (1 + self.random.next() % 5_000);
            self.orders.push(Order { key, cents, created: None, address: None, payments: Vec::new() });
            self.orders.len() - 1
        });
        let order = &mut self.orders[index];
        let dollars: Value = serde_json::from_str(&format!("{}.{:02}", order.cents / 100, order.cents % 100)).unwrap();
        if let Ok(answer) = self.api.try_create_invoice(order.key, &json!({ "amount_usd": dollars })).await {
            order.created = Some(answer.good());
        }
    }

    async fn choose(&mut self) {
        let waits = |order: &&mut Order| order.created.is_some() && order.address.is_none();
        let Some(order) = self.orders.iter_mut().find(waits) else { return };
        let Some(created) = &order.created else { return };
        if let Ok(answer) = self.api.try_payment_address(created, N::NAME, N::TOKEN).await {
            order.address = Some(answer.good());
        }
    }

    /// Pays half, the rest, or all of an order that has an address.
    async fn pay(&mut self) {
        let payable: Vec<usize> = (0..self.orders.len())
            .filter(|index| {
                let order = &self.orders[*index];
                order.address.is_some() && order.paid() < order.units()
            })
            .collect();
        if payable.is_empty() {
            return;
        }
        let index = payable[self.random.index(payable.len())];
        let is_half = self.random.index(2) == 0;
        let order = &mut self.orders[index];
        let rest = order.units() - order.paid();
        let amount = if is_half && order.payments.is_empty() { rest / U256::from(2) } else { rest };
        let sent = self.network.pay(order, amount).await;
        order.payments.push(sent);
    }

    /// Lets everything come to rest.
    async fn finish(&mut self) {
        self.server.start().await.unwrap();
        while self.orders.iter().any(|order| order.created.is_none()) {
            self.create().await;
        }
        self.network.finalize().await;
        for order in &self.orders {
            let created = order.created.as_ref().expect("all are created");
            let what = format!("invoice {} to be {:?}", created.invoice_id, order.expected_status());
            eventually(&what, async || {
                let invoice = self.api.invoice(&created.invoice_id).await;
                (invoice.status == order.expected_status()).then_some(())
            })
            .await;
        }
        let (store, _writer) = Store::open(&self.server.database_url()).await.unwrap();
        eventually_within(CLAIM_PATIENCE, "all events to be told", async || {
            let mut reader = store.reader().await.unwrap();
            let is_numbered = !reader.tx().has_unnumbered_events().await.unwrap();
            let is_told = reader.tx().next_delivery_due().await.unwrap().is_none();
            (is_numbered && is_told).then_some(())
        })
        .await;
    }

    /// Every acknowledged invoice is there once, and holds each payment once.
    async fn check_invoices(&self) {
        let (store, _writer) = Store::open(&self.server.database_url()).await.unwrap();
        let mut reader = store.reader().await.unwrap();
        let ids: BTreeSet<_> =
            self.orders.iter().filter_map(|order| order.created.as_ref()).map(|created| &created.invoice_id).collect();
        assert_eq!(ids.len(), self.orders.len(), "each key has an invoice of its own");
        // The merchant's count rises with each invoice that was ever kept.
        let newest = self.orders.iter().map(|order| order.created.as_ref().unwrap().invoice_id.parse().unwrap());
        let mut sequences = BTreeSet::new();
        for id in newest {
            sequences.insert(reader.tx().invoice(MerchantId(1), id).await.unwrap().unwrap().sequence);
        }
        let count = i64::try_from(self.orders.len()).unwrap();
        assert_eq!(sequences, (1..=count).collect(), "no invoice was kept beside those that were acknowledged");

        for order in &self.orders {
            let created = order.created.as_ref().unwrap();
            let invoice = self.api.invoice(&created.invoice_id).await;
            assert_eq!(invoice.amount_paid, order.expected_millis(), "{invoice:?}");
            assert_eq!(invoice.amount_overpaid, 0, "{invoice:?}");
            let transfers = reader.tx().transfers(MerchantId(1), created.invoice_id.parse().unwrap()).await.unwrap();
            let canonical = transfers.iter().filter(|transfer| transfer.canonical);
            let mut counted: Vec<_> =
                canonical.map(|transfer| (transfer.tx_id.clone(), transfer.amount.base_units())).collect();
            counted.sort();
            let mut sent: Vec<_> =
                order.payments.iter().map(|payment| (payment.transaction.clone(), payment.units)).collect();
            sent.sort();
            assert_eq!(counted, sent, "invoice {}", created.invoice_id);
        }
    }

    /// All events, the oldest first, as the shop lists them.
    async fn listed_events(&self) -> Vec<Event> {
        let (mut events, mut after) = (Vec::new(), String::new());
        loop {
            let page: Wrapped<EventList> = self.api.get(&format!("/api/v1/events?limit=100{after}")).await.good();
            let page = page.data;
            events.extend(page.data);
            if !page.has_more {
                events.reverse();
                return events;
            }
            after = format!("&starting_after={}", events.last().unwrap().id);
        }
    }

    /// The log has no gap, and the shop heard of every event in it, each time the same.
    async fn check_events(&self) {
        let (store, _writer) = Store::open(&self.server.database_url()).await.unwrap();
        let last = store.reader().await.unwrap().tx().last_event_sequence().await.unwrap();
        let mut heard: BTreeMap<i64, Event> = BTreeMap::new();
        let mut newest: HashMap<String, (i64, Value)> = HashMap::new();
        for webhook in self.sink.received() {
            assert!(webhook.is_signed_with(&self.webhook_secret));
            let sequence: i64 = webhook.event.id.rsplit('-').next().unwrap().parse().unwrap();
            if let Some(known) = heard.insert(sequence, webhook.event.clone()) {
                assert_eq!(known, webhook.event, "a repeated event says the same");
            }
            let object = &webhook.event.data.object;
            if object["object"] == "invoice" {
                let id = object["id"].as_str().unwrap().to_owned();
                let entry = newest.entry(id).or_insert((0, Value::Null));
                if entry.0 <= sequence {
                    *entry = (sequence, object.clone());
                }
            }
        }
        assert_eq!(heard.keys().copied().collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
        for _ in 0..2 {
            let listed = self.listed_events().await;
            assert_eq!(listed.len(), heard.len());
            for (listed, heard) in listed.into_iter().zip(heard.values()) {
                // Nothing waits to be told any more.
                assert_eq!(listed, Event { pending_webhooks: 0, ..heard.clone() }, "as it was told");
            }
        }
        for order in &self.orders {
            let created = order.created.as_ref().unwrap();
            let (_, told) = &newest[&created.invoice_id];
            assert_eq!(told["status"], json!(order.expected_status()), "the last event tells how it stands");
            assert_eq!(told["amount_paid"], json!(order.expected_millis()));
        }
    }
}

//! A chain, a database and a watcher that moves only when told.

use std::{path::PathBuf, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use demo::chain::{ChainOptions, LocalChain};
use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId, TokenId},
    invoice::{InvoiceStatus, PaymentStatus},
    money::{TokenAmount, UsdMillis},
    signature::ServerSecret,
};
use e2e::Database;
use pepay::{
    app::App,
    chains::evm::{Step, StepError, Watcher},
    clock::TestClock,
    config::{Config, NetworkConfig},
    invoicing::{self, Case},
    merchants, nodes,
    store::{Lease, NewMerchant, StoreError, WriterTask},
    xpub::AddressKey,
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tokio::task::JoinHandle;

use crate::plain_invoice;

/// A dollar token of six decimals, at par.
pub const USDC: TokenId = TokenId(1);
/// Known, but not accepted.
pub const EURX: TokenId = TokenId(2);
/// The network's coin; 2000 dollars each.
pub const ETH: TokenId = TokenId(3);

pub const PAID_AFTER: u64 = 3;
pub const FINAL_AFTER: u64 = 6;
pub const WALLET: Address = Address::repeat_byte(0x77);

pub struct Shop {
    pub chain: Arc<LocalChain>,
    pub usdc: Address,
    pub eurx: Address,
    pub feed: Address,
    pub clock: TestClock,
    pub app: App,
    pub watcher: Watcher,
    lease: Lease,
    pub merchant: MerchantId,
    writer: WriterTask,
    config: Config,
    folder: Folder,
}

/// An invoice that is being watched.
#[derive(Clone, Copy)]
pub struct Order {
    pub id: InvoiceId,
    pub deposit: Address,
    pub salt: B256,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean up.
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(|_, _| {}).await
    }

    /// Opens a shop whose network is configured otherwise; `change` gets the chain's URL too.
    pub async fn open_with(change: impl FnOnce(&mut Value, &LocalChain)) -> Self {
        let chain = Arc::new(LocalChain::start(ChainOptions::new(31337)).await.unwrap());
        chain.deploy_factory().await.unwrap();
        let usdc = chain.deploy_token("USD Coin", "USDC", 6).await.unwrap();
        let eurx = chain.deploy_token("Euro X", "EURX", 6).await.unwrap();
        let feed = chain.deploy_feed(2000 * 100_000_000).await.unwrap();
        for token in [usdc, eurx] {
            chain.mint(token, payer(&chain), units(1_000_000_000_000)).await.unwrap();
        }
        let folder = Folder(std::env::temp_dir().join(format!("pepay-watcher-{}", uuid::Uuid::new_v4())));
        std::fs::create_dir(&folder.0).unwrap();
        let mut network = json!({
            "name": "ethereum", "title": "Ethereum", "chain_id": 31337, "rpc": [chain.rpc_url()],
            "paid_after": PAID_AFTER, "final_after": FINAL_AFTER, "sweep_account": chain.accounts()[5],
            "tokens": [
                { "id": 1, "symbol": "USDC", "name": "USD Coin", "address": usdc, "decimals": 6, "price": "par" },
                { "id": 2, "symbol": "EURX", "name": "Euro X", "address": eurx, "decimals": 6, "price": "par",
                  "accepted": false },
                { "id": 3, "symbol": "ETH", "name": "Ether", "decimals": 18,
                  "price": { "feed": feed, "heartbeat_seconds": 3600 } },
            ],
        });
        change(&mut network, &chain);
        let file = || format!("sqlite:{}", folder.0.join("pepay.db").display());
        let config: Config = serde_json::from_value(json!({
            "environment": "devnet",
            "storage": { "database_url": Database::of_tests().new_url().unwrap_or_else(file) },
            "merchants": { "rpc_allow_private_networks": ["127.0.0.0/8"] },
            "networks": [network],
        }))
        .unwrap();

        let clock = TestClock::default();
        let (app, writer) = open_app(&config, &clock).await;
        let new = NewMerchant {
            name: "Shop".to_owned(),
            email: "shop@example.com".to_owned(),
            evm_wallet: WALLET,
            recovery_code: [9; 32],
            created_at: app.clock.now(),
        };
        let merchant = app
            .store
            .write::<_, StoreError, _>(move |tx| Box::pin(async move { tx.insert_merchant(&new).await }))
            .await
            .unwrap();
        let (watcher, lease) = new_watcher(&app).await;
        Self { chain, usdc, eurx, feed, clock, app, watcher, lease, merchant, writer, config, folder }
    }

    /// Ends everything in memory, as a crash would, and starts again from what was stored.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same, with other endpoints.
    pub async fn restart_behind(self, urls: &[&str]) -> Self {
        self.restart_with(|network| network.rpc = urls.iter().map(|url| url.parse().unwrap()).collect()).await
    }

    /// The same, with its network configured otherwise.
    pub async fn restart_with(self, change: impl FnOnce(&mut NetworkConfig)) -> Self {
        let Self { chain, usdc, eurx, feed, clock, app, watcher, lease, merchant, writer, mut config, folder } = self;
        change(&mut config.networks[0]);
        // As if its node had been dead for long.
        give_back(&app, lease).await;
        drop((app, watcher));
        writer.await.unwrap();
        let (app, writer) = open_app(&config, &clock).await;
        let (watcher, lease) = new_watcher(&app).await;
        Self { chain, usdc, eurx, feed, clock, app, watcher, lease, merchant, writer, config, folder }
    }

    /// Up to what an invoice is paid on the word of one endpoint.
    pub async fn trust_one_up_to(&self, dollars: u64) {
        let (merchant, limit) = (self.merchant, UsdMillis::from_millis(dollars * 1000));
        let set = self.app.store.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { tx.set_single_source(merchant, Some(limit)).await })
        });
        assert!(set.await.unwrap());
    }

    /// Leaves the watching to the server's own task.
    pub async fn run(&self) -> JoinHandle<()> {
        give_back(&self.app, self.lease.clone()).await;
        self.app.spawn(pepay::chains::run(self.app.clone(), self.app.config.networks[0].clone()))
    }

    /// An invoice that was quoted in a token, so that its address is watched.
    pub async fn order(&self, due_millis: u64, token: TokenId) -> Order {
        let order = self.create(due_millis).await;
        self.quote(order, token).await;
        // An address of a key is settled only by then.
        Order { deposit: self.case(order).await.invoice.deposit_address, ..order }
    }

    /// An invoice that nothing was chosen for.
    pub async fn create(&self, due_millis: u64) -> Order {
        let invoice = plain_invoice::create(&self.app, self.merchant, due_millis, 15 * 60_000).await;
        Order { id: invoice.id, deposit: invoice.deposit_address, salt: invoice.deposit_salt }
    }

    /// Has payers be given addresses of another kind from now on.
    pub async fn set_addresses(&self, mode: AddressMode, xpub: Option<&str>) {
        let key = xpub.map(|text| AddressKey::parse(text, self.config.environment).unwrap());
        merchants::set_addresses(&self.app.store, self.merchant, mode, key, None).await.unwrap();
    }

    /// Changes the database behind the server's back.
    pub async fn meddle(&self, sql: &'static str) {
        let mut connection = AnyConnection::connect(&self.config.storage.database_url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// So many further invoices like this one, each with an address of its own.
    pub async fn open_more_like(&self, order: Order, count: u32) {
        let url = &self.config.storage.database_url;
        let (numbers, hex) = if url.starts_with("sqlite:") {
            (
                "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)",
                "PRINTF('%012x', n)",
            )
        } else {
            ("WITH numbers (n) AS (SELECT * FROM GENERATE_SERIES(1::BIGINT, $1::BIGINT))", "LPAD(TO_HEX(n), 12, '0')")
        };
        let same = "environment, due, title, footer, metadata, return_url_enabled, tolerance_basis_points,
            tolerance_at_most, receiver, deposit_salt, created_ms, expires_at, status, credit, remaining, overpaid, late,
            is_checking, ended_unverified, version, watched_until";
        let sql = format!(
            "{numbers} INSERT INTO invoices (merchant_id, invoice_id, sequence, session_hash, deposit_address, {same})
             SELECT merchant_id, '00000000-0000-4000-8000-' || {hex}, 1000000 + n, 'session ' || n,
                '0xdddddddddddddddddddddddddddd' || {hex}, {same}
             FROM numbers, invoices WHERE invoice_id = $2"
        );
        // As in `pepay::store`: the drivers are known to everybody who opened a database.
        let mut connection = AnyConnection::connect(url).await.unwrap();
        let insert = sqlx::query(AssertSqlSafe(sql)).bind(i64::from(count)).bind(order.id.to_string());
        assert_eq!(insert.execute(&mut connection).await.unwrap().rows_affected(), u64::from(count));
        connection.close().await.unwrap();
    }

    /// What the payer is asked to send.
    pub async fn quote(&self, order: Order, token: TokenId) -> U256 {
        let quoted = invoicing::choose(&self.app, self.merchant, order.id, "ethereum", token).await.unwrap();
        quoted.record.quote.amount.base_units()
    }

    pub fn payer(&self) -> Address {
        payer(&self.chain)
    }

    /// Pays dollars in thousandths, in a block of its own.
    pub async fn pay(&self, order: Order, millis: u64) -> B256 {
        self.pay_token(order, self.usdc, millis * 1000).await
    }

    pub async fn pay_token(&self, order: Order, token: Address, amount: u64) -> B256 {
        let hash = self.chain.send_token(self.payer(), token, order.deposit, units(amount)).await.unwrap();
        self.chain.mined(hash).await.unwrap();
        hash
    }

    pub async fn pay_native(&self, order: Order, amount: U256) -> B256 {
        let hash = self.chain.send_native(self.payer(), order.deposit, amount).await.unwrap();
        self.chain.mined(hash).await.unwrap();
        hash
    }

    /// Mines until what was just paid is deep enough to count, and reads it.
    pub async fn confirm(&mut self) {
        self.chain.mine(PAID_AFTER - 1).await.unwrap();
        self.catch_up().await;
    }

    /// Steps until there is nothing new.
    pub async fn catch_up(&mut self) {
        for _ in 0..100 {
            if self.watcher.step().await.unwrap() == Step::Idle {
                return;
            }
        }
        panic!("the watcher does not come to rest");
    }

    /// Asks again for what payments cost that have no price.
    pub async fn price_late(&self) {
        invoicing::price_unpriced(&self.app, &self.lease).await.unwrap();
    }

    pub async fn failing_step(&mut self) -> StepError {
        self.watcher.step().await.expect_err("the step fails")
    }

    pub async fn case(&self, order: Order) -> Case {
        let mut reader = self.app.store.reader().await.unwrap();
        Case::load(&mut reader.tx(), &self.app.config, self.merchant, order.id).await.unwrap().unwrap()
    }

    /// Every unit that reached the address is one recorded unit, whether it is credited or not.
    pub async fn check_conservation(&self, order: Order) {
        let case = self.case(order).await;
        let sweeps = self.app.store.reader().await.unwrap().tx().sweeps(self.merchant, order.id).await.unwrap();
        for token in [USDC, EURX, ETH] {
            let held = match token {
                USDC => self.chain.balance_of(self.usdc, order.deposit).await.unwrap(),
                EURX => self.chain.balance_of(self.eurx, order.deposit).await.unwrap(),
                _ => self.chain.native_balance(order.deposit).await.unwrap(),
            };
            let left = sweeps.iter().filter(|sweep| sweep.token == token).map(|sweep| sweep.amount);
            let arrived = held + left.fold(TokenAmount::ZERO, TokenAmount::plus).base_units();
            let recorded =
                case.payments.iter().filter(|payment| payment.record.canonical && payment.record.token == token);
            let recorded = recorded.map(|payment| payment.record.amount).fold(TokenAmount::ZERO, TokenAmount::plus);
            assert_eq!(recorded.base_units(), arrived, "token {token}");
        }
    }

    /// The types of an invoice's events so far, in order.
    pub async fn events(&self, order: Order) -> Vec<String> {
        let numbered = self.app.store.write::<_, StoreError, _>(|tx| Box::pin(async { tx.number_events(1000).await }));
        numbered.await.unwrap();
        let mut reader = self.app.store.reader().await.unwrap();
        let events = reader.tx().events_of_invoice(self.merchant, order.id, 0, 1000).await.unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }
}

#[track_caller]
pub fn check(case: &Case, status: InvoiceStatus, credit_millis: u64) {
    let standing = &case.invoice.standing;
    assert_eq!((standing.status, standing.credit), (status, UsdMillis::from_millis(credit_millis)));
    let credited = case.payments.iter().filter(|payment| {
        payment.record.canonical && matches!(payment.status, PaymentStatus::Confirmed | PaymentStatus::Underpaid)
    });
    let worth: UsdMillis = credited.map(|payment| payment.worth).sum();
    // A quote's rounding may credit a little more than the transfers are worth, never less.
    assert!(worth <= standing.credit, "{worth} of payments for a credit of {}", standing.credit);
}

async fn open_app(config: &Config, clock: &TestClock) -> (App, WriterTask) {
    let secrets = vec![ServerSecret::from_bytes([5; 32])];
    App::open(config.clone(), secrets, clock.clock(), "http://127.0.0.1").await.unwrap()
}

/// A watcher with the lease for its network.
async fn new_watcher(app: &App) -> (Watcher, Lease) {
    let network = app.config.networks[0].clone();
    let lease = nodes::take(app, &format!("{}{}", nodes::WATCH, network.name)).await.unwrap();
    let lease = lease.expect("nobody else watches");
    (Watcher::new(app.clone(), network, lease.clone()), lease)
}

async fn give_back(app: &App, lease: Lease) {
    let released: Result<_, StoreError> =
        app.store.write(move |tx| Box::pin(async move { tx.release_lease(&lease).await })).await;
    released.unwrap();
}

fn payer(chain: &LocalChain) -> Address {
    chain.accounts()[1]
}

pub fn units(units: u64) -> U256 {
    U256::from(units)
}

/// Ether in thousandths.
pub fn milliether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(1_000_000_000_000_000_u64)
}

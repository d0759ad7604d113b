//! A local Solana, a database and a watcher that moves only when told.

use alloy_primitives::{Address, U256};
use demo::chain::{ChainOptions, LocalChain};
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    invoice::{InvoiceStatus, PaymentStatus},
    money::UsdMillis,
    signature::ServerSecret,
};
use e2e::{Database, SolanaChain, SolanaPaid, TestFolder};
use pepay::{
    app::App,
    chains::{Step, StepError, evm, solana::Watcher},
    clock::TestClock,
    config::Config,
    invoicing::{self, Case, Chosen, QuoteError},
    nodes,
    solana::{SolanaAddress, associated_token_account, programs},
    store::{Lease, NewMerchant, StoreError, UnattributedPart, UnattributedRecord, WriterTask},
    wallet::WalletAddress,
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};

use crate::plain_invoice;

/// A dollar token of six decimals, at par.
pub const USDC: TokenId = TokenId(1);
/// A dollar token of Token-2022 that keeps one part in a hundred of each transfer.
pub const FEE: TokenId = TokenId(2);
/// Known, but not accepted.
pub const EURX: TokenId = TokenId(3);
/// 150 dollars each, by a feed on an EVM network.
pub const SOL: TokenId = TokenId(4);
/// A dollar token of the EVM network, at par.
pub const ON_EVM: TokenId = TokenId(5);
pub const NETWORK: &str = "solana";
pub const EVM_NETWORK: &str = "ethereum";
/// Slots after which a transaction that vanished cannot come back.
pub const BLOCKHASH_LIFE: u64 = 150;

pub struct Shop {
    pub chain: SolanaChain,
    /// The network that SOL is priced on, for those tests that want it.
    pub evm: Option<EvmSide>,
    pub usdc: SolanaAddress,
    pub fee: SolanaAddress,
    pub eurx: SolanaAddress,
    pub wallet: SolanaAddress,
    pub clock: TestClock,
    pub app: App,
    pub watcher: Watcher,
    lease: Lease,
    pub merchant: MerchantId,
    writer: WriterTask,
    config: Config,
    folder: TestFolder,
}

/// An EVM network beside it, which nobody watches but who asks for its watcher.
pub struct EvmSide {
    pub chain: LocalChain,
    /// What SOL costs.
    feed: Address,
    dollar: Address,
}

/// An invoice that is being watched, and what its payer is told.
#[derive(Clone)]
pub struct Order {
    pub merchant: MerchantId,
    pub id: InvoiceId,
    pub chosen: Chosen,
}

impl Order {
    /// In whole tokens.
    pub fn amount(&self) -> String {
        let quote = &self.chosen.record.quote;
        quote.amount.to_decimal(quote.decimals)
    }

    pub fn units(&self) -> u64 {
        self.chosen.record.quote.amount.base_units().to()
    }

    pub fn reference(&self) -> SolanaAddress {
        self.chosen.record.reference.unwrap()
    }
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(Database::of_tests(), false, |_| {}).await
    }

    pub async fn open_with_sol() -> Self {
        Self::open_with(Database::of_tests(), true, |_| {}).await
    }

    /// Opens a shop whose network is configured otherwise.
    pub async fn open_with(database: Database, with_sol: bool, change: impl FnOnce(&mut Value)) -> Self {
        let chain = SolanaChain::start().await;
        let usdc = chain.create_mint(6).await;
        let fee = json!({ "decimals": 6, "program": programs::TOKEN_2022, "fee": { "basis_points": 100 } });
        let fee = chain.create_mint_as(fee).await;
        let eurx = chain.create_mint(6).await;
        let wallet = chain.wallet("merchant").await;
        let payer = chain.wallet("payer").await;
        for owner in [wallet, payer] {
            chain.airdrop(owner, 100_000_000_000).await;
        }
        for mint in [usdc, fee, eurx] {
            chain.mint_to(mint, payer, 1_000_000_000_000_000).await;
        }
        chain.slots(2).await;

        let folder = TestFolder::new();
        let genesis: String = chain.call("getGenesisHash", json!([])).await;
        let mut network = json!({
            "name": NETWORK, "kind": "solana", "title": "Solana", "chain_id": 0, "genesis": genesis,
            "rpc": [chain.rpc_url()], "paid_after": 1, "final_after": 32, "final_tag": "finalized",
            "tokens": [
                { "id": USDC.0, "symbol": "USDC", "name": "USD Coin", "mint": usdc, "decimals": 6, "price": "par" },
                { "id": FEE.0, "symbol": "FUSD", "name": "Fee Dollar", "mint": fee, "program": "token-2022",
                  "decimals": 6, "price": "par" },
                { "id": EURX.0, "symbol": "EURX", "name": "Euro X", "mint": eurx, "decimals": 6, "price": "par",
                  "accepted": false },
            ],
        });
        let mut networks = Vec::new();
        let evm = if with_sol {
            let evm = LocalChain::start(ChainOptions::new(31337)).await.unwrap();
            let feed = evm.deploy_feed(150 * 100_000_000).await.unwrap();
            let dollar = evm.deploy_token("USD Coin", "USDC", 6).await.unwrap();
            evm.mint(dollar, evm.accounts()[1], U256::from(1_000_000_000_000_u64)).await.unwrap();
            let sol = json!({
                "id": SOL.0, "symbol": "SOL", "name": "Solana", "decimals": 9,
                "price": { "feed": feed, "heartbeat_seconds": 3600, "network": EVM_NETWORK },
            });
            network["tokens"].as_array_mut().unwrap().push(sol);
            networks.push(json!({
                "name": EVM_NETWORK, "title": "Ethereum", "chain_id": 31337, "rpc": [evm.rpc_url()],
                "paid_after": 1, "final_after": 2,
                "tokens": [
                    { "id": ON_EVM.0, "symbol": "USDC", "name": "USD Coin", "address": dollar, "decimals": 6,
                      "price": "par" },
                ],
            }));
            Some(EvmSide { chain: evm, feed, dollar })
        } else {
            None
        };
        change(&mut network);
        networks.insert(0, network);
        let file = || format!("sqlite:{}", folder.path().join("pepay.db").display());
        let config: Config = serde_json::from_value(json!({
            "environment": "devnet",
            "storage": { "database_url": database.new_url().unwrap_or_else(file) },
            "networks": networks,
        }))
        .unwrap();
        let clock = TestClock::default();
        let (app, writer) = open_app(&config, &clock).await;
        let (watcher, lease) = new_watcher(&app).await;
        let mut shop = Self {
            chain,
            evm,
            usdc,
            fee,
            eurx,
            wallet,
            clock,
            app,
            watcher,
            lease,
            merchant: MerchantId(0),
            writer,
            config,
            folder,
        };
        shop.keep_time().await;
        shop.merchant = shop.add_merchant(Some(wallet)).await;
        shop
    }

    /// Ends everything in memory, as a crash would, and starts again from what was stored, with other endpoints.
    pub async fn restart_behind(self, urls: &[&str]) -> Self {
        let Self { chain, evm, usdc, fee, eurx, wallet, clock, app, watcher, lease, merchant, writer, config, folder } =
            self;
        let mut config = config;
        config.networks[0].rpc = urls.iter().map(|url| url.parse().unwrap()).collect();
        let released: Result<_, StoreError> =
            app.store.write(move |tx| Box::pin(async move { tx.release_lease(&lease).await })).await;
        released.unwrap();
        drop((app, watcher));
        writer.await.unwrap();
        let (app, writer) = open_app(&config, &clock).await;
        let (watcher, lease) = new_watcher(&app).await;
        Self { chain, evm, usdc, fee, eurx, wallet, clock, app, watcher, lease, merchant, writer, config, folder }
    }

    pub async fn restart(self) -> Self {
        let url = self.chain.rpc_url().to_owned();
        self.restart_behind(&[&url]).await
    }

    pub async fn add_merchant(&self, wallet: Option<SolanaAddress>) -> MerchantId {
        let new = NewMerchant {
            name: "Shop".to_owned(),
            email: "shop@example.com".to_owned(),
            evm_wallet: Address::repeat_byte(0x77),
            recovery_code: [9; 32],
            created_at: self.app.clock.now(),
        };
        let added = self.app.store.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let merchant = tx.insert_merchant(&new).await?;
                tx.set_solana_wallet(merchant, wallet).await?;
                Ok(merchant)
            })
        });
        added.await.unwrap()
    }

    /// Has new invoices of the merchant be given these addresses.
    pub async fn give_list(&self, list: &[SolanaAddress]) {
        let (merchant, list) = (self.merchant, list.to_vec());
        let given = self.app.store.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                for address in list {
                    tx.add_solana_address(merchant, address).await?;
                }
                tx.use_solana_list(merchant).await
            })
        });
        assert!(given.await.unwrap());
    }

    /// An invoice that was quoted in a token, so that the wallet is watched.
    pub async fn order(&self, due_millis: u64, token: TokenId) -> Order {
        self.order_of(self.merchant, due_millis, token).await
    }

    pub async fn order_of(&self, merchant: MerchantId, due_millis: u64, token: TokenId) -> Order {
        // The chain's time stands still between slots, and ours does not.
        self.keep_time().await;
        let id = self.create(merchant, due_millis).await;
        let chosen = self.choose(merchant, id, token).await.unwrap();
        Order { merchant, id, chosen }
    }

    pub async fn choose(&self, merchant: MerchantId, id: InvoiceId, token: TokenId) -> Result<Chosen, QuoteError> {
        let network = if token == ON_EVM { EVM_NETWORK } else { NETWORK };
        invoicing::choose(&self.app, merchant, id, network, token).await
    }

    /// Pays millis of a dollar on the EVM network to where an invoice was told to, in a block of its own.
    pub async fn pay_on_evm(&self, chosen: &Chosen, millis: u64) {
        let WalletAddress::Evm(deposit) = chosen.address else { panic!("{:?} is on Solana", chosen.address) };
        let EvmSide { chain, dollar, .. } = self.evm.as_ref().unwrap();
        let paid = chain.send_token(chain.accounts()[1], *dollar, deposit, U256::from(millis * 1_000)).await;
        chain.mined(paid.unwrap()).await.unwrap();
    }

    /// Who reads the EVM network.
    pub async fn evm_watcher(&self) -> evm::Watcher {
        let network = self.app.config.networks[1].clone();
        let lease = nodes::take(&self.app, &format!("{}{}", nodes::WATCH, network.name)).await.unwrap();
        evm::Watcher::new(self.app.clone(), network, lease.expect("nobody else watches"))
    }

    /// The order with what is to be paid now.
    pub async fn quoted_again(&self, order: &Order) -> Order {
        let token = order.chosen.record.quote.token;
        let chosen = self.choose(order.merchant, order.id, token).await.unwrap();
        Order { chosen, ..order.clone() }
    }

    pub async fn create(&self, merchant: MerchantId, due_millis: u64) -> InvoiceId {
        plain_invoice::create(&self.app, merchant, due_millis, 15 * 60_000).await.id
    }

    /// Changes the database behind the server's back, for what no command sets.
    pub async fn meddle(&self, sql: &'static str) {
        let mut connection = AnyConnection::connect(&self.config.storage.database_url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Has SOL cost so much from now on, in hundred-millionths of a dollar.
    pub async fn set_sol_price(&self, usd_e8: i64) {
        let evm = self.evm.as_ref().unwrap();
        let now = self.app.clock.now().0.unsigned_abs();
        evm.chain.set_price(evm.feed, usd_e8, now).await.unwrap();
    }

    /// Pays SOL to the merchant's wallet, as `more` says.
    pub async fn pay_sol(&self, amount: &str, more: Value) -> SolanaPaid {
        let mut payment = json!({ "recipient": self.wallet, "amount": amount });
        payment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.chain.pay("payer", payment).await
    }

    /// Pays tokens to the merchant's wallet, as `more` says.
    pub async fn pay(&self, amount: &str, more: Value) -> SolanaPaid {
        let mut payment = json!({ "recipient": self.wallet, "mint": self.usdc, "amount": amount });
        payment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.chain.pay("payer", payment).await
    }

    /// Pays as a wallet does that reads all of the code.
    pub async fn pay_order(&self, order: &Order) -> SolanaPaid {
        self.pay(&order.amount(), json!({ "references": [order.reference()] })).await
    }

    /// Has our clock show what the chain's does.
    pub async fn keep_time(&self) {
        let slot = self.chain.slot("confirmed").await;
        let time: i64 = self.chain.call("getBlockTime", json!([slot])).await;
        self.clock.advance_seconds(time - self.app.clock.now().0);
    }

    /// Has so many slots end, and reads what is in them.
    pub async fn after_slots(&mut self, slots: u64) {
        self.chain.slots(slots).await;
        self.catch_up().await;
    }

    /// Asks again for what payments cost that have no price.
    pub async fn price_late(&self) {
        invoicing::price_unpriced(&self.app, &self.lease).await.unwrap();
    }

    /// Has what was sent be confirmed, and reads it.
    pub async fn confirm(&mut self) {
        self.after_slots(2).await;
    }

    /// Has what was sent be final, and reads it.
    pub async fn finalize(&mut self) {
        self.after_slots(40).await;
    }

    /// Moves all clocks on.
    pub async fn wait(&self, seconds: u64) {
        self.chain.increase_time(seconds).await;
        self.chain.slots(2).await;
        self.keep_time().await;
        if let Some(EvmSide { chain, .. }) = &self.evm {
            chain.increase_time(seconds).await.unwrap();
            chain.mine(1).await.unwrap();
        }
    }

    /// Steps until all is read.
    pub async fn catch_up(&mut self) {
        self.keep_time().await;
        for _ in 0..100 {
            if self.watcher.step().await.unwrap() == (Step::Recorded { is_at_head: true }) {
                return;
            }
        }
        panic!("the watcher does not come to rest");
    }

    /// Ends what is past its time, as the timer does.
    pub async fn end_due(&self) {
        let lease = nodes::take(&self.app, nodes::EXPIRY).await.unwrap().unwrap();
        invoicing::end_due_invoices(&self.app, &lease).await.unwrap();
        let released: Result<_, StoreError> =
            self.app.store.write(move |tx| Box::pin(async move { tx.release_lease(&lease).await })).await;
        released.unwrap();
    }

    pub async fn failing_step(&mut self) -> StepError {
        self.watcher.step().await.expect_err("the step fails")
    }

    pub async fn case(&self, order: &Order) -> Case {
        let mut reader = self.app.store.reader().await.unwrap();
        Case::load(&mut reader.tx(), &self.app.config, order.merchant, order.id).await.unwrap().unwrap()
    }

    pub async fn unattributed(&self, merchant: MerchantId) -> Vec<UnattributedRecord> {
        let mut reader = self.app.store.reader().await.unwrap();
        reader.tx().unattributed(merchant, UnattributedPart::Newest, 100).await.unwrap().0
    }

    /// The signature up to which the wallet's account for the dollar token was read.
    pub async fn cursor(&self) -> Option<String> {
        let mut reader = self.app.store.reader().await.unwrap();
        let account = self.till();
        let cursors = reader.tx().solana_cursors(NETWORK).await.unwrap();
        cursors.into_iter().find(|cursor| cursor.account == account).map(|cursor| cursor.signature)
    }

    /// The wallet's account for the dollar token.
    pub fn till(&self) -> SolanaAddress {
        associated_token_account(self.wallet, self.usdc, programs::TOKEN)
    }

    /// The types of an invoice's events so far, in order.
    pub async fn events(&self, order: &Order) -> Vec<String> {
        let numbered = self.app.store.write::<_, StoreError, _>(|tx| Box::pin(async { tx.number_events(1000).await }));
        numbered.await.unwrap();
        let mut reader = self.app.store.reader().await.unwrap();
        let events = reader.tx().events_of_invoice(order.merchant, order.id, 0, 1000).await.unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }
}

/// A mark is worth less than a cent, which is credited too.
#[track_caller]
pub fn check(case: &Case, status: InvoiceStatus, credit_millis: u64) {
    let standing = &case.invoice.standing;
    assert_eq!(standing.status, status, "credit {}", standing.credit);
    let credit = standing.credit.as_millis();
    assert!((credit_millis..credit_millis + 10).contains(&credit), "credit {credit} instead of {credit_millis}");
    let credited = case.payments.iter().filter(|payment| {
        payment.record.canonical && matches!(payment.status, PaymentStatus::Confirmed | PaymentStatus::Underpaid)
    });
    let worth: UsdMillis = credited.map(|payment| payment.worth).sum();
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

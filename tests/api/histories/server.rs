//! A server in this process, of which nothing runs by itself.

use std::{collections::HashMap, sync::Mutex};

use alloy_primitives::Address;
use domain::{
    id::{InvoiceId, MerchantId},
    signature::ServerSecret,
};
use e2e::{Database, TestFolder};
use pepay::{
    app::App,
    clock::TestClock,
    config::Config,
    invoicing::{self, Case},
    nodes,
    solana::SolanaAddress,
    store::{Lease, NewMerchant, StoreError},
};
use serde_json::{Value, json};

/// A server that does only what it is told.
pub struct Server {
    pub app: App,
    pub clock: TestClock,
    /// For what only one node may do, but watching.
    lease: Lease,
    /// Those for watching, by network.
    watches: Mutex<HashMap<String, Lease>>,
    _folder: TestFolder,
}

impl Server {
    /// Opens one with these networks, which reads them only when told.
    pub async fn open(clock: TestClock, networks: Vec<Value>) -> Self {
        let folder = TestFolder::new();
        let file = || format!("sqlite:{}", folder.path().join("pepay.db").display());
        let config: Config = serde_json::from_value(json!({
            "environment": "devnet",
            "storage": { "database_url": Database::of_tests().new_url().unwrap_or_else(file) },
            "networks": networks,
            // Nobody renews a lease here.
            "nodes": { "lease_ms": 300_000 },
        }))
        .unwrap();
        let secrets = vec![ServerSecret::from_bytes([5; 32])];
        let (app, _writer) = App::open(config, secrets, clock.clock(), "http://127.0.0.1/").await.unwrap();
        let lease = nodes::take(&app, "tests").await.unwrap().unwrap();
        Self { app, clock, lease, watches: Mutex::default(), _folder: folder }
    }

    pub async fn add_merchant(&self, solana_wallet: Option<SolanaAddress>) -> MerchantId {
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
                tx.set_solana_wallet(merchant, solana_wallet).await?;
                Ok(merchant)
            })
        });
        added.await.unwrap()
    }

    /// What whoever watches a network must hold; whoever had it before loses it.
    pub async fn take_watch(&self, network: &str) -> Lease {
        let before = self.watches.lock().unwrap().remove(network);
        if let Some(lease) = before {
            let released = self
                .app
                .store
                .write::<_, StoreError, _>(move |tx| Box::pin(async move { tx.release_lease(&lease).await }));
            released.await.unwrap();
        }
        let lease = nodes::take(&self.app, &format!("{}{network}", nodes::WATCH)).await.unwrap();
        let lease = lease.expect("this node alone watches it");
        self.watches.lock().unwrap().insert(network.to_owned(), lease.clone());
        lease
    }

    pub async fn end_due_invoices(&self) {
        invoicing::end_due_invoices(&self.app, &self.lease).await.unwrap();
    }

    /// Asks again for what payments cost that have no price.
    pub async fn price_late(&self) {
        invoicing::price_unpriced(&self.app, &self.lease).await.unwrap();
    }

    pub async fn number_events(&self) {
        const AT_ONCE: i64 = 1000;
        loop {
            let number = self.app.store.write::<_, StoreError, _>(|tx| Box::pin(tx.number_events(AT_ONCE)));
            if number.await.unwrap().is_empty() {
                return;
            }
        }
    }

    pub async fn case(&self, merchant: MerchantId, invoice: InvoiceId) -> Case {
        let mut reader = self.app.store.reader().await.unwrap();
        Case::load(&mut reader.tx(), &self.app.config, merchant, invoice).await.unwrap().unwrap()
    }

    pub fn now(&self) -> i64 {
        self.app.clock.now().0
    }
}

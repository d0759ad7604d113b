//! What the store promises of sweeps that failed, and of what the gas-only key spends.

use alloy_primitives::{Address, B256, Bytes, U256};
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    time::{UnixMillis, UnixSeconds},
};

use super::{Store, StoreError, SweepFailureRecord, SweepState, SweepTransaction, contract::new_invoice};

const ACCOUNT: Address = Address::repeat_byte(7);

impl Store {
    async fn fails(&self, failure: &SweepFailureRecord) -> bool {
        let failure = failure.clone();
        self.does(move |tx| Box::pin(async move { tx.record_sweep_failure(&failure).await })).await
    }

    async fn failures(&self, merchant: MerchantId) -> Vec<SweepFailureRecord> {
        self.reader().await.unwrap().tx().sweep_failures(merchant, 100).await.unwrap()
    }

    async fn begins(&self, sweep: &SweepTransaction) -> Result<(), StoreError> {
        let sweep = sweep.clone();
        self.write(move |tx| Box::pin(async move { tx.insert_sweep_transaction(&sweep).await })).await
    }

    async fn changes(&self, sweep: &SweepTransaction) {
        let sweep = sweep.clone();
        self.does(move |tx| Box::pin(async move { tx.update_sweep_transaction(&sweep).await })).await;
    }

    async fn last(&self, account: Address) -> Option<SweepTransaction> {
        self.reader().await.unwrap().tx().last_sweep_transaction("base", account).await.unwrap()
    }

    async fn spent(&self, day: i64) -> u64 {
        self.reader().await.unwrap().tx().gas_spent("base", day).await.unwrap().to()
    }
}

fn transaction(merchant: MerchantId, nonce: u64, reserved: u64) -> SweepTransaction {
    SweepTransaction {
        network: "base".to_owned(),
        account: ACCOUNT,
        nonce,
        state: SweepState::Open,
        merchant,
        invoices: [1, 2].map(|byte| InvoiceId::from_random([byte; 16])).into(),
        calldata: Bytes::from_static(&[1, 2, 3]),
        gas_limit: 100_000,
        max_fee: U256::MAX,
        priority_fee: U256::from(1),
        hashes: vec![B256::repeat_byte(1)],
        reserved: U256::from(reserved),
        spent: None,
        block_number: None,
        priced: UnixMillis(5),
    }
}

async fn a_failure_is_kept_until_a_later_sweep_or_a_reorganisation(store: Store) {
    let invoice = new_invoice(&store).await;
    let failure = |token, block_number, log_index| SweepFailureRecord {
        merchant: invoice.merchant,
        invoice: invoice.id,
        network: "base".to_owned(),
        token: TokenId(token),
        reason: "refused".to_owned(),
        tx_id: "0xa".to_owned(),
        block_number,
        log_index,
        failed_at: UnixSeconds(9),
    };
    assert!(store.fails(&failure(1, 10, 5)).await);
    assert!(store.fails(&failure(2, 10, 6)).await);
    assert!(!store.fails(&failure(1, 20, 5)).await, "it is the same trouble, and its last time counts");
    assert_eq!(store.failures(invoice.merchant).await, [failure(1, 20, 5), failure(2, 10, 6)]);
    assert_eq!(store.failures(MerchantId(invoice.merchant.0 + 1)).await, []);

    let forgets = async |token, place| {
        let (merchant, id) = (invoice.merchant, invoice.id);
        store
            .does(move |tx| {
                Box::pin(async move { tx.forget_sweep_failure(merchant, id, "base", TokenId(token), place).await })
            })
            .await;
    };
    forgets(1, (20, 5)).await;
    forgets(1, (19, 9)).await;
    forgets(2, (10, 7)).await;
    assert_eq!(store.failures(invoice.merchant).await, [failure(1, 20, 5)]);
    store.does(|tx| Box::pin(async move { tx.forget_sweep_failures_above("base", 20).await })).await;
    store.does(|tx| Box::pin(async move { tx.forget_sweep_failures_above("other", 1).await })).await;
    let mut reader = store.reader().await.unwrap();
    let left = reader.tx().sweep_failures_of(invoice.merchant, invoice.id).await.unwrap();
    assert_eq!(left, [failure(1, 20, 5)]);
    drop(reader);
    store.does(|tx| Box::pin(async move { tx.forget_sweep_failures_above("base", 19).await })).await;
    assert_eq!(store.failures(invoice.merchant).await, []);
}

async fn a_sweep_s_transaction_reads_back_as_written(store: Store) {
    let merchant = new_invoice(&store).await.merchant;
    let mut sweep = transaction(merchant, 3, 70);
    store.begins(&sweep).await.unwrap();
    assert_eq!(store.last(ACCOUNT).await, Some(sweep.clone()));
    sweep.hashes.push(B256::repeat_byte(2));
    sweep.max_fee = U256::from(9);
    sweep.reserved = U256::from(80);
    sweep.priced = UnixMillis(6);
    store.changes(&sweep).await;
    sweep =
        SweepTransaction { state: SweepState::Mined, spent: Some((U256::from(5), 20)), block_number: Some(8), ..sweep };
    store.changes(&sweep).await;
    assert_eq!(store.last(ACCOUNT).await, Some(sweep.clone()));
    assert_eq!(store.last(Address::ZERO).await, None);
    store.begins(&transaction(merchant, 4, 1)).await.unwrap();
    assert_eq!(store.last(ACCOUNT).await.unwrap().nonce, 4);
}

async fn an_account_has_one_open_sweep_at_a_time(store: Store) {
    let merchant = new_invoice(&store).await.merchant;
    let first = transaction(merchant, 3, 70);
    store.begins(&first).await.unwrap();
    assert!(store.begins(&transaction(merchant, 4, 1)).await.is_err());
    let other = SweepTransaction { account: Address::ZERO, ..transaction(merchant, 4, 1) };
    store.begins(&other).await.unwrap();
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().abandoned_sweep_transactions("base", ACCOUNT).await.unwrap(), [other]);
    drop(reader);
    store.changes(&SweepTransaction { state: SweepState::Failed, spent: Some((U256::ZERO, 1)), ..first }).await;
    assert!(store.begins(&transaction(merchant, 3, 1)).await.is_err(), "the number is taken");
    store.begins(&transaction(merchant, 4, 1)).await.unwrap();
}

async fn what_is_open_counts_on_every_day_and_what_is_spent_on_its_own(store: Store) {
    let merchant = new_invoice(&store).await.merchant;
    assert_eq!(store.spent(20).await, 0);
    let first = transaction(merchant, 1, 70);
    store.begins(&first).await.unwrap();
    assert_eq!((store.spent(20).await, store.spent(21).await), (70, 70));
    store.changes(&SweepTransaction { state: SweepState::Mined, spent: Some((U256::from(30), 20)), ..first }).await;
    assert_eq!((store.spent(20).await, store.spent(21).await), (30, 0));
    store.begins(&transaction(merchant, 2, 5)).await.unwrap();
    let elsewhere = SweepTransaction { network: "other".to_owned(), ..transaction(merchant, 2, 1000) };
    store.begins(&elsewhere).await.unwrap();
    assert_eq!((store.spent(20).await, store.spent(21).await), (35, 5));
}

macro_rules! promises {
    ($open:path) => {
        store_contract!($open:
            a_failure_is_kept_until_a_later_sweep_or_a_reorganisation,
            a_sweep_s_transaction_reads_back_as_written,
            an_account_has_one_open_sweep_at_a_time,
            what_is_open_counts_on_every_day_and_what_is_spent_on_its_own,
        );
    };
}

mod sqlite {
    use crate::{store::Store, testing::TempDir};

    async fn open() -> (Store, TempDir) {
        let dir = TempDir::new();
        let (store, _) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
        (store, dir)
    }

    promises!(open);
}

mod postgres {
    use crate::store::Store;

    async fn open() -> (Store, ()) {
        let (store, _) = Store::open(&postgres_cluster::new_database()).await.unwrap();
        (store, ())
    }

    promises!(open);
}

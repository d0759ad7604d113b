//! What the store promises about kinds of addresses, on each engine.

use alloy_primitives::{Address, U256};
use domain::{
    id::{InvoiceId, MerchantId, TokenId},
    money::{Decimals, Rate, TokenAmount},
    time::UnixSeconds,
};

use super::{
    InvoiceRecord, Store, UnattributedRecord, UniqueAmount,
    contract::{insert, new_invoice, new_merchant, plain},
};

const WALLET: Address = Address::repeat_byte(0x77);
const OTHER_WALLET: Address = Address::repeat_byte(0x78);

impl Store {
    async fn reserves(&self, invoice: &InvoiceRecord, amount: u64, until: UnixSeconds, now: UnixSeconds) -> bool {
        let unique = UniqueAmount {
            merchant: invoice.merchant,
            invoice: invoice.id,
            wallet: WALLET,
            token: TokenId(1),
            amount: units(amount),
            reserved_until: until,
        };
        self.does(move |tx| Box::pin(async move { tx.reserve_amount(&unique, now).await })).await
    }

    async fn owner(&self, wallet: Address, amount: u64, at: UnixSeconds) -> Option<(MerchantId, InvoiceId)> {
        let mut reader = self.reader().await.unwrap();
        reader.tx().invoice_of_amount(wallet, TokenId(1), units(amount), at).await.unwrap()
    }

    async fn came(&self, seen: &UnattributedRecord) {
        let seen = seen.clone();
        self.does(move |tx| Box::pin(async move { tx.record_unattributed(&seen).await })).await;
    }

    async fn unattributed(&self, merchant: MerchantId, limit: i64, offset: i64) -> (Vec<UnattributedRecord>, bool) {
        self.reader().await.unwrap().tx().unattributed(merchant, limit, offset).await.unwrap()
    }
}

fn units(units: u64) -> TokenAmount {
    TokenAmount::from_base_units(U256::from(units))
}

fn seen(merchant: MerchantId, block: u64) -> UnattributedRecord {
    UnattributedRecord {
        merchant,
        network: "base".to_owned(),
        block_hash: format!("0xb{block}"),
        tx_id: format!("0x{block}"),
        log_index: 3,
        ordinal: 1,
        wallet: WALLET,
        token: TokenId(1),
        decimals: Decimals::new(6).unwrap(),
        amount: TokenAmount::from_base_units(U256::MAX),
        payer: Some("0xpayer".to_owned()),
        block_number: block,
        block_time: UnixSeconds(i64::try_from(block).unwrap()),
        price_at_block: Some(Rate::PAR),
        accepted: true,
    }
}

async fn the_numbers_of_a_key_only_rise(store: Store) {
    let merchant = new_invoice(&store).await.merchant;
    let chosen = async || store.reader().await.unwrap().tx().chosen_xpub(merchant).await.unwrap();
    assert_eq!(chosen().await, None);
    for (key, raised_to, expected) in
        [("first", 0, 0), ("first", 7, 7), ("first", 3, 7), ("second", 1, 1), ("first", 0, 7), ("second", 0, 1)]
    {
        store
            .does(move |tx| {
                Box::pin(async move {
                    tx.choose_xpub(merchant, key).await?;
                    tx.raise_address_index(merchant, key, raised_to).await
                })
            })
            .await;
        assert_eq!(chosen().await, Some((key.to_owned(), expected)));
    }
    let owner = store.reader().await.unwrap().tx().owner_of_xpub("first").await.unwrap();
    assert_eq!(owner, Some(merchant));
}

async fn an_address_changes_until_somebody_was_told_of_it(store: Store) {
    let invoice = new_invoice(&store).await;
    let (merchant, id) = (invoice.merchant, invoice.id);
    let change = async |index: u32| {
        let address = Address::with_last_byte(u8::try_from(index).unwrap());
        store.does(move |tx| Box::pin(async move { tx.change_address(merchant, id, index, address).await })).await
    };
    let now = async || store.reader().await.unwrap().tx().invoice(merchant, id).await.unwrap().unwrap();
    assert!(change(5).await);
    let changed = now().await;
    assert_eq!((changed.address_index, changed.deposit_address), (Some(5), Address::with_last_byte(5)));
    assert_eq!((changed.receiver, changed.version), (changed.deposit_address, invoice.version + 1));

    store.does(move |tx| Box::pin(async move { tx.watch_invoice(merchant, id, UnixSeconds(9)).await })).await;
    assert!(!change(6).await);
    assert_eq!(now().await.address_index, Some(5));
}

async fn an_amount_is_one_invoice_s_at_a_time(store: Store) {
    let first = new_invoice(&store).await;
    let second = insert(&store, plain(first.merchant, 2)).await;
    let stranger = insert(&store, plain(new_merchant(&store).await, 3)).await;
    let (now, until) = (first.created.as_seconds(), first.created.as_seconds().plus(100));
    assert!(store.reserves(&first, 7, until, now).await);
    for other in [&second, &stranger] {
        assert!(!store.reserves(other, 7, until, now).await, "one wallet may be that of several merchants");
    }
    assert!(store.reserves(&second, 8, until, now).await);
    let amounts = store.reader().await.unwrap().tx().amounts_of_invoice(first.merchant, first.id, TokenId(1)).await;
    assert_eq!(amounts.unwrap(), [units(7)]);

    let of_first = Some((first.merchant, first.id));
    for (wallet, amount, at, expected) in [
        (WALLET, 7, now, of_first),
        (WALLET, 7, until, of_first),
        (WALLET, 7, until.plus(1), None),
        // A chain's clock may be a little behind ours.
        (WALLET, 7, now.plus(-60), of_first),
        (WALLET, 7, now.plus(-61), None),
        (WALLET, 9, now, None),
        (OTHER_WALLET, 7, now, None),
    ] {
        assert_eq!(store.owner(wallet, amount, at).await, expected, "{amount} at {at:?}");
    }

    // When its time is over it is another one's.
    assert!(store.reserves(&second, 7, until.plus(100), until.plus(1)).await);
    assert_eq!(store.owner(WALLET, 7, until.plus(1)).await, Some((second.merchant, second.id)));
    let prune = async |before: UnixSeconds| {
        store.does(move |tx| Box::pin(async move { tx.prune_unique_amounts(before, 100).await })).await
    };
    assert_eq!((prune(until.plus(1)).await, prune(until.plus(1)).await), (1, 0));
    assert_eq!(store.owner(WALLET, 8, now).await, None);
}

async fn what_belongs_to_nobody_is_listed_until_it_is_attached_or_orphaned(store: Store) {
    let invoice = new_invoice(&store).await;
    let (merchant, id) = (invoice.merchant, invoice.id);
    let records = [1, 2, 3].map(|block| seen(merchant, block));
    for record in &records {
        store.came(record).await;
        store.came(record).await;
    }
    let [first, second, third] = records;
    assert_eq!(store.unattributed(merchant, 2, 0).await, (vec![third.clone(), second.clone()], true));
    assert_eq!(store.unattributed(merchant, 2, 2).await, (vec![first.clone()], false));
    assert_eq!(store.unattributed(MerchantId(merchant.0 + 1), 10, 0).await, (vec![], false));

    store.does(|tx| Box::pin(async move { tx.orphan_unattributed_above("base", 2).await })).await;
    store.does(|tx| Box::pin(async move { tx.orphan_unattributed_above("ethereum", 0).await })).await;
    assert_eq!(store.unattributed(merchant, 9, 0).await.0, [second.clone(), first.clone()]);
    store.came(&third).await;
    assert_eq!(store.unattributed(merchant, 9, 0).await.0.len(), 3);

    let attach = async |tx_id: &'static str| {
        store
            .does(move |tx| {
                Box::pin(async move { tx.attach_transaction(merchant, "base", tx_id, id, UnixSeconds(9)).await })
            })
            .await
    };
    assert_eq!((attach("0x2").await, attach("0x2").await), (true, false));
    assert_eq!(store.unattributed(merchant, 9, 0).await.0, [third, first]);
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.tx().attachment("base", "0x2").await.unwrap(), Some((merchant, id)));
    assert_eq!(reader.tx().attachment("ethereum", "0x2").await.unwrap(), None);
    assert_eq!(reader.tx().unattributed_of(merchant, "base", "0x2").await.unwrap(), [second]);
}

macro_rules! promises {
    ($open:path) => {
        store_contract!($open:
            the_numbers_of_a_key_only_rise,
            an_address_changes_until_somebody_was_told_of_it,
            an_amount_is_one_invoice_s_at_a_time,
            what_belongs_to_nobody_is_listed_until_it_is_attached_or_orphaned,
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

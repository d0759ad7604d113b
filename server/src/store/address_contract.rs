//! What the store promises about kinds of addresses, on each engine.

use alloy_primitives::{Address, U256};
use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId, TokenId},
    money::{Decimals, Rate, TokenAmount},
    time::UnixSeconds,
};

use super::{
    InvoiceRecord, NewInvoice, Store, UnattributedPart, UnattributedPlace, UnattributedRecord, UniqueAmount,
    contract::{insert, new_invoice, new_merchant, plain},
};
use crate::wallet::WalletAddress;

const WALLET: Address = Address::repeat_byte(0x77);
const OTHER_WALLET: Address = Address::repeat_byte(0x78);

impl Store {
    async fn reserves(&self, invoice: &InvoiceRecord, amount: u64, until: UnixSeconds, now: UnixSeconds) -> bool {
        let unique = UniqueAmount {
            merchant: invoice.merchant,
            invoice: invoice.id,
            wallet: WalletAddress::Evm(WALLET),
            token: TokenId(1),
            amount: units(amount),
            reserved_until: until,
        };
        self.does(move |tx| Box::pin(async move { tx.reserve_amount(&unique, now).await })).await
    }

    async fn owner(&self, wallet: Address, amount: u64, at: UnixSeconds) -> Option<(MerchantId, InvoiceId)> {
        let mut reader = self.reader().await.unwrap();
        reader.tx().invoice_of_amount(WalletAddress::Evm(wallet), TokenId(1), units(amount), at).await.unwrap()
    }

    async fn came(&self, seen: &UnattributedRecord) {
        let seen = seen.clone();
        self.does(move |tx| Box::pin(async move { tx.record_unattributed(&seen).await })).await;
    }

    async fn attaches(&self, seen: &UnattributedRecord, invoice: InvoiceId) -> bool {
        let (merchant, payment) = (seen.merchant, seen.payment());
        self.does(move |tx| Box::pin(async move { tx.attach(merchant, payment, invoice, UnixSeconds(9)).await })).await
    }

    async fn attachment(&self, merchant: MerchantId, seen: &UnattributedRecord) -> Option<InvoiceId> {
        self.reader().await.unwrap().tx().attachment(merchant, seen.payment()).await.unwrap()
    }

    async fn unattributed(&self, merchant: MerchantId) -> Vec<UnattributedRecord> {
        self.unattributed_part(merchant, UnattributedPart::Newest, 9).await.0
    }

    async fn unattributed_part(
        &self,
        merchant: MerchantId,
        part: UnattributedPart,
        limit: usize,
    ) -> (Vec<UnattributedRecord>, bool) {
        self.reader().await.unwrap().tx().unattributed(merchant, part, limit).await.unwrap()
    }

    async fn place(&self, seen: &UnattributedRecord) -> UnattributedPlace {
        let mut reader = self.reader().await.unwrap();
        reader.tx().unattributed_place(seen.merchant, seen.payment()).await.unwrap().unwrap()
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
        wallet: WalletAddress::Evm(WALLET),
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
    assert!(store.reserves(&first, 10, until, now).await);
    for (range, expected) in
        [((7, 9), Some(7)), ((8, 9), None), ((8, 100), Some(10)), ((10, 10), Some(10)), ((11, 99), None)]
    {
        let mut reader = store.reader().await.unwrap();
        let range = (units(range.0), units(range.1));
        let own = reader.tx().amount_of_invoice(first.merchant, first.id, TokenId(1), range).await.unwrap();
        assert_eq!(own, expected.map(units), "{range:?}");
    }

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
    assert_eq!((prune(until.plus(1)).await, prune(until.plus(1)).await), (2, 0));
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
    let places = [store.place(&first).await, store.place(&second).await, store.place(&third).await];
    for (part, limit, expected, has_more) in [
        (UnattributedPart::Newest, 2, vec![&third, &second], true),
        (UnattributedPart::Newest, 3, vec![&third, &second, &first], false),
        (UnattributedPart::OlderThan(places[1]), 2, vec![&first], false),
        (UnattributedPart::OlderThan(places[2]), 1, vec![&second], true),
        (UnattributedPart::NewerThan(places[0]), 2, vec![&third, &second], false),
        (UnattributedPart::NewerThan(places[0]), 1, vec![&second], true),
    ] {
        let expected: Vec<_> = expected.into_iter().cloned().collect();
        assert_eq!(store.unattributed_part(merchant, part, limit).await, (expected, has_more), "{part:?}");
    }
    assert_eq!(store.unattributed(MerchantId(merchant.0 + 1)).await, []);

    store.does(|tx| Box::pin(async move { tx.orphan_unattributed_above("base", 2).await })).await;
    store.does(|tx| Box::pin(async move { tx.orphan_unattributed_above("ethereum", 0).await })).await;
    assert_eq!(store.unattributed(merchant).await, [second.clone(), first.clone()]);
    store.came(&third).await;
    assert_eq!(store.unattributed(merchant).await.len(), 3);

    assert!(store.attaches(&second, id).await && !store.attaches(&second, id).await);
    assert_eq!(store.unattributed(merchant).await, [third, first]);
    assert_eq!(store.attachment(merchant, &second).await, Some(id));
    let of_transaction = store.reader().await.unwrap().tx().unattributed_of(merchant, "base", "0x2").await;
    assert_eq!(of_transaction.unwrap(), [second]);

    let prune = async |before: i64| {
        store.does(move |tx| Box::pin(async move { tx.prune_unattributed(UnixSeconds(before), 100).await })).await
    };
    assert_eq!((prune(2).await, prune(2).await), (1, 0));
    assert_eq!(store.unattributed(merchant).await.len(), 1);
}

async fn each_payment_of_a_transaction_and_each_merchant_s_is_attached_by_itself(store: Store) {
    let invoice = new_invoice(&store).await;
    let stranger = insert(&store, plain(new_merchant(&store).await, 2)).await;
    let first = seen(invoice.merchant, 1);
    let second = UnattributedRecord { ordinal: 2, log_index: 4, ..first.clone() };
    let theirs = UnattributedRecord { merchant: stranger.merchant, ..first.clone() };
    for record in [&first, &second, &theirs] {
        store.came(record).await;
    }
    assert!(store.attaches(&theirs, stranger.id).await);
    assert_eq!(store.attachment(invoice.merchant, &first).await, None, "another merchant's word is not mine");
    assert_eq!(store.unattributed(invoice.merchant).await.len(), 2);
    assert!(store.attaches(&second, invoice.id).await);
    assert_eq!(store.unattributed(invoice.merchant).await, std::slice::from_ref(&first));
    assert!(store.attaches(&first, invoice.id).await);
    // In another block it is the same payment.
    let moved = UnattributedRecord { block_hash: "0xb9".to_owned(), log_index: 7, block_number: 9, ..first };
    assert_eq!(store.attachment(invoice.merchant, &moved).await, Some(invoice.id));
}

async fn it_is_known_whose_an_address_is(store: Store) {
    let (forwarder, key, direct) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
    let (own, other) = (new_merchant(&store).await, new_merchant(&store).await);
    for (number, address_mode, deposit_address) in
        [(1, AddressMode::Forwarder, forwarder), (2, AddressMode::Xpub, key), (3, AddressMode::Direct, direct)]
    {
        insert(&store, NewInvoice { address_mode, deposit_address, ..plain(own, number) }).await;
    }
    // Both have the same wallet, as their first one.
    let first_wallet = Address::repeat_byte(0xab);
    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    for (address, is_in_use, is_own_deposit, is_other_s_deposit, is_another_s) in [
        (forwarder, true, true, true, true),
        (key, true, true, false, true),
        (direct, true, false, false, true),
        (first_wallet, true, false, false, true),
        (Address::repeat_byte(4), false, false, false, false),
    ] {
        assert_eq!(tx.is_in_use(address).await.unwrap(), is_in_use, "{address}");
        assert_eq!(tx.is_deposit_of(own, address).await.unwrap(), is_own_deposit, "{address}");
        assert_eq!(tx.is_deposit_of(other, address).await.unwrap(), is_other_s_deposit, "{address}");
        assert_eq!(tx.is_another_s(other, address).await.unwrap(), is_another_s, "{address}");
    }
    assert!(!tx.is_another_s(own, direct).await.unwrap());
}

macro_rules! promises {
    ($open:path) => {
        store_contract!($open:
            the_numbers_of_a_key_only_rise,
            an_address_changes_until_somebody_was_told_of_it,
            an_amount_is_one_invoice_s_at_a_time,
            each_payment_of_a_transaction_and_each_merchant_s_is_attached_by_itself,
            it_is_known_whose_an_address_is,
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

//! What the store promises about what merchants set for themselves, on each engine.

use alloy_primitives::Address;
use domain::{
    acceptance::{Acceptance, AcceptancePolicy},
    id::{MerchantId, RpcEndpointId, TokenId, WalletId},
    time::UnixSeconds,
};
use futures_util::future::BoxFuture;

use crate::brand::{Brand, Logo, LogoKind};

use super::{
    BrandRecord, MerchantRecord, NewMerchant, RpcEndpointRecord, SettlementChoice, Store, StoreError, Tx, WalletRecord,
};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const NOBODY: MerchantId = MerchantId(999);

/// A write that must succeed.
async fn does<T, F>(store: &Store, work: F) -> T
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    store.write(work).await.unwrap()
}

async fn new_merchant(store: &Store) -> MerchantId {
    let merchant = NewMerchant {
        name: "Shop".to_owned(),
        email: "shop@shop.example".to_owned(),
        evm_wallet: Address::repeat_byte(0xab),
        recovery_code: [9; 32],
        created_at: NOW,
    };
    does(store, move |tx| Box::pin(async move { tx.insert_merchant(&merchant).await })).await
}

async fn acceptance_now(store: &Store, merchant: MerchantId) -> Acceptance {
    store.reader().await.unwrap().tx().acceptance(merchant).await.unwrap()
}

async fn save(store: &Store, merchant: MerchantId, acceptance: &Acceptance) {
    let acceptance = acceptance.clone();
    does(store, move |tx| Box::pin(async move { tx.save_acceptance(merchant, &acceptance).await })).await;
}

async fn a_merchant_s_look_reads_back_as_set(store: Store) {
    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let read = async |merchant| {
        let mut reader = store.reader().await.unwrap();
        let brand = reader.tx().brand(merchant).await.unwrap();
        (brand, reader.tx().logo(merchant).await.unwrap())
    };
    assert_eq!(read(merchant).await, (None, None));
    let brand = Brand { color: Some("#2b4acb".to_owned()), radius: Some(24) };
    let logo = Logo { kind: LogoKind::Jpeg, bytes: vec![0, 255, 39, 10] };
    let (set, picture) = (brand.clone(), logo.clone());
    does(&store, move |tx| Box::pin(async move { tx.set_brand(merchant, &set, Some(&picture), "v1").await })).await;
    let record = BrandRecord { brand, has_logo: true, version: "v1".to_owned() };
    assert_eq!(read(merchant).await, (Some(record), Some(logo)));
    assert_eq!(read(other).await, (None, None));

    does(&store, move |tx| Box::pin(async move { tx.set_brand(merchant, &Brand::default(), None, "v2").await })).await;
    let record = BrandRecord { brand: Brand::default(), has_logo: false, version: "v2".to_owned() };
    assert_eq!(read(merchant).await, (Some(record), None));
    let nobody =
        store.write(|tx| Box::pin(async move { tx.set_brand(NOBODY, &Brand::default(), None, "v").await })).await;
    assert!(nobody.is_err());
}

async fn a_shop_is_its_merchant_what_it_takes_and_its_look(store: Store) {
    let (merchant, plain) = (new_merchant(&store).await, new_merchant(&store).await);
    let mut acceptance = Acceptance::default();
    acceptance.block(TokenId(1), NOW);
    acceptance.block(TokenId(2), NOW.plus(1));
    save(&store, merchant, &acceptance).await;
    let brand = Brand { color: Some("#2b4acb".to_owned()), radius: None };
    does(&store, move |tx| Box::pin(async move { tx.set_brand(merchant, &brand, None, "v1").await })).await;
    let origins = ["https://shop.example".to_owned()];
    does(&store, move |tx| Box::pin(async move { tx.set_frame_origins(merchant, &origins).await })).await;

    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    for merchant in [merchant, plain] {
        let shop = tx.shop(merchant).await.unwrap().unwrap();
        let record = tx.merchant(merchant).await.unwrap().unwrap();
        let name = |record: &MerchantRecord| (record.id, record.name.clone(), record.frame_origins.clone());
        assert_eq!(name(&shop.merchant), name(&record));
        assert_eq!(shop.acceptance, tx.acceptance(merchant).await.unwrap());
        assert_eq!(shop.brand, tx.brand(merchant).await.unwrap());
    }
    assert!(tx.shop(NOBODY).await.unwrap().is_none());
}

async fn what_a_merchant_takes_reads_back_as_saved(store: Store) {
    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    assert_eq!(acceptance_now(&store, merchant).await, Acceptance::default());
    let mut acceptance = Acceptance::default();
    acceptance.block(TokenId(i64::MAX), NOW);
    acceptance.block(TokenId(1), NOW.plus(1));
    save(&store, merchant, &acceptance).await;
    assert_eq!(acceptance_now(&store, merchant).await, acceptance);
    assert_eq!(acceptance_now(&store, other).await, Acceptance::default());

    acceptance.unblock(TokenId(1), [], NOW);
    save(&store, merchant, &acceptance).await;
    assert_eq!(acceptance_now(&store, merchant).await, acceptance);
    acceptance.block_all([TokenId(1), TokenId(2)], NOW.plus(2));
    save(&store, merchant, &acceptance).await;
    let read = acceptance_now(&store, merchant).await;
    assert_eq!((read.policy(), read.blocked().len()), (AcceptancePolicy::AcceptNone, 3));
    save(&store, merchant, &Acceptance::default()).await;
    assert_eq!(acceptance_now(&store, merchant).await, Acceptance::default());
    assert_eq!(acceptance_now(&store, NOBODY).await, Acceptance::default());
}

fn wallet(merchant: MerchantId, number: u8, effective_at: i64) -> WalletRecord {
    WalletRecord {
        merchant,
        // In an order of their own: it is not the ids that decide.
        id: WalletId::from_random([0xff - number; 16]),
        address: Address::repeat_byte(number),
        created_at: NOW,
        effective_at: NOW.plus(effective_at),
        canceled_at: None,
        announced_at: None,
    }
}

async fn insert(store: &Store, wallet: &WalletRecord) {
    let wallet = wallet.clone();
    does(store, move |tx| Box::pin(async move { tx.insert_wallet(&wallet).await })).await;
}

async fn wallets_now(store: &Store, merchant: MerchantId) -> Vec<WalletRecord> {
    store.reader().await.unwrap().tx().wallets(merchant).await.unwrap()
}

async fn wallets_come_in_the_order_in_which_they_take_effect(store: Store) {
    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let first = &wallets_now(&store, merchant).await[..];
    let [first] = first else { panic!("{first:?}") };
    assert_eq!((first.id, first.address), (WalletId::first_of(merchant), Address::repeat_byte(0xab)));
    assert_eq!((first.effective_at, first.announced_at), (NOW, Some(NOW)));

    let (late, early, same) = (wallet(merchant, 1, 50), wallet(merchant, 2, 20), wallet(merchant, 3, 50));
    for wallet in [&late, &early, &same] {
        insert(&store, wallet).await;
    }
    assert_eq!(wallets_now(&store, merchant).await[1..], [early.clone(), late.clone(), same.clone()]);
    assert_eq!(wallets_now(&store, other).await.len(), 1);
    assert_eq!(wallets_now(&store, NOBODY).await, []);

    let (id, now) = (late.id, NOW.plus(5));
    for merchant in [other, merchant, merchant] {
        // Another merchant's call does nothing, and a second one keeps the first one's time.
        does(&store, move |tx| Box::pin(async move { tx.cancel_wallet(merchant, id, now).await })).await;
    }
    assert_eq!(wallets_now(&store, merchant).await[1..], [early, same]);
    let mut reader = store.reader().await.unwrap();
    let canceled = WalletRecord { canceled_at: Some(now), ..late };
    assert_eq!(reader.tx().wallet(merchant, id).await.unwrap(), Some(canceled));
    assert_eq!(reader.tx().wallet(other, id).await.unwrap(), None);
}

async fn a_wallet_that_took_effect_is_told_of_once(store: Store) {
    let merchant = new_merchant(&store).await;
    let (told, canceled) = (wallet(merchant, 1, 10), wallet(merchant, 2, 10));
    insert(&store, &told).await;
    insert(&store, &canceled).await;
    let id = canceled.id;
    does(&store, move |tx| Box::pin(async move { tx.cancel_wallet(merchant, id, NOW).await })).await;
    let untold = async |at: i64| store.reader().await.unwrap().tx().untold_wallets(NOW.plus(at), 10).await.unwrap();
    assert_eq!(untold(9).await, []);
    assert_eq!(untold(10).await, std::slice::from_ref(&told));
    let tell = async |id| {
        does(&store, move |tx| Box::pin(async move { tx.note_wallet_told(merchant, id, NOW.plus(10)).await })).await
    };
    assert!(tell(told.id).await);
    assert!(!tell(told.id).await);
    assert!(!tell(canceled.id).await);
    assert_eq!(untold(10).await, []);
}

async fn a_merchant_s_choices_read_back_as_made(store: Store) {
    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let choice_of = async |id| store.reader().await.unwrap().tx().settlement_choice(id).await.unwrap();
    let none = SettlementChoice { token: None, chosen_at: NOW };
    assert_eq!(choice_of(merchant).await, Some(none));
    let choice = SettlementChoice { token: Some(TokenId(7)), chosen_at: NOW.plus(9) };
    let choose = async |id, choice| {
        does(&store, move |tx| Box::pin(async move { tx.choose_settlement(id, choice).await })).await
    };
    assert!(choose(merchant, choice).await);
    assert_eq!((choice_of(merchant).await, choice_of(other).await), (Some(choice), Some(none)));
    let back = SettlementChoice { token: None, chosen_at: NOW.plus(10) };
    assert!(choose(merchant, back).await);
    assert_eq!(choice_of(merchant).await, Some(back));
    assert!(!choose(NOBODY, choice).await);
    assert_eq!(choice_of(NOBODY).await, None);

    let url_of = async |id| store.reader().await.unwrap().tx().merchant(id).await.unwrap().unwrap().return_url;
    let set = async |id, url: Option<&'static str>| {
        does(&store, move |tx| Box::pin(async move { tx.set_return_url(id, url).await })).await
    };
    assert!(set(merchant, Some("https://shop.example/ä")).await);
    assert_eq!((url_of(merchant).await.as_deref(), url_of(other).await), (Some("https://shop.example/ä"), None));
    assert!(set(merchant, None).await);
    assert_eq!(url_of(merchant).await, None);
    assert!(!set(NOBODY, None).await);
}

async fn an_added_endpoint_is_its_merchant_s_and_everybody_s_to_use(store: Store) {
    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let endpoint = |merchant, number: u8| RpcEndpointRecord {
        merchant,
        id: RpcEndpointId::from_random([number; 16]),
        network: "base".to_owned(),
        url: format!("https://rpc.example/{number}"),
        genesis: "0xaa".to_owned(),
        created_at: NOW.plus(i64::from(0xff - number)),
    };
    let insert = async |endpoint: &RpcEndpointRecord| {
        let endpoint = endpoint.clone();
        store.write(move |tx| Box::pin(async move { tx.insert_rpc_endpoint(&endpoint).await })).await
    };
    let (newer, older, foreign) = (endpoint(merchant, 1), endpoint(merchant, 2), endpoint(other, 3));
    for endpoint in [&newer, &older, &foreign] {
        insert(endpoint).await.unwrap();
    }
    // As long as the longest URL is once it is sealed.
    let long = RpcEndpointRecord { url: "x".repeat(2_900), ..endpoint(other, 5) };
    insert(&long).await.unwrap();
    assert!(
        does(&store, move |tx| Box::pin(async move { tx.delete_rpc_endpoint(long.merchant, long.id).await })).await
    );
    let own = async |id| store.reader().await.unwrap().tx().rpc_endpoints(id).await.unwrap();
    let all = async || store.reader().await.unwrap().tx().all_rpc_endpoints().await.unwrap();
    assert_eq!(own(merchant).await, [older.clone(), newer.clone()]);
    assert_eq!(all().await, [foreign.clone(), older.clone(), newer.clone()]);
    assert!(!format!("{newer:?}").contains("rpc.example"));

    let reseal = async |was: &RpcEndpointRecord, url: &'static str| {
        let was = was.clone();
        does(&store, move |tx| Box::pin(async move { tx.reseal_rpc_endpoint(&was, url).await })).await
    };
    let sealed = RpcEndpointRecord { url: "sealed1.x".to_owned(), ..newer.clone() };
    assert!(reseal(&newer, "sealed1.x").await);
    assert!(!reseal(&newer, "sealed1.y").await, "it is another meanwhile");
    assert_eq!(own(merchant).await, [older.clone(), sealed]);
    assert!(!reseal(&RpcEndpointRecord { merchant: other, ..newer.clone() }, "sealed1.y").await);

    let delete = async |merchant, id| {
        does(&store, move |tx| Box::pin(async move { tx.delete_rpc_endpoint(merchant, id).await })).await
    };
    assert!(!delete(other, newer.id).await);
    assert!(delete(merchant, newer.id).await);
    assert!(!delete(merchant, newer.id).await);
    assert_eq!(all().await, [foreign, older]);
}

macro_rules! promises {
    ($open:path) => {
        store_contract!($open:
            what_a_merchant_takes_reads_back_as_saved,
            wallets_come_in_the_order_in_which_they_take_effect,
            a_wallet_that_took_effect_is_told_of_once,
            a_merchant_s_choices_read_back_as_made,
            an_added_endpoint_is_its_merchant_s_and_everybody_s_to_use,
            a_merchant_s_look_reads_back_as_set,
            a_shop_is_its_merchant_what_it_takes_and_its_look,
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

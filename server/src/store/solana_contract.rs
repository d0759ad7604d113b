//! What the store promises about Solana, on each engine.

use domain::{
    id::{MerchantId, QuoteId, TokenId},
    invoice::InvoiceTerms,
    money::{Decimals, Rate, TokenAmount, UsdMillis},
    quote::Quote,
    time::{UnixMillis, UnixSeconds},
};

use super::{
    AccountBalance, AccountCursor, AddressStock, InvoiceRecord, NewInvoice, QuoteRecord, Store, TransferRecord,
    Unexplained, WatchedWallet,
    contract::{insert, new_merchant, plain, transfer},
};
use crate::solana::SolanaAddress;

const WALLET: SolanaAddress = SolanaAddress::new([1; 32]);
const OTHER_WALLET: SolanaAddress = SolanaAddress::new([2; 32]);

fn reference(number: u8) -> SolanaAddress {
    SolanaAddress::new([100 + number; 32])
}

impl Store {
    /// An invoice that is paid to a wallet, was created and ends at these times, and is looked for until the last.
    async fn at_wallet(
        &self,
        merchant: MerchantId,
        number: u8,
        wallet: SolanaAddress,
        [created, ends, until]: [i64; 3],
    ) -> InvoiceRecord {
        let new = plain(merchant, number.into());
        let terms = InvoiceTerms { expires_at: UnixSeconds(ends), ..new.terms.clone() };
        let created = UnixMillis(created * 1_000);
        let invoice = insert(self, NewInvoice { solana_address: Some(wallet), created, terms, ..new }).await;
        let id = invoice.id;
        self.does(move |tx| Box::pin(async move { tx.watch_invoice(merchant, id, UnixSeconds(until)).await })).await;
        invoice
    }

    async fn quoted(&self, invoice: &InvoiceRecord, network: &str, marked: u8) {
        let quote = Quote {
            id: QuoteId::from_random([marked; 16]),
            token: TokenId(1),
            decimals: Decimals::new(6).unwrap(),
            rate: Rate::PAR,
            amount: TokenAmount::ZERO,
            covers: UsdMillis::ZERO,
            created_at: UnixSeconds(0),
            valid_until: UnixSeconds(0),
        };
        let (merchant, id) = (invoice.merchant, invoice.id);
        let reference = Some(reference(marked));
        let record =
            QuoteRecord { network: network.to_owned(), quote, reference, opens_account: false, priced_by: None };
        self.does(move |tx| Box::pin(async move { tx.insert_quote(merchant, id, &record).await })).await;
    }

    async fn recorded(&self, record: &TransferRecord) {
        let record = record.clone();
        self.does(move |tx| Box::pin(async move { tx.record_transfer(&record, UnixSeconds(0)).await })).await;
    }
}

async fn a_wallet_is_watched_from_its_first_invoice_on_that_is_looked_for(store: Store) {
    let (one, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let early = store.at_wallet(one, 1, WALLET, [100, 200, 900]).await;
    let late = store.at_wallet(one, 2, WALLET, [150, 300, 800]).await;
    let others = store.at_wallet(other, 4, WALLET, [120, 220, 700]).await;
    let elsewhere = store.at_wallet(one, 3, OTHER_WALLET, [100, 200, 900]).await;
    for (invoice, network, mark) in
        [(&early, "solana", 1), (&late, "solana", 2), (&others, "solana", 3), (&elsewhere, "testnet", 4)]
    {
        store.quoted(invoice, network, mark).await;
    }
    let watched = async |network: &str, now| {
        store.reader().await.unwrap().tx().watched_solana_wallets(network, UnixSeconds(now)).await.unwrap()
    };
    let wallet = |merchant, since, is_open, ends| WatchedWallet {
        merchant,
        address: WALLET,
        since: UnixSeconds(since),
        is_open,
        ends: UnixSeconds(ends),
    };
    assert_eq!(watched("solana", 0).await, [wallet(one, 100, true, 300), wallet(other, 120, true, 220)]);
    assert_eq!(watched("solana", 700).await, [wallet(one, 100, true, 300)]);
    assert_eq!(watched("solana", 899).await, [wallet(one, 100, true, 200)]);
    assert_eq!(watched("solana", 900).await, []);
    assert_eq!(watched("testnet", 0).await[0].address, OTHER_WALLET);
    assert_eq!(watched("base", 0).await, []);
}

async fn a_cursor_of_an_account_never_goes_back(store: Store) {
    let cursor = |signature: &str, slot| AccountCursor { account: WALLET, signature: signature.to_owned(), slot };
    let cursors = async || store.reader().await.unwrap().tx().solana_cursors("solana").await.unwrap();
    assert_eq!(cursors().await, []);
    for (signature, slot, kept) in [("a", 5, ("a", 5)), ("b", 7, ("b", 7)), ("c", 6, ("b", 7)), ("d", 7, ("d", 7))] {
        let moved = cursor(signature, slot);
        store.does(move |tx| Box::pin(async move { tx.move_solana_cursor("solana", &moved).await })).await;
        assert_eq!(cursors().await, [cursor(kept.0, kept.1)]);
    }
    assert_eq!(store.reader().await.unwrap().tx().solana_cursors("testnet").await.unwrap(), []);
}

async fn what_an_account_held_reads_back_and_a_difference_concerns_the_invoices_of_its_wallet(store: Store) {
    let read = async || store.reader().await.unwrap().tx().solana_balances("solana").await.unwrap();
    let set = async |balance: &AccountBalance| {
        let balance = balance.clone();
        store.does(move |tx| Box::pin(async move { tx.set_solana_balance("solana", &balance).await })).await;
    };
    let count = async |network| store.reader().await.unwrap().tx().count_differences(network).await.unwrap();
    let differs = async |wallet, after| {
        let mut reader = store.reader().await.unwrap();
        reader.tx().unexplained_at_solana_wallet(wallet, UnixSeconds(after)).await.unwrap()
    };
    assert_eq!(read().await, []);
    let explained = AccountBalance {
        account: SolanaAddress::new([7; 32]),
        wallet: WALLET,
        slot: 100,
        time: UnixSeconds(50),
        held: u64::MAX,
        is_late: true,
        unexplained: None,
    };
    set(&explained).await;
    assert_eq!((read().await, count("solana").await), (vec![explained.clone()], 0));
    for amount in [i128::from(u64::MAX), -i128::from(u64::MAX)] {
        let unexplained = Some(Unexplained { amount, noticed: UnixSeconds(60) });
        let differing = AccountBalance { slot: 90, is_late: false, unexplained, ..explained.clone() };
        set(&differing).await;
        assert_eq!((read().await, count("solana").await, count("testnet").await), (vec![differing], 1, 0));
        assert_eq!(differs(WALLET, 59).await, [("solana".to_owned(), UnixSeconds(50))]);
        assert_eq!((differs(WALLET, 60).await, differs(OTHER_WALLET, 0).await), (vec![], vec![]));
    }
    set(&explained).await;
    assert_eq!((count("solana").await, differs(WALLET, 0).await), (0, vec![]));
}

async fn what_is_recorded_at_a_wallet_since_a_slot_is_known_by_its_signature(store: Store) {
    let merchant = new_merchant(&store).await;
    let (ours, others) = (
        store.at_wallet(merchant, 1, WALLET, [100, 200, 900]).await,
        store.at_wallet(merchant, 2, OTHER_WALLET, [100, 200, 900]).await,
    );
    let at = |invoice, tx_id: &str, slot: u64| TransferRecord {
        network: "solana".to_owned(),
        tx_id: tx_id.to_owned(),
        block_hash: slot.to_string(),
        ..transfer(invoice, slot, 3)
    };
    for (invoice, tx_id, slot) in [(&ours, "a", 7), (&ours, "b", 9), (&others, "c", 9)] {
        store.recorded(&at(invoice, tx_id, slot)).await;
    }
    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    for (network, wallet, after, found) in [
        ("solana", WALLET, 6, vec!["a", "b"]),
        ("solana", WALLET, 7, vec!["b"]),
        ("solana", OTHER_WALLET, 0, vec!["c"]),
        ("testnet", WALLET, 0, vec![]),
    ] {
        let recorded = tx.recorded_signatures(network, wallet, after).await.unwrap();
        assert_eq!(recorded.iter().map(|fact| fact.signature.as_str()).collect::<Vec<_>>(), found);
    }
}

async fn an_invoice_is_found_by_its_reference_or_its_id_at_its_own_wallet_alone(store: Store) {
    let merchant = new_merchant(&store).await;
    let times = [100, 200, 900];
    let one = store.at_wallet(merchant, 1, WALLET, times).await;
    let two = store.at_wallet(merchant, 2, WALLET, times).await;
    store.quoted(&one, "solana", 1).await;
    store.quoted(&two, "solana", 2).await;
    let mut reader = store.reader().await.unwrap();
    let mut tx = reader.tx();
    let (first, second) = ((merchant, one.id), (merchant, two.id));
    for (network, wallet, references, found) in [
        ("solana", WALLET, vec![reference(9), reference(1)], vec![first]),
        ("solana", WALLET, vec![reference(2), reference(1)], vec![first, second]),
        ("solana", OTHER_WALLET, vec![reference(1)], vec![]),
        ("testnet", WALLET, vec![reference(1)], vec![]),
        ("solana", WALLET, vec![], vec![]),
    ] {
        let mut answer = tx.invoices_of_references(network, wallet, &references).await.unwrap();
        answer.sort_unstable();
        assert_eq!(answer, found, "{network} {wallet} {references:?}");
    }
    assert_eq!(tx.invoice_at_solana_wallet("solana", WALLET, one.id).await.unwrap(), Some(first));
    assert_eq!(tx.invoice_at_solana_wallet("solana", OTHER_WALLET, one.id).await.unwrap(), None);
    assert_eq!(tx.invoice_at_solana_wallet("testnet", WALLET, one.id).await.unwrap(), None);
}

async fn a_transaction_that_moved_is_in_its_new_block_alone(store: Store) {
    let merchant = new_merchant(&store).await;
    let invoice = store.at_wallet(merchant, 1, WALLET, [100, 200, 900]).await;
    let at = |slot: u64| TransferRecord {
        network: "solana".to_owned(),
        tx_id: "signature".to_owned(),
        block_hash: slot.to_string(),
        ..transfer(&invoice, slot, 3)
    };
    store.recorded(&at(7)).await;
    store.recorded(&at(9)).await;
    let open = async || {
        let mut reader = store.reader().await.unwrap();
        let open = reader.tx().open_signatures("solana", 0).await.unwrap();
        open.into_iter().map(|open| open.slot).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [7, 9]);
    let orphan = async |but: Option<&'static str>| {
        store.does(move |tx| Box::pin(async move { tx.orphan_transaction("solana", "signature", but).await })).await
    };
    assert_eq!(orphan(Some("9")).await, [(merchant, invoice.id)]);
    assert_eq!(open().await, [9]);
    assert_eq!(orphan(Some("9")).await, []);
    assert_eq!(orphan(None).await, [(merchant, invoice.id)]);
    assert!(open().await.is_empty());
}

async fn a_merchant_is_paid_on_solana_only_while_it_has_a_wallet_there(store: Store) {
    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let set = async |wallet| {
        store.does(move |tx| Box::pin(async move { tx.set_solana_wallet(merchant, wallet).await })).await
    };
    let wallet = async |merchant| store.reader().await.unwrap().tx().solana_wallet(merchant).await.unwrap();
    assert_eq!(wallet(merchant).await, None);
    assert!(set(Some(WALLET)).await);
    assert_eq!((wallet(merchant).await, wallet(other).await), (Some(WALLET), None));
    assert_eq!(store.reader().await.unwrap().tx().all_solana_wallets().await.unwrap(), [WALLET]);
    assert!(set(None).await);
    assert_eq!(wallet(merchant).await, None);
    let nobody = MerchantId(99);
    assert!(!store.does(move |tx| Box::pin(async move { tx.set_solana_wallet(nobody, None).await })).await);
}

async fn an_address_of_a_list_is_one_invoice_s_for_good(store: Store) {
    let (merchant, other) = (new_merchant(&store).await, new_merchant(&store).await);
    let add = async |merchant, address| {
        store.does(move |tx| Box::pin(async move { tx.add_solana_address(merchant, address).await })).await
    };
    let (first, second) = (SolanaAddress::new([7; 32]), SolanaAddress::new([6; 32]));
    assert_eq!([add(merchant, first).await, add(merchant, second).await], [true, true]);
    assert_eq!([add(merchant, first).await, add(other, first).await], [false, false], "each is on one list, once");
    let invoice = plain(merchant, 1).id;
    let take = async |merchant| {
        store.does(move |tx| Box::pin(async move { tx.take_solana_address(merchant, invoice).await })).await
    };
    let stock = async || store.reader().await.unwrap().tx().solana_stock(merchant).await.unwrap();
    assert_eq!(stock().await, AddressStock { total: 2, left: 2 });
    assert_eq!((take(other).await, take(merchant).await), (None, Some(first)));
    assert_eq!(stock().await, AddressStock { total: 2, left: 1 });
    assert!(!add(merchant, first).await, "and stays given");
    assert_eq!([take(merchant).await, take(merchant).await], [Some(second), None]);
    let lister = async |address| store.reader().await.unwrap().tx().lister_of_solana_address(address).await.unwrap();
    assert_eq!((lister(first).await, lister(WALLET).await), (Some(merchant), None));
    let has_list = async || store.reader().await.unwrap().tx().has_solana_list(merchant).await.unwrap();
    assert!(!has_list().await);
    store.does(move |tx| Box::pin(async move { tx.use_solana_list(merchant).await })).await;
    assert!(has_list().await);
    store.does(move |tx| Box::pin(async move { tx.set_solana_wallet(merchant, Some(WALLET)).await })).await;
    assert!(!has_list().await, "a wallet takes its place");
    assert!(store.reader().await.unwrap().tx().is_solana_wallet(WALLET).await.unwrap());
}

macro_rules! promises {
    ($open:path) => {
        store_contract!($open:
            a_wallet_is_watched_from_its_first_invoice_on_that_is_looked_for,
            a_cursor_of_an_account_never_goes_back,
            what_an_account_held_reads_back_and_a_difference_concerns_the_invoices_of_its_wallet,
            what_is_recorded_at_a_wallet_since_a_slot_is_known_by_its_signature,
            an_invoice_is_found_by_its_reference_or_its_id_at_its_own_wallet_alone,
            a_transaction_that_moved_is_in_its_new_block_alone,
            a_merchant_is_paid_on_solana_only_while_it_has_a_wallet_there,
            an_address_of_a_list_is_one_invoice_s_for_good,
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

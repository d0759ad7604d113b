//! What comparing deposit addresses, and searching for payments, rely on.

use alloy_primitives::{B256, U256};
use domain::{
    finality::Finality,
    id::{InvoiceId, TokenId, VerificationId},
    money::TokenAmount,
    time::UnixSeconds,
};

use super::{NOW, NOW_MS, at, block, id, insert, new_invoice, new_merchant, plain, sweep, transfer};
use crate::store::{
    Comparison, Difference, Failure, InvoiceRecord, Lane, Round, Store, SweepRecord, TransferRecord, VerificationRecord,
};
use crate::{solana::Signature, transaction_id::TransactionId};

fn units(units: u64) -> U256 {
    U256::from(units)
}

async fn watch(store: &Store, invoice: &InvoiceRecord) {
    let (merchant, id) = (invoice.merchant, invoice.id);
    let until = NOW.plus(9_000);
    store.does(move |tx| Box::pin(async move { tx.watch_invoice(merchant, id, until).await })).await;
}

async fn end(store: &Store, invoice: &InvoiceRecord) {
    let sql = "UPDATE invoices SET status = 'expired' WHERE invoice_id = $1";
    let id = invoice.id.to_string();
    store
        .does(move |tx| {
            Box::pin(async move {
                sqlx::query(sql).bind(id).execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await;
}

pub(super) async fn a_comparison_reads_back_and_goes_back_with_the_chain(store: Store) {
    let read = async |lane| store.reader().await.unwrap().tx().comparison("ethereum", lane).await.unwrap();
    let set = async |lane, comparison: &Comparison| {
        let comparison = comparison.clone();
        store.does(move |tx| Box::pin(async move { tx.set_comparison("ethereum", lane, &comparison).await })).await;
    };
    let fork = async |number| {
        store.does(move |tx| Box::pin(async move { tx.uncompare_above("ethereum", &block(number)).await })).await;
    };
    assert_eq!(read(Lane::Open).await, None);
    let open = Comparison { at: block(9), round: None };
    let after = (new_merchant(&store).await, InvoiceId::from_random(id(4)));
    let ended = Comparison { at: block(3), round: Some(Round { began: block(8), after }) };
    set(Lane::Open, &Comparison { at: block(1), ..ended.clone() }).await;
    set(Lane::Open, &open).await;
    set(Lane::Ended, &ended).await;
    assert_eq!((read(Lane::Open).await, read(Lane::Ended).await), (Some(open.clone()), Some(ended.clone())));
    fork(9).await;
    assert_eq!((read(Lane::Open).await, read(Lane::Ended).await), (Some(open), Some(ended)), "nothing of it is gone");
    fork(5).await;
    assert_eq!(read(Lane::Open).await, Some(Comparison { at: block(5), round: None }));
    let began = Round { began: block(5), after };
    assert_eq!(read(Lane::Ended).await, Some(Comparison { at: block(3), round: Some(began) }));
}

pub(super) async fn what_addresses_hold_is_summed_up_from_facts_on_the_chain(store: Store) {
    let merchant = new_merchant(&store).await;
    let (paid, other) = (insert(&store, plain(merchant, 1)).await, insert(&store, plain(merchant, 2)).await);
    for invoice in [&paid, &other] {
        watch(&store, invoice).await;
    }
    let big = TokenAmount::from_base_units(U256::MAX - units(25_000_000));
    for fact in [
        transfer(&paid, 1, 0),
        transfer(&paid, 2, 0),
        TransferRecord { token: TokenId(2), amount: big, ..transfer(&paid, 3, 0) },
        TransferRecord { network: "base".into(), ..transfer(&paid, 4, 0) },
        transfer(&paid, 9, 0),
    ] {
        store.record(&fact).await;
    }
    store.record_a_sweep(&SweepRecord { amount: TokenAmount::from_base_units(units(5)), ..sweep(&paid, 2) }).await;
    store.orphans("ethereum", 8).await;
    let open = async || {
        let mut reader = store.reader().await.unwrap();
        reader.tx().recorded_of_open("ethereum", NOW).await.unwrap()
    };
    let one = store.reader().await.unwrap().tx().recorded_of("ethereum", merchant, paid.id).await.unwrap();
    assert_eq!(one[&(paid.id, TokenId(1))], units(39_999_995));
    assert_eq!(one[&(paid.id, TokenId(2))], big.base_units());
    assert_eq!((one.len(), open().await), (2, one.clone()));
    end(&store, &paid).await;
    assert!(open().await.is_empty(), "it is not open any more");
    assert_eq!(store.reader().await.unwrap().tx().recorded_of("ethereum", merchant, other.id).await.unwrap().len(), 0);
}

pub(super) async fn addresses_of_ended_invoices_are_gone_through_in_parts(store: Store) {
    let (first, second) = (new_merchant(&store).await, new_merchant(&store).await);
    let mut all = Vec::new();
    for (merchant, number) in [(first, 5), (first, 2), (second, 1), (second, 4)] {
        let invoice = insert(&store, plain(merchant, number)).await;
        watch(&store, &invoice).await;
        end(&store, &invoice).await;
        all.push((merchant, invoice.id));
    }
    let open = insert(&store, plain(first, 3)).await;
    watch(&store, &open).await;
    let never_quoted = insert(&store, plain(first, 6)).await;
    end(&store, &never_quoted).await;
    all.sort_unstable();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let part = store.reader().await.unwrap().tx().ended_deposits(after, 3).await.unwrap();
        found.extend(part.iter().map(|deposit| (deposit.merchant, deposit.invoice)));
        after = found.last().copied();
        if part.len() < 3 {
            break;
        }
    }
    assert_eq!(found, all);
}

pub(super) async fn invoices_whose_time_was_up_between_two_blocks_are_known(store: Store) {
    let invoice = new_invoice(&store).await;
    let end_of_time = invoice.terms.expires_at;
    let asks = async |from: UnixSeconds, until| {
        store.reader().await.unwrap().tx().has_time_up_between(from, until).await.unwrap()
    };
    assert!(!asks(UnixSeconds(0), UnixSeconds(i64::MAX)).await, "it was never quoted");
    watch(&store, &invoice).await;
    assert!(asks(end_of_time, end_of_time.plus(1)).await);
    assert!(!asks(end_of_time.plus(-1), end_of_time).await);
    assert!(!asks(end_of_time.plus(1), end_of_time.plus(9)).await);
    end(&store, &invoice).await;
    assert!(!asks(end_of_time, end_of_time.plus(1)).await);
}

pub(super) async fn a_difference_is_known_until_it_is_none(store: Store) {
    let invoice = new_invoice(&store).await;
    let difference = |token, found, agreed: i64| Difference {
        merchant: invoice.merchant,
        invoice: invoice.id,
        token: TokenId(token),
        recorded: TokenAmount::ZERO,
        found: TokenAmount::from_base_units(units(found)),
        agreed: UnixSeconds(agreed),
        read_from: agreed.unsigned_abs() + 1,
    };
    let set = async |network: &'static str, difference: Difference| {
        store.does(move |tx| Box::pin(async move { tx.set_difference(network, &difference, NOW).await })).await;
    };
    let read = async |network| store.reader().await.unwrap().tx().differences(network).await.unwrap();
    set("ethereum", difference(1, 5, 70)).await;
    set("ethereum", difference(2, 6, 60)).await;
    set("base", difference(1, 7, 50)).await;
    set("ethereum", difference(1, 8, 90)).await;
    let mut of_ethereum = read("ethereum").await;
    of_ethereum.sort_by_key(|difference| difference.token);
    assert_eq!(of_ethereum, [difference(1, 8, 70), difference(2, 6, 60)], "they agreed until the first time");
    let of = async || {
        let mut reader = store.reader().await.unwrap();
        let mut of: Vec<_> =
            reader.tx().differences_of(invoice.merchant, invoice.id).await.unwrap().into_iter().collect();
        of.sort();
        of
    };
    assert_eq!(of().await, [("base".to_owned(), UnixSeconds(50)), ("ethereum".to_owned(), UnixSeconds(60))]);
    let (merchant, id) = (invoice.merchant, invoice.id);
    store.does(move |tx| Box::pin(async move { tx.end_difference("base", merchant, id, TokenId(1)).await })).await;
    assert_eq!(of().await, [("ethereum".to_owned(), UnixSeconds(60))]);
    assert_eq!(read("base").await, []);
}

pub(super) async fn an_invoice_has_one_search_and_it_is_due_when_it_says(store: Store) {
    let merchant = new_merchant(&store).await;
    let (first, second) = (insert(&store, plain(merchant, 1)).await, insert(&store, plain(merchant, 2)).await);
    let named = [TransactionId::Evm(B256::repeat_byte(0xaa)), TransactionId::Solana(Signature::new([0xaa; 64]))];
    let record = |invoice: &InvoiceRecord, number: u64, due: Option<i64>| VerificationRecord {
        id: VerificationId::from_random(id(number)),
        merchant: invoice.merchant,
        invoice: invoice.id,
        network: "ethereum".into(),
        transaction: Some(named[usize::from(number.is_multiple_of(2))]),
        attempts: 2,
        next_at: due.map(at),
        created_at: NOW_MS,
        updated_at: at(1),
        completed_at: if due.is_none() { Some(at(2)) } else { None },
        failure: if due.is_none() { Some(Failure::TransactionFailed) } else { None },
    };
    let save = async |record: &VerificationRecord| {
        let record = record.clone();
        store.does(move |tx| Box::pin(async move { tx.save_verification(&record).await })).await;
    };
    let due = async |network, seconds| {
        let mut reader = store.reader().await.unwrap();
        let due = reader.tx().due_verifications(network, at(seconds), 10).await.unwrap();
        due.into_iter().map(|(record, deposit)| (record.invoice, deposit.address)).collect::<Vec<_>>()
    };
    let read = async |invoice: &InvoiceRecord| {
        store.reader().await.unwrap().tx().verification(invoice.merchant, invoice.id).await.unwrap()
    };
    assert_eq!(read(&first).await, None);
    for record in [record(&first, 1, Some(30)), record(&second, 2, Some(20)), record(&first, 3, Some(10))] {
        save(&record).await;
    }
    assert_eq!(read(&first).await, Some(record(&first, 3, Some(10))));
    assert_eq!(due("ethereum", 9).await, []);
    let (first_due, second_due) = ((first.id, first.deposit_address), (second.id, second.deposit_address));
    assert_eq!(due("ethereum", 20).await, [first_due, second_due]);
    assert_eq!(due("base", 99).await, []);
    save(&record(&first, 3, None)).await;
    assert_eq!(due("ethereum", 20).await, [second_due]);
    assert_eq!(read(&first).await, Some(record(&first, 3, None)));
}

pub(super) async fn a_network_is_awaited_while_a_payment_may_come_or_is_not_final(store: Store) {
    let invoice = new_invoice(&store).await;
    let (merchant, invoice_id, expires_at) = (invoice.merchant, invoice.id, invoice.terms.expires_at);
    let awaited = async |network: &'static str, now: UnixSeconds| {
        store.reader().await.unwrap().tx().is_anything_awaited(network, now).await.unwrap()
    };
    let long_after = expires_at.plus(3_600);
    assert!(!awaited("ethereum", NOW).await, "nobody was told where to pay");
    watch(&store, &invoice).await;
    assert!(awaited("ethereum", NOW).await && awaited("base", NOW).await, "on any network");
    assert!(awaited("ethereum", long_after).await, "it has not ended");
    end(&store, &invoice).await;
    assert!(awaited("ethereum", long_after.plus(-1)).await, "some pay a little late");
    assert!(!awaited("ethereum", long_after).await);

    let fact = transfer(&invoice, 1, 0);
    assert!(store.record(&fact).await);
    assert!(awaited("ethereum", long_after).await && !awaited("base", long_after).await, "it is not final");
    store.does(|tx| Box::pin(async { tx.orphan_above("ethereum", 0).await })).await;
    assert!(!awaited("ethereum", long_after).await, "it is gone");
    assert!(store.record(&TransferRecord { finality: Finality::Final, ..transfer(&invoice, 2, 0) }).await);
    assert!(!awaited("ethereum", long_after).await);
    assert!(store.record_a_sweep(&sweep(&invoice, 3)).await);
    assert!(awaited("ethereum", long_after).await && !awaited("base", long_after).await);
    store.does(|tx| Box::pin(async { tx.orphan_above("ethereum", 2).await })).await;
    assert!(!awaited("ethereum", long_after).await);

    let search = VerificationRecord {
        id: VerificationId::from_random(id(1)),
        merchant,
        invoice: invoice_id,
        network: "base".into(),
        transaction: None,
        attempts: 0,
        next_at: Some(NOW_MS),
        created_at: NOW_MS,
        updated_at: NOW_MS,
        completed_at: None,
        failure: None,
    };
    store.does(move |tx| Box::pin(async move { tx.save_verification(&search).await })).await;
    assert!(awaited("base", long_after).await && !awaited("ethereum", long_after).await);
}

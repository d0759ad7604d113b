use domain::{
    address_mode::AddressMode,
    id::{InvoiceId, MerchantId, TokenId},
    money::TokenAmount,
};

use super::*;
use crate::{
    chains::rpc::{Fault, FaultKind},
    store::FactKind,
};

const DEPOSIT: Address = Address::repeat_byte(0xdd);
const TOKEN: Address = Address::repeat_byte(0x70);
const BLOCK: &str = "0xb7";
const OTHER_BLOCK: &str = "0xb6";

fn fact(kind: FactKind, tx_id: &str, log_index: i64, units: u64) -> UnvouchedFact {
    UnvouchedFact {
        mode: AddressMode::Forwarder,
        key: FactKey {
            kind,
            merchant: MerchantId(1),
            block_hash: BLOCK.to_owned(),
            tx_id: tx_id.to_owned(),
            log_index,
        },
        invoice: InvoiceId::from_random([1; 16]),
        solana_address: None,
        deposit: DEPOSIT,
        block: 7,
        token: TokenId(1),
        amount: TokenAmount::from_base_units(U256::from(units)),
        due: UsdMillis::from_millis(20_000),
        single_source: None,
    }
}

fn transfer(units: u64) -> UnvouchedFact {
    fact(FactKind::Transfer, "0xaa", position::of_log(2, 5), units)
}

fn log(address: Address, topics: &[B256], index: u64, units: u64) -> Value {
    json!({
        "address": address, "topics": topics, "data": format!("{units:#066x}"),
        "transactionIndex": "0x2", "logIndex": format!("{index:#x}"),
    })
}

fn arrival(to: Address, index: u64, units: u64) -> Value {
    log(TOKEN, &[Transfer::SIGNATURE_HASH, B256::ZERO, to.into_word()], index, units)
}

fn sweep(asset: Address, index: u64, units: u64) -> Value {
    log(FACTORY, &[Swept::SIGNATURE_HASH, B256::ZERO, DEPOSIT.into_word(), asset.into_word()], index, units)
}

fn receipt(logs: &[Value]) -> Value {
    json!({ "status": "0x1", "blockHash": BLOCK, "logs": logs })
}

fn header(hash: &str) -> Value {
    json!({ "hash": hash })
}

/// Takes out 7 units, with what it cost.
fn spending() -> [Value; 2] {
    let receipt = json!({
        "status": "0x1", "blockHash": BLOCK, "logs": [], "gasUsed": "0x2", "effectiveGasPrice": "0x1",
    });
    [receipt, spending_of(5)]
}

fn spending_of(units: u64) -> Value {
    json!({ "blockHash": BLOCK, "from": DEPOSIT, "to": TOKEN, "value": format!("{units:#x}"), "transactionIndex": "0x2" })
}

fn declined(code: i64) -> Answer {
    Err(Fault { method: "eth_getBalance", code, message: "no".to_owned(), kind: FaultKind::Other })
}

/// What a host with these answers, a block's header first, says of a claim.
#[track_caller]
fn check(fact: &UnvouchedFact, of: Evidence, answers: impl IntoIterator<Item = Answer>, expected: Verdict) {
    let claim = Claim { fact, of };
    let places = claim.ask(&mut Questions::default());
    let answers: Vec<_> = answers.into_iter().collect();
    assert_eq!(answers.len(), places.len(), "there is an answer to each question");
    assert_eq!(claim.verdict(&places, &answers), expected);
}

#[track_caller]
fn check_arrival(receipt: Value, expected: Verdict) {
    let answers = [Ok(header(BLOCK)), Ok(receipt)];
    check(&transfer(20), Evidence::Arrived { token: TOKEN }, answers, expected);
}

#[test]
fn a_transfer_is_shown_by_the_very_log() {
    check_arrival(receipt(&[arrival(Address::ZERO, 4, 9), arrival(DEPOSIT, 5, 20)]), Verdict::Shows);
    for other in [
        receipt(&[]),
        receipt(&[arrival(DEPOSIT, 5, 19)]),
        receipt(&[arrival(Address::ZERO, 5, 20)]),
        receipt(&[arrival(DEPOSIT, 6, 20)]),
        receipt(&[sweep(TOKEN, 5, 20)]),
        receipt(&[log(FACTORY, &[Transfer::SIGNATURE_HASH, B256::ZERO, DEPOSIT.into_word()], 5, 20)]),
        json!({ "status": "0x0", "blockHash": BLOCK, "logs": [arrival(DEPOSIT, 5, 20)] }),
        json!({ "status": "0x1", "blockHash": OTHER_BLOCK, "logs": [arrival(DEPOSIT, 5, 20)] }),
        Value::Null,
    ] {
        check_arrival(other, Verdict::Denies);
    }
    check_arrival(json!({ "status": "0x1" }), Verdict::Abstains);
}

#[test]
fn a_host_without_the_block_abstains_and_one_with_another_denies() {
    let shown = receipt(&[arrival(DEPOSIT, 5, 20)]);
    for (header, receipt, expected) in [
        (Ok(Value::Null), Value::Null, Verdict::Abstains),
        (declined(-32000), shown.clone(), Verdict::Abstains),
        (Ok(json!(7)), shown.clone(), Verdict::Abstains),
        (Ok(header(OTHER_BLOCK)), shown, Verdict::Denies),
        (Ok(header(OTHER_BLOCK)), Value::Null, Verdict::Denies),
    ] {
        check(&transfer(20), Evidence::Arrived { token: TOKEN }, [header, Ok(receipt)], expected);
    }
    let answers = [Ok(header(BLOCK)), declined(-32000)];
    check(&transfer(20), Evidence::Arrived { token: TOKEN }, answers, Verdict::Abstains);
}

#[test]
fn a_sweep_is_shown_by_the_very_log() {
    let swept = fact(FactKind::Sweep, "0xaa", position::of_log(2, 5), 20);
    for (log, expected) in [
        (sweep(TOKEN, 5, 20), Verdict::Shows),
        (sweep(Address::ZERO, 5, 20), Verdict::Denies),
        (sweep(TOKEN, 5, 21), Verdict::Denies),
        (arrival(DEPOSIT, 5, 20), Verdict::Denies),
    ] {
        let answers = [Ok(header(BLOCK)), Ok(receipt(&[log]))];
        check(&swept, Evidence::Left { asset: TOKEN }, answers, expected);
    }
}

#[test]
fn a_transaction_s_own_value_is_shown_by_it_and_its_receipt() {
    let sent = fact(FactKind::Transfer, "0xaa", position::of_native(2, 0), 20);
    let transaction = |to: Address, units: u64, index: u64| json!({ "blockHash": BLOCK, "from": Address::ZERO, "to": to, "value": format!("{units:#x}"), "transactionIndex": format!("{index:#x}") });
    let failed = json!({ "status": "0x0", "blockHash": BLOCK, "logs": [] });
    for (receipt, transaction, expected) in [
        (Ok(receipt(&[])), Ok(transaction(DEPOSIT, 20, 2)), Verdict::Shows),
        (Ok(failed), Ok(transaction(DEPOSIT, 20, 2)), Verdict::Denies),
        (Ok(Value::Null), Ok(transaction(DEPOSIT, 20, 2)), Verdict::Denies),
        (Ok(receipt(&[])), Ok(transaction(TOKEN, 20, 2)), Verdict::Denies),
        (Ok(receipt(&[])), Ok(transaction(DEPOSIT, 19, 2)), Verdict::Denies),
        (Ok(receipt(&[])), Ok(transaction(DEPOSIT, 20, 3)), Verdict::Denies),
        (Ok(receipt(&[])), Ok(Value::Null), Verdict::Denies),
        (Ok(receipt(&[])), declined(-32000), Verdict::Abstains),
        (declined(-32000), Ok(transaction(DEPOSIT, 20, 2)), Verdict::Abstains),
    ] {
        check(&sent, Evidence::Sent, [Ok(header(BLOCK)), receipt, transaction], expected);
    }
}

fn held(came: u64, left: u64, doubtful: &[u64]) -> Evidence {
    let doubtful = doubtful.iter().map(|units| {
        let mut key = fact(FactKind::Sweep, "0xcc", position::of_log(2, 1), *units).key;
        OTHER_BLOCK.clone_into(&mut key.block_hash);
        (key, U256::from(*units))
    });
    Evidence::Held { came: U256::from(came), left: U256::from(left), doubtful: doubtful.collect(), has_key: false }
}

/// Spent by the key of the address, in the block itself.
fn held_by_key(came: u64, spent: u64) -> Evidence {
    let key = fact(FactKind::Sweep, "0xcc", position::of_native(2, 0), spent).key;
    let doubtful = vec![(key, U256::from(spent))];
    Evidence::Held { came: U256::from(came), left: U256::ZERO, doubtful, has_key: true }
}

#[track_caller]
fn check_held(of: Evidence, balance: u64, swept: &[Value], receipts: &[Value], expected: Verdict) {
    let internal = fact(FactKind::Transfer, "internal:0xb7", position::after_all(DEPOSIT), 5);
    let balance = json!(format!("{balance:#x}"));
    let answers = [Ok(header(BLOCK)), Ok(balance.clone()), Ok(balance), Ok(json!(swept))];
    check(&internal, of, answers.into_iter().chain(receipts.iter().cloned().map(Ok)), expected);
}

#[test]
fn coin_that_was_spent_is_shown_by_its_transaction_and_all_that_it_cost() {
    let spent = |units| fact(FactKind::Sweep, "0xaa", position::of_native(2, 0), units);
    let [receipt, transaction] = spending();
    for (units, expected) in [(7, Verdict::Shows), (6, Verdict::Denies), (8, Verdict::Denies), (5, Verdict::Denies)] {
        let answers = [header(BLOCK), receipt.clone(), transaction.clone()].map(Ok);
        check(&spent(units), Evidence::SpentCoin, answers, expected);
    }
    let with = |field: &str, value: Value| {
        let (mut receipt, mut transaction) = (receipt.clone(), transaction.clone());
        let of_transaction = transaction.get(field).is_some() && field != "blockHash";
        *(if of_transaction { &mut transaction } else { &mut receipt }).get_mut(field).unwrap() = value;
        [header(BLOCK), receipt, transaction].map(Ok)
    };
    for (field, value) in [
        ("from", json!(TOKEN)),
        ("transactionIndex", json!("0x3")),
        ("blockHash", json!(OTHER_BLOCK)),
        ("status", json!("0x0")),
        ("to", json!(DEPOSIT)),
    ] {
        check(&spent(7), Evidence::SpentCoin, with(field, value), Verdict::Denies);
    }
    // What failed, or came back, cost something nevertheless.
    check(&spent(2), Evidence::SpentCoin, with("status", json!("0x0")), Verdict::Shows);
    check(&spent(2), Evidence::SpentCoin, with("to", json!(DEPOSIT)), Verdict::Shows);
    check(&spent(7), Evidence::SpentCoin, with("gasUsed", Value::Null), Verdict::Abstains);
}

#[test]
fn what_a_key_s_holder_took_out_in_the_block_itself_lowers_what_must_be_held_if_the_host_shows_it() {
    check_held(held_by_key(12, 7), 5, &[], &spending(), Verdict::Shows);
    check_held(held_by_key(12, 7), 4, &[], &spending(), Verdict::Denies);
    check_held(held_by_key(12, 9), 3, &[], &spending(), Verdict::Denies);
    check_held(held_by_key(12, 7), 5, &[], &[Value::Null, Value::Null], Verdict::Denies);
}

#[test]
fn coin_that_no_transaction_brought_is_shown_by_what_is_held_and_was_swept_in_the_block() {
    check_held(held(15, 10, &[]), 5, &[], &[], Verdict::Shows);
    check_held(held(15, 10, &[]), 4, &[], &[], Verdict::Denies);
    check_held(held(15, 0, &[]), 5, &[sweep(Address::ZERO, 1, 10)], &[], Verdict::Shows);
    check_held(held(15, 0, &[]), 5, &[sweep(TOKEN, 1, 10)], &[], Verdict::Denies);
    let twice = [sweep(Address::ZERO, 1, 5), sweep(Address::ZERO, 1, 5)];
    check_held(held(15, 0, &[]), 5, &twice, &[], Verdict::Denies);
}

#[test]
fn a_sweep_that_is_not_vouched_for_lowers_nothing_unless_the_host_shows_it_too() {
    let shown = json!({ "status": "0x1", "blockHash": OTHER_BLOCK, "logs": [sweep(Address::ZERO, 1, 10)] });
    let elsewhere = json!({ "status": "0x1", "blockHash": BLOCK, "logs": [sweep(Address::ZERO, 1, 10)] });
    check_held(held(15, 0, &[10]), 5, &[], &[shown], Verdict::Shows);
    check_held(held(15, 0, &[10]), 5, &[], &[Value::Null], Verdict::Denies);
    check_held(held(15, 0, &[10]), 5, &[], &[elsewhere], Verdict::Denies);
    check_held(held(15, 0, &[10]), 15, &[], &[Value::Null], Verdict::Shows);
}

#[test]
fn balances_by_number_do_where_the_hash_is_not_understood() {
    let inner = fact(FactKind::Transfer, "0xaa", position::of_native(2, 1), 5);
    let five = || Ok(json!("0x5"));
    for (by_hash, by_number, expected) in [
        (declined(-32602), five(), Verdict::Shows),
        (declined(-32602), Ok(json!("0x4")), Verdict::Denies),
        (five(), declined(-32000), Verdict::Shows),
        (declined(-32000), declined(-32000), Verdict::Abstains),
    ] {
        let answers = [Ok(header(BLOCK)), by_hash, by_number, Ok(json!([])), Ok(receipt(&[]))];
        check(&inner, held(5, 0, &[]), answers, expected);
    }
    let answers = [Ok(header(BLOCK)), five(), five(), Ok(json!([])), Ok(Value::Null)];
    check(&inner, held(5, 0, &[]), answers, Verdict::Denies);
}

#[test]
fn what_several_claims_ask_is_asked_once() {
    let facts = [transfer(20), fact(FactKind::Transfer, "0xaa", position::of_log(2, 6), 20)];
    let mut questions = Questions::default();
    let places =
        facts.each_ref().map(|fact| Claim { fact, of: Evidence::Arrived { token: TOKEN } }.ask(&mut questions));
    assert_eq!((places, questions.calls.len()), ([vec![0, 1], vec![0, 1]], 2));
}

const BEGAN: UnixMillis = UnixMillis(1_000_000);
/// What one host is enough for; just what is due.
fn enough() -> UsdMillis {
    UsdMillis::from_millis(20_000)
}

fn after(seconds: i64) -> UnixMillis {
    UnixMillis(BEGAN.0 + seconds * 1_000)
}

/// What is done about a fact when hosts say these things, at these seconds.
fn outcomes(limit: UsdMillis, rounds: &[(i64, &[(&str, Verdict)])]) -> Vec<Outcome> {
    let (fact, mut waiting) = (transfer(20), Waiting::default());
    rounds.iter().map(|(seconds, verdicts)| waiting.hear(&fact, verdicts, limit, after(*seconds))).collect()
}

#[test]
fn two_hosts_are_enough_and_one_is_after_a_minute_where_little_is_at_stake() {
    use Verdict::{Abstains, Shows};

    assert_eq!(outcomes(enough(), &[(0, &[("a", Shows), ("b", Shows)])]), [Outcome::Vouched]);
    let alone: &[_] = &[("a", Shows), ("b", Abstains)];
    let waited = outcomes(enough(), &[(0, alone), (59, alone), (60, alone)]);
    assert_eq!(waited, [Outcome::Waits, Outcome::Waits, Outcome::OneIsEnough]);
    let less = UsdMillis::from_millis(19_999);
    let waited = outcomes(less, &[(0, alone), (60, alone), (61, alone), (99, &[("a", Shows), ("b", Shows)])]);
    assert_eq!(waited, [Outcome::Waits, Outcome::TooMuchForOne, Outcome::Waits, Outcome::Vouched]);
    assert_eq!(outcomes(enough(), &[(0, &[]), (60, &[])]), [Outcome::Waits, Outcome::NobodyKnows]);
}

#[test]
fn a_denial_outlasts_the_silence_of_who_denied() {
    use Verdict::{Abstains, Denies, Shows};

    let (denied, silence): (&[_], &[_]) = (&[("a", Shows), ("b", Denies)], &[("a", Shows), ("b", Abstains)]);
    let gone: &[_] = &[("a", Shows)];
    let waited = outcomes(enough(), &[(0, denied), (70, silence), (9_999, gone)]);
    assert_eq!(waited, [Outcome::Waits, Outcome::Disputed, Outcome::Waits]);
    let waited = outcomes(enough(), &[(0, denied), (70, denied), (80, &[("a", Shows), ("b", Shows)])]);
    assert_eq!(waited, [Outcome::Waits, Outcome::Disputed, Outcome::Vouched]);
    let of_three = outcomes(enough(), &[(0, &[("a", Shows), ("b", Denies), ("c", Shows)])]);
    assert_eq!(of_three, [Outcome::Vouched]);

    let (fact, mut waiting) = (transfer(20), Waiting::default());
    waiting.hear(&fact, denied, enough(), BEGAN);
    waiting.keep_hosts(&["a".to_owned()].into());
    assert_eq!(waiting.hear(&fact, gone, enough(), after(60)), Outcome::OneIsEnough, "it is not configured any more");
}

#[test]
fn facts_that_are_stuck_hold_up_no_others() {
    let nth = |nth: i64| fact(FactKind::Transfer, "0xaa", nth, 20);
    let stuck: Vec<_> = (0..60).map(nth).collect();
    let mut waiting = Waiting::default();
    let ask = |waiting: &mut Waiting, facts: &[UnvouchedFact], seconds| {
        let due = waiting.due(facts.to_vec(), after(seconds));
        for fact in &due {
            waiting.hear(fact, &[], enough(), after(seconds));
        }
        due.iter().map(|fact| fact.key.log_index).collect::<Vec<_>>()
    };
    let asked = [0, 0, 0, 0].map(|seconds| ask(&mut waiting, &stuck, seconds));
    let expected: [Vec<i64>; 4] = [(0..25).collect(), (25..50).collect(), (50..60).collect(), vec![]];
    assert_eq!(asked, expected);
    // Those come again; a new one is asked about before them.
    let all: Vec<_> = (0..61).map(nth).collect();
    let asked = ask(&mut waiting, &all, 1);
    assert_eq!((asked.len(), asked[0]), (AT_ONCE, 60));
}

#[test]
fn pauses_double_up_to_a_minute() {
    let (fact, mut waiting) = (transfer(20), Waiting::default());
    let mut now = 0;
    let mut asked = Vec::new();
    while now < 300 {
        if !waiting.due(vec![fact.clone()], after(now)).is_empty() {
            asked.push(now);
            waiting.hear(&fact, &[], enough(), after(now));
        }
        now += 1;
    }
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    assert_eq!(waiting.due(vec![fact.clone()], after(-5)).len(), 1, "the clock was set back");
    waiting.keep(&[]);
    assert_eq!(waiting.due(vec![fact], after(243)).len(), 1, "it is new again");
}

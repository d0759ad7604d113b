//! Transactions that a real Solana VM made (tests/solana/fixtures.mjs), as they are and with lies in them.

use std::collections::HashSet;

use domain::time::UnixSeconds;
use serde_json::{Value, json};

use super::{
    rpc::{ListedTransaction, read},
    transaction::{Arrival, ReadError, TransactionRead, Watched, WatchedToken, read_transaction},
};
use crate::solana::{Signature, SolanaAddress, programs};

macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("fixtures/", $name, ".json"))).unwrap()
    };
}

/// Who and what is in the fixtures.
struct Scene(Value);

impl Scene {
    fn new() -> Self {
        Self(fixture!("scene"))
    }

    fn at(&self, name: &str) -> SolanaAddress {
        self.0[name].as_str().unwrap().parse().unwrap()
    }

    /// The merchant's wallet, both tokens and SOL.
    fn watched(&self) -> Watched {
        let token = |name, program| WatchedToken { mint: self.at(name), program, decimals: 6 };
        Watched {
            wallets: HashSet::from([self.at("merchant")]),
            tokens: vec![token("usd", programs::TOKEN), token("twin", programs::TOKEN_2022)],
            sol: true,
        }
    }

    fn arrival(&self, mint: Option<&str>, amount: u64) -> Arrival {
        Arrival {
            wallet: self.at("merchant"),
            mint: mint.map(|name| self.at(name)),
            amount,
            payer: self.at("customer"),
        }
    }
}

fn asked(file: &Value) -> Signature {
    file["params"][0].as_str().unwrap().parse().unwrap()
}

fn try_read(file: &Value, watched: &Watched) -> Result<Option<TransactionRead>, ReadError> {
    read_transaction(&file["result"], asked(file), watched)
}

#[track_caller]
fn read_good(file: &Value) -> TransactionRead {
    try_read(file, &Scene::new().watched()).unwrap().expect("it is served")
}

#[test]
fn a_payment_with_a_reference_arrives_with_reference_memo_and_payer() {
    let scene = Scene::new();
    let transaction = read_good(&fixture!("reference"));
    assert_eq!(transaction.arrivals, [scene.arrival(Some("usd"), 12_340_000)]);
    assert!(transaction.accounts.contains(&scene.at("reference")));
    assert_eq!(transaction.memos, ["INV-1"]);
    assert_eq!((transaction.slot, transaction.block_time), (132, Some(UnixSeconds(1_800_000_012))));
    assert!(!transaction.failed);
}

#[test]
fn the_rent_of_a_new_token_account_is_no_payment_in_sol() {
    // The customer paid for the merchant's token account in the same transaction.
    let transaction = read_good(&fixture!("reference"));
    assert!(transaction.arrivals.iter().all(|arrival| arrival.mint.is_some()), "{transaction:?}");
}

#[test]
fn a_plain_transfer_arrives_without_reference_or_memo() {
    let scene = Scene::new();
    let transaction = read_good(&fixture!("plain"));
    assert_eq!(transaction.arrivals, [scene.arrival(Some("usd"), 1_000_001)]);
    assert!(!transaction.accounts.contains(&scene.at("reference")));
    // Not even the wallet is named, only its token account.
    assert!(!transaction.accounts.contains(&scene.at("merchant")));
    assert_eq!(transaction.memos, Vec::<String>::new());
}

#[test]
fn memos_are_the_same_in_a_transaction_and_in_the_list_of_its_address() {
    assert_eq!(read_good(&fixture!("memo")).memos, ["INV-2 ä; [5]"]);
    let listed: Vec<ListedTransaction> = read(&fixture!("signatures")["result"]).unwrap();
    for file in [
        fixture!("reference"),
        fixture!("plain"),
        fixture!("memo"),
        fixture!("table"),
        fixture!("inner"),
        fixture!("two_payments"),
        fixture!("minted"),
    ] {
        let transaction = read_good(&file);
        let listed = listed.iter().find(|listed| listed.signature == transaction.signature).unwrap();
        assert_eq!(listed.memos(), transaction.memos, "{listed:?}");
        assert_eq!((listed.slot, listed.block_time), (transaction.slot, transaction.block_time));
    }
}

#[test]
fn a_failed_transaction_brings_nothing() {
    let scene = Scene::new();
    let transaction = read_good(&fixture!("failed"));
    assert!(transaction.failed && transaction.accounts.contains(&scene.at("reference")));
    assert_eq!(transaction.arrivals, []);

    // Whatever its balances say.
    let mut file = fixture!("failed");
    file["result"]["meta"]["postTokenBalances"][1]["uiTokenAmount"]["amount"] = json!("18340001");
    file["result"]["meta"]["postBalances"][2] = json!(5_000_000);
    assert_eq!(read_good(&file).arrivals, []);
}

#[test]
fn a_payment_through_a_lookup_table_is_found_with_its_reference() {
    let scene = Scene::new();
    let transaction = read_good(&fixture!("table"));
    assert_eq!(transaction.arrivals, [scene.arrival(Some("usd"), 4_000_000)]);
    // Writable ones come before the others: the till, then mint and reference.
    assert_eq!(transaction.accounts[3..], [scene.at("till"), scene.at("usd"), scene.at("reference")]);
}

#[test]
fn a_fee_of_the_token_is_not_counted() {
    let scene = Scene::new();
    let transaction = read_good(&fixture!("fee"));
    assert_eq!(transaction.arrivals, [scene.arrival(Some("twin"), 9_900_000)], "of ten, one percent is withheld");
}

#[test]
fn a_payment_by_an_inner_instruction_is_counted() {
    let scene = Scene::new();
    assert_eq!(read_good(&fixture!("inner")).arrivals, [scene.arrival(Some("usd"), 5_000_000)]);
    assert_eq!(read_good(&fixture!("sol_inner")).arrivals, [scene.arrival(None, 250_000_000)]);
}

#[test]
fn of_two_payments_in_a_transaction_each_wallet_gets_its_own() {
    let scene = Scene::new();
    let file = fixture!("two_payments");
    let transaction = read_good(&file);
    assert_eq!(transaction.arrivals, [scene.arrival(Some("usd"), 6_000_000)]);
    assert_eq!(transaction.memos, ["INV-6", "INV-7"]);

    let stranger: SolanaAddress = "CLbspXjvp1rxHEoQP5VwGVT4f775RJBiHXyP4xU88dyY".parse().unwrap();
    let mut watched = scene.watched();
    watched.wallets.insert(stranger);
    let mut arrivals = try_read(&file, &watched).unwrap().unwrap().arrivals;
    arrivals.sort_by_key(|arrival| arrival.amount);
    let of_the_stranger = Arrival { wallet: stranger, ..scene.arrival(Some("usd"), 7_000_000) };
    assert_eq!(arrivals, [scene.arrival(Some("usd"), 6_000_000), of_the_stranger]);
}

#[test]
fn two_token_accounts_of_a_wallet_are_counted_together() {
    let scene = Scene::new();
    let mut file = fixture!("two_payments");
    for side in ["preTokenBalances", "postTokenBalances"] {
        for balance in file["result"]["meta"][side].as_array_mut().unwrap() {
            if balance["owner"] == json!("CLbspXjvp1rxHEoQP5VwGVT4f775RJBiHXyP4xU88dyY") {
                balance["owner"] = json!(scene.at("merchant"));
            }
        }
    }
    assert_eq!(read_good(&file).arrivals, [scene.arrival(Some("usd"), 13_000_000)]);
}

#[test]
fn sol_arrives_at_a_wallet_that_did_not_sign() {
    let scene = Scene::new();
    let transaction = read_good(&fixture!("sol"));
    assert_eq!(transaction.arrivals, [scene.arrival(None, 500_000_000)]);
    assert!(transaction.accounts.contains(&scene.at("reference")));
    let mut watched = scene.watched();
    watched.sol = false;
    assert_eq!(try_read(&fixture!("sol"), &watched).unwrap().unwrap().arrivals, []);
}

#[test]
fn what_a_wallet_spends_itself_is_no_payment() {
    let scene = Scene::new();
    let mut file = fixture!("sol_spent_by_the_merchant");
    assert_eq!(read_good(&file).arrivals, []);
    // Nor what it gets back while it signs, such as the rent of an account that it closes.
    file["result"]["meta"]["postBalances"][0] = json!(10_850_000_000_u64);
    assert_eq!(read_good(&file).arrivals, []);

    let mut watched = scene.watched();
    watched.wallets = HashSet::from([scene.at("customer")]);
    let spent = try_read(&fixture!("reference"), &watched).unwrap().unwrap();
    assert_eq!(spent.arrivals, [], "tokens left the customer");
}

#[test]
fn a_transfer_from_a_wallet_to_itself_is_no_payment() {
    let scene = Scene::new();
    let mut file = fixture!("plain");
    for side in ["preTokenBalances", "postTokenBalances"] {
        file["result"]["meta"][side][0]["owner"] = json!(scene.at("merchant"));
    }
    assert_eq!(read_good(&file).arrivals, []);
}

#[test]
fn tokens_that_nobody_lost_come_from_who_paid_the_fee() {
    let scene = Scene::new();
    let transaction = read_good(&fixture!("minted"));
    let faucet = transaction.accounts[0];
    assert_eq!(transaction.arrivals, [Arrival { payer: faucet, ..scene.arrival(Some("usd"), 8_000_000) }]);
}

#[test]
fn the_payer_is_who_lost_most_of_the_token() {
    let scene = Scene::new();
    // As from an exchange that has somebody else pay the fee.
    let mut file = fixture!("plain");
    let other = SolanaAddress::new([9; 32]);
    file["result"]["transaction"]["message"]["accountKeys"][0] = json!(other);
    assert_eq!(read_good(&file).arrivals, [scene.arrival(Some("usd"), 1_000_001)]);
}

#[test]
fn a_token_of_another_mint_or_program_is_no_payment() {
    let scene = Scene::new();
    let only = |mint, program| Watched { tokens: vec![WatchedToken { mint, program, decimals: 6 }], ..scene.watched() };
    let (usd, twin) = (scene.at("usd"), scene.at("twin"));
    for (file, watched) in [
        (fixture!("reference"), only(twin, programs::TOKEN_2022)),
        (fixture!("reference"), only(usd, programs::TOKEN_2022)),
        (fixture!("fee"), only(usd, programs::TOKEN)),
        (fixture!("fee"), only(twin, programs::TOKEN)),
        (fixture!("minted"), only(SolanaAddress::new([9; 32]), programs::TOKEN)),
    ] {
        assert_eq!(try_read(&file, &watched).unwrap().unwrap().arrivals, []);
    }
}

#[test]
fn an_amount_a_thousand_times_too_large_is_counted_as_it_is() {
    let scene = Scene::new();
    let mut file = fixture!("plain");
    // Some wallets multiply amounts of tokens by a thousand.
    file["result"]["meta"]["postTokenBalances"][1]["uiTokenAmount"]["amount"] = json!("1012341000");
    assert_eq!(read_good(&file).arrivals, [scene.arrival(Some("usd"), 1_000_001_000)]);
}

#[test]
fn a_transaction_that_is_not_served_is_no_error() {
    let file = fixture!("missing_transaction");
    assert_eq!(try_read(&file, &Scene::new().watched()).unwrap(), None);
}

#[test]
fn a_block_without_a_time_yet_is_no_error() {
    let mut file = fixture!("plain");
    file["result"]["blockTime"] = Value::Null;
    let transaction = read_good(&file);
    assert_eq!((transaction.block_time, transaction.arrivals.len()), (None, 1));
}

#[test]
fn an_answer_without_loaded_addresses_is_one_without_lookup_tables() {
    let mut file = fixture!("plain");
    file["result"]["meta"].as_object_mut().unwrap().remove("loadedAddresses");
    assert_eq!(read_good(&file).arrivals.len(), 1);
    let mut file = fixture!("table");
    file["result"]["meta"].as_object_mut().unwrap().remove("loadedAddresses");
    refused(&file, "balances as accounts");
}

#[track_caller]
fn refused(file: &Value, problem: &str) {
    let error = try_read(file, &Scene::new().watched()).unwrap_err();
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        text = format!("{text}: {cause}");
    }
    assert!(text.contains(problem), "{text}");
}

#[test]
fn another_transaction_than_the_one_asked_for_is_refused() {
    let file = fixture!("plain");
    let other = asked(&fixture!("memo"));
    let error = read_transaction(&file["result"], other, &Scene::new().watched()).unwrap_err();
    assert!(matches!(error, ReadError::OtherTransaction { .. }), "{error}");
}

#[test]
fn an_answer_that_contradicts_itself_is_refused() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), problem: &str) {
        let mut file = fixture!("plain");
        change(&mut file["result"]);
        refused(&file, problem);
    }

    let push = |list: &mut Value, value: Value| list.as_array_mut().unwrap().push(value);
    check(|result| result["version"] = json!(1), "version 1");
    check(|result| result["version"] = json!("new"), "cannot be read");
    check(|result| result["blockTime"] = json!(-1), "before all blocks");
    check(|result| result["slot"] = json!(-1), "slot");
    check(|result| result["transaction"]["signatures"] = json!([]), "nobody signed");
    check(|result| result["transaction"]["message"]["header"]["numRequiredSignatures"] = json!(2), "signers");
    check(|result| result["transaction"]["message"]["header"]["numRequiredSignatures"] = json!(-1), "cannot be read");
    check(|result| push(&mut result["meta"]["preBalances"], json!(1)), "balances as accounts");
    check(|result| push(&mut result["meta"]["postBalances"], json!(1)), "balances as accounts");
    check(|result| push(&mut result["transaction"]["message"]["accountKeys"], json!(programs::SYSTEM)), "as accounts");
    check(
        |result| {
            let first = result["transaction"]["message"]["accountKeys"][0].clone();
            result["transaction"]["message"]["accountKeys"][1] = first;
        },
        "an account twice",
    );
    check(|result| result["meta"]["postTokenBalances"][1]["accountIndex"] = json!(5), "does not name");
    check(|result| result["meta"]["postTokenBalances"][1]["accountIndex"] = json!(1), "a balance twice");
    check(|result| result["meta"]["preTokenBalances"][1]["accountIndex"] = json!(-1), "cannot be read");
    check(|result| result["meta"]["postBalances"][0] = json!(-1), "cannot be read");
    check(|result| result["meta"]["postBalances"][0] = json!(1.5), "cannot be read");
    let amount = |result: &mut Value, text: &str| {
        result["meta"]["postTokenBalances"][1]["uiTokenAmount"]["amount"] = json!(text);
    };
    for text in ["-1", "+1", "1.5", "", "1e9", "18446744073709551616"] {
        check(|result| amount(result, text), "no number of base units");
    }
    check(|result| result["meta"]["postTokenBalances"][1]["uiTokenAmount"]["decimals"] = json!(9), "9 decimals");
    check(|result| result["meta"]["preTokenBalances"][1]["uiTokenAmount"]["decimals"] = json!(9), "9 decimals");
    for field in ["owner", "programId"] {
        check(|result| result["meta"]["postTokenBalances"][1][field] = Value::Null, "not whose it is");
    }
}

#[test]
fn more_of_a_token_than_there_can_be_is_refused() {
    let mut file = fixture!("two_payments");
    for (index, balance) in file["result"]["meta"]["postTokenBalances"].as_array_mut().unwrap().iter_mut().enumerate() {
        if 0 < index {
            balance["owner"] = json!(Scene::new().at("merchant"));
            balance["uiTokenAmount"]["amount"] = json!(u64::MAX.to_string());
        }
    }
    refused(&file, "than there can be");
}

/// Everything that is read of an answer, as pointers into it.
const READ: [&str; 17] = [
    "/slot",
    "/version",
    "/meta",
    "/meta/err",
    "/meta/preBalances",
    "/meta/postBalances",
    "/meta/preTokenBalances",
    "/meta/postTokenBalances",
    "/meta/postTokenBalances/1/accountIndex",
    "/meta/postTokenBalances/1/mint",
    "/meta/postTokenBalances/1/owner",
    "/meta/postTokenBalances/1/programId",
    "/meta/postTokenBalances/1/uiTokenAmount/amount",
    "/meta/postTokenBalances/1/uiTokenAmount/decimals",
    "/transaction/signatures",
    "/transaction/message/accountKeys",
    "/transaction/message/header/numRequiredSignatures",
];

#[test]
fn an_answer_that_lacks_something_is_refused() {
    for pointer in READ {
        let mut file = fixture!("plain");
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = file["result"].pointer_mut(parent).unwrap();
        assert!(parent.as_object_mut().unwrap().remove(field).is_some(), "{pointer}");
        assert!(try_read(&file, &Scene::new().watched()).is_err(), "{pointer}");
    }
}

#[test]
fn an_answer_of_other_types_is_refused_and_never_a_panic() {
    for pointer in READ {
        for nonsense in [json!("x"), json!(-1), json!(u64::MAX), json!([1]), json!({ "a": 1 }), json!(1.5), json!(true)]
        {
            let mut file = fixture!("plain");
            *file["result"].pointer_mut(pointer).unwrap() = nonsense.clone();
            let read = try_read(&file, &Scene::new().watched());
            // Any number is a slot, and whatever is no `null` is an error of the transaction.
            match read {
                Ok(Some(transaction)) => assert!(transaction.failed || pointer == "/slot", "{pointer}: {nonsense}"),
                read => assert!(read.is_err(), "{pointer}: {nonsense}"),
            }
        }
    }
}

#[test]
fn what_a_float_says_is_not_looked_at() {
    let mut file = fixture!("plain");
    for side in ["preTokenBalances", "postTokenBalances"] {
        for index in 0..2 {
            file["result"]["meta"][side][index]["uiTokenAmount"]["uiAmount"] = json!(1e300);
            file["result"]["meta"][side][index]["uiTokenAmount"]["uiAmountString"] = json!("nonsense");
        }
    }
    assert_eq!(read_good(&file), read_good(&fixture!("plain")));
}

//! The answers of a node, as far as they are read. What is not named here is not looked at, such as `uiAmount`, a float.

use domain::time::UnixSeconds;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, IgnoredAny},
};
use serde_json::Value;

use crate::solana::{Hash, Signature, SolanaAddress};

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer cannot be read")]
    Malformed(#[from] serde_path_to_error::Error<serde_json::Error>),
    #[error("{asked} were asked for, and {answered} answered")]
    Count { asked: usize, answered: usize },
}

/// Reads the result of a call.
///
/// # Errors
///
/// If it has another form.
pub fn read<T: DeserializeOwned>(result: &Value) -> Result<T, AnswerError> {
    Ok(serde_path_to_error::deserialize(result)?)
}

/// Reads the result of a call that has an answer for each of those asked for, in their order.
///
/// # Errors
///
/// If it has another form, or not as many.
pub fn read_each<T: DeserializeOwned>(result: &Value, asked: usize) -> Result<AsOf<Vec<Option<T>>>, AnswerError> {
    let answer: AsOf<Vec<Option<T>>> = read(result)?;
    let answered = answer.value.len();
    if answered == asked { Ok(answer) } else { Err(AnswerError::Count { asked, answered }) }
}

/// An answer with the slot it is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AsOf<T> {
    pub context: Context,
    pub value: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Context {
    pub slot: u64,
}

/// How sure a network is of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Commitment {
    Processed,
    Confirmed,
    Finalized,
}

/// `getSignaturesForAddress`: a list of these, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedTransaction {
    pub signature: Signature,
    pub slot: u64,
    #[serde(rename = "err", deserialize_with = "is_error")]
    pub failed: bool,
    /// Of the two older memo programs only; see [`ListedTransaction::memos`].
    pub memo: Option<String>,
    #[serde(default, deserialize_with = "time")]
    pub block_time: Option<UnixSeconds>,
    pub confirmation_status: Option<Commitment>,
}

impl ListedTransaction {
    /// The texts of its memos. Payers write them, so they may be anything.
    pub fn memos(&self) -> Vec<String> {
        self.memo.as_deref().map(memo_texts).unwrap_or_default()
    }
}

/// `getSignatureStatuses`: for each that was asked for one of these, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignatureStatus {
    pub slot: u64,
    #[serde(rename = "err", deserialize_with = "is_error")]
    pub failed: bool,
    /// Nodes that do not tell it hold it for finalized.
    pub confirmation_status: Option<Commitment>,
}

/// `getLatestBlockhash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatestBlockhash {
    pub blockhash: Hash,
    pub last_valid_block_height: u64,
}

/// An amount of a token; `getTokenAccountBalance` answers one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct TokenAmount {
    #[serde(deserialize_with = "base_units")]
    pub amount: u64,
    pub decimals: u8,
}

/// `getMultipleAccounts` in base64: for each that was asked for one of these, or nothing where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Account {
    pub lamports: u64,
    /// The program that may change it.
    pub owner: SolanaAddress,
    pub executable: bool,
    #[serde(deserialize_with = "base64_data")]
    pub data: Vec<u8>,
}

/// `getTokenAccountsByOwner` in base64: a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OwnedAccount {
    pub pubkey: SolanaAddress,
    pub account: Account,
}

/// The texts of memos, from the one text in which nodes list them: `[5] INV-1; [13] INV-2 ä; [5]`, with their bytes.
///
/// What follows something that is not of this form is left out.
pub fn memo_texts(listed: &str) -> Vec<String> {
    /// What nodes list for bytes that are no text; the number is theirs.
    const NO_TEXT: &str = "(unparseable)";

    let mut texts = Vec::new();
    let mut rest = listed;
    while let Some((length, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        let is_whole = |end: &str| end.is_empty() || end.starts_with("; [");
        let counted = length.parse().ok().and_then(|length| after.split_at_checked(length));
        let end = match (counted, after.strip_prefix(NO_TEXT)) {
            (Some((text, end)), _) if is_whole(end) => {
                texts.push(text.to_owned());
                end
            }
            (_, Some(end)) if is_whole(end) => end,
            _ => break,
        };
        rest = end.strip_prefix("; ").unwrap_or_default();
    }
    texts
}

/// What is `null` for success. It has to be there: an answer that leaves it out says nothing.
pub(super) fn is_error<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

/// A time, if the node knows it.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixSeconds>, D::Error> {
    match Option::<i64>::deserialize(deserializer)? {
        Some(seconds @ ..0) => Err(D::Error::custom(format!("{seconds} is before all blocks"))),
        seconds => Ok(seconds.map(UnixSeconds)),
    }
}

/// Base units as decimal digits.
pub(super) fn base_units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    // Rust would take a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let amount = if is_number { text.parse().ok() } else { None };
    amount.ok_or_else(|| D::Error::custom("is no number of base units"))
}

fn base64_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::{Engine, engine::general_purpose::STANDARD};

    let (text, encoding) = <(String, String)>::deserialize(deserializer)?;
    if encoding != "base64" {
        return Err(D::Error::custom("is not base64"));
    }
    STANDARD.decode(text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    macro_rules! fixture {
        ($name:literal) => {{
            let file: Value = serde_json::from_str(include_str!(concat!("fixtures/", $name, ".json"))).unwrap();
            file["result"].clone()
        }};
    }

    #[test]
    fn a_list_of_transactions_tells_which_failed_and_what_their_memos_say() {
        let list: Vec<ListedTransaction> = read(&fixture!("signatures")).unwrap();
        assert_eq!(list.len(), 8);
        assert!(list.is_sorted_by_key(|listed| std::cmp::Reverse(listed.slot)), "the newest is first");
        let failed: Vec<_> = list.iter().filter(|listed| listed.failed).map(|listed| listed.slot).collect();
        assert_eq!(failed, [135]);
        assert_eq!(list[7].block_time, Some(UnixSeconds(1_800_000_012)));
        assert_eq!(list[7].confirmation_status, Some(Commitment::Confirmed));
        assert_eq!(list[1].memos(), ["INV-6", "INV-7"]);
        assert_eq!(list[5].memos(), ["INV-2 ä; [5]"]);
        assert_eq!(list[0].memos(), Vec::<String>::new());
    }

    #[test]
    fn lists_of_the_wallet_of_the_reference_and_of_nobody_read_alike() {
        let of_the_wallet: Vec<ListedTransaction> = read(&fixture!("signatures_of_the_wallet")).unwrap();
        let of_the_reference: Vec<ListedTransaction> = read(&fixture!("signatures_of_the_reference")).unwrap();
        let until: Vec<ListedTransaction> = read(&fixture!("signatures_until")).unwrap();
        let of_nobody: Vec<ListedTransaction> = read(&fixture!("signatures_of_nobody")).unwrap();
        assert_eq!([of_the_wallet.len(), of_the_reference.len(), until.len(), of_nobody.len()], [7, 5, 3, 0]);
        // A plain transfer of a token names the wallet's token account and not the wallet.
        let plain = of_the_wallet.iter().find(|listed| listed.slot == 133);
        assert_eq!(plain, None);
    }

    #[test]
    fn statuses_tell_what_is_final_what_failed_and_what_is_unknown() {
        let statuses = read_each::<SignatureStatus>(&fixture!("statuses"), 4).unwrap();
        assert_eq!(statuses.context.slot, 167);
        let [Some(paid), Some(failed), Some(young), None] = &statuses.value[..] else {
            panic!("{statuses:?}");
        };
        assert_eq!((paid.failed, failed.failed, young.failed), (false, true, false));
        assert_eq!(paid.confirmation_status, Some(Commitment::Finalized));
        assert_eq!(young.confirmation_status, Some(Commitment::Confirmed));
        let error = read_each::<SignatureStatus>(&fixture!("statuses"), 5).unwrap_err();
        assert_eq!(error.to_string(), "5 were asked for, and 4 answered");
    }

    #[test]
    fn slots_hashes_and_balances_read_as_they_are() {
        assert_eq!(read::<u64>(&fixture!("slot")).unwrap(), 136);
        let genesis: Hash = read(&fixture!("genesis_hash")).unwrap();
        assert_eq!(genesis.to_string(), "cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN");
        let latest: AsOf<LatestBlockhash> = read(&fixture!("latest_blockhash")).unwrap();
        assert_eq!(latest.value.last_valid_block_height, 306);
        let balance: AsOf<TokenAmount> = read(&fixture!("token_balance")).unwrap();
        assert_eq!(balance.value, TokenAmount { amount: 38_340_001, decimals: 6 });
    }

    #[test]
    fn what_a_node_refuses_has_no_result() {
        for answer in [fixture!("behind"), fixture!("no_token_account"), fixture!("unsupported_version")] {
            assert_eq!(answer, Value::Null);
            assert!(read::<AsOf<TokenAmount>>(&answer).is_err());
            assert!(read::<u64>(&answer).is_err());
        }
    }

    #[test]
    fn an_answer_that_leaves_out_whether_it_failed_is_an_error() {
        let whole = fixture!("signatures")[0].clone();
        assert!(read::<ListedTransaction>(&whole).is_ok());
        for field in ["err", "signature", "slot"] {
            let mut answer = whole.clone();
            answer.as_object_mut().unwrap().remove(field);
            let error = read::<ListedTransaction>(&answer).unwrap_err();
            assert!(std::error::Error::source(&error).unwrap().to_string().contains(field), "{field}");
        }
        let status = json!({ "slot": 1, "confirmationStatus": "finalized" });
        assert!(read::<SignatureStatus>(&status).is_err());
    }

    #[test]
    fn amounts_are_digits_and_times_are_after_1970() {
        for amount in ["", "+5", "-5", "5.0", "1e3", " 5", "18446744073709551616", "٥"] {
            assert!(read::<TokenAmount>(&json!({ "amount": amount, "decimals": 6 })).is_err(), "{amount}");
        }
        assert!(read::<TokenAmount>(&json!({ "amount": 5, "decimals": 6 })).is_err());
        assert!(read::<TokenAmount>(&json!({ "amount": "5", "decimals": 256 })).is_err());
        let greatest: TokenAmount = read(&json!({ "amount": "18446744073709551615", "decimals": 0 })).unwrap();
        assert_eq!(greatest.amount, u64::MAX);
        let mut listed = fixture!("signatures")[0].clone();
        listed["blockTime"] = json!(-1);
        assert!(read::<ListedTransaction>(&listed).is_err());
        listed["blockTime"] = Value::Null;
        assert_eq!(read::<ListedTransaction>(&listed).unwrap().block_time, None);
    }

    #[test]
    fn a_memo_cannot_pretend_to_be_two() {
        #[track_caller]
        fn check(listed: &str, texts: &[&str]) {
            assert_eq!(memo_texts(listed), texts, "{listed}");
        }

        check("", &[]);
        check("[5] INV-1", &["INV-1"]);
        check("[0] ", &[""]);
        check("[5] INV-6; [5] INV-7", &["INV-6", "INV-7"]);
        check("[16] INV-1; [5] INV-2", &["INV-1; [5] INV-2"]);
        check("[13] INV-2 ä; [5]", &["INV-2 ä; [5]"]);
        check("[3] (unparseable); [5] INV-1", &["INV-1"]);
        check("[4] INV-1", &[]);
        check("[9] INV-1", &[]);
        check("[1] ä", &[]);
        check("[5] INV-1; INV-2", &[]);
        check("[5] INV-1; [x] INV-2", &["INV-1"]);
        check("[99999999999999999999] INV-1", &[]);
        check("INV-1", &[]);
    }
}

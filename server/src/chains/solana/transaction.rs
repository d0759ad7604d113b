//! What a transaction brought to whom, from the balances before and after it.
//!
//! Balances say what arrived, whatever the instructions looked like: several, inner ones, through lookup tables, or less a
//! fee of the token's. What invoice that pays is decided elsewhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::time::UnixSeconds;
use serde::Deserialize;
use serde_json::Value;

use super::rpc::{self, AnswerError, TokenAmount};
use crate::solana::{Signature, SolanaAddress, programs};

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    pub wallets: HashSet<SolanaAddress>,
    pub tokens: Vec<WatchedToken>,
    /// Whether SOL is.
    pub sol: bool,
}

/// A token that is looked for. Another program's token of the same name is another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedToken {
    pub mint: SolanaAddress,
    pub program: SolanaAddress,
    pub decimals: u8,
}

/// A transaction, and what it brought to the wallets that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRead {
    pub signature: Signature,
    pub slot: u64,
    /// A node may not know it yet.
    pub block_time: Option<UnixSeconds>,
    /// It only cost its fee, and brought nothing.
    pub failed: bool,
    /// All accounts that it names, a Solana Pay reference among them if there is one.
    pub accounts: Vec<SolanaAddress>,
    /// What its memos say, of all three memo programs. Payers write them, so they may say anything.
    pub memos: Vec<String>,
    /// At most one for each wallet and asset.
    pub arrivals: Vec<Arrival>,
    /// By how much more each account holds after it, whoever's it is, of the tokens that are looked for; and of SOL, the
    /// wallets.
    pub changes: HashMap<SolanaAddress, i128>,
}

/// What one wallet got of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub wallet: SolanaAddress,
    /// The token's mint; `None` is SOL.
    pub mint: Option<SolanaAddress>,
    /// In base units, more than none.
    pub amount: u64,
    /// Who lost most of the token, else who paid the transaction's fee.
    pub payer: SolanaAddress,
}

/// An answer that cannot be true, or that is of another transaction.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("transaction {asked} was asked for, and another one answered")]
    OtherTransaction { asked: Signature },
    #[error("transaction {signature} contradicts itself: {problem}")]
    Contradiction { signature: Signature, problem: &'static str },
    #[error("transaction {signature} is of version {version}, which is not understood")]
    Version { signature: Signature, version: u8 },
    #[error("token {mint} has {told} decimals by transaction {signature}, and {configured} by the configuration")]
    Decimals { signature: Signature, mint: SolanaAddress, told: u8, configured: u8 },
}

/// Reads the result of `getTransaction`, asked for as `json` with `maxSupportedTransactionVersion` 0.
///
/// `None` is a transaction that the node does not serve, which may be one that it listed a moment ago.
///
/// # Errors
///
/// If the answer is none, or cannot be true. Nothing of it counts then.
pub fn read_transaction(
    result: &Value,
    asked: Signature,
    watched: &Watched,
) -> Result<Option<TransactionRead>, ReadError> {
    let Some(answer) = rpc::read::<Option<Answer>>(result)? else { return Ok(None) };
    let checked = Checked::new(answer, asked)?;
    let failed = checked.meta.failed;
    let mut arrivals = Vec::new();
    if !failed {
        for token in &watched.tokens {
            checked.find_arrivals_of_token(token, watched, &mut arrivals)?;
        }
        if watched.sol {
            checked.find_arrivals_of_sol(watched, &mut arrivals);
        }
    }
    let changes = checked.changes(watched)?;
    Ok(Some(TransactionRead {
        signature: asked,
        slot: checked.slot,
        block_time: checked.block_time,
        failed,
        memos: checked.memos(),
        arrivals,
        changes,
        accounts: checked.accounts,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    slot: u64,
    #[serde(default, deserialize_with = "rpc::time")]
    block_time: Option<UnixSeconds>,
    version: Version,
    meta: Meta,
    transaction: Transaction,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Version {
    Numbered(u8),
    Legacy(Legacy),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Legacy {
    Legacy,
}

#[derive(Deserialize)]
struct Transaction {
    signatures: Vec<Signature>,
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    account_keys: Vec<SolanaAddress>,
    header: Header,
    instructions: Vec<Instruction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    num_required_signatures: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instruction {
    program_id_index: usize,
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(rename = "err", deserialize_with = "rpc::is_error")]
    failed: bool,
    pre_balances: Vec<u64>,
    post_balances: Vec<u64>,
    pre_token_balances: Vec<TokenBalance>,
    post_token_balances: Vec<TokenBalance>,
    /// Where a lookup table was used.
    loaded_addresses: Option<LoadedAddresses>,
    inner_instructions: Option<Vec<InnerInstructions>>,
}

#[derive(Default, Deserialize)]
struct LoadedAddresses {
    writable: Vec<SolanaAddress>,
    readonly: Vec<SolanaAddress>,
}

#[derive(Deserialize)]
struct InnerInstructions {
    instructions: Vec<Instruction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenBalance {
    account_index: usize,
    mint: SolanaAddress,
    /// Nodes of long ago did not tell it.
    owner: Option<SolanaAddress>,
    program_id: Option<SolanaAddress>,
    ui_token_amount: TokenAmount,
}

/// An answer whose parts fit each other.
struct Checked {
    signature: Signature,
    slot: u64,
    block_time: Option<UnixSeconds>,
    meta: Meta,
    instructions: Vec<Instruction>,
    /// Those the transaction lists, then those from lookup tables, the writable first.
    accounts: Vec<SolanaAddress>,
    /// So many of the first accounts signed.
    signers: usize,
    /// The first signer.
    fee_payer: SolanaAddress,
}

impl Checked {
    fn new(answer: Answer, asked: Signature) -> Result<Self, ReadError> {
        let Answer { slot, block_time, version, mut meta, transaction } = answer;
        let Transaction { signatures, message } = transaction;
        let contradiction = |problem| ReadError::Contradiction { signature: asked, problem };
        match signatures.first() {
            Some(first) if *first == asked => {}
            Some(_) => return Err(ReadError::OtherTransaction { asked }),
            None => return Err(contradiction("nobody signed it")),
        }
        match version {
            Version::Legacy(Legacy::Legacy) | Version::Numbered(0) => {}
            Version::Numbered(version) => return Err(ReadError::Version { signature: asked, version }),
        }
        let mut accounts = message.account_keys;
        let signers = message.header.num_required_signatures;
        if signers != signatures.len() || accounts.len() < signers {
            return Err(contradiction("it has not as many signatures as signers"));
        }
        let fee_payer = *accounts.first().ok_or_else(|| contradiction("nobody paid for it"))?;
        let loaded = meta.loaded_addresses.take().unwrap_or_default();
        accounts.extend(loaded.writable);
        accounts.extend(loaded.readonly);
        if meta.pre_balances.len() != accounts.len() || meta.post_balances.len() != accounts.len() {
            return Err(contradiction("it has not as many balances as accounts"));
        }
        if accounts.iter().collect::<HashSet<_>>().len() != accounts.len() {
            return Err(contradiction("it names an account twice"));
        }
        for balances in [&meta.pre_token_balances, &meta.post_token_balances] {
            let mut told = HashSet::new();
            if balances.iter().any(|balance| accounts.len() <= balance.account_index) {
                return Err(contradiction("it tells the balance of an account that it does not name"));
            }
            if !balances.iter().all(|balance| told.insert(balance.account_index)) {
                return Err(contradiction("it tells a balance twice"));
            }
        }
        let inner = meta.inner_instructions.take().into_iter().flatten().flat_map(|inner| inner.instructions);
        let instructions = message.instructions.into_iter().chain(inner).collect();
        Ok(Self { signature: asked, slot, block_time, meta, instructions, accounts, signers, fee_payer })
    }

    fn find_arrivals_of_token(
        &self,
        token: &WatchedToken,
        watched: &Watched,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<(), ReadError> {
        // Before and after, by whose it is. Each is less than 256 times the largest balance.
        let mut balances: BTreeMap<SolanaAddress, (u128, u128)> = BTreeMap::new();
        for balance in &self.meta.pre_token_balances {
            if let Some((owner, amount)) = self.balance_of(balance, token)? {
                balances.entry(owner).or_default().0 += u128::from(amount);
            }
        }
        for balance in &self.meta.post_token_balances {
            if let Some((owner, amount)) = self.balance_of(balance, token)? {
                balances.entry(owner).or_default().1 += u128::from(amount);
            }
        }
        let spent = balances.iter().filter_map(|(owner, (before, after))| Some((before.checked_sub(*after)?, *owner)));
        // Who lost most; of those that lost as much, always the same.
        let spender = spent.filter(|(amount, _)| 0 < *amount).max().map(|(_, owner)| owner);
        for (owner, (before, after)) in balances {
            let Some(amount @ 1..) = after.checked_sub(before) else { continue };
            if !watched.wallets.contains(&owner) {
                continue;
            }
            let amount = u64::try_from(amount).map_err(|_| self.contradiction("more arrived than there can be"))?;
            let payer = spender.unwrap_or(self.fee_payer);
            arrivals.push(Arrival { wallet: owner, mint: Some(token.mint), amount, payer });
        }
        Ok(())
    }

    /// Whose balance of a token that is; `None` if it is another token's.
    fn balance_of(
        &self,
        balance: &TokenBalance,
        token: &WatchedToken,
    ) -> Result<Option<(SolanaAddress, u64)>, ReadError> {
        if balance.mint != token.mint {
            return Ok(None);
        }
        let (Some(owner), Some(program)) = (balance.owner, balance.program_id) else {
            return Err(self.contradiction("it tells a balance and not whose it is"));
        };
        if program != token.program {
            return Ok(None);
        }
        let TokenAmount { amount, decimals } = balance.ui_token_amount;
        if decimals != token.decimals {
            let (signature, mint, configured) = (self.signature, token.mint, token.decimals);
            return Err(ReadError::Decimals { signature, mint, told: decimals, configured });
        }
        Ok(Some((owner, amount)))
    }

    /// SOL that came to wallets which did not sign: one that did was at its own business.
    fn find_arrivals_of_sol(&self, watched: &Watched, arrivals: &mut Vec<Arrival>) {
        let balances = self.meta.pre_balances.iter().zip(&self.meta.post_balances);
        for (wallet, (before, after)) in self.accounts.iter().zip(balances).skip(self.signers) {
            let Some(amount @ 1..) = after.checked_sub(*before) else { continue };
            if watched.wallets.contains(wallet) {
                arrivals.push(Arrival { wallet: *wallet, mint: None, amount, payer: self.fee_payer });
            }
        }
    }

    /// What accounts hold more after it. What failed costs its fee too.
    fn changes(&self, watched: &Watched) -> Result<HashMap<SolanaAddress, i128>, ReadError> {
        let mut changes = HashMap::new();
        // Nothing but that changes by what failed.
        for token in watched.tokens.iter().filter(|_| !self.meta.failed) {
            for (balances, sign) in [(&self.meta.pre_token_balances, -1), (&self.meta.post_token_balances, 1)] {
                for balance in balances {
                    if let Some((_, amount)) = self.balance_of(balance, token)? {
                        let account = self.accounts[balance.account_index];
                        *changes.entry(account).or_default() += sign * i128::from(amount);
                    }
                }
            }
        }
        if watched.sol {
            let balances = self.meta.pre_balances.iter().zip(&self.meta.post_balances);
            let of_wallets =
                self.accounts.iter().zip(balances).filter(|(account, _)| watched.wallets.contains(account));
            changes.extend(
                of_wallets.map(|(wallet, (before, after))| (*wallet, i128::from(*after) - i128::from(*before))),
            );
        }
        Ok(changes)
    }

    /// The memos of its instructions that are text.
    fn memos(&self) -> Vec<String> {
        let is_memo = |instruction: &&Instruction| {
            self.accounts.get(instruction.program_id_index).is_some_and(|program| programs::MEMO.contains(program))
        };
        let texts = self.instructions.iter().filter(is_memo).filter_map(|instruction| {
            let bytes = bs58::decode(&instruction.data).into_vec().ok()?;
            String::from_utf8(bytes).ok()
        });
        texts.collect()
    }

    fn contradiction(&self, problem: &'static str) -> ReadError {
        ReadError::Contradiction { signature: self.signature, problem }
    }
}

//! Whether accounts hold what the transactions come to that were read of them.
//!
//! A host that leaves a transaction out of its list tells nothing that could be seen to be false, and once it lists a newer
//! one, nobody asks for that again. What the account holds gives it away: what it held when that was last explained, and
//! what every transaction since then changed. Every host is asked for that, of accounts of open invoices twice a minute and
//! before one of them ends, of ended ones once a day, and always for the newest slot that is final. Where a host says
//! something else than that, all hosts are asked what they list since of all accounts of that wallet, and what any of them
//! lists is recorded like anything that is read. What nobody explains is told to somebody, and holds back the end of the
//! invoices at its wallet.
//!
//! Only what accounts hold by their own slots is compared, and sums know no order: it does not matter which host lists what
//! first, or what is not final yet. What came and left again in the same amount between two looks, both left out, is seen
//! only by what else changed: where SOL is taken and the wallet paid for its transfer itself, by the fee.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::time::{UnixMillis, UnixSeconds};
use serde_json::json;

use super::{
    holdings::{ACCOUNTS_AT_ONCE, AMOUNT_AT, AMOUNT_BYTES, account_calls},
    listing::{Listed, NewestFirst, Wanted},
    rpc::{Account as AccountAnswer, Commitment, read, read_each},
    transaction::TransactionRead,
    watcher::{Account, Head, Merchants, Outcome, Round, Watcher, block_of},
};
use crate::{
    alarm,
    chains::{
        evm::{COMPARED_EVERY_SECONDS, FEW, OPEN_EVERY_MS, WITNESSES},
        step::StepError,
    },
    config::Asset,
    solana::{Signature, SolanaAddress},
    store::{AccountBalance, BlockRef, Lane, StoreError, Tx, Unexplained},
};

/// What nobody explains is looked into after half a minute, and twice as long each time, but as often as this.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// It is told of so often.
const TOLD_EVERY_MS: i64 = 86_400_000;
/// After so long it is taken as it is: the lists that might explain it grow.
const GIVEN_UP_AFTER_SECONDS: i64 = 7 * 86_400;

/// A transaction that was read, and its time.
pub(super) type Found = (Box<TransactionRead>, UnixSeconds);

/// What is known of accounts, and when to compare next.
#[derive(Default)]
pub(super) struct Reconciler {
    /// What accounts held when that was last explained; `None` until it is loaded.
    balances: Option<HashMap<SolanaAddress, AccountBalance>>,
    /// What changed them since, as far as this process has read it.
    changes: HashMap<SolanaAddress, Changes>,
    /// Some of that may not be recorded: if recording it fails, it is not known.
    is_pending: bool,
    doubts: HashMap<SolanaAddress, Doubt>,
    open_due: Option<UnixMillis>,
    /// How many accounts of open invoices there were the last time.
    open: usize,
    is_unanswered: bool,
}

type Changes = HashMap<Signature, Change>;
/// The slot of each transaction, and whether it is final.
type Places = HashMap<Signature, (u64, bool)>;

/// What a transaction did to an account.
#[derive(Clone, Copy, Debug)]
struct Change {
    slot: u64,
    amount: i128,
    is_final: bool,
}

/// What one host says that an account holds after a slot.
#[derive(Clone, Copy, Debug)]
struct Saying {
    slot: u64,
    held: u64,
}

/// What hosts say of accounts.
#[derive(Default)]
struct Said {
    of_accounts: HashMap<SolanaAddress, Vec<Saying>>,
    /// Up to which slot each host knows what is final.
    hosts: HashMap<String, u64>,
}

impl Said {
    fn of(&self, account: SolanaAddress) -> &[Saying] {
        self.of_accounts.get(&account).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many hosts that have listed accounts know what was final at a slot; to another it may not be, and be left out.
    fn count_heard(&self, listed: &BTreeSet<String>, slot: u64) -> usize {
        listed.iter().filter(|host| self.hosts.get(*host).is_some_and(|known| slot <= *known)).count()
    }
}

/// What hosts' sayings come to.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// As so many hosts say, or with less.
    Explained(Saying, usize),
    /// By so much more, or less below zero.
    Differs(i128, Saying),
}

/// When to look into a difference again, and when somebody was told of it.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    pause_ms: i64,
    again: UnixMillis,
    told: Option<UnixMillis>,
}

impl Doubt {
    fn first(now: UnixMillis) -> Self {
        Self { pause_ms: OPEN_EVERY_MS, again: UnixMillis(now.0.saturating_add(OPEN_EVERY_MS)), told: None }
    }
}

/// What accounts held when they were first looked at, and what was found of them that was left out until then.
#[derive(Default)]
pub(super) struct Begun {
    pub balances: Vec<AccountBalance>,
    pub found: Vec<Found>,
}

/// An account, and the slot after which all hosts are asked what they list of it.
#[derive(Clone, Copy)]
struct Question {
    account: Account,
    after: u64,
    since: UnixSeconds,
}

/// What came of asking all hosts again.
#[derive(Default)]
struct Again {
    /// What is not recorded.
    found: Vec<Found>,
    /// The hosts that listed something.
    listed: BTreeSet<String>,
    /// Whether all that they listed could be read.
    is_whole: bool,
}

/// What is to be compared.
struct Subjects {
    accounts: Vec<Account>,
    /// The newest final block.
    at: BlockRef,
    /// Whether all accounts of open invoices are among them.
    are_all_open: bool,
}

impl Reconciler {
    pub async fn load(&mut self, tx: &mut Tx<'_>, network: &str) -> Result<(), StoreError> {
        if self.balances.is_none() {
            let balances = tx.solana_balances(network).await?;
            self.balances = Some(balances.into_iter().map(|balance| (balance.account, balance)).collect());
        }
        Ok(())
    }

    fn balance(&self, account: SolanaAddress) -> Option<&AccountBalance> {
        self.balances.as_ref()?.get(&account)
    }

    /// Notes what is listed of accounts. Of what is not final the list has all there is.
    pub fn note(&mut self, round: &Round) {
        if std::mem::replace(&mut self.is_pending, true) {
            self.changes.clear();
        }
        for (account, list) in &round.listed {
            let known = self.changes.entry(account.address).or_default();
            let listed: HashMap<Signature, u64> = list.iter().map(|entry| (entry.signature, entry.slot)).collect();
            known.retain(|signature, change| change.is_final || listed.get(signature) == Some(&change.slot));
            for entry in list.iter().filter(|entry| account.is_changed_by(entry)) {
                match (known.get_mut(&entry.signature), round.outcomes.get(&entry.signature)) {
                    (Some(change), _) if change.slot == entry.slot => change.is_final |= entry.is_final,
                    (_, Some(Outcome::Read(transaction, _))) => {
                        known.insert(entry.signature, change_of(account, transaction, entry.is_final));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Takes what accounts held as explained, and forgets what explained it, now that all of it is recorded.
    pub fn remember(&mut self, balances: Vec<AccountBalance>) {
        self.is_pending = false;
        for balance in balances {
            if let Some(changes) = self.changes.get_mut(&balance.account) {
                changes.retain(|_, change| balance.slot < change.slot);
            }
            self.balances.get_or_insert_default().insert(balance.account, balance);
        }
    }

    /// What is known to have changed an account in slots after `after`, up to `until`.
    fn changed(&self, account: SolanaAddress, after: u64, until: u64) -> i128 {
        let changes = self.changes.get(&account).into_iter().flat_map(HashMap::values);
        changes.filter(|change| after < change.slot && change.slot <= until).map(|change| change.amount).sum()
    }

    /// Whether an account holds what is known of it. Less than one host says while another says what is known, is that
    /// host's trouble. `None` if nobody says anything.
    fn judge(&self, balance: &AccountBalance, sayings: &[Saying]) -> Option<Verdict> {
        let surplus = |saying: &Saying| {
            let explained = self.changed(balance.account, balance.slot, saying.slot);
            i128::from(saying.held) - i128::from(balance.held) - explained
        };
        let most = *sayings.iter().max_by_key(|saying| surplus(saying))?;
        let explained = sayings.iter().filter(|saying| surplus(saying) == 0).min_by_key(|saying| saying.slot);
        Some(match explained {
            Some(saying) if surplus(&most) <= 0 => Verdict::Explained(*saying, sayings.len()),
            _ => Verdict::Differs(surplus(&most), most),
        })
    }

    /// Whether all hosts are to be asked what they list of an account.
    fn is_in_question(&self, balance: &AccountBalance, sayings: &[Saying], now: UnixMillis) -> bool {
        match self.judge(balance, sayings) {
            Some(Verdict::Differs(amount, _)) => {
                let is_known = balance.unexplained.is_some_and(|known| known.amount == amount);
                balance.is_late || !is_known || self.is_doubt_due(balance.account, now)
            }
            // What explained it again may have been forgotten in a restart, together with what was not known.
            Some(Verdict::Explained(..)) => {
                balance.is_late || balance.unexplained.is_some() && self.is_doubt_due(balance.account, now)
            }
            None => false,
        }
    }

    /// Whether it is time to ask again for what nobody explained, if it is still the same.
    fn is_doubt_due(&self, account: SolanaAddress, now: UnixMillis) -> bool {
        self.doubts.get(&account).is_none_or(|doubt| doubt.again <= now)
    }

    /// Notes a difference that nobody explains; says whether somebody is to be told. He is if it has stayed the same since the
    /// last look, for what a host holds and what it lists may be of different moments, and then once a day.
    fn doubt(&mut self, account: SolanaAddress, is_known: bool, was_asked: bool, now: UnixMillis) -> bool {
        if !is_known {
            self.doubts.insert(account, Doubt::first(now));
            return false;
        }
        if was_asked {
            self.put_off(account, now);
        }
        let doubt = self.doubts.entry(account).or_insert(Doubt::first(now));
        let is_told = doubt.told.is_none_or(|told| told.0.saturating_add(TOLD_EVERY_MS) <= now.0);
        if is_told {
            doubt.told = Some(now);
        }
        is_told
    }

    /// Leaves twice as much time before hosts are asked again.
    fn put_off(&mut self, account: SolanaAddress, now: UnixMillis) {
        let doubt = self.doubts.entry(account).or_insert(Doubt::first(now));
        doubt.pause_ms = (2 * doubt.pause_ms).min(LONGEST_PAUSE_MS);
        doubt.again = UnixMillis(now.0.saturating_add(doubt.pause_ms));
    }

    /// Whether an account that no open invoice has is compared now.
    fn is_old_due(&self, account: SolanaAddress, time: UnixSeconds, now: UnixMillis) -> bool {
        self.balance(account).is_some_and(|balance| match balance.unexplained {
            Some(_) => self.is_doubt_due(account, now),
            None => balance.time.plus(COMPARED_EVERY_SECONDS) <= time,
        })
    }
}

impl Watcher {
    /// Looks what accounts hold that are new, which nothing has to explain. `before` is the slot of a head at which none of
    /// them was shown to anybody; of those that are first seen later than that, all hosts are asked what came meanwhile.
    /// `None` if nobody says what they hold.
    pub(super) async fn begin(
        &mut self,
        accounts: &[Account],
        head: &Head,
        before: u64,
        merchants: &Merchants,
    ) -> Result<Option<Begun>, StepError> {
        let is_new = |account: &&Account| self.reconciler.balance(account.address).is_none();
        let new: Vec<Account> = accounts.iter().filter(is_new).copied().collect();
        let said = self.ask_balances(&new, head.finalized, head.block.number).await;
        let mut begun = Begun::default();
        let mut late = Vec::new();
        for account in new {
            let sayings = said.of(account.address).iter();
            // Of several hosts the one that knows of least: whatever the others know of is found to be missing.
            let first = sayings.min_by_key(|saying| {
                i128::from(saying.held) - self.reconciler.changed(account.address, 0, saying.slot)
            });
            let Some(Saying { slot, held }) = first.copied() else {
                self.tell_of_silence(true);
                return Ok(None);
            };
            if before < slot {
                late.push(Question { account, after: 0, since: account.since });
            }
            let (Account { address, wallet, .. }, time) = (account, UnixSeconds(0));
            begun.balances.push(AccountBalance {
                account: address,
                wallet,
                slot,
                time,
                held,
                is_late: before < slot,
                unexplained: None,
            });
        }
        if !late.is_empty() {
            let Again { found, listed, is_whole } = self.read_again(&late, head, merchants).await?;
            begun.found = found;
            for balance in &mut begun.balances {
                balance.is_late &= !is_whole || said.count_heard(&listed, balance.slot) < self.enough_hosts();
            }
        }
        Ok(Some(begun))
    }

    /// So many hosts have to be heard before nothing older is asked for: one may leave out what another shows.
    fn enough_hosts(&self) -> usize {
        self.rpc.hosts().len().min(WITNESSES)
    }

    /// Compares what is due. What hosts cannot answer is asked again the next time.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub(super) async fn reconcile(
        &mut self,
        accounts: &[Account],
        head: &Head,
        merchants: &Merchants,
    ) -> Result<(), StepError> {
        let now = self.app.clock.now_ms();
        let Some(Subjects { accounts: compared, at, are_all_open }) = self.subjects(accounts, head, now).await? else {
            return Ok(());
        };
        let said = self.ask_balances(&compared, at.number, head.block.number).await;
        let in_question = compared.iter().filter(|account| {
            let balance = self.reconciler.balance(account.address);
            balance.is_some_and(|balance| self.reconciler.is_in_question(balance, said.of(account.address), now))
        });
        // What was left out may have changed several accounts of a wallet, and come to nothing in all but one of them.
        let wallets: HashSet<SolanaAddress> = in_question.map(|account| account.wallet).collect();
        let questions = accounts.iter().filter(|account| wallets.contains(&account.wallet)).filter_map(|account| {
            let balance = self.reconciler.balance(account.address)?;
            let (after, since) = if balance.is_late { (0, account.since) } else { (balance.slot, UnixSeconds(0)) };
            Some(Question { account: *account, after, since })
        });
        let questions: Vec<Question> = questions.collect();
        let Again { found, listed, is_whole } = self.read_again(&questions, head, merchants).await?;
        let mut is_silent = !questions.is_empty() && listed.is_empty();
        let asked: HashSet<SolanaAddress> = questions.iter().map(|question| question.account.address).collect();
        let mut balances = Vec::new();
        for account in &compared {
            let sayings = said.of(account.address);
            let is_asked = asked.contains(&account.address);
            let verdict = self.reconciler.balance(account.address).cloned();
            let verdict = verdict.and_then(|balance| Some((self.reconciler.judge(&balance, sayings)?, balance)));
            match verdict {
                Some((Verdict::Explained(saying, hosts), balance)) => {
                    let witnesses = said.count_heard(&listed, balance.slot);
                    let are_enough = is_whole && self.enough_hosts() <= witnesses;
                    if balance.unexplained.is_some() && !are_enough {
                        if is_asked {
                            self.reconciler.put_off(account.address, now);
                        }
                        continue;
                    }
                    let after = AccountBalance { is_late: balance.is_late && !are_enough, ..balance.clone() };
                    balances.extend(self.explained(account, (&balance, after), (saying, hosts), &at));
                }
                // Nobody has said how it came.
                Some((Verdict::Differs(..), _)) if is_asked && listed.is_empty() => {}
                Some((Verdict::Differs(amount, saying), balance)) => {
                    balances.extend(self.differs(account, &balance, (amount, saying), (&at, now), is_asked));
                }
                None => is_silent |= account.is_fast,
            }
        }
        self.tell_of_silence(is_silent);
        let compared = (are_all_open && !is_silent).then_some(at);
        if found.is_empty() && balances.is_empty() && compared.is_none() {
            self.reconciler.remember(balances);
            return Ok(());
        }
        let read = found.iter().map(|(transaction, time)| (&**transaction, *time)).collect();
        self.record_more(read, merchants, head, (balances.clone(), compared)).await?;
        self.reconciler.remember(balances);
        Ok(())
    }

    /// What is to be compared, if anything is.
    async fn subjects(
        &mut self,
        accounts: &[Account],
        head: &Head,
        now: UnixMillis,
    ) -> Result<Option<Subjects>, StepError> {
        let last = self.app.store.reader().await?.tx().comparison(&self.network.name, Lane::Open).await?;
        let last = last.map(|last| last.at);
        let from = last.as_ref().map_or(UnixSeconds(0), |last| last.time);
        let is_newer = last.is_none_or(|last| last.number < head.finalized);
        let is_open_due = self.reconciler.open_due.is_none_or(|due| due <= now);
        let is_old_due =
            |account: &&Account, time| !account.is_fast && self.reconciler.is_old_due(account.address, time, now);
        let is_due = accounts.iter().any(|account| is_old_due(&account, head.block.time))
            || is_newer && (is_open_due || self.is_time_up(from, head.block.time).await?);
        if !is_due {
            return Ok(None);
        }
        let Some(at) = self.final_block(head).await else { return Ok(None) };
        let are_all_open = is_newer && (is_open_due || self.is_time_up(from, at.time).await?);
        let is_subject = |account: &&Account| if account.is_fast { are_all_open } else { is_old_due(account, at.time) };
        let subjects: Vec<Account> = accounts.iter().filter(is_subject).copied().collect();
        if are_all_open {
            self.reconciler.open = subjects.iter().filter(|account| account.is_fast).count();
            self.reconciler.open_due = Some(UnixMillis(now.0.saturating_add(OPEN_EVERY_MS)));
        }
        let is_any = are_all_open || !subjects.is_empty();
        Ok(is_any.then_some(Subjects { accounts: subjects, at, are_all_open }))
    }

    /// Whether the time of an open invoice was up between two block times, so that it waits for a comparison.
    async fn is_time_up(&self, from: UnixSeconds, until: UnixSeconds) -> Result<bool, StoreError> {
        Ok(self.reconciler.open <= FEW && self.app.store.reader().await?.tx().has_time_up_between(from, until).await?)
    }

    /// The newest final block, if its time is told.
    async fn final_block(&self, head: &Head) -> Option<BlockRef> {
        let answer = self.rpc.call("getBlockTime", json!([head.finalized])).await.ok()?;
        let time: i64 = read(&answer).ok()?;
        Some(block_of(head.finalized, UnixSeconds(time).min(head.block.time)))
    }

    /// What every host says that accounts hold, as of its newest final slot.
    async fn ask_balances(&self, accounts: &[Account], from: u64, until: u64) -> Said {
        let mut said = Said::default();
        if accounts.is_empty() {
            return said;
        }
        let calls = account_calls(accounts, Commitment::Finalized, from);
        for host in self.rpc.ask_hosts(&calls).await {
            for (part, answer) in accounts.chunks(ACCOUNTS_AT_ONCE).zip(host.answers) {
                let Ok(answer) = answer else { continue };
                let Ok(answer) = read_each::<AccountAnswer>(&answer, part.len()) else { continue };
                let slot = answer.context.slot;
                // Who has not come so far does not know, and of what is beyond nothing is listed yet.
                if !(from..=until).contains(&slot) {
                    continue;
                }
                let known = said.hosts.entry(host.host.clone()).or_insert(slot);
                *known = slot.min(*known);
                for (account, answer) in part.iter().zip(answer.value) {
                    if let Some(held) = self.held(account, answer.as_ref()) {
                        said.of_accounts.entry(account.address).or_default().push(Saying { slot, held });
                    }
                }
            }
        }
        said
    }

    /// What an account holds, by an answer that has the part of its data with the amount; `None` if it makes no sense.
    fn held(&self, account: &Account, answer: Option<&AccountAnswer>) -> Option<u64> {
        let Some(answer) = answer else { return Some(0) };
        let token = self.network.tokens.iter().find(|token| token.token_id() == account.token)?;
        match token.asset() {
            Asset::Coin => Some(answer.lamports),
            // Somebody sent SOL there, and there is no token account yet.
            Asset::Mint(_, program) if program.address() != answer.owner => Some(0),
            Asset::Mint(..) => {
                let data = answer.data.as_slice();
                // A node may send the whole of it all the same.
                let amount = if data.len() == AMOUNT_BYTES { data } else { data.get(AMOUNT_AT..)? };
                amount.first_chunk().copied().map(u64::from_le_bytes)
            }
            Asset::Contract(_) => None,
        }
    }

    /// Asks all hosts what they list of accounts, and reads what is not known of that.
    async fn read_again(
        &mut self,
        questions: &[Question],
        head: &Head,
        merchants: &Merchants,
    ) -> Result<Again, StepError> {
        let (lists, listed) = self.lists_of_hosts(questions, head).await;
        if listed.is_empty() {
            return Ok(Again::default());
        }
        let mut recorded: HashSet<(u64, Signature)> = HashSet::new();
        let mut wanted: BTreeSet<(u64, Signature)> = BTreeSet::new();
        let mut times = HashMap::new();
        let mut changes: Vec<(Account, Places)> = Vec::new();
        for (Question { account, after, .. }, list) in questions.iter().zip(lists) {
            let mut of_account = Places::new();
            let mut reader = self.app.store.reader().await?;
            for fact in reader.tx().recorded_signatures(&self.network.name, account.wallet, *after).await? {
                let Ok(signature) = fact.signature.parse() else { continue };
                recorded.insert((fact.slot, signature));
                of_account.insert(signature, (fact.slot, fact.slot <= head.finalized));
            }
            for entry in list.into_values().filter(|entry| account.is_changed_by(entry)) {
                times.extend(entry.block_time.map(|time| (entry.signature, time)));
                of_account.insert(entry.signature, (entry.slot, entry.is_final));
            }
            of_account.retain(|_, (slot, _)| *slot <= head.block.number);
            let known = self.reconciler.changes.get(&account.address);
            let is_unknown = |(signature, (slot, _)): &(&Signature, &(u64, bool))| {
                known.and_then(|known| known.get(*signature)).is_none_or(|change| change.slot != *slot)
            };
            wanted.extend(of_account.iter().filter(is_unknown).map(|(signature, (slot, _))| (*slot, *signature)));
            changes.push((*account, of_account));
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let watched = self.watched(merchants.keys().copied());
        let outcomes = match self.read_transactions(&wanted, &times, &watched).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::warn!(
                    payment.network = self.network.name,
                    error = %error,
                    "what accounts hold could not be explained"
                );
                return Ok(Again::default());
            }
        };
        let is_whole = !outcomes.values().any(|outcome| matches!(outcome, Outcome::Missing));
        self.reconciler.is_pending = true;
        let mut is_due: HashSet<Signature> = HashSet::new();
        for (account, of_account) in changes {
            let known = self.reconciler.changes.entry(account.address).or_default();
            for (signature, (_, is_final)) in of_account {
                if let Some(Outcome::Read(transaction, time)) = outcomes.get(&signature) {
                    known.insert(signature, change_of(&account, transaction, is_final));
                    if account.since <= *time && !recorded.contains(&(transaction.slot, signature)) {
                        is_due.insert(signature);
                    }
                }
            }
        }
        let found = outcomes.into_iter().filter_map(|(signature, outcome)| match outcome {
            Outcome::Read(transaction, time) if is_due.contains(&signature) => Some((transaction, time)),
            Outcome::Read(..) | Outcome::Unreadable | Outcome::Missing => None,
        });
        let found: Vec<Found> = found.collect();
        for (transaction, _) in found.iter().filter(|(transaction, _)| !transaction.arrivals.is_empty()) {
            tracing::warn!(
                payment.network = self.network.name,
                transaction = %transaction.signature,
                "a payment was found by what its account holds; an endpoint had left it out"
            );
        }
        Ok(Again { found, listed, is_whole })
    }

    /// What hosts list of each account, all of them taken together, and which of them do.
    async fn lists_of_hosts(
        &self,
        questions: &[Question],
        head: &Head,
    ) -> (Vec<HashMap<Signature, Listed>>, BTreeSet<String>) {
        let wanted: Vec<Wanted> = questions
            .iter()
            .map(|question| Wanted {
                account: question.account.address,
                until: None,
                after: question.after,
                since: question.since,
            })
            .collect();
        let mut lists: Vec<HashMap<Signature, Listed>> = questions.iter().map(|_| HashMap::new()).collect();
        let mut answered = BTreeSet::new();
        if questions.is_empty() {
            return (lists, answered);
        }
        for host in self.rpc.hosts() {
            let rpc = self.rpc.of_host(&host);
            match NewestFirst::new(head.finalized).lists(&rpc, &wanted).await {
                Ok(said) => {
                    answered.insert(host);
                    for (list, said) in lists.iter_mut().zip(said) {
                        for entry in said {
                            // A host that is on a fork may have it elsewhere.
                            let known = list.get(&entry.signature);
                            if known.is_none_or(|known| !known.is_final || entry.is_final) {
                                list.insert(entry.signature, entry);
                            }
                        }
                    }
                }
                Err(error) => {
                    if matches!(error, StepError::Untrue(_)) {
                        rpc.distrust_last();
                    }
                    tracing::warn!(
                        payment.network = self.network.name,
                        rpc.endpoint = host,
                        error = %error,
                        "an endpoint does not say how accounts came to hold what they do"
                    );
                }
            }
        }
        (lists, answered)
    }

    /// What an account holds that is explained, if there is news of that.
    fn explained(
        &mut self,
        account: &Account,
        (before, mut after): (&AccountBalance, AccountBalance),
        (saying, hosts): (Saying, usize),
        at: &BlockRef,
    ) -> Option<AccountBalance> {
        self.reconciler.doubts.remove(&account.address);
        if before.unexplained.is_some() {
            after.unexplained = None;
            tracing::info!(
                payment.network = self.network.name,
                account = %account.address,
                token.id = account.token.0,
                "an account holds what is recorded again"
            );
        }
        let changes = self.reconciler.changes.get(&account.address).into_iter().flat_map(HashMap::values);
        let is_changed = changes.into_iter().any(|change| before.slot < change.slot && change.slot <= saying.slot);
        let is_old = before.time.plus(COMPARED_EVERY_SECONDS) <= at.time;
        if (is_changed || is_old || before.unexplained.is_some()) && self.enough_hosts() <= hosts {
            (after.slot, after.time, after.held) = (saying.slot, at.time, saying.held);
        }
        (after != *before).then_some(after)
    }

    /// What nobody explains of what an account holds, if that is news.
    fn differs(
        &mut self,
        account: &Account,
        before: &AccountBalance,
        (amount, saying): (i128, Saying),
        (at, now): (&BlockRef, UnixMillis),
        was_asked: bool,
    ) -> Option<AccountBalance> {
        let known = before.unexplained.filter(|known| known.amount == amount);
        let is_told = self.reconciler.doubt(account.address, known.is_some(), was_asked, now);
        let Some(known) = known else {
            let noticed = Unexplained { amount, noticed: at.time };
            return Some(AccountBalance { unexplained: Some(noticed), ..before.clone() });
        };
        if is_told {
            tracing::error!(
                alarm = alarm::DEPOSIT_DIFFERS,
                payment.network = self.network.name,
                account = %account.address,
                wallet = %account.wallet,
                token.id = account.token.0,
                payment.recorded = %(i128::from(saying.held) - amount),
                payment.found = %saying.held,
                "ALARM: an account holds something else than is recorded"
            );
        }
        if at.time < known.noticed.plus(GIVEN_UP_AFTER_SECONDS) {
            return None;
        }
        self.reconciler.doubts.remove(&account.address);
        tracing::warn!(
            payment.network = self.network.name,
            account = %account.address,
            token.id = account.token.0,
            "what nobody explains of an account is taken as it is, a week after it was noticed"
        );
        Some(AccountBalance {
            slot: saying.slot,
            time: at.time,
            held: saying.held,
            unexplained: None,
            ..before.clone()
        })
    }

    fn tell_of_silence(&mut self, is_silent: bool) {
        let was_silent = std::mem::replace(&mut self.reconciler.is_unanswered, is_silent);
        if is_silent && !was_silent {
            tracing::warn!(
                payment.network = self.network.name,
                "no endpoint says what accounts hold, or how that came; invoices end later until one does"
            );
        }
    }
}

fn change_of(account: &Account, transaction: &TransactionRead, is_final: bool) -> Change {
    let amount = transaction.changes.get(&account.address).copied().unwrap_or_default();
    Change { slot: transaction.slot, amount, is_final }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: SolanaAddress = SolanaAddress::new([1; 32]);

    fn held(held: u64) -> AccountBalance {
        let (slot, time) = (100, UnixSeconds(0));
        AccountBalance { account: ACCOUNT, wallet: ACCOUNT, slot, time, held, is_late: false, unexplained: None }
    }

    /// An account that held ten, and was changed in these slots since.
    fn changed(changes: &[(u64, i128)]) -> Reconciler {
        let mut reconciler = Reconciler::default();
        let changes = changes.iter().zip(1..).map(|((slot, amount), number)| {
            (Signature::new([number; 64]), Change { slot: *slot, amount: *amount, is_final: true })
        });
        reconciler.changes.insert(ACCOUNT, changes.collect());
        reconciler
    }

    #[track_caller]
    fn check(changes: &[(u64, i128)], sayings: &[(u64, u64)], surplus: Option<i128>) {
        let sayings: Vec<Saying> = sayings.iter().map(|(slot, held)| Saying { slot: *slot, held: *held }).collect();
        let found = match changed(changes).judge(&held(10), &sayings) {
            Some(Verdict::Explained(..)) => Some(0),
            Some(Verdict::Differs(amount, _)) => Some(amount),
            None => None,
        };
        assert_eq!(found, surplus);
    }

    #[test]
    fn what_an_account_holds_is_explained_by_what_changed_it_up_to_that_slot() {
        check(&[], &[], None);
        check(&[], &[(100, 10)], Some(0));
        check(&[(101, 5)], &[(101, 15)], Some(0));
        check(&[(101, 5), (102, -3)], &[(101, 15)], Some(0));
        check(&[(101, 5), (102, -3)], &[(103, 12)], Some(0));
        // It is part of what it held.
        check(&[(100, 5)], &[(103, 10)], Some(0));
        check(&[(101, -3)], &[(103, 12)], Some(5));
        check(&[(101, 5)], &[(103, 10)], Some(-5));
    }

    #[test]
    fn a_host_that_knows_of_more_is_heard_and_one_that_knows_of_less_only_if_no_other_disagrees() {
        check(&[], &[(103, 10), (104, 15)], Some(5));
        check(&[], &[(103, 10), (104, 5)], Some(0));
        check(&[], &[(103, 4), (104, 5)], Some(-5));
    }

    #[test]
    fn a_difference_that_is_explained_again_is_asked_about_less_often_while_not_enough_hosts_are_heard() {
        let mut reconciler = Reconciler::default();
        let unexplained = Some(Unexplained { amount: 5, noticed: UnixSeconds(0) });
        let balance = AccountBalance { unexplained, ..held(10) };
        let is_asked = |reconciler: &mut Reconciler, seconds: i64| {
            let now = UnixMillis(seconds * 1_000);
            let is_asked = reconciler.is_in_question(&balance, &[Saying { slot: 103, held: 10 }], now);
            if is_asked {
                reconciler.put_off(ACCOUNT, now);
            }
            is_asked
        };
        let asked: Vec<i64> = (0..300).filter(|seconds| is_asked(&mut reconciler, *seconds)).collect();
        assert_eq!(asked, [0, 60, 180]);
    }

    #[test]
    fn what_stays_unexplained_is_told_of_at_the_second_look_and_then_once_a_day() {
        let mut reconciler = Reconciler::default();
        let mut look = |is_known, seconds: i64| {
            let now = UnixMillis(seconds * 1_000);
            let is_due = reconciler.is_doubt_due(ACCOUNT, now);
            (is_due, reconciler.doubt(ACCOUNT, is_known, is_due, now))
        };
        assert_eq!(look(false, 0), (true, false));
        assert_eq!(look(true, 30), (true, true));
        assert_eq!(look(true, 60), (false, false));
        assert_eq!(look(true, 90), (true, false), "hosts are asked again, and nobody is told");
        assert_eq!(look(true, 180), (false, false));
        // Another one is another one.
        assert_eq!(look(false, 181), (false, false));
        assert_eq!(look(true, 211), (true, true));
        assert_eq!(look(true, 211 + 86_399), (true, false));
        assert_eq!(look(true, 211 + 86_400), (false, true));
    }
}

//! Watching one network of Solana's.
//!
//! Each step asks what was signed for the accounts that invoices are paid to, since the last transaction of each that is
//! final, and looks at what it has not recorded yet. The part that is not final is listed again every time, so that a
//! transaction which a fork took away, or brought back elsewhere, is noticed. Whether one is still there is asked by its
//! signature. A step that fails half-way leaves nothing behind.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use alloy_primitives::U256;
use domain::{
    finality::{Mark, Marks},
    id::{MerchantId, TokenId},
    money::{Rate, TokenAmount, UsdMillis},
    time::{UnixMillis, UnixSeconds},
};
use serde_json::{Value, json};

use super::{
    accounts::Mint,
    holdings::{FEW_ACCOUNTS, Holding, Listing, Quiet},
    listing::{Listed, NewestFirst, Wanted},
    reconcile::{Begun, Found, Reconciler},
    rpc::{Account as AccountAnswer, AnswerError, AsOf, Commitment, LatestBlockhash, SignatureStatus, read, read_each},
    transaction::{Arrival, ReadError, TransactionRead, Watched, WatchedToken, read_transaction},
};
use crate::{
    alarm,
    app::App,
    chains::{
        evm::{Verdict, WITNESSES, Waiting, is_vouched, tell_of_lack},
        rpc::{Answer, Call, Rpc},
        step::{Fitness, Step, StepError},
    },
    config::{Asset, NetworkConfig, TokenConfig},
    failpoint,
    invoicing::{Arrived, Missing, Reading, Said, conclude_look, record_arrivals},
    solana::{Signature, SolanaAddress, associated_token_account},
    store::{
        AccountBalance, AccountCursor, BlockRef, FactKey, Failure, Lease, OpenSignature, UnattributedRecord,
        UnvouchedFact, VerificationRecord, WatchedWallet,
    },
    transaction_id::TransactionId,
    wallet::WalletAddress,
};

/// Wallets of ended invoices are looked at so often: what comes to them is late.
const SLOW_LANE_MS: i64 = 60_000;
/// So long after the last of its invoices ended, a wallet is looked at as if one were open.
const RECENTLY_ENDED_SECONDS: i64 = 3_600;
/// What was signed so long before an invoice was created is not read: the network's clock may lag behind ours, but no more.
const LOOK_BACK_SECONDS: i64 = 3_600;
/// Transactions read in one step; the rest waits for the next one.
const MOST_AT_ONCE: usize = 250;
/// Statuses asked for in one call, which is what nodes allow.
const STATUSES_AT_ONCE: usize = 256;
/// A transaction can be put into a block again for so many blocks after the one that it names. Some slots have none, so one
/// that is given up may come back after all; then it is listed, and recorded, again.
const BLOCKHASH_LIFE_SLOTS: u64 = 150;
/// What came to wallets and belongs to nobody is looked after until it is final. Who does not know how far it was, begins so
/// many slots before the last one that was read.
const LOOKED_AFTER_SLOTS: u64 = 6_000;
/// What nodes answer about a transaction of a newer kind than was asked for.
const UNSUPPORTED_VERSION: i64 = -32015;
/// Searches that are looked after in one step, and how often.
const SEARCHES_AT_ONCE: i64 = 10;
const SEARCH_EVERY_MS: i64 = 1_000;

/// Reads one network, step by step.
pub struct Watcher {
    pub(super) app: App,
    pub(super) network: NetworkConfig,
    lease: Lease,
    pub(super) rpc: Rpc,
    /// How far each account was read; `None` until it is loaded.
    cursors: Option<HashMap<SolanaAddress, AccountCursor>>,
    /// Of each account, what is recorded of the part that may still change, with its slots.
    recorded: HashMap<SolanaAddress, HashMap<Signature, u64>>,
    /// When the wallets of ended invoices were looked at, by account.
    looked_at: HashMap<SolanaAddress, UnixMillis>,
    /// Facts that only one host has shown.
    waiting: Waiting,
    search_due: Option<UnixMillis>,
    pub(super) reconciler: Reconciler,
    /// Up to so many accounts are all listed in every step.
    pub(super) few_accounts: usize,
    pub(super) quiet: Quiet,
    /// Up to this slot all that is recorded is final, but for payments that nobody vouches for.
    settled: Option<u64>,
}

/// The newest confirmed block, and up to which one all is final.
pub(crate) struct Head {
    pub block: BlockRef,
    pub finalized: u64,
}

/// An account that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub address: SolanaAddress,
    /// Whose it is; the same, if it holds SOL.
    pub wallet: SolanaAddress,
    pub token: TokenId,
    /// What came before was for no invoice that is looked for.
    pub since: UnixSeconds,
    /// An invoice at its wallet can still be paid, or ended not long ago.
    pub is_fast: bool,
}

impl Account {
    /// Failed transactions change what a wallet holds, and no token account.
    pub fn is_changed_by(&self, listed: &Listed) -> bool {
        !listed.failed || self.address == self.wallet
    }
}

/// Of each wallet, whose it is.
pub(super) type Merchants = HashMap<SolanaAddress, Vec<MerchantId>>;

/// What is known of a transaction that was listed.
pub(super) enum Outcome {
    Read(Box<TransactionRead>, UnixSeconds),
    /// Nobody can read it, now or later.
    Unreadable,
    /// It is not served yet.
    Missing,
}

/// What was listed, and what came of it.
pub(super) struct Round {
    pub listed: Vec<(Account, Vec<Listed>)>,
    pub outcomes: HashMap<Signature, Outcome>,
}

/// How far a round came.
#[derive(Default)]
struct Progress {
    cursors: Vec<AccountCursor>,
    is_complete: bool,
    /// More is listed than was read.
    has_more: bool,
}

impl Watcher {
    /// Knows nothing yet but what the database does, whoever held the lease before.
    pub fn new(app: App, network: NetworkConfig, lease: Lease) -> Self {
        let rpc = Rpc::with_added(&network, &app.added_endpoints, app.config.merchants.rpc_targets());
        Self {
            rpc,
            cursors: None,
            recorded: HashMap::new(),
            looked_at: HashMap::new(),
            waiting: Waiting::default(),
            search_due: None,
            reconciler: Reconciler::default(),
            few_accounts: FEW_ACCOUNTS,
            quiet: Quiet::default(),
            settled: None,
            app,
            network,
            lease,
        }
    }

    /// Has it list only accounts that hold something else than the last time, as soon as there are more than `few` of them.
    #[must_use]
    pub fn listing_all_of(self, few: usize) -> Self {
        Self { few_accounts: few, ..self }
    }

    /// Compares the configuration with the network: every token's mint must be there, of the program and with the
    /// decimals that are configured.
    ///
    /// # Errors
    ///
    /// If no endpoint answers.
    pub async fn check_fitness(&self) -> Result<Fitness, StepError> {
        for token in &self.network.tokens {
            if let Err(problem) = check_mint(&self.rpc, token).await? {
                let (id, symbol) = (token.id, &token.symbol);
                return Ok(Fitness::Unfit(format!("token {id} ({symbol}) {problem}")));
            }
        }
        Ok(Fitness::Fit)
    }

    /// Reads what is new and records it, with what is known anew of what was recorded before.
    ///
    /// # Errors
    ///
    /// After any error nothing of the step is recorded. All may pass with time.
    pub async fn step(&mut self) -> Result<Step, StepError> {
        let head = head(&self.rpc).await?;
        let (since, settled, before) = {
            let mut reader = self.app.store.reader().await?;
            let mut tx = reader.tx();
            if self.cursors.is_none() {
                let cursors = tx.solana_cursors(&self.network.name).await?;
                self.cursors = Some(cursors.into_iter().map(|cursor| (cursor.account, cursor)).collect());
            }
            self.reconciler.load(&mut tx, &self.network.name).await?;
            // Our clock may be far ahead after a long outage: what was watched when the network was last read still is.
            let now = self.app.clock.now();
            let cursor = tx.cursor(&self.network.name).await?;
            let before = cursor.as_ref().map_or(0, |cursor| cursor.number);
            let settled = self.settled.unwrap_or(before.saturating_sub(LOOKED_AFTER_SLOTS));
            (cursor.map_or(now, |cursor| cursor.time.min(now)), settled, before)
        };
        // Read after the head: a wallet is shown only once its quote is stored, so nobody can have paid to one that is
        // not on this list in a block up to that head.
        let wallets = self.app.store.reader().await?.tx().watched_solana_wallets(&self.network.name, since).await?;
        let mut merchants: Merchants = HashMap::new();
        for wallet in &wallets {
            merchants.entry(wallet.address).or_default().push(wallet.merchant);
        }
        let accounts = self.due_accounts(&wallets, &head.block);
        let Listing { accounts: listed, holdings } = self.listing(&accounts, &head).await?;
        let round = self.read_round(listed, &head, &merchants).await?;
        self.reconciler.note(&round);
        let progress = self.progress_of(&round);
        let begun = if progress.is_complete { self.begin(&accounts, &head, before, &merchants).await? } else { None };
        let is_complete = begun.is_some();
        let Begun { balances, found } = begun.unwrap_or_default();
        let arrivals = self.arrivals_of(&round, &found, &merchants).await;
        let (newest_final, vanished) = self.look_after_open(&head, &round, settled).await?;
        let vouched = self.hear_witnesses(&head, &merchants).await?;
        let reading = Reading {
            network: self.network.name.clone(),
            head: head.block.clone(),
            marks: Marks { finalized: Mark { newest: Some(newest_final), is_silent: false }, ..Marks::default() },
            cursors: progress.cursors.clone(),
            arrivals,
            vanished,
            vouched,
            is_alone: self.rpc.hosts().len() < WITNESSES,
            is_complete,
            balances: balances.clone(),
            compared: None,
        };
        failpoint::pass("solana.before_record");
        // Unless all goes well it is not known any more.
        let cursors = self.cursors.take();
        record_arrivals(&self.app, &self.lease, reading).await?;
        failpoint::pass("solana.after_record");
        self.cursors = cursors;
        self.settled = Some(newest_final);
        self.remember(round, progress.cursors, holdings, &head);
        self.reconciler.remember(balances);
        if is_complete {
            self.reconcile(&accounts, &head, &merchants).await?;
        }
        if progress.is_complete {
            self.look_for_payments(&head, &merchants).await?;
        }
        Ok(Step::Recorded { is_at_head: !progress.has_more })
    }

    /// The accounts that it is time to look at: those of open invoices always.
    fn due_accounts(&mut self, wallets: &[WatchedWallet], head: &BlockRef) -> Vec<Account> {
        let now = self.app.clock.now_ms();
        let mut by_address: BTreeMap<SolanaAddress, (UnixSeconds, bool)> = BTreeMap::new();
        for wallet in wallets {
            let is_fast = wallet.is_open || head.time <= wallet.ends.plus(RECENTLY_ENDED_SECONDS);
            let since = wallet.since.plus(-LOOK_BACK_SECONDS);
            let known = by_address.entry(wallet.address).or_insert((since, false));
            *known = (known.0.min(since), known.1 || is_fast);
        }
        let mut accounts = Vec::new();
        for (wallet, (since, is_fast)) in by_address {
            for token in &self.network.tokens {
                let Some(address) = account_of(wallet, token) else { continue };
                let looked_at = self.looked_at.get(&address);
                let is_due = looked_at.is_none_or(|at| !(0..SLOW_LANE_MS).contains(&now.0.saturating_sub(at.0)));
                if is_fast || is_due {
                    accounts.push(Account { address, wallet, token: token.token_id(), since, is_fast });
                }
            }
        }
        for account in &accounts {
            self.looked_at.insert(account.address, now);
        }
        accounts
    }

    /// Lists what was signed for each account, and reads what is not recorded yet, the oldest first.
    async fn read_round(&self, accounts: Vec<Account>, head: &Head, merchants: &Merchants) -> Result<Round, StepError> {
        let wanted: Vec<_> = accounts
            .iter()
            .map(|Account { address, since, .. }| Wanted {
                account: *address,
                until: self.until(*address),
                after: 0,
                since: *since,
            })
            .collect();
        let lists = NewestFirst::new(head.block.number).lists(&self.rpc, &wanted).await;
        let lists = lists.map_err(|error| self.distrust(error))?;
        let listed: Vec<_> = accounts.into_iter().zip(lists).collect();
        let mut wanted: BTreeSet<(u64, Signature)> = BTreeSet::new();
        for (account, list) in &listed {
            let recorded = self.recorded.get(&account.address);
            let is_new = |entry: &&Listed| {
                account.is_changed_by(entry)
                    && recorded.and_then(|known| known.get(&entry.signature)) != Some(&entry.slot)
            };
            wanted.extend(list.iter().filter(is_new).map(|entry| (entry.slot, entry.signature)));
        }
        let wanted: Vec<_> = wanted.into_iter().take(MOST_AT_ONCE).collect();
        let times: HashMap<Signature, UnixSeconds> = listed
            .iter()
            .flat_map(|(_, list)| list)
            .filter_map(|entry| Some((entry.signature, entry.block_time?)))
            .collect();
        let watched = self.watched(merchants.keys().copied());
        let outcomes = self.read_transactions(&wanted, &times, &watched).await?;
        Ok(Round { listed, outcomes })
    }

    fn until(&self, account: SolanaAddress) -> Option<String> {
        self.cursors.as_ref()?.get(&account).map(|cursor| cursor.signature.clone())
    }

    pub(super) fn watched(&self, wallets: impl Iterator<Item = SolanaAddress>) -> Watched {
        let tokens = self.network.tokens.iter().filter_map(|token| match token.asset() {
            Asset::Mint(mint, program) => {
                Some(WatchedToken { mint, program: program.address(), decimals: token.decimals })
            }
            Asset::Coin | Asset::Contract(_) => None,
        });
        Watched {
            wallets: wallets.collect(),
            tokens: tokens.collect(),
            sol: self.network.tokens.iter().any(|token| token.asset() == Asset::Coin),
        }
    }

    pub(super) async fn read_transactions(
        &self,
        wanted: &[(u64, Signature)],
        times: &HashMap<Signature, UnixSeconds>,
        watched: &Watched,
    ) -> Result<HashMap<Signature, Outcome>, StepError> {
        let calls: Vec<Call> = wanted.iter().map(|(_, signature)| transaction_call(*signature)).collect();
        let answers = if calls.is_empty() { Vec::new() } else { self.rpc.together(&calls).await? };
        let mut outcomes = HashMap::with_capacity(wanted.len());
        for ((answer, call), (slot, signature)) in answers.into_iter().zip(&calls).zip(wanted) {
            let answer = match answer {
                // Listed, and not served: another one may have it.
                Ok(Value::Null) => {
                    self.rpc.ask_each(call).await.into_iter().find(|answer| !answer.is_null()).unwrap_or_default()
                }
                Ok(answer) => answer,
                Err(fault) if fault.code == UNSUPPORTED_VERSION => {
                    self.tell_of_unreadable(*signature);
                    outcomes.insert(*signature, Outcome::Unreadable);
                    continue;
                }
                Err(_) => Value::Null,
            };
            let read = match read_transaction(&answer, *signature, watched) {
                Ok(read) => read,
                Err(ReadError::Version { .. }) => {
                    self.tell_of_unreadable(*signature);
                    outcomes.insert(*signature, Outcome::Unreadable);
                    continue;
                }
                Err(error) => return Err(self.untrue(&error)),
            };
            let outcome = match read {
                // It moved between the two questions; the next list will say where it is.
                Some(read) if read.slot != *slot => Outcome::Missing,
                Some(read) => match read.block_time.or(times.get(signature).copied()) {
                    Some(time) => Outcome::Read(Box::new(read), time),
                    None => Outcome::Missing,
                },
                None => Outcome::Missing,
            };
            outcomes.insert(*signature, outcome);
        }
        Ok(outcomes)
    }

    fn tell_of_unreadable(&self, signature: Signature) {
        tracing::error!(
            alarm = alarm::TRANSACTION_UNREADABLE,
            payment.network = self.network.name,
            transaction = %signature,
            "ALARM: a transaction that names a merchant's account is of a kind that cannot be read; it is passed over"
        );
    }

    /// How far each account was read without a gap.
    fn progress_of(&self, round: &Round) -> Progress {
        let mut progress = Progress { cursors: Vec::new(), is_complete: true, has_more: false };
        for (account, list) in &round.listed {
            let recorded = self.recorded.get(&account.address);
            let mut newest_final = None;
            for entry in list.iter().rev() {
                let is_known = !account.is_changed_by(entry)
                    || recorded.and_then(|known| known.get(&entry.signature)) == Some(&entry.slot)
                    || matches!(round.outcomes.get(&entry.signature), Some(Outcome::Read(..) | Outcome::Unreadable));
                if !is_known {
                    progress.is_complete = false;
                    progress.has_more |= !round.outcomes.contains_key(&entry.signature);
                    break;
                }
                if entry.is_final {
                    newest_final = Some(entry);
                }
            }
            progress.cursors.extend(newest_final.map(|entry| AccountCursor {
                account: account.address,
                signature: entry.signature.to_string(),
                slot: entry.slot,
            }));
        }
        progress
    }

    /// What came to wallets in a round.
    async fn arrivals_of(&self, round: &Round, found: &[Found], merchants: &Merchants) -> Vec<Arrived> {
        let read = round.outcomes.values().filter_map(|outcome| match outcome {
            Outcome::Read(transaction, time) => Some((&**transaction, *time)),
            Outcome::Unreadable | Outcome::Missing => None,
        });
        let found = found.iter().map(|(transaction, time)| (&**transaction, *time));
        self.arrivals_in(read.chain(found).collect(), merchants).await
    }

    /// What transactions brought to wallets, in the order of the chain.
    async fn arrivals_in(&self, mut read: Vec<(&TransactionRead, UnixSeconds)>, merchants: &Merchants) -> Vec<Arrived> {
        read.sort_by_key(|(transaction, _)| (transaction.slot, transaction.signature));
        let mut prices: HashMap<(TokenId, u64), Option<Rate>> = HashMap::new();
        let mut arrived = Vec::new();
        for (transaction, time) in read {
            let block = block_of(transaction.slot, time);
            let said = Said {
                accounts: transaction.accounts.clone(),
                invoices: transaction.memos.iter().filter_map(|memo| memo.trim().parse().ok()).collect(),
            };
            for arrival in &transaction.arrivals {
                let Some(token) = self.token_of(arrival) else { continue };
                // A merchant may have other accounts for a token, which payers are not told of.
                let Some(position) = position_of(arrival, token, transaction) else { continue };
                if let Entry::Vacant(entry) = prices.entry((token.token_id(), block.number)) {
                    entry.insert(self.price_at(token, &block).await);
                }
                let price_at_block = prices[&(token.token_id(), block.number)];
                for merchant in merchants.get(&arrival.wallet).into_iter().flatten() {
                    let came = UnattributedRecord {
                        merchant: *merchant,
                        network: self.network.name.clone(),
                        block_hash: block.hash.clone(),
                        tx_id: transaction.signature.to_string(),
                        log_index: position,
                        ordinal: 0,
                        wallet: WalletAddress::Solana(arrival.wallet),
                        token: token.token_id(),
                        decimals: token.checked_decimals(),
                        amount: units(arrival),
                        payer: Some(arrival.payer.to_string()),
                        block_number: block.number,
                        block_time: block.time,
                        price_at_block,
                        accepted: token.accepted,
                    };
                    arrived.push(Arrived { came, said: said.clone() });
                }
            }
        }
        arrived
    }

    fn token_of(&self, arrival: &Arrival) -> Option<&TokenConfig> {
        self.network.tokens.iter().find(|token| token.mint == arrival.mint)
    }

    async fn price_at(&self, token: &TokenConfig, block: &BlockRef) -> Option<Rate> {
        if !token.accepted {
            return None;
        }
        match self.app.prices.at_block(token.token_id(), block).await {
            Ok(rate) => Some(rate),
            Err(reason) => {
                tracing::warn!(
                    payment.network = self.network.name,
                    token.id = token.id,
                    block.number = block.number,
                    reason = %reason,
                    "a payment's block has no price; only a quote can value it"
                );
                None
            }
        }
    }

    /// Asks whether what was recorded is still there. Returns up to which slot all of it is final, and what is gone.
    async fn look_after_open(&self, head: &Head, round: &Round, settled: u64) -> Result<(u64, Vec<String>), StepError> {
        let open = self.app.store.reader().await?.tx().open_signatures(&self.network.name, settled).await?;
        let mut newest_final = head.finalized;
        let mut vanished = Vec::new();
        for open in open.chunks(STATUSES_AT_ONCE) {
            let answer = self.rpc.call("getSignatureStatuses", statuses_of(open)).await?;
            let statuses = self.checked(read_each::<SignatureStatus>(&answer, open.len()))?;
            for (open, status) in open.iter().zip(statuses.value) {
                match status {
                    Some(status) if status.failed => vanished.push(open.signature.clone()),
                    Some(status) if status.slot == open.slot && is_final(status.confirmation_status) => {}
                    None if self.is_gone(open, head).await => vanished.push(open.signature.clone()),
                    // It is final no earlier than this is known.
                    Some(_) | None => newest_final = newest_final.min(open.slot.saturating_sub(1)),
                }
            }
        }
        let not_final = round.listed.iter().flat_map(|(_, list)| list).filter(|entry| !entry.failed && !entry.is_final);
        let newest_final = not_final.fold(newest_final, |newest, entry| newest.min(entry.slot.saturating_sub(1)));
        for signature in &vanished {
            tracing::warn!(
                payment.network = self.network.name,
                transaction = signature,
                "a transaction is on the chain no more"
            );
        }
        Ok((newest_final, vanished))
    }

    /// Whether a transaction that has no status can have none any more: its block was passed over for good, it is too old
    /// to be put into another, and nobody who answers knows it. Who lags does not know whether it is there.
    async fn is_gone(&self, open: &OpenSignature, head: &Head) -> bool {
        let too_old_at = open.slot.saturating_add(BLOCKHASH_LIFE_SLOTS);
        if head.block.number < too_old_at || head.finalized < open.slot {
            return false;
        }
        let call = Call::new("getSignatureStatuses", statuses_of(std::slice::from_ref(open)));
        let answers = self.rpc.ask_each(&call).await;
        let has_none = |answer: &Value| {
            read_each::<SignatureStatus>(answer, 1)
                .is_ok_and(|statuses| too_old_at <= statuses.context.slot && statuses.value.iter().all(Option::is_none))
        };
        !answers.is_empty() && answers.iter().all(has_none)
    }

    /// Asks other hosts about facts that are about to count. Returns those that may.
    async fn hear_witnesses(&mut self, head: &Head, merchants: &Merchants) -> Result<Vec<FactKey>, StepError> {
        let mut facts = self.app.store.reader().await?.tx().unvouched(&self.network.name, head.block.number).await?;
        facts.retain(|fact| self.network.tokens.iter().any(|token| token.token_id() == fact.token));
        let (now, hosts) = (self.app.clock.now_ms(), self.rpc.hosts());
        self.waiting.keep(&facts);
        self.waiting.keep_hosts(&hosts);
        if hosts.len() < WITNESSES {
            for fact in &facts {
                if self.limit(fact) < fact.due && self.waiting.is_news(fact, now) {
                    tell_of_lack(&self.network.name, fact);
                }
            }
            return Ok(Vec::new());
        }
        let due: Vec<_> = self.waiting.due(facts, now);
        let signatures: Vec<Option<Signature>> = due.iter().map(|fact| fact.key.tx_id.parse().ok()).collect();
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut calls = vec![Call::new("getSlot", json!([{ "commitment": "finalized" }]))];
        calls.extend(signatures.iter().flatten().map(|signature| transaction_call(*signature)));
        let said = self.rpc.ask_hosts(&calls).await;
        let own = due.iter().filter_map(|fact| fact.solana_address);
        let watched = self.watched(merchants.keys().copied().chain(own));
        let mut vouched = Vec::new();
        let mut place = 0;
        for (fact, signature) in due.iter().zip(signatures) {
            let Some(signature) = signature else { continue };
            place += 1;
            let verdicts: Vec<_> = said
                .iter()
                .map(|host| {
                    let [slot, answer] = [0, place].map(|place| host.answers.get(place));
                    (host.host.as_str(), self.verdict(fact, signature, slot, answer, &watched))
                })
                .collect();
            let outcome = self.waiting.hear(fact, &verdicts, self.limit(fact), now);
            if is_vouched(&self.network.name, fact, outcome) {
                vouched.push(fact.key.clone());
            }
        }
        Ok(vouched)
    }

    /// What a host says of a fact. One that has read past its slot for good, and knows nothing of it, denies it.
    fn verdict(
        &self,
        fact: &UnvouchedFact,
        signature: Signature,
        finalized: Option<&Answer>,
        answer: Option<&Answer>,
        watched: &Watched,
    ) -> Verdict {
        let Some(Ok(answer)) = answer else { return Verdict::Abstains };
        let finalized = finalized.and_then(|answer| answer.as_ref().ok()?.as_u64());
        match read_transaction(answer, signature, watched) {
            Ok(None) if finalized.is_some_and(|finalized| fact.block <= finalized) => Verdict::Denies,
            Ok(None) | Err(_) => Verdict::Abstains,
            Ok(Some(read)) => {
                let is_it = |arrival: &Arrival| {
                    Some(arrival.wallet) == fact.solana_address
                        && self.token_of(arrival).is_some_and(|token| {
                            token.token_id() == fact.token
                                && position_of(arrival, token, &read) == Some(fact.key.log_index)
                        })
                        && units(arrival) == fact.amount
                };
                let is_shown = !read.failed && read.slot == fact.block && read.arrivals.iter().any(is_it);
                if is_shown { Verdict::Shows } else { Verdict::Denies }
            }
        }
    }

    /// Up to what the invoice of a fact is paid on the word of one endpoint.
    fn limit(&self, fact: &UnvouchedFact) -> UsdMillis {
        fact.single_source.unwrap_or(self.app.config.single_source())
    }

    /// Keeps what a round recorded of the part that will be listed again.
    fn remember(
        &mut self,
        round: Round,
        moved: Vec<AccountCursor>,
        mut holdings: HashMap<SolanaAddress, Holding>,
        head: &Head,
    ) {
        for (account, list) in round.listed {
            let holding = holdings.remove(&account.address);
            self.quiet.remember(account.address, list.is_empty(), holding, head.block.number);
            let before = self.recorded.remove(&account.address).unwrap_or_default();
            let is_recorded = |entry: &Listed| {
                before.get(&entry.signature) == Some(&entry.slot)
                    || matches!(round.outcomes.get(&entry.signature), Some(Outcome::Read(..) | Outcome::Unreadable))
            };
            let kept = list.into_iter().filter(is_recorded).map(|entry| (entry.signature, entry.slot));
            self.recorded.insert(account.address, kept.collect());
        }
        let cursors = self.cursors.get_or_insert_default();
        cursors.extend(moved.into_iter().map(|cursor| (cursor.account, cursor)));
    }

    /// Takes a look for each search that is due.
    async fn look_for_payments(&mut self, head: &Head, merchants: &Merchants) -> Result<(), StepError> {
        let now = self.app.clock.now_ms();
        if self.search_due.is_some_and(|due| now < due) {
            return Ok(());
        }
        self.search_due = Some(UnixMillis(now.0.saturating_add(SEARCH_EVERY_MS)));
        let mut reader = self.app.store.reader().await?;
        let due = reader.tx().due_verifications(&self.network.name, now, SEARCHES_AT_ONCE).await?;
        drop(reader);
        for (record, _) in due {
            let missing = match record.transaction {
                Some(TransactionId::Solana(signature)) => {
                    self.look_at_transaction(&record, signature, head, merchants).await?
                }
                // No network of this kind has transactions of that name.
                Some(TransactionId::Evm(_)) => Missing::ForGood(Failure::TransactionNotFound),
                // Everything up to the head is read.
                None => Missing::Yet(Failure::PaymentNotFound),
            };
            let VerificationRecord { merchant, invoice, id, .. } = record;
            conclude_look(&self.app, &self.lease, (merchant, invoice, id), missing).await?;
        }
        Ok(())
    }

    /// Why a transaction that somebody named is no payment of an invoice, if it is none. What it brought to the invoice's
    /// wallet is recorded: an endpoint may have left it out of its list.
    async fn look_at_transaction(
        &self,
        record: &VerificationRecord,
        signature: Signature,
        head: &Head,
        merchants: &Merchants,
    ) -> Result<Missing, StepError> {
        let invoice = self.app.store.reader().await?.tx().invoice(record.merchant, record.invoice).await?;
        let since = invoice.as_ref().map(|invoice| invoice.created.as_seconds().plus(-LOOK_BACK_SECONDS));
        let wallet = invoice.and_then(|invoice| invoice.solana_address);
        let answer = self.rpc.call("getTransaction", transaction_call(signature).params).await?;
        let watched = self.watched(wallet.into_iter());
        let read = match read_transaction(&answer, signature, &watched) {
            Ok(read) => read,
            Err(error) => return Err(self.untrue(&error)),
        };
        Ok(match read {
            None => Missing::Yet(Failure::TransactionNotFound),
            Some(read) if read.failed => Missing::ForGood(Failure::TransactionFailed),
            // Whose it is it says itself, or nobody knows.
            Some(read) if read.arrivals.iter().any(|arrival| Some(arrival.wallet) == wallet) => {
                // As everything that is listed: neither of before, nor of after what was read.
                let is_due = read.block_time.is_some_and(|time| since <= Some(time)) && read.slot <= head.block.number;
                if let (true, Some(wallet)) = (is_due, wallet) {
                    let at_wallet = merchants.get(&wallet).cloned().unwrap_or_else(|| vec![record.merchant]);
                    self.record_named(&read, &HashMap::from([(wallet, at_wallet)]), head).await?;
                }
                Missing::Yet(Failure::PaymentNotFound)
            }
            Some(_) => Missing::ForGood(Failure::TransactionPaysAnother),
        })
    }

    /// Records what a transaction brought. If it was recorded before, nothing changes; how deep it is, the next step says.
    async fn record_named(&self, read: &TransactionRead, merchants: &Merchants, head: &Head) -> Result<(), StepError> {
        let Some(time) = read.block_time else { return Ok(()) };
        self.record_more(vec![(read, time)], merchants, head, (Vec::new(), None)).await
    }

    /// The same of several, with what accounts held and up to where that was compared.
    pub(super) async fn record_more(
        &self,
        read: Vec<(&TransactionRead, UnixSeconds)>,
        merchants: &Merchants,
        head: &Head,
        (balances, compared): (Vec<AccountBalance>, Option<BlockRef>),
    ) -> Result<(), StepError> {
        let reading = Reading {
            network: self.network.name.clone(),
            head: head.block.clone(),
            marks: Marks::default(),
            cursors: Vec::new(),
            arrivals: self.arrivals_in(read, merchants).await,
            vanished: Vec::new(),
            vouched: Vec::new(),
            is_alone: self.rpc.hosts().len() < WITNESSES,
            is_complete: false,
            balances,
            compared,
        };
        Ok(record_arrivals(&self.app, &self.lease, reading).await?)
    }

    pub(super) fn checked<T>(&self, answer: Result<T, AnswerError>) -> Result<T, StepError> {
        answer.map_err(|error| self.untrue(&error))
    }

    /// Lets the endpoint rest that said something which cannot be.
    fn untrue(&self, error: &dyn std::error::Error) -> StepError {
        tracing::warn!(payment.network = self.network.name, error = %error, "an endpoint's answer is of no use");
        self.rpc.distrust_last();
        StepError::Untrue("its answer contradicts itself, or is none")
    }

    pub(super) fn distrust(&self, error: StepError) -> StepError {
        if matches!(error, StepError::Untrue(_)) {
            self.rpc.distrust_last();
        }
        error
    }
}

/// The newest confirmed block, and up to which one all is final, as one endpoint says.
pub(crate) async fn head(rpc: &Rpc) -> Result<Head, StepError> {
    let unreadable = |_| StepError::Untrue("what it says of its newest block cannot be read");
    let calls = [
        Call::new("getLatestBlockhash", json!([{ "commitment": "confirmed" }])),
        Call::new("getSlot", json!([{ "commitment": "finalized" }])),
    ];
    let answers = rpc.together(&calls).await?.into_iter().collect::<Result<Vec<Value>, _>>()?;
    let latest: AsOf<LatestBlockhash> = read(answers.first().unwrap_or(&Value::Null)).map_err(unreadable)?;
    let finalized: u64 = read(answers.get(1).unwrap_or(&Value::Null)).map_err(unreadable)?;
    let slot = latest.context.slot;
    let time: i64 = read(&rpc.call("getBlockTime", json!([slot])).await?).map_err(unreadable)?;
    let block = BlockRef { number: slot, hash: latest.value.blockhash.to_string(), time: UnixSeconds(time) };
    Ok(Head { block, finalized: finalized.min(slot) })
}

/// Where a wallet takes a token; `None` for what is on no Solana.
pub(crate) fn account_of(wallet: SolanaAddress, token: &TokenConfig) -> Option<SolanaAddress> {
    match token.asset() {
        Asset::Coin => Some(wallet),
        Asset::Mint(mint, program) => Some(associated_token_account(wallet, mint, program.address())),
        Asset::Contract(_) => None,
    }
}

/// The place of the account that something came to among those of its transaction, which tells it from what else that
/// brought. `None` if it came to an account that nobody was told of.
fn position_of(arrival: &Arrival, token: &TokenConfig, transaction: &TransactionRead) -> Option<i64> {
    let account = account_of(arrival.wallet, token)?;
    let position = transaction.accounts.iter().position(|named| *named == account)?;
    i64::try_from(position).ok()
}

/// A transaction tells its slot and no more of its block, so that has to stand for the block's hash.
pub(super) fn block_of(slot: u64, time: UnixSeconds) -> BlockRef {
    BlockRef { number: slot, hash: slot.to_string(), time }
}

fn units(arrival: &Arrival) -> TokenAmount {
    TokenAmount::from_base_units(U256::from(arrival.amount))
}

fn transaction_call(signature: Signature) -> Call {
    let options = json!({ "commitment": "confirmed", "encoding": "json", "maxSupportedTransactionVersion": 0 });
    Call::new("getTransaction", json!([signature.to_string(), options]))
}

fn statuses_of(open: &[OpenSignature]) -> Value {
    let signatures: Vec<&str> = open.iter().map(|open| open.signature.as_str()).collect();
    json!([signatures, { "searchTransactionHistory": true }])
}

/// Nodes that do not tell it hold it for final.
fn is_final(status: Option<Commitment>) -> bool {
    status.is_none_or(|status| status == Commitment::Finalized)
}

/// Whether a token's mint is as configured, and if not, what is wrong.
pub(crate) async fn check_mint(rpc: &Rpc, token: &TokenConfig) -> Result<Result<(), String>, StepError> {
    let Asset::Mint(address, program) = token.asset() else { return Ok(Ok(())) };
    let wanted = json!([[address.to_string()], { "encoding": "base64", "commitment": "confirmed" }]);
    let answer = rpc.call("getMultipleAccounts", wanted).await?;
    let Ok(accounts) = read_each::<AccountAnswer>(&answer, 1) else {
        rpc.distrust_last();
        return Err(StepError::Untrue("what it says of an account cannot be read"));
    };
    let Some(account) = accounts.value.into_iter().next().flatten() else {
        return Ok(Err(format!("is not there: no account is at {address}")));
    };
    Ok(match Mint::read(&account) {
        Err(_) => Err(format!("is none: what is at {address} is no mint")),
        Ok(mint) if mint.program != program.address() => {
            Err(format!("at {address} is of another program, {}; correct `program`", mint.program))
        }
        Ok(mint) if mint.decimals != token.decimals => {
            Err(format!("at {address} has {} decimals, not {}", mint.decimals, token.decimals))
        }
        Ok(_) => Ok(()),
    })
}

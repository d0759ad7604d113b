//! Whether deposit addresses hold what is recorded of them.
//!
//! An endpoint that leaves out a log tells nothing that could be seen to be false. What an address holds after a block
//! gives it away: every host is asked for that, of open invoices twice a minute and before they end, of ended ones once a
//! day. Where a host says something else than is recorded, it is asked for the logs in question. What it shows is recorded
//! like anything that is read, and has to be vouched for like that. What it cannot explain is told to somebody, and holds
//! back the end of its invoice as a chain does that cannot be read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alloy_primitives::{Address, U256};
use domain::{
    id::{InvoiceId, TokenId},
    money::TokenAmount,
    time::{UnixMillis, UnixSeconds},
};
use wire::deposit_address::FACTORY;

use super::{
    PricesAtBlocks, Reach, Reading, StepError, Watcher,
    logs::{Event, Log, RawLog, Scope},
    native::{self, Account, Arrival, Shortfalls},
    node::Node,
    position,
};
use crate::{
    alarm,
    config::TokenConfig,
    invoicing::{Compared, Scan, SeenSweep, SeenTransfer},
    store::{
        BlockRef, Comparison, Difference, Lane, Recorded, Round, StoreError, SweepRecord, TransferRecord, Tx,
        WatchedDeposit,
    },
};

/// Between two comparisons of open invoices.
pub const OPEN_EVERY_MS: i64 = 30_000;
/// Up to so many are also compared at once when the time of one of them is up.
pub const FEW: usize = 500;
/// Ended ones are compared once a day, by block time, so many at a time and not more often than this.
pub const COMPARED_EVERY_SECONDS: i64 = 86_400;
const ENDED_AT_ONCE: usize = 500;
const ENDED_PAUSE_MS: i64 = 10_000;
/// Far more than a day of any chain that makes a block a second.
const MOST_BLOCKS_AGAIN: u64 = 200_000;

/// When to compare next, and what hosts have shown to be able to do.
#[derive(Default)]
pub(super) struct Reconciler {
    open_due: Option<UnixMillis>,
    ended_due: Option<UnixMillis>,
    /// How many open invoices there were the last time.
    open: usize,
    hosts: BTreeMap<String, Node>,
    is_unanswered: bool,
}

/// What one host says that an address holds, where that is not what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Saying {
    deposit: WatchedDeposit,
    token: TokenId,
    found: U256,
}

/// What is known of some addresses before and after they are compared.
pub(super) struct Subjects {
    pub lane: Lane,
    pub deposits: Vec<WatchedDeposit>,
    pub recorded: Recorded,
    /// Where those of their lane were compared the last time; `None` if they never were.
    pub since: Option<BlockRef>,
    /// The number of a block at or after which each address was compared, whichever lane it was in then.
    pub floor: u64,
    pub at: BlockRef,
}

impl Subjects {
    fn recorded(&self, invoice: InvoiceId, token: TokenId) -> U256 {
        self.recorded.get(&(invoice, token)).copied().unwrap_or_default()
    }
}

/// What is recorded of addresses that hold something else.
#[derive(Default)]
struct Facts {
    transfers: Vec<TransferRecord>,
    sweeps: Vec<SweepRecord>,
    /// Native coin that left since they were compared, recorded or not: address, block, amount.
    swept: Vec<(Address, u64, U256)>,
}

impl Facts {
    fn lacks(&self, block: &BlockRef, tx_id: &str, log_index: i64) -> bool {
        let is_it = |hash: &str, id: &str, index: i64| hash == block.hash && id == tx_id && index == log_index;
        !self.transfers.iter().any(|known| is_it(&known.block_hash, &known.tx_id, known.log_index))
            && !self.sweeps.iter().any(|known| is_it(&known.block_hash, &known.tx_id, known.log_index))
    }

    /// What an address held after a block.
    fn held_at(&self, invoice: InvoiceId, token: TokenId, block: u64) -> U256 {
        let came = self
            .transfers
            .iter()
            .filter(|known| known.invoice == invoice && known.token == token && known.block_number <= block);
        let left = self
            .sweeps
            .iter()
            .filter(|known| known.invoice == invoice && known.token == token && known.block_number <= block);
        let came = came.fold(U256::ZERO, |sum, known| sum.saturating_add(known.amount.base_units()));
        left.fold(came, |sum, known| sum.saturating_sub(known.amount.base_units()))
    }
}

fn native_sweeps(blocks: &[BlockRef], logs: &[Log]) -> Vec<(Address, u64, U256)> {
    let native = logs.iter().filter(|log| log.event == (Event::Left { asset: Address::ZERO }));
    native.filter_map(|log| Some((log.deposit, blocks.get(log.block)?.number, log.amount))).collect()
}

/// Facts that were missing.
#[derive(Default)]
struct Found {
    transfers: Vec<SeenTransfer>,
    sweeps: Vec<SeenSweep>,
}

impl Found {
    /// Whether an address holds what a host says, if this is recorded too.
    fn explains(&self, saying: &Saying, subjects: &Subjects) -> bool {
        let (invoice, token) = (saying.deposit.invoice, saying.token);
        let came = self.transfers.iter().filter(|fact| fact.invoice == invoice && fact.token == token);
        let left = self.sweeps.iter().filter(|fact| fact.invoice == invoice && fact.token == token);
        let came =
            came.fold(subjects.recorded(invoice, token), |sum, fact| sum.saturating_add(fact.amount.base_units()));
        left.fold(came, |sum, fact| sum.saturating_sub(fact.amount.base_units())) == saying.found
    }
}

/// What becomes of native coin that no block explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unexplained {
    /// Older blocks may.
    StaysSo,
    /// It counts as having come by the last block.
    CameLast,
}

impl Watcher {
    /// Compares what is due. What hosts cannot answer is asked again the next time.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub(super) async fn reconcile(&mut self) -> Result<(), StepError> {
        let now = self.app.clock.now_ms();
        let Some(cursor) = self.app.store.reader().await?.tx().cursor(&self.network.name).await? else {
            return Ok(());
        };
        if let Some(subjects) = self.open_subjects(&cursor, now).await? {
            let comparison = Comparison { at: cursor.clone(), round: None };
            self.compare(subjects, Some(comparison)).await?;
        }
        if let Some((subjects, comparison)) = self.ended_subjects(&cursor, now).await? {
            self.compare(subjects, Some(comparison)).await?;
        }
        Ok(())
    }

    /// The addresses of open invoices, if it is time.
    async fn open_subjects(&mut self, cursor: &BlockRef, now: UnixMillis) -> Result<Option<Subjects>, StepError> {
        let name = &self.network.name;
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let last = tx.comparison(name, Lane::Open).await?;
        if last.as_ref().is_some_and(|last| last.at == *cursor) {
            return Ok(None);
        }
        let from = last.as_ref().map_or(UnixSeconds(0), |last| last.at.time);
        let is_due = self.reconciler.open_due.is_none_or(|due| due <= now)
            || (self.reconciler.open <= FEW && tx.has_time_up_between(from, cursor.time).await?);
        if !is_due {
            return Ok(None);
        }
        let watched_at = now.as_seconds().min(cursor.time);
        let mut deposits = tx.watched_deposits(watched_at).await?;
        deposits.retain(|deposit| deposit.ended_at.is_none());
        let recorded = tx.recorded_of_open(name, watched_at).await?;
        let floor = floor(&mut tx, name).await?;
        drop(reader);
        self.reconciler.open_due = Some(UnixMillis(now.0.saturating_add(OPEN_EVERY_MS)));
        self.reconciler.open = deposits.len();
        let since = last.map(|last| last.at);
        Ok(Some(Subjects { lane: Lane::Open, deposits, recorded, since, floor, at: cursor.clone() }))
    }

    /// The next addresses of ended invoices, if it is time, and how far that gets.
    ///
    /// A round begins at a block at which all those of open invoices were compared, so that whichever ends or is opened
    /// again on its way through the lanes was compared there or later.
    async fn ended_subjects(
        &mut self,
        cursor: &BlockRef,
        now: UnixMillis,
    ) -> Result<Option<(Subjects, Comparison)>, StepError> {
        if self.reconciler.ended_due.is_some_and(|due| now < due) {
            return Ok(None);
        }
        let name = &self.network.name;
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let last = tx.comparison(name, Lane::Ended).await?;
        let round = last.as_ref().and_then(|last| last.round.clone());
        let is_due = last.as_ref().is_none_or(|last| last.at.time.plus(COMPARED_EVERY_SECONDS) <= cursor.time)
            || round.is_some();
        let next = Some(UnixMillis(now.0.saturating_add(ENDED_PAUSE_MS)));
        if !is_due {
            self.reconciler.ended_due = next;
            return Ok(None);
        }
        if round.is_none() && tx.comparison(name, Lane::Open).await?.is_none_or(|open| open.at != *cursor) {
            return Ok(None);
        }
        let floor = floor(&mut tx, name).await?;
        self.reconciler.ended_due = next;
        let began = round.as_ref().map_or_else(|| cursor.clone(), |round| round.began.clone());
        let limit = i64::try_from(ENDED_AT_ONCE).unwrap_or(i64::MAX);
        let deposits = tx.ended_deposits(round.map(|round| round.after), limit).await?;
        let mut recorded = Recorded::new();
        for deposit in &deposits {
            recorded.extend(tx.recorded_of(name, deposit.merchant, deposit.invoice).await?);
        }
        let since = last.map(|last| last.at);
        let comparison = match deposits.last() {
            Some(after) if ENDED_AT_ONCE <= deposits.len() => Comparison {
                at: since.clone().unwrap_or_else(|| began.clone()),
                round: Some(Round { began, after: (after.merchant, after.invoice) }),
            },
            _ => Comparison { at: began, round: None },
        };
        let subjects = Subjects { lane: Lane::Ended, deposits, recorded, since, floor, at: cursor.clone() };
        Ok(Some((subjects, comparison)))
    }

    /// Asks every host what the addresses hold, and records what follows; `comparison` is how far all addresses are
    /// compared then, if that is said of more than these.
    pub(super) async fn compare(
        &mut self,
        mut subjects: Subjects,
        comparison: Option<Comparison>,
    ) -> Result<(), StepError> {
        let known = self.known_hosts();
        let mut has_answer = subjects.deposits.is_empty();
        let mut found = Found::default();
        let known_differences = self.app.store.reader().await?.tx().differences(&self.network.name).await?;
        let mut differences: BTreeMap<(InvoiceId, TokenId), Difference> = BTreeMap::new();
        // Where some host says what is recorded.
        let mut agreed: HashSet<(InvoiceId, TokenId)> = HashSet::new();
        for host in known {
            let Some(mut node) = self.reconciler.hosts.remove(&host) else { continue };
            let sayings = self.ask_host(&mut node, &subjects).await;
            if let Some(sayings) = sayings {
                has_answer = true;
                let differing: HashSet<_> =
                    sayings.iter().map(|saying| (saying.deposit.invoice, saying.token)).collect();
                for deposit in &subjects.deposits {
                    let tokens = self.network.tokens.iter().map(|token| (deposit.invoice, token.token_id()));
                    agreed.extend(tokens.filter(|key| !differing.contains(key)));
                }
                if !sayings.is_empty() {
                    let again = self.read_again(&mut node, &subjects, &sayings, &known_differences).await;
                    self.take(again, &mut subjects, &mut found);
                    for saying in sayings {
                        note(&subjects, saying, &mut differences);
                    }
                }
            }
            self.reconciler.hosts.insert(host, node);
        }
        if !has_answer {
            if !std::mem::replace(&mut self.reconciler.is_unanswered, true) {
                tracing::warn!(
                    payment.network = self.network.name,
                    "no endpoint says what deposit addresses hold; invoices end later until one does"
                );
            }
            return Ok(());
        }
        self.reconciler.is_unanswered = false;
        let left_alone = subjects.deposits.iter().filter(|deposit| deposit.has_key() && deposit.ended_at.is_some());
        let left_alone: HashSet<InvoiceId> = left_alone.map(|deposit| deposit.invoice).collect();
        differences.retain(|key, difference| {
            // Another host may have explained it.
            difference.recorded = TokenAmount::from_base_units(subjects.recorded(key.0, key.1));
            // Money that one host does not know of while another says what is recorded is that host's trouble; money that
            // is not there any more where somebody has the key, and nobody looks for what he takes out, is his.
            let is_more = difference.recorded < difference.found;
            let is_told = is_more || !(agreed.contains(key) || left_alone.contains(&key.0));
            difference.recorded != difference.found && is_told
        });
        let compared = self.against_known(&subjects, comparison, differences, known_differences);
        let scan = Scan {
            network: self.network.name.clone(),
            from: Some(subjects.at),
            forked_at: None,
            blocks: Vec::new(),
            transfers: found.transfers,
            at_wallets: Vec::new(),
            sweeps: found.sweeps,
            failures: Vec::new(),
            marks: self.judged_by,
            vouched: Vec::new(),
            is_alone: self.node.hosts().len() < super::WITNESSES,
            compared: Some(compared),
        };
        // Outrun, it is compared by whoever was quicker.
        self.record(Reading { scan, is_at_head: true, checks_ended: false }).await?;
        Ok(())
    }

    /// The hosts there are, each with a node of its own.
    pub(super) fn known_hosts(&mut self) -> Vec<String> {
        let hosts = self.node.hosts();
        self.reconciler.hosts.retain(|host, _| hosts.contains(host));
        for host in &hosts {
            if !self.reconciler.hosts.contains_key(host) {
                self.reconciler.hosts.insert(host.clone(), self.node.of_host(host));
            }
        }
        hosts.into_iter().collect()
    }

    /// What a host says that is not recorded; `None` if it says nothing.
    async fn ask_host(&self, node: &mut Node, subjects: &Subjects) -> Option<Vec<Saying>> {
        let addresses: Vec<Address> = subjects.deposits.iter().map(|deposit| deposit.address).collect();
        let mut sayings = Vec::new();
        for token in &self.network.tokens {
            // A host that does not answer for one asset has not answered.
            let balances = node.balances(token.address, &addresses, &subjects.at).await.ok().flatten()?;
            for (deposit, found) in subjects.deposits.iter().zip(balances) {
                if found != subjects.recorded(deposit.invoice, token.token_id()) {
                    sayings.push(Saying { deposit: *deposit, token: token.token_id(), found });
                }
            }
        }
        Some(sayings)
    }

    /// Asks a host for the facts behind what it says. Nothing if it cannot be asked, or shows something that cannot be
    /// true.
    async fn read_again(
        &self,
        node: &mut Node,
        subjects: &Subjects,
        sayings: &[Saying],
        known: &[Difference],
    ) -> Found {
        let read = async {
            let since = match &subjects.since {
                Some(since) => since.number,
                None => self.oldest_remembered().await?.map_or(subjects.at.number, |oldest| oldest.number),
            };
            // What is not explained by the blocks since its lane was compared came while the address was in the other one.
            let known = known.iter().filter(|known| {
                sayings.iter().any(|saying| (saying.deposit.invoice, saying.token) == (known.invoice, known.token))
            });
            let floor = known.map(|known| known.read_from).fold(since.min(subjects.floor), u64::min);
            if floor < since {
                let found = self.read_since(node, since, subjects, sayings, Unexplained::StaysSo).await?;
                if sayings.iter().all(|saying| found.explains(saying, subjects)) {
                    return Ok(found);
                }
            }
            self.read_since(node, floor, subjects, sayings, Unexplained::CameLast).await
        };
        let read: Result<Found, StepError> = read.await;
        read.unwrap_or_else(|error| {
            tracing::warn!(
                payment.network = self.network.name,
                error = %error,
                "an endpoint that says what deposit addresses hold does not say how it came"
            );
            Found::default()
        })
    }

    /// The facts behind what a host says, of blocks after `since`, that are not recorded.
    async fn read_since(
        &self,
        node: &mut Node,
        since: u64,
        subjects: &Subjects,
        sayings: &[Saying],
        unexplained: Unexplained,
    ) -> Result<Found, StepError> {
        let deposits: HashMap<Address, WatchedDeposit> =
            sayings.iter().map(|saying| (saying.deposit.address, saying.deposit)).collect();
        let (blocks, logs) = self.logs_since(node, since, &subjects.at, &deposits).await?;
        let mut facts = self.facts_of(deposits.values()).await?;
        let mut left = self.seen_sweeps(&blocks, &deposits, &logs);
        left.retain(|sweep| facts.lacks(&sweep.block, &sweep.tx_id, sweep.log_index));
        facts.swept = native_sweeps(&blocks, &logs);
        // What left by an address's own transactions has no log; what is known of it is recorded.
        let keyed: HashMap<InvoiceId, Address> = deposits
            .values()
            .filter(|deposit| deposit.has_key())
            .map(|deposit| (deposit.invoice, deposit.address))
            .collect();
        let coin = self.native_token().map(TokenConfig::token_id);
        let spent = facts.sweeps.iter().filter(|sweep| Some(sweep.token) == coin && since < sweep.block_number);
        let spent = spent
            .filter_map(|sweep| Some((*keyed.get(&sweep.invoice)?, sweep.block_number, sweep.amount.base_units())));
        facts.swept.extend(spent.collect::<Vec<_>>());
        // Where logs tell of it, they were read again just now.
        let native = self.native_token().filter(|_| !self.network.native_logs).map(TokenConfig::token_id);
        let mut arrivals = Vec::new();
        for saying in sayings.iter().filter(|saying| Some(saying.token) == native) {
            let invoice = saying.deposit.invoice;
            let swept = left.iter().filter(|sweep| sweep.invoice == invoice && sweep.token == saying.token);
            let swept = swept.fold(U256::ZERO, |sum, sweep| sum.saturating_add(sweep.amount.base_units()));
            let recorded = subjects.recorded(invoice, saying.token);
            let missing = saying.found.saturating_add(swept).saturating_sub(recorded);
            if missing != U256::ZERO {
                match self.native_again(node, saying, missing, &subjects.at, since, &facts).await? {
                    Some(found) => arrivals.extend(found),
                    None if unexplained == Unexplained::CameLast => {
                        arrivals.extend(came_last(saying, missing, &subjects.at, &facts));
                    }
                    None => {}
                }
            }
        }
        let mut came = self.seen_transfers(&blocks, &deposits, &logs, arrivals, &mut PricesAtBlocks::new()).await;
        came.retain(|transfer| facts.lacks(&transfer.block, &transfer.tx_id, transfer.log_index));
        Ok(Found { transfers: came, sweeps: left })
    }

    async fn oldest_remembered(&self) -> Result<Option<BlockRef>, StepError> {
        Ok(self.app.store.reader().await?.tx().remembered_blocks(&self.network.name).await?.pop())
    }

    /// A host's logs about some addresses after a block, with the blocks they are in.
    async fn logs_since(
        &self,
        node: &Node,
        since: u64,
        at: &BlockRef,
        deposits: &HashMap<Address, WatchedDeposit>,
    ) -> Result<(Vec<BlockRef>, Vec<Log>), StepError> {
        let addresses: Vec<Address> = deposits.keys().copied().collect();
        let senders = super::keyed(deposits);
        let tokens = self.logging_contracts();
        let contracts: Vec<Address> = tokens.iter().copied().chain([FACTORY]).collect();
        let mut reach = Reach::of(&self.network);
        let mut raw: Vec<RawLog> = Vec::new();
        let mut first = since.saturating_add(1).max(at.number.saturating_sub(MOST_BLOCKS_AGAIN));
        while first <= at.number {
            let range = u64::try_from(reach.range).unwrap_or(u64::MAX);
            let last = at.number.min(first.saturating_add(range - 1));
            let end = node.headers([last]).await?.first().map(super::Header::to_block).ok_or(StepError::Moved)?;
            if last == at.number && end.hash != at.hash {
                return Err(StepError::Moved);
            }
            let blocks = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
            match node.logs_by_range(first, &end, &reach.filter(&contracts, &addresses, &senders)).await {
                Ok(logs) => {
                    raw.extend(logs);
                    first = last.saturating_add(1);
                    reach.grow(&self.network);
                }
                Err(error) => reach.shrink(blocks, error)?,
            }
        }
        let numbers: BTreeSet<u64> = raw.iter().filter_map(|log| log.block_number).map(|number| number.to()).collect();
        let headers = node.headers(numbers).await?;
        let blocks: Vec<BlockRef> = headers.iter().map(super::Header::to_block).collect();
        // The host may have gone over to another fork meanwhile.
        let remembered = self.app.store.reader().await?.tx().remembered_blocks(&self.network.name).await?;
        let remembered: HashMap<u64, &str> =
            remembered.iter().map(|block| (block.number, block.hash.as_str())).collect();
        if blocks.iter().any(|block| remembered.get(&block.number).is_some_and(|hash| *hash != block.hash)) {
            return Err(StepError::Moved);
        }
        let is_asked = |address| deposits.contains_key(&address);
        let has_key = |address| deposits.get(&address).is_some_and(WatchedDeposit::has_key);
        let scope =
            Scope { blocks: &blocks, factory: FACTORY, tokens: &tokens, is_watched: &is_asked, has_key: &has_key };
        let logs = scope.check(raw).map_err(|what| node.untrue(what))?;
        Ok((blocks, logs))
    }

    /// How native coin came that is not recorded; `None` if the blocks that are remembered do not explain all of it. `since` is the
    /// block before the first one in question.
    async fn native_again(
        &self,
        node: &mut Node,
        saying: &Saying,
        missing: U256,
        at: &BlockRef,
        since: u64,
        facts: &Facts,
    ) -> Result<Option<Vec<Arrival>>, StepError> {
        let mut remembered = self.app.store.reader().await?.tx().remembered_blocks(&self.network.name).await?;
        remembered.reverse();
        let is_covered = remembered.first().is_some_and(|first| first.number <= since.saturating_add(1));
        remembered.retain(|block| since < block.number && block.number <= at.number);
        if is_covered && !remembered.is_empty() {
            let swept = facts.swept.iter().filter(|(deposit, ..)| *deposit == saying.deposit.address);
            let swept = swept.filter_map(|(_, number, amount)| {
                Some((remembered.iter().position(|block| block.number == *number)?, *amount))
            });
            let account = Account {
                deposit: saying.deposit.address,
                held: facts.held_at(saying.deposit.invoice, saying.token, since),
                swept: swept.collect(),
            };
            let accounts = std::slice::from_ref(&account);
            let mut arrivals = native::arrivals(node, &remembered, accounts, &mut Shortfalls::default()).await?;
            arrivals.retain(|arrival| facts.lacks(&arrival.block, &arrival.tx_id, arrival.position));
            let sum = arrivals.iter().fold(U256::ZERO, |sum, arrival| sum.saturating_add(arrival.amount));
            if sum == missing {
                return Ok(Some(arrivals));
            }
        }
        Ok(None)
    }

    /// What is recorded of some addresses on this network.
    async fn facts_of(&self, deposits: impl Iterator<Item = &WatchedDeposit>) -> Result<Facts, StepError> {
        let mut reader = self.app.store.reader().await?;
        let mut facts = Facts::default();
        for deposit in deposits {
            facts.transfers.extend(reader.tx().transfers(deposit.merchant, deposit.invoice).await?);
            facts.sweeps.extend(reader.tx().sweeps(deposit.merchant, deposit.invoice).await?);
        }
        facts.transfers.retain(|transfer| transfer.canonical && transfer.network == self.network.name);
        facts.sweeps.retain(|sweep| sweep.network == self.network.name);
        Ok(facts)
    }

    /// Adds facts to what is recorded, so that the next host is not asked for them again.
    fn take(&mut self, again: Found, subjects: &mut Subjects, found: &mut Found) {
        let native = self.native_token().map(TokenConfig::token_id);
        for transfer in again.transfers {
            let held = subjects.recorded.entry((transfer.invoice, transfer.token)).or_default();
            *held = held.saturating_add(transfer.amount.base_units());
            tracing::warn!(
                payment.network = self.network.name,
                invoice.id = %transfer.invoice,
                transaction = transfer.tx_id,
                "a payment was found by what its address holds; an endpoint had left it out"
            );
            if Some(transfer.token) == native {
                let deposit = subjects.deposits.iter().find(|deposit| deposit.invoice == transfer.invoice);
                self.found_since.extend(deposit.map(|deposit| deposit.address));
            }
            found.transfers.push(transfer);
        }
        for sweep in again.sweeps {
            let held = subjects.recorded.entry((sweep.invoice, sweep.token)).or_default();
            *held = held.saturating_sub(sweep.amount.base_units());
            found.sweeps.push(sweep);
        }
    }

    /// What is new about differences, and tells somebody of those that are.
    fn against_known(
        &self,
        subjects: &Subjects,
        comparison: Option<Comparison>,
        mut differences: BTreeMap<(InvoiceId, TokenId), Difference>,
        known: Vec<Difference>,
    ) -> Compared {
        let mut ended = Vec::new();
        let asked: HashSet<InvoiceId> = subjects.deposits.iter().map(|deposit| deposit.invoice).collect();
        for known in known.into_iter().filter(|known| asked.contains(&known.invoice)) {
            match differences.get_mut(&(known.invoice, known.token)) {
                None => {
                    tracing::info!(
                        payment.network = self.network.name,
                        invoice.id = %known.invoice,
                        token.id = known.token.0,
                        "a deposit address holds what is recorded again"
                    );
                    ended.push(known);
                }
                Some(difference) => {
                    difference.agreed = known.agreed;
                    difference.read_from = known.read_from;
                    if *difference == known {
                        differences.remove(&(known.invoice, known.token));
                    }
                }
            }
        }
        let differences: Vec<Difference> = differences.into_values().collect();
        for difference in &differences {
            tracing::error!(
                alarm = alarm::DEPOSIT_DIFFERS,
                payment.network = self.network.name,
                invoice.id = %difference.invoice,
                token.id = difference.token.0,
                payment.recorded = %difference.recorded.base_units(),
                payment.found = %difference.found.base_units(),
                "ALARM: a deposit address holds something else than is recorded"
            );
        }
        Compared { lane: subjects.lane, comparison, differences, ended }
    }
}

/// Native coin that no block explains, as something that came by the last one; none if that is recorded.
fn came_last(saying: &Saying, amount: U256, at: &BlockRef, facts: &Facts) -> Option<Arrival> {
    let arrival = Arrival {
        deposit: saying.deposit.address,
        amount,
        block: at.clone(),
        tx_id: format!("internal:{}", at.hash),
        position: position::after_all(saying.deposit.address),
        payer: None,
    };
    facts.lacks(&arrival.block, &arrival.tx_id, arrival.position).then_some(arrival)
}

/// See [`Subjects::floor`]: where the last whole round through ended invoices began.
pub(super) async fn floor(tx: &mut Tx<'_>, network: &str) -> Result<u64, StoreError> {
    Ok(tx.comparison(network, Lane::Ended).await?.map_or(0, |ended| ended.at.number))
}

/// Notes what a host says if nothing that was found makes it so.
fn note(subjects: &Subjects, saying: Saying, differences: &mut BTreeMap<(InvoiceId, TokenId), Difference>) {
    let recorded = subjects.recorded(saying.deposit.invoice, saying.token);
    if recorded == saying.found {
        return;
    }
    let difference = Difference {
        merchant: saying.deposit.merchant,
        invoice: saying.deposit.invoice,
        token: saying.token,
        recorded: TokenAmount::from_base_units(recorded),
        found: TokenAmount::from_base_units(saying.found),
        agreed: subjects.since.as_ref().map_or(UnixSeconds(0), |since| since.time),
        read_from: subjects.floor,
    };
    // Of several hosts the one that knows of most.
    let noted = differences.entry((difference.invoice, difference.token)).or_insert_with(|| difference.clone());
    if noted.found < difference.found {
        *noted = difference;
    }
}

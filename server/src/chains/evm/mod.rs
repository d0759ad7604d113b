//! Watching one EVM network.
//!
//! Each step reads the head, follows the chain's parent links from the last block that was read, asks
//! for logs and balances of exactly these blocks, and records what they prove together with the new
//! cursor. A step that fails half-way leaves nothing behind; the next one starts where the last good one
//! ended.

mod balances;
mod factory;
mod logs;
mod native;
mod node;
mod position;
mod reconcile;
mod tags;
mod traces;
mod verify;
mod witness;

use std::collections::{HashMap, HashSet};

use alloy_primitives::{Address, U256, address};
use domain::{
    finality::{Marks, Tag},
    id::{InvoiceId, MerchantId, TokenId},
    money::{Rate, TokenAmount, UsdMillis},
};
use wire::deposit_address::FACTORY;

pub(crate) use self::{
    factory::{CREATE2_DEPLOYER, DEPLOYMENT_GAS, Deployment, deployment_calldata},
    logs::SweepFailure,
    node::{Fees, Node, Receipt},
    witness::WITNESSES,
};
use self::{
    logs::{EVENTS, Event, Log, Scope},
    native::{Account, Arrival, Departure, Shortfalls},
    node::{Header, LogFilter},
    reconcile::Reconciler,
    tags::{HostTags, Tags, Word, Words},
    verify::Searches,
    witness::{Claim, Evidence, Questions},
};
pub(super) use self::{
    reconcile::{COMPARED_EVERY_SECONDS, FEW, OPEN_EVERY_MS},
    witness::{Verdict, Waiting, is_vouched, tell_of_lack},
};
use super::rpc::{FaultKind, RpcError};
pub use super::step::{Fitness, Step, StepError};
use crate::{
    alarm,
    app::App,
    config::{NetworkConfig, TokenConfig},
    failpoint,
    invoicing::{RecordError, Scan, SeenFailure, SeenSweep, SeenTransfer, record_scan},
    store::{BlockRef, FactKey, FactKind, Lease, UnattributedRecord, UnvouchedFact, WatchedDeposit},
    wallet::WalletAddress,
};

/// Whose logs tell of native coin that moves, on networks that have them (EIP-7708).
const NATIVE_LOGS: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

alloy_sol_types::sol! {
    function decimals() external view returns (uint8 decimals);
}

/// A token's decimals as its contract tells them at the head; `None` if there is no such contract.
pub(crate) async fn decimals_of(node: &Node, token: Address) -> Result<Option<u8>, StepError> {
    node.call_at_head(token, &decimalsCall {}).await
}

/// Up to so many blocks, logs are asked for block by block.
const NEAR_THE_TIP: usize = 8;
/// The first start looks back so far, so that a reorganisation right after it can be followed.
const FIRST_LOOK_BACK: u64 = 64;
/// A head below the cursor is believed when it is seen so often in a row: one look may have hit an
/// endpoint that lags behind.
const LOOKS_AT_A_LOWER_HEAD: u32 = 3;
/// A chain does not move under so many looks in a row; an endpoint that lacks a block always looks like that.
const MOVES_BEFORE_DOUBT: u32 = 5;
/// So often, by the chain's clock, the balances of ended invoices are asked for: there are many, and what
/// comes to them is late. Their logs are read like those of others.
const ENDED_EVERY_SECONDS: i64 = 60;
/// Headers compared at once on the way back to a fork.
const FORK_STRIDE: usize = 32;

/// Reads one network, step by step.
pub struct Watcher {
    app: App,
    network: NetworkConfig,
    lease: Lease,
    node: Node,
    reach: Reach,
    /// What each invoice's address held of the native coin at the cursor; `None` until it is loaded.
    holdings: Option<Holdings>,
    shortfalls: Shortfalls,
    /// The newest block at which the balances of ended invoices were asked for; `None` if that is not known.
    ended_checked: Option<BlockRef>,
    /// Addresses that coin was found on since then. It must not be found a second time in those blocks.
    found_since: HashSet<Address>,
    lower_heads: u32,
    /// Looks in a row at whose end the chain was said to be another one than at their beginning.
    moves: u32,
    /// What the chain calls its blocks.
    tags: Tags,
    /// What follows from that as far as it was recorded.
    judged_by: Marks,
    /// Facts that only one host has shown.
    waiting: Waiting,
    reconciler: Reconciler,
    searches: Searches,
}

/// A stretch that was read, not recorded yet.
#[derive(Debug)]
pub struct Reading {
    pub scan: Scan,
    pub is_at_head: bool,
    checks_ended: bool,
}

/// What looking at the chain led to.
#[derive(Debug)]
pub enum Look {
    Idle,
    Behind,
    Read(Box<Reading>),
}

/// How much one `eth_getLogs` may ask for, as far as endpoints have shown.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// Blocks; shrinks when refused and grows again.
    range: usize,
    /// Addresses; shrinks when refused.
    group: usize,
}

impl Reach {
    fn of(network: &NetworkConfig) -> Self {
        Self {
            range: usize::try_from(network.max_range).unwrap_or(usize::MAX).max(1),
            group: network.max_topics.max(1),
        }
    }

    /// `senders` are those of the addresses whose own transfers are wanted too.
    fn filter<'a>(&self, contracts: &'a [Address], addresses: &'a [Address], senders: &'a [Address]) -> LogFilter<'a> {
        let in_groups = |addresses: &'a [Address]| addresses.chunks(self.group).collect();
        LogFilter { contracts, events: &EVENTS, groups: in_groups(addresses), senders: in_groups(senders) }
    }

    fn grow(&mut self, network: &NetworkConfig) {
        self.range = Self::of(network).range.min(self.range + self.range / 4 + 1);
    }

    /// After so many blocks were refused: less, if that may help.
    fn shrink(&mut self, blocks: usize, error: StepError) -> Result<(), StepError> {
        match error {
            StepError::Rpc(RpcError::Fault(fault)) if fault.kind == FaultKind::TooMuch && 1 < blocks => {
                self.range = blocks / 2;
                Ok(())
            }
            StepError::Rpc(RpcError::Fault(fault)) if fault.kind == FaultKind::TooMuch && 1 < self.group => {
                self.group /= 2;
                Ok(())
            }
            error => Err(error),
        }
    }
}

/// What became of the native coin of deposit addresses.
#[derive(Debug, Default)]
struct Native {
    arrivals: Vec<Arrival>,
    /// What left by transactions of the addresses themselves.
    departures: Vec<Departure>,
}

/// What whole tokens cost at blocks; each is asked for once. `None` if no price could be trusted.
type PricesAtBlocks = HashMap<(TokenId, u64), Option<Rate>>;

#[derive(Clone, Debug)]
struct Holdings {
    at: Option<BlockRef>,
    native: HashMap<InvoiceId, U256>,
}

/// Counts transfers of one asset to one address within a transaction.
#[derive(Default)]
struct Ordinals(HashMap<(String, Address, Address), u32>);

impl Ordinals {
    fn next(&mut self, asset: Address, arrival: &Arrival) -> u32 {
        let next = self.0.entry((arrival.tx_id.clone(), asset, arrival.deposit)).or_default();
        let ordinal = *next;
        *next += 1;
        ordinal
    }
}

/// What logs tell to have come, each with its contract, in the chain's order.
fn arrived(blocks: &[BlockRef], logs: &[Log]) -> Vec<(Address, Arrival)> {
    let arrived = logs.iter().filter_map(|log| match log.event {
        Event::Arrived { token, payer } => Some((
            token,
            Arrival {
                deposit: log.deposit,
                amount: log.amount,
                block: blocks.get(log.block)?.clone(),
                tx_id: log.transaction.to_string(),
                position: position::of_log(log.transaction_index, log.index),
                payer: Some(payer),
            },
        )),
        Event::Left { .. } | Event::Stayed { .. } => None,
    });
    arrived.collect()
}

/// The addresses that somebody has the key of.
fn keyed(watched: &HashMap<Address, WatchedDeposit>) -> Vec<Address> {
    watched.values().filter(|deposit| deposit.has_key()).map(|deposit| deposit.address).collect()
}

impl Watcher {
    /// Knows nothing yet but what the database does, whoever held the lease before.
    pub fn new(app: App, network: NetworkConfig, lease: Lease) -> Self {
        Self {
            node: Node::with_added(&network, &app.added_endpoints, app.config.merchants.rpc_targets()),
            reach: Reach::of(&network),
            holdings: None,
            shortfalls: Shortfalls::default(),
            ended_checked: None,
            found_since: HashSet::new(),
            lower_heads: 0,
            moves: 0,
            tags: Tags::default(),
            judged_by: Marks::default(),
            waiting: Waiting::default(),
            reconciler: Reconciler::default(),
            searches: Searches::default(),
            app,
            network,
            lease,
        }
    }

    /// Compares the configuration with the network: the factory must be there, and every token must have
    /// the decimals that amounts are computed with.
    ///
    /// # Errors
    ///
    /// If no endpoint answers; the chain id is checked with the first answer.
    pub async fn check_fitness(&self) -> Result<Fitness, StepError> {
        match self.node.deployment().await? {
            Deployment::Ours => {}
            Deployment::Missing | Deployment::NoDeployer => {
                return Ok(Fitness::Unfit(format!("the deposit factory is not deployed at {FACTORY}")));
            }
            Deployment::Foreign(address) => {
                return Ok(Fitness::Unfit(format!("what is deployed at {address} is not the deposit factory's code")));
            }
        }
        for token in &self.network.tokens {
            let Some(address) = token.address else { continue };
            let wrong = match decimals_of(&self.node, address).await? {
                Some(decimals) if decimals == token.decimals => continue,
                Some(decimals) => format!("has {decimals} decimals, not {}", token.decimals),
                None => "does not answer decimals()".to_owned(),
            };
            return Ok(Fitness::Unfit(format!("token {} ({}) at {address} {wrong}", token.id, token.symbol)));
        }
        Ok(Fitness::Fit)
    }

    /// Reads the next stretch of blocks, if there is one, and records it. At the head, what deposit addresses hold is
    /// compared with what is recorded of them, and searches for payments are looked after, whenever it is time.
    ///
    /// # Errors
    ///
    /// After any error nothing of the stretch is recorded. All but [`StepError::TooDeep`] may pass with time.
    pub async fn step(&mut self) -> Result<Step, StepError> {
        let look = self.look().await;
        match look {
            Err(StepError::Moved) => {
                self.moves += 1;
                if MOVES_BEFORE_DOUBT <= self.moves {
                    self.moves = 0;
                    self.node.distrust_last();
                }
            }
            _ => self.moves = 0,
        }
        let step = match look? {
            Look::Idle => Step::Idle,
            Look::Behind => Step::Behind,
            Look::Read(reading) => self.record(*reading).await?,
        };
        if matches!(step, Step::Idle | Step::Recorded { is_at_head: true }) {
            self.reconcile().await?;
            self.look_for_payments().await?;
        }
        Ok(step)
    }

    /// Reads the next stretch of blocks without recording it.
    ///
    /// # Errors
    ///
    /// As [`Watcher::step`].
    pub async fn look(&mut self) -> Result<Look, StepError> {
        let head = self.node.head().await?;
        let cursor = self.app.store.reader().await?.tx().cursor(&self.network.name).await?;
        let Some(cursor) = cursor else {
            let look_back = FIRST_LOOK_BACK.min(self.network.ring_blocks);
            let first = self.network.start_block.unwrap_or(head.number.to::<u64>().saturating_sub(look_back));
            if head.number.to::<u64>() < first {
                return Ok(Look::Idle);
            }
            return self.read(None, None, first, &head).await;
        };
        if cursor.hash == head.hash.to_string() {
            self.lower_heads = 0;
            return self.reconsider(cursor).await;
        }
        if head.number.to::<u64>() < cursor.number && !self.believes_lower_head(&cursor).await {
            return Ok(Look::Behind);
        }
        self.lower_heads = 0;
        let is_on_top = match head.number.to::<u64>().checked_sub(cursor.number) {
            None | Some(0) => false,
            Some(1) => head.parent_hash.to_string() == cursor.hash,
            Some(_) => {
                let next = self.node.headers([cursor.number.saturating_add(1)]).await?;
                next.iter().all(|next| next.parent_hash.to_string() == cursor.hash)
            }
        };
        if is_on_top {
            let first = cursor.number.saturating_add(1);
            return self.read(Some(cursor), None, first, &head).await;
        }
        let fork = self.find_fork(&head).await?;
        if fork == cursor {
            return Err(StepError::Moved);
        }
        tracing::warn!(
            payment.network = self.network.name,
            block.from = cursor.number,
            block.to = fork.number,
            "the chain was reorganised"
        );
        let first = fork.number.saturating_add(1);
        self.read(Some(cursor), Some(fork), first, &head).await
    }

    /// Records what was read.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn record(&mut self, reading: Reading) -> Result<Step, StepError> {
        let Reading { scan, is_at_head, checks_ended } = reading;
        let marks = scan.marks;
        failpoint::pass("watcher.before_record");
        let holdings = self.holdings.take().map(|holdings| self.holdings_after(holdings, &scan));
        // Unless all goes well it is not known any more.
        let ended_checked = match self.ended_checked.take() {
            _ if checks_ended => scan.blocks.last().cloned(),
            checked => checked,
        };
        match record_scan(&self.app, &self.lease, scan).await {
            Ok(()) => {
                failpoint::pass("watcher.after_record");
                self.holdings = holdings;
                self.ended_checked = ended_checked;
                self.judged_by = marks;
                if checks_ended {
                    self.found_since.clear();
                }
                Ok(Step::Recorded { is_at_head })
            }
            Err(RecordError::CursorMoved(_)) => Ok(Step::Outrun),
            Err(error) => Err(error.into()),
        }
    }

    async fn believes_lower_head(&mut self, cursor: &BlockRef) -> bool {
        if self.node.is_known_anywhere(cursor).await {
            self.lower_heads = 0;
            return false;
        }
        self.lower_heads += 1;
        LOOKS_AT_A_LOWER_HEAD <= self.lower_heads
    }

    /// The newest remembered block that the chain still has.
    async fn find_fork(&self, head: &Header) -> Result<BlockRef, StepError> {
        let remembered = self.app.store.reader().await?.tx().remembered_blocks(&self.network.name).await?;
        let candidates: Vec<_> = remembered.iter().filter(|block| block.number <= head.number.to::<u64>()).collect();
        for blocks in candidates.chunks(FORK_STRIDE) {
            let headers = self.node.headers(blocks.iter().map(|block| block.number)).await?;
            for (block, header) in blocks.iter().zip(headers) {
                if block.hash == header.hash.to_string() {
                    return Ok((*block).clone());
                }
            }
        }
        let oldest = remembered.last().map_or(0, |block| block.number);
        Err(StepError::TooDeep { network: self.network.name.clone(), oldest })
    }

    /// Reads blocks from `first` up to the head, as many as one stretch holds.
    async fn read(
        &mut self,
        from: Option<BlockRef>,
        forked_at: Option<BlockRef>,
        first: u64,
        head: &Header,
    ) -> Result<Look, StepError> {
        let base = forked_at.as_ref().or(from.as_ref()).cloned();
        let head_number = head.number.to::<u64>();
        let last = head_number.min(first.saturating_add(self.network.max_range.max(1) - 1));
        let blocks = self.read_blocks(base.as_ref(), first, last, head).await?;

        // Read after the head: an address is handed out only once its quote is stored, so nobody can have
        // paid to an address that is not on this list in a block up to that head.
        // And what was watched when these blocks were made: our clock may be far ahead of them, after a long
        // outage or a jump.
        let now = self.app.clock.now();
        let since = blocks.first().map_or(now, |block| block.time.min(now));
        let mut reader = self.app.store.reader().await?;
        let watched = reader.tx().watched_deposits(since).await?;
        let watched: HashMap<Address, WatchedDeposit> =
            watched.into_iter().map(|deposit| (deposit.address, deposit)).collect();
        let wallets = reader.tx().watched_wallets(since).await?;
        drop(reader);

        let logs = self.read_logs(&blocks, &watched, &wallets).await?;
        let skipped = match &forked_at {
            Some(_) => self.skipped_for_ended(base.as_ref(), None, &blocks).await?,
            None => self.skipped_for_ended(base.as_ref(), self.ended_checked.as_ref(), &blocks).await?,
        };
        let native = match self.native_token().filter(|_| !self.network.native_logs).cloned() {
            Some(token) => self.read_native(&token, base, &blocks, skipped.as_deref(), &watched, &logs).await?,
            None => Native::default(),
        };
        let mut prices = PricesAtBlocks::new();
        let mut scan = Scan {
            network: self.network.name.clone(),
            sweeps: self.seen_sweeps(&blocks, &watched, &logs),
            at_wallets: self.seen_at_wallets(&blocks, &wallets, &logs, &mut prices).await,
            failures: self.seen_failures(&blocks, &watched, &logs),
            is_alone: self.node.hosts().len() < WITNESSES,
            compared: None,
            from,
            forked_at,
            transfers: Vec::new(),
            blocks: Vec::new(),
            marks: Marks::default(),
            vouched: Vec::new(),
        };
        scan.sweeps.extend(self.seen_departures(&watched, &native.departures));
        scan.transfers = self.seen_transfers(&blocks, &watched, &logs, native.arrivals, &mut prices).await;
        scan.blocks = blocks;
        if scan.forked_at.is_some() {
            // What was replaced has to be recorded before anybody is asked about what is left.
            self.tags.forget();
            scan.marks = self.tags.marks(self.app.clock.now_ms());
        } else if let Some(newest) = scan.blocks.last().or(scan.from.as_ref()).cloned() {
            let has_new = !scan.transfers.is_empty() || !scan.sweeps.is_empty();
            scan.marks = self.hear_tags(&scan.blocks, &newest, has_new).await?;
            scan.vouched = self.hear_witnesses(&newest).await?;
        }
        let is_at_head = last == head_number || head_number < first;
        Ok(Look::Read(Box::new(Reading { scan, is_at_head, checks_ended: skipped.is_some() })))
    }

    /// If it is time to ask for the balances of ended invoices: the blocks before `blocks` in which that was
    /// not done, oldest first.
    async fn skipped_for_ended(
        &self,
        base: Option<&BlockRef>,
        checked: Option<&BlockRef>,
        blocks: &[BlockRef],
    ) -> Result<Option<Vec<BlockRef>>, StepError> {
        let (Some(base), Some(last)) = (base, blocks.last()) else { return Ok(Some(Vec::new())) };
        // Where it is not known, it was not longer ago than this.
        let since = checked.map_or(base.time.plus(-ENDED_EVERY_SECONDS), |checked| checked.time);
        if checked.is_some() && last.time < since.plus(ENDED_EVERY_SECONDS) {
            return Ok(None);
        }
        let is_skipped = |block: &BlockRef| {
            let is_new = checked.map_or(since <= block.time, |checked| checked.number < block.number);
            is_new && block.number <= base.number
        };
        let mut skipped = self.app.store.reader().await?.tx().remembered_blocks(&self.network.name).await?;
        skipped.retain(is_skipped);
        skipped.reverse();
        Ok(Some(skipped))
    }

    /// Headers in order, each the child of the one before it.
    async fn read_blocks(
        &self,
        base: Option<&BlockRef>,
        first: u64,
        last: u64,
        head: &Header,
    ) -> Result<Vec<BlockRef>, StepError> {
        if last < first {
            return Ok(Vec::new());
        }
        let head_number = head.number.to::<u64>();
        let mut headers = self.node.headers(first..head_number.min(last.saturating_add(1))).await?;
        if last == head_number {
            headers.push(head.clone());
        }
        let mut parent = base.map(|base| base.hash.clone());
        for header in &headers {
            if parent.is_some_and(|parent| parent != header.parent_hash.to_string()) {
                return Err(StepError::Moved);
            }
            parent = Some(header.hash.to_string());
        }
        Ok(headers.iter().map(Header::to_block).collect())
    }

    async fn read_logs(
        &mut self,
        blocks: &[BlockRef],
        watched: &HashMap<Address, WatchedDeposit>,
        wallets: &HashMap<Address, Vec<MerchantId>>,
    ) -> Result<Vec<Log>, StepError> {
        if watched.is_empty() && wallets.is_empty() {
            return Ok(Vec::new());
        }
        let addresses: Vec<Address> = watched.keys().chain(wallets.keys()).copied().collect();
        let senders = keyed(watched);
        let tokens = self.logging_contracts();
        let contracts: Vec<Address> = tokens.iter().copied().chain([FACTORY]).collect();
        let mut raw = Vec::new();
        let mut start = 0;
        while start < blocks.len() {
            let window = &blocks[start..blocks.len().min(start.saturating_add(self.reach.range))];
            let filter = self.reach.filter(&contracts, &addresses, &senders);
            let result = match window {
                [first, .., last] if NEAR_THE_TIP < window.len() => {
                    self.node.logs_by_range(first.number, last, &filter).await
                }
                _ => self.node.logs_by_block(window, &filter).await,
            };
            match result {
                Ok(logs) => {
                    raw.extend(logs);
                    start += window.len();
                    self.reach.grow(&self.network);
                }
                Err(error) => self.reach.shrink(window.len(), error)?,
            }
        }
        let is_watched = |address| watched.contains_key(&address) || wallets.contains_key(&address);
        let has_key = |address| watched.get(&address).is_some_and(WatchedDeposit::has_key);
        let scope = Scope { blocks, factory: FACTORY, tokens: &tokens, is_watched: &is_watched, has_key: &has_key };
        scope.check(raw).map_err(|what| self.node.untrue(what))
    }

    async fn read_native(
        &mut self,
        token: &TokenConfig,
        base: Option<BlockRef>,
        blocks: &[BlockRef],
        skipped: Option<&[BlockRef]>,
        watched: &HashMap<Address, WatchedDeposit>,
        logs: &[Log],
    ) -> Result<Native, StepError> {
        let holdings = match self.holdings.take() {
            Some(holdings) if holdings.at == base => holdings,
            _ => self.load_holdings(token.token_id(), base.clone()).await?,
        };
        let held = |deposit: &WatchedDeposit| holdings.native.get(&deposit.invoice).copied().unwrap_or_default();
        let began = blocks.first().map(|first| first.time);
        let is_ended =
            |deposit: &WatchedDeposit| deposit.ended_at.zip(began).is_some_and(|(ended_at, began)| ended_at < began);
        // All of them, whatever they hold: coin may come and leave again within one stretch.
        let keyed = |is_wanted: &dyn Fn(&WatchedDeposit) -> bool| -> Vec<Address> {
            let keyed = watched.values().filter(|deposit| deposit.has_key() && is_wanted(deposit));
            keyed.map(|deposit| deposit.address).collect()
        };
        let open_keyed = keyed(&|deposit| !is_ended(deposit));
        let mut departures = native::departures(&self.node, base.as_ref(), blocks, &open_keyed).await?;
        let all = skipped.map_or_else(Vec::new, |skipped| [skipped, blocks].concat());
        if let Some(skipped) = skipped {
            let first = all.first().map(|first| first.number);
            let before = self.ended_checked.as_ref().filter(|checked| Some(checked.number.saturating_add(1)) == first);
            let before = if skipped.is_empty() { base.as_ref() } else { before };
            let left = native::departures(&self.node, before, &all, &keyed(&is_ended)).await?;
            departures.extend(self.not_recorded(left, base.as_ref(), watched).await?);
        }
        let mut accounts: Vec<Account> = watched
            .values()
            .map(|deposit| Account { deposit: deposit.address, held: held(deposit), swept: Vec::new() })
            .collect();
        let mut sweeps: HashMap<Address, Vec<(usize, U256)>> = HashMap::new();
        for log in logs {
            if log.event == (Event::Left { asset: Address::ZERO }) {
                sweeps.entry(log.deposit).or_default().push((log.block, log.amount));
            }
        }
        let index = |blocks: &[BlockRef], block: &BlockRef| blocks.iter().position(|other| other == block);
        for left in departures.iter().filter(|left| open_keyed.contains(&left.deposit)) {
            let block = index(blocks, &left.block).ok_or(StepError::Moved)?;
            sweeps.entry(left.deposit).or_default().push((block, left.amount));
        }
        for account in &mut accounts {
            account.swept = sweeps.remove(&account.deposit).unwrap_or_default();
        }
        self.holdings = Some(holdings);
        let (ended, open): (Vec<Account>, Vec<Account>) = accounts.into_iter().partition(|account| {
            // A sweep hides what it took from any later look.
            account.swept.is_empty() && watched.get(&account.deposit).is_some_and(is_ended)
        });
        let mut arrivals = native::arrivals(&mut self.node, blocks, &open, &mut self.shortfalls).await?;
        if skipped.is_some() {
            let (mut known, mut ended): (Vec<_>, Vec<_>) =
                ended.into_iter().partition(|account| self.found_since.contains(&account.deposit));
            for left in departures.iter().filter(|left| !open_keyed.contains(&left.deposit)) {
                if let Some(account) = ended.iter_mut().find(|account| account.deposit == left.deposit) {
                    account.swept.extend(index(&all, &left.block).map(|block| (block, left.amount)));
                }
                if let Some(account) = known.iter_mut().find(|account| account.deposit == left.deposit) {
                    match index(blocks, &left.block) {
                        Some(block) => account.swept.push((block, left.amount)),
                        None => account.held = account.held.saturating_sub(left.amount),
                    }
                }
            }
            arrivals.extend(native::arrivals(&mut self.node, &all, &ended, &mut self.shortfalls).await?);
            arrivals.extend(native::arrivals(&mut self.node, blocks, &known, &mut self.shortfalls).await?);
        }
        self.found_since.extend(arrivals.iter().map(|arrival| arrival.deposit));
        Ok(Native { arrivals, departures })
    }

    /// Those that are not recorded yet, of some that may be in blocks up to the last one that was read.
    async fn not_recorded(
        &self,
        departures: Vec<Departure>,
        base: Option<&BlockRef>,
        watched: &HashMap<Address, WatchedDeposit>,
    ) -> Result<Vec<Departure>, StepError> {
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let mut new = Vec::with_capacity(departures.len());
        for left in departures {
            let Some(deposit) = watched.get(&left.deposit) else { continue };
            let may_be_known = base.is_some_and(|base| left.block.number <= base.number);
            let known = if may_be_known { tx.sweeps(deposit.merchant, deposit.invoice).await? } else { Vec::new() };
            let transaction = left.transaction.to_string();
            if !known.iter().any(|known| known.block_hash == left.block.hash && known.tx_id == transaction) {
                new.push(left);
            }
        }
        Ok(new)
    }

    async fn load_holdings(&self, token: TokenId, at: Option<BlockRef>) -> Result<Holdings, StepError> {
        let Some(block) = &at else { return Ok(Holdings { at: None, native: HashMap::new() }) };
        let mut reader = self.app.store.reader().await?;
        let held = reader.tx().holdings(&self.network.name, token, block.number).await?;
        let native = held.into_iter().map(|(invoice, amount)| (invoice, amount.base_units())).collect();
        Ok(Holdings { at, native })
    }

    /// What is held once a scan is recorded.
    fn holdings_after(&self, mut holdings: Holdings, scan: &Scan) -> Holdings {
        let native = self.native_token().map(TokenConfig::token_id);
        for transfer in scan.transfers.iter().filter(|transfer| Some(transfer.token) == native) {
            let held = holdings.native.entry(transfer.invoice).or_default();
            *held = held.saturating_add(transfer.amount.base_units());
        }
        for sweep in scan.sweeps.iter().filter(|sweep| Some(sweep.token) == native) {
            let held = holdings.native.entry(sweep.invoice).or_default();
            *held = held.saturating_sub(sweep.amount.base_units());
        }
        let last = scan.blocks.last().or(scan.forked_at.as_ref()).cloned();
        Holdings { at: last.or(holdings.at), native: holdings.native }
    }

    /// With no new block: whether more is known of those that were read.
    async fn reconsider(&mut self, cursor: BlockRef) -> Result<Look, StepError> {
        let marks = self.hear_tags(&[], &cursor, false).await?;
        let vouched = self.hear_witnesses(&cursor).await?;
        if vouched.is_empty() && marks == self.judged_by {
            return Ok(Look::Idle);
        }
        let scan = Scan {
            network: self.network.name.clone(),
            from: Some(cursor),
            forked_at: None,
            blocks: Vec::new(),
            transfers: Vec::new(),
            at_wallets: Vec::new(),
            sweeps: Vec::new(),
            failures: Vec::new(),
            marks,
            vouched,
            is_alone: self.node.hosts().len() < WITNESSES,
            compared: None,
        };
        Ok(Look::Read(Box::new(Reading { scan, is_at_head: true, checks_ended: false })))
    }

    /// Asks what the chain calls its blocks, if the configuration does, there are facts that wait for it, and it is
    /// time; returns what is known of that. `blocks` are those that are not recorded yet, `newest` the last of all.
    async fn hear_tags(&mut self, blocks: &[BlockRef], newest: &BlockRef, has_new: bool) -> Result<Marks, StepError> {
        let thresholds = self.network.thresholds();
        let wanted = [thresholds.paid_tag, thresholds.final_tag];
        let now = self.app.clock.now_ms();
        if wanted != [None, None] && self.tags.is_due(now) {
            let mut reader = self.app.store.reader().await?;
            let is_waited_for = has_new || reader.tx().has_open_facts(&self.network.name).await?;
            drop(reader);
            if is_waited_for {
                let said = self.node.tags(wanted.contains(&Some(Tag::Safe)), newest.number).await;
                let mut words = Vec::with_capacity(said.len());
                for host in &said {
                    words.push(Words {
                        safe: self.word(host.safe.as_ref(), host, blocks, newest).await?,
                        finalized: self.word(host.finalized.as_ref(), host, blocks, newest).await?,
                    });
                }
                if self.tags.hear(&words, self.node.hosts().len(), now) {
                    tracing::error!(
                        alarm = alarm::FINALITY_DISPUTED,
                        payment.network = self.network.name,
                        "ALARM: an endpoint calls blocks final that are not on the chain the others show; nothing more \
                         becomes final"
                    );
                }
            }
        }
        Ok(self.tags.marks(now))
    }

    /// What a host's tagged block comes to.
    async fn word(
        &self,
        tagged: Option<&Header>,
        host: &HostTags,
        blocks: &[BlockRef],
        newest: &BlockRef,
    ) -> Result<Word, StepError> {
        let Some(number) = tagged.map(|tagged| tagged.number.to::<u64>()) else { return Ok(Word::Nothing) };
        let ours = match blocks.iter().find(|block| block.number == number) {
            Some(block) => Some(block.hash.clone()),
            None => self.app.store.reader().await?.tx().remembered_hash(&self.network.name, number).await?,
        };
        Ok(Word::of(tagged, host, newest, ours.as_deref()))
    }

    /// Asks other hosts about facts that are about to count. Returns those that may, because more than one shows them,
    /// or because nobody else has answered for a while and little is at stake.
    async fn hear_witnesses(&mut self, newest: &BlockRef) -> Result<Vec<FactKey>, StepError> {
        let until = newest.number.saturating_add(1).saturating_sub(u64::from(self.network.paid_after));
        let mut reader = self.app.store.reader().await?;
        let mut facts = reader.tx().unvouched(&self.network.name, until).await?;
        drop(reader);
        // Of a token that is not configured any more nobody can say what to ask; the start tells of it.
        facts.retain(|fact| self.token(fact.token).is_some());
        let (now, hosts) = (self.app.clock.now_ms(), self.node.hosts());
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
        let due = self.waiting.due(facts, now);
        let mut questions = Questions::default();
        let mut claims = Vec::with_capacity(due.len());
        for fact in &due {
            let Some(token) = self.token(fact.token) else { continue };
            let of = match (fact.key.kind, token.address) {
                (FactKind::Sweep, Some(token)) if fact.mode.has_key() => Evidence::Spent { token },
                (FactKind::Sweep, None) if fact.mode.has_key() && !self.network.native_logs => Evidence::SpentCoin,
                (FactKind::Sweep, None) if fact.mode.has_key() => Evidence::Spent { token: NATIVE_LOGS },
                (FactKind::Sweep, asset) => Evidence::Left { asset: asset.unwrap_or(Address::ZERO) },
                (FactKind::Transfer, Some(token)) => Evidence::Arrived { token },
                (FactKind::Transfer, None) if position::is_log(fact.key.log_index) => {
                    Evidence::Arrived { token: NATIVE_LOGS }
                }
                (FactKind::Transfer, None) if position::is_own_value(fact.key.log_index) => Evidence::Sent,
                (FactKind::Transfer, None) => self.holding(fact).await?,
            };
            let claim = Claim { fact, of };
            let places = claim.ask(&mut questions);
            claims.push((claim, places));
        }
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let said = self.node.ask_hosts(&questions.calls).await;
        let mut vouched = Vec::new();
        for ((claim, _), verdicts) in claims.iter().zip(witness::verdicts(&claims, &said)) {
            let fact = claim.fact;
            let outcome = self.waiting.hear(fact, &verdicts, self.limit(fact), now);
            if is_vouched(&self.network.name, fact, outcome) {
                vouched.push(fact.key.clone());
            }
        }
        Ok(vouched)
    }

    /// Up to what the invoice of a fact is paid on the word of one endpoint.
    fn limit(&self, fact: &UnvouchedFact) -> UsdMillis {
        fact.single_source.unwrap_or(self.app.config.single_source())
    }

    /// What an address has to hold for native coin to have come that no transaction of its own brought.
    async fn holding(&self, fact: &UnvouchedFact) -> Result<Evidence, StepError> {
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let came = tx.transfers(fact.key.merchant, fact.invoice).await?;
        let came = came.iter().filter(|other| {
            other.canonical
                && other.network == self.network.name
                && other.token == fact.token
                && other.block_number <= fact.block
        });
        let came = came.fold(U256::ZERO, |sum, other| sum.saturating_add(other.amount.base_units()));
        // What the factory swept in that block itself is counted with the balance; what left otherwise has no log that
        // would tell.
        let until = if fact.mode.has_key() { fact.block.saturating_add(1) } else { fact.block };
        let mut sweeps = tx.sweeps(fact.key.merchant, fact.invoice).await?;
        sweeps.retain(|sweep| {
            sweep.network == self.network.name && sweep.token == fact.token && sweep.block_number < until
        });
        let (left, doubtful): (Vec<_>, Vec<_>) = sweeps.into_iter().partition(|sweep| sweep.vouched);
        let left = left.iter().fold(U256::ZERO, |sum, sweep| sum.saturating_add(sweep.amount.base_units()));
        let doubtful = doubtful.into_iter().map(|sweep| {
            let key = FactKey {
                kind: FactKind::Sweep,
                merchant: sweep.merchant,
                block_hash: sweep.block_hash,
                tx_id: sweep.tx_id,
                log_index: sweep.log_index,
            };
            (key, sweep.amount.base_units())
        });
        Ok(Evidence::Held { came, left, doubtful: doubtful.collect(), has_key: fact.mode.has_key() })
    }

    fn token(&self, id: TokenId) -> Option<&TokenConfig> {
        self.network.tokens.iter().find(|token| token.token_id() == id)
    }

    fn native_token(&self) -> Option<&TokenConfig> {
        self.network.tokens.iter().find(|token| token.address.is_none())
    }

    /// Whose logs tell that something came.
    fn logging_contracts(&self) -> Vec<Address> {
        let tokens = self.network.tokens.iter().filter_map(|token| token.address);
        tokens.chain(self.network.native_logs.then_some(NATIVE_LOGS)).collect()
    }

    fn token_at(&self, address: Address) -> Option<&TokenConfig> {
        match address {
            Address::ZERO => self.native_token(),
            NATIVE_LOGS if self.network.native_logs => self.native_token(),
            _ => self.network.tokens.iter().find(|token| token.address == Some(address)),
        }
    }

    fn seen_sweeps(
        &self,
        blocks: &[BlockRef],
        watched: &HashMap<Address, WatchedDeposit>,
        logs: &[Log],
    ) -> Vec<SeenSweep> {
        let sweeps = logs.iter().filter_map(|log| {
            let Event::Left { asset } = log.event else { return None };
            let deposit = watched.get(&log.deposit)?;
            Some(SeenSweep {
                merchant: deposit.merchant,
                invoice: deposit.invoice,
                block: blocks.get(log.block)?.clone(),
                tx_id: log.transaction.to_string(),
                log_index: position::of_log(log.transaction_index, log.index),
                token: self.token_at(asset)?.token_id(),
                amount: TokenAmount::from_base_units(log.amount),
            })
        });
        sweeps.collect()
    }

    fn seen_departures(&self, watched: &HashMap<Address, WatchedDeposit>, departures: &[Departure]) -> Vec<SeenSweep> {
        let sweeps = departures.iter().filter_map(|left| {
            let deposit = watched.get(&left.deposit)?;
            Some(SeenSweep {
                merchant: deposit.merchant,
                invoice: deposit.invoice,
                block: left.block.clone(),
                tx_id: left.transaction.to_string(),
                log_index: left.position,
                token: self.native_token()?.token_id(),
                amount: TokenAmount::from_base_units(left.amount),
            })
        });
        sweeps.collect()
    }

    /// What came to merchants' wallets, once for each merchant whose it is.
    async fn seen_at_wallets(
        &self,
        blocks: &[BlockRef],
        wallets: &HashMap<Address, Vec<MerchantId>>,
        logs: &[Log],
        prices: &mut PricesAtBlocks,
    ) -> Vec<UnattributedRecord> {
        let mut ordinals = Ordinals::default();
        let mut seen = Vec::new();
        for (asset, arrival) in arrived(blocks, logs) {
            let (Some(token), Some(merchants)) = (self.token_at(asset), wallets.get(&arrival.deposit)) else {
                continue;
            };
            let price_at_block = self.price_at(token, &arrival.block, prices).await;
            let ordinal = ordinals.next(asset, &arrival);
            seen.extend(merchants.iter().map(|merchant| UnattributedRecord {
                merchant: *merchant,
                network: self.network.name.clone(),
                block_hash: arrival.block.hash.clone(),
                tx_id: arrival.tx_id.clone(),
                log_index: arrival.position,
                ordinal,
                wallet: WalletAddress::Evm(arrival.deposit),
                token: token.token_id(),
                decimals: token.checked_decimals(),
                amount: TokenAmount::from_base_units(arrival.amount),
                payer: arrival.payer.map(|payer| payer.to_string()),
                block_number: arrival.block.number,
                block_time: arrival.block.time,
                price_at_block,
                accepted: token.accepted,
            }));
        }
        seen
    }

    fn seen_failures(
        &self,
        blocks: &[BlockRef],
        watched: &HashMap<Address, WatchedDeposit>,
        logs: &[Log],
    ) -> Vec<SeenFailure> {
        let failures = logs.iter().filter_map(|log| {
            let Event::Stayed { asset, reason } = log.event else { return None };
            let deposit = watched.get(&log.deposit)?;
            Some(SeenFailure {
                merchant: deposit.merchant,
                invoice: deposit.invoice,
                block: blocks.get(log.block)?.clone(),
                tx_id: log.transaction.to_string(),
                log_index: position::of_log(log.transaction_index, log.index),
                // Anybody can name any contract; only what we know of is anybody's loss.
                token: self.token_at(asset)?.token_id(),
                reason,
            })
        });
        failures.collect()
    }

    async fn seen_transfers(
        &self,
        blocks: &[BlockRef],
        watched: &HashMap<Address, WatchedDeposit>,
        logs: &[Log],
        native: Vec<Arrival>,
        prices: &mut PricesAtBlocks,
    ) -> Vec<SeenTransfer> {
        let mut arrivals = arrived(blocks, logs);
        arrivals.extend(native.into_iter().map(|arrival| (Address::ZERO, arrival)));
        arrivals.sort_by_key(|(_, arrival)| (arrival.block.number, arrival.position));

        let mut ordinals = Ordinals::default();
        let mut transfers = Vec::with_capacity(arrivals.len());
        for (asset, arrival) in arrivals {
            let (Some(token), Some(deposit)) = (self.token_at(asset), watched.get(&arrival.deposit)) else {
                continue;
            };
            let price_at_block = self.price_at(token, &arrival.block, prices).await;
            transfers.push(SeenTransfer {
                merchant: deposit.merchant,
                invoice: deposit.invoice,
                ordinal: ordinals.next(asset, &arrival),
                block: arrival.block,
                tx_id: arrival.tx_id,
                log_index: arrival.position,
                token: token.token_id(),
                decimals: token.checked_decimals(),
                amount: TokenAmount::from_base_units(arrival.amount),
                payer: arrival.payer.map(|payer| payer.to_string()),
                accepted: token.accepted,
                price_at_block,
            });
        }
        transfers
    }

    async fn price_at(&self, token: &TokenConfig, block: &BlockRef, known: &mut PricesAtBlocks) -> Option<Rate> {
        if !token.accepted {
            return None;
        }
        let key = (token.token_id(), block.number);
        if let Some(price) = known.get(&key) {
            return *price;
        }
        let price = match self.app.prices.at_block(token.token_id(), block).await {
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
        };
        known.insert(key, price);
        price
    }
}

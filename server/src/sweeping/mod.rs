//! Sweeps that nobody has to ask for: the gas-only key sends what is worth it, within its limits.
//!
//! One node at a time does so for each network, under a lease. It has one transaction open at a time. That is written
//! down with all it may cost before it is sent, and stays so until it is known what became of it; whoever comes next
//! finds it there, sends the very same again, and counts what it may cost. So neither a death at any place nor a second
//! node can spend more than the limits, or send two for one.

mod key;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use domain::{
    id::{InvoiceId, MerchantId},
    time::UnixSeconds,
};

pub use self::key::{FactoryCall, GasKey, GasKeyError, Signed};
use crate::{
    alarm,
    app::App,
    chains::{
        evm::{Fees, Node, Receipt, StepError},
        rpc::RpcError,
    },
    config::{NetworkConfig, SweepByKeyConfig},
    failpoint,
    invoicing::{self, DueDeposit, PlannedSweep, SweepCost, SweepOffer, sweepCall},
    nodes,
    store::{Lease, StoreError, SweepFailureRecord, SweepState, SweepTransaction},
};

const WEI_PER_GWEI: u64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// A number that was used by nothing we know of is believed to be lost when it is seen so often in a row: one node may
/// know of a block and not of its receipts.
const LOOKS_AT_A_LOST_NUMBER: u32 = 5;
/// Deposits that are tried in one transaction, if more of them cost too much.
const FEWEST_DEPOSITS: usize = 1;

/// Why nothing is sent. Each is told once until something is mined again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
enum Trouble {
    #[error("the network cannot be asked: {0}")]
    Unreachable(String),
    #[error("the network has no fees as in EIP-1559")]
    NoFees,
    #[error("the gas-only key is that of a merchant's wallet, which must not be on any server")]
    MerchantsWallet,
    #[error("the account holds {has} wei and needs {needs}")]
    Empty { has: U256, needs: U256 },
    #[error("a sweep would cost more than sweep_by_key.gwei_per_transaction")]
    TooDear,
    #[error("with another sweep, sweep_by_key.gwei_per_day would be exceeded")]
    DaySpent,
    #[error("a transaction waits, and its fee cannot be raised any more within the limits")]
    Stuck,
    #[error("no node takes the transaction: {0}")]
    Refused(String),
    #[error("a number of the account was used by a transaction that is not ours")]
    UsedElsewhere,
    #[error("a sweep was mined and undone")]
    Reverted,
}

impl Trouble {
    /// Of those that somebody has to look at.
    fn alarm(&self) -> Option<&'static str> {
        match self {
            Self::NoFees => Some(alarm::GAS_KEY_UNFIT),
            Self::MerchantsWallet => Some(alarm::GAS_KEY_IS_A_WALLET),
            Self::Empty { .. } => Some(alarm::GAS_KEY_EMPTY),
            Self::Refused(_) => Some(alarm::GAS_KEY_REFUSED),
            Self::UsedElsewhere => Some(alarm::GAS_KEY_USED_ELSEWHERE),
            Self::Reverted => Some(alarm::SWEEP_REVERTED),
            Self::Unreachable(_) | Self::TooDear | Self::DaySpent | Self::Stuck => None,
        }
    }
}

/// What a transaction may use.
#[derive(Clone, Copy, Debug)]
struct Gas {
    limit: u64,
    /// What may be charged beside it, in the smallest unit of the coin.
    below: U256,
}

impl Gas {
    /// More than it would use now. An estimate holds for the block it was made in; and the factory goes on when a
    /// transfer fails, for want of gas too, so that an estimate may be one for which the last transfer fails.
    fn for_cost(cost: SweepCost) -> Self {
        Self { limit: cost.gas.saturating_add(cost.gas / 4), below: cost.below.saturating_mul(U256::from(2)) }
    }
}

/// What a look at a network led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// There is nothing to do for now.
    Idle,
    /// Something is over, and the next thing may begin.
    Progress,
}

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a transaction could not be signed")]
    Unsigned,
}

/// Sends sweeps on one network until shutdown, whenever this node holds the lease for that.
pub async fn run(app: App, network: NetworkConfig, limits: SweepByKeyConfig, key: Arc<GasKey>) {
    let name = format!("{}{}", nodes::SWEEP, network.name);
    nodes::hold(&app, &name, |lease| {
        let sweeper = Sweeper {
            node: Node::new(&network),
            app: app.clone(),
            network: network.clone(),
            most_per_transaction: wei(limits.gwei_per_transaction),
            most_per_day: wei(limits.gwei_per_day),
            key: Arc::clone(&key),
            lease,
            told: HashSet::new(),
            looks_at_lost: 0,
        };
        sweeper.run()
    })
    .await;
}

fn wei(gwei: u64) -> U256 {
    U256::from(gwei).saturating_mul(U256::from(WEI_PER_GWEI))
}

struct Sweeper {
    app: App,
    network: NetworkConfig,
    node: Node,
    key: Arc<GasKey>,
    most_per_transaction: U256,
    most_per_day: U256,
    lease: Lease,
    /// What was told and has not passed.
    told: HashSet<std::mem::Discriminant<Trouble>>,
    looks_at_lost: u32,
}

impl Sweeper {
    async fn run(mut self) {
        tracing::info!(
            payment.network = self.network.name,
            account = %self.key.address(),
            "the gas-only key sends sweeps"
        );
        let every = Duration::from_secs(self.app.config.sweeps.look_every_seconds);
        loop {
            match self.look().await {
                Ok(Look::Progress) => continue,
                Ok(Look::Idle) => {}
                Err(LookError::Store(error @ StoreError::LeaseLost { .. })) => {
                    tracing::warn!(payment.network = self.network.name, error = %error, "no more sweeps are sent here");
                    return;
                }
                Err(LookError::Step(error)) => self.tell(&Trouble::Unreachable(error.to_string())),
                Err(error) => {
                    tracing::error!(payment.network = self.network.name, error = %error, "sweeps could not be looked after");
                }
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Follows what is open, or else begins something.
    async fn look(&mut self) -> Result<Look, LookError> {
        let (network, account) = (self.network.name.clone(), self.key.address());
        let mut reader = self.app.store.reader().await?;
        let mut tx = reader.tx();
        let last = tx.last_sweep_transaction(&network, account).await?;
        let abandoned = tx.abandoned_sweep_transactions(&network, account).await?;
        let cursor = tx.cursor(&network).await?;
        drop(reader);
        for sweep in abandoned {
            self.follow_abandoned(sweep).await?;
        }
        // Before the chain was read nobody knows what is due.
        let Some(cursor) = cursor else { return Ok(Look::Idle) };
        if let Some(open) = last.clone().filter(|last| last.state == SweepState::Open) {
            return self.follow(open, cursor.number).await;
        }
        let nonce = self.node.nonce(account).await?;
        self.told.remove(&std::mem::discriminant(&Trouble::Unreachable(String::new())));
        if let Some(last) = last {
            if nonce <= last.nonce {
                // Its block was replaced, or the node that was asked is behind.
                if self.receipt(&last).await?.is_none() {
                    self.update(SweepTransaction { state: SweepState::Open, spent: None, block_number: None, ..last })
                        .await?;
                    return Ok(Look::Progress);
                }
                return Ok(Look::Idle);
            }
            // What it swept is due until the watcher has seen it.
            if last.block_number.is_some_and(|block| cursor.number < block) {
                return Ok(Look::Idle);
            }
        }
        self.begin(nonce).await
    }

    /// Sends the next sweep, if one is worth it and within the limits.
    async fn begin(&mut self, nonce: u64) -> Result<Look, LookError> {
        let account = self.key.address();
        // A merchant's own key has no business here, whatever it is used for.
        if self.app.store.reader().await?.tx().all_wallets().await?.contains(&account) {
            self.tell(&Trouble::MerchantsWallet);
            return Ok(Look::Idle);
        }
        let Some((offer, gas, fees)) = self.choose().await? else { return Ok(Look::Idle) };
        let sweep = self.priced(nonce, &offer.sweep, gas, fees)?;
        let has = self.node.held(&[account], &[None]).await?.into_iter().flatten().next().unwrap_or_default();
        if has < sweep.reserved {
            self.tell(&Trouble::Empty { has, needs: sweep.reserved });
            return Ok(Look::Idle);
        }
        if !self.reserve(&sweep).await? {
            self.tell(&Trouble::DaySpent);
            return Ok(Look::Idle);
        }
        failpoint::pass("sweep.after_reserve");
        tracing::info!(
            payment.network = self.network.name,
            transaction = %sweep.hashes[0],
            deposits = sweep.invoices.len(),
            merchant.id = %sweep.merchant,
            wei = %sweep.reserved,
            "a sweep is sent"
        );
        self.send(&sweep).await?;
        Ok(Look::Idle)
    }

    /// A sweep that is worth it and may be paid for, with its gas and what is given for each unit of that.
    async fn choose(&mut self) -> Result<Option<(SweepOffer, Gas, Fees)>, LookError> {
        let mut empty: HashSet<(InvoiceId, bool)> = HashSet::new();
        let mut most = usize::MAX;
        let mut fees = None;
        loop {
            let is_there = |deposit: &DueDeposit| !empty.contains(&place(deposit));
            let plan = invoicing::offer_smaller_sweeps(&self.app, &self.network.name, most, is_there).await?;
            let Some(largest) = plan.offers.iter().map(|offer| offer.sweep.deposits.len()).max() else {
                return Ok(None);
            };
            if fees.is_none() {
                fees = self.node.fees().await?;
            }
            let Some(fees) = fees else {
                self.tell(&Trouble::NoFees);
                return Ok(None);
            };
            let affordable = plan.offers.into_iter().find_map(|offer| {
                let gas = Gas::for_cost(offer.cost?);
                let fees = self.within_limit(gas, fees)?;
                Some((offer, gas, fees))
            });
            let Some((offer, gas, fees)) = affordable else {
                if largest <= FEWEST_DEPOSITS {
                    self.tell(&Trouble::TooDear);
                    return Ok(None);
                }
                most = largest / 2;
                continue;
            };
            // Somebody may have swept them, and the watcher not have seen that yet.
            let gone = self.without_money(&offer.sweep).await?;
            if gone.is_empty() {
                return Ok(Some((offer, gas, fees)));
            }
            empty.extend(gone);
        }
    }

    /// Deposits that hold nothing of what is to be moved.
    async fn without_money(&self, sweep: &PlannedSweep) -> Result<Vec<(InvoiceId, bool)>, LookError> {
        let addresses: Vec<Address> = sweep.deposits.iter().map(|deposit| deposit.address).collect();
        let assets: Vec<Option<Address>> =
            sweep.assets.iter().map(|asset| Some(*asset).filter(|asset| !asset.is_zero())).collect();
        let held = self.node.held(&addresses, &assets).await?;
        let is_empty = |held: &Vec<U256>| held.iter().all(|amount| *amount == U256::ZERO);
        let gone = sweep.deposits.iter().zip(held).filter(|(_, held)| is_empty(held));
        Ok(gone.map(|(deposit, _)| place(deposit)).collect())
    }

    /// What to give for gas: twice what a block asks for now, so that it is taken soon even when that rises, as far
    /// as one transaction may cost so much. `None` if it could not be taken now.
    fn within_limit(&self, gas: Gas, fees: Fees) -> Option<Fees> {
        let allowed = self.most_per_transaction.checked_sub(gas.below)?.checked_div(U256::from(gas.limit))?;
        let wanted = fees.base.saturating_mul(U256::from(2)).saturating_add(fees.tip);
        let least = fees.base.saturating_add(fees.base / U256::from(8)).saturating_add(fees.tip);
        (least <= allowed).then(|| Fees { base: wanted.min(allowed), tip: fees.tip })
    }

    /// A transaction with its fees, `fees.base` being all that may be given for a unit of gas.
    fn priced(&self, nonce: u64, sweep: &PlannedSweep, gas: Gas, fees: Fees) -> Result<SweepTransaction, LookError> {
        let sweep = SweepTransaction {
            network: self.network.name.clone(),
            account: self.key.address(),
            nonce,
            state: SweepState::Open,
            merchant: sweep.merchant,
            invoices: sweep.deposits.iter().map(|deposit| deposit.invoice).collect(),
            calldata: sweep.calldata.clone(),
            gas_limit: gas.limit,
            max_fee: fees.base,
            priority_fee: fees.tip,
            hashes: Vec::new(),
            reserved: fees.base.saturating_mul(U256::from(gas.limit)).saturating_add(gas.below),
            spent: None,
            block_number: None,
            priced: self.app.clock.now_ms(),
        };
        let hash = self.signed(&sweep)?.hash;
        Ok(SweepTransaction { hashes: vec![hash], ..sweep })
    }

    fn signed(&self, sweep: &SweepTransaction) -> Result<Signed, LookError> {
        let call = FactoryCall {
            chain_id: self.network.chain_id,
            nonce: sweep.nonce,
            max_fee: sweep.max_fee,
            priority_fee: sweep.priority_fee,
            gas_limit: sweep.gas_limit,
            calldata: &sweep.calldata,
        };
        // Its text could only be about the key.
        self.key.sign(&call).map_err(|_about_the_key| LookError::Unsigned)
    }

    /// Writes a transaction down before it is sent; `false` if the day's limit has no room for it.
    async fn reserve(&self, sweep: &SweepTransaction) -> Result<bool, StoreError> {
        let (lease, sweep, most) = (self.lease.clone(), sweep.clone(), self.most_per_day);
        let today = day(self.app.clock.now());
        let write = self.app.store.write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                let spent = tx.gas_spent(&sweep.network, today).await?;
                if most < spent.saturating_add(sweep.reserved) {
                    return Ok(false);
                }
                tx.insert_sweep_transaction(&sweep).await?;
                Ok(true)
            })
        });
        write.await
    }

    /// Writes a transaction down with another fee before it is sent; `false` if the day's limit has no room for it.
    async fn raise(&self, before: &SweepTransaction, sweep: &SweepTransaction) -> Result<bool, StoreError> {
        let (lease, sweep, most, reserved) = (self.lease.clone(), sweep.clone(), self.most_per_day, before.reserved);
        let today = day(self.app.clock.now());
        let write = self.app.store.write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                // What it may cost by now is among that.
                let spent = tx.gas_spent(&sweep.network, today).await?.saturating_sub(reserved);
                if most < spent.saturating_add(sweep.reserved) {
                    return Ok(false);
                }
                tx.update_sweep_transaction(&sweep).await?;
                Ok(true)
            })
        });
        write.await
    }

    async fn update(&self, sweep: SweepTransaction) -> Result<(), StoreError> {
        let lease = self.lease.clone();
        let write = self.app.store.write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                tx.update_sweep_transaction(&sweep).await
            })
        });
        write.await
    }

    /// Sends a transaction that was written down, or sends it again.
    async fn send(&mut self, sweep: &SweepTransaction) -> Result<(), LookError> {
        let signed = self.signed(sweep)?;
        let sent = self.node.send_raw(&signed.raw).await;
        failpoint::pass("sweep.after_send");
        match sent {
            Ok(()) => Ok(()),
            Err(StepError::Rpc(RpcError::Fault(fault))) => {
                let words = fault.message.to_lowercase();
                if words.contains("insufficient funds") {
                    self.tell(&Trouble::Empty { has: U256::ZERO, needs: sweep.reserved });
                } else if !words.contains("nonce too low") {
                    // With that, the next look says what took its place.
                    self.tell(&Trouble::Refused(fault.to_string()));
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks what became of the open transaction; sends it again while it is in no block.
    async fn follow(&mut self, open: SweepTransaction, read_until: u64) -> Result<Look, LookError> {
        if let Some((hash, receipt)) = self.receipt(&open).await? {
            self.looks_at_lost = 0;
            let confirmations = read_until.saturating_add(1).saturating_sub(receipt.block_number.to());
            if confirmations < u64::from(self.network.paid_after) {
                return Ok(Look::Idle);
            }
            failpoint::pass("sweep.before_record");
            self.close(open, hash, &receipt).await?;
            failpoint::pass("sweep.after_record");
            return Ok(Look::Progress);
        }
        if open.nonce < self.node.nonce(open.account).await? {
            self.looks_at_lost += 1;
            if LOOKS_AT_A_LOST_NUMBER <= self.looks_at_lost {
                self.looks_at_lost = 0;
                self.tell(&Trouble::UsedElsewhere);
                // What took its place is not known, so it may have cost as much.
                let spent = Some((open.reserved, day(self.app.clock.now())));
                self.update(SweepTransaction { state: SweepState::Lost, spent, ..open }).await?;
                return Ok(Look::Progress);
            }
            return Ok(Look::Idle);
        }
        self.looks_at_lost = 0;
        let waited_ms = self.app.clock.now_ms().0.saturating_sub(open.priced.0);
        let is_stuck = self.app.config.sweeps.replace_after_seconds.saturating_mul(1_000) <= waited_ms;
        let sweep = if is_stuck { self.raised(open).await? } else { open };
        self.send(&sweep).await?;
        Ok(Look::Idle)
    }

    /// The same transaction with a higher fee, if the limits allow it; else as it was.
    async fn raised(&mut self, open: SweepTransaction) -> Result<SweepTransaction, LookError> {
        let Some(fees) = self.node.fees().await? else { return Ok(open) };
        // Nodes take another one for the same number only if it gives a tenth more of both.
        let more = |fee: U256| fee.saturating_add(fee / U256::from(8)).saturating_add(U256::from(1));
        let limit = U256::from(open.gas_limit.max(1));
        let below = open.reserved.saturating_sub(open.max_fee.saturating_mul(limit));
        let allowed = self.most_per_transaction.saturating_sub(below) / limit;
        let wanted = fees.base.saturating_mul(U256::from(2)).saturating_add(fees.tip);
        let max_fee = wanted.max(more(open.max_fee)).min(allowed);
        let priority_fee = fees.tip.max(more(open.priority_fee));
        if max_fee < more(open.max_fee) || max_fee < priority_fee {
            self.tell(&Trouble::Stuck);
            return Ok(open);
        }
        let mut sweep = SweepTransaction {
            max_fee,
            priority_fee,
            reserved: max_fee.saturating_mul(limit).saturating_add(below),
            priced: self.app.clock.now_ms(),
            ..open.clone()
        };
        sweep.hashes.push(self.signed(&sweep)?.hash);
        if !self.raise(&open, &sweep).await? {
            self.tell(&Trouble::Stuck);
            return Ok(open);
        }
        failpoint::pass("sweep.after_raise");
        tracing::info!(
            payment.network = self.network.name,
            transaction = sweep.hashes.last().map(ToString::to_string),
            wei = %sweep.reserved,
            "a sweep that waits is sent with a higher fee"
        );
        Ok(sweep)
    }

    /// The receipt of whichever of a transaction's versions was mined.
    async fn receipt(&self, sweep: &SweepTransaction) -> Result<Option<(B256, Receipt)>, StepError> {
        for hash in sweep.hashes.iter().rev() {
            if let Some(receipt) = self.node.receipt(*hash).await? {
                return Ok(Some((*hash, receipt)));
            }
        }
        Ok(None)
    }

    /// Records what a transaction cost, and if it was undone, that it was.
    async fn close(&mut self, open: SweepTransaction, hash: B256, receipt: &Receipt) -> Result<(), LookError> {
        let block = receipt.block_number.to();
        let header = self.node.headers([block]).await?.pop().ok_or(StepError::Moved)?;
        let time = header.to_block().time;
        let cost = receipt.cost();
        let state = if receipt.succeeded() { SweepState::Mined } else { SweepState::Failed };
        let hash = hash.to_string();
        let closed = SweepTransaction { state, spent: Some((cost, day(time))), block_number: Some(block), ..open };
        let failures =
            if state == SweepState::Failed { self.failures(&closed, &hash, block, time) } else { Vec::new() };
        let (lease, record) = (self.lease.clone(), closed.clone());
        let write = self.app.store.write(move |tx| {
            Box::pin(async move {
                tx.check_lease(&lease).await?;
                tx.update_sweep_transaction(&record).await?;
                for failure in &failures {
                    tx.record_sweep_failure(failure).await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        write.await?;
        self.told.clear();
        tracing::info!(
            payment.network = self.network.name,
            transaction = hash,
            wei = %cost,
            succeeded = receipt.succeeded(),
            "a sweep was mined"
        );
        if state == SweepState::Failed {
            self.tell(&Trouble::Reverted);
        }
        Ok(())
    }

    /// That all of a sweep stayed where it was, so that it is not sent again at once.
    fn failures(&self, sweep: &SweepTransaction, hash: &str, block: u64, time: UnixSeconds) -> Vec<SweepFailureRecord> {
        let assets = sweepCall::abi_decode(&sweep.calldata).map(|call| call.assets).unwrap_or_default();
        let is_swept = |address: Option<Address>| assets.contains(&address.unwrap_or_default());
        let tokens: BTreeMap<_, _> = self
            .network
            .tokens
            .iter()
            .filter(|token| is_swept(token.address))
            .map(|token| (token.id, token.token_id()))
            .collect();
        let merchant: MerchantId = sweep.merchant;
        let failures = sweep.invoices.iter().flat_map(|invoice| {
            tokens.values().map(move |token| SweepFailureRecord {
                merchant,
                invoice: *invoice,
                network: sweep.network.clone(),
                token: *token,
                reason: "reverted".to_owned(),
                tx_id: hash.to_owned(),
                block_number: block,
                log_index: 0,
                failed_at: time,
            })
        });
        failures.collect()
    }

    /// Looks what became of a transaction of a key that was replaced. Nobody can send it again; after a day it is taken
    /// for lost.
    async fn follow_abandoned(&mut self, open: SweepTransaction) -> Result<(), LookError> {
        if let Some((hash, receipt)) = self.receipt(&open).await? {
            return self.close(open, hash, &receipt).await;
        }
        let waited_ms = self.app.clock.now_ms().0.saturating_sub(open.priced.0);
        if SECONDS_PER_DAY.saturating_mul(1_000) <= waited_ms {
            let spent = Some((open.reserved, day(self.app.clock.now())));
            self.update(SweepTransaction { state: SweepState::Lost, spent, ..open }).await?;
        }
        Ok(())
    }

    /// Tells of a trouble, unless that was done and it has not passed.
    fn tell(&mut self, trouble: &Trouble) {
        if !self.told.insert(std::mem::discriminant(trouble)) {
            tracing::debug!(payment.network = self.network.name, trouble = %trouble, "no sweep is sent");
            return;
        }
        let account = self.key.address();
        let Some(kind) = trouble.alarm() else {
            tracing::warn!(
                payment.network = self.network.name,
                account = %account,
                trouble = %trouble,
                "no sweep is sent for now"
            );
            return;
        };
        tracing::error!(
            alarm = kind,
            payment.network = self.network.name,
            account = %account,
            trouble = %trouble,
            "ALARM: the gas-only key {account} sends no sweeps on {}: {trouble}",
            self.network.name
        );
    }
}

/// Which deposit it is: an invoice's coin, or its tokens.
fn place(deposit: &DueDeposit) -> (InvoiceId, bool) {
    (deposit.invoice, deposit.assets.contains_key(&Address::ZERO))
}

/// How many days there have been since 1970, by UTC.
fn day(time: UnixSeconds) -> i64 {
    time.0.div_euclid(SECONDS_PER_DAY)
}

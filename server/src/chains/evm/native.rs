//! Native coin, which leaves no logs. A balance that rose says that something arrived; the block it rose
//! in says what, if its transactions or their inner calls explain it, and else only that it did.
//!
//! Everything that leaves a forwarder leaves through the factory and a `Swept` event, and what leaves an address that
//! somebody has the key of, by transactions of the address. So what arrived up to a block is its balance and what had left
//! by then, less what was held before.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, U256};

use super::{
    StepError,
    node::{Node, Transaction},
    position,
    traces::Trace,
};
use crate::{alarm, store::BlockRef};

/// Native coin that came to a deposit address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub deposit: Address,
    pub amount: U256,
    pub block: BlockRef,
    pub tx_id: String,
    pub position: i64,
    pub payer: Option<Address>,
}

/// A deposit address in the blocks being read.
#[derive(Clone, Debug)]
pub struct Account {
    pub deposit: Address,
    /// What it held before the first block, as far as we know.
    pub held: U256,
    /// What left it: block index and amount, in the chain's order.
    pub swept: Vec<(usize, U256)>,
}

/// Native coin that whoever has the key of an address took out of it, with what that cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    pub deposit: Address,
    pub amount: U256,
    pub block: BlockRef,
    pub transaction: B256,
    pub position: i64,
}

/// What one address received in one block.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rise {
    deposit: Address,
    amount: U256,
    /// What it held before that block.
    held: U256,
    /// What was swept out of it in that block.
    swept: U256,
}

/// Addresses that hold less than arrived. Each is told of once, and again only when that changes.
#[derive(Debug, Default)]
pub struct Shortfalls(HashMap<Address, U256>);

impl Shortfalls {
    fn is_news(&mut self, deposit: Address, missing: U256) -> bool {
        match missing {
            U256::ZERO => {
                self.0.remove(&deposit);
                false
            }
            missing => self.0.insert(deposit, missing) != Some(missing),
        }
    }
}

impl Account {
    fn swept_until(&self, block: usize) -> U256 {
        self.swept
            .iter()
            .filter(|(swept_in, _)| *swept_in <= block)
            .fold(U256::ZERO, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    fn swept_in(&self, block: usize) -> U256 {
        self.swept
            .iter()
            .filter(|(swept_in, _)| *swept_in == block)
            .fold(U256::ZERO, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// What had arrived by the end of a block, given the balance then.
    fn arrived_until(&self, block: usize, balance: U256) -> U256 {
        balance.saturating_add(self.swept_until(block)).saturating_sub(self.held)
    }

    fn rise(&self, block: usize, before: U256, after: U256) -> Rise {
        let earlier = block.checked_sub(1).map_or(U256::ZERO, |earlier| self.swept_until(earlier));
        Rise {
            deposit: self.deposit,
            amount: after.saturating_sub(before),
            held: self.held.saturating_add(before).saturating_sub(earlier),
            swept: self.swept_in(block),
        }
    }
}

/// Finds what arrived in `blocks`.
pub async fn arrivals(
    node: &mut Node,
    blocks: &[BlockRef],
    accounts: &[Account],
    shortfalls: &mut Shortfalls,
) -> Result<Vec<Arrival>, StepError> {
    let Some((last, newest)) = blocks.len().checked_sub(1).zip(blocks.last()) else { return Ok(Vec::new()) };
    let addresses: Vec<Address> = accounts.iter().map(|account| account.deposit).collect();
    let balances = node.balances(None, &addresses, newest).await?.ok_or(StepError::Moved)?;
    let mut rises: HashMap<usize, Vec<Rise>> = HashMap::new();
    for (account, balance) in accounts.iter().zip(balances) {
        let missing = account.held.saturating_sub(balance.saturating_add(account.swept_until(last)));
        if shortfalls.is_news(account.deposit, missing) {
            tracing::error!(
                alarm = alarm::DEPOSIT_SHORT,
                payment.address = %account.deposit,
                payment.missing = %missing,
                "ALARM: a deposit address holds less than arrived and is known to have left"
            );
        }
        let arrived = account.arrived_until(last, balance);
        if arrived == U256::ZERO {
            continue;
        }
        for (block, rise) in locate(node, blocks, account, arrived).await? {
            rises.entry(block).or_default().push(rise);
        }
    }
    let mut in_order: Vec<_> = rises.into_iter().collect();
    in_order.sort_by_key(|(block, _)| *block);
    let mut arrivals = Vec::new();
    for (block, rises) in in_order {
        arrivals.extend(explain(node, &blocks[block], &rises).await?);
    }
    Ok(arrivals)
}

/// Finds what addresses sent in `blocks` by their keys' own transactions: those that sent more by the last block than by
/// `base`, the one before the first, where that is known.
pub async fn departures(
    node: &Node,
    base: Option<&BlockRef>,
    blocks: &[BlockRef],
    addresses: &[Address],
) -> Result<Vec<Departure>, StepError> {
    let Some(newest) = blocks.last().filter(|_| !addresses.is_empty()) else { return Ok(Vec::new()) };
    let after = node.nonces_at(addresses, newest).await?.ok_or(StepError::Moved)?;
    // One that never sent anything, as nearly all, needs no second question.
    let active: Vec<(Address, u64)> = addresses.iter().copied().zip(after).filter(|(_, sent)| *sent != 0).collect();
    let senders: Vec<Address> = active.iter().map(|(address, _)| *address).collect();
    if senders.is_empty() {
        return Ok(Vec::new());
    }
    // Where the state of that block is gone, the blocks themselves tell.
    let before = match base {
        Some(base) => node.nonces_at(&senders, base).await?,
        None => None,
    };
    let is_active = |(place, (_, after)): &(usize, &(Address, u64))| {
        before.as_ref().is_none_or(|before| before.get(*place).is_none_or(|before| before < after))
    };
    let senders: Vec<Address> = active.iter().enumerate().filter(is_active).map(|(_, (address, _))| *address).collect();
    if senders.is_empty() {
        return Ok(Vec::new());
    }
    let mut departures = Vec::new();
    for block in blocks {
        for transaction in node.transactions(block).await? {
            if !senders.contains(&transaction.from) {
                continue;
            }
            let receipt = node.receipt(transaction.hash).await?.ok_or(StepError::Moved)?;
            if receipt.block_hash.to_string() != block.hash {
                return Err(StepError::Moved);
            }
            let sent = if receipt.succeeded() && transaction.to != Some(transaction.from) {
                transaction.value
            } else {
                U256::ZERO
            };
            let amount = sent.saturating_add(receipt.cost());
            if amount.is_zero() {
                continue;
            }
            departures.push(Departure {
                deposit: transaction.from,
                amount,
                block: block.clone(),
                transaction: transaction.hash,
                position: position::of_native(transaction.index.to(), 0),
            });
        }
    }
    Ok(departures)
}

/// Halves the stretch until each rise has its block.
async fn locate(
    node: &mut Node,
    blocks: &[BlockRef],
    account: &Account,
    arrived: U256,
) -> Result<Vec<(usize, Rise)>, StepError> {
    /// The blocks from `first` to `last`; what had arrived before the first and by the end of the last.
    struct Stretch {
        first: usize,
        last: usize,
        before: U256,
        after: U256,
    }

    let mut found = Vec::new();
    let mut open = vec![Stretch { first: 0, last: blocks.len() - 1, before: U256::ZERO, after: arrived }];
    while let Some(Stretch { first, last, before, after }) = open.pop() {
        if after <= before {
            continue;
        }
        if first == last {
            found.push((first, account.rise(first, before, after)));
            continue;
        }
        let middle = first.midpoint(last);
        let Some(balance) =
            node.balances(None, &[account.deposit], &blocks[middle]).await?.and_then(|mut all| all.pop())
        else {
            // The state of old blocks is gone. The transactions of each block may still tell.
            found.extend(locate_by_transactions(node, blocks, account, first..=last, before, after).await?);
            continue;
        };
        // An endpoint that lies of one block must not make more of it than there is.
        let halfway = account.arrived_until(middle, balance).clamp(before, after);
        open.push(Stretch { first: middle + 1, last, before: halfway, after });
        open.push(Stretch { first, last: middle, before, after: halfway });
    }
    Ok(found)
}

/// Without balances: what the transactions of each block name, and the rest in the last block, the only
/// one whose balance is known.
async fn locate_by_transactions(
    node: &Node,
    blocks: &[BlockRef],
    account: &Account,
    stretch: std::ops::RangeInclusive<usize>,
    before: U256,
    after: U256,
) -> Result<Vec<(usize, Rise)>, StepError> {
    let last = *stretch.end();
    let mut found = Vec::new();
    let mut arrived = before;
    for block in stretch {
        let direct = direct_payments(node, &blocks[block], &[account.deposit]).await?;
        let sum = direct.iter().fold(U256::ZERO, |sum, (transaction, _)| sum.saturating_add(transaction.value));
        let until = if block == last { after } else { arrived.saturating_add(sum).min(after) };
        if arrived < until {
            found.push((block, account.rise(block, arrived, until)));
        }
        arrived = until;
    }
    Ok(found)
}

/// Tells where each rise of a block came from.
async fn explain(node: &mut Node, here: &BlockRef, rises: &[Rise]) -> Result<Vec<Arrival>, StepError> {
    let deposits: Vec<Address> = rises.iter().map(|rise| rise.deposit).collect();
    let mut arrivals: Vec<Arrival> = direct_payments(node, here, &deposits)
        .await?
        .into_iter()
        .map(|(transaction, deposit)| Arrival {
            deposit,
            amount: transaction.value,
            block: here.clone(),
            tx_id: transaction.hash.to_string(),
            position: position::of_native(transaction.index.to(), 0),
            payer: Some(transaction.from),
        })
        .collect();

    let missing_for = |rise: &Rise, arrivals: &[Arrival]| rise.amount.saturating_sub(sum_for(rise.deposit, arrivals));
    let missing: HashMap<Address, U256> = rises
        .iter()
        .map(|rise| (rise.deposit, missing_for(rise, &arrivals)))
        .filter(|(_, missing)| *missing != U256::ZERO)
        .collect();
    if !missing.is_empty() && node.can_trace() {
        let inner = inner_payments(node, here, &missing).await?;
        for (deposit, missing) in &missing {
            // A tracer that tells more than the balance rose by is not believed.
            if sum_for(*deposit, &inner) <= *missing {
                arrivals.extend(inner.iter().filter(|arrival| arrival.deposit == *deposit).cloned());
            }
        }
    }
    for rise in rises {
        let explained = sum_for(rise.deposit, &arrivals);
        arrivals.extend(unexplained(rise, explained, here));
    }
    Ok(arrivals)
}

fn sum_for(deposit: Address, arrivals: &[Arrival]) -> U256 {
    arrivals
        .iter()
        .filter(|arrival| arrival.deposit == deposit)
        .fold(U256::ZERO, |sum, arrival| sum.saturating_add(arrival.amount))
}

/// The part of a rise that nothing explains, under an id made of the block. What a sweep of the same
/// block took must have arrived before it, the rest after.
fn unexplained(rise: &Rise, explained: U256, here: &BlockRef) -> Vec<Arrival> {
    let missing = rise.amount.saturating_sub(explained);
    let swept = rise.swept.saturating_sub(rise.held).saturating_sub(explained).min(missing);
    [(swept, position::before_all(rise.deposit)), (missing.saturating_sub(swept), position::after_all(rise.deposit))]
        .into_iter()
        .filter(|(amount, _)| *amount != U256::ZERO)
        .map(|(amount, position)| Arrival {
            deposit: rise.deposit,
            amount,
            block: here.clone(),
            tx_id: format!("internal:{}", here.hash),
            position,
            payer: None,
        })
        .collect()
}

/// Transactions of a block that name one of the addresses themselves, carry value and succeeded.
async fn direct_payments(
    node: &Node,
    block: &BlockRef,
    deposits: &[Address],
) -> Result<Vec<(Transaction, Address)>, StepError> {
    let candidates: Vec<(Transaction, Address)> = node
        .transactions(block)
        .await?
        .into_iter()
        .filter_map(|transaction| {
            let to = transaction.to.filter(|to| deposits.contains(to) && transaction.value != U256::ZERO)?;
            Some((transaction, to))
        })
        .collect();
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let hashes: Vec<_> = candidates.iter().map(|(transaction, _)| transaction.hash).collect();
    let succeeded = node.succeeded(&hashes, block).await?;
    Ok(candidates.into_iter().zip(succeeded).filter_map(|(payment, succeeded)| succeeded.then_some(payment)).collect())
}

/// Value that calls inside a block's transactions brought to addresses that miss an explanation.
async fn inner_payments(
    node: &mut Node,
    here: &BlockRef,
    missing: &HashMap<Address, U256>,
) -> Result<Vec<Arrival>, StepError> {
    let Some(traces) = node.traces(here).await? else { return Ok(Vec::new()) };
    let transactions = node.transactions(here).await?;
    if transactions.len() != traces.len() {
        return Ok(Vec::new());
    }
    let mut arrivals = Vec::new();
    for (transaction, trace) in transactions.iter().zip(&traces) {
        let mut nth = 0;
        let mut calls = Vec::new();
        inner_values(trace, &mut calls);
        let mut last_sweep = HashMap::new();
        for (call, (from, ..)) in calls.iter().enumerate() {
            last_sweep.insert(*from, call);
        }
        for (call, (from, to, amount)) in calls.into_iter().enumerate() {
            if !missing.contains_key(&to) {
                continue;
            }
            nth += 1;
            // What takes coin out of the address in another's transaction is a sweep.
            let is_left = last_sweep.get(&to).is_some_and(|sweep| *sweep < call);
            let position = if is_left { position::of_native_after_sweep } else { position::of_native };
            arrivals.push(Arrival {
                deposit: to,
                amount,
                block: here.clone(),
                tx_id: transaction.hash.to_string(),
                position: position(transaction.index.to(), nth),
                payer: Some(from),
            });
        }
    }
    Ok(arrivals)
}

/// Collects who sent what to whom below a call, in order; nothing below a call that failed.
fn inner_values(trace: &Trace, found: &mut Vec<(Address, Address, U256)>) {
    if trace.error.is_some() {
        return;
    }
    for call in &trace.calls {
        let moves_value = matches!(call.kind.as_str(), "CALL" | "CREATE" | "CREATE2" | "SELFDESTRUCT");
        if let (true, None, Some(to), Some(value)) = (moves_value, &call.error, call.to, call.value)
            && value != U256::ZERO
        {
            found.push((call.from, to, value));
        }
        inner_values(call, found);
    }
}

#[cfg(test)]
mod tests {
    use domain::time::UnixSeconds;

    use super::*;

    const DEPOSIT: Address = Address::repeat_byte(0xdd);

    fn units(units: u64) -> U256 {
        U256::from(units)
    }

    #[track_caller]
    fn check_unexplained(rise: (u64, u64, u64), explained: u64, before_and_after: (u64, u64)) {
        let (amount, held, swept) = rise;
        let rise = Rise { deposit: DEPOSIT, amount: units(amount), held: units(held), swept: units(swept) };
        let block = BlockRef { number: 7, hash: B256::ZERO.to_string(), time: UnixSeconds(0) };
        let arrivals = unexplained(&rise, units(explained), &block);
        let at = |position| {
            arrivals.iter().filter(|arrival| arrival.position == position).map(|arrival| arrival.amount).sum::<U256>()
        };
        assert_eq!(
            (at(position::before_all(DEPOSIT)), at(position::after_all(DEPOSIT))),
            (units(before_and_after.0), units(before_and_after.1))
        );
        assert_eq!(sum_for(DEPOSIT, &arrivals), units(amount - explained));
    }

    #[test]
    fn what_a_sweep_of_the_block_took_arrived_before_it() {
        check_unexplained((5, 0, 0), 0, (0, 5));
        check_unexplained((5, 0, 5), 0, (5, 0));
        check_unexplained((5, 3, 3), 0, (0, 5));
        check_unexplained((5, 3, 6), 0, (3, 2));
        check_unexplained((5, 0, 2), 2, (0, 3));
        check_unexplained((5, 0, 0), 5, (0, 0));
    }

    #[test]
    fn a_shortfall_is_told_of_once_for_each_change() {
        let mut shortfalls = Shortfalls::default();
        let missing = [0, 5, 5, 7, 7, 0, 0, 7];
        let told = missing.map(|missing| shortfalls.is_news(DEPOSIT, units(missing)));
        assert_eq!(told, [false, true, false, true, false, false, false, true]);
        assert!(shortfalls.is_news(Address::ZERO, units(7)));
    }

    #[test]
    fn only_calls_that_succeeded_move_value() {
        let call = |kind: &str, to: u8, value: u64, error: Option<&str>, calls: Vec<Trace>| Trace {
            kind: kind.to_owned(),
            from: Address::ZERO,
            to: Some(Address::repeat_byte(to)),
            value: Some(units(value)),
            error: error.map(str::to_owned),
            calls,
        };
        let trace = call(
            "CALL",
            1,
            100,
            None,
            vec![
                call("CALL", 2, 1, None, vec![call("SELFDESTRUCT", 3, 2, None, vec![])]),
                call("DELEGATECALL", 4, 4, None, vec![]),
                call("CALL", 5, 8, Some("execution reverted"), vec![call("CALL", 6, 16, None, vec![])]),
                call("CALL", 7, 0, None, vec![]),
            ],
        );
        let mut found = Vec::new();
        inner_values(&trace, &mut found);
        let found: Vec<_> = found.into_iter().map(|(_, to, value)| (to[0], value)).collect();
        assert_eq!(found, [(2, units(1)), (3, units(2))]);
    }

    #[test]
    fn a_rise_knows_what_was_held_before_its_block() {
        let account = Account { deposit: DEPOSIT, held: units(10), swept: vec![(1, units(10)), (3, units(4))] };
        assert_eq!(account.arrived_until(0, units(10)), units(0));
        assert_eq!(account.arrived_until(2, units(4)), units(4));
        assert_eq!(account.arrived_until(3, units(0)), units(4));
        let rise = account.rise(3, units(4), units(9));
        assert_eq!(rise, Rise { deposit: DEPOSIT, amount: units(5), held: units(4), swept: units(4) });
    }
}

//! Which of what is due is worth its sweep now, by [`domain::settlement::SweepRule`], and what that costs.
//!
//! What a sweep costs is asked of the chain: the gas of the very calls, at the present price. All of it is whole numbers.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::U256;
use domain::{
    id::{MerchantId, TokenId},
    money::{Decimals, ExactUsd, Rate, TokenAmount, UsdMillis},
    settlement::{LeftBecause, Waiting},
};

use super::settle::{DueDeposit, MOST_DEPOSITS, PlannedSweep, by_group, due_deposits};
use crate::{app::App, chains::evm::Node, config::NetworkConfig, store::StoreError};

/// A sweep, and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepOffer {
    pub sweep: PlannedSweep,
    /// `None` if something in it has no price.
    pub value: Option<UsdMillis>,
    /// `None` if the chain does not say.
    pub cost: Option<SweepCost>,
}

/// What a sweep costs at the present price of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepCost {
    pub gas: u64,
    /// All of it.
    pub wei: U256,
    /// What of that is not for gas, but for writing to the chain below.
    pub below: U256,
    /// `None` if the network's coin has no price.
    pub usd: Option<UsdMillis>,
}

/// Deposits that are left where they are for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftDeposits {
    pub network: String,
    pub merchant: MerchantId,
    pub because: LeftBecause,
    pub deposits: Vec<DueDeposit>,
    /// Of those that have a price.
    pub value: UsdMillis,
}

/// What to sweep, and what not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepPlan {
    pub offers: Vec<SweepOffer>,
    pub left: Vec<LeftDeposits>,
}

/// What is wanted of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it, whatever it costs.
    Everything,
    /// What is worth its sweep, or has waited for long.
    WorthIt,
}

/// Plans sweeps of what is due.
///
/// # Errors
///
/// If the database refuses. A chain that does not answer only leaves open what sweeps cost.
pub async fn offer_sweeps(
    app: &App,
    merchant: Option<MerchantId>,
    network: Option<&str>,
    wanted: Wanted,
) -> Result<SweepPlan, StoreError> {
    offer(app, due_deposits(app, merchant, network).await?, wanted, MOST_DEPOSITS).await
}

/// Plans sweeps of what is worth it on a network with at most so many deposits in each, of those that fit only.
///
/// # Errors
///
/// If the database refuses.
pub(crate) async fn offer_smaller_sweeps(
    app: &App,
    network: &str,
    most: usize,
    fits: impl Fn(&DueDeposit) -> bool,
) -> Result<SweepPlan, StoreError> {
    let mut due = due_deposits(app, None, Some(network)).await?;
    due.retain(|deposit| fits(deposit));
    offer(app, due, Wanted::WorthIt, most.min(MOST_DEPOSITS)).await
}

async fn offer(app: &App, due: Vec<DueDeposit>, wanted: Wanted, most: usize) -> Result<SweepPlan, StoreError> {
    let mut plan = SweepPlan::default();
    let mut left: BTreeMap<(String, MerchantId, LeftBecause), Vec<DueDeposit>> = BTreeMap::new();
    let mut markets: HashMap<String, Option<Market>> = HashMap::new();
    let mut prices = Prices { app, known: HashMap::new() };
    for ((network, merchant, ..), deposits) in by_group(due) {
        if !markets.contains_key(&network) {
            let market = match app.config.network(&network) {
                Some(config) => Market::ask(config, &mut prices).await,
                None => None,
            };
            markets.insert(network.clone(), market);
        }
        let market = markets.get(&network).and_then(Option::as_ref);
        let batches = match wanted {
            Wanted::Everything => deposits.chunks(most).map(<[DueDeposit]>::to_vec).collect(),
            Wanted::WorthIt => {
                let costs = match market {
                    Some(market) => market.costs(&deposits).await,
                    None => Costs::default(),
                };
                let mut waiting = Vec::with_capacity(deposits.len());
                for deposit in &deposits {
                    waiting.push(Waiting {
                        value: prices.value(std::slice::from_ref(deposit)).await,
                        cost: costs.each(deposit.was_swept),
                        since: deposit.since,
                        failed_at: deposit.failed_at,
                    });
                }
                let choice = app.config.sweeps.rule().choose(&waiting, costs.base, most, app.clock.now());
                for (index, because) in choice.left {
                    let entry = left.entry((network.clone(), merchant, because)).or_default();
                    entry.push(deposits[index].clone());
                }
                let batch = |indexes: &Vec<usize>| indexes.iter().map(|index| deposits[*index].clone()).collect();
                choice.batches.iter().map(batch).collect::<Vec<Vec<DueDeposit>>>()
            }
        };
        for batch in batches {
            let value = prices.value(&batch).await.map(ExactUsd::rounded_down);
            let Some(sweep) = PlannedSweep::of(batch) else { continue };
            let cost = match market {
                Some(market) => market.cost(&sweep).await,
                None => None,
            };
            plan.offers.push(SweepOffer { sweep, value, cost });
        }
    }
    for ((network, merchant, because), deposits) in left {
        let mut value = ExactUsd::default();
        for deposit in &deposits {
            value = value.plus(prices.value(std::slice::from_ref(deposit)).await.unwrap_or_default());
        }
        let value = value.rounded_down();
        plan.left.push(LeftDeposits { network, merchant, because, deposits, value });
    }
    Ok(plan)
}

/// What tokens are worth now, each asked for once.
struct Prices<'a> {
    app: &'a App,
    known: HashMap<TokenId, Option<Rate>>,
}

impl Prices<'_> {
    async fn rate(&mut self, token: TokenId) -> Option<Rate> {
        if let Some(rate) = self.known.get(&token) {
            return *rate;
        }
        // Why there is none does not matter: what has no price waits.
        let rate = self.app.prices.current(token).await.ok();
        self.known.insert(token, rate);
        rate
    }

    /// What is due in some deposits; `None` if something in them has no price.
    async fn value(&mut self, deposits: &[DueDeposit]) -> Option<ExactUsd> {
        let mut value = ExactUsd::default();
        for due in deposits.iter().flat_map(|deposit| deposit.assets.values()) {
            value = value.plus(self.rate(due.token).await?.exact_worth(due.amount, due.decimals));
        }
        Some(value)
    }
}

/// What gas costs on one network.
struct Market {
    node: Node,
    wei_per_gas: U256,
    /// Of the network's own coin.
    rate: Option<Rate>,
}

/// What sweeps of one group cost.
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    /// A transaction, beside its deposits.
    base: Option<ExactUsd>,
    first: Option<ExactUsd>,
    again: Option<ExactUsd>,
}

impl Costs {
    fn each(self, was_swept: bool) -> Option<ExactUsd> {
        if was_swept { self.again } else { self.first }
    }
}

impl Market {
    async fn ask(config: &NetworkConfig, prices: &mut Prices<'_>) -> Option<Self> {
        let node = Node::new(config);
        let coin = config.tokens.iter().find(|token| token.address.is_none());
        let rate = match coin {
            Some(coin) => prices.rate(coin.token_id()).await,
            None => None,
        };
        match node.gas_price().await {
            Ok(wei_per_gas) => Some(Self { node, wei_per_gas, rate }),
            Err(error) => {
                tracing::warn!(payment.network = config.name, error = %error, "nobody says what gas costs");
                None
            }
        }
    }

    /// What deposits of one group cost that were swept before, and those that were not.
    async fn costs(&self, deposits: &[DueDeposit]) -> Costs {
        let (again, first): (Vec<_>, Vec<_>) = deposits.iter().cloned().partition(|deposit| deposit.was_swept);
        let (first, again) = (self.gas(&first).await, self.gas(&again).await);
        let usd = |gas: u64| self.exact_usd(U256::from(gas).saturating_mul(self.wei_per_gas));
        let base = first.map(|(base, _)| base).max(again.map(|(base, _)| base));
        let many = PlannedSweep::of(deposits[..deposits.len().min(MOST_DEPOSITS)].to_vec());
        let below = match &many {
            Some(sweep) => self.node.fee_below(sweep.chain_id, &sweep.calldata).await.ok(),
            None => None,
        };
        let below = below.and_then(|below| self.exact_usd(below));
        Costs {
            base: base.and_then(usd).zip(below).map(|(base, below)| base.plus(below)),
            first: first.and_then(|(_, each)| usd(each)),
            again: again.and_then(|(_, each)| usd(each)),
        }
    }

    /// Gas of a transaction, and of each deposit in it, from a sweep of one and a sweep of many.
    async fn gas(&self, deposits: &[DueDeposit]) -> Option<(u64, u64)> {
        let many = &deposits[..deposits.len().min(MOST_DEPOSITS)];
        let sweeps: Vec<_> = [&many[..many.len().min(1)], many]
            .into_iter()
            .filter_map(|part| PlannedSweep::of(part.to_vec()))
            .map(|sweep| (sweep.to, sweep.calldata))
            .collect();
        if sweeps.is_empty() {
            return None;
        }
        let gas = self.node.estimate_gas(&sweeps).await.ok()?;
        let (one, all) = (*gas.first()?.as_ref()?, *gas.last()?.as_ref()?);
        let others = u64::try_from(many.len()).ok()?.checked_sub(1)?;
        // Of one alone it is all the same which part is called what.
        let each = all.saturating_sub(one).checked_div(others).unwrap_or(one);
        Some((one.saturating_sub(each), each))
    }

    async fn cost(&self, sweep: &PlannedSweep) -> Option<SweepCost> {
        let gas = self.node.estimate_gas(&[(sweep.to, sweep.calldata.clone())]).await.ok()?;
        let gas = *gas.first()?.as_ref()?;
        let below = self.node.fee_below(sweep.chain_id, &sweep.calldata).await.ok()?;
        let wei = U256::from(gas).saturating_mul(self.wei_per_gas).saturating_add(below);
        Some(SweepCost { gas, wei, below, usd: self.exact_usd(wei).map(ExactUsd::rounded_down) })
    }

    fn exact_usd(&self, wei: U256) -> Option<ExactUsd> {
        Some(self.rate?.exact_worth(TokenAmount::from_base_units(wei), Decimals::new(18)?))
    }
}

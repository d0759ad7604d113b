//! What is due to a merchant, and the calls that hand it on.

use serde::{Deserialize, Serialize};

/// The answer to `GET /api/v1/merchant/sweeps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SweepPlan {
    /// Always `sweep_plan`.
    pub object: String,
    /// What is due is offered once it is worth more than so many times what its sweep costs,
    pub worth_times_cost: u32,
    /// or once it has waited for so many days.
    pub after_days: i64,
    /// Calls that any wallet may send; money only ever goes to the receiver.
    pub sweeps: Vec<Sweep>,
    /// What is due and not offered.
    pub left: Vec<LeftDeposits>,
    /// What earlier sweeps could not move, the newest first; a hundred at most.
    pub failures: Vec<FailedDeposit>,
}

/// One transaction that empties deposit addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Sweep {
    pub network: String,
    /// For people.
    pub network_title: String,
    pub chain_id: u64,
    /// The wallet that all of it goes to.
    pub receiver: String,
    /// The deposit factory.
    pub to: String,
    /// Always `0`.
    pub value: String,
    /// What the factory is called with, in hexadecimal.
    pub data: String,
    pub amounts: Vec<SweepAmount>,
    pub deposits: Vec<SweepDeposit>,
    /// In thousandths of a dollar; null if a token has no price at present.
    pub value_usd_millis: Option<u64>,
    pub cost: Option<SweepCost>,
}

/// How much of one token is moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SweepAmount {
    pub token_id: i64,
    pub token_symbol: String,
    /// Null for the network's own coin.
    pub token_address: Option<String>,
    pub token_decimals: u8,
    /// Whole tokens, as a plain decimal.
    pub token_amount: String,
}

/// An address that is emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SweepDeposit {
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub invoice_id: String,
    pub address: String,
    /// What the address is derived from, together with the receiver.
    pub salt: String,
    /// Block time of the oldest payment in it.
    pub since: i64,
}

/// What a transaction costs at the present price of gas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct SweepCost {
    pub gas: u64,
    /// In the smallest unit of the network's coin.
    pub wei: String,
    /// In thousandths of a dollar; null if the coin has no price at present.
    pub usd_millis: Option<u64>,
}

/// Deposits that are left where they are for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct LeftDeposits {
    pub network: String,
    pub reason: LeftReason,
    pub deposits: Vec<SweepDeposit>,
    /// Of those that have a price, in thousandths of a dollar.
    pub value_usd_millis: u64,
}

/// Why deposits are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeftReason {
    /// They are not worth what that costs.
    NotWorthIt,
    /// A token in them has no price at present.
    ValueUnknown,
    /// The network does not say what gas costs, or its coin has no price.
    CostUnknown,
    /// A sweep could not move them not long ago.
    Failed,
}

/// What a sweep could not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct FailedDeposit {
    pub network: String,
    #[cfg_attr(not(target_arch = "wasm32"), schema(format = "uuid"))]
    pub invoice_id: String,
    pub token_id: i64,
    pub token_symbol: String,
    /// `refused` if token or wallet refused the transfer, `no_balance` if the token does not say what is there,
    /// `reverted` if all of the transaction was undone, or `other`.
    pub reason: String,
    pub tx_hash: String,
    /// Block time of the last time.
    pub failed_at: i64,
}

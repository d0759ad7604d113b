//! The questions the watcher asks a node, with typed answers.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, U64, U256, address};
use alloy_sol_types::SolCall;
use domain::time::UnixSeconds;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    StepError, balances,
    logs::{RawLog, SENT},
    tags::HostTags,
    traces::{Trace, Tracer},
};
use crate::{
    chains::rpc::{AddedEndpoints, Answer, Call, EndpointReport, FaultKind, HostAnswers, Rpc, RpcError},
    config::NetworkConfig,
    store::BlockRef,
    webhooks::Targets,
};

alloy_sol_types::sol! {
    function balanceOf(address owner) external view returns (uint256 amount);
    function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256 fee);
}

/// Networks that charge for writing to the chain below beside what gas costs, and the contract that says how much.
const OP_STACK: [u64; 4] = [10, 8_453, 84_532, 11_155_420];
const L1_FEES: Address = address!("0x420000000000000000000000000000000000000F");
/// Of a transaction, beside what its contract is called with.
const ENVELOPE_BYTES: usize = 120;

/// So long balances are asked for one by one after they were not told together.
const ONE_BY_ONE_FOR: Duration = Duration::from_mins(10);

/// A network's endpoints, and what they have shown to be able to do.
pub struct Node {
    rpc: Rpc,
    /// Whether balances can be asked for by block hash; some endpoints know numbers only.
    pins_by_hash: bool,
    /// Addresses in one call that reads balances; shrinks when refused.
    together: usize,
    /// Until when balances are asked for one by one, because they were not told together.
    one_by_one_until: Option<Instant>,
    /// How calls inside transactions are asked for; `None` if no endpoint tells of them.
    tracer: Option<Tracer>,
}

/// A block's header, as far as we look at it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub number: U64,
    pub hash: B256,
    pub parent_hash: B256,
    pub timestamp: U64,
}

impl Header {
    pub fn to_block(&self) -> BlockRef {
        BlockRef {
            number: self.number.to(),
            hash: self.hash.to_string(),
            time: UnixSeconds(i64::try_from(self.timestamp.to::<u64>()).unwrap_or(i64::MAX)),
        }
    }
}

/// A transaction inside a block's body.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    pub hash: B256,
    pub from: Address,
    pub to: Option<Address>,
    pub value: U256,
    #[serde(rename = "transactionIndex")]
    pub index: U64,
}

/// What gas costs, by EIP-1559.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    pub base: U256,
    pub tip: U256,
}

/// What became of a transaction.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub status: U64,
    pub block_number: U64,
    pub block_hash: B256,
    gas_used: U256,
    effective_gas_price: U256,
    /// What a network on top of another asks for writing there.
    #[serde(default)]
    l1_fee: Option<U256>,
}

impl Receipt {
    pub fn succeeded(&self) -> bool {
        self.status == U64::from(1)
    }

    /// What its sender paid for it.
    pub fn cost(&self) -> U256 {
        self.gas_used.saturating_mul(self.effective_gas_price).saturating_add(self.l1_fee.unwrap_or_default())
    }
}

/// What logs are wanted of a stretch of blocks.
pub struct LogFilter<'a> {
    pub contracts: &'a [Address],
    pub events: &'a [B256],
    /// Addresses that are paid to, in groups that one call may hold.
    pub groups: Vec<&'a [Address]>,
    /// Addresses whose own transfers are wanted too, the same way.
    pub senders: Vec<&'a [Address]>,
}

impl Node {
    /// The operator's own endpoints.
    pub fn new(network: &NetworkConfig) -> Self {
        Self {
            rpc: Rpc::new(network),
            pins_by_hash: true,
            together: balances::TOGETHER,
            one_by_one_until: None,
            tracer: Some(Tracer::FIRST),
        }
    }

    /// The operator's own endpoints, and behind them those that were and will be added.
    pub fn with_added(network: &NetworkConfig, added: &AddedEndpoints, targets: Targets) -> Self {
        Self { rpc: Rpc::with_added(network, added, targets), ..Self::new(network) }
    }

    /// The same network as one of its hosts knows it.
    #[must_use]
    pub fn of_host(&self, host: &str) -> Self {
        Self {
            rpc: self.rpc.of_host(host),
            pins_by_hash: true,
            together: balances::TOGETHER,
            one_by_one_until: None,
            tracer: Some(Tracer::FIRST),
        }
    }

    /// Lets the endpoint that answered last rest, because its answer cannot be true.
    pub fn distrust_last(&self) {
        self.rpc.distrust_last();
    }

    pub async fn head(&self) -> Result<Header, StepError> {
        let answer = self.rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
        self.read("a block", answer)
    }

    /// What each host calls finalized, and safe if that is wanted too, and which block it has with this number.
    pub(super) async fn tags(&self, wants_safe: bool, number: u64) -> Vec<HostTags> {
        let tagged = |tag: &str| Call::new("eth_getBlockByNumber", json!([tag, false]));
        let mut calls = vec![header_call(number), tagged("finalized")];
        calls.extend(wants_safe.then(|| tagged("safe")));
        let said = self.rpc.ask_hosts(&calls).await;
        let tags = said.into_iter().map(|said| {
            // Who declines, or answers something else, does not know.
            let mut headers = said.answers.into_iter().map(|answer| serde_json::from_value(answer.ok()?).ok());
            let mut next = || headers.next().flatten();
            HostTags { newest: next(), finalized: next(), safe: next() }
        });
        tags.collect()
    }

    /// The hosts there are to ask.
    pub fn hosts(&self) -> BTreeSet<String> {
        self.rpc.hosts()
    }

    /// Asks every host the same.
    pub async fn ask_hosts(&self, calls: &[Call]) -> Vec<HostAnswers> {
        self.rpc.ask_hosts(calls).await
    }

    /// Whether any endpoint still knows a block.
    pub async fn is_known_anywhere(&self, block: &BlockRef) -> bool {
        let call = Call::new("eth_getBlockByHash", json!([block.hash, false]));
        self.rpc.ask_each(&call).await.iter().any(|answer| answer["hash"] == block.hash.as_str())
    }

    /// Headers by number, in that order.
    ///
    /// # Errors
    ///
    /// [`StepError::Moved`] if the endpoint does not have one of them.
    pub async fn headers(&self, numbers: impl IntoIterator<Item = u64>) -> Result<Vec<Header>, StepError> {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let calls: Vec<_> = numbers.iter().map(|number| header_call(*number)).collect();
        let answers = self.rpc.together(&calls).await?;
        let headers = answers.into_iter().zip(numbers).map(|(answer, number)| {
            let header: Header = match answer.map_err(RpcError::Fault)? {
                Value::Null => return Err(StepError::Moved),
                answer => self.read("a block", answer)?,
            };
            if header.number.to::<u64>() == number { Ok(header) } else { Err(self.untrue("another block's header")) }
        });
        headers.collect()
    }

    /// The logs of each block, asked for by its hash: an endpoint that does not have the block says so.
    pub async fn logs_by_block(&self, blocks: &[BlockRef], filter: &LogFilter<'_>) -> Result<Vec<RawLog>, StepError> {
        let calls: Vec<_> = blocks
            .iter()
            .flat_map(|block| filter.calls(&json!({ "blockHash": block.hash })).collect::<Vec<_>>())
            .collect();
        let mut logs = Vec::new();
        for answer in self.rpc.together(&calls).await? {
            match answer {
                Ok(answer) => logs.extend(self.read::<Vec<RawLog>>("logs", answer)?),
                // It cannot be the question's size, so the block is not there.
                Err(fault) if fault.kind == FaultKind::Other => return Err(StepError::Moved),
                Err(fault) => return Err(RpcError::Fault(fault).into()),
            }
        }
        Ok(logs)
    }

    /// The logs of a range of blocks, with a proof that the endpoint has the last of them: many answer
    /// "none" for blocks they have not seen.
    pub async fn logs_by_range(
        &self,
        first: u64,
        last: &BlockRef,
        filter: &LogFilter<'_>,
    ) -> Result<Vec<RawLog>, StepError> {
        let range = json!({ "fromBlock": hex(first), "toBlock": hex(last.number) });
        let mut calls: Vec<_> = filter.calls(&range).collect();
        calls.push(header_call(last.number));
        let mut answers = self.rpc.together(&calls).await?;
        let mut logs = Vec::new();
        let proof = answers.pop();
        for answer in answers {
            logs.extend(self.read::<Vec<RawLog>>("logs", answer.map_err(RpcError::Fault)?)?);
        }
        match proof {
            Some(Ok(block)) if block["hash"] == last.hash.as_str() => Ok(logs),
            _ => Err(StepError::Moved),
        }
    }

    /// What addresses hold of an asset after a block, `None` being the native coin. `None` if the endpoints no longer
    /// have the state of that block, or the token does not tell.
    pub async fn balances(
        &mut self,
        asset: Option<Address>,
        addresses: &[Address],
        block: &BlockRef,
    ) -> Result<Option<Vec<U256>>, StepError> {
        if addresses.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let may_be_together = self.one_by_one_until.is_none_or(|until| until <= Instant::now());
        if balances::FEW < addresses.len() && may_be_together {
            if let Some(balances) = self.balances_together(asset, addresses, block).await? {
                return Ok(Some(balances));
            }
            let pinned_by_hash = self.pins_by_hash;
            let balances = self.balances_one_by_one(asset, addresses, block).await?;
            // Otherwise the block's state is gone, whatever the question, or only the hash was not understood.
            if balances.is_some() && self.pins_by_hash == pinned_by_hash {
                self.one_by_one_until = Some(Instant::now() + ONE_BY_ONE_FOR);
            }
            return Ok(balances);
        }
        self.balances_one_by_one(asset, addresses, block).await
    }

    async fn balances_one_by_one(
        &mut self,
        asset: Option<Address>,
        addresses: &[Address],
        block: &BlockRef,
    ) -> Result<Option<Vec<U256>>, StepError> {
        let calls =
            |pin: &Value| addresses.iter().map(|address| balance_call(asset, *address, pin)).collect::<Vec<_>>();
        if self.pins_by_hash {
            let answers = self.rpc.together(&calls(&json!({ "blockHash": block.hash }))).await?;
            if !answers.iter().any(is_invalid_parameter) {
                return self.read_balances(answers);
            }
            self.pins_by_hash = false;
        }
        let answers = self.at_number(block, calls(&json!(hex(block.number)))).await?;
        self.read_balances(answers)
    }

    /// `None` if they cannot be had so.
    async fn balances_together(
        &mut self,
        asset: Option<Address>,
        addresses: &[Address],
        block: &BlockRef,
    ) -> Result<Option<Vec<U256>>, StepError> {
        loop {
            let groups = || addresses.chunks(self.together);
            let calls = |pin: &Value| groups().map(|group| balances::call(asset, group, pin)).collect::<Vec<_>>();
            let answers = if self.pins_by_hash {
                self.rpc.together(&calls(&json!({ "blockHash": block.hash }))).await?
            } else {
                self.at_number(block, calls(&json!(hex(block.number)))).await?
            };
            let is_too_much =
                answers.iter().any(|answer| matches!(answer, Err(fault) if fault.kind == FaultKind::TooMuch));
            if is_too_much && balances::FEW < self.together {
                self.together /= 2;
                continue;
            }
            let read = answers.iter().zip(groups()).map(|(answer, group)| {
                answer.as_ref().ok().and_then(|answer| balances::read(asset, answer, group.len()))
            });
            return Ok(read.collect::<Option<Vec<_>>>().map(|balances| balances.concat()));
        }
    }

    /// Asks about a block by its number, with a proof that it is that block.
    async fn at_number(&self, block: &BlockRef, mut calls: Vec<Call>) -> Result<Vec<Answer>, StepError> {
        calls.push(header_call(block.number));
        let mut answers = self.rpc.together(&calls).await?;
        match answers.pop() {
            Some(Ok(header)) if header["hash"] == block.hash.as_str() => Ok(answers),
            _ => Err(StepError::Moved),
        }
    }

    fn read_balances(&self, answers: Vec<Answer>) -> Result<Option<Vec<U256>>, StepError> {
        if answers.iter().any(Result::is_err) {
            return Ok(None);
        }
        let balances = answers.into_iter().flatten().map(|answer| self.read("a balance", answer));
        balances.collect::<Result<_, _>>().map(Some)
    }

    /// The transactions of a block.
    pub async fn transactions(&self, block: &BlockRef) -> Result<Vec<Transaction>, StepError> {
        #[derive(Deserialize)]
        struct Body {
            transactions: Vec<Transaction>,
        }
        let answer = self.rpc.call("eth_getBlockByHash", json!([block.hash, true])).await?;
        if answer.is_null() {
            return Err(StepError::Moved);
        }
        Ok(self.read::<Body>("a block's body", answer)?.transactions)
    }

    /// Which of these transactions did what they say, in their order.
    pub async fn succeeded(&self, hashes: &[B256], block: &BlockRef) -> Result<Vec<bool>, StepError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Receipt {
            status: U64,
            block_hash: B256,
        }
        let calls: Vec<_> =
            hashes.iter().map(|hash| Call::new("eth_getTransactionReceipt", json!([hash.to_string()]))).collect();
        let answers = self.rpc.together(&calls).await?;
        let receipts = answers.into_iter().map(|answer| {
            let receipt: Receipt = match answer.map_err(RpcError::Fault)? {
                Value::Null => return Err(StepError::Moved),
                answer => self.read("a receipt", answer)?,
            };
            if receipt.block_hash.to_string() == block.hash {
                Ok(receipt.status == U64::from(1))
            } else {
                Err(StepError::Moved)
            }
        });
        receipts.collect()
    }

    /// Whether there may be an endpoint that tells of calls inside transactions.
    pub fn can_trace(&self) -> bool {
        self.tracer.is_some()
    }

    /// The calls of each transaction of a block, in their order; `None` if no endpoint can trace.
    pub async fn traces(&mut self, block: &BlockRef) -> Result<Option<Vec<Trace>>, StepError> {
        while let Some(tracer) = self.tracer {
            let calls = [tracer.call(&hex(block.number)), header_call(block.number)];
            let mut answers = self.rpc.together(&calls).await?;
            match answers.pop() {
                Some(Ok(header)) if header["hash"] == block.hash.as_str() => {}
                _ => return Err(StepError::Moved),
            }
            if let Some(Ok(answer)) = answers.pop() {
                return Ok(tracer.read(answer));
            }
            self.tracer = tracer.next();
        }
        Ok(None)
    }

    /// Calls a contract's function without a transaction, at the head. `None` if it reverts or is not there.
    pub async fn call_at_head<C: SolCall>(&self, contract: Address, call: &C) -> Result<Option<C::Return>, StepError> {
        self.call_contract(contract, call, json!("latest")).await
    }

    /// The same after a certain block.
    pub async fn call_at_block<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        block: &BlockRef,
    ) -> Result<Option<C::Return>, StepError> {
        self.call_contract(contract, call, json!({ "blockHash": block.hash })).await
    }

    async fn call_contract<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        block: Value,
    ) -> Result<Option<C::Return>, StepError> {
        let call = json!({ "to": contract.to_string(), "data": Bytes::from(call.abi_encode()).to_string() });
        let answer = match self.rpc.call("eth_call", json!([call, block])).await {
            Err(RpcError::Fault(fault)) if fault.kind == FaultKind::Reverted => return Ok(None),
            answer => answer?,
        };
        let answer: Bytes = self.read("a call's result", answer)?;
        Ok(C::abi_decode_returns(&answer).ok())
    }

    /// What addresses hold at the head of each asset, in that order; `None` is the native coin.
    ///
    /// # Errors
    ///
    /// If an answer is missing: what somebody holds must not be taken for nothing.
    pub async fn held(&self, addresses: &[Address], assets: &[Option<Address>]) -> Result<Vec<Vec<U256>>, StepError> {
        let calls = addresses
            .iter()
            .flat_map(|address| assets.iter().map(move |asset| balance_call(*asset, *address, &json!("latest"))));
        let answers = self.rpc.together(&calls.collect::<Vec<_>>()).await?;
        let amounts = answers.into_iter().map(|answer| self.read("a balance", answer.map_err(RpcError::Fault)?));
        let amounts: Vec<U256> = amounts.collect::<Result<_, StepError>>()?;
        Ok(amounts.chunks(assets.len().max(1)).map(<[U256]>::to_vec).collect())
    }

    /// How each of the endpoints answers.
    pub async fn inspect(&self) -> Vec<EndpointReport> {
        self.rpc.inspect().await
    }

    /// The newest block that the chain calls by a tag; `None` if it knows nothing of that.
    ///
    /// # Errors
    ///
    /// If no endpoint can be used.
    pub async fn tagged(&self, tag: &'static str) -> Result<Option<Header>, StepError> {
        match self.rpc.call("eth_getBlockByNumber", json!([tag, false])).await {
            Ok(Value::Null) | Err(RpcError::Fault(_)) => Ok(None),
            answer => self.read("a block", answer?).map(Some),
        }
    }

    /// What code each of these addresses has at the head, in their order; empty where there is none.
    ///
    /// # Errors
    ///
    /// If an answer is missing.
    pub async fn codes(&self, addresses: &[Address]) -> Result<Vec<Bytes>, StepError> {
        let calls = addresses.iter().map(|address| Call::new("eth_getCode", json!([address.to_string(), "latest"])));
        let answers = self.rpc.together(&calls.collect::<Vec<_>>()).await?;
        answers.into_iter().map(|answer| self.read("a contract's code", answer.map_err(RpcError::Fault)?)).collect()
    }

    /// Which of these addresses have code at the head, in their order.
    ///
    /// # Errors
    ///
    /// If an answer is missing.
    pub async fn have_code(&self, addresses: &[Address]) -> Result<Vec<bool>, StepError> {
        Ok(self.codes(addresses).await?.iter().map(|code| !code.is_empty()).collect())
    }

    /// Which of these addresses are contracts at the head, in their order. An account that lends itself a contract's
    /// code (EIP-7702) is still an account.
    ///
    /// # Errors
    ///
    /// If an answer is missing.
    pub async fn are_contracts(&self, addresses: &[Address]) -> Result<Vec<bool>, StepError> {
        const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];
        let is_contract = |code: &Bytes| !code.is_empty() && !code.starts_with(&DELEGATION);
        Ok(self.codes(addresses).await?.iter().map(is_contract).collect())
    }

    /// What gas costs now, in the smallest unit of the network's coin.
    pub async fn gas_price(&self) -> Result<U256, StepError> {
        let answer = self.rpc.call("eth_gasPrice", json!([])).await?;
        self.read("a price of gas", answer)
    }

    /// What calls of contracts would use, in their order; `None` for one that would fail.
    pub async fn estimate_gas(&self, calls: &[(Address, Bytes)]) -> Result<Vec<Option<u64>>, StepError> {
        let calls = calls.iter().map(|(to, data)| {
            Call::new("eth_estimateGas", json!([{ "to": to.to_string(), "data": data.to_string() }]))
        });
        let answers = self.rpc.together(&calls.collect::<Vec<_>>()).await?;
        let read = |answer: Answer| match answer {
            Ok(answer) => self.read::<U64>("an amount of gas", answer).map(|gas| Some(gas.to())),
            Err(_declined) => Ok(None),
        };
        answers.into_iter().map(read).collect()
    }

    /// What a block asks for each unit of gas, and what is given on top to be among the next ones; `None` if the
    /// network has no such fees (EIP-1559).
    pub async fn fees(&self) -> Result<Option<Fees>, StepError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Block {
            #[serde(default)]
            base_fee_per_gas: Option<U256>,
        }
        let calls = [
            Call::new("eth_getBlockByNumber", json!(["latest", false])),
            Call::new("eth_gasPrice", json!([])),
            Call::new("eth_maxPriorityFeePerGas", json!([])),
        ];
        let mut answers = self.rpc.together(&calls).await?.into_iter();
        let mut next = || answers.next().map_or(Ok(Value::Null), |answer| answer.map_err(RpcError::Fault));
        let block: Block = self.read("a block", next()?)?;
        let price: U256 = self.read("a price of gas", next()?)?;
        let Some(base) = block.base_fee_per_gas else { return Ok(None) };
        // Not every node has an opinion on it; the price of gas then holds one.
        let tip = next().ok().and_then(|tip| serde_json::from_value(tip).ok());
        Ok(Some(Fees { base, tip: tip.unwrap_or_else(|| price.saturating_sub(base)) }))
    }

    /// What a call of a contract costs beside its gas, as far as is known beforehand.
    pub async fn fee_below(&self, chain_id: u64, data: &Bytes) -> Result<U256, StepError> {
        if !OP_STACK.contains(&chain_id) {
            return Ok(U256::ZERO);
        }
        let call = getL1FeeUpperBoundCall { unsignedTxSize: U256::from(data.len().saturating_add(ENVELOPE_BYTES)) };
        // Where nobody says, there is nothing to add.
        Ok(self.call_at_head(L1_FEES, &call).await?.unwrap_or_default())
    }

    /// How many transactions of an account are in blocks.
    pub async fn nonce(&self, account: Address) -> Result<u64, StepError> {
        let answer = self.rpc.call("eth_getTransactionCount", json!([account.to_string(), "latest"])).await?;
        Ok(self.read::<U64>("a number of transactions", answer)?.to())
    }

    /// How many transactions of each account are in blocks, in their order.
    ///
    /// # Errors
    ///
    /// If an answer is missing.
    pub async fn nonces(&self, accounts: &[Address]) -> Result<Vec<u64>, StepError> {
        self.transaction_counts(accounts, &json!("latest")).await
    }

    /// The same after a block; `None` if that is not known any more.
    ///
    /// # Errors
    ///
    /// If no endpoint can be used.
    pub async fn nonces_at(&self, accounts: &[Address], block: &BlockRef) -> Result<Option<Vec<u64>>, StepError> {
        let at = json!({ "blockHash": block.hash });
        match self.transaction_counts(accounts, &at).await {
            Ok(nonces) => Ok(Some(nonces)),
            // Some know blocks by number only.
            Err(StepError::Rpc(RpcError::Fault(_))) => {
                match self.transaction_counts(accounts, &json!(hex(block.number))).await {
                    Ok(nonces) => Ok(Some(nonces)),
                    Err(StepError::Rpc(RpcError::Fault(_))) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn transaction_counts(&self, accounts: &[Address], at: &Value) -> Result<Vec<u64>, StepError> {
        let calls =
            accounts.iter().map(|account| Call::new("eth_getTransactionCount", json!([account.to_string(), at])));
        let answers = self.rpc.together(&calls.collect::<Vec<_>>()).await?;
        let read = |answer: Answer| {
            self.read::<U64>("a number of transactions", answer.map_err(RpcError::Fault)?).map(|count| count.to())
        };
        answers.into_iter().map(read).collect()
    }

    /// Sends a transaction that is signed. That it was sent before is as good.
    ///
    /// # Errors
    ///
    /// [`RpcError::Fault`] if no node takes it.
    pub async fn send_raw(&self, transaction: &[u8]) -> Result<(), StepError> {
        let raw = Bytes::copy_from_slice(transaction).to_string();
        match self.rpc.call("eth_sendRawTransaction", json!([raw])).await {
            Ok(_hash) => Ok(()),
            Err(RpcError::Fault(fault)) if is_known_already(&fault.message) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What became of a transaction; `None` while it is in no block.
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, StepError> {
        let answer = self.rpc.call("eth_getTransactionReceipt", json!([transaction.to_string()])).await?;
        self.read("a receipt", answer)
    }

    /// Sends a transaction from an account that the node itself can sign for.
    pub async fn send_unlocked(&self, from: Address, to: Address, data: &Bytes) -> Result<B256, StepError> {
        let transaction = json!({ "from": from.to_string(), "to": to.to_string(), "data": data.to_string() });
        let answer = self.rpc.call("eth_sendTransaction", json!([transaction])).await?;
        self.read("a transaction's hash", answer)
    }

    fn read<T: DeserializeOwned>(&self, what: &'static str, answer: Value) -> Result<T, StepError> {
        serde_json::from_value(answer).map_err(|_| self.untrue(what))
    }

    /// An answer that cannot be true is the endpoint's fault; another is asked the next time.
    pub fn untrue(&self, what: &'static str) -> StepError {
        self.distrust_last();
        StepError::Untrue(what)
    }
}

impl LogFilter<'_> {
    fn calls<'a>(&'a self, blocks: &'a Value) -> impl Iterator<Item = Call> + 'a {
        let contracts: Vec<_> = self.contracts.iter().map(ToString::to_string).collect();
        let events: Vec<_> = self.events.iter().map(ToString::to_string).collect();
        let words = |group: &[Address]| group.iter().map(|address| address.into_word().to_string()).collect::<Vec<_>>();
        let paid_to = self.groups.iter().map(move |group| json!([events, null, words(group)]));
        let sent_from = self.senders.iter().map(move |group| json!([[SENT.to_string()], words(group)]));
        paid_to.chain(sent_from).map(move |topics| {
            let mut filter = blocks.clone();
            filter["address"] = json!(contracts);
            filter["topics"] = topics;
            Call::new("eth_getLogs", json!([filter]))
        })
    }
}

pub(super) fn header_call(number: u64) -> Call {
    Call::new("eth_getBlockByNumber", json!([hex(number), false]))
}

pub(super) fn balance_call(asset: Option<Address>, address: Address, block: &Value) -> Call {
    match asset {
        None => Call::new("eth_getBalance", json!([address.to_string(), block])),
        Some(token) => {
            let data = Bytes::from(balanceOfCall { owner: address }.abi_encode());
            Call::new("eth_call", json!([{ "to": token.to_string(), "data": data.to_string() }, block]))
        }
    }
}

/// Nodes differ in how they say that they have a transaction.
fn is_known_already(message: &str) -> bool {
    let message = message.to_lowercase();
    ["already known", "already imported", "known transaction", "already exists"]
        .iter()
        .any(|words| message.contains(words))
}

fn is_invalid_parameter(answer: &Answer) -> bool {
    matches!(answer, Err(fault) if fault.code == -32602)
}

pub(super) fn hex(number: u64) -> String {
    format!("{number:#x}")
}

//! A local EVM chain: an anvil process of our own, and the calls that tests and the demo make on it.
//!
//! Everything goes through JSON-RPC to anvil's unlocked accounts, so there is no signing code here
//! and no key. Kept out: what the product believes about a chain; a test compares the two.

pub mod contracts;

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_sol_types::SolCall;
use serde_json::{Value, json};

use self::contracts::TestToken;
use crate::process::{Process, free_port};

/// Enough for anything here. Naming a limit lets transactions that fail reach a block, as they do
/// on a real network; without one anvil refuses them.
const GAS_LIMIT: u64 = 5_000_000;

/// How long a start or a transaction may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to ask anvil, which has nothing to subscribe to over HTTP.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// How to start a [`LocalChain`].
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// The number wallets know the network by. The demo uses 31337 and 31338, which none knows.
    pub chain_id: u64,
    /// Seconds between blocks; `None` mines a block for every transaction.
    pub block_time: Option<u64>,
    /// The port to listen on; `None` takes a free one.
    pub port: Option<u16>,
    /// The anvil binary; `None` takes the one that npm installed in `contracts/`.
    pub anvil: Option<PathBuf>,
}

impl ChainOptions {
    /// A chain that mines a block for every transaction.
    pub fn new(chain_id: u64) -> Self {
        Self { chain_id, block_time: None, port: None, anvil: None }
    }

    /// The same with a block every `seconds`.
    #[must_use]
    pub fn block_time(mut self, seconds: u64) -> Self {
        self.block_time = Some(seconds);
        self
    }
}

/// Why a call on a local chain did not work.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The binary is missing.
    #[error("no anvil at {}; run `npm ci` in contracts/", .0.display())]
    NotInstalled(PathBuf),
    /// The process could not be started or looked after.
    #[error("cannot run anvil")]
    Process(#[source] io::Error),
    /// The process ended while starting.
    #[error("anvil ended while starting: {0}")]
    Ended(ExitStatus),
    /// The answer did not come, or not as HTTP and JSON.
    #[error("the chain does not answer")]
    Transport(#[from] reqwest::Error),
    /// The chain answered with an error.
    #[error("{method}: {message}")]
    Rpc {
        /// The JSON-RPC method.
        method: String,
        /// What anvil said.
        message: String,
    },
    /// The answer has another shape than the method promises.
    #[error("{0} answered something unexpected")]
    Answer(&'static str),
    /// Nothing happened in time.
    #[error("waited too long for {0}")]
    TooLong(&'static str),
    /// A transaction that had to succeed was mined as failed.
    #[error("transaction {0} failed")]
    Failed(B256),
}

/// What became of a transaction.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The transaction's hash.
    pub transaction: B256,
    /// Whether it did what it says; a failed one only cost gas.
    pub succeeded: bool,
    /// The number of its block.
    pub block_number: u64,
    /// The hash of its block.
    pub block_hash: B256,
    /// The contract it created.
    pub created: Option<Address>,
    /// Gas it took.
    pub gas_used: u64,
    /// Events, in order.
    pub logs: Vec<Log>,
}

/// One event of a transaction.
#[derive(Clone, Debug)]
pub struct Log {
    /// The contract that emitted it.
    pub address: Address,
    /// Signature hash and indexed values.
    pub topics: Vec<B256>,
    /// The other values.
    pub data: Bytes,
    /// Its place in the block.
    pub index: u64,
}

/// A running chain; it ends when this is dropped.
#[derive(Debug)]
pub struct LocalChain {
    process: Process,
    rpc_url: String,
    chain_id: u64,
    accounts: Vec<Address>,
    client: reqwest::Client,
}

impl LocalChain {
    /// Starts anvil on loopback and waits until it answers.
    ///
    /// # Errors
    ///
    /// When the binary is missing, ends at once (a given port is taken) or does not answer in time.
    pub async fn start(options: ChainOptions) -> Result<Self, ChainError> {
        let anvil = options.anvil.clone().unwrap_or_else(installed_anvil);
        if !anvil.is_file() {
            return Err(ChainError::NotInstalled(anvil));
        }
        let client = crate::http_client()?;

        if let Some(port) = options.port {
            return Self::start_on(port, &anvil, &options, client).await;
        }
        // Between finding a free port and anvil taking it, somebody else may: then anvil ends, and
        // the next port is tried.
        let mut result = Err(ChainError::TooLong("a free port"));
        for _ in 0..5 {
            let port = free_port().map_err(ChainError::Process)?;
            result = Self::start_on(port, &anvil, &options, client.clone()).await;
            if !matches!(result, Err(ChainError::Ended(_))) {
                break;
            }
        }
        result
    }

    async fn start_on(
        port: u16,
        anvil: &Path,
        options: &ChainOptions,
        client: reqwest::Client,
    ) -> Result<Self, ChainError> {
        let mut command = Command::new(anvil);
        command
            .args(["--silent", "--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--chain-id", &options.chain_id.to_string()])
            // `safe` and `finalized` then follow the head by one and two blocks.
            .args(["--slots-in-an-epoch", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(seconds) = options.block_time {
            command.args(["--block-time", &seconds.to_string()]);
        }
        let mut chain = Self {
            process: Process::start(&mut command).map_err(ChainError::Process)?,
            rpc_url: format!("http://127.0.0.1:{port}"),
            chain_id: options.chain_id,
            accounts: Vec::new(),
            client,
        };

        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = chain.process.ended().map_err(ChainError::Process)? {
                return Err(ChainError::Ended(status));
            }
            if let Ok(answer) = chain.rpc("eth_chainId", json!([])).await {
                // Another's chain may sit on our port for a moment; ours would then have ended.
                if number(&answer) == Some(options.chain_id) {
                    break;
                }
            }
            if Instant::now() > deadline {
                return Err(ChainError::TooLong("anvil to answer"));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }

        let accounts = chain.rpc("eth_accounts", json!([])).await?;
        chain.accounts = accounts
            .as_array()
            .and_then(|accounts| accounts.iter().map(parse).collect())
            .ok_or(ChainError::Answer("eth_accounts"))?;
        Ok(chain)
    }

    /// Where the chain answers JSON-RPC.
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// The number wallets know the network by.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The unlocked accounts, each with 10 000 coins. The first one deploys, mints and sets prices.
    pub fn accounts(&self) -> &[Address] {
        &self.accounts
    }

    /// One JSON-RPC call.
    ///
    /// # Errors
    ///
    /// When the chain does not answer, or answers with an error.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value, ChainError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = self.client.post(&self.rpc_url).json(&request).send().await?.json().await?;

        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let message = error["message"].as_str().unwrap_or("no message").to_owned();
            return Err(ChainError::Rpc { method: method.to_owned(), message });
        }
        Ok(answer["result"].take())
    }

    // Transactions

    /// Sends a transaction from an unlocked account. It may still fail when it is mined.
    ///
    /// # Errors
    ///
    /// When the chain refuses it.
    pub async fn send_transaction(
        &self,
        from: Address,
        to: Option<Address>,
        value: U256,
        data: &[u8],
    ) -> Result<B256, ChainError> {
        let mut transaction = json!({
            "from": from.to_string(),
            "value": format!("{value:#x}"),
            "data": hex::encode_prefixed(data),
            "gas": format!("{GAS_LIMIT:#x}"),
        });
        if let Some(to) = to {
            transaction["to"] = Value::String(to.to_string());
        }
        let hash = self.rpc("eth_sendTransaction", json!([transaction])).await?;
        parse(&hash).ok_or(ChainError::Answer("eth_sendTransaction"))
    }

    /// Sends the network's own coin, in its smallest unit.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn send_native(&self, from: Address, to: Address, value: U256) -> Result<B256, ChainError> {
        self.send_transaction(from, Some(to), value, &[]).await
    }

    /// Transfers a token, in its smallest unit.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn send_token(
        &self,
        from: Address,
        token: Address,
        to: Address,
        amount: U256,
    ) -> Result<B256, ChainError> {
        let call = TestToken::transferCall { to, value: amount };
        self.send_call(from, token, U256::ZERO, &call).await
    }

    /// The receipt of a mined transaction; `None` when it waits, is unknown or was reorganised away.
    ///
    /// # Errors
    ///
    /// When the chain does not answer as it should.
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        let answer = self.rpc("eth_getTransactionReceipt", json!([transaction.to_string()])).await?;
        if answer.is_null() {
            return Ok(None);
        }
        read_receipt(&answer).map(Some).ok_or(ChainError::Answer("eth_getTransactionReceipt"))
    }

    /// Waits until a transaction is mined. With mining switched off somebody has to call
    /// [`LocalChain::mine`].
    ///
    /// # Errors
    ///
    /// When it takes too long, or the transaction failed.
    pub async fn mined(&self, transaction: B256) -> Result<Receipt, ChainError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.receipt(transaction).await? {
                Some(receipt) if receipt.succeeded => return Ok(receipt),
                Some(_) => return Err(ChainError::Failed(transaction)),
                None if Instant::now() > deadline => {
                    return Err(ChainError::TooLong("a transaction to be mined"));
                }
                None => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }

    /// A transaction as its sender signed it, to be sent again after a reorganisation. Ask before.
    ///
    /// # Errors
    ///
    /// When the chain does not know it.
    pub async fn raw_transaction(&self, transaction: B256) -> Result<Bytes, ChainError> {
        let raw = self.rpc("eth_getRawTransactionByHash", json!([transaction.to_string()])).await?;
        parse(&raw).ok_or(ChainError::Answer("eth_getRawTransactionByHash"))
    }

    /// Sends a signed transaction; it keeps its hash.
    ///
    /// # Errors
    ///
    /// When the chain refuses it.
    pub async fn send_raw(&self, raw: &Bytes) -> Result<B256, ChainError> {
        let hash = self.rpc("eth_sendRawTransaction", json!([raw.to_string()])).await?;
        parse(&hash).ok_or(ChainError::Answer("eth_sendRawTransaction"))
    }

    /// Calls a contract without a transaction, at the head.
    ///
    /// # Errors
    ///
    /// When the call reverts, or answers something else than `C` says.
    pub async fn call<C: SolCall>(&self, contract: Address, call: &C) -> Result<C::Return, ChainError> {
        let request = json!({ "to": contract.to_string(), "data": hex::encode_prefixed(call.abi_encode()) });
        let answer = self.rpc("eth_call", json!([request, "latest"])).await?;
        let answer: Bytes = parse(&answer).ok_or(ChainError::Answer("eth_call"))?;
        C::abi_decode_returns(&answer).map_err(|_| ChainError::Answer(C::SIGNATURE))
    }

    /// Calls a contract in a transaction.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn send_call<C: SolCall>(
        &self,
        from: Address,
        contract: Address,
        value: U256,
        call: &C,
    ) -> Result<B256, ChainError> {
        self.send_transaction(from, Some(contract), value, &call.abi_encode()).await
    }

    // Balances

    /// How much of `token` somebody has, in its smallest unit.
    ///
    /// # Errors
    ///
    /// When `token` is not a token.
    pub async fn balance_of(&self, token: Address, owner: Address) -> Result<U256, ChainError> {
        self.call(token, &TestToken::balanceOfCall { owner }).await
    }

    /// How much of the network's own coin somebody has, in its smallest unit.
    ///
    /// # Errors
    ///
    /// When the chain does not answer as it should.
    pub async fn native_balance(&self, owner: Address) -> Result<U256, ChainError> {
        let balance = self.rpc("eth_getBalance", json!([owner.to_string(), "latest"])).await?;
        parse(&balance).ok_or(ChainError::Answer("eth_getBalance"))
    }

    /// The code at an address; empty where there is none.
    ///
    /// # Errors
    ///
    /// When the chain does not answer as it should.
    pub async fn code(&self, address: Address) -> Result<Bytes, ChainError> {
        let code = self.rpc("eth_getCode", json!([address.to_string(), "latest"])).await?;
        parse(&code).ok_or(ChainError::Answer("eth_getCode"))
    }

    // Blocks

    /// The number of the newest block.
    ///
    /// # Errors
    ///
    /// When the chain does not answer as it should.
    pub async fn block_number(&self) -> Result<u64, ChainError> {
        let head = self.rpc("eth_blockNumber", json!([])).await?;
        number(&head).ok_or(ChainError::Answer("eth_blockNumber"))
    }

    /// The time of the newest block, in epoch seconds.
    ///
    /// # Errors
    ///
    /// When the chain does not answer as it should.
    pub async fn block_time(&self) -> Result<u64, ChainError> {
        let head = self.rpc("eth_getBlockByNumber", json!(["latest", false])).await?;
        number(&head["timestamp"]).ok_or(ChainError::Answer("eth_getBlockByNumber"))
    }

    /// Mines `blocks` blocks now.
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn mine(&self, blocks: u64) -> Result<(), ChainError> {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).await.map(drop)
    }

    /// Switches the block for every transaction on or off. Off, transactions wait for
    /// [`LocalChain::mine`].
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn set_automine(&self, on: bool) -> Result<(), ChainError> {
        self.rpc("evm_setAutomine", json!([on])).await.map(drop)
    }

    /// Mines a block every `seconds` from now on; 0 stops that.
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn set_interval(&self, seconds: u64) -> Result<(), ChainError> {
        self.rpc("evm_setIntervalMining", json!([seconds])).await.map(drop)
    }

    /// Replaces the newest `depth` blocks by empty ones. Their transactions are gone; whoever wants
    /// one back sends it again (see [`LocalChain::raw_transaction`]).
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn reorg(&self, depth: u64) -> Result<(), ChainError> {
        self.rpc("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// Remembers the whole state of the chain.
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn snapshot(&self) -> Result<U256, ChainError> {
        let id = self.rpc("evm_snapshot", json!([])).await?;
        parse(&id).ok_or(ChainError::Answer("evm_snapshot"))
    }

    /// Goes back to a snapshot, blocks included; each works once.
    ///
    /// # Errors
    ///
    /// When the chain does not know the snapshot.
    pub async fn revert(&self, snapshot: U256) -> Result<(), ChainError> {
        let reverted = self.rpc("evm_revert", json!([format!("{snapshot:#x}")])).await?;
        if reverted == Value::Bool(true) { Ok(()) } else { Err(ChainError::Answer("evm_revert")) }
    }

    /// Lets the time of the blocks to come jump ahead.
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn increase_time(&self, seconds: u64) -> Result<(), ChainError> {
        self.rpc("evm_increaseTime", json!([seconds])).await.map(drop)
    }
}

/// The native binary. The package's launcher is a Node script, whose end would not end the chain.
fn installed_anvil() -> PathBuf {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../contracts/node_modules/@foundry-rs")
        .join(format!("anvil-{system}-{machine}"))
        .join("bin")
        .join(format!("anvil{}", std::env::consts::EXE_SUFFIX))
}

fn parse<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

/// A JSON-RPC quantity: hexadecimal text with a prefix.
fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn read_receipt(receipt: &Value) -> Option<Receipt> {
    let logs = receipt["logs"].as_array()?.iter().map(|log| {
        Some(Log {
            address: parse(&log["address"])?,
            topics: log["topics"].as_array()?.iter().map(parse).collect::<Option<_>>()?,
            data: parse(&log["data"])?,
            index: number(&log["logIndex"])?,
        })
    });
    Some(Receipt {
        transaction: parse(&receipt["transactionHash"])?,
        succeeded: number(&receipt["status"])? == 1,
        block_number: number(&receipt["blockNumber"])?,
        block_hash: parse(&receipt["blockHash"])?,
        created: parse(&receipt["contractAddress"]),
        gas_used: number(&receipt["gasUsed"])?,
        logs: logs.collect::<Option<_>>()?,
    })
}

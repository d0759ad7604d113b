//! A local Solana: the real VM behind Solana's JSON-RPC, and somebody who pays on it as wallets do. Both are programs of
//! `tests/solana`, whose README says what they can be asked.

use std::{
    io::{self, BufRead, BufReader, Lines, Write},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use crate::process::Process;

/// How long a slot takes.
const TICK_MS: u32 = 400;

/// Why the chain did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SolanaError {
    /// A program did not start, or fell silent.
    #[error("the local Solana does not answer; `npm ci` in tests/solana installs it")]
    Silent(#[source] io::Error),
    /// It answered something else than it promises.
    #[error("the local Solana did not answer as it promises")]
    Answer,
    /// It refused.
    #[error("the local Solana refused: {0}")]
    Refused(String),
    /// It could not be asked.
    #[error("the local Solana cannot be asked")]
    Http(#[from] reqwest::Error),
}

/// A running chain and its payer; both end when this is dropped.
#[derive(Debug)]
pub struct LocalSolana {
    rpc_url: String,
    client: reqwest::Client,
    payer: Arc<Mutex<Program>>,
    _chain: Program,
}

impl LocalSolana {
    /// Starts both, and returns when they answer.
    ///
    /// # Errors
    ///
    /// When one does not start.
    pub fn start() -> Result<Self, SolanaError> {
        let mut chain = Program::start("shim.mjs", &[&format!("--tick-ms={TICK_MS}"), "--port=0"])?;
        let line = chain.next_line()?;
        let address = line.strip_prefix("Listening on ").ok_or(SolanaError::Answer)?;
        Ok(Self {
            rpc_url: format!("http://{address}"),
            client: crate::http_client()?,
            payer: Arc::new(Mutex::new(Program::start("pay.mjs", &[])?)),
            _chain: chain,
        })
    }

    /// Where the chain answers.
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// One call of the chain.
    ///
    /// # Errors
    ///
    /// When it is declined.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, SolanaError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = self.client.post(&self.rpc_url).json(&request).send().await?.json().await?;
        match answer.get_mut("error").map(Value::take) {
            None | Some(Value::Null) => Ok(answer["result"].take()),
            Some(error) => Err(SolanaError::Refused(error["message"].as_str().unwrap_or_default().to_owned())),
        }
    }

    /// The hash by which the chain is told from others.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn genesis(&self) -> Result<String, SolanaError> {
        text(&self.call("getGenesisHash", json!([])).await?)
    }

    /// Makes a token and tells its mint.
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn create_mint(&self, decimals: u8) -> Result<String, SolanaError> {
        text(&self.call("shim_createMint", json!([{ "decimals": decimals }])).await?["mint"])
    }

    /// Gives a wallet tokens, and SOL to pay fees with.
    ///
    /// # Errors
    ///
    /// When the chain refuses.
    pub async fn fund(&self, wallet: &str, mint: &str, amount: u64) -> Result<(), SolanaError> {
        self.call("requestAirdrop", json!([wallet, 100_000_000_000_u64])).await?;
        let tokens = json!([{ "mint": mint, "owner": wallet, "amount": amount.to_string() }]);
        self.call("shim_mintTo", tokens).await.map(drop)
    }

    /// The address of a wallet; any name is one.
    ///
    /// # Errors
    ///
    /// When the payer does not answer.
    pub async fn wallet(&self, name: &str) -> Result<String, SolanaError> {
        text(&self.ask_payer("address", json!({ "wallet": name })).await?["address"])
    }

    /// Has a wallet do what a Solana Pay request says, with another amount if one is given; tells the transaction once it
    /// is confirmed.
    ///
    /// # Errors
    ///
    /// When the payer or the chain refuses.
    pub async fn pay(&self, wallet: &str, uri: &str, amount: Option<&str>) -> Result<String, SolanaError> {
        let mut payment = json!({ "uri": uri });
        if let Some(amount) = amount {
            payment["amount"] = amount.into();
        }
        let params = json!({ "rpc": self.rpc_url, "wallet": wallet, "payments": [payment] });
        text(&self.ask_payer("pay", params).await?["signature"])
    }

    /// What a wallet makes of a Solana Pay request, by the specification alone.
    ///
    /// # Errors
    ///
    /// When the specification forbids it.
    pub async fn parse(&self, uri: &str) -> Result<Value, SolanaError> {
        self.ask_payer("parse", json!({ "uri": uri })).await
    }

    async fn ask_payer(&self, request: &str, params: Value) -> Result<Value, SolanaError> {
        let line = json!({ "id": 1, "request": request, "params": params }).to_string();
        let payer = Arc::clone(&self.payer);
        // It may wait for a slot, and blocks a thread while it does.
        let asked = tokio::task::spawn_blocking(move || {
            let mut payer = payer.lock().unwrap_or_else(PoisonError::into_inner);
            payer.send_line(&line)?;
            payer.next_line()
        });
        let line = asked.await.map_err(|_| SolanaError::Answer)??;
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| SolanaError::Answer)?;
        match answer.get_mut("error").map(Value::take) {
            None | Some(Value::Null) => Ok(answer["result"].take()),
            Some(error) => Err(SolanaError::Refused(error["message"].as_str().unwrap_or_default().to_owned())),
        }
    }
}

fn text(value: &Value) -> Result<String, SolanaError> {
    value.as_str().map(str::to_owned).ok_or(SolanaError::Answer)
}

/// A program that is asked by lines, and ends with its owner.
#[derive(Debug)]
struct Program {
    _process: Process,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(script: &str, arguments: &[&str]) -> Result<Self, SolanaError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/solana");
        let mut command = Command::new("node");
        command.current_dir(folder).arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command).map_err(SolanaError::Silent)?;
        let (stdin, stdout) = process.pipes().ok_or(SolanaError::Answer)?;
        Ok(Self { _process: process, stdin, stdout: BufReader::new(stdout).lines() })
    }

    fn send_line(&mut self, line: &str) -> Result<(), SolanaError> {
        writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush()).map_err(SolanaError::Silent)
    }

    fn next_line(&mut self) -> Result<String, SolanaError> {
        let ended = || SolanaError::Silent(io::ErrorKind::UnexpectedEof.into());
        self.stdout.next().ok_or_else(ended)?.map_err(SolanaError::Silent)
    }
}

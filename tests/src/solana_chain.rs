//! A local Solana and somebody who pays on it: `tests/solana`, whose README says what either can be asked.

use std::{path::Path, process::Stdio};

use alloy_primitives::Address;
use pepay::solana::{Signature, SolanaAddress};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use crate::PATIENCE;

/// How to start a [`SolanaChain`].
#[derive(Clone, Debug)]
pub struct SolanaOptions {
    /// How long a slot takes; with 0 slots end only by [`SolanaChain::slots`].
    pub tick_ms: u64,
    /// How many slots after its own a transaction is finalized.
    pub finalized_after: u64,
    /// The chain's first second; `None` is now.
    pub time: Option<u64>,
    /// The genesis hash; `None` is the usual one.
    pub genesis: Option<String>,
}

impl Default for SolanaOptions {
    /// Slots that end only when a test says so, 31 of them until a transaction is finalized, from now on.
    fn default() -> Self {
        Self { tick_ms: 0, finalized_after: 31, time: None, genesis: None }
    }
}

/// A running chain and its payer; both end when this is dropped.
pub struct SolanaChain {
    rpc_url: String,
    client: reqwest::Client,
    payer: SolanaPayer,
    _chain: Program,
}

/// What a call that was declined says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SolanaFault {
    pub code: i64,
    pub message: String,
}

/// A transaction that a fork left out, in base64, to have it land again.
#[derive(Clone, Debug, Deserialize)]
pub struct DroppedTransaction {
    pub signature: Signature,
    pub transaction: String,
}

/// A payment that was made.
#[derive(Clone, Debug, Deserialize)]
pub struct SolanaPaid {
    pub signature: Signature,
    /// In base64.
    pub transaction: String,
    pub payer: SolanaAddress,
    /// The token account or wallet of each payment.
    pub destinations: Vec<SolanaAddress>,
    /// Where it landed, unless nobody waited for that.
    pub slot: Option<u64>,
    /// Why it failed, if it did.
    pub err: Option<Value>,
}

impl SolanaChain {
    /// # Panics
    ///
    /// If it does not start; `npm ci` in `tests/solana` installs it.
    pub async fn start() -> Self {
        Self::start_as(&SolanaOptions::default()).await
    }

    /// The same, started otherwise.
    ///
    /// # Panics
    ///
    /// As [`SolanaChain::start`].
    pub async fn start_as(options: &SolanaOptions) -> Self {
        let mut arguments = vec![
            format!("--tick-ms={}", options.tick_ms),
            format!("--finalized-after={}", options.finalized_after),
            "--port=0".to_owned(),
        ];
        arguments.extend(options.time.map(|time| format!("--time={time}")));
        arguments.extend(options.genesis.as_ref().map(|genesis| format!("--genesis={genesis}")));
        let mut chain = Program::start("shim.mjs", &arguments);
        let line = chain.next_line().await;
        let address = line.strip_prefix("Listening on ").expect("it says where it listens");
        Self {
            rpc_url: format!("http://{address}"),
            client: demo::http_client().expect("an HTTP client can be set up"),
            payer: SolanaPayer::start(),
            _chain: chain,
        }
    }

    /// Where the chain answers.
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// The `[[networks]]` of a configuration with one token, of six decimals and at par. Ends where more keys of the token
    /// may follow.
    pub async fn network(&self, token: i64, mint: SolanaAddress) -> String {
        let genesis: String = self.call("getGenesisHash", json!([])).await;
        format!(
            "[[networks]]\nname = \"solana\"\nkind = \"solana\"\ntitle = \"Solana\"\ngenesis = \"{genesis}\"\n\
             rpc = [\"{}\"]\npoll_ms = 100\nidle_poll_ms = 100\n[[networks.tokens]]\nid = {token}\nsymbol = \"USDC\"\n\
             name = \"USD Coin\"\nmint = \"{mint}\"\ndecimals = 6\nprice = \"par\"\n",
            self.rpc_url
        )
    }

    /// SOL as a further token behind [`SolanaChain::network`], priced by a feed on another network.
    pub fn sol(token: i64, feed: Address, network: &str) -> String {
        format!(
            "[[networks.tokens]]\nid = {token}\nsymbol = \"SOL\"\nname = \"Solana\"\ndecimals = 9\n\
             price = {{ feed = \"{feed}\", heartbeat_seconds = 3600, network = \"{network}\" }}\n"
        )
    }

    /// Who pays on it.
    pub fn payer(&self) -> &SolanaPayer {
        &self.payer
    }

    /// One call that must be answered.
    ///
    /// # Panics
    ///
    /// If it is declined.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> T {
        let result = self.try_call(method, params).await.unwrap_or_else(|fault| panic!("{method}: {fault:?}"));
        serde_json::from_value(result).unwrap_or_else(|error| panic!("{method} answered something else: {error}"))
    }

    /// One call.
    ///
    /// # Errors
    ///
    /// If it is declined.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub async fn try_call(&self, method: &str, params: Value) -> Result<Value, SolanaFault> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.client.post(&self.rpc_url).json(&request).send().await.expect("the chain answers");
        let mut answer: Value = answer.json().await.expect("the chain answers in JSON");
        match answer.get_mut("error").map(Value::take) {
            None | Some(Value::Null) => Ok(answer["result"].take()),
            Some(error) => Err(serde_json::from_value(error).expect("an error has a code and a message")),
        }
    }

    // Time

    /// Ends so many slots and tells which one is open then.
    pub async fn slots(&self, count: u64) -> u64 {
        self.call("shim_slots", json!([count])).await
    }

    /// Ends slots until what was sent is finalized.
    pub async fn finalize(&self) {
        self.slots(40).await;
    }

    /// Stops the ticker or lets it go on.
    pub async fn freeze(&self, is_frozen: bool) -> u64 {
        self.call("shim_freeze", json!([is_frozen])).await
    }

    /// Opens a slot of that time, from which time goes on.
    pub async fn set_time(&self, seconds: u64) {
        self.call::<Value>("shim_setTime", json!([seconds])).await;
    }

    /// Opens a slot so many seconds later.
    pub async fn increase_time(&self, seconds: u64) {
        self.call::<Value>("shim_increaseTime", json!([seconds])).await;
    }

    /// Leaves that slot and all after it for another fork, and tells what was in them.
    pub async fn drop_after(&self, slot: u64) -> Vec<DroppedTransaction> {
        let mut answer: Value = self.call("shim_dropAfter", json!([slot])).await;
        serde_json::from_value(answer["dropped"].take()).expect("it tells what it dropped")
    }

    /// The newest slot of that commitment.
    pub async fn slot(&self, commitment: &str) -> u64 {
        self.call("getSlot", json!([{ "commitment": commitment }])).await
    }

    // Money. What these make is confirmed a slot later.

    /// Makes a token of the older program and tells its mint.
    pub async fn create_mint(&self, decimals: u8) -> SolanaAddress {
        self.create_mint_as(json!({ "decimals": decimals })).await
    }

    /// The same, as the shim's README says.
    pub async fn create_mint_as(&self, mint: Value) -> SolanaAddress {
        self.make("shim_createMint", json!([mint]), "mint").await
    }

    /// Gives a wallet tokens, in a token account that is made if it is missing; tells that account.
    pub async fn mint_to(&self, mint: SolanaAddress, owner: SolanaAddress, amount: u64) -> SolanaAddress {
        // As text: a number beyond 2⁵³ would not arrive whole.
        let params = json!([{ "mint": mint, "owner": owner, "amount": amount.to_string() }]);
        self.make("shim_mintTo", params, "account").await
    }

    /// Makes a wallet's token account.
    pub async fn create_token_account(&self, mint: SolanaAddress, owner: SolanaAddress) -> SolanaAddress {
        self.make("shim_createTokenAccount", json!([{ "mint": mint, "owner": owner }]), "account").await
    }

    /// Freezes a wallet's token account, or lets it go.
    pub async fn set_frozen(&self, mint: SolanaAddress, owner: SolanaAddress, is_frozen: bool) {
        let params = json!([{ "mint": mint, "owner": owner, "frozen": is_frozen }]);
        let _account: SolanaAddress = self.make("shim_setFrozen", params, "account").await;
    }

    /// Makes a lookup table, usable from the next slot on.
    pub async fn create_lookup_table(&self, addresses: &[SolanaAddress]) -> SolanaAddress {
        self.make("shim_createLookupTable", json!([addresses]), "table").await
    }

    /// Writes an account as it is told, or removes one that has no lamports.
    pub async fn set_account(&self, address: SolanaAddress, account: Value) {
        self.call::<Value>("shim_setAccount", json!([address, account])).await;
    }

    /// Gives a wallet SOL.
    pub async fn airdrop(&self, wallet: SolanaAddress, lamports: u64) -> Signature {
        self.call("requestAirdrop", json!([wallet, lamports])).await
    }

    async fn make(&self, control: &str, params: Value, made: &str) -> SolanaAddress {
        let mut answer: Value = self.call(control, params).await;
        serde_json::from_value(answer[made].take()).expect("it tells what it made")
    }

    /// What a wallet holds of SOL, in the open slot.
    pub async fn lamports(&self, wallet: SolanaAddress) -> u64 {
        let answer: Value = self.call("getBalance", json!([wallet, { "commitment": "processed" }])).await;
        answer["value"].as_u64().expect("lamports are a number")
    }

    /// What a token account holds, in the open slot; `None` if there is none.
    pub async fn token_balance(&self, account: SolanaAddress) -> Option<u64> {
        let answer = self.try_call("getTokenAccountBalance", json!([account, { "commitment": "processed" }])).await;
        let amount = answer.ok()?["value"]["amount"].as_str().expect("an amount is text").parse();
        Some(amount.expect("an amount is a number"))
    }

    // Payments

    /// The address of a payer's wallet; any name is one.
    pub async fn wallet(&self, name: &str) -> SolanaAddress {
        self.payer.address(name).await
    }

    /// Pays as a wallet does; the payment is as the README says, and lands in the open slot.
    pub async fn pay(&self, wallet: &str, payment: Value) -> SolanaPaid {
        self.pay_as(json!({ "wallet": wallet, "payments": [payment], "await": "processed" })).await
    }

    /// The same with all that the payer can be told, but for where to pay.
    ///
    /// # Panics
    ///
    /// If the payer or the chain refuses.
    pub async fn pay_as(&self, mut params: Value) -> SolanaPaid {
        params["rpc"] = json!(self.rpc_url);
        let paid = self.payer.ask("pay", params).await.unwrap_or_else(|refused| panic!("not paid: {refused}"));
        serde_json::from_value(paid).expect("the payer tells what it paid")
    }
}

/// Builds and signs what wallets do, with keys that everybody can compute.
pub struct SolanaPayer(Mutex<Program>);

impl SolanaPayer {
    /// # Panics
    ///
    /// If it does not start.
    pub fn start() -> Self {
        Self(Mutex::new(Program::start("pay.mjs", &[])))
    }

    /// Asks for one thing of the README's list.
    ///
    /// # Errors
    ///
    /// What the payer says if it refuses.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    pub async fn ask(&self, request: &str, params: Value) -> Result<Value, Value> {
        let mut program = self.0.lock().await;
        program.send_line(&json!({ "id": 1, "request": request, "params": params }).to_string()).await;
        let answer = program.next_line().await;
        let mut answer: Value = serde_json::from_str(&answer).expect("the payer answers in JSON");
        match answer.get_mut("error").map(Value::take) {
            None | Some(Value::Null) => Ok(answer["result"].take()),
            Some(error) => Err(error),
        }
    }

    /// The address of a wallet; any name is one.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    pub async fn address(&self, wallet: &str) -> SolanaAddress {
        let answer = self.ask("address", json!({ "wallet": wallet })).await.expect("any name is a wallet");
        serde_json::from_value(answer["address"].clone()).expect("it is an address")
    }

    /// What a wallet makes of a Solana Pay URI.
    ///
    /// # Errors
    ///
    /// If the specification forbids it.
    pub async fn parse(&self, uri: &str) -> Result<Value, Value> {
        self.ask("parse", json!({ "uri": uri })).await
    }
}

/// A program of `tests/solana`, which ends with its standard input.
struct Program {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(script: &str, arguments: &[String]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("solana");
        assert!(folder.join("node_modules").exists(), "run `npm ci` in {}", folder.display());
        let mut command = Command::new("node");
        command.current_dir(folder).arg(script).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("node can be run");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        Self { _child: child, stdin, stdout: BufReader::new(stdout).lines() }
    }

    async fn send_line(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.stdin.write_all(line.as_bytes()).await.expect("the program reads");
        self.stdin.flush().await.expect("the program reads");
    }

    async fn next_line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.stdout.next_line()).await.expect("the program answers in time");
        line.expect("the program answers in text").expect("the program goes on")
    }
}

//! The whole demo on one machine: local chains, the server as a process, and the shop.
//!
//! It drives `pepay` the way an operator does, by its command line and configuration file, and
//! knows nothing else of it.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, U256, address};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    chain::{ChainError, ChainOptions, LocalChain},
    process::{Process, free_port},
    shop::{
        ApiAccess, Shop, ShopError, ShopOptions,
        customer::{CustomerWallet, SolanaWallet},
    },
    solana::{LocalSolana, SolanaError},
};

/// Where the demo's merchant is paid. Nobody has its key, which is fine where coins are worth
/// nothing, and no account of the local chains can be mistaken for it.
pub const MERCHANT_WALLET: Address = address!("0xC0Ffee000000000000000000000000000000F1a7");

/// What the demo's merchant is called, and where it is written to.
const NAME: &str = "Tidewater Roasters";
const EMAIL: &str = "hello@tidewater.example";

/// Confirmations until a transfer counts.
const PAID_AFTER: u64 = 3;
/// Confirmations until a transfer is final and may be swept.
pub const FINAL_AFTER: u64 = 6;

/// How long the server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to set the stage.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// The server's binary.
    pub pepay: PathBuf,
    /// Configuration, database, secret and log go here; files of an earlier demo are replaced.
    pub dir: PathBuf,
    /// The server's port; `None` takes a free one.
    pub port: Option<u16>,
    /// The shop's port; `None` takes a free one.
    pub shop_port: Option<u16>,
    /// Whether there is a local Solana too.
    pub with_solana: bool,
    /// Where payers may look at a transaction, with `{hash}` for it; no explorer knows a local chain.
    pub explorer: Option<String>,
}

/// Why the demo could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A file could not be written, or a process not run.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A chain did not start, or refused a transaction.
    #[error("local chain")]
    Chain(#[from] ChainError),
    /// The local Solana did not start, or refused.
    #[error("local Solana")]
    Solana(#[from] SolanaError),
    /// The shop did not start.
    #[error("demo shop")]
    Shop(#[from] ShopError),
    /// A `pepay` command failed.
    #[error("`pepay {command}` ended with {status}: {message}")]
    Command {
        /// The arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last line it wrote.
        message: String,
    },
    /// A `pepay` command succeeded and printed something else than it promises.
    #[error("`pepay {command}` did not print the JSON it promises")]
    Output {
        /// The arguments.
        command: String,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// The server ended by itself.
    #[error("the server ended with {status}; its log is {}: {message}", log.display())]
    ServerEnded {
        /// How it ended.
        status: ExitStatus,
        /// Where it wrote.
        log: PathBuf,
        /// The last line it wrote.
        message: String,
    },
    /// The server runs and is not ready.
    #[error("the server was not ready in time; its log is {}", .0.display())]
    NotReady(PathBuf),
    /// The system refused an HTTP client.
    #[error("no HTTP client")]
    Client(#[from] reqwest::Error),
}

/// One of the demo's two networks.
#[derive(Debug)]
pub struct Network {
    /// Its name on the wire.
    pub name: &'static str,
    title: &'static str,
    /// The chain behind it.
    pub chain: Arc<LocalChain>,
    /// What can be paid with.
    pub tokens: Vec<Token>,
}

/// The demo's Solana, with one token.
#[derive(Debug)]
pub struct SolanaNetwork {
    /// The chain behind it.
    pub chain: Arc<LocalSolana>,
    /// The mint of its dollar token, of six decimals.
    pub mint: String,
    genesis: String,
}

/// One way to pay.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its number in the configuration and on the wire.
    pub id: u64,
    /// Such as `USDC`.
    pub symbol: &'static str,
    name: &'static str,
    /// Its contract; `None` for the native coin.
    pub contract: Option<Address>,
    /// How many decimals its unit has.
    pub decimals: u8,
    /// The feed that prices it; `None` counts it as a dollar.
    feed: Option<Address>,
}

/// Everything running. [`Stage::end`] ends it in order; dropping it ends it at once.
#[derive(Debug)]
pub struct Stage {
    // Fields drop in this order: the server before the chains it watches.
    server: Option<Server>,
    /// The demo shop.
    pub shop: Shop,
    /// The two EVM networks.
    pub networks: Vec<Network>,
    /// The local Solana, if there is one.
    pub solana: Option<SolanaNetwork>,
    /// Where the server answers.
    pub api: ApiAccess,
    pepay: Pepay,
}

impl Stage {
    /// Starts everything and returns when a payer could pay. `say` hears what is being done.
    ///
    /// # Errors
    ///
    /// When a part does not start; what had started is ended.
    pub async fn set(options: &StageOptions, say: &mut dyn FnMut(&str)) -> Result<Self, StageError> {
        let pepay = Pepay::new(&options.pepay, &options.dir)?;

        say("Starting two local chains");
        let networks = vec![
            Network::start("ethereum", "Ethereum", 31337, 1, say).await?,
            Network::start("base", "Base", 31338, 4, say).await?,
        ];

        let solana = if options.with_solana {
            say("Starting a local Solana");
            Some(SolanaNetwork::start().await?)
        } else {
            None
        };

        say("Opening the shop");
        let shop = open_shop(&networks, solana.as_ref(), options.shop_port.unwrap_or(0)).await?;

        say("Writing the configuration and the server secret");
        let port = match options.port {
            Some(port) => port,
            None => free_port().map_err(failed("looking for a free port"))?,
        };
        let listen = loopback(port);
        pepay.write_config(&config(listen, &networks, solana.as_ref(), options.explorer.as_deref()))?;
        pepay.run(&["init"])?;

        say("Creating a merchant, a webhook endpoint and an API key");
        let on_solana = merchant_on_solana(solana.as_ref(), "merchant").await?;
        let (_, key) = pepay.set_up_merchant(&shop, (NAME, EMAIL), MERCHANT_WALLET, on_solana.as_deref())?;
        let api = ApiAccess { url: format!("http://{listen}"), key };
        shop.connect(api.clone());

        say("Starting the server");
        let server = pepay.serve(&api.url).await?;
        Ok(Self { server: Some(server), shop, networks, solana, api, pepay })
    }

    /// A network by its name on the wire.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// Adds a merchant with a shop of its own, who is paid at `wallet`.
    ///
    /// # Errors
    ///
    /// When a command fails, or the shop does not start.
    pub async fn add_merchant(&self, wallet: Address) -> Result<Merchant, StageError> {
        self.add_merchant_called(NAME, EMAIL, wallet).await
    }

    /// The same under a name and with an e-mail address.
    ///
    /// # Errors
    ///
    /// As [`Stage::add_merchant`].
    pub async fn add_merchant_called(&self, name: &str, email: &str, wallet: Address) -> Result<Merchant, StageError> {
        let solana = self.solana.as_ref();
        let shop = open_shop(&self.networks, solana, 0).await?;
        let on_solana = merchant_on_solana(solana, &format!("merchant {wallet}")).await?;
        let (id, key) = self.pepay.set_up_merchant(&shop, (name, email), wallet, on_solana.as_deref())?;
        let api = ApiAccess { url: self.api.url.clone(), key };
        shop.connect(api.clone());
        Ok(Merchant { id, wallet, shop, api })
    }

    /// Mints a dashboard token of a merchant.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn dashboard_token(&self, merchant: &Merchant) -> Result<String, StageError> {
        #[derive(Deserialize)]
        struct Minted {
            token: String,
        }
        let minted: Minted = self.pepay.ask(&["merchant", "token", &merchant.id.to_string()])?;
        Ok(minted.token)
    }

    /// Has each new invoice of a merchant be paid on Solana to an address of its own, in this order.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn give_solana_addresses(&self, merchant: &Merchant, addresses: &[String]) -> Result<(), StageError> {
        let (id, file) = (merchant.id.to_string(), self.pepay.dir.join(format!("addresses-{}.txt", merchant.id)));
        fs::write(&file, addresses.join("\n")).map_err(failed("writing a list of addresses"))?;
        self.pepay.run(&["merchant", "set-solana-addresses", &id, &file.to_string_lossy()]).map(drop)
    }

    /// Gives a merchant's pages a colour and a logo.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn set_brand(&self, merchant: &Merchant, color: &str, logo: &Path) -> Result<(), StageError> {
        let (id, logo) = (merchant.id.to_string(), logo.to_string_lossy());
        self.pepay.run(&["merchant", "set-brand", &id, "--color", color, "--logo", &logo]).map(drop)
    }

    /// Runs `pepay sweep` and returns what it did.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn sweep(&self) -> Result<Vec<Sweep>, StageError> {
        self.pepay.sweep(&["sweep"])
    }

    /// The same for one merchant's deposits.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn sweep_for(&self, merchant: &Merchant) -> Result<Vec<Sweep>, StageError> {
        self.pepay.sweep(&["sweep", "--merchant", &merchant.id.to_string()])
    }

    /// Ends the server as a power cut would: signal 9, and nothing it had in mind gets done.
    pub fn kill_server(&mut self) {
        self.server = None;
    }

    /// Starts the server again on what it had stored, and returns when it is ready.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start_server(&mut self) -> Result<(), StageError> {
        self.server = Some(self.pepay.serve(&self.api.url).await?);
        Ok(())
    }

    /// The newest lines of the server's log, but for those about its health, which we asked for ourselves.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = fs::read(self.pepay.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().rev().filter(|line| !line.contains("/health/")).take(lines).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Returns when the server has ended by itself, which it should not.
    pub async fn server_ended(&mut self) -> StageError {
        loop {
            match self.server.as_mut().map(|server| server.process.ended()) {
                None | Some(Ok(None)) => tokio::time::sleep(Duration::from_millis(250)).await,
                Some(Ok(Some(status))) => return self.pepay.server_ended(status),
                Some(Err(source)) => return failed("looking after the server")(source),
            }
        }
    }

    /// Ends everything, giving the server the time to finish what it does.
    pub async fn end(mut self) {
        if let Some(server) = &mut self.server {
            server.end().await;
        }
    }
}

/// A merchant beside the demo's own, for who needs one that nobody else pays.
#[derive(Debug)]
pub struct Merchant {
    /// Its number on the command line.
    pub id: u64,
    /// Where it is paid.
    pub wallet: Address,
    /// Its shop.
    pub shop: Shop,
    /// Its key to the server.
    pub api: ApiAccess,
}

/// One transaction of `pepay sweep`.
#[derive(Clone, Debug, Deserialize)]
pub struct Sweep {
    /// The network's name.
    pub network: String,
    /// The transaction; none where the merchant has to send it.
    pub tx_hash: Option<alloy_primitives::B256>,
    /// How many deposit addresses it empties.
    pub deposits: u64,
}

/// The name of the wallet that the demo's payer has on Solana.
pub const CUSTOMER_ON_SOLANA: &str = "customer";

async fn merchant_on_solana(solana: Option<&SolanaNetwork>, name: &str) -> Result<Option<String>, StageError> {
    match solana {
        Some(solana) => Ok(Some(solana.chain.wallet(name).await?)),
        None => Ok(None),
    }
}

impl SolanaNetwork {
    async fn start() -> Result<Self, StageError> {
        let chain = LocalSolana::start()?;
        let mint = chain.create_mint(6).await?;
        let customer = chain.wallet(CUSTOMER_ON_SOLANA).await?;
        chain.fund(&customer, &mint, 1_000_000_000_000).await?;
        let genesis = chain.genesis().await?;
        Ok(Self { chain: Arc::new(chain), mint, genesis })
    }
}

async fn open_shop(networks: &[Network], solana: Option<&SolanaNetwork>, port: u16) -> Result<Shop, ShopError> {
    let wallet =
        |network: &Network| CustomerWallet { chain: Arc::clone(&network.chain), account: customer(&network.chain) };
    let customers = networks.iter().map(wallet).collect();
    let on_solana =
        solana.map(|solana| SolanaWallet { chain: Arc::clone(&solana.chain), name: CUSTOMER_ON_SOLANA.to_owned() });
    Shop::start(ShopOptions { listen: loopback(port), customers, on_solana, ..ShopOptions::default() }).await
}

/// The account the demo's payer sends from.
pub fn customer(chain: &LocalChain) -> Address {
    chain.accounts()[1]
}

/// The account that sends sweeps and pays their gas; it has no other right.
fn sweeper(chain: &LocalChain) -> Address {
    chain.accounts()[2]
}

impl Network {
    async fn start(
        name: &'static str,
        title: &'static str,
        chain_id: u64,
        first_token: u64,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, StageError> {
        let chain = LocalChain::start(ChainOptions::new(chain_id)).await?;
        say(&format!("  {title}: deploying the deposit factory, two tokens and a price feed"));
        chain.deploy_factory().await?;
        let six_decimals = chain.deploy_token("USD Coin", "USDC", 6).await?;
        let eighteen_decimals = chain.deploy_token("Tether USD", "USDT", 18).await?;
        let feed = chain.deploy_feed(2500 * 100_000_000).await?;
        for (token, decimals) in [(six_decimals, 6), (eighteen_decimals, 18)] {
            let a_million = U256::from(10).pow(U256::from(decimals + 6));
            chain.mint(token, customer(&chain), a_million).await?;
        }
        // Set-up is quick with a block for every transaction; from here on time passes.
        chain.set_automine(false).await?;
        chain.set_interval(1).await?;

        let token = |id, symbol, name, contract, decimals, feed| Token { id, symbol, name, contract, decimals, feed };
        Ok(Self {
            name,
            title,
            chain: Arc::new(chain),
            tokens: vec![
                token(first_token, "USDC", "USD Coin", Some(six_decimals), 6, None),
                token(first_token + 1, "USDT", "Tether USD", Some(eighteen_decimals), 18, None),
                token(first_token + 2, "ETH", "Ether", None, 18, Some(feed)),
            ],
        })
    }
}

fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// The server's configuration for the demo.
fn config(listen: SocketAddr, networks: &[Network], solana: Option<&SolanaNetwork>, explorer: Option<&str>) -> String {
    let explorer = explorer.map(|template| format!("explorer_tx = \"{template}\"\n")).unwrap_or_default();
    let mut text = format!(
        r#"# Written by the demo; replaced at its next start.
environment = "devnet"

[server]
listen = "{listen}"
public_url = "http://{listen}"

[storage]
database_url = "sqlite:pepay.db"

[secrets]
file = "pepay.secret"

[webhooks]
# The demo shop is on this machine, where webhooks otherwise may not go.
allow_private_networks = ["127.0.0.0/8"]

[limits]
# Shop, payers and tests are all on this machine, and in a hurry.
requests_per_minute_per_key = 6000
requests_per_minute_per_session = 6000
requests_per_minute_per_address = 6000
failed_credentials_per_minute = 6000
"#
    );
    for network in networks {
        // Writing to a string cannot fail.
        let _infallible = write!(
            text,
            r#"
[[networks]]
name = "{}"
title = "{}"
chain_id = {}
rpc = ["{}"]
poll_ms = 500
idle_poll_ms = 500
block_ms = 1000
fees = "{}"
paid_after = {PAID_AFTER}
final_after = {FINAL_AFTER}
start_block = 0
sweep_account = "{}"
{explorer}"#,
            network.name,
            network.title,
            network.chain.chain_id(),
            network.chain.rpc_url(),
            if network.name == "ethereum" { "high" } else { "low" },
            sweeper(&network.chain),
        );
        for token in &network.tokens {
            let address = token.contract.map(|contract| format!("address = \"{contract}\"\n")).unwrap_or_default();
            let price = match token.feed {
                Some(feed) => format!("{{ feed = \"{feed}\", heartbeat_seconds = 3600 }}"),
                None => "\"par\"".to_owned(),
            };
            let _infallible = write!(
                text,
                r#"
[[networks.tokens]]
id = {}
symbol = "{}"
name = "{}"
{address}decimals = {}
price = {price}
"#,
                token.id, token.symbol, token.name, token.decimals,
            );
        }
    }
    if let Some(SolanaNetwork { chain, mint, genesis }) = solana {
        let _infallible = write!(
            text,
            r#"
[[networks]]
name = "solana"
kind = "solana"
title = "Solana"
genesis = "{genesis}"
rpc = ["{}"]
poll_ms = 500
idle_poll_ms = 500
block_ms = 400
fees = "low"
{explorer}
[[networks.tokens]]
id = 501
symbol = "USDC"
name = "USD Coin"
mint = "{mint}"
decimals = 6
price = "par"
"#,
            chain.rpc_url(),
        );
    }
    text
}

/// The command line of `pepay`, in one folder with one configuration.
#[derive(Debug)]
struct Pepay {
    binary: PathBuf,
    dir: PathBuf,
}

impl Pepay {
    fn new(binary: &Path, dir: &Path) -> Result<Self, StageError> {
        let binary = binary.canonicalize().map_err(failed(&format!("looking for {}", binary.display())))?;
        fs::create_dir_all(dir).map_err(failed(&format!("creating {}", dir.display())))?;
        let dir = dir.canonicalize().map_err(failed(&format!("opening {}", dir.display())))?;
        // Chains start anew each time, so what an earlier demo knew about them is wrong.
        for name in ["pepay.toml", "pepay.secret", "pepay.db", "pepay.db-wal", "pepay.db-shm", "pepay.log"] {
            match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&format!("removing {name}"))(error));
                }
                _ => {}
            }
        }
        Ok(Self { binary, dir })
    }

    fn write_config(&self, text: &str) -> Result<(), StageError> {
        fs::write(self.dir.join("pepay.toml"), text).map_err(failed("writing pepay.toml"))
    }

    fn log(&self) -> PathBuf {
        self.dir.join("pepay.log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.dir).args(["--config", "pepay.toml"]).stdin(Stdio::null());
        // A developer's own settings must not leak into the demo.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PEPAY_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command and returns what it printed.
    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, StageError> {
        let output = self
            .command()
            .arg("--json")
            .args(arguments)
            .output()
            .map_err(failed(&format!("running {}", self.binary.display())))?;
        if !output.status.success() {
            return Err(StageError::Command {
                command: arguments.join(" "),
                status: output.status,
                message: last_line(&output.stderr),
            });
        }
        Ok(output.stdout)
    }

    /// Runs a command and reads the JSON it printed.
    fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, StageError> {
        let printed = self.run(arguments)?;
        serde_json::from_slice(&printed).map_err(|source| StageError::Output { command: arguments.join(" "), source })
    }

    fn sweep(&self, arguments: &[&str]) -> Result<Vec<Sweep>, StageError> {
        #[derive(Deserialize)]
        struct Swept {
            sweeps: Vec<Sweep>,
        }
        let swept: Swept = self.ask(arguments)?;
        Ok(swept.sweeps)
    }

    /// Creates a merchant for the shop, tells the shop its webhook secret, returns its number and API key.
    fn set_up_merchant(
        &self,
        shop: &Shop,
        (name, email): (&str, &str),
        wallet: Address,
        on_solana: Option<&str>,
    ) -> Result<(u64, String), StageError> {
        #[derive(Deserialize)]
        struct Created {
            merchant_id: u64,
        }
        #[derive(Deserialize)]
        struct Webhook {
            secret: String,
        }
        #[derive(Deserialize)]
        struct Key {
            api_key: String,
        }

        let wallet = wallet.to_string();
        let mut create = vec!["merchant", "create", "--name", name, "--email", email, "--wallet", &wallet];
        create.extend(on_solana.into_iter().flat_map(|wallet| ["--solana-wallet", wallet]));
        let created: Created = self.ask(&create)?;
        let merchant = created.merchant_id.to_string();
        let webhook: Webhook = self.ask(&["merchant", "set-webhook", &merchant, &shop.webhook_url()])?;
        shop.set_webhook_secret(webhook.secret);
        self.run(&["merchant", "set-origins", &merchant, shop.url()])?;
        let key: Key = self.ask(&["key", "create", "--merchant", &merchant, "--name", "demo shop"])?;
        Ok((created.merchant_id, key.api_key))
    }

    /// Starts the server and waits until it is ready.
    async fn serve(&self, url: &str) -> Result<Server, StageError> {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).map_err(failed("opening pepay.log"))?;
        let errors = log.try_clone().map_err(failed("opening pepay.log"))?;
        let mut command = self.command();
        command.arg("serve").stdout(log).stderr(errors);
        let mut server = Server {
            process: Process::start(&mut command).map_err(failed(&format!("running {}", self.binary.display())))?,
        };

        let client = crate::http_client()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = server.process.ended().map_err(failed("looking after the server"))? {
                return Err(self.server_ended(status));
            }
            let answer = client.get(format!("{url}/health/ready")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(server);
            }
            if Instant::now() > deadline {
                return Err(StageError::NotReady(self.log()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn server_ended(&self, status: ExitStatus) -> StageError {
        let message = last_line(&fs::read(self.log()).unwrap_or_default());
        StageError::ServerEnded { status, log: self.log(), message }
    }
}

/// The server's process.
#[derive(Debug)]
struct Server {
    process: Process,
}

impl Server {
    /// Asks it to end, as a service manager would, and waits. Dropping it afterwards ends one that
    /// did not listen.
    async fn end(&mut self) {
        if !self.process.ask_to_end() {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.process.ended(), Ok(None)) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it wrote nothing").to_owned()
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> StageError + use<> {
    let what = what.to_owned();
    |source| StageError::Io { what, source }
}

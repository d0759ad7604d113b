//! The command line: what an operator does that no API key may do.
//!
//! Commands write to the same database as a running server and may run beside it. They print their
//! answer on standard output, as text or with `--json` as one object, and everything else on standard
//! error. Secrets are printed once, by the command that makes them.

mod check;
mod contract_wallets;
mod deploy_factory;
mod init;
mod input;
mod key;
mod merchant;
mod recover;
mod serve;
mod solana;
mod sweep;
mod transaction;

use std::{
    error::Error as _,
    fmt::{self, Write as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use domain::id::{ApiKeyId, DashboardTokenId, MerchantId};

pub use input::{InputError, origin, wallet, webhook_url};

use crate::{
    app::App,
    clock::Clock,
    config::{Config, ConfigError, SecretsError, StorageConfig, load_secrets},
    keys::IssueError,
    log::{self, LogStream},
    serve::ServeError,
    store::{Store, StoreError, WriterTask},
    tls,
};

/// Where the configuration is unless something else is said.
const DEFAULT_CONFIG: &str = "pepay.toml";

/// Self-hosted, non-custodial crypto checkout.
#[derive(Debug, Parser)]
#[command(name = "pepay", version, disable_help_subcommand = true)]
pub struct Cli {
    /// The configuration file
    #[arg(long, global = true, env = "PEPAY_CONFIG", default_value = DEFAULT_CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Write a default configuration and a server secret unless they exist, and create the database
    Init,
    /// Create merchants, say where their webhooks go and who may embed their page, and let them at the dashboard
    #[command(subcommand)]
    Merchant(merchant::Command),
    /// Create, list, suspend and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Send what deposit addresses hold to the merchants' wallets
    Sweep(sweep::Arguments),
    /// Put the deposit factory where it is missing, or print what any wallet has to send for that
    DeployFactory(deploy_factory::Arguments),
    /// Say how networks, endpoints, tokens, prices, contracts and wallets are, and what to do about it
    Check,
    /// Find deposits that hold money again, from the recovery code and wallets alone, without the database
    Recover(recover::Arguments),
    /// Derive addresses on Solana from your seed phrase and bring home what they hold, away from the server
    #[command(subcommand)]
    Solana(solana::Command),
}

/// A command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Sweep(#[from] sweep::SweepError),
    #[error(transparent)]
    DeployFactory(#[from] deploy_factory::DeployError),
    #[error(transparent)]
    Recover(#[from] recover::RecoverError),
    #[error(transparent)]
    Solana(#[from] solana::SolanaError),
    #[error(transparent)]
    Webhook(#[from] crate::webhooks::EndpointError),
    #[error("{0}")]
    Input(#[from] InputError),
    #[error("there is no merchant {0}")]
    NoSuchMerchant(MerchantId),
    #[error("there is no API key {id} that could be {done}")]
    NoSuchKey { id: ApiKeyId, done: &'static str },
    #[error("there is no dashboard token {0} that could be revoked")]
    NoSuchToken(DashboardTokenId),
    #[error(transparent)]
    IssueKey(#[from] IssueError),
    #[error("{} cannot be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("problems that were found: {0}; what to do is said above")]
    Problems(usize),
    #[error("the answer cannot be printed")]
    Print(#[source] io::Error),
}

/// What a command has to say, for people and for programs.
struct Answer {
    text: String,
    json: serde_json::Value,
}

/// Runs a command and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    tls::install();
    match try_run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if even this fails.
            let _no_stderr = writeln!(io::stderr(), "error: {}", Causes(&error));
            ExitCode::FAILURE
        }
    }
}

async fn try_run(cli: Cli) -> Result<(), CliError> {
    let path = cli.config.as_path();
    let answer = match cli.command {
        Command::Serve => return serve::serve(path).await,
        Command::Init => init::init(path).await?,
        Command::Merchant(command) => merchant::run(command, &Session::open(path).await?).await?,
        Command::Sweep(arguments) => sweep::run(&arguments, &open_app(path).await?).await?,
        Command::DeployFactory(arguments) => {
            let config = load_config(path, LogStream::Stderr)?;
            let (answer, problems) = deploy_factory::run(&arguments, &config).await?;
            return print_with_problems(&answer, problems, cli.json);
        }
        Command::Check => {
            let (answer, problems) = check::run(&open_app(path).await?).await?;
            return print_with_problems(&answer, problems, cli.json);
        }
        Command::Recover(arguments) => {
            let config = load_config(path, LogStream::Stderr)?;
            let (answer, problems) = recover::run(&arguments, &config).await?;
            return print_with_problems(&answer, problems, cli.json);
        }
        Command::Solana(command) => solana::run(command, path).await?,
        Command::Key(command) => key::run(command, &Session::open(path).await?).await?,
    };
    print(&answer, cli.json)
}

fn print(answer: &Answer, as_json: bool) -> Result<(), CliError> {
    let json = as_json.then(|| format!("{}\n", answer.json));
    io::stdout().write_all(json.as_ref().unwrap_or(&answer.text).as_bytes()).map_err(CliError::Print)
}

/// An answer that tells of problems is printed and is a failure all the same.
fn print_with_problems(answer: &Answer, problems: usize, as_json: bool) -> Result<(), CliError> {
    print(answer, as_json)?;
    if problems == 0 { Ok(()) } else { Err(CliError::Problems(problems)) }
}

/// What commands that only need the database work with.
struct Session {
    config: Config,
    clock: Clock,
    store: Store,
    _writer: WriterTask,
}

impl Session {
    async fn open(path: &Path) -> Result<Self, CliError> {
        let config = load_config(path, LogStream::Stderr)?;
        let (store, writer) = open_store(&config.storage).await?;
        Ok(Self { config, clock: Clock::system(), store, _writer: writer })
    }

    async fn check_merchant(&self, id: MerchantId) -> Result<(), CliError> {
        match self.store.reader().await?.tx().merchant(id).await? {
            Some(_) => Ok(()),
            None => Err(CliError::NoSuchMerchant(id)),
        }
    }
}

async fn open_store(storage: &StorageConfig) -> Result<(Store, WriterTask), CliError> {
    let failed = |source| CliError::Write { path: storage.file().unwrap_or_default(), source };
    storage.create_file().map_err(failed)?;
    Ok(Store::open(&storage.database_url).await?)
}

fn load_config(path: &Path, stream: LogStream) -> Result<Config, ConfigError> {
    let config = Config::load(path, std::env::vars_os())?;
    log::start(&config.log, stream);
    Ok(config)
}

/// Everything the server shares, without the server.
async fn open_app(path: &Path) -> Result<App, CliError> {
    let config = load_config(path, LogStream::Stderr)?;
    let secrets = load_secrets(&config, std::env::vars_os())?;
    // No command prints a payment URL.
    let (app, _writer) = App::open(config, secrets, Clock::system(), "").await?;
    Ok(app)
}

/// An error and what caused it, in one line.
struct Causes<'e>(&'e CliError);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.ends_with(&text) {
                write!(line, ": {text}")?;
            }
            cause = error.source();
        }
        f.write_str(&line)
    }
}

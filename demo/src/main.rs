//! `demo run` shows a payment from the shop's button to the merchant's wallet; `demo check` makes
//! one and says whether every part did its work.

mod check;

use std::{error::Error, fmt::Write as _, path::PathBuf, process::ExitCode, time::Instant};

use clap::{Args, Parser, Subcommand};
use demo::stage::{Stage, StageOptions};

#[derive(Parser)]
#[command(about = "A demo shop on local chains, paid through pepay")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything and waits for Ctrl-C.
    Run(RunArgs),
    /// Makes one payment and one sweep, and ends.
    Check(CheckArgs),
}

#[derive(Args)]
struct RunArgs {
    /// The server's binary.
    #[arg(long)]
    pepay: PathBuf,
    /// Where configuration, database and log go; files of an earlier demo are replaced.
    #[arg(long, default_value = ".demo")]
    dir: PathBuf,
    /// The server's port; a free one by default.
    #[arg(long)]
    port: Option<u16>,
    /// The shop's port; a free one by default.
    #[arg(long)]
    shop_port: Option<u16>,
}

#[derive(Args)]
struct CheckArgs {
    /// The server's binary.
    #[arg(long)]
    pepay: PathBuf,
    /// Where configuration, database and log go; by default a temporary folder, which is removed
    /// after a success.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => run(arguments).await,
        Command::Check(arguments) => check(arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: RunArgs) -> Result<(), Box<dyn Error>> {
    let options = StageOptions {
        pepay: arguments.pepay,
        dir: arguments.dir,
        port: arguments.port,
        shop_port: arguments.shop_port,
        with_solana: true,
        explorer: None,
    };
    let progress = Progress::new();
    let mut say = |what: &str| progress.say(what);
    // Ctrl-C during the set-up ends it too: dropping the half-set stage ends what had started.
    let mut stage = tokio::select! {
        stage = Stage::set(&options, &mut say) => stage?,
        () = interrupted() => return Ok(()),
    };

    progress.say("Ready");
    println!();
    println!("  Shop:      {}", stage.shop.url());
    println!("  Server:    {}", stage.api.url);
    for network in &stage.networks {
        println!("  {:<10} {}", format!("{}:", network.name), network.chain.rpc_url());
    }
    if let Some(solana) = &stage.solana {
        println!("  {:<10} {}", "solana:", solana.chain.rpc_url());
    }
    println!("  Files:     {}", options.dir.display());
    println!();
    println!("Open the shop and press \"Buy with crypto\". Ctrl-C ends everything.");

    let ended = tokio::select! {
        error = stage.server_ended() => Err(error.into()),
        () = interrupted() => Ok(()),
    };
    println!();
    progress.say("Ending everything");
    stage.end().await;
    ended
}

async fn check(arguments: CheckArgs) -> Result<(), Box<dyn Error>> {
    let temporary = std::env::temp_dir().join(format!("pepay-demo-{}", std::process::id()));
    let options = StageOptions {
        pepay: arguments.pepay,
        dir: arguments.dir.clone().unwrap_or_else(|| temporary.clone()),
        port: None,
        shop_port: None,
        with_solana: false,
        explorer: None,
    };
    let progress = Progress::new();
    let mut say = |what: &str| progress.say(what);
    let result = tokio::select! {
        result = check::check(&options, &mut say) => result,
        () = interrupted() => Err("interrupted".into()),
    };
    match &result {
        Ok(()) if arguments.dir.is_none() => std::fs::remove_dir_all(temporary)?,
        Ok(()) => {}
        Err(_) => eprintln!("demo: configuration, database and log are in {}", options.dir.display()),
    }
    result
}

/// Says what is being done and when it began.
struct Progress {
    start: Instant,
}

impl Progress {
    fn new() -> Self {
        Self { start: Instant::now() }
    }

    fn say(&self, what: &str) {
        println!("{:6.1} s  {what}", self.start.elapsed().as_secs_f32());
    }
}

/// Returns when somebody wants this program to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Where signals cannot be watched, the system's own answer to Ctrl-C remains.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

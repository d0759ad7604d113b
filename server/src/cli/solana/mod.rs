//! `pepay solana`: what a merchant does with the wallets that payers on Solana pay to.
//!
//! Keys are made and used here, on the merchant's own computer, from a seed phrase that is typed each time. *None is ever
//! where a server is configured*: whoever breaks into a server must find nothing that spends.

mod keys;
mod node;
mod phrase;
mod plan;
mod sign;
mod summary;
mod sweep;

use std::{
    env,
    fmt::{self, Write},
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Answer, CliError, InputError};
use crate::solana::SolanaAddress;
use {
    keys::Accounts,
    phrase::{Phrase, PhraseError},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// On your own computer: derive addresses to be paid at from your seed phrase, for the server to import
    Addresses(Addresses),
    /// Put together, unsigned, what brings all that your addresses hold to one wallet; needs no key
    Sweep(sweep::Arguments),
    /// On your own computer: sign a sweep with your seed phrase, and send it if you say so
    Sign(sign::Arguments),
    /// Send a sweep that was signed elsewhere
    Send(sign::SendArguments),
}

#[derive(Debug, Args)]
pub(super) struct Addresses {
    #[command(flatten)]
    numbers: Numbers,
    /// The seed has a passphrase, to be typed too
    #[arg(long)]
    passphrase: bool,
}

/// Accounts of a seed.
#[derive(Debug, Args)]
struct Numbers {
    /// The first account, m/44'/501'/FIRST'/0'; 0 is what wallets show first, and stays yours
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..1 << 30))]
    first: u32,
    /// How many
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(super) enum SolanaError {
    #[error(
        "this is where a server is configured ({0}), and a seed phrase must never be typed there. Run this command on a \
         computer of your own, best one that is offline, and bring only its output here"
    )]
    OnTheServer(String),
    #[error("a seed phrase is typed at a terminal, and there is none")]
    NoTerminal(#[source] io::Error),
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    #[error("the passphrase was typed in two ways")]
    Passphrase,
    #[error("{} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Node(#[from] node::NodeError),
    #[error(transparent)]
    Sweep(#[from] sweep::SweepError),
    #[error(transparent)]
    Sign(#[from] sign::SignError),
}

/// `config` is where the command line says the server's configuration is.
pub(super) async fn run(command: Command, config: &Path) -> Result<Answer, CliError> {
    match command {
        Command::Addresses(arguments) => {
            refuse_on_the_server(config)?;
            Ok(addresses(&arguments)?)
        }
        Command::Sweep(arguments) => sweep::run(&arguments).await,
        Command::Sign(arguments) => {
            refuse_on_the_server(config)?;
            sign::sign(&arguments).await
        }
        Command::Send(arguments) => sign::send(&arguments).await,
    }
}

fn addresses(arguments: &Addresses) -> Result<Answer, SolanaError> {
    let accounts = ask_for_accounts(arguments.passphrase, Passphrase::Chosen)?;
    let Numbers { first, count } = arguments.numbers;
    let addresses = (first..first + count).map(|number| accounts.account(number).address());
    let addresses: Vec<SolanaAddress> = addresses.collect();
    let text = one_in_each_line(&addresses);
    let json = json!({ "first": first, "addresses": addresses });
    Ok(Answer { text, json })
}

/// Whether a passphrase is checked by what it opens, or decides what there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passphrase {
    Chosen,
    Known,
}

/// Asks for a phrase at the terminal, without showing it, and forgets it.
fn ask_for_accounts(has_passphrase: bool, kind: Passphrase) -> Result<Accounts, SolanaError> {
    let phrase = Phrase::read(&ask("Seed phrase (it is not shown): ")?)?;
    let passphrase = if has_passphrase { ask("Passphrase (it is not shown): ")? } else { Zeroizing::default() };
    // Another passphrase is no error anywhere: money would go to addresses that nobody finds again.
    if has_passphrase && kind == Passphrase::Chosen && ask("The same passphrase again: ")? != passphrase {
        return Err(SolanaError::Passphrase);
    }
    Ok(Accounts::of(&phrase.seed(&passphrase)))
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, SolanaError> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(SolanaError::NoTerminal)
}

/// Refuses where a configuration is, or settings of one.
fn refuse_on_the_server(config: &Path) -> Result<(), SolanaError> {
    let usual = Path::new(super::DEFAULT_CONFIG);
    let file = [config, usual].into_iter().find(|path| fs::symlink_metadata(path).is_ok());
    let variable = env::vars_os().map(|(name, _)| name).find(|name| name.to_string_lossy().starts_with("PEPAY_"));
    match (file, variable) {
        (Some(file), _) => Err(SolanaError::OnTheServer(file.display().to_string())),
        (None, Some(name)) => Err(SolanaError::OnTheServer(format!("the variable {}", name.display()))),
        (None, None) => Ok(()),
    }
}

fn one_in_each_line(items: &[impl fmt::Display]) -> String {
    items.iter().fold(String::new(), |mut text, item| {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{item}");
        text
    })
}

fn read_file(path: &Path) -> Result<String, SolanaError> {
    fs::read_to_string(path).map_err(|source| SolanaError::Read { path: path.to_owned(), source })
}

/// Reads an address that an option gives.
fn address(what: &'static str, text: &str) -> Result<SolanaAddress, InputError> {
    text.parse().map_err(|error: crate::solana::AddressError| InputError::new(what, error.to_string()))
}

/// Base units as people write them.
struct Decimal {
    amount: u128,
    decimals: u8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.decimals);
        let digits = format!("{:0width$}", self.amount, width = places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        match part.trim_end_matches('0') {
            "" => f.write_str(whole),
            part => write!(f, "{whole}.{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_do() {
        for (amount, decimals, text) in
            [(0, 6, "0"), (1, 6, "0.000001"), (12_340_000, 6, "12.34"), (5, 0, "5"), (2_039_280, 9, "0.00203928")]
        {
            assert_eq!(Decimal { amount, decimals }.to_string(), text);
        }
    }
}

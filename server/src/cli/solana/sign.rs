//! `pepay solana sign` and `pepay solana send`.
//!
//! What a file says of itself is not believed: each transaction is read, and nothing is signed that does anything but bring
//! everything to the wallet that the command line names.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use serde_json::json;

use super::{
    super::{Answer, CliError},
    Passphrase, SolanaError, ask_for_accounts,
    keys::{Accounts, Signer},
    node::Node,
    one_in_each_line,
    plan::Planned,
    read_file,
    summary::Summary,
};
use crate::{
    cli::InputError,
    solana::{
        Signature, SolanaAddress, Step,
        message::{LARGEST_TRANSACTION, Message},
        solana_wallet,
    },
};

/// A block's hash is good for about 80 seconds; what did not land by then never does.
const PATIENCE: Duration = Duration::from_secs(100);

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// What `pepay solana sweep` printed
    #[arg(value_name = "FILE")]
    sweep: PathBuf,
    /// The wallet that gets everything; anything else is not signed
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// Send each transaction once it is signed, on a block of that moment, and wait for it
    #[arg(long, requires = "rpc")]
    send: bool,
    /// The node to send by
    #[arg(long, env = "SOLANA_RPC_URL", hide_env_values = true, value_name = "URL")]
    rpc: Option<String>,
    /// The seed has a passphrase, to be typed too
    #[arg(long)]
    passphrase: bool,
    /// The first account of the seed to look for signers among
    #[arg(long, default_value_t = 0, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..1 << 30))]
    first: u32,
    /// Among how many
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SendArguments {
    /// What `pepay solana sign` printed
    #[arg(value_name = "FILE")]
    signed: PathBuf,
    /// The node to send by
    #[arg(long, env = "SOLANA_RPC_URL", hide_env_values = true, value_name = "URL")]
    rpc: String,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum SignError {
    #[error("there is no transaction in it")]
    Nothing,
    #[error("transaction {0} cannot be read; give the file as it was printed")]
    Unreadable(usize),
    #[error("nothing is signed: transaction {0} does something that no sweep does")]
    Foreign(usize),
    #[error("nothing is signed: transaction {place} brings something elsewhere than to {to}")]
    Elsewhere { place: usize, to: SolanaAddress },
    #[error("nothing is signed: transaction {0} is longer than the network takes")]
    TooLong(usize),
    #[error(
        "nothing is signed: {missing} of the signers are no accounts of this seed from {first} to {last}, such as {example}; \
         say which with --first and --count, or use the phrase that they are of"
    )]
    Signers { missing: usize, first: u32, last: u32, example: SolanaAddress },
    #[error("transaction {0} failed on the network and moved nothing; make the sweep anew")]
    Failed(Signature),
    #[error(
        "it is not known what became of transaction {0}; look for it, and make the sweep anew for what is still there"
    )]
    Unknown(Signature),
    #[error("the node took the transaction for another one, {0}")]
    Renamed(Signature),
}

pub(super) async fn sign(arguments: &Arguments) -> Result<Answer, CliError> {
    let to = solana_wallet(&arguments.to, |_| false).map_err(|error| InputError::new("--to", error.to_string()))?;
    let node = arguments.rpc.as_deref().filter(|_| arguments.send).map(Node::new).transpose()?;
    let transactions = read_transactions(&read_file(&arguments.sweep)?, to).map_err(SolanaError::from)?;
    tell(&format!("To {to}:\n{}", Summary::of(&transactions)));
    let accounts = ask_for_accounts(arguments.passphrase, Passphrase::Known)?;
    let signers = find_signers(&transactions, &accounts, arguments).map_err(SolanaError::from)?;
    let answer = match node {
        Some(node) => sign_and_send(&transactions, &signers, &node).await?,
        None => signed_answer(&transactions, &signers),
    };
    Ok(answer)
}

pub(super) async fn send(arguments: &SendArguments) -> Result<Answer, CliError> {
    let node = Node::new(&arguments.rpc)?;
    let text = read_file(&arguments.signed)?;
    let named = |(place, line): (usize, &'_ str)| {
        let bytes = STANDARD.decode(line).ok();
        let signature = bytes.and_then(|bytes| bytes.get(1..)?.first_chunk().copied());
        signature.map(|bytes| (Signature::new(bytes), line.to_owned())).ok_or(SignError::Unreadable(place))
    };
    let transactions = lines(&text).map(named).collect::<Result<Vec<_>, _>>().map_err(SolanaError::from)?;
    if transactions.is_empty() {
        return Err(SolanaError::from(SignError::Nothing).into());
    }
    let mut sent = Vec::new();
    for (signature, transaction) in &transactions {
        sent.push(send_one(&node, transaction, *signature).await?);
    }
    Ok(sent_answer(&sent))
}

/// Transactions in a file, counted from one; the rest are remarks.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    (1..).zip(lines)
}

/// Reads transactions, and what they do.
fn read_transactions(text: &str, to: SolanaAddress) -> Result<Vec<Planned>, SignError> {
    let mut transactions = Vec::new();
    for (place, line) in lines(text) {
        let bytes = STANDARD.decode(line).map_err(|_| SignError::Unreadable(place))?;
        let message = Message::read(&bytes).map_err(|_| SignError::Unreadable(place))?;
        if LARGEST_TRANSACTION < message.transaction_size() {
            return Err(SignError::TooLong(place));
        }
        let steps: Option<Vec<_>> = message.instructions().iter().map(Step::read).collect();
        let steps = steps.filter(|steps| is_sweep(steps)).ok_or(SignError::Foreign(place))?;
        if !steps.iter().all(|step| step.brings_all_to(to)) {
            return Err(SignError::Elsewhere { place, to });
        }
        transactions.push(Planned { message, steps });
    }
    if transactions.is_empty() { Err(SignError::Nothing) } else { Ok(transactions) }
}

/// A nonce is used first or not at all, and nothing is made that nothing is put into.
fn is_sweep(steps: &[Step]) -> bool {
    steps.iter().enumerate().all(|(place, step)| match step {
        Step::AdvanceNonce { .. } => place == 0,
        Step::MakeTokenAccount { mint: made, .. } => {
            steps.iter().any(|step| matches!(step, Step::SendToken { mint, .. } if mint == made))
        }
        _ => true,
    })
}

/// The keys of all that have to sign.
fn find_signers(
    transactions: &[Planned],
    accounts: &Accounts,
    arguments: &Arguments,
) -> Result<HashMap<SolanaAddress, Signer>, SignError> {
    let signers = transactions.iter().flat_map(|transaction| transaction.message.signers());
    let mut missing: BTreeSet<SolanaAddress> = signers.copied().collect();
    let mut found = HashMap::new();
    let last = arguments.first + (arguments.count - 1);
    for number in arguments.first..=last {
        if missing.is_empty() {
            break;
        }
        let signer = accounts.account(number);
        if missing.remove(&signer.address()) {
            found.insert(signer.address(), signer);
        }
    }
    match missing.first() {
        None => Ok(found),
        Some(example) => {
            let (missing, first, example) = (missing.len(), arguments.first, *example);
            Err(SignError::Signers { missing, first, last, example })
        }
    }
}

/// A transaction that was signed, in base64, and its name.
fn signed(message: &Message, signers: &HashMap<SolanaAddress, Signer>) -> (Signature, String) {
    let bytes = message.to_bytes();
    // All are there; what lacked one would be refused by the network.
    let found = message.signers().iter().filter_map(|signer| signers.get(signer));
    let signatures: Vec<_> = found.map(|signer| signer.sign(&bytes)).collect();
    let name = signatures.first().copied().unwrap_or(Signature::new([0; 64]));
    (name, STANDARD.encode(message.signed(&signatures)))
}

fn signed_answer(transactions: &[Planned], signers: &HashMap<SolanaAddress, Signer>) -> Answer {
    let mut text = String::from("# Signed; `pepay solana send` sends it.\n");
    let mut answers = Vec::new();
    for transaction in transactions {
        let (signature, encoded) = signed(&transaction.message, signers);
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "# {signature}\n{encoded}");
        answers.push(json!({ "signature": signature, "transaction": encoded }));
    }
    Answer { text, json: json!({ "transactions": answers }) }
}

async fn sign_and_send(
    transactions: &[Planned],
    signers: &HashMap<SolanaAddress, Signer>,
    node: &Node,
) -> Result<Answer, SolanaError> {
    let mut sent = Vec::new();
    for transaction in transactions {
        let is_durable = matches!(transaction.steps.first(), Some(Step::AdvanceNonce { .. }));
        let message = transaction.message.clone();
        let message = if is_durable { message } else { message.on(node.latest_blockhash().await?) };
        let (signature, encoded) = signed(&message, signers);
        sent.push(send_one(node, &encoded, signature).await?);
    }
    Ok(sent_answer(&sent))
}

async fn send_one(node: &Node, transaction: &str, signature: Signature) -> Result<Signature, SolanaError> {
    // First, so that it is known which one the node refuses.
    tell(&format!("sending {signature}\n"));
    let named = node.send(transaction).await?;
    if named != signature {
        return Err(SignError::Renamed(named).into());
    }
    match node.wait_for(signature, PATIENCE).await? {
        Some(status) if status.failed => Err(SignError::Failed(signature).into()),
        Some(_) => Ok(signature),
        None => Err(SignError::Unknown(signature).into()),
    }
}

fn sent_answer(sent: &[Signature]) -> Answer {
    Answer { text: one_in_each_line(sent), json: json!({ "confirmed": sent }) }
}

/// Tells on standard error what is going on.
fn tell(text: &str) {
    // There is nobody else to tell.
    let _no_stderr = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{super::plan::Freshness, *};
    use crate::solana::{Hash, associated_token_account, message::Instruction, programs};

    fn at(byte: u8) -> SolanaAddress {
        SolanaAddress::new([byte; 32])
    }

    fn home() -> SolanaAddress {
        at(1)
    }

    fn file(instructions: &[Instruction]) -> String {
        let message = Message::new(home(), instructions, Hash::new([8; 32])).unwrap();
        format!("# a remark\n{}\n", STANDARD.encode(message.to_bytes()))
    }

    #[track_caller]
    fn refused(steps: &[Step], problem: &str) {
        let instructions: Vec<_> = steps.iter().map(Step::instruction).collect();
        let error = read_transactions(&file(&instructions), home()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }

    fn send(to: SolanaAddress) -> Step {
        let (program, mint) = (programs::TOKEN, at(2));
        Step::SendToken { program, mint, decimals: 6, from: at(3), to, owner: at(4), amount: 5 }
    }

    #[test]
    fn a_sweep_is_read_and_understood() {
        let to = associated_token_account(home(), at(2), programs::TOKEN);
        let make = Step::MakeTokenAccount { payer: home(), wallet: home(), mint: at(2), program: programs::TOKEN };
        let unit = vec![make, send(to), Step::SendSol { from: at(4), to: home(), lamports: 6 }];
        let fresh = Freshness { hash: Hash::new([8; 32]), nonce: Some((at(5), home())) };
        let (planned, _) = super::super::plan::plan(home(), &[unit], &[fresh]);
        let text = format!("# 1\n\n{}\n", STANDARD.encode(planned[0].message.to_bytes()));
        assert_eq!(read_transactions(&text, home()).unwrap(), planned);
        let summary = Summary::of(&planned).to_string();
        for part in
            ["# 0.000005 of the token", "# 0.000000006 SOL", "# addresses: 1, transactions: 1, fees: 0.00001 SOL"]
        {
            assert!(summary.contains(part), "{summary}");
        }
    }

    #[test]
    fn nothing_is_signed_that_brings_anything_elsewhere() {
        refused(&[send(at(9))], "brings something elsewhere");
        refused(&[send(home())], "brings something elsewhere");
        refused(&[Step::SendSol { from: at(4), to: at(9), lamports: 1 }], "brings something elsewhere");
        let close = Step::Close { program: programs::TOKEN, account: at(3), to: at(9), owner: at(4) };
        refused(&[close], "brings something elsewhere");
    }

    #[test]
    fn nothing_is_signed_that_no_sweep_does() {
        let to = associated_token_account(home(), at(2), programs::TOKEN);
        let nonce = Step::AdvanceNonce { nonce: at(5), authority: home() };
        refused(&[send(to), nonce], "does something that no sweep does");
        let make = Step::MakeTokenAccount { payer: home(), wallet: home(), mint: at(7), program: programs::TOKEN };
        refused(&[make, send(to)], "does something that no sweep does");
        // Gives somebody else a hand in the account.
        let mut approve = send(to).instruction();
        approve.data = vec![4, 1, 0, 0, 0, 0, 0, 0, 0];
        let error = read_transactions(&file(&[approve]), home()).unwrap_err();
        assert!(matches!(error, SignError::Foreign(1)), "{error}");
    }

    #[test]
    fn what_is_no_sweep_at_all_is_refused() {
        for (text, problem) in [
            ("# nothing\n", "no transaction"),
            ("x y z", "cannot be read"),
            ("AAAA", "cannot be read"),
            ("H39zXK9MfNptcMQrmQhYAdbBj5x2MK1wfMDYRhrqdhzo", "cannot be read"),
        ] {
            let error = read_transactions(text, home()).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}

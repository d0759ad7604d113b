//! `pepay solana sweep`: what there is to bring home, as transactions that nobody has signed.

use std::{collections::HashSet, fmt::Write, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use serde_json::json;

use super::{
    super::{Answer, CliError},
    Decimal, SolanaError, address,
    node::{Node, NodeError},
    plan::{Freshness, Planned, Unit, plan},
    read_file,
    summary::{LAMPORTS_PER_SIGNATURE, Summary, sol, symbol},
};
use crate::{
    chains::solana::{
        accounts::{AccountError, Mint, Nonce, TokenAccount},
        rpc::{Account, AsOf, OwnedAccount},
    },
    cli::InputError,
    solana::{
        AddressListError, SolanaAddress, Step, associated_token_account, programs, read_address_list, solana_wallet,
    },
};

/// What making a token account costs at most; with extensions it is a little more than the usual 2,039,280.
const LAMPORTS_PER_TOKEN_ACCOUNT: u64 = 2_500_000;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Your addresses, one in each line, as `pepay solana addresses` prints them
    #[arg(value_name = "FILE")]
    addresses: PathBuf,
    /// The wallet that gets everything
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// A node to ask
    #[arg(long, env = "SOLANA_RPC_URL", hide_env_values = true, value_name = "URL")]
    rpc: String,
    /// The wallet that pays the fees, with a little SOL in it; usually the one that gets everything
    #[arg(long, value_name = "ADDRESS")]
    fee_payer: Option<String>,
    /// A token to bring home beside the well known ones; others are left alone, for anybody can send you worthless ones
    #[arg(long = "mint", value_name = "MINT")]
    mints: Vec<String>,
    /// A durable nonce account, to sign offline: one for each transaction, which is then good until it is used
    #[arg(long = "nonce", value_name = "ACCOUNT")]
    nonces: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum SweepError {
    #[error("{}: {problem}", path.display())]
    List { path: PathBuf, problem: AddressListError },
    #[error("--nonce: {nonce} {problem}")]
    Nonce { nonce: SolanaAddress, problem: AccountError },
    #[error("--nonce: there is nothing at {0}")]
    NoNonce(SolanaAddress),
    #[error("--nonce: {0} is given twice")]
    SameNonce(SolanaAddress),
    #[error("{what} {address} {problem}")]
    Unexpected { what: &'static str, address: SolanaAddress, problem: &'static str },
    #[error(
        "the fee payer {payer} holds {held} SOL, and may need {needed} SOL for fees and token accounts; send it some"
    )]
    Poor { payer: SolanaAddress, held: String, needed: String },
}

/// What was found at the addresses.
#[derive(Default)]
struct Found {
    units: Vec<Unit>,
    /// Why something stays where it is.
    left: Vec<String>,
    /// Lamports in accounts that are closed.
    rent: u128,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Answer, CliError> {
    let mints = arguments.mints.iter().map(|mint| address("--mint", mint)).collect::<Result<HashSet<_>, _>>()?;
    let wallet = |what, text: &str| {
        solana_wallet(text, |address| mints.contains(&address))
            .map_err(|error| InputError::new(what, error.to_string()))
    };
    let to = wallet("--to", &arguments.to)?;
    let fee_payer = arguments.fee_payer.as_deref().map_or(Ok(to), |text| wallet("--fee-payer", text))?;
    let nonces = arguments.nonces.iter().map(|nonce| address("--nonce", nonce)).collect::<Result<Vec<_>, _>>()?;
    let list = read_file(&arguments.addresses)?;
    let addresses = read_address_list(&list, |address| mints.contains(&address))
        .map_err(|problem| SweepError::List { path: arguments.addresses.clone(), problem })
        .map_err(SolanaError::from)?;
    let sweep = Sweep { node: Node::new(&arguments.rpc)?, to, fee_payer, mints };
    Ok(sweep.run(&addresses, &nonces).await?)
}

struct Sweep {
    node: Node,
    to: SolanaAddress,
    fee_payer: SolanaAddress,
    /// Beside those that everybody knows.
    mints: HashSet<SolanaAddress>,
}

impl Sweep {
    async fn run(&self, addresses: &[SolanaAddress], nonces: &[SolanaAddress]) -> Result<Answer, SolanaError> {
        let from: Vec<_> = addresses.iter().copied().filter(|address| *address != self.to).collect();
        let found = self.find(&from).await?;
        // Last, for a block's hash is good for a minute.
        let fresh = self.freshness(nonces).await?;
        let (planned, units_left) = plan(self.fee_payer, &found.units, &fresh);
        let summary = Summary::of(&planned);
        self.check_fee_payer(&summary).await?;
        Ok(self.answer(&planned, &summary, &found, units_left, !nonces.is_empty()))
    }

    async fn find(&self, addresses: &[SolanaAddress]) -> Result<Found, SolanaError> {
        let mut found = Found::default();
        let wallets = self.node.accounts(addresses).await?;
        let mut held = Vec::new();
        for owner in addresses {
            held.push(self.token_accounts(*owner).await?);
        }
        let mut wanted: Vec<_> = held.iter().flatten().map(|(_, account, _)| (account.mint, account.program)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|(mint, _)| self.is_wanted(*mint));
        let homes = self.homes(&wanted).await?;
        for ((owner, wallet), held) in addresses.iter().zip(&wallets).zip(&held) {
            for (account, holds, lamports) in held {
                self.empty(*owner, *account, holds, *lamports, &homes, &mut found);
            }
            if let Some(wallet) = wallet {
                self.take_sol(*owner, wallet, &mut found);
            }
        }
        Ok(found)
    }

    /// What a wallet's token accounts hold, and their lamports.
    async fn token_accounts(
        &self,
        owner: SolanaAddress,
    ) -> Result<Vec<(SolanaAddress, TokenAccount, u64)>, SolanaError> {
        let mut accounts = Vec::new();
        for program in [programs::TOKEN, programs::TOKEN_2022] {
            let params = json!([owner, { "programId": program }, { "commitment": "confirmed", "encoding": "base64" }]);
            let answer: AsOf<Vec<OwnedAccount>> = self.node.call("getTokenAccountsByOwner", params).await?;
            for OwnedAccount { pubkey, account } in answer.value {
                let unexpected =
                    |problem| SweepError::Unexpected { what: "the token account", address: pubkey, problem };
                let read = TokenAccount::read(&account).map_err(|_| unexpected("is none, as the node tells it"))?;
                if read.owner != owner || read.program != program {
                    return Err(unexpected("is another wallet's, as the node tells it").into());
                }
                accounts.push((pubkey, read, account.lamports));
            }
        }
        Ok(accounts)
    }

    fn is_wanted(&self, mint: SolanaAddress) -> bool {
        self.mints.contains(&mint) || symbol(mint).is_some()
    }

    /// Where tokens go: for each its decimals, and whether the account there has to be made.
    async fn homes(&self, tokens: &[(SolanaAddress, SolanaAddress)]) -> Result<Vec<Home>, SolanaError> {
        let mints: Vec<_> = tokens.iter().map(|(mint, _)| *mint).collect();
        let account =
            |(mint, program): &(SolanaAddress, SolanaAddress)| associated_token_account(self.to, *mint, *program);
        let accounts: Vec<_> = tokens.iter().map(account).collect();
        let read_mints = self.node.accounts(&mints).await?;
        let read_accounts = self.node.accounts(&accounts).await?;
        let mut homes = Vec::new();
        for (((mint, program), account), (read_mint, read_account)) in
            tokens.iter().copied().zip(accounts).zip(read_mints.iter().zip(&read_accounts))
        {
            let unexpected = |what, address, problem| SweepError::Unexpected { what, address, problem };
            let read_mint = read_mint.as_ref().and_then(|account| Mint::read(account).ok());
            let Some(Mint { decimals, .. }) = read_mint.filter(|mint| mint.program == program) else {
                return Err(unexpected("the mint", mint, "is none of that program, as the node tells it").into());
            };
            if let Some(read) = read_account {
                let is_open = TokenAccount::read(read).is_ok_and(|home| home.owner == self.to && !home.is_frozen);
                if !is_open {
                    let problem = "is frozen, or not of the wallet that is to get everything";
                    return Err(unexpected("the token account", account, problem).into());
                }
            }
            homes.push(Home { mint, account, decimals, is_missing: read_account.is_none() });
        }
        Ok(homes)
    }

    /// Empties a token account and closes it.
    fn empty(
        &self,
        owner: SolanaAddress,
        account: SolanaAddress,
        holds: &TokenAccount,
        lamports: u64,
        homes: &[Home],
        found: &mut Found,
    ) {
        let TokenAccount { program, mint, amount, .. } = *holds;
        let Some(home) = homes.iter().find(|home| home.mint == mint) else {
            if 0 < amount {
                let other = format!("{owner}: the token {mint} is not well known; if you want it, say --mint {mint}");
                found.left.push(other);
            }
            return;
        };
        if holds.is_frozen {
            let amount = Decimal { amount: amount.into(), decimals: home.decimals };
            found.left.push(format!("{owner}: {amount} of the token {mint}, which its issuer froze in {account}"));
            return;
        }
        let mut unit = Vec::new();
        // What wraps SOL gives it back where it is closed.
        if 0 < amount && !holds.is_native {
            if home.is_missing {
                unit.push(Step::MakeTokenAccount { payer: self.fee_payer, wallet: self.to, mint, program });
            }
            let (decimals, from, to) = (home.decimals, account, home.account);
            unit.push(Step::SendToken { program, mint, decimals, from, to, owner, amount });
        }
        if holds.close_authority.is_none_or(|authority| authority == owner) {
            if 0 < holds.withheld {
                unit.push(Step::PassFeesOn { mint, account });
            }
            unit.push(Step::Close { program, account, to: self.to, owner });
            found.rent += u128::from(lamports);
        } else {
            found.left.push(format!("{owner}: the rent of {account}, which only somebody else may close"));
        }
        if !unit.is_empty() {
            found.units.push(unit);
        }
    }

    fn take_sol(&self, owner: SolanaAddress, wallet: &Account, found: &mut Found) {
        let lamports = wallet.lamports;
        if owner == self.fee_payer || lamports == 0 {
            return;
        }
        if wallet.owner != programs::SYSTEM || !wallet.data.is_empty() {
            found.left.push(format!("{owner}: {} SOL, which a program holds", sol(lamports.into())));
            return;
        }
        // A signature that is needed anyhow costs nothing more.
        let signs_anyhow = found.units.iter().flatten().any(
            |step| matches!(step, Step::Close { owner: signer, .. } | Step::SendToken { owner: signer, .. } if *signer == owner),
        );
        if !signs_anyhow && lamports <= LAMPORTS_PER_SIGNATURE {
            found.left.push(format!("{owner}: {} SOL, which would cost as much to move", sol(lamports.into())));
            return;
        }
        found.units.push(vec![Step::SendSol { from: owner, to: self.to, lamports }]);
    }

    async fn freshness(&self, nonces: &[SolanaAddress]) -> Result<Vec<Freshness>, SolanaError> {
        if nonces.is_empty() {
            let hash = self.node.latest_blockhash().await?;
            return Ok(vec![Freshness { hash, nonce: None }]);
        }
        let accounts = self.node.accounts(nonces).await?;
        let mut fresh: Vec<Freshness> = Vec::new();
        for (nonce, account) in nonces.iter().copied().zip(accounts) {
            let account = account.ok_or(SweepError::NoNonce(nonce))?;
            let read = Nonce::read(&account).map_err(|problem| SweepError::Nonce { nonce, problem })?;
            if fresh.iter().any(|fresh| fresh.nonce.is_some_and(|(known, _)| known == nonce)) {
                return Err(SweepError::SameNonce(nonce).into());
            }
            fresh.push(Freshness { hash: read.value, nonce: Some((nonce, read.authority)) });
        }
        Ok(fresh)
    }

    async fn check_fee_payer(&self, summary: &Summary) -> Result<(), SolanaError> {
        let made = u64::try_from(summary.made.len()).unwrap_or(u64::MAX);
        let needed = summary.fees().saturating_add(made.saturating_mul(LAMPORTS_PER_TOKEN_ACCOUNT));
        let account = self.node.accounts(&[self.fee_payer]).await?;
        let held = account.into_iter().next().flatten().map_or(0, |account| account.lamports);
        if held < needed {
            let (held, needed) = (sol(held.into()).to_string(), sol(needed.into()).to_string());
            return Err(SweepError::Poor { payer: self.fee_payer, held, needed }.into());
        }
        Ok(())
    }

    fn answer(
        &self,
        planned: &[Planned],
        summary: &Summary,
        found: &Found,
        units_left: usize,
        is_durable: bool,
    ) -> Answer {
        let mut text = format!("# To {}, fees paid by {}:\n{summary}", self.to, self.fee_payer);
        for left in &found.left {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "# left alone: {left}");
        }
        if 0 < units_left {
            text.push_str("# there is more than these nonces take: run this again once they are used\n");
        }
        text.push_str(match (planned, is_durable) {
            ([], _) => "",
            (_, true) => "# Good until the nonces are used. Sign with `pepay solana sign` where the phrase is.\n",
            (_, false) => {
                "# Sign and send with `pepay solana sign --send`; signed otherwise, it has to be sent within a minute.\n"
            }
        });
        let messages: Vec<_> = planned.iter().map(|planned| STANDARD.encode(planned.message.to_bytes())).collect();
        for message in &messages {
            text.push_str(message);
            text.push('\n');
        }
        let tokens = summary.tokens.iter().map(
            |(mint, (decimals, amount))| json!({ "mint": mint, "amount": amount.to_string(), "decimals": decimals }),
        );
        let transactions = planned
            .iter()
            .zip(&messages)
            .map(|(planned, message)| json!({ "message": message, "signers": planned.message.signers() }));
        let json = json!({
            "to": self.to,
            "fee_payer": self.fee_payer,
            "tokens": tokens.collect::<Vec<_>>(),
            "lamports": summary.lamports.to_string(),
            "rent": found.rent.to_string(),
            "fees": summary.fees().to_string(),
            "left": found.left,
            "is_complete": units_left == 0,
            "transactions": transactions.collect::<Vec<_>>(),
        });
        Answer { text, json }
    }
}

/// Where a token goes.
struct Home {
    mint: SolanaAddress,
    account: SolanaAddress,
    decimals: u8,
    is_missing: bool,
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        SolanaError::from(error).into()
    }
}

//! `pepay key`.

use std::fmt::Write;

use clap::{ArgAction, Subcommand};
use domain::{
    access::{KeyStatus, Right, Rights, Scope, UnknownName},
    id::{ApiKeyId, MerchantId, ParseIdError},
};
use serde_json::json;

use super::{Answer, CliError, InputError, Session, input};
use crate::{
    keys::{self, IssueKey},
    store::ApiKeyRecord,
    view,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an API key, which is shown only now
    Create {
        #[arg(long, value_name = "MERCHANT_ID")]
        merchant: i64,
        /// What it is for
        #[arg(long, default_value = "API key")]
        name: String,
        /// `merchant` or `commerce`
        #[arg(long, default_value = "merchant", value_parser = |text: &str| -> Result<Scope, UnknownName> { text.parse() })]
        scope: Scope,
        /// What it can do; may come more than once, and adds nothing to what is named: invoices:create,
        /// invoices:read, invoices:cancel, settings (these four by default), webhooks, wallets,
        /// `receiver_override`, rpc
        #[arg(long = "right", action = ArgAction::Append,
            value_parser = |text: &str| -> Result<Right, UnknownName> { text.parse() })]
        rights: Vec<Right>,
        /// Without it, it never expires
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in_days: Option<u32>,
    },
    /// List a merchant's keys, without the keys themselves
    List {
        #[arg(long, value_name = "MERCHANT_ID")]
        merchant: i64,
    },
    /// Revoke a key for good
    Revoke {
        #[arg(value_parser = key_id)]
        key_id: ApiKeyId,
        /// Why, for whoever reads the list later
        #[arg(long)]
        reason: Option<String>,
    },
    /// Have a key open nothing until it is resumed
    Suspend {
        #[arg(value_parser = key_id)]
        key_id: ApiKeyId,
    },
    /// End a key's suspension
    Resume {
        #[arg(value_parser = key_id)]
        key_id: ApiKeyId,
    },
}

fn key_id(text: &str) -> Result<ApiKeyId, ParseIdError> {
    text.parse()
}

pub(super) async fn run(command: Command, session: &Session) -> Result<Answer, CliError> {
    match command {
        Command::Create { merchant, name, scope, rights, expires_in_days } => {
            let wanted = IssueKey {
                merchant: MerchantId(merchant),
                name: input::name(&name)?,
                scope,
                rights: checked_rights(scope, rights)?,
                expires_at: expires_in_days.map(|days| session.clock.now().plus(i64::from(days) * 86_400)),
                request: None,
            };
            create(session, wanted).await
        }
        Command::List { merchant } => list(session, MerchantId(merchant)).await,
        Command::Revoke { key_id, reason } => {
            let reason = reason.map(|text| input::line("--reason", &text)).transpose()?;
            change(session, key_id, Change::Revoke(reason)).await
        }
        Command::Suspend { key_id } => change(session, key_id, Change::Suspend).await,
        Command::Resume { key_id } => change(session, key_id, Change::Resume).await,
    }
}

/// Rights as the operator names them, who can give every one.
fn checked_rights(scope: Scope, rights: Vec<Right>) -> Result<Rights, InputError> {
    match (scope, rights.is_empty()) {
        (Scope::Merchant, true) => Ok(Rights::DEFAULT),
        (Scope::Merchant, false) => Ok(rights.into_iter().collect()),
        (Scope::Commerce, true) => Ok(Rights::NONE),
        (Scope::Commerce, false) => Err(InputError::new("--right", "is for keys of scope merchant")),
    }
}

async fn create(session: &Session, wanted: IssueKey) -> Result<Answer, CliError> {
    let merchant = wanted.merchant;
    session.check_merchant(merchant).await?;
    let issued = keys::issue(&session.store, &session.config, session.clock.now(), wanted).await?;
    let (id, api_key) = (issued.record.id, &issued.api_key);
    Ok(Answer {
        text: format!("key {id} of merchant {merchant}\nAPI key {api_key}\nThe API key is not shown again.\n"),
        json: json!(view::created_api_key(&issued)),
    })
}

async fn list(session: &Session, merchant: MerchantId) -> Result<Answer, CliError> {
    session.check_merchant(merchant).await?;
    let keys = session.store.reader().await?.tx().api_keys(merchant).await?;
    let mut text = String::new();
    for key in &keys {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{}", line(session, key));
    }
    if keys.is_empty() {
        text = format!("merchant {merchant} has no keys\n");
    }
    Ok(Answer { text, json: keys.iter().map(|key| json!(view::api_key(key))).collect() })
}

fn line(session: &Session, key: &ApiKeyRecord) -> String {
    let state = match key.status() {
        KeyStatus::Revoked => "revoked",
        KeyStatus::Suspended => "suspended",
        KeyStatus::Active if key.life.is_expired(session.clock.now()) => "expired",
        KeyStatus::Active => "in use",
    };
    let environment = key.environment.map_or("any", wire::Environment::as_str);
    let mut line = format!(
        "{}  …{}  {state}  {}  {environment}  {}  [{}]",
        key.id,
        key.hint,
        key.scope.as_str(),
        key.name,
        key.rights
    );
    for (what, time) in [
        ("created", Some(key.created_at)),
        ("last used", key.last_used_at),
        ("expires", key.life.expires_at),
        ("suspended", key.life.suspended_at),
        ("revoked", key.life.revoked_at),
    ] {
        if let Some(time) = time {
            let _infallible = write!(line, "  {what} {}", time.0);
        }
    }
    if let Some(reason) = &key.revoked_reason {
        let _infallible = write!(line, " ({reason})");
    }
    line
}

/// What can be done to a key that there is.
enum Change {
    Revoke(Option<String>),
    Suspend,
    Resume,
}

async fn change(session: &Session, id: ApiKeyId, change: Change) -> Result<Answer, CliError> {
    let now = session.clock.now();
    let done = match change {
        Change::Revoke(_) => "revoked",
        Change::Suspend => "suspended",
        Change::Resume => "resumed",
    };
    let write = session.store.write(move |tx| {
        Box::pin(async move {
            let Some(merchant) = tx.merchant_of_api_key(id).await? else { return Ok(false) };
            match change {
                Change::Revoke(reason) => tx.revoke_api_key(merchant, id, reason.as_deref(), now).await,
                Change::Suspend => tx.suspend_api_key(merchant, id, now).await,
                Change::Resume => tx.resume_api_key(merchant, id).await,
            }
        })
    });
    if !write.await? {
        return Err(CliError::NoSuchKey { id, done });
    }
    Ok(Answer { text: format!("{done} key {id}\n"), json: json!({ "key_id": id.to_string(), done: true }) })
}

//! `pepay key`.

use std::fmt::Write;

use clap::Subcommand;
use domain::{
    id::{ApiKeyId, MerchantId, ParseIdError},
    signature::CredentialHash,
};
use serde_json::json;
use wire::Environment;

use super::{Answer, CliError, Session, input};
use crate::{
    clock::random_bytes,
    credentials::random_credential,
    store::{ApiKeyRecord, NewApiKey},
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
    },
    /// List a merchant's keys, without the keys themselves
    List {
        #[arg(long, value_name = "MERCHANT_ID")]
        merchant: i64,
    },
    /// Revoke a key for good
    Revoke {
        #[arg(value_parser = |text: &str| -> Result<ApiKeyId, ParseIdError> { text.parse() })]
        key_id: ApiKeyId,
    },
}

pub(super) async fn run(command: Command, session: &Session) -> Result<Answer, CliError> {
    match command {
        Command::Create { merchant, name } => create(session, MerchantId(merchant), &name).await,
        Command::List { merchant } => list(session, MerchantId(merchant)).await,
        Command::Revoke { key_id } => revoke(session, key_id).await,
    }
}

async fn create(session: &Session, merchant: MerchantId, name: &str) -> Result<Answer, CliError> {
    let name = input::name(name)?;
    session.check_merchant(merchant).await?;
    let api_key = random_credential(match session.config.environment {
        Environment::Devnet => "pk_test_",
        Environment::Mainnet => "pk_live_",
    });
    let id = ApiKeyId::from_random(random_bytes());
    let key = NewApiKey {
        merchant,
        id,
        name,
        hash: CredentialHash::of(&api_key),
        hint: api_key[api_key.len() - 4..].to_owned(),
        created_at: session.clock.now(),
    };
    session
        .store
        .write(move |tx| Box::pin(async move { tx.insert_api_key(&key).await.map_err(CliError::from) }))
        .await?;
    Ok(Answer {
        text: format!("key {id} of merchant {merchant}\nAPI key {api_key}\nThe API key is not shown again.\n"),
        json: json!({ "key_id": id.to_string(), "api_key": api_key }),
    })
}

async fn list(session: &Session, merchant: MerchantId) -> Result<Answer, CliError> {
    session.check_merchant(merchant).await?;
    let keys = session.store.reader().await?.tx().api_keys(merchant).await?;
    let mut text = String::new();
    for key in &keys {
        let state = if key.revoked_at.is_some() { "revoked" } else { "in use" };
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{}  …{}  {state}  {}", key.id, key.hint, key.name);
    }
    if keys.is_empty() {
        text = format!("merchant {merchant} has no keys\n");
    }
    Ok(Answer { text, json: keys.iter().map(key_json).collect() })
}

fn key_json(key: &ApiKeyRecord) -> serde_json::Value {
    json!({
        "key_id": key.id.to_string(),
        "name": key.name,
        "hint": key.hint,
        "created_at": key.created_at.0,
        "last_used_at": key.last_used_at.map(|time| time.0),
        "revoked_at": key.revoked_at.map(|time| time.0),
    })
}

async fn revoke(session: &Session, id: ApiKeyId) -> Result<Answer, CliError> {
    let now = session.clock.now();
    let revoked: bool = session
        .store
        .write(move |tx| Box::pin(async move { tx.revoke_api_key(id, now).await.map_err(CliError::from) }))
        .await?;
    if !revoked {
        return Err(CliError::NoSuchKey(id));
    }
    Ok(Answer { text: format!("revoked key {id}\n"), json: json!({ "key_id": id.to_string(), "revoked": true }) })
}

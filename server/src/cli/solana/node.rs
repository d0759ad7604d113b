//! Asking one node of Solana, which the merchant names.

use std::{sync::Arc, time::Duration};

use reqwest::redirect;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::super::InputError;
use crate::{
    chains::solana::rpc::{self, Account, AnswerError, AsOf, LatestBlockhash, SignatureStatus},
    config::is_loopback,
    solana::{Hash, Signature, SolanaAddress},
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Nodes take so many accounts at once.
const ACCOUNTS_AT_ONCE: usize = 100;
const ASK_EVERY: Duration = Duration::from_millis(500);

/// A node that does not answer as it should. Its URL may hold a key, so it is not repeated.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum NodeError {
    #[error("the node does not answer {method}")]
    Transport {
        method: &'static str,
        #[source]
        source: Arc<reqwest::Error>,
    },
    #[error("the node refuses {method} ({code}): {message}")]
    Refused { method: &'static str, code: i64, message: String },
    #[error("the node answers something else to {method}")]
    Answer {
        method: &'static str,
        #[source]
        source: AnswerError,
    },
}

pub(super) struct Node {
    client: reqwest::Client,
    url: Url,
}

impl Node {
    /// The node at a URL.
    pub(super) fn new(url: &str) -> Result<Self, InputError> {
        let refused = |problem: &str| InputError::new("--rpc", problem);
        let url = Url::parse(url).map_err(|_| refused("must be the https:// URL of a node"))?;
        let is_here = is_loopback(&url);
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err(refused("must be https, except on this machine"));
        }
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        let client = if is_here { client.no_proxy() } else { client };
        let client = client.build().map_err(|_| refused("cannot be asked: this machine has no certificates"))?;
        Ok(Self { client, url })
    }

    pub(super) async fn call<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, NodeError> {
        let result = self.ask(method, params).await?;
        rpc::read(&result).map_err(|source| NodeError::Answer { method, source })
    }

    async fn ask(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        let failed = |source: reqwest::Error| NodeError::Transport { method, source: Arc::new(source.without_url()) };
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.client.post(self.url.clone()).json(&request).send().await.map_err(failed)?;
        let mut answer: Value = answer.json().await.map_err(failed)?;
        match answer.get("error") {
            None | Some(Value::Null) => Ok(answer.get_mut("result").map(Value::take).unwrap_or_default()),
            Some(error) => {
                let message = error["message"].as_str().unwrap_or("it does not say why").chars().take(300).collect();
                Err(NodeError::Refused { method, code: error["code"].as_i64().unwrap_or_default(), message })
            }
        }
    }

    /// What is at each address, `None` where nothing is.
    pub(super) async fn accounts(&self, addresses: &[SolanaAddress]) -> Result<Vec<Option<Account>>, NodeError> {
        let method = "getMultipleAccounts";
        let mut accounts = Vec::with_capacity(addresses.len());
        for some in addresses.chunks(ACCOUNTS_AT_ONCE) {
            let result = self.ask(method, json!([some, { "commitment": "confirmed", "encoding": "base64" }])).await?;
            let answer = rpc::read_each(&result, some.len()).map_err(|source| NodeError::Answer { method, source })?;
            accounts.extend(answer.value);
        }
        Ok(accounts)
    }

    pub(super) async fn latest_blockhash(&self) -> Result<Hash, NodeError> {
        let params = json!([{ "commitment": "confirmed" }]);
        let answer: AsOf<LatestBlockhash> = self.call("getLatestBlockhash", params).await?;
        Ok(answer.value.blockhash)
    }

    /// Has the node check a transaction, given in base64, and send it on.
    pub(super) async fn send(&self, transaction: &str) -> Result<Signature, NodeError> {
        let params = json!([transaction, { "encoding": "base64", "preflightCommitment": "confirmed" }]);
        self.call("sendTransaction", params).await
    }

    /// What became of a transaction; `None` if nothing is known by then.
    pub(super) async fn wait_for(
        &self,
        signature: Signature,
        patience: Duration,
    ) -> Result<Option<SignatureStatus>, NodeError> {
        let asked = async {
            loop {
                let params = json!([[signature], { "searchTransactionHistory": true }]);
                let answer: AsOf<Vec<Option<SignatureStatus>>> = self.call("getSignatureStatuses", params).await?;
                let status = answer.value.into_iter().next().flatten();
                match status {
                    Some(status) if status.confirmation_status != Some(rpc::Commitment::Processed) => {
                        return Ok(status);
                    }
                    _ => tokio::time::sleep(ASK_EVERY).await,
                }
            }
        };
        tokio::time::timeout(patience, asked).await.ok().transpose()
    }
}

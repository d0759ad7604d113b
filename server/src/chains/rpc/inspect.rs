//! What an operator is told about each endpoint.

use std::{slice, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::{Call, Chain, Endpoint, Problem, Rpc, quantity};

/// How one endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointReport {
    /// Its name, and its port where that is not the usual one.
    pub host: String,
    /// Whether it was added through the API.
    pub is_added: bool,
    pub took: Duration,
    /// The number of the newest block, of its slot on Solana, or what is wrong with the endpoint.
    pub head: Result<u64, Problem>,
}

impl Rpc {
    /// Asks every endpoint for its newest block, after it showed that it is on the right chain.
    pub async fn inspect(&self) -> Vec<EndpointReport> {
        let endpoints = self.endpoints();
        let mut rest = endpoints.iter();
        let mut reports = Vec::with_capacity(endpoints.len());
        // The first that can be used says what block 0 is; only then the others can be held to it.
        while self.genesis.get().is_none()
            && let Some(endpoint) = rest.next()
        {
            reports.push(self.inspect_one(endpoint).await);
        }
        reports.extend(join_all(rest.map(|endpoint| self.inspect_one(endpoint))).await);
        reports
    }

    async fn inspect_one(&self, endpoint: &Endpoint) -> EndpointReport {
        // Without a question it shows which chain it is on and no more, which is not what its pace is judged by.
        let shown = self.ask(endpoint, &[]).await;
        let asked = Instant::now();
        let head = match shown {
            Ok(_) => self.head_of(endpoint).await,
            Err(problem) => Err(problem),
        };
        let (host, is_added) = (endpoint.label.clone(), endpoint.added.is_some());
        EndpointReport { host, is_added, took: asked.elapsed(), head }
    }

    async fn head_of(&self, endpoint: &Endpoint) -> Result<u64, Problem> {
        let call = match self.chain {
            Chain::Evm { .. } => Call::new("eth_blockNumber", json!([])),
            Chain::Solana => Call::new("getSlot", json!([{ "commitment": "confirmed" }])),
        };
        let answer = self.ask(endpoint, slice::from_ref(&call)).await?.pop().and_then(Result::ok);
        let number = answer.and_then(|answer| match self.chain {
            Chain::Evm { .. } => quantity(&answer),
            Chain::Solana => answer.as_u64(),
        });
        number.ok_or(Problem::NotJsonRpc)
    }
}

//! What an operator is told about each endpoint.

use std::{slice, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::{Call, Problem, Rpc, quantity};

/// How one endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointReport {
    /// Its name, and its port where that is not the usual one.
    pub host: String,
    pub took: Duration,
    /// The number of the newest block, or what is wrong with the endpoint.
    pub head: Result<u64, Problem>,
}

impl Rpc {
    /// Asks every endpoint for its newest block, all at the same time, after it showed that it is on the right chain.
    pub async fn inspect(&self) -> Vec<EndpointReport> {
        let endpoints = self.endpoints();
        let reports = endpoints.iter().map(|endpoint| async {
            let started = Instant::now();
            let call = Call::new("eth_blockNumber", json!([]));
            let answers = self.ask(endpoint, slice::from_ref(&call)).await;
            let head = answers.and_then(|answers| {
                let head = answers.into_iter().next().and_then(|answer| quantity(&answer.ok()?));
                head.ok_or(Problem::NotJsonRpc)
            });
            EndpointReport { host: endpoint.label.clone(), took: started.elapsed(), head }
        });
        join_all(reports).await
    }
}

//! Waiting for a transaction that a command sent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    chains::rpc::{Rpc, RpcError},
    config::NetworkConfig,
};

/// A transaction that is not mined by then may still be later; running the command again is safe.
const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub(super) enum TransactionError {
    #[error("network {network} does not say what became of {transaction}")]
    NoReceipt {
        network: String,
        transaction: String,
        #[source]
        source: RpcError,
    },
    #[error("the transaction {transaction} failed on network {network}")]
    Failed { network: String, transaction: String },
    #[error("the transaction {transaction} waits on network {network}; look for it there")]
    Waiting { network: String, transaction: String },
}

/// Returns once the transaction is in a block, where it did what it was meant to.
pub(super) async fn wait_for_receipt(network: &NetworkConfig, transaction: &str) -> Result<(), TransactionError> {
    let rpc = Rpc::new(network);
    let (network, transaction) = (network.name.clone(), transaction.to_owned());
    let mined = async {
        loop {
            match rpc.call("eth_getTransactionReceipt", json!([transaction])).await {
                Ok(Value::Null) => tokio::time::sleep(ASK_EVERY).await,
                answer => return answer,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, mined).await {
        Ok(Ok(receipt)) if receipt["status"] == "0x1" => Ok(()),
        Ok(Ok(_)) => Err(TransactionError::Failed { network, transaction }),
        Ok(Err(source)) => Err(TransactionError::NoReceipt { network, transaction, source }),
        Err(_elapsed) => Err(TransactionError::Waiting { network, transaction }),
    }
}

//! `pepay deploy-factory`.

use std::fmt::Write;

use alloy_primitives::Address;
use clap::Args;
use serde_json::{Value, json};
use wire::deposit_address::FACTORY;

use super::{
    Answer, CliError,
    transaction::{TransactionError, wait_for_receipt},
};
use crate::{
    chains::evm::{CREATE2_DEPLOYER, DEPLOYMENT_GAS, Deployment, Node, StepError, deployment_calldata},
    config::{Config, NetworkConfig},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only on this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum DeployError {
    #[error("--network: there is no network {0}")]
    NoSuchNetwork(String),
    #[error("network {network} cannot be asked")]
    Unreadable {
        network: String,
        #[source]
        source: StepError,
    },
    #[error(
        "network {network}: what is deployed at {address} is not the deposit factory's code; do not take money there"
    )]
    Foreign { network: String, address: Address },
    #[error(
        "network {network}: there is no deployer at {CREATE2_DEPLOYER}, which alone can put the factory where deposit \
         addresses expect it"
    )]
    NoDeployer { network: String },
    #[error("network {network}: the deployment {transaction} is in a block, but the factory is not there")]
    NotThere { network: String, transaction: String },
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

/// Puts the factory where it is missing, if an account is set for that; elsewhere prints what any wallet has to send.
pub(super) async fn run(arguments: &Arguments, config: &Config) -> Result<Answer, CliError> {
    let wanted = arguments.network.as_ref();
    if let Some(name) = wanted
        && config.network(name).is_none()
    {
        return Err(DeployError::NoSuchNetwork(name.clone()).into());
    }
    let (mut text, mut networks) = (String::new(), Vec::new());
    for network in config.networks.iter().filter(|network| wanted.is_none_or(|name| *name == network.name)) {
        networks.push(deploy(network, &mut text).await?);
    }
    Ok(Answer { text, json: json!({ "networks": networks }) })
}

async fn deploy(network: &NetworkConfig, text: &mut String) -> Result<Value, DeployError> {
    let node = Node::new(network);
    let name = &network.name;
    let unreadable = |source| DeployError::Unreadable { network: name.clone(), source };
    // Writing to a string cannot fail.
    let _infallible = match node.deployment().await.map_err(unreadable)? {
        Deployment::Ours => writeln!(text, "{name}: the factory is at {FACTORY}"),
        Deployment::Foreign(address) => return Err(DeployError::Foreign { network: name.clone(), address }),
        Deployment::NoDeployer => return Err(DeployError::NoDeployer { network: name.clone() }),
        Deployment::Missing => {
            let calldata = deployment_calldata();
            let Some(account) = network.sweep_account else {
                let _infallible = writeln!(
                    text,
                    "{name}: the factory is missing; to be sent by any wallet, for about {DEPLOYMENT_GAS} gas, as\n  \
                     chain {}\n  to {CREATE2_DEPLOYER}\n  value 0\n  data {calldata}",
                    network.chain_id
                );
                return Ok(json!({
                    "network": name, "chain_id": network.chain_id, "factory": FACTORY.to_string(), "state": "missing",
                    "to": CREATE2_DEPLOYER.to_string(), "data": calldata.to_string(),
                }));
            };
            let transaction = node.send_unlocked(account, CREATE2_DEPLOYER, &calldata).await.map_err(unreadable)?;
            let transaction = transaction.to_string();
            wait_for_receipt(network, &transaction).await?;
            if node.deployment().await.map_err(unreadable)? != Deployment::Ours {
                return Err(DeployError::NotThere { network: name.clone(), transaction });
            }
            writeln!(text, "{name}: the factory is at {FACTORY} now, deployed in {transaction}")
        }
    };
    Ok(json!({
        "network": name, "chain_id": network.chain_id, "factory": FACTORY.to_string(), "state": "deployed",
    }))
}

//! `pepay deploy-factory`.

use std::fmt::Write;

use alloy_primitives::{Address, Bytes};
use clap::Args;
use serde_json::json;
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
    #[error("there is no network in the configuration")]
    NoNetwork,
}

/// Why a network has no factory after all.
#[derive(Debug, thiserror::Error)]
enum NotDeployed {
    #[error("the network cannot be asked: {0}; see what `pepay check` says of its endpoints")]
    Unreadable(#[from] StepError),
    #[error("refused: what is at {0} is not the deposit factory's code; take no money on this network")]
    Foreign(Address),
    #[error(
        "there is no deployer at {CREATE2_DEPLOYER}, which alone can put the factory where deposit addresses expect it; \
         deploy that first (https://github.com/Arachnid/deterministic-deployment-proxy)"
    )]
    NoDeployer,
    #[error("the deployment {0} is in a block, but the factory is not there")]
    NotThere(String),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

/// Puts the factory where it is missing, if an account is set for that; elsewhere prints what any wallet has to send. The
/// second value is on how many networks there is no factory and nothing to send either.
pub(super) async fn run(arguments: &Arguments, config: &Config) -> Result<(Answer, usize), CliError> {
    let wanted = arguments.network.as_ref();
    let networks = config.evm_networks().filter(|network| wanted.is_none_or(|name| *name == network.name));
    let networks: Vec<_> = networks.collect();
    match wanted {
        Some(name) if networks.is_empty() => return Err(DeployError::NoSuchNetwork(name.clone()).into()),
        None if networks.is_empty() => return Err(DeployError::NoNetwork.into()),
        _ => {}
    }
    let (mut text, mut answers, mut failed) = (String::new(), Vec::new(), 0);
    for network in networks {
        let name = &network.name;
        let mut answer = json!({ "network": name, "chain_id": network.chain_id, "factory": FACTORY.to_string() });
        // Writing to a string cannot fail.
        let _infallible = match deploy(network).await {
            Ok(Deployed::Before) => {
                answer["state"] = "deployed".into();
                writeln!(text, "{name}: the factory is at {FACTORY}")
            }
            Ok(Deployed::Now { transaction }) => {
                answer["state"] = "deployed".into();
                answer["transaction"] = transaction.as_str().into();
                writeln!(text, "{name}: the factory is at {FACTORY} now, deployed in {transaction}")
            }
            Ok(Deployed::ByWhoeverSends(calldata)) => {
                answer["state"] = "missing".into();
                answer["to"] = CREATE2_DEPLOYER.to_string().into();
                answer["data"] = calldata.to_string().into();
                writeln!(
                    text,
                    "{name}: the factory is missing; to be sent by any wallet, for about {DEPLOYMENT_GAS} gas, as\n  \
                     chain {}\n  to {CREATE2_DEPLOYER}\n  value 0\n  data {calldata}",
                    network.chain_id
                )
            }
            Err(error) => {
                failed += 1;
                answer["state"] = "failed".into();
                answer["error"] = error.to_string().into();
                writeln!(text, "{name}: {error}")
            }
        };
        answers.push(answer);
    }
    Ok((Answer { text, json: json!({ "networks": answers }) }, failed))
}

enum Deployed {
    Before,
    Now {
        transaction: String,
    },
    /// It is not, but is by whoever sends this to the deployer.
    ByWhoeverSends(Bytes),
}

async fn deploy(network: &NetworkConfig) -> Result<Deployed, NotDeployed> {
    let node = Node::new(network);
    match node.deployment().await? {
        Deployment::Ours => return Ok(Deployed::Before),
        Deployment::Foreign(address) => return Err(NotDeployed::Foreign(address)),
        Deployment::NoDeployer => return Err(NotDeployed::NoDeployer),
        Deployment::Missing => {}
    }
    let calldata = deployment_calldata();
    let Some(account) = network.sweep_account else { return Ok(Deployed::ByWhoeverSends(calldata)) };
    let transaction = node.send_unlocked(account, CREATE2_DEPLOYER, &calldata).await?.to_string();
    let mined = wait_for_receipt(network, &transaction).await;
    // Should it have failed because somebody else was faster with the same, that is as good.
    if node.deployment().await? == Deployment::Ours {
        return Ok(Deployed::Now { transaction });
    }
    mined?;
    Err(NotDeployed::NotThere(transaction))
}

//! Whether wallets are contracts, and on which networks: what is one here may be nobody's there.

use std::time::Duration;

use alloy_primitives::Address;
use futures_util::future::join_all;

use crate::{
    chains::evm::Node,
    config::{Config, NetworkConfig},
};

/// Whoever sets a wallet waits no longer for networks to say what it is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a network said of some wallets, in their order; nothing if it could not be asked.
pub(super) struct Said<'c> {
    pub network: &'c str,
    pub are_contracts: Option<Vec<bool>>,
}

impl<'c> Said<'c> {
    pub(super) async fn by(network: &'c NetworkConfig, node: &Node, wallets: &[Address]) -> Self {
        let asked = tokio::time::timeout(PATIENCE, node.are_contracts(wallets)).await;
        let are_contracts = match asked {
            Ok(Ok(are_contracts)) => Some(are_contracts),
            Ok(Err(error)) => {
                tracing::warn!(payment.network = network.name, %error, "the network does not say what wallets are there");
                None
            }
            Err(_elapsed) => {
                tracing::warn!(
                    payment.network = network.name,
                    "the network does not say in time what wallets are there"
                );
                None
            }
        };
        Self { network: &network.name, are_contracts }
    }
}

/// Where one wallet is a contract.
#[derive(Debug, Default)]
pub(super) struct Places<'c> {
    pub there: Vec<&'c str>,
    pub missing: Vec<&'c str>,
    pub unknown: Vec<&'c str>,
}

impl<'c> Places<'c> {
    /// Asks every network about one wallet.
    pub(super) async fn of(config: &'c Config, wallet: Address) -> Self {
        let said = join_all(config.evm_networks().map(async |network| {
            let node = Node::new(network);
            Said::by(network, &node, &[wallet]).await
        }));
        Self::among(&said.await, 0)
    }

    /// What the networks said of the wallet with this place in their lists.
    pub(super) fn among(said: &[Said<'c>], index: usize) -> Self {
        let mut places = Self::default();
        for Said { network, are_contracts } in said {
            let is_contract = are_contracts.as_ref().and_then(|are_contracts| are_contracts.get(index));
            let place = match is_contract {
                Some(true) => &mut places.there,
                Some(false) => &mut places.missing,
                None => &mut places.unknown,
            };
            place.push(network);
        }
        places
    }

    /// What there is to say of it; nothing of what is an account wherever that is known.
    pub(super) fn words(&self) -> Option<String> {
        if self.there.is_empty() {
            return None;
        }
        let mut words = format!("a contract on {}", self.there.join(", "));
        if !self.missing.is_empty() {
            words += ", but not on ";
            words += &self.missing.join(", ");
            words += ", where what is sent to it may be out of reach";
        }
        if !self.unknown.is_empty() {
            words += "; it is not known what it is on ";
            words += &self.unknown.join(", ");
        }
        Some(words)
    }

    /// What whoever sets the wallet should do, in lines of their own; empty if nothing.
    pub(super) fn warnings(&self, wallet: Address) -> Vec<String> {
        let is_partly = !self.missing.is_empty();
        let partly = self.words().filter(|_| is_partly);
        let partly =
            partly.map(|words| format!("{wallet} is {words}. Deploy the same wallet there, or set another one."));
        let unknown = (!self.unknown.is_empty()).then(|| {
            format!(
                "Whether {wallet} is a contract could not be asked on {}; `pepay check` tells later.",
                self.unknown.join(", ")
            )
        });
        partly.into_iter().chain(unknown).collect()
    }
}

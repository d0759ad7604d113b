//! The deposit factory on a chain: whether it is there, whether it is ours, and how it gets there.

use alloy_primitives::{Address, B256, Bytes, address, b256, keccak256};
use serde::Deserialize;
use wire::deposit_address::{FACTORY, LOGIC};

use super::{Node, StepError};

/// The deterministic deployer (<https://github.com/Arachnid/deterministic-deployment-proxy>): it creates a contract at
/// an address that follows from the salt and the code it is sent, whoever sends them.
pub const CREATE2_DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
/// What a deployment costs on a chain that counts gas as Ethereum does; measured by `cargo xtask gas`.
pub const DEPLOYMENT_GAS: u64 = 651_514;

/// keccak256 of the code at each address, where it is what it has to be.
const DEPLOYER_CODE: B256 = b256!("0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989");
const FACTORY_CODE: B256 = b256!("0xa3e811454a549a678ea0d767a14c50fa2ddfe9266745c33c006ba5e68237cf54");
const LOGIC_CODE: B256 = b256!("0x5b36eeac12596fb8397000dccc6d7085d10ff0a2a383aa6554a1c1cff4254771");

/// Committed beside the source it was compiled from.
const ARTIFACT: &str = include_str!("../../../../contracts/artifacts/factory.json");

/// What is at the addresses of the factory and of the code that deposits share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    Ours,
    /// Nothing is there, and anybody may put the factory there.
    Missing,
    /// Nothing is there, and there is no deployer that could put it there.
    NoDeployer,
    /// What is there is not what we compiled: money sent to deposits may be lost.
    Foreign(Address),
}

impl Node {
    /// Looks what is deployed, at the head.
    ///
    /// # Errors
    ///
    /// If no endpoint answers.
    pub async fn deployment(&self) -> Result<Deployment, StepError> {
        let codes = self.codes(&[FACTORY, LOGIC, CREATE2_DEPLOYER]).await?;
        let [factory, logic, deployer] = codes.as_slice() else { return Err(self.untrue("a contract's code")) };
        for (address, code, wanted) in [(FACTORY, factory, FACTORY_CODE), (LOGIC, logic, LOGIC_CODE)] {
            if !code.is_empty() && keccak256(code) != wanted {
                return Ok(Deployment::Foreign(address));
            }
        }
        Ok(match (factory.is_empty(), logic.is_empty()) {
            (false, false) => Deployment::Ours,
            // The factory makes the other one when it is made itself.
            (false, true) => Deployment::Foreign(FACTORY),
            (true, false) => Deployment::Foreign(LOGIC),
            (true, true) if keccak256(deployer) == DEPLOYER_CODE => Deployment::Missing,
            (true, true) => Deployment::NoDeployer,
        })
    }
}

/// What has to be sent to [`CREATE2_DEPLOYER`], by anybody: the salt and the factory's creation code.
pub fn deployment_calldata() -> Bytes {
    #[derive(Deserialize)]
    struct Artifact {
        salt: B256,
        creation_code: Bytes,
    }
    let artifact: Artifact =
        serde_json::from_str(ARTIFACT).unwrap_or_else(|error| unreachable!("a test reads the artifact: {error}"));
    [artifact.salt.as_slice(), &artifact.creation_code].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_the_deployer_makes_the_factory() {
        let calldata = deployment_calldata();
        let (salt, creation_code) = calldata.split_at(32);
        assert_eq!(CREATE2_DEPLOYER.create2(B256::from_slice(salt), keccak256(creation_code)), FACTORY);
    }
}

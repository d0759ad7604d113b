//! Node.js, which runs the Solidity compiler, brings the local chain and the contracts' tests, and compiles and runs the TypeScript client.

use std::{fs, process::Command};

use super::Step;
use crate::{
    command::{self, Failure, Result},
    fingerprint::Fingerprint,
    workspace::Workspace,
};

const OLDEST: u32 = 20;

/// Checks that Node.js and npm are there. Debian 12 has no Node.js that is new enough, so we cannot install it.
pub fn find(step: &Step) -> Result {
    let version = command::version_of("node").filter(|version| OLDEST <= major(version).unwrap_or_default());
    match version {
        Some(version) if command::find_program("npm").is_some() => {
            step.ready(&version);
            Ok(())
        }
        _ => Err(Failure::new(format!(
            "Node.js {OLDEST} or later with npm is missing; the contracts, the local chains and the page's compression \
             need it. Install it from nodejs.org or with the system's package manager"
        ))),
    }
}

/// A folder with packages of its own.
pub struct Packages {
    folder: &'static str,
    reason: &'static str,
}

/// The Solidity compiler, what runs the contracts' tests, and the local EVM chain.
pub const CONTRACTS: Packages = Packages { folder: "contracts", reason: "the demo and the tests pay on local chains" };

/// The compiler of the TypeScript client.
pub const CLIENT: Packages = Packages {
    folder: "clients/typescript",
    reason: "the tests compile the TypeScript client and call the server with it",
};

/// The local Solana, and who pays on it.
pub const SOLANA: Packages = Packages { folder: "tests/solana", reason: "the tests pay on a local Solana" };

/// The rules of accessibility.
pub const ACCESSIBILITY: Packages =
    Packages { folder: "tests/accessibility", reason: "the tests hold every state of the page against them" };

/// Installs the packages of a folder unless they are what its lock file says.
pub fn install_packages(workspace: &Workspace, step: &Step, packages: &Packages) -> Result {
    let Packages { folder: name, reason } = packages;
    let folder = workspace.root.join(name);
    let lock = folder.join("package-lock.json");
    if !lock.is_file() {
        return Err(Failure::new(format!("{} is missing", lock.display())));
    }
    let mut fingerprint = Fingerprint::default();
    fingerprint.add(&lock, "")?;
    let wanted = fingerprint.finish();

    let stamp = folder.join("node_modules/.installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        step.ready(&format!("installed in {name}/node_modules"));
        return Ok(());
    }
    step.installing(&format!("installing the packages of {name}/package-lock.json with npm"), reason);
    command::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    fs::write(&stamp, wanted).map_err(|error| Failure::file(&stamp, &error))
}

/// The 20 of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read() {
        let check = |version, expected| assert_eq!(major(version), expected);
        check("v20.11.1", Some(20));
        check("v9.0.0", Some(9));
        check("20.11.1", None);
        check("", None);
    }
}

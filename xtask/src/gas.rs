//! `cargo xtask gas`: what the contracts cost, measured on a local chain and written into `contracts/GAS.md`.

use std::process::Command;

use crate::{
    command::{self, Result},
    setup,
    workspace::Workspace,
};

pub fn run(workspace: &Workspace) -> Result {
    setup::for_contracts(workspace)?;
    command::run(&mut measure(workspace))
}

/// Measures again and compares.
///
/// # Errors
///
/// If the table says something else.
pub fn check(workspace: &Workspace) -> Result {
    command::run(measure(workspace).arg("--check"))
}

fn measure(workspace: &Workspace) -> Command {
    let mut command = Command::new("node");
    command.current_dir(&workspace.root).arg("contracts/gas.mjs");
    command
}

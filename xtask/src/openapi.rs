//! `cargo xtask openapi`: renews the committed copy of the API's description, and the client's types made from it.

use std::process::Command;

use crate::{
    command::{self, Result},
    workspace::Workspace,
};

pub fn run(workspace: &Workspace) -> Result {
    // The test that compares the copy also writes it, so that both are made alike.
    let mut command = command::cargo(workspace);
    command.args(["test", "--locked", "--package=pepay", "--lib", "the_committed_copy_is_what_is_served"]);
    command::run(command.env("UPDATE_OPENAPI", "1"))?;
    command::run(Command::new("node").current_dir(&workspace.root).arg("clients/typescript/generate.mjs"))?;
    println!("docs/openapi.json is what the server says, and clients/typescript/src/generated.ts is what that says.");
    Ok(())
}

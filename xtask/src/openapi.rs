//! `cargo xtask openapi`: renews the committed copy of the API's description.

use crate::{
    command::{self, Result},
    workspace::Workspace,
};

pub fn run(workspace: &Workspace) -> Result {
    // The test that compares the copy also writes it, so that both are made alike.
    let mut command = command::cargo(workspace);
    command.args(["test", "--locked", "--package=pepay", "--lib", "the_committed_copy_is_what_is_served"]);
    command::run(command.env("UPDATE_OPENAPI", "1"))?;
    println!("docs/openapi.json is what the server says.");
    Ok(())
}

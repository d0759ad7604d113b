//! `cargo xtask bench`: how long a payment takes from its block to the payer's page, how long lists take at a
//! million invoices, and what telling other nodes costs.
//!
//! With the dev profile, which the tests have built already: what is measured waits for polls, sockets and the
//! database, not for our own code.

use crate::{
    command::{self, Result},
    page::{self, Warnings},
    setup,
    workspace::Workspace,
};

pub fn run(workspace: &Workspace) -> Result {
    let tools = setup::for_tests(workspace)?;
    page::build(workspace, &tools.page, Warnings::Print)?;

    // As the tests are built, so that whichever comes second finds everything there.
    command::run(command::cargo(workspace).args(["build", "--locked", "--workspace", "--all-targets"]))?;

    for name in ["nodes", "million_invoices", "payment_to_page"] {
        let mut bench = command::cargo(workspace);
        bench
            .args(["bench", "--locked", "--workspace", "--profile=dev"])
            .arg(format!("--bench={name}"))
            .env("PEPAY_BIN", workspace.built_program("pepay"))
            .env("POSTGRES_BIN", &tools.postgres);
        tools.browser.show_to(&mut bench);
        command::run(&mut bench)?;
    }
    Ok(())
}

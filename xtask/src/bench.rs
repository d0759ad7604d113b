//! `cargo xtask bench`: how long a payment takes from its block to the payer's page.
//!
//! With the dev profile, which the tests have built already: what is measured waits for polls and sockets, not for the
//! processor.

use crate::{
    command::{self, Result},
    page::{self, Warnings},
    setup,
    workspace::Workspace,
};

pub fn run(workspace: &Workspace) -> Result {
    let tools = setup::for_browser(workspace)?;
    page::build(workspace, &tools.page, Warnings::Print)?;

    // As the tests are built, so that whichever comes second finds everything there.
    command::run(command::cargo(workspace).args(["build", "--locked", "--workspace", "--all-targets"]))?;

    let mut bench = command::cargo(workspace);
    bench
        .args(["bench", "--locked", "--workspace", "--profile=dev", "--bench=payment_to_page"])
        .env("PEPAY_BIN", workspace.built_program("pepay"));
    tools.browser.show_to(&mut bench);
    command::run(&mut bench)
}

//! `cargo xtask screenshots`: pictures of the product in every state a payer meets, taken of the real thing.

use std::process::Command;

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

    let mut screenshots = Command::new(workspace.built_program("examples/screenshots"));
    screenshots.current_dir(&workspace.root).arg(workspace.root.join("docs/screenshots"));
    command::clean_environment(&mut screenshots, workspace);
    tools.browser.show_to(&mut screenshots);
    screenshots.env("PEPAY_BIN", workspace.built_program("pepay"));
    command::run(&mut screenshots)
}

//! `cargo xtask gallery`: every state of the payer's page in each theme, width and language, from made-up snapshots.

use std::process::Command;

use crate::{
    command::{self, Result},
    page::{self, Warnings},
    setup,
    workspace::Workspace,
};

/// Takes the pictures; names of kinds (`ar`, `dark`, `390`) leave the others out.
pub fn run(workspace: &Workspace, only: &[&str]) -> Result {
    let tools = setup::for_browser(workspace)?;
    page::build(workspace, &tools.page, Warnings::Print)?;

    // As the tests are built, so that whichever comes second finds everything there.
    command::run(command::cargo(workspace).args(["build", "--locked", "--workspace", "--all-targets"]))?;

    let mut gallery = Command::new(workspace.built_program("examples/gallery"));
    gallery.current_dir(&workspace.root).arg(workspace.dist()).arg(workspace.target.join("gallery")).args(only);
    command::clean_environment(&mut gallery, workspace);
    tools.browser.show_to(&mut gallery);
    command::run(&mut gallery)
}

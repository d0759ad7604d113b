//! `cargo xtask demo`: local chains, the server and a demo shop.

use std::process::Command;

use crate::{
    command::{self, Failure, Result},
    page::{self, Warnings},
    setup,
    workspace::Workspace,
};

/// Runs the demo until Ctrl-C.
pub fn run(workspace: &Workspace) -> Result {
    start(workspace, "run")
}

/// Makes one payment and one sweep through the demo's parts.
pub fn check(workspace: &Workspace) -> Result {
    start(workspace, "check")
}

fn start(workspace: &Workspace, mode: &str) -> Result {
    let tools = setup::for_demo(workspace)?;
    page::build(workspace, &tools, Warnings::Print)?;

    // Unoptimized, for the shortest wait on a fresh machine, and for all packages, as the tests are built: whichever comes
    // second finds its dependencies built with the features it needs.
    command::run(command::cargo(workspace).args(["build", "--locked", "--workspace", "--bins"]))?;

    let mut demo = Command::new(workspace.built_program("demo"));
    demo.current_dir(&workspace.root).arg(mode).arg("--pepay").arg(workspace.built_program("pepay"));
    command::clean_environment(&mut demo, workspace);
    hand_over(demo)
}

/// Becomes the demo, so that Ctrl-C and signals reach it and nobody stands between it and its exit code.
#[cfg(unix)]
fn hand_over(mut demo: Command) -> Result {
    use std::os::unix::process::CommandExt;

    let error = demo.exec();
    Err(Failure::new(format!("the demo did not start: {error}")))
}

#[cfg(not(unix))]
fn hand_over(mut demo: Command) -> Result {
    command::run(&mut demo)
}

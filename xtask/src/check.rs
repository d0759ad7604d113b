//! `cargo xtask check`: what can be said without running anything.

use crate::{
    command::{self, Result},
    dependencies,
    setup::{self, Deny},
    stages::Stages,
    workspace::Workspace,
};

pub fn run(workspace: &Workspace) -> Result {
    let mut stages = Stages::default();
    let result = check(workspace, &mut stages);
    println!("{}", stages.table());
    result
}

fn check(workspace: &Workspace, stages: &mut Stages) -> Result {
    let deny = stages.run("set-up", || setup::for_checks(workspace))?;
    self::stages(workspace, &deny, stages)
}

/// The stages that `check` and `test` have in common.
///
/// # Errors
///
/// That of the first stage that fails.
pub fn stages(workspace: &Workspace, deny: &Deny, stages: &mut Stages) -> Result {
    let cargo = |arguments: &[&str]| command::run(command::cargo(workspace).args(arguments));

    stages.run("formatting", || cargo(&["fmt", "--all", "--check"]))?;
    stages.run("dependencies", || dependencies::check(workspace, deny))?;
    stages.run("lints", || cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    stages.run("documentation", || {
        let mut command = command::cargo(workspace);
        command.args(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]);
        command::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    })
}

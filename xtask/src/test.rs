//! `cargo xtask test`: everything that proves the project, from formatting to the browser.

use std::process::Command;

use crate::{
    check,
    command::{self, Result},
    page::{self, Warnings},
    setup::{self, Compiler, TestTools},
    size,
    stages::Stages,
    workspace::Workspace,
};

pub fn run(workspace: &Workspace) -> Result {
    let mut stages = Stages::default();
    let result = test(workspace, &mut stages);
    println!("{}", stages.table());
    if result.is_ok() {
        println!("\nAll of it passed.");
    }
    result
}

fn test(workspace: &Workspace, stages: &mut Stages) -> Result {
    let tools = stages.run("set-up", || setup::for_tests(workspace))?;
    check::stages(workspace, &tools.deny, stages)?;

    stages.run("page", || {
        page::build(workspace, &tools.page, Warnings::Deny)
    })?;
    stages.run("page size", || size::check(workspace))?;
    match tools.page.compiler {
        Compiler::Active { .. } => {
            stages.run("lints of the page in WASM", || lint_page(workspace))?;
        }
        // It has no Clippy; its warnings failed the page's build already.
        Compiler::Debian { .. } => stages.not_run(
            "lints of the page in WASM",
            "Debian's compiler has no Clippy",
        ),
    }
    stages.run("contracts compile to their artifacts", || {
        command::run(
            Command::new("node")
                .current_dir(&workspace.root)
                .args(["contracts/build.mjs", "--check"]),
        )
    })?;

    // All packages and targets at once, here and below: cargo then chooses each dependency's features once and builds it once.
    stages.run("build", || {
        command::run(command::cargo(workspace).args([
            "build",
            "--locked",
            "--workspace",
            "--all-targets",
        ]))
    })?;
    stages.run("unit tests", || {
        command::run(cargo_test(workspace, &tools).args(["--lib", "--bins"]))
    })?;
    stages.run("documentation examples", || {
        command::run(cargo_test(workspace, &tools).arg("--doc"))
    })?;
    stages.run("end-to-end tests of the API", || {
        command::run(cargo_test(workspace, &tools).args(["--test", "api"]))
    })?;
    stages.run("end-to-end tests in the browser", || {
        command::run(cargo_test(workspace, &tools).args(["--test", "browser"]))
    })
}

/// `cargo test` with the programs that end-to-end tests start.
fn cargo_test(workspace: &Workspace, tools: &TestTools) -> Command {
    let mut command = command::cargo(workspace);
    command
        .args(["test", "--locked", "--workspace"])
        .env("PEPAY_BIN", workspace.built_program("pepay"))
        .env("CHROMIUM", &tools.browser.chromium)
        .env("CHROMEDRIVER", &tools.browser.chromedriver);
    command
}

fn lint_page(workspace: &Workspace) -> Result {
    let mut command = command::cargo(workspace);
    command
        .args([
            "clippy",
            "--locked",
            "--package=frontend",
            "--target=wasm32-unknown-unknown",
            "--",
            "-D",
            "warnings",
        ])
        .env("CARGO_TARGET_DIR", workspace.target.join("page"));
    command::run(&mut command)
}

//! `cargo xtask test`: everything that proves the project, from formatting to the browser.

use std::{collections::BTreeSet, process::Command, thread};

use crate::{
    check,
    command::{self, Failure, Result},
    gas,
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

    stages.run("page", || page::build(workspace, &tools.page, Warnings::Deny))?;
    stages.run("page size", || size::check(workspace, &tools.page.compiler))?;
    match tools.page.compiler {
        Compiler::Active { .. } => {
            stages.run("lints of the page in WASM", || lint_page(workspace))?;
        }
        // It has no Clippy; its warnings failed the page's build already.
        Compiler::Debian { .. } => stages.not_run("lints of the page in WASM", "Debian's compiler has no Clippy"),
    }
    stages.run("contracts compile to their artifacts", || {
        command::run(Command::new("node").current_dir(&workspace.root).args(["contracts/build.mjs", "--check"]))
    })?;
    stages.run("tests of the contracts", || {
        let mut npm = Command::new("npm");
        command::run(npm.args(["test", "--silent"]).current_dir(workspace.root.join("contracts")))
    })?;
    stages.run("tests of the local Solana", || {
        let mut npm = Command::new("npm");
        command::run(npm.args(["test", "--silent"]).current_dir(workspace.root.join("tests/solana")))
    })?;
    stages.run("contracts cost what their table says", || gas::check(workspace))?;

    // All packages and targets at once, here and below: cargo then chooses each dependency's features once and builds it once.
    stages.run("build", || {
        command::run(command::cargo(workspace).args([
            "build",
            "--locked",
            "--workspace",
            "--bins",
            "--tests",
            "--examples",
        ]))
    })?;
    test_client(workspace, stages)?;
    stages.run("unit tests", || command::run(side_by_side(workspace, &tools).args(["--lib", "--bins"])))?;
    // Tests of an engine are part of the above; these are about the server, which has to do the same on either.
    let on_postgres = || {
        let mut command = side_by_side(workspace, &tools);
        command.env("PEPAY_TEST_DATABASE", "postgres");
        command
    };
    stages.run("unit tests on PostgreSQL", || {
        let modules = ["http::", "invoicing::", "connections::"];
        command::run(on_postgres().args(["--lib", "--"]).args(modules).args(EITHER_ENGINE))
    })?;
    stages.run("documentation examples", || command::run(cargo_test(workspace, &tools).arg("--doc")))?;

    // Each by itself, for its time; asked for rather than listed here, so that a new one cannot be forgotten.
    for name in integration_tests(workspace)? {
        let mut command = if name == API { side_by_side(workspace, &tools) } else { cargo_test(workspace, &tools) };
        stages.run(&format!("tests in {name}"), || command::run(command.args(["--test", &name])))?;
    }
    stages.run("tests in api on PostgreSQL", || {
        command::run(on_postgres().args(["--test", API, "--"]).args(API_ON_POSTGRES).args(EITHER_ENGINE))
    })?;
    Ok(())
}

/// The TypeScript client, against the server that was just built, and the programs of the merchant's guide.
fn test_client(workspace: &Workspace, stages: &mut Stages) -> Result {
    stages.run("TypeScript client and merchant's guide", || {
        let mut npm = Command::new("npm");
        npm.args(["test", "--silent"]).current_dir(workspace.root.join("clients/typescript"));
        command::clean_environment(&mut npm, workspace);
        command::run(npm.env("PEPAY_BIN", workspace.built_program("pepay")))
    })?;
    // It runs the programs of the languages that are here. Those of the others must not be taken for tested.
    for (language, program) in [("shell", "curl"), ("Python", "python3"), ("PHP", "php"), ("Go", "go")] {
        if command::find_program(program).is_none() {
            stages.not_run(&format!("merchant's guide in {language}"), format!("there is no {program}"));
        }
    }
    Ok(())
}

/// The tests of the server from outside.
const API: &str = "api";
/// Modules of these tests whose tests run on either database. Those of the command line are about files.
const API_ON_POSTGRES: [&str; 1] = ["watcher::"];
/// Leaves out what runs on both databases anyway, or is about one of them.
const EITHER_ENGINE: [&str; 4] = ["--skip", "sqlite", "--skip", "postgres"];

/// The names of all integration tests of the workspace.
fn integration_tests(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let metadata =
        command::output(command::cargo(workspace).args(["metadata", "--locked", "--no-deps", "--format-version=1"]))?;
    let names = test_names(&metadata);
    if names.is_empty() { Err(Failure::new("cargo metadata names no integration tests")) } else { Ok(names) }
}

/// Finds the test targets in the output of `cargo metadata`.
fn test_names(metadata: &str) -> BTreeSet<String> {
    metadata
        .split(r#"{"kind":["test"],"#)
        .skip(1)
        .filter_map(|target| target.split_once(r#""name":""#)?.1.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// `cargo test` with the programs that end-to-end tests start.
pub fn cargo_test(workspace: &Workspace, tools: &TestTools) -> Command {
    let mut command = command::cargo(workspace);
    command.args(["test", "--locked", "--workspace"]).env("PEPAY_BIN", workspace.built_program("pepay"));
    command.env("POSTGRES_BIN", &tools.postgres).env("SCHEMATHESIS", &tools.schemathesis);
    tools.browser.show_to(&mut command);
    command
}

/// The same for tests that wait for databases, chains and clocks more than they compute: twice as many at once as there
/// are cores.
fn side_by_side(workspace: &Workspace, tools: &TestTools) -> Command {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut command = cargo_test(workspace, tools);
    command.env("RUST_TEST_THREADS", (2 * cores).to_string());
    command
}

fn lint_page(workspace: &Workspace) -> Result {
    let mut command = command::cargo(workspace);
    command
        .args(["clippy", "--locked", "--package=frontend", "--target=wasm32-unknown-unknown", "--", "-D", "warnings"])
        .env("CARGO_TARGET_DIR", workspace.target.join("page"));
    command::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_tests_are_found_and_libraries_are_not() {
        let metadata = r#"{"targets":[{"kind":["lib"],"crate_types":["lib"],"name":"e2e"},
            {"kind":["test"],"crate_types":["bin"],"name":"browser","src_path":"/tests/browser/main.rs"}]},
            {"targets":[{"kind":["test"],"crate_types":["bin"],"name":"api"},{"kind":["bin"],"name":"demo"}]}"#;
        assert_eq!(test_names(metadata).into_iter().collect::<Vec<_>>(), ["api", "browser"]);
        assert!(test_names(r#"{"packages":[]}"#).is_empty());
    }
}

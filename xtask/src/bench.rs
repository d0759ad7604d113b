//! `cargo xtask bench`: the figures that the design sets limits for.
//!
//! How long a payment takes to the payer's page is measured with the dev profile, which the tests have built already:
//! what is timed there waits for polls and sockets, not for the processor. Servers are measured as they are released; what is
//! measured without one, with the bench profile, which is a release build linked faster.

use std::process::Command;

use crate::{
    command::{self, Result},
    measurements,
    page::{self, Warnings},
    setup::{self, TestTools},
    stages::Stages,
    workspace::Workspace,
};

/// What is measured with a release build, each a bench of the package `e2e`.
const RELEASE: [&str; 8] = [
    "merchant_api",
    "event_log",
    "million_invoices",
    "nodes",
    "webhook_delay",
    "watching",
    "watching_solana",
    "payer_page",
];
const DEV: &str = "payment_to_page";

/// Runs all benches, or those that are named.
pub fn run(workspace: &Workspace, names: &[&str]) -> Result {
    let mut stages = Stages::default();
    let result = bench(workspace, names, &mut stages);
    println!("{}", stages.table());
    result
}

pub fn is_known(name: &str) -> bool {
    name == DEV || RELEASE.contains(&name)
}

fn bench(workspace: &Workspace, names: &[&str], stages: &mut Stages) -> Result {
    let is_asked = |name: &str| names.is_empty() || names.contains(&name);
    let tools = stages.run("set-up", || setup::for_tests(workspace))?;
    stages.run("page", || page::build(workspace, &tools.page, Warnings::Print))?;

    let release: Vec<_> = RELEASE.into_iter().filter(|name| is_asked(name)).collect();
    if !release.is_empty() {
        stages.run("optimised build (minutes)", || {
            let mut build = command::cargo(workspace);
            build.args(["build", "--locked", "--workspace", "--profile=bench"]);
            command::run(build.args(release.iter().map(|name| format!("--bench={name}"))))?;
            command::run(command::cargo(workspace).args(["build", "--locked", "--release", "--bin=pepay"]))
        })?;
    }
    for name in release {
        stages.run(name, || {
            let mut bench = bench_command(workspace, &tools, name);
            let printed = command::run_and_keep(bench.env("PEPAY_BIN", workspace.released_program("pepay")))?;
            measurements::record(workspace, &format!("Bench: {name}"), &printed)
        })?;
    }
    if is_asked(DEV) {
        stages.run(DEV, || {
            // As the tests are built, so that whichever comes second finds everything there.
            command::run(command::cargo(workspace).args(["build", "--locked", "--workspace", "--all-targets"]))?;
            let mut bench = bench_command(workspace, &tools, DEV);
            bench.arg("--profile=dev").env("PEPAY_BIN", workspace.built_program("pepay"));
            let printed = command::run_and_keep(&mut bench)?;
            measurements::record(workspace, &format!("Bench: {DEV} (dev build)"), &printed)
        })?;
    }
    Ok(())
}

fn bench_command(workspace: &Workspace, tools: &TestTools, name: &str) -> Command {
    let mut bench = command::cargo(workspace);
    bench.args(["bench", "--locked", "--workspace", "--bench", name]).env("POSTGRES_BIN", &tools.postgres);
    tools.browser.show_to(&mut bench);
    bench
}

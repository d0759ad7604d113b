//! `cargo xtask soak`: the tests that have a count, with the full one.
//!
//! The tests run a small sample of the same thing on every change. What a soak prints as `figure: …` goes into
//! `docs/measurements.md`. What counts how much something takes is built as benches are; what stops processes dead at
//! named places needs the build that has them.

use crate::{
    command::{self, Failure, Result},
    measurements,
    page::{self, Warnings},
    setup::{self, TestTools},
    stages::Stages,
    test::cargo_test,
    workspace::Workspace,
};

/// One test of the end-to-end tests that takes its count from a variable.
struct Soak {
    name: &'static str,
    /// What the names of the tests contain.
    tests: &'static str,
    /// What the tests are built into.
    suite: &'static str,
    build: Build,
    variables: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// With failpoints.
    Dev,
    Bench,
}

const API: &str = "--test=api";
const BROWSER: &str = "--test=browser";

const SOAKS: [Soak; 9] = [
    Soak {
        name: "events",
        tests: "webhooks::sqlite::a_receiver_that_often_fails_gets_everything",
        suite: API,
        build: Build::Bench,
        variables: &[("PEPAY_TEST_EVENTS", "100000")],
    },
    Soak {
        name: "events on PostgreSQL",
        tests: "webhooks::postgres::a_receiver_that_often_fails_gets_everything",
        suite: API,
        build: Build::Bench,
        variables: &[("PEPAY_TEST_EVENTS", "100000")],
    },
    Soak { name: "kills", tests: "crash::", suite: API, build: Build::Dev, variables: &[("PEPAY_CRASH_KILLS", "200")] },
    Soak {
        name: "sockets",
        tests: "clients_that_are_cut_off",
        suite: API,
        build: Build::Bench,
        variables: &[("PEPAY_SOCKETS", "10000")],
    },
    Soak {
        name: "idle sockets",
        tests: "idle_sockets_take",
        suite: API,
        build: Build::Bench,
        variables: &[("PEPAY_IDLE_SOCKETS", "10000")],
    },
    Soak {
        name: "pauses",
        tests: "a_node_that_was_asleep",
        suite: API,
        build: Build::Dev,
        variables: &[("PEPAY_PAUSES", "50")],
    },
    Soak {
        name: "histories",
        tests: "histories::",
        suite: API,
        build: Build::Bench,
        variables: &[("PEPAY_HISTORIES", "10000")],
    },
    Soak {
        name: "hang-ups",
        tests: "hang_ups::",
        suite: API,
        build: Build::Bench,
        variables: &[("PEPAY_HANG_UPS", "10000")],
    },
    Soak {
        name: "asleep",
        tests: "a_phone_that_slept",
        suite: BROWSER,
        build: Build::Dev,
        variables: &[("PEPAY_FROZEN_SECONDS", "300")],
    },
];
const FIGURE: &str = "figure: ";

pub fn is_known(name: &str) -> bool {
    SOAKS.iter().any(|soak| soak.name == name)
}

/// Runs all soaks, or those that are named.
pub fn run(workspace: &Workspace, names: &[&str]) -> Result {
    let mut stages = Stages::default();
    let result = soak(workspace, names, &mut stages);
    println!("{}", stages.table());
    result
}

fn soak(workspace: &Workspace, names: &[&str], stages: &mut Stages) -> Result {
    let tools = stages.run("set-up", || setup::for_tests(workspace))?;
    stages.run("page", || page::build(workspace, &tools.page, Warnings::Print))?;
    let asked: Vec<_> = SOAKS.iter().filter(|soak| names.is_empty() || names.contains(&soak.name)).collect();
    if asked.iter().any(|soak| soak.build == Build::Dev) {
        stages.run("build", || {
            command::run(command::cargo(workspace).args(["build", "--locked", "--workspace", "--all-targets"]))
        })?;
    }
    if asked.iter().any(|soak| soak.build == Build::Bench) {
        stages.run("optimised build (minutes)", || {
            let arguments = ["build", "--locked", "--workspace", "--profile=bench", "--bin=pepay", "--test=api"];
            command::run(command::cargo(workspace).args(arguments))
        })?;
    }
    for soak in asked {
        stages.run(soak.name, || soak.run(workspace, &tools))?;
    }
    Ok(())
}

impl Soak {
    fn run(&self, workspace: &Workspace, tools: &TestTools) -> Result {
        let mut test = cargo_test(workspace, tools);
        if self.build == Build::Bench {
            test.arg("--profile=bench").env("PEPAY_BIN", workspace.released_program("pepay"));
        }
        test.args([self.suite, self.tests, "--", "--nocapture", "--test-threads=1"]);
        test.envs(self.variables.iter().copied());
        let printed = command::run_and_keep(&mut test)?;
        let mut lines: Vec<_> = self.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let figures = lines.len();
        lines.extend(printed.lines().filter_map(|line| Some(line.split_once(FIGURE)?.1.to_owned())));
        if lines.len() == figures {
            return Err(Failure::new(format!("no test named {} told a figure", self.tests)));
        }
        measurements::record(workspace, &format!("Soak: {}", self.name), &lines.join("\n"))
    }
}

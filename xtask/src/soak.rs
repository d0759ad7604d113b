//! `cargo xtask soak`: the tests that have a count, with the full one.
//!
//! The tests run a small sample of the same thing on every change. What a soak prints as `figure: …` goes into
//! `docs/measurements.md`.

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
    variables: &'static [(&'static str, &'static str)],
}

const SOAKS: [Soak; 6] = [
    Soak {
        name: "events",
        tests: "a_receiver_that_often_fails_gets_everything",
        variables: &[("PEPAY_TEST_EVENTS", "100000")],
    },
    Soak { name: "kills", tests: "crash::", variables: &[("PEPAY_CRASH_KILLS", "200")] },
    Soak { name: "sockets", tests: "clients_that_are_cut_off", variables: &[("PEPAY_SOCKETS", "10000")] },
    Soak { name: "idle sockets", tests: "idle_sockets_take", variables: &[("PEPAY_IDLE_SOCKETS", "10000")] },
    Soak { name: "pauses", tests: "a_node_that_was_asleep", variables: &[("PEPAY_PAUSES", "50")] },
    Soak { name: "hang-ups", tests: "hang_ups::", variables: &[("PEPAY_HANG_UPS", "10000")] },
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
    stages.run("build", || {
        command::run(command::cargo(workspace).args(["build", "--locked", "--workspace", "--all-targets"]))
    })?;
    for soak in SOAKS.iter().filter(|soak| names.is_empty() || names.contains(&soak.name)) {
        stages.run(soak.name, || soak.run(workspace, &tools))?;
    }
    Ok(())
}

impl Soak {
    fn run(&self, workspace: &Workspace, tools: &TestTools) -> Result {
        let mut test = cargo_test(workspace, tools);
        test.args(["--test=api", self.tests, "--", "--nocapture", "--test-threads=1"]);
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

//! Schemathesis, which tests the API against its own description, in a Python environment of its own.

use std::{fs, path::PathBuf, process::Command};

use super::{Step, apt, cargo_tools::tools_folder};
use crate::{
    command::{self, Failure, Result},
    fingerprint::Fingerprint,
    workspace::Workspace,
};

/// Exact versions of Schemathesis and all it needs.
const REQUIREMENTS: &str = "tests/schemathesis/requirements.txt";
const REASON: &str = "the API is tested against its own description";

/// Finds Schemathesis in our folder, at the versions that are wanted, or installs it there. Returns the program.
pub fn find(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let requirements = workspace.root.join(REQUIREMENTS);
    let mut fingerprint = Fingerprint::default();
    fingerprint.add(&requirements, "")?;
    let wanted = fingerprint.finish();

    let folder = tools_folder()?.join("schemathesis");
    let program = folder.join("bin/schemathesis");
    let stamp = folder.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
        && let Some(version) = command::version_of(&program)
    {
        step.ready(&format!("{version} in {}", folder.display()));
        return Ok(program);
    }

    if !makes_environments() {
        apt::install(step, &["python3", "python3-venv"], REASON)?;
    }
    if !makes_environments() {
        return Err(Failure::new(format!(
            "Python 3 with its module venv is missing; {REASON}. Install python3-venv with the system's package manager"
        )));
    }
    step.installing(&format!("installing Schemathesis with pip as {REQUIREMENTS} says, half a minute"), REASON);
    command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
    command::run(pip.arg(&requirements))?;
    fs::write(&stamp, wanted).map_err(|error| Failure::file(&stamp, &error))?;
    Ok(program)
}

/// Debian's Python comes without what a new environment needs for pip.
fn makes_environments() -> bool {
    let tried = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    tried.is_ok_and(|output| output.status.success())
}

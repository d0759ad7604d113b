//! Tools that cargo builds or brings along.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::Step;
use crate::{
    command::{self, Failure, Result},
    workspace::Workspace,
};

/// A program that `cargo install` builds, at exactly one version.
pub struct Tool<'a> {
    pub package: &'a str,
    pub program: &'a str,
    pub version: &'a str,
    /// What comes before `--version`: subcommands of cargo may expect to be called by it.
    pub subcommand: Option<&'a str>,
    /// Why we need it.
    pub reason: &'a str,
    /// How long building takes on two cores.
    pub duration: &'a str,
}

impl Tool<'_> {
    /// Finds the tool in our folder or on `PATH`, or else builds it. Returns the folder it is in.
    pub fn find(&self, workspace: &Workspace, step: &Step) -> Result<PathBuf> {
        let root = tools_folder()?.join(format!("{}-{}", self.package, self.version));
        let folder = root.join("bin");
        let on_path = || command::find_program(self.program).and_then(|path| Some(path.parent()?.to_path_buf()));

        if let Some(found) = [Some(folder.clone()), on_path()].into_iter().flatten().find(|folder| self.is_in(folder)) {
            step.ready(&format!("{} in {}", self.version, found.display()));
            return Ok(found);
        }

        let how =
            format!("building {} {} with cargo, about {} on two cores", self.package, self.version, self.duration);
        step.installing(&how, self.reason);
        self.build(workspace, &root)?;
        if self.is_in(&folder) {
            return Ok(folder);
        }
        Err(Failure::new(format!(
            "{} was built, but is not version {}",
            folder.join(self.program).display(),
            self.version
        )))
    }

    fn is_in(&self, folder: &Path) -> bool {
        let version = command::version_of_part(folder.join(self.program), self.subcommand);
        version.is_some_and(|version| version.split(' ').nth(1) == Some(self.version))
    }

    /// Unoptimized and without features: these tools run for seconds, and what they produce is the same.
    fn build(&self, workspace: &Workspace, root: &Path) -> Result {
        let target = workspace.target.join("tools").join(self.package);
        let mut command = command::cargo(workspace);
        command
            .args(["install", &format!("{}@{}", self.package, self.version)])
            .args(["--locked", "--no-default-features", "--root"])
            .arg(root)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        command::run(&mut command)?;
        // Kept until here, so that an interrupted build goes on where it was.
        fs::remove_dir_all(&target).map_err(|error| Failure::file(&target, &error))
    }
}

/// Checks that the toolchain has rustfmt and Clippy.
pub fn find_components(workspace: &Workspace, step: &Step) -> Result {
    let mut versions = Vec::new();
    for (command, name) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let version = command::output(command::cargo(workspace).args([command, "--version"]));
        versions.push(version.map_err(|_| {
            Failure::new(format!("the toolchain has no {name}; `rustup component add {name}` installs it"))
        })?);
    }
    step.ready(&versions.join(", "));
    Ok(())
}

/// Where tools are kept for all checkouts, so that a new one does not build them again.
pub(super) fn tools_folder() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PEPAY_TOOLS_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("pepay/tools")))
        .or_else(|| env::home_dir().map(|folder| folder.join(".cache/pepay/tools")))
        .ok_or_else(|| Failure::new("no home folder to keep tools in; set PEPAY_TOOLS_DIR"))
}

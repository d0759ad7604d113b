//! `cargo xtask page`: builds the payer's page.
//!
//! Trunk compiles, binds and optimizes into a folder of its own; `page.mjs` then names the files by their final content,
//! compresses them and puts them into `frontend/dist`. So the folder that is served never holds half a page.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    command::{self, Failure, Result},
    fingerprint::Fingerprint,
    setup::{self, Compiler, PageTools},
    workspace::Workspace,
};

/// What the page is made of.
const INPUTS: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "Trunk.toml",
    "assets",
    "contracts/artifacts",
    "crates/wire",
    "frontend",
    "xtask/src/page.mjs",
];

/// What to do about compiler warnings in the page's code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Warnings {
    Print,
    /// Fail, if the compiler can; [`Compiler::Active`] has Clippy to do the same.
    Deny,
}

pub fn run(workspace: &Workspace) -> Result {
    let tools = setup::for_page(workspace)?;
    build(workspace, &tools, Warnings::Print)
}

/// Builds the page unless the one in `frontend/dist` was made from the same inputs by the same tools.
///
/// # Errors
///
/// If a step fails; `frontend/dist` is then as it was.
pub fn build(workspace: &Workspace, tools: &PageTools, warnings: Warnings) -> Result {
    // A folder of its own, so that the server can be built at the same time.
    let target = workspace.target.join("page");
    let stamp = Stamp { path: target.join("made-from") };

    let inputs = inputs(workspace, tools)?;
    if stamp.covers(&inputs, &outputs(workspace)?, warnings) {
        println!("the page in frontend/dist is up to date");
        return Ok(());
    }
    stamp.remove()?;

    let host = host(tools, workspace)?;
    let mut fetch = tools.command(workspace, "cargo");
    command::run(fetch.args(["fetch", "--locked", "--target", "wasm32-unknown-unknown", "--target", &host]))?;

    let mut trunk = tools.command(workspace, "trunk");
    trunk
        .args(["build", "--release"])
        .env("CARGO_TARGET_DIR", &target)
        .env("TRUNK_BUILD_CARGO_PROFILE", "wasm-release")
        .env("TRUNK_BUILD_DIST", target.join("dist"))
        // Everything Trunk needs has been fetched and found; it must not look for other versions.
        .env("TRUNK_OFFLINE", "true")
        .env("TRUNK_SKIP_VERSION_CHECK", "true")
        // When the compiler fails, its message must not drown in the places Trunk passed it through.
        .env("RUST_BACKTRACE", "0");
    if warnings == Warnings::Deny {
        tools.compiler.deny_warnings(&mut trunk);
    }
    command::run(&mut trunk)?;

    let mut finish = Command::new("node");
    finish.current_dir(&workspace.root).arg("xtask/src/page.mjs").arg(target.join("dist")).arg(workspace.dist());
    command::run(&mut finish)?;

    stamp.write(&inputs, &outputs(workspace)?, warnings)
}

/// The triple of the machine that compiles.
fn host(tools: &PageTools, workspace: &Workspace) -> Result<String> {
    let program = match tools.compiler {
        Compiler::Active { .. } => "rustc",
        Compiler::Debian { .. } => "/usr/bin/rustc",
    };
    let text = command::output(tools.command(workspace, program).arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("`rustc -vV` names no host"))
}

fn inputs(workspace: &Workspace, tools: &PageTools) -> Result<String> {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add_fact(&tools.versions);
    for input in INPUTS {
        fingerprint.add(&workspace.root.join(input), "dist")?;
    }
    Ok(fingerprint.finish())
}

fn outputs(workspace: &Workspace) -> Result<String> {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add(&workspace.dist(), ".gitkeep")?;
    Ok(fingerprint.finish())
}

/// Remembers what the page in `frontend/dist` was made from.
struct Stamp {
    path: PathBuf,
}

impl Stamp {
    fn covers(&self, inputs: &str, outputs: &str, warnings: Warnings) -> bool {
        let Ok(written) = fs::read_to_string(&self.path) else {
            return false;
        };
        let good_for = |warnings| written == Self::text(inputs, outputs, warnings);
        good_for(Warnings::Deny) || warnings == Warnings::Print && good_for(Warnings::Print)
    }

    fn write(&self, inputs: &str, outputs: &str, warnings: Warnings) -> Result {
        fs::write(&self.path, Self::text(inputs, outputs, warnings)).map_err(|error| Failure::file(&self.path, &error))
    }

    fn remove(&self) -> Result {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(&self.path, &error)),
            _ => Ok(()),
        }
    }

    fn text(inputs: &str, outputs: &str, warnings: Warnings) -> String {
        let warnings = match warnings {
            Warnings::Print => "printed",
            Warnings::Deny => "denied",
        };
        format!("inputs {inputs}\noutputs {outputs}\nwarnings {warnings}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_covers_only_what_it_was_written_for() {
        let path = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        let stamp = Stamp { path };
        assert!(!stamp.covers("in", "out", Warnings::Print), "no stamp yet");

        stamp.write("in", "out", Warnings::Print).unwrap();
        assert!(stamp.covers("in", "out", Warnings::Print));
        assert!(!stamp.covers("in", "out", Warnings::Deny), "warnings may have been printed");
        assert!(!stamp.covers("other", "out", Warnings::Print));
        assert!(!stamp.covers("in", "other", Warnings::Print));

        stamp.write("in", "out", Warnings::Deny).unwrap();
        assert!(stamp.covers("in", "out", Warnings::Deny));
        assert!(stamp.covers("in", "out", Warnings::Print));

        stamp.remove().unwrap();
        assert!(!stamp.covers("in", "out", Warnings::Print));
        stamp.remove().unwrap();
    }
}

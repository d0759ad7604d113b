//! Running programs: every command is printed before it runs and named when it fails.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use crate::workspace::Workspace;

pub type Result<T = ()> = std::result::Result<T, Failure>;

/// Why a command stopped, as a sentence for the person who ran it.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// A file that could not be read or written.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The cargo that runs us, in the workspace and in the environment of the person who called it.
///
/// `cargo run` describes the xtask package and its libraries in the environment. Build scripts that watch such variables
/// would run again each time `cargo xtask test` follows a plain `cargo test`.
pub fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&workspace.root);
    clean_environment(&mut command, workspace);
    command
}

/// Takes out of a command's environment what `cargo run` has put there for xtask itself.
pub fn clean_environment(command: &mut Command, workspace: &Workspace) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(describes_xtask) {
            command.env_remove(name);
        }
    }
    if let Some(paths) = env::var_os("LD_LIBRARY_PATH") {
        let ours = |path: &PathBuf| path.starts_with(&workspace.target) || path.ends_with("lib") && is_toolchain(path);
        let kept: Vec<PathBuf> = env::split_paths(&paths).filter(|path| !ours(path)).collect();
        match env::join_paths(&kept) {
            Ok(kept) if !kept.is_empty() => command.env("LD_LIBRARY_PATH", kept),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
}

fn describes_xtask(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || matches!(
            name,
            "CARGO"
                | "CARGO_MANIFEST_DIR"
                | "CARGO_MANIFEST_PATH"
                | "CARGO_BIN_NAME"
                | "CARGO_CRATE_NAME"
                | "RUST_RECURSION_COUNT"
        )
}

fn is_toolchain(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("rustlib" | "toolchains")))
}

/// Prints a command, runs it with our own input and output, and fails if it does.
pub fn run(command: &mut Command) -> Result {
    let spelled = spell(command);
    let status = run_to_end(command)?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{spelled}` failed: {status}"))) }
}

/// As [`run`], for a command whose failure is an answer too.
pub fn run_to_end(command: &mut Command) -> Result<ExitStatus> {
    let spelled = spell(command);
    println!("$ {spelled}");
    command.status().map_err(|error| Failure::new(format!("`{spelled}` did not start: {error}")))
}

/// As [`run`], and returns what the command printed on its standard output.
pub fn run_and_keep(command: &mut Command) -> Result<String> {
    let spelled = spell(command);
    println!("$ {spelled}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("`{spelled}` did not start: {error}")))?;
    let mut printed = String::new();
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        let line = line.map_err(|error| Failure::new(format!("`{spelled}` printed what is no text: {error}")))?;
        println!("{line}");
        printed.push_str(&line);
        printed.push('\n');
    }
    let status = child.wait().map_err(|error| Failure::new(format!("`{spelled}`: {error}")))?;
    if status.success() { Ok(printed) } else { Err(Failure::new(format!("`{spelled}` failed: {status}"))) }
}

/// The trimmed standard output of a program that must succeed; its standard error is passed on.
pub fn output(command: &mut Command) -> Result<String> {
    let spelled = spell(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("`{spelled}` did not start: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{spelled}` failed: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What `PROGRAM --version` prints, or `None` if there is no such program or it does not work.
pub fn version_of(program: impl AsRef<OsStr>) -> Option<String> {
    version_of_part(program, None)
}

/// As [`version_of`], with a subcommand before `--version`.
pub fn version_of_part(program: impl AsRef<OsStr>, subcommand: Option<&str>) -> Option<String> {
    let output = Command::new(program).args(subcommand).arg("--version").stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Looks a program up on `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let file_name = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&file_name)).find(|path| path.is_file())
}

/// `PATH` with some folders in front of it.
pub fn path_with(folders: &[PathBuf]) -> OsString {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(env::split_paths(&inherited));
    // A folder whose name holds the separator cannot be on any `PATH`; the plain one is the best that is left.
    env::join_paths(all).unwrap_or(inherited)
}

/// The command as a person would type it: the program by its short name, then its arguments.
fn spell(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_spelled_as_it_would_be_typed() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["fmt", "--all"]);
        assert_eq!(spell(&command), "cargo fmt --all");
    }

    #[test]
    fn failing_program_is_named() {
        let failure = run(Command::new("cargo").arg("no-such-command-here").stderr(Stdio::null())).unwrap_err();
        assert!(failure.to_string().starts_with("`cargo no-such-command-here` failed"), "{failure}");
    }

    #[test]
    fn missing_program_is_named() {
        let failure = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(failure.to_string().starts_with("`no-such-program-here` did not start"), "{failure}");
    }

    #[test]
    fn only_variables_about_xtask_are_taken_out() {
        assert!(describes_xtask("CARGO_PKG_NAME"));
        assert!(describes_xtask("CARGO_MANIFEST_DIR"));
        assert!(!describes_xtask("CARGO_HOME"));
        assert!(!describes_xtask("CARGO_TARGET_DIR"));
        assert!(!describes_xtask("RUSTUP_TOOLCHAIN"));
    }
}

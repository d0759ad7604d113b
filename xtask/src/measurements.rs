//! `docs/measurements.md`: what was measured, when, and on which machine.
//!
//! Each measurement is a section of its own, so that one can be taken again without the others.

use std::{fs, process::Command, thread};

use crate::{
    command::{self, Failure, Result},
    workspace::Workspace,
};

const FILE: &str = "docs/measurements.md";
const OPENING: &str = "\
# Measurements

Taken by `cargo xtask bench` and `cargo xtask soak`, which write this file; each section says when and on what. Load and
server share the machine. What the figures are held against stands in [ARCHITECTURE.md](../ARCHITECTURE.md).
";

/// Puts what a measurement printed into its section, in place of what it said before.
///
/// # Errors
///
/// If the file cannot be read or written.
pub fn record(workspace: &Workspace, name: &str, printed: &str) -> Result {
    let path = workspace.root.join(FILE);
    let before = if path.exists() {
        fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?
    } else {
        OPENING.to_owned()
    };
    let body = format!("{}\n\n```text\n{}\n```\n", circumstances(), printed.trim_matches('\n'));
    fs::write(&path, with_section(&before, name, &body)).map_err(|error| Failure::file(&path, &error))
}

/// The text with one section replaced, or added at its end.
fn with_section(text: &str, name: &str, body: &str) -> String {
    let heading = format!("\n## {name}\n");
    let section = format!("{heading}\n{body}");
    let Some(start) = text.find(&heading) else { return format!("{text}{section}") };
    let rest = &text[start + heading.len()..];
    let after = rest.find("\n## ").map_or("", |end| &rest[end..]);
    format!("{}{section}{after}", &text[..start])
}

/// When this is, of which commit, and on what machine.
fn circumstances() -> String {
    let said = |program: &str, arguments: &[&str]| command::output(Command::new(program).args(arguments)).ok();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let parts = [
        said("date", &["-u", "+%Y-%m-%d"]),
        said("git", &["rev-parse", "--short", "HEAD"]).map(|commit| format!("commit {commit}")),
        Some(format!("{cores} cores")),
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal").map(|memory| format!("memory {memory}")),
        said("uname", &["-sr"]),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_once_and_then_replaced() {
        let one = with_section("# Measurements\n", "a", "1\n");
        let both = with_section(&one, "b", "2\n");
        assert_eq!(both, "# Measurements\n\n## a\n\n1\n\n## b\n\n2\n");
        assert_eq!(with_section(&both, "a", "3\n"), "# Measurements\n\n## a\n\n3\n\n## b\n\n2\n");
        assert_eq!(with_section(&both, "b", "3\n"), "# Measurements\n\n## a\n\n1\n\n## b\n\n3\n");
    }
}

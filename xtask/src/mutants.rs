//! `cargo xtask mutants`: whether a test notices each small change to the money rules.
//!
//! cargo-mutants changes `crates/domain` in one place at a time, in a copy, and runs its tests. A change that all of them
//! pass has to be explained in `crates/domain/mutants.md`, and what is explained there has to be such a change. It is kept
//! out of `cargo xtask test` for its time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    fs, io,
    path::Path,
};

use crate::{
    command::{self, Failure, Result},
    setup::{self, Mutator},
    stages::Stages,
    workspace::Workspace,
};

/// The sources, seen from the root of the workspace.
const SOURCES: &str = "crates/domain/src";
const EXPLANATIONS: &str = "crates/domain/mutants.md";
/// Stands before the place that is changed. The sources themselves do not contain it.
const MARK: char = '▸';
/// What a test run may take, unless five times what it takes without a change is longer. Generous: what else the machine
/// is doing must not look like a test that hangs.
const SHORTEST_TIMEOUT: &str = "--minimum-test-timeout=60";
/// Optimised a little, tests with many cases take a tenth of the time and compile as quickly.
const OPTIMISED: [(&str, &str); 2] = [("CARGO_PROFILE_DEV_OPT_LEVEL", "1"), ("CARGO_PROFILE_TEST_OPT_LEVEL", "1")];

/// What cargo-mutants exits with when it has finished, whatever it has found.
const FINISHED: [i32; 3] = [0, 2, 3];

/// Changes everything, or only the files that are named (`money.rs`).
pub fn run(workspace: &Workspace, files: &[&str]) -> Result {
    let mut stages = Stages::default();
    let result = mutate(workspace, files, &mut stages);
    println!("{}", stages.table());
    result
}

fn mutate(workspace: &Workspace, files: &[&str], stages: &mut Stages) -> Result {
    for file in files {
        let path = workspace.root.join(SOURCES).join(file);
        if !path.is_file() {
            return Err(Failure::new(format!("there is no {}", path.display())));
        }
    }
    let explained = explanations(&read(&workspace.root.join(EXPLANATIONS))?)?;
    // Now, so that the sources may be edited meanwhile.
    let sources = Sources::read(workspace)?;
    let mutator = stages.run("set-up", || setup::for_mutants(workspace))?;
    let results = workspace.target.join("mutants");
    stages.run("mutants of crates/domain", || change_and_test(workspace, &mutator, files, &results))?;

    let found = Found::read(&results.join("mutants.out"), &sources)?;
    let is_asked = |mutant: &&Mutant| files.is_empty() || files.contains(&mutant.file.as_str());
    let explained: Vec<_> = explained.iter().filter(is_asked).collect();
    println!("\n{}", found.figures());
    found.compare(&explained)
}

fn change_and_test(workspace: &Workspace, mutator: &Mutator, files: &[&str], results: &Path) -> Result {
    fs::create_dir_all(results).map_err(|error| Failure::file(results, &error))?;
    let mut command = mutator.command(workspace);
    // The crate has no tests but those beside its code, hence `--lib`. What is killed is printed too, to show progress.
    command.args(["--package=domain", "--cargo-arg=--locked", "--cargo-arg=--lib", SHORTEST_TIMEOUT, "--caught"]);
    // The copy has a target folder of its own.
    command.arg("--output").arg(results).envs(OPTIMISED).env_remove("CARGO_TARGET_DIR");
    for file in files {
        command.arg(format!("--file={SOURCES}/{file}"));
    }
    match command::run_to_end(&mut command)?.code() {
        Some(code) if FINISHED.contains(&code) => Ok(()),
        _ => Err(Failure::new("cargo mutants did not finish; do the tests of crates/domain pass?")),
    }
}

/// One change, named so that it is found again when lines move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mutant {
    /// Below [`SOURCES`].
    file: String,
    /// As cargo-mutants says it: `replace < with <= in Thresholds::paid_after`.
    change: String,
    /// The line that is changed, with a [`MARK`] before the place.
    code: String,
}

/// As in the file of explanations.
impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "## {}: {}\n\n    {}", self.file, self.change, self.code)
    }
}

/// What cargo-mutants has found.
struct Found {
    killed: Vec<Mutant>,
    /// No test failed.
    survivors: Vec<Mutant>,
    /// The tests did not end in time. Most such changes make a loop endless, but that is for a person to say.
    endless: Vec<Mutant>,
    unviable: usize,
}

impl Found {
    fn read(folder: &Path, sources: &Sources) -> Result<Self> {
        let list = |name: &str| {
            let text = read(&folder.join(name))?;
            text.lines().map(|line| mutant(line, sources)).collect::<Result<Vec<_>>>()
        };
        require_refusals(&read(&folder.join("unviable.txt"))?, &folder.join("log"))?;
        Ok(Self {
            killed: list("caught.txt")?,
            survivors: list("missed.txt")?,
            endless: list("timeout.txt")?,
            unviable: list("unviable.txt")?.len(),
        })
    }

    fn figures(&self) -> String {
        let Self { killed, survivors, endless, unviable } = self;
        let (killed, survivors, endless) = (killed.len(), survivors.len(), endless.len());
        let all = killed + survivors + endless + unviable;
        format!(
            "{all} mutants: {killed} killed, {survivors} not noticed, {endless} without end, {unviable} do not compile"
        )
    }

    /// Compares what no test noticed with what is explained.
    fn compare(&self, explained: &[&Mutant]) -> Result {
        let mut complaints = String::new();
        let mut complain = |what: &str, mutant: &Mutant| {
            // Writing to a string cannot fail.
            let _ = write!(complaints, "\n{what}\n\n{mutant}\n");
        };
        for mutant in &self.survivors {
            if !explained.contains(&mutant) {
                complain("No test notices, and nothing explains:", mutant);
            }
        }
        for mutant in &self.endless {
            if !explained.contains(&mutant) {
                complain("Tests do not end, and nothing explains:", mutant);
            }
        }
        for mutant in explained {
            // First, because two equal lines may hold a mutant each, of which only one is noticed.
            if self.killed.contains(mutant) {
                complain("Explained, but a test notices:", mutant);
            } else if !self.survivors.contains(mutant) && !self.endless.contains(mutant) {
                complain("Explained, but there is none:", mutant);
            }
        }
        match complaints.as_str() {
            "" => Ok(()),
            complaints => {
                Err(Failure::new(format!("{EXPLANATIONS} and the tests do not account for this:\n{complaints}")))
            }
        }
    }
}

/// Requires of each change that is said not to compile that the compiler has refused it. A full disk ends a build too, and
/// must not end the proof with it.
fn require_refusals(unviable: &str, logs: &Path) -> Result {
    let mut refused = BTreeSet::new();
    for entry in fs::read_dir(logs).map_err(|error| Failure::file(logs, &error))? {
        let log = read(&entry.map_err(|error| Failure::file(logs, &error))?.path())?;
        refused.extend(refused_change(&log).map(str::to_owned));
    }
    match unviable.lines().find(|change| !refused.contains(*change)) {
        Some(change) => {
            Err(Failure::new(format!("{change} did not compile, but not for an error in it; see {}", logs.display())))
        }
        None => Ok(()),
    }
}

/// The change that a log is about, if the compiler found an error with a code in it.
fn refused_change(log: &str) -> Option<&str> {
    let is_refused = log.lines().any(|line| line.starts_with("error[E"));
    log.lines().find_map(|line| line.strip_prefix("*** ")).filter(|_| is_refused)
}

/// The text of each file.
struct Sources(BTreeMap<String, String>);

impl Sources {
    fn read(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.root.join(SOURCES);
        let failure = |error: &io::Error| Failure::file(&folder, error);
        let mut sources = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|error| failure(&error))? {
            let entry = entry.map_err(|error| failure(&error))?;
            sources.insert(entry.file_name().to_string_lossy().into_owned(), read(&entry.path())?);
        }
        Ok(Self(sources))
    }
}

/// Reads `crates/domain/src/money.rs:12:5: replace …`.
fn mutant(line: &str, sources: &Sources) -> Result<Mutant> {
    let parsed = || {
        let (place, change) = line.split_once(": ")?;
        let (file, place) = place.strip_prefix(SOURCES)?.strip_prefix('/')?.split_once(':')?;
        let (row, column) = place.split_once(':')?;
        let code = sources.0.get(file)?.lines().nth(row.parse::<usize>().ok()?.checked_sub(1)?)?;
        let column = column.parse::<usize>().ok()?.checked_sub(1)?;
        let (at, _) = code.char_indices().nth(column)?;
        let code = format!("{}{MARK}{}", &code[..at], &code[at..]).trim().to_owned();
        Some(Mutant { file: file.to_owned(), change: change.to_owned(), code })
    };
    parsed().ok_or_else(|| Failure::new(format!("`{line}` of cargo mutants names no place in {SOURCES}")))
}

/// Reads the explained mutants: a heading with file and change, the line of code, indented, and the reason.
fn explanations(text: &str) -> Result<Vec<Mutant>> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let (heading, rest) = section.split_once('\n').unwrap_or((section, ""));
        let wrong = |what: &str| Failure::new(format!("{EXPLANATIONS}: `{heading}` {what}"));
        let (file, change) = heading.split_once(": ").ok_or_else(|| wrong("is not `file: change`"))?;
        let is_code = |line: &&str| line.starts_with("    ");
        let code = rest.lines().find(is_code).ok_or_else(|| wrong("shows no indented line of code"))?.trim();
        if !code.contains(MARK) {
            return Err(wrong(&format!("has no {MARK} before the place that is changed")));
        }
        if rest.lines().filter(|line| !is_code(line)).all(|line| line.trim().is_empty()) {
            return Err(wrong("has no reason"));
        }
        let mutant = Mutant { file: file.to_owned(), change: change.to_owned(), code: code.to_owned() };
        if mutants.contains(&mutant) {
            return Err(wrong("is explained twice"));
        }
        mutants.push(mutant);
    }
    Ok(mutants)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPLAINED: &str = "# Title

What this is.

## money.rs: replace < with <= in least

    if a ▸< b {

Equal ones are the same.

## time.rs: replace + with - in later

It does not matter.

    a ▸+ 0
";

    fn named(file: &str, change: &str, code: &str) -> Mutant {
        Mutant { file: file.to_owned(), change: change.to_owned(), code: code.to_owned() }
    }

    fn least() -> Mutant {
        named("money.rs", "replace < with <= in least", "if a ▸< b {")
    }

    #[test]
    fn a_mutant_is_named_by_its_line_and_not_by_the_number_of_it() {
        let text = "fn least() {\n    if a < b {\n";
        let sources = Sources(BTreeMap::from([("money.rs".to_owned(), text.to_owned())]));
        let check = |place: &str, expected| {
            let line = format!("{place}: replace < with <= in least");
            assert_eq!(mutant(&line, &sources).ok(), expected, "{line}");
        };
        check("crates/domain/src/money.rs:2:10", Some(least()));
        for nowhere in ["money.rs:2:10", "crates/domain/src/time.rs:2:10", "crates/domain/src/money.rs"] {
            check(nowhere, None);
        }
        for nowhere in ["0:1", "3:1", "2:0", "2:99", "2"] {
            check(&format!("crates/domain/src/money.rs:{nowhere}"), None);
        }
    }

    #[test]
    fn only_what_the_compiler_refuses_does_not_compile() {
        let refused =
            "\n*** a.rs:1:2: change\n\n*** cargo test\nerror[E0277]: no such trait\n*** result: Failure(101)\n";
        assert_eq!(refused_change(refused), Some("a.rs:1:2: change"));
        assert_eq!(refused_change(&refused.replace("error[E0277]: no such trait", "error: no space left")), None);
    }

    #[test]
    fn what_is_explained_is_about_lines_that_are_there() {
        let workspace = Workspace::find();
        let sources = Sources::read(&workspace).unwrap();
        for Mutant { file, change, code } in explanations(&read(&workspace.root.join(EXPLANATIONS)).unwrap()).unwrap() {
            let line = code.replace(MARK, "");
            assert!(sources.0[&file].lines().any(|other| other.trim() == line), "{file}: {change}: {line}");
        }
    }

    #[test]
    fn explanations_have_a_place_a_line_and_a_reason() {
        let time = named("time.rs", "replace + with - in later", "a ▸+ 0");
        assert_eq!(explanations(EXPLAINED).unwrap(), [least(), time]);
        assert_eq!(explanations("# Title\n").unwrap(), []);

        let check = |text: &str, complaint: &str| {
            let failure = explanations(text).unwrap_err().to_string();
            assert!(failure.contains(complaint), "{failure}");
        };
        check("\n## money.rs\n", "is not `file: change`");
        check("\n## money.rs: x\n\nreason\n", "no indented line");
        check("\n## money.rs: x\n\n    a < b\n\nreason\n", "has no ▸");
        check("\n## money.rs: x\n\n    a ▸< b\n\n", "has no reason");
        check(&format!("{EXPLAINED}{EXPLAINED}"), "is explained twice");
    }

    #[test]
    fn every_mutant_is_killed_or_explained() {
        let found = |killed: &[Mutant], survivors: &[Mutant], endless: &[Mutant]| Found {
            killed: killed.to_vec(),
            survivors: survivors.to_vec(),
            endless: endless.to_vec(),
            unviable: 0,
        };
        let (one, other) = (least(), named("money.rs", "replace < with <= in least", "if b ▸< a {"));
        let complaint = |found: Found, explained: &[&Mutant]| {
            found.compare(explained).map_or_else(|failure| failure.to_string(), |()| String::new())
        };
        let both = [one.clone(), other.clone()];
        assert_eq!(complaint(found(&both, &[], &[]), &[]), "");
        assert_eq!(complaint(found(&both[..1], &both[1..], &[]), &[&other]), "");
        assert_eq!(complaint(found(&both[..1], &[], &both[1..]), &[&other]), "");

        let unexplained = complaint(found(&both[..1], &both[1..], &[]), &[]);
        assert!(unexplained.contains(&format!("No test notices, and nothing explains:\n\n{other}")), "{unexplained}");
        assert!(complaint(found(&[], &[], &both[..1]), &[]).contains("Tests do not end"));
        assert!(complaint(found(&both, &[], &[]), &[&one]).contains("Explained, but a test notices"));
        assert!(complaint(found(&both[..1], &both[..1], &[]), &[&one]).contains("Explained, but a test notices"));
        assert!(complaint(found(&both[1..], &[], &[]), &[&one]).contains("Explained, but there is none"));
    }
}

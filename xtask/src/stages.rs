//! Stages of a long command: a heading before each, its time after it, and all times at the end.

use std::time::{Duration, Instant};

use crate::command::Result;

/// What has been run so far.
#[derive(Default)]
pub struct Stages {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    NotRun(String),
}

impl Stages {
    /// Runs one stage and takes its time.
    ///
    /// # Errors
    ///
    /// That of the stage.
    pub fn run<T>(&mut self, name: &str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n=== {name} ===");
        let start = Instant::now();
        let result = stage();
        let time = start.elapsed();

        let (outcome, word) = match &result {
            Ok(_) => (Outcome::Passed(time), "passed"),
            Err(_) => (Outcome::Failed(time), "FAILED"),
        };
        println!("=== {name}: {word} in {}", seconds(time));
        self.rows.push(Row { name: name.to_owned(), outcome });
        result
    }

    /// Records a stage that cannot run on this machine, so that nobody takes it for passed.
    pub fn not_run(&mut self, name: &str, reason: impl Into<String>) {
        let reason = reason.into();
        println!("\n=== {name}: not run, {reason}");
        self.rows.push(Row { name: name.to_owned(), outcome: Outcome::NotRun(reason) });
    }

    /// All stages with their times and the sum.
    pub fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or_default().max("total".len());
        let mut total = Duration::ZERO;
        let mut lines = vec![String::new()];
        for Row { name, outcome } in &self.rows {
            lines.push(match outcome {
                Outcome::Passed(time) => format!("{name:width$}  {:>12}", seconds(*time)),
                Outcome::Failed(time) => format!("{name:width$}  {:>12}  FAILED", seconds(*time)),
                Outcome::NotRun(reason) => format!("{name:width$}  {:>12}  ({reason})", "not run"),
            });
            if let Outcome::Passed(time) | Outcome::Failed(time) = outcome {
                total += *time;
            }
        }
        lines.push(format!("{:width$}  {:>12}", "total", seconds(total)));
        lines.join("\n")
    }
}

/// A time as people read it: `0.4 s`, `12.0 s`, `3 min 14 s`.
fn seconds(time: Duration) -> String {
    if time < Duration::from_mins(1) {
        return format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100);
    }
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Failure;

    #[test]
    fn times_are_spelled_for_people() {
        let check = |millis, spelled| assert_eq!(seconds(Duration::from_millis(millis)), spelled);
        check(0, "0.0 s");
        check(449, "0.4 s");
        check(59_999, "59.9 s");
        check(60_000, "1 min 00 s");
        check(194_500, "3 min 14 s");
    }

    #[test]
    fn table_tells_passed_failed_and_not_run_apart() {
        let row = |name: &str, outcome| Row { name: name.to_owned(), outcome };
        let stages = Stages {
            rows: vec![
                row("formatting", Outcome::Passed(Duration::from_secs(1))),
                row("licences", Outcome::NotRun("no cargo-deny".to_owned())),
                row("clippy", Outcome::Failed(Duration::from_secs(62))),
            ],
        };
        assert_eq!(
            stages.table(),
            "
formatting         1.0 s
licences         not run  (no cargo-deny)
clippy        1 min 02 s  FAILED
total         1 min 03 s"
        );
    }

    #[test]
    fn failure_of_a_stage_is_passed_on_and_kept() {
        let mut stages = Stages::default();
        let failure = stages.run("clippy", || Err::<(), _>(Failure::new("no"))).unwrap_err();
        assert_eq!(failure.to_string(), "no");
        assert!(stages.table().contains("FAILED"));
    }
}

//! A short name for the content of files, to tell whether something must be made again.
//!
//! It guards against forgetting, not against attack: 64 bits from the standard library's hasher.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use crate::command::{Failure, Result};

/// Collects files and facts; equal collections have equal fingerprints.
#[derive(Default)]
pub struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// Adds something that is not a file, such as a compiler's version.
    pub fn add_fact(&mut self, fact: &str) {
        fact.hash(&mut self.0);
    }

    /// Adds a file, or a folder with all below it except what is called `skipped`. What does not exist counts as such.
    ///
    /// # Errors
    ///
    /// If something that is there cannot be read.
    pub fn add(&mut self, path: &Path, skipped: &str) -> Result {
        let failed = |error| Failure::file(path, &error);

        path.file_name().hash(&mut self.0);
        if path.is_dir() {
            let mut children = Vec::new();
            for entry in fs::read_dir(path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if entry.file_name() != skipped {
                    children.push(entry.path());
                }
            }
            children.sort();
            children.len().hash(&mut self.0);
            return children.iter().try_for_each(|child| self.add(child, skipped));
        }
        if path.exists() {
            fs::read(path).map_err(failed)?.hash(&mut self.0);
        }
        Ok(())
    }

    pub fn finish(self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fingerprint of a folder in which `change` has been made.
    fn fingerprint_after(name: &str, change: impl FnOnce(&Path)) -> String {
        let folder = std::env::temp_dir().join(format!("xtask-fingerprint-{}-{name}", std::process::id())).join("page");
        fs::create_dir_all(folder.join("src/inner")).unwrap();
        fs::create_dir_all(folder.join("dist")).unwrap();
        fs::write(folder.join("index.html"), "<html>").unwrap();
        fs::write(folder.join("src/inner/main.rs"), "fn main() {}").unwrap();
        fs::write(folder.join("dist/page.js"), "1").unwrap();
        change(&folder);

        let mut fingerprint = Fingerprint::default();
        fingerprint.add(&folder, "dist").unwrap();
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
        fingerprint.finish()
    }

    fn check(name: &str, changes: bool, change: impl FnOnce(&Path)) {
        let untouched = fingerprint_after(&format!("{name}-untouched"), |_| ());
        assert_eq!(fingerprint_after(name, change) != untouched, changes, "{name}");
    }

    #[test]
    fn every_change_is_noticed_but_those_in_the_skipped_folder() {
        check("nothing", false, |_| ());
        check("written-again", false, |folder| {
            fs::write(folder.join("index.html"), "<html>").unwrap();
        });
        check("in-dist", false, |folder| {
            fs::write(folder.join("dist/page.js"), "2").unwrap();
        });
        check("content", true, |folder| {
            fs::write(folder.join("src/inner/main.rs"), "fn main() { }").unwrap();
        });
        check("new-file", true, |folder| {
            fs::write(folder.join("src/inner/lib.rs"), "").unwrap();
        });
        check("renamed", true, |folder| {
            fs::rename(folder.join("index.html"), folder.join("page.html")).unwrap();
        });
        check("removed", true, |folder| {
            fs::remove_file(folder.join("index.html")).unwrap();
        });
        check("moved-up", true, |folder| {
            fs::rename(folder.join("src/inner/main.rs"), folder.join("src/main.rs")).unwrap();
        });
    }

    #[test]
    fn facts_count() {
        let with = |fact: &str| {
            let mut fingerprint = Fingerprint::default();
            fingerprint.add_fact(fact);
            fingerprint.finish()
        };
        assert_eq!(with("rustc 1.95.0"), with("rustc 1.95.0"));
        assert_ne!(with("rustc 1.95.0"), with("rustc 1.96.0"));
    }
}

//! PostgreSQL, of which the tests start one of their own.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::{Step, apt};
use crate::command::{self, Failure, Result};

/// Where Debian keeps it: one folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Finds the folder with its programs by `POSTGRES_BIN`, among Debian's or on `PATH`, or installs Debian's.
pub fn find(step: &Step) -> Result<PathBuf> {
    if found().is_none() {
        apt::create_no_cluster()?;
        apt::install(step, &["postgresql"], "the tests run on both databases")?;
    }
    let folder = found().ok_or_else(|| {
        Failure::new(
            "PostgreSQL is missing; the tests run on both databases. Install it with the system's package manager, or set \
             POSTGRES_BIN to the folder that holds initdb, pg_ctl and createdb",
        )
    })?;
    step.ready(&folder.display().to_string());
    Ok(folder)
}

fn found() -> Option<PathBuf> {
    let is_complete = |folder: &Path| ["initdb", "pg_ctl", "createdb"].iter().all(|name| folder.join(name).is_file());
    if let Some(folder) = env::var_os("POSTGRES_BIN") {
        return Some(PathBuf::from(folder)).filter(|folder| is_complete(folder));
    }
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| is_complete(folder))
        .max()
        .map(|(_, folder)| folder);
    newest
        .or_else(|| command::find_program("initdb")?.parent().map(Path::to_owned).filter(|folder| is_complete(folder)))
}

//! Rules for what we depend on: licences, sources and versions by `cargo deny` (`deny.toml`), and the one rule it cannot
//! know, the age of the SQLite inside `libsqlite3-sys`.

use std::{fs, path::Path};

use crate::{
    command::{self, Failure, Result},
    lock,
    setup::Deny,
    workspace::Workspace,
};

/// The oldest SQLite the server accepts at start: older ones can corrupt a database in WAL mode.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];

/// Checks the rules.
///
/// Known vulnerabilities are not among them: that list is fetched anew each time and would make an old commit fail.
///
/// # Errors
///
/// The first rule that does not hold.
pub fn check(workspace: &Workspace, deny: &Deny) -> Result {
    let mut command = deny.command(workspace);
    command::run(command.args([
        "--locked",
        "--workspace",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;

    let sqlite = bundled_sqlite(workspace, lock::only_version(&lock::read(workspace)?, "libsqlite3-sys")?)?;
    if numbers(&sqlite).as_deref() < Some(&OLDEST_SQLITE) {
        return Err(Failure::new(format!("the bundled SQLite is {sqlite}; at least 3.51.3 is needed")));
    }
    println!("bundled SQLite: {sqlite}");
    Ok(())
}

/// The version of the SQLite sources inside `libsqlite3-sys`.
fn bundled_sqlite(workspace: &Workspace, version: &str) -> Result<String> {
    let metadata = command::output(command::cargo(workspace).args(["metadata", "--locked", "--format-version=1"]))?;
    let manifest = manifest_path(&metadata, &format!("libsqlite3-sys-{version}"))
        .ok_or_else(|| Failure::new("cargo metadata does not say where libsqlite3-sys is"))?;
    let path = Path::new(manifest).with_file_name("sqlite3").join("bindgen_bundled_version.rs");
    let text = fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
    sqlite_version(&text).ok_or_else(|| Failure::new(format!("{}: no SQLITE_VERSION", path.display())))
}

/// Finds a package's manifest in the output of `cargo metadata` by the name of its folder.
fn manifest_path<'a>(metadata: &'a str, folder: &str) -> Option<&'a str> {
    let end = format!("/{folder}/Cargo.toml");
    metadata.split("\"manifest_path\":\"").filter_map(|rest| rest.split('"').next()).find(|path| path.ends_with(&end))
}

fn sqlite_version(bindings: &str) -> Option<String> {
    let line = bindings.lines().find(|line| line.contains("const SQLITE_VERSION:"))?;
    line.split('"').nth(1).map(|version| version.trim_end_matches("\\0").to_owned())
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_version_is_read_from_both_spellings() {
        let new = r#"pub const SQLITE_VERSION: &::core::ffi::CStr = c"3.51.3";"#;
        let old = r#"pub const SQLITE_VERSION: &[u8; 7] = b"3.46.0\0";"#;
        assert_eq!(sqlite_version(new).as_deref(), Some("3.51.3"));
        assert_eq!(sqlite_version(old).as_deref(), Some("3.46.0"));
        assert_eq!(sqlite_version("pub const SQLITE_OK: i32 = 0;"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("3.51.3").as_deref() >= Some(&OLDEST_SQLITE));
        assert!(numbers("3.100.0").as_deref() >= Some(&OLDEST_SQLITE));
        assert!(numbers("3.51.2").as_deref() < Some(&OLDEST_SQLITE));
        assert!(numbers("nonsense").as_deref() < Some(&OLDEST_SQLITE));
    }

    #[test]
    fn manifest_is_found_by_its_folder() {
        let metadata =
            r#"{"manifest_path":"/src/b-1.0.0/Cargo.toml","x":1},{"manifest_path":"/src/a-1.0.0/Cargo.toml"}"#;
        assert_eq!(manifest_path(metadata, "a-1.0.0"), Some("/src/a-1.0.0/Cargo.toml"));
        assert_eq!(manifest_path(metadata, "c-1.0.0"), None);
    }
}

//! What tests of several modules need.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// An empty database of one test: a file, or on PostgreSQL if `PEPAY_TEST_DATABASE` says so.
///
/// Tests that are about what the server does, and not about how an engine does it, open theirs with this, so
/// that `cargo xtask test` can run them on both.
pub struct TestDatabase {
    pub url: String,
    _dir: TempDir,
}

impl TestDatabase {
    pub fn new() -> Self {
        let dir = TempDir::new();
        let url = match env::var("PEPAY_TEST_DATABASE").as_deref() {
            Err(_) | Ok("" | "sqlite") => format!("sqlite:{}", dir.path().join("pepay.db").display()),
            Ok("postgres") => postgres_cluster::new_database(),
            Ok(other) => panic!("PEPAY_TEST_DATABASE is sqlite or postgres, not {other}"),
        };
        Self { url, _dir: dir }
    }
}

/// A folder of one test, gone with it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pepay-test-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A folder that cannot be removed is no reason to fail the test that used it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

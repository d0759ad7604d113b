//! A folder of a test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// A new folder, removed with its content when dropped, unless the test failed.
pub struct TestFolder(PathBuf);

impl TestFolder {
    /// # Panics
    ///
    /// If the system gives no folder.
    #[expect(clippy::new_without_default, reason = "each is another folder")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pepay-test-{}-{number}", std::process::id()));
        // Left by a test that failed, in a process that had our number before.
        let _was_not_there = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the system gives a folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _is_gone = fs::remove_dir_all(&self.0);
        }
    }
}

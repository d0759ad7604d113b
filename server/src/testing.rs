//! What tests of several modules need.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use tokio::runtime::Runtime;
use tracing::{Dispatch, Level, subscriber::DefaultGuard};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

use crate::store::Store;

/// What each test's database on PostgreSQL begins as: to bring an empty one up to date takes longer than most tests.
static UP_TO_DATE: LazyLock<String> = LazyLock::new(|| {
    let url = postgres_cluster::new_database();
    let opened = url.clone();
    // Tests wait for it inside a runtime of their own.
    let opening = thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            let (store, writer) = Store::open(&opened).await.unwrap();
            store.close_readers().await;
            drop(store);
            writer.await.unwrap();
        });
    });
    opening.join().unwrap();
    url
});

/// A database of one test, in which nothing is yet: a file, or on PostgreSQL if `PEPAY_TEST_DATABASE` says so.
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
            Ok("postgres") => postgres_cluster::copy_of(&UP_TO_DATE),
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

/// What is logged while it listens; its test must run on one thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn listen(&self) -> DefaultGuard {
        self.listen_to(Level::INFO)
    }

    /// Listens to everything down to that level.
    pub fn listen_to(&self, level: Level) -> DefaultGuard {
        ask_every_subscriber();
        let log = self.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_max_level(level);
        tracing::subscriber::set_default(lines.with_writer(move || log.clone()).finish())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn lines_with(&self, text: &str) -> usize {
        self.text().lines().filter(|line| line.contains(text)).count()
    }
}

/// Keeps a thread that listens to nothing from silencing a line for one that listens.
///
/// Whether anybody wants a line is remembered for the whole process when it is passed first. As long as there is one
/// subscriber only, tracing-core 0.1 does not ask that one but the thread that comes by, which may have none
/// (tokio-rs/tracing#3611). With two that stay, it always asks every subscriber.
pub fn ask_every_subscriber() {
    static STAYING: LazyLock<[Dispatch; 2]> = LazyLock::new(|| {
        let deaf = || Dispatch::new(tracing_subscriber::registry().with(LevelFilter::OFF));
        [deaf(), deaf()]
    });
    LazyLock::force(&STAYING);
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_heard_that_a_thread_without_ears_passed_first() {
        let log = Log::default();
        let _listening = log.listen();
        let line = || tracing::info!("passed by two threads");
        std::thread::spawn(line).join().unwrap();
        line();
        assert_eq!(log.lines_with("passed by two threads"), 1);
    }
}

//! Where the time and randomness come from, so that tests can move the one and repeat the other.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use domain::time::{UnixMillis, UnixSeconds};

/// The time of day. Cheap to clone; all clones tell the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

trait Source: Send + Sync {
    fn now(&self) -> UnixMillis;
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(SystemClock))
    }

    pub fn now_ms(&self) -> UnixMillis {
        self.0.now()
    }

    pub fn now(&self) -> UnixSeconds {
        self.0.now().as_seconds()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}

struct SystemClock;

impl Source for SystemClock {
    fn now(&self) -> UnixMillis {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
        let now = SystemTime::now();
        let millis = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        UnixMillis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

/// A clock that a test moves. It goes on like the machine's, or stands still until it is moved.
#[derive(Clone, Default)]
pub struct TestClock {
    offset_ms: Arc<AtomicI64>,
    /// The second in which a clock that stands still was made.
    stopped_at: Option<UnixMillis>,
}

impl TestClock {
    /// A clock that stands at the beginning of a second and goes on by a millisecond each time it is read, so
    /// that no test depends on how long it takes and what happens later also has a later time.
    pub fn still() -> Self {
        Self { stopped_at: Some(SystemClock.now().as_seconds().as_millis()), ..Self::default() }
    }

    /// Moves the clock; negative numbers move it back.
    pub fn advance_seconds(&self, seconds: i64) {
        self.offset_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub fn clock(&self) -> Clock {
        Clock(Arc::new(self.clone()))
    }
}

impl Source for TestClock {
    fn now(&self) -> UnixMillis {
        match self.stopped_at {
            Some(stopped_at) => UnixMillis(stopped_at.0 + self.offset_ms.fetch_add(1, Ordering::SeqCst)),
            None => UnixMillis(SystemClock.now().0 + self.offset_ms.load(Ordering::SeqCst)),
        }
    }
}

/// Random bytes from the operating system.
///
/// # Panics
///
/// If the operating system has no randomness to give; nothing safe can be done without it.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

//! Named places where a crash test stops the process dead.
//!
//! `PEPAY_FAILPOINT=name:n` in the environment kills the process with signal 9 the `n`-th time it
//! passes `name`. Builds without debug assertions, and so every release, do not contain any of it.

/// Passes a named place; see the module.
#[cfg(not(debug_assertions))]
pub fn pass(_name: &str) {}

/// Passes a named place; see the module.
#[cfg(debug_assertions)]
pub fn pass(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    };

    static ARMED: LazyLock<Option<(String, AtomicI64)>> = LazyLock::new(|| {
        let setting = std::env::var("PEPAY_FAILPOINT").ok()?;
        let (name, count) = setting.split_once(':')?;
        Some((name.to_owned(), AtomicI64::new(count.parse().ok()?)))
    });

    if let Some((armed, passes_left)) = &*ARMED
        && armed == name
        && passes_left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        loop {
            std::thread::park();
        }
    }
}

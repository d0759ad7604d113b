//! A compiler with a standard library for WASM, and the optimizer for what it makes.
//!
//! Either the active toolchain has that library, or rustup may add it, or Debian's own compiler builds it from its sources.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Step, apt};
use crate::command::{self, Failure, Result};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];
const REASON: &str = "the page runs as WASM";

/// Which compiler makes the page.
pub enum Compiler {
    /// The one that has built xtask.
    Active { version: String },
    /// Debian's, which has no ready standard library for WASM but brings its sources.
    Debian { version: String },
}

impl Compiler {
    pub fn version(&self) -> &str {
        let (Self::Active { version } | Self::Debian { version }) = self;
        version
    }

    /// Finds a compiler, or installs what is missing for one.
    pub(super) fn find(step: &Step) -> Result<Self> {
        if let Some(compiler) = Self::ready()? {
            step.ready(&format!("{} ({})", compiler.version(), compiler.origin()));
            return Ok(compiler);
        }

        // Whoever sets RUSTUP_AUTO_INSTALL to 0 has said that rustup must not download.
        let rustup_may_download = env::var("RUSTUP_AUTO_INSTALL").as_deref() != Ok("0");
        if rustup_may_download && command::find_program("rustup").is_some() {
            step.installing("asking rustup for the standard library", REASON);
            match command::run(Command::new("rustup").args(["target", "add", TARGET])) {
                Ok(()) => {}
                Err(failure) => println!("{failure}; trying Debian's compiler instead"),
            }
        }
        if Self::ready()?.is_none() {
            apt::install(step, &DEBIAN_PACKAGES, REASON)?;
        }
        Self::ready()?.ok_or_else(|| {
            Failure::new(format!(
                "there is no compiler for WASM, which the page needs. Either of these helps:\n\
                 \x20 rustup target add {TARGET}\n\
                 \x20 apt-get install --no-install-recommends {}   (Debian 12 or later, as root)",
                DEBIAN_PACKAGES.join(" ")
            ))
        })
    }

    /// A compiler that can be used as things are.
    fn ready() -> Result<Option<Self>> {
        let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        if Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            let version = command::output(Command::new("rustc").arg("--version"))?;
            return Ok(Some(Self::Active { version }));
        }

        let has_sources = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
        let has_linker = command::find_program("wasm-ld").is_some();
        if !has_sources || !has_linker || !Path::new(DEBIAN_CARGO).is_file() {
            return Ok(None);
        }
        let version = command::version_of(DEBIAN_RUSTC).filter(|version| is_new_enough(version));
        Ok(version.map(|version| Self::Debian { version }))
    }

    fn origin(&self) -> &'static str {
        match self {
            Self::Active { .. } => "the active toolchain",
            Self::Debian { .. } => "Debian's, which compiles the standard library too",
        }
    }

    /// Prepares a command so that cargo, and whoever calls cargo, compiles with this compiler.
    pub(super) fn apply(&self, command: &mut Command, folders: &[PathBuf]) {
        let Self::Debian { .. } = self else {
            command.env("PATH", command::path_with(folders));
            return;
        };
        let folders: Vec<PathBuf> = folders.iter().cloned().chain(["/usr/bin".into()]).collect();
        command
            .env("PATH", command::path_with(&folders))
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTDOC", "/usr/bin/rustdoc")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld")
            // Building the standard library is not stable yet; this is the switch that distributions use.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
            .env_remove("RUSTUP_TOOLCHAIN");
    }

    /// Makes a command prepared by [`apply`](Self::apply) fail on warnings, where the compiler can.
    pub fn deny_warnings(&self, command: &mut Command) {
        if let Self::Debian { .. } = self {
            command.env("CARGO_UNSTABLE_WARNINGS", "true").env("CARGO_BUILD_WARNINGS", "deny");
        }
    }
}

/// Finds wasm-opt and returns its version.
pub(super) fn find_optimizer(step: &Step) -> Result<String> {
    if command::version_of("wasm-opt").is_none() {
        apt::install(step, &["binaryen"], "it makes the WASM smaller")?;
    }
    let version = command::version_of("wasm-opt").ok_or_else(|| {
        Failure::new(
            "wasm-opt is missing; it makes the WASM smaller. Install binaryen with the system's package manager",
        )
    })?;
    step.ready(&version);
    Ok(version)
}

/// Whether `rustc 1.96.0 (…)` is at least the oldest compiler that the workspace supports.
fn is_new_enough(version: &str) -> bool {
    let number = version.split(' ').nth(1).unwrap_or_default();
    minor(env!("CARGO_PKG_RUST_VERSION")) <= minor(number)
}

/// Major and minor number: `1.96.0` is `(1, 96)`; what is no version is older than all.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_unknown_compilers_are_refused() {
        let check = |version, good| assert_eq!(is_new_enough(version), good, "{version}");
        check("rustc 1.95.0 (59807616e 2026-04-14)", true);
        check("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)", true);
        check("rustc 2.0.0", true);
        check("rustc 1.63.0", false);
        check("rustc 1.100.0", true);
        check("something else", false);
        check("", false);
    }
}

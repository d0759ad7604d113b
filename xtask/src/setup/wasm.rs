//! A compiler with a standard library for WASM, and the optimizer for what it makes.
//!
//! Either the active toolchain has that library, or rustup may add it, or Debian's own compiler is used. Where the library's
//! sources are there, it is built from them for size, so that the payer downloads less.

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
const SOURCES: &str = "rust-src";
const SOURCES_REASON: &str = "a standard library built for size makes the page smaller";

/// What makes cargo build the standard library too, for size. None of it is stable yet; the first is the switch that
/// distributions use.
const LIBRARY_FOR_SIZE: [(&str, &str); 4] = [
    ("RUSTC_BOOTSTRAP", "1"),
    ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort"),
    ("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size"),
    ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS),
];

/// A panic stops at once, without a message that nobody would see, and nothing is spelled out for debugging (`{:?}`).
const FLAGS: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none";

/// Which compiler makes the page.
pub enum Compiler {
    /// The one that has built xtask; perhaps with the sources of its standard library.
    Active { version: String, has_sources: bool },
    /// Debian's, which has no ready standard library for WASM but brings its sources.
    Debian { version: String },
}

impl Compiler {
    pub fn version(&self) -> &str {
        let (Self::Active { version, .. } | Self::Debian { version }) = self;
        version
    }

    /// Whether the page's standard library is built for size; if not, the page is larger than it need be.
    pub fn builds_library(&self) -> bool {
        matches!(self, Self::Debian { .. } | Self::Active { has_sources: true, .. })
    }

    /// Says what a page made by this compiler depends on.
    pub fn description(&self) -> String {
        let library = if self.builds_library() { &LIBRARY_FOR_SIZE[..] } else { &[] };
        let settings = library.iter().map(|(name, value)| format!(" {name}={value}"));
        std::iter::once(self.version().to_owned()).chain(settings).collect()
    }

    /// Finds a compiler, or installs what is missing for one.
    pub(super) fn find(step: &Step) -> Result<Self> {
        let mut compiler = Self::ready()?;
        if compiler.is_none() {
            ask_rustup(step, "the standard library", REASON, &["target", "add", TARGET]);
            compiler = Self::ready()?;
        }
        if compiler.is_none() {
            apt::install(step, &DEBIAN_PACKAGES, REASON)?;
            compiler = Self::ready()?;
        }
        if compiler.as_ref().is_some_and(|compiler| !compiler.builds_library()) {
            ask_rustup(step, "the standard library's sources", SOURCES_REASON, &["component", "add", SOURCES]);
            compiler = Self::ready()?;
        }

        let compiler = compiler.ok_or_else(|| {
            Failure::new(format!(
                "there is no compiler for WASM, which the page needs. Either of these helps:\n\
                 \x20 rustup target add {TARGET}\n\
                 \x20 apt-get install --no-install-recommends {}   (Debian 12 or later, as root)",
                DEBIAN_PACKAGES.join(" ")
            ))
        })?;
        step.ready(&format!("{} ({})", compiler.version(), compiler.origin()));
        Ok(compiler)
    }

    /// A compiler that can be used as things are.
    fn ready() -> Result<Option<Self>> {
        let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let libraries = Path::new(&sysroot).join("lib/rustlib");
        if libraries.join(TARGET).join("lib").is_dir() {
            let version = command::output(Command::new("rustc").arg("--version"))?;
            return Ok(Some(Self::Active { version, has_sources: has_sources(&libraries) }));
        }

        let has_sources = has_sources(Path::new("/usr/lib/rustlib"));
        let has_linker = command::find_program("wasm-ld").is_some();
        if !has_sources || !has_linker || !Path::new(DEBIAN_CARGO).is_file() {
            return Ok(None);
        }
        let version = command::version_of(DEBIAN_RUSTC).filter(|version| is_new_enough(version));
        Ok(version.map(|version| Self::Debian { version }))
    }

    fn origin(&self) -> &'static str {
        match self {
            Self::Active { has_sources: false, .. } => "the active toolchain",
            Self::Active { has_sources: true, .. } => "the active toolchain, which builds the standard library too",
            Self::Debian { .. } => "Debian's, which builds the standard library too",
        }
    }

    /// Prepares a command so that cargo, and whoever calls cargo, compiles with this compiler.
    pub(super) fn apply(&self, command: &mut Command, folders: &[PathBuf]) {
        if self.builds_library() {
            // Flags for all targets would stand in for those of this one.
            command.envs(LIBRARY_FOR_SIZE).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
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
            .env_remove("RUSTUP_TOOLCHAIN");
    }

    /// Makes a command prepared by [`apply`](Self::apply) fail on warnings, where the compiler can.
    pub fn deny_warnings(&self, command: &mut Command) {
        if let Self::Debian { .. } = self {
            command.env("CARGO_UNSTABLE_WARNINGS", "true").env("CARGO_BUILD_WARNINGS", "deny");
        }
    }
}

/// Whether the sources of the standard library are among a toolchain's libraries.
fn has_sources(libraries: &Path) -> bool {
    libraries.join("src/rust/library/std/Cargo.toml").is_file()
}

/// Lets rustup add something, where there is rustup and it may download. What came of it is for the caller to look at.
fn ask_rustup(step: &Step, what: &str, reason: &str, arguments: &[&str]) {
    // Whoever sets RUSTUP_AUTO_INSTALL to 0 has said that rustup must not download.
    let may_download = env::var("RUSTUP_AUTO_INSTALL").as_deref() != Ok("0");
    if may_download && command::find_program("rustup").is_some() {
        step.installing(&format!("asking rustup for {what}"), reason);
        if let Err(failure) = command::run(Command::new("rustup").args(arguments)) {
            println!("{failure}; going on without");
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
    fn page_depends_on_how_the_library_is_built() {
        let active = |has_sources| Compiler::Active { version: "rustc 1.95.0".to_owned(), has_sources };
        assert_eq!(active(false).description(), "rustc 1.95.0");
        let built = active(true).description();
        assert!(built.starts_with("rustc 1.95.0 RUSTC_BOOTSTRAP=1 "), "{built}");
        assert!(built.ends_with(FLAGS), "{built}");
    }

    #[test]
    fn library_is_built_only_where_its_sources_are() {
        let variables = |compiler: Compiler| {
            let mut command = Command::new("cargo");
            compiler.apply(&mut command, &[]);
            let is_set = |name: &str| command.get_envs().any(|(other, value)| other == name && value.is_some());
            LIBRARY_FOR_SIZE.map(|(name, _)| is_set(name))
        };
        let version = "rustc 1.96.0".to_owned();
        assert_eq!(variables(Compiler::Active { version: version.clone(), has_sources: false }), [false; 4]);
        assert_eq!(variables(Compiler::Active { version: version.clone(), has_sources: true }), [true; 4]);
        assert_eq!(variables(Compiler::Debian { version }), [true; 4]);
    }

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

//! Where things are: the workspace's folders and files.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The folders of this checkout.
pub struct Workspace {
    pub root: PathBuf,
    /// Cargo's target folder, wherever the caller has put it.
    pub target: PathBuf,
}

impl Workspace {
    pub fn find() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// A program that `cargo build` made with the dev profile.
    pub fn built_program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// A program that `cargo build --release` made.
    pub fn released_program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The finished page: what the server serves, and nothing else.
    pub fn dist(&self) -> PathBuf {
        self.root.join("frontend/dist")
    }
}

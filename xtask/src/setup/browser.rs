//! The browser for the tests, and for what else shows the product.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Step, apt};
use crate::command::{self, Failure, Result};

/// A Chromium and the program that drives it.
pub struct Browser {
    pub chromium: PathBuf,
    pub chromedriver: PathBuf,
}

impl Browser {
    /// Tells a program where both are.
    pub fn show_to(&self, command: &mut Command) {
        command.env("CHROMIUM", &self.chromium).env("CHROMEDRIVER", &self.chromedriver);
    }
}

/// Finds both by `CHROMIUM` and `CHROMEDRIVER` or on `PATH`, or installs Debian's.
pub fn find(step: &Step) -> Result<Browser> {
    if found().is_none() {
        apt::install(step, &["chromium", "chromium-driver"], "the tests pay in a real browser")?;
    }
    let browser = found().ok_or_else(|| {
        Failure::new(
            "Chromium or chromedriver is missing; the tests pay in a real browser. Install both with the system's package \
             manager, or set CHROMIUM and CHROMEDRIVER to their paths",
        )
    })?;
    step.ready(&format!("{} and {}", browser.chromium.display(), browser.chromedriver.display()));
    Ok(browser)
}

fn found() -> Option<Browser> {
    Some(Browser {
        chromium: program("CHROMIUM", &["chromium", "chromium-browser", "google-chrome", "chrome"])?,
        chromedriver: program("CHROMEDRIVER", &["chromedriver"])?,
    })
}

fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    match env::var_os(variable) {
        Some(path) => Some(PathBuf::from(path)).filter(|path| Path::is_file(path)),
        None => names.iter().find_map(|name| command::find_program(name)),
    }
}

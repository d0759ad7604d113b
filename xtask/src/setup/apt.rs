//! Debian packages, where there is apt and the right to use it.

use std::process::Command;

use super::Step;
use crate::command::{self, Result};

/// Installs packages; `Ok(false)` if this machine has no apt or we may not use it.
///
/// # Errors
///
/// If apt fails.
pub fn install(step: &Step, packages: &[&str], reason: &str) -> Result<bool> {
    if command::find_program("apt-get").is_none() {
        return Ok(false);
    }
    let is_root = command::output(Command::new("id").arg("-u"))? == "0";
    if !is_root && command::find_program("sudo").is_none() {
        return Ok(false);
    }

    step.installing(&format!("installing Debian packages: {}", packages.join(" ")), reason);
    let apt = |arguments: &[&str]| {
        // `env` carries the setting through sudo, which clears the environment.
        let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"];
        let mut command = Command::new(if is_root { words[0] } else { "sudo" });
        command::run(command.args(if is_root { &words[1..] } else { &words[..] }).args(arguments))
    };
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"], packages].concat())?;
    Ok(true)
}

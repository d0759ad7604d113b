//! Debian packages, where there is apt and the right to use it.

use std::process::Command;

use super::Step;
use crate::command::{self, Result};

/// Has Debian's PostgreSQL make no cluster of its own when it is installed, which would then run on its usual port.
///
/// # Errors
///
/// If the setting cannot be written.
pub fn create_no_cluster() -> Result {
    const SCRIPT: &str = "test -e /etc/postgresql-common/createcluster.conf || { mkdir -p /etc/postgresql-common && \
        echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; }";
    let Some(is_root) = right()? else { return Ok(()) };
    let words = ["sudo", "sh", "-c", SCRIPT];
    let words = if is_root { &words[1..] } else { &words[..] };
    command::run(Command::new(words[0]).args(&words[1..]))
}

/// Whether we may use apt as root, or through sudo; `None` if there is none or we may not.
fn right() -> Result<Option<bool>> {
    if command::find_program("apt-get").is_none() {
        return Ok(None);
    }
    let is_root = command::output(Command::new("id").arg("-u"))? == "0";
    Ok(if is_root || command::find_program("sudo").is_some() { Some(is_root) } else { None })
}

/// Installs packages; `Ok(false)` if this machine has no apt or we may not use it.
///
/// # Errors
///
/// If apt fails.
pub fn install(step: &Step, packages: &[&str], reason: &str) -> Result<bool> {
    let Some(is_root) = right()? else { return Ok(false) };

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

//! The server secret: read from its file or from the environment, written once by `pepay init`.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use domain::signature::ServerSecret;

use super::{Config, load::PREFIX};
use crate::clock::random_bytes;

const CURRENT: &str = "PEPAY__SECRETS__CURRENT";
const PREVIOUS: &str = "PEPAY__SECRETS__PREVIOUS";

/// Variables that hold secrets, so that no list of settings ever does.
pub(super) const VARIABLES: [&str; 2] = [CURRENT, PREVIOUS];
const _: () = assert!(CURRENT.len() > PREFIX.len());

/// The server secret cannot be had. No message repeats what was found.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("secrets.file: {} cannot be read; `pepay init` writes one", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("secrets.file: {} may be read by other users (mode {mode:o}); run `chmod 600` on it", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("secrets.file: {} must hold one or two lines of 64 hex digits", path.display())]
    MalformedFile { path: PathBuf },
    #[error("the variable {0} must be 64 hex digits")]
    MalformedVariable(&'static str),
    #[error("secrets.file: {} cannot be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The current server secret, then the one before it if there is one. Variables win over the file.
///
/// # Errors
///
/// If there is no secret, or it is malformed, or others can read its file.
pub fn load(
    config: &Config,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<ServerSecret>, SecretsError> {
    let mut found = [None, None];
    for (name, text) in environment {
        let Some(index) = VARIABLES.iter().position(|variable| name == *variable) else { continue };
        let secret = text.to_str().and_then(parse).ok_or(SecretsError::MalformedVariable(VARIABLES[index]))?;
        found[index] = Some(secret);
    }
    match found {
        [Some(current), previous] => Ok([Some(current), previous].into_iter().flatten().collect()),
        [None, Some(_)] => Err(SecretsError::MalformedVariable(CURRENT)),
        [None, None] => read_file(&config.secrets.file),
    }
}

/// Writes a new random secret that only this user can read; `false` if the file is there already.
///
/// # Errors
///
/// If the file cannot be written.
pub fn create_file(path: &Path) -> Result<bool, SecretsError> {
    let failed = |source| SecretsError::Write { path: path.to_owned(), source };
    let Some(mut file) = create_private(path).map_err(failed)? else { return Ok(false) };
    writeln!(file, "{}", hex::encode(random_bytes::<32>())).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(true)
}

/// Creates a file that only this user can read; `None` if it is there already.
///
/// # Errors
///
/// If it cannot be created.
pub(crate) fn create_private(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_file(path: &Path) -> Result<Vec<ServerSecret>, SecretsError> {
    let failed = |source| SecretsError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    check_mode(&file, path)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;

    let secrets: Option<Vec<_>> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse).collect();
    match secrets {
        Some(secrets) if (1..=2).contains(&secrets.len()) => Ok(secrets),
        _ => Err(SecretsError::MalformedFile { path: path.to_owned() }),
    }
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), SecretsError> {
    let metadata = file.metadata().map_err(|source| SecretsError::Read { path: path.to_owned(), source })?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    let by_others = mode & 0o077;
    if by_others == 0 { Ok(()) } else { Err(SecretsError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_file: &File, _path: &Path) -> Result<(), SecretsError> {
    Ok(())
}

fn parse(text: &str) -> Option<ServerSecret> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
    Some(ServerSecret::from_bytes(bytes))
}

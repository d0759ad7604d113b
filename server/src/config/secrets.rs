//! The server secret and the gas-only key: read from their files or from the environment; `pepay init` writes the
//! first.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use domain::signature::ServerSecret;

use wire::Environment;

use super::{Config, load::PREFIX};
use crate::{
    clock::random_bytes,
    sweeping::{GasKey, GasKeyError},
    wallet::is_public_account,
};

const CURRENT: &str = "PEPAY__SECRETS__CURRENT";
const PREVIOUS: &str = "PEPAY__SECRETS__PREVIOUS";
const SWEEP_KEY: &str = "PEPAY__SECRETS__SWEEP_KEY";

/// Variables that hold secrets, so that no list of settings ever does.
pub(super) const VARIABLES: [&str; 3] = [CURRENT, PREVIOUS, SWEEP_KEY];
/// Those of the server secret.
const SERVER_SECRET: [&str; 2] = [CURRENT, PREVIOUS];
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
    #[error("{from}: {problem}")]
    GasKey {
        from: &'static str,
        #[source]
        problem: GasKeyError,
    },
    #[error("{0}: this is a test account whose key everybody knows")]
    PublicGasKey(&'static str),
    #[error(
        "networks: {0} has sweep_by_key, but there is no gas-only key; set secrets.sweep_key_file or PEPAY__SECRETS__SWEEP_KEY"
    )]
    NoGasKey(String),
    #[error("secrets.sweep_key_file: {} cannot be read", path.display())]
    ReadGasKey {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("secrets.sweep_key_file: {} may be read by other users (mode {mode:o}); run `chmod 600` on it", path.display())]
    ExposedGasKey { path: PathBuf, mode: u32 },
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
        let Some(index) = SERVER_SECRET.iter().position(|variable| name == *variable) else { continue };
        let secret = text.to_str().and_then(parse).ok_or(SecretsError::MalformedVariable(SERVER_SECRET[index]))?;
        found[index] = Some(secret);
    }
    match found {
        [Some(current), previous] => Ok([Some(current), previous].into_iter().flatten().collect()),
        [None, Some(_)] => Err(SecretsError::MalformedVariable(CURRENT)),
        [None, None] => read_file(&config.secrets.file),
    }
}

/// The gas-only key, if there is one. The variable wins over the file.
///
/// # Errors
///
/// If it is malformed, others can read its file, everybody knows it, or a network is to be swept with it and there is
/// none.
pub fn load_gas_key(
    config: &Config,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Option<GasKey>, SecretsError> {
    let variable = environment.into_iter().find(|(name, _)| name == SWEEP_KEY);
    let (from, text) = match (variable, &config.secrets.sweep_key_file) {
        (Some((_, text)), _) => (SWEEP_KEY, text.into_string().unwrap_or_default()),
        (None, Some(path)) => ("secrets.sweep_key_file", read_gas_key_file(path)?),
        (None, None) => {
            let wants_one = config.networks.iter().find(|network| network.sweep_by_key.is_some());
            return wants_one.map_or(Ok(None), |network| Err(SecretsError::NoGasKey(network.name.clone())));
        }
    };
    let key = GasKey::parse(&text).map_err(|problem| SecretsError::GasKey { from, problem })?;
    if config.environment == Environment::Mainnet && is_public_account(key.address()) {
        return Err(SecretsError::PublicGasKey(from));
    }
    Ok(Some(key))
}

fn read_gas_key_file(path: &Path) -> Result<String, SecretsError> {
    let failed = |source| SecretsError::ReadGasKey { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    if let Some(mode) = mode_for_others(&file).map_err(failed)? {
        return Err(SecretsError::ExposedGasKey { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
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
    if let Some(mode) = mode_for_others(&file).map_err(failed)? {
        return Err(SecretsError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;

    let secrets: Option<Vec<_>> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse).collect();
    match secrets {
        Some(secrets) if (1..=2).contains(&secrets.len()) => Ok(secrets),
        _ => Err(SecretsError::MalformedFile { path: path.to_owned() }),
    }
}

/// The file's mode, if others may read or write it.
#[cfg(unix)]
fn mode_for_others(file: &File) -> io::Result<Option<u32>> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions()) & 0o777;
    let by_others = mode & 0o077;
    Ok((by_others != 0).then_some(mode))
}

#[cfg(not(unix))]
fn mode_for_others(_file: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

fn parse(text: &str) -> Option<ServerSecret> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
    Some(ServerSecret::from_bytes(bytes))
}

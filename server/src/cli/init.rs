//! `pepay init`.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

use serde_json::json;

use super::{Answer, CliError, load_config, open_store};
use crate::{
    config::{DEFAULT_FILE, create_secret_file},
    log::LogStream,
};

/// Writes what is missing, replaces nothing, and creates the database.
pub(super) async fn init(path: &Path) -> Result<Answer, CliError> {
    let wrote_config = write_config(path)?;
    let config = load_config(path, LogStream::Stderr)?;
    let wrote_secret = create_secret_file(&config.secrets.file)?;
    let (store, writer) = open_store(&config.storage).await?;
    drop(store);
    // The writer closes the database when it ends; a panic in it is in the log.
    let _ended = writer.await;

    let secret = config.secrets.file.display().to_string();
    let line = |written, what: &str| if written { format!("wrote {what}\n") } else { format!("kept {what}\n") };
    Ok(Answer {
        text: line(wrote_config, &path.display().to_string())
            + &line(wrote_secret, &secret)
            + &format!("the database is ready: {}\n", config.storage.shown()),
        json: json!({
            "config": path.display().to_string(),
            "wrote_config": wrote_config,
            "secret": secret,
            "wrote_secret": wrote_secret,
            "database": config.storage.shown(),
        }),
    })
}

fn write_config(path: &Path) -> Result<bool, CliError> {
    let failed = |source| CliError::Write { path: path.to_owned(), source };
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(DEFAULT_FILE.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

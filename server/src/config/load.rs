//! Reading settings: the file, then the environment over it. Whatever is wrong is named by its key and
//! by where it was set.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, check, known};

/// What a variable that overrides a setting starts with; sections and keys follow, joined by `__`.
pub(super) const PREFIX: &str = "PEPAY__";

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    Variable(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration {} cannot be read; `pepay init` writes one", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the configuration {} is not TOML: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("{key}: {message} (set in {origin})")]
    Value { key: String, message: String, origin: Source },
}

impl Config {
    /// Reads the settings in `path`, lets variables such as `PEPAY__SERVER__LISTEN` override them, and
    /// checks all of it. Relative paths are taken from the folder that `path` is in.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the key at fault and where it was set.
    pub fn load(path: &Path, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::read(&text, path, environment)
    }

    /// As [`Config::load`], for text that was read from `path`.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn read(
        text: &str,
        path: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        let mut origins = Origins { file: path.to_owned(), variables: BTreeMap::new() };
        let mut table = overlay(table, environment, &mut origins)?;
        known::complete(&mut table).map_err(|problem| origins.error(&problem.key, problem.message))?;

        let mut config: Self = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let key = error.path().to_string();
            origins.error(&key, error.inner().message().to_owned())
        })?;
        check::check(&config).map_err(|problem| origins.error(&problem.key, problem.message))?;
        if let Some(folder) = path.parent() {
            config.resolve_paths(folder);
        }
        Ok(config)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        self.secrets.file = folder.join(&self.secrets.file);
        if let Some(file) = &mut self.secrets.sweep_key_file {
            *file = folder.join(&*file);
        }
        if let Some(database) = self.storage.file() {
            let resolved = folder.join(&database);
            self.storage.database_url =
                self.storage.database_url.replacen(&*database.to_string_lossy(), &resolved.to_string_lossy(), 1);
        }
    }
}

impl super::StorageConfig {
    pub fn is_sqlite(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }

    /// The database's URL as it may be shown: without the password.
    pub fn shown(&self) -> String {
        if self.is_sqlite() {
            return self.database_url.clone();
        }
        let Ok(mut url) = url::Url::parse(&self.database_url) else { return "postgres".to_owned() };
        // Both fail only where there is no user, and so no password.
        let _ = url.set_password(None);
        // A password may stand there too.
        url.set_query(None);
        url.to_string()
    }

    /// The file the database is in; `None` for one that is in memory only.
    pub fn file(&self) -> Option<PathBuf> {
        let rest = self.database_url.strip_prefix("sqlite:")?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let file = rest.split('?').next().unwrap_or_default();
        let is_in_memory = file.is_empty() || file == ":memory:" || rest.contains("mode=memory");
        (!is_in_memory).then(|| file.into())
    }

    /// Creates the database's file, if it is missing, so that only this user can read it: it holds what
    /// signs webhooks. SQLite gives the files beside it the same mode.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub(crate) fn create_file(&self) -> io::Result<()> {
        match self.file() {
            Some(file) => super::create_private(&file).map(|_existed| ()),
            None => Ok(()),
        }
    }
}

/// Where each overridden key was set; all others come from the file.
struct Origins {
    file: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Origins {
    fn error(&self, key: &str, message: String) -> ConfigError {
        let variable = self.variables.iter().find(|(overridden, _)| {
            key.strip_prefix(overridden.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        let origin = match variable {
            Some((_, name)) => Source::Variable(name.clone()),
            None => Source::File(self.file.clone()),
        };
        let key = if key == "." { "the top level".to_owned() } else { key.to_owned() };
        ConfigError::Value { key, message, origin }
    }
}

/// Puts the values of variables over those of the file.
fn overlay(
    mut table: Table,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    origins: &mut Origins,
) -> Result<Table, ConfigError> {
    for (name, text) in environment {
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if super::secrets::VARIABLES.contains(&name) {
            continue;
        }
        let key = rest.to_ascii_lowercase().replace("__", ".");
        origins.variables.insert(key.clone(), name.to_owned());
        let Some(text) = text.to_str() else {
            return Err(origins.error(&key, "is not UTF-8".to_owned()));
        };
        set(&mut table, &key, value_of(text)).map_err(|message| origins.error(&key, message))?;
    }
    Ok(table)
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let (sections, last) = key.rsplit_once('.').map_or((None, key), |(sections, last)| (Some(sections), last));
    let mut table = table;
    for section in sections.into_iter().flat_map(|sections| sections.split('.')) {
        let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        table = match entry {
            Value::Table(inner) => inner,
            _ => return Err(format!("{section} is not a section; a list is replaced as a whole")),
        };
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// What a variable says: a value as in the file, else JSON, else the text itself.
fn value_of(text: &str) -> Value {
    if let Ok(value) = text.parse::<Value>() {
        return value;
    }
    let json = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>().next();
    match json {
        Some(Ok(json @ (serde_json::Value::Array(_) | serde_json::Value::Object(_)))) => {
            Value::deserialize(json).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}

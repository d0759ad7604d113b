//! How a step of a test fails: with a sentence, and without a type for each way.

use std::{error::Error, fmt, fmt::Write as _};

/// A step's result.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a step failed. It is no [`Error`] itself, so that every error turns into it.
pub struct Failure(String);

impl Failure {
    /// A failure in words.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // Writing to a string cannot fail.
            let _infallible = write!(text, ": {error}");
            cause = error.source();
        }
        Self(text)
    }
}

//! Reading columns. A value that makes no sense names its table and column.

use std::str::FromStr;

use sqlx::{Any, Decode, Row, Type, any::AnyRow};

use super::StoreError;

/// A row of one table.
pub(super) struct Columns<'r> {
    row: &'r AnyRow,
    table: &'static str,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r AnyRow, table: &'static str) -> Self {
        Self { row, table }
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column, "(not text)")
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column, "(not text)")
    }

    pub(super) fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column, "(not an integer)")
    }

    pub(super) fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.get(column, "(not an integer)")
    }

    pub(super) fn optional_number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let number = |value: i64| T::try_from(value).map_err(|_| self.corrupt(column, value.to_string()));
        self.optional_integer(column)?.map(number).transpose()
    }

    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.integer(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(column, other.to_string())),
        }
    }

    /// An integer in a narrower type.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let value = self.integer(column)?;
        T::try_from(value).map_err(|_| self.corrupt(column, value.to_string()))
    }

    /// Text in a type of its own.
    pub(super) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        let value = self.text(column)?;
        value.parse().map_err(|_| self.corrupt(column, value))
    }

    pub(super) fn optional_parsed<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        match self.optional_text(column)? {
            Some(value) => Ok(Some(value.parse().map_err(|_| self.corrupt(column, value))?)),
            None => Ok(None),
        }
    }

    /// The error for a value that makes no sense; do not show secrets in it.
    pub(super) fn corrupt(&self, column: &'static str, value: impl Into<String>) -> StoreError {
        StoreError::Corrupt { table: self.table, column, value: value.into() }
    }

    fn get<T>(&self, column: &'static str, otherwise: &str) -> Result<T, StoreError>
    where
        T: for<'d> Decode<'d, Any> + Type<Any>,
    {
        self.row.try_get(column).map_err(|error| match error {
            sqlx::Error::ColumnDecode { .. } => self.corrupt(column, otherwise),
            error => StoreError::Database(error),
        })
    }
}

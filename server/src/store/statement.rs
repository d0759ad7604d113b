//! Queries whose text depends on what was asked for.

use sqlx::{Any, AssertSqlSafe, any::AnyArguments, query::Query};

/// A query whose conditions depend on what was asked. Its text is made of constants and the numbers of
/// its parameters only.
pub(super) struct Statement {
    text: String,
    pub(super) values: Vec<Value>,
}

pub(super) enum Value {
    Integer(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl Statement {
    pub(super) fn of(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// Adds text.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds the next parameter, and its number to the text.
    pub(super) fn bind(&mut self, value: impl Into<Value>) {
        self.values.push(value.into());
        let number = self.values.len();
        self.push(&format!("${number}"));
    }

    /// Adds a list of parameters, in parentheses.
    pub(super) fn bind_list(&mut self, values: impl Iterator<Item = impl Into<Value>>) {
        for (index, value) in values.enumerate() {
            self.push(if index == 0 { "(" } else { ", " });
            self.bind(value);
        }
        self.push(")");
    }

    /// Adds how many rows are wanted at most.
    ///
    /// SQLite plans a query anew each time it is used if its limit is nothing but a parameter (`sqlite3ExprIsInteger`
    /// asks what is bound to it). So every limit of ours is a sum, here and where the text is fixed.
    pub(super) fn limit(&mut self, rows: i64) {
        self.push(" LIMIT ");
        self.bind(rows);
        self.push(" + 0");
    }

    /// Asks how the query would be done instead.
    #[cfg(test)]
    pub(super) fn explain(&mut self) {
        self.text.insert_str(0, "EXPLAIN QUERY PLAN ");
    }

    pub(super) fn query(&self) -> Query<'_, Any, AnyArguments> {
        let mut query = sqlx::query(AssertSqlSafe(self.text.as_str()));
        for value in &self.values {
            query = match value {
                Value::Integer(value) => query.bind(*value),
                Value::Text(value) => query.bind(value),
            };
        }
        query
    }
}

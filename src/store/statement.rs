//! Statements: static SQL text that is registered under a name.
//!
//! One text serves both databases. It is written with `$1…$n` for PostgreSQL; SQLite numbers `$n` by first
//! appearance instead of by digit, so the text is rewritten to `?n` once. Each file of `store/` lists its
//! statements with [`statements!`]; [`super::STATEMENTS`] lists the files, and one test prepares every statement on
//! both databases.

use std::sync::OnceLock;

/// One SQL statement.
#[derive(Debug)]
pub struct Statement {
    /// Its name, for error messages and tests: `module::NAME`.
    pub name: &'static str,
    /// The text, with `$1…$n`.
    pub text: &'static str,
    sqlite: OnceLock<String>,
}

impl Statement {
    /// Registers a text under a name. Called by [`statements!`] only.
    pub const fn new(name: &'static str, text: &'static str) -> Statement {
        Statement {
            name,
            text,
            sqlite: OnceLock::new(),
        }
    }

    /// The text for SQLite: `?1…?n`.
    pub fn sqlite(&self) -> &str {
        self.sqlite.get_or_init(|| self.text.replace('$', "?"))
    }

    /// The number of parameters in the text.
    pub fn parameter_count(&self) -> usize {
        self.text
            .split('$')
            .skip(1)
            .filter_map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<usize>().ok()
            })
            .max()
            .unwrap_or(0)
    }
}

/// Declares the statements of a file and their list.
macro_rules! statements {
    ($($(#[$meta:meta])* $name:ident = $text:expr;)+) => {
        $($(#[$meta])* static $name: $crate::store::statement::Statement =
            $crate::store::statement::Statement::new(
                concat!(module_path!(), "::", stringify!($name)), $text);)+
        /// The statements of this file.
        pub(super) static STATEMENTS: &[&$crate::store::statement::Statement] = &[$(&$name),+];
    };
}
pub(crate) use statements;

/// One bound parameter. A missing value keeps its type, because PostgreSQL refuses a text NULL where it expects a
/// BIGINT.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// TEXT.
    Text(Option<&'a str>),
    /// BIGINT.
    Int(Option<i64>),
    /// BYTEA / BLOB.
    Bytes(Option<&'a [u8]>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(Some(text))
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Value::Text(text.as_deref())
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Value::Int(number)
    }
}

impl From<crate::moment::Moment> for Value<'_> {
    fn from(at: crate::moment::Moment) -> Self {
        Value::Int(Some(at.millis()))
    }
}

impl From<Option<crate::moment::Moment>> for Value<'_> {
    fn from(at: Option<crate::moment::Moment>) -> Self {
        Value::Int(at.map(crate::moment::Moment::millis))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Bytes(Some(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Value::Bytes(Some(bytes))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        Value::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Value::Bytes(Some(bytes))
    }
}

/// Binds parameters in order: `bind![id, at]`.
macro_rules! bind {
    ($($value:expr),* $(,)?) => { &[$($crate::store::statement::Value::from($value)),*] };
}
pub(crate) use bind;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_numbers_parameters_by_digit_not_by_appearance() {
        static OUT_OF_ORDER: Statement = Statement::new("t", "UPDATE t SET a = $2 WHERE b = $1");
        assert_eq!(OUT_OF_ORDER.sqlite(), "UPDATE t SET a = ?2 WHERE b = ?1");
        assert_eq!(OUT_OF_ORDER.parameter_count(), 2);
    }
}

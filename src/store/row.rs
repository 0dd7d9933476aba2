//! Rows: one way to read a column of both databases.
//!
//! A record reads its columns in the order of the statement's SELECT list. Only TEXT, BIGINT and BYTEA/BLOB are
//! used, so three Rust types and their options are enough.

use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vestibule_protocol::words::UnknownWord;

use super::fault;
use crate::changes;
use crate::moment::Moment;
use crate::refusal::Fault;

/// A row of either database, read from left to right.
pub enum Row<'r> {
    /// A row of SQLite.
    Sqlite(&'r rusqlite::Row<'r>, usize),
    /// A row of PostgreSQL.
    Postgres(&'r tokio_postgres::Row, usize),
}

impl Row<'_> {
    /// The next column.
    ///
    /// # Faults
    /// The column is missing or has another type than the record expects.
    pub fn next<T: Column>(&mut self) -> Result<T, Fault> {
        match self {
            Row::Sqlite(row, at) => {
                *at += 1;
                T::from_sqlite(row, *at - 1)
                    .map_err(|error| fault::sqlite("reading a column", error))
            }
            Row::Postgres(row, at) => {
                *at += 1;
                T::from_postgres(row, *at - 1)
                    .map_err(|error| fault::postgres("reading a column", error))
            }
        }
    }

    /// The next column, which contains JSON.
    ///
    /// # Faults
    /// The text is not the JSON of a `T`.
    pub fn next_json<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let text: String = self.next()?;
        serde_json::from_str(&text).map_err(|error| Fault::new("reading a JSON column", error))
    }

    /// The next column, holding the settings of `owner` as JSON.
    ///
    /// # Faults
    /// A setting has a value that this version does not know; the fault names `owner` and the setting.
    pub fn next_settings<T>(&mut self, owner: &str) -> Result<T, Fault>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let text: String = self.next()?;
        serde_json::from_str(&text).map_err(|error| {
            let map = serde_json::from_str::<Map<String, Value>>(&text);
            let known = serde_json::to_value(T::default()).unwrap_or_default();
            let invalid = map.map(|mut map| {
                map.retain(|name, _| known.get(name).is_some());
                changes::apply(&T::default(), &map).err()
            });
            let reason = match invalid {
                Ok(Some(invalid)) => invalid.to_string(),
                _ => error.to_string(),
            };
            Fault::described("reading settings", format!("{owner}: {reason}"))
        })
    }

    /// The next column, holding a word.
    ///
    /// # Faults
    /// The word is one that this version does not know; the fault names the column and the known words.
    pub fn next_word<T: FromStr<Err = UnknownWord>>(
        &mut self,
        column: &'static str,
    ) -> Result<T, Fault> {
        self.next::<String>()?
            .parse()
            .map_err(|error| Fault::described("reading a row", format!("{column}: {error}")))
    }
}

/// A type that is read from a statement's row.
pub trait Record: Sized {
    /// Reads the columns in the order of the SELECT list.
    ///
    /// # Faults
    /// A column does not have the expected type.
    fn read(row: &mut Row<'_>) -> Result<Self, Fault>;
}

/// The rows of a list of which some may be unreadable: damaged, or with a value that only a newer version knows.
#[derive(Debug)]
pub struct Readable<T> {
    /// The rows that could be read.
    pub rows: Vec<T>,
    /// Why each of the others could not; the text names its object.
    pub unreadable: Vec<Fault>,
}

/// A row, or why it could not be read.
pub(super) struct Tried<T>(Result<T, Fault>);

impl<T: Record> Record for Tried<T> {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Tried(T::read(row)))
    }
}

impl<T> FromIterator<Tried<T>> for Readable<T> {
    fn from_iter<I: IntoIterator<Item = Tried<T>>>(tried: I) -> Self {
        let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
        for Tried(row) in tried {
            match row {
                Ok(row) => rows.push(row),
                Err(fault) => unreadable.push(fault),
            }
        }
        Readable { rows, unreadable }
    }
}

/// A single column as a record.
impl<T: Column> Record for T {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        row.next()
    }
}

/// A Rust type of a column.
pub trait Column: Sized {
    /// Reads the column of an SQLite row.
    ///
    /// # Errors
    /// The column has another type.
    fn from_sqlite(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Self>;
    /// Reads the column of a PostgreSQL row.
    ///
    /// # Errors
    /// The column has another type.
    fn from_postgres(
        row: &tokio_postgres::Row,
        index: usize,
    ) -> Result<Self, tokio_postgres::Error>;
}

macro_rules! column {
    ($($type:ty),+) => {$(
        impl Column for $type {
            fn from_sqlite(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Self> {
                row.get(index)
            }
            fn from_postgres(
                row: &tokio_postgres::Row,
                index: usize,
            ) -> Result<Self, tokio_postgres::Error> {
                row.try_get(index)
            }
        }
    )+};
}
column!(
    String,
    Option<String>,
    i64,
    Option<i64>,
    Vec<u8>,
    Option<Vec<u8>>
);

impl Column for Moment {
    fn from_sqlite(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Self> {
        row.get(index).map(Moment::from_millis)
    }

    fn from_postgres(
        row: &tokio_postgres::Row,
        index: usize,
    ) -> Result<Self, tokio_postgres::Error> {
        row.try_get(index).map(Moment::from_millis)
    }
}

impl Column for Option<Moment> {
    fn from_sqlite(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Self> {
        row.get::<_, Option<i64>>(index)
            .map(|at| at.map(Moment::from_millis))
    }

    fn from_postgres(
        row: &tokio_postgres::Row,
        index: usize,
    ) -> Result<Self, tokio_postgres::Error> {
        row.try_get::<_, Option<i64>>(index)
            .map(|at| at.map(Moment::from_millis))
    }
}

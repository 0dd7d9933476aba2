//! The whole difference between the two databases.
//!
//! Statements need none of it: they are one text. Migrations are written for PostgreSQL and two
//! words of them are read differently by SQLite.

use super::statement::Statement;
use super::{Backend, fault};
use crate::refusal::Fault;

/// A migration's text as SQLite reads it: BYTEA is BLOB, and a table marked `/* clustered */`
/// (a random primary key and no other way in) is kept in its key's own tree.
pub fn sqlite_migration(text: &str) -> String {
    text.replace(" BYTEA", " BLOB")
        .replace("/* clustered */", "WITHOUT ROWID")
}

/// Prepares a statement and compares the number of its parameters.
pub(super) async fn check(backend: &Backend, statement: &'static Statement) -> Result<(), Fault> {
    let expected = statement.parameter_count();
    let found = match backend {
        Backend::Sqlite(database) => database.read(&(), |transaction, _: &()| {
            let super::Transaction::Sqlite(connection) = transaction else {
                unreachable!("SQLite reads on an SQLite connection")
            };
            let count = connection
                .prepare(statement.sqlite())
                .map(|prepared| prepared.parameter_count())
                .map_err(|error| fault::sqlite(statement.name, error));
            Box::pin(async move { count })
        })?,
        Backend::Postgres(database) => {
            let client = database.client().await?;
            let prepared = client.prepare(statement.text).await;
            prepared
                .map_err(|error| fault::postgres(statement.name, error))?
                .params()
                .len()
        }
    };
    if found == expected {
        return Ok(());
    }
    Err(Fault::described(
        statement.name,
        format!("{expected} parameters named, {found} found"),
    ))
}

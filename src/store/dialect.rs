//! The differences between the two databases.
//!
//! Statements have one text for both. Migrations are written for PostgreSQL, and two words in them are replaced for
//! SQLite.

use super::statement::Statement;
use super::{Backend, Connected, fault};
use crate::refusal::Fault;

/// The text of a migration for SQLite: BYTEA becomes BLOB, and a table marked `/* clustered */` (with a random
/// primary key and no other index) is stored in the tree of its key.
pub fn sqlite_migration(text: &str) -> String {
    text.replace(" BYTEA", " BLOB")
        .replace("/* clustered */", "WITHOUT ROWID")
}

/// Prepares a statement and compares the number of its parameters.
pub(super) async fn check(backend: &Backend, statement: &'static Statement) -> Result<(), Fault> {
    let expected = statement.parameter_count();
    let found = match backend {
        Backend::Sqlite(database) => database.read(&(), |transaction, _: &()| {
            let Connected::Sqlite(connection) = &transaction.connection else {
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

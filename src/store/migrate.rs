//! Migrations: numbered, embedded, checksummed.
//!
//! Each runs once, in a transaction of its own, and its checksum is stored. A text that changed after it was
//! applied, or a number that this binary does not know, stops the server before it can do damage. A change of a
//! table's shape takes three releases: expand, migrate, contract.

use super::sqlite::Sqlite;
use super::{Backend, Connected, Transaction, Write, dialect, fault};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::sha256;

/// One step of the schema.
#[derive(Debug)]
pub struct Migration {
    /// Its position in the order, from 1.
    pub number: i64,
    /// Its description.
    pub name: &'static str,
    /// Its text, for PostgreSQL.
    pub text: &'static str,
}

/// A migration and whether it was applied.
#[derive(Debug)]
pub struct MigrationState {
    /// The migration.
    pub migration: &'static Migration,
    /// When it was applied; `None` if it was not.
    pub applied_at: Option<Moment>,
}

/// The schema, step by step.
static MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "headless registration",
        text: include_str!("migrations/0001_headless_registration.sql"),
    },
    Migration {
        number: 2,
        name: "every headless flow",
        text: include_str!("migrations/0002_every_headless_flow.sql"),
    },
    Migration {
        number: 3,
        name: "captcha and text messages",
        text: include_str!("migrations/0003_captcha_and_sms.sql"),
    },
    Migration {
        number: 4,
        name: "token families",
        text: include_str!("migrations/0004_token_families.sql"),
    },
    Migration {
        number: 5,
        name: "templates",
        text: include_str!("migrations/0005_templates.sql"),
    },
    Migration {
        number: 6,
        name: "tallies",
        text: include_str!("migrations/0006_tallies.sql"),
    },
    Migration {
        number: 7,
        name: "challenges by target",
        text: include_str!("migrations/0007_challenges_by_target.sql"),
    },
    Migration {
        number: 8,
        name: "indexes for sweeps",
        text: include_str!("migrations/0008_mends.sql"),
    },
    Migration {
        number: 9,
        name: "handlers and discovery",
        text: include_str!("migrations/0009_handlers_and_discovery.sql"),
    },
    Migration {
        number: 10,
        name: "the life of signing keys",
        text: include_str!("migrations/0010_key_life.sql"),
    },
    Migration {
        number: 11,
        name: "first-party apps",
        text: include_str!("migrations/0011_first_party_apps.sql"),
    },
    Migration {
        number: 12,
        name: "requesters of codes",
        text: include_str!("migrations/0012_requesters_of_codes.sql"),
    },
    Migration {
        number: 13,
        name: "bounded audit log",
        text: include_str!("migrations/0013_bounded_audit.sql"),
    },
];

const MAKE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";
const LIST_APPLIED: &str =
    "SELECT number, checksum, applied_at FROM schema_migration ORDER BY number";
const NOTE_APPLIED: &str =
    "INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)";

/// Any number works, as long as every node uses the same one.
const ADVISORY_LOCK: &str = "SELECT pg_advisory_xact_lock(8646911284551352321)";

/// See [`super::Store::migrations`].
pub(super) async fn status(backend: &Backend) -> Result<Vec<MigrationState>, Fault> {
    let applied = match backend {
        Backend::Sqlite(database) => applied_on_sqlite(database)?,
        Backend::Postgres(database) => {
            let client = database.client().await?;
            let exists = client
                .query_opt(
                    "SELECT 1 FROM pg_tables WHERE tablename = 'schema_migration'",
                    &[],
                )
                .await
                .map_err(|error| fault::postgres("looking for migrations", error))?;
            match exists {
                None => Vec::new(),
                Some(_) => client
                    .query(LIST_APPLIED, &[])
                    .await
                    .map_err(|error| fault::postgres("listing migrations", error))?
                    .iter()
                    .map(|row| (row.get(0), row.get(1), row.get(2)))
                    .collect(),
            }
        }
    };
    compare(&applied)
}

/// See [`super::Store::migrate`].
pub(super) async fn up(backend: &Backend, at: Moment) -> Result<Vec<&'static str>, Fault> {
    let waiting: Vec<&'static Migration> = status(backend)
        .await?
        .into_iter()
        .filter(|state| state.applied_at.is_none())
        .map(|state| state.migration)
        .collect();
    let mut names = Vec::new();
    for migration in waiting {
        let is_new = match backend {
            Backend::Sqlite(database) => up_on_sqlite(database, migration, at).await?,
            Backend::Postgres(database) => {
                let mut client = database.client().await?;
                up_on_postgres(&mut client, migration, at)
                    .await
                    .map_err(|error| fault::postgres(migration.name, error))?
            }
        };
        names.extend(is_new.then_some(migration.name));
    }
    Ok(names)
}

fn compare(applied: &[(i64, String, i64)]) -> Result<Vec<MigrationState>, Fault> {
    let refuse = |detail| Err(Fault::described("comparing the schema", detail));
    for (number, checksum, _) in applied {
        match MIGRATIONS
            .iter()
            .find(|migration| migration.number == *number)
        {
            None => {
                return refuse(format!(
                    "the database has migration {number}, which this binary does not know: \
                     it was made by a newer version"
                ));
            }
            Some(migration) if checksum_of(migration) != *checksum => {
                return refuse(format!("migration {number} was applied with another text"));
            }
            Some(_) => {}
        }
    }
    Ok(MIGRATIONS
        .iter()
        .map(|migration| MigrationState {
            migration,
            applied_at: applied
                .iter()
                .find(|(number, ..)| *number == migration.number)
                .map(|(.., at)| Moment::from_millis(*at)),
        })
        .collect())
}

fn checksum_of(migration: &Migration) -> String {
    sha256(migration.text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn applied_on_sqlite(database: &Sqlite) -> Result<Vec<(i64, String, i64)>, Fault> {
    database.read(&(), |transaction, _: &()| {
        let listed =
            list_on_sqlite(transaction).map_err(|error| fault::sqlite("listing migrations", error));
        Box::pin(async move { listed })
    })
}

fn list_on_sqlite(transaction: &mut Transaction<'_>) -> rusqlite::Result<Vec<(i64, String, i64)>> {
    let connection = sqlite_connection(transaction);
    // A statement, and not `table_exists`: that method answers from the schema that the connection has cached,
    // which may date from before the first migration.
    let exists = connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'")?
        .exists([])?;
    if !exists {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(LIST_APPLIED)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// True when this call applied it; false when another process was faster.
async fn up_on_sqlite(
    database: &Sqlite,
    migration: &'static Migration,
    at: Moment,
) -> Result<bool, Fault> {
    let body = |transaction: &mut Transaction<'_>, input: &(&'static Migration, Moment)| {
        let (migration, at) = *input;
        let connection = sqlite_connection(transaction);
        connection.execute_batch(MAKE_TABLE)?;
        let row = (
            migration.number,
            migration.name,
            checksum_of(migration),
            at.millis(),
        );
        let note = format!("{} ON CONFLICT DO NOTHING", NOTE_APPLIED.replace('$', "?"));
        if connection.execute(&note, row)? == 0 {
            return Ok(false);
        }
        connection.execute_batch(&dialect::sqlite_migration(migration.text))?;
        Ok(true)
    };
    let write = Write::new(
        (migration, at),
        |_| true,
        move |transaction, input| {
            let outcome = body(transaction, input)
                .map_err(|error: rusqlite::Error| fault::sqlite("migrating", error));
            Box::pin(async move { outcome })
        },
    );
    database.write(write).await
}

async fn up_on_postgres(
    client: &mut deadpool_postgres::Object,
    migration: &'static Migration,
    at: Moment,
) -> Result<bool, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    // Two nodes that start together must not both create the tables.
    transaction.execute(ADVISORY_LOCK, &[]).await?;
    transaction.batch_execute(MAKE_TABLE).await?;
    let note = format!("{NOTE_APPLIED} ON CONFLICT DO NOTHING");
    let checksum = checksum_of(migration);
    let count = transaction
        .execute(
            &note,
            &[&migration.number, &migration.name, &checksum, &at.millis()],
        )
        .await?;
    if count == 1 {
        transaction.batch_execute(migration.text).await?;
    }
    transaction.commit().await?;
    Ok(count == 1)
}

fn sqlite_connection<'t>(transaction: &'t mut Transaction<'_>) -> &'t mut rusqlite::Connection {
    match &mut transaction.connection {
        Connected::Sqlite(connection) => connection,
        _ => unreachable!("an SQLite database hands out SQLite transactions"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_in_order() {
        let numbers: Vec<i64> = MIGRATIONS.iter().map(|m| m.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert_eq!(numbers[0], 1);
    }

    #[test]
    fn a_changed_or_unknown_migration_is_refused() {
        let good = (1, checksum_of(&MIGRATIONS[0]), 5);
        assert!(compare(std::slice::from_ref(&good)).is_ok());
        assert!(compare(&[(1, "other".into(), 5)]).is_err());
        assert!(compare(&[good, (99, "newer".into(), 5)]).is_err());
    }
}

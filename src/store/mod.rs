//! The store: all SQL and nothing else.
//!
//! One SQL text serves two databases. [`Store::write`] and [`Store::read`] are the only entry points; each call has
//! a name that is its trace span and its log field, and for a write also its metric. A body may run twice (after a
//! conflict), so it has no effect but SQL, and nothing remote is awaited inside it. A refusal that must persist,
//! such as a spent attempt, is a value that the body returns; only a fault rolls back.
//!
//! Column types are TEXT, BIGINT and BYTEA/BLOB; time is always a bind in epoch milliseconds; flags are nullable
//! instants or 0/1; bags are JSON in TEXT. The differences between the databases are in `dialect.rs`.

mod administration;
mod dialect;
mod fault;
mod migrate;
mod postgres;
mod postgres_url;
mod row;
mod sqlite;
mod statement;

pub mod account;
pub mod audit;
pub mod auth_session;
pub mod captcha_token;
pub mod challenge;
pub mod client;
pub mod code;
pub mod credential;
pub mod erasure;
pub mod external_identifier;
pub mod family;
pub mod handler;
pub mod handler_call;
pub mod installation;
pub mod known_network;
pub mod login;
pub mod outbox;
pub mod profile;
pub mod proof;
pub mod restore;
pub mod signing_key;
pub mod site;
pub mod sms_count;
pub mod sweep;
pub mod tally;
pub mod template;
pub mod token;
pub mod turn;
pub mod user;
pub mod user_attribute;
mod user_row;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::{Instrument, debug_span};
use vestibule_protocol::words;

use crate::metrics::Metrics;
use crate::moment::Stopwatch;
use crate::refusal::Fault;
pub use administration::{Act, AdminBody, AdminTransaction, Change, ChangeFailure};
pub use migrate::{Migration, MigrationState};
pub use postgres_url::{PostgresUrl, TlsMode, TlsOptions, with_tls};
pub use row::Readable;
use row::{Record, Tried};
use statement::{Statement, Value};

/// The future that a body returns.
pub type BodyFuture<'x, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'x>>;

/// The input of a write, which may go to another thread.
pub trait WriteInput: Send + Sync + 'static {}

impl<I: Send + Sync + 'static> WriteInput for I {}

/// The result of a write, which may come from another thread.
pub trait WriteResult: Send + 'static {}

impl<T: Send + 'static> WriteResult for T {}

/// One write.
struct Write<I, T, F> {
    input: I,
    /// Whether a result is to be kept; with any other result everything is rolled back.
    is_kept: fn(&T) -> bool,
    body: F,
}

impl<I: WriteInput, T: WriteResult, F: TransactionBody<I, T>> Write<I, T, F> {
    fn new(input: I, is_kept: fn(&T) -> bool, body: F) -> Self {
        Write {
            input,
            is_kept,
            body,
        }
    }
}

/// A body: SQL over an open transaction and one input.
///
/// It is `Fn`, not `FnOnce`, because a conflict makes it run again.
pub trait TransactionBody<I, T>:
    for<'x, 'c> Fn(&'x mut Transaction<'c>, &'x I) -> BodyFuture<'x, T> + Send + Sync + 'static
{
}

impl<I, T, F> TransactionBody<I, T> for F where
    F: for<'x, 'c> Fn(&'x mut Transaction<'c>, &'x I) -> BodyFuture<'x, T> + Send + Sync + 'static
{
}

words! {
    /// What SQLite waits for in a commit.
    pub enum Synchronous {
        /// Every commit survives a power failure.
        Full = "full",
        /// A power failure may undo the last commits; a crash of the process does not.
        Normal = "normal",
    }
}

impl Synchronous {
    /// The value of SQLite's `synchronous` pragma.
    pub fn pragma(self) -> &'static str {
        match self {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        }
    }
}

/// The location of the database.
#[derive(Clone, Debug)]
pub enum Location {
    /// `sqlite:PATH`.
    Sqlite(PathBuf, Synchronous),
    /// `postgres://…`, which may contain a password and is therefore never printed.
    Postgres(vestibule_protocol::secret::Secret, usize),
}

/// An open database.
pub struct Store {
    backend: Backend,
    metrics: Arc<Metrics>,
    /// Signals each commit that queued a message.
    outbox_wake: Arc<Notify>,
}

enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// The connection on which a body runs its statements, and what its commit must signal.
pub struct Transaction<'c> {
    connection: Connected<'c>,
    /// Whether a message was queued: then the commit wakes the outbox.
    has_queued: bool,
}

/// The connection below a transaction.
enum Connected<'c> {
    /// SQLite: a savepoint of the writer, or a connection for reading.
    Sqlite(&'c mut rusqlite::Connection),
    /// PostgreSQL: a transaction.
    Postgres(deadpool_postgres::Transaction<'c>),
    /// PostgreSQL: a connection for reading.
    PostgresRead(deadpool_postgres::Object),
}

impl Store {
    /// Opens the database; a missing SQLite file is created. The schema is not changed.
    ///
    /// # Faults
    /// The directory does not exist, the file is not a database, or the URL is invalid.
    pub fn open(location: &Location, metrics: Arc<Metrics>) -> Result<Store, Fault> {
        let outbox_wake = Arc::new(Notify::new());
        let wake = Arc::clone(&outbox_wake);
        let backend = match location {
            Location::Sqlite(path, synchronous) => {
                Backend::Sqlite(sqlite::Sqlite::open(path, *synchronous, wake)?)
            }
            Location::Postgres(url, connections) => {
                Backend::Postgres(postgres::Postgres::open(url.expose(), *connections, wake)?)
            }
        };
        Ok(Store {
            backend,
            metrics,
            outbox_wake,
        })
    }

    /// Changes the database: all changes of the body are kept, or none.
    ///
    /// # Faults
    /// Of the body, of the commit, or the database is unreachable.
    pub async fn write<I: WriteInput, T: WriteResult>(
        &self,
        name: &'static str,
        input: I,
        body: impl TransactionBody<I, T>,
    ) -> Result<T, Fault> {
        self.write_if(name, Write::new(input, |_| true, body)).await
    }

    async fn write_if<I: WriteInput, T: WriteResult>(
        &self,
        name: &'static str,
        write: Write<I, T, impl TransactionBody<I, T>>,
    ) -> Result<T, Fault> {
        let stopwatch = Stopwatch::start();
        let written = async {
            match &self.backend {
                Backend::Sqlite(database) => database.write(write).await,
                Backend::Postgres(database) => database.write(write).await,
            }
        };
        let outcome = written.instrument(debug_span!("write", name)).await;
        self.metrics
            .write_done(name, stopwatch.seconds(), outcome.is_ok());
        outcome.map_err(|fault| fault.during(name))
    }

    /// Reads data. A read that needs one snapshot must be one statement.
    ///
    /// # Faults
    /// Of the body, or the database is unreachable.
    pub async fn read<I: Sync, T>(
        &self,
        name: &'static str,
        input: &I,
        body: impl TransactionBody<I, T>,
    ) -> Result<T, Fault> {
        let read = async {
            match &self.backend {
                Backend::Sqlite(database) => database.read(input, body),
                Backend::Postgres(database) => database.read(input, body).await,
            }
        };
        let outcome = read.instrument(debug_span!("read", name)).await;
        outcome.map_err(|fault| fault.during(name))
    }

    /// Waits for a commit of this process that queued a message. Commits that no task waits for count as
    /// one, and the next call returns at once.
    pub async fn message_queued(&self) {
        self.outbox_wake.notified().await;
    }

    /// Whether the database is embedded, so that this server is its only one.
    pub fn is_embedded(&self) -> bool {
        matches!(self.backend, Backend::Sqlite(_))
    }

    /// The migrations of this binary and which of them were applied.
    ///
    /// # Faults
    /// The database was changed by a newer binary, or a migration differs from the one applied.
    pub async fn migrations(&self) -> Result<Vec<MigrationState>, Fault> {
        migrate::status(&self.backend).await
    }

    /// Applies the missing migrations, each in a transaction of its own, and returns their names.
    ///
    /// # Faults
    /// As for [`Store::migrations`], or a statement failed; then that migration left no changes.
    pub async fn migrate(&self, at: crate::moment::Moment) -> Result<Vec<&'static str>, Fault> {
        migrate::up(&self.backend, at).await
    }

    /// Writes a consistent copy of an SQLite database into a new file while the server runs.
    ///
    /// # Faults
    /// The database is PostgreSQL (which has its own backup tools), or the file cannot be written.
    pub fn backup(&self, path: &Path) -> Result<(), Fault> {
        match &self.backend {
            Backend::Sqlite(database) => database.backup(path),
            Backend::Postgres(_) => Err(Fault::described(
                "backing up",
                "this installation is on PostgreSQL: use pg_dump or pg_basebackup".into(),
            )),
        }
    }

    /// Checks that an SQLite file is whole. PostgreSQL has checksums of its own.
    ///
    /// # Faults
    /// The file is damaged or cannot be read.
    pub fn check_integrity(&self) -> Result<(), Fault> {
        match &self.backend {
            Backend::Sqlite(database) => database.check_integrity(),
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// Prepares every statement of every file and returns their number.
    ///
    /// # Faults
    /// A statement does not parse against the schema.
    pub async fn prepare_all(&self) -> Result<usize, Fault> {
        let statements = STATEMENTS.iter().flat_map(|file| file.iter());
        let mut count = 0;
        for statement in statements {
            dialect::check(&self.backend, statement).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl<'c> Transaction<'c> {
    fn on(connection: Connected<'c>) -> Transaction<'c> {
        Transaction {
            connection,
            has_queued: false,
        }
    }

    /// Makes the commit of this transaction wake the outbox.
    fn note_queued(&mut self) {
        self.has_queued = true;
    }

    /// Whether the database has one writer, so that every write has its turn already.
    fn is_only_writer(&self) -> bool {
        matches!(self.connection, Connected::Sqlite(_))
    }

    /// Runs a statement and returns the number of changed rows.
    ///
    /// # Faults
    /// The statement failed.
    pub async fn execute(
        &mut self,
        statement: &'static Statement,
        values: &[Value<'_>],
    ) -> Result<u64, Fault> {
        match &mut self.connection {
            Connected::Sqlite(connection) => sqlite::execute(connection, statement, values),
            Connected::Postgres(transaction) => {
                postgres::execute(transaction, statement, values).await
            }
            Connected::PostgresRead(client) => postgres::execute(client, statement, values).await,
        }
    }

    /// The first row, if any.
    ///
    /// # Faults
    /// The statement failed, or the row is not a `T`.
    pub async fn find<T: Record>(
        &mut self,
        statement: &'static Statement,
        values: &[Value<'_>],
    ) -> Result<Option<T>, Fault> {
        Ok(self.rows(statement, values, 1).await?.pop())
    }

    /// All rows.
    ///
    /// # Faults
    /// The statement failed, or a row is not a `T`.
    pub async fn list<T: Record>(
        &mut self,
        statement: &'static Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, Fault> {
        self.rows(statement, values, usize::MAX).await
    }

    /// All rows that can be read, and why the others cannot.
    ///
    /// # Faults
    /// The statement failed.
    pub async fn list_readable<T: Record>(
        &mut self,
        statement: &'static Statement,
        values: &[Value<'_>],
    ) -> Result<Readable<T>, Fault> {
        let tried: Vec<Tried<T>> = self.list(statement, values).await?;
        Ok(tried.into_iter().collect())
    }

    /// Runs statements of a test, for states that no statement of the server makes.
    ///
    /// # Faults
    /// A statement failed.
    #[doc(hidden)]
    pub async fn execute_text(&mut self, statements: &str) -> Result<(), Fault> {
        const CONTEXT: &str = "running the statements of a test";
        match &mut self.connection {
            Connected::Sqlite(connection) => connection
                .execute_batch(statements)
                .map_err(|error| fault::sqlite(CONTEXT, error)),
            Connected::Postgres(transaction) => transaction
                .batch_execute(statements)
                .await
                .map_err(|error| fault::postgres(CONTEXT, error)),
            Connected::PostgresRead(client) => client
                .batch_execute(statements)
                .await
                .map_err(|error| fault::postgres(CONTEXT, error)),
        }
    }

    /// The one number that a query of a test answers.
    ///
    /// # Faults
    /// The query failed, or its answer is no number.
    #[doc(hidden)]
    pub async fn number(&mut self, query: &str) -> Result<i64, Fault> {
        const CONTEXT: &str = "running the query of a test";
        let answered = match &mut self.connection {
            Connected::Sqlite(connection) => {
                return connection
                    .query_row(query, [], |row| row.get(0))
                    .map_err(|error| fault::sqlite(CONTEXT, error));
            }
            Connected::Postgres(transaction) => transaction.query_one(query, &[]).await,
            Connected::PostgresRead(client) => client.query_one(query, &[]).await,
        };
        answered
            .and_then(|row| row.try_get(0))
            .map_err(|error| fault::postgres(CONTEXT, error))
    }

    async fn rows<T: Record>(
        &mut self,
        statement: &'static Statement,
        values: &[Value<'_>],
        limit: usize,
    ) -> Result<Vec<T>, Fault> {
        match &mut self.connection {
            Connected::Sqlite(connection) => sqlite::query(connection, statement, values, limit),
            Connected::Postgres(transaction) => {
                postgres::query(transaction, statement, values, limit).await
            }
            Connected::PostgresRead(client) => {
                postgres::query(client, statement, values, limit).await
            }
        }
    }
}

/// The statements of every file; `prepare_all` prepares them on both databases.
static STATEMENTS: &[&[&Statement]] = &[
    account::STATEMENTS,
    audit::STATEMENTS,
    auth_session::STATEMENTS,
    captcha_token::STATEMENTS,
    challenge::STATEMENTS,
    client::STATEMENTS,
    code::STATEMENTS,
    credential::STATEMENTS,
    erasure::STATEMENTS,
    external_identifier::STATEMENTS,
    family::STATEMENTS,
    handler::STATEMENTS,
    handler_call::STATEMENTS,
    installation::STATEMENTS,
    known_network::STATEMENTS,
    login::STATEMENTS,
    outbox::STATEMENTS,
    profile::STATEMENTS,
    proof::STATEMENTS,
    restore::STATEMENTS,
    signing_key::STATEMENTS,
    site::STATEMENTS,
    sms_count::STATEMENTS,
    sweep::STATEMENTS,
    tally::STATEMENTS,
    template::STATEMENTS,
    token::STATEMENTS,
    turn::STATEMENTS,
    user::STATEMENTS,
    user_attribute::STATEMENTS,
];

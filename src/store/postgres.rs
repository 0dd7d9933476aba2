//! PostgreSQL: pooled connections, prepared statements, retried conflicts.
//!
//! Only features that wire-compatible distributed databases have: no advisory locks outside migrations, no LISTEN,
//! no sequences. A body runs in a task of its own, so that a caller that disconnects does not interrupt it
//! half-way, and it runs again when the database reports a conflict.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::Notify;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::postgres_url::PostgresUrl;
use super::row::{Record, Row};
use super::statement::{Statement, Value};
use super::{Connected, Transaction, TransactionBody, Write, WriteInput, WriteResult, fault};
use crate::refusal::{Fault, FaultKind};

/// How often a body runs before its conflict is returned to the caller.
const TRIES_MAX: u32 = 8;

/// How long to wait for a free connection before the server responds with 503.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// How long a body may take, including waiting for the locks of others. Beyond it the database counts as
/// unreachable, and the server responds with 503.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// The same limit for one statement, set on the connection, and a little shorter: then the statement ends in the
/// database, and the connection is clean.
const STATEMENT_LIMIT_MS: u32 = 9_000;

/// An open PostgreSQL database.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    /// Signals each commit that queued a message.
    outbox_wake: Arc<Notify>,
}

impl Postgres {
    /// Opens a pool of up to `connections` connections. The first is opened on first use.
    ///
    /// # Faults
    /// The URL is invalid, or a file of certificates that it names cannot be used.
    pub fn open(
        url: &str,
        connections: usize,
        outbox_wake: Arc<Notify>,
    ) -> Result<Postgres, Fault> {
        let wrong = |reason: String| Fault::described("the database URL", reason);
        let url = PostgresUrl::parse(url).map_err(wrong)?;
        let mut config = url.config().clone();
        config.application_name("vestibule");
        config.tcp_user_timeout(BODY_LIMIT);
        let options = config.get_options().unwrap_or_default();
        if !options.contains("statement_timeout") {
            let options = format!("{options} -c statement_timeout={STATEMENT_LIMIT_MS}");
            config.options(options.trim_start().to_owned());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(POOL_WAIT);
        }
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match url.tls().map_err(wrong)? {
            None => Manager::from_config(config, tokio_postgres::NoTls, recycling),
            Some(tls) => {
                let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls);
                Manager::from_config(config, tls, recycling)
            }
        };
        let pool = Pool::builder(manager)
            .max_size(connections)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(POOL_WAIT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Fault::new("opening the connection pool", error))?;
        Ok(Postgres { pool, outbox_wake })
    }

    /// Runs a body in a transaction and returns after its commit. A result that is not to be kept rolls back the
    /// changes of the body.
    ///
    /// # Faults
    /// Of the body or the commit; in both cases no change of the body is kept, except that a connection lost during
    /// COMMIT leaves the outcome unknown.
    pub(super) async fn write<I: WriteInput, T: WriteResult>(
        &self,
        write: Write<I, T, impl TransactionBody<I, T>>,
    ) -> Result<T, Fault> {
        let database = self.clone();
        let task = tokio::spawn(async move {
            let mut tries = 0;
            loop {
                tries += 1;
                match within_limit(database.write_once(&write)).await {
                    Err(fault) if is_worth_another_try(&fault) && tries < TRIES_MAX => {
                        pause(tries).await;
                    }
                    outcome => return outcome,
                }
            }
        });
        task.await
            .map_err(|error| Fault::new("running a body", error))?
    }

    async fn write_once<I: WriteInput, T: WriteResult>(
        &self,
        write: &Write<I, T, impl TransactionBody<I, T>>,
    ) -> Result<T, Fault> {
        let mut client = self.client().await?;
        let transaction = client
            .transaction()
            .await
            .map_err(|error| fault::postgres("opening a transaction", error))?;
        let mut transaction = Transaction::on(Connected::Postgres(transaction));
        let result = (write.body)(&mut transaction, &write.input).await;
        let has_queued = transaction.has_queued;
        let Connected::Postgres(transaction) = transaction.connection else {
            unreachable!("a body cannot change the kind of its transaction")
        };
        match result {
            Ok(value) if !(write.is_kept)(&value) => {
                let _ = transaction.rollback().await;
                Ok(value)
            }
            Ok(value) => match transaction.commit().await {
                Ok(()) => {
                    if has_queued {
                        self.outbox_wake.notify_one();
                    }
                    Ok(value)
                }
                Err(error) => {
                    let fault = fault::postgres("committing", error);
                    // The connection was lost, so it is not known whether the commit took place: no retry.
                    let is_unknown = fault.kind == FaultKind::ConnectionLost;
                    Err(if is_unknown {
                        fault.with_kind(FaultKind::Unavailable)
                    } else {
                        fault
                    })
                }
            },
            Err(fault) => {
                let _ = transaction.rollback().await;
                Err(fault)
            }
        }
    }

    /// Runs a body outside a transaction: each statement sees its own snapshot.
    ///
    /// # Faults
    /// Of the body.
    pub async fn read<I: Sync, T>(
        &self,
        input: &I,
        body: impl TransactionBody<I, T>,
    ) -> Result<T, Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let client = self.client().await?;
            let mut transaction = Transaction::on(Connected::PostgresRead(client));
            match within_limit(body(&mut transaction, input)).await {
                Err(fault) if is_worth_another_try(&fault) && tries < TRIES_MAX => {
                    pause(tries).await
                }
                outcome => return outcome,
            }
        }
    }

    /// A connection of the pool, for migrations.
    ///
    /// # Faults
    /// The database is unreachable, or every connection is busy for longer than the pool waits.
    pub async fn client(&self) -> Result<Object, Fault> {
        self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(error) => {
                let fault = fault::postgres("connecting to PostgreSQL", error);
                fault.with_kind(FaultKind::Unavailable)
            }
            other => Fault::described("waiting for a connection", other.to_string())
                .with_kind(FaultKind::Unavailable),
        })
    }
}

/// Two bodies in lockstep would conflict again, and a pool needs a moment to notice that its connections are
/// closed; so the pause grows with the attempts.
async fn pause(tries: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(tries * tries))).await;
}

/// A body that takes too long is cancelled. Its connection is dropped with it, which ends the transaction; the
/// statement itself ends by the `statement_timeout` of the connection.
async fn within_limit<T>(body: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(BODY_LIMIT, body)
        .await
        .unwrap_or_else(|_| {
            Err(
                Fault::described("running a body", "the database took too long".into())
                    .with_kind(FaultKind::Unavailable),
            )
        })
}

fn is_worth_another_try(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Conflict | FaultKind::ConnectionLost)
}

/// Runs a statement that returns no rows and returns the number of changed rows.
pub(super) async fn execute(
    client: &impl Prepare,
    statement: &'static Statement,
    values: &[Value<'_>],
) -> Result<u64, Fault> {
    let run = async {
        let prepared = client.prepare(statement.text).await?;
        client.run(&prepared, &as_sql(values)).await
    };
    run.await
        .map_err(|error| fault::postgres(statement.name, error))
}

/// Runs a statement and reads at most `limit` rows.
pub(super) async fn query<T: Record>(
    client: &impl Prepare,
    statement: &'static Statement,
    values: &[Value<'_>],
    limit: usize,
) -> Result<Vec<T>, Fault> {
    let run = async {
        let prepared = client.prepare(statement.text).await?;
        client.rows(&prepared, &as_sql(values)).await
    };
    let rows = run
        .await
        .map_err(|error| fault::postgres(statement.name, error))?;
    rows.iter()
        .take(limit)
        .map(|row| T::read(&mut Row::Postgres(row, 0)))
        .collect()
}

fn as_sql<'v>(values: &'v [Value<'_>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

/// The common interface of a pooled connection and a transaction on it.
pub(super) trait Prepare: Sync {
    /// Prepares a text, or returns the statement that was prepared before.
    fn prepare(
        &self,
        text: &str,
    ) -> impl Future<Output = Result<tokio_postgres::Statement, tokio_postgres::Error>> + Send;
    /// Runs a statement without result rows.
    fn run(
        &self,
        statement: &tokio_postgres::Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<u64, tokio_postgres::Error>> + Send;
    /// Runs a statement with result rows.
    fn rows(
        &self,
        statement: &tokio_postgres::Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>> + Send;
}

macro_rules! prepare_through {
    ($($type:ty),+) => {$(
        impl Prepare for $type {
            async fn prepare(
                &self,
                text: &str,
            ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
                self.prepare_cached(text).await
            }
            async fn run(
                &self,
                statement: &tokio_postgres::Statement,
                values: &[&(dyn ToSql + Sync)],
            ) -> Result<u64, tokio_postgres::Error> {
                self.execute(statement, values).await
            }
            async fn rows(
                &self,
                statement: &tokio_postgres::Statement,
                values: &[&(dyn ToSql + Sync)],
            ) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
                self.query(statement, values).await
            }
        }
    )+};
}
prepare_through!(Object, deadpool_postgres::Transaction<'_>);

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Text(text) => text.to_sql(ty, out),
            Value::Int(number) => number.to_sql(ty, out),
            Value::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::TEXT, Type::VARCHAR, Type::INT8, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

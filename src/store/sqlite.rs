//! SQLite: one writer thread that commits in groups, and readers that never wait for it.
//!
//! All bodies that are queued when the writer is free go into one transaction, each in a savepoint of its own, and
//! the results are returned after the one commit. So `synchronous=FULL`, an fsync per commit, costs a busy server
//! little. Readers are a few connections in WAL mode; a read runs on the caller's thread, because a point read
//! takes a few microseconds and a hop to another thread takes longer (`docs/decisions/0003-reads-in-place.md`).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{Notify, oneshot};

use super::row::{Record, Row};
use super::statement::{Statement, Value};
use super::{
    Connected, Synchronous, Transaction, TransactionBody, Write, WriteInput, WriteResult, fault,
};
use crate::moment::Stopwatch;
use crate::refusal::{Fault, FaultKind};

/// Connections for reading. Four keep two cores busy.
const READERS: usize = 4;

/// The maximum number of queued bodies: many seconds of work. Beyond it the disk has stalled, and the server
/// responds with 503 instead of filling its memory.
const QUEUE_MAX: usize = 16_384;

/// The maximum number of bodies in one commit: beyond it the first caller waits longer than the fsync is worth.
const GROUP_MAX: usize = 256;

/// How long to wait for another process (a command beside a running server).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection; more than there are statements.
const STATEMENT_CACHE: usize = 256;

/// An open SQLite database.
pub struct Sqlite {
    writer: Option<mpsc::SyncSender<Box<dyn QueuedWrite>>>,
    thread: Option<JoinHandle<()>>,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
}

impl Sqlite {
    /// Opens (or creates) the file and starts the writer thread, which signals each commit that queued a
    /// message.
    ///
    /// # Faults
    /// The file cannot be opened or is not a database.
    pub fn open(
        path: &Path,
        synchronous: Synchronous,
        outbox_wake: Arc<Notify>,
    ) -> Result<Sqlite, Fault> {
        make_private(path)?;
        let mut writer = connect(path, false, synchronous)?;
        let readers = (0..READERS)
            .map(|_| connect(path, true, synchronous).map(Mutex::new))
            .collect::<Result<_, _>>()?;
        let (sender, jobs) = mpsc::sync_channel::<Box<dyn QueuedWrite>>(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_in_groups(&mut writer, &jobs, &outbox_wake))
            .map_err(|error| Fault::new("starting the writer thread", error))?;
        Ok(Sqlite {
            writer: Some(sender),
            thread: Some(thread),
            readers,
            next_reader: AtomicUsize::new(0),
        })
    }

    /// Runs a body in the writer thread and returns after its commit. A result that is not to be kept rolls back
    /// the changes of the body.
    ///
    /// # Faults
    /// Of the body, or of the commit; in both cases no change of the body is kept.
    pub(super) async fn write<I: WriteInput, T: WriteResult>(
        &self,
        write: Write<I, T, impl TransactionBody<I, T>>,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(WriteJob {
            write,
            result: None,
            has_queued: false,
            reply,
        });
        let writer = self.writer.as_ref().ok_or_else(stopped)?;
        writer.try_send(job).map_err(|refused| match refused {
            mpsc::TrySendError::Disconnected(_) => stopped(),
            mpsc::TrySendError::Full(_) => {
                Fault::described("writing", "too many writes wait for the disk".into())
                    .with_kind(FaultKind::Unavailable)
            }
        })?;
        answer.await.map_err(|_| stopped())?
    }

    /// Runs a body on a reading connection, on the caller's thread.
    ///
    /// # Faults
    /// Of the body.
    pub fn read<I, T>(&self, input: &I, body: impl TransactionBody<I, T>) -> Result<T, Fault> {
        let mut connection = self.reader();
        let mut transaction = Transaction::on(Connected::Sqlite(&mut connection));
        finish_now(body(&mut transaction, input))
    }

    /// Checks the whole file.
    ///
    /// # Faults
    /// The file is damaged.
    pub fn check_integrity(&self) -> Result<(), Fault> {
        let connection = self.reader();
        let verdict: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .map_err(|error| fault::sqlite("checking the database file", error))?;
        if verdict == "ok" {
            Ok(())
        } else {
            Err(Fault::described("checking the database file", verdict))
        }
    }

    /// Copies the whole database, as of one instant, into a file that is missing or empty, while the server runs. A
    /// caller that cares about the file's permissions creates it first.
    ///
    /// # Faults
    /// The file is not empty or cannot be written.
    pub fn backup(&self, path: &Path) -> Result<(), Fault> {
        make_private(path)?;
        // SQLite would overwrite the content of the file.
        if std::fs::metadata(path).map_or(1, |file| file.len()) > 0 {
            let detail = format!("{} is not empty", path.display());
            return Err(Fault::described("making the backup file", detail));
        }
        let mut copy = Connection::open(path)
            .map_err(|error| fault::sqlite("opening the backup file", error))?;
        let mut connection = self.reader();
        copy_as_of_now(&mut connection, &mut copy)
            .map_err(|error| fault::sqlite("writing the backup file", error))?;
        drop(connection);
        copy.pragma_update(None, "journal_mode", "DELETE")
            .and_then(|()| copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .map_err(|error| fault::sqlite("checking the backup file", error))
            .and_then(|verdict: String| match verdict.as_str() {
                "ok" => Ok(()),
                _ => Err(Fault::described("checking the backup file", verdict)),
            })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let first = self.next_reader.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.readers.len() {
            if let Ok(reader) = self.readers[(first + step) % self.readers.len()].try_lock() {
                return reader;
            }
        }
        self.readers[first % self.readers.len()]
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Sqlite {
    /// Lets the writer finish its queue, then checkpoints the WAL so that one clean file remains.
    fn drop(&mut self) {
        self.writer = None;
        self.readers.clear();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Copies in steps under one read transaction. Without it each write of the server in between would restart the
/// copy, and with a busy writer it would never end.
fn copy_as_of_now(connection: &mut Connection, copy: &mut Connection) -> rusqlite::Result<()> {
    let snapshot = connection.transaction()?;
    // The snapshot is taken by the first read.
    snapshot.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))?;
    rusqlite::backup::Backup::new(&snapshot, copy)?.run_to_completion(
        1024,
        Duration::from_millis(1),
        None,
    )
}

/// Makes a missing file readable by its owner only; the WAL file gets the same permissions.
fn make_private(path: &Path) -> Result<(), Fault> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ()).map_err(|error| {
        Fault::described(
            "opening the database",
            format!("{}: {error}", path.display()),
        )
        .with_kind(FaultKind::Unavailable)
    })
}

/// The pause before a busy file is opened again.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

fn connect(path: &Path, is_reader: bool, synchronous: Synchronous) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        // Without this setting, a bound instant in a range (`expires_at > $2`) makes SQLite plan the statement anew
        // at every execution, which costs more than the read itself.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous.pragma())?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -4096)?;
        // What is deleted is overwritten in the file, or it would be in free pages and in every backup.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "query_only", is_reader)?;
        Ok(connection)
    };
    // The change to WAL does not wait for the busy timeout when several connections open a new file at once.
    let stopwatch = Stopwatch::start();
    let opened = loop {
        match open() {
            Err(error) if is_busy(&error) && stopwatch.seconds() < BUSY_TIMEOUT.as_secs_f64() => {
                std::thread::sleep(OPEN_PAUSE);
            }
            opened => break opened,
        }
    };
    opened.map_err(|error: rusqlite::Error| {
        let mut fault = fault::sqlite("opening the database", error);
        fault.detail = format!("{}: {}", path.display(), fault.detail);
        fault
    })
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// One queued body: run inside the group's transaction, answered after its commit.
trait QueuedWrite: Send {
    /// Runs the body; true when its savepoint is kept.
    fn run(&mut self, connection: &mut Connection) -> bool;
    /// Whether the body queued a message.
    fn has_queued(&self) -> bool;
    /// Sends the result, or the reason why the whole group was lost.
    fn reply(self: Box<Self>, commit: Result<(), &Fault>);
}

struct WriteJob<I, T, F> {
    write: Write<I, T, F>,
    result: Option<Result<T, Fault>>,
    has_queued: bool,
    reply: oneshot::Sender<Result<T, Fault>>,
}

impl<I: WriteInput, T: WriteResult, F: TransactionBody<I, T>> QueuedWrite for WriteJob<I, T, F> {
    fn run(&mut self, connection: &mut Connection) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut transaction = Transaction::on(Connected::Sqlite(connection));
            let outcome = finish_now((self.write.body)(&mut transaction, &self.write.input));
            self.has_queued = transaction.has_queued && outcome.is_ok();
            outcome
        }))
        .unwrap_or_else(|_| Err(Fault::described("writing", "the body panicked".into())));
        let is_kept = outcome.as_ref().is_ok_and(self.write.is_kept);
        self.result = Some(outcome);
        is_kept
    }

    fn has_queued(&self) -> bool {
        self.has_queued
    }

    fn reply(self: Box<Self>, commit: Result<(), &Fault>) {
        let result = match (commit, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(stopped()),
            // The fault of the body itself is more exact than that of its group.
            (Err(_), Some(Err(own))) => Err(own),
            (Err(fault), _) => Err(fault.again()),
        };
        // A caller that has disconnected does not undo the commit.
        let _ = self.reply.send(result);
    }
}

fn write_in_groups(
    connection: &mut Connection,
    jobs: &mpsc::Receiver<Box<dyn QueuedWrite>>,
    outbox_wake: &Notify,
) {
    while let Ok(first) = jobs.recv() {
        let mut group = Vec::with_capacity(8);
        let outcome = write_group(connection, first, jobs, &mut group);
        if outcome.is_ok() && group.iter().any(|job| job.has_queued()) {
            outbox_wake.notify_one();
        }
        for job in group {
            job.reply(outcome.as_ref().copied());
        }
    }
    // Closing the last connection leaves one file: the WAL is checkpointed and removed.
    let _ = connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
}

/// Runs every queued job in one transaction, each in a savepoint of its own. On an error no change of the group is
/// kept.
fn write_group(
    connection: &mut Connection,
    first: Box<dyn QueuedWrite>,
    jobs: &mpsc::Receiver<Box<dyn QueuedWrite>>,
    group: &mut Vec<Box<dyn QueuedWrite>>,
) -> Result<(), Fault> {
    if let Err(fault) = run_sql(connection, "BEGIN IMMEDIATE") {
        group.push(first);
        return Err(fault);
    }
    let outcome =
        run_jobs(connection, first, jobs, group).and_then(|()| run_sql(connection, "COMMIT"));
    if outcome.is_err() && !connection.is_autocommit() {
        // If the rollback fails too, the database is lost; the first fault is reported.
        let _ = run_sql(connection, "ROLLBACK");
    }
    outcome
}

fn run_jobs(
    connection: &mut Connection,
    first: Box<dyn QueuedWrite>,
    jobs: &mpsc::Receiver<Box<dyn QueuedWrite>>,
    group: &mut Vec<Box<dyn QueuedWrite>>,
) -> Result<(), Fault> {
    let mut next = Some(first);
    while let Some(mut job) = next {
        let opened = run_sql(connection, "SAVEPOINT body");
        let is_kept = opened.is_ok() && job.run(connection);
        group.push(job);
        opened?;
        if connection.is_autocommit() {
            // A full or failing disk makes SQLite roll back everything, the savepoints included.
            let detail =
                String::from("another write of the same commit met a full or failing disk");
            return Err(Fault::described("writing", detail).with_kind(FaultKind::Unavailable));
        }
        if !is_kept {
            run_sql(connection, "ROLLBACK TO body")?;
        }
        run_sql(connection, "RELEASE body")?;
        next = if group.len() < GROUP_MAX {
            jobs.try_recv().ok()
        } else {
            None
        };
    }
    Ok(())
}

fn run_sql(connection: &Connection, text: &'static str) -> Result<(), Fault> {
    connection
        .prepare_cached(text)
        .and_then(|mut prepared| prepared.execute([]))
        .map(|_| ())
        .map_err(|error| fault::sqlite(text, error))
}

/// SQLite's methods never wait, so a body is ready at its first poll. A body that is not ready has awaited
/// something else, which is not allowed.
fn finish_now<T>(body: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match pin!(body).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Fault::described(
            "running a body",
            "it awaited something that is not SQL".into(),
        )),
    }
}

fn stopped() -> Fault {
    Fault::described("writing", "the writer has stopped".into()).with_kind(FaultKind::Unavailable)
}

/// Runs a statement that returns no rows and returns the number of changed rows.
pub(super) fn execute(
    connection: &Connection,
    statement: &'static Statement,
    values: &[Value<'_>],
) -> Result<u64, Fault> {
    connection
        .prepare_cached(statement.sqlite())
        .and_then(|mut prepared| prepared.execute(rusqlite::params_from_iter(values)))
        .map(|count| count as u64)
        .map_err(|error| fault::sqlite(statement.name, error))
}

/// Runs a statement and reads at most `limit` rows.
pub(super) fn query<T: Record>(
    connection: &Connection,
    statement: &'static Statement,
    values: &[Value<'_>],
    limit: usize,
) -> Result<Vec<T>, Fault> {
    let context = statement.name;
    let mut prepared = connection
        .prepare_cached(statement.sqlite())
        .map_err(|error| fault::sqlite(context, error))?;
    let mut rows = prepared
        .query(rusqlite::params_from_iter(values))
        .map_err(|error| fault::sqlite(context, error))?;
    let mut records = Vec::new();
    while records.len() < limit {
        match rows.next().map_err(|error| fault::sqlite(context, error))? {
            Some(row) => records.push(T::read(&mut Row::Sqlite(row, 0))?),
            None => break,
        }
    }
    Ok(records)
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Int(Some(number)) => ValueRef::Integer(*number),
            Value::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Value::Text(None) | Value::Int(None) | Value::Bytes(None) => ValueRef::Null,
        }))
    }
}

//! Faults of the two databases, classified by their remedy.
//!
//! A conflict between transactions is retried in the store; a database that is full or unreachable makes the server
//! respond with 503; everything else is a defect of the server.

use tokio_postgres::error::SqlState;

use super::postgres_url;
use crate::refusal::{Fault, FaultKind};

/// A fault of SQLite.
pub fn sqlite(context: &'static str, error: rusqlite::Error) -> Fault {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly, SystemIoFailure,
    };
    let kind = match error.sqlite_error_code() {
        Some(
            DatabaseBusy | DatabaseLocked | DiskFull | ReadOnly | CannotOpen | SystemIoFailure,
        ) => FaultKind::Unavailable,
        _ => FaultKind::Broken,
    };
    Fault::new(context, error).with_kind(kind)
}

/// A fault of PostgreSQL.
pub fn postgres(context: &'static str, error: tokio_postgres::Error) -> Fault {
    let kind = match error.code() {
        Some(code)
            if *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::T_R_DEADLOCK_DETECTED =>
        {
            FaultKind::Conflict
        }
        // The server reports this before it closes the connection; the transaction is lost.
        Some(code) if *code == SqlState::ADMIN_SHUTDOWN || *code == SqlState::CRASH_SHUTDOWN => {
            FaultKind::ConnectionLost
        }
        // 53… is "insufficient resources", 57… "operator intervention", 08… the connection.
        Some(code)
            if ["53", "57", "08"]
                .iter()
                .any(|class| code.code().starts_with(class)) =>
        {
            FaultKind::Unavailable
        }
        Some(_) => FaultKind::Broken,
        None if error.is_closed() => FaultKind::ConnectionLost,
        None if is_io(&error) => FaultKind::Unavailable,
        None => FaultKind::Broken,
    };
    let detail = match error.as_db_error() {
        // The detail of a constraint error quotes the row, so only the message is kept.
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        // "error connecting to server" alone is not useful; the cause says whether the connection was refused.
        None => match std::error::Error::source(&error) {
            Some(cause) => match postgres_url::remedy(&error) {
                Some(remedy) => format!("{error}: {cause}; {remedy}"),
                None => format!("{error}: {cause}"),
            },
            None => error.to_string(),
        },
    };
    Fault::described(context, detail).with_kind(kind)
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

//! The calls of handlers: the data for lists is in columns, everything else is sealed.

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::contract::{CallOutcome, Contract};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    FIND = "SELECT id, at, handler_id, version, contract, site_id, request_id, outcome, cpu_micros, wall_micros, sealed
        FROM handler_call WHERE id = $1";
    INSERT = "INSERT INTO handler_call (id, at, handler_id, version, contract, site_id, request_id, outcome,
            cpu_micros, wall_micros, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    // The comparisons come first because PostgreSQL infers a parameter's type from its first use.
    LIST = "SELECT id, at, handler_id, version, contract, site_id, request_id, outcome, cpu_micros, wall_micros, sealed
        FROM handler_call
        WHERE (handler_id = $1 OR $1 IS NULL) AND (site_id = $2 OR $2 IS NULL) AND (outcome = $3 OR $3 IS NULL)
        ORDER BY at DESC, id DESC LIMIT $4";
}

/// A call of a handler.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerCall {
    /// Unique id, also in the log line.
    pub id: String,
    /// When it started.
    pub at: Moment,
    /// Record id of the handler, which may have been deleted.
    pub handler_id: String,
    /// The version that was called.
    pub version: i64,
    /// What the handler was asked to do.
    pub contract: Contract,
    /// The site.
    pub site_id: String,
    /// The request; none for a message that the worker sends.
    pub request_id: Option<String>,
    /// The outcome.
    pub outcome: CallOutcome,
    /// Processor time, in microseconds; 0 for a webhook.
    pub cpu_micros: i64,
    /// Time from the call to its end, in microseconds.
    pub wall_micros: i64,
    /// The full record, sealed.
    pub sealed: Vec<u8>,
}

/// Selects the calls to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Calls of this handler only.
    pub handler_id: Option<String>,
    /// Calls at this site only.
    pub site_id: Option<String>,
    /// Calls with this outcome only.
    pub outcome: Option<CallOutcome>,
    /// The maximum number of calls.
    pub limit: i64,
}

/// Inserts a call.
pub async fn insert(tx: &mut Transaction<'_>, call: &HandlerCall) -> Result<(), Fault> {
    let values = bind![
        &call.id,
        call.at,
        &call.handler_id,
        call.version,
        call.contract.as_str(),
        &call.site_id,
        &call.request_id,
        call.outcome.as_str(),
        call.cpu_micros,
        call.wall_micros,
        &call.sealed
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// The call with an id.
pub async fn find(tx: &mut Transaction<'_>, id: &str) -> Result<Option<HandlerCall>, Fault> {
    tx.find(&FIND, bind![id]).await
}

/// Calls, the newest first.
pub async fn list(tx: &mut Transaction<'_>, filter: &Filter) -> Result<Vec<HandlerCall>, Fault> {
    let values = bind![
        &filter.handler_id,
        &filter.site_id,
        filter.outcome.map(CallOutcome::as_str),
        filter.limit
    ];
    tx.list(&LIST, values).await
}

impl Record for HandlerCall {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(HandlerCall {
            id: row.next()?,
            at: row.next()?,
            handler_id: row.next()?,
            version: row.next()?,
            contract: row.next_word("contract")?,
            site_id: row.next()?,
            request_id: row.next()?,
            outcome: row.next_word("outcome")?,
            cpu_micros: row.next()?,
            wall_micros: row.next()?,
            sealed: row.next()?,
        })
    }
}

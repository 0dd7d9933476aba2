//! The audit log: one row per security event, in the same write as the event.

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    INSERT = "INSERT INTO audit_event (id, at, event, user_id, client_id, site_id, ip, request_id, detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIST_OF_USER = "SELECT id, at, event, user_id, client_id, site_id, ip, request_id, detail
        FROM audit_event WHERE user_id = $1 ORDER BY at, id";
}

/// A security event for the audit log.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// Unique.
    pub id: String,
    /// When it happened.
    pub at: Moment,
    /// What happened: `user.registered`, `code.replayed`.
    pub event: &'static str,
    /// The user concerned.
    pub user_id: Option<String>,
    /// The client that was used.
    pub client_id: Option<String>,
    /// The site.
    pub site_id: Option<String>,
    /// The address of the caller.
    pub ip: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Details, as JSON without secrets.
    pub detail: String,
}

/// An event as loaded.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// When it happened.
    pub at: Moment,
    /// What happened.
    pub event: String,
    /// The client that was used.
    pub client_id: Option<String>,
    /// Details, as JSON.
    pub detail: String,
}

/// Inserts an event.
pub async fn insert(tx: &mut Transaction<'_>, event: &AuditEvent) -> Result<(), Fault> {
    let values = bind![
        &event.id,
        event.at,
        event.event,
        &event.user_id,
        &event.client_id,
        &event.site_id,
        &event.ip,
        &event.request_id,
        &event.detail,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// The events of a user, oldest first.
pub async fn list_of_user(
    tx: &mut Transaction<'_>,
    user_id: &str,
) -> Result<Vec<RecordedEvent>, Fault> {
    tx.list(&LIST_OF_USER, bind![user_id]).await
}

impl Record for RecordedEvent {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        let _id: String = row.next()?;
        let at = row.next()?;
        let event = row.next()?;
        let _user_id: Option<String> = row.next()?;
        let client_id = row.next()?;
        let _site_id: Option<String> = row.next()?;
        let _ip: Option<String> = row.next()?;
        let _request_id: Option<String> = row.next()?;
        Ok(RecordedEvent {
            at,
            event,
            client_id,
            detail: row.next()?,
        })
    }
}

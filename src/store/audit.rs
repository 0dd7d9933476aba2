//! The audit log: one row per security event, in the same write as the event.

use serde_json::Value;
use vestibule_protocol::identifier::RecordId;

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

/// Record id prefix of an audit event.
const PREFIX: &str = "0AE";

statements! {
    INSERT = "INSERT INTO audit_event (id, at, event, user_id, client_id, site_id, ip, request_id, detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIST = "SELECT id, at, event, user_id, client_id, site_id, ip, request_id, detail
        FROM audit_event ORDER BY at DESC, id DESC LIMIT $1";
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

impl AuditEvent {
    /// An event that concerns no user, client or site yet and has no detail.
    pub fn new(event: &'static str, at: Moment, random: [u8; 16]) -> AuditEvent {
        AuditEvent {
            id: RecordId::from_random(PREFIX, random).to_string(),
            at,
            event,
            user_id: None,
            client_id: None,
            site_id: None,
            ip: None,
            request_id: None,
            detail: String::from("{}"),
        }
    }
}

/// An event as read back.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// Record id.
    pub id: String,
    /// When.
    pub at: Moment,
    /// What happened.
    pub event: String,
    /// Which user it concerns.
    pub user_id: Option<String>,
    /// By way of which client.
    pub client_id: Option<String>,
    /// At which site.
    pub site_id: Option<String>,
    /// From which network address.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// More.
    pub detail: Value,
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

/// The latest events, newest first: at most `limit`.
pub async fn list(tx: &mut Transaction<'_>, limit: i64) -> Result<Vec<RecordedEvent>, Fault> {
    tx.list(&LIST, bind![limit]).await
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
        Ok(RecordedEvent {
            id: row.next()?,
            at: row.next()?,
            event: row.next()?,
            user_id: row.next()?,
            client_id: row.next()?,
            site_id: row.next()?,
            ip: row.next()?,
            request_id: row.next()?,
            detail: row.next_json()?,
        })
    }
}

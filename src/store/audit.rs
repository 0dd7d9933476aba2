//! The audit log: one row per security event, in the same write as the event.
//!
//! Events that a caller can repeat at will, such as a failed login, are counted ([`count`]): those of one kind,
//! network, user and client within an hour are one row.

use serde_json::Value;
use vestibule_protocol::identifier::RecordId;

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{Transaction, tally};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::sha256;
use crate::verification::Origin;

/// Record id prefix of an audit event.
const PREFIX: &str = "0AE";

/// Repeated events of one kind at a site in an hour that are distinguished by network, user and client. Further ones are
/// counted in one row for each kind, so that callers with many addresses cannot fill the table.
pub const DISTINGUISHED_PER_HOUR: i64 = 10_000;

statements! {
    COUNT = "INSERT INTO audit_event (id, at, event, user_id, client_id, site_id, ip, request_id, detail, count, last_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $2)
        ON CONFLICT (id) DO UPDATE SET count = audit_event.count + 1, last_at = excluded.last_at";
    INSERT = "INSERT INTO audit_event (id, at, event, user_id, client_id, site_id, ip, request_id, detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIST = "SELECT id, at, event, user_id, client_id, site_id, ip, request_id, detail, count, last_at
        FROM audit_event ORDER BY at DESC, id DESC LIMIT $1";
    LIST_OF_USER = "SELECT id, at, event, user_id, client_id, site_id, ip, request_id, detail, count, last_at
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
    /// How often it happened: 1, unless it is a repeated event.
    pub count: i64,
    /// When a repeated event happened last; `None` for an event that is not counted.
    pub last_at: Option<Moment>,
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

/// Counts an event that callers can repeat. Events of one kind and detail, at one site, from one network, of one user
/// and client, in one hour are one row: it has the instant, address and request of the first, their number and the
/// instant of the last. `of_site` is the number of such events at the site in this hour: beyond
/// [`DISTINGUISHED_PER_HOUR`] the row names neither user nor client nor address.
pub async fn count(
    tx: &mut Transaction<'_>,
    event: &AuditEvent,
    origin: &Origin,
    of_site: i64,
) -> Result<(), Fault> {
    let is_distinguished = of_site <= DISTINGUISHED_PER_HOUR;
    let shown = |value: &Option<String>| value.clone().filter(|_| is_distinguished);
    let (user_id, client_id, ip) = (
        shown(&event.user_id),
        shown(&event.client_id),
        shown(&event.ip),
    );
    let network = is_distinguished.then_some(origin.network);
    let key = serde_json::json!([
        event.event,
        event.detail,
        origin.site_id,
        network,
        user_id,
        client_id,
        tally::hour_of(event.at),
    ]);
    let hash = sha256(key.to_string().as_bytes());
    let mut random = [0; 16];
    random.copy_from_slice(&hash[..16]);
    let id = RecordId::from_random(PREFIX, random).to_string();
    let values = bind![
        &id,
        event.at,
        event.event,
        &user_id,
        &client_id,
        &event.site_id,
        &ip,
        &event.request_id,
        &event.detail,
    ];
    tx.execute(&COUNT, values).await?;
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
            count: row.next()?,
            last_at: row.next()?,
        })
    }
}
